"""WASI hosts: what a guest may reach of the world outside, and how it asks for it.

Capabilities live in `asyncwasm.wasi.host`, once, whatever WASI version asks for them; a package
for each version adapts them to its functions and error numbers.  Nothing is ambient: what a
guest was not given does not exist for it.
"""

from . import p1 as p1
from .ctx import WasiCtx as WasiCtx
from .host.clocks import FakeMonotonicClock as FakeMonotonicClock
from .host.clocks import FakeWallClock as FakeWallClock
from .host.clocks import MonotonicClock as MonotonicClock
from .host.clocks import SystemMonotonicClock as SystemMonotonicClock
from .host.clocks import SystemWallClock as SystemWallClock
from .host.clocks import WallClock as WallClock
from .host.filesystem import Directory as Directory
from .host.filesystem import FilesystemError as FilesystemError
from .host.filesystem import MemoryFilesystem as MemoryFilesystem
from .host.filesystem import Permission as Permission
from .host.filesystem import open_directory as open_directory
from .host.random import Random as Random
from .host.random import SecureRandom as SecureRandom
from .host.random import SeededRandom as SeededRandom
from .host.sockets import FakeSocket as FakeSocket
from .host.sockets import Socket as Socket
from .host.stdio import INHERIT as INHERIT
from .host.stdio import BytesOutput as BytesOutput
from .host.stdio import InputStream as InputStream
from .host.stdio import OutputStream as OutputStream
from .program import SANDBOX as SANDBOX
from .program import RunLimits as RunLimits
from .program import RunResult as RunResult
from .program import run as run

__all__ = [
    "INHERIT",
    "SANDBOX",
    "BytesOutput",
    "Directory",
    "FakeMonotonicClock",
    "FakeSocket",
    "FakeWallClock",
    "FilesystemError",
    "InputStream",
    "MemoryFilesystem",
    "MonotonicClock",
    "OutputStream",
    "Permission",
    "Random",
    "RunLimits",
    "RunResult",
    "SecureRandom",
    "SeededRandom",
    "Socket",
    "SystemMonotonicClock",
    "SystemWallClock",
    "WallClock",
    "WasiCtx",
    "open_directory",
    "run",
]
