"""Which positions matter: Beta evidence, its algebra, relaxations, forced positions. Tensors only."""

from seqexp.dna.selectors.beta import BetaFactor
from seqexp.dna.selectors.selection import Selection
from seqexp.dna.selectors.selector import BetaSelector

__all__ = ["BetaFactor", "BetaSelector", "Selection"]
