import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
 * {@code Consumer AMQP_URL QUEUE}. Ends on SIGTERM, after the message in hand.
 */
public final class Consumer {
    private static final String CONSUMER = "shipping"; // its name in the inbox: each effect needs its own
    private static final int ATTEMPTS = 3;
    private static final ObjectMapper JSON = new ObjectMapper();

    private static volatile boolean stopping;

    private Consumer() {}

    /** A message that can never be applied. */
    private static final class Hopeless extends Exception {
        private static final long serialVersionUID = 1L;

        Hopeless() {
            super("not an order");
        }
    }

    /** The effect, in the same transaction as the inbox row. */
    private static void apply(Connection db, byte[] body) throws SQLException, Hopeless {
        JsonNode message;
        try {
            message = JSON.readTree(body);
        } catch (IOException error) {
            throw new Hopeless();
        }
        if (message == null || !message.path("order").isIntegralNumber() || !message.path("note").isTextual()) {
            throw new Hopeless();
        }
        try (PreparedStatement ship = db.prepareStatement("insert into shipment (order_id, note) values (?, ?)")) {
            ship.setLong(1, message.get("order").longValue());
            ship.setString(2, message.get("note").textValue());
            ship.executeUpdate();
        }
    }

    private static boolean first(Connection db, String id) throws SQLException {
        try (PreparedStatement seen = db.prepareStatement(
                "insert into inbox (consumer, message_id) values (?, ?) on conflict do nothing")) {
            seen.setString(1, CONSUMER);
            seen.setString(2, id);
            return seen.executeUpdate() == 1;
        }
    }

    /** Applies a message, if it was not applied before. It is committed when this returns. */
    private static void handle(Connection db, String id, byte[] body) throws SQLException, Hopeless {
        boolean done = false;
        try {
            if (first(db, id)) {
                apply(db, body);
            }
            db.commit();
            done = true;
        } finally {
            if (!done && !db.isClosed()) {
                db.rollback();
            }
        }
    }

    /** SQLSTATE classes 22 and 23: this body can never be applied. */
    private static boolean hopeless(Exception error) {
        String state = error instanceof SQLException ? ((SQLException) error).getSQLState() : null;
        return error instanceof Hopeless || state != null && (state.startsWith("22") || state.startsWith("23"));
    }

    /** True: applied. False: it cannot be applied, and goes to the dead letters. An outage is an exception. */
    private static boolean accept(Connection db, Delivery delivery) throws SQLException, InterruptedException {
        String id = delivery.getProperties().getMessageId();
        if (id == null) {
            return false;
        }
        for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
            try {
                handle(db, id, delivery.getBody());
                return true;
            } catch (Hopeless | SQLException error) {
                if (error instanceof SQLException && !db.isValid(5)) {
                    throw (SQLException) error; // an outage, not the message's fault
                }
                System.err.printf("attempt %d of %d: %s: %s%n", attempt, ATTEMPTS, id, error.getMessage());
                if (hopeless(error)) {
                    return false;
                }
                TimeUnit.SECONDS.sleep(attempt);
            }
        }
        return false;
    }

    private static void work(Connection db, Channel channel, BlockingQueue<Delivery> inbound) throws Exception {
        while (!stopping) {
            Delivery delivery = inbound.poll(100, TimeUnit.MILLISECONDS);
            if (delivery == null && !channel.isOpen()) {
                throw new IOException("the broker has gone");
            }
            if (delivery == null) {
                continue;
            }
            long tag = delivery.getEnvelope().getDeliveryTag();
            if (accept(db, delivery)) {
                channel.basicAck(tag, false); // only after the commit
            } else {
                channel.basicReject(tag, false);
            }
        }
    }

    private static void consume(String url, String queue) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(url);
        factory.setAutomaticRecoveryEnabled(false); // a delivery tag is valid only on its own channel
        // It connects to the database before it asks for messages. It closes without a cancel, so that all
        // unacknowledged messages go back at once, in order.
        try (Connection db = Database.connect(); com.rabbitmq.client.Connection broker = factory.newConnection()) {
            db.setAutoCommit(false);
            Channel channel = broker.createChannel();
            BlockingQueue<Delivery> inbound = new LinkedBlockingQueue<>();
            channel.basicQos(100);
            channel.basicConsume(queue, false, (tag, delivery) -> inbound.add(delivery), tag -> {});
            work(db, channel, inbound);
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: Consumer AMQP_URL QUEUE");
            System.exit(64);
        }
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping = true;
            try {
                ended.await(30, TimeUnit.SECONDS);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }));
        while (!stopping) {
            try {
                consume(args[0], args[1]);
            } catch (Exception error) {
                System.err.println("outage, next try in a second: " + error);
                TimeUnit.SECONDS.sleep(1);
            }
        }
        ended.countDown();
    }
}
