"""Nothing that a config names is imported before it is allowed: neither by a command nor from a run folder."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqexp.cli.main import main
from seqexp.core.classes import allow_classes
from seqexp.core.errors import ConfigError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.training.fit import run_fit
from seqexp.training.run import Run

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
TINY = str(HELPERS / "tiny.yaml")


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when the module `stranger`, or its package's child, is imported."""
    folder, mark = tmp_path / "modules", tmp_path / "imported"
    (folder / "strange_package").mkdir(parents=True)
    code = f"open({str(mark)!r}, 'w').close()\nfrom tiny_run import TinyNet as Net, KillAt as Callback\n"
    (folder / "stranger.py").write_text(code)
    (folder / "strange_package" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("stranger", "strange_package"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return mark


@pytest.mark.parametrize(
    "flag",
    [
        "--model.network=stranger.Net",
        "--model.network.class_path=strange_package.sub.Net",
        "--model.network={class_path: stranger.Net, init_args: {width: 8}}",
        "--model={network: {class_path: stranger.Net}}",
        "--data=stranger.Data",
        "--data.class_path=stranger.Data",
        "--trainer.callbacks=[{class_path: stranger.Callback, init_args: {step: 1}}]",
        "--trainer.callbacks+=stranger.Callback",
        "--trainer.callbacks={class_path: stranger.Callback}",
        "--trainer.logger={class_path: stranger.Log}",
        "--trainer.logger=[{class_path: CSVLogger, init_args: {save_dir: x}}, {class_path: stranger.Log}]",
        "--trainer.plugins=[stranger.Plugin]",
        "--trainer.callbacks=[{class_path: LambdaCallback, init_args: {setup: stranger.run}}]",
        "--model.network=os.system",
        "--model.network=seqexp.core.files.os.remove",
        "--model.network={class_path: torch.nn.Linear, init_args: {in_features: 4, out_features: 1}}",
        "--trainer.callbacks.help=stranger.Callback",
    ],
)
def test_a_command_imports_nothing_strange(
    flag: str, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config", TINY, "--run-dir", str(tmp_path / "run"), flag]) == 2
    message = capsys.readouterr().err
    assert "which was not imported" in message
    assert "--allow-classes" in message
    assert not stranger.exists()
    assert not (tmp_path / "run").exists()


def test_yaml_tags_run_nothing(stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(Path(TINY).read_text() + "extra: !!python/object/apply:stranger.Net []\n")
    assert main(["fit", "--config", str(config), "--run-dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith("error: not readable as YAML")
    assert not stranger.exists()


@pytest.mark.parametrize("command", ["test", "validate", "predict", "report", "fit"])
def test_a_received_run_folder_imports_nothing_strange(
    command: str, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_fit(tmp_path / "run", [TINY], ["--trainer.max_epochs=1"])
    config = load_yaml(tmp_path / "run" / "config.yaml")
    config["trainer"]["callbacks"] = [{"class_path": "stranger.Callback", "init_args": {"step": 1}}]
    dump_yaml(config, tmp_path / "run" / "config.yaml")
    arguments = [command, "--run-dir", str(tmp_path / "run"), *(["--resume"] if command == "fit" else [])]
    assert main(arguments) == 2
    assert "stranger.Callback, which was not imported" in capsys.readouterr().err
    assert not stranger.exists()
    # From Python too: a run folder is data.
    with pytest.raises(ConfigError, match="not imported"):
        contextvars.Context().run(Run.open, tmp_path / "run")
    assert not stranger.exists()


def test_packages_are_allowed_by_name(stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--run-dir", str(tmp_path / "run")]
    flags = ["--model.network.class_path=stranger.Net", "--trainer.max_epochs=1", "--finish=false"]
    assert main(["fit", "--config", TINY, *run, *flags, "--allow-classes", "strange"]) == 2  # a package, no prefix
    assert not stranger.exists()
    # What it takes in from elsewhere is judged by where it is defined, and by that name: tiny_run is allowed here.
    assert main(["fit", "--config", TINY, *run, *flags, "--allow-classes", "stranger"]) == 0
    assert stranger.exists()
    assert main(["fit", "--config", TINY, *run, *flags]) == 2  # for one command only
    assert main(["fit", "--config", TINY, *run, "--allow-classes", "no package"]) == 2
    assert "--allow-classes 'no package'" in capsys.readouterr().err


def test_the_callers_own_code_is_free(tmp_path: Path, stranger: Path) -> None:
    flags = ["--model.network.class_path=stranger.Net", "--trainer.fast_dev_run=true"]
    contextvars.Context().run(run_fit, tmp_path / "run", [TINY], flags)
    assert stranger.exists()
    with allow_classes(), pytest.raises(ConfigError, match="not imported"):
        run_fit(tmp_path / "run", [TINY], ["--model.network.class_path=strange_package.Net"])


def test_what_the_caller_trained_opens_again_from_python_alone(tmp_path: Path, stranger: Path) -> None:
    flags = ["--model.network.class_path=stranger.Net", "--trainer.max_epochs=1"]

    def train_and_open() -> None:
        run_fit(tmp_path / "run", [TINY], flags)
        assert type(Run.open(tmp_path / "run").task.network).__name__ == "TinyNet"

    contextvars.Context().run(train_and_open)
    with allow_classes(), pytest.raises(ConfigError, match="not imported"):  # as every command does
        Run.open(tmp_path / "run")


def test_parts_of_lightning_that_configs_use(tmp_path: Path) -> None:
    stopping = "{class_path: EarlyStopping, init_args: {monitor: val_loss}}"
    rates = "{class_path: pytorch_lightning.callbacks.LearningRateMonitor}"
    flags = [f"--trainer.callbacks=[{stopping}, {rates}]", "--trainer.max_epochs=1", "--finish=false"]
    assert main(["fit", "--config", TINY, "--run-dir", str(tmp_path / "run"), *flags]) == 0
    assert main(["test", "--run-dir", str(tmp_path / "run")]) == 0  # callbacks of training do not matter there


def test_a_file_in_the_current_folder_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('imported from the current folder')\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "seqexp", "data", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
