"""The hall knows no wing and no class of a system; settings of before are refused; counts stay counts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.training.fit import run_fit
from seqexp.training.run import Run

PACKAGE = Path(__file__).resolve().parents[2] / "seqexp"
HELPERS = Path(__file__).parent / "helpers"
CONFIG = str(HELPERS / "tiny.yaml")
SHARED = [PACKAGE / "report" / name for name in ("page.py", "sections.py", "figures.py", "style.py")]
WING_WORDS = re.compile(
    r"(?<![a-z_])(masks?|selectors?|slides?|spots?|genes?|patch(es)?|tissue|dna|histology|patients?|chromosomes?)(?![a-z]|\.npz)"
)
SYSTEMS = {
    node.name
    for path in [*PACKAGE.glob("dna/models/*.py"), *PACKAGE.glob("histology/models/*.py")]
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.ClassDef)
}


@pytest.mark.parametrize("path", [*sorted(PACKAGE.glob("training/*.py")), *SHARED], ids=lambda path: path.name)
def test_the_hall_speaks_of_no_wing(path: Path) -> None:
    found = [
        f"line {number}: {word[0]}"
        for number, line in enumerate(path.read_text().lower().splitlines(), 1)
        if (word := WING_WORDS.search(line))
    ]
    assert not found


def test_nothing_asks_for_the_class_of_a_system_or_the_signature_of_a_network() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        if "models" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                wrong += [f"{path.name}:{node.lineno}: {name}" for name in asked & SYSTEMS]
            is_signature = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("signature")
            if is_signature and isinstance(
                node.args[0], ast.Attribute
            ):  # of a method: what a config may set is a class's
                wrong.append(f"{path.name}:{node.lineno}: inspect.signature")
    assert not wrong


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(HELPERS))
    folder = tmp_path_factory.mktemp("contract") / "run"
    run_fit(folder, [CONFIG], ["--trainer.max_epochs=1"])
    return folder


@pytest.mark.parametrize("old", [{"loss": "mse"}, {"penalties": {"kl": 0.01}}, {"loss": "mse", "penalties": {}}])
def test_a_run_of_the_version_before_is_refused_in_one_message(
    old: dict[str, object], run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_yaml(run_dir / "config.yaml")
    (tmp_path / "checkpoints").mkdir()
    for name in ("run_record.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    config["model"] = {**{k: v for k, v in config["model"].items() if k != "loss_weights"}, **old}
    dump_yaml(config, tmp_path / "config.yaml")
    named = ", ".join(f"model.{name}" for name in old)
    with pytest.raises(ConfigError, match=f"settings of version 0.1: {named}\n"):
        Run.open(tmp_path)
    for command in (["predict", "--run-dir", str(tmp_path)], ["fit", "--run-dir", str(tmp_path), "--resume"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.count("settings of version 0.1") == 1
        assert "model.loss_weights" in said


@pytest.mark.parametrize("flag", ["--model.loss=mse", "--model.penalties={kl: 1}", "--model.penalties.kl=1"])
def test_flags_of_before_are_refused(flag: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"version 0.1[\s\S]*the flags of this command"):
        run_fit(tmp_path / "run", [CONFIG], [flag])


def test_a_count_of_batches_is_no_share_whatever_typing_has_cached() -> None:
    """In a process of its own, with the annotation that a cached union of the other order gives."""
    code = (
        "import inspect, typing, pytorch_lightning as pl\n"
        "settings = inspect.unwrap(pl.Trainer.__init__).__annotations__\n"
        "settings['limit_train_batches'] = typing.Union[float, int, None]\n"
        "from seqexp.training.config import RunConfig\n"
        "flags = ['--trainer.limit_train_batches=2', '--trainer.limit_val_batches=0.5']\n"
        f"trainer = RunConfig(['--config={CONFIG}', *flags]).settings['trainer']\n"
        "print(repr(trainer['limit_train_batches']), repr(trainer['limit_val_batches']))\n"
    )
    environment = {"PYTHONPATH": f"{HELPERS}:{PACKAGE.parent}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "0.5"]


def test_a_note_of_the_data_is_told_once_by_fit_and_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(HELPERS))
    import tiny_run

    monkeypatch.setattr(tiny_run.TinyData, "notes", ["one track is weak"], raising=False)
    run_fit(tmp_path / "run", [CONFIG], ["--trainer.max_epochs=1"])
    Run.open(tmp_path / "run")
    assert capsys.readouterr().err.count("one track is weak") == 1
