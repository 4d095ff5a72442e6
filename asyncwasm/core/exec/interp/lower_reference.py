"""Lowerings of the instructions on references.

What a reference is at run time, and so what can be asked of it, is in `runtime.gc`.
"""

from __future__ import annotations

from typing import Final, NoReturn

from asyncwasm.core.runtime.gc import ArrayRef, EqRef, StructRef, struct_class
from asyncwasm.core.types import AbsHeapType, HeapType
from asyncwasm.errors import Trap, TrapCode

from .body import Body
from .expr import TRAPS, Expr, integer, test
from .registry import Branch, Instr, branching, lowering

_H = AbsHeapType
_TOPS: Final = frozenset({_H.FUNC, _H.EXTERN, _H.ANY, _H.EXN})
_BOTTOMS: Final = frozenset({_H.NOFUNC, _H.NOEXTERN, _H.NONE, _H.NOEXN})
_EQ_CLASSES: Final = (int, EqRef)


def trap_null() -> NoReturn:
    raise Trap(TrapCode.NULL_REFERENCE)


def trap_cast() -> NoReturn:
    raise Trap(TrapCode.CAST_FAILURE)


def condition(body: Body, value: str, nullable: bool, heap: HeapType) -> tuple[str, str] | bool:
    """Texts that test whether `value`, a variable, has a reference type, and has not.

    A bool is the answer where there is nothing to test.
    """
    if heap in _BOTTOMS:
        return (f"{value} is None", f"{value} is not None") if nullable else False
    if heap in _TOPS:
        return nullable or (f"{value} is not None", f"{value} is None")
    found: str
    if isinstance(heap, AbsHeapType):
        match heap:
            case _H.EQ:
                found = f"isinstance({value}, {body.constant(_EQ_CLASSES)})"
            case _H.STRUCT:
                found = f"isinstance({value}, {body.names.named('StructRef', StructRef)})"
            case _H.ARRAY:
                found = f"type({value}) is {_array_class(body)}"
            case _:
                assert heap is _H.I31
                found = f"type({value}) is int"
    elif heap.kind is _H.STRUCT:
        cls = body.constant(struct_class(heap))
        found = f"type({value}) is {cls}" if heap.final else f"isinstance({value}, {cls})"
    else:
        name = body.constant(heap)
        own = f"{value}.type is {name}" if heap.final else f"{name} in {value}.type.supers"
        if heap.kind is _H.FUNC:
            found = f"{value} is not None and {own}"
        else:
            # Other references in this hierarchy have no defined type to look at.
            found = f"type({value}) is {_array_class(body)} and {own}"
    if nullable:
        found = f"{value} is None or {found}"
    return f"({found})", f"not ({found})"


def _array_class(body: Body) -> str:
    return body.names.named("ArrayRef", ArrayRef)


@lowering("ref.null")
def ref_null(body: Body, instr: Instr) -> None:
    body.push(Expr("None", simple=True))


@lowering("ref.is_null")
def ref_is_null(body: Body, instr: Instr) -> None:
    value = body.pop()
    body.push(test(f"{value.operand} is None", f"{value.operand} is not None", value))


@lowering("ref.func")
def ref_func(body: Body, instr: Instr) -> None:
    body.push(Expr(body.names.indexed("ref", "q", instr.immediates[0]), simple=True))


@lowering("ref.eq")
def ref_eq(body: Body, instr: Instr) -> None:
    left, right = body.pops(2)
    # An i31 is an `int`, so it has no identity; structs and arrays compare by theirs.
    true, false = (f"{left.operand} {op} {right.operand}" for op in ("==", "!="))
    body.push(test(true, false, left, right))


@lowering("ref.as_non_null")
def ref_as_non_null(body: Body, instr: Instr) -> None:
    value = body.atom(body.pop())
    body.effect(f"if {{0}} is None: {body.helper(trap_null)}()", value, instr=instr)
    body.push(value)


@lowering("ref.test", "ref.test_null")
def ref_test(body: Body, instr: Instr) -> None:
    value = body.atom(body.pop())
    nullable = instr.row.name == "ref.test_null"
    found = condition(body, value.text, nullable, instr.immediates[0])
    body.push(integer(found, 32) if isinstance(found, bool) else test(*found, value))


@lowering("ref.cast", "ref.cast_null")
def ref_cast(body: Body, instr: Instr) -> None:
    value = body.atom(body.pop())
    nullable = instr.row.name == "ref.cast_null"
    found = condition(body, value.text, nullable, instr.immediates[0])
    if found is not True:
        false = "True" if found is False else found[1]
        body.effect(f"if {false}: {body.helper(trap_cast)}()", instr=instr)
    body.push(value)


@branching("br_on_null")
def br_on_null(body: Body, instr: Instr) -> Branch:
    value = body.atom(body.pop())
    return Branch(f"{value.text} is None", f"{value.text} is not None", (), (value,))


@branching("br_on_non_null")
def br_on_non_null(body: Body, instr: Instr) -> Branch:
    value = body.atom(body.pop())
    return Branch(f"{value.text} is not None", f"{value.text} is None", (value,), ())


@branching("br_on_cast", "br_on_cast_fail")
def br_on_cast(body: Body, instr: Instr) -> Branch:
    target = instr.immediates[0].target
    value = body.atom(body.pop())
    found = condition(body, value.text, target.nullable, target.heap)
    if isinstance(found, bool):
        found = (str(found), str(not found))
    true, false = found
    if instr.row.name == "br_on_cast_fail":
        true, false = false, true
    return Branch(true, false, (value,), (value,))


@lowering("ref.i31")
def ref_i31(body: Body, instr: Instr) -> None:
    value = body.pop_modular()
    if value.lo == value.hi:
        # Python warns of a literal whose identity is asked for.
        body.push(Expr(body.constant(value.lo & 0x7FFFFFFF), simple=True))
    else:
        body.push_op("{0} & 0x7fffffff", value)


# Arithmetic with None raises `TypeError`.
@lowering("i31.get_s")
def i31_get_s(body: Body, instr: Instr) -> None:
    body.push_op(
        "({0} ^ 0x40000000) - 0x40000000",
        body.pop(),
        effects=TRAPS,
        instr=instr,
        bits=32,
        lo=-(1 << 30),
        hi=(1 << 30) - 1,
    )


@lowering("i31.get_u")
def i31_get_u(body: Body, instr: Instr) -> None:
    body.push_op("{0} | 0", body.pop(), effects=TRAPS, instr=instr, bits=32, lo=0, hi=(1 << 31) - 1)


@lowering("any.convert_extern", "extern.convert_any")
def convert(body: Body, instr: Instr) -> None:
    """Raw references are the same on both sides."""
