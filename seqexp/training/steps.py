"""Training steps as parts of a config: what happens between two steps of the optimiser beside the losses of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.core.seeds import sample_seed
from seqexp.objectives.contracts import Bounded, HoldsOuterRows, Losses, TwoLevel
from seqexp.training.hypergradient import unrolled_hypergradient

_STREAM = -3  # keeps the draws of outer steps apart from those of the batches


class Task(Protocol):
    """What a step uses of the LightningModule it is part of."""

    network: nn.Module
    seed: int
    trainer: Any

    @property
    def device(self) -> torch.device:
        """Where the network lies."""

    @property
    def global_rank(self) -> int:
        """Number of this process."""

    def optimizers(self, use_pl_optimizer: bool) -> Any:
        """The optimiser of the inner parameters."""

    def total(self, losses: Losses) -> Tensor:
        """Named losses added up with the weights of this moment."""


class PlainStep:
    """One step of the optimiser on the weighted losses of each batch: Lightning's own, with nothing before it."""

    def prepare(self, network: nn.Module) -> None:
        """Check the network, and mark what the optimiser leaves alone."""

    def before(self, task: Task, batch: Any) -> dict[str, Tensor]:
        """Work to do before the losses of a training batch; figures for the log."""
        return {}

    def state(self) -> dict[str, Any]:
        """For the checkpoint: plain values and tensors."""
        return {}

    def require_own(self, state: Mapping[str, Any]) -> None:
        """Refuse the state of another kind of step.

        Raises
        ------
        ConfigError
            Names both.
        """
        saved, own = state.get("kind", PlainStep.__name__), type(self).__name__
        if saved != own:
            raise ConfigError(f"a checkpoint of a run trained with {saved}", where="model: step", expected=own)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.require_own(state)


