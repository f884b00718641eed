import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/** Places an order and announces it, in one transaction: {@code Producer ITEM NOTE}. */
public final class Producer {
    private Producer() {}

    /** Everything is committed or nothing: an exception rolls back, and no message about the order is sent. */
    static long placeOrder(Connection db, String item, String note) throws SQLException, IOException {
        db.setAutoCommit(false);
        try {
            long order = insertOrder(db, item, note);
            announce(db, order, note);
            takeFromStock(db, item);
            db.commit();
            return order;
        } catch (SQLException | IOException | RuntimeException error) {
            db.rollback();
            throw error;
        }
    }

    private static long insertOrder(Connection db, String item, String note) throws SQLException {
        try (PreparedStatement insert = db.prepareStatement("insert into orders (item, note) values (?, ?) returning id")) {
            insert.setString(1, item);
            insert.setString(2, note);
            try (ResultSet row = insert.executeQuery()) {
                row.next();
                return row.getLong(1);
            }
        }
    }

    private static void announce(Connection db, long order, String note) throws SQLException, IOException {
        ObjectMapper json = new ObjectMapper();
        String body = json.writeValueAsString(json.createObjectNode().put("order", order).put("note", note));
        try (PreparedStatement insert = db.prepareStatement(
                "insert into outbox (routing_key, key, type, content_type, payload_text) values (?, ?, ?, ?, ?)")) {
            insert.setString(1, "order.placed");
            insert.setString(2, "order-" + order); // messages of one key arrive in order
            insert.setString(3, "order.placed");
            insert.setString(4, "application/json");
            insert.setString(5, body);
            insert.executeUpdate();
        }
    }

    private static void takeFromStock(Connection db, String item) throws SQLException {
        try (PreparedStatement take = db.prepareStatement("update stock set pieces = pieces - 1 where item = ?")) {
            take.setString(1, item);
            take.executeUpdate(); // fails if none is left
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: Producer ITEM NOTE");
            System.exit(64);
        }
        try (Connection db = Database.connect()) {
            System.out.println(placeOrder(db, args[0], args[1]));
        }
    }
}
