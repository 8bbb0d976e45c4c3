/*
 * Opens what a power loss may have left and wants everything acknowledged in it.
 *
 *	power_check drive NODE_DIRECTORY < marks       what power_drive wrote (workload.h)
 *	power_check node NODE_DIRECTORY NETWORK NODE < marks
 *		any node's; its marks are "log ORIGIN SIZE", acknowledged so far; others are not
 *		for it
 *
 * Exit 0 and no word, or 1 and what is wrong. The image is changed: the checker also goes on
 * where the cut was, as the node would.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/power/guard.h"
#include "tests/power/workload.h"

enum { MARK_MAX = 400, MARK_SIZES = 4096, NODE_LOGS = 64 };

/* What the marks before the cut say of one log. */
struct expected {
	bool held;
	uint64_t size, checkpoint, cosigned[POWER_MIRRORS];
	uint64_t sent[MARK_SIZES]; /* the sizes a write could have left it at */
	size_t sent_count;
};

struct check {
	struct place place;
	char keyring[300];
	struct bench bench;
	struct power_guard guard;
	struct expected logs[POWER_LOGS];
	uint64_t keys, invites, commits;
};

static void bad(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void bad(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static void must(enum err err, const struct errctx *ctx, const char *what)
{
	if (err != OK)
		bad("%s: %s: %s", what, err_name(err), err_message(ctx, err));
}

/*
 * The guard's rules (DESIGN 10): it is written after the commit and before the acknowledgement. So
 * after a loss of power alone the store is what it remembers or one commit more, and its verdict is
 * to go on; "new" only as long as nothing was acknowledged.
 */
static void guard_is_right(struct check *check, const char *directory)
{
	struct power_guard *guard = &check->guard;
	uint64_t commits = bench_commits(&check->bench);
	struct errctx ctx = {""};

	must(power_guard_begin(guard, &check->bench, directory, &ctx), &ctx, "guard");
	if (strcmp(guard->verdict, "same") != 0 &&
		(strcmp(guard->verdict, "new") != 0 || check->commits > 0))
		bad("the guard says '%s' after a power loss: %s", guard->verdict, guard->why.text);
	if (guard->commit > commits || guard->commit < check->commits ||
		guard->size < check->logs[0].size)
		bad("the guard remembers commit %" PRIu64 " and %" PRIu64
		    " entries; the store is at commit %" PRIu64 ", acknowledged were %" PRIu64
		    " and %" PRIu64,
			guard->commit, guard->size, commits, check->commits, check->logs[0].size);
}

/* Marks. */

static void mark_read(struct check *check, const char *text)
{
	unsigned log = 0, mirror = 0;
	uint64_t a = 0, b = 0;

	/* The store opens whenever the power went, also before that mark. */
	if (strncmp(text, "opened ", 7) == 0)
		return;
	if (sscanf(text, "sent %u %" SCNu64, &log, &a) == 2 && log < POWER_LOGS) {
		struct expected *e = &check->logs[log];

		if (e->sent_count == MARK_SIZES)
			bad("more than %d marks of one log", MARK_SIZES);
		e->sent[e->sent_count++] = a;
	} else if (sscanf(text, "held %u %" SCNu64 " %" SCNu64, &log, &a, &b) == 3 &&
		   log < POWER_LOGS) {
		check->logs[log].held = true;
		check->logs[log].size = a;
		check->logs[log].checkpoint = b;
	} else if (sscanf(text, "cosigned %u %u %" SCNu64, &log, &mirror, &a) == 3 &&
		   log < POWER_LOGS && mirror < POWER_MIRRORS) {
		check->logs[log].cosigned[mirror] = a;
	} else if (sscanf(text, "keys %" SCNu64, &check->keys) != 1 &&
		   sscanf(text, "invites %" SCNu64, &check->invites) != 1 &&
		   sscanf(text, "commits %" SCNu64, &check->commits) != 1) {
		bad("a mark that is not known: %s", text);
	}
}

/* One log: head, tree, entries, locators. */

/* The size is one that a whole write left. */
static void size_check(const struct expected *e, unsigned number, uint64_t size)
{
	bool found = size == e->size;

	if (size < e->size)
		bad("log %u: %" PRIu64 " entries acknowledged, %" PRIu64 " held", number, e->size,
			size);
	for (size_t i = 0; i < e->sent_count; i++)
		found |= e->sent[i] == size;
	if (!found)
		bad("log %u: half of a write: it ends at %" PRIu64, number, size);
}

static void checkpoint_check(
	const struct expected *e, const struct tlog *log, const struct log_head *head)
{
	struct checkpoint checkpoint;
	struct errctx ctx = {""};
	struct buf note;

	if (head->checkpoint.size == 0) {
		if (e->checkpoint > 0)
			bad("log %u: its checkpoint is gone", log->number);
		return;
	}
	must(checkpoint_peek(buf_bytes(&head->checkpoint), &checkpoint, &ctx), &ctx, "checkpoint");
	if (checkpoint.size < e->checkpoint || checkpoint.size > head->size)
		bad("log %u: a checkpoint at %" PRIu64 " of %" PRIu64 ", acknowledged was %" PRIu64,
			log->number, checkpoint.size, head->size, e->checkpoint);
	buf_init(&note, LIMIT_NOTE_SIZE);
	note_make(&note, &log->origin, checkpoint.size, &log->roots[checkpoint.size]);
	if (!bytes_equal(buf_bytes(&note), buf_bytes(&head->checkpoint)))
		bad("log %u: its checkpoint is not the one that was written", log->number);
	buf_release(&note);
}

static void cosignatures_check(
	const struct expected *e, unsigned number, const struct log_head *head)
{
	char name[NOTE_KEY_NAME_MAX + 1];

	for (unsigned mirror = 0; mirror < POWER_MIRRORS; mirror++) {
		const struct store_cosignature *found = NULL;
		struct buf line;

		power_cosigner(name, mirror);
		for (size_t i = 0; i < head->cosignature_count; i++)
			if (strcmp(head->cosignatures[i].cosigner, name) == 0)
				found = &head->cosignatures[i];
		if (e->cosigned[mirror] == 0 && found == NULL)
			continue;
		if (found == NULL || found->size < e->cosigned[mirror])
			bad("log %u: the cosignature of mirror %u at %" PRIu64 " is gone", number,
				mirror, e->cosigned[mirror]);
		buf_init(&line, LIMIT_NOTE_SIZE);
		power_cosignature(&line, number, mirror, found->size);
		if (!bytes_equal(buf_bytes(&line), buf_bytes(&found->line)))
			bad("log %u: the cosignature of mirror %u is another", number, mirror);
		buf_release(&line);
	}
}

static void verify(struct store *store, const struct origin *origin, uint64_t size)
{
	struct store_verify result;
	struct errctx ctx = {""};

	must(store_verify(store, origin, NULL, &result, &ctx), &ctx, "verify");
	if (result.size != size)
		bad("%s: %" PRIu64 " verified of %" PRIu64, origin->text, result.size, size);
	buf_release(&result.checkpoint);
}

static void batch_check(
	const struct tlog *log, uint64_t first, uint64_t target, const struct store_batch *batch)
{
	uint64_t end = first + batch->entries->count;
	struct buf want;

	buf_init(&want, LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < batch->entries->count; i++) {
		buf_clear(&want);
		power_entry(&want, log->number, first + i);
		if (!bytes_equal(buf_bytes(&want), batch->entries->entry[i]))
			bad("log %u: entry %" PRIu64 " has other bytes", log->number, first + i);
	}
	buf_release(&want);
	if (!proof_consistency_ok(
		    &batch->proof, end, &log->roots[end], target, &log->roots[target]))
		bad("log %u: the proof from %" PRIu64 " to %" PRIu64 " is wrong", log->number, end,
			target);
}

static void entries_check(struct store *store, const struct tlog *log)
{
	struct store_read read = {
		.origin = log->origin,
		.target = log->compact.size,
		.count_max = LIMIT_BATCH_ENTRIES,
		.size_max = LIMIT_BATCH_SIZE,
	};
	struct errctx ctx = {""};
	struct store_batch batch;

	while (read.first < read.target) {
		must(store_read_batch(store, &read, &batch, &ctx), &ctx, "read");
		batch_check(log, read.first, read.target, &batch);
		read.first += batch.entries->count;
		entries_unref(batch.entries);
	}
}

static void locators_check(struct store *store, const struct tlog *log)
{
	struct errctx ctx = {""};

	for (uint64_t i = 0; i < log->compact.size; i++) {
		uint64_t found[2] = {UINT64_MAX};
		uint8_t locator[16];
		size_t count = 0;
		struct buf entry;
		bool sealed;

		buf_init(&entry, LIMIT_ENTRY_SIZE);
		power_entry(&entry, log->number, i);
		sealed = entry_is_sealed(i) && entry.data[0] != 'b';
		buf_release(&entry);
		if (!sealed)
			continue;
		locator_make(locator, log->number, i);
		must(store_locate(store, &log->origin, locator, found, 2, &count, &ctx), &ctx,
			"locate");
		if (count != 1 || found[0] != i)
			bad("log %u: the locator of entry %" PRIu64 " is found %zu times, first at "
			    "%" PRIu64,
				log->number, i, count, found[0]);
	}
}

/* What the node does next: it appends, and the log is whole with that too. */
static void goes_on(struct check *check, struct tlog *log)
{
	enum err err = bench_write(&check->bench, power_write(log, 3));

	if (err != OK)
		bad("log %u: nothing can be appended: %s", log->number, check->bench.ctx.text);
	verify(check->bench.store, &log->origin, log->compact.size);
}

static void log_check(struct check *check, unsigned number)
{
	const struct expected *e = &check->logs[number];
	struct errctx ctx = {""};
	struct log_head head;
	struct hash stored;
	struct tlog log;
	enum err err;

	power_log_init(&log, number);
	err = store_head(check->bench.store, &log.origin, &head, &ctx);
	tlog_release(&log);
	if (err == ERR_NOTFOUND && !e->held)
		return;
	must(err, &ctx, "head");
	size_check(e, number, head.size);
	power_log(&log, number, head.size);
	compact_root(&head.compact, &stored);
	if (!hash_equal(&stored, &log.roots[head.size]))
		bad("log %u: its root is not that of its entries", number);
	checkpoint_check(e, &log, &head);
	cosignatures_check(e, number, &head);
	verify(check->bench.store, &log.origin, head.size);
	entries_check(check->bench.store, &log);
	locators_check(check->bench.store, &log);
	log_head_release(&head);
	goes_on(check, &log);
	tlog_release(&log);
}

/* The rest of the store, and the keyring. */

static void invites_check(struct check *check)
{
	struct buf want, value;
	char name[16];

	buf_init(&want, 64);
	buf_init(&value, 64);
	for (uint64_t i = 0; i < check->invites; i++) {
		struct errctx ctx = {""};

		power_invite(name, &want, i);
		buf_clear(&value);
		must(store_invite_get(check->bench.store, name, &value, &ctx), &ctx, "invite");
		if (!bytes_equal(buf_bytes(&value), buf_bytes(&want)))
			bad("invite %" PRIu64 " has other bytes", i);
	}
	buf_release(&want);
	buf_release(&value);
}

struct keys {
	uint64_t number; /* looked for */
	bool found;
};

static enum err key_compare(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct keys *keys = arg;
	struct keyring_item want;
	struct buf value;

	buf_init(&value, KEYRING_VALUE_MAX);
	power_key(&want, &value, keys->number);
	if (memcmp(want.kid, item->kid, sizeof(want.kid)) == 0)
		keys->found = bytes_equal(want.value, item->value);
	buf_release(&value);
	return OK;
}

static enum err key_count(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	uint64_t *count = arg;

	++*count;
	return OK;
}

static void keyring_check(struct check *check)
{
	struct keyring *keyring;
	struct errctx ctx = {""};
	uint64_t count = 0;

	must(keyring_open(check->keyring, &keyring, &ctx), &ctx, "keyring");
	must(keyring_each(keyring, key_count, &count, &ctx), &ctx, "keyring");
	if (count < check->keys)
		bad("%" PRIu64 " keys acknowledged, %" PRIu64 " held", check->keys, count);
	for (uint64_t i = 0; i < count; i++) {
		struct keys keys = {.number = i};

		must(keyring_each(keyring, key_compare, &keys, &ctx), &ctx, "keyring");
		if (!keys.found)
			bad("key %" PRIu64 " is gone or changed", i);
	}
	keyring_close(keyring);
}

static void store_open_again(struct check *check)
{
	struct store_opts opts = {.path = check->place.store, .network = NETWORK, .node = NODE};
	struct errctx ctx = {""};
	struct store *store;

	/* bench_open wants it to work and says less. */
	must(store_open(&opts, &store, &ctx), &ctx, "open");
	store_close(store);
	check->bench.place = check->place;
	bench_open(&check->bench, 0);
}

static void drive_check(struct check *check, const char *directory)
{
	power_place(&check->place, check->keyring, directory);
	store_open_again(check);
	if (bench_commits(&check->bench) < check->commits)
		bad("%" PRIu64 " commits acknowledged, %" PRIu64 " held", check->commits,
			bench_commits(&check->bench));
	guard_is_right(check, directory);
	invites_check(check);
	for (unsigned i = 0; i < POWER_LOGS; i++)
		log_check(check, i);
	bench_close(&check->bench);
	power_guard_end(&check->guard);
	keyring_check(check);
	store_open_again(check);
	bench_close(&check->bench);
}

/* Any node's store. */

static void node_mark(struct store *store, const char *text)
{
	struct origin origin = {""};
	struct errctx ctx = {""};
	struct log_head head;
	uint64_t size;

	_Static_assert(LIMIT_ORIGIN >= 124, "the format below");
	if (sscanf(text, "log %124s %" SCNu64, origin.text, &size) != 2)
		return;
	must(store_head(store, &origin, &head, &ctx), &ctx, "head");
	if (head.size < size)
		bad("%s: %" PRIu64 " entries acknowledged, %" PRIu64 " held", origin.text, size,
			head.size);
	log_head_release(&head);
}

static void node_check(const char *directory, const char *network, const char *node)
{
	char path[300], line[MARK_MAX];
	struct store_opts opts = {.path = path, .network = network, .node = node};
	struct errctx ctx = {""};
	struct keyring *keyring;
	struct log_head *heads;
	struct store *store;
	uint64_t keys = 0;
	size_t count;

	snprintf(path, sizeof(path), "%.250s/store", directory);
	must(store_open(&opts, &store, &ctx), &ctx, "open");
	while (fgets(line, sizeof(line), stdin) != NULL)
		node_mark(store, line);
	must(store_heads(store, &heads, &count, &ctx), &ctx, "heads");
	for (size_t i = 0; i < count; i++) {
		verify(store, &heads[i].origin, heads[i].size);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	store_close(store);
	snprintf(path, sizeof(path), "%.250s/keyring", directory);
	must(keyring_open(path, &keyring, &ctx), &ctx, "keyring");
	must(keyring_each(keyring, key_count, &keys, &ctx), &ctx, "keyring");
	keyring_close(keyring);
}

int main(int argc, char **argv)
{
	static struct check check;
	char line[MARK_MAX];

	assert_ok(crypto_init());
	if (argc == 3 && strcmp(argv[1], "drive") == 0) {
		while (fgets(line, sizeof(line), stdin) != NULL) {
			line[strcspn(line, "\n")] = '\0';
			mark_read(&check, line);
		}
		drive_check(&check, argv[2]);
	} else if (argc == 5 && strcmp(argv[1], "node") == 0) {
		node_check(argv[2], argv[3], argv[4]);
	} else {
		fprintf(stderr, "usage: power_check drive|node NODE_DIRECTORY [NETWORK NODE]\n");
		return 2;
	}
	crypto_release();
	return 0;
}
