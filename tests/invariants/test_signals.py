"""Ctrl-C, wherever in a call it strikes: it comes out, the guest ends, the books are right.

Signal handlers raise between any two steps of Python code, also where a call begins or ends.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import Config, Engine, Func, FuncType, Instance, Memory, Module, Store
from asyncwasm.core.types import I32
from tests.invariants.books import assert_idle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers"),
]

GUEST = """
(module (import "" "host" (func $host (param i32) (result i32))) (tag $e) (memory 1)
  (func $leaf (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $e)))
    (call $host (local.get 0)))
  (func (export "short") (result i32) (call $leaf (i32.const 0)))
  (func (export "grow") (result i32) (memory.grow (i32.const 0)))
  (func (export "long") (local $n i32)
    (loop $l
      (block $b (try_table (catch_all $b) (drop (call $leaf (local.get $n)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $l))))
"""
STRIKES = 400


class Striker:
    """Raises KeyboardInterrupt from a signal handler while `run` calls something."""

    def __init__(self) -> None:
        self.armed = False

    def handle(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def run(self, after: float, body: Callable[[], object]) -> bool:
        """Call `body` over and over until it is struck so many seconds later."""
        # Again and again, for the interpreter may overlook a signal.
        signal.setitimer(signal.ITIMER_REAL, after, 0.02)
        try:
            self.armed = True
            while True:
                body()
        except KeyboardInterrupt:
            return True
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def striker() -> Iterator[Striker]:
    found = Striker()
    previous = signal.signal(signal.SIGALRM, found.handle)
    gc.disable()  # what is raised in the callbacks that test tools give it is lost
    yield found
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.enable()
    signal.signal(signal.SIGALRM, previous)


def made(store: Store[None]) -> Instance:
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n + 1)
    return Instance.new(store, Module(store.engine, GUEST), [host])


@pytest.mark.parametrize("hook", [False, True], ids=["plain", "call hook"])
@pytest.mark.parametrize("name", ["short", "grow", "long"])
def test_sync_calls(striker, name, hook):
    store: Store[None] = Store(Engine())
    instance = made(store)
    if hook:
        store.call_hook(lambda store, kind: None)
    func, other = instance.get_func(store, name), instance.get_func(store, "short")
    assert func is not None
    assert other is not None
    for turn in range(STRIKES):
        assert striker.run(0.00005 + 0.000001 * turn, lambda: func.call(store))
        assert_idle(store)
    assert other.call(store) == 1


def test_sync_instantiation_and_growth(striker):
    memories: list[Memory] = []

    def body() -> None:
        instance = Instance.new(store, module)
        memory = instance.get_memory(store, "m")
        assert memory is not None
        memories[:] = [memory]
        for _ in range(10):
            memory.grow(store, 1)

    store: Store[None] = Store(Engine())
    module = Module(store.engine, '(module (memory (export "m") 1) (func) (start 0))')
    for turn in range(STRIKES):
        assert striker.run(0.00005 + 0.000001 * turn, body)
        assert_idle(store)
        for memory in memories:
            assert_whole(store, memory)
        if turn % 20 == 0:
            memories.clear()
            store = Store(store.engine)
            gc.collect()


def assert_whole(store: Store[None], memory: Memory) -> None:
    size = memory.data_size(store)
    assert memory.view.nbytes == memory.u32.nbytes == memory.f64.nbytes == size


def test_a_storm_over_one_call_after_the_other(striker, unraisables):
    """A signal every few hundred microseconds, as they come."""
    store: Store[None] = Store(Engine())
    func = made(store).get_func(store, "long")
    assert func is not None
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    for _ in range(1000):
        with pytest.raises(KeyboardInterrupt):
            storming(striker, func, store)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert_idle(store)
    assert unraisables == []


def storming(striker: Striker, func: Func, store: Store[None]) -> None:
    striker.armed = True
    func.call(store)


def interrupt(after: float) -> threading.Timer:
    """Will send the process SIGINT so many seconds after it is started, once."""
    return threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))


async def calls_without_end(stores: list[Store[None]], log: list[str]) -> None:
    store: Store[None] = Store(Engine(Config(preemption_interval=0.001)))
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


def run(loop: str, stores: list[Store[None]], log: list[str], thread: threading.Thread) -> None:
    # In here, for on a busy machine it may strike before anything else is done.
    thread.start()
    if loop == "trio":
        trio.run(calls_without_end, stores, log)
    else:
        asyncio.run(calls_without_end(stores, log))


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_async_calls(unraisables, loop):
    for turn in range(25):
        stores: list[Store[None]] = []
        log: list[str] = []
        thread = interrupt(0.005 + 0.0003 * turn)
        with pytest.raises(KeyboardInterrupt):
            run(loop, stores, log, thread)
        thread.join()
        assert_idle(*stores)
        assert log.count("entered") == log.count("left")
    assert unraisables == []
