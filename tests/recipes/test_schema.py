"""Recipe files: what is accepted, and the one message for each mistake."""

from __future__ import annotations

import pytest

from seqexp.core.errors import ConfigError
from seqexp.recipes.schema import find_recipe, load_recipe, shipped_recipes

GOOD = """
name: tiny
description: one file
licence: none
sources:
  - {name: a.txt, url: "http://127.0.0.1/a.txt", licence: none}
steps:
  - {use: copy, with: {source: a.txt}}
dataset: {name: tiny}
"""


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_good_recipe(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert (recipe.name, recipe.sources[0].name, recipe.steps[0].use) == ("tiny", "a.txt", "copy")
    assert recipe.steps[0].parameters == {"source": "a.txt"}
    assert recipe.dataset == {"name": "tiny"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence: none\nsources", "sources", "licence is missing"),
        ("description:", "descripton:", "unknown key descripton"),
        ("url:", "address:", "unknown key address"),
        ("name: a.txt", "name: ../a.txt", "no name of a file in this folder"),
        ('url: "http://127.0.0.1/a.txt", ', "", "neither url nor mirror"),
        ("licence: none}", "licence: none, sha256: abc}", "expected:"),
        ("with: {source: a.txt}", "parameters: {}", "unknown key parameters"),
        ("dataset: {name: tiny}", "dataset: [1]", r"dataset.*1"),
        ("steps:", "  - {name: a.txt, url: x, licence: y}\nsteps:", "named twice: a.txt"),
        ("name: tiny\ndesc", "name: tiny\nname: tiny\ndesc", "written twice"),
        ("name: tiny\n", "name: tiny\ndataset_file: slide.yaml\n", "dataset_file: 'slide.yaml'"),
    ],
)
def test_each_mistake_has_its_message(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path, GOOD.replace(old, new, 1)))


def test_recipes_are_found_by_name_folder_and_file(tmp_path):
    path = write(tmp_path, GOOD)
    assert find_recipe(str(path)) == find_recipe(str(tmp_path)) == path
    assert find_recipe("yeast").parent.name == "yeast"
    with pytest.raises(ConfigError, match="yeast"):
        find_recipe("no_such_recipe")


def test_every_shipped_recipe_loads_and_is_documented():
    recipes = {recipe.name: recipe for recipe in shipped_recipes()}
    assert set(recipes) == {"gm12878", "her2st", "k562", "k562_chr22", "simulated_dna", "yeast"}
    for recipe in recipes.values():
        assert recipe.path.parent.name == recipe.name
        assert (recipe.path.parent / "README.md").stat().st_size > 500
        for source in recipe.sources:
            assert source.licence
            assert source.url or source.origin, f"{recipe.name}: {source.name} does not say where it comes from"
            assert source.url or (source.sha256 and source.bytes), f"{recipe.name}: {source.name} is not verified"


def test_no_expression_derived_track_is_an_input_of_yeast():
    yeast = load_recipe(find_recipe("yeast"))
    assert not any("STRIPE" in (source.mirror or "") for source in yeast.sources)
