"""Arithmetic quiets signalling NaNs, whatever an optimiser knows of the other operand."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from asyncwasm import Config, Engine, Instance, Module, Store
from asyncwasm.core.isa import numeric

pytest.importorskip("llvmlite")

CONSTANTS = {"f32": [0, 1 << 31, 0x3F80_0000, 0xBF80_0000]}
CONSTANTS["f64"] = [0, 1 << 63, 0x3FF0_0000_0000_0000, 0xBFF0_0000_0000_0000]
SIGNALLING = {"f32": [0x7F80_0001, 0xFFA0_1234], "f64": [0x7FF0_0000_0000_0001, 0xFFF4 << 48]}
INTEGER = {"f32": "i32", "f64": "i64"}
OPERATIONS = ("add", "sub", "mul", "div", "min", "max")


def _float(ty: str, bits: int) -> str:
    return {0: "0", 1 << (31 if ty == "f32" else 63): "-0"}.get(
        bits, "1" if not bits >> (31 if ty == "f32" else 63) else "-1"
    )


def _number(ty: str, bits: int) -> int:
    return int(float(_float(ty, bits)))


# Ways in which a constant may come to be an operand, as text; {f}, {i}: the types, {b}: the bits,
# {v}: the value, {n}: it as an integer, {l}: a local, {s}: its size in bytes.
WAYS = {
    "constant": "({f}.const {v})",
    "reinterpreted": "({f}.reinterpret_{i} ({i}.const {b}))",
    "computed": "({f}.reinterpret_{i} ({i}.xor ({i}.const 12345) ({i}.xor ({i}.const {b}) "
    "({i}.const 12345))))",
    "converted": "({f}.convert_i32_s (i32.const {n}))",
    "converted from i64": "({f}.convert_i64_s (i64.const {n}))",
    "promoted or demoted": "({f}.{other} ({g}.const {v}))",
    "local": "(local.get $unset)",
    "negated local": "({f}.neg (local.get $unset))",
    "stored": "({i}.store (i32.const 0) ({i}.const {b})) ({f}.load (i32.const 0))",
    "stored by halves": "(i32.store (i32.const 0) (i32.const {low})) "
    "(i32.store (i32.const 4) (i32.const {high})) ({f}.load (i32.const 0))",
    "stored as a float": "({f}.store (i32.const 8) ({f}.reinterpret_{i} ({i}.const {b}))) "
    "({f}.load (i32.const 8))",
    "filled": "(memory.fill (i32.const 0) (i32.const 0) (i32.const 64)) ({f}.load (i32.const 0))",
    "global": "(global.set ${f} ({f}.reinterpret_{i} ({i}.const {b}))) (global.get ${f})",
    "selected": "(select ({f}.const {v}) ({f}.reinterpret_{i} ({i}.const {b})) (local.get $c))",
    "branched": "(if (result {f}) (local.get $c) (then ({f}.const {v})) "
    "(else ({f}.reinterpret_{i} ({i}.const {b}))))",
    "called": "(call $give_{f} ({f}.reinterpret_{i} ({i}.const {b})))",
    "lane": "({x}.extract_lane 1 ({x_i}.splat ({i}.const {b})))",
    "lane of a constant": "({x}.extract_lane 0 (v128.const {x_i} {lanes}))",
    "absolute": "({f}.copysign ({f}.abs ({f}.reinterpret_{i} ({i}.const {b}))) ({f}.const {v}))",
}
VECTOR_WAYS = {
    "constant": "(v128.const {x_i} {lanes})",
    "splat": "({x_i}.splat ({i}.const {b}))",
    "splat of a float": "({x}.splat ({f}.const {v}))",
    "local": "(local.get $unset_v)",
    "negated": "({x}.neg (local.get $unset_v))",
    "stored": "(v128.store (i32.const 16) (v128.const {x_i} {lanes})) (v128.load (i32.const 16))",
    "stored by lanes": "({i}.store (i32.const 16) ({i}.const {b})) "
    "(v128.load{width}_splat (i32.const 16))",
    "computed": "(v128.or (v128.const {x_i} {lanes}) (local.get $unset_v))",
    "replaced": "({x}.replace_lane 0 (v128.const {x_i} {lanes}) ({f}.const {v}))",
    "converted": "(f32x4.convert_i32x4_s (i32x4.splat (i32.const {n})))",
}


def _fields(ty: str, bits: int) -> dict[str, object]:
    lanes = 4 if ty == "f32" else 2
    width = 128 // lanes
    return {
        "f": ty, "i": INTEGER[ty], "b": bits, "v": _float(ty, bits), "n": _number(ty, bits),
        "g": "f64" if ty == "f32" else "f32",
        "other": "demote_f64" if ty == "f32" else "promote_f32",
        "low": bits & 0xFFFF_FFFF, "high": bits >> 32, "x": f"{ty}x{lanes}",
        "x_i": f"i{width}x{lanes}", "lanes": " ".join([str(bits)] * lanes), "width": width,
    }  # fmt: skip


def _module(
    ty: str, ways: dict[str, str], signature: str, given: str, call: str
) -> tuple[str, list[Any]]:
    functions, cases = [], []
    for way, text in ways.items():
        if way == "converted" and ty == "f64" and ways is VECTOR_WAYS:
            continue
        for bits in CONSTANTS[ty]:
            fields = _fields(ty, bits)
            for operation in OPERATIONS[: None if way in ("constant", "stored") else 4]:
                for constant_first in (False, True):
                    operand = text.format(**fields)
                    name = f"{way} {bits:x} {operation} {constant_first}"
                    pair = (operand, given) if constant_first else (given, operand)
                    fields |= {"operation": operation, "first": pair[0], "second": pair[1]}
                    body = call.format(**fields)
                    functions.append(
                        f'(func (export "{name}") {signature.format(**fields)} {body})'
                    )
                    cases.append((name, operation, bits, constant_first, way))
    text = f"""(module (memory 1) (global $f32 (mut f32) (f32.const 5))
      (global $f64 (mut f64) (f64.const 5))
      (func $give_f32 (param f32) (result f32) (local.get 0))
      (func $give_f64 (param f64) (result f64) (local.get 0))
      {" ".join(functions)})"""
    return text, cases


def _is_quiet(ty: str, bits: int) -> bool:
    mask = 0x7FC0_0000 if ty == "f32" else 0x7FF8 << 48
    return bits & mask == mask


@pytest.mark.slow
@pytest.mark.parametrize("ty", ["f32", "f64"])
def test_scalars(ty: str):
    text, cases = _module(
        ty,
        WAYS,
        "(param $x {i}) (param $c i32) (result {i}) (local $unset {f})",
        f"({ty}.reinterpret_{INTEGER[ty]} (local.get $x))",
        "({i}.reinterpret_{f} ({f}.{operation} {first} {second}))",
    )
    engine = Engine(Config(strategy="native", opt_level="speed"))
    store: Store[None] = Store(engine)
    instance = Instance.new(store, Module(engine, text))
    from_bits = numeric.f32_from_bits if ty == "f32" else numeric.f64_from_bits
    for name, operation, bits, constant_first, way in cases:
        if way in ("local", "filled") and bits:
            continue
        func = instance.get_func(store, name)
        assert func is not None
        for value in SIGNALLING[ty]:
            found = func.call(store, value, 1) & ((1 << (32 if ty == "f32" else 64)) - 1)
            operands = [from_bits(value), from_bits(bits)]
            wanted = numeric.REFERENCE[f"{ty}.{operation}"](
                *(reversed(operands) if constant_first else operands)
            )
            assert wanted != wanted
            assert _is_quiet(ty, found), (name, hex(found))
    assert engine.statistics().functions_interpreted == {}


@pytest.mark.slow
@pytest.mark.parametrize("ty", ["f32", "f64"])
def test_vectors(ty: str):
    text, cases = _module(
        ty,
        VECTOR_WAYS,
        "(param $x v128) (result v128) (local $unset_v v128)",
        "(local.get $x)",
        "({x}.{operation} {first} {second})",
    )
    engine = Engine(Config(strategy="native", opt_level="speed"))
    store: Store[None] = Store(engine)
    instance = Instance.new(store, Module(engine, text))
    code, lanes = ("I", 4) if ty == "f32" else ("Q", 2)
    for name, *_ in cases:
        func = instance.get_func(store, name)
        assert func is not None
        for value in SIGNALLING[ty]:
            found = func.call(store, struct.pack(f"<{lanes}{code}", *[value] * lanes))
            assert all(_is_quiet(ty, lane) for lane in struct.unpack(f"<{lanes}{code}", found)), (
                name,
                found.hex(),
            )
    assert engine.statistics().functions_interpreted == {}
