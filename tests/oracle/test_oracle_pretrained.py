"""Tiny checkpoints in published layouts: loaded, then compared with independent implementations."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import published
import pytest
import torch

from seqexp.dna.encoders.caduceus import ExchangingMambaEncoder
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.pretrained.encoder import load_encoder

TOKENS = np.array([7, 8, 9, 10, 11])  # A, C, G, T, unknown


def codes(length: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, length)


def one_hot(numbers: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(numbers), 5)[None, :, :4].float()


def saved(tensors: dict[str, torch.Tensor], folder: Path) -> Path:
    path = folder / "weights.pt"
    torch.save(tensors, path)
    return path


def check(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found[0].detach().double().numpy(), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 2, 20, 34])
def test_hyenadna(length: int, tmp_path: Path) -> None:
    tensors = published.hyenadna_checkpoint()
    encoder, _ = load_encoder(saved(tensors, tmp_path))
    check(encoder(one_hot(codes(length))), published.hyenadna_reference(tensors, TOKENS[codes(length)]))


@pytest.mark.parametrize("num_layers", [1, 2])
def test_caduceus_ph(num_layers: int, tmp_path: Path) -> None:
    tensors = published.caduceus_checkpoint(is_ps=False, num_layers=num_layers)
    encoder, _ = load_encoder(saved(tensors, tmp_path))
    assert encoder.rc == "none"
    numbers = codes(25)
    expected = published.caduceus_ph_reference(tensors, TOKENS[numbers])
    check(encoder(one_hot(numbers)), expected)
    # After training, its authors average both strands.
    reverse = published.caduceus_ph_reference(tensors, published.COMPLEMENT[TOKENS[numbers]][::-1])
    encoder.rc = "average"
    check(encoder(one_hot(numbers)), (expected + reverse[::-1]) / 2)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("is_fused", [True, False])
def test_caduceus_ps(num_layers: int, is_fused: bool, tmp_path: Path) -> None:
    """The keys tell which of the two functions a checkpoint was trained as."""
    tensors = published.caduceus_checkpoint(is_ps=True, num_layers=num_layers, is_fused=is_fused)
    encoder, _ = load_encoder(saved(tensors, tmp_path))
    assert encoder.rc == "equivariant"
    assert type(encoder.backbone) is (ExchangingMambaEncoder if is_fused else MambaEncoder)
    numbers = codes(25)
    expected = published.caduceus_ps_reference(tensors, TOKENS[numbers])
    check(encoder(one_hot(numbers)), expected)
    reverse = published.caduceus_ps_reference(tensors, published.COMPLEMENT[TOKENS[numbers]][::-1])
    np.testing.assert_allclose(published.turned(reverse), expected, rtol=1e-10)


def test_the_two_functions_of_caduceus_ps_differ(tmp_path: Path) -> None:
    """Loading fused weights without the exchange gives other features of the same size: the silent mistake."""
    from seqexp.dna.pretrained.caduceus import load_caduceus
    from seqexp.layers.weights_file import read_weights

    path = saved(published.caduceus_checkpoint(is_ps=True), tmp_path)
    right, wrong = (load_caduceus(read_weights(path), exchange_strands=is_on)[0] for is_on in (True, False))
    x = one_hot(codes(25))
    assert (right(x) - wrong(x)).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["mamba", "mamba2", "mamba2-groups"])
def test_transformers(kind: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("transformers") is None:
        warnings.warn("transformers is not installed: loading of Mamba is NOT compared with theirs", stacklevel=1)
        pytest.skip("transformers is not installed")
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 6}
    if kind == "mamba":
        theirs = transformers.MambaForCausalLM(transformers.MambaConfig(**sizes))
    else:
        groups = {"n_groups": 2 if kind == "mamba2-groups" else 1}
        heads = {"num_heads": 4, "head_dim": 8, "chunk_size": 16}
        theirs = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(**sizes, **heads, **groups))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    encoder, report = load_encoder(tmp_path, tokens=(3, 5, 7, 9, 11))
    numbers = codes(40)
    ids = torch.tensor(np.array([3, 5, 7, 9, 11])[numbers])[None]
    with torch.no_grad():
        expected = theirs(ids, output_hidden_states=True).hidden_states[-1][0].double().numpy()
    check(encoder(one_hot(numbers)), expected)
    assert len(report.loaded) == len(list(encoder.parameters()))
