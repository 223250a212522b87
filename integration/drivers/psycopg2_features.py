"""The features of psycopg2 that programs use, against 127.0.0.1:PORT."""
import io
import select
import sys
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras

DSN = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres sslmode=prefer"


def connect(**more):
    return psycopg2.connect(DSN, **more)


def one(cursor, sql, *parameters):
    cursor.execute(sql, parameters or None)
    return cursor.fetchone()[0]


def queries():
    with connect() as c, c.cursor() as cur:
        for i in range(20):
            cur.execute("INSERT INTO pets VALUES (%s, %s)", (i, f"pet {i}"))
            c.commit()
            assert one(cur, "SELECT name FROM pets WHERE id = %s", i) == f"pet {i}"
            c.commit()
        assert one(cur, "SELECT count(*) FROM readings") == 1000
        psycopg2.extras.execute_values(cur, "INSERT INTO pets VALUES %s", [(i, "values") for i in range(100, 200)])
        c.rollback()
        assert one(cur, "SELECT count(*) FROM pets") == 20
    c.close()


def reads():
    c = connect()
    c.autocommit = True
    with c.cursor() as cur:
        for i in range(1, 51):
            assert one(cur, "SELECT name FROM readings WHERE id = %s", i) == f"reading {i}"
    c.close()


def server_side_cursor():
    with connect() as c:
        with c.cursor(name="named") as cur:
            cur.itersize = 7
            cur.execute("SELECT id FROM readings ORDER BY id")
            assert [r[0] for r in cur] == list(range(1, 1001))
        with c.cursor(name="held", withhold=True, scrollable=True) as cur:
            cur.execute("SELECT id FROM readings ORDER BY id")
            assert cur.fetchmany(3) == [(1,), (2,), (3,)]
            c.commit()
            cur.scroll(-1)
            assert cur.fetchone() == (3,)
    c.close()


def copy():
    with connect() as c, c.cursor() as cur:
        cur.execute("CREATE TEMP TABLE copied (a int, b text)")
        cur.copy_from(io.StringIO("".join(f"{i}\ttext {i}\n" for i in range(10000))), "copied")
        out = io.StringIO()
        cur.copy_expert("COPY (SELECT * FROM copied ORDER BY a) TO STDOUT WITH CSV", out)
        assert out.getvalue().count("\n") == 10000
        try:
            cur.copy_from(io.StringIO("x\ty\n"), "copied")
            raise AssertionError("a bad copy succeeded")
        except psycopg2.DataError as e:
            assert e.pgcode == "22P02", e.pgcode
        c.rollback()
    c.close()


def listen():
    c, other = connect(), connect()
    for each in c, other:
        each.autocommit = True
    c.cursor().execute("LISTEN news")
    other.cursor().execute("NOTIFY news, 'hello'")
    deadline = time.time() + 20
    while not c.notifies and time.time() < deadline:
        if select.select([c], [], [], 1) != ([], [], []):
            c.poll()
    assert [n.payload for n in c.notifies] == ["hello"], c.notifies
    c.close()
    other.close()


def cancel():
    c = connect()
    c.autocommit = True
    timer = threading.Timer(0.3, c.cancel)
    timer.start()
    try:
        c.cursor().execute("SELECT pg_sleep(30)")
        raise AssertionError("a cancelled query succeeded")
    except psycopg2.extensions.QueryCanceledError:
        pass
    timer.join()
    assert one(c.cursor(), "SELECT 1") == 1
    c.close()


def transactions():
    c = connect()
    c.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
    with c, c.cursor() as cur:
        assert one(cur, "SELECT count(*) FROM readings") == 1000
        assert one(cur, "SHOW transaction_isolation") == "serializable"
    try:
        with c, c.cursor() as cur:
            cur.execute("DELETE FROM readings")
        raise AssertionError("a read-only transaction wrote")
    except psycopg2.errors.ReadOnlySqlTransaction:
        pass
    c.close()
    with connect() as c, c.cursor() as cur:
        cur.execute("SAVEPOINT a")
        try:
            cur.execute("SELECT 1/0")
        except psycopg2.errors.DivisionByZero as e:
            assert "division by zero" in e.pgerror
        try:
            cur.execute("SELECT 1")
            raise AssertionError("a failed transaction went on")
        except psycopg2.errors.InFailedSqlTransaction:
            pass
        cur.execute("ROLLBACK TO a")
        assert one(cur, "SELECT 2") == 2
    c.close()


def prepared_transaction_is_off():
    c = connect()
    try:
        x = c.xid(1, "gtrid", "bqual")
        c.tpc_begin(x)
        c.cursor().execute("INSERT INTO pets VALUES (999, 'two-phase')")
        c.tpc_prepare()
        raise AssertionError("max_prepared_transactions is 0")
    except psycopg2.DatabaseError as e:
        assert e.pgcode == "55000", e.pgcode
    c.close()


def settings():
    c = connect(application_name="the name", options="-c search_path=pg_catalog -c intervalstyle=iso_8601 -c timezone=Asia/Tokyo")
    assert c.get_parameter_status("TimeZone") == "Asia/Tokyo", c.get_parameter_status("TimeZone")
    assert c.get_parameter_status("IntervalStyle") == "iso_8601", c.get_parameter_status("IntervalStyle")
    with c, c.cursor() as cur:
        assert one(cur, "SHOW application_name") == "the name"
        assert one(cur, "SHOW search_path") == "pg_catalog"
        assert one(cur, "SELECT count(*) FROM public.readings") == 1000
    c.set_client_encoding("LATIN1")
    with c, c.cursor() as cur:
        assert one(cur, "SELECT %s || chr(233)", "\u00e9") == "\u00e9\u00e9"
    c.close()


def notices():
    c = connect()
    with c, c.cursor() as cur:
        cur.execute("DROP TABLE IF EXISTS nowhere")
    assert any("does not exist, skipping" in n for n in c.notices), c.notices
    c.close()


def asynchronous():
    c = psycopg2.connect(DSN, async_=1)

    def wait():
        while (state := c.poll()) != psycopg2.extensions.POLL_OK:
            if state == psycopg2.extensions.POLL_READ:
                select.select([c.fileno()], [], [], 20)
            else:
                select.select([], [c.fileno()], [], 20)

    wait()
    cur = c.cursor()
    cur.execute("SELECT count(*) FROM readings")
    wait()
    assert cur.fetchone() == (1000,)
    c.close()


for feature in (queries, reads, server_side_cursor, copy, listen, cancel, transactions, prepared_transaction_is_off,
                settings, notices, asynchronous):
    print(feature.__name__, flush=True)
    feature()
