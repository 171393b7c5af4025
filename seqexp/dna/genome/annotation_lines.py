"""The lines of an annotation, GTF or GFF3, and what it says about its sequences."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote

from seqexp.core.errors import DataError
from seqexp.core.tables import MAX_POSITION_BP

_GFF3 = re.compile(r'\s*[^\s=;"]+=')
_GTF_ATTRIBUTE = re.compile(r'([^\s;]+)\s+(?:"([^"]*)"|([^;\s]+))\s*(?:;|$)')
_SEQUENCES = frozenset(("region", "chromosome", "supercontig", "scaffold", "contig"))
_GZIP = b"\x1f\x8b"


class Feature(NamedTuple):
    """One line; ``start`` counts from 0 and ``end`` is exclusive, ``attributes`` is the text of the last column."""

    line: int
    chrom: str
    kind: str
    start: int
    end: int
    strand: str
    attributes: str

    @property
    def is_gff3(self) -> bool:
        """The attributes are ``key=value``; those of a GTF are ``key "value"``."""
        return _GFF3.match(self.attributes) is not None

    def parsed(self) -> dict[str, str]:
        """The attributes; database references (``Dbxref=GeneID:672``) also under the name of their database."""
        if self.is_gff3:
            pairs = [pair.partition("=") for pair in self.attributes.split(";") if "=" in pair]
            found = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
            references = found.get("Dbxref", "").split(",")
        else:
            matches = _GTF_ATTRIBUTE.findall(self.attributes)
            found = {key: quoted or plain for key, quoted, plain in matches}
            references = [quoted or plain for key, quoted, plain in matches if key == "db_xref"]
        for reference in references:
            database, colon, value = reference.partition(":")
            if colon:
                found.setdefault(database, value)
        return found


@dataclass
class Sequences:
    """What an annotation says about its sequences.

    Attributes
    ----------
    lengths : dict
        Name to length in bp, from lines that describe a whole sequence.
    bounds : dict
        Name to the last base a ``##sequence-region`` names; the sequence may go on behind it.
    aliases : dict
        Name to other names of the same chromosome, where the file states them: ``NC_003070.9`` to ``1``.
    """

    lengths: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def note(self, feature: Feature) -> None:
        """Take in a line that describes a whole sequence, as GFF3 of NCBI and Ensembl have them."""
        if feature.start or not feature.is_gff3:
            return
        self.lengths[feature.chrom] = feature.end
        told = feature.parsed()
        names = [name for name in told.get("Alias", "").split(",") if name]
        if told.get("genome") == "chromosome" and "chromosome" in told:
            names.append(told["chromosome"])
        if told.get("genome") == "mitochondrion":
            names.append("MT")
        self.aliases[feature.chrom] = tuple(names)

    def directive(self, line: str) -> None:
        """Take in a line ``##sequence-region name start end``."""
        words = line.split()
        if line.startswith("##sequence-region") and len(words) == 4 and words[3].isdigit():
            self.bounds[words[1]] = int(words[3])


def read_features(path: Path, sequences: Sequences) -> Iterator[Feature]:
    """Every feature of a file in turn; ``sequences`` is filled on the way.

    Raises
    ------
    DataError
        The file is missing or damaged, a line has not nine columns, or its positions are none.
    """
    try:
        with _open(path) as handle:
            for number, line in enumerate(handle, 1):
                if line[0] == ">" or line.startswith("##FASTA"):
                    return  # the genome follows, as in files of Prokka and SGD
                if line[0] == "#":
                    sequences.directive(line)
                elif not line.isspace():
                    feature = _feature(line, number, path)
                    if feature.kind in _SEQUENCES:
                        sequences.note(feature)
                    yield feature
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"the annotation cannot be read: {error}", where=path, expected="a whole GTF or GFF3"
        ) from error


def _open(path: Path) -> IO[str]:
    with open(path, "rb") as handle:
        is_gzip = handle.read(2) == _GZIP
    return gzip.open(path, "rt", encoding="utf-8-sig") if is_gzip else open(path, encoding="utf-8-sig")


def _feature(line: str, number: int, path: Path) -> Feature:
    cells = line.rstrip("\r\n").split("\t", 8)
    if len(cells) < 9:
        raise DataError(
            f"found {len(cells)} columns",
            where=f"{path}, line {number}",
            expected="9 columns of GTF or GFF3, separated by tabs: seqid, source, type, start, end, score, strand, …",
        )
    start, end = _position(cells[3]), _position(cells[4])
    if not 1 <= start <= end <= MAX_POSITION_BP:
        raise DataError(
            f"start {cells[3]!r} and end {cells[4]!r} are no stretch of a sequence",
            where=f"{path}, line {number}: {cells[2]} on {cells[0]}",
            expected="whole numbers, counted from 1, the start not behind the end on both strands",
            fix="correct the line or remove it",
        )
    return Feature(number, cells[0], cells[2], start - 1, end, cells[6], cells[8])


def _position(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0
