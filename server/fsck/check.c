/*
 * The happy path:
 *
 *	1. the directory's lock, then both heads and every page of the file, without LMDB; with
 *	   repair a damaged file is written anew from what can be read (rebuild.h)
 *	2. LMDB opens it; the tables that must be there are, and each small row fits its check
 *	3. the directory's log first: from it come the keys of all others
 *	4. every log: tree, checkpoint, cosignatures, index; one line each
 *	5. with repair: one transaction, then 2 to 4 again, until nothing changes any more; then
 *	   the index of locators is made where it was dropped
 *
 * 5 may be interrupted anywhere and begun again: each transaction makes the store better, and what
 * it changes is derived, a mark, or a replica's unsigned tail.
 */
#include "server/fsck/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "server/fsck/check_log.h"
#include "server/fsck/rebuild.h"
#include "server/fsck/repair.h"
#include "server/store/indexer.h"

enum { ROUNDS_MAX = 4 };

/* As store.c and keyring.c have them: address space. */
#define MAP_SIZE ((size_t)(sizeof(size_t) > 4 ? UINT64_C(64) << 30 : UINT64_C(1) << 28))

struct fsck {
	const struct fsck_opts *opts;
	struct fsck_result *result;
	struct store store;
	struct errctx *ctx;
	bool quiet;      /* a round in between: nothing is told */
	size_t findings; /* of pages, told */
	size_t bad_rows; /* of tables, in this round */
	bool old_format; /* or its upgrade was interrupted: nothing else is judged */
	bool commits_missing;
	bool witness_lost;              /* .. of the memory, which is not noted yet */
	bool names_bad;                 /* whose it is cannot be read; the configuration says it */
	size_t nameless;                /* logs without a row in the table of logs */
	size_t bad_lines, marked_lines; /* in this round; the latter of logs with marks alone */
	bool rebuilt;                   /* from a damaged file, which said this of its tables */
	struct rebuild_result before;
	struct directory *members; /* folded from the store; NULL: those of the options */

	struct log_report *logs;
	size_t log_count;
};

