"""Recipes: from a list of sources and steps to a dataset folder that is whole or absent."""
