#include "server/store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"
#include "server/store/damage.h"
#include "server/store/indexer.h"
#include "server/store/internal.h"

/* Address space, not disk: reserved once, so that the map never has to grow under readers. */
#define MAP_SIZE_DEFAULT ((size_t)(sizeof(size_t) > 4 ? UINT64_C(64) << 30 : UINT64_C(1) << 30))

const char *const store_tables[DB_COUNT] = {
	[DB_META] = "meta",
	[DB_LOGS] = "logs",
	[DB_HEADS] = "heads",
	[DB_ENTRIES] = "entries",
	[DB_TILES] = "tiles",
	[DB_COSIGNATURES] = "cosignatures",
	[DB_LOCATORS] = "locators",
	[DB_INVITES] = "invites",
	[DB_DAMAGE] = "damage",
	[DB_EVIDENCE] = "evidence",
	[DB_PINS] = "pins",
	[DB_DISPUTES] = "disputes",
	[DB_WITNESSED] = "seen",
};

/* Opening. */

/* Of format 0, or on its way to 1: small rows may be without a check. */
static bool is_old(struct txn *txn)
{
	struct bytes value;

	return txn_get(txn, DB_META, bytes_str("migrating"), &value) ||
	       (txn_get(txn, DB_META, bytes_str("format"), &value) && value.size == 4 &&
		       get_u32be(value.data) == 0);
}

static enum err identity_get(struct txn *txn, const char *key, bool old, struct bytes *ret)
{
	enum err err = checked_get(txn, DB_META, bytes_str(key), ret);

	return err == ERR_CORRUPT && old && txn_get(txn, DB_META, bytes_str(key), ret) ? OK : err;
}

/* A new store takes the names; an old one must have them. */
static void identity_check(struct txn *txn, const struct store_opts *opts)
{
	struct bytes network = BYTES_NONE, node = BYTES_NONE;
	bool old = is_old(txn);
	enum err has_network = identity_get(txn, "network", old, &network);
	enum err has_node = identity_get(txn, "node", old, &node);

	if (has_network == ERR_NOTFOUND && has_node == ERR_NOTFOUND && !opts->read_only) {
		checked_put(txn, DB_META, bytes_str("network"), bytes_str(opts->network));
		checked_put(txn, DB_META, bytes_str("node"), bytes_str(opts->node));
		return;
	}
	if (has_network != OK || has_node != OK)
		txn_fail(txn, ERR_CORRUPT, "it does not say whose it is");
	else if (!bytes_equal_str(network, opts->network) || !bytes_equal_str(node, opts->node))
		txn_fail(txn, ERR_INVALID,
			"it belongs to node '%.*s' of network '%.*s', not to "
			"'%s' of '%s'",
			BYTES_FMT(node), BYTES_FMT(network), opts->node, opts->network);
}

static void databases_open(struct txn *txn, void *arg)
{
	const struct store_opts *opts = arg;

	identity_check(txn, opts);
	for (unsigned slot = DB_META + 1; slot < DB_COUNT; slot++)
		txn_database(txn, slot, store_tables[slot]);
}

/* From format 0 to 1. Small rows get a check (checked.h); the locators, {log u32be, locator[0:8],
 * index u64be} for each sealed entry, go: the indexer makes the runs of format 1 from the entries.
 */
enum { MIGRATE_ROWS = 4096 };

struct unchecked {
	struct buf rows; /* u32be size of the key, key, u32be size of the value, value */
	size_t count;
};

/* Up to MIGRATE_ROWS rows of a table that have no check. */
static void unchecked_collect(struct txn *txn, unsigned slot, struct unchecked *ret)
{
	struct range range;
	struct bytes value;

	for (bool more = range_first(&range, txn, slot, BYTES_NONE, 0);
		more && ret->count < MIGRATE_ROWS; more = range_next(&range)) {
		bool plain = slot == DB_META && (bytes_equal_str(range.key, "format") ||
							bytes_equal_str(range.key, "migrating"));

		if (plain || checked_open(range.key, range.value, &value) == OK)
			continue;
		buf_put_u32be(&ret->rows, (uint32_t)range.key.size);
		buf_put(&ret->rows, range.key);
		buf_put_u32be(&ret->rows, (uint32_t)range.value.size);
		buf_put(&ret->rows, range.value);
		ret->count++;
	}
	range_end(&range);
	if (ret->rows.err != OK)
		txn_fail(txn, ret->rows.err, "%s", err_text(ret->rows.err));
}

