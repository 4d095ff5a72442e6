"""Gates: how calls cross between Python and native code.  One set of code for a function type.

Inward there are four, `METH_FASTCALL` functions whose `self` is the bytes of a slot:

* `raw` takes and gives raw values, in a call that is in progress; `raw_tail` may give a tail call
  instead, as functions of the portable engine do;
* `direct` takes a store and public values.  It enters the store as `calls.enter` does when
  nothing special is going on, and gives `REFUSED`, with nothing done, when something is: what
  that takes, or a value that needs a closer look, is Python's business;
* `direct_async` is the same on a fiber.

Outward there is `host`, a native function whose context is the record of a host function.

A slot is what native code calls a function by: `SLOT` words in a `bytes` object.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.runtime.func import REFUSED
from asyncwasm.core.runtime.words import (
    BARS,
    DEPTH,
    LEAVE,
    LIMIT,
    LOWEST,
    MAY_SUSPEND,
    SLICE,
    THREAD,
    Bar,
)
from asyncwasm.core.types import FuncType

from . import gil, passing, refs, thrown, ticker
from .abi import (
    BYTES_DATA,
    CONVENTION,
    SLOT_CELL,
    SLOT_CONTEXT,
    SLOT_TAIL,
    TAIL,
    TAIL_CONVENTION,
    THROWN,
    Helper,
    Word,
)
from .compiler import CompileError, Unit, compile_unit
from .emit import Emitter, c_call, ir_type, object_address
from .exits import result_type
from .glue import (
    any_null,
    box,
    failure,
    go_on_if,
    new_none,
    public_box,
    public_unbox,
    signature,
    unbox,
)
from .parts import Parts
from .prelude import METADATA, conversions
from .refs import NULL, REF

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncwasm.core.runtime.func import Func
    from asyncwasm.core.runtime.store import Store

# A slot, see `abi`, and what gates find there after its first words: the store's words, the
# store, and how many bytes of stack a call may use.
_SLOT: Final = struct.Struct("<QQQQQQQ")
_SLOT_WORDS: Final = 4
_SLOT_STORE: Final = 5
_SLOT_STACK: Final = 6

# The words of a host function's record: the function, what awaits what it gave, what makes a raw
# value of that, what to call when there is a hook, and the store's words.
_RECORD: Final = struct.Struct("<QQQQQ")
_RECORD_FUNCTION: Final = 0
_RECORD_SETTLE: Final = 1
_RECORD_LOWER: Final = 2
_RECORD_HOOKED: Final = 3
_RECORD_WORDS: Final = 4

# A word for code that there is none of: host functions make no tail calls.
_NO_CODE: Final = struct.pack("<Q", 0)

_METH_FASTCALL: Final = 0x80

_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object)


class MethodDef(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _word(out: Emitter, base: str, index: int, ty: str = "i64") -> str:
    at = out.op(f"getelementptr i64, ptr {base}, i64 {index}")
    return out.op(f"load {ty}, ptr {at}")


def _set_word(out: Emitter, base: str, index: int, value: str) -> None:
    at = out.op(f"getelementptr i64, ptr {base}, i64 {index}")
    out.do(f"store i64 {value}, ptr {at}")


def _call_guest(
    out: Emitter, slot: str, words: str, code: str, ty: FuncType, args: str, *, tail: bool = False
) -> str:
    """Call native code, which may use so much stack from here, as far as the thread's goes.

    The limit before is put back.
    """
    old = _word(out, words, LIMIT)
    low = _word(out, words, LOWEST)
    most = _word(out, slot, _SLOT_STACK)
    here = out.op(f"ptrtoint ptr {out.op('call ptr @llvm.frameaddress.p0(i32 0)')} to i64")
    wanted = out.op(f"call i64 @llvm.usub.sat.i64(i64 {here}, i64 {most})")
    _set_word(out, words, LIMIT, out.op(f"call i64 @llvm.umax.i64(i64 {wanted}, i64 {low})"))
    context = _word(out, slot, SLOT_CONTEXT, "ptr")
    returns = result_type(ty.results)
    convention = TAIL_CONVENTION if tail else CONVENTION
    result = out.op(f"call {convention} {returns} {code}(ptr {context}{args})")
    gil.hold(out, words)
    _set_word(out, words, LIMIT, old)
    return result


def _give_back(out: Emitter, ty: FuncType, boxed: list[str]) -> None:
    """Return one new object, None for no result, a tuple for several."""
    if len(boxed) == 1:
        out.end(f"ret ptr {boxed[0]}")
    elif not boxed:
        out.end(f"ret ptr {out.op(new_none())}")
    else:
        out.branch(any_null(out, boxed), "bad", "pack", unlikely=True)
        out.label("pack")
        pack = out.op(c_call("PyTuple_New", str(len(boxed))))
        for number, item in enumerate(boxed):
            out.op(c_call("PyTuple_SetItem", pack, str(number), item))
        out.end(f"ret ptr {pack}")


def _results(out: Emitter, ty: FuncType, result: str) -> list[tuple[str, str]]:
    """The results of a native function after its status, with their IR types."""
    returns = result_type(ty.results)
    return [
        (ir_type(t), out.op(f"extractvalue {returns} {result}, {number}"))
        for number, t in enumerate(ty.results, 1)
    ]


def _split(out: Emitter, ty: FuncType, result: str, slot: str) -> None:
    """Return null if a native function has failed; go on if not."""
    status = out.op(f"extractvalue {result_type(ty.results)} {result}, 0")
    out.branch(out.op(f"icmp ne i32 {status}, 0"), "failed", "good", unlikely=True)
    out.label("failed")
    out.branch(out.op(f"icmp eq i32 {status}, {THROWN}"), "thrown", "bad")
    out.label("thrown")
    out.do(f"call void @raise_thrown(ptr {_word(out, slot, SLOT_CONTEXT, 'ptr')})")
    out.jump("bad")
    out.label("bad")
    out.end("ret ptr null")
    out.label("good")


_HEAD: Final = "(ptr %self, ptr %args, i64 %n) {"


def _raw(ty: FuncType, *, tail: bool) -> str:
    out = Emitter()
    slot = out.op(f"getelementptr i8, ptr %self, i64 {BYTES_DATA}")
    words = _word(out, slot, _SLOT_WORDS, "ptr")
    cell = _word(out, slot, SLOT_TAIL if tail else SLOT_CELL, "ptr")
    code = out.op(f"load ptr, ptr {cell}")
    values = []
    for number, param in enumerate(ty.params):
        name = ir_type(param)
        values.append((name, unbox(out, name, _word(out, "%args", number, "ptr"))))
    if tail:
        context = _word(out, slot, SLOT_CONTEXT, "ptr")
        args = passing.arguments(out, context, values, ty)
    else:
        args = "".join(f", {name} {value}" for name, value in values)
    result = _call_guest(out, slot, words, code, ty, args, tail=tail)
    if tail:
        status = out.op(f"extractvalue {result_type(ty.results)} {result}, 0")
        out.branch(out.op(f"icmp eq i32 {status}, {TAIL}"), "parked", "ended", unlikely=True)
        out.label("parked")
        helpers = _word(out, _word(out, slot, SLOT_CONTEXT, "ptr"), Word.HELPERS, "ptr")
        helper = _word(out, helpers, Helper.PARKED, "ptr")
        out.end(f"ret ptr {out.op(f'call ptr @call_object(ptr {helper}, ptr null, i64 0)')}")
        out.label("ended")
    _split(out, ty, result, slot)
    results = _results(out, ty, result)
    boxed = [box(out, name, value) for name, value in results]
    for name, value in results:
        if name == REF:
            refs.release(out, value)
    _give_back(out, ty, boxed)
    return f"define ptr @{'raw_tail' if tail else 'raw'}{_HEAD}\n{out.text()}\n}}"


def _direct(ty: FuncType, *, may_suspend: bool) -> str:
    out = Emitter()
    go_on_if(out, out.op(f"icmp eq i64 %n, {len(ty.params) + 1}"), "refuse")
    slot = out.op(f"getelementptr i8, ptr %self, i64 {BYTES_DATA}")
    given = out.op("load ptr, ptr %args")
    store = _word(out, slot, _SLOT_STORE, "ptr")
    go_on_if(out, out.op(f"icmp eq ptr {given}, {store}"), "refuse")
    words = _word(out, slot, _SLOT_WORDS, "ptr")
    # Nothing stands in the way (what comes up meanwhile is seen on the way out), no call is in
    # progress, and the ticker is awake.
    barring = Bar.FOR_ASYNC if may_suspend else Bar.FOR_SYNC
    bars = out.op(f"and i64 {_word(out, words, BARS)}, {barring}")
    asleep = out.op(f"load i64, ptr {ticker.IDLE}")
    busy = out.op(f"or i64 {out.op(f'or i64 {bars}, {asleep}')}, {_word(out, words, DEPTH)}")
    go_on_if(out, out.op(f"icmp eq i64 {busy}, 0"), "refuse")
    thread = out.op(c_call("PyThread_get_thread_ident"))
    go_on_if(out, out.op(f"icmp eq i64 {thread}, {_word(out, words, THREAD)}"), "refuse")
    code = out.op(f"load ptr, ptr {_word(out, slot, SLOT_CELL, 'ptr')}")
    go_on_if(out, out.op(f"icmp ne ptr {code}, null"), "refuse")
    args = ""
    for number, param in enumerate(ty.params, 1):
        value = public_unbox(out, ir_type(param), _word(out, "%args", number, "ptr"), "refuse")
        args += f", {ir_type(param)} {value}"
    counter = ticker.DIRECT
    _set_word(out, words, DEPTH, "1")
    _set_word(out, words, MAY_SUSPEND, str(int(may_suspend)))
    now = out.op(f"load i64, ptr {ticker.COUNTER}")
    _set_word(out, words, SLICE, now)
    running = out.op(f"load i64, ptr {counter}")
    out.do(f"store i64 {out.op(f'add i64 {running}, 1')}, ptr {counter}")
    result = _call_guest(out, slot, words, code, ty, args)
    running = out.op(f"load i64, ptr {counter}")
    out.do(f"store i64 {out.op(f'sub i64 {running}, 1')}, ptr {counter}")
    _set_word(out, words, DEPTH, "0")
    _set_word(out, words, MAY_SUSPEND, "0")
    _split(out, ty, result, slot)
    # Something that the way in did not provide for has come up meanwhile.
    late = out.op(f"and i64 {_word(out, words, BARS)}, {barring}")
    out.branch(out.op(f"icmp ne i64 {late}, 0"), "leave", "box", unlikely=True)
    out.label("leave")
    left = out.op(
        c_call("PyObject_Vectorcall", _word(out, words, LEAVE, "ptr"), "null", "0", "null")
    )
    out.branch(out.op(f"icmp eq ptr {left}, null"), "bad", "left", unlikely=True)
    out.label("left")
    out.do(c_call("Py_DecRef", left))
    out.jump("box")
    out.label("box")
    _give_back(out, ty, [public_box(out, name, v) for name, v in _results(out, ty, result)])
    out.label("refuse")
    out.end(f"ret ptr {out.op(c_call('Py_NewRef', object_address(REFUSED)))}")
    name = "direct_async" if may_suspend else "direct"
    return f"define ptr @{name}{_HEAD}\n{out.text()}\n}}"


def _call_boxed(out: Emitter, fn: str, boxed: list[str], hint: str) -> str:
    """Call Python with new objects, one of which may be null; the result, or null."""
    array = out.alloca(f"[{len(boxed) + 1} x ptr]")
    # The callee may use the place before the first argument.
    first = out.op(f"getelementptr ptr, ptr {array}, i64 1")
    for number, value in enumerate(boxed):
        at = out.op(f"getelementptr ptr, ptr {first}, i64 {number}")
        out.do(f"store ptr {value}, ptr {at}")
    before, ready, called = out.block, f"{hint}.ready", f"{hint}.called"
    if boxed:
        out.branch(any_null(out, boxed), called, ready, unlikely=True)
        out.label(ready)
    count = (1 << 63) - (1 << 64) + len(boxed)
    outcome = out.op(c_call("PyObject_Vectorcall", fn, first, str(count), "null"))
    if boxed:
        out.jump(called)
        out.label(called)
        outcome = out.op(f"phi ptr [ null, %{before} ], [ {outcome}, %{ready} ]")
    for value in boxed:
        out.do(c_call("Py_DecRef", value))
    return outcome


def _return_public(out: Emitter, ty: FuncType, outcome: str, otherwise: str) -> None:
    """Return the result in what Python has given, which may be null.

    Goes to the block `otherwise`, with the object, when that takes more than looking at it.
    """
    go_on_if(out, out.op(f"icmp ne ptr {outcome}, null"), "bad")
    if len(ty.results) > 1:
        out.jump(otherwise)
        return
    if ty.results:
        values = [public_unbox(out, ir_type(ty.results[0]), outcome, otherwise)]
    else:
        go_on_if(out, out.op(f"icmp eq ptr {outcome}, {NULL}"), otherwise)
        values = []
    out.do(c_call("Py_DecRef", outcome))
    _return(out, ty, values)


def _return_raw(out: Emitter, ty: FuncType, outcome: str, hint: str) -> None:
    """Return the results in a Python object with raw values, which may be null."""
    out.branch(out.op(f"icmp eq ptr {outcome}, null"), "bad", f"{hint}.good", unlikely=True)
    out.label(f"{hint}.good")
    values = []
    for number, t in enumerate(ty.results):
        item = outcome
        if len(ty.results) > 1:
            item = out.op(c_call("PyTuple_GetItem", outcome, str(number)))
        values.append(unbox(out, ir_type(t), item))
    out.do(c_call("Py_DecRef", outcome))
    _return(out, ty, values)


def _return(out: Emitter, ty: FuncType, values: list[str]) -> None:
    returns = result_type(ty.results)
    value = f"{returns} zeroinitializer"
    for number, (t, part) in enumerate(zip(ty.results, values, strict=True), 1):
        made = out.op(f"insertvalue {value}, {ir_type(t)} {part}, {number}")
        value = f"{returns} {made}"
    out.end(f"ret {value}")


def _host(ty: FuncType) -> str:
    out = Emitter()
    words = _word(out, "%ctx", _RECORD_WORDS, "ptr")
    gil.hold(out, words)
    hook = out.op(f"and i64 {_word(out, words, BARS)}, {Bar.HOOK}")
    out.branch(out.op(f"icmp eq i64 {hook}, 0"), "plain", "hooked")

    out.label("plain")
    boxed = [public_box(out, ir_type(t), f"%p{n}") for n, t in enumerate(ty.params)]
    outcome = _call_boxed(out, _word(out, "%ctx", _RECORD_FUNCTION, "ptr"), boxed, "plain")
    _return_public(out, ty, outcome, "settle")
    out.label("settle")
    # In a list, for the awaitable among results to be given away: see `Store.wait`.
    held = out.op(c_call("PyList_New", "1"))
    out.branch(out.op(f"icmp eq ptr {held}, null"), "lost", "hold", unlikely=True)
    out.label("lost")
    out.do(c_call("Py_DecRef", outcome))
    out.end(f"ret {failure(ty)}")
    out.label("hold")
    out.op(c_call("PyList_SetItem", held, "0", outcome))
    settled = _call_boxed(out, _word(out, "%ctx", _RECORD_SETTLE, "ptr"), [held], "settling")
    _return_public(out, ty, settled, "lower")
    out.label("lower")
    lowered = _call_boxed(out, _word(out, "%ctx", _RECORD_LOWER, "ptr"), [settled], "lowering")
    _return_raw(out, ty, lowered, "lowering")

    out.label("hooked")
    raw = [box(out, ir_type(t), f"%p{n}") for n, t in enumerate(ty.params)]
    outcome = _call_boxed(out, _word(out, "%ctx", _RECORD_HOOKED, "ptr"), raw, "hooked")
    _return_raw(out, ty, outcome, "hooked")
    out.label("bad")
    out.end(f"ret {failure(ty)}")
    returns = result_type(ty.results)
    return f"define {CONVENTION} {returns} @host({signature(ty)}) {{\n{out.text()}\n}}"


_SHARED: Final = Parts(
    "\n".join([METADATA, conversions(), gil.holding(), refs.prelude(), thrown.prelude()])
)


def _compile(*functions: str) -> Unit:
    text = "\n".join(functions)
    return compile_unit(f"{text}\n{_SHARED.used_by(text)}", speed=1)


def _is_plain(ty: FuncType) -> bool:
    """Whether there are no references, whose public form is Python's business."""
    return REF not in map(ir_type, (*ty.params, *ty.results))


