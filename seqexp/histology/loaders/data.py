"""The data module: from a ``slides.yaml`` and one of its splits to batches of spots."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from seqexp.core.errors import DataError
from seqexp.histology.loaders.cache import SpotArray
from seqexp.histology.loaders.dataset import SpotDataset
from seqexp.histology.loaders.fitted import Fitted, numbered
from seqexp.histology.loaders.inputs import (
    PATCH_PX,
    cache_of,
    encoder_features,
    read_features,
    read_patches,
    scaled_by_slide,
)
from seqexp.histology.loaders.seen_spots import SeenSpots
from seqexp.histology.loaders.settings import check_settings, require_square
from seqexp.histology.loaders.statistics import SpotStatistics
from seqexp.histology.slides import Fold, SlideSet, grid_window
from seqexp.loading.description import described
from seqexp.loading.sampling import ResumableLoader, loader_settings, whole_batch
from seqexp.loading.seen import num_moved, relabelled, require_unseen, seen_notes
from seqexp.objectives.transforms import ColumnScale

SPLITS = ("train", "val", "test")


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
    notes : list of str
        What has to be told where a checkpoint is opened on data other than its own.
    num_test_seen : int
        Spots that the data call test and the checkpoint has seen; their label says so.

    Raises
    ------
    ConfigError
        Settings that cannot be, at construction; no split of that name, at setup.
    DataError
        Files that cannot be used, a leak that the split does not allow, at setup.
    """

    wing = "histology"  # how a run on it is finished

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
        check_settings(self)
        self._is_ready = False
        self._known: Fitted | None = None  # what a checkpoint says of the data it was trained on
        self._saved_transform: ColumnScale | None = None  # all that checkpoints of earlier versions say
        self._saved_genes: list[str] | None = None
        self._seen: NDArray[np.str_] | None = None
        self.notes: list[str] = []
        self.num_test_seen = 0
        self.slides: SlideSet
        self.fold: Fold
        self.transform: ColumnScale
        self.patches: SpotArray | None = None
        self.features: NDArray[np.float32]
        self.blocks: NDArray[np.int64]

    # -- hooks of Lightning --------------------------------------------------------------------------------------------

    def setup(self, stage: str | None = None) -> None:
        """Open the slides, choose genes or take a checkpoint's, audit the split, fill the cache; done once."""
        if self._is_ready:
            return
        self.slides = SlideSet.open(described(self.path, "slides.yaml"))
        self.fold = self._open_fold()
        known, frame = self._known, self.fold.spots.frame
        self.slide, self._slide_names = numbered(frame["slide"], known.slides if known else ())
        self.patient, self._patient_names = numbered(frame["patient"], known.patients if known else ())
        self.grid = frame[["row", "column"]].to_numpy(np.int64)
        self.blocks = np.zeros((len(frame), 0), np.int64)
        if self.neighbourhood:
            require_square(frame["platform"])
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
        self._scale_features(features)
        values = np.asarray(self.fold.transform.restore(self.fold.targets), dtype=np.float64)
        fitted, unit = self.seen_targets(values)[self.fold.rows("train")], self.fold.transform.unit
        saved = known.scale if known else self._saved_transform
        self.transform = saved or ColumnScale.fit(fitted, unit, self.standardize)
        self.values = values.astype(np.float32)
        self._is_ready = True

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled training spots; can stop and resume inside an epoch."""
        targets = self.transform.forward(self.seen_targets(self.values.astype(np.float64))).astype(np.float32)
        dataset = SpotDataset(self, self.fold.rows("train"), targets, self.augment)
        grouped: dict[str, Any] = {}
        if self.slides_per_batch:
            grouped = {"groups": self.slide[dataset.rows], "groups_together": self.slides_per_batch}
        return ResumableLoader(dataset, **loader_settings(self, len(dataset), is_shuffled=True, **grouped))

    def memory_dataloader(self) -> DataLoader:
        """Training spots in their own order and as they are: what models that answer by retrieval remember."""
        dataset = SpotDataset(self, self.fold.rows("train"), self._targets, False)
        return DataLoader(dataset, batch_size=self.batch_size, collate_fn=whole_batch)

    def val_dataloader(self) -> DataLoader:
        """Validation spots in the order of the spot table."""
        return self._scored_loader("val")

    def test_dataloader(self) -> DataLoader:
        """Test spots in the order of the spot table."""
        return self._scored_loader("test")

    def predict_dataloader(self) -> DataLoader:
        """Every labelled spot, never augmented."""
        return self._plain_loader(np.flatnonzero(np.isin(self.fold.labels, SPLITS)), is_padded=False)

    def state_dict(self) -> dict[str, Any]:
        """Genes, scales and what was seen; the training loader keeps its place itself."""
        return self._fitted.state() if self._is_ready else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the facts of a checkpoint: before :meth:`setup` to predict with it, after it to go on training.

        Raises
        ------
        DataError
            The facts are damaged, or training would go on with other data than it began with.
        """
        if "transform" not in state_dict:
            return
        if self._is_ready:
            self._fitted.require_same(state_dict, self.path)
        elif "seen" in state_dict:
            self._known = Fitted.from_state(state_dict)
        else:  # of an earlier version
            self._saved_transform = ColumnScale.from_state(state_dict["transform"])
            self._saved_genes = list(state_dict["genes"])

    def facts(self) -> dict[str, int]:
        """Sizes that a network is built for; genes are chosen and features counted on the training spots."""
        self.setup("fit")
        return {"num_genes": len(self.fold.panel), "num_features": self.features.shape[1]}

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
        """Who a row is: slide, barcode, patient, …, split; for a checkpoint ``seen``: train, val or no."""
        spot = self.fold.spots.frame.iloc[index]
        names = ("slide", "barcode", "patient", "section", "row", "column", "x_um", "y_um")
        seen = {} if self._seen is None else {"seen": str(self._seen[index])}
        return {**{name: spot[name] for name in names}, "split": str(self.fold.labels[index]), **seen}

    @property
    def target_names(self) -> tuple[str, ...]:
        """Genes, in the order of the columns of targets and predictions."""
        return tuple(self.fold.panel)

    @property
    def statistics(self) -> SpotStatistics:
        """Numbers of genes and features."""
        return SpotStatistics(len(self.fold.panel), self.features.shape[1], self.patch_px)

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

    def _open_fold(self) -> Fold:
        """The split with its genes and scales: chosen and fitted here, or those of a checkpoint."""
        known = self._known
        if known is None:
            fold = self.slides.fold(self.split)
            if self._saved_genes not in (None, list(fold.panel)):
                raise DataError("the checkpoint predicts other genes than this split chooses", where=self.path)
            return fold
        frame, own = self.slides.spots.frame, self.slides.split(self.split)
        self._seen = known.seen.among(frame, self.slides.slides)
        names = (frame["slide"].astype(str) + "/" + frame["barcode"].astype(str)).tolist()
        self.notes = [*known.notes(self.slides, self.patch_um is not None), *seen_notes(own, self._seen, names, "spot")]
        self.num_test_seen = num_moved(own, self._seen)
        return self.slides.fold(self.split, relabelled(own, self._seen), (known.selection, known.expression))

    def _scale_features(self, features: NDArray[np.float32]) -> None:
        """Scale features by their slide or by the training spots, those of the checkpoint where one was loaded."""
        self._feature_scale: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
        self.features = features
        if self.scale_features == "slide":
            self.features = scaled_by_slide(features, self.slide)
        elif self.scale_features == "train":
            train = features[self.fold.rows("train")]
            self._feature_scale = (tuple(train.mean(0).tolist()), tuple((train.std(0) + 1e-6).tolist()))
            if self._known is not None:
                self._feature_scale = (self._known.feature_mean, self._known.feature_std)
            mean, std = (np.asarray(part, dtype=np.float32) for part in self._feature_scale)
            self.features = (features - mean) / std

    @cached_property
    def _fitted(self) -> Fitted:
        """What a checkpoint has to know of these data; that of the checkpoint where one was loaded."""
        mpps, frame = [slide.mpp for slide in self.slides.slides.values()], self.fold.spots.frame
        return self._known or Fitted(
            scale=self.transform,
            selection=self.fold.selection,
            expression=self.fold.transform,
            feature_mean=self._feature_scale[0],
            feature_std=self._feature_scale[1],
            slides=self._slide_names,
            patients=self._patient_names,
            mpp=(min(mpps), max(mpps)),
            seen=SeenSpots.of(frame, self.fold.labels, self.slides.slides),
        )

    @property
    def _targets(self) -> NDArray[np.float32]:
        return self.transform.forward(self.values).astype(np.float32)

    def _scored_loader(self, split: str) -> DataLoader:
        if self._known is not None:
            require_unseen(len(self.fold.rows(split)), split, "spot", self.path)
        return self._plain_loader(self.fold.rows(split))

    def _plain_loader(self, rows: NDArray[np.int64], is_padded: bool = True) -> DataLoader:
        dataset = SpotDataset(self, rows, self._targets, False)
        return DataLoader(dataset, **loader_settings(self, len(dataset), is_padded=is_padded))
