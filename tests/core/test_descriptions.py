"""Description files that are damaged, hostile or of another kind end in one error, at once and in little memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from seqexp.core.errors import ConfigError
from seqexp.core.json_file import load_json
from seqexp.core.yaml import load_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGED = "b0: &b0 {k: 1}\n" + "".join(f"b{n}: &b{n} {{l: *b{n - 1}, r: *b{n - 1}}}\n" for n in range(1, 40))
YAMLS = {
    "references that grow": (BOMB, "grows past"),
    "mappings that grow": (MERGED, "grows past"),
    "a list in itself": ("a: &a [1, *a]\n", "refers to itself"),
    "a mapping in itself": ("a: &a {b: *a}\n", "refers to itself"),
    "nested without end": ("a: " + "[" * 50_000, "nested without end"),
    "nested blocks": ("".join(" " * n + "- \n" for n in range(3000)), "nested without end|not readable"),
    "a list as a key": ("[a, b]: 1\n", "list stands where a key belongs"),
    "a mapping as a key": ("? {a: 1}\n: 1\n", "dict stands where a key belongs"),
    "an impossible date": ("a: !!timestamp 2024-13-45\n", "not readable as YAML"),
    "no number": ("a: !!int twelve\n", "not readable as YAML"),
    "no base 64": ("a: !!binary é\n", "not readable as YAML"),
    "an integer of 5,000 digits": (f"a: {'9' * 5000}\n", "not readable as YAML"),
    "code": ("a: !!python/object/apply:os.getcwd []\n", "not readable as YAML"),
    "two documents": ("a: 1\n---\nb: 2\n", "not readable as YAML"),
    "a byte of nothing": ("a: \0\n", "not readable as YAML"),
    "a list": ("- 1\n", "found list"),
    "nothing": ("", "found NoneType"),
    "an unknown reference": ("a: *b\n", "not readable as YAML"),
    "a merge of no mapping": ("a: 1\n<<: 3\n", "not readable as YAML"),
}
JSONS = {
    "nested without end": ('{"a": ' + "[" * 200_000, "nested without end"),
    "a key twice": ('{"a": 1, "a": 2}', "'a' is written twice"),
    "an integer of 5,000 digits": ('{"a": ' + "9" * 5000 + "}", "not readable as JSON"),
    "cut off": ('{"a": [1, 2', "not readable as JSON"),
    "a list": ("[]", "found list"),
    "nothing": ("", "not readable as JSON"),
}


@pytest.mark.parametrize("name", YAMLS)
def test_yaml(name: str, tmp_path: Path) -> None:
    content, message = YAMLS[name]
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_yaml(path)
    assert "a.yaml" in str(caught.value)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(BOMB)
    tracemalloc.start()
    with pytest.raises(ConfigError):
        load_yaml(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("name", JSONS)
def test_json(name: str, tmp_path: Path) -> None:
    content, message = JSONS[name]
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_json(path)
    assert "a.json" in str(caught.value)


@pytest.mark.parametrize("read", [load_yaml, load_json])
def test_no_file(read: type, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"name: caf\xe9\n")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("", "a folder or a device"),
        ("pipe", "a folder or a device"),
        ("missing", "no such file"),
        ("latin", "not UTF-8"),
    ):
        with pytest.raises(ConfigError, match=message):
            read(tmp_path / name)


def test_references_that_do_not_grow_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\ufeffa: &a [1, 2]\nb: *a\nc: {<<: {d: 1}, e: *a}\n", encoding="utf-8")
    assert load_yaml(path) == {"a": [1, 2], "b": [1, 2], "c": {"d": 1, "e": [1, 2]}}
