"""From gated hidden states to expression."""
