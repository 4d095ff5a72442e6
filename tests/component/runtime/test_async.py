"""Components with coroutine functions for imports: suspension everywhere it can happen."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.testing

from asyncwasm import (
    AsyncResourceLimiter,
    AsyncSupportError,
    Config,
    Engine,
    Store,
    StoreBusyError,
    Trap,
)
from asyncwasm.component import Component, Linker, Resource, ResourceAny, ResourceType
from asyncwasm.fiber import live_fibers

pytestmark = pytest.mark.anyio

# A guest that can be suspended anywhere: in its start function, in its allocator and its
# destructor, which grow a memory, in imports, and in a host's destructor.
GUEST = """
(component
  (import "host" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "make" (func (result (own $thing))))
    (export "work" (func (param "text" string) (result string)))))
  (alias export $host "thing" (type $thing))
  (core module $libc
    (memory (export "memory") 1)
    (memory $other 0)
    (global $top (mut i32) (i32.const 1024))
    (func $suspend (export "suspend") (drop (memory.grow $other (i32.const 1))))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $suspend)
      (global.set $top (i32.add (global.get $top) (local.get 3)))
      (i32.sub (global.get $top) (local.get 3)))
    (func (export "post") (param i32))
    (func (export "dtor") (param i32) (call $suspend)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (type $own (resource (rep i32) (dtor (core func $libc "dtor"))))
  (core func $new (canon resource.new $own))
  (core func $make (canon lower (func $host "make")))
  (core func $work (canon lower (func $host "work") (memory $memory) (realloc $realloc)))
  (core func $drop (canon resource.drop $thing))
  (core module $m
    (import "libc" "suspend" (func $suspend))
    (import "" "make" (func $make (result i32)))
    (import "" "work" (func $work (param i32 i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (start $suspend)
    (func (export "run") (param i32 i32) (result i32)
      (call $drop (call $make))
      (call $work (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16))
    (func (export "post") (param i32) (call $suspend))
    (func (export "mine") (result i32) (call $new (i32.const 7))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "" (instance
      (export "make" (func $make)) (export "work" (func $work))
      (export "drop" (func $drop)) (export "new" (func $new))))))
  (export $Own "own" (type $own))
  (func (export "run") (param "text" string) (result string)
    (canon lift (core func $i "run") (memory $memory) (realloc $realloc)
      (post-return (core func $i "post"))))
  (func (export "mine") (result (own $Own)) (canon lift (core func $i "mine"))))
"""


class Points:
    """Everything that suspends counts here; at the point asked for it waits for ever."""

    def __init__(self, stop=None):
        self.stop = stop
        self.passed = 0
        self.reached = anyio.Event()

    async def point(self):
        self.passed += 1
        if self.passed - 1 == self.stop:
            self.reached.set()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()


class Limiter(AsyncResourceLimiter):
    def __init__(self, points):
        self.points = points

    async def memory_growing(self, current, desired, maximum):
        await self.points.point()
        return True

    async def table_growing(self, current, desired, maximum):
        await self.points.point()
        return True


def linker_for(engine, points):
    async def make():
        await points.point()
        return Resource.new_own(1)

    async def work(text):
        await points.point()
        return text.upper()

    async def destroy(rep):
        await points.point()

    linker = Linker(engine)
    host = linker.instance("host")
    host.resource_async("thing", ResourceType.host(int), destroy)
    host.func_wrap_async("make", make)
    host.func_wrap_async("work", work)
    return linker


@pytest.fixture(scope="module", params=["interpreter", "native"])
def compiled(request):
    engine = Engine(Config(strategy=request.param))
    return engine, Component(engine, GUEST)


async def everything(compiled, points, store=None):
    """Instantiate, call, take a resource and drop it: all ways in."""
    engine, component = compiled
    store = store or Store(engine)
    store.limiter_async(Limiter(points))
    instance = await linker_for(engine, points).instantiate_async(store, component)
    run = instance.get_func(store, "run")
    assert await run.call_async(store, "text") == "TEXT"
    mine = await instance.get_func(store, "mine").call_async(store)
    assert isinstance(mine, ResourceAny)
    await mine.resource_drop_async(store)
    return store, instance


async def test_everything_may_suspend(compiled):
    points = Points()
    await everything(compiled, points)
    # Two memories, the start function, the allocator for the argument, `make`, the destructor,
    # `work`, the allocator for its result, post-return, the guest's own destructor.
    assert points.passed >= 10


async def test_cancelling_at_every_point_leaves_nothing_behind(compiled):
    engine, component = compiled
    counted = Points()
    await everything(compiled, counted)
    for stop in range(counted.passed):
        points = Points(stop)
        store = Store(engine)
        fibers = live_fibers()
        async with anyio.create_task_group() as group:

            async def attempt():
                await everything(compiled, points, store)  # noqa: B023

            group.start_soon(attempt)
            await points.reached.wait()
            group.cancel_scope.cancel()
        assert live_fibers() == fibers
        # The store can be used: instances are made, but none of its components is entered if
        # guest code was cut short.
        points.stop = None
        cut_short = store.failed
        instance = await linker_for(engine, points).instantiate_async(store, component)
        run = instance.get_func(store, "run")
        if cut_short:
            with pytest.raises(Trap, match="cannot enter component instance"):
                await run.call_async(store, "again")
        else:
            assert await run.call_async(store, "again") == "AGAIN"


async def test_sync_entry_points_are_refused(compiled):
    engine, component = compiled
    store = Store(engine)
    linker = linker_for(engine, Points())
    with pytest.raises(AsyncSupportError):
        linker.instantiate(store, component)
    instance = await linker.instantiate_async(store, component)
    with pytest.raises(AsyncSupportError):
        instance.get_func(store, "run").call(store, "x")
    mine = await instance.get_func(store, "mine").call_async(store)
    with pytest.raises(AsyncSupportError):
        mine.resource_drop(store)
    async with mine:
        pass


async def test_a_second_task_is_refused_meanwhile(compiled):
    engine, component = compiled
    points = Points()
    store = Store(engine)
    instance = await linker_for(engine, points).instantiate_async(store, component)
    run = instance.get_func(store, "run")
    points.stop = points.passed
    async with anyio.create_task_group() as group:
        group.start_soon(run.call_async, store, "x")
        await points.reached.wait()
        with pytest.raises(StoreBusyError):
            await run.call_async(store, "y")
        group.cancel_scope.cancel()


async def test_calls_queue_where_the_store_does(compiled):
    engine, component = compiled
    store = Store(engine, concurrent_calls="queue")
    instance = await linker_for(engine, Points()).instantiate_async(store, component)
    run = instance.get_func(store, "run")
    found = []

    async def call(text):
        found.append(await run.call_async(store, text))

    async with anyio.create_task_group() as group:
        for text in ("a", "b", "c"):
            group.start_soon(call, text)
    assert sorted(found) == ["A", "B", "C"]


async def test_an_exception_in_an_awaited_host_function_comes_out(compiled):
    engine, component = compiled

    async def fail(text):
        await anyio.lowlevel.checkpoint()
        raise LookupError("gone")

    linker = linker_for(engine, Points())
    linker.allow_shadowing(True)
    linker.instance("host").func_wrap_async("work", fail)
    store = Store(engine)
    instance = await linker.instantiate_async(store, component)
    run = instance.get_func(store, "run")
    with pytest.raises(LookupError, match="gone"):
        await run.call_async(store, "x")
    with pytest.raises(Trap, match="cannot enter component instance"):
        await run.call_async(store, "x")


async def test_an_async_engine_refuses_sync_entry_points():
    engine = Engine(Config(async_support=True))
    component = Component(engine, "(component)")
    store = Store(engine)
    with pytest.raises(AsyncSupportError, match="must use async instantiation when async support"):
        Linker(engine).instantiate(store, component)
    await Linker(engine).instantiate_async(store, component)
    engine = Engine(Config(async_support=False))
    component = Component(engine, "(component)")
    store = Store(engine)
    with pytest.raises(AsyncSupportError, match="must use sync instantiation when async support"):
        await Linker(engine).instantiate_async(store, component)
    Linker(engine).instantiate(store, component)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_async_functions_always_checkpoint(compiled):
    engine, component = compiled
    store = Store(engine)
    pre = linker_for(engine, Points()).instantiate_pre(component)
    empty = Component(
        engine,
        """(component
          (core module $m (func (export "f")))
          (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))""",
    )
    linker = Linker(engine)
    with trio.testing.assert_checkpoints():
        instance = await linker.instantiate_async(store, empty)
    func = instance.get_func(store, "f")
    typed = instance.get_typed_func(store, "f", [])
    for function in (
        lambda: func.call_async(store),
        lambda: func.post_return_async(store),
        lambda: typed.call_async(store),
        lambda: typed.post_return_async(store),
        lambda: Resource.new_own(1).drop_async(store),
        lambda: pre.instantiate_async(store),
    ):
        with trio.testing.assert_checkpoints():
            await function()
    mine = (await pre.instantiate_async(store)).get_func(store, "mine")
    held = [await mine.call_async(store) for _ in range(3)]
    with trio.testing.assert_checkpoints():
        await held[0].resource_drop_async(store)
    with trio.testing.assert_checkpoints():
        await held[1].drop_async(store)
    with trio.testing.assert_checkpoints():
        async with held[2]:
            pass
    with trio.testing.assert_no_checkpoints():
        func.ty(store)
        instance.get_func(store, "f")
        linker.instantiate_pre(empty)
    # A call that is cancelled before it began has done nothing.
    with trio.CancelScope() as scope:
        scope.cancel()
        await func.call_async(store)
    assert scope.cancelled_caught
    assert not store.failed
    await func.call_async(store)
