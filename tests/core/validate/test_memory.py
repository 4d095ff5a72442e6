"""Rules of memory, table, vector and atomic instructions, and of tables of the rows."""

from __future__ import annotations

import pytest

from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.types import NumType
from tests.core.binary import build as b
from tests.core.validate.check import accept, reject
from tests.core.validate.test_features import instruction

PREAMBLE = """
  (memory $m32 1) (memory $m64 i64 1)
  (table $t32 1 funcref) (table $t64 i64 1 funcref) (table $x 1 externref)
  (elem $e func) (data $d "")
"""

CODES: list[tuple[str, str | None]] = [
    ("(drop (i32.load $m64 (i64.const 0)))", None),
    ("(drop (i32.load $m64 (i32.const 0)))", "expected i64, found i32"),
    ("(drop (i32.load $m32 (i64.const 0)))", "expected i32, found i64"),
    ("(drop (i32.load 2 (i32.const 0)))", "unknown memory 2"),
    ("(drop (i32.load $m64 offset=0xffffffffffffffff (i64.const 0)))", None),
    ("(drop (i32.load align=4 (i32.const 0)))", None),
    ("(drop (i32.load align=8 (i32.const 0)))", "alignment must not be larger than natural"),
    ("(drop (i32.load8_u align=1 (i32.const 0)))", None),
    ("(i64.store16 align=4 (i32.const 0) (i64.const 0))", "alignment must not be larger"),
    ("(i64.store $m64 (i64.const 0) (i32.const 0))", "expected i64, found i32"),
    ("(drop (memory.size $m64)) (drop (memory.size))", None),
    ("(i64.eqz (memory.size $m64)) (drop)", None),
    ("(drop (memory.grow $m64 (i32.const 0)))", "expected i64, found i32"),
    ("(memory.fill $m64 (i64.const 0) (i32.const 0) (i64.const 0))", None),
    ("(memory.fill $m64 (i64.const 0) (i64.const 0) (i64.const 0))", "expected i32, found i64"),
    ("(memory.copy $m64 $m32 (i64.const 0) (i32.const 0) (i32.const 0))", None),
    ("(memory.copy $m64 $m64 (i64.const 0) (i64.const 0) (i64.const 0))", None),
    ("(memory.copy $m64 $m64 (i64.const 0) (i64.const 0) (i32.const 0))", "expected i64"),
    ("(memory.init $m64 $d (i64.const 0) (i32.const 0) (i32.const 0))", None),
    ("(memory.init $m32 9 (i32.const 0) (i32.const 0) (i32.const 0))", "unknown data segment 9"),
    ("(data.drop 1)", "unknown data segment 1"),
    ("(elem.drop 1)", "unknown elem segment 1"),
    ("(drop (table.get $t64 (i64.const 0)))", None),
    ("(table.set $x (i32.const 0) (ref.null extern))", None),
    ("(table.set $x (i32.const 0) (ref.null func))", "expected externref, found funcref"),
    ("(drop (table.grow $t64 (ref.null func) (i64.const 1)))", None),
    ("(drop (table.grow $t64 (ref.null func) (i32.const 1)))", "expected i64, found i32"),
    ("(table.fill $t64 (i64.const 0) (ref.null func) (i64.const 0))", None),
    ("(table.copy $t64 $t32 (i64.const 0) (i32.const 0) (i32.const 0))", None),
    ("(table.copy $t32 $x (i32.const 0) (i32.const 0) (i32.const 0))", "expected funcref"),
    ("(table.init $t64 $e (i64.const 0) (i32.const 0) (i32.const 0))", None),
    ("(table.init $x $e (i32.const 0) (i32.const 0) (i32.const 0))", "expected externref"),
    ("(drop (table.size 3))", "unknown table 3"),
    ("(drop (v128.load8_lane 15 (i32.const 0) (v128.const i64x2 0 0)))", None),
    ("(drop (i32x4.extract_lane 3 (v128.const i64x2 0 0)))", None),
    ("(drop (i32.atomic.load (i32.const 0)))", None),
    ("(drop (i32.atomic.load align=2 (i32.const 0)))", "alignment must be natural"),
    ("(drop (i64.atomic.rmw.add $m64 (i64.const 0) (i64.const 1)))", None),
    ("(atomic.fence)", None),
]


