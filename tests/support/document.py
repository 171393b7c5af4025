"""Blocks of a Markdown page, and a reader who types them one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:yaml|py))`")
_NUMBER = re.compile(r"-?\d[\d.,]*")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the file that the paragraph before it names last."""

    kind: str
    text: str
    file: str | None


def blocks(page: str) -> list[Block]:
    """All blocks of a page that have a language, in order."""
    found, end = [], 0
    for match in _FENCE.finditer(page):
        before = page[end : match.start()].strip().rpartition("\n\n")[2]
        named = _FILE.findall(before)
        if match[1]:
            found.append(Block(match[1], match[2], named[-1] if named else None))
        end = match.end()
    return found


def commands(text: str) -> list[list[str]]:
    """The commands of a bash block as lists of words: lines joined at a backslash, split at &&, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    return [command for command in words if command]


def shape(line: str) -> str:
    """A printed line without its figures and its widths of columns."""
    return " ".join(_NUMBER.sub("#", line).split())


class Reader:
    """Follows a page in the current folder.

    Parameters
    ----------
    run : callable
        Runs one command, given as words.
    printed : callable
        What was printed since it was last asked.
    """

    def __init__(self, run: Callable[[list[str]], None], printed: Callable[[], str]) -> None:
        self._run, self._printed = run, printed
        self._names: dict[str, object] = {}
        self._output = ""

    def follow(self, page: str, name: str) -> None:
        """Write its files, run its commands and its Python, and compare what it says is printed with what is."""
        for block in blocks(page):
            self._do(block, name)

    def _do(self, block: Block, page: str) -> None:
        if block.file is not None and block.kind in ("yaml", "python"):
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
        elif block.kind == "bash":
            for command in commands(block.text):
                self._run(command)
            self._output = self._printed()
        elif block.kind == "python":
            exec(compile(block.text, page, "exec"), self._names)
            self._output = self._printed()
        elif block.kind == "text":
            seen = [shape(line) for line in self._output.splitlines()]
            lost = [line for line in block.text.splitlines() if line.strip("… ") and shape(line) not in seen]
            assert not lost, f"{page} shows lines that are not printed:\n" + "\n".join([*lost, "", *seen])
        else:
            raise AssertionError(f"{page}: a block of {block.kind} that nobody follows:\n{block.text}")
