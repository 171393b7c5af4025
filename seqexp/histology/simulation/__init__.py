"""Simulated tissue with planted effects of colour, texture and neighbourhood; no torch."""
