"""`Global`: a variable of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core.types import GlobalType

from .handles import StoreLike, check_owner
from .values import convert, from_raw

if TYPE_CHECKING:
    from .store import Store


@final
class Global:
    """A global variable of a store.

    For engines, `value` is its raw value.  Follows Wasmtime's `Global`.
    """

    __slots__ = ("__weakref__", "store", "type", "value")

    def __init__(self, store: Store[Any], type: GlobalType, value: Any) -> None:
        """For the runtime's own use, with a raw value; see `new`."""
        self.store: Final = store
        self.type: Final = type
        self.value: Any = value

    @staticmethod
    def new(store: StoreLike, ty: GlobalType, value: Any) -> Global:
        """A global of type `ty`.

        Raises `TypeError`, `OverflowError` or `WrongStoreError` if `value` is not of that type.
        """
        owner = store.store
        context = "type mismatch: initial value provided does not match the type of this global"
        return Global(owner, ty, convert(owner, ty.content, value, context))

    def ty(self, store: StoreLike) -> GlobalType:
        """The global's type."""
        check_owner(self.store, store)
        return self.type

    def get(self, store: StoreLike) -> Any:
        """The current value."""
        owner = check_owner(self.store, store)
        return from_raw(owner, self.type.content, self.value)

    def set(self, store: StoreLike, value: Any) -> None:
        """Assign `value`.

        Raises `TypeError` if the global is immutable, and `TypeError`, `OverflowError` or
        `WrongStoreError` if `value` is not of its type.
        """
        owner = check_owner(self.store, store)
        if not self.type.mutable:
            raise TypeError("immutable global cannot be set")
        context = "type mismatch: attempt to set global to value of wrong type"
        self.value = convert(owner, self.type.content, value, context)

    def __repr__(self) -> str:
        return f"<Global {self.type}>"
