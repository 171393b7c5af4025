"""The data module: from a ``dataset.yaml`` to loaders of training, validation, test and prediction batches."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.seeds import sample_seed
from seqexp.dna.genome.check import require_usable
from seqexp.dna.genome.dataset import DatasetSpec, load_dataset
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.opening import open_files
from seqexp.dna.genome.regions import IntervalIndex
from seqexp.dna.genome.splits import SPLITS, LeakReport, assign, check_leaks
from seqexp.dna.loaders.augment import Augmentation
from seqexp.dna.loaders.contacts import open_contacts
from seqexp.dna.loaders.described import by_target, described_gene
from seqexp.dna.loaders.fitted import CovariateScale, Fitted, row_identity
from seqexp.dna.loaders.seen_genes import SeenGenes
from seqexp.dna.loaders.settings import check_settings, limited, sizes
from seqexp.dna.loaders.sources import FileSource, WindowSource
from seqexp.dna.loaders.statistics import DataStatistics, collect_statistics
from seqexp.dna.loaders.store import StoreSource
from seqexp.dna.loaders.store_writer import prepare_store
from seqexp.dna.loaders.windows import WindowDataset
from seqexp.loading.description import described
from seqexp.loading.sampling import ResumableLoader, loader_settings, whole_batch
from seqexp.loading.seen import num_moved, relabelled, require_unseen, seen_notes
from seqexp.objectives.transforms import TargetTransform, make_transform

MEMORY_WINDOWS = 512


class SequenceData(pl.LightningDataModule):
    """Windows around the TSSs of a dataset, with their expression.

    Parameters
    ----------
    dataset : Path
        The ``dataset.yaml`` or its folder.
    upstream_bp, downstream_bp : int
        Bases before the TSS and bases from the TSS on, in gene orientation; the window is as long as both.
    signal_bin_bp : int
        Width of a signal bin; must divide the window.
    batch_size : int
        Windows per batch and process.
    num_workers : int
        Worker processes per loader; batches do not depend on it.
    tracks : list of str, optional
        Tracks to load, in this order; all by default, none (DNA only) if the list is empty.
    reverse_complement : float
        Probability of turning a training window to the other strand.
    max_shift_bp, shift_multiple_bp : int
        Training windows move by up to ``max_shift_bp`` either way, in multiples of ``shift_multiple_bp``.
    source : str
        ``files`` reads FASTA and bigWig; ``store`` reads a memory-mapped copy, written where it is missing or old.
    max_genes : int, optional
        At most this many genes per split, chosen by seed, for quick trials; the others become ``none``.
    max_train_genes : int, optional
        The same for the training split alone, to see what more genes would bring.
    seed : int
        Order, augmentation and choices follow from it.
    store_folder : Path, optional
        Where the store lies; ``store`` beside the ``dataset.yaml`` by default.
    contacts : bool
        Add a last signal named ``contact``: log10(1 + Hi-C contact) of every base with the TSS of the gene.

    Attributes
    ----------
    spec : DatasetSpec
    genes : GeneTable
        All genes, with FASTA chromosome names.
    labels : str array (G,)
        ``train``, ``val``, ``test`` or ``none`` for each gene.
    leak_report : LeakReport
        Of windows as wide as shifts can make them.
    transform : TargetTransform
        Fitted on training genes, or taken from a checkpoint.
    statistics : DataStatistics
        Of training windows; read when first asked for.
    notes : list of str
        What has to be told where a checkpoint is opened on data other than its own.
    num_test_seen : int
        Genes that the data call test and the checkpoint has seen; their label says so.

    Raises
    ------
    ConfigError
        Settings that cannot be, at construction; tracks or contacts the dataset does not have, at setup.
    DataError
        Files that cannot be used together, splits that overlap or are empty, at setup.
    """

    wing = "dna"  # how a run on it is finished

    def __init__(
        self,
        dataset: Path,
        upstream_bp: int,
        downstream_bp: int,
        signal_bin_bp: int = 1,
        *,
        batch_size: int = 16,
        num_workers: int = 0,
        tracks: list[str] | None = None,
        reverse_complement: float = 0.0,
        max_shift_bp: int = 0,
        shift_multiple_bp: int = 1,
        source: str = "files",
        max_genes: int | None = None,
        seed: int = 0,
        store_folder: Path | None = None,
        contacts: bool = False,
        max_train_genes: int | None = None,
    ) -> None:
        super().__init__()
        self.path = Path(dataset)
        self.upstream_bp, self.downstream_bp, self.signal_bin_bp = upstream_bp, downstream_bp, signal_bin_bp
        self._window = (upstream_bp, downstream_bp, signal_bin_bp)
        self.batch_size, self.num_workers = batch_size, num_workers
        self.tracks = None if tracks is None else list(tracks)
        self.augmentation = Augmentation(reverse_complement, max_shift_bp, shift_multiple_bp, seed)
        self.source, self.max_genes, self.seed, self.store_folder = source, max_genes, seed, store_folder
        self.contacts, self.max_train_genes = contacts, max_train_genes
        check_settings(self)
        self._is_ready = False
        self._known: Fitted | None = None  # what a checkpoint says of the data it was trained on
        self._saved_transform: TargetTransform | None = None  # all that checkpoints of earlier versions say
        self.notes: list[str] = []
        self._seen: NDArray[np.str_] | None = None
        self.num_test_seen = 0
        self.spec: DatasetSpec
        self.genes: GeneTable
        self.labels: NDArray[np.str_]
        self.leak_report: LeakReport
        self.transform: TargetTransform

    @property
    def window_bp(self) -> int:
        """Length of a window."""
        return self.upstream_bp + self.downstream_bp

    def prepare_data(self) -> None:
        """Write the store, in one process only."""
        if self.source == "store":
            spec = load_dataset(described(self.path, "dataset.yaml"))
            prepare_store(spec, self._store_path(spec), self.tracks)

    def setup(self, stage: str | None = None) -> None:
        """Open the files, split the genes, check for leaks, fit the scales or take a checkpoint's; done once."""
        if self._is_ready:
            return
        self.spec = load_dataset(described(self.path, "dataset.yaml"))
        known, names = self._known, self.tracks
        if known is not None:
            names, self.notes = known.match(self.spec, self.tracks, self.contacts, self._window)
        self._reference, tracks, self.genes = open_files(self.spec, names, self._window[:2])
        self._blacklist: IntervalIndex | None = self.spec.read_blacklist(self._reference.chrom_sizes)
        self._split()
        opened = (self.spec, self._reference, tracks, self.genes)
        self.notes += require_usable(*opened, labels=self.labels, around=self._window)
        reach_bp = max(self.upstream_bp, self.downstream_bp) + self.augmentation.max_shift_bp
        of_split = np.isin(self.labels, SPLITS)
        self._contacts = open_contacts(*opened, of_split=of_split, reach_bp=reach_bp) if self.contacts else None
        self._expression = expression = self.genes.frame[list(self.spec.targets)].to_numpy(np.float64)
        if known is None:
            blank = make_transform(self.spec.transform, raw_unit=self.spec.expression_unit)
            self.transform = self._saved_transform or blank.fit(expression[self.labels == "train"])
            self._scale = CovariateScale.fit(self.genes, self.spec.covariates, self.labels == "train")
        else:
            self.transform, self._scale = known.transform, known.covariates
        self._covariates = self._scale.apply(self.genes)
        self._source: WindowSource = FileSource(self._reference, tracks, self.signal_bin_bp)
        if self.source == "store":
            prepare_store(self.spec, self._store_path(self.spec), self.tracks)  # does nothing if it is up to date
            self._source = StoreSource(self._store_path(self.spec), tracks.names, self.signal_bin_bp)
        self._is_ready = True

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled, augmented training windows; can stop and resume inside an epoch."""
        dataset = self.dataset("train", is_augmented=True)
        return ResumableLoader(dataset, **loader_settings(self, len(dataset), is_shuffled=True))

    def val_dataloader(self) -> DataLoader:
        """Validation windows in the order of the gene table."""
        return self._plain_loader("val")

    def test_dataloader(self) -> DataLoader:
        """Test windows in the order of the gene table."""
        return self._plain_loader("test")

    def memory_dataloader(self) -> DataLoader:
        """Some training windows, drawn once and never augmented: on what a budget of bases is held."""
        dataset = self.dataset("train")
        rows = np.random.default_rng(sample_seed(self.seed, 0, len(SPLITS))).permutation(len(dataset))[:MEMORY_WINDOWS]
        return DataLoader(Subset(dataset, rows.tolist()), batch_size=self.batch_size, collate_fn=whole_batch)

    def predict_dataloader(self) -> DataLoader:
        """Windows of every labelled gene, never augmented."""
        return self._plain_loader("predict")

    def state_dict(self) -> dict[str, Any]:
        """What was fitted on the training genes, and which they are; the training loader keeps its place itself."""
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
            self._saved_transform = TargetTransform.from_state(state_dict["transform"])

    def facts(self) -> dict[str, int]:
        """Sizes that a network is built for; reads the description alone."""
        return sizes(load_dataset(described(self.path, "dataset.yaml")), self)

    def dataset(self, split: str, is_augmented: bool = False) -> WindowDataset:
        """Windows of a split.

        Parameters
        ----------
        split : str
            ``train``, ``val``, ``test``, or ``predict`` for all three.
        is_augmented : bool
            Apply the augmentation of this module.
        """
        if split not in (*SPLITS, "predict"):
            raise ConfigError(f"no split {split!r}", expected=f"one of {', '.join(SPLITS)}, predict")
        self._require_setup()
        is_wanted = np.isin(self.labels, SPLITS) if split == "predict" else self.labels == split
        rows = np.flatnonzero(is_wanted)
        require_unseen(len(rows), split, "gene", self.path)
        return WindowDataset(
            self._source,
            [self.interval(int(row)) for row in rows],
            rows,
            self.upstream_bp,
            target=self.transform.forward(self._expression[rows]),
            covariates=self._covariates[rows],
            augmentation=self.augmentation if is_augmented else None,
            blacklist=self._blacklist,
            contacts=self._contacts,
        )

    def interval(self, index: int) -> Interval:
        """Window of a gene, in gene orientation."""
        self._require_setup()
        return self.genes.window(index, self.upstream_bp, self.downstream_bp)

    def describe(self, index: int) -> dict[str, Any]:
        """Who a row is: gene_id, …, split, expression, target; for a checkpoint ``seen``: train, val or no."""
        labels = {"split": self.labels} if self._seen is None else {"split": self.labels, "seen": self._seen}
        expression = self._expression[index]
        return {
            **described_gene(self.interval(index), self.genes.frame.iloc[index]),
            **{name: str(values[index]) for name, values in labels.items()},
            **by_target("expression", self.target_names, expression),
            **by_target("target", self.target_names, self.transform.forward(expression[None])[0]),
        }

    @cached_property
    def statistics(self) -> DataStatistics:
        """Quantiles of the signals and mean of the target, over training windows."""
        return collect_statistics(self.dataset("train"), self.seed, self._scale.names)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the columns of targets and predictions; one alone needs no name."""
        return self.spec.targets if len(self.spec.targets) > 1 else ("",)

    @property
    def scored_targets(self) -> tuple[str, ...]:
        """Targets that metrics name one by one."""
        return tuple(name for name in self.target_names if name)

    def fingerprint(self) -> str:
        """Identity of the input files and their description; reads every file once."""
        self._require_setup()
        return self._fingerprint

    def input_files(self) -> list[Path]:
        """Every file that is read."""
        return [self.spec.path, *self.spec.files()]

    @cached_property
    def _fingerprint(self) -> str:
        return self.spec.fingerprint()

    def _store_path(self, spec: DatasetSpec) -> Path:
        return Path(self.store_folder) if self.store_folder is not None else spec.folder / "store"

    def _split(self) -> None:
        """Label the genes; leaks are looked for in windows as wide as shifts can make them."""
        shift_bp = self.augmentation.max_shift_bp
        self._wide = windows = self.genes.windows(self.upstream_bp + shift_bp, self.downstream_bp + shift_bp)
        self.labels = assign(self.genes, windows, self.spec.splits)
        self.labels = limited(self.labels, self.max_genes, self.max_train_genes, self.seed)
        self.leak_report = check_leaks(self.genes, windows, self.labels)
        if self._known is not None:
            self._seen = self._known.seen.among(self.genes, self.genes.windows(*self._window[:2]), self._reference)
            self.notes += seen_notes(self.labels, self._seen, self.genes.frame["gene_id"].tolist(), "gene")
            self.num_test_seen = num_moved(self.labels, self._seen)
            self.labels = relabelled(self.labels, self._seen)

    @cached_property
    def _fitted(self) -> Fitted:
        """What a checkpoint has to know of these data; that of the checkpoint where one was loaded."""
        return self._known or Fitted(
            self.transform,
            self.dataset("train").track_names,
            self._scale,
            self._window,
            row_identity(self.genes),
            SeenGenes.of(self.genes, self._wide, self.labels, self._reference),
            self.spec.missing,
            self.target_names,
        )

    @property
    def has_other_rows(self) -> bool:
        """Whether the gene table is not the one that the checkpoint was trained with."""
        return self._known is not None and self._known.rows != row_identity(self.genes)

    def _plain_loader(self, split: str) -> DataLoader:
        dataset = self.dataset(split)
        return DataLoader(dataset, **loader_settings(self, len(dataset), is_padded=split != "predict"))

    def _require_setup(self) -> None:
        if not self._is_ready:
            raise DataError("the data module has not been set up", fix="call setup() first, or hand it to a Trainer")
