"""ripgrep (Rust): a WASI command that reads directories, files and standard input."""

from __future__ import annotations

import shutil
import subprocess
import sys

import anyio
import pytest

from asyncwasm import Engine, Module, wasi

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UNPACK = """
import { writeFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
const [, , source, target] = process.argv;
const { getCompressedBytes } = await import(source);
writeFileSync(target, brotliDecompressSync(getCompressedBytes()));
"""


@pytest.fixture(scope="session")
def ripgrep(guest_path, tmp_path_factory):
    """The program's path; its package has it compressed, for node to unpack."""
    source = guest_path("ripgrep")
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is needed to unpack ripgrep, and is not installed")
    directory = tmp_path_factory.mktemp("ripgrep")
    script = directory / "unpack.mjs"
    script.write_text(UNPACK)
    target = directory / "rg.wasm"
    subprocess.run([node, script, source.as_uri(), target], check=True, timeout=60)
    return target


@pytest.fixture(scope="session")
def module(ripgrep):
    return Module.from_file(Engine(), ripgrep)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a.txt").write_text("hello world\nfoo\nhello again\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("nothing\nsay hello\n")
    (tmp_path / ".hidden").write_text("hello from nowhere\n")
    (tmp_path / ".gitignore").write_text("")
    return tmp_path


async def run(module, *args, **options):
    return await wasi.run(module, args=args, argv0="rg", capture=True, **options)


async def test_searching_a_directory(module, tree):
    result = await run(module, "-n", "--sort", "path", "hello", "/d", dirs={"/d": tree})
    assert (result.exit_code, result.stderr) == (0, b"")
    assert result.stdout == (
        b"/d/a.txt:1:hello world\n/d/a.txt:3:hello again\n/d/sub/b.txt:2:say hello\n"
    )


async def test_exit_codes(module, tree):
    result = await run(module, "no such text", "/d", dirs={"/d": tree})
    assert (result.exit_code, result.stdout, result.stderr) == (1, b"", b"")
    result = await run(module, "(", "/d", dirs={"/d": tree})
    assert result.exit_code == 2
    assert b"unclosed group" in result.stderr
    result = await run(module, "x", "/none", dirs={"/d": tree})
    assert result.exit_code == 2


async def test_searching_what_another_task_sends(module):
    sender, receiver = anyio.create_memory_object_stream[bytes]()

    async def send() -> None:
        async with sender:
            for line in range(50):
                await sender.send(b"line %d\n" % line)

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        result = await run(module, "-c", "7", "-", stdin=receiver)
    receiver.close()
    assert (result.exit_code, result.stdout) == (0, b"5\n")


def test_from_the_command_line(ripgrep, tree):
    """Byte for byte, exit status included."""
    search = ["--no-messages", "-o", "--no-filename", "--sort=path", r"\w+ again|say \w+", "/d"]
    done = subprocess.run(
        [sys.executable, "-m", "asyncwasm", "run", f"--dir={tree}::/d", str(ripgrep), *search],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello again\nsay hello\n", b"")
