"""The global names of generated code, and what they are bound to for an instance.

Generated functions share one dictionary of globals per instance, `Instance.namespace`.  While a
function is translated, every name that its code uses is noted as a `Binding`; before its code
runs for an instance, the missing ones are put into the namespace.  Names are the same in all
instances of a module:

    f7  callable of function 7        r7  its raw entry (may return a tail call)
    m0  Memory 0                      e0  the list of table 0's elements
    g3  Global 3                      c3  the value of the immutable global 3
    w0  Table 0                       x1  Tag 1
    q7  Func 7, as a reference        k5  the module's constant number 5
    single, double  cells in which numbers change their form
    h_… helpers and reference functions of ours
    instance, store, interrupt, fuel, poll
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Binding(NamedTuple):
    """A name and what it stands for: `kind` says how `value` is to be taken.

    Kinds: `value` (the object itself) and the index spaces and singletons of an instance, for
    which `value` is the index or None.
    """

    name: str
    kind: str
    value: Any


class Constants:
    """The objects that a module's generated code refers to, each under one name."""

    __slots__ = ("_names", "_taken")

    def __init__(self) -> None:
        # Keyed by identity; the value keeps the object alive, so an identity is never reused.
        self._names: dict[int, tuple[str, object]] = {}
        self._taken: set[str] = set()

    def name(self, value: object, hint: str = "k") -> str:
        """The name of `value`: `hint`, with a number if that is not distinctive."""
        found = self._names.get(id(value))
        if found is None:
            name = (
                hint if len(hint) > 1 and hint not in self._taken else f"{hint}{len(self._names)}"
            )
            self._taken.add(name)
            found = self._names[id(value)] = (name, value)
        return found[0]


class Names:
    """Collects the bindings that one function needs; each method returns the name."""

    __slots__ = ("_constants", "bindings")

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self.bindings: dict[str, Binding] = {}

    def _bind(self, name: str, kind: str, value: Any) -> str:
        self.bindings[name] = Binding(name, kind, value)
        return name

    def indexed(self, kind: str, prefix: str, index: int) -> str:
        return self._bind(f"{prefix}{index}", kind, index)

    def singleton(self, kind: str) -> str:
        return self._bind(kind, kind, None)

    def helper(self, function: Callable[..., Any]) -> str:
        """A function of ours."""
        hint = f"h_{getattr(function, '__name__', 'function')}"
        return self._bind(self._constants.name(function, hint), "value", function)

    def named(self, name: str, value: object) -> str:
        """A well-known object under a name of its own."""
        return self._bind(name, "value", value)

    def constant(self, value: object) -> str:
        return self._bind(self._constants.name(value), "value", value)


def _memory(instance: Any, index: Any) -> Any:
    memory = instance.memories[index]
    memory.widen()
    return memory


# What a binding stands for in an instance; callables of functions are the engine's business.
RESOLVERS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "value": lambda instance, value: value,
    "memory": _memory,
    "table": lambda instance, index: instance.tables[index],
    "elements": lambda instance, index: instance.tables[index].elements,
    "global": lambda instance, index: instance.globals[index],
    "global_value": lambda instance, index: instance.globals[index].value,
    "tag": lambda instance, index: instance.tags[index],
    "ref": lambda instance, index: instance.func(index),
    # Cells are the instance's own: a store belongs to one thread.
    "single": lambda instance, _: memoryview(bytearray(4)).cast("f"),
    "instance": lambda instance, _: instance,
    "store": lambda instance, _: instance.store,
    "interrupt": lambda instance, _: instance.store.interrupt,
    "fuel": lambda instance, _: instance.store.fuel,
    "poll": lambda instance, _: instance.store.poll,
}
