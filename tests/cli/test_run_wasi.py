"""`asyncwasm run` with WASI programs: as if they were native commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wasi.programs import CAT, ECHO, ENVIRONMENT, HELLO, IMPORTS, OPEN, SPIN, TRAP

pytestmark = pytest.mark.slow

# Says something, and then computes for ever.
BUSY = f"""(module {IMPORTS}
  (data (i32.const 16) "x")
  (func (export "_start")
    (call $write (i32.const 1) (i32.const 16) (i32.const 1))
    (loop $more (br $more))))"""


def command(*args: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    arguments = [sys.executable, "-m", "asyncwasm", "run", *map(str, args)]
    return subprocess.run(arguments, capture_output=True, timeout=60, check=False, **options)


@pytest.fixture
def program(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "program.wat"
        path.write_text(text)
        return path

    return write


def test_exit_status_and_streams(program):
    done = command(program(HELLO))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"warning\n")


def test_what_follows_the_program_is_its_own(program):
    done = command(program(ECHO), "--timeout", "-x", "--", "a b")
    assert done.stdout == b"program.wat\0--timeout\0-x\0--\0a b\0"
    assert command("--argv0", "me", program(ECHO)).stdout == b"me\0"


def test_standard_input_is_inherited(program):
    path = program(CAT)
    assert command(path, input=b"piped in\n").stdout == b"piped in\n"
    assert command(path, stdin=subprocess.DEVNULL).stdout == b""
    with path.open("rb") as file:
        assert command(path, stdin=file).stdout == path.read_bytes()
    # A program from standard input finds that at its end.
    assert command("-", input=HELLO.encode()).stdout == b"hello\n"
    assert command("-", input=CAT.encode()).stdout == b""


def test_environment(program):
    path = program(ENVIRONMENT)
    assert command(path).stdout == b""
    environ = {**os.environ, "INHERITED": "1"}
    environ.pop("MISSING", None)
    done = command("--env", "A=b=c", "--env", "INHERITED", "--env", "MISSING", path, env=environ)
    assert done.stdout == b"A=b=c\0INHERITED=1\0"


def test_directories(program, tmp_path):
    path = program(OPEN)  # writes what is in /d/file
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("inside")
    assert command("--dir", f"{shared}::/d", path).stdout == b"inside"
    assert command(path).returncode == 8  # no descriptor 3
    done = command("--dir", tmp_path / "none", path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"asyncwasm: error: ")


def test_a_trap_ends_it_like_an_abort(program):
    done = command(program(TRAP))
    assert done.returncode == 134
    assert b"wasm `unreachable` instruction executed" in done.stderr
    assert b"wasm backtrace" in done.stderr
    assert b"Traceback" not in done.stderr


def test_limits(program):
    path = program(SPIN)
    assert command("--timeout", "100ms", path).returncode == 134
    done = command("--fuel", "1000", path)
    assert (done.returncode, b"fuel" in done.stderr) == (134, True)
    assert command("--max-memory", "1", path).returncode == 1
    # By Wasmtime's names.
    assert command("-W", "timeout=100ms", path).returncode == 134
    assert b"fuel" in command("-W", "gc=n,fuel=1000", path).stderr
    assert b"memory" in command("-Wmax-memory-size=1", path).stderr
    done = command("-W", "fuel=x", path)
    assert (done.returncode, b"'x' is not a number" in done.stderr) == (2, True)
    assert command().stderr.endswith(b"required: FILE\n")


@pytest.mark.parametrize("text", [BUSY, CAT], ids=["running", "waiting for input"])
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_interrupt(program, text):
    with subprocess.Popen(
        [sys.executable, "-m", "asyncwasm", "run", str(program(text))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        # Once it has answered it waits for more, or computes.
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""


def test_nobody_reads_the_output(program):
    with subprocess.Popen(
        [sys.executable, "-m", "asyncwasm", "run", str(program(CAT))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.communicate(b"x" * 100_000)
        # It finds that it cannot write, and ignores that.
        assert process.returncode == 0


def test_machine_code_is_kept(program, tmp_path):
    pytest.importorskip("llvmlite")
    path, cache = program(HELLO), tmp_path / "cache"
    environ = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    assert command("--no-cache", path, env=environ).stdout == b"hello\n"
    assert not list(cache.rglob("*.code"))
    assert command("--engine=native", path, env=environ).stdout == b"hello\n"
    if sys.platform == "linux":
        assert list(cache.rglob("*.code"))
    assert command("--engine=native", path, env=environ).stdout == b"hello\n"
