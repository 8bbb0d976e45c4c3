/*
 * What is held while the node is unlocked.
 *
 * Rebuilding: every record of the keyring is unwrapped into the casebook, and the locators of the
 * node's logs are gathered (finder.h). Then, case by case, for each key of this node and each of
 * its logs, the locators of i = 0, 1, .. are looked up, until LIMIT_LOCATOR_GAP in a row are
 * missing. The first entry found there that opens counts. Each entry is read and opened once.
 * Keys of other nodes follow (foreign.h): what they say comes behind all that is this node's own.
 *
 * An own entry that carries a locator and does not open (a damaged disk) still takes its number:
 * sealing there again would repeat a position.
 */
#include <assert.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/seal/away.h"
#include "cases/seal/row.h"
#include "server/vault/complaint.h"
#include "server/vault/erase/erase.h"
#include "server/vault/escrow/escrow.h"
#include "server/vault/finder.h"
#include "server/vault/foreign.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/confirm.h"
#include "server/vault/grants/grants.h"
#include "server/vault/receipts.h"

enum { CANDIDATES_MAX = 8 }; /* entries with one locator that are looked at */

enum err pool_draw(struct pool *pool, void *ret, size_t size)
{
	uint8_t *from;

	assert(size <= sizeof(pool->bytes));
	if (pool->left < size) {
		TRY(random_bytes(pool->bytes, sizeof(pool->bytes)));
		pool->left = sizeof(pool->bytes);
	}
	from = pool->bytes + sizeof(pool->bytes) - pool->left;
	memcpy(ret, from, size);
	wipe(from, size);
	pool->left -= size;
	return OK;
}

void pool_wipe(struct pool *pool)
{
	wipe(pool, sizeof(*pool));
}

/* Adds the log when it is new: a node has few. */
static enum err log_add(struct book *book, const char *text, struct errctx *ctx)
{
	struct origin_parts parts;
	struct origin origin;
	struct book_log log = {.kept = 0};

	for (uint16_t i = 0; i < book->log_count; i++)
		if (strcmp(book->logs[i].origin.text, text) == 0)
			return OK;
	if (log_name_parse(bytes_str(text), &log.origin, &origin, &parts) != OK ||
		!bytes_equal_str(parts.network, book->opts.network) ||
		!bytes_equal_str(parts.node, book->opts.node))
		return err_set(
			ctx, ERR_CORRUPT, "'%s' is no log of node %s", text, book->opts.node);
	if (book->log_count == BOOK_LOGS_MAX)
		return err_set(ctx, ERR_LIMIT, "keys of more than %d logs", BOOK_LOGS_MAX);
	sha256(bytes_str(origin.text), &log.hash);
	book->logs[book->log_count++] = log;
	return OK;
}

static bool key_is_own(const struct book *book, const char *author)
{
	return strcmp(author, book->opts.node) == 0;
}

static enum err load_key(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct keyring_entry entry = {0};
	struct casebook_key *key = NULL;
	struct book *book = arg;
	struct seal_kid kid;
	char hex[2 * SEAL_KID_SIZE + 1];
	enum err err;

	TRY(book_go_on(book));
	switch (row_kind(item->value)) {
	case ROW_AWAY:
		return complaint_load_away(book, item, ctx);
	case ROW_APPROVAL:
		return approvals_load(book, item, ctx);
	case ROW_RECEIPT:
		return receipts_load(book, item, ctx);
	case ROW_REVEALED:
		book->revealed_rows++;
		return OK;
	case ROW_TOMBSTONE:
	case ROW_ERASURE:
	case ROW_HOLD:
		return erasures_load(book, item, ctx);
	default:
		break;
	}
	if (row_kind(item->value) == ROW_GIVEN || row_kind(item->value) == ROW_RECEIVED)
		return grants_load(book, item, ctx);
	if (row_kind(item->value) == ROW_CONFIRMED)
		return confirm_load(book, item, ctx);
	if (row_kind(item->value) == ROW_ESCROW || row_kind(item->value) == ROW_CUSTODY)
		return escrow_load(book, item, ctx);
	memcpy(kid.b, item->kid, sizeof(kid.b));
	err = keyring_unwrap(secret_bytes(&book->keyring_key), &kid, item->value, &entry);
	if (err == OK && erasures_gone(book, entry.author, &kid)) {
		keyring_entry_release(&entry);
		return erasures_doom(book, item->kid);
	}
	if (err == OK && key_is_own(book, entry.author))
		err = log_add(book, entry.origin, ctx);
	if (err == OK)
		err = casebook_add_key(book->cases, &entry, &key);
	if (err == OK && key->foreign)
		err = foreign_add_key(book, &entry, key, ctx);
	keyring_entry_release(&entry);
	if (err == OK)
		return OK;
	hex_encode(BYTES_ARRAY(kid.b), hex);
	return err_wrap(ctx, err, "case key %s", hex);
}

