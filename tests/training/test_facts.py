"""What the data know is filled into a network's tree; what was typed and disagrees is refused."""

from __future__ import annotations

import sys
import types

import pytest
from jsonargparse import Namespace
from torch import nn

from seqexp.core.errors import ConfigError
from seqexp.training.facts import fill_in


class Part:
    def __init__(self, width: int, num_tracks: int = 0, size: int = 3) -> None: ...


class Own:
    """Has a width of its own, which its parts follow."""

    def __init__(self, inner: Part, width: int = 5) -> None: ...


class Net:
    def __init__(self, parts: list[nn.Module], own: Own, num_tracks: int, width: int = 16) -> None: ...


class Child(Net):
    def __init__(self, extra: int = 0, **rest: object) -> None: ...


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType("facts_of_test")
    for kind in (Part, Own, Net, Child):
        setattr(made, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "facts_of_test", made)


def node(kind: type, **arguments: object) -> Namespace:
    return Namespace(class_path=f"facts_of_test.{kind.__name__}", init_args=Namespace(**arguments))


def network(kind: type = Net, **typed: object) -> tuple[Namespace, Namespace]:
    """A tree with its defaults, and what was typed of it."""
    parts = [node(Part, num_tracks=0, size=3), node(Part, width=4, num_tracks=0, size=3)]
    full = node(kind, parts=parts, own=node(Own, inner=node(Part, num_tracks=0), width=5), width=16)
    own = node(Own, inner=node(Part))
    said = node(kind, parts=[node(Part), node(Part, width=4)], own=own, **typed)
    for name, value in typed.items():
        full["init_args"][name] = value
    return full, said


@pytest.mark.parametrize("kind", [Net, Child])
def test_facts_go_to_every_part_that_takes_them_and_width_to_those_that_have_none(kind: type) -> None:
    full, said = network(kind)
    fill_in(full, said, {"num_tracks": 7, "num_genes": 9})
    first, second = full.init_args.parts
    assert (full.init_args.num_tracks, first.init_args.num_tracks, second.init_args.num_tracks) == (7, 7, 7)
    assert (first.init_args.width, second.init_args.width) == (16, 4)
    assert full.init_args.own.init_args.width == 5  # its default is its own
    assert full.init_args.own.init_args.inner.init_args.width == 5
    assert "num_genes" not in full.init_args


def test_what_was_typed_and_disagrees_is_refused_in_one_message() -> None:
    full, said = network(num_tracks=2)
    said.init_args.parts[1].init_args.num_tracks = 3
    with pytest.raises(ConfigError) as caught:
        fill_in(full, said, {"num_tracks": 7})
    expected = "model.network.num_tracks is 2, the data have 7; model.network.parts.1.num_tracks is 3, the data have 7"
    assert caught.value.found == expected
    assert caught.value.expected == "num_tracks: 7"
    assert "delete the line" in caught.value.fix
    fill_in(*network(num_tracks=7), {"num_tracks": 7})


def test_assumed_facts_give_way() -> None:
    full, said = network(num_tracks=2)
    fill_in(full, said, {"num_tracks": 7}, is_assumed=True)
    assert full.init_args.num_tracks == 2
    assert full.init_args.parts[0].init_args.num_tracks == 7
