"""Tiny checkpoints in the key layouts of published encoders, and those encoders by definition, in float64.

The references know the published names only: explicit sums and steps, one sequence at a time, no code of the package.
"""

from __future__ import annotations

import math

import numpy as np
import torch

Arrays = dict[str, np.ndarray]
COMPLEMENT = np.array([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15])
STATE, RANK = 4, 3


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Values that make every part of a layer matter: gains near 1, the rest of size 0.3."""
    rng = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        is_gain = ("norm" in name and name.endswith("weight")) or name.endswith("freq")
        tensors[name] = 0.3 * torch.randn(shape, generator=rng) + (1.0 if is_gain else 0.0)
    return tensors


def doubles(tensors: dict[str, torch.Tensor]) -> Arrays:
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


# ---------------------------------------------------------------- HyenaDNA


def hyenadna_checkpoint(width: int = 8, num_layers: int = 2, max_length: int = 34) -> dict[str, torch.Tensor]:
    """The converted layout: tied frequencies once, tables of positions and decays with every layer."""
    root, hidden = "hyena.backbone.", 10
    shapes: dict[str, tuple[int, ...]] = {root + "embeddings.word_embeddings.weight": (16, width)}
    for layer in range(num_layers):
        name = f"{root}layers.{layer}."
        shapes |= {
            name + "mixer.in_proj.weight": (3 * width, width),
            name + "mixer.in_proj.bias": (3 * width,),
            name + "mixer.out_proj.weight": (width, width),
            name + "mixer.out_proj.bias": (width,),
            name + "mixer.short_filter.weight": (3 * width, 1, 3),
            name + "mixer.short_filter.bias": (3 * width,),
            name + "mixer.filter_fn.bias": (width,),
            name + "mixer.filter_fn.implicit_filter.0.weight": (hidden, 5),
            name + "mixer.filter_fn.implicit_filter.0.bias": (hidden,),
            name + "mixer.filter_fn.implicit_filter.1.freq": (1, hidden),
            name + "mixer.filter_fn.implicit_filter.2.weight": (hidden, hidden),
            name + "mixer.filter_fn.implicit_filter.2.bias": (hidden,),
            name + "mixer.filter_fn.implicit_filter.4.weight": (hidden, hidden),
            name + "mixer.filter_fn.implicit_filter.4.bias": (hidden,),
            name + "mixer.filter_fn.implicit_filter.6.weight": (width, hidden),
            name + "mlp.fc1.weight": (4 * width, width),
            name + "mlp.fc1.bias": (4 * width,),
            name + "mlp.fc2.weight": (width, 4 * width),
            name + "mlp.fc2.bias": (width,),
            **{f"{name}norm{number}.{kind}": (width,) for number in (1, 2) for kind in ("weight", "bias")},
        }
    shapes |= {root + "ln_f.weight": (width,), root + "ln_f.bias": (width,)}
    tensors = random_tensors(shapes)
    t = torch.arange(max_length).float()
    angles = 2 * math.pi * t[:, None] / max_length * torch.linspace(1e-4, 1, 2)
    features = torch.cat([(t / (max_length - 1))[:, None], angles.cos(), -angles.sin()], 1)
    deltas = torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, width)
    for layer in range(num_layers):
        name = f"{root}layers.{layer}.mixer.filter_fn."
        tensors[name + "pos_emb.z"] = features[None].clone()
        tensors[name + "pos_emb.t"] = features[None, :, :1].clone()
        tensors[name + "modulation.deltas"] = deltas[None, None].clone()
    tensors["lm_head.weight"] = tensors[root + "embeddings.word_embeddings.weight"].clone()
    return tensors


def layer_norm(x: np.ndarray, w: Arrays, name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + w[name + ".bias"]


def linear(x: np.ndarray, w: Arrays, name: str) -> np.ndarray:
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def hyena_filter(w: Arrays, name: str, length: int) -> np.ndarray:
    taps = []
    for t in range(length):
        z = w[name + "pos_emb.z"][0, t]
        hidden = z
        for index in (0, 2, 4):
            hidden = np.sin(w[name + "implicit_filter.1.freq"][0] * linear(hidden, w, f"{name}implicit_filter.{index}"))
        fall = np.exp(-w[name + "pos_emb.t"][0, t] * np.abs(w[name + "modulation.deltas"][0, 0])) + 0.05
        taps.append(w[name + "implicit_filter.6.weight"] @ hidden * fall)
    return np.stack(taps)


def hyena_operator(u: np.ndarray, w: Arrays, name: str) -> np.ndarray:
    length, width = u.shape
    projected = linear(u, w, name + "in_proj")
    short = w[name + "short_filter.weight"][:, 0]
    mixed = np.tile(w[name + "short_filter.bias"], (length, 1))
    for t in range(length):
        for back in range(min(3, t + 1)):
            mixed[t] += short[:, 2 - back] * projected[t - back]
    x0, x1, v = mixed[:, :width], mixed[:, width : 2 * width], mixed[:, 2 * width :]
    taps, v = hyena_filter(w, name + "filter_fn.", length), v * x1
    spread = np.stack([sum(taps[t - s] * v[s] for s in range(t + 1)) for t in range(length)])
    return linear((spread + w[name + "filter_fn.bias"] * v) * x0, w, name + "out_proj")


def hyenadna_reference(tensors: dict[str, torch.Tensor], ids: np.ndarray) -> np.ndarray:
    """Features (L, D) of token numbers (L,)."""
    w, root = doubles(tensors), "hyena.backbone."
    x = w[root + "embeddings.word_embeddings.weight"][ids]
    for layer in range(sum(name.endswith("mixer.in_proj.bias") for name in w)):
        name = f"{root}layers.{layer}."
        x = x + hyena_operator(layer_norm(x, w, name + "norm1"), w, name + "mixer.")
        hidden = linear(layer_norm(x, w, name + "norm2"), w, name + "mlp.fc1")
        hidden = 0.5 * hidden * (1 + np.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))
        x = x + linear(hidden, w, name + "mlp.fc2")
    return layer_norm(x, w, root + "ln_f")


# ---------------------------------------------------------------- Caduceus


def caduceus_checkpoint(
    is_ps: bool, width: int = 8, num_layers: int = 2, is_fused: bool = True
) -> dict[str, torch.Tensor]:
    """The published layout: projections of the reverse direction are tied and left out."""
    root, inner = "caduceus.backbone.", 2 * width
    mixer = "mixer.submodule." if is_ps else "mixer."
    norm = "norm.submodule." if is_ps and not is_fused else "norm."
    final = "norm_f.submodule." if is_ps and not is_fused else "norm_f."
    table = root + "embeddings.word_embeddings." + ("embedding.weight" if is_ps else "weight")
    shapes: dict[str, tuple[int, ...]] = {table: (16, width)}
    for layer in range(num_layers):
        name = f"{root}layers.{layer}."
        shapes[f"{name}{norm}weight"] = (width,)
        for direction in ("fwd", "rev"):
            own = f"{name}{mixer}mamba_{direction}."
            shapes |= {
                own + "A_log": (inner, STATE),
                own + "D": (inner,),
                own + "conv1d.weight": (inner, 1, 4),
                own + "conv1d.bias": (inner,),
                own + "x_proj.weight": (RANK + 2 * STATE, inner),
                own + "dt_proj.weight": (inner, RANK),
                own + "dt_proj.bias": (inner,),
            }
        shapes[f"{name}{mixer}mamba_fwd.in_proj.weight"] = (2 * inner, width)
        shapes[f"{name}{mixer}mamba_fwd.out_proj.weight"] = (width, inner)
    shapes[f"{root}{final}weight"] = (width,)
    tensors = random_tensors(shapes)
    if is_ps:
        tensors[root + "embeddings.word_embeddings.complement_map"] = torch.tensor(COMPLEMENT)
        tensors["lm_head.complement_map"] = torch.tensor(COMPLEMENT)
    return tensors


def rms_norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain


def mamba_by_steps(u: np.ndarray, w: Arrays, own: str, tied: str) -> np.ndarray:
    x, z = np.split(u @ w[tied + "in_proj.weight"].T, 2, axis=1)
    taps, shown = w[own + "conv1d.weight"][:, 0], np.tile(w[own + "conv1d.bias"], (len(u), 1))
    for t in range(len(u)):
        for back in range(min(4, t + 1)):
            shown[t] += taps[:, 3 - back] * x[t - back]
    shown = silu(shown)
    projected = shown @ w[own + "x_proj.weight"].T
    state, outputs = np.zeros((x.shape[1], STATE)), []
    for t in range(len(u)):
        raw = w[own + "dt_proj.weight"] @ projected[t, :RANK] + w[own + "dt_proj.bias"]
        step = np.log1p(np.exp(raw))[:, None]
        write, read = projected[t, RANK : RANK + STATE], projected[t, RANK + STATE :]
        state = np.exp(step * -np.exp(w[own + "A_log"])) * state + step * shown[t][:, None] * write
        outputs.append(state @ read + w[own + "D"] * shown[t])
    return np.stack(outputs) * silu(z) @ w[tied + "out_proj.weight"].T


def both_directions(u: np.ndarray, w: Arrays, name: str) -> np.ndarray:
    forward = mamba_by_steps(u, w, name + "mamba_fwd.", name + "mamba_fwd.")
    return forward + mamba_by_steps(u[::-1], w, name + "mamba_rev.", name + "mamba_fwd.")[::-1]


def caduceus_ph_reference(tensors: dict[str, torch.Tensor], ids: np.ndarray) -> np.ndarray:
    """Features (L, D) of token numbers (L,)."""
    w, root = doubles(tensors), "caduceus.backbone."
    x = w[root + "embeddings.word_embeddings.weight"][ids]
    for layer in range(sum(name.endswith("mamba_fwd.D") for name in w)):
        name = f"{root}layers.{layer}."
        x = x + both_directions(rms_norm(x, w[name + "norm.weight"]), w, name + "mixer.")
    return rms_norm(x, w[root + "norm_f.weight"])


def turned(x: np.ndarray) -> np.ndarray:
    """Both axes reversed: position and channel."""
    return x[::-1, ::-1]


def caduceus_ps_reference(tensors: dict[str, torch.Tensor], ids: np.ndarray) -> np.ndarray:
    """Features (L, 2 D) of token numbers (L,), in the words of the published description: two halves of channels.

    With fused norms the second half is normalised as the forward strand and put first, and the residual with it, in
    every block and not in the last norm.
    """
    w, root = doubles(tensors), "caduceus.backbone."
    is_fused = root + "layers.0.norm.weight" in w
    inside = "norm.weight" if is_fused else "norm.submodule.weight"
    table = w[root + "embeddings.word_embeddings.embedding.weight"]
    first, second = table[ids], turned(table[COMPLEMENT[ids][::-1]])
    for layer in range(sum(name.endswith("mamba_fwd.D") for name in w)):
        name = f"{root}layers.{layer}."
        if is_fused:
            first, second = second, first
        gain = w[name + inside]
        normed_first, normed_second = rms_norm(first, gain), turned(rms_norm(turned(second), gain))
        first = first + both_directions(normed_first, w, name + "mixer.submodule.")
        second = second + turned(both_directions(turned(normed_second), w, name + "mixer.submodule."))
    gain = w[root + ("norm_f.weight" if is_fused else "norm_f.submodule.weight")]
    return np.concatenate([rms_norm(first, gain), turned(rms_norm(turned(second), gain))], axis=1)
