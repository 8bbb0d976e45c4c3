#!/usr/bin/env python3
"""/metrics of sauti-web under "promtool check metrics". test_promtool.py BUILD SCRATCH

promtool is the installed one, or of Debian's prometheus, which is unpacked into SCRATCH and not installed:
that would start a server. It accepts what sauti-web says of a real node, of one that is locked, and
while there is none, and refuses what was changed, by its parser or by its rules for names."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mutations
from debian import unpacked

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
from fakenode import get  # noqa: E402
from network import Network  # noqa: E402
from webserver import Web, open_directory  # noqa: E402


BLIND = {
    "a type missing in its line": "to its parser that is a comment, and the metric has no type",
    "a value twice": "it looks at names and forms; the server that collects would tell",
}


def mutated(text):
    """(name, text) of a text that has gauges and counters, some with labels."""
    lines = text.splitlines(keepends=True)

    def first(what, after=0):
        return next(i for i, line in enumerate(lines) if i >= after and what(line))

    def with_line(at, *new):
        return "".join(lines[:at] + list(new) + lines[at + 1:])
    plain = first(lambda line: not line.startswith("#") and "{" not in line)
    labelled = first(lambda line: "{" in line and not line.startswith("#"))
    name = lines[plain].split(" ")[0]
    label = lines[labelled]
    kind = first(lambda line: line.startswith(f"# TYPE {name} "))
    help_ = first(lambda line: line.startswith(f"# HELP {name} "))
    counter = first(lambda line: line.startswith("# TYPE") and line.endswith(" counter\n"))
    total = lines[counter].split(" ")[2]
    yield "no newline at the end", text[:-1]
    yield "text with CRLF", text.replace("\n", "\r\n")
    yield "text cut in a line", text[:len("".join(lines[:labelled])) + len(label) // 2]
    yield "a type twice", with_line(kind, lines[kind], lines[kind])
    yield "a help text twice", with_line(help_, lines[help_], lines[help_])
    yield "a type behind its value", with_line(kind, "").replace(lines[plain], lines[plain] + lines[kind])
    yield "a type that there is not", with_line(kind, f"# TYPE {name} number\n")
    yield "a type missing in its line", with_line(kind, f"# TYPE {name}\n")
    yield "no help text", with_line(help_, "")
    yield "no value", with_line(plain, f"{name}\n")
    yield "a value that is no number", with_line(plain, f"{name} one\n")
    yield "a value with a comma", with_line(plain, f"{name} 1,5\n")
    yield "two values", with_line(plain, f"{name} 1 2 3\n")
    yield "a time that is no number", with_line(plain, f"{name} 1 now\n")
    yield "a name with a hyphen", text.replace(name, name.replace("_", "-"))
    yield "a name that begins with a digit", text.replace(name, "0" + name)
    yield "a name with a blank", with_line(plain, lines[plain].replace("_", " ", 1))
    yield "a name in mixed case", text.replace(name, name.replace("_", "X", 1))
    yield "a gauge that ends in _total", text.replace(name, name + "_total")
    yield "a counter that does not", text.replace(total, total.replace("_total", ""))
    yield "a counter said to be a gauge", with_line(counter, f"# TYPE {total} gauge\n")
    yield "a unit that is not a base unit", text.replace(name, name + "_milliseconds")
    yield "a type in the name", text.replace(name, name + "_gauge")
    yield "a label without quotes", with_line(labelled, label.replace('"', ""))
    yield "a label without its last quote", with_line(labelled, label.replace('"}', "}"))
    yield "labels without their bracket", with_line(labelled, label.replace("}", ""))
    yield "a label without a name", with_line(labelled, label[:label.index("{") + 1] + label[label.index("="):])
    yield "a label's name with a hyphen", with_line(labelled, label.replace("{", "{a-"))
    yield "a label twice", with_line(labelled, label.replace("{", '{a="1",a="2",'))
    yield "a label with a line break", with_line(labelled, label.replace('="', '="\n', 1))
    yield "a label with an escape that there is not", with_line(labelled, label.replace('="', '="\\x', 1))
    yield "a label le where there is no histogram", with_line(labelled, label.replace("{", '{le="1",'))
    yield "a value twice", with_line(plain, lines[plain], lines[plain])
    yield "a byte that is not UTF-8", with_line(labelled, label.replace('="', '="\udcff', 1))
    yield "HTML", "<html><body>503</body></html>\n"
    yield "JSON", '{"sauti_up": 1}\n'


def promtool(scratch):
    program = unpacked("prometheus", "usr/bin/promtool", scratch)

    def check(text):
        done = subprocess.run([program, "check", "metrics"], input=text.encode("utf-8", "surrogateescape"),
                              capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        return "ok" if done.returncode == 0 and not said else f"no: {said or done.returncode}"
    return check


def metrics(build, root):
    """Of a real node: open, locked, gone."""
    network = Network(root / "net", build, "metrics.example")
    shared = open_directory(root / "open")
    web = None
    try:
        node = network.init()
        node.configure(f"[public]\nsocket = {shared}/public.sock\n")
        node.start()
        os.chmod(shared / "public.sock", 0o666)  # sauti-web is another user, of no group of ours
        web = Web(build, shared, shared / "public.sock")
        get(web.address, "/logs")
        get(web.address, "/nothing")
        texts = [get(web.address, "/metrics").body.decode()]
        node.sauti("lock")
        texts.append(get(web.address, "/metrics").body.decode())
        node.stop()
        texts.append(get(web.address, "/metrics").body.decode())
        return texts
    finally:
        if web is not None:
            web.stop()
        network.stop()


def main():
    build, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    if not (build / "sauti-web").exists():
        mutations.skip("sauti-web was not built: libmicrohttpd-dev is missing")
    check = promtool(scratch)
    with tempfile.TemporaryDirectory(prefix="sauti-promtool-") as name:
        texts = metrics(build, Path(name))
    if "\nsauti_up 1\n" not in texts[0] or "\nsauti_locked 1\n" not in texts[1] or \
            "\nsauti_up 0\n" not in texts[2]:
        sys.exit(f"/metrics does not say how the node is: {texts}")
    mutations.Run("promtool").all("metrics", texts, mutated(texts[0]), check, BLIND)


main()
