// Places an order and announces it, in one transaction.
//
//	producer ITEM NOTE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
)

const announce = `insert into outbox (routing_key, key, type, content_type, payload_text)
	values ('order.placed', $1, 'order.placed', 'application/json', $2)`

// Everything is committed or nothing: an error rolls back, and no message about the order is sent.
func placeOrder(ctx context.Context, conn *pgx.Conn, item, note string) (order int64, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(ctx) // has no effect after the commit
	err = tx.QueryRow(ctx, "insert into orders (item, note) values ($1, $2) returning id", item, note).Scan(&order)
	if err != nil {
		return 0, err
	}
	body, err := json.Marshal(map[string]any{"order": order, "note": note})
	if err != nil {
		return 0, err
	}
	// messages of one key arrive in order
	if _, err = tx.Exec(ctx, announce, fmt.Sprintf("order-%d", order), string(body)); err != nil {
		return 0, err
	}
	// fails if none is left
	if _, err = tx.Exec(ctx, "update stock set pieces = pieces - 1 where item = $1", item); err != nil {
		return 0, err
	}
	return order, tx.Commit(ctx)
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: producer ITEM NOTE")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	order, err := placeOrder(ctx, conn, os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order)
}
