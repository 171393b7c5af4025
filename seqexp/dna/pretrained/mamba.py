"""Mamba and Mamba-2 checkpoints in the layout of transformers (and of mamba-ssm, which differs in one name).

Key layout: backbone.embedding[s].weight, backbone.layers.<n>.(norm.weight|mixer.…), backbone.norm_f.weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from seqexp.core.errors import DataError
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.encoders.mamba2 import Mamba2Encoder
from seqexp.dna.encoders.sequence import SequenceEncoder, TokenEmbedding
from seqexp.dna.pretrained.reading import PLAIN, Reading
from seqexp.layers.stack import ResidualStack
from seqexp.layers.weights import KeyReport, count_layers, expect_settings, load_weights, shape_of
from seqexp.layers.weights_file import Weights

_BODY = r"(?:backbone\.)?"
_LAYER = _BODY + r"layers\.(\d+)\."
_OWN = r"(A_log|D|dt_bias|norm\.weight|conv1d\.weight|conv1d\.bias|x_proj\.weight|dt_proj\.weight|dt_proj\.bias)"
_TABLE = {
    _BODY + r"embeddings?\.weight": "stem.weight",
    _BODY + r"norm_f\.weight": "backbone.norm.weight",
    _LAYER + r"norm\.weight": r"backbone.blocks.\1.norm.weight",
    _LAYER + r"mixer\.(in_proj|out_proj)\.weight": r"backbone.blocks.\1.mixer.\2.weight",
    _LAYER + r"mixer\." + _OWN: r"backbone.blocks.\1.mixer.forwards.\2",
}


def load_mamba(weights: Weights, tokens: Sequence[int], reading: Reading = PLAIN) -> tuple[SequenceEncoder, KeyReport]:
    """Build the causal encoder a Mamba or Mamba-2 checkpoint fits, and load it.

    Parameters
    ----------
    weights : Weights
    tokens : sequence of int
        Numbers of A, C, G, T and of an unknown base in the vocabulary of the checkpoint.
    reading : Reading
        Strands are by default those it was trained on, the forward ones.

    Raises
    ------
    DataError
        Not the published layout, or not five tokens.
    """
    if len(tokens) != 5:
        raise DataError(
            f"{len(tokens)} tokens", where=weights.path, expected="the tokens of A, C, G, T and an unknown base"
        )
    expect_settings(weights, {"layer_norm_epsilon": [1e-5], "norm_epsilon": [1e-5], "hidden_act": ["silu"]})
    is_second = any(name.endswith("mixer.dt_bias") for name in weights.tensors)
    backbone = (_mamba2 if is_second else _mamba1)(weights, reading)
    count, width = shape_of(weights, "embeddings.weight" if _has(weights, "embeddings.weight") else "embedding.weight")
    encoder = SequenceEncoder(
        TokenEmbedding(width, count, tuple(tokens[:4]), tokens[4]), backbone, reading.rc or "none", reading.pool
    )
    return encoder, load_weights(encoder, weights, _TABLE, r"lm_head\.weight")


def _has(weights: Weights, ending: str) -> bool:
    return any(name.endswith(ending) for name in weights.tensors)


def _mamba1(weights: Weights, reading: Reading) -> ResidualStack:
    inner, state_size = shape_of(weights, "mixer.A_log")
    width = shape_of(weights, "mixer.in_proj.weight")[1]
    return MambaEncoder(
        width,
        count_layers(weights),
        state_size=state_size,
        expand=inner // width,
        step_rank=shape_of(weights, "mixer.dt_proj.weight")[1],
        conv_size=shape_of(weights, "mixer.conv1d.weight")[-1],
        **reading.of_blocks,
        is_bidirectional=False,
    )


def _mamba2(weights: Weights, reading: Reading) -> ResidualStack:
    width, inner = shape_of(weights, "mixer.out_proj.weight")
    channels, _, conv_size = shape_of(weights, "mixer.conv1d.weight")
    num_groups = int(weights.config.get("n_groups", weights.config.get("ngroups", 1)))
    return Mamba2Encoder(
        width,
        count_layers(weights),
        head_dim=inner // shape_of(weights, "mixer.A_log")[0],
        state_size=(channels - inner) // (2 * num_groups),
        expand=inner // width,
        num_groups=num_groups,
        conv_size=conv_size,
        **reading.of_blocks,
        is_bidirectional=False,
    )
