"""The example of one language, against real servers: what it promises, one after the other.

    test_language.py LANGUAGE        (a function of languages.py)"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import uuid

import languages
from scene import Scene, order_body, until
from scene_mysql import MysqlScene

LANGUAGE = sys.argv.pop()
NOTE = "a \\ backslash, a \" quote, an ' apostrophe, ü, 🎉"
BACKLOG = 240
IS_RUNNER = LANGUAGE in ("c", "c_mysql")  # which finishes all that it has in hand, where others finish what they work on


class Language(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.producer, cls.consumer = getattr(languages, LANGUAGE)(pathlib.Path(cls.directory.name))

    def setUp(self):
        self.scene = MysqlScene() if LANGUAGE.endswith("_mysql") else Scene()
        self.addCleanup(self.scene.close)

    def produce(self, item, note):
        return subprocess.run([*self.producer, item, note], env=self.scene.environment("shop"), capture_output=True, text=True)

    def test_an_order_and_its_message_are_one(self):
        scene = self.scene
        scene.start_relay("outbox")
        scene.query("shop", "insert into stock values ('chair', 1), ('table', 0)")
        refused = self.produce("table", "there is none")
        self.assertNotEqual(refused.returncode, 0)
        placed = self.produce("chair", NOTE)
        self.assertEqual(placed.returncode, 0, placed.stderr)
        order = int(placed.stdout)
        properties, body = scene.await_message("spy")  # the first that comes: nothing came of what was refused
        self.assertEqual(json.loads(body.decode()), {"order": order, "note": NOTE})
        self.assertEqual(properties.headers["x-outbox-key"], f"order-{order}")
        self.assertEqual((properties.type, properties.content_type, properties.delivery_mode), ("order.placed", "application/json", 2))
        self.assertTrue(uuid.UUID(properties.message_id))
        self.assertEqual(scene.query("shop", "select id, note from orders"), [(order, NOTE)])
        until("the outbox is empty", lambda: scene.query("shop", "select count(*) from outbox") == [(0,)])

    # ---- the consumer

    def consume(self):
        return self.scene.supervise([*self.consumer, self.scene.url(), self.scene.queue("shipping")], "shipping")

    def await_shipments(self, number):
        until(f"{number} shipments", lambda: self.scene.query("shipping", "select count(*) from shipment")[0][0] >= number)

    def stop(self, process):
        # A Java machine that was told to end says so by its status, whatever the program says.
        self.assertEqual(process.stop(), 143 if LANGUAGE.startswith("java") else 0)

    def test_each_message_has_its_effect_once(self):
        """Killed, its database session ended, its broker connection cut, stopped: in the middle of a backlog each time."""
        scene = self.scene
        # Slowly at last, so that there is time to stop it in the middle.
        scene.slow_down([(1, 0.01), (BACKLOG * 2 // 3 + 1, 0.02 if IS_RUNNER else 0.25)])
        for order in range(1, BACKLOG + 1):
            message_id = str(uuid.uuid4())
            for _ in range(1 + (order % 10 == 0)):  # every tenth comes twice
                scene.publish(order_body(order), message_id)
        process = self.consume()
        self.await_shipments(BACKLOG // 6)
        process.kill()
        scene.await_no_consumer("shipping")
        process = self.consume()
        self.await_shipments(BACKLOG // 3)
        scene.end_sessions("shipping")
        self.await_shipments(BACKLOG // 2)
        scene.wire.cut()
        self.await_shipments(BACKLOG * 2 // 3)
        self.stop(process)
        stopped_at = scene.query("shipping", "select count(*) from shipment")[0][0]
        if not IS_RUNNER:
            self.assertLess(stopped_at, BACKLOG, "it was to be stopped in the middle")
        scene.await_no_consumer("shipping")
        scene.query("shipping", "update pace set seconds = 0")
        process = self.consume()
        self.await_shipments(BACKLOG)
        until("all is acknowledged", lambda: scene.unsettled("shipping") == 0)
        self.stop(process)
        shipped = [row[0] for row in scene.query("shipping", "select order_id from shipment order by number")]
        self.assertEqual(shipped, list(range(1, BACKLOG + 1)))
        self.assertIsNone(scene.take("dead"))

    def test_what_cannot_be_applied_becomes_a_dead_letter(self):
        scene = self.scene
        bodies = {b"no JSON": uuid.uuid4(), b'{"order": 1}': uuid.uuid4(), b'{"order": "x", "note": "y"}': uuid.uuid4()}
        scene.publish(order_body(1), str(uuid.uuid4()))
        for body, message_id in bodies.items():
            scene.publish(body, str(message_id))
        scene.publish(order_body(99), None)  # without an id nobody can tell a second one from the first
        scene.publish(order_body(2), str(uuid.uuid4()))
        process = self.consume()
        self.await_shipments(2)
        dead = {scene.await_message("dead")[1] for _ in range(len(bodies) + 1)}
        self.assertEqual(dead, {*bodies, order_body(99)})
        self.stop(process)
        self.assertEqual(scene.query("shipping", "select order_id from shipment order by 1"), [(1,), (2,)])
        self.assertEqual(scene.query("shipping", "select count(*) from inbox"), [(2,)])


if __name__ == "__main__":
    unittest.main()