static void tell(struct fsck *f, bool bad, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(struct fsck *f, bool bad, const char *format, ...)
{
	struct buf text;
	char line[1024];
	va_list args;

	if (bad) {
		f->result->clean = false;
		f->bad_lines++;
	}
	if (f->quiet)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buf_init(&text, sizeof(line));
	buf_put_str(&text, line);
	f->opts->line(f->opts->arg, bad, buf_cstr(&text));
	buf_release(&text);
}

static void doing(struct fsck *f, const char *what, uint64_t total)
{
	if (f->opts->doing != NULL)
		f->opts->doing(f->opts->arg, what, total);
}

/* 1. Pages. */

static void range_text(const struct lmdb_finding *finding, char *text, size_t size)
{
	const char *table = finding->table;
	bool entries = strcmp(table, "entries") == 0;

	text[0] = '\0';
	if (table[0] == '\0')
		return;
	if (!entries || (finding->low.size != 12 && finding->high.size != 12))
		snprintf(text, size, " (table '%s')", table);
	else if (finding->low.size != 12)
		snprintf(text, size, " (entries before %" PRIu64 " of log number %u)",
			get_u64be(finding->high.data + 4), get_u32be(finding->high.data));
	else
		snprintf(text, size, " (entries from %" PRIu64 " of log number %u on)",
			get_u64be(finding->low.data + 4), get_u32be(finding->low.data));
}

static void on_finding(void *arg, const struct lmdb_finding *finding)
{
	struct fsck *f = arg;
	char where[128];

	f->result->structure = true;
	f->result->clean = false;
	if (f->findings++ >= LIMIT_FSCK_FINDINGS)
		return;
	range_text(finding, where, sizeof(where));
	tell(f, true, "%s: %s%s", LMDB_FILE_NAME, finding->text, where);
}

static void on_pages(void *arg, uint64_t pages)
{
	struct fsck *f = arg;

	if (f->opts->progress != NULL)
		f->opts->progress(f->opts->arg, pages);
}

static enum err env_inspect(struct fsck *f, struct env **ret)
{
	struct lmdb_walk walk = {on_finding, on_pages, f};
	struct env_opts opts = {.path = f->opts->path, .map_size = MAP_SIZE, .walk = &walk};
	enum err err;

	doing(f, "pages", 0);
	f->findings = 0;
	f->result->structure = false;
	/* Before a repair LMDB need not see what is damaged. */
	opts.anyway = !f->opts->repair;
	err = env_open(&opts, ret, f->ctx);
	if (f->findings > LIMIT_FSCK_FINDINGS)
		tell(f, true, "%s: %zu more pages are damaged", LMDB_FILE_NAME,
			f->findings - LIMIT_FSCK_FINDINGS);
	if (err != ERR_CORRUPT)
		return err;
	/* LMDB, or the reader of its heads, has said what is wrong. */
	if (!f->result->structure)
		tell(f, true, "%s", err_message(f->ctx, err));
	f->result->structure = true;
	*ret = NULL;
	return OK;
}

/* 2. Tables. */

static void row_bad(struct fsck *f, const char *table, struct bytes key)
{
	char shown[160];

	f->bad_rows++;
	tell(f, true, "store: the row \"%s\" of table '%s' is damaged",
		text_escape(key, shown, sizeof(shown)), table);
}

/* Makes `damage` when it is to be written to; a missing other table is damage. */
static bool tables_open(struct fsck *f)
{
	bool whole = true;
	struct txn txn;
	enum err err;

	txn_begin(&txn, f->store.env, TXN_WRITE);
	for (unsigned slot = 0; slot < DB_COUNT; slot++) {
		if (txn_database_find(&txn, slot, store_tables[slot]))
			continue;
		if (slot == DB_DAMAGE && f->opts->repair && !f->result->structure) {
			txn_database(&txn, slot, store_tables[slot]);
			continue;
		}
		/* An older store of this format has never had them. */
		if (slot == DB_EVIDENCE || slot == DB_PINS || slot == DB_DISPUTES ||
			slot == DB_WITNESSED)
			continue;
		whole = false;
		tell(f, true, "store: the table '%s' is missing", store_tables[slot]);
	}
	err = txn_finish(&txn, f->ctx);
	if (err != OK)
		tell(f, true, "store: %s", err_message(f->ctx, err));
	return err == OK && whole;
}

static void format_judge(struct fsck *f, struct txn *txn)
{
	struct bytes value;

	bool known = txn_get(txn, DB_META, bytes_str("format"), &value) && value.size == 4;
	uint32_t format = known ? get_u32be(value.data) : 0;

	f->old_format = known && (format < ENV_FORMAT ||
					 txn_get(txn, DB_META, bytes_str("migrating"), &value));
	if (f->old_format)
		tell(f, true,
			"it is of an older format, or its upgrade was interrupted: start the node "
			"once, which brings it up to date; check it then");
	else if (txn->err == OK && (!known || format != ENV_FORMAT))
		tell(f, true, "its format version is not %d", (int)ENV_FORMAT);
}

static void name_judge(struct fsck *f, struct txn *txn, const char *key, const char *expected)
{
	struct bytes value;
	char shown[160];
	enum err err = checked_get(txn, DB_META, bytes_str(key), &value);

	f->names_bad |= err != OK;
	if (err == ERR_NOTFOUND)
		tell(f, true, "store: it does not say whose it is: no '%s'", key);
	else if (err == OK && !bytes_equal_str(value, expected))
		tell(f, true, "store: it is of %s \"%s\", not of '%s'", key,
			text_escape(value, shown, sizeof(shown)), expected);
}

static void rows_judge(struct fsck *f, struct txn *txn, unsigned slot)
{
	struct range range;
	struct bytes value;

	for (bool more = range_first(&range, txn, slot, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		if (slot == DB_META && (bytes_equal_str(range.key, "format") ||
					       bytes_equal_str(range.key, "migrating")))
			continue;
		if (checked_open(range.key, range.value, &value) != OK)
			row_bad(f, store_tables[slot], range.key);
	}
	range_end(&range);
}

static void damage_rows_judge(struct fsck *f, struct txn *txn)
{
	struct damage_mark mark;
	struct range range;
	uint32_t log;

	for (bool more = range_first(&range, txn, DB_DAMAGE, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		if (damage_read(range.key, range.value, &log, &mark) != OK)
			row_bad(f, store_tables[DB_DAMAGE], range.key);
	}
	range_end(&range);
}

static void commits_judge(struct fsck *f, struct txn *txn)
{
	uint64_t commits = 0;

	/* A node that has been up once has the directory's log. */
	if (f->log_count == 0)
		tell(f, true,
			"store: it is empty: the node has never been up, or all of it is lost");
	else if (store_commits(txn, &commits) == OK && commits == 0)
		f->commits_missing = true;
	if (f->commits_missing)
		tell(f, true, "store: the commit number is missing");
}

/* Rows of logs that the table of logs does not have. */
static void strangers_judge(struct fsck *f, struct txn *txn, unsigned slot)
{
	struct store_key key = log_key((uint32_t)f->log_count);
	struct range range;

	if (range_first(&range, txn, slot, store_key_bytes(&key), 0))
		tell(f, true, "store: table '%s' has rows of a log that is not there",
			store_tables[slot]);
	range_end(&range);
}

/* One more than the highest number that a log or a head has. */
static size_t logs_count(struct fsck *f, struct txn *txn)
{
	struct range range;
	struct bytes value;
	size_t count = 0;

	for (bool more = range_first(&range, txn, DB_HEADS, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		if (range.key.size == 4 && get_u32be(range.key.data) < LIMIT_LOGS)
			count = (size_t)get_u32be(range.key.data) + 1;
		else
			row_bad(f, store_tables[DB_HEADS], range.key);
	}
	range_end(&range);
	for (bool more = range_first(&range, txn, DB_LOGS, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		if (checked_open(range.key, range.value, &value) == OK && value.size == 4 &&
			get_u32be(value.data) < LIMIT_LOGS && get_u32be(value.data) >= count)
			count = (size_t)get_u32be(value.data) + 1;
	}
	range_end(&range);
	return count;
}

/* Numbers without gaps, origins that are some. */
static void logs_judge(struct fsck *f, struct txn *txn)
{
	size_t count = logs_count(f, txn);
	struct range range;

	f->logs = count > 0 ? mem_array(count, sizeof(*f->logs)) : NULL;
	if (count > 0 && f->logs == NULL) {
		txn_fail(txn, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
		return;
	}
	f->log_count = count;
	for (bool more = range_first(&range, txn, DB_LOGS, BYTES_NONE, 0); more;
		more = range_next(&range)) {
		struct origin origin;
		struct bytes value;
		uint32_t number;

		if (checked_open(range.key, range.value, &value) != OK)
			continue; /* told of with its table */
		number = value.size == 4 ? get_u32be(value.data) : UINT32_MAX;
		if (number >= count || f->logs[number].origin.text[0] != '\0' ||
			log_name_parse(range.key, &origin, NULL, NULL) != OK) {
			row_bad(f, store_tables[DB_LOGS], range.key);
			continue;
		}
		f->logs[number].origin = origin;
	}
	range_end(&range);
	f->nameless = 0;
	for (uint32_t i = 0; i < count && txn->err == OK; i++) {
		f->logs[i].number = i;
		if (f->logs[i].origin.text[0] != '\0')
			continue;
		f->nameless++;
		tell(f, true, "store: log number %u has no row in the table of logs", (unsigned)i);
	}
}

/* Entries that are lost, the tree tells; tiles and locators are made anew, cosignatures come again.
 * For others there is only what the damaged file said of itself. */
static void losses_judge(struct fsck *f, struct txn *txn, const char *const *tables, unsigned slot)
{
	uint64_t count = txn_count(txn, slot);

	if (!f->rebuilt || txn->err != OK)
		return;
	if (!f->before.known[slot])
		tell(f, true, "the damaged file does not say what was in table '%s'", tables[slot]);
	else if (count < f->before.due[slot])
		tell(f, true, "%" PRIu64 " rows of table '%s' are lost",
			f->before.due[slot] - count, tables[slot]);
}

static bool is_lost(const struct fsck *f, struct txn *txn, unsigned slot)
{
	return !f->before.known[slot] || txn_count(txn, slot) < f->before.due[slot];
}

/* What the witness key was put to cannot be had from anybody: when some of it is lost the key is
 * used no more. */
static void witness_judge(struct fsck *f, struct txn *txn)
{
	struct bytes value;

	f->witness_lost = f->rebuilt && txn->err == OK &&
			  (is_lost(f, txn, DB_WITNESSED) || is_lost(f, txn, DB_META)) &&
			  !txn_get(txn, DB_META, bytes_str(STORE_WITNESS_LOST), &value);
}

static enum err tables_judge(struct fsck *f)
{
	static const unsigned checked[] = {DB_META, DB_LOGS, DB_HEADS, DB_COSIGNATURES, DB_INVITES,
		DB_EVIDENCE, DB_PINS, DB_DISPUTES, DB_WITNESSED};
	static const unsigned losses[] = {DB_META, DB_LOGS, DB_HEADS, DB_INVITES, DB_DAMAGE,
		DB_EVIDENCE, DB_DISPUTES, DB_WITNESSED};
	static const unsigned of_logs[] = {DB_HEADS, DB_ENTRIES, DB_TILES, DB_COSIGNATURES,
		DB_LOCATORS, DB_DAMAGE, DB_PINS, DB_WITNESSED};
	struct txn txn;
	enum err err;

	f->bad_rows = 0;
	f->names_bad = f->commits_missing = f->witness_lost = false;
	txn_begin(&txn, f->store.env, TXN_READ);
	format_judge(f, &txn);
	if (f->old_format)
		return txn_finish(&txn, f->ctx);
	name_judge(f, &txn, "network", f->opts->network);
	name_judge(f, &txn, "node", f->opts->node);
	for (size_t i = 0; i < sizeof(checked) / sizeof(checked[0]); i++)
		rows_judge(f, &txn, checked[i]);
	logs_judge(f, &txn);
	damage_rows_judge(f, &txn);
	commits_judge(f, &txn);
	for (size_t i = 0; i < sizeof(of_logs) / sizeof(of_logs[0]); i++)
		strangers_judge(f, &txn, of_logs[i]);
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		losses_judge(f, &txn, store_tables, losses[i]);
	witness_judge(f, &txn);
	err = txn_finish(&txn, f->ctx);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK)
		tell(f, true, "store: %s", err_message(f->ctx, err));
	return OK;
}

/* 3. and 4. Logs. */

static void on_entries(void *arg, uint64_t entries, uint64_t bytes)
{
	struct fsck *f = arg;

	if (f->opts->progress != NULL)
		f->opts->progress(f->opts->arg, entries);
}

static bool is_own(const struct fsck *f, const struct origin *origin)
{
	struct origin_parts parts;

	if (strcmp(origin->text, f->opts->directory.text) == 0)
		return f->opts->headquarters;
	return origin_parse(bytes_str(origin->text), NULL, &parts) == OK &&
	       bytes_equal_str(parts.node, f->opts->node);
}

static void log_tell(struct fsck *f, const struct log_report *r)
{
	bool clean = fsck_log_clean(r);
	struct buf text;

	buf_init(&text, 2048);
	fsck_log_text(r, &text);
	tell(f, !clean, "%s: %s", r->origin.text, buf_cstr(&text));
	buf_release(&text);
	f->result->logs++;
	if (clean)
		return;
	f->result->logs_bad++;
	f->marked_lines += fsck_log_only_marks(r);
	f->result->marked += r->marked;
	f->result->repairable |= repair_log_can(r);
}

static struct fsck_keys keys_of(const struct fsck *f)
{
	return (struct fsck_keys){
		.network = f->opts->network,
		.directory = &f->opts->directory,
		.directory_key = &f->opts->directory_key,
		.members = f->members != NULL ? f->members : f->opts->members,
	};
}

static enum err log_judge(struct fsck *f, struct log_report *r)
{
	struct fsck_keys keys = keys_of(f);
	struct store_key key = log_key(r->number);
	struct bytes head;
	struct txn txn;
	uint64_t size = 0;
	bool has_head;

	txn_begin(&txn, f->store.env, TXN_READ);
	has_head =
		checked_get(&txn, DB_HEADS, store_key_bytes(&key), &head) == OK && head.size >= 8;
	if (has_head)
		size = get_u64be(head.data);
	if (txn_finish(&txn, NULL) != OK)
		has_head = true; /* LMDB's matter */
	doing(f, r->origin.text, size);
	r->own = is_own(f, &r->origin);
	r->headless = !has_head;
	return fsck_log(&f->store, &keys, on_entries, f, r);
}

/* Who is a member, by the directory's log as it stands here: it may know more than the genesis. */
static enum err members_fold(struct fsck *f, const struct log_report *r)
{
	struct buf entry;
	enum err err;

	if (f->members != NULL || !fsck_log_clean(r) || r->note != NOTE_GOOD)
		return OK;
	TRY(directory_new(f->opts->network, &f->members));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = OK;
	for (uint64_t i = 0; i < r->check.size && err == OK; i++) {
		buf_clear(&entry);
		err = store_entry(&f->store, &r->origin, i, &entry, NULL);
		if (err == OK)
			err = directory_apply(f->members, buf_bytes(&entry));
	}
	buf_release(&entry);
	if (err == OK)
		return OK;
	directory_free(f->members);
	f->members = NULL;
	return err == ERR_NOMEM ? err : OK;
}

/* Members and their keys as the directory says, before its own cosignatures are judged by them. */
static enum err directory_judge(struct fsck *f, struct log_report *r)
{
	struct fsck_keys keys;

	TRY(log_judge(f, r));
	if (r->failed.text[0] != '\0')
		return OK;
	TRY(fsck_log_cosignatures(&f->store, NULL, r));
	TRY(members_fold(f, r));
	keys = keys_of(f);
	return fsck_log_cosignatures(&f->store, &keys, r);
}

static enum err logs_check(struct fsck *f)
{
	for (int directory = 1; directory >= 0; directory--) {
		for (size_t i = 0; i < f->log_count; i++) {
			struct log_report *r = &f->logs[i];

			if (r->origin.text[0] == '\0' ||
				(strcmp(r->origin.text, f->opts->directory.text) == 0) !=
					(directory == 1))
				continue;
			TRY(directory ? directory_judge(f, r) : log_judge(f, r));
		}
	}
	for (size_t i = 0; i < f->log_count; i++) {
		if (f->logs[i].origin.text[0] != '\0')
			log_tell(f, &f->logs[i]);
	}
	return OK;
}

static void logs_release(struct fsck *f)
{
	for (size_t i = 0; i < f->log_count; i++)
		log_report_release(&f->logs[i]);
	mem_free(f->logs);
	f->logs = NULL;
	f->log_count = 0;
	directory_free(f->members);
	f->members = NULL;
}

/* One round: everything is judged, from the start. */
static enum err check(struct fsck *f)
{
	struct fsck_result *result = f->result;

	logs_release(f);
	f->bad_lines = f->marked_lines = 0;
	*result = (struct fsck_result){.clean = !result->structure,
		.structure = result->structure,
		.repaired = result->repaired};
	if (!tables_open(f))
		return OK;
	TRY(tables_judge(f));
	if (f->old_format)
		return OK;
	result->repairable |= f->bad_rows > 0 || f->names_bad || f->commits_missing ||
			      f->nameless > 0 || f->witness_lost;
	TRY(logs_check(f));
	result->only_marks = f->bad_lines > 0 && f->bad_lines == f->marked_lines;
	return OK;
}

/* 5. */

static enum err repair_once(struct fsck *f, bool *ret_changed)
{
	static const unsigned checked[] = {DB_META, DB_LOGS, DB_HEADS, DB_COSIGNATURES, DB_INVITES,
		DB_DAMAGE, DB_EVIDENCE, DB_PINS, DB_DISPUTES, DB_WITNESSED};
	size_t changed = 0, renamed = 0;
	struct txn txn;
	enum err err;

	txn_begin(&txn, f->store.env, TXN_WRITE);
	if (f->bad_rows > 0) {
		for (size_t i = 0; i < sizeof(checked) / sizeof(checked[0]); i++)
			changed += repair_rows(&txn, checked[i]);
	}
	if (f->names_bad && changed == 0) {
		checked_put(&txn, DB_META, bytes_str("network"), bytes_str(f->opts->network));
		checked_put(&txn, DB_META, bytes_str("node"), bytes_str(f->opts->node));
		changed++;
	}
	/* A number that is too low: the guard then waits until the node has caught up. */
	if (f->commits_missing && changed == 0) {
		store_commits_put(&txn, 1);
		changed++;
	}
	if (f->witness_lost && changed == 0) {
		checked_put(&txn, DB_META, bytes_str(STORE_WITNESS_LOST), BYTES_NONE);
		changed++;
	}
	/* What a damaged row made look wrong is judged again first. */
	for (size_t i = 0; i < f->log_count && f->nameless > 0 && changed == 0; i++) {
		if (f->logs[i].origin.text[0] == '\0')
			renamed += repair_name(&txn, f->logs[i].number);
	}
	changed += renamed;
	for (size_t i = 0; i < f->log_count && changed == 0; i++) {
		if (f->logs[i].origin.text[0] == '\0' || !repair_log_can(&f->logs[i]))
			continue;
		repair_log(&txn, &f->logs[i]);
	}
	for (size_t i = 0; i < f->log_count && changed == 0; i++)
		changed += f->logs[i].origin.text[0] != '\0' && repair_log_can(&f->logs[i]);
	err = txn_finish(&txn, f->ctx);
	*ret_changed = err == OK && changed > 0;
	return err;
}

static enum err repair(struct fsck *f)
{
	bool changed = true;

	for (int round = 0; round < ROUNDS_MAX && changed && f->result->repairable; round++) {
		doing(f, "repair", 0);
		TRY(repair_once(f, &changed));
		f->result->repaired |= changed;
		f->quiet = true;
		TRY(check(f));
		f->quiet = false;
	}
	if (!f->result->repaired)
		return OK;
	/* What fails here the node does again, some time. */
	(void)!store_index_run(&f->store, NULL, NULL);
	/* A repair is no commit: the guard knows of none. */
	return check(f);
}

/* What a row of the table may look like: it may have come from a page of another one. */
static bool row_fits(size_t table, struct bytes key, struct bytes value)
{
	switch (table) {
	case DB_ENTRIES:
		return key.size == 12 && value.size > 0 && value.size <= LIMIT_ENTRY_SIZE;
	case DB_TILES:
		return key.size == 13 && value.size <= TILE_SIZE;
	case DB_HEADS:
		return key.size == 4 && value.size <= 8 + LIMIT_NOTE_SIZE + CHECK_SIZE;
	case DB_LOCATORS: /* made anew from the entries */
		return false;
	case DB_DAMAGE:
		return key.size == 12 && value.size <= 8 + HASH_SIZE + CHECK_SIZE;
	case DB_EVIDENCE:
		return key.size == HASH_SIZE && value.size <= LIMIT_EVIDENCE_SIZE + CHECK_SIZE;
	case DB_DISPUTES:
		return key.size == HASH_SIZE && value.size <= LIMIT_DISPUTE_SIZE + CHECK_SIZE;
	case DB_PINS:
		return key.size == 4 && value.size <= LIMIT_NOTE_SIZE + CHECK_SIZE;
	case DB_WITNESSED:
		return key.size == 4 && value.size <= 8 + LIMIT_NOTE_SIZE + CHECK_SIZE;
	default:
		return value.size <= LIMIT_NOTE_SIZE;
	}
}

/* The file is written anew, and judged as if it had always been so. */
static enum err structure_repair(struct fsck *f, const char *const *tables, size_t count,
	bool (*fits)(size_t, struct bytes, struct bytes), struct env **ret)
{
	struct rebuild_opts opts = {
		.path = f->opts->path,
		.tables = tables,
		.table_count = count,
		.fits = fits,
		.guarded = tables == store_tables,
		.progress = on_pages,
		.arg = f,
	};
	enum err err;

	doing(f, "rebuild", 0);
	err = rebuild(&opts, &f->before, f->ctx);
	if (err == ERR_CORRUPT) {
		tell(f, true, "%s", err_message(f->ctx, err));
		*ret = NULL;
		return OK;
	}
	TRY(err);
	*f->result = (struct fsck_result){.clean = true, .repaired = true};
	tell(f, false,
		"%s is written anew with %" PRIu64 " rows that could be read; the old file is "
		"kept as %s.damaged",
		LMDB_FILE_NAME, f->before.rows, LMDB_FILE_NAME);
	f->rebuilt = true;
	return env_inspect(f, ret);
}

enum err fsck_store(const struct fsck_opts *opts, struct fsck_result *ret, struct errctx *ctx)
{
	struct fsck f = {.opts = opts, .result = ret, .ctx = ctx};
	enum err err;

	*ret = (struct fsck_result){.clean = true};
	TRY(index_new(&f.store.index));
	err = env_inspect(&f, &f.store.env);
	if (err == OK && opts->repair && ret->structure)
		err = structure_repair(&f, store_tables, DB_COUNT, row_fits, &f.store.env);
	if (err == OK && f.store.env != NULL)
		err = check(&f);
	if (err == OK && opts->repair && !ret->structure && ret->repairable)
		err = repair(&f);
	logs_release(&f);
	env_close(f.store.env);
	index_free(f.store.index);
	return err == OK ? OK : err_wrap(ctx, err, "check '%s'", opts->path);
}

/* The keyring. */

enum { SLOT_META, SLOT_KEYS, KID_SIZE = 16, KEYRING_VALUE_MAX = 4096 };

static const char *const keyring_tables[] = {"meta", "keys"};

static void keyring_judge(struct fsck *f, struct env *env)
{
	struct range range;
	struct txn txn;
	enum err err;
	uint64_t keys = 0;

	txn_begin(&txn, env, TXN_WRITE);
	if (!txn_database_find(&txn, SLOT_META, "meta") ||
		!txn_database_find(&txn, SLOT_KEYS, "keys"))
		tell(f, true, "keyring: a table is missing");
	err = txn_finish(&txn, f->ctx);
	if (err != OK || !f->result->clean)
		return;
	txn_begin(&txn, env, TXN_READ);
	format_judge(f, &txn);
	for (bool more = range_first(&range, &txn, SLOT_KEYS, BYTES_NONE, 0); more;
		more = range_next(&range), keys++) {
		if (range.key.size != KID_SIZE || range.value.size > KEYRING_VALUE_MAX)
			tell(f, true, "keyring: a row is damaged");
	}
	range_end(&range);
	losses_judge(f, &txn, keyring_tables, SLOT_KEYS);
	err = txn_finish(&txn, f->ctx);
	if (err != OK)
		tell(f, true, "keyring: %s", err_message(f->ctx, err));
	if (f->result->clean)
		tell(f, false,
			"keyring: %" PRIu64 " wrapped keys (what is in them shows at unlock)",
			keys);
}

static bool key_row_fits(size_t table, struct bytes key, struct bytes value)
{
	return table == SLOT_META || (key.size == KID_SIZE && value.size <= KEYRING_VALUE_MAX);
}

enum err fsck_keyring(const struct fsck_opts *opts, struct fsck_result *ret, struct errctx *ctx)
{
	struct fsck f = {.opts = opts, .result = ret, .ctx = ctx};
	struct env *env = NULL;
	enum err err;

	*ret = (struct fsck_result){.clean = true};
	err = env_inspect(&f, &env);
	if (err == OK && opts->repair && ret->structure)
		err = structure_repair(&f, keyring_tables, 2, key_row_fits, &env);
	if (err == OK && env != NULL)
		keyring_judge(&f, env);
	env_close(env);
	return err == OK ? OK : err_wrap(ctx, err, "check '%s'", opts->path);
}
