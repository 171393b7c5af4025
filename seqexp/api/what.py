"""What a caller means: intervals, genes or DNA, as text, objects, tables or files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seqexp.api.gene_request import find_genes
from seqexp.api.request import Request
from seqexp.core.errors import ConfigError
from seqexp.dna.genome.gene_files import SUFFIXES
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval

LEAST_DNA_BP = 20  # shorter text of bases alone may be a gene, such as GATA or CAT
_DNA = re.compile(rf"[ACGTNRYSWKMBDHVX]{{{LEAST_DNA_BP},}}", re.IGNORECASE)
_INTERVAL = re.compile(r"[^\s:]+:-?[\d,_]+-[\d,_]+(:[+\-.])?")
_FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas")
_EXPECTED = (
    'intervals ("chr1:1,000-2,000:+", Interval, a table with chrom, start and end, a BED file), gene ids or names, '
    f"a gene file, DNA of at least {LEAST_DNA_BP} bases, or a FASTA file"
)


def as_request(what: Any, annotation: Callable[[], GeneTable], **settings: Any) -> Request:
    """A request for what a caller means.

    Parameters
    ----------
    what : str, Path, Interval, DataFrame, mapping of str to str, or iterable of the first three
        One kind only: :data:`_EXPECTED`.
    annotation : callable
        The genes that ids and names are looked up in.
    **settings
        Further fields of the request.

    Raises
    ------
    ConfigError
        It is none of these, or several kinds together.
    DataError
        A gene is not in the annotation.
    """
    if isinstance(what, pd.DataFrame):
        return Request(intervals=_table(what), **settings)
    if isinstance(what, Mapping):
        return Request(sequences={str(name): str(text) for name, text in what.items()}, **settings)
    if isinstance(what, Path) or (isinstance(what, str) and _names_a_file(what)):
        return _of_file(Path(what), settings)
    items = [what] if isinstance(what, str | Interval) else list(what) if isinstance(what, Iterable) else [what]
    kinds = {_kind(item) for item in items}
    if len(kinds) != 1:
        raise ConfigError(f"asked about {' and '.join(sorted(kinds)) or 'nothing'} together", expected=_EXPECTED)
    kind = kinds.pop()
    if kind == "DNA":
        return Request(sequences={f"sequence_{n}": str(text) for n, text in enumerate(items, start=1)}, **settings)
    if kind == "intervals":
        intervals = [item if isinstance(item, Interval) else Interval.parse(item) for item in items]
        rows = [(i.chrom, i.start, i.end, i.strand, i.name or ".") for i in intervals]
        return Request(intervals=pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "name"]), **settings)
    names = [str(item) for item in items]
    if settings.get("fasta") is not None:
        return Request(genes=names, **settings)  # which is refused
    return Request(genes=find_genes(annotation(), names), **settings)


def _kind(item: Any) -> str:
    if isinstance(item, Interval):
        return "intervals"
    if not isinstance(item, str):
        raise ConfigError(f"asked about {type(item).__name__}: {item!r}", expected=_EXPECTED)
    if _INTERVAL.fullmatch(item.strip()):
        return "intervals"
    return "DNA" if _DNA.fullmatch(item) else "genes"


def _table(table: pd.DataFrame) -> pd.DataFrame:
    absent = [name for name in ("chrom", "start", "end") if name not in table]
    if absent:
        found = f"a table without {', '.join(absent)}; it has {', '.join(map(str, table.columns[:8]))}"
        raise ConfigError(found, expected="chrom, start, end and, where known, strand and name")
    return table.reset_index(drop=True)


def _names_a_file(text: str) -> bool:
    return len(text) < 4096 and text.lower().removesuffix(".gz").endswith((*SUFFIXES, *_FASTA, ".narrowpeak"))


def _of_file(path: Path, settings: Mapping[str, Any]) -> Request:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(_FASTA):
        return Request(sequences=path, **settings)
    if name.endswith((".bed", "narrowpeak")):
        return Request(intervals=path, **settings)
    return Request(genes=path, **settings)
