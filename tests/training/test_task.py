"""The task on a tiny network: decay groups, averaging, penalties, NaN, checkpoints of another architecture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.objectives.metrics import regression_scores
from seqexp.training.guard import first_broken_module
from seqexp.training.length import total_steps
from seqexp.training.optimizer import WeightAverage, parameter_groups
from seqexp.training.schedules import SCHEDULES, make_schedule, penalty_ramp
from seqexp.training.task import ExpressionTask

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
from tiny_run import TinyBatch, TinyData, TinyNet


def train(task: ExpressionTask, data: TinyData | None = None, **options: Any) -> pl.Trainer:
    settings = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    trainer = pl.Trainer(**{**settings, "enable_progress_bar": False, "enable_model_summary": False, **options})
    trainer.fit(task, datamodule=data or TinyData())
    return trainer


def test_decay_spares_biases_norms_and_marked_parameters() -> None:
    network = TinyNet()
    decayed, kept = parameter_groups(network, 1e-3, 0.1)
    assert decayed["lr"] == kept["lr"] == 1e-3
    assert decayed["weight_decay"] == 0.1
    assert kept["weight_decay"] == 0.0
    assert {id(p) for p in decayed["params"]} == {id(network.body[0].weight), id(network.head.weight)}
    assert len(kept["params"]) == 5  # two biases, gain and bias of the norm, the marked (8, 1) scale


def test_a_parameter_may_learn_more_slowly() -> None:
    network = TinyNet()
    network.head.weight._lr_scale = 0.5
    slow = next(group for group in parameter_groups(network, 1e-3, 0.1) if group["lr"] == 5e-4)
    assert [id(p) for p in slow["params"]] == [id(network.head.weight)]
    task = ExpressionTask(network, lr=1e-3, warmup_fraction=0.5)
    before = [p.detach().clone() for p in network.parameters()]
    train(task)
    rates = {group["lr"] for group in task.optimizers(use_pl_optimizer=False).param_groups}
    assert max(rates) == pytest.approx(2 * min(rates))
    assert not all(torch.equal(a, b) for a, b in zip(before, network.parameters()))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_warm_up_and_end(name: str) -> None:
    schedule = make_schedule(name, 100, 0.1, 0.01)
    values = [schedule(step) for step in range(100)]
    assert values[0] <= 0.11
    assert max(values) == pytest.approx(1.0)
    assert values[:10] == sorted(values[:10])
    assert values[-1] == pytest.approx(1.0 if name == "constant" else 0.01)
    assert make_schedule(name, 1, 0.0, 0.0)(0) > 0 or name == "one-cycle"


@pytest.mark.parametrize(
    "limits",
    [
        {"max_epochs": 3},
        {"max_epochs": 3, "accumulate_grad_batches": 2},
        {"max_epochs": 2, "limit_train_batches": 3},
        {"max_epochs": 2, "limit_train_batches": 0.5},
        {"max_epochs": 5, "max_steps": 9},
        {"max_epochs": -1, "max_steps": 4},
    ],
)
def test_length_of_a_run_is_what_lightning_counts(limits: dict[str, Any]) -> None:
    trainer = train(ExpressionTask(TinyNet()), **limits)
    assert total_steps(trainer) == trainer.estimated_stepping_batches == trainer.global_step


def test_penalty_grows_linearly() -> None:
    assert [penalty_ramp(step, 100, 0.2) for step in (0, 10, 20, 90)] == [0.0, 0.5, 1.0, 1.0]
    assert penalty_ramp(0, 100, 0.0) == 1.0


def test_average_of_weights_and_running_statistics_follows_its_formula() -> None:
    network = nn.BatchNorm1d(3)
    average = WeightAverage(network, 0.5)
    expected = network.weight.detach().clone()
    for step in range(5):
        with torch.no_grad():
            network.weight.fill_(float(step))
            network.running_mean.fill_(float(step))
            network.num_batches_tracked.fill_(step)
        average.update_parameters(network)
        rate = min(0.5, (1 + step) / (10 + step))
        expected = network.weight.detach() if step == 0 else rate * expected + (1 - rate) * network.weight.detach()
        expected = expected.clone()
        torch.testing.assert_close(average.module.weight, expected)
        torch.testing.assert_close(average.module.running_mean, expected)
        assert average.module.num_batches_tracked == step
    assert not any(p.requires_grad for p in average.parameters())


def test_metrics_are_on_the_scale_of_the_unit_and_of_the_averaged_network() -> None:
    data, task = TinyData(), ExpressionTask(TinyNet(), ema=0.5)
    trainer = train(task, data)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert task.scored_network is not task.network
    rows = data.rows["val"]
    batch = TinyBatch(data.x[rows], data.target[rows], torch.from_numpy(rows))
    with torch.no_grad():
        prediction = task.eval().scored_network(batch).prediction.numpy()
    curved = data.transform.curved(data.expression[rows])
    expected = regression_scores(data.transform.restore(prediction), curved[:, None])
    for name in ("pearson", "spearman", "mse", "mae", "r2"):
        assert logged[f"val_{name}"] == pytest.approx(getattr(expected, name), rel=1e-5)
    assert logged["val_num"] == 15
    assert logged["train_num"] == 56
    expected_loss = float(np.square(prediction - data.target[rows].numpy()).mean())
    assert logged["val_loss"] == pytest.approx(expected_loss, rel=1e-5)
    assert torch.equal(task.network.levels, torch.arange(3.0))  # calibrated once


def test_constant_targets_give_nan_that_is_counted() -> None:
    trainer = train(ExpressionTask(TinyNet()), TinyData(constant=True))
    assert torch.isnan(trainer.callback_metrics["val_pearson"])
    assert trainer.callback_metrics["val_num_undefined"] == 1


def test_nan_in_the_forward_pass_names_the_module() -> None:
    task = ExpressionTask(TinyNet(break_at=3))
    with pytest.raises(SeqexpError, match=r"training loss is not finite \(regression is nan, kl is nan\)") as caught:
        train(task, num_sanity_val_steps=0)
    assert caught.value.where == "epoch 0, batch 2, step 2"


def test_first_broken_module_is_the_innermost() -> None:
    class Wrong(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(x - 10.0)

    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Wrong()), nn.Tanh())
    assert first_broken_module(network, lambda: network(torch.ones(2))) == "1.1 (Wrong)"
    sound = nn.Identity()
    assert first_broken_module(sound, lambda: sound(torch.ones(2))) is None


def test_broken_gradients_never_reach_the_weights() -> None:
    class RootAtZero(TinyNet):
        def losses(self, batch: Any) -> Any:
            losses = super().losses(batch)
            losses.penalties["root"] = torch.sqrt((self.head.bias * 0.0).sum())
            return losses

    task = ExpressionTask(RootAtZero(), loss_weights={"root": 1.0}, penalty_warmup=0.0)
    with pytest.raises(SeqexpError, match=r"gradients are not finite: head\.bias"):
        train(task)
    assert all(torch.isfinite(p).all() for p in task.network.parameters())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown loss"):
        TinyNet(loss="l2")
    with pytest.raises(ConfigError, match="unknown schedule"):
        ExpressionTask(TinyNet(), schedule="step")
    with pytest.raises(ConfigError, match="ema is 1"):
        ExpressionTask(TinyNet(), ema=1.0)
    with pytest.raises(ConfigError, match=r"no loss 'sparsity'[\s\S]*some of: regression, kl"):
        train(ExpressionTask(TinyNet(), loss_weights={"sparsity": 1.0}))
    with pytest.raises(ConfigError, match="Linear has no method `losses`"):
        ExpressionTask(nn.Linear(1, 1))
    with pytest.raises(ConfigError, match="no end"):
        train(ExpressionTask(TinyNet()), max_epochs=-1)
    with pytest.raises(DataError, match="outputs of shape"):
        train(ExpressionTask(TinyNet(num_outputs=2)))


def test_gaussian_loss_predicts_its_mean() -> None:
    trainer = train(ExpressionTask(TinyNet(num_outputs=2, loss="gaussian-nll")))
    assert trainer.callback_metrics["val_num"] == 15


def test_weights_of_another_architecture() -> None:
    task = ExpressionTask(TinyNet(width=8))
    state = {f"network.{name}": value for name, value in nn.Sequential(nn.Linear(4, 8)).state_dict().items()}
    with pytest.raises(DataError, match=r"missing: network\.scale.*unexpected: network\.0\.weight"):
        task.load_state_dict(state)
    with pytest.raises(DataError, match=r"other shape: network\.scale \(16, 1\) instead of \(8, 1\)"):
        task.load_state_dict(ExpressionTask(TinyNet(width=16)).state_dict())
    with pytest.raises(DataError, match="unexpected: average"):
        task.load_state_dict(ExpressionTask(TinyNet(), ema=0.9).state_dict())


def test_calibrated_buffers_take_the_shape_of_the_checkpoint() -> None:
    trained = ExpressionTask(TinyNet())
    trained.network.calibrate({"levels": torch.arange(7.0)})
    fresh = ExpressionTask(TinyNet())
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.network.levels, torch.arange(7.0))
