"""What every unit starts with, as LLVM IR: metadata, and functions that all code calls."""

from __future__ import annotations

from typing import Final

from . import aggregates, arrays, gil, refs, structs, thrown
from .abi import Helper, Word
from .emit import HELPER_OPERANDS, HOLD, c_call, helper_call
from .refs import NULL

# What the numbers of metadata mean, of which `CTX` and its kin speak.
METADATA: Final = """
!0 = !{!"branch_weights", i32 1, i32 1048576}
!1 = !{!"asyncwasm"}
!2 = !{!5, !5, i64 0}
!3 = !{!6, !6, i64 0}
!4 = !{}
!5 = !{!"context", !1, i64 0}
!6 = !{!"memory", !1, i64 0}
!7 = !{!"fuel", !1, i64 0}
!8 = !{!7, !7, i64 0}
!9 = !{!"python", !1, i64 0}
!10 = !{!9, !9, i64 0}
!11 = !{!"field", !1, i64 0}
!12 = !{!11, !11, i64 0}
!13 = distinct !{!13, !14, !17}
!14 = !{!"llvm.loop.unroll.disable"}
!15 = !{!"branch_weights", i32 1048576, i32 1}
!16 = distinct !{!16, !17}
!17 = !{!"llvm.loop.align", i32 32}
"""


def prelude(*, released: bool = True, metered: bool = False) -> str:
    """What every unit starts with: metadata and the shared helpers.

    The GIL may have been released where they are called, unless `released` is false; `metered`
    is whether there is fuel.
    """
    out = [METADATA, '@.fn = private constant [3 x i8] c"fn\\00"']
    out.append(conversions())
    out.append(_call_helper())
    out.append(refs.prelude())
    out.append(thrown.prelude())
    out.append(aggregates.prelude())
    out.append(arrays.prelude())
    out.append(structs.prelude())
    out.append(
        f"""
define internal void @raise_trap(ptr %ctx, i64 %code) noinline cold {{
  %at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %list = load ptr, ptr %at
  %item = getelementptr ptr, ptr %list, i64 {int(Helper.RAISE)}
  %callable = load ptr, ptr %item
  %r = {helper_call("%callable", "%code")}
  ret void
}}
define internal preserve_mostcc i32 @poll(ptr %ctx) noinline cold {{
  %at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %list = load ptr, ptr %at
  %item = getelementptr ptr, ptr %list, i64 {int(Helper.POLL)}
  %callable = load ptr, ptr %item
  %r = {helper_call("%callable")}
  %s = extractvalue {{ i32, i64 }} %r, 0
  ret i32 %s
}}
define internal i32 @sample(ptr %ctx, i64 %index) noinline cold {{
  %at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %list = load ptr, ptr %at
  %item = getelementptr ptr, ptr %list, i64 {int(Helper.SAMPLE)}
  %callable = load ptr, ptr %item
  %r = {helper_call("%callable", "%index")}
  %s = extractvalue {{ i32, i64 }} %r, 0
  ret i32 %s
}}
define internal i32 @settle(ptr %ctx, i64 %index) noinline cold {{
  %at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %list = load ptr, ptr %at
  %item = getelementptr ptr, ptr %list, i64 {int(Helper.SETTLE)}
  %callable = load ptr, ptr %item
  %r = {helper_call("%callable", "%index")}
  %s = extractvalue {{ i32, i64 }} %r, 0
  ret i32 %s
}}"""
    )
    text = "\n".join(out)
    text = text if released else text.replace(f"  {HOLD}\n", "")
    return f"{text}\n{gil.definitions(released=released, metered=metered)}"


def _call_helper() -> str:
    numbers = range(HELPER_OPERANDS)
    boxes = "\n".join(
        f"  %b{n} = {c_call('PyLong_FromUnsignedLongLong', f'%a{n}')}\n"
        f"  %p{n} = getelementptr ptr, ptr %args, i64 {n}\n"
        f"  store ptr %b{n}, ptr %p{n}\n"
        f"  %n{n} = icmp eq ptr %b{n}, null\n"
        f"  %m{n + 1} = or i1 {f'%m{n}' if n else 'false'}, %n{n}"
        for n in numbers
    )
    frees = "\n".join(f"  {c_call('Py_DecRef', f'%b{n}')}" for n in numbers)
    params = ", ".join(f"i64 %a{n}" for n in numbers)
    return f"""
define internal {{ i32, i64 }} @call_helper(ptr %ctx, ptr %f, i64 %n, {params}) noinline cold {{
start:
  {HOLD}
  %args = alloca [{HELPER_OPERANDS} x ptr]
{boxes}
  br i1 %m{HELPER_OPERANDS}, label %called, label %ready
ready:
  %outcome = {c_call("PyObject_Vectorcall", "%f", "%args", "%n", "null")}
  br label %called
called:
  %r = phi ptr [ null, %start ], [ %outcome, %ready ]
{frees}
  %failed = icmp eq ptr %r, null
  br i1 %failed, label %bad, label %good
bad:
  ret {{ i32, i64 }} {{ i32 1, i64 0 }}
good:
  %none = icmp eq ptr %r, {NULL}
  br i1 %none, label %nothing, label %number
nothing:
  {c_call("Py_DecRef", "%r")}
  ret {{ i32, i64 }} zeroinitializer
number:
  %v = {c_call("PyLong_AsUnsignedLongLongMask", "%r")}
  {c_call("Py_DecRef", "%r")}
  %full = insertvalue {{ i32, i64 }} zeroinitializer, i64 %v, 1
  ret {{ i32, i64 }} %full
}}"""


def conversions() -> str:
    """Conversions between singles and their raw form that keep signalling NaNs as they are."""
    return """
define internal float @to_single(double %d) {
  %nan = fcmp uno double %d, %d
  br i1 %nan, label %odd, label %plain
plain:
  %f = fptrunc double %d to float
  ret float %f
odd:
  %bits = bitcast double %d to i64
  %sign64 = lshr i64 %bits, 32
  %sign32 = trunc i64 %sign64 to i32
  %sign = and i32 %sign32, -2147483648
  %pay64 = lshr i64 %bits, 29
  %pay32 = trunc i64 %pay64 to i32
  %pay = and i32 %pay32, 8388607
  %exp = or i32 %pay, 2139095040
  %all = or i32 %exp, %sign
  %r = bitcast i32 %all to float
  ret float %r
}
define internal double @from_single(float %f) {
  %nan = fcmp uno float %f, %f
  br i1 %nan, label %odd, label %plain
plain:
  %d = fpext float %f to double
  ret double %d
odd:
  %bits = bitcast float %f to i32
  %sign32 = and i32 %bits, -2147483648
  %sign = zext i32 %sign32 to i64
  %sign64 = shl i64 %sign, 32
  %pay32 = and i32 %bits, 8388607
  %pay = zext i32 %pay32 to i64
  %pay64 = shl i64 %pay, 29
  %exp = or i64 %pay64, 9218868437227405312
  %all = or i64 %exp, %sign64
  %r = bitcast i64 %all to double
  ret double %r
}"""
