"""The runner of test scripts: what it reports when a script says what is not so."""

from __future__ import annotations

import re

import pytest

from asyncwasm import Engine
from asyncwasm.testing import ScriptResult, run_script, run_script_sync, script_config
from tests.spec.suite import ABSENT, CORE

pytestmark = pytest.mark.anyio

MODULE = """\
(module $m
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "v128") (param v128) (result v128) (local.get 0))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "host") (param anyref) (result anyref) (local.get 0))
  (func (export "i31") (result (ref i31)) (ref.i31 (i32.const 1)))
  (func $f (export "func") (result funcref) (ref.func $f))
  (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
  (func (export "none"))
  (func (export "trap") (unreachable))
  (func $deep (export "deep") (call $deep))
  (tag $e)
  (func (export "throw") (throw $e))
  (global (export "global") i32 (i32.const 7))
)
"""
HEAD = MODULE.count("\n")

# Commands that are as the script says.
TRUE = """\
(assert_return (invoke "i32" (i32.const -1)) (i32.const 0xffffffff))
(assert_return (invoke "i64" (i64.const -1)) (i64.const 0xffffffffffffffff))
(assert_return (invoke "f32" (f32.const 0.1)) (f32.const 0.1))
(assert_return (invoke "f32" (f32.const -0)) (f32.const -0))
(assert_return (invoke "f32" (f32.const nan:0x200001)) (f32.const nan:0x200001))
(assert_return (invoke "f64" (f64.const -nan:0x1)) (f64.const -nan:0x1))
(assert_return (invoke "f32" (f32.const -nan)) (f32.const nan:canonical))
(assert_return (invoke "f64" (f64.const nan:0xc000000000000)) (f64.const nan:arithmetic))
(assert_return (invoke "v128" (v128.const f32x4 1 nan 3 4)) (v128.const f32x4 1 nan:canonical 3 4))
(assert_return (invoke "v128" (v128.const i64x2 1 -2)) (v128.const i64x2 1 -2))
(assert_return (invoke "extern" (ref.extern 3)) (ref.extern 3))
(assert_return (invoke "extern" (ref.extern 3)) (ref.extern))
(assert_return (invoke "extern" (ref.null extern)) (ref.null extern))
(assert_return (invoke "extern" (ref.null extern)) (ref.null))
(assert_return (invoke "host" (ref.host 3)) (ref.host 3))
(assert_return (invoke "host" (ref.host 3)) (ref.any))
(assert_return (invoke "i31") (ref.i31))
(assert_return (invoke "i31") (ref.eq))
(assert_return (invoke "func") (ref.func))
(assert_return (invoke "two") (i32.const 1) (i64.const 2))
(assert_return (invoke "none"))
(assert_return (invoke "i32" (i32.const 1)) (either (i32.const 0) (i32.const 1)))
(assert_return (get "global") (i32.const 7))
(assert_return (get $m "global") (i32.const 7))
(assert_trap (invoke "trap") "unreachable")
(assert_trap (invoke "trap") "unreach")
(assert_trap (module (func $s (unreachable)) (start $s)) "unreachable")
(assert_exhaustion (invoke "deep") "call stack exhausted")
(assert_exception (invoke "throw"))
(assert_malformed (module quote "(func i32.ad)") "unknown operator")
(assert_malformed (module binary "\\00asm\\02\\00\\00\\00") "unknown binary version")
(assert_invalid (module (func (result i32))) "type mismatch")
(assert_unlinkable (module (import "spectest" "nothing" (func))) "unknown import")
(assert_unlinkable (module (import "spectest" "print" (memory 1))) "incompatible import type")
(invoke "none")
(register "m" $m)
(module (import "m" "none" (func)) (import "spectest" "print_f64_f64" (func (param f64 f64))))
(module definition $d (global (export "g") i32 (i32.const 1)))
(module instance $i $d)
(assert_return (get $i "g") (i32.const 1))
"""

