"""A run goes on from a whole checkpoint only: of any other, one message, and nothing in the folder changes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqexp.cli.main import main
from seqexp.training.fit import run_fit

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
CONFIG = str(HELPERS / "tiny.yaml")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended within its second epoch."""
    folder = tmp_path_factory.mktemp("resuming") / "run"
    run_fit(folder, [CONFIG], ["--trainer.max_steps=9"])
    return folder


def group(saved: dict[str, Any]) -> dict[str, Any]:
    return saved["optimizer_states"][0]["param_groups"][0]


def first(saved: dict[str, Any]) -> dict[str, Any]:
    return saved["optimizer_states"][0]["state"][0]


def progress(saved: dict[str, Any]) -> dict[str, Any]:
    return saved["loops"]["fit_loop"]["epoch_progress"]["current"]


def callback(saved: dict[str, Any], name: str) -> dict[str, Any]:
    return next(state for key, state in saved["callbacks"].items() if key.startswith(name))


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "step of another kind": lambda s: s.update(global_step="nine"),
    "negative step": lambda s: s.update(global_step=-1),
    "another step": lambda s: s.update(global_step=2),
    "another epoch": lambda s: s.update(epoch=7),
    "no epoch": lambda s: s.pop("epoch"),
    "weights not finite": lambda s: s["state_dict"]["network.head.weight"].fill_(float("nan")),
    "weights of another kind": lambda s: s["state_dict"].update({"network.head.weight": [1.0]}),
    "no loops": lambda s: s.pop("loops"),
    "loops of another kind": lambda s: s.update(loops={"fit_loop": 3}),
    "negative progress": lambda s: progress(s).update(completed=-3),
    "progress of another kind": lambda s: progress(s).update(ready="x"),
    "no optimiser": lambda s: s.pop("optimizer_states"),
    "empty optimiser": lambda s: s.update(optimizer_states=[]),
    "two optimisers": lambda s: s.update(optimizer_states=s["optimizer_states"] * 2),
    "optimiser of another kind": lambda s: s.update(optimizer_states=[[1]]),
    "no groups": lambda s: s["optimizer_states"][0].pop("param_groups"),
    "fewer groups": lambda s: s["optimizer_states"][0]["param_groups"].pop(),
    "rate not finite": lambda s: group(s).update(lr=float("nan")),
    "negative rate": lambda s: group(s).update(lr=-0.1),
    "rate of another kind": lambda s: group(s).update(lr="fast"),
    "another first rate": lambda s: group(s).update(initial_lr=1.0),
    "another decay": lambda s: group(s).update(weight_decay=3.0),
    "one beta": lambda s: group(s).update(betas=[0.9]),
    "other betas": lambda s: group(s).update(betas=(0.5, 0.5)),
    "other parameters": lambda s: group(s).update(params=[5, 6]),
    "maximised": lambda s: group(s).update(maximize=True),
    "mean of another shape": lambda s: first(s).update(exp_avg=torch.zeros(3)),
    "mean of another kind": lambda s: first(s).update(exp_avg="x"),
    "mean not finite": lambda s: first(s)["exp_avg"].fill_(float("inf")),
    "negative square": lambda s: first(s)["exp_avg_sq"].fill_(-1.0),
    "no square": lambda s: first(s).pop("exp_avg_sq"),
    "state of a stranger": lambda s: s["optimizer_states"][0]["state"].update({99: first(s)}),
    "no schedule": lambda s: s.update(lr_schedulers=[]),
    "schedule at another step": lambda s: s["lr_schedulers"][0].update(last_epoch=1000),
    "schedule of other rates": lambda s: s["lr_schedulers"][0].update(base_lrs=[5.0]),
    "callbacks of another kind": lambda s: s.update(callbacks=[]),
    "patience of another kind": lambda s: callback(s, "StopEarly").update(wait_count="many"),
    "negative wait": lambda s: callback(s, "StopEarly").update(wait_count=-5),
    "best score not a number": lambda s: callback(s, "StopEarly").update(best_score=torch.tensor(float("nan"))),
    "no transform": lambda s: s["seqexp"].pop("transform"),
    "transform of another kind": lambda s: s["seqexp"].update(transform={"name": "square"}),
    "rows of another length": lambda s: s["seqexp"]["train_rows"].update(index=torch.arange(3)),
    "rows of another kind": lambda s: s["seqexp"]["train_rows"].update(prediction="x"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint(name: str, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    last = folder / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    DAMAGE[name](saved)
    torch.save(saved, last)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["fit", "--run-dir", str(folder), "--resume", "--finish", "false", "--trainer.max_steps=20"]) == 2
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    assert "Traceback" not in message
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_whole_one_goes_on(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    trainer = run_fit(tmp_path / "run", [], ["--trainer.max_steps=20"], resume=True)
    assert trainer.global_step == 20


def test_settings_of_the_optimiser_cannot_change(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    assert main(["fit", "--run-dir", str(tmp_path / "run"), "--resume", "--model.lr=0.5"]) == 2
    assert "model.lr is 0.5, the run was trained with 0.01" in capsys.readouterr().err


def test_a_moved_run_remembers_its_best(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "moved")
    best = torch.load(stopped / "checkpoints" / "best.ckpt", weights_only=True)
    trainer = run_fit(tmp_path / "moved", [], ["--trainer.max_steps=10"], resume=True)
    (kept,) = (one for one in trainer.checkpoint_callbacks if getattr(one, "dirpath", None))
    score = next(v for k, v in best["callbacks"].items() if k.startswith("ModelCheckpoint"))["best_model_score"]
    assert kept.best_model_score == score
    assert Path(kept.best_model_path) == tmp_path / "moved" / "checkpoints" / "best.ckpt"
