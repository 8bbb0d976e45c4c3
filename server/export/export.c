/*
 * export_log, the happy path:
 *
 *	1. the checkpoint file is put together; our own signature is checked
 *	2. the destination's checkpoint, if any, is opened with the same key; the stored tiles prove
 *	   that ours goes on from it
 *	3. are all its files there, then everything up to its last full tile is left alone
 *	4. from there on: 256 entries at a time, hashed, compared, put as a bundle; their leaf
 *hashes fill a tile, full tiles are put and carried up, as in store_verify
 *	5. the root of the tiles at the right edge is the signed one; the partial tiles are put
 *	6. flush; partial files under full ones go; checkpoint; flush
 *
 * When the stored tiles do not lead to the signed root in step 2, the walk is made without writing,
 * to name the first entry that is wrong.
 */
#include "server/export/export.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/tlog_path.h"
#include "server/export/publish.h"
#include "server/store/blocks.h"

#define CHECKPOINT "checkpoint"

/* A tile that is being filled. */
struct level {
	struct hash hashes[TILE_WIDTH];
	unsigned width;
	uint64_t index;
};

struct export
{
	const struct export_opts *opts;
	struct errctx *ctx;
	struct publish *publish;
	struct checkpoint checkpoint; /* ours */
	struct buf file;              /* the checkpoint file to be */
	struct buf earlier;           /* the one that is there; empty: none */
	uint64_t earlier_size;        /* of its tree; 0: none */
	uint64_t covered; /* leaves under full tiles that are there and are left alone */
	bool dry;         /* walk without writing */
	uint64_t bad;
	struct buf bundle;
	struct level levels[TILE_LEVELS];
};

/* ---- the checkpoint file ---- */

static int by_name(const void *a, const void *b)
{
	const struct export_cosignature *const *x = a, *const *y = b;

	return strcmp((*x)->key.name, (*y)->key.name);
}

static enum err put_cosignatures(const struct export_opts *opts, struct bytes text, struct buf *out,
	struct export_result *ret)
{
	CLEANUP(mem_free_p) const struct export_cosignature **sorted = NULL;
	struct note_line line;
	enum err err;

	if (opts->cosignature_count == 0)
		return OK;
	sorted = mem_array(opts->cosignature_count, sizeof(*sorted));
	if (sorted == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < opts->cosignature_count; i++)
		sorted[i] = &opts->cosignatures[i];
	qsort(sorted, opts->cosignature_count, sizeof(*sorted), by_name);
	for (size_t i = 0; i < opts->cosignature_count; i++) {
		err = note_line_parse(sorted[i]->line, &line, NULL);
		if (err == OK)
			err = cosignature_verify(&line, text, &sorted[i]->key, NULL);
		if (err == ERR_NOMEM)
			return err;
		if (err != OK) {
			ret->cosignatures_bad++;
		} else if (ret->cosignatures < LIMIT_NOTE_SIGNATURES - 1) {
			buf_put(out, line.whole);
			ret->cosignatures++;
		}
	}
	return out->err;
}

enum err export_checkpoint(const struct export_opts *opts, struct buf *out,
	struct export_result *ret, struct errctx *ctx)
{
	struct export_result result = {0};
	struct bytes text;
	struct note note;

	TRY(checkpoint_open(opts->note, &opts->key, &result.checkpoint, &text, ctx));
	TRY(note_parse(opts->note, &note, ctx));
	buf_put(out, text);
	buf_put_u8(out, '\n');
	for (size_t i = 0; i < note.count; i++) {
		/* The log's own line, once: others are no business of its author's note. */
		if (note.lines[i].id != opts->key.id ||
			!bytes_equal_str(note.lines[i].name, opts->key.name))
			continue;
		buf_put(out, note.lines[i].whole);
		break;
	}
	TRY(put_cosignatures(opts, text, out, &result));
	TRY(out->err);
	*ret = result;
	return OK;
}

/* ---- what is there already ---- */

static enum err fork_found(struct export *x, const struct checkpoint *there, const char *what)
{
	return err_set(x->ctx, ERR_FORK,
		"'%s' has a checkpoint of %" PRIu64 " entries, this node one of %" PRIu64
		", and %s: nothing was changed; keep both, and ask who wrote the other",
		publish_path(x->publish), there->size, x->checkpoint.size, what);
}