# Commands that are not.
FALSE = """\
(assert_return (invoke "i32" (i32.const 1)) (i32.const 2))
(assert_return (invoke "i32" (i32.const 1)) (i64.const 1))
(assert_return (invoke "i32" (i32.const 1)))
(assert_return (invoke "i32" (i32.const 1)) (i32.const 1) (i32.const 1))
(assert_return (invoke "i32" (i32.const 1)) (f32.const 1))
(assert_return (invoke "i32" (i32.const 1)) (either (i32.const 2) (i32.const 3)))
(assert_return (invoke "f32" (f32.const -0)) (f32.const 0))
(assert_return (invoke "f32" (f32.const nan:0x200001)) (f32.const nan:canonical))
(assert_return (invoke "f32" (f32.const nan:0x200001)) (f32.const nan:arithmetic))
(assert_return (invoke "f32" (f32.const inf)) (f32.const nan:arithmetic))
(assert_return (invoke "f64" (f64.const nan)) (f64.const -nan))
(assert_return (invoke "f64" (f64.const 0.1)) (f64.const 0.10000000000000002))
(assert_return (invoke "v128" (v128.const i32x4 1 2 3 4)) (v128.const i32x4 1 2 3 5))
(assert_return (invoke "v128" (v128.const f64x2 1 2)) (v128.const f64x2 nan:canonical 2))
(assert_return (invoke "extern" (ref.extern 3)) (ref.extern 4))
(assert_return (invoke "extern" (ref.extern 3)) (ref.null extern))
(assert_return (invoke "extern" (ref.null extern)) (ref.extern))
(assert_return (invoke "extern" (ref.null extern)) (ref.null func))
(assert_return (invoke "host" (ref.host 3)) (ref.host 4))
(assert_return (invoke "host" (ref.host 3)) (ref.eq))
(assert_return (invoke "i31") (ref.struct))
(assert_return (invoke "func") (ref.null))
(assert_return (invoke "two") (i32.const 1))
(assert_return (invoke "trap"))
(assert_return (invoke "throw"))
(assert_return (invoke "missing"))
(assert_return (invoke "global"))
(assert_return (invoke "i32"))
(assert_return (invoke $missing "i32" (i32.const 1)) (i32.const 1))
(assert_return (get "global") (i32.const 8))
(assert_return (get "i32") (i32.const 8))
(assert_trap (invoke "trap") "integer overflow")
(assert_trap (invoke "none") "unreachable")
(assert_trap (invoke "throw") "unreachable")
(assert_trap (invoke "deep") "unreachable")
(assert_trap (module) "unreachable")
(assert_exhaustion (invoke "none") "call stack exhausted")
(assert_exhaustion (invoke "trap") "unreachable")
(assert_exception (invoke "none"))
(assert_exception (invoke "trap"))
(assert_malformed (module quote "(func)") "unknown operator")
(assert_malformed (module quote "(func (result i32))") "type mismatch")
(assert_invalid (module (func)) "type mismatch")
(assert_invalid (module quote "(func i32.ad)") "type mismatch")
(assert_unlinkable (module) "unknown import")
(assert_unlinkable (module (import "spectest" "nothing" (func))) "incompatible import type")
(assert_unlinkable (module (func (result i32))) "unknown import")
(invoke "trap")
(register "n" $missing)
(module instance $j $missing)
(wait $missing)
(module (import "m" "missing" (func)))
(assert_return (invoke "none"))
(module (func (result i32)))
(module quote "(func")
(module (func $s (unreachable)) (start $s))
"""


async def run(text: str) -> ScriptResult:
    return await run_script(text, engine=Engine(script_config()))


def places(result: ScriptResult) -> list[int]:
    return [failure.line for failure in result.failures]


async def test_what_holds_passes() -> None:
    result = await run(MODULE + TRUE)
    assert not result.failures
    assert result.passed == 1 + TRUE.count("\n")


async def test_what_does_not_hold_fails_where_it_stands() -> None:
    result = await run(MODULE + FALSE)
    expected = [HEAD + 1 + i for i in range(FALSE.count("\n"))]
    passed = [
        FALSE.splitlines()[line - HEAD - 1] for line in expected if line not in places(result)
    ]
    assert not passed
    assert places(result) == expected
    assert result.passed == 1


