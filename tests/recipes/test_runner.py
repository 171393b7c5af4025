"""Preparing a folder: atomic, resumable, idempotent, and honest about what is missing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import load_yaml
from seqexp.recipes.download import Patience
from seqexp.recipes.runner import StepKind, StepResult, prepare
from seqexp.recipes.schema import LOCK_FILE, load_recipe

RECIPE = """
name: tiny
description: two files and two steps
licence: none
sources:
  - {name: a.txt, mirror: sub/a.txt, licence: none}
  - {name: deep/b.txt, mirror: sub/b.txt, licence: none}
steps:
  - {use: join, with: {inputs: [a.txt, deep/b.txt], output: joined.txt}}
  - {use: upper, with: {source: joined.txt, output: upper.txt}}
dataset: {name: tiny, fasta: upper.txt}
"""


@pytest.fixture
def world(tmp_path):
    """A recipe, a mirror, an output folder and steps that count their calls."""
    (tmp_path / "mirror/sub").mkdir(parents=True)
    (tmp_path / "mirror/sub/a.txt").write_text("aa\n")
    (tmp_path / "mirror/sub/b.txt").write_text("bb\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    calls = []

    def join(folder: Path, inputs: list[str], output: str) -> StepResult:
        calls.append("join")
        (folder / output).write_text("".join((folder / name).read_text() for name in inputs))
        return StepResult((output,), ("2 files joined",))

    def upper(folder: Path, source: str, output: str) -> StepResult:
        calls.append("upper")
        (folder / output).write_text((folder / source).read_text().upper())
        return StepResult((output,))

    World = namedtuple("World", "recipe out mirror steps calls root")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    return World(
        recipe,
        tmp_path / "out",
        tmp_path / "mirror",
        {"join": StepKind(join), "upper": StepKind(upper)},
        calls,
        tmp_path,
    )


def run(world, **changes):
    given = {"recipe": world.recipe, "steps": world.steps, "mirror": world.mirror, **changes}
    return prepare(given["recipe"], world.out, given["steps"], given["mirror"], patience=Patience(2, 0.0, 2.0))


def test_everything_is_prepared_and_recorded(world):
    result = run(world)
    assert (world.out / "upper.txt").read_text() == "AA\nBB\n"
    assert load_yaml(result.dataset) == {"name": "tiny", "fasta": "upper.txt"}
    assert result.fetched == ["a.txt", "deep/b.txt"]
    assert result.ran == world.calls == ["join", "upper"]
    assert result.notes == ["2 files joined"]
    lock = json.loads((world.out / LOCK_FILE).read_text())
    assert len(lock["sources"]["a.txt"]["sha256"]) == 64
    assert lock["steps"][1]["outputs"]["upper.txt"]["bytes"] == 6


def test_a_second_run_does_nothing(world):
    run(world)
    before = {path: path.stat().st_mtime_ns for path in world.out.rglob("*") if path.is_file()}
    world.calls.clear()
    result = run(world, mirror=None)  # not even a mirror is needed
    assert world.calls == result.fetched == result.ran == []
    assert result.notes == ["2 files joined"]
    assert before == {path: path.stat().st_mtime_ns for path in world.out.rglob("*") if path.is_file()}


def test_a_step_that_fails_leaves_no_dataset_and_is_done_again_alone(world):
    def broken(folder: Path, source: str, output: str) -> StepResult:
        raise DataError("no room")

    with pytest.raises(DataError, match="no room"):
        run(world, steps={**world.steps, "upper": StepKind(broken)})
    assert not (world.out / "dataset.yaml").exists()
    world.calls.clear()
    result = run(world)
    assert result.fetched == []
    assert world.calls == ["upper"]
    assert result.dataset.exists()


def test_a_step_that_writes_the_description_may_be_killed_before_its_record(world):
    (world.root / "whole.yaml").write_text("name: tiny\ndescription: d\nlicence: none\nsteps: [{use: whole}]\n")
    recipe = load_recipe(world.root / "whole.yaml")

    def killed(folder: Path) -> StepResult:
        (folder / "dataset.yaml").write_text("name: tiny\n")
        raise KeyboardInterrupt

    def whole(folder: Path) -> StepResult:
        (folder / "dataset.yaml").write_text("name: tiny\n")
        return StepResult(("dataset.yaml",))

    with pytest.raises(KeyboardInterrupt):
        run(world, recipe=recipe, steps={"whole": StepKind(killed)})
    assert run(world, recipe=recipe, steps={"whole": StepKind(whole)}).ran == ["whole"]


def test_a_source_that_fails_keeps_the_others(world):
    (world.mirror / "sub/b.txt").rename(world.root / "b.txt")
    with pytest.raises(DataError, match=r"no file sub/b\.txt"):
        run(world)
    assert not (world.out / "dataset.yaml").exists()
    (world.root / "b.txt").rename(world.mirror / "sub/b.txt")
    assert run(world).fetched == ["deep/b.txt"]


@pytest.mark.parametrize("name", ["a.txt", "joined.txt", "upper.txt"])
def test_a_damaged_file_is_made_again(world, name):
    run(world)
    good = {path.name: path.read_text() for path in world.out.glob("*.txt")}
    (world.out / name).write_text("damaged")
    world.calls.clear()
    run(world)
    assert {path.name: path.read_text() for path in world.out.glob("*.txt")} == good
    # a source fetched again with the same sum, or a last step, costs no other step
    assert world.calls == {"a.txt": [], "joined.txt": ["join", "upper"], "upper.txt": ["upper"]}[name]


def test_a_touched_file_with_the_same_content_is_trusted(world):
    run(world)
    (world.out / "joined.txt").touch()
    world.calls.clear()
    run(world)
    assert world.calls == []


def test_changed_parameters_run_the_step_and_all_later_ones(world):
    run(world)
    world.calls.clear()
    changed = world.root / "changed.yaml"
    changed.write_text(RECIPE.replace("[a.txt, deep/b.txt]", "[deep/b.txt]"))
    run(world, recipe=load_recipe(changed))
    assert world.calls == ["join", "upper"]
    assert (world.out / "upper.txt").read_text() == "BB\n"


def test_a_release_of_seqexp_leaves_prepared_folders_finished(world, monkeypatch):
    run(world)
    world.calls.clear()
    monkeypatch.setattr("seqexp.__version__", "99.0.0")
    run(world)
    assert world.calls == []


def test_folders_prepared_by_the_first_release_are_finished(world):
    run(world)
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in (("a.txt", b"aa\n"), ("deep/b.txt", b"bb\n"))}
    digest, found = hashlib.sha256(json.dumps(["0.1.0", sums], sort_keys=True).encode()), []
    for step in world.recipe.steps:
        digest.update(json.dumps([step.use, step.parameters], sort_keys=True, default=str).encode())
        found.append(digest.hexdigest()[:16])
    assert [step["fingerprint"] for step in json.loads((world.out / LOCK_FILE).read_text())["steps"]] == found


@pytest.mark.parametrize(("name", "again"), [("join", ["join", "upper"]), ("upper", ["upper"])])
def test_a_new_version_of_a_step_runs_it_and_all_later_ones(world, name, again):
    run(world)
    world.calls.clear()
    changed = {**world.steps, name: replace(world.steps[name], version=2)}
    run(world, steps=changed)
    assert world.calls == again
    run(world, steps=changed)
    assert world.calls == again


def test_a_changed_dataset_description_is_rewritten_alone(world):
    run(world)
    world.calls.clear()
    changed = world.root / "changed.yaml"
    changed.write_text(RECIPE.replace("fasta: upper.txt", "fasta: joined.txt"))
    result = run(world, recipe=load_recipe(changed))
    assert world.calls == []
    assert load_yaml(result.dataset)["fasta"] == "joined.txt"


def test_dataset_is_absent_while_work_is_unfinished(world):
    run(world)
    seen = []

    def watching(folder: Path, source: str, output: str) -> StepResult:
        seen.append((folder / "dataset.yaml").exists())
        return world.steps["upper"].function(folder, source, output)

    (world.out / "upper.txt").unlink()
    run(world, steps={**world.steps, "upper": StepKind(watching)})
    assert seen == [False]
    assert (world.out / "dataset.yaml").exists()


def test_the_folder_of_another_recipe_is_left_alone(world):
    run(world)
    other = world.root / "other.yaml"
    other.write_text(RECIPE.replace("name: tiny\ndesc", "name: other\ndesc"))
    with pytest.raises(DataError, match="prepared by recipe 'tiny'"):
        run(world, recipe=load_recipe(other))
    assert (world.out / "dataset.yaml").exists()


def test_a_dataset_made_by_hand_is_left_alone(world):
    world.out.mkdir()
    (world.out / "dataset.yaml").write_text("name: mine\n")
    with pytest.raises(DataError, match="no recipe prepared"):
        run(world)
    assert (world.out / "dataset.yaml").read_text() == "name: mine\n"


def test_a_damaged_lock_says_what_to_do(world):
    run(world)
    (world.out / LOCK_FILE).write_text("{")
    with pytest.raises(DataError, match="lock file cannot be read"):
        run(world)


def test_too_small_a_disk_is_told_before_any_work(world, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("seqexp.recipes.runner.shutil.disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(DataError, match=r"needs 0\.05 GB more"):
        run(world)
    assert not world.out.exists()


def test_a_finished_folder_needs_no_space(world, monkeypatch):
    run(world)
    before = {path: path.stat().st_mtime_ns for path in world.out.rglob("*") if path.is_file()}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("seqexp.recipes.runner.shutil.disk_usage", lambda _: usage(10, 9, 1))
    run(world)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("use: upper", "use: uper", "unknown step 'uper'"),
        ("source: joined.txt", "sauce: joined.txt", "did you mean source"),
    ],
)
def test_recipe_mistakes_are_told(world, old, new, message):
    path = world.root / "wrong.yaml"
    path.write_text(RECIPE.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        run(world, recipe=load_recipe(path))
    assert not world.out.exists()


def test_a_mirror_that_does_not_exist(world):
    with pytest.raises(DataError, match="no such mirror folder"):
        run(world, mirror=world.root / "nowhere")
    assert not world.out.exists()


def test_broken_downloads_resume_across_runs(world, server):
    body = b"0123456789" * 1000
    path = world.root / "net.yaml"
    path.write_text(
        "name: net\ndescription: d\nlicence: l\ndataset: {name: net}\n"
        f"sources: [{{name: f.txt, url: '{server.url}/f.txt', licence: l, bytes: {len(body)}}}]\n"
    )
    server.serve("/f.txt", body, faults=["break", "503", "503"])
    with pytest.raises(DataError, match="503"):
        run(world, recipe=load_recipe(path))
    assert not (world.out / "dataset.yaml").exists()
    server.requests.clear()
    run(world, recipe=load_recipe(path))
    assert [request[1:] for request in server.requests] == [("bytes=5000-", 206)]
    assert (world.out / "f.txt").read_bytes() == body
    run(world, recipe=load_recipe(path))
    assert len(server.requests) == 1


ORIGINS = """
without_mirror:
  sources: [{name: raw.txt, url: 'URL/raw.txt', licence: none}]
  steps:
    - {use: cut, with: {source: raw.txt, outputs: [a.txt, deep/b.txt]}}