static size_t rows_check(struct txn *txn, unsigned slot)
{
	struct unchecked found = {.count = 0};
	struct cursor cursor;

	buf_init(&found.rows, MIGRATE_ROWS * (size_t)(LIMIT_NOTE_SIZE + 1024));
	unchecked_collect(txn, slot, &found);
	cursor = cursor_make(buf_bytes(&found.rows));
	for (size_t i = 0; i < found.count && txn->err == OK; i++) {
		struct bytes key = cursor_take(&cursor, cursor_u32be(&cursor));
		struct bytes value = cursor_take(&cursor, cursor_u32be(&cursor));

		checked_put(txn, slot, key, value);
	}
	buf_release(&found.rows);
	return found.count;
}

static bool to_format_1(struct txn *txn)
{
	static const unsigned checked[] = {DB_META, DB_LOGS, DB_HEADS, DB_COSIGNATURES, DB_INVITES};

	for (size_t i = 0; i < sizeof(checked) / sizeof(checked[0]); i++)
		if (rows_check(txn, checked[i]) > 0)
			return true;
	return txn_delete_some(txn, DB_LOCATORS, BYTES_NONE, MIGRATE_ROWS) == MIGRATE_ROWS;
}

static const struct migrate_step steps[] = {
	{0, 1, "small rows get a check, the index of locators becomes sorted runs", to_format_1},
};

enum err store_open(const struct store_opts *opts, struct store **ret, struct errctx *ctx)
{
	size_t node_size = strlen(opts->node);
	struct env_opts env_opts = {
		.path = opts->path, .map_size = opts->map_size, .read_only = opts->read_only};
	struct store_opts copy = *opts;
	struct migrate_opts migrate = {
		.meta = DB_META,
		.open = databases_open,
		.arg = &copy,
		.steps = steps,
		.count = sizeof(steps) / sizeof(steps[0]),
		.watch = opts->watch,
	};
	struct store *store = mem_zalloc(sizeof(*store));
	enum err err;

	if (store == NULL)
		return ERR_NOMEM;
	assert(node_size <= LIMIT_NODE_NAME);
	memcpy(store->node, opts->node, node_size + 1);
	store->reserve = opts->reserve;
	if (env_opts.map_size == 0)
		env_opts.map_size = MAP_SIZE_DEFAULT;
	err = index_new(&store->index);
	if (err == OK)
		err = env_open(&env_opts, &store->env, ctx);
	if (err == OK)
		err = migrate_open(store->env, &migrate, ctx);
	if (err != OK) {
		store_close(store);
		return err_wrap(ctx, err, "open store '%s'", opts->path);
	}
	*ret = store;
	return OK;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	env_close(store->env);
	index_free(store->index);
	mem_free(store);
}

void store_tidy(struct store *store)
{
	env_tidy(store->env);
}

/* Rows. */

static enum err row_of_number(
	struct txn *txn, uint32_t number, struct log_row *ret, struct errctx *ctx)
{
	struct store_key key = log_key(number);
	struct bytes value;
	enum err err = checked_get(txn, DB_HEADS, store_key_bytes(&key), &value);

	if (err == ERR_NOTFOUND)
		return err_set(ctx, ERR_CORRUPT, "it has no head");
	if (err == OK && value.size < 8)
		err = ERR_CORRUPT;
	if (err != OK)
		return txn->err != OK ? err : err_set(ctx, err, "its head is damaged");
	ret->number = number;
	ret->size = get_u64be(value.data);
	ret->checkpoint = bytes_make(value.data + 8, value.size - 8);
	return ret->size <= LIMIT_LOG_SIZE ? OK
					   : err_set(ctx, ERR_CORRUPT, "its size is not possible");
}

enum err store_row(
	struct txn *txn, const struct origin *origin, struct log_row *ret, struct errctx *ctx)
{
	struct bytes value;
	enum err err = checked_get(txn, DB_LOGS, bytes_str(origin->text), &value);

	if (txn->err != OK)
		return txn->err;
	if (err == ERR_NOTFOUND)
		return err_set(ctx, err, "there is no such log");
	if (err != OK || value.size != 4)
		return err_set(ctx, ERR_CORRUPT, "its number is damaged");
	return row_of_number(txn, get_u32be(value.data), ret, ctx);
}

