"""The DNA wing: windows and tracks in, expression and regulatory elements out."""
