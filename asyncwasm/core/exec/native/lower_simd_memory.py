"""Loads and stores of vectors, whole and by lanes, as LLVM IR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .body import MEM
from .lower import address, lowering
from .lower_simd import V128, cast, fill, integers, lanes_type

if TYPE_CHECKING:
    from .body import Body


def _load(body: Body, imms: tuple[Any, ...], ty: str, width: int) -> str:
    at = address(body, imms[0], width, body.pop())
    return body.out.op(f"load {ty}, ptr {at}, align 1, {MEM}")


@lowering("v128.load")
def _load_whole(body: Body, imms: tuple[Any, ...]) -> None:
    value = _load(body, imms, V128, 16)
    body.loaded.add(value)
    body.push(V128, value)


@lowering("v128.store")
def _store_whole(body: Body, imms: tuple[Any, ...]) -> None:
    value = body.pop()
    at = address(body, imms[0], 16, body.pop())
    body.stores_integers |= value not in body.computed
    body.out.do(f"store {V128} {value}, ptr {at}, align 1, {MEM}")


def _extending(bits: int, sign: str) -> None:
    narrow, wide = lanes_type(64 // bits, f"i{bits}"), integers(bits * 2)

    @lowering(f"v128.load{bits}x{64 // bits}_{sign}")
    def load(body: Body, imms: tuple[Any, ...]) -> None:
        value = _load(body, imms, narrow, 8)
        extend = "sext" if sign == "s" else "zext"
        value = body.out.op(f"{extend} {narrow} {value} to {wide}")
        body.push(V128, cast(body.out, value, wide, V128))


def _splat(bits: int) -> None:
    ty, element = integers(bits), f"i{bits}"

    @lowering(f"v128.load{bits}_splat")
    def load(body: Body, imms: tuple[Any, ...]) -> None:
        value = fill(body.out, ty, element, _load(body, imms, element, bits // 8))
        body.push(V128, cast(body.out, value, ty, V128))


def _zero(bits: int) -> None:
    ty, element = integers(bits), f"i{bits}"

    @lowering(f"v128.load{bits}_zero")
    def load(body: Body, imms: tuple[Any, ...]) -> None:
        value = _load(body, imms, element, bits // 8)
        value = body.out.op(f"insertelement {ty} zeroinitializer, {element} {value}, i64 0")
        body.push(V128, cast(body.out, value, ty, V128))


def _lane(bits: int) -> None:
    ty, element = integers(bits), f"i{bits}"

    @lowering(f"v128.load{bits}_lane")
    def load(body: Body, imms: tuple[Any, ...]) -> None:
        vector = cast(body.out, body.pop(), V128, ty)
        value = _load(body, imms, element, bits // 8)
        vector = body.out.op(f"insertelement {ty} {vector}, {element} {value}, i64 {imms[1]}")
        body.push(V128, cast(body.out, vector, ty, V128))

    @lowering(f"v128.store{bits}_lane")
    def store(body: Body, imms: tuple[Any, ...]) -> None:
        vector = cast(body.out, body.pop(), V128, ty)
        value = body.out.op(f"extractelement {ty} {vector}, i64 {imms[1]}")
        at = address(body, imms[0], bits // 8, body.pop())
        body.stores_integers = True
        body.out.do(f"store {element} {value}, ptr {at}, align 1, {MEM}")


for _bits in (8, 16, 32, 64):
    _splat(_bits)
    _lane(_bits)
    if _bits < 64:
        for _sign in "su":
            _extending(_bits, _sign)
    if _bits >= 32:
        _zero(_bits)
