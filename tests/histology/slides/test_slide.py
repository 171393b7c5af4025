"""Patches in microns against plain slicing and Pillow; images that cannot be read or have no scale."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tiny_slides import HEIGHT, MPP, WIDTH, image

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import Slide


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return image(0)


@pytest.fixture(params=["png", "tiled tiff", "striped tiff", "jpeg"])
def slide(request: pytest.FixtureRequest, tmp_path: Path, pixels: np.ndarray) -> Slide:
    path = tmp_path / f"slide.{request.param.split()[-1]}"
    if request.param == "tiled tiff":
        tifffile.imwrite(path, pixels, tile=(128, 128), photometric="rgb", compression="zlib")
    elif request.param == "striped tiff":
        tifffile.imwrite(path, pixels, photometric="rgb")
    else:
        Image.fromarray(pixels).save(path, quality=100, subsampling=0)
    return Slide(path, MPP)


def agree(found: np.ndarray, wanted: np.ndarray, slide: Slide, tolerance: int = 0) -> None:
    """Equal; a JPEG may differ by what it lost, which Pillow's own decoding of it shows too."""
    if slide.path.suffix == ".jpeg":
        tolerance = 12
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= tolerance


def test_size_and_scale(slide: Slide) -> None:
    assert (slide.width_px, slide.height_px) == (WIDTH, HEIGHT)
    assert (slide.width_um, slide.height_um) == (WIDTH * MPP, HEIGHT * MPP)


def test_patch_at_full_resolution_is_a_slice(slide: Slide, pixels: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for x, y in rng.integers((32, 32), (WIDTH - 32, HEIGHT - 32), (20, 2)):
        agree(slide.read_patch_um((x * MPP, y * MPP), 64 * MPP, 64), pixels[y - 32 : y + 32, x - 32 : x + 32], slide)


def test_smaller_patches_are_means_of_pixels(slide: Slide, pixels: np.ndarray) -> None:
    found = slide.read_patch_um((200 * MPP, 150 * MPP), 128 * MPP, 32)
    part = pixels[150 - 64 : 150 + 64, 200 - 64 : 200 + 64].astype(float)
    agree(found, part.reshape(32, 4, 32, 4, 3).mean((1, 3)).round(), slide, tolerance=1)


def test_what_lies_outside_is_white(slide: Slide, pixels: np.ndarray) -> None:
    corner = slide.read_patch_um((0, 0), 64 * MPP, 64)
    assert (corner[:32] == 255).all()
    assert (corner[:, :32] == 255).all()
    agree(corner[32:, 32:], pixels[:32, :32], slide)
    assert (slide.read_region_px(10 * WIDTH, 0, 5, 7) == 255).all()


def test_many_patches_do_not_depend_on_order_or_threads(slide: Slide) -> None:
    centres = np.random.default_rng(1).uniform((0, 0), (slide.width_um, slide.height_um), (40, 2))
    one = slide.read_patches_um(centres, 100.0, 20, num_threads=1)
    assert np.array_equal(slide.read_patches_um(centres, 100.0, 20, num_threads=3), one)
    assert np.array_equal(slide.read_patches_um(centres[::-1], 100.0, 20), one[::-1])
    assert np.array_equal(one[7], slide.read_patch_um(centres[7], 100.0, 20))


def test_slides_travel_between_processes(slide: Slide) -> None:
    copy = pickle.loads(pickle.dumps(slide))
    assert np.array_equal(copy.read_patch_um((400, 300), 80.0, 20), slide.read_patch_um((400, 300), 80.0, 20))


def test_coarse_levels_of_a_pyramid_serve_coarse_patches(tmp_path: Path) -> None:
    base = np.kron(image(3), np.ones((2, 2, 1), np.uint8))  # blocks of equal pixels: the coarse level is exact
    with tifffile.TiffWriter(tmp_path / "pyramid.tif", ome=False) as writer:
        options = {"tile": (64, 64), "photometric": "rgb"}
        writer.write(base, subifds=1, **options)
        writer.write(base[::2, ::2], subfiletype=1, **options)
    slide = Slide(tmp_path / "pyramid.tif", MPP / 2)
    assert [level.width_px for level in slide.levels] == [2 * WIDTH, WIDTH]
    assert np.array_equal(slide.read_patch_um((800, 600), 64 * MPP, 64), image(3)[150 - 32 : 150 + 32, 200 - 32 : 232])


def test_tissue_is_what_is_not_glass(slide: Slide) -> None:
    mask = slide.tissue_mask(mpp=MPP * 2)
    assert mask.share == pytest.approx((WIDTH - 40) * (HEIGHT - 40) / (WIDTH * HEIGHT), abs=0.03)
    inside, outside, nowhere = (WIDTH * MPP / 2, HEIGHT * MPP / 2), (5 * MPP, 5 * MPP), (-50.0, 1e6)
    assert mask.contains([inside, outside, nowhere]).tolist() == [True, False, False]


def test_scale_must_be_known_possible_and_agree_with_the_file(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    with pytest.raises(DataError, match="scale of the image is not known"):
        Slide(tmp_path / "plain.png")
    with pytest.raises(DataError, match="microns per pixel"):
        Slide(tmp_path / "plain.png", mpp=-1.0)
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "stated.ome.tif", pixels, photometric="rgb", metadata=metadata)
    assert Slide(tmp_path / "stated.ome.tif").mpp == 0.5
    with pytest.raises(DataError, match=r"mpp is given as 2, the file says 0\.5"):
        Slide(tmp_path / "stated.ome.tif", mpp=2.0)


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tif"])
def test_a_cut_off_image_is_one_clear_error(suffix: str, tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / f"torn.{suffix}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="torn"):
        Slide(path, MPP).read_region_px(0, HEIGHT - 10, WIDTH, 10)


def test_patches_without_a_size_are_refused(slide: Slide) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        slide.read_patch_um((0, 0), 0.0, 10)
