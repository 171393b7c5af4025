"""Two processes on the CPU: no row is lost, none counted twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

HELPERS = Path(__file__).parents[1] / "training" / "helpers"


def test_two_processes_train_score_and_predict_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """91 rows, 16 to validate and 15 to test: neither all rows nor the test rows divide by two."""
    monkeypatch.syspath_prepend(str(HELPERS))
    path = os.pathsep.join([str(HELPERS), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HELPERS / "two_processes.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    log = pd.read_csv(tmp_path / "run" / "logs" / "metrics.csv")
    assert log["val_num"].dropna().tolist() == [16]

    from seqexp.training.predict import predict_run
    from seqexp.training.run import Run

    run = Run.open(tmp_path / "run")
    alone, expected = predict_run(run), run.score("test")
    both = pd.read_csv(tmp_path / "two.tsv", sep="\t")
    assert len(both) == 91
    assert both["gene_id"].tolist() == alone["gene_id"].tolist()
    pd.testing.assert_series_equal(both["prediction"], alone["prediction"].astype(float), rtol=1e-5)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["test_num"] == 15
    assert scores["test_pearson"] == pytest.approx(expected["test_pearson"], abs=1e-5)
    assert scores["test_loss"] == pytest.approx(expected["test_loss"], rel=1e-5)
