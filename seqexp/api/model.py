"""What models of both wings share: the run, its data when they are needed, its metrics, and how it shows itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader

from seqexp.training.asking import ask
from seqexp.training.predict import predict_run
from seqexp.training.run import Run


class Model:
    """A trained network.

    Attributes
    ----------
    run : Run
        Folder, settings, checkpoint, transform.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def network(self) -> nn.Module:
        """The network that predicts, in evaluation mode."""
        return self.run.network

    @cached_property
    def data(self) -> pl.LightningDataModule:
        """The data module, its files opened when first asked for."""
        self.run.read_data()
        return self.run.datamodule

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What the report of the run measured; empty for a run that was not finished."""
        path = self.run.folder / "metrics.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    @property
    def unit(self) -> str:
        """Unit of the predictions."""
        return self.run.transform.unit

    def __repr__(self) -> str:
        number = sum(parameter.numel() for parameter in self.network.parameters())
        started = str(self.run.record.get("started", "at an unknown time"))[:10]
        facts = [f"{number:,} parameters", *self._facts(), f"predicts {self.unit}", f"trained {started}"]
        return f"<seqexp {type(self.network).__name__}: {'; '.join(facts)}>"

    def _facts(self) -> list[str]:
        """What the network reads, in words."""
        return []

    def _predict_data(self) -> pd.DataFrame:
        """Predictions of all labelled rows of the data set."""
        assert self.data is not None
        table = predict_run(self.run)
        table.attrs |= {"unit": self.unit}
        return table

    def _require(self, protocol: type, does: str) -> None:
        """Raise AttributeError where the network cannot do something, so that ``hasattr`` tells."""
        if not isinstance(self.network, protocol):
            raise AttributeError(f"{type(self.network).__name__} {does}")

    def _embedded(self, loader: DataLoader, names: pd.Index) -> pd.DataFrame:
        """Embeddings of the rows of a loader: columns ``NAME_0``, ``NAME_1``, …"""
        taken: list[Mapping[str, np.ndarray]] = []

        def question(batch: Any) -> dict[str, np.ndarray]:
            found = self.network.embed(batch)  # type: ignore[operator]
            return {name: values.float().cpu().numpy() for name, values in found.items()}

        ask(self.run, loader, question, taken.append)
        columns = {
            f"{name}_{number}": values
            for name in taken[0]
            for number, values in enumerate(np.concatenate([part[name] for part in taken]).T)
        }
        return pd.DataFrame(columns, index=names)
