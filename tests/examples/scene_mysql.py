"""The scene with MariaDB or MySQL in the place of PostgreSQL."""
import contextlib
import os

import pymysql

from scene import EXAMPLES, SOURCE, Scene, setting


class MysqlScene(Scene):
    kind = "mysql"
    rights = {  # outbox_schema: the library asks for its version
        "outbox": ("grant insert on {shop}.outbox to {role}", "grant select on {shop}.outbox_schema to {role}"),
        "outbox_new": ("grant insert, select on {shop}.outbox_new to {role}",),
    }
    shop_rights = tuple(f"grant select, insert, update on {{shop}}.{table} to {{role}}" for table in ("stock", "orders"))
    shop_files = [EXAMPLES / "shop_mysql.sql"]
    shipping_files = [SOURCE / "consumers/mysql/schema.sql", EXAMPLES / "shipping_mysql.sql"]
    slowly = (
        "create trigger slowly before insert on shipment for each row do"
        " sleep((select seconds from pace where from_order <= new.order_id order by from_order desc limit 1))",
    )

    def connect(self, which=None):
        return pymysql.connect(
            host=setting("MYSQL_HOST"), port=int(setting("MYSQL_PORT")), user=setting("MYSQL_USER"),
            password=setting("MYSQL_PASSWORD"), database=self.database(which) if which else None, charset="utf8mb4",
            autocommit=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        )

    def query(self, which, sql, *values):
        with contextlib.closing(self.connect(which)) as conn, conn.cursor() as cursor:
            cursor.execute(sql, values or None)
            rows = list(cursor.fetchall()) if cursor.description else None
            while cursor.nextset():
                pass
            return rows

    def dsn(self):
        return f"{setting('MYSQL_DSN')} dbname={self.database('shop')}"

    def end_sessions(self, which):
        for number, in self.query(None, "select id from information_schema.processlist where db = %s", self.database(which)):
            with contextlib.suppress(pymysql.MySQLError):  # it has gone by itself
                self.query(None, f"kill {number}")

    def _make_database(self, which, files):
        self.query(None, f"create database {self.database(which)} character set utf8mb4")
        self.callback(self._drop_database, which)
        for file in files:
            self.query(which, file.read_text(encoding="utf-8"))

    # Who still has a transaction open there would make it wait.
    def _drop_database(self, which):
        self.end_sessions(which)
        self.query(None, f"drop database if exists {self.database(which)}")

    def _make_application(self, rights):
        self.query(None, f"create user {self.role} identified by 'app'")
        self.callback(self.query, None, f"drop user {self.role}")
        for grant in (*rights, *self.shop_rights):
            self.query(None, grant.format(shop=self.database("shop"), role=self.role))

    def environment(self, which):
        producer = which == "shop"
        user, password = (self.role, "app") if producer else (setting("MYSQL_USER"), setting("MYSQL_PASSWORD"))
        host, port, database = setting("MYSQL_HOST"), setting("MYSQL_PORT"), self.database(which)
        return {
            **os.environ,
            "LC_ALL": "C.UTF-8",  # what the arguments are in, wherever the test runs
            "MYSQL_HOST": host,
            "MYSQL_PORT": port,
            "MYSQL_USER": user,
            "MYSQL_PASSWORD": password,
            "MYSQL_DATABASE": database,
            "SHOP_URL": f"mysql+pymysql://{user}:{password}@{host}:{port}/{database}?charset=utf8mb4",
        }
