"""Code that lowers: Python values to core values and to bytes in a memory.

See "Storing" and "Flat Lowering" in `CanonicalABI.md`.  Generated code tests for the usual form of
each value and leaves others to `accept`.  Neighbouring parts of a value go to the memory by one
`struct.Struct`, which also refuses integers that are out of range.  Nothing that is stored
depends on a `memoryview` being the newest: a memory never moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

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
from asyncwasm.component.values import Err, Ok, Some
from asyncwasm.core.isa.numeric import f32_to_bits, f64_to_bits, round_f32
from asyncwasm.core.types import NumType
from asyncwasm.errors import TrapCode

from . import accept
from .context import checked_realloc
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
from .lift import CODES, UNROLLED, UNSIGNED
from .source import Body, Unit, is_small, pad
from .strings import as_text, store_string

RANGES: Final = {
    Primitive.S8: (-(1 << 7), (1 << 7) - 1),
    Primitive.U8: (0, (1 << 8) - 1),
    Primitive.S16: (-(1 << 15), (1 << 15) - 1),
    Primitive.U16: (0, (1 << 16) - 1),
    Primitive.S32: (-(1 << 31), (1 << 31) - 1),
    Primitive.U32: (0, (1 << 32) - 1),
    Primitive.S64: (-(1 << 63), (1 << 63) - 1),
    Primitive.U64: (0, (1 << 64) - 1),
}

# Of a core value of a variant's payload, by its own type and the type in the variant.
_WIDENED: Final = {
    (NumType.F32, NumType.I32): "f32_to_bits({0})",
    (NumType.F32, NumType.I64): "f32_to_bits({0})",
    (NumType.F64, NumType.I64): "f64_to_bits({0})",
}


def as_char(value: Any) -> int:
    """The number of a character; `ValueError` for a surrogate."""
    number = ord(as_text(value))
    if 0xD800 <= number <= 0xDFFF:
        raise ValueError("surrogate")
    return number


def too_long(length: int) -> None:
    """Refuse a list that cannot be in any memory."""
    raise ValueError(f"list length of {length} too large to copy into wasm")


def namespace(options: Options) -> dict[str, Any]:
    """What generated lowering code finds by name."""
    return {
        "Err": Err,
        "Ok": Ok,
        "Some": Some,
        "as_bools": accept.as_bools,
        "as_bytes": accept.as_bytes,
        "as_case": accept.as_case,
        "as_char": as_char,
        "as_chars": accept.as_chars,
        "as_fields": accept.as_fields,
        "as_flags": accept.as_flags,
        "as_float": accept.as_float,
        "as_int": accept.as_int,
        "as_label": accept.as_label,
        "as_mapping": accept.as_mapping,
        "as_ranged": accept.as_ranged,
        "as_scalars": accept.as_scalars,
        "as_sequence": accept.as_sequence,
        "as_tuple": accept.as_tuple,
        "f32_to_bits": f32_to_bits,
        "f64_to_bits": f64_to_bits,
        "realloc_list": checked_realloc(options, TrapCode.LIST_OUT_OF_BOUNDS),
        "realloc": checked_realloc(options, TrapCode.MEMORY_OUT_OF_BOUNDS),
        "round_f32": round_f32,
        "store_string": store_string(options),
        "too_long": too_long,
        "wrong": accept.wrong,
    }


class _Run:
    """Neighbouring parts of a value in a memory, not yet stored."""

    def __init__(self, body: Body, base: str) -> None:
        self.body = body
        self.base = base
        self._slots: list[tuple[int, str, str]] = []

    def put(self, offset: int, code: str, value: str) -> None:
        """Have `value` stored at `offset`."""
        self._slots.append((offset, code, value))

    def flush(self) -> None:
        """Add the line that stores what has been put."""
        if not self._slots:
            return
        start = self._slots[0][0]
        place = f"{self.base} + {start}" if start else self.base
        if len(self._slots) == 1 and self._slots[0][1] == "B":
            self.body.line(f"view[{place}] = {self._slots[0][2]}")
        else:
            # Padding between them is zeroed, for which no guest can have any use.
            layout = pad([(at - start, code) for at, code, _ in self._slots], 0)
            values = ", ".join(value for _, _, value in self._slots)
            structure = self.body.unit.structure(layout)
            self.body.line(f"{structure}.pack_into(view, {place}, {values})")
        self._slots.clear()


class Lowerer:
    """Writes the functions that lower, for one set of options."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.pointer_size = unit.pointer_size

    def size(self, ty: ValType) -> int:
        """The size of a value in a memory."""
        return size(ty, self.pointer_size)

    def alignment(self, ty: ValType) -> int:
        """The alignment of a value in a memory."""
        return alignment(ty, self.pointer_size)

    # --- into a memory ------------------------------------------------------------------------

    def store(self, ty: ValType) -> str:
        """The name of the function `(cx, view, a, p)` that stores `a` at `p`."""

        def write(body: Body) -> None:
            run = _Run(body, "p")
            self.store_inline(body, run, ty, "a", 0, top=True)
            run.flush()

        return self.unit.function(("store", ty), ("cx", "view", "a", "p"), write)

    def store_parts(
        self, body: Body, base: str, types: tuple[ValType, ...], values: list[str]
    ) -> None:
        """Store the values of the variables `values` at `base`, laid out as in a tuple."""
        run = _Run(body, base)
        offset = 0
        for ty, value in zip(types, values, strict=True):
            offset = align_to(offset, self.alignment(ty))
            self.store_inline(body, run, ty, value, offset)
            offset += self.size(ty)
        run.flush()

    def store_inline(
        self, body: Body, run: _Run, ty: ValType, value: str, offset: int, *, top: bool = False
    ) -> None:
        """Store the value of the variable `value` at the base of `run` + `offset`."""
        match ty:
            case Primitive.STRING | Map() | List(_, None):
                pointer, length = self._range(body, ty, value)
                run.put(offset, self.unit.pointer_code, pointer)
                run.put(offset + self.pointer_size, self.unit.pointer_code, length)
            case Primitive.ERROR_CONTEXT | Own() | Borrow() | Stream() | Future():
                run.put(offset, "I", self._handle(body, ty, value))
            case Primitive():
                run.put(offset, CODES[ty], self._scalar(body, ty, value, ranges=False))
            case Enum(labels):
                code = UNSIGNED[discriminant_size(len(labels))]
                run.put(offset, code, self._enum(body, ty, value))
            case Flags(labels):
                run.put(offset, UNSIGNED[flags_size(len(labels))], self._flags(body, ty, value))
            case _ if not top and not is_small(ty):
                run.flush()
                body.line(f"{self.store(ty)}(cx, view, {value}, {run.base} + {offset})")
            case Variant() | Option() | Result():
                run.flush()
                self._store_variant(body, run, ty, value, offset)
            case List(element, length):
                assert length is not None
                if length > UNROLLED:
                    run.flush()
                    body.line(f"{self._store_fixed(ty)}(cx, view, {value}, {run.base} + {offset})")
                    return
                for part in self._unpack(body, value, length):
                    self.store_inline(body, run, element, part, offset)
                    offset += self.size(element)
            case Record() | Tuple():
                fields = fields_of(ty)
                for part, field in zip(self._fields(body, ty, value), fields, strict=True):
                    offset = align_to(offset, self.alignment(field))
                    self.store_inline(body, run, field, part, offset)
                    offset += self.size(field)

    def _store_variant(
        self,
        body: Body,
        run: _Run,
        ty: Variant | Option | Result,
        value: str,
        offset: int,
    ) -> None:
        cases = cases_of(ty)
        code = UNSIGNED[discriminant_size(len(cases))]
        payload = offset + payload_offset(cases, self.pointer_size)

        def leaf(number: int, part: str) -> None:
            own = _Run(body, run.base)
            own.put(offset, code, str(number))
            case = cases[number][1]
            if case is not None:
                self.store_inline(body, own, case, part, payload)
            own.flush()

        def constant(number: str) -> None:
            run.put(offset, code, number)

        self._choose(body, ty, value, leaf, constant)

    def _store_fixed(self, ty: List) -> str:
        """The name of the function `(cx, view, a, p)` that stores a fixed-length list."""

        def write(body: Body) -> None:
            if not self._packed(body, ty.element):
                body.line(f"a = as_tuple(a, {ty.length})")
                self._store_loop(body, ty.element)
                return
            with body.block(f"if len(data) != {self.size(ty)}:"):
                body.line("wrong()")
            body.line(f"view[p:p + {self.size(ty)}] = data")

        return self.unit.function(("store fixed", ty), ("cx", "view", "a", "p"), write)

    def store_list(self, ty: List | Map) -> str:
        """The name of the function `(cx, a)` that stores a list and gives pointer and length."""
        element = Tuple((ty.key, ty.value)) if isinstance(ty, Map) else ty.element
        unit, align = self.size(element), self.alignment(element)

        def write(body: Body) -> str:
            from_dict = isinstance(ty, Map) and not self.unit.options.adapter
            packed = not isinstance(ty, Map) and self._packed(body, element)
            if packed:
                body.line("size = len(data)")
                body.line(f"n = size // {unit}" if unit > 1 else "n = size")
            else:
                if from_dict:
                    with body.block("if a.__class__ is not dict:"):
                        body.line("a = as_mapping(a)")
                    body.line("a = a.items()")
                else:
                    with body.block("if a.__class__ is not list:"):
                        body.line("a = as_sequence(a)")
                body.line("n = len(a)")
                body.line(f"size = n * {unit}")
            if not self.unit.options.adapter:
                with body.block(f"if size > {MAX_BYTE_LENGTH}:"):
                    body.line("too_long(n)")
            body.line(f"p = start = realloc_list(cx, 0, 0, {align}, size)")
            body.line("view = cx.memory.view")
            if packed:
                body.line("view[p:p + size] = data")
            else:
                self._store_loop(body, element)
            return "start, n"

        return self.unit.function(("store list", ty), ("cx", "a"), write)

    def store_elements(self, element: ValType) -> str:
        """The name of the function `(cx, a, p)` that stores elements where there is room."""

        def write(body: Body) -> None:
            body.line("view = cx.memory.view")
            if self._packed(body, element):
                body.line("view[p:p + len(data)] = data")
            else:
                self._store_loop(body, element)

        return self.unit.function(("store elements", element), ("cx", "a", "p"), write)

    def _packed(self, body: Body, element: ValType) -> bool:
        """Add a line for the bytes of all elements of `a`, if they can be had so; whether."""
        match element:
            case Primitive.U8:
                call = "as_bytes(a)"
            case Primitive.BOOL:
                call = "as_bools(a)"
            case Primitive.CHAR:
                call = "as_chars(a)"
            case Primitive() if element not in (Primitive.STRING, Primitive.ERROR_CONTEXT):
                call = f"as_scalars(a, {CODES[element]!r})"
            case _:
                return False
        body.line(f"data = memoryview({call}).cast('B')")
        return True

    def _store_loop(self, body: Body, element: ValType) -> None:
        """Store the elements of `a` at `p`."""
        with body.block("for v in a:"):
            run = _Run(body, "p")
            self.store_inline(body, run, element, "v", 0, top=True)
            run.flush()
            body.line(f"p += {self.size(element)}")

    # --- to core values -----------------------------------------------------------------------

    def lower(self, ty: ValType) -> str:
        """The name of the function `(cx, a)` that gives a tuple of core values."""

        def write(body: Body) -> str:
            flat = self.lower_inline(body, ty, "a", top=True)
            return f"({''.join(f'{value}, ' for value in flat)})"

        return self.unit.function(("lower", ty), ("cx", "a"), write)

    def lower_inline(self, body: Body, ty: ValType, value: str, *, top: bool = False) -> list[str]:
        """Expressions for the core values of the value of the variable `value`."""
        match ty:
            case Primitive.STRING | Map() | List(_, None):
                return list(self._range(body, ty, value))
            case Primitive.ERROR_CONTEXT | Own() | Borrow() | Stream() | Future():
                return [self._handle(body, ty, value)]
            case Primitive():
                number = self._scalar(body, ty, value, ranges=True)
                if ty in (Primitive.S8, Primitive.S16, Primitive.S32):
                    number += " & 4294967295"
                elif ty is Primitive.S64:
                    number += " & 18446744073709551615"
                return [number]
            case Enum():
                return [self._enum(body, ty, value)]
            case Flags():
                return [self._flags(body, ty, value)]
            case _ if not top and not is_small(ty):
                flat = [body.fresh() for _ in flatten(ty, self.unit.options.pointer_type)]
                body.line(f"{''.join(f'{v}, ' for v in flat)}= {self.lower(ty)}(cx, {value})")
                return flat
            case Variant() | Option() | Result():
                return self._lower_variant(body, ty, value)
            case List(element, length):
                assert length is not None
                parts = [(part, element) for part in self._unpack(body, value, length)]
            case Record() | Tuple():
                parts = list(zip(self._fields(body, ty, value), fields_of(ty), strict=True))
        return [v for part, field in parts for v in self.lower_inline(body, field, part)]

    def _lower_variant(self, body: Body, ty: Variant | Option | Result, value: str) -> list[str]:
        cases = cases_of(ty)
        shared = flatten(ty, self.unit.options.pointer_type)
        flat = [body.fresh() for _ in shared]
        number_name, rest = flat[0], flat[1:]
        for name, core in zip(rest, shared[1:], strict=True):
            body.line(f"{name} = {0 if core in (NumType.I32, NumType.I64) else 0.0}")

        def leaf(number: int, part: str) -> None:
            body.line(f"{number_name} = {number}")
            case = cases[number][1]
            if case is None:
                return
            own = flatten(case, self.unit.options.pointer_type)
            values = self.lower_inline(body, case, part)
            for name, have, want, v in zip(rest, own, shared[1:], values, strict=False):
                wide = _WIDENED.get((have, want), "{0}") if have is not want else "{0}"
                body.line(f"{name} = {wide.format(v)}")

        def constant(number: str) -> None:
            body.line(f"{number_name} = {number}")

        self._choose(body, ty, value, leaf, constant)
        return flat

    # --- both ---------------------------------------------------------------------------------

    def _scalar(self, body: Body, ty: Primitive, value: str, *, ranges: bool) -> str:
        """The number for a value without a pointer; integers in range where `ranges`."""
        match ty:
            case Primitive.BOOL:
                with body.block(f"if {value} is not True and {value} is not False:"):
                    body.line("wrong()")
                return f"+{value}" if ranges else value
            case Primitive.F32 | Primitive.F64:
                with body.block(f"if {value}.__class__ is not float:"):
                    body.line(f"{value} = as_float({value})")
                return value if ty is Primitive.F64 else body.assign(f"round_f32({value})")
            case Primitive.CHAR:
                return body.assign(f"as_char({value})")
        if ranges:
            low, high = RANGES[ty]
            test = f"{value}.__class__ is not int or not {low} <= {value} <= {high}"
            with body.block(f"if {test}:"):
                body.line(f"{value} = as_ranged({value}, {low}, {high})")
        else:
            with body.block(f"if {value}.__class__ is not int:"):
                body.line(f"{value} = as_int({value})")
        return value

    def _range(self, body: Body, ty: ValType, value: str) -> tuple[str, str]:
        """The pointer and the length of what has been stored elsewhere."""
        pointer, length = body.fresh(), body.fresh()
        store = self.store_list(ty) if isinstance(ty, List | Map) else "store_string"
        body.line(f"{pointer}, {length} = {store}(cx, {value})")
        return pointer, length

    def _handle(self, body: Body, ty: ValType, value: str) -> str:
        match ty:
            case Own(resource):
                call = f"cx.lower_own({self._constant(resource)}, {value})"
            case Borrow(resource):
                call = f"cx.lower_borrow({self._constant(resource)}, {value})"
            case Stream(element):
                call = f"cx.lower_stream({self._constant(element)}, {value})"
            case Future(element):
                call = f"cx.lower_future({self._constant(element)}, {value})"
            case _:
                call = f"cx.lower_error_context({value})"
        return body.assign(call)

    def _constant(self, value: object) -> str:
        return self.unit.shared(("constant", value), lambda: value)

    def _enum(self, body: Body, ty: Enum, value: str) -> str:
        def make() -> dict[Any, int]:
            members = self.unit.classes.of(ty)
            both = [*enumerate(members), *enumerate(ty.labels)]
            return {name: i for i, name in both}

        numbers = self.unit.shared(("numbers", ty), make)
        number = body.assign(f"{numbers}.get({value})")
        with body.block(f"if {number} is None:"):
            body.line(f"{number} = {numbers}[as_label({value})]")
        return number

    def _flags(self, body: Body, ty: Flags, value: str) -> str:
        made = self.unit.shared(("class", ty), lambda: self.unit.classes.of(ty))
        bits = self.unit.shared(
            ("bits", ty), lambda: {label: 1 << i for i, label in enumerate(ty.labels)}
        )
        test = f"{value}.__class__ is {made}"
        return body.assign(f"{value}._value_ if {test} else as_flags({value}, {bits})")

    def _fields(self, body: Body, ty: Record | Tuple, value: str) -> list[str]:
        """Variables with the fields of the value."""
        if isinstance(ty, Tuple):
            return self._unpack(body, value, len(ty.types))
        parts = [body.fresh() for _ in ty.fields]
        made = self.unit.classes.of(ty)
        name = self.unit.shared(("class", ty), lambda: made)
        fields = self.unit.shared(("fields", ty), lambda: made.wit_fields)
        with body.block(f"if {value}.__class__ is {name}:"):
            for part, attribute in zip(parts, made.wit_fields.values(), strict=True):
                body.line(f"{part} = {value}.{attribute}")
        with body.block("else:"):
            body.line(f"{''.join(f'{part}, ' for part in parts)}= as_fields({value}, {fields})")
        return parts

    def _unpack(self, body: Body, value: str, count: int) -> list[str]:
        """Variables with the elements of a sequence of `count`."""
        with body.block(f"if {value}.__class__ is not tuple:"):
            body.line(f"{value} = as_tuple({value}, {count})")
        parts = [body.fresh() for _ in range(count)]
        body.line(f"{''.join(f'{part}, ' for part in parts)}= {value}")
        return parts

    def _choose(
        self,
        body: Body,
        ty: Variant | Option | Result,
        value: str,
        leaf: Callable[[int, str], None],
        constant: Callable[[str], None],
    ) -> None:
        """Add the lines of `leaf(i, payload)` for the case that the value is.

        Where no case has a payload those of `constant(number)` will do.
        """
        part = body.fresh()
        match ty:
            case Option(inner):
                with body.block(f"if {value} is None:"):
                    leaf(0, value)
                if isinstance(inner, Option):
                    with body.block(f"elif {value}.__class__ is Some:"):
                        body.line(f"{part} = {value}.value")
                        leaf(1, part)
                    with body.block("else:"):
                        body.line("wrong()")
                else:
                    with body.block("else:"):
                        test = f"{value}.__class__ is Some"
                        body.line(f"{part} = {value}.value if {test} else {value}")
                        leaf(1, part)
            case Result(ok, error):
                for i, (made, payload) in enumerate((("Ok", ok), ("Err", error))):
                    with body.block(f"{'elif' if i else 'if'} {value}.__class__ is {made}:"):
                        body.line(f"{part} = {value}.value")
                        if payload is None:
                            with body.block(f"if {part} is not None:"):
                                body.line("wrong()")
                        leaf(i, part)
                with body.block("else:"):
                    body.line("wrong()")
            case Variant(cases):
                self._choose_case(body, ty, value, part)
                if any(payload for _, payload in cases):
                    body.choose(f"n{part}", len(cases), lambda i: leaf(i, part))
                else:
                    constant(f"n{part}")

    def _choose_case(self, body: Body, ty: Variant, value: str, part: str) -> None:
        """Set `part` to the payload of a variant and `n` + `part` to the number of its case."""

        def make() -> tuple[dict[Any, int], dict[str, int], tuple[bool, ...]]:
            classes = self.unit.classes.of(ty).wit_cases
            return (
                {made: i for i, made in enumerate(classes.values())},
                {label: i for i, label in enumerate(classes)},
                tuple(payload is not None for _, payload in ty.cases),
            )

        tables = make()
        numbers = self.unit.shared(("case numbers", ty), lambda: tables[0])
        labels = self.unit.shared(("case labels", ty), lambda: tables[1])
        payloads = self.unit.shared(("case payloads", ty), lambda: tables[2])
        number = f"n{part}"
        body.line(f"{number} = {numbers}.get({value}.__class__)")
        with body.block(f"if {number} is None:"):
            body.line(f"{number}, {part} = as_case({value}, {labels}, {payloads})")
        with body.block(f"elif {payloads}[{number}]:"):
            body.line(f"{part} = {value}.value")
