"""Several configs on several splits of a slide set."""
