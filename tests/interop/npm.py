"""Modules of npm for a test, fetched from whatever registry this machine is set up for."""
import shutil
import subprocess

from mutations import skip


def fetch(scratch, modules):
    """Into SCRATCH/node_modules, once. Skips where node or npm is missing or nothing comes."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("node or npm is missing: apt install nodejs npm")
    scratch.mkdir(parents=True, exist_ok=True)
    if all((scratch / "node_modules" / module.rsplit("@", 1)[0]).is_dir() for module in modules):
        return
    try:
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", scratch, *modules],
                              capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        skip("npm did not fetch the modules within two minutes")
    if done.returncode != 0:
        skip(f"npm cannot fetch {' '.join(modules)}: {done.stderr.strip()[-300:]}")
