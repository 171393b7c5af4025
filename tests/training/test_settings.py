"""Settings that cannot be meant end in one message before any folder is made; loggers that are named are used."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import MissingExtraError
from seqexp.core.yaml import load_yaml
from seqexp.training.fit import run_fit
from seqexp.training.run import Run

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
CONFIG = str(HELPERS / "tiny.yaml")


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("--trainer.accelerator=gpu", "gpu"),
        ("--trainer.accelerator=quantum", "quantum"),
        ("--trainer.devices=0", "devices"),
        ("--trainer.devices=many", "devices"),
        ("--trainer.devices=-2", "devices"),
        ("--trainer.precision=banana", "trainer.precision: banana"),
        ("--trainer.strategy=unknown", "unknown"),
        ("--trainer.strategy={class_path: stranger.Strategy}", "stranger"),
        ("--trainer.profiler={class_path: stranger.Profiler}", "profiler"),
        ("--trainer.num_nodes=0", "trainer.num_nodes: 0"),
        ("--trainer.num_nodes=2", "trainer.num_nodes is 2"),
        ("--trainer.max_epochs=0", "trainer.max_epochs: 0"),
        ("--trainer.max_epochs=-7", "trainer.max_epochs: -7"),
        ("--trainer.max_epochs=two", "trainer.max_epochs: two"),
        ("--trainer.max_steps=0", "trainer.max_steps: 0"),
        ("--trainer.max_steps=6", "an epoch has 7 batches"),
        ("--trainer.max_time=soon", "soon"),
        ("--trainer.check_val_every_n_epoch=9", "before its first validation"),
        ("--trainer.val_check_interval=100", "trainer.val_check_interval is 100"),
        ("--trainer.val_check_interval=0", "trainer.val_check_interval: 0"),
        ("--trainer.limit_train_batches=0", "trainer.limit_train_batches: 0"),
        ("--trainer.limit_train_batches=1.5", "trainer.limit_train_batches: 1.5"),
        ("--trainer.limit_val_batches=0.0", "trainer.limit_val_batches: 0"),
        ("--trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches: 0"),
        ("--trainer.gradient_clip_val=-1", "trainer.gradient_clip_val: -1"),
        ("--trainer.gradient_clip_val=.nan", "trainer.gradient_clip_val"),
        ("--trainer.enable_checkpointing=false", "trainer.enable_checkpointing"),
        ("--trainer.default_root_dir=elsewhere", "trainer.default_root_dir"),
        ("--trainer.barebones=true", "barebones"),
        ("--model.lr=-0.1", "model.lr: -0.1"),
        ("--model.lr=0", "model.lr: 0"),
        ("--model.lr=.inf", "model.lr: inf"),
        ("--model.lr=fast", "model.lr"),
        ("--model.weight_decay=-1", "model.weight_decay: -1"),
        ("--model.betas=[0.9, 1.5]", "model.betas"),
        ("--model.loss_weights={kl: -1}", "model.loss_weights"),
        ("--model.warmup_fraction=1", "model.warmup_fraction: 1"),
        ("--run.patience=-1", "run.patience: -1"),
        ("--run.checkpoint_every_n_steps=-1", "run.checkpoint_every_n_steps: -1"),
        ("--seed_everything=-1", "seed_everything: -1"),
    ],
)
def test_one_message_and_no_folder(flag: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "runs" / "run"
    assert main(["fit", "--config", CONFIG, "--run-dir", str(run_dir), "--finish", "false", flag]) == 2
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    assert word in message
    assert "Traceback" not in message
    assert not (tmp_path / "runs").exists()


def test_all_wrong_numbers_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model.lr=-1", "--trainer.num_nodes=0", "--run.patience=0"]
    assert main(["fit", "--config", CONFIG, "--run-dir", str(tmp_path / "run"), *flags]) == 2
    message = capsys.readouterr().err
    assert all(word in message for word in ("model.lr", "trainer.num_nodes", "run.patience"))


def test_a_short_run_that_validates_within_its_epoch(tmp_path: Path) -> None:
    flags = ["--trainer.max_steps=4", "--trainer.val_check_interval=2"]
    run_fit(tmp_path / "run", [CONFIG], flags)
    assert Run.open(tmp_path / "run").checkpoint.is_file()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("null", {"metrics.csv", "tensorboard"}),
        ("true", {"metrics.csv", "tensorboard"}),
        ("false", {"metrics.csv"}),
        ("{class_path: CSVLogger, init_args: {save_dir: OUT, name: other}}", {"metrics.csv", "other"}),
        ("[{class_path: TensorBoardLogger, init_args: {save_dir: OUT, name: board}}]", {"metrics.csv", "board"}),
    ],
)
def test_the_logger_of_the_config_is_used(given: str, kept: set[str], tmp_path: Path) -> None:
    logs = tmp_path / "run" / "logs"
    flags = [f"--trainer.logger={given.replace('OUT', str(logs))}", "--trainer.max_epochs=1"]
    run_fit(tmp_path / "run", [CONFIG], flags)
    assert {path.name for path in logs.iterdir()} == kept
    saved = load_yaml(tmp_path / "run" / "config.yaml")["trainer"].get("logger")
    assert (saved is None) == (given == "null")
    Run.open(tmp_path / "run")  # which logs nothing


class FakeWandbRun:
    """What Lightning uses of a run of W&B."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.config = SimpleNamespace(update=lambda *_, **__: None)
        self.name, self.id, self.summary = "run", "id", {}

    def define_metric(self, *_: object, **__: object) -> None:
        """Axes of figures."""

    def log(self, metrics: dict[str, float], **_: object) -> None:
        self.logged.append(metrics)


