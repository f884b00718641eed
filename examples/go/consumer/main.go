// Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
//
//	consumer AMQP_URL QUEUE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
// message in hand.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	consumer = "shipping" // its name in the inbox: each effect needs its own
	attempts = 3
)

// A message that can never be applied.
var errHopeless = errors.New("not an order")

type order struct {
	Order *int64  `json:"order"`
	Note  *string `json:"note"`
}

// The effect, in the same transaction as the inbox row.
func apply(ctx context.Context, tx pgx.Tx, body []byte) error {
	var message order
	if json.Unmarshal(body, &message) != nil || message.Order == nil || message.Note == nil {
		return errHopeless
	}
	_, err := tx.Exec(ctx, "insert into shipment (order_id, note) values ($1, $2)", *message.Order, *message.Note)
	return err
}

// Applies a message, if it was not applied before. It is committed when this returns nil.
func handle(ctx context.Context, conn *pgx.Conn, id string, body []byte) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // has no effect after the commit
	seen, err := tx.Exec(ctx, "insert into inbox (consumer, message_id) values ($1, $2) on conflict do nothing", consumer, id)
	if err != nil {
		return err
	}
	if seen.RowsAffected() == 1 {
		if err = apply(ctx, tx, body); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// SQLSTATE classes 22 and 23: this body can never be applied.
func hopeless(err error) bool {
	var refused *pgconn.PgError
	return errors.Is(err, errHopeless) ||
		errors.As(err, &refused) && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "23"))
}

// True: applied. False: it cannot be applied, and goes to the dead letters. An error is an outage.
func accept(ctx context.Context, conn *pgx.Conn, delivery *amqp.Delivery) (bool, error) {
	if delivery.MessageId == "" {
		return false, nil
	}
	for attempt := 1; attempt <= attempts; attempt++ {
		err := handle(ctx, conn, delivery.MessageId, delivery.Body)
		if err == nil {
			return true, nil
		}
		if conn.IsClosed() {
			return false, err // an outage, not the message's fault
		}
		log.Printf("attempt %d of %d: %s: %v", attempt, attempts, delivery.MessageId, err)
		if hopeless(err) {
			return false, nil
		}
		time.Sleep(time.Duration(attempt) * time.Second)
	}
	return false, nil
}

func open(url, queue string) (*amqp.Connection, <-chan amqp.Delivery, error) {
	connection, err := amqp.Dial(url)
	if err != nil {
		return nil, nil, err
	}
	channel, err := connection.Channel()
	if err == nil {
		err = channel.Qos(100, 0, false)
	}
	var deliveries <-chan amqp.Delivery
	if err == nil {
		deliveries, err = channel.Consume(queue, "", false, false, false, false, nil)
	}
	if err != nil {
		connection.Close()
	}
	return connection, deliveries, err
}

func consume(stopping context.Context, url, queue string) error {
	ctx := context.Background()       // a stop does not interrupt a message that is being applied
	conn, err := pgx.Connect(ctx, "") // before it asks for messages
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	connection, deliveries, err := open(url, queue)
	if err != nil {
		return err
	}
	// Without a cancel before it, so that all unacknowledged messages go back at once, in order.
	defer connection.Close()
	for stopping.Err() == nil {
		select {
		case <-stopping.Done():
		case delivery, ok := <-deliveries:
			if !ok {
				return errors.New("the broker has gone")
			}
			applied, err := accept(ctx, conn, &delivery)
			if err != nil {
				return err
			}
			if applied {
				err = delivery.Ack(false) // only after the commit
			} else {
				err = delivery.Reject(false)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: consumer AMQP_URL QUEUE")
	}
	stopping, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	for stopping.Err() == nil {
		if err := consume(stopping, os.Args[1], os.Args[2]); err != nil {
			log.Printf("outage, next try in a second: %v", err)
			time.Sleep(time.Second)
		}
	}
}
