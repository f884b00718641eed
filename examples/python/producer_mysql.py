#!/usr/bin/env python3
"""Places an order and announces it, in one transaction, in MariaDB or MySQL.

    producer_mysql.py ITEM NOTE

The environment says where the database is: MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_DATABASE."""
import json
import os
import sys

import pymysql


def connect():
    return pymysql.connect(
        host=os.environ["MYSQL_HOST"], port=int(os.environ["MYSQL_PORT"]), user=os.environ["MYSQL_USER"],
        password=os.environ["MYSQL_PASSWORD"], database=os.environ["MYSQL_DATABASE"], charset="utf8mb4",
    )


def place_order(conn, item, note):
    """Everything is committed or nothing: without the commit, no message about the order is sent."""
    with conn.cursor() as cursor:
        cursor.execute("insert into orders (item, note) values (%s, %s)", (item, note))
        order = cursor.lastrowid
        cursor.execute(
            "insert into outbox (routing_key, `key`, type, content_type, payload_text) values (%s, %s, %s, %s, %s)",
            (
                "order.placed",
                f"order-{order}",  # messages of one key arrive in order
                "order.placed",
                "application/json",
                json.dumps({"order": order, "note": note}, ensure_ascii=False),
            ),
        )
        cursor.execute("update stock set pieces = pieces - 1 where item = %s", (item,))  # fails if none is left
    conn.commit()
    return order


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: producer_mysql.py ITEM NOTE")
    with connect() as conn:
        print(place_order(conn, sys.argv[1], sys.argv[2]))


if __name__ == "__main__":
    main()
