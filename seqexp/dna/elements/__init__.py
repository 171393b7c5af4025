"""Masks to elements; MACS3 peaks; the comparison of the two."""
