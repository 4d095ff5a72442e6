"""How values lie in a memory, and as which core values they travel.

Alignment, size and flattening of the Canonical ABI ("Alignment", "Element Size", "Flattening" in
`CanonicalABI.md`).  Types are read as they are: a tuple as a record, an option as a variant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.core.types import FuncType as CoreFuncType
from asyncwasm.core.types import NumType

MAX_FLAT_PARAMS: Final = 16
MAX_FLAT_ASYNC_PARAMS: Final = 4
MAX_FLAT_RESULTS: Final = 1
# No list and no string may take more bytes than this in a memory.
MAX_BYTE_LENGTH: Final = (1 << 28) - 1

# More core values than that never travel flat: flattening stops there, for a fixed-length list
# may have millions of elements.
_FLAT_LIMIT: Final = MAX_FLAT_PARAMS + 1


@dataclass(frozen=True, slots=True)
class Options:
    """What lifting and lowering has to know beside the type.

    `memory64` says that pointers have 64 bits.  `adapter` says that values come from, or go to,
    another component and not the host, which errors are worded by.  `source_encoding` is how
    strings were encoded where they come from, which the order of calls of `realloc` depends on;
    the host's count as UTF-8.
    """

    string_encoding: StringEncoding = StringEncoding.UTF8
    memory64: bool = False
    adapter: bool = False
    source_encoding: StringEncoding = StringEncoding.UTF8

    @property
    def pointer_size(self) -> int:
        """The size of a pointer in bytes."""
        return 8 if self.memory64 else 4

    @property
    def pointer_type(self) -> NumType:
        """The core type of a pointer."""
        return NumType.I64 if self.memory64 else NumType.I32


_SIZES: Final = {
    Primitive.BOOL: 1,
    Primitive.S8: 1,
    Primitive.U8: 1,
    Primitive.S16: 2,
    Primitive.U16: 2,
    Primitive.S32: 4,
    Primitive.U32: 4,
    Primitive.S64: 8,
    Primitive.U64: 8,
    Primitive.F32: 4,
    Primitive.F64: 8,
    Primitive.CHAR: 4,
    Primitive.ERROR_CONTEXT: 4,
}

_CORE_TYPES: Final = {
    Primitive.S64: NumType.I64,
    Primitive.U64: NumType.I64,
    Primitive.F32: NumType.F32,
    Primitive.F64: NumType.F64,
}


def align_to(offset: int, alignment: int) -> int:
    """The least multiple of `alignment`, a power of two, that is not below `offset`."""
    return (offset + alignment - 1) & -alignment


def cases_of(ty: Variant | Option | Result) -> tuple[tuple[str, ValType | None], ...]:
    """The cases of a variant, or of what is short for one."""
    if isinstance(ty, Variant):
        return ty.cases
    if isinstance(ty, Option):
        return (("none", None), ("some", ty.type))
    return (("ok", ty.ok), ("error", ty.error))


def fields_of(ty: Record | Tuple) -> tuple[ValType, ...]:
    """The types of the fields of a record or tuple."""
    if isinstance(ty, Tuple):
        return ty.types
    return tuple(field for _, field in ty.fields)


def discriminant_size(cases: int) -> int:
    """The size in bytes of the number of one of so many cases."""
    return 1 if cases <= 1 << 8 else 2 if cases <= 1 << 16 else 4


def flags_size(labels: int) -> int:
    """The size in bytes of so many flags."""
    return 1 if labels <= 8 else 2 if labels <= 16 else 4


@cache
def alignment(ty: ValType, pointer_size: int) -> int:
    """The alignment of a value in a memory, in bytes."""
    match ty:
        case Primitive.STRING | Map():
            return pointer_size
        case Primitive():
            return _SIZES[ty]
        case List(element, length):
            return pointer_size if length is None else alignment(element, pointer_size)
        case Record() | Tuple():
            return max(alignment(field, pointer_size) for field in fields_of(ty))
        case Variant() | Option() | Result():
            return max(
                discriminant_size(len(cases_of(ty))), payload_alignment(cases_of(ty), pointer_size)
            )
        case Enum(labels):
            return discriminant_size(len(labels))
        case Flags(labels):
            return flags_size(len(labels))
        case Own() | Borrow() | Stream() | Future():
            return 4


def payload_alignment(cases: tuple[tuple[str, ValType | None], ...], pointer_size: int) -> int:
    """The alignment of what follows a discriminant."""
    return max((alignment(t, pointer_size) for _, t in cases if t is not None), default=1)


def payload_offset(cases: tuple[tuple[str, ValType | None], ...], pointer_size: int) -> int:
    """Where the payload of a variant begins."""
    return align_to(discriminant_size(len(cases)), payload_alignment(cases, pointer_size))


@cache
def size(ty: ValType, pointer_size: int) -> int:
    """The size of a value in a memory, in bytes."""
    match ty:
        case Primitive.STRING | Map():
            return 2 * pointer_size
        case Primitive():
            return _SIZES[ty]
        case List(element, length):
            if length is None:
                return 2 * pointer_size
            return length * size(element, pointer_size)
        case Record() | Tuple():
            end = 0
            for field in fields_of(ty):
                end = align_to(end, alignment(field, pointer_size)) + size(field, pointer_size)
            return align_to(end, alignment(ty, pointer_size))
        case Variant() | Option() | Result():
            cases = cases_of(ty)
            payload = max((size(t, pointer_size) for _, t in cases if t is not None), default=0)
            return align_to(
                payload_offset(cases, pointer_size) + payload, alignment(ty, pointer_size)
            )
        case Enum(labels):
            return discriminant_size(len(labels))
        case Flags(labels):
            return flags_size(len(labels))
        case Own() | Borrow() | Stream() | Future():
            return 4


def join(a: NumType, b: NumType) -> NumType:
    """The core type that has room for values of either type."""
    if a is b:
        return a
    return NumType.I64 if a.bits == 64 or b.bits == 64 else NumType.I32


@cache
def flatten(ty: ValType, pointer: NumType) -> tuple[NumType, ...]:
    """The core types a value travels as; of more than 17 only the first 17."""
    match ty:
        case Primitive.STRING | Map():
            return (pointer, pointer)
        case Primitive():
            return (_CORE_TYPES.get(ty, NumType.I32),)
        case List(element, length):
            if length is None:
                return (pointer, pointer)
            flat = flatten(element, pointer)
            return (flat * min(length, _FLAT_LIMIT))[:_FLAT_LIMIT]
        case Record() | Tuple():
            return flatten_all(fields_of(ty), pointer)
        case Variant() | Option() | Result():
            payload: list[NumType] = []
            for _, case in cases_of(ty):
                if case is None:
                    continue
                flat = flatten(case, pointer)
                shared = min(len(payload), len(flat))
                payload[:shared] = map(join, payload[:shared], flat[:shared])
                payload += flat[shared:]
            return (NumType.I32, *payload)[:_FLAT_LIMIT]
        case Enum() | Flags() | Own() | Borrow() | Stream() | Future():
            return (NumType.I32,)


def flatten_all(types: tuple[ValType, ...], pointer: NumType) -> tuple[NumType, ...]:
    """`flatten` of several values, one after the other."""
    flat: tuple[NumType, ...] = ()
    for ty in types:
        flat += flatten(ty, pointer)
        if len(flat) >= _FLAT_LIMIT:
            break
    return flat[:_FLAT_LIMIT]


def flatten_func(
    ty: FuncType,
    options: Options,
    context: str,
    *,
    is_async: bool = False,
    callback: bool = False,
) -> CoreFuncType:
    """The core type of a function of type `ty` that is lifted or lowered.

    `context` is "lift" or "lower", `is_async` whether the option `async` is there.
    """
    pointer = options.pointer_type
    params = flatten_all(tuple(t for _, t in ty.params), pointer)
    results = () if ty.result is None else flatten(ty.result, pointer)
    lifting = context == "lift"
    most = MAX_FLAT_ASYNC_PARAMS if is_async and not lifting else MAX_FLAT_PARAMS
    if len(params) > most:
        params = (pointer,)
    if is_async:
        if lifting:
            return CoreFuncType(params, (NumType.I32,) if callback else ())
        return CoreFuncType((*params, pointer) if results else params, (NumType.I32,))
    if len(results) > MAX_FLAT_RESULTS:
        if lifting:
            return CoreFuncType(params, (pointer,))
        return CoreFuncType((*params, pointer), ())
    return CoreFuncType(params, results)


def contains(ty: ValType | None, found: Callable[[ValType], bool]) -> bool:
    """Whether `found` holds for `ty` or a type in it."""
    if ty is None:
        return False
    return found(ty) or any(contains(part, found) for part in parts_of(ty))


def parts_of(ty: ValType) -> tuple[ValType, ...]:
    """The types that `ty` is directly made of."""
    match ty:
        case Record() | Tuple():
            return fields_of(ty)
        case Variant() | Option() | Result():
            return tuple(case for _, case in cases_of(ty) if case is not None)
        case List(element, _):
            return (element,)
        case Stream(element) | Future(element):
            return () if element is None else (element,)
        case Map(key, value):
            return (key, value)
        case _:
            return ()


_NO_CONTEXT: Final = frozenset(Primitive) - {Primitive.STRING, Primitive.ERROR_CONTEXT}


def needs_context(types: tuple[ValType, ...]) -> bool:
    """Whether values of these types, when they travel flat, need a memory or handles."""

    def touches(ty: ValType) -> bool:
        match ty:
            case Primitive():
                return ty not in _NO_CONTEXT
            case List(_, length):
                return length is None
            case Own() | Borrow() | Stream() | Future() | Map():
                return True
            case _:
                return False

    return any(contains(ty, touches) for ty in types)
