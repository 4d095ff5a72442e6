"""A guest that never gives anybody a turn by itself: timers, other tasks and other guests go on.

Each kind of loop there is has to look at the interrupt flag.
"""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap, TrapCode
from tests.invariants.books import assert_idle

pytestmark = pytest.mark.slow

LOOPS = {
    "tight loop": '(func (export "f") (loop (br 0)))',
    "conditional branch": '(func (export "f") (loop (br_if 0 (i32.const 1))))',
    "branch on null": '(func (export "f") (loop $l (br_on_null $l (ref.null func)) drop))',
    "branch on cast": """(func (export "f")
        (ref.null any)
        (loop $l (param anyref) (result anyref) (br_on_cast $l anyref i31ref)) drop)""",
    "branch table": """(func (export "f") (local i32)
        (loop $a (loop $b (local.set 0 (i32.xor (local.get 0) (i32.const 1)))
          (br_table $a $b $a (local.get 0)))))""",
    "nested loops": f'(func (export "f") {"(loop " * 40} (br 39) {")" * 40})',
    "recursion": """(func (export "f") (drop (call $fib (i32.const 60))))
        (func $fib (param i32) (result i32)
          (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                           (call $fib (i32.sub (local.get 0) (i32.const 2)))))))""",
    "deep recursion": """(func $r (param i32)
          (if (local.get 0) (then (call $r (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "f") (loop (call $r (i32.const 4000)) (br 0)))""",
    "indirect recursion": """(table 1 funcref) (elem (i32.const 0) $r)
        (func (export "f") (drop (call $r (i32.const 60))))
        (type $t (func (param i32) (result i32)))
        (func $r (type $t)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
          (i32.add
            (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
            (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))""",
    "tail call": '(func $f (export "f") (return_call $f))',
    "mutual tail calls": '(func $f (export "f") (return_call $g)) (func $g (return_call $f))',
    "indirect tail call": """(table 1 funcref) (elem (i32.const 0) $f)
        (func $f (export "f") (return_call_indirect (i32.const 0)))""",
    "tail call by reference": """(type $t (func)) (elem declare func $f)
        (func $f (export "f") (return_call_ref $t (ref.func $f)))""",
    "throwing": """(tag $e)
        (func (export "f") (loop $l (block $h (try_table (catch_all $h) (throw $e))) (br $l)))""",
    "throwing out of a function": """(tag $e) (func $t (throw $e))
        (func (export "f") (loop $l (try_table (catch_all $l) (call $t))))""",
    "throwing out of many functions": """(tag $e)
        (func $r (param i32) (if (i32.eqz (local.get 0)) (then (throw $e)))
          (call $r (i32.sub (local.get 0) (i32.const 1))))
        (func (export "f") (loop $l (try_table (catch_all $l) (call $r (i32.const 500)))))""",
    "memory.fill": """(memory 160)
        (func (export "f")
          (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 10485760)) (br 0)))""",
    "memory.copy": """(memory 160)
        (func (export "f")
          (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 10485759)) (br 0)))""",
    "table.fill": """(table 100000 funcref)
        (func (export "f")
          (loop (table.fill (i32.const 0) (ref.null func) (i32.const 100000)) (br 0)))""",
    "array.new": """(type $a (array (mut i32)))
        (func (export "f")
          (loop (drop (array.new $a (i32.const 1) (i32.const 100000))) (br 0)))""",
    "array.copy": """(type $a (array (mut i32)))
        (func (export "f") (local $x (ref null $a))
          (local.set $x (array.new $a (i32.const 1) (i32.const 100000)))
          (loop (array.copy $a $a (local.get $x) (i32.const 1) (local.get $x) (i32.const 0)
            (i32.const 99999)) (br 0)))""",
    "endless list": """(type $s (struct (field (ref null $s))))
        (func (export "f") (local (ref null $s) i32)
          (loop
            (local.set 0 (struct.new $s (local.get 0)))
            (if (i32.gt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 1000))
              (then (local.set 0 (ref.null $s)) (local.set 1 (i32.const 0))))
            (br 0)))""",
    "failing growth": """(memory 1 1)
        (func (export "f") (loop (drop (memory.grow (i32.const 1))) (br 0)))""",
    "atomics": """(memory 1 1 shared)
        (func (export "f")
          (loop (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) (br 0)))""",
    "a wait that never waits": """(memory 1 1 shared)
        (func (export "f")
          (loop (drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const -1)))
            (br 0)))""",
    "calls of the host": """(import "" "" (func $h))
        (func (export "f") (loop (call $h) (br 0)))""",
    "start function": "(func $s (loop (br 0))) (start $s)",
}
SECONDS = 0.12
# By when it has to be over on a machine that is busy with other things as well.
LENIENCE = 1.5


