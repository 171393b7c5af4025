"""Time and memory of the encoders, against peers and limits measured in the same run.

``pytest -m benchmark -s tests/benchmarks/test_bench_encoders.py`` on an idle machine; about fifteen minutes on two
cores. Every figure comes from a fresh process: wall time of forward and backward with torch's own number of threads,
best of several; memory is what the peak of the resident set grows by. seqexp keeps freed memory where `seqexp fit` does
(up to 131,072 tokens); peers run as they come. With the same setting transformers' slow path is three times faster.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytestmark = pytest.mark.benchmark
WIDTH, INNER, STATES = 128, 256, 16  # Mamba-1
HEAD_DIM, STATE_SIZE, CHUNK = 64, 64, 64  # Mamba-2
Step = Callable[[], None]


def fresh(case: str, *settings: int, repeats: int = 1) -> tuple[float, float]:
    """Seconds and MB of a case of :data:`CASES`, in a process of its own."""
    code = f"from test_bench_encoders import report; report({case!r}, {settings!r}, {repeats})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    environment.pop("OMP_NUM_THREADS", None)
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(f"{case} {settings}: {found.stderr[-2000:]}")
    seconds, megabytes = json.loads(found.stdout.splitlines()[-1])
    return seconds, megabytes


def report(case: str, settings: tuple[int, ...], repeats: int) -> None:
    """What the fresh process runs: one short warm-up, then the case."""
    from seqexp.core.memory import keep_freed_memory, peak_resident_bytes

    if case not in PEERS:
        keep_freed_memory(settings[0])
    torch.manual_seed(0)
    make = CASES[case]
    make(*(min(setting, 256) for setting in settings))()
    step = make(*settings)
    gc.collect()
    before = peak_resident_bytes()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(json.dumps([min(times), (peak_resident_bytes() - before) / 2**20]))


def both_ways(module: nn.Module, length: int) -> Step:
    """Forward and backward on one sequence."""
    x = torch.randn(1, length, WIDTH)

    def step() -> None:
        module.zero_grad(set_to_none=True)
        output = module(x)
        (output if isinstance(output, Tensor) else output[0]).square().mean().backward()

    return step


def mamba(length: int) -> Step:
    from seqexp.dna.encoders.mamba import MambaMixer

    return both_ways(MambaMixer(WIDTH, STATES, is_bidirectional=False), length)


def mamba_plain(length: int) -> Step:
    """Without the compiled loop."""
    import seqexp.dna.encoders.mamba as module

    return _with_scan(lambda *tensors: _scan(*tensors, backend="torch"), module, length)


def _scan(*tensors: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    from seqexp.layers.scans.scan import selective_scan

    return selective_scan(*tensors, **settings)


def mamba_unbind(length: int) -> Step:
    """The loop one writes first: all (L, D, N) products at once, then one step at a time."""
    import seqexp.dna.encoders.mamba as module

    def scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None) -> Any:
        decay = torch.exp(dt[..., None] * A)
        written = (dt * x)[..., None] * B[:, :, None]
        state = torch.zeros_like(written[:, 0])
        states = []
        for factor, update in zip(decay.unbind(1), written.unbind(1), strict=True):
            state = factor * state + update
            states.append(state)
        return torch.einsum("bldn,bln->bld", torch.stack(states, 1), C), state

    return _with_scan(scan, module, length)


def _with_scan(scan: Callable[..., Any], module: Any, length: int) -> Step:
    """The mixer with another scan in place of its own; extra arguments (state, mask) are not used here."""
    module.selective_scan = lambda x, dt, A, B, C, *rest, **named: scan(x, dt, A, B, C)
    return both_ways(module.MambaMixer(WIDTH, STATES, is_bidirectional=False), length)


def mamba_transformers(length: int) -> Step:
    from transformers.models.mamba.configuration_mamba import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    sizes = {"hidden_size": WIDTH, "state_size": STATES, "expand": 2, "num_hidden_layers": 1}
    return both_ways(MambaMixer(MambaConfig(**sizes), layer_idx=0), length)


def mamba_mambapy(length: int) -> Step:
    from mambapy.mamba import MambaBlock, MambaConfig

    return both_ways(MambaBlock(MambaConfig(d_model=WIDTH, n_layers=1, d_state=STATES, expand_factor=2)), length)


def mamba2(length: int) -> Step:
    from seqexp.dna.encoders.mamba2 import Mamba2Mixer

    return both_ways(Mamba2Mixer(WIDTH, HEAD_DIM, STATE_SIZE, is_bidirectional=False, chunk=CHUNK), length)


def mamba2_transformers(length: int, chunk: int) -> Step:
    from transformers.models.mamba2.configuration_mamba2 import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    sizes = {"hidden_size": WIDTH, "num_heads": INNER // HEAD_DIM, "head_dim": HEAD_DIM, "state_size": STATE_SIZE}
    config = Mamba2Config(**sizes, n_groups=1, chunk_size=chunk, num_hidden_layers=1)
    return both_ways(Mamba2Mixer(config, layer_idx=0), length)


def limits(length: int) -> Step:
    """What the machine cannot beat: the products of a Mamba-2 layer at its own matmul rate, its tensors copied.

    Per position, multiply-adds: both projections, and within chunks of Q positions C Bᵀ (Q S), its product with the
    values (Q I), states written and read (S I each). Backward costs twice as much. Tensors: input, projected,
    convolved, scanned and output, each written and read once forward and twice backward.
    """
    projected = 2 * INNER + 2 * STATE_SIZE + INNER // HEAD_DIM
    products = WIDTH * projected + INNER * WIDTH + CHUNK * STATE_SIZE + CHUNK * INNER + 2 * STATE_SIZE * INNER
    numbers = WIDTH + projected + (INNER + 2 * STATE_SIZE) + INNER + WIDTH
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    num_products = max(1, round(3 * products * length / 1024**3))
    source = torch.randn(numbers, length)

    def step() -> None:
        for _ in range(num_products):
            left @ right
        for _ in range(3):
            source.clone()

    return step


def _encoder(kind: str) -> nn.Module:
    from seqexp.dna.encoders.mamba import MambaEncoder
    from seqexp.dna.encoders.mamba2 import Mamba2Encoder

    if kind == "mamba":
        return MambaEncoder(WIDTH, 4, state_size=STATES, checkpoint=True)
    return Mamba2Encoder(WIDTH, 4, head_dim=HEAD_DIM, state_size=STATE_SIZE, checkpoint=True)


def _reading(kind: str, length: int) -> Step:
    encoder, x = _encoder(kind).eval(), torch.randn(1, length, WIDTH)

    def step() -> None:
        with torch.inference_mode():
            encoder(x)

    return step


def seq2exp(length: int, bin_bp: int, is_training: int) -> Step:
    """The network of ``configs/dna/k562_chr22_mamba.yaml`` on one window; bases or bins as tokens."""
    from seqexp.dna.loaders.random_batch import random_batch
    from seqexp.training.config import RunConfig
    from seqexp.training.cost import prediction_step, training_step
    from seqexp.training.stack import config_stack

    part = "--model.network.init_args.stem.init_args.bin_bp"
    flags = [f"{part}={bin_bp}", f"--data.init_args.signal_bin_bp={bin_bp}"]
    settings = RunConfig([*(f"--config={path}" for path in config_stack(["dna/k562_chr22_mamba.yaml"])), *flags])
    network, device = settings.model.network, torch.device("cpu")
    batch = random_batch(1, max(length, 2 * bin_bp), bin_bp, 3)
    if is_training:
        return training_step(settings.model, network, batch, device, precision="32-true")
    return prediction_step(network, batch, device)


PEERS = ("Mamba-1, unbind loop", "Mamba-1, transformers", "Mamba-1, mambapy", "Mamba-2, transformers")
CASES: dict[str, Callable[..., Step]] = {
    "Mamba-1, seqexp": mamba,
    "Mamba-1, seqexp, plain torch": mamba_plain,
    "Mamba-1, unbind loop": mamba_unbind,
    "Mamba-1, transformers": mamba_transformers,
    "Mamba-1, mambapy": mamba_mambapy,
    "Mamba-2, seqexp": mamba2,
    "Mamba-2, transformers": mamba2_transformers,
    "limit of the machine": limits,
    "train mamba": lambda length: both_ways(_encoder("mamba"), length),
    "train mamba2": lambda length: both_ways(_encoder("mamba2"), length),
    "read mamba": lambda length: _reading("mamba", length),
    "read mamba2": lambda length: _reading("mamba2", length),
    "seq2exp": seq2exp,
}


def show(name: str, cost: tuple[float, float], note: str = "") -> None:
    print(f"{name:<52}{cost[0]:>9.3f} s{cost[1]:>10,.0f} MB   {note}", flush=True)


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: nothing to compare with")


def test_mamba_against_transformers() -> None:
    need("transformers")
    ours = fresh("Mamba-1, seqexp", 2048, repeats=5)
    theirs = fresh("Mamba-1, transformers", 2048)
    print()
    show("Mamba-1 L=2,048, seqexp", ours)
    show("Mamba-1 L=2,048, transformers slow path", theirs, f"{theirs[0] / ours[0]:.0f} times the time")
    assert theirs[0] > 300 * ours[0]


def test_mamba_against_mambapy_and_the_loop() -> None:
    need("mambapy")
    ours = fresh("Mamba-1, seqexp", 32_768, repeats=3)
    print()
    show("Mamba-1 L=32,768, seqexp", ours)
    show("Mamba-1 L=32,768, seqexp, plain torch", fresh("Mamba-1, seqexp, plain torch", 32_768))
    for peer in ("Mamba-1, mambapy", "Mamba-1, unbind loop"):
        theirs = fresh(peer, 32_768)
        times = f"{theirs[0] / ours[0]:.1f} times the time, {theirs[1] / ours[1]:.1f} the memory"
        show(peer.replace(",", " L=32,768,"), theirs, times)
        assert theirs[0] > 8 * ours[0]
        assert theirs[1] > 6 * ours[1]


def test_mamba2_against_transformers_and_the_limit() -> None:
    need("transformers")
    ours = fresh("Mamba-2, seqexp", 32_768, repeats=9)
    limit = fresh("limit of the machine", 32_768, repeats=9)
    print()
    show("Mamba-2 L=32,768, seqexp", ours, f"{ours[0] / limit[0]:.1f} times the limit")
    show("limit: its products and copies", limit)
    for chunk in (256, 64):
        theirs = fresh("Mamba-2, transformers", 32_768, chunk)
        show(f"Mamba-2 L=32,768, transformers, chunk {chunk}", theirs, f"{theirs[0] / ours[0]:.1f} times the time")
        assert theirs[0] > 2.5 * ours[0]
    assert ours[0] < 6 * limit[0]


@pytest.mark.parametrize("case", ["Mamba-1, seqexp", "Mamba-2, seqexp"])
def test_cost_grows_linearly(case: str) -> None:
    short, long = fresh(case, 16_384, repeats=9), fresh(case, 131_072, repeats=3)
    print()
    show(f"{case} L=16,384", short)
    show(f"{case} L=131,072", long, f"{long[0] / short[0]:.1f} times the time (8 is linear)")
    assert long[0] < 9 * short[0]


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_memory_of_long_windows(kind: str) -> None:
    train, read = fresh(f"train {kind}", 200_000), fresh(f"read {kind}", 1_000_000)
    print()
    show(f"4 bidirectional layers, {kind}, 200 kb, training", train)
    show(f"4 bidirectional layers, {kind}, 1 Mb, inference", read)
    assert train[1] < 6_000
    assert read[1] < 4_000


def test_seq2exp_on_200_kb() -> None:
    """4 + 4 bidirectional layers, on bases and on bins of 32 bp; ratios are asserted, seconds are printed."""
    print()
    costs = {}
    for is_training, what in ((0, "forward"), (1, "training step")):
        for bin_bp in (1, 32):
            costs[what, bin_bp] = fresh("seq2exp", 196_608, bin_bp, is_training)
            show(f"Seq2Exp, 196,608 bp, tokens of {bin_bp} bp, {what}", costs[what, bin_bp])
        assert costs[what, 1][0] > 8 * costs[what, 32][0]


def test_estimate_is_within_a_quarter() -> None:
    """``seqexp estimate`` measures short windows only; here the long one is run as well."""
    from seqexp.training.cost import Cost, extrapolate

    lengths = (16_384, 32_768, 65_536)
    command = [sys.executable, "-m", "seqexp", "estimate", "--measure", "--config", "dna/k562_chr22.yaml"]

    def run(length: int) -> Cost:
        sizes = ["--window-bp", str(length), "--batch-size", "4"]
        found = subprocess.run([*command, *sizes], capture_output=True, text=True, check=True)
        return Cost(*json.loads(found.stdout.splitlines()[-1]))

    guess, true = extrapolate(lengths, [run(length) for length in lengths], 262_144), run(262_144)
    print(f"\nestimate at 262,144 bp: {guess.seconds:.2f} s, {guess.peak_bytes / 2**30:.2f} GiB")
    print(f"measured:               {true.seconds:.2f} s, {true.peak_bytes / 2**30:.2f} GiB")
    assert guess.seconds == pytest.approx(true.seconds, rel=0.25)
    assert guess.peak_bytes == pytest.approx(true.peak_bytes, rel=0.25)
