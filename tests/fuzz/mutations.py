"""Ways to damage a file: by the structure of its format where it has one, by its bytes where it has none."""

from __future__ import annotations

import copy
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

Rng = np.random.Generator
Mutation = tuple[str, Callable[[Path, Rng], None]]

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1.5, 2**70, float("nan"), float("inf"), "", "nan", "../../x", "/", "1e5", "0012"),
    *("x" * 5000, "a\tb", [], {}, [[1]], {"a": {"b": 1}}, [None], "{here}", "é", -0.0, 1e308, 10**6),
)
ODD_CELLS = (
    *("", "NA", "nan", "None", "inf", "-inf", "-1", "0", "1e400", "9" * 40, "1.5", "100.5", "x", "é", "0x10", "TRUE"),
    *(" 5", "5 ", '"', "4611686018427387904", "2147483648", ".", "+", "chr1", "1", "../x", "a\0b", "1,5"),
)
ODD_ARGUMENTS = ("-1", "0", "1e9", "999999999999", "nan", "inf", "1.5", "x", "", "é", "/", "0x10", "-0", "1e-300")


def mutations_of(path: Path) -> list[Mutation]:
    """All ways in which a file of this name can be damaged."""
    found: list[Mutation] = [(f"bytes: {name}", function) for name, function in BYTES.items()]
    suffix = path.suffix
    if suffix in {".tsv", ".bed", ".narrowPeak", ".fai", ".fa"}:
        found = [(f"text: {name}", function) for name, function in TEXT.items()] * 2 + found
    if suffix in {".yaml", ".json"}:
        found = [(f"values: {name}", _on_values(function)) for name, function in VALUES.items()] * 4 + found
    if suffix == ".npz":
        found = [(f"arrays: {name}", _on_arrays(function)) for name, function in ARRAYS.items()] * 2 + found
    if suffix in {".ckpt", ".pth"}:
        found = [(f"weights: {name}", _on_weights(function)) for name, function in VALUES.items()] * 3 + found
    if suffix == ".png":
        found = [(f"image: {name}", function) for name, function in IMAGES.items()] + found
    return found


# Bytes


def _flip(path: Path, rng: Rng, count: int) -> None:
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, max(len(content), 1), count if content else 0):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(bytes(content))


def _flip_head(path: Path, rng: Rng) -> None:
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, min(len(content), 200) or 1, 3 if content else 0):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(bytes(content))


def _cut(path: Path, rng: Rng) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(rng.integers(0, max(len(content), 1)))])


def _blank(path: Path, rng: Rng) -> None:
    content = bytearray(path.read_bytes())
    start = int(rng.integers(0, max(len(content), 1)))
    end = min(len(content), start + int(rng.integers(1, 2000)))
    content[start:end] = bytes(end - start)
    path.write_bytes(bytes(content))


def _folder(path: Path, rng: Rng) -> None:
    path.unlink()
    path.mkdir()


def _nowhere(path: Path, rng: Rng) -> None:
    path.unlink()
    path.symlink_to("nowhere")


BYTES: dict[str, Callable[[Path, Rng], None]] = {
    "one flipped": lambda path, rng: _flip(path, rng, 1),
    "twenty flipped": lambda path, rng: _flip(path, rng, 20),
    "head flipped": _flip_head,
    "cut": _cut,
    "a stretch of zeros": _blank,
    "empty": lambda path, rng: path.write_bytes(b"") and None,
    "gzip under a plain name": lambda path, rng: path.write_bytes(gzip.compress(path.read_bytes())) and None,
    "twice": lambda path, rng: path.write_bytes(path.read_bytes() * 2) and None,
    "noise": lambda path, rng: path.write_bytes(rng.bytes(4000)) and None,
    "a folder": _folder,
    "a link to nowhere": _nowhere,
    "missing": lambda path, rng: path.unlink(),
}

# Lines and cells of text


def _lines(change: Callable[[list[str], Rng], list[str]]) -> Callable[[Path, Rng], None]:
    def apply(path: Path, rng: Rng) -> None:
        lines = path.read_text().splitlines()
        path.write_text("\n".join(change(lines, rng)) + "\n", encoding="utf-8")

    return apply


def _cell(lines: list[str], rng: Rng) -> list[str]:
    row = int(rng.integers(len(lines)))
    cells = lines[row].split("\t")
    cells[int(rng.integers(len(cells)))] = str(rng.choice(ODD_CELLS))
    return [*lines[:row], "\t".join(cells), *lines[row + 1 :]]


def _column(lines: list[str], rng: Rng) -> list[str]:
    value, column = str(rng.choice(ODD_CELLS)), int(rng.integers(max(len(lines[0].split("\t")), 1)))
    rows = [line.split("\t") for line in lines]
    return ["\t".join([*row[:column], value, *row[column + 1 :]]) for row in rows]


