"""PostgreSQL and RabbitMQ as tests/services has them, and the processes of a peer."""
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pika
import psycopg

QUEUE = "peers"
EXCHANGE = "peers"
DATABASE = "outbox_peers"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LEADER_S = 60  # within which a queue has a leader again


def environment():
    """What every adapter gets."""
    return {
        "PGHOST": os.environ["OUTBOX_TEST_PG_HOST"], "PGPORT": os.environ["OUTBOX_TEST_PG_PORT"],
        "PGUSER": os.environ["OUTBOX_TEST_PG_USER"], "PGPASSWORD": os.environ["OUTBOX_TEST_PG_PASSWORD"],
        "PGDATABASE": DATABASE, "AMQP_URI": os.environ["OUTBOX_TEST_AMQP_URI"],
        "AMQP_HOST": os.environ["OUTBOX_TEST_AMQP_HOST"], "AMQP_PORT": os.environ["OUTBOX_TEST_AMQP_PORT"],
    }


def connect(database=DATABASE):
    words = environment()
    return psycopg.connect(host=words["PGHOST"], port=words["PGPORT"], user=words["PGUSER"], password=words["PGPASSWORD"],
                           dbname=database, autocommit=True)


def drop_database():
    with connect("postgres") as admin:
        admin.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where database = %s and active",
                      (DATABASE,))
        wait_until(lambda: admin.execute(
            "select count(*) = 0 from pg_replication_slots where database = %s and active", (DATABASE,)).fetchone()[0],
            "the slots to be free")
        admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", (DATABASE,))
        admin.execute(f"drop database if exists {DATABASE} with (force)")


def create_database():
    drop_database()
    with connect("postgres") as admin:
        admin.execute(f"create database {DATABASE}")


class TooLate(Exception):
    """Something that was waited for did not come."""


def wait_until(condition, what, limit_s=300):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TooLate(f"no sign of {what} in {limit_s} s")
        time.sleep(0.02)


def services(*words):
    subprocess.run([os.environ["OUTBOX_TEST_SERVICES"], os.environ["OUTBOX_TEST_DIR"], *words], check=True)


def broker_connection():
    """Without heartbeats: it may lie idle longer than a broker would allow, while a peer starts."""
    parameters = pika.URLParameters(os.environ["OUTBOX_TEST_AMQP_URI"])
    parameters.heartbeat = 0
    return pika.BlockingConnection(parameters)


class Broker:
    """One channel that makes, counts and empties the queue; it connects anew when the broker was away."""

    def __init__(self):
        self.channel = None

    def open(self):
        if self.channel is None or not self.channel.is_open:
            self.channel = broker_connection().channel()
        return self.channel

    def close(self):
        if self.channel is not None and self.channel.is_open:
            self.channel.connection.close()
        self.channel = None

    def set_up(self, keys):
        channel = self.open()
        channel.queue_delete(QUEUE)
        channel.exchange_delete(EXCHANGE)
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        self.bind(keys)

    def bind(self, keys):
        channel = self.open()
        channel.exchange_declare(EXCHANGE, "direct", durable=True)
        for key in keys:
            channel.queue_bind(QUEUE, EXCHANGE, key)

    def count(self):
        """Messages in the queue; None while the broker is away."""
        try:
            return self.open().queue_declare(QUEUE, passive=True).method.message_count
        except (pika.exceptions.AMQPError, OSError):
            self.channel = None
            return None

    def take_all(self):
        """The bodies of all that is in the queue. One whose broker was killed may have no leader yet (541)."""
        deadline = time.monotonic() + LEADER_S
        while True:
            bodies = []
            try:
                for body in self.consume_all():
                    bodies.append(body)
                return bodies
            except pika.exceptions.AMQPError:
                self.channel = None
                if bodies or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def consume_all(self):
        channel = self.open()
        channel.basic_qos(prefetch_count=2000)
        left = channel.queue_declare(QUEUE, passive=True).method.message_count
        for method, _, body in channel.consume(QUEUE, inactivity_timeout=10):
            if method is None:
                break
            yield body
            left -= 1
            if left % 1000 == 0:
                channel.basic_ack(method.delivery_tag, multiple=True)
            if left <= 0:
                break
        channel.cancel()


def family(pid):
    """A process and all below it."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended since
        children.setdefault(int(words[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def cpu_s(pid):
    total = 0
    for one in family(pid):
        try:
            words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, words[11:15]))
    return total * TICK_S


def peak_mib(pid):
    total = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


class Supervised:
    """A peer under a supervisor that starts it again a second after it has ended."""

    def __init__(self, peer, log):
        self.peer = peer
        self.log = log
        self.ended_by_itself = 0
        self.stopping = False
        self.killed = False
        self.process = None
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.supervise, daemon=True)
        self.thread.start()
        self.started.wait()

    def supervise(self):
        while not self.stopping:
            self.process = subprocess.Popen(self.peer.command, env=dict(os.environ, **environment()), stdin=subprocess.DEVNULL,
                                            stdout=self.log, stderr=subprocess.STDOUT, cwd=os.environ["OUTBOX_TEST_DIR"])
            self.started.set()
            self.process.wait()
            if not self.stopping and not self.killed:
                self.ended_by_itself += 1
            self.killed = False
            if not self.stopping:
                time.sleep(1)

    def kill(self):
        self.killed = True
        self.process.send_signal(signal.SIGKILL)

    def stop(self):
        """Gently, then not."""
        self.stopping = True
        self.process.terminate()
        self.thread.join(timeout=60)
        if self.thread.is_alive():
            self.process.kill()
            self.thread.join()
