"""Peaks: called by MACS3 on reads or on a track, or read from files."""
