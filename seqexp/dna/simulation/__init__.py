"""Simulated genomes with planted elements. No torch."""
