"""Losses, metrics, target transforms and naive baselines of both wings."""
