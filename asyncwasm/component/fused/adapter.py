"""Whole adapters: the module for one call between two components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from asyncwasm.core.text import assemble
from asyncwasm.core.types import FuncType as CoreFuncType
from asyncwasm.core.types import NumType

from ..abi.layout import (
    MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS,
    Options,
    alignment,
    cases_of,
    fields_of,
    flatten_all,
    flatten_func,
    size,
)
from ..types import (
    Borrow,
    FuncType,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from .faults import Fault
from .text import Code, End, Module, Side, trap_if
from .values import Flat, InMemory, Place, Translator

__all__ = ["MAX_TYPES", "AdapterModule", "Side", "adapter"]

# The code grows with the types, so that larger ones are left to those who call a function for
# each type.
MAX_TYPES = 500


@dataclass(frozen=True, slots=True)
class AdapterModule:
    """A core module that exports the function `call`, to be given to the caller.

    `imports` are the names of its imports, all of the module named by the empty string, in order:

    * `trap`: a function for `raise_fault`;
    * `callee` and `post-return`: those of the lifted function;
    * `caller.memory`, `caller.realloc`, `callee.memory`, `callee.realloc`: those of the options;
    * `caller.may-leave`, `callee.may-leave`: mutable i32 globals, which are 1 as long as that
      component instance may call others; the adapter looks at the first, and sets and clears
      both;
    * `enter`, `returned`, `leave`: functions without parameters or results, which begin a call,
      check what it has borrowed, and end it; only where there are handles;
    * `own.caller.N`, `borrow.caller.N` and so on: functions from a handle to resource type N in
      one instance, here the caller's, to one in the other.
    """

    data: bytes
    imports: tuple[str, ...]


def adapter(
    ty: FuncType, caller: Side, callee: Side, *, post_return: bool = False, catches: bool = False
) -> AdapterModule | None:
    """The adapter for a call of a function of type `ty`, both sides of which are synchronous.

    With `catches`, an exception out of a guest's function is a trap; without, there must not be
    any.  Resources in `ty` are numbers, the same on both sides.  None if values of `ty` cannot
    be taken over in WebAssembly alone, or if there are so many types in it that a module for
    them would be too large.
    """
    types = [t for _, t in ty.params] + ([] if ty.result is None else [ty.result])
    left = MAX_TYPES
    for part in types:
        left = _count(part, left)
        if left <= 0:
            return None
    return _adapter(ty, caller, callee, post_return, catches)


def _count(ty: ValType, left: int) -> int:
    """What is left of `left` types after those in `ty`; 0 if one cannot be taken over."""
    left -= 1
    for part in _parts(ty):
        if left <= 0:
            return 0
        left = _count(part, left)
    if isinstance(ty, Stream | Future) or ty is Primitive.ERROR_CONTEXT:
        return 0
    return left


def _parts(ty: ValType) -> Iterable[ValType]:
    match ty:
        case Record() | Tuple():
            return fields_of(ty)
        case Variant() | Option() | Result():
            return [case for _, case in cases_of(ty) if case is not None]
        case List(element, length):
            # A few elements are copied one by one.
            return [element] * min(length or 1, MAX_FLAT_PARAMS)
        case Map(key, value):
            return (key, value)
        case _:
            return ()


def _has_handles(types: Iterable[ValType]) -> bool:
    return any(isinstance(ty, Own | Borrow) or _has_handles(_parts(ty)) for ty in types)


@cache
def _adapter(
    ty: FuncType, caller: Side, callee: Side, post_return: bool, catches: bool
) -> AdapterModule:
    return _Adapter(ty, caller, callee, post_return, catches).make()


class _Adapter:
    """Writes one adapter."""

    def __init__(
        self, ty: FuncType, caller: Side, callee: Side, post_return: bool, catches: bool
    ) -> None:
        self.module = Module(catches=catches)
        self.code = Code()
        self.caller = End("caller", caller)
        self.callee = End("callee", callee)
        self.params = tuple(t for _, t in ty.params)
        self.results = () if ty.result is None else (ty.result,)
        lowered = flatten_func(ty, _options(caller), "lower")
        lifted = flatten_func(ty, _options(callee), "lift")
        self.lowered_params, self.lowered_results = _numbers(lowered)
        self.lifted_params, self.lifted_results = _numbers(lifted)
        self.post_return = post_return
        self.handles = _has_handles((*self.params, *self.results))

    def make(self) -> AdapterModule:
        """The module."""
        params = "".join(f" {t}" for t in self.lifted_params)
        results = "".join(f" {t}" for t in self.lifted_results)
        self.module.need("callee", f"(func $callee (param{params}) (result{results}))")
        self._write(results)
        text = self.module.to_text()
        return AdapterModule(assemble(text), tuple(self.module.imports))

    def _write(self, results: str) -> None:
        module, code = self.module, self.code
        flag = module.need_flag(self.caller)
        code.add(trap_if(f"global.get {flag} i32.eqz", Fault.CANNOT_LEAVE))
        self._scope("enter")
        own = [(f"$p{i}", t) for i, t in enumerate(self.lowered_params)]
        arguments = self._arguments(own)
        raw = [(code.local(t), t) for t in self.lifted_results]
        code.add(module.call("$callee", arguments, self.lifted_results))
        code.add(" ".join(f"local.set {name}" for name, _ in raw))
        self._scope("returned")
        given = self._given(own, raw)
        if self.post_return:
            module.need("post-return", f"(func $post-return (param{results}))")
            inside = module.need_flag(self.callee)
            values = " ".join(f"local.get {name}" for name, _ in raw)
            clean_up = module.call("$post-return", values)
            code.add(f"i32.const 0 global.set {inside} {clean_up} i32.const 1 global.set {inside}")
        self._scope("leave")
        code.add(given)
        signature = "".join(f" (param {name} {t})" for name, t in own)
        signature += "".join(f" (result {t})" for t in self.lowered_results)
        body = f'(export "call"){signature} {code.to_text()}'
        module.helper("call", lambda: body)

    def _scope(self, name: str) -> None:
        if self.handles:
            self.module.need(name, f"(func ${name})")
            self.code.add(f"call ${name}")

    def _arguments(self, own: list[tuple[str, NumType]]) -> str:
        """Take the parameters over; code that gives the callee's."""
        if not self.params:
            return ""
        code = self.code
        source: Place
        if self._spilled(self.caller):
            source = self._checked(self.caller, own[0][0], self.params)
        else:
            source = Flat(tuple(own[: len(flatten_all(self.params, self.caller.pointer))]))
        translator = Translator(self.module, self.caller, self.callee)
        if not self._spilled(self.callee):
            locals = tuple((code.local(t), t) for t in self.lifted_params)
            translator.translate_all(code, self.params, source, Flat(locals))
            return " ".join(f"local.get {name}" for name, _ in locals)
        record, pointer = Tuple(self.params), self.callee.pointer
        allocate = self.module.allocate(self.callee)
        align = alignment(record, self.callee.pointer_size)
        bytes = size(record, self.callee.pointer_size)
        start = code.put(
            pointer,
            f"{pointer}.const 0 i64.const 0 i64.const {align} i64.const {bytes}"
            f" i32.const {int(Fault.MEMORY)} call {allocate}",
        )
        translator.translate_all(code, self.params, source, InMemory(start))
        return f"local.get {start}"

    def _given(self, own: list[tuple[str, NumType]], raw: list[tuple[str, NumType]]) -> str:
        """Take the result over; code that gives the caller's."""
        if not self.results:
            return ""
        code = self.code
        translator = Translator(self.module, self.callee, self.caller)
        if len(flatten_all(self.results, NumType.I32)) <= MAX_FLAT_RESULTS:
            locals = tuple((code.local(t), t) for t in self.lowered_results)
            translator.translate_all(code, self.results, Flat(tuple(raw)), Flat(locals))
            return " ".join(f"local.get {name}" for name, _ in locals)
        source = self._checked(self.callee, raw[0][0], self.results)
        target = self._checked(self.caller, own[-1][0], self.results)
        translator.translate_all(code, self.results, source, target)
        return ""

    def _spilled(self, end: End) -> bool:
        return len(flatten_all(self.params, end.pointer)) > MAX_FLAT_PARAMS

    def _checked(self, end: End, local: str, types: tuple[ValType, ...]) -> InMemory:
        """The place a guest says that values are at, or shall be."""
        record = Tuple(types)
        align = alignment(record, end.pointer_size)
        bytes = size(record, end.pointer_size)
        at = end.widened(f"local.get {local}")
        if align > 1:
            self.code.add(
                trap_if(f"{at} i32.wrap_i64 i32.const {align - 1} i32.and", Fault.UNALIGNED)
            )
        check = self.module.check(end)
        self.code.add(f"{at} i64.const {bytes} i32.const {int(Fault.MEMORY)} call {check}")
        return InMemory(local)


def _numbers(ty: CoreFuncType) -> tuple[tuple[NumType, ...], tuple[NumType, ...]]:
    """Parameters and results, all of which are numbers."""
    params = tuple(t for t in ty.params if isinstance(t, NumType))
    return params, tuple(t for t in ty.results if isinstance(t, NumType))


def _options(side: Side) -> Options:
    return Options(side.encoding, side.memory64)
