"""`seqexp fit --dataset FILE`: any data set, whatever tracks, contacts and covariates it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqexp.api.generic import asked_for, window_flags
from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml, load_yaml
from tests.support.tiny_slides import write_tiny_slides

FEW = (
    *("--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"),
    *("--trainer.limit_val_batches=1", "--trainer.num_sanity_val_steps=0", "--run.progress=none"),
)
KINDS = {
    "no tracks": {"tracks": {}, "covariates": []},
    "one track": {"tracks": {"ATAC": "atac.bw"}, "covariates": []},
    "two tracks and a covariate": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_data_set_is_trained_on(
    kind: str, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {**load_yaml(tiny_dataset), **KINDS[kind], "name": "my data"}
    dump_yaml(content, tiny_dataset)
    monkeypatch.chdir(tiny_dataset.parent)
    assert main(["fit", "--dataset", str(tiny_dataset), "--window-bp", "500", "--finish", "false", *FEW]) == 0
    told = capsys.readouterr().out
    assert "windows of 512 bp: 256 upstream of the TSS, 256 from it on; 500 is no multiple of bins of 32 bp" in told
    written = load_yaml(tiny_dataset.parent / "runs" / "my_data" / "config.yaml")
    parts = written["model"]["network"]["init_args"]
    assert parts["selector"]["init_args"]["num_tracks"] == len(content["tracks"])
    assert parts["signal_stem"]["init_args"]["num_tracks"] == len(content["tracks"])
    assert parts["head"]["init_args"]["num_covariates"] == len(content["covariates"])


def test_a_run_without_tracks_gets_its_report(tiny_dataset: Path, tmp_path: Path) -> None:
    dump_yaml({**load_yaml(tiny_dataset), "tracks": {}, "peaks": {}}, tiny_dataset)
    run = tmp_path / "run"
    assert main(["fit", "--dataset", str(tiny_dataset.parent), "--window-bp", "512", "--run-dir", str(run), *FEW]) == 0
    assert (run / "report.html").is_file()


def test_contacts_are_read_where_there_are_any(tiny_dataset: Path) -> None:
    (tiny_dataset.parent / "c.gz").write_bytes(b"")
    contacts = {"paths": {"chr1": "c.gz"}, "bin_bp": 5000}
    dump_yaml({**load_yaml(tiny_dataset), "contacts": contacts}, tiny_dataset)
    assert "--data.init_args.contacts=true" in asked_for([], tiny_dataset).flags


def test_windows_are_a_multiple_of_all_bins_of_the_configs() -> None:
    flags, note = window_flags(["dna/yeast.yaml"], 2000)
    assert flags == ["--data.init_args.upstream_bp=996", "--data.init_args.downstream_bp=1008"]
    assert note.startswith("windows of 2,004 bp: 996 upstream of the TSS, 1,008 from it on; 2,000 is no multiple")
    assert window_flags(["dna/generic.yaml"], 16_384)[1].endswith("8,192 from it on")
    with pytest.raises(ConfigError, match="no windows"):
        window_flags(["histology/nsl.yaml"], 1000)
    with pytest.raises(ConfigError, match="window of 0 bp"):
        window_flags(["dna/generic.yaml"], 0)


def test_slides_take_the_config_of_their_wing_and_a_split(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    path = write_tiny_slides(tmp_path / "slides")
    with pytest.raises(ConfigError, match="splits") as caught:
        asked_for([], path)
    assert "--data.init_args.split=" in (caught.value.fix or "")
    asked = asked_for([], path.parent, flags=["--data.init_args.split=fixed"])
    assert asked.configs == ["histology/mclstexp.yaml"]
    content = load_yaml(path)
    dump_yaml({**content, "splits": {"fixed": content["splits"]["fixed"]}}, path)
    assert asked_for([], path).flags == [f"--data.init_args.dataset={path}", "--data.init_args.split=fixed"]
    run = tmp_path / "run"
    colour = "--data.init_args.features=colour"  # the quickest
    assert main(["fit", "--dataset", str(path), "--run-dir", str(run), "--finish", "false", colour, *FEW]) == 0
    sizes = load_yaml(run / "config.yaml")["model"]["network"]["init_args"]
    assert sizes["num_genes"] == 10
    assert sizes["num_features"] > 0


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file") as caught:
        asked_for([], tmp_path / "moved" / "dataset.yaml")
    assert "--data.init_args.dataset=PATH" in (caught.value.fix or "")
    own = asked_for(["dna/yeast.yaml"], tmp_path / "d", flags=["--model.lr=0.1"])
    assert (own.configs, own.name) == (["dna/yeast.yaml"], "yeast")
    assert own.flags == [f"--data.init_args.dataset={tmp_path / 'd'}", "--model.lr=0.1"]
    assert asked_for([], tmp_path / "d", keeps_config=True).configs == []
