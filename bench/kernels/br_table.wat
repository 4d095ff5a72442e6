;; A byte-code interpreter dispatching with br_table, as compilers write `switch` in a loop.
;; The program it runs: while (--n) { acc = acc * 31 + n; if (acc & 1) acc ^= n }
;; run(n) -> acc, as unsigned
(module
  (memory 1)
  ;; 0 dec n; 1 halt if n == 0; 2 acc *= 31; 3 acc += n; 4 skip next if acc is even; 5 acc ^= n;
  ;; 6 jump to 0
  (data (i32.const 0) "\00\01\02\03\04\05\06")
  (func (export "run") (param $n i32) (result i64)
    (local $pc i32) (local $acc i32)
    (block $halt
      (loop $next
        (block $jump
          (block $xor
            (block $skip
              (block $add
                (block $mul
                  (block $test
                    (block $dec
                      (br_table $dec $test $mul $add $skip $xor $jump $halt
                        (i32.load8_u (local.get $pc))))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                    (br $next))
                  (br_if $halt (i32.eqz (local.get $n)))
                  (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                  (br $next))
                (local.set $acc (i32.mul (local.get $acc) (i32.const 31)))
                (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                (br $next))
              (local.set $acc (i32.add (local.get $acc) (local.get $n)))
              (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
              (br $next))
            (local.set $pc (i32.add (local.get $pc)
              (i32.sub (i32.const 2) (i32.and (local.get $acc) (i32.const 1)))))
            (br $next))
          (local.set $acc (i32.xor (local.get $acc) (local.get $n)))
          (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
          (br $next))
        (local.set $pc (i32.const 0))
        (br $next)))
    (i64.extend_i32_u (local.get $acc))))
