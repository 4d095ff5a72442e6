"""Types and values made at random, a context that is only a memory, and values as plain data."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Hashable
from typing import Any

from asyncwasm.component.types import (
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
from asyncwasm.component.values import Classes, Err, Ok, Some

HANDLES = (Own("r"), Borrow("r"))
KEYS = (Primitive.U8, Primitive.S32, Primitive.CHAR, Primitive.STRING, Primitive.BOOL)
_TEXTS = ("", "a", "plain text", "grün", "sn☃", "🍰", "aé☃🍰b", "é" * 5, "x" * 40 + "é", "☃é")
_FLOATS = (0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, 1e30, 5e-30)


class Memory:
    """As much of a core memory as the ABI looks at."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.view = memoryview(data)


class Context:
    """A memory with an allocator that keeps nothing where it was; handles are bare numbers."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.memory = Memory(bytearray(size))
        self.fuel = 1 << 40
        self.calls: list[tuple[int, int, int, int]] = []
        self.top = 8

    def realloc(self, old: int, old_size: int, alignment: int, new_size: int) -> int:
        self.calls.append((old, old_size, alignment, new_size))
        pointer = (self.top + alignment - 1) & -alignment
        self.top = pointer + new_size
        kept = min(old_size, new_size)
        self.memory.data[pointer : pointer + kept] = self.memory.data[old : old + kept]
        return pointer

    def lift_own(self, resource: Hashable, handle: int) -> Any:
        return handle

    lift_borrow = lift_own

    def lower_own(self, resource: Hashable, value: Any) -> int:
        return int(value)

    lower_borrow = lower_own


def random_type(rng: random.Random, depth: int = 3) -> ValType:
    """A type with at most `depth` levels of parts."""
    simple = [p for p in Primitive if p is not Primitive.ERROR_CONTEXT]
    if depth == 0 or rng.random() < 0.25:
        return rng.choice([*simple, *HANDLES])

    def part() -> ValType:
        return random_type(rng, depth - 1)

    def maybe() -> ValType | None:
        return part() if rng.random() < 0.6 else None

    match rng.randrange(10):
        case 0 | 1:
            return Record(tuple((f"f-{i}", part()) for i in range(rng.randint(1, 5))))
        case 2:
            return Variant(tuple((f"c-{i}", maybe()) for i in range(rng.choice((1, 2, 3, 7)))))
        case 3:
            return List(part())
        case 4:
            return List(part(), rng.choice((1, 2, 3, 9, 12)))
        case 5:
            return Tuple(tuple(part() for _ in range(rng.randint(1, 5))))
        case 6:
            count = rng.choice((1, 3, 8, 9, 17, 32))
            return Flags(tuple(f"l{i}" for i in range(count)))
        case 7:
            return Enum(tuple(f"e{i}" for i in range(rng.choice((1, 3, 256, 257)))))
        case 8:
            return Option(part()) if rng.random() < 0.5 else Result(maybe(), maybe())
        case _:
            return Map(rng.choice(KEYS), part())


def random_value(rng: random.Random, ty: ValType, classes: Classes) -> Any:
    """A value of type `ty`, as lifting would give it."""

    def value(ty: ValType) -> Any:
        return random_value(rng, ty, classes)

    match ty:
        case Primitive.BOOL:
            return rng.random() < 0.5
        case Primitive.CHAR:
            return rng.choice("aé☃🍰\x00\ud7ff\ue000\U0010ffff")
        case Primitive.STRING:
            return rng.choice(_TEXTS)
        case Primitive.F32:
            return struct.unpack("f", struct.pack("f", rng.choice(_FLOATS)))[0]
        case Primitive.F64:
            return rng.choice(_FLOATS)
        case Primitive():
            bits = int(ty.value[1:])
            low, high = (0, 2**bits - 1) if ty.value[0] == "u" else (-(2 ** (bits - 1)), 0)
            if ty.value[0] == "s":
                high = 2 ** (bits - 1) - 1
            return rng.choice((low, high, 0, 1, rng.randint(low, high)))
        case Own() | Borrow():
            return rng.randrange(100)
        case Record(fields):
            return classes.of(ty)(*(value(t) for _, t in fields))
        case Variant(cases):
            i = rng.randrange(len(cases))
            made = list(classes.of(ty).wit_cases.values())[i]
            payload = cases[i][1]
            return made() if payload is None else made(value(payload))
        case List(element, length):
            count = rng.choice((0, 1, 3)) if length is None else length
            found = [value(element) for _ in range(count)]
            return bytes(found) if element is Primitive.U8 and length is None else found
        case Tuple(types):
            return tuple(value(t) for t in types)
        case Flags(labels):
            return classes.of(ty)(rng.getrandbits(len(labels)))
        case Enum():
            return rng.choice(list(classes.of(ty)))
        case Option(inner):
            if rng.random() < 0.4:
                return None
            found = value(inner)
            return Some(found) if isinstance(inner, Option) else found
        case Result(ok, error):
            if rng.random() < 0.5:
                return Ok(None if ok is None else value(ok))
            return Err(None if error is None else value(error))
        case Map(key, item):
            return {value(key): value(item) for _ in range(rng.randrange(3))}
    raise AssertionError(ty)


def plain(ty: ValType, value: Any) -> Any:
    """A value as data that JSON has words for, and that is equal where values are the same."""
    match ty:
        case Primitive.F32 | Primitive.F64:
            return "nan" if value != value else float(value).hex()
        case Primitive() | Own() | Borrow():
            return value
        case Record(fields):
            names = type(value).wit_fields.values()
            return [plain(t, getattr(value, n)) for (_, t), n in zip(fields, names, strict=True)]
        case Tuple(types):
            return [plain(t, v) for t, v in zip(types, value, strict=True)]
        case Variant(cases):
            payload = dict(cases)[value.case]
            return [value.case, None if payload is None else plain(payload, value.value)]
        case List(element, _):
            return [plain(element, v) for v in value]
        case Flags():
            return list(value.labels)
        case Enum():
            return value.value
        case Option(inner):
            if value is None:
                return None
            return [plain(inner, value.value if isinstance(inner, Option) else value)]
        case Result(ok, error):
            label, payload = ("ok", ok) if isinstance(value, Ok) else ("error", error)
            return [label, None if payload is None else plain(payload, value.value)]
        case Map(key, item):
            return [[plain(key, k), plain(item, v)] for k, v in value.items()]
    raise AssertionError(ty)


def from_plain(ty: ValType, data: Any, classes: Classes) -> Any:
    """The value that `plain` gives `data` for."""

    def value(ty: ValType, data: Any) -> Any:
        return from_plain(ty, data, classes)

    match ty:
        case Primitive.F32 | Primitive.F64:
            return math.nan if data == "nan" else float.fromhex(data)
        case Primitive() | Own() | Borrow():
            return data
        case Record(fields):
            return classes.of(ty)(*(value(t, d) for (_, t), d in zip(fields, data, strict=True)))
        case Tuple(types):
            return tuple(value(t, d) for t, d in zip(types, data, strict=True))
        case Variant(cases):
            made, payload = classes.of(ty).wit_cases[data[0]], dict(cases)[data[0]]
            return made() if payload is None else made(value(payload, data[1]))
        case List(element, length):
            found = [value(element, d) for d in data]
            return bytes(found) if element is Primitive.U8 and length is None else found
        case Flags():
            made = classes.of(ty)
            return made(sum(1 << made.wit_labels().index(label) for label in data))
        case Enum():
            return classes.of(ty)(data)
        case Option(inner):
            if data is None:
                return None
            found = value(inner, data[0])
            return Some(found) if isinstance(inner, Option) else found
        case Result(ok, error):
            made, payload = (Ok, ok) if data[0] == "ok" else (Err, error)
            return made(None if payload is None else value(payload, data[1]))
        case Map(key, item):
            return {value(key, k): value(item, d) for k, d in data}
    raise AssertionError(ty)


def type_to_plain(ty: ValType | None) -> Any:
    """A type as data that JSON has words for."""
    match ty:
        case None:
            return None
        case Primitive():
            return ty.value
        case Record(fields):
            return ["record", [[label, type_to_plain(t)] for label, t in fields]]
        case Variant(cases):
            return ["variant", [[label, type_to_plain(t)] for label, t in cases]]
        case List(element, length):
            return ["list", type_to_plain(element), length]
        case Tuple(types):
            return ["tuple", [type_to_plain(t) for t in types]]
        case Flags(labels):
            return ["flags", len(labels)]
        case Enum(labels):
            return ["enum", len(labels)]
        case Option(inner):
            return ["option", type_to_plain(inner)]
        case Result(ok, error):
            return ["result", type_to_plain(ok), type_to_plain(error)]
        case Map(key, value):
            return ["map", type_to_plain(key), type_to_plain(value)]
        case Own():
            return ["own"]
        case Borrow():
            return ["borrow"]
    raise AssertionError(ty)


def type_from_plain(data: Any) -> Any:
    """The type that `type_to_plain` gives `data` for."""
    if data is None:
        return None
    if isinstance(data, str):
        return Primitive(data)
    made = type_from_plain
    match data:
        case ["record", fields]:
            return Record(tuple((label, made(t)) for label, t in fields))
        case ["variant", cases]:
            return Variant(tuple((label, made(t)) for label, t in cases))
        case ["list", element, length]:
            return List(made(element), length)
        case ["tuple", types]:
            return Tuple(tuple(map(made, types)))
        case ["flags", count]:
            return Flags(tuple(f"l{i}" for i in range(count)))
        case ["enum", count]:
            return Enum(tuple(f"e{i}" for i in range(count)))
        case ["option", inner]:
            return Option(made(inner))
        case ["result", ok, error]:
            return Result(made(ok), made(error))
        case ["map", key, value]:
            return Map(made(key), made(value))
        case ["own"]:
            return Own("r")
        case ["borrow"]:
            return Borrow("r")
    raise AssertionError(data)
