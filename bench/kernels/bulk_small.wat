;; memory.fill and memory.copy of a few bytes at a time: the cost of one such instruction.
;; run(n) -> the 8 bytes at 0 as an integer, after n overlapping copies, each with a fill of 3
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i64)
    (i64.store (i32.const 0) (i64.const 0x0807060504030201))
    (loop $next
      (memory.copy (i32.const 1) (i32.const 0) (i32.const 7))
      (memory.fill (i32.const 0) (local.get $n) (i32.const 3))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load (i32.const 0))))
