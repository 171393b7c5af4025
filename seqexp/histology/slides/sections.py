"""One section of a table of spots that may hold several: two sections are never laid on one image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seqexp.core.errors import DataError

ALL = "all"
# Columns that tell sections apart where they hold several values.
_KEYS = (
    *("library_id", "library", "sample_id", "sample", "section_id", "section", "slide_id", "slide"),
    *("capture_area", "array_id", "batch", "orig.ident"),
)
_BARCODE = re.compile(r"([ACGT]{12,})(?![A-Za-z0-9])")
_MOST_SHOWN, _MOST_SECTIONS = 12, 1000


def only_section(data: Any, library: str | None, library_key: str, path: Path) -> Any:
    """The spots of one section of an AnnData.

    Parameters
    ----------
    data : AnnData
    library : str or None
        Value of ``obs[library_key]``; ``all``: the spots are of one section, whatever the file calls them.
    library_key : str
    path : Path

    Raises
    ------
    DataError
        The library is not there; or none is named and there are several.
    """
    library = None if library is None else str(library)
    names = _names(data.obs[library_key]) if library_key in data.obs else None
    if library is not None and (names is None or library not in set(names)):
        if library == ALL:
            return data
        columns = ", ".join(map(str, data.obs.columns))
        raise DataError(
            f"no spot with {library_key} {library!r}" if names is not None else f"no column {library_key!r} in obs",
            where=path,
            expected=f"one of: {_listed(names)}" if names is not None else f"library_key: one of {columns}",
        )
    if library is not None and names is not None:
        return data[(names == library).to_numpy()]
    _require_one(data, library_key, path)
    return data


def _require_one(data: Any, library_key: str, path: Path) -> None:
    """Refuse a table of several sections, told by a column, by its images, or by places and barcodes that recur."""
    for key in dict.fromkeys((library_key, *_KEYS)):
        if key in data.obs and 1 < (names := _names(data.obs[key])).nunique() <= _MOST_SECTIONS:
            raise _several(f"{names.nunique()} values of {key}", key, _listed(names), path)
    images = data.uns.get("spatial")
    shown = [str(name) for name in images if isinstance(images[name], Mapping)] if isinstance(images, Mapping) else []
    if len(shown) > 1:
        raise _several(f"the images of {len(shown)} sections", None, ", ".join(shown), path)
    places = _places(data)
    is_twice = places.duplicated(keep=False) & places.notna()
    if not is_twice.any():
        return
    told = (
        f"{int(is_twice.sum())} spots on a place or with a barcode that another has, such as {places[is_twice].iloc[0]}"
    )
    for key in data.obs.columns:
        names = _names(data.obs[key])
        pairs = pd.DataFrame({"name": names.to_numpy(), "place": places.to_numpy()})[is_twice.to_numpy()]
        is_grouping = names.nunique() > 1 and names.value_counts().min() > 1
        if is_grouping and not pairs.duplicated().any():
            raise _several(told, str(key), _listed(names), path)
    raise DataError(f"several sections in one file: {told}", where=path, expected="the spots of one section")


def _places(data: Any) -> pd.Series:
    """Where a spot stands on its array (S,): row and column, or else the sequence of its barcode; None if unknown."""
    if {"array_row", "array_col"} <= set(data.obs.columns):
        pairs = zip(data.obs["array_row"], data.obs["array_col"], strict=True)
        return pd.Series([None if pd.isna(row) or pd.isna(column) else f"{row}, {column}" for row, column in pairs])
    matches = (_BARCODE.match(str(name)) for name in data.obs_names)
    return pd.Series([match[1] if match else None for match in matches], dtype=object)


def _names(values: pd.Series) -> pd.Series:
    """A column as text; 2 and 2.0 are the same name."""
    return values.astype(object).map(
        lambda value: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    )


def _listed(names: pd.Series) -> str:
    found = list(dict.fromkeys(names))
    return ", ".join(found[:_MOST_SHOWN]) + (" …" if len(found) > _MOST_SHOWN else "")


def _several(found: str, key: str | None, names: str, path: Path) -> DataError:
    which = "" if key is None else f"library_key: {key}, "
    return DataError(
        f"several sections in one file: {found}",
        where=path,
        expected=f"{which}library: one of {names}",
        fix=f"name the section of this image; library: {ALL} if all spots are of one section",
    )
