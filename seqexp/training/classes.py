"""The gate of a config: names are compared with what is allowed before jsonargparse imports them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from jsonargparse import _common, set_parsing_settings
from pytorch_lightning import callbacks, loggers, strategies

from seqexp.core.errors import ConfigError

# Parts of Lightning that a config has a use for. Others run what they are given (LambdaCallback), open files of any
# name (profilers), or change how checkpoints are read (plugins): they need --allow-classes.
LIGHTNING = (
    callbacks.EarlyStopping,
    callbacks.ModelCheckpoint,
    callbacks.LearningRateMonitor,
    callbacks.DeviceStatsMonitor,
    callbacks.GradientAccumulationScheduler,
    callbacks.StochasticWeightAveraging,
    callbacks.Timer,
    callbacks.TQDMProgressBar,
    callbacks.RichProgressBar,
    loggers.CSVLogger,
    loggers.TensorBoardLogger,
    loggers.WandbLogger,
    strategies.DDPStrategy,
)
_DENIED = re.compile(r"Importing '([^']+)' is not allowed")


@contextmanager
def only_classes_of(packages: tuple[str, ...] | None) -> Iterator[None]:
    """Within the block, jsonargparse imports classes of seqexp, of ``LIGHTNING`` and of these packages alone.

    The rule holds for every name a value can bring in: class paths at any depth, callables, types and modules. An
    object is also judged by where it is defined, so that ``seqexp.core.files.os.remove`` does not pass as seqexp's.

    Parameters
    ----------
    packages : tuple of str or None
        None: anything, as in code.
    """
    if packages is None:
        yield
        return
    own = [f"{kind.__module__}.{kind.__qualname__}" for kind in LIGHTNING]
    short = [f"{kind.__module__.rpartition('.')[0]}.{kind.__qualname__}" for kind in LIGHTNING]
    # jsonargparse has no way back from a rule, and Python callers stay free: the settings are put back by hand.
    before = dict(_common.parsing_settings)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["seqexp", *own, *short, *packages])
    try:
        yield
    finally:
        _common.parsing_settings.clear()
        _common.parsing_settings.update(before)


def refused_class(message: str) -> ConfigError | None:
    """The error for a name that :func:`only_classes_of` refused, found in a message of jsonargparse."""
    found = _DENIED.search(message)
    if found is None:
        return None
    name = found[1]
    return ConfigError(
        f"the config names {name}, which was not imported",
        where="the config files and flags of this command",
        expected="classes of seqexp, or of packages that you trust and name",
        fix=f"read that code, then add --allow-classes {name.split('.')[0]}",
    )
