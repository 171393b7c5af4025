"""The array lies in the image as it must: turned in any way, never mirrored, exchanged or torn without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_slides import HEIGHT, WIDTH, write_tiny_slides
from tiny_visium import positions, write_description, write_section

from seqexp.cli.main import main
from seqexp.core.errors import DataError
from seqexp.histology.slides import SlideSet
from seqexp.histology.slides.check import check_slides
from seqexp.histology.slides.orientation import array_layout

ROW, COLUMN = "pxl_row_in_fullres", "pxl_col_in_fullres"
SIDE = 300.0


def turned(frame: pd.DataFrame, quarters: int, is_mirrored: bool = False) -> pd.DataFrame:
    """Pixels in an image of 300 x 300 turned clockwise by quarters, and then mirrored left to right."""
    x, y = frame[COLUMN].to_numpy(), frame[ROW].to_numpy()
    for _ in range(quarters):
        x, y = SIDE - y, x
    return frame.assign(**{COLUMN: SIDE - x if is_mirrored else x, ROW: y})


def write(folder: Path, frame: pd.DataFrame, **slide: object) -> SlideSet:
    write_section(folder)
    write_description(folder, **slide)
    frame.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    return SlideSet.open(folder)


@pytest.mark.parametrize("quarters", range(4))
def test_turned_images_are_read_and_mirrored_ones_refused(tmp_path: Path, quarters: int) -> None:
    for is_mirrored in (False, True):
        folder = tmp_path / str(is_mirrored)
        folder.mkdir()
        slides = write(folder, turned(positions(), quarters, is_mirrored))
        if not is_mirrored:
            assert len(slides.read("s1")) == 20
            continue
        with pytest.raises(DataError, match="exchanged" if quarters % 2 else "mirrored"):
            slides.read("s1")
        write_description(folder, mirrored=True)
        assert len(SlideSet.open(folder).read("s1")) == 20


def test_exchanged_pixels_are_found_although_every_distance_is_right(tmp_path: Path) -> None:
    frame = positions()
    slides = write(tmp_path, frame.assign(**{ROW: frame[COLUMN], COLUMN: frame[ROW]}))
    with pytest.raises(DataError, match="x and y of the positions") as told:
        slides.read("s1")
    assert "columns run down, rows to the right" in str(told.value)


def test_exchanged_array_places_are_found_by_the_shape_of_the_array(tmp_path: Path) -> None:
    frame = positions().rename(columns={"array_row": "array_col", "array_col": "array_row"})
    for number, pixels in enumerate((frame, frame.assign(**{ROW: frame[COLUMN], COLUMN: frame[ROW]}))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(DataError, match=r"array column|array rows and columns, are exchanged"):
            write(folder, pixels).read("s1")


def test_columns_that_are_not_counted_in_twos_are_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"array column|array rows and columns, are exchanged"):
        write(tmp_path, positions().assign(array_col=positions()["array_col"] // 2)).read("s1")


def test_spots_that_do_not_follow_the_array_are_named(tmp_path: Path) -> None:
    frame = positions()
    frame.loc[[0, 19], [ROW, COLUMN]] = frame.loc[[19, 0], [ROW, COLUMN]].to_numpy()
    with pytest.raises(DataError, match="of 20 spots lie more than 2 steps"):
        write(tmp_path, frame).read("s1")


def test_a_flag_without_a_mirror_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no mirror image"):
        write(tmp_path, positions(), mirrored=True).read("s1")


def test_layout_is_that_of_the_made_up_map() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(48), 8)
    frame = pd.DataFrame({"platform": "ST", "row": rows, "column": columns})
    for _ in range(20):
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(5, 500)
        step = size * np.array([np.cos(angle), np.sin(angle)])
        down = np.array([-step[1], step[0]])
        pixels = np.outer(columns, step) + np.outer(rows, down) + rng.normal(0, 0.05 * size, (48, 2))
        layout = array_layout(frame.assign(x_px=pixels[:, 0], y_px=pixels[:, 1]))
        assert layout is not None
        np.testing.assert_allclose(layout.column_px, step, atol=0.03 * size)
        np.testing.assert_allclose(layout.row_px, down, atol=0.03 * size)
        assert not layout.is_mirrored
        mirrored = array_layout(frame.assign(x_px=-pixels[:, 0], y_px=pixels[:, 1]))
        assert mirrored is not None
        assert mirrored.is_mirrored
        assert layout.off_steps.max() < 0.5


def test_one_line_of_spots_tells_nothing() -> None:
    frame = pd.DataFrame({"platform": "ST", "row": 1, "column": range(5), "x_px": range(5), "y_px": 0.0})
    assert array_layout(frame) is None


def test_legacy_slides_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_slides(tmp_path)
    spots = tmp_path / "B1_spots.tsv"
    table = pd.read_csv(spots, sep="\t")
    table.rename(columns={"pixel_x": "pixel_y", "pixel_y": "pixel_x"}).to_csv(spots, sep="\t", index=False)
    assert main(["data", "check", str(path)]) != 0
    assert "exchanged" in capsys.readouterr().out
    with pytest.raises(DataError, match="exchanged"):
        _ = SlideSet.open(path).spots


def test_tissue_warns_of_an_exchange_where_no_array_can(tmp_path: Path) -> None:
    path = write_tiny_slides(tmp_path, platform="other")
    pixels = np.full((HEIGHT, WIDTH, 3), 245, np.uint8)
    pixels[20:130, 20:-20] = (200, 120, 180)  # a strip along the upper edge
    Image.fromarray(pixels).save(tmp_path / "A1.png")
    table = pd.read_csv(tmp_path / "A1_spots.tsv", sep="\t")
    table = table[table["y"] <= 2]
    exchanged = table.rename(columns={"pixel_x": "pixel_y", "pixel_y": "pixel_x"})
    for frame, told, status in (
        (table, "100% of the spots lie on it", "ok"),
        (exchanged[exchanged["pixel_y"] < HEIGHT], "100% with x and y exchanged", "warn"),
    ):
        frame.to_csv(tmp_path / "A1_spots.tsv", sep="\t", index=False)
        rows = check_slides(SlideSet.open(path)).rows
        found = next(row for row in rows if (row.file, row.what) == ("A1", "tissue"))
        assert told in found.found
        assert found.status == status
