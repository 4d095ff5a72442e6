"""What `test_signals.py` runs, in processes of their own: signals all over calls."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import trio

from asyncwasm import Config, Engine, Func, FuncType, Instance, Memory, Module, Store
from asyncwasm.core.types import I32
from tests import child
from tests.invariants.books import assert_idle
from tests.strike import Striker, interrupt

GUEST = """
(module (import "" "host" (func $host (param i32) (result i32))) (tag $e) (memory 1)
  (func $leaf (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $e)))
    (call $host (local.get 0)))
  (func (export "short") (result i32) (call $leaf (i32.const 0)))
  (func (export "spin") (loop $l (br $l)))
  (func (export "grow") (result i32) (memory.grow (i32.const 0)))
  (func (export "long") (local $n i32)
    (loop $l
      (block $b (try_table (catch_all $b) (drop (call $leaf (local.get $n)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $l))))
"""
STRIKES = 400


def engine_of(strategy: str) -> Engine:
    if strategy == "released":
        return Engine(Config(strategy="native", release_gil=True))
    return Engine(Config(strategy=strategy))  # type: ignore[arg-type]


def made(store: Store[None]) -> Instance:
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n + 1)
    return Instance.new(store, Module(store.engine, GUEST), [host])


def function(store: Store[None], name: str) -> Func:
    found = made(store).get_func(store, name)
    assert found is not None
    return found


def calls(strategy: str, name: str, hook: str) -> None:
    """One strike in each of many calls, a little later every time."""
    striker = Striker()
    store: Store[None] = Store(engine_of(strategy))
    if hook == "hooked":
        store.call_hook(lambda store, kind: None)
    func, other = function(store, name), function(store, "short")
    for turn in range(STRIKES):
        striker.run(0.00005 + 0.000001 * turn, lambda: func.call(store))
        assert_idle(store)
    assert other.call(store) == 1


def first_calls(strategy: str) -> None:
    """Strikes while functions are made, translated and compiled, by and by."""
    striker = Striker()
    engine = engine_of(strategy)
    for _ in range(20):
        store: Store[None] = Store(engine)
        long, short = function(store, "long"), function(store, "short")
        body = partial(long.call, store)
        for turn in range(20):
            striker.run(0.0001 + 0.00002 * turn, body)
            assert_idle(store)
        assert short.call(store) == 1


def instantiation_and_growth(strategy: str) -> None:
    memories: list[Memory] = []

    def body() -> None:
        instance = Instance.new(store, module)
        memory = instance.get_memory(store, "m")
        assert memory is not None
        memory.widen()
        memories[:] = [memory]
        for _ in range(10):
            memory.grow(store, 1)

    striker = Striker()
    store: Store[None] = Store(engine_of(strategy))
    module = Module(store.engine, '(module (memory (export "m") 1) (func) (start 0))')
    for turn in range(STRIKES):
        striker.run(0.00005 + 0.000001 * turn, body)
        assert_idle(store)
        for memory in memories:
            size = memory.data_size(store)
            assert memory.view.nbytes == memory.u32.nbytes == memory.f64.nbytes == size
        if turn % 20 == 0:
            memories.clear()
            store = Store(store.engine)
            gc.collect()


def one_after_the_other(strategy: str) -> None:
    """A signal every few hundred microseconds, as they come."""
    striker = Striker()
    store: Store[None] = Store(engine_of(strategy))
    func = function(store, "long")
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    for _ in range(1000):
        striker.once(lambda: func.call(store))
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert_idle(store)


async def _calls_without_end(
    engine: Engine, stores: list[Store[None]], log: list[str], timer: threading.Timer
) -> None:
    timer.start()
    store: Store[None] = Store(engine)
    stores.append(store)

    async def host(caller: object, n: int) -> int:
        log.append("entered")
        try:
            await anyio.lowlevel.checkpoint()
            return n + 1
        finally:
            log.append("left")

    func = Func.new_async(store, FuncType((I32,), (I32,)), host)
    instance = await Instance.new_async(store, Module(store.engine, GUEST), [func])
    long = instance.get_func(store, "long")
    assert long is not None
    await long.call_async(store)


def async_calls(strategy: str, loop: str) -> None:
    engine = Engine(Config(strategy=strategy, preemption_interval=0.001))  # type: ignore[arg-type]
    anyio.run(anyio.lowlevel.checkpoint, backend=loop)  # an import struck is no fault of ours
    for turn in range(25):
        stores: list[Store[None]] = []
        log: list[str] = []
        timer = interrupt(0.005 + 0.0003 * turn)
        arguments: Any = engine, stores, log, timer
        try:
            if loop == "trio":
                trio.run(_calls_without_end, *arguments)
            else:
                asyncio.run(_calls_without_end(*arguments))
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("the call ended by itself")
        timer.join()
        assert_idle(*stores)
        assert log.count("entered") == log.count("left")


if __name__ == "__main__":
    child.main(
        calls=calls,
        first_calls=first_calls,
        instantiation_and_growth=instantiation_and_growth,
        one_after_the_other=one_after_the_other,
        async_calls=async_calls,
    )
