"""Slides, spots, genes and splits of the histology wing: files and coordinates, no torch."""

from seqexp.histology.slides.graph import SpotGraph, grid_window, spot_graph
from seqexp.histology.slides.leaks import LeakAudit, PretrainingManifest, audit_leaks
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.platforms import Platform, platform_of
from seqexp.histology.slides.selection import GeneSelection, GeneSelector
from seqexp.histology.slides.slide import Slide
from seqexp.histology.slides.slide_set import Fold, SlideSet
from seqexp.histology.slides.splits import SplitPlan
from seqexp.histology.slides.spots import SpotTable, concat
from seqexp.histology.slides.tissue import TissueMask
from seqexp.histology.slides.transforms import ExpressionTransform

__all__ = [
    "ExpressionTransform",
    "Fold",
    "GenePanel",
    "GeneSelection",
    "GeneSelector",
    "LeakAudit",
    "Platform",
    "PretrainingManifest",
    "Slide",
    "SlideSet",
    "SplitPlan",
    "SpotGraph",
    "SpotTable",
    "TissueMask",
    "audit_leaks",
    "concat",
    "grid_window",
    "platform_of",
    "spot_graph",
]
