"""Config files laid over each other: order, bases of bases, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seqexp.core.errors import ConfigError
from seqexp.core.resources import shipped_folder
from seqexp.training.stack import config_stack, own_settings, stack_text


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def names(*configs: Path) -> list[str]:
    return [path.stem for path in config_stack([str(path) for path in configs])]


def test_bases_lie_under_a_file_and_each_is_laid_once(tmp_path: Path) -> None:
    write(tmp_path, data="data: {}", left="base: [data.yaml]", right="base: [data.yaml]")
    write(tmp_path, run="base: [left.yaml, right.yaml]", over="base: [data.yaml]")
    assert names(tmp_path / "run.yaml", tmp_path / "over.yaml") == ["default", "data", "left", "right", "run", "over"]


def test_a_base_is_found_among_the_shipped_configs(tmp_path: Path) -> None:
    write(tmp_path, run="base: [base/cpu.yaml]")
    assert config_stack([str(tmp_path / "run.yaml")])[1] == shipped_folder("configs") / "base" / "cpu.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: [run.yaml]", "a config lies under itself: run.yaml -> run.yaml"),
        ("base: [a.yaml]", "a config lies under itself: run.yaml -> a.yaml -> run.yaml"),
        ("base: [absent.yaml]", "base: no 'absent.yaml'"),
        ("base: a.yaml", "base: 'a.yaml'"),
        ("base: [1]", "base: [1]"),
        ("base: [twice.yaml]", "key 'trainer' is written twice"),
        ("base: [seeded.yaml]", "a seed of its own"),
    ],
)
def test_bases_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, a="base: [run.yaml]", twice="trainer: {}\ntrainer: {}", seeded="model: {seed: 1}", run=text)
    with pytest.raises(ConfigError) as caught:
        config_stack([str(tmp_path / "run.yaml")])
    assert caught.value.found.startswith(message)


def test_the_parser_sees_what_a_file_says_itself(tmp_path: Path) -> None:
    write(tmp_path, run="base: []\nmodel: {lr: 1.0e-3, schedule: 'on'}", plain="model: {lr: 1.0}")
    option, _, text = own_settings(f"--config={tmp_path / 'run.yaml'}").partition("=")
    assert option == "--config"
    assert yaml.safe_load(text) == {"model": {"lr": 1e-3, "schedule": "on"}}
    plain = f"--config={tmp_path / 'plain.yaml'}"
    assert own_settings(plain) == plain


def test_the_text_of_a_stack_changes_with_its_bases(tmp_path: Path) -> None:
    write(tmp_path, a="model: {lr: 1.0}", run="base: [a.yaml]")
    before = stack_text([str(tmp_path / "run.yaml")])
    write(tmp_path, a="model: {lr: 2.0}")
    assert stack_text([str(tmp_path / "run.yaml")]) != before
