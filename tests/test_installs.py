"""What an installation brings: wheels alone, on every Python that is named, and no package that nothing needs.

Asking the registry takes a minute or two for each Python: ``pytest -m registry``.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What a package is called where it is imported, if not as it is installed.
MODULES = {
    "pytorch-lightning": "pytorch_lightning", "biopython": "Bio", "scikit-learn": "sklearn", "PyYAML": "yaml",
    "pillow": "PIL",
}  # fmt: skip
UNSEEN = {"tensorboard"}  # used by Lightning's logger, which is the default


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;! ]", requirement, maxsplit=1)[0]


def imported_modules() -> set[str]:
    """Top-level names that some module of seqexp imports, wherever in it."""
    found = set()
    for path in (ROOT / "seqexp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_every_package_that_is_always_installed_is_used() -> None:
    names, used = {name_of(requirement) for requirement in PROJECT["dependencies"]}, imported_modules()
    unused = {name for name in names - UNSEEN if MODULES.get(name, name) not in used}
    assert not unused


def test_everything_brings_every_extra_that_a_cpu_can_use() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    wanted = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert wanted == set(extras) - {"all", "cuda", "spatialdata", "wandb"}


def test_the_version_is_written_once_more_in_the_package() -> None:
    import seqexp

    assert PROJECT["version"] == seqexp.__version__
    headings = re.findall(r"^## (\S+)", (ROOT / "seqexp" / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == seqexp.__version__


@pytest.mark.registry
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_default_install_is_wheels_alone(python: str, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip"]
    reached = subprocess.run([*pip, "download", "-q", "--no-deps", "-d", str(tmp_path), "einops"], capture_output=True)
    if reached.returncode != 0:
        pytest.skip("no registry can be reached: the wheels of every Python are NOT looked for")
    command = [*pip, "install", "-q", "--dry-run", "--ignore-installed", "--only-binary=:all:"]
    command += ["--python-version", python, "--target", str(tmp_path / "none"), "--report", str(tmp_path / "plan.json")]
    found = subprocess.run([*command, *PROJECT["dependencies"]], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    plan = json.loads((tmp_path / "plan.json").read_text())["install"]
    assert len(plan) > 30
    assert [part["metadata"]["name"] for part in plan if not part["download_info"]["url"].endswith(".whl")] == []
