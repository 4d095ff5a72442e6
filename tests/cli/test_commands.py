"""The command line: what each command prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncwasm.cli import COMMANDS, main
from asyncwasm.core.text import assemble

Run = Callable[..., tuple[int, str, str]]

FUNCTIONS = """\
(module $functions
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "swap") (param i64 f32) (result f32 i64) (local.get 1) (local.get 0))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "vector") (param v128) (result v128) (local.get 0))
  (func (export "null") (param externref) (result externref) (local.get 0))
  (func $f (export "reference") (result funcref) (ref.func $f))
  (func (export "unreachable") (unreachable))
  (func (export "forever") (loop $l (br $l)))
  (func (export "grow") (result i32) (memory.grow (i32.const 100)))
  (memory 1))
"""


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; its status, standard output and standard error."""

    def run(*args: object) -> tuple[int, str, str]:
        try:
            status = main([str(arg) for arg in args])
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else 1
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.wat"
    path.write_text(FUNCTIONS)
    return path


def test_help_names_every_command(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert all(f"\n  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        status, out, _ = run(name, "--help")
        assert status == 0
        assert out.startswith(f"usage: asyncwasm {name}")


def test_version(run: Run) -> None:
    assert run("--version")[1].startswith("asyncwasm ")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "--fuel", "-1", "x"],
        ["run", "--timeout", "soon", "x"],
        ["run", "--max-memory", "64MB", "x"],
        ["run", "--wasm", "telepathy", "x"],
        ["run", "--wasm", "simd=maybe", "x"],
        ["run", "--wasm", "simd=n", "x"],
        ["validate"],
        ["wast", "--jobs", "0", "x"],
        ["wast", "--loop", "curio", "x"],
    ],
)
def test_wrong_usage(run: Run, args: list[str]) -> None:
    status, out, err = run(*args)
    assert status == 2
    assert not out
    assert "error: " in err
    assert "Traceback" not in err