enum err store_tiles_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct store_tiles *tiles = arg;
	struct store_key key = tile_key(tiles->log, id);
	struct bytes value;

	if (!txn_get(tiles->txn, DB_TILES, store_key_bytes(&key), &value))
		return tiles->txn->err != OK ? tiles->txn->err : ERR_CORRUPT;
	if (value.size < (size_t)width * HASH_SIZE)
		return ERR_CORRUPT;
	*ret = bytes_make(value.data, (size_t)width * HASH_SIZE);
	return OK;
}

/* Ends a read. What the caller found wrong, and said in ctx, counts unless LMDB itself failed. */
static enum err read_finish(
	struct txn *txn, enum err err, const struct origin *origin, struct errctx *ctx)
{
	enum err failed = txn_finish(txn, ctx);

	if (failed != OK)
		err = failed;
	return err == OK ? OK : err_wrap(ctx, err, "log '%s'", origin->text);
}

/* Heads. */

static enum err fill(struct buf *buf, struct bytes bytes, struct errctx *ctx)
{
	buf_init(buf, LIMIT_NOTE_SIZE > LIMIT_ENTRY_SIZE ? LIMIT_NOTE_SIZE : LIMIT_ENTRY_SIZE);
	buf_put(buf, bytes);
	if (buf->err == ERR_LIMIT)
		return err_set(ctx, ERR_CORRUPT, "a stored value is too long");
	return buf->err;
}

static enum err cosignatures_load(
	struct txn *txn, uint32_t log, struct log_head *head, struct errctx *ctx)
{
	struct store_key key = log_key(log);
	struct store_cosignature *grown, *item;
	struct range range;
	enum err err = OK;

	for (bool more = range_first(&range, txn, DB_COSIGNATURES, store_key_bytes(&key), key.size);
		more && err == OK; more = range_next(&range)) {
		struct bytes name = bytes_make(range.key.data + 4, range.key.size - 4), value;

		if (checked_open(range.key, range.value, &value) != OK ||
			name.size > NOTE_KEY_NAME_MAX || value.size < 8) {
			err = err_set(ctx, ERR_CORRUPT, "a cosignature is damaged");
			break;
		}
		grown = mem_resize(head->cosignatures,
			(head->cosignature_count + 1) * sizeof(*head->cosignatures));
		if (grown == NULL) {
			err = ERR_NOMEM;
			break;
		}
		head->cosignatures = grown;
		item = &grown[head->cosignature_count++];
		*item = (struct store_cosignature){.size = get_u64be(value.data)};
		memcpy(item->cosigner, name.data, name.size);
		err = fill(&item->line, bytes_make(value.data + 8, value.size - 8), ctx);
	}
	range_end(&range);
	return err;
}

/* The log's key comes from entry 0, so it is compared with its leaf hash. A marked one is left out:
 * the node can start, and fetch it. */
static enum err first_fill(struct store_tiles *tiles, struct log_head *head, struct errctx *ctx)
{
	struct store_key key = entry_key(tiles->log, 0);
	struct bytes entry, tile;
	uint64_t marked;
	struct hash leaf;
	enum err err = damage_find(tiles->txn, tiles->log, 0, 1, &marked, ctx);

	if (err == ERR_CORRUPT && tiles->txn->err == OK)
		return OK;
	TRY(err);
	if (!txn_get(tiles->txn, DB_ENTRIES, store_key_bytes(&key), &entry))
		return err_set(ctx, ERR_CORRUPT, "entry 0 is missing");
	TRY(store_tiles_read(tiles, (struct tile_id){0, 0}, 1, &tile));
	tree_leaf(entry, &leaf);
	if (memcmp(tile.data, leaf.b, HASH_SIZE) != 0)
		return err_set(ctx, ERR_CORRUPT, "entry 0 does not match its leaf hash");
	return fill(&head->first_entry, entry, ctx);
}

/* A damaged one is as good as none: fsck tells of it, the node can start. */
static enum err pin_fill(struct txn *txn, uint32_t log, struct log_head *head, struct errctx *ctx)
{
	struct store_key key = log_key(log);
	struct bytes pin = BYTES_NONE;

