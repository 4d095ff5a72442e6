"""What an engine for guest code has to offer: the one interface the runtime uses."""

from __future__ import annotations

from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncwasm.core.runtime.func import Func
    from asyncwasm.core.runtime.instance import Instance
    from asyncwasm.errors import Trap


class Executor(Protocol):
    """Runs guest functions.  One per `Engine`; holds no state of any store or instance."""

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

    def classify(self, error: BaseException, traceback: TracebackType | None) -> Trap | None:
        """The trap that an implicit Python exception means, or None if it is not the guest's.

        Only an exception raised by generated code itself, or by a helper of the engine that it
        called, counts; never one out of a host function.
        """
