/*
 * Every k-th call of a class fails, once and for ever, under the store, its writer and the keyring.
 *
 *	store_faults [--class C] [--error E] [--once | --forever] [--from K] [--to K] [--verbose]
 *
 * One scenario: open, write an own log and two replicas (alone, and several in one group), cosign,
 * add keys, look things up, close, open again, write on, close. A first run counts the calls of the
 * class; then, for each k, a child runs it with the k-th call failing, and another one opens what
 * is left without faults. Held against every run:
 *
 *	- it ends by itself, in time, with 0 or 1; whatever failed said why
 *	- what was reported done is there, and what is there is right: each log re-hashed from the
 *	  disk, every locator, cosignature and key
 *	- the store can be opened and written on
 *
 * Prints one line a class and error; a k that fails prints the line that replays it.
 */
#include "tests/unit/store/support.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/store/keyring.h"
#include "tests/lib/fault.h"

enum {
	DEADLINE_S = 20,
	TRIES = 3,
	LOGS = 3,
	KEYS = 6,
	KEY_SIZE = 200,
	WRITES_MAX = 16,
	SLACK = 10
};
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG = 3 };

/* What the child reported done, shared with the parent. */
struct acknowledged {
	uint64_t size[LOGS];
	bool cosigned[LOGS];
	bool keys[KEYS];
	bool done; /* the scenario came to its end */
};

struct scenario {
	char directory[264], store[280], keyring[280], guarded[280];
	struct tlog logs[LOGS];
	struct store_write *writes[WRITES_MAX];
	unsigned log_of[WRITES_MAX];
	size_t write_count;
	struct keyring_item keys[KEYS];
	uint8_t values[KEYS][KEY_SIZE];
	struct acknowledged *acknowledged;
	bool verbose;
	/* Open. */
	struct store *open;
	struct guard *guard;
	struct writer *writer;
	struct keyring *ring;
	sem_t woken;
};

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(EXIT_WRONG);
}

/* A failure is fine when it says what failed; running out of memory needs no words. */
static bool good(const struct scenario *s, enum err err, const struct errctx *ctx, const char *what)
{
	if (err == OK)
		return true;
	if (err != ERR_NOMEM && ctx->text[0] == '\0')
		wrong("%s: %s, and nothing said", what, err_name(err));
	if (s->verbose)
		fprintf(stderr, "  %s: %s\n", what, err_message(ctx, err));
	return false;
}

/* The scenario. */

static void on_wake(void *arg)
{
	sem_post(arg);
}

/* A disk that fails is no reason for a guard to think that data was put back. */
static bool scenario_guard(struct scenario *s)
{
	struct guard_opts opts = {
		.path = s->guarded, .network = NETWORK, .node = NODE, .directory = ""};
	enum guard_verdict verdict = GUARD_NEW;
	struct errctx why = {""}, ctx = {""};

	if (!good(s, guard_open(&opts, &s->guard, &ctx), &ctx, "open guard") ||
		!good(s, guard_check(s->guard, s->open, &verdict, &why, &ctx), &ctx, "check guard"))
		return false;
	if (verdict != GUARD_NEW && verdict != GUARD_SAME)
		wrong("guard: %s: %s", guard_verdict_name(verdict), why.text);
	return true;
}

static bool scenario_open(struct scenario *s)
{
	struct store_opts opts = {.path = s->store, .network = NETWORK, .node = NODE};
	struct errctx ctx = {""};

	if (!good(s, store_open(&opts, &s->open, &ctx), &ctx, "open store") || !scenario_guard(s))
		return false;
	struct writer_opts writer = {s->open, s->guard, on_wake, &s->woken};

	return good(s, writer_start(&writer, &s->writer, &ctx), &ctx, "start writer") &&
	       good(s, keyring_open(s->keyring, &s->ring, &ctx), &ctx, "open keyring");
}

static void scenario_close(struct scenario *s)
{
	if (s->writer != NULL)
		writer_stop(s->writer);
	writer_free(s->writer);
	store_close(s->open);
	guard_close(s->guard);
	keyring_close(s->ring);
	s->writer = NULL;
	s->open = NULL;
	s->guard = NULL;
	s->ring = NULL;
}

static bool scenario_reopen(struct scenario *s)
{
	for (unsigned i = 0; i < TRIES; i++) {
		scenario_close(s);
		if (scenario_open(s))
			return true;
	}
	return false;
}

