"""A command that is killed at any moment can be started again, and ends bit for bit as one that was left alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from simulated_tissue import small_tissue

from seqexp.core.yaml import dump_yaml

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "training" / "helpers"
TINY = HELPERS / "tiny.yaml"
ALLOWED = ["--allow-classes", "tiny_run", "--allow-classes", "tiny_selector"]


class Server:
    """Commands in children that can be killed; see ``tests/support/fork_server.py``."""

    def __init__(self, folder: Path) -> None:
        paths = os.pathsep.join(map(str, (ROOT, HELPERS, ROOT / "tests" / "support")))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(ROOT / "tests" / "support" / "fork_server.py"), "tiny_run", "tiny_selector"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder)
        self.log = folder / "log.txt"
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, argv: list[str], kill_after_s: float | None = None) -> tuple[int, float]:
        """Exit status, and seconds that it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"argv": argv, "log": str(self.log), "kill_after_s": kill_after_s}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["seconds"]

    def close(self) -> None:
        """End it."""
        self._process.communicate()  # ends its input, and closes both pipes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    yield one
    one.close()


@dataclass
class Case:
    """A command that writes a folder, how it is begun, how it is gone on with, and what the folder holds at the end."""

    start: Callable[[Path], list[str]]
    proceed: Callable[[Path], list[str]]
    content: Callable[[Path], dict[str, Any]]
    template: Path | None = None  # what lies in the folder before

    def fresh(self, folder: Path) -> Path:
        """The folder as it is before the command."""
        shutil.rmtree(folder, ignore_errors=True)
        if self.template is not None:
            shutil.copytree(self.template, folder)
        return folder


def bytes_of(folder: Path) -> dict[str, Any]:
    """Every file but logs and what names times or machines."""
    skipped = {"run_record.json", "log.txt"}
    files = [
        p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in skipped and "tensorboard" not in str(p)
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != ".seqexp.files"}


def without_times(folder: Path) -> dict[str, Any]:
    """A dataset folder: the lock file of the recipe and the index of the store hold times of files."""
    found = bytes_of(folder)
    return {name: re.sub(rb'"(modified|[mc]time)_ns": \d+', b"", content) for name, content in found.items()}


def trained(folder: Path) -> dict[str, Any]:
    """Weights and optimiser of both checkpoints, the log and the config of a run."""
    found = bytes_of(folder)
    status = json.loads((folder / "run_record.json").read_text())["status"]
    checkpoints = {}
    for name in ("best", "last"):
        del found[f"checkpoints/{name}.ckpt"]
        saved = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        weights = {key: value.numpy().tobytes() for key, value in saved["state_dict"].items()}
        checkpoints[name] = (saved["global_step"], weights, str(saved["optimizer_states"]))
    return {**found, "checkpoints": checkpoints, "status": status}


def reported(folder: Path) -> dict[str, Any]:
    """Files of a report; arrays by their values, because a zip names the time."""
    found = bytes_of(folder)
    if "masks.npz" in found:
        with np.load(folder / "masks.npz") as masks:
            found["masks.npz"] = {name: masks[name].tobytes() for name in masks.files}
    return found


def fit_case() -> Case:
    def start(folder: Path) -> list[str]:
        return ["fit", "--config", str(TINY), "--run-dir", str(folder), "--finish", "false", *ALLOWED]

    def proceed(folder: Path) -> list[str]:
        is_begun = (folder / "run_record.json").is_file()
        resume = ["fit", "--run-dir", str(folder), "--resume", "--finish", "false", *ALLOWED]
        return resume if is_begun else start(folder)

    return Case(start, proceed, trained)


def prepare_case(folder: Path) -> Case:
    size = {"num_genes": 24, "num_chromosomes": 6, "mean_elements": 1.2, "span_bp": 4096, "seed": 0}
    recipe = {
        "name": "tiny",
        "description": "simulated",
        "licence": "none",
        "steps": [{"use": "simulate", "with": size}],
    }
    dump_yaml(recipe, folder / "recipe.yaml")

    def command(out: Path) -> list[str]:
        return ["data", "prepare", str(folder / "recipe.yaml"), "--out", str(out), "--store"]

    return Case(command, command, without_times)


