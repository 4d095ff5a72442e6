"""Scripts with components: commands and values."""

from __future__ import annotations

from typing import Any

import pytest

from asyncwasm.component.text.script import (
    ComponentOf,
    ComponentScriptReader,
    DefineComponent,
    InstantiateComponent,
    InstantiateDefinedComponent,
    ScriptComponent,
)
from asyncwasm.component.text.script_values import ComponentValue
from asyncwasm.core.text.script import (
    AssertInvalid,
    AssertReturn,
    AssertTrap,
    InstanceOf,
    InstantiateModule,
    Invoke,
    Perform,
)
from asyncwasm.core.text.script_values import Number
from asyncwasm.core.types import NumType
from asyncwasm.errors import MalformedError

EMPTY = b"\0asm\x0d\0\1\0"


def read(text: str) -> list[Any]:
    return list(ComponentScriptReader(text).commands())


def one(text: str) -> Any:
    (command,) = read(text)
    return command


def test_components() -> None:
    text, definition, quoted, binary = read(
        "(component $a)\n(component definition $b)"
        ' (component $c quote "(com" "ponent)") (component binary "\\00asm\\0d\\00\\01\\00")'
    )
    assert isinstance(text, InstantiateComponent)
    assert isinstance(definition, DefineComponent)
    assert (text.line, text.component.name) == (1, "$a")
    assert (definition.line, definition.component.name) == (2, "$b")
    assert quoted.component.to_binary() == EMPTY + b"\4\x08" + EMPTY
    assert binary.component == ScriptComponent(None, data=EMPTY)
    names = b"\0\x13\x0ecomponent-name\0\2\1a"
    assert text.component.to_binary() == EMPTY + names


def test_instances() -> None:
    assert one("(component instance $i $C)") == InstantiateDefinedComponent(
        1, "$i", ComponentOf("$C")
    )
    assert one("(component instance)") == InstantiateDefinedComponent(1, None, ComponentOf(None))
    trap = one('(assert_trap (component instance $i $C) "unreachable")')
    assert trap == AssertTrap(1, ComponentOf("$C"), "unreachable")
    trap = one('(assert_trap (module instance $i $C) "unreachable")')
    assert trap.action == InstanceOf("$C")
    assert not isinstance(trap.action, ComponentOf)


def test_modules_and_components() -> None:
    module, component = read('(module) (assert_invalid (component (export "" 1)) "x")')
    assert isinstance(module, InstantiateModule)
    assert isinstance(component, AssertInvalid)
    with pytest.raises(MalformedError):
        component.module.to_binary()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(u8.const 255)", ComponentValue("u8", 255)),
        ("(s8.const 0xff)", ComponentValue("s8", -1)),
        ("(s64.const -14)", ComponentValue("s64", -14)),
        ("(bool.const true)", ComponentValue("bool", True)),
        ('(str.const "a\\n")', ComponentValue("string", "a\n")),
        ('(char.const "\\u{1f370}")', ComponentValue("char", "\U0001f370")),
        ('(enum.const "e")', ComponentValue("enum", "e")),
        ('(flags.const "a" "b")', ComponentValue("flags", ("a", "b"))),
        ("(list.const)", ComponentValue("list", ())),
        (
            "(tuple.const (u8.const 1) (f32.const 0.5))",
            ComponentValue("tuple", (ComponentValue("u8", 1), ComponentValue("f32", 0x3F000000))),
        ),
        (
            '(record.const (field "a" u8.const 1) (field "b" (option.none)))',
            ComponentValue(
                "record", (("a", ComponentValue("u8", 1)), ("b", ComponentValue("option", None)))
            ),
        ),
        ('(variant.const "c")', ComponentValue("variant", ("c", None))),
        (
            "(option.some (u8.const 1))",
            ComponentValue("option", ComponentValue("u8", 1)),
        ),
        ("(result.ok)", ComponentValue("result", (True, None))),
        (
            "(result.err (u8.const 1))",
            ComponentValue("result", (False, ComponentValue("u8", 1))),
        ),
        ("(f64.const 1)", Number(NumType.F64, 0x3FF0000000000000)),
        ("(i32.const 1)", Number(NumType.I32, 1)),
    ],
)
def test_values(text: str, value: object) -> None:
    assert one(f'(invoke "f" {text})') == Perform(1, Invoke(None, "f", (value,)))  # type: ignore[arg-type]
    command = one(f'(assert_return (invoke "f") {text})')
    assert isinstance(command, AssertReturn)
    assert command.results == (value,)


@pytest.mark.parametrize(
    "text",
    [
        "(u8.const 256)",
        "(s8.const -129)",
        "(bool.const 1)",
        "(option.const)",
        "(u8.some 1)",
        "(record.const 1)",
        "(nothing.const)",
    ],
)
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(MalformedError):
        read(f'(invoke "f" {text})')
