import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.Transaction;
import org.hibernate.cfg.Configuration;

/** Hibernate: an order and its message in one transaction. Orm PAYLOAD commit|rollback */
public final class Orm {
    @Entity
    @Table(name = "orders")
    static class Order {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;

        String item;
        String note;
    }

    /** Of the view that takes INSERT … RETURNING. */
    @Entity
    @Table(name = "outbox_new")
    static class Outbox {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;

        @Column(name = "routing_key")
        String routingKey;

        String key;

        @Column(name = "content_type")
        String contentType;

        @Column(name = "payload_text")
        String payloadText;
    }

    private Orm() {}

    private static Configuration configuration() {
        String url = String.format("jdbc:postgresql://%s:%s/%s", System.getenv("PGHOST"), System.getenv("PGPORT"),
                System.getenv("PGDATABASE"));
        return new Configuration().addAnnotatedClass(Order.class).addAnnotatedClass(Outbox.class)
                .setProperty("hibernate.connection.url", url)
                .setProperty("hibernate.connection.username", System.getenv("PGUSER"))
                .setProperty("hibernate.connection.password", System.getenv("PGPASSWORD"));
    }

    public static void main(String[] args) {
        try (SessionFactory factory = configuration().buildSessionFactory(); Session session = factory.openSession()) {
            Transaction transaction = session.beginTransaction();
            Order order = new Order();
            order.item = "chair";
            order.note = args[1];
            session.persist(order);
            Outbox message = new Outbox();
            message.routingKey = "order.placed";
            message.key = "order-" + order.id;
            message.contentType = "application/json";
            message.payloadText = args[0];
            session.persist(message);
            session.flush();
            if (args[1].equals("commit")) {
                transaction.commit();
            } else {
                transaction.rollback();
            }
        }
    }
}
