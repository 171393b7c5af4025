"""One tiny trained run of each kind, for all tests of the library."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from seqexp.core.yaml import dump_yaml
from seqexp.training.fit import run_fit

DATA = {"upstream_bp": 320, "downstream_bp": 192, "signal_bin_bp": 32}
SELECTOR = {
    "class_path": "seqexp.dna.models.seq2exp.Seq2Exp",
    "init_args": {
        "stem": {
            "class_path": "seqexp.dna.encoders.conv.SequenceStem",
            "init_args": {"width": 8, "bin_bp": 32, "kernel_bp": 32, "stride_bp": 32, "num_blocks": 0},
        },
        "encoder": {
            "class_path": "seqexp.dna.encoders.conv.ConvEncoder",
            "init_args": {"width": 8, "dilations": [1], "dropout": 0.0},
        },
        "selector": {
            "class_path": "seqexp.dna.selectors.selector.BetaSelector",
            "init_args": {"width": 8, "evidence": {"sequence": {"learns_signals": False}}},
        },
        "predictor": {
            "class_path": "seqexp.dna.encoders.conv.ConvEncoder",
            "init_args": {"width": 8, "dilations": [1], "dropout": 0.0},
        },
        "head": {
            "class_path": "seqexp.dna.heads.expression.ExpressionHead",
            "init_args": {"width": 8, "dropout": 0.0},
        },
    },
}
READER = {
    "class_path": "seqexp.dna.models.baselines.ConvExpression",
    "init_args": {"width": 8, "bin_bp": 32, "dilations": [1]},
}


def train(folder: Path, dataset: Path, network: dict, changes: tuple[str, str] = ("", ""), **data: object) -> Path:
    """A run in a folder with data of its own, which a test may move away."""
    shutil.copytree(dataset.parent, folder / "data")
    description = folder / "data" / "dataset.yaml"
    description.write_text(description.read_text().replace(*changes))
    content = {
        "model": {"network": network, "lr": 0.01},
        "data": {
            "class_path": "seqexp.dna.loaders.data.SequenceData",
            "init_args": {"dataset": str(folder / "data"), **DATA, **data},
        },
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(content, folder / "c.yaml")
    run_fit(folder / "run", [str(folder / "c.yaml")])
    return folder / "run"


@pytest.fixture(scope="session")
def touching(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that reads two tracks and Hi-C contacts."""
    source = tmp_path_factory.mktemp("contacts")
    shutil.copytree(shared_tiny_dataset.parent, source / "data")
    cells = [(i, j, 40 / (1 + j - i)) for i in range(80) for j in range(i, min(i + 6, 80))]
    text = "".join(f"{i * 500}\t{j * 500}\t{value:.3f}\n" for i, j, value in cells)
    (source / "data" / "c.gz").write_bytes(gzip.compress(text.encode()))
    paths = ", ".join(f"chr{number}: c.gz" for number in range(1, 7))
    told = f"contacts: {{paths: {{{paths}}}, bin_bp: 500, normalise: none}}\ntransform:"
    folder, changes = tmp_path_factory.mktemp("touching"), ("transform:", told)
    return train(folder, source / "data" / "dataset.yaml", READER, changes, contacts=True)


@pytest.fixture(scope="session")
def selecting(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network with a selector on two tracks."""
    return train(tmp_path_factory.mktemp("selecting"), shared_tiny_dataset, SELECTOR)


@pytest.fixture(scope="session")
def reading(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network that reads DNA alone and selects nothing."""
    return train(tmp_path_factory.mktemp("reading"), shared_tiny_dataset, READER, tracks=[])


@pytest.fixture(scope="session")
def lacking(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose training data had missing signals."""
    folder, changes = tmp_path_factory.mktemp("lacking"), ("missing: zero", "missing: nan")
    return train(folder, shared_tiny_dataset, READER, changes)


@pytest.fixture(scope="session")
def two_targets(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two expression columns, each with a scale of its own."""
    source = tmp_path_factory.mktemp("two")
    shutil.copytree(shared_tiny_dataset.parent, source / "data")
    genes = pd.read_csv(source / "data" / "genes.tsv", sep="\t")
    genes.assign(LIVER=genes["TPM"] ** 1.5 + 3).to_csv(source / "data" / "genes.tsv", sep="\t", index=False)
    changes = ("{column: TPM, unit: TPM}\ntransform: log2p1", "{columns: [TPM, LIVER]}\ntransform: log2p1-standardized")
    return train(tmp_path_factory.mktemp("two-targets"), source / "data" / "dataset.yaml", READER, changes)


@pytest.fixture
def moved(tmp_path: Path) -> Callable[[Path], tuple[Path, Path]]:
    """Copies a run away from its data set: the run, and where the data lie now."""

    def move(run: Path) -> tuple[Path, Path]:
        shutil.copytree(run, tmp_path / "run")
        shutil.copytree(run.parent / "data", tmp_path / "elsewhere")
        config = tmp_path / "run" / "config.yaml"
        config.write_text(config.read_text().replace(str(run.parent / "data"), str(tmp_path / "gone")))
        return tmp_path / "run", tmp_path / "elsewhere"

    return move
