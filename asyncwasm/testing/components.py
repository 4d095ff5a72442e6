"""Components in test scripts: instances, arguments and what calls give.

An instance has a store of its own, because a trap leaves no component of its store usable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from asyncwasm import Store
from asyncwasm.component import Err, Instance, Ok, Some
from asyncwasm.component.text.script_values import ComponentValue
from asyncwasm.component.types import (
    Enum,
    Flags,
    FuncType,
    List,
    Map,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.component.values import Classes
from asyncwasm.component.wave import format_value
from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from asyncwasm.core.text.printer_literals import f32_literal, f64_literal, name_literal
from asyncwasm.core.text.script_values import NanPattern, Number
from asyncwasm.errors import ComponentError

from .values import show_patterns


class ComponentInstance(NamedTuple):
    """An instance and the store that it is in."""

    store: Store[None]
    instance: Instance

    async def call(self, name: str, arguments: Sequence[Any], *, sync: bool) -> ComponentOutcome:
        """Call an export; raises `LookupError` if there is no such function."""
        func = self.instance.get_func(self.store, name)
        if func is None:
            raise LookupError(name)
        ty = func.ty(self.store)
        classes = self.instance.component.classes
        if len(arguments) != len(ty.params):
            raise ValueError(f"`{name}` takes {len(ty.params)} arguments")
        types = [param for _, param in ty.params]
        values = [argument(v, t, classes) for v, t in zip(arguments, types, strict=True)]
        try:
            if sync:
                found = func.call(self.store, *values)
            else:
                found = await func.call_async(self.store, *values)
        except ComponentError as error:
            return ComponentOutcome(ty, Err(error.payload), classes)
        # A call gives what is in the success of a result.
        return ComponentOutcome(ty, Ok(found) if isinstance(ty.result, Result) else found, classes)


class ComponentOutcome(NamedTuple):
    """What a call gave, and the type of the function."""

    type: FuncType
    value: Any
    classes: Classes

    def matches(self, expected: Sequence[Any]) -> bool:
        """Whether it is what the script expects."""
        ty = self.type.result
        if ty is None or len(expected) != 1:
            return ty is None and not expected
        try:
            return _matches(expected[0], self.value, ty, self.classes)
        except ValueError:
            return False

    def show(self) -> str:
        """The value as text."""
        return "nothing" if self.type.result is None else format_value(self.value, self.type.result)


def argument(value: Any, ty: ValType, classes: Classes) -> Any:
    """The Python value of type `ty` for one of a script.  Raises `ValueError` if it is no such."""
    match ty, value:
        case Primitive.F32, Number(_, bits) | ComponentValue("f32", bits):
            return f32_from_bits(bits)
        case Primitive.F64, Number(_, bits) | ComponentValue("f64", bits):
            return f64_from_bits(bits)
        case Primitive(), ComponentValue(kind, plain) if kind == ty.value:
            return plain
        case List(element), ComponentValue("list", items):
            found = [argument(item, element, classes) for item in items]
            return bytes(found) if ty == List(Primitive.U8) else found
        case Map(key, item), ComponentValue("list", items):
            pair = Tuple((key, item))
            return dict(argument(each, pair, classes) for each in items)
        case Tuple(types), ComponentValue("tuple", items) if len(items) == len(types):
            return tuple(argument(v, t, classes) for v, t in zip(items, types, strict=True))
        case Record(fields), ComponentValue("record", items):
            if [name for name, _ in items] == [name for name, _ in fields]:
                parts = zip(items, fields, strict=True)
                return classes.of(ty)(*(argument(v, t, classes) for (_, v), (_, t) in parts))
        case Variant(cases), ComponentValue("variant", (name, payload)):
            for label, each in cases:
                if label == name and (each is None) == (payload is None):
                    made = classes.of(ty).wit_cases[name]
                    return made() if each is None else made(argument(payload, each, classes))
        case Enum(labels), ComponentValue("enum", label) if label in labels:
            return classes.of(ty)(label)
        case Flags(labels), ComponentValue("flags", found) if set(found) <= set(labels):
            return classes.of(ty)(sum(1 << labels.index(label) for label in set(found)))
        case Option(inner), ComponentValue("option", payload):
            if payload is None:
                return None
            found = argument(payload, inner, classes)
            return Some(found) if isinstance(inner, Option) else found
        case Result(ok, error), ComponentValue("result", (is_ok, payload)):
            each = ok if is_ok else error
            if (each is None) == (payload is None):
                inner_value = None if each is None else argument(payload, each, classes)
                return Ok(inner_value) if is_ok else Err(inner_value)
    raise ValueError(f"`{show(value)}` is not a value of the type")


def _matches(expected: Any, value: Any, ty: ValType, classes: Classes) -> bool:
    if isinstance(expected, NanPattern):
        return ty in (Primitive.F32, Primitive.F64) and value != value
    wanted = argument(expected, ty, classes)
    if ty is Primitive.F32:
        return f32_to_bits(wanted) == f32_to_bits(value)
    if ty is Primitive.F64:
        return f64_to_bits(wanted) == f64_to_bits(value)
    return bool(wanted == value)


def show(value: Any) -> str:
    """A value of a script, as it is written there."""
    if not isinstance(value, ComponentValue):
        return show_patterns((value,))
    return f"({_show(value)})"


def _show(value: ComponentValue) -> str:
    plain = value.value
    match value.kind:
        case "bool":
            return f"bool.const {str(plain).lower()}"
        case "f32":
            return f"f32.const {f32_literal(plain)}"
        case "f64":
            return f"f64.const {f64_literal(plain)}"
        case "string":
            return f"str.const {name_literal(plain)}"
        case "char" | "enum":
            return f"{value.kind}.const {name_literal(plain)}"
        case "list" | "tuple":
            return " ".join([f"{value.kind}.const", *map(show, plain)])
        case "record":
            fields = [f"(field {name_literal(name)} {_show(each)})" for name, each in plain]
            return " ".join(["record.const", *fields])
        case "flags":
            return " ".join(["flags.const", *map(name_literal, plain)])
        case "variant":
            return f"variant.const {name_literal(plain[0])}{_payload(plain[1])}"
        case "option":
            return "option.none" if plain is None else f"option.some{_payload(plain)}"
        case "result":
            return f"result.{'ok' if plain[0] else 'err'}{_payload(plain[1])}"
        case _:
            return f"{value.kind}.const {plain}"


def _payload(value: ComponentValue | None) -> str:
    return "" if value is None else f" {show(value)}"
