"""Hi-C contacts: against dense float64 arithmetic base by base, at both chromosome ends, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.contact_files import read_contacts
from seqexp.dna.genome.contacts import POWER_LAW_1MB, ContactMap, ContactSpec
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval

BIN_BP, CHROM_BP = 50, 1_030  # 21 bins, the last of 30 bp
NUM_BINS = 21
WINDOW_BP = 360


def pairs(seed: int = 0, share: float = 0.6) -> list[tuple[int, int, float]]:
    """Upper triangle of random counts; row 7 holds nothing."""
    rng = np.random.default_rng(seed)
    every = [(i, j) for i in range(NUM_BINS) for j in range(i, NUM_BINS) if 7 not in (i, j)]
    return [(i, j, float(rng.integers(1, 200)) / (1 + j - i)) for i, j in every if rng.random() < share]


def write(path: Path, rows: list[tuple[int, int, float]]) -> Path:
    text = "".join(f"{i * BIN_BP}\t{j * BIN_BP}\t{count!r}\n" for i, j, count in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def dense(rows: list[tuple[int, int, float]], normalise: str) -> np.ndarray:
    """Contacts (K, K) in float64, written out."""
    matrix = np.zeros((NUM_BINS, NUM_BINS))
    for i, j, count in rows:
        matrix[i, j] = matrix[j, i] = count
    if normalise == "none":
        return matrix
    sums = [sum(row) for row in matrix]
    result = np.zeros_like(matrix)
    for i in range(NUM_BINS):
        for j in range(NUM_BINS):
            if matrix[i, j]:
                product = sums[i] * sums[j]
                result[i, j] = matrix[i, j] / (product if normalise == "vc" else product**0.5)
    return result / result.sum() * matrix.sum()


def expected(matrix: np.ndarray, window: Interval, tss: int, bin_bp: int, pseudocount: float = 0.0) -> np.ndarray:
    """Mean of log10(1 + contact) over the bases of each bin, base by base."""
    bases = []
    for base in range(window.start, window.end):
        is_inside = 0 <= base < CHROM_BP
        contact = matrix[base // BIN_BP, tss // BIN_BP] + pseudocount if is_inside else 0.0
        bases.append(np.log10(1 + contact))
    if window.strand == "-":
        bases = bases[::-1]
    return np.array(bases).reshape(-1, bin_bp).mean(axis=1)


def opened(path: Path, **settings: object) -> ContactMap:
    spec = ContactSpec({"chr1": path}, **{"bin_bp": BIN_BP, **settings})  # type: ignore[arg-type]
    return ContactMap.read(spec, {"chr1": CHROM_BP})


@pytest.mark.parametrize("normalise", ["none", "vc", "vc_sqrt"])
@pytest.mark.parametrize("bin_bp", [1, 8, 12, 90, 360])  # 12 and 90 straddle the borders of contact bins
def test_values_equal_dense_arithmetic(tmp_path: Path, normalise: str, bin_bp: int) -> None:
    contacts = opened(write(tmp_path / "c.gz", pairs()), normalise=normalise)
    matrix = dense(pairs(), normalise)
    for strand in "+-.":
        # inside, beyond either end, beyond both ends by a shift, and wholly outside
        for start in (120, 333, -180, -1, CHROM_BP - 180, CHROM_BP - 360, CHROM_BP - 359, -700, 5_000):
            window = Interval("chr1", start, start + WINDOW_BP, strand)
            for tss in (0, 49, 50, 200, 377, 1_000, CHROM_BP - 1):
                found = contacts.values(window, tss, bin_bp)
                assert found.dtype == np.float32
                np.testing.assert_allclose(found, expected(matrix, window, tss, bin_bp), rtol=2e-6, atol=1e-7)


def test_a_window_longer_than_the_chromosome(tmp_path: Path) -> None:
    contacts, matrix = opened(write(tmp_path / "c.txt", pairs())), dense(pairs(), "vc")
    window = Interval("chr1", -400, 1_600, "-")
    found = contacts.values(window, 515, 40)
    np.testing.assert_allclose(found, expected(matrix, window, 515, 40), rtol=2e-6, atol=1e-7)
    assert (found[:14] == 0).all()  # bases 1,040 to 1,600, exactly
    assert (found[-10:] == 0).all()


def test_outside_is_zero_even_with_a_pseudocount(tmp_path: Path) -> None:
    contacts = opened(write(tmp_path / "c.txt", pairs()), pseudocount=POWER_LAW_1MB)
    for strand in "+-":
        window = Interval("chr1", -100, 260, strand)
        found = contacts.values(window, 60, 20)
        np.testing.assert_allclose(
            found, expected(dense(pairs(), "vc"), window, 60, 20, POWER_LAW_1MB), rtol=2e-6, atol=1e-7
        )
        outside = found[:5] if strand == "+" else found[-5:]
        assert (outside == 0).all()
        assert (found != 0).sum() == 13
    empty = contacts.values(Interval("chr1", 0, 100), 7 * BIN_BP, 100)  # the TSS lies in the row without contacts
    assert empty == pytest.approx(np.log10(1 + POWER_LAW_1MB), rel=1e-6)


def test_every_pair_may_stand_once_or_twice(tmp_path: Path) -> None:
    rows = pairs()
    both = rows + [(j, i, count) for i, j, count in rows if i != j]
    lower = [(j, i, count) for i, j, count in rows]
    window = Interval("chr1", 0, 360)
    wanted = opened(write(tmp_path / "a.gz", rows)).values(window, 130, 9)
    for name, stated in (
        ("both", both),
        ("lower", lower),
        ("diagonal twice", rows + [r for r in rows if r[0] == r[1]]),
    ):
        found = opened(write(tmp_path / f"{name}.gz", stated)).values(window, 130, 9)
        np.testing.assert_array_equal(found, wanted)


def test_contact_is_symmetric(tmp_path: Path) -> None:
    contacts = opened(write(tmp_path / "c.gz", pairs()))
    for one, other in ((25, 900), (410, 170), (1_029, 3)):
        there = contacts.values(Interval("chr1", one, one + 1), other)
        assert there == contacts.values(Interval("chr1", other, other + 1), one)


def released(matrix: np.ndarray, window: Interval, tss: int) -> np.ndarray:
    """What the released code reads, step by step: padded by the writer, padded again, cropped round the centre."""
    before, after = max(0, -window.start), max(0, window.end - CHROM_BP)
    inside = [
        np.log10(1 + matrix[b // BIN_BP, tss // BIN_BP]) for b in range(window.start, window.end) if 0 <= b < CHROM_BP
    ]
    written = [0.0] * before + inside + [0.0] * after
    assert len(written) == window.width
    again = [0.0] * before + written + [0.0] * after
    first = (len(again) - window.width) // 2
    cropped = again[first : first + window.width]
    return np.array(cropped[::-1] if window.strand == "-" else cropped)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_alignment_of_the_released_code_is_an_option(tmp_path: Path, strand: str) -> None:
    """A TSS within half a window of an end has its track shifted by half the padding, in the option only."""
    path, matrix = write(tmp_path / "c.gz", pairs(share=1.0)), dense(pairs(share=1.0), "vc")
    true, shifted = opened(path), opened(path, alignment="released")
    for start in (-180, -121, 0, 300, CHROM_BP - 360, CHROM_BP - 300, CHROM_BP - 181):
        window = Interval("chr1", start, start + WINDOW_BP, strand)
        tss = start + WINDOW_BP // 2
        right, wrong = true.values(window, tss), shifted.values(window, tss)
        np.testing.assert_allclose(right, expected(matrix, window, tss, 1), rtol=2e-6, atol=1e-7)
        np.testing.assert_allclose(wrong, released(matrix, window, tss), rtol=2e-6, atol=1e-7)
        is_padded = start < 0 or start + WINDOW_BP > CHROM_BP
        assert (right != wrong).any() == is_padded
    # A TSS 20 bp from the start: 160 bp of padding, hence everything 80 bp to the right of where it belongs.
    window, tss = Interval("chr1", -160, 200, "+"), 20
    np.testing.assert_allclose(shifted.values(window, tss)[80:], true.values(window, tss)[:-80], rtol=1e-6)
    assert np.flatnonzero(true.values(window, tss))[0] == 160
    assert np.flatnonzero(shifted.values(window, tss))[0] == 240


def test_reach_drops_what_windows_never_read(tmp_path: Path) -> None:
    path = write(tmp_path / "c.gz", pairs())
    spec = ContactSpec({"chr1": path}, BIN_BP)
    whole, near = (ContactMap.read(spec, {"chr1": CHROM_BP}, reach_bp=reach) for reach in (None, 120))
    for tss in range(3, CHROM_BP, 37):
        window = Interval("chr1", tss - 120, tss + 120)
        np.testing.assert_array_equal(near.values(window, tss, 8), whole.values(window, tss, 8))
    assert near.num_pairs < whole.num_pairs == len(pairs())
    with pytest.raises(DataError, match="reaches 121 bp from the TSS"):
        near.values(Interval("chr1", 300, 422), 300)


def test_names_pickling_and_chromosomes(tmp_path: Path) -> None:
    path = write(tmp_path / "c.gz", pairs())
    contacts = opened(path)
    window = Interval("1", 0, 360)
    wanted = contacts.values(Interval("chr1", 0, 360), 100, 8)
    np.testing.assert_array_equal(contacts.values(window, 100, 8), wanted)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(contacts)).values(window, 100, 8), wanted)
    spec = ContactSpec({"1": path, "chr2": tmp_path / "never read"}, BIN_BP)
    some = ContactMap.read(spec, {"chr1": CHROM_BP, "chr2": 10, "chr3": 10}, ["chr1"])
    np.testing.assert_array_equal(some.values(window, 100, 8), wanted)
    with pytest.raises(DataError, match=r"no contacts of chr3(.|\n)*contacts\.paths"):
        ContactMap.read(spec, {"chr1": CHROM_BP, "chr2": 10, "chr3": 10}, ["chr1", "chr3"])
    with pytest.raises(DataError, match="no contacts of chr2"):
        some.values(Interval("chr2", 0, 8), 3)
    with pytest.raises(DataError, match="two files for one chromosome: chr1, 1"):
        ContactMap.read(ContactSpec({"chr1": path, "1": path}, BIN_BP), {"chr1": CHROM_BP})
    with pytest.raises(DataError, match="chr2 is not a chromosome of the FASTA"):
        ContactMap.read(spec, {"chr1": CHROM_BP})


def test_impossible_requests(tmp_path: Path) -> None:
    contacts = opened(write(tmp_path / "c.gz", pairs()))
    with pytest.raises(ConfigError, match="100 bp cannot be cut into bins of 32 bp"):
        contacts.values(Interval("chr1", 0, 100), 50, 32)
    for tss in (-1, CHROM_BP):
        with pytest.raises(DataError, match=f"TSS {tss} lies outside chr1"):
            contacts.values(Interval("chr1", 0, 100), tss, 10)
    for wrong in ({"normalise": "kr"}, {"alignment": "centre"}, {"bin_bp": 0}, {"pseudocount": -1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            opened(tmp_path / "c.gz", **wrong)


GOOD = "0\t50\t3\n50\t50\t2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no contact"),
        ("0\t50\t0\n", "no contact"),
        ("0\t50\n", r"found 2 columns(.|\n)*start1, start2, count"),
        ("chr1\t0\tchr1\t50\t3\n", "found 5 columns"),
        ("0 50 3\n", "found 1 columns"),
        ("bin1\tbin2\tcount\n" + GOOD, r"'bin1'(.|\n)*row 1"),
        (GOOD + "100\t50.5\t3\n", r"50\.5(.|\n)*row 3"),
        (GOOD + "100\t\t3\n", r"is not a position(.|\n)*row 3"),
        (GOOD + "120\t50\t3\n", r"120 is not the start of a bin of 50 bp(.|\n)*row 3(.|\n)*bin_bp"),
        (GOOD + "-50\t50\t3\n", r"-50(.|\n)*row 3"),
        (GOOD + "100\t1050\t3\n", r"1050 lies beyond the end of the chromosome(.|\n)*row 3(.|\n)*1030"),
        (GOOD + "100\t50\t-1\n", r"-1(.|\n)*row 3(.|\n)*finite"),
        (GOOD + "100\t50\tNaN\n", r"nan(.|\n)*row 3; 1 such row"),
        (GOOD + "100\t50\tinf\n", r"inf(.|\n)*row 3"),
        (GOOD + "100\t50\tmany\n", r"many(.|\n)*row 3"),
        (GOOD + "50\t0\t4\n", r"0 and 50 has two counts, 3 and 4(.|\n)*once, or twice"),
    ],
)
def test_refused_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_contacts(tmp_path / "c.txt", BIN_BP, CHROM_BP)
    assert "c.txt" in str(caught.value)


def test_wider_bins_are_noticed(tmp_path: Path) -> None:
    """Bins of 100 bp start at multiples of 50 as well, but never at the odd ones."""
    path = tmp_path / "c.txt"
    path.write_text("".join(f"{100 * i}\t{100 * i + 100}\t1\n" for i in range(30)))
    with pytest.raises(DataError, match=r"multiples of 100(.|\n)*set contacts\.bin_bp"):
        read_contacts(path, 50, 10_000)
    assert read_contacts(path, 100, 10_000).shape == (100, 100)
    path.write_text("0\t100\t1\n")  # too few to tell
    assert read_contacts(path, 50, 10_000).shape == (200, 200)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    path = write(tmp_path / "c.gz", pairs())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        opened(path)
    with pytest.raises(DataError, match="no such file"):
        opened(tmp_path / "none.gz")


def test_the_last_bin_may_be_short(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("1000\t1000\t3\n0\t1000\t2\n")
    assert read_contacts(tmp_path / "c.txt", BIN_BP, CHROM_BP).shape == (NUM_BINS, NUM_BINS)


# -- as a part of a dataset --------------------------------------------------------------------------------------------


def with_contacts(dataset: Path, chroms: tuple[str, ...] = ("chr1", "chr2"), extra: str = "") -> Path:
    """Add random contacts in bins of 500 bp to the tiny dataset."""
    rng = np.random.default_rng(0)
    for chrom in chroms:
        rows = [(500 * i, 500 * j) for i in range(80) for j in range(i, min(80, i + 12))]
        text = "".join(f"{i}\t{j}\t{rng.integers(1, 50)}\n" for i, j in rows)
        (dataset.parent / f"{chrom}.gz").write_bytes(gzip.compress(text.encode()))
    named = ", ".join(f"{chrom}: {chrom}.gz" for chrom in chroms)
    with open(dataset, "a") as handle:
        handle.write(f"contacts: {{paths: {{{named}}}, bin_bp: 500{extra}}}\n")
    return dataset


def test_dataset_yaml(tiny_dataset: Path) -> None:
    without = load_dataset(tiny_dataset)
    assert without.contacts is None
    with pytest.raises(ConfigError, match=r"the dataset has no contacts(.|\n)*contacts: \{paths"):
        without.open_contacts({"chr1": 40_000})
    num_files = len(without.files())
    spec = load_dataset(with_contacts(tiny_dataset))
    folder = tiny_dataset.parent
    assert spec.contacts == ContactSpec({"chr1": folder / "chr1.gz", "chr2": folder / "chr2.gz"}, 500)
    assert (spec.contacts.normalise, spec.contacts.pseudocount, spec.contacts.alignment) == ("vc", 0.0, "genome")
    assert len(spec.files()) == num_files + 2
    sizes = dict.fromkeys((f"chr{n}" for n in range(1, 7)), 40_000)
    assert spec.open_contacts(sizes, ["chr2"]).values(Interval("chr2", -64, 4_000), 1_000, 16).shape == (254,)


def test_fingerprint_follows_contacts(tiny_dataset: Path) -> None:
    found = [load_dataset(tiny_dataset).fingerprint()]
    text = tiny_dataset.read_text()
    for extra in ("", ", normalise: none", ", alignment: released", ", pseudocount: 0.00123"):
        tiny_dataset.write_text(text)
        found.append(load_dataset(with_contacts(tiny_dataset, extra=extra)).fingerprint())
    (tiny_dataset.parent / "chr1.gz").write_bytes(gzip.compress(b"0\t0\t1\n"))
    found.append(load_dataset(tiny_dataset).fingerprint())
    assert len(set(found)) == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("contacts: chr1.gz", "contacts: 'chr1.gz'"),
        ("contacts: {path: {chr1: genome.fa}}", r"unknown key contacts\.path(.|\n)*did you mean paths"),
        ("contacts: {bin_bp: 5000}", r"key contacts\.paths is missing"),
        ("contacts: {paths: genome.fa}", r"contacts\.paths: 'genome\.fa'"),
        ("contacts: {paths: {chr1: [a]}}", r"contacts\.paths\.chr1"),
        ("contacts: {paths: {chr1: genome.fa}, bin_bp: 5kb}", r"contacts\.bin_bp: '5kb'"),
        ("contacts: {paths: {chr1: genome.fa}, bin_bp: 0}", r"contacts\.bin_bp: 0"),
        ("contacts: {paths: {chr1: genome.fa}, pseudocount: yes}", r"contacts\.pseudocount: 'yes'"),
        ("contacts: {paths: {chr1: genome.fa}, normalise: KR}", r"contacts\.normalise: 'KR'(.|\n)*none, vc"),
        ("contacts: {paths: {chr1: genome.fa}, alignment: x}", r"contacts\.alignment: 'x'(.|\n)*genome, released"),
    ],
)
def test_wrong_keys(tiny_dataset: Path, line: str, message: str) -> None:
    with open(tiny_dataset, "a") as handle:
        handle.write(line + "\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_dataset(tiny_dataset)
    assert str(tiny_dataset) in str(caught.value)


def test_a_missing_file(tiny_dataset: Path) -> None:
    with_contacts(tiny_dataset)
    (tiny_dataset.parent / "chr2.gz").unlink()
    with pytest.raises(DataError, match=r"missing files: .*chr2\.gz"):
        load_dataset(tiny_dataset)


def test_data_check(tiny_dataset: Path) -> None:
    chroms = tuple(f"chr{n}" for n in range(1, 7))
    report = check_dataset(load_dataset(with_contacts(tiny_dataset, chroms)), 300, 500)
    assert {row.status for row in report.rows} == {"ok"}
    told = {(row.file, row.what): row.found for row in report.rows}
    assert told["dataset.yaml", "contacts"] == "60 of 60 genes on a chromosome with contacts"
    assert told["chr1.gz", "contacts of chr1"].startswith("894 pairs of bins of 500 bp, ")
    assert told["chr1.gz", "contacts at TSSs"] == "10 of 10 TSSs lie in a bin with contacts"


def test_data_check_tells_what_is_wrong(tiny_dataset: Path) -> None:
    with_contacts(tiny_dataset, extra=", normalise: none")
    (tiny_dataset.parent / "chr1.gz").write_bytes(gzip.compress(b"0\t0\t1\n0\t40000\t1\n"))
    (tiny_dataset.parent / "chr2.gz").write_bytes(gzip.compress(b"39500\t39500\t1\n"))
    report = check_dataset(load_dataset(tiny_dataset), 300, 500)
    assert [row.found for row in report.errors] == ["40000 lies beyond the end of the chromosome"]
    told = {(row.file, row.what): row.found for row in report.rows if row.status == "warn"}
    assert told == {
        ("dataset.yaml", "contacts"): "20 of 60 genes on a chromosome with contacts",
        ("chr2.gz", "contacts at TSSs"): "0 of 10 TSSs lie in a bin with contacts",
    }


# -- real data ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def k562() -> Path:
    folder = os.environ.get("SEQEXP_MIRROR")
    if not folder:
        pytest.skip("REAL DATA NOT TESTED: set SEQEXP_MIRROR to the folder that holds k562_chr22_hg38/")
    return Path(folder) / "k562_chr22_hg38" / "K562_intactHiC_chr22.5kb.RAWobserved.gz"


@pytest.mark.realdata
def test_k562_chr22(k562: Path) -> None:
    size = 50_818_468
    raw = read_contacts(k562, 5_000, size)
    assert raw.shape == (10_164, 10_164)
    assert (raw != raw.T).nnz == 0
    diagonal = raw.diagonal().sum()
    assert (raw.sum() + diagonal) / 2 == 6_499_134  # contacts, each pair once
    assert (raw.nnz + (raw.diagonal() > 0).sum()) / 2 == 1_063_677

    def level(contacts: ContactMap, tss: int, distance_bp: int) -> float:
        at = tss + distance_bp
        return float(contacts.values(Interval("chr22", at, at + 1), tss)[0])

    # VC by the text of the file, for a few pairs
    table = np.loadtxt(k562)
    where = (table[:, :2] // 5_000).astype(int)
    is_pair = where[:, 0] != where[:, 1]
    sums = np.bincount(where[:, 0], table[:, 2], 10_164) + np.bincount(where[is_pair, 1], table[is_pair, 2], 10_164)
    divided = table[:, 2] / (sums[where[:, 0]] * sums[where[:, 1]])
    divided *= (table[:, 2] * (1 + is_pair)).sum() / (divided * (1 + is_pair)).sum()
    contacts = ContactMap.read(ContactSpec({"chr22": k562}), {"chr22": size})
    for row in range(0, len(table), 50_001):
        one, other = (int(position) for position in table[row, :2])
        wanted = np.log10(1 + divided[row])
        assert level(contacts, one, other - one) == pytest.approx(wanted, rel=1e-5)
        assert level(contacts, other, one - other) == pytest.approx(wanted, rel=1e-5)

    # contacts become rarer with distance, on either side
    rng = np.random.default_rng(0)
    places = rng.integers(37_200_000, 40_600_000, 200).tolist()
    for side in (-1, 1):
        means = [
            np.mean([level(contacts, tss, side * d) for tss in places]) for d in (0, 10_000, 50_000, 200_000, 10**6)
        ]
        assert (np.diff(means) < 0).all()
        assert means[0] > 20 * means[-1]


@pytest.mark.realdata
def test_copies_of_the_amplicon(k562: Path) -> None:
    """Contacts lie within one copy and grow with the copies once: VC divides by the copies twice, its root once."""
    steps = [
        [f"chr22:{at}-{at + 1}" for at in range(*span, 50_000)]
        for span in ((19 * 10**6, 21 * 10**6), (38 * 10**6, 40 * 10**6))
    ]
    ratio = {}
    for normalise in ("none", "vc", "vc_sqrt"):
        contacts = ContactMap.read(ContactSpec({"chr22": k562}, normalise=normalise), {"chr22": 50_818_468})
        own, far = (
            np.median([10 ** contacts.values(base, base.start)[0] - 1 for base in map(Interval.parse, texts)])
            for texts in steps
        )
        ratio[normalise] = own / far
    assert ratio["none"] > 3
    assert ratio["vc"] < 1 / 3
    assert 0.8 < ratio["vc_sqrt"] < 1.25
