"""Reading and loading: every key is accounted for, and what does not fit is told before anything is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import published
import pytest
import torch

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.dna.pretrained.encoder import PretrainedEncoder, load_encoder
from seqexp.dna.pretrained.hyenadna import load_hyenadna
from seqexp.layers import weights_file as files

Tensors = dict[str, torch.Tensor]
FILTER = "hyena.backbone.layers.0.mixer.filter_fn."


def saved(tensors: Any, folder: Path, name: str = "weights.pt") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(tensors, folder / name)
    return folder / name


def bases(length: int = 24) -> torch.Tensor:
    numbers = torch.randint(0, 4, (2, length), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.one_hot(numbers, 4).float()


def same_encoder(one: Path, other: Path) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(load_encoder(one)[0].parameters(), load_encoder(other)[0].parameters())
    )


def test_every_key_of_hyenadna_is_accounted_for(tmp_path: Path) -> None:
    tensors = published.hyenadna_checkpoint()
    encoder, report = load_encoder(saved(tensors, tmp_path))
    assert sorted([*report.loaded, *report.checked, *report.left_out]) == sorted(tensors)
    assert report.left_out == ["lm_head.weight"]
    assert len(report.checked) == 4  # two tables of positions per layer
    assert len(report.loaded) == len(encoder.state_dict())
    assert "loaded" in report.render()
    assert "lm_head.weight" in report.render()


def training_file(tensors: Tensors) -> Tensors:
    """The same weights as the training code wrote them: another root, tied frequencies thrice, checkpointed names."""
    found = {}
    for name, tensor in tensors.items():
        name = name.replace("hyena.backbone.", "model.backbone.")
        name = name.replace(".mixer.", ".mixer.layer.").replace(".mlp.", ".mlp.layer.")
        found["model." + name if name.startswith("lm_head") else name] = tensor
        if name.endswith("implicit_filter.1.freq"):
            for index in (3, 5):
                found[name.replace(".1.freq", f".{index}.freq")] = tensor.clone()
    return found


def test_training_files_of_hyenadna_load_alike(tmp_path: Path) -> None:
    plain = published.hyenadna_checkpoint()
    trained = {"state_dict": training_file(plain), "epoch": 3}
    path = saved(trained, tmp_path / "a", "weights.ckpt")
    assert same_encoder(path, saved(plain, tmp_path / "b"))
    assert same_encoder(path.parent, path)
    assert len(load_encoder(path)[1].checked) == 4 + 4


def tie(tensors: Tensors) -> Tensors:
    """Both copies of the tied projections, as files that keep shared weights hold them."""
    copies = {
        name.replace("mamba_fwd", "mamba_rev"): tensor.clone()
        for name, tensor in tensors.items()
        if name.endswith(("mamba_fwd.in_proj.weight", "mamba_fwd.out_proj.weight"))
    }
    return {**tensors, **copies}


@pytest.mark.parametrize("is_ps", [True, False])
def test_caduceus_loads_with_tied_copies_and_without(is_ps: bool, tmp_path: Path) -> None:
    plain = published.caduceus_checkpoint(is_ps)
    once, twice = saved(plain, tmp_path / "a"), saved(tie(plain), tmp_path / "b")
    assert same_encoder(once, twice)
    assert len(load_encoder(twice)[1].checked) == 4 + is_ps


def test_tied_weights_that_differ_are_refused(tmp_path: Path) -> None:
    tensors = tie(published.caduceus_checkpoint(True))
    tensors["caduceus.backbone.layers.1.mixer.submodule.mamba_rev.in_proj.weight"][0, 0] += 1
    with pytest.raises(DataError, match=r"layers\.1.*differ"):
        load_encoder(saved(tensors, tmp_path))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (published.hyenadna_checkpoint, "hyena.backbone.layers.1.norm2.bias"),
        (lambda: published.caduceus_checkpoint(True), "caduceus.backbone.layers.1.mixer.submodule.mamba_rev.D"),
        (lambda: published.caduceus_checkpoint(False), "caduceus.backbone.norm_f.weight"),
    ],
)
def test_missing_extra_and_misshapen_weights_are_named(make: Any, name: str, tmp_path: Path) -> None:
    tensors = make()
    without = {key: tensor for key, tensor in tensors.items() if key != name}
    with pytest.raises(DataError, match=r"match; missing: backbone\S+; left over: none"):
        load_encoder(saved(without, tmp_path))
    with pytest.raises(DataError, match=r"missing: none; left over: \S+surprise;"):
        load_encoder(saved({**tensors, name + ".surprise": torch.zeros(1)}, tmp_path))
    with pytest.raises(DataError, match=rf"of another shape: {name} \(3,\) instead of"):
        load_encoder(saved({**tensors, name: torch.zeros(3)}, tmp_path))


def test_a_gap_between_layers_is_refused(tmp_path: Path) -> None:
    tensors = published.caduceus_checkpoint(False)
    tensors["caduceus.backbone.layers.7.norm.weight"] = torch.ones(8)
    with pytest.raises(DataError, match=r"36 of the 53 weights .*left over: caduceus\.backbone\.layers\.7"):
        load_encoder(saved(tensors, tmp_path))


def test_trained_positions_are_refused(tmp_path: Path) -> None:
    tensors = published.hyenadna_checkpoint()
    tensors[FILTER + "pos_emb.z"][0, 5, 1] += 0.1
    with pytest.raises(DataError, match=r"pos_emb\.z is not the table"):
        load_encoder(saved(tensors, tmp_path))


def test_length_of_hyenadna_comes_from_the_file_the_config_or_the_caller(tmp_path: Path) -> None:
    tensors = published.hyenadna_checkpoint()
    bare = {name: tensor for name, tensor in tensors.items() if ".pos_emb." not in name}
    path = saved(bare, tmp_path)
    with pytest.raises(DataError, match="for which length"):
        load_encoder(path)
    given, _ = load_hyenadna(files.read_weights(path), max_length=34)
    (tmp_path / "config.json").write_text(json.dumps({"layer": {"l_max": 34}}))
    for encoder in (given, load_encoder(path)[0]):
        torch.testing.assert_close(encoder(bases()), load_encoder(saved(tensors, tmp_path / "full"))[0](bases()))


@pytest.mark.parametrize(
    ("setting", "value"), [("bidirectional_strategy", "ew_multiply"), ("norm_epsilon", 1e-6), ("rms_norm", False)]
)
def test_settings_that_change_the_function_are_refused(setting: str, value: Any, tmp_path: Path) -> None:
    path = saved(published.caduceus_checkpoint(True), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({setting: value}))
    with pytest.raises(DataError, match=setting):
        load_encoder(path)


def test_config_that_contradicts_the_keys_is_refused(tmp_path: Path) -> None:
    path = saved(published.caduceus_checkpoint(True, is_fused=True), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"fused_add_norm": True}))
    load_encoder(path)
    (tmp_path / "config.json").write_text(json.dumps({"fused_add_norm": False}))
    with pytest.raises(DataError, match="fused_add_norm is False"):
        load_encoder(path)


def test_another_complement_is_refused(tmp_path: Path) -> None:
    tensors = published.caduceus_checkpoint(True)
    tensors["caduceus.backbone.embeddings.word_embeddings.complement_map"] = torch.arange(16)
    with pytest.raises(DataError, match="pairs other tokens"):
        load_encoder(saved(tensors, tmp_path))


def test_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = published.caduceus_checkpoint(True)
    safetensors.save_file(tensors, str(tmp_path / "model.safetensors"))
    assert same_encoder(tmp_path, saved(tensors, tmp_path))
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be read"):
        load_encoder(tmp_path)

    def missing(module: str, extra: str) -> None:
        raise MissingExtraError(module, extra)

    monkeypatch.setattr(files, "require", missing)
    with pytest.raises(MissingExtraError, match="pretrained"):
        load_encoder(tmp_path)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_encoder(tmp_path / "nothing.pt")
    with pytest.raises(DataError, match="no weights in this folder"):
        load_encoder(tmp_path)
    (tmp_path / "cut.pt").write_bytes(saved({"a": torch.zeros(999)}, tmp_path).read_bytes()[:700])
    with pytest.raises(DataError, match="cannot be read"):
        load_encoder(tmp_path / "cut.pt")
    with pytest.raises(DataError, match="Python objects"):
        load_encoder(saved({"a": Path("x")}, tmp_path))
    with pytest.raises(DataError, match="no named weights"):
        load_encoder(saved([1, 2], tmp_path))
    path = saved(published.caduceus_checkpoint(True), tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="not readable as JSON"):
        load_encoder(path)


def test_tokens_are_for_mamba_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokens"):
        load_encoder(saved(published.caduceus_checkpoint(True), tmp_path), tokens=(0, 1, 2, 3, 4))
    mamba = {"backbone.embedding.weight": torch.zeros(5, 4)}
    with pytest.raises(ConfigError, match="kind mamba"):
        load_encoder(saved(mamba, tmp_path))
    with pytest.raises(DataError, match="4 tokens"):
        load_encoder(saved(mamba, tmp_path), tokens=(0, 1, 2, 3))


@pytest.mark.parametrize("is_frozen", [True, False])
def test_as_a_part_of_a_network(is_frozen: bool, tmp_path: Path) -> None:
    path = saved(published.caduceus_checkpoint(True), tmp_path)
    part = PretrainedEncoder(path, pool=4, dropout=0.5, checkpoint=True, is_frozen=is_frozen).train()
    assert (part.width, part.stride, part.bin_bp) == (16, 4, 4)
    x = bases().requires_grad_()
    features = part(x)
    assert features.shape == (2, 6, 16)
    assert torch.equal(part(x), features) == is_frozen  # dropout is off where nothing is trained
    features.square().sum().backward()
    assert x.grad is not None
    assert all((parameter.grad is None) == is_frozen for parameter in part.parameters())
