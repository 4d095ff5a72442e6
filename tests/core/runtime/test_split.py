"""The sync/async split: which entry points are refused, and what makes a store require async."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm import (
    AsyncSupportError,
    Caller,
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Linker,
    Memory,
    MemoryType,
    Module,
    ResourceLimiter,
    Store,
    Table,
    TableType,
    UpdateDeadline,
)
from asyncwasm.core.runtime.limits import AsyncResourceLimiter
from asyncwasm.core.types import FUNCREF, I32, Limits

P1 = r"store configuration requires that `\*_async` functions are used instead"
P2 = r"when using an async resource limiter `\*_async` functions must be used instead"

IMPORTING = '(module (import "m" "f" (func)) (func (export "run") call 0))'
PLAIN = '(module (func (export "run") (result i32) i32.const 7))'


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


class SlowLimiter(AsyncResourceLimiter):
    async def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    async def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        await anyio.lowlevel.checkpoint()
        return True


def test_an_async_host_function_in_the_store_refuses_sync_instantiation():
    store = Store(Engine())
    Func.wrap_async(store, nothing)
    module = Module(store.engine, PLAIN)
    with pytest.raises(AsyncSupportError, match=P1):
        Instance.new(store, module)


def test_an_unused_async_definition_changes_nothing():
    store = Store(Engine())
    linker = Linker(store.engine)
    linker.func_wrap_async("m", "f", nothing)
    instance = linker.instantiate(store, Module(store.engine, PLAIN))
    assert instance.get_func(store, "run").call(store) == 7


@pytest.mark.anyio
async def test_importing_an_async_definition_flags_the_store_even_though_it_fails():
    store = Store(Engine())
    plain = Instance.new(store, Module(store.engine, PLAIN))
    linker = Linker(store.engine)
    linker.func_wrap_async("m", "f", nothing)
    module = Module(store.engine, IMPORTING)
    with pytest.raises(AsyncSupportError, match=P1):
        linker.instantiate(store, module)
    run = plain.get_func(store, "run")
    with pytest.raises(AsyncSupportError, match=P1):
        run.call(store)
    assert await run.call_async(store) == 7
    instance = await linker.instantiate_async(store, module)
    await instance.get_func(store, "run").call_async(store)


@pytest.mark.anyio
async def test_async_entry_points_do_not_flag_the_store():
    store = Store(Engine())
    instance = await Instance.new_async(store, Module(store.engine, PLAIN))
    run = instance.get_func(store, "run")
    assert await run.call_async(store) == 7
    assert run.call(store) == 7


def test_a_yield_interval_flags_the_store_even_when_it_is_none():
    store = Store(Engine(Config(consume_fuel=True)))
    store.set_fuel(100)
    instance = Instance.new(store, Module(store.engine, PLAIN))
    store.fuel_async_yield_interval(None)
    with pytest.raises(AsyncSupportError, match=P1):
        instance.get_func(store, "run").call(store)


def test_an_async_limiter_refuses_sync_operations_that_would_ask_it():
    store = Store(Engine())
    memory = Memory.new(store, MemoryType(Limits(1)))
    store.limiter_async(SlowLimiter())
    with pytest.raises(AsyncSupportError, match=P2):
        memory.grow(store, 1)
    with pytest.raises(AsyncSupportError, match=P2):
        Table.new(store, TableType(FUNCREF, Limits(1)), None)
    with pytest.raises(AsyncSupportError, match=P2):
        store.gc()
    with pytest.raises(AsyncSupportError, match=P2):
        ExternRef.new(store, object())


@pytest.mark.anyio
async def test_async_twins_ask_an_async_limiter():
    store = Store(Engine())
    store.limiter_async(SlowLimiter())
    memory = await Memory.new_async(store, MemoryType(Limits(1)))
    assert await memory.grow_async(store, 2) == 1
    table = await Table.new_async(store, TableType(FUNCREF, Limits(1)), None)
    assert await table.grow_async(store, 2, None) == 1
    await store.gc_async()
    await ExternRef.new_async(store, object())


def test_a_deadline_callback_cannot_yield_in_a_sync_call():
    store = Store(Engine(Config(epoch_interruption=True)))
    store.epoch_deadline_callback(lambda store: UpdateDeadline.yield_(1))
    store.set_epoch_deadline(1)
    instance = Instance.new(store, Module(store.engine, PLAIN))
    store.engine.increment_epoch()
    with pytest.raises(AsyncSupportError, match="cannot use `UpdateDeadline::Yield` without"):
        instance.get_func(store, "run").call(store)
    assert not store.requires_async


def test_a_yield_that_comes_due_in_a_sync_call_is_an_error():
    store = Store(Engine(Config(consume_fuel=True)))
    store.set_fuel(10_000)

    def configure(caller: Caller) -> None:
        caller.store.fuel_async_yield_interval(5)

    f = Func.wrap(store, configure)
    module = Module(
        store.engine, '(module (import "" "" (func)) (func (export "run") call 0 (loop (br 0))))'
    )
    instance = Instance.new(store, module, [f])
    with pytest.raises(AsyncSupportError, match="configured to do async things"):
        instance.get_func(store, "run").call(store)


@pytest.mark.anyio
async def test_a_call_that_is_never_awaited_runs_nothing():
    store = Store(Engine())
    ran = []
    f = Func.wrap(store, lambda: ran.append(1))
    call = f.call_async(store)
    call.close()
    assert ran == []


@pytest.mark.anyio
async def test_nested_async_calls_of_one_store():
    store = Store(Engine())
    funcs: dict[str, Func] = {}

    async def again(caller: Caller, n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return await funcs["run"].call_async(caller, n - 1) + 1 if n else 0

    f = Func.wrap_async(store, again)
    module = Module(
        store.engine,
        '(module (import "" "" (func (param i32) (result i32)))'
        '(func (export "run") (param i32) (result i32) local.get 0 call 0))',
    )
    instance = await Instance.new_async(store, module, [f])
    funcs["run"] = instance.get_func(store, "run")
    assert await funcs["run"].call_async(store, 20) == 20


@pytest.mark.anyio
async def test_an_engine_that_is_async_by_configuration_refuses_sync_entry_points():
    store = Store(Engine(Config(async_support=True)))
    module = Module(store.engine, PLAIN)
    with pytest.raises(
        AsyncSupportError, match="must use async instantiation when async support is enabled"
    ):
        Instance.new(store, module)
    instance = await Instance.new_async(store, module)
    run = instance.get_func(store, "run")
    with pytest.raises(AsyncSupportError, match="must use `call_async` when async support is"):
        run.call(store)
    assert await run.call_async(store) == 7


@pytest.mark.anyio
async def test_an_engine_that_is_sync_by_configuration_refuses_async_entry_points():
    store = Store(Engine(Config(async_support=False)))
    module = Module(store.engine, PLAIN)
    with pytest.raises(
        AsyncSupportError, match="must use sync instantiation when async support is disabled"
    ):
        await Instance.new_async(store, module)
    run = Instance.new(store, module).get_func(store, "run")
    with pytest.raises(AsyncSupportError, match="cannot use `call_async` without enabling"):
        await run.call_async(store)
    with pytest.raises(AsyncSupportError):
        Func.wrap_async(store, nothing)
    assert run.call(store) == 7


def test_the_error_of_the_split_is_misuse_and_an_assertion():
    store = Store(Engine())
    f = Func.new_async(store, FuncType((I32,), ()), lambda caller, n: None)
    with pytest.raises(AssertionError):
        f.call(store, 1)


def test_reading_and_writing_globals_is_never_refused():
    store = Store(Engine(Config(async_support=True)))
    module = Module(store.engine, "(module)")
    assert module.exports == []
    item = Global.new(store, GlobalType(I32, True), 1)
    item.set(store, -2)
    assert item.get(store) == -2


def test_limiters_with_plain_methods_keep_sync_entry_points():
    class Generous(ResourceLimiter):
        def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
            return True

        def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
            return True

    store = Store(Engine())
    store.limiter(Generous())
    assert Memory.new(store, MemoryType(Limits(1))).grow(store, 1) == 1
