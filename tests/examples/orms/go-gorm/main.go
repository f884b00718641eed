// GORM: an order and its message in one transaction. PAYLOAD commit|rollback
package main

import (
	"errors"
	"fmt"
	"log"
	"os"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

type Order struct {
	ID   int64
	Item string
	Note string
}

type Outbox struct {
	ID          int64
	RoutingKey  string
	Key         string
	ContentType string
	PayloadText *string
}

// The view that takes INSERT … RETURNING.
func (Outbox) TableName() string { return "outbox_new" }

var errRolledBack = errors.New("rolled back")

func main() {
	payload, outcome := os.Args[1], os.Args[2]
	db, err := gorm.Open(postgres.Open(""), &gorm.Config{}) // the PG* variables say where
	if err != nil {
		log.Fatal(err)
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		order := Order{Item: "chair", Note: outcome}
		if err := tx.Create(&order).Error; err != nil {
			return err
		}
		message := Outbox{RoutingKey: "order.placed", Key: fmt.Sprintf("order-%d", order.ID),
			ContentType: "application/json", PayloadText: &payload}
		if err := tx.Create(&message).Error; err != nil {
			return err
		}
		if outcome != "commit" {
			return errRolledBack
		}
		return nil
	})
	if err != nil && !errors.Is(err, errRolledBack) {
		log.Fatal(err)
	}
}
