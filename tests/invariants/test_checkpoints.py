"""Every public async function checkpoints, however little it has to do; sync ones never do.

The functions are found by introspection, so that one without an example here fails the test.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
import trio.testing

import asyncwasm
from asyncwasm import (
    ArrayRef,
    ArrayRefPre,
    ArrayType,
    Config,
    Engine,
    ExnRef,
    ExnRefPre,
    ExternRef,
    FieldType,
    Func,
    FuncType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    StructRef,
    StructRefPre,
    StructType,
    Table,
    TableType,
    Tag,
    TagType,
)
from asyncwasm.component import Accessor
from asyncwasm.core.types import FUNCREF, I32, DefType

# Abstract methods for users to implement, which the runtime awaits.
CALLBACKS = {"AsyncResourceLimiter"}
# Parts of the functions below, for the runtime's own use.
PARTS = {"Store.take_turn"}
MODULE = '(module (func (export "f")))'
MEMORY = MemoryType(Limits(0, None))
SHARED = MemoryType(Limits(0, 1), shared=True)
TABLE = TableType(FUNCREF, Limits(0, None))
STRUCT = StructType(())
ARRAY = ArrayType(FieldType(I32, mutable=True))


class World:
    """One of everything."""

    def __init__(self) -> None:
        self.engine = Engine(Config(shared_memory=True))
        self.store: Store[None] = Store(self.engine)
        self.module = Module(self.engine, MODULE)
        self.linker = Linker(self.engine)
        self.pre = self.linker.instantiate_pre(self.module)
        self.instance = Instance.new(self.store, self.module)
        func = self.instance.get_func(self.store, "f")
        assert func is not None
        self.func = func
        self.host = Func.wrap(self.store, lambda: None)
        self.memory = Memory.new(self.store, MEMORY)
        self.shared = SharedMemory.new(self.engine, MemoryType(Limits(1, 1), shared=True))
        self.table = Table.new(self.store, TABLE, None)
        self.tag = Tag.new(self.store, TagType(DefType.of(FuncType())))
        self.struct_pre = StructRefPre.new(self.store, STRUCT)
        self.array_pre = ArrayRefPre.new(self.store, ARRAY)
        self.exn_pre = ExnRefPre.new(self.store, self.tag.ty(self.store))


async def nothing(accessor: Accessor[None]) -> None: ...


# Each with what makes it do the least.
ASYNC: dict[str, Callable[[World], Awaitable[object]]] = {
    "ArrayRef.new_async": lambda w: ArrayRef.new_async(w.store, w.array_pre, 0, 0),
    "ArrayRef.new_fixed_async": lambda w: ArrayRef.new_fixed_async(w.store, w.array_pre, []),
    "ExnRef.new_async": lambda w: ExnRef.new_async(w.store, w.exn_pre, w.tag, []),
    "ExternRef.new_async": lambda w: ExternRef.new_async(w.store, 1),
    "Func.call_async": lambda w: w.func.call_async(w.store),
    "Instance.new_async": lambda w: Instance.new_async(w.store, w.module),
    "InstancePre.instantiate_async": lambda w: w.pre.instantiate_async(w.store),
    "Linker.instantiate_async": lambda w: w.linker.instantiate_async(w.store, w.module),
    "Linker.module_async": lambda w: w.linker.module_async(w.store, "m", w.module),
    "Memory.new_async": lambda w: Memory.new_async(w.store, MEMORY),
    "Memory.grow_async": lambda w: w.memory.grow_async(w.store, 0),
    "SharedMemory.atomic_wait32_async": lambda w: w.shared.atomic_wait32_async(0, 1, 0),
    "SharedMemory.atomic_wait64_async": lambda w: w.shared.atomic_wait64_async(0, 1, 0),
    "Store.gc_async": lambda w: w.store.gc_async(),
    "Store.run_concurrent": lambda w: w.store.run_concurrent(nothing),
    "StructRef.new_async": lambda w: StructRef.new_async(w.store, w.struct_pre, []),
    "Table.new_async": lambda w: Table.new_async(w.store, TABLE, None),
    "Table.grow_async": lambda w: w.table.grow_async(w.store, 0, None),
    "TypedFunc.call_async": lambda w: w.func.typed(w.store, (), ()).call_async(w.store),
}
# Other ways into the same functions, and what only happens on some of them.
MORE: dict[str, Callable[[World], Awaitable[object]]] = {
    "a host function": lambda w: w.host.call_async(w.store),
    "a wait that is not one": lambda w: w.shared.atomic_wait32_async(0, 0, 0),
    "a command": lambda w: w.linker.module_async(
        w.store, "command", Module(w.engine, '(module (func (export "_start")))')
    ),
    "a queueing store": lambda w: queued(w.engine),
    "growing by something": lambda w: w.memory.grow_async(w.store, 1),
}

SYNC: dict[str, Callable[[World], object]] = {
    "Func.call": lambda w: w.func.call(w.store),
    "Instance.new": lambda w: Instance.new(w.store, w.module),
    "InstancePre.instantiate": lambda w: w.pre.instantiate(w.store),
    "Linker.instantiate": lambda w: w.linker.instantiate(w.store, w.module),
    "Linker.module": lambda w: w.linker.module(w.store, "sync", w.module),
    "Memory.new": lambda w: Memory.new(w.store, MEMORY),
    "Memory.grow": lambda w: w.memory.grow(w.store, 1),
    "Module": lambda w: Module(w.engine, MODULE),
    "SharedMemory.grow": lambda w: w.shared.grow(0),
    "SharedMemory.atomic_wait32": lambda w: w.shared.atomic_wait32(0, 0, 0.001),
    "Store.gc": lambda w: w.store.gc(),
    "Store.close": lambda w: Store(w.engine).close(),
    "Table.new": lambda w: Table.new(w.store, TABLE, None),
    "Table.grow": lambda w: w.table.grow(w.store, 1, None),
    "TypedFunc.call": lambda w: w.func.typed(w.store, (), ()).call(w.store),
}


async def queued(engine: Engine) -> None:
    store: Store[None] = Store(engine, concurrent_calls="queue")
    await Instance.new_async(store, Module(engine, MODULE))


def public_coroutine_functions() -> Iterator[str]:
    for name in asyncwasm.__all__:
        item = getattr(asyncwasm, name)
        if inspect.iscoroutinefunction(item) or inspect.isasyncgenfunction(item):
            yield name
        if not inspect.isclass(item) or name in CALLBACKS:
            continue
        for attribute in dir(item):
            if attribute.startswith("_") and not attribute.startswith("__a"):
                continue
            member = inspect.getattr_static(item, attribute)
            function = getattr(member, "__func__", member)
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                yield f"{name}.{attribute}"


def test_there_is_an_example_of_each():
    assert set(public_coroutine_functions()) - PARTS == set(ASYNC)


@pytest.mark.parametrize("name", [*ASYNC, *MORE])
def test_async_functions_checkpoint_on_trio(name):
    make = ASYNC.get(name) or MORE[name]

    async def main() -> None:
        world = World()
        with trio.testing.assert_checkpoints():
            await make(world)
        # A cancelled one does nothing that others could see.
        with trio.CancelScope() as scope:
            scope.cancel()
            await make(world)
        assert scope.cancelled_caught

    trio.run(main)


@pytest.mark.parametrize("name", [*ASYNC, *MORE])
def test_async_functions_give_asyncio_a_turn(name):
    make = ASYNC.get(name) or MORE[name]

    async def main() -> None:
        world = World()
        turns = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await make(world)
        assert turns

        async def run() -> None:
            await make(world)

        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("name", SYNC)
def test_sync_functions_do_not(name):
    async def main() -> None:
        world = World()
        with trio.testing.assert_no_checkpoints():
            SYNC[name](world)

    trio.run(main)


@pytest.mark.parametrize("name", SYNC)
def test_sync_functions_do_not_switch_on_a_fiber_either(name):
    """Called by a host function of an async call, in another store or in none."""

    async def main() -> None:
        world, other = World(), World()
        turns: list[int] = []

        async def count() -> None:
            while True:
                turns.append(1)
                await trio.lowlevel.checkpoint()

        def host() -> None:
            before = len(turns)
            SYNC[name](other)
            assert len(turns) == before

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await Func.wrap(world.store, host).call_async(world.store)
            nursery.cancel_scope.cancel()

    trio.run(main)
