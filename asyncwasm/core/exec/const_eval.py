"""Constant expressions: initialisers and segment offsets ("Constant Expressions" in the spec).

Expressions have been validated, so that nothing here checks types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.binary.immediates import read_instruction
from asyncwasm.core.isa import numeric
from asyncwasm.core.runtime.gc import (
    ArrayRef,
    default_raw,
    elements_of,
    new_array,
    new_struct,
    pack,
)
from asyncwasm.core.types import ArrayType, DefType, StructType

if TYPE_CHECKING:
    from asyncwasm.core.module import ModuleInfo, Span
    from asyncwasm.core.runtime.instance import Instance

# Takes the instance, the immediates and the operand stack, and pushes the result.
_Handler = Callable[[Any, tuple[Any, ...], list[Any]], None]


def evaluate(instance: Instance, span: Span) -> Any:
    """The raw value of the constant expression at `span` of the instance's module.

    Never suspends.  Traps with `ALLOCATION_TOO_LARGE` for an array of absurd length.
    """
    info = instance.info
    data, types, pos = info.data, info.types, span.start
    stack: list[Any] = []
    while True:
        row, immediates, pos = read_instruction(data, pos, types)
        if row.name == "end":
            return stack.pop()
        _HANDLERS[row.name](instance, immediates, stack)


def constant(info: ModuleInfo, span: Span) -> tuple[Any] | None:
    """The value of an expression that is a single constant, the same in every instance."""
    row, immediates, pos = read_instruction(info.data, span.start, info.types)
    if not row.name.endswith(".const") and row.name != "ref.null":
        return None
    end, _, _ = read_instruction(info.data, pos, info.types)
    if end.name != "end":
        return None
    stack: list[Any] = []
    _HANDLERS[row.name](None, immediates, stack)
    return (stack.pop(),)


def _numeric(name: str) -> _Handler:
    function = numeric.REFERENCE[name]

    def run(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
        right = stack.pop()
        stack[-1] = function(stack[-1], right)

    return run


def _pop(stack: list[Any], count: int) -> list[Any]:
    start = len(stack) - count
    taken = stack[start:]
    del stack[start:]
    return taken


def _type(instance: Instance, index: int) -> DefType:
    return instance.info.types[index]


def _struct_new(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    ty = _type(instance, immediates[0])
    assert isinstance(ty.comp, StructType)
    values = _pop(stack, len(ty.comp.fields))
    fields = [pack(f.storage, v) for f, v in zip(ty.comp.fields, values, strict=True)]
    stack.append(new_struct(ty, fields))


def _struct_new_default(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    ty = _type(instance, immediates[0])
    assert isinstance(ty.comp, StructType)
    stack.append(new_struct(ty, [default_raw(f.storage) for f in ty.comp.fields]))


def _array_new(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    ty = _type(instance, immediates[0])
    assert isinstance(ty.comp, ArrayType)
    value, length = _pop(stack, 2)
    stack.append(new_array(ty, pack(ty.comp.field.storage, value), length))


def _array_new_default(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    ty = _type(instance, immediates[0])
    assert isinstance(ty.comp, ArrayType)
    stack.append(new_array(ty, default_raw(ty.comp.field.storage), stack.pop()))


def _array_new_fixed(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    ty = _type(instance, immediates[0])
    assert isinstance(ty.comp, ArrayType)
    storage = ty.comp.field.storage
    values = [pack(storage, v) for v in _pop(stack, immediates[1])]
    stack.append(ArrayRef(ty, elements_of(storage, values)))


def _ref_i31(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    stack[-1] &= 0x7FFF_FFFF


def _nothing(instance: Instance, immediates: tuple[Any, ...], stack: list[Any]) -> None:
    """Converting between anyref and externref: raw references stay as they are."""


_HANDLERS: Final[dict[str, _Handler]] = {
    "i32.const": lambda instance, im, stack: stack.append(im[0] & 0xFFFF_FFFF),
    "i64.const": lambda instance, im, stack: stack.append(im[0] & 0xFFFF_FFFF_FFFF_FFFF),
    "f32.const": lambda instance, im, stack: stack.append(numeric.f32_from_bits(im[0])),
    "f64.const": lambda instance, im, stack: stack.append(numeric.f64_from_bits(im[0])),
    "v128.const": lambda instance, im, stack: stack.append(im[0]),
    "global.get": lambda instance, im, stack: stack.append(instance.globals[im[0]].value),
    "ref.null": lambda instance, im, stack: stack.append(None),
    "ref.func": lambda instance, im, stack: stack.append(instance.func(im[0])),
    **{name: _numeric(name) for name in "i32.add i32.sub i32.mul i64.add i64.sub i64.mul".split()},
    "ref.i31": _ref_i31,
    "struct.new": _struct_new,
    "struct.new_default": _struct_new_default,
    "array.new": _array_new,
    "array.new_default": _array_new_default,
    "array.new_fixed": _array_new_fixed,
    "any.convert_extern": _nothing,
    "extern.convert_any": _nothing,
}
