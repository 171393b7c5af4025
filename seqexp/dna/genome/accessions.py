"""RefSeq accessions of the chromosomes of common genomes, which NCBI numbers in order and uses as their names."""

from __future__ import annotations

import re

_ACCESSION = re.compile(r"^(N[CT]_\d{6})\.\d+$")
_ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]


def _run(first: int, names: list[str]) -> dict[str, str]:
    return {f"NC_{first + place:06d}": name for place, name in enumerate(names)}


def _numbers(last: int) -> list[str]:
    return [str(number) for number in range(1, last + 1)]


_CHROMOSOMES = {
    **_run(1, [*_numbers(22), "X", "Y"]),  # human
    **_run(67, [*_numbers(19), "X", "Y"]),  # mouse
    **_run(7112, _numbers(25)),  # zebrafish
    **_run(1133, _ROMAN),  # budding yeast
    **_run(3279, [*_ROMAN[:5], "X"]),  # Caenorhabditis elegans
    "NC_003070": "1",
    "NC_003071": "2",
    "NC_003074": "3",
    "NC_003075": "4",
    "NC_003076": "5",  # Arabidopsis
    "NT_033779": "2L",
    "NT_033778": "2R",
    "NT_037436": "3L",
    "NT_033777": "3R",  # Drosophila melanogaster
    "NC_004353": "4",
    "NC_004354": "X",
    "NC_024512": "Y",
    **dict.fromkeys(("NC_012920", "NC_005089", "NC_002333", "NC_001224", "NC_001328", "NC_024511"), "MT"),
}


def chromosome_of(accession: str) -> str | None:
    """Name of the chromosome (``1``, ``X``, ``MT``) behind a versioned accession; None for any other name."""
    match = _ACCESSION.match(accession)
    return None if match is None else _CHROMOSOMES.get(match[1])
