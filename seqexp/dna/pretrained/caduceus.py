"""Caduceus checkpoints, Ph and PS.

Key layout: caduceus.backbone.embeddings.word_embeddings.[embedding.]weight, caduceus.backbone.layers.<n>.mixer.
[submodule.]mamba_(fwd|rev)…, caduceus.backbone.norm_f. ``embedding.`` and ``submodule.`` mark PS. A norm with its own
``submodule.`` marks PS trained without fused norms, that is without the exchange of strands.
"""

from __future__ import annotations

from collections.abc import Sequence

from seqexp.core.errors import DataError
from seqexp.dna.encoders.caduceus import ExchangingMambaEncoder
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.encoders.sequence import SequenceEncoder, TokenEmbedding
from seqexp.dna.pretrained.reading import PLAIN, Reading
from seqexp.layers.weights import KeyReport, count_layers, expect_settings, load_weights, shape_of
from seqexp.layers.weights_file import Weights

_BODY = r"(?:\w+\.)*backbone\."
_LAYER = _BODY + r"layers\.(\d+)\."
_MIXER = _LAYER + r"mixer\.(?:submodule\.)?"
_OWN = r"(A_log|D|conv1d\.weight|conv1d\.bias|x_proj\.weight|dt_proj\.weight|dt_proj\.bias)"
_TABLE = {
    _BODY + r"embeddings\.word_embeddings\.(?:embedding\.)?weight": "stem.weight",
    _BODY + r"embeddings\.word_embeddings\.complement_map": "",
    _BODY + r"norm_f\.(?:submodule\.)?weight": "backbone.norm.weight",
    _LAYER + r"norm\.(?:submodule\.)?weight": r"backbone.blocks.\1.norm.weight",
    _MIXER + r"mamba_(?:fwd|rev)\.(in_proj|out_proj)\.weight": r"backbone.blocks.\1.mixer.\2.weight",
    _MIXER + r"mamba_fwd\." + _OWN: r"backbone.blocks.\1.mixer.forwards.\2",
    _MIXER + r"mamba_rev\." + _OWN: r"backbone.blocks.\1.mixer.backwards.\2",
}
_HEADS = r"(?:\w+\.)*(?:lm_head|score)\..*"
_COMPLEMENT = {7: 10, 8: 9, 9: 8, 10: 7}


def load_caduceus(
    weights: Weights, reading: Reading = PLAIN, exchange_strands: bool | None = None
) -> tuple[SequenceEncoder, KeyReport]:
    """Build the encoder a Caduceus checkpoint fits, and load it.

    Parameters
    ----------
    weights : Weights
    reading : Reading
        Strands are by default ``equivariant`` for PS and ``none`` for Ph, whose authors average both after training.
    exchange_strands : bool, optional
        By default as the checkpoint was trained, told by its keys or its ``fused_add_norm``.

    Raises
    ------
    DataError
        Not the published layout.
    """
    expect_settings(
        weights,
        {
            "bidirectional": [True],
            "bidirectional_strategy": ["add", None],
            "bidirectional_weight_tie": [True],
            "rms_norm": [True],
            "norm_epsilon": [1e-5],
        },
    )
    is_ps = any(".submodule.mamba_fwd." in name for name in weights.tensors)
    if exchange_strands is None:
        exchange_strands = is_ps and _had_fused_norms(weights)
    tokens, width = shape_of(weights, "embedding.weight" if is_ps else "word_embeddings.weight")
    inner, state_size = shape_of(weights, "mamba_fwd.A_log")
    kind = ExchangingMambaEncoder if exchange_strands else MambaEncoder
    backbone = kind(
        width,
        count_layers(weights),
        state_size=state_size,
        expand=inner // width,
        step_rank=shape_of(weights, "mamba_fwd.dt_proj.weight")[1],
        conv_size=shape_of(weights, "mamba_fwd.conv1d.weight")[-1],
        **reading.of_blocks,
    )
    stem = TokenEmbedding(width, tokens, (7, 8, 9, 10), 11)
    encoder = SequenceEncoder(stem, backbone, reading.rc or ("equivariant" if is_ps else "none"), reading.pool)
    report = load_weights(encoder, weights, _TABLE, _HEADS)
    _check_complement(weights, report.checked)
    return encoder, report


def _had_fused_norms(weights: Weights) -> bool:
    """Whether a PS checkpoint was trained with fused norms: keys tell, and the configuration must agree."""
    by_keys = not any(name.endswith("norm.submodule.weight") for name in weights.tensors)
    if bool(weights.config.get("fused_add_norm", by_keys)) != by_keys:
        raise DataError(
            f"fused_add_norm is {weights.config['fused_add_norm']}, the names of the norms say {by_keys}",
            where=weights.path,
            expected="weights with their own config.json",
            fix="give exchange_strands as the weights were trained",
        )
    return by_keys


def _check_complement(weights: Weights, names: Sequence[str]) -> None:
    for name in names:
        tensor = weights.tensors[name]
        if name.endswith("complement_map") and any(int(tensor[a]) != b for a, b in _COMPLEMENT.items()):
            raise DataError(
                f"{name} pairs other tokens than A with T and C with G",
                where=weights.path,
                expected=f"the vocabulary of the published models, {_COMPLEMENT}",
            )
