"""`Func` and `TypedFunc`: functions that component instances export."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, final

from asyncwasm.core.runtime.caller import caller_of
from asyncwasm.core.runtime.handles import check_owner
from asyncwasm.core.runtime.words import BARS, Bar
from asyncwasm.errors import LinkError

from .runtime.lifted import Runner
from .runtime.resources import ResourceType
from .types import FuncType, ValType, substitute_func

if TYPE_CHECKING:
    from asyncwasm.core.runtime.handles import StoreLike

    from .compile.program import LiftedFunction
    from .concurrency.run import Accessor
    from .runtime.instance import InstanceData

_CLASSIC_ASYNC = "must use `call_async` when async support is enabled on the config"
_CLASSIC_SYNC = "cannot use `call_async` without enabling async support in the config"


@final
class Func:
    """A function of a component instance.  Follows Wasmtime's `component::Func`.

    Values are Python's; see the documentation of the type mapping.
    """

    __slots__ = ("__weakref__", "_data", "_lifted", "_runner", "name")

    def __init__(self, data: InstanceData, lifted: LiftedFunction, name: str) -> None:
        """For the runtime's own use; see `Instance.get_func`."""
        self._data = data
        self._lifted = lifted
        self.name = name
        runner = data.runners.get(lifted)
        if runner is None:
            runner = data.runners[lifted] = Runner(data, lifted, name)
        self._runner: Runner = runner

    def ty(self, store: StoreLike) -> FuncType:
        """The function's type, with `ResourceType`s for resources."""
        check_owner(self._data.store, store)
        return self._type()

    def _type(self) -> FuncType:
        resources = self._data.resources

        def replace(resource: Hashable) -> ResourceType:
            assert isinstance(resource, int)
            return resources[resource].type

        return substitute_func(self._lifted.type, replace)

    def call(self, store: StoreLike, *args: Any) -> Any:
        """Call the function with one argument per parameter; returns the result's value or None.

        For a result of type `result`, returns the value of the success, or raises
        `ComponentError` with that of the failure.  Never suspends.

        Raises `AsyncSupportError` if the store requires async, `TypeError`, `OverflowError` and
        `ValueError` for arguments that do not fit (naming the part), `StoreBusyError`, and
        what the guest ends with: `Trap`, `CanonicalAbiError`, a host function's exception.  After
        such an end, and after a cancellation, no component instance of the store can be called
        any more: `Trap` with `CANNOT_ENTER_COMPONENT`.
        """
        owner = self._data.store
        if owner.words[BARS] & Bar.SYNC:
            check_owner(owner, store)
            owner.check_sync(_CLASSIC_ASYNC)
        if store is owner:
            return self._runner.call(None, args)
        check_owner(owner, store)
        return self._runner.call(caller_of(store), args)

    async def call_async(self, store: StoreLike, *args: Any) -> Any:
        """As `call`, on a fiber: host functions may suspend it, and the event loop runs on.

        Always checkpoints.  Cancelling it unwinds the guest.
        """
        owner = self._data.store
        check_owner(owner, store)
        owner.check_async(_CLASSIC_SYNC)
        return await self._runner.call_async(caller_of(store), args)

    async def call_concurrent(self, accessor: Accessor[Any], *args: Any) -> Any:
        """As `call_async`, in the scope of `Store.run_concurrent` that the accessor belongs to.

        Other calls go on meanwhile.  Returns when the function has, even if its task has more to
        do.  Cancelling this does not cancel the guest, whose result is then lost.
        """
        return await self._runner.call_concurrent(accessor, args)

    def post_return(self, store: StoreLike) -> None:
        """Nothing: every call runs the function's post-return by itself."""
        check_owner(self._data.store, store)

    async def post_return_async(self, store: StoreLike) -> None:
        """Nothing, as `post_return`, but for a checkpoint."""
        from asyncwasm.fiber import checkpoint

        check_owner(self._data.store, store)
        await checkpoint()

    def typed(
        self, store: StoreLike, params: Sequence[ValType], results: Sequence[ValType] = ()
    ) -> TypedFunc:
        """The function with its type checked once, for exactly these types.

        Raises `LinkError` if they do not match.
        """
        ty = self.ty(store)
        own = [t for _, t in ty.params]
        _match("parameters", own, params)
        _match("results", [] if ty.result is None else [ty.result], results)
        return TypedFunc(self)

    def __repr__(self) -> str:
        return f"<component Func {self.name}>"


def _match(what: str, own: Sequence[ValType], given: Sequence[ValType]) -> None:
    if len(own) != len(given):
        raise LinkError(
            f"type mismatch with {what}: expected {len(given)}-tuple, found {len(own)}-tuple"
        )
    for expected, found in zip(given, own, strict=True):
        if expected != found:
            raise LinkError(f"type mismatch with {what}: expected `{expected}` found `{found}`")


@final
class TypedFunc:
    """A `Func` whose type was checked when this was made.  Follows Wasmtime's `TypedFunc`."""

    __slots__ = ("_func",)

    def __init__(self, func: Func) -> None:
        self._func = func

    @property
    def func(self) -> Func:
        """The untyped function."""
        return self._func

    def call(self, store: StoreLike, *args: Any) -> Any:
        """See `Func.call`."""
        return self._func.call(store, *args)

    async def call_async(self, store: StoreLike, *args: Any) -> Any:
        """See `Func.call_async`."""
        return await self._func.call_async(store, *args)

    async def call_concurrent(self, accessor: Accessor[Any], *args: Any) -> Any:
        """See `Func.call_concurrent`."""
        return await self._func.call_concurrent(accessor, *args)

    def post_return(self, store: StoreLike) -> None:
        """See `Func.post_return`."""
        self._func.post_return(store)

    async def post_return_async(self, store: StoreLike) -> None:
        """See `Func.post_return_async`."""
        await self._func.post_return_async(store)
