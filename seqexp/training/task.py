"""The one LightningModule: any network that says what it is trained on, trained and scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.core.seeds import sample_seed
from seqexp.objectives.contracts import Grouped, HoldsMemory, Losses, NeedsCalibration, Remembers
from seqexp.objectives.metrics import StreamingRegression, regression_scores
from seqexp.objectives.outputs import ModelOutput
from seqexp.objectives.spatial import spatial_scores
from seqexp.objectives.transforms import Transform, make_transform, transform_from_state
from seqexp.training.guard import broken_gradient, broken_loss
from seqexp.training.length import total_steps
from seqexp.training.objective import require_known, require_trainable, rows, total
from seqexp.training.optimizer import WeightAverage, parameter_groups
from seqexp.training.processes import gather_rows
from seqexp.training.schedules import make_schedule, penalty_ramp
from seqexp.training.steps import PlainStep
from seqexp.training.weights import adopt_buffers, check_weights

_STATE = "seqexp"  # key of our part of a checkpoint
_TRAIN_STREAM, _SCORE_STREAM = -1, -2  # keep the seeds of torch apart from those of the samples


class ExpressionTask(pl.LightningModule):
    """Train a network on the losses it names and score its predictions on the scale of the target's unit.

    Parameters
    ----------
    network : nn.Module
        ``forward(batch) -> ModelOutput`` and ``losses(batch) -> Losses``; what else it may do, and what a batch is, is
        said in :mod:`seqexp.objectives.contracts`.
    loss_weights : dict of str to float, optional
        Weights of the losses that the network names, such as ``{kl: 0.01}``: terms have 1 by default, penalties 0,
        which leaves them to the log.
    penalty_warmup : float
        Fraction of the run over which the weights of penalties grow linearly from 0.
    lr : float
        Peak learning rate of AdamW.
    weight_decay : float
        Not applied to biases, norms and parameters marked ``_no_weight_decay``.
    betas : (float, float)
        Of AdamW.
    schedule : str
        ``cosine`` (linear warm-up), ``one-cycle`` or ``constant``.
    warmup_fraction, min_lr_fraction : float
        Part of the run spent warming up; learning rate at the end as a fraction of ``lr``.
    ema : float, optional
        Decay of a moving average of the weights, which is then used for validation, test and prediction.
    seed : int
        Dropout and sampling depend on (seed, epoch, batch) alone, so a resumed run draws what an unbroken one does.
    step : PlainStep, optional
        What happens beside the losses of a batch: nothing, or
        :class:`~seqexp.training.steps.TwoLevelStep` for networks with inner and outer parameters.

    Notes
    -----
    Metrics are those of :class:`seqexp.objectives.metrics.RegressionScores`, named ``val_pearson`` and so on, on the
    curve scale of the target transform, such as log2(TPM + 1). ``val_loss`` is the weighted sum of the terms, without
    penalties, each row counted once. Where batches say which ``group`` a row is of, ``val_pcc_mean`` is the mean
    correlation inside groups, which monitors such runs.
    """

    def __init__(
        self,
        network: nn.Module,
        loss_weights: dict[str, float] | None = None,
        penalty_warmup: float = 0.1,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.98),
        schedule: str = "cosine",
        warmup_fraction: float = 0.05,
        min_lr_fraction: float = 0.01,
        ema: float | None = None,
        seed: int = 0,
        step: PlainStep | None = None,
    ) -> None:
        super().__init__()
        if ema is not None and not 0.0 < ema < 1.0:
            raise ConfigError(f"ema is {ema}", expected="null, or a decay between 0 and 1 such as 0.999")
        make_schedule(schedule, 1, warmup_fraction, min_lr_fraction)  # refuse a bad name before any work
        require_trainable(network, loss_weights or {})
        self.network, self.step = network, step or PlainStep()
        self.step.prepare(network)
        self.loss_weights, self.penalty_warmup = dict(loss_weights or {}), penalty_warmup
        self.lr, self.weight_decay, self.betas = lr, weight_decay, tuple(betas)
        self.schedule, self.warmup_fraction, self.min_lr_fraction = schedule, warmup_fraction, min_lr_fraction
        self.ema, self.seed = ema, seed
        self.average = None if ema is None else WeightAverage(network, ema)
        self.transform: Transform = make_transform("identity", "").fit([0.0])
        self._data_transform: Transform | None = None
        self._num_steps = 1
        self._streams = {split: StreamingRegression() for split in ("train", "val", "test")}

    @property
    def scored_network(self) -> nn.Module:
        """The network that predicts: the averaged one where weights are averaged."""
        return self.network if self.average is None else self.average.module

    def forward(self, batch: Any) -> ModelOutput:
        """Output of the network that predicts."""
        return self.scored_network(batch)

    # -- before training ---------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Take the transform from the data and, before training, calibrate the network on the training split."""
        datamodule = getattr(self.trainer, "datamodule", None)
        self._data_transform = getattr(datamodule, "transform", None)
        if stage != "fit":
            return
        self.transform = self._data_transform or self.transform
        statistics = getattr(datamodule, "statistics", None)
        if statistics is not None and isinstance(self.network, NeedsCalibration):
            self.network.calibrate(statistics)
        if self.ema is not None:
            self.average = WeightAverage(self.network, self.ema)

    def configure_optimizers(self) -> Any:
        """AdamW with a schedule over the optimiser steps of the whole run."""
        groups = parameter_groups(self.network, self.lr, self.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=(self.betas[0], self.betas[1]))
        self._num_steps = total_steps(self.trainer)
        multiplier = make_schedule(self.schedule, self._num_steps, self.warmup_fraction, self.min_lr_fraction)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, multiplier)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # -- training ----------------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout and sampling by what is drawn: no state of a generator needs to survive a restart."""
        self._seed_draws(_TRAIN_STREAM, self.current_epoch, batch_idx)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """What is minimised for a batch; raises where it is not finite."""
        shown = self.step.before(self, batch)
        losses: Losses = self.network.losses(batch)  # type: ignore[operator]
        require_known(losses, self.loss_weights)
        value = self.total(losses)
        if not torch.isfinite(value):
            raise broken_loss(self.network, batch, losses, self._place(batch_idx))
        own = self._record("train", batch, losses, losses.output)
        shown |= {"train_loss_step": own.mean(), "train_total_step": value.detach(), **_shown(losses, "train")}
        self.log_dict(shown, on_step=True, on_epoch=False)
        return value

    def total(self, losses: Losses) -> Tensor:
        """What is minimised: the named losses with their weights at this moment of the run."""
        return total(losses, self.loss_weights, penalty_ramp(self.global_step, self._num_steps, self.penalty_warmup))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse gradients that are not finite, before they reach the weights."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if not torch.isfinite(norm) and "16" not in str(self.trainer.precision):  # a float16 scaler skips such steps
            error = broken_gradient(self.network, self._place(self.trainer.fit_loop.epoch_loop.batch_idx))
            if error is not None:
                raise error
        self.log("grad_norm", norm, on_step=True, on_epoch=False)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then average the weights: here, because checkpoints are written before the hooks of a task run."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def on_train_epoch_end(self) -> None:
        """Loss and metrics of the epoch, each row counted once."""
        self._finish("train")
        self.log("lr", self.optimizers(use_pl_optimizer=False).param_groups[0]["lr"])  # type: ignore[union-attr]

    def _seed_draws(self, stream: int, epoch: int, batch_idx: int) -> None:
        torch.manual_seed(sample_seed(sample_seed(self.seed, self.global_rank, stream), epoch, batch_idx))

    def _place(self, batch_idx: int) -> str:
        return f"epoch {self.current_epoch}, batch {batch_idx}, step {self.global_step}"

    # -- scoring -----------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Let a network that answers by retrieval see the training rows as its present weights read them."""
        network, data = self.scored_network, getattr(self.trainer, "datamodule", None)
        if isinstance(network, Remembers) and isinstance(data, HoldsMemory) and self.trainer.state.fn == "fit":
            network.memorise(batch.to(self.device) for batch in data.memory_dataloader())

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect losses and predictions of a batch."""
        self._score("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Collect losses and predictions of a batch."""
        self._score("test", batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Predictions on the curve scale.

        Returns
        -------
        dict
            index (B,), prediction and target (B, G) float32, and what the network says of every row
            (``ModelOutput.per_row``) under its names; all on the CPU.
        """
        output: ModelOutput = self(batch)
        prediction, target = self._restored(batch, output)
        shown = {"prediction": prediction, "target": target, **output.per_row}
        return {"index": batch.index.cpu(), **{name: values.detach().float().cpu() for name, values in shown.items()}}

    def on_validation_epoch_end(self) -> None:
        """Metrics of the validation split."""
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        """Metrics of the test split."""
        self._finish("test")

    def _score(self, split: str, batch: Any, batch_idx: int) -> None:
        self._seed_draws(_SCORE_STREAM, 0, batch_idx)  # a loss that draws is the same in every epoch
        losses: Losses = self.scored_network.losses(batch)  # type: ignore[operator]
        output = losses.output if losses.output is not None else self(batch)
        self._record(split, batch, losses, output)
        shown = _shown(losses, split)
        self.log_dict(shown, on_step=False, on_epoch=True, batch_size=len(batch.index), sync_dist=True)

    def _restored(self, batch: Any, output: ModelOutput) -> tuple[Tensor, Tensor]:
        """Prediction and target (B, G) on the curve scale."""
        own = self._data_transform or self.transform
        return self.transform.restore(output.prediction.detach().float()), own.restore(batch.target.float())

    def _record(self, split: str, batch: Any, losses: Losses, output: ModelOutput | None) -> Tensor:
        """Keep losses and, where there are any, predictions of each row; gives the loss of each (B,)."""
        own = rows(losses, self.loss_weights, len(batch.index))
        prediction, target = (batch.target[:, :0],) * 2 if output is None else self._restored(batch, output)
        columns = [np.asarray(values.cpu()) for values in (batch.index, prediction, target, own)]
        group = np.asarray(batch.group.cpu()) if isinstance(batch, Grouped) else None
        self._streams[split].update(*columns, group=group)
        return own

    def _finish(self, split: str) -> None:
        stream = gather_rows(self._streams[split])
        self._streams[split].reset()
        kept = stream.rows()
        values = {f"{split}_loss": float(kept["loss"].mean()) if len(kept["index"]) else float("nan")}
        if kept["prediction"].shape[1]:  # else the network does not predict while it trains
            values |= stream.compute().as_dict(f"{split}_")
            values |= self._per_target(kept, split)
            if len(kept.get("group", ())):
                scores = spatial_scores(kept["prediction"], kept["target"], kept["group"])
                values[f"{split}_pcc_mean"] = scores.as_dict()["pcc_mean"]
        dtype = torch.float32 if self.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        self.log_dict({name: torch.tensor(value, dtype=dtype) for name, value in values.items()})

    def _per_target(self, kept: Mapping[str, Any], split: str) -> dict[str, float]:
        """Correlation of each target that the data module wants to be named."""
        names = getattr(getattr(self.trainer, "datamodule", None), "scored_targets", ())
        scores = [regression_scores(kept["prediction"][:, [g]], kept["target"][:, [g]]) for g in range(len(names))]
        return {f"{split}_pearson_{name}": score.pearson for name, score in zip(names, scores, strict=True)}

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the transform, what the running epoch has collected and where the training step stands."""
        collected = {name: torch.from_numpy(values) for name, values in self._streams["train"].state().items()}
        state = {"transform": self.transform.state(), "train_rows": collected, "step": self.step.state()}
        checkpoint[_STATE] = state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the transform, the part of the epoch already done and the training step."""
        state = checkpoint.get(_STATE, {})
        if "transform" in state:
            self.transform = transform_from_state(state["transform"])
        self.step.load_state(state.get("step", {}))
        self._streams["train"].reset()
        self._streams["train"].add_state({name: values.numpy() for name, values in state.get("train_rows", {}).items()})

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights after checking that they belong to this architecture.

        Raises
        ------
        DataError
            Names or shapes do not fit; the message lists them.
        """
        adopt_buffers(self, state_dict)
        check_weights(self, state_dict)
        return super().load_state_dict(state_dict, strict=strict, assign=assign)


def _shown(losses: Losses, split: str) -> dict[str, Tensor]:
    """Every named loss, and what else the network wants in the logs."""
    named = {**losses.terms, **losses.penalties, **({} if losses.output is None else losses.output.logged)}
    return {f"{split}_{name}": value.detach().float().mean() for name, value in named.items()}
