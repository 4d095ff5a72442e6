"""Tests that run in a process of their own, where signals cannot hit the test runner.

A module of such tests ends with `if __name__ == "__main__": child.main(...)`, and a test calls
`child.run` with the module's name.
"""

from __future__ import annotations

import faulthandler
import gc
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# A child that hangs ends itself after so many seconds, saying where it was.
LIMIT = 120
DONE = "done\n"

# What went to `sys.unraisablehook`: exceptions that nobody could catch.
unraisables: list[str] = []


def run(module: str, *arguments: str) -> None:
    """Run `python -m module arguments…`, and fail with what it printed unless it is content."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT + 60,
        check=False,
    )
    if (done.returncode, done.stdout, done.stderr) != (0, DONE, ""):
        said = f"{done.stdout}{done.stderr}"
        pytest.fail(f"exit status {done.returncode}:\n{said}", pytrace=False)


def main(**tests: Callable[..., object]) -> None:
    """Call the test that the first argument names, with the others."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    sys.unraisablehook = _note
    # Finalizers cannot pass on what a signal handler raises in them.
    gc.disable()
    name, *arguments = sys.argv[1:]
    tests[name](*arguments)
    gc.collect()
    sys.stderr.writelines(unraisables)
    sys.stdout.write(DONE)


def _note(args: Any) -> None:
    # Formatted at once: the arguments would keep alive what is being finalized.
    lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
    unraisables.append(
        f"{args.err_msg or 'Exception ignored in'} {args.object!r}\n{''.join(lines)}"
    )