# run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "output"),
    [
        (["add", "1", "-3"], "-2\n"),
        (["add", "0xffff_ffff", "0"], "-1\n"),
        (["add", "--", "-0x10", "1"], "-15\n"),
        (["swap", "-9223372036854775808", "0.1"], "0.1\n-9223372036854775808\n"),
        (["swap", "0xffffffffffffffff", "nan:0x200000"], "nan:0x200000\n-1\n"),
        (["half", "0x1p-1"], "0.25\n"),
        (["half", "inf"], "inf\n"),
        (["half", "1e-3"], "0.0005\n"),
        (["half", "--", "-inf"], "-inf\n"),
        (["half", "3"], "1.5\n"),
        (["vector", "0x0102"], "0x00000000000000000000000000000102\n"),
        (["null", "null"], "null\n"),
        (["reference"], "<funcref>\n"),
    ],
)
def test_run_invoke(run: Run, functions: Path, args: list[str], output: str) -> None:
    assert run("run", "--invoke", args[0], functions, *args[1:]) == (0, output, "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["add", "1"], "expected 2 arguments for `add`"),
        (["add", "1", "2", "3"], "expected 2 arguments for `add`"),
        (["add", "1", "4294967296"], "argument '4294967296' is not of type `i32`"),
        (["add", "1", "1.5"], "argument '1.5' is not of type `i32`"),
        (["add", "1", "(2"], "argument '(2' is not of type `i32`"),
        (["add", "1", ""], "argument '' is not of type `i32`"),
        (["half", "x"], "argument 'x' is not of type `f64`"),
        (["null", "5"], "unsupported argument '5'"),
        (["missing"], "no function is exported as `missing`"),
    ],
)
def test_run_wrong_arguments(run: Run, functions: Path, args: list[str], message: str) -> None:
    status, out, err = run("run", "--invoke", args[0], functions, *args[1:])
    assert (status, out) == (1, "")
    assert err.startswith("asyncwasm: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_run_reports_traps_with_a_backtrace(run: Run, functions: Path) -> None:
    status, out, err = run("run", "--invoke", "unreachable", functions)
    assert (status, out) == (134, "")
    lines = err.splitlines()
    assert lines[0] == (
        f"asyncwasm: error: {functions}: wasm trap: wasm `unreachable` instruction executed"
    )
    assert "functions!" in err
    assert "Traceback" not in err


def test_run_limits(run: Run, functions: Path) -> None:
    assert run("run", "--invoke", "grow", functions)[1] == "1\n"
    assert run("run", "--max-memory", "1MiB", "--invoke", "grow", functions)[1] == "-1\n"
    status, _, err = run("run", "--max-memory", "65535", "--invoke", "grow", functions)
    assert status == 1
    assert "memory" in err
    status, _, err = run("run", "--fuel", "1000", "--invoke", "forever", functions)
    assert (status, "fuel" in err) == (134, True)
    assert run("run", "--fuel", "1000", "--invoke", "add", functions, "1", "2")[1] == "3\n"
    started = time.monotonic()
    status, _, err = run("run", "--timeout", "50ms", "--invoke", "forever", functions)
    assert (status, "timed out after 0.05 s" in err) == (134, True)
    assert time.monotonic() - started < 10


def test_run_without_invoke(run: Run, tmp_path: Path) -> None:
    """`_initialize` comes first, and of the rest the first that there is."""
    module = tmp_path / "m.wat"
    store = "(memory 1) (global $g (mut i32) (i32.const 0))"
    initialize = '(func (export "_initialize") (global.set $g (i32.const 1)))'
    start = '(func (export "_start") (if (i32.eqz (global.get $g)) (then (unreachable))))'
    module.write_text(f"(module {store} {initialize} {start})")
    assert run("run", module) == (0, "", "")
    module.write_text(f"(module {store} {start})")
    assert run("run", module)[0] == 134
    module.write_text(f'(module {store} {start} (func (export "")))')
    assert run("run", module) == (0, "", "")
    module.write_text("(module)")
    assert run("run", module) == (0, "", "")
    assert run("run", module, "1")[0] == 1


def test_run_needs_its_imports(run: Run, tmp_path: Path) -> None:
    module = tmp_path / "m.wat"
    module.write_text('(module (import "env" "f" (func)))')
    status, _, err = run("run", module)
    assert status == 1
    assert err == (f"asyncwasm: error: {module}: unknown import: `env::f` has not been defined\n")


# Files -----------------------------------------------------------------------------------------

BAD_TEXT = "(module\n  (func\n    i32.ad))\n"
INVALID = "(module (func (result i32)))"


@pytest.mark.parametrize("command", ["run", "validate", "parse", "print", "inspect"])
def test_bad_input_is_one_line(run: Run, tmp_path: Path, command: str) -> None:
    text = tmp_path / "bad.wat"
    text.write_text(BAD_TEXT)
    status, out, err = run(command, text)
    assert (status, out) == (1, "")
    assert err.startswith(f"asyncwasm: error: {text}:3:5: unknown operator")
    assert err.count("\n") == 1
    binary = tmp_path / "bad.wasm"
    binary.write_bytes(b"\0asm\1\0\0\0\1\x05")
    if command != "parse":
        status, out, err = run(command, binary)
        assert (status, out) == (1, "")
        assert err.startswith(f"asyncwasm: error: {binary}:0x8: ")
    status, _, err = run(command, tmp_path / "missing")
    assert status == 1
    assert err == f"asyncwasm: error: {tmp_path / 'missing'}: No such file or directory\n"
    assert run(command, tmp_path)[0] == 1
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    status, _, err = run(command, empty)
    assert "Traceback" not in err


def test_validate(run: Run, tmp_path: Path, functions: Path) -> None:
    invalid = tmp_path / "invalid.wat"
    invalid.write_text(INVALID)
    assert run("validate", functions) == (0, "", "")
    status, out, err = run("validate", invalid, functions, tmp_path / "missing")
    assert (status, out) == (1, "")
    assert [line.split(": ")[2] for line in err.splitlines()] == [
        f"{invalid}:0x18",
        str(tmp_path / "missing"),
    ]
    status, _, err = run("validate", "--wasm", "multi_value=n", functions)
    assert (status, "wasm_multi_value" in err) == (1, True)
    assert run("validate", "--wasm", "multi-value=n", "--wasm", "multi_value", functions)[0] == 0


def test_parse_and_print(run: Run, tmp_path: Path, functions: Path) -> None:
    binary = tmp_path / "functions.wasm"
    assert run("parse", functions, "-o", binary) == (0, "", "")
    assert binary.read_bytes() == assemble(FUNCTIONS)
    status, printed, err = run("print", binary)
    assert (status, err) == (0, "")
    assert printed.startswith("(module $functions\n")
    again = tmp_path / "again.wat"
    again.write_text(printed)
    assert run("parse", again, "--output", tmp_path / "again.wasm")[0] == 0
    assert (tmp_path / "again.wasm").read_bytes() == binary.read_bytes()
    assert run("print", functions)[1] == printed
    assert "$" not in run("print", "--no-names", binary)[1]
    assert run("print", binary, "-o", tmp_path / "no" / "directory")[0] == 1


def test_inspect(run: Run, tmp_path: Path) -> None:
    module = tmp_path / "m.wat"
    module.write_text(
        '(module $m (import "a" "b\\1b[31m" (memory i64 1))'
        ' (func (export "f") (param v128) (return_call 0 (local.get 0))))'
    )
    status, out, err = run("inspect", module)
    assert (status, err) == (0, "")
    assert 'module "m"' in out
    assert '"a" "b\\u{1b}[31m": (memory i64 1)' in out
    assert '"f": (func (param v128))' in out
    report = json.loads(run("inspect", "--json", module)[1])
    assert report["features"] == ["tail_call", "simd", "memory64"]
    assert report["exports"] == [{"name": "f", "type": "(func (param v128))"}]
    assert report["imports"] == [{"module": "a", "name": "b\x1b[31m", "type": "(memory i64 1)"}]
    assert report["defined"]["funcs"] == 1
    module.write_text('(module (func (export "f") (param i32)))')
    assert json.loads(run("inspect", "--json", module)[1])["features"] == []


# wast ------------------------------------------------------------------------------------------

GOOD = '(module (func (export "f") (result i32) (i32.const 1)))\n'
TRUE = '(assert_return (invoke "f") (i32.const 1))\n'
FALSE = '(assert_return (invoke "f") (i32.const 2))\n'


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    directory = tmp_path / "scripts"
    (directory / "deeper").mkdir(parents=True)
    (directory / "a.wast").write_text(GOOD + TRUE * 3)
    (directory / "b.wast").write_text(GOOD + TRUE + FALSE + '(assert_suspension (invoke "f") "")')
    (directory / "deeper" / "c.wast").write_text(FALSE)
    (directory / "notes.txt").write_text("not a script")
    return directory


@pytest.mark.parametrize("loop", ["trio", "asyncio", "none"])
def test_wast(run: Run, scripts: Path, loop: str) -> None:
    status, out, err = run("wast", scripts, "--loop", loop)
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        f"{scripts}/a.wast: 4 passed, 0 failed, 0 skipped",
        f"{scripts}/b.wast: 2 passed, 1 failed, 1 skipped",
        f"{scripts}/b.wast:3: expected (i32.const 2), got (i32.const 1)",
        f"{scripts}/b.wast:4: skipped: `assert_suspension` is not supported",
        "total: 6 passed, 1 failed, 1 skipped",
    ]
    assert run("wast", scripts / "a.wast", "--loop", loop)[0] == 0


