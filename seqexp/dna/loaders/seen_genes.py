"""The genes that a checkpoint has seen, found again by id and by place, whatever data set they come in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import IntervalIndex
from seqexp.loading.seen import UNSEEN

_NUM_STRETCHES, _STRETCH_BP = 16, 512


@dataclass(frozen=True)
class SeenGenes:
    """Genes that a checkpoint was trained on or chosen by, with the windows it saw.

    Attributes
    ----------
    frame : DataFrame
        gene_id, split (train or val), chrom, start, end; windows as wide as shifts can make them.
    chromosomes : mapping
        Name -> what identifies the sequence: its length and a digest of stretches of it. Names alone do not tell
        assemblies apart, and one assembly goes by several names.
    """

    frame: pd.DataFrame
    chromosomes: Mapping[str, str]

    @classmethod
    def of(cls, genes: GeneTable, windows: pd.DataFrame, labels: NDArray[np.str_], reference: Reference) -> SeenGenes:
        """The training and validation genes of a table (G,) with their windows."""
        frame = windows.assign(gene_id=genes.frame["gene_id"].to_numpy(), split=labels)
        frame = frame.loc[np.isin(labels, ("train", "val")), ["gene_id", "split", "chrom", "start", "end"]]
        return cls(frame.reset_index(drop=True), _identities(reference, frame["chrom"].unique()))

    def among(self, genes: GeneTable, windows: pd.DataFrame, reference: Reference) -> NDArray[np.str_]:
        """How the checkpoint knows each gene of a table: ``train``, ``val`` or ``no`` (G,).

        A gene is known by its id, whatever the assembly, or because its window shares a base with one that was seen.
        """
        return self.known_as(windows, reference, genes.frame["gene_id"])

    def known_as(
        self, windows: pd.DataFrame, reference: Reference | None, gene_ids: pd.Series | None = None
    ) -> NDArray[np.str_]:
        """How the checkpoint knows each window of a table: ``train``, ``val`` or ``no`` (R,).

        Parameters
        ----------
        windows : DataFrame
            chrom (as in the reference), start, end.
        reference : Reference or None
            Sequences that the windows lie on; None where windows have no place that can be compared.
        gene_ids : Series, optional
            Their genes; without, windows are known by place alone.
        """
        own = {} if reference is None else _identities(reference, windows["chrom"].unique())
        known = {identity: name for name, identity in self.chromosomes.items()}
        there = windows.assign(chrom=windows["chrom"].map({c: known.get(i, f"not seen: {c}") for c, i in own.items()}))
        ids = np.full(len(windows), "") if gene_ids is None else _plain_ids(gene_ids).to_numpy()
        seen = np.full(len(windows), UNSEEN, dtype="<U5")
        for split in ("val", "train"):  # train last: what was trained on stays so
            part = self.frame[self.frame["split"] == split]
            is_seen = np.isin(ids.astype(str), _plain_ids(part["gene_id"]).to_numpy().astype(str))
            seen[is_seen | IntervalIndex(part).overlaps(there)] = split
        return seen

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"genes": self.frame.to_dict("list"), "chromosomes": dict(self.chromosomes)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SeenGenes:
        """From :meth:`state`.

        Raises
        ------
        ValueError
            A place is no whole number, or an id or a split no text.
        """
        frame = pd.DataFrame(state["genes"])[["gene_id", "split", "chrom", "start", "end"]]
        for column, kind in (("gene_id", str), ("split", str), ("chrom", str), ("start", int), ("end", int)):
            odd = [value for value in state["genes"][column] if type(value) is not kind]
            if odd:
                raise ValueError(f"seen genes hold {column} {odd[0]!r}")
        return cls(frame.astype({"start": np.int64, "end": np.int64}), dict(state["chromosomes"]))


def _plain_ids(ids: pd.Series) -> pd.Series:
    return ids.astype(str).str.removesuffix("_PAR_Y")


def _identities(reference: Reference, chroms: Iterable[str]) -> dict[str, str]:
    """What identifies the sequence of each chromosome: its length, and a digest of evenly spaced stretches."""
    found = {}
    for chrom in chroms:
        size = reference.chrom_sizes[reference.find(chrom)]
        digest = hashlib.sha256()
        for start in np.unique(np.linspace(0, max(0, size - _STRETCH_BP), _NUM_STRETCHES).astype(int)).tolist():
            digest.update(reference.codes(Interval(chrom, start, min(size, start + _STRETCH_BP))).tobytes())
        found[str(chrom)] = f"{size}:{digest.hexdigest()[:16]}"
    return found
