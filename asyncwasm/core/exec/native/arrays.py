"""Arrays in machine code: Python's own objects, made and read without Python.

An `ArrayRef` has its elements in a list, or, numbers, in an `array.array`; see
`runtime.aggregates`.  Both keep their size and the address of what is in them at the same places.
"""

from __future__ import annotations

from array import array
from typing import Final

from asyncwasm.core.runtime.gc import ArrayRef

from .emit import c_call, object_address
from .refs import FIELD, NULL, PYTHON
from .support import slot_offset

ARRAY_CLASS: Final = object_address(ArrayRef)
ELEMENTS: Final = slot_offset(ArrayRef, "elements")
ARRAY_TYPE: Final = slot_offset(ArrayRef, "type")
_STORE: Final = slot_offset(ArrayRef, "store")

# IR types of elements that are numbers: their sizes, and arrays of one zero.
SIZES: Final = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "double": 8}
_ZEROS: Final = {held: array(code, [0]) for held, code in zip(SIZES, "BHIQd", strict=True)}


_NULLS: Final = [None]


def one_zero(held: str | None) -> str:
    """The elements of an array of one zero or null, as an IR constant."""
    if held is None:
        return object_address(_NULLS, "zero.reference")
    return object_address(_ZEROS[held], f"zero.{held}")


def prelude() -> str:
    """Functions of every unit."""
    return f"""
define internal ptr @new_array(ptr %type, ptr %elements) noinline {{
start:
  %object = {c_call("PyType_GenericAlloc", ARRAY_CLASS, "0")}
  %none = icmp eq ptr %object, null
  br i1 %none, label %fail, label %set
set:
  %type.at = getelementptr i8, ptr %object, i64 {ARRAY_TYPE}
  store ptr %type, ptr %type.at, {PYTHON}
  call void @keep(ptr %type)
  %elements.at = getelementptr i8, ptr %object, i64 {ELEMENTS}
  store ptr %elements, ptr %elements.at, {PYTHON}
  %store.at = getelementptr i8, ptr %object, i64 {_STORE}
  store ptr {NULL}, ptr %store.at, {PYTHON}
  call void @to_python(ptr {NULL})
  ret ptr %object
fail:
  call void @drop(ptr %elements)
  ret ptr null
}}
define internal void @fill_references(ptr %at, ptr %value, i64 %count) {{
start:
  br label %look
look:
  %i = phi i64 [ 0, %start ], [ %next, %put ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %put
put:
  %to = getelementptr ptr, ptr %at, i64 %i
  %old = load ptr, ptr %to, {PYTHON}
  call void @keep(ptr %value)
  call void @to_python(ptr %value)
  store ptr %value, ptr %to, {PYTHON}
  call void @drop(ptr %old)
  %next = add nuw i64 %i, 1
  br label %look
end:
  ret void
}}{"".join(map(_fill, SIZES))}"""


def _fill(held: str) -> str:
    return f"""
define internal void @fill_{held}(ptr %at, {held} %number, i64 %count) {{
start:
  br label %look
look:
  %i = phi i64 [ 0, %start ], [ %next, %put ]
  %done = icmp eq i64 %i, %count
  br i1 %done, label %end, label %put
put:
  %to = getelementptr {held}, ptr %at, i64 %i
  store {held} %number, ptr %to, {FIELD}
  %next = add nuw i64 %i, 1
  br label %look
end:
  ret void
}}"""
