"""What lies in a run folder stays until the next run has taken its first step, and files of others stay for good."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.core.lock import LOCK
from seqexp.core.process import Process, _started
from seqexp.training.fit import run_fit

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
CONFIG = str(HELPERS / "tiny.yaml")
SHORT = ["--trainer.max_epochs=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replacing") / "run"
    run_fit(folder, [CONFIG], SHORT)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run with files of its user beside it."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for name in ("notes.txt", "checkpoints/favourite.ckpt", "logs/plot.png", "thesis/chapter.tex"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{name} of the user")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "flags",
    [
        ["--trainer.accelerator=gpu"],
        ["--trainer.devices=0"],
        ["--trainer.precision=13"],
        ["--trainer.strategy=none"],
        ["--trainer.max_steps=3"],
        ["--trainer.max_time=soon"],
        ["--model.lr=-1"],
        ["--run.monitor=val_nothing", "--run.mode=min", "--model.network.init_args.num_outputs=2"],
        ["--model.network.init_args.num_outputs=2"],
        ["--model.network.init_args.break_at=1"],
        ["--model.loss_weights={unknown: 1.0}"],
    ],
)
def test_a_run_that_cannot_train_replaces_nothing(flags: list[str], run: Path) -> None:
    before = content(run)
    with pytest.raises(SeqexpError):
        run_fit(run, [CONFIG], flags, overwrite=True)
    assert content(run) == before


def test_overwrite_takes_what_a_run_wrote_and_nothing_else(run: Path) -> None:
    (run / "predictions.tsv").write_text("of the run before")
    own = {name for name, text in content(run).items() if b"of the user" in text}
    run_fit(run, [CONFIG], ["--trainer.max_epochs=2"], overwrite=True)
    after = content(run)
    assert {name for name, text in after.items() if b"of the user" in text} == own
    assert "predictions.tsv" not in after
    assert json.loads(after["run_record.json"])["epochs"] == 2
    assert sum(name.startswith("logs/tensorboard/events") for name in after) == 1


@pytest.mark.parametrize("gone", [["checkpoints"], ["checkpoints", "logs"]])
def test_a_finished_run_without_checkpoints_is_not_replaced_unasked(gone: list[str], run: Path) -> None:
    for name in gone:
        shutil.rmtree(run / name)
    before = content(run)
    with pytest.raises(ConfigError, match="holds a finished run"):
        run_fit(run, [CONFIG], SHORT)
    with pytest.raises(ConfigError, match=r"last.ckpt is gone"):
        run_fit(run, [CONFIG], SHORT, resume=True)
    assert content(run) == before
    run_fit(run, [CONFIG], SHORT, overwrite=True)


def test_a_run_without_its_record_is_not_replaced(run: Path) -> None:
    (run / "run_record.json").unlink()
    before = content(run)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="files that are no run"):
            run_fit(run, [CONFIG], SHORT, overwrite=overwrite)
    assert content(run) == before


@pytest.mark.parametrize("kept", [[], ["config.yaml"], ["config.yaml", "run_record.json"]])
def test_killed_before_the_first_checkpoint(kept: list[str], finished: Path, tmp_path: Path) -> None:
    """What a kill leaves: the lock, the manifest, half-written files; then config, then the record."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (*kept, ".seqexp.files"):
        shutil.copy(finished / name, folder / name)
    if "run_record.json" in kept:
        record = json.loads((folder / "run_record.json").read_text())
        (folder / "run_record.json").write_text(json.dumps({**record, "status": "running"}))
        shutil.copytree(folder, tmp_path / "other")
        run_fit(tmp_path / "other", [], SHORT, resume=True)  # from its beginning, with the config it was started with
    dead = replace(Process.current(), pid=2**22 - 1)
    (folder / LOCK).write_text(json.dumps(dead.as_dict()))
    (folder / ".0a1b2c3d.part.run_record.json").write_text("{")
    run_fit(folder, [CONFIG], SHORT)
    assert not [path for path in folder.iterdir() if ".part." in path.name or path.name == LOCK]


@pytest.fixture
def other() -> Iterator[Process]:
    """Another process of this machine, alive."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield replace(Process.current(), pid=child.pid, started=_started(child.pid), command="seqexp fit")
        child.kill()


@pytest.mark.parametrize("flags", [[], ["--overwrite"], ["--resume"]])
def test_two_at_once(flags: list[str], other: Process, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / LOCK).write_text(json.dumps(other.as_dict()))
    before = content(run)
    assert main(["fit", "--config", CONFIG, "--run-dir", str(run), "--finish", "false", *SHORT, *flags]) == 2
    message = capsys.readouterr().err
    assert f"process {other.pid} on {other.host}" in message
    assert message.count("error: ") == 1
    assert content(run) == before
    with pytest.raises(DataError, match="another process"):
        run_fit(run, [CONFIG], SHORT, overwrite=True)


def test_report_and_features_wait_for_nobody(other: Process, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / LOCK).write_text(json.dumps(other.as_dict()))
    assert main(["report", "--run-dir", str(run)]) == 2
    assert f"process {other.pid}" in capsys.readouterr().err


def test_a_report_of_nothing_makes_no_folder(tmp_path: Path) -> None:
    assert main(["report", "--run-dir", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()
