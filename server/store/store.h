/*
 * store: the node's logs in one LMDB environment (DESIGN 12).
 *
 *   meta          "format" -> u32be 1, "network", "node", "commits" -> u64be (commit number);
 *                 "guarded": it has been under a guard; "backup": in a backup, and in what was
 *                 restored from one (copy.h); "witness lost" -> the public key that may have signed
 *                 more than `seen` says; "migrating": migrate.h
 *   logs          origin -> log number u32be
 *   heads         log u32be -> size u64be, and the newest signed checkpoint
 *   entries       {log u32be, index u64be} -> entry bytes, appended in order
 *   tiles         {log u32be, level u8, index u64be} -> up to 256 hashes
 *   cosignatures  {log u32be, mirror node name, or "witness/" and it} -> size u64be, root, line
 *   locators      {log u32be} -> how far the index of sealed entries by locator is, and
 *                 {log u32be, level u8, run u64be, item} -> items of a run (runs.h)
 *   invites       name -> Invite (headquarters)
 *   evidence      id -> Evidence (replication/log/evidence.h); never deleted
 *   disputes      SHA-256 of the body -> the signed record; never deleted
 *   pins          log u32be -> the signed note that entries behind the checkpoint were proven
 *                 against
 *   seen          log u32be -> time u64be, the signed note that the witness key was put to last
 *   damage        {log u32be, index u64be} -> count, expected leaf hash: entries to be fetched
 *                 again
 *
 * Rows that nothing else vouches for carry a check (checked.h): all but those of entries, tiles and
 * locators, and "format".
 *
 * Big sparse map, MDB_NOTLS, no WRITEMAP, NOSYNC or DUPSORT. Reads may come from any thread: each
 * call is one short read transaction, everything is copied out. Writes go through writer.h alone.
 * The directory is locked (flock) as long as it is open: a second daemon gets ERR_BUSY.
 *
 * ERR_IO "stopped after a head could not be written": whether that commit happened shows only
 * when the store is closed and opened again.
 */
#ifndef SERVER_STORE_STORE_H
#define SERVER_STORE_STORE_H

#include "replication/engine/store.h"
#include "server/store/migrate.h"

struct store;

struct store_opts {
	const char *path;    /* directory; made with mode 0700 when missing */
	const char *network; /* must be those it was made with: ERR_INVALID otherwise */
	const char *node;
	size_t map_size; /* bytes; 0: 64 GiB, sparse */
	bool read_only;  /* for one that nobody writes, as a backup's: nothing is made or changed;
			    then no writer may be started */
	/* Bytes of the disk and of the map that other nodes' entries leave for this node's own work
	 * and the directory (writer.h). */
	uint64_t reserve;
	struct migrate_watch watch;
};
/* ERR_BUSY: another process has it. ERR_VERSION: made by a newer Sauti; nothing was changed.
 * ERR_CORRUPT, ERR_IO, ERR_DENIED, ERR_FULL, each naming the path. Stale readers are cleared. A
 * store of an older format is brought up to date first (migrate.h); when that fails the next
 * opening goes on with it. */
enum err store_open(const struct store_opts *opts, struct store **ret, struct errctx *ctx) MUST_USE;
void store_close(struct store *store); /* after its writer has stopped; NULL is fine */

/* Every log, in the order of their numbers. The caller releases each and mem_free()s the array. */
enum err store_heads(
	struct store *store, struct log_head **ret, size_t *ret_count, struct errctx *ctx) MUST_USE;
enum err store_head(struct store *store, const struct origin *origin, struct log_head *ret,
	struct errctx *ctx) MUST_USE; /* ERR_NOTFOUND */

enum err store_read_batch(struct store *store, const struct store_read *read,
	struct store_batch *ret, struct errctx *ctx) MUST_USE;
/* Appends the entry's bytes to out. ERR_NOTFOUND. */
enum err store_entry(struct store *store, const struct origin *origin, uint64_t index,
	struct buf *out, struct errctx *ctx) MUST_USE;
/* The indices of entries with that locator, oldest first, at most `max`; *ret_count may be 0. The
 * index knows 8 bytes of 16: of entries that share these, the oldest STORE_LOCATE_SCAN are looked
 * at (only an author who knows the locator can make more than a few). ERR_NOTFOUND: no such log.
 * The index is made by a thread of its own some time after the commit (indexer.h); entries behind
 * its end are found too. When there are too many of these to look through (after an upgrade or a
 * repair) the call makes the index first, and fails as that does. */
enum { STORE_LOCATE_SCAN = 4096 };
enum err store_locate(struct store *store, const struct origin *origin, const uint8_t locator[16],
	uint64_t *ret, size_t max, size_t *ret_count, struct errctx *ctx) MUST_USE;
/* The first eight bytes of the locators of a log's entries, for those that have one, in the order
 * of the log: of at most `max` entries from `first` on, in one read transaction. *ret_next: the
 * first entry not looked at; the log's size at its end. ERR_NOTFOUND; ERR_CORRUPT when an entry is
 * missing; an error of `found`, which may not touch the store. */
struct store_prefixes {
	uint64_t first, max;
	enum err (*found)(void *arg, uint64_t prefix, uint64_t index);
	void *arg;
};
enum err store_prefixes(struct store *store, const struct origin *origin,
	const struct store_prefixes *read, uint64_t *ret_next, struct errctx *ctx) MUST_USE;

