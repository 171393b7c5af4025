"""Scales in every wording and unit: the right number of microns, or one message that says what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import tiny_visium
import yaml
from PIL import Image, PngImagePlugin
from tiny_slides import MPP, write_tiny_slides

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import Slide, SlideSet, platform_of
from seqexp.histology.slides.check import check_slides
from seqexp.histology.slides.scale import ScaleError, microns_of
from seqexp.histology.slides.vendor import _stated as stated_by_openslide

RGB = np.full((24, 32, 3), 200, np.uint8)
OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="P:0" DimensionOrder="XYCZT" Type="uint8" SizeX="32" SizeY="24" SizeC="3" '
    'SizeZ="1" SizeT="1" {}><Channel ID="C:0" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>'
)


def write(path: Path, description: str | None = None, **options: Any) -> Path:
    text = None if description is None else description.encode()
    tifffile.imwrite(path, RGB, photometric="rgb", description=text, metadata=None, **options)
    return path


@pytest.mark.parametrize(
    ("text", "unit", "microns"),
    [
        ("0.5", "µm", 0.5),  # micro sign
        ("0.5", "μm", 0.5),  # Greek mu
        ("0.5", "&#181;m", 0.5),
        ("0.5", "&#xB5;m", 0.5),
        ("0.5", "&micro;m", 0.5),
        ("0.5", "\\u00B5m", 0.5),
        ("0.5", "Âµm", 0.5),
        ("0.5", "um", 0.5),
        ("0.5", " UM ", 0.5),
        ("0.5", "micron", 0.5),
        ("0.5", "Microns", 0.5),
        ("0.5", "micrometer", 0.5),
        ("0.5", "micrometres", 0.5),
        ("500", "nm", 0.5),
        ("500", "nanometers", 0.5),
        ("5000", "Å", 0.5),
        ("0.0005", "mm", 0.5),
        ("0.00005", "cm", 0.5),
        ("5e-7", "m", 0.5),
        ("5E-7", "metre", 0.5),
        ("0.00002", "inch", 0.508),
        ("2e-05", "in", 0.508),
        ("0,5", "µm", 0.5),
        ("5e-1", "um", 0.5),
        (".5", "um", 0.5),
        ("+0.5", "um", 0.5),
        ("0.5 µm", "", 0.5),
        ("500nm", "um", 0.5),
        ("0.5 um/px", "", 0.5),
        ("0.5", "microns per pixel", 0.5),
        ("500 nm/pixel", "um", 0.5),
        ("1", "pixel", None),
        ("1", "", None),
    ],
)
def test_lengths(text: str, unit: str, microns: float | None) -> None:
    found = microns_of(text, unit)
    assert found == (None if microns is None else pytest.approx(microns))


@pytest.mark.parametrize("text", ["0", "-0.5", "nan", "inf", "1e999", "", "x", "1.2.3", "1,000.5", "0.5 parsec", "µm"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ScaleError):
        microns_of(text)


@pytest.mark.parametrize(
    "attributes",
    [
        'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm" PhysicalSizeY="0.5" PhysicalSizeYUnit="µm"',
        'PhysicalSizeX="0.5" PhysicalSizeXUnit="μm"',
        'PhysicalSizeX="0.5" PhysicalSizeXUnit="&#181;m" PhysicalSizeY="0.5"',
        "PhysicalSizeX='0.5' PhysicalSizeXUnit='micron'",
        'PhysicalSizeX="0.00005" PhysicalSizeXUnit="cm" PhysicalSizeY="500" PhysicalSizeYUnit="nm"',
        'PhysicalSizeX="0.0005" PhysicalSizeXUnit="mm" PhysicalSizeY="0.0005"',
        'PhysicalSizeX="0.5"',
        'PhysicalSizeX="5e-1" PhysicalSizeY="0.501"',
    ],
)
def test_ome(attributes: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", OME.format(attributes))
    assert Slide(path).mpp == pytest.approx(0.5)
    with pytest.raises(DataError, match=r"mpp is given as 0\.6, the file says 0\.5"):
        Slide(path, 0.6)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ('PhysicalSizeX="1.0" PhysicalSizeXUnit="pixel"', "not known"),
        ('PhysicalSizeX="1.0" PhysicalSizeY="1.0"', "not known"),
        ("", "not known"),
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="parsec"', "PhysicalSizeX 0.5 parsec, but the unit 'parsec'"),
        ('PhysicalSizeX="0"', "not above 0"),
        ('PhysicalSizeX="NaN"', "'NaN' is not a number"),
    ],
)
def test_ome_that_says_nothing(attributes: str, told: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", OME.format(attributes))
    with pytest.raises(DataError, match=f"the scale of the image is not known.*{told}|{told}"):
        Slide(path)
    assert Slide(path, 0.7).mpp == 0.7


@pytest.mark.parametrize("mpp", ["0.5", "5e-1", "0,5", "0.5 ", "0.5 µm", "500 nm", "+.5"])
def test_text_of_scanners(mpp: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", f"Aperio Image Library v12\r\n32x24|AppMag = 20|MPP = {mpp}|Left = 3")
    assert Slide(path).mpp == pytest.approx(0.5)


@pytest.mark.parametrize("mpp", ["0", "-0.5", "nan", "", "0.5.1", "unknown", "0,0"])
def test_text_of_scanners_that_says_nothing(mpp: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", f"Aperio|MPP = {mpp}|AppMag = 20")
    with pytest.raises(DataError, match="scale of the image is not known; the file says MPP = "):
        Slide(path)
    assert Slide(path, 0.5).mpp == 0.5


@pytest.mark.parametrize("given", [None, 0.5])
def test_pixels_that_are_not_square(given: float | None, tmp_path: Path) -> None:
    sizes = 'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm" PhysicalSizeY="0.25" PhysicalSizeYUnit="µm"'
    with pytest.raises(DataError, match=r"not square: 0\.5 x 0\.25 um"):
        Slide(write(tmp_path / "a.ome.tif", OME.format(sizes)), given)
    with pytest.raises(DataError, match=r"not square: 0\.5 x 1 um"):
        Slide(write(tmp_path / "b.tif", resolution=(20000, 10000), resolutionunit="CENTIMETER"), given)


def test_resolution_tags(tmp_path: Path) -> None:
    assert Slide(write(tmp_path / "cm.tif", resolution=(20000, 20000), resolutionunit="CENTIMETER")).mpp == 0.5
    assert Slide(write(tmp_path / "in.tif", resolution=(50800, 50800), resolutionunit="INCH")).mpp == 0.5
    assert Slide(tmp_path / "cm.tif", 0.7).mpp == 0.7  # programs copy these tags; what the user says is right
    for name, number, unit in (("72", 72, "INCH"), ("300", 300, "INCH"), ("none", 20000, "NONE"), ("0", 0, "INCH")):
        with pytest.raises(DataError, match="scale of the image is not known"):
            Slide(write(tmp_path / f"{name}.tif", resolution=(number, number), resolutionunit=unit))


def test_resolution_of_pictures(tmp_path: Path) -> None:
    metadata = PngImagePlugin.PngInfo()
    Image.fromarray(RGB).save(tmp_path / "a.png", dpi=(50800, 50800), pnginfo=metadata)
    assert Slide(tmp_path / "a.png").mpp == pytest.approx(0.5, rel=1e-4)
    for name, dpi in (("b.png", (300, 300)), ("b.jpg", (72, 72))):
        Image.fromarray(RGB).save(tmp_path / name, dpi=dpi)
        with pytest.raises(DataError, match="scale of the image is not known"):
            Slide(tmp_path / name)


@pytest.mark.parametrize(("unit", "per_unit"), [("micron", 2.0), ("um", 2.0), ("mm", 2000.0), ("nm", 0.002)])
def test_imagej(unit: str, per_unit: float, tmp_path: Path) -> None:
    options = {"imagej": True, "resolution": (per_unit, per_unit)}
    tifffile.imwrite(tmp_path / "a.tif", RGB, metadata={"unit": unit, "axes": "YXS"}, **options)
    assert Slide(tmp_path / "a.tif").mpp == pytest.approx(0.5)
    for unit in ("pixel", "parsec"):
        tifffile.imwrite(tmp_path / "b.tif", RGB, metadata={"unit": unit, "axes": "YXS"}, **options)
        with pytest.raises(DataError, match="scale of the image is not known"):
            Slide(tmp_path / "b.tif")


def test_openslide_properties() -> None:
    assert stated_by_openslide(None, None) is None
    for x, y in (("0.5", "0.5"), ("0,5", None), ("5e-1", "0.501")):
        stated = stated_by_openslide(x, y)
        assert stated is not None
        assert (stated.x_um, stated.is_square) == (0.5, True)
    assert "not a number" in stated_by_openslide("none", "0.5").problem  # type: ignore[union-attr]
    assert not stated_by_openslide("0.5", "0.25").is_square  # type: ignore[union-attr]


@pytest.mark.parametrize("mpp", [0, -0.5, float("nan"), float("inf"), True, [0.5], "half", 1e9, "1 mm", "3 px"])
def test_given_scales_that_are_impossible(mpp: Any, tmp_path: Path) -> None:
    path = write_tiny_slides(tmp_path)
    content = yaml.safe_load(path.read_text())
    content["slides"]["A1"]["mpp"] = mpp
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match=r"(?s)microns per pixel.*slides\.yaml, slides\.A1\.mpp"):
        SlideSet.open(path)


@pytest.mark.parametrize("mpp", ["4.0", "4e0", "4,0", "4 µm", "4000 nm"])
def test_given_scales_in_words(mpp: str, tmp_path: Path) -> None:
    path = write_tiny_slides(tmp_path)
    path.write_text(path.read_text().replace("mpp: 4.0", f"mpp: {mpp}"))
    assert SlideSet.open(path).slide("A1").mpp == MPP


@pytest.mark.parametrize(
    ("factor", "status"), [(1.0, "ok"), (1.04, "ok"), (0.93, "warn"), (1.2, "warn"), (1.5, "error")]
)
def test_check_compares_scale_and_pitch(factor: float, status: str, tmp_path: Path) -> None:
    path = write_tiny_slides(tmp_path)
    path.write_text(path.read_text().replace("mpp: 4.0", f"mpp: {4.0 * factor:g}"))
    rows = [row for row in check_slides(SlideSet.open(path)).rows if row.file == "A1"]
    found = [row.status for row in rows if row.what == "pitch" or row.status == "error"]
    assert found == [status]


def factors(folder: Path, **more: object) -> None:
    values = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.125, **more}
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(values))


def test_scale_factors_state_the_scale(tmp_path: Path) -> None:
    tiny_visium.write_section(tmp_path)
    factors(tmp_path, microns_per_pixel=2.0)
    tiny_visium.write_description(tmp_path, mpp=None)
    assert SlideSet.open(tmp_path).slide("s1").mpp == 2.0
    (tmp_path / "full.png").rename(tmp_path / "tissue_hires_image.png")
    tiny_visium.write_description(tmp_path, mpp=None, image="tissue_hires_image.png")
    assert SlideSet.open(tmp_path).slide("s1").mpp == 4.0
    for wrong in (0, -1, "x", [2.0], True):
        factors(tmp_path, microns_per_pixel=wrong)
        with pytest.raises(ConfigError, match="microns_per_pixel"):
            SlideSet.open(tmp_path).slide("s1")


@pytest.mark.parametrize("mpp", [2.0, 2.05, 2.2])
def test_check_compares_what_is_given_with_what_lies_beside(mpp: float, tmp_path: Path) -> None:
    tiny_visium.write_section(tmp_path)
    factors(tmp_path, microns_per_pixel=2.0)
    tiny_visium.write_description(tmp_path, mpp=mpp)
    rows = {row.what: row for row in check_slides(SlideSet.open(tmp_path)).rows}
    status = "warn" if mpp == 2.2 else "ok"
    assert (rows["image"].status, rows["pitch"].status) == (status, status)
    assert ("2.2 um/px, 1 levels, but 2 by microns_per_pixel in" in rows["image"].found) == (mpp == 2.2)
    assert ("mpp: 2 would be right" in rows["pitch"].found) == (mpp == 2.2)


@pytest.mark.parametrize(("found", "bin_um"), [(2.1, 2), (7.6, 8), (10.0, 8), (12.0, 16), (40.0, 16)])
def test_bins_of_visium_hd(found: float, bin_um: float) -> None:
    assert platform_of("VisiumHD").nearest_pitch_um(found) == bin_um
    assert platform_of("Visium").nearest_pitch_um(found) == 100
    assert platform_of("other").nearest_pitch_um(found) is None


def test_check_tells_of_images_without_glass(tmp_path: Path) -> None:
    write_tiny_slides(tmp_path)
    dark = np.asarray(Image.open(tmp_path / "A1.png")).astype(np.uint16) * 16  # 12 bits in 16, and nobody says so
    (tmp_path / "A1.png").write_bytes(imagecodecs.png_encode(dark))
    rows = [row for row in check_slides(SlideSet.open(tmp_path)).rows if row.what == "tissue"]
    assert [row.status for row in rows] == ["warn", "ok", "ok", "ok"]
    assert "fewer bits than the file says" in rows[0].found
