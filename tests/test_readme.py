"""README and tutorials say what is true: every block runs, word for word, on tiny data.

Three things differ from typing them: trainings end after one epoch (``QUICK``), reports leave their figures out,
and what installs software, fetches data or takes minutes is not run but checked (``NOT_RUN``).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from document import Reader, blocks
from tiny_cells import write_my_cells, write_my_slides

from seqexp.cli import demo
from seqexp.cli.main import COMMANDS, main
from seqexp.core.resources import shipped_folder
from seqexp.recipes.schema import find_recipe
from seqexp.report import page
from seqexp.training import fit

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TUTORIALS = sorted((ROOT / "seqexp" / "tutorials").glob("*.md"))
PAGES = [README, *TUTORIALS, ROOT / "configs" / "benchmarks" / "RESULTS.md", ROOT / "seqexp" / "README.md"]
QUICK = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--run.progress=none"]


def extras() -> set[str]:
    """The extras of pyproject.toml."""
    section = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n[")[0]
    return set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))


def require_extras(command: list[str]) -> None:
    """Whatever stands between the brackets of '.[a,b]' can be installed."""
    for word in command:
        for listed in re.findall(r"\[([\w,-]+)\]", word):
            assert set(listed.split(",")) <= extras(), f"no extra: {listed}"


# First words of a command, and what is checked instead of running it.
NOT_RUN: dict[tuple[str, ...], Callable[[list[str]], object]] = {
    ("python3", "-m", "venv"): lambda command: None,
    (".",): lambda command: None,
    ("pip", "install"): require_extras,
    ("pytest",): lambda command: None,
    ("seqexp", "demo"): lambda command: demo._parser().parse_args(command[2:]),
    ("seqexp", "data", "prepare"): lambda command: find_recipe(command[3]),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages take for granted."""
    folder = tmp_path_factory.mktemp("files")
    write_my_cells(folder / "my_cells")
    write_my_slides(folder / "my_slides")
    described = next(block for block in blocks(README.read_text()) if block.kind == "yaml")
    (folder / str(described.file)).write_text(described.text)  # later pages begin where the first ones end
    return folder


@pytest.fixture
def reader(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    """Follows pages in a folder with copies of the files."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    train = fit.run_fit

    def quick_fit(run_dir: Any, configs: Any = (), overrides: Any = (), *args: Any, **options: Any) -> Any:
        return train(run_dir, configs, [*overrides, *QUICK], *args, **options)

    monkeypatch.setattr(fit, "run_fit", quick_fit)
    monkeypatch.setattr(page, "to_svg", lambda figure, *_: "<svg/>")

    def run(command: list[str]) -> None:
        for first, check in NOT_RUN.items():
            if tuple(command[: len(first)]) == first:
                check(command)
                return
        if command[0] == "export":
            name, _, value = command[1].partition("=")
            assert name == "PYTHONPATH", "the reader sets no other variable"
            monkeypatch.syspath_prepend(str(Path(value).resolve()))
            return
        assert command[0] == "seqexp", f"neither a command of seqexp nor in NOT_RUN: {' '.join(command)}"
        assert main(command[1:]) == 0, f"{' '.join(command)}\n{capsys.readouterr()}"

    return Reader(run, lambda: "".join(capsys.readouterr()))


@pytest.mark.parametrize("path", [README, *TUTORIALS], ids=lambda path: path.stem)
def test_page_does_what_it_says(reader: Reader, path: Path) -> None:
    reader.follow(path.read_text(), path.name)
    if path == README:  # its table of a run folder
        rows = re.findall(r"^\| (`[\w./]+`(?:, `[\w./]+`)*) \|", path.read_text().split("then holds:")[1], re.MULTILINE)
        named = [name for row in rows for name in re.findall(r"`([^`]+)`", row) if "." in name or name.endswith("/")]
        assert len(named) > 10
        assert [name for name in named if not Path("runs/my_cells", name).exists()] == []


def test_readme_without_tracks(reader: Reader) -> None:
    """The same words on DNA alone: the line of the tracks is left out, as the README says."""
    text = README.read_text()
    assert text.count("\ntracks: ") == 1
    reader.follow(re.sub(r"^tracks: .*\n", "", text, flags=re.MULTILINE), "README.md without tracks")
    assert Path("runs/my_cells/report.html").is_file()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_and_names_exist(path: Path) -> None:
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []
    used = re.findall(r"`seqexp ([a-z-]+)", text)
    assert set(used) <= set(COMMANDS)
    configs = set(re.findall(r"\b(?:dna|histology|baselines|benchmarks|base|encoders)/\w+\.yaml", text))
    assert [name for name in configs if not (shipped_folder("configs") / name).exists()] == []
    require_extras(re.findall(r"'(?:seqexp|\.)\[[\w,-]+\]'", text))


def test_readme_is_short_and_names_every_extra_and_command() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 130
    named = set(re.findall(r"`([\w-]+)`", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
    assert extras() - {"cuda"} <= named
    commands = text.split("## Commands")[1].split("\n## ")[0]
    assert [command for command in COMMANDS if not re.search(rf"\b{command}\b", commands)] == []
