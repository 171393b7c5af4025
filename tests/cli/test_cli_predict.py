"""What `predict` and `report` must not do: write over what is read or kept, or leave an option out in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.evaluation.settings import FinishSettings, PeakSource
from seqexp.training.fit import run_fit

CONFIG = {
    "model": {
        "network": {
            "class_path": "seqexp.dna.models.baselines.ConvExpression",
            "init_args": {"width": 8, "bin_bp": 32, "dilations": [1]},
        }
    },
    "data": {
        "class_path": "seqexp.dna.loaders.data.SequenceData",
        "init_args": {"upstream_bp": 256, "downstream_bp": 256, "signal_bin_bp": 32},
    },
    "trainer": {"accelerator": "cpu", "max_epochs": 1},
    "run": {"progress": "none"},
}


@pytest.fixture(scope="module")
def made(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run of a network that selects nothing."""
    folder = tmp_path_factory.mktemp("predict")
    shutil.copytree(shared_tiny_dataset.parent, folder / "data")
    dump_yaml(CONFIG, folder / "c.yaml")
    run_fit(folder / "run", [str(folder / "c.yaml")], [f"--data.init_args.dataset={folder / 'data'}"])
    (folder / "run" / "predictions.tsv").write_text("of the run\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_default_is_a_file_of_its_own(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(made)
    assert main(["predict", "--run-dir", str(made / "run")]) == 0
    written = made / "run" / "predictions-tiny-best.tsv"
    assert f"wrote 60 predictions: {written}" in capsys.readouterr().out
    assert main(["predict", "--run-dir", str(made / "run")]) == 2
    assert "the file is there already" in capsys.readouterr().err
    assert main(["predict", "--run-dir", str(made / "run"), "--checkpoint", "last"]) == 0
    for path in (made / "run").glob("predictions-*"):
        path.unlink()
    assert contents(made) == before


@pytest.mark.parametrize(
    "name",
    [
        *("data/genes.tsv", "data/genome.fa", "data/atac.bw", "data/dataset.yaml", "data/blacklist.bed", "data"),
        *("run/predictions.tsv", "run/config.yaml", "run/checkpoints/best.ckpt", "link.tsv", "data/../data/genes.tsv"),
    ],
)
def test_nothing_that_is_read_or_kept_is_written_over(
    made: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = made / "link.tsv"
    link.unlink(missing_ok=True)
    link.symlink_to(made / "data" / "genes.tsv")
    before = contents(made)
    assert main(["predict", "--run-dir", str(made / "run"), "--output", str(made / name)]) == 2
    told = capsys.readouterr().err
    assert told.count("error: ") == 1
    assert "Traceback" not in told
    assert contents(made) == before


def test_a_file_elsewhere_may_be_written_again(made: Path, tmp_path: Path) -> None:
    arguments = ["predict", "--run-dir", str(made / "run"), "--output", str(tmp_path / "p.tsv")]
    assert [main(arguments), main(arguments)] == [0, 0]


@pytest.mark.parametrize(
    ("options", "dropped"),
    [
        (["--budget-fraction", "0.1"], "--budget-fraction"),
        (["--track", "ATAC"], "--track"),
        (["--peaks", "peaks.bed"], "--peaks"),
        (["--genes", "gene3", "--track", "ATAC"], "--track, --genes"),
    ],
)
def test_options_about_elements_without_elements(
    made: Path, options: list[str], dropped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(made)
    assert main(["report", "--run-dir", str(made / "run"), *options]) == 2
    assert f"{dropped} would have no effect: ConvExpression selects no elements" in capsys.readouterr().err
    assert contents(made) == before


def test_settings_of_a_report_that_cannot_all_count() -> None:
    with pytest.raises(ConfigError, match="peaks from path and track"):
        PeakSource(path=Path("a.bed"), track="ATAC")
    with pytest.raises(ConfigError, match="budget_fraction 2"):
        FinishSettings(budget_fraction=2)
    with pytest.raises(ConfigError, match="several control runs are named run"):
        FinishSettings(beside=(Path("a/run"), Path("b/run")))
    with pytest.raises(SystemExit):
        main(["report", "--run-dir", "r", "--track", "a", "--peaks", "b"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transform": "log3p1"}, "unknown transform 'log3p1'"),
        ({"transform": "standardized"}, "unknown transform"),
        ({"expression": {"column": "half_life", "unit": "log2 fold change", "signed": True}}, "cannot be transformed"),
    ],
)
def test_check_refuses_the_targets_that_fit_refuses(
    tiny_dataset: Path, tmp_path: Path, changes: dict, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dump_yaml({**load_yaml(tiny_dataset), "covariates": [], **changes}, tiny_dataset)
    assert main(["data", "check", str(tiny_dataset)]) == 1
    assert message in capsys.readouterr().out
    dump_yaml(CONFIG, tmp_path / "c.yaml")
    flags = ["--run-dir", str(tmp_path / "run"), f"--data.init_args.dataset={tiny_dataset}"]
    assert main(["fit", "-c", str(tmp_path / "c.yaml"), *flags]) == 2
    assert message in capsys.readouterr().err


def test_check_shows_the_target_and_refuses_windows_without_tss(
    shared_tiny_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(shared_tiny_dataset)]) == 0
    assert "log2p1: log2(TPM + 1)" in capsys.readouterr().out
    assert main(["data", "check", str(shared_tiny_dataset), "--downstream-bp", "0"]) == 2
    assert "downstream_bp: 0" in capsys.readouterr().err
