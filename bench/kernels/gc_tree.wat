;; Binary search trees of GC structs: allocation, null checks, field access, recursion.
;; run(n) -> the sum of the depths of n keys, inserted in a scrambled order
(module
  (type $node (struct
    (field $key i32)
    (field $left (mut (ref null $node)))
    (field $right (mut (ref null $node)))))
  (func $insert (param $root (ref $node)) (param $key i32)
    (local $at (ref $node))
    (local.set $at (local.get $root))
    (loop $down
      (if (i32.lt_u (local.get $key) (struct.get $node $key (local.get $at)))
        (then
          (block $empty
            (local.set $at
              (br_on_null $empty (struct.get $node $left (local.get $at))))
            (br $down))
          (struct.set $node $left (local.get $at)
            (struct.new $node (local.get $key) (ref.null $node) (ref.null $node))))
        (else
          (block $empty
            (local.set $at
              (br_on_null $empty (struct.get $node $right (local.get $at))))
            (br $down))
          (struct.set $node $right (local.get $at)
            (struct.new $node (local.get $key) (ref.null $node) (ref.null $node)))))))
  (func $depths (param $at (ref null $node)) (param $depth i32) (result i32)
    (if (result i32) (ref.is_null (local.get $at))
      (then (i32.const 0))
      (else
        (i32.add (local.get $depth)
          (i32.add
            (call $depths (struct.get $node $left (local.get $at))
              (i32.add (local.get $depth) (i32.const 1)))
            (call $depths (struct.get $node $right (local.get $at))
              (i32.add (local.get $depth) (i32.const 1))))))))
  (func (export "run") (param $n i32) (result i32)
    (local $root (ref null $node)) (local $key i32)
    (local.set $root
      (struct.new $node (i32.const 0x80000000) (ref.null $node) (ref.null $node)))
    (local.set $key (i32.const 1))
    (loop $next
      (local.set $key (i32.add (i32.mul (local.get $key) (i32.const 1664525))
        (i32.const 1013904223)))
      (call $insert (ref.as_non_null (local.get $root)) (local.get $key))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $depths (local.get $root) (i32.const 0))))
