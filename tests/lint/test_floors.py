#!/usr/bin/env python3
"""Shows that floors.py goes red, once for each rule, and stays as it is for what is allowed.

Each violation is planted in a copy of the tree and must be found where it stands, as the rule it
breaks, and nothing else with it. What the tree itself is found guilty of is the business of the
test `floors`; here only the difference counts.
"""

import pathlib
import shutil
import sys
import tempfile

import floors

# (file, what is put at its end, rule, what the finding names)
RED = [
    # A floor reaches up.
    ("base/buf.c", '#include "proto/arena.h"', "include", "proto/arena.h"),
    ("base/buf.h", '#include "certs/record.h"', "include", "certs/record.h"),
    ("proto/scan.c", '#include "certs/record.h"', "include", "certs/record.h"),
    ("certs/record.c", '#include "replication/log/tree.h"', "include", "replication/log/tree.h"),
    ("certs/record.c", '#include "cases/event/event.h"', "include", "cases/event/event.h"),
    ("replication/log/tree.c", '#include "proto/arena.h"', "include", "proto/arena.h"),
    ("replication/log/tree.c", '#include "replication/engine/engine.h"', "include",
     "replication/engine/engine.h"),
    ("replication/engine/log.c", '#include "server/store/store.h"', "include",
     "server/store/store.h"),
    ("replication/engine/log.c", '#include "cases/event/event.h"', "include", "cases/event/event.h"),
    ("cases/event/event.c", '#include "certs/record.h"', "include", "certs/record.h"),
    ("cases/event/event.c", '#include "replication/log/tree.h"', "include", "replication/log/tree.h"),
    ("node/ini.c", '#include "cases/event/event.h"', "include", "cases/event/event.h"),
    ("node/ini.c", '#include "server/store/store.h"', "include", "server/store/store.h"),
    ("server/store/env.c", '#include "cli/new.h"', "include", "cli/new.h"),
    ("cli/main.c", '#include "server/store/store.h"', "include", "server/store/store.h"),
    ("cli/main.c", '  #  include  "server/store/store.h"', "include", "server/store/store.h"),
    ("web/new.c", '#include "node/config.h"', "include", "node/config.h"),
    ("base/buf.c", '#include "tests/lib/new.h"', "include", "tests/lib/new.h"),
    ("base/buf.c", '#include "proto/frame.pb-c.h"', "include", "proto/frame.pb-c.h"),
    # Headers that are not named from the top, or are not there.
    ("base/buf.c", '#include "err.h"', "rooted", "err.h"),
    ("base/buf.c", '#include "../base/err.h"', "rooted", "../base/err.h"),
    ("proto/scan.c", '#include "proto/none.pb-c.h"', "rooted", "proto/none.pb-c.h"),
    ("tests/unit/new.c", '#include "../lib/new.h"', "rooted", "../lib/new.h"),
    # Libraries.
    ("replication/engine/log.c", "#include <lmdb.h>", "foreign", "lmdb.h"),
    ("server/net/net.c", "#include <lmdb.h>", "foreign", "lmdb.h"),
    ("cli/main.c", "#include <lmdb.h>", "foreign", "lmdb.h"),
    ("node/ini.c", "#include <uv.h>", "foreign", "uv.h"),
    ("cli/main.c", "#include <uv.h>", "foreign", "uv.h"),
    ("replication/log/tree.c", "#include <openssl/evp.h>", "foreign", "openssl/evp.h"),
    ("cases/seal/seal.c", "#include <openssl/evp.h>", "foreign", "openssl/evp.h"),
    ("server/store/env.c", "#include <openssl/evp.h>", "foreign", "openssl/evp.h"),
    ("cli/main.c", "#include <openssl/ssl.h>", "foreign", "openssl/ssl.h"),
    ("base/buf.c", "#include <jansson.h>", "foreign", "jansson.h"),
    ("certs/record.c", "#include <protobuf-c/protobuf-c.h>", "foreign",
     "protobuf-c/protobuf-c.h"),
    ("server/net/net.c", "#include <microhttpd.h>", "foreign", "microhttpd.h"),
    ("cli/main.c", "#include <cmocka.h>", "foreign", "cmocka.h"),
    ("cli/main.c", "#include <sqlite3.h>", "foreign", "sqlite3.h"),
    ("base/buf.c", "#include <unistd.h>", "foreign", "unistd.h"),
    ("cases/event/event.c", "#include <time.h>", "foreign", "time.h"),
    ("proto/scan.c", "#include <pthread.h>", "foreign", "pthread.h"),
    # Clocks, files, sockets, threads, logs, randomness.
    ("base/buf.c", "long f(void) { return time(NULL); }", "pure", "time"),
    ("base/crypto.c", "void f(void) { clock_gettime(0, 0); }", "pure", "clock_gettime"),
    ("certs/record.c", "void f(void) { gettimeofday(0, 0); }", "pure", "gettimeofday"),
    ("certs/x509.c", "void f(void) { mktime(0); }", "pure", "mktime"),
    ("replication/engine/log.c", "void f(void) { usleep (1); }", "pure", "usleep"),
    ("cases/event/event.c", 'void f(void) { fopen("a", "r"); }', "pure", "fopen"),
    ("proto/frame.c", "int f(void) { return open(0, 0); }", "pure", "open"),
    ("proto/frame.c", "int f(void) { return\nread(0, 0, 0); }", "pure", "read"),
    ("replication/log/tree.c", "int f(void) { return socket(1, 1, 0); }", "pure", "socket"),
    ("base/crypto.c", "void f(void) { pthread_create(0, 0, 0, 0); }", "pure", "pthread_create"),
    ("base/alloc.c", "void f(void) { pthread_mutex_lock(0); }", "pure", "pthread_mutex_lock"),
    ("base/err.c", 'void f(void) { printf("x"); }', "pure", "printf"),
    ("certs/record.c", 'void f(void) { fputs("x", stderr); }', "pure", "stderr"),
    ("certs/record.c", 'void f(void *s) { fprintf(s, "x"); }', "pure", "fprintf"),
    ("cases/event/event.c", "int f(void) { return rand() % 6; }", "pure", "rand"),
    ("certs/record.c", "int f(void *p) { return RAND_bytes(p, 1); }", "pure", "RAND_bytes"),
    ("base/secret.c", "int f(void *p) { return getrandom(p, 1, 0); }", "pure", "getrandom"),
    ("cases/event/event.c", 'char *f(void) { return getenv("X"); }', "pure", "getenv"),
    ("base/err.c", "void f(void) { exit(1); }", "pure", "exit"),
    # State.
    ("base/buf.c", "static int count;", "global", "count"),
    ("proto/frame.c", "static struct buf spare = {0};", "global", "spare"),
    ("proto/frame.c", "static char names[4][8];", "global", "names"),
    ("cases/event/event.c", "int f(void)\n{\n\tstatic int n = 1;\n\treturn n++;\n}", "global", "n"),
    ("certs/record.c", "static __thread int depth;", "global", "depth"),
    ("certs/record.c", "int seen;", "global", "seen"),
    ("certs/record.c", "struct arena *last = NULL;", "global", "last"),
    ("certs/record.h", "extern unsigned long seen;", "global", "seen"),
    # The heap.
    ("cases/event/event.c", "void *f(void) { return malloc(1); }", "heap", "malloc"),
    ("server/net/net.c", "void f(void *p) { free(p); }", "heap", "free"),
    ("cli/main.c", 'char *f(void) { return strdup("x"); }', "heap", "strdup"),
    ("base/buf.c", "void *f(void) { return calloc (1, 1); }", "heap", "calloc"),
    ("base/alloc.c", "void *f(void) { return malloc(1); }", "heap", "malloc"),
    ("node/ini.c", "void f(void) { asprintf(0, 0); }", "heap", "asprintf"),
    # A folder that nobody put on the list; nothing else is known of it.
    ("attic/new.c", "int x;", "folder", "attic"),
    ("replication/new.c", "int x;", "folder", "replication"),
]

