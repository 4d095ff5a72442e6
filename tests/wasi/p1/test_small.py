"""Arguments, environment, clocks, random bytes, the end; and the older ABI."""

from __future__ import annotations

import struct

import pytest

from asyncwasm import Engine, Linker, Module, Store, UsageError
from asyncwasm.errors import ExitTrap, LinkError, ResourceLimitError
from asyncwasm.wasi import FakeMonotonicClock, FakeWallClock, SeededRandom, WasiCtx, p1
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.linking import FUNCTIONS
from asyncwasm.wasi.p1.random import MAX_RANDOM
from tests.wasi.p1.guest import BUFFER, OUT, module

pytestmark = pytest.mark.anyio


async def test_arguments(make_guest):
    guest = await make_guest(args=["prog", "", "añb"]).start()
    assert await guest("args_sizes_get", OUT, OUT + 4) == Errno.SUCCESS
    assert guest.unpack("<II") == (3, 11)
    assert await guest("args_get", OUT, BUFFER) == Errno.SUCCESS
    assert guest.unpack("<III") == (BUFFER, BUFFER + 5, BUFFER + 6)
    assert guest.read(BUFFER, 11) == "prog\0\0añb\0".encode()


async def test_environment(make_guest):
    guest = await make_guest(env={"A": "1", "B": "x=y"}).start()
    assert await guest("environ_sizes_get", OUT, OUT + 4) == Errno.SUCCESS
    assert guest.unpack("<II") == (2, 10)
    assert await guest("environ_get", OUT, BUFFER) == Errno.SUCCESS
    assert guest.read(BUFFER, 10) == b"A=1\0B=x=y\0"
    guest = await make_guest(env=[("A", "1"), ("A", "2")]).start()
    assert await guest("environ_sizes_get", OUT, OUT + 4) == Errno.SUCCESS
    assert guest.unpack("<II") == (2, 8)


