"""The command line with components."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import Run, run

__all__ = ["run"]

TEXT = """
(component
  (core module $m
    (memory (export "mem") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "twice") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (i32.mul (local.get 1) (i32.const 2)))
      (memory.copy (i32.add (local.get 0) (local.get 1)) (local.get 0) (local.get 1))
      (i32.const 0))
    (func (export "check") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.store (i32.const 8) (local.get 2))
      (i32.const 0))
    (func (export "trap") unreachable))
  (core instance $i (instantiate $m))
  (import "log" (func $imported))
  (core func $f (canon lower (func $imported)))
  (func (export "add") (param "a" u8) (param "b" u8) (result u8) (canon lift (core func $i "add")))
  (func (export "twice") (param "s" string) (result string) (canon lift (core func $i "twice")
    (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
  (func (export "check") (param "v" (result string (error string)))
    (result (result string (error string))) (canon lift (core func $i "check")
    (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
  (func $trap (export "trap") (canon lift (core func $i "trap")))
  (func $log (canon lift (core func $f)))
  (instance (export "a:b/c@1.0.0") (export "trap" (func $trap)) (export "log" (func $log)))
)
"""


@pytest.fixture
def component(tmp_path: Path) -> Path:
    path = tmp_path / "c.wat"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("call", "output", "status"),
    [
        ("add(250, 3)", "253\n", 0),
        (" add ( 255 , 1 , ) ", "0\n", 0),
        ('twice("a\\n")', '"a\\na\\n"\n', 0),
        ('check(ok("fine"))', 'ok("fine")\n', 0),
        ('check(err("bad"))', 'err("bad")\n', 1),
        ('check("fine")', 'ok("fine")\n', 0),
    ],
)
def test_invoke(run: Run, component: Path, call: str, output: str, status: int) -> None:
    assert run("run", "--invoke", call, component) == (status, output, "")


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--invoke", "trap"], 134, "unreachable"),
        (["--invoke", "a:b/c@1.0.0#log()"], 1, "`log`"),
        (["--invoke", "log"], 1, "`log`"),
        (["--invoke", "add(1)"], 1, "expected 2 arguments, got 1 (at character 7) of `add(1)`"),
        (["--invoke", "add(1, 256)"], 1, "for `func(a: u8, b: u8) -> u8`"),
        (["--invoke", "sub(1)"], 1, "no function is exported as `sub`; there are `add`"),
        ([], 2, "a component is run with --invoke"),
    ],
)
def test_failures(run: Run, component: Path, args: list[str], status: int, message: str) -> None:
    code, output, errors = run("run", *args, component)
    assert (code, output) == (status, "")
    assert message in errors.splitlines()[0]


def test_arguments_belong_in_the_call(run: Run, component: Path) -> None:
    code, _, errors = run("run", "--invoke", "add", component, "1", "2")
    assert (code, "from --invoke" in errors) == (2, True)


def test_inspect(run: Run, component: Path) -> None:
    code, output, _ = run("inspect", component)
    assert code == 0
    assert output.splitlines()[1:] == [
        "package root:component;",
        "",
        "world root {",
        "  import log: func();",
        "",
        "  export add: func(a: u8, b: u8) -> u8;",
        "  export twice: func(s: string) -> string;",
        "  export check: func(v: result<string, string>) -> result<string, string>;",
        "  export trap: func();",
        "  export a:b/c@1.0.0;",
        "}",
        "",
        "package a:b@1.0.0 {",
        "  interface c {",
        "    trap: func();",
        "    log: func();",
        "  }",
        "}",
    ]
    code, output, _ = run("inspect", "--json", component)
    report = json.loads(output)
    assert report["imports"] == [{"name": "log", "kind": "func"}]
    assert report["exports"][-1] == {"name": "a:b/c@1.0.0", "kind": "instance"}


def test_parse_print_and_validate(run: Run, component: Path, tmp_path: Path) -> None:
    binary, printed, again = (tmp_path / name for name in ("c.wasm", "d.wat", "d.wasm"))
    assert run("parse", component, "-o", binary)[0] == 0
    assert run("print", binary, "-o", printed)[0] == 0
    assert run("parse", printed, "-o", again)[0] == 0
    assert again.read_bytes() == binary.read_bytes()
    assert run("validate", component, binary, printed) == (0, "", "")
    bad = tmp_path / "bad.wat"
    bad.write_text('(component (export "a" (func 0)))')
    code, _, errors = run("validate", bad)
    assert code == 1
    assert "unknown func" in errors
