#!/usr/bin/env python3
"""Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process. With a
database in MariaDB or MySQL.

    consumer_mysql.py AMQP_URL QUEUE

The environment says where the database is: MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE. Ends on
SIGTERM, after the message in hand, with status 0; and at an outage with status 1, to be started again (systemd:
Restart=on-failure)."""
import json
import os
import signal
import sys
import time

import pika
import pymysql
from pymysql.constants import ER

CONSUMER = "shipping"  # its name in the inbox: each effect needs its own
ATTEMPTS = 3
stopping = False


class Hopeless(Exception):
    """A message that can never be applied."""


def on_signal(_number, _frame):
    global stopping
    stopping = True


def connect():
    conn = pymysql.connect(
        host=os.environ["MYSQL_HOST"], port=int(os.environ["MYSQL_PORT"]), user=os.environ["MYSQL_USER"],
        password=os.environ["MYSQL_PASSWORD"], database=os.environ["MYSQL_DATABASE"], charset="utf8mb4",
    )
    with conn.cursor() as cursor:  # suits consumers best: the default also locks gaps between ids
        cursor.execute("set session transaction isolation level read committed")
    return conn


def claim(cursor, message_id):
    """Claims the id; False: it was claimed before. Only error 1062 of this statement says so."""
    try:
        cursor.execute("insert into inbox (consumer, message_id) values (%s, %s)", (CONSUMER, message_id))
        return True
    except pymysql.IntegrityError as error:
        if error.args[0] == ER.DUP_ENTRY:
            return False
        raise


def apply(cursor, body):
    """The effect, in the same transaction as the inbox row."""
    try:
        message = json.loads(body)
        order, note = message["order"], message["note"]
    except (ValueError, KeyError, TypeError) as error:
        raise Hopeless(f"not an order: {error}") from error
    if not isinstance(order, int) or not isinstance(note, str):
        raise Hopeless("not an order: its values are of other types")
    cursor.execute("insert into shipment (order_id, note) values (%s, %s)", (order, note))


def handle(conn, message_id, body):
    """Applies a message, if it was not applied before. It is committed when this returns. After an error all is
    rolled back: the server would go on with the transaction, or, after a deadlock, has ended it already."""
    try:
        with conn.cursor() as cursor:
            if claim(cursor, message_id):
                apply(cursor, body)
        conn.commit()
    except Exception:
        if conn.open:
            conn.rollback()
        raise


def accept(conn, properties, body):
    """True: applied. False: it cannot be applied, and goes to the dead letters. Other exceptions are outages."""
    if not properties.message_id:
        print("rejected: no message id", file=sys.stderr)
        return False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            handle(conn, properties.message_id, body)
            return True
        except (Hopeless, pymysql.DataError, pymysql.IntegrityError) as error:
            print(f"rejected: {properties.message_id}: {error}", file=sys.stderr)
            return False
        except pymysql.MySQLError as error:
            if not conn.open:
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
        sys.exit("usage: consumer_mysql.py AMQP_URL QUEUE")
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        conn = connect()  # before it asks for messages
        consume(conn, sys.argv[1], sys.argv[2])
    except (pymysql.MySQLError, pika.exceptions.AMQPError, OSError) as error:
        time.sleep(1)
        sys.exit(f"outage: {error!r}")  # a supervisor starts it again


if __name__ == "__main__":
    main()
