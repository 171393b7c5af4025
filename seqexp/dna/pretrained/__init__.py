"""Published encoders from local files: reads weights, renames them, checks that nothing is missing or left over."""
