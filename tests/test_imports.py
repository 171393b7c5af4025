"""The house rule: data flows one way. Walks every import with ast and fails on a wrong arrow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seqexp"

# Who may import whom: each room lists the rooms it may use (itself always).
HALL = {"core", "objectives", "loading"}
ALLOWED = {
    "": set(),
    "__main__": {"cli"},
    "core": set(),
    "objectives": {"core"},
    "loading": {"core"},
    "dna.genome": {"core"},
    "dna.simulation": {"core", "dna.genome"},
    "dna.loaders": HALL | {"dna.genome"},
    "dna.encoders": {"core"},
    "dna.pretrained": {"core", "dna.encoders"},
    "dna.selectors": {"core"},
    "dna.heads": {"core"},
    "dna.models": HALL | {"dna.loaders", "dna.encoders", "dna.pretrained", "dna.selectors", "dna.heads"},
    "histology.slides": {"core"},
    "histology.simulation": {"core", "histology.slides"},
    "histology.loaders": HALL | {"histology.slides"},
    "histology.encoders": {"core"},
    "histology.models": HALL | {"histology.loaders", "histology.encoders"},
    "training": HALL,
    "dna.elements": HALL | {"training", "dna.genome", "dna.loaders", "dna.models", "dna.selectors"},
    "dna.attribution": HALL | {"training", "dna.genome", "dna.loaders", "dna.models"},
    "dna.benchmark": HALL
    | {"training", "dna.genome", "dna.simulation", "dna.loaders", "dna.models"}
    | {"dna.elements", "dna.attribution"},
    "report": HALL
    | {"training", "dna.genome", "dna.loaders", "dna.models", "dna.elements", "dna.benchmark"}
    | {"histology.slides", "histology.loaders", "histology.models"},
    "cli": HALL
    | {"training", "report", "dna.genome", "dna.simulation", "dna.loaders"}
    | {"dna.encoders", "dna.models", "dna.elements", "dna.benchmark"}
    | {"histology.slides", "histology.simulation", "histology.loaders", "histology.encoders"},
}
NO_TORCH = ("core", "dna.genome", "dna.simulation", "histology.slides", "histology.simulation")
NETWORK_PARTS = ("dna.encoders", "dna.selectors", "dna.heads", "histology.encoders")
OPTIONAL = {"mamba_ssm", "causal_conv1d", "numba", "safetensors", "transformers", "timm", "MACS3"} | {
    *("tifffile", "imagecodecs", "openslide", "anndata", "h5py", "pyarrow", "spatialdata", "peft"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """Longest room that holds a module, given without the leading 'seqexp.'."""
    return max((room for room in ALLOWED if module == room or module.startswith(room + ".")), key=len, default="")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")


def imports_of(path: Path) -> list[tuple[int, str, bool]]:
    """(line, module, at module level) of every import, relative ones refused."""
    tree = ast.parse(path.read_text())
    top = set(ast.walk(ast.Module([n for n in tree.body if not isinstance(n, ast.FunctionDef | ast.ClassDef)], [])))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, node in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names] if base.startswith("seqexp") else [base]
            found += [(node.lineno, name, node in top) for name in names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows(path: Path) -> None:
    room = room_of(name_of(path))
    wrong = []
    for line, module, _ in imports_of(path):
        root = module.split(".")[0]
        if root == "seqexp":
            target = room_of(module.removeprefix("seqexp").removeprefix("."))
            if target not in ALLOWED[room] | {room, ""}:
                wrong.append(f"line {line}: {room or 'seqexp'} imports {target}")
        elif root in {"torch", "pytorch_lightning"} and room in NO_TORCH:
            wrong.append(f"line {line}: {room} imports {root}")
        elif root in {"pandas", "pyfaidx", "pyBigWig"} and room in NETWORK_PARTS:
            wrong.append(f"line {line}: {room} knows files ({root})")
        elif root in OPTIONAL:
            wrong.append(f"line {line}: optional package {root} imported without core.optional.require")
    assert not wrong, f"{path.relative_to(PACKAGE.parent)}: " + "; ".join(wrong)


def test_every_room_has_a_rule() -> None:
    packages = {name_of(p) for p in MODULES if p.name == "__init__.py"}
    ruled = {p for p in packages if any(p == r or p.startswith(r + ".") for r in ALLOWED if r)}
    assert packages - ruled <= {"", "dna", "histology"}


def test_import_is_light() -> None:
    """`import seqexp` and the command table must not pay for torch."""
    heavy = "any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib'))"
    code = f"import sys, seqexp, seqexp.cli.main; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
