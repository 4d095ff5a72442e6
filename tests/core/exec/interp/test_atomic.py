"""Atomic instructions through the interpreter."""

from __future__ import annotations

import pytest

from asyncwasm.core.isa.table import TABLE

pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import agree

ACCESSES = [
    row
    for row in TABLE
    if row.family == "atomic" and row.name != "atomic.fence" and ".wait" not in row.name
]
ADDRESSES = [0, 1, 2, 4, 8, 65528, 65532, 65534, 65535, 65536, 65537, 65544, -1, -8]

VALUE = 0x8182_8384_8586_8788


@pytest.mark.parametrize("offset", [0, 1, 8, 65528, 4294967288])
@pytest.mark.parametrize("shared", ["", "shared"])
def test_accesses_agree_with_wasmtime(shared, offset):
    """Alignment is checked before bounds, and narrow operands are cut to size."""
    functions, calls = [], []
    for row in ACCESSES:
        values = row.params[1:]
        params = "".join(f" (param {type})" for type in values)
        results = "".join(f" (result {type})" for type in row.results)
        operands = "".join(f" (local.get {i + 1})" for i in range(len(values)))
        functions.append(
            f'(func (export "{row.name}") (param i32){params}{results}'
            f" ({row.name} offset={offset} (local.get 0){operands}))"
        )
        for address in ADDRESSES:
            width = 1 << row.natural_align
            effective = (address & 0xFFFF_FFFF) + offset
            if row.name == "memory.atomic.notify" and effective >> 32 and effective & 3:
                continue  # both a bad alignment and out of bounds; Wasmtime says the latter
            seen = VALUE & (1 << 8 * width) - 1
            if f"i{8 * width}" in values:
                seen -= 1 << 8 * width
            for given in [(0x7F7F_7F7F, 0x1234_5678), (seen, -2)]:
                reset = ("set", address, VALUE - (1 << 64))
                calls += [reset, (row.name, address, *given[: len(values)]), ("get", address)]
    agree(
        f"""(module (memory 1 1 {shared})
          (func (export "set") (param i32 i64)
            (i64.store offset={offset} (local.get 0) (local.get 1)))
          (func (export "get") (param i32) (result i64) (i64.load offset={offset} (local.get 0)))
          {" ".join(functions)})""",
        calls,
    )


@pytest.mark.parametrize("shared", ["", "shared"])
def test_waiting_agrees_with_wasmtime(shared):
    """Mismatches, time-outs, bad addresses, and memories nobody can wait on."""
    calls = [
        (wait, address, expected, timeout)
        for wait in ("wait32", "wait64")
        for address in (0, 4, 2, 65532, 65536, 65537)
        for expected, timeout in ((1, -1), (1, 0), (0, 0), (0, 1000), (0, 1_000_000))
    ]
    agree(
        f"""(module (memory 1 1 {shared})
          (func (export "wait32") (param i32 i32 i64) (result i32)
            (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
          (func (export "wait64") (param i32 i64 i64) (result i32)
            (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
          (func (export "fence") (atomic.fence)))""",
        [*calls, ("fence",)],
    )
