"""Which damage befits a file, by its name: by the structure of its format where it has one, and by its bytes."""

from __future__ import annotations

from pathlib import Path

from damage_bytes import BYTES, Damage
from damage_formats import BGZF, BIGWIG, HDF5, IMAGES
from damage_text import TEXT
from damage_values import ARRAYS, VALUES, on_array, on_arrays, on_description, on_weights

_DESCRIBED = {name: on_description(change) for name, change in VALUES.items()}
_WEIGHTS = {name: on_weights(change) for name, change in VALUES.items()}

# endings of names -> (word for the report, damages, weight against one of bytes)
_FORMATS: tuple[tuple[tuple[str, ...], str, dict[str, Damage], int], ...] = (
    ((".yaml", ".json"), "values", _DESCRIBED, 4),
    ((".ckpt", ".pth"), "weights", _WEIGHTS, 3),
    ((".npz",), "arrays", {name: on_arrays(change) for name, change in ARRAYS.items()}, 2),
    ((".npy",), "array", {name: on_array(change) for name, change in ARRAYS.items()}, 1),
    ((".png",), "image", IMAGES, 1),
    ((".bw",), "track", BIGWIG, 2),
    ((".fa.gz", ".bam"), "blocks", BGZF, 3),
    ((".h5ad", ".h5"), "hdf5", HDF5, 3),
    ((".gzi", ".seq", ".f16"), "bytes", {}, 1),
)


def damages_of(path: Path) -> list[tuple[str, Damage]]:
    """All ways in which a file of this name can be damaged, those of its format more often."""
    found = [(f"bytes: {name}", damage) for name, damage in BYTES.items()]
    for endings, word, damages, weight in _FORMATS:
        if path.name.endswith(endings):
            return [(f"{word}: {name}", damage) for name, damage in damages.items()] * weight + found
    return [(f"text: {name}", damage) for name, damage in TEXT.items()] * 2 + found
