"""Tutorial, part 2: the guest calls the host, and the host takes its time.

Prints:

    saving 27 ...
    saving 327 ...
    saving 1377 ...
    saving 2527 ...
    saving 4927 ...
    meanwhile, another task ran
    the hardest number below 10000 that was tried: 4927
"""

import anyio

from asyncwasm import Engine, Func, Instance, Module, Store, i64

# --8<-- [start:guest]
EXPLORER = """
(module
  (import "host" "save" (func $save (param i64)))
  (func $steps (param $n i64) (result i32)
    (local $steps i32)
    (loop $next
      (if (i64.ne (local.get $n) (i64.const 1))
        (then
          (local.set $n
            (if (result i64) (i64.eqz (i64.and (local.get $n) (i64.const 1)))
              (then (i64.shr_u (local.get $n) (i64.const 1)))
              (else (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
          (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
          (br $next))))
    (local.get $steps))
  ;; Save every number in first, first + stride, ... below limit that beats all before it.
  (func (export "explore") (param $n i64) (param $stride i64) (param $limit i64) (result i64)
    (local $best i64) (local $most i32) (local $steps i32)
    (loop $next
      (local.set $steps (call $steps (local.get $n)))
      (if (i32.gt_s (local.get $steps) (local.get $most))
        (then
          (local.set $most (local.get $steps))
          (local.set $best (local.get $n))
          (call $save (local.get $n))))
      (local.set $n (i64.add (local.get $n) (local.get $stride)))
      (br_if $next (i64.lt_u (local.get $n) (local.get $limit))))
    (local.get $best)))
"""
# --8<-- [end:guest]


# --8<-- [start:host]
async def save(n: i64) -> None:
    """Pretend to write to a database."""
    print("saving", n, "...")
    await anyio.sleep(0.05)


# --8<-- [end:host]


# --8<-- [start:main]
async def main() -> None:
    engine = Engine()
    store = Store(engine)
    save_func = Func.wrap_async(store, save)
    instance = await Instance.new_async(store, Module(engine, EXPLORER), [save_func])
    explore = instance.get_func(store, "explore")
    ran = False

    async def another_task() -> None:
        nonlocal ran
        await anyio.sleep(0.01)
        ran = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(another_task)
        best = await explore.call_async(store, 27, 50, 10_000)
    if ran:
        print("meanwhile, another task ran")
    print("the hardest number below 10000 that was tried:", best)


anyio.run(main)  # on asyncio; `backend="trio"` works as well
# --8<-- [end:main]