/* Its own size, root and signature, whatever we hold. */
static enum err earlier_open(struct export *x, struct checkpoint *ret)
{
	enum err err = publish_read(x->publish, CHECKPOINT, LIMIT_NOTE_SIZE, &x->earlier, x->ctx);

	if (err != OK)
		return err;
	err = checkpoint_open(buf_bytes(&x->earlier), &x->opts->key, ret, NULL, x->ctx);
	if (err == OK || err == ERR_NOMEM)
		return err;
	err_wrap(x->ctx, ERR_PROOF,
		"'%s/" CHECKPOINT "' is not a checkpoint of this log: remove it if it is damaged, "
		"or export to another directory",
		publish_path(x->publish));
	return ERR_PROOF;
}

/* Does ours go on from the one that is there? */
static enum err earlier_judge(struct export *x)
{
	struct checkpoint there;
	struct store_roots roots;
	enum err err = earlier_open(x, &there);
	bool none = err == ERR_NOTFOUND;

	if (err != OK && !none)
		return err;
	if (!none && there.size > x->checkpoint.size)
		return fork_found(x, &there, "an export never goes back");
	if (!none && there.size > 0)
		x->earlier_size = there.size;
	err = store_roots(x->opts->store, &x->opts->origin,
		x->earlier_size > 0 ? x->earlier_size : x->checkpoint.size, x->checkpoint.size,
		&roots, x->ctx);
	if (err != OK && err != ERR_CORRUPT)
		return err;
	x->dry = err == ERR_CORRUPT || !hash_equal(&roots.second, &x->checkpoint.root);
	if (x->dry || x->earlier_size == 0)
		return OK;
	if (!proof_consistency_ok(&roots.proof, x->earlier_size, &roots.first, x->checkpoint.size,
		    &roots.second)) {
		x->dry = true; /* a tile is damaged: the walk says where */
		return OK;
	}
	return hash_equal(&roots.first, &there.root)
		       ? OK
		       : fork_found(x, &there, "they are of two different histories");
}

static enum err file_there(struct export *x, const struct tlog_file *file, bool *ret)
{
	char path[TLOG_PATH_SIZE];

	tlog_path_format(file, path);
	return publish_has(x->publish, path,
		file->kind == TLOG_TILE ? (uint64_t)file->width * HASH_SIZE : 0, ret, x->ctx);
}

/* Every file of the earlier checkpoint, or the full one that has taken a partial one's place. */
static enum err earlier_whole(struct export *x, bool *ret)
{
	struct tlog_file file, full;
	struct tlog_files files;
	bool there = true;

	tlog_files_init(&files, x->earlier_size);
	while (there && tlog_files_next(&files, &file)) {
		TRY(file_there(x, &file, &there));
		if (there || file.width == TILE_WIDTH)
			continue;
		full = file;
		full.width = TILE_WIDTH;
		TRY(file_there(x, &full, &there));
	}
	*ret = there;
	return OK;
}

/* ---- the walk ---- */

static enum err bad(struct export *x, uint64_t index)
{
	x->bad = index;
	return ERR_CORRUPT;
}

static enum err put_file(
	struct export *x, enum tlog_kind kind, struct tile_id id, unsigned width, struct bytes data)
{
	struct tlog_file file = {kind, id, width};
	char path[TLOG_PATH_SIZE];

	if (x->dry)
		return OK;
	tlog_path_format(&file, path);
	return publish_put(x->publish, path, data, x->ctx);
}

/* The tile as it was computed anew, whole or at the right edge. Above the leaves, what the store
 * has of it must be the same: that names the place of a damage, the root would only show it. */
static enum err put_tile(struct export *x, unsigned number)
{
	struct level *level = &x->levels[number];
	struct tile_id id = {number, level->index};
	struct hash stored[TILE_WIDTH];

	for (unsigned i = 0; number > 0 && i < level->width; i++) {
		if (i == 0)
			TRY(store_tile(x->opts->store, &x->opts->origin, id, level->width, stored,
				x->ctx));
		if (hash_equal(&stored[i], &level->hashes[i]))
			continue;
		err_set(x->ctx, ERR_CORRUPT,
			"log '%s': the tree from entry %" PRIu64 " on does not match hash %u of "
			"tile %u/%" PRIu64,
			x->opts->origin.text, (id.index * TILE_WIDTH + i) << (8 * number), i,
			number, id.index);
		return bad(x, (id.index * TILE_WIDTH + i) << (8 * number));
	}
	return put_file(x, TLOG_TILE, id, level->width,
		bytes_make(level->hashes, (size_t)level->width * HASH_SIZE));
}