	if (checked_get(txn, DB_PINS, store_key_bytes(&key), &pin) != OK)
		pin = BYTES_NONE;
	TRY(txn->err);
	return fill(&head->pin, pin, ctx);
}

/* The head is released by the caller, also on failure. */
static enum err head_fill(
	struct txn *txn, const struct log_row *row, struct log_head *head, struct errctx *ctx)
{
	struct store_tiles tiles = {txn, row->number};
	struct tile_reader reader = {{store_tiles_read, &tiles}, row->size};
	struct tree_source tree = tile_reader_tree(&reader);
	enum err err;

	head->size = row->size;
	compact_init(&head->compact);
	err = compact_load(&head->compact, &tree, row->size);
	if (err != OK)
		return err_set(ctx, err, "its tiles are not whole");
	TRY(fill(&head->checkpoint, row->checkpoint, ctx));
	TRY(pin_fill(txn, row->number, head, ctx));
	TRY(store_witness_fill(txn, row->number, head));
	if (row->size > 0)
		TRY(first_fill(&tiles, head, ctx));
	return cosignatures_load(txn, row->number, head, ctx);
}

enum err store_head(
	struct store *store, const struct origin *origin, struct log_head *ret, struct errctx *ctx)
{
	struct log_head head = {.origin = *origin};
	struct log_row row;
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK)
		err = head_fill(&txn, &row, &head, ctx);
	err = read_finish(&txn, err, origin, ctx);
	if (err != OK) {
		log_head_release(&head);
		return err;
	}
	*ret = head;
	return OK;
}

