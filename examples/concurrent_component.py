"""A guest that is concurrent itself: it calls the host many times at once, and streams the results.

Prints:

    as they come: [3, 2, 1, 0]
    squares of a list: [0, 1, 4, 9]
    squares of a generator: 100 is enough
    gave up after a while
"""

import sys

import anyio

from asyncwasm import Config, Engine, Store
from asyncwasm.component import Component, Linker

GUEST = """
(component
  (import "measure" (func $measure async (param "n" u32) (result u32)))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (type $numbers (stream u32))
  (core func $measure' (canon lower (func $measure) async (memory (core memory $libc "memory"))))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "memory"))))
  (core func $drop (canon subtask.drop))
  (core func $new (canon stream.new $numbers))
  (core func $read (canon stream.read $numbers (memory (core memory $libc "memory"))))
  (core func $write (canon stream.write $numbers (memory (core memory $libc "memory"))))
  (core func $close-in (canon stream.drop-readable $numbers))
  (core func $close-out (canon stream.drop-writable $numbers))
  (core func $return (canon task.return (result $numbers)))

  (core module $guest
    (import "" "memory" (memory 1))
    (import "" "measure" (func $measure (param i32 i32) (result i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "close-in" (func $close-in (param i32)))
    (import "" "close-out" (func $close-out (param i32)))
    (import "" "return" (func $return (param i32)))

    ;; A new stream: its readable end is what the function returns, the writable one stays here.
    (func $answer (result i32) (local $ends i64)
      (local.set $ends (call $new))
      (call $return (i32.wrap_i64 (local.get $ends)))
      (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))

    ;; Where the result of call number i goes, and where that is written down by the call's handle.
    (func $result (param $i i32) (result i32)
      (i32.add (i32.const 256) (i32.shl (local.get $i) (i32.const 2))))
    (func $place (param $call i32) (result i32)
      (i32.add (i32.const 1024) (i32.shl (local.get $call) (i32.const 2))))

    (func (export "survey") (param $n i32)
      (local $out i32) (local $set i32) (local $i i32) (local $call i32)
      (local.set $out (call $answer))
      (local.set $set (call $set))
      ;; Start all calls. The host's functions wait for something, so each becomes a subtask.
      (loop $start
        (local.set $call
          (i32.shr_u (call $measure (local.get $i) (call $result (local.get $i))) (i32.const 4)))
        (i32.store (call $place (local.get $call)) (call $result (local.get $i)))
        (call $join (local.get $call) (local.get $set))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $start (i32.lt_u (local.get $i) (local.get $n))))
      ;; Pass on each result as it comes.
      (loop $next
        (drop (call $wait (local.get $set) (i32.const 0)))
        (local.set $call (i32.load (i32.const 0)))
        (call $join (local.get $call) (i32.const 0))
        (call $drop (local.get $call))
        (drop (call $write (local.get $out)
          (i32.load (call $place (local.get $call))) (i32.const 1)))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (br_if $next (local.get $i)))
      (call $close-out (local.get $out)))

    (func (export "squares") (param $in i32) (local $out i32) (local $n i32)
      (local.set $out (call $answer))
      (block $end
        (loop $next
          (br_if $end (i32.and (i32.const 1)
            (call $read (local.get $in) (i32.const 16) (i32.const 1))))
          (local.set $n (i32.load (i32.const 16)))
          (i32.store (i32.const 16) (i32.mul (local.get $n) (local.get $n)))
          (br_if $next (i32.eqz (i32.and (i32.const 1)
            (call $write (local.get $out) (i32.const 16) (i32.const 1)))))))
      (call $close-in (local.get $in))
      (call $close-out (local.get $out))))

  (core instance $i (instantiate $guest (with "" (instance
    (export "memory" (memory $libc "memory")) (export "measure" (func $measure'))
    (export "set" (func $set)) (export "join" (func $join)) (export "wait" (func $wait))
    (export "drop" (func $drop)) (export "new" (func $new)) (export "read" (func $read))
    (export "write" (func $write)) (export "close-in" (func $close-in))
    (export "close-out" (func $close-out)) (export "return" (func $return))))))
  (func (export "survey") async (param "n" u32) (result $numbers)
    (canon lift (core func $i "survey") async (memory (core memory $libc "memory"))))
  (func (export "squares") async (param "in" $numbers) (result $numbers)
    (canon lift (core func $i "squares") async (memory (core memory $libc "memory"))))
)
"""


# --8<-- [start:host]
async def measure(n):
    await anyio.sleep(0.1 - n / 50)  # the last one is the fastest
    return n


# --8<-- [end:host]


# --8<-- [start:generator]
async def count():
    n = 0
    while True:
        yield n
        n += 1
        await anyio.sleep(0.001)


# --8<-- [end:generator]


async def main():
    # --8<-- [start:setup]
    engine = Engine(
        Config(
            wasm_component_model_async_stackful=True,
            wasm_component_model_more_async_builtins=True,
        )
    )
    linker = Linker(engine)
    linker.root().func_wrap_concurrent("measure", measure)
    store = Store(engine)
    instance = await linker.instantiate_async(store, Component(engine, GUEST))
    survey = instance.get_func(store, "survey")
    squares = instance.get_func(store, "squares")
    # --8<-- [end:setup]

    # --8<-- [start:survey]
    async def show(accessor):
        results = await survey.call_concurrent(accessor, 4)
        print("as they come:", [n async for n in results])

    await store.run_concurrent(show)
    # --8<-- [end:survey]

    # --8<-- [start:squares]
    async def show_squares(accessor):
        async with await squares.call_concurrent(accessor, [0, 1, 2, 3]) as results:
            print("squares of a list:", [n async for n in results])
        async with await squares.call_concurrent(accessor, count()) as results:
            async for n in results:
                if n >= 100:
                    print(f"squares of a generator: {n} is enough")
                    break

    await store.run_concurrent(show_squares)
    # --8<-- [end:squares]

    # --8<-- [start:cancel]
    with anyio.move_on_after(0.03) as scope:
        await store.run_concurrent(show)
    if scope.cancelled_caught:
        print("gave up after a while")
    assert store.tasks() == []
    # --8<-- [end:cancel]


anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
