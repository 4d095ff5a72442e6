"""dprint's plugins (Rust): a formatter called by its protocol, and one that calls another.

The protocol, as the plugins implement it (schema version 4): the host puts bytes into a shared
buffer (`clear_shared_bytes(size)` gives its address), then calls the function that consumes
them.  A plugin's import `host_format` asks the host to format a piece in another language; here
it is a coroutine function that awaits the other plugin's instance.
"""

from __future__ import annotations

import json

import anyio
import anyio.lowlevel
import pytest

from asyncwasm import Caller, Linker, Memory, Store
from tests.guests.guest import Guest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CONFIG = 1
UNCHANGED, CHANGED, FAILED = range(3)


class FormatError(Exception):
    pass


class Plugin:
    """One plugin instance, and what its host functions keep between calls."""

    def __init__(self) -> None:
        self.guest: Guest
        self.outbox = b""

    @classmethod
    async def load(cls, engine, module, host_format=None) -> Plugin:
        self = cls()
        formatted = b""

        async def format_piece(
            caller: Caller,
            path: int, path_size: int,
            start: int, end: int,
            override: int, override_size: int,
            text: int, text_size: int,
        ) -> int:  # fmt: skip
            nonlocal formatted
            memory = caller.get_export("memory")
            assert isinstance(memory, Memory)
            piece = memory.read(caller, text, text_size)
            formatted = await host_format(memory.read(caller, path, path_size).decode(), piece)
            return UNCHANGED if formatted == piece else CHANGED

        def formatted_text() -> int:
            self.outbox = formatted
            return len(formatted)

        def write_buffer(caller: Caller, address: int) -> None:
            memory = caller.get_export("memory")
            assert isinstance(memory, Memory)
            memory.write(caller, address, self.outbox)

        linker = Linker(engine)
        linker.func_wrap_async("dprint", "host_format", format_piece)
        linker.func_wrap("dprint", "host_get_formatted_text", formatted_text)
        linker.func_wrap("dprint", "host_get_error_text", formatted_text)
        linker.func_wrap("dprint", "host_write_buffer", write_buffer)
        store = Store(engine)
        self.guest = Guest(store, await linker.instantiate_async(store, module))
        await self.send(b'{"global": {}, "plugin": {}}')
        await self.guest.call_async("register_config", CONFIG)
        return self

    async def send(self, data: bytes) -> None:
        address = await self.guest.call_async("clear_shared_bytes", len(data))
        self.guest.write(address, data)

    async def receive(self, size: int) -> bytes:
        return self.guest.read(await self.guest.call_async("get_shared_bytes_ptr"), size)

    async def format(self, path: str, text: bytes) -> bytes:
        await self.send(path.encode())
        await self.guest.call_async("set_file_path")
        await self.send(text)
        match await self.guest.call_async("format", CONFIG):
            case 0:
                return text
            case 1:
                return await self.receive(await self.guest.call_async("get_formatted_text"))
            case _:
                error = await self.receive(await self.guest.call_async("get_error_text"))
                raise FormatError(error.decode())


@pytest.fixture
async def formatter(engine, guest_module):
    return await Plugin.load(engine, guest_module("@dprint/json"))


async def test_json(formatter):
    text = b'{"b":[1,2,\n3],"a":{"c":null,"d":"\xc3\xa4"}}'
    formatted = await formatter.format("x.json", text)
    assert formatted == '{ "b": [1, 2, 3], "a": { "c": null, "d": "ä" } }\n'.encode()
    assert await formatter.format("x.json", formatted) == formatted


async def test_a_larger_document_means_the_same(formatter):
    document = [{"id": i, "name": f"item {i}", "tags": ["x", "y" * (i % 7)]} for i in range(60)]
    text = json.dumps(document).encode()
    formatted = await formatter.format("x.json", text)
    assert formatted != text
    assert json.loads(formatted) == document


async def test_a_syntax_error_is_the_plugins_to_report(formatter):
    with pytest.raises(FormatError, match="Unterminated array"):
        await formatter.format("x.json", b'{"a":[1,2')
    assert await formatter.format("x.json", b"[1 ]") == b"[1]\n"


async def test_a_plugin_formats_through_another(engine, guest_module, formatter):
    """Markdown with a JSON block: two instances, the first suspended while the second runs."""
    asked = []

    async def host_format(path: str, text: bytes) -> bytes:
        asked.append((path, text))
        await anyio.sleep(0.001)
        return await formatter.format(path, text)

    plugin = await Plugin.load(engine, guest_module("@dprint/markdown"), host_format)
    formatted = await plugin.format(
        "x.md", b'# hi\n\n* a\n* b\n\n```json\n{"a":1,\n"b":[1,2]}\n```\n'
    )
    assert formatted == b'# hi\n\n- a\n- b\n\n```json\n{ "a": 1, "b": [1, 2] }\n```\n'
    assert asked == [("file.json", b'{"a":1,\n"b":[1,2]}')]


async def test_what_host_format_raises_ends_the_call(engine, guest_module):
    class Unreachable(Exception):
        pass

    async def host_format(path: str, text: bytes) -> bytes:
        await anyio.lowlevel.checkpoint()
        raise Unreachable

    plugin = await Plugin.load(engine, guest_module("@dprint/markdown"), host_format)
    with pytest.raises(Unreachable):
        await plugin.format("x.md", b"```json\n{}\n```\n")