static void acknowledge(struct scenario *s, size_t at)
{
	const struct store_write *write = s->writes[at];
	unsigned log = s->log_of[at];

	if (write->entries != NULL)
		s->acknowledged->size[log] = write->first + write->entries->count;
	if (write->cosigner[0] != '\0')
		s->acknowledged->cosigned[log] = true;
}

/* How many writes of [from, to) came back without an error. */
static size_t write_once(struct scenario *s, size_t from, size_t to, const bool *done)
{
	struct errctx ctx = {""}, said = {""};
	size_t asked = 0, failed = 0;

	for (size_t i = from; i < to; i++) {
		if (done[i])
			continue;
		writer_submit(s->writer, s->writes[i]);
		asked++;
	}
	for (size_t back = 0; back < asked;) {
		sem_wait(&s->woken);
		for (struct store_write *write = writer_done(s->writer, &ctx); write != NULL;
			write = write->next) {
			back++;
			failed += write->result != OK;
		}
		if (said.text[0] == '\0')
			said = ctx;
	}
	if (failed > 0)
		good(s, ERR_IO, &said, "write");
	return asked - failed;
}

static bool write_all(struct scenario *s, size_t from, size_t to)
{
	bool done[WRITES_MAX] = {false};
	struct condition condition;
	size_t left = to - from;

	for (unsigned i = 0; i < TRIES && left > 0; i++) {
		writer_condition(s->writer, &condition);
		if (condition.trouble == TROUBLE_RESTART && !scenario_reopen(s))
			return false;
		left -= write_once(s, from, to, done);
		for (size_t k = from; k < to; k++) {
			if (!done[k] && s->writes[k]->result == OK)
				acknowledge(s, k);
			done[k] = done[k] || s->writes[k]->result == OK;
		}
	}
	return left == 0;
}

static bool keys_add(struct scenario *s, unsigned from, unsigned to)
{
	enum err err = ERR_IO;

	for (unsigned i = 0; i < TRIES && err != OK; i++) {
		struct errctx ctx = {""};

		err = keyring_put(s->ring, s->keys + from, to - from, &ctx);
		/* Kept although the first try said it failed: the head's fate was not known. */
		if (err == ERR_EXISTS && i > 0)
			return true;
		for (unsigned k = from; k < to && err == OK; k++)
			s->acknowledged->keys[k] = true;
		if (good(s, err, &ctx, "put keys"))
			continue;
		if (keyring_trouble(s->ring) == TROUBLE_RESTART && !scenario_reopen(s))
			return false;
	}
	return err == OK;
}

/* Whatever is answered must be right; no answer is fine. */
static bool look_up(struct scenario *s)
{
	struct tlog *log = &s->logs[0];
	uint64_t size = s->acknowledged->size[0];
	struct errctx ctx = {""};
	struct log_head head;
	struct store_batch batch;
	struct store_read read = {READ_BATCH, log->origin, 0, size, 8, 65536, 1};
	uint64_t index = 0;
	size_t count = 0;
	uint8_t locator[16];
	bool all = true;

	if (size == 0)
		return false;
	if (good(s, store_head(s->open, &log->origin, &head, &ctx), &ctx, "head")) {
		if (head.size < size)
			wrong("head of %u entries, %u acknowledged", (unsigned)head.size,
				(unsigned)size);
		log_head_release(&head);
	} else {
		all = false;
	}
	if (good(s, store_read_batch(s->open, &read, &batch, &ctx), &ctx, "batch")) {
		if (batch.entries->count != (size < 8 ? size : 8))
			wrong("a batch of %zu entries", batch.entries->count);
		entries_unref(batch.entries);
	} else {
		all = false;
	}
	for (uint64_t i = 0; i < size; i++) {
		if (!entry_is_sealed(i))
			continue;
		locator_make(locator, log->number, i);
		ctx = (struct errctx){""};
		if (!good(s, store_locate(s->open, &log->origin, locator, &index, 1, &count, &ctx),
			    &ctx, "locate")) {
			all = false;
			continue;
		}
		if (count != 1 || index != i)
			wrong("locator of entry %u: found %zu, at %u", (unsigned)i, count,
				(unsigned)index);
	}
	return all;
}

/* The writes of `s` by number; see scenario_make. */
static bool scenario_run(struct scenario *s)
{
	bool all = true;

	if (!scenario_open(s) && !scenario_reopen(s))
		return false;
	all &= write_all(s, 0, 1); /* one alone */
	all &= s->ring != NULL && keys_add(s, 0, 3);
	all &= s->ring != NULL && write_all(s, 1, 6); /* a group of several logs */
	all &= s->ring != NULL && look_up(s);
	if (!scenario_reopen(s))
		return false;
	all &= write_all(s, 6, s->write_count);
	all &= s->ring != NULL && keys_add(s, 3, KEYS);
	all &= s->ring != NULL && look_up(s);
	scenario_close(s);
	s->acknowledged->done = true;
	return all;
}