def test_weights_and_biases_gets_every_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, run = [], FakeWandbRun()
    fake = ModuleType("wandb")
    fake.run, fake.init = None, lambda **settings: (begun.append(settings), run)[1]
    lib, wandb_run = ModuleType("wandb.sdk.lib"), ModuleType("wandb.wandb_run")
    lib.RunDisabled, wandb_run.Run = type("RunDisabled", (), {}), FakeWandbRun
    for name, module in {"wandb": fake, "wandb.sdk": ModuleType("wandb.sdk")}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "wandb.sdk.lib", lib)
    monkeypatch.setitem(sys.modules, "wandb.wandb_run", wandb_run)
    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", True)
    given = "{class_path: WandbLogger, init_args: {project: mine, save_dir: OUT}}".replace(
        "OUT", str(tmp_path / "wandb")
    )
    run_fit(tmp_path / "run", [CONFIG], [f"--trainer.logger={given}", "--trainer.max_epochs=1"])
    assert [(settings["project"], settings["dir"]) for settings in begun] == [("mine", str(tmp_path / "wandb"))]
    with open(tmp_path / "run" / "logs" / "metrics.csv", newline="") as file:
        columns = set(next(csv.reader(file))) - {"step", "epoch"}
    assert columns <= {name for metrics in run.logged for name in metrics}
    assert any("val_loss" in metrics for metrics in run.logged)


def test_weights_and_biases_itself_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed: W&B itself is NOT tried")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logs = tmp_path / "run" / "logs"
    given = f"{{class_path: WandbLogger, init_args: {{offline: true, save_dir: {logs}}}}}"
    run_fit(tmp_path / "run", [CONFIG], [f"--trainer.logger={given}", "--trainer.max_epochs=1"])
    assert list(logs.glob("wandb/offline-run-*/*.wandb"))


def test_a_logger_whose_package_is_missing_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"seqexp\[wandb\]"):
        run_fit(tmp_path / "run", [CONFIG], ["--trainer.logger={class_path: WandbLogger}"])
    assert not (tmp_path / "run").exists()
