"""Scripts: commands, values, and where they fail."""

from __future__ import annotations

import pytest

from asyncwasm.core.text.script import (
    AssertException,
    AssertExhaustion,
    AssertInvalid,
    AssertMalformed,
    AssertReturn,
    AssertTrap,
    AssertUnlinkable,
    BinaryModule,
    Command,
    DefineModule,
    Get,
    InstanceOf,
    InstantiateDefined,
    InstantiateModule,
    Invoke,
    Perform,
    QuotedModule,
    Register,
    TextModule,
    Thread,
    Wait,
    read_script,
)
from asyncwasm.core.text.script_values import (
    Either,
    ExternValue,
    HostValue,
    NanPattern,
    NullRef,
    Number,
    RefPattern,
    Result,
    Vector,
)
from asyncwasm.core.types import AbsHeapType, NumType
from asyncwasm.errors import MalformedError

EMPTY = b"\0asm\1\0\0\0"


def one(text: str) -> Command:
    (command,) = read_script(text)
    return command


def test_modules():
    """Text, quoted and binary modules, assembled when asked."""
    text, quoted, binary, bad = read_script(
        '\n(module $a)\n\n(module $b quote "(mod" "ule)")'
        ' (module $c binary "\\00asm" "\\01\\00\\00\\00")\n(module (func foo))'
    )
    assert isinstance(text, InstantiateModule)
    assert isinstance(text.module, TextModule)
    assert (text.line, text.module.name) == (2, "$a")
    assert isinstance(quoted, InstantiateModule)
    assert quoted.module == QuotedModule("$b", b"(module)")
    assert isinstance(binary, InstantiateModule)
    assert binary.module == BinaryModule("$c", EMPTY)
    assert quoted.line == binary.line == 4
    assert quoted.module.to_binary() == binary.module.to_binary() == EMPTY
    assert text.module.to_binary().startswith(EMPTY)
    assert isinstance(bad, InstantiateModule)
    with pytest.raises(MalformedError, match="unknown operator `foo` .at line 5, column 15"):
        bad.module.to_binary()


def test_definitions_and_instances():
    commands = list(
        read_script(
            "(module definition $M (func)) (module instance $I $M) (module instance $M)"
            ' (module instance) (register "a" $I) (register "b")'
        )
    )
    assert isinstance(commands[0], DefineModule)
    assert commands[0].module.name == "$M"
    assert commands[0].module.to_binary()[:8] == EMPTY
    assert commands[1:] == [
        InstantiateDefined(1, "$I", InstanceOf("$M")),
        InstantiateDefined(1, None, InstanceOf("$M")),
        InstantiateDefined(1, None, InstanceOf(None)),
        Register(1, "a", "$I"),
        Register(1, "b", None),
    ]


def test_actions_and_assertions():
    invoke = Invoke("$M", "f", (Number(NumType.I32, 0xFFFFFFFF),))
    text = '(invoke $M "f" (i32.const -1))'
    assert one(text) == Perform(1, invoke)
    assert one('(get "g")') == Perform(1, Get(None, "g"))
    assert one(f"(assert_return {text})") == AssertReturn(1, invoke, ())
    assert one(f'(assert_trap {text} "unreachable")') == AssertTrap(1, invoke, "unreachable")
    assert one(f'(assert_exhaustion {text} "x")') == AssertExhaustion(1, invoke, "x")
    assert one(f"(assert_exception {text})") == AssertException(1, invoke)
    trap = one('(assert_trap (module (start 0)) "x")')
    assert isinstance(trap, AssertTrap)
    assert isinstance(trap.action, TextModule)
    module = one('(assert_malformed (module quote "(") "m")')
    assert module == AssertMalformed(1, QuotedModule(None, b"("), "m")
    module = one('(assert_malformed_custom (module quote "(") "m")')
    assert module == AssertMalformed(1, QuotedModule(None, b"("), "m", custom=True)
    module = one('(assert_invalid_custom (module binary "a") "m")')
    assert module == AssertInvalid(1, BinaryModule(None, b"a"), "m", custom=True)
    module = one('(assert_unlinkable (module instance $M) "m")')
    assert module == AssertUnlinkable(1, InstanceOf("$M"), "m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(i64.const -2)", Number(NumType.I64, 2**64 - 2)),
        ("(f32.const -0.5)", Number(NumType.F32, 0xBF000000)),
        ("(f64.const nan:canonical)", NanPattern(NumType.F64, canonical=True)),
        ("(f32.const nan:arithmetic)", NanPattern(NumType.F32, canonical=False)),
        ("(v128.const i16x8 0 1 2 3 4 5 6 -1)", Vector("i16x8", (0, 1, 2, 3, 4, 5, 6, 0xFFFF))),
        (
            "(v128.const f64x2 1 nan:canonical)",
            Vector("f64x2", (0x3FF0000000000000, NanPattern(NumType.F64, canonical=True))),
        ),
        ("(ref.null)", NullRef(None)),
        ("(ref.null func)", NullRef(AbsHeapType.FUNC)),
        ("(ref.null nofunc)", NullRef(AbsHeapType.NOFUNC)),
        ("(ref.extern 3)", ExternValue(3)),
        ("(ref.extern)", RefPattern(AbsHeapType.EXTERN)),
        ("(ref.host 0)", HostValue(0)),
        ("(ref.func)", RefPattern(AbsHeapType.FUNC)),
        ("(ref.i31)", RefPattern(AbsHeapType.I31)),
        ("(ref.struct)", RefPattern(AbsHeapType.STRUCT)),
        ("(ref.array)", RefPattern(AbsHeapType.ARRAY)),
        ("(ref.eq)", RefPattern(AbsHeapType.EQ)),
        ("(ref.any)", RefPattern(AbsHeapType.ANY)),
        ("(ref.exn)", RefPattern(AbsHeapType.EXN)),
        (
            "(either (i32.const 1) (i32.const 2))",
            Either((Number(NumType.I32, 1), Number(NumType.I32, 2))),
        ),
    ],
)
def test_results(text: str, expected: Result):
    assert one(f'(assert_return (invoke "f") {text})') == AssertReturn(
        1, Invoke(None, "f", ()), (expected,)
    )


