"""What a test needs of a Debian package without installing it: for packages that would bring along
much more, or a service that starts."""
import shutil
import subprocess
from pathlib import Path

from mutations import skip


def unpacked(package, name, scratch):
    """Where `name` of that package is: in the system, or in `scratch`, into which the package is fetched,
    once, by apt, from where this machine has its packages. Nothing is installed, nobody must be root.
    Skips when it cannot be had."""
    if (Path("/") / name).exists():
        return Path("/") / name
    scratch = Path(scratch) / package
    if (scratch / name).exists():
        return scratch / name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        done = subprocess.run(["apt-get", "download", "-q", package], cwd=scratch, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    except FileNotFoundError:
        skip(f"{package} is of Debian, and there is no apt-get here")
    except subprocess.TimeoutExpired:
        skip(f"apt-get did not fetch {package} within two minutes")
    files = list(scratch.glob("*.deb"))
    if done.returncode != 0 or not files:
        skip(f"{package} cannot be fetched: apt install {package}: {done.stdout.strip()[-300:]}")
    subprocess.run(["dpkg-deb", "-x", files[0], scratch], check=True)
    files[0].unlink()
    if not (scratch / name).exists():
        skip(f"{package} has no {name}")
    return scratch / name
