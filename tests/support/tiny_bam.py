"""The smallest writer of BAM that MACS3 reads: positions, strands and pairs, without sequence qualities."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from Bio import bgzf

READ_BP = 36


def write_bam(path: Path, sizes: Mapping[str, int], reads: Iterable[tuple[str, int, str]]) -> Path:
    """Single reads (chrom, start, strand) of :data:`READ_BP` bases."""
    records = [(chrom, start, 16 if strand == "-" else 0, -1, 0) for chrom, start, strand in reads]
    return _write(path, sizes, records)


def write_paired_bam(path: Path, sizes: Mapping[str, int], fragments: Iterable[tuple[str, int, int]]) -> Path:
    """Proper pairs: a forward read at the start of each fragment, a reverse one at its end."""
    records = []
    for chrom, start, end in fragments:
        records.append((chrom, start, 1 | 2 | 32 | 64, end - READ_BP, end - start))
        records.append((chrom, end - READ_BP, 1 | 2 | 16 | 128, start, start - end))
    return _write(path, sizes, records)


def _write(path: Path, sizes: Mapping[str, int], records: list[tuple[str, int, int, int, int]]) -> Path:
    index = {chrom: number for number, chrom in enumerate(sizes)}
    text = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(f"@SQ\tSN:{c}\tLN:{size}\n" for c, size in sizes.items())
    with bgzf.BgzfWriter(str(path), "wb") as handle:
        handle.write(b"BAM\1" + struct.pack("<i", len(text)) + text.encode() + struct.pack("<i", len(sizes)))
        for chrom, size in sizes.items():
            handle.write(struct.pack("<i", len(chrom) + 1) + chrom.encode() + b"\0" + struct.pack("<i", size))
        for number, (chrom, start, flag, mate, span) in enumerate(sorted(records, key=lambda r: (index[r[0]], r[1]))):
            name = f"r{number}".encode() + b"\0"
            place = (index[chrom] if mate >= 0 else -1, mate, span)
            fixed = struct.pack("<iiBBHHHiiii", index[chrom], start, len(name), 60, 0, 1, flag, READ_BP, *place)
            body = fixed + name + struct.pack("<I", READ_BP << 4) + b"\x11" * (READ_BP // 2) + b"\x1e" * READ_BP
            handle.write(struct.pack("<i", len(body)) + body)
    return path
