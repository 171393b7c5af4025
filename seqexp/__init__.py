"""Predict gene expression from the DNA and the signals that control it, and find the elements that matter."""

__version__ = "0.1.0"
