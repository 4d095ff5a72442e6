;; Exceptions thrown two calls down and caught, every third time round.
;; run(n) -> the sum of the values caught
(module
  (tag $odd (param i32))
  (func $inner (param $x i32)
    (if (i32.eqz (i32.rem_u (local.get $x) (i32.const 3)))
      (then (throw $odd (local.get $x)))))
  (func $outer (param $x i32) (call $inner (local.get $x)))
  (func (export "run") (param $n i32) (result i32)
    (local $sum i32)
    (loop $next
      (block $done
        (block $caught (result i32)
          (try_table (catch $odd $caught) (call $outer (local.get $n)))
          (br $done))
        (i32.add (local.get $sum))
        (local.set $sum))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
