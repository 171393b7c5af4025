"""Patch encoders: strict weights in the layout of their files, frozen or not, features cached under their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from simulated_tissue import small_tissue

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.encoders.patch import IMAGENET_MEAN, IMAGENET_STD, SmallPatchEncoder, TimmPatchEncoder
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.loaders.inputs import weights_hash

timm = pytest.importorskip("timm")
NAME = "resnet10t"
PIXELS = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(3)
    model = timm.create_model(NAME, num_classes=7)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "model.pth"
    torch.save({"state_dict": state, "epoch": 3}, path)
    return path, model.eval()


def test_weights_from_a_file_give_the_features_of_the_original(saved: tuple[Path, torch.nn.Module]) -> None:
    path, model = saved
    encoder = TimmPatchEncoder(NAME, path, "state_dict", "module.", is_frozen=True).train()
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = model.forward_head(model.forward_features((PIXELS - mean) / std), pre_logits=True)
    torch.testing.assert_close(encoder(PIXELS), expected)  # norms stay in evaluation, although the encoder trains
    assert encoder.out_dim == expected.shape[1]
    assert not any(p.requires_grad for p in encoder.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key_path": "epoch"}, "no named weights under epoch"),
        ({"key_path": "model"}, "no key 'model'"),
        ({"strip_prefix": ""}, "0 of .* left over: module"),
        ({"name": "resnet14t"}, "of another shape|missing"),
        ({"weights": Path("/nowhere.pth")}, "no such file"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    saved: tuple[Path, torch.nn.Module], changes: dict[str, object], message: str
) -> None:
    given = {"name": NAME, "weights": saved[0], "key_path": "state_dict", "strip_prefix": "module.", **changes}
    with pytest.raises(DataError, match=message):
        TimmPatchEncoder(**given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conv1.0.weight": torch.ones(2)}, r"of another shape: conv1.0.weight \(2,\)"),
        ({"conv1.0.weight": [1.0]}, "no named weights"),
        ({1: torch.zeros(2)}, "no named weights"),
        ([torch.zeros(2)], "no named weights"),
        (torch.zeros(2), "no named weights"),
    ],
)
def test_files_that_hold_other_values(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match=message):
        TimmPatchEncoder(NAME, tmp_path / "w.pth")


def test_unreadable_file_and_unknown_architecture(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="cannot be read"):
        TimmPatchEncoder(NAME, broken)
    with pytest.raises(ConfigError, match="no weights"):
        TimmPatchEncoder(NAME)
    with pytest.raises(ConfigError, match="no architecture"):
        TimmPatchEncoder("resnet1000", allow_random_init=True)


def test_small_encoder_halves_and_averages() -> None:
    encoder = SmallPatchEncoder(8, 3)
    assert encoder(PIXELS).shape == (2, encoder.out_dim) == (2, 32)


def test_features_are_those_of_the_patches_and_cached_by_weights(tmp_path: Path) -> None:
    def data(encoder: torch.nn.Module) -> SpotData:
        made = SpotData(
            small_tissue(), "patient", patch_px=0, feature_encoder=encoder, encoder_px=32, scale_features="none",
            cache_folder=tmp_path,
        )  # fmt: skip
        made.setup()
        return made

    torch.manual_seed(0)
    encoder = SmallPatchEncoder(8, 2)
    one = data(encoder)
    frame, slide = one.fold.spots.frame, one.slides.slide("P1_1")
    row = int(one.fold.spots.rows_of("P1_1")[4])
    patch = slide.read_patch_um(frame[["x_um", "y_um"]].to_numpy()[row], 224 * slide.mpp, 32)
    expected = encoder(torch.from_numpy(patch.copy())[None].permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_allclose(one.features[row], expected.detach()[0].numpy(), rtol=1e-4, atol=1e-5)
    num = len(list(tmp_path.iterdir()))
    data(encoder)
    assert len(list(tmp_path.iterdir())) == num
    other = SmallPatchEncoder(8, 2)
    assert weights_hash(other) != weights_hash(encoder)
    data(other)
    assert len(list(tmp_path.iterdir())) == 2 * num


def test_command_fills_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["features", "--dataset", str(small_tissue()), "--encoder", NAME, "--patch-px", "32"]
    arguments += ["--cache-folder", str(tmp_path)]
    assert main([*arguments, "--allow-random-init"]) == 0
    assert "100 spots, 512 features each" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.npy"))) == 4
    assert main(arguments) == 2
    assert "no weights" in capsys.readouterr().err


def test_low_rank_updates_train_alone_and_start_without_effect() -> None:
    pytest.importorskip("peft")
    torch.manual_seed(0)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    plain = TimmPatchEncoder("vit_tiny_patch16_224", allow_random_init=True, arguments=small).eval()
    torch.manual_seed(0)
    tuned = TimmPatchEncoder("vit_tiny_patch16_224", allow_random_init=True, lora_rank=2, arguments=small).eval()
    pixels = PIXELS[..., :32, :32]
    torch.testing.assert_close(tuned(pixels), plain(pixels))
    trained = {name for name, p in tuned.named_parameters() if p.requires_grad}
    assert len(trained) == 4  # two matrices in each of two blocks
    assert all("lora_" in name for name in trained)
    tuned(pixels).sum().backward()
    assert all(p.grad is None for name, p in tuned.named_parameters() if "lora_" not in name)
    with pytest.raises(ConfigError, match="vision transformer"):
        TimmPatchEncoder(NAME, allow_random_init=True, lora_rank=2)


def test_dinov2_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from seqexp.histology.encoders.transformers_patch import TransformersPatchEncoder

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    torch.manual_seed(0)
    model = transformers.Dinov2Model(transformers.Dinov2Config(**sizes)).eval()
    model.save_pretrained(tmp_path / "dino")
    encoder = TransformersPatchEncoder(tmp_path / "dino").train()
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = PIXELS[..., :28, :28]
    with torch.no_grad():
        expected = model(pixel_values=(pixels - mean) / std).last_hidden_state[:, 0]
    torch.testing.assert_close(encoder(pixels), expected)
    assert encoder.out_dim == 16
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "dino" / "model.safetensors"
    state = load_file(weights)
    save_file({name: value for name, value in state.items() if "layer.1." not in name}, weights, {"format": "pt"})
    with pytest.raises(DataError, match="missing"):
        TransformersPatchEncoder(tmp_path / "dino")
    with pytest.raises(DataError, match=r"config\.json"):
        TransformersPatchEncoder(tmp_path)


def test_virchow_and_uni_layouts() -> None:
    """Class token beside the mean of the patch tokens, registers left out; layer scale and any size of patch."""
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    virchow = {**small, "reg_tokens": 4, "init_values": 1e-5, "dynamic_img_size": True}
    torch.manual_seed(0)
    encoder = TimmPatchEncoder(
        "vit_tiny_patch16_224", allow_random_init=True, pool="class+mean", arguments=virchow, mean=(0.7,) * 3
    ).eval()
    pixels = PIXELS[..., :32, :32]
    found = encoder(pixels)
    assert found.shape == (2, encoder.out_dim) == (2, 32)
    tokens = encoder.trunk.forward_features((pixels - 0.7) / torch.tensor(IMAGENET_STD)[:, None, None])
    assert tokens.shape[1] == 1 + 4 + 16
    torch.testing.assert_close(found, torch.cat([tokens[:, 0], tokens[:, 5:].mean(1)], dim=1))
    assert encoder(PIXELS[..., :48, :48]).shape == (2, 32)
    before = weights_hash(encoder)
    encoder.mean = (0.5,) * 3
    assert weights_hash(encoder) != before  # features cached under the other colours are not used
    with pytest.raises(ConfigError, match="pool"):
        TimmPatchEncoder(NAME, allow_random_init=True, pool="class+mean")
