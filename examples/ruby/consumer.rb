#!/usr/bin/env ruby
# frozen_string_literal: true

# Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
#
#     consumer.rb AMQP_URL QUEUE
#
# The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
# message in hand.
require "bunny"
require "json"
require "pg"

CONSUMER = "shipping" # its name in the inbox: each effect needs its own
ATTEMPTS = 3

# A message that can never be applied.
class Hopeless < StandardError; end

# The effect, in the same transaction as the inbox row.
def apply(tx, body)
  message = JSON.parse(body)
  values = [message.fetch("order"), message.fetch("note")]
rescue JSON::ParserError, KeyError, NoMethodError, TypeError => e
  raise Hopeless, "not an order: #{e.message}"
else
  tx.exec_params("insert into shipment (order_id, note) values ($1, $2)", values)
end

# Applies a message, if it was not applied before. It is committed when this returns.
def handle(db, message_id, body)
  db.transaction do |tx|
    seen = tx.exec_params("insert into inbox (consumer, message_id) values ($1, $2) on conflict do nothing",
                          [CONSUMER, message_id])
    apply(tx, body) if seen.cmd_tuples == 1
  end
end

def hopeless?(error)
  return true if error.is_a?(Hopeless)

  state = error.result&.error_field(PG::PG_DIAG_SQLSTATE)
  state&.start_with?("22", "23") # this body can never be applied
end

# True: applied. False: it cannot be applied, and goes to the dead letters. An outage is an exception.
def accept(db, message_id, body)
  return false if message_id.nil?

  (1..ATTEMPTS).each do |attempt|
    return handle(db, message_id, body) || true
  rescue Hopeless, PG::Error => e
    raise if e.is_a?(PG::Error) && db.status != PG::CONNECTION_OK # an outage, not the message's fault

    warn "attempt #{attempt} of #{ATTEMPTS}: #{message_id}: #{e.message}"
    return false if hopeless?(e)

    sleep attempt
  end
  false
end

# One message at a time, on this thread, so that failures are raised here.
def consume(db, url, queue_name, stopping)
  # No automatic recovery: a delivery tag is valid only on its own channel.
  bunny = Bunny.new(url, automatically_recover: false, continuation_timeout: 4_000, logger: Logger.new(File::NULL))
  bunny.start
  channel = bunny.create_channel
  channel.prefetch(100)
  inbound = Queue.new
  channel.queue(queue_name, passive: true).subscribe(manual_ack: true) { |*delivery| inbound << delivery }
  until stopping.call
    raise "the broker has gone" unless bunny.open? && channel.open?

    next sleep(0.02) if inbound.empty?

    delivery, properties, body = inbound.pop
    if accept(db, properties.message_id, body)
      channel.ack(delivery.delivery_tag) # only after the commit
    else
      channel.reject(delivery.delivery_tag, false)
    end
  end
ensure
  bunny&.close # without a cancel, so that all unacknowledged messages go back at once, in order
end

abort "usage: consumer.rb AMQP_URL QUEUE" unless ARGV.length == 2
stop = false
%w[TERM INT].each { |name| trap(name) { stop = true } }
until stop
  begin
    db = PG.connect # before it asks for messages
    consume(db, *ARGV, -> { stop })
  rescue PG::Error, Bunny::Exception, Timeout::Error, RuntimeError, SystemCallError, IOError => e
    warn "outage, next try in a second: #{e.class}: #{e.message}"
    sleep 1
  ensure
    db&.close
  end
end
