"""One ORM, as people use it: a business row and a message in one transaction, with the rights that docs/PRODUCING.md gives.

    test_orm.py NAME        (a function of orms.py)"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import orms
from scene import Scene
from scene_mysql import MysqlScene

NAME = sys.argv.pop()
PAYLOAD = r'{"path": "C:\\temp\\007", "said": "\"héllo\" \u00fc", "also": "ü 🎉", "quote": "it'"'"'s"}'


class Orm(unittest.TestCase):
    def setUp(self):
        self.scene = MysqlScene() if NAME.endswith("_mysql") else Scene()
        self.addCleanup(self.scene.close)
        self.scene.start_relay("outbox_new")
        self.scene.query("shop", "insert into stock values ('chair', 9)")
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.program = getattr(orms, NAME)(pathlib.Path(directory.name))

    def run_program(self, outcome):
        subprocess.run([*self.program, PAYLOAD, outcome], env=self.scene.environment("shop"), check=True)

    def test_what_is_committed_arrives_byte_for_byte_and_nothing_else(self):
        self.run_program("rollback")
        self.run_program("commit")
        properties, body = self.scene.await_message("spy")  # the first: of what was rolled back nothing came
        self.assertEqual(body, PAYLOAD.encode())
        self.assertEqual(self.scene.query("shop", "select note from orders"), [("commit",)])
        self.assertEqual(properties.content_type, "application/json")
        order = self.scene.query("shop", "select id from orders")[0][0]
        self.assertEqual(properties.headers["x-outbox-key"], f"order-{order}")


if __name__ == "__main__":
    unittest.main()
