"""`seqexp benchmark discovery`: does a selector find what drives expression?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seqexp.cli.names import named_path
from seqexp.core.classes import add_allow_classes

EPILOG = """examples:
  seqexp benchmark discovery --plan benchmarks/discovery_quick.yaml --out runs/quick   # small, simulated
  seqexp benchmark discovery --out runs/discovery                                      # simulated; takes hours
  seqexp benchmark discovery --plan benchmarks/discovery_yeast.yaml --data yeast=data/yeast --out runs/discovery_yeast

A plan is a YAML file: worlds (datasets, or settings of a genome to simulate), arms (configs, or lists of configs laid
over each other, that are trained and then rank bins; the first one is the method under test), a reader (config of the
predictor that is trained anew on kept bins), a budget and seeds. Distance, signals, the fixed signal rule, activity x
contact, peaks and chance are ranked beside. Every trained arm has a run folder in OUT; a benchmark that was broken off
goes on where it stopped.
"""


def add_parser(kinds: Any) -> None:
    """Add the command to the kinds of ``seqexp benchmark``."""
    parser = kinds.add_parser(
        "discovery",
        help="selectors against peaks, signals, distance and chance, at equal budget",
        description="Rank bins by selectors and by what must be beaten, on equal terms: against planted truth, and by "
        "what a predictor can make of the kept bins.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--plan", default="benchmarks/discovery_simulated.yaml", help="file or shipped name (default: %(default)s)"
    )
    parser.add_argument(
        "--data", action="append", default=[], metavar="WORLD=PATH", help="dataset of a world; may be repeated"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="training seeds in place of the plan's")
    parser.add_argument("--minutes", type=float, help="longest training of an arm, in place of the plan's")
    parser.add_argument("--permutations", type=int, default=500, help="draws of the enrichment's nulls (default: 500)")
    add_allow_classes(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="data, runs, tables and report.html")


def run(arguments: argparse.Namespace) -> int:
    """Run the plan, print a table per world, write tables and page."""
    from dataclasses import replace

    from seqexp.dna.benchmark.discovery import run_discovery
    from seqexp.dna.benchmark.plan import DiscoveryPlan
    from seqexp.dna.benchmark.tables import discovery_results, enrichment_tables, write_tables
    from seqexp.report.discovery_page import write_discovery_report

    plan = DiscoveryPlan.read(arguments.plan, dict(map(named_path, arguments.data)))
    if arguments.seeds:
        plan = replace(plan, worlds=tuple(replace(world, seeds=tuple(arguments.seeds)) for world in plan.worlds))
    if arguments.minutes:
        plan = replace(plan, minutes=arguments.minutes)
    results = run_discovery(plan, arguments.out, lambda text: print(text, flush=True))
    enrichments = {world.name: enrichment_tables(world, plan, arguments.permutations) for world in results}
    written = write_tables(arguments.out, plan, results, enrichments)
    found = discovery_results(plan, results, enrichments)
    written.append(write_discovery_report(arguments.out / "report.html", found))
    for world in found.worlds:
        table = world.rankings
        print(f"\n{world.name}: {world.budget:.2%} of the free bins, test genes: {world.num_genes['test']:,}")
        shown = table[[name for name in table if not str(name).startswith("curve_")]]
        print(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"))
        if len(world.sizes):
            print(world.sizes.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    for path in written:
        print(f"wrote {path}")
    return 0
