"""Cancelling a call at each of its suspensions, one after the other.

One scenario suspends for every reason there is.  It is run again and again, cancelled at its
first suspension, at its second and so on, until a run gets through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from asyncwasm import (
    AsyncResourceLimiter,
    Caller,
    CallHook,
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    StoreBusyError,
    Table,
    UpdateDeadline,
)
from asyncwasm.core.types import FUNCREF, I32, Limits, TableType
from tests.invariants.books import open_books

GUEST = """
(module
  (import "" "host" (func $host)) (import "" "nest" (func $nest)) (import "" "note" (func $note))
  (import "" "command" (func $command))
  (memory $own 1) (memory $shared 1 1 shared) (table $t 1 funcref)
  (func $guarded (param i32)
    (block $h (try_table (catch_all $h)
      (block $nest (block $host (br_if $host (local.get 0)) (call $nest) (br $nest)) (call $host))
      (call $note)))
    (call $note))
  (func (export "inner") (call $guarded (i32.const 1)))
  (func $start (call $guarded (i32.const 1)))
  (start $start)
  (func $tail (return_call $host))
  (func $spin (local i32)
    (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 30)))))
  (func (export "run") (result i32)
    (call $guarded (i32.const 1)) (call $guarded (i32.const 0)) (call $tail) (call $note)
    (drop (memory.grow $own (i32.const 1)))
    (drop (memory.grow $own (i32.const 100000))) (call $note)
    (drop (table.grow $t (ref.null func) (i32.const 1))) (call $note)
    (call $spin) (call $note)
    (drop (memory.atomic.wait32 $shared (i32.const 0) (i32.const 0) (i64.const 1000))) (call $note)
    (call $command) (call $note)
    (i32.const 7))
  (func (export "seven") (result i32) (i32.const 7)))
