"""Host functions: Python callables behind a WebAssembly function type.

A `HostFunction` is independent of any store, so that a linker can hold it; `bind` makes the
callable on raw values that engines call.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Annotated, Any, Final

from asyncwasm.core.types import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    DefType,
    FuncType,
    NumType,
    RefType,
    ValType,
)
from asyncwasm.errors import ThrownException, UsageError
from asyncwasm.fiber import is_awaitable

from .caller import Caller
from .hooks import CallHook
from .values import from_raw_converter, to_raw_converter

if TYPE_CHECKING:
    from .store import Store

# Annotations for host functions whose type is read from their signature.
i32 = Annotated[int, I32]
i64 = Annotated[int, I64]
f32 = Annotated[float, F32]
f64 = Annotated[float, F64]
v128 = Annotated[bytes, V128]

_PLAIN: Final[dict[object, ValType]] = {int: I32, float: F64, bytes: V128}


@dataclass(frozen=True, slots=True, eq=False)
class HostFunction:
    """A Python callable with its WebAssembly type.

    `may_await` says that it may return an awaitable; `takes_caller` that it is given a
    `Caller` first.
    """

    type: DefType
    fn: Callable[..., Any]
    may_await: bool
    takes_caller: bool

    @property
    def name(self) -> str:
        """A name for messages and logs."""
        return getattr(self.fn, "__qualname__", None) or repr(self.fn)

    def bind(self, store: Store[Any]) -> Callable[..., Any]:
        """The function in `store`, on raw values.  What it raises passes unchanged."""
        fn, may_await, takes_caller = self.fn, self.may_await, self.takes_caller
        lift = tuple(from_raw_converter(ty) for ty in self.type.func.params)
        lower = _lower_results(store, self.type.func.results)
        name = self.name

        def run(raw: tuple[Any, ...], caller: Caller[Any] | None) -> Any:
            args = [convert(store, value) for convert, value in zip(lift, raw, strict=True)]
            return lower(settle([fn(caller, *args) if takes_caller else fn(*args)], caller))

        def settle(held: list[Any], caller: Caller[Any] | None = None) -> Any:
            # In a list, for the awaitable to be given away: see `Store.wait`.
            if type(held[0]) is CoroutineType or is_awaitable(held[0]):
                if may_await:
                    return store.wait_held(held, caller)
                if inspect.iscoroutine(held[0]):
                    held[0].close()
                raise UsageError(
                    f"host function `{name}` returned an awaitable: define it with "
                    "`wrap_async` or `new_async`"
                )
            return held[0]

        def call(*raw: Any) -> Any:
            if store._hook is not None:
                return hooked(raw)
            if not takes_caller:
                return run(raw, None)
            caller = Caller(store, _calling_instance(sys._getframe(1)))
            try:
                return run(raw, caller)
            finally:
                caller.expire()

        # For native code, which calls `fn` by itself, and these two in turn with what it gave
        # that is no public value of the very type of the result.
        call.takes_caller = takes_caller  # type: ignore[attr-defined]
        call.function = fn  # type: ignore[attr-defined]
        call.settle = settle  # type: ignore[attr-defined]
        call.lower = lower  # type: ignore[attr-defined]

        def hooked(raw: tuple[Any, ...]) -> Any:
            store.fire(CallHook.CALLING_HOST)
            caller = Caller(store, _calling_instance(sys._getframe(2)))
            try:
                result = run(raw, caller)
            except ThrownException:
                # A thrown exception is how this call returns: the guest may catch it.
                store.fire(CallHook.RETURNING_FROM_HOST)
                raise
            finally:
                caller.expire()
            store.fire(CallHook.RETURNING_FROM_HOST)
            return result

        return call


def _calling_instance(frame: Any) -> Any:
    # Generated code of an instance has the instance among its globals.  A tail call comes
    # through the executor's loop, whose own caller is the generated frame.
    for _ in range(3):
        if frame is None:
            return None
        instance = frame.f_globals.get("__wasm_instance__")
        if instance is not None:
            return instance
        if not frame.f_globals.get("__name__", "").startswith("asyncwasm.core.exec"):
            return None
        frame = frame.f_back
    return None


def _lower_results(store: Store[Any], results: tuple[ValType, ...]) -> Callable[[Any], Any]:
    """A function that turns what the host function returned into raw values."""

    def context(error: TypeError | OverflowError) -> TypeError:
        return TypeError(f"function attempted to return an incompatible value: {error}")

    if not results:

        def lower_none(value: Any) -> None:
            if value is not None and value != ():
                raise context(TypeError(f"expected 0 results, got {value!r}"))

        return lower_none

    converters = [to_raw_converter(ty) for ty in results]
    if len(converters) == 1:
        (convert,) = converters

        def lower_one(value: Any) -> Any:
            try:
                return convert(store, value)
            except (TypeError, OverflowError) as error:
                raise context(error) from error

        return lower_one

    def lower_many(value: Any) -> tuple[Any, ...]:
        try:
            if not isinstance(value, (tuple, list)) or len(value) != len(converters):
                raise TypeError(f"expected {len(converters)} results, got {value!r}")
            return tuple(c(store, v) for c, v in zip(converters, value, strict=True))
        except (TypeError, OverflowError) as error:
            raise context(error) from error

    return lower_many


def from_type(ty: FuncType | DefType, fn: Callable[..., Any], *, may_await: bool) -> HostFunction:
    """A host function of an explicit type; it is given a `Caller` first."""
    defined = ty if isinstance(ty, DefType) else DefType.of(ty)
    return HostFunction(defined, _callable(fn), may_await, takes_caller=True)


def from_signature(fn: Callable[..., Any], *, may_await: bool) -> HostFunction:
    """A host function whose type is read from its annotations.

    Parameters and results are annotated with `i32`, `i64`, `f32`, `f64`, `v128`, a `ValType`,
    or a Python type: `int` stands for i32, `float` for f64, `bytes` for v128, `Func`
    and `ExternRef` for the nullable references.  A tuple of these is several results.  A first
    parameter annotated `Caller`, or named `caller` without annotation, is given the caller.

    Raises `TypeError` for a signature that does not say the type.
    """
    _callable(fn)
    try:
        # Called with the parameters that have no default; the others keep it.
        parameters = list(inspect.signature(fn).parameters.values())
        hints = typing.get_type_hints(_hinted(fn), include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise TypeError(
            f"cannot read the type of {fn!r} from its signature ({error}); "
            "give it explicitly with `new` or `new_async`"
        ) from error
    takes_caller = False
    params: list[ValType] = []
    for position, parameter in enumerate(parameters):
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            if parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY:
                raise TypeError(f"host function has a required keyword `{parameter.name}`")
            continue
        hint = hints.get(parameter.name)
        if position == 0 and _is_caller(parameter, hint):
            takes_caller = True
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(
                f"cannot read the type of {fn!r} from its signature: it takes `*{parameter.name}`; "
                "give it explicitly with `new` or `new_async`"
            )
        params.append(_value_type(hint, f"parameter `{parameter.name}`"))
    returned = hints.get("return")
    if typing.get_origin(returned) is tuple:
        members = [a for a in typing.get_args(returned) if a != ()]
        results = [_value_type(a, "result") for a in members]
    elif returned is None or returned is type(None) or returned is typing.NoReturn:
        results = []
    else:
        results = [_value_type(returned, "result")]
    ty = DefType.of(FuncType(tuple(params), tuple(results)))
    return HostFunction(ty, fn, may_await, takes_caller)


def _hinted(fn: Any) -> Any:
    # Annotations of a callable object are those of its `__call__`; of a partial, its function's.
    while hasattr(fn, "func") and not inspect.isroutine(fn):
        fn = fn.func
    return fn if inspect.isroutine(fn) else type(fn).__call__


def _callable(fn: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(fn):
        raise TypeError(f"a host function must be callable, not {type(fn).__name__}")
    return fn


def _is_caller(parameter: inspect.Parameter, hint: object) -> bool:
    if hint is None:
        return parameter.annotation is parameter.empty and parameter.name == "caller"
    return hint is Caller or typing.get_origin(hint) is Caller


def _value_type(hint: object, what: str) -> ValType:
    from .func import Func
    from .gc import ExternRef

    if isinstance(hint, (NumType, RefType)):
        return hint
    if typing.get_origin(hint) is Annotated:
        for extra in typing.get_args(hint)[1:]:
            if isinstance(extra, (NumType, RefType)):
                return extra
    found = _PLAIN.get(hint)
    if found is not None:
        return found
    members: Sequence[object] = [a for a in typing.get_args(hint) if a is not type(None)] or [hint]
    if members == [Func]:
        return FUNCREF
    if members == [ExternRef]:
        return EXTERNREF
    if hint is None:
        raise TypeError(f"{what} of a host function needs an annotation, such as `i32`")
    raise TypeError(f"{what} of a host function has no WebAssembly type: {hint!r}")