async def test_nothing_is_ambient(make_guest, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    guest = await make_guest().start()
    for name in ("args_sizes_get", "environ_sizes_get"):
        assert await guest(name, OUT, OUT + 4) == Errno.SUCCESS
        assert guest.unpack("<II") == (0, 0)
    assert await guest.read_fd(0, 10) == b""
    assert await guest("fd_prestat_get", 3, OUT) == Errno.BADF
    assert await guest.open("x", fd=3) == Errno.BADF


@pytest.mark.parametrize(
    "options",
    [{"args": ["a\0"]}, {"env": {"A": "\0"}}, {"env": {"": "x"}}, {"env": {"A=B": "x"}}],
)
def test_strings_that_cannot_be(options):
    with pytest.raises(ValueError):
        WasiCtx(**options)


def test_directories_that_cannot_be_opened(tmp_path, filesystem):
    with filesystem.root() as root:
        with pytest.raises(OSError):
            WasiCtx(preopens={"/a": root, "/b": tmp_path / "none"})
        assert not root.closed


async def test_clocks(make_guest):
    guest = await make_guest(
        wall_clock=FakeWallClock(2**63, 1000), monotonic_clock=FakeMonotonicClock(77, 3)
    ).start()
    for clock, time, resolution in ((0, 2**63, 1000), (1, 77, 3)):
        assert await guest("clock_time_get", clock, 0, OUT) == Errno.SUCCESS
        assert guest.u64() == time
        assert await guest("clock_res_get", clock, OUT) == Errno.SUCCESS
        assert guest.u64() == resolution
    for clock, error in ((2, Errno.BADF), (3, Errno.BADF), (4, Errno.INVAL)):
        assert await guest("clock_time_get", clock, 0, OUT) == error
        assert await guest("clock_res_get", clock, OUT) == error


async def test_random(make_guest):
    guest = await make_guest(random=SeededRandom(1)).start()
    assert await guest("random_get", BUFFER, 32) == Errno.SUCCESS
    assert guest.read(BUFFER, 33) == SeededRandom(1).get_bytes(32) + b"\0"
    assert await guest("random_get", BUFFER, 0) == Errno.SUCCESS


async def test_random_is_limited(make_guest):
    guest = await make_guest().start()
    await guest.instance_memory.grow_async(guest.store, MAX_RANDOM // 65536)
    assert await guest("random_get", 0, 3 << 20) == Errno.SUCCESS
    with pytest.raises(ResourceLimitError, match="random bytes"):
        await guest("random_get", 0, MAX_RANDOM + 1)


@pytest.mark.parametrize("code", [0, 1, 125, 255, 0xFFFF_FFFF])
async def test_exit(make_guest, code):
    guest = await make_guest().start()
    with pytest.raises(ExitTrap) as caught:
        await guest("proc_exit", code)
    assert caught.value.code == code
    assert await guest("proc_raise", 6) == Errno.NOTSUP
    assert await guest("sched_yield") == Errno.SUCCESS


async def test_a_closed_context(make_guest):
    guest = await make_guest().start()
    await guest.ctx.aclose()
    assert guest.ctx.closed
    with pytest.raises(UsageError, match="closed"):
        await guest("sched_yield")


async def test_contexts_are_managers():
    async with WasiCtx() as ctx:
        pass
    assert ctx.closed
    with WasiCtx() as ctx:
        pass
    assert ctx.closed


async def test_unstable(make_guest, filesystem):
    guest = await make_guest("wasi_unstable", preopens={"/": filesystem.root()}).start()
    fd = await guest.open("file")
    for offset, whence, position in ((4, 2, 4), (1, 0, 5), (-1, 1, 9)):
        assert await guest("fd_seek", fd, offset, whence, OUT) == Errno.SUCCESS
        assert guest.u64() == position
    assert await guest("fd_filestat_get", fd, OUT) == Errno.SUCCESS
    _, _, kind, links, size = guest.unpack("<QQB3xIQ")
    assert (kind, links, size) == (4, 1, 10)
    clock = struct.pack("<QB7xQI4xQQH6x", 1, 0, 99, 1, 10**15, 0, 0)
    read = struct.pack("<QB7xI36x", 2, 1, fd)
    guest.write(BUFFER, clock + read)
    assert await guest("poll_oneoff", BUFFER, BUFFER + 1024, 2, OUT) == Errno.SUCCESS
    assert guest.u32() == 1
    assert guest.unpack("<QHB", BUFFER + 1024) == (2, 0, 1)


def test_every_function_is_there():
    """All of `wasi_snapshot_preview1`, by area."""
    areas = {name.partition("_")[0] for name in FUNCTIONS}
    assert areas == {
        "args", "clock", "environ", "fd", "path", "poll", "proc", "random", "sched", "sock"
    }  # fmt: skip
    assert len(FUNCTIONS) == 46
    assert len({number.value for number in Errno}) == len(Errno) == 77
    assert all(function.fn.__doc__ for function in FUNCTIONS.values())


def test_sync():
    engine = module().engine
    linker = Linker(engine)
    p1.add_to_linker_sync(linker, lambda data: data["wasi"])
    out: list[bytes] = []
    clock = FakeMonotonicClock()
    with WasiCtx(stdin=b"in", stdout=out.append, monotonic_clock=clock) as ctx:
        store = Store(engine, {"wasi": ctx})
        instance = linker.instantiate(store, module())
        assert not store.requires_async
        memory = instance.get_memory(store, "memory")
        memory.write(store, 512, struct.pack("<II", BUFFER, 10))
        call = lambda name, *args: instance.get_func(store, name).call(store, *args)  # noqa: E731
        assert call("fd_read", 0, 512, 1, OUT) == 0
        assert memory.read(store, BUFFER, 3) == b"in\0"
        assert call("fd_write", 1, 512, 1, OUT) == 0
        assert out == [b"in" + bytes(8)]
        memory.write(store, BUFFER, struct.pack("<QB7xI4xQQH6x", 1, 0, 1, 500, 0, 0))
        assert call("poll_oneoff", BUFFER, BUFFER + 96, 1, OUT) == 0
        assert clock.now() == 500
        assert call("sched_yield") == 0
        assert call("random_get", BUFFER, 5) == 0


def test_the_memory_has_to_be_exported():
    engine = Engine()
    linker = Linker(engine)
    p1.add_to_linker_sync(linker)
    text = """(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
      (func (export "f") (result i32) (call 0)))"""
    store = Store(engine, WasiCtx())
    instance = linker.instantiate(store, Module(engine, text))
    with pytest.raises(LinkError, match="missing required memory export"):
        instance.get_func(store, "f").call(store)
    with pytest.raises(LinkError, match="defined twice"):
        p1.add_to_linker_async(linker)


def test_where_the_context_is():
    """The store's data, unless the linker was told otherwise."""
    engine = module().engine
    linker = Linker(engine)
    p1.add_to_linker_sync(linker)
    for data, outcome in ((WasiCtx(), 0), ({"wasi": WasiCtx()}, None)):
        store = Store(engine, data)
        call = linker.instantiate(store, module()).get_func(store, "sched_yield").call
        if outcome is None:
            with pytest.raises(UsageError, match="the store's data is dict, not WasiCtx"):
                call(store)
        else:
            assert call(store) == outcome
