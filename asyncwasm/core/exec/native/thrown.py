"""WebAssembly exceptions in machine code, and what happens on the way out of functions, as IR.

An exception that native code throws is parked in the store while status `THROWN` says so, and
frames that it passes are noted beside it; Python makes an error of it only when it leaves native
code.  One that comes from Python, out of a host function or the portable engine, stays the error
that it was (status 1) until a handler matches.  Nothing but `ThrownException` is ever caught.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.errors import ThrownException

from .abi import THROWN, Helper, Word
from .emit import HOLD, c_call, object_address

# The store's words: the exception that is parked, the number of frames, and those, three words
# each: file name, function name, offset.
PARKED: Final = 0
_FRAMES: Final = 1
_FIRST: Final = 2
_MOST_FRAMES: Final = 64
EXCEPTION_WORDS: Final = _FIRST + 3 * _MOST_FRAMES


def prelude() -> str:
    """Functions of every unit."""
    words = f"""  %words.at = getelementptr ptr, ptr %ctx, i64 {int(Word.EXCEPTION)}
  %words = load ptr, ptr %words.at
  %frames = getelementptr i64, ptr %words, i64 {_FRAMES}"""
    return f"""
define internal void @throw(ptr %ctx, ptr %exn) noinline cold {{
{words}
  store ptr %exn, ptr %words
  store i64 0, ptr %frames
  ret void
}}
define internal void @passed(ptr %ctx, ptr %name, i32 %offset, i32 %status) noinline cold {{
  %file.at = getelementptr ptr, ptr %ctx, i64 {int(Word.FILENAME)}
  %file = load ptr, ptr %file.at
  %thrown = icmp eq i32 %status, {THROWN}
  br i1 %thrown, label %count, label %frame
frame:
  {HOLD}
  {c_call("_PyTraceback_Add", "%name", "%file", "%offset")}
  ret void
count:
{words}
  %n = load i64, ptr %frames
  %full = icmp uge i64 %n, {_MOST_FRAMES}
  br i1 %full, label %done, label %note
note:
  %more = add i64 %n, 1
  store i64 %more, ptr %frames
  %times = mul i64 %n, 3
  %first = add i64 %times, {_FIRST}
  %place = getelementptr i64, ptr %words, i64 %first
  store ptr %file, ptr %place
  %place.name = getelementptr i64, ptr %place, i64 1
  store ptr %name, ptr %place.name
  %place.offset = getelementptr i64, ptr %place, i64 2
  %wide = zext i32 %offset to i64
  store i64 %wide, ptr %place.offset
  br label %done
done:
  ret void
}}
define internal void @raise_thrown(ptr %ctx) noinline cold {{
start:
{words}
  %exn = load ptr, ptr %words
  store ptr null, ptr %words
  %args = alloca ptr
  store ptr %exn, ptr %args
  %helpers.at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %helpers = load ptr, ptr %helpers.at
  %helper.at = getelementptr ptr, ptr %helpers, i64 {int(Helper.RAISE_THROWN)}
  %helper = load ptr, ptr %helper.at
  %none = call ptr @call_object(ptr %helper, ptr %args, i64 1)
  br label %each
each:
  %i = phi i64 [ 0, %start ], [ %next, %frame ]
  %n = load i64, ptr %frames
  %done = icmp uge i64 %i, %n
  br i1 %done, label %end, label %frame
frame:
  %times = mul i64 %i, 3
  %first = add i64 %times, {_FIRST}
  %place = getelementptr i64, ptr %words, i64 %first
  %file = load ptr, ptr %place
  %place.name = getelementptr i64, ptr %place, i64 1
  %name = load ptr, ptr %place.name
  %place.offset = getelementptr i64, ptr %place, i64 2
  %wide = load i64, ptr %place.offset
  %offset = trunc i64 %wide to i32
  {c_call("_PyTraceback_Add", "%name", "%file", "%offset")}
  %next = add i64 %i, 1
  br label %each
end:
  ret void
}}
define internal ptr @caught(ptr %ctx, i32 %status) noinline cold {{
start:
  %thrown = icmp eq i32 %status, {THROWN}
  br i1 %thrown, label %parked, label %look
parked:
{words}
  %exn = load ptr, ptr %words
  call void @keep(ptr %exn)
  ret ptr %exn
look:
  %kind = {c_call("PyErr_Occurred")}
  %ours = icmp eq ptr %kind, {object_address(ThrownException)}
  br i1 %ours, label %fetch, label %others
others:
  ret ptr null
fetch:
  %type.at = alloca ptr
  %value.at = alloca ptr
  %trace.at = alloca ptr
  {c_call("PyErr_Fetch", "%type.at", "%value.at", "%trace.at")}
  {c_call("PyErr_NormalizeException", "%type.at", "%value.at", "%trace.at")}
  %value = load ptr, ptr %value.at
  %found = {c_call("PyObject_GetAttrString", "%value", "@.exn")}
  %type = load ptr, ptr %type.at
  %trace = load ptr, ptr %trace.at
  {c_call("PyErr_Restore", "%type", "%value", "%trace")}
  ret ptr %found
}}
define internal void @handled(ptr %ctx, i32 %status) noinline cold {{
  %thrown = icmp eq i32 %status, {THROWN}
  br i1 %thrown, label %parked, label %set
parked:
{words}
  %exn = load ptr, ptr %words
  store ptr null, ptr %words
  call void @release(ptr %exn)
  ret void
set:
  {c_call("PyErr_Clear")}
  ret void
}}
@.exn = private constant [4 x i8] c"exn\\00"
"""
