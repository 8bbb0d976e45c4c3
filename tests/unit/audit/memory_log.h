/*
 * memory_log: a log whose files are made in memory as they are asked for, and can be forged: an
 * entry replaced, tiles that fit to it up to some level, bytes of a file changed, a file gone.
 */
#ifndef TESTS_UNIT_AUDIT_MEMORY_LOG_H
#define TESTS_UNIT_AUDIT_MEMORY_LOG_H

#include <stdio.h>
#include <stdlib.h>

#include "replication/audit/source.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tlog_path.h"

enum { MEMORY_LEVELS = 4, MEMORY_FORGED = 4 };

struct memory_log {
	uint64_t size;
	struct hash *hashes[MEMORY_LEVELS]; /* all of a level, as the files have them */
	struct checkpoint checkpoint;       /* of the log before it was forged */
	/* Entries that are others than they were. */
	size_t forged;
	uint64_t forged_at[MEMORY_FORGED];
	/* One file is changed. */
	char path[TLOG_PATH_SIZE];
	int change; /* 0: none, 'x' a byte, 'c' cut by one, 'l' longer by one, 'g' gone, 'e' error
		     */
	size_t at;
	bool full_alone; /* partial files are not there, full ones are, with more behind */
	uint64_t starts; /* entries before are not there; for sources without tiles */
	struct audit_source source;
	size_t reads, entry_reads;
};

static inline struct bytes memory_entry(const struct memory_log *log, uint64_t i, char room[32])
{
	const char *kind = "entry";

	for (size_t n = 0; n < log->forged; n++)
		if (log->forged_at[n] == i)
			kind = "forged";
	return bytes_make(room, (size_t)snprintf(room, 32, "%s %llu", kind, (unsigned long long)i));
}

static inline void memory_hash_up(struct memory_log *log, uint64_t leaf, unsigned levels)
{
	for (unsigned level = 1; level < levels; level++) {
		uint64_t i = leaf >> (8 * level);
		struct compact tree;

		if (i >= log->size >> (8 * level))
			return;
		compact_init(&tree);
		for (unsigned n = 0; n < TILE_WIDTH; n++)
			compact_append(&tree, &log->hashes[level - 1][i * TILE_WIDTH + n]);
		log->hashes[level][i] = tree.peaks[0];
	}
}

/* Another entry at i, and the tiles of `levels` levels that fit to it; 0: none does. */
static inline void memory_forge(struct memory_log *log, uint64_t i, unsigned levels)
{
	char room[32];

	log->forged_at[log->forged++] = i;
	if (levels > 0)
		tree_leaf(memory_entry(log, i, room), &log->hashes[0][i]);
	memory_hash_up(log, i, levels);
}

/* What was forged is as it was. */
static inline void memory_heal(struct memory_log *log)
{
	char room[32];

	while (log->forged > 0) {
		uint64_t i = log->forged_at[--log->forged];

		tree_leaf(memory_entry(log, i, room), &log->hashes[0][i]);
		memory_hash_up(log, i, MEMORY_LEVELS);
	}
}

static inline void memory_put(struct memory_log *log, const struct tlog_file *file, struct buf *out)
{
	unsigned width = file->width;
	char room[32];

	for (unsigned n = 0; n < width; n++) {
		uint64_t i = file->id.index * TILE_WIDTH + n;

		if (file->kind == TLOG_ENTRIES && i < log->starts)
			continue;
		if (file->kind == TLOG_ENTRIES)
			buf_put_lv16(out, memory_entry(log, i, room));
		else if (i < log->size >> (8 * file->id.level))
			buf_put(out, hash_bytes(&log->hashes[file->id.level][i]));
		else
			buf_put_zeros(out, HASH_SIZE);
	}
}

static inline enum err memory_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	struct memory_log *log = arg;
	size_t start = out->size;
	struct tlog_file file;
	unsigned width;

	assert_string_equal(origin, log->checkpoint.origin.text);
	assert_int_equal(tlog_path_parse(bytes_str(path), &file), OK);
	assert_true(file.id.level < MEMORY_LEVELS);
	width = tile_width(file.id, log->size);
	log->reads++;
	log->entry_reads += file.kind == TLOG_ENTRIES;
	if (file.width != (log->full_alone ? TILE_WIDTH : width) || width == 0)
		return ERR_NOTFOUND;
	if (strcmp(path, log->path) == 0 && log->change == 'g')
		return ERR_NOTFOUND;
	if (strcmp(path, log->path) == 0 && log->change == 'e')
		return err_set(ctx, ERR_IO, "'%s': the disk is gone", path);
	memory_put(log, &file, out);
	if (strcmp(path, log->path) == 0) {
		out->size -= log->change == 'c';
		if (log->change == 'l')
			buf_put_u8(out, 7);
		if (log->change == 'x')
			out->data[start + log->at] ^= 0x55;
	}
	if (out->err == OK && out->size - start > max) {
		out->size = start;
		return ERR_LIMIT;
	}
	return out->err;
}

static inline uint64_t memory_starts(void *arg, const char *origin)
{
	const struct memory_log *log = arg;

	(void)origin;
	return log->starts;
}

static inline void memory_log_init(struct memory_log *log, uint64_t size)
{
	struct compact tree;
	char room[32];

	*log = (struct memory_log){.size = size};
	compact_init(&tree);
	for (unsigned level = 0; level < MEMORY_LEVELS; level++)
		log->hashes[level] = calloc((size_t)(size >> (8 * level)) + 1, HASH_SIZE);
	for (uint64_t i = 0; i < size; i++) {
		tree_leaf(memory_entry(log, i, room), &log->hashes[0][i]);
		compact_append(&tree, &log->hashes[0][i]);
		for (unsigned level = 1; level < MEMORY_LEVELS; level++)
			if ((i + 1) % (UINT64_C(1) << (8 * level)) == 0)
				memory_hash_up(log, i, level + 1);
	}
	strcpy(log->checkpoint.origin.text, "ovra.example/haiti/1-0000000000000001");
	log->checkpoint.size = size;
	compact_root(&tree, &log->checkpoint.root);
	log->source = (struct audit_source){.read = memory_read,
		.starts = memory_starts,
		.arg = log,
		.tiles = true,
		.name = "memory"};
}

static inline void memory_log_release(struct memory_log *log)
{
	for (unsigned level = 0; level < MEMORY_LEVELS; level++)
		free(log->hashes[level]);
}

/* The tree of its first entries. */
static inline void memory_compact(const struct memory_log *log, uint64_t size, struct compact *ret)
{
	compact_init(ret);
	for (uint64_t i = 0; i < size; i++)
		compact_append(ret, &log->hashes[0][i]);
}

#endif
