"""xxhash-wasm (AssemblyScript): published vectors, and agreement with another implementation."""

from __future__ import annotations

import pytest

from asyncwasm import Instance, Store
from tests.guests.guest import Guest

_M = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def _rotl(x: int, n: int) -> int:
    return (x << n | x >> (64 - n)) & _M


def _round(acc: int, lane: int) -> int:
    return _rotl((acc + lane * _P2) & _M, 31) * _P1 & _M


def xxh64(data: bytes, seed: int) -> int:
    """XXH64 from its specification."""
    at = 0
    if len(data) >= 32:
        lanes = [(seed + _P1 + _P2) & _M, (seed + _P2) & _M, seed, (seed - _P1) & _M]
        while at + 32 <= len(data):
            for i in range(4):
                word = int.from_bytes(data[at + 8 * i : at + 8 * i + 8], "little")
                lanes[i] = _round(lanes[i], word)
            at += 32
        acc = sum(_rotl(v, n) for v, n in zip(lanes, (1, 7, 12, 18), strict=True)) & _M
        for lane in lanes:
            acc = ((acc ^ _round(0, lane)) * _P1 + _P4) & _M
    else:
        acc = (seed + _P5) & _M
    acc = (acc + len(data)) & _M
    while at + 8 <= len(data):
        acc ^= _round(0, int.from_bytes(data[at : at + 8], "little"))
        acc = (_rotl(acc, 27) * _P1 + _P4) & _M
        at += 8
    if at + 4 <= len(data):
        acc ^= int.from_bytes(data[at : at + 4], "little") * _P1 & _M
        acc = (_rotl(acc, 23) * _P2 + _P3) & _M
        at += 4
    for byte in data[at:]:
        acc = _rotl(acc ^ byte * _P5 & _M, 11) * _P1 & _M
    acc = (acc ^ acc >> 33) * _P2 & _M
    acc = (acc ^ acc >> 29) * _P3 & _M
    return acc ^ acc >> 32


@pytest.fixture
def guest(engine, guest_module):
    store = Store(engine)
    return Guest(store, Instance.new(store, guest_module("xxhash-wasm"), []), memory="mem")


def test_published_vectors(guest):
    assert guest.call("xxh64", 0, 0, 0) & _M == 0xEF46DB3751D8E999
    assert guest.call("xxh32", 0, 0, 0) & 0xFFFF_FFFF == 0x02CC5D05
    guest.write(0, b"abc")
    assert guest.call("xxh64", 0, 3, 0) & _M == 0x44BC2CF5AD770999
    assert guest.call("xxh32", 0, 3, 0) & 0xFFFF_FFFF == 0x32D153FF


@pytest.mark.parametrize("size", [1, 4, 7, 8, 31, 32, 33, 100, 4000])
@pytest.mark.parametrize("seed", [0, 1, 0x9E3779B185EBCA87])
def test_agrees_with_the_specification(guest, size, seed):
    data = bytes((i * 37 + 11) & 0xFF for i in range(size))
    guest.write(0, data)
    assert guest.call("xxh64", 0, size, seed) & _M == xxh64(data, seed)


def test_streaming_gives_the_same(guest):
    """`init64`, `update64` and `digest64` keep their state in guest memory, here at 0."""
    data = bytes(range(256)) * 3
    guest.call("init64", 0, 42)
    at = 0
    for size in (1, 31, 32, 64, 300, len(data) - 428):
        guest.write(4096, data[at : at + size])
        guest.call("update64", 0, 4096, size)
        at += size
    assert at == len(data)
    assert guest.call("digest64", 0) & _M == xxh64(data, 42)


@pytest.mark.anyio
async def test_the_async_entry_points_give_the_same(engine, guest_module):
    store = Store(engine)
    instance = await Instance.new_async(store, guest_module("xxhash-wasm"), [])
    guest = Guest(store, instance, memory="mem")
    assert await guest.call_async("xxh64", 0, 0, 0) & _M == 0xEF46DB3751D8E999
