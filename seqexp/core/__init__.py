"""Errors, files, seeds and run records. Imports nothing else of seqexp, and no torch."""
