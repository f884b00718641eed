import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** Connects as the environment says, with the variables that PostgreSQL's own programs read. */
final class Database {
    private Database() {}

    static Connection connect() throws SQLException {
        String url = "jdbc:postgresql://" + get("PGHOST", "localhost") + ":" + get("PGPORT", "5432") + "/"
                + get("PGDATABASE", get("PGUSER", "postgres"));
        return DriverManager.getConnection(url, get("PGUSER", "postgres"), get("PGPASSWORD", ""));
    }

    private static String get(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : value;
    }
}