const struct book_log *book_log_at(const struct book *book, uint16_t number)
{
	return number < BOOK_LOGS_MAX ? &book->logs[number] : foreign_log(book->foreign, number);
}

enum err book_read(struct book *book, const struct casebook_key *key, const struct casebook_at *at,
	struct errctx *ctx)
{
	const struct book_log *log = book_log_at(book, at->log);
	struct seal_position position = {log->hash, at->i};

	TRY(book_go_on(book));
	buf_clear(&book->entry);
	buf_clear(&book->part);
	TRY(store_entry(book->opts.store, &log->origin, at->index, &book->entry, ctx));
	return seal_open(book->sealer, &key->seal, &position, buf_bytes(&book->entry), &book->part);
}

void book_part_wipe(struct book *book)
{
	if (book->part.size > 0)
		wipe(book->part.data, book->part.size);
	buf_clear(&book->part);
}

bool book_unreadable(enum err err)
{
	return err == ERR_MALFORMED || err == ERR_DECRYPT || err == ERR_UNSUPPORTED ||
	       err == ERR_LIMIT || err == ERR_INVALID || err == ERR_NOTFOUND || err == ERR_CORRUPT;
}

/* What an unlock has beside the book. */
struct rebuild {
	struct book *book;
	struct finder finders[BOOK_LOGS_MAX]; /* of book->logs */
	uint64_t finder_entries;              /* that are still allowed */
	struct timeline *timeline;            /* of the case that is looked at */
	struct errctx *ctx;
};

/* ERR_LIMIT of casebook_note passes: the number would be lost, and used twice. A part that the
 * timeline has no room for is missing in the state alone. */
static enum err note_part(
	struct rebuild *r, struct casebook_key *key, const struct casebook_at *at, bool *ret_noted)
{
	struct book *book = r->book;
	struct part_info info;
	enum err err;

	TRY(part_info_read(buf_bytes(&book->part), &info, r->ctx));
	if (key_is_own(book, key->author)) {
		ledger_noted(book, &info);
		TRY(erasures_noted(book, &info));
		TRY(grants_noted(book, &info));
	}
	err = casebook_note(book->cases, key, at, &info);
	*ret_noted = err == OK;
	if (err == ERR_LIMIT)
		err = ERR_FULL;
	if (err == OK && group_of_case(key->group) &&
		timeline_add_known(r->timeline, buf_bytes(&book->part), &info, r->ctx) == ERR_NOMEM)
		err = ERR_NOMEM;
	wipe(&info, sizeof(info));
	return err;
}

static enum err note_entry(
	struct rebuild *r, struct casebook_key *key, const struct casebook_at *at, bool *ret_noted)
{
	enum err err = book_read(r->book, key, at, r->ctx);

	if (err == OK)
		err = note_part(r, key, at, ret_noted);
	book_part_wipe(r->book);
	if (err == ERR_FULL)
		return ERR_LIMIT;
	return book_unreadable(err) ? OK : err;
}

