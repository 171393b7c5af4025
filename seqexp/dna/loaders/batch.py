"""The batch every DNA model receives: compact on its way between processes, expanded on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

NUM_BASES = 4
UNKNOWN = 4
# Smaller tensors travel inside the message between processes; a file handle for each would cost more than the copy.
_INLINE_BYTES = 1 << 16


@dataclass(frozen=True)
class SequenceBatch:
    """Windows around TSSs, read in gene orientation (5' to 3' of the gene) unless ``is_reversed``.

    Attributes
    ----------
    codes : uint8 Tensor (B, L)
        Bases: A 0, C 1, G 2, T 3, anything else and bases outside the chromosome 4.
    signals : float16 or float32 Tensor (B, N, T)
        Mean signal of each bin of ``L / N`` bp; T may be 0.
    target : float32 Tensor (B, 1)
        Transformed expression.
    covariates : float32 Tensor (B, F)
        Gene covariates, standardised on the training split; F may be 0.
    tss_bp : int64 Tensor (B,)
        Offset of the TSS base in the window.
    index : int64 Tensor (B,)
        Row of the gene table.
    is_reversed : bool Tensor (B,)
        Whether augmentation turned the window to the strand opposite to the gene.
    blacklist : bool Tensor (B, N)
        Bins that touch a blacklisted stretch.
    """

    codes: Tensor
    signals: Tensor
    target: Tensor
    covariates: Tensor
    tss_bp: Tensor
    index: Tensor
    is_reversed: Tensor
    blacklist: Tensor

    def __len__(self) -> int:
        return int(self.index.shape[0])

    @property
    def bin_bp(self) -> int:
        """Width of a signal bin in bp."""
        return int(self.codes.shape[1] // self.blacklist.shape[1])

    def one_hot(self) -> Tensor:
        """Bases as float32 (B, L, 4), channels A, C, G, T; a row of zeros where the base is unknown."""
        table = torch.eye(UNKNOWN + 1, NUM_BASES, device=self.codes.device)
        # int32 rather than int64 indices: half the memory traffic, which is what this costs.
        return table.index_select(0, self.codes.reshape(-1).int()).view(*self.codes.shape, NUM_BASES)

    def signal_values(self) -> Tensor:
        """Signals as float32 (B, N, T); NaN stays where the dataset says ``missing: nan``."""
        return self.signals.float()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SequenceBatch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> SequenceBatch:
        """The same batch in page-locked memory, from which copies to a GPU can overlap with computing."""
        return self._map(lambda tensor: tensor.contiguous().pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> SequenceBatch:
        return SequenceBatch(*(function(getattr(self, field.name)) for field in fields(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, tuple(_depart(getattr(self, field.name)) for field in fields(self))


def no_blacklist(num_windows: int, num_bins: int) -> Tensor:
    """All False (B, N) that takes one byte of memory, for datasets without a blacklist."""
    return torch.zeros(1, 1, dtype=torch.bool).expand(num_windows, num_bins)


def collate(parts: SequenceBatch | Sequence[SequenceBatch]) -> SequenceBatch:
    """One batch from several; a batch that the dataset already put together passes through.

    Parameters
    ----------
    parts : SequenceBatch or sequence of SequenceBatch
        Windows of one length, with the same bins and tracks.
    """
    if isinstance(parts, SequenceBatch):
        return parts
    if len(parts) == 1:
        return parts[0]
    return SequenceBatch(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(SequenceBatch)))


def _depart(tensor: Tensor) -> Any:
    """What is pickled for a tensor: itself (shared memory), its array if small, its shape if it is the empty mask."""
    if tensor.dtype == torch.bool and tensor.numel() and not any(tensor.stride()) and not tensor.flatten()[0]:
        return tuple(tensor.shape)
    if tensor.device.type == "cpu" and tensor.numel() * tensor.element_size() <= _INLINE_BYTES:
        return tensor.numpy()
    return tensor


def _arrive(*parts: Any) -> SequenceBatch:
    return SequenceBatch(*(_received(part) for part in parts))


def _received(part: Any) -> Tensor:
    if isinstance(part, Tensor):
        return part
    return no_blacklist(*part) if isinstance(part, tuple) else torch.from_numpy(part)
