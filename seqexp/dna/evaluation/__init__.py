"""What a run of the DNA wing is worth: baselines, elements against peaks, planted truth and CRISPRi."""