"""
COMMAND = '(module (import "" "host" (func $host)) (func (export "_start") (call $host)))'
NOTHING = FuncType()


class Limiter(AsyncResourceLimiter):
    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        self.pause = pause

    async def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        await self.pause()
        return True

    async def memory_grow_failed(self, error: Exception) -> None:
        await self.pause()

    async def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        await self.pause()
        return True


class Scenario:
    """What is cancelled.  `tidy` is how host functions clean up."""

    def __init__(
        self, tidy: Callable[[], Awaitable[object]] | None, *, grouped: bool = True
    ) -> None:
        self.tidy = tidy
        self.grouped = grouped
        self.cancelled = False
        self.entered = self.left = 0
        # What the guest or the host began after the cancellation.
        self.late: list[str] = []
        config = Config(consume_fuel=True, epoch_interruption=True, shared_memory=True)
        self.store: Store[None] = Store(Engine(config))
        self.store.set_fuel(1_000_000)
        self.store.fuel_async_yield_interval(20)
        self.store.limiter_async(Limiter(self.pause))
        self.store.call_hook_async(self.hook)
        self.deadlines = 0
        self.store.epoch_deadline_callback(self.deadline)
        self.instance: Instance | None = None

    def begun(self, what: str) -> None:
        if self.cancelled:
            self.late.append(what)

    async def pause(self) -> None:
        self.begun("pause")
        self.entered += 1
        try:
            await anyio.lowlevel.checkpoint()
            if self.grouped:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.lowlevel.checkpoint)
        finally:
            try:
                if self.tidy is not None:
                    await self.tidy()
            finally:
                self.left += 1

    async def hook(self, store: Store[None], kind: CallHook) -> None:
        if kind is CallHook.CALLING_WASM:
            await self.pause()

    def deadline(self, store: Store[None]) -> Any:
        self.begun("deadline")
        self.deadlines += 1
        if self.deadlines % 3 == 0:
            return UpdateDeadline.yield_(1)
        if self.deadlines % 3 == 1:
            return UpdateDeadline.yield_custom(1, self.pause())
        return self.coroutine_deadline()

    async def coroutine_deadline(self) -> UpdateDeadline:
        await self.pause()
        return UpdateDeadline.continue_(1)

    async def host(self, caller: Caller[None]) -> None:
        await self.pause()
        # The guest meets a deadline, or is preempted, when it goes on.
        self.store.engine.increment_epoch()
        self.store.interrupt[0] = 1

    async def nest(self, caller: Caller[None]) -> None:
        self.begun("nest")
        assert self.instance is not None
        inner = self.instance.get_func(caller, "inner")
        assert inner is not None
        await inner.call_async(caller)
        memory = await Memory.new_async(caller, MemoryType(Limits(1, None)))
        await memory.grow_async(caller, 1)
        table = await Table.new_async(caller, TableType(FUNCREF, Limits(1, None)), None)
        await table.grow_async(caller, 1, None)

    def note(self, caller: Caller[None]) -> None:
        self.begun("note")

    async def run(self) -> int:
        store, linker = self.store, Linker(self.store.engine)
        linker.func_new_async("", "host", NOTHING, self.host)
        linker.func_new_async("", "nest", NOTHING, self.nest)
        linker.func_new("", "note", NOTHING, self.note)
        await linker.module_async(store, "command", Module(store.engine, COMMAND))
        linker.alias("command", "_start", "", "command")
        self.instance = await linker.instantiate_async(store, Module(store.engine, GUEST))
        func = self.instance.get_func(store, "run")
        assert func is not None
        result: int = await func.call_async(store)
        return result

    def assert_over(self) -> None:
        # A cancellation that comes while somebody is shielded from it arrives later.
        assert self.late == [] or self.tidy is shielded
        assert self.entered == self.left
        assert open_books(self.store) == []

    async def assert_usable(self) -> None:
        self.cancelled = False
        if self.instance is not None:
            func = self.instance.get_func(self.store, "seven")
            assert func is not None
            assert await func.call_async(self.store) == 7
            assert open_books(self.store) == []


class At:
    """Awaits a coroutine, and does something when it suspends for the `number`th time."""

    def __init__(self, number: int, do: Callable[[], object], coroutine: Coroutine[Any, Any, Any]):
        self.number, self.do, self.coroutine = number, do, coroutine
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, send, value = self.coroutine, True, None
        while True:
            try:
                yielded = coroutine.send(value) if send else coroutine.throw(value)
            except StopIteration as stop:
                return stop.value
            self.count += 1
            if self.count == self.number:
                self.do()
            try:
                value, send = (yield yielded), True
            except BaseException as error:
                value, send = error, False


FEWEST = 60


async def shielded() -> None:
    with trio.CancelScope(shield=True):
        await trio.lowlevel.checkpoint()


async def asyncio_tidy() -> None:
    await asyncio.sleep(0)


@pytest.mark.slow
@pytest.mark.parametrize("tidy", [None, shielded], ids=["", "shielded clean-up"])
def test_each_suspension_on_trio(tidy):
    async def main(number: int) -> bool:
        scenario = Scenario(tidy)
        with trio.CancelScope() as scope:

            def cancel() -> None:
                scenario.cancelled = True
                scope.cancel()

            assert await At(number, cancel, scenario.run()) == 7
        scenario.assert_over()
        await scenario.assert_usable()
        return scope.cancelled_caught

    number = 1
    while trio.run(main, number):
        number += 1
    assert number > FEWEST


@pytest.mark.slow
@pytest.mark.parametrize("tidy", [None, asyncio_tidy], ids=["", "clean-up that awaits"])
def test_each_suspension_on_asyncio(tidy):
    async def main(number: int) -> bool:
        scenario = Scenario(tidy)
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            scenario.cancelled = True
            task.cancel("because")

        try:
            assert await At(number, cancel, scenario.run()) == 7
        except asyncio.CancelledError:
            assert task.cancelling() == 1
            assert task.uncancel() == 0
        else:
            assert task.cancelling() == 0
        scenario.assert_over()
        assert len(asyncio.all_tasks()) == 1
        was_cancelled = scenario.cancelled
        await scenario.assert_usable()
        return was_cancelled

    number = 1
    while asyncio.run(main(number)):
        number += 1
    assert number > FEWEST


@pytest.mark.slow
@pytest.mark.parametrize("again", [0, 1, 2])
def test_cancelled_twice_on_asyncio(again):
    """The second time somewhere in the clean-up."""

    async def main(number: int) -> bool:
        scenario = Scenario(asyncio_tidy)
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            scenario.cancelled = True
            task.cancel()

        second = At(number + 1 + again, cancel, At(number, cancel, scenario.run()).__await__())
        try:
            assert await second == 7
        except asyncio.CancelledError:
            while task.uncancel():
                pass
        scenario.assert_over()
        was_cancelled = scenario.cancelled
        await scenario.assert_usable()
        return was_cancelled

    number = 1
    while asyncio.run(main(number)):
        number += 3
    assert number > FEWEST


@pytest.mark.slow
@pytest.mark.anyio
async def test_closed_at_each_suspension():
    """What closing the coroutine does, and collecting it."""

    number, got_through = 1, False
    while not got_through:
        # A task group that is closed leaves its tasks behind.
        scenario = Scenario(None, grouped=False)
        call = scenario.run()
        got_through = await until(number, call)
        scenario.cancelled = True
        call.close()
        scenario.assert_over()
        await scenario.assert_usable()
        number += 1
    assert number > FEWEST - 20


async def until(number: int, coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Await a coroutine up to its `number`th suspension; whether it ended before."""

    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    try:
        await At(number, enough, coroutine)
    except Enough:
        return False
    return True


