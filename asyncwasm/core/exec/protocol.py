"""What an engine for guest code has to offer: the one interface the runtime uses."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from array import array

    from asyncwasm.core.runtime.func import Func
    from asyncwasm.core.runtime.instance import Instance
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.runtime.store import Store
    from asyncwasm.errors import Trap


class Statistics:
    """What an executor counts, over all its modules; see `Engine.statistics`."""

    def __init__(self) -> None:
        self.functions = 0
        self.optimised = 0
        self.recalled = 0
        self.units = 0
        self.seconds = 0.0
        self.interpreted: dict[str, int] = {}
        self.replaced = 0
        self.stuck: dict[str, int] = {}


class Executor(Protocol):
    """Runs guest functions.  One per `Engine`; holds no state of any store or instance."""

    @property
    def statistics(self) -> Statistics:
        """What was compiled so far."""

    def was_validated(self, data: bytes) -> bool:
        """Whether it is known of this binary that it is valid."""

    def packed(self, module: Module, *, complete: bool) -> bytes:
        """The machine code of a module, for `adopt`, in other processes too; empty without any.

        If `complete`, functions that have none yet are compiled first.
        """

    def adopt(self, module: Module, packed: bytes) -> None:
        """Use what `packed` gave, if it fits; else functions are compiled when they are called."""

    def prepare(self, instance: Instance) -> None:
        """Make a new instance ready, once its index spaces are complete.

        Nothing runs and nothing is translated yet; initialisers come after this.
        """

    def link(self, func: Func) -> None:
        """Give a function that the instance's module defines its `fn` and `raw`.

        They take and give raw values; the body is translated when it is first called, and may
        raise `ValidationError` then if validation was put off.
        """

    def locate(
        self, namespace: dict[str, Any], code: CodeType, line: int
    ) -> tuple[int, int | None] | None:
        """Which function and module offset a Python frame stands for.

        `namespace` and `code` are the frame's globals and code, `line` its current line.  None
        if it is not a frame of a guest function; an offset of None if it cannot be told.
        """

    def new_flag(self, words: array[int]) -> Any:
        """A store's interrupt flag, for guest code to look at: one item, 0 for quiet.

        `words` is the store's state for native code; see `runtime.words`.
        """

    def new_fuel(self) -> Any:
        """A store's counter of active fuel: one item, 0 at first, that guest code counts down."""

    def call_started(self, store: Store[Any]) -> None:
        """An outermost call of a store starts: guest code may look at its flag from now on."""

    def call_ended(self, store: Store[Any]) -> None:
        """No call of a store is in progress any more.  Doing so again changes nothing."""

    def bind_thread(self, store: Store[Any]) -> None:
        """A store belongs to the current thread from now on."""

    def instance_of(self, code: CodeType) -> Instance | None:
        """The instance that a Python frame of this code belongs to, where its globals do not
        say it.
        """

    def classify(self, error: BaseException, traceback: TracebackType | None) -> Trap | None:
        """The trap that an implicit Python exception means, or None if it is not the guest's.

        Only an exception raised by generated code itself, or by a helper of the engine that it
        called, counts; never one out of a host function.
        """


class Portable(Executor, Protocol):
    """An executor for every function, which another one has behind it."""

    def make(self, func: Func) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The `fn` and `raw` that run `func` here.  Raises `ValidationError` and `Trap`."""

    def install(self, func: Func, fn: Callable[..., Any], raw: Callable[..., Any]) -> None:
        """Give `func` these, and the code of its own instance that has older ones."""
