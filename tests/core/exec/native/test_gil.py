"""`Config.release_gil`: other threads go on while machine code runs, and Python is safe from it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from asyncwasm import (
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Memory,
    Module,
    Store,
    Trap,
    TrapCode,
    WrongThreadError,
)
from asyncwasm.core.runtime.words import RELEASED, SEEN
from asyncwasm.core.types import I32
from tests import child
from tests.strike import interrupt

pytest.importorskip("llvmlite")

# Counts at 8 until there is something at 0, in a function that `spin` calls.
TEXT = """
(module (import "" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1 4) (table (export "table") 2 10 funcref) (tag $e (param i32))
  (global $g (mut externref) (ref.null extern))
  (elem (i32.const 0) $host $one)
  (func $one (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $spin (export "spin")
    (loop $l
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (br_if $l (i32.eqz (i32.load (i32.const 0))))))
  (func (export "spin_and_trap") (call $spin) (unreachable))
  (func (export "spin_and_call") (param i32) (result i32)
    (call $spin) (i32.add (call $host (local.get 0)) (call $one (i32.const 0))))
  (func $throw (call $spin) (throw $e (i32.const 7)))
  (func (export "spin_and_throw") (call $throw))
  (func (export "spin_and_catch") (result i32)
    (block $b (result i32) (try_table (catch $e $b) (call $throw)) (i32.const 0)))
  (func (export "spin_and_grow") (result i32)
    (call $spin) (i32.add (memory.grow (i32.const 1)) (memory.size)))
  (func (export "spin_and_look") (param i32) (result i32)
    (call $spin) (call_indirect (param i32) (result i32) (i32.const 5) (local.get 0)))
  (func (export "spin_and_leave") (param i32) (result i32)
    (call $spin) (return_call_indirect (param i32) (result i32) (i32.const 5) (local.get 0)))
  (func (export "spin_and_keep") (param externref) (result externref)
    (call $spin) (global.set $g (local.get 0)) (call $spin) (global.get $g)))
"""


@pytest.fixture(params=["tiered", "none", "speed"])
def engine(request: Any) -> Engine:
    # The interval is too long to count: nothing but `release_gil` asks for checks.
    options = {"opt_level": request.param, "preemption_interval": None, "release_gil": True}
    return Engine(Config(strategy="native", **options))


class Guest:
    """An instance of `TEXT`."""

    def __init__(self, engine: Engine, host: Any = lambda caller, n: n * 2) -> None:
        self.store: Store[None] = Store(engine)
        ty = FuncType((I32,), (I32,))
        imports = [Func.new(self.store, ty, host)]
        self.instance = Instance.new(self.store, Module(engine, TEXT), imports)
        memory = self.instance.get_memory(self.store, "memory")
        assert isinstance(memory, Memory)
        self.view = memory.data(self.store).cast("I")
        # What is done on the other thread once it has seen that.
        self.meanwhile: Any = lambda: None

    def call(self, name: str, *args: Any) -> Any:
        """Call an export that spins until another thread has seen it run without the GIL."""
        ended: list[bool] = []

        def watch() -> None:
            while not ended and not self.is_running_beside():
                time.sleep(0.001)
            self.meanwhile()
            self.view[0] = 1

        self.view[0] = self.view[2] = 0
        watcher = threading.Thread(target=watch)
        watcher.start()
        func = self.instance.get_func(self.store, name)
        assert func is not None
        try:
            return func.call(self.store, *args)
        finally:
            ended.append(True)
            watcher.join()
            assert not self.store.words[RELEASED]

    def is_running_beside(self) -> bool:
        """Whether the guest counts while this thread, which gives it to nobody, has the GIL."""
        before = self.view[2]
        return before != 0 and any(self.view[2] != before for _ in range(10_000))


@pytest.fixture(autouse=True)
def _nobody_is_interrupted() -> Iterator[None]:
    """No thread is made to give up the GIL, except by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def test_python_runs_beside(engine: Engine):
    assert Guest(engine).call("spin") is None


def test_without_the_option_it_does_not():
    # The guest, whose checks let others run, has to wait longer than what is looked at takes.
    sys.setswitchinterval(0.2)
    guest = Guest(Engine(Config(strategy="native", opt_level="speed")))
    seen: list[bool] = []

    def watch() -> None:
        while not guest.view[2]:
            time.sleep(0.001)
        seen.append(guest.is_running_beside())
        guest.view[0] = 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    guest.instance.get_func(guest.store, "spin").call(guest.store)  # type: ignore[union-attr]
    watcher.join()
    assert seen == [False]


def test_another_guest_runs_beside(engine: Engine):
    first, second = Guest(engine), Guest(engine)
    second.store.release_thread()
    other = threading.Thread(target=lambda: second.call("spin"))
    other.start()
    assert first.call("spin") is None
    other.join()
    assert second.view[0] == 1


def test_what_follows_has_the_gil(engine: Engine):
    threads = []

    def host(caller: Any, n: int) -> int:
        threads.append(threading.get_ident())
        return n * 2

    guest = Guest(engine, host)
    for _ in range(3):
        assert guest.call("spin_and_call", 4) == 9
        assert guest.call("spin_and_catch") == 7
        assert guest.call("spin_and_look", 0) == 10
        assert guest.call("spin_and_look", 1) == 6
        assert guest.call("spin_and_leave", 0) == 10
        assert guest.call("spin_and_leave", 1) == 6
    assert [guest.call("spin_and_grow") for _ in range(3)] == [3, 5, 7]
    marks = [ExternRef.new(guest.store, text) for text in ("first", "second")]
    assert [guest.call("spin_and_keep", mark).value for mark in marks] == ["first", "second"]
    assert set(threads) == {threading.get_ident()}


def test_traps_and_exceptions(engine: Engine):
    class Oops(Exception):
        pass

    def host(caller: Any, n: int) -> int:
        raise Oops

    guest = Guest(engine, host)
    with pytest.raises(Trap) as caught:
        guest.call("spin_and_trap")
    assert caught.value.code is TrapCode.UNREACHABLE
    assert len(caught.value.frames) == 1
    with pytest.raises(Exception, match="exception"):
        guest.call("spin_and_throw")
    with pytest.raises(Oops):
        guest.call("spin_and_call", 1)
    with pytest.raises(Oops):
        guest.call("spin_and_look", 0)
    with pytest.raises(Trap):
        guest.call("spin_and_look", 2)


def test_ctrl_c(engine: Engine):
    guest = Guest(engine)
    spin = guest.instance.get_func(guest.store, "spin")
    assert spin is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = interrupt(0.05)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            spin.call(guest.store)
    finally:
        signal.signal(signal.SIGINT, before)
        timer.join()
    assert not guest.store.words[RELEASED]
    assert guest.call("spin") is None


@pytest.mark.anyio
async def test_other_tasks_and_fibers(anyio_backend_name: str):
    """Guests of one loop suspend and go on, in turns, each having released the GIL."""
    engine = Engine(Config(strategy="native", release_gil=True, preemption_interval=0.001))
    done: list[int] = []
    nested = Guest(engine)

    async def host(caller: Any, n: int) -> int:
        caller.store.words[SEEN] = 0
        await anyio.sleep(0.001 * n)
        assert nested.call("spin_and_call", 1) == 3
        done.append(n)
        return n

    async def run(n: int) -> None:
        store: Store[None] = Store(engine)
        imports = [Func.new_async(store, FuncType((I32,), (I32,)), host)]
        instance = await Instance.new_async(store, Module(engine, AWAITING), imports)
        func = instance.get_func(store, "run")
        assert func is not None
        assert await func.call_async(store, n) == 5 * n
        assert not store.words[RELEASED]

    async with anyio.create_task_group() as group:
        for n in range(5):
            group.start_soon(run, n)
    assert sorted(done) == sorted([*range(5)] * 5)


AWAITING = """
(module (import "" "host" (func $host (param i32) (result i32)))
  (func (export "run") (param i32) (result i32) (local $sum i32) (local $i i32) (local $j i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (call $host (local.get 0))))
      (local.set $j (i32.const 100000))
      (loop $m (br_if $m (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 5))))
    (local.get $sum)))
"""


def test_tables_are_for_their_own_thread(engine: Engine):
    guest = Guest(engine)
    table: Any = guest.instance.get_export(guest.store, "table")
    refused: list[str] = []

    def meddle() -> None:
        for change in (
            lambda: table.set(guest.store, 0, None),
            lambda: table.fill(guest.store, 0, None, 1),
            lambda: table.copy(guest.store, table, 0, table, 1, 1),
        ):
            with pytest.raises(WrongThreadError) as caught:
                change()
            refused.append(str(caught.value))

    guest.meanwhile = meddle
    guest.call("spin")
    assert refused == ["store has a call in progress on another thread"] * 3
    table.set(guest.store, 0, None)


@pytest.mark.slow
@pytest.mark.spec
@pytest.mark.parametrize("opt_level", ["none", "speed"])
@pytest.mark.parametrize("name", ["call", "call_indirect", "try_table", "return_call"])
def test_nothing_of_python_is_used_without_it(name: str, opt_level: str):
    suite = pytest.importorskip("tests.spec.suite")
    if not suite.CORE.exists():
        pytest.skip(suite.ABSENT)
    child.run("tests.core.exec.native.unlocked", "script", f"{name}.wast", opt_level)
