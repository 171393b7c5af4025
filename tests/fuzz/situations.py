"""The commands of the campaign, each over a world of files, with what a case may damage of it."""

from __future__ import annotations

from dataclasses import dataclass

from worlds import ENCODER


@dataclass(frozen=True)
class Situation:
    """A command over a world.

    Attributes
    ----------
    name : str
        The command.
    world : str
        Folder of the world; a copy of it is ``{here}`` in the arguments.
    arguments : str
        Arguments, blank between them.
    files : str
        Files that a case may damage, relative to the world, blank between them; may hold ``*``. Where there is none,
        a number among the arguments is damaged, or where there is none either, a setting of the run's config.
    outputs : str
        What the command writes: absent after a refusal, unless it was there before.
    share : int
        Cases of a hundred.
    is_slow : bool
        Takes half a second or more: a sample has few of these.
    """

    name: str
    world: str
    arguments: str
    files: str = ""
    outputs: str = ""
    share: int = 1
    is_slow: bool = False

    @property
    def key(self) -> str:
        """Name among references."""
        return f"{self.world}: {self.arguments}"


_DNA = "dataset.yaml genome.fa genome.fa.fai atac.bw genes.tsv blacklist.bed peaks.narrowPeak"
_GTF = (
    "dataset.yaml dataset.yaml genome.fa.gz genome.fa.gz.* atac.bw genes.gtf genes.gtf expression.tsv reads.bam chr1.gz"
)
_SLIDES = "slides.yaml slides.yaml A1.png A1.tsv A1_spots.tsv B1.tsv"
_VISIUM = "slides.yaml full.png spatial/* spatial/* filtered_feature_bc_matrix/* filtered_feature_bc_matrix/*"
_TABLE = "table/slides.yaml table/a.h5ad table/a.h5ad table/a.h5ad table/full.png"
_RUN = "run/config.yaml run/run_record.json run/checkpoints/best.ckpt run/checkpoints/best.ckpt"

_CHECK = "data check {here}/dataset.yaml --upstream-bp 512 --downstream-bp 512"
_PREPARE = "data prepare {here}/recipe.yaml --mirror {here}/mirror --out {here}/made"
_MIRROR = "recipe.yaml recipe.yaml mirror/table.tsv mirror/peaks.bed.gz mirror/genome.fa"
_MADE = "made/recipe.lock.json made/dataset.yaml made/genes.tsv"
_FIT = "fit --config {here}/config.yaml --run-dir {here}/new --finish false"
_NEW = "new/checkpoints/last.ckpt"  # the run record comes before the training
_BRIEF = f"{_FIT} --trainer.max_epochs 1"
_RESUME = "fit --config {here}/config.yaml --run-dir {here}/run --finish false --resume --trainer.max_epochs 2"
_OF_RUN = "--run-dir {here}/run --allow-classes tiny_selector"
_PREDICT = "predict --run-dir {here}/run --output {here}/out.tsv"
_ELEMENTS = "elements {here}/run --budget-bp 2000 --out {here}/out"
_TRACK = "peaks --track {here}/atac.bw --cutoff 1 --out {here}/p.narrowPeak"
_READ = "peaks --narrowpeak {here}/peaks.narrowPeak --out {here}/p.narrowPeak"
_CALL = "peaks --genome-bp 240000 --shift-bp -75 --extsize-bp 150 --out {here}/p.narrowPeak --alignments {here}/reads"
_COMPARE = (
    "compare --elements {here}/elements/elements_per_gene.bed --masks {here}/run/masks.npz "
    "--peaks {here}/peaks.narrowPeak --permutations 20 --out {here}/c.tsv"
)
_COMPARED = "elements/elements_per_gene.bed elements/windows.bed peaks.narrowPeak run/masks.npz run/masks.npz"
_CRISPRI = (
    "benchmark crispri --pairs {here}/pairs.tsv --elements {here}/elements/elements.bed --resamples 20 "
    "--out {here}/scores.tsv"
)
_FEATURES = f"features --dataset {{here}}/slides.yaml --encoder {ENCODER} --weights {{here}}/weights.pth --patch-px 32"

SITUATIONS = (
    Situation("data check", "dna", _CHECK, _DNA, share=9),
    Situation("data check", "annotated", _CHECK, _GTF, share=8),
    Situation("data check", "tissue", "data check {here}/slides.yaml", _SLIDES, share=5),
    Situation("data check", "visium", "data check {here}/slides.yaml", _VISIUM, share=4),
    Situation("data check", "visium", "data check {here}/table/slides.yaml", _TABLE, share=4),
    Situation("data check", "dna", _CHECK),
    Situation("data prepare", "recipe", _PREPARE, _MIRROR, "made/dataset.yaml", share=7),
    Situation("data prepare", "made", _PREPARE, _MADE, share=2),
    Situation("fit", "dna", _BRIEF, f"config.yaml config.yaml {_DNA}", _NEW, share=5, is_slow=True),
    Situation("fit", "dna", _FIT, "", _NEW, share=3, is_slow=True),
    Situation("fit", "annotated", _BRIEF, f"config.yaml store/* store/* {_GTF}", _NEW, share=4, is_slow=True),
    Situation("fit", "tissue", _BRIEF, f"config.yaml cache/* {_SLIDES}", _NEW, share=4, is_slow=True),
    Situation("fit", "dna", _RESUME, "run/checkpoints/last.ckpt run/config.yaml", share=3, is_slow=True),
    Situation("validate", "dna", f"validate {_OF_RUN}", f"{_RUN} {_DNA}", share=1, is_slow=True),
    Situation("test", "dna", f"test {_OF_RUN}", f"{_RUN} {_DNA}", share=1, is_slow=True),
    Situation("predict", "dna", _PREDICT, f"{_RUN} {_DNA}", "out.tsv", share=5, is_slow=True),
    Situation("predict", "tissue", _PREDICT, f"{_RUN} cache/* {_SLIDES}", "out.tsv", share=4, is_slow=True),
    Situation("elements", "dna", _ELEMENTS, "run/masks.npz", "out", share=5),
    Situation("elements", "dna", f"{_ELEMENTS} --split test", "run/masks.npz run/predictions.tsv", "out", share=2),
    Situation("elements", "dna", _ELEMENTS, "", "out"),
    Situation("peaks", "dna", _TRACK, "atac.bw", "p.narrowPeak", share=2),
    Situation("peaks", "dna", _READ, "peaks.narrowPeak", "p.narrowPeak", share=3),
    Situation("peaks", "dna", _TRACK, "", "p.narrowPeak"),
    Situation("peaks", "annotated", f"{_CALL}.bam", "reads.bam", "p.narrowPeak", share=1, is_slow=True),
    Situation("peaks", "annotated", f"{_CALL}.bed", "reads.bed", "p.narrowPeak", share=1, is_slow=True),
    Situation("compare", "dna", _COMPARE, _COMPARED, "c.tsv", share=5),
    Situation("benchmark crispri", "dna", _CRISPRI, "pairs.tsv pairs.tsv elements/elements.bed", "scores.tsv", share=5),
    Situation("features", "tissue", _FEATURES, f"{_SLIDES} weights.pth weights.pth", share=4),
)
