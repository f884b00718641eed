"""What a team writes in an afternoon: SKIP LOCKED, confirms, delete. Whatever fails ends it; a supervisor starts it again."""
import os
import time

import pika
import psycopg

BATCH = 500
IDLE_S = 0.05
PERSISTENT = 2


def forward(database, channel):
    with database.transaction():
        rows = database.execute(
            "select id, route, payload from outbox order by id limit %s for update skip locked", (BATCH,)).fetchall()
        for number, route, payload in rows:
            channel.basic_publish("peers", route, payload.encode(), pika.BasicProperties(
                delivery_mode=PERSISTENT, message_id=str(number)))  # waits for the confirm
        database.execute("delete from outbox where id = any(%s)", ([row[0] for row in rows],))
    return len(rows)


def main():
    database = psycopg.connect("", autocommit=True)  # libpq's variables
    channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URI"])).channel()
    channel.confirm_delivery()
    while True:
        if forward(database, channel) == 0:
            time.sleep(IDLE_S)


main()