def _shift(lines: list[str], rng: Rng) -> list[str]:
    row = int(rng.integers(len(lines)))
    cells = lines[row].split("\t")
    cells = cells[1:] if rng.random() < 0.5 else [*cells[: len(cells) // 2], "7", *cells[len(cells) // 2 :]]
    return [*lines[:row], "\t".join(cells), *lines[row + 1 :]]


def _swap_columns(lines: list[str], rng: Rng) -> list[str]:
    count = max(len(lines[0].split("\t")), 1)
    first, second = rng.integers(count, size=2)

    def swapped(line: str) -> str:
        cells = line.split("\t")
        if max(first, second) < len(cells):
            cells[first], cells[second] = cells[second], cells[first]
        return "\t".join(cells)

    return [swapped(line) for line in lines]


TEXT: dict[str, Callable[[Path, Rng], None]] = {
    "a cell": _lines(_cell),
    "another cell": _lines(_cell),
    "a column": _lines(_column),
    "a row shifted": _lines(_shift),
    "columns exchanged": _lines(_swap_columns),
    "a row twice": _lines(lambda lines, rng: [*lines, lines[int(rng.integers(len(lines)))]]),
    "no header": _lines(lambda lines, rng: lines[1:]),
    "header alone": _lines(lambda lines, rng: lines[:1]),
    "rows in another order": _lines(lambda lines, rng: [lines[n] for n in rng.permutation(len(lines))]),
    "comments and blank lines": _lines(lambda lines, rng: ["# told", *lines[:1], "", *lines[1:], "#"]),
    "commas": _lines(lambda lines, rng: [line.replace("\t", ",") for line in lines]),
    "lines of Windows": _lines(lambda lines, rng: [line + "\r" for line in lines]),
    "a mark of byte order": lambda path, rng: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()) and None,
    "UTF-16": lambda path, rng: path.write_text(path.read_text(), encoding="utf-16") and None,
    "names without chr": _lines(lambda lines, rng: [line.replace("chr", "") for line in lines]),
    "other names": _lines(lambda lines, rng: [line.replace("chr", "scaffold_") for line in lines]),
    "small letters": _lines(lambda lines, rng: [line.lower() for line in lines]),
}

# Values in trees: YAML, JSON, checkpoints


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        _places(value, found)
    return found


def _place(tree: Any, rng: Rng) -> tuple[Any, Any]:
    places = _places(tree, [])
    return places[int(rng.integers(len(places)))] if places else (tree, None)


def _replace(tree: Any, rng: Rng) -> None:
    parent, key = _place(tree, rng)
    value = parent[key]
    if isinstance(value, torch.Tensor) and rng.random() < 0.7:
        parent[key] = (value[None], value.double() * float("nan"), value.to(torch.int8), value.flatten()[:1])[
            int(rng.integers(4))
        ]
    else:
        parent[key] = copy.deepcopy(ODD_VALUES[int(rng.integers(len(ODD_VALUES)))])


def _drop(tree: Any, rng: Rng) -> None:
    parent, key = _place(tree, rng)
    del parent[key]


def _add(tree: Any, rng: Rng) -> None:
    parent, _ = _place(tree, rng)
    if isinstance(parent, dict):
        parent["unheard_of"] = 1
    else:
        parent.append(1)


def _rename(tree: Any, rng: Rng) -> None:
    parent, key = _place(tree, rng)
    if isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)
    else:
        parent[key] = [parent[key]]


def _into_itself(tree: Any, rng: Rng) -> None:
    parent, key = _place(tree, rng)
    parent[key] = tree if isinstance(tree, dict) and rng.random() < 0.3 else [parent[key], parent[key]]


VALUES: dict[str, Callable[[Any, Rng], None]] = {
    "another value": _replace,
    "yet another value": _replace,
    "dropped": _drop,
    "added": _add,
    "renamed": _rename,
    "a list": _into_itself,
}


def _on_values(change: Callable[[Any, Rng], None]) -> Callable[[Path, Rng], None]:
    def apply(path: Path, rng: Rng) -> None:
        is_json = path.suffix == ".json"
        tree = json.loads(path.read_text()) if is_json else yaml.safe_load(path.read_text())
        change(tree, rng)
        try:
            path.write_text(json.dumps(tree) if is_json else yaml.safe_dump(tree))
        except ValueError:  # JSON cannot hold itself
            path.write_text("[" * 100_000)

    return apply


def _on_weights(change: Callable[[Any, Rng], None]) -> Callable[[Path, Rng], None]:
    def apply(path: Path, rng: Rng) -> None:
        tree = torch.load(path, weights_only=False)
        change(tree if type(tree) is dict else dict(tree), rng)
        torch.save(tree, path)

    return apply


# Arrays


def _on_arrays(change: Callable[[dict[str, Any], str, Rng], None]) -> Callable[[Path, Rng], None]:
    def apply(path: Path, rng: Rng) -> None:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        change(arrays, str(rng.choice(sorted(arrays))), rng)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        path.write_bytes(buffer.getvalue())

    return apply


def _odd_number(arrays: dict[str, Any], name: str, rng: Rng) -> None:
    values = np.array(arrays[name])
    if values.size and values.dtype.kind in "fiu":
        odd = (float("nan"), float("inf"), -1.0, 2.0, 1e30) if values.dtype.kind == "f" else (-1, 0, 2**31 - 1)
        values.flat[int(rng.integers(values.size))] = odd[int(rng.integers(len(odd)))]
    arrays[name] = values


ARRAYS: dict[str, Callable[[dict[str, Any], str, Rng], None]] = {
    "a number": _odd_number,
    "another number": _odd_number,
    "dropped": lambda arrays, name, rng: arrays.pop(name) and None,
    "shorter": lambda arrays, name, rng: arrays.update({name: np.atleast_1d(arrays[name])[:-1]}),
    "turned": lambda arrays, name, rng: arrays.update({name: np.transpose(arrays[name])}),
    "text": lambda arrays, name, rng: arrays.update({name: np.asarray(arrays[name]).astype(str)}),
    "whole numbers": lambda arrays, name, rng: arrays.update({name: np.zeros(np.shape(arrays[name]), np.int8)}),
    "objects": lambda arrays, name, rng: arrays.update({name: np.asarray([{}, None], object)}),
}

# Images


def _image(change: Callable[[Image.Image], Image.Image], **saved: Any) -> Callable[[Path, Rng], None]:
    def apply(path: Path, rng: Rng) -> None:
        with Image.open(path) as image:
            changed = change(image)
        changed.save(path, **saved)

    return apply


IMAGES: dict[str, Callable[[Path, Rng], None]] = {
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
