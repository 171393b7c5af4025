"""Running MACS3: its words where it fails, a limit where it hangs, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.peaks import bdgpeakcall, callpeak, macs3
from seqexp.dna.peaks.macs3 import run_macs3, work_folder

STAMP = "@ 28 Nov 2026 10:23:32: [33 MB] "


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script in the place of MACS3."""

    def put(script: str) -> Path:
        path = tmp_path / "macs3"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        monkeypatch.setattr(macs3, "find_macs3", lambda: str(path))
        (tmp_path / "work").mkdir(exist_ok=True)
        return tmp_path / "work" / "peaks.narrowPeak"

    return put


def test_advice_of_macs3_stands_in_the_error(program) -> None:
    advice = "needs at least 100 paired peaks, but can only find 1! We suggest to use --nomodel"
    made = program(
        f"echo 'INFO  {STAMP}#1 read tag files'\n"
        f"echo 'WARNING {STAMP}#2 {advice}' >&2\necho 'WARNING {STAMP}#2 Process is terminated!' >&2\nexit 1\n"
    )
    with pytest.raises(DataError, match="exit status 1") as caught:
        run_macs3(["callpeak", "-t", "x"], made)
    text = str(caught.value)
    assert advice in text
    assert "Process is terminated!" in text
    assert "read tag files" not in text
    assert "@ 28 Nov" not in text
    assert "where:    macs3 callpeak -t x" in text


def test_success_without_a_file_is_no_success(program) -> None:
    made = program(f"echo 'INFO  {STAMP}Done!'\n")
    with pytest.raises(DataError, match=r"no peaks were written(.|\n)*Done!"):
        run_macs3(["callpeak"], made)
    with pytest.raises(DataError, match=r"it said: nothing"):
        run_macs3(["callpeak"], program("exit 3\n"))


def test_warnings_of_a_success_are_handed_back(program) -> None:
    made = program(f"touch work/p\necho 'WARNING {STAMP}#2 d is small'\necho >&2 'INFO  {STAMP}Done'\n")
    made.touch()
    assert run_macs3(["callpeak"], made) == ["#2 d is small"]


def test_hanging_macs3_is_stopped_with_all_it_started(program, tmp_path: Path) -> None:
    late = f"(sleep 300; touch '{tmp_path}/late') & echo $! > '{tmp_path}/child'"
    made = program(f"{late}\necho 'INFO  {STAMP}#1 waiting'\nwait\n")
    with pytest.raises(DataError, match=r"ran longer than 0.005 minutes(.|\n)*#1 waiting"):
        run_macs3(["callpeak"], made, limit_minutes=0.005)
    assert not (tmp_path / "late").exists()  # it was not waited for
    assert not is_alive(int((tmp_path / "child").read_text()))
    with pytest.raises(ConfigError, match="a limit of 0 minutes"):
        run_macs3(["callpeak"], made, limit_minutes=0)


@pytest.mark.parametrize("source", [["--track", "t.bedGraph", "--cutoff", "1"], ["--alignments", "r.bed"]])
def test_command_stops_macs3_that_hangs_and_leaves_nothing(
    program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: list[str]
) -> None:
    folder, temporary = tmp_path / "data", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.chdir(folder)
    program(f"echo 'INFO  {STAMP}#1 waiting'\nsleep 300\n")
    for module in (macs3, bdgpeakcall, callpeak):
        monkeypatch.setattr(module, "find_macs3", lambda: str(tmp_path / "macs3"))
    Path("t.bedGraph").write_text("chr1\t0\t500\t5\n")
    Path("r.bed").write_text("chr1\t5\t90\tr\t0\t+\n")
    before = sorted(folder.iterdir())
    genome = ["--genome-bp", "900"] if source[0] == "--alignments" else []
    assert main(["peaks", *source, *genome, "--limit-minutes", "0.003", "--out", "p.narrowPeak"]) == 2
    error = capsys.readouterr().err
    assert "ran longer than 0.003 minutes" in error
    assert "#1 waiting" in error
    assert sorted(folder.iterdir()) == before
    assert list(temporary.iterdir()) == []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_terminated_run_leaves_neither_process_nor_folder(tmp_path: Path) -> None:
    fake = tmp_path / "macs3"
    fake.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 300\n")
    fake.chmod(0o755)
    code = (
        "from pathlib import Path\nfrom seqexp.dna.peaks import macs3\n"
        f"macs3.find_macs3 = lambda: {str(fake)!r}\n"
        f"with macs3.work_folder(Path({str(tmp_path / 'out' / 'p')!r})) as folder:\n"
        "    macs3.run_macs3(['callpeak'], folder / 'made')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert process.poll() is None, "it ended before MACS3 was started"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert list((tmp_path / "out").iterdir()) == []


def test_macs3_writes_beside_the_result_and_not_in_the_temporary_folder(
    program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    program("")
    (tmp_path / "macs3").write_text("#!/bin/sh\necho $TMPDIR > $TMPDIR/peaks\n")
    with work_folder(tmp_path / "out" / "p.narrowPeak") as folder:
        run_macs3(["callpeak"], folder / "peaks")
        assert (folder / "peaks").read_text().strip() == str(folder)
        assert folder.parent == tmp_path / "out"
        assert ".part." in folder.name
    assert list((tmp_path / "out").iterdir()) == list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot write"), work_folder(tmp_path / "p.narrowPeak"):
        pass
    tmp_path.chmod(0o700)
