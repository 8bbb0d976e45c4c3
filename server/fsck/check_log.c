#include "server/fsck/check_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "certs/record.h"
#include "server/store/index.h"

static enum err grow(struct damage_mark **list, size_t count, size_t *capacity)
{
	size_t more = *capacity > 0 ? 2 * *capacity : 16;
	struct damage_mark *grown;

	if (count < *capacity)
		return OK;
	grown = mem_resize(*list, more * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	*list = grown;
	*capacity = more;
	return OK;
}

/* Marks of before. */

static enum err marks_read(struct txn *txn, struct log_report *r)
{
	struct store_key key = log_key(r->number);
	struct damage_mark mark;
	struct range range;
	size_t capacity = 0;
	enum err err = OK;
	uint32_t of;

	if (txn_count(txn, DB_DAMAGE) == 0)
		return OK;
	for (bool more = range_first(&range, txn, DB_DAMAGE, store_key_bytes(&key), key.size);
		more && err == OK; more = range_next(&range)) {
		/* A row that is not readable is told of with its table. */
		if (damage_read(range.key, range.value, &of, &mark) != OK)
			continue;
		err = grow(&r->old_marks, r->old_count, &capacity);
		if (err != OK)
			break;
		r->old_marks[r->old_count++] = mark;
		r->marked += mark.count;
	}
	range_end(&range);
	return err;
}

/* The marks are in order and do not overlap. */
static bool marked_before(const struct log_report *r, uint64_t index)
{
	size_t low = 0, high = r->old_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct damage_mark *mark = &r->old_marks[middle];

		if (index < mark->index)
			high = middle;
		else if (index - mark->index >= mark->count)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* Faults, as tree_check finds them. */

static enum err mark_add(struct log_report *r, const struct fault *fault)
{
	if (fault->expected == NULL || r->mark_count >= LIMIT_DAMAGE_MARKS) {
		r->unprovable = true;
		return OK;
	}
	TRY(grow(&r->marks, r->mark_count, &r->mark_capacity));
	r->marks[r->mark_count++] = (struct damage_mark){
		.index = fault->index, .count = 1, .known = true, .expected = *fault->expected};
	return OK;
}

static enum err on_fault(void *arg, const struct fault *fault)
{
	struct log_report *r = arg;

	if (fault_is_derived(fault->kind)) {
		if (r->derived++ == 0)
			fault_text(fault, r->derived_text, sizeof(r->derived_text));
		r->own_strays += fault->kind == FAULT_STRAY && r->own;
		return OK;
	}
	if (marked_before(r, fault->index))
		return OK;
	if (r->bad_entries++ == 0) {
		r->first_bad = fault->index;
		fault_text(fault, r->first_text, sizeof(r->first_text));
	}
	if (r->tail_bad == UINT64_MAX &&
		(!r->check.note_readable || fault->index >= r->check.checkpoint.size))
		r->tail_bad = fault->index;
	return mark_add(r, fault);
}

/* The log's key, as the engine learns it: LogOpened at index 0, signed by the node's key. That of
 * the directory is known from the start. */

static enum err key_learn(
	struct store *store, const struct fsck_keys *keys, struct log_report *r, struct errctx *ctx)
{
	const struct ed25519_public *node;
	struct origin_parts parts;
	struct origin origin;
	struct log_opened opened;
	struct arena arena;
	struct buf entry;
	enum err err;

	if (strcmp(r->origin.text, keys->directory->text) == 0)
		return log_note_key(&r->origin, keys->directory_key, &r->key);
	if (log_name_parse(bytes_str(r->origin.text), NULL, &origin, &parts) != OK)
		return err_set(ctx, ERR_MALFORMED, "'%s' is no origin", r->origin.text);
	node = directory_opener(keys->members, origin.text);
	if (node == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "'%.*s' is not in the directory",
			BYTES_FMT(parts.node));
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = store_entry(store, &r->origin, 0, &entry, ctx);
	if (err == OK)
		err = log_opened_read(buf_bytes(&entry), node, &arena, &opened, ctx);
	if (err == OK && strcmp(opened.origin, origin.text) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "its LogOpened names another origin");
	if (err == OK)
		err = log_note_key(&origin, &opened.log_key, &r->key);
	arena_release(&arena);
	buf_release(&entry);
	return err;
}

static enum note_state note_judge(struct log_report *r, struct errctx *ctx)
{
	const struct tree_check *check = &r->check;
	struct checkpoint checkpoint;

	if (check->note.size == 0)
		return NOTE_NONE;
	if (!check->note_readable)
		return NOTE_UNREADABLE;
	if (r->has_key &&
		checkpoint_open(buf_bytes(&check->note), &r->key, &checkpoint, NULL, ctx) != OK)
		return NOTE_BAD_SIGNATURE;
	if (!check->note_covered)
		return NOTE_NOT_COVERED;
	if (!check->note_fits)
		return NOTE_BAD_ROOT;
	return r->has_key ? NOTE_GOOD : NOTE_UNVERIFIED;
}

/* Cosignatures: u64be size || root || line. Each signs (origin, size, root) by its mirror's key,
 * the one it has or one it had. */

static enum err cosignature_verify_by(const struct fsck_keys *keys, struct bytes text,
	const struct note_line *line, struct bytes name, bool witness)
{
	const struct member *member = directory_find(keys->members, name);
	const struct ed25519_public *public = witness ? &member->witness : &member->mirror;
	const struct former *former = member->former;
	struct bytes network = bytes_str(keys->network);

	for (;; former = former->former) {
		struct note_key key;
		enum err err;

		TRY(witness ? witness_note_key(network, name, public, &key)
			    : mirror_note_key(network, name, public, &key));
		err = cosignature_verify(line, text, &key, NULL);
		if (err == OK || former == NULL)
			return err;
		public = witness ? &former->witness : &former->mirror;
	}
}

static enum err cosignature_judge(const struct fsck_keys *keys, const struct log_report *r,
	struct bytes name, struct bytes value)
{
	struct checkpoint checkpoint = {.origin = r->origin};
	struct cursor cursor = cursor_make(value), node = cursor_make(name);
	bool witness = cursor_skip(&node, bytes_str("witness/"));
	struct note_line line;
	struct buf text;
	enum err err;

	name = witness ? node.rest : name;
	checkpoint.size = cursor_u64be(&cursor);
	cursor_copy(&cursor, checkpoint.root.b, HASH_SIZE);
	TRY(cursor.err);
	TRY(note_line_parse(cursor.rest, &line, NULL));
	if (directory_find(keys->members, name) == NULL)
		return OK; /* its form is all that can be judged */
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	err = text.err != OK ? text.err
			     : cosignature_verify_by(keys, buf_bytes(&text), &line, name, witness);
	buf_release(&text);
	return err;
}

static enum err cosignatures_judge(
	struct txn *txn, const struct fsck_keys *keys, struct log_report *r)
{
	struct store_key key = log_key(r->number);
	struct range range;
	enum err err = OK;

	for (bool more = range_first(&range, txn, DB_COSIGNATURES, store_key_bytes(&key), key.size);
		more && err != ERR_NOMEM; more = range_next(&range)) {
		struct bytes name = bytes_make(range.key.data + 4, range.key.size - 4), value;
		char shown[64];

		err = checked_open(range.key, range.value, &value);
		if (err == OK)
			err = cosignature_judge(keys, r, name, value);
		if (err == OK) {
			r->cosignatures++;
			continue;
		}
		buf_put_lv16(&r->bad_cosignatures, range.key);
		if (r->cosignature_text[0] == '\0')
			snprintf(r->cosignature_text, sizeof(r->cosignature_text),
				"the cosignature of \"%s\" is damaged",
				text_escape(name, shown, sizeof(shown)));
	}
	range_end(&range);
	return err == ERR_NOMEM ? err : r->bad_cosignatures.err;
}

/* What the witness key was put to: a note of this log, by its key. */
static enum err witness_judge(struct txn *txn, struct log_report *r)
{
	struct store_key key = log_key(r->number);
	struct checkpoint checkpoint;
	struct bytes value, note;
	uint64_t time_s;
	enum err err = checked_get(txn, DB_WITNESSED, store_key_bytes(&key), &value);

	if (err != OK) /* its row was judged with its table */
		return txn->err;
	if (!store_witness_read(value, &time_s, &note))
		err = ERR_MALFORMED;
	else if (r->has_key)
		err = checkpoint_open(note, &r->key, &checkpoint, NULL, NULL);
	else
		err = checkpoint_peek(note, &checkpoint, NULL);
	if (err == OK && strcmp(checkpoint.origin.text, r->origin.text) != 0)
		err = ERR_MALFORMED;
	if (err != OK && err != ERR_NOMEM)
		snprintf(r->witness_text, sizeof(r->witness_text),
			"what was witnessed of it is no checkpoint of it");
	return err == ERR_NOMEM ? err : OK;
}

/* A size 0 checkpoint covers nothing; behind the last covered entry is the tail. */
static void tail_judge(struct log_report *r)
{
	if (r->note != NOTE_NONE && r->note != NOTE_GOOD && r->note != NOTE_UNVERIFIED)
		r->tail_bad = UINT64_MAX; /* what is signed is not known */
}

/* The index, by a thread beside the tree's. */

struct index_check {
	struct store *store;
	const struct origin *origin;
	bool stop;
	bool has_thread;
	pthread_t thread;
	enum err err;
	struct errctx said;
};

static void *index_main(void *arg)
{
	struct index_check *check = arg;

	check->err = store_index_verify(check->store, check->origin, &check->stop, &check->said);
	return NULL;
}

static void index_start(struct index_check *check)
{
	check->has_thread = pthread_create(&check->thread, NULL, index_main, check) == 0;
}

static void index_stop(struct index_check *check)
{
	__atomic_store_n(&check->stop, true, __ATOMIC_RELAXED);
	if (check->has_thread)
		pthread_join(check->thread, NULL);
}

static enum err index_judge(struct index_check *check, struct log_report *r, struct errctx *ctx)
{
	if (check->has_thread)
		pthread_join(check->thread, NULL);
	else
		index_main(check);
	check->has_thread = false;
	r->index_bad = check->err == ERR_CORRUPT;
	if (check->err == OK || r->index_bad)
		return OK;
	*ctx = check->said;
	return check->err;
}

static enum err cosignatures_read(
	struct store *store, const struct fsck_keys *keys, struct log_report *r, struct errctx *ctx)
{
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, store->env, TXN_READ);
	err = cosignatures_judge(&txn, keys, r);
	if (err == OK)
		err = witness_judge(&txn, r);
	failed = txn_finish(&txn, ctx);
	return failed != OK ? failed : err;
}

enum err fsck_log_cosignatures(
	struct store *store, const struct fsck_keys *keys, struct log_report *r)
{
	struct errctx ctx = {""};
	enum err err;

