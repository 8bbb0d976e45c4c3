#include "server/fsck/repair.h"

#include "server/store/index.h"

#include "base/alloc.h"
#include "base/cursor.h"
#include "certs/record.h"

enum { CHUNK = 16 * TILE_WIDTH, KEY_MAX = 511 };

/* Rows. */

/* Finds the one bit that makes the check fit. A row with more damage is left as it is. */
static bool row_mend(struct bytes key, struct buf *row)
{
	struct bytes value;

	for (size_t bit = 0; bit < 8 * row->size; bit++) {
		row->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (checked_open(key, buf_bytes(row), &value) == OK)
			return true;
		row->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	return false;
}

/* The same of the key: the check is over it too. */
static bool key_mend(struct buf *key, struct bytes row)
{
	struct bytes value;

	for (size_t bit = 0; bit < 8 * key->size; bit++) {
		key->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (checked_open(buf_bytes(key), row, &value) == OK)
			return true;
		key->data[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	return false;
}

/* "format" carries no check: its own reader judges it. */
static bool row_is_checked(unsigned slot, struct bytes key)
{
	return slot != DB_META || !bytes_equal_str(key, "format");
}

/* The next row behind `after` whose check is wrong and can be mended, mended: its key, and the row.
 * `after` becomes the key as it stands. */
static bool row_find(
	struct txn *txn, unsigned slot, struct buf *after, struct buf *key, struct buf *row)
{
	struct bytes start = buf_bytes(after), value;
	struct range range;
	bool found = false;

	for (bool more = range_first(&range, txn, slot, start, 0); more && !found;
		more = range_next(&range)) {
		if (!row_is_checked(slot, range.key) ||
			checked_open(range.key, range.value, &value) == OK)
			continue;
		buf_clear(row);
		buf_put(row, range.value);
		buf_clear(key);
		buf_put(key, range.key);
		if (row->err == OK && key->err == OK &&
			(row_mend(range.key, row) || key_mend(key, range.value))) {
			buf_clear(after);
			buf_put(after, range.key);
			found = true;
			break;
		}
	}
	range_end(&range);
	return found;
}

size_t repair_rows(struct txn *txn, unsigned slot)
{
	CLEANUP(buf_release) struct buf found;
	CLEANUP(buf_release) struct buf key;
	CLEANUP(buf_release) struct buf row;
	struct bytes other;
	size_t count = 0;

	buf_init(&found, KEY_MAX);
	buf_init(&key, KEY_MAX);
	buf_init(&row, 2 * LIMIT_NOTE_SIZE);
	while (txn->err == OK && row_find(txn, slot, &found, &key, &row)) {
		bool moved = !bytes_equal(buf_bytes(&found), buf_bytes(&key));

		if (moved)
			txn_delete(txn, slot, buf_bytes(&found));
		if (!moved || !txn_get(txn, slot, buf_bytes(&key), &other))
			txn_put(txn, slot, buf_bytes(&key), buf_bytes(&row));
		count++;
	}
	return count;
}

/* Deletes every row from `start` on that begins with the first prefix_size bytes of it. */
static void rows_delete(struct txn *txn, unsigned slot, struct bytes start, size_t prefix_size)
{
	uint8_t key[KEY_MAX];
	struct range range;
	size_t size;

	do {
		size = 0;
		if (range_first(&range, txn, slot, start, prefix_size) &&
			range.key.size <= sizeof(key)) {
			size = range.key.size;
			memcpy(key, range.key.data, size);
		}
		range_end(&range);
		if (size > 0)
			txn_delete(txn, slot, bytes_make(key, size));
	} while (size > 0 && txn->err == OK);
}

/* Judgement. */

static bool signed_known(const struct log_report *r)
{
	return r->note == NOTE_GOOD || r->note == NOTE_UNVERIFIED;
}

/* Where a replica's log is cut; UINT64_MAX: nowhere. */
static uint64_t cut_at(const struct log_report *r)
{
	return !r->own && (signed_known(r) || r->note == NOTE_NONE) ? r->tail_bad : UINT64_MAX;
}

bool repair_log_can(const struct log_report *r)
{
	if (r->headless && !r->own)
		return true;
	if (r->failed.text[0] != '\0')
		return false;
	if (r->cosignature_text[0] != '\0' || r->index_bad)
		return true;
	if (!signed_known(r) && r->note != NOTE_NONE)
		return r->note == NOTE_BAD_ROOT && (r->bad_entries > 0 || r->marked == 0);
	return r->bad_entries > 0 || r->derived > r->own_strays;
}

/* Tiles, from the leaf hashes that the check believed. */

struct rebuild {
	struct txn *txn;
	const struct log_report *r;
	size_t mark, old_mark; /* the next to come */
	uint8_t copy[TILE_SIZE];
};

static enum err tile_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	struct rebuild *rebuild = arg;
	struct store_tiles tiles = {rebuild->txn, rebuild->r->number};
	struct bytes view;

	TRY(store_tiles_read(&tiles, id, width, &view));
	memcpy(rebuild->copy, view.data, view.size);
	*ret = bytes_make(rebuild->copy, view.size);
	return OK;
}

static enum err tile_write(void *arg, struct tile_id id, struct bytes hashes)
{
	struct rebuild *rebuild = arg;
	struct store_key key = tile_key(rebuild->r->number, id);

	txn_put(rebuild->txn, DB_TILES, store_key_bytes(&key), hashes);
	return rebuild->txn->err;
}

static bool mark_leaf(const struct damage_mark *marks, size_t count, size_t *next, uint64_t index,
	struct hash *ret)
{
	while (*next < count && marks[*next].index < index)
		(*next)++;
	if (*next == count || marks[*next].index != index || !marks[*next].known)
		return false;
	*ret = marks[*next].expected;
	return true;
}

static enum err leaf_read(struct rebuild *rebuild, uint64_t index, struct hash *ret)
{
	const struct log_report *r = rebuild->r;
	struct store_key key = entry_key(r->number, index);
	struct bytes entry;

	if (mark_leaf(r->marks, r->mark_count, &rebuild->mark, index, ret) ||
		mark_leaf(r->old_marks, r->old_count, &rebuild->old_mark, index, ret))
		return OK;
	if (!txn_get(rebuild->txn, DB_ENTRIES, store_key_bytes(&key), &entry))
		return ERR_CORRUPT;
	tree_leaf(entry, ret);
	return OK;
}

static enum err chunk_build(struct rebuild *rebuild, struct hash *leaves, uint64_t at, size_t count)
{
	struct tile_source source = {tile_read, rebuild};
	struct tile_sink sink = {tile_write, rebuild};

	for (size_t i = 0; i < count; i++)
		TRY(leaf_read(rebuild, at + i, &leaves[i]));
	return tiles_extend(&source, at, leaves, count, &sink);
}

static void tiles_rebuild(struct txn *txn, const struct log_report *r, uint64_t size)
{
	CLEANUP(mem_free_p) struct rebuild *rebuild = mem_zalloc(sizeof(*rebuild));
	CLEANUP(mem_free_p) struct hash *leaves = mem_array(CHUNK, sizeof(*leaves));
	struct store_key key = log_key(r->number);
	enum err err = OK;

	if (rebuild == NULL || leaves == NULL) {
		txn_fail(txn, ERR_NOMEM, "build tiles: %s", err_text(ERR_NOMEM));
		return;
	}
	*rebuild = (struct rebuild){.txn = txn, .r = r};
	rows_delete(txn, DB_TILES, store_key_bytes(&key), key.size);
	for (uint64_t at = 0; at < size && err == OK && txn->err == OK; at += CHUNK)
		err = chunk_build(
			rebuild, leaves, at, size - at < CHUNK ? (size_t)(size - at) : CHUNK);
	if (err != OK)
		txn_fail(txn, err, "build tiles: %s", err_text(err));
}

/* One log. */

static void head_size_put(struct txn *txn, const struct log_report *r, uint64_t size)
{
	struct store_key key = log_key(r->number);
	struct buf value;

	buf_init(&value, 8 + LIMIT_NOTE_SIZE);
	buf_put_u64be(&value, size);
	buf_put(&value, buf_bytes(&r->check.note));
	if (value.err != OK)
		txn_fail(txn, value.err, "write: %s", err_text(value.err));
	checked_put(txn, DB_HEADS, store_key_bytes(&key), buf_bytes(&value));
	buf_release(&value);
}

/* Entries from 0 on, without a gap. */
static uint64_t entries_count(struct txn *txn, uint32_t log)
{
	struct store_key key = log_key(log);
	struct range range;
	uint64_t count = 0;

	for (bool more = range_first(&range, txn, DB_ENTRIES, store_key_bytes(&key), key.size);
		more && range.key.size == 12 && get_u64be(range.key.data + 4) == count;
		more = range_next(&range))
		count++;
	range_end(&range);
	return count;
}

static bool name_of_note(struct txn *txn, uint32_t log, struct origin *ret)
{
	struct store_key key = log_key(log);
	struct checkpoint checkpoint;
	struct bytes head;

	if (checked_get(txn, DB_HEADS, store_key_bytes(&key), &head) != OK || head.size <= 8 ||
		checkpoint_peek(bytes_make(head.data + 8, head.size - 8), &checkpoint, NULL) != OK)
		return false;
	*ret = checkpoint.origin;
	return true;
}

static bool name_of_first(struct txn *txn, uint32_t log, struct origin *ret)
{
	struct store_key key = entry_key(log, 0);
	struct log_opened opened;
	struct bytes entry;
	struct arena arena;
	bool found;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	found = txn_get(txn, DB_ENTRIES, store_key_bytes(&key), &entry) &&
		log_opened_read(entry, NULL, &arena, &opened, NULL) == OK &&
		origin_parse(bytes_str(opened.origin), ret, NULL) == OK;
	arena_release(&arena);
	return found;
}

bool repair_name(struct txn *txn, uint32_t log)
{
	struct store_key number = log_key(log);
	struct origin origin;
	struct bytes old;

	if (!name_of_note(txn, log, &origin) && !name_of_first(txn, log, &origin))
		return false;
	/* Not in the place of a log that has the name. */
	if (txn_get(txn, DB_LOGS, bytes_str(origin.text), &old))
		return false;
	checked_put(txn, DB_LOGS, bytes_str(origin.text), store_key_bytes(&number));
	return txn->err == OK;
}

static void marks_put(struct txn *txn, const struct log_report *r, uint64_t end)
{
	struct damage_mark all = {.index = r->bad_entries > 0 ? r->first_bad : 0};

	if (r->note == NOTE_BAD_ROOT || r->unprovable) {
		all.count = r->check.size - all.index;
		damage_put(txn, r->number, &all);
		return;
	}
	for (size_t i = 0; i < r->mark_count && r->marks[i].index < end; i++)
		damage_put(txn, r->number, &r->marks[i]);
}

static void cosignatures_drop(struct txn *txn, const struct log_report *r)
{
	struct cursor keys = cursor_make(buf_bytes(&r->bad_cosignatures));

	while (keys.rest.size > 0 && keys.err == OK)
		txn_delete(txn, DB_COSIGNATURES, cursor_lv16(&keys));
}

void repair_log(struct txn *txn, const struct log_report *r)
{
	uint64_t cut = cut_at(r), size = cut < r->check.size ? cut : r->check.size;
	struct store_key key;

	if (r->headless) {
		head_size_put(txn, r, entries_count(txn, r->number));
		return;
	}
	if (r->cosignature_text[0] != '\0')
		cosignatures_drop(txn, r);
	if (r->bad_entries > 0 || r->note == NOTE_BAD_ROOT)
		marks_put(txn, r, size);
	if (size < r->check.size) {
		head_size_put(txn, r, size);
		key = entry_key(r->number, size);
		rows_delete(txn, DB_DAMAGE, store_key_bytes(&key), 4);
	}
	if (signed_known(r) || r->note == NOTE_NONE) {
		/* What stands behind an own log's end may be newer than its head. */
		key = entry_key(r->number, size);
		if (!r->own)
			rows_delete(txn, DB_ENTRIES, store_key_bytes(&key), 4);
		if ((r->derived > 0 && !r->unprovable) || size < r->check.size)
			tiles_rebuild(txn, r, size);
	}
	if (r->index_bad || r->bad_entries > 0 || size < r->check.size)
		store_index_drop(txn, r->number);
}
