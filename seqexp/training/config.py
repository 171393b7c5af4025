"""From YAML files and flags to a task, a data module and Trainer settings, through LightningCLI."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentError
from collections.abc import Iterator, Mapping
from pathlib import Path
from traceback import walk_tb
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning import LightningDataModule, Trainer, seed_everything
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.plugins.environments import LightningEnvironment

from seqexp.core.classes import allowed_packages, own_classes, remember_own_classes
from seqexp.core.errors import ConfigError, SeqexpError
from seqexp.training.callbacks import RunOptions
from seqexp.training.classes import only_classes_of, refused_class
from seqexp.training.facts import fill_in
from seqexp.training.limits import check_settings, check_sizes, counts_before_shares
from seqexp.training.loggers import require_logger_packages
from seqexp.training.renamed import refuse_renamed
from seqexp.training.stack import own_settings
from seqexp.training.task import ExpressionTask

counts_before_shares(Trainer.__init__)

_UNFIT = re.compile(
    r'Parser key "([^"]+)": .*?not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors: .*'
    r"Given value: (.*)$"
)


def unfit_value(message: str) -> ConfigError:
    """The parser's message about a value; where it lists all types of a union twice, key, value and types alone."""
    where = "the config files and flags of this command"
    found = _UNFIT.search(message)
    if found is None:
        return ConfigError(message, where=where)
    key, types, value = found.groups()
    types = re.sub(r"typing\.Literal\[(.*?)\]", r"\1", types.replace("<class 'NoneType'>", "null"))
    return ConfigError(f"{key}: {value}", where=where, expected=re.sub(r"<class '(.*?)'>", r"\1", types))


def _refused(message: str) -> ConfigError:
    """The error for a message of the parser."""
    told = " ".join(message.split())
    return refused_class(told) or unfit_value(told)


def _validate(parser: LightningArgumentParser, settings: Namespace, **options: bool) -> None:
    try:
        parser.validate(settings, **options)
    except (TypeError, KeyError) as error:
        raise _refused(str(error)) from error


def _absolute_paths(settings: Namespace) -> None:
    """Make the paths given to a data module absolute, so that a run can be opened from any folder later."""
    arguments = settings.get("init_args") or {}
    for name, value in list(arguments.items()):
        if isinstance(value, Path):
            arguments[name] = value.absolute()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, what caused that."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def refusal(error: Exception) -> SeqexpError:
    """The one message for what went wrong while the classes of a config were built.

    The parser wraps whatever a constructor raises, once for every level of nesting. What was raised first is what the
    user has to read: as it is where it is ours, with the class whose settings it refused where it is not.
    """
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, SeqexpError):
            return cause
    first = causes[-1]
    frames = [frame for frame, _ in walk_tb(first.__traceback__) if frame.f_code.co_name == "__init__"]
    built = [type(frame.f_locals["self"]) for frame in frames if "self" in frame.f_locals]
    named = next((kind.__name__ for kind in reversed(built) if kind.__module__.startswith("seqexp.")), "a class")
    told = " ".join(str(first).split()) or type(first).__name__
    return ConfigError(
        f"{named} cannot be built with these settings: {told}",
        where="the config files and flags of this command",
        expected="settings that the class accepts; its docstring lists them",
    )


