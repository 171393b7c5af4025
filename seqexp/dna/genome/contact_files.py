"""Files of Hi-C contacts: what a dataset says about them, and the reader of ``start1 start2 count`` triples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.tables import read_csv, whole_numbers
from seqexp.core.yaml_fields import file_paths, section
from seqexp.dna.genome.names import NameMap

Normalise = Literal["none", "vc", "vc_sqrt"]
Alignment = Literal["genome", "released"]
_KEYS = ("paths", "bin_bp", "normalise", "pseudocount", "alignment")
_TRIPLES = "start1, start2, count, separated by tabs, without a header"
_FEWEST_STARTS = 20  # so many positions do not all fall on every second bin by chance


@dataclass(frozen=True)
class ContactSpec:
    """The contacts of a dataset: settings checked, nothing opened.

    Parameters
    ----------
    paths : mapping
        Chromosome to file.
    bin_bp : int
        Width of a contact bin, the resolution of the files.
    normalise : {"vc", "vc_sqrt", "none"}
        Vanilla coverage, its square root, or counts as they are; see
        :func:`seqexp.dna.genome.contacts.normalised`.
    pseudocount : float
        Added to every contact inside the chromosome.
    alignment : {"genome", "released"}
        ``genome`` puts every contact where it belongs. ``released`` repeats an error of the released Seq2Exp code,
        which pads windows beyond a chromosome end twice; see :class:`seqexp.dna.genome.contacts.ContactMap`.
    source : Path, optional
        The ``dataset.yaml``, named in messages.

    Raises
    ------
    ConfigError
        A value is not among those allowed.
    """

    paths: Mapping[str, Path]
    bin_bp: int = 5000
    normalise: Normalise = "vc"
    pseudocount: float = 0.0
    alignment: Alignment = "genome"
    source: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        is_whole = isinstance(self.bin_bp, int) and not isinstance(self.bin_bp, bool)
        is_number = isinstance(self.pseudocount, (int, float)) and not isinstance(self.pseudocount, bool)
        for name, is_fine, expected in (
            ("bin_bp", is_whole and self.bin_bp > 0, "a whole number of bases, such as 5000"),
            ("normalise", self.normalise in get_args(Normalise), "one of " + ", ".join(get_args(Normalise))),
            ("pseudocount", is_number and 0 <= self.pseudocount < math.inf, "a finite number of at least 0"),
            ("alignment", self.alignment in get_args(Alignment), "one of " + ", ".join(get_args(Alignment))),
        ):
            if not is_fine:
                raise ConfigError(f"contacts.{name}: {getattr(self, name)!r}", where=self.source, expected=expected)

    def settings(self) -> tuple[object, ...]:
        """What shapes the values besides the contents of the files, for a fingerprint."""
        return list(self.paths), self.bin_bp, self.normalise, float(self.pseudocount), self.alignment

    def names_in(self, chroms: Iterable[str]) -> dict[str, str]:
        """Each chromosome of ``paths`` under its name in ``chroms``, those of the FASTA.

        Raises
        ------
        DataError
            A chromosome is not among them, or is there twice.
        """
        chroms = list(chroms)
        known = NameMap(chroms)
        for name in self.paths:
            if name not in known:
                raise DataError(
                    f"{name} is not a chromosome of the FASTA",
                    where=f"{self.source or 'contacts'}: contacts.paths",
                    expected="one of: " + ", ".join(chroms[:30]),
                    fix="correct the name or remove the line",
                )
        found = {name: known.find(name) or name for name in self.paths}
        if len(set(found.values())) < len(found):
            raise DataError(
                f"two files for one chromosome: {', '.join(found)}",
                where=f"{self.source or 'contacts'}: contacts.paths",
                expected="one file per chromosome (chr1 and 1 are the same)",
            )
        return found


def parse_contacts(content: Mapping[str, Any], path: Path) -> ContactSpec | None:
    """Key ``contacts`` of a ``dataset.yaml``; None if it is absent."""
    if content.get("contacts") is None:
        return None
    found = section(content, "contacts", _KEYS, path, required=("paths",))
    paths = file_paths({"contacts.paths": found["paths"]}, "contacts.paths", path)
    return ContactSpec(paths, source=path, **{key: found[key] for key in _KEYS[1:] if key in found})


def read_contacts(path: str | Path, bin_bp: int, chrom_bp: int) -> sparse.csr_matrix:
    """Read the contacts inside one chromosome from the text of Juicer's ``dump`` or of straw, plain or gzip.

    Parameters
    ----------
    path : path
        Tab-separated rows of two bin starts (bp, 0-based) and a count, without a header; a pair of bins in either
        order, or in both with the same count. Pairs that are not stated have no contact.
    bin_bp : int
        Width of a bin.
    chrom_bp : int
        Length of the chromosome; its last bin may be shorter.

    Returns
    -------
    float64 csr_matrix (K, K)
        Symmetric, ``K = ceil(chrom_bp / bin_bp)``.

    Raises
    ------
    DataError
        The file is missing, damaged or of another form; a position does not start a bin or lies outside the
        chromosome; a count is negative or no number; a pair has two counts; the bins of the file are wider; or there
        is no contact at all.
    """
    path = Path(path)
    rows = read_csv(path, sep="\t", header=None, dtype=None, keep_default_na=True, low_memory=False)  # numbers alone
    if rows.shape[1] not in (0, 3):
        raise DataError(f"found {rows.shape[1]} columns", where=path, expected=_TRIPLES)
    if rows.empty:
        raise DataError("no contact in the file", where=path, expected=_TRIPLES)
    starts = np.stack([whole_numbers(rows, column, path) for column in (0, 1)], axis=1)
    counts = pd.to_numeric(rows[2], errors="coerce").to_numpy(np.float64)
    _check_starts(starts, path, bin_bp, chrom_bp)
    is_bad = ~np.isfinite(counts) | (counts < 0)
    if is_bad.any():
        value = rows[2].iloc[int(np.argmax(is_bad))]
        raise _bad_row(
            path, is_bad, f"count {value}", "finite counts of at least 0", fix="leave out pairs without a value"
        )
    if not counts.any():
        raise DataError("no contact in the file: all counts are 0", where=path, expected="counts above 0")
    return _symmetric(starts // bin_bp, counts, -(-chrom_bp // bin_bp), path, bin_bp=bin_bp)


def _symmetric(
    bins: NDArray[np.int64], counts: NDArray[np.float64], num_bins: int, path: Path, *, bin_bp: int
) -> sparse.csr_matrix:
    """Matrix (K, K) of pairs (n, 2), each stated once, or twice with one count."""
    low, high = bins.min(axis=1), bins.max(axis=1)
    order = np.lexsort((high, low))
    low, high, counts = low[order], high[order], counts[order]
    is_again = np.zeros(len(low), dtype=bool)
    is_again[1:] = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
    differs = is_again.copy()
    differs[1:] &= counts[1:] != counts[:-1]
    if differs.any():
        at = int(np.argmax(differs))
        raise DataError(
            f"the pair of bins at {low[at] * bin_bp} and {high[at] * bin_bp} has two counts, "
            f"{counts[at - 1]:.6g} and {counts[at]:.6g}",
            where=f"{path}; {int(differs.sum())} such pairs",
            expected="every pair once, or twice with the same count",
            fix="add up the counts of a pair before",
        )
    is_kept = ~is_again & (counts > 0)
    low, high, counts = low[is_kept], high[is_kept], counts[is_kept]
    is_off = low != high  # the diagonal must not be doubled
    rows, columns = np.concatenate([low, high[is_off]]), np.concatenate([high, low[is_off]])
    values = np.concatenate([counts, counts[is_off]])
    return sparse.csr_matrix((values, (rows, columns)), shape=(num_bins, num_bins))


def _check_starts(starts: NDArray[np.int64], path: Path, bin_bp: int, chrom_bp: int) -> None:
    """Positions (n, 2) must start bins of this width inside the chromosome."""
    resolution = f"set contacts.bin_bp to the resolution of the file, now {bin_bp}"
    problems: tuple[tuple[NDArray[np.bool_], str, str, str | None], ...] = (
        (starts < 0, "lies before the chromosome", "positions of at least 0", None),
        (starts % bin_bp != 0, f"is not the start of a bin of {bin_bp} bp", f"multiples of {bin_bp}", resolution),
        (starts >= chrom_bp, "lies beyond the end of the chromosome", f"positions below {chrom_bp}",
         "use contacts of the assembly of the FASTA, and one chromosome per file"),
    )  # fmt: skip
    for is_bad, found, expected, fix in problems:
        if is_bad.any():
            raise _bad_row(path, np.any(is_bad, axis=1), f"{starts[is_bad][0]} {found}", expected, fix=fix)
    positions = np.unique(starts)
    step = int(np.gcd.reduce(positions))
    if step > bin_bp and len(positions) >= _FEWEST_STARTS:
        raise DataError(
            f"all positions are multiples of {step}, so the bins are wider than {bin_bp} bp",
            where=path,
            expected=f"bins of {bin_bp} bp",
            fix=resolution,
        )


def _bad_row(path: Path, is_bad: NDArray[np.bool_], found: str, expected: str, *, fix: str | None) -> DataError:
    number, first = int(is_bad.sum()), int(np.argmax(is_bad)) + 1
    such = "1 such row" if number == 1 else f"{number} such rows"
    return DataError(found, where=f"{path}, data row {first}; {such}", expected=expected, fix=fix)
