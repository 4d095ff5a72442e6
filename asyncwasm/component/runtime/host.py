"""Host functions of components: Python callables behind a component's function type."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from asyncwasm.core import Caller

Kind = Literal["sync", "async", "concurrent"]


@dataclass(frozen=True, slots=True, eq=False)
class HostFunc:
    """A Python callable, as a linker holds it.

    An `"async"` one may return an awaitable, for which the guest is suspended; a `"concurrent"`
    one is a task of its own.  With `dynamic` it is given the caller and the function's type
    first, else the caller only if its signature asks for it.
    """

    fn: Callable[..., Any]
    kind: Kind
    dynamic: bool
    takes_caller: bool

    @property
    def name(self) -> str:
        """A name for messages and logs."""
        return getattr(self.fn, "__qualname__", None) or repr(self.fn)

    def arity(self) -> tuple[int, int | None] | None:
        """The least and the largest number of arguments it takes; None if that is unknown.

        Without the caller.  A largest number of None is no limit.
        """
        if self.dynamic:
            return None
        try:
            parameters = inspect.signature(self.fn).parameters.values()
        except (TypeError, ValueError):
            return None
        least = most = -int(self.takes_caller)
        for parameter in parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                return least, None
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                most += 1
                least += parameter.default is parameter.empty
        return least, most


def host_func(fn: Callable[..., Any], kind: Kind, *, dynamic: bool) -> HostFunc:
    """A host function; `TypeError` if `fn` is not callable."""
    if not callable(fn):
        raise TypeError(f"a host function must be callable, not {type(fn).__name__}")
    return HostFunc(fn, kind, dynamic, dynamic or takes_caller(fn))


def takes_caller(fn: Callable[..., Any]) -> bool:
    """Whether the first parameter is to be the caller, or the accessor of a concurrent function.

    It is if its annotation says so or, where it has none, its name.
    """
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters:
        return False
    first = parameters[0]
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return False
    if first.annotation is first.empty:
        return first.name in ("caller", "accessor")
    hint: Any = first.annotation
    if isinstance(hint, str):
        return hint.partition("[")[0].rpartition(".")[2] in ("Caller", "Accessor")
    kind = typing.get_origin(hint) or hint
    # An accessor's class is not known down here.
    return kind is Caller or getattr(kind, "__name__", None) == "Accessor"