/* Afterwards, without faults. */

static enum err each_key(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct scenario *s = arg;

	for (unsigned i = 0; i < KEYS; i++) {
		if (memcmp(item->kid, s->keys[i].kid, sizeof(item->kid)) != 0)
			continue;
		if (!bytes_equal(item->value, s->keys[i].value))
			wrong("key %u has another value", i);
		s->values[i][0] = 0xff; /* seen */
		return OK;
	}
	wrong("a key that nobody put");
}

static void check_keys(struct scenario *s)
{
	uint8_t values[KEYS][KEY_SIZE];
	struct errctx ctx = {""};

	memcpy(values, s->values, sizeof(values));
	for (unsigned i = 0; i < KEYS; i++)
		s->keys[i].value = bytes_make(values[i], KEY_SIZE);
	if (keyring_each(s->ring, each_key, s, &ctx) != OK)
		wrong("keyring: %s", ctx.text);
	for (unsigned i = 0; i < KEYS; i++)
		if (s->acknowledged->keys[i] && s->values[i][0] != 0xff)
			wrong("key %u is lost", i);
}

static void check_log(struct scenario *s, unsigned number)
{
	struct tlog *log = &s->logs[number];
	uint64_t acknowledged = s->acknowledged->size[number];
	struct store_verify verify = {0};
	struct errctx ctx = {""};
	struct log_head head;
	enum err err = store_verify(s->open, &log->origin, NULL, &verify, &ctx);

	if (err == ERR_NOTFOUND && acknowledged == 0)
		return;
	if (err != OK)
		wrong("log %u: %s", number, ctx.text);
	if (verify.size < acknowledged || verify.size > log->compact.size)
		wrong("log %u: %u entries, %u acknowledged", number, (unsigned)verify.size,
			(unsigned)acknowledged);
	if (!hash_equal(&verify.root, &log->roots[verify.size]))
		wrong("log %u: another root at %u", number, (unsigned)verify.size);
	if (store_head(s->open, &log->origin, &head, &ctx) != OK)
		wrong("log %u: %s", number, ctx.text);
	if (s->acknowledged->cosigned[number] && head.cosignature_count != 1)
		wrong("log %u: its cosignature is lost", number);
}

static void check_locators(struct scenario *s, unsigned number)
{
	struct tlog *log = &s->logs[number];
	uint8_t locator[16];
	uint64_t index = 0;
	size_t count = 0;
	struct errctx ctx = {""};

	for (uint64_t i = 0; i < s->acknowledged->size[number]; i++) {
		if (!entry_is_sealed(i))
			continue;
		locator_make(locator, log->number, i);
		if (store_locate(s->open, &log->origin, locator, &index, 1, &count, &ctx) != OK ||
			count != 1 || index != i)
			wrong("log %u: the locator of entry %u is lost", number, (unsigned)i);
	}
}

static void check(struct scenario *s)
{
	static const struct keyring_item more = {.kid = "one more"};
	struct errctx ctx = {""};
	struct tlog fresh;
	struct store_write *write;

	if (!scenario_open(s))
		wrong("it does not open any more");
	for (unsigned i = 0; i < LOGS; i++) {
		check_log(s, i);
		check_locators(s, i);
	}
	check_keys(s);
	tlog_init(&fresh, 9);
	write = tlog_write(&fresh, 3);
	writer_submit(s->writer, write);
	sem_wait(&s->woken);
	if (writer_done(s->writer, &ctx) != write || write->result != OK)
		wrong("it cannot be written any more: %s", ctx.text);
	if (keyring_put(s->ring, &more, 1, &ctx) != OK)
		wrong("the keyring cannot be written any more: %s", ctx.text);
	scenario_close(s);
}

/* Making it. */

static void add_write(struct scenario *s, unsigned log, size_t count)
{
	s->log_of[s->write_count] = log;
	s->writes[s->write_count++] = tlog_write(&s->logs[log], count);
}

