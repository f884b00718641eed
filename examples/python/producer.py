#!/usr/bin/env python3
"""Places an order and announces it, in one transaction.

    producer.py ITEM NOTE

The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE."""
import json
import sys

import psycopg


def place_order(conn, item, note):
    """Everything is committed or nothing: an exception rolls back, and no message about the order is sent."""
    with conn.transaction():
        order = conn.execute("insert into orders (item, note) values (%s, %s) returning id", (item, note)).fetchone()[0]
        conn.execute(
            "insert into outbox (routing_key, key, type, content_type, payload_text) values (%s, %s, %s, %s, %s)",
            (
                "order.placed",
                f"order-{order}",  # messages of one key arrive in order
                "order.placed",
                "application/json",
                json.dumps({"order": order, "note": note}, ensure_ascii=False),
            ),
        )
        conn.execute("update stock set pieces = pieces - 1 where item = %s", (item,))  # fails if none is left
    return order


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: producer.py ITEM NOTE")
    with psycopg.connect(autocommit=True) as conn:
        print(place_order(conn, sys.argv[1], sys.argv[2]))


if __name__ == "__main__":
    main()
