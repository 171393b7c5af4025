"""Damage inside binary formats: images, bigWigs, BGZF, HDF5."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyBigWig
from Bio import bgzf
from damage_bytes import Damage, Rng
from PIL import Image
from tiny_bigwig import write_raw_bigwig


def _image(change: Callable[[Image.Image], Image.Image], **saved: Any) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        with Image.open(path) as image:
            image.load()
            changed = change(image)
        changed.save(path, **saved)
        return ""

    return apply


IMAGES: dict[str, Damage] = {
    "grey": _image(lambda image: image.convert("L")),
    "a palette": _image(lambda image: image.convert("P")),
    "one bit": _image(lambda image: image.convert("1")),
    "transparent": _image(lambda image: image.convert("RGBA")),
    "half the size": _image(lambda image: image.resize((image.width // 2, image.height // 2))),
    "one pixel": _image(lambda image: image.resize((1, 1))),
    "turned": _image(lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "JPEG under this name": _image(lambda image: image, format="JPEG"),
    "TIFF under this name": _image(lambda image: image, format="TIFF"),
}

Rows = dict[str, list[tuple[int, int, float]]]


def _bigwig(change: Callable[[dict[str, int], Rows, Rng], tuple[dict[str, int], Rows]]) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        with pyBigWig.open(str(path)) as handle:
            sizes = dict(handle.chroms())
            rows = {chrom: list(handle.intervals(chrom) or ()) for chrom in sizes}
        sizes, rows = change(sizes, rows, rng)
        numbers = {chrom: number for number, chrom in enumerate(sizes)}
        blocks = [
            (numbers[c], 1, some[at : at + 500]) for c, some in rows.items() for at in range(0, len(some), 500)
        ]  # fmt: skip
        write_raw_bigwig(path, sizes, blocks)
        return ""

    return apply


def _valued(value: float, share: float) -> Damage:
    def change(sizes: dict[str, int], rows: Rows, rng: Rng) -> tuple[dict[str, int], Rows]:
        return sizes, {
            chrom: [(start, end, value if rng.random() < share else old) for start, end, old in some]
            for chrom, some in rows.items()
        }

    return _bigwig(change)


def _named(rename: Callable[[str], str]) -> Damage:
    return _bigwig(
        lambda sizes, rows, rng: (
            {rename(chrom): size for chrom, size in sizes.items()},
            {rename(chrom): some for chrom, some in rows.items()},
        )
    )


def _first(count: int) -> Damage:
    return _bigwig(lambda sizes, rows, rng: tuple({c: of[c] for c in list(of)[:count]} for of in (sizes, rows)))  # type: ignore[arg-type,return-value]


BIGWIG: dict[str, Damage] = {
    "a value infinite": _valued(float("inf"), 0.001),
    "all values infinite": _valued(float("-inf"), 1),
    "some values NaN": _valued(float("nan"), 0.1),
    "all values NaN": _valued(float("nan"), 1),
    "huge values": _valued(3e38, 0.01),
    "negative values": _valued(-5.0, 0.1),
    "one value throughout": _valued(0.0, 1),
    "names without chr": _named(lambda chrom: chrom.removeprefix("chr")),
    "foreign names": _named(lambda chrom: f"scaffold_{chrom}"),
    "one chromosome": _first(1),
    "all but one": _first(5),
    "other lengths": _bigwig(lambda sizes, rows, rng: ({chrom: size + 999 for chrom, size in sizes.items()}, rows)),
    "no intervals on most": _bigwig(lambda sizes, rows, rng: (sizes, {c: rows[c] for c in list(rows)[:2]})),
}


def _blocks(change: Callable[[bytearray, Rng], bytes]) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        content = bytearray(gzip.decompress(path.read_bytes()))
        with bgzf.BgzfWriter(str(path), "wb") as handle:
            handle.write(change(content, rng))
        return ""

    return apply


def _flip_inside(content: bytearray, rng: Rng) -> bytes:
    for place in rng.integers(0, len(content), 10):
        content[place] ^= int(rng.integers(1, 256))
    return bytes(content)


BGZF: dict[str, Damage] = {
    "flipped inside": _blocks(_flip_inside),
    "head flipped inside": _blocks(lambda content, rng: _flip_inside(content[:300], rng) + bytes(content[300:])),
    "cut inside": _blocks(lambda content, rng: bytes(content[: int(rng.integers(len(content)))])),
}


def _places(file: h5py.File) -> Iterable[str]:
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def _hdf5(change: Callable[[h5py.File, str, Rng], None]) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        with h5py.File(path, "r+") as file:
            name = str(rng.choice(list(_places(file))))
            change(file, name, rng)
        return name

    return apply


def _renewed(change: Callable[[np.ndarray, Rng], Any]) -> Callable[[h5py.File, str, Rng], None]:
    def apply(file: h5py.File, name: str, rng: Rng) -> None:
        if isinstance(file[name], h5py.Group):
            return
        kept, values = dict(file[name].attrs), file[name][()]
        del file[name]
        file[name] = change(np.asarray(values), rng)
        file[name].attrs.update(kept)

    return apply


def _odd(values: np.ndarray, rng: Rng) -> np.ndarray:
    values = np.array(values)
    if values.size:
        odd: tuple[Any, ...] = (float("nan"), -1, 2.5, 1e30, float("inf")) if values.dtype.kind == "f" else (-1, 2**30)
        value = b"odd" if values.dtype.kind in "OS" else odd[int(rng.integers(len(odd)))]
        values.flat[int(rng.integers(values.size))] = value
    return values


def _drop(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]


def _attribute(file: h5py.File, name: str, rng: Rng) -> None:
    held = file[name].attrs
    if len(held):
        held[str(rng.choice(sorted(held)))] = (1, "odd", [1.5])[int(rng.integers(3))]


HDF5: dict[str, Damage] = {
    "a value": _hdf5(_renewed(_odd)),
    "another value": _hdf5(_renewed(_odd)),
    "dropped": _hdf5(_drop),
    "shorter": _hdf5(_renewed(lambda values, rng: np.atleast_1d(values)[:-1])),
    "one more axis": _hdf5(_renewed(lambda values, rng: values[None])),
    "text": _hdf5(_renewed(lambda values, rng: np.asarray(values.astype(str), object))),
    "an attribute": _hdf5(_attribute),
}
