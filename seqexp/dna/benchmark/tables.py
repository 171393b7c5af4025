"""The tables of a discovery benchmark as files, and the enrichment of known features where the data name any."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqexp.core.files import atomic_path
from seqexp.core.metrics_file import write_json
from seqexp.dna.benchmark.plan import DiscoveryPlan
from seqexp.dna.benchmark.results import DiscoveryResults, WorldSummary
from seqexp.dna.benchmark.summary import curve_of, margins, summarise
from seqexp.dna.benchmark.trained import slug
from seqexp.dna.benchmark.world import WorldResults
from seqexp.dna.evaluation.enrichment import dataset_features, feature_enrichment

Enrichments = dict[str, dict[str, pd.DataFrame]]


def enrichment_tables(world: WorldResults, plan: DiscoveryPlan, num_permutations: int = 500) -> dict[str, pd.DataFrame]:
    """Enrichment of the dataset's features in the test bins kept by the method under test and by the peaks.

    Empty where the dataset names neither features nor motifs.
    """
    frame = world.frame
    test = frame.rows("test")
    masks = frame.masks.select(test)
    spec = frame.data.spec
    if not spec.features and spec.motifs is None:
        return {}
    features = dataset_features(spec, masks)
    method = plan.arms[0].name
    first = dict(reversed(list(world.kept)))
    names = [method, *world.peak_rankings[:1]]
    return {
        name: feature_enrichment(
            world.kept[name, first[name]][test], masks, features, num_permutations, skip=frame.promoter
        )
        for name in names
    }


def discovery_results(plan: DiscoveryPlan, results: list[WorldResults], enrichments: Enrichments) -> DiscoveryResults:
    """What the page shows of the worlds of a plan."""
    worlds = []
    for world in results:
        rankings = summarise(world.rows)
        worlds.append(
            WorldSummary(
                world.name,
                world.num_genes,
                world.budget,
                world.prevalence,
                world.open_accuracy,
                peaks_from=world.peaks_from,
                rankings=rankings,
                curve=curve_of(rankings),
                lead=margins(rankings, plan.arms[0].name),
                sizes=world.sizes,
                enrichments=enrichments.get(world.name, {}),
            )
        )
    return DiscoveryResults(plan.title, plan.path.name, plan.arms[0].name, tuple(worlds))


def write_tables(out: Path, plan: DiscoveryPlan, results: list[WorldResults], enrichments: Enrichments) -> list[Path]:
    """Write the tables, ``metrics.json``, and the scores of each ranking for the test genes as ``masks.npz`` files.

    ``rankings.tsv`` has a row per world, ranking and seed, ``summary.tsv`` one per world and ranking, ``sizes.tsv`` one
    per number of training genes; ``scores/WORLD/RANKING.npz`` holds the first seed, for ``seqexp elements`` and
    ``seqexp benchmark crispri --masks``.
    """
    method = plan.arms[0].name
    tables = {
        "rankings.tsv": pd.concat([world.rows.assign(world=world.name) for world in results]),
        "summary.tsv": pd.concat([summarise(world.rows).assign(world=world.name) for world in results]),
        "sizes.tsv": pd.concat([world.sizes for world in results]),
    }
    for name, tested in enrichments.items():
        tables |= {f"enrichment_{name}_{slug(ranking)}.tsv": table for ranking, table in tested.items()}
    written = []
    for name, table in tables.items():
        if not len(table):
            continue
        path = out / name
        with atomic_path(path) as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")
        written.append(path)
    for world in results:
        test = world.frame.rows("test")
        part = world.frame.masks.select(test)
        for ranking, seed in dict(reversed([(name, key) for name, key in world.scores])).items():
            place = out / "scores" / world.name / f"{slug(ranking)}.npz"
            part.with_values(world.scores[ranking, seed][test], ranking).save(place)
    metrics: dict[str, object] = {"plan": plan.name, "method": method}
    for world in results:
        summary = summarise(world.rows).set_index("ranking")
        metrics[world.name] = {
            "budget": world.budget,
            "prevalence": world.prevalence,
            "num_genes": world.num_genes,
            "open_pearson": world.open_accuracy[0],
            "rankings": summary.to_dict(orient="index"),
            "auprc_margin": margins(summary.reset_index(), method),
        }
    write_json(out / "metrics.json", metrics)
    return [*written, out / "metrics.json"]
