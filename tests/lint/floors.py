#!/usr/bin/env python3
"""The floors of the house, held by a written list (docs/ARCHITECTURE, DESIGN 5).

    floors.py [ROOT]

Reads every .c and .h file under ROOT (default: the tree this file stands in) and prints one line
for each thing that is not allowed: "path:line: rule: what". Exits 1 when there is any.

The rules, and what is in the lists below:
  folder   every folder with C files is in FOLDERS
  include  a folder includes only the folders listed for it
  rooted   project headers are included from the top, and exist (a test's own stands beside it)
  foreign  a header of a library is included only where FOREIGN says; unknown ones nowhere
  pure     pure floors call no clock, file, socket, thread, log or randomness (STYLE 18)
  global   pure floors keep no state of their own
  heap     allocation goes through base/alloc.h (STYLE 16)
  stale    an exception in ALLOWED that nothing needs any more

What is needed against a rule stands in ALLOWED with its reason.
"""

import pathlib
import re
import sys

# ---- the written list ----

# Folder -> the folders whose headers it may include, besides its own. The longest match counts.
FOLDERS = {
    "base": [],
    "proto": ["base"],
    "certs": ["base", "proto"],
    "replication/log": ["base"],
    # Evidence is read from a message and carries a record; its reader stands beside the notes.
    "replication/log/evidence.c": ["base", "proto", "certs", "replication/log"],
    "replication/log/evidence.h": ["base", "proto", "certs", "replication/log"],
    "replication/engine": ["base", "proto", "certs", "replication/log"],
    "replication/bundle": ["base", "proto", "certs", "replication"],
    "replication/audit": ["base", "proto", "certs", "replication/log"],
    "cases": ["base", "proto"],
    "node": ["base", "proto", "certs", "replication"],
    "server": ["base", "proto", "certs", "replication", "cases", "node"],
    "cli": ["base", "proto", "certs", "replication", "cases", "node"],
    # Of what is below: the client of the node's socket, and how files and INI are read; no more.
    "web": ["base", "proto", "node/control.h", "node/ini.h", "node/files.h"],
    "tests": ["base", "proto", "certs", "replication", "cases", "node", "server", "cli", "web"],
    "bench": ["base", "proto", "certs", "replication", "cases", "node", "server"],
}

# No clock, file, socket, thread, global state or log.
PURE = ["base", "proto", "certs", "replication", "cases"]

# Tests and measurements break things on purpose.
EXEMPT = ["tests", "bench"]

# Header, or its folder with a slash -> where it may be included. Tests may include any of these.
FOREIGN = {
    "lmdb.h": ["server/store"],
    "uv.h": ["server"],
    "openssl/": ["base", "certs", "server/net"],
    "protobuf-c/": ["proto"],
    "jansson.h": ["cases", "server", "cli", "web"],
    "zdict.h": [],
    "csv.h": ["cases/import"],
    "libgfshare.h": ["certs"],
    "qrencode.h": ["cli"],
    "curl/": ["cli"],
    "zstd.h": ["cases"],
    "zstd_errors.h": ["cases"],
    "microhttpd.h": ["web"],
    "cmocka.h": [],
    "dlfcn.h": [],
    "sanitizer/": [],
}

# Headers of C that hold nothing impure, or whose impure calls are found by name below.
STANDARD = """
assert.h ctype.h errno.h float.h inttypes.h limits.h math.h setjmp.h stdalign.h stdarg.h stdatomic.h
stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
""".split()

# Headers of the system, for the floors that touch it.
SYSTEM = """
arpa/inet.h dirent.h fcntl.h ftw.h getopt.h grp.h ifaddrs.h libgen.h linux/ malloc.h netdb.h
net/if.h netinet/in.h netinet/tcp.h poll.h pthread.h pwd.h sched.h semaphore.h signal.h spawn.h sys/
syslog.h termios.h time.h unistd.h
""".split()

