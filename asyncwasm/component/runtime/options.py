"""The options of a program in the form that the Canonical ABI's compiler takes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from asyncwasm.component.abi import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS
from asyncwasm.component.abi.layout import Options as AbiOptions
from asyncwasm.component.abi.layout import flatten, flatten_all
from asyncwasm.component.syntax import StringEncoding

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import Options
    from asyncwasm.component.types import FuncType, ValType


def abi_options(options: Options) -> AbiOptions:
    """For values that the host gives or gets."""
    return _options(options.string_encoding, options.memory64, False, StringEncoding.UTF8)


def adapter_options(options: Options, source: Options) -> AbiOptions:
    """For values that come from, or go to, the component instance with the options `source`."""
    return _options(options.string_encoding, options.memory64, True, source.string_encoding)


@cache
def _options(
    encoding: StringEncoding, memory64: bool, adapter: bool, source: StringEncoding
) -> AbiOptions:
    return AbiOptions(encoding, memory64, adapter, source)


def is_by_pointer(result: ValType | None, options: AbiOptions) -> bool:
    """Whether a caller passes a pointer for the result to be stored at."""
    if result is None:
        return False
    return len(flatten(result, options.pointer_type)) > MAX_FLAT_RESULTS


def is_spilled(ty: FuncType, options: AbiOptions) -> bool:
    """Whether the parameters of a function do not travel flat."""
    types = tuple(t for _, t in ty.params)
    return len(flatten_all(types, options.pointer_type)) > MAX_FLAT_PARAMS
