"""Canonical definitions: their options, and the types of the functions that they make.

See "Canonical Definitions" in `CanonicalABI.md` of the Component Model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.types import AbsHeapType, DefType, FuncType, IndexType, NumType, RefType
from asyncwasm.errors import ValidationError

from ..syntax import CanonBuiltin, CanonLift, CanonLower, CanonOptions, Sort
from ..types import Future, ResourceId, Stream
from .frame import Frame, item
from .items import Func, Val
from .values import MAX_FLAT, Flat

MAX_FLAT_ASYNC_PARAMS: Final = 4
_MAX_FLAT_RESULTS: Final = 1
_CONTEXT_SLOTS: Final = 2

I32: Final = NumType.I32
I64: Final = NumType.I64

_ENCODINGS: Final = ("utf8", "utf16", "latin1-utf16")
_NAMES: Final = {3: "memory", 4: "realloc", 5: "post-return", 6: "async", 7: "callback"}


def _core(params: Iterable[NumType] = (), results: Iterable[NumType] = ()) -> FuncType:
    return FuncType(tuple(params), tuple(results))


@dataclass(frozen=True, slots=True)
class _Options:
    """Checked options: `pointer` is the type of addresses."""

    given: CanonOptions
    pointer: NumType
    offset: int

    def require(self, name: str) -> None:
        if getattr(self.given, name.replace("-", "_")) is None:
            raise ValidationError(f"canonical option `{name}` is required", offset=self.offset)

    def forbid(self, *codes: int, reason: str) -> None:
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


def _check_options(frame: Frame, options: CanonOptions, offset: int) -> _Options:
    """What holds for options wherever they are."""
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
        _check_option(frame, "realloc", options.realloc, _core([pointer] * 4, [pointer]), offset)
    if options.is_async and options.post_return is not None:
        raise ValidationError(
            "canonical option `post-return` cannot be specified with `async`", offset=offset
        )
    if options.callback is not None:
        if not options.is_async:
            raise ValidationError(
                "canonical option `callback` cannot be specified without `async`", offset=offset
            )
        _check_option(frame, "callback", options.callback, _core([I32] * 3, [I32]), offset)
    return _Options(options, pointer, offset)


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
    options = _check_options(frame, lift.options, offset)
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
        _check_option(frame, "post-return", options.given.post_return, _core(core_results), offset)
    return func


def _names(types: Iterable[object]) -> str:
    return f"[{', '.join(t.name if isinstance(t, NumType) else str(t) for t in types)}]"


def validate_lower(frame: Frame, lower: CanonLower) -> DefType:
    """The type of the core function for a function.  Raises `ValidationError`."""
    offset = lower.offset
    func = item(frame.funcs, Sort.FUNC, lower.func, offset)
    options = _check_options(frame, lower.options, offset)
    options.forbid(5, 7, reason="lowerings")
    _check_async(frame, lower.options, func, offset)
    options.lifts(func.params)
    options.lowers(_results(func))
    return DefType.of(_lowered(options, func.params, _results(func)))


def _lowered(options: _Options, params: Iterable[Val], results: Iterable[Val]) -> FuncType:
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
        return _core(flat, [I32])
    if flat_results is None or len(flat_results) > _MAX_FLAT_RESULTS:
        options.require("memory")
        return _core((*flat, options.pointer))
    return _core(flat, flat_results)


# --- built-ins ---------------------------------------------------------------------------------


def validate_builtin(frame: Frame, builtin: CanonBuiltin) -> DefType:
    """The type of a built-in's core function.  Raises `ValidationError`."""
    fixed = _FIXED.get(builtin.name)
    type = fixed if fixed is not None else _BUILTINS[builtin.name](frame, builtin)
    return DefType.of(type)


def _local_resource(frame: Frame, builtin: CanonBuiltin) -> NumType:
    resource = _resource(frame, builtin)
    rep = frame.local.get(resource)
    if rep is None:
        raise ValidationError(
            f"type index {builtin.type} is not a local resource", offset=builtin.offset
        )
    return rep


def _resource(frame: Frame, builtin: CanonBuiltin) -> ResourceId:
    assert builtin.type is not None
    return frame.resource_type(builtin.type, builtin.offset)[0]


