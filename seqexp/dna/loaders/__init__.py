"""Windows around TSSs, from files to batches."""
