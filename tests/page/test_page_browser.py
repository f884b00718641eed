"""An operator's day on the status page, in a real browser: a PostgreSQL and a MariaDB are seen working, a binding is broken,
what waits and why is seen, the binding is mended, the messages are tried again and go, one is discarded, a third source comes
and goes without a restart.

Real servers; OUTBOX_TEST_* say where (tests/services). OUTBOX_TEST_SCREENSHOTS: a directory for pictures of it; then there is
traffic for a minute first, so that the charts have something to show."""
import contextlib
import math
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import pika
import psycopg
import pymysql
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

DEADLINE_S = 60
TOKEN = "correct horse"
HOSTILE = '{"order": 4711, "note": "<b id=\\"hostile\\">bold</b><script>document.title = 1</script>"}'


def setting(name):
    return os.environ["OUTBOX_TEST_" + name]


def until(what, condition, deadline_s=DEADLINE_S):
    """Waits for a condition and returns what it said. The page may be drawing what is looked at."""
    end = time.monotonic() + deadline_s
    while True:
        with contextlib.suppress(StaleElementReferenceException):
            value = condition()
            if value:
                return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s} s")
        time.sleep(0.05)


def free_port():
    """Of those that the kernel gives to no outgoing connection."""
    while True:
        port = random.randrange(10000, 30000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


# ---- databases and broker -------------------------------------------------------------------------------------------


class Postgres:
    kind = "postgres"

    def __init__(self, name):
        self.name = name
        self.where = {"host": setting("PG_HOST"), "port": setting("PG_PORT"), "user": "postgres", "password": setting("PG_PASSWORD")}
        self.run(f"create database {name}", database="postgres")

    def connect(self, database=None):
        return psycopg.connect(dbname=database or self.name, autocommit=True, **self.where)

    def run(self, sql, *values, database=None):
        with self.connect(database) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else None

    def dsn(self):
        return " ".join(f"{name}={value}" for name, value in {**self.where, "dbname": self.name}.items())

    def drop(self):
        self.run(f"drop database if exists {self.name} with (force)", database="postgres")


class Mysql:
    kind = "mysql"

    def __init__(self, name):
        self.name = name
        self.run(f"create database {name} character set utf8mb4", database="")

    def run(self, sql, *values, database=None):
        with contextlib.closing(pymysql.connect(
                host=setting("MYSQL_HOST"), port=int(setting("MYSQL_PORT")), user=setting("MYSQL_USER"),
                password=setting("MYSQL_PASSWORD"), database=self.name if database is None else None, charset="utf8mb4",
                autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall()) if cursor.description else None

    def dsn(self):
        return f"{setting('MYSQL_DSN')} dbname={self.name}"

    def drop(self):
        self.run(f"drop database if exists {self.name}", database="")


class Broker(contextlib.ExitStack):
    def __init__(self, name):
        super().__init__()
        self.name = name
        parameters = pika.URLParameters(setting("AMQP_URI"))
        parameters.heartbeat = 0
        self.channel = self.enter_context(contextlib.closing(pika.BlockingConnection(parameters))).channel()
        self.channel.exchange_declare(name, "topic", durable=True)
        self.callback(self.channel.exchange_delete, name)
        for queue, arguments in ((name, {}), (name + ".traffic", {"x-max-length": 100})):
            self.channel.queue_declare(queue, durable=True, arguments=arguments)
            self.callback(self.channel.queue_delete, queue)
        self.channel.queue_bind(name + ".traffic", name, "traffic")

    def bind(self, key):
        self.channel.queue_bind(self.name, self.name, key)

    def unbind(self, key):
        self.channel.queue_unbind(self.name, self.name, key)

    def take(self):
        """The body of the next message; None: there is none."""
        body = self.channel.basic_get(self.name, auto_ack=True)[2]
        return None if body is None else body.decode()


class Traffic:
    """Messages of other keys, all the time: now more, now fewer, up to `size` every tenth of a second."""

    def __init__(self, database, size):
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._write, args=(database, size), daemon=True)
        self.thread.start()

    def _write(self, database, size):
        key = '"key"' if database.kind == "postgres" else "`key`"
        while not self.ended.wait(0.1):
            rows = 1 + int(size * (0.6 + 0.3 * math.sin(time.monotonic() / 6)) * random.uniform(0.8, 1))
            values = ", ".join(f"('traffic', 'traffic-{random.randrange(1000)}', 'traffic')" for _ in range(rows))
            database.run(f"insert into outbox (routing_key, {key}, payload_text) values {values}")

    def stop(self):
        self.ended.set()
        self.thread.join()


# ---- the relay ------------------------------------------------------------------------------------------------------


class Relay(contextlib.ExitStack):
    def __init__(self, broker, sources):
        super().__init__()
        self.directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.port = free_port()
        self.broker = broker
        (self.directory / "token").write_text(TOKEN + "\n", encoding="utf-8")
        (self.directory / "token").chmod(0o600)
        (self.directory / "sources").mkdir()
        self.config = self.directory / "relay.conf"
        self.config.write_text(
            f'broker "main" {{ uri = "{setting("AMQP_URI")}" }}\n'
            f'http {{\n    listen = "127.0.0.1:{self.port}"\n    token_file = "{self.directory}/token"\n}}\n'
            'include = "sources"\n', encoding="utf-8")
        self.config.chmod(0o600)
        for name, database in sources.items():
            self.add(name, database)
        self.process = None
        self.callback(self.end)

    def add(self, name, database):
        """A source, with its tables. What is refused is tried again only by an operator."""
        file = self.directory / "sources" / f"{name}.conf"
        file.write_text(
            f'source "{name}" {{\n    kind = "{database.kind}"\n    dsn = "{database.dsn()}"\n    broker = "main"\n'
            f'    exchange = "{self.broker.name}"\n    retry_initial = "1h"\n    retry_max = "1h"\n}}\n', encoding="utf-8")
        file.chmod(0o600)
        subprocess.run([setting("RELAY"), "init", "-c", self.config], check=True, capture_output=True)
        return file

    def start(self):
        self.log = self.enter_context(open(self.directory / "log", "ab"))
        self.process = subprocess.Popen([setting("RELAY"), "run", "-c", self.config], stderr=self.log)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(DEADLINE_S)

    def url(self):
        return f"http://127.0.0.1:{self.port}/"


# ---- the browser ----------------------------------------------------------------------------------------------------


class Page(contextlib.ExitStack):
    def __init__(self, url):
        super().__init__()
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
                         f"user-data-dir={self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))}"):
            options.add_argument("--" + argument)
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.callback(self.driver.quit)
        self.look(1280, 900)
        self.driver.get(url)

    def look(self, width, height, dark=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def picture(self, name):
        if "OUTBOX_TEST_SCREENSHOTS" in os.environ:
            self.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
            time.sleep(1)  # for the picture alone: what is drawn has come to rest
            self.driver.save_screenshot(os.path.join(setting("SCREENSHOTS"), name + ".png"))

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return "\n".join(element.text for element in self.find_all(selector))

    def state(self, source):
        cards = self.find_all(f'.card[data-source="{source}"]')
        return cards[0].get_attribute("data-state") if cards else None

    def await_state(self, source, states):
        return until(f"source {source} is {states}", lambda: self.state(source) in states)

    def rows(self):
        """Of each held message that is listed: its state, key and last answer."""
        return [tuple(row.find_element(By.CSS_SELECTOR, selector).text for selector in (".pill", ".key", ".reason"))
                for row in self.find_all("#rows tr")]

    def click(self, selector):
        element = until(f"{selector} can be clicked", lambda: next(
            (found for found in self.find_all(selector) if found.is_displayed() and found.is_enabled()), None))
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def await_toast(self, words):
        until(f"the page says {words}", lambda: words in self.text(".toast"))

    def complaints(self):
        """Of the browser, about errors in the script and what the security policy forbids. The relay is stopped on purpose."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] == "SEVERE" and "status of 401" not in line["message"] and "net::ERR" not in line["message"]]


# ---- the day --------------------------------------------------------------------------------------------------------


def see_both_sources(page):
    for source in ("orders", "billing"):
        page.await_state(source, ("Idle", "Publishing"))
    until("both databases told their state", lambda: all(
        "process " in page.text(f'.card[data-source="{source}"] .facts') for source in ("orders", "billing")))
    assert "PostgreSQL" in page.text('.card[data-source="orders"]')
    assert "MariaDB" in page.text('.card[data-source="billing"]')
    left, right = (page.find(f'.card[data-source="{source}"]').rect for source in ("orders", "billing"))
    assert abs(left["y"] - right["y"]) < 2 and left["x"] != right["x"], "they are not side by side"
    until("messages go", lambda: page.text("#total-rate") not in ("–", "0"))
    assert page.text("#total-good") == "2 of 2"


def break_the_binding(page, broker, orders):
    broker.unbind("order.#")
    for payload in (HOSTILE, "second", "third"):
        orders.run('insert into outbox (routing_key, key, type, payload_text) values (%s, %s, %s, %s)',
                   "order.paid", "order-<4711>", "order.paid", payload)
    until("all three are held", lambda: [row[0] for row in page.rows()] == ["retrying", "waiting", "waiting"])
    for state, key, reason in page.rows():
        assert key == "order-<4711>", key
        assert ("unroutable" if state == "retrying" else "behind another message") in reason, reason
    until("the count is shown", lambda: page.text("#total-held") == "3")
    until("the event is shown", lambda: "message_refused" in page.text("#event-list"))


def look_closer(page, orders):
    page.click("#rows tr .open")
    until("the payload is shown", lambda: page.find_all("#payload") and HOSTILE in page.text("#payload"))
    assert not page.find_all("#hostile"), "the payload became part of the page"
    assert page.driver.title == "outbox-relay"
    page.picture("message")
    page.find("#message [data-close]").send_keys(Keys.ESCAPE)
    second = orders.run("select id from outbox_held where state = 'waiting' order by id limit 1")[0][0]
    page.find("#explain-id").send_keys(str(second), Keys.ENTER)
    until("it is explained", lambda: "It waits behind id" in page.text("#story"))


def find_by_filter(page):
    Select(page.find("#filter-state")).select_by_visible_text("waiting")
    until("two wait", lambda: [row[0] for row in page.rows()] == ["waiting", "waiting"])
    page.find("#filter-key").send_keys("no such key")
    until("none has this key", lambda: page.text("#held-none") == "No held message matches.")
    page.find("#filter-key").clear()
    page.find("#filter-key").send_keys(Keys.SPACE, Keys.BACKSPACE)
    Select(page.find("#filter-state")).select_by_visible_text("all")
    until("all are listed again", lambda: len(page.rows()) == 3)


def give_token(page, token, name):
    until("the token is asked for", lambda: page.find("#token-value").is_displayed())
    page.find("#token-value").send_keys(token)
    page.find("#token-name").clear()
    page.find("#token-name").send_keys(name, Keys.ENTER)


def mend_and_retry(page, broker, orders):
    broker.bind("order.#")
    until("all that match can be retried", lambda: page.text("#retry") == "Retry all 3")
    page.click("#retry")
    yes = until("it asks", lambda: next((found for found in page.find_all("#confirm-yes") if found.is_displayed()), None))
    page.driver.execute_script("arguments[0].click(); arguments[0].click()", yes)  # a doubled click
    give_token(page, "wrong", "Ada")
    until("the token is refused", lambda: "does not know this token" in page.text("#token-text"))
    give_token(page, TOKEN, "Ada Lovelace")
    page.await_toast("1 message is tried again at once.")
    until("nothing is held any more", lambda: page.text("#held-none") == "Nothing is held." and not page.rows())
    bodies = []
    until("all three came", lambda: (bodies.append(broker.take()), bodies.count("third"))[1])
    assert [body for body in bodies if body in (HOSTILE, "second", "third")] == [HOSTILE, "second", "third"], bodies
    acts = orders.run("select what, who from outbox_held_act")
    assert len(acts) == 1 and acts[0][0] == "retry" and acts[0][1].startswith("http: Ada Lovelace (127.0.0.1)"), acts


def discard_by_keyboard(page, billing):
    for key in ("wanted", "unwanted"):
        billing.run("insert into outbox (routing_key, `key`, payload_text) values ('nowhere', %s, 'x')", key)
    until("both are held", lambda: sorted(row[1] for row in page.rows()) == ["unwanted", "wanted"])
    box = page.driver.find_element(By.XPATH, "//tr[td[@class='key'][.='unwanted']]//input")
    box.send_keys(Keys.SPACE)
    until("it is selected", lambda: page.text("#discard") == "Discard 1 selected")
    page.find("#discard").send_keys(Keys.ENTER)
    until("it asks", lambda: "Discard 1 message for ever?" in page.text("#confirm"))
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("id") == "confirm-yes"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.await_toast("1 message is discarded.")
    until("only the other is left", lambda: [row[1] for row in page.rows()] == ["wanted"])
    assert billing.run("select count(*) from outbox_held")[0][0] == 1


def add_a_source(page, broker, relay, parcels):
    file = relay.add("parcels", parcels)
    before = relay.process.pid
    relay.process.send_signal(signal.SIGHUP)
    page.await_state("parcels", ("Idle", "Publishing"))
    parcels.run("insert into outbox (routing_key, payload_text) values ('order.packed', 'of the third source')")
    until("its message came", lambda: broker.take() == "of the third source")
    until("all three work", lambda: page.text("#total-good") == "3 of 3")
    assert relay.process.poll() is None and f"process {before}," in page.text("#process")
    file.unlink()
    relay.process.send_signal(signal.SIGHUP)
    until("it is gone", lambda: page.state("parcels") is None and page.text("#total-good") == "2 of 2")


def relay_away(page, relay):
    relay.process.send_signal(signal.SIGSTOP)
    until("it says so", lambda: "has not answered since" in page.text("#stale"))
    page.picture("away")
    relay.process.send_signal(signal.SIGCONT)
    until("it is back", lambda: not page.find("#stale").is_displayed())


def on_a_phone(page):
    page.look(360, 740)
    width = page.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= 360, f"the page is {width} wide"


def pictures(page, broker, orders, billing):
    """What the documents show."""
    if "OUTBOX_TEST_SCREENSHOTS" not in os.environ:
        return
    time.sleep(75)  # for the charts
    broker.unbind("order.#")
    for number in range(3):
        for _ in range(1 + number):
            orders.run("insert into outbox (routing_key, key, type, payload_text) values ('order.shipped', %s, 'order.shipped', 'x')",
                       f"order-{4711 + number}")
    billing.run("insert into outbox (routing_key, `key`, type, payload_text, deliver_after) values "
                "('invoice.sent', 'invoice-88', 'invoice.sent', 'x', utc_timestamp(6) + interval 2 hour)")
    until("they are held", lambda: len(page.rows()) == 7)
    for name, width, height, dark in (("desktop-light", 1280, 1000, False), ("desktop-dark", 1280, 1000, True),
                                      ("phone", 390, 1180, False), ("whole", 1280, 2000, False), ("phone-whole", 360, 4000, True)):
        page.look(width, height, dark)
        page.picture(name)
    page.look(1280, 900)
    orders.run("delete from outbox_held")
    billing.run("delete from outbox_held")
    broker.bind("order.#")
    until("nothing is held", lambda: not page.rows())


def main():
    pictured = "OUTBOX_TEST_SCREENSHOTS" in os.environ
    name = "shop" if pictured else "page_" + uuid.uuid4().hex[:12]
    with contextlib.ExitStack() as stack:
        databases = []
        for kind, suffix in ((Postgres, ""), (Mysql, ""), (Postgres, "_third")):
            databases.append(kind(name + suffix))
            stack.callback(databases[-1].drop)
        orders, billing, parcels = databases
        broker = stack.enter_context(Broker(name))
        broker.bind("order.#")
        relay = stack.enter_context(Relay(broker, {"orders": orders, "billing": billing}))
        stack.push(lambda *failure: print(relay.log and (relay.directory / "log").read_text()[-6000:]) if failure[0] else None)
        relay.start()
        page = stack.enter_context(Page("about:blank"))
        until("HTTP is answered", lambda: answers(relay.port))
        page.driver.get(relay.url())
        stack.callback(Traffic(orders, 90 if pictured else 3).stop)
        stack.callback(Traffic(billing, 40 if pictured else 3).stop)
        see_both_sources(page)
        pictures(page, broker, orders, billing)
        break_the_binding(page, broker, orders)
        look_closer(page, orders)
        find_by_filter(page)
        mend_and_retry(page, broker, orders)
        discard_by_keyboard(page, billing)
        add_a_source(page, broker, relay, parcels)
        relay_away(page, relay)
        on_a_phone(page)
        assert not page.complaints(), page.complaints()


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


main()
