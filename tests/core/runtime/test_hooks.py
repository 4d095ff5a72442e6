"""Call hooks: which transitions are told, in which order, and what errors in them do."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm import (
    AsyncSupportError,
    CallHook,
    Config,
    Engine,
    Func,
    Instance,
    Module,
    Store,
    Trap,
)

TEXT = (
    '(module (import "" "" (func)) (func (export "run") call 0) (func (export "trap") unreachable))'
)
ENTER, LEAVE = CallHook.CALLING_WASM, CallHook.RETURNING_FROM_WASM
HOST, BACK = CallHook.CALLING_HOST, CallHook.RETURNING_FROM_HOST


class Recorder:
    def __init__(self) -> None:
        self.seen: list[CallHook] = []
        self.fail: CallHook | None = None

    def __call__(self, store: Store, kind: CallHook) -> None:
        self.seen.append(kind)
        if kind is self.fail:
            raise RuntimeError(kind.value)


@pytest.fixture
def store() -> Store:
    return Store(Engine())


@pytest.fixture
def calls() -> list[int]:
    return []


@pytest.fixture
def instance(store: Store, calls: list[int]) -> Instance:
    def host() -> None:
        calls.append(1)

    return Instance.new(store, Module(store.engine, TEXT), [Func.wrap(store, host)])


def test_transitions_nest(store: Store, instance: Instance):
    hook = Recorder()
    store.call_hook(hook)
    instance.get_func(store, "run").call(store)
    assert hook.seen == [ENTER, HOST, BACK, LEAVE]
    assert [kind.entering_host for kind in hook.seen] == [False, True, False, True]
    assert [kind.exiting_host for kind in hook.seen] == [True, False, True, False]


def test_a_trap_still_leaves(store: Store, instance: Instance):
    hook = Recorder()
    store.call_hook(hook)
    with pytest.raises(Trap):
        instance.get_func(store, "trap").call(store)
    assert hook.seen == [ENTER, LEAVE]


def test_calling_a_host_function_from_the_host_tells_all_four(store: Store):
    hook = Recorder()
    f = Func.wrap(store, lambda: None)
    store.call_hook(hook)
    f.call(store)
    assert hook.seen == [ENTER, HOST, BACK, LEAVE]


@pytest.mark.parametrize(
    ("fail", "seen", "ran"),
    [
        (ENTER, [ENTER], 0),
        (HOST, [ENTER, HOST, LEAVE], 0),
        (BACK, [ENTER, HOST, BACK, LEAVE], 1),
        (LEAVE, [ENTER, HOST, BACK, LEAVE], 1),
    ],
)
def test_an_error_in_a_hook_takes_the_place_of_the_transition(
    store: Store,
    instance: Instance,
    calls: list[int],
    fail: CallHook,
    seen: list[CallHook],
    ran: int,
):
    hook = Recorder()
    hook.fail = fail
    store.call_hook(hook)
    with pytest.raises(RuntimeError, match=fail.value):
        instance.get_func(store, "run").call(store)
    assert hook.seen == seen
    assert len(calls) == ran


def test_an_error_on_leaving_replaces_a_trap(store: Store, instance: Instance):
    hook = Recorder()
    hook.fail = LEAVE
    store.call_hook(hook)
    with pytest.raises(RuntimeError, match="returning from wasm"):
        instance.get_func(store, "trap").call(store)


def test_a_hook_is_not_told_about_itself(store: Store, instance: Instance):
    seen = []
    run = instance.get_func(store, "run")

    def hook(store: Store, kind: CallHook) -> None:
        seen.append(kind)
        if kind is ENTER:
            run.call(store)

    store.call_hook(hook)
    run.call(store)
    assert seen == [ENTER, HOST, BACK, LEAVE]


def test_instantiation_tells_of_a_start_function_only(store: Store):
    hook = Recorder()
    store.call_hook(hook)
    Instance.new(store, Module(store.engine, "(module)"))
    assert hook.seen == []
    Instance.new(store, Module(store.engine, "(module (func) (start 0))"))
    assert hook.seen == [ENTER, LEAVE]


@pytest.mark.anyio
async def test_an_async_hook_is_awaited():
    # A poll is host code too, and its time comes while the guest is compiled.
    store = Store(Engine(Config(preemption_interval=None)))
    seen = []

    async def hook(store: Store, kind: CallHook) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(kind)

    f = Func.wrap(store, lambda: None)
    instance = await Instance.new_async(store, Module(store.engine, TEXT), [f])
    store.call_hook_async(hook)
    run = instance.get_func(store, "run")
    with pytest.raises(AsyncSupportError):
        run.call(store)
    await run.call_async(store)
    assert seen == [ENTER, HOST, BACK, LEAVE]


@pytest.mark.anyio
async def test_a_yield_is_bracketed_like_a_host_call():
    store = Store(Engine(Config(consume_fuel=True, preemption_interval=None)))
    module = Module(store.engine, '(module (func (export "spin") (loop (br 0))))')
    instance = await Instance.new_async(store, module)
    hook = Recorder()
    store.call_hook(hook)
    store.fuel_async_yield_interval(100)
    store.set_fuel(300)
    with pytest.raises(Trap):
        await instance.get_func(store, "spin").call_async(store)
    assert hook.seen == [ENTER, HOST, BACK, HOST, BACK, LEAVE]


def test_no_hook_after_removal(store: Store, instance: Instance):
    hook = Recorder()
    store.call_hook(hook)
    store.call_hook(None)
    instance.get_func(store, "run").call(store)
    assert hook.seen == []
