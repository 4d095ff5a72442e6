"""The instruction set as literal text: one row per instruction.

`table.py` parses it.  A row is

    opcode  name  immediates  :  operands -> results  ;  traps

Opcodes are hexadecimal; a two-part one is a prefix byte and a LEB128 number.  Immediates are
the kinds of `immediates.py` in binary order, `-` for none; `memarg.N` has the natural
alignment 2**N bytes.  `addr` stands for the index type of the memory or table in question.
A stack effect of `*` depends on more than the row and is written out in the validator.
Traps are names of `TrapCode`.  A `#` line sets the proposal and the family of the rows below.
"""

ROWS = """
# - control
00 unreachable - : * ; UNREACHABLE
01 nop - : ->
02 block blocktype : *
03 loop blocktype : *
04 if blocktype : *
05 else - : *
0b end - : *
0c br labelidx : *
0d br_if labelidx : *
0e br_table labelvec : *
0f return - : *
10 call funcidx : *
11 call_indirect typeidx tableidx : * ; TABLE_OUT_OF_BOUNDS INDIRECT_CALL_TO_NULL BAD_SIGNATURE
# exceptions control
08 throw tagidx : *
0a throw_ref - : * ; NULL_REFERENCE
1f try_table blocktype catchvec : *
# tail_call control
12 return_call funcidx : *
13 return_call_indirect typeidx tableidx : * ; TABLE_OUT_OF_BOUNDS INDIRECT_CALL_TO_NULL BAD_SIGNATURE
# function_references control
14 call_ref typeidx : * ; NULL_REFERENCE
15 return_call_ref typeidx : * ; NULL_REFERENCE
d4 ref.as_non_null - : * ; NULL_REFERENCE
d5 br_on_null labelidx : *
d6 br_on_non_null labelidx : *
# - parametric
1a drop - : *
1b select - : *
# reference_types parametric
1c select.t valtypevec : *
# - variable
20 local.get localidx : *
21 local.set localidx : *
22 local.tee localidx : *
23 global.get globalidx : *
24 global.set globalidx : *
# reference_types table
25 table.get tableidx : * ; TABLE_OUT_OF_BOUNDS
26 table.set tableidx : * ; TABLE_OUT_OF_BOUNDS
fc.0f table.grow tableidx : *
fc.10 table.size tableidx : *
fc.11 table.fill tableidx : * ; TABLE_OUT_OF_BOUNDS
# bulk_memory table
fc.0c table.init elemidx tableidx : * ; TABLE_OUT_OF_BOUNDS
fc.0d elem.drop elemidx : ->
fc.0e table.copy tableidx tableidx : * ; TABLE_OUT_OF_BOUNDS
# reference_types reference
d0 ref.null heaptype : *
d1 ref.is_null - : *
d2 ref.func funcidx : *
# gc reference
d3 ref.eq - : *
# - memory
28 i32.load memarg.2 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS
29 i64.load memarg.3 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
2a f32.load memarg.2 : addr -> f32 ; MEMORY_OUT_OF_BOUNDS
2b f64.load memarg.3 : addr -> f64 ; MEMORY_OUT_OF_BOUNDS
2c i32.load8_s memarg.0 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS
2d i32.load8_u memarg.0 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS
2e i32.load16_s memarg.1 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS
2f i32.load16_u memarg.1 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS
30 i64.load8_s memarg.0 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
31 i64.load8_u memarg.0 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
32 i64.load16_s memarg.1 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
33 i64.load16_u memarg.1 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
34 i64.load32_s memarg.2 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
35 i64.load32_u memarg.2 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS
36 i32.store memarg.2 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS
37 i64.store memarg.3 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS
38 f32.store memarg.2 : addr f32 -> ; MEMORY_OUT_OF_BOUNDS
39 f64.store memarg.3 : addr f64 -> ; MEMORY_OUT_OF_BOUNDS
3a i32.store8 memarg.0 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS
3b i32.store16 memarg.1 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS
3c i64.store8 memarg.0 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS
3d i64.store16 memarg.1 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS
3e i64.store32 memarg.2 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS
3f memory.size memidx : -> addr
40 memory.grow memidx : addr -> addr
# bulk_memory memory
fc.08 memory.init dataidx memidx : * ; MEMORY_OUT_OF_BOUNDS
fc.09 data.drop dataidx : ->
fc.0a memory.copy memidx memidx : * ; MEMORY_OUT_OF_BOUNDS
fc.0b memory.fill memidx : addr i32 addr -> ; MEMORY_OUT_OF_BOUNDS
# - const
41 i32.const s32 : -> i32
42 i64.const s64 : -> i64
43 f32.const f32 : -> f32
44 f64.const f64 : -> f64
# - numeric
45 i32.eqz - : i32 -> i32
46 i32.eq - : i32 i32 -> i32
47 i32.ne - : i32 i32 -> i32
48 i32.lt_s - : i32 i32 -> i32
49 i32.lt_u - : i32 i32 -> i32
4a i32.gt_s - : i32 i32 -> i32
4b i32.gt_u - : i32 i32 -> i32
4c i32.le_s - : i32 i32 -> i32
4d i32.le_u - : i32 i32 -> i32
4e i32.ge_s - : i32 i32 -> i32
4f i32.ge_u - : i32 i32 -> i32
50 i64.eqz - : i64 -> i32
51 i64.eq - : i64 i64 -> i32
52 i64.ne - : i64 i64 -> i32
53 i64.lt_s - : i64 i64 -> i32
54 i64.lt_u - : i64 i64 -> i32
55 i64.gt_s - : i64 i64 -> i32
56 i64.gt_u - : i64 i64 -> i32
57 i64.le_s - : i64 i64 -> i32
58 i64.le_u - : i64 i64 -> i32
59 i64.ge_s - : i64 i64 -> i32
5a i64.ge_u - : i64 i64 -> i32
5b f32.eq - : f32 f32 -> i32
5c f32.ne - : f32 f32 -> i32
5d f32.lt - : f32 f32 -> i32
5e f32.gt - : f32 f32 -> i32
5f f32.le - : f32 f32 -> i32
60 f32.ge - : f32 f32 -> i32
61 f64.eq - : f64 f64 -> i32
62 f64.ne - : f64 f64 -> i32
63 f64.lt - : f64 f64 -> i32
64 f64.gt - : f64 f64 -> i32
65 f64.le - : f64 f64 -> i32
66 f64.ge - : f64 f64 -> i32
67 i32.clz - : i32 -> i32
68 i32.ctz - : i32 -> i32
69 i32.popcnt - : i32 -> i32
6a i32.add - : i32 i32 -> i32
6b i32.sub - : i32 i32 -> i32
6c i32.mul - : i32 i32 -> i32
6d i32.div_s - : i32 i32 -> i32 ; INTEGER_DIVISION_BY_ZERO INTEGER_OVERFLOW
6e i32.div_u - : i32 i32 -> i32 ; INTEGER_DIVISION_BY_ZERO
6f i32.rem_s - : i32 i32 -> i32 ; INTEGER_DIVISION_BY_ZERO
70 i32.rem_u - : i32 i32 -> i32 ; INTEGER_DIVISION_BY_ZERO
71 i32.and - : i32 i32 -> i32
72 i32.or - : i32 i32 -> i32
73 i32.xor - : i32 i32 -> i32
74 i32.shl - : i32 i32 -> i32
75 i32.shr_s - : i32 i32 -> i32
76 i32.shr_u - : i32 i32 -> i32
77 i32.rotl - : i32 i32 -> i32
78 i32.rotr - : i32 i32 -> i32
79 i64.clz - : i64 -> i64
7a i64.ctz - : i64 -> i64
7b i64.popcnt - : i64 -> i64
7c i64.add - : i64 i64 -> i64
7d i64.sub - : i64 i64 -> i64
7e i64.mul - : i64 i64 -> i64
7f i64.div_s - : i64 i64 -> i64 ; INTEGER_DIVISION_BY_ZERO INTEGER_OVERFLOW
80 i64.div_u - : i64 i64 -> i64 ; INTEGER_DIVISION_BY_ZERO
81 i64.rem_s - : i64 i64 -> i64 ; INTEGER_DIVISION_BY_ZERO
82 i64.rem_u - : i64 i64 -> i64 ; INTEGER_DIVISION_BY_ZERO
83 i64.and - : i64 i64 -> i64
84 i64.or - : i64 i64 -> i64
85 i64.xor - : i64 i64 -> i64
86 i64.shl - : i64 i64 -> i64
87 i64.shr_s - : i64 i64 -> i64
88 i64.shr_u - : i64 i64 -> i64
89 i64.rotl - : i64 i64 -> i64
8a i64.rotr - : i64 i64 -> i64
8b f32.abs - : f32 -> f32
8c f32.neg - : f32 -> f32
8d f32.ceil - : f32 -> f32
8e f32.floor - : f32 -> f32
8f f32.trunc - : f32 -> f32
90 f32.nearest - : f32 -> f32
91 f32.sqrt - : f32 -> f32
92 f32.add - : f32 f32 -> f32
93 f32.sub - : f32 f32 -> f32
94 f32.mul - : f32 f32 -> f32
95 f32.div - : f32 f32 -> f32
96 f32.min - : f32 f32 -> f32
97 f32.max - : f32 f32 -> f32
98 f32.copysign - : f32 f32 -> f32
99 f64.abs - : f64 -> f64
9a f64.neg - : f64 -> f64
9b f64.ceil - : f64 -> f64
9c f64.floor - : f64 -> f64
9d f64.trunc - : f64 -> f64
9e f64.nearest - : f64 -> f64
9f f64.sqrt - : f64 -> f64
a0 f64.add - : f64 f64 -> f64
a1 f64.sub - : f64 f64 -> f64
a2 f64.mul - : f64 f64 -> f64
a3 f64.div - : f64 f64 -> f64
a4 f64.min - : f64 f64 -> f64
a5 f64.max - : f64 f64 -> f64
a6 f64.copysign - : f64 f64 -> f64
a7 i32.wrap_i64 - : i64 -> i32
a8 i32.trunc_f32_s - : f32 -> i32 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
a9 i32.trunc_f32_u - : f32 -> i32 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
aa i32.trunc_f64_s - : f64 -> i32 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
ab i32.trunc_f64_u - : f64 -> i32 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
ac i64.extend_i32_s - : i32 -> i64
ad i64.extend_i32_u - : i32 -> i64
ae i64.trunc_f32_s - : f32 -> i64 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
af i64.trunc_f32_u - : f32 -> i64 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
b0 i64.trunc_f64_s - : f64 -> i64 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
b1 i64.trunc_f64_u - : f64 -> i64 ; INTEGER_OVERFLOW BAD_CONVERSION_TO_INTEGER
b2 f32.convert_i32_s - : i32 -> f32
b3 f32.convert_i32_u - : i32 -> f32
b4 f32.convert_i64_s - : i64 -> f32
b5 f32.convert_i64_u - : i64 -> f32
b6 f32.demote_f64 - : f64 -> f32
b7 f64.convert_i32_s - : i32 -> f64
b8 f64.convert_i32_u - : i32 -> f64
b9 f64.convert_i64_s - : i64 -> f64
ba f64.convert_i64_u - : i64 -> f64
bb f64.promote_f32 - : f32 -> f64
bc i32.reinterpret_f32 - : f32 -> i32
bd i64.reinterpret_f64 - : f64 -> i64
be f32.reinterpret_i32 - : i32 -> f32
bf f64.reinterpret_i64 - : i64 -> f64
# sign_extension numeric
c0 i32.extend8_s - : i32 -> i32
c1 i32.extend16_s - : i32 -> i32
c2 i64.extend8_s - : i64 -> i64
c3 i64.extend16_s - : i64 -> i64
c4 i64.extend32_s - : i64 -> i64
# saturating_float_to_int numeric
fc.00 i32.trunc_sat_f32_s - : f32 -> i32
fc.01 i32.trunc_sat_f32_u - : f32 -> i32
fc.02 i32.trunc_sat_f64_s - : f64 -> i32
fc.03 i32.trunc_sat_f64_u - : f64 -> i32
fc.04 i64.trunc_sat_f32_s - : f32 -> i64
fc.05 i64.trunc_sat_f32_u - : f32 -> i64
fc.06 i64.trunc_sat_f64_s - : f64 -> i64
fc.07 i64.trunc_sat_f64_u - : f64 -> i64
# wide_arithmetic numeric
fc.13 i64.add128 - : i64 i64 i64 i64 -> i64 i64
fc.14 i64.sub128 - : i64 i64 i64 i64 -> i64 i64
fc.15 i64.mul_wide_s - : i64 i64 -> i64 i64
fc.16 i64.mul_wide_u - : i64 i64 -> i64 i64
# gc aggregate
fb.00 struct.new typeidx : *
fb.01 struct.new_default typeidx : *
fb.02 struct.get typeidx u32 : * ; NULL_REFERENCE
fb.03 struct.get_s typeidx u32 : * ; NULL_REFERENCE
fb.04 struct.get_u typeidx u32 : * ; NULL_REFERENCE
fb.05 struct.set typeidx u32 : * ; NULL_REFERENCE
fb.06 array.new typeidx : * ; ALLOCATION_TOO_LARGE
fb.07 array.new_default typeidx : * ; ALLOCATION_TOO_LARGE
fb.08 array.new_fixed typeidx u32 : *
fb.09 array.new_data typeidx dataidx : * ; MEMORY_OUT_OF_BOUNDS
fb.0a array.new_elem typeidx elemidx : * ; TABLE_OUT_OF_BOUNDS
fb.0b array.get typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.0c array.get_s typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.0d array.get_u typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.0e array.set typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.0f array.len - : * ; NULL_REFERENCE
fb.10 array.fill typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.11 array.copy typeidx typeidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS
fb.12 array.init_data typeidx dataidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS MEMORY_OUT_OF_BOUNDS
fb.13 array.init_elem typeidx elemidx : * ; NULL_REFERENCE ARRAY_OUT_OF_BOUNDS TABLE_OUT_OF_BOUNDS
# gc reference
fb.14 ref.test heaptype : *
fb.15 ref.test_null heaptype : *
fb.16 ref.cast heaptype : * ; CAST_FAILURE
fb.17 ref.cast_null heaptype : * ; CAST_FAILURE
fb.18 br_on_cast castop : *
fb.19 br_on_cast_fail castop : *
fb.1a any.convert_extern - : *
fb.1b extern.convert_any - : *
fb.1c ref.i31 - : *
fb.1d i31.get_s - : * ; NULL_REFERENCE
fb.1e i31.get_u - : * ; NULL_REFERENCE
# simd simd_memory
fd.00 v128.load memarg.4 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.01 v128.load8x8_s memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.02 v128.load8x8_u memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.03 v128.load16x4_s memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.04 v128.load16x4_u memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.05 v128.load32x2_s memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.06 v128.load32x2_u memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.07 v128.load8_splat memarg.0 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.08 v128.load16_splat memarg.1 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.09 v128.load32_splat memarg.2 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.0a v128.load64_splat memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.0b v128.store memarg.4 : addr v128 -> ; MEMORY_OUT_OF_BOUNDS
fd.54 v128.load8_lane memarg.0 lane.16 : addr v128 -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.55 v128.load16_lane memarg.1 lane.8 : addr v128 -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.56 v128.load32_lane memarg.2 lane.4 : addr v128 -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.57 v128.load64_lane memarg.3 lane.2 : addr v128 -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.58 v128.store8_lane memarg.0 lane.16 : addr v128 -> ; MEMORY_OUT_OF_BOUNDS
fd.59 v128.store16_lane memarg.1 lane.8 : addr v128 -> ; MEMORY_OUT_OF_BOUNDS
fd.5a v128.store32_lane memarg.2 lane.4 : addr v128 -> ; MEMORY_OUT_OF_BOUNDS
fd.5b v128.store64_lane memarg.3 lane.2 : addr v128 -> ; MEMORY_OUT_OF_BOUNDS
fd.5c v128.load32_zero memarg.2 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
fd.5d v128.load64_zero memarg.3 : addr -> v128 ; MEMORY_OUT_OF_BOUNDS
# simd simd_const
fd.0c v128.const v128 : -> v128
# simd simd
fd.0d i8x16.shuffle lanes16 : v128 v128 -> v128
fd.0e i8x16.swizzle - : v128 v128 -> v128
fd.0f i8x16.splat - : i32 -> v128
fd.10 i16x8.splat - : i32 -> v128
fd.11 i32x4.splat - : i32 -> v128
fd.12 i64x2.splat - : i64 -> v128
fd.13 f32x4.splat - : f32 -> v128
fd.14 f64x2.splat - : f64 -> v128
fd.15 i8x16.extract_lane_s lane.16 : v128 -> i32
fd.16 i8x16.extract_lane_u lane.16 : v128 -> i32
fd.17 i8x16.replace_lane lane.16 : v128 i32 -> v128
fd.18 i16x8.extract_lane_s lane.8 : v128 -> i32
fd.19 i16x8.extract_lane_u lane.8 : v128 -> i32
fd.1a i16x8.replace_lane lane.8 : v128 i32 -> v128
fd.1b i32x4.extract_lane lane.4 : v128 -> i32
fd.1c i32x4.replace_lane lane.4 : v128 i32 -> v128
fd.1d i64x2.extract_lane lane.2 : v128 -> i64
fd.1e i64x2.replace_lane lane.2 : v128 i64 -> v128
fd.1f f32x4.extract_lane lane.4 : v128 -> f32
fd.20 f32x4.replace_lane lane.4 : v128 f32 -> v128
fd.21 f64x2.extract_lane lane.2 : v128 -> f64
fd.22 f64x2.replace_lane lane.2 : v128 f64 -> v128
fd.23 i8x16.eq - : v128 v128 -> v128
fd.24 i8x16.ne - : v128 v128 -> v128
fd.25 i8x16.lt_s - : v128 v128 -> v128
fd.26 i8x16.lt_u - : v128 v128 -> v128
fd.27 i8x16.gt_s - : v128 v128 -> v128
fd.28 i8x16.gt_u - : v128 v128 -> v128
fd.29 i8x16.le_s - : v128 v128 -> v128
fd.2a i8x16.le_u - : v128 v128 -> v128
fd.2b i8x16.ge_s - : v128 v128 -> v128
fd.2c i8x16.ge_u - : v128 v128 -> v128
fd.2d i16x8.eq - : v128 v128 -> v128
fd.2e i16x8.ne - : v128 v128 -> v128
fd.2f i16x8.lt_s - : v128 v128 -> v128
fd.30 i16x8.lt_u - : v128 v128 -> v128
fd.31 i16x8.gt_s - : v128 v128 -> v128
fd.32 i16x8.gt_u - : v128 v128 -> v128
fd.33 i16x8.le_s - : v128 v128 -> v128
fd.34 i16x8.le_u - : v128 v128 -> v128
fd.35 i16x8.ge_s - : v128 v128 -> v128
fd.36 i16x8.ge_u - : v128 v128 -> v128
fd.37 i32x4.eq - : v128 v128 -> v128
fd.38 i32x4.ne - : v128 v128 -> v128
fd.39 i32x4.lt_s - : v128 v128 -> v128
fd.3a i32x4.lt_u - : v128 v128 -> v128
fd.3b i32x4.gt_s - : v128 v128 -> v128
fd.3c i32x4.gt_u - : v128 v128 -> v128
fd.3d i32x4.le_s - : v128 v128 -> v128
fd.3e i32x4.le_u - : v128 v128 -> v128
fd.3f i32x4.ge_s - : v128 v128 -> v128
fd.40 i32x4.ge_u - : v128 v128 -> v128
fd.41 f32x4.eq - : v128 v128 -> v128
fd.42 f32x4.ne - : v128 v128 -> v128
fd.43 f32x4.lt - : v128 v128 -> v128
fd.44 f32x4.gt - : v128 v128 -> v128
fd.45 f32x4.le - : v128 v128 -> v128
fd.46 f32x4.ge - : v128 v128 -> v128
fd.47 f64x2.eq - : v128 v128 -> v128
fd.48 f64x2.ne - : v128 v128 -> v128
fd.49 f64x2.lt - : v128 v128 -> v128
fd.4a f64x2.gt - : v128 v128 -> v128
fd.4b f64x2.le - : v128 v128 -> v128
fd.4c f64x2.ge - : v128 v128 -> v128
fd.4d v128.not - : v128 -> v128
fd.4e v128.and - : v128 v128 -> v128
fd.4f v128.andnot - : v128 v128 -> v128
fd.50 v128.or - : v128 v128 -> v128
fd.51 v128.xor - : v128 v128 -> v128
fd.52 v128.bitselect - : v128 v128 v128 -> v128
fd.53 v128.any_true - : v128 -> i32
fd.5e f32x4.demote_f64x2_zero - : v128 -> v128
fd.5f f64x2.promote_low_f32x4 - : v128 -> v128
fd.60 i8x16.abs - : v128 -> v128
fd.61 i8x16.neg - : v128 -> v128
fd.62 i8x16.popcnt - : v128 -> v128
fd.63 i8x16.all_true - : v128 -> i32
fd.64 i8x16.bitmask - : v128 -> i32
fd.65 i8x16.narrow_i16x8_s - : v128 v128 -> v128
fd.66 i8x16.narrow_i16x8_u - : v128 v128 -> v128
fd.67 f32x4.ceil - : v128 -> v128
fd.68 f32x4.floor - : v128 -> v128
fd.69 f32x4.trunc - : v128 -> v128
fd.6a f32x4.nearest - : v128 -> v128
fd.6b i8x16.shl - : v128 i32 -> v128
fd.6c i8x16.shr_s - : v128 i32 -> v128
fd.6d i8x16.shr_u - : v128 i32 -> v128
fd.6e i8x16.add - : v128 v128 -> v128
fd.6f i8x16.add_sat_s - : v128 v128 -> v128
fd.70 i8x16.add_sat_u - : v128 v128 -> v128
fd.71 i8x16.sub - : v128 v128 -> v128
fd.72 i8x16.sub_sat_s - : v128 v128 -> v128
fd.73 i8x16.sub_sat_u - : v128 v128 -> v128
fd.74 f64x2.ceil - : v128 -> v128
fd.75 f64x2.floor - : v128 -> v128
fd.76 i8x16.min_s - : v128 v128 -> v128
fd.77 i8x16.min_u - : v128 v128 -> v128
fd.78 i8x16.max_s - : v128 v128 -> v128
fd.79 i8x16.max_u - : v128 v128 -> v128
fd.7a f64x2.trunc - : v128 -> v128
fd.7b i8x16.avgr_u - : v128 v128 -> v128
fd.7c i16x8.extadd_pairwise_i8x16_s - : v128 -> v128
fd.7d i16x8.extadd_pairwise_i8x16_u - : v128 -> v128
fd.7e i32x4.extadd_pairwise_i16x8_s - : v128 -> v128
fd.7f i32x4.extadd_pairwise_i16x8_u - : v128 -> v128
fd.80 i16x8.abs - : v128 -> v128
fd.81 i16x8.neg - : v128 -> v128
fd.82 i16x8.q15mulr_sat_s - : v128 v128 -> v128
fd.83 i16x8.all_true - : v128 -> i32
fd.84 i16x8.bitmask - : v128 -> i32
fd.85 i16x8.narrow_i32x4_s - : v128 v128 -> v128
fd.86 i16x8.narrow_i32x4_u - : v128 v128 -> v128
fd.87 i16x8.extend_low_i8x16_s - : v128 -> v128
fd.88 i16x8.extend_high_i8x16_s - : v128 -> v128
fd.89 i16x8.extend_low_i8x16_u - : v128 -> v128
fd.8a i16x8.extend_high_i8x16_u - : v128 -> v128
fd.8b i16x8.shl - : v128 i32 -> v128
fd.8c i16x8.shr_s - : v128 i32 -> v128
fd.8d i16x8.shr_u - : v128 i32 -> v128
fd.8e i16x8.add - : v128 v128 -> v128
fd.8f i16x8.add_sat_s - : v128 v128 -> v128
fd.90 i16x8.add_sat_u - : v128 v128 -> v128
fd.91 i16x8.sub - : v128 v128 -> v128
fd.92 i16x8.sub_sat_s - : v128 v128 -> v128
fd.93 i16x8.sub_sat_u - : v128 v128 -> v128
fd.94 f64x2.nearest - : v128 -> v128
fd.95 i16x8.mul - : v128 v128 -> v128
fd.96 i16x8.min_s - : v128 v128 -> v128
fd.97 i16x8.min_u - : v128 v128 -> v128
fd.98 i16x8.max_s - : v128 v128 -> v128
fd.99 i16x8.max_u - : v128 v128 -> v128
fd.9b i16x8.avgr_u - : v128 v128 -> v128
fd.9c i16x8.extmul_low_i8x16_s - : v128 v128 -> v128
fd.9d i16x8.extmul_high_i8x16_s - : v128 v128 -> v128
fd.9e i16x8.extmul_low_i8x16_u - : v128 v128 -> v128
fd.9f i16x8.extmul_high_i8x16_u - : v128 v128 -> v128
fd.a0 i32x4.abs - : v128 -> v128
fd.a1 i32x4.neg - : v128 -> v128
fd.a3 i32x4.all_true - : v128 -> i32
fd.a4 i32x4.bitmask - : v128 -> i32
fd.a7 i32x4.extend_low_i16x8_s - : v128 -> v128
fd.a8 i32x4.extend_high_i16x8_s - : v128 -> v128
fd.a9 i32x4.extend_low_i16x8_u - : v128 -> v128
fd.aa i32x4.extend_high_i16x8_u - : v128 -> v128
fd.ab i32x4.shl - : v128 i32 -> v128
fd.ac i32x4.shr_s - : v128 i32 -> v128
fd.ad i32x4.shr_u - : v128 i32 -> v128
fd.ae i32x4.add - : v128 v128 -> v128
fd.b1 i32x4.sub - : v128 v128 -> v128
fd.b5 i32x4.mul - : v128 v128 -> v128
fd.b6 i32x4.min_s - : v128 v128 -> v128
fd.b7 i32x4.min_u - : v128 v128 -> v128
fd.b8 i32x4.max_s - : v128 v128 -> v128
fd.b9 i32x4.max_u - : v128 v128 -> v128
fd.ba i32x4.dot_i16x8_s - : v128 v128 -> v128
fd.bc i32x4.extmul_low_i16x8_s - : v128 v128 -> v128
fd.bd i32x4.extmul_high_i16x8_s - : v128 v128 -> v128
fd.be i32x4.extmul_low_i16x8_u - : v128 v128 -> v128
fd.bf i32x4.extmul_high_i16x8_u - : v128 v128 -> v128
fd.c0 i64x2.abs - : v128 -> v128
fd.c1 i64x2.neg - : v128 -> v128
fd.c3 i64x2.all_true - : v128 -> i32
fd.c4 i64x2.bitmask - : v128 -> i32
fd.c7 i64x2.extend_low_i32x4_s - : v128 -> v128
fd.c8 i64x2.extend_high_i32x4_s - : v128 -> v128
fd.c9 i64x2.extend_low_i32x4_u - : v128 -> v128
fd.ca i64x2.extend_high_i32x4_u - : v128 -> v128
fd.cb i64x2.shl - : v128 i32 -> v128
fd.cc i64x2.shr_s - : v128 i32 -> v128
fd.cd i64x2.shr_u - : v128 i32 -> v128
fd.ce i64x2.add - : v128 v128 -> v128
fd.d1 i64x2.sub - : v128 v128 -> v128
fd.d5 i64x2.mul - : v128 v128 -> v128
fd.d6 i64x2.eq - : v128 v128 -> v128
fd.d7 i64x2.ne - : v128 v128 -> v128
fd.d8 i64x2.lt_s - : v128 v128 -> v128
fd.d9 i64x2.gt_s - : v128 v128 -> v128
fd.da i64x2.le_s - : v128 v128 -> v128
fd.db i64x2.ge_s - : v128 v128 -> v128
fd.dc i64x2.extmul_low_i32x4_s - : v128 v128 -> v128
fd.dd i64x2.extmul_high_i32x4_s - : v128 v128 -> v128
fd.de i64x2.extmul_low_i32x4_u - : v128 v128 -> v128
fd.df i64x2.extmul_high_i32x4_u - : v128 v128 -> v128
fd.e0 f32x4.abs - : v128 -> v128
fd.e1 f32x4.neg - : v128 -> v128
fd.e3 f32x4.sqrt - : v128 -> v128
fd.e4 f32x4.add - : v128 v128 -> v128
fd.e5 f32x4.sub - : v128 v128 -> v128
fd.e6 f32x4.mul - : v128 v128 -> v128
fd.e7 f32x4.div - : v128 v128 -> v128
fd.e8 f32x4.min - : v128 v128 -> v128
fd.e9 f32x4.max - : v128 v128 -> v128
fd.ea f32x4.pmin - : v128 v128 -> v128
fd.eb f32x4.pmax - : v128 v128 -> v128
fd.ec f64x2.abs - : v128 -> v128
fd.ed f64x2.neg - : v128 -> v128
fd.ef f64x2.sqrt - : v128 -> v128
fd.f0 f64x2.add - : v128 v128 -> v128
fd.f1 f64x2.sub - : v128 v128 -> v128
fd.f2 f64x2.mul - : v128 v128 -> v128
fd.f3 f64x2.div - : v128 v128 -> v128
fd.f4 f64x2.min - : v128 v128 -> v128
fd.f5 f64x2.max - : v128 v128 -> v128
fd.f6 f64x2.pmin - : v128 v128 -> v128
fd.f7 f64x2.pmax - : v128 v128 -> v128
fd.f8 i32x4.trunc_sat_f32x4_s - : v128 -> v128
fd.f9 i32x4.trunc_sat_f32x4_u - : v128 -> v128
fd.fa f32x4.convert_i32x4_s - : v128 -> v128
fd.fb f32x4.convert_i32x4_u - : v128 -> v128
fd.fc i32x4.trunc_sat_f64x2_s_zero - : v128 -> v128
fd.fd i32x4.trunc_sat_f64x2_u_zero - : v128 -> v128
fd.fe f64x2.convert_low_i32x4_s - : v128 -> v128
fd.ff f64x2.convert_low_i32x4_u - : v128 -> v128
# relaxed_simd simd
fd.100 i8x16.relaxed_swizzle - : v128 v128 -> v128
fd.101 i32x4.relaxed_trunc_f32x4_s - : v128 -> v128
fd.102 i32x4.relaxed_trunc_f32x4_u - : v128 -> v128
fd.103 i32x4.relaxed_trunc_f64x2_s_zero - : v128 -> v128
fd.104 i32x4.relaxed_trunc_f64x2_u_zero - : v128 -> v128
fd.105 f32x4.relaxed_madd - : v128 v128 v128 -> v128
fd.106 f32x4.relaxed_nmadd - : v128 v128 v128 -> v128
fd.107 f64x2.relaxed_madd - : v128 v128 v128 -> v128
fd.108 f64x2.relaxed_nmadd - : v128 v128 v128 -> v128
fd.109 i8x16.relaxed_laneselect - : v128 v128 v128 -> v128
fd.10a i16x8.relaxed_laneselect - : v128 v128 v128 -> v128
fd.10b i32x4.relaxed_laneselect - : v128 v128 v128 -> v128
fd.10c i64x2.relaxed_laneselect - : v128 v128 v128 -> v128
fd.10d f32x4.relaxed_min - : v128 v128 -> v128
fd.10e f32x4.relaxed_max - : v128 v128 -> v128
fd.10f f64x2.relaxed_min - : v128 v128 -> v128
fd.110 f64x2.relaxed_max - : v128 v128 -> v128
fd.111 i16x8.relaxed_q15mulr_s - : v128 v128 -> v128
fd.112 i16x8.relaxed_dot_i8x16_i7x16_s - : v128 v128 -> v128
fd.113 i32x4.relaxed_dot_i8x16_i7x16_add_s - : v128 v128 v128 -> v128
# threads atomic
fe.00 memory.atomic.notify memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.01 memory.atomic.wait32 memarg.2 : addr i32 i64 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED ATOMIC_WAIT_NON_SHARED_MEMORY
fe.02 memory.atomic.wait64 memarg.3 : addr i64 i64 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED ATOMIC_WAIT_NON_SHARED_MEMORY
fe.03 atomic.fence zero : ->
fe.10 i32.atomic.load memarg.2 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.11 i64.atomic.load memarg.3 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.12 i32.atomic.load8_u memarg.0 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.13 i32.atomic.load16_u memarg.1 : addr -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.14 i64.atomic.load8_u memarg.0 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.15 i64.atomic.load16_u memarg.1 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.16 i64.atomic.load32_u memarg.2 : addr -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.17 i32.atomic.store memarg.2 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.18 i64.atomic.store memarg.3 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.19 i32.atomic.store8 memarg.0 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1a i32.atomic.store16 memarg.1 : addr i32 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1b i64.atomic.store8 memarg.0 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1c i64.atomic.store16 memarg.1 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1d i64.atomic.store32 memarg.2 : addr i64 -> ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1e i32.atomic.rmw.add memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.1f i64.atomic.rmw.add memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.20 i32.atomic.rmw8.add_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.21 i32.atomic.rmw16.add_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.22 i64.atomic.rmw8.add_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.23 i64.atomic.rmw16.add_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.24 i64.atomic.rmw32.add_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.25 i32.atomic.rmw.sub memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.26 i64.atomic.rmw.sub memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.27 i32.atomic.rmw8.sub_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.28 i32.atomic.rmw16.sub_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.29 i64.atomic.rmw8.sub_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2a i64.atomic.rmw16.sub_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2b i64.atomic.rmw32.sub_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2c i32.atomic.rmw.and memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2d i64.atomic.rmw.and memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2e i32.atomic.rmw8.and_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.2f i32.atomic.rmw16.and_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.30 i64.atomic.rmw8.and_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.31 i64.atomic.rmw16.and_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.32 i64.atomic.rmw32.and_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.33 i32.atomic.rmw.or memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.34 i64.atomic.rmw.or memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.35 i32.atomic.rmw8.or_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.36 i32.atomic.rmw16.or_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.37 i64.atomic.rmw8.or_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.38 i64.atomic.rmw16.or_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.39 i64.atomic.rmw32.or_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3a i32.atomic.rmw.xor memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3b i64.atomic.rmw.xor memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3c i32.atomic.rmw8.xor_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3d i32.atomic.rmw16.xor_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3e i64.atomic.rmw8.xor_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.3f i64.atomic.rmw16.xor_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.40 i64.atomic.rmw32.xor_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.41 i32.atomic.rmw.xchg memarg.2 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.42 i64.atomic.rmw.xchg memarg.3 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.43 i32.atomic.rmw8.xchg_u memarg.0 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.44 i32.atomic.rmw16.xchg_u memarg.1 : addr i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.45 i64.atomic.rmw8.xchg_u memarg.0 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.46 i64.atomic.rmw16.xchg_u memarg.1 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.47 i64.atomic.rmw32.xchg_u memarg.2 : addr i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.48 i32.atomic.rmw.cmpxchg memarg.2 : addr i32 i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.49 i64.atomic.rmw.cmpxchg memarg.3 : addr i64 i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.4a i32.atomic.rmw8.cmpxchg_u memarg.0 : addr i32 i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.4b i32.atomic.rmw16.cmpxchg_u memarg.1 : addr i32 i32 -> i32 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.4c i64.atomic.rmw8.cmpxchg_u memarg.0 : addr i64 i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.4d i64.atomic.rmw16.cmpxchg_u memarg.1 : addr i64 i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
fe.4e i64.atomic.rmw32.cmpxchg_u memarg.2 : addr i64 i64 -> i64 ; MEMORY_OUT_OF_BOUNDS HEAP_MISALIGNED
"""
