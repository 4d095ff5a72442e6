"""Resource types, and what there is to know of one at run time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from asyncwasm.core import Func

    from .instance import ComponentInstance


@final
class ResourceType:
    """The identity of a resource type.  Follows Wasmtime's `ResourceType`.

    `ResourceType.host(cls)` is a resource that the host implements, known by a Python class (or
    any other hashable object), `host_dynamic(number)` one known by a number.  Those that guests
    define are made by instantiation, and are equal to nothing but themselves.
    """

    __slots__ = ("_key", "_kind")

    def __init__(self, kind: str, key: Hashable) -> None:
        """For the runtime's own use; see `host` and `host_dynamic`."""
        self._kind = kind
        self._key = key

    @staticmethod
    def host(type: Hashable) -> ResourceType:
        """A resource type of the host; two of them are the same if their `type`s are equal."""
        return ResourceType("host", type)

    @staticmethod
    def host_dynamic(number: int) -> ResourceType:
        """A resource type of the host by number, never equal to one of `host`."""
        return ResourceType("dynamic", number)

    @property
    def is_host(self) -> bool:
        """Whether the host implements it."""
        return self._kind in ("host", "dynamic")

    @property
    def key(self) -> Hashable:
        """What was given to `host` or `host_dynamic`; for other types, an opaque identity."""
        return self._key

    def accepts(self, other: ResourceType) -> bool:
        """Whether a resource of type `other` may stand where this is asked for.

        It may if the types are equal, or those of the host for a class and its subclass.
        """
        if self is other or self == other:
            return True
        return (
            self._kind == other._kind == "host"
            and isinstance(self._key, type)
            and isinstance(other._key, type)
            and issubclass(other._key, self._key)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResourceType):
            return NotImplemented
        return self is other or (self._kind == other._kind and self._key == other._key)

    def __hash__(self) -> int:
        return hash((self._kind, self._key))

    def __repr__(self) -> str:
        name = self._key.__qualname__ if isinstance(self._key, type) else repr(self._key)
        return f"<ResourceType {self._kind} {name}>"


@final
class Identity:
    """The key of a resource type that a guest defines, or that a component's type mentions."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name or hex(id(self))


@final
class ResourceImpl:
    """A resource type of an instance, with who implements it.

    `instance` is the component instance that defines it, None for the host.  `destructor` is its
    core function, `host_destructor` the host's: a callable on raw values.
    """

    __slots__ = ("destructor", "host_destructor", "instance", "type")

    def __init__(
        self,
        type: ResourceType,
        instance: ComponentInstance | None,
        destructor: Func | None,
        host_destructor: Callable[[int], Any] | None,
    ) -> None:
        self.type = type
        self.instance = instance
        self.destructor = destructor
        self.host_destructor = host_destructor
