"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "support"))

from tiny_genome import write_tiny_dataset

from seqexp.core.classes import allow_classes

# One thread, as in the processes that tests start: sums are split by threads, and their last digits with them.
torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """What modules and thousands of tests hold stays: without it the garbage collector walks it over and over."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Whole stretches of files to each process, the rest to who is idle: what a module trains is trained once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def _allowed_test_networks() -> Iterator[None]:
    """Commands and run folders may name the networks that tests are made with."""
    with allow_classes("tiny_run", "tiny_dna", "tiny_selector", "small_seq2exp"):
        yield


@pytest.fixture(scope="session")
def shared_tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the ``dataset.yaml`` of the tiny dataset, one folder for all tests: read only."""
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_dataset(shared_tiny_dataset: Path, tmp_path: Path) -> Path:
    """Path of a ``dataset.yaml`` in a folder of its own, which the test may change."""
    shutil.copytree(shared_tiny_dataset.parent, tmp_path / "tiny")
    return tmp_path / "tiny" / "dataset.yaml"
