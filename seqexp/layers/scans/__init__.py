"""Recurrences over long sequences and their back ends: selective scan, SSD, long and short causal convolution."""
