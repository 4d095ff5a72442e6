"""Atomic instructions as machine code."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from asyncwasm.core.isa.table import TABLE

pytest.importorskip("llvmlite")
pytest.importorskip("wasmtime")

from tests.core.exec.interp.compare import Theirs
from tests.core.exec.native.harness import Ours

ACCESSES = [
    row
    for row in TABLE
    if row.family == "atomic" and row.name != "atomic.fence" and ".wait" not in row.name
]
ADDRESSES = [0, 1, 2, 4, 8, 65528, 65532, 65534, 65535, 65536, 65537, 65544, -1, -8]
VALUE = 0x8182_8384_8586_8788


def _agree(wat: str, calls: list[tuple[Any, ...]], other: Any) -> None:
    ours = Ours(wat)
    for call in calls:
        found, expected = ours(*call), other(*call)
        assert found == expected, call
    ours.check_native()


@pytest.mark.parametrize("offset", [0, 1, 65528, 4294967288])
@pytest.mark.parametrize(("index", "shared"), [("i32", ""), ("i32", "shared"), ("i64", "shared")])
def test_accesses_agree_with_the_interpreter(index: str, shared: str, offset: int) -> None:
    """Alignment is checked before bounds, and narrow operands are cut to size."""
    arms, calls = [], []
    for number, row in enumerate(ACCESSES):
        assert row.params is not None
        values = row.params[1:]
        operands = [
            f"(local.get {n})" if ty == "i64" else f"(i32.wrap_i64 (local.get {n}))"
            for n, ty in enumerate(values, 2)
        ]
        text = f"({row.name} offset={offset} (local.get 0) {' '.join(operands)})"
        if row.results:
            text = f"(i64.extend_i32_u {text})" if row.results[0] == "i32" else text
            text = f"(local.set $r {text})"
        arms.append(f"(if (i32.eq (local.get 1) (i32.const {number})) (then {text}))")
        seen = VALUE & (1 << (8 << row.natural_align)) - 1
        for address in ADDRESSES:
            for given in [(0x7F7F_7F7F, 0x1234_5678), (seen, -2), (seen | 0xFF << 56, 5)]:
                calls += [
                    ("set", address, VALUE - (1 << 64)),
                    ("run", address, number, *given),
                    ("get", address),
                ]
    wat = f"""(module (memory {index} 1 1 {shared})
      (func (export "set") (param {index} i64)
        (i64.store offset={offset} (local.get 0) (local.get 1)))
      (func (export "get") (param {index}) (result i64) (i64.load offset={offset} (local.get 0)))
      (func (export "run") (param {index} i32 i64 i64) (result i64) (local $r i64)
        {" ".join(arms)} (local.get $r)))"""
    _agree(wat, calls, Ours(wat, "interpreter"))


@pytest.mark.parametrize("shared", ["", "shared"])
def test_waiting_agrees_with_wasmtime(shared: str) -> None:
    """Mismatches, time-outs, bad addresses, and memories nobody can wait on."""
    calls: list[tuple[Any, ...]] = [
        (wait, address, expected, timeout)
        for wait in ("wait32", "wait64")
        for address in (0, 4, 2, 65532, 65536, 65537)
        for expected, timeout in ((1, -1), (1, 0), (0, 0), (0, 1000), (0, 1_000_000))
    ]
    wat = f"""(module (memory 1 1 {shared})
      (func (export "wait32") (param i32 i32 i64) (result i32)
        (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
      (func (export "wait64") (param i32 i64 i64) (result i32)
        (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
      (func (export "fence") (atomic.fence)))"""
    _agree(wat, [*calls, ("fence",)], Theirs(wat))


def test_a_thread_is_woken_by_another() -> None:
    """Both in native code, in two instances that share a memory."""
    wat = """(module (memory 1 1 shared)
      (func (export "wait") (param i32) (result i32)
        (memory.atomic.wait32 offset=8 (local.get 0) (i32.const 0) (i64.const 20000000000)))
      (func (export "notify") (param i32) (result i32)
        (memory.atomic.notify offset=8 (local.get 0) (i32.const 1))))"""
    waiter = Ours(wat)
    imported = wat.replace("(memory ", '(memory (import "m" "m") ', 1)
    notifier = Ours(imported, engine=waiter.engine, imports=[waiter.memory])
    waiter.store.release_thread()
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(waiter("wait", 16)))
    thread.start()
    while thread.is_alive() and not notifier("notify", 16):
        thread.join(0.001)
    thread.join()
    assert outcome == [0]
    waiter.check_native()


@pytest.mark.anyio
async def test_a_task_waits_while_another_notifies() -> None:
    """The wait suspends native frames; the loop goes on."""
    wat = """(module (memory 1 1 shared)
      (func $wait (param i32) (result i32)
        (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 20000000000)))
      (func (export "wait") (param i32) (result i32)
        (i32.add (call $wait (local.get 0)) (i32.const 40)))
      (func (export "notify") (param i32) (result i32)
        (memory.atomic.notify (local.get 0) (i32.const 7))))"""
    waiter = Ours(wat)
    imported = wat.replace("(memory ", '(memory (import "m" "m") ', 1)
    notifier = Ours(imported, engine=waiter.engine, imports=[waiter.memory])
    outcome: list[Any] = []

    async def wait() -> None:
        func: Any = waiter.instance.get_func(waiter.store, "wait")
        outcome.append(await func.call_async(waiter.store, 8))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        while not notifier("notify", 8):  # noqa: ASYNC110 - there is no event for a wait
            await anyio.sleep(0.001)
    assert outcome == [40]
    waiter.check_native()
