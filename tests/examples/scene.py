"""What the tests of the examples stand on: two databases, a queue with its dead letters, a relay, and a wire that can be cut.

Real servers; OUTBOX_TEST_* say where (tests/services)."""
import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import pika
import psycopg

SOURCE = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = SOURCE / "examples"
DEADLINE_S = 90


def setting(name):
    return os.environ["OUTBOX_TEST_" + name]


def until(what, condition, deadline_s=DEADLINE_S):
    """Waits for a condition and returns what it said."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s} s")
        time.sleep(0.02)


class Wire:
    """A port in front of the broker. cut() ends the connections through it, as a network does."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
                self.pairs.append((near, far))
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    @staticmethod
    def _carry(near, far):
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError):
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def close(self):
        self.listener.close()
        self.cut()


class Supervised:
    """A program that is started again when it ends with another status than 0, until it is stopped or killed."""

    def __init__(self, start):
        self.start = start
        self.wanted = True
        self.process = start()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self):
        while self.process.wait() != 0 and self.wanted:
            self.process = self.start()

    def kill(self):
        self.wanted = False
        while self.watcher.is_alive():
            self.process.kill()
            self.watcher.join(0.05)

    def stop(self):
        """By SIGTERM; its exit status."""
        self.wanted = False
        self.process.terminate()
        return self.process.wait(timeout=DEADLINE_S)


