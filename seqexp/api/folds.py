"""Configs of the histology wing on several splits: every run fitted and finished, one table of what each reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from seqexp.api.finish import finish_run
from seqexp.core.errors import SeqexpError
from seqexp.core.files import atomic_path
from seqexp.core.lock import own_folder
from seqexp.histology.benchmark.folds import fold_table, read_metrics
from seqexp.training.fit import run_fit


@dataclass(frozen=True)
class Folds:
    """What :func:`run_folds` reached.

    Attributes
    ----------
    table : DataFrame, optional
        See :func:`seqexp.histology.benchmark.folds.fold_table`; None where every run failed.
    path : Path
        Where the table was written.
    failed : tuple of str
        A line for each run that could not be made, with its reason.
    """

    table: pd.DataFrame | None
    path: Path
    failed: tuple[str, ...]


def run_folds(configs: Sequence[str], dataset: Path, splits: Sequence[str], out: Path) -> Folds:
    """Fit and finish every config on every split, in ``OUT/CONFIG/SPLIT``, and write ``OUT/folds.tsv``.

    Runs that are finished are read, not repeated; one that fails ends only itself.

    Parameters
    ----------
    configs : sequence of str
        Files, or names of shipped configs.
    dataset : Path
        ``slides.yaml`` or its folder.
    splits : sequence of str
        Names of its splits.
    out : Path
    """
    runs: dict[str, dict[str, dict[str, Any]]] = {}
    failed = []
    with own_folder(out):
        for config, split in ((config, split) for config in configs for split in splits):
            folder = out / Path(config).stem / split.replace("/", "_")
            overrides = [f"--data.init_args.dataset={dataset}", f"--data.init_args.split={split}"]
            try:
                if not (folder / "metrics.json").is_file():
                    print(f"{config} on {split}: {folder}", flush=True)
                    run_fit(folder, [config], overrides, overwrite=True)
                    finish_run(folder)
                runs.setdefault(Path(config).stem, {})[split] = read_metrics(folder)
            except SeqexpError as error:
                failed.append(f"{config} on {split}: {error}")
        table, path = fold_table(runs) if runs else None, out / "folds.tsv"
        if table is not None:
            with atomic_path(path) as temporary:
                table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")
    return Folds(table, path, tuple(failed))
