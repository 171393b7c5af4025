"""What a disk refuses is one message in every writer, whatever its library makes of it; nothing half-written stays."""

from __future__ import annotations

import errno
import gzip
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from full_disk import fill_disk
from PIL import Image

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_dir, atomic_path, is_temporary, require_output, require_writable
from seqexp.core.links import bound_to
from seqexp.core.lock import LOCK, own_folder
from seqexp.core.manifest import MANIFEST, record_files
from seqexp.core.write_errors import write_error
from seqexp.dna.elements.writers import write_bigwig
from seqexp.training.checkpoints import AtomicCheckpointIO

VALUES = np.arange(200_000, dtype=np.float64)


def _bigwig(path: Path) -> None:
    starts = np.arange(1000) * 10
    track = pd.DataFrame({"chrom": "c", "start": starts, "end": starts + 5, "value": np.sin(starts)})
    write_bigwig(track, path, {"c": 10_000})


def _gzip(path: Path) -> None:
    with gzip.open(path, "wb") as handle:
        handle.write(b"text")


def _within(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def writer(path: Path) -> None:
        with atomic_path(path) as temporary:
            write(temporary)

    return writer


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.ckpt": lambda path: AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.zeros(200_000)}}, path),
    "a.bw": _bigwig,
    "a.npy": _within(lambda path: np.save(path, VALUES)),
    "a.npz": _within(lambda path: np.savez_compressed(path, values=np.random.default_rng(0).random(200_000))),
    "a.tsv": _within(lambda path: pd.DataFrame({"a": VALUES}).to_csv(path)),
    "a.gz": _within(_gzip),
    "a.h5ad": _within(lambda path: anndata.AnnData(VALUES.reshape(-1, 100)).write_h5ad(path)),
    "a.png": _within(lambda path: Image.new("RGB", (500, 500)).save(path)),
    "a.tif": _within(lambda path: tifffile.imwrite(path, VALUES)),
    "a.txt": _within(lambda path: path.write_text("x")),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_message_and_leaves_what_was_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text("earlier")
    with fill_disk(monkeypatch), pytest.raises(DataError, match=f"cannot write {name}: No space left"):
        WRITERS[name](tmp_path / name)
    assert (tmp_path / name).read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_mistake_of_the_program_stays_one_on_a_disk_with_room(tmp_path: Path) -> None:
    for mistake in (RuntimeError("shape"), KeyError("a"), FileNotFoundError(errno.ENOENT, "No such file", "input.fa")):
        with pytest.raises(type(mistake)), atomic_path(tmp_path / "a"):
            raise mistake
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_every_refusal_to_write_is_told(number: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write a") as caught, atomic_path(tmp_path / "a"):
        raise OSError(number, "x")
    assert caught.value.fix
    with pytest.raises(DataError, match="cannot write data"), atomic_dir(tmp_path / "data", last="b") as part:
        (part / "a").write_text("1")
        raise RuntimeError("some library") from OSError(number, "x")
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "else")
    for folder, told in (("file/a/b", "is a file, not a folder"), ("link/a", "is a link that leads to no folder")):
        with pytest.raises(DataError, match=told):
            require_writable(tmp_path / folder)
        with pytest.raises(DataError, match=told), atomic_path(tmp_path / folder / "x.tsv"):
            pass
    with pytest.raises(DataError, match="cannot write into x"):
        require_writable("/sys/x")
    with pytest.raises(DataError, match="the output is a folder"):
        require_output(tmp_path)
    with pytest.raises(DataError, match=r"a\.tsv: Is a directory"), atomic_path(tmp_path / "a.tsv") as part:
        (tmp_path / "a.tsv").mkdir()
        part.write_text("x")
    with pytest.raises(DataError, match="shorter name"):
        require_writable(tmp_path / ("n" * 300))
    assert "ulimit -n" in str(write_error(OSError(errno.EMFILE, ""), tmp_path / "a"))


def test_names_up_to_the_limit_can_be_written(tmp_path: Path) -> None:
    name = "é" * 125 + ".tsv"
    with atomic_path(tmp_path / name) as part:
        assert part.suffix == ".tsv"
        assert is_temporary(part.name)
        part.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_link_in_an_owned_folder_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    precious = tmp_path / "elsewhere" / "precious"
    precious.write_text("precious")
    (tmp_path / "out" / "logs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "a.tsv").symlink_to(precious)
    with bound_to(tmp_path / "out"):
        with pytest.raises(DataError, match="logs leads out of the folder"), atomic_path(tmp_path / "out/logs/deep/x"):
            pass
        with pytest.raises(DataError, match="leads out"), atomic_dir(tmp_path / "out" / "logs", last="x"):
            pass
        with atomic_path(tmp_path / "out" / "a.tsv") as part:  # a link itself gives way to the file
            part.write_text("new")
    for name in (LOCK, MANIFEST):
        (tmp_path / "out" / name).symlink_to(precious)
    with pytest.raises(DataError, match="remove the link"), own_folder(tmp_path / "out"):
        pass
    with pytest.raises(DataError, match="remove the link"), record_files(tmp_path / "out"):
        WRITERS["a.txt"](tmp_path / "out" / "b.txt")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["precious"]
    assert precious.read_text() == "precious"
    assert (tmp_path / "out" / "a.tsv").read_text() == "new"
