"""A run on any data set: what `seqexp fit --dataset FILE --window-bp N` means in configs and flags."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError
from seqexp.core.yaml import load_yaml
from seqexp.dna.genome.dataset import load_dataset
from seqexp.histology.slides import SlideSet
from seqexp.loading.description import described
from seqexp.training.stack import config_stack

DNA, TISSUE = "dna/generic.yaml", "histology/mclstexp.yaml"
_BINS = ("bin_bp", "signal_bin_bp")


@dataclass(frozen=True)
class Asked:
    """What a command asked for, in the words of `run_fit`.

    Attributes
    ----------
    configs, flags : list of str
    name : str
        Of the run folder below ``runs``.
    notes : list of str
        What has to be told.
    """

    configs: list[str]
    flags: list[str]
    name: str
    notes: list[str]


def asked_for(
    configs: Sequence[str],
    dataset: Path | None = None,
    window_bp: int | None = None,
    flags: Sequence[str] = (),
    *,
    keeps_config: bool = False,
) -> Asked:
    """Configs and flags of a run.

    Parameters
    ----------
    configs : sequence of str
        Without any, the generic one for the data set: a ``slides.yaml`` is of the histology wing.
    dataset : path, optional
        Description of the data, or its folder.
    window_bp : int, optional
        Length of the windows, half of it upstream of the TSS.
    flags : sequence of str
        Given by hand; they win.
    keeps_config : bool
        A run goes on from its folder, whose own config it takes where none is given.

    Raises
    ------
    ConfigError, DataError
        No data set there, several splits to choose from, or windows that cannot be.
    """
    configs, made, notes = list(configs), [], []
    name = Path(configs[-1]).stem if configs else "run"
    if dataset is not None:
        made.append(f"--data.init_args.dataset={dataset}")
        if not configs and not keeps_config:
            configs, name, more = _generic(dataset, flags)
            made += more
    if window_bp is not None:
        more, note = window_flags(configs, window_bp)
        made, notes = [*made, *more], [note]
    return Asked(configs, [*made, *flags], name, notes)


def _generic(dataset: Path, flags: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Config, name and flags for a data set of either wing."""
    is_tissue = (dataset / "slides.yaml").is_file() or (dataset.is_file() and "slides" in load_yaml(dataset))
    if is_tissue:
        slides = SlideSet.open(dataset)
        more = [] if any(flag.startswith("--data.init_args.split") for flag in flags) else [_only_split(slides)]
        return [TISSUE], _file_name(slides.spec.name), more
    spec = load_dataset(described(dataset, "dataset.yaml"))
    more = ["--data.init_args.contacts=true"] if spec.contacts is not None else []
    return [DNA], _file_name(spec.name), more


def _only_split(slides: SlideSet) -> str:
    names = slides.split_names
    if len(names) != 1:
        raise ConfigError(
            f"the slide set has {len(names)} splits",
            where=slides.spec.path,
            expected="one of: " + ", ".join(names),
            fix=f"name one, such as --data.init_args.split={names[0]}",
        )
    return f"--data.init_args.split={names[0]}"


def window_flags(configs: Sequence[str], window_bp: int) -> tuple[list[str], str]:
    """Flags for windows of at least ``window_bp``, a multiple of all bins of the configs, and what to tell of them.

    Raises
    ------
    ConfigError
        No base, or a config without windows.
    """
    if window_bp < 1:
        raise ConfigError(f"window of {window_bp} bp", where="--window-bp", expected="at least 1")
    merged = [load_yaml(path) for path in config_stack(list(configs))]
    if not any("upstream_bp" in (_get(content, "data", "init_args") or {}) for content in merged):
        raise ConfigError("--window-bp for data that have no windows", expected="a config of the DNA wing")
    unit = math.lcm(*(number for content in merged for number in _bins(content)))
    length = -(-window_bp // unit) * unit
    upstream = length // 2 // unit * unit
    note = f"windows of {length:,} bp: {upstream:,} upstream of the TSS, {length - upstream:,} from it on"
    note += "" if length == window_bp else f"; {window_bp:,} is no multiple of bins of {unit} bp"
    sides = {"upstream_bp": upstream, "downstream_bp": length - upstream}
    return [f"--data.init_args.{name}={value}" for name, value in sides.items()], note


def _get(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _bins(content: Any) -> Iterator[int]:
    """Every width of a bin that a config states, at any depth."""
    if isinstance(content, dict):
        yield from (content[name] for name in _BINS if isinstance(content.get(name), int) and content[name] > 0)
        for inner in content.values():
            yield from _bins(inner)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(".") or "run"
