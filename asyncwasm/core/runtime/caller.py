"""`Caller`: what a host function is told about the call that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from asyncwasm.errors import UsageError

if TYPE_CHECKING:
    from .engine import Engine
    from .extern import Extern
    from .instance import Instance
    from .module import ModuleExport
    from .store import Store

T = TypeVar("T")


def caller_of(store: object) -> Caller[Any] | None:
    """The caller, if that is what was given in place of a store."""
    return store if isinstance(store, Caller) else None


@final
class Caller(Generic[T]):
    """The call that a host function serves.  Works wherever a store is asked for.

    Valid until the host function returns; using it later raises `UsageError`.  Follows
    Wasmtime's `Caller`.
    """

    __slots__ = ("_instance", "_store")

    def __init__(self, store: Store[T], instance: Instance | None) -> None:
        self._store: Store[T] | None = store
        self._instance = instance

    @property
    def store(self) -> Store[T]:
        """The store that the call runs in."""
        store = self._store
        if store is None:
            raise UsageError("a caller is only valid until its host function returns")
        return store

    @property
    def engine(self) -> Engine:
        """The store's engine."""
        return self.store.engine

    @property
    def data(self) -> T:
        """The store's data."""
        return self.store.data

    @data.setter
    def data(self, value: T) -> None:
        self.store.data = value

    def get_export(self, name: str) -> Extern | None:
        """The calling instance's export of that name.

        None if it has no such export, or if the function was not called by guest code.
        """
        store = self.store
        return None if self._instance is None else self._instance.get_export(store, name)

    def get_module_export(self, export: ModuleExport) -> Extern | None:
        """As `get_export`, with a token of `Module.get_export_index`.

        None also when the token is another module's.
        """
        store = self.store
        if self._instance is None:
            return None
        return self._instance.get_module_export(store, export)

    def get_fuel(self) -> int:
        """See `Store.get_fuel`."""
        return self.store.get_fuel()

    def set_fuel(self, amount: int) -> None:
        """See `Store.set_fuel`; takes effect when the host function returns."""
        self.store.set_fuel(amount)

    def set_epoch_deadline(self, delta: int) -> None:
        """See `Store.set_epoch_deadline`."""
        self.store.set_epoch_deadline(delta)

    def expire(self) -> None:
        """End the caller's validity; for the runtime's own use."""
        self._store = None
