"""Calls that cross by gates: what they convert, and what makes them leave a call to Python."""

from __future__ import annotations

import gc
import math
import threading
from typing import Any

import anyio
import pytest

from asyncwasm import (
    AsyncSupportError,
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    StoreBusyError,
    Trap,
    WrongStoreError,
    WrongThreadError,
    f32,
    f64,
    i32,
    i64,
    v128,
)
from asyncwasm.core.runtime.func import REFUSED
from asyncwasm.core.types import F32, F64, I32, I64, V128
from tests.invariants.books import assert_idle

IDENTITY = """
(module
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "v128") (param v128) (result v128) (local.get 0))
  (func (export "none"))
  (func (export "two") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "trap") unreachable)
  (func (export "spin") (loop (br 0))))
"""


def made(text: str, *imports: Any, config: Config | None = None) -> Instance:
    engine = Engine(config or Config(strategy="native"))
    store: Store[None] = Store(engine)
    return Instance.new(store, Module(engine, text), [Func.wrap(store, f) for f in imports])


def function(instance: Instance, name: str) -> Func:
    """An exported function that has its gates: they are made by the first call."""
    func = instance.get_func(instance.store, name)
    assert func is not None
    return func


@pytest.fixture
def instance() -> Instance:
    made_ = made(IDENTITY)
    function(made_, "none").call(made_.store)
    for name, value in (("i32", 0), ("i64", 0), ("f32", 0.0), ("f64", 0.0), ("v128", bytes(16))):
        function(made_, name).call(made_.store, value)
    function(made_, "two").call(made_.store, 0, 0)
    return made_


class Index:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("i32", 5, 5),
        ("i32", -1, -1),
        ("i32", (1 << 32) - 1, -1),
        ("i32", 1 << 31, -(1 << 31)),
        ("i32", -(1 << 31), -(1 << 31)),
        ("i64", (1 << 63) - 1, (1 << 63) - 1),
        ("i64", -(1 << 63), -(1 << 63)),
        ("f32", 0.1, 0.10000000149011612),
        ("f32", 1e300, math.inf),
        ("f64", 0.1, 0.1),
        ("v128", bytes(range(16)), bytes(range(16))),
    ],
)
def test_plain_values_go_straight(instance, name, given, expected):
    func = function(instance, name)
    result = func.direct(instance.store, given)
    assert result == expected
    assert type(result) is type(expected)
    assert func.call(instance.store, given) == expected
    assert_idle(instance.store)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("i32", Index(), 7),
        ("i64", (1 << 64) - 1, -1),
        ("i64", 1 << 63, -(1 << 63)),
        ("f32", 3, 3.0),
        ("f64", 3, 3.0),
        ("v128", bytearray(16), bytes(16)),
    ],
)
def test_other_values_take_the_long_way(instance, name, given, expected):
    func = function(instance, name)
    assert func.direct(instance.store, given) is REFUSED
    assert func.call(instance.store, given) == expected


@pytest.mark.parametrize(
    ("name", "given", "error"),
    [
        ("i32", 1 << 32, OverflowError),
        ("i32", -(1 << 31) - 1, OverflowError),
        ("i32", True, TypeError),
        ("i32", 1.0, TypeError),
        ("i64", 1 << 64, OverflowError),
        ("i64", -(1 << 63) - 1, OverflowError),
        ("f64", "1", TypeError),
        ("v128", bytes(15), TypeError),
    ],
)
def test_wrong_values(instance, name, given, error):
    with pytest.raises(error, match="^argument type mismatch"):
        function(instance, name).call(instance.store, given)
    assert_idle(instance.store)


def test_nans_keep_their_payload(instance):
    nan = function(instance, "f32").call(instance.store, math.nan)
    assert math.isnan(nan)
    assert math.isnan(function(instance, "f64").call(instance.store, math.nan))


def test_several_results_and_none(instance):
    assert function(instance, "two").direct(instance.store, -1, -2) == (-2, -1)
    assert function(instance, "none").direct(instance.store) is None
    with pytest.raises(TypeError, match="expected 0 arguments"):
        function(instance, "none").call(instance.store, 1)


def test_what_stands_in_the_way(instance):
    store, func = instance.store, function(instance, "none")
    other: Store[None] = Store(store.engine)
    with pytest.raises(WrongStoreError):
        func.call(other)
    store.call_hook(lambda store, kind: None)
    assert func.direct(store) is REFUSED
    store.call_hook(None)
    assert func.direct(store) is None
    found: list[BaseException] = []

    def elsewhere() -> None:
        try:
            func.call(store)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert isinstance(found[0], WrongThreadError)
    Func.wrap_async(store, elsewhere)
    with pytest.raises(AsyncSupportError):
        func.call(store)


def test_traps_leave_the_store_idle():
    instance = made(IDENTITY)
    func = function(instance, "trap")
    for _ in range(3):
        with pytest.raises(Trap) as info:
            func.call(instance.store)
        assert [frame.func_index for frame in info.value.frames] == [7]
        assert_idle(instance.store)


ASK = """
(module
  (import "" "f" (func $f (param i32 i64 f32 f64 v128) (result f64)))
  (func (export "ask") (param i32 i64 f32 f64 v128) (result f64)
    (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))
"""