static void heads_free(struct log_head *heads, size_t count)
{
	for (size_t i = 0; heads != NULL && i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
}

/* Numbers are given without gaps: the origin of log n goes into heads[n]. */
static enum err origins_load(
	struct txn *txn, struct log_head *heads, size_t count, struct errctx *ctx)
{
	struct range range;
	enum err err = OK;

	for (bool more = range_first(&range, txn, DB_LOGS, BYTES_NONE, 0); more && err == OK;
		more = range_next(&range)) {
		struct bytes value = BYTES_NONE;
		uint32_t number = UINT32_MAX;

		if (checked_open(range.key, range.value, &value) == OK && value.size == 4)
			number = get_u32be(value.data);
		if (number >= count || heads[number].origin.text[0] != '\0' ||
			range.key.size > LIMIT_LOG_NAME)
			err = err_set(ctx, ERR_CORRUPT, "the table of logs is not consistent");
		else
			memcpy(heads[number].origin.text, range.key.data, range.key.size);
	}
	range_end(&range);
	return err;
}

static enum err heads_load(
	struct txn *txn, struct log_head **ret, size_t *ret_count, struct errctx *ctx)
{
	size_t count = (size_t)txn_count(txn, DB_LOGS);
	struct log_head *heads;
	struct log_row row;
	enum err err;

	/* What a damaged or hostile file says is not yet so. */
	if (count > LIMIT_LOGS)
		return err_set(ctx, ERR_CORRUPT, "it claims to hold %zu logs", count);
	heads = count > 0 ? mem_array(count, sizeof(*heads)) : NULL;
	if (count > 0 && heads == NULL)
		return ERR_NOMEM;
	err = origins_load(txn, heads, count, ctx);
	for (size_t i = 0; i < count && err == OK && txn->err == OK; i++) {
		err = row_of_number(txn, (uint32_t)i, &row, ctx);
		if (err == OK)
			err = head_fill(txn, &row, &heads[i], ctx);
		if (err != OK)
			err_wrap(ctx, err, "log '%s'", heads[i].origin.text);
	}
	if (err == OK)
		err = txn->err;
	if (err != OK) {
		heads_free(heads, count);
		return err;
	}
	*ret = heads;
	*ret_count = count;
	return OK;
}

enum err store_heads(
	struct store *store, struct log_head **ret, size_t *ret_count, struct errctx *ctx)
{
	struct txn txn;
	enum err err, failed;

	txn_begin(&txn, store->env, TXN_READ);
	err = heads_load(&txn, ret, ret_count, ctx);
	/* A failed transaction has failed heads_load too: nothing is lost here. */
	failed = txn_finish(&txn, ctx);
	err = failed != OK ? failed : err;
	return err == OK ? OK : err_wrap(ctx, err, "read store '%s'", env_path(store->env));
}

/* Batches. */

static enum err batch_collect(struct txn *txn, uint32_t log, const struct store_read *read,
	struct bytes *views, size_t count_max, size_t *ret_count, struct errctx *ctx)
{
	struct store_key key = entry_key(log, read->first);
	size_t count = 0, size = 0;
	struct range range;

	for (bool more = range_first(&range, txn, DB_ENTRIES, store_key_bytes(&key), 4);
		more && count < count_max; more = range_next(&range)) {
		if (range.key.size != key.size ||
			get_u64be(range.key.data + 4) != read->first + count)
			break;
		if (count > 0 &&
			(size > read->size_max || range.value.size > read->size_max - size))
			break;
		views[count++] = range.value;
		size += range.value.size;
	}
	range_end(&range);
	if (txn->err != OK)
		return txn->err;
	if (count == 0)
		return err_set(ctx, ERR_CORRUPT, "entry %" PRIu64 " is missing", read->first);
	*ret_count = count;
	return OK;
}

/* A damaged entry must not be sent: the peer would hold us for a liar. */
static enum err batch_compare(struct store_tiles *tiles, uint64_t first,
	const struct entries *entries, struct errctx *ctx)
{
	size_t i = 0;

	while (i < entries->count) {
		struct tile_id id = {0, (first + i) / TILE_WIDTH};
		unsigned from = (unsigned)((first + i) % TILE_WIDTH);
		size_t here = TILE_WIDTH - from;
		struct bytes tile;
		enum err err;

		if (here > entries->count - i)
			here = entries->count - i;
		err = store_tiles_read(tiles, id, from + (unsigned)here, &tile);
		if (err != OK)
			return err_set(ctx, err, "tile 0/%" PRIu64 " is not whole", id.index);
		for (size_t end = i + here; i < end; i++, from++) {
			if (memcmp(tile.data + (size_t)from * HASH_SIZE, entries->leaf[i].b,
				    HASH_SIZE) != 0)
				return err_set(ctx, ERR_CORRUPT,
					"entry %" PRIu64 " does not match its leaf hash",
					first + i);
		}
	}
	return OK;
}

static enum err batch_prove(struct store_tiles *tiles, const struct store_read *read,
	struct store_batch *batch, struct errctx *ctx)
{
	struct tile_reader reader = {{store_tiles_read, tiles}, read->target};
	struct tree_source tree = tile_reader_tree(&reader);
	enum err err;

	TRY(batch_compare(tiles, read->first, batch->entries, ctx));
	err = tree_prove_consistency(
		&tree, read->first + batch->entries->count, read->target, &batch->proof);
	return err == OK ? OK : err_set(ctx, err, "its tiles are not whole");
}

/* A batch ends before a marked entry. */
static enum err batch_marks(
	struct txn *txn, uint32_t log, uint64_t first, uint64_t *count_max, struct errctx *ctx)
{
	struct errctx said = {""};
	uint64_t marked = first;
	enum err err = damage_find(txn, log, first, *count_max, &marked, &said);

	if (err == ERR_CORRUPT && txn->err == OK && marked > first) {
		*count_max = marked - first;
		return OK;
	}
	return err == OK ? OK : err_set(ctx, err, "%s", err_message(&said, err));
}

static enum err batch_read(struct txn *txn, const struct store_read *read,
	struct store_batch *batch, struct errctx *ctx)
{
	CLEANUP(mem_free_p) struct bytes *views = NULL;
	uint64_t count_max = read->count_max > 0 ? read->count_max : 1;
	struct store_tiles tiles = {.txn = txn};
	struct log_row row;
	size_t count = 0;
	enum err err;

	TRY(store_row(txn, &read->origin, &row, ctx));
	if (read->first >= read->target || read->target > row.size)
		return err_set(ctx, ERR_INVALID,
			"no entries from %" PRIu64 " to %" PRIu64 ": %" PRIu64 " are held",
			read->first, read->target, row.size);
	if (count_max > read->target - read->first)
		count_max = read->target - read->first;
	views = mem_array((size_t)count_max, sizeof(*views));
	if (views == NULL)
		return ERR_NOMEM;
	TRY(batch_marks(txn, row.number, read->first, &count_max, ctx));
	TRY(batch_collect(txn, row.number, read, views, (size_t)count_max, &count, ctx));
	err = entries_make(views, count, &batch->entries);
	if (err == ERR_LIMIT)
		return err_set(ctx, ERR_CORRUPT, "an entry from %" PRIu64 " on has a wrong size",
			read->first);
	if (err != OK)
		return err;
	tiles.log = row.number;
	return batch_prove(&tiles, read, batch, ctx);
}

static enum err proof_read(struct txn *txn, const struct store_read *read,
	struct store_batch *batch, struct errctx *ctx)
{
	struct store_tiles tiles = {.txn = txn};
	struct tile_reader reader = {{store_tiles_read, &tiles}, read->target};
	struct tree_source tree = tile_reader_tree(&reader);
	struct log_row row;
	enum err err;

	TRY(store_row(txn, &read->origin, &row, ctx));
	if (read->first == 0 || read->first > read->target || read->target > row.size)
		return err_set(ctx, ERR_INVALID,
			"no proof from %" PRIu64 " to %" PRIu64 ": %" PRIu64 " are held",
			read->first, read->target, row.size);
	tiles.log = row.number;
	err = tree_root(&tree, read->first, &batch->root);
	if (err == OK)
		err = tree_prove_consistency(&tree, read->first, read->target, &batch->proof);
	return err == OK ? OK : err_set(ctx, err, "its tiles are not whole");
}

enum err store_read_batch(struct store *store, const struct store_read *read,
	struct store_batch *ret, struct errctx *ctx)
{
	struct store_batch batch = {0};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = read->kind == READ_PROOF ? proof_read(&txn, read, &batch, ctx)
				       : batch_read(&txn, read, &batch, ctx);
	err = read_finish(&txn, err, &read->origin, ctx);
	if (err != OK) {
		entries_unref(batch.entries);
		return err;
	}
	*ret = batch;
	return OK;
}

/* Single entries. */

enum err store_entry(struct store *store, const struct origin *origin, uint64_t index,
	struct buf *out, struct errctx *ctx)
{
	struct store_key key;
	struct bytes entry;
	struct log_row row;
	uint64_t marked;
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK && index >= row.size)
		err = err_set(ctx, ERR_NOTFOUND, "no entry %" PRIu64 ": %" PRIu64 " are held",
			index, row.size);
	if (err == OK)
		err = damage_find(&txn, row.number, index, 1, &marked, ctx);
	if (err == OK) {
		key = entry_key(row.number, index);
		if (txn_get(&txn, DB_ENTRIES, store_key_bytes(&key), &entry)) {
			buf_put(out, entry);
			err = out->err;
		} else {
			err = err_set(ctx, ERR_CORRUPT, "entry %" PRIu64 " is missing", index);
		}
	}
	return read_finish(&txn, err, origin, ctx);
}

