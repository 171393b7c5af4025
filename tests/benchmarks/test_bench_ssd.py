"""Time and memory of the Mamba-2 mixer, as ratios: ``pytest -m benchmark -s tests/benchmarks/test_bench_ssd.py``.

Times are processor seconds of this process (as many threads as torch is set to), best of several, so that other
work on the machine disturbs them little; memory is the growth of a fresh process's peak resident set.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import torch

from seqexp.dna.encoders.mamba2 import Mamba2Encoder, Mamba2Mixer
from seqexp.dna.encoders.ssd import ssd

pytestmark = pytest.mark.benchmark
WIDTH, HEAD_DIM, STATE_SIZE = 128, 64, 64


def processor_seconds(step: Callable[[], None], repeats: int) -> float:
    """Best time of ``repeats`` calls, after one call to warm up."""
    times = []
    for _ in range(repeats + 1):
        gc.collect()
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times[1:])


def our_mixer() -> torch.nn.Module:
    return Mamba2Mixer(WIDTH, HEAD_DIM, STATE_SIZE, is_bidirectional=False)


def their_mixer(chunk: int) -> torch.nn.Module:
    """The mixer of transformers in plain torch, with the same sizes."""
    from transformers.models.mamba2.configuration_mamba2 import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer as TheirMixer

    heads = 2 * WIDTH // HEAD_DIM
    sizes = {"hidden_size": WIDTH, "num_heads": heads, "head_dim": HEAD_DIM, "state_size": STATE_SIZE, "n_groups": 1}
    return TheirMixer(Mamba2Config(**sizes, chunk_size=chunk, num_hidden_layers=1), layer_idx=0)


def train_step(mixer: torch.nn.Module, length: int) -> Callable[[], None]:
    x = torch.randn(1, length, WIDTH)

    def step() -> None:
        mixer(x).square().mean().backward()

    return step


def mixer_cost(kind: str, length: int, repeats: int) -> tuple[float, float]:
    """Seconds and MB of peak memory above the model, of a training step of one mixer in a fresh process."""
    code = f"from test_bench_ssd import report_cost; report_cost({kind!r}, {length}, {repeats})"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = json.loads(found.stdout.splitlines()[-1])
    return seconds, megabytes


def report_cost(kind: str, length: int, repeats: int) -> None:
    """What the fresh process runs."""
    mixer = our_mixer() if kind == "ours" else their_mixer(int(kind.removeprefix("theirs-")))
    train_step(mixer, 64)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = processor_seconds(train_step(mixer, length), repeats)
    print(json.dumps([seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024]))


@pytest.mark.parametrize(("length", "repeats"), [(2048, 3), (32768, 1)])
def test_against_transformers(length: int, repeats: int) -> None:
    """Forward and backward of one mixer in one direction; theirs with its default chunk and with ours."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed: nothing to compare with")
    ours, our_memory = mixer_cost("ours", length, repeats)
    for chunk in (256, 64):
        theirs, their_memory = mixer_cost(f"theirs-{chunk}", length, repeats)
        print(
            f"\nmixer L={length}: ours {ours:.2f} s, {our_memory:.0f} MB; transformers chunk {chunk}: {theirs:.2f} s,"
            f" {their_memory:.0f} MB; {theirs / ours:.1f} times the time, {their_memory / our_memory:.1f} the memory"
        )
        assert theirs > ours


def scan_step(length: int) -> Callable[[], None]:
    """Forward and backward of the scan alone, sizes of the timing table this is compared with."""
    heads = 4
    x = torch.randn(1, length, heads, HEAD_DIM, requires_grad=True)
    dt = (torch.rand(1, length, heads) / 10).requires_grad_()
    B, C = (torch.randn(1, length, 1, STATE_SIZE, requires_grad=True) for _ in range(2))
    A = (-torch.ones(heads)).requires_grad_()

    def step() -> None:
        ssd(x, dt, A, B, C)[0].sum().backward()

    return step


def test_scan_is_linear() -> None:
    """Eight times the length costs about eight times as much; a quadratic scan would cost 64."""
    times = {length: processor_seconds(scan_step(length), 2) for length in (2048, 8192, 16384, 131072)}
    ratio = times[131072] / times[16384]
    print("\nscan, forward and backward: " + ", ".join(f"L={k} {v:.2f} s" for k, v in times.items()))
    print(f"scan L=131072 against 16384: {ratio:.1f} times (8 is linear)")
    assert ratio < 14


def test_encoder_training_step() -> None:
    """The whole encoder, both directions, with and without recomputation."""
    for is_saving in (False, True):
        encoder = Mamba2Encoder(64, 2, 32, 32, checkpoint=is_saving)
        x = torch.randn(16, 2048, 64)

        def step(encoder: Mamba2Encoder = encoder, x: torch.Tensor = x) -> None:
            encoder(x).square().mean().backward()

        seconds = processor_seconds(step, 2)
        print(f"\nencoder D=64, 2 layers, B=16, N=2048, checkpoint={is_saving}: {16 / seconds:.1f} windows/s")
