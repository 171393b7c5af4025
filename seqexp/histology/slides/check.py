"""Do the files of a histology dataset belong together? Images, positions, counts, genes and splits, all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqexp.core.check import Asker, CheckReport
from seqexp.histology.slides.joining import measured_pitch_um
from seqexp.histology.slides.orientation import array_layout
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.scale import differs
from seqexp.histology.slides.slide import Slide
from seqexp.histology.slides.slide_set import SlideSet
from seqexp.histology.slides.spots import SpotTable

_PITCH_TOLERANCE = 0.05
_BETTER_SHARE = 0.1
_DARK = 100  # a brightfield image has glass, or at least pale stroma


def check_slides(slide_set: SlideSet) -> CheckReport:
    """Open every file of a dataset and compare them.

    Returns
    -------
    CheckReport
        Every problem found, not just the first one: a slide that cannot be read ends only the questions about itself.
    """
    ask = Asker()
    tables = []
    for name in slide_set.spec.slides:
        slide = None
        with ask(name, "image") as tell:
            slide = slide_set.slide(name)
            tell(_image(slide))
        if slide is None:
            continue
        table = None
        with ask(name, "spots"):
            table = slide_set.read(name)
        if table is not None:
            tables.append(table)
            _check_spots(ask, slide, table, slide_set.expected_pitch_um(table))
    if len(tables) == len(slide_set.spec.slides):
        with ask("slides.yaml", "genes") as tell:
            tell(_genes(slide_set, tables))
        splits: Sequence[str] = ()
        with ask("slides.yaml", "splits"):
            splits = slide_set.split_names
        for name in splits:
            with ask("slides.yaml", f"split {name}") as tell:
                tell(_split(slide_set, name))
    return CheckReport(tuple(ask.rows))


def _image(slide: Slide) -> tuple[str, bool]:
    for x in (0, slide.width_px - 1):  # a corner of the image decodes, or all of it where it has no tiles
        slide.read_region_px(x, slide.height_px - 1 if x else 0, 1, 1)
    told = f"{slide.width_px} x {slide.height_px} px, {slide.mpp:.4g} um/px, {len(slide.levels)} levels"
    stated = slide.stated
    if stated is None:
        return told, True
    if stated.problem:
        return f"{told}; the file says {stated.source}, but {stated.problem}", True
    if differs(slide.mpp, stated.x_um):
        return f"{told}, but {stated.x_um:.4g} by {stated.source}", False
    return f"{told} (as {stated.source})", True


def _check_spots(ask: Asker, slide: Slide, table: SpotTable, pitch_um: float | None) -> None:
    name = slide.name
    with ask(name, "join") as tell:
        tell((table.reports[name].render(), not table.reports[name].dropped))
    with ask(name, "counts") as tell:
        tell(_depth(table))
    with ask(name, "pitch") as tell:
        tell(_pitch(slide, table, pitch_um))
    with ask(name, "orientation") as tell:
        tell(_orientation(table))
    with ask(name, "tissue") as tell:
        tell(_tissue(slide, table))


def _depth(table: SpotTable) -> tuple[str, bool]:
    sums = table.frame["total_counts"].to_numpy()
    empty = int((sums == 0).sum())
    told = f"{len(table.panel)} genes, median {np.median(sums):,.0f} counts per spot"
    return told + (f", {empty} spots without any" if empty else ""), empty == 0


def _pitch(slide: Slide, table: SpotTable, pitch_um: float | None) -> tuple[str, bool]:
    found = measured_pitch_um(table.frame)
    if not found and platform_of(table.frame["platform"].iloc[0]).grid == "none" and (table.frame["row"] >= 0).all():
        return "spots have places on an array, and no platform is named to compare them and the scale with", False
    if not found:
        return "no grid to measure", True
    expected = pitch_um or platform_of(table.frame["platform"].iloc[0]).nearest_pitch_um(found)
    if expected is None:
        return f"{found:.4g} um between neighbours", True
    is_right = abs(found / expected - 1) <= _PITCH_TOLERANCE
    told = f"{found:.4g} um between neighbours, {expected:g} expected"
    return told + ("" if is_right else f": mpp: {slide.mpp * expected / found:.4g} would be right"), is_right


def _tissue(slide: Slide, table: SpotTable) -> tuple[str, bool]:
    mask, places = slide.tissue_mask(16.0), table.frame[["x_um", "y_um"]].to_numpy()
    share, exchanged = (float(mask.contains(points).mean()) for points in (places, places[:, ::-1]))
    told, is_bright = f"{share:.0%} of the spots lie on it", mask.brightest >= _DARK
    is_exchanged = exchanged > share + _BETTER_SHARE  # the only sign of it where no array tells
    if is_exchanged:
        told += f", {exchanged:.0%} with x and y exchanged"
    if not is_bright:
        told += (
            f"; the brightest of the image is {mask.brightest:.0f} of 255: it is fluorescence, or its samples use "
            "fewer bits than the file says"
        )
    return told, share > 0.5 and is_bright and not is_exchanged


def _orientation(table: SpotTable) -> tuple[str, bool]:
    layout = array_layout(table.frame)
    if layout is None:
        return "no grid to compare", True
    return layout.render(), layout.is_upright or layout.is_mirrored


def _genes(slide_set: SlideSet, tables: list[SpotTable]) -> tuple[str, bool]:
    most = max(len(table.panel) for table in tables)
    num = len(slide_set.spots.panel)
    told = f"{num} in all slides, up to {most} in one"
    cased = max(tables[0].panel.num_in_other_case(table.panel) for table in tables)
    if cased:
        told += f"; {cased} have one name in upper and lower case: are all slides of one organism?"
    return told, num > 0.5 * most and not cased


def _split(slide_set: SlideSet, name: str) -> tuple[str, bool]:
    audit = slide_set.fold(name).audit
    return audit.render().replace("\n", "; "), not audit.findings