# Calls that a pure floor does not make, by what they touch.
IMPURE = {
    "clock": """time clock clock_gettime clock_nanosleep gettimeofday localtime localtime_r gmtime
        mktime ctime ctime_r asctime nanosleep sleep usleep""",
    "file": """fopen freopen fdopen fclose fread fgets fgetc fscanf getline open openat creat close
        read write pread pwrite readv writev lseek dup dup2 pipe fcntl ioctl mmap munmap unlink
        unlinkat rename renameat link symlink mkdir rmdir stat fstat lstat statvfs access chmod
        fchmod chdir opendir readdir scandir fsync fdatasync ftruncate truncate flock tmpfile
        mkstemp BIO_new_file BIO_new_fp""",
    "socket": """socket socketpair connect bind listen accept accept4 shutdown send sendto sendmsg
        recv recvfrom recvmsg getsockopt setsockopt getaddrinfo gethostbyname poll ppoll select
        epoll_create1 epoll_ctl epoll_wait""",
    "thread": r"""pthread_\w+ thrd_\w+ mtx_\w+ cnd_\w+ call_once sem_\w+""",
    "log": """printf fprintf vprintf vfprintf dprintf puts fputs putchar putc fputc fwrite fflush
        perror syslog vsyslog""",
    "randomness": r"""rand rand_r srand random srandom drand48 lrand48 arc4random\w* getrandom
        getentropy RAND_\w+""",
    "process": r"""getenv secure_getenv setenv putenv unsetenv setlocale system popen fork vfork
        exec[lv]\w* exit _exit quick_exit atexit signal sigaction raise kill getpid strtok rename
        strerror""",
}

HEAP = """malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign strdup
    strndup asprintf vasprintf alloca"""

# (path, rule, regular expression for what is found, reason). The expression matches whole.
ALLOWED = [
    ("base/alloc.c", "heap", "realloc|free", "the one place that asks the C library"),
    ("base/alloc.c", "global", "current", "the allocator that tests replace"),
    ("base/crypto.c", "foreign", r"pthread\.h", "see the next lines"),
    ("base/crypto.c", "pure", r"pthread_(getspecific|setspecific|key_create|key_delete)",
     "contexts of OpenSSL are kept per thread and freed at its end"),
    ("base/crypto.c", "pure", "pthread_mutex_(lock|unlock)", "crypto_init may come from any thread"),
    ("base/crypto.c", "pure", r"RAND_\w+", "the one call for randomness"),
    ("base/crypto.c", "global", r"init_\w+|thread_\w+|random_\w+|algorithms|fetched|\w*_(md|mac|kdf)",
     "algorithms fetched once, and the randomness that tests replace"),
    ("certs/x509.c", "foreign", r"time\.h", "timegm and struct tm: ASN.1 dates, not the clock"),
    ("server/heap.c", "heap", "malloc|free|realloc", "every free of the process passes here, to be wiped"),
    ("server/heap.c", "foreign", r"dlfcn\.h", "the free behind ours"),
    ("proto/arena.c", "foreign", r"sanitizer/asan_interface\.h", "hides what was not handed out"),
]

# ---- reading ----

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
# Not a member (x.open, x->time), nor the end of a longer name.
BEFORE = r"(?<![\w.])(?<!->)"
# A variable with static life that is not constant: at file scope, or in a function.
STATE = re.compile(
    r"^[ \t]*(?:static|_Thread_local|__thread)\b(?![^;={(]*\bconst\b)(?![^;={]*\()"
    r"[^;={]*?(\w+)(?:\[[^\]]*\])*\s*(?:;|=)", re.MULTILINE)
# The same without a storage class, at file scope.
EXPORTED = re.compile(
    r"^(?!(?:struct|enum|union)\s+\w+\s*;)(?:extern\s+)?(?:(?:struct|enum|union|unsigned)\s+)?"
    r"(?!const\b|static\b|typedef\b|struct\b|enum\b|union\b)\w+[ \t]+\**(\w+)(?:\[[^\]]*\])*"
    r"\s*(?:;|=)", re.MULTILINE)


def calls(names):
    return re.compile(BEFORE + "(" + "|".join(names.split()) + r")\s*\(")


IMPURE_CALLS = [(what, calls(names)) for what, names in IMPURE.items()]
STREAM = re.compile(r"\b(stdout|stderr|stdin)\b")
HEAP_CALLS = calls(HEAP)


def blank(match):
    """A comment or a literal as blanks, so that lines keep their numbers."""
    return re.sub(r"[^\n]", " ", match.group(0))


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def within(path, folders):
    return any(inside(path, folder) for folder in folders)


