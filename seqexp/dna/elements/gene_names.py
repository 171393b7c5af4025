"""Whose an element is, by its name: one gene, several joined by commas, or a gene with a number (``GENE_2``)."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd


def unversioned(ids: pd.Series) -> pd.Series:
    """Gene ids without the version of Ensembl; symbols may hold dots (``RP11-1.2``) and stay whole."""
    return ids.str.replace(r"^(ENS[A-Z]*G\d+)\.\d+$", r"\1", regex=True)


def genes_of(names: pd.Series, known: Collection[str]) -> pd.Series:
    """Genes of named elements, as the files of ``seqexp elements`` name them.

    Parameters
    ----------
    names : Series of str
    known : collection of str
        Ids and symbols of genes, unversioned.

    Returns
    -------
    Series of str
        Genes under the index of ``names``, which comes once for every gene of an element; also names that are no gene.
    """
    each = names.astype(str).str.split(",").explode()
    plain = unversioned(each)
    return plain.where(plain.isin(set(known)), unversioned(each.str.replace(r"_\d+$", "", regex=True)))
