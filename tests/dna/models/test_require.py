"""A network that does not fit its data is refused before it is trained, with both numbers in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.encoders.conv import SignalStem
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.require import require_fit
from seqexp.dna.selectors.signal import SignalEvidence

CONV = ("seqexp.dna.encoders.conv.ConvEncoder", {"width": 8, "dilations": [1]})
STEM = ("seqexp.dna.encoders.conv.SequenceStem", {"width": 8, "bin_bp": 32, "kernel_bp": 15})
HEAD = ("seqexp.dna.heads.expression.ExpressionHead", {"width": 8, "num_covariates": 1})
SIGNAL = ("seqexp.dna.encoders.conv.SignalStem", {"num_tracks": 2, "width": 8})
SELECTOR = ("seqexp.dna.selectors.selector.BetaSelector", {"width": 8, "num_tracks": 2})


def part(of: tuple[str, dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {"class_path": of[0], "init_args": {**of[1], **changes}}


def conv(**changes: Any) -> dict[str, Any]:
    sizes = {"num_tracks": 2, "width": 8, "bin_bp": 32, "dilations": [1], "num_covariates": 1}
    return part(("seqexp.dna.models.baselines.ConvExpression", sizes), **changes)


def masked(**changes: Any) -> dict[str, Any]:
    parts = {"stem": part(STEM), "predictor": part(CONV), "head": part(HEAD), "signal_stem": part(SIGNAL)}
    return part(("seqexp.dna.models.masked.MaskedExpression", parts), **changes)


def seq2exp(**changes: Any) -> dict[str, Any]:
    parts = {"stem": part(STEM), "encoder": part(CONV), "selector": part(SELECTOR)}
    parts |= {"predictor": part(CONV), "head": part(HEAD)}
    return part(("seqexp.dna.models.seq2exp.Seq2Exp", parts), **changes)


def published(**changes: Any) -> dict[str, Any]:
    sizes = {"num_covariates": 1, "thresholds": [1.0, 1.0], "track_weights": [1.0, 1.0], "width": 16, "num_layers": 1}
    return part(("seqexp.dna.models.seq2exp_published.PublishedSeq2Exp", sizes), **changes)


# The tiny data have 2 tracks, no contacts and 1 covariate, in windows of 512 bp and bins of 32 bp.
BAD = {
    "covariates unread": (conv(num_covariates=0), "model.network.num_covariates is 0, the data have 1"),
    "covariates unread by a head": (masked(head=part(HEAD, num_covariates=0)), "head.num_covariates is 0"),
    "covariates of the publication": (published(num_covariates=9), "model.network.num_covariates is 9"),
    "too many covariates": (conv(num_covariates=2), "model.network.num_covariates is 2"),
    "several targets": (masked(head=part(HEAD, num_targets=2)), "model.network.head.num_targets is 2, the data have 1"),
    "one track for two": (conv(num_tracks=1), "model.network.num_tracks is 1, the data have 2"),
    "no track for two": (conv(num_tracks=0), "model.network.num_tracks is 0, the data have 2"),
    "two tracks in a stem for one": (masked(signal_stem=part(SIGNAL, num_tracks=1)), "signal_stem.num_tracks is 1"),
    "two tracks in a stem for three": (masked(signal_stem=part(SIGNAL, num_tracks=3)), "signal_stem.num_tracks is 3"),
    "a selector of one track": (seq2exp(selector=part(SELECTOR, num_tracks=1)), "selector.num_tracks is 1"),
    "contacts for a track": (
        seq2exp(selector=part(SELECTOR, num_tracks=1, num_contacts=1)),
        "model.network.selector.num_contacts is 1, the data have 0; model.network.selector.num_tracks is 1",
    ),
    "one threshold": (published(thresholds=[1.0], track_weights=[1.0]), "the data have 2 tracks"),
    "bins that no bin of the data makes": (conv(bin_bp=48), "bins of 32 bp, the model works in bins of 48 bp"),
    "bins that make no window": (conv(bin_bp=96), "windows of 512 bp, a model that works in bins of 96 bp"),
    "a part of no width": (masked(predictor=part(CONV, width=0)), "model.network.predictor.width: 0"),
    "two widths": (masked(predictor=part(CONV, width=4)), "parts of different widths: stem 8, predictor 4"),
}


def fit(network: dict[str, Any], dataset: Path, folder: Path, *flags: str) -> int:
    data = {"dataset": str(dataset), "upstream_bp": 256, "downstream_bp": 256, "signal_bin_bp": 32}
    content = {
        "model": {"network": network, "loss_weights": {"signal": 1.0, "kl": 0.1} if "Seq2Exp" in str(network) else {}},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    content["model"]["loss_weights"].pop("signal", None) if "published" in str(network) else None
    dump_yaml(content, folder / "c.yaml")
    run = ["--config", str(folder / "c.yaml"), "--run-dir", str(folder / "run"), "--finish", "false"]
    return main(["fit", *run, *flags])


@pytest.mark.parametrize("name", BAD)
def test_one_message_before_training(
    name: str, shared_tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, message = BAD[name]
    per_base = ["--data.init_args.signal_bin_bp=1"] if "published" in str(network) else []
    assert fit(network, shared_tiny_dataset, tmp_path, *per_base) == 2
    told = capsys.readouterr().err
    assert told.count("error: ") == 1
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("make", [conv, masked, seq2exp])
def test_what_fits_is_trained(make: Any, shared_tiny_dataset: Path, tmp_path: Path) -> None:
    assert fit(make(), shared_tiny_dataset, tmp_path, "--trainer.fast_dev_run=true") == 0


def bare(network: dict[str, Any], is_root: bool = True) -> dict[str, Any]:
    """A network without the numbers that the data know, and with one width."""
    said = {
        name: bare(value, False) if isinstance(value, dict) else value
        for name, value in network["init_args"].items()
        if not name.startswith("num_") and name != "width"
    }
    return {**network, "init_args": {**said, **({"width": 8} if is_root else {})}}


@pytest.mark.parametrize("make", [conv, masked, seq2exp, published])
def test_what_is_left_out_is_filled_in_and_written(make: Any, shared_tiny_dataset: Path, tmp_path: Path) -> None:
    per_base = ["--data.init_args.signal_bin_bp=1"] if make is published else []
    few = ["--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1", "--trainer.num_sanity_val_steps=0"]
    sparse = bare(make(**{"num_layers": 1} if make is published else {}))
    assert fit(sparse, shared_tiny_dataset, tmp_path, *per_base, *few) == 0
    written = load_yaml(tmp_path / "run" / "config.yaml")["model"]["network"]["init_args"]
    parts = [written, *(part["init_args"] for part in written.values() if isinstance(part, dict))]
    found = [(name, value) for part in parts for name, value in part.items()]
    known = {"num_tracks": 2, "num_contacts": 0, "num_covariates": 1, "num_targets": 1, "width": 8, "window_bp": 512}
    assert all(value == known[name] for name, value in found if name in known)
    assert {"num_covariates", "width"} <= {name for name, _ in found}
    assert all(part["width"] == 8 for part in parts if "width" in part)


def test_covariates_without_a_reader(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same network is refused with covariates in the data and trained without."""
    unread = masked(head=part(HEAD, num_covariates=0))
    dump_yaml({**load_yaml(tiny_dataset), "covariates": []}, tiny_dataset)
    assert fit(unread, tiny_dataset, tmp_path, "--trainer.fast_dev_run=true") == 0
    assert fit(masked(), tiny_dataset, tmp_path) == 2
    assert "model.network.head.num_covariates is 1, the data have 0" in capsys.readouterr().err


def test_no_track_passes_for_several() -> None:
    one, stem, evidence = torch.rand(2, 16, 1), SignalStem(2, 8), SignalEvidence(2)
    for refused in (lambda: stem(one), lambda: stem.calibrate(torch.ones(1)), lambda: evidence(one)):
        with pytest.raises(ConfigError, match=r"have 1 tracks.*built for 2"):
            refused()


def test_covariates_that_no_part_reads() -> None:
    statistics = DataStatistics((), np.zeros((0, 2)), np.array([0.0, 1.0]), 0.0, 1.0, num_train=2, covariates=("age",))
    with pytest.raises(ConfigError, match=r"1 covariates \(age\), which no part of the network reads"):
        require_fit(torch.nn.Linear(2, 2), statistics)
