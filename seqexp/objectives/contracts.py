"""What networks, batches and data promise to the hall, as small protocols: it asks for these, never for a class.

A network is any ``nn.Module`` with :class:`Predicts` and :class:`Trains`; everything else it may or may not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from seqexp.objectives.outputs import ModelOutput


class Batch(Protocol):
    """Rows of one data module."""

    @property
    def target(self) -> Tensor:
        """What is to be predicted (B, G), as the network sees it."""

    @property
    def index(self) -> Tensor:
        """Which row of the data (B,)."""


@runtime_checkable
class Grouped(Protocol):
    """A batch whose rows come in groups, inside which predictions are correlated: ``val_pcc_mean`` and its like."""

    @property
    def group(self) -> Tensor:
        """Number of the group of each row (B,)."""


@runtime_checkable
class HoldsMemory(Protocol):
    """Data that show a network of :class:`Remembers` their training rows."""

    def memory_dataloader(self) -> Iterable[Any]:
        """Batches of all training rows, in their order, unchanged by augmentation."""


@runtime_checkable
class HoldsOuterRows(Protocol):
    """Data that set rows apart for the outer step of :class:`TwoLevel`; else it takes the validation rows."""

    def outer_dataloader(self) -> Iterable[Any]:
        """Batches of these rows."""


@dataclass(frozen=True)
class Losses:
    """What a network is trained on, for one batch.

    Attributes
    ----------
    terms : dict of str to Tensor (B,) or ()
        Trained on from the first step, each with weight 1 unless the config gives another. Per row where a row has one.
        Their weighted sum is ``train_loss`` and ``val_loss``.
    penalties : dict of str to Tensor ()
        Trained on with the weight that the config gives, growing over the warm-up; without a weight only logged.
    output : ModelOutput, optional
        What the network predicted on the way: it is scored as training metrics. A network whose prediction costs more
        than its loss leaves it out in training; out of training the task then asks for it.
    """

    terms: dict[str, Tensor]
    penalties: dict[str, Tensor] = field(default_factory=dict)
    output: ModelOutput | None = None


@runtime_checkable
class Predicts(Protocol):
    """Every network: a batch in, predictions out."""

    def forward(self, batch: Any) -> ModelOutput:
        """Predictions (B, G) on the scale of the target."""


@runtime_checkable
class Trains(Protocol):
    """Every network: says itself what it is trained on."""

    def losses(self, batch: Any) -> Losses:
        """Named loss terms of a batch."""


@runtime_checkable
class NeedsWeights(Protocol):
    """Has parts that nothing teaches unless the config gives some penalties a weight."""

    needed_weights: Mapping[str, str]  # name of the penalty -> what else the user may do, or ""


@runtime_checkable
class TwoLevel(Protocol):
    """Learns some of its parameters by what the others become: trained by ``TwoLevelStep``.

    The inner parameters follow ``losses``, in which the outer ones are constants; the outer ones follow
    ``outer_losses`` through steps of the inner ones.
    """

    def outer_parameters(self) -> Iterable[str]:
        """Names of the outer parameters, as ``named_parameters`` gives them; all others are inner."""

    def outer_losses(self, batch: Any) -> Losses:
        """Named loss terms of rows set apart for the outer step."""


@runtime_checkable
class Bounded(Protocol):
    """Has parameters that may not lie anywhere."""

    def project(self) -> None:
        """Bring them back to where they may lie; called after each outer step of :class:`TwoLevel`."""


@runtime_checkable
class NeedsCalibration(Protocol):
    """Starts from figures of the training split."""

    def calibrate(self, statistics: Any) -> None:
        """Take the statistics; called once, before training."""


@runtime_checkable
class Remembers(Protocol):
    """Answers by what it has seen of the training rows, or holds a budget on them."""

    def memorise(self, batches: Iterable[Any]) -> None:
        """Take training rows as the present weights read them; called before every validation."""


@runtime_checkable
class Selects(Protocol):
    """Keeps some bins of a window."""

    bin_bp: int

    def select(self, batch: Any) -> Any:
        """The selection of a batch; anything with a ``mask`` (B, N) in [0, 1], gene orientation."""


@runtime_checkable
class ReadsMasks(Protocol):
    """Predicts from what a given mask leaves."""

    def predict_under(self, batch: Any, mask: Tensor) -> Tensor:
        """Predictions (B, G) under a mask (B, N) in gene orientation."""


@runtime_checkable
class ReadsInputs(Protocol):
    """Predicts from bases and signals that are given apart from the batch, so that gradients can be taken of them."""

    bin_bp: int

    def predict_inputs(self, batch: Any, one_hot: Tensor, signals: Tensor) -> Tensor:
        """Predictions (B, G) from bases (B, L, 4) and binned signals (B, N, T)."""


@runtime_checkable
class KnowsRows(Protocol):
    """Holds something for each row of the table it was trained on, and predicts no others."""

    knows_rows: bool  # whether it does so with its present settings


@runtime_checkable
class Embeds(Protocol):
    """Has representations worth looking at."""

    def embed(self, batch: Any) -> Mapping[str, Tensor]:
        """Embeddings (B, D) by name; two of one width that lie in one space can be searched from one to the other."""


@runtime_checkable
class MapsPixels(Protocol):
    """Can show what it reads in each pixel of a picture."""

    def pixel_maps(self, patches: Tensor, target: int) -> Tensor:
        """Maps (B, K, P, P) of what one target is read from, of 8-bit pictures (B, P, P, 3)."""


@runtime_checkable
class Samples(Protocol):
    """Predicts a distribution."""

    def sample(self, batch: Any, num_samples: int, seed: int) -> Tensor:
        """Draws (num_samples, B, G), each seeded by (seed, row, draw): batches and their order change nothing."""


class Rows(Protocol):
    """Rows of a data set, as a loader reads them."""

    def __len__(self) -> int:
        """How many."""

    def __getitems__(self, keys: Sequence[Any]) -> Any:
        """One batch of the rows drawn."""


class DataModule(Protocol):
    """What the hall asks a data module for, beside the hooks that Lightning gives it.

    Attributes
    ----------
    wing : str
        Who evaluates a run on it and draws its page: a key of :data:`seqexp.api.finish.WINGS`.
    notes : list of str
        What has to be told where a checkpoint is opened on data other than its own.
    """

    wing: str
    notes: list[str]

    def prepare_data(self) -> None:
        """Make what is made once; called in one process."""

    def setup(self, stage: str) -> None:
        """Open files and fit what is fitted on the training rows."""

    def train_dataloader(self) -> Iterable[Any]:
        """Training rows, shuffled by (seed, epoch)."""

    def val_dataloader(self) -> Iterable[Any]:
        """Validation rows in their order."""

    def test_dataloader(self) -> Iterable[Any]:
        """Test rows in their order."""

    def predict_dataloader(self) -> Iterable[Any]:
        """Every labelled row."""

    def memory_dataloader(self) -> Iterable[Any]:
        """Training rows in their order and as they are, for networks that remember."""

    def state_dict(self) -> dict[str, Any]:
        """What was fitted, and which rows are trained on; plain values."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint, before ``setup``."""

    def fingerprint(self) -> str:
        """Identity of the input files."""

    def input_files(self) -> Sequence[Path]:
        """Files that are read, which nothing may be written over."""

    def describe(self, index: int) -> Mapping[str, Any]:
        """Who a row is, by the columns of ``predictions.tsv``."""

    @property
    def target_names(self) -> Sequence[str]:
        """Names of the columns of targets and predictions; one empty name where there is one target."""

    @property
    def statistics(self) -> Any:
        """Figures of the training split, for networks that need calibration."""
