"""Vector instructions through the interpreter."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from asyncwasm.core.isa import simd
from asyncwasm.core.isa.table import TABLE

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import Ours, agree

SIMD = [row for row in TABLE if row.family == "simd"]
MEMORY = [row for row in TABLE if row.family == "simd_memory"]

VECTORS = [
    bytes(range(16)),
    bytes(range(255, 239, -1)),
    bytes.fromhex("7f800000 80ff7f7f 0000c07f 010080ff"),
    bytes.fromhex("000000000000f03f 0000c03f0000807f"),
]
VALUES: dict[str, list[Any]] = {
    "v128": VECTORS,
    "i32": [0, 1, 9, 0x80, 0xFFFF_FFFF, 0x1234_5678],
    "i64": [0, 0xFFFF_FFFF_FFFF_FFFF, 0x1234_5678_9ABC_DEF0],
    "f32": [0.0, -1.5, float("inf")],
    "f64": [-0.0, 1e300, float("inf")],
}


def test_every_row_computes_what_its_reference_function_does():
    """One function per row and lane, with operands that are not constants."""
    functions, expected = [], []
    for row in SIMD:
        lanes = range(row.lanes) if row.immediates == ("lane",) else [None]
        for lane in lanes:
            text, values = "" if lane is None else str(lane), () if lane is None else (lane,)
            if row.immediates == ("lanes16",):
                text, values = "0 31 16 15 3 3 30 1 2 17 18 29 7 8 9 10", ()
                values = (bytes(map(int, text.split())),)
            name = f"{row.name} {text}"
            params = "".join(f" (param {type})" for type in row.params)
            operands = "".join(f" (local.get {i})" for i in range(len(row.params)))
            functions.append(
                f'(func (export "{name}"){params} (result {row.results[0]})'
                f" ({row.name} {text}{operands}))"
            )
            expected.append((name, row, values))
    ours = Ours(f"(module {' '.join(functions)})")
    for name, row, values in expected:
        operands = list(itertools.product(*(VALUES[type] for type in row.params)))
        for given in operands[:: max(1, len(operands) // 5)]:
            bits = {"i32": 32, "i64": 64}.get(row.results[0])
            found = ours(name, *given)
            if bits:
                found &= (1 << bits) - 1
            wanted = simd.REFERENCE[row.name](*given, *values)
            assert repr(found) == repr(wanted), (name, given)


ADDRESSES = [0, 1, 7, 100, 65519, 65520, 65521, 65527, 65528, 65531, 65532, 65535, 65536, -1]
LOW = "(i64x2.extract_lane 0 (local.get $v))"
HIGH = "(i64x2.extract_lane 1 (local.get $v))"


@pytest.mark.parametrize("offset", ["", "offset=5", "offset=4294967295"])
@pytest.mark.parametrize("index", ["i32", "i64"])
def test_memory_accesses_agree_with_wasmtime(index, offset):
    """Every load and store, every lane, at addresses around the end of the memory."""
    functions, calls = [], []
    for row in MEMORY:
        for lane in range(row.lanes or 1):
            immediate = str(lane) if row.lanes else ""
            name = f"{row.name} {immediate}"
            vector = "(v128.const i64x2 0x0102030405060708 0x1112131415161718)"
            access = f"{row.name} {offset} {immediate} (local.get 0)"
            if row.results:
                operand = vector if len(row.params) == 2 else ""
                body = f"(local.set $v ({access} {operand})) {LOW} {HIGH}"
                results = "(result i64 i64)"
            else:
                body, results = f"({access} {vector})", ""
            functions.append(
                f'(func (export "{name}") (param {index}) {results} (local $v v128) {body})'
            )
            calls += [(name, address) for address in ADDRESSES]
            if not row.results:
                calls += [("peek", address) for address in (0, 4, 5, 13, 21, 65520, 65528)]
    data = "".join(f"\\{(i * 37 + 129) % 256:02x}" for i in range(256))
    agree(
        f"""(module (memory {index} 1)
          (data ({index}.const 0) "{data}") (data ({index}.const 65280) "{data}")
          (func (export "peek") (param {index}) (result i64) (i64.load (local.get 0)))
          {" ".join(functions)})""",
        calls,
    )


def test_constants_keep_their_bytes():
    """Text with braces, quotes and control characters in its `repr` included."""
    value = b"{0}'\"\\\x00\x01\x02\n\r{}%s}"
    assert len(value) == 16
    lanes = " ".join(map(str, value))
    ours = Ours(
        f"""(module (func (export "f") (result v128) (v128.const i8x16 {lanes}))
          (func (export "g") (param v128) (result v128)
            (i8x16.shuffle 1 1 2 2 3 3 4 4 10 10 11 11 12 12 13 31
              (v128.const i8x16 {lanes}) (local.get 0)))
          (memory 1)
          (func (export "h") (param i32) (result v128)
            (v128.load8_lane 3 (local.get 0) (v128.const i8x16 {lanes}))))"""
    )
    assert ours("f") == value
    shuffle = bytes([1, 1, 2, 2, 3, 3, 4, 4, 10, 10, 11, 11, 12, 12, 13, 31])
    assert ours("g", bytes(16)) == simd.i8x16_shuffle(value, bytes(16), shuffle)
    assert ours("h", 0) == value[:3] + b"\0" + value[4:]
