"""The files that a set of masks becomes: elements and mask track of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import require_writable
from seqexp.core.tables import read_table, require_column
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import merge_elements
from seqexp.dna.elements.places import WINDOWS_FILE, Places, windows_comment
from seqexp.dna.elements.writers import Written, write_bed, write_bedgraph, write_bigwig, write_narrowpeak

_WINDOW = ["chrom", "start", "end", "strand"]
SPLITS = ("train", "val", "test", "all")


def load_masks(path: str | Path, split: str = "all") -> BinScores:
    """Masks of a run folder, or of a ``masks.npz``.

    Parameters
    ----------
    path : Path
        A folder that holds masks.npz, or the file itself.
    split : str
        One of :data:`SPLITS`: only its genes, by what the masks say or else the ``predictions.tsv`` beside them.

    Raises
    ------
    ConfigError
        Unknown split.
    DataError
        A file is missing or damaged, or no gene with a mask is in the split.
    """
    if split not in SPLITS:
        raise ConfigError(f"split {split!r}", expected="one of: " + ", ".join(SPLITS))
    path = Path(path)
    file = path / "masks.npz" if path.is_dir() else path
    if not file.is_file():
        fix = f"seqexp report --run-dir {path}" if path.is_dir() else "check the path"
        raise DataError("no masks", where=file, expected="masks.npz of a finished run with a selector", fix=fix)
    masks = BinScores.load(file)
    if split == "all":
        return masks
    if masks.splits is not None:
        return masks.of_split(split)
    table = read_table(file.with_name("predictions.tsv"))
    for column in ("gene_id", "split"):
        require_column(table, column, file.with_name("predictions.tsv"), column)
    wanted = set(table.loc[table["split"] == split, "gene_id"])
    rows = [row for row, gene_id in enumerate(masks.gene_ids) if gene_id in wanted]
    if not rows:
        raise DataError(f"no gene with a mask is in the split {split!r}", where=file)
    return masks.select(rows)


def write_element_files(masks: BinScores, elements: pd.DataFrame, folder: str | Path) -> list[Written]:
    """Write elements and mask track: .bed and .narrowPeak of elements united over genes and of elements per gene.

    The first line of each names ``windows.bed``, the windows that were looked at; the mask is a bedGraph and a bigWig.

    Parameters
    ----------
    masks : BinScores
    elements : DataFrame
        Elements of :func:`seqexp.dna.elements.calling.call_elements`.
    folder : Path
    """
    sizes = masks.chrom_sizes
    united, track = merge_elements(elements), masks.merged()
    places = Places.of_masks(masks, "")
    comments = [windows_comment(len(places))]
    windows = pd.DataFrame([(w.chrom, w.start, w.end, w.strand) for w in places.windows], columns=_WINDOW)
    windows = windows.assign(gene_id=places.gene_ids, score=0.0)
    folder = require_writable(folder)
    per_gene = folder / "elements_per_gene.bed"
    return [
        write_bed(united, folder / "elements.bed", sizes, comments=comments),
        write_narrowpeak(united, folder / "elements.narrowPeak", sizes, comments=comments),
        write_bed(elements, per_gene, sizes, comments=comments),
        write_narrowpeak(elements, per_gene.with_suffix(".narrowPeak"), sizes, comments=comments, is_numbered=False),
        write_bed(windows, folder / WINDOWS_FILE, sizes),
        write_bedgraph(track, folder / "mask.bedGraph", sizes),
        write_bigwig(track, folder / "mask.bw", sizes),
    ]
