"""`Func` and `TypedFunc`: functions of a store, called from the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from asyncwasm.core.types import DefType, FuncType, RefType, ValType
from asyncwasm.errors import LinkError, WrongStoreError
from asyncwasm.fiber import drive, fail, take_stack, turn

from . import host
from .caller import caller_of
from .calls import raise_direct, run_async, run_sync
from .handles import StoreLike, check_owner
from .values import from_raw_converter, to_raw_converter
from .words import BARS, Bar

if TYPE_CHECKING:
    from .instance import Instance
    from .store import Store


_ASYNC_BARS: Final = Bar.FOR_ASYNC
_CLASSIC_ASYNC = "must use `call_async` when async support is enabled on the config"
_CLASSIC_SYNC = "cannot use `call_async` without enabling async support in the config"


Converters: TypeAlias = tuple[Callable[..., tuple[Any, ...]], Callable[..., Any]]


class _Refused:
    """What a direct way in gives, having done nothing, when the call needs the long way."""

    def __repr__(self) -> str:
        return "REFUSED"


REFUSED: Final = _Refused()


class Calls:
    """The calls of a `Func` and of a `TypedFunc`."""

    __slots__ = ()

    if TYPE_CHECKING:
        # The function itself, where this is not it.
        @property
        def _func(self) -> Func: ...

    def call(self, store: StoreLike, *args: Any) -> Any:
        """Call the function: None for no result, the value of one, a tuple of several.

        i32 and i64 arguments may be given signed or unsigned and come back signed.  Never
        suspends.  Raises `AsyncSupportError` if the store requires async, `TypeError` and
        `OverflowError` for arguments that do not fit, `StoreBusyError`, and what the guest
        ends with: `Trap`, `ThrownException`, or a host function's exception.
        """
        func = self if type(self) is Func else self._func
        direct = func.direct
        if direct is not None:
            try:
                result = direct(store, *args)
            except BaseException as error:
                raise_direct(func.store, error)
            if result is not REFUSED:
                return result
        return func._call(store, args)

    async def call_async(self, store: StoreLike, *args: Any) -> Any:
        """As `call`, on a fiber: host functions may suspend it, and the event loop runs on.

        Always checkpoints.  Cancelling it unwinds the guest.
        """
        func = self if type(self) is Func else self._func
        direct = func.direct_async
        if direct is None or func.store.words[BARS] & _ASYNC_BARS:
            return await func._call_async(store, args)
        # `on_fiber`, without a coroutine of its own.
        await turn()
        stack = take_stack()
        try:
            stack.start(direct, (store,) + args)  # noqa: RUF005 - unpacking takes twice as long
            if stack.job is not None:
                await drive(stack)
        except BaseException as error:
            failure = fail(stack, error)
            if failure is not None:
                raise_direct(func.store, failure)
        result = stack.mail
        failed = stack.release()
        if failed is not None:
            del stack
            try:
                raise_direct(func.store, failed)
            finally:
                del failed
        if result is not REFUSED:
            return result
        return await func._call_async(store, args)


@final
class Func(Calls):
    """A function: the guest's, or a host function, in one store.

    Engines call `fn` with raw values; tables and guest references hold the object itself.
    Follows Wasmtime's `Func`.
    """

    __slots__ = (
        "__weakref__",
        "_convert",
        "direct",
        "direct_async",
        "fast",
        "fn",
        "index",
        "instance",
        "name",
        "raw",
        "store",
        "type",
    )

    store: Store[Any]
    type: DefType
    fn: Callable[..., Any]
    raw: Callable[..., Any]
    # Take a store and public arguments, and enter by themselves or give `REFUSED`; the async one
    # has to be called on a fiber.
    direct: Callable[..., Any] | None
    direct_async: Callable[..., Any] | None
    fast: bytes  # for native code only, and unset where it has no faster way than `fn`
    instance: Instance | None
    index: int | None
    name: str | None
    _convert: Converters | None

    @staticmethod
    def make(
        store: Store[Any],
        type: DefType,
        fn: Callable[..., Any],
        *,
        instance: Instance | None = None,
        index: int | None = None,
        name: str | None = None,
    ) -> Func:
        """A function from its parts; for the runtime's own use."""
        self = object.__new__(Func)
        self.store = store
        self.type = type
        self.fn = self.raw = fn
        self.direct = self.direct_async = None
        self.instance = instance
        self.index = index
        self.name = name
        self._convert = None
        return self

    def __init__(self) -> None:
        raise TypeError("functions are made by `Func.new`, `Func.wrap` and their async twins")

    @staticmethod
    def new(store: StoreLike, ty: FuncType | DefType, fn: Callable[..., Any]) -> Func:
        """A host function of type `ty`: `fn(caller, *args)`.

        `fn` returns None for no result, a value for one, a tuple for several; what it raises
        reaches the embedder unchanged.  Raises `TypeError` if `fn` is not callable.
        """
        return bind_host(store.store, host.from_type(ty, fn, may_await=False))

    @staticmethod
    def new_async(store: StoreLike, ty: FuncType | DefType, fn: Callable[..., Any]) -> Func:
        """As `new`, with a `fn` that may be a coroutine function.

        Calling it suspends the guest until the coroutine is done.  Makes the store require
        async, even if it is never called.
        """
        return bind_host(store.store, host.from_type(ty, fn, may_await=True))

    @staticmethod
    def wrap(store: StoreLike, fn: Callable[..., Any]) -> Func:
        """A host function whose type is read from the annotations of `fn`.

        See `asyncwasm.i32` and its kin.  A first parameter annotated `Caller` is given the
        caller.  Raises `TypeError` for a signature that does not say the type.
        """
        return bind_host(store.store, host.from_signature(fn, may_await=False))

    @staticmethod
    def wrap_async(store: StoreLike, fn: Callable[..., Any]) -> Func:
        """As `wrap`, with a `fn` that may be a coroutine function; see `new_async`."""
        return bind_host(store.store, host.from_signature(fn, may_await=True))

    def ty(self, store: StoreLike) -> FuncType:
        """The function's type."""
        check_owner(self.store, store)
        return self.type.func

    def matches_ty(self, store: StoreLike, ty: FuncType) -> bool:
        """Whether the function may stand for one of type `ty`."""
        check_owner(self.store, store)
        return self.type.func.matches(ty)

    def _call(self, store: StoreLike, args: tuple[Any, ...]) -> Any:
        check_owner(self.store, store)
        owner = self.store
        owner.check_sync(_CLASSIC_ASYNC)
        lower, lift = self._converters()
        raw = run_sync(owner, caller_of(store), self.fn, lower(owner, args))
        return lift(owner, raw)

    async def _call_async(self, store: StoreLike, args: tuple[Any, ...]) -> Any:
        check_owner(self.store, store)
        owner = self.store
        owner.check_async(_CLASSIC_SYNC)
        lower, lift = self._converters()
        raw = await run_async(owner, caller_of(store), self.fn, lower(owner, args))
        return lift(owner, raw)

    def typed(
        self, store: StoreLike, params: Sequence[ValType], results: Sequence[ValType]
    ) -> TypedFunc:
        """The function with its type checked once.

        Parameters are contravariant and results covariant.  Raises `LinkError` if the types
        do not match.
        """
        check_owner(self.store, store)
        own = self.type.func
        _match_types("parameters", own.params, params, contravariant=True)
        _match_types("results", own.results, results, contravariant=False)
        return TypedFunc(self)

    def _converters(self) -> Converters:
        found = self._convert
        if found is None:
            ty = self.type.func
            found = self._convert = (_lower_args(ty.params), _lift_results(ty.results))
        return found

    def __repr__(self) -> str:
        name = self.name or (f"#{self.index}" if self.index is not None else "host")
        return f"<Func {name} {self.type}>"


