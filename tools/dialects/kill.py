"""The server killed while 64 clients write: every change that was acknowledged is there when it is back, and none is half there."""

import itertools
import threading
import time
import unittest

from botocore.exceptions import BotoCoreError, ClientError

from served import Served

CLIENTS, ROUNDS = 64, 5


class Writer(threading.Thread):
    """Makes a key, suspends it, deletes it, over and over; remembers what was answered, and what was asked last."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.iam, self.name_of, self.acknowledged, self.asked, self.done = server.client(), name, (None, None), None, 0

    def run(self):
        for step in itertools.cycle(("create", "suspend", "delete")):
            self.asked = step
            try:
                key = self.acknowledged[0]
                if step == "create":
                    key = self.iam.create_access_key(UserName=self.name_of)["AccessKey"]["AccessKeyId"]
                    self.acknowledged = (key, "Active")
                elif step == "suspend":
                    self.iam.update_access_key(UserName=self.name_of, AccessKeyId=key, Status="Inactive")
                    self.acknowledged = (key, "Inactive")
                else:
                    self.iam.delete_access_key(UserName=self.name_of, AccessKeyId=key)
                    self.acknowledged = (None, None)
                self.done += 1
            except (BotoCoreError, ClientError):
                return

    def may_be(self, found):
        """Whether what is there is the last that was acknowledged, or the one change after it that was under way."""
        if found == self.acknowledged:
            return True
        key, status = found
        if self.asked == "create":
            return self.acknowledged == (None, None) and status == "Active" and key is not None
        return found == ((self.acknowledged[0], "Inactive") if self.asked == "suspend" else (None, None))


class Kill(Served):
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        changes = 0
        for round in range(ROUNDS):
            names = [f"writer-{round}-{number}" for number in range(CLIENTS)]
            for name in names:
                self.iam.create_user(UserName=name)
            writers = [Writer(self.server, name) for name in names]
            for writer in writers:
                writer.start()
            until = time.monotonic() + 30
            while sum(writer.done for writer in writers) < 10 * CLIENTS:
                self.assertLess(time.monotonic(), until, "the clients got nowhere")
                time.sleep(0.005)
            self.server.kill()
            for writer in writers:
                writer.join(30)
                self.assertFalse(writer.is_alive())
            self.server.start()
            self.iam = self.server.client()
            type(self).iam = self.iam
            for writer in writers:
                keys = self.iam.list_access_keys(UserName=writer.name_of)["AccessKeyMetadata"]
                self.assertLessEqual(len(keys), 1, writer.name_of)
                found = (keys[0]["AccessKeyId"], keys[0]["Status"]) if keys else (None, None)
                self.assertTrue(writer.may_be(found), (writer.name_of, writer.acknowledged, writer.asked, found))
            changes += sum(writer.done for writer in writers)
        print(f"{ROUNDS} kills of the server under {CLIENTS} clients: {changes} changes were acknowledged, 0 lost, 0 half done")


if __name__ == "__main__":
    unittest.main()