def test_vectors_as_bytes():
    vector = Vector("i32x4", (1, 2, 3, 0xFFFFFFFF))
    assert vector.data == bytes.fromhex("01000000 02000000 03000000 ffffffff")
    assert vector.lane_bits == 32


def test_threads():
    command = one('(thread $T (shared (module $M))\n (register "m" $M)\n (invoke "f"))')
    assert command == Thread(
        1, "$T", ("$M",), (Register(2, "m", "$M"), Perform(3, Invoke(None, "f", ())))
    )
    assert one("(wait $T)") == Wait(1, "$T")


def test_a_script_may_be_the_fields_of_a_module():
    command = one(';; a module\n(func (export "f"))\n(memory 0)')
    assert isinstance(command, InstantiateModule)
    assert command.line == 2
    assert b"\x01f" in command.module.to_binary()


def test_an_empty_script():
    assert list(read_script(" ;; nothing")) == []


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("(component)", "unknown operator `component`", 2),
        ("(func)", "unexpected token `func`", 2),
        ("module", "unexpected token `module`", 2),
        ("(assert_return)", "unexpected token `)`", 2),
        ('(invoke "f" (i32.const 1.0))', "unexpected token `1.0`", 2),
        ('(invoke "f" (f32.const nan:canonical))', "a result pattern is not a value", 2),
        ('(invoke "f" (v128.const f64x2 0 nan:canonical))', "a result pattern is not a value", 2),
        ('(invoke "f" (ref.null))', "heap type expected", 2),
        ('(invoke "f" (ref.func))', "a result pattern is not a value", 2),
        ('(invoke "f" (ref.null $t))', "unexpected token `$t`", 2),
        ('(invoke "f" (local.get 0))', "unexpected token `local.get`", 2),
        ('(assert_trap (invoke "f"))', "unexpected token `)`", 2),
        ('(assert_invalid (module definition) "m")', "unexpected token `definition`", 2),
        ('(assert_invalid (module instance $M) "m")', "unexpected token `instance`", 2),
        ('(register "\\ff")', "malformed UTF-8 encoding", 2),
        ("(module", "unexpected end of text", 2),
        ("\n(module) 0$x", "unknown operator `0$x`", 3),
        ("\n(invoke é)", "illegal character `é`", 3),
        ("(module) (; x", "unclosed comment", 2),
        ("(wait)", "unexpected token `)`", 2),
        ("(thread $T (thread $U))", "a thread cannot start another thread", 2),
    ],
)
def test_a_script_fails_at_its_place(text: str, message: str, line: int):
    """What comes before the mistake is read."""
    commands = read_script(f'(invoke "a")\n{text}')
    assert next(commands) == Perform(1, Invoke(None, "a", ()))
    with pytest.raises(MalformedError) as caught:
        list(commands)
    assert caught.value.reason.startswith(message)
    assert caught.value.line == line
