"""The end of structs, in machine code, and their memory kept for the next ones.

Python's own way for objects of classes finds out every time which slots there are, and gives the
memory back.  The functions here take its place in the class of every struct type (`tp_dealloc`,
`tp_traverse`, `tp_clear`) as soon as there is native code that makes structs.  What they need to
know is the class's *map*: a bit for each slot that refers to an object, the store's first.  It is
in a word of the class that says where objects have what to call, which these have not.

Structs that go with another one wait their turn in a list, so that there is no recursion.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress
from typing import Final

from asyncwasm.core.runtime.storage import is_inline
from asyncwasm.core.runtime.structs import StructRef, adopt_classes
from asyncwasm.core.types import StructType

from .abi import TYPE_CLEAR, TYPE_DEALLOC, TYPE_FREE, TYPE_MAP, TYPE_SIZE, TYPE_TRAVERSE
from .compiler import CompileError, compile_unit
from .emit import c_call
from .parts import Parts
from .prelude import prelude
from .refs import NULL
from .structs import BLOCKS, FIELDS, LISTS, STORE
from .workers import BACKGROUND

# Bits of a map.  A struct with more fields is left to Python, and with it to its base's functions,
# for which its map is the base's.
_BITS: Final = 64


def _for_each(head: str, start: str, value: str, end: str) -> str:
    """A function that does `value` for each slot with an object: `%value` in the slot at `%at`.

    That goes on to `next`.  After the last one it does `end`, which may go on to another `%o`, as
    `start` does first.
    """
    return f"""
define dso_local {head} {{
start:{start}
  br label %object
object:
  %o = phi ptr [ %first, %start ]{", [ %another, %pop ]" if "%another" in end else ""}
  %class.at = getelementptr i8, ptr %o, i64 8
  %class = load ptr, ptr %class.at
  %map.at = getelementptr i8, ptr %class, i64 {TYPE_MAP}
  %map = load i64, ptr %map.at
  %slots = getelementptr i8, ptr %o, i64 {STORE}
  br label %look
look:
  %bits = phi i64 [ %map, %object ], [ %rest, %next ]
  %done = icmp eq i64 %bits, 0
  br i1 %done, label %end, label %slot
slot:
  %bit = call i64 @llvm.cttz.i64(i64 %bits, i1 true)
  %less = sub i64 %bits, 1
  %rest = and i64 %bits, %less
  %at = getelementptr ptr, ptr %slots, i64 %bit
  %value = load ptr, ptr %at
  %nothing = icmp eq ptr %value, null
  br i1 %nothing, label %next, label %something
something:{value}
next:
  br label %look
end:{end}
}}"""


_DEALLOC: Final = _for_each(
    "void @struct_dealloc(ptr %first)",
    f"""
  %waiting = alloca ptr
  store ptr null, ptr %waiting
  {c_call("PyObject_GC_UnTrack", "%first")}""",
    f"""
  %dead = call i1 @count_down(ptr %value)
  br i1 %dead, label %free, label %next
free:
  %kind.at = getelementptr i8, ptr %value, i64 8
  %kind = load ptr, ptr %kind.at
  %how.at = getelementptr i8, ptr %kind, i64 {TYPE_DEALLOC}
  %how = load ptr, ptr %how.at
  %ours = icmp eq ptr %how, @struct_dealloc
  br i1 %ours, label %wait, label %foreign
wait:
  {c_call("PyObject_GC_UnTrack", "%value")}
  %before = load ptr, ptr %waiting
  store ptr %before, ptr %value
  store ptr %value, ptr %waiting
  br label %next
foreign:
  {c_call("_Py_Dealloc", "%value")}
  br label %next""",
    f"""
  %size.at = getelementptr i8, ptr %class, i64 {TYPE_SIZE}
  %size = load i64, ptr %size.at
  %fields = sub i64 %size, {FIELDS}
  %small = icmp ult i64 %fields, {8 * LISTS}
  br i1 %small, label %ask, label %give
ask:
  %pairs = mul i64 %fields, 2
  %list = getelementptr i8, ptr {BLOCKS}, i64 %pairs
  %left.at = getelementptr i64, ptr %list, i64 1
  %left = load i64, ptr %left.at
  %room = icmp uge i64 %left, %size
  br i1 %room, label %keep, label %give
keep:
  %fewer = sub i64 %left, %size
  store i64 %fewer, ptr %left.at
  %others = load ptr, ptr %list
  store ptr %others, ptr %o
  store ptr %o, ptr %list
  br label %freed