static enum err probe_at(
	struct rebuild *r, struct casebook_key *key, struct casebook_at *at, bool *ret_found)
{
	struct seal_position position = {r->book->logs[at->log].hash, at->i};
	uint64_t candidates[CANDIDATES_MAX];
	struct seal_locator locator;
	bool noted = false;
	size_t count = 0;

	TRY(seal_locator(&key->seal, &position, &locator));
	TRY(finder_find(
		&r->finders[at->log], &locator, candidates, CANDIDATES_MAX, &count, r->ctx));
	for (size_t i = 0; i < count && !noted; i++) {
		at->index = candidates[i];
		TRY(note_entry(r, key, at, &noted));
	}
	if (count > 0 && at->log == BOOK_OWN_LOG && key->next_i <= at->i)
		key->next_i = at->i + 1;
	*ret_found = count > 0;
	return OK;
}

static enum err probe_log(struct rebuild *r, struct casebook_key *key, uint16_t log)
{
	struct casebook_at at = {.log = log};
	bool found = false;
	enum err err;

	if (r->book->logs[log].size == 0)
		return OK; /* nothing was written to it yet */
	for (unsigned gap = 0; gap < LIMIT_LOCATOR_GAP; at.i++) {
		err = probe_at(r, key, &at, &found);
		if (err != OK)
			return err_wrap(r->ctx, err, "look for the entries of log '%s'",
				r->book->logs[log].origin.text);
		gap = found ? 0 : gap + 1;
	}
	return OK;
}

static enum err probe_keys(struct rebuild *r, struct casebook_case *kase)
{
	for (struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (!key_is_own(r->book, key->author))
			continue;
		for (uint16_t log = 0; log < r->book->log_count; log++)
			TRY(probe_log(r, key, log));
	}
	return OK;
}

static enum err fold_case(struct rebuild *r, const struct casebook_case *kase)
{
	struct case_state *state = NULL;

	*r->ctx = (struct errctx){""}; /* what was unreadable is left out */
	TRY(timeline_finish(r->timeline));
	if (timeline_count(r->timeline) == 0)
		return OK;
	TRY(timeline_state(r->timeline, &state));
	states_put(r->book, kase, state);
	return OK;
}

static enum err probe_case(struct rebuild *r, struct casebook_case *kase)
{
	enum err err;

	TRY(book_go_on(r->book));
	TRY(timeline_new(&r->timeline));
	err = probe_keys(r, kase);
	if (err == OK)
		err = fold_case(r, kase);
	timeline_free(r->timeline);
	r->timeline = NULL;
	return err;
}

/* How much of an older epoch stands at a mirror: the largest size that one has cosigned, if what it
 * cosigned is what we have. */
static enum err kept_find(
	struct book *book, const struct log_head *head, uint64_t *ret, struct errctx *ctx)
{
	for (size_t i = 0; i < head->cosignature_count; i++) {
		const struct store_cosignature *c = &head->cosignatures[i];
		struct hash root;
		uint64_t size;

		if (c->size <= *ret || c->size > head->size || c->line.size < HASH_SIZE ||
			strcmp(c->cosigner, book->opts.node) == 0 ||
			strchr(c->cosigner, '/') != NULL) /* a witness holds nothing */
			continue;
		TRY(store_root(book->opts.store, &head->origin, c->size, &size, &root, ctx));
		if (memcmp(root.b, c->line.data, HASH_SIZE) == 0)
			*ret = c->size;
	}
	return OK;
}

/* How many entries two histories of one log share. They part once, so that the first size at which
 * their roots differ is found by halving. */
