"""The container of `Module.serialize` and its kin: a header that must match, the binary, its code.

Loading a module skips validation and runs the machine code, so the header carries a digest against
accidents, not attacks: what was serialized is to be trusted like code.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, final

from asyncwasm._version import __version__
from asyncwasm.errors import MalformedError, UsageError

_MAGIC: Final = re.compile(rb"\0asyncwasm-([a-z]+)\n")


def kind_of(data: bytes) -> str | None:
    """What `data` claims to be the container of: `"module"` or another kind; None for neither."""
    found = _MAGIC.match(bytes(data[:64]))
    return None if found is None else found[1].decode()


def is_serialized(data: bytes) -> bool:
    """Whether `data` claims to be a container of any kind."""
    return kind_of(data) is not None


@final
class Container:
    """Containers of one kind of thing."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def pack(self, wasm: bytes, features: frozenset[str], code: bytes = b"") -> bytes:
        """A validated binary in its container, with machine code in the form of an executor's."""
        content = wasm + code
        header = {
            "version": __version__,
            "features": sorted(features),
            "size": len(wasm),
            "digest": hashlib.sha256(content).hexdigest(),
        }
        magic = f"\0asyncwasm-{self._kind}\n"
        return magic.encode() + json.dumps(header).encode() + b"\n" + content

    def unpack(self, data: bytes, features: frozenset[str]) -> tuple[bytes, bytes]:
        """The binary and the code of a container made by this version with no more features.

        Raises `MalformedError` when it is damaged and `UsageError` when it does not fit.
        """
        kind = self._kind
        if kind_of(data) != kind:
            raise MalformedError(f"not a serialized {kind}")
        _, _, rest = data.partition(b"\n")
        line, found, content = rest.partition(b"\n")
        try:
            header = json.loads(line)
            version, digest, needed = header["version"], header["digest"], set(header["features"])
            size = int(header.get("size", len(content)))
        except (ValueError, KeyError, TypeError):
            raise MalformedError(f"damaged header of a serialized {kind}") from None
        if not found or hashlib.sha256(content).hexdigest() != digest:
            raise MalformedError(f"serialized {kind} is damaged")
        if version != __version__:
            raise UsageError(f"{kind} was serialized by version {version}, not {__version__}")
        missing = needed - features
        if missing:
            names = ", ".join(f"`wasm_{name}`" for name in sorted(missing))
            raise UsageError(f"{kind} was serialized with features that are off here: {names}")
        return content[:size], content[size:]
