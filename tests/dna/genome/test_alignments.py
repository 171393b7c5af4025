"""Key ``alignments`` of a dataset: what it may say, what the check tells about its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_bam import write_bam
from tiny_genome import CHROM_BP, CHROMS

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.alignments import AlignmentSpec, ReadModel, mappable_bp
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval

BEDPE = "".join(f"{chrom}\t{n * 900}\t{n * 900 + 150}\n" for chrom in CHROMS for n in range(40))


def described(path: Path, text: str) -> Path:
    path.write_text(path.read_text() + f"alignments: {text}\n")
    return path


@pytest.fixture
def reads(tiny_dataset: Path) -> Path:
    """A dataset whose folder holds some reads."""
    folder = tiny_dataset.parent
    (folder / "frags.bed").write_text(BEDPE)
    (folder / "single.bed").write_text(BEDPE.replace("\n", "\tr\t0\t+\n"))
    write_bam(folder / "reads.bam", dict.fromkeys(CHROMS, CHROM_BP), [("chr1", 5, "+")])
    return tiny_dataset


def test_all_ways_to_name_alignments(reads: Path) -> None:
    folder = reads.parent
    plain, text = AlignmentSpec((folder / "frags.bed",)), reads.read_text()
    model = "{path: [single.bed, single.bed], format: BED, control: single.bed, shift_bp: -75, extsize_bp: 150, "
    model += "q_value: 0.01, genome_bp: 900}"
    single = folder / "single.bed"
    full = AlignmentSpec((single, single), "BED", single, model=ReadModel(False, -75, 150), q_value=0.01, genome_bp=900)
    for value, expected in (
        ("frags.bed", {"frags": plain}),
        ("{path: frags.bed}", {"frags": plain}),
        ("[frags.bed]", {"frags": plain}),
        ("{ATAC: frags.bed, b: [frags.bed, frags.bed]}", {"ATAC": plain, "b": AlignmentSpec(plain.paths * 2)}),
        (f"{{ATAC: {model}, bam: {{path: reads.bam, use_model: true}}}}", {"ATAC": full, "bam": None}),
    ):
        reads.write_text(text)
        found = load_dataset(described(reads, value)).alignments
        assert list(found) == list(expected)
        assert [found[name] for name in found if expected[name]] == [spec for spec in expected.values() if spec]
    assert found["bam"].model == ReadModel(use_model=True)
    assert found["bam"].resolved_format() == "BAM"
    assert load_dataset(reads).fingerprint() == load_dataset(reads.parent).fingerprint()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("5", "alignments: 5"),
        ("{ATAC: 5}", "alignments.ATAC: 5"),
        ("[frags.bed, 5]", "alignments: "),
        ("{ATAC: {format: BED}}", "alignments.ATAC.path is missing"),
        ("{ATAC: {path: frags.bed, shift: -75}}", r"unknown key alignments.ATAC.shift(.|\n)*did you mean shift_bp"),
        ("{ATAC: {path: frags.bed, format: CRAM}}", "alignments.ATAC.format: 'CRAM'"),
        ("{ATAC: {path: frags.bed, format: [BED]}}", "alignments.ATAC.format"),
        ("{ATAC: {path: frags.bed, shift_bp: 7.5}}", "alignments.ATAC.shift_bp: 7.5"),
        ("{ATAC: {path: frags.bed, extsize_bp: 0}}", "alignments.ATAC.extsize_bp: 0"),
        ("{ATAC: {path: frags.bed, genome_bp: true}}", "alignments.ATAC.genome_bp: True"),
        ("{ATAC: {path: frags.bed, q_value: 5}}", "alignments.ATAC.q_value: 5"),
        ("{ATAC: {path: frags.bed, use_model: maybe}}", "use_model: 'maybe'"),
        ("{ATAC: {path: frags.bed, control: 7}}", "alignments.ATAC.control: 7"),
    ],
)
def test_wrong_descriptions_are_one_message(reads: Path, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_dataset(described(reads, value))


def test_missing_files_are_named(reads: Path) -> None:
    with pytest.raises(DataError, match=r"missing files: .*none\.bam"):
        load_dataset(described(reads, "{ATAC: {path: frags.bed, control: none.bam}}"))


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["data", "check", str(path), "--upstream-bp", "1024", "--downstream-bp", "1024"])
    return code, capsys.readouterr().out


def test_check_tells_format_number_and_chromosomes(reads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = checked(described(reads, "{A: frags.bed, B: single.bed, C: reads.bam}"), capsys)
    assert code == 0
    for words in (
        "BEDPE, 240 rows on 6 chromosomes",
        "BED, 240 rows on 6",
        "BAM, 6 chromosomes",
        "6 of 6 in the FASTA",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("frags.bed", BEDPE.replace("chr", "NC_00"), "", "no chromosome name of frags.bed occurs in genome.fa"),
        ("frags.bed", BEDPE + f"chr1\t5\t{CHROM_BP + 1}\n", "", "chr1 has reads up to 40,001 bp"),
        ("frags.bed", BEDPE + "chr1\t50\t5\n", "", "1 rows are no intervals"),
        ("frags.bed", "no reads\n", "", "is no alignment"),
        ("frags.bed", BEDPE, ", shift_bp: -75", "shift_bp given for BEDPE"),
        ("frags.bed", BEDPE, ", control: single.bed", "files of several formats"),
        ("frags.bed", BEDPE, ", format: BAM", "format BAM was named"),
    ],
)
def test_check_refuses_what_cannot_be_called_on(
    reads: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, options: str, message: str
) -> None:
    (reads.parent / name).write_text(content)
    code, text = checked(described(reads, f"{{A: {{path: {name}{options}}}}}"), capsys)
    assert code != 0
    assert message in text


def test_bam_of_another_assembly_is_refused_and_aliases_are_not(
    reads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {chrom.removeprefix("chr"): CHROM_BP for chrom in CHROMS}
    write_bam(reads.parent / "reads.bam", {**sizes, "EBV": 900}, [("1", 5, "+")])
    code, text = checked(described(reads, "reads.bam"), capsys)
    assert code == 0
    assert "6 of 7 in the FASTA; not EBV, whose peaks are left out" in text
    write_bam(reads.parent / "reads.bam", {**sizes, "1": 41_000}, [("1", 5, "+")])
    code, text = checked(reads, capsys)
    assert code != 0
    assert "1 is by the header 41,000 bp, in the FASTA it has 40,000 bp" in text


def test_mappable_bases_are_the_known_ones(reads: Path) -> None:
    reference = load_dataset(reads).open_reference()
    letters = [reference.sequence(Interval(chrom, 0, CHROM_BP)) for chrom in CHROMS]
    known = np.isin(np.frombuffer("".join(letters).encode(), np.uint8), np.frombuffer(b"ACGT", np.uint8))
    assert mappable_bp(reference) == int(known.sum()) < 6 * CHROM_BP
