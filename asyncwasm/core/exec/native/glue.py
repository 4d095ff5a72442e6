"""Where native code and Python meet, as LLVM IR.

Native code calls Python through `PyObject_Vectorcall`; nothing goes through ctypes callbacks, which
swallow exceptions.  Values cross in the raw form of the engines: unsigned integers, floats, 16
bytes.  How Python calls native code, and plain host functions are called, is in `gates`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from asyncwasm.core.types import DefType, FuncType

from . import passing, refs
from .abi import (
    BYTES_DATA,
    CONVENTION,
    SLOT_CELL,
    SLOT_CONTEXT,
    SLOT_TAIL,
    SLOT_TYPE,
    TAIL,
    TAIL_CONVENTION,
    Helper,
    Word,
)
from .emit import (
    HOLD,
    ZEROS,
    Emitter,
    c_call,
    helper_call,
    ir_type,
    object_address,
)
from .exits import CTX, result_type
from .refs import NULL
from .support import fast_offset


def box(out: Emitter, ty: str, value: str) -> str:
    """A new Python object for a native value."""
    match ty:
        case "i32":
            wide = out.op(f"zext i32 {value} to i64")
            return out.op(c_call("PyLong_FromUnsignedLongLong", wide))
        case "i64":
            return out.op(c_call("PyLong_FromUnsignedLongLong", value))
        case "float":
            wide = out.op(f"call double @from_single(float {value})")
            return out.op(c_call("PyFloat_FromDouble", wide))
        case "double":
            return out.op(c_call("PyFloat_FromDouble", value))
        case refs.REF:
            return out.op(c_call("Py_NewRef", value))
        case _:
            slot = out.alloca(ty)
            out.do(f"store {ty} {value}, ptr {slot}")
            return out.op(c_call("PyBytes_FromStringAndSize", slot, "16"))


def unbox(out: Emitter, ty: str, value: str) -> str:
    """The native value of a Python object in raw form; itself, counted, if it is a reference."""
    match ty:
        case "i32":
            wide = out.op(c_call("PyLong_AsUnsignedLongLongMask", value))
            return out.op(f"trunc i64 {wide} to i32")
        case "i64":
            return out.op(c_call("PyLong_AsUnsignedLongLongMask", value))
        case "float":
            wide = out.op(c_call("PyFloat_AsDouble", value))
            return out.op(f"call float @to_single(double {wide})")
        case "double":
            return out.op(c_call("PyFloat_AsDouble", value))
        case refs.REF:
            refs.keep(out, value)
            return value
        case _:
            at = out.op(f"getelementptr i8, ptr {value}, i64 {BYTES_DATA}")
            return out.op(f"load {ty}, ptr {at}, align 8")


def public_box(out: Emitter, ty: str, value: str) -> str:
    """A new Python object for a native value, as hosts see it: integers are signed."""
    match ty:
        case "i32":
            return out.op(c_call("PyLong_FromLongLong", out.op(f"sext i32 {value} to i64")))
        case "i64":
            return out.op(c_call("PyLong_FromLongLong", value))
        case _:
            return box(out, ty, value)


def public_unbox(out: Emitter, ty: str, value: str, refuse: str) -> str:
    """The native value of a Python object that a host gave.  Takes no reference.

    Goes to the block `refuse` for an object that is not of the very type, or out of range, or
    takes more than that to convert.
    """
    kinds: dict[str, type] = {"i32": int, "i64": int, "float": float, "double": float}
    kind = out.op(f"load ptr, ptr {out.op(f'getelementptr i8, ptr {value}, i64 8')}")
    expected = object_address(kinds.get(ty, bytes))
    go_on_if(out, out.op(f"icmp eq ptr {kind}, {expected}"), refuse)
    match ty:
        case "i32" | "i64":
            over = out.alloca("i32")
            wide = out.op(c_call("PyLong_AsLongLongAndOverflow", value, over))
            fits = out.op(f"icmp eq i32 {out.op(f'load i32, ptr {over}')}, 0")
            if ty == "i64":
                go_on_if(out, fits, refuse)
                return wide
            # Signed or unsigned.
            from_lowest = out.op(f"add i64 {wide}, {1 << 31}")
            near = out.op(f"icmp ult i64 {from_lowest}, {(1 << 31) + (1 << 32)}")
            go_on_if(out, out.op(f"and i1 {fits}, {near}"), refuse)
            return out.op(f"trunc i64 {wide} to i32")
        case "double":
            return out.op(c_call("PyFloat_AsDouble", value))
        case "float":
            wide = out.op(c_call("PyFloat_AsDouble", value))
            go_on_if(out, out.op(f"fcmp ord double {wide}, {wide}"), refuse)
            return out.op(f"fptrunc double {wide} to float")
        case _:
            size = out.op(f"load i64, ptr {out.op(f'getelementptr i8, ptr {value}, i64 16')}")
            go_on_if(out, out.op(f"icmp eq i64 {size}, 16"), refuse)
            return unbox(out, ty, value)


def go_on_if(out: Emitter, condition: str, otherwise: str) -> None:
    """Go on if the i1 holds, as it nearly always does, else to a block."""
    on = out.fresh("on")
    out.branch(out.op(f"xor i1 {condition}, true"), otherwise, on, unlikely=True)
    out.label(on)


def failure(ty: FuncType, status: int = 1) -> str:
    """What a native function returns with an exception set, or with another status."""
    results = "".join(f", {ir_type(t)} {ZEROS[ir_type(t)]}" for t in ty.results)
    return f"{result_type(ty.results)} {{ i32 {status}{results} }}"


def signature(ty: FuncType) -> str:
    """The parameters `%p0` … of a native function, after the context."""
    return ", ".join(["ptr %ctx", *(f"{ir_type(t)} %p{n}" for n, t in enumerate(ty.params))])


def new_none() -> str:
    return c_call("Py_NewRef", f"{NULL}")


def define(
    name: str, ty: FuncType, out: Emitter, *, tail: bool, others: str = "", attributes: str = ""
) -> str:
    """A native function with this body, and parameters before those of `ty`."""
    listed = signature(ty).removeprefix("ptr %ctx")
    extra = others.count(",")
    if tail:
        listed = passing.parameters(ty, extra)
        out.allocas[:0] = passing.loads(ty, extra)
    convention = TAIL_CONVENTION if tail else CONVENTION
    head = f"define dso_local {convention} {result_type(ty.results)} @{name}"
    return f"{head}(ptr %ctx{others}{listed}) {attributes}{{\n{out.text()}\n}}"


def call_import(index: int, ty: FuncType, *, tail: bool = False) -> str:
    """`f<index>` for an imported function, or `t<index>`: through its slot, or by Python."""
    out = Emitter()
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.IMPORTS)}")
    listed = out.op(f"load ptr, ptr {at}, !invariant.load !4, {CTX}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 {index}")
    slot = out.op(f"load ptr, ptr {item}, !invariant.load !4, {CTX}")
    out.branch(out.op(f"icmp eq ptr {slot}, null"), "python", "known", unlikely=True)
    out.label("known")
    _call_slot(out, slot, ty, "python", tail=tail)
    out.label("python")
    if not tail:
        _forward_to_python(out, index, ty)
        return define(f"f{index}", ty, out, tail=False)
    slow = call_python(index, ty, tail=True, name="python")
    forward(out, f"@tpython{index}", "%ctx", ty, tail=True)
    return f"{define(f't{index}', ty, out, tail=True)}\n{slow}"


def _prefix(tail: bool) -> str:
    return "t" if tail else "f"


def call_python(index: int, ty: FuncType, *, tail: bool = False, name: str = "") -> str:
    """`f<index>` for a function that is not native code: calls its `Func.fn`.

    Or `t<index>`, which parks the call.
    """
    out = Emitter()
    _call_by_index(out, index, ty, tail=tail)
    return define(f"{_prefix(tail)}{name}{index}", ty, out, tail=tail, attributes="noinline ")


def _call_by_index(out: Emitter, index: int, ty: FuncType, *, tail: bool) -> None:
    if tail:
        _park(out, Helper.PARK_CALL, ty, ("i32", str(index)))
    else:
        _forward_to_python(out, index, ty)


def _forward_to_python(out: Emitter, index: int, ty: FuncType) -> None:
    forward(out, f"@{python_name(ty)}", "%ctx", ty, tail=False, others=f", i64 {index}")


_LETTERS: Final = {"i32": "i", "i64": "l", "float": "f", "double": "d", "ptr": "r"}


def python_name(ty: FuncType) -> str:
    """What `by_python` defines for a type."""
    params, results = (
        "".join(_LETTERS.get(ir_type(t), "v") for t in types) for types in (ty.params, ty.results)
    )
    return f"python_{params}_{results}"


def by_python(ty: FuncType) -> str:
    """`python_<type>`: call a function of the instance by its number and its `Func.fn`."""
    out = Emitter()
    _call_numbered(out, ty)
    listed = signature(ty).removeprefix("ptr %ctx")
    head = f"define internal {CONVENTION} {result_type(ty.results)} @{python_name(ty)}"
    return f"{head}(ptr %ctx, i64 %index{listed}) noinline cold {{\n{out.text()}\n}}"


def _call_numbered(out: Emitter, ty: FuncType) -> None:
    """Call the `Func` of a function of the instance, which is made if it was never asked for."""
    out.do(HOLD)
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.CALLABLES)}")
    listed = out.op(f"load ptr, ptr {at}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 %index")
    known = out.op(f"load ptr, ptr {item}")
    looked_in = out.block
    out.branch(out.op(f"icmp eq ptr {known}, null"), "make", "call", unlikely=True)
    out.label("make")
    helper_or_fail(out, Helper.FUNC, ty, "%index")
    made = out.op(f"load ptr, ptr {item}")
    made_in = out.block
    out.jump("call")
    out.label("call")
    func = out.op(f"phi ptr [ {known}, %{looked_in} ], [ {made}, %{made_in} ]")
    call_func(out, func, ty)


def any_null(out: Emitter, pointers: list[str]) -> str:
    """Whether one of these is null, as an i1."""
    found = "false"
    for pointer in pointers:
        found = out.op(f"or i1 {found}, {out.op(f'icmp eq ptr {pointer}, null')}")
    return found


def call_func(out: Emitter, func: str, ty: FuncType) -> None:
    """Call the `fn` of a `Func` object with `%p0` … and return its results."""
    fn = out.op(c_call("PyObject_GetAttrString", func, "@.fn"))
    count = len(ty.params)
    array = out.alloca(f"[{max(1, count)} x ptr]")
    boxed = [box(out, ir_type(t), f"%p{n}") for n, t in enumerate(ty.params)]
    for number, value in enumerate(boxed):
        slot = out.op(f"getelementptr ptr, ptr {array}, i64 {number}")
        out.do(f"store ptr {value}, ptr {slot}")
    # Without memory for an object there is none; `Py_DecRef` takes that.
    missing = any_null(out, [fn, *boxed])
    made_in, ready, called = out.block, out.fresh("ready"), out.fresh("called")
    out.branch(missing, called, ready, unlikely=True)
    out.label(ready)
    outcome = out.op(c_call("PyObject_Vectorcall", fn, array, str(count), "null"))
    out.jump(called)
    out.label(called)
    result = out.op(f"phi ptr [ null, %{made_in} ], [ {outcome}, %{ready} ]")
    for value in (*boxed, fn):
        out.do(c_call("Py_DecRef", value))
    release_params(out, ty)
    _unpack(out, result, ty)


def _unpack(out: Emitter, result: str, ty: FuncType) -> None:
    """Return the results in a Python object with raw values; null stands for an exception."""
    failed = out.op(f"icmp eq ptr {result}, null")
    out.branch(failed, "bad", "good", unlikely=True)
    out.label("bad")
    out.end(f"ret {failure(ty)}")
    out.label("good")
    returns = result_type(ty.results)
    value = f"{returns} zeroinitializer"
    for number, result_ty in enumerate(ty.results):
        name = ir_type(result_ty)
        item = result
        if len(ty.results) > 1:
            item = out.op(c_call("PyTuple_GetItem", result, str(number)))
        part = unbox(out, name, item)
        value = f"{returns} {out.op(f'insertvalue {value}, {name} {part}, {number + 1}')}"
    out.do(c_call("Py_DecRef", result))
    out.end(f"ret {value}")


def helper_or_fail(out: Emitter, helper: Helper, ty: FuncType, *operands: str) -> str:
    """Call a Python helper; its result.  Returns from a function of type `ty` if it raises."""
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}")
    listed = out.op(f"load ptr, ptr {at}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 {int(helper)}")
    callable_ = out.op(f"load ptr, ptr {item}")
    outcome = out.op(helper_call(callable_, *operands))
    status = out.op(f"extractvalue {{ i32, i64 }} {outcome}, 0")
    failed, done = out.fresh("failed"), out.fresh("done")
    out.branch(out.op(f"icmp ne i32 {status}, 0"), failed, done, unlikely=True)
    out.label(failed)
    release_params(out, ty)
    out.end(f"ret {failure(ty)}")
    out.label(done)
    return out.op(f"extractvalue {{ i32, i64 }} {outcome}, 1")


def release_params(out: Emitter, ty: FuncType) -> None:
    """Release the references among `%p0` …, as functions do with their arguments."""
    for number, param in enumerate(ty.params):
        if ir_type(param) == refs.REF:
            refs.release(out, f"%p{number}")


def _park(
    out: Emitter, helper: Helper, ty: FuncType, *operands: tuple[str, str], release: str = ""
) -> None:
    """Leave the call of a function with `%p0` … to Python, and return `TAIL`."""
    out.do(HOLD)
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}")
    listed = out.op(f"load ptr, ptr {at}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 {int(helper)}")
    callable_ = out.op(f"load ptr, ptr {item}")
    given = [*operands, *((ir_type(t), f"%p{n}") for n, t in enumerate(ty.params))]
    array = out.alloca(f"[{len(given)} x ptr]")
    for number, (name, value) in enumerate(given):
        slot = out.op(f"getelementptr ptr, ptr {array}, i64 {number}")
        out.do(f"store ptr {box(out, name, value)}, ptr {slot}")
    parked = out.op(f"call ptr @call_object(ptr {callable_}, ptr {array}, i64 {len(given)})")
    release_params(out, ty)
    if release:
        refs.release(out, release)
    out.branch(out.op(f"icmp eq ptr {parked}, null"), "bad", "good", unlikely=True)
    out.label("bad")
    out.end(f"ret {failure(ty)}")
    out.label("good")
    out.do(c_call("Py_DecRef", parked))
    out.end(f"ret {failure(ty, TAIL)}")


def finisher(index: int, ty: FuncType) -> str:
    """`f<index>` for a function that makes tail calls: calls `t<index>` and what that parks."""
    out = Emitter()
    returns = result_type(ty.results)
    args = passing.arguments(out, "%ctx", _params(ty), ty)
    result = out.op(f"call {TAIL_CONVENTION} {returns} @t{index}(ptr %ctx{args})")
    status = out.op(f"extractvalue {returns} {result}, 0")
    out.branch(out.op(f"icmp eq i32 {status}, {TAIL}"), "go_on", "done", unlikely=True)
    out.label("done")
    out.end(f"ret {returns} {result}")
    out.label("go_on")
    out.do(HOLD)
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}")
    listed = out.op(f"load ptr, ptr {at}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 {int(Helper.FINISH)}")
    helper = out.op(f"load ptr, ptr {item}")
    _unpack(out, out.op(f"call ptr @call_object(ptr {helper}, ptr null, i64 0)"), ty)
    return define(f"f{index}", ty, out, tail=False)


def _params(ty: FuncType) -> list[tuple[str, str]]:
    return [(ir_type(param), f"%p{number}") for number, param in enumerate(ty.params)]


def lazy(index: int, ty: FuncType, cell: str, way: str = "") -> str:
    """`f<index>` for a function of another unit: its code, which is made when it is first called.

    `cell` is the word that holds the address of its code, as a number in IR.  Or `t<index>`, if
    `way` is given, the word for its form for tail calls, which it may not have.
    """
    out = Emitter()

    def code_at(word: str, missing: str, found: str) -> str:
        code = out.op(f"load atomic i64, ptr inttoptr (i64 {word} to ptr) monotonic, align 8")
        out.branch(out.op(f"icmp eq i64 {code}, 0"), missing, found, unlikely=not way)
        return code

    def go(code: str, *, tail: bool) -> None:
        forward(out, out.op(f"inttoptr i64 {code} to ptr"), "%ctx", ty, tail=tail)

    if way:
        code = code_at(way, "plain", "tail")
        out.label("tail")
        go(code, tail=True)
        out.label("plain")
        code = code_at(cell, "python", "go")
        out.label("go")
        go(code, tail=False)
        out.label("python")
        _call_by_index(out, index, ty, tail=True)
    else:
        known = code_at(cell, "settle", "go")
        out.label("settle")
        status = out.op(f"call i32 @settle(ptr %ctx, i64 {index})")
        out.branch(out.op(f"icmp ne i32 {status}, 0"), "failed", "settled", unlikely=True)
        out.label("failed")
        release_params(out, ty)
        out.end(f"ret {failure(ty)}")
        out.label("settled")
        made = out.op(f"load atomic i64, ptr inttoptr (i64 {cell} to ptr) monotonic, align 8")
        out.jump("go")
        out.label("go")
        go(out.op(f"phi i64 [ {known}, %start ], [ {made}, %settled ]"), tail=False)
    return define(f"{_prefix(bool(way))}{index}", ty, out, tail=bool(way), attributes="noinline ")


def forward(
    out: Emitter, target: str, context: str, ty: FuncType, *, tail: bool, others: str = ""
) -> None:
    """Call a function with `%p0` … and return what it returns; `others` goes before those."""
    returns = result_type(ty.results)
    if tail:
        kind = f"musttail call {TAIL_CONVENTION}"
        args = passing.arguments(out, context, _params(ty), ty)
    else:
        # Otherwise LLVM may make a tail call of it, which it does wrongly; see `passing`.
        kind = f"{'' if passing.in_registers(ty, 3) else 'notail '}call {CONVENTION}"
        args = others + "".join(f", {name} {value}" for name, value in _params(ty))
    result = out.op(f"{kind} {returns} {target}(ptr {context}{args})")
    out.end(f"ret {returns} {result}")


def indirect(ty: DefType) -> str:
    """`tindirect_<type>`: the tail call of a table's element, after checking its type.

    An element whose `Func.fast` is set has its slot there; with any other, Python decides.  For
    other calls see `indirect`.
    """
    out = Emitter()
    none = out.op(f"icmp eq ptr %func, {NULL}")
    out.branch(none, "slow", "some", unlikely=True)
    out.label("some")
    data = fast_path(out, "%func")
    type_at = out.op(f"getelementptr i64, ptr {data}, i64 {SLOT_TYPE}")
    found = out.op(f"load i64, ptr {type_at}")
    out.branch(out.op(f"icmp eq i64 {found}, {id(ty)}"), "typed", "slow")
    out.label("typed")
    _call_slot(out, data, ty.func, "slow", tail=True)
    out.label("slow")
    operands = ("i64", "%table"), ("i64", "%index"), ("i64", str(id(ty)))
    _park(out, Helper.PARK_INDIRECT, ty.func, *operands)
    others = ", i64 %table, i64 %index, ptr %func"
    return define(f"tindirect_{id(ty):x}", ty.func, out, tail=True, others=others)


def reference(ty: DefType, *, tail: bool = False) -> str:
    """`freference_<type>`: call a function reference, which is not null and of that type.

    Or `treference_<type>`, the tail call, which takes over the reference's count.
    """
    out = Emitter()
    _call_slot(
        out, fast_path(out, "%func"), ty.func, "slow", tail=tail, release="%func" if tail else ""
    )
    out.label("slow")
    others = ", ptr %func"
    if tail:
        _park(out, Helper.PARK_REF, ty.func, (refs.REF, "%func"), release="%func")
        return define(f"treference_{id(ty):x}", ty.func, out, tail=True, others=others)
    out.do(HOLD)
    at = out.op(f"getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}")
    listed = out.op(f"load ptr, ptr {at}")
    item = out.op(f"getelementptr ptr, ptr {listed}, i64 {int(Helper.CALLEE)}")
    helper = out.op(f"load ptr, ptr {item}")
    array = out.alloca("ptr")
    out.do(f"store ptr {out.op(c_call('Py_NewRef', '%func'))}, ptr {array}")
    found = out.op(f"call ptr @call_object(ptr {helper}, ptr {array}, i64 1)")
    out.branch(out.op(f"icmp eq ptr {found}, null"), "failed", "found", unlikely=True)
    out.label("failed")
    release_params(out, ty.func)
    out.end(f"ret {failure(ty.func)}")
    out.label("found")
    callee = out.op(c_call("PyLong_AsVoidPtr", found))
    out.do(c_call("Py_DecRef", found))
    call_func(out, callee, ty.func)
    return define(f"freference_{id(ty):x}", ty.func, out, tail=False, others=others)


def plain_way(index: int, ty: FuncType) -> str:
    """`t<index>` for a native function that makes no tail calls."""
    out = Emitter()
    forward(out, f"@f{index}", "%ctx", ty, tail=False)
    return define(f"t{index}", ty, out, tail=True)


STUBS: Final[dict[str, Callable[[DefType], str]]] = {
    "freference": reference,
    "tindirect": indirect,
    "treference": partial(reference, tail=True),
}


def fast_path(out: Emitter, func: str) -> str:
    """Where the words of a `Func`'s slot are; goes to `slow` if it has none."""
    at = out.op(f"getelementptr i8, ptr {func}, i64 {fast_offset()}")
    fast = out.op(f"load ptr, ptr {at}")
    out.branch(out.op(f"icmp eq ptr {fast}, null"), "slow", "known", unlikely=True)
    out.label("known")
    return out.op(f"getelementptr i8, ptr {fast}, i64 {BYTES_DATA}")


