"""`seqexp peaks`: peaks called by MACS3, or read from a file, as one narrowPeak."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """examples:
  seqexp peaks --alignments reads.bam --genome-bp 2700000000 --out peaks.narrowPeak
  seqexp peaks --track atac.bw --target-bp 1200000 --out peaks.narrowPeak
  seqexp peaks --narrowpeak ENCFF000ABC.bed.gz --out peaks.narrowPeak

The first line of OUT says how its peaks were made.
"""


def main(argv: list[str]) -> int:
    """Call or read peaks and write them."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.alignments and arguments.genome_bp is None:
        parser.error("--alignments needs --genome-bp")
    if not arguments.track and (arguments.cutoff is not None or arguments.target_bp is not None):
        parser.error("--cutoff and --target-bp belong to --track")
    peaks = _peaks(arguments)
    total_bp = int((peaks["end"] - peaks["start"]).sum())
    print(f"{len(peaks)} peaks on {peaks['chrom'].nunique()} chromosomes, {total_bp:,} bp")
    print(f"wrote {arguments.out}")
    return 0


def _peaks(arguments: argparse.Namespace) -> pd.DataFrame:
    from seqexp.core.files import require_writable
    from seqexp.dna.elements.peaks import call_on_alignments, call_on_track, write_peaks
    from seqexp.dna.genome.regions import read_bed

    require_writable(arguments.out.parent)
    if arguments.narrowpeak:
        return write_peaks(read_bed(arguments.narrowpeak), arguments.out, f"mode=read file={arguments.narrowpeak.name}")
    if arguments.alignments:
        return call_on_alignments(
            arguments.alignments,
            arguments.out,
            arguments.genome_bp,
            arguments.format,
            arguments.q_value,
            arguments.control,
            arguments.use_model,
            arguments.shift_bp,
            arguments.extsize_bp,
        )
    return call_on_track(
        arguments.track,
        arguments.out,
        arguments.cutoff,
        arguments.target_bp,
        arguments.min_length_bp,
        arguments.max_gap_bp,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp peaks",
        description="Call peaks with MACS3 on reads or on a signal track, or read existing ones.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--track", type=Path, help="bigWig or bedGraph, for macs3 bdgpeakcall")
    source.add_argument("--alignments", type=Path, help="BAM, SAM, BED or BEDPE, for macs3 callpeak")
    source.add_argument("--narrowpeak", type=Path, help="existing narrowPeak or BED")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="narrowPeak to write")
    rule = parser.add_argument_group("with --track").add_mutually_exclusive_group()
    rule.add_argument("--cutoff", type=float, help="signal a peak must reach")
    rule.add_argument("--target-bp", type=int, help="or: the highest cutoff whose peaks hold at least this many")
    track = parser.add_argument_group("with --track, too")
    track.add_argument("--min-length-bp", type=int, default=100, help="drop shorter peaks (default: %(default)s)")
    track.add_argument("--max-gap-bp", type=int, default=30, help="join peaks this close (default: %(default)s)")
    reads = parser.add_argument_group("with --alignments")
    reads.add_argument("--genome-bp", type=int, help="mappable size of the genome")
    formats = ("AUTO", "BAM", "SAM", "BED", "BEDPE", "BAMPE")
    reads.add_argument("--format", choices=formats, default="AUTO", help="format of the alignments")
    reads.add_argument("--q-value", type=float, default=0.05, help="false discovery rate (default: %(default)s)")
    reads.add_argument("--control", type=Path, help="control alignments of the same format")
    reads.add_argument("--use-model", action="store_true", help="let MACS3 estimate the fragment length (ChIP-seq)")
    reads.add_argument(
        "--shift-bp", type=int, default=0, help="else move 5' ends of single reads (default: %(default)s)"
    )
    reads.add_argument("--extsize-bp", type=int, default=200, help="and extend them to (default: %(default)s)")
    return parser
