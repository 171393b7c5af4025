"""Two-level steps on a problem with a known answer; resuming and the guards hold as in a plain run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from seqexp.core.classes import allow_classes
from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.training.fit import run_fit
from seqexp.training.hypergradient import unrolled_hypergradient
from seqexp.training.objective import total
from seqexp.training.steps import PlainStep, TwoLevelStep
from seqexp.training.task import ExpressionTask

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
from tiny_run import TinyBatch, TinyNet  # noqa: E402
from two_level import LEAST_SQUARES, NUM, OUTER, Ridge, Rows, features  # noqa: E402

CONFIG = str(HELPERS / "two_level.yaml")


@pytest.fixture(autouse=True)
def _allowed() -> Iterator[None]:
    with allow_classes("two_level", "tiny_run"):
        yield


def batches() -> tuple[TinyBatch, TinyBatch]:
    index, x = torch.arange(NUM), features()
    return TinyBatch(x, (x @ LEAST_SQUARES)[:, None], index), TinyBatch(x, (x @ OUTER)[:, None], index)


def plain(losses: Any) -> Tensor:
    return total(losses, {})


def by_hand(weight: Tensor, log_penalty: Tensor, num_steps: int, lr: float) -> Tensor:
    """Outer loss after gradient descent, from the formulas of ridge regression with orthonormal features."""
    for _ in range(num_steps):
        weight = weight - lr * (weight - LEAST_SQUARES + log_penalty.exp() * weight)
    return 0.5 * (weight - OUTER).square().sum()


@pytest.mark.parametrize("num_steps", [1, 3])
def test_hypergradient_is_that_of_central_differences(num_steps: int) -> None:
    network = Ridge().double()
    network.weight.data = torch.tensor([0.3, 0.2, -0.1], dtype=torch.float64)
    network.log_penalty.data = torch.tensor([-0.5, 0.1, 0.7], dtype=torch.float64)
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    value, found = unrolled_hypergradient(network, *batches(), plain, num_steps=num_steps, lr=0.1)
    assert value.item() == pytest.approx(by_hand(network.weight, network.log_penalty, num_steps, 0.1).item(), rel=1e-9)
    for place in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[place] = 1e-5
        moved = [by_hand(network.weight, network.log_penalty + sign * step, num_steps, 0.1) for sign in (1, -1)]
        assert found["log_penalty"][place].item() == pytest.approx((moved[0] - moved[1]).item() / 2e-5, rel=1e-6)
    assert found["offset"].item() == 0.0  # has no part in it
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_many_steps_give_the_hypergradient_of_the_converged_problem() -> None:
    """Implicit differentiation of w = b / (1 + e^phi): dw/dphi = -b e^phi / (1 + e^phi)^2."""
    network = Ridge().double()
    share = 1 / (1 + network.log_penalty.exp())
    exact = (LEAST_SQUARES * share - OUTER) * -LEAST_SQUARES * network.log_penalty.exp() * share.square()
    _, found = unrolled_hypergradient(network, *batches(), plain, num_steps=60, lr=0.4)
    torch.testing.assert_close(found["log_penalty"], exact.detach(), rtol=1e-6, atol=1e-9)


def test_running_statistics_stay_as_they_are() -> None:
    class Normed(Ridge):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3, affine=False)

        def forward(self, batch: Any) -> Any:
            return super().forward(TinyBatch(self.norm(batch.x), batch.target, batch.index))

    network = Normed().double().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    _, found = unrolled_hypergradient(network, *batches(), plain, num_steps=2, lr=0.1)
    assert found["log_penalty"].abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def train(
    step: PlainStep, network: nn.Module | None = None, steps: int = 2, **options: Any
) -> tuple[ExpressionTask, pl.Trainer]:
    task = ExpressionTask(network or Ridge(), lr=0.1, weight_decay=0.0, schedule="constant", step=step)
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(**{**settings, "enable_model_summary": False, "max_epochs": 1, **options})
    trainer.fit(task, datamodule=Rows(repeats=steps))
    return task, trainer


def test_converges_to_the_analytic_answer() -> None:
    task, trainer = train(TwoLevelStep(every=2, num_unrolled=4, inner_lr=0.3, outer_lr=0.2), steps=160)
    network: Any = task.network
    torch.testing.assert_close(network.log_penalty.exp(), (LEAST_SQUARES / OUTER - 1).float(), rtol=0.03, atol=0)
    torch.testing.assert_close(network.weight, OUTER.float(), rtol=0.03, atol=5e-3)
    assert trainer.global_step == 160
    assert task.step.num_steps == 79  # type: ignore[attr-defined]
    assert set(trainer.callback_metrics) >= {"train_error", "train_shrinkage", "outer_loss", "outer_grad_norm"}
    assert "outer_grad_offset" in trainer.callback_metrics


def test_a_plain_step_leaves_outer_parameters_to_the_optimizer_and_a_two_level_one_takes_them() -> None:
    names = lambda task: {  # noqa: E731
        name for name, parameter in task.network.named_parameters() if parameter.requires_grad
    }
    assert names(ExpressionTask(Ridge())) == {"weight", "log_penalty", "offset"}
    assert names(ExpressionTask(Ridge(), step=TwoLevelStep())) == {"weight"}


def test_the_outer_gradient_is_clipped_and_the_parameters_are_brought_back() -> None:
    free, _ = train(TwoLevelStep(outer_lr=1.0, outer_optimizer="sgd"))
    held, _ = train(TwoLevelStep(outer_lr=1.0, outer_optimizer="sgd"), gradient_clip_val=1e-3)
    moved = [task.network.log_penalty.detach().norm().item() for task in (free, held)]
    assert moved[1] <= 1e-3 < moved[0]
    far, _ = train(TwoLevelStep(outer_lr=1000.0))
    assert far.network.log_penalty.abs().max() == 5.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExpressionTask(TinyNet(), step=TwoLevelStep()), "TinyNet has no outer parameters"),
        (lambda: TwoLevelStep(every=0), "every is 0"),
        (lambda: TwoLevelStep(outer_lr=0.0), "outer_lr 0"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_unknown_outer_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ridge, "outer_parameters", lambda self: ["slope"])
    with pytest.raises(ConfigError, match=r"slope[\s\S]*some of: weight"):
        ExpressionTask(Ridge(), step=TwoLevelStep())


def test_an_outer_loss_that_is_not_finite_moves_nothing() -> None:
    network = Ridge(break_after=2)
    with pytest.raises(SeqexpError, match="the outer loss is inf") as caught:
        train(TwoLevelStep(), network, steps=5)
    assert caught.value.where == "outer step 2"
    assert torch.isfinite(network.log_penalty).all()
    assert torch.isfinite(network.weight).all()


def checkpoint(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


class Stop(Exception):
    """Ends a run from within, as a crash would."""


class StopAt(pl.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step >= self.step:
            raise Stop


@pytest.mark.parametrize("step", [7, 13])  # the last checkpoints are of steps 6 and 12, in and after an epoch of four
def test_a_resumed_run_ends_as_one_left_alone(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqexp.training import fit as module

    run_fit(tmp_path / "whole", [CONFIG])
    make = module.make_callbacks
    with monkeypatch.context() as patch:
        patch.setattr(module, "make_callbacks", lambda *a: [*make(*a), StopAt(step)])
        with pytest.raises(Stop):
            run_fit(tmp_path / "run", [CONFIG])
    run_fit(tmp_path / "run", [CONFIG], resume=True)
    one, other = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run")
    assert one["state_dict"].keys() == other["state_dict"].keys()
    assert any(name.startswith("average.") for name in one["state_dict"])
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
    assert one["state_dict"]["network.log_penalty"].abs().min() > 0
    assert str(one["seqexp"]) == str(other["seqexp"])
    assert (tmp_path / "whole/logs/metrics.csv").read_text() == (tmp_path / "run/logs/metrics.csv").read_text()


@pytest.mark.parametrize("damage", ["num_batches", "optimizer", "kind"])
def test_a_checkpoint_of_another_step_or_a_damaged_one_is_refused(damage: str, tmp_path: Path) -> None:
    run_fit(tmp_path / "run", [CONFIG], ["--trainer.max_epochs=1"])
    path = tmp_path / "run/checkpoints/last.ckpt"
    saved = checkpoint(tmp_path / "run")
    state = saved["seqexp"]["step"]
    if damage == "kind":
        state["kind"] = "PlainStep"
    elif damage == "optimizer":
        next(iter(state["optimizer"]["state"].values()))["exp_avg"] = torch.full((3,), float("nan"))
    else:
        state["num_batches"] = -1
    torch.save(saved, path)
    expected, message = (
        (ConfigError, "trained with PlainStep") if damage == "kind" else (DataError, "damaged: seqexp step")
    )
    with pytest.raises(expected, match=message):
        run_fit(tmp_path / "run", [CONFIG], ["--trainer.max_epochs=2"], resume=True)
