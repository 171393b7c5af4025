"""`seqexp benchmark discovery` on a tiny simulated genome: what it writes, equal terms, going on, bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from seqexp.cli.main import main
from seqexp.dna.elements.bin_scores import BinScores

SPAN = 4096
RETRAINED = ("seqexp", "gradient x input", "MACS3 q < 0.05", "signal rule")  # one ranking of each kind


def small(name: str, folder: Path, **network: object) -> str:
    """A shipped config on windows of 4 kb and for two epochs, with other settings of its network."""
    window = {"upstream_bp": SPAN // 2, "downstream_bp": SPAN // 2, "batch_size": 4}
    content = {
        "base": [f"discovery/{name}"],
        "trainer": {"max_epochs": 2},
        "data": {"init_args": window},
        **({"model": {"network": {"init_args": network}}} if network else {}),
    }
    path = folder / "_".join([*map(str, network.values()), name])
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Plan and output folder of a finished benchmark."""
    folder = tmp_path_factory.mktemp("discovery")
    size = {"num_genes": 36, "num_chromosomes": 6, "mean_elements": 1.2, "span_bp": 2 * SPAN}
    reader = small("simulated_reader.yaml", folder)
    plan = {
        "name": "tiny",
        "worlds": {"clean": {"simulate": size}, "corrupted": {"simulate": {**size, "missing_signal": 0.5}}},
        "arms": {
            "seqexp": small("simulated_seqexp.yaml", folder),
            "soft": {"config": small("simulated_published.yaml", folder), "worlds": ["clean"], "seeds": [0]},
            "hard": {
                "config": small("simulated_published.yaml", folder, variant="hard"),
                "worlds": ["clean"],
                "seeds": [0],
            },
            "gradient x input": {"config": reader, "score": "gradient", "worlds": ["clean"], "seeds": [0]},
        },
        "reader": reader,
        "retrain_worlds": ["clean"],
        "retrain": list(RETRAINED),
        "budget": "truth",
        "seeds": [0, 1],
        "windows": 24,
        "sizes": [8],
        "q_values": [0.05],
        "curve": [0.05, 0.2],
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    assert main(["benchmark", "discovery", "--plan", str(path), "--out", str(folder / "out")]) == 0
    return path, folder / "out"


def test_every_ranking_is_scored_on_equal_terms(benchmark: tuple[Path, Path]) -> None:
    _, out = benchmark
    rows = pd.read_csv(out / "rankings.tsv", sep="\t")
    clean = rows[rows["world"] == "clean"]
    assert set(clean["arm"]) == {
        *("seqexp", "soft", "hard", "gradient x input", "MACS3 q < 0.05", "random", "distance", "signal rule"),
        *("top ATAC", "top H3K27ac", "activity x contact"),
    }
    assert set(rows[rows["world"] == "corrupted"]["arm"]) >= {"seqexp", "signal rule", "random"}
    metrics = json.loads((out / "metrics.json").read_text())
    budget = metrics["clean"]["budget"]
    assert budget == pytest.approx(metrics["clean"]["prevalence"])
    filled = clean[~clean["arm"].str.startswith("MACS3")]
    assert (filled["kept"] <= budget + 1e-9).all()
    assert filled["kept"].std() < 0.1 * budget  # windows at chromosome ends and ties aside
    assert clean[["auprc", "auroc", "precision", "recall"]].notna().all().all()
    assert ((clean["auprc_low"] <= clean["auprc"]) & (clean["auprc"] <= clean["auprc_high"])).all()
    assert clean[clean["arm"] == "seqexp"]["jaccard"].between(0, 1).all()
    first = clean.drop_duplicates("arm")
    assert set(first[first["retrain"].notna()]["arm"]) == set(RETRAINED)
    wanted = ["sufficiency", "comprehensiveness", "shift_kept", "shift_removed", "curve_0.05", "curve_0.2"]
    assert np.isfinite(first[wanted].to_numpy(float)).all()
    assert pd.read_csv(out / "sizes.tsv", sep="\t")["genes"].tolist() == [8]
    saved = BinScores.load(out / "scores" / "clean" / "seqexp.npz")
    assert set(saved.splits or ()) == {"test"}
    assert saved.values.std() > 0
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 6
    assert "MACS3 q &lt; 0.05" in page or "MACS3 q < 0.05" in page


def test_goes_on_without_training_twice(benchmark: tuple[Path, Path]) -> None:
    path, out = benchmark
    best = out / "clean" / "arms" / "seqexp" / "seed0" / "checkpoints" / "best.ckpt"
    before = os.stat(best).st_mtime_ns
    first = pd.read_csv(out / "rankings.tsv", sep="\t")
    broken = out / "corrupted" / "arms" / "seqexp" / "seed1" / "run_record.json"
    record = json.loads(broken.read_text())
    broken.write_text(json.dumps(record | {"status": "running"}))  # as a run that was broken off leaves it
    assert main(["benchmark", "discovery", "--plan", str(path), "--out", str(out)]) == 0
    assert os.stat(best).st_mtime_ns == before
    assert json.loads(broken.read_text())["status"] == "finished"
    second = pd.read_csv(out / "rankings.tsv", sep="\t")
    pd.testing.assert_frame_equal(first, second)  # the same seeds give the same figures, trained again or read


def test_finished_runs_of_other_settings_are_not_taken_for_these(
    benchmark: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = benchmark
    arguments = ["benchmark", "discovery", "--plan", str(path), "--out", str(out)]
    assert main([*arguments, "--minutes", "5"]) == 2
    message = capsys.readouterr().err
    assert "other settings" in message
    assert "seqexp" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {"seqexp": "nowhere.yaml"}}, "nowhere.yaml"),
        ({"worlds": {"clean": {"simulate": {"num_genes": 3}}}}, "num_genes"),
        ({"worlds": {"clean": {"dataset": "nowhere"}}}, "nowhere"),
        ({"windowss": 3}, "windowss"),
    ],
)
def test_bad_plans_are_one_message(
    benchmark: tuple[Path, Path],
    change: dict[str, object],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = yaml.safe_load(benchmark[0].read_text()) | change
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    assert main(["benchmark", "discovery", "--plan", str(path), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
