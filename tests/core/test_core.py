"""Atomic files, strict YAML, seeds, optional packages and run records."""

from __future__ import annotations

import errno
import json

import pytest

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.core.files import atomic_dir, atomic_path, fingerprint, require_writable
from seqexp.core.optional import require
from seqexp.core.resources import shipped
from seqexp.core.run_record import make_run_record, write_run_record
from seqexp.core.seeds import sample_seed
from seqexp.core.yaml import dump_yaml, load_yaml


def test_atomic_path_leaves_nothing_on_failure(tmp_path):
    target = tmp_path / "out.bed"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as part:
        part.write_text("half")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.bed"]


@pytest.mark.parametrize("name", ["folder", "file/below.tsv", "loop/below.tsv", "x" * 300])
def test_what_stands_in_the_way_of_a_file_is_told(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="cannot write"), atomic_path(tmp_path / name) as part:
        part.write_text("new")
    assert sorted(tmp_path.rglob("*")) == before


def test_full_disk_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="No space left") as caught, atomic_path(tmp_path / "out.bw") as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "fix:" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_atomic_dir_is_whole_or_absent(tmp_path):
    with pytest.raises(ValueError), atomic_dir(tmp_path / "data", last="b") as part:
        (part / "a").write_text("1")
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    with atomic_dir(tmp_path / "data", last="b") as part:
        (part / "a").write_text("1")
    assert (tmp_path / "data" / "a").read_text() == "1"


def test_atomic_dir_takes_no_file_of_others(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("notes", "a", "b"):
        (tmp_path / "data" / name).write_text("old")
    with atomic_dir(tmp_path / "data", last="b") as part:
        (part / "a").write_text("new")
        (part / "b").write_text("new")
    assert {path.name: path.read_text() for path in (tmp_path / "data").iterdir()} == {
        "notes": "old",
        "a": "new",
        "b": "new",
    }


def test_unwritable_output(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(DataError, match="cannot write"):
        require_writable(blocker / "runs")


def test_fingerprint_follows_content_and_settings(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    first = fingerprint([path], 8)
    assert first == fingerprint([path], 8) != fingerprint([path], 9)
    path.write_text("2")
    assert fingerprint([path], 8) != first


def test_duplicate_key_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("lr: 1\nmodel:\n  width: 2\n  width: 3\n")
    with pytest.raises(ConfigError, match=r"'width' is written twice(.|\n)*lines 3 and 4"):
        load_yaml(path)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", ""])
def test_yaml_that_is_no_mapping(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_yaml(path)


def test_yaml_round_trip(tmp_path):
    dump_yaml({"b": 1, "a": [1, 2]}, tmp_path / "x.yaml")
    assert list(load_yaml(tmp_path / "x.yaml")) == ["b", "a"]


def test_sample_seed_depends_on_each_part():
    assert len({sample_seed(s, e, i) for s in range(5) for e in range(5) for i in range(5)}) == 125


def test_missing_extra_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"seqexp\[macs3\]"):
        require("no_such_package_anywhere", "macs3")


def test_shipped_lists_what_there_is():
    with pytest.raises(ConfigError, match="one of"):
        shipped("configs", "no/such.yaml")


def test_run_record(tmp_path):
    record = make_run_record({"a": 1}, 7, "abc")
    write_run_record(tmp_path / "r.json", record)
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["seed"] == 7
    assert read["config"] == {"a": 1}
    assert "torch" in read["packages"]