static void add_cosignature(struct scenario *s, unsigned log)
{
	struct store_write *write = store_write_new(&s->logs[log].origin);

	strcpy(write->cosigner, "mirror");
	write->cosigned_size = s->logs[log].compact.size;
	buf_put_str(&write->cosignature, "a cosignature");
	s->log_of[s->write_count] = log;
	s->writes[s->write_count++] = write;
}

static void scenario_make(struct scenario *s)
{
	tlog_init(&s->logs[0], 1);
	tlog_init_of(&s->logs[1], 2, "caf");
	tlog_init_of(&s->logs[2], 3, "cod");
	add_write(s, 0, 1);   /* 0: alone */
	add_write(s, 0, 4);   /* 1 to 5: a group */
	add_write(s, 1, 300); /* past a tile */
	add_write(s, 1, 3);
	add_cosignature(s, 0);
	add_write(s, 2, 2);
	add_write(s, 0, 3); /* behind the reopening */
	add_write(s, 1, 5);
	add_cosignature(s, 1);
	for (unsigned i = 0; i < KEYS; i++) {
		memset(s->values[i], (int)(0x20 + i), KEY_SIZE);
		memset(s->keys[i].kid, (int)(0x40 + i), sizeof(s->keys[i].kid));
		s->keys[i].value = bytes_make(s->values[i], KEY_SIZE);
	}
	s->acknowledged = mmap(NULL, sizeof(*s->acknowledged), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(&s->woken, 0, 0);
}

/* Running it with faults. */

struct plan {
	enum fault_class class;
	int error;
	bool forever;
	uint64_t from, to;
};

static const char *const class_names[FAULT_CLASSES] = {
	"write", "sync", "mmap", "malloc", "rename", "open", "truncate"};
static const struct {
	const char *name;
	int error;
} error_names[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"ENOMEM", ENOMEM},
	{"EACCES", EACCES}, {"EMFILE", EMFILE}, {"short", FAULT_SHORT}};
enum { ERRORS = sizeof(error_names) / sizeof(error_names[0]) };

static const char *error_name(int error)
{
	for (unsigned i = 0; i < ERRORS; i++)
		if (error_names[i].error == error)
			return error_names[i].name;
	return "?";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void clear(struct scenario *s)
{
	nftw(s->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(s->directory, 0700) != 0) {
		perror(s->directory);
		exit(2);
	}
}

/* The child's status. */
static int in_child(struct scenario *s, void (*run)(struct scenario *s, void *arg), void *arg)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(DEADLINE_S);
		run(s, arg);
		_exit(EXIT_DONE);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("child");
		exit(2);
	}
	return status;
}

static void run_faulty(struct scenario *s, void *arg)
{
	struct fault_state *shared = arg, *state = fault_state();
	bool all;

	*state = *shared;
	__atomic_store_n(&state->armed, 1, __ATOMIC_RELEASE);
	all = scenario_run(s);
	__atomic_store_n(&state->armed, 0, __ATOMIC_RELEASE);
	shared->count = state->count;
	shared->failed = state->failed;
	if (!all)
		_exit(EXIT_FAILED);
}

static void run_check(struct scenario *s, void *arg)
{
	check(s);
}

static const char *how(int status)
{
	static char text[64];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return "it hangs";
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(status));
	return text;
}

static bool ended_well(int status)
{
	return WIFEXITED(status) &&
	       (WEXITSTATUS(status) == EXIT_DONE || WEXITSTATUS(status) == EXIT_FAILED);
}

/* One k; false: something is wrong, and was said. */
static bool run_k(
	struct scenario *s, const struct plan *plan, struct fault_state *shared, uint64_t k)
{
	int status, after;

	clear(s);
	*s->acknowledged = (struct acknowledged){0};
	*shared = (struct fault_state){
		.class = plan->class, .error = plan->error, .forever = plan->forever, .k = k};
	strcpy(shared->prefix, s->directory);
	status = in_child(s, run_faulty, shared);
	after = in_child(s, run_check, NULL);
	if (ended_well(status) && after == 0 && (k > 0 || (status == 0 && s->acknowledged->done)))
		return true;
	fprintf(stderr, "%s; afterwards: %s\n", how(status), after == 0 ? "all well" : how(after));
	fprintf(stderr,
		"replay: store_faults --class %s --error %s %s --from %llu --to %llu --verbose\n",
		class_names[plan->class], error_name(plan->error),
		plan->forever ? "--forever" : "--once", (unsigned long long)k,
		(unsigned long long)k);
	return false;
}

