"""Host functions: their types, their values, and the exceptions that pass through guests."""

from __future__ import annotations

import functools
from typing import Any

import anyio
import pytest

from asyncwasm import (
    Caller,
    Engine,
    ExternRef,
    Frame,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
    UsageError,
    f32,
    f64,
    i32,
    i64,
    v128,
)
from asyncwasm.core.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128

CALL = (
    '(module $m (import "" "" (func $host)) (func $inner call $host)'
    ' (func $outer (export "run") nop call $inner))'
)


@pytest.fixture
def store() -> Store:
    return Store(Engine())


def test_types_are_read_from_annotations(store: Store):
    def everything(
        a: i32, b: i64, c: f32, d: f64, e: v128, f: int, g: float, h: bytes
    ) -> tuple[i64, f32]: ...

    ty = Func.wrap(store, everything).ty(store)
    assert ty.params == (I32, I64, F32, F64, V128, I32, F64, V128)
    assert ty.results == (I64, F32)

    def references(a: Func | None, b: ExternRef | None) -> None: ...

    assert Func.wrap(store, references).ty(store) == FuncType((FUNCREF, EXTERNREF))

    def with_caller(caller: Caller, a: i32) -> i32: ...

    assert Func.wrap(store, with_caller).ty(store) == FuncType((I32,), (I32,))
    assert Func.wrap(store, functools.partial(with_caller)).ty(store).params == (I32,)


@pytest.mark.parametrize(
    "fn",
    [
        lambda a: None,
        lambda *args: None,
        len,
        pytest.param(lambda a: None, id="no annotation"),
    ],
)
def test_a_signature_that_does_not_say_the_type(store: Store, fn: Any):
    with pytest.raises(TypeError):
        Func.wrap(store, fn)


def test_what_is_not_callable(store: Store):
    with pytest.raises(TypeError, match="must be callable"):
        Func.new(store, FuncType(), 3)


def test_values_are_converted_both_ways(store: Store):
    seen = []

    def host(caller: Caller, *args: Any) -> Any:
        seen.append(args)
        return args

    types = (I32, I64, F32, F64, V128)
    func = Func.new(store, FuncType(types, types), host)
    vector = bytes(range(16))
    result = func.call(store, 0xFFFFFFFF, -1, 1.5, 2, vector)
    assert result == (-1, -1, 1.5, 2.0, vector)
    assert seen == [(-1, -1, 1.5, 2.0, vector)]


@pytest.mark.parametrize(
    ("ty", "value", "error"),
    [
        (I32, 1 << 32, OverflowError),
        (I32, -(1 << 31) - 1, OverflowError),
        (I64, 1 << 64, OverflowError),
        (I32, 1.0, TypeError),
        (I32, "1", TypeError),
        (F64, "1", TypeError),
        (V128, b"short", TypeError),
        (FUNCREF, 1, TypeError),
        (EXTERNREF, 1, TypeError),
    ],
)
def test_arguments_that_do_not_fit(store: Store, ty: Any, value: Any, error: type[Exception]):
    func = Func.new(store, FuncType((ty,)), lambda caller, value: None)
    with pytest.raises(error, match="^argument type mismatch: "):
        func.call(store, value)


def test_the_number_of_arguments_is_checked(store: Store):
    func = Func.new(store, FuncType((I32,)), lambda caller, value: None)
    with pytest.raises(TypeError, match="^expected 1 arguments, got 2$"):
        func.call(store, 1, 2)


@pytest.mark.parametrize("value", [None, "x", (1, 2), 1 << 40])
def test_results_that_do_not_fit(store: Store, value: Any):
    func = Func.new(store, FuncType((), (I32,)), lambda caller: value)
    with pytest.raises(TypeError, match="^function attempted to return an incompatible value: "):
        func.call(store)


def test_a_sync_host_function_that_returns_a_coroutine(store: Store):
    async def host() -> None: ...

    func = Func.wrap(store, host)
    with pytest.raises(UsageError, match="define it with `wrap_async`"):
        func.call(store)


@pytest.mark.anyio
async def test_a_plain_function_is_fine_where_an_async_one_may_be():
    store = Store(Engine())
    func = Func.wrap_async(store, lambda: None)
    assert await func.call_async(store) is None


class Boom(BaseException):
    pass