	r->cosignatures = 0;
	r->cosignature_text[0] = r->witness_text[0] = '\0';
	buf_clear(&r->bad_cosignatures);
	if (keys == NULL)
		return OK;
	err = cosignatures_read(store, keys, r, &ctx);
	if (err != OK && err != ERR_NOMEM && r->failed.text[0] == '\0')
		r->failed = ctx;
	return err == ERR_NOMEM ? err : OK;
}

static enum err old_marks_read(struct store *store, struct log_report *r, struct errctx *ctx)
{
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, store->env, TXN_READ);
	err = marks_read(&txn, r);
	failed = txn_finish(&txn, ctx);
	return failed != OK ? failed : err;
}

static enum err tree_judge(
	struct store *store, const struct fsck_keys *keys, struct log_report *r, struct errctx *ctx)
{
	enum err err = OK;

	TRY(tree_check_run(&r->check, ctx));
	if (r->check.size > 0)
		err = key_learn(store, keys, r, &r->note_said);
	if (err == ERR_NOMEM)
		return err;
	r->has_key = r->check.size > 0 && err == OK;
	r->note = note_judge(r, &r->note_said);
	tail_judge(r);
	return cosignatures_read(store, keys, r, ctx);
}

static enum err judge(
	struct store *store, const struct fsck_keys *keys, struct log_report *r, struct errctx *ctx)
{
	struct index_check index = {.store = store, .origin = &r->origin};
	enum err err;

