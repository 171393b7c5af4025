"""Baseline features against direct counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seqexp.dna.loaders.features import kmer_frequencies, signal_profile


@pytest.mark.parametrize("k", [1, 3])
def test_kmers_equal_string_counting(k):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 400).astype(np.uint8)
    text = "".join("ACGTN"[c] for c in codes)
    words = ["".join(w) for w in itertools.product("ACGT", repeat=k)]
    counts = np.array([sum(text[i : i + k] == word for i in range(len(text) - k + 1)) for word in words])
    np.testing.assert_allclose(kmer_frequencies(codes, k) ** 2, counts / counts.sum(), rtol=1e-5)


def test_kmers_of_nothing_are_zero():
    assert not kmer_frequencies(np.full(50, 4, np.uint8), 2).any()
    assert kmer_frequencies(np.zeros(1, np.uint8), 2).shape == (16,)


def test_signal_profile_is_the_mean_of_each_stretch():
    signals = np.arange(24, dtype=float).reshape(12, 2)
    signals[0, 0] = np.nan
    expected = np.log1p([[(0 + 2 + 4) / 3, 3.0], [8, 9], [14, 15], [20, 21]])
    np.testing.assert_allclose(signal_profile(signals, 4).reshape(4, 2), expected, rtol=1e-6)
    assert signal_profile(np.zeros((12, 0))).size == 0
