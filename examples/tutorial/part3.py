"""Tutorial, part 3: strings live in the guest's memory.

Prints:

    HELLO, WASM!
    the guest logs: 12 bytes seen
"""

import anyio

from asyncwasm import Caller, Engine, Linker, Memory, Module, Store

# --8<-- [start:guest]
SHOUT = """
(module
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "bytes seen")
  ;; A bump allocator: enough for a tutorial.
  (global $free (mut i32) (i32.const 64))
  (func (export "alloc") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  ;; Turn lower case into upper case, in place.
  (func (export "shout") (param $at i32) (param $size i32)
    (local $end i32) (local $c i32)
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $c (i32.load8_u (local.get $at)))
        (if (i32.le_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 25))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $c) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $log (i32.const 0) (local.get $size))))
"""
# --8<-- [end:guest]

logged = []


# --8<-- [start:log]
def log(caller: Caller, address: int, count: int) -> None:
    """A host function that needs the calling guest asks for a `Caller`."""
    memory = caller.get_export("memory")
    assert isinstance(memory, Memory)
    logged.append(f"{count} {memory.read(caller, address, 10).decode()}")


# --8<-- [end:log]


# --8<-- [start:main]
async def main() -> None:
    engine = Engine()
    linker = Linker(engine)
    linker.func_wrap("host", "log", log)
    store = Store(engine)
    instance = await linker.instantiate_async(store, Module(engine, SHOUT))

    text = b"hello, wasm!"
    alloc = instance.get_func(store, "alloc")
    shout = instance.get_func(store, "shout")
    memory = instance.get_memory(store, "memory")
    address = await alloc.call_async(store, len(text))
    memory.write(store, address, text)
    await shout.call_async(store, address, len(text))
    print(memory.read(store, address, len(text)).decode())
    print("the guest logs:", *logged)


anyio.run(main)
# --8<-- [end:main]
