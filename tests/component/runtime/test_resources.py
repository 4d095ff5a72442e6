"""Resources of guests in the host's hands, of the host in guests' hands, and tables of them."""

from __future__ import annotations

import pytest

from asyncwasm import Caller, Config, Engine, LinkError, Store, Trap, TrapCode
from asyncwasm.component import (
    Component,
    Linker,
    Resource,
    ResourceAny,
    ResourceTable,
    ResourceTableError,
    ResourceType,
)
from asyncwasm.component.types import Own
from asyncwasm.errors import CanonicalAbiError

# A counter of the guest's: its representation is what it counts.
COUNTER = """
(component
  (core module $d
    (global $dropped (mut i32) (i32.const 0))
    (func (export "dtor") (param i32)
      (if (i32.eq (local.get 0) (i32.const 666)) (then unreachable))
      (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
    (func (export "dropped") (result i32) (global.get $dropped)))
  (core instance $d (instantiate $d))
  (type $counter (resource (rep i32) (dtor (core func $d "dtor"))))
  (core func $new (canon resource.new $counter))
  (core func $rep (canon resource.rep $counter))
  (core func $drop (canon resource.drop $counter))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "get") (param i32) (result i32) (local.get 0))
    (func (export "take") (param i32) (result i32)
      (call $rep (local.get 0)) (call $drop (local.get 0)))
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1)))
    (func (export "both") (param i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
  (export $Counter "counter" (type $counter))
  (func (export "make") (param "n" u32) (result (own $Counter)) (canon lift (core func $i "make")))
  (func (export "get") (param "c" (borrow $Counter)) (result u32)
    (canon lift (core func $i "get")))
  (func (export "take") (param "c" (own $Counter)) (result u32)
    (canon lift (core func $i "take")))
  (func (export "add") (param "a" (borrow $Counter)) (param "b" (borrow $Counter)) (result u32)
    (canon lift (core func $i "add")))
  (func (export "both") (param "a" (borrow $Counter)) (param "b" (own $Counter)) (result u32)
    (canon lift (core func $i "both")))
  (func (export "dropped") (result u32) (canon lift (core func $d "dropped"))))
"""

# A file of the host's, which the guest opens, reads, keeps and closes.
FILES = """
(component
  (import "files" (instance $files
    (export "file" (type $file (sub resource)))
    (export "open" (func (param "n" u32) (result (own $file))))
    (export "size" (func (param "f" (borrow $file)) (result u32)))
    (export "close" (func (param "f" (own $file))))))
  (alias export $files "file" (type $file))
  (core func $open (canon lower (func $files "open")))
  (core func $size (canon lower (func $files "size")))
  (core func $close (canon lower (func $files "close")))
  (core func $drop (canon resource.drop $file))
  (core module $m
    (import "" "open" (func $open (param i32) (result i32)))
    (import "" "size" (func $size (param i32) (result i32)))
    (import "" "close" (func $close (param i32)))
    (import "" "drop" (func $drop (param i32)))
    (global $kept (mut i32) (i32.const 0))
    (func (export "keep") (param i32) (global.set $kept (local.get 0)))
    (func (export "forget") (call $drop (global.get $kept)))
    (func (export "give") (result i32) (global.get $kept))
    (func (export "close") (call $close (global.get $kept)))
    (func (export "size") (result i32) (call $size (global.get $kept)))
    (func (export "lent") (param i32) (result i32)
      (call $size (local.get 0))
      (call $drop (local.get 0)))
    (func (export "stolen") (param i32))
    (func (export "run") (param i32) (result i32)
      (local $f i32)
      (local.set $f (call $open (local.get 0)))
      (call $size (local.get $f))
      (call $drop (local.get $f))))
  (core instance $i (instantiate $m (with "" (instance
    (export "open" (func $open)) (export "size" (func $size))
    (export "close" (func $close)) (export "drop" (func $drop))))))
  (func (export "keep") (param "f" (own $file)) (canon lift (core func $i "keep")))
  (func (export "forget") (canon lift (core func $i "forget")))
  (func (export "give") (result (own $file)) (canon lift (core func $i "give")))
  (func (export "close") (canon lift (core func $i "close")))
  (func (export "size") (result u32) (canon lift (core func $i "size")))
  (func (export "lent") (param "f" (borrow $file)) (result u32)
    (canon lift (core func $i "lent")))
  (func (export "stolen") (param "f" (borrow $file)) (canon lift (core func $i "stolen")))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
"""


