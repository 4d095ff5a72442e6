"""Tutorial, part 5: limits.

Prints:

    grow to 4 MiB: 1
    grow past 8 MiB: -1
    used 11 units of fuel
    all fuel consumed by WebAssembly
"""

import anyio

from asyncwasm import Config, Engine, Instance, Module, Store, StoreLimits, Trap

# --8<-- [start:guest]
HUNGRY = """
(module
  (memory 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "work") (param $n i32)
    (loop $more
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
"""
# --8<-- [end:guest]


# --8<-- [start:main]
async def main() -> None:
    engine = Engine(Config(consume_fuel=True))
    store = Store(engine)
    store.limiter(StoreLimits(memory_size=8 << 20))
    store.set_fuel(1000)
    instance = await Instance.new_async(store, Module(engine, HUNGRY))
    grow = instance.get_func(store, "grow")
    work = instance.get_func(store, "work")

    print("grow to 4 MiB:", await grow.call_async(store, 63))
    print("grow past 8 MiB:", await grow.call_async(store, 100))

    before = store.get_fuel()
    await work.call_async(store, 2)
    print("used", before - store.get_fuel(), "units of fuel")
    try:
        await work.call_async(store, 1_000_000)
    except Trap as trap:
        print(trap.code.value)


anyio.run(main)
# --8<-- [end:main]
