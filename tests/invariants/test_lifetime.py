"""Dropping things at any time is safe, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import (
    Caller,
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Linker,
    Module,
    Store,
    StoreLimits,
    ThrownException,
    Trap,
    UpdateDeadline,
)
from asyncwasm.fiber import live_fibers

NOTHING = FuncType()
CALLING = '(module (import "" "" (func $h)) (func $f (export "f") (call $g)) (func $g (call $h)))'
Refs = dict[str, "weakref.ref[Any]"]


class Thing:
    """A host object that can be referred to weakly."""


def refs(**things: Any) -> Refs:
    return {name: weakref.ref(thing) for name, thing in things.items()}


def assert_gone(watched: Refs) -> None:
    gc.collect()
    assert [name for name, ref in watched.items() if ref() is not None] == []


def a_trap() -> Refs:
    store: Store[None] = Store(Engine())
    module = Module(store.engine, '(module (func (export "f") (call $g)) (func $g unreachable))')
    instance = Instance.new(store, module)
    func = instance.get_func(store, "f")
    with pytest.raises(Trap) as caught:
        func.call(store)
    assert len(caught.value.frames) == 2
    return refs(e=store.engine, s=store, m=module, i=instance, f=func)


def a_host_exception_with_its_traceback() -> Refs:
    store: Store[None] = Store(Engine())

    def host(caller: Caller[None]) -> None:
        kept = caller
        raise LookupError(kept)

    module = Module(store.engine, CALLING)
    instance = Instance.new(store, module, [Func.new(store, NOTHING, host)])
    func = instance.get_func(store, "f")
    try:
        func.call(store)
    except LookupError as error:
        store.data = error  # type: ignore[assignment]
    return refs(e=store.engine, s=store, m=module, i=instance, f=func)


def cycles_of_guest_objects() -> Refs:
    store: Store[Any] = Store(Engine())
    module = Module(
        store.engine,
        """(module
          (type $s (struct (field (mut anyref)) (field (mut funcref)) (field (mut externref))))
          (global $g (export "g") (mut anyref) (ref.null any)) (table $t (export "t") 10 anyref)
          (global (mut funcref) (ref.func $f))
          (func $f (export "f") (param externref) (local $x (ref null $s))
            (local.set $x (struct.new_default $s))
            (struct.set $s 0 (local.get $x) (local.get $x))
            (struct.set $s 1 (local.get $x) (ref.func $f))
            (struct.set $s 2 (local.get $x) (local.get 0))
            (global.set $g (local.get $x)) (table.set $t (i32.const 0) (local.get $x))))""",
    )
    instance = Instance.new(store, module)
    func, held = instance.get_func(store, "f"), instance.get_global(store, "g")
    thing: Any = Thing()
    thing.store, thing.instance, thing.func, store.data = store, instance, func, thing
    func.call(store, ExternRef.new(store, thing))
    thing.struct = held.get(store)
    return refs(e=store.engine, s=store, m=module, i=instance, f=func, thing=thing)


def a_linker() -> Refs:
    engine = Engine()
    linker, store = Linker(engine), Store(engine)

    def host(caller: Caller[None]) -> None:
        assert linker is not None
        assert store is not None

    linker.func_new("", "h", NOTHING, host)
    linker.module(store, "command", Module(engine, '(module (func (export "_start")))'))
    text = '(module (import "" "h" (func)) (import "command" "_start" (func)))'
    module = Module(engine, text)
    pre = linker.instantiate_pre(module)
    instance = pre.instantiate(store)
    linker.instance(store, "again", linker.instantiate(store, module))
    return refs(e=engine, s=store, m=module, i=instance, l=linker)


def hooks_and_limiters() -> Refs:
    store: Store[None] = Store(Engine(Config(epoch_interruption=True)))
    store.call_hook(lambda given, kind: store and None)
    store.epoch_deadline_callback(lambda given: UpdateDeadline.continue_(1 if store else 2))
    limits: Any = StoreLimits()
    limits.store = store
    store.limiter(limits)
    module = Module(
        store.engine, '(module (memory 1) (func (export "f") (drop (memory.grow (i32.const 1)))))'
    )
    instance = Instance.new(store, module)
    instance.get_func(store, "f").call(store)
    return refs(e=store.engine, s=store, m=module, i=instance, limits=limits)


def an_exception_of_the_guest() -> Refs:
    store: Store[Any] = Store(Engine())
    module = Module(store.engine, '(module (tag $e) (func (export "f") (throw $e)))')
    instance = Instance.new(store, module)
    with pytest.raises(ThrownException) as caught:
        instance.get_func(store, "f").call(store)
    store.data = caught.value
    return refs(e=store.engine, s=store, m=module, i=instance, exn=caught.value.exn)


def a_coroutine_never_awaited() -> Refs:
    store: Store[None] = Store(Engine())
    module = Module(store.engine, '(module (func (export "f")))')
    instance = Instance.new(store, module)
    call = instance.get_func(store, "f").call_async(store)
    call.close()
    return refs(e=store.engine, s=store, m=module, i=instance)


CASES = [
    *(a_trap, a_host_exception_with_its_traceback, cycles_of_guest_objects, a_linker),
    *(hooks_and_limiters, an_exception_of_the_guest, a_coroutine_never_awaited),
]


def test_an_exception_alone_is_freed_at_once():
    """It needs no collector: programs that catch many have no pauses from it."""
    store: Store[None] = Store(Engine())

    def host(caller: Caller[None]) -> None:
        raise Failure

    class Failure(Exception):
        pass

    instance = Instance.new(store, Module(store.engine, CALLING), [Func.new(store, NOTHING, host)])
    func = instance.get_func(store, "f")
    gc.disable()
    try:
        try:
            func.call(store)
        except Failure as error:
            watched = weakref.ref(error)
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("case", CASES)
def test_everything_is_freed_after(case):
    assert_gone(case())


async def suspended(how: Callable[[Func, Store[None]], Awaitable[None]]) -> Refs:
    """A call in a host function that waits for ever, and what `how` does with it."""
    store: Store[None] = Store(Engine())
    module = Module(store.engine, CALLING)

    async def host(caller: Caller[None]) -> None:
        await anyio.sleep_forever()

    instance = await Instance.new_async(store, module, [Func.new_async(store, NOTHING, host)])
    func = instance.get_func(store, "f")
    await how(func, store)
    return refs(e=store.engine, s=store, m=module, i=instance, f=func)


@pytest.mark.anyio
async def test_everything_is_freed_after_a_cancelled_call():
    async def cancel(func: Func, store: Store[None]) -> None:
        with anyio.move_on_after(0.01):
            await func.call_async(store)

    watched = await suspended(cancel)
    await anyio.lowlevel.checkpoint()  # event loops hold on to the last exception until then
    assert_gone(watched)


@pytest.mark.anyio
async def test_a_suspended_call_keeps_what_it_needs():
    """All that is left of the program is the task."""
    go_on = anyio.Event()
    results: list[int] = []
    watched: Refs = {}

    async def run() -> None:
        store: Store[None] = Store(Engine())

        async def host(caller: Caller[None]) -> None:
            await go_on.wait()

        text = """(module (import "" "" (func $h)) (memory 1) (data (i32.const 0) "\\2a")
            (func (export "f") (result i32) (call $h) (call $later))
            (func $later (result i32) (i32.load (i32.const 0))))"""
        module = Module(store.engine, text)
        instance = await Instance.new_async(store, module, [Func.new_async(store, NOTHING, host)])
        watched.update(refs(e=store.engine, s=store, m=module, i=instance))
        call = instance.get_func(store, "f").call_async(store)
        del store, module, instance
        results.append(await call)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.sleep(0.01)
        gc.collect()
        assert all(ref() is not None for ref in watched.values())
        go_on.set()
    assert results == [42]
    del group
    assert_gone(watched)


def suspend_by_hand() -> tuple[Any, Refs]:
    """A call suspended in a coroutine that no event loop drives."""
    store: Store[None] = Store(Engine())
    module = Module(store.engine, CALLING)
    log: list[str] = []

    class Once:
        def __await__(self) -> Any:
            yield "waiting"

    async def host(caller: Caller[None]) -> None:
        try:
            await Once()
        finally:
            log.append("unwound")

    instance: Any = None
    host_func = Func.new_async(store, NOTHING, host)
    opening = Instance.new_async(store, module, [host_func])
    try:
        opening.send(None)
    except StopIteration as stop:
        instance = stop.value
    call = instance.get_func(store, "f").call_async(store)
    assert call.send(None) == "waiting"
    watched = refs(e=store.engine, s=store, m=module, i=instance)
    watched["log"] = lambda: None if log == ["unwound"] else log  # type: ignore[assignment]
    return call, watched


def test_dropping_the_coroutine_unwinds_the_guest():
    call, watched = suspend_by_hand()
    gc.collect()
    assert live_fibers() == 1
    assert all(ref() is not None for ref in watched.values())
    del call
    assert live_fibers() == 0
    assert_gone(watched)


def test_a_coroutine_in_a_cycle_is_unwound_by_the_collector():
    call, watched = suspend_by_hand()
    cycle: list[Any] = [call]
    cycle.append(cycle)
    del call, cycle
    gc.collect()
    assert live_fibers() == 0
    assert_gone(watched)


def test_another_threads_collector():
    """The guest is unwound by the thread it ran on, when that next uses fibers."""
    call, watched = suspend_by_hand()
    cycle: list[Any] = [call]
    cycle.append(cycle)
    del call, cycle
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()
    assert live_fibers() == 0
    assert_gone(watched)


@pytest.mark.parametrize("many", [1, 50])
def test_a_loop_closed_over_suspended_calls(many):
    async def start() -> None:
        async def forever(func: Func, store: Store[None]) -> None:
            await func.call_async(store)

        tasks.extend(asyncio.create_task(suspended(forever)) for _ in range(many))
        await asyncio.sleep(0.01)

    tasks: list[asyncio.Task[Refs]] = []
    loop = asyncio.new_event_loop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    loop.run_until_complete(start())
    loop.close()
    assert live_fibers() == many
    tasks.clear()
    gc.collect()
    assert complaints == ["Task was destroyed but it is pending!"] * many
    assert live_fibers() == 0


EXITS = {
    "trio": "trio.run(main)",
    "asyncio": "asyncio.run(main())",
    "no loop": "call = main(); call.send(None)",
    "a loop that is left": (
        "loop = asyncio.new_event_loop(); loop.set_exception_handler(lambda *_: None)\n"
        "task = loop.create_task(main())\n"
        "for _ in range(5): loop.run_until_complete(asyncio.sleep(0))\n"
        "loop.close()"
    ),
    "a thread": (
        "def run():\n"
        "    call = main(); call.send(None); kept.append(call)\n"
        "kept = []\n"
        "thread = threading.Thread(target=run); thread.start(); thread.join()"
    ),
    "a daemon thread in guest code": (
        "thread = threading.Thread(target=lambda: spin.call(other), daemon=True)\n"
        "thread.start(); time.sleep(0.05)"
    ),
    "an exit inside a host function": "leave.append(1); asyncio.run(main())",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXITS)
def test_exit_with_suspended_calls(name):
    """A program that ends so ends silently and at once."""
    program = textwrap.dedent(
        """
        import asyncio, sys, threading, time, trio
        from asyncwasm import Engine, Func, FuncType, Instance, Module, Store

        engine = Engine()
        other = Store(engine)
        text = '(module (func (export "f") (loop (br 0))))'
        spin = Instance.new(other, Module(engine, text)).get_func(other, "f")
        other.release_thread()
        store = Store(engine)
        leave = []

        class Once:
            def __await__(self):
                yield

        async def host(caller):
            if leave:
                sys.exit(0)
            if EXIT:
                await sleep_a_little()
                raise SystemExit
            await Once()

        async def sleep_a_little():
            await (trio if "trio" in MODE else asyncio).sleep(0.01)

        async def main():
            text = '(module (import "" "" (func)) (func (export "f") (call 0) (call 0)))'
            item = Func.new_async(store, FuncType(), host)
            instance = await Instance.new_async(store, Module(engine, text), [item])
            await instance.get_func(store, "f").call_async(store)
        """
    )
    settings = f"MODE = {name!r}\nEXIT = MODE in ('trio', 'asyncio')\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", settings + program + EXITS[name]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


TEMPLATE = """
(module
  (type $s (struct (field (mut anyref)) (field (mut funcref)) (field (mut externref))))
  (import "host" "f" (func $f (param i32) (result i32)))
  (memory 1) (table $t 3 funcref) (table $any 3 anyref) (elem $t (i32.const 0) func $run)
  (global $func (mut funcref) (ref.func $run)) (global $any (mut anyref) (ref.null any))
  (tag $e (param i32)) (data (i32.const 8) "some data")
  (func $cycle (local (ref null $s))
    (local.set 0 (struct.new $s (ref.null any) (ref.func $run) (ref.null extern)))
    (struct.set $s 0 (local.get 0) (local.get 0))
    (global.set $any (local.get 0)) (table.set $any (i32.const 0) (local.get 0)))
  (func $run (export "run") (param i32) (result i32)
    (call $cycle) (i32.store (i32.const 0) (local.get 0)) (call $f (local.get 0)))
  (func (export "trap") (call $cycle) unreachable)
  (func (export "throw") (throw $e (i32.const {number}))))