async def test_a_mixed_script_fails_only_where_it_is_wrong() -> None:
    true, false = TRUE.splitlines(), FALSE.splitlines()[:30]
    text = MODULE + "".join(f"{t}\n{f}\n" for t, f in zip(true, false, strict=False))
    result = await run(text)
    assert places(result) == [HEAD + 2 * i + 2 for i in range(30)]


async def test_failures_say_what_was_expected_and_what_came() -> None:
    text = MODULE + "\n".join(
        [
            '(assert_return (invoke "two") (i32.const 1) (i64.const 3))',
            '(assert_trap (invoke "trap") "integer overflow")',
            '(assert_return (invoke "f32" (f32.const 0.5)) (f32.const nan:canonical))',
            '(assert_return (invoke "none") (ref.null extern))',
            '(assert_invalid (module) "type mismatch")',
        ]
    )
    assert [str(failure) for failure in (await run(text)).failures] == [
        "expected (i32.const 1) (i64.const 3), got (i32.const 1) (i64.const 2)",
        "expected trap `integer overflow`, got trap `unreachable`",
        "expected (f32.const nan:canonical), got (f32.const 0.5)",
        "expected (ref.null extern), got no results",
        "expected invalid module `type mismatch`, got a valid module",
    ]


async def test_a_script_that_cannot_be_read_fails_there() -> None:
    result = await run('(module)\n(module)\n(assert_return (invoke "f") (i32.konst 1))\n(module)')
    assert (result.passed, places(result)) == (2, [3])
    assert "malformed" in result.failures[0].got
    assert places(await run("(module")) == [1]
    assert places(await run("(module)\n(unknown_command)\n")) == [2]


async def test_unsupported_commands_are_counted() -> None:
    result = await run('(module)\n(assert_suspension (invoke "f") "x")\n(module)')
    assert (result.passed, result.failed, result.skipped) == (2, 0, 1)
    assert result.skips[0].line == 2
    assert "assert_suspension" in result.skips[0].reason


COMPONENT = """(component $c
    (core module $m
        (memory (export "mem") 1)
        (func (export "id") (param i32) (result i32) (local.get 0))
        (func (export "text") (result i32)
            (i32.store (i32.const 0) (i32.const 8))
            (i32.store (i32.const 4) (i32.const 2))
            (i32.store16 (i32.const 8) (i32.const 0x6968))
            (i32.const 0))
        (func (export "trap") unreachable))
    (core instance $i (instantiate $m))
    (func (export "id") (param "a" u8) (result u8) (canon lift (core func $i "id")))
    (func (export "flip") (param "a" bool) (result (result)) (canon lift (core func $i "id")))
    (func (export "text") (result string)
        (canon lift (core func $i "text") (memory (core memory $i "mem"))))
    (func (export "trap") (canon lift (core func $i "trap"))))
"""


async def test_components() -> None:
    result = await run(
        COMPONENT
        + """
        (assert_return (invoke "id" (u8.const 7)) (u8.const 7))
        (assert_return (invoke $c "text") (str.const "hi"))
        (assert_return (invoke "flip" (bool.const true)) (result.err))
        (assert_return (invoke "flip" (bool.const false)) (result.ok))
        (assert_trap (invoke "trap") "wasm trap: wasm `unreachable` instruction executed")
        (assert_trap (invoke "id" (u8.const 7)) "cannot enter component instance")
        (component instance $d $c)
        (assert_return (invoke $d "id" (u8.const 7)) (u8.const 7))
        (component definition $e (component))
        (component instance $e)
        (assert_malformed (component quote "(nothing)") "")
        (assert_invalid (component (export "e" (component 0))) "")
        """
    )
    assert [str(failure) for failure in result.failures] == []
    assert result.passed == 13