@pytest.mark.parametrize(("code", "message"), CODES)
def test_code(code: str, message: str | None):
    text = f"(module {PREAMBLE} (func {code}))"
    if message is None:
        accept(text)
    else:
        reject(text, message)


def test_offsets_fit_the_address():
    memory = b.section(b.MEMORY, b"\0\x01")
    for offset, valid in ((0xFFFF_FFFF, True), (1 << 32, False)):
        data = b.module(
            b.section(b.TYPE, b.func_type()),
            b.section(b.FUNC, b"\0"),
            memory,
            b.section(b.CODE, b.body(b"\x41\0\x28\x02" + b.u(offset) + b"\x1a")),
        )
        if valid:
            accept(data)
        else:
            reject(data, "offset out of range")


@pytest.mark.parametrize("offset", [0, 127, 128, 1 << 14, 1 << 21, 1 << 28])
def test_offsets_of_any_length(offset: int):
    accept(
        f"(module (memory 1) (func (i64.store offset={offset} (i32.const 0)"
        f" (i64.load offset={offset} (i32.const 0)))))"
    )


def test_an_instruction_without_memory():
    reject("(module (func (drop (i32.load (i32.const 0)))))", "unknown memory 0")
    reject("(module (func (drop (memory.size))))", "unknown memory 0")


LANES = [row for row in TABLE if row.lanes]


@pytest.mark.parametrize("row", LANES, ids=lambda row: row.name)
def test_lanes_are_in_range(row: Row):
    """Made up operands, so that only the lane decides."""
    memory = b.section(b.MEMORY, b"\0\x01")
    for lane, valid in ((0, True), (row.lanes - 1, True), (row.lanes, False)):
        code = b"\0" + instruction(row)[:-1] + bytes((lane,)) + b"\0"
        data = b.module(
            b.section(b.TYPE, b.func_type()),
            b.section(b.FUNC, b"\0"),
            memory,
            b.section(b.CODE, b.body(code)),
        )
        if valid:
            accept(data)
        else:
            reject(data, f"invalid lane index {lane}")


def test_shuffles_name_32_lanes():
    def shuffle(lane: int) -> bytes:
        return b.function(b"\0\xfd\x0d" + bytes(15) + bytes((lane,)) + b"\0")

    accept(shuffle(31))
    reject(shuffle(32), "invalid lane index 32")


PLAIN = [row for row in TABLE if row.params is not None and "addr" not in row.params]
CODES_OF = {"i32": b.I32, "i64": b.I64, "f32": b.F32, "f64": b.F64, "v128": b.V128}


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row.name)
def test_stack_effects_are_those_of_the_row(row: Row):
    """Its operands as parameters, its results as results; and no other types."""
    assert row.params is not None
    assert row.results is not None
    if row.results == ("addr",) or row.name.endswith(".drop"):
        return  # Needs a memory or a segment.
    params = [CODES_OF[name] for name in row.params]
    results = [CODES_OF[name] for name in row.results]
    code = b"".join(b"\x20" + b.u(index) for index in range(len(params))) + instruction(row)
    accept(b.function(code, params, results))
    wrong = b.I64 if b.I64 not in params else b.F32
    for index in range(len(params)):
        changed = [*params]
        changed[index] = wrong if params[index] != wrong else b.I32
        message = f"expected {row.params[index]}, found"
        reject(b.function(code, changed, results), message)
    if results:
        reject(b.function(code, params, []), "values remain")


def test_number_types_are_all_tested():
    assert CODES_OF.keys() == {ty.value for ty in NumType}
