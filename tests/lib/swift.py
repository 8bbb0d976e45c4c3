"""OpenStack Swift with its S3 API, of Debian's packages, as processes of a test: one proxy, one account,
container and object server, memcached, on free ports of loopback, with all they write in one
directory. Whatever Swift this machine has otherwise is not touched, and no service is needed.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from network import Failed, free_port, wait_for

PACKAGES = ("swift-proxy", "swift-account", "swift-container", "swift-object", "memcached")
PROGRAMS = ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server",
            "swift-ring-builder", "memcached")
REQUEST = re.compile(r'object-server: .*? "([A-Z]+) /d1/[0-9]+/AUTH_test/([^/ ]+)/([^ "]+)" 2')
USER, PASSWORD, ACCOUNT = "test:tester", "testing", "AUTH_test"

# Swift reads /etc/swift/swift.conf unless told otherwise before its own modules are there.
START = """
import runpy, sys
from swift.common import utils
utils.set_swift_dir(sys.argv.pop(1))
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {root}
devices = {root}/devices
mount_check = false
log_address = {root}/log.socket
fallocate_reserve = 0
disable_fallocate = true
user = {user}
"""

PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache s3api tempauth slo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:slo]
use = egg:swift#slo
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
"""

SERVER = """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def missing():
    """The programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


class Swift:
    def __init__(self, root):
        self.root, self.processes = Path(root), []
        self.requests = []  # that came to the object server: (method, bucket, name)
        self.ports = {kind: free_port() for kind in ("proxy", "account", "container", "object", "memcached")}
        self.url = f"http://127.0.0.1:{self.ports['proxy']}"

    # ---- what happened ----

    def listen(self):
        """The log of all servers comes as datagrams, a line each."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.root / "log.socket"))
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            data = self.socket.recv(65536)
            if data == b"end":
                return
            with open(self.root / "log", "ab") as log:
                log.write(data.rstrip(b"\0") + b"\n")
            match = REQUEST.search(data.decode("utf-8", "replace"))
            if match:
                self.requests.append((match[1], match[2], match[3]))

    # ---- processes ----

    def run(self, *command):
        subprocess.run(command, cwd=self.root, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        if missing():
            raise Failed(f"not installed: {' '.join(missing())}: apt install {' '.join(PACKAGES)}")
        (self.root / "devices/d1").mkdir(parents=True)
        self.listen()
        (self.root / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_suffix = sauti\nswift_hash_path_prefix = test\n"
            "[storage-policy:0]\nname = one\ndefault = yes\n")
        user = os.environ.get("USER") or subprocess.getoutput("id -un")
        for kind in ("account", "container", "object", "proxy"):
            text = COMMON.format(port=self.ports[kind], root=self.root, user=user)
            text += PROXY.format(memcached=self.ports["memcached"]) if kind == "proxy" else \
                SERVER.format(kind=kind)
            (self.root / f"{kind}.conf").write_text(text)
            if kind != "proxy":
                builder = f"{kind}.builder"
                self.run("swift-ring-builder", builder, "create", "6", "1", "0")
                self.run("swift-ring-builder", builder, "add",
                         f"r1z1-127.0.0.1:{self.ports[kind]}/d1", "1")
                self.run("swift-ring-builder", builder, "rebalance")
        self.spawn("memcached", "-l", "127.0.0.1", "-p", str(self.ports["memcached"]), "-U", "0", "-u", user)
        for kind in ("account", "container", "object", "proxy"):
            program = shutil.which(f"swift-{kind}-server")
            self.spawn("/usr/bin/python3", "-c", START, self.root, program, self.root / f"{kind}.conf")
        wait_for("Swift's proxy", self.healthy, 60)

    def spawn(self, *command):
        with open(self.root / "output", "ab") as output:
            self.processes.append(subprocess.Popen([str(c) for c in command], cwd=self.root,
                                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def healthy(self):
        for process in self.processes:
            if process.poll() is not None:
                raise Failed(f"{process.args[-2:]} ended: {(self.root / 'output').read_text()[-600:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/healthcheck", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.sendto(b"end", str(self.root / "log.socket"))
        end.close()

    # ---- its clients ----

    def configure(self):
        """Configurations of s3cmd and of rclone (a remote of the name swift)."""
        host = f"127.0.0.1:{self.ports['proxy']}"
        (self.root / "s3cfg").write_text(
            f"[default]\naccess_key = {USER}\nsecret_key = {PASSWORD}\nhost_base = {host}\n"
            f"host_bucket = {host}\nuse_https = False\nsignature_v2 = False\nbucket_location = us-east-1\n")
        (self.root / "rclone.conf").write_text(
            f"[swift]\ntype = s3\nprovider = Other\nenv_auth = false\naccess_key_id = {USER}\n"
            f"secret_access_key = {PASSWORD}\nendpoint = http://{host}\nregion = us-east-1\n")

    def s3cmd(self, *arguments):
        done = subprocess.run(["s3cmd", "-c", self.root / "s3cfg", *map(str, arguments)], text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise Failed(f"s3cmd {arguments[0]}: {done.stdout} {done.stderr}")
        return done.stdout

    def puts(self, bucket, since=0):
        """The names of what was put there, in that order."""
        return [name for method, where, name in self.requests[since:] if (method, where) == ("PUT", bucket)]

    def public(self, bucket):
        """The address at which anybody may read that bucket, without a key."""
        return f"{self.url}/v1/{ACCOUNT}/{bucket}"


if __name__ == "__main__":  # by hand: runs until it is interrupted
    swift = Swift(sys.argv[1])
    swift.start()
    swift.configure()
    print(swift.url, flush=True)
    try:
        while True:
            time.sleep(60)
    finally:
        swift.stop()
