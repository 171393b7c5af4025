"""`seqexp estimate`: what it measures, how it goes on from there, what it refuses."""

from __future__ import annotations

import re

import pytest

from seqexp.cli.doctor import survey
from seqexp.cli.estimate import _lengths, main
from seqexp.core.errors import ConfigError
from seqexp.dna.loaders.random_batch import random_batch
from seqexp.training.cost import Cost, extrapolate

CONFIG = ["--config", "dna/k562_chr22.yaml"]


def test_short_window_is_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CONFIG, "--window-bp", "4096", "--batch-size", "2", "--predict"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    found = re.fullmatch(r"prediction on 2 windows of 4,096 bp: +([\d.]+) s +([\d.]+) GiB", last)
    assert found is not None
    assert 0 < float(found[1]) < 60
    assert 0.05 < float(found[2]) < 16


def test_long_windows_are_estimated_from_three_shorter_ones() -> None:
    assert _lengths(128, 262_144) == [16_384, 32_768, 65_536]
    assert all(length % 96 == 0 for length in _lengths(96, 96 * 3000))
    assert _lengths(128, 4096) == [4096]


def test_constant_linear_and_quadratic_costs_are_found_again() -> None:
    lengths = [1000, 2000, 4000]
    for a, b, c in ((3.0, 0.0, 0.0), (1.0, 2e-3, 0.0), (0.5, 1e-3, 1e-6), (0.0, 0.0, 2e-6)):
        costs = [Cost(a + b * x + c * x * x, 1e6 * (a + b * x + c * x * x)) for x in lengths]
        found = extrapolate(lengths, costs, 16_000)
        assert found.seconds == pytest.approx(a + b * 16_000 + c * 16_000**2, rel=1e-6)
        assert found.peak_bytes == pytest.approx(1e6 * found.seconds, rel=1e-6)
    falling = extrapolate(lengths, [Cost(3.0, 1.0), Cost(2.0, 1.0), Cost(1.0, 1.0)], 16_000)
    assert falling.seconds > 0  # noise never leads below nothing


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([*CONFIG, "--window-bp", "1000"], "multiple of 128"),
        ([*CONFIG, "--batch-size", "0"], "at least 1"),
        (["--config", "dna/no_such.yaml"], "no_such"),
        ([*CONFIG, "--model.network.init_args.widht=3"], "widht"),
    ],
    ids=["window", "batch", "config", "key"],
)
def test_mistakes_are_told_before_anything_is_measured(flags: list[str], message: str) -> None:
    with pytest.raises((ConfigError, SystemExit), match=message):
        main(flags)


def test_random_batches_have_the_shape_asked_for() -> None:
    batch = random_batch(3, 640, 32, 2, num_covariates=5)
    assert batch.codes.shape == (3, 640)
    assert batch.signals.shape == (3, 20, 2)
    assert batch.covariates.shape == (3, 5)
    assert batch.bin_bp == 32


def test_doctor_tells_which_back_ends_can_be_used() -> None:
    lines = {name: (state, note) for name, state, note in survey()}
    for operation in ("selective_scan", "ssd"):
        assert lines[f"{operation} torch"][0] == "usable"
        assert lines[f"{operation} reference"][0] == "usable"
        state, note = lines[f"{operation} kernels"]
        assert state in ("usable", "not usable")
        assert note
