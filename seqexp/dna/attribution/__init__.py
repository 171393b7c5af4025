"""What a trained network made of its input, base by base and bin by bin."""
