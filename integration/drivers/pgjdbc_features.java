// The features of pgjdbc that programs use, against 127.0.0.1:PORT, with its defaults: a
// statement is prepared on the server at its fifth use.

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.*;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

class PgjdbcFeatures {
    static String port;

    interface Feature {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        port = args[0];
        feature("queries", PgjdbcFeatures::queries);
        feature("query modes", PgjdbcFeatures::queryModes);
        feature("batches", PgjdbcFeatures::batches);
        feature("cursors", PgjdbcFeatures::cursors);
        feature("redefined", PgjdbcFeatures::redefined);
        feature("autosave", PgjdbcFeatures::autosave);
        feature("transactions", PgjdbcFeatures::transactions);
        feature("generated keys and calls", PgjdbcFeatures::calls);
        feature("metadata", PgjdbcFeatures::metadata);
        feature("session", PgjdbcFeatures::session);
        feature("copy", PgjdbcFeatures::copy);
        feature("large objects", PgjdbcFeatures::largeObjects);
        feature("notifications", PgjdbcFeatures::notifications);
        feature("cancel", PgjdbcFeatures::cancel);
        feature("server types", PgjdbcFeatures::serverTypes);
        feature("threads", PgjdbcFeatures::threads);
    }

    static void feature(String name, Feature f) throws Exception {
        System.out.println(name);
        f.run();
    }

    /** connect takes further properties as name, value, name, value. */
    static Connection connect(String... more) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", "postgres");
        for (int i = 0; i < more.length; i += 2) {
            p.setProperty(more[i], more[i + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/postgres", p);
    }

    static void want(Object want, Object got) {
        if (want == null ? got != null : !want.equals(got)) {
            throw new AssertionError("got " + got + ", want " + want);
        }
    }

    static void wantState(String state, Feature f) throws Exception {
        try {
            f.run();
        } catch (SQLException e) {
            if (!state.equals(e.getSQLState())) {
                throw e;
            }
            return;
        }
        throw new AssertionError("no error " + state);
    }

    static Object one(Connection c, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                s.setObject(i + 1, parameters[i]);
            }
            try (ResultSet r = s.executeQuery()) {
                r.next();
                return r.getObject(1);
            }
        }
    }

