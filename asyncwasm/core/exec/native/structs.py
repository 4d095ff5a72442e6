"""Structs in machine code: objects of Python classes, with their fields in them.

See `runtime.structs` for the classes, and `runtime.storage` for what is in their slots.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from asyncwasm.core.runtime.structs import StructRef
from asyncwasm.core.types import DefType

from . import externals
from .abi import TYPE_BASE, Helper
from .emit import c_call, object_address
from .refs import NULL, PYTHON
from .support import slot_offset

if TYPE_CHECKING:
    from .body import Body

STRUCT_CLASS: Final = object_address(StructRef)
# Field 0; each takes eight bytes.
FIELDS: Final = StructRef.__basicsize__
STORE: Final = slot_offset(StructRef, "store")
# Memory of former structs (`recycling`): for each number of fields below `LISTS` a list of blocks,
# and how many bytes more may be kept there.
LISTS: Final = 17
_WORDS: Final[array[int]] = array("Q", [0, 1 << 20] * LISTS)
BLOCKS: Final = externals.declare_data(
    "asyncwasm.structs", f"[{len(_WORDS)} x i64]", _WORDS.buffer_info()[0]
)
_OBJECTS: Final = slot_offset(DefType, "objects")


def prelude() -> str:
    """Functions of every unit."""
    return f"""
define internal i1 @derives(ptr %class, ptr %base) {{
start:
  br label %again
again:
  %at = phi ptr [ %class, %start ], [ %super, %up ]
  %same = icmp eq ptr %at, %base
  br i1 %same, label %done, label %up
up:
  %super.at = getelementptr i8, ptr %at, i64 {TYPE_BASE}
  %super = load ptr, ptr %super.at, {PYTHON}
  %top = icmp eq ptr %super, null
  br i1 %top, label %done, label %again
done:
  %found = phi i1 [ true, %again ], [ false, %up ]
  ret i1 %found
}}
define internal ptr @new_struct(ptr %class, i64 %fields) {{
start:
  %list = getelementptr {{ ptr, i64 }}, ptr {BLOCKS}, i64 %fields
  %o = load ptr, ptr %list, {PYTHON}
  %none = icmp eq ptr %o, null
  br i1 %none, label %new, label %take
new:
  %fresh = call ptr @fresh_struct(ptr %class)
  ret ptr %fresh
take:
  %others = load ptr, ptr %o, {PYTHON}
  store ptr %others, ptr %list, {PYTHON}
  call void @llvm.prefetch.p0(ptr %others, i32 1, i32 3, i32 1)
  %room.at = getelementptr i64, ptr %list, i64 1
  %room = load i64, ptr %room.at, {PYTHON}
  %bytes = mul i64 %fields, 8
  %size = add i64 %bytes, {FIELDS}
  %more = add i64 %room, %size
  store i64 %more, ptr %room.at, {PYTHON}
  %collectors = getelementptr i8, ptr %o, i64 -16
  store <2 x i64> zeroinitializer, ptr %collectors, align 8, {PYTHON}
  store i64 1, ptr %o, {PYTHON}
  %class.at = getelementptr i8, ptr %o, i64 8
  store ptr %class, ptr %class.at, {PYTHON}
  call void @keep(ptr %class)
  %store.at = getelementptr i8, ptr %o, i64 {STORE}
  store ptr {NULL}, ptr %store.at, {PYTHON}
  call void @to_python(ptr {NULL})
  ret ptr %o
}}
define internal ptr @fresh_struct(ptr %class) noinline {{
  %o = {c_call("_PyObject_GC_New", "%class")}
  %none = icmp eq ptr %o, null
  br i1 %none, label %done, label %set
set:
  %store.at = getelementptr i8, ptr %o, i64 {STORE}
  store ptr {NULL}, ptr %store.at, {PYTHON}
  call void @to_python(ptr {NULL})
  br label %done
done:
  ret ptr %o
}}"""


def _class(body: Body, ty: str) -> str:
    """The class of a struct type's objects, or `None` if there are none yet."""
    at = body.out.op(f"getelementptr i8, ptr {ty}, i64 {_OBJECTS}")
    return body.out.op(f"load ptr, ptr {at}, {PYTHON}")


def is_struct(body: Body, value: str, ty: str, *, final: bool) -> str:
    """Whether an internal reference is a struct of a type, as an i1."""
    out = body.out
    at = out.op(f"getelementptr i8, ptr {value}, i64 8")
    own = out.op(f"load ptr, ptr {at}, {PYTHON}")
    cls = _class(body, ty)
    if final:
        return out.op(f"icmp eq ptr {own}, {cls}")
    return out.op(f"call i1 @derives(ptr {own}, ptr {cls})")


def allocate(body: Body, ty: str, index: int, fields: int) -> str:
    """A new struct of type `index` of the module, with so many fields, which are to be set.

    Then it is ready for `PyObject_GC_Track`.
    """
    out = body.out
    known = _class(body, ty)
    make, ready = out.fresh("make"), out.fresh("ready")
    before = out.block
    out.branch(out.op(f"icmp eq ptr {known}, {NULL}"), make, ready, unlikely=True)
    out.label(make)
    body.helper(Helper.STRUCT_CLASS, str(index))
    made = _class(body, ty)
    made_in = out.block
    out.jump(ready)
    out.label(ready)
    cls = out.op(f"phi ptr [ {known}, %{before} ], [ {made}, %{made_in} ]")
    if fields < LISTS:
        found = out.op(f"call ptr @new_struct(ptr {cls}, i64 {fields})")
    else:
        found = out.op(f"call ptr @fresh_struct(ptr {cls})")
    # This may collect garbage, whose finalizers may do anything.
    body.calls = True
    body.unwind_if(out.op(f"icmp eq ptr {found}, null"))
    return found
