"""Checking a dataset: questions asked of files, each answered on a line of its own, all errors at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from seqexp.core.errors import DataError, SeqexpError

Status = Literal["ok", "warn", "error"]
Answer = str | tuple[str, bool]


@dataclass(frozen=True)
class CheckRow:
    """One question asked of one file: what was looked at, what was found, and whether that is right."""

    file: str
    what: str
    found: str
    status: Status
    error: SeqexpError | None = None


@dataclass(frozen=True)
class CheckReport:
    """All answers, in the order asked."""

    rows: tuple[CheckRow, ...]

    @property
    def ok(self) -> bool:
        """No row is an error; warnings are allowed."""
        return not self.errors

    @property
    def errors(self) -> tuple[CheckRow, ...]:
        """Rows with status error."""
        return tuple(row for row in self.rows if row.status == "error")

    def render(self) -> str:
        """Aligned text table, then every error in full, then one line with the verdict."""
        lines = [("", "file", "what", "found")]
        lines += [(row.status, row.file, row.what, row.found) for row in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        text = ["  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[3]]) for line in lines]
        for row in self.errors:
            if row.error is not None:
                text += ["", f"error in {row.file}: {row.error}"]
        num_warnings = sum(row.status == "warn" for row in self.rows)
        verdict = "the files belong together" if self.ok else "the dataset cannot be used as it is"
        return "\n".join([*text, "", f"{len(self.errors)} errors, {num_warnings} warnings: {verdict}"])

    def require_ok(self) -> None:
        """Raise when there are errors.

        Raises
        ------
        DataError
            With every error in full; a single one as it was.
        """
        if len(self.errors) == 1 and self.errors[0].error is not None:
            raise self.errors[0].error
        if not self.ok:
            told = "\n".join(str(row.error or row.found) for row in self.errors)
            raise DataError(f"{len(self.errors)} errors in the dataset\n{told}")


class Asker:
    """Questions asked of files: what is told becomes a row, and so does a SeqexpError, which ends its question only.

    For example::

        with ask("genes.tsv", "rows") as tell:
            tell(f"{num_read(path)} genes")

    Nothing need be told: a question may only try whether something can be done.
    """

    def __init__(self) -> None:
        self.rows: list[CheckRow] = []

    @contextmanager
    def __call__(self, file: str, what: str) -> Iterator[Callable[[Answer], None]]:
        """Ask something of a file; what is handed out takes the answer: text, or text and whether it is fine."""

        def tell(answer: Answer) -> None:
            found, is_fine = (answer, True) if isinstance(answer, str) else answer
            self.rows.append(CheckRow(file, what, found, "ok" if is_fine else "warn"))

        try:
            yield tell
        except SeqexpError as error:
            if all(str(row.error) != str(error) for row in self.rows):
                self.rows.append(CheckRow(file, what, error.found.split("\n")[0], "error", error))
