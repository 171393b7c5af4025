"""A made-up Visium section of 20 spots and three genes in the layout of Space Ranger; files that tests may break."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import io, sparse

MPP, ROWS, COLUMNS = 2.0, 5, 4
GENES = (("ENSG01", "A"), ("ENSG02", "B"), ("ENSG03", "C"))


def positions() -> pd.DataFrame:
    """20 spots 100 um apart on the hexagonal array, at 2 um per pixel."""
    rows, places = (grid.ravel() for grid in np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij"))
    columns = 2 * places + rows % 2
    names = [f"{''.join('ACGT'[int(d)] for d in np.base_repr(n + 64, 4))}ACGTACGTACGT-1" for n in range(len(rows))]
    return pd.DataFrame(
        {
            "barcode": names,
            "in_tissue": 1,
            "array_row": rows,
            "array_col": columns,
            "pxl_row_in_fullres": 40 + rows * 50 * np.sqrt(3) / 2,
            "pxl_col_in_fullres": 60 + columns * 25.0,
        }
    )


def counts() -> np.ndarray:
    """Counts (20, 3); every one differs."""
    return np.arange(ROWS * COLUMNS * len(GENES)).reshape(-1, len(GENES))


def write_matrix(folder: Path, values: np.ndarray | None = None, genes: tuple[tuple[str, str], ...] = GENES) -> None:
    """The three files of a filtered matrix."""
    folder.mkdir(parents=True)
    (folder / "barcodes.tsv.gz").write_bytes(gzip.compress("\n".join(positions()["barcode"]).encode()))
    lines = "".join(f"{gene}\t{name}\tGene Expression\n" for gene, name in genes)
    (folder / "features.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    with gzip.open(folder / "matrix.mtx.gz", "wb") as handle:
        io.mmwrite(handle, sparse.coo_matrix((counts() if values is None else values).T))


def write_section(folder: Path) -> Path:
    """An ``outs`` folder with image, matrix and positions, and a ``slides.yaml``; returns the path of the last."""
    write_matrix(folder / "filtered_feature_bc_matrix")
    (folder / "spatial").mkdir()
    positions().to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    factors = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.125}
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    Image.fromarray(np.full((300, 320, 3), 200, np.uint8)).save(folder / "full.png")
    return write_description(folder)


def write_description(path: Path, **slide: object) -> Path:
    """A description, in that folder, of one slide ``s1``; keywords are keys of the slide, None removes one."""
    entry = {"image": "full.png", "mpp": MPP, "patient": "p1", "layout": "spaceranger", "folder": ".", **slide}
    content = {
        "name": "tiny",
        "platform": entry.pop("platform", "Visium"),
        "slides": {"s1": {key: value for key, value in entry.items() if value is not None}},
        "genes": {"num": 2},
        "splits": {"blocks": {"blocks_um": 100}},
    }
    path = path / "slides.yaml"
    path.write_text(json.dumps(content))
    return path
