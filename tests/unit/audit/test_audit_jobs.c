/* Several threads say what one says, to the byte, and end where they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "cli/audit/log.h"
#include "tests/unit/audit/memory_log.h"

enum { ENTRIES = 30000, STOP_AT = 9000 };

struct outcome {
	enum err err;
	struct walk_result result;
	struct findings *findings;
	uint64_t next, stop_at, progress;
	struct memory_log *log;
	atomic_uint inside, most; /* threads in read at once */
};

static enum err on_entry(void *arg, uint64_t index, struct bytes entry)
{
	struct outcome *o = arg;

	assert_int_equal(index, o->next);
	o->next++;
	return index == o->stop_at ? ERR_CANCELED : OK;
}

static void on_progress(void *arg, uint64_t hashed)
{
	struct outcome *o = arg;

	assert_true(hashed > o->progress);
	o->progress = hashed;
}

/* memory_read counts, which only one thread may: the lock is what is tested. */
static enum err guarded_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	struct outcome *o = arg;
	unsigned now = atomic_fetch_add(&o->inside, 1) + 1;
	enum err err;

	if (now > atomic_load(&o->most))
		atomic_store(&o->most, now);
	err = memory_read(o->log, origin, path, max, out, ctx);
	atomic_fetch_sub(&o->inside, 1);
	return err;
}

static void run(struct memory_log *log, unsigned jobs, uint64_t stop_at, struct outcome *o)
{
	struct audit_source source = log->source;
	struct audit_jobs how = {jobs, on_progress, o};
	struct walk_opts opts = {.source = &source,
		.origin = log->checkpoint.origin.text,
		.checkpoint = &log->checkpoint,
		.each = on_entry,
		.arg = o};
	struct errctx ctx = {""};

	memset(o, 0, sizeof(*o));
	o->stop_at = stop_at;
	o->log = log;
	source.read = guarded_read;
	source.arg = o;
	assert_int_equal(findings_new(&o->findings), OK);
	opts.findings = o->findings;
	o->err = audit_jobs_run(&opts, &how, &o->result, &ctx);
	assert_int_equal(atomic_load(&o->most), 1);
}

static void same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->err, b->err);
	assert_int_equal(a->next, b->next);
	assert_int_equal(findings_count(a->findings), findings_count(b->findings));
	for (size_t i = 0; i < findings_count(a->findings); i++) {
		const struct finding *x = findings_at(a->findings, i);
		const struct finding *y = findings_at(b->findings, i);

		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->index, y->index);
		assert_string_equal(x->text, y->text);
		assert_int_equal(x->proof_count, y->proof_count);
		for (size_t n = 0; n < x->proof_count; n++)
			assert_true(bytes_equal(x->proofs[n].data, y->proofs[n].data));
	}
}

/* In whatever way a log is wrong. */
static void test_the_same(void **state)
{
	const char *const changes[] = {"", "tile/entries/050", "tile/entries/117.p/48",
		"tile/0/000", "tile/0/090", "tile/1/000.p/117"};
	const char hows[] = {'x', 'c', 'g', 'e'};
	struct memory_log log;

	(void)state;
	memory_log_init(&log, ENTRIES);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (size_t n = 0; n < sizeof(hows); n++) {
			struct outcome one, more;

			strcpy(log.path, changes[i]);
			log.change = hows[n];
			log.at = 5;
			run(&log, 1, UINT64_MAX, &one);
			for (unsigned jobs = 2; jobs <= AUDIT_JOBS_MAX; jobs += 7) {
				run(&log, jobs, UINT64_MAX, &more);
				same(&one, &more);
				findings_free(more.findings);
			}
			findings_free(one.findings);
		}
	}
	memory_log_release(&log);
}

/* Whoever takes the entries has had enough: no thread stays behind. */
static void test_stopped(void **state)
{
	struct memory_log log;
	struct outcome o;

	(void)state;
	memory_log_init(&log, ENTRIES);
	for (unsigned jobs = 1; jobs <= 4; jobs++) {
		run(&log, jobs, STOP_AT, &o);
		assert_int_equal(o.err, ERR_CANCELED);
		assert_int_equal(o.next, STOP_AT + 1);
		findings_free(o.findings);
	}
	memory_log_release(&log);
}

static int set_up(void **state)
{
	(void)state;
	return crypto_init() == OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
