"""Does anything of the test spots reach training? Every published way in which it did is looked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import load_yaml
from seqexp.core.yaml_fields import name_list, text
from seqexp.histology.slides.selection import GeneSelection
from seqexp.histology.slides.splits import SPLITS
from seqexp.histology.slides.spots import SpotTable
from seqexp.histology.slides.transforms import ExpressionTransform

Status = Literal["leak", "allowed", "warn"]
_LEVELS = ("slide", "section", "patient", "study")
# What may be allowed by name, because a paper is reproduced or the data leave no choice.
LEAKS = (
    *("slide", "section", "patient", "study", "copies"),
    *("validation", "smoothing", "genes", "transform", "pretraining"),
)
_FIX = {
    "slide": "split by slide or by patient",
    "section": "split by section or by patient",
    "patient": "split by patient",
    "study": "split by study",
    "copies": "keep one of the slides",
    "validation": "give a validation split of its own, apart from the test split",
    "smoothing": "smooth: train",
    "genes": "choose genes on the training slides only",
    "transform": "fit the transform on the training slides only",
    "pretraining": "use an encoder that was not trained on these slides, or test on others",
}


@dataclass(frozen=True)
class PretrainingManifest:
    """What an encoder was trained on, so that it is not tested on it.

    Parameters
    ----------
    name : str
        The encoder.
    slide, section, patient, study : tuple of str
        Names it has seen.
    """

    name: str
    slide: tuple[str, ...] = ()
    section: tuple[str, ...] = ()
    patient: tuple[str, ...] = ()
    study: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> PretrainingManifest:
        """Read a YAML file with ``name`` and any of ``slide``, ``section``, ``patient``, ``study`` (lists).

        Raises
        ------
        ConfigError
            The file cannot be read or has another key.
        """
        content, path = load_yaml(path), Path(path)
        unknown = sorted(set(content) - {"name", *_LEVELS})
        if unknown or "name" not in content:
            raise ConfigError(
                f"unknown key {unknown[0]!r}" if unknown else "key 'name' is missing",
                where=path,
                expected="name, and lists under " + ", ".join(_LEVELS),
            )
        lists = {level: name_list(content.get(level), path, level) for level in _LEVELS}
        return cls(text(content, "name", path), **lists)


@dataclass(frozen=True)
class Finding:
    """One way in which splits meet: what it is, what was found, and whether that is accepted."""

    kind: str
    found: str
    status: Status


@dataclass(frozen=True)
class LeakAudit:
    """Result of :func:`audit_leaks`."""

    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """No leak, or all of them allowed by name."""
        return all(finding.status != "leak" for finding in self.findings)

    def render(self) -> str:
        """One line per finding, after the sizes of the splits."""
        sizes = ", ".join(f"{name} {num}" for name, num in self.counts.items())
        return "\n".join([f"spots: {sizes}", *(f"{f.status}: {f.kind}: {f.found}" for f in self.findings)])

    def require_ok(self, where: str | Path | None = None) -> LeakAudit:
        """This audit, if nothing leaks.

        Raises
        ------
        DataError
            Something leaks; the message names all of it and how to accept it.
        """
        leaks = [finding for finding in self.findings if finding.status == "leak"]
        if leaks:
            kinds = list(dict.fromkeys(finding.kind for finding in leaks))
            raise DataError(
                "test data leak into training: " + "; ".join(finding.found for finding in leaks),
                where=where or "splits",
                expected="nothing of the test spots known while training",
                fix="; ".join(_FIX[kind] for kind in kinds) + f"; or accept it with allow: [{', '.join(kinds)}]",
            )
        return self


def audit_leaks(
    spots: SpotTable,
    labels: ArrayLike,
    transform: ExpressionTransform | None = None,
    genes: GeneSelection | None = None,
    *,
    pretraining: Sequence[PretrainingManifest] = (),
    allow: Iterable[str] = (),
) -> LeakAudit:
    """Look for every way from test spots into training.

    Parameters
    ----------
    spots : SpotTable
        S spots.
    labels : str array (S,)
        Their splits.
    transform, genes, pretraining : optional
        What was fitted, and on what.
    allow : iterable of str
        Of :data:`LEAKS`: found and reported, but accepted.

    Raises
    ------
    ConfigError
        ``allow`` names something unknown.
    """
    allowed = set(allow)
    if allowed - set(LEAKS):
        raise ConfigError(f"allow: {sorted(allowed - set(LEAKS))[0]!r}", expected="any of: " + ", ".join(LEAKS))
    labels = np.asarray(labels)
    found = [
        *_shared_groups(spots, labels),
        *_copies(spots, labels),
        *_validation(labels),
        *(_smoothed(transform, labels) if transform else ()),
        *(_fitted("transform", transform.fitted_on, spots, labels) if transform and transform.is_data_driven else ()),
        *(_fitted("genes", genes.fitted_on, spots, labels) if genes else ()),
        *(finding for manifest in pretraining for finding in _pretraining(manifest, spots, labels)),
    ]
    findings = tuple(
        Finding(f.kind, f.found, "allowed") if f.status == "leak" and f.kind in allowed else f for f in found
    )
    return LeakAudit({name: int((labels == name).sum()) for name in (*SPLITS, "none")}, findings)


def _shared_groups(spots: SpotTable, labels: np.ndarray) -> Iterable[Finding]:
    for level in _LEVELS:
        names = spots.frame[level].astype(str).to_numpy()
        test = set(names[labels == "test"]) - {""}
        if level == "study" and len(set(names)) == 1:
            continue  # one study: nothing to keep apart
        for name in ("train", "val"):
            both = sorted(test & set(names[labels == name]))
            if both:
                status: Status = "warn" if level == "study" else "leak"
                yield Finding(level, f"{level} {', '.join(both[:5])} in {name} and in test", status)
        both = sorted(set(names[labels == "train"]) & set(names[labels == "val"]) - {""})
        if both and level != "study":
            yield Finding(
                level, f"{level} {', '.join(both[:5])} in train and in val: early stopping is flattered", "warn"
            )


def _copies(spots: SpotTable, labels: np.ndarray) -> Iterable[Finding]:
    """Slides with the same counts under two names, and sections under two patients: one thing on both sides."""
    seen: dict[str, str] = {}
    for slide in spots.slides:
        rows = spots.rows_of(slide)
        digest = hashlib.sha256()
        part = spots.counts[rows].sorted_indices()
        for values in (part.indptr, part.indices, part.data):
            digest.update(np.ascontiguousarray(values).tobytes())
        first = seen.setdefault(digest.hexdigest(), slide)
        if first != slide and set(labels[rows]) != set(labels[spots.rows_of(first)]):
            yield Finding("copies", f"slides {first} and {slide} have the same counts, in different splits", "leak")
    patients = spots.frame.groupby("section")["patient"].nunique()
    for section in patients.index[patients > 1]:
        yield Finding("copies", f"section {section} stands under {patients[section]} patients", "leak")


def _validation(labels: np.ndarray) -> Iterable[Finding]:
    for name in SPLITS:
        if not (labels == name).any():
            yield Finding("validation", f"no {name} spots", "leak")


def _smoothed(transform: ExpressionTransform, labels: np.ndarray) -> Iterable[Finding]:
    is_smoothed = transform.smoothed_rows(labels)
    for name in ("test", "val"):
        num = int((is_smoothed & (labels == name)).sum())
        if num:
            yield Finding("smoothing", f"labels of {num} {name} spots are smoothed", "leak")


def _fitted(kind: str, fitted_on: Sequence[str], spots: SpotTable, labels: np.ndarray) -> Iterable[Finding]:
    held_out = {name: set(spots.frame["slide"].to_numpy()[labels == name]) for name in ("test", "val")}
    what = {"genes": "genes were chosen", "transform": "the transform was fitted"}[kind]
    if not fitted_on:
        yield Finding(kind, f"{what} on slides nobody knows", "warn")
    for name, slides in held_out.items():
        both = sorted(slides & set(fitted_on))
        if both:
            yield Finding(kind, f"{what} on {name} slide {', '.join(both[:5])}", "leak")


def _pretraining(manifest: PretrainingManifest, spots: SpotTable, labels: np.ndarray) -> Iterable[Finding]:
    test = spots.frame[labels == "test"]
    for level in _LEVELS:
        both = sorted(set(getattr(manifest, level)) & set(test[level].astype(str)))
        if both:
            yield Finding("pretraining", f"{manifest.name} was trained on test {level} {', '.join(both[:5])}", "leak")
