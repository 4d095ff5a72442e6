"""Sources of random bytes."""

from __future__ import annotations

from asyncwasm.wasi import SecureRandom, SeededRandom


def test_secure():
    source = SecureRandom()
    assert source.get_bytes(0) == b""
    assert len(source.get_bytes(32)) == 32
    assert source.get_bytes(32) != source.get_bytes(32)


def test_seeded():
    first, second, other = SeededRandom(1), SeededRandom(1), SeededRandom(2)
    data = first.get_bytes(16)
    assert data == second.get_bytes(16) != other.get_bytes(16)
    assert first.get_bytes(16) != data
