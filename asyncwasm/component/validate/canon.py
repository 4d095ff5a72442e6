"""Canonical definitions: their options, and the types of the functions that they make.

See "Canonical Definitions" in `CanonicalABI.md` of the Component Model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.types import DefType, FuncType, IndexType, NumType
from asyncwasm.errors import ValidationError

from ..syntax import CanonLift, CanonLower, CanonOptions, Sort
from .frame import Frame, item
from .items import Func, Val
from .values import MAX_FLAT, Flat

MAX_FLAT_ASYNC_PARAMS: Final = 4
_MAX_FLAT_RESULTS: Final = 1

I32: Final = NumType.I32
I64: Final = NumType.I64

_ENCODINGS: Final = ("utf8", "utf16", "latin1-utf16")
_NAMES: Final = {3: "memory", 4: "realloc", 5: "post-return", 6: "async", 7: "callback"}


def core_type(params: Iterable[NumType] = (), results: Iterable[NumType] = ()) -> FuncType:
    """The type of a core function of numbers."""
    return FuncType(tuple(params), tuple(results))


@dataclass(frozen=True, slots=True)
class Options:
    """Checked options: `pointer` is the type of addresses."""

    given: CanonOptions
    pointer: NumType
    offset: int

    def require(self, name: str) -> None:
        """Raise `ValidationError` if the option `name` is absent."""
        if getattr(self.given, name.replace("-", "_")) is None:
            raise ValidationError(f"canonical option `{name}` is required", offset=self.offset)

    def forbid(self, *codes: int, reason: str) -> None:
        """Raise `ValidationError` for options that make no sense for `reason`."""
        for code in codes:
            if code in self.given.order:
                raise ValidationError(
                    f"canonical option `{_NAMES[code]}` cannot be specified for {reason}",
                    offset=self.offset,
                )

    def flat(self, vals: Iterable[Val]) -> Flat:
        """The flat form of several values; None if it is longer than `MAX_FLAT`."""
        result: list[NumType] = []
        for val in vals:
            flat = val.flat32 if self.pointer is I32 else val.flat64
            if flat is None or len(result) + len(flat) > MAX_FLAT:
                return None
            result += flat
        return tuple(result)

    def lifts(self, vals: Iterable[Val]) -> None:
        """Check what it takes to make values of what is in a memory, or to receive them."""
        if any(val.has_pointer for val in vals):
            self.require("memory")

    def lowers(self, vals: Iterable[Val]) -> None:
        """Check what it takes to place values in a memory."""
        if any(val.has_pointer for val in vals):
            self.require("memory")
            self.require("realloc")


def check_options(frame: Frame, options: CanonOptions, offset: int) -> Options:
    """Check what holds for options wherever they are.  Raises `ValidationError`."""
    seen: set[int] = set()
    encoding: int | None = None
    for code in options.order:
        if code < 3:
            if encoding is not None:
                raise ValidationError(
                    f"canonical encoding option `{_ENCODINGS[encoding]}` conflicts with option"
                    f" `{_ENCODINGS[code]}`",
                    offset=offset,
                )
            encoding = code
        elif code in seen:
            raise ValidationError(
                f"canonical option `{_NAMES[code]}` is specified more than once", offset=offset
            )
        seen.add(code)
    pointer = I32
    if options.memory is not None:
        memory = item(frame.core_memories, Sort.CORE_MEMORY, options.memory, offset)
        if memory.index_type is IndexType.I64:
            require(frame.features, Feature.COMPONENT_MODEL_MEMORY64, offset)
            pointer = I64
        if memory.shared or memory.page_size != 65536:
            raise ValidationError(
                "canonical option `memory` needs an unshared memory with default pages",
                offset=offset,
            )
    if options.realloc is not None:
        if options.memory is None:
            raise ValidationError(
                "canonical option `realloc` requires `memory` to also be specified",
                offset=offset,
            )
        _check_option(
            frame, "realloc", options.realloc, core_type([pointer] * 4, [pointer]), offset
        )
    if options.is_async and options.post_return is not None:
        raise ValidationError(
            "canonical option `post-return` cannot be specified with `async`", offset=offset
        )
    if options.callback is not None:
        if not options.is_async:
            raise ValidationError(
                "canonical option `callback` cannot be specified without `async`", offset=offset
            )
        _check_option(frame, "callback", options.callback, core_type([I32] * 3, [I32]), offset)
    return Options(options, pointer, offset)


def _check_option(frame: Frame, name: str, index: int, expected: FuncType, offset: int) -> None:
    if item(frame.core_funcs, Sort.CORE_FUNC, index, offset).comp != expected:
        raise ValidationError(
            f"canonical option `{name}` uses a core function with an incorrect signature",
            offset=offset,
        )


def _check_async(frame: Frame, options: CanonOptions, func: Func, offset: int) -> None:
    if options.is_async and not func.type.is_async:
        raise ValidationError(
            "the `async` canonical option requires an async function type", offset=offset
        )


def _results(func: Func) -> tuple[Val, ...]:
    return () if func.result is None else (func.result,)


def validate_lift(frame: Frame, lift: CanonLift) -> Func:
    """The function that is lifted.  Raises `ValidationError`."""
    offset = lift.offset
    func = frame.func_type(lift.type, offset)
    callee = item(frame.core_funcs, Sort.CORE_FUNC, lift.core_func, offset).func
    options = check_options(frame, lift.options, offset)
    is_async = options.given.is_async
    _check_async(frame, lift.options, func, offset)
    if is_async and options.given.callback is None:
        try:
            require(frame.features, Feature.COMPONENT_MODEL_ASYNC_STACKFUL, offset)
        except ValidationError as error:
            raise ValidationError(
                f"canonical option `callback` is required with `async`: {error.reason}",
                offset=offset,
            ) from None
    params, results = options.flat(func.params), options.flat(_results(func))
    options.lowers(func.params)
    options.lifts(_results(func))
    if params is None:
        options.require("memory")
        options.require("realloc")
    pointer = (options.pointer,)
    core_results: tuple[NumType, ...]
    if is_async:
        if results is None:
            options.require("memory")
        core_results = (I32,) if options.given.callback is not None else ()
    elif results is None or len(results) > _MAX_FLAT_RESULTS:
        options.require("memory")
        core_results = pointer
    else:
        core_results = results
    core_params = pointer if params is None else params
    for what, wanted, found in (
        ("parameter", core_params, callee.params),
        ("result", core_results, callee.results),
    ):
        if wanted != found:
            raise ValidationError(
                f"lowered {what} types `{_names(wanted)}` do not match {what} types"
                f" `{_names(found)}` of core function {lift.core_func}",
                offset=offset,
            )
    if options.given.post_return is not None:
        _check_option(
            frame, "post-return", options.given.post_return, core_type(core_results), offset
        )
    return func


def _names(types: Iterable[object]) -> str:
    return f"[{', '.join(t.name if isinstance(t, NumType) else str(t) for t in types)}]"


def validate_lower(frame: Frame, lower: CanonLower) -> DefType:
    """The type of the core function for a function.  Raises `ValidationError`."""
    offset = lower.offset
    func = item(frame.funcs, Sort.FUNC, lower.func, offset)
    options = check_options(frame, lower.options, offset)
    options.forbid(5, 7, reason="lowerings")
    _check_async(frame, lower.options, func, offset)
    options.lifts(func.params)
    options.lowers(_results(func))
    return DefType.of(lowered(options, func.params, _results(func)))


def lowered(options: Options, params: Iterable[Val], results: Iterable[Val]) -> FuncType:
    """The type of the core function that a guest calls with such values.

    Raises `ValidationError` if they need a memory that is not there.
    """
    is_async = options.given.is_async
    flat = options.flat(params)
    if flat is None or (is_async and len(flat) > MAX_FLAT_ASYNC_PARAMS):
        options.require("memory")
        flat = (options.pointer,)
    flat_results = options.flat(results)
    if is_async:
        if flat_results != ():
            options.require("memory")
            flat = (*flat, options.pointer)
        return core_type(flat, [I32])
    if flat_results is None or len(flat_results) > _MAX_FLAT_RESULTS:
        options.require("memory")
        return core_type((*flat, options.pointer))
    return core_type(flat, flat_results)
