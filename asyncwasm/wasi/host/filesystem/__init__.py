"""Files and directories as capabilities: by descriptor, with permissions, never by host path.

`open_directory` opens a directory of the host, `MemoryFilesystem` makes one of nothing; both give
a `Directory`, through which everything else is reached.  Its guarantees are the same for both,
since the walking, the checks and the meaning of paths are (`_walk`, `_directory`); what differs
are single steps (`_place`) and the files themselves.

Everything is synchronous and blocks its thread.
"""

from ._directory import Directory as Directory
from ._errors import ErrorCode as ErrorCode
from ._errors import FilesystemError as FilesystemError
from ._file import File as File
from ._open import open_directory as open_directory
from ._types import MAX_TRANSFER as MAX_TRANSFER
from ._types import Access as Access
from ._types import Advice as Advice
from ._types import DirectoryEntry as DirectoryEntry
from ._types import FileFlags as FileFlags
from ._types import FileType as FileType
from ._types import Metadata as Metadata
from ._types import NewTime as NewTime
from ._types import OpenFlags as OpenFlags
from ._types import Permission as Permission
from ._types import SetTime as SetTime
from ._types import Whence as Whence
from .memory._filesystem import MemoryFilesystem as MemoryFilesystem
from .memory._filesystem import Symlink as Symlink
from .memory._filesystem import Tree as Tree

__all__ = [
    "MAX_TRANSFER",
    "Access",
    "Advice",
    "Directory",
    "DirectoryEntry",
    "ErrorCode",
    "File",
    "FileFlags",
    "FileType",
    "FilesystemError",
    "MemoryFilesystem",
    "Metadata",
    "NewTime",
    "OpenFlags",
    "Permission",
    "SetTime",
    "Symlink",
    "Tree",
    "Whence",
    "open_directory",
]
