"""The command line: `asyncwasm COMMAND …`, or `python -m asyncwasm COMMAND …`.

One module per command.  Exit status: 0 for success, 1 for a failure, 2 for wrong usage, 130
after Ctrl-C; `run` adds what the guest ends with.  Faults of the input are one line on
standard error, `asyncwasm: error: FILE:PLACE: MESSAGE`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Final

from asyncwasm._version import __version__

from ._failure import Failure, report

# Commands and what they do; the module of a command is imported when it is used.
COMMANDS: Final = {
    "run": "run a program, or call one function of a module",
    "validate": "check that modules are well-formed and valid",
    "parse": "translate the text format into the binary format",
    "print": "translate the binary format into the text format",
    "inspect": "show the imports, exports and features of a module",
    "wast": "run spec test scripts",
}


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS)) + 2
    summary = "\n".join(f"  {name:<{width}}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="asyncwasm",
        description="A WebAssembly runtime for asynchronous Python.",
        epilog=f"commands:\n{summary}\n\n`asyncwasm COMMAND --help` says more about each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"asyncwasm {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="what to do")
    parser.add_argument(
        "arguments", metavar="…", nargs=argparse.REMAINDER, help="the command's own arguments"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command with `argv` (by default the process's) and return its exit status.

    Raises `SystemExit` for `--help` and wrong usage.
    """
    if not sys.warnoptions:
        # Ctrl-C may strike between the making of a coroutine and its first step.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        args = _parser().parse_args(argv)
        module = importlib.import_module(f".{args.command}", __name__)
        parser: argparse.ArgumentParser = module.make_parser(f"asyncwasm {args.command}")
        parse = getattr(module, "parse", argparse.ArgumentParser.parse_intermixed_args)
        options = parse(parser, args.arguments)
        try:
            status: int = module.run(options)
        except Failure as failure:
            report(failure)
            status = failure.status
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone.  Python flushes again at exit: let that go nowhere.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