def _resource_new(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    return _core([_local_resource(frame, builtin)], [I32])


def _resource_rep(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    return _core([I32], [_local_resource(frame, builtin)])


def _resource_drop(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _resource(frame, builtin)
    return _core([I32])


def _context(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    assert builtin.slot is not None
    assert builtin.slot_type is not None
    if builtin.slot >= _CONTEXT_SLOTS:
        raise ValidationError(
            f"`{builtin.name}` immediate must be less than {_CONTEXT_SLOTS}, is {builtin.slot}",
            offset=builtin.offset,
        )
    frame.context_type = frame.context_type or builtin.slot_type
    if frame.context_type is not builtin.slot_type:
        raise ValidationError(
            f"`{builtin.name}` must be for `{frame.context_type}`, like others of the component",
            offset=builtin.offset,
        )
    types = [builtin.slot_type]
    return _core(types) if builtin.name == "context.set" else _core((), types)


def _task_return(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = _check_options(frame, builtin.options, builtin.offset)
    options.forbid(4, 5, 6, 7, reason="`task.return`")
    vals = () if builtin.result is None else (frame.values.ref(builtin.result, builtin.offset),)
    if any(val.has_borrow for val in vals):
        raise ValidationError(
            "function result cannot contain a `borrow` type", offset=builtin.offset
        )
    options.lifts(vals)
    return _lowered(options, vals, ())


def _end(frame: Frame, builtin: CanonBuiltin) -> tuple[Val, bool]:
    """The stream or future type of a built-in, and whether there are elements that have a value."""
    assert builtin.type is not None
    val = frame.value_type(builtin.type, builtin.offset)
    wanted: type[Stream | Future] = Stream if builtin.name.startswith("stream") else Future
    if not isinstance(val.type, Stream | Future) or type(val.type) is not wanted:
        raise ValidationError(
            f"`{builtin.name}` requires a {wanted.__name__.lower()} type", offset=builtin.offset
        )
    return val, val.type.element is not None


def _new_ends(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _end(frame, builtin)
    return _core((), [I64])


def _cancel_copy(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _end(frame, builtin)
    return _core([I32], [I32])


def _drop_end(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _end(frame, builtin)
    return _core([I32])


def _copy(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    end, has_elements = _end(frame, builtin)
    options = _check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 7, reason=f"`{builtin.name}`")
    if has_elements:
        options.require("memory")
        if end.element_has_pointer and builtin.name.endswith("read"):
            options.require("realloc")
    pointer = options.pointer
    if builtin.name.startswith("stream"):
        return _core([I32, pointer, pointer], [pointer])
    return _core([I32, pointer], [I32])


def _memory_pointer(frame: Frame, builtin: CanonBuiltin) -> NumType:
    options = CanonOptions(memory=builtin.memory)
    return _check_options(frame, options, builtin.offset).pointer


def _wait(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    return _core([I32, _memory_pointer(frame, builtin)], [I32])


def _error_context_new(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = _check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 6, 7, reason=f"`{builtin.name}`")
    options.require("memory")
    return _core([options.pointer] * 2, [I32])


def _debug_message(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = _check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 6, 7, reason=f"`{builtin.name}`")
    options.require("memory")
    options.require("realloc")
    return _core([I32, options.pointer])


def _new_indirect(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    assert builtin.type is not None
    assert builtin.table is not None
    found = item(frame.core_types.items, Sort.CORE_TYPE, builtin.type, builtin.offset)
    wide = Feature.COMPONENT_MODEL_MEMORY64 in frame.features
    starts = [_core([I32]), _core([I64])] if wide else [_core([I32])]
    start = found.comp if isinstance(found, DefType) else None
    if not isinstance(start, FuncType) or start not in starts:
        raise ValidationError(
            "start function must take a single `i32` argument and return nothing",
            offset=builtin.offset,
        )
    table = item(frame.core_tables, Sort.CORE_TABLE, builtin.table, builtin.offset)
    if not table.element.matches(RefType(True, AbsHeapType.FUNC)):
        raise ValidationError("a table of 32-bit `funcref` is required", offset=builtin.offset)
    if table.index_type is IndexType.I64:
        require(frame.features, Feature.COMPONENT_MODEL_MEMORY64, builtin.offset)
    return FuncType((table.index_type.value_type, *start.params), (I32,))


def _shared(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    raise ValidationError(
        f"`{builtin.name}` requires shared-everything-threads, which are not supported",
        offset=builtin.offset,
    )


_FIXED: Final = {
    "backpressure.inc": _core(),
    "backpressure.dec": _core(),
    "task.cancel": _core(),
    "subtask.cancel": _core([I32], [I32]),
    "subtask.drop": _core([I32]),
    "waitable-set.new": _core((), [I32]),
    "waitable-set.drop": _core([I32]),
    "waitable.join": _core([I32, I32]),
    "error-context.drop": _core([I32]),
    "thread.index": _core((), [I32]),
    "thread.resume-later": _core([I32]),
    "thread.suspend": _core((), [I32]),
    "thread.yield": _core((), [I32]),
    "thread.suspend-then-resume": _core([I32], [I32]),
    "thread.yield-then-resume": _core([I32], [I32]),
    "thread.suspend-then-promote": _core([I32], [I32]),
    "thread.yield-then-promote": _core([I32], [I32]),
}
_BUILTINS: Final[dict[str, Callable[[Frame, CanonBuiltin], FuncType]]] = {
    "resource.new": _resource_new,
    "resource.rep": _resource_rep,
    "resource.drop": _resource_drop,
    "context.get": _context,
    "context.set": _context,
    "task.return": _task_return,
    **{f"{end}.new": _new_ends for end in ("stream", "future")},
    **{f"{end}.{op}": _copy for end in ("stream", "future") for op in ("read", "write")},
    **{
        f"{end}.cancel-{op}": _cancel_copy
        for end in ("stream", "future")
        for op in ("read", "write")
    },
    **{
        f"{end}.drop-{side}": _drop_end
        for end in ("stream", "future")
        for side in ("readable", "writable")
    },
    "waitable-set.wait": _wait,
    "waitable-set.poll": _wait,
    "error-context.new": _error_context_new,
    "error-context.debug-message": _debug_message,
    "thread.new-indirect": _new_indirect,
    "thread.spawn-ref": _shared,
    "thread.spawn-indirect": _shared,
    "thread.available-parallelism": _shared,
}
