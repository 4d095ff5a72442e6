"""Epochs and preemption: guests that do not stop by themselves."""

from __future__ import annotations

import threading

import anyio
import pytest

from asyncwasm import (
    Config,
    Engine,
    Func,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
    UpdateDeadline,
    UsageError,
)

LOOP = '(module (func (export "spin") (loop (br 0))))'
# Calls the host once, then spins.
CALLING = '(module (import "" "" (func)) (func (export "spin") call 0 (loop (br 0))))'


@pytest.fixture
def store() -> Store:
    return Store(Engine(Config(epoch_interruption=True)))


def spin(store: Store) -> Func:
    return Instance.new(store, Module(store.engine, LOOP)).get_func(store, "spin")


async def spin_async(store: Store) -> Func:
    instance = await Instance.new_async(store, Module(store.engine, LOOP))
    return instance.get_func(store, "spin")


def test_a_fresh_store_is_at_its_deadline(store: Store):
    with pytest.raises(Trap) as caught:
        spin(store).call(store)
    assert caught.value.code is TrapCode.INTERRUPT


def test_another_thread_ends_a_guest(store: Store):
    store.set_epoch_deadline(1)
    function = spin(store)
    timer = threading.Timer(0.05, store.engine.increment_epoch)
    timer.start()
    with pytest.raises(Trap) as caught:
        function.call(store)
    timer.join()
    assert caught.value.code is TrapCode.INTERRUPT


def test_a_callback_sets_the_deadline_or_ends_the_guest(store: Store):
    store.set_epoch_deadline(1)
    seen = []

    def reached(given: Store) -> UpdateDeadline:
        assert given is store
        seen.append(store.engine.epoch)
        if len(seen) == 3:
            return UpdateDeadline.interrupt()
        store.engine.increment_epoch()
        store.engine.increment_epoch()
        return UpdateDeadline.continue_(0)

    store.epoch_deadline_callback(reached)
    function = spin(store)
    store.engine.increment_epoch()
    with pytest.raises(Trap) as caught:
        function.call(store)
    assert caught.value.code is TrapCode.INTERRUPT
    assert seen == [1, 3, 5]


def test_what_a_callback_raises_ends_the_call(store: Store):
    class Stop(Exception):
        pass

    def reached(store: Store) -> UpdateDeadline:
        raise Stop

    store.epoch_deadline_callback(reached)
    with pytest.raises(Stop):
        spin(store).call(store)


def test_a_deadline_met_inside_a_callback_traps(store: Store):
    function = spin(store)

    def reached(store: Store) -> UpdateDeadline:
        with pytest.raises(Trap) as caught:
            function.call(store)
        assert caught.value.code is TrapCode.INTERRUPT
        return UpdateDeadline.interrupt()

    store.epoch_deadline_callback(reached)
    with pytest.raises(Trap):
        function.call(store)


def test_a_callback_must_answer(store: Store):
    store.epoch_deadline_callback(lambda store: None)
    with pytest.raises(TypeError, match="must return UpdateDeadline"):
        spin(store).call(store)


@pytest.mark.anyio
async def test_a_callback_may_be_a_coroutine_function(store: Store):
    awaited = []

    async def reached(store: Store) -> UpdateDeadline:
        await anyio.lowlevel.checkpoint()
        awaited.append(1)
        return UpdateDeadline.continue_(0) if len(awaited) < 3 else UpdateDeadline.interrupt()

    store.epoch_deadline_callback(reached)
    with pytest.raises(Trap):
        await spin(store).call_async(store)
    assert len(awaited) == 3


@pytest.mark.anyio
async def test_yielding_gives_other_tasks_a_turn():
    store = Store(Engine(Config(epoch_interruption=True, preemption_interval=None)))
    store.epoch_deadline_async_yield_and_update(1)
    function = await spin_async(store)
    done = threading.Event()

    def count_epochs() -> None:
        # From outside of the loop: the guest goes on until the next epoch.
        while not done.wait(0.001):
            store.engine.increment_epoch()

    async def tick() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    thread = threading.Thread(target=count_epochs)
    thread.start()
    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(tick)
                await function.call_async(store)
    finally:
        done.set()
        thread.join()


@pytest.mark.anyio
async def test_a_custom_yield_is_awaited(store: Store):
    awaited = []

    async def pause() -> None:
        await anyio.lowlevel.checkpoint()
        awaited.append(1)

    def reached(store: Store) -> UpdateDeadline:
        if awaited:
            return UpdateDeadline.interrupt()
        return UpdateDeadline.yield_custom(0, pause())

    store.epoch_deadline_callback(reached)
    with pytest.raises(Trap):
        await spin(store).call_async(store)
    assert awaited == [1]


def test_without_the_option_deadlines_are_refused():
    store = Store(Engine())
    with pytest.raises(UsageError, match="epoch interruption is not configured"):
        store.set_epoch_deadline(1)


@pytest.mark.anyio
async def test_a_deadline_of_the_caller_ends_a_guest_that_never_yields():
    store = Store(Engine())
    function = spin(store)
    beats = 0

    async def heartbeat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.01)
            beats += 1

    async with anyio.create_task_group() as group:
        group.start_soon(heartbeat)
        with anyio.move_on_after(0.5) as scope:
            await function.call_async(store)
        group.cancel_scope.cancel()
    assert scope.cancelled_caught
    assert beats >= 4
    # A cancelled call leaves the store as it is after a trap: usable.
    with anyio.move_on_after(0.05):
        await function.call_async(store)


@pytest.mark.anyio
async def test_a_guest_that_calls_the_host_is_preempted_too():
    store = Store(Engine())

    async def wait() -> None:
        await anyio.sleep(0.03)

    module = Module(store.engine, CALLING)
    instance = await Instance.new_async(store, module, [Func.wrap_async(store, wait)])
    with anyio.move_on_after(0.1) as scope:
        await instance.get_func(store, "spin").call_async(store)
    assert scope.cancelled_caught


@pytest.mark.anyio
async def test_two_guests_that_never_yield_share_the_loop():
    counts = [0, 0]

    async def run(index: int) -> None:
        store = Store(Engine())

        def count() -> None:
            counts[index] += 1
            if all(counts):
                group.cancel_scope.cancel()

        module = Module(
            store.engine, '(module (import "" "" (func)) (func (export "f") (loop call 0 br 0)))'
        )
        instance = Instance.new(store, module, [Func.wrap(store, count)])
        await instance.get_func(store, "f").call_async(store)

    with anyio.move_on_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run, 0)
            group.start_soon(run, 1)
    assert all(counts)


def test_keyboard_interrupt_ends_a_sync_call():
    import signal

    store = Store(Engine())
    function = spin(store)
    timer = threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,))

    def run() -> None:
        timer.start()
        function.call(store)

    with pytest.raises(KeyboardInterrupt):
        run()
    timer.join()


@pytest.mark.anyio
async def test_preemption_can_be_turned_off():
    store = Store(Engine(Config(preemption_interval=None)))
    module = Module(
        store.engine,
        '(module (func (export "run") (local i32) i32.const 200000 local.set 0'
        " (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))",
    )
    run = Instance.new(store, module).get_func(store, "run")
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await run.call_async(store)
        seen = turns
        group.cancel_scope.cancel()
    # One turn for the checkpoint that every async call is, and none during it.
    assert seen <= 3
