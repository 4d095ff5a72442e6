"""Suspended calls that nobody will resume are collected, with everything they hold."""

from __future__ import annotations

import asyncio
import gc
import weakref

from asyncwasm import Engine, Func, Instance, Module, Store
from asyncwasm.fiber import live_fibers

MODULE = '(module (import "host" "wait" (func $wait)) (func (export "run") (call $wait)))'


def test_a_loop_closed_with_a_call_suspended():
    """The guest's frames are on a stack that the collector cannot see into."""
    log = []
    stores = []

    async def main() -> None:
        store = Store(Engine())
        stores.append(weakref.ref(store))
        module = Module(store.engine, MODULE)
        instance = await Instance.new_async(store, module, [Func.wrap_async(store, wait)])
        try:
            await instance.get_func(store, "run").call_async(store)
        finally:
            log.append("call")

    async def wait() -> None:
        waiting.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("host")

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: log.append(context["message"]))
    waiting = asyncio.Event()
    task = loop.create_task(main())
    loop.run_until_complete(waiting.wait())
    loop.close()
    assert live_fibers() == 1
    del task
    gc.collect()
    assert sorted(log) == ["Task was destroyed but it is pending!", "call", "host"]
    assert live_fibers() == 0
    gc.collect()
    assert stores[0]() is None
