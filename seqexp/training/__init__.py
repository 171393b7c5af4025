"""The one trainer of both wings."""
