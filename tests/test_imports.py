"""The house rule: data flows one way. Walks every import with ast and fails on a wrong arrow."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seqexp"

# Who may import whom: each room lists the rooms it may use (itself always), none that it does not use.
ALLOWED: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "core": set(),
    "recipes": {"core"},
    "layers": {"core"},
    "layers.scans": {"core"},
    "objectives": {"core"},
    "loading": {"core"},
    "training": {"core", "objectives"},
    "dna.genome": {"core", "recipes"},
    "dna.motifs": {"core", "dna.genome"},
    "dna.simulation": {"core", "dna.genome"},
    "dna.loaders": {"core", "objectives", "loading", "dna.genome"},
    "dna.encoders": {"core", "layers", "layers.scans"},
    "dna.pretrained": {"core", "layers", "dna.encoders"},
    "dna.selectors": {"core"},
    "dna.heads": {"core"},
    "dna.models": {"core", "objectives", "dna.motifs", "dna.loaders", "dna.encoders", "dna.selectors"} | {"dna.heads"},
    "dna.peaks": {"core", "dna.genome"},
    "dna.elements": {"core", "dna.genome"},
    "dna.attribution": {"objectives", "dna.loaders", "dna.models"},
    "dna.evaluation": {"core", "objectives", "loading", "training", "dna.genome", "dna.motifs", "dna.loaders"}
    | {"dna.peaks", "dna.elements"},
    "dna.benchmark": {"core", "objectives", "training", "dna.genome", "dna.simulation", "dna.loaders", "dna.models"}
    | {"dna.peaks", "dna.elements", "dna.attribution", "dna.evaluation"},
    "histology.slides": {"core", "recipes"},
    "histology.simulation": {"core"},
    "histology.loaders": {"core", "objectives", "loading", "histology.slides"},
    "histology.encoders": {"core", "layers"},
    "histology.models": {"core", "layers", "objectives", "histology.loaders"},
    "histology.evaluation": {"core", "objectives", "loading", "training", "histology.slides", "histology.loaders"},
    "histology.benchmark": {"core", "histology.evaluation"},
    "report": {"core", "dna.evaluation", "dna.benchmark", "histology.evaluation"},
    "api": {"core", "objectives", "loading", "training", "report", "dna.genome", "dna.loaders", "dna.elements"}
    | {"dna.evaluation", "histology.slides", "histology.loaders", "histology.evaluation", "histology.benchmark"},
    "cli": {"core", "recipes", "layers.scans", "objectives", "training", "report", "api"}
    | {
        "dna.genome",
        "dna.motifs",
        "dna.simulation",
        "dna.loaders",
        "dna.peaks",
        "dna.elements",
        "dna.evaluation",
        "dna.benchmark",
    }
    | {"histology.slides", "histology.simulation", "histology.loaders", "histology.encoders"},
}
NO_TORCH = ("core", "recipes", "dna.genome", "dna.motifs", "dna.simulation", "dna.peaks", "histology.slides")
NO_TORCH += ("histology.simulation",)
NETWORK_PARTS = ("layers", "layers.scans", "dna.encoders", "dna.selectors", "dna.heads", "histology.encoders")
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


@pytest.mark.parametrize("path", sorted((PACKAGE / "report").glob("*.py")), ids=name_of)
def test_pages_are_drawn_from_results(path: Path) -> None:
    """Of the wings, `report/` knows result types alone, which stand in modules named results."""
    modules = [module.removeprefix("seqexp.") for _, module, _ in imports_of(path) if module.startswith("seqexp.")]
    of_wings = [module for module in modules if module.startswith(("dna.", "histology."))]
    assert [module for module in of_wings if ".results." not in module] == []


def rooms_used(path: Path) -> set[str]:
    """Rooms of seqexp that a module imports from."""
    names = [m.removeprefix("seqexp").removeprefix(".") for _, m, _ in imports_of(path) if m.split(".")[0] == "seqexp"]
    return {room_of(name) for name in names}


def test_no_permission_is_unused() -> None:
    used: dict[str, set[str]] = {}
    for path in MODULES:
        used.setdefault(room_of(name_of(path)), set()).update(rooms_used(path))
    idle = {room: rooms - used.get(room, set()) for room, rooms in ALLOWED.items()}
    assert not {room: rooms for room, rooms in idle.items() if rooms}


def test_no_module_imports_itself_through_others() -> None:
    known = {name_of(path) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        names = [m.removeprefix("seqexp.") for _, m, _ in imports_of(path) if m.startswith("seqexp.")]
        targets = {name if name in known else name.rpartition(".")[0] for name in names}
        graph[name_of(path)] = (targets & known) - {name_of(path)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("circle: " + " imports ".join(reversed(error.args[1])))


def test_every_room_has_a_rule() -> None:
    packages = {name_of(p) for p in MODULES if p.name == "__init__.py"}
    ruled = {p for p in packages if any(p == r or p.startswith(r + ".") for r in ALLOWED if r)}
    assert packages - ruled <= {"", "dna", "histology"}


def test_import_is_light() -> None:
    """`import seqexp` and the command table must not pay for torch."""
    heavy = "any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib'))"
    code = f"import sys, seqexp, seqexp.cli.main; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
