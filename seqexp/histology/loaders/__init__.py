"""From slides and spots to batches: patches, features, the data module."""
