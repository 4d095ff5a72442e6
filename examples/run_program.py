"""Run a WASI program that reads its standard input, which another task sends it.

Run it with `python examples/run_program.py [trio|asyncio]`.

Prints:

    3 lines
    exit code 0
"""

import sys

import anyio

from asyncwasm import wasi

# What a compiler would make of a program that counts lines, at most nine of them.
COUNT = b"""
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "0 lines\\n")
  (func (export "_start") (local $i i32)
    (loop $piece
      ;; One buffer: 1000 bytes at 200.
      (i32.store (i32.const 0) (i32.const 200))
      (i32.store (i32.const 4) (i32.const 1000))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $i (i32.const 0))
      (loop $byte
        (if (i32.lt_u (local.get $i) (i32.load (i32.const 8)))
          (then
            (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100))
              (i32.eq (i32.load8_u offset=200 (local.get $i)) (i32.const 10))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $byte))))
      (br_if $piece (i32.load (i32.const 8))))
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""


# --8<-- [start:feed]
async def main() -> None:
    sender, receiver = anyio.create_memory_object_stream[bytes]()

    async def feed() -> None:
        async with sender:
            for line in (b"one\n", b"two\n", b"three\n"):
                await anyio.sleep(0.01)
                await sender.send(line)

    async with anyio.create_task_group() as group, receiver:
        group.start_soon(feed)
        result = await wasi.run(COUNT, stdin=receiver, capture=True, timeout=10)
    print(result.stdout.decode(), end="")
    print("exit code", result.exit_code)


# --8<-- [end:feed]

if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
