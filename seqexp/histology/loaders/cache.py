"""What is computed of every spot once and kept: patches, features. One file per slide, read through memory maps."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.arrays import UNREADABLE
from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, sha256_of
from seqexp.core.lock import clear_stale, own_folder
from seqexp.histology.slides import Slide, SpotTable
from seqexp.histology.slides.colour import COLOURS_VERSION

Compute = Callable[[Slide, NDArray[np.float64]], NDArray[Any]]


class SpotCache:
    """Arrays with one row per spot, kept in a folder; what the image, the spots or the settings change is made anew.

    An interrupted run goes on with the slides that are missing.

    Parameters
    ----------
    folder : path
        May be deleted at any time.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._images: dict[Path, str] = {}

    def get(
        self, name: str, settings: Mapping[str, Any], spots: SpotTable, slides: Mapping[str, Slide], *, compute: Compute
    ) -> SpotArray:
        """Rows of all spots.

        Parameters
        ----------
        name : str
            What it is: part of the file names.
        settings : mapping
            Everything that the result depends on beside image and places, such as widths and the hash of weights.
        spots : SpotTable
        slides : mapping
        compute : callable
            From a slide and centres in microns (n, 2) to an array (n, ...).
        """
        clear_stale(self.folder)
        parts, rows = [], []
        for slide in spots.slides:
            members = spots.rows_of(slide)
            centres = spots.frame[["x_um", "y_um"]].to_numpy(np.float64)[members]
            path = self.folder / f"{_file_name(slide)}-{name}-{self._key(slides[slide], centres, settings)}.npy"
            if not _is_sound(path, len(centres)):
                # Many runs share a cache: one computes, the others wait and find what it made.
                with own_folder(self.folder, is_patient=True):
                    if not _is_sound(path, len(centres)):
                        again = " again: what was kept is damaged" if path.is_file() else ""
                        told = f"computing {name} of slide {slide}, {len(centres):,} spots{again}"
                        print(told, file=sys.stderr, flush=True)
                        _write(path, compute(slides[slide], centres), len(centres))
            parts.append(path)
            rows.append(members)
        found = SpotArray(parts, rows, len(spots))
        if not found.is_even:
            raise DataError(f"kept {name} differ in shape or kind", where=self.folder, fix="delete this folder")
        return found

    def _key(self, slide: Slide, centres: NDArray[np.float64], settings: Mapping[str, Any]) -> str:
        if slide.path not in self._images:
            self._images[slide.path] = sha256_of(slide.path)
        text = json.dumps([self._images[slide.path], COLOURS_VERSION, slide.mpp, settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode() + centres.tobytes()).hexdigest()[:16]


def _file_name(slide: str) -> str:
    """The name of a slide as part of a file name, whatever it is: what differs is told apart by a sum."""
    plain = re.sub(r"[^\w-]", "_", slide, flags=re.ASCII)[:60]
    return plain if plain == slide else f"{plain}-{hashlib.sha256(slide.encode(errors='replace')).hexdigest()[:8]}"


class SpotArray:
    """Rows of several files under the numbers of the spots; opened in each process on first use."""

    def __init__(self, paths: list[Path], rows: list[NDArray[np.int64]], num_spots: int) -> None:
        self.paths = paths
        self._file = np.full(num_spots, -1)
        self._place = np.zeros(num_spots, dtype=np.int64)
        for number, members in enumerate(rows):
            self._file[members], self._place[members] = number, np.arange(len(members))
        self._open: list[NDArray[Any]] | None = None

    @property
    def width(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self._maps()[0].shape[1:]

    @property
    def is_even(self) -> bool:
        """Whether all files hold rows of one shape and kind."""
        return len({(values.shape[1:], values.dtype) for values in self._maps()}) <= 1

    def __getitem__(self, rows: NDArray[np.int64] | list[int]) -> NDArray[Any]:
        maps, rows = self._maps(), np.asarray(rows, dtype=np.int64)
        out = np.empty((len(rows), *self.width), maps[0].dtype)
        for number, values in enumerate(maps):
            here = np.flatnonzero(self._file[rows] == number)
            out[here] = values[self._place[rows[here]]]
        return out

    def _maps(self) -> list[NDArray[Any]]:
        if self._open is None:
            self._open = [np.load(path, mmap_mode="r") for path in self.paths]
        return self._open

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}


def _is_sound(path: Path, num: int) -> bool:
    """Whether a file is whole and has one row of finite numbers per spot; its values carry no sum."""
    try:
        values = np.load(path, mmap_mode="r")
    except UNREADABLE:
        return False
    is_shaped = isinstance(values, np.ndarray) and values.ndim > 1 and len(values) == num and values.dtype.kind in "uif"
    return is_shaped and (values.dtype.kind != "f" or bool(np.isfinite(values).all()))


def _write(path: Path, values: NDArray[Any], num: int) -> None:
    if len(values) != num:
        raise DataError(f"{len(values)} rows for {num} spots", where=path)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(f"{bad} of {values.size} values of spots are not finite", where=path, fix="check the weights")
    with atomic_path(path) as temporary:
        np.save(temporary, values)