enum err store_locator(
	struct arena *arena, struct bytes entry, bool *ret_found, uint8_t ret[LOCATOR_SIZE])
{
	Sauti__Entry *message;
	enum err err;

	arena_clear(arena);
	err = CODEC_UNPACK(entry, entry, &scan_limits_default, arena, &message, NULL);
	if (err == ERR_NOMEM)
		return err;
	*ret_found = err == OK && message->body_case == SAUTI__ENTRY__BODY_SEALED &&
		     message->sealed->locator.len == LOCATOR_SIZE;
	if (*ret_found)
		memcpy(ret, message->sealed->locator.data, LOCATOR_SIZE);
	return OK;
}

/* Does the entry have all 16 bytes? The index knows only the first eight. */
static enum err locator_matches(struct txn *txn, struct arena *arena, struct store_key key,
	const uint8_t locator[16], bool *ret)
{
	uint8_t own[LOCATOR_SIZE];
	struct bytes entry;
	bool found = false;

	if (!txn_get(txn, DB_ENTRIES, store_key_bytes(&key), &entry))
		return txn->err != OK ? txn->err : ERR_CORRUPT;
	TRY(store_locator(arena, entry, &found, own));
	*ret = found && memcmp(own, locator, LOCATOR_SIZE) == 0;
	return OK;
}

struct location {
	struct txn *txn;
	uint32_t log;
	const uint8_t *locator;
	struct arena arena;
	size_t scanned;
	uint64_t *ret;
	size_t max, count;
	struct errctx *ctx;
};