enum err book_common(struct book *book, const struct book_log *a, const struct book_log *b,
	uint64_t *ret, struct errctx *ctx)
{
	struct store *store = book->opts.store;
	uint64_t low = 0, high, size_a = 0, size_b = 0;
	struct hash root_a, root_b;

	TRY(store_root(store, &a->origin, 0, &size_a, &root_a, ctx));
	TRY(store_root(store, &b->origin, 0, &size_b, &root_b, ctx));
	high = size_a < size_b ? size_a : size_b;
	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		TRY(store_root(store, &a->origin, middle, &size_a, &root_a, ctx));
		TRY(store_root(store, &b->origin, middle, &size_b, &root_b, ctx));
		if (hash_equal(&root_a, &root_b))
			low = middle;
		else
			high = middle - 1;
	}
	*ret = low;
	return OK;
}

static bool is_branch(const struct book_log *log)
{
	return strchr(log->origin.text, '~') != NULL;
}

/* Of a log with several histories nobody will ever hold all but its author: what stands behind the
 * entries that all of them share is sealed again. A branch repeats these. */
static enum err branches_find(struct book *book, struct errctx *ctx)
{
	for (uint16_t i = 1; i < book->log_count; i++)
		for (uint16_t k = 1; k < book->log_count; k++) {
			struct book_log *log = &book->logs[i], *other = &book->logs[k];
			uint64_t common;
			enum err err;

			if (i == k || !hash_equal(&log->hash, &other->hash))
				continue;
			err = book_common(book, log, other, &common, ctx);
			if (err == ERR_NOTFOUND)
				continue;
			TRY(err);
			if (common < log->kept)
				log->kept = common;
		}
	return OK;
}

static enum err may_go_on(const void *arg)
{
	return book_go_on(arg);
}

static enum err log_look(struct rebuild *r, uint16_t number)
{
	struct book *book = r->book;
	struct book_log *log = &book->logs[number];
	struct finder_opts opts = {.store = book->opts.store,
		.origin = &log->origin,
		.entries_max = r->finder_entries,
		.go_on = may_go_on,
		.arg = book};
	struct log_head head = {0};
	enum err err = store_head(book->opts.store, &log->origin, &head, r->ctx);

	if (err == OK && number != BOOK_OWN_LOG && is_branch(log))
		log->kept = head.size;
	else if (err == OK && number != BOOK_OWN_LOG)
		err = kept_find(book, &head, &log->kept, r->ctx);
	log->size = err == OK ? head.size : 0;
	log_head_release(&head);
	if (err == ERR_NOTFOUND) {
		*r->ctx = (struct errctx){""};
		return OK;
	}
	TRY(err);
	opts.log_size = log->size;
	TRY(finder_init(&r->finders[number], &opts));
	if (log->size <= r->finder_entries)
		r->finder_entries -= log->size;
	return OK;
}

/* Every log of this node that the store has, also those in which no key was used first. */
static enum err logs_find(struct book *book, struct errctx *ctx)
{
	struct log_head *heads = NULL;
	size_t count = 0;
	enum err err;

	TRY(store_heads(book->opts.store, &heads, &count, ctx));
	err = OK;
	for (size_t i = 0; i < count; i++) {
		struct origin_parts parts;

		if (err == OK &&
			log_name_parse(bytes_str(heads[i].origin.text), NULL, NULL, &parts) == OK &&
			bytes_equal_str(parts.network, book->opts.network) &&
			bytes_equal_str(parts.node, book->opts.node))
			err = log_add(book, heads[i].origin.text, ctx);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	return err;
}

static enum err rebuild_from(struct rebuild *r)
{
	struct book *book = r->book;

