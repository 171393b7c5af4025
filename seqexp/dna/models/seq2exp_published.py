"""Seq2Exp as it was released, for comparison: every quirk that changes numbers is kept.

    bases (B, L, 4) -> e_seq --> generator -> Beta(sequence) --+
    signals (B, L, T) -> e_sig                                 +--> Beta -> mask
                      -> Beta(signals), by a fixed rule -------+      |
    e_seq + e_sig ------------------------------------------------> x mask -> predictor -> central 2 kb -> MLP

Su, Yu, Zhi and Ji, "Learning to Discover Regulatory Elements for Gene Expression Prediction", ICLR 2025, from a
description of the released code. `seqexp/dna/selectors/README.md` lists the quirks, what the default of this library
(:class:`~seqexp.dna.models.seq2exp.Seq2Exp`) does in their place, and the tests of both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.binning import token_blacklist, token_distance_bp, token_signals
from seqexp.dna.models.require import require_fit
from seqexp.dna.models.seeding import calibrated_evidence, seed_stem
from seqexp.dna.selectors.beta import BetaFactor, kl_divergence, log_pool
from seqexp.dna.selectors.selection import Selection, apply_forced, near_tss
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput

TINY = 1e-8
ASSUMED_DEPTH = 64  # by which the released code scales initial weights, whatever the number of layers
CUT = 0.5  # of the hard mask


@dataclass(frozen=True)
class Variant:
    """Constants of a released command.

    Attributes
    ----------
    least : float
        Added to every concentration (``b_min``).
    signal_scale : float
        Observations that one unit of signal is worth (``kappa``).
    prior_mean, prior_scale : float
        Prior Beta(c, c (1 - mu) / mu) of mean mu and scale c.
    is_hard : bool
        Mask of zeros and ones, tokens gathered, one backbone for generator and predictor, a row per position.
    """

    least: float
    signal_scale: float
    prior_mean: float
    prior_scale: float
    is_hard: bool

    @property
    def prior(self) -> tuple[float, float]:
        """Concentrations (alpha_3, beta_3)."""
        return self.prior_scale, (1 - self.prior_mean) / self.prior_mean * self.prior_scale


VARIANTS = {
    "soft": Variant(least=1.0, signal_scale=10.0, prior_mean=0.1, prior_scale=10.0, is_hard=False),
    "hard": Variant(least=0.0, signal_scale=1.0, prior_mean=0.45, prior_scale=0.1, is_hard=True),
}


def sequence_factor(logits: Tensor, variant: Variant) -> BetaFactor:
    """Beta of the sequence from two outputs (..., 2) of the generator: beta's first, alpha's second."""
    beta, alpha = (functional.softplus(logits.float()) + variant.least + TINY).unbind(-1)
    return BetaFactor(alpha, beta)


def signal_factor(signals: Tensor, thresholds: Tensor, weights: Tensor, variant: Variant) -> BetaFactor:
    """Beta of the signals (..., T): a log-linear pool of one per track, whose mean is 1/2 at the track's threshold."""
    alphas = (signals.float() + variant.least) * variant.signal_scale + TINY
    betas = ((thresholds + variant.least) * variant.signal_scale).expand_as(alphas)
    return log_pool([BetaFactor(a, b) for a, b in zip(alphas.unbind(-1), betas.unbind(-1), strict=True)], weights)


def released_product(first: BetaFactor, second: BetaFactor) -> BetaFactor:
    """Sum of concentrations: the product of the densities would take 1 off each."""
    return BetaFactor(first.alpha + second.alpha, first.beta + second.beta)


