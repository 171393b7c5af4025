"""`seqexp COMMAND ...`: finds the command, runs it, turns errors a user may see into one message."""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

from seqexp import __version__
from seqexp.cli.last_net import as_message, close_output, tell
from seqexp.core.classes import allow_classes
from seqexp.core.errors import ConfigError


class Command(NamedTuple):
    """Where a command lives (``module:function``) and its line in the help."""

    target: str
    help: str


# Imported only when called, so that the help costs no torch. Each function: argv (list of str) -> exit status.
COMMANDS: dict[str, Command] = {
    "demo": Command("seqexp.cli.demo:main", "simulate data with a known truth, train, evaluate, write a report"),
    "data": Command("seqexp.cli.data:main", "prepare a dataset from a recipe, or check one"),
    "fit": Command("seqexp.cli.fit:fit", "train a model from a config and finish its run folder"),
    "estimate": Command("seqexp.cli.estimate:main", "time and memory of a training step, before a run is started"),
    "validate": Command("seqexp.cli.fit:validate", "metrics of a run on the validation split"),
    "test": Command("seqexp.cli.fit:test", "metrics of a run on the test split"),
    "predict": Command("seqexp.cli.predict:main", "predict a data set, or any interval, gene or sequence"),
    "elements": Command("seqexp.cli.elements:main", "turn the masks of a run into BED, narrowPeak and bigWig"),
    "peaks": Command("seqexp.cli.peaks:main", "call peaks with MACS3, or read existing ones"),
    "features": Command("seqexp.cli.features:main", "read every spot of a slide set with a pretrained patch encoder"),
    "benchmark": Command("seqexp.cli.benchmark:main", "elements against CRISPRi pairs; models on every split"),
    "compare": Command("seqexp.cli.compare:main", "compare elements with peaks at equal base-pair budgets"),
    "report": Command("seqexp.cli.report:main", "write the HTML report of a run"),
    "doctor": Command("seqexp.cli.doctor:main", "what is installed and usable on this machine"),
}


def usage() -> str:
    """Text of ``seqexp --help``."""
    lines = [f"  {name:<10}{command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: seqexp COMMAND [ARGUMENTS]",
            "",
            "Predict gene expression from what controls it: DNA and its signals, or stained tissue.",
            "",
            "commands:",
            *lines,
            "",
            "seqexp COMMAND --help explains one command; seqexp --version prints the version.",
            "A config or run folder may name classes of seqexp alone, unless --allow-classes PACKAGE names more.",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 2 a mistake or a refusal of the machine, told in one message, 130 interrupted, 141 nobody reads the output.
    """
    try:
        with allow_classes():  # configs name classes of seqexp alone, unless --allow-classes says more
            status = _run(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except BrokenPipeError:  # the reader has seen enough, as in `seqexp ... | head`
        return 141
    except Exception as error:
        message = as_message(error)
        if message is None:
            raise
        tell(f"error: {message}")
        return 2
    finally:
        close_output()


def _run(argv: list[str]) -> int:
    name, arguments = (argv[0], argv[1:]) if argv else ("", [])
    if name in {"", "-h", "--help", "help"}:
        print(usage())
        return 0 if name else 2
    if name in {"-V", "--version"}:
        print(f"seqexp {__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}", expected="one of: " + ", ".join(COMMANDS))
    module, function = COMMANDS[name].target.split(":")
    return int(getattr(importlib.import_module(module), function)(arguments))
