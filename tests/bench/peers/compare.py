"""Compares the relay with alternatives: same servers, same rows, one run, one table. See run."""
import argparse
import contextlib
import os
import re
import threading
import time
from datetime import date
from pathlib import Path

from peers import ROWS, all_peers
from servers import (EXCHANGE, QUEUE, Broker, Supervised, TooLate, broker_connection, connect, cpu_s, create_database,
                     drop_database, environment, peak_mib, services, wait_until)

WARM_UP_TRIES, WARM_UP_TRY_S = 20, 10
NUMBER = re.compile(rb'n\\*"\s*:\s*(\d+)')
LATENCY_RATE = 200
# How long nothing must come after as many messages as there are rows: some of these may have been duplicates.
SETTLE_S = 10
# A quorum queue of RabbitMQ 3.10 that is created a second before its broker is killed has no leader afterwards, and takes nothing.
QUEUE_AGE_S = 10


class Contest:
    """One peer in one discipline: a database, a queue and rows of its own."""

    def __init__(self, options, peer, messages, bound):
        self.options, self.peer, self.messages = options, peer, messages
        self.broker = Broker()
        self.process = None
        self.quiet, self.fault_s = options.quiet, options.fault_s
        self.log = open(options.directory / "peer.log", "ab")
        create_database()
        self.database = connect()
        self.broker.set_up(bound)

    def prepare(self, side, exchange):
        if self.peer.table:
            self.database.execute(self.peer.table)
        if self.peer.before_start:
            self.peer.before_start(environment())
        if self.peer.ready:
            self.warm_up()
        if not exchange:
            self.broker.open().exchange_delete(EXCHANGE)
        if self.messages:
            self.insert(1, self.messages, side)
            self.database.execute("vacuum analyze")
            self.database.execute("checkpoint")

    def warm_up(self):
        """A first start, for peers that create their table or slot then. It lasts until one row has arrived, because Debezium
        without a stored offset begins at the end of the log at its next start. Its duration shows how long silence can last,
        and how long a fault must last to be noticed."""
        begun = time.monotonic()
        process = Supervised(self.peer, self.log)
        try:
            wait_until(lambda: self.database.execute(self.peer.ready).fetchone()[0], "its first start")
            for _ in range(WARM_UP_TRIES):
                self.insert(0, 0)
                if self.wait_for(1, WARM_UP_TRY_S):
                    break
            else:
                raise TooLate("its first row did not come")
            seconds = time.monotonic() - begun
        finally:
            process.stop()
        self.broker.open().queue_purge(QUEUE)
        self.quiet = max(self.quiet, 5 * seconds)
        self.fault_s = max(self.fault_s, 2 * seconds)

    def insert(self, first, last, side=0):
        self.database.execute(self.peer.insert.format(rows=ROWS), {"first": first, "last": last, "side": side})

    def start(self):
        self.process = Supervised(self.peer, self.log)

    def wait_for(self, count, quiet_s):
        """Waits for `count` messages in the queue, or until nothing has changed for quiet_s. True if they came."""
        last, since = None, time.monotonic()
        while True:
            now = self.broker.count()
            if now is not None and now >= count:
                return True
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() > since + quiet_s:
                return False
            time.sleep(0.02)

    def wait_for_three_tenths(self):
        if not self.wait_for(self.messages * 3 // 10, self.quiet):
            raise TooLate(f"three tenths did not come in {self.quiet:.0f} s, so nothing was tried")

    def wait_for_all(self):
        """Waits for all messages, and then for duplicates."""
        if self.wait_for(self.messages, self.quiet):
            self.wait_for(float("inf"), SETTLE_S)

    def ledger(self):
        """How many were lost, and how many came more than once."""
        seen, came = set(), 0
        for body in self.broker.take_all():
            found = NUMBER.search(body)
            if found and int(found.group(1)) > 0:  # 0 is the row of the first start
                seen.add(int(found.group(1)))
                came += 1
        return self.messages - len(seen), came - len(seen)

    def close(self):
        if self.process:
            self.process.stop()
        self.broker.close()
        self.database.close()
        self.log.close()
        drop_database()


@contextlib.contextmanager
def contest(options, peer, messages, *, side=0, exchange=True, bound=None):
    """side: one of so many rows has the route "side"; exchange: whether it exists at the start; bound: the bound routes, if not
    all."""
    one = Contest(options, peer, messages, bound or peer.routes)
    try:
        one.prepare(side, exchange)
        yield one
    finally:
        one.close()


# ---- rate ---------------------------------------------------------------------------------------------------------------


def rate(options, peer):
    """Between a tenth and nine tenths of a backlog, as the queue counts it."""
    messages = options.slow if peer.slow else options.messages
    with contest(options, peer, messages) as one:
        one.start()
        marks = []
        for share in (0.1, 0.9):
            if not one.wait_for(int(messages * share), one.quiet):
                return {"rate": "did not finish"}
            marks.append((one.broker.count(), time.monotonic(), cpu_s(one.process.process.pid)))
        (first, begun, cpu_before), (last, ended, cpu_after) = marks
        if last == first:
            return {"rate": "too few rows to tell"}
        result = {"rate": f"{(last - first) / (ended - begun):,.0f}",
                  "cpu": f"{(cpu_after - cpu_before) / (last - first) * 1e6:,.1f}",
                  "memory": f"{peak_mib(one.process.process.pid):,.0f}"}
        one.wait_for(messages, one.quiet)
        return result


# ---- latency ------------------------------------------------------------------------------------------------------------


def consume(arrivals, wanted, stop):
    channel = broker_connection().channel()
    channel.basic_qos(prefetch_count=500)
    for method, _, body in channel.consume(QUEUE, inactivity_timeout=0.5):
        if method is not None:
            found = NUMBER.search(body)
            if found:
                arrivals.setdefault(int(found.group(1)), time.monotonic())
            channel.basic_ack(method.delivery_tag)
        if len(arrivals) >= wanted or stop.is_set():
            break
    channel.connection.close()


def latency(options, peer):
    """Single-row transactions at a steady rate, from the writer's clock in the transaction to a consumer."""
    messages = LATENCY_RATE * options.latency
    with contest(options, peer, 0) as one:
        one.start()
        one.insert(0, 0)  # when this row has come, the peer is reading
        if not one.wait_for(1, one.quiet):
            return {"latency": "did not start"}
        one.broker.open().queue_purge(QUEUE)
        written, arrivals, stop = {}, {}, threading.Event()
        consumer = threading.Thread(target=consume, args=(arrivals, messages, stop))
        consumer.start()
        begun = time.monotonic() + 0.5
        for number in range(1, messages + 1):
            time.sleep(max(0, begun + number / LATENCY_RATE - time.monotonic()))  # a pace, not a synchronisation
            written[number] = time.monotonic()
            one.insert(number, number)
        consumer.join(timeout=one.quiet)
        stop.set()
        consumer.join()
        missing = sum(number not in arrivals for number in written)
        if missing:
            return {"latency": f"{missing} of {messages} did not come"}
        waits = sorted((arrivals[number] - written[number]) * 1000 for number in written if number > messages // 5)
        return {"latency": f"{waits[len(waits) // 2]:.1f} / {waits[len(waits) * 99 // 100]:.1f}"}


# ---- faults -------------------------------------------------------------------------------------------------------------


def verdict(one):
    one.wait_for_all()
    ended = one.process.ended_by_itself
    one.process.stop()
    lost, twice = one.ledger()
    left = f"**{lost:,}**" if lost else "0"
    return f"{left} / {twice:,} · {ended}"


def relay_killed(options, peer):
    with contest(options, peer, options.slow if peer.slow else options.faults) as one:
        one.start()
        one.wait_for_three_tenths()
        one.process.kill()
        return {"killed": verdict(one)}


def broker_killed(options, peer):
    with contest(options, peer, options.slow if peer.slow else options.faults) as one:
        time.sleep(QUEUE_AGE_S)
        one.start()
        one.wait_for_three_tenths()
        services("kill", "rabbitmq")
        services("start", "rabbitmq")
        return {"broker": verdict(one)}


def unroutable(options, peer):
    messages = options.slow if peer.slow else options.faults
    with contest(options, peer, messages, side=3, bound=peer.routes[:1]) as one:
        one.start()
        time.sleep(one.fault_s)  # so long the fault lasts
        one.broker.bind(peer.routes)
        return {"unroutable": verdict(one)}


def late_exchange(options, peer):
    with contest(options, peer, options.slow if peer.slow else options.faults, exchange=False) as one:
        one.start()
        time.sleep(one.fault_s)  # so long the fault lasts
        one.broker.bind(peer.routes)
        return {"exchange": verdict(one)}


# ---- the table ----------------------------------------------------------------------------------------------------------

COLUMNS = {
    "rate": "messages/s", "cpu": "own CPU, µs a message", "memory": "peak memory, MiB", "latency": "latency p50 / p99, ms",
    "killed": "relay killed", "broker": "broker killed", "unroutable": "a third unroutable", "exchange": "exchange late",
}
PARTS = {"rate": rate, "latency": latency, "killed": relay_killed, "broker": broker_killed, "unroutable": unroutable,
         "exchange": late_exchange}


def table(columns, rows):
    lines = ["| relay | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for peer, result in rows:
        cells = [result.get(name, "–") for name in columns]
        if peer.missing:
            cells = [f"not run: it {peer.missing}"] + [""] * (len(columns) - 1)
        lines.append(f"| {peer.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


HEAD = [
    "# Compared",
    "outbox-relay and what a user might choose instead, on the same servers, with the same rows, in one run. Written by "
    "`./dev bench peers --write docs/COMPARED.md`, which fetches the others by their own package clients; `--help` lists the "
    "sizes. Each has the best settings that its documents offer; they are listed below. The figures depend on the machine and "
    "its load; what counts is their ratio.",
    "- *messages/s*: between a tenth and nine tenths of a backlog, as counted by the queue (a quorum queue). A relay that tails "
    "creates its slot at a first start, and the backlog is written while it is stopped.\n"
    "- *own CPU*: user and system time of the relay's processes in the same period, so without their start.\n"
    "- *latency*: transactions of one row, from the writer's clock in the transaction to a consumer; the "
    "first fifth does not count.\n"
    "- *relay killed*, *broker killed*: SIGKILL when three tenths have come. *a third unroutable*: the routing key of "
    "every third row has no binding for 15 s. *exchange late*: the exchange is created 15 s after the start. Both last twice as "
    "long as a first start takes, if that is more.\n"
    "- *lost*: messages that never came. *twice*: messages that came more than once, which a consumer must recognise. A "
    "supervisor starts each relay again a second after it has ended.",
]


def report(options, rows):
    speed = [name for name in ("rate", "cpu", "memory", "latency") if any(name in result for _, result in rows)]
    faults = [name for name in ("killed", "broker", "unroutable", "exchange") if any(name in result for _, result in rows)]
    settings = "\n".join(f"- {peer.name}: {peer.settings}" for peer, _ in rows)
    text = [f"{options.messages:,} rows ({options.slow:,} for the slow ones: {', '.join(p.name for p, _ in rows if p.slow)}), "
            f"latency over {LATENCY_RATE * options.latency:,} transactions at {LATENCY_RATE}/s, {date.today():%-d %b %Y}, "
            f"load of the machine {options.load[0]:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end."]
    if speed:
        text.append(table(speed, rows))
    if faults:
        text.append(f"Faults, {options.faults:,} rows: lost / twice · how often it ended by itself")
        text.append(table(faults, rows))
    text.append("Settings:\n\n" + settings)
    return "\n\n".join(HEAD + text) + "\n"


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench peers", description=__doc__)
    parser.add_argument("--messages", type=int, default=200000, help="rows of a backlog (200000)")
    parser.add_argument("--slow", type=int, default=5000, help="the same for peers that are slow (5000)")
    parser.add_argument("--faults", type=int, default=60000, help="rows for each fault (60000)")
    parser.add_argument("--latency", type=int, default=20, help="seconds of it (20)")
    parser.add_argument("--fault-seconds", dest="fault_s", type=int, default=15, help="how long a fault lasts (15)")
    parser.add_argument("--quiet", type=int, default=60, help="seconds without news after which no more is expected (60)")
    parser.add_argument("--only", default="", help="peers by comma: poll,tail,debezium,watermill,pgto,node,python")
    parser.add_argument("--parts", default=",".join(PARTS), help="parts by comma (" + ",".join(PARTS) + ")")
    parser.add_argument("--write", type=Path, help="also into this file")
    parser.add_argument("--cache", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.directory = Path(os.environ["OUTBOX_TEST_DIR"]) / "peers"
    options.directory.mkdir(exist_ok=True)
    options.load = os.getloadavg()
    return options


def main():
    options = arguments()
    peers = all_peers(options.cache, options.directory)
    chosen = options.only.split(",") if options.only else list(peers)
    rows = [(peers[name], {}) for name in chosen]
    for part in options.parts.split(","):
        for peer, result in rows:
            if not peer.missing:
                try:
                    result.update(PARTS[part](options, peer))
                except TooLate as failure:
                    result[part] = str(failure)
                print(f"{part:11} {peer.name:38} " + ", ".join(result.get(name, "") for name in COLUMNS
                                                               if name.startswith(part[:4]) or part == "rate"), flush=True)
    text = report(options, rows)
    print("\n" + text)
    if options.write:
        options.write.write_text(text)


main()
