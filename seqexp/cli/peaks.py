"""`seqexp peaks`: peaks called by MACS3, or read from a file, as one narrowPeak."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """examples:
  seqexp peaks --alignments reads.bam --genome-bp 2700000000 --out peaks.narrowPeak
  seqexp peaks --alignments cuts.bed.gz --shift-bp -75 --extsize-bp 150 --genome-bp 2700000000 --out peaks.narrowPeak
  seqexp peaks --track atac.bw --target-bp 1200000 --out peaks.narrowPeak
  seqexp peaks --narrowpeak ENCFF000ABC.bed.gz --out peaks.narrowPeak

The first line of OUT says how its peaks were made. With --alignments they are tested against the local background;
with --track they are what lies above a threshold, which is no test.
"""
# Options by the source they belong to; one given beside another source is refused.
_OWN = {
    "track": ("cutoff", "target_bp", "min_length_bp", "max_gap_bp"),
    "alignments": ("genome_bp", "format", "q_value", "control", "use_model", "shift_bp", "extsize_bp"),
}


def main(argv: list[str]) -> int:
    """Call or read peaks and write them."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for source, names in _OWN.items():
        given = ["--" + name.replace("_", "-") for name in names if getattr(arguments, name) not in (None, False)]
        if given and getattr(arguments, source) is None:
            parser.error(f"{' and '.join(given)} belong{'s' * (len(given) == 1)} to --{source}")
    if arguments.limit_minutes is not None and arguments.narrowpeak:
        parser.error("--limit-minutes is for MACS3, which --narrowpeak does not run")
    if arguments.alignments and arguments.genome_bp is None:
        parser.error("--alignments needs --genome-bp")
    peaks = _peaks(arguments)
    total_bp = int((peaks["end"] - peaks["start"]).sum())
    print(f"{len(peaks)} peaks on {peaks['chrom'].nunique()} chromosomes, {total_bp:,} bp")
    with open(arguments.out, encoding="utf-8") as handle:
        print("".join(line[2:] for line in handle if line.startswith("# ")), end="")
    print(f"wrote {arguments.out}")
    return 0


def _peaks(arguments: argparse.Namespace) -> pd.DataFrame:
    from seqexp.core.files import require_output
    from seqexp.dna.genome.peak_files import read_peak_file
    from seqexp.dna.peaks.bdgpeakcall import call_on_track
    from seqexp.dna.peaks.callpeak import call_on_alignments
    from seqexp.dna.peaks.tables import write_peaks

    require_output(arguments.out)
    if arguments.narrowpeak:
        mode = f"mode=read file={arguments.narrowpeak.name}"
        return write_peaks(read_peak_file(arguments.narrowpeak), arguments.out, mode)
    own = _OWN["alignments"] if arguments.alignments else _OWN["track"]
    given = {name: getattr(arguments, name) for name in (*own, "limit_minutes") if getattr(arguments, name) is not None}
    if arguments.alignments:
        if "format" in given:
            given["file_format"] = given.pop("format")
        return call_on_alignments(arguments.alignments, arguments.out, **given)
    return call_on_track(arguments.track, arguments.out, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp peaks",
        description="Call peaks with MACS3 on reads or on a signal track, or read existing ones.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--track", type=Path, help="bigWig or bedGraph, for macs3 bdgpeakcall")
    source.add_argument(
        "--alignments",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="BAM, SAM, BED, BEDPE or fragments, for macs3 callpeak; several are pooled",
    )
    source.add_argument("--narrowpeak", type=Path, help="existing peaks in any format, or BED")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="narrowPeak to write")
    parser.add_argument("--limit-minutes", type=float, help="stop MACS3 after so long (default: 120)")
    rule = parser.add_argument_group("with --track").add_mutually_exclusive_group()
    rule.add_argument("--cutoff", type=float, help="signal a peak must reach")
    rule.add_argument("--target-bp", type=int, help="or: the highest cutoff whose peaks hold at least this many")
    track = parser.add_argument_group("with --track, too")
    track.add_argument("--min-length-bp", type=int, help="drop shorter peaks (default: 100)")
    track.add_argument("--max-gap-bp", type=int, help="join peaks this close (default: 30)")
    reads = parser.add_argument_group("with --alignments")
    reads.add_argument("--genome-bp", type=int, help="mappable size of the genome")
    formats = ("AUTO", "BED", "BEDPE", "BAM", "BAMPE", "FRAG", "SAM")
    reads.add_argument("--format", choices=formats, help="of the alignments (default: AUTO, by their content)")
    reads.add_argument("--q-value", type=float, help="false discovery rate (default: 0.05)")
    reads.add_argument("--control", type=Path, help="control alignments of the same format")
    single = parser.add_argument_group("with --alignments of single reads (BAM, SAM, BED)")
    single.add_argument("--use-model", action="store_true", help="let MACS3 estimate the fragment length (ChIP-seq)")
    single.add_argument("--shift-bp", type=int, help="or move 5' ends (default: 0; cut sites: -75)")
    single.add_argument("--extsize-bp", type=int, help="and extend them to (default: 200; cut sites: 150)")
    return parser
