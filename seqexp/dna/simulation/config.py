"""What a simulated genome looks like: one frozen description, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass

from seqexp.core.errors import ConfigError


@dataclass(frozen=True)
class SimulationConfig:
    """Size and difficulty of a simulated genome.

    The difficulty is a contract, checked here: at least as many decoys of each kind as causal elements, at least a
    tenth of the causal elements without their signal, some repressors.

    Parameters
    ----------
    seed : int
        Everything follows from it.
    num_genes, num_chromosomes : int
        Genes are spread evenly; the last two chromosomes are the test split, the two before them validation.
    span_bp : int
        Width of a gene's domain, centred on the TSS; domains do not overlap.
    mean_elements : float
        Causal elements per gene (Poisson, at least one).
    element_bp : (int, int)
        Narrowest and widest element.
    open_decoy_ratio, motif_decoy_ratio : float
        Decoys per causal element: open without motif, motif without open chromatin. Neither has an effect.
    missing_signal : float
        Fraction of the causal elements that have no signal in any track.
    num_motifs, num_repressors : int
        Kinds of motifs, and how many of them lower expression.
    motif_bp : (int, int)
        Narrowest and widest motif.
    information_bits : float
        Mean information per motif position, of at most 2.
    decay_bp : float
        Distance at which an effect has fallen to 1/e.
    noise_sd : float
        Standard deviation of the expression noise, log2 units.
    background_per_kb : float
        ATAC fragments per kb outside elements.
    peak_fragments, peak_spread : float
        Median number of extra fragments of an open element, and the log-normal spread around it.
    """

    seed: int = 0
    num_genes: int = 1600
    num_chromosomes: int = 10
    span_bp: int = 16_384
    mean_elements: float = 3.0
    element_bp: tuple[int, int] = (140, 280)
    open_decoy_ratio: float = 1.2
    motif_decoy_ratio: float = 1.2
    missing_signal: float = 0.12
    num_motifs: int = 6
    num_repressors: int = 2
    motif_bp: tuple[int, int] = (8, 13)
    information_bits: float = 1.5
    decay_bp: float = 4_000.0
    noise_sd: float = 0.4
    background_per_kb: float = 20.0
    peak_fragments: float = 30.0
    peak_spread: float = 0.5

    def __post_init__(self) -> None:
        rules = [
            (self.num_chromosomes >= 6, "num_chromosomes", "at least 6, so that 2 + 2 can be held out"),
            (self.num_genes >= 2 * self.num_chromosomes, "num_genes", "at least 2 per chromosome"),
            (self.open_decoy_ratio >= 1, "open_decoy_ratio", "at least 1: as many decoys as causal elements"),
            (self.motif_decoy_ratio >= 1, "motif_decoy_ratio", "at least 1: as many decoys as causal elements"),
            (0.1 <= self.missing_signal < 1, "missing_signal", "at least 0.1 and below 1"),
            (1 <= self.num_repressors < self.num_motifs, "num_repressors", "at least 1, fewer than num_motifs"),
            (4 <= self.motif_bp[0] <= self.motif_bp[1], "motif_bp", "(narrowest, widest), at least 4 bp"),
            (4 * self.motif_bp[1] <= self.element_bp[0] <= self.element_bp[1], "element_bp", "room for 4 motifs"),
            (0 < self.information_bits < 2, "information_bits", "between 0 and 2"),
            (min(self.decay_bp, self.background_per_kb, self.peak_fragments) > 0, "decay_bp", "rates above 0"),
            (self.noise_sd >= 0 and self.peak_spread >= 0, "noise_sd", "spreads of at least 0"),
            (self.mean_elements >= 1, "mean_elements", "at least 1"),
            (self._fill() <= 0.5, "span_bp", "elements and decoys fill at most half of the span"),
        ]
        for is_right, key, expected in rules:
            if not is_right:
                raise ConfigError(f"{key} = {getattr(self, key)!r}", where="SimulationConfig", expected=expected)

    def _fill(self) -> float:
        per_gene = self.mean_elements * (1 + self.open_decoy_ratio + self.motif_decoy_ratio)
        return per_gene * (self.element_bp[1] + 60) / self.span_bp
