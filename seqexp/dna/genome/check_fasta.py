"""The part of :mod:`seqexp.dna.genome.check` that looks at the FASTA."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqexp.core.check import Asker
from seqexp.core.errors import DataError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import UNKNOWN, Reference


def check_fasta(ask: Asker, spec: DatasetSpec) -> Reference | None:
    """Open the FASTA and read a compressed one to its end; None if it cannot be opened."""
    file = spec.fasta.name
    reference = ask.value(file, "opens", spec.open_reference)
    if reference is not None:
        total = sum(reference.chrom_sizes.values())
        ask(file, "sequences", lambda: f"{len(reference.chrom_sizes)} with {total:,} bp")
        ask(file, "content", lambda: _read_through(spec.fasta))
    return reference


def check_bases(ask: Asker, reference: Reference, windows: Sequence[Interval]) -> None:
    """Ask whether windows hold bases."""
    if windows:
        ask(reference.path.name, "bases in windows", lambda: _known_bases(reference, windows))


def _read_through(path: Path) -> str:
    if not path.name.lower().endswith((".gz", ".bgz")):
        return "plain text"
    try:
        with gzip.open(path) as handle:
            while handle.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the bgzip FASTA is corrupt: {error}", where=path, expected="whole blocks", fix="download it again"
        ) from error
    return "bgzip, every block whole"


def _known_bases(reference: Reference, windows: Sequence[Interval]) -> tuple[str, bool]:
    share = float(np.mean([(reference.codes(window) != UNKNOWN).mean() for window in windows]))
    if share == 0:
        raise DataError(
            f"not one base of {len(windows)} windows is A, C, G or T",
            where=reference.path,
            expected="the sequence of a genome",
            fix="use the FASTA of the assembly, not a hard-masked or empty one",
        )
    return f"{share:.1%} are A, C, G or T ({len(windows)} windows)", share > 0.9
