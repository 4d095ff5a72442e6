;; memory.fill and memory.copy of 64 KiB at a time: the cost of moving bytes.
;; run(n) -> the last byte, after n rounds of filling one page and copying it to the next
(module
  (memory 2)
  (func (export "run") (param $n i32) (result i32)
    (loop $next
      (memory.fill (i32.const 0) (local.get $n) (i32.const 65536))
      (memory.copy (i32.const 65536) (i32.const 0) (i32.const 65536))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.load8_u (i32.const 131071))))
