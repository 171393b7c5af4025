"""Sequence encoders: tensors (B, N, D) in, tensors (B, N, D) out; never files."""
