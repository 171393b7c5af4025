"""Network parts of the histology wing: tensors in, tensors out."""
