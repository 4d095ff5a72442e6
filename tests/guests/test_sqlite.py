"""SQLite (C, emscripten): queries against a database in an imported memory."""

from __future__ import annotations

import pytest

from asyncwasm import Memory, MemoryType, Store
from tests.guests.guest import Guest, linker_with_stubs

pytestmark = pytest.mark.slow

ROW = 100
READ_WRITE_CREATE = 6
NO_ENTRY = -2


class SqliteError(Exception):
    pass


class Sqlite:
    def __init__(self, engine, module) -> None:
        store = Store(engine)
        linker = linker_with_stubs(engine, module, [])

        def openat(directory: int, path: int, flags: int, rest: int) -> int:
            return NO_ENTRY

        linker.func_wrap("env", "__syscall_openat", openat)
        for wanted in module.imports:
            if isinstance(wanted.type, MemoryType):
                memory = Memory.new(store, wanted.type)
                linker.define(store, wanted.module, wanted.name, memory)
        instance = linker.instantiate(store, module)
        self.guest = Guest(store, instance, memory)
        self.guest.call("__wasm_call_ctors")
        self.out = self.guest.call("malloc", 4)
        name, _ = self.guest.write_cstring(":memory:")
        assert self.guest.call("sqlite3_open_v2", name, self.out, READ_WRITE_CREATE, 0) == 0
        self.handle = self.guest.read_u32(self.out)

    def query(self, sql: str) -> list[tuple[str, ...]]:
        guest = self.guest
        text, _ = guest.write_cstring(sql)
        if guest.call("sqlite3_prepare_v2", self.handle, text, -1, self.out, 0):
            raise SqliteError(guest.read_cstring(guest.call("sqlite3_errmsg", self.handle)))
        statement = guest.read_u32(self.out)
        rows = []
        while guest.call("sqlite3_step", statement) == ROW:
            rows.append(
                tuple(
                    guest.read_cstring(guest.call("sqlite3_column_text", statement, column))
                    for column in range(guest.call("sqlite3_column_count", statement))
                )
            )
        guest.call("sqlite3_finalize", statement)
        return rows


def test_sqlite(engine, guest_module):
    database = Sqlite(engine, guest_module("@sqlite.org/sqlite-wasm"))
    assert database.query("select sqlite_version(), 6 * 7") == [("3.41.2", "42")]
    assert database.query("create table t (a, b)") == []
    assert database.query("insert into t values (1, 'x'), (2, 'y')") == []
    assert database.query("select sum(a), group_concat(b) from t") == [("3", "x,y")]
    with pytest.raises(SqliteError, match='near "selec": syntax error'):
        database.query("selec")
    assert database.query(
        "with recursive c(x) as (select 1 union all select x + 1 from c where x < 30) "
        "select sum(x) from c"
    ) == [("465",)]
