"""Arrays of every type of element, on both engines, against lists."""

from __future__ import annotations

import gc
import math
import random
import struct
import subprocess
import sys
from array import array
from typing import Any

import pytest

from asyncwasm import ArrayRef, Config, Engine, ExternRef, Instance, Module, Store, Trap
from asyncwasm.core.isa.numeric import f32_from_bits

pytest.importorskip("llvmlite")

# Type of elements, type of values, how to read, letter and size of data.
KINDS = {
    "i8": ("i32", "_u", "B", 1),
    "i16": ("i32", "_u", "H", 2),
    "i32": ("i32", "", "I", 4),
    "i64": ("i64", "", "Q", 8),
    "f32": ("f32", "", "f", 4),
    "f64": ("f64", "", "d", 8),
}
DATA = bytes(random.Random(5).randrange(256) for _ in range(64))


def module(kind: str) -> str:
    value, suffix, _, _ = KINDS[kind]
    data = "".join(f"\\{byte:02x}" for byte in DATA)
    signed = (
        """(func (export "get_s") (param (ref null $a) i32) (result i32)
        (array.get_s $a (local.get 0) (local.get 1)))"""
        if suffix
        else ""
    )
    return f"""(module
      (type $a (array (mut {kind})))
      (data $d "{data}")
      (func (export "new") (param {value} i32) (result (ref $a))
        (array.new $a (local.get 0) (local.get 1)))
      (func (export "new_default") (param i32) (result (ref $a))
        (array.new_default $a (local.get 0)))
      (func (export "new_fixed") (param {value} {value}) (result (ref $a))
        (array.new_fixed $a 3 (local.get 0) (local.get 1) (local.get 0)))
      (func (export "new_none") (result (ref $a)) (array.new_fixed $a 0))
      (func (export "new_data") (param i32 i32) (result (ref $a))
        (array.new_data $a $d (local.get 0) (local.get 1)))
      (func (export "init_data") (param (ref null $a) i32 i32 i32)
        (array.init_data $a $d (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func (export "get") (param (ref null $a) i32) (result {value})
        (array.get{suffix} $a (local.get 0) (local.get 1)))
      {signed}
      (func (export "set") (param (ref null $a) i32 {value})
        (array.set $a (local.get 0) (local.get 1) (local.get 2)))
      (func (export "fill") (param (ref null $a) i32 {value} i32)
        (array.fill $a (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func (export "copy") (param (ref null $a) i32 (ref null $a) i32 i32)
        (array.copy $a $a
          (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
      (func (export "len") (param (ref null $a)) (result i32) (array.len (local.get 0))))"""


class Guest:
    def __init__(self, text: str, strategy: str) -> None:
        self.store = Store(Engine(Config(strategy=strategy, opt_level="speed")))
        self.instance = Instance.new(self.store, Module(self.store.engine, text))

    def __call__(self, name: str, *args: Any) -> Any:
        func = self.instance.get_func(self.store, name)
        try:
            return func.call(self.store, *args)
        except Trap as trap:
            return trap.code


@pytest.fixture(params=["native", "interpreter"])
def strategy(request) -> str:
    return request.param


def bits(kind: str, value: Any) -> Any:
    """Something that is equal for equal values only, NaNs and zeros included."""
    if isinstance(value, float):
        return struct.pack("d", value)
    return value % (1 << 8 * KINDS[kind][3]) if isinstance(value, int) else value


