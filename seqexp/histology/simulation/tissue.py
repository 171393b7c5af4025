"""Simulated sections in which it is known what each gene follows: colour, texture, the neighbourhood, or nothing.

Three kinds of things can be seen in a section:

- *colour*: how much eosin the stroma takes, changing from spot to spot;
- *texture*: many small nuclei or few large ones, with the same area stained, so that mean colour does not tell;
- *neighbourhood*: the colour around a spot, not at it.

Counts vary more than Poisson counts, every spot has a library size of its own, and stains differ between slides. Genes
that follow nothing are many times more abundant: otherwise the library size that counts are divided by would follow
the effects of the others, and with it every gene.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, signal

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_dir
from seqexp.core.yaml import dump_yaml

Floats = NDArray[np.float64]

EFFECTS = ("colour", "texture", "neighbourhood", "nothing")
PITCH_UM, MPP = 200.0, 1.0
_PITCH_PX = int(PITCH_UM / MPP)
_COVERED, _SMALL_PX, _LARGE_PX = 0.3, 3, 8  # share of area under nuclei, and their radii
_HEMATOXYLIN, _EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
_GLASS = 0.4  # width of bare glass around the tissue, in distances between spots
_NOISE = 0.25  # standard deviation beyond Poisson, in natural logarithms of the rate
_ABUNDANT = 50.0  # how many times more counts genes have that follow nothing
_STRENGTH = 0.7  # standard deviation of the planted effects, in natural logarithms of the rate


@dataclass(frozen=True)
class TissueConfig:
    """What is simulated.

    Parameters
    ----------
    num_patients, sections_per_patient : int
        The last patient is the test patient.
    grid : int
        Spots along each side of a section.
    genes_per_effect : int
    depth : float
        Mean counts of a spot per gene with an effect.
    seed : int
    """

    num_patients: int = 2
    sections_per_patient: int = 2
    grid: int = 12
    genes_per_effect: int = 15
    depth: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_patients < 2 or min(self.sections_per_patient, self.genes_per_effect) < 1 or self.grid < 4:
            raise ConfigError(f"{self}", expected="2 patients or more, a section and a gene each, a grid of 4 or more")


def simulate_tissue(folder: str | Path, config: TissueConfig | None = None) -> Path:
    """Write images, counts, spots, ``truth.tsv`` and ``slides.yaml``; returns the path of the last.

    ``truth.tsv`` has a row per gene: ``gene``, ``effect`` (of :data:`EFFECTS`) and ``weight`` (its sign and size).
    """
    config = config or TissueConfig()
    rng = np.random.default_rng(config.seed)
    truth = _truth(config, rng)
    slides: dict[str, dict[str, object]] = {}
    with atomic_dir(folder, "slides.yaml") as temporary:
        for patient in range(config.num_patients):
            for section in range(config.sections_per_patient):
                name = f"P{patient + 1}_{section + 1}"
                slides[name] = _write_section(temporary, name, f"P{patient + 1}", truth, config=config, rng=rng)
        truth.to_csv(temporary / "truth.tsv", sep="\t", index=False)
        dump_yaml(_description(slides, config), temporary / "slides.yaml")
    return Path(folder) / "slides.yaml"


def _truth(config: TissueConfig, rng: np.random.Generator) -> pd.DataFrame:
    effects = np.repeat(EFFECTS, config.genes_per_effect)
    weight = rng.choice([-1.0, 1.0], len(effects)) * rng.uniform(0.6, 1.4, len(effects)) * _STRENGTH
    weight[effects == "nothing"] = 0.0
    names = [f"{effect.upper()}{n:02d}" for effect in EFFECTS for n in range(config.genes_per_effect)]
    return pd.DataFrame({"gene": names, "effect": effects, "weight": weight})


def _write_section(
    folder: Path, name: str, patient: str, truth: pd.DataFrame, *, config: TissueConfig, rng: np.random.Generator
) -> dict[str, object]:
    eosin, nuclear_size = _field(config.grid, rng), _field(config.grid, rng)
    Image.fromarray(_picture(eosin, nuclear_size, rng)).save(folder / f"{name}.png")
    rows, columns = (axis.ravel() for axis in np.indices((config.grid, config.grid)))
    around = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]) / 8
    seen = {
        "colour": eosin,
        "texture": nuclear_size,
        "neighbourhood": _scaled(ndimage.convolve(eosin, around, mode="nearest")),
        "nothing": np.zeros_like(eosin),
    }
    effect = np.stack([seen[e].ravel() for e in truth["effect"]], axis=1) * truth["weight"].to_numpy()
    library = rng.lognormal(0.0, 0.3, len(rows))[:, None]
    depth = config.depth * np.where(truth["effect"] == "nothing", _ABUNDANT, 1.0)
    counts = rng.poisson(depth * library * np.exp(effect + rng.normal(0, _NOISE, effect.shape)))
    barcodes = [f"{column + 1}x{row + 1}" for column, row in zip(columns, rows)]
    pd.DataFrame(counts, index=barcodes, columns=truth["gene"].tolist()).to_csv(folder / f"{name}.tsv.gz", sep="\t")
    places = {"pixel_x": (columns + 1) * _PITCH_PX, "pixel_y": (rows + 1) * _PITCH_PX}
    table = pd.DataFrame({"x": columns + 1, "y": rows + 1, **places, "selected": 1})
    table.to_csv(folder / f"{name}_spots.tsv", sep="\t", index=False)
    files = {"image": f"{name}.png", "counts": f"{name}.tsv.gz", "spots": f"{name}_spots.tsv"}
    return {**files, "mpp": MPP, "section": name, "patient": patient}


def _field(grid: int, rng: np.random.Generator) -> Floats:
    """A value per spot (grid, grid) with mean 0 and standard deviation 1, neighbours somewhat alike."""
    return _scaled(ndimage.gaussian_filter(rng.normal(size=(grid, grid)), 0.6, mode="nearest"))


def _scaled(values: Floats) -> Floats:
    return (values - values.mean()) / values.std()


def _picture(eosin: Floats, nuclear_size: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The section as a scanner would see it, in uint8 RGB."""
    side = (len(eosin) + 1) * _PITCH_PX
    amount = 0.35 * np.exp(0.35 * _drawn(eosin, side))
    share = 1 / (1 + np.exp(-2.0 * _drawn(nuclear_size, side)))  # of the stained area that large nuclei take
    nuclei = _discs(share * _COVERED, _LARGE_PX, rng) + _discs((1 - share) * _COVERED, _SMALL_PX, rng)
    stain = rng.normal(1.0, 0.1, (2, 3)) * np.stack([_HEMATOXYLIN, _EOSIN])  # of this slide
    blue = 0.6 * np.minimum(nuclei, 1.5)[..., None] * stain[0]
    border = int(_GLASS * _PITCH_PX)
    is_tissue = np.zeros((side, side, 1))
    is_tissue[border:-border, border:-border] = 1
    density = is_tissue * (blue + amount[..., None] * stain[1]) + rng.normal(0, 0.02, (side, side, 3))
    return np.clip(255 * np.exp(-density), 0, 255).astype(np.uint8)