"""


@pytest.fixture
def two_ways(world, server):
    """The recipe of ``world``, whose files can also be made from one that a server has."""

    def cut(folder: Path, source: str, outputs: list[str]) -> StepResult:
        world.calls.append("cut")
        for name, line in zip(outputs, (folder / source).read_text().splitlines(), strict=True):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(line + "\n")
        return StepResult(tuple(outputs))

    (world.root / "two.yaml").write_text(RECIPE + ORIGINS.replace("URL", server.url))
    server.serve("/raw.txt", b"aa\nbb\n")
    steps = {**world.steps, "cut": StepKind(cut)}
    return world._replace(recipe=load_recipe(world.root / "two.yaml"), steps=steps)


def test_what_is_served_nowhere_is_made_from_its_origins(two_ways, server):
    result = run(two_ways, mirror=None)
    assert result.fetched == ["raw.txt"]
    assert result.ran == two_ways.calls == ["cut", "join", "upper"]
    assert (two_ways.out / "upper.txt").read_text() == "AA\nBB\n"
    locked = json.loads((two_ways.out / LOCK_FILE).read_text())["sources"]["raw.txt"]["sha256"]
    assert locked == hashlib.sha256(b"aa\nbb\n").hexdigest()  # a sum that the recipe does not know
    server.requests.clear()
    assert run(two_ways, mirror=None).ran == []
    assert server.requests == []


def test_a_mirror_brings_what_it_holds_ready(two_ways, server):
    assert run(two_ways).ran == ["join", "upper"]
    assert run(two_ways, mirror=None).ran == []  # and is not needed again
    assert server.requests == []


def test_a_locked_sum_is_checked_when_the_file_is_fetched_again(two_ways, server):
    run(two_ways, mirror=None)
    (two_ways.out / "raw.txt").unlink()
    server.serve("/raw.txt", b"cc\ndd\n")
    with pytest.raises(DataError, match="sha256"):
        run(two_ways, mirror=None)


@pytest.mark.parametrize(
    ("old", "new"), [("[a.txt, deep/b.txt]}}", "[a.txt]}}"), ("url: 'URL/raw.txt'", "mirror: raw.txt")]
)
def test_origins_that_do_not_make_everything_are_refused(world, old, new):
    (world.root / "two.yaml").write_text(RECIPE + ORIGINS.replace(old, new))
    with pytest.raises(ConfigError, match="without a mirror there is no"):
        load_recipe(world.root / "two.yaml")


KILLED = """
import os, sys
from pathlib import Path
from seqexp.recipes.runner import StepKind, StepResult, prepare
from seqexp.recipes.schema import load_recipe

def join(folder, inputs, output):
    (folder / output).write_text("aa\\nbb\\n")
    return StepResult((output,))

def upper(folder, source, output):
    (folder / output).write_text("half")
    os._exit(9)

prepare(load_recipe(sys.argv[1]), sys.argv[2], {"join": StepKind(join), "upper": StepKind(upper)}, sys.argv[3])
"""


def test_a_killed_process_leaves_work_that_is_taken_up(world):
    command = [sys.executable, "-c", KILLED, str(world.root / "recipe.yaml"), str(world.out), str(world.mirror)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 9
    assert (world.out / "upper.txt").read_text() == "half"
    assert not (world.out / "dataset.yaml").exists()
    result = run(world)
    assert result.fetched == []
    assert world.calls == ["upper"]
    assert (world.out / "upper.txt").read_text() == "AA\nBB\n"
