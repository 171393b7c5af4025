"""Patches (B, 3, P, P) from 0 to 1 to features (B, D); every encoder has ``out_dim``."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.core.optional import require
from seqexp.layers.weights import load_weights
from seqexp.layers.weights_file import read_weights

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SmallPatchEncoder(nn.Module):
    """Strided convolutions, trained from scratch: for small data and for tests.

    Parameters
    ----------
    width : int
        Channels of the first layer, doubled by each of the next.
    num_layers : int
        Each halves the resolution.
    """

    def __init__(self, width: int = 16, num_layers: int = 3) -> None:
        super().__init__()
        widths = [3, *(width * 2**n for n in range(num_layers))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.GELU()]
        self.trunk = nn.Sequential(*layers)
        self.out_dim = widths[-1]

    def forward(self, pixels: Tensor) -> Tensor:
        """Mean over places of the last layer (B, D)."""
        return self.trunk(pixels).mean((2, 3))


class TimmPatchEncoder(nn.Module):
    """An architecture of timm, with weights from a local file or, said so, from scratch.

    Parameters
    ----------
    name : str
        Of timm, such as ``densenet121``, ``resnet18`` or ``vit_large_patch16_224``; nothing is downloaded.
    weights : Path, optional
        A state dict (``.safetensors``, or ``.pt``/``.bin``/``.pth`` read with ``weights_only``).
    key_path, strip_prefix : str
        Where in the file the state dict lies (``state_dict``, ``model``), and what its names begin with.
    allow_random_init : bool
        Without weights the encoder knows nothing; this has to be meant.
    is_frozen : bool
        Weights stay, and norms and dropout stay in evaluation.
    lora_rank : int
        Above 0: the weights stay, and low-rank updates of this rank to the linear layers of the attention are trained
        (Hu et al., "LoRA", 2021; needs peft). For vision transformers.
    pool : {"model", "class+mean"}
        What the architecture does by itself; or its class token beside the mean of its patch tokens, as Virchow and
        Virchow2 want it (twice as wide).
    mean, std : (float, float, float)
        Of the colours the weights were trained on; ImageNet's by default.
    arguments : dict, optional
        More arguments of the architecture, such as ``{init_values: 1.0e-5, dynamic_img_size: true}`` for UNI.

    Raises
    ------
    ConfigError
        No such architecture, or neither weights nor leave to start at random.
    DataError
        The file does not hold every weight of this architecture; the message lists what is missing and left over.
    """

    def __init__(
        self,
        name: str,
        weights: Path | None = None,
        key_path: str = "",
        strip_prefix: str = "",
        *,
        allow_random_init: bool = False,
        is_frozen: bool = False,
        lora_rank: int = 0,
        pool: str = "model",
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        timm = require("timm", "histology")
        if weights is None and not allow_random_init:
            raise ConfigError(
                f"no weights for {name}",
                where="image_encoder",
                expected="weights: FILE",
                fix="or allow_random_init: true, to train from scratch",
            )
        if name not in timm.list_models():
            raise ConfigError(f"timm has no architecture {name!r}", fix="see timm.list_models()")
        self.trunk = timm.create_model(name, pretrained=False, num_classes=0, **(arguments or {}))
        self.out_dim, self.is_frozen = int(self.trunk.num_features), is_frozen
        self.pool, self.mean, self.std = pool, tuple(mean), tuple(std)
        if pool not in ("model", "class+mean") or (pool != "model" and not hasattr(self.trunk, "num_prefix_tokens")):
            raise ConfigError(f"pool: {pool!r} of {name}", expected="model; or class+mean, of a vision transformer")
        self.out_dim *= 2 if pool == "class+mean" else 1
        if weights is not None:
            self.report = load_weights(self.trunk, read_weights(weights, key_path, strip_prefix))
        if is_frozen:
            self.trunk.requires_grad_(False)
        if lora_rank:
            self._add_updates(lora_rank)

    def extra_repr(self) -> str:
        """What the features depend on beside the weights: part of their identity in the cache."""
        return f"pool={self.pool}, mean={self.mean}, std={self.std}"

    def _add_updates(self, rank: int) -> None:
        layers = [name for name, part in self.trunk.named_modules() if name.endswith("attn.qkv")]
        if self.is_frozen or not layers:
            raise ConfigError(
                f"lora_rank {rank} with {'is_frozen' if self.is_frozen else 'an architecture without attention'}",
                where="image_encoder",
                expected="a vision transformer that is not frozen",
            )
        peft = require("peft", "histology")
        settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers)
        self.trunk = peft.inject_adapter_in_model(settings, self.trunk.requires_grad_(False))
        for name, parameter in self.trunk.named_parameters():
            parameter.requires_grad_("lora_" in name)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pooled features (B, D)."""
        if self.is_frozen:
            self.trunk.eval()
        mean, std = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        scaled = (pixels - mean) / std
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            if self.pool == "model":
                return self.trunk(scaled)
            tokens = self.trunk.forward_features(scaled)
            return torch.cat([tokens[:, 0], tokens[:, self.trunk.num_prefix_tokens :].mean(1)], dim=1)
