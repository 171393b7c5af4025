"""Values of descriptions against annotations, and names of files against their folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest

from seqexp.core.errors import ConfigError
from seqexp.core.files import inside
from seqexp.core.typed import build, call_arguments


@dataclass(frozen=True)
class Inner:
    width: int


class Place(TypedDict):
    bed: str
    flank_bp: int


@dataclass(frozen=True)
class Outer:
    name: str
    size: int | None = None
    share: float = 0.5
    is_on: bool = False
    kind: Literal["a", "b"] = "a"
    names: list[str] = field(default_factory=list)
    pair: tuple[int, int] = (0, 0)
    shares: tuple[float, ...] = ()
    table: Mapping[str, int] = field(default_factory=dict)
    inner: Inner | None = None
    place: Place | None = None
    path: Path | None = None
    either: int | str = 0


GOOD: dict[str, Any] = {
    "name": "x",
    "size": 3,
    "share": 1,
    "is_on": True,
    "kind": "b",
    "names": ["NA", "0012"],
    "pair": [1, 2],
    "shares": [1, 0.5],
    "table": {"a": 1},
    "inner": {"width": 2},
    "place": {"bed": "a.bed", "flank_bp": 3},
    "path": "a/b",
    "either": "text",
}


def test_what_fits_is_built() -> None:
    built = build(Outer, GOOD, "f.yaml")
    assert built == Outer(
        "x",
        3,
        1.0,
        True,
        "b",
        ["NA", "0012"],
        (1, 2),
        (1.0, 0.5),
        {"a": 1},
        Inner(2),
        GOOD["place"],
        Path("a/b"),
        "text",
    )
    assert isinstance(built.share, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, "name: 3"),
        ({"name": None}, "name: None"),
        ({"size": "3"}, "size: '3'"),
        ({"size": True}, "size: True"),
        ({"size": 2.5}, "size: 2.5"),
        ({"size": 2**63}, "size: 9223372036854775808"),
        ({"share": float("nan")}, "share: nan"),
        ({"share": float("inf")}, "share: inf"),
        ({"share": [1]}, r"share: \[1\]"),
        ({"is_on": 1}, "is_on: 1"),
        ({"is_on": "yes"}, "is_on: 'yes'"),
        ({"kind": "c"}, "kind: 'c'"),
        ({"names": "abc"}, "names: 'abc'"),
        ({"names": ["a", 1]}, r"names\[1\]: 1"),
        ({"names": {"a": 1}}, "names: "),
        ({"pair": [1]}, r"pair: \[1\]"),
        ({"shares": [1, "x"]}, r"shares\[1\]: 'x'"),
        ({"table": {"a": "b"}}, "table.a: 'b'"),
        ({"table": {1: 2}}, "key table.1"),
        ({"table": [1]}, r"table: \[1\]"),
        ({"inner": {"width": "2"}}, "inner.width: '2'"),
        ({"inner": {}}, "key inner.width is missing"),
        ({"inner": {"width": 2, "widht": 3}}, "unknown key inner.widht"),
        ({"place": {"bed": "x"}}, "key place.flank_bp is missing"),
        ({"place": {"bed": 1, "flank_bp": 1}}, "place.bed: 1"),
        ({"path": ""}, "path: ''"),
        ({"path": "a\0b"}, "path: "),
        ({"either": []}, "either: "),
        ({"nam": 1}, "unknown key nam"),
    ],
)
def test_what_does_not_fit_names_its_key(change: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(Outer, {**GOOD, **change}, "f.yaml")
    assert caught.value.where == "f.yaml"
    assert caught.value.expected


def test_a_required_key_is_named() -> None:
    with pytest.raises(ConfigError, match="key name is missing"):
        build(Outer, {}, "f.yaml")


@pytest.mark.parametrize("content", [None, 3, "text", [1], {1: 2}])
def test_what_is_no_mapping(content: Any) -> None:
    with pytest.raises(ConfigError, match=r"found|key 1"):
        build(Outer, content, "f.yaml")


def test_arguments_of_a_function() -> None:
    def step(folder: Path, names: Sequence[str], size: int = 2) -> None: ...

    assert call_arguments(step, {"names": ["a"]}, "f.yaml") == {"names": ["a"]}
    for wrong, message in (
        ({}, "names is missing"),
        ({"names": "a"}, "with.names: 'a'"),
        ({"names": ["a"], "size": "b"}, "with.size: 'b'"),
        ({"names": ["a"], "folder": "b"}, "unknown key with.folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            call_arguments(step, wrong, "f.yaml", "with.")


@pytest.mark.parametrize(
    "name",
    ["../a", "a/../../b", "/etc/passwd", "", ".", "a\0b", "x" * 300, "a/" + "é" * 200, "C:\\a", "..", "a/"],
)
def test_names_that_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no name of a file in this folder"):
        inside(tmp_path, name)


def test_links_that_leave_the_folder(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "sub").symlink_to(elsewhere)
    (folder / "file").symlink_to(elsewhere / "file")
    (folder / "own").symlink_to(folder / "real")
    (folder / "ring").symlink_to("ring")
    for name in ("sub/a", "file", "ring"):
        with pytest.raises(ConfigError, match="leads out of the folder by a link"):
            inside(folder, name)
        assert inside(folder, name, is_link_allowed=True) == folder / name
    assert inside(folder, "own") == folder / "own"
    (tmp_path / "named").symlink_to(folder)  # the folder itself may be a link
    assert inside(tmp_path / "named", "a/b") == tmp_path / "named" / "a/b"
