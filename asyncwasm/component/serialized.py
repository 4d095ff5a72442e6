"""The container of `Component.serialize`: a header that must match, then the component.

A digest guards it against accidents, not attacks.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from asyncwasm._version import __version__
from asyncwasm.errors import MalformedError, UsageError

MAGIC: Final = b"\0asyncwasm-component\n"


def is_serialized(data: bytes) -> bool:
    """Whether `data` claims to be a serialized component."""
    return bytes(data[: len(MAGIC)]) == MAGIC


def pack(wasm: bytes, features: frozenset[str]) -> bytes:
    """A component in its container."""
    header = {
        "version": __version__,
        "features": sorted(features),
        "digest": hashlib.sha256(wasm).hexdigest(),
    }
    return MAGIC + json.dumps(header).encode() + b"\n" + wasm


def unpack(data: bytes, features: frozenset[str]) -> bytes:
    """The component of a container made by this version with no more features than these.

    Raises `MalformedError` when it is damaged and `UsageError` when it does not fit.
    """
    if not is_serialized(data):
        raise MalformedError("not a serialized component")
    line, found, wasm = data[len(MAGIC) :].partition(b"\n")
    try:
        header = json.loads(line)
        version, digest, needed = header["version"], header["digest"], set(header["features"])
    except (ValueError, KeyError, TypeError):
        raise MalformedError("damaged header of a serialized component") from None
    if not found or hashlib.sha256(wasm).hexdigest() != digest:
        raise MalformedError("serialized component is damaged")
    if version != __version__:
        raise UsageError(f"component was serialized by version {version}, not {__version__}")
    missing = needed - features
    if missing:
        names = ", ".join(f"`wasm_{name}`" for name in sorted(missing))
        raise UsageError(f"component was serialized with features that are off here: {names}")
    return wasm