@pytest.mark.slow
def test_wast_in_several_processes(run: Run, scripts: Path) -> None:
    assert run("wast", scripts, "--jobs", "2") == run("wast", scripts)


def test_wast_as_json(run: Run, scripts: Path) -> None:
    status, out, _ = run("wast", scripts, "--json")
    assert status == 1
    report = json.loads(out)
    assert (report["passed"], report["failed"], report["skipped"]) == (6, 1, 1)
    failure = report["files"][1]["failures"][0]
    assert failure == {"line": 3, "expected": "(i32.const 2)", "got": "(i32.const 1)"}


def test_wast_files_that_cannot_be_read(run: Run, scripts: Path) -> None:
    status, out, err = run("wast", scripts / "missing.wast", scripts / "a.wast")
    assert status == 1
    assert err == f"asyncwasm: error: {scripts}/missing.wast: No such file or directory\n"
    assert "a.wast: 4 passed" in out
    assert run("wast", scripts / "deeper" / "..")[0] == 1
    (scripts / "empty").mkdir()
    assert run("wast", scripts / "empty")[0] == 1


# Processes -------------------------------------------------------------------------------------


def asyncwasm(*args: object, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "asyncwasm", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.slow
def test_standard_input_and_output() -> None:
    with asyncwasm("parse", "-", stdin=subprocess.PIPE) as process:
        out, err = process.communicate(FUNCTIONS.encode())
    assert (process.returncode, out, err) == (0, assemble(FUNCTIONS), b"")
    with asyncwasm("print", "-", "-o", "-", stdin=subprocess.PIPE) as process:
        printed, _ = process.communicate(out)
    assert printed.startswith(b"(module $functions")
    with asyncwasm("validate", "-", stdin=subprocess.PIPE) as process:
        _, err = process.communicate(BAD_TEXT.encode())
    assert err.startswith(b"asyncwasm: error: <stdin>:3:5: ")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX")
@pytest.mark.parametrize("loop", ["trio", "asyncio", "none"])
def test_ctrl_c(tmp_path: Path, loop: str) -> None:
    """A guest that never ends is stopped, once it is known to run."""
    (tmp_path / "a.wast").write_text(GOOD + TRUE)
    (tmp_path / "b.wast").write_text("(module (func $f (loop $l (br $l))) (start $f))")
    with asyncwasm("wast", "--loop", loop, tmp_path) as process:
        assert process.stdout is not None
        assert b"a.wast: 2 passed" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.slow
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    script = tmp_path / "a.wast"
    script.write_text(GOOD + TRUE)
    with asyncwasm("wast", script) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=20)
    assert (process.returncode, err) == (1, b"")
