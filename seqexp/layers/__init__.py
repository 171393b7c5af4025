"""Blocks that networks of both wings share: tensors in, tensors out."""
