"""Known features behind the recipe steps: nucleosome-depleted regions from +1 nucleosomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import inside
from seqexp.dna.genome.prepare_tables import write_table
from seqexp.dna.genome.regions import read_bed
from seqexp.recipes.runner import StepResult

_HALF_NUCLEOSOME_BP = 73  # 147 bp of DNA: the dyad and 73 bp on either side


def nucleosome_depleted(folder: Path, dyads: str, output: str, length_bp: int = 150) -> StepResult:
    """Write the nucleosome-depleted region of each gene: ``length_bp`` upstream of its +1 nucleosome.

    Parameters
    ----------
    folder : Path
        Dataset folder; paths are relative to it.
    dyads : str
        BED of transcripts whose 5' end is the dyad of the +1 nucleosome, strand in column 6.
    output : str
        BED to write, sorted: chrom, start, end, name, 0, strand. With the dyad at d on the plus strand the nucleosome
        covers d - 73 to d + 73, and the region is [d - 73 - length_bp, d - 73).
    length_bp : int
        The depleted stretch before yeast genes is 140 to 150 bp wide.

    Raises
    ------
    ConfigError
        The length is below 1 bp.
    DataError
        The file cannot be read, has no strands, or no region is left.

    Source
    ------
    Width of the nucleosome (147 bp) and of the depleted region: Jansen and Verstrepen 2011, Microbiol. Mol. Biol. Rev.
    75, 301-320.
    """
    if length_bp < 1:
        raise ConfigError(f"length_bp: {length_bp}", expected="at least 1 bp")
    path = inside(folder, dyads)
    genes = read_bed(path)
    if "strand" not in genes or not genes["strand"].isin(["+", "-"]).all():
        raise DataError("genes without a strand", where=path, expected="+ or - in column 6")
    is_plus = (genes["strand"] == "+").to_numpy()
    start, end = genes["start"].to_numpy(np.int64), genes["end"].to_numpy(np.int64)
    first = np.where(is_plus, start - _HALF_NUCLEOSOME_BP - length_bp, end + _HALF_NUCLEOSOME_BP)
    regions = pd.DataFrame(
        {
            "chrom": genes["chrom"],
            "start": np.maximum(first, 0),
            "end": first + length_bp,
            "name": genes["name"],
            "score": 0,
            "strand": genes["strand"],
        }
    )
    regions = regions[regions["end"] > regions["start"]].sort_values(["chrom", "start", "end"], kind="stable")
    if regions.empty:
        raise DataError("no region is left", where=path, expected="at least one gene with a dyad")
    write_table(regions, inside(folder, output), header=False)
    return StepResult((output,), (f"{len(genes)} +1 dyads", f"{len(regions)} regions of {length_bp} bp"))
