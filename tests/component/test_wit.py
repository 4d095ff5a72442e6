"""WIT: what a component is for people."""

from __future__ import annotations

from asyncwasm import Engine
from asyncwasm.component import Component
from asyncwasm.component.types import Enum, List, Option, Own, Primitive, Result, Stream, Tuple
from asyncwasm.component.wit import type_text, wit_text
from asyncwasm.testing import script_config

ENGINE = Engine(script_config())


def wit(text: str, *, world: str = "root") -> str:
    return wit_text(Component(ENGINE, text).scope.type, world=world)


def test_an_empty_world() -> None:
    assert wit("(component)", world="type") == "package root:component;\n\nworld %type {\n}\n"


def test_interfaces_with_resources() -> None:
    text = """
    (component
      (import "wasi:io/streams@0.2.0" (instance $s
        (export "input-stream" (type $in (sub resource)))
        (type $e' (variant (case "failed" string) (case "closed")))
        (export "stream-error" (type $e (eq $e')))
        (export "[constructor]input-stream" (func (param "a" (option u8)) (result (own $in))))
        (export "[method]input-stream.read" (func (param "self" (borrow $in)) (param "len" u64)
          (result (result (list u8) (error $e)))))
        (export "[static]input-stream.make" (func async (result (result (own $in)))))
        (export "splice" (func (param "from" (borrow $in)) (result (result (error $e)))))
      ))
      (alias export $s "input-stream" (type $in))
      (alias export $s "stream-error" (type $e))
      (import "wasi:cli/stdin@0.2.0" (instance
        (export "input-stream" (type $in (eq $in)))
        (export "stream-error" (type (eq $e)))
        (export "get-stdin" (func (result (own $in))))
      ))
      (import "wasi:cli/env" (instance))
      (instance $i (export "input" (type $in)))
      (export "a:b/c" (instance $i))
    )
    """
    assert wit(text) == (
        """\
package root:component;

world root {
  import wasi:io/streams@0.2.0;
  import wasi:cli/stdin@0.2.0;
  import wasi:cli/env;

  export a:b/c;
}

package wasi:io@0.2.0 {
  interface streams {
    resource input-stream {
      constructor(a: option<u8>);
      read: func(len: u64) -> result<list<u8>, stream-error>;
      make: static async func() -> result<input-stream>;
    }

    variant stream-error {
      failed(string),
      closed,
    }

    splice: func(%from: borrow<input-stream>) -> result<_, stream-error>;
  }
}

package wasi:cli@0.2.0 {
  interface stdin {
    use wasi:io/streams@0.2.0.{input-stream, stream-error};
    get-stdin: func() -> input-stream;
  }
}

package wasi:cli {
  interface env {
  }
}

package a:b {
  interface c {
    use wasi:io/streams@0.2.0.{input-stream as input};
  }
}
"""
    )


def test_what_is_in_the_world_itself() -> None:
    text = """
    (component
      (type $p' (record (field "x" s32) (field "use" (tuple u8 string))))
      (import "point" (type $p (eq $p')))
      (import "other" (type (eq $p)))
      (import "bytes" (type (eq $b)))
      (import "plain" (instance $plain
        (type $c' (enum "red" "blue"))
        (export "color" (type $c (eq $c')))
        (export "f" (func (param "a" (list f32 4)) (result (map string u8))))
        (export "g" (func (result $c)))
      ))
      (import "file" (type $f (sub resource)))
      (import "f" (func (param "p" $p) (param "file" (own $f)) (result (stream u8))))
      (import "m" (core module))
    )
    """
    text = text.replace('(import "bytes"', '(type $b (list u8)) (import "bytes"')
    assert wit(text) == (
        """\
package root:component;

world root {
  record point {
    x: s32,
    %use: tuple<u8, string>,
  }

  type other = point;
  type bytes = list<u8>;

  import plain: interface {
    enum color {
      red,
      blue,
    }

    f: func(a: list<f32, 4>) -> map<string, u8>;
    g: func() -> color;
  }

  resource file;
  import f: func(p: point, file: file) -> stream<u8>;
  // import m: core module
}
"""
    )


def test_a_resource_of_another_interface() -> None:
    text = """
    (component
      (import "a" (instance $a (export "r" (type (sub resource)))))
      (alias export $a "r" (type $r))
      (import "b" (instance (export "f" (func (param "x" (own $r)) (param "y" (borrow $r))))))
    )
    """
    assert "    f: func(x: r, y: borrow<r>);" in wit(text).splitlines()


def test_types_for_messages() -> None:
    assert type_text(Result(None, Option(List(Primitive.U8)))) == "result<_, option<list<u8>>>"
    assert type_text(Tuple((Own(0), Stream(None)))) == "tuple<own<_>, stream>"
    assert type_text(Enum(("a", "char"))) == "enum { a, %char }"
