;; Matrix product, inner loop down a column: one running sum, strided loads.
;; run(n) -> the sum of all elements of A * B for n x n matrices (n at most 128),
;; A[i][j] = i + j, B[i][j] = i - j
(module
  (memory 16)
  (func $element (param $i i32) (param $j i32) (param $n i32) (result i32)
    (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $j)) (i32.const 3)))
  (func $fill (param $n i32)
    (local $i i32) (local $j i32) (local $at i32)
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $at (call $element (local.get $i) (local.get $j) (local.get $n)))
        (f64.store (local.get $at)
          (f64.convert_i32_s (i32.add (local.get $i) (local.get $j))))
        (f64.store offset=131072 (local.get $at)
          (f64.convert_i32_s (i32.sub (local.get $i) (local.get $j))))
        (f64.store offset=262144 (local.get $at) (f64.const 0))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $n)))))
  (func (export "run") (param $n i32) (result f64)
    (local $i i32) (local $j i32) (local $k i32) (local $row i32) (local $sum f64)
    (local $at i32) (local $end i32)
    (call $fill (local.get $n))
    (local.set $row (i32.shl (local.get $n) (i32.const 3)))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $k (i32.const 0))
        (local.set $sum (f64.const 0))
        (loop $inner
          (local.set $sum (f64.add (local.get $sum)
            (f64.mul
              (f64.load (i32.add (i32.mul (local.get $i) (local.get $row))
                (i32.shl (local.get $k) (i32.const 3))))
              (f64.load offset=131072 (i32.add (i32.mul (local.get $k) (local.get $row))
                (i32.shl (local.get $j) (i32.const 3)))))))
          (local.set $k (i32.add (local.get $k) (i32.const 1)))
          (br_if $inner (i32.lt_u (local.get $k) (local.get $n))))
        (f64.store offset=262144
          (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $j) (i32.const 3)))
          (local.get $sum))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $n))))
    (local.set $sum (f64.const 0))
    (local.set $end (i32.mul (local.get $n) (local.get $row)))
    (loop $add
      (local.set $sum (f64.add (local.get $sum) (f64.load offset=262144 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $add (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $sum)))
