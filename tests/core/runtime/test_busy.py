"""One call at a time in a store: who may enter, who is refused, who waits."""

from __future__ import annotations

import threading

import anyio
import pytest

from asyncwasm import (
    Caller,
    Engine,
    Func,
    Instance,
    Module,
    Store,
    StoreBusyError,
    Trap,
    TrapCode,
    UsageError,
    WrongThreadError,
)

TEXT = (
    '(module (import "" "" (func $host)) (func (export "run") call $host)'
    ' (func (export "seven") (result i32) i32.const 7))'
)

pytestmark = pytest.mark.anyio


async def setup(store: Store, host) -> Instance:
    return await Instance.new_async(
        store, Module(store.engine, TEXT), [Func.wrap_async(store, host)]
    )


async def test_a_second_task_is_refused():
    store = Store(Engine())
    entered, leave = anyio.Event(), anyio.Event()

    async def host() -> None:
        entered.set()
        await leave.wait()

    instance = await setup(store, host)
    run, seven = instance.get_func(store, "run"), instance.get_func(store, "seven")
    async with anyio.create_task_group() as group:
        group.start_soon(run.call_async, store)
        await entered.wait()
        with pytest.raises(StoreBusyError):
            await seven.call_async(store)
        with pytest.raises(StoreBusyError):
            await Instance.new_async(store, Module(store.engine, "(module)"))
        leave.set()
    assert await seven.call_async(store) == 7


async def test_a_second_task_waits_its_turn_in_order():
    store = Store(Engine(), concurrent_calls="queue")
    order: list[int] = []
    running = 0

    async def host() -> None:
        nonlocal running
        running += 1
        assert running == 1
        await anyio.sleep(0.001)
        running -= 1

    instance = await setup(store, host)
    run = instance.get_func(store, "run")
    started = 0

    async def one(index: int) -> None:
        nonlocal started
        while started != index:
            await anyio.lowlevel.checkpoint()
        started += 1
        await run.call_async(store)
        order.append(index)

    async with anyio.create_task_group() as group:
        for index in range(10):
            group.start_soon(one, index)
    assert order == sorted(order)
    assert len(order) == 10


async def test_a_task_that_gives_up_waiting_passes_its_turn_on():
    store = Store(Engine(), concurrent_calls="queue")
    entered, leave = anyio.Event(), anyio.Event()

    async def host() -> None:
        entered.set()
        await leave.wait()

    instance = await setup(store, host)
    run, seven = instance.get_func(store, "run"), instance.get_func(store, "seven")
    results: list[int] = []

    async def impatient() -> None:
        with anyio.move_on_after(0.01):
            await seven.call_async(store)

    async def patient() -> None:
        results.append(await seven.call_async(store))

    async with anyio.create_task_group() as group:
        group.start_soon(run.call_async, store)
        await entered.wait()
        group.start_soon(impatient)
        await anyio.lowlevel.checkpoint()
        group.start_soon(patient)
        await anyio.sleep(0.03)
        leave.set()
    assert results == [7]


async def test_a_host_function_may_nest_calls():
    store = Store(Engine())
    results: list[int] = []
    seven: list[Func] = []

    async def host(caller: Caller) -> None:
        results.append(await seven[0].call_async(store))
        await anyio.lowlevel.checkpoint()
        results.append(await seven[0].call_async(caller))

    instance = await setup(store, host)
    seven.append(instance.get_func(store, "seven"))
    await instance.get_func(store, "run").call_async(store)
    assert results == [7, 7]


async def test_a_child_task_needs_the_caller():
    store = Store(Engine())
    results: list[int] = []
    seven: list[Func] = []

    async def child(context: Store | Caller) -> None:
        try:
            results.append(await seven[0].call_async(context))
        except StoreBusyError:
            results.append(-1)

    async def host(caller: Caller) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child, store)
        async with anyio.create_task_group() as group:
            group.start_soon(child, caller)

    instance = await setup(store, host)
    seven.append(instance.get_func(store, "seven"))
    await instance.get_func(store, "run").call_async(store)
    assert results == [-1, 7]


async def test_a_caller_expires():
    store = Store(Engine())
    kept: list[Caller] = []

    async def host(caller: Caller) -> None:
        kept.append(caller)
        assert caller.get_export("seven") is not None
        assert caller.get_export("nothing") is None

    instance = await setup(store, host)
    await instance.get_func(store, "run").call_async(store)
    with pytest.raises(UsageError, match="only valid until its host function returns"):
        kept[0].get_export("seven")


async def test_a_caller_of_a_direct_call_has_no_exports():
    store = Store(Engine())
    seen: list[object] = []

    def host(caller: Caller) -> None:
        seen.append(caller.get_export("run"))

    await Func.wrap(store, host).call_async(store)
    assert seen == [None]


async def test_a_store_in_use_is_not_closed():
    store = Store(Engine())

    async def host(caller: Caller) -> None:
        with pytest.raises(StoreBusyError):
            caller.store.close()

    instance = await setup(store, host)
    run = instance.get_func(store, "run")
    await run.call_async(store)
    store.close()
    with pytest.raises(UsageError, match="store is closed"):
        await run.call_async(store)


async def test_another_thread_is_refused_until_the_store_is_released():
    store = Store(Engine())
    seven = Instance.new(
        store, Module(store.engine, '(module (func (export "f") (result i32) i32.const 7))')
    ).get_func(store, "f")
    outcomes: list[object] = []

    def use() -> None:
        try:
            outcomes.append(seven.call(store))
        except WrongThreadError as error:
            outcomes.append(type(error))

    for _ in range(2):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        store.release_thread()
    assert outcomes == [WrongThreadError, 7]


async def test_calls_nested_without_end_are_a_stack_overflow():
    store = Store(Engine())
    run: list[Func] = []

    def host() -> None:
        run[0].call(store)

    instance = Instance.new(store, Module(store.engine, TEXT), [Func.wrap(store, host)])
    run.append(instance.get_func(store, "run"))
    with pytest.raises(Trap) as caught:
        run[0].call(store)
    assert caught.value.code is TrapCode.STACK_OVERFLOW
    assert instance.get_func(store, "seven").call(store) == 7


async def test_async_calls_nested_without_end_are_a_stack_overflow():
    store = Store(Engine())
    run: list[Func] = []

    async def host() -> None:
        await run[0].call_async(store)

    instance = await setup(store, host)
    run.append(instance.get_func(store, "run"))
    with pytest.raises(Trap) as caught:
        await run[0].call_async(store)
    assert caught.value.code is TrapCode.STACK_OVERFLOW
    assert await instance.get_func(store, "seven").call_async(store) == 7
