"""Seq2Exp: find the positions that matter, read expression from them alone.

    bases (B, L, 4) -> stem -> tokens -> encoder -> hidden -> selector <- signals (B, N, T + K), distance to the TSS
                                 |                               | mask
                                 +--> mask * token + (1 - mask) * null -> predictor (gated) -> head -> expression

Rewritten from the description of Su et al., "Learning to Discover Regulatory Elements for Gene Expression Prediction"
(ICLR 2025). What differs from the publication, and why:

- The mask acts three times: it mixes tokens with a learned null token, gates what a position may write in the
  predictor, and weighs the readout. Multiplying tokens alone would be undone by the first normalisation.
- Sequence and signals enter as two Beta factors that know nothing of each other; their log-odds add.
- The sequence's evidence is also taught to predict the signals (penalty ``signal``), which shows it every bin of every
  window; expression alone gives one number per window.
- Distances to the TSS are features of the head, not a table with a row per position, so any window length works.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from einops import repeat
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.conv import SignalStem
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.binning import token_blacklist, token_distance_bp, token_signals
from seqexp.dna.models.random_masks import random_masks
from seqexp.dna.models.require import require_fit, require_one_width, require_signals
from seqexp.dna.models.scale import TargetScale
from seqexp.dna.models.seeding import seed_stem
from seqexp.dna.selectors.selection import Selection
from seqexp.dna.selectors.selector import BetaSelector
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput


class Seq2Exp(nn.Module):
    """Selector and predictor of expression.

    Parameters
    ----------
    stem : nn.Module
        One-hot bases (B, L, 4) to tokens (B, N, D); has ``bin_bp``. :class:`MotifStem` or :class:`SequenceStem`.
    encoder : nn.Module
        Tokens to the hidden states that the selector judges. :class:`ConvEncoder` or :class:`Mamba2Encoder`.
    selector : BetaSelector
    predictor : nn.Module
        Reads the selected tokens; takes ``(x, gate)``.
    head : nn.Module
        ``(hidden, mask, distance_bp, covariates)`` to predictions (B, G).
    signal_stem : nn.Module, optional
        Tracks (B, N, T) to tokens (B, N, D) that the predictor sees beside the bases. Without it, signals act
        through the mask only, which leaves what a position contributes to its sequence. Contacts act through the mask
        in any case.
    reads_hidden : bool
        Give the predictor the encoder's hidden states in place of the bare tokens: fewer windows are needed to learn
        it, but a kept position may then tell of its neighbourhood.
    reader_stem : nn.Module, optional
        A stem for the predictor alone, which sees kept bases and signals only. Without it both sides share ``stem``,
        and where that looks beyond a bin, a kept bin tells a little of dropped neighbours.
    random_masks : float
        Share of the training windows that the predictor reads through random masks (:func:`random_masks`) in place of
        the selector's. It then knows what any bin is worth and not only those that are selected at present, and the
        two have a harder time to agree on a code (Jethani et al., AISTATS 2021).
    loss : str
        Of the regression; a name in :data:`seqexp.objectives.losses.LOSSES`.
    width : int, optional
        D of every part; in a config it goes down to the parts, which then need none of their own.

    Raises
    ------
    ConfigError
        Parts of different widths.
    """

    def __init__(
        self,
        stem: nn.Module,
        encoder: nn.Module,
        selector: BetaSelector,
        predictor: nn.Module,
        *,
        head: nn.Module,
        signal_stem: nn.Module | None = None,
        reads_hidden: bool = False,
        reader_stem: nn.Module | None = None,
        random_masks: float = 0.0,
        loss: str = "mse",
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.loss = make_loss(loss)
        parts: dict[str, Any] = {"stem": stem, "encoder": encoder, "predictor": predictor}
        parts |= {} if reader_stem is None else {"reader_stem": reader_stem}
        common = require_one_width(parts, width)
        self.bin_bp = int(parts["stem"].bin_bp)
        self.stem, self.encoder, self.selector = stem, encoder, selector
        self.predictor, self.head, self.signal_stem = predictor, head, signal_stem
        self.reads_hidden, self.reader_stem, self.random_masks = reads_hidden, reader_stem, random_masks
        if not 0 <= random_masks < 1:
            raise ConfigError(f"random_masks {random_masks}", where="model", expected="a share, 0 or more and below 1")
        if reader_stem is not None and (reads_hidden or reader_stem.bin_bp != self.bin_bp):
            raise ConfigError(
                "a reader_stem beside reads_hidden, or of other bins than the stem",
                where="model",
                expected=f"reads_hidden: false, bin_bp: {self.bin_bp}",
            )
        self.needed_weights = {"signal": "`learns_signals: false` in the selector"} if selector.learns_signals else {}
        self.null_token = nn.Parameter(0.02 * torch.randn(common))
        self.scale = TargetScale()

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Predict expression (B, G); the selector's ``mask`` (B, N) is told per row."""
        return self._predict(batch)[0]

    def losses(self, batch: SequenceBatch) -> Losses:
        """Regression on expression, and the selector's penalties.

        ``kl`` (nats per free bin), ``signal`` (nats per bin and track: how badly the sequence's evidence tells the
        signals), ``contiguity`` (mean step of the posterior mean between free neighbours), ``kept`` (share of free bins
        kept) and ``kept_bp`` (the same in bases per window, for the log).
        """
        output, selection, hidden = self._predict(batch)
        free = (~selection.forced).float()
        num_free = free.sum().clamp_min(1)
        penalties = {
            "kl": selection.kl.sum() / num_free,
            "kept": (selection.mask * free).sum() / num_free,
            "kept_bp": selection.kept_bins() * self.bin_bp,
            "contiguity": selection.contiguity(),
        }
        if self.training:
            self.selector.follow(selection)
        if self.selector.learns_signals:
            lesson = self.selector.evidence.lesson(hidden, self.binned(batch))
            if self.training:
                self.selector.evidence.observe(lesson)
            penalties["signal"] = self.selector.evidence.agreement(lesson)
        elif not self.selector.num_tracks:
            penalties["signal"] = hidden.new_zeros(())  # without tracks there is nothing to learn of them
        return regression(output, batch, self.loss, penalties)

    def _predict(self, batch: SequenceBatch, mask: Tensor | None = None) -> tuple[ModelOutput, Selection, Tensor]:
        """Output, what the selector chose, and the hidden states (B, N, D) it chose by."""
        one_hot = batch.one_hot()
        tokens = self.stem(one_hot)
        signals, distance_bp = self.binned(batch), token_distance_bp(batch, self.bin_bp)
        hidden = self.encoder(tokens)
        selection = self.selector(hidden, signals, distance_bp, token_blacklist(batch, self.bin_bp))
        used = self._used(selection.mask) if mask is None else mask.to(selection.mask)
        tokens = hidden if self.reads_hidden else tokens
        if self.reader_stem is not None:
            tokens = self.reader_stem(one_hot * repeat(used, "b n -> b (n bp) 1", bp=self.bin_bp))
            signals = torch.nan_to_num(signals) * used.unsqueeze(-1)
        raw = self.read(tokens, signals, used, distance_bp, covariates=batch.covariates)
        shown = {"per_row": {"mask": selection.mask}, "logged": {"mask_mean": selection.mask.detach().float().mean()}}
        return self.loss.output(raw, **shown), selection, hidden

    def predict_under(self, batch: SequenceBatch, mask: Tensor) -> Tensor:
        """Predictions (B, G) under a mask (B, N) in place of the selector's."""
        return self._predict(batch, mask)[0].prediction

    def _used(self, mask: Tensor) -> Tensor:
        """The selector's mask (B, N), and random ones for a share of the rows in training."""
        if not (self.training and self.random_masks):
            return mask
        is_random = torch.rand(len(mask), 1, device=mask.device) < self.random_masks
        return torch.where(is_random, random_masks(mask, 1.0), mask)

    def read(self, tokens: Tensor, signals: Tensor, mask: Tensor, distance_bp: Tensor, *, covariates: Tensor) -> Tensor:
        """Predictions (B, G) from tokens (B, N, D) of which only the share ``mask`` (B, N) may be known."""
        if self.signal_stem is not None:
            tokens = tokens + self.signal_stem(signals[..., : self.selector.num_tracks])
        share = mask.unsqueeze(-1).to(tokens.dtype)
        shown = share * tokens + (1 - share) * self.null_token
        read = self.predictor(shown, gate=mask)
        raw = self.head(read, mask=mask, distance_bp=distance_bp, covariates=covariates)
        return self.scale(raw)

    def select(self, batch: SequenceBatch) -> Selection:
        """The selection of a batch, without a prediction."""
        hidden = self.encoder(self.stem(batch.one_hot()))
        distance_bp, blacklist = token_distance_bp(batch, self.bin_bp), token_blacklist(batch, self.bin_bp)
        return self.selector(hidden, self.binned(batch), distance_bp, blacklist)

    def memorise(self, batches: Iterable[SequenceBatch]) -> None:
        """Set the price of a base so that training windows keep the budget; without a budget nothing is read."""
        if not self.selector.budget.is_common:
            return
        was_training = self.training
        self.eval()
        with torch.no_grad():
            self.selector.meet_budget(self.select(batch) for batch in batches)
        self.train(was_training)

    def calibrate(self, statistics: DataStatistics) -> None:
        """Take the target's scale, fit the signal maps, start motif filters from what stands out in open training bins.

        Raises
        ------
        ConfigError
            The data do not fit, see :func:`~seqexp.dna.models.require.require_fit`.
        """
        require_fit(self, statistics)
        num_tracks = self.selector.num_tracks
        require_signals(statistics, num_tracks, self.selector.num_contacts)
        self.scale.calibrate(statistics)
        quantiles = torch.as_tensor(statistics.signal_quantiles)
        levels = torch.as_tensor(statistics.levels)
        self.selector.calibrate(quantiles, levels)
        if isinstance(self.signal_stem, SignalStem):
            self.signal_stem.calibrate(torch.as_tensor(statistics.high_quantile(0.98)[:num_tracks]))
        seed_stem(self.stem, self.selector.evidence.signals, statistics)

    def binned(self, batch: SequenceBatch) -> Tensor:
        """Signals (B, N, T + K) of the selector's tracks and contacts per bin of the stem, by :func:`token_signals`."""
        return token_signals(batch, self.bin_bp)[..., : self.selector.num_channels]
