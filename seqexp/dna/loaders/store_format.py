"""The format of a store on disk.

A store is a folder with one JSON file and flat binary arrays, little-endian, without headers::

    store.json
    codes.<id>.u8           bases of all chromosomes one behind the other: A 0, C 1, G 2, T 3, anything else 4
    track.<id>.f16 | .f32   signal of one track at base resolution, in the same layout

``store.json`` holds ``format`` (seqexp-store), ``version`` (1), ``chroms`` (list of [name, length in bp], which gives
the offsets), ``codes`` and ``tracks`` (by name). The entry of a file holds ``file``, ``dtype``, ``missing`` (policy it
was written under: with ``zero`` missing values are 0, else NaN) and ``source`` (path, size, mtime_ns, ctime_ns and
sha256 of the FASTA or bigWig it was made from).

``<id>`` is a digest of content of the source, chromosomes, policy and version: a file is never overwritten with
something else, and a reader that has mapped it is never disturbed. The JSON file is replaced last, so a store is whole
or absent.

A track is float16 if no value exceeds 60 000 and the mean size of its values other than 0 is at least 0.0061, so that
values down to a hundredth of the mean keep 11 significant bits (relative error at most 2**-11 = 0.05 %); otherwise it
is float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import atomic_path, inside
from seqexp.core.json_file import load_json
from seqexp.core.typed import build

FORMAT, VERSION, INDEX = "seqexp-store", 1, "store.json"
SUFFIXES = {"uint8": "u8", "float16": "f16", "float32": "f32"}


@dataclass(frozen=True)
class StoreEntry:
    """One array of a store.

    Attributes
    ----------
    file : str
        Name in the folder.
    dtype : str
        uint8, float16 or float32.
    source : mapping
        path, size, mtime_ns, ctime_ns and sha256 of the file it was made from.
    missing : str
        Policy for missing values it was written under.
    """

    file: str
    dtype: str
    source: Mapping[str, Any]
    missing: str = "zero"

    @property
    def fill(self) -> float:
        """Value of bases outside the chromosome."""
        return 0.0 if self.missing == "zero" else float("nan")


@dataclass(frozen=True)
class StoreIndex:
    """Content of ``store.json``.

    Attributes
    ----------
    chroms : tuple of (str, int)
        Name and length in bp, in the order of the arrays.
    codes : StoreEntry
    tracks : mapping
        Track name to entry.
    """

    chroms: tuple[tuple[str, int], ...]
    codes: StoreEntry
    tracks: Mapping[str, StoreEntry]

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Offset and length in bp by chromosome."""
        offsets = np.concatenate([[0], np.cumsum([size for _, size in self.chroms])]).astype(int)
        return {chrom: (int(offset), size) for (chrom, size), offset in zip(self.chroms, offsets)}

    @property
    def num_bases(self) -> int:
        """Length of every array."""
        return sum(size for _, size in self.chroms)

    def is_complete(self, folder: Path, entry: StoreEntry) -> bool:
        """Whether the file of an entry is there in full size."""
        path = folder / entry.file
        return path.is_file() and path.stat().st_size == self.num_bases * np.dtype(entry.dtype).itemsize

    def open(self, folder: Path, entry: StoreEntry) -> NDArray[Any]:
        """Map the array of an entry, read only.

        Raises
        ------
        DataError
            The file is missing or has another size than the index says.
        """
        if not self.is_complete(folder, entry):
            raise DataError(
                f"the file {entry.file} of the store is missing or incomplete",
                where=folder,
                expected=f"{self.num_bases} values of {entry.dtype}",
                fix="prepare the data again",
            )
        if self.num_bases == 0:
            return np.empty(0, dtype=entry.dtype)
        # A plain array over the map: slicing an np.memmap costs several times as much.
        return np.asarray(np.memmap(folder / entry.file, dtype=entry.dtype, mode="r"))

    def write(self, folder: Path) -> None:
        """Write ``store.json``, atomically."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "chroms": [list(chrom) for chrom in self.chroms],
            "codes": asdict(self.codes),
            "tracks": {name: asdict(entry) for name, entry in self.tracks.items()},
        }
        with atomic_path(folder / INDEX) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_index(folder: Path) -> StoreIndex:
    """Read ``store.json``.

    Raises
    ------
    DataError
        It is missing, damaged, or of another format or version.
    """
    path = folder / INDEX
    if not path.exists():
        raise DataError("there is no store", where=folder, fix="seqexp data prepare, or source: files")
    try:
        content = load_json(path)
        found = (content.get("format"), content.get("version"))
        if found != (FORMAT, VERSION):
            raise DataError(
                f"the store is {found[0]} version {found[1]}",
                where=path,
                expected=f"{FORMAT} version {VERSION}",
                fix=f"delete {folder} and prepare the data again",
            )
        index = build(StoreIndex, {key: content[key] for key in content.keys() - {"format", "version"}}, path)
        for entry in (index.codes, *index.tracks.values()):
            inside(folder, entry.file, where=path)
            if entry.dtype not in SUFFIXES:
                raise ConfigError(f"dtype: {entry.dtype!r}", expected="one of: " + ", ".join(SUFFIXES))
        return index
    except ConfigError as error:
        raise DataError(
            f"the index of the store cannot be read: {error.found}",
            where=path,
            fix=f"delete {folder} and prepare the data again",
        ) from error
