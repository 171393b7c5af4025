"""The report shell of both wings: sections of figures, tables and notes on one self-contained HTML page."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from seqexp.core.files import atomic_path
from seqexp.report.style import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNDEFINED = "not defined"  # what metrics.json calls null
_TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass
class Section:
    """One section of the page; blocks appear in the order they were added."""

    key: str
    title: str
    text: str = ""
    notes: list[str] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def add_figure(self, figure: Figure, caption: str = "", narrow: bool = False, *, alt: str = "") -> Section:
        """Append a figure as inline SVG; ``alt`` tells what it shows to those who do not see it."""
        self.blocks.append({"kind": "figure", "svg": to_svg(figure, alt), "caption": caption, "narrow": narrow})
        return self

    def add_table(self, table: pd.DataFrame, own: tuple[str, ...] = ()) -> Section:
        """Append a table; rows whose first cell is in ``own`` are set in bold, numbers are right-aligned."""
        numeric = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])]
        rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
        self.blocks.append(
            {"kind": "table", "columns": [str(c) for c in table.columns], "numeric": numeric, "rows": rows, "own": own}
        )
        return self

    def add_code(self, caption: str, text: str) -> Section:
        """Append a folded block of plain text."""
        self.blocks.append({"kind": "code", "caption": caption, "text": text})
        return self


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNDEFINED
    if isinstance(value, float):
        if value == int(value) and abs(value) >= 100:
            return f"{int(value):,}"
        return f"{value:.3g}" if abs(value) < 1e-3 and value else f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def tile(label: str, value: float, low: float = math.nan, high: float = math.nan) -> dict[str, str]:
    """A headline figure with its interval."""
    interval = f"  [{low:.2f}, {high:.2f}]" if math.isfinite(low) and math.isfinite(high) else ""
    return {"label": label + interval, "value": UNDEFINED if math.isnan(value) else f"{value:.3f}"}


def write_page(
    path: str | Path,
    title: str,
    lead: str,
    tiles: list[dict[str, str]],
    *,
    sections: list[Section],
    footer: str,
    verdict: str = "",
) -> Path:
    """Write the page atomically; it needs no other file and no network. ``verdict`` is one sentence at its top."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(title=title, lead=lead, tiles=tiles, sections=sections, footer=footer, verdict=verdict)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)
