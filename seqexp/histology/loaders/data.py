"""The data module: from a ``slides.yaml`` and one of its splits to batches of spots."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.seeds import sample_seed
from seqexp.histology.loaders.batch import SpotBatch, collate
from seqexp.histology.loaders.cache import SpotArray
from seqexp.histology.loaders.inputs import (
    PATCH_PX,
    cache_of,
    encoder_features,
    read_features,
    read_patches,
    scaled_by_slide,
)
from seqexp.histology.slides import Fold, SlideSet, grid_window, platform_of
from seqexp.loading.sampling import Draw, ResumableLoader, loader_settings
from seqexp.objectives.transforms import ColumnScale

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SpotStatistics:
    """What a network may check itself against before training.

    Attributes
    ----------
    num_genes, num_features : int
    """

    num_genes: int
    num_features: int


class SpotDataset(Dataset):
    """Rows of the spot table as batches; whole batches are read at once."""

    def __init__(self, data: SpotData, rows: NDArray[np.int64], targets: NDArray[np.float32], is_turned: bool) -> None:
        self.rows, self.targets, self.is_turned, self.seed = rows, targets, is_turned, data.seed
        self.patches, self.features, self.blocks = data.patches, data.features, data.blocks
        self.grid, self.slide, self.patient = data.grid, data.slide, data.patient

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | Draw) -> SpotBatch:
        """Batch of one spot."""
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[int | Draw]) -> SpotBatch:
        """Batch of several spots."""
        draws = [key if isinstance(key, Draw) else Draw(key, 0) for key in keys]
        rows = self.rows[[draw.row for draw in draws]]
        patches = np.zeros((len(rows), 0, 0, 3), np.uint8) if self.patches is None else self.patches[rows]
        blocks = self.blocks[rows]
        for number, (draw, row) in enumerate(zip(draws, rows.tolist())):
            if self.is_turned:
                way = int(np.random.default_rng(sample_seed(self.seed, draw.epoch, row)).integers(8))
                patches[number], blocks[number] = turned(patches[number], way), turned_block(blocks[number], way)
        is_neighbour = blocks >= 0
        neighbours = np.where(is_neighbour[..., None], self.features[blocks], np.float32(0))
        columns = (patches, self.features[rows], neighbours, is_neighbour, self.targets[rows], self.grid[rows])
        return SpotBatch(*map(torch.from_numpy, (*columns, self.slide[rows], self.patient[rows], rows)))


def turned(square: NDArray[Any], way: int) -> NDArray[Any]:
    """A square (P, P, ...) laid on itself in one of eight ways: tissue has no up or down."""
    rotated = np.rot90(square, way % 4)
    return rotated[:, ::-1] if way >= 4 else rotated


def turned_block(block: NDArray[np.int64], way: int) -> NDArray[np.int64]:
    """The places around a spot (K,), row by row, after its patch was turned: neighbours turn with it."""
    side = math.isqrt(len(block))
    return turned(block.reshape(side, side), way).ravel()


class SpotData(pl.LightningDataModule):
    """Spots of a slide set with their expression.

    Parameters
    ----------
    dataset : Path
        The ``slides.yaml`` or its folder.
    split : str
        Name of one of its splits; genes are chosen and transforms fitted on the training spots of that split.
    patch_px : int
        Width in pixels at which patches are read; 0: no patches.
    patch_um : float, optional
        Their width on the tissue; as wide as 224 px at full resolution by default.
    features : {"none", "colour", "texture"}
        Hand-made features: colour of one patch, or colour and texture at four scales.
    feature_encoder : nn.Module, optional
        A frozen patch encoder, such as :class:`~seqexp.histology.encoders.patch.TimmPatchEncoder`, whose features of
        ``encoder_px`` wide patches are computed once, cached, and put after the hand-made ones.
    encoder_px : int
    neighbourhood : int
        Side of the block of array places whose features come with each spot, odd; 0: none. Square arrays only.
    slides_per_batch : int
        Training batches hold spots of this many slides; 0: of any.
    scale_features : {"slide", "train", "none"}
        Mean 0 and standard deviation 1 on each slide, or on the training spots.
    standardize : bool
        The network sees each gene with mean 0 and standard deviation 1 of the training spots.
    center_targets : bool
        Training targets lose the mean of their slide (and keep the common one): what differs between slides as a whole
        cannot be told from stain. Validation and test targets stay what they are.
    augment : bool
        Turn and mirror training patches at random.
    batch_size, num_workers : int
        Spots per batch; batches do not depend on the number of workers.
    cache_folder : Path, optional
        Where patches and features are kept; ``cache`` beside the ``slides.yaml`` by default.
    seed : int
        Order and augmentation follow from it.

    Attributes
    ----------
    slides : SlideSet
    fold : Fold
        Spots, labels, genes, targets, audit.
    transform : ColumnScale
        From what the network sees to the unit of the slide set, such as ln(CP10K + 1).

    Raises
    ------
    ConfigError
        Settings that cannot be, at construction; no split of that name, at setup.
    DataError
        Files that cannot be used, a leak that the split does not allow, at setup.
    """

    def __init__(
        self,
        dataset: Path,
        split: str,
        patch_px: int = PATCH_PX,
        patch_um: float | None = None,
        *,
        features: str = "none",
        feature_encoder: nn.Module | None = None,
        encoder_px: int = PATCH_PX,
        neighbourhood: int = 0,
        slides_per_batch: int = 0,
        scale_features: str = "slide",
        standardize: bool = True,
        center_targets: bool = False,
        augment: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        cache_folder: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.path, self.split = Path(dataset), split
        self.patch_px, self.patch_um = patch_px, patch_um
        self.features_kind, self.scale_features = features, scale_features
        self.feature_encoder, self.encoder_px = feature_encoder, encoder_px
        self.neighbourhood, self.slides_per_batch = neighbourhood, slides_per_batch
        self.standardize, self.center_targets, self.augment = standardize, center_targets, augment
        self.batch_size, self.num_workers, self.cache_folder, self.seed = batch_size, num_workers, cache_folder, seed
        self._check_settings()
        self._is_ready = False
        self._saved_transform: ColumnScale | None = None
        self.slides: SlideSet
        self.fold: Fold
        self.transform: ColumnScale
        self.patches: SpotArray | None = None
        self.features: NDArray[np.float32]
        self.blocks: NDArray[np.int64]

    # -- hooks of Lightning --------------------------------------------------------------------------------------------

    def setup(self, stage: str | None = None) -> None:
        """Open the slides, choose genes, audit the split, fill the cache; the second call does nothing."""
        if self._is_ready:
            return
        self.slides = SlideSet.open(self.path)
        self.fold = self.slides.fold(self.split)
        frame = self.fold.spots.frame
        self.slide = _numbers(frame["slide"])
        self.patient = _numbers(frame["patient"])
        self.grid = frame[["row", "column"]].to_numpy(np.int64)
        self.blocks = np.zeros((len(frame), 0), np.int64)
        if self.neighbourhood:
            _require_square(frame["platform"])
            self.blocks = grid_window(frame, self.neighbourhood)
        cache = cache_of(self.slides, self.cache_folder)
        if self.patch_px:
            self.patches = read_patches(
                cache, self.fold.spots, self.slides.slides, self.patch_px, side_um=self.patch_um
            )
        features = read_features(cache, self.fold.spots, self.slides.slides, self.features_kind)
        if self.feature_encoder is not None:
            encoded = encoder_features(
                cache,
                self.fold.spots,
                self.slides.slides,
                self.feature_encoder,
                side_px=self.encoder_px,
                side_um=self.patch_um,
            )
            features = np.concatenate([features, encoded], axis=1)
        self.features = scaled_by_slide(features, self.slide) if self.scale_features == "slide" else features
        train = self.fold.rows("train")
        if self.scale_features == "train":
            mean, std = features[train].mean(0), features[train].std(0)
            self.features = (features - mean) / (std + 1e-6)
        values = np.asarray(self.fold.transform.restore(self.fold.targets), dtype=np.float64)
        fitted = self.seen_targets(values)[train]
        unit = self.fold.transform.unit
        self.transform = self._saved_transform or ColumnScale.fit(fitted, unit, self.standardize)
        self.values = values.astype(np.float32)
        self._is_ready = True

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled training spots; can stop and resume inside an epoch."""
        targets = self.transform.forward(self.seen_targets(self.values.astype(np.float64))).astype(np.float32)
        dataset = SpotDataset(self, self.fold.rows("train"), targets, self.augment)
        grouped: dict[str, Any] = {}
        if self.slides_per_batch:
            grouped = {"groups": self.slide[dataset.rows], "groups_together": self.slides_per_batch}
        return ResumableLoader(dataset, **loader_settings(self, len(dataset), collate, is_shuffled=True, **grouped))

    def memory_dataloader(self) -> DataLoader:
        """Training spots in their own order and as they are: what models that answer by retrieval remember."""
        dataset = SpotDataset(self, self.fold.rows("train"), self._targets, False)
        return DataLoader(dataset, self.batch_size, collate_fn=collate)

    def val_dataloader(self) -> DataLoader:
        """Validation spots in the order of the spot table."""
        return self._plain_loader(self.fold.rows("val"))

    def test_dataloader(self) -> DataLoader:
        """Test spots in the order of the spot table."""
        return self._plain_loader(self.fold.rows("test"))

    def predict_dataloader(self) -> DataLoader:
        """Every labelled spot, never augmented."""
        return self._plain_loader(np.flatnonzero(np.isin(self.fold.labels, SPLITS)), is_padded=False)

    def state_dict(self) -> dict[str, Any]:
        """The fitted scale and the genes; the place in the epoch is kept by the training loader."""
        return {"transform": self.transform.state(), "genes": list(self.fold.panel)} if self._is_ready else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the scale of a checkpoint, on which its network predicts.

        Raises
        ------
        DataError
            The checkpoint predicts other genes.
        """
        if "transform" not in state_dict:
            return
        self._saved_transform = ColumnScale.from_state(state_dict["transform"])
        if not self._is_ready:
            return
        if list(self.fold.panel) != state_dict["genes"]:
            raise DataError("the checkpoint predicts other genes than this split chooses", where=self.path)
        if self.transform != self._saved_transform:
            warnings.warn("the training spots differ from those of the checkpoint; its scale is kept", stacklevel=2)
        self.transform = self._saved_transform

    # -- what others ask -----------------------------------------------------------------------------------------------

    def seen_targets(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expression (S, G) as training sees it: centred by slide where that is asked for."""
        if not self.center_targets:
            return values
        seen, train = values.copy(), self.fold.labels == "train"
        common = values[train].mean(0)
        for number in np.unique(self.slide[train]):
            rows = train & (self.slide == number)
            seen[rows] += common - values[rows].mean(0)
        return seen

    def describe(self, index: int) -> dict[str, Any]:
        """Who a row is: slide, barcode, patient, section, row, column, x_um, y_um, split."""
        spot = self.fold.spots.frame.iloc[index]
        names = ("slide", "barcode", "patient", "section", "row", "column", "x_um", "y_um")
        return {**{name: spot[name] for name in names}, "split": str(self.fold.labels[index])}

    @property
    def target_names(self) -> tuple[str, ...]:
        """Genes, in the order of the columns of targets and predictions."""
        return tuple(self.fold.panel)

    @property
    def statistics(self) -> SpotStatistics:
        """Numbers of genes and features."""
        return SpotStatistics(len(self.fold.panel), self.features.shape[1])

    def input_files(self) -> list[Path]:
        """Every file that is read; none of them may be written over."""
        return [self.slides.spec.path, *self.slides.spec.files()]

    @cached_property
    def _fingerprint(self) -> str:
        return self.slides.fingerprint()

    def fingerprint(self) -> str:
        """Identity of the input files and their description."""
        return self._fingerprint

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _targets(self) -> NDArray[np.float32]:
        return self.transform.forward(self.values).astype(np.float32)

    def _check_settings(self) -> None:
        for name, lowest in (("patch_px", 0), ("batch_size", 1), ("num_workers", 0), ("slides_per_batch", 0)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name}: {getattr(self, name)}", where="data", expected=f"at least {lowest}")
        if self.neighbourhood and self.neighbourhood % 2 != 1:
            raise ConfigError(f"neighbourhood: {self.neighbourhood}", where="data", expected="0, or an odd side")
        if self.patch_um is not None and self.patch_um <= 0:
            raise ConfigError(f"patch_um: {self.patch_um}", where="data", expected="a width above 0")
        if self.scale_features not in ("slide", "train", "none"):
            raise ConfigError(f"scale_features: {self.scale_features!r}", expected="slide, train or none")
        if not self.patch_px and self.features_kind == "none" and self.feature_encoder is None:
            raise ConfigError("patch_px: 0 and features: none", where="data", expected="patches, features or both")

    def _plain_loader(self, rows: NDArray[np.int64], is_padded: bool = True) -> DataLoader:
        dataset = SpotDataset(self, rows, self._targets, False)
        return DataLoader(dataset, **loader_settings(self, len(dataset), collate, is_padded=is_padded))


def _require_square(platforms: Any) -> None:
    """Refuse blocks of an array whose rows and columns are no square grid."""
    for name in dict.fromkeys(platforms):
        if platform_of(name).grid != "square":
            raise ConfigError(
                f"neighbourhood on {name}, whose grid is {platform_of(name).grid}",
                where="data",
                expected="a platform with a square grid, such as ST",
                fix="neighbourhood: 0",
            )


def _numbers(names: Any) -> NDArray[np.int64]:
    """Names as numbers, in the order of their first appearance."""
    seen = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([seen[name] for name in names], dtype=np.int64)