class Inward:
    """The gates into native functions of one type."""

    def __init__(self, ty: FuncType) -> None:
        functions, names = [_raw(ty, tail=False), _raw(ty, tail=True)], ["raw", "raw_tail"]
        if _is_plain(ty):
            functions += [_direct(ty, may_suspend=False), _direct(ty, may_suspend=True)]
            names += ["direct", "direct_async"]
        self.unit: Final = _compile(*functions)
        self._methods: Final = [
            MethodDef(b"guest", address, _METH_FASTCALL, None)
            for address in self.unit.addresses(names)
        ]

    def install(
        self, func: Func, slot: bytes, kept: object
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Give `func` its direct gates, and return its raw one and that for tail calls.

        They keep `kept` alive.
        """
        held = (self, kept)
        raw, tail, *direct = (
            _new_function(ctypes.addressof(method), slot, held) for method in self._methods
        )
        if direct:
            func.direct, func.direct_async = direct
        return raw, tail


class Outward:
    """The gate to host functions of one type."""

    def __init__(self, ty: FuncType) -> None:
        self.unit: Final = _compile(_host(ty))
        self._code: Final = struct.pack("<Q", *self.unit.addresses(["host"]))

    def slot(self, func: Func) -> bytes:
        """The slot by which native code calls a host function; kept alive by its store."""
        fn: Any = func.fn
        record = _RECORD.pack(
            id(fn.function),
            id(fn.settle),
            id(fn.lower),
            id(fn),
            func.store.words.buffer_info()[0],
        )
        func.store.interrupt.kept.append((self, func, fn, record))
        code = data_address(self._code)
        return make_slot(func, code, data_address(_NO_CODE), data_address(record), 0)


def data_address(data: bytes) -> int:
    """Where a `bytes` object keeps its bytes."""
    return id(data) + BYTES_DATA


def make_slot(func: Func, cell: int, way: int, context: int, max_stack: int) -> bytes:
    """The slot of a function, by which native code calls it.

    `cell` and `way` are the addresses of the words with its code, for calls and for tail calls;
    the latter is 0 for a function that makes none itself.
    """
    store: Store[Any] = func.store
    words = store.words.buffer_info()[0]
    stack = min(max_stack, 1 << 62)
    return _SLOT.pack(cell, context, id(func.type), way, words, id(store), stack)


class Gates:
    """The gates of an engine, made when they are first asked for."""

    def __init__(self) -> None:
        self._inward: Final[dict[FuncType, Inward]] = {}
        self._outward: Final[dict[FuncType, Outward]] = {}

    def inward(self, ty: FuncType) -> Inward:
        """The gates into functions of type `ty`.  Raises `CompileError`."""
        found = self._inward.get(ty)
        if found is None:
            found = self._inward.setdefault(ty, Inward(ty))
        return found

    def kept(self, types: Iterable[FuncType]) -> dict[str, bytes]:
        """What the gates that there are for these types were made from; see `Unit.kept`."""
        gates = [self._inward.get(ty) for ty in types] + [self._outward.get(ty) for ty in types]
        return dict(gate.unit.kept for gate in gates if gate is not None and gate.unit.kept)

    def slot_of_host(self, func: Func) -> bytes | None:
        """The slot of a host function, or None if it has to be called by way of Python."""
        ty = func.type.func
        if getattr(func.fn, "takes_caller", True) or not _is_plain(ty):
            return None
        try:
            found = self._outward.get(ty)
            if found is None:
                found = self._outward.setdefault(ty, Outward(ty))
            return found.slot(func)
        except CompileError:
            return None


__all__ = ["Gates", "Inward", "data_address", "make_slot"]