class Scene(contextlib.ExitStack):
    """A shop and a shipping department that nobody else sees."""

    kind = "postgres"
    # The rights that docs/PRODUCING.md gives the application's role: to insert, or to insert with RETURNING as ORMs do.
    rights = {"outbox": "grant insert on outbox to {role}", "outbox_new": "grant insert, select on outbox_new to {role}"}
    shop_rights = "grant select, insert, update on stock, orders to {role}; grant select on sequence orders_id_seq to {role}"
    shop_files = [EXAMPLES / "shop.sql"]
    shipping_files = [SOURCE / "consumers/postgres/schema.sql", EXAMPLES / "shipping.sql"]
    slowly = (
        "create function slowly() returns trigger language plpgsql as $$ begin"
        " perform pg_sleep((select seconds from pace where from_order <= new.order_id order by from_order desc limit 1));"
        " return new; end $$",
        "create trigger slowly before insert on shipment for each row execute function slowly()",
    )

    def __init__(self):
        super().__init__()
        self.name = "example_" + uuid.uuid4().hex[:12]
        self.role = self.name + "_app"
        self.directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        # Without heartbeats: nobody answers them while a test waits for a program, or for what it is built of.
        parameters = pika.URLParameters(setting("AMQP_URI"))
        parameters.heartbeat = 0
        self.broker = self.enter_context(contextlib.closing(pika.BlockingConnection(parameters)))
        self.channel = self.broker.channel()
        self.channel.confirm_delivery()
        self._make_database("shop", self.shop_files)
        self._make_database("shipping", self.shipping_files)
        self._make_queues()
        self.wire = self.enter_context(contextlib.closing(Wire(setting("AMQP_HOST"), int(setting("AMQP_PORT")))))

    # ---- databases

    def database(self, which):
        return f"{self.name}_{which}"

    def connect(self, which=None):
        return psycopg.connect(
            host=setting("PG_HOST"), port=setting("PG_PORT"), user="postgres", password=setting("PG_PASSWORD"),
            dbname=self.database(which) if which else "postgres", autocommit=True,
        )

    def dsn(self):
        """Where the relay finds the outbox."""
        where = {"host": setting("PG_HOST"), "port": setting("PG_PORT"), "user": "postgres", "password": setting("PG_PASSWORD")}
        return " ".join(f"{name}={value}" for name, value in {**where, "dbname": self.database("shop")}.items())

    def query(self, which, sql, *values):
        with self.connect(which) as conn:
            cursor = conn.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else None

    def end_sessions(self, which):
        self.query(None, "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", self.database(which))

    def slow_down(self, paces):
        """What is shipped from an order on takes so many seconds each."""
        self.query("shipping", "create table pace (from_order bigint, seconds float)")
        for from_order, seconds in paces:
            self.query("shipping", "insert into pace values (%s, %s)", from_order, seconds)
        for statement in self.slowly:
            self.query("shipping", statement)

    def _make_database(self, which, files):
        self.query(None, f"create database {self.database(which)}")
        self.callback(self.query, None, f"drop database if exists {self.database(which)} with (force)")
        for file in files:
            self.query(which, file.read_text(encoding="utf-8"))

    # The rights are granted when all tables are there.
    def _make_application(self, rights):
        self.query(None, f"create role {self.role} login password 'app'")
        self.callback(self.query, None, f"drop role {self.role}")
        self.callback(self.query, "shop", f"drop owned by {self.role}")
        for grant in (rights, self.shop_rights):
            self.query("shop", grant.format(role=self.role))

    def environment(self, which):
        """What a program needs to find its database: as the application's role in the shop."""
        producer = which == "shop"
        return {
            **os.environ,
            "LC_ALL": "C.UTF-8",  # what the arguments are in, wherever the test runs
            "PGHOST": setting("PG_HOST"),
            "PGPORT": setting("PG_PORT"),
            "PGUSER": self.role if producer else "postgres",
            "PGPASSWORD": "app" if producer else setting("PG_PASSWORD"),
            "PGDATABASE": self.database(which),
        }

    # ---- broker

    def _make_queues(self):
        self.channel.exchange_declare(self.name, "topic", durable=True)
        self.callback(self._delete, lambda channel: channel.exchange_delete(self.name))
        self.channel.exchange_declare(self.name + ".dead", "fanout", durable=True)
        self.callback(self._delete, lambda channel: channel.exchange_delete(self.name + ".dead"))
        for queue, exchange, arguments in (
            ("shipping", self.name, {"x-dead-letter-exchange": self.name + ".dead"}),
            ("spy", self.name, {}),
            ("dead", self.name + ".dead", {}),
        ):
            self.channel.queue_declare(self.queue(queue), durable=True, arguments=arguments)
            self.callback(self._delete, lambda channel, name=self.queue(queue): channel.queue_delete(name))
            self.channel.queue_bind(self.queue(queue), exchange, "#")

    # On a connection of its own: that of the scene may have ended while a long program ran.
    @staticmethod
    def _delete(act):
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(setting("AMQP_URI")))) as connection:
            act(connection.channel())

    def queue(self, which):
        return f"{self.name}.{which}"

    def take(self, which):
        """The next message of a queue: properties and body. None: there is none."""
        method, properties, body = self.channel.basic_get(self.queue(which), auto_ack=True)
        return None if method is None else (properties, body)

    def await_message(self, which):
        return until(f"a message in {which}", lambda: self.take(which))

    def unsettled(self, which):
        """How many messages of a queue are not acknowledged yet, in it or in somebody's hand."""
        command = [setting("RABBITMQCTL"), "--quiet", "list_queues", "--no-table-headers", "name", "messages"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return int(dict(line.split("\t") for line in listed.splitlines())[self.queue(which)])

    def await_no_consumer(self, which):
        """Until the broker knows that a consumer is gone, and has all back that it had in hand: another one that came earlier
        would be given what follows first."""
        until("nobody consumes", lambda: self.channel.queue_declare(self.queue(which), passive=True).method.consumer_count == 0)

    def publish(self, body, message_id):
        properties = pika.BasicProperties(message_id=message_id, delivery_mode=2, content_type="application/json")
        self.channel.basic_publish("", self.queue("shipping"), body, properties)

    def url(self):
        """Of the broker, over the wire that can be cut."""
        return f"amqp://guest:guest@127.0.0.1:{self.wire.port}/%2F"

    # ---- programs

    def start_relay(self, writes_to):
        """Of a shop whose application has the rights to write to the outbox, or to outbox_new, and no other."""
        relay, config = setting("RELAY"), self.directory / "outbox-relay.conf"
        config.write_text(
            f'broker "main" {{ uri = "{setting("AMQP_URI")}" }}\n'
            f'source "shop" {{\n kind = "{self.kind}"\n dsn = "{self.dsn()}"\n broker = "main"\n'
            f' exchange = "{self.name}"\n mode = "poll"\n}}\n'
        )
        config.chmod(0o600)
        subprocess.run([relay, "init", "-c", config], check=True, stdout=subprocess.DEVNULL)
        self._make_application(self.rights[writes_to])
        process = subprocess.Popen([relay, "run", "-c", config], stderr=subprocess.DEVNULL)
        self.callback(self.end, process)

    def start(self, command, which, **options):
        process = subprocess.Popen(command, env=self.environment(which), **options)
        self.callback(self.end, process)
        return process

    def supervise(self, command, which):
        """Like start(), and starts it again when it fails, as any supervisor of processes does."""
        supervised = Supervised(lambda: self.start(command, which))
        self.callback(supervised.kill)
        return supervised

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()


def order_body(order):
    return json.dumps({"order": order, "note": f"order {order}"}).encode()
