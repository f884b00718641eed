# frozen_string_literal: true

# ActiveRecord: an order and its message in one transaction. active_record.rb PAYLOAD commit|rollback
require "active_record"

# The PG* variables say where.
ActiveRecord::Base.establish_connection(adapter: "postgresql", database: ENV.fetch("PGDATABASE"))

class Order < ActiveRecord::Base
end

class Outbox < ActiveRecord::Base
  self.table_name = "outbox_new" # the view that takes INSERT … RETURNING
  self.primary_key = "id"
  self.inheritance_column = nil # "type" is a column like any other
end

payload, outcome = ARGV
ActiveRecord::Base.transaction do
  order = Order.create!(item: "chair", note: outcome)
  Outbox.create!(routing_key: "order.placed", key: "order-#{order.id}", content_type: "application/json", payload_text: payload)
  raise ActiveRecord::Rollback unless outcome == "commit"
end
