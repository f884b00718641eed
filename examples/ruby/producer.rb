#!/usr/bin/env ruby
# frozen_string_literal: true

# Places an order and announces it, in one transaction.
#
#     producer.rb ITEM NOTE
#
# The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
require "json"
require "pg"

# Everything is committed or nothing: an exception rolls back, and no message about the order is sent.
def place_order(db, item, note)
  db.transaction do |tx|
    order = tx.exec_params("insert into orders (item, note) values ($1, $2) returning id", [item, note]).getvalue(0, 0).to_i
    tx.exec_params(
      "insert into outbox (routing_key, key, type, content_type, payload_text) values ($1, $2, $3, $4, $5)",
      ["order.placed", "order-#{order}", "order.placed", "application/json", # messages of one key arrive in order
       JSON.generate({ order: order, note: note })]
    )
    tx.exec_params("update stock set pieces = pieces - 1 where item = $1", [item]) # fails if none is left
    order
  end
end

abort "usage: producer.rb ITEM NOTE" unless ARGV.length == 2
puts place_order(PG.connect, *ARGV)