def in_list(header, names):
    return any(header == n or n.endswith("/") and header.startswith(n) for n in names)


class Lint:
    def __init__(self, root):
        self.root = root
        self.found = []
        self.used = set()

    def report(self, path, text, at, rule, what, why):
        for i, (where, its_rule, pattern, _) in enumerate(ALLOWED):
            if where == path and its_rule == rule and re.fullmatch(pattern, what):
                self.used.add(i)
                return
        line = text.count("\n", 0, at) + 1
        self.found.append((path, line, rule, "%s: %s" % (what, why)))

    def project_header(self, path, folder, text, match):
        header = match.group(2)
        add = lambda rule, why: self.report(path, text, match.start(), rule, header, why)
        generated = re.fullmatch(r"(.*)\.pb-c\.h|(.*)\.inc", header)
        beside = (self.root / path).parent / header
        if folder in EXEMPT and "/" not in header and (generated or beside.is_file()):
            return
        source = generated.group(1) + ".proto" if generated and generated.group(1) else header
        if not (self.root / source).is_file() or ".." in header:
            add("rooted", "no such file from the top of the tree")
            return
        if inside(header, folder) or folder in EXEMPT and within(header, EXEMPT):
            return
        if not within(header, FOLDERS[folder]):
            add("include", "%s may include %s" % (folder, ", ".join(FOLDERS[folder]) or "nothing"))

    def foreign_header(self, path, folder, text, match):
        header = match.group(2)
        add = lambda why: self.report(path, text, match.start(), "foreign", header, why)
        if header in STANDARD:
            return
        for name, where in FOREIGN.items():
            if in_list(header, [name]):
                if folder not in EXEMPT and not within(path, where):
                    add("only in %s" % (", ".join(where) or "tests"))
                return
        if not in_list(header, SYSTEM):
            add("in no list")
        elif folder in PURE or within(folder, PURE):
            add("%s does not touch the system" % folder)

    def code(self, path, folder, text):
        """text without comments and literals"""
        if folder not in EXEMPT:
            for match in HEAP_CALLS.finditer(text):
                self.report(path, text, match.start(), "heap", match.group(1),
                            "use base/alloc.h")
        if not within(folder, PURE):
            return
        for what, pattern in IMPURE_CALLS:
            for match in pattern.finditer(text):
                self.report(path, text, match.start(), "pure", match.group(1),
                            "%s in %s" % (what, folder))
        for match in STREAM.finditer(text):
            self.report(path, text, match.start(), "pure", match.group(1), "log in " + folder)
        for pattern in (STATE, EXPORTED):
            for match in pattern.finditer(text):
                self.report(path, text, match.start(1), "global", match.group(1),
                            "state of its own in " + folder)

    def file(self, path):
        raw = (self.root / path).read_text(encoding="utf-8", errors="replace")
        folders = [f for f in FOLDERS if inside(path, f)]
        if not folders:
            self.report(path, raw, 0, "folder", path.rsplit("/", 1)[0], "not in FOLDERS")
            return
        folder = max(folders, key=len)
        # Includes stand in quotes: find them first, but not in comments.
        visible = TOKEN.sub(lambda m: m.group(0) if m.group(0)[0] in "\"'" else blank(m), raw)
        for match in INCLUDE.finditer(visible):
            if match.group(1) == '"':
                self.project_header(path, folder, visible, match)
            else:
                self.foreign_header(path, folder, visible, match)
        self.code(path, folder, TOKEN.sub(blank, raw))

    def tree(self):
        for top in sorted(self.root.iterdir()):
            if not top.is_dir() or top.name.startswith(".") or (top / "CMakeCache.txt").exists():
                continue
            for path in sorted(top.rglob("*.[ch]")):
                self.file(path.relative_to(self.root).as_posix())
        for i, (where, rule, pattern, _) in enumerate(ALLOWED):
            if i not in self.used:
                self.found.append((where, 0, "stale", "%s %s is not needed" % (rule, pattern)))
        return self.found


def main():
    default = pathlib.Path(__file__).resolve().parents[2]
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    found = Lint(root).tree()
    for finding in found:
        print("%s:%d: %s: %s" % finding)
    if found:
        print("%d findings" % len(found), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
