"""The spots that a checkpoint has seen, found again by slide, image and patient, whatever data set they come in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.histology.slides import Slide
from seqexp.loading.seen import UNSEEN

_NUM_PIECES, _PIECE_BYTES = 16, 1 << 16
_SEEN = ("train", "val")


@dataclass(frozen=True)
class SeenSlide:
    """One slide of the data that a checkpoint was trained with.

    Attributes
    ----------
    patient : str
    image : str
        What identifies its image file, see :func:`image_identity`.
    splits : tuple of str
        Splits of its spots.
    barcodes : mapping
        Split to barcodes, where the slide has spots of several splits; else empty.
    """

    patient: str
    image: str
    splits: tuple[str, ...]
    barcodes: Mapping[str, tuple[str, ...]]

    def among(self, barcodes: pd.Series) -> NDArray[np.str_]:
        """How the checkpoint knows spots of this slide: ``train``, ``val`` or ``no``; new ones as the most seen."""
        most = next((split for split in _SEEN if split in self.splits), UNSEEN)
        if not self.barcodes:
            return np.full(len(barcodes), most, dtype="<U5")
        known = {code: split for split, codes in self.barcodes.items() for code in codes}
        found = barcodes.astype(str).map(known).fillna(most)
        return np.where(found.isin(_SEEN), found, UNSEEN).astype("<U5")


@dataclass(frozen=True)
class SeenSpots:
    """Every slide that a checkpoint was trained, chosen or tested on, by name."""

    slides: Mapping[str, SeenSlide]

    @classmethod
    def of(cls, frame: pd.DataFrame, labels: NDArray[np.str_], slides: Mapping[str, Slide]) -> SeenSpots:
        """From a spot table (S,) with its labels."""
        found = {}
        for name, part in frame.assign(split=labels).groupby("slide", sort=False):
            splits = tuple(dict.fromkeys(part["split"].tolist()))
            codes = {s: tuple(part.loc[part["split"] == s, "barcode"].astype(str)) for s in splits}
            image = image_identity(slides[str(name)].path)
            patient = str(part["patient"].iloc[0])
            found[str(name)] = SeenSlide(patient, image, splits, codes if len(splits) > 1 else {})
        return cls(found)

    def among(self, frame: pd.DataFrame, slides: Mapping[str, Slide]) -> NDArray[np.str_]:
        """How the checkpoint knows each spot of a table: ``train``, ``val`` or ``no`` (S,).

        A slide is known by its image or by its name, and then spot by spot; another slide by its patient.
        """
        seen = np.full(len(frame), UNSEEN, dtype="<U5")
        by_image = {slide.image: slide for slide in self.slides.values()}
        for name, rows in frame.groupby("slide", sort=False).indices.items():
            own = by_image.get(image_identity(slides[str(name)].path)) or self.slides.get(str(name))
            part = frame.iloc[rows]
            if own is not None:
                seen[rows] = own.among(part["barcode"])
            else:
                seen[rows] = part["patient"].astype(str).map(self._patients()).fillna(UNSEEN)
        return seen

    def _patients(self) -> dict[str, str]:
        return {s.patient: split for split in reversed(_SEEN) for s in self.slides.values() if split in s.splits}

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            name: {
                "patient": slide.patient,
                "image": slide.image,
                "splits": list(slide.splits),
                "barcodes": {split: list(codes) for split, codes in slide.barcodes.items()},
            }
            for name, slide in self.slides.items()
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SeenSpots:
        """From :meth:`state`."""
        return cls(
            {
                str(name): SeenSlide(
                    str(slide["patient"]),
                    str(slide["image"]),
                    tuple(slide["splits"]),
                    {split: tuple(codes) for split, codes in slide["barcodes"].items()},
                )
                for name, slide in state.items()
            }
        )


def image_identity(path: Path) -> str:
    """Identity of an image file: its size and a digest of evenly spaced pieces; large ones are not read whole."""
    size, digest = path.stat().st_size, hashlib.sha256()
    with open(path, "rb") as handle:
        for start in np.unique(np.linspace(0, max(0, size - _PIECE_BYTES), _NUM_PIECES).astype(np.int64)).tolist():
            handle.seek(start)
            digest.update(handle.read(_PIECE_BYTES))
    return f"{size}:{digest.hexdigest()[:16]}"