static enum err location_add(void *arg, uint64_t index, bool *more)
{
	struct location *location = arg;
	bool match = false;
	enum err err;

	err = locator_matches(location->txn, &location->arena, entry_key(location->log, index),
		location->locator, &match);
	if (err == ERR_CORRUPT)
		err_set(location->ctx, err,
			"its index of locators names entry %" PRIu64 ", which is missing", index);
	TRY(err);
	if (match)
		location->ret[location->count++] = index;
	*more = location->count < location->max && ++location->scanned < STORE_LOCATE_SCAN;
	return OK;
}

static enum err locate(struct store *store, const struct origin *origin, const uint8_t locator[16],
	uint64_t *ret, size_t max, size_t *ret_count, struct errctx *ctx)
{
	struct txn txn;
	struct location location = {
		.txn = &txn, .locator = locator, .ret = ret, .max = max, .ctx = ctx};
	struct index_query query = {
		.prefix = get_u64be(locator), .found = location_add, .arg = &location};
	struct log_row row;
	enum err err;

	arena_init(&location.arena, LIMIT_ARENA_SIZE);
	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK && max > 0) {
		query.log = location.log = row.number;
		query.size = row.size;
		err = index_search(store->index, &txn, &query, ctx);
	}
	err = read_finish(&txn, err, origin, ctx);
	arena_release(&location.arena);
	if (err == OK)
		*ret_count = location.count;
	return err;
}

enum err store_locate(struct store *store, const struct origin *origin, const uint8_t locator[16],
	uint64_t *ret, size_t max, size_t *ret_count, struct errctx *ctx)
{
	enum err err = locate(store, origin, locator, ret, max, ret_count, ctx);

	if (err != ERR_AGAIN)
		return err;
	/* So much is not in the index yet that looking through it would take as long as making it:
	 * after an upgrade or a repair. */
	TRY(store_index_run(store, NULL, ctx));
	return locate(store, origin, locator, ret, max, ret_count, ctx);
}

enum err store_prefixes(struct store *store, const struct origin *origin,
	const struct store_prefixes *read, uint64_t *ret_next, struct errctx *ctx)
{
	struct locators_scan scan = {.first = read->first, .found = read->found, .arg = read->arg};
	struct arena arena;
	struct log_row row;
	struct txn txn;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK) {
		scan.log = row.number;
		scan.end = row.size;
		if (scan.first < scan.end && scan.end - scan.first > read->max)
			scan.end = scan.first + read->max;
		err = locators_scan(&txn, &arena, &scan, ctx);
	}
	err = read_finish(&txn, err, origin, ctx);
	arena_release(&arena);
	if (err == OK)
		*ret_next = scan.end;
	return err;
}

/* Roots and marks. */

enum err store_root(struct store *store, const struct origin *origin, uint64_t size,
	uint64_t *ret_size, struct hash *ret_root, struct errctx *ctx)
{
	struct store_tiles tiles;
	struct tile_reader reader = {{store_tiles_read, &tiles}, size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct log_row row = {0};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK && size > 0 && row.size >= size) {
		tiles = (struct store_tiles){&txn, row.number};
		err = tree_root(&tree, size, ret_root);
		if (err != OK)
			err_set(ctx, err, "its tiles are not whole");
	}
	err = read_finish(&txn, err, origin, ctx);
	if (err == OK)
		*ret_size = row.size;
	return err;
}

enum err store_inclusion(struct store *store, const struct origin *origin,
	const struct store_included *at, struct proof *ret, struct hash *ret_root,
	struct errctx *ctx)
{
	struct store_tiles tiles;
	struct tile_reader reader = {{store_tiles_read, &tiles}, at->size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct log_row row = {0};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK && row.size < at->size)
		err = err_set(ctx, ERR_NOTFOUND, "it has fewer entries");
	if (err == OK) {
		tiles = (struct store_tiles){&txn, row.number};
		err = tree_prove_inclusion(&tree, at->index, at->size, ret);
		if (err == OK)
			err = tree_root(&tree, at->size, ret_root);
		if (err != OK)
			err_set(ctx, err, "its tiles are not whole");
	}
	return read_finish(&txn, err, origin, ctx);
}