static void reduce(const struct hash *hashes, struct hash *ret)
{
	struct hash nodes[TILE_WIDTH / 2];

	for (size_t i = 0; i < TILE_WIDTH / 2; i++)
		tree_node(&hashes[2 * i], &hashes[2 * i + 1], &nodes[i]);
	for (size_t n = TILE_WIDTH / 4; n > 0; n /= 2) {
		for (size_t i = 0; i < n; i++)
			tree_node(&nodes[2 * i], &nodes[2 * i + 1], &nodes[i]);
	}
	*ret = nodes[0];
}

/* Puts the tiles that are full, from the leaves up, and begins the next ones. */
static enum err carry_up(struct export *x)
{
	for (unsigned number = 0; number + 1 < TILE_LEVELS; number++) {
		struct level *level = &x->levels[number], *above = level + 1;

		if (level->width < TILE_WIDTH)
			return OK;
		TRY(put_tile(x, number));
		reduce(level->hashes, &above->hashes[above->width++]);
		level->width = 0;
		level->index++;
	}
	return OK;
}

static enum err block_walk(struct export *x, uint64_t index)
{
	struct level *leaves = &x->levels[0];
	uint64_t rest = x->checkpoint.size - index * TILE_WIDTH;
	enum err err;

	leaves->index = index;
	leaves->width = rest < TILE_WIDTH ? (unsigned)rest : TILE_WIDTH;
	buf_clear(&x->bundle);
	err = store_block(x->opts->store, &x->opts->origin, index, leaves->width, &x->bundle,
		leaves->hashes, &x->bad, x->ctx);
	if (err != OK)
		return err;
	TRY(put_file(
		x, TLOG_ENTRIES, (struct tile_id){0, index}, leaves->width, buf_bytes(&x->bundle)));
	return carry_up(x);
}

/* The tiles at the right edge of the part that is left alone. That they are right shows in the
 * root. */
static enum err levels_load(struct export *x)
{
	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		struct level *level = &x->levels[number];
		struct tile_id id = {number, (x->covered >> (8 * number)) / TILE_WIDTH};

		level->index = id.index;
		level->width = tile_width(id, x->covered);
		if (level->width > 0)
			TRY(store_tile(x->opts->store, &x->opts->origin, id, level->width,
				level->hashes, x->ctx));
	}
	return OK;
}

static enum err stop_check(const struct export *x, uint64_t at)
{
	if (x->opts->done != NULL)
		__atomic_store_n(x->opts->done, at, __ATOMIC_RELAXED);
	if (x->opts->stop != NULL && __atomic_load_n(x->opts->stop, __ATOMIC_RELAXED))
		return err_set(x->ctx, ERR_CANCELED,
			"stopped at entry %" PRIu64 ": the same export goes on from there", at);
	return OK;
}

static enum err level_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret)
{
	const struct export *x = arg;
	const struct level *level = &x->levels[id.level];

	if (id.level >= TILE_LEVELS || id.index != level->index || width > level->width)
		return ERR_INVALID;
	*ret = bytes_make(level->hashes, (size_t)level->width * HASH_SIZE);
	return OK;
}

/* A root takes nodes of the right edge alone. */
static enum err root_check(struct export *x)
{
	struct tile_reader reader = {{level_read, x}, x->checkpoint.size};
	struct tree_source tree = tile_reader_tree(&reader);
	struct hash root;

	TRY(tree_root(&tree, x->checkpoint.size, &root));
	if (hash_equal(&root, &x->checkpoint.root))
		return OK;
	err_set(x->ctx, ERR_CORRUPT,
		"log '%s': its entries do not hash to the root of its checkpoint of size %" PRIu64,
		x->opts->origin.text, x->checkpoint.size);
	return bad(x, 0);
}

static enum err walk(struct export *x)
{
	uint64_t end = (x->checkpoint.size + TILE_WIDTH - 1) / TILE_WIDTH;

