"""`seqexp doctor`: what is installed and usable on this machine."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
from importlib import metadata

from seqexp import __version__


def _package(name: str, module: str, gives: str, extra: str | None = None) -> tuple[str, str, str]:
    """One line of the table: name, state, what it gives or how to get it."""
    if importlib.util.find_spec(module) is None:
        return name, "missing", f"pip install 'seqexp[{extra}]' for {gives}" if extra else f"required for {gives}"
    try:
        return name, metadata.version(name), gives
    except metadata.PackageNotFoundError:
        return name, "installed", gives


def _memory_gib() -> float | None:
    """Physical memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def _usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _torch_lines() -> list[tuple[str, str, str]]:
    import torch

    lines = [("torch", str(torch.__version__), f"{torch.get_num_threads()} threads for computing")]
    if not torch.cuda.is_available():
        return [*lines, ("CUDA", "no device", "training runs on the CPU")]
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        precision = "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
        lines.append((f"CUDA {number}", card.name, f"{card.total_memory / 2**30:.0f} GiB, precision {precision}"))
    return lines


def _backend_lines() -> list[tuple[str, str, str]]:
    """One line per way to compute a scan or a convolution: usable or why not."""
    from seqexp.layers.scans.backends import OPERATIONS, why_not

    lines = []
    for operation, backends in OPERATIONS.items():
        for backend in backends:
            reason = why_not(operation, backend)
            note = _BACKEND_NOTES[backend] if reason is None else reason
            lines.append((f"{operation} {backend}", "usable" if reason is None else "not usable", note))
    return lines


_BACKEND_NOTES = {
    "kernels": "fused, on CUDA devices",
    "numba": "compiled, on the CPU",
    "torch": "plain torch, everywhere",
    "reference": "float64 steps, for tests",
}


def survey() -> list[tuple[str, str, str]]:
    """(what, state, meaning) of everything worth knowing before a run."""
    memory = _memory_gib()
    return [
        ("seqexp", __version__, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("cores", str(_usable_cores()), f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"),
        ("memory", "unknown" if memory is None else f"{memory:.1f} GiB", "physical"),
        ("disk", f"{shutil.disk_usage('.').free / 2**30:.1f} GiB", "free in this folder"),
        *_torch_lines(),
        _package("pytorch-lightning", "pytorch_lightning", "training"),
        _package("jsonargparse", "jsonargparse", "configs"),
        _package("pyfaidx", "pyfaidx", "FASTA files"),
        _package("pyBigWig", "pyBigWig", "bigWig files"),
        _package("macs3", "MACS3", "peak calling", "macs3"),
        _package("mamba-ssm", "mamba_ssm", "fused scans on GPUs (plain ones are built in)", "cuda"),
        _package("causal-conv1d", "causal_conv1d", "the fused convolution on GPUs", "cuda"),
        _package("numba", "numba", "the compiled Mamba-1 scan on CPUs", "numba"),
        _package("safetensors", "safetensors", "published weights in that format", "pretrained"),
        *_backend_lines(),
    ]


def main(argv: list[str]) -> int:
    """Print the survey; 1 when something required is missing."""
    argparse.ArgumentParser(prog="seqexp doctor", description=__doc__).parse_args(argv)
    lines = survey()
    for name, state, meaning in lines:
        print(f"{name:<26}{state:<22}{meaning}")
    return int(any(meaning.startswith("required") for _, _, meaning in lines))
