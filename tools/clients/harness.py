"""A ledger, nodes that serve it, and the command line beside them, all in a temporary folder.

The node follows unless it is told to be the writer: then keys are managed by `keyledger` while it runs.

Not here: clients (`clients.py`), raw requests (`raw.py`).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


class Report:
    """Counts checks and prints a line for each."""

    def __init__(self):
        self.passed, self.failed = 0, []

    def check(self, name, holds, found=""):
        if holds:
            self.passed += 1
        else:
            self.failed.append(name)
        note = "" if holds else f"   found: {str(found)[:600]}"
        print(f"{'ok    ' if holds else 'FAILED'}  {name}{note}", flush=True)

    def equal(self, name, found, wanted):
        self.check(name, found == wanted, f"{found!r}, wanted {wanted!r}")


@dataclass
class Key:
    id: str
    secret: str


@dataclass
class Node:
    process: subprocess.Popen
    url: str
    first_lines: str

    @property
    def host(self):
        return self.url.split("//")[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


class World:
    """One ledger with its nodes; everything ends with it."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="keyledger-clients-"))
        self.ledger = self.dir / "ledger"
        self.root = self.dir / "objects"
        self.nodes = []
        self.count = 0

    def __enter__(self):
        self.keyledger("init")
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # The command line

    def keyledger(self, *args):
        """Runs a command, of the first org unless it names one, and gives its first JSON line."""
        org = [] if args[0] in ("init", "--org") else ["--org", "123456789012"]
        command = [os.environ["KEYLEDGER"], "--ledger", str(self.ledger), "--json", *org, *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}{done.stdout}")
        lines = done.stdout.splitlines()
        return json.loads(lines[0]) if lines else {}

    def key(self, *args):
        """Makes a key."""
        made = self.keyledger("key", "create", *args)
        return Key(made["access_key_id"], made["secret_access_key"])

    def policy_key(self, *statements):
        """Makes a key with a policy of these statements."""
        self.count += 1
        name = f"policy-{self.count}"
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.keyledger("policy", "create", name, "--document", document)
        return self.key("--policy", name)

    def register(self, *buckets):
        for bucket in buckets:
            self.keyledger("bucket", "register", bucket)

    # Nodes

    def node(self, *args, follow=True, ledger=None, root=None):
        command = [os.environ["STORAGE_NODE"], "--ledger", str(ledger or self.ledger), "--root", str(root or self.root),
                   "--listen", "127.0.0.1:0", *args]
        if follow:
            command.append("--follow")
        errors = open(self.dir / f"node-{len(self.nodes)}.log", "w+")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        lines = []
        for line in process.stdout:
            lines.append(line)
            found = re.match(r"listening on (\S+)", line)
            if found:
                node = Node(process, found[1], "".join(lines))
                self.nodes.append(node)
                return node
        errors.seek(0)
        raise RuntimeError(f"the node did not start: {errors.read()}")

    def certificate(self):
        """A self-signed certificate for 127.0.0.1: its file, and its key's."""
        cert, key = self.dir / "cert.pem", self.dir / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
            check=True, capture_output=True)
        return cert, key


def eventually(holds, seconds=5.0):
    """Whether it holds soon."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return holds()
