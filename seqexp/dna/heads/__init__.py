"""Heads: pooled readouts of encoded tokens; tensors only, never files."""
