"""Rankings, budgets and agreement on a small dataset, against arithmetic done by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_genome import write_tiny_dataset

from seqexp.core.errors import ConfigError
from seqexp.dna.benchmark import rankings
from seqexp.dna.benchmark.frame import Frame, make_frame
from seqexp.dna.benchmark.rankings import NEAR_BP, POWER, peak_rankings, plain_rankings
from seqexp.dna.benchmark.reading import keep_best
from seqexp.dna.benchmark.scores import mean_jaccard
from seqexp.dna.benchmark.summary import curve_of, margins, summarise
from seqexp.dna.benchmark.trained import in_frame, num_epochs
from seqexp.dna.evaluation.truth import score_truth
from seqexp.dna.genome.alignments import AlignmentSpec
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.peaks.tables import read_peaks


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    path = write_tiny_dataset(tmp_path_factory.mktemp("tiny"))
    data = SequenceData(path, upstream_bp=1024, downstream_bp=1024, signal_bin_bp=32)
    data.setup()
    return make_frame(data, bin_bp=64, promoter_bp=256)


def test_frame_is_in_gene_orientation_with_its_promoter_left_out(frame: Frame) -> None:
    assert frame.signals.shape == (60, 32, 2)
    batch = frame.data.dataset("predict")[7]
    mean = batch.signals.numpy()[0].reshape(32, 2, 2).mean(axis=1)
    np.testing.assert_allclose(frame.signals[7], mean, rtol=1e-5)
    assert frame.distance_bp[16] == pytest.approx(31.5)
    assert np.flatnonzero(frame.promoter).tolist() == [14, 15, 16, 17]
    assert not frame.usable[:, frame.promoter].any()
    assert frame.planted is not None
    row = int(frame.rows("test")[0])
    first = frame.masks.windows[row].start
    expected = frame.masks.values[row] * 0
    truth = frame.data.spec.read_truth()
    assert truth is not None
    own = truth[truth["gene_id"] == frame.masks.gene_ids[row]].iloc[0]
    low, high = (int(own["start"]) - first) / 64, (int(own["end"]) - first) / 64
    expected[int(np.ceil(low - 0.5)) : int(np.floor(high + 0.5))] = 1
    forward = frame.masks.turned(frame.planted)[row]
    assert abs(int(forward.sum()) - int(expected.sum())) <= 1
    assert (forward & (expected > 0)).sum() >= expected.sum() - 1
    part = frame.of_split("test")
    assert part.masks.gene_ids == tuple(frame.masks.gene_ids[i] for i in frame.rows("test"))


def test_plain_rankings(frame: Frame) -> None:
    scores = plain_rankings(frame, seed=1)
    assert set(scores) == {"random", "distance", "signal rule", "top ATAC", "top H3K27ac", "activity x contact"}
    assert all(values.shape == (60, 32) and (values >= 0).all() for values in scores.values())
    assert int(scores["distance"][0].argmax()) in (15, 16)
    high = frame.data.statistics.high_quantile()
    np.testing.assert_allclose(scores["signal rule"], (frame.signals / high).mean(-1), rtol=1e-4)
    activity = np.exp(np.log(np.maximum(frame.signals / high, 1e-6)).mean(-1))
    weighted = activity * np.maximum(np.abs(frame.distance_bp), NEAR_BP) ** -POWER
    np.testing.assert_allclose(scores["activity x contact"], weighted / weighted.sum(1, keepdims=True), rtol=1e-4)
    assert frame.planted is not None
    areas = {name: score_truth(values, frame.planted, 10).value for name, values in scores.items()}
    assert areas["top ATAC"] > 0.9  # the tiny dataset plants its elements under the peaks
    assert areas["random"] < 0.3


def test_contacts_of_the_data_take_the_place_of_the_power_law(frame: Frame) -> None:
    contact = np.log10(1 + np.linspace(10, 0, 32, dtype=np.float32))
    with_contact = np.concatenate([frame.signals, np.broadcast_to(contact[:, None], (60, 32, 1))], axis=2)
    other = replace(frame, signals=with_contact, track_names=("ATAC", "H3K27ac", "contact"))
    levels = frame.data.statistics
    quantiles = levels.signal_quantiles
    object.__setattr__(levels, "signal_quantiles", np.vstack([quantiles, quantiles[:1]]))
    scores = plain_rankings(other)
    assert "top contact" not in scores
    activity = np.exp(np.log(np.maximum(frame.signals / frame.data.statistics.high_quantile()[:2], 1e-6)).mean(-1))
    expected = activity * np.linspace(10, 0, 32)
    np.testing.assert_allclose(scores["activity x contact"], expected / expected.sum(1, keepdims=True), rtol=1e-3)
    object.__setattr__(levels, "signal_quantiles", quantiles)


def peaked(frame: Frame, **changes: object) -> Frame:
    """The frame on a dataset with other peaks, reads or tracks."""
    spec = replace(frame.data.spec, **changes)  # type: ignore[arg-type]
    return replace(frame, data=SimpleNamespace(spec=spec))  # type: ignore[arg-type]


def test_peaks_of_the_dataset_by_stringency(frame: Frame, tmp_path: Path) -> None:
    known = read_peaks(frame.data.spec.peaks["ATAC_peaks"])
    path = tmp_path / "ENCFF000ABC.bed"
    q = np.where(np.arange(len(known)) % 2, 20.0, 1.0)
    lines = zip(known["chrom"], known["start"], known["end"], q)
    path.write_text("".join(f"{c}\t{s}\t{e}\t.\t0\t.\t{v}\t{v}\t{v}\t-1\n" for c, s, e, v in lines))
    given = peaked(frame, peaks={"mine": path})
    scores, origin = peak_rankings(given, tmp_path, (1.0, 1e-9))
    assert origin == "peaks of ENCFF000ABC.bed"
    everything, strict = scores[f"{origin} q < 1"], scores[f"{origin} q < 1e-09"]
    assert 0 < (strict > 0).sum() < (everything > 0).sum()
    planted = frame.planted
    assert planted is not None
    assert score_truth(everything, planted, 10).value > 0.5


@pytest.mark.parametrize("columns", [3, 6, 9, 10])
def test_peaks_without_q_values_are_ranked_as_they_are(frame: Frame, tmp_path: Path, columns: int) -> None:
    rows = [line.split("\t") for line in frame.data.spec.peaks["ATAC_peaks"].read_text().splitlines()]
    path = tmp_path / "ENCFF000ABC.bed"
    path.write_text("".join("\t".join(row[:columns]) + "\n" for row in rows))
    scores, origin = peak_rankings(peaked(frame, peaks={"mine": path}), tmp_path, (0.05, 0.2))
    assert list(scores) == ["peaks of ENCFF000ABC.bed"]
    assert "no q-values" in origin
    assert frame.planted is not None
    assert score_truth(scores["peaks of ENCFF000ABC.bed"], frame.planted, 10).value > 0.5


def test_reads_of_the_dataset_come_before_its_peaks(frame: Frame, tmp_path: Path, monkeypatch) -> None:
    asked = []

    def call(spec, reads, output, *, q_value):
        asked.append((reads.paths[0].name, q_value))
        output.write_text(f"chr6\t100\t900\tx\t5\t.\t3\t2\t{1 + q_value}\t4\n")

    monkeypatch.setattr(rankings, "called_on_reads", call)
    reads = {"ATAC": AlignmentSpec((tmp_path / "reads.bam",)), "other": AlignmentSpec((tmp_path / "x.bam",))}
    scores, origin = peak_rankings(peaked(frame, alignments=reads), tmp_path / "one", (0.01, 0.2))
    assert (list(scores), origin) == (["MACS3 q < 0.01", "MACS3 q < 0.2"], "macs3 callpeak on reads.bam")
    assert asked == [("reads.bam", 0.01), ("reads.bam", 0.2)]
    peak_rankings(peaked(frame, alignments=reads), tmp_path / "two", (0.01,), AlignmentSpec((tmp_path / "plan.bam",)))
    assert asked[-1] == ("plan.bam", 0.01)


def test_thresholds_on_the_named_track_each_set_once(frame: Frame, tmp_path: Path) -> None:
    unpeaked = peaked(frame, peaks={})
    scores, origin = peak_rankings(unpeaked, tmp_path, (), budget=0.02, peak_track="H3K27ac")
    assert origin == "thresholds on the track H3K27ac, without reads"
    assert "threshold on H3K27ac at 1 x budget" in scores
    assert not [name for name in scores if "MACS" in name]
    masks = list(scores.values())
    assert not any(np.array_equal(a, b) for number, a in enumerate(masks) for b in masks[number + 1 :])
    with pytest.raises(ConfigError, match="no track 'moon'"):
        peak_rankings(unpeaked, tmp_path, (), peak_track="moon")


def test_every_window_keeps_the_same_number_of_bins_and_its_promoter(frame: Frame) -> None:
    scores = np.random.default_rng(0).normal(size=(60, 32))  # negative scores too
    kept = keep_best(scores, frame, 0.25)
    inside = frame.usable.sum(1) == frame.usable.sum(1).max()
    num = int(0.25 * frame.usable.sum(1).max())
    assert (kept & frame.usable)[inside].sum(1).tolist() == [num] * int(inside.sum())
    assert kept[:, frame.promoter].all()
    row = int(np.flatnonzero(inside)[0])
    best = np.argsort(-np.where(frame.usable[row], scores[row], -np.inf))[:num]
    assert set(np.flatnonzero(kept[row] & frame.usable[row])) == set(best)
    nothing = keep_best(np.zeros((60, 32)), frame, 0.25)  # no peak anywhere: the promoter alone
    assert (nothing == frame.promoter).all()


def test_scores_in_other_orders_and_bins_find_their_place(frame: Frame) -> None:
    values = np.random.default_rng(0).random((60, 64), dtype=np.float32)
    order = np.random.default_rng(1).permutation(60)
    placed = in_frame(frame.index[order], values[order], frame)
    np.testing.assert_allclose(placed, values.reshape(60, 32, 2).mean(2), rtol=1e-6)
    coarse = in_frame(frame.index, values[:, :8], frame)
    np.testing.assert_array_equal(coarse[:, ::4], values[:, :8])
    with pytest.raises(ConfigError, match="1 genes are missing"):
        in_frame(frame.index[1:], values[1:], frame)
    with pytest.raises(ConfigError, match="12 bins"):
        in_frame(frame.index, values[:, :12], frame)


def test_small_arithmetic() -> None:
    a, b, c = (np.array(bits, dtype=bool) for bits in ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]))
    assert mean_jaccard({0: a, 1: b, 2: c}) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert np.isnan(mean_jaccard({0: a}))
    assert [num_epochs(6000, genes) for genes in (600, 100, 100_000)] == [10, 20, 1]
    assert num_epochs(None, 10) is None


def test_summary_takes_means_over_seeds_and_orders_by_area() -> None:
    import pandas as pd

    shared = {"kept": 0.1, "jaccard": 0.5, "own_share": np.nan, "auprc_low": 0.1, "auprc_high": 0.9}
    rows = pd.DataFrame(
        [
            {"arm": "peaks", "seed": -1, "auprc": 0.3, "curve_0.1": 0.2, **shared},
            {"arm": "own", "seed": 0, "auprc": 0.7, "curve_0.1": 0.6, **shared},
            {"arm": "own", "seed": 1, "auprc": 0.9, "curve_0.1": np.nan, **shared},
        ]
    )
    table = summarise(rows)
    assert table["ranking"].tolist() == ["own", "peaks"]
    assert table["AUPRC"].tolist() == pytest.approx([0.8, 0.3])
    assert table["seeds"].tolist() == [2, 0]
    assert "own share" not in table
    assert margins(table, "own") == pytest.approx({"peaks": 0.5})
    curve = curve_of(table)
    assert curve.index.tolist() == [0.1]
    assert curve.loc[0.1, "own"] == pytest.approx(0.6)
