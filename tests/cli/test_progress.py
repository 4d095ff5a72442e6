"""What a terminal is told while a program is compiled."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from asyncwasm.cli._progress import Progress
from asyncwasm.wasi import BytesOutput
from tests.wasi.programs import HELLO


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("p.wasm")
    counts = iter([10, 60, 80, 80, 90])
    output = BytesOutput(100)

    class Engine:
        def statistics(self) -> SimpleNamespace:
            return SimpleNamespace(functions_compiled=next(counts))

    async def main() -> None:
        trio.lowlevel.spawn_system_task(progress.watch, Engine())
        await trio.sleep(2.75)
        # The last look is not taken: the terminal is the program's.
        await progress.until_written(output).write(b"out")
        await trio.sleep(2)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    lines = ["compiling, 60 functions so far", "compiling, 80 functions so far", ""]
    lines += ["compiling, 90 functions so far", ""]
    assert terminal.getvalue() == "".join(
        "\r\x1b[K" + (line and f"p.wasm: {line}") for line in lines
    )
    assert output.getvalue() == b"out"


def test_nothing_without_a_terminal(monkeypatch):
    found = io.StringIO()
    monkeypatch.setattr(sys, "stderr", found)
    progress = Progress("p.wasm")
    progress.say("loading")
    progress.stop()
    output = BytesOutput(100)
    assert progress.until_written(output) is output
    assert found.getvalue() == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudoterminal")
def test_a_short_program_on_a_terminal(tmp_path):
    """Nothing but its own output."""
    (tmp_path / "program.wat").write_text(HELLO)
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "asyncwasm", "run", str(tmp_path / "program.wat")],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            timeout=120,
            check=False,
        )
        assert done.returncode == 3
        assert screen.read(1000) == b"hello\r\nwarning\r\n"
        os.close(theirs)
