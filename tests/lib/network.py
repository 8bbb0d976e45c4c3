"""A network of real nodes on loopback: real processes, real stores, real TLS.

Used by scripts/demo and by the integration tests. Nothing here sleeps for luck: every wait polls a
condition and ends with an error that says what was waited for. Only processes started here are
signalled, by PID.
"""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

PASSPHRASE = "correct horse battery staple"


class Failed(Exception):
    """A command or a wait did not do what it should; the text says which."""


def free_port():
    """A loopback port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=120):
    """Polls until condition() is true; its last value is returned. Patient, for machines that are slow
    or do much else: nothing waits that long where all is well."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Node:
    """One node: its directory, its port, and the daemon while it runs."""

    waits_for_views = True  # logs() does, so that a log does not grow while it is compared

    def __init__(self, network, name, port=None):
        self.network, self.name = network, name
        self.dir = network.root / name
        self.port = port or free_port()
        self.process = None
        self.env = {}  # of the daemon, besides ours
        self.looked = False  # at a case: the ledger, and so the log, grows a little later
        self.allow_swap = True  # the machine that tests run on may have any

    # The command line.

    def sauti(self, *args, stdin=None, check=True, env=None):
        """Runs sauti for this node; the completed process, with text."""
        done = subprocess.run([self.network.bin / "sauti", "--dir", self.dir, *map(str, args)],
                              input=stdin, capture_output=True, text=True, timeout=300, check=False,
                              env=env)
        self.looked = self.looked or "case" in args[:2]
        if check and done.returncode != 0:
            raise Failed(f"sauti {' '.join(map(str, args))} at {self.name}: exit {done.returncode}: "
                         f"{done.stderr.strip()}")
        return done

    def json(self, *args, stdin=None):
        """The JSON document that a command prints."""
        return json.loads(self.sauti("--json", *args, stdin=stdin).stdout)

    def unlock(self):
        """Unlocks with the network's passphrase."""
        return self.json("unlock", "--passphrase-file", self.network.passphrase)

    def confirm(self, *others):
        """Its officer hears the words of these nodes' keys, and they are the right ones."""
        for other in others:
            self.sauti("node", "confirm", other.name, "--words", stdin=other.json("status")["words"])

    # The configuration.

    def configure(self, text):
        """Appends to sauti.conf."""
        with open(self.dir / "sauti.conf", "a", encoding="utf-8") as f:
            f.write(text)

    # The daemon.

    @property
    def log(self):
        """What the daemon has said so far."""
        path = self.network.root / f"{self.name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _configure_swap(self):
        """First in sauti.conf, so that what is appended stays in its section."""
        path = self.dir / "sauti.conf"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if not self.allow_swap or text == "" or "unencrypted_swap" in text:
            return
        line = "[lock]\nunencrypted_swap = allow\n"
        text = text.replace("[lock]\n", line, 1) if "[lock]\n" in text else line + "\n" + text
        path.write_text(text, encoding="utf-8")

    def start_only(self):
        """Starts the daemon and waits for nothing."""
        self._configure_swap()
        with open(self.network.root / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([self.network.bin / "sautid", "--dir", self.dir],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env},
                                            start_new_session=True)
        (self.network.root / f"{self.name}.pid").write_text(str(self.process.pid), encoding="ascii")

    def start(self, unlock=True):
        """Starts the daemon and waits until it answers."""
        self.start_only()

        def answers():
            if self.process.poll() is not None:
                raise Failed(f"sautid of {self.name} ended: {self.log.strip().splitlines()[-1:]}")
            return self.sauti("status", check=False).returncode == 0

        wait_for(f"sautid of {self.name}", answers)
        if unlock:
            self.unlock()

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM, and the exit status."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"sautid of {self.name} did not stop in 120 s") from None
        self.process = None
        return status

    # What it holds.

    def logs(self):
        """Its logs by origin, from log list, with the views of cases that were looked at."""
        if self.looked and self.waits_for_views:
            self.looked = False
            wait_for("views in the ledger", lambda: self.views_written(self.json("status")))
        return {log["origin"]: log for log in self.json("log", "list")}

    @staticmethod
    def views_written(status):
        """No view of a case waits, or the node cannot record any."""
        return (status["views"]["waiting"] == 0 or not status["guard"]["writable"]
                or status["store"]["message"] is not None)

    def own(self):
        """Its own case log."""
        for log in self.logs().values():
            if log["own"] and "/directory/" not in log["origin"]:
                return log
        raise Failed(f"{self.name} has no log of its own")


