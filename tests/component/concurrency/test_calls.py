"""Concurrent calls of guests and of the host's functions."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from types import FunctionType

import anyio
import anyio.lowlevel
import pytest

from asyncwasm import Engine, Store
from asyncwasm.component import Accessor, Component, Instance, JoinHandle, Linker
from asyncwasm.errors import AsyncSupportError, Trap, TrapCode, UsageError

from .guests import FAN_OUT, STUCK, new_engine

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["interpreter", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return new_engine(strategy=request.param)


async def instance_of(engine: Engine, wat: str, **imports) -> tuple[Store, Instance]:
    store = Store(engine)
    linker = Linker(engine)
    for name, fn in imports.items():
        linker.root().func_wrap_concurrent(name, fn)
    return store, await linker.instantiate_async(store, Component(engine, wat))


async def test_many_calls_at_once(engine: Engine) -> None:
    everybody = anyio.Event()
    running = 0

    async def work(n: int) -> int:
        nonlocal running
        running += 1
        if running == 500:
            everybody.set()
        await everybody.wait()
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    run = instance.get_func(store, "run")
    assert await run.call_async(store, 500) == sum(range(500))
    assert await run.call_async(store, 0) == 0
    assert store.tasks() == []


async def test_calls_that_wait_are_small(engine: Engine) -> None:
    """Every object costs Python's collector as much as making it did, when there are thousands."""

    def census() -> Counter[str]:
        # Objects of ours and closures of ours.
        found = gc.get_objects()
        made = [type(item) for item in found] + [f for f in found if isinstance(f, FunctionType)]
        return Counter(
            one.__qualname__ for one in made if str(one.__module__).startswith("asyncwasm.")
        )

    everybody = anyio.Event()
    waiting, more = 0, Counter()

    async def work(n: int) -> int:
        nonlocal waiting, more
        waiting += 1
        if waiting == 500:
            more = census() - before
            everybody.set()
        await everybody.wait()
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    run = instance.get_func(store, "run")
    before = census()
    await run.call_async(store, 500)
    objects = [name for name, number in more.items() if number >= 250]
    assert sorted(objects) in (["HostCall", "_TrioChild"], ["HostCall", "_AsyncioChild"])


async def test_host_functions_that_need_not_wait(engine: Engine) -> None:
    def work(n: int) -> int:
        return 2 * n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    assert await instance.get_func(store, "run").call_async(store, 10) == 90


async def test_calls_in_one_scope(engine: Engine) -> None:
    arrived = anyio.Event()
    seen = []

    async def work(accessor: Accessor, n: int) -> int:
        assert accessor.data is None
        seen.append(n)
        if len(seen) == 4:
            arrived.set()
        # Nobody goes on before the calls of both guests have come this far.
        await arrived.wait()
        return n

    store, first = await instance_of(engine, FAN_OUT, work=work)
    linker = Linker(engine)
    linker.root().func_wrap_concurrent("work", work)
    second = await linker.instantiate_async(store, Component(engine, FAN_OUT))

    async def main(accessor: Accessor) -> list[int]:
        one = accessor.spawn(first.get_func(store, "run").call_concurrent, accessor, 2)
        two = accessor.spawn(second.get_func(store, "run").call_concurrent, accessor, 2)
        return [await one, await two]

    assert await store.run_concurrent(main) == [1, 1]
    assert sorted(seen) == [0, 0, 1, 1]


async def test_what_a_task_can_do(engine: Engine) -> None:
    store, instance = await instance_of(engine, STUCK)
    done = []

    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            done.append("unwound")

    async def value() -> int:
        await anyio.lowlevel.checkpoint()
        return 5

    async def main(accessor: Accessor) -> str:
        task = accessor.spawn(forever)
        assert await accessor.spawn(value).join() == 5
        await anyio.lowlevel.checkpoint()
        task.abort()
        assert await task is None
        assert task.aborted
        accessor.spawn(forever)
        with pytest.raises(UsageError, match="Recursive"):
            await store.run_concurrent(main)
        return "result"

    kept: list[Accessor] = []

    async def keep(accessor: Accessor) -> str:
        kept.append(accessor)
        return await main(accessor)

    assert await store.run_concurrent(keep) == "result"
    assert done == ["unwound", "unwound"]
    with pytest.raises(UsageError, match="scope of this accessor has ended"):
        kept[0].spawn(value)
    with pytest.raises(UsageError, match="scope of this accessor has ended"):
        await instance.get_func(store, "run").call_concurrent(kept[0])


