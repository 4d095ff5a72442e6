"""Arrays in machine code: Python's own objects, made and read without Python.

An `ArrayRef` keeps its values in a list, boxed; see `runtime.aggregates`.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.gc import ArrayRef
from asyncwasm.core.types import DefType

from .abi import DIGIT_BITS, LIST_ITEMS, LONG_DIGIT, LONG_TAG
from .emit import c_call, object_address
from .refs import NULL, PYTHON
from .support import digits_tag, slot_offset

ARRAY_CLASS: Final = object_address(ArrayRef)
ARRAY_ELEMENTS: Final = slot_offset(ArrayRef, "elements")
ARRAY_TYPE: Final = slot_offset(ArrayRef, "type")
_ARRAY_STORE: Final = slot_offset(ArrayRef, "store")
FUNCTION_CLASS: Final = object_address(Func)
FUNCTION_TYPE: Final = slot_offset(Func, "type")
_SUPERTYPE: Final = slot_offset(DefType, "supertype")


def _new_array() -> str:
    """A function that makes an array of `n` boxed values, which it takes over."""
    return f"""
define internal ptr @new_array(ptr %ctx, ptr %type, ptr %values, i64 %n) noinline {{
start:
  %list = {c_call("PyList_New", "%n")}
  %no.list = icmp eq ptr %list, null
  br i1 %no.list, label %drop, label %fill
fill:
  %items.at = getelementptr i8, ptr %list, i64 {LIST_ITEMS}
  %items = load ptr, ptr %items.at, {PYTHON}
  br label %look
look:
  %i = phi i64 [ 0, %fill ], [ %next, %put ]
  %bad = phi i1 [ false, %fill ], [ %bad.now, %put ]
  %done = icmp eq i64 %i, %n
  br i1 %done, label %filled, label %put
put:
  %from = getelementptr ptr, ptr %values, i64 %i
  %value = load ptr, ptr %from
  %to = getelementptr ptr, ptr %items, i64 %i
  store ptr %value, ptr %to, {PYTHON}
  %missing = icmp eq ptr %value, null
  %bad.now = or i1 %bad, %missing
  %next = add i64 %i, 1
  br label %look
filled:
  br i1 %bad, label %fail, label %make
make:
  %object = {c_call("PyType_GenericAlloc", ARRAY_CLASS, "0")}
  %none = icmp eq ptr %object, null
  br i1 %none, label %fail, label %set
set:
  %type.at = getelementptr i8, ptr %object, i64 {ARRAY_TYPE}
  store ptr %type, ptr %type.at, {PYTHON}
  call void @keep(ptr %type)
  %values.at = getelementptr i8, ptr %object, i64 {ARRAY_ELEMENTS}
  store ptr %list, ptr %values.at, {PYTHON}
  %store.at = getelementptr i8, ptr %object, i64 {_ARRAY_STORE}
  store ptr {NULL}, ptr %store.at, {PYTHON}
  call void @to_python(ptr {NULL})
  ret ptr %object
fail:
  {c_call("Py_DecRef", "%list")}
  ret ptr null
drop:
  %j = phi i64 [ 0, %start ], [ %after, %one ]
  %all = icmp eq i64 %j, %n
  br i1 %all, label %end, label %one
one:
  %place = getelementptr ptr, ptr %values, i64 %j
  %item = load ptr, ptr %place
  {c_call("Py_DecRef", "%item")}
  %after = add i64 %j, 1
  br label %drop
end:
  ret ptr null
}}"""


def prelude() -> str:
    """Functions of every unit."""
    one, two = digits_tag(1), digits_tag(2)
    return f"""
define internal i64 @long_value(ptr %o) {{
  %tag.at = getelementptr i8, ptr %o, i64 {LONG_TAG}
  %tag = load i64, ptr %tag.at, {PYTHON}
  %digit.at = getelementptr i8, ptr %o, i64 {LONG_DIGIT}
  %digit = load i32, ptr %digit.at, {PYTHON}
  %low = zext i32 %digit to i64
  switch i64 %tag, label %others [ i64 {one}, label %one
    i64 {two}, label %two ]
one:
  ret i64 %low
two:
  %next.at = getelementptr i8, ptr %digit.at, i64 4
  %next = load i32, ptr %next.at, {PYTHON}
  %wide = zext i32 %next to i64
  %high = shl i64 %wide, {DIGIT_BITS}
  %both = or i64 %high, %low
  ret i64 %both
others:
  %value = {c_call("PyLong_AsUnsignedLongLongMask", "%o")}
  ret i64 %value
}}
define internal i1 @has_type(ptr %o, ptr %class, i64 %offset, ptr %type) {{
  %class.at = getelementptr i8, ptr %o, i64 8
  %own.class = load ptr, ptr %class.at, {PYTHON}
  %same.class = icmp eq ptr %own.class, %class
  br i1 %same.class, label %look, label %no
look:
  %type.at = getelementptr i8, ptr %o, i64 %offset
  %own = load ptr, ptr %type.at, {PYTHON}
  br label %again
again:
  %at = phi ptr [ %own, %look ], [ %super, %up ]
  %same = icmp eq ptr %at, %type
  br i1 %same, label %yes, label %up
up:
  %super.at = getelementptr i8, ptr %at, i64 {_SUPERTYPE}
  %super = load ptr, ptr %super.at, {PYTHON}
  %top = icmp eq ptr %super, {NULL}
  br i1 %top, label %no, label %again
yes:
  ret i1 true
no:
  ret i1 false
}}
{_new_array()}"""
