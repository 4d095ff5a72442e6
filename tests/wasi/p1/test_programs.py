"""Commands and reactors as modules of a linker that others import from."""

from __future__ import annotations

import pytest

from asyncwasm import Engine, Linker, Module, Store
from asyncwasm.wasi import BytesOutput, WasiCtx, p1

# Writes a digit for every time it was called.
COUNTER = """(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00" "\\00\\00\\00\\00\\00\\00\\00\\00" "0")
  (func $note
    (i32.store8 (i32.const 16) (i32.add (i32.load8_u (i32.const 16)) (i32.const 1)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "KIND") (call $note))
  (func (export "note") (call $note)))"""
USER = """(module
  (import "counter" "note" (func $note))
  (func (export "run") (call $note) (call $note) (call $note)))"""


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "written"), [("_start", b"111"), ("_initialize", b"1234")])
async def test_async(kind, written):
    """A command is instantiated anew for every call, a reactor once, and started at once."""
    engine = Engine()
    linker = Linker(engine)
    p1.add_to_linker_async(linker)
    output = BytesOutput(100)
    with WasiCtx(stdout=output) as ctx:
        store = Store(engine, ctx)
        await linker.module_async(store, "counter", Module(engine, COUNTER.replace("KIND", kind)))
        user = await linker.instantiate_async(store, Module(engine, USER))
        await user.get_func(store, "run").call_async(store)
    assert output.getvalue() == written


@pytest.mark.parametrize(("kind", "written"), [("_start", b"1111"), ("_initialize", b"1234")])
def test_sync(kind, written):
    engine = Engine()
    linker = Linker(engine)
    p1.add_to_linker_sync(linker)
    output = BytesOutput(100)
    with WasiCtx(stdout=output) as ctx:
        store = Store(engine, ctx)
        linker.module(store, "counter", Module(engine, COUNTER.replace("KIND", kind)))
        user = linker.instantiate(store, Module(engine, USER))
        user.get_func(store, "run").call(store)
        if kind == "_start":
            linker.get_default(store, "counter").call(store)
    assert output.getvalue() == written
