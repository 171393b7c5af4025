"""Damage to tables, plain or gzipped: cells, columns, rows, line ends, codes and names of chromosomes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

from damage_bytes import Damage, Rng

ODD_CELLS = (
    *("", "NA", "nan", "None", "inf", "-inf", "-1", "0", "1e400", "9" * 40, "1.5", "100.5", "x", "é", "0x10", "TRUE"),
    *(" 5", "5 ", '"', "4611686018427387904", "2147483648", ".", "+", "chr1", "1", "../x", "a\0b", "1,5", "1e5", "٣"),
)
Lines = Callable[[list[str], str, Rng], tuple[list[str], str]]


def text_of(path: Path) -> str:
    """Content of a plain or gzipped text."""
    content = path.read_bytes()
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()


def _write(path: Path, text: str, encoding: str = "utf-8") -> None:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _lines(change: Lines) -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        lines = text_of(path).splitlines()
        separator = next((mark for mark in "\t, " if mark in lines[-1]), "\t")
        lines, told = change(lines, separator, rng)
        _write(path, "\n".join(lines) + "\n")
        return told

    return apply


def _cell(lines: list[str], separator: str, rng: Rng) -> tuple[list[str], str]:
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(separator)
    place = int(rng.integers(len(cells)))
    before, cells[place] = cells[place], str(rng.choice(ODD_CELLS))
    told = f"row {row}, column {place}: {before[:30]!r} to {cells[place][:30]!r}"
    return [*lines[:row], separator.join(cells), *lines[row + 1 :]], told


def _column(lines: list[str], separator: str, rng: Rng) -> tuple[list[str], str]:
    value, column = str(rng.choice(ODD_CELLS)), int(rng.integers(len(lines[-1].split(separator))))
    rows = [line.split(separator) for line in lines]
    changed = [separator.join([*row[:column], value, *row[column + 1 :]]) for row in rows[1:]]
    return [lines[0], *changed], f"column {column}: {value[:30]!r}"


def _shift(lines: list[str], separator: str, rng: Rng) -> tuple[list[str], str]:
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(separator)
    is_shorter = rng.random() < 0.5
    cells = cells[1:] if is_shorter else [*cells[: len(cells) // 2], "7", *cells[len(cells) // 2 :]]
    told = f"row {row}, {'a cell less' if is_shorter else 'a cell more'}"
    return [*lines[:row], separator.join(cells), *lines[row + 1 :]], told


def _exchanged(lines: list[str], separator: str, rng: Rng) -> tuple[list[str], str]:
    first, second = sorted(rng.integers(len(lines[-1].split(separator)), size=2).tolist())

    def exchanged(line: str) -> str:
        cells = line.split(separator)
        if second < len(cells):
            cells[first], cells[second] = cells[second], cells[first]
        return separator.join(cells)

    return [exchanged(line) for line in lines], f"{first} and {second}"


def _plain(change: Callable[[list[str], Rng], list[str]]) -> Damage:
    return _lines(lambda lines, separator, rng: (change(lines, rng), ""))


def _replaced(old: str, new: str) -> Damage:
    return _plain(lambda lines, rng: [line.replace(old, new) for line in lines])


def _encoded(encoding: str, mark: str = "") -> Damage:
    def apply(path: Path, rng: Rng) -> str:
        _write(path, mark + text_of(path), encoding)
        return ""

    return apply


TEXT: dict[str, Damage] = {
    "a cell": _lines(_cell),
    "another cell": _lines(_cell),
    "a column": _lines(_column),
    "a row shifted": _lines(_shift),
    "columns exchanged": _lines(_exchanged),
    "a row twice": _plain(lambda lines, rng: [*lines, lines[int(rng.integers(len(lines)))]]),
    "no header": _plain(lambda lines, rng: lines[1:]),
    "header alone": _plain(lambda lines, rng: lines[:1]),
    "rows in another order": _plain(lambda lines, rng: [lines[n] for n in rng.permutation(len(lines))]),
    "comments and blank lines": _plain(lambda lines, rng: ["# told", *lines[:1], "", *lines[1:], "#"]),
    "commas": _replaced("\t", ","),
    "blanks": _replaced("\t", " "),
    "lines of Windows": _plain(lambda lines, rng: [line + "\r" for line in lines]),
    "a mark of byte order": _encoded("utf-8", "\ufeff"),
    "UTF-16": _encoded("utf-16"),
    "names without chr": _replaced("chr", ""),
    "other names": _replaced("chr", "scaffold_"),
    "small letters": _plain(lambda lines, rng: [line.lower() for line in lines]),
}
