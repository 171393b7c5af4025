"""The order of rows, for the loaders of both wings."""
