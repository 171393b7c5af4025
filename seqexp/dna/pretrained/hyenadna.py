"""HyenaDNA checkpoints, tiny-1k to large-1m: the published training files and the converted ones.

Key layout: [root.]backbone.embeddings.word_embeddings.weight, [root.]backbone.layers.<n>.(mixer|mlp).[layer.]…,
[root.]backbone.ln_f. The extra ``layer.`` appears in files written with activation checkpointing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqexp.core.errors import DataError
from seqexp.dna.encoders.hyena import HyenaEncoder, HyenaFilter
from seqexp.dna.encoders.sequence import SequenceEncoder, TokenEmbedding
from seqexp.dna.pretrained.reading import PLAIN, Reading
from seqexp.layers.weights import KeyReport, count_layers, expect_settings, load_weights, shape_of
from seqexp.layers.weights_file import Weights

_BODY = r"(?:\w+\.)*backbone\."
_LAYER = _BODY + r"layers\.(\d+)\."
_MIXER = _LAYER + r"mixer\.(?:layer\.)?"
_FILTER = _MIXER + r"filter_fn\."
_TABLE = {
    _BODY + r"embeddings\.word_embeddings\.weight": "stem.weight",
    _BODY + r"ln_f\.(weight|bias)": r"backbone.norm.\1",
    _LAYER + r"(norm[12])\.(weight|bias)": r"backbone.blocks.\1.\2.\3",
    _LAYER + r"mlp\.(?:layer\.)?(fc[12])\.(weight|bias)": r"backbone.blocks.\1.\2.\3",
    _MIXER + r"(in_proj|out_proj|short_filter)\.(weight|bias)": r"backbone.blocks.\1.mixer.\2.\3",
    _FILTER + r"bias": r"backbone.blocks.\1.mixer.filter.bias",
    _FILTER + r"implicit_filter\.0\.(weight|bias)": r"backbone.blocks.\1.mixer.filter.layers.0.\2",
    _FILTER + r"implicit_filter\.2\.(weight|bias)": r"backbone.blocks.\1.mixer.filter.layers.1.\2",
    _FILTER + r"implicit_filter\.4\.(weight|bias)": r"backbone.blocks.\1.mixer.filter.layers.2.\2",
    _FILTER + r"implicit_filter\.6\.weight": r"backbone.blocks.\1.mixer.filter.output.weight",
    _FILTER + r"implicit_filter\.[135]\.freq": r"backbone.blocks.\1.mixer.filter.frequency",
    _FILTER + r"modulation\.deltas": r"backbone.blocks.\1.mixer.filter.decays",
    _FILTER + r"pos_emb\.[zt]": "",
}
_HEADS = r"(?:\w+\.)*(?:lm_head|decoder|score|head)\..*"


def load_hyenadna(
    weights: Weights, reading: Reading = PLAIN, max_length: int | None = None
) -> tuple[SequenceEncoder, KeyReport]:
    """Build the encoder a HyenaDNA checkpoint fits, and load it.

    Parameters
    ----------
    weights : Weights
    reading : Reading
        Strands are by default those it was trained on, the forward ones.
    max_length : int, optional
        Unit of time of the filters, for files without their table of positions: two more than the name says, such as
        1026 for tiny-1k.

    Raises
    ------
    DataError
        Not the published layout, or positions that were trained.
    """
    expect_settings(weights, {"layer_norm_epsilon": [1e-5], "hyena_order": [2]})
    tokens, width = shape_of(weights, "word_embeddings.weight")
    filter_width, num_features = shape_of(weights, "implicit_filter.0.weight")
    backbone = HyenaEncoder(
        width,
        count_layers(weights),
        max_length or _find_max_length(weights),
        filter_width=filter_width,
        num_features=num_features,
        conv_size=shape_of(weights, "short_filter.weight")[-1],
        expand=shape_of(weights, "fc1.weight")[0] // width,
        **reading.of_blocks,
    )
    encoder = SequenceEncoder(
        TokenEmbedding(width, tokens, (7, 8, 9, 10), 11), backbone, reading.rc or "none", reading.pool
    )
    report = load_weights(encoder, weights, _TABLE, _HEADS)
    _check_positions(weights, report.checked, backbone.blocks[0].mixer.filter)  # type: ignore[union-attr, arg-type]
    return encoder, report


def _find_max_length(weights: Weights) -> int:
    for name, tensor in weights.tensors.items():
        if name.endswith("pos_emb.z"):
            return tensor.shape[1]
    if "l_max" in (layer := weights.config.get("layer") or {}):
        return int(layer["l_max"])
    raise DataError(
        "the checkpoint does not say for which length it was made",
        where=weights.path,
        expected="a weight …pos_emb.z, or l_max in config.json",
        fix="give max_length: two more than the name says, such as 1026 for tiny-1k",
    )


def _check_positions(weights: Weights, names: Sequence[str], filters: HyenaFilter) -> None:
    """Positions are computed here, so those of the file must be the computed ones."""
    for name in names:
        if ".pos_emb." not in name:
            continue
        tensor = weights.tensors[name][0]
        expected = filters.positions(len(tensor))[:, : tensor.shape[1]]
        if not torch.allclose(tensor.double(), expected, atol=1e-3):
            raise DataError(f"{name} is not the table of positions", where=weights.path, expected="untrained positions")