async def test_an_error_of_a_host_function(engine: Engine) -> None:
    cancelled = []

    async def work(n: int) -> int:
        if n == 3:
            await anyio.lowlevel.checkpoint()
            raise LookupError("three")
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(n)
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    run = instance.get_func(store, "run")
    with pytest.raises(LookupError, match="three"):
        await run.call_async(store, 5)
    assert sorted(cancelled) == [0, 1, 2, 4]
    assert store.tasks() == []
    with pytest.raises(Trap) as caught:
        await run.call_async(store, 1)
    assert caught.value.code is TrapCode.CANNOT_ENTER_COMPONENT


async def test_an_error_of_a_task(engine: Engine) -> None:
    store, _ = await instance_of(engine, STUCK)

    async def fail() -> None:
        raise LookupError("task")

    async def main(accessor: Accessor) -> None:
        accessor.spawn(fail)
        await anyio.sleep_forever()

    with pytest.raises(LookupError, match="task"):
        await store.run_concurrent(main)


async def test_several_errors_of_host_functions(engine: Engine) -> None:
    """What the others raise while they are cancelled, or at the same time, comes out too."""

    async def work(n: int) -> int:
        try:
            await anyio.lowlevel.checkpoint() if n == 3 else await anyio.sleep_forever()
        finally:
            if n % 2:
                raise LookupError(n)
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    with pytest.raises(ExceptionGroup) as caught:
        await instance.get_func(store, "run").call_async(store, 6)
    assert [type(error) for error in caught.value.exceptions] == [LookupError] * 3
    assert caught.value.exceptions[0].args == (3,)
    assert {error.args for error in caught.value.exceptions} == {(1,), (3,), (5,)}
    assert store.tasks() == []


async def test_errors_while_being_cancelled(engine: Engine) -> None:
    started = anyio.Event()

    async def work(n: int) -> int:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            raise LookupError(n)

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    run = instance.get_func(store, "run")

    async def call() -> None:
        with pytest.raises(LookupError):
            await run.call_async(store, 1)
        ended.append(True)

    ended: list[bool] = []
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await started.wait()
        group.cancel_scope.cancel()
    assert ended == [True]


async def test_errors_of_tasks_whose_scope_has_ended(engine: Engine) -> None:
    """Calls that are cut off fail because of that, which is no news."""
    started = anyio.Event()

    async def work(n: int) -> int:
        started.set()
        await anyio.sleep_forever()
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    run = instance.get_func(store, "run")

    async def cleanup() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError("cleanup")

    async def main(accessor: Accessor, *more) -> str:
        accessor.spawn(run.call_concurrent, accessor, 1)
        for fn in more:
            accessor.spawn(fn)
        await started.wait()
        return "result"

    assert await store.run_concurrent(main) == "result"
    with pytest.raises(LookupError, match="cleanup"):
        await store.run_concurrent(lambda accessor: main(accessor, cleanup))
    store.close()


async def test_waiting_for_a_task_that_its_scope_cuts_off(engine: Engine) -> None:
    store, _ = await instance_of(engine, STUCK)
    handles: list[JoinHandle] = []
    late: list[JoinHandle] = []

    async def spawns_in_cleanup(accessor: Accessor) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            late.append(accessor.spawn(anyio.sleep_forever))

    async def main(accessor: Accessor) -> None:
        handles.append(accessor.spawn(anyio.sleep_forever))
        accessor.spawn(spawns_in_cleanup, accessor)
        await anyio.sleep(0.01)

    async def outsider() -> None:
        while not handles:
            await anyio.lowlevel.checkpoint()
        assert await handles[0] is None
        assert handles[0].aborted

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(outsider)
            await store.run_concurrent(main)
        assert await late[0] is None
        assert late[0].aborted


