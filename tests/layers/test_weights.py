"""The loader of local weights: names, shapes, heads, and how much of a module a file must hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from seqexp.core.errors import DataError
from seqexp.layers.weights import load_weights
from seqexp.layers.weights_file import Weights, read_weights


def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))


def of(tensors: dict[str, torch.Tensor]) -> Weights:
    return Weights(Path("file.pt"), tensors, {})


def test_names_of_the_module_need_no_table_and_heads_are_left_out() -> None:
    theirs, ours = module(), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    report = load_weights(ours, of({**theirs.state_dict(), "head.weight": torch.ones(7)}))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))
    assert (len(report.loaded), report.left_out, report.missing) == (4, ["head.weight"], [])


def test_a_table_renames_and_axes_of_length_one_do_not_matter() -> None:
    theirs, ours = module(), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    tensors = {f"net.layer{name}".replace("r0.", "r_0."): values[None] for name, values in theirs.state_dict().items()}
    report = load_weights(ours, of(tensors), {r"net\.layer_?(\d)\.(\w+)": r"\1.\2"})
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))
    assert sorted(report.loaded) == sorted(tensors)


def test_a_share_of_the_weights_may_be_asked_for_and_the_rest_is_named() -> None:
    ours = module()
    kept = ours[1].weight.detach().clone()
    part = of({name: torch.ones_like(values) for name, values in ours.state_dict().items() if name != "1.weight"})
    with pytest.raises(DataError, match=r"3 of the 4 weights of Sequential match; missing: 1\.weight"):
        load_weights(ours, part)
    assert not torch.equal(ours[0].weight, torch.ones(2, 3))  # nothing was copied
    report = load_weights(ours, part, threshold=0.75)
    assert report.missing == ["1.weight"]
    assert "1.weight" in report.render().splitlines()[-1]
    assert torch.equal(ours[1].weight, kept)
    assert torch.equal(ours[0].weight, torch.ones(2, 3))
    with pytest.raises(DataError, match="80% of them"):
        load_weights(ours, part, threshold=0.8)
    with pytest.raises(DataError, match="left over: surprise"):
        load_weights(ours, of({**part.tensors, "surprise": torch.ones(1)}), threshold=0.5)


def test_weights_lie_at_the_root_under_state_dict_or_where_it_is_said(tmp_path: Path) -> None:
    tensors = {"a.x": torch.ones(1), "a.y": torch.ones(2)}
    for content, given in (
        (tensors, {}),
        ({"state_dict": tensors, "epoch": 1}, {}),
        ({"model": {"encoder": tensors}}, {"key_path": "model.encoder"}),
    ):
        torch.save(content, tmp_path / "w.pt")
        assert set(read_weights(tmp_path / "w.pt", **given).tensors) == {"a.x", "a.y"}
        assert set(read_weights(tmp_path / "w.pt", **given, strip_prefix="a.").tensors) == {"x", "y"}
    with pytest.raises(DataError, match="no key 'net'"):
        read_weights(tmp_path / "w.pt", key_path="net")
