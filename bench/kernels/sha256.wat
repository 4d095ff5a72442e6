;; SHA-256: rotations, additions and boolean functions over a message schedule in memory.
;; run(n) -> the first 32 bits, unsigned, of the digest of n blocks of 64 zero bytes, padded
;; (so of 64 * n zero bytes)
(module
  (memory 1)
  ;; the round constants at 0, the schedule at 256
  (data (i32.const 0)
    "\98\2f\8a\42\91\44\37\71\cf\fb\c0\b5\a5\db\b5\e9"
    "\5b\c2\56\39\f1\11\f1\59\a4\82\3f\92\d5\5e\1c\ab"
    "\98\aa\07\d8\01\5b\83\12\be\85\31\24\c3\7d\0c\55"
    "\74\5d\be\72\fe\b1\de\80\a7\06\dc\9b\74\f1\9b\c1"
    "\c1\69\9b\e4\86\47\be\ef\c6\9d\c1\0f\cc\a1\0c\24"
    "\6f\2c\e9\2d\aa\84\74\4a\dc\a9\b0\5c\da\88\f9\76"
    "\52\51\3e\98\6d\c6\31\a8\c8\27\03\b0\c7\7f\59\bf"
    "\f3\0b\e0\c6\47\91\a7\d5\51\63\ca\06\67\29\29\14"
    "\85\0a\b7\27\38\21\1b\2e\fc\6d\2c\4d\13\0d\38\53"
    "\54\73\0a\65\bb\0a\6a\76\2e\c9\c2\81\85\2c\72\92"
    "\a1\e8\bf\a2\4b\66\1a\a8\70\8b\4b\c2\a3\51\6c\c7"
    "\19\e8\92\d1\24\06\99\d6\85\35\0e\f4\70\a0\6a\10"
    "\16\c1\a4\19\08\6c\37\1e\4c\77\48\27\b5\bc\b0\34"
    "\b3\0c\1c\39\4a\aa\d8\4e\4f\ca\9c\5b\f3\6f\2e\68"
    "\ee\82\8f\74\6f\63\a5\78\14\78\c8\84\08\02\c7\8c"
    "\fa\ff\be\90\eb\6c\50\a4\f7\a3\f9\be\f2\78\71\c6")
  (global $a (mut i32) (i32.const 0))
  (global $b (mut i32) (i32.const 0))
  (global $c (mut i32) (i32.const 0))
  (global $d (mut i32) (i32.const 0))
  (global $e (mut i32) (i32.const 0))
  (global $f (mut i32) (i32.const 0))
  (global $g (mut i32) (i32.const 0))
  (global $h (mut i32) (i32.const 0))
  (func $compress
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local $i i32) (local $x i32) (local $y i32)
    (local.set $i (i32.const 64))
    (loop $schedule
      (local.set $x (i32.load offset=196 (local.get $i)))
      (local.set $y (i32.load offset=248 (local.get $i)))
      (i32.store offset=256 (local.get $i)
        (i32.add
          (i32.add
            (i32.load offset=192 (local.get $i))
            (i32.xor
              (i32.xor
                (i32.rotr (local.get $x) (i32.const 7))
                (i32.rotr (local.get $x) (i32.const 18)))
              (i32.shr_u (local.get $x) (i32.const 3))))
          (i32.add
            (i32.load offset=228 (local.get $i))
            (i32.xor
              (i32.xor
                (i32.rotr (local.get $y) (i32.const 17))
                (i32.rotr (local.get $y) (i32.const 19)))
              (i32.shr_u (local.get $y) (i32.const 10))))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $schedule (i32.lt_u (local.get $i) (i32.const 256))))
    (local.set $a (global.get $a))
    (local.set $b (global.get $b))
    (local.set $c (global.get $c))
    (local.set $d (global.get $d))
    (local.set $e (global.get $e))
    (local.set $f (global.get $f))
    (local.set $g (global.get $g))
    (local.set $h (global.get $h))
    (local.set $i (i32.const 0))
    (loop $rounds
      (local.set $x
        (i32.add
          (i32.add
            (local.get $h)
            (i32.xor
              (i32.xor
                (i32.rotr (local.get $e) (i32.const 6))
                (i32.rotr (local.get $e) (i32.const 11)))
              (i32.rotr (local.get $e) (i32.const 25))))
          (i32.add
            (i32.xor
              (i32.and (local.get $e) (local.get $f))
              (i32.and (i32.xor (local.get $e) (i32.const -1)) (local.get $g)))
            (i32.add
              (i32.load (local.get $i))
              (i32.load offset=256 (local.get $i))))))
      (local.set $y
        (i32.add
          (i32.xor
            (i32.xor
              (i32.rotr (local.get $a) (i32.const 2))
              (i32.rotr (local.get $a) (i32.const 13)))
            (i32.rotr (local.get $a) (i32.const 22)))
          (i32.xor
            (i32.xor
              (i32.and (local.get $a) (local.get $b))
              (i32.and (local.get $a) (local.get $c)))
            (i32.and (local.get $b) (local.get $c)))))
      (local.set $h (local.get $g))
      (local.set $g (local.get $f))
      (local.set $f (local.get $e))
      (local.set $e (i32.add (local.get $d) (local.get $x)))
      (local.set $d (local.get $c))
      (local.set $c (local.get $b))
      (local.set $b (local.get $a))
      (local.set $a (i32.add (local.get $x) (local.get $y)))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $rounds (i32.lt_u (local.get $i) (i32.const 256))))
    (global.set $a (i32.add (global.get $a) (local.get $a)))
    (global.set $b (i32.add (global.get $b) (local.get $b)))
    (global.set $c (i32.add (global.get $c) (local.get $c)))
    (global.set $d (i32.add (global.get $d) (local.get $d)))
    (global.set $e (i32.add (global.get $e) (local.get $e)))
    (global.set $f (i32.add (global.get $f) (local.get $f)))
    (global.set $g (i32.add (global.get $g) (local.get $g)))
    (global.set $h (i32.add (global.get $h) (local.get $h))))
  (func $zero_block
    (local $i i32)
    (loop $next
      (i32.store offset=256 (local.get $i) (i32.const 0))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 64)))))
  (func (export "run") (param $n i32) (result i64)
    (local $left i32)
    (global.set $a (i32.const 0x6a09e667))
    (global.set $b (i32.const 0xbb67ae85))
    (global.set $c (i32.const 0x3c6ef372))
    (global.set $d (i32.const 0xa54ff53a))
    (global.set $e (i32.const 0x510e527f))
    (global.set $f (i32.const 0x9b05688c))
    (global.set $g (i32.const 0x1f83d9ab))
    (global.set $h (i32.const 0x5be0cd19))
    (local.set $left (local.get $n))
    (loop $blocks
      (call $zero_block)
      (call $compress)
      (br_if $blocks (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    ;; the padding block: a one bit, zeros, the length in bits
    (call $zero_block)
    (i32.store offset=256 (i32.const 0) (i32.const 0x80000000))
    (i32.store offset=316 (i32.const 0) (i32.shl (local.get $n) (i32.const 9)))
    (call $compress)
    (i64.extend_i32_u (global.get $a))))