def _call_slot(
    out: Emitter, slot: str, ty: FuncType, otherwise: str, *, tail: bool, release: str = ""
) -> None:
    """Call by a slot; goes to `otherwise` while there is no machine code.

    A tail call of a function that makes none itself, and so has no other form, is a call.
    """

    def go(word: int, missing: str, found: str, *, tail: bool) -> None:
        cell_at = out.op(f"getelementptr ptr, ptr {slot}, i64 {word}")
        cell = out.op(f"load ptr, ptr {cell_at}, !invariant.load !4, {CTX}")
        code = out.op(f"load atomic i64, ptr {cell} monotonic, align 8")
        out.branch(out.op(f"icmp eq i64 {code}, 0"), missing, found, unlikely=not tail)
        out.label(found)
        context_at = out.op(f"getelementptr ptr, ptr {slot}, i64 {SLOT_CONTEXT}")
        context = out.op(f"load ptr, ptr {context_at}, !invariant.load !4, {CTX}")
        if release:
            refs.release(out, release)
        forward(out, out.op(f"inttoptr i64 {code} to ptr"), context, ty, tail=tail)

    if tail:
        go(SLOT_TAIL, "plain", "tail", tail=True)
        out.label("plain")
    go(SLOT_CELL, otherwise, "go", tail=False)
