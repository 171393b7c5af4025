"""Four small made-up sections of three patients in the layout of her2st; files that tests may break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

MPP, PITCH_PX, COLUMNS, ROWS, GENES = 4.0, 50, 8, 6, 30
SECTIONS = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}
WIDTH, HEIGHT = (COLUMNS + 1) * PITCH_PX, (ROWS + 1) * PITCH_PX


def image(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Pink tissue in the middle on white glass, noise everywhere, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 245.0)
    pixels[20:-20, 20:-20] = (200, 120, 180)
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def write_section(folder: Path, name: str, seed: int, *, num_columns: int = COLUMNS, num_rows: int = ROWS) -> None:
    """Image, counts and spot positions of one section."""
    rng = np.random.default_rng(seed)
    pixels = image(seed, (num_columns + 1) * PITCH_PX, (num_rows + 1) * PITCH_PX)
    Image.fromarray(pixels).save(folder / f"{name}.png")
    columns, rows = (grid.ravel() for grid in np.meshgrid(np.arange(1, num_columns + 1), np.arange(1, num_rows + 1)))
    names = [f"{x}x{y}" for x, y in zip(columns, rows, strict=True)]
    rates = np.outer(1 + columns / num_columns, np.geomspace(20, 0.2, GENES))
    counts = pd.DataFrame(rng.poisson(rates), index=names, columns=[f"GENE{g}" for g in range(GENES)])
    counts.to_csv(folder / f"{name}.tsv", sep="\t")
    spots = pd.DataFrame(
        {"x": columns, "y": rows, "pixel_x": columns * PITCH_PX, "pixel_y": rows * PITCH_PX, "selected": 1}
    )
    spots.to_csv(folder / f"{name}_spots.tsv", sep="\t", index=False)


def description() -> dict[str, object]:
    """Content of ``slides.yaml``."""
    slides = {
        name: {"image": f"{name}.png", "mpp": MPP, "counts": f"{name}.tsv", "spots": f"{name}_spots.tsv", "patient": p}
        for name, p in SECTIONS.items()
    }
    return {
        "name": "tiny",
        "platform": "ST",
        "layout": "st",
        "slides": slides,
        "genes": {"select": "mean", "num": 10},
        "splits": {"fixed": {"train": ["A"], "val": ["B"], "test": ["C"]}, "patients": {"leave_one_out": True}},
    }


def write_tiny_slides(folder: Path, **changes: object) -> Path:
    """Write everything; ``changes`` replace keys of the description. Returns the path of ``slides.yaml``."""
    for seed, name in enumerate(SECTIONS):
        write_section(folder, name, seed)
    path = folder / "slides.yaml"
    path.write_text(yaml.safe_dump({**description(), **changes}, sort_keys=False))
    return path
