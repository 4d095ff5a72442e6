"""How far the C stack of the current thread goes."""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Final

# What host functions, the interpreter and frames of native code themselves may use below the
# guest's limit; half of the stack where that is smaller.
RESERVE: Final = 256 * 1024

_local = threading.local()


def lowest_address() -> int:
    """The lowest address that guest frames of this thread may reach.

    Raises `OSError` or `AttributeError` where the system does not say.
    """
    found: int | None = getattr(_local, "lowest", None)
    if found is None:
        base, size = _darwin() if sys.platform == "darwin" else _posix()
        found = _local.lowest = base + min(RESERVE, size // 2)
    return found


def _posix() -> tuple[int, int]:
    libc = ctypes.CDLL(None)
    # Larger than any system's `pthread_attr_t`.
    attributes = ctypes.create_string_buffer(256)
    base, size = ctypes.c_void_p(), ctypes.c_size_t()
    libc.pthread_self.restype = ctypes.c_void_p
    if libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes):
        raise OSError("pthread_getattr_np failed")
    failed = libc.pthread_attr_getstack(attributes, ctypes.byref(base), ctypes.byref(size))
    libc.pthread_attr_destroy(attributes)
    if failed or base.value is None:
        raise OSError("pthread_attr_getstack failed")
    return base.value, size.value


def _darwin() -> tuple[int, int]:
    libc = ctypes.CDLL(None)
    libc.pthread_self.restype = ctypes.c_void_p
    libc.pthread_get_stackaddr_np.restype = ctypes.c_void_p
    libc.pthread_get_stacksize_np.restype = ctypes.c_size_t
    thread = ctypes.c_void_p(libc.pthread_self())
    # The address is the stack's upper end.
    size = int(libc.pthread_get_stacksize_np(thread))
    return int(libc.pthread_get_stackaddr_np(thread)) - size, size
