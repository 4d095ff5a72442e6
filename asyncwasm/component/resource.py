"""Resources in the host's hands: `Resource` for its own, `ResourceAny` for those of guests."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from asyncwasm.core.runtime.caller import caller_of
from asyncwasm.core.runtime.handles import check_owner
from asyncwasm.errors import CanonicalAbiError

from .abi import HandleError
from .runtime.host_table import HostEntry
from .runtime.resources import ResourceType
from .runtime.state import state_of

if TYPE_CHECKING:
    from asyncwasm.core import Store
    from asyncwasm.core.runtime.handles import StoreLike

    from .runtime.resources import ResourceImpl
    from .runtime.task import CallContext

T = TypeVar("T")

_CONSUMED = "host resource already consumed"


@final
class Resource(Generic[T]):
    """A resource that the host implements: a number of 32 bits that means something to the host.

    Owned ones are consumed when they are passed as `own`; passed as `borrow` they are lent for
    the call.  One received as `borrow` is valid for that call.  Dropping the Python object does
    nothing: whatever the number stands for is the host's to look after.  Follows Wasmtime's
    `Resource`.
    """

    __slots__ = ("_impl", "_rep", "_scope", "_taken", "_type", "lends")

    _impl: ResourceImpl | None
    _rep: int
    _type: ResourceType | None
    _scope: CallContext | None
    _taken: bool
    lends: int

    def __init__(self) -> None:
        raise TypeError("resources are made by `Resource.new_own` and `Resource.new_borrow`")

    @staticmethod
    def _make(rep: int, type: ResourceType | None, owned: bool) -> Resource[Any]:
        if not 0 <= rep < 1 << 32:
            raise OverflowError(f"a resource's representation must be in 0 … 2**32 - 1, not {rep}")
        self: Resource[Any] = object.__new__(Resource)
        self._impl = None
        self._rep = rep
        self._type = type
        self._scope = None if owned else _NEVER_ENDS
        self._taken = False
        self.lends = 0
        return self

    @staticmethod
    def new_own(rep: int, type: type[T] | ResourceType | None = None) -> Resource[T]:
        """A resource that the holder owns.  Without `type` it goes for any of the host's."""
        return Resource._make(rep, _host_type(type), True)

    @staticmethod
    def new_borrow(rep: int, type: type[T] | ResourceType | None = None) -> Resource[T]:
        """A resource that can only be lent."""
        return Resource._make(rep, _host_type(type), False)

    @staticmethod
    def received(impl: ResourceImpl, rep: int, scope: CallContext | None) -> Resource[Any]:
        """One that a guest gave, or lent for the call `scope`; for the runtime's own use."""
        self: Resource[Any] = object.__new__(Resource)
        self._impl = impl
        self._rep = rep
        self._type = impl.type
        self._scope = scope
        self._taken = False
        self.lends = 0
        return self

    @property
    def rep(self) -> int:
        """The number."""
        return self._rep

    @property
    def owned(self) -> bool:
        """Whether this is not a borrow."""
        return self._scope is None

    @property
    def type(self) -> ResourceType | None:
        """The type, if it is known."""
        return self._type

    def give(self, impl: ResourceImpl) -> int:
        """Consume it as an `own` of that type; for the runtime's own use."""
        self._check(impl)
        if self._scope is not None:
            raise CanonicalAbiError("cannot lower a `borrow` resource into an `own`")
        if self.lends:
            raise CanonicalAbiError("cannot remove owned resource while borrowed")
        self._taken = True
        return self._rep

    def lend_to(self, scope: CallContext, impl: ResourceImpl) -> int:
        """Lend it to a call as a `borrow` of that type; for the runtime's own use."""
        self._check(impl)
        if self._scope is None:
            scope.lend(self)
        return self._rep

    def take_back(self) -> None:
        """Undo `give`; for the runtime's own use."""
        self._taken = False

    def _check(self, impl: ResourceImpl) -> None:
        if self._taken:
            raise CanonicalAbiError(_CONSUMED)
        if not impl.type.is_host or (self._type is not None and not impl.type.accepts(self._type)):
            raise HandleError("resource type mismatch", self)

    def try_into_resource_any(self, store: StoreLike) -> ResourceAny:
        """The same resource as a `ResourceAny` of `store`, consuming this one.

        One that the host made has no destructor.
        """
        from .runtime.resources import ResourceImpl

        if self._taken:
            raise CanonicalAbiError(_CONSUMED)
        if self.lends:
            raise CanonicalAbiError("cannot remove owned resource while borrowed")
        impl = self._impl
        if impl is None:
            impl = ResourceImpl(self._type or ResourceType.host(object), None, None, None)
        if self._scope is None:
            self._taken = True
        elif self._scope is not _NEVER_ENDS:
            self._scope.borrows += 1
        return ResourceAny.insert(store.store, HostEntry(impl, self._rep, self._scope))

    @staticmethod
    def try_from_resource_any(resource: ResourceAny, store: StoreLike) -> Resource[Any]:
        """The inverse of `try_into_resource_any`.  Raises `TypeError` for a guest's resource."""
        return resource.try_into_resource(store)

    def drop(self, store: StoreLike) -> None:
        """Consume an owned resource; one that a guest gave has its destructor called.

        Raises as `ResourceAny.resource_drop`.
        """
        self.try_into_resource_any(store).resource_drop(store)

    async def drop_async(self, store: StoreLike) -> None:
        """As `drop`, on a fiber.  Always checkpoints."""
        await self.try_into_resource_any(store).resource_drop_async(store)

    def __repr__(self) -> str:
        state = "own" if self._scope is None else "borrow"
        return f"<Resource {state} {self._rep}{' taken' if self._taken else ''}>"


