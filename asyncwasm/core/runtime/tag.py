"""`Tag`: what tells exceptions apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core.types import TagType

from .handles import StoreLike, check_owner

if TYPE_CHECKING:
    from .store import Store


@final
class Tag:
    """A tag of a store.  Its identity is what `catch` compares.  Follows Wasmtime's `Tag`."""

    __slots__ = ("__weakref__", "store", "type")

    def __init__(self, store: Store[Any], type: TagType) -> None:
        """For the runtime's own use; see `new`."""
        self.store: Final = store
        self.type: Final = type

    @staticmethod
    def new(store: StoreLike, ty: TagType) -> Tag:
        """A new tag, different from all others."""
        return Tag(store.store, ty)

    def ty(self, store: StoreLike) -> TagType:
        """The tag's type."""
        check_owner(self.store, store)
        return self.type

    @staticmethod
    def eq(a: Tag, b: Tag, store: StoreLike) -> bool:
        """Whether `a` and `b` are one tag."""
        check_owner(a.store, store)
        check_owner(b.store, store)
        return a is b

    def __repr__(self) -> str:
        return f"<Tag {self.type}>"
