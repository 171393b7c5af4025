"""Fetching against a local server: breaks, truncation, wrong sums, resuming, mirrors."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from seqexp.core.errors import DataError
from seqexp.recipes.download import Patience, part_path
from seqexp.recipes.fetch import fetch
from seqexp.recipes.schema import Source

BODY = bytes(range(256)) * 4096
SHA = hashlib.sha256(BODY).hexdigest()
FAST = Patience(attempts=3, pause_s=0.0, timeout_s=5.0)


def source_at(server, **changes) -> Source:
    return replace(Source("f.bin", "none", url=server.url + "/f.bin", sha256=SHA, bytes=len(BODY)), **changes)


def test_whole_file_arrives_verified(server, tmp_path):
    server.serve("/f.bin", BODY)
    seen = []
    source = source_at(server)
    got = fetch(source, tmp_path / "f.bin", progress=lambda done, total: seen.append((done, total)), patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert (got.sha256, got.bytes, got.origin) == (SHA, len(BODY), source.url)
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert os.listdir(tmp_path) == ["f.bin"]


def test_breaks_in_the_body_are_resumed_by_range(server, tmp_path):
    server.serve("/f.bin", BODY, faults=["break", "503", "break"])
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    half, three_quarters = len(BODY) // 2, len(BODY) * 3 // 4
    assert [r[1] for r in server.requests] == [None, f"bytes={half}-", f"bytes={half}-", f"bytes={three_quarters}-"]
    assert [r[2] for r in server.requests] == [200, 503, 206, 206]


def test_a_later_run_continues_the_part(server, tmp_path):
    server.serve("/f.bin", BODY, faults=["break", "503", "503", "503"])
    with pytest.raises(DataError, match="503"):
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert not (tmp_path / "f.bin").exists()
    assert part_path(tmp_path / "f.bin").stat().st_size == len(BODY) // 2
    server.requests.clear()
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert server.requests == [("/f.bin", f"bytes={len(BODY) // 2}-", 206)]


def test_a_part_that_was_complete_needs_no_byte(server, tmp_path):
    server.serve("/f.bin", BODY)
    part_path(tmp_path / "f.bin").write_bytes(BODY)
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert server.requests[0][2] == 416


def test_another_version_on_the_server_starts_over(server, tmp_path):
    server.serve("/f.bin", BODY[::-1], faults=["break", "503", "503", "503"], etag='"old"')
    with pytest.raises(DataError):
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    server.serve("/f.bin", BODY, etag='"new"')
    server.requests.clear()
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert server.requests[0][2] == 200  # If-Range did not match


def test_a_stale_part_without_version_is_fetched_once_more(server, tmp_path):
    server.serve("/f.bin", BODY, etag=None)
    part_path(tmp_path / "f.bin").write_bytes(b"\0" * 1000)
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert [r[1] for r in server.requests] == ["bytes=1000-", None]


def test_nothing_is_continued_when_neither_version_nor_sum_is_known(server, tmp_path):
    server.serve("/f.bin", BODY, etag=None, faults=["break"])
    got = fetch(source_at(server, sha256=None, bytes=None), tmp_path / "f.bin", patience=FAST)
    assert got.sha256 == SHA
    assert [r[1] for r in server.requests] == [None, None]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.serve("/f.bin", BODY, does_ranges=False, faults=["break"])
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert [r[2] for r in server.requests] == [200, 200]


def test_a_range_from_another_place_is_refused(server, tmp_path):
    server.serve("/f.bin", BODY, faults=["break", "lying-range"])
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY


def test_a_server_that_never_sends_more_ends_in_one_message(server, tmp_path):
    server.serve("/f.bin", BODY, faults=["break", *["empty"] * 9])
    with pytest.raises(DataError, match=r"broke|truncated") as caught:
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert "--mirror" in str(caught.value)
    assert not (tmp_path / "f.bin").exists()
    assert len(server.requests) == 4  # one that brought half, then three in vain


def test_without_a_length_the_recipe_notices_truncation(server, tmp_path):
    server.serve("/f.bin", BODY[:-1], has_length=False)
    with pytest.raises(DataError, match=rf"truncated: {len(BODY) - 1} bytes"):
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert os.listdir(tmp_path) == []


def test_another_size_is_refused_before_the_transfer(server, tmp_path):
    server.serve("/f.bin", BODY + b"x")
    with pytest.raises(DataError, match="the server offers"):
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert os.listdir(tmp_path) == []


def test_a_wrong_sum_leaves_nothing(server, tmp_path):
    server.serve("/f.bin", BODY[::-1])
    with pytest.raises(DataError, match="sha256") as caught:
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert SHA in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_missing_file_is_not_asked_for_twice(server, tmp_path, status):
    server.serve("/f.bin", BODY, faults=[str(status)] * 9)
    with pytest.raises(DataError, match=str(status)):
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_retry_after_is_obeyed(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("seqexp.recipes.download.time.sleep", pauses.append)
    server.serve("/f.bin", BODY, faults=["429", "500"], retry_after="7")
    fetch(source_at(server), tmp_path / "f.bin", patience=Patience(attempts=4, pause_s=0.5))
    assert pauses == [7.0, 7.0]


def test_pauses_double_without_retry_after(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("seqexp.recipes.download.time.sleep", pauses.append)
    server.serve("/f.bin", BODY, faults=["500", "502", "504"])
    fetch(source_at(server), tmp_path / "f.bin", patience=Patience(attempts=6, pause_s=0.5))
    assert pauses == [0.5, 1.0, 2.0]


def test_an_unreachable_host_ends_in_one_message(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/f.bin"
    with pytest.raises(DataError, match="cannot be reached"):
        fetch(Source("f.bin", "none", url=url), tmp_path / "f.bin", patience=FAST)
    assert os.listdir(tmp_path) == []


def test_an_address_that_is_none(tmp_path):
    with pytest.raises(DataError, match="not a web address"):
        fetch(Source("f.bin", "none", url="hgdownload/x"), tmp_path / "f.bin", patience=FAST)


def test_a_full_disk_is_one_message_and_keeps_the_part(server, tmp_path, monkeypatch):
    server.serve("/f.bin", BODY)

    def full(response, part, start, progress):
        part.write_bytes(BODY[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(DataError, match=r"cannot write f\.bin: No space left"):
        patched.setattr("seqexp.recipes.download._append", full)
        fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert not (tmp_path / "f.bin").exists()
    fetch(source_at(server), tmp_path / "f.bin", patience=FAST)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert server.requests[-1][1] == "bytes=1000-"


def in_mirror(tmp_path: Path, body: bytes) -> Path:
    mirror = tmp_path / "mirror"
    (mirror / "sub").mkdir(parents=True)
    (mirror / "sub/f.bin").write_bytes(body)
    return mirror


MIRRORED = Source("f.bin", "none", mirror="sub/f.bin", sha256=SHA, bytes=len(BODY), origin="made from x")


def test_the_mirror_gives_the_same_file_verified(tmp_path):
    got = fetch(MIRRORED, tmp_path / "out/f.bin", in_mirror(tmp_path, BODY))
    assert (tmp_path / "out/f.bin").read_bytes() == BODY
    assert got.sha256 == SHA


@pytest.mark.parametrize(("body", "message"), [(BODY[:-5], "truncated"), (BODY + b"x", "long"), (BODY[::-1], "sha256")])
def test_a_damaged_mirror_file_is_refused(tmp_path, body, message):
    with pytest.raises(DataError, match=message):
        fetch(MIRRORED, tmp_path / "out/f.bin", in_mirror(tmp_path, body))
    assert os.listdir(tmp_path / "out") == []


def test_a_file_missing_in_the_mirror(tmp_path):
    (tmp_path / "mirror").mkdir()
    with pytest.raises(DataError, match=r"no file sub/f\.bin"):
        fetch(MIRRORED, tmp_path / "out/f.bin", tmp_path / "mirror")


def test_without_mirror_a_derived_file_says_where_it_comes_from(tmp_path):
    with pytest.raises(DataError, match="made from x"):
        fetch(MIRRORED, tmp_path / "f.bin")


def test_an_unwritable_folder_is_told_before_the_network(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        fetch(Source("f.bin", "none", url="http://127.0.0.1:9/"), tmp_path / "file/sub/f.bin", patience=FAST)
