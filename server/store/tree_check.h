/*
 * tree_check: the tree of one log recomputed from its entries, and compared with what is stored.
 * Under store_verify and fsck, each of which decides what a fault means.
 *
 * Entries are hashed once. Where entry and leaf hash differ, the check believes one of them: that
 * which fits the tile above, or else the signed root. So the root that comes out at the
 * checkpoint's size is the signed one whenever what is stored still determines it, and then each
 * fault says for certain what is damaged: the entry, or the tile.
 */
#ifndef SERVER_STORE_TREE_CHECK_H
#define SERVER_STORE_TREE_CHECK_H

#include "server/store/internal.h"

enum fault_kind {
	FAULT_ENTRY,         /* entry `index` does not match its leaf hash, which is believed */
	FAULT_ENTRY_MISSING, /* the same of one that is not there */
	FAULT_LEAF,          /* it does not match its leaf hash, and the entry is believed */
	FAULT_TILE,          /* hash `hash` of a tile above is not that of the tree under it */
	FAULT_TILE_MISSING,  /* `index`: of the first leaf under the tile, or under what it lacks */
	FAULT_TILE_WIDE,     /* it has hashes of entries that are not held */
	FAULT_STRAY,         /* entries behind the log's end */
	FAULT_STRAY_TILE,    /* tiles there */
	FAULT_SMALLER,       /* the log has become smaller meanwhile */
};

struct fault {
	enum fault_kind kind;
	uint64_t index; /* the first that cannot be trusted */
	struct tile_id tile;
	unsigned hash;
	const struct hash *expected; /* of an entry; NULL: nobody knows it */
};
/* For people: "entry 7 does not match hash 7 of tile 0/0". */
const char *fault_text(const struct fault *fault, char *text, size_t size);
/* Faults of tiles and strays are of derived data: the entries are not to blame. */
bool fault_is_derived(enum fault_kind kind);

struct tree_check {
	/* The caller's. An error of `fault` ends the check; stop, entry and
	 * progress may be NULL. */
	struct store *store;
	struct origin origin;
	const bool *stop; /* polled: ERR_CANCELED */
	bool two_threads; /* hashes with a second one */
	enum err (*fault)(void *arg, const struct fault *fault);
	void *arg;
	void (*entry)(
		void *arg, uint64_t index, struct bytes entry); /* each as it stands; or NULL */
	void (*progress)(void *arg, uint64_t entries, uint64_t bytes);
	void *progress_arg;

	/* The results. */
	uint32_t log;
	uint64_t size; /* as held at the start */
	struct hash root;
	struct buf note;    /* the stored checkpoint; empty: none. The caller releases it */
	bool note_readable; /* it is, and this log's own: the next four are set */
	bool note_covered;  /* as many entries are held */
	bool note_fits;     /* the recomputed root is the note's */
	struct checkpoint checkpoint;
	struct hash checkpoint_root; /* recomputed */
};
/* Faults do not make it fail. ERR_NOTFOUND, ERR_CANCELED, ERR_NOMEM, an error of `fault`, of LMDB,
 * or ERR_CORRUPT for a head that cannot be read. */
enum err tree_check_run(struct tree_check *check, struct errctx *ctx) MUST_USE;

#endif
