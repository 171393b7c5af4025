"""Downloading by HTTP into a ``.part`` file that survives breaks, and later runs, and is resumed by Range."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqexp.core.errors import DataError

_BLOCK = 1 << 18
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_PAUSE_S = 60.0

# Called with (bytes so far, bytes in all or None).
Progress = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Patience:
    """How long to insist.

    Parameters
    ----------
    attempts : int
        Requests in a row that bring nothing new before giving up.
    pause_s : float
        Wait after the first failure, seconds; doubled after each further one, at most one minute.
    timeout_s : float
        Silence of the server that counts as a break, seconds.
    """

    attempts: int = 6
    pause_s: float = 1.0
    timeout_s: float = 30.0


class _BreakError(Exception):
    """The transfer broke in a way that trying again may cure."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def part_path(target: Path) -> Path:
    """Where the unfinished download of ``target`` lies."""
    return target.with_name(f".{target.name}.part")


def drop_links(part: Path) -> None:
    """What lies in the place of an unfinished download as a link is none, and is not written through."""
    for path in (part, _tag_path(part)):
        if path.is_symlink():
            path.unlink()


def discard(part: Path) -> None:
    """Remove an unfinished download and the version tag beside it."""
    part.unlink(missing_ok=True)
    _tag_path(part).unlink(missing_ok=True)


def download(
    url: str,
    part: Path,
    progress: Progress,
    patience: Patience,
    *,
    is_checked_later: bool = False,
    expected_bytes: int | None = None,
) -> None:
    """Transfer until the body at ``url`` is whole in ``part``.

    Parameters
    ----------
    url : str
        Address of the file.
    part : Path
        Unfinished file: continued if it exists, kept when this fails.
    progress, patience
        See :class:`Patience` and ``Progress``.
    is_checked_later : bool
        A known sum will be compared, so bytes of an earlier run may be continued even where the server names no
        version of its file.
    expected_bytes : int, optional
        Size to refuse other offers by, before anything is transferred.

    Raises
    ------
    DataError
        The address is wrong or answers with an error that will not go away, or the patience ran out.
    OSError
        The part file cannot be written.
    """
    failures, furthest = 0, _size(part)
    while True:
        if not is_checked_later and _read_tag(part) is None:
            discard(part)
        try:
            _transfer(url, part, progress, patience.timeout_s, expected_bytes=expected_bytes)
            return
        except _BreakError as error:
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= patience.attempts:
                raise DataError(
                    f"could not download {url.rsplit('/', 1)[-1]}: {error}",
                    where=url,
                    expected="a server that answers and sends the whole file",
                    fix="check the network and run the same command again, it resumes; or use --mirror DIR",
                ) from error
            pause = error.wait_s if error.wait_s is not None else patience.pause_s * 2 ** max(failures - 1, 0)
            time.sleep(min(pause, _LONGEST_PAUSE_S))


def _transfer(url: str, part: Path, progress: Progress, timeout_s: float, *, expected_bytes: int | None) -> None:
    """One request: append what is missing to ``part``, or start over where the server cannot resume."""
    import requests  # slow to import, needed only here

    offset, tag = _size(part), _read_tag(part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "seqexp"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if tag:
            headers["If-Range"] = tag
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as response:
            if _has_body(url, response, part, offset):
                start = offset if response.status_code == 206 else 0
                _refuse_size(url, _total(response, start), expected_bytes, part)
                _append(response, part, start, progress)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema) as e:
        raise DataError(f"not a web address: {url}", expected="http:// or https://", fix="correct the recipe") from e
    except requests.exceptions.RequestException as error:
        raise _BreakError(_reason(error)) from error


def _has_body(url: str, response: Any, part: Path, offset: int) -> bool:
    """Whether bytes follow that continue or replace the part; False when nothing is missing any more."""
    status, content_range = response.status_code, response.headers.get("Content-Range", "")
    if status == 416 and content_range == f"bytes */{offset}":
        return False
    if status == 416 or (status == 206 and not content_range.startswith(f"bytes {offset}-")):
        discard(part)
        raise _BreakError("the server cannot resume where the download stopped; starting over", wait_s=0.0)
    if status in _RETRY_STATUS:
        after = response.headers.get("Retry-After", "")
        raise _BreakError(f"the server answered {status}", wait_s=float(after) if after.isdigit() else None)
    if status not in {200, 206}:
        raise DataError(
            f"the server answered {status} {response.reason or ''}".rstrip(),
            where=url,
            expected="the file at this address",
            fix="the address may have changed: correct the url in the recipe, or use --mirror DIR",
        )
    return True


def _refuse_size(url: str, total: int | None, expected_bytes: int | None, part: Path) -> None:
    if expected_bytes is not None and total is not None and total != expected_bytes:
        discard(part)
        raise DataError(
            f"the server offers a file of {total} bytes", where=url, expected=f"{expected_bytes} bytes",
            fix="the published file has changed: compare it with the recipe",
        )  # fmt: skip


def _append(response: Any, part: Path, start: int, progress: Progress) -> None:
    from urllib3.exceptions import HTTPError

    total, done = _total(response, start), start
    _write_tag(part, response)
    with open(part, "r+b" if start else "wb") as handle:
        handle.seek(start)
        handle.truncate()
        progress(done, total)
        try:
            # Raw, because a .gz file sent with a Content-Encoding must stay compressed to match its sum.
            for block in response.raw.stream(_BLOCK, decode_content=False):
                handle.write(block)
                done += len(block)
                progress(done, total)
        except (HTTPError, ConnectionError, TimeoutError) as error:
            raise _BreakError(f"the connection broke after {done} bytes") from error
    if total is not None and done < total:
        raise _BreakError(f"the body is truncated: {done} of {total} bytes")


def _total(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name in {"ConnectionError", "ConnectTimeout"}:
        return "the host cannot be reached"
    return "the server does not answer in time" if "Timeout" in name else f"{name}: {error}"


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


# The server's version tag lies beside the part, so that a later run resumes the same version or starts over.
def _tag_path(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _read_tag(part: Path) -> str | None:
    path = _tag_path(part)
    return path.read_text(encoding="utf-8") if path.exists() and part.exists() else None


def _write_tag(part: Path, response: Any) -> None:
    etag = response.headers.get("ETag") or ""
    tag = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")  # If-Range wants strong
    if tag:
        _tag_path(part).write_text(tag, encoding="utf-8")
    else:
        _tag_path(part).unlink(missing_ok=True)
