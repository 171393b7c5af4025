"""One look for every figure: colours by meaning, quiet axes, text that stays text in SVG."""

from __future__ import annotations

import io
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

# Colours carry meaning across all figures of a page (a palette safe for colour-blind readers).
MODEL, PEAKS, SIGNAL, TRUTH, BASELINE = "#1f5fa8", "#d1711b", "#4d8f6a", "#222222", "#9aa3ad"
TRACKS = ("#4d8f6a", "#8a6bb1", "#b5892d", "#5b7f95", "#a85c6b", "#6d7f3c")
TRAIN, VAL = "#9aa3ad", "#1f5fa8"

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": "#333333",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "seqexp",
    "figure.constrained_layout.use": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib settings of the reports, restored afterwards; draws without a display."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float, **layout: object) -> Figure:
    """An empty figure of the given size in inches, outside pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **layout)  # type: ignore[arg-type]


def to_svg(figure: Figure, alt: str = "") -> str:
    """Inline SVG of a figure, without the XML prologue; points of scatter plots are embedded as one picture.

    ``alt`` is what readers that do not see it are told; by default the titles and axes of its panels.
    """
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None, "Creator": "seqexp"})
    text = buffer.getvalue()
    start = text.index("<svg") + len("<svg")
    return f'<svg role="img" aria-label="{escape(alt or alternative_text(figure))}"{text[start:]}'


def alternative_text(figure: Figure) -> str:
    """Titles and axes of all panels in one line, such as ``Loss: loss against epoch``."""
    told = []
    for axis in figure.axes:
        titles = [axis.get_title(loc=where) for where in ("left", "center")]
        title = " ".join(name for name in titles if name)
        x, y = axis.get_xlabel(), axis.get_ylabel()
        axes = f"{y} against {x}" if x and y else x or y
        told.append(": ".join(part for part in (title, axes) if part))
    return " ".join("; ".join(dict.fromkeys(part for part in told if part)).split()) or "figure"
