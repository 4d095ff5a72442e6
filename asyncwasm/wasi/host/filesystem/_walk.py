"""From a path to a place and a name in it, without ever being anywhere outside.

A walk holds every directory between the root and where it is.  `..` goes back to the one it came
from, whatever that is called by now and wherever it has been moved; at the root it fails.  Links
are read and walked like any other part of the path, so theirs are the same rules.  Nothing
depends on a path still meaning what it meant a step ago: a rename or a swapped link can make a
walk fail or end elsewhere inside, not outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ._errors import ErrorCode, FilesystemError
from ._paths import HERE, UP, Path, split
from ._types import FileType

if TYPE_CHECKING:
    from ._place import Place
    from ._types import Metadata

MAX_EXPANSIONS: Final = 40
"""Links followed on one walk, as on Linux."""

MAX_DEPTH: Final = 128
"""Directories held open by one walk, so that a path cannot use up the host's descriptors."""


class Spot:
    """Where a path leads: a name in a place, whether or not there is something of that name."""

    __slots__ = ("_found", "_known", "directory", "name", "place", "through_link")

    def __init__(
        self,
        place: Place,
        name: bytes,
        *,
        directory: bool,
        through_link: bool,
    ) -> None:
        self.place: Final = place
        # `.` if the path leads to the place itself.
        self.name: Final = name
        # The path ended with a slash.
        self.directory: Final = directory
        # The path's last part was a link, and was followed.
        self.through_link: Final = through_link
        self._known = False
        self._found: Metadata | None = None

    @property
    def is_place(self) -> bool:
        return self.name == HERE

    def find(self) -> Metadata | None:
        """What is there; looked up once."""
        if not self._known:
            self._found = self.place.find(self.name)
            self._known = True
        return self._found

    @property
    def is_link(self) -> bool:
        found = self.find()
        return found is not None and found.type is FileType.SYMBOLIC_LINK

    def require(self) -> Metadata:
        """What is there, which has to be a directory if the path says so."""
        found = self.find()
        if found is None:
            raise FilesystemError(ErrorCode.NOENT)
        if self.directory and found.type is not FileType.DIRECTORY:
            raise FilesystemError(ErrorCode.NOTDIR)
        return found


@contextmanager
def locate(root: Place, path: Path, *, follow: bool) -> Iterator[Spot]:
    """Walk from `root` along `path`; what was opened on the way stays open within the block.

    The last part is followed if it is a link and `follow` is set, or if the path ends with a
    slash.  Then the spot is no link, unless it has just become one.
    """
    walk = _Walk(root)
    try:
        yield walk.shortcut(path, follow=follow) or walk.run(path, follow=follow)
    finally:
        walk.close()


class _Walk:
    __slots__ = ("_expansions", "_root", "_trail")

    def __init__(self, root: Place) -> None:
        self._root: Final = root
        self._trail: Final[list[Place]] = []
        self._expansions = 0

    @property
    def _here(self) -> Place:
        return self._trail[-1] if self._trail else self._root

    def close(self) -> None:
        while self._trail:
            self._trail.pop().close()

    def shortcut(self, path: Path, *, follow: bool) -> Spot | None:
        """Let the system walk all but the last part.  None if that does not do."""
        *parents, name = path.parts
        if name in (HERE, UP):
            parents, name = [*path.parts], HERE
        if not parents:
            return None
        place = self._root.shortcut(tuple(parents))
        if place is None:
            return None
        self._trail.append(place)
        spot = Spot(place, name, directory=path.directory, through_link=False)
        if (follow or path.directory) and spot.is_link:
            # Its target may say `..`, and the way here is not known.
            self.close()
            return None
        return spot

    def run(self, path: Path, *, follow: bool) -> Spot:
        pending = [*reversed(path.parts)]
        directory = path.directory
        through_link = False
        while pending:
            name = pending.pop()
            if name == HERE:
                continue
            if name == UP:
                if not self._trail:
                    raise FilesystemError(ErrorCode.PERM, "path leads outside its directory")
                self._trail.pop().close()
            elif pending:
                self._enter(name, pending)
            else:
                spot = Spot(self._here, name, directory=directory, through_link=through_link)
                if not ((follow or directory) and spot.is_link):
                    return spot
                target = self._expand(name, pending)
                # From here on, what the path leads to is somewhere else than it says.
                follow = through_link = True
                directory = directory or target.endswith(b"/")
        return Spot(self._here, HERE, directory=directory, through_link=through_link)

    def _enter(self, name: bytes, pending: list[bytes]) -> None:
        """Go into a directory, or put the target of what is a link instead before the rest."""
        if len(self._trail) == MAX_DEPTH:
            raise FilesystemError(ErrorCode.NAMETOOLONG, "too many directories in path")
        try:
            self._trail.append(self._here.enter(name))
        except FilesystemError as error:
            if error.code not in (ErrorCode.NOTDIR, ErrorCode.LOOP):
                raise
            kind = self._here.stat(name).type
            if kind not in (FileType.SYMBOLIC_LINK, FileType.DIRECTORY):
                raise FilesystemError(ErrorCode.NOTDIR) from error
            self._expand(name, pending)

    def _expand(self, name: bytes, pending: list[bytes]) -> bytes:
        """Put a link's target before the rest; its name again if it is no link any more."""
        self._expansions += 1
        if self._expansions > MAX_EXPANSIONS:
            raise FilesystemError(ErrorCode.LOOP)
        try:
            target = self._here.read_link(name)
        except FilesystemError as error:
            if error.code is not ErrorCode.INVAL:
                raise
            target = name
        if target.startswith(b"/"):
            raise FilesystemError(ErrorCode.PERM, "link leads outside its directory")
        pending.extend(reversed(split(target).parts))
        return target
