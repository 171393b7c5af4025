"""Is discovery real? Rankings of bins, trained and not, on equal terms."""
