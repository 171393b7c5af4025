"""Every shipped config opens against the real signatures, and none is a copy of another."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from seqexp.core.resources import shipped_folder

FOLDER = shipped_folder("configs")
BASES = sorted((FOLDER / "base").glob("*.yaml"))
OVERLAYS = sorted((FOLDER / "encoders").glob("*.yaml"))
PLANS = sorted((FOLDER / "benchmarks").glob("*.yaml"))  # opened by tests/dna/benchmark/test_plan.py
RUNS = sorted(path for path in FOLDER.rglob("*.yaml") if path not in {*BASES, *OVERLAYS, *PLANS})
MACHINES = [path for path in BASES if path.stem in ("default", "cpu", "ddp", "gpu")]
TINY = Path(__file__).parents[1] / "training" / "helpers" / "tiny.yaml"


def _name(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the data of the shipped configs know, were they there."""
    from seqexp.dna.loaders.data import SequenceData
    from seqexp.histology.loaders.data import SpotData

    def of_genes(data: SequenceData) -> dict[str, int]:
        num_tracks = len(data.tracks) if data.tracks is not None else 3 if "k562_chr22" in str(data.path) else 2
        sizes = {"num_tracks": num_tracks, "num_contacts": int(data.contacts), "num_covariates": 0}
        return {**sizes, "num_targets": 1, "window_bp": data.window_bp}

    monkeypatch.setattr(SequenceData, "facts", of_genes)
    monkeypatch.setattr(SpotData, "facts", lambda _: {"num_genes": 250, "num_features": 440})


@pytest.mark.usefixtures("without_data")
@pytest.mark.parametrize("path", [*RUNS, *OVERLAYS], ids=_name)
def test_run_config_opens(path: Path) -> None:
    from seqexp.training.config import RunConfig
    from seqexp.training.stack import config_stack

    under = ["dna/yeast.yaml"] if path in OVERLAYS else []
    settings = RunConfig([f"--config={p}" for p in config_stack([*under, _name(path)])])
    assert settings.model.network is not None
    assert hasattr(settings.datamodule, "train_dataloader")


def _lines(path: Path, has_comments: bool = False) -> list[str]:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return [line for line in lines if has_comments or not line.lstrip().startswith("#")]


@pytest.mark.parametrize("path", RUNS, ids=_name)
def test_run_config_is_short(path: Path) -> None:
    assert len(_lines(path)) <= 45


def _num_different(first: list[str], second: list[str]) -> int:
    """Lines that stand in one file only; a line that was changed stands in either."""
    one, other = Counter(first), Counter(second)
    return (one - other).total() + (other - one).total()


def test_no_run_config_is_a_copy_of_another() -> None:
    """What two runs share lies in a base; comments do not count, but in overlays, which are little else."""
    read = {path: _lines(path, path in OVERLAYS) for path in [*RUNS, *OVERLAYS]}
    close = [
        f"{_name(a)} and {_name(b)}: {_num_different(read[a], read[b])} lines"
        for a, b in combinations(read, 2)
        if _num_different(read[a], read[b]) < 5
    ]
    assert not close


def test_every_base_lies_under_a_run_or_an_arm() -> None:
    from seqexp.dna.benchmark.plan import DiscoveryPlan
    from seqexp.training.stack import config_stack

    arms = [list(arm.config) for path in PLANS for arm in DiscoveryPlan.read(path).arms]
    used = {path for names in [*([_name(path)] for path in RUNS), *arms] for path in config_stack(names)}
    assert set(BASES) - set(MACHINES) <= used


@pytest.mark.parametrize("path", MACHINES, ids=_name)
def test_base_config_lies_under_a_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqexp.training.config import RunConfig
    from seqexp.training.stack import config_stack

    monkeypatch.syspath_prepend(str(TINY.parent))
    settings = RunConfig([f"--config={p}" for p in config_stack([_name(path), str(TINY)])])
    base = yaml.safe_load(path.read_text())["trainer"]
    own = yaml.safe_load(TINY.read_text())["trainer"]
    for key, value in {**base, **own}.items():
        assert settings.settings["trainer"][key] == value
