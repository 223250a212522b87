"""The features of psycopg 3 that programs use, against 127.0.0.1:PORT."""
import asyncio
import sys
import threading

import psycopg
from psycopg import errors

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres sslmode=prefer"


def connect(**more):
    return psycopg.connect(DSN, **more)


def one(c, sql, *parameters, **more):
    return c.execute(sql, parameters or None, **more).fetchone()[0]


def queries():
    with connect(autocommit=True) as c:
        for i in range(20):  # psycopg prepares at the fifth time
            c.execute("INSERT INTO pets VALUES (%s, %s)", (i, f"pet {i}"))
            assert one(c, "SELECT name FROM pets WHERE id = %s", i) == f"pet {i}"
        for i in range(1, 51):
            assert one(c, "SELECT name FROM readings WHERE id = %s", i) == f"reading {i}"
        assert one(c, "SELECT count(*) FROM readings WHERE id < %s", 11, prepare=True) == 10
        assert one(c, "SELECT %b::int", 5, binary=True) == 5
        with c.cursor() as cur:
            cur.executemany("INSERT INTO pets VALUES (%s, %s)", [(i, "many") for i in range(100, 200)])
            cur.executemany("SELECT name FROM readings WHERE id = %s", [(1,), (2,)], returning=True)
            assert cur.fetchone() == ("reading 1",)
            assert cur.nextset() and cur.fetchone() == ("reading 2",)


def prepared_statements_are_dropped():
    with connect(autocommit=True) as c:
        c.prepare_threshold = 0
        c.prepared_max = 5
        for i in range(40):  # more than fit: the oldest are deallocated
            assert one(c, f"SELECT id + {i} FROM readings WHERE id = %s", 1) == 1 + i
        c.execute("ALTER TABLE pets ADD COLUMN more int")
        assert c.execute("SELECT * FROM pets WHERE id = %s", (1,)).fetchone() == (1, "pet 1", None)
        c.execute("ALTER TABLE pets DROP COLUMN more")


def pipeline():
    with connect(autocommit=True) as c:
        with c.pipeline() as p:
            cursors = [c.execute("SELECT name FROM readings WHERE id = %s", (i,)) for i in range(1, 31)]
            p.sync()
            written = c.execute("INSERT INTO pets VALUES (300, 'piped') RETURNING id")
            after = c.execute("SELECT count(*) FROM pets WHERE id = 300")
            assert [cur.fetchone()[0] for cur in cursors] == [f"reading {i}" for i in range(1, 31)]
            assert written.fetchone() == (300,)
            assert after.fetchone() == (1,)
        try:
            with c.pipeline():
                c.execute("INSERT INTO pets VALUES (301, 'lost')")
                c.execute("SELECT 1/0")
                c.execute("INSERT INTO pets VALUES (302, 'skipped')")
            raise AssertionError("a failing pipeline succeeded")
        except (errors.DivisionByZero, psycopg.errors.PipelineAborted):
            pass
        assert one(c, "SELECT count(*) FROM pets WHERE id IN (301, 302)") == 0
        with c.pipeline(), c.transaction():
            c.execute("INSERT INTO pets VALUES (303, 'in a transaction')")
        assert one(c, "SELECT count(*) FROM pets WHERE id = 303") == 1


def server_side_cursor():
    with connect() as c:
        with c.cursor(name="named") as cur:
            cur.itersize = 7
            cur.execute("SELECT id FROM readings WHERE id <= %s ORDER BY id", (100,))
            assert [r[0] for r in cur] == list(range(1, 101))
        with c.cursor(name="held", withhold=True, scrollable=True) as cur:
            cur.execute("SELECT id FROM readings ORDER BY id")
            assert cur.fetchmany(3) == [(1,), (2,), (3,)]
            c.commit()
            cur.scroll(-1)
            assert cur.fetchone() == (3,)
    with connect() as c:
        rows = c.cursor().stream("SELECT id FROM readings ORDER BY id")
        assert [r[0] for r in rows] == list(range(1, 1001))


def copy():
    with connect() as c, c.cursor() as cur:
        cur.execute("CREATE TEMP TABLE copied (a int, b text)")
        with cur.copy("COPY copied FROM STDIN") as out:
            for i in range(10000):
                out.write_row((i, f"text {i}"))
        with cur.copy("COPY (SELECT a, b FROM copied ORDER BY a) TO STDOUT (FORMAT BINARY)") as data:
            data.set_types(["int4", "text"])
            assert sum(1 for _ in data.rows()) == 10000
        c.commit()
        try:
            with cur.copy("COPY copied FROM STDIN") as out:
                out.write_row((1, "x"))
                raise KeyError("changed my mind")
            raise AssertionError("an abandoned copy succeeded")
        except errors.QueryCanceled as e:
            assert "changed my mind" in str(e)
        c.rollback()
        assert one(c, "SELECT count(*) FROM copied") == 10000


def listen():
    with connect(autocommit=True) as c, connect(autocommit=True) as other:
        c.execute("LISTEN news")
        threading.Timer(0.2, lambda: other.execute("NOTIFY news, 'hello'")).start()
        for note in c.notifies():
            assert note.payload == "hello"
            break
        assert one(c, "SELECT count(*) FROM readings") == 1000


def cancel():
    with connect(autocommit=True) as c:
        timer = threading.Timer(0.3, c.cancel)
        timer.start()
        try:
            c.execute("SELECT pg_sleep(30)")
            raise AssertionError("a cancelled query succeeded")
        except errors.QueryCanceled:
            pass
        timer.join()
        assert one(c, "SELECT 1") == 1


def transactions():
    with connect() as c:
        c.read_only = True
        c.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert one(c, "SELECT count(*) FROM readings") == 1000
        assert one(c, "SHOW transaction_isolation") == "repeatable read"
        try:
            c.execute("DELETE FROM readings")
            raise AssertionError("a read-only transaction wrote")
        except errors.ReadOnlySqlTransaction:
            c.rollback()
    with connect() as c:
        with c.transaction():
            c.execute("INSERT INTO pets VALUES (400, 'kept')")
            try:
                with c.transaction():
                    c.execute("INSERT INTO pets VALUES (400, 'twice')")
            except errors.UniqueViolation as e:
                assert e.diag.constraint_name == "pets_pkey"
            with c.transaction(force_rollback=True):
                c.execute("INSERT INTO pets VALUES (401, 'lost')")
        assert one(c, "SELECT count(*) FROM pets WHERE id >= 400") == 1


async def asynchronous():
    connections = await asyncio.gather(*(psycopg.AsyncConnection.connect(DSN, autocommit=True) for _ in range(10)))

    async def work(c):
        for i in range(1, 21):
            cur = await c.execute("SELECT name FROM readings WHERE id = %s", (i,))
            assert (await cur.fetchone())[0] == f"reading {i}"
        await c.close()

    await asyncio.gather(*(work(c) for c in connections))


for feature in (queries, prepared_statements_are_dropped, pipeline, server_side_cursor, copy, listen, cancel, transactions):
    print(feature.__name__, flush=True)
    feature()
print("asynchronous", flush=True)
asyncio.run(asynchronous())