async def run(store: Store[None], module: Module) -> None:
    host = Func.new(store, FuncType(), lambda caller: None)
    instance = await Instance.new_async(store, module, [host] * len(module.imports))
    func = instance.get_func(store, "f")
    assert func is not None
    await func.call_async(store)


@pytest.mark.anyio
@pytest.mark.parametrize("name", LOOPS)
async def test_other_tasks_and_timers_go_on(name):
    engine = Engine(Config(shared_memory=True))
    store: Store[None] = Store(engine)
    module = Module(engine, f"(module {LOOPS[name]})")
    beats = 0

    async def heartbeat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.005)
            beats += 1

    async with anyio.create_task_group() as group:
        group.start_soon(heartbeat)
        begin = time.perf_counter()
        with anyio.move_on_after(SECONDS) as scope:
            await run(store, module)
        elapsed = time.perf_counter() - begin
        group.cancel_scope.cancel()
    assert scope.cancelled_caught
    assert elapsed < SECONDS + LENIENCE
    assert beats >= 1
    assert_idle(store)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["tight loop", "recursion", "tail call", "throwing"])
async def test_a_second_guest_gets_done(name):
    engine = Engine()
    store: Store[None] = Store(engine)
    endless = Module(engine, f"(module {LOOPS[name]})")
    # Some milliseconds of work, in many turns.
    other = Module(
        engine,
        '(module (func (export "f") (local i32) (loop (br_if 0 (i32.lt_u'
        " (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 300000))))))",
    )
    async with anyio.create_task_group() as group:
        group.start_soon(run, store, endless)
        with anyio.fail_after(20):
            await run(Store(engine), other)
        group.cancel_scope.cancel()
    assert_idle(store)


@pytest.mark.parametrize("name", [n for n in LOOPS if n != "start function"])
def test_epochs_end_every_loop(name):
    engine = Engine(Config(epoch_interruption=True, shared_memory=True, preemption_interval=None))
    store: Store[None] = Store(engine)
    module = Module(engine, f"(module {LOOPS[name]})")
    host = Func.new(store, FuncType(), lambda caller: None)
    instance = Instance.new(store, module, [host] * len(module.imports))
    func = instance.get_func(store, "f")
    assert func is not None
    polls = 0

    class Enough(Exception):
        pass

    def reached(store: Store[None]) -> None:
        nonlocal polls
        polls += 1
        raise Enough

    # Not at the entry, which every function checks, but somewhere in the loop.
    store.set_epoch_deadline(1)
    store.epoch_deadline_callback(reached)  # type: ignore[arg-type]
    timer = threading.Timer(0.02, engine.increment_epoch)
    timer.start()
    with pytest.raises(Enough):
        func.call(store)
    timer.join()
    assert polls == 1
    assert_idle(store)


@pytest.mark.parametrize("name", LOOPS)
def test_fuel_ends_every_loop(name):
    engine = Engine(Config(consume_fuel=True, shared_memory=True, preemption_interval=None))
    store: Store[None] = Store(engine)
    store.set_fuel(30_000)
    module = Module(engine, f"(module {LOOPS[name]})")
    host = Func.new(store, FuncType(), lambda caller: None)

    def run() -> None:
        instance = Instance.new(store, module, [host] * len(module.imports))
        instance.get_func(store, "f").call(store)

    with pytest.raises(Trap) as caught:
        run()
    assert caught.value.code is TrapCode.OUT_OF_FUEL
    assert_idle(store)
