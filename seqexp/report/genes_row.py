"""Gene models of a window as a row of a track view: bodies, exons, strands and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqexp.report.style import BASELINE, MODEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from seqexp.dna.evaluation.results import GeneModel, GeneView

MOST_LANES = 6
_LETTER = 0.0095  # width of a letter as a share of the window
_STUB = 0.02  # arrow of a gene of which the TSS alone is known, as a share of the window


def lanes_of(view: GeneView) -> tuple[list[tuple[GeneModel, int]], int]:
    """Genes with the lane each is drawn in, so that neither bodies nor names meet, and the number of lanes.

    The gene that is shown comes first; genes that find no place in :data:`MOST_LANES` lanes are left out,
    and :func:`draw_genes` says how many.
    """
    width = view.end - view.start
    ordered = sorted(view.genes, key=lambda gene: (gene.gene_id != view.gene_id, gene.start))
    taken: list[list[tuple[float, float]]] = []
    placed = []
    for gene in ordered:
        start, end = _extent(gene, width)
        left, right = max(start, view.start), min(end, view.end)
        right = max(right, left + _LETTER * width * (len(gene.name) + 2))
        lane = next((n for n, spans in enumerate(taken) if all(right < a or left > b for a, b in spans)), len(taken))
        if lane == MOST_LANES:
            continue
        if lane == len(taken):
            taken.append([])
        taken[lane].append((left, right))
        placed.append((gene, lane))
    return placed, max(len(taken), 1)


def draw_genes(axis: Axes, view: GeneView) -> None:
    """Bodies as lines, exons as boxes, an arrow at each TSS, names under them; the gene that is shown in colour."""
    placed, num_lanes = lanes_of(view)
    width = view.end - view.start
    for gene, lane in placed:
        is_shown = gene.gene_id == view.gene_id
        colour, y = (MODEL if is_shown else BASELINE), -lane
        start, end = _extent(gene, width)
        axis.plot([max(start, view.start), min(end, view.end)], [y, y], color=colour, lw=1.2, solid_capstyle="butt")
        if gene.exons:
            axis.broken_barh([(low, high - low) for low, high in gene.exons], (y - 0.16, 0.32), color=colour)
        if view.start <= gene.tss < view.end:
            axis.plot([gene.tss], [y], marker="<" if gene.strand == "-" else ">", ms=5, color=colour, ls="none")
        place = (max(start, view.start), y - 0.2)
        weight = "bold" if is_shown else "normal"
        axis.text(*place, gene.name, fontsize=7, color="#333333", va="top", weight=weight, clip_on=True)
    axis.set(ylim=(-num_lanes + 0.1, 0.5), yticks=[])
    axis.spines["left"].set_visible(False)
    if len(placed) < len(view.genes):
        told = f"{len(view.genes) - len(placed)} more genes find no place here"
        axis.text(0.998, 0.02, told, transform=axis.transAxes, fontsize=7, color="#333333", ha="right", va="bottom")


def _extent(gene: GeneModel, width: int) -> tuple[float, float]:
    """What is drawn of a gene: its body, or from a lone TSS a short way along its strand."""
    if gene.end - gene.start > 1:
        return gene.start, gene.end
    reach = _STUB * width
    return (gene.tss - reach, gene.tss + 1) if gene.strand == "-" else (gene.tss, gene.tss + reach)