class File:
    def __init__(self, size):
        self.size = size


class BigFile(File):
    pass


class Funcs:
    """The functions of an instance, to be called by name."""

    def __init__(self, store, instance):
        self.store, self.instance = store, instance

    def __getattr__(self, name):
        func = self.instance.get_func(self.store, name)
        return lambda *args: func.call(self.store, *args)


@pytest.fixture(params=["interpreter", "native"])
def engine(request) -> Engine:
    return Engine(Config(strategy=request.param))


@pytest.fixture
def counter(engine):
    store = Store(engine)
    return Funcs(store, Linker(engine).instantiate(store, Component(engine, COUNTER)))


def test_the_host_holds_what_a_guest_made(counter):
    store = counter.store
    one = counter.make(1)
    assert isinstance(one, ResourceAny)
    assert one.owned
    assert one.ty == counter.instance.get_resource(store, "counter")
    assert not one.ty.is_host
    assert counter.get(one) == counter.get(one) == 1
    assert counter.add(one, one) == 2
    one.resource_drop(store)
    assert counter.dropped() == 1
    with pytest.raises(CanonicalAbiError, match="host-owned resource was already de-allocated"):
        one.resource_drop(store)
    with pytest.raises(CanonicalAbiError, match="host-owned resource was already de-allocated"):
        counter.get(one)


def test_a_copy_of_what_was_given_away_finds_nothing(counter):
    one = counter.make(1)
    assert counter.take(one) == 1
    two = counter.make(2)  # in the same place
    with pytest.raises(CanonicalAbiError, match="host-owned resource was already de-allocated"):
        counter.get(one)
    assert counter.get(two) == 2
    with two:
        assert counter.get(two) == 2
    assert counter.dropped() == 3


def test_what_is_lent_cannot_be_given(counter):
    one = counter.make(1)
    with pytest.raises(CanonicalAbiError, match="cannot remove owned resource while borrowed"):
        counter.both(one, one)


def test_a_refused_argument_takes_nothing(counter):
    one = counter.make(1)
    with pytest.raises(TypeError, match="b: expected Resource, got int"):
        counter.both(one, 7)
    with pytest.raises(TypeError):
        counter.both(7, one)
    assert counter.take(one) == 1


def test_each_instance_has_resource_types_of_its_own(engine, counter):
    other = Funcs(
        counter.store, Linker(engine).instantiate(counter.store, counter.instance.component)
    )
    one = counter.make(1)
    with pytest.raises(TypeError, match="mismatched resource types"):
        other.get(one)
    assert counter.get(one) == 1
    with pytest.raises(TypeError, match="expected Resource, got"):
        counter.get(None)
    with pytest.raises(TypeError, match="resource type mismatch"):
        counter.get(Resource.new_own(1))


def test_a_destructor_that_fails_poisons(counter):
    one = counter.make(666)
    with pytest.raises(Trap, match="unreachable"):
        one.resource_drop(counter.store)
    with pytest.raises(Trap) as trap:
        counter.dropped()
    assert trap.value.code is TrapCode.CANNOT_ENTER_COMPONENT


def test_dropping_in_a_poisoned_store_is_refused_and_loses_the_handle(counter):
    good, bad = counter.make(1), counter.make(666)
    with pytest.raises(Trap, match="unreachable"):
        bad.resource_drop(counter.store)
    with pytest.raises(Trap, match="cannot enter"):
        good.resource_drop(counter.store)
    with pytest.raises(CanonicalAbiError, match="already de-allocated"):
        good.resource_drop(counter.store)


