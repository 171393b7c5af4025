"""The front door: help without torch, one message and an exit status for every mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seqexp import __version__
from seqexp.cli import main as module
from seqexp.cli.main import COMMANDS, Command, main
from seqexp.core.errors import DataError

TINY = Path(__file__).parents[1] / "training" / "helpers" / "tiny.yaml"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert main([]) == 2
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert "unknown command 'train'" in capsys.readouterr().err


@pytest.mark.parametrize(("raised", "status"), [(DataError("torn file", where="x.bw"), 2), (KeyboardInterrupt(), 130)])
def test_errors_become_one_message(
    raised: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise raised

    monkeypatch.setattr(module, "_broken", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "demo", Command("seqexp.cli.main:_broken", ""))
    assert main(["demo"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err in {"error: torn file\n  where:    x.bw\n", "interrupted\n"}


def test_help_of_a_training_command_needs_no_torch() -> None:
    code = (
        "import sys\nfrom seqexp.cli.main import main\n"
        "try:\n    main([sys.argv[1], '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, "fit"], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize("argv", [["fit"], ["fit", "--resume"], ["predict"], ["test", "--run-dir"]])
def test_missing_flags(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def _write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {lr: 1.0e-3}\nmodel: {lr: 1.0e-4}\n", "'model' is written twice"),
        (TINY.read_text() + "callbacks: []\n", "callbacks"),
        (TINY.read_text().replace("  lr: 0.01", "  learning_rate: 0.01"), "learning_rate"),
        (TINY.read_text().replace("{width: 8}", "{widht: 8}"), "widht"),
        (TINY.read_text().replace("max_epochs: 4", "max_epoch: 4"), "max_epoch"),
        (TINY.read_text().replace("{batch_size: 8}", "{batch_size: 8, seed: 1}"), "seed of its own"),
        (TINY.read_text().replace("lr: 0.01", "lr: fast"), "model.lr"),
        ("[1, 2]\n", "found list"),
    ],
)
def test_bad_configs_end_in_one_message(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(TINY.parent))
    config = _write(tmp_path, text)
    assert main(["fit", "--config", str(config), "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_unknown_config_lists_the_shipped_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", "nope.yaml", "--run-dir", str(tmp_path / "run")]) == 2
    assert "base/default.yaml" in capsys.readouterr().err


def test_fit_predict_test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(TINY.parent))
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", str(TINY), "--trainer.max_epochs", "1", "--finish", "false"]) == 0
    assert "1 epochs, 7 steps: runs/tiny" in capsys.readouterr().out
    assert main(["test", "--run-dir", "runs/tiny"]) == 0
    assert "test_pearson" in capsys.readouterr().out
    assert main(["predict", "--run-dir", "runs/tiny", "--output", "p.tsv"]) == 0
    assert "wrote 90 predictions: p.tsv" in capsys.readouterr().out
    assert len((tmp_path / "p.tsv").read_text().splitlines()) == 91
    assert main(["fit", "--config", str(TINY), "--finish", "false"]) == 2
    assert "--resume" in capsys.readouterr().err


def test_print_config_and_progress_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(TINY.parent))
    flags = ["fit", "--config", str(TINY), "--run-dir", str(tmp_path / "run"), "--finish", "false"]
    with pytest.raises(SystemExit) as end:
        main([*flags, "--print_config"])
    assert end.value.code == 0
    assert "tiny_run.TinyNet" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert main([*flags, "--trainer.max_epochs", "2", "--run.progress", "plain"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1", "2"]
    assert all("train_loss" in line and "val_pearson" in line for line in lines)


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("torch", "CUDA", "macs3", "memory", "mamba-ssm"))
