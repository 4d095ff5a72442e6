"""A component made of JavaScript: QuickJS inside, and every shape of value across the border."""

from __future__ import annotations

import math
import os
import subprocess
from pathlib import Path

import pytest

from asyncwasm import ComponentError, Engine, Store
from asyncwasm.component import Component, Linker

pytestmark = pytest.mark.slow

VERSION = "0.4.5"
WIT = """
package test:guest;

interface shapes {
  record point { x: s32, y: f64 }
  variant shape { circle(f64), square(point), empty }
  flags rights { read, write, exec }
  enum colour { red, dark-green, blue }
  area: func(s: shape) -> result<f64, string>;
  move-all: func(points: list<point>, by: s32) -> list<point>;
  toggle: func(r: rights) -> rights;
  next: func(c: colour) -> option<colour>;
  greet: func(name: string) -> string;
  bytes: func(b: list<u8>) -> list<u8>;
  pair: func(t: tuple<u8, string>) -> tuple<string, u8>;
}
interface host { log: func(s: string) -> u32; }
world guest { import host; export shapes; }
"""
JS = """
import { log } from 'test:guest/host';
export const shapes = {
  area(s) {
    if (s.tag === 'circle') return Math.PI * s.val * s.val;
    if (s.tag === 'square') return s.val.x * s.val.y;
    throw 'no area';
  },
  moveAll(points, by) { return points.map(p => ({ x: p.x + by, y: p.y })); },
  toggle(r) { return { read: !r.read, write: !r.write, exec: !r.exec }; },
  next(c) { return { 'red': 'dark-green', 'dark-green': 'blue' }[c]; },
  greet(name) { return `hello, ${name} (${log(name)})`; },
  bytes(b) { return b; },
  pair(t) { return [t[1], t[0]]; },
};
"""


def _run(*command: str, cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"{command[0]} does not work here: {error}")


@pytest.fixture(scope="module")
def component(tmp_path_factory) -> Component:
    home = os.environ.get("ASYNCWASM_GUESTS")
    tools = Path(home or tmp_path_factory.mktemp("tools"), f"componentize-qjs@{VERSION}")
    tool = tools / "node_modules/.bin/componentize-qjs"
    tools.mkdir(parents=True, exist_ok=True)
    if not tool.exists():
        package = f"componentize-qjs@{VERSION}"
        _run("npm", "install", "--no-save", "--no-fund", "--no-audit", package, cwd=tools)
    here = tmp_path_factory.mktemp("guest")
    (here / "guest.wit").write_text(WIT)
    (here / "guest.js").write_text(JS)
    _run(
        str(tool), "--wit", "guest.wit", "--js", "guest.js", "--stub-wasi", "-o", "guest.wasm",
        cwd=here,
    )  # fmt: skip
    return Component.from_file(Engine(), here / "guest.wasm")


def test_values_of_every_shape_go_there_and_back(component):
    logged = []

    def log(text):
        logged.append(text)
        return len(text)

    linker = Linker(component.engine)
    linker.instance("test:guest/host").func_wrap("log", log)
    store = Store(component.engine)
    exports = linker.instantiate(store, component).exports(store).instance("test:guest/shapes")
    types = component.types

    def call(name, *args):
        return exports.func(name).call(store, *args)

    assert call("greet", "wörld") == "hello, wörld (5)"
    assert logged == ["wörld"]
    assert call("area", types.Shape.Circle(2.0)) == 4 * math.pi
    assert call("area", types.Shape.Square({"x": 3, "y": 2.5})) == 7.5
    with pytest.raises(ComponentError) as caught:
        call("area", types.Shape.Empty())
    assert caught.value.payload == "no area"
    assert call("move-all", [types.Point(1, 2.0), types.Point(-3, 4.5)], 10) == [
        types.Point(11, 2.0),
        types.Point(7, 4.5),
    ]
    assert call("toggle", {"read"}) == types.Rights.WRITE | types.Rights.EXEC
    assert call("next", types.Colour.RED) is types.Colour.DARK_GREEN
    assert call("next", "blue") is None
    assert call("bytes", bytes(range(256)) * 16) == bytes(range(256)) * 16
    assert call("pair", (7, "x")) == ("x", 7)
