"""The peers: how each gets its table, its rows and its process. `route` is "good" or "side", the routing key's last word."""
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

# What a row is made of: numbers from and to, and of how many rows one has the other route (0: none). The same for everybody.
ROWS = """
select n, case when %(side)s > 0 and n %% %(side)s = 0 then 'side' else 'good' end as route, (n %% 1000)::text as key,
    format('{"n": %%s, "pad": "%%s"}', n, repeat('x', 236)) as body
from generate_series(%(first)s::int8, %(last)s::int8) as n order by n
"""

SIMPLE_TABLE = "create table outbox (id bigint generated always as identity primary key, key text, route text, payload text)"
SIMPLE_INSERT = "insert into outbox (key, route, payload) select key, route, body from ({rows}) as rows"


@dataclass
class Peer:
    """name: in the table; settings: said below it; routes: the routing keys of "good" and "side"; warm: it makes a table or a
    slot at its first start, which comes before the rows; ready: SQL that is true when it has; slow: it gets fewer rows;
    before_start: makes its files; missing: why it can't run here."""
    name: str
    settings: str
    insert: str
    command: list
    table: str = ""
    routes: tuple = ("good", "side")
    ready: str = ""
    slow: bool = False
    missing: str = ""
    environment: dict = field(default_factory=dict)
    before_start: object = None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def relay(mode, directory):
    """Ours, as `init` makes it and with nothing set but where it is."""
    binary = Path(os.environ["OUTBOX_BUILD_DIR"]) / "relay" / "outbox-relay"
    config = directory / f"{mode}.conf"
    peer = Peer(
        name=f"outbox-relay, {mode}",
        settings=f"`mode = \"{mode}\"`, all else as by default",
        insert="insert into outbox (key, exchange, routing_key, payload) "
               "select key, 'peers', route, convert_to(body, 'UTF8') from ({rows}) as rows",
        command=[str(binary), "run", "-c", str(config)],
        ready="select count(*) > 0 from pg_replication_slots where database = current_database() and active"
              if mode == "tail" else "",
    )

    def prepare(environment):
        dsn = " ".join(f"{word}={environment[name]}" for word, name in (
            ("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("password", "PGPASSWORD"), ("dbname", "PGDATABASE")))
        config.touch(mode=0o600)
        config.write_text(f'broker "main" {{ uri = "{environment["AMQP_URI"]}" }}\n'
                          f'source "bench" {{ kind = "postgres" mode = "{mode}" dsn = "{dsn}" broker = "main" exchange = "" }}\n')
        subprocess.run([str(binary), "init", "-c", str(config)], check=True, stdout=subprocess.DEVNULL)

    peer.before_start = prepare
    return peer


def debezium(cache, directory):
    home = cache / "debezium" / "debezium-server"
    java = os.environ.get("JAVA_FOR_PEERS", "")
    config = directory / "debezium"
    runner = next(iter(home.glob("*-runner.jar")), home / "none")
    peer = Peer(
        name="Debezium Server 3.6.0",
        settings="outbox event router, RabbitMQ sink, `poll.interval.ms` 50, `max.batch.size` 2048, "
                 "`offset.flush.interval.ms` 0, snapshot `no_data`",
        table="create table outbox (id uuid primary key, aggregatetype text not null, aggregateid text not null, "
              "type text not null, payload text not null)",
        insert="insert into outbox select gen_random_uuid(), route, key, 'row', body from ({rows}) as rows",
        command=[java, "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp",
                 f"{runner}:{config}:{home}/lib/*", "io.debezium.server.Main"],
        routes=("outbox.event.good", "outbox.event.side"),
        ready="select count(*) > 0 from pg_replication_slots where database = current_database() and active",
    )
    if not java:
        peer.missing = "needs Java 21 or newer, and there is none on this machine"
    elif not runner.exists():
        peer.missing = "could not be fetched"

    def prepare(environment):
        shutil.rmtree(config, ignore_errors=True)
        (config / "config").mkdir(parents=True)
        words = dict(environment, DIRECTORY=str(config), HTTP_PORT=str(free_port()))
        text = (HERE / "debezium" / "application.properties").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        (config / "application.properties").write_text(text)

    peer.before_start = prepare
    return peer


def watermill(cache):
    binary = cache / "watermill" / "forwarder"
    return Peer(
        name="Watermill 1.5.1, forwarder",
        settings="`DefaultPostgreSQLSchema`, `ConfirmDelivery`, `ChannelPoolSize` 4, `PollInterval` 50 ms",
        insert='insert into watermill_outbox (uuid, payload, transaction_id) select gen_random_uuid()::text, '
               "json_build_object('destination_topic', route, 'uuid', gen_random_uuid(), 'payload', "
               "translate(encode(convert_to(body, 'UTF8'), 'base64'), E'\\n', ''), 'metadata', '{{}}'::json), "
               "pg_current_xact_id() from ({rows}) as rows",
        command=[str(binary)],
        ready="select to_regclass('watermill_outbox') is not null and to_regclass('watermill_offsets_outbox') is not null",
        slow=True,
        missing="" if binary.exists() else "could not be fetched or built (needs Go 1.23 or newer)",
    )


def node(cache, script, name, settings, **more):
    directory = cache / "node"
    return Peer(
        name=name, settings=settings, command=["node", str(directory / script)],
        missing="" if (directory / "node_modules").exists() else "could not be fetched (needs Node.js 18 and npm)", **more)


def pg_transactional_outbox(cache):
    peer = node(
        cache, "pg_transactional_outbox.js", "pg-transactional-outbox 0.5.7, polling",
        "batch 500, polling interval 50 ms, `concurrency` parallel, a confirm channel as handler",
        insert="insert into outbox (id, aggregate_type, aggregate_id, message_type, concurrency, payload) "
               "select gen_random_uuid(), 'row', key, route, 'parallel', body::jsonb from ({rows}) as rows",
        slow=True)
    if not peer.missing:
        peer.table = subprocess.run(peer.command + ["sql"], check=True, capture_output=True, text=True,
                                    env=dict(os.environ, PGDATABASE="peers", PGUSER="postgres")).stdout
    return peer


def all_peers(cache, directory):
    by_hand = {"table": SIMPLE_TABLE, "insert": SIMPLE_INSERT}
    return {
        "poll": relay("poll", directory),
        "tail": relay("tail", directory),
        "debezium": debezium(cache, directory),
        "watermill": watermill(cache),
        "pgto": pg_transactional_outbox(cache),
        "node": node(cache, "handmade.js", "by hand in Node.js",
                     "`for update skip locked`, 500 rows, a confirm channel (pg 8.23, amqplib 2.3)", **by_hand),
        "python": Peer(name="by hand in Python",
                       settings="`for update skip locked`, 500 rows, pika's blocking channel with confirms "
                                "(psycopg 3.3, pika 1.4)",
                       command=[sys.executable, str(HERE / "python" / "handmade.py")], slow=True, **by_hand),
    }