/* How many entries a log has and, when it has at least `size` (>= 1), its root at that size, from
 * tiles. ERR_NOTFOUND; ERR_CORRUPT when tiles are missing. */
enum err store_root(struct store *store, const struct origin *origin, uint64_t size,
	uint64_t *ret_size, struct hash *ret_root, struct errctx *ctx) MUST_USE;

/* The inclusion proof of an entry in the tree of `size` entries, and that tree's root, from tiles.
 * ERR_NOTFOUND: no such log, or it has no such entry; ERR_INVALID unless index < size. */
struct store_included {
	uint64_t index, size;
};
enum err store_inclusion(struct store *store, const struct origin *origin,
	const struct store_included *at, struct proof *ret, struct hash *ret_root,
	struct errctx *ctx) MUST_USE;

/* What the store says of its own life. */
enum { STORE_MARK_MAX = 128 };
struct store_marks {
	uint64_t commits; /* commit number: one more with each commit of the writer */
	bool guarded;     /* it has been under a guard (guard.h) */
	char backup[STORE_MARK_MAX + 1]; /* "": not a restored backup; else which, in words */
	/* Witness keys that may have signed more than is remembered: `lost` alone, whichever it is
	 * now; or one. */
	bool witness_lost, witness_named;
	struct ed25519_public witness;
};
enum err store_marks(struct store *store, struct store_marks *ret, struct errctx *ctx) MUST_USE;

/* Re-hashes every entry from the disk, recomputes every tile from that and compares it with the
 * stored one, and the root with the checkpoint's (its signature is the caller's business). Reads in
 * slices of at most 1024 entries: no long transaction; what is appended meanwhile is left out.
 * `stop` is polled, set it with an atomic store (NULL: never): ERR_CANCELED.
 *
 * ERR_CORRUPT: the walk stops at the first entry or hash that is wrong; then `size` and
 * `bad_index` of ret are set, the rest is zero. bad_index is the first index that cannot be
 * trusted: of the entry that does not match its leaf hash or is missing; of the first leaf under a
 * wrong hash of an upper tile; 0 when all is consistent with itself but not with the
 * checkpoint. */
struct store_verify {
	uint64_t size, bad_index;
	struct hash root;            /* of all entries held */
	struct buf checkpoint;       /* the stored note; release it */
	struct hash checkpoint_root; /* recomputed at the checkpoint's size */
};
enum err store_verify(struct store *store, const struct origin *origin, const bool *stop,
	struct store_verify *ret, struct errctx *ctx) MUST_USE;

/* Entries that `sautid --fsck --repair` found damaged and marked: they are not given out (an entry,
 * a batch that begins there: ERR_CORRUPT with the index) until they are healed. The list is in the
 * order of origins and indices; the caller mem_free()s it. */
struct store_damage {
	struct origin origin;
	uint64_t index, count;
	bool known; /* what should stand there: count is 1. Otherwise all from `index` is in doubt
		     */
	struct hash expected; /* its leaf hash */
};
enum err store_damage_list(struct store *store, struct store_damage **ret, size_t *ret_count,
	struct errctx *ctx) MUST_USE;
/* ERR_CORRUPT, naming the first, when the log has marked entries. Such a log is not cosigned: a
 * mirror says that it durably holds all of it. */
enum err store_damage_look(
	struct store *store, const struct origin *origin, struct errctx *ctx) MUST_USE;
/* Puts the entry back and clears its mark, when its leaf hash is the expected one: ERR_PROOF
 * otherwise, ERR_NOTFOUND when it is not marked, ERR_UNSUPPORTED when nobody knows its hash. Its
 * own synced transaction, as invites. */
enum err store_damage_heal(struct store *store, const struct origin *origin, uint64_t index,
	struct bytes entry, struct errctx *ctx) MUST_USE;

/* Evidence of forks, in the order of ids; a row that is damaged is left out and counted. The caller
 * calls store_evidence_free. */
struct store_evidence {
	struct hash id;
	struct buf message;
};
enum err store_evidence_list(struct store *store, struct store_evidence **ret, size_t *ret_count,
	size_t *ret_damaged, struct errctx *ctx) MUST_USE;
void store_evidence_free(struct store_evidence *list, size_t count);

/* Disputes, in the order of ids, each given to `each` inside one read transaction; its first error
 * ends it. A damaged row is left out and counted. */
enum err store_disputes(struct store *store, enum err (*each)(void *arg, struct bytes record),
	void *arg, size_t *ret_damaged, struct errctx *ctx) MUST_USE;

/* Invites. ERR_NOTFOUND; the value is appended to out. put is its own synced transaction and does
 * not count as a commit: call it from a worker thread, not from the loop. An empty value deletes.
 * ERR_INVALID for a name that is empty or over LIMIT_NODE_NAME, ERR_LIMIT past LIMIT_INVITES. */
enum err store_invite_get(
	struct store *store, const char *name, struct buf *out, struct errctx *ctx) MUST_USE;
enum err store_invite_put(
	struct store *store, const char *name, struct bytes value, struct errctx *ctx) MUST_USE;

/* Clears readers that died; call every minute. */
void store_tidy(struct store *store);

struct store_usage {
	uint64_t file_bytes, used_bytes, commits, invites;
	uint32_t format;
};
enum err store_usage(struct store *store, struct store_usage *ret) MUST_USE;

#endif
