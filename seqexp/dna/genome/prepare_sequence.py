"""Sequences behind the recipe steps: chromosomes renamed, and a FASTA in bgzip with its indexes."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, inside
from seqexp.dna.genome.fasta_bytes import BgzipBytes
from seqexp.dna.genome.fasta_index import find_or_build_index
from seqexp.recipes.runner import StepResult

_GZIP = b"\x1f\x8b"


def rename_chromosomes(folder: Path, fasta: str, output: str, names: Mapping[str, str]) -> StepResult:
    """Write a FASTA with other chromosome names, in bgzip, with ``.fai`` and ``.gzi`` beside it.

    Parameters
    ----------
    folder : Path
        Dataset folder; paths are relative to it.
    fasta, output : str
        FASTA to read, plain or gzipped, and bgzip to write; lines and letters stay as they are.
    names : mapping
        Name in the FASTA (the first word of its header) -> name to write.

    Raises
    ------
    DataError
        The file cannot be read, or holds a sequence that ``names`` does not know.
    """
    from Bio.bgzf import BgzfWriter  # slow to import, and only needed here

    path, target = inside(folder, fasta), inside(folder, output)
    try:
        with atomic_path(target) as temporary, open(temporary, "wb") as file:
            writer = BgzfWriter(fileobj=file)
            for line in _lines(path, names):
                writer.write(line)
            writer.close()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"cannot read the FASTA: {error}", where=path, expected="a whole FASTA, plain or gzip"
        ) from error
    text = BgzipBytes(target)
    index = find_or_build_index(text)
    _write_gzi(text, target.with_name(target.name + ".gzi"))
    return StepResult((output, f"{output}.fai", f"{output}.gzi"), (f"{len(index.records)} sequences renamed",))


def new_name(name: str, names: Mapping[str, str], path: Path) -> str:
    """Name of a chromosome after renaming; one that has its new name already keeps it.

    Raises
    ------
    DataError
        The chromosome is not known under either name.
    """
    if name in names:
        return names[name]
    if name in names.values():
        return name
    raise DataError(
        f"chromosome {name!r} has no new name", where=path, expected="one of: " + ", ".join(names),
        fix="add it to the names of the recipe",
    )  # fmt: skip


def _lines(path: Path, names: Mapping[str, str]) -> Iterator[bytes]:
    with open(path, "rb") as probe:
        opener = gzip.open if probe.read(2) == _GZIP else open
    with opener(path, "rb") as handle:
        for line in handle:
            if line.startswith(b">"):
                name = line[1:].split(maxsplit=1)[0].decode()
                line = f">{new_name(name, names, path)}\n".encode()
            yield line


def _write_gzi(text: BgzipBytes, path: Path) -> None:
    """The index of bgzip's blocks that samtools wants: their number but the first, then offsets packed and unpacked."""
    pairs = text.block_offsets()[1:]
    with atomic_path(path) as temporary:
        numbers = [len(pairs), *(offset for pair in pairs for offset in pair)]
        temporary.write_bytes(struct.pack(f"<{len(numbers)}Q", *numbers))
