"""Small programs in the text format, for the tests of everything that runs programs."""

from __future__ import annotations

IMPORTS = """
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $write (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
"""
HELLO = f"""(module $hello {IMPORTS}
  (data (i32.const 16) "hello\\nwarning\\n")
  (func (export "_start")
    (call $write (i32.const 1) (i32.const 16) (i32.const 6))
    (call $write (i32.const 2) (i32.const 22) (i32.const 8))
    (call $proc_exit (i32.const 3))))
"""
# Copies standard input to standard output, some bytes at a time.
CAT = f"""(module {IMPORTS}
  (func (export "_start")
    (loop $more
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 5))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (unreachable)))
      (if (i32.load (i32.const 8))
        (then (call $write (i32.const 1) (i32.const 64) (i32.load (i32.const 8)))
              (br $more))))))
"""
# Writes its arguments with the zeros that end them.
ECHO = f"""(module {IMPORTS}
  (func (export "_start")
    (drop (call $args_sizes_get (i32.const 0) (i32.const 12)))
    (drop (call $args_get (i32.const 1024) (i32.const 2048)))
    (call $write (i32.const 1) (i32.const 2048) (i32.load (i32.const 12)))))
"""
SPIN = '(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))'
TRAP = f"""(module {IMPORTS}
  (func (export "_start") (call $write (i32.const 1) (i32.const 0) (i32.const 3)) (unreachable)))
"""
# Writes its environment with the zeros that end the variables.
ENVIRONMENT = f"""(module {IMPORTS}
  (func (export "_start")
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 12)))
    (drop (call $environ_get (i32.const 1024) (i32.const 2048)))
    (call $write (i32.const 1) (i32.const 2048) (i32.load (i32.const 12)))))
"""
# Writes up to 100 bytes of `file` in the first directory; exits with the error if it cannot.
OPEN = f"""(module {IMPORTS}
  (data (i32.const 16) "file")
  (func (export "_start") (local $error i32)
    (local.set $error
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)))
    (if (local.get $error) (then (call $proc_exit (local.get $error))))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 100))
    (drop (call $fd_read (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $write (i32.const 1) (i32.const 64) (i32.load (i32.const 8)))))
"""
