"""hash-wasm (C): 14 small modules, their digests compared with hashlib's and zlib's."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib

import pytest

from asyncwasm import Instance, Module, Store
from tests.guests.guest import Guest

# The modules copy input through a buffer of this size.
BUFFER = 16 * 1024
TEXT = b"The quick brown fox jumps over the lazy dog"

ALGORITHMS = [
    # digest, module, Hash_Init's argument, Hash_Final's argument
    ("md5", "md5", 0, 0),
    ("sha1", "sha1", 0, 0),
    ("sha224", "sha256", 224, 0),
    ("sha256", "sha256", 256, 0),
    ("sha384", "sha512", 384, 0),
    ("sha512", "sha512", 512, 0),
    ("sha3_224", "sha3", 224, 6),
    ("sha3_256", "sha3", 256, 6),
    ("sha3_384", "sha3", 384, 6),
    ("sha3_512", "sha3", 512, 6),
    ("blake2b", "blake2b", 512, 0),
    ("blake2s", "blake2s", 256, 0),
    ("ripemd160", "ripemd160", 0, 0),
    ("sm3", "sm3", 0, 0),
]


@pytest.fixture(scope="session")
def hash_module(engine, guest_path):
    """A module of the package by name; they are base64 strings in a JavaScript file."""
    modules: dict[str, Module] = {}

    def module(name: str) -> Module:
        if name not in modules:
            script = guest_path("hash-wasm").read_text()
            found = re.search(rf'name:"{name}",data:"(AGFzbQ[A-Za-z0-9+/=]*)"', script)
            assert found is not None
            modules[name] = Module(engine, base64.b64decode(found[1]))
        return modules[name]

    return module


def digest(engine, module: Module, data: bytes, init: int, final: int, size: int) -> bytes:
    """Run the package's protocol: init, update in chunks, final."""
    store = Store(engine)
    guest = Guest(store, Instance.new(store, module, []))
    buffer = guest.call("Hash_GetBuffer")

    def call(name: str, *args: int) -> None:
        # Some modules take no argument where others do.
        count = len(guest.function(name).ty(store).params)
        guest.call(name, *args[:count])

    call("Hash_Init", init)
    for at in range(0, len(data), BUFFER):
        chunk = data[at : at + BUFFER]
        guest.write(buffer, chunk)
        guest.call("Hash_Update", len(chunk))
    call("Hash_Final", final)
    return guest.read(buffer, size)


def _hashlib(name: str, data: bytes) -> bytes:
    try:
        return hashlib.new(name, data).digest()
    except ValueError:
        pytest.skip(f"this Python's hashlib has no {name}")


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", TEXT, bytes(range(256)) * 70], ids=["0", "43", "17920"])
@pytest.mark.parametrize(
    ("name", "module", "init", "final"), ALGORITHMS, ids=[a[0] for a in ALGORITHMS]
)
def test_digest(engine, hash_module, name, module, init, final, data):
    expected = _hashlib(name, data)
    assert digest(engine, hash_module(module), data, init, final, len(expected)) == expected


@pytest.mark.parametrize("data", [b"", TEXT, bytes(range(256)) * 70], ids=["0", "43", "17920"])
def test_checksums(engine, hash_module, data):
    crc = digest(engine, hash_module("crc32"), data, 0xEDB88320, 0, 4)
    assert int.from_bytes(crc, "big") == zlib.crc32(data)
    adler = digest(engine, hash_module("adler32"), data, 0, 0, 4)
    assert int.from_bytes(adler, "big") == zlib.adler32(data)


@pytest.mark.slow
def test_scrypt(engine, hash_module):
    """The module mixes blocks; PBKDF2 around it is the host's part of the protocol."""
    password, salt, cost, block, parallel = b"password", b"NaCl", 16, 8, 1
    blocks = hashlib.pbkdf2_hmac("sha256", password, salt, 1, 128 * block * parallel)
    store = Store(engine)
    guest = Guest(store, Instance.new(store, hash_module("scrypt"), []))
    guest.call("Hash_SetMemorySize", len(blocks) + 128 * block * cost + 256 * block)
    buffer = guest.call("Hash_GetBuffer")
    guest.write(buffer, blocks)
    guest.call("scrypt", block, cost, parallel)
    mixed = guest.read(buffer, len(blocks))
    result = hashlib.pbkdf2_hmac("sha256", password, mixed, 1, 64)
    assert result == hashlib.scrypt(password, salt=salt, n=cost, r=block, p=parallel, dklen=64)


@pytest.mark.slow
def test_bcrypt_verifies_a_known_hash(engine, hash_module):
    """Cost 5, a published test vector of crypt_blowfish."""
    known = b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    for password, ok in ((b"U*U", 1), (b"U*V", 0)):
        store = Store(engine)
        guest = Guest(store, Instance.new(store, hash_module("bcrypt"), []))
        buffer = guest.call("Hash_GetBuffer")
        guest.write(buffer, known + password)
        assert guest.call("bcrypt_verify", len(password)) == ok