def files(engine, **extra):
    """An instance with files, the table of them, and the sizes of those that were closed."""
    table, closed = ResourceTable(), []
    linker = Linker(engine)
    instance = linker.instance("files")

    def drop(rep):
        closed.append(table.delete(Resource.new_own(rep)).size)

    instance.resource("file", ResourceType.host(File), drop)
    instance.func_wrap("open", extra.get("open", lambda n: table.push(File(n))))
    instance.func_wrap("size", extra.get("size", lambda f: table.get(f).size))
    instance.func_wrap("close", extra.get("close", lambda f: drop(f.rep)))
    store = Store(engine)
    funcs = Funcs(store, linker.instantiate(store, Component(engine, FILES)))
    return funcs, table, closed


def test_guests_hold_what_the_host_made(engine):
    guest, table, closed = files(engine)
    assert guest.run(10) == 10
    assert closed == [10]
    assert table.is_empty()


def test_an_owned_resource_is_given_and_comes_back(engine):
    guest, table, closed = files(engine)
    file = table.push(File(3))
    assert file.owned
    guest.keep(file)
    with pytest.raises(CanonicalAbiError, match="host resource already consumed"):
        guest.keep(file)
    assert guest.size() == 3
    back = guest.give()
    assert (back.rep, back.owned) == (file.rep, True)
    guest.keep(back)
    guest.close()
    assert closed == [3]


def test_a_borrow_ends_with_the_call(engine):
    guest, table, _ = files(engine)
    file = table.push(File(3))
    assert guest.lent(file) == 3
    assert guest.lent(file) == 3
    guest.keep(file)
    assert guest.lent(Resource.new_borrow(file.rep)) == 3
    with pytest.raises(CanonicalAbiError, match="host resource already consumed"):
        guest.lent(file)
    with pytest.raises(CanonicalAbiError, match="cannot lower a `borrow` resource into an `own`"):
        guest.keep(Resource.new_borrow(0))


def test_a_guest_that_keeps_a_borrow_fails(engine):
    guest, table, _ = files(engine)
    with pytest.raises(CanonicalAbiError, match="borrow handles still remain at the end of the"):
        guest.stolen(table.push(File(3)))


def test_types_of_the_host_are_told_apart(engine):
    guest, table, _ = files(engine)
    with pytest.raises(TypeError, match="f: resource type mismatch"):
        guest.keep(Resource.new_own(0, str))
    with pytest.raises(TypeError, match="f: resource type mismatch"):
        guest.keep(Resource.new_own(0, ResourceType.host_dynamic(1)))
    guest.keep(table.push(BigFile(5)))
    assert guest.size() == 5
    assert ResourceType.host(File) == ResourceType.host(File) != ResourceType.host(BigFile)
    assert ResourceType.host_dynamic(1) != ResourceType.host(1)
    with pytest.raises(OverflowError):
        Resource.new_own(1 << 32)


def test_resources_convert(engine):
    guest, table, closed = files(engine)
    any_file = table.push(File(1)).try_into_resource_any(guest.store)
    assert guest.lent(any_file) == 1
    guest.keep(any_file)
    given = guest.give()
    again = given.try_into_resource_any(guest.store)
    with pytest.raises(CanonicalAbiError, match="already consumed"):
        given.try_into_resource_any(guest.store)
    back = Resource.try_from_resource_any(again, guest.store)
    back.drop(guest.store)  # it came from the guest, so the linker's destructor runs
    assert closed == [1]


def test_a_guests_resource_is_not_the_hosts(counter):
    one = counter.make(1)
    with pytest.raises(TypeError, match="resource type mismatch"):
        one.try_into_resource(counter.store)
    assert counter.get(one) == 1


