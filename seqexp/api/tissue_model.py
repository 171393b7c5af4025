"""A trained network on tissue: predictions of the spots of a slide set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from seqexp.api.model import Model
from seqexp.core.errors import DataError
from seqexp.objectives.contracts import Embeds
from seqexp.training.run import Run


class TissueModel(Model):
    """A trained network on tissue; see :func:`seqexp.api.load.load`."""

    def predict(self, what: str | Path | None = None) -> pd.DataFrame:
        """Predict spots.

        Parameters
        ----------
        what : path, optional
            A ``slides.yaml`` or its folder; by default the slides of the run.

        Returns
        -------
        DataFrame
            A row per spot, ``prediction_GENE`` in ``attrs["unit"]``, beside what was measured there (``target_GENE``).

        Raises
        ------
        DataError
            Slides that cannot be used, or something else than a slide set.
        """
        return self._of(what)._predict_data()

    @property
    def embed(self) -> Callable[..., pd.DataFrame]:
        """``embed(what=None)``: embeddings of spots, a row each, columns ``NAME_0``, ``NAME_1``, …

        ``what`` is that of :meth:`predict`. Networks without embeddings have no such attribute.
        """
        self._require(Embeds, "has no embeddings: it is no network with embed()")
        return self._embed

    def _embed(self, what: str | Path | None = None) -> pd.DataFrame:
        model = self._of(what)
        data: Any = model.data
        loader = data.predict_dataloader()
        rows = [data.describe(int(row)) for batch in loader for row in batch.index]
        names = pd.MultiIndex.from_frame(pd.DataFrame(rows)[["slide", "barcode"]])
        return model._embedded(loader, names)

    def _of(self, what: str | Path | None) -> TissueModel:
        """This model on another slide set."""
        if what is None:
            return self
        path = Path(what)
        if not (path.is_dir() or path.suffix in (".yaml", ".yml")):
            raise DataError(
                "not a slide set",
                where=path,
                expected="a slides.yaml, which names images, spots and scales, or its folder",
            )
        flag = f"--data.init_args.dataset={path.absolute()}"
        return TissueModel(Run.open(self.run.folder, self.run.checkpoint, [flag], reads_data=False))

    def _facts(self) -> list[str]:
        genes = self.run.facts.get("genes") or ()
        return [f"{len(genes)} genes"] if genes else []
