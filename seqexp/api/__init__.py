"""What users call from Python; the commands call the same functions."""