# What may stand there: found in no rule.
GREEN = [
    ("base/buf.c", "/* time(NULL), malloc(1), #include <lmdb.h> */"),
    ("base/buf.c", '/*\n#include "server/store/store.h"\n*/'),
    ("base/buf.c", '// printf("x") static int x;'),
    ("base/buf.c", 'const char *f(void) { return "time(0) \\" rand() stderr malloc(1)"; }'),
    ("base/buf.c", "int f(struct x *x) { return x->time(1) + x->y.open(2); }"),
    ("base/buf.c", "int f(int lifetime, int opened) { return uptime(1) + reopen(2) + brand(3); }"),
    ("base/buf.c", "void f(char *p) { snprintf(p, 1, 0); mem_free(p); buf_printf(0, 0); }"),
    ("base/buf.c", "static const int table[] = {1};\nconst struct x known = {1};"),
    ("base/buf.c", "static int f(int x);\nstatic inline int g(void) { return 1; }"),
    ("base/buf.c", "struct thing;\nextern const int many;\nenum kind { A = 1, B };"),
    ("base/buf.c", "#include <string.h>\n#include <openssl/evp.h>"),
    ("proto/scan.c", '#include "base/buf.h"\n#include "proto/frame.pb-c.h"'),
    ("replication/engine/log.c", '#include "certs/record.h"\n#include "replication/log/tree.h"'),
    ("server/store/env.c", '#include <lmdb.h>\n#include <uv.h>\n#include "cases/event/event.h"'),
    ("server/net/net.c", "#include <openssl/ssl.h>\n#include <sys/socket.h>"),
    ("server/net/net.c", "static int count;\nlong f(void) { return time(NULL); }"),
    ("cli/main.c", '#include "cases/event/event.h"\n#include "node/ini.h"\n#include <termios.h>'),
    ("tests/unit/new.c", '#include <lmdb.h>\n#include <cmocka.h>\n#include "server/net/net.h"'),
    ("tests/unit/new.c", '#include "beside.h"\nvoid *f(void) { return malloc(rand()); }'),
]

