"""What generated code and Python agree on: the context of an instance, status, helpers.

Every native function takes the context of its instance first and returns a structure: a status
and its results.  Status 0 is success; 1 says that a Python exception is set in the thread,
`THROWN` that a WebAssembly exception is parked in the store.  Its calling convention is
`CONVENTION`, or for `t<n>` (see below) `TAIL_CONVENTION`, in which any function can tail-call any
other.

A function that makes tail calls exists twice: `t<n>` may also return `TAIL`, which says that
Python is to go on with a call that was parked, and `f<n>` sees to that.

The context is an array of 64-bit words at the indices of `Word`; those called a list point to an
array with one pointer per item of that index space.  After them it has words for `Items`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncwasm.core.module import ModuleInfo

THROWN: Final = 2
TAIL: Final = 3
TAIL_CONVENTION: Final = "tailcc"
# Of all other native functions: `tailcc` would have them give back stack at every return.
CONVENTION: Final = "fastcc"


class Word(enum.IntEnum):
    """Indices of the words of a context."""

    STACK_LIMIT = 0
    """Points to the store's word with the lowest address that guest frames may reach."""
    INTERRUPT = 1
    """Points to the store's word with the ticker's count that it has seen; see `ticker`."""
    FILENAME = 2
    """A C string that stands for the instance in tracebacks."""
    CALLABLES = 3
    """A list: for each function its `Func` object, or null before it was asked for."""
    HELPERS = 4
    """A list: the Python callables of `Helper`."""
    FUEL = 5
    """Points to the store's active fuel, a signed number."""
    IMPORTS = 6
    """A list: for each imported function its slot, or null if only Python can call it."""
    FUNCS = 7
    """A list: for each function its `Func`, or null before `Helper.FUNC` was asked for it."""
    ARGUMENTS = 8
    """Points to the store's area for arguments of tail calls; see `passing`."""
    EXCEPTION = 9
    """Points to the store's words for an exception that is on its way; see `thrown`."""
    TAGS = 10
    """A list: for each tag its `Tag`."""
    TYPES = 11
    """A list: for each type of the module its `DefType`."""


class Items(enum.Enum):
    """What a context has a word for each of, after `Word` and in this order."""

    MEMORIES = "memories"
    """Points to its two words, base address and size in bytes."""
    TABLES = "tables"
    """Points to its Python list of elements."""
    CALLS = "calls"
    """For each table, points to what is known of calls of its elements; see `indirect`."""
    GLOBALS = "globals"
    """Points to its 16 bytes, or for one of a reference type to where that is held."""


def counts(info: ModuleInfo) -> dict[Items, int]:
    """How many words a context has of each."""
    return {
        Items.MEMORIES: len(info.memories),
        Items.TABLES: len(info.tables),
        Items.CALLS: len(info.tables),
        Items.GLOBALS: len(info.globals),
    }


def place(info: ModuleInfo, items: Items, index: int) -> int:
    """Which word of a context that of an item is."""
    before = len(Word)
    for kind, count in counts(info).items():
        if kind is items:
            break
        before += count
    return before + index


def context_words(info: ModuleInfo) -> int:
    """How many words a context has."""
    return len(Word) + sum(counts(info).values())


# The words of a slot: the address of the word that holds the address of the function's code, or
# 0 while there is none; the context to call it with; its exact type, a `DefType`; the same as the
# first for tail calls.  More follow for `gates`.
SLOT_CELL: Final = 0
SLOT_CONTEXT: Final = 1
SLOT_TYPE: Final = 2
SLOT_TAIL: Final = 3