def test_host_functions_get_public_values():
    seen: list[Any] = []

    def host(a: i32, b: i64, c: f32, d: f64, e: v128) -> f64:
        seen.append((a, b, c, d, e))
        return 2.5

    instance = made(ASK, host)
    for _ in range(2):
        assert (
            function(instance, "ask").call(
                instance.store, (1 << 32) - 1, (1 << 64) - 2, 0.5, 0.1, bytes(range(16))
            )
            == 2.5
        )
    assert seen == [(-1, -2, 0.5, 0.1, bytes(range(16)))] * 2


RETURN = (
    '(module (import "" "f" (func $f (result i32))) (func (export "ask") (result i32) call $f))'
)


@pytest.mark.parametrize("value", [7, (1 << 32) - 1, Index()])
def test_results_of_host_functions(value):
    def host() -> i32:
        return value  # type: ignore[no-any-return]

    instance = made(RETURN, host)
    expected = {Index: 7, int: value}[type(value)]
    assert function(instance, "ask").call(instance.store) == (expected ^ 1 << 31) % (1 << 32) - (
        1 << 31
    )


@pytest.mark.parametrize("value", [1 << 32, "1", None, True, 1.5, (1, 2)])
def test_wrong_results_of_host_functions(value):
    def host() -> i32:
        return value  # type: ignore[no-any-return]

    instance = made(RETURN, host)
    with pytest.raises(TypeError, match="incompatible value"):
        function(instance, "ask").call(instance.store)
    assert_idle(instance.store)


def test_a_hook_that_comes_during_a_call():
    events: list[str] = []

    def host() -> i32:
        instance.store.call_hook(lambda store, kind: events.append(kind.name))
        return 1

    instance = made(RETURN, host)
    ask = function(instance, "ask")
    assert ask.call(instance.store) == 1
    events.clear()
    instance.store.call_hook(None)
    assert ask.call(instance.store) == 1
    assert ask.call(instance.store) == 1
    assert events[:2] == ["CALLING_WASM", "CALLING_HOST"]
    assert_idle(instance.store)


def test_calls_nest_in_direct_ones():
    depth = 0

    def host() -> i32:
        nonlocal depth
        depth += 1
        return depth if depth >= 5 else function(instance, "ask").call(instance.store)  # type: ignore[no-any-return]

    instance = made(RETURN, host)
    function(instance, "ask").call(instance.store)
    depth = 0
    assert function(instance, "ask").call(instance.store) == 5
    assert_idle(instance.store)


def test_tables_lead_straight_to_host_functions():
    engine = Engine(Config(strategy="native"))
    store: Store[None] = Store(engine)
    seen: list[int] = []

    def host(caller: Caller[None], x: int) -> int:
        seen.append(x)
        return x + 1

    def plain(x: i32) -> i32:
        seen.append(x)
        return x + 2

    text = """
    (module
      (type $t (func (param i32) (result i32)))
      (import "" "a" (func $a (type $t))) (import "" "b" (func $b (type $t)))
      (table funcref (elem $a $b))
      (func (export "at") (param i32 i32) (result i32)
        (call_indirect (type $t) (local.get 1) (local.get 0))))
    """
    ty = FuncType((I32,), (I32,))
    imports = [Func.new(store, ty, host), Func.wrap(store, plain)]
    at = function(Instance.new(store, Module(engine, text), imports), "at")
    del imports
    gc.collect()
    for _ in range(3):
        assert at.call(store, 0, 5) == 6
        assert at.call(store, 1, -5) == -3
    assert seen == [5, -5] * 3


@pytest.mark.anyio
async def test_async_calls_are_busy_for_others():
    engine = Engine(Config(strategy="native"))
    store: Store[None] = Store(engine)
    inside, go_on = anyio.Event(), anyio.Event()

    async def host() -> i32:
        inside.set()
        await go_on.wait()
        return 3

    instance = await Instance.new_async(
        store, Module(engine, RETURN), [Func.wrap_async(store, host)]
    )
    ask = function(instance, "ask")
    go_on.set()
    assert await ask.call_async(store) == 3
    inside, go_on = anyio.Event(), anyio.Event()
    results: list[Any] = []

    async def first() -> None:
        results.append(await ask.call_async(store))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await inside.wait()
        with pytest.raises(StoreBusyError):
            await ask.call_async(store)
        go_on.set()
    assert results == [3]
    assert_idle(store)


@pytest.mark.anyio
async def test_a_guest_without_end_is_preempted_and_cancelled():
    instance = made(IDENTITY)
    await function(instance, "none").call_async(instance.store)
    spin = function(instance, "spin")
    for _ in range(2):
        with anyio.move_on_after(0.05) as scope:
            await spin.call_async(instance.store)
        assert scope.cancelled_caught
        assert_idle(instance.store)


def test_the_types_are_those_of_gates():
    # What the identity functions above are for.
    instance = made(IDENTITY)
    for name, ty in (("i32", I32), ("i64", I64), ("f32", F32), ("f64", F64), ("v128", V128)):
        assert function(instance, name).typed(instance.store, [ty], [ty]).func.type.func == (
            FuncType((ty,), (ty,))
        )