class RunConfig(LightningCLI):
    """Typed settings of a run; the signatures of task, network, data module and Trainer are the schema.

    The data module is built first, then task and network with the facts that the data know
    (:mod:`seqexp.training.facts`), the Trainer by :meth:`build_trainer`.

    Parameters
    ----------
    arguments : list of str
        ``--config PATH`` any number of times and overrides such as ``--model.lr 0.001``, later ones win.
    is_received : bool
        The config lies in a run folder, which may come from anybody: it may name classes of seqexp and of the packages
        of :func:`seqexp.core.classes.allow_classes` only, also where the caller's own configs may name any; outside of
        a command it may also name the very classes that the caller has trained in this process. It is complete, and
        nothing is filled in.
    assumed : mapping of str to int, optional
        Facts to go by where the data cannot be read, which is told on standard error; without, that is an error.

    Attributes
    ----------
    model : ExpressionTask
    datamodule : LightningDataModule
    settings : dict
        The complete settings as plain values, for ``config.yaml``.
    options : RunOptions
    """

    def __init__(
        self, arguments: list[str], is_received: bool = False, assumed: Mapping[str, int] | None = None
    ) -> None:
        self._is_received, self._assumed = is_received, assumed
        refuse_renamed(arguments)
        packages = allowed_packages()
        is_own = packages is None and not is_received
        with only_classes_of(own_classes() if packages is None and is_received else packages):
            super().__init__(
                ExpressionTask,
                LightningDataModule,
                subclass_mode_data=True,
                save_config_callback=None,
                seed_everything_default=0,
                parser_kwargs={"prog": "seqexp fit", "exit_on_error": False, "allow_abbrev": False},
                args=[own_settings(argument) for argument in arguments],
                run=False,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
            )
        if is_own:
            remember_own_classes(self.settings)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of a run; one seed serves task and data too."""
        parser.add_class_arguments(RunOptions, "run")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, build the data module, fill in what it knows; what the parser refuses becomes one message."""
        printing = [one for one in args if one.startswith("--print_config")]  # of the complete config, at the end
        args = [one for one in args if one not in printing]
        try:
            self.config = parser.parse_args(args, _skip_validation=True)
            self._build_data(parser)
            if not self._is_received and isinstance(self.config["model"].get("network"), Namespace):
                typed = parser.parse_args(args, defaults=False, _skip_validation=True)
                fill_in(self.config["model"]["network"], typed["model"]["network"], *self._facts())
            _validate(parser, self.config)
            if printing:
                parser.parse_args([*printing, f"--config={parser.dump(self.config)}"])
        except ArgumentError as error:
            raise _refused(str(error.message)) from error
        except Exception as error:
            raise refusal(error) from error

    def _build_data(self, parser: LightningArgumentParser) -> None:
        """The data module, once all settings but those of the network are known to be sound."""
        known = self.config.clone()
        known["model"].pop("network", None)
        _validate(parser, known, skip_required=True)
        check_settings(known.as_dict())
        self._set_seed()
        _absolute_paths(self.config["data"])
        alone = ArgumentParser(exit_on_error=False)
        alone.add_subclass_arguments(LightningDataModule, "data")
        self.datamodule: LightningDataModule = alone.instantiate(Namespace(data=self.config["data"]))["data"]

    def _facts(self) -> tuple[Mapping[str, int], bool]:
        """What the data know, and whether that is only assumed."""
        facts = getattr(self.datamodule, "facts", None)
        if not callable(facts):
            return {}, False
        try:
            return facts(), False
        except SeqexpError as error:
            if self._assumed is None:
                raise
            told = ", ".join(f"{name}: {value}" for name, value in self._assumed.items())
            print(f"note: the data cannot be read ({error.found}); assumed {told}", file=sys.stderr)
            return self._assumed, True

    def _set_seed(self) -> None:
        """Seed Python, NumPy and torch, in silence."""
        seed = int(self.config["seed_everything"])
        if not 0 <= seed < 2**32:
            raise ConfigError(f"seed_everything: {seed}", expected="a whole number from 0 to 4294967295")
        seed_everything(seed, workers=True, verbose=False)

    def instantiate_classes(self) -> None:
        """Build the task, and what else the config names; the Trainer comes later, when its run folder is known."""
        self.settings: dict[str, Any] = yaml.safe_load(self.parser.dump(self.config, format="yaml"))
        self.settings.pop("config", None)
        check_sizes(self.settings["model"]["network"])
        require_logger_packages(self.settings["trainer"].get("logger"))
        try:
            without_data = Namespace({name: part for name, part in self.config.items(branches=True) if name != "data"})
            self.config_init = self.parser.instantiate(without_data)
        except Exception as error:
            raise refusal(error) from error
        self.model = self.config_init["model"]
        self.options: RunOptions = self.config_init["run"]

    @property
    def num_tokens(self) -> int:
        """Tokens of a window, as long as the data have windows: bases, or bins where the network bins them."""
        return int(getattr(self.datamodule, "window_bp", 0)) // int(getattr(self.model.network, "bin_bp", 1))

    def build_trainer(self, for_training: bool = True, **replaced: Any) -> Trainer:
        """Trainer of the settings with some replaced; plugins, and for training callbacks, join the configured ones."""
        arguments = dict(self.config_init["trainer"])
        if not for_training:
            arguments["callbacks"] = None
        for name in ("callbacks", "plugins"):
            given = arguments.get(name) or []
            arguments[name] = [*(given if isinstance(given, list) else [given]), *replaced.pop(name, [])]
        try:
            trainer = Trainer(**{**arguments, **replaced})
        except SeqexpError:
            raise
        except Exception as error:  # Lightning refuses settings with errors of many types
            raise ConfigError(
                " ".join(str(error).split()) or type(error).__name__,
                where="settings of the trainer",
                fix="correct the trainer section of the config, or the --trainer flags",
            ) from error
        environment = getattr(trainer.strategy, "cluster_environment", None)
        if trainer.num_nodes > 1 and isinstance(environment, LightningEnvironment) and "MASTER_ADDR" not in os.environ:
            raise ConfigError(
                f"trainer.num_nodes is {trainer.num_nodes}, and nothing here starts or finds the other machines",
                expected="1, or a job of SLURM, torchrun or another launcher of several machines",
            )
        return trainer
