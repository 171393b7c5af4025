"""Recipes: fetch, verify and prepare a dataset folder."""
