"""Two guests playing ping-pong through a shared memory, on one event loop.

Each has a store of its own.  `memory.atomic.wait32` suspends the waiting guest's task, not the
thread, so one thread is enough for both.

Prints:

    1000 volleys, 500 by each
"""

import sys

import anyio

from asyncwasm import (
    Config,
    Engine,
    Instance,
    Limits,
    MemoryType,
    Module,
    SharedMemory,
    Store,
)

# --8<-- [start:guest]
# The ball is the i32 at 0: the number of volleys so far.  A player whose parity it shows hits
# it and wakes the other, until `last` volleys were played; it returns how often it hit.
PLAYER = """
(module
  (import "game" "court" (memory 1 1 shared))
  (func (export "play") (param $parity i32) (param $last i32) (result i32)
    (local $ball i32) (local $hits i32)
    (block $over
      (loop $rally
        (local.set $ball (i32.atomic.load (i32.const 0)))
        (br_if $over (i32.ge_s (local.get $ball) (local.get $last)))
        (if (i32.eq (i32.and (local.get $ball) (i32.const 1)) (local.get $parity))
          (then
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (local.set $hits (i32.add (local.get $hits) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
          (else
            (drop (memory.atomic.wait32 (i32.const 0) (local.get $ball) (i64.const -1)))))
        (br $rally)))
    (local.get $hits)))
"""
# --8<-- [end:guest]


# --8<-- [start:main]
async def main() -> None:
    engine = Engine(Config(shared_memory=True))
    module = Module(engine, PLAYER)
    court = SharedMemory.new(engine, MemoryType(Limits(1, 1), shared=True))
    hits = {}

    async def player(parity: int) -> None:
        store = Store(engine)
        instance = await Instance.new_async(store, module, [court])
        play = instance.get_func(store, "play")
        hits[parity] = await play.call_async(store, parity, 1000)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(player, 0)
        tasks.start_soon(player, 1)

    volleys = int.from_bytes(court.read(0, 4), "little")
    assert hits[0] == hits[1]
    print(f"{volleys} volleys, {hits[0]} by each")


# --8<-- [end:main]

if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
