"""Vision transformers of Hugging Face's layout (DINOv2, Phikon, ...) from a local folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.encoders.patch import IMAGENET_MEAN, IMAGENET_STD
from seqexp.layers.weights import require_match


class TransformersPatchEncoder(nn.Module):
    """The class token of a vision transformer; nothing is downloaded.

    Parameters
    ----------
    folder : Path
        With ``config.json`` and the weights, as ``save_pretrained`` writes them.
    is_frozen : bool
        Weights stay, and dropout stays in evaluation.
    mean, std : (float, float, float)
        Of the colours the model was trained on.

    Raises
    ------
    DataError
        The folder cannot be opened, or its weights are not those of its architecture.
    """

    def __init__(
        self,
        folder: Path,
        is_frozen: bool = True,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        transformers = require("transformers", "histology")
        if not (Path(folder) / "config.json").is_file():
            raise DataError("no config.json", where=folder, expected="a folder written by save_pretrained")
        try:
            self.trunk, report = transformers.AutoModel.from_pretrained(
                str(folder), local_files_only=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"cannot open: {' '.join(str(error).split())[:200]}", where=folder) from error
        require_match(self.trunk, Path(folder), sorted(report["missing_keys"]))
        self.out_dim, self.is_frozen = int(self.trunk.config.hidden_size), is_frozen
        self.mean, self.std = tuple(mean), tuple(std)
        if is_frozen:
            self.trunk.requires_grad_(False)

    def extra_repr(self) -> str:
        """What the features depend on beside the weights: part of their identity in the cache."""
        return f"mean={self.mean}, std={self.std}"

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, P, P) from 0 to 1 to class tokens (B, D); P need not be that of the training."""
        if self.is_frozen:
            self.trunk.eval()
        mean, std = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            return self.trunk(pixel_values=(pixels - mean) / std).last_hidden_state[:, 0]