give:
  {c_call("PyObject_GC_Del", "%o")}
  br label %freed
freed:
  call void @drop(ptr %class)
  %another = load ptr, ptr %waiting
  %all = icmp eq ptr %another, null
  br i1 %all, label %gone, label %pop
pop:
  %after = load ptr, ptr %another
  store ptr %after, ptr %waiting
  br label %object
gone:
  ret void""",
)

_TRAVERSE: Final = _for_each(
    "i32 @struct_traverse(ptr %first, ptr %visit, ptr %arg)",
    "",
    f"""
  %null = icmp eq ptr %value, {NULL}
  br i1 %null, label %next, label %visit.it
visit.it:
  %answer = call i32 %visit(ptr %value, ptr %arg)
  %stop = icmp ne i32 %answer, 0
  br i1 %stop, label %stopped, label %next
stopped:
  ret i32 %answer""",
    """
  %last = call i32 %visit(ptr %class, ptr %arg)
  ret i32 %last""",
)

# Whoever may still see the struct finds null, never nothing.
_CLEAR: Final = _for_each(
    "i32 @struct_clear(ptr %first)",
    "",
    f"""
  call void @to_python(ptr {NULL})
  store ptr {NULL}, ptr %at
  call void @drop(ptr %value)
  br label %next""",
    """
  ret i32 0""",
)

_PLACES: Final = {
    "struct_traverse": TYPE_TRAVERSE,
    "struct_clear": TYPE_CLEAR,
    "struct_dealloc": TYPE_DEALLOC,
}


def _word(cls: type, offset: int) -> ctypes.c_size_t:
    return ctypes.c_size_t.from_address(id(cls) + offset)


def _layout_holds() -> bool:
    """Whether a class has what it is looked for where it is looked for."""
    free = ctypes.cast(ctypes.pythonapi.PyObject_GC_Del, ctypes.c_void_p).value
    plain = type("probe", (), {"__slots__": ("slot",)})
    places = {_word(plain, place).value for place in _PLACES.values()}
    return (
        all(
            _word(plain, place).value == _word(StructRef, place).value for place in _PLACES.values()
        )
        and len(places) == len(_PLACES)
        and 0 not in places
        and _word(StructRef, TYPE_SIZE).value == StructRef.__basicsize__
        and _word(StructRef, TYPE_FREE).value == free
        and _word(StructRef, TYPE_MAP).value == 0
    )


def _map(cls: type[StructRef]) -> int:
    """The map of a class; 0 if it would have too many bits."""
    comp = cls.type.comp
    assert isinstance(comp, StructType)
    if len(comp.fields) >= _BITS:
        return 0
    bits = [1 << n for n, field in enumerate(comp.fields, 1) if not is_inline(field.storage)]
    return 1 + sum(bits)


class _Adopter:
    """Gives classes our functions."""

    def __init__(self) -> None:
        text = "\n".join([_DEALLOC, _TRAVERSE, _CLEAR])
        unit = compile_unit(f"{text}\n{Parts(prelude()).used_by(text)}", speed=2)
        # Structs may be the last thing to go in a process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(unit))
        addresses = unit.addresses([*_PLACES])
        self._functions: Final = list(zip(_PLACES.values(), addresses, strict=True))

    def mark(self, cls: type[StructRef]) -> None:
        """First all classes have maps: Python's functions may call ours for a base."""
        found = _map(cls)
        base = cls.__base__
        assert base is not None
        _word(cls, TYPE_MAP).value = found or _word(base, TYPE_MAP).value

    def adopt(self, cls: type[StructRef]) -> None:
        if _map(cls):
            for place, function in self._functions:
                _word(cls, place).value = function


_lock: Final = threading.RLock()
_tried = False
_asked = False


def enable() -> None:
    """Give all classes our functions, if that was not done before.  Raises `CompileError`."""
    global _tried
    with _lock:
        if not _tried:
            # At once: finalizers of garbage may come here meanwhile.
            _tried = True
            if _layout_holds():
                adopter = _Adopter()
                adopt_classes(adopter.mark, adopter.adopt)


def _try() -> None:
    with suppress(CompileError):
        enable()


def note(imports: tuple[str, ...]) -> None:
    """There is code that uses these symbols.  If it makes structs, `enable` is worth while.

    That is done in the background, because Python's own functions do as well until then.
    """
    global _asked
    if not _asked and BLOCKS.removeprefix("@") in imports:
        _asked = True
        BACKGROUND.submit(_try)