	TRY(old_marks_read(store, r, ctx));
	index_start(&index);
	err = tree_judge(store, keys, r, ctx);
	/* An index over damaged entries is built anew anyway. */
	if (err == OK && r->bad_entries == 0)
		return index_judge(&index, r, ctx);
	index_stop(&index);
	return err;
}

enum err fsck_log(struct store *store, const struct fsck_keys *keys,
	void (*progress)(void *arg, uint64_t entries, uint64_t bytes), void *arg,
	struct log_report *r)
{
	enum err err;

	r->tail_bad = UINT64_MAX;
	buf_init(&r->bad_cosignatures, LIMIT_PEERS * 1024);
	r->check = (struct tree_check){
		.store = store,
		.origin = r->origin,
		.two_threads = true,
		.fault = on_fault,
		.arg = r,
		.progress = progress,
		.progress_arg = arg,
	};
	err = judge(store, keys, r, &r->failed);
	if (err == OK || err == ERR_NOMEM)
		return err;
	if (r->failed.text[0] == '\0')
		err_set(&r->failed, err, "%s", err_text(err));
	return OK;
}

static bool clean_but_marks(const struct log_report *r)
{
	return r->failed.text[0] == '\0' && r->bad_entries == 0 && r->derived == 0 &&
	       !r->index_bad && r->cosignature_text[0] == '\0' && r->witness_text[0] == '\0' &&
	       (r->note == NOTE_NONE || r->note == NOTE_GOOD || r->note == NOTE_UNVERIFIED ||
		       (r->note == NOTE_BAD_ROOT && r->marked > 0));
}

