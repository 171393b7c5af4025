"""The batch every DNA model receives: compact on its way between processes, expanded on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

NUM_BASES = 4
UNKNOWN = 4
# Smaller tensors travel inside the message between processes; a file handle for each would cost more than the copy.
INLINE_BYTES = 1 << 16


@dataclass(frozen=True)
class SequenceBatch:
    """Windows around TSSs, read in gene orientation (5' to 3' of the gene) unless ``is_reversed``.

    Attributes
    ----------
    codes : uint8 Tensor (B, L)
        Bases: A 0, C 1, G 2, T 3, anything else and bases outside the chromosome 4.
    signals : float16 or float32 Tensor (B, N, T)
        Mean signal of each bin of ``L / N`` bp; T may be 0, and Hi-C contacts, if any, come last. In memory (B, T, N),
        as convolutions want it, so use ``reshape`` rather than ``view``.
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
        flat = self.codes.reshape(-1)
        # This costs what it writes to memory, so rows are written two bases at a time where bases come in pairs.
        if flat.numel() % 2 == 0 and flat.storage_offset() % 2 == 0:
            rows = _pair_table(flat.device).index_select(0, flat.view(torch.int16).int())
        else:
            rows = torch.eye(UNKNOWN + 1, NUM_BASES, device=flat.device).index_select(0, flat.int())
        return rows.view(*self.codes.shape, NUM_BASES)

    def signal_values(self) -> Tensor:
        """Signals as float32 (B, N, T); NaN stays where the dataset says ``missing: nan``."""
        return self.signals.float()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SequenceBatch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> SequenceBatch:
        """The same batch in page-locked memory, from which copies to a GPU can overlap with computing."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> SequenceBatch:
        tensors = (getattr(self, field.name) for field in fields(self))
        return SequenceBatch(*(_on_base(function, tensor) for tensor in tensors))

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, tuple(_depart(getattr(self, field.name)) for field in fields(self))


@lru_cache
def _pair_table(device: torch.device) -> Tensor:
    """One-hot rows (1029, 8) of two bases, found by the 16-bit number that their two codes make in memory."""
    with torch.inference_mode(False):
        number = torch.arange((UNKNOWN << 8) + UNKNOWN + 1, device=device)
        table = torch.eye(UNKNOWN + 1, NUM_BASES, device=device)
        first, second = (number & 255).clamp(max=UNKNOWN), number >> 8
        return torch.cat([table[first], table[second]], dim=1)


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


def _is_repeated(tensor: Tensor) -> bool:
    """Whether all elements are one and the same place in memory."""
    return tensor.numel() > 0 and not any(tensor.stride())


def _on_base(function: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """Apply a function of storage, without unfolding a repeated element."""
    if not _is_repeated(tensor):
        return function(tensor)
    return function(tensor.as_strided((1,), (1,))).expand(tensor.shape)


def _depart(tensor: Tensor) -> Any:
    """What is pickled for a tensor: itself (shared memory), its array if small, its shape if it is the empty mask."""
    if tensor.dtype == torch.bool and _is_repeated(tensor) and not tensor.as_strided((1,), (1,)).item():
        return tuple(tensor.shape)
    is_small = tensor.numel() * tensor.element_size() <= INLINE_BYTES
    if tensor.device.type == "cpu" and tensor.dim() <= 2 and is_small:  # signals go as they lie in memory
        return tensor.numpy()
    return tensor


def _arrive(*parts: Any) -> SequenceBatch:
    return SequenceBatch(*(_received(part) for part in parts))


def _received(part: Any) -> Tensor:
    if isinstance(part, Tensor):
        return part
    return no_blacklist(*part) if isinstance(part, tuple) else torch.from_numpy(part)
