"""Where a data set is described, and one message where it is not."""

from __future__ import annotations

from pathlib import Path

from seqexp.core.errors import DataError


def described(path: Path, name: str) -> Path:
    """The description of a data set, given by the file or by its folder.

    Parameters
    ----------
    path : Path
    name : str
        Of the file in the folder, such as ``dataset.yaml``.

    Raises
    ------
    DataError
        It is not there, or no longer.
    """
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"no such file: {file}",
            where="data.init_args.dataset",
            expected=f"a {name}, or the folder that holds it",
            fix="prepare the data or, where they have moved, say where they are: --data.init_args.dataset=PATH",
        )
    return file
