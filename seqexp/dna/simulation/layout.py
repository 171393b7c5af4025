"""Where genes, causal elements and decoys lie, and which motif sites each of them holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.motifs import Motif, random_motif

KINDS = ("causal", "open_decoy", "motif_decoy")
SPACING_BP = 60
# Sites per element. A causal element without signal is a bona fide cluster, so that sequence can tell it from most
# motif decoys; the counts overlap, so that sequence alone cannot.
SITES = {
    "causal": ((2, 3, 4), (0.35, 0.4, 0.25)),
    "silent": ((4, 5), (0.6, 0.4)),
    "motif_decoy": ((1, 2, 3), (0.3, 0.4, 0.3)),
}


@dataclass(frozen=True)
class Gene:
    gene_id: str
    chrom: str
    tss: int
    strand: str


@dataclass
class Element:
    """A planted interval of one gene's domain; ``effect`` is on log2 expression, after distance."""

    kind: str
    gene: int
    chrom: str
    start: int
    end: int
    is_open: bool
    motifs: list[int] = field(default_factory=list)
    sites: list[tuple[int, int, str]] = field(default_factory=list)
    effect: float = 0.0

    @property
    def centre(self) -> int:
        return (self.start + self.end) // 2


@dataclass
class Layout:
    motifs: list[Motif]
    chrom_sizes: dict[str, int]
    genes: list[Gene]
    elements: list[Element]

    def elements_of(self, kind: str) -> list[Element]:
        return [element for element in self.elements if element.kind == kind]


def make_layout(config: SimulationConfig, rng: np.random.Generator) -> Layout:
    """Draw motifs, genes and elements; effects follow from motif sites and distance."""
    motifs = [_motif(index, config, rng) for index in range(config.num_motifs)]
    genes, chrom_sizes = _genes(config, rng)
    counts = _counts(config, rng)
    elements: list[Element] = []
    for index, gene in enumerate(genes):
        kinds = [kind for kind in KINDS for _ in range(counts[kind][index])]
        elements += _place(index, gene, kinds, config, rng=rng)
    _silence(elements, config, rng)
    for element in elements:
        _fill(element, genes[element.gene], motifs, config, rng=rng)
    return Layout(motifs, chrom_sizes, genes, elements)


def _motif(index: int, config: SimulationConfig, rng: np.random.Generator) -> Motif:
    sign = -1.0 if index >= config.num_motifs - config.num_repressors else 1.0
    width = int(rng.integers(config.motif_bp[0], config.motif_bp[1] + 1))
    return random_motif(f"TF{index + 1}", width, sign * rng.uniform(0.4, 0.8), config.information_bits, rng=rng)


def _genes(config: SimulationConfig, rng: np.random.Generator) -> tuple[list[Gene], dict[str, int]]:
    genes, sizes = [], {}
    for number, block in enumerate(np.array_split(np.arange(config.num_genes), config.num_chromosomes), start=1):
        position = 1000
        for index in block:
            position += int(rng.integers(200, 2000))
            tss = position + config.span_bp // 2
            genes.append(Gene(f"G{index:05d}", f"chr{number}", tss, "+-"[int(rng.integers(2))]))
            position += config.span_bp
        sizes[f"chr{number}"] = position + 1000
    return genes, sizes


def _counts(config: SimulationConfig, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Elements per gene and kind. Decoy counts are a shuffle of the causal counts plus extras, so a gene's decoys say
    nothing about its causal elements and their total cannot be the smaller one."""
    causal = 1 + rng.poisson(config.mean_elements - 1, config.num_genes)
    causal = np.minimum(causal, int(3 * config.mean_elements))
    counts = {"causal": causal}
    for kind, ratio in (("open_decoy", config.open_decoy_ratio), ("motif_decoy", config.motif_decoy_ratio)):
        extra = rng.poisson((ratio - 1) * config.mean_elements, config.num_genes)
        counts[kind] = rng.permutation(causal) + extra
    return counts


def _place(
    index: int, gene: Gene, kinds: list[str], config: SimulationConfig, *, rng: np.random.Generator
) -> list[Element]:
    """Non-overlapping places in the domain, denser near the TSS, by the same law for every kind."""
    placed: list[Element] = []
    half = config.span_bp // 2 - config.element_bp[1]
    for kind in rng.permutation(np.array(kinds)):
        width = int(rng.integers(config.element_bp[0], config.element_bp[1] + 1))
        while True:
            distance = half * rng.random() ** 1.3 * rng.choice([-1, 1])
            start = int(gene.tss + distance - width / 2)
            if all(start >= e.end + SPACING_BP or start + width + SPACING_BP <= e.start for e in placed):
                break
        placed.append(Element(str(kind), index, gene.chrom, start, start + width, is_open=kind != "motif_decoy"))
    return placed


def _silence(elements: list[Element], config: SimulationConfig, rng: np.random.Generator) -> None:
    """Take the signal from a fraction of the causal elements of every chromosome, rounded up."""
    causal = [element for element in elements if element.kind == "causal"]
    for chrom in dict.fromkeys(element.chrom for element in causal):
        own = [element for element in causal if element.chrom == chrom]
        for pick in rng.choice(len(own), int(np.ceil(config.missing_signal * len(own))), replace=False):
            own[pick].is_open = False


def _fill(
    element: Element, gene: Gene, motifs: list[Motif], config: SimulationConfig, *, rng: np.random.Generator
) -> None:
    """Choose motif sites (start, motif, strand) and the effect of a causal element."""
    if element.kind == "open_decoy":
        return
    silent = element.kind == "causal" and not element.is_open
    numbers, chances = SITES["silent" if silent else element.kind]
    num_sites = int(rng.choice(numbers, p=chances))
    sign = np.sign(motifs[int(rng.integers(len(motifs)))].weight)  # an element activates or represses, never both
    usable = [k for k, motif in enumerate(motifs) if np.sign(motif.weight) == sign]
    slot = (element.end - element.start) / num_sites
    for number in range(num_sites):
        k = int(rng.choice(usable))
        room = max(int(slot) - motifs[k].width, 1)
        start = element.start + int(number * slot) + int(rng.integers(room))
        element.sites.append((start, k, "+-"[int(rng.integers(2))]))
    if element.kind == "causal":
        strength = sum(motifs[k].weight for _, k, _ in element.sites) / num_sites * 2.5
        element.effect = float(strength * np.exp(-abs(element.centre - gene.tss) / config.decay_bp))
