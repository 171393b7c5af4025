"""Stems: from bases and signals to the bins an encoder works on, and where each bin lies relative to the TSS."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqexp.core.errors import ConfigError


def bin_distance_bp(num_bins: int, bin_bp: int, tss_bp: Tensor) -> Tensor:
    """Signed distance of each bin centre from the TSS, in the direction of reading.

    Parameters
    ----------
    num_bins, bin_bp : int
    tss_bp : int64 Tensor (B,)
        Offset of the TSS in the window.

    Returns
    -------
    float Tensor (B, N), in bp, negative upstream.
    """
    centres = (torch.arange(num_bins, device=tss_bp.device) + 0.5) * bin_bp - 0.5
    return centres[None, :] - tss_bp[:, None].to(centres.dtype)


class RelativePosition(nn.Module):
    """Features of the signed distance to the TSS: bumps on an arcsinh scale, so any window length fits.

    Resolution is fine next to the TSS (about ``scale_bp`` / 5) and grows in proportion to the distance.

    Parameters
    ----------
    width : int
        Width D of the output.
    num_bumps : int
    scale_bp : float
        Distance below which the scale is linear.
    reach_bp : float
        Distance of the outermost bumps.
    """

    centres: Tensor

    def __init__(self, width: int, num_bumps: int = 48, scale_bp: float = 100.0, reach_bp: float = 100_000.0) -> None:
        super().__init__()
        reach = float(torch.asinh(torch.tensor(reach_bp / scale_bp)))
        self.scale_bp = scale_bp
        self.spacing = 2 * reach / (num_bumps - 1)
        self.register_buffer("centres", torch.linspace(-reach, reach, num_bumps), persistent=False)
        self.project = nn.Linear(num_bumps, width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, distance_bp: Tensor) -> Tensor:
        """Distances (B, N) in bp to features (B, N, D)."""
        place = torch.asinh(distance_bp / self.scale_bp)
        bumps = torch.exp(-0.5 * ((place[..., None] - self.centres) / self.spacing).square())
        return self.project(bumps)


def pool_bins(x: Tensor, bin_bp: int, how: str) -> Tensor:
    """Pool channels-first (B, D, L) to (B, D, L / bin_bp) by ``max`` or ``mean``."""
    if bin_bp == 1:
        return x
    return F.max_pool1d(x, bin_bp) if how == "max" else F.avg_pool1d(x, bin_bp)


class SequenceStem(nn.Module):
    """Motif filters on the bases, pooled to bins.

    Parameters
    ----------
    width : int
        Number of filters and width D.
    bin_bp : int
        Bases per bin; the window must be a multiple of it.
    kernel_bp : int
        Length of the filters, odd.
    reading_frame : bool
        Add the codon phase downstream of the TSS as three input channels. Meant for windows whose anchor is the
        start codon (compact genomes), where codon usage is a signal of its own.
    """

    def __init__(self, width: int, bin_bp: int, kernel_bp: int = 15, reading_frame: bool = False) -> None:
        super().__init__()
        if kernel_bp % 2 == 0:
            raise ConfigError(f"kernel_bp is {kernel_bp}", expected="an odd length, so that windows stay centred")
        self.width, self.bin_bp, self.reading_frame = width, bin_bp, reading_frame
        self.filters = nn.Conv1d(4 + 3 * reading_frame, width, kernel_bp, padding=kernel_bp // 2)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, bases: Tensor, tss_bp: Tensor) -> Tensor:
        """Base weights (B, L, 4) and TSS offsets (B,) to bins (B, L / bin_bp, D).

        Raises
        ------
        ConfigError
            The window is no multiple of the bin.
        """
        length = bases.shape[1]
        if length % self.bin_bp:
            raise ConfigError(f"window of {length} bp", expected=f"a multiple of bin_bp = {self.bin_bp}")
        if self.reading_frame:
            bases = torch.cat([bases, _codon_phase(length, tss_bp).to(bases.dtype)], dim=-1)
        x = F.gelu(self.norm(self.filters(bases.transpose(1, 2))))
        return pool_bins(x, self.bin_bp, "max").transpose(1, 2)


def _codon_phase(length: int, tss_bp: Tensor) -> Tensor:
    """One-hot codon phase (B, L, 3), zero upstream of the TSS."""
    offset = torch.arange(length, device=tss_bp.device)[None, :] - tss_bp[:, None]
    return F.one_hot(offset % 3, 3) * (offset >= 0)[..., None]


class SignalStem(nn.Module):
    """Filters on scaled signals, pooled to bins.

    Signals x become log(1 + x) / log(1 + q), with q a high quantile of each track on the training split, so that
    tracks of any unit start out comparable.

    Parameters
    ----------
    num_tracks : int
    width : int
        Width D.
    bin_bp, signal_bin_bp : int
        Bases per output bin and per signal value; the first must be a multiple of the second.
    kernel_bins : int
        Filter length in signal values, odd.
    """

    scale: Tensor

    def __init__(self, num_tracks: int, width: int, bin_bp: int, signal_bin_bp: int = 1, kernel_bins: int = 15) -> None:
        super().__init__()
        if bin_bp % signal_bin_bp:
            raise ConfigError(f"bin_bp {bin_bp} and signal_bin_bp {signal_bin_bp}", expected="a multiple")
        self.pool = bin_bp // signal_bin_bp
        self.register_buffer("scale", torch.ones(num_tracks))
        self.filters = nn.Conv1d(num_tracks, width, kernel_bins, padding=kernel_bins // 2)
        self.norm = nn.BatchNorm1d(width)

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Set the scale of each track from its training quantiles (T, Q) at ``levels`` (Q,)."""
        high = quantiles[:, int(torch.searchsorted(levels, torch.tensor(0.98)).clamp(max=len(levels) - 1))]
        self.scale.copy_(torch.log1p(high.clamp_min(0)).clamp_min(1e-2))

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (B, N_s, T) to bins (B, N, D)."""
        x = torch.log1p(signals.clamp_min(0)) / self.scale
        x = F.gelu(self.norm(self.filters(x.transpose(1, 2))))
        return pool_bins(x, self.pool, "mean").transpose(1, 2)