/* A mark that is damaged was there. */
static void witness_mark(struct txn *txn, struct store_marks *ret)
{
	struct bytes value = BYTES_NONE;
	enum err err = checked_get(txn, DB_META, bytes_str(STORE_WITNESS_LOST), &value);

	ret->witness_lost = err != ERR_NOTFOUND;
	ret->witness_named = err == OK && value.size == sizeof(ret->witness.b);
	if (ret->witness_named)
		memcpy(ret->witness.b, value.data, sizeof(ret->witness.b));
}

enum err store_marks(struct store *store, struct store_marks *ret, struct errctx *ctx)
{
	struct store_marks marks = {0};
	struct bytes value;
	struct txn txn;
	enum err err, guarded, backup;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_commits(&txn, &marks.commits);
	/* A mark that is damaged was there. */
	guarded = checked_get(&txn, DB_META, bytes_str("guarded"), &value);
	marks.guarded = guarded != ERR_NOTFOUND;
	backup = checked_get(&txn, DB_META, bytes_str("backup"), &value);
	if (backup == OK)
		text_escape(value, marks.backup, sizeof(marks.backup));
	else if (backup != ERR_NOTFOUND)
		snprintf(marks.backup, sizeof(marks.backup), "which cannot be read");
	witness_mark(&txn, &marks);
	TRY(txn_finish(&txn, ctx));
	if (err != OK)
		return err_set(
			ctx, err, "store '%s': the commit number is damaged", env_path(store->env));
	*ret = marks;
	return OK;
}

/* Invites. */

enum err store_invite_get(
	struct store *store, const char *name, struct buf *out, struct errctx *ctx)
{
	struct bytes value;
	struct txn txn;
	enum err err;

	if (name[0] == '\0')
		return err_set(ctx, ERR_NOTFOUND, "no invite without a name");
	txn_begin(&txn, store->env, TXN_READ);
	err = checked_get(&txn, DB_INVITES, bytes_str(name), &value);
	if (err == OK) {
		buf_put(out, value);
		err = out->err;
	}
	if (err == ERR_NOTFOUND)
		txn_fail(&txn, err, "there is no invite for '%s'", name);
	else if (err != OK)
		txn_fail(&txn, err, "invite '%s': %s", name, err_text(err));
	return txn_finish(&txn, ctx);
}

enum err store_invite_put(
	struct store *store, const char *name, struct bytes value, struct errctx *ctx)
{
	struct bytes key = bytes_str(name), old;
	struct txn txn;
	enum err err;

	if (key.size == 0 || key.size > LIMIT_NODE_NAME)
		return err_set(ctx, ERR_INVALID, "an invite needs a node's name");
	txn_begin(&txn, store->env, TXN_WRITE);
	if (value.size == 0)
		txn_delete(&txn, DB_INVITES, key);
	else if (!txn_get(&txn, DB_INVITES, key, &old) &&
		 txn_count(&txn, DB_INVITES) >= LIMIT_INVITES)
		txn_fail(&txn, ERR_LIMIT, "there are %d invites already", LIMIT_INVITES);
	else
		checked_put(&txn, DB_INVITES, key, value);
	err = txn_finish(&txn, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "store '%s'", env_path(store->env));
}

enum err store_commits(struct txn *txn, uint64_t *ret)
{
	struct bytes value;
	enum err err = checked_get(txn, DB_META, bytes_str("commits"), &value);

	if (err == ERR_NOTFOUND) {
		*ret = 0;
		return OK;
	}
	TRY(err);
	if (value.size != 8)
		return ERR_CORRUPT;
	*ret = get_u64be(value.data);
	return OK;
}

void store_commits_put(struct txn *txn, uint64_t commits)
{
	uint8_t value[8];

	put_u64be(value, commits);
	checked_put(txn, DB_META, bytes_str("commits"), BYTES_ARRAY(value));
}

enum err store_usage(struct store *store, struct store_usage *ret)
{
	struct store_usage usage = {.file_bytes = env_file_bytes(store->env)};
	struct bytes value;
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	usage.used_bytes = txn_used_bytes(&txn);
	err = store_commits(&txn, &usage.commits);
	if (txn_get(&txn, DB_META, bytes_str("format"), &value) && value.size == 4)
		usage.format = get_u32be(value.data);
	usage.invites = txn_count(&txn, DB_INVITES);
	TRY(txn_finish(&txn, NULL));
	TRY(err);
	*ret = usage;
	return OK;
}