	TRY(logs_find(book, r->ctx));
	TRY(erasures_scan(book, r->ctx));
	TRY(keyring_each(book->opts.keyring, load_key, book, r->ctx));
	ledger_find(book);
	TRY(grants_settle(book));
	for (uint16_t log = 0; log < book->log_count; log++) {
		enum err err = log_look(r, log);

		if (err != OK)
			return err_wrap(
				r->ctx, err, "look at log '%s'", book->logs[log].origin.text);
	}
	TRY(states_reserve(book, casebook_case_count(book->cases)));
	for (size_t c = 0; c < casebook_case_count(book->cases); c++)
		TRY(probe_case(r, casebook_case_at(book->cases, c)));
	TRY(branches_find(book, r->ctx));
	TRY(erasures_restore(book, r->ctx));
	TRY(foreign_refresh(book, r->ctx)); /* this node's own came first */
	TRY(escrow_settle(book, r->ctx));
	return book_count_unread(book, r->ctx);
}

static enum err rebuild(struct book *book, struct errctx *ctx)
{
	struct rebuild *r = mem_zalloc(sizeof(*r));
	enum err err;

	if (r == NULL)
		return ERR_NOMEM;
	r->book = book;
	r->finder_entries = LIMIT_FINDER_ENTRIES;
	r->ctx = ctx;
	err = rebuild_from(r);
	for (uint16_t log = 0; log < book->log_count; log++)
		finder_release(&r->finders[log]);
	mem_free(r);
	return err;
}

static void scratch_init(struct buf *buf, size_t max)
{
	buf_init(buf, max);
	(void)buf_reserve(buf, max); /* the error sticks */
}

static enum err book_fill(struct book *book, struct errctx *ctx)
{
	struct casebook_options options = {.own_log = BOOK_OWN_LOG, .node = book->opts.node};

	scratch_init(&book->entry, LIMIT_ENTRY_SIZE);
	scratch_init(&book->part, LIMIT_PART_SIZE);
	scratch_init(&book->json, VAULT_DOC_MAX);
	TRY(book->entry.err);
	TRY(book->part.err);
	TRY(book->json.err);
	TRY(random_bytes((uint8_t *)&options.seed, sizeof(options.seed)));
	TRY(casebook_new(&options, &book->cases));
	TRY(foreign_new(&book->foreign));
	TRY(grants_new(&book->grants));
	TRY(escrow_new(&book->escrow));
	TRY(approvals_new(&book->approvals));
	TRY(receipts_new(&book->receipts));
	TRY(ledger_new(book->opts.now_s, &book->ledger));
	TRY(erasures_new(&book->erasures));
	TRY(sealer_new(&book->sealer));
	return rebuild(book, ctx);
}

enum err book_open(
	const struct book_opts *opts, struct node_keys *keys, struct book **ret, struct errctx *ctx)
{
	struct book *book = mem_zalloc(sizeof(*book));
	enum err err;

	if (book == NULL)
		return ERR_NOMEM;
	book->opts = *opts;
	book->keyring_key = keys->keyring_key;
	keys->keyring_key = (struct secret){0};
	err = book->keyring_key.size == AEAD_KEY_SIZE
		      ? log_add(book, keys->log_origin, ctx)
		      : err_set(ctx, ERR_CORRUPT, "the keystore has no keyring key");
	if (err == OK)
		err = book_fill(book, ctx);
	if (err != OK) {
		book_close(book);
		return err;
	}
	*ret = book;
	return OK;
}

void book_close(struct book *book)
{
	if (book == NULL)
		return;
	states_release(book);
	foreign_free(book->foreign);
	grants_free(book->grants);
	trust_release(&book->trust);
	escrow_free(book->escrow);
	approvals_free(book->approvals);
	receipts_free(book->receipts);
	mem_free(book->away);
	casebook_free(book->cases);
	ledger_free(book->ledger);
	erasures_free(book->erasures);
	sealer_free(book->sealer);
	secret_release(&book->keyring_key);
	buf_wipe(&book->entry);
	buf_wipe(&book->part);
	buf_wipe(&book->json);
	wipe(book, sizeof(*book));
	mem_free(book);
}

uint64_t book_cases(const struct book *book)
{
	uint64_t count = 0;

	for (size_t i = 0; i < casebook_case_count(book->cases); i++)
		count += casebook_case_at(book->cases, i)->event_count > 0;
	return count;
}
