;; CRC-32 (reflected, polynomial 0xedb88320), table driven: dependent loads, shifts and xor.
;; run(n) -> the checksum of n bytes where byte i is i mod 251 (n at most 128 Ki), as unsigned
(module
  (memory 3)
  (func $table
    (local $i i32) (local $bit i32) (local $c i32)
    (loop $entries
      (local.set $c (local.get $i))
      (local.set $bit (i32.const 8))
      (loop $bits
        (local.set $c
          (i32.xor
            (i32.shr_u (local.get $c) (i32.const 1))
            (i32.and
              (i32.sub (i32.const 0) (i32.and (local.get $c) (i32.const 1)))
              (i32.const 0xedb88320))))
        (br_if $bits (local.tee $bit (i32.sub (local.get $bit) (i32.const 1)))))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $c))
      (br_if $entries (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256)))))
  (func $fill (param $n i32)
    (local $i i32)
    (loop $next
      (i32.store8 offset=1024 (local.get $i) (i32.rem_u (local.get $i) (i32.const 251)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "run") (param $n i32) (result i64)
    (local $c i32) (local $i i32)
    (call $table)
    (call $fill (local.get $n))
    (local.set $c (i32.const -1))
    (loop $next
      (local.set $c
        (i32.xor
          (i32.shr_u (local.get $c) (i32.const 8))
          (i32.load
            (i32.shl
              (i32.and
                (i32.xor (local.get $c) (i32.load8_u offset=1024 (local.get $i)))
                (i32.const 0xff))
              (i32.const 2)))))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i64.extend_i32_u (i32.xor (local.get $c) (i32.const -1)))))