def _lower_args(params: tuple[ValType, ...]) -> Callable[..., tuple[Any, ...]]:
    count = len(params)
    converters = [to_raw_converter(ty) for ty in params]

    def lower(store: Store[Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(args) != count:
            raise TypeError(f"expected {count} arguments, got {len(args)}")
        try:
            return tuple([c(store, v) for c, v in zip(converters, args, strict=True)])
        except (TypeError, OverflowError) as error:
            raise type(error)(f"argument type mismatch: {error}") from error
        except WrongStoreError as error:
            raise WrongStoreError(f"argument type mismatch: {error}") from error

    return lower


def _lift_results(results: tuple[ValType, ...]) -> Callable[..., Any]:
    converters = [from_raw_converter(ty) for ty in results]
    if not converters:
        return lambda store, raw: None
    if len(converters) == 1:
        return converters[0]

    def lift(store: Store[Any], raw: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple([c(store, v) for c, v in zip(converters, raw, strict=True)])

    return lift


def _match_types(
    what: str, own: tuple[ValType, ...], given: Sequence[ValType], *, contravariant: bool
) -> None:
    if len(own) != len(given):
        raise LinkError(f"type mismatch with {what}: expected {len(own)} types, found {len(given)}")
    for expected, found in zip(own, given, strict=True):
        ok = found.matches(expected) if contravariant else expected.matches(found)
        # A supertype of a concrete reference is let through: the value is checked at the call.
        if not ok and contravariant and isinstance(found, RefType):
            ok = expected.matches(found)
        if not ok:
            raise LinkError(
                f"type mismatch with {what}: type mismatch: expected {expected}, found {found}"
            )


def bind_host(store: Store[Any], function: host.HostFunction) -> Func:
    """Put a host function into a store."""
    if function.may_await:
        store.require_async()
    return Func.make(store, function.type, function.bind(store), name=function.name)


@final
class TypedFunc(Calls):
    """A `Func` whose type was checked when this was made.  Follows Wasmtime's `TypedFunc`."""

    __slots__ = ("_func",)

    _func: Func

    def __init__(self, func: Func) -> None:
        self._func = func

    @property
    def func(self) -> Func:
        """The untyped function."""
        return self._func