class Network:
    """Headquarters and offices under one directory."""

    def __init__(self, root, build, name="demo.example"):
        self.root, self.bin, self.name = Path(root), Path(build), name
        self.root.mkdir(parents=True, exist_ok=True)
        self.passphrase = self.root / "passphrase"
        self.passphrase.touch(mode=0o600)
        self.passphrase.write_text(PASSPHRASE + "\n", encoding="ascii")
        self.nodes = {}

    def init(self, name="hq", env=None):
        """Makes the network and its headquarters."""
        hq = self.nodes[name] = Node(self, name)
        hq.sauti("init", self.name, "--name", name, "--listen", f"127.0.0.1:{hq.port}",
                 "--root-dir", self.root / "root-ca", "--passphrase-file", self.passphrase, env=env)
        return hq

    def invite(self, name, country, role="office"):
        """A token for a new node."""
        hq = next(iter(self.nodes.values()))
        return hq.json("node", "invite", name, "--country", country, "--role", role)["token"]

    def join(self, name, country, role="office", config="", env=None):
        """Invites and joins a node; headquarters must be running and unlocked."""
        node = self.nodes[name] = Node(self, name)
        node.sauti("join", "-", "--listen", f"127.0.0.1:{node.port}",
                   "--passphrase-file", self.passphrase, stdin=self.invite(name, country, role),
                   env=env)
        node.configure(config)
        return node

    def replace(self, name, config="", reason="burnt"):
        """A new machine joins in the place of `name`, which becomes former; the new node."""
        hq = next(iter(self.nodes.values()))
        token = hq.json("node", "invite", name, "--replace", "--reason", reason)["token"]
        node = Node(self, name)
        node.dir = self.root / f"{name}-{node.port}"
        node.sauti("join", "-", "--listen", f"127.0.0.1:{node.port}",
                   "--passphrase-file", self.passphrase, stdin=token)
        node.configure(config)
        self.nodes[name] = node
        return node

    def stop(self):
        """Stops every daemon that runs."""
        for node in self.nodes.values():
            node.stop()

    def behind(self, nodes=None):
        """What is still missing for every log to be whole and cosigned everywhere; [] is none."""
        nodes = list((nodes or self.nodes).values())
        held = {node.name: node.logs() for node in nodes}
        missing = []
        for author in nodes:
            for origin, log in held[author.name].items():
                if not log["own"]:
                    continue
                for other in nodes:
                    theirs = held[other.name].get(origin, {"checkpoint_size": 0})
                    if theirs["checkpoint_size"] != log["size"]:
                        missing.append(f"{other.name} holds {theirs['checkpoint_size']} of "
                                       f"{log['size']} of {origin}")
                mirrors = {h["mirror"] for h in log["held_by"] if h["size"] == log["size"]}
                for other in nodes:
                    if other is not author and other.name not in mirrors:
                        missing.append(f"{other.name} has not cosigned {origin}")
        return missing

    def settle(self, seconds=180):
        """Waits until every node holds and has cosigned everything."""
        end = time.monotonic() + seconds
        while True:
            missing = self.behind()
            if not missing:
                return
            if time.monotonic() > end:
                raise Failed("not settled: " + "; ".join(missing[:4]))
            time.sleep(0.1)


def build_dir(default):
    """The build to use: $SAUTI_BUILD or the default."""
    return Path(os.environ.get("SAUTI_BUILD", default)).resolve()
