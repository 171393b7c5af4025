"""Output folders of 10x Space Ranger, Visium and Visium HD: a feature-barcode matrix and the positions of spots."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.json_file import load_json
from seqexp.core.yaml_fields import number
from seqexp.histology.slides.feature_matrix import read_feature_matrix
from seqexp.histology.slides.flags import read_flags
from seqexp.histology.slides.joining import RawSpots
from seqexp.histology.slides.orientation import array_layout
from seqexp.histology.slides.positions import NAMES, read_positions
from seqexp.histology.slides.scale import Stated
from seqexp.histology.slides.spots import JoinReport

_MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix")
_FACTORS, _MPP = "scalefactors_json.json", "microns_per_pixel"
_SCALES = {"hires": "tissue_hires_scalef", "lowres": "tissue_lowres_scalef"}
_BINS, _BIN = "binned_outputs", re.compile(r"square_(\d{3})um")
_X, _Y = "pxl_col_in_fullres", "pxl_row_in_fullres"
_SUFFIX = re.compile(r"-\d+$")
_MISMATCH = 0.05
_DIAMETER, _DIAMETER_STEPS, _DIAMETER_TOLERANCE = "spot_diameter_fullres", 0.65, 0.25
_CELL = 3**0.5 / 4  # area of one array row by one array column, in squared distances of neighbours


def read_spaceranger(
    folder: Path, image: Path | None = None, only_tissue: bool = True, bin_um: int | None = None
) -> RawSpots:
    """Read the ``outs`` folder of one section.

    Parameters
    ----------
    folder : Path
        ``outs``, or the folder that holds it; of Visium HD also the folder of one bin (``square_008um``).
    image : Path, optional
        Image of the slide. If it is one of the downscaled ones (``tissue_hires_image.png``, …), positions are scaled to
        its pixels by ``scalefactors_json.json``.
    only_tissue : bool
        Leave out spots that Space Ranger did not find under tissue.
    bin_um : int, optional
        Width of the bins of Visium HD, where the folder holds several.

    Raises
    ------
    DataError
        A file is missing or damaged, there is no gene expression in the matrix, the width of bins is not told, or the
        positions or scale factors are those of another section.
    """
    folder = _with_bins(folder / "outs" if (folder / "outs").is_dir() else folder, bin_um)
    matrix, positions_file = _matrix_of(folder), _positions_of(folder)
    found = read_feature_matrix(matrix)
    positions = read_positions(positions_file)
    report = JoinReport(0).with_dropped("features that are not gene expression", found.others)
    barcodes = found.barcodes
    if not positions["barcode"].isin(barcodes).any():
        barcodes, positions, report = _without_suffix(barcodes, positions, report)
    is_tissue, is_unknown = read_flags(positions["in_tissue"], "in_tissue", positions_file)
    if matrix.name.startswith("filtered"):
        _require_same_section(barcodes, positions["barcode"][is_tissue], positions_file)
    if only_tissue:
        report = report.with_dropped("position whose in_tissue is unknown", positions["barcode"][is_unknown])
        report = report.with_dropped("position not under tissue", positions["barcode"][~is_tissue & ~is_unknown])
        positions = positions[is_tissue]
    scale = _scale_of(image, folder)
    if scale != 1.0:
        _require_same_factors(folder, positions)
    frame = pd.DataFrame(
        {
            "barcode": positions["barcode"],
            "x_px": positions[_X] * scale,
            "y_px": positions[_Y] * scale,
            "row": positions["array_row"],
            "column": positions["array_col"],
        }
    ).reset_index(drop=True)
    return RawSpots(frame, barcodes, found.counts, found.panel, report=report, pitch_um=_bin_width(folder))


def read_spaceranger_scale(folder: Path, image: Path, bin_um: int | None = None) -> Stated | None:
    """Microns per pixel of the image, where the scale factors state it (those of Visium HD do).

    Raises
    ------
    DataError, ConfigError
        The file of scale factors is damaged, or the width of bins is not told.
    """
    folder = _with_bins(folder / "outs" if (folder / "outs").is_dir() else folder, bin_um)
    path = folder / "spatial" / _FACTORS
    if not path.is_file():
        return None
    content = load_json(path)
    if content.get(_MPP) is None:
        return None
    mpp = number(content, _MPP, path, low=1e-3, high=1e3) / _scale_of(image, folder)
    return Stated(f"{_MPP} in {path}", mpp, mpp, is_weak=True)


def holds_bins(folder: Path) -> bool:
    """Whether a folder is one of Visium HD."""
    folder = folder / "outs" if (folder / "outs").is_dir() else folder
    return folder.name == _BINS or (folder / _BINS).is_dir() or _bin_width(folder) is not None


def _with_bins(folder: Path, bin_um: int | None) -> Path:
    """The folder of one width of bins, where the folder is one of Visium HD; else the folder itself."""
    root = folder if folder.name == _BINS else folder / _BINS
    if not root.is_dir():
        if bin_um is not None and bin_um != _bin_width(folder):
            raise DataError(f"bin_um: {bin_um}, and no bins of that width", where=folder, expected=f"a folder {_BINS}")
        return folder
    widths = sorted(int(match[1]) for path in root.iterdir() if (match := _BIN.fullmatch(path.name)))
    if bin_um not in widths:
        raise DataError(
            "bins of several widths" if bin_um is None else f"no bins of {bin_um} um",
            where=root,
            expected="one of: " + ", ".join(f"bin_um: {width}" for width in widths),
            fix="add bin_um: NUMBER to the slide",
        )
    return root / f"square_{bin_um:03d}um"


def _bin_width(folder: Path) -> float | None:
    match = _BIN.fullmatch(folder.name)
    return float(match[1]) if match else None


def _matrix_of(folder: Path) -> Path:
    for name in _MATRICES:
        for path in (folder / f"{name}.h5", folder / name):
            if path.exists():
                return path
    raise DataError("no feature-barcode matrix", where=folder, expected=" or ".join(f"{m}(.h5)" for m in _MATRICES))


def _positions_of(folder: Path) -> Path:
    for name in NAMES:
        if (folder / "spatial" / name).is_file():
            return folder / "spatial" / name
    raise DataError("no positions of spots", where=folder / "spatial", expected="one of: " + ", ".join(NAMES))


def _without_suffix(
    barcodes: pd.Index, positions: pd.DataFrame, report: JoinReport
) -> tuple[pd.Index, pd.DataFrame, JoinReport]:
    """Names without the number of the library (``-1``), where one of the two files has lost it and both stay unique."""
    bare = pd.Index([_SUFFIX.sub("", name) for name in barcodes])
    names = positions["barcode"].str.replace(_SUFFIX, "", regex=True)
    if bare.has_duplicates or names.duplicated().any() or not names.isin(bare).any():
        return barcodes, positions, report
    note = "barcodes joined without their number (-1), which one of the files lacks"
    return bare, positions.assign(barcode=names), report.with_note(note)


def _require_same_section(barcodes: pd.Index, under_tissue: pd.Series, where: Path) -> None:
    """A filtered matrix holds the spots under tissue; where both lists have spots of their own, they do not match."""
    extra = barcodes[~barcodes.isin(under_tissue)]
    absent = under_tissue[~under_tissue.isin(barcodes)]
    if len(extra) > _MISMATCH * len(barcodes) and len(absent) > _MISMATCH * len(under_tissue):
        raise DataError(
            f"{len(extra)} of {len(barcodes)} spots of the filtered matrix do not lie under tissue, and {len(absent)} "
            "that do are not in it",
            where=where,
            expected="the positions of the section that the matrix was counted on",
            fix="give the matrix and the spatial folder of one run of Space Ranger",
        )


def _require_same_factors(folder: Path, positions: pd.DataFrame) -> None:
    """Scale factors give the diameter of a spot, always 65 um, in pixels of the image that the positions count."""
    path = folder / "spatial" / _FACTORS
    content = load_json(path)
    if content.get(_DIAMETER) is None or _bin_width(folder) is not None:
        return
    diameter = number(content, _DIAMETER, path, low=1e-3, high=1e6)
    names = dict(zip(("column", "row", "x_px", "y_px"), ("array_col", "array_row", _X, _Y), strict=True))
    layout = array_layout(pd.DataFrame({new: positions[old] for new, old in names.items()}).assign(platform="Visium"))
    if layout is None:
        return
    # By area, which is the same where rows and columns were exchanged: that is told of the positions, not of these.
    pitch = float(np.sqrt(abs(np.linalg.det([layout.column_px, layout.row_px])) / _CELL))
    if abs(diameter / (_DIAMETER_STEPS * pitch) - 1) <= _DIAMETER_TOLERANCE:
        return
    raise DataError(
        f"{_DIAMETER} is {diameter:.4g}, and neighbouring spots are {pitch:.4g} px apart",
        where=path,
        expected=f"about {_DIAMETER_STEPS * pitch:.4g}: a spot is 65 um wide, and neighbours lie 100 um apart",
        fix="give the scale factors and the positions of one section",
    )


def _scale_of(image: Path | None, folder: Path) -> float:
    """Pixels of the image per pixel of the full-resolution one."""
    found = [key for word, key in _SCALES.items() if image is not None and f"tissue_{word}_image" in image.name]
    if not found:
        return 1.0
    path = folder / "spatial" / _FACTORS
    return number(load_json(path), found[0], path, low=1e-6, high=10.0)