class PublishedSeq2Exp(nn.Module):
    """The released ``soft`` or ``hard`` command.

    Parameters
    ----------
    variant : {"soft", "hard"}
    num_covariates : int
        Gene-level features of the data; the publication has nine (eight of the transcript, and promoter activity).
    thresholds, track_weights : sequence of float
        Of H3K27ac, DNase and log10(1 + contact), in this order; one number per track of the data.
    width, num_layers : int
        Of the bidirectional Mamba backbones.
    center_bp : int
        Width around the TSS that is always kept, and that alone is read.
    window_bp : int
        ``hard`` only: length of the data's windows, the one that its table of positions takes.
    stem : nn.Module, optional
        Bases to tokens of several bases, which the publication does not have; a linear map per base by default.
    checkpoint : bool
        Recompute blocks in backward, to save memory.
    loss : str
        Of the regression; a name in :data:`seqexp.objectives.losses.LOSSES`.

    Raises
    ------
    ConfigError
        An unknown variant, or not one weight and threshold per track.
    """

    def __init__(
        self,
        variant: str = "soft",
        num_covariates: int = 9,
        thresholds: Sequence[float] = (1.5, 0.2, 1.0),
        track_weights: Sequence[float] = (2.0, 2.0, 1.0),
        *,
        width: int = 128,
        num_layers: int = 4,
        center_bp: int = 2000,
        window_bp: int = 200_000,
        stem: nn.Module | None = None,
        checkpoint: bool = False,
        loss: str = "huber",
    ) -> None:
        super().__init__()
        self.loss = make_loss(loss)
        if variant not in VARIANTS:
            raise ConfigError(f"variant {variant!r}", expected="one of: " + ", ".join(VARIANTS))
        if len(thresholds) != len(track_weights) or not thresholds:
            raise ConfigError(
                f"{len(thresholds)} thresholds, {len(track_weights)} track_weights", expected="one of each per track"
            )
        self.variant, self.center_bp = VARIANTS[variant], center_bp
        self.num_tracks, self.num_covariates = len(thresholds), num_covariates
        self.stem = nn.Linear(4, width) if stem is None else stem
        self.bin_bp = 1 if stem is None else int(stem.bin_bp)  # type: ignore[arg-type]
        self.signal_stem = nn.Linear(len(thresholds), width)
        self.generator = self._backbone(width, num_layers, checkpoint)
        self.evidence = nn.Linear(width, 2)
        self.predictor = self.generator if self.variant.is_hard else self._backbone(width, num_layers, checkpoint)
        self.head = nn.Sequential(
            nn.Linear(width + num_covariates, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )
        shares = torch.tensor(track_weights, dtype=torch.float32)
        self.thresholds = nn.Parameter(torch.tensor(thresholds, dtype=torch.float32), requires_grad=False)
        self.log_weights = nn.Parameter(torch.log(shares / shares.sum()), requires_grad=False)
        num_positions = window_bp // self.bin_bp if self.variant.is_hard else 0
        self.positions = nn.Parameter(torch.zeros(num_positions, width)) if num_positions else None

    @staticmethod
    def _backbone(width: int, num_layers: int, checkpoint: bool) -> MambaEncoder:
        made = MambaEncoder(width, num_layers, checkpoint=checkpoint)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if name.endswith("out_proj.weight"):
                    parameter.mul_(math.sqrt(num_layers / ASSUMED_DEPTH))
        return made

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Predict expression (B, 1); the ``mask`` (B, N) is told per row."""
        return self._predict(batch)[0]

    def losses(self, batch: SequenceBatch) -> Losses:
        """Regression; penalties ``kl``: mean over all positions, forced ones included; ``kept``: share of bins kept."""
        output, selection = self._predict(batch)
        penalties = {"kl": selection.kl.mean(), "kept": selection.mask.mean()}
        return regression(output, batch, self.loss, penalties)

    def _predict(self, batch: SequenceBatch, mask: Tensor | None = None) -> tuple[ModelOutput, Selection]:
        tokens, signals = self._tokens(batch)
        seen = tokens + self.signal_stem(signals)
        selection = self._select(seen if self.variant.is_hard else tokens, signals, batch)
        center = near_tss(token_distance_bp(batch, self.bin_bp), self.center_bp)
        if mask is not None:
            read = self._read_scaled(seen, mask.to(seen.dtype), center)
        elif self.variant.is_hard:
            read = self._read_gathered(seen, selection.mask, center)
        else:
            read = self._read_scaled(seen, selection.mask, center)
        raw = self.head(torch.cat([read, self._covariates(batch)], dim=1))
        shown = {"per_row": {"mask": selection.mask}, "logged": {"mask_mean": selection.mask.detach().float().mean()}}
        return self.loss.output(raw, **shown), selection

    def predict_under(self, batch: SequenceBatch, mask: Tensor) -> Tensor:
        """Predictions (B, 1) under a fixed mask (B, N) such as peaks, multiplied in: no promoter is forced for it."""
        return self._predict(batch, mask)[0].prediction

    def calibrate(self, statistics: DataStatistics) -> None:
        """Check the number of tracks. Nothing is fitted, but a stem of motifs, which is not published, is started.

        Raises
        ------
        ConfigError
            The data have another number of tracks.
        """
        require_fit(self, statistics)
        found = len(statistics.track_names)
        if found != self.num_tracks:
            raise ConfigError(
                f"the data have {found} tracks ({', '.join(statistics.track_names) or 'none'})",
                where="model: thresholds, track_weights",
                expected=f"{self.num_tracks}, as many as there are thresholds",
            )
        seed_stem(self.stem, calibrated_evidence(statistics), statistics)

    def select(self, batch: SequenceBatch) -> Selection:
        """The selection of a batch, without a prediction."""
        tokens, signals = self._tokens(batch)
        return self._select(tokens + self.signal_stem(signals) if self.variant.is_hard else tokens, signals, batch)

    def _tokens(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) of the bases, and signals (B, N, T) with missing values as 0."""
        tokens = self.stem(batch.one_hot())
        if self.positions is not None:
            if tokens.shape[1] != len(self.positions):
                raise ConfigError(
                    f"windows of {batch.codes.shape[1]:,} bp, a table of {len(self.positions) * self.bin_bp:,} bp",
                    where="model: window_bp",
                    expected="windows of that one length",
                )
            tokens = tokens + self.positions
        return tokens, torch.nan_to_num(token_signals(batch, self.bin_bp), nan=0.0)

    def _select(self, read: Tensor, signals: Tensor, batch: SequenceBatch) -> Selection:
        of_sequence = sequence_factor(self.evidence(self.generator(read)), self.variant)
        weights = torch.softmax(self.log_weights, dim=0)
        of_signals = signal_factor(signals, self.thresholds, weights, self.variant)
        posterior = released_product(of_sequence, of_signals)
        draw = posterior.rsample() if self.training else posterior.mean
        if self.variant.is_hard:
            draw = (draw >= CUT).float() + (draw - draw.detach())  # straight through; exactly 0 or 1
        center = near_tss(token_distance_bp(batch, self.bin_bp), self.center_bp)
        mask, forced = apply_forced(draw, center, token_blacklist(batch, self.bin_bp))
        kl = kl_divergence(posterior, BetaFactor(*(torch.tensor(part) for part in self.variant.prior)))
        return Selection(mask, kl, posterior.alpha, posterior.beta, forced, of_sequence.logit, of_signals.logit)

    def _read_scaled(self, tokens: Tensor, mask: Tensor, center: Tensor) -> Tensor:
        """Mean hidden state (B, D) of the centre; the mask multiplies tokens, which the first norm mostly undoes."""
        hidden = self.predictor(tokens * mask[..., None])
        return _mean_where(hidden, center)

    def _read_gathered(self, tokens: Tensor, mask: Tensor, center: Tensor) -> Tensor:
        """The same from kept tokens alone, moved together. Which ones are kept has no gradient."""
        is_kept = mask == 1
        first = torch.argsort((~is_kept).int(), dim=1, stable=True)[:, : int(is_kept.sum(1).max())]
        is_real = is_kept.gather(1, first)
        packed = tokens.gather(1, first[..., None].expand(-1, -1, tokens.shape[-1])) * is_real[..., None]
        return _mean_where(self.predictor(packed), center.gather(1, first) & is_real)

    def _covariates(self, batch: SequenceBatch) -> Tensor:
        if batch.covariates.shape[1] != self.num_covariates:
            raise ConfigError(
                f"{batch.covariates.shape[1]} covariates in the data",
                where="model: num_covariates",
                expected=f"{self.num_covariates}",
            )
        return batch.covariates


def _mean_where(hidden: Tensor, where: Tensor) -> Tensor:
    """Mean of (B, N, D) over the positions (B, N) marked."""
    weight = where.to(hidden.dtype)
    return torch.einsum("bnd,bn->bd", hidden, weight) / weight.sum(1, keepdim=True).clamp_min(1)
