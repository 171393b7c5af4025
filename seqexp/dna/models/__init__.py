"""One file per published system, readable from top to bottom."""
