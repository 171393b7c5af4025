"""Data flow one way while the program runs, too: no room calls one that is built on it, but through the contract.

Two tiny runs, one of each wing, are trained and reported under a trace. Each call of a function of seqexp is mapped
to the room of its caller (the nearest function of seqexp up the stack, whatever lies between) and to its own. It climbs
where the called room may import the calling one, directly or through others, and not the other way round. What the
protocols of ``objectives/contracts`` name may be called from below: that is what they are for.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import seqexp
from seqexp.api.finish import WINGS
from seqexp.cli.main import main
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.simulate import simulate_genome
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.simulation.tissue import TissueConfig, simulate_tissue
from seqexp.objectives import contracts

_spec = importlib.util.spec_from_file_location("import_rules", Path(__file__).parents[1] / "test_imports.py")
assert _spec is not None
assert _spec.loader is not None
rules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rules)

PROTOCOLS = [kind for _, kind in inspect.getmembers(contracts, inspect.isclass) if getattr(kind, "_is_protocol", False)]
CONTRACT = {
    name
    for kind in PROTOCOLS
    for name, member in vars(kind).items()
    if inspect.isfunction(member) and member.__module__ == contracts.__name__
} | {name for kind in PROTOCOLS for name, member in vars(kind).items() if isinstance(member, property)}


def reachable(room: str) -> set[str]:
    """Rooms that a room may import, directly or through others."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        new = rules.ALLOWED[waiting.pop()] - found
        found |= new
        waiting += new
    return found


REACHABLE = {room: reachable(room) for room in rules.ALLOWED}

INSTALLED = Path(seqexp.__file__).parent  # not the checkout, where the package was installed from it


def climbs(caller: str, callee: str) -> bool:
    """Whether a call from one room to another goes up."""
    return caller in REACHABLE[callee] and callee not in rules.ALLOWED[caller]


class Flow:
    """A trace function that counts calls between rooms; those that climb by the names of both functions."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.climbing: Counter[str] = Counter()
        self._rooms: dict[str, str | None] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Called by the interpreter for every call in Python; None: the lines of the function are not traced."""
        if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # bodies of modules and classes
            return
        callee = self._room(frame)
        if callee is None:
            return
        above = frame.f_back
        while above is not None and self._room(above) is None:
            above = above.f_back
        caller = None if above is None else self._room(above)
        if above is None or caller in (None, callee):
            return
        self.calls[caller, callee] += 1
        if climbs(caller, callee) and not is_promised(frame):
            self.climbing[f"{_named(above)} -> {_named(frame)}"] += 1

    def _room(self, frame: FrameType) -> str | None:
        """Room of the function that runs in a frame; None outside seqexp."""
        path = frame.f_code.co_filename
        if path not in self._rooms:
            inside = path.startswith(str(INSTALLED)) and path.endswith(".py")
            self._rooms[path] = rules.room_of(_module(path)) if inside else None
        return self._rooms[path]


def is_promised(frame: FrameType) -> bool:
    """Whether the function that runs is a method that a protocol of the contract names."""
    code = frame.f_code
    return code.co_name in CONTRACT and code.co_varnames[:1] == ("self",)


def _module(path: str) -> str:
    return rules.name_of(rules.PACKAGE / Path(path).relative_to(INSTALLED))


def _named(frame: FrameType) -> str:
    module = _module(frame.f_code.co_filename)
    return f"{module}:{getattr(frame.f_code, 'co_qualname', frame.f_code.co_name)}"


@contextmanager
def traced() -> Iterator[Flow]:
    """Watch the calls of this thread."""
    flow = Flow()
    before = sys.gettrace()
    sys.settrace(flow)
    try:
        yield flow
    finally:
        sys.settrace(before)


TINY = {"trainer.max_epochs": 2, "trainer.limit_train_batches": 2, "run.progress": "plain"}


def of_tissue(folder: Path) -> list[str]:
    """A run that remembers and embeds."""
    network = {"model.network.init_args.num_genes": 4, "model.network.init_args.num_features": 21}
    data = {
        "dataset": simulate_tissue(folder / "data", TissueConfig(grid=4, genes_per_effect=1)),
        "split": "patient",
        "features": "colour",
    }
    flags = {**TINY, **network, **{f"data.init_args.{key}": value for key, value in data.items()}}
    return ["--config=histology/demo.yaml", *(f"--{key}={value}" for key, value in flags.items())]


def of_dna(folder: Path) -> list[str]:
    """A run that selects, remembers and reads given masks."""
    genome = simulate_genome(folder / "data", SimulationConfig(num_genes=24, num_chromosomes=6, mean_elements=1.5))
    data = {"dataset": genome, "upstream_bp": 2048, "downstream_bp": 2048}
    flags = {**TINY, **{f"data.init_args.{key}": value for key, value in data.items()}}
    return ["--config=dna/demo.yaml", *(f"--{key}={value}" for key, value in flags.items())]


@pytest.mark.parametrize("wing", [of_tissue, of_dna])
def test_no_call_climbs(wing: Callable[[Path], list[str]], tmp_path: Path) -> None:
    flags = wing(tmp_path)
    importlib.import_module("seqexp.training.fit")  # what is imported here need not be traced
    with traced() as flow:
        assert main(["fit", *flags, "--run-dir", str(tmp_path / "run"), "--finish", "false"]) == 0
        assert main(["report", "--run-dir", str(tmp_path / "run")]) == 0
    assert flow.calls["cli", "training"]
    assert flow.calls["api", "report"]
    found = "\n".join(f"{number:>6}  {call}" for call, number in flow.climbing.most_common())
    assert not flow.climbing, f"{len(flow.climbing)} calls climb:\n{found}"


@pytest.mark.parametrize("module", [SequenceData, SpotData])
def test_data_modules_have_what_the_contract_promises(module: type) -> None:
    promised = {name for name in vars(contracts.DataModule) if not name.startswith("_")}
    assert {name for name in promised if not hasattr(module, name)} == set()
    assert module.wing in WINGS


def test_a_call_climbs_where_the_called_room_is_built_on_the_calling_one() -> None:
    assert climbs("core", "dna.loaders")
    assert climbs("training", "dna.evaluation")  # through the evaluation's own import of training
    assert not climbs("dna.evaluation", "training")
    assert not climbs("training", "dna.models")  # neither knows the other: they meet in the contract


def test_only_methods_that_a_protocol_names_are_promised() -> None:
    class Network:
        def losses(self) -> FrameType | None:
            return inspect.currentframe()

    def losses() -> FrameType | None:
        return inspect.currentframe()

    assert is_promised(Network().losses())
    assert not is_promised(losses())
