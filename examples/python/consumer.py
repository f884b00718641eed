#!/usr/bin/env python3
"""Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.

    consumer.py AMQP_URL QUEUE

The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
message in hand, with status 0; and at an outage with status 1, to be started again (systemd: Restart=on-failure)."""
import json
import signal
import sys
import time

import pika
import psycopg

CONSUMER = "shipping"  # its name in the inbox: each effect needs its own
ATTEMPTS = 3
stopping = False


class Hopeless(Exception):
    """A message that can never be applied."""


def on_signal(_number, _frame):
    global stopping
    stopping = True


def apply(conn, body):
    """The effect, in the same transaction as the inbox row."""
    try:
        message = json.loads(body)
        values = (message["order"], message["note"])
    except (ValueError, KeyError, TypeError) as error:
        raise Hopeless(f"not an order: {error}") from error
    conn.execute("insert into shipment (order_id, note) values (%s, %s)", values)


def handle(conn, message_id, body):
    """Applies a message, if it was not applied before. It is committed when this returns."""
    with conn.transaction():
        seen = conn.execute(
            "insert into inbox (consumer, message_id) values (%s, %s) on conflict do nothing", (CONSUMER, message_id)
        )
        if seen.rowcount == 1:
            apply(conn, body)


def accept(conn, properties, body):
    """True: applied. False: it cannot be applied, and goes to the dead letters. Other exceptions are outages."""
    if not properties.message_id:
        print("rejected: no message id", file=sys.stderr)
        return False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            handle(conn, properties.message_id, body)
            return True
        except (Hopeless, psycopg.DataError, psycopg.IntegrityError) as error:
            print(f"rejected: {properties.message_id}: {error}", file=sys.stderr)
            return False
        except psycopg.Error as error:
            if conn.broken:
                raise  # an outage, not the message's fault
            print(f"attempt {attempt} of {ATTEMPTS}: {properties.message_id}: {error}", file=sys.stderr)
            time.sleep(attempt)
    return False


def consume(conn, url, queue):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=100)
    for method, properties, body in channel.consume(queue, inactivity_timeout=0.2):
        if method is not None and accept(conn, properties, body):
            channel.basic_ack(method.delivery_tag)  # only after the commit
        elif method is not None:
            channel.basic_reject(method.delivery_tag, requeue=False)
        if stopping:
            break
    connection.process_data_events(0)  # sends the last ack
    # No cancel and no close, which pika begins with a cancel: the next consumer would start while this one still has
    # messages, and those would arrive after their successors. The end of the process gives all of them back at once.


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: consumer.py AMQP_URL QUEUE")
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        with psycopg.connect(autocommit=True) as conn:  # before it asks for messages
            consume(conn, sys.argv[1], sys.argv[2])
    except (psycopg.OperationalError, pika.exceptions.AMQPError, OSError) as error:
        time.sleep(1)
        sys.exit(f"outage: {error!r}")  # a supervisor starts it again


if __name__ == "__main__":
    main()
