"""A keyledger server of one's own for a script: started in a folder that goes when it ends.

The program is KEYLEDGER (target/release/keyledger when it is not set). Not here: what it should answer.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("KEYLEDGER", os.path.join(HERE, "..", "..", "target", "release", "keyledger"))


class Served:
    """One server over one folder; it can be stopped and started again."""

    def __init__(self, folder, more_env=None, more_args=()):
        self.folder = folder
        self.env = {**os.environ, **(more_env or {})}
        self.args = list(more_args)
        self.process = None
        self.root = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self):
        return os.path.join(self.folder, "ledger")

    def cli(self, *args, stdin=None):
        """Runs a command over the ledger while no server does; gives its one line of JSON."""
        ran = subprocess.run(
            [PROGRAM, "--ledger", self.ledger, *args, "--json"], input=stdin, capture_output=True, text=True, env=self.env
        )
        assert ran.returncode == 0, (args, ran.returncode, ran.stderr)
        return json.loads(ran.stdout) if ran.stdout else None

    def start(self):
        self.errors = open(os.path.join(self.folder, "stderr"), "a+")
        self.process = subprocess.Popen(
            [PROGRAM, "--ledger", self.ledger, "serve", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", "off",
             "--json", *self.args],
            stdout=subprocess.PIPE, stderr=self.errors, text=True, env=self.env,
        )
        line = self.process.stdout.readline()
        assert line, open(self.errors.name).read()
        started = json.loads(line)
        self.s3 = started["s3"]
        if started.get("access_key_id"):
            self.root = (started["access_key_id"], started["secret_access_key"])
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/readyz").read()
                return self
            time.sleep(0.05)
        raise SystemExit("the server is not ready")

    def stop(self):
        if self.process:
            self.process.terminate()
            code = self.process.wait(30)
            self.process = None
            assert code == 0, (code, open(self.errors.name).read()[-2000:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None


@contextlib.contextmanager
def served(more_env=None, more_args=()):
    with tempfile.TemporaryDirectory() as folder:
        server = Served(folder, more_env, more_args)
        try:
            yield server.start()
            server.stop()
            verified = subprocess.run([PROGRAM, "--ledger", server.ledger, "verify"], capture_output=True, text=True)
            assert verified.returncode == 0, verified.stdout + verified.stderr
        finally:
            if server.process:
                server.kill()


class Claims:
    """Counts what was found to hold, and stops at the first that does not."""

    def __init__(self):
        self.held = 0

    def __call__(self, what, holds, seen=None):
        if not holds:
            print(f"FAILED: {what}\n  {seen!r}", file=sys.stderr)
            raise SystemExit(1)
        self.held += 1