@pytest.mark.parametrize("kind", KINDS)
def test_random_programs(kind, strategy):
    rng = random.Random(f"{kind}")
    guest = Guest(module(kind), strategy)
    value_type, suffix, letter, size = KINDS[kind]

    def value() -> Any:
        if kind == "f32":
            return f32_from_bits(rng.choice([rng.getrandbits(32), 0x7FC0_0000, 1 << 31, 0]))
        if kind == "f64":
            return rng.choice([rng.random(), math.inf, -0.0, 0.0])
        return rng.getrandbits(31 if value_type == "i32" else 63)

    def held(given: Any) -> Any:
        return bits(kind, given)

    def of_data(start: int, count: int) -> list[Any] | None:
        if start + size * count > len(DATA):
            return None
        chosen = DATA[start : start + size * count]
        if kind == "f32":
            return [held(f32_from_bits(n)) for (n,) in struct.iter_unpack("<I", chosen)]
        return [held(n) for (n,) in struct.iter_unpack(f"<{letter}", chosen)]

    zero = held(0.0 if kind[0] == "f" else 0)
    pairs: list[tuple[ArrayRef, list[Any]]] = []
    for _ in range(400):
        one, two, start = (rng.randrange(9) for _ in range(3))
        match rng.randrange(8) if pairs else 0:
            case 0:
                given = value()
                last = value()
                start *= size
                pairs = [
                    (guest("new", given, one), [held(given)] * one),
                    (guest("new_default", two), [zero] * two),
                    (guest("new_fixed", given, last), [held(given), held(last), held(given)]),
                    (guest("new_none"), []),
                ]
                expected, made = of_data(start, one), guest("new_data", start, one)
                if expected is None:
                    assert made.name == "MEMORY_OUT_OF_BOUNDS"
                else:
                    pairs.append((made, expected))
            case 1 | 2:
                array_, model = rng.choice(pairs)
                given = value()
                result = guest("set", array_, one, given)
                if one < len(model):
                    model[one] = held(given)
                else:
                    assert result.name == "ARRAY_OUT_OF_BOUNDS"
            case 3:
                array_, model = rng.choice(pairs)
                given = value()
                result = guest("fill", array_, one, given, two)
                if one + two <= len(model):
                    model[one : one + two] = [held(given)] * two
                else:
                    assert result.name == "ARRAY_OUT_OF_BOUNDS"
            case 4 | 5:
                (target, written), (source, read) = rng.choice(pairs), rng.choice(pairs)
                result = guest("copy", target, one, source, two, start)
                if one + start <= len(written) and two + start <= len(read):
                    written[one : one + start] = read[two : two + start]
                else:
                    assert result.name == "ARRAY_OUT_OF_BOUNDS"
            case 6:
                array_, model = rng.choice(pairs)
                expected = of_data(start, two)
                result = guest("init_data", array_, one, start, two)
                if one + two <= len(model) and expected is not None:
                    model[one : one + two] = expected
                else:
                    assert result.name in ("ARRAY_OUT_OF_BOUNDS", "MEMORY_OUT_OF_BOUNDS")
            case _:
                array_, model = rng.choice(pairs)
                assert guest("len", array_) == len(model) == array_.len(guest.store)
                assert [held(n) for n in array_.elems(guest.store)] == model
                if one < len(model):
                    assert held(guest("get", array_, one)) == model[one]
                    if suffix:
                        half = 1 << 8 * size - 1
                        assert guest("get_s", array_, one) == (model[one] ^ half) - half
        for array_, model in pairs:
            assert [held(n) for n in array_.elements] == model


