"""Wrong inputs that are accepted under the same words, and why that is right; what fits none of these is a fault."""

from __future__ import annotations

import re

# command, damage, reason
ACCEPTED: tuple[tuple[str, str, str], ...] = (
    ("^peaks", r"^peaks\.narrowPeak: ", "peaks are copied as they are given; nothing is there to compare them with"),
    ("^peaks", r"^atac\.bw: ", "a signal as good as another, under names that nothing contradicts"),
    ("^peaks", r"^reads\.", "reads as good as others; their number is told"),
    (
        "",
        r"^(cache|store)/\*: (bytes|array)",
        "kept arrays carry no sum of their values; shape, kind and size are checked",
    ),
    (
        "",
        r"genome\.fa(\.gz)?: (bytes|blocks|text: (a|another) cell)",
        "another base is a base; a FASTA carries no sums",
    ),
    ("", r"atac\.bw: (bytes|track: (negative|one value|some values|no intervals|all but one))", "values of a signal"),
    ("", r"(checkpoints/.*|weights\.pth): (bytes|weights)", "other weights of the same shape and finite"),
    ("elements|compare", r"masks\.npz: arrays: (a number|another number|zeros)", "masks in [0, 1], places inside"),
    ("elements|compare|crispri", r"\.(bed|narrowPeak|tsv): text: ", "another score, place or name that may be"),
    ("fit|predict|features", r"\.tsv: text: (a|another) (cell|column)", "another count or value that may be"),
    ("", r"\.png: image: (a palette|JPEG under)", "other colours, near the first, that a picture may have"),
    ("fit", r"text: rows in another order", "genes in another order are drawn in another order"),
    ("fit", r"^config\.yaml: values: ", "another setting in its range"),
    ("fit|elements|peaks", r"^--", "another setting in its range"),
)


def reason_of(command: str, damage: str) -> str:
    """Why a silent outcome is accepted; empty where nothing says so."""
    return next((why for of, what, why in ACCEPTED if re.search(of, command) and re.search(what, damage)), "")
