"""Files of elements and tracks, line by line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyBigWig
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.elements.writers import write_bed, write_bedgraph, write_bigwig, write_narrowpeak
from seqexp.dna.genome.regions import read_bed

SIZES = {"chr2": 100, "chr1": 200}


def elements() -> pd.DataFrame:
    rows = [
        ("chr2", 90, 120, "g1", "-", 0.5, 20),  # cut at the end, summit moved in
        ("chr1", -10, 15, "g 2", "+", 1.2, 3),  # cut at the start, summit moved in, score held at 1000
        ("chr1", 50, 80, "g1", "-", float("nan"), 10),
        ("chr2", 100, 130, "g3", ".", 0.1, 0),  # wholly outside
    ]
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id", "strand", "score", "summit_bp"])


def test_bed_is_sorted_clipped_and_counted(tmp_path: Path) -> None:
    written = write_bed(elements(), tmp_path / "e.bed", SIZES)
    assert (tmp_path / "e.bed").read_text().splitlines() == [
        "chr1\t0\t15\tg_2\t1000\t+",
        "chr1\t50\t80\tg1\t0\t-",
        "chr2\t90\t100\tg1\t500\t-",
    ]
    assert (written.num, written.num_clipped, written.num_outside) == (3, 2, 1)
    assert str(written).endswith("e.bed (3 intervals, 2 cut at chromosome ends, 1 outside left out)")


def test_narrowpeak_has_summits_within_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "e.narrowPeak"
    write_narrowpeak(elements(), path, SIZES, track_name='my "best"', comments=["made by hand"])
    lines = path.read_text().splitlines()
    assert lines[0] == "# made by hand"
    assert lines[1] == "track type=narrowPeak name=\"my 'best'\" description=\"my 'best'\""
    assert lines[2].split("\t") == ["chr1", "0", "15", "g 2_1".replace(" ", "_"), "1000", "+", "1.2", "-1", "-1", "0"]
    assert lines[4].split("\t") == ["chr2", "90", "100", "g1_2", "500", "-", "0.5", "-1", "-1", "9"]
    assert read_bed(path)["summit_bp"].tolist() == [0, 10, 9]


def test_narrowpeak_takes_p_and_q_where_known(tmp_path: Path) -> None:
    known = elements().iloc[[2]].assign(score=0.25, p_value=3.5, q_value=1.25)
    write_narrowpeak(known, tmp_path / "e.narrowPeak", SIZES)
    assert (tmp_path / "e.narrowPeak").read_text().split("\t")[6:9] == ["0.25", "3.5", "1.25"]


def test_tracks_hold_the_same_steps(tmp_path: Path) -> None:
    track = pd.DataFrame({"chrom": ["chr2", "chr1"], "start": [90, 0], "end": [110, 50], "value": [0.25, 1 / 3]})
    assert write_bedgraph(track, tmp_path / "m.bedGraph", SIZES).num_clipped == 1
    assert (tmp_path / "m.bedGraph").read_text() == "chr1\t0\t50\t0.333333\nchr2\t90\t100\t0.25\n"
    write_bigwig(track, tmp_path / "m.bw", SIZES)
    with pyBigWig.open(str(tmp_path / "m.bw")) as handle:
        assert dict(handle.chroms()) == SIZES
        assert handle.intervals("chr2") == ((90, 100, 0.25),)


def test_nothing_to_write_gives_valid_files(tmp_path: Path) -> None:
    none = elements().iloc[:0]
    assert write_bed(none, tmp_path / "e.bed", SIZES).num == 0
    assert write_narrowpeak(none, tmp_path / "e.narrowPeak", SIZES).num == 0
    write_bigwig(pd.DataFrame({"chrom": [], "start": [], "end": [], "value": []}), tmp_path / "m.bw", SIZES)
    with pyBigWig.open(str(tmp_path / "m.bw")) as handle:
        assert dict(handle.chroms()) == SIZES


def test_overlap_and_unknown_chromosomes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    track = pd.DataFrame({"chrom": ["chr1"] * 2, "start": [0, 10], "end": [20, 30], "value": [1.0, 2.0]})
    for write, name in ((write_bigwig, "m.bw"), (write_bedgraph, "m.bedGraph")):
        with pytest.raises(DataError, match="intervals overlap"):
            write(track, tmp_path / name, SIZES)
    with pytest.raises(DataError, match="'chr3' has no known length"):
        write_bed(elements().assign(chrom="chr3"), tmp_path / "e.bed", SIZES)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    track = pd.DataFrame({"chrom": ["chr1"], "start": [0], "end": [20], "value": [1.0]})
    with pytest.raises(DataError, match="cannot write"):
        write_bigwig(track, tmp_path / "file" / "m.bw", SIZES)
    with pytest.raises(DataError, match="cannot write"):
        write_bed(elements(), tmp_path / "file" / "e.bed", SIZES)