@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        KeyboardInterrupt,
        Boom,
        IndexError,
        RecursionError,
        ZeroDivisionError,
        StopIteration,
    ],
)
def test_a_host_exception_arrives_unchanged(store: Store, kind: type[BaseException]):
    error = kind("from the host")

    def host() -> None:
        raise error

    instance = Instance.new(store, Module(store.engine, CALL), [Func.wrap(store, host)])
    with pytest.raises(kind) as caught:
        instance.get_func(store, "run").call(store)
    assert caught.value is error
    if isinstance(error, (Exception, KeyboardInterrupt)):
        (note,) = error.__notes__
        assert note.startswith("error while executing at wasm backtrace:\n")
        assert "m!inner" in note
        assert "m!outer" in note


@pytest.mark.anyio
async def test_an_async_host_exception_arrives_unchanged():
    store = Store(Engine())
    error = ValueError("from the host")

    async def host() -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    instance = await Instance.new_async(
        store, Module(store.engine, CALL), [Func.wrap_async(store, host)]
    )
    with pytest.raises(ValueError, match="from the host") as caught:
        await instance.get_func(store, "run").call_async(store)
    assert caught.value is error
    assert error.__notes__[0].count("m!inner") == 1


def test_the_guest_runs_nothing_after_a_host_exception(store: Store):
    calls = []

    def host() -> None:
        calls.append(1)
        raise ValueError

    text = (
        '(module (import "" "" (func $host)) (func (export "run")'
        " (block (try_table (catch_all 0) call $host)) call $host))"
    )
    instance = Instance.new(store, Module(store.engine, text), [Func.wrap(store, host)])
    with pytest.raises(ValueError):
        instance.get_func(store, "run").call(store)
    assert calls == [1]


def test_a_trap_has_code_message_and_frames(store: Store):
    text = (
        "(module $name (func $leaf (param i32) (result i32) (i32.div_u (i32.const 1)"
        ' (local.get 0))) (func (export "run") (result i32) (call $leaf (i32.const 0))))'
    )
    module = Module(store.engine, text)
    instance = Instance.new(store, module)
    with pytest.raises(Trap, match="^wasm trap: integer divide by zero") as caught:
        instance.get_func(store, "run").call(store)
    trap = caught.value
    assert trap.code is TrapCode.INTEGER_DIVISION_BY_ZERO
    inner, outer = trap.frames
    assert isinstance(inner, Frame)
    assert (inner.module_name, inner.func_name, inner.func_index) == ("name", "leaf", 0)
    assert (outer.func_name, outer.func_index) == (None, 1)
    data = module.info.data
    assert data[inner.module_offset] == 0x6E
    assert data[outer.module_offset] == 0x10
    assert trap.__notes__[0].splitlines()[1].endswith("name!leaf")
    assert trap.__notes__[0].splitlines()[2].endswith("name!<wasm function 1>")


def test_frames_of_nested_calls_are_all_there(store: Store):
    functions: list[Func] = []

    def host() -> None:
        functions[0].call(store)

    text = (
        '(module (import "" "" (func $host)) (func $a (export "a") call $host)'
        ' (func $b (export "b") unreachable))'
    )
    instance = Instance.new(store, Module(store.engine, text), [Func.wrap(store, host)])
    functions.append(instance.get_func(store, "b"))
    with pytest.raises(Trap) as caught:
        instance.get_func(store, "a").call(store)
    assert [frame.func_name for frame in caught.value.frames] == ["b", "a"]
    assert len(caught.value.__notes__) == 1


def test_endless_recursion_is_a_trap_and_the_store_goes_on(store: Store):
    text = '(module (func $f (export "f") call $f) (func (export "g") (result i32) i32.const 1))'
    instance = Instance.new(store, Module(store.engine, text))
    for _ in range(2):
        with pytest.raises(Trap) as caught:
            instance.get_func(store, "f").call(store)
        assert caught.value.code is TrapCode.STACK_OVERFLOW
        assert len(caught.value.frames) == 20
    assert instance.get_func(store, "g").call(store) == 1


def test_endless_recursion_through_a_plain_host_function(store: Store):
    def host(n: i32) -> i32:
        return n

    text = (
        '(module (import "" "" (func $host (param i32) (result i32)))'
        ' (func $f (export "f") (result i32) (call $host (call $f))))'
    )
    instance = Instance.new(store, Module(store.engine, text), [Func.wrap(store, host)])
    with pytest.raises(Trap) as caught:
        instance.get_func(store, "f").call(store)
    assert caught.value.code is TrapCode.STACK_OVERFLOW
