"""Ways out of a directory, each tried with every operation: none may reach anything outside.

Nothing outside may change (the `world` fixture looks at its content, link counts and times), and
nothing outside may be seen.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asyncwasm.wasi.host.filesystem import (
    Access,
    Directory,
    ErrorCode,
    File,
    FilesystemError,
    OpenFlags,
)
from tests.wasi.host.filesystem.conftest import OUTSIDE, SECRET, World
from tests.wasi.host.filesystem.helpers import NEW, READ_WRITE, fails, open_dir

# What the sandbox holds, beside files: name and target.  `{outside}` is its absolute path.
LINKS = {
    "up": "..",
    "up_slash": "../",
    "upup": "../..",
    "out": "../outside",
    "out_slash": "../outside/",
    "secret": "../outside/secret",
    "root_of_all": "/",
    "absolute": "{outside}",
    "absolute_secret": "{outside}/secret",
    "passwd": "/etc/passwd",
    "proc": "/proc/self/root",
    "half": "dir/../../outside",
    "dots": "./.././outside",
    "back": "../root/file",
    "dangling": "../outside/new",
    "chain1": "chain2",
    "chain2": "dir/chain3",
    "dir/chain3": "../../outside",
    "dir/deep": "../../outside",
    "via_up": "up/outside",
    "via_absolute": "absolute/secret",
    "here": ".",
    "dir/inside_up": "..",
    "dir/nested/inside_upup": "../..",
    "self": "self",
    "self_out": "self_out/../../outside",
    "many_dots": "../" * 30 + "etc/passwd",
}

PERM, NOENT = ErrorCode.PERM, ErrorCode.NOENT

# Path, and what following it fails with.
ATTACKS: list[tuple[str | bytes, ErrorCode]] = [
    # Upwards.
    ("..", PERM),
    ("../", PERM),
    ("../.", PERM),
    ("./..", PERM),
    ("../outside", PERM),
    ("../outside/secret", PERM),
    ("../root/file", PERM),
    ("../../../../../../../../../../../../etc/passwd", PERM),
    ("dir/../..", PERM),
    ("dir/../../outside/secret", PERM),
    ("dir/nested/../../../outside/secret", PERM),
    ("dir//..//..//outside//secret", PERM),
    ("dir/./.././../outside/secret", PERM),
    ("dir/nested/../../../root/dir/nested/file", PERM),
    ("./" * 2000 + "../outside/secret", PERM),
    ("dir/../" * 500 + "../outside/secret", PERM),
    ("file/../../outside/secret", ErrorCode.NOTDIR),
    ("missing/../../outside/secret", NOENT),
    # Absolute.
    ("/", PERM),
    ("//", PERM),
    ("/.", PERM),
    ("/etc/passwd", PERM),
    ("//etc/passwd", PERM),
    ("/../etc/passwd", PERM),
    ("/proc/self/root/etc/passwd", PERM),
    ("/proc/self/fd/0", PERM),
    ("/dev/fd/0", PERM),
    ("/file", PERM),
    # Links that lead outside, at the end and on the way.
    ("up", PERM),
    ("up/", PERM),
    ("up/.", PERM),
    ("up/..", PERM),
    ("up/outside/secret", PERM),
    ("up/root/file", PERM),
    ("up_slash/outside/secret", PERM),
    ("upup/etc/passwd", PERM),
    ("out", PERM),
    ("out/", PERM),
    ("out/secret", PERM),
    ("out/new", PERM),
    ("out/dir/secret", PERM),
    ("out/../outside/secret", PERM),
    ("out_slash/secret", PERM),
    ("secret", PERM),
    ("secret/", PERM),
    ("root_of_all/etc/passwd", PERM),
    ("absolute", PERM),
    ("absolute/secret", PERM),
    ("absolute_secret", PERM),
    ("passwd", PERM),
    ("proc/etc/passwd", PERM),
    ("half/secret", PERM),
    ("dots/secret", PERM),
    ("back", PERM),
    ("dangling", PERM),
    ("dangling/", PERM),
    ("chain1", PERM),
    ("chain1/secret", PERM),
    ("dir/chain3/secret", PERM),
    ("dir/deep/secret", PERM),
    ("via_up/secret", PERM),
    ("via_absolute", PERM),
    ("many_dots", PERM),
    # Links that stay inside, and then upwards.
    ("here/..", PERM),
    ("here/here/here/../outside/secret", PERM),
    ("dir/inside_up/../outside/secret", PERM),
    ("dir/nested/inside_upup/../outside/secret", PERM),
    ("dir/inside_up/dir/inside_up/out/secret", PERM),
    # Links that lead nowhere.
    ("self", ErrorCode.LOOP),
    ("self/../../outside", ErrorCode.LOOP),
    ("self_out", ErrorCode.LOOP),
    # Names that something might take for others.
    ("..\\outside\\secret", NOENT),
    ("dir\\..\\..\\outside", NOENT),
    ("C:\\", NOENT),
    ("%2e%2e/outside/secret", NOENT),
    (".. /outside/secret", NOENT),
    (".../outside/secret", NOENT),
    ("~/secret", NOENT),
    ("$HOME", NOENT),
    ("\u2024\u2024/outside/secret", NOENT),
    ("\uff0e\uff0e/outside/secret", NOENT),
    ("..\u2215outside", NOENT),
    ("file\n/../../outside", NOENT),
    # What is no path.
    ("", NOENT),
    ("file\0", ErrorCode.INVAL),
    ("\0", ErrorCode.INVAL),
    ("dir/\0/../../outside", ErrorCode.INVAL),
    ("..\0/outside", ErrorCode.INVAL),
    (b"\xc0\xae\xc0\xae/outside/secret", ErrorCode.ILSEQ),
    (b"..\xc0\xafoutside", ErrorCode.ILSEQ),
    (b"\xe0\x80\xae./outside", ErrorCode.ILSEQ),
    (b"\xff\xfe", ErrorCode.ILSEQ),
    (b"\xed\xa0\x80", ErrorCode.ILSEQ),
    ("\udcff/../../outside", ErrorCode.ILSEQ),
    ("x" * 256, ErrorCode.NAMETOOLONG),
    ("x" * 256 + "/../../outside", ErrorCode.NAMETOOLONG),
    ("ü" * 128, ErrorCode.NAMETOOLONG),
    ("dir/../" * 600 + "../outside", ErrorCode.NAMETOOLONG),
    ("x/" * 100_000, ErrorCode.NAMETOOLONG),
]


def build(world: World) -> None:
    world.clear()
    world.mkdir("root/dir/nested")
    for path in ("file", "dir/file", "dir/nested/file"):
        world.write("root/" + path, b"inside")
    outside = str(world.top / "outside") if hasattr(world, "top") else "/outside"
    for path, target in LINKS.items():
        world.symlink(target.format(outside=outside), "root/" + path)


Operation = Callable[[Directory, str | bytes], object]


def _open(**options: object) -> Operation:
    return lambda directory, path: directory.open_at(path, **options)  # type: ignore[arg-type]


OPERATIONS: dict[str, Operation] = {
    "open": _open(),
    "open and follow": _open(follow=True),
    "open for nothing": _open(access=Access(0), follow=True),
    "open a directory": _open(open_flags=OpenFlags.DIRECTORY, follow=True),
    "create": _open(open_flags=OpenFlags.CREATE, access=READ_WRITE),
    "create and follow": _open(open_flags=OpenFlags.CREATE, access=READ_WRITE, follow=True),
    "create exclusively": _open(open_flags=NEW, access=READ_WRITE),
    "create exclusively and follow": _open(open_flags=NEW, access=READ_WRITE, follow=True),
    "truncate": _open(open_flags=OpenFlags.TRUNCATE, follow=True),
    "write": _open(access=READ_WRITE, follow=True),
    "stat": lambda d, path: d.stat_at(path),
    "stat and follow": lambda d, path: d.stat_at(path, follow=True),
    "set times": lambda d, path: d.set_times_at(path, 1, 1),
    "set times and follow": lambda d, path: d.set_times_at(path, 1, 1, follow=True),
    "read link": lambda d, path: d.read_link_at(path),
    "make directory": lambda d, path: d.create_directory_at(path),
    "remove directory": lambda d, path: d.remove_directory_at(path),
    "unlink": lambda d, path: d.unlink_file_at(path),
    "symlink": lambda d, path: d.symlink_at("file", path),
    "link from": lambda d, path: d.link_at(path, d, "new"),
    "link from and follow": lambda d, path: d.link_at(path, d, "new", follow=True),
    "link to": lambda d, path: d.link_at("file", d, path),
    "link over": lambda d, path: d.link_at("dir/file", d, path),
    "rename from": lambda d, path: d.rename_at(path, d, "new"),
    "rename file to": lambda d, path: d.rename_at("file", d, path),
    "rename directory to": lambda d, path: d.rename_at("dir", d, path),
    "rename link to": lambda d, path: d.rename_at("out", d, path),
}


def outside_files(world: World) -> set[int]:
    found = set()
    with world.at(".") as top:
        for path in (".", "outside", *(f"outside/{name}" for name in OUTSIDE)):
            found.add(top.stat_at(path).inode)
    return found


def short(value: object) -> str:
    text = ascii(value) if isinstance(value, (str, bytes)) else getattr(value, "name", "")
    return text if len(text) < 50 else f"{text[:20]}...{text[-20:]}"


def test_there_are_enough_of_them():
    assert len({path for path, _ in ATTACKS}) == len(ATTACKS) > 40


@pytest.mark.parametrize(("path", "code"), ATTACKS, ids=short)
def test_following_leads_nowhere(world, path, code):
    build(world)
    directory = world.directory
    before = world.inside()
    for operation in (
        "open and follow",
        "open for nothing",
        "write",
        "truncate",
        "stat and follow",
        "set times and follow",
        "link from and follow",
    ):
        with fails(code):
            OPERATIONS[operation](directory, path)
    assert world.inside() == before


@pytest.mark.parametrize("path", [path for path, _ in ATTACKS], ids=short)
def test_nothing_outside_is_reached(world, path):
    build(world)
    outside = outside_files(world)
    for name, operation in OPERATIONS.items():
        try:
            result = operation(world.directory, path)
        except FilesystemError:
            continue
        if isinstance(result, (Directory, File)):
            with result:
                assert result.stat().inode not in outside, name
                if isinstance(result, File) and Access.READ in result.access:
                    assert SECRET not in result.read(100)
        elif hasattr(result, "inode"):
            assert result.inode not in outside, name
        world.check_outside()
        build(world)


def test_opened_directories_are_roots_of_their_own(world):
    """Where the way would be allowed from the parent, it is not from the child."""
    build(world)
    paths = ["..", "../file", "../dir/file", "nested/../..", "inside_up", "inside_up/file"]
    with open_dir(world.directory, "dir") as inner:
        for path in paths:
            world.directory.stat_at("dir/" + path, follow=True)
            for operation in ("stat and follow", "open and follow", "write"):
                with fails(PERM):
                    OPERATIONS[operation](inner, path)


def test_a_moved_directory_does_not_take_its_guest_along(world):
    """`..` is never asked of the system, where it means whatever it means by then."""
    build(world)
    world.mkdir("root/a/b")
    with (
        open_dir(world.directory, "a/b") as inner,
        world.at(".") as top,
    ):
        top.rename_at("root/a/b", top, "root/b")
        for path in ("..", "../file", "../b"):
            with fails(PERM):
                inner.stat_at(path)


def test_links_made_by_the_guest_itself(world):
    directory = world.directory
    for target in ("..", "../outside", "../outside/secret", "x/../../outside/secret", "../" * 50):
        directory.symlink_at(target, "link")
        directory.create_directory_at("x")
        for options in (
            {},
            {"access": Access.WRITE},
            {"open_flags": OpenFlags.TRUNCATE},
            {"open_flags": OpenFlags.CREATE},
        ):
            with fails(PERM):
                directory.open_at("link", follow=True, **options)
            with fails(PERM):
                directory.open_at("link/secret", **options)
        with fails(PERM):
            directory.readdir() and directory.open_at("link/")
        directory.unlink_file_at("link")
        directory.remove_directory_at("x")
    # Whether a link is made before what it leads through, or after, is all the same.
    directory.symlink_at("x/secret", "link")
    directory.symlink_at("../outside", "x")
    with fails(PERM):
        directory.open_at("link", follow=True)


def test_moving_a_link_does_not_change_what_it_may_reach(world):
    """`../file` is inside in one directory, and outside in another."""
    build(world)
    directory = world.directory
    directory.symlink_at("../file", "dir/link")
    assert directory.stat_at("dir/link", follow=True) == directory.stat_at("file")
    directory.rename_at("dir/link", directory, "link")
    with fails(PERM):
        directory.stat_at("link", follow=True)
    directory.symlink_at("nested/../../file", "dir/other")
    directory.rename_at("dir/nested", directory, "nested")
    with fails(NOENT):
        directory.stat_at("dir/other", follow=True)


def test_hard_links_to_links_that_lead_outside(world):
    build(world)
    directory = world.directory
    directory.link_at("secret", directory, "hard")
    with fails(PERM):
        directory.open_at("hard", follow=True)
    with fails(PERM):
        directory.link_at("secret", directory, "hard2", follow=True)


def test_where_host_files_lie_is_not_told(world):
    build(world)
    for path in ("absolute", "absolute_secret", "passwd", "proc", "root_of_all"):
        with fails(PERM):
            world.directory.read_link_at(path)
    assert world.directory.read_link_at("out") == "../outside"
    # Nor what is above.
    entries = {entry.name: entry.inode for entry in world.directory.readdir()}
    assert entries[".."] == entries["."]
