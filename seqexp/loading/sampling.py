"""The order of rows: reproducible from seed and epoch, shared out among processes, resumable inside an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from seqexp.core.errors import ConfigError
from seqexp.core.seeds import sample_seed

_ORDER = -1  # keeps the seed of the order apart from those of the rows


class Draw(NamedTuple):
    """A row of the dataset to read, and the epoch it is read in.

    The epoch travels with the row, so workers that live through many epochs need no other message.
    """

    row: int
    epoch: int


class EpochSampler(DistributedSampler):
    """Rows of one process, in an order that follows from (seed, epoch) alone.

    Parameters
    ----------
    num_rows : int
        Rows of the dataset.
    is_shuffled : bool
        New order every epoch; otherwise rows in their own order.
    is_padded : bool
        Give every process the same number of rows by repeating up to ``num_processes - 1`` of them, as gradient
        synchronisation needs; consumers drop repeats by the ``index`` of a batch.
    seed : int
        Seed of the order.
    rank, num_processes : int
        Which share of the rows.
    groups : array (R,), optional
        Group of each row, such as its slide. Shuffled rows then come from ``groups_together`` groups at a time, so that
        what is computed once per group is computed for few of them in a batch; a batch where two sets meet holds both.
    groups_together : int

    Notes
    -----
    It derives from DistributedSampler only so that Lightning recognises that the rows are already shared out.
    """

    def __init__(
        self,
        num_rows: int,
        is_shuffled: bool = False,
        is_padded: bool = True,
        seed: int = 0,
        *,
        rank: int = 0,
        num_processes: int = 1,
        groups: np.ndarray | None = None,
        groups_together: int = 1,
    ) -> None:
        super().__init__(range(num_rows), num_processes, rank, shuffle=is_shuffled, seed=seed)  # type: ignore[arg-type]
        self.num_rows, self.is_padded = num_rows, is_padded
        self.num_skipped = 0
        self.groups, self.groups_together = groups, 0 if groups is None else groups_together

    def order(self) -> np.ndarray:
        """Rows of this process in the present epoch, int64."""
        order = np.arange(self.num_rows)
        if self.shuffle:
            generator = np.random.default_rng(sample_seed(self.seed, self.epoch, _ORDER))
            order = generator.permutation(self.num_rows)
            if self.groups is not None:
                order = self._together(order, self.groups, generator)
        if self.is_padded:
            order = np.resize(order, len(self) * self.num_replicas)
        return order[self.rank :: self.num_replicas]

    def _together(self, order: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Shuffled rows, brought together by sets of groups; order of sets and order inside them stay random."""
        names = generator.permutation(np.unique(groups))
        set_of = {name: number // self.groups_together for number, name in enumerate(names.tolist())}
        numbers = np.array([set_of[name] for name in groups[order].tolist()])
        return order[np.argsort(numbers, kind="stable")]

    def __iter__(self) -> Iterator[Draw]:
        """Draws of the epoch; the first ``num_skipped`` are left out, once."""
        rows = self.order()[self.num_skipped :].tolist()
        self.num_skipped = 0
        return iter([Draw(row, self.epoch) for row in rows])

    def __len__(self) -> int:
        share, rest = divmod(self.num_rows, self.num_replicas)
        return share + int(rest > 0 if self.is_padded else self.rank < rest)


class ResumableLoader(DataLoader):
    """DataLoader over an :class:`EpochSampler` that can stop inside an epoch and go on in another process.

    Lightning saves ``state_dict()`` of the training loader in every checkpoint and hands it to ``load_state_dict()``
    before the first batch of a resumed run. Batches that workers have prepared but nobody has taken do not count.
    """

    _position = 0
    _num_skipped = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator, so that nothing is drawn before Lightning has told the sampler the epoch.
        skipped, self._num_skipped = self._num_skipped, 0
        if skipped:
            self.sampler.num_skipped = skipped * int(self.batch_size or 1)  # type: ignore[attr-defined]
        self._position = skipped
        for batch in super().__iter__():
            self._position += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Batches taken in the present epoch, and what the order depends on."""
        position = self._position or self._num_skipped
        return {"position": 0 if position >= len(self) else position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next pass start where the saved one stopped.

        Raises
        ------
        ConfigError
            The epoch was begun with other rows, batch size, seed or number of processes.
        """
        saved = {key: state.get(key) for key in self._identity()}
        if state["position"] and saved != self._identity():
            raise ConfigError(
                f"the checkpoint lies inside an epoch drawn with {saved}",
                where=f"this run has {self._identity()}",
                expected="the same data settings, because the rest of the epoch must hold the rows not yet seen",
                fix="resume with the settings of the checkpoint",
            )
        self._position, self._num_skipped = 0, int(state["position"])

    def _identity(self) -> dict[str, Any]:
        sampler = self.sampler
        names = ("num_rows", "seed", "num_replicas", "groups_together")
        return {"batch_size": self.batch_size, **{name: getattr(sampler, name, None) for name in names}}


def whole_batch(batch: Any) -> Any:
    """What a DataLoader is to do with what ``__getitems__`` of the rows gave: it is a batch already."""
    return batch


def loader_settings(
    module: Any,
    num_rows: int,
    is_shuffled: bool = False,
    *,
    is_padded: bool = True,
    groups: np.ndarray | None = None,
    groups_together: int = 1,
) -> dict[str, Any]:
    """Arguments of a DataLoader over rows of a data module, shared out among the processes of its trainer.

    Parameters
    ----------
    module : LightningDataModule
        With ``batch_size``, ``num_workers`` and ``seed``.
    num_rows : int
        Rows of the dataset.
    is_shuffled, is_padded, groups, groups_together
        See :class:`EpochSampler`.
    """
    trainer = module.trainer
    rank, num_processes = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
    return {
        "sampler": EpochSampler(
            num_rows,
            is_shuffled,
            is_padded,
            module.seed,
            rank=rank,
            num_processes=num_processes,
            groups=groups,
            groups_together=groups_together,
        ),
        "batch_size": module.batch_size,
        "num_workers": module.num_workers,
        "collate_fn": whole_batch,
        "persistent_workers": module.num_workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
