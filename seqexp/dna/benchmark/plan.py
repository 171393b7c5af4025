"""What a discovery benchmark compares: one YAML file, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from seqexp.core.errors import ConfigError
from seqexp.core.resources import shipped
from seqexp.core.typed import build, mapping
from seqexp.core.yaml import load_yaml
from seqexp.dna.genome.alignment_files import FORMATS
from seqexp.dna.genome.alignments import AlignmentSpec

Score = Literal["mask", "gradient"]


@dataclass(frozen=True)
class Arm:
    """Something that is trained and then ranks bins.

    Attributes
    ----------
    name : str
    config : tuple of str
        Configs of ``seqexp fit``, files or shipped names, later ones laid over earlier ones.
    score : {"mask", "gradient"}
        What ranks: the posterior mean of the selector, or gradient x input.
    flags : tuple of str
        Laid over the configs.
    worlds : tuple of str
        Worlds it takes part in; all where empty.
    seeds : tuple of int
        Training seeds in place of the world's; the world's where empty.
    """

    name: str
    config: tuple[str, ...]
    score: Score = "mask"
    flags: tuple[str, ...] = ()
    worlds: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class World:
    """A dataset, or the settings of a genome to simulate.

    Attributes
    ----------
    name : str
    dataset : Path, optional
        ``dataset.yaml`` or its folder.
    simulate : mapping, optional
        Settings of :class:`seqexp.dna.simulation.SimulationConfig`.
    seeds : tuple of int
        Training seeds here.
    alignments : AlignmentSpec, optional
        Fragments or reads for ``macs3 callpeak``, in place of those of the dataset.
    windows : int, optional
        Training windows of every arm here, in place of the plan's.
    peak_track : str, optional
        Track that thresholds are taken on where there are neither reads nor peaks; the first one by default.
    """

    name: str
    dataset: Path | None
    simulate: Mapping[str, Any] | None
    seeds: tuple[int, ...]
    alignments: AlignmentSpec | None = None
    windows: int | None = None
    peak_track: str | None = None


@dataclass(frozen=True)
class DiscoveryPlan:
    """A whole benchmark.

    Attributes
    ----------
    name, title : str
    worlds : tuple of World
    arms : tuple of Arm
        The first one is the method under test.
    reader : tuple of str
        Configs of the predictor that is trained anew under frozen masks.
    budget : float, optional
        Share of the bases of a window that a mask may keep; None: as many as are planted.
    promoter_bp : int
        Bases round the TSS that every mask keeps and no score counts.
    minutes : float
        At most so long per trained arm.
    windows : int, optional
        Training windows that every arm sees, whatever the number of genes; None: as the configs say.
    q_values : tuple of float
        Of peaks.
    curve : tuple of float
        Budgets of the accuracy curve.
    sizes : tuple of int
        Numbers of training genes for the first arm, in the first world.
    reader_windows : int, optional
        The same as ``windows`` for the readers.
    retrain_worlds : tuple of str, optional
        Worlds in which a reader is trained anew under masks; all by default.
    retrain : tuple of str, optional
        Rankings under whose masks it is trained anew; all by default.
    """

    name: str
    title: str
    worlds: tuple[World, ...]
    arms: tuple[Arm, ...]
    reader: tuple[str, ...]
    budget: float | None = None
    promoter_bp: int = 0
    minutes: float = 60.0
    windows: int | None = None
    q_values: tuple[float, ...] = (0.01, 0.05, 0.2)
    curve: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
    sizes: tuple[int, ...] = ()
    reader_windows: int | None = None
    retrain_worlds: tuple[str, ...] | None = None
    retrain: tuple[str, ...] | None = None
    path: Path = field(default_factory=Path)

    @classmethod
    def read(cls, name: str | Path, datasets: Mapping[str, Path] | None = None) -> DiscoveryPlan:
        """Read a plan.

        Parameters
        ----------
        name : str or path
            File, or name of a shipped one such as ``benchmarks/discovery_simulated.yaml``.
        datasets : mapping, optional
            Where the data of some worlds lie, over what the plan says.

        Raises
        ------
        ConfigError
            A key that is not known, or a value that cannot be.
        """
        path = Path(name) if Path(name).is_file() else shipped("configs", str(name))
        content = build(_Content, _with_list(load_yaml(path), "reader"), path)
        given = dict(datasets or {})
        unknown = sorted(set(given) - set(content.worlds))
        if unknown:
            raise ConfigError(f"no world {unknown[0]!r}", where=path, expected="one of: " + ", ".join(content.worlds))
        worlds = tuple(_world(key, value, content.seeds, path, given=given) for key, value in content.worlds.items())
        arms = tuple(_arm(key, value, path) for key, value in content.arms.items())
        budget = None if content.budget == "truth" else content.budget
        if budget is not None and not 0 < budget < 1:
            raise ConfigError(f"budget: {budget!r}", where=path, expected="a share of the bases, or truth")
        return cls(
            name=content.name,
            title=content.title or content.name,
            worlds=worlds,
            arms=arms,
            reader=content.reader,
            budget=budget,
            promoter_bp=content.promoter_bp,
            minutes=content.minutes,
            windows=content.windows,
            q_values=content.q_values,
            curve=content.curve,
            sizes=content.sizes,
            reader_windows=content.reader_windows,
            retrain_worlds=content.retrain_worlds,
            retrain=content.retrain,
            path=path,
        )

    def is_retrained(self, world: str, ranking: str) -> bool:
        """Whether a reader is trained anew under the mask of a ranking in a world."""
        in_world = self.retrain_worlds is None or world in self.retrain_worlds
        return in_world and (self.retrain is None or ranking in self.retrain)

    def arms_of(self, world: World) -> tuple[Arm, ...]:
        """Arms that take part in a world."""
        return tuple(arm for arm in self.arms if not arm.worlds or world.name in arm.worlds)


@dataclass(frozen=True)
class _Content:
    """The keys of a plan and what each holds; :class:`DiscoveryPlan` says what they mean."""

    name: str
    worlds: dict[str, Any]
    arms: dict[str, Any]
    reader: tuple[str, ...]
    title: str | None = None
    seeds: tuple[int, ...] = (0,)
    budget: float | Literal["truth"] | None = None
    promoter_bp: int = 0
    minutes: float = DiscoveryPlan.minutes
    windows: int | None = None
    q_values: tuple[float, ...] = DiscoveryPlan.q_values
    curve: tuple[float, ...] = DiscoveryPlan.curve
    sizes: tuple[int, ...] = ()
    reader_windows: int | None = None
    retrain_worlds: tuple[str, ...] | None = None
    retrain: tuple[str, ...] | None = None


def _world(name: str, value: Any, seeds: tuple[int, ...], path: Path, *, given: dict[str, Path]) -> World:
    """A world as the plan has it, its dataset as the command names it."""
    prefix = f"worlds.{name}."
    content = {"name": name, "seeds": seeds, "dataset": None, "simulate": None, **mapping(value or {}, path, prefix)}
    alignments = _alignments(content.pop("alignments", None), content.pop("alignment_format", "AUTO"), name, path=path)
    world = replace(build(World, content, path, prefix), alignments=alignments)
    if name in given:
        return replace(world, dataset=given[name], simulate=None)
    if (world.dataset is None) == (world.simulate is None):
        raise ConfigError(f"worlds.{name}", where=path, expected="either dataset: PATH or simulate: SETTINGS")
    return world


def _alignments(alignments: Any, file_format: Any, name: str, *, path: Path) -> AlignmentSpec | None:
    """A path, relative to where the command runs, and its format."""
    if file_format not in FORMATS:
        expected = "one of: " + ", ".join(FORMATS)
        raise ConfigError(f"worlds.{name}.alignment_format: {file_format!r}", where=path, expected=expected)
    if alignments is None:
        return None
    if not isinstance(alignments, str):
        raise ConfigError(f"worlds.{name}.alignments: {alignments!r}", where=path, expected="a path")
    return AlignmentSpec((Path(alignments),), file_format)


def _arm(name: str, value: Any, path: Path) -> Arm:
    prefix = f"arms.{name}."
    content = mapping(value or {}, path, prefix) if isinstance(value, dict | None) else {"config": value}
    return build(Arm, _with_list({"name": name, **content}, "config"), path, prefix)


def _with_list(content: dict[str, Any], key: str) -> dict[str, Any]:
    """One config stands for a list of one."""
    return {**content, key: [content[key]]} if isinstance(content.get(key), str) else content
