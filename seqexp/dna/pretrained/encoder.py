"""A published encoder as a part of a network, by the path of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.sequence import SequenceEncoder, Strands
from seqexp.dna.pretrained.caduceus import load_caduceus
from seqexp.dna.pretrained.hyenadna import load_hyenadna
from seqexp.dna.pretrained.mamba import load_mamba
from seqexp.dna.pretrained.reading import Reading
from seqexp.layers.weights import KeyReport
from seqexp.layers.weights_file import Weights, read_weights

Kind = Literal["auto", "hyenadna", "caduceus", "mamba"]


def load_encoder(
    path: Path,
    kind: Kind = "auto",
    *,
    rc: Strands | None = None,
    pool: int = 1,
    tokens: Sequence[int] = (),
    dropout: float = 0.0,
    checkpoint: bool = False,
) -> tuple[SequenceEncoder, KeyReport]:
    """Build the encoder a local checkpoint fits, and load it.

    Parameters
    ----------
    path : Path
        Weights, or a folder that holds them with their ``config.json``.
    kind : {"auto", "hyenadna", "caduceus", "mamba"}
        ``auto`` tells by the names of the weights.
    rc : str, optional
        Treatment of the strands; by default ``equivariant`` for Caduceus-PS, otherwise ``none``.
    pool : int
        Bases averaged into one feature.
    tokens : sequence of int
        Only for ``mamba``: numbers of A, C, G, T and of an unknown base in its vocabulary.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        Recompute each block in backward.

    Returns
    -------
    encoder : SequenceEncoder
    report : KeyReport
        What became of every key of the file.

    Raises
    ------
    DataError
        The file cannot be read, or a weight is missing, left over or of another shape.
    ConfigError
        Tokens for a model that needs none, or none for one that needs them.
    """
    weights = read_weights(path)
    kind = _recognise(weights) if kind == "auto" else kind
    reading = Reading(rc, pool, dropout, checkpoint)
    if (kind == "mamba") != bool(tokens):
        raise ConfigError(
            f"tokens {list(tokens)} for a checkpoint of kind {kind}",
            where=path,
            expected="tokens for mamba, whose vocabulary is its own, and for nothing else",
        )
    if kind == "mamba":
        return load_mamba(weights, tokens, reading)
    if kind == "caduceus":
        return load_caduceus(weights, reading)
    return load_hyenadna(weights, reading)


def _recognise(weights: Weights) -> Kind:
    if any(".filter_fn." in name for name in weights.tensors):
        return "hyenadna"
    if any(".mamba_fwd." in name for name in weights.tensors):
        return "caduceus"
    return "mamba"


class PretrainedEncoder(nn.Module):
    """A published encoder inside a network; takes the place of a stem or of a whole encoder.

    Parameters
    ----------
    path : Path
    is_frozen : bool
        Leave the weights as they are: no gradients, no dropout.
    **settings
        See :func:`load_encoder`.

    Attributes
    ----------
    width, stride, bin_bp : int
        Channels of the features, and bases per feature.
    report : KeyReport
        What became of every key of the file.
    """

    def __init__(self, path: Path, is_frozen: bool = False, **settings: Any) -> None:
        super().__init__()
        self.encoder, self.report = load_encoder(path, **settings)
        self.width, self.stride, self.bin_bp = self.encoder.width, self.encoder.stride, self.encoder.stride
        self.is_frozen = is_frozen
        if is_frozen:
            self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Switch between training and evaluation; frozen weights stay in evaluation."""
        super().train(mode)
        if self.is_frozen:
            self.encoder.eval()
        return self

    def forward(self, one_hot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features (B, N, D) of bases (B, L, 4); see :class:`SequenceEncoder`."""
        return self.encoder(one_hot, mask)
