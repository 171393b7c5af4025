"""Damage by bytes, and to what stands under a name: for files of any format."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

Rng = np.random.Generator
Damage = Callable[[Path, Rng], str]


def _flipped(count: int, within: int | None = None) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        content = bytearray(path.read_bytes())
        if not content:
            return "empty before"
        places = rng.integers(0, min(len(content), within or len(content)), count)
        for place in places:
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(content))
        return f"at {places[:3].tolist()} of {len(content)}"

    return apply


def _cut(path: Path, rng: Rng) -> str:
    content = path.read_bytes()
    end = int(rng.integers(0, max(len(content), 1)))
    path.write_bytes(content[:end])
    return f"at {end} of {len(content)}"


def _blank(path: Path, rng: Rng) -> str:
    content = bytearray(path.read_bytes())
    start = int(rng.integers(0, max(len(content), 1)))
    end = min(len(content), start + int(rng.integers(1, 2000)))
    content[start:end] = bytes(end - start)
    path.write_bytes(bytes(content))
    return f"{start} to {end} of {len(content)}"


def _with(change: Callable[[bytes], bytes]) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        path.write_bytes(change(path.read_bytes()))
        return ""

    return apply


def _noise(path: Path, rng: Rng) -> str:
    path.write_bytes(rng.bytes(4000))
    return ""


def _gone(path: Path, rng: Rng) -> str:
    path.unlink()
    return ""


def _folder(path: Path, rng: Rng) -> str:
    path.unlink()
    path.mkdir()
    return ""


def _link(target: str) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        path.unlink()
        path.symlink_to(target)
        return target

    return apply


BYTES: dict[str, Damage] = {
    "one flipped": _flipped(1),
    "twenty flipped": _flipped(20),
    "head flipped": _flipped(3, within=200),
    "cut": _cut,
    "a stretch of zeros": _blank,
    "empty": _with(lambda content: b""),
    "gzip under a plain name": _with(gzip.compress),
    "twice": _with(lambda content: content * 2),
    "noise": _noise,
    "a folder": _folder,
    "a link to nowhere": _link("nowhere"),
    "a link to itself": lambda path, rng: _link(path.name)(path, rng),
    "missing": _gone,
}
