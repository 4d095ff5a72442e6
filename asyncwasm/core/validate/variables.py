"""Rules of parametric, variable, table and memory instructions that need more than their row."""

from __future__ import annotations

from typing import Any, Final

from asyncwasm.core.binary.cursor import require_val_type
from asyncwasm.core.types import I32, I64, NumType, RefType, ValType
from asyncwasm.errors import ValidationError

from .body import BOTTOM, BOTTOM_REF, Body


def drop(body: Body) -> None:
    body.pop()


def select(body: Body) -> None:
    """Without a type only for numbers and vectors, so that no common supertype is needed."""
    body.expect(I32)
    second = body.pop()
    first = body.pop()
    if isinstance(first, RefType) or isinstance(second, RefType) or BOTTOM_REF in (first, second):
        raise ValidationError("type mismatch: select of references must give their type")
    if first is BOTTOM:
        first = second
    elif second is not BOTTOM and second is not first:
        raise ValidationError(f"type mismatch: select of {first} and {second}")
    body.push(first)


def select_typed(body: Body, types: tuple[ValType, ...]) -> None:
    if len(types) != 1:
        raise ValidationError("invalid result arity")
    (ty,) = types
    require_val_type(body.module.features, ty, None)
    body.expect(I32)
    body.expect(ty)
    body.expect(ty)
    body.push(ty)


def local_get(body: Body, index: int) -> None:
    ty = body.local(index)
    if body.locals[index] is None:
        raise ValidationError(f"uninitialized local {index}")
    body.push(ty)


def local_set(body: Body, index: int) -> None:
    body.expect(body.local(index))
    body.initialise(index)


def local_tee(body: Body, index: int) -> None:
    local_set(body, index)
    body.push(body.local(index))


def global_get(body: Body, index: int) -> None:
    module = body.module
    ty = module.global_(index)
    if body.constant:
        if index >= module.globals_visible:
            raise ValidationError(f"unknown global {index}: not defined before its use")
        if ty.mutable:
            raise ValidationError(f"constant expression required: global {index} is mutable")
    body.push(ty.content)


def global_set(body: Body, index: int) -> None:
    ty = body.module.global_(index)
    if not ty.mutable:
        raise ValidationError(f"immutable global {index}")
    body.expect(ty.content)


def _smaller(first: NumType, second: NumType) -> NumType:
    """The address type of a length that must fit two spaces."""
    return I64 if first is second is I64 else I32


def table_get(body: Body, table: int) -> None:
    body.expect(body.module.table_address(table))
    body.push(body.module.table(table).element)


def table_set(body: Body, table: int) -> None:
    body.expect(body.module.table(table).element)
    body.expect(body.module.table_address(table))


def table_size(body: Body, table: int) -> None:
    body.push(body.module.table_address(table))


def table_grow(body: Body, table: int) -> None:
    address = body.module.table_address(table)
    body.expect(address)
    body.expect(body.module.table(table).element)
    body.push(address)


def table_fill(body: Body, table: int) -> None:
    address = body.module.table_address(table)
    body.expect_all((address, body.module.table(table).element, address))


def table_copy(body: Body, target: int, source: int) -> None:
    module = body.module
    to, from_ = module.table_address(target), module.table_address(source)
    _match_elements(body, module.table(source).element, module.table(target).element)
    body.expect_all((to, from_, _smaller(to, from_)))


def table_init(body: Body, elem: int, table: int) -> None:
    address = body.module.table_address(table)
    _match_elements(body, body.module.elem(elem), body.module.table(table).element)
    body.expect_all((address, I32, I32))


def _match_elements(body: Body, found: RefType, expected: RefType) -> None:
    if not found.matches(expected):
        raise body.mismatch(expected, found)


def memory_copy(body: Body, target: int, source: int) -> None:
    to, from_ = body.module.memory_address(target), body.module.memory_address(source)
    body.expect_all((to, from_, _smaller(to, from_)))


def memory_init(body: Body, data: int, memory: int) -> None:
    address = body.module.memory_address(memory)
    body.module.data(data)
    body.expect_all((address, I32, I32))


RULES: Final[dict[str, Any]] = {
    "drop": drop,
    "select": select,
    "select.t": select_typed,
    "local.get": local_get,
    "local.set": local_set,
    "local.tee": local_tee,
    "global.get": global_get,
    "global.set": global_set,
    "table.get": table_get,
    "table.set": table_set,
    "table.size": table_size,
    "table.grow": table_grow,
    "table.fill": table_fill,
    "table.copy": table_copy,
    "table.init": table_init,
    "memory.copy": memory_copy,
    "memory.init": memory_init,
}
