"""A small file as scanners write it, through OpenSlide: colours, scale, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from seqexp.core.errors import DataError
from seqexp.histology.slides import Slide

RGB = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).repeat(64, 0).repeat(64, 1).astype(np.uint8)


def write(path: Path, mpp: str = "0.5") -> Path:
    description = f"Aperio Image Library v12\r\n512x512 |AppMag = 20|MPP = {mpp}"
    tifffile.imwrite(
        path, RGB, photometric="rgb", tile=(256, 256), compression="jpeg", description=description, metadata=None
    )
    return path


def test_colours_are_those_of_another_reader(tmp_path: Path) -> None:
    found = Slide(write(tmp_path / "a.svs")).read_region_px(0, 0, 512, 512)
    assert np.abs(found.astype(int) - tifffile.imread(tmp_path / "a.svs")).max() <= 2


@pytest.mark.parametrize("mpp", ["0.5", "0,5", "5e-1"])
def test_scale(mpp: str, tmp_path: Path) -> None:
    assert Slide(write(tmp_path / "a.svs", mpp)).mpp == 0.5


@pytest.mark.parametrize("mpp", ["0", "-1", "nan", "x", ""])
def test_scale_that_says_nothing(mpp: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="scale of the image is not known"):
        Slide(write(tmp_path / "a.svs", mpp))
    assert Slide(tmp_path / "a.svs", 0.4).mpp == 0.4


def test_a_tile_that_is_half_there(tmp_path: Path) -> None:
    with tifffile.TiffFile(write(tmp_path / "a.svs")) as tiff:
        offset, num_bytes = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data, half = bytearray((tmp_path / "a.svs").read_bytes()), num_bytes // 2
    data[offset + half : offset + num_bytes] = b"\xff\xd9" + bytes(num_bytes - half - 2)
    (tmp_path / "a.svs").write_bytes(data)
    with pytest.raises(DataError, match="corrupt"):
        Slide(tmp_path / "a.svs").read_region_px(0, 0, 256, 256)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_file_that_is_cut_off(share: float, tmp_path: Path) -> None:
    data = write(tmp_path / "a.svs").read_bytes()
    (tmp_path / "b.svs").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"b\.svs"):
        Slide(tmp_path / "b.svs", 0.5).read_region_px(0, 0, 512, 512)
