"""Run by two processes: train, score and predict the tiny network; the first process writes what came out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from seqexp.core.classes import allow_classes
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run, write_predictions
from seqexp.training.processes import is_first_process
from seqexp.training.run import Run

DDP = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.accelerator=cpu"]
ROWS = ["--data.init_args.num_rows=91", "--data.init_args.batch_size=4"]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run_fit(folder / "run", [str(Path(__file__).with_name("tiny.yaml"))], [*DDP, *ROWS, "--trainer.max_epochs=1"])
    with allow_classes("tiny_run"):
        run = Run.open(folder / "run", overrides=DDP)
    frame, scores = predict_run(run), run.score("test")
    if is_first_process():
        write_predictions(frame, folder / "two.tsv")
        (folder / "scores.json").write_text(json.dumps(scores))
