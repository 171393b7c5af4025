"""Every way a dataset can be wrong ends `seqexp fit` in one clear message, exit status 2 and no run folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from Bio import bgzf

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml


def edit_genes(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = pd.read_csv(folder / "genes.tsv", sep="\t")
        change(table).to_csv(folder / "genes.tsv", sep="\t", index=False)

    return edit


def edit_yaml(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / "dataset.yaml").read_text()
        assert old in text
        (folder / "dataset.yaml").write_text(text.replace(old, new))

    return edit


def rename_chromosomes(folder: Path) -> None:
    text = (folder / "genome.fa").read_text()
    (folder / "genome.fa").write_text(re.sub(r">chr(\d)", r">scaffold_\1", text))


def shorten_fasta(folder: Path) -> None:
    lines = (folder / "genome.fa").read_text().splitlines()
    second = next(i for i, line in enumerate(lines) if line == ">chr2")
    (folder / "genome.fa").write_text("\n".join(lines[: second - 100] + lines[second:]) + "\n")


def truncate_track(folder: Path) -> None:
    content = (folder / "atac.bw").read_bytes()
    (folder / "atac.bw").write_bytes(content[: len(content) // 2])


def corrupt_bgzip(folder: Path) -> None:
    with bgzf.BgzfWriter(str(folder / "genome.fa.gz")) as handle:
        handle.write((folder / "genome.fa").read_bytes())
    content = bytearray((folder / "genome.fa.gz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    (folder / "genome.fa.gz").write_bytes(bytes(content))
    edit_yaml("fasta: genome.fa", "fasta: genome.fa.gz")(folder)


def empty_track(folder: Path) -> None:
    with pyBigWig.open(str(folder / "atac.bw"), "w") as handle:
        handle.addHeader([("scaffold_9", 1000)])
        handle.addEntries(["scaffold_9"], [0], ends=[10], values=[1.0])


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "names of FASTA and genes": (rename_chromosomes, "chr"),
    "names of FASTA and track": (empty_track, "scaffold_9|atac"),
    "FASTA shorter than track": (shorten_fasta, "chr1"),
    "truncated bigWig": (truncate_track, "atac.bw"),
    "corrupt bgzip": (corrupt_bgzip, "genome.fa.gz"),
    "no expression column": (edit_yaml("column: TPM", "column: FPKM"), "FPKM"),
    "negative TPM": (edit_genes(lambda t: t.assign(TPM=t["TPM"].where(t.index != 5, -3.0))), "negative|-3"),
    "all NaN": (edit_genes(lambda t: t.assign(TPM=np.nan)), "expression"),
    "TSS outside": (edit_genes(lambda t: t.assign(tss=t["tss"].where(t.index != 7, 10**8))), "G007|100000000"),
    "bad strand": (edit_genes(lambda t: t.assign(strand=t["strand"].where(t.index != 7, "x"))), "strand"),
    "overlapping splits": (edit_yaml("test: [chr6]", "test: [chr5]"), "chr5"),
    "empty split": (edit_yaml("test: [chr6]", "test: [chr9]"), "chr9|test"),
    "unknown dataset key": (edit_yaml("missing: zero", "mising: zero"), "missing"),
    "duplicate dataset key": (edit_yaml("missing: zero", "missing: zero\nmissing: nan"), "written twice"),
    "missing FASTA": (edit_yaml("fasta: genome.fa", "fasta: hg38.fa"), "hg38.fa"),
}


def write_config(folder: Path, dataset: Path, **extra: object) -> Path:
    data = {"dataset": str(dataset), "upstream_bp": 512, "downstream_bp": 512, "signal_bin_bp": 32}
    config: dict[str, object] = {
        "model": {"network": {"class_path": "tiny_selector.TinySelector"}},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
        **extra,
    }
    dump_yaml(config, folder / "config.yaml")
    return folder / "config.yaml"


@pytest.mark.parametrize("name", BREAKS)
def test_one_clear_message_and_nothing_written(name, tiny_dataset, tmp_path, capsys):
    breaking, word = BREAKS[name]
    for index in tiny_dataset.parent.glob("*.fai"):
        index.unlink()
    breaking(tiny_dataset.parent)
    config = write_config(tmp_path, tiny_dataset)
    run_dir = tmp_path / "run"
    assert main(["fit", "--config", str(config), "--run-dir", str(run_dir)]) == 2
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    assert "Traceback" not in message
    assert re.search(word, message), message
    assert not run_dir.exists()


def test_nan_and_duplicate_genes_are_dropped_and_counted(tiny_dataset, capsys):
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[3, "TPM"] = np.nan
        return pd.concat([table, table.iloc[[10]]])

    edit_genes(change)(tiny_dataset.parent)
    assert main(["data", "check", str(tiny_dataset), "--upstream-bp", "512", "--downstream-bp", "512"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"duplicate", shown)
    assert re.search(r"no expression|not a number|TPM", shown), shown


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({"trainer": {"max_epoch": 3}}, "max_epoch"),
        ({"modle": {"lr": 1}}, "modle"),
        ({"model": {"network": {"class_path": "tiny_selector.NoSuchNet"}}}, "NoSuchNet"),
        ({"model": {"network": {"class_path": "tiny_selector.TinySelector"}, "lr": "fast"}}, "lr|fast"),
    ],
)
def test_bad_settings(extra, word, tiny_dataset, tmp_path, capsys):
    config = write_config(tmp_path, tiny_dataset, **extra)
    assert main(["fit", "--config", str(config), "--run-dir", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert re.search(word, message)
    assert "Traceback" not in message
    assert not (tmp_path / "run").exists()