@pytest.mark.slow
def test_the_scenario_suspends_for_every_reason():
    """So that the tests above test what they say."""
    seen = set()

    async def main() -> None:
        scenario = Scenario(None)
        await scenario.run()
        seen.add(scenario.deadlines > 3)
        seen.add(scenario.entered > 20)

    trio.run(main)
    assert seen == {True}


@pytest.mark.anyio
async def test_a_deadline_inside_a_host_function_stays_there():
    store: Store[None] = Store(Engine())
    log: list[str] = []

    async def host(caller: Caller[None]) -> None:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        log.append(f"host {scope.cancelled_caught}")

    func = Func.new_async(store, NOTHING, host)
    text = '(module (import "" "" (func)) (func (export "f") (call 0) (call 0)))'
    instance = await Instance.new_async(store, Module(store.engine, text), [func])
    run = instance.get_func(store, "f")
    assert run is not None
    with anyio.move_on_after(10) as outer:
        await run.call_async(store)
    assert log == ["host True", "host True"]
    assert not outer.cancelled_caught


@pytest.mark.anyio
async def test_a_deadline_of_a_nested_call_leaves_the_outer_one_running():
    store: Store[None] = Store(Engine())
    funcs: dict[str, Func] = {}
    log: list[str] = []

    async def host(caller: Caller[None]) -> None:
        with anyio.move_on_after(0.02) as scope:
            await funcs["spin"].call_async(caller)
        log.append(f"spin {scope.cancelled_caught}")
        with anyio.move_on_after(0.02) as scope:
            await funcs["wait"].call_async(caller)
        log.append(f"wait {scope.cancelled_caught}")

    async def wait(caller: Caller[None]) -> None:
        await anyio.sleep_forever()

    text = (
        '(module (import "" "h" (func)) (import "" "w" (func)) (func (export "run") (call 0))'
        ' (func (export "spin") (loop (br 0))) (func (export "wait") (call 1)))'
    )
    imports = [Func.new_async(store, NOTHING, fn) for fn in (host, wait)]
    instance = await Instance.new_async(store, Module(store.engine, text), imports)
    for name in ("run", "spin", "wait"):
        func = instance.get_func(store, name)
        assert func is not None
        funcs[name] = func
    await funcs["run"].call_async(store)
    assert log == ["spin True", "wait True"]
    assert open_books(store) == []


@pytest.mark.anyio
async def test_a_task_group_opened_by_a_host_function():
    """A failing sibling cancels the nested call and the error comes out of the outer one."""
    store: Store[None] = Store(Engine())
    funcs: list[Func] = []

    async def fail() -> None:
        await anyio.sleep(0.01)
        raise LookupError

    async def host(caller: Caller[None]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await funcs[0].call_async(caller)

    text = (
        '(module (import "" "h" (func)) (func (export "run") (call 0))'
        ' (func (export "spin") (loop (br 0))))'
    )
    module = Module(store.engine, text)
    instance = await Instance.new_async(store, module, [Func.new_async(store, NOTHING, host)])
    run, spin = instance.get_func(store, "run"), instance.get_func(store, "spin")
    assert run is not None
    assert spin is not None
    funcs.append(spin)
    with pytest.raises(ExceptionGroup) as caught:
        await run.call_async(store)
    assert caught.group_contains(LookupError)
    assert open_books(store) == []


def test_a_background_task_that_outlives_its_host_function():
    """A mistake of the host, which is told; the store survives it."""
    store: Store[None] = Store(Engine())
    tasks: list[asyncio.Task[Any]] = []

    async def main() -> None:
        go_on = asyncio.Event()

        async def host(caller: Caller[None], which: int) -> int:
            if which:
                await go_on.wait()
                return 1
            tasks.append(asyncio.create_task(func.call_async(caller, 1)))
            await asyncio.sleep(0.01)
            return 0

        text = """(module (import "" "" (func (param i32) (result i32)))
            (func (export "f") (param i32) (result i32) (call 0 (local.get 0))))"""
        item = Func.new_async(store, FuncType((I32,), (I32,)), host)
        instance = await Instance.new_async(store, Module(store.engine, text), [item])
        found = instance.get_func(store, "f")
        assert found is not None
        func = found
        with pytest.raises(RuntimeError, match="nested in it was in progress"):
            await func.call_async(store, 0)
        go_on.set()
        outcome = (await asyncio.gather(*tasks, return_exceptions=True))[0]
        assert outcome == 1 or isinstance(outcome, (RuntimeError, StoreBusyError))
        assert open_books(store) == []
        assert await func.call_async(store, 1) == 1

    asyncio.run(main())
    assert open_books(store) == []
