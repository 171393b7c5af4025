"""Every shipped config opens against the real signatures."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seqexp.core.resources import shipped_folder

FOLDER = shipped_folder("configs")
BASES = sorted((FOLDER / "base").glob("*.yaml"))
OVERLAYS = sorted((FOLDER / "encoders").glob("*.yaml"))
PLANS = sorted((FOLDER / "benchmarks").glob("*.yaml"))  # opened by tests/dna/benchmark/test_plan.py
RUNS = sorted(path for path in FOLDER.rglob("*.yaml") if path not in {*BASES, *OVERLAYS, *PLANS})
TINY = Path(__file__).parents[1] / "training" / "helpers" / "tiny.yaml"


def _name(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", [*RUNS, *OVERLAYS], ids=_name)
def test_run_config_opens(path: Path) -> None:
    from seqexp.training.config import RunConfig, config_stack

    under = ["dna/yeast.yaml"] if path in OVERLAYS else []
    settings = RunConfig([f"--config={p}" for p in config_stack([*under, _name(path)])])
    assert settings.model.network is not None
    assert hasattr(settings.datamodule, "train_dataloader")


@pytest.mark.parametrize("path", RUNS, ids=_name)
def test_run_config_is_short(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 60


@pytest.mark.parametrize("path", BASES, ids=_name)
def test_base_config_lies_under_a_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqexp.training.config import RunConfig, config_stack

    monkeypatch.syspath_prepend(str(TINY.parent))
    settings = RunConfig([f"--config={p}" for p in config_stack([_name(path), str(TINY)])])
    base = yaml.safe_load(path.read_text())["trainer"]
    own = yaml.safe_load(TINY.read_text())["trainer"]
    for key, value in {**base, **own}.items():
        assert settings.settings["trainer"][key] == value
