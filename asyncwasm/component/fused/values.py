"""Values from one side of a call to the other: the code for each type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from asyncwasm.core.types import NumType

from ..abi.layout import (
    MAX_BYTE_LENGTH,
    align_to,
    alignment,
    cases_of,
    discriminant_size,
    fields_of,
    flags_size,
    flatten,
    payload_offset,
    size,
)
from ..types import (
    Borrow,
    Enum,
    Flags,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from .faults import Fault
from .strings import string_function
from .text import Code, End, Module, trap_if

I32: Final = NumType.I32
I64: Final = NumType.I64
F32: Final = NumType.F32
F64: Final = NumType.F64

# A fixed-length list with more elements than this is copied in a loop.
_UNROLLED: Final = 8

# How a scalar is read from a memory, and how it is written.
_ACCESS: Final = {
    Primitive.BOOL: ("i32.load8_u", "i32.store8"),
    Primitive.S8: ("i32.load8_s", "i32.store8"),
    Primitive.U8: ("i32.load8_u", "i32.store8"),
    Primitive.S16: ("i32.load16_s", "i32.store16"),
    Primitive.U16: ("i32.load16_u", "i32.store16"),
    Primitive.S32: ("i32.load", "i32.store"),
    Primitive.U32: ("i32.load", "i32.store"),
    Primitive.S64: ("i64.load", "i64.store"),
    Primitive.U64: ("i64.load", "i64.store"),
    Primitive.F32: ("f32.load", "f32.store"),
    Primitive.F64: ("f64.load", "f64.store"),
    Primitive.CHAR: ("i32.load", "i32.store"),
}
_UNSIGNED: Final = {
    1: ("i32.load8_u", "i32.store8"),
    2: ("i32.load16_u", "i32.store16"),
    4: ("i32.load", "i32.store"),
}
# What is done to a scalar that comes flat.
_NORMAL: Final = {
    Primitive.S8: "i32.extend8_s",
    Primitive.U8: "i32.const 0xff i32.and",
    Primitive.S16: "i32.extend16_s",
    Primitive.U16: "i32.const 0xffff i32.and",
}
_NOT_BOOL: Final = "i32.const 0 i32.ne"
# Scalars of which all bit patterns are values.
_ANY: Final = frozenset(_ACCESS) - {Primitive.BOOL, Primitive.CHAR}

# From the core type in a variant to that of the payload, and back.
_NARROWED: Final = {
    (I32, F32): "f32.reinterpret_i32",
    (I64, I32): "i32.wrap_i64",
    (I64, F32): "i32.wrap_i64 f32.reinterpret_i32",
    (I64, F64): "f64.reinterpret_i64",
}
_WIDENED: Final = {
    (F32, I32): "i32.reinterpret_f32",
    (I32, I64): "i64.extend_i32_u",
    (F32, I64): "i32.reinterpret_f32 i64.extend_i32_u",
    (F64, I64): "i64.reinterpret_f64",
}


@dataclass(frozen=True, slots=True)
class Flat:
    """A value in locals: their names and types."""

    locals: tuple[tuple[str, NumType], ...]


@dataclass(frozen=True, slots=True)
class InMemory:
    """A value `offset` bytes after the address in a local."""

    base: str
    offset: int = 0

    def after(self, offset: int) -> InMemory:
        """The place so many bytes further."""
        return InMemory(self.base, self.offset + offset)


Place = Flat | InMemory
# From code for an address and for a length to code for both of them on the other side.
_Convert = Callable[[str, str], str]


class Translator:
    """Writes code that takes values from `source` to `target`.

    Places in a memory are known to be within it.
    """

    def __init__(self, module: Module, source: End, target: End) -> None:
        self.module = module
        self.source = source
        self.target = target

    def translate(self, code: Code, ty: ValType, source: Place, target: Place) -> None:
        """Add code for one value of type `ty`."""
        match ty:
            case Primitive.STRING:
                function = string_function(self.module, self.source, self.target)
                self._range(code, source, target, lambda p, n: f"{p} {n} call {function}")
            case List(element, None):
                self._list(code, element, source, target)
            case Map(key, value):
                self._list(code, Tuple((key, value)), source, target)
            case Primitive():
                self._scalar(code, ty, source, target)
            case Enum(labels):
                count = len(labels)
                discriminant = self._discriminant(code, count, source)
                self._put_number(code, discriminant, discriminant_size(count), target)
            case Flags(labels):
                self._flags(code, len(labels), source, target)
            case Own() | Borrow():
                self._handle(code, ty, source, target)
            case Variant() | Option() | Result():
                self._variant(code, ty, source, target)
            case List(element, length):
                assert length is not None
                self._fixed_list(code, element, length, source, target)
            case Record() | Tuple():
                self.translate_all(code, fields_of(ty), source, target)
            case _:
                raise AssertionError(f"no adapter can be for {ty}")

    def translate_all(
        self, code: Code, types: Sequence[ValType], source: Place, target: Place
    ) -> None:
        """Add code for several values, laid out like the fields of a record."""
        sources = self._parts(types, source, self.source)
        targets = self._parts(types, target, self.target)
        for ty, one, other in zip(types, sources, targets, strict=True):
            self.translate(code, ty, one, other)

    def _parts(self, types: Sequence[ValType], place: Place, end: End) -> list[Place]:
        parts: list[Place] = []
        offset = 0
        for ty in types:
            if isinstance(place, Flat):
                count = len(flatten(ty, end.pointer))
                parts.append(Flat(place.locals[offset : offset + count]))
                offset += count
            else:
                offset = align_to(offset, alignment(ty, end.pointer_size))
                parts.append(place.after(offset))
                offset += size(ty, end.pointer_size)
        return parts

    # --- single core values --------------------------------------------------------------------

    def _get(self, place: Place, load: str) -> str:
        if isinstance(place, Flat):
            return f"local.get {place.locals[0][0]}"
        self.module.need_memory(self.source)
        return f"local.get {place.base} {load} {self.source.memory} offset={place.offset}"

    def _put(self, code: Code, place: Place, store: str, value: str) -> None:
        if isinstance(place, Flat):
            code.add(f"{value} local.set {place.locals[0][0]}")
            return
        self.module.need_memory(self.target)
        code.add(
            f"local.get {place.base} {value} {store} {self.target.memory} offset={place.offset}"
        )

    def _scalar(self, code: Code, ty: Primitive, source: Place, target: Place) -> None:
        load, store = _ACCESS[ty]
        value = self._get(source, load)
        if ty is Primitive.BOOL:
            value = f"{value} {_NOT_BOOL}"
        elif isinstance(source, Flat):
            value = f"{value} {_NORMAL.get(ty, '')}"
        if ty is Primitive.CHAR:
            value = f"local.get {code.put(I32, value)}"
            code.add(_check_char(value))
        self._put(code, target, store, value)

    def _put_number(self, code: Code, value: str, bytes: int, target: Place) -> None:
        self._put(code, target, _UNSIGNED[bytes][1], f"local.get {value}")

    def _flags(self, code: Code, count: int, source: Place, target: Place) -> None:
        load, store = _UNSIGNED[flags_size(count)]
        mask = f"i32.const {(1 << count) - 1:#x} i32.and"
        self._put(code, target, store, f"{self._get(source, load)} {mask}")

    def _handle(self, code: Code, ty: Own | Borrow, source: Place, target: Place) -> None:
        kind = "own" if isinstance(ty, Own) else "borrow"
        name = f"{kind}.{self.source.name}.{ty.resource}"
        self.module.need(name, f"(func ${name} (param i32) (result i32))")
        self._put(code, target, "i32.store", f"{self._get(source, 'i32.load')} call ${name}")

    # --- variants ------------------------------------------------------------------------------

    def _discriminant(self, code: Code, count: int, source: Place) -> str:
        """The local with the number of a case, which is one of `count`."""
        load = _UNSIGNED[discriminant_size(count)][0]
        found = code.put(I32, self._get(source, load))
        code.add(
            trap_if(f"local.get {found} i32.const {count} i32.ge_u", Fault.INVALID_DISCRIMINANT)
        )
        return found

    def _variant(
        self, code: Code, ty: Variant | Option | Result, source: Place, target: Place
    ) -> None:
        cases = cases_of(ty)
        number = self._discriminant(code, len(cases), source)
        self._put_number(code, number, discriminant_size(len(cases)), target)
        payloads = [(i, payload) for i, (_, payload) in enumerate(cases) if payload is not None]
        if not payloads:
            return
        inside = self._inside(ty, source, self.source), self._inside(ty, target, self.target)
        # Blocks within each other, left by a table: the innermost is for the first payload.
        labels = {i: place for place, (i, _) in enumerate(payloads)}
        table = " ".join(str(labels.get(i, len(payloads))) for i in range(len(cases)))
        code.add("block " * (len(payloads) + 1))
        code.add(f"local.get {number} br_table {table} {len(payloads)}")
        for place, (_, payload) in enumerate(payloads):
            code.add("end")
            self._payload(code, payload, *inside)
            code.add(f"br {len(payloads) - 1 - place}")
        code.add("end")

    def _inside(self, ty: Variant | Option | Result, place: Place, end: End) -> Place:
        if isinstance(place, Flat):
            return Flat(place.locals[1:])
        return place.after(payload_offset(cases_of(ty), end.pointer_size))

    def _payload(self, code: Code, ty: ValType, source: Place, target: Place) -> None:
        """One payload, whose core types may be others than those of the variant."""
        if isinstance(source, Flat):
            narrow: list[tuple[str, NumType]] = []
            for (local, joined), own in zip(
                source.locals, flatten(ty, self.source.pointer), strict=False
            ):
                convert = _NARROWED.get((joined, own))
                name = code.put(own, f"local.get {local} {convert}") if convert else local
                narrow.append((name, own))
            source = Flat(tuple(narrow))
        if not isinstance(target, Flat):
            self.translate(code, ty, source, target)
            return
        own_locals = tuple((code.local(own), own) for own in flatten(ty, self.target.pointer))
        self.translate(code, ty, source, Flat(own_locals))
        for (name, own), (local, joined) in zip(own_locals, target.locals, strict=False):
            code.add(f"local.get {name} {_WIDENED.get((own, joined), '')} local.set {local}")

    # --- lists ---------------------------------------------------------------------------------

    def _range(self, code: Code, source: Place, target: Place, convert: _Convert) -> None:
        """An address and a length, to those that `convert` gives code for."""
        pointer, other = self.source.pointer, self.target.pointer
        if isinstance(source, Flat):
            (p, _), (n, _) = source.locals
        else:
            load = f"{pointer}.load"
            p = code.put(pointer, self._get(source, load))
            n = code.put(pointer, self._get(source.after(self.source.pointer_size), load))
        q, m = code.local(other), code.local(other)
        code.add(f"{convert(f'local.get {p}', f'local.get {n}')} local.set {m} local.set {q}")
        if isinstance(target, Flat):
            for local, (to, _) in zip((q, m), target.locals, strict=True):
                code.add(f"local.get {local} local.set {to}")
            return
        self._put(code, target, f"{other}.store", f"local.get {q}")
        after = target.after(self.target.pointer_size)
        self._put(code, after, f"{other}.store", f"local.get {m}")

    def _list(self, code: Code, element: ValType, source: Place, target: Place) -> None:
        def convert(p: str, n: str) -> str:
            start = self._copied(code, element, p, n)
            return f"local.get {start} {self.target.narrowed(self.source.widened(n))}"

        self._range(code, source, target, convert)

    def _copied(self, code: Code, element: ValType, p: str, n: str) -> str:
        """Add code that copies a list; the local with the copy's address."""
        source, target = self.source, self.target
        align = alignment(element, source.pointer_size)
        unit, other_unit = size(element, source.pointer_size), size(element, target.pointer_size)
        at = source.widened(p)
        if align > 1:
            code.add(trap_if(f"{at} i32.wrap_i64 i32.const {align - 1} i32.and", Fault.UNALIGNED))
        count = code.put(I64, source.widened(n))
        code.add(
            trap_if(f"local.get {count} i64.const {MAX_BYTE_LENGTH // unit} i64.gt_u", Fault.LIST)
        )
        check, allocate = self.module.check(source), self.module.allocate(target)
        fault = f"i32.const {int(Fault.LIST)}"
        code.add(f"{at} local.get {count} i64.const {unit} i64.mul {fault} call {check}")
        bytes = f"local.get {count} i64.const {other_unit} i64.mul"
        other_align = alignment(element, target.pointer_size)
        start = code.put(
            target.pointer,
            f"{target.pointer}.const 0 i64.const 0 i64.const {other_align} {bytes} {fault}"
            f" call {allocate}",
        )
        self.copy_elements(code, element, p, start, count)
        return start

    def copy_elements(self, code: Code, element: ValType, p: str, start: str, count: str) -> None:
        """Add code that copies elements from `p` to the address in the local `start`.

        `count` is an i64 local with their number; both places are in their memories.
        """
        source, target = self.source, self.target
        unit, other_unit = size(element, source.pointer_size), size(element, target.pointer_size)
        if _is_plain(element):
            self._copy_bytes(code, p, start, f"local.get {count} i64.const {unit} i64.mul")
            return
        from_, to = code.put(source.pointer, p), code.put(target.pointer, f"local.get {start}")
        left = code.put(I64, f"local.get {count}")
        code.add(f"block loop local.get {left} i64.eqz br_if 1")
        self.translate(code, element, InMemory(from_), InMemory(to))
        for local, end, step in ((from_, source, unit), (to, target, other_unit)):
            code.add(
                f"local.get {local} {end.pointer}.const {step} {end.pointer}.add local.set {local}"
            )
        code.add(f"local.get {left} i64.const 1 i64.sub local.set {left} br 0 end end")

    def _copy_bytes(self, code: Code, p: str, start: str, bytes: str) -> None:
        self.module.need_memory(self.source)
        self.module.need_memory(self.target)
        wide = self.source.side.memory64 and self.target.side.memory64
        count = bytes if wide else f"{bytes} i32.wrap_i64"
        code.add(
            f"local.get {start} {p} {count} memory.copy {self.target.memory} {self.source.memory}"
        )

    def _fixed_list(
        self, code: Code, element: ValType, length: int, source: Place, target: Place
    ) -> None:
        if isinstance(source, Flat) or isinstance(target, Flat) or length <= _UNROLLED:
            self.translate_all(code, [element] * length, source, target)
            return
        p = code.put(self.source.pointer, self._address(source, self.source))
        start = code.put(self.target.pointer, self._address(target, self.target))
        count = code.put(I64, f"i64.const {length}")
        self.copy_elements(code, element, f"local.get {p}", start, count)

    def _address(self, place: InMemory, end: End) -> str:
        return f"local.get {place.base} {end.pointer}.const {place.offset} {end.pointer}.add"


def _check_char(value: str) -> str:
    surrogate = f"{value} i32.const 0xfffff800 i32.and i32.const 0xd800 i32.eq"
    return trap_if(f"{value} i32.const 0x110000 i32.ge_u {surrogate} i32.or", Fault.INVALID_CHAR)


def _is_plain(ty: ValType) -> bool:
    """Whether all bytes of a value are one, and the same on both sides."""
    match ty:
        case Primitive():
            return ty in _ANY
        case Record() | Tuple():
            fields = fields_of(ty)
            return all(map(_is_plain, fields)) and sum(size(f, 4) for f in fields) == size(ty, 4)
        case List(element, int()):
            return _is_plain(element)
        case _:
            return False
