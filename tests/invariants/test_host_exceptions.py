"""Whatever is raised where guest and host meet reaches the caller, the same object.

The guest wraps everything in `catch_all` and reports to the host when it goes on, which it must
not do.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import greenlet
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
    Table,
    UpdateDeadline,
)
from asyncwasm.core.types import FUNCREF, Limits, TableType
from tests.invariants.books import assert_idle

NOTHING = FuncType()


class Plain(Exception):
    pass


class Odd(BaseException):
    pass


# The last line has what the portable engine takes for traps where guest code itself raises it.
ERRORS = [
    *(Plain, Odd, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration, StopAsyncIteration),
    *(greenlet.GreenletExit, asyncio.CancelledError, RecursionError, MemoryError, AssertionError),
    *(IndexError, ZeroDivisionError, struct.error, OverflowError, ValueError, TypeError),
    AttributeError,
]

IMPORTS = '(import "" "host" (func $host)) (import "" "ran" (func $ran))'


def guarded(body: str) -> str:
    """A body that catches what it can and tells the host how far it got."""
    return f"(block $h (try_table (catch_all $h) {body} (call $ran))) (call $ran)"


GUEST = f"""
(module {IMPORTS}
  (type $nothing (func))
  (memory 1) (table $grown 1 funcref) (table $t funcref (elem $host)) (elem declare func $host)
  (func $direct (export "direct") {guarded("(call $host)")})
  (func (export "indirect") {guarded("(call_indirect $t (i32.const 0))")})
  (func (export "by reference") {guarded("(call_ref $nothing (ref.func $host))")})
  (func $tail (return_call $host))
  (func (export "tail") {guarded("(call $tail)")})
  (func (export "deep") {guarded("(call $direct)")})
  (func (export "grow memory") {guarded("(drop (memory.grow (i32.const 1)))")})
  (func (export "too much memory") {guarded("(drop (memory.grow (i32.const 65537)))")})
  (func (export "grow table") {guarded("(drop (table.grow $grown (ref.null func) (i32.const 1)))")})
  (func (export "loop") {guarded("(loop (br_if 0 (i32.const 0)))")})
  (func (export "nothing")))
"""


class World:
    """A store, and a failure that something is made to meet with."""

    def __init__(self, error: BaseException, *, awaits: bool, config: Config | None = None) -> None:
        self.error = error
        self.awaits = awaits
        self.store: Store[None] = Store(Engine(config or Config(epoch_interruption=True)))
        if self.store.engine.config.epoch_interruption:
            self.store.set_epoch_deadline(1000)
        self.armed = False
        self.ran: list[int] = []

    def fail(self, otherwise: Any = None) -> Any:
        """Raise the error, from a coroutine if the host is to be async."""
        if not self.awaits:
            if self.armed:
                raise self.error
            return otherwise
        return self._fail(otherwise)

    async def _fail(self, otherwise: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        if self.armed:
            raise self.error
        return otherwise

    def module(self, text: str = GUEST) -> Module:
        return Module(self.store.engine, text)

    def funcs(self) -> list[Func]:
        make = Func.new_async if self.awaits else Func.new
        return [
            make(self.store, NOTHING, lambda caller: self.fail()),
            Func.new(self.store, NOTHING, lambda caller: self.ran.append(1)),
        ]


Entry = tuple[Callable[[], Any], Callable[[], Coroutine[Any, Any, Any]]]
Boundary = Callable[[World], Coroutine[Any, Any, Entry]]
BOUNDARIES: dict[str, Boundary] = {}


def boundary(name: str) -> Callable[[Boundary], Boundary]:
    def note(fn: Boundary) -> Boundary:
        BOUNDARIES[name] = fn
        return fn

    return note


async def made(world: World, text: str = GUEST, *imports: Func) -> Instance:
    items = imports or world.funcs()
    if world.store.requires_async:
        return await Instance.new_async(world.store, world.module(text), items)
    return Instance.new(world.store, world.module(text), items)


def entry(world: World, instance: Instance, name: str) -> Entry:
    func = instance.get_func(world.store, name)
    assert func is not None
    return (lambda: func.call(world.store)), (lambda: func.call_async(world.store))


def _calling(name: str) -> None:
    @boundary(f"host function, {name}")
    async def calling(world: World) -> Entry:
        return entry(world, await made(world), name)


for _name in ("direct", "indirect", "by reference", "tail", "deep"):
    _calling(_name)


@boundary("host function called by the host")
async def called_directly(world: World) -> Entry:
    func = world.funcs()[0]
    return (lambda: func.call(world.store)), (lambda: func.call_async(world.store))


@boundary("nested call")
async def nested(world: World) -> Entry:
    inner: list[Func] = []

    def call(caller: Caller[None]) -> None:
        inner[0].call(caller)

    async def call_async(caller: Caller[None]) -> None:
        await inner[0].call_async(caller)

    make = Func.new_async if world.awaits else Func.new
    instance = await made(world)
    found = instance.get_func(world.store, "direct")
    assert found is not None
    inner.append(found)
    outer = make(world.store, NOTHING, call_async if world.awaits else call)
    return entry(world, await made(world, GUEST, outer, world.funcs()[1]), "direct")


@boundary("start function")
async def started(world: World) -> Entry:
    module = world.module(f"(module {IMPORTS} (func $s {guarded('(call $host)')}) (start $s))")
    items = world.funcs()
    return (
        lambda: Instance.new(world.store, module, items),
        lambda: Instance.new_async(world.store, module, items),
    )


@boundary("command of a linker")
async def command(world: World) -> Entry:
    linker = Linker(world.store.engine)
    (linker.func_new_async if world.awaits else linker.func_new)(
        "", "host", NOTHING, lambda caller: world.fail()
    )
    linker.func_new("", "ran", NOTHING, lambda caller: world.ran.append(1))
    text = f'(module {IMPORTS} (func (export "_start") {guarded("(call $host)")}))'
    if world.awaits:
        await linker.module_async(world.store, "command", world.module(text))
    else:
        linker.module(world.store, "command", world.module(text))
    linker.alias("command", "_start", "", "command")
    user = world.module(
        f'(module (import "" "command" (func $command)) {IMPORTS}'
        f' (func (export "run") {guarded("(call $command)")}))'
    )
    if world.awaits:
        return entry(world, await linker.instantiate_async(world.store, user), "run")
    return entry(world, linker.instantiate(world.store, user), "run")


class Limiter(AsyncResourceLimiter):
    """Meets with the failure in one of its methods."""

    def __init__(self, world: World, where: str) -> None:
        self.world, self.where = world, where

    def memory_growing(self, current: int, desired: int, maximum: int | None) -> Any:
        return self.world.fail(True) if self.where == "memory" else True

    def memory_grow_failed(self, error: Exception) -> Any:
        return self.world.fail() if self.where == "failed" else None

    def table_growing(self, current: int, desired: int, maximum: int | None) -> Any:
        return self.world.fail(True) if self.where == "table" else True


def limit(world: World, where: str) -> None:
    limiter: Any = Limiter(world, where)
    if world.awaits:
        world.store.limiter_async(limiter)
    else:
        world.store.limiter(limiter)


def _limited(where: str, name: str) -> None:
    @boundary(f"limiter, {name}")
    async def limited(world: World) -> Entry:
        instance = await made(world)
        limit(world, where)
        return entry(world, instance, name)


_limited("memory", "grow memory")
_limited("failed", "too much memory")
_limited("table", "grow table")


def _limited_start(where: str, item: str) -> None:
    @boundary(f"limiter, instantiating a {where}")
    async def limited(world: World) -> Entry:
        limit(world, where)
        module = world.module(f"(module {IMPORTS} ({item}) (start $ran))")
        items = world.funcs()
        return (
            lambda: Instance.new(world.store, module, items),
            lambda: Instance.new_async(world.store, module, items),
        )


_limited_start("memory", "memory 1")
_limited_start("table", "table 1 funcref")


@boundary("limiter, memory made and grown by the host")
async def host_memory(world: World) -> Entry:
    limit(world, "memory")
    ty = MemoryType(Limits(1, None))
    if not world.awaits:
        memory = Memory.new(world.store, ty)
        return (lambda: memory.grow(world.store, 1)), (lambda: memory.grow_async(world.store, 1))
    return (lambda: None), (lambda: Memory.new_async(world.store, ty))


@boundary("limiter, table made and grown by the host")
async def host_table(world: World) -> Entry:
    limit(world, "table")
    ty = TableType(FUNCREF, Limits(1, None))
    if not world.awaits:
        table = Table.new(world.store, ty, None)
        return (
            lambda: table.grow(world.store, 1, None),
            lambda: table.grow_async(world.store, 1, None),
        )
    return (lambda: None), (lambda: Table.new_async(world.store, ty, None))


@boundary("epoch deadline callback")
async def deadline(world: World) -> Entry:
    instance = await made(world)
    world.store.epoch_deadline_callback(lambda store: world.fail(UpdateDeadline.continue_(1000)))
    world.store.set_epoch_deadline(0)
    return entry(world, instance, "loop")


@boundary("awaitable of an epoch deadline callback")
async def custom_yield(world: World) -> Entry:
    instance = await made(world)

    def reached(store: Store[None]) -> UpdateDeadline:
        result = world.fail()
        return UpdateDeadline.continue_(0) if result is None else _custom(result)

    world.store.epoch_deadline_callback(reached)
    world.store.set_epoch_deadline(0)
    return entry(world, instance, "loop")


def _custom(awaitable: Any) -> UpdateDeadline:
    return UpdateDeadline.yield_custom(1000, awaitable)


def _hooked(kind: CallHook) -> None:
    @boundary(f"call hook, {kind.value}")
    async def hooked(world: World) -> Entry:
        # The host function itself does not fail.
        host = Func.new(world.store, NOTHING, lambda caller: None)
        instance = await made(world, GUEST, host, world.funcs()[1])

        def hook(store: Store[None], now: CallHook) -> Any:
            return world.fail() if now is kind else None

        if world.awaits:
            world.store.call_hook_async(hook)
        else:
            world.store.call_hook(hook)
        late = kind is CallHook.RETURNING_FROM_WASM
        return entry(world, instance, "nothing" if late else "direct")


for _kind in CallHook:
    _hooked(_kind)


def usable(world: World) -> Entry:
    world.armed = False
    if world.store.engine.config.epoch_interruption:
        world.store.set_epoch_deadline(1000)
    func = Func.new(world.store, NOTHING, lambda caller: None)
    return (lambda: func.call(world.store)), (lambda: func.call_async(world.store))


def make_error(kind: type[BaseException]) -> BaseException:
    return kind("told by the host")


def test_sync_calls():
    async def setup(world: World, make: Boundary) -> Entry:
        return await make(world)

    for name, make in BOUNDARIES.items():
        for kind in ERRORS:
            world = World(make_error(kind), awaits=False)
            call, _ = finish(setup(world, make))
            world.armed = True
            with pytest.raises(BaseException) as caught:
                call()
            assert caught.value is world.error, name
            assert not world.ran, name
            assert_idle(world.store)
            usable(world)[0]()


def finish(coroutine: Coroutine[Any, Any, Entry]) -> Entry:
    """Run a coroutine that never suspends."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    result: Entry = stopped.value.value
    return result


@pytest.mark.anyio
@pytest.mark.parametrize("awaits", [False, True], ids=["sync host", "async host"])
@pytest.mark.parametrize("name", BOUNDARIES)
async def test_async_calls(name, awaits):
    for kind in ERRORS:
        world = World(make_error(kind), awaits=awaits)
        _, call = await BOUNDARIES[name](world)
        world.armed = True
        with pytest.raises(BaseException) as caught:
            await call()
        error = caught.value
        if kind is StopIteration:
            # No coroutine can raise that; Python says so with a `RuntimeError`.
            assert type(error) is RuntimeError
            while error is not world.error and error.__cause__ is not None:
                error = error.__cause__
        assert error is world.error
        assert not world.ran
        assert_idle(world.store)
        await usable(world)[1]()


@pytest.mark.parametrize("name", BOUNDARIES)
def test_cancellations_of_trio(name):
    async def main() -> None:
        world = World(Plain(), awaits=True)
        with trio.CancelScope() as scope:
            cancelled: list[BaseException] = []

            async def fail(otherwise: Any) -> Any:
                if not world.armed:
                    return otherwise
                scope.cancel()
                try:
                    await trio.lowlevel.checkpoint()
                except trio.Cancelled as error:
                    cancelled.append(error)
                    raise

            world._fail = fail  # type: ignore[method-assign]
            _, call = await BOUNDARIES[name](world)
            world.armed = True
            try:
                await call()
            except trio.Cancelled as error:
                cancelled.append(error)
                raise
        assert scope.cancelled_caught
        thrown, arrived = cancelled
        assert arrived is thrown
        assert not world.ran
        assert_idle(world.store)
        await usable(world)[1]()

    trio.run(main)


def test_an_exception_raised_in_a_finalizer_is_not_the_guests(unraisables):
    class Final:
        def __del__(self) -> None:
            raise Plain

    world = World(Plain(), awaits=False)
    func = Func.new(world.store, NOTHING, lambda caller: Final() and None)
    instance = finish(_entered(world, func))[0]
    instance()
    assert len(unraisables) == 1
    unraisables.clear()
    assert world.ran == [1, 1]


async def _entered(world: World, func: Func) -> Entry:
    return entry(world, await made(world, GUEST, func, world.funcs()[1]), "direct")
