"""Metrics as one CSV that survives a restart, and the loggers beside it."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seqexp.core.files import atomic_path
from seqexp.core.optional import require


class CsvLog(Logger):
    """``metrics.csv``: one row per logged step, one column per metric, rewritten as a whole.

    Parameters
    ----------
    path : Path
        File to write.
    is_resumed : bool
        Keep the rows already there; see :meth:`rewind`.
    """

    def __init__(self, path: Path, is_resumed: bool = False) -> None:
        super().__init__()
        self.path = path
        self._rows: dict[int, dict[str, Any]] = {}
        self._is_dirty = False
        if is_resumed and path.is_file():
            with open(path, encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    self._rows[int(row["step"])] = {name: value for name, value in row.items() if value != ""}

    @property
    def name(self) -> str:
        """Name of the log."""
        return "csv"

    @property
    def version(self) -> str:
        """One version per run folder."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The config lies in the run folder already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of a step."""
        number = 0 if step is None else step
        self._rows.setdefault(number, {"step": number}).update({k: repr(float(v)) for k, v in metrics.items()})
        if "epoch" in metrics:
            self._rows[number]["epoch"] = int(metrics["epoch"])
        self._is_dirty = True
        if any(name.startswith("val_") for name in metrics):
            self.save()

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Forget rows from ``step`` on, which a resumed run will log again."""
        self._rows = {number: row for number, row in self._rows.items() if number < step}

    @rank_zero_only
    def save(self) -> None:
        """Write the file, if anything is new."""
        if not self._is_dirty:
            return
        names = sorted({name for row in self._rows.values() for name in row} - {"step", "epoch"})
        with atomic_path(self.path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, fieldnames=["step", "epoch", *names])
            writer.writeheader()
            writer.writerows(self._rows[number] for number in sorted(self._rows))
        self._is_dirty = False

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def make_loggers(folder: Path, given: Any, *, is_resumed: bool) -> list[Logger]:
    """Loggers of a run: CSV (``logs/metrics.csv``) always, beside it those of the config.

    Parameters
    ----------
    folder : Path
        Run folder.
    given : Logger, list of Logger, bool or None
        ``trainer.logger``. None and true: TensorBoard in ``logs/tensorboard``; false: the CSV alone.
    is_resumed : bool
        Keep the rows of the CSV.
    """
    csv_log = CsvLog(folder / "logs" / "metrics.csv", is_resumed)
    if given is None or given is True:
        return [csv_log, TensorBoardLogger(save_dir=folder / "logs", name="tensorboard", version="")]
    if given is False:
        return [csv_log]
    return [csv_log, *(given if isinstance(given, list | tuple) else [given])]


def require_logger_packages(given: Any) -> None:
    """Refuse loggers whose package is not there, before anything is built.

    Raises
    ------
    MissingExtraError
        Names the extra to install.
    """
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, dict) and str(one.get("class_path")).endswith("WandbLogger"):
            require("wandb", "wandb")
