"""A stretch of the genome: 0-based, half-open, on the forward strand, strand carried."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from seqexp.core.errors import DataError
from seqexp.core.tables import MAX_POSITION_BP

_TEXT = re.compile(r"^(?P<chrom>[^\s:]+):(?P<start>-?[\d,_]+)-(?P<end>[\d,_]+)(?::(?P<strand>[+\-.]))?$")


@dataclass(frozen=True, slots=True)
class Interval:
    """Bases ``start`` to ``end - 1`` of a chromosome.

    Parameters
    ----------
    chrom : str
        Chromosome name.
    start, end : int
        0-based, half-open, in forward-strand coordinates whatever the strand. A window may reach beyond the chromosome.
    strand : str
        ``+``, ``-`` or ``.`` (unknown, read as forward).
    name : str
        Free label.

    Raises
    ------
    DataError
        ``end`` lies before ``start``, or the strand is not one of the three.
    """

    chrom: str
    start: int
    end: int
    strand: str = "."
    name: str = ""

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise DataError(
                f"interval ends at {self.end}, before its start {self.start}",
                where=f"chromosome {self.chrom} {self.name}".strip(),
                expected="0-based half-open coordinates with start <= end",
            )
        if self.strand not in ("+", "-", "."):
            raise DataError(f"strand {self.strand!r}", where=self.chrom, expected="one of '+', '-', '.'")

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``chrom:start-end`` or ``chrom:start-end:strand``; 0-based half-open, thousands separators allowed.

        Raises
        ------
        DataError
            The text has another form, or a position is beyond every chromosome.
        """
        match = _TEXT.match(text.strip())
        if match is None:
            raise DataError(f"{text!r} is not an interval", expected="chrom:start-end, 0-based half-open")
        start, end = (int(match[key].replace(",", "").replace("_", "")) for key in ("start", "end"))
        if max(abs(start), end) > MAX_POSITION_BP:
            raise DataError(f"{text!r} lies beyond every chromosome", expected=f"positions up to {MAX_POSITION_BP}")
        return cls(match["chrom"], start, end, match["strand"] or ".")

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start}-{self.end}" + ("" if self.strand == "." else f":{self.strand}")

    @property
    def width(self) -> int:
        """Length in bases."""
        return self.end - self.start

    @property
    def is_reverse(self) -> bool:
        """True on the minus strand, where sequence and signals are read backwards."""
        return self.strand == "-"

    def shift(self, bp: int) -> Interval:
        """Move by ``bp`` bases downstream: to higher coordinates, or to lower ones on the minus strand."""
        step = -bp if self.is_reverse else bp
        return replace(self, start=self.start + step, end=self.end + step)

    def resize(self, width: int) -> Interval:
        """Same centre base, ``width`` bases; the centre is base ``width // 2`` in the interval's own orientation."""
        if width < 0:
            raise DataError(f"width {width}", where=str(self), expected="a width of at least 0 bp")
        if self.is_reverse:
            end = self.end - self.width // 2 + width // 2
            return replace(self, start=end - width, end=end)
        start = self.start + self.width // 2 - width // 2
        return replace(self, start=start, end=start + width)

    def overlaps(self, other: Interval) -> bool:
        """True if at least one base is shared; strands are not compared."""
        return self.chrom == other.chrom and max(self.start, other.start) < min(self.end, other.end)

    def intersection(self, other: Interval) -> Interval | None:
        """Shared bases with this strand and name, or None."""
        if not self.overlaps(other):
            return None
        return replace(self, start=max(self.start, other.start), end=min(self.end, other.end))
