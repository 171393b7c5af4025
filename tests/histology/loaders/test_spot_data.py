"""Spots to batches: the right pixels, order, scales fitted on training spots, workers, caches, bad settings."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from simulated_tissue import small_tissue

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.loaders.cache import SpotCache
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.loaders.dataset import turned, turned_block
from seqexp.histology.slides import SlideSet


def data(**changes: object) -> SpotData:
    made = SpotData(**{"dataset": small_tissue(), "split": "patient", "patch_px": 16, "batch_size": 8, **changes})
    made.setup()
    return made


def test_batches_hold_the_patches_features_and_targets_of_their_spots() -> None:
    module = data(patch_px=32, features="colour", scale_features="none")
    slides, fold = SlideSet.open(small_tissue()), module.fold
    frame = fold.spots.frame
    for batch in module.test_dataloader():
        for number, row in enumerate(batch.index.tolist()):
            spot = frame.iloc[row]
            slide = slides.slide(spot["slide"])
            patch = slide.read_patch_um(spot[["x_um", "y_um"]].to_numpy(float), 224 * slide.mpp, 32)
            np.testing.assert_array_equal(batch.patches[number], patch)
            assert batch.grid[number].tolist() == [spot["row"], spot["column"]]
        restored = module.transform.restore(batch.target.numpy())
        np.testing.assert_allclose(restored, module.values[batch.index], atol=1e-5)
        assert batch.pixels().shape == (len(batch), 3, 32, 32)


def test_scale_is_that_of_the_training_spots() -> None:
    module = data()
    train = module.values[module.fold.rows("train")].astype(np.float64)
    np.testing.assert_allclose(module.transform.mean, train.mean(0), rtol=1e-5)
    np.testing.assert_allclose(module.transform.std, train.std(0), rtol=1e-5)
    seen = np.concatenate([batch.target.numpy() for batch in module.train_dataloader()])
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)
    plain = data(standardize=False)
    assert (plain.transform.std == 1).all()


def test_centred_targets_move_training_spots_only() -> None:
    module, plain = data(center_targets=True), data()
    seen = module.seen_targets(module.values.astype(np.float64))
    train = module.fold.rows("train")
    for number in np.unique(module.slide[train]):
        rows = train[module.slide[train] == number]
        np.testing.assert_allclose(seen[rows].mean(0), module.values[train].mean(0), atol=1e-5)
    test = module.fold.rows("test")
    np.testing.assert_array_equal(seen[test], module.values[test])
    np.testing.assert_array_equal(module.values, plain.values)


def test_features_scaled_by_slide_or_by_training_spots() -> None:
    module = data(features="colour")
    for number in np.unique(module.slide):
        np.testing.assert_allclose(module.features[module.slide == number].mean(0), 0, atol=1e-4)
    by_train = data(features="colour", scale_features="train")
    train = by_train.fold.rows("train")
    np.testing.assert_allclose(by_train.features[train].mean(0), 0, atol=1e-4)
    assert abs(by_train.features[by_train.fold.rows("test")].mean(0)).max() > 0.05  # another stain


def test_batches_do_not_depend_on_workers_and_turning_is_reproducible() -> None:
    loaders = [data(augment=True, num_workers=workers).train_dataloader() for workers in (0, 2)]
    passes = [list(loader) for loader in loaders]
    for one, two in zip(*passes, strict=True):
        assert torch.equal(one.index, two.index)
        assert torch.equal(one.patches, two.patches)
    straight = data().train_dataloader()
    same = [torch.equal(a.patches, b.patches) for a, b in zip(passes[0], straight, strict=True)]
    assert not all(same)
    sums = [(a.patches.sum((1, 2)) == b.patches.sum((1, 2))).all() for a, b in zip(passes[0], straight)]
    assert all(sums)  # turned, not changed


@pytest.mark.parametrize("way", ["cut", "empty", "noise", "text", "fewer", "objects", "folder"])
def test_cache_that_is_damaged_is_made_anew(tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    shutil.copytree(small_tissue().parent, folder, ignore=shutil.ignore_patterns("cache"))
    whole = data(dataset=folder)
    file = min((folder / "cache").iterdir())
    content, values = file.read_bytes(), np.load(file)
    capsys.readouterr()
    file.unlink()
    if way == "folder":
        file.mkdir()
        with pytest.raises(DataError, match="cannot write"):
            data(dataset=folder)
        return
    if way in ("text", "fewer", "objects"):
        changed = {"text": values.astype(str), "fewer": values[:-1], "objects": np.array([{}, None], object)}[way]
        np.save(file, changed)
    else:
        file.write_bytes({"cut": content[:-5], "empty": b"", "noise": bytes(range(256))}[way])
    again = data(dataset=folder)
    assert "what was kept is damaged" in capsys.readouterr().err
    np.testing.assert_array_equal(again.patches[np.arange(5)], whole.patches[np.arange(5)])
    assert file.read_bytes() == content


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_not_kept(tmp_path: Path, value: float) -> None:
    module = data()
    cache, slides = SpotCache(tmp_path / "c"), {name: module.slides.slide(name) for name in module.fold.spots.slides}
    with pytest.raises(DataError, match="values of spots are not finite"):
        cache.get("x", {}, module.fold.spots, slides, compute=lambda _, at: np.full((len(at), 2), value))
    assert not list((tmp_path / "c").glob("*.npy"))


def test_cache_is_used_again_and_made_anew_where_an_image_changes(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(small_tissue().parent, folder, ignore=shutil.ignore_patterns("cache"))
    first = data(dataset=folder)
    files = {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()}
    assert len(files) == 4
    again = data(dataset=folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()} == files
    rows = np.arange(5)
    np.testing.assert_array_equal(first.patches[rows], again.patches[rows])
    picture = folder / "P1_1.png"
    from PIL import Image

    with Image.open(picture) as opened:
        size = opened.size
    Image.new("RGB", size, "white").save(picture)
    white = data(dataset=folder)
    assert len(list((folder / "cache").iterdir())) == 5
    assert (white.patches[white.fold.spots.rows_of("P1_1")] == 255).all()
    assert pickle.loads(pickle.dumps(white.patches))[rows].shape == (5, 16, 16, 3)


def test_a_checkpoint_of_other_genes_is_refused() -> None:
    module = data()
    state = module.state_dict()
    with pytest.raises(DataError, match="differ in: genes"):
        data().load_state_dict({**state, "genes": state["genes"][::-1]})
    old = SpotData(small_tissue(), "patient", patch_px=16)
    old.load_state_dict({"transform": state["transform"], "genes": state["genes"][::-1]})
    with pytest.raises(DataError, match="other genes"):
        old.setup()
    other = data()
    other.load_state_dict(state)
    assert other.transform == module.transform


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_px": -1}, "patch_px"),
        ({"patch_px": 0}, "features"),
        ({"features": "uni"}, "colour"),
        ({"split": "nobody"}, "nobody"),
        ({"scale_features": "all"}, "slide, train or none"),
        ({"patch_um": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        data(**changes)


def test_neighbours_are_those_of_the_array() -> None:
    module = data(features="colour", neighbourhood=3, patch_px=0)
    frame = module.fold.spots.frame
    for batch in module.test_dataloader():
        assert batch.neighbours.shape == (len(batch), 9, batch.features.shape[1])
        torch.testing.assert_close(batch.neighbours[:, 4], batch.features)  # the spot itself in the middle
        for number, row in enumerate(batch.index.tolist()):
            spot = frame.iloc[row]
            for place in range(9):
                at = (spot["row"] + place // 3 - 1, spot["column"] + place % 3 - 1)
                found = frame[(frame["slide"] == spot["slide"]) & (frame["row"] == at[0]) & (frame["column"] == at[1])]
                assert bool(batch.is_neighbour[number, place]) == (len(found) == 1)
                wanted = module.features[found.index[0]] if len(found) else 0 * module.features[0]
                np.testing.assert_array_equal(batch.neighbours[number, place], wanted)


@pytest.mark.parametrize("way", range(8))
def test_neighbours_turn_with_the_patch(way: int) -> None:
    """A patch as wide as the block, whose pixels say which place they lie over."""
    places = np.arange(9).reshape(3, 3)
    patch = np.kron(places, np.ones((4, 4), dtype=np.int64))
    over = turned(patch, way)[2::4, 2::4]
    np.testing.assert_array_equal(turned_block(np.arange(9), way), over.ravel())


def test_training_turns_patches_and_neighbours_alike() -> None:
    module = data(features="colour", neighbourhood=3, augment=True)
    straight = {int(i): (p, n) for b in module.memory_dataloader() for i, p, n in zip(b.index, b.patches, b.neighbours)}
    ways = set()
    for batch in module.train_dataloader():
        for number, row in enumerate(batch.index.tolist()):
            patch, block = straight[row]
            same = [w for w in range(8) if np.array_equal(turned(patch.numpy(), w), batch.patches[number])]
            expected = block[turned_block(np.arange(9), same[0])]
            torch.testing.assert_close(batch.neighbours[number], expected)
            ways.add(same[0])
    assert len(ways) > 4


def test_batches_of_few_slides() -> None:
    module = data(slides_per_batch=1, batch_size=4)
    slides = [set(batch.slide.tolist()) for batch in module.train_dataloader()]
    assert sum(len(found) > 1 for found in slides) <= 1  # where one slide ends and the next begins
    seen = sorted(int(i) for batch in module.train_dataloader() for i in batch.index)
    assert set(seen) == set(module.fold.rows("train").tolist())
    mixed = [set(batch.slide.tolist()) for batch in data(batch_size=4).train_dataloader()]
    assert sum(len(found) > 1 for found in mixed) > 3


def test_blocks_of_a_hexagonal_array_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from seqexp.histology.loaders import settings as module
    from seqexp.histology.slides import platform_of

    monkeypatch.setattr(module, "platform_of", lambda name: replace(platform_of(name), grid="hex"))
    with pytest.raises(ConfigError, match="whose grid is hex"):
        data(neighbourhood=3)
