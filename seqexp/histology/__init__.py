"""Histology wing: whole-slide images and the expression of the spots on them."""