def test_random_programs_with_references(strategy):
    """Counts included: nothing of what arrays refer to is left, or gone too early."""
    text = """(module
      (type $a (array (mut externref)))
      (elem $e externref (ref.null extern) (ref.null extern))
      (func (export "new") (param externref i32) (result (ref $a))
        (array.new $a (local.get 0) (local.get 1)))
      (func (export "new_default") (param i32) (result (ref $a))
        (array.new_default $a (local.get 0)))
      (func (export "new_fixed") (param externref externref) (result (ref $a))
        (array.new_fixed $a 3 (local.get 0) (local.get 1) (local.get 0)))
      (func (export "set") (param (ref null $a) i32 externref)
        (array.set $a (local.get 0) (local.get 1) (local.get 2)))
      (func (export "fill") (param (ref null $a) i32 externref i32)
        (array.fill $a (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func (export "clear") (param (ref null $a) i32 i32)
        (array.fill $a (local.get 0) (local.get 1) (ref.null extern) (local.get 2)))
      (func (export "copy") (param (ref null $a) i32 (ref null $a) i32 i32)
        (array.copy $a $a
          (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
      (func (export "get") (param (ref null $a) i32) (result externref)
        (array.get $a (local.get 0) (local.get 1))))"""
    guest = Guest(text, strategy)
    rng = random.Random(7)
    values = [ExternRef.new(guest.store, number) for number in range(5)]
    for value in values:
        guest("new_fixed", value, None)
    guest("copy", guest("new_default", 1), 0, guest("new_default", 1), 0, 1)
    value = None
    before = [sys.getrefcount(value) for value in values]
    gc.collect()
    nones = sys.getrefcount(None)
    pairs: list[tuple[Any, list[Any]]] = []
    for _ in range(400):
        one, two, count = (rng.randrange(6) for _ in range(3))
        value, last = rng.choice([*values, None]), rng.choice(values)
        if not pairs or rng.random() < 0.1:
            pairs = [
                (guest("new", value, one), [value] * one),
                (guest("new_default", two), [None] * two),
                (guest("new_fixed", value, last), [value, last, value]),
            ]
        (target, written), (source, read) = rng.choice(pairs), rng.choice(pairs)
        fits = one + count <= len(written)
        match rng.randrange(4):
            case 0:
                result = guest("set", target, one, value)
                if fits := one < len(written):
                    written[one] = value
            case 1:
                result = guest("fill", target, one, value, count)
                if fits:
                    written[one : one + count] = [value] * count
            case 2:
                result = guest("clear", target, one, count)
                if fits:
                    written[one : one + count] = [None] * count
            case _:
                fits = fits and two + count <= len(read)
                result = guest("copy", target, one, source, two, count)
                if fits:
                    written[one : one + count] = read[two : two + count]
        assert fits == (result is None)
        for number, item in enumerate(read):
            assert guest("get", source, number) is item
        assert target.elements == written
    pairs.clear()
    target = source = written = read = item = result = value = last = None
    gc.collect()
    assert [sys.getrefcount(value) for value in values] == before
    assert abs(sys.getrefcount(None) - nones) < 200


@pytest.mark.parametrize("kind", ["i8", "f64"])
def test_nulls_and_extremes(kind, strategy):
    guest = Guest(module(kind), strategy)
    some = guest("new_default", 4)
    value = 0 if kind == "i8" else 0.0
    for call in (
        ("get", None, 0),
        ("set", None, 0, value),
        ("fill", None, 0, value, 0),
        ("copy", None, 0, some, 0, 0),
        ("copy", some, 0, None, 0, 0),
        ("len", None),
    ):
        assert guest(*call).name == "NULL_REFERENCE"
    for call in (
        ("get", some, -1),
        ("set", some, 4, value),
        ("fill", some, -1, value, 1),
        ("fill", some, 1, value, -1),
        ("copy", some, 0, some, -1, 2),
        ("copy", some, -1, some, 0, 2),
        ("copy", some, 0, some, 0, -1),
    ):
        assert guest(*call).name == "ARRAY_OUT_OF_BOUNDS"
    for call in (("new_default", -1), ("new", value, (1 << 26) + 1)):
        assert guest(*call).name == "ALLOCATION_TOO_LARGE"
    assert guest("fill", some, 4, value, 0) is None


@pytest.mark.parametrize(("kind", "size"), [("i8", 1), ("i16", 2), ("f32", 8), ("i64", 8)])
def test_numbers_take_no_objects(kind, size, strategy):
    guest = Guest(module(kind), strategy)
    made = guest("new_default", 100_000)
    assert isinstance(made.elements, array)
    assert sys.getsizeof(made.elements) < 100_000 * size + 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a limit to go by")
def test_no_memory():
    program = """if 1:
        import resource
        from asyncwasm import *
        store = Store(Engine(Config(strategy="native")))
        module = Module(store.engine, '''(module (type $a (array i64)) (func (export "new")
            (param i32) (result (ref $a)) (array.new_default $a (local.get 0))))''')
        new = Instance.new(store, module).get_func(store, "new")
        new.call(store, 1)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 27), -1))
        try:
            new.call(store, 1 << 26)
        except Trap as trap:
            assert trap.code.name == "ALLOCATION_TOO_LARGE", trap
            new.call(store, 10)
        else:
            raise SystemExit("there was memory")
        """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
