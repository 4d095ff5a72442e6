"""Buffers in the memories of guests.  See "Buffer State" in `CanonicalABI.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from asyncwasm.errors import CanonicalAbiError

from ..abi.layout import alignment, size
from ..runtime.context import Context, GuestContext, HostContext
from ..runtime.options import abi_options, adapter_options
from ..types import ValType
from .copying import NUMBERS

if TYPE_CHECKING:
    from ..compile.program import Options
    from ..runtime.instance import ComponentInstance


@final
class GuestBuffer:
    """Elements in a row in the memory of an instance; `element` as its program knows it."""

    __slots__ = ("_at", "_element", "_options", "_size", "length", "owner", "progress")

    def __init__(
        self,
        instance: ComponentInstance,
        options: Options,
        element: ValType | None,
        pointer: int,
        length: int,
        *,
        writing: bool,
    ) -> None:
        """Raises `CanonicalAbiError` if it is misaligned or out of bounds.

        `writing` says that the guest writes to the stream or future, for messages.
        """
        self.owner = instance
        self.length = length
        self.progress = 0
        self._options = options
        self._element = element
        self._at = pointer
        self._size = 0
        if element is not None and length:
            pointer_size = 8 if options.memory64 else 4
            self._size = size(element, pointer_size)
            verb = "write" if writing else "read"
            if pointer & (alignment(element, pointer_size) - 1):
                raise CanonicalAbiError(f"{verb} pointer not aligned")
            if pointer + length * self._size > self._memory().size_bytes:
                raise CanonicalAbiError(f"{verb} pointer out of bounds of memory")

    def _memory(self) -> Any:
        assert self._options.memory is not None
        return self.owner.data.memories[self._options.memory]

    def _context(self, guest: bool) -> Context:
        # Elements contain no borrows: there is no call that they could belong to.
        kind = GuestContext if guest else HostContext
        return kind(self.owner, self._options, None)

    def read(self, count: int, target: object | None) -> Any:
        """Take `count` elements, for another guest or, where `target` is None, for the host."""
        element = self._element
        if element is None:
            return [None] * count
        abi, options = self.owner.data.component.abi, self._options
        static = abi_options(options) if target is None else adapter_options(options, options)
        load = abi.load_list(element, static)
        values = load(self._context(target is not None), self._at, count)
        self._at += count * self._size
        return values

    def write(self, elements: Any, count: int, source: object | None) -> None:
        """Put `count` elements that another guest gave, or the host where `source` is None."""
        element = self._element
        if element is None:
            return
        abi, options = self.owner.data.component.abi, self._options
        static = abi_options(options) if source is None else adapter_options(options, options)
        store = abi.store_list(element, static)
        store(self._context(source is not None), elements, self._at)
        self._at += count * self._size

    def copy_from(self, source: object, count: int) -> bool:
        """Copy `count` numbers from memory to memory; false if that is not what it takes."""
        if not isinstance(source, GuestBuffer) or self._element not in NUMBERS:
            return self._element is None and isinstance(source, GuestBuffer)
        length = count * self._size
        target = self._memory().view[self._at : self._at + length]
        target[:] = source._memory().view[source._at : source._at + length]
        self._at += length
        source._at += length
        return True