"""


class Round:
    """Compile, instantiate, call, drop; the parts that differ are methods."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.kept: list[Any] = []

    def fresh(self, number: int) -> tuple[Store[Any], Module]:
        store: Store[Any] = Store(self.engine)
        store.data = [store]
        return store, Module(self.engine, TEMPLATE.format(number=number))

    def sync(self, number: int) -> None:
        store, module = self.fresh(number)

        def host(caller: Caller[Any], n: int) -> int:
            assert caller.store is store
            return n

        func = Func.new(store, module.imports[0].type.func, host)
        instance = Instance.new(store, module, [func])
        assert instance.get_func(store, "run").call(store, number) == number
        for name in ("trap", "throw"):
            with pytest.raises((Trap, ThrownException)) as caught:
                instance.get_func(store, name).call(store)
            store.data = [store, caught.value]

    def linked(self, number: int) -> None:
        store, module = self.fresh(number)
        linker = Linker(self.engine)
        linker.func_new("host", "f", module.imports[0].type.func, lambda caller, n: n)
        linker.instance(store, "again", linker.instantiate(store, module))
        pre = linker.instantiate_pre(module)
        for _ in range(3):
            assert pre.instantiate(store).get_func(store, "run").call(store, 1) == 1

    async def nested(self, number: int) -> None:
        store, module = self.fresh(number)

        async def host(caller: Caller[Any], n: int) -> int:
            await anyio.lowlevel.checkpoint()
            if n:
                return int(await instance.get_func(caller, "run").call_async(caller, n - 1))
            return n

        func = Func.new_async(store, module.imports[0].type.func, host)
        instance = await Instance.new_async(store, module, [func])
        assert await instance.get_func(store, "run").call_async(store, 3) == 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            await instance.get_func(store, "run").call_async(store, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sync", "linked", "trio", "asyncio"])
def test_rounds_leave_no_objects(name):
    rounds = Round()

    async def many() -> list[int]:
        counts = []
        for _ in range(4):
            for number in range(60):
                if name in ("trio", "asyncio"):
                    await rounds.nested(number)
                else:
                    getattr(rounds, name)(number)
            gc.collect()
            counts.append(len(gc.get_objects()))
        return counts

    counts = asyncio.run(many()) if name == "asyncio" else trio.run(many)
    # The first lot fills caches, and what is compiled in the background may come in any of them.
    assert min(after - before for before, after in pairwise(counts[1:])) < 60
