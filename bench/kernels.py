"""The compute kernels: what each runs, how much of it, and what it must return.

Each kernel is `bench/kernels/NAME.wat`, a module without imports whose export `run(n: i32)` does
an amount of work that grows with `n` and returns a value computed from all of it.  `oracle` says
what that value is, by a route that has nothing to do with WebAssembly.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent / "kernels"


@dataclass(frozen=True)
class Kernel:
    """One kernel, with sizes for engines of two speeds.

    `n` is a size for interpreters, `n_native` one for machine code.  `work` is the amount of
    work in units that do not depend on the engine, so that times at different sizes compare.
    """

    name: str
    n: int
    n_native: int
    work: Callable[[int], float]
    oracle: Callable[[int], float]

    @property
    def text(self) -> str:
        """The module in the text format."""
        return (DIRECTORY / f"{self.name}.wat").read_text()


@cache
def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


def _primes(n: int) -> int:
    composite = bytearray(n)
    for i in range(2, math.isqrt(n) + 1):
        if not composite[i]:
            composite[i * i :: i] = b"\1" * len(range(i * i, n, i))
    return n - 2 - sum(composite[2:])


def _matrix_sum(n: int) -> float:
    # The sum of all elements of A * B is the column sums of A times the row sums of B.
    total = sum(range(n))
    return float(sum((total + n * k) * (n * k - total) for k in range(n)))


def _crc32(n: int) -> int:
    return zlib.crc32(bytes(i % 251 for i in range(n)))


def _sha256(n: int) -> int:
    return int.from_bytes(hashlib.sha256(bytes(64 * n)).digest()[:4], "big")


_SUN = 4 * math.pi * math.pi
_BODIES = (
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0),
    (
        (4.84143144246472090, -1.16032004402742839, -0.103622044471123109),
        (0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023),
        0.000954791938424326609,
    ),
    (
        (8.34336671824457987, 4.12479856412430479, -0.403523417114321381),
        (-0.00276742510726411, 0.00499852801234917238, 0.0000230417297573763929),
        0.000285885980666130812,
    ),
    (
        (12.8943695621391310, -15.1111514016986312, -0.223307578892655734),
        (0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556),
        0.0000436624404335156298,
    ),
    (
        (15.3796971148509165, -25.9193146099879641, 0.179258772950371181),
        (0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870),
        0.0000515138902046611451,
    ),
)


def _nbody(n: int) -> float:
    """The same operations in the same order, so the result is equal to the last bit."""
    position = [list(p) for p, _, _ in _BODIES]
    velocity = [[component * 365.24 for component in v] for _, v, _ in _BODIES]
    mass = [m * 39.47841760435743 for _, _, m in _BODIES]
    for axis in range(3):
        momentum = 0.0
        for v, m in zip(velocity, mass, strict=True):
            momentum += v[axis] * m
        velocity[0][axis] = -momentum / 39.47841760435743
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    for _ in range(n):
        for i, j in pairs:
            d = [a - b for a, b in zip(position[i], position[j], strict=True)]
            d2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
            magnitude = 0.01 / (d2 * math.sqrt(d2))
            for axis in range(3):
                velocity[i][axis] -= d[axis] * (mass[j] * magnitude)
                velocity[j][axis] += d[axis] * (mass[i] * magnitude)
        for p, v in zip(position, velocity, strict=True):
            for axis in range(3):
                p[axis] += 0.01 * v[axis]
    energy = 0.0
    for i in range(5):
        v = velocity[i]
        energy += 0.5 * mass[i] * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        for j in range(i + 1, 5):
            d = [a - b for a, b in zip(position[i], position[j], strict=True)]
            energy -= mass[i] * mass[j] / math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    return energy


def _byte_code(n: int) -> int:
    acc = 0
    for i in range(n - 1, 0, -1):
        acc = (acc * 31 + i) & 0xFFFFFFFF
        if acc & 1:
            acc ^= i
    return acc


def _bulk_large(n: int) -> int:
    return 1


def _bulk_small(n: int) -> int:
    data = bytearray(range(1, 9))
    for i in range(n, 0, -1):
        data[1:8] = data[0:7]
        data[0:3] = bytes([i & 0xFF]) * 3
    return int.from_bytes(data, "little", signed=True)


def _simd_saxpy(n: int) -> int:
    return sum(int(i * n * 0.5) for i in range(256))  # exact in a single below 2**24


def _gc_tree(n: int) -> int:
    class Node:
        def __init__(self, key: int, depth: int) -> None:
            self.key, self.depth = key, depth
            self.left: Node | None = None
            self.right: Node | None = None

    root = Node(0x8000_0000, 0)
    key, total = 1, 0
    for _ in range(n):
        key = (key * 1664525 + 1013904223) & 0xFFFF_FFFF
        at = root
        while True:
            side = "left" if key < at.key else "right"
            below = getattr(at, side)
            if below is None:
                setattr(at, side, Node(key, at.depth + 1))
                total += at.depth + 1
                break
            at = below
    return total


def _exceptions(n: int) -> int:
    return (sum(range(0, n + 1, 3)) + (1 << 31)) % (1 << 32) - (1 << 31)


KERNELS: tuple[Kernel, ...] = (
    Kernel("fib", 19, 32, lambda n: _fib(n + 1), _fib),
    Kernel("sieve", 12_000, 3_000_000, lambda n: n * math.log(math.log(n)), _primes),
    Kernel("matmul_ijk", 20, 128, lambda n: n**3, _matrix_sum),
    Kernel("matmul_ikj", 20, 128, lambda n: n**3, _matrix_sum),
    Kernel("crc32", 8_000, 131_072, lambda n: n + 2048, _crc32),
    Kernel("sha256", 30, 20_000, lambda n: n + 1, _sha256),
    Kernel("nbody", 200, 100_000, lambda n: n, _nbody),
    Kernel("br_table", 5_000, 2_000_000, lambda n: n, _byte_code),
    Kernel("call_indirect", 4_000, 1_000_000, lambda n: n, _byte_code),
    Kernel("bulk_large", 300, 20_000, lambda n: n, _bulk_large),
    Kernel("bulk_small", 20_000, 5_000_000, lambda n: n, _bulk_small),
    Kernel("simd_saxpy", 20, 1_000, lambda n: n, _simd_saxpy),
    Kernel("gc_tree", 1_000, 20_000, lambda n: n * math.log(n), _gc_tree),
    Kernel("exceptions", 3_000, 60_000, lambda n: n, _exceptions),
)
