// Watermill's forwarder as its documents put it together: a subscriber of the outbox table, and a publisher with confirms.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/jackc/pgx/v5/pgxpool"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	logger := watermill.NewStdLogger(false, false)
	pool, err := pgxpool.New(context.Background(), "") // libpq's variables
	check(err)
	subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(pool), sql.SubscriberConfig{
		ConsumerGroup:    "forwarder",
		SchemaAdapter:    sql.DefaultPostgreSQLSchema{},
		OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
		PollInterval:     50 * time.Millisecond,
		InitializeSchema: true,
	}, logger)
	check(err)

	config := amqp.NewDurablePubSubConfig(os.Getenv("AMQP_URI"), nil)
	config.Exchange.GenerateName = amqp.GenerateExchangeNameConstant("peers")
	config.Exchange.Type = "direct"
	config.Publish.GenerateRoutingKey = func(topic string) string { return topic }
	config.Publish.ConfirmDelivery = true
	config.Publish.ChannelPoolSize = 4
	publisher, err := amqp.NewPublisher(config, logger)
	check(err)

	relay, err := forwarder.NewForwarder(subscriber, publisher, logger, forwarder.Config{ForwarderTopic: "outbox"})
	check(err)
	check(relay.Run(context.Background()))
}