async def test_cancellation(engine: Engine) -> None:
    started = anyio.Event()
    cancelled = []

    async def work(n: int) -> int:
        if n == 2:
            started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(n)
        return n

    store, instance = await instance_of(engine, FAN_OUT, work=work)
    async with anyio.create_task_group() as group:
        group.start_soon(instance.get_func(store, "run").call_async, store, 3)
        await started.wait()
        [task] = store.tasks()
        assert "run" in task.name
        assert task.state == "started"
        group.cancel_scope.cancel()
    assert sorted(cancelled) == [0, 1, 2]
    assert store.tasks() == []


async def test_a_deadlock_is_reported(engine: Engine) -> None:
    store, instance = await instance_of(engine, STUCK)
    with pytest.raises(Trap) as caught:
        await instance.get_func(store, "run").call_async(store)
    assert caught.value.code is TrapCode.ASYNC_DEADLOCK
    notes = "\n".join(caught.value.__notes__)
    assert "`run`" in notes
    assert "waiting for a waitable set without waitables" in notes
    assert store.tasks() == []


async def test_tasks_tell_what_they_do(engine: Engine) -> None:
    store, instance = await instance_of(engine, STUCK)

    async def main(accessor: Accessor) -> list:
        accessor.spawn(instance.get_func(store, "run").call_concurrent, accessor)
        await anyio.wait_all_tasks_blocked()
        return store.tasks()

    [task] = await store.run_concurrent(main)
    [thread] = task.threads
    assert thread.doing == "waiting for a waitable set without waitables"
    if engine.config.strategy == "interpreter":
        assert [frame.func_name for frame in thread.frames] == ["deep"]
    assert "waiting for" in str(task)
    assert len(store.tasks()) == 1
    store.close()


def test_a_seed_replays_the_order() -> None:
    """On asyncio: trio shuffles its tasks, and with them the order in which calls end."""
    order = FAN_OUT.replace(
        "(call $drop (i32.load (i32.const 8)))",
        """(call $drop (i32.load (i32.const 8)))
        (local.set $sum
          (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load (i32.const 8))))""",
    ).replace("(br_if $summed (i32.eqz (local.get $i)))", "(br $summed)")

    async def run(seed: int | None) -> int:
        everybody = anyio.Event()

        async def work(n: int) -> int:
            if n == 7:
                everybody.set()
            await everybody.wait()
            return n

        store, instance = await instance_of(new_engine(scheduler_seed=seed), order, work=work)
        return await instance.get_func(store, "run").call_async(store, 8)

    async def main() -> None:
        results = [await run(seed) for seed in range(5)]
        assert results == [await run(seed) for seed in range(5)]
        assert len(set(results)) > 1
        assert await run(None) == await run(None)

    asyncio.run(main())


def test_not_without_an_event_loop(engine: Engine) -> None:
    async def work(n: int) -> int:
        return n

    linker = Linker(engine)
    linker.root().func_wrap_concurrent("work", work)
    with pytest.raises(AsyncSupportError):
        linker.instantiate(Store(engine), Component(engine, FAN_OUT))


RESTLESS = """
(component
  (core module $M
    (import "" "return" (func $return))
    (func (export "f") (result i32) (call $return) (i32.const 1 (; YIELD ;)))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1 (; YIELD ;))))
  (canon task.return (core func $return))
  (core instance $m (instantiate $M
    (with "" (instance (export "return" (func $return))))))
  (func (export "f") async
    (canon lift (core func $m "f") async (callback (core func $m "callback")))))
"""


async def test_calls_that_go_on_for_ever_do_not_keep_their_caller(engine: Engine) -> None:
    """Nor do they, when there are several, by waking each other up."""
    store, instance = await instance_of(engine, RESTLESS)
    f = instance.get_func(store, "f")
    with anyio.fail_after(30):
        for _ in range(3):
            await f.call_async(store)
    assert len(store.tasks()) == 3
    store.close()
