"""Code that lifts: core values and bytes in a memory to Python values.

See "Loading" and "Flat Lifting" in `CanonicalABI.md`.  A value in a memory is read in two steps:
one `struct.Struct` takes apart all that has a fixed place, and what it gives is converted part by
part.  The payload of a variant has no fixed layout, so a branch for each case reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import Any, Final, NoReturn

from asyncwasm.component.types import (
    Borrow,
    Enum,
    Flags,
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
from asyncwasm.component.values import Err, FlagsCache, Ok, Some
from asyncwasm.core.isa.numeric import f32_from_bits, f64_from_bits
from asyncwasm.core.types import NumType
from asyncwasm.errors import TrapCode

from . import faults
from .layout import (
    MAX_BYTE_LENGTH,
    Options,
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
from .source import Body, Unit, is_small, pad
from .strings import load_string

# The `struct` codes of what is read with one, and of unsigned integers by size.
CODES: Final = {
    Primitive.BOOL: "?",
    Primitive.S8: "b",
    Primitive.U8: "B",
    Primitive.S16: "h",
    Primitive.U16: "H",
    Primitive.S32: "i",
    Primitive.U32: "I",
    Primitive.S64: "q",
    Primitive.U64: "Q",
    Primitive.F32: "f",
    Primitive.F64: "d",
    Primitive.CHAR: "I",
    Primitive.ERROR_CONTEXT: "I",
}
UNSIGNED: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}

# A fixed-length list with more elements than this is read in a loop.
UNROLLED: Final = 8

# Of a flat value, by its variable.
_FLAT: Final = {
    Primitive.BOOL: "{0} != 0",
    Primitive.S8: "({0} & 127) - ({0} & 128)",
    Primitive.U8: "{0} & 255",
    Primitive.S16: "({0} & 32767) - ({0} & 32768)",
    Primitive.U16: "{0} & 65535",
    Primitive.S32: "({0} & 2147483647) - ({0} & 2147483648)",
    Primitive.U32: "{0}",
    Primitive.S64: "({0} & 9223372036854775807) - ({0} & 9223372036854775808)",
    Primitive.U64: "{0}",
    Primitive.F32: "{0}",
    Primitive.F64: "{0}",
}

_CHAR: Final = "chr({0}) if {0} < 55296 or 57343 < {0} < 1114112 else invalid_char()"

# Of a core value in a variant, by its type there and the type of the payload.
_NARROWED: Final = {
    (NumType.I32, NumType.F32): "f32_from_bits({0})",
    (NumType.I64, NumType.I32): "{0} & 4294967295",
    (NumType.I64, NumType.F32): "f32_from_bits({0} & 4294967295)",
    (NumType.I64, NumType.F64): "f64_from_bits({0})",
}


def namespace(options: Options) -> dict[str, Any]:
    """What generated lifting code finds by name."""
    adapter = options.adapter

    def invalid_char() -> NoReturn:
        faults.invalid_char(adapter)

    def invalid_discriminant(found: int, cases: int) -> NoReturn:
        faults.invalid_discriminant(adapter, found, cases)

    def unaligned(text: str) -> NoReturn:
        faults.unaligned(adapter, text)

    def outside(text: str) -> NoReturn:
        faults.outside(adapter, TrapCode.MEMORY_OUT_OF_BOUNDS, text)

    def outside_list(text: str) -> NoReturn:
        faults.outside(adapter, TrapCode.LIST_OUT_OF_BOUNDS, text)

    return {
        "Err": Err,
        "Ok": Ok,
        "Some": Some,
        "f32_from_bits": f32_from_bits,
        "f64_from_bits": f64_from_bits,
        "invalid_char": invalid_char,
        "invalid_discriminant": invalid_discriminant,
        "load_string": load_string(options),
        "out_of_fuel": faults.out_of_fuel,
        "outside": outside,
        "outside_list": outside_list,
        "starmap": starmap,
        "unaligned": unaligned,
    }


# Where generated code says where the value is that it reads.
_PLACE: Final = re.compile(r"\bp\b")

# A part of a value in a memory: where it is, and the variable that has it or "".
Slot = tuple[int, str]


class Lifter:
    """Writes the functions that lift, for one set of options."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.pointer_size = unit.pointer_size

    def size(self, ty: ValType) -> int:
        """The size of a value in a memory."""
        return size(ty, self.pointer_size)

    def alignment(self, ty: ValType) -> int:
        """The alignment of a value in a memory."""
        return alignment(ty, self.pointer_size)

    # --- from a memory ------------------------------------------------------------------------

    def load(self, ty: ValType) -> str:
        """The name of the function `(cx, view, p)` that reads a value at `p`."""
        return self.unit.function(
            ("load", ty), ("cx", "view", "p"), lambda body: self.load_inline(body, ty, "p", 0)
        )

    def load_inline(self, body: Body, ty: ValType, base: str, offset: int) -> str:
        """The value at `base` + `offset`, whose structure is known to be in bounds."""
        slots, layout = self._place(body, ty, offset)
        if layout:
            names = "".join(f"{name}, " for _, name in slots if name)
            structure = self.unit.structure(pad(layout, 0))
            body.line(f"{names}= {structure}.unpack_from(view, {base})")
        return self._convert(body, ty, iter(slots), base, top=True)

    def _place(
        self, body: Body, ty: ValType, offset: int
    ) -> tuple[list[Slot], list[tuple[int, str]]]:
        """The parts of a value at `offset`, and the `struct` codes of those with a variable."""
        slots: list[Slot] = []
        layout: list[tuple[int, str]] = []

        def code(offset: int, code: str) -> None:
            slots.append((offset, body.fresh()))
            layout.append((offset, code))

        def place(ty: ValType, offset: int, top: bool = False) -> None:
            match ty:
                case Primitive.STRING | Map() | List(_, None):
                    code(offset, self.unit.pointer_code)
                    code(offset + self.pointer_size, self.unit.pointer_code)
                case Primitive():
                    code(offset, CODES[ty])
                case Own() | Borrow() | Stream() | Future():
                    code(offset, "I")
                case Enum(labels):
                    code(offset, UNSIGNED[discriminant_size(len(labels))])
                case Flags(labels):
                    code(offset, UNSIGNED[flags_size(len(labels))])
                case _ if not top and not is_small(ty):
                    slots.append((offset, ""))
                case Variant() | Option() | Result():
                    code(offset, UNSIGNED[discriminant_size(len(cases_of(ty)))])
                case List(element, length):
                    assert length is not None
                    if length > UNROLLED:
                        slots.append((offset, ""))
                    else:
                        for i in range(length):
                            place(element, offset + i * self.size(element))
                case Record() | Tuple():
                    for field in fields_of(ty):
                        offset = align_to(offset, self.alignment(field))
                        place(field, offset)
                        offset += self.size(field)

        place(ty, offset, top=True)
        return slots, layout

    def _convert(
        self, body: Body, ty: ValType, slots: Iterator[Slot], base: str, *, top: bool = False
    ) -> str:
        """The value made of the parts that `_place` has found."""
        match ty:
            case Primitive.CHAR:
                return _CHAR.format(next(slots)[1])
            case Primitive.STRING | Map() | List(_, None):
                return self._range(ty, next(slots)[1], next(slots)[1])
            case Primitive.ERROR_CONTEXT | Own() | Borrow() | Stream() | Future():
                return self._handle(ty, next(slots)[1])
            case Primitive():
                return next(slots)[1]
            case Enum() | Flags():
                return self._named(ty, next(slots)[1])
            case _ if not top and not is_small(ty):
                offset, _ = next(slots)
                return f"{self.load(ty)}(cx, view, {base} + {offset})"
            case Variant() | Option() | Result():
                offset, name = next(slots)
                offset += payload_offset(cases_of(ty), self.pointer_size)
                return self._variant(
                    body, ty, name, lambda case: self._payload(body, case, base, offset)
                )
            case List(element, length):
                assert length is not None
                if length > UNROLLED:
                    offset, _ = next(slots)
                    return f"{self._load_fixed(ty)}(cx, view, {base} + {offset})"
                return self._list(
                    body,
                    [element] * length,
                    lambda part: self._convert(body, part, slots, base),
                )
            case Record() | Tuple():
                return self._aggregate(
                    body, ty, lambda part: self._convert(body, part, slots, base)
                )

    def _payload(self, body: Body, ty: ValType, base: str, offset: int) -> str:
        if is_small(ty):
            return self.load_inline(body, ty, base, offset)
        return f"{self.load(ty)}(cx, view, {base} + {offset})"

    def _load_fixed(self, ty: List) -> str:
        """The name of the function `(cx, view, p)` that reads a fixed-length list at `p`."""
        return self.unit.function(
            ("load fixed", ty),
            ("cx", "view", "p"),
            lambda body: self._elements(body, ty.element, str(ty.length), as_bytes=False),
        )

    def load_list(self, ty: List | Map) -> str:
        """The name of the function `(cx, p, n)` that reads the list of `n` elements at `p`."""
        kind = "map" if isinstance(ty, Map) else "list"
        element = Tuple((ty.key, ty.value)) if isinstance(ty, Map) else ty.element
        unit, align = self.size(element), self.alignment(element)

        def write(body: Body) -> str:
            body.line("memory = cx.memory")
            body.line(f"size = n * {unit}")
            if align > 1:
                with body.block(f"if p & {align - 1}:"):
                    body.line(f"unaligned('{kind} pointer is not aligned')")
            with body.block(f"if size > {MAX_BYTE_LENGTH} or p + size > memory.size_bytes:"):
                body.line(f"outside_list('{kind} pointer/length out of bounds of memory')")
            # An element takes at least a pointer in Python.
            body.line(f"cx.fuel -= n * {1 if element is Primitive.U8 else max(unit, 8)}")
            with body.block("if cx.fuel < 0:"):
                body.line("out_of_fuel()")
            body.line("view = memory.view")
            elements = self._elements(body, element, "n", as_bytes=True)
            # Between components a map stays the list of pairs that it is, equal keys and all.
            as_dict = isinstance(ty, Map) and not self.unit.options.adapter
            return f"dict({elements})" if as_dict else elements

        return self.unit.function(("load list", ty), ("cx", "p", "n"), write)

    def load_elements(self, element: ValType) -> str:
        """The name of the function `(cx, p, n)` that reads `n` elements that are in bounds."""

        def write(body: Body) -> str:
            body.line("view = cx.memory.view")
            return self._elements(body, element, "n", as_bytes=True)

        return self.unit.function(("load elements", element), ("cx", "p", "n"), write)

    def _elements(self, body: Body, element: ValType, count: str, *, as_bytes: bool) -> str:
        """The list of the elements at `p`, which are known to be in bounds."""
        unit = self.size(element)
        body.line(f"part = view[p:p + {count} * {unit}]")
        match element:
            case Primitive.U8:
                return "bytes(part)" if as_bytes else "list(part)"
            case Primitive.BOOL:
                return "list(map(bool, part))"
            case Primitive.CHAR:
                # UTF-32 has no surrogates either.
                with body.block("try:"):
                    body.line("return list(str(part, 'utf-32-le'))")
                with body.block("except UnicodeDecodeError:"):
                    body.line("invalid_char()")
                return "[]"
            case Primitive() if element not in (Primitive.STRING, Primitive.ERROR_CONTEXT):
                return f"part.cast({CODES[element]!r}).tolist()"
            case _:
                return self._loop(body, element, count)

    def _loop(self, body: Body, element: ValType, count: str) -> str:
        """The list of the elements in `part`."""
        unit = self.size(element)
        inner = Body(self.unit)
        inner.depth = 2
        slots, layout = self._place(inner, element, 0)
        value = self._convert(inner, element, iter(slots), "p", top=True)
        names = "".join(f"{name}, " for _, name in slots if name)
        packed = pad(layout, unit)
        rows = f"{self.unit.structure(packed)}.iter_unpack(part)" if layout else ""
        if len(packed) == 1:
            names, rows = slots[0][1], f"part.cast({packed!r})"
        elif not inner.lines and isinstance(element, Record | Tuple):
            # Rows may be the tuples, or the arguments of the class, just as they are.
            if value == f"({names})":
                return f"list({rows})"
            if value == f"{self._class(element)}({names})":
                return f"list(starmap({self._class(element)}, {rows}))"
        places = f"range(p, p + {count} * {unit}, {unit})"
        if not layout:
            header = f"for p in {places}"
        elif any(_PLACE.search(line) for line in (*inner.lines, value)):
            header = f"for p, ({names}) in zip({places}, {rows})"
        else:
            header = f"for {names} in {rows}"
        if not inner.lines:
            return f"[{value} {header}]"
        body.line("out = []")
        body.line("append = out.append")
        body.line(header + ":")
        body.lines += inner.lines
        body.line(f" append({value})")
        return "out"

    # --- from core values ---------------------------------------------------------------------

    def lift(self, ty: ValType, count: int) -> str:
        """The name of the function `(cx, v…)` that lifts a value from `count` core values."""
        names = [f"x{i}" for i in range(count)]
        return self.unit.function(
            ("lift", ty),
            ("cx", *names),
            lambda body: self.lift_inline(body, ty, iter(names), top=True),
        )

    def lift_inline(
        self, body: Body, ty: ValType, flat: Iterator[str], *, top: bool = False
    ) -> str:
        """The value lifted from the core values in the variables that `flat` gives."""
        match ty:
            case Primitive.CHAR:
                return _CHAR.format(next(flat))
            case Primitive.STRING | Map() | List(_, None):
                return self._range(ty, next(flat), next(flat))
            case Primitive.ERROR_CONTEXT | Own() | Borrow() | Stream() | Future():
                return self._handle(ty, next(flat))
            case Primitive():
                return _FLAT[ty].format(next(flat))
            case Enum() | Flags():
                return self._named(ty, next(flat))
            case _ if not top and not is_small(ty):
                names = [next(flat) for _ in flatten(ty, self.unit.options.pointer_type)]
                return f"{self.lift(ty, len(names))}({', '.join(['cx', *names])})"
            case Variant() | Option() | Result():
                have = flatten(ty, self.unit.options.pointer_type)
                names = [next(flat) for _ in have]
                return self._variant(
                    body,
                    ty,
                    names[0],
                    lambda case: self._narrowed(body, case, names[1:], have[1:]),
                )
            case List(element, length):
                assert length is not None
                return self._list(
                    body, [element] * length, lambda part: self.lift_inline(body, part, flat)
                )
            case Record() | Tuple():
                return self._aggregate(body, ty, lambda part: self.lift_inline(body, part, flat))

    def lift_list(self, body: Body, types: tuple[ValType, ...], flat: Iterator[str]) -> str:
        """A list of values lifted one after the other."""
        return self._list(body, types, lambda part: self.lift_inline(body, part, flat))

    def _narrowed(
        self, body: Body, ty: ValType, names: list[str], have: tuple[NumType, ...]
    ) -> str:
        """The payload of a variant, whose core values have the types that the cases share."""
        own = []
        want = flatten(ty, self.unit.options.pointer_type)
        for name, shared, core in zip(names, have, want, strict=False):
            narrow = _NARROWED.get((shared, core))
            own.append(name if narrow is None else body.assign(narrow.format(name)))
        return self.lift_inline(body, ty, iter(own))

    # --- both ---------------------------------------------------------------------------------

    def _range(self, ty: ValType, pointer: str, length: str) -> str:
        if isinstance(ty, List | Map):
            return f"{self.load_list(ty)}(cx, {pointer}, {length})"
        return f"load_string(cx, {pointer}, {length})"

    def _handle(self, ty: ValType, name: str) -> str:
        match ty:
            case Own(resource):
                return f"cx.lift_own({self._constant(resource)}, {name})"
            case Borrow(resource):
                return f"cx.lift_borrow({self._constant(resource)}, {name})"
            case Stream(element):
                return f"cx.lift_stream({self._constant(element)}, {name})"
            case Future(element):
                return f"cx.lift_future({self._constant(element)}, {name})"
            case _:
                return f"cx.lift_error_context({name})"

    def _constant(self, value: object) -> str:
        return self.unit.shared(("constant", value), lambda: value)

    def _class(self, ty: ValType) -> str:
        if isinstance(ty, Tuple):
            return ""
        return self.unit.shared(("class", ty), lambda: self.unit.classes.of(ty))

    def _named(self, ty: Enum | Flags, name: str) -> str:
        if isinstance(ty, Flags):
            cache = self.unit.shared(("flags", ty), lambda: FlagsCache(self.unit.classes.of(ty)))
            return f"{cache}[{name} & {(1 << len(ty.labels)) - 1}]"
        members = self.unit.shared(("members", ty), lambda: tuple(self.unit.classes.of(ty)))
        count = len(ty.labels)
        return f"{members}[{name}] if {name} < {count} else invalid_discriminant({name}, {count})"

    def _parts(
        self, body: Body, types: Iterable[ValType], convert: Callable[[ValType], str]
    ) -> list[str]:
        """The parts of a value as expressions that may be evaluated in any place of one list."""
        parts: list[str] = []
        for ty in types:
            before = len(body.lines)
            part = convert(ty)
            if len(body.lines) > before:
                # What was to be done before those lines must not come after them.
                for i, earlier in enumerate(parts):
                    if "(" in earlier:
                        parts[i] = body.fresh()
                        body.insert(before, f"{parts[i]} = {earlier}")
                        before += 1
            parts.append(part)
        return parts

    def _list(self, body: Body, types: Iterable[ValType], convert: Callable[[ValType], str]) -> str:
        return f"[{', '.join(self._parts(body, types, convert))}]"

    def _aggregate(self, body: Body, ty: Record | Tuple, convert: Callable[[ValType], str]) -> str:
        parts = self._parts(body, fields_of(ty), convert)
        return f"{self._class(ty)}({''.join(f'{part}, ' for part in parts)})"

    def _variant(
        self,
        body: Body,
        ty: Variant | Option | Result,
        name: str,
        payload: Callable[[ValType], str],
    ) -> str:
        """The value of the case with the number in `name`."""
        cases = cases_of(ty)
        made = self._case_makers(ty)
        with body.block(f"if {name} >= {len(cases)}:"):
            body.line(f"invalid_discriminant({name}, {len(cases)})")
        if isinstance(ty, Variant):
            constants = self._constant_cases(ty)
            if not any(case for _, case in cases):
                return f"{constants}[{name}]"
        result = body.fresh()

        def leaf(i: int) -> None:
            case = cases[i][1]
            if case is not None:
                body.line(f"{result} = {made[i].format(payload(case))}")
            elif isinstance(ty, Variant):
                body.line(f"{result} = {constants}[{i}]")
            else:
                body.line(f"{result} = {made[i].format('')}")

        body.choose(name, len(cases), leaf)
        return result

    def _case_makers(self, ty: Variant | Option | Result) -> list[str]:
        """For each case, the expression that makes its value of the payload."""
        match ty:
            case Option(inner):
                return ["None", "Some({})" if isinstance(inner, Option) else "{}"]
            case Result():
                return ["Ok({})", "Err({})"]
            case Variant(cases):
                classes = tuple(self.unit.classes.of(ty).wit_cases.values())
                return [
                    # A default argument, for the loop goes on; its type is not inferred.
                    self.unit.shared(("case", ty, i), lambda i=i: classes[i]) + "({})"  # type: ignore[misc]
                    for i in range(len(cases))
                ]

    def _constant_cases(self, ty: Variant) -> str:
        """The name of a tuple with the values of the cases without a payload."""

        def make() -> tuple[Any, ...]:
            classes = self.unit.classes.of(ty).wit_cases.values()
            return tuple(
                made() if payload is None else None
                for made, (_, payload) in zip(classes, ty.cases, strict=True)
            )

        return self.unit.shared(("cases", ty), make)
