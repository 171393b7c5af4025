"""Neural stain learning: a colour deconvolution learned for each gene, and nothing else.

    patch (B, 3, P, P) -> optical density -> D per gene (1 x 1 convolution) -> tanh -> mean over tissue -> w per gene

Dawood, Branson, Rajpoot and Minhas, "All You Need is Color: Image Based Spatial Gene Expression Prediction Using Neural
Stain Learning" (arXiv 2108.10446, 2021). The paper states 11 trainable weights per gene and not where they are; both
layouts below have 11, and which of them the authors used is not known. Loss, optimiser and genes are not known either.
Colour alone: whatever a deep model adds has to be seen against this.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.histology.loaders.batch import SpotBatch
from seqexp.histology.loaders.handmade import optical_density, stain_matrix
from seqexp.histology.loaders.statistics import SpotStatistics
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput

GLASS_DENSITY = 0.15  # mean optical density below which a pixel shows glass

# name -> (stains unmixed, bias of the unmixing, stains read, bias of the readout); 11 weights each
LAYOUTS = {"3x3+2": (3, False, 2, False), "3x2-affine": (2, True, 2, True)}
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda x: x}


class NSL(nn.Module):
    """Stains and their readout, for every gene apart.

    Parameters
    ----------
    num_genes : int
        G.
    layout : {"3x3+2", "3x2-affine"}
        Where the 11 weights of a gene are: three stains of which two are read, without biases; or two stains, with
        biases.
    activation : {"tanh", "relu", "identity"}
        Between stain and mean.
    skip_glass : bool
        Leave pixels of bare glass out of the mean.
    share_stains : bool
        One set of stains for all genes: 9 (or 8) weights in all, and 2 (or 3) per gene. Not of the paper.
    loss : str
        Of the regression; a name in :data:`seqexp.objectives.losses.LOSSES`.

    Raises
    ------
    ConfigError
        A layout or activation of another name.
    """

    def __init__(
        self,
        num_genes: int,
        layout: str = "3x3+2",
        activation: str = "tanh",
        skip_glass: bool = False,
        *,
        share_stains: bool = False,
        loss: str = "mse",
    ) -> None:
        super().__init__()
        self.loss = make_loss(loss)
        if layout not in LAYOUTS:
            raise ConfigError(f"layout: {layout!r}", expected="one of: " + ", ".join(LAYOUTS))
        if activation not in _ACTIVATIONS:
            raise ConfigError(f"activation: {activation!r}", expected="one of: " + ", ".join(_ACTIVATIONS))
        num_stains, has_stain_bias, self.num_read, has_bias = LAYOUTS[layout]
        self.num_genes, self.activation, self.skip_glass = num_genes, _ACTIVATIONS[activation], skip_glass
        num_sets = 1 if share_stains else num_genes
        unmixing = torch.linalg.inv(torch.tensor(stain_matrix(), dtype=torch.float32)).T[:num_stains]
        noise = 0.01 * torch.randn(num_sets, num_stains, 3)
        self.unmixing = nn.Parameter(unmixing * (1 + noise))  # D: (sets, stains, 3), near haematoxylin and eosin
        self.unmixing_bias = nn.Parameter(torch.zeros(num_sets, num_stains)) if has_stain_bias else None
        self.readout = nn.Parameter(0.1 * torch.randn(num_genes, self.num_read))
        self.bias = nn.Parameter(torch.zeros(num_genes)) if has_bias else None
        for parameter in self.parameters():
            parameter._no_weight_decay = True  # type: ignore[attr-defined]

    def forward(self, batch: SpotBatch) -> ModelOutput:
        """Predict expression (B, G)."""
        density = optical_density(batch.patches)
        if density.shape[1] == 0:
            raise ConfigError("batches without patches", where="data: patch_px", expected="a width such as 32")
        levels = self.concentrations(density)[..., : self.num_read]
        pooled = torch.einsum("bpgk,bp->bgk", levels, self._weights(density)).expand(-1, self.num_genes, -1)
        prediction = torch.einsum("bgk,gk->bg", pooled, self.readout)
        return self.loss.output(prediction if self.bias is None else prediction + self.bias)

    def losses(self, batch: SpotBatch) -> Losses:
        """Regression on expression."""
        return regression(self(batch), batch, self.loss)

    def concentrations(self, density: Tensor) -> Tensor:
        """Stain of each pixel after the activation (B, P * P, sets, stains); a set per gene unless they are shared."""
        values = torch.einsum("bpc,gmc->bpgm", rearrange(density, "b h w c -> b (h w) c"), self.unmixing)
        return self.activation(values if self.unmixing_bias is None else values + self.unmixing_bias)

    def pixel_maps(self, patches: Tensor, target: int) -> Tensor:
        """Maps (B, stains, P, P) of the stains that a gene (``target``) reads, of patches (B, P, P, 3)."""
        density = rearrange(optical_density(patches), "b h w c -> b (h w) c")
        number = 0 if len(self.unmixing) == 1 else target
        values = torch.einsum("bpc,mc->bmp", density, self.unmixing[number])
        if self.unmixing_bias is not None:
            values = values + self.unmixing_bias[number][:, None]
        return self.activation(values).unflatten(2, patches.shape[1:3])

    def stain_vectors(self) -> Tensor:
        """Optical density (sets, 3, stains) of one unit of each stain: the pseudo-inverse of the unmixing."""
        return torch.linalg.pinv(self.unmixing.detach())

    def calibrate(self, statistics: SpotStatistics) -> None:
        """Check that there are patches.

        Raises
        ------
        ConfigError
            The data have none.
        """
        require_patches(statistics)

    def _weights(self, density: Tensor) -> Tensor:
        """Weight of each pixel in the mean (B, P * P); a patch of glass alone counts whole."""
        mean = density.mean(-1).flatten(1)
        counts = torch.ones_like(mean)
        if self.skip_glass:
            is_tissue = mean > GLASS_DENSITY
            counts = torch.where(is_tissue.any(1, keepdim=True), is_tissue.float(), counts)
        return counts / counts.sum(1, keepdim=True)


def require_patches(statistics: SpotStatistics) -> None:
    """One message where a network that reads patches is given none."""
    if statistics.patch_px == 0:
        raise ConfigError(
            "the network reads patches, the data have none (patch_px: 0)",
            where="data: patch_px",
            expected="a width such as 32",
        )