def test_dropping_inside_the_defining_instance_is_refused(engine):
    text = """
    (component
      (import "drop" (func $drop))
      (core func $drop' (canon lower (func $drop)))
      (type $r (resource (rep i32)))
      (core func $new (canon resource.new $r))
      (core module $m
        (import "" "drop" (func $drop))
        (import "" "new" (func $new (param i32) (result i32)))
        (func (export "make") (result i32) (call $new (i32.const 1)))
        (func (export "run") (call $drop)))
      (core instance $i (instantiate $m (with "" (instance
        (export "drop" (func $drop')) (export "new" (func $new))))))
      (export $R "r" (type $r))
      (func (export "make") (result (own $R)) (canon lift (core func $i "make")))
      (func (export "run") (canon lift (core func $i "run"))))
    """
    held = []

    def drop(caller: Caller) -> None:
        with pytest.raises(Trap, match="cannot enter component instance"):
            held[0].resource_drop(caller)

    linker = Linker(engine)
    linker.root().func_wrap("drop", drop)
    store = Store(engine)
    guest = Funcs(store, linker.instantiate(store, Component(engine, text)))
    held.append(guest.make())
    guest.run()
    with pytest.raises(CanonicalAbiError, match="already de-allocated"):
        held[0].resource_drop(store)


def test_a_borrow_of_a_guests_resource_must_be_given_back(engine):
    text = """
    (component
      (type $r' (resource (rep i32)))
      (import "look" (func $unused))
      (component $C
        (type $r (resource (rep i32)))
        (export $R "r" (type $r))
        (core func $new (canon resource.new $r))
        (core module $m
          (import "" "new" (func $new (param i32) (result i32)))
          (func (export "make") (result i32) (call $new (i32.const 1))))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "make") (result (own $R)) (canon lift (core func $i "make"))))
      (instance $c (instantiate $C))
      (export "c" (instance $c)))
    """
    linker = Linker(engine)
    linker.root().func_wrap("look", lambda: None)
    store = Store(engine)
    instance = linker.instantiate(store, Component(engine, text))
    made = instance.exports(store).instance("c").func("make").call(store)
    with made as inside:
        assert inside is made
    assert instance.exports(store).instance("c").resource("r") == made.ty


def test_imported_resources_are_bound_once(engine):
    text = """
    (component
      (import "a" (type $a (sub resource)))
      (import "b" (type $b (eq $a)))
      (import "c" (type $c (sub resource)))
      (import "f" (func (param "x" (own $a)) (param "y" (own $c)))))
    """
    component = Component(engine, text)

    def link(b):
        linker = Linker(engine)
        root = linker.root()
        root.resource("a", ResourceType.host(File))
        root.resource("b", b)
        root.resource("c", ResourceType.host(File))
        root.func_wrap("f", lambda x, y: None)
        return linker

    pre = link(ResourceType.host(File)).instantiate_pre(component)
    pre.instantiate(Store(engine))
    with pytest.raises(LinkError, match="component imports .*`b`.*mismatched resource types"):
        link(ResourceType.host(str)).instantiate_pre(component)
    ty = link(ResourceType.host(File)).substituted_component_type(component)
    assert ty.imports["f"].params[0] == ("x", Own(ResourceType.host(File)))
    assert component.component_type().imports["f"].params[0] != ty.imports["f"].params[0]


def test_tables_give_numbers_to_objects():
    table = ResourceTable()
    first = table.push("first")
    second = table.push(2)
    assert (first.rep, second.rep) == (0, 1)
    assert table.get(first) == "first"
    with pytest.raises(ResourceTableError, match="resource is of another type"):
        table.get(first, int)
    assert table.delete(first) == "first"
    with pytest.raises(ResourceTableError, match="resource not present"):
        table.get(first)
    assert table.push("third").rep == 0
    with pytest.raises(ResourceTableError, match="resource is of another type"):
        table.delete(second, str)
    with pytest.raises(ResourceTableError, match="resource not present"):
        table.delete(second)
    table.set_max_capacity(1)
    with pytest.raises(ResourceTableError, match="resource table has no free keys"):
        table.push("fourth")
    assert list(table.iter_entries()) == ["third"]


def test_tables_know_children():
    table = ResourceTable()
    parent = table.push("parent")
    child = table.push_child("child", parent)
    with pytest.raises(ResourceTableError, match="resource has children"):
        table.delete(parent)
    assert list(table.iter_children(parent)) == ["child"]
    table.remove_child(child, parent)
    assert list(table.iter_children(parent)) == []
    table.add_child(child, parent)
    table.delete(child)
    table.delete(parent)
    assert table.is_empty()
    with pytest.raises(ResourceTableError, match="resource not present"):
        table.push_child("orphan", parent)