# The files that the lines above speak of and that the tree may not have.
NEW = ["attic/new.c", "replication/new.c", "web/new.c", "cli/new.h", "tests/lib/new.h",
       "tests/unit/new.c", "tests/unit/beside.h"]


def copy_tree(source, target):
    for folder in sorted({f.split("/")[0] for f in floors.FOLDERS}):
        if not (source / folder).is_dir():
            continue
        for path in (source / folder).rglob("*"):
            if path.suffix in (".c", ".h", ".proto") and path.is_file():
                to = target / path.relative_to(source)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)


def brief(findings):
    """As (path, rule, what)."""
    return [(path, rule, what.split(": ")[0]) for path, line, rule, what in findings]


def found(root, file):
    lint = floors.Lint(root)
    if (root / file).is_file():
        lint.file(file)
    return brief(lint.found)


def found_new(root, file, text):
    """What is found in the file only with the text at its end."""
    path = root / file
    old = path.read_bytes() if path.is_file() else None
    out = []
    before = found(root, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((old or b"") + b"\n" + text.encode() + b"\n")
    for finding in found(root, file):
        if finding in before:
            before.remove(finding)
        else:
            out.append(finding)
    if old is None:
        path.unlink()
    else:
        path.write_bytes(old)
    return out


def stale(root):
    """An exception that is not needed is found."""
    unused = ("base/buf.c", "pure", "time", "for this test")
    floors.ALLOWED.append(unused)
    try:
        return ("base/buf.c", "stale", "pure time is not needed") in brief(
            floors.Lint(root).tree())
    finally:
        floors.ALLOWED.remove(unused)


def main():
    source = pathlib.Path(__file__).resolve().parents[2]
    failures = []
    with tempfile.TemporaryDirectory(prefix="sauti-floors-") as name:
        root = pathlib.Path(name)
        copy_tree(source, root)
        for new in NEW[2:]:
            (root / new).parent.mkdir(parents=True, exist_ok=True)
            (root / new).write_text("")
        for file in sorted({f for f, *_ in RED + GREEN} - set(NEW)):
            if not (root / file).is_file():
                failures.append("%s: no such file to plant in" % file)
        for file, text, rule, what in RED:
            new = found_new(root, file, text)
            if (file, rule, what) not in new:
                failures.append("%s: not found as %s: %s" % (file, rule, text))
            # A call on a stream is two findings: the call and the stream.
            if [n for n in new if n[1] != rule]:
                failures.append("%s: found as something else: %s: %s" % (file, text, new))
        for file, text in GREEN:
            new = found_new(root, file, text)
            if new:
                failures.append("%s: found though allowed: %s: %s" % (file, text, new))
        if not stale(root):
            failures.append("an exception that is not needed is not found")
    for failure in failures:
        print(failure)
    if failures:
        sys.exit("%d failures" % len(failures))
    print("%d violations red, %d innocents green" % (len(RED) + 1, len(GREEN)))


main()
