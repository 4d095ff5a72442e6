"""Components that are concurrent themselves, for the tests here."""

from __future__ import annotations

from typing import Any

from asyncwasm import Config, Engine

_SWITCHES: dict[str, Any] = {
    name: True for name in Config.__dataclass_fields__ if name.startswith("wasm_component")
}


def new_engine(**options: Any) -> Engine:
    """An engine with all that components can use."""
    return Engine(Config(**_SWITCHES, **options))


# Calls its import `n` times at once, with 0, 1, …, and returns the sum of the results.
FAN_OUT = """
(component
  (import "work" (func $work async (param "n" u32) (result u32)))
  (core module $libc (memory (export "mem") 64))
  (core instance $libc (instantiate $libc))
  (core func $work' (canon lower (func $work) async (memory (core memory $libc "mem"))))
  (core func $new (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "mem"))))
  (core func $drop (canon subtask.drop))
  (core func $drop-set (canon waitable-set.drop))
  (core module $m
    (import "" "mem" (memory 1))
    (import "" "work" (func $work (param i32 i32) (result i32)))
    (import "" "new" (func $new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-set" (func $drop-set (param i32)))
    (func $place (param $i i32) (result i32)
      (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 2))))
    (func (export "run") (param $n i32) (result i32)
      (local $i i32) (local $set i32) (local $status i32) (local $pending i32) (local $sum i32)
      (local.set $set (call $new))
      (block $started
        (loop $start
          (br_if $started (i32.ge_u (local.get $i) (local.get $n)))
          (local.set $status (call $work (local.get $i) (call $place (local.get $i))))
          (if (i32.ne (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
            (then
              (call $join (i32.shr_u (local.get $status) (i32.const 4)) (local.get $set))
              (local.set $pending (i32.add (local.get $pending) (i32.const 1)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $start)))
      (block $done
        (loop $wait
          (br_if $done (i32.eqz (local.get $pending)))
          (drop (call $wait (local.get $set) (i32.const 8)))
          (if (i32.eq (i32.load (i32.const 12)) (i32.const 2))
            (then
              (call $join (i32.load (i32.const 8)) (i32.const 0))
              (call $drop (i32.load (i32.const 8)))
              (local.set $pending (i32.sub (local.get $pending) (i32.const 1)))))
          (br $wait)))
      (call $drop-set (local.get $set))
      (block $summed
        (loop $add
          (br_if $summed (i32.eqz (local.get $i)))
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          (local.set $sum (i32.add (local.get $sum) (i32.load (call $place (local.get $i)))))
          (br $add)))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance
    (export "mem" (memory $libc "mem"))
    (export "work" (func $work'))
    (export "new" (func $new))
    (export "join" (func $join))
    (export "wait" (func $wait))
    (export "drop" (func $drop))
    (export "drop-set" (func $drop-set))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $i "run")))
)
"""

# Waits for a waitable set that nothing is in.
STUCK = """
(component
  (core module $libc (memory (export "mem") 1))
  (core instance $libc (instantiate $libc))
  (core func $new (canon waitable-set.new))
  (core func $wait (canon waitable-set.wait (memory (core memory $libc "mem"))))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (import "" "wait" (func $wait (param i32 i32) (result i32)))
    (func $deep (export "run") (drop (call $wait (call $new) (i32.const 0)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "wait" (func $wait))))))
  (func (export "run") async (canon lift (core func $i "run")))
)
"""

# Takes a future and returns the future's value.
AWAITING = """
(component
  (core module $libc
    (memory (export "mem") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $top)
      (global.set $top (i32.add (global.get $top) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (type $f (future string))
  (core func $read (canon future.read $f
    (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
  (core func $drop (canon future.drop-readable $f))
  (core module $m
    (import "" "read" (func $read (param i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (param $f i32) (result i32)
      (if (call $read (local.get $f) (i32.const 16)) (then unreachable))
      (call $drop (local.get $f))
      (i32.const 16)))
  (core instance $i (instantiate $m (with "" (instance
    (export "read" (func $read)) (export "drop" (func $drop))))))
  (func (export "run") async (param "f" $f) (result string)
    (canon lift (core func $i "run")
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
)
"""

_RELAY = """
  (component $Relay
    (core module $libc
      (memory (export "mem") 64)
      (global $top (mut i32) (i32.const 2097152))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $top)
        (global.set $top
          (i32.and (i32.const -8)
            (i32.add (i32.add (global.get $top) (local.get 3)) (i32.const 7))))))
    (core instance $libc (instantiate $libc))
    (type $s (stream ELEMENT))
    (core func $new (canon stream.new $s))
    (core func $read (canon stream.read $s
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core func $write (canon stream.write $s (memory (core memory $libc "mem"))))
    (core func $drop-r (canon stream.drop-readable $s))
    (core func $drop-w (canon stream.drop-writable $s))
    (core func $return (canon task.return (result $s)))
    (core module $m
      (import "" "new" (func $new (result i64)))
      (import "" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "" "write" (func $write (param i32 i32 i32) (result i32)))
      (import "" "drop-r" (func $drop-r (param i32)))
      (import "" "drop-w" (func $drop-w (param i32)))
      (import "" "return" (func $return (param i32)))
      (func (export "run") (param $in i32)
        (local $pair i64) (local $out i32) (local $n i32) (local $last i32) (local $w i32)
        (local $status i32)
        (local.set $pair (call $new))
        (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
        (call $return (i32.wrap_i64 (local.get $pair)))
        (block $end
          (loop $more
            (local.set $status (call $read (local.get $in) (i32.const 1024) (i32.const MOST)))
            (local.set $last (i32.and (local.get $status) (i32.const 15)))
            (local.set $n (i32.shr_u (local.get $status) (i32.const 4)))
            (local.set $w (i32.const 0))
            (block $written
              (loop $write
                (br_if $written (i32.ge_u (local.get $w) (local.get $n)))
                (local.set $status
                  (call $write (local.get $out)
                    (i32.add (i32.const 1024) (i32.mul (i32.const SIZE) (local.get $w)))
                    (i32.sub (local.get $n) (local.get $w))))
                (br_if $end (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 1)))
                (local.set $w
                  (i32.add (local.get $w) (i32.shr_u (local.get $status) (i32.const 4))))
                (br $write)))
            (br_if $more (i32.eqz (local.get $last)))))
        (call $drop-r (local.get $in))
        (call $drop-w (local.get $out))))
    (core instance $i (instantiate $m (with "" (instance
      (export "new" (func $new))
      (export "read" (func $read))
      (export "write" (func $write))
      (export "drop-r" (func $drop-r))
      (export "drop-w" (func $drop-w))
      (export "return" (func $return))))))
    (func (export "run") async (param "in" $s) (result $s)
      (canon lift (core func $i "run") async
        (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")))))
"""


def relay(element: str, size: int, most: int) -> str:
    """A component with two functions that hand a stream on, at most `most` elements at a time."""
    inner = _RELAY.replace("ELEMENT", element).replace("SIZE", str(size))
    return f"""
(component
  {inner.replace("MOST", str(most))}
  (instance $a (instantiate $Relay))
  (instance $b (instantiate $Relay))
  (func (export "a") (alias export $a "run"))
  (func (export "b") (alias export $b "run"))
)
"""