    static void run(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    static void queries() throws Exception {
        try (Connection c = connect();
                PreparedStatement insert = c.prepareStatement("INSERT INTO pets VALUES (?, ?)");
                PreparedStatement select = c.prepareStatement("SELECT name FROM pets WHERE id = ?");
                PreparedStatement read = c.prepareStatement("SELECT name, id::numeric, now(), ARRAY[id] FROM readings WHERE id = ?")) {
            for (int i = 0; i < 20; i++) { // by name from the fifth, in binary too
                insert.setInt(1, i);
                insert.setString(2, "pet " + i);
                want(1, insert.executeUpdate());
                select.setInt(1, i);
                try (ResultSet r = select.executeQuery()) {
                    want(true, r.next());
                    want("pet " + i, r.getString(1));
                }
            }
            for (int i = 1; i <= 50; i++) {
                read.setInt(1, i);
                try (ResultSet r = read.executeQuery()) {
                    want(true, r.next());
                    want("reading " + i, r.getString(1));
                    want(i, ((Integer[]) r.getArray(4).getArray())[0]);
                }
            }
            for (int i = 0; i < 600; i++) { // more texts than its cache has: the oldest are closed
                for (int j = 0; j < (i < 5 ? 7 : 1); j++) {
                    want(1 + i, one(c, "SELECT id + " + i + " FROM readings WHERE id = ?", 1));
                }
            }
            wantState("22012", () -> one(c, "SELECT 1/?", 0));
            want(2, one(c, "SELECT 1 + ?", 1));
            try (Statement s = c.createStatement()) { // several statements, several results
                want(true, s.execute("SELECT 1; UPDATE pets SET name = 'x' WHERE id = 1; SELECT 2"));
                want(false, s.getMoreResults());
                want(1, s.getUpdateCount());
                want(true, s.getMoreResults());
            }
        }
    }

    static void queryModes() throws Exception {
        for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
            try (Connection c = connect("preferQueryMode", mode, "prepareThreshold", "1")) {
                for (int i = 1; i <= 10; i++) {
                    want("reading " + i, one(c, "SELECT name FROM readings WHERE id = ?", i));
                }
                try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT count(*) FROM readings")) {
                    r.next();
                    want(1000L, r.getLong(1));
                }
            }
        }
    }

    static void batches() throws Exception {
        for (String rewrite : List.of("false", "true")) {
            try (Connection c = connect("reWriteBatchedInserts", rewrite);
                    PreparedStatement s = c.prepareStatement("INSERT INTO pets VALUES (?, ?)")) {
                run(c, "DELETE FROM pets WHERE id >= 1000");
                for (int round = 0; round < 8; round++) {
                    for (int i = 0; i < 300; i++) {
                        s.setInt(1, 1000 + 300 * round + i);
                        s.setString(2, "in a batch");
                        s.addBatch();
                    }
                    want(300, s.executeBatch().length);
                }
                want(2400L, one(c, "SELECT count(*) FROM pets WHERE id >= ?", 1000));
                c.setAutoCommit(false);
                s.setInt(1, 9000);
                s.setString(2, "kept?");
                s.addBatch();
                s.setInt(1, 1000);
                s.setString(2, "twice");
                s.addBatch();
                try {
                    s.executeBatch();
                    throw new AssertionError("a batch with a duplicate succeeded");
                } catch (BatchUpdateException e) {
                    want("23505", e.getSQLState());
                }
                c.rollback();
                want(0L, one(c, "SELECT count(*) FROM pets WHERE id = ?", 9000));
                c.commit();
                c.setAutoCommit(true);
                try (PreparedStatement u = c.prepareStatement("UPDATE pets SET name = ? WHERE id = ?")) {
                    for (int i = 0; i < 50; i++) {
                        u.setString(1, "updated");
                        u.setInt(2, 1000 + i);
                        u.addBatch();
                    }
                    for (int n : u.executeBatch()) {
                        want(1, n);
                    }
                }
            }
        }
    }

    static void cursors() throws Exception {
        try (Connection c = connect()) {
            c.setAutoCommit(false); // then a fetch size makes portals
            for (int round = 0; round < 8; round++) {
                try (PreparedStatement s = c.prepareStatement("SELECT id FROM readings ORDER BY id")) {
                    s.setFetchSize(70);
                    try (ResultSet r = s.executeQuery()) {
                        for (int i = 1; i <= 1000; i++) {
                            want(true, r.next());
                            want(i, r.getInt(1));
                            if (i == 500) {
                                want("reading 7", one(c, "SELECT name FROM readings WHERE id = ?", 7));
                                run(c, "UPDATE pets SET name = 'while a portal is open' WHERE id = 2");
                            }
                        }
                        want(false, r.next());
                    }
                }
                c.commit();
            }
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                    ResultSet r = s.executeQuery("SELECT id, name FROM pets WHERE id < 10 ORDER BY id")) {
                want(true, r.absolute(3));
                r.updateString("name", "by the result set");
                r.updateRow();
                want(true, r.first());
            }
            c.commit();
            want("by the result set", one(c, "SELECT name FROM pets WHERE id = ?", 2));
            c.commit();
        }
    }

    // pgjdbc prepares anew by itself where a transaction does not forbid it.
    static void redefined() throws Exception {
        try (Connection c = connect(); Connection other = connect();
                PreparedStatement s = c.prepareStatement("SELECT * FROM pets WHERE id = ?")) {
            s.setInt(1, 1);
            for (int i = 0; i < 8; i++) {
                s.executeQuery().close();
            }
            run(other, "ALTER TABLE pets ADD COLUMN more int");
            int columns = 2;
            for (int i = 0; i < 1000 && columns == 2; i++) { // a standby may show it a little later
                try (ResultSet r = s.executeQuery()) {
                    columns = r.getMetaData().getColumnCount();
                }
                Thread.sleep(10);
            }
            want(3, columns);
            run(c, "ALTER TABLE pets DROP COLUMN more");
            for (int i = 0; i < 8; i++) {
                try (ResultSet r = s.executeQuery()) {
                    want(2, r.getMetaData().getColumnCount());
                }
            }
            run(c, "DISCARD ALL");
            s.executeQuery().close();
            run(c, "DEALLOCATE ALL");
            s.executeQuery().close();
        }
    }

    static void autosave() throws Exception {
        for (String autosave : List.of("always", "conservative")) {
            for (String cleanup : List.of("false", "true")) {
                try (Connection c = connect("autosave", autosave, "cleanupSavepoints", cleanup)) {
                    c.setAutoCommit(false);
                    run(c, "DELETE FROM pets WHERE id >= 20000");
                    for (int i = 0; i < 12; i++) {
                        try (PreparedStatement s = c.prepareStatement("INSERT INTO pets VALUES (?, 'saved')")) {
                            s.setInt(1, 20000 + i);
                            s.executeUpdate();
                        }
                        want("reading 9", one(c, "SELECT name FROM readings WHERE id = ?", 9));
                        if (autosave.equals("always")) {
                            wantState("23505", () -> run(c, "INSERT INTO pets VALUES (20000, 'twice')"));
                        }
                    }
                    PreparedStatement s = c.prepareStatement("SELECT * FROM pets WHERE id = ?");
                    s.setInt(1, 20000);
                    for (int i = 0; i < 8; i++) {
                        s.executeQuery().close();
                    }
                    run(c, "ALTER TABLE pets ADD COLUMN more int");
                    s.executeQuery().close(); // by its savepoint
                    run(c, "ALTER TABLE pets DROP COLUMN more");
                    s.executeQuery().close();
                    want(12L, one(c, "SELECT count(*) FROM pets WHERE id >= ?", 20000));
                    c.commit();
                }
            }
        }
    }

    static void transactions() throws Exception {
        try (Connection c = connect()) {
            c.setAutoCommit(false);
            c.setReadOnly(true);
            want(1000L, one(c, "SELECT count(*) FROM readings"));
            wantState("25006", () -> run(c, "DELETE FROM readings"));
            c.rollback();
            c.setReadOnly(false);
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            want(Connection.TRANSACTION_REPEATABLE_READ, c.getTransactionIsolation());
            want("repeatable read", one(c, "SHOW transaction_isolation"));
            c.commit();
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            run(c, "INSERT INTO pets VALUES (30000, 'kept')");
            Savepoint before = c.setSavepoint("before");
            wantState("23505", () -> run(c, "INSERT INTO pets VALUES (30000, 'twice')"));
            wantState("25P02", () -> one(c, "SELECT 1"));
            c.rollback(before);
            c.releaseSavepoint(before);
            c.commit();
            want(1L, one(c, "SELECT count(*) FROM pets WHERE id = ?", 30000));
            c.rollback();
        }
    }

    static void calls() throws Exception {
        try (Connection c = connect()) {
            run(c, "CREATE TABLE keyed (id serial PRIMARY KEY, name text)");
            run(c, "CREATE FUNCTION twice(a int, OUT b int) LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'");
            run(c, "CREATE PROCEDURE remember(what text) LANGUAGE sql AS 'INSERT INTO keyed (name) VALUES (what)'");
            for (int i = 1; i <= 10; i++) {
                try (PreparedStatement s = c.prepareStatement("INSERT INTO keyed (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
                    s.setString(1, "with a key");
                    s.executeUpdate();
                    ResultSet keys = s.getGeneratedKeys();
                    want(true, keys.next());
                    want(i, keys.getInt(1));
                }
                try (CallableStatement s = c.prepareCall("{? = call twice(?)}")) {
                    s.registerOutParameter(1, Types.INTEGER);
                    s.setInt(2, i);
                    s.execute();
                    want(2 * i, s.getInt(1));
                }
            }
            try (CallableStatement s = c.prepareCall("CALL remember(?)")) {
                s.setString(1, "by a procedure");
                s.execute();
            }
            want(11L, one(c, "SELECT count(*) FROM keyed"));
            run(c, "DROP TABLE keyed");
            run(c, "DROP FUNCTION twice");
            run(c, "DROP PROCEDURE remember");
        }
    }

    static void metadata() throws Exception {
        try (Connection c = connect()) {
            DatabaseMetaData m = c.getMetaData();
            want("PostgreSQL", m.getDatabaseProductName());
            try (ResultSet r = m.getTables(null, "public", "readings", null)) {
                want(true, r.next());
            }
            try (ResultSet r = m.getColumns(null, "public", "readings", null)) {
                want(true, r.next());
                want("id", r.getString("COLUMN_NAME"));
            }
            try (ResultSet r = m.getPrimaryKeys(null, "public", "readings")) {
                want(true, r.next());
            }
            try (PreparedStatement s = c.prepareStatement("SELECT id, name FROM readings WHERE id = ?")) {
                want(1, s.getParameterMetaData().getParameterCount());
                want(2, s.getMetaData().getColumnCount());
            }
        }
    }

    static void session() throws Exception {
        try (Connection c = connect("ApplicationName", "of the driver", "options", "-c my.option=given", "currentSchema", "pg_catalog,public")) {
            want(true, c.isValid(5));
            want("of the driver", one(c, "SHOW application_name"));
            c.setClientInfo("ApplicationName", "another");
            want("another", one(c, "SHOW application_name"));
            want("another", one(c, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"));
            want("given", one(c, "SHOW my.option"));
            want("pg_catalog, public", ((String) one(c, "SHOW search_path")).replace(",", ", ").replace("  ", " "));
            c.setSchema("public");
            want("public", c.getSchema());
            run(c, "CREATE TEMP TABLE mine (n int)");
            run(c, "INSERT INTO mine VALUES (1)");
            want(1L, one(c, "SELECT count(*) FROM mine"));
            run(c, "DROP TABLE mine");
            run(c, "SET timezone = 'Asia/Tokyo'");
            for (int i = 0; i < 10; i++) {
                want("Asia/Tokyo", one(c, "SHOW timezone"));
            }
        }
    }

    static void copy() throws Exception {
        try (Connection c = connect()) {
            run(c, "CREATE TABLE copied (a int, b text)");
            CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder rows = new StringBuilder();
            for (int i = 0; i < 10000; i++) {
                rows.append(i).append("\ttext ").append(i).append('\n');
            }
            want(10000L, copies.copyIn("COPY copied FROM STDIN", new StringReader(rows.toString())));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            want(10000L, copies.copyOut("COPY (SELECT * FROM copied ORDER BY a) TO STDOUT", out));
            want(rows.toString(), out.toString());
            run(c, "DROP TABLE copied");
        }
    }

    static void largeObjects() throws Exception {
        try (Connection c = connect()) {
            c.setAutoCommit(false);
            LargeObjectManager objects = c.unwrap(PGConnection.class).getLargeObjectAPI();
            long id = objects.createLO();
            LargeObject o = objects.open(id, LargeObjectManager.READWRITE);
            o.write(new byte[100000]);
            o.seek(0);
            want(100000, o.read(200000).length);
            o.close();
            c.commit();
            objects.delete(id);
            c.commit();
        }
    }

    static void notifications() throws Exception {
        try (Connection c = connect(); Connection other = connect()) {
            run(c, "LISTEN news");
            run(other, "NOTIFY news, 'hello'");
            PGNotification[] got = null;
            for (int i = 0; i < 100 && (got == null || got.length == 0); i++) {
                got = c.unwrap(PGConnection.class).getNotifications(200);
            }
            want("hello", got[0].getParameter());
            want(1000L, one(c, "SELECT count(*) FROM readings"));
            run(c, "UNLISTEN *");
        }
    }

    static void cancel() throws Exception {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            wantState("57014", () -> s.executeQuery("SELECT pg_sleep(30)"));
            s.setQueryTimeout(0);
            want(1, one(c, "SELECT 1"));
        }
    }

    static void serverTypes() throws Exception {
        for (String type : List.of("any", "primary", "preferSecondary", "preferPrimary")) {
            try (Connection c = connect("targetServerType", type)) {
                want(1000L, one(c, "SELECT count(*) FROM readings"));
            }
        }
    }

    static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<?>> all = new ArrayList<>();
        for (int t = 0; t < 8; t++) {
            int thread = t;
            all.add(pool.submit(() -> {
                try (Connection c = connect()) {
                    c.setAutoCommit(thread % 2 == 0);
                    for (int i = 1; i <= 60; i++) {
                        want("reading " + i, one(c, "SELECT name FROM readings WHERE id = ?", i));
                        try (PreparedStatement s = c.prepareStatement("INSERT INTO pets VALUES (?, 'of a thread')")) {
                            s.setInt(1, 40000 + 100 * thread + i);
                            want(1, s.executeUpdate());
                        }
                        want(1L, one(c, "SELECT count(*) FROM pets WHERE id = ?", 40000 + 100 * thread + i));
                        if (thread % 2 != 0) {
                            c.commit();
                        }
                    }
                }
                return null;
            }));
        }
        for (Future<?> f : all) {
            f.get();
        }
        pool.shutdown();
    }
}
