"""Systems that predict spatial expression from histology, one file each."""
