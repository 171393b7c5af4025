"""The one LightningModule: any network that turns a batch into a ModelOutput, trained and scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.core.seeds import sample_seed
from seqexp.objectives.losses import make_loss
from seqexp.objectives.metrics import StreamingRegression
from seqexp.objectives.outputs import ModelOutput
from seqexp.objectives.spatial import spatial_scores
from seqexp.objectives.transforms import Transform, make_transform, transform_from_state
from seqexp.training.guard import broken_gradient, broken_loss
from seqexp.training.length import total_steps
from seqexp.training.optimizer import WeightAverage, parameter_groups
from seqexp.training.processes import gather_rows
from seqexp.training.schedules import make_schedule, penalty_ramp
from seqexp.training.weights import adopt_buffers, check_weights

_STATE = "seqexp"  # key of our part of a checkpoint
_TORCH_STREAM = -1  # keeps the seeds of torch apart from those of the samples


class ExpressionTask(pl.LightningModule):
    """Train a network to predict expression and score it on the scale of the target's unit.

    Parameters
    ----------
    network : nn.Module
        ``forward(batch) -> ModelOutput``; where it has ``calibrate(statistics)``, that is called once before training;
        where it has ``memorise(batches)``, that is called with the training rows before each validation.
        A batch is anything with ``target`` (B, G) and ``index`` (B,).
    loss : str
        Name in :data:`seqexp.objectives.losses.LOSSES`.
    penalties : dict of str to float, optional
        Weights of the penalties the network returns, such as ``{kl: 0.01}``; others are logged and not added.
    penalty_warmup : float
        Fraction of the run over which penalty weights grow linearly from 0.
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

    Notes
    -----
    Metrics are those of :class:`seqexp.objectives.metrics.RegressionScores`, named ``val_pearson`` and so on, on the
    curve scale of the target transform, such as log2(TPM + 1); losses are on the scale the network sees. Where batches
    say which ``slide`` a row is of, ``val_pcc_mean`` is the mean correlation inside slides, which monitors such runs.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: str = "mse",
        penalties: dict[str, float] | None = None,
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
    ) -> None:
        super().__init__()
        if ema is not None and not 0.0 < ema < 1.0:
            raise ConfigError(f"ema is {ema}", expected="null, or a decay between 0 and 1 such as 0.999")
        make_schedule(schedule, 1, warmup_fraction, min_lr_fraction)  # refuse a bad name before any work
        untaught = [name for name in getattr(network, "needs_penalties", ()) if not (penalties or {}).get(name)]
        if untaught:
            raise ConfigError(
                f"{type(network).__name__} has a part that only the penalty {untaught[0]!r} teaches, without a weight",
                where="model: penalties",
                expected=f"{untaught[0]}: 1.0, or `learns_signals: false` in the selector",
            )
        self.network = network
        self.loss = make_loss(loss)
        self.penalties = dict(penalties or {})
        self.penalty_warmup = penalty_warmup
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
        calibrate = getattr(self.network, "calibrate", None)
        if statistics is not None and callable(calibrate):
            calibrate(statistics)
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
        stream = sample_seed(self.seed, self.global_rank, _TORCH_STREAM)
        torch.manual_seed(sample_seed(stream, self.current_epoch, batch_idx))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of a batch with its weighted penalties; raises where it is not finite."""
        output: ModelOutput = self.network(batch)
        rows = self.loss.rows(output.prediction, batch.target)
        total = rows.mean()
        ramp = penalty_ramp(self.global_step, self._num_steps, self.penalty_warmup)
        for name, weight in self.penalties.items():
            if name not in output.penalties:
                known = ", ".join(output.penalties) or "none"
                raise ConfigError(f"the network returns no penalty {name!r}", expected=f"one of: {known}")
            total = total + ramp * weight * output.penalties[name]
        if not torch.isfinite(total):
            raise broken_loss(self.network, batch, total, self._place(batch_idx))
        self._record("train", batch, output, rows)
        values = {
            "train_loss_step": rows.mean().detach(),
            "train_total_step": total.detach(),
            **_shown(output, "train"),
        }
        self.log_dict(values, on_step=True, on_epoch=False)
        return total

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

    def _place(self, batch_idx: int) -> str:
        return f"epoch {self.current_epoch}, batch {batch_idx}, step {self.global_step}"

    # -- scoring -----------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Let a network that answers by retrieval see the training rows as its present weights read them."""
        memorise = getattr(self.scored_network, "memorise", None)
        source = getattr(getattr(self.trainer, "datamodule", None), "memory_dataloader", None)
        if callable(memorise) and callable(source) and self.trainer.state.fn == "fit":
            memorise(batch.to(self.device) for batch in source())

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the predictions of a batch."""
        self._score("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the predictions of a batch."""
        self._score("test", batch)

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

    def _score(self, split: str, batch: Any) -> None:
        output: ModelOutput = self(batch)
        self._record(split, batch, output, self.loss.rows(output.prediction, batch.target))
        shown = _shown(output, split)
        if shown:
            self.log_dict(shown, on_step=False, on_epoch=True, batch_size=len(batch.index), sync_dist=True)

    def _restored(self, batch: Any, output: ModelOutput) -> tuple[Tensor, Tensor]:
        """Prediction and target (B, G) on the curve scale."""
        point = self.loss.point(output.prediction.detach().float())
        return self.transform.restore(point), (self._data_transform or self.transform).restore(batch.target.float())

    def _record(self, split: str, batch: Any, output: ModelOutput, rows: Tensor) -> None:
        prediction, target = self._restored(batch, output)
        columns = [np.asarray(values.cpu()) for values in (batch.index, prediction, target, rows.detach())]
        slide = getattr(batch, "slide", None)
        group = None if slide is None else np.asarray(slide.cpu())
        self._streams[split].update(*columns, group=group)

    def _finish(self, split: str) -> None:
        stream = gather_rows(self._streams[split])
        self._streams[split].reset()
        rows = stream.rows()
        loss = float(rows["loss"].mean()) if len(rows["index"]) else float("nan")
        values = {f"{split}_loss": loss, **stream.compute().as_dict(f"{split}_")}
        if len(rows.get("group", ())):
            scores = spatial_scores(rows["prediction"], rows["target"], rows["group"])
            values[f"{split}_pcc_mean"] = scores.as_dict()["pcc_mean"]
        dtype = torch.float32 if self.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        self.log_dict({name: torch.tensor(value, dtype=dtype) for name, value in values.items()})

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the transform and what the running epoch has collected."""
        collected = {name: torch.from_numpy(values) for name, values in self._streams["train"].state().items()}
        checkpoint[_STATE] = {"transform": self.transform.state(), "train_rows": collected}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the transform and the part of the epoch already done."""
        state = checkpoint.get(_STATE, {})
        if "transform" in state:
            self.transform = transform_from_state(state["transform"])
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


def _shown(output: ModelOutput, split: str) -> dict[str, Tensor]:
    """Penalties and the mean of the mask, for the logs."""
    shown = {f"{split}_{name}": value.detach() for name, value in output.penalties.items()}
    mask = getattr(output.selection, "mask", None)
    return shown if mask is None else {**shown, f"{split}_mask_mean": mask.detach().float().mean()}
