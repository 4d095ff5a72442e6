"""References in machine code: pointers to Python objects, counted.

Null is the pointer to `None`, which machine code never counts.  Every other reference that a
local, an operand or a value on its way holds is counted once; functions take over the counts of
their arguments and give their results away counted.  What belongs to Python (elements of tables,
globals) counts `None` like any object, where that is not immortal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from .emit import c_call, object_address

if TYPE_CHECKING:
    from .emit import Emitter

REF: Final = "ptr"
NULL: Final = object_address(None)
_INT: Final = object_address(int)
# Memory that Python owns, apart from what the other tags say.
PYTHON: Final = "!tbaa !10"
# Numbers in structs and arrays.
FIELD: Final = "!tbaa !12"


def prelude() -> str:
    """Counting, as functions of every unit."""
    if sys.version_info >= (3, 12):
        # The lower half counts; an immortal object's is negative as a signed number.
        word, uncounted = "i32", "  %uncounted = icmp slt i32 %n, 0"
        immortal = uncounted
        to_python = ""
    else:
        word, uncounted = "i64", f"  %uncounted = icmp eq ptr %o, {NULL}"
        immortal = "  %uncounted = icmp eq i1 true, false"
        to_python = f"""
  %none = icmp eq ptr %o, {NULL}
  %one = zext i1 %none to i64
  %n = load i64, ptr {NULL}, {PYTHON}
  %more = add i64 %n, %one
  store i64 %more, ptr {NULL}, {PYTHON}"""
    return f"""
define internal void @keep(ptr %o) {{
  %n = load {word}, ptr %o, {PYTHON}
{uncounted}
  br i1 %uncounted, label %done, label %count
count:
  %more = add {word} %n, 1
  store {word} %more, ptr %o, {PYTHON}
  br label %done
done:
  ret void
}}
define internal void @release(ptr %o) {{
  %n = load {word}, ptr %o, {PYTHON}
{uncounted}
  br i1 %uncounted, label %done, label %count
count:
  %less = sub {word} %n, 1
  store {word} %less, ptr %o, {PYTHON}
  %last = icmp eq {word} %less, 0
  br i1 %last, label %free, label %done
free:
  call void @free_object(ptr %o)
  br label %done
done:
  ret void
}}
define internal i1 @count_down(ptr %o) {{
  %n = load {word}, ptr %o, {PYTHON}
{immortal}
  br i1 %uncounted, label %never, label %count
count:
  %less = sub {word} %n, 1
  store {word} %less, ptr %o, {PYTHON}
  %last = icmp eq {word} %less, 0
  ret i1 %last
never:
  ret i1 false
}}
define internal void @drop(ptr %o) {{
  %last = call i1 @count_down(ptr %o)
  br i1 %last, label %free, label %done
free:
  call void @free_object(ptr %o)
  br label %done
done:
  ret void
}}
define internal void @free_object(ptr %o) noinline {{
  {c_call("_Py_Dealloc", "%o")}
  ret void
}}
define internal void @release_at(ptr %slot) noinline cold {{
  %o = load ptr, ptr %slot
  call void @release(ptr %o)
  ret void
}}
define internal void @to_python(ptr %o) {{{to_python}
  ret void
}}
define internal i1 @same(ptr %a, ptr %b) {{
start:
  %identical = icmp eq ptr %a, %b
  br i1 %identical, label %done, label %look
look:
  %type.a = getelementptr i8, ptr %a, i64 8
  %type.b = getelementptr i8, ptr %b, i64 8
  %kind.a = load ptr, ptr %type.a
  %kind.b = load ptr, ptr %type.b
  %int.a = icmp eq ptr %kind.a, {_INT}
  %int.b = icmp eq ptr %kind.b, {_INT}
  %ints = and i1 %int.a, %int.b
  br i1 %ints, label %compare, label %done
compare:
  %value.a = {c_call("PyLong_AsUnsignedLongLongMask", "%a")}
  %value.b = {c_call("PyLong_AsUnsignedLongLongMask", "%b")}
  %equal = icmp eq i64 %value.a, %value.b
  br label %done
done:
  %same = phi i1 [ true, %start ], [ false, %look ], [ %equal, %compare ]
  ret i1 %same
}}
define internal ptr @call_object(ptr %f, ptr %args, i64 %n) noinline {{
start:
  br label %look
look:
  %i = phi i64 [ 0, %start ], [ %next, %more ]
  %done = icmp eq i64 %i, %n
  br i1 %done, label %call, label %more
more:
  %at = getelementptr ptr, ptr %args, i64 %i
  %arg = load ptr, ptr %at
  %next = add i64 %i, 1
  %missing = icmp eq ptr %arg, null
  br i1 %missing, label %drop, label %look
call:
  %called = {c_call("PyObject_Vectorcall", "%f", "%args", "%n", "null")}
  br label %drop
drop:
  %r = phi ptr [ null, %more ], [ %called, %call ]
  br label %each
each:
  %j = phi i64 [ 0, %drop ], [ %after, %one ]
  %all = icmp eq i64 %j, %n
  br i1 %all, label %end, label %one
one:
  %place = getelementptr ptr, ptr %args, i64 %j
  %item = load ptr, ptr %place
  {c_call("Py_DecRef", "%item")}
  %after = add i64 %j, 1
  br label %each
end:
  ret ptr %r
}}"""


def keep(out: Emitter, value: str) -> None:
    """Count a reference once more."""
    out.do(f"call void @keep(ptr {value})")


def release(out: Emitter, value: str) -> None:
    """Count a reference once less.  The last time this runs finalizers: any code, that is."""
    out.do(f"call void @release(ptr {value})")


def put(out: Emitter, place: str, value: str) -> None:
    """Store a counted reference into memory of Python's in place of the one that is there."""
    out.do(f"call void @to_python(ptr {value})")
    old = out.op(f"load ptr, ptr {place}, {PYTHON}")
    out.do(f"store ptr {value}, ptr {place}, {PYTHON}")
    out.do(f"call void @drop(ptr {old})")


def get(out: Emitter, place: str) -> str:
    """A counted reference, loaded from memory of Python's."""
    value = out.op(f"load ptr, ptr {place}, {PYTHON}")
    keep(out, value)
    return value
