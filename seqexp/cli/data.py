"""`seqexp data prepare | check | list`: datasets from recipes, and what is wrong with one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqexp.core.errors import ConfigError
from seqexp.core.files import move_files
from seqexp.recipes.runner import Prepared, Reporter, StepKind, StepResult, prepare
from seqexp.recipes.schema import find_recipe, load_recipe, shipped_recipes

if TYPE_CHECKING:
    from rich.progress import Progress

    from seqexp.core.check import CheckReport

_AROUND_BP = (700, 1348)  # window of data check

EPILOG = """examples:
  seqexp data list
  seqexp data prepare simulated_dna --out data/simulated
  seqexp data prepare yeast --out data/yeast --mirror ../shared/data
  seqexp data check data/yeast/dataset.yaml --upstream-bp 700 --downstream-bp 1348
"""


def main(argv: list[str]) -> int:
    """Run one of the data commands; 0 done, 1 a checked dataset has errors."""
    arguments = _parser().parse_args(argv)
    return int(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp data",
        description="Prepare a dataset folder from a recipe, or check one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_prepare(commands)
    _add_check(commands)
    listing = commands.add_parser("list", help="the recipes that come with seqexp", description="List the recipes.")
    listing.set_defaults(run=_list)
    return parser


def _add_prepare(commands: Any) -> None:
    parser = commands.add_parser(
        "prepare",
        help="fetch, verify and build the dataset of a recipe",
        description="Fetch the sources of a recipe, verify them, run its steps and write its description "
        "(dataset.yaml, or slides.yaml for histology) last. "
        "Broken off, it resumes when run again; finished, it does nothing.",
    )
    parser.add_argument("recipe", help="name of a shipped recipe (see: seqexp data list), or a recipe folder or file")
    parser.add_argument("--out", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--mirror", type=Path, help="folder that holds the sources, instead of the network")
    parser.add_argument(
        "--store",
        action="store_true",
        help="also write OUT/store, the memory-mapped copy that SequenceData reads with source: store; only what "
        "changed is written again",
    )
    parser.set_defaults(run=_prepare)


def _add_check(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="compare names, sizes, bounds, strands and values of all files of a dataset",
        description="Compare all files of a dataset before any work starts, and print a table. Exit status 1 means "
        "that something in it must be repaired.",
    )
    parser.add_argument("dataset", type=Path, help="a dataset.yaml, or a slides.yaml of histology")
    for side, place, default in zip(("upstream", "downstream"), ("before", "after"), _AROUND_BP):
        told = f"window {place} the TSS, of a dataset.yaml (default: {default})"
        parser.add_argument(f"--{side}-bp", type=int, help=told)
    parser.set_defaults(run=_check)


def step_functions() -> dict[str, StepKind]:
    """All steps that recipes may use, by name."""
    from seqexp.dna.genome.prepare import STEPS
    from seqexp.histology.slides.prepare import STEPS as HISTOLOGY_STEPS

    return {**STEPS, **HISTOLOGY_STEPS, "simulate": StepKind(simulate)}


def simulate(folder: Path, **settings: Any) -> StepResult:
    """Step: write a simulated genome with planted elements into the dataset folder; ``dataset.yaml`` comes last.

    Parameters
    ----------
    folder : Path
        Dataset folder.
    **settings
        Fields of :class:`seqexp.dna.simulation.config.SimulationConfig`.
    """
    from dataclasses import fields

    from seqexp.dna.simulation.config import SimulationConfig
    from seqexp.dna.simulation.simulate import simulate_genome

    known = {f.name for f in fields(SimulationConfig)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ConfigError(f"unknown setting {unknown[0]!r} of step simulate", expected=", ".join(sorted(known)))
    plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    config = SimulationConfig(**plain)
    staging = folder / ".simulated"
    simulate_genome(staging, config)
    names = sorted(path.name for path in staging.iterdir())
    move_files(staging, folder, last="dataset.yaml")
    staging.rmdir()
    return StepResult(tuple(names), (f"{len(names)} files, seed {config.seed}",))


def _prepare(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(find_recipe(arguments.recipe))
    if arguments.store and recipe.dataset_file != "dataset.yaml":
        raise ConfigError(f"recipe {recipe.name} holds slides", expected="a DNA dataset", fix="leave out --store")
    with _rich_reporter() as reporter:
        result = prepare(recipe, arguments.out, step_functions(), arguments.mirror, reporter=reporter)
    _print_result(result, recipe.name)
    if arguments.store:
        _write_store(result.dataset)
    return 0


def _print_result(result: Prepared, name: str) -> None:
    done = len(result.fetched) + len(result.ran)
    what = f"{done} of {done + len(result.skipped)} pieces of work done now" if done else "nothing left to do"
    print(f"recipe {name}: {what}")
    for note in result.notes:
        print(f"  {note}")
    print(f"wrote {result.dataset}" if done else f"ready: {result.dataset}")


def _write_store(dataset: Path) -> None:
    from seqexp.dna.genome.dataset import load_dataset
    from seqexp.dna.loaders.store_writer import prepare_store

    print(prepare_store(load_dataset(dataset), dataset.parent / "store").render())


def _check(arguments: argparse.Namespace) -> int:
    path: Path = arguments.dataset
    around_bp = (arguments.upstream_bp, arguments.downstream_bp)
    if path.name == "slides.yaml" or (path / "slides.yaml").exists():
        from seqexp.histology.slides.check import check_slides
        from seqexp.histology.slides.slide_set import SlideSet

        if around_bp != (None, None):
            raise ConfigError(
                "--upstream-bp and --downstream-bp are of windows on DNA", fix="leave them out for slides"
            )
        report = check_slides(SlideSet.open(path))
    else:
        report = _check_dna(
            path, *(default if given is None else given for given, default in zip(around_bp, _AROUND_BP))
        )
    print(report.render())
    return 0 if report.ok else 1


def _check_dna(path: Path, upstream_bp: int, downstream_bp: int) -> CheckReport:
    from seqexp.core.check import CheckReport
    from seqexp.dna.genome.check import check_dataset
    from seqexp.dna.genome.dataset import load_dataset
    from seqexp.dna.loaders.check import check_target
    from seqexp.dna.loaders.settings import require_window
    from seqexp.dna.motifs.check import check_motifs

    require_window(upstream_bp, downstream_bp)
    spec = load_dataset(path)
    report = check_dataset(spec, upstream_bp, downstream_bp)
    beside = [*check_motifs(spec), *check_target(spec, upstream_bp, downstream_bp)]
    return CheckReport((*report.rows, *beside))


def _list(arguments: argparse.Namespace) -> int:
    for recipe in shipped_recipes():
        only_mirror = sum(source.url is None for source in recipe.sources)
        if not recipe.sources:
            where = "made on this machine"
        elif recipe.origins:
            num_origins = len(recipe.from_origins().sources)
            where = f"{len(recipe.sources)} files from --mirror, or made from {num_origins} public ones"
        elif only_mirror:
            where = f"{len(recipe.sources)} files, {only_mirror} only from --mirror"
        else:
            where = f"{len(recipe.sources)} files"
        print(f"{recipe.name:<16}{recipe.description.split(': ')[0]} ({where})")
    return 0


class _RichReporter(Reporter):
    """Progress bars and lines on standard error, so that standard output holds the result only."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def line(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False)

    def progress(self, name: str) -> Callable[[int, int | None], None]:
        task = self._bars.add_task(name, total=None)

        def update(done: int, total: int | None) -> None:
            self._bars.update(task, completed=done, total=total, visible=total is None or done < total)

        return update


@contextmanager
def _rich_reporter() -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    speed = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), BarColumn(), *speed, console=Console(file=sys.stderr), transient=True
    ) as bars:
        yield _RichReporter(bars)
