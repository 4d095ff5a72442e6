"""Canonical definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.isa.features import Feature
from asyncwasm.core.types import NumType
from asyncwasm.errors import ValidationError

from ..syntax import CanonBuiltin, CanonLift, CanonLower, CanonOptions, StringEncoding
from .reader import Reader, bad_byte
from .types import read_num_type, read_result_list

_ASYNC: Final = Feature.COMPONENT_MODEL_ASYNC
_THREADING: Final = Feature.COMPONENT_MODEL_THREADING
_STACKFUL: Final = Feature.COMPONENT_MODEL_ASYNC_STACKFUL
_MORE: Final = Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS
_ERROR: Final = Feature.COMPONENT_MODEL_ERROR_CONTEXT
# More options than there are of them are some twice, which validation refuses.
_MAX_OPTIONS: Final = 100

_ENCODINGS: Final = (StringEncoding.UTF8, StringEncoding.UTF16, StringEncoding.LATIN1_UTF16)


def _read_options(reader: Reader) -> CanonOptions:
    string_encoding: StringEncoding | None = None
    indices: dict[int, int] = {}
    order: list[int] = []
    for _ in range(reader.count(_MAX_OPTIONS, "options")):
        start = reader.pos
        code = reader.byte()
        if code < 3:
            string_encoding = _ENCODINGS[code]
        elif code == 6:
            reader.require(_ASYNC, start)
        elif code in (3, 4, 5, 7):
            if code == 7:
                reader.require(_ASYNC, start)
            indices[code] = reader.u32()
        else:
            raise bad_byte(code, "canonical option", start)
        order.append(code)
    return CanonOptions(
        string_encoding,
        memory=indices.get(3),
        realloc=indices.get(4),
        post_return=indices.get(5),
        is_async=6 in order,
        callback=indices.get(7),
        order=tuple(order),
    )


def read_canon(reader: Reader) -> CanonLift | CanonLower | CanonBuiltin:
    """A definition of the canonical section."""
    start = reader.pos
    code = reader.byte()
    if code == 0:
        _read_func_sort(reader, "canonical function lift")
        core_func = reader.u32()
        options = _read_options(reader)
        return CanonLift(core_func, options, reader.u32(), start)
    if code == 1:
        _read_func_sort(reader, "canonical function lower")
        func = reader.u32()
        return CanonLower(func, _read_options(reader), start)
    builtin = _BUILTINS.get(code)
    if builtin is None:
        raise bad_byte(code, "canonical function", start)
    name, feature, read = builtin
    if feature is not None:
        reader.require(feature, start)
    return read(reader, name, start)


def _read_func_sort(reader: Reader, what: str) -> None:
    start = reader.pos
    sort = reader.byte()
    if sort:
        raise bad_byte(sort, what, start)


def _plain(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start)


def _typed(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, type=reader.u32())


def _typed_async(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, type=reader.u32(), is_async=_read_async(reader))


def _typed_options(reader: Reader, name: str, start: int) -> CanonBuiltin:
    type = reader.u32()
    options = _read_options(reader)
    if not options.is_async:
        reader.require(_MORE, start)
    return CanonBuiltin(name, start, type=type, options=options, is_async=options.is_async)


def _options(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, options=_read_options(reader))


def _async(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, is_async=_read_async(reader))


def _cancellable(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, cancellable=_read_cancellable(reader))


def _memory(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, cancellable=_read_cancellable(reader), memory=reader.u32())


def _task_return(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, result=read_result_list(reader), options=_read_options(reader))


def _context(reader: Reader, name: str, start: int) -> CanonBuiltin:
    type_start = reader.pos
    slot_type = read_num_type(reader)
    if slot_type is NumType.I64:
        reader.require(Feature.COMPONENT_MODEL_MEMORY64, type_start)
    elif slot_type is not NumType.I32:
        raise ValidationError(f"`{name}` is not defined for `{slot_type}`", offset=type_start)
    return CanonBuiltin(name, start, slot=reader.u32(), slot_type=slot_type)


def _new_indirect(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, type=reader.u32(), table=reader.u32())


def _spawn_ref(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, shared=reader.flag(), type=reader.u32())


def _spawn_indirect(reader: Reader, name: str, start: int) -> CanonBuiltin:
    shared = reader.flag()
    return CanonBuiltin(name, start, type=reader.u32(), table=reader.u32(), shared=shared)


def _parallelism(reader: Reader, name: str, start: int) -> CanonBuiltin:
    return CanonBuiltin(name, start, shared=reader.flag())


def _read_async(reader: Reader) -> bool:
    start = reader.pos
    value = reader.flag()
    if value:
        reader.require(_MORE, start)
    return value


def _read_cancellable(reader: Reader) -> bool:
    start = reader.pos
    value = reader.flag()
    if value:
        reader.require(_STACKFUL, start)
    return value


# Name, feature and immediates by code.
_BUILTINS: Final[
    dict[int, tuple[str, Feature | None, Callable[[Reader, str, int], CanonBuiltin]]]
] = {
    0x02: ("resource.new", None, _typed),
    0x03: ("resource.drop", None, _typed),
    0x04: ("resource.rep", None, _typed),
    0x05: ("task.cancel", _ASYNC, _plain),
    0x06: ("subtask.cancel", _ASYNC, _async),
    0x09: ("task.return", _ASYNC, _task_return),
    0x0A: ("context.get", _ASYNC, _context),
    0x0B: ("context.set", _ASYNC, _context),
    0x0C: ("thread.yield", _ASYNC, _cancellable),
    0x0D: ("subtask.drop", _ASYNC, _plain),
    0x0E: ("stream.new", _ASYNC, _typed),
    0x0F: ("stream.read", _ASYNC, _typed_options),
    0x10: ("stream.write", _ASYNC, _typed_options),
    0x11: ("stream.cancel-read", _ASYNC, _typed_async),
    0x12: ("stream.cancel-write", _ASYNC, _typed_async),
    0x13: ("stream.drop-readable", _ASYNC, _typed),
    0x14: ("stream.drop-writable", _ASYNC, _typed),
    0x15: ("future.new", _ASYNC, _typed),
    0x16: ("future.read", _ASYNC, _typed_options),
    0x17: ("future.write", _ASYNC, _typed_options),
    0x18: ("future.cancel-read", _ASYNC, _typed_async),
    0x19: ("future.cancel-write", _ASYNC, _typed_async),
    0x1A: ("future.drop-readable", _ASYNC, _typed),
    0x1B: ("future.drop-writable", _ASYNC, _typed),
    0x1C: ("error-context.new", _ERROR, _options),
    0x1D: ("error-context.debug-message", _ERROR, _options),
    0x1E: ("error-context.drop", _ERROR, _plain),
    0x1F: ("waitable-set.new", _ASYNC, _plain),
    0x20: ("waitable-set.wait", _ASYNC, _memory),
    0x21: ("waitable-set.poll", _ASYNC, _memory),
    0x22: ("waitable-set.drop", _ASYNC, _plain),
    0x23: ("waitable.join", _ASYNC, _plain),
    0x24: ("backpressure.inc", _ASYNC, _plain),
    0x25: ("backpressure.dec", _ASYNC, _plain),
    0x26: ("thread.index", _THREADING, _plain),
    0x27: ("thread.new-indirect", _THREADING, _new_indirect),
    0x28: ("thread.resume-later", _THREADING, _plain),
    0x29: ("thread.suspend", _THREADING, _cancellable),
    0x2A: ("thread.suspend-then-resume", _THREADING, _cancellable),
    0x2B: ("thread.yield-then-resume", _THREADING, _cancellable),
    0x2C: ("thread.suspend-then-promote", _THREADING, _cancellable),
    0x2D: ("thread.yield-then-promote", _THREADING, _cancellable),
    0x40: ("thread.spawn-ref", _THREADING, _spawn_ref),
    0x41: ("thread.spawn-indirect", _THREADING, _spawn_indirect),
    0x42: ("thread.available-parallelism", _THREADING, _parallelism),
}