async def test_components_that_do_otherwise() -> None:
    commands = [
        '(assert_return (invoke "id" (u8.const 7)) (u8.const 8))',
        '(assert_return (invoke "id" (u8.const 7)))',
        '(assert_return (invoke "id" (u8.const 7)) (u16.const 7))',
        '(assert_return (invoke "text") (str.const "\\n"))',
        '(assert_return (invoke "flip" (bool.const true)) (result.ok))',
        '(assert_trap (invoke "id" (u8.const 7)) "unreachable")',
        '(invoke "none")',
        '(invoke "id")',
        '(get "id")',
        "(component instance $none)",
        '(assert_invalid (component) "")',
        '(component (export "e" (component 0)))',
    ]
    result = await run(COMPONENT + "\n".join(commands))
    assert [str(failure) for failure in result.failures] == [
        "expected (u8.const 8), got 7",
        "expected no results, got 7",
        "expected (u16.const 7), got 7",
        'expected (str.const "\\u{a}"), got "hi"',
        "expected (result.ok), got err",
        "expected trap `unreachable`, got 7",
        "expected a function exported as `none`, got nothing",
        "expected success, got ValueError: `id` takes 1 arguments",
        "expected a global exported as `id`, got a component",
        "expected a component `$none`, got none of that name",
        "expected invalid module ``, got a valid module",
        "expected an instance, got invalid: unknown component 0: component index out of bounds"
        " (at offset 0xb)",
    ]


async def test_bare_fields_are_a_module() -> None:
    assert (await run("(func)\n(memory 1)\n")).passed == 1
    assert (await run("")).passed == 0


THREADS = """\
(module $mem (memory (export "shared") 1 1 shared) (memory (export "own") 1))
(thread $t1 (shared (module $mem))
  (register "mem" $mem)
  (module
    (memory (import "mem" "shared") 1 1 shared)
    (func (export "run")
      (i32.atomic.store (i32.const 4) (i32.const 41))
      (i32.atomic.store (i32.const 0) (i32.const 1))
      (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))
  (invoke "run")
  (assert_unlinkable (module (import "mem" "own" (memory 1))) "unknown import")
  (assert_return (invoke "run") (i32.const 1))
)
(register "mem" $mem)
(module
  (memory (import "mem" "shared") 1 1 shared)
  (func (export "wait") (result i32)
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
    (i32.atomic.load (i32.const 4))))
(assert_return (invoke "wait") (i32.const 41))
(wait $t1)
(assert_return (invoke "wait") (i32.const 41))
"""


async def test_threads_share_memories_and_nothing_else() -> None:
    result = await run(THREADS)
    # Commands inside a thread count too, and the last of them is wrong.
    assert places(result) == [12]
    assert result.passed == 11


def test_threads_without_an_event_loop() -> None:
    assert places(run_script_sync(THREADS)) == [12]


async def test_threads_need_sync_entry_points() -> None:
    text = "(module $m)\n(thread $t (shared (module $m)) (module))\n(module)"
    result = await run_script(text, engine=Engine(script_config(async_support=True)))
    assert (result.passed, [skip.line for skip in result.skips]) == (2, [2])


ASSERTION = re.compile(
    r'^\(assert_return \(invoke "[^"]*"[^"]*\) \(i(?:32|64)\.const ([^ )]+)\)\)$'
)


@pytest.mark.spec
@pytest.mark.parametrize("name", ["i32.wast", "i64.wast", "int_exprs.wast", "f32_cmp.wast"])
async def test_falsified_scripts_of_the_suite(name: str) -> None:
    """Every seventh result is changed in the text, and just these lines fail."""
    if not CORE.exists():
        pytest.skip(ABSENT)
    lines = (CORE / name).read_text().splitlines()
    changed = []
    for number, line in enumerate(lines, 1):
        match = ASSERTION.match(line)
        if match and number % 7 == 0:
            wrong = str(int(match[1].replace("_", ""), 0) ^ 1)
            lines[number - 1] = line[: match.start(1)] + wrong + line[match.end(1) :]
            changed.append(number)
    assert len(changed) > 5
    assert places(await run("\n".join(lines))) == changed