bool fsck_log_clean(const struct log_report *r)
{
	return clean_but_marks(r) && r->marked == 0;
}

bool fsck_log_only_marks(const struct log_report *r)
{
	return clean_but_marks(r) && r->marked > 0;
}

static void note_text(const struct log_report *r, struct buf *out)
{
	const struct tree_check *check = &r->check;

	switch (r->note) {
	case NOTE_NONE:
		buf_put_str(out, ", no checkpoint yet");
		break;
	case NOTE_GOOD:
		buf_printf(out, ", signed up to %" PRIu64, check->checkpoint.size);
		break;
	case NOTE_UNVERIFIED:
		buf_printf(out, ", checkpoint of %" PRIu64 " (its signature cannot be checked: %s)",
			check->checkpoint.size, err_message(&r->note_said, ERR_UNTRUSTED));
		break;
	case NOTE_UNREADABLE:
		buf_put_str(out, "; its checkpoint is not readable or not its own");
		break;
	case NOTE_BAD_SIGNATURE:
		buf_printf(out, "; the signature of its checkpoint does not verify (%s)",
			err_message(&r->note_said, ERR_UNTRUSTED));
		break;
	case NOTE_NOT_COVERED:
		buf_printf(
			out, "; it ends before its checkpoint at %" PRIu64, check->checkpoint.size);
		break;
	case NOTE_BAD_ROOT:
		buf_printf(out, "; its root at %" PRIu64 " is not the signed one",
			check->checkpoint.size);
		break;
	}
}

void fsck_log_text(const struct log_report *r, struct buf *out)
{
	if (r->failed.text[0] != '\0') {
		buf_put_str(out, r->failed.text);
		return;
	}
	if (r->bad_entries > 0)
		buf_printf(out, "first bad index %" PRIu64 " (%s), %" PRIu64 " damaged of ",
			r->first_bad, r->first_text, r->bad_entries);
	buf_printf(out, "%" PRIu64 " entries", r->check.size);
	note_text(r, out);
	if (r->cosignatures > 0)
		buf_printf(out, ", %u cosignature%s", r->cosignatures,
			r->cosignatures == 1 ? "" : "s");
	if (r->marked > 0)
		buf_printf(out, "; %" PRIu64 " marked to be fetched again, from %" PRIu64,
			r->marked, r->old_marks[0].index);
	if (r->derived > 0)
		buf_printf(out, "; %s", r->derived_text);
	if (r->index_bad)
		buf_put_str(out, "; its index of locators does not fit its entries");
	if (r->cosignature_text[0] != '\0')
		buf_printf(out, "; %s", r->cosignature_text);
	if (r->witness_text[0] != '\0')
		buf_printf(out, "; %s", r->witness_text);
}

void log_report_release(struct log_report *r)
{
	buf_release(&r->check.note);
	buf_release(&r->bad_cosignatures);
	mem_free(r->marks);
	mem_free(r->old_marks);
	r->marks = r->old_marks = NULL;
}