	TRY(levels_load(x));
	for (uint64_t index = x->covered / TILE_WIDTH; index < end; index++) {
		TRY(stop_check(x, index * TILE_WIDTH));
		TRY(block_walk(x, index));
	}
	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		if (x->levels[number].width > 0)
			TRY(put_tile(x, number));
	}
	return root_check(x);
}

/* ---- the end ---- */

/* Of every full file behind the part that was left alone. */
static enum err drop_partials(struct export *x)
{
	for (unsigned number = 0; number < TILE_LEVELS; number++) {
		struct tlog_file tile = {TLOG_TILE, {number, 0}, TILE_WIDTH};
		struct tlog_file entries = {TLOG_ENTRIES, {0, 0}, TILE_WIDTH};
		uint64_t first = (x->covered >> (8 * number)) / TILE_WIDTH;
		uint64_t full = (x->checkpoint.size >> (8 * number)) / TILE_WIDTH;
		char path[TLOG_PATH_SIZE];

		for (uint64_t index = first; index < full; index++) {
			tile.id.index = entries.id.index = index;
			tlog_path_format(&tile, path);
			TRY(publish_drop_partials(x->publish, path, x->ctx));
			if (number > 0)
				continue;
			tlog_path_format(&entries, path);
			TRY(publish_drop_partials(x->publish, path, x->ctx));
		}
	}
	return OK;
}

static enum err complete(struct export *x)
{
	bool same = bytes_equal(buf_bytes(&x->earlier), buf_bytes(&x->file));

	if (same && publish_counts(x->publish).files == 0)
		return OK;
	TRY(publish_flush(x->publish, true, x->ctx));
	TRY(drop_partials(x));
	TRY(publish_put(x->publish, CHECKPOINT, buf_bytes(&x->file), x->ctx));
	return publish_flush(x->publish, true, x->ctx);
}

/* What we hold ourselves was verified when it came: if it does not verify now, the disk did it. */
static enum err own_checkpoint(struct export *x, struct export_result *result)
{
	enum err err = export_checkpoint(x->opts, &x->file, result, x->ctx);

	if (err == OK || err == ERR_NOMEM)
		return err;
	err_wrap(x->ctx, ERR_CORRUPT, "log '%s': its stored checkpoint", x->opts->origin.text);
	return bad(x, 0);
}

static enum err run(struct export *x, struct export_result *result)
{
	bool whole;

	TRY(own_checkpoint(x, result));
	x->checkpoint = result->checkpoint;
	if (x->checkpoint.size == 0)
		return err_set(x->ctx, ERR_INVALID, "log '%s' is empty", x->opts->origin.text);
	TRY(publish_open(x->opts->destination, &x->opts->origin, &x->publish, x->ctx));
	TRY(earlier_judge(x));
	if (!x->dry && !x->opts->compare) {
		TRY(earlier_whole(x, &whole));
		if (whole)
			x->covered = x->earlier_size / TILE_WIDTH * TILE_WIDTH;
	}
	TRY(walk(x));
	if (x->dry) { /* every entry is right, and every tile is what the entries make of it */
		err_set(x->ctx, ERR_CORRUPT, "log '%s': its stored tiles do not fit each other",
			x->opts->origin.text);
		return bad(x, 0);
	}
	TRY(complete(x));
	TRY(stop_check(x, x->checkpoint.size));
	result->files_written = publish_counts(x->publish).files;
	result->bytes_written = publish_counts(x->publish).bytes;
	return OK;
}

enum err export_log(const struct export_opts *opts, struct export_result *ret, struct errctx *ctx)
{
	CLEANUP(mem_free_p) struct export *x = mem_zalloc(sizeof(*x));
	struct export_result result = {0};
	enum err err;

	if (x == NULL)
		return ERR_NOMEM;
	x->opts = opts;
	x->ctx = ctx;
	buf_init(&x->file, LIMIT_NOTE_SIZE + LIMIT_NOTE_SIGNATURES * 512);
	buf_init(&x->earlier, LIMIT_NOTE_SIZE);
	buf_init(&x->bundle, STORE_BLOCK_SIZE_MAX);
	err = run(x, &result);
	if (err == ERR_CORRUPT)
		*ret = (struct export_result){.bad_index = x->bad};
	else if (err == OK)
		*ret = result;
	publish_close(x->publish);
	buf_release(&x->file);
	buf_release(&x->earlier);
	buf_release(&x->bundle);
	return err;
}
