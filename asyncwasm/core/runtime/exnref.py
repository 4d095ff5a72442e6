"""Exceptions as references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core.types import FuncType, TagType
from asyncwasm.errors import WrongStoreError
from asyncwasm.fiber import checkpoint

from .refs import check_count, claim

if TYPE_CHECKING:
    from .handles import StoreLike
    from .store import Store
    from .tag import Tag


@final
class ExnRefPre:
    """What `ExnRef.new` allocates from."""

    __slots__ = ("store", "type")

    def __init__(self, store: Store[Any], type: TagType) -> None:
        self.store: Final = store
        self.type: Final = type

    @staticmethod
    def new(store: StoreLike, ty: TagType) -> ExnRefPre:
        """An allocator for exceptions of tags of type `ty`.

        Raises `TypeError` if the type has results.
        """
        if ty.type.func.results:
            raise TypeError(
                "Cannot create an exception type from a tag type with results in the signature"
            )
        return ExnRefPre(store.store, ty)


@final
class ExnRef:
    """A WebAssembly exception.  Follows Wasmtime's `ExnRef`.

    `tag` is its tag.  For engines, `fields` holds the raw values.
    """

    __slots__ = ("__weakref__", "fields", "store", "tag")

    def __init__(self, tag: Tag, fields: tuple[Any, ...]) -> None:
        """For engines, from raw values; see `new`."""
        self.tag: Final = tag
        self.fields: Final = fields
        self.store: Store[Any] | None = None

    @staticmethod
    def new(store: StoreLike, pre: ExnRefPre, tag: Tag, fields: Sequence[Any]) -> ExnRef:
        """An exception of `tag` with these values.

        Raises `TypeError` for a tag of another type than `pre` or a wrong number of values,
        `TypeError`, `OverflowError` or `WrongStoreError` for a value not of its type, and
        `AsyncSupportError` with an async limiter; see `new_async`.
        """
        store.store.limits.check_sync()
        return ExnRef._make(store.store, pre, tag, fields)

    @staticmethod
    async def new_async(
        store: StoreLike, pre: ExnRefPre, tag: Tag, fields: Sequence[Any]
    ) -> ExnRef:
        """As `new`.  Always checkpoints."""
        await checkpoint()
        return ExnRef._make(store.store, pre, tag, fields)

    @staticmethod
    def _make(store: Store[Any], pre: ExnRefPre, tag: Tag, fields: Sequence[Any]) -> ExnRef:
        from .values import convert

        if tag.store is not store:
            raise WrongStoreError("tag comes from the wrong store")
        if pre.store is not store:
            raise WrongStoreError("object used with wrong store")
        if tag.type != pre.type:
            raise TypeError("incorrect signature for tag when creating exception object")
        types = tag.type.type.func.params
        check_count(len(types), len(fields))
        raw = tuple(
            convert(store, ty, value, "field type mismatch")
            for ty, value in zip(types, fields, strict=True)
        )
        made = ExnRef(tag, raw)
        made.store = store
        return made

    @property
    def raw(self) -> Any:
        """The raw reference; for the runtime's own use."""
        return self

    def ty(self, store: StoreLike) -> FuncType:
        """The tag's function type; its parameters are the fields."""
        claim(self, store.store)
        return self.tag.type.type.func

    def field(self, store: StoreLike, index: int) -> Any:
        """Field `index`.  `IndexError` past the last one."""
        from .values import from_raw

        claim(self, store.store)
        if not 0 <= index < len(self.fields):
            raise IndexError(f"cannot access field {index}: exn only has {len(self.fields)} fields")
        return from_raw(store.store, self.tag.type.type.func.params[index], self.fields[index])

    def get_fields(self, store: StoreLike) -> list[Any]:
        """All fields."""
        return [self.field(store, i) for i in range(len(self.fields))]

    def __repr__(self) -> str:
        return f"<ExnRef {self.tag!r}>"
