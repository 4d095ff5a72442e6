;; y = a * x + y on f32 vectors, four lanes at a time, and a horizontal sum with integers.
;; run(n) -> after n rounds over 256 floats, the sum of y truncated to integers
;; (x[i] = i, y[i] = 0, a = 1/2)
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $a v128) (local $sum v128)
    (local.set $a (f32x4.splat (f32.const 0.5)))
    (loop $fill
      (f32.store (local.get $i) (f32.convert_i32_u (i32.shr_u (local.get $i) (i32.const 2))))
      (f32.store offset=1024 (local.get $i) (f32.const 0))
      (br_if $fill (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 1024))))
    (loop $rounds
      (local.set $i (i32.const 0))
      (loop $next
        (v128.store offset=1024 (local.get $i)
          (f32x4.add
            (v128.load offset=1024 (local.get $i))
            (f32x4.mul (local.get $a) (v128.load (local.get $i)))))
        (br_if $next (i32.lt_u
          (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const 1024))))
      (br_if $rounds (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.set $i (i32.const 0))
    (loop $add
      (local.set $sum (i32x4.add (local.get $sum)
        (i32x4.trunc_sat_f32x4_s (v128.load offset=1024 (local.get $i)))))
      (br_if $add (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const 1024))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $sum)) (i32x4.extract_lane 1 (local.get $sum)))
      (i32.add (i32x4.extract_lane 2 (local.get $sum)) (i32x4.extract_lane 3 (local.get $sum))))))
