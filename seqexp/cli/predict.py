"""`seqexp predict`: what a run says of a data set, or of any interval, gene or sequence."""

from __future__ import annotations

import argparse
from pathlib import Path

from seqexp.core.classes import add_allow_classes
from seqexp.core.errors import ConfigError

_DESCRIPTION = """Predict with a trained run.

Without --bed, --genes and --sequences: all labelled rows of its data set, or of another one, as a table.
With one of them: anything, without expression and splits, into a folder."""
_EPILOG = """where the window lies:
  --bed        an interval as long as the window is the window, read along its strand; of any other its first base
               (5' end), or its centre where it has no strand, takes the place of the TSS
  --genes      round the TSS of each gene
  --sequences  every record by itself; one of another length than the window is cut, or filled with N, evenly at both
               ends, or so that base --tss-offset-bp is the TSS

genome and tracks are those of the run's data set (--dataset says where that lies now), unless --fasta gives another
genome and --tracks NAME=FILE its tracks. Tracks that nobody gives are an error, or read as missing values by a run
whose training data said `missing: nan`.

files in OUT: predictions.tsv (column seen: was it trained on), and of a network that selects masks.npz, mask.bedGraph,
mask.bw, elements.bed and its kin; with --samples samples.npz. Broken off, the same command goes on where it was.

examples:
  seqexp predict --run runs/yeast --bed regions.bed --out predicted
  seqexp predict --run runs/yeast --genes YAL038W YGR192C --out predicted
  seqexp predict --run runs/yeast_dna --fasta other.fa --genes other.gff3 --out predicted
  seqexp predict --run runs/yeast_dna --sequences designs.fa --tss-offset-bp 500 --out predicted
  seqexp predict --run runs/tissue --dataset other/slides.yaml --output spots.tsv

Other flags override single settings of the data, for example --data.init_args.num_workers 4."""
_OF_WINDOWS = ("fasta", "tracks", "tss_offset_bp", "out", "samples", "budget_fraction", "overwrite")


def main(argv: list[str]) -> int:
    """Predict, and write what was predicted."""
    arguments, overrides = _parser().parse_known_args(argv)
    if arguments.dataset is not None:
        overrides = [f"--data.init_args.dataset={arguments.dataset}", *overrides]
    if arguments.bed is None and arguments.genes is None and arguments.sequences is None:
        return _predict_dataset(arguments, overrides)
    return _predict_windows(arguments, overrides)


def _predict_dataset(arguments: argparse.Namespace, overrides: list[str]) -> int:
    idle = [f"--{name.replace('_', '-')}" for name in _OF_WINDOWS if getattr(arguments, name) not in (None, False)]
    if idle:
        raise ConfigError(
            f"{', '.join(idle)} would have no effect: all rows of a data set are predicted",
            expected="one of --bed, --genes and --sequences beside it",
        )

    from seqexp.training.predict import predict_run, predictions_path, write_predictions
    from seqexp.training.processes import is_first_process
    from seqexp.training.run import Run

    run = Run.open(arguments.run_dir, arguments.checkpoint, overrides)
    output = predictions_path(run, arguments.output)
    frame = predict_run(run)
    if is_first_process():
        write_predictions(frame, output)
        print(f"wrote {len(frame)} predictions: {output}")
    return 0


def _predict_windows(arguments: argparse.Namespace, overrides: list[str]) -> int:
    if arguments.out is None or arguments.output is not None:
        raise ConfigError("windows are predicted into a folder of files", expected="--out FOLDER, and no --output")

    from seqexp.api.predict import Output, Request, predict_anything

    request = Request(
        intervals=arguments.bed,
        genes=None if arguments.genes is None else _genes(arguments.genes),
        sequences=arguments.sequences,
        fasta=arguments.fasta,
        tracks=dict(map(_track, arguments.tracks or ())),
        tss_offset_bp=arguments.tss_offset_bp,
    )
    fraction = 0.1 if arguments.budget_fraction is None else arguments.budget_fraction
    output = Output(arguments.out, arguments.samples or 0, fraction, arguments.overwrite, is_shown=not arguments.quiet)
    lines = predict_anything(arguments.run_dir, request, output, checkpoint=arguments.checkpoint, overrides=overrides)
    for line in lines:
        print(f"wrote {line}")
    return 0


def _genes(words: list[str]) -> Path | list[str]:
    """A file, where one word names one or looks like one; else ids, which commas may part."""
    if len(words) == 1 and (Path(words[0]).is_file() or "/" in words[0] or _looks_like_a_file(words[0])):
        return Path(words[0])
    return [name for word in words for name in word.split(",") if name]


def _looks_like_a_file(name: str) -> bool:
    from seqexp.dna.genome.gene_files import SUFFIXES

    return name.lower().removesuffix(".gz").endswith(SUFFIXES)


def _track(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise ConfigError(f"--tracks {text!r}", expected="NAME=FILE, such as ATAC=atac.bw")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp predict",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_allow_classes(parser)
    add = parser.add_argument
    add("--run", "--run-dir", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of seqexp fit")
    add("--checkpoint", default="best", help="best, last or a file (default: best)")
    add("--dataset", type=Path, help="dataset.yaml or slides.yaml (default: that of the run)")
    add(
        "--output",
        type=Path,
        help="TSV of a whole data set (default: predictions-DATA-CHECKPOINT.tsv in the run folder; no file there is "
        "replaced)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bed", type=Path, metavar="FILE", help="intervals; their names become the ids")
    what.add_argument("--genes", nargs="+", metavar="FILE|ID", help="a GTF, GFF3, BED or table; or ids or names")
    what.add_argument("--sequences", type=Path, metavar="FASTA", help="records by themselves")
    add("--fasta", type=Path, metavar="FILE", help="another genome, which --bed or --genes lie on")
    add("--tracks", nargs="+", metavar="NAME=FILE", help="bigWigs in place of those of the data set")
    add("--tss-offset-bp", type=int, metavar="N", help="base of every record, from 0, that is the TSS")
    add("--out", type=Path, metavar="OUT", help="folder for the files of --bed, --genes and --sequences")
    add("--samples", type=int, metavar="N", help="draws of a network that predicts a distribution")
    add("--budget-fraction", type=float, metavar="F", help="share of base pairs kept as elements (default: 0.1)")
    add("--overwrite", action="store_true", help="replace predictions in OUT")
    add("--quiet", action="store_true", help="no progress bar")
    return parser
