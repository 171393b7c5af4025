"""Figures, the finished run folder and its HTML page."""
