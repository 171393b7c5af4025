"""Random patches of a large slide, against OpenSlide and against decoding tiles and nothing else.

Run with ``pytest -m benchmark -s tests/benchmarks/test_bench_slides.py``. The limit decodes, on as many threads, just
the tiles that the patches lie on, from a file held in memory. Each reader runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seqexp.core.memory import peak_resident_bytes
from seqexp.core.optional import require
from seqexp.histology.encoders.patch import SmallPatchEncoder
from seqexp.histology.loaders.cache import SpotCache
from seqexp.histology.loaders.inputs import ENCODER_BATCH, encoder_features
from seqexp.histology.slides import Slide, SlideSet
from seqexp.histology.slides.tiling import tile_image

pytestmark = pytest.mark.benchmark
SIDE_PX, PATCH_PX, NUM, REPEATS = 20_000, 224, 600, 3


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiled JPEG pyramid with the texture of tissue."""
    folder = tmp_path_factory.mktemp("slide")
    rng = np.random.default_rng(0)
    block = rng.normal((190, 130, 180), 25, (500, 500, 3)).clip(0, 255).astype(np.uint8)
    smooth = Image.fromarray(block).resize((2000, 2000), Image.Resampling.BICUBIC)
    whole = np.tile(np.asarray(smooth), (SIDE_PX // 2000, SIDE_PX // 2000, 1))
    Image.MAX_IMAGE_PIXELS = None
    Image.fromarray(whole).save(folder / "whole.png", compress_level=1)
    tile_image(Slide(folder / "whole.png", 0.5), folder / "slide.tif", quality=85)
    (folder / "whole.png").unlink()
    return folder / "slide.tif"


def places() -> np.ndarray:
    """Top left corners (NUM, 2) of patches, in pixels."""
    return np.random.default_rng(1).integers(0, SIDE_PX - PATCH_PX, (NUM, 2))


def seqexp(path: str) -> Any:
    slide = Slide(path, 0.5)
    centres = (places() + PATCH_PX / 2) * 0.5
    return lambda: slide.read_patches_um(centres, PATCH_PX * 0.5, PATCH_PX)


def openslide(path: str) -> Any:
    """As many threads as for the others; OpenSlide decodes in C and lets go of the lock."""
    from concurrent.futures import ThreadPoolExecutor

    opened = require("openslide", "histology").OpenSlide(path)

    def read(place: np.ndarray) -> np.ndarray:
        x, y = place.tolist()
        return np.asarray(opened.read_region((x, y), 0, (PATCH_PX, PATCH_PX)).convert("RGB"))

    def step() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(read, places()))

    return step


def tiles(path: str) -> Any:
    """The limit: every tile under every patch decoded, nothing cut out."""
    from concurrent.futures import ThreadPoolExecutor

    tiff = require("tifffile", "histology").TiffFile(path)
    page, data = tiff.pages[0], Path(path).read_bytes()
    wanted = [
        row * page.chunked[1] + column
        for x, y in places()
        for row in range(y // 256, (y + PATCH_PX - 1) // 256 + 1)
        for column in range(x // 256, (x + PATCH_PX - 1) // 256 + 1)
    ]

    def decode(index: int) -> None:
        start = page.dataoffsets[index]
        page.decode(data[start : start + page.databytecounts[index]], index, jpegtables=page.jpegtables)

    def step() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(decode, wanted))

    return step


READERS = {"seqexp": seqexp, "openslide": openslide, "tiles": tiles}


def report(name: str, path: str) -> None:
    """Patches per second (best of some passes) and MB by which memory grew, in this process."""
    before = peak_resident_bytes()
    step, best = READERS[name](path), float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - started)
    grown = (peak_resident_bytes() - before) / 2**20
    print(json.dumps([NUM / best, grown]))


def fresh(name: str, path: Path) -> tuple[float, float]:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_bench_slides as bench; "
    code += f"bench.report({name!r}, {str(path)!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(found.stderr[-2000:])
    rate, megabytes = json.loads(found.stdout.splitlines()[-1])
    return rate, megabytes


def test_random_patches_of_a_large_slide(pyramid: Path) -> None:
    found = {name: fresh(name, pyramid) for name in READERS}
    print(f"\n{NUM} patches of {PATCH_PX} px from {SIDE_PX:,} x {SIDE_PX:,} px")
    for name, (rate, megabytes) in found.items():
        print(f"{name:<12}{rate:>9.0f} per second{megabytes:>9.0f} MB")
    patches = NUM * PATCH_PX**2 * 3 / 1e6  # the result itself
    assert found["seqexp"][0] >= 1.5 * found["openslide"][0]
    assert found["seqexp"][0] >= 0.75 * found["tiles"][0]
    assert found["seqexp"][1] - patches < 300


def test_features_cost_little_more_than_the_encoder(tmp_path: Path) -> None:
    from seqexp.histology.simulation.tissue import TissueConfig, simulate_tissue

    timm = pytest.importorskip("timm")
    slides = SlideSet.open(simulate_tissue(tmp_path / "data", TissueConfig(sections_per_patient=1, genes_per_effect=1)))
    torch.manual_seed(0)
    for encoder in (timm.create_model("resnet18", num_classes=0).eval(), SmallPatchEncoder()):
        num = len(slides.spots)
        batch = torch.rand(ENCODER_BATCH, 3, 224, 224)
        with torch.inference_mode():
            encoder(batch)
            started = time.perf_counter()
            for _ in range(-(-num // ENCODER_BATCH)):
                encoder(batch)
            bare = time.perf_counter() - started
        started = time.perf_counter()
        cache = SpotCache(tmp_path / type(encoder).__name__)
        encoder_features(cache, slides.spots, slides.slides, encoder, side_px=224, side_um=224.0)
        whole = time.perf_counter() - started
        print(f"\n{type(encoder).__name__:<20} bare {num / bare:.0f} spots/s, from slides {num / whole:.0f} spots/s")
        if not isinstance(encoder, SmallPatchEncoder):  # so small that reading costs as much as computing
            assert whole <= 1.1 * bare * (-(-num // ENCODER_BATCH) * ENCODER_BATCH / num)
