#include "server/store/store.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"
#include "server/store/damage.h"

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
};

/* Opening. */

/* A new store takes the names; an old one must have them. */
static void identity_check(struct txn *txn, const struct store_opts *opts)
{
	struct bytes network = BYTES_NONE, node = BYTES_NONE;
	enum err has_network = checked_get(txn, DB_META, bytes_str("network"), &network);
	enum err has_node = checked_get(txn, DB_META, bytes_str("node"), &node);

	if (has_network == ERR_NOTFOUND && has_node == ERR_NOTFOUND) {
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

static enum err databases_open(struct env *env, const struct store_opts *opts, struct errctx *ctx)
{
	struct txn txn;

	txn_begin(&txn, env, TXN_WRITE);
	/* The version first: nothing is made in a store of a newer program. */
	txn_database(&txn, DB_META, store_tables[DB_META]);
	txn_format(&txn, DB_META);
	identity_check(&txn, opts);
	for (unsigned slot = DB_META + 1; slot < DB_COUNT; slot++)
		txn_database(&txn, slot, store_tables[slot]);
	return txn_finish(&txn, ctx);
}

enum err store_open(const struct store_opts *opts, struct store **ret, struct errctx *ctx)
{
	struct env_opts env_opts = {.path = opts->path, .map_size = opts->map_size};
	struct store *store = mem_zalloc(sizeof(*store));
	enum err err;

	if (store == NULL)
		return ERR_NOMEM;
	if (env_opts.map_size == 0)
		env_opts.map_size = MAP_SIZE_DEFAULT;
	err = env_open(&env_opts, &store->env, ctx);
	if (err == OK)
		err = databases_open(store->env, opts, ctx);
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
			range.key.size > LIMIT_ORIGIN)
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
	struct log_head *heads = count > 0 ? mem_array(count, sizeof(*heads)) : NULL;
	struct log_row row;
	enum err err;

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

enum err store_read_batch(struct store *store, const struct store_read *read,
	struct store_batch *ret, struct errctx *ctx)
{
	struct store_batch batch = {0};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = batch_read(&txn, read, &batch, ctx);
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

static enum err locate(struct txn *txn, const struct log_row *row, const uint8_t locator[16],
	uint64_t *ret, size_t max, size_t *ret_count)
{
	struct store_key key = locator_key(row->number, locator, 0);
	size_t count = 0, scanned = 0;
	struct arena arena;
	struct range range;
	enum err err = OK;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (bool more = range_first(
		     &range, txn, DB_LOCATORS, store_key_bytes(&key), 4 + LOCATOR_PREFIX_SIZE);
		more && err == OK && count < max && scanned < STORE_LOCATE_SCAN;
		more = range_next(&range), scanned++) {
		bool match = false;
		uint64_t index;

		if (range.key.size != key.size) {
			err = ERR_CORRUPT;
			break;
		}
		index = get_u64be(range.key.data + 4 + LOCATOR_PREFIX_SIZE);
		err = locator_matches(txn, &arena, entry_key(row->number, index), locator, &match);
		if (err == OK && match)
			ret[count++] = index;
	}
	range_end(&range);
	arena_release(&arena);
	if (err == OK && txn->err == OK)
		*ret_count = count;
	return err;
}

enum err store_locate(struct store *store, const struct origin *origin, const uint8_t locator[16],
	uint64_t *ret, size_t max, size_t *ret_count, struct errctx *ctx)
{
	struct log_row row;
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = store_row(&txn, origin, &row, ctx);
	if (err == OK) {
		err = locate(&txn, &row, locator, ret, max, ret_count);
		if (err == ERR_CORRUPT)
			err_set(ctx, err, "the index of locators is not consistent");
	}
	return read_finish(&txn, err, origin, ctx);
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
	return txn_finish(&txn, ctx);
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

void store_commits_add(struct txn *txn)
{
	uint64_t commits = 0;
	uint8_t next[8];
	enum err err = store_commits(txn, &commits);

	if (err != OK)
		txn_fail(txn, err, "the commit number is damaged");
	put_u64be(next, commits + 1);
	checked_put(txn, DB_META, bytes_str("commits"), BYTES_ARRAY(next));
}

enum err store_usage(struct store *store, struct store_usage *ret)
{
	struct store_usage usage = {.file_bytes = env_file_bytes(store->env)};
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	usage.used_bytes = txn_used_bytes(&txn);
	err = store_commits(&txn, &usage.commits);
	TRY(txn_finish(&txn, NULL));
	TRY(err);
	*ret = usage;
	return OK;
}