class Helper(enum.IntEnum):
    """Python callables that generated code calls with raw values."""

    RAISE = 0
    """`(trap)`: raise the trap of that number."""
    POLL = 1
    """`()`: epochs and preemption."""
    MEMORY_GROW = 2
    """`(memory, pages)`: the old size or -1."""
    MEMORY_INIT = 3
    """`(segment, memory, destination, source, size)`."""
    DATA_DROP = 4
    """`(segment)`."""
    INDIRECT = 5
    """`(table, index, type)`: for an element without a fast path, the address of the object whose
    `fn` is to be called, or a trap."""
    FUNC = 6
    """`(function)`: make the function's `Func`, whose pointers are filled in then."""
    ATOMIC_WAIT = 7
    """`(memory, address, width, expected, timeout)`: how the wait ended."""
    ATOMIC_NOTIFY = 8
    """`(memory, address, count)`: how many woke."""
    TABLE_GROW = 9
    """`(table, count, reference)`: the old size or -1."""
    TABLE_FILL = 10
    """`(table, start, reference, count)`."""
    TABLE_COPY = 11
    """`(target, source, to, start, count)`."""
    TABLE_INIT = 12
    """`(segment, table, to, start, count)`."""
    ELEM_DROP = 13
    """`(segment)`."""
    CALLEE = 14
    """`(function reference)`: for one without a fast path, what `INDIRECT` gives, or a trap."""
    SAMPLE = 15
    """`(place)`: as `POLL`, from code that is not optimised; which, by `LOOP_SHIFT`."""
    PARK_CALL = 16
    """`(function, *arguments)`: park the tail call of a function of the module."""
    PARK_INDIRECT = 17
    """`(table, index, type, *arguments)`: that of an element; see `INDIRECT`."""
    PARK_REF = 18
    """`(function reference, *arguments)`: that of a reference."""
    PARKED = 19
    """`()`: the call that was parked last, as tail calls are in the portable engine."""
    FINISH = 20
    """`()`: its results, and those of all that it leads to."""
    THROW = 21
    """`(tag, *values)`: a new exception."""
    RAISE_THROWN = 22
    """`(exception)`: raise it as an error of Python's."""
    ARRAY_NEW = 23
    """`(type, value, length)`: a new array."""
    ARRAY_NEW_DATA = 24
    """`(type, segment, start, count)`: a new array."""
    ARRAY_NEW_ELEM = 25
    """`(type, segment, start, count)`: a new array."""
    ARRAY_FILL = 26
    """`(array, start, value, count)`."""
    ARRAY_COPY = 27
    """`(target, to, source, start, count)`."""
    ARRAY_INIT_DATA = 28
    """`(type, segment, array, to, start, count)`."""
    ARRAY_INIT_ELEM = 29
    """`(type, segment, array, to, start, count)`."""
    STRUCT_CLASS = 30
    """`(type)`: make the class of its objects, to which the type then refers."""
    SETTLE = 31
    """`(function)`: see to it that the function has code, if only such that calls its `Func`."""


# The place of a sample is the number of a function and, above so many bits, the offset in the
# module of the loop that begins a turn there, or 0.
LOOP_SHIFT: Final = 32

# Where CPython keeps what generated code reads directly; checked against the running
# interpreter when the engine starts.  An `array.array` is like a list in this.
LIST_SIZE: Final = 16
LIST_ITEMS: Final = 24
BYTES_DATA: Final = 32
FLOAT_VALUE: Final = 16
# The first digit of an `int`, the bits that each has, and what says how many there are.
LONG_TAG: Final = 16
LONG_DIGIT: Final = 24
DIGIT_BITS: Final = 30
# Of a type: the size of its objects, some functions, its base, and a word that says where objects
# have what to call, if they have that.
TYPE_SIZE: Final = 32
TYPE_DEALLOC: Final = 48
TYPE_MAP: Final = 56
TYPE_TRAVERSE: Final = 184
TYPE_CLEAR: Final = 192
TYPE_BASE: Final = 256
TYPE_FREE: Final = 320

# C functions of the running interpreter that generated code calls, with their IR types.
C_FUNCTIONS: Final = {
    "PyLong_FromUnsignedLongLong": "ptr (i64)",
    "PyLong_AsUnsignedLongLongMask": "i64 (ptr)",
    "PyLong_FromLongLong": "ptr (i64)",
    "PyLong_AsLongLongAndOverflow": "i64 (ptr, ptr)",
    "PyLong_AsVoidPtr": "ptr (ptr)",
    "PyFloat_FromDouble": "ptr (double)",
    "PyFloat_AsDouble": "double (ptr)",
    "PyBytes_FromStringAndSize": "ptr (ptr, i64)",
    "PyList_New": "ptr (i64)",
    "PyList_SetItem": "i32 (ptr, i64, ptr)",
    "PyList_GetSlice": "ptr (ptr, i64, i64)",
    "PyList_SetSlice": "i32 (ptr, i64, i64, ptr)",
    "PyThread_get_thread_ident": "i64 ()",
    "PyEval_SaveThread": "ptr ()",
    "PyEval_RestoreThread": "void (ptr)",
    "PySequence_Repeat": "ptr (ptr, i64)",
    "PyTuple_New": "ptr (i64)",
    "PyTuple_SetItem": "i32 (ptr, i64, ptr)",
    "PyTuple_GetItem": "ptr (ptr, i64)",
    "PyObject_GetAttrString": "ptr (ptr, ptr)",
    "PyObject_Vectorcall": "ptr (ptr, ptr, i64, ptr)",
    "Py_DecRef": "void (ptr)",
    "_Py_Dealloc": "void (ptr)",
    "PyType_GenericAlloc": "ptr (ptr, i64)",
    "_PyObject_GC_New": "ptr (ptr)",
    "PyObject_GC_Track": "void (ptr)",
    "PyObject_GC_UnTrack": "void (ptr)",
    "PyObject_GC_Del": "void (ptr)",
    "PyErr_Occurred": "ptr ()",
    "PyErr_Fetch": "void (ptr, ptr, ptr)",
    "PyErr_NormalizeException": "void (ptr, ptr, ptr)",
    "PyErr_Restore": "void (ptr, ptr, ptr)",
    "PyErr_Clear": "void ()",
    "Py_NewRef": "ptr (ptr)",
    "_PyTraceback_Add": "void (ptr, ptr, i32)",
}
