/*
 * walk: one log hashed again from its files: every entry, every tile, up to the root that a
 * checkpoint has. Whoever walks has verified the checkpoint's signatures; nothing else is believed.
 *
 * What is computed from the entries decides. Each tile is compared with it whole, of every level,
 * the partial ones of the right edge too, so that a tile is never taken for right because another
 * one fits to it. In the end the root of the entries is compared with the signed one:
 *
 *   same root       all entries are right, and each tile that differs is wrong (TILE_CHANGED)
 *   another root    the tiles of the right edge say what was signed, if they make the signed root;
 *                   from there down, tile by tile, each against the hash above it, to the first
 *                   entry that is not the signed one (ENTRY_CHANGED); where no tile can be believed
 *                   the finding says how far it could be told (ROOT_DIFFERS: not at all)
 *
 * Memory does not grow with the log: a block (one file of entries) in hand, a tile of each level.
 *
 * Threads: the walk belongs to one thread, which calls walk_next and walk_take in order. walk_read
 * and walk_hash take a block each and may be called by any thread, for several blocks at a time
 * (walk_read only as far as the source lets them); walk_new to walk_end in one thread is walk_run.
 * The findings are the same, byte for byte, however the work was shared out.
 *
 * Incremental: with a compact range of the last visit entries are read from its size on alone. Of
 * the old tree only the block and the tiles in which it ends are read, and they must make its
 * peaks.
 */
#ifndef REPLICATION_AUDIT_WALK_H
#define REPLICATION_AUDIT_WALK_H

#include "replication/audit/finding.h"
#include "replication/audit/source.h"
#include "replication/log/tiles.h"

struct walk;
struct walk_block;
enum { WALK_MARKS = 2 };

/* An entry, in order of index. It is not known yet whether it is the signed one: what is done with
 * it counts only once the walk is `sound`. */
typedef enum err walk_entry(void *arg, uint64_t index, struct bytes entry);

/* All borrowed until walk_free. */
struct walk_opts {
	const struct audit_source *source;
	const char *origin; /* of the log, or the name of a branch, as the source has it */
	const struct checkpoint *checkpoint;
	struct bytes note;         /* .. as it is signed: stands in findings; may be empty */
	struct findings *findings; /* what is wrong is added */
	/* The tree of the last visit, and its root; NULL: all of the log. Entries before from->size
	 * are not looked at. */
	const struct compact *from;
	const struct hash *from_root;
	/* The roots at these sizes are wanted, too, ascending; 0: none. */
	uint64_t marks[WALK_MARKS];
	walk_entry *each; /* may be NULL; its first error ends the walk */
	void *arg;
};

struct walk_result {
	uint64_t from, size; /* entries [from, size) were hashed */
	uint64_t bytes;      /* of them */
	struct compact tree; /* of all of them: what the next visit may start from, if sound */
	/* The roots at opts.marks, of those that are in [from, size]. */
	bool marked[WALK_MARKS];
	struct hash mark[WALK_MARKS];
	bool whole;  /* every entry was there to be hashed */
	bool rooted; /* .. and they make the signed root, whatever the tiles are like */
	bool sound;  /* .. and nothing is wrong with tiles and files either */
	bool has_bad;
	uint64_t bad; /* the first index of which something is wrong */
};

/* ERR_INVALID: from is larger than the checkpoint, or is not from_root's; ERR_NOMEM; errors of the
 * source. */
enum err walk_new(const struct walk_opts *opts, struct walk **ret, struct errctx *ctx) MUST_USE;
void walk_free(struct walk *walk); /* NULL is fine */

/* A block can be used again and again; it keeps its memory: up to 17 MB for entries of 64 KiB. */
enum err walk_block_new(struct walk_block **ret) MUST_USE;
void walk_block_free(struct walk_block *block); /* NULL is fine */
/* After it was taken: the size of its file of entries; memory of more than `keep` bytes is given
 * back. */
size_t walk_block_trim(struct walk_block *block, size_t keep);

/* Makes block the next one; false: that was the last, or the walk cannot go on. */
bool walk_next(struct walk *walk, struct walk_block *block);
/* Reads its entries and its tile. What goes wrong stays in the block, and walk_take says it. */
void walk_read(const struct walk *walk, struct walk_block *block);
/* Hashes it. Pure. */
void walk_hash(const struct walk *walk, struct walk_block *block);
/* Errors of the source ("could not look"), of opts.each, ERR_NOMEM. What is wrong with the log is
 * no error, but a finding. */
enum err walk_take(struct walk *walk, const struct walk_block *block, struct errctx *ctx) MUST_USE;
/* After the last block. Errors as of walk_take. */
enum err walk_end(struct walk *walk, struct walk_result *ret, struct errctx *ctx) MUST_USE;

/* All of it by this thread alone. */
enum err walk_run(
	const struct walk_opts *opts, struct walk_result *ret, struct errctx *ctx) MUST_USE;

/* One file of entries: the hashes of the first `count` of them (at most TILE_WIDTH) into
 * ret_leaves. *ret_count: how many there were, fewer when the file ends within one, or has an
 * empty one; *ret_rest: bytes behind them. */
void walk_leaves(struct bytes file, unsigned count, struct hash *ret_leaves, unsigned *ret_count,
	size_t *ret_rest);

#endif
