"""What a class of a config refuses while it is built ends in one message, whichever class and however deep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml
from seqexp.dna.loaders.data import SequenceData
from seqexp.histology.loaders.data import SpotData
from seqexp.training.config import RunConfig
from seqexp.training.stack import config_stack

DNA = {
    "class_path": "seqexp.dna.loaders.data.SequenceData",
    "init_args": {"dataset": "nowhere", "upstream_bp": 512, "downstream_bp": 512, "signal_bin_bp": 32},
}
TISSUE = {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": {"dataset": "nowhere", "split": "p"}}
CONV = {
    "class_path": "seqexp.dna.models.baselines.ConvExpression",
    "init_args": {"num_tracks": 2, "width": 8, "bin_bp": 32},
}
MASKED = {
    "class_path": "seqexp.dna.models.masked.MaskedExpression",
    "init_args": {
        "stem": {
            "class_path": "seqexp.dna.encoders.conv.SequenceStem",
            "init_args": {"width": 8, "bin_bp": 32, "kernel_bp": 15},
        },
        "predictor": {"class_path": "seqexp.dna.encoders.conv.ConvEncoder", "init_args": {"width": 8}},
        "head": {"class_path": "seqexp.dna.heads.expression.ExpressionHead", "init_args": {"width": 8}},
    },
}
NSL = {"class_path": "seqexp.histology.models.nsl.NSL", "init_args": {"num_genes": 8}}
BAD = [
    (CONV, DNA, "--data.init_args.batch_size=0", "batch_size: 0"),
    (CONV, DNA, "--data.init_args.source=stor", "source: 'stor'"),
    (CONV, DNA, "--data.init_args.max_shift_bp=900", "max_shift_bp 900"),
    (CONV, DNA, "--data.init_args.reverse_complement=2", "reverse_complement: 2"),
    (CONV, DNA, "--model.network.init_args.num_members=0", "model.network.num_members: 0"),
    (CONV, DNA, "--model.network.init_args.width=-1", "model.network.width: -1"),
    (CONV, DNA, "--model.network.init_args.loss=l2", "unknown loss 'l2'"),
    (CONV, DNA, "--run.monitor=train_loss", "run.monitor is 'train_loss'"),
    (MASKED, DNA, "--model.network.init_args.head.init_args.num_readouts=0", "model.network.head.num_readouts: 0"),
    (MASKED, DNA, "--model.network.init_args.masks=absent.npz", "not readable"),
    (NSL, TISSUE, "--data.init_args.batch_size=0", "batch_size: 0"),
    (NSL, TISSUE, "--data.init_args.neighbourhood=2", "neighbourhood: 2"),
    (NSL, TISSUE, "--data.init_args.scale_features=all", "scale_features: 'all'"),
    (NSL, TISSUE, "--model.network.init_args.layout=4x4", "layout: '4x4'"),
    (NSL, TISSUE, "--model.network.init_args.num_genes=-2", "model.network.num_genes is -2, the data have 8"),
]


@pytest.fixture(autouse=True)
def facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the data would know, were they there."""
    sizes = {"num_tracks": 2, "num_contacts": 0, "num_covariates": 0, "num_targets": 1, "window_bp": 1024}
    monkeypatch.setattr(SequenceData, "facts", lambda _: sizes)
    monkeypatch.setattr(SpotData, "facts", lambda _: {"num_genes": 8, "num_features": 0})


def config(folder: Path, network: dict[str, Any], data: dict[str, Any]) -> Path:
    dump_yaml({"model": {"network": network}, "data": data}, folder / "c.yaml")
    return folder / "c.yaml"


@pytest.mark.parametrize(("network", "data", "flag", "message"), BAD, ids=[flag for *_, flag, _ in BAD])
def test_the_first_error_is_the_message(
    network: dict[str, Any], data: dict[str, Any], flag: str, message: str, tmp_path: Path
) -> None:
    stack = [f"--config={path}" for path in config_stack([str(config(tmp_path, network, data))])]
    with pytest.raises((ConfigError, DataError)) as caught:
        RunConfig([*stack, flag])
    assert caught.value.found.startswith(message)
    assert len(str(caught.value).splitlines()) <= 4


def test_the_command_prints_it_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, CONV, DNA)
    run = tmp_path / "run"
    assert main(["fit", "-c", str(path), "--run-dir", str(run), "--data.init_args.batch_size=0"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: batch_size: 0")
    assert "Traceback" not in told
    assert not run.exists()