class TwoLevelStep(PlainStep):
    """After every so many batches an outer step, on rows set apart, through steps of the inner parameters.

    The inner parameters are those the task's optimiser moves, so that schedule, clipping, averaging, guards and
    resuming are the same as in a plain run. The outer ones belong to an optimiser of their own; their gradient is
    :func:`~seqexp.training.hypergradient.unrolled_hypergradient`, starting from the present inner parameters.

    Parameters
    ----------
    every : int
        Batches H between outer steps.
    num_unrolled : int
        Inner steps that the gradient goes through.
    inner_lr : float, optional
        Of the unrolled steps; by default the present learning rate of the task.
    outer_lr : float
        Of the outer optimiser; ``trainer.gradient_clip_val`` holds for it too.
    outer_optimizer : {"adam", "sgd"}
    start_after : int
        Batches before the first of the H: ordinary training only.
    """

    def __init__(
        self,
        every: int = 1,
        num_unrolled: int = 1,
        inner_lr: float | None = None,
        outer_lr: float = 1e-3,
        *,
        outer_optimizer: Literal["adam", "sgd"] = "adam",
        start_after: int = 0,
    ) -> None:
        for name, value, least in (
            ("every", every, 1),
            ("num_unrolled", num_unrolled, 1),
            ("start_after", start_after, 0),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}", where="model: step", expected=f"at least {least}")
        if outer_lr <= 0 or (inner_lr is not None and inner_lr <= 0):
            raise ConfigError(f"inner_lr {inner_lr}, outer_lr {outer_lr}", where="model: step", expected="above 0")
        self.every, self.num_unrolled, self.start_after = every, num_unrolled, start_after
        self.inner_lr, self.outer_lr, self.outer_optimizer = inner_lr, outer_lr, outer_optimizer
        self.num_batches, self.num_steps = 0, 0
        self._rows: Iterator[Any] | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._saved: dict[str, Any] | None = None  # of the optimiser, until there is one

    def prepare(self, network: nn.Module) -> None:
        """Take the outer parameters away from the task's optimiser.

        Raises
        ------
        ConfigError
            The network has no two levels, or names parameters that it does not have.
        """
        if not isinstance(network, TwoLevel):
            raise ConfigError(
                f"{type(network).__name__} has no outer parameters",
                where="model: step",
                expected="a network with outer_parameters() and outer_losses(batch)",
                fix="delete model.step",
            )
        named, outer = dict(network.named_parameters()), list(network.outer_parameters())
        unknown = [name for name in outer if name not in named]
        if unknown or not outer:
            raise ConfigError(f"outer parameters {unknown or 'none'}", expected="some of: " + ", ".join(named))
        for name in outer:
            named[name].requires_grad_(False)

    def before(self, task: Task, batch: Any) -> dict[str, Tensor]:
        """Count the batch and, where one is due, take an outer step.

        Raises
        ------
        SeqexpError
            The outer loss or its gradient is not finite; nothing has moved.
        """
        done = self.num_batches - self.start_after
        self.num_batches += 1
        if done <= 0 or done % self.every:
            return {}
        with _own_draws(task, self.num_steps):
            return self._outer_step(task, batch)

    def _outer_step(self, task: Task, batch: Any) -> dict[str, Tensor]:
        network: Any = task.network
        rows = next(self._outer_rows(task)).to(task.device)
        lr = self.inner_lr or float(task.optimizers(use_pl_optimizer=False).param_groups[0]["lr"])
        value, slopes = unrolled_hypergradient(network, batch, rows, task.total, num_steps=self.num_unrolled, lr=lr)
        broken = [name for name, slope in slopes.items() if not torch.isfinite(slope).all()]
        if broken or not torch.isfinite(value):
            raise SeqexpError(
                f"the outer loss is {value.item()}; gradients that are not finite: {', '.join(broken) or 'none'}",
                where=f"outer step {self.num_steps}",
                expected="finite values",
                fix="lower model.step.init_args.inner_lr or outer_lr",
            )
        parameters = dict(network.named_parameters())
        for name, slope in slopes.items():
            parameters[name].grad = _mean_over_processes(slope)
        moved = [parameters[name] for name in slopes]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p.grad) for p in moved]))  # type: ignore[arg-type]
        shown = {"outer_loss": value, "outer_grad_norm": norm}
        shown |= {f"outer_grad_{name}": p.grad.clone().view(()) for name, p in zip(slopes, moved) if p.numel() == 1}  # type: ignore[union-attr]
        _clip(moved, task.trainer.gradient_clip_val, task.trainer.gradient_clip_algorithm)
        self._optimizer_of(moved).step()
        for parameter in moved:
            parameter.grad = None
        if isinstance(network, Bounded):
            network.project()
        self.num_steps += 1
        return shown

    def _optimizer_of(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Made at the first step, when the parameters lie where they stay."""
        if self._optimizer is None:
            kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[self.outer_optimizer]
            self._optimizer = kind(parameters, lr=self.outer_lr)
            if self._saved is not None:
                self._optimizer.load_state_dict(self._saved)
        return self._optimizer

    def _outer_rows(self, task: Task) -> Iterator[Any]:
        """Batches of the outer rows, over and over, from the one that is next."""
        if self._rows is None:
            data = task.trainer.datamodule
            loader: Any = data.outer_dataloader() if isinstance(data, HoldsOuterRows) else data.val_dataloader()
            if not len(loader):
                raise DataError("no rows for the outer step", where="data", expected="outer or validation rows")
            self._rows = _over_and_over(loader, self.num_steps)
        return self._rows

    def state(self) -> dict[str, Any]:
        """Counts, and the outer optimiser."""
        held = self._saved if self._optimizer is None else self._optimizer.state_dict()
        counts = {"num_batches": self.num_batches, "num_steps": self.num_steps}
        return {"kind": type(self).__name__, **counts, "optimizer": held or {}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`: the next outer step takes the rows that come next."""
        super().load_state(state)
        self.num_batches, self.num_steps = int(state["num_batches"]), int(state["num_steps"])
        self._saved, self._optimizer, self._rows = dict(state["optimizer"]) or None, None, None


def _over_and_over(loader: Any, start: int) -> Iterator[Any]:
    """Batches from number ``start`` on, pass after pass, each in the order of its epoch."""
    number = start
    while True:
        epoch, first = divmod(number, len(loader))
        set_epoch = getattr(getattr(loader, "sampler", None), "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        for batch in islice(iter(loader), first, None):
            number += 1
            yield batch


@contextmanager
def _own_draws(task: Task, number: int) -> Iterator[None]:
    """Draws of an outer step that follow from its number, and leave those of the batch as they are."""
    with torch.random.fork_rng([task.device] if task.device.type == "cuda" else []):
        torch.manual_seed(sample_seed(sample_seed(task.seed, task.global_rank, _STREAM), 0, number))
        yield


def _mean_over_processes(value: Tensor) -> Tensor:
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value)
        value = value / dist.get_world_size()
    return value


def _clip(parameters: list[nn.Parameter], limit: float | None, algorithm: str | None) -> None:
    if limit:
        by_value = algorithm == "value"
        (nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_)(parameters, limit)
