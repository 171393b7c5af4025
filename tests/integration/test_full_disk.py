"""A disk that is full from the n-th file on, for every n: one message, nothing lost, no leftover."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from full_disk import fill_disk

from seqexp.cli.main import main
from seqexp.core.lock import LOCK
from seqexp.core.yaml import dump_yaml
from seqexp.training import checkpoints

SELECTOR = {"class_path": "tiny_selector.TinySelector"}


@pytest.fixture(scope="module")
def config(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = {"dataset": str(shared_tiny_dataset), "upstream_bp": 1024, "downstream_bp": 1024, "signal_bin_bp": 32}
    content = {
        "model": {"network": SELECTOR, "lr": 0.05},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    path = tmp_path_factory.mktemp("full") / "c.yaml"
    dump_yaml(content, path)
    return path


@pytest.fixture(scope="module")
def finished(config: Path) -> Path:
    assert main(["fit", "--config", str(config), "--run-dir", str(config.with_name("run"))]) == 0
    return config.with_name("run")


def _contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _try_everywhere(
    argv: Callable[[], list[str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_replacing: bool = False,
) -> int:
    """Run a command with room for 0, 1, 2, … files until it succeeds; gives the number it needed.

    What replaces an earlier run may remove it once its own first files are there.
    """
    for room in range(60):
        before = _contents(folder)
        with fill_disk(monkeypatch, after=room) as begun:
            status = main(argv())
        if len(begun) <= room:
            assert status == 0
            return room
        error = capsys.readouterr().err
        assert (status, error.count("error: ")) == (2, 1), (room, begun[room], error)
        assert "Traceback" not in error
        after = _contents(folder)
        assert is_replacing or before.keys() <= after.keys(), begun[room]
        assert [name for name in after if ".part" in name or name.endswith(LOCK)] == []
        if room == 0:
            assert after == before
    raise AssertionError("it never had room enough")


def test_elements_and_compare(
    finished: Path,
    shared_tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert _try_everywhere(lambda: ["elements", str(finished), "--out", str(out)], tmp_path, monkeypatch, capsys) >= 7
    peaks = str(shared_tiny_dataset.with_name("peaks.narrowPeak"))
    argv = ["compare", "--elements", str(out / "elements_per_gene.bed"), "--peaks", peaks, "--permutations", "5"]
    argv += ["--out", str(tmp_path / "compare.tsv")]
    assert _try_everywhere(lambda: argv, tmp_path, monkeypatch, capsys) >= 2


def test_a_run_that_is_to_be_replaced_stays_where_the_next_has_no_room(
    config: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    before = _contents(tmp_path)
    argv = ["fit", "--config", str(config), "--run-dir", str(tmp_path / "run"), "--overwrite"]
    with fill_disk(monkeypatch, after=0, also=checkpoints):
        assert main(argv) == 2
    assert "No space left" in capsys.readouterr().err
    assert _contents(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fit", "overwrite", "resume", "report", "predict", "store"])
def test_runs(
    kind: str,
    config: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    if kind in ("overwrite", "resume", "report", "predict"):
        shutil.copytree(finished, run)
    fit = ["fit", "--config", str(config), "--run-dir", str(run)]

    def argv() -> list[str]:
        if kind in ("report", "predict"):
            return [kind, "--run-dir", str(run)]
        if kind == "store":
            return [*fit, "--overwrite", "--data.init_args.source=store", f"--data.init_args.store_folder={tmp_path}/s"]
        is_resumed = kind == "resume" or (kind == "fit" and (run / "checkpoints" / "last.ckpt").is_file())
        return [*fit, "--resume" if is_resumed else "--overwrite"]

    is_replacing = kind in ("fit", "overwrite", "store")
    assert _try_everywhere(argv, tmp_path, monkeypatch, capsys, is_replacing=is_replacing) >= 1
