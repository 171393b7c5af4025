"""The format of alignments follows from their content, and their chromosomes are known before MACS3 runs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tiny_bam import write_bam, write_paired_bam

from seqexp.core.errors import DataError
from seqexp.dna.genome.alignment_files import AlignmentFacts, detect_format, has_pairs, read_facts

SAM = "@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:900\nr\t0\tchr1\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\n"
TEXTS = {
    "BED": "chr1\t5\t40\tr1\t0\t+\nchr2\t7\t50\tr2\t0\t-\n",
    "BEDPE": "# made by hand\nchr1\t5\t40\nchr2\t7\t50\n",
    "FRAG": "# id=x\nchr1\t5\t40\tAAACGTTC-1\t2\nchr2\t7\t50\tAAACGTTG-1\t1\n",
    "SAM": SAM,
}


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("kind", TEXTS)
def test_texts_by_their_content_whatever_their_name(tmp_path: Path, kind: str, is_gzip: bool) -> None:
    path = tmp_path / "ENCFF000ABC.data"
    path.write_bytes(gzip.compress(TEXTS[kind].encode()) if is_gzip else TEXTS[kind].encode())
    assert detect_format(path) == kind
    facts = read_facts(path, kind)
    assert facts == (
        AlignmentFacts({"chr1": 900}, None) if kind == "SAM" else AlignmentFacts({"chr1": 40, "chr2": 50}, 2)
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("chr1\t5\t40\tpeak\t1000\n", "BEDPE"),  # a score is no count of a barcode
        ("chr1\t5\t40\tACGTACGT\t0\n", "BEDPE"),
        ("chr1\t5\t40\tn\t0\t.\n", "BEDPE"),
        ("track name=x\nbrowser position\nchr1\t5\t40\tn#1\t0\t-\r\n", "BED"),
        ("r\t16\t*\t0\t0\t*\t*\t0\t0\t*\t*\n", "SAM"),
        ("\ufeffchr1\t5\t40\tn\t0\t-\n", "BED"),
    ],
)
def test_close_relatives(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "x.bed").write_text(text, encoding="utf-8")
    assert detect_format(tmp_path / "x.bed") == kind


def test_bam_of_singles_and_of_pairs(tmp_path: Path) -> None:
    sizes = {"chr1": 5_000, "chr2": 800}
    single = write_bam(tmp_path / "a.bin", sizes, [("chr1", 5, "+"), ("chr2", 9, "-")])
    paired = write_paired_bam(tmp_path / "b.bin", sizes, [("chr1", 5, 200)])
    assert [detect_format(path) for path in (single, paired)] == ["BAM", "BAMPE"]
    assert [has_pairs(path) for path in (single, paired)] == [False, True]
    assert read_facts(single, "BAM") == read_facts(paired, "BAMPE") == AlignmentFacts(sizes, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no alignment in the file"),
        (b"# only a comment\n", "no alignment in the file"),
        (b"no reads here\n", "is no alignment"),
        (b"chr1 5 40\n", "separated by tabs"),
        (b"chr1\t5.5\t40\n", "is no alignment"),
        (b"CRAM\3\0", "samtools view -b"),
        (b"chr1\t5\t40\tchr1\t90\t140\tr\t60\t+\t-\n", "BEDPE of bedtools"),
        (b"\x1f\x8b\x08 not gzip", "cannot be read"),
        (gzip.compress(TEXTS["BED"].encode(), mtime=0)[:-9], "cannot be read"),
        (b"\xff\xfe\x00chr1\n", "cannot be read"),
    ],
)
def test_what_is_no_alignment_is_one_message(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        detect_format(tmp_path / "x")


@pytest.mark.parametrize(
    "row", ["chr1\t40\t40", "chr1\t50\t40", "chr1\t-5\t40", "chr1\t5.5\t40", "chr1\tx\t40", "chr1\t5\t"]
)
def test_rows_that_are_no_intervals_are_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "x").write_text(f"#h\nchr1\t5\t40\n{row}\n")
    with pytest.raises(DataError, match=r"1 rows are no intervals(.|\n)*data row 2"):
        read_facts(tmp_path / "x", "BEDPE")


def test_damaged_bam_and_missing_files(tmp_path: Path) -> None:
    path = write_bam(tmp_path / "a.bam", {"chr1": 5_000}, [("chr1", 5, "+")])
    path.write_bytes(path.read_bytes()[:60])
    for call in (detect_format, lambda p: read_facts(p, "BAM")):
        with pytest.raises(DataError, match="cannot be read"):
            call(path)
        with pytest.raises(DataError, match="no such file"):
            call(tmp_path / "none")
    (tmp_path / "x").write_text("chr1\t5\t40\n")
    with pytest.raises(DataError, match="no BAM"):
        read_facts(tmp_path / "x", "BAM")
    (tmp_path / "x").write_text("r\t0\tchr1\t5\t60\t4M\t*\t0\t0\tACGT\tIIII\n")
    with pytest.raises(DataError, match="no @SQ line"):
        read_facts(tmp_path / "x", "SAM")


@pytest.mark.parametrize("row", ["chr1\t5\t9\tr\t0\t+", "chr1\t5\t9", "chr1\t5\t9\tACGT\t1"])
@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_last_line_without_an_end_is_refused(tmp_path: Path, row: str, is_gzip: bool) -> None:
    """MACS3 would read such a file for ever."""
    for number, text in enumerate((f"{row}\n{row}\n", f"{row}\n{row}", f"{row}\n{row[:7]}")):
        path = tmp_path / str(number)
        path.write_bytes(gzip.compress(text.encode()) if is_gzip else text.encode())
        if number == 0:
            assert detect_format(path) in ("BED", "BEDPE", "FRAG")
            continue
        with pytest.raises(DataError, match=r"the last line has no end|is no alignment"):
            detect_format(path)
