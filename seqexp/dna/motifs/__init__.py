"""Motifs: read, found in a genome by exact p-values, seeded from open training windows."""