def features_case() -> Case:
    def command(folder: Path) -> list[str]:
        settings = ["--encoder", "resnet10t", "--allow-random-init", "--patch-px", "32"]
        return ["features", "--dataset", str(small_tissue()), *settings, "--cache-folder", str(folder)]

    return Case(command, command, bytes_of)


def report_case(dataset: Path, folder: Path, server: Server) -> Case:
    data = {"dataset": str(dataset), "upstream_bp": 1024, "downstream_bp": 1024, "signal_bin_bp": 32}
    config = {
        "model": {"network": {"class_path": "tiny_selector.TinySelector"}, "lr": 0.05},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(config, folder / "c.yaml")
    run = folder / "trained"
    fit = ["fit", "--config", str(folder / "c.yaml"), "--run-dir", str(run), "--finish", "false", *ALLOWED]
    assert server.run(fit)[0] == 0, server.log.read_text()

    def command(out: Path) -> list[str]:
        return ["report", "--run-dir", str(out), *ALLOWED]

    return Case(command, command, reported, template=run)


def kill_often(case: Case, server: Server, folder: Path, num: int, seed: int) -> None:
    """Kill a command ``num`` times at random moments, each time in a fresh folder, go on, compare."""
    place = folder / "out"  # one path for all, because some files name it
    whole: dict[str, Any] = {}
    for _ in range(2):  # the second time shows that it is the same every time, and how long it takes
        status, seconds = server.run(case.start(case.fresh(place)))
        assert status == 0, server.log.read_text()
        found = case.content(place)
        assert not whole or found == whole
        whole = found
    draws = np.random.default_rng(seed)
    killed = 0
    while killed < num:
        case.fresh(place)
        moment = float(draws.uniform(0, seconds))
        status, took = server.run(case.start(place), kill_after_s=moment)
        if status != -9:  # it had ended by then
            seconds = min(seconds, took)
            continue
        killed += 1
        status, _ = server.run(case.proceed(place))
        told = server.log.read_text()
        assert status == 0, f"killed after {moment:.3f} s of {seconds:.3f}: {told}"
        assert "Traceback" not in told
        found = case.content(place)
        assert found.keys() == whole.keys(), f"killed after {moment:.3f} s: {sorted(found.keys() ^ whole.keys())}"
        differing = [name for name in whole if found[name] != whole[name]]
        assert not differing, f"killed after {moment:.3f} s: {differing}"
        assert not [path for path in place.rglob("*") if ".part." in path.name or path.name == ".seqexp.lock"]
    print(f"killed {killed} times within {seconds:.2f} s")


def test_two_kills(server: Server, tmp_path: Path) -> None:
    kill_often(fit_case(), server, tmp_path, num=1, seed=1)
    kill_often(prepare_case(tmp_path), server, tmp_path, num=1, seed=2)


@pytest.mark.slow
def test_fit_is_killed_anywhere(server: Server, tmp_path: Path) -> None:
    kill_often(fit_case(), server, tmp_path, num=90, seed=3)


@pytest.mark.slow
def test_prepare_is_killed_anywhere(server: Server, tmp_path: Path) -> None:
    kill_often(prepare_case(tmp_path), server, tmp_path, num=50, seed=4)


@pytest.mark.slow
def test_features_are_killed_anywhere(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    kill_often(features_case(), server, tmp_path, num=30, seed=5)


@pytest.mark.slow
def test_a_report_is_killed_anywhere(server: Server, shared_tiny_dataset: Path, tmp_path: Path) -> None:
    kill_often(report_case(shared_tiny_dataset, tmp_path, server), server, tmp_path, num=30, seed=6)
