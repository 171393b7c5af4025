"""Simulated genomes with planted elements. No torch."""

from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.simulate import Genome, make_genome, simulate_genome

__all__ = ["Genome", "SimulationConfig", "make_genome", "simulate_genome"]
