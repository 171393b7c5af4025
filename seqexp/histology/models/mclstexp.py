"""mclSTExp: patches and spots in one space by contrast; expression by looking up the nearest training spots.

    patch or features -> image encoder -> head -> z_image (B, D) --+
                                                                   +--> InfoNCE while training
    expression + position -> transformer over spots -> head -> z_spot (B, D)
    prediction: the training spots nearest to z_image, averaged with weights 1 / distance^2

Min, Shi, Zhang, Wan and Wang, "Multimodal contrastive learning for spatial gene expression prediction using
histology images", Briefings in Bioinformatics 25(6) bbae551 (2024), from a description. Defaults are the corrected
ones; `configs/histology/mclstexp_paper.yaml` sets what the released code does: dot products without a norm at
temperature 1, the batch as one sequence, tables of 65,536 positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.loaders.batch import SpotBatch
from seqexp.histology.loaders.statistics import SpotStatistics
from seqexp.histology.models.nsl import require_patches
from seqexp.layers.attention import AttentionBlock
from seqexp.layers.contrast import contrastive_loss
from seqexp.layers.retrieval import nearest_mean
from seqexp.objectives.contracts import Losses
from seqexp.objectives.outputs import ModelOutput

KEY_BATCH = 32  # spots that the released code encodes together when it makes its keys


class ProjectionHead(nn.Module):
    """p = W1 x; LayerNorm(Dropout(W2 GELU(p)) + p), into the common space (B, D)."""

    def __init__(self, in_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(in_dim, width), nn.Linear(width, width)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """(B, in) to (B, D)."""
        projected = self.first(values)
        return self.norm(self.dropout(self.second(functional.gelu(projected))) + projected)


class MclSTExp(nn.Module):
    """Contrastive training, prediction by retrieval.

    Parameters
    ----------
    num_genes : int
        G.
    num_features : int
        Width of the features in the batch, which are the image side where no image encoder is given.
    image_encoder : nn.Module, optional
        Patches (B, 3, P, P) to (B, ``out_dim``), such as
        :class:`~seqexp.histology.encoders.patch.TimmPatchEncoder` with ``densenet121``.
    width : int
        D of the common space.
    num_layers, num_heads, head_width : int
        Of the spot side.
    dropout : float
        In the heads and perceptrons; the publication has none.
    attention : {"none", "slide", "batch"}
        Which spots see each other: only themselves, those of their slide, or all of a random batch, as published.
    num_positions : int
        Rows of the two tables of grid positions; 0: positions are not used.
    is_normalized : bool
        Cosine similarities at a learned temperature; else dot products at a fixed one, as published.
    temperature : float
        At the start.
    num_neighbours : int
        Training spots averaged.
    distance_order : float
        Order of the norm whose inverse square weighs neighbours.
    exclude : {"patient", "slide"}
        A spot is never answered from its own patient, or from its own slide.

    Raises
    ------
    ConfigError
        Settings that cannot be.
    """

    def __init__(
        self,
        num_genes: int,
        num_features: int = 0,
        image_encoder: nn.Module | None = None,
        width: int = 256,
        *,
        num_layers: int = 2,
        num_heads: int = 8,
        head_width: int = 64,
        dropout: float = 0.0,
        attention: str = "none",
        num_positions: int = 0,
        is_normalized: bool = True,
        temperature: float = 0.07,
        num_neighbours: int = 200,
        distance_order: float = 2.0,
        exclude: str = "patient",
    ) -> None:
        super().__init__()
        _check(attention, exclude, image_encoder, num_features, num_neighbours=num_neighbours, temperature=temperature)
        self.num_genes, self.num_features = num_genes, num_features
        self.attention, self.exclude = attention, exclude
        self.num_neighbours, self.distance_order = num_neighbours, distance_order
        self.image_encoder = image_encoder
        in_dim = num_features if image_encoder is None else int(image_encoder.out_dim)  # type: ignore[arg-type]
        self.image_head = ProjectionHead(in_dim, width, dropout)
        blocks = [AttentionBlock(num_genes, num_heads, head_width, dropout) for _ in range(num_layers)]
        self.spot_blocks = nn.ModuleList(blocks)
        self.spot_head = ProjectionHead(num_genes, width, dropout)
        self.positions = nn.ModuleList(nn.Embedding(num_positions, num_genes) for _ in range(2 * (num_positions > 0)))
        self.is_normalized = is_normalized
        scale = torch.tensor(-math.log(temperature))
        self.log_scale = nn.Parameter(scale) if is_normalized else nn.Parameter(scale, requires_grad=False)
        self.log_scale._no_weight_decay = True  # type: ignore[attr-defined]
        # What is looked up; filled by `memorise` and kept in the checkpoint.
        self.register_buffer("keys", torch.zeros(0, width))
        self.register_buffer("values", torch.zeros(0, num_genes))
        self.register_buffer("groups", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("rows", torch.zeros(0, dtype=torch.int64))

    def losses(self, batch: SpotBatch) -> Losses:
        """``contrast``: the symmetric InfoNCE of the batch, in nats. Nothing is looked up while training."""
        image, spot = self.embed_image(batch), self.embed_spots(batch)
        output = None if self.training else self._answer(batch, image)
        return Losses({"contrast": self.contrast(image, spot)}, output=output)

    def forward(self, batch: SpotBatch) -> ModelOutput:
        """Predict expression (B, G) from the training spots that were memorised.

        Raises
        ------
        DataError
            Nothing has been memorised, or ``exclude`` leaves a spot nothing to be answered from.
        """
        return self._answer(batch, self.embed_image(batch))

    def _answer(self, batch: SpotBatch, image: Tensor) -> ModelOutput:
        if not len(self.keys):
            raise DataError("nothing to look up", expected="training spots", fix="train, or load a checkpoint")
        allowed = self._group(batch)[:, None] != self.groups
        num_lost = int((~allowed.any(1)).sum())
        if num_lost:
            raise DataError(
                f"no training spot may answer {num_lost} of {len(batch)} spots: all are of the same {self.exclude}",
                where="model: exclude",
                expected=f"training spots of another {self.exclude}",
                fix="exclude: slide, or training spots of more patients or slides",
            )
        return ModelOutput(self.look_up(image, self.keys, self.values, allowed))

    def embed(self, batch: SpotBatch) -> dict[str, Tensor]:
        """z_image and z_spot (B, D) of the same spots, by which retrieval is scored."""
        return {"image": self.embed_image(batch), "expression": self.embed_spots(batch)}

    def embed_image(self, batch: SpotBatch) -> Tensor:
        """z_image (B, D)."""
        if self.image_encoder is None:
            return self.image_head(batch.features)
        return self.image_head(self.image_encoder(batch.pixels()))

    def embed_spots(self, batch: SpotBatch) -> Tensor:
        """z_spot (B, D): expression and position, mixed between spots as ``attention`` says."""
        spots = batch.target
        for axis, table in enumerate(self.positions):
            spots = spots + table(self._places(batch.grid[:, axis], table))
        sequence = spots[:, None] if self.attention == "none" else spots[None]
        is_seen = batch.slide[:, None] == batch.slide if self.attention == "slide" else None
        for block in self.spot_blocks:
            sequence = block(sequence, is_seen)
        return self.spot_head(sequence.reshape(spots.shape))

    def contrast(self, image: Tensor, spot: Tensor) -> Tensor:
        """Mean of the cross-entropies spot to image and image to spot, with each spot's own partner as the answer."""
        if self.is_normalized:
            image, spot = functional.normalize(image, dim=1), functional.normalize(spot, dim=1)
        return contrastive_loss(spot, image, self.log_scale.exp().clamp(max=100.0))

    def look_up(self, queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
        """Mean (B, G) of the values (K, G) of the keys (K, D) that are nearest and that each query (B, D) may see."""
        if self.is_normalized:
            queries, keys = functional.normalize(queries, dim=1), functional.normalize(keys, dim=1)
        num, order = self.num_neighbours, self.distance_order
        return nearest_mean(queries, keys, values, allowed, num_neighbours=num, order=order)

    @torch.no_grad()
    def memorise(self, batches: Iterable[SpotBatch]) -> None:
        """Replace what is looked up by the training spots."""
        was_training = self.training
        self.eval()
        whole = SpotBatch(*(torch.cat(parts) for parts in zip(*(_columns(batch) for batch in batches), strict=True)))
        size = KEY_BATCH if self.attention == "batch" else len(whole)
        pieces = [SpotBatch(*(part[at : at + size] for part in _columns(whole))) for at in range(0, len(whole), size)]
        self.keys = torch.cat([self.embed_spots(piece) for piece in pieces])
        self.values, self.groups, self.rows = whole.target, self._group(whole), whole.index
        self.train(was_training)

    def calibrate(self, statistics: SpotStatistics) -> None:
        """Check that there are patches, where an encoder reads them.

        Raises
        ------
        ConfigError
            The data have none.
        """
        if self.image_encoder is not None:
            require_patches(statistics)

    def _group(self, batch: SpotBatch) -> Tensor:
        return batch.patient if self.exclude == "patient" else batch.slide

    def _places(self, places: Tensor, table: nn.Module) -> Tensor:
        highest, num = int(places.max()), int(table.num_embeddings)  # type: ignore[arg-type]
        if highest >= num or int(places.min()) < 0:
            raise ConfigError(
                f"a grid position {highest if highest >= num else int(places.min())}",
                where="model: num_positions",
                expected=f"from 0 to {num - 1}",
                fix=f"set num_positions: {highest + 1}" if highest >= num else "set num_positions: 0",
            )
        return places


def _columns(batch: SpotBatch) -> tuple[Tensor, ...]:
    return tuple(getattr(batch, name) for name in SpotBatch.__dataclass_fields__)


def _check(
    attention: str,
    exclude: str,
    encoder: nn.Module | None,
    num_features: int,
    *,
    num_neighbours: int,
    temperature: float,
) -> None:
    if attention not in ("none", "slide", "batch"):
        raise ConfigError(f"attention: {attention!r}", expected="none, slide or batch")
    if exclude not in ("patient", "slide"):
        raise ConfigError(
            f"exclude: {exclude!r}", expected="patient or slide: a spot must not be answered from its own tissue"
        )
    if encoder is None and num_features < 1:
        raise ConfigError("neither image_encoder nor num_features", where="model", expected="one of them")
    if num_neighbours < 1 or temperature <= 0:
        raise ConfigError(f"num_neighbours {num_neighbours}, temperature {temperature}", expected="above 0")
