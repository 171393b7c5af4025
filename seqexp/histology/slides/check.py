"""Do the files of a histology dataset belong together? Images, positions, counts, genes and splits, all at once."""

from __future__ import annotations

import numpy as np

from seqexp.core.check import Asker, CheckReport
from seqexp.histology.slides.joining import measured_pitch_um
from seqexp.histology.slides.orientation import array_layout
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.slide import Slide
from seqexp.histology.slides.slide_set import SlideSet
from seqexp.histology.slides.spots import SpotTable

_PITCH_TOLERANCE = 0.05


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
        slide = ask.value(name, "image", lambda name=name: slide_set.slide(name))  # type: ignore[misc]
        if slide is None:
            continue
        ask(name, "image", lambda slide=slide: _image(slide))  # type: ignore[misc]
        table = ask.value(name, "spots", lambda name=name: slide_set.read(name))  # type: ignore[misc]
        if table is not None:
            tables.append(table)
            _check_spots(ask, name, slide, table)
    if len(tables) == len(slide_set.spec.slides):
        ask("slides.yaml", "genes", lambda: _genes(slide_set, tables))
        for name in ask.value("slides.yaml", "splits", lambda: slide_set.split_names) or ():
            ask("slides.yaml", f"split {name}", lambda name=name: _split(slide_set, name))  # type: ignore[misc]
    return CheckReport(tuple(ask.rows))


def _image(slide: Slide) -> str:
    for x in (0, slide.width_px - 1):  # a corner of the image decodes, or all of it where it has no tiles
        slide.read_region_px(x, slide.height_px - 1 if x else 0, 1, 1)
    return f"{slide.width_px} x {slide.height_px} px, {slide.mpp:.4g} um/px, {len(slide.levels)} levels"


def _check_spots(ask: Asker, name: str, slide: Slide, table: SpotTable) -> None:
    def joined() -> tuple[str, bool]:
        return table.reports[name].render(), not table.reports[name].dropped

    def depth() -> tuple[str, bool]:
        sums = table.frame["total_counts"].to_numpy()
        empty = int((sums == 0).sum())
        told = f"{len(table.panel)} genes, median {np.median(sums):,.0f} counts per spot"
        return told + (f", {empty} spots without any" if empty else ""), empty == 0

    def pitch() -> tuple[str, bool]:
        expected, found = platform_of(table.frame["platform"].iloc[0]).pitch_um, measured_pitch_um(table.frame)
        if expected is None or found is None:
            return "no grid to measure" if found is None else f"{found:.1f} um between neighbours", True
        is_right = abs(found / expected - 1) <= _PITCH_TOLERANCE
        return f"{found:.1f} um between neighbours, {expected:g} expected", is_right

    def tissue() -> tuple[str, bool]:
        share = float(slide.tissue_mask(16.0).contains(table.frame[["x_um", "y_um"]]).mean())
        return f"{share:.0%} of the spots lie on it", share > 0.5

    ask(name, "join", joined)
    ask(name, "counts", depth)

    def orientation() -> tuple[str, bool]:
        layout = array_layout(table.frame)
        if layout is None:
            return "no grid to compare", True
        return layout.render(), layout.is_upright or layout.is_mirrored

    ask(name, "pitch", pitch)
    ask(name, "orientation", orientation)
    ask(name, "tissue", tissue)


def _genes(slide_set: SlideSet, tables: list[SpotTable]) -> tuple[str, bool]:
    most = max(len(table.panel) for table in tables)
    num = len(slide_set.spots.panel)
    return f"{num} in all slides, up to {most} in one", num > 0.5 * most


def _split(slide_set: SlideSet, name: str) -> tuple[str, bool]:
    audit = slide_set.fold(name).audit
    return audit.render().replace("\n", "; "), not audit.findings