@final
class ResourceAny:
    """A resource of any type that the host holds in a store, owned or borrowed.

    Each one received has to be dropped with `resource_drop`, or given away: an owned one would
    stay in the store, and a borrow make the host function that got it fail.  As a context
    manager, `with` or `async with`, it does so unless it was given away.  Follows Wasmtime's
    `ResourceAny`.
    """

    __slots__ = ("_generation", "_index", "_owned", "_store", "_type")

    def __init__(
        self, store: Store[Any], place: tuple[int, int], type: ResourceType, owned: bool
    ) -> None:
        """For the runtime's own use."""
        self._store = store
        self._index, self._generation = place
        self._type = type
        self._owned = owned

    @staticmethod
    def insert(store: Store[Any], entry: HostEntry) -> ResourceAny:
        """Put a resource into the host's hands; for the runtime's own use."""
        place = state_of(store).host.add(entry)
        return ResourceAny(store, place, entry.impl.type, entry.scope is None)

    @property
    def ty(self) -> ResourceType:
        """The resource's type."""
        return self._type

    @property
    def owned(self) -> bool:
        """Whether this is not a borrow."""
        return self._owned

    def entry(self, store: StoreLike) -> HostEntry:
        """What the host's table has of it; for the runtime's own use."""
        check_owner(self._store, store)
        return state_of(self._store).host.get(self._index, self._generation)

    def take(self) -> HostEntry:
        """Take it out of the host's table; for the runtime's own use."""
        return state_of(self._store).host.remove(self._index, self._generation)

    def resource_drop(self, store: StoreLike) -> None:
        """Drop it: end a borrow, or call the destructor of an owned one.

        Raises `AsyncSupportError` if the store requires async, `CanonicalAbiError` if it was
        given away or is lent, `Trap` with `CANNOT_ENTER_COMPONENT` if the instance that defines
        it may not be entered (it is gone from the host's table then), and what the destructor
        ends with.
        """
        from .runtime.drop import drop_sync

        check_owner(self._store, store)
        drop_sync(self._store, caller_of(store), self)

    async def resource_drop_async(self, store: StoreLike) -> None:
        """As `resource_drop`, on a fiber, where the destructor may suspend.  Always checkpoints."""
        from .runtime.drop import drop_async

        check_owner(self._store, store)
        await drop_async(self._store, caller_of(store), self)

    def drop(self, store: StoreLike) -> None:
        """`resource_drop`."""
        self.resource_drop(store)

    async def drop_async(self, store: StoreLike) -> None:
        """`resource_drop_async`."""
        await self.resource_drop_async(store)

    def put_back(self, entry: HostEntry) -> None:
        """Undo `take`; for the runtime's own use."""
        self._index, self._generation = state_of(self._store).host.add(entry)

    def try_into_resource(self, store: StoreLike) -> Resource[Any]:
        """The same as a `Resource`, consuming this one.

        Raises `TypeError` unless the host implements its type.
        """
        entry = self.entry(store)
        if not entry.impl.type.is_host:
            raise TypeError("resource type mismatch")
        entry = self.take()
        if entry.scope is not None and entry.scope is not _NEVER_ENDS:
            entry.scope.borrows -= 1
        return Resource.received(entry.impl, entry.rep, entry.scope)

    def _gone(self) -> bool:
        try:
            self.entry(self._store)
        except CanonicalAbiError:
            return True
        return False

    def __enter__(self) -> ResourceAny:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not self._gone():
            self.resource_drop(self._store)

    async def __aenter__(self) -> ResourceAny:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not self._gone():
            await self.resource_drop_async(self._store)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResourceAny):
            return NotImplemented
        return (
            self._store is other._store
            and self._index == other._index
            and self._generation == other._generation
        )

    def __hash__(self) -> int:
        return hash((id(self._store), self._index, self._generation))

    def __repr__(self) -> str:
        return f"<ResourceAny {'own' if self._owned else 'borrow'} {self._type!r}>"


def _host_type(type: Any) -> ResourceType | None:
    if type is None or isinstance(type, ResourceType):
        return type
    return ResourceType.host(type)


def _never_ends() -> CallContext:
    from .runtime.task import CallScope

    return CallScope()


# The scope of a borrow that the host made for itself.
_NEVER_ENDS = _never_ends()