static unsigned run_plan(struct scenario *s, struct plan plan)
{
	struct fault_state *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned bad = 0;
	uint64_t count;

	if (!run_k(s, &plan, shared, 0))
		exit(2);
	/* Threads decide how the group is cut: some runs make a few calls more. */
	count = shared->count + SLACK;
	if (plan.to == 0 || plan.to > count)
		plan.to = count;
	for (uint64_t k = plan.from; k <= plan.to; k++)
		bad += !run_k(s, &plan, shared, k);
	printf("%-9s %-7s %-8s %5llu calls, %u failed\n", class_names[plan.class],
		error_name(plan.error), plan.forever ? "for ever" : "once",
		(unsigned long long)(count - SLACK), bad);
	fflush(stdout);
	munmap(shared, sizeof(*shared));
	return bad;
}

/* The plans of the suite: every class with the errors that it can have. */
static const struct {
	enum fault_class class;
	int error;
} all_plans[] = {
	{FAULT_WRITE, EIO},
	{FAULT_WRITE, ENOSPC},
	{FAULT_WRITE, FAULT_SHORT},
	{FAULT_WRITE, EROFS},
	{FAULT_SYNC, EIO},
	{FAULT_SYNC, ENOSPC},
	{FAULT_SYNC, FAULT_SHORT},
	{FAULT_MMAP, ENOMEM},
	{FAULT_MALLOC, ENOMEM},
	{FAULT_RENAME, EIO},
	{FAULT_RENAME, ENOSPC},
	{FAULT_OPEN, EACCES},
	{FAULT_OPEN, EMFILE},
	{FAULT_TRUNCATE, ENOSPC},
};

struct choice {
	int class, error, forever; /* -1, INT_MAX, -1: all */
	uint64_t from, to;
};

static unsigned run_chosen(struct scenario *s, const struct choice *choice)
{
	unsigned bad = 0;

	for (size_t i = 0; i < sizeof(all_plans) / sizeof(all_plans[0]); i++) {
		for (int forever = 0; forever < 2; forever++) {
			struct plan plan = {all_plans[i].class, all_plans[i].error, forever != 0,
				choice->from, choice->to};

			if ((choice->class < 0 || choice->class == (int)plan.class) &&
				(choice->error == INT_MAX || choice->error == plan.error) &&
				(choice->forever < 0 || choice->forever == forever))
				bad += run_plan(s, plan);
		}
	}
	return bad;
}

static int usage(void)
{
	fputs("usage: store_faults [--class C] [--error E] [--once | --forever] [--from K] [--to "
	      "K] "
	      "[--verbose]\n",
		stderr);
	return 2;
}

static bool parse(int argc, char **argv, struct choice *choice, bool *verbose)
{
	static const struct option options[] = {{"class", required_argument, NULL, 'c'},
		{"error", required_argument, NULL, 'e'}, {"once", no_argument, NULL, 'o'},
		{"forever", no_argument, NULL, 'f'}, {"from", required_argument, NULL, 'a'},
		{"to", required_argument, NULL, 'b'}, {"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			for (int i = 0; i < FAULT_CLASSES; i++)
				if (strcmp(optarg, class_names[i]) == 0)
					choice->class = i;
			if (choice->class < 0)
				return false;
			break;
		case 'e':
			for (unsigned i = 0; i < ERRORS; i++)
				if (strcmp(optarg, error_names[i].name) == 0)
					choice->error = error_names[i].error;
			if (choice->error == INT_MAX)
				return false;
			break;
		case 'o':
		case 'f':
			choice->forever = c == 'f';
			break;
		case 'a':
			choice->from = strtoull(optarg, NULL, 10);
			break;
		case 'b':
			choice->to = strtoull(optarg, NULL, 10);
			break;
		case 'v':
			*verbose = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	static struct scenario s;
	struct choice choice = {-1, INT_MAX, -1, 1, 0};
	struct place place;
	unsigned bad;

	if (!parse(argc, argv, &choice, &s.verbose))
		return usage();
	/* In memory where there is room for it: what counts is the calls, not the disk. */
	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	if (crypto_init() != OK)
		return 2;
	place_make(&place);
	snprintf(s.directory, sizeof(s.directory), "%s/k", place.directory);
	snprintf(s.store, sizeof(s.store), "%s/store", s.directory);
	snprintf(s.keyring, sizeof(s.keyring), "%s/keyring", s.directory);
	snprintf(s.guarded, sizeof(s.guarded), "%s/guard", s.directory);
	scenario_make(&s);
	bad = run_chosen(&s, &choice);
	place_remove(&place);
	return bad == 0 ? 0 : 1;
}
