"""Destructors of the host that run while other tasks of the guest go on."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm import Config, Engine, Store
from asyncwasm.component import Accessor, Component, Linker, Resource, ResourceType

pytestmark = pytest.mark.anyio

GUEST = """
(component
  (import "thing" (type $thing (sub resource)))
  (core func $drop (canon resource.drop $thing))
  (core func $return (canon task.return))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "return" (func $return))
    (func (export "drop") (param i32) (result i32)
      (call $drop (local.get 0)) (call $return) (i32.const 0))
    (func (export "drop-now") (param i32) (call $drop (local.get 0)))
    (func (export "other") (result i32) (call $return) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance
    (export "drop" (func $drop)) (export "return" (func $return))))))
  (func (export "drop") async (param "t" (own $thing))
    (canon lift (core func $i "drop") async (callback (core func $i "callback"))))
  (func (export "other") async
    (canon lift (core func $i "other") async (callback (core func $i "callback"))))
  (func (export "drop-now") (param "t" (own $thing)) (canon lift (core func $i "drop-now"))))
"""


@pytest.fixture(scope="module", params=["interpreter", "native"])
def compiled(request):
    engine = Engine(Config(strategy=request.param))
    return engine, Component(engine, GUEST)


class World:
    """An instance whose things take until `may_end` to be destroyed."""

    def __init__(self, compiled):
        engine, component = compiled
        self.may_end = anyio.Event()
        self.destroyed = []

        async def destroy(accessor: Accessor, rep: int) -> None:
            await self.may_end.wait()
            self.destroyed.append(rep)

        linker = Linker(engine)
        linker.root().resource_concurrent("thing", ResourceType.host(int), destroy)
        self.store = Store(engine)
        self.pre = linker.instantiate_pre(component)

    async def __aenter__(self):
        self.instance = await self.pre.instantiate_async(self.store)
        return self

    async def __aexit__(self, *_):
        pass

    def func(self, name):
        return self.instance.get_func(self.store, name)


async def test_others_go_on_meanwhile(compiled):
    async with World(compiled) as world:
        order = []

        async def run(accessor):
            async def drop():
                await world.func("drop").call_concurrent(accessor, Resource.new_own(1))
                order.append("dropped")

            async with anyio.create_task_group() as group:
                group.start_soon(drop)
                await anyio.sleep(0.01)
                order.append("waiting")
                world.may_end.set()

        await world.store.run_concurrent(run)
        assert order == ["waiting", "dropped"]
        assert world.destroyed == [1]


async def test_a_sync_function_has_the_store_wait(compiled):
    async with World(compiled) as world:
        world.may_end.set()
        await world.func("drop-now").call_async(world.store, Resource.new_own(2))
        assert world.destroyed == [2]


async def test_cancelling_it_leaves_nothing_behind(compiled):
    async with World(compiled) as world:
        with anyio.move_on_after(0.02) as scope:
            await world.func("drop").call_async(world.store, Resource.new_own(3))
        assert scope.cancelled_caught
        assert world.destroyed == []
