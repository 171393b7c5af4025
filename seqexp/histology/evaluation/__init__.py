"""What a run of the histology wing is worth: spatial scores beside naive baselines."""
