"""One process at a time in a folder: who holds it is named, who has ended is recognised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, temporary_path
from seqexp.core.lock import LOCK, clear_stale, own_folder, require_free
from seqexp.core.manifest import MANIFEST, record_files, remove_files, written_files
from seqexp.core.process import Process, _started


@pytest.fixture
def other() -> Iterator[Process]:
    """Another process of this machine, alive."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield replace(Process.current(), pid=child.pid, started=_started(child.pid), command="seqexp fit")
        child.kill()


def hold(folder: Path, holder: Process) -> None:
    folder.mkdir(exist_ok=True)
    (folder / LOCK).write_text(json.dumps(holder.as_dict()))


def test_lock_names_the_holder_and_goes_with_it(tmp_path: Path) -> None:
    with own_folder(tmp_path / "run"):
        held = json.loads((tmp_path / "run" / LOCK).read_text())
        assert (held["pid"], held["host"]) == (os.getpid(), os.uname().nodename)
        assert int(held["started"]) == int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        with own_folder(tmp_path / "run"):  # a command inside a command
            pass
        assert (tmp_path / "run" / LOCK).exists()
    assert not (tmp_path / "run").exists()  # nothing came into it


def test_a_living_holder_is_named(other: Process, tmp_path: Path) -> None:
    hold(tmp_path, other)
    for attempt in (lambda: own_folder(tmp_path).__enter__(), lambda: require_free(tmp_path)):
        with pytest.raises(DataError, match=f"process {other.pid} on {other.host}") as caught:
            attempt()
        assert "seqexp fit" in str(caught.value)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == other.pid


@pytest.mark.parametrize("change", ["dead", "reused", "rebooted"])
def test_a_stale_lock_is_taken_over_and_told(
    change: str, other: Process, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stale = {
        "dead": replace(other, pid=2**22 - 1),
        "reused": replace(other, started="1"),  # the same number, of a process that began at another time
        "rebooted": replace(other, boot="another"),
    }[change]
    hold(tmp_path, stale)
    require_free(tmp_path)
    with own_folder(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    told = capfd.readouterr().err
    assert "took over the lock" in told
    assert str(stale.pid) in told
    assert not (tmp_path / LOCK).exists()


def test_a_zombie_holds_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    started = _started(child.pid)
    while (state := Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z":
        assert state
        time.sleep(0.01)
    hold(tmp_path, replace(Process.current(), pid=child.pid, started=started))
    with own_folder(tmp_path):
        pass
    child.wait()


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_a_lock_from_elsewhere_says_how_to_remove_it(change: dict[str, str], other: Process, tmp_path: Path) -> None:
    hold(tmp_path, replace(other, pid=2**22 - 1, **change))
    with pytest.raises(DataError, match="another process") as caught, own_folder(tmp_path, is_patient=True):
        pass
    assert f"remove {tmp_path / LOCK}" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"pid": ', b"[1]", b'{"pid": "x"}', b"\xff\xfe", b"[" * 5000])
def test_a_lock_that_was_broken_off_holds_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with own_folder(tmp_path):
        pass


def test_the_patient_wait(other: Process, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hold(tmp_path, other)
    os.kill(other.pid, 9)  # dies while we wait, at the latest
    with own_folder(tmp_path, is_patient=True):
        pass
    assert "lock" in capfd.readouterr().err or "waiting" in capfd.readouterr().err


def test_many_at_once_are_one_after_another(tmp_path: Path) -> None:
    """Eight processes add to a number that any two at once would spoil."""
    (tmp_path / "number").write_text("0")
    code = (
        "import sys, time, pathlib\nfrom seqexp.core.lock import own_folder\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for turn in range(3):\n"
        "    with own_folder(folder, is_patient=True):\n"
        "        number = int((folder / 'number').read_text())\n"
        "        time.sleep(0.002)\n"
        "        (folder / 'number').write_text(str(number + 1))\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=-3) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert (tmp_path / "number").read_text() == "12"


def test_what_was_left_half_written_is_removed(other: Process, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    mine = temporary_path(tmp_path / "checkpoints" / "last.ckpt").name
    dead = f".3ffffe{mine[7:]}"
    alive = f".{other.pid:06x}{mine[7:]}"
    for name in (dead, alive, ".1234abcd.part.best.ckpt", ".notes.part", "a.part.b", ".part.x", ".part"):
        (tmp_path / "checkpoints" / name).write_text("")
    folder = tmp_path / dead.replace("last.ckpt", "data")
    folder.mkdir()
    (folder / "file").write_text("")
    hold(tmp_path / "other", other)  # another's folder in ours
    (tmp_path / "other" / dead).write_text("")
    with own_folder(tmp_path):
        left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert left == {alive, ".notes.part", "a.part.b", ".part.x", ".part"}
    assert not folder.exists()
    assert (tmp_path / "other" / dead).exists()


def test_written_files_are_noted_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.txt").write_text("of the user")
    with record_files(tmp_path):
        for name in ("a.tsv", "logs/b.csv", "deep/er/c"):
            with atomic_path(tmp_path / name) as part:
                part.write_text("1")
    with atomic_path(tmp_path / "later") as part:
        part.write_text("of a command that owns nothing here")
    assert {str(p.relative_to(tmp_path)) for p in written_files(tmp_path)} == {"a.tsv", "logs/b.csv", "deep/er/c"}
    remove_files(tmp_path, written_files(tmp_path))
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {"logs", "logs/mine.txt", "later", MANIFEST}


def test_a_manifest_leads_nowhere_else(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    outside.mkdir()
    (outside / "file").write_text("")
    (run / "link").symlink_to(outside)
    (run / MANIFEST).write_text(f"../precious/file\n{outside / 'file'}\nlink/file\nlink\n.\n\n\0\n")
    assert written_files(run) == [run / "link"]
    remove_files(run, written_files(run))
    assert (outside / "file").exists()


def test_readers_clear_away_what_has_ended(other: Process, tmp_path: Path) -> None:
    clear_stale(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    hold(tmp_path, other)
    clear_stale(tmp_path)
    assert (tmp_path / LOCK).exists()
    hold(tmp_path, replace(other, pid=2**22 - 1))
    clear_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []
