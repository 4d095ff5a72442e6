"""What surrounds a call: threads, contexts, other users of greenlets, a deep stack, pickling."""

from __future__ import annotations

import contextvars
import copy
import pickle
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import greenlet
import pytest

from asyncwasm import (
    Caller,
    Config,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Instance,
    Limits,
    Linker,
    LinkError,
    MalformedError,
    Memory,
    MemoryAccessError,
    MemoryType,
    Module,
    ResourceLimitError,
    Store,
    StoreBusyError,
    Trap,
    TrapCode,
    UnknownImportError,
    UsageError,
    ValidationError,
    WasmError,
    WrongThreadError,
)
from asyncwasm.core.types import I32
from tests.invariants.books import assert_idle
from tests.waiting import cancelled_once_waiting

NOTHING = FuncType()
CALLING = '(module (import "" "" (func $h)) (func (export "f") (call $h) (call $h)))'
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")


def calling(store: Store[None], host: Callable[[Caller[None]], Any]) -> Func:
    module = Module(store.engine, CALLING)
    func = Instance.new(store, module, [Func.new(store, NOTHING, host)]).get_func(store, "f")
    assert func is not None
    return func


async def calling_async(store: Store[None], host: Callable[[Caller[None]], Any]) -> Func:
    module = Module(store.engine, CALLING)
    imports = [Func.new_async(store, NOTHING, host)]
    func = (await Instance.new_async(store, module, imports)).get_func(store, "f")
    assert func is not None
    return func


# Contexts ----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_host_functions_see_and_set_the_tasks_context():
    store: Store[None] = Store(Engine())
    seen: list[str] = []

    def note(step: str) -> None:
        seen.append(variable.get())
        variable.set(step)

    async def host(caller: Caller[None]) -> None:
        note("async 1")
        await anyio.lowlevel.checkpoint()
        note("async 2")

    func = await calling_async(store, host)
    plain = Func.new(store, NOTHING, lambda caller: note("sync"))
    variable.set("task")
    await func.call_async(store)
    assert variable.get() == "async 2"
    await plain.call_async(store)
    assert variable.get() == "sync"
    assert seen == ["task", "async 1", "async 2", "async 1", "async 2"]


@pytest.mark.anyio
async def test_tasks_do_not_see_each_others_contexts():
    engine = Engine()
    results: dict[int, list[str]] = {}

    async def run(number: int) -> None:
        store: Store[None] = Store(engine)
        seen = results[number] = []

        async def host(caller: Caller[None]) -> None:
            await anyio.lowlevel.checkpoint()
            seen.append(variable.get())
            variable.set(f"{number} {len(seen)}")
            await anyio.sleep(0.001)

        func = await calling_async(store, host)
        variable.set(str(number))
        await func.call_async(store)
        seen.append(variable.get())

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(run, number)
    assert results == {n: [str(n), f"{n} 1", f"{n} 2"] for n in range(10)}
    assert variable.get() == "default"


# Threads -----------------------------------------------------------------------------------------


def in_thread(fn: Callable[[], object]) -> object:
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(fn())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


@pytest.mark.anyio
async def test_a_store_in_use_is_refused_to_other_threads():
    store: Store[None] = Store(Engine())
    outcomes: list[object] = []

    async def host(caller: Caller[None]) -> None:
        outcomes.append(await anyio.to_thread.run_sync(use, store))
        outcomes.append(await anyio.to_thread.run_sync(use, caller))

    def use(context: Any) -> object:
        try:
            return Memory.new(context, MemoryType(Limits(1, None)))
        except UsageError as error:
            return type(error)

    func = await calling_async(store, host)
    await func.call_async(store)
    assert outcomes == [WrongThreadError] * 4
    assert_idle(store)


def test_threads_cannot_share_a_store_but_pass_it_on():
    store: Store[None] = Store(Engine())
    func = calling(store, lambda caller: None)
    func.call(store)
    assert isinstance(in_thread(lambda: func.call(store)), WrongThreadError)
    store.release_thread()
    assert in_thread(lambda: func.call(store)) is None
    with pytest.raises(WrongThreadError):
        func.call(store)
    assert in_thread(store.release_thread) is None
    func.call(store)
    assert_idle(store)


def test_stores_of_one_engine_on_many_threads():
    """They share modules, whose functions are translated once."""
    engine = Engine()
    module = Module(
        engine,
        '(module (func $fib (export "f") (param i32) (result i32)'
        " (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))"
        " (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))"
        " (call $fib (i32.sub (local.get 0) (i32.const 2))))))))",
    )
    results: list[int] = []
    barrier = threading.Barrier(8)

    def run() -> None:
        store: Store[None] = Store(engine)
        barrier.wait()
        results.append(Instance.new(store, module).get_func(store, "f").call(store, 15))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [610] * 8
    assert not engine._running
    assert_idle()


@pytest.mark.parametrize("size", [256 << 10, 512 << 10])
def test_threads_with_small_stacks(size):
    """As on musl and macOS."""

    def run() -> object:
        store: Store[None] = Store(Engine())
        text = '(module (func $r (export "f") (call $r)))'
        func = Instance.new(store, Module(store.engine, text)).get_func(store, "f")
        with pytest.raises(Trap) as caught:
            func.call(store)
        return caught.value.code

    previous = threading.stack_size(size)
    try:
        assert in_thread(run) is TrapCode.STACK_OVERFLOW
    finally:
        threading.stack_size(previous)


# Other users of greenlets -------------------------------------------------------------------------


class Bridge(greenlet.greenlet):
    """The two functions with which SQLAlchemy runs sync code in async programs."""

    def __init__(self, fn: Callable[..., Any], driver: greenlet.greenlet) -> None:
        greenlet.greenlet.__init__(self, fn, driver)
        self.driver = driver
        self.gr_context = driver.gr_context

    @staticmethod
    async def spawn(fn: Callable[..., Any], *args: Any) -> Any:
        context = Bridge(fn, greenlet.getcurrent())
        result = context.switch(*args)
        while not context.dead:
            try:
                value = await result
            except BaseException:
                result = context.throw(*sys.exc_info())
            else:
                result = context.switch(value)
        return result

    @staticmethod
    def wait(awaitable: Awaitable[Any]) -> Any:
        current = greenlet.getcurrent()
        assert isinstance(current, Bridge)
        return current.driver.switch(awaitable)


@pytest.mark.anyio
async def test_a_host_function_that_bridges_itself():
    store: Store[None] = Store(Engine())
    log: list[str] = []

    def query(name: str) -> str:
        Bridge.wait(anyio.lowlevel.checkpoint())
        variable.set(name)
        return name

    async def host(caller: Caller[None]) -> None:
        log.append(await Bridge.spawn(query, f"row {len(log)}"))

    func = await calling_async(store, host)
    await func.call_async(store)
    assert log == ["row 0", "row 1"]
    assert variable.get() == "row 1"
    assert_idle(store)


@pytest.mark.anyio
async def test_a_call_inside_a_bridge_and_a_bridge_inside_that():
    store: Store[None] = Store(Engine())
    log: list[str] = []

    async def host(caller: Caller[None]) -> None:
        def inside() -> str:
            Bridge.wait(anyio.lowlevel.checkpoint())
            return "inner"

        log.append(await Bridge.spawn(inside))

    func = await calling_async(store, host)

    def outside() -> str:
        Bridge.wait(anyio.lowlevel.checkpoint())
        Bridge.wait(func.call_async(store))
        return "outer"

    log.append(await Bridge.spawn(outside))
    assert log == ["inner", "inner", "outer"]
    assert_idle(store)


@pytest.mark.anyio
async def test_cancelled_through_bridges():
    store: Store[None] = Store(Engine())
    log: list[str] = []

    async def host(caller: Caller[None]) -> None:
        def inside() -> None:
            try:
                Bridge.wait(anyio.sleep_forever())
            finally:
                log.append("inner")

        await Bridge.spawn(inside)

    func = await calling_async(store, host)

    def outside() -> None:
        try:
            Bridge.wait(func.call_async(store))
        finally:
            log.append("outer")

    async with cancelled_once_waiting() as scope:
        await Bridge.spawn(outside)
    assert scope.cancelled_caught
    assert log == ["inner", "outer"]
    assert_idle(store)


def test_calls_from_where_python_calls_back():
    """Sort keys, finalizers, hashing: the guest runs below C code there."""
    store: Store[None] = Store(Engine())
    text = """(module (func (export "neg") (param i32) (result i32)
        (i32.sub (i32.const 0) (local.get 0))))"""
    neg = Instance.new(store, Module(store.engine, text)).get_func(store, "neg")
    assert sorted([3, 1, 2], key=lambda n: neg.call(store, n)) == [3, 2, 1]
    seen: list[int] = []

    class Final:
        def __del__(self) -> None:
            seen.append(neg.call(store, 1))

        def __hash__(self) -> int:
            return int(neg.call(store, 2))

    assert len({Final(): 1}) == 1
    assert seen == [-1]
    assert_idle(store)


@pytest.mark.anyio
async def test_suspending_below_c_code():
    store: Store[None] = Store(Engine())
    calls: list[int] = []

    async def host(caller: Caller[None]) -> None:
        await anyio.lowlevel.checkpoint()
        calls.append(1)

    func = await calling_async(store, host)

    async def sort(caller: Caller[None]) -> None:
        from asyncwasm.fiber import await_, on_fiber

        def key(n: int) -> int:
            await_(func.call_async(caller))
            return -n

        assert await on_fiber(sorted, [1, 2, 3]) == [1, 2, 3]
        assert await on_fiber(lambda: sorted([1, 2, 3], key=key)) == [3, 2, 1]

    outer = await calling_async(store, sort)
    await outer.call_async(store)
    assert len(calls) == 12
    assert_idle(store)


# The stack ----------------------------------------------------------------------------------------


def at_depth(depth: int, fn: Callable[[], Any]) -> Any:
    return at_depth(depth - 1, fn) if depth else fn()


RECURSIVE = """(module (import "" "" (func $h))
  (func $down (export "down") (param i32)
    (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))
      (else (call $h)))))"""


@pytest.mark.parametrize("depth", [0, 300, 600, 800])
def test_a_host_deep_in_recursion_calls_the_guest(depth):
    """The guest has its own stack; the host gets back what it had."""
    store: Store[None] = Store(Engine())
    host = Func.new(store, NOTHING, lambda caller: None)
    instance = Instance.new(store, Module(store.engine, RECURSIVE), [host])
    down = instance.get_func(store, "down")
    at_depth(depth, lambda: down.call(store, 7000))
    with pytest.raises(Trap) as caught:
        at_depth(depth, lambda: down.call(store, 100_000))
    assert caught.value.code is TrapCode.STACK_OVERFLOW
    assert_idle(store)


@pytest.mark.parametrize("depth", range(60))
def test_little_of_the_stack_is_left(depth):
    """Wherever recursion ends in our own code: an error, and the books are right."""
    store: Store[None] = Store(Engine())
    host = Func.new(store, NOTHING, lambda caller: None)
    instance = Instance.new(store, Module(store.engine, RECURSIVE), [host])
    down = instance.get_func(store, "down")
    codes: set[TrapCode] = set()
    frame: Any = sys._getframe()
    here = 0
    while frame is not None:
        here, frame = here + 1, frame.f_back
    try:
        at_depth(sys.getrecursionlimit() - here - depth, lambda: down.call(store, 10))
    except RecursionError:
        pass
    except Trap as error:
        codes.add(error.code)
    assert codes <= {TrapCode.STACK_OVERFLOW}
    assert_idle(store)
    down.call(store, 10)


def test_guest_host_guest_at_the_end_of_the_stack():
    """The host function's nested call runs out of stack in the middle of being begun."""
    store: Store[None] = Store(Engine(Config(strategy="interpreter")))
    funcs: list[Func] = []
    depths: list[int] = []

    def host(caller: Caller[None]) -> None:
        depths.append(1)
        funcs[0].call(caller, 10)

    host_func = Func.new(store, NOTHING, host)
    instance = Instance.new(store, Module(store.engine, RECURSIVE), [host_func])
    noop = Func.new(store, NOTHING, lambda caller: None)
    other = Instance.new(store, Module(store.engine, RECURSIVE), [noop])
    down = instance.get_func(store, "down")
    funcs.append(other.get_func(store, "down"))
    limit = store.engine.config.max_wasm_frames
    outcomes: set[object] = set()
    for depth in range(limit + 600, limit + 1100, 5):
        try:
            down.call(store, depth)
            outcomes.add("done")
        except Trap as error:
            outcomes.add(error.code)
        except RecursionError:
            outcomes.add("host")
        assert_idle(store)
    expected = {"done", TrapCode.STACK_OVERFLOW}
    assert expected <= outcomes <= {"host", *expected}


def test_overlapping_calls_give_the_recursion_limit_back():
    """Calls in several stores that end in another order than they began."""

    async def main() -> None:
        engine = Engine()
        events = [anyio.Event() for _ in range(4)]

        async def run(number: int) -> None:
            store: Store[None] = Store(engine)

            async def host(caller: Caller[None]) -> None:
                await events[number].wait()

            await (await calling_async(store, host)).call_async(store)

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(run, number)
            await anyio.sleep(0.01)
            assert sys.getrecursionlimit() > 1000
            for number in (2, 0, 3, 1):
                events[number].set()
                await anyio.sleep(0.005)

    anyio.run(main)
    assert_idle()


# Closing, pickling -------------------------------------------------------------------------------


def test_a_closed_store_refuses_everything_and_may_be_closed_again():
    store: Store[list[int]] = Store(Engine(), [1])
    func = Func.new(store, NOTHING, lambda caller: None)
    store.close()
    store.close()
    assert store.data is None
    with pytest.raises(UsageError, match="closed"):
        func.call(store)
    with pytest.raises(UsageError, match="closed"):
        Instance.new(store, Module(store.engine, "(module)"))


@pytest.mark.anyio
async def test_a_store_is_not_closed_by_its_guest():
    store: Store[None] = Store(Engine())
    refused: list[bool] = []

    async def host(caller: Caller[None]) -> None:
        await anyio.lowlevel.checkpoint()
        for close in (store.close, store.release_thread):
            with pytest.raises(StoreBusyError):
                close()
            refused.append(True)

    await (await calling_async(store, host)).call_async(store)
    assert len(refused) == 4
    store.close()


def test_what_can_be_pickled():
    engine = Engine()
    module = Module(engine, '(module $name (func (export "f") (result i32) (i32.const 7)))')
    again = pickle.loads(pickle.dumps(module))
    assert again.engine is engine
    store: Store[None] = Store(engine)
    assert Instance.new(store, again).get_func(store, "f").call(store) == 7
    ty = FuncType((I32,), (I32,))
    assert pickle.loads(pickle.dumps(ty)) == ty
    assert pickle.loads(pickle.dumps(engine)) is engine


def test_what_cannot_be_pickled():
    store: Store[None] = Store(Engine())
    module = Module(store.engine, '(module (memory (export "m") 1))')
    instance = Instance.new(store, module)
    things = [store, instance, instance.get_memory(store, "m")]
    for thing in things:
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.deepcopy(thing)


def errors() -> list[WasmError]:
    store: Store[None] = Store(Engine())
    module = Module(store.engine, '(module (func (export "f") unreachable))')
    with pytest.raises(Trap) as caught:
        Instance.new(store, module).get_func(store, "f").call(store)
    with pytest.raises(UnknownImportError) as missing:
        Linker(store.engine).instantiate(store, Module(store.engine, CALLING))
    with pytest.raises(MalformedError) as malformed:
        Module(store.engine, b"\0asm\1\0\0\0\xff")
    with pytest.raises(ValidationError) as invalid:
        Module(store.engine, "(module (func i32.add))")
    return [
        *(caught.value, missing.value, malformed.value, invalid.value),
        *(LinkError("text"), ResourceLimitError("text"), MemoryAccessError(), ExitTrap(3)),
    ]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_errors_survive_pickling(error, how):
    """They cross process boundaries, where one that cannot breaks a whole pool."""
    again = how(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
