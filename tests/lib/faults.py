"""Faults below a real node: small disks, and calls that fail (tests/lib/fault.h)."""

import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

CLASSES = ["write", "sync", "mmap", "malloc", "rename", "open", "truncate"]
SHORT = -1
# struct fault_state: armed, class, error, forever, k, count, failed, prefix
LAYOUT = struct.Struct("=IIiIQQQ256s")


class Faults:
    """The state of the shared object in one program; `env` starts the program with it."""

    def __init__(self, path, build):
        self.path = Path(path)
        self.path.write_bytes(bytes(LAYOUT.size))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), LAYOUT.size)
        self.env = {"LD_PRELOAD": str(Path(build) / "tests" / "faults" / "libfault.so"),
                    "FAULT_STATE": str(self.path)}

    def arm(self, kind, directory, error=errno.EIO, k=1, forever=True, beside=False):
        """From now on the k-th call fails; k = 0 only counts. beside: also in what stands beside the
        directory and begins with its name, as its guard does."""
        self.disarm()
        self.map[:] = LAYOUT.pack(0, CLASSES.index(kind), error, forever, k, 0, 0,
                                  f"{directory}{'' if beside else '/'}".encode())
        self.map[0:4] = struct.pack("=I", 1)

    def disarm(self):
        """Nothing fails; the counts stay."""
        self.map[0:4] = struct.pack("=I", 0)

    @property
    def count(self):
        """Calls of the class since it was armed."""
        return LAYOUT.unpack(self.map[:])[5]

    @property
    def failed(self):
        """How many of them failed."""
        return LAYOUT.unpack(self.map[:])[6]


class Disk:
    """A small disk of its own, mounted at `path`: tmpfs, or ext4 on a loop device."""

    def __init__(self, path, kind="tmpfs", size="8m"):
        self.path, self.kind = Path(path), kind
        self.image = Path(f"{path}.img")
        self.path.mkdir(parents=True, exist_ok=True)
        if kind == "ext4":
            subprocess.run(["truncate", "-s", size, self.image], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        self.mounted = False
        self.mount(size)

    @staticmethod
    def missing(kind="tmpfs"):
        """Why there can be no such disk here; "" when there can."""
        if os.geteuid() != 0:
            return "needs root, to mount a small disk"
        if kind == "ext4" and not (Path("/dev/loop-control").exists() and Path("/sbin/mkfs.ext4").exists()):
            return "needs a loop device and mkfs.ext4 (package e2fsprogs)"
        return ""

    def mount(self, size="8m"):
        """Mounts it (again)."""
        if self.kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path]
        else:
            command = ["mount", "-o", "loop,errors=remount-ro", self.image, self.path]
        subprocess.run(command, check=True)
        self.mounted = True
        lost = self.path / "lost+found"
        if lost.exists():
            lost.rmdir()

    def resize(self, size):
        """Of a tmpfs."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    def break_read_only(self):
        """Makes the kernel find an error: it makes the file system read-only at once."""
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.path], check=True, text=True,
                                capture_output=True).stdout.strip()
        trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
        trigger.write_text("test", encoding="ascii")

    def unmount(self):
        """Nothing may use it any more."""
        if self.mounted:
            subprocess.run(["umount", self.path], check=True)
            self.mounted = False

    def fill(self, leave=0):
        """Takes all room but `leave` bytes, in a file that release() removes."""
        with open(self.path / "ballast", "ab", buffering=0) as f:
            while True:
                room = os.statvfs(self.path)
                free = room.f_bavail * room.f_frsize - leave
                if free <= 0:
                    return
                try:
                    f.write(bytes(min(free, 65536)))
                except OSError as e:
                    if e.errno != errno.ENOSPC:
                        raise
                    return

    def release(self):
        """Gives the room back."""
        (self.path / "ballast").unlink()
