"""Canonical built-ins: what they are given, and the types of their functions.

See "Canonical Definitions" in `CanonicalABI.md` of the Component Model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.isa.features import Feature, require
from asyncwasm.core.types import AbsHeapType, DefType, FuncType, IndexType, NumType, RefType
from asyncwasm.errors import ValidationError

from ..syntax import CanonBuiltin, CanonOptions, Sort
from ..types import Future, ResourceId, Stream
from .canon import I32, I64, check_options, core_type, lowered
from .frame import Frame, item
from .items import Val

_CONTEXT_SLOTS: Final = 2


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
    return core_type([_local_resource(frame, builtin)], [I32])


def _resource_rep(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    return core_type([I32], [_local_resource(frame, builtin)])


def _resource_drop(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _resource(frame, builtin)
    return core_type([I32])


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
    return core_type(types) if builtin.name == "context.set" else core_type((), types)


def _task_return(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = check_options(frame, builtin.options, builtin.offset)
    options.forbid(4, 5, 6, 7, reason="`task.return`")
    vals = () if builtin.result is None else (frame.values.ref(builtin.result, builtin.offset),)
    if any(val.has_borrow for val in vals):
        raise ValidationError(
            "function result cannot contain a `borrow` type", offset=builtin.offset
        )
    options.lifts(vals)
    return lowered(options, vals, ())


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
    return core_type((), [I64])


def _cancel_copy(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _end(frame, builtin)
    return core_type([I32], [I32])


def _drop_end(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    _end(frame, builtin)
    return core_type([I32])


def _copy(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    end, has_elements = _end(frame, builtin)
    options = check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 7, reason=f"`{builtin.name}`")
    if has_elements:
        options.require("memory")
        if end.element_has_pointer and builtin.name.endswith("read"):
            options.require("realloc")
    pointer = options.pointer
    if builtin.name.startswith("stream"):
        return core_type([I32, pointer, pointer], [pointer])
    return core_type([I32, pointer], [I32])


def _memory_pointer(frame: Frame, builtin: CanonBuiltin) -> NumType:
    options = CanonOptions(memory=builtin.memory)
    return check_options(frame, options, builtin.offset).pointer


def _wait(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    return core_type([I32, _memory_pointer(frame, builtin)], [I32])


def _error_context_new(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 6, 7, reason=f"`{builtin.name}`")
    options.require("memory")
    return core_type([options.pointer] * 2, [I32])


def _debug_message(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    options = check_options(frame, builtin.options, builtin.offset)
    options.forbid(5, 6, 7, reason=f"`{builtin.name}`")
    options.require("memory")
    options.require("realloc")
    return core_type([I32, options.pointer])


def _new_indirect(frame: Frame, builtin: CanonBuiltin) -> FuncType:
    assert builtin.type is not None
    assert builtin.table is not None
    found = item(frame.core_types.items, Sort.CORE_TYPE, builtin.type, builtin.offset)
    wide = Feature.COMPONENT_MODEL_MEMORY64 in frame.features
    starts = [core_type([I32]), core_type([I64])] if wide else [core_type([I32])]
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
    "backpressure.inc": core_type(),
    "backpressure.dec": core_type(),
    "task.cancel": core_type(),
    "subtask.cancel": core_type([I32], [I32]),
    "subtask.drop": core_type([I32]),
    "waitable-set.new": core_type((), [I32]),
    "waitable-set.drop": core_type([I32]),
    "waitable.join": core_type([I32, I32]),
    "error-context.drop": core_type([I32]),
    "thread.index": core_type((), [I32]),
    "thread.resume-later": core_type([I32]),
    "thread.suspend": core_type((), [I32]),
    "thread.yield": core_type((), [I32]),
    "thread.suspend-then-resume": core_type([I32], [I32]),
    "thread.yield-then-resume": core_type([I32], [I32]),
    "thread.suspend-then-promote": core_type([I32], [I32]),
    "thread.yield-then-promote": core_type([I32], [I32]),
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