def _drawn(field: Floats, side: int) -> Floats:
    """A field per spot as a picture (side, side): the value of the nearest spot, borders softened."""
    place = np.clip(np.round(np.arange(side) / _PITCH_PX).astype(int) - 1, 0, len(field) - 1)
    return ndimage.uniform_filter(field[np.ix_(place, place)], _PITCH_PX // 5)


def _discs(covered: Floats, radius: int, rng: np.random.Generator) -> Floats:
    """Discs thrown at random until they cover the given share of the area, wherever that is."""
    reach = np.arange(-radius, radius + 1)
    disc = (np.hypot(*np.meshgrid(reach, reach)) <= radius + 0.5).astype(float)
    centres = rng.poisson(covered / disc.sum())
    return np.round(signal.fftconvolve(centres, disc, mode="same"))


def _description(slides: dict[str, dict[str, object]], config: TissueConfig) -> dict[str, object]:
    patients = [f"P{n + 1}" for n in range(config.num_patients)]
    return {
        "name": "simulated_tissue",
        "description": "simulated sections with planted effects of colour, texture and neighbourhood (truth.tsv)",
        "platform": "ST",
        "layout": "st",
        "slides": slides,
        "transform": {"scope": "all", "target_sum": 10000, "log": "e"},
        "genes": {"select": "mean", "num": 4 * config.genes_per_effect},
        "splits": {"patient": {"train": patients[:-1], "test": patients[-1:], "val_blocks_um": 600}},
    }
