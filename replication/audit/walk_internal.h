/* walk_internal: what walk.c (computing and comparing) and walk_find.c (who is to blame) share. */
#ifndef REPLICATION_AUDIT_WALK_INTERNAL_H
#define REPLICATION_AUDIT_WALK_INTERNAL_H

#include "replication/audit/walk.h"
#include "replication/log/tlog_path.h"

/* Tiles that are told of one by one; more are counted. */
enum { WALK_ODD_MAX = 16, WALK_PROOFS = FINDING_PROOFS - 1 };

struct walk_block {
	uint64_t first; /* index of its first entry */
	unsigned width; /* entries at this size */
	unsigned skip;  /* .. of which the last visit has seen so many */
	unsigned lack;  /* .. which the file begins behind, at most skip */
	bool wider;     /* a full file was read in place of a partial one */
	enum err entries_err, tile_err;
	struct errctx entries_ctx, tile_ctx;
	struct buf entries, tile;
	unsigned count; /* entries that are there, at most width */
	size_t rest;    /* bytes behind them */
	struct hash leaf[TILE_WIDTH];
	struct hash root; /* of a full block */
};

/* The tile that is being filled. */
struct walk_level {
	uint64_t index;
	unsigned width;
	bool blind; /* some of its hashes are not known: it cannot be compared */
	struct hash hash[TILE_WIDTH];
};

enum walk_odd_kind {
	WALK_ODD_HASHES,  /* other hashes than the entries make, the first at `at` */
	WALK_ODD_MISSING, /* not there */
	WALK_ODD_SHAPE,   /* of another length, or no file */
	WALK_ODD_OLD,     /* its old part is not under the remembered peaks */
};
struct walk_odd {
	enum walk_odd_kind kind;
	struct tlog_file file;
	unsigned at;
	uint64_t index; /* of the first entry below */
	struct buf tile, computed;
};

struct walk {
	struct walk_opts opts;
	struct walk_result result;
	struct compact tree;
	uint64_t next;    /* entry of the next block */
	uint64_t starts;  /* the first entry that the source has */
	bool stopped;     /* a file of entries is missing or cut */
	bool unsound;     /* a violation was told */
	bool old_differs; /* the block in which the last visit ended does not make its peaks */
	struct buf tile;
	struct walk_level levels[TILE_LEVELS]; /* [0] is not used: blocks are compared whole */
	size_t odd_count;
	uint64_t odd_total;
	struct walk_odd odd[WALK_ODD_MAX];
};

/* One file of the log; a partial one that is not there is taken from the full one (*ret_wider). */
enum err walk_file(const struct walk *walk, const struct tlog_file *file, struct buf *out,
	bool *ret_wider, struct errctx *ctx) MUST_USE;
/* The root of a full tile. */
void walk_reduce(const struct hash hashes[TILE_WIDTH], struct hash *ret);

/* Adds a finding about this log; proofs without bytes are left out, the checkpoint is added. */
struct walk_tell {
	enum finding_kind kind;
	bool has_index;
	uint64_t index;
	struct finding_proof proofs[WALK_PROOFS];
};
enum err walk_tell(struct walk *walk, const struct walk_tell *tell, const char *format,
	...) MUST_USE __attribute__((format(printf, 3, 4)));
void walk_bad(struct walk *walk, uint64_t index);

/* walk_find.c. All entries are hashed, or the walk was stopped: what differs is told of, and when
 * the root is another than the signed one, the first bad entry is looked for. */
enum err walk_judge(struct walk *walk, bool root_ok) MUST_USE;

#endif
