"""Questions about references in machine code."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.runtime.func import Func
from asyncwasm.core.types import DefType

from .abi import DIGIT_BITS, LONG_DIGIT, LONG_TAG
from .emit import c_call, object_address
from .refs import NULL, PYTHON
from .support import digits_tag, slot_offset

FUNCTION_CLASS: Final = object_address(Func)
FUNCTION_TYPE: Final = slot_offset(Func, "type")
_SUPERTYPE: Final = slot_offset(DefType, "supertype")


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
}}"""
