/*
 * manifest: the file `BACKUP` of a backup directory (docs/FORMAT): what the backup holds, as text
 * that a person can read and a program reads strictly.
 *
 *	sauti-backup 1
 *	node haiti
 *	network ovra.example
 *	created 2026-11-26T14:00:00Z
 *	store-format 0
 *	commits 42
 *	file 311 <SHA-256 in hex> sauti.conf
 *	log 12 10 <root in base64> ovra.example/haiti/1-0123456789abcdef
 *	sha256 <SHA-256 in hex of everything before this line>
 *
 * A line for each of MANIFEST_FILES, in their order; one for each log, in the order of the origins:
 * its size, its newest checkpoint's size and root ("0 -" without one).
 *
 * It names no path: a backup has exactly these files, so nothing in it can point elsewhere. There
 * is one text for one content: what is parsed is written back byte for byte.
 *
 * Pure. The last line finds damage, not a forger: what a log says is proven by its signatures.
 */
#ifndef NODE_MANIFEST_H
#define NODE_MANIFEST_H

#include "base/buf.h"
#include "replication/log/checkpoint.h"

#define MANIFEST_NAME "BACKUP"
enum { MANIFEST_VERSION = 1, MANIFEST_TIME_SIZE = 21 };

enum manifest_file_id {
	MANIFEST_CONFIG,
	MANIFEST_CHAIN,
	MANIFEST_ROOT,
	MANIFEST_GENESIS,
	MANIFEST_STORE,
	MANIFEST_FILES,
};
/* Below the backup's directory, as below a node's: "certs/node.pem". */
const char *manifest_path(enum manifest_file_id id);
/* What such a file may have at most. */
uint64_t manifest_size_max(enum manifest_file_id id);

struct manifest_file {
	uint64_t size;
	struct hash sha256;
};

struct manifest_log {
	struct origin origin;
	uint64_t size;            /* entries */
	uint64_t checkpoint_size; /* of the newest signed checkpoint, <= size; 0: none */
	struct hash root;         /* at checkpoint_size; zero without one */
};

struct manifest {
	char node[LIMIT_NODE_NAME + 1];
	char network[LIMIT_NETWORK_NAME + 1];
	uint64_t created_s; /* since 1970, UTC */
	uint32_t store_format;
	uint64_t commits; /* of the store */
	struct manifest_file files[MANIFEST_FILES];
	struct manifest_log *logs; /* owned; sorted by origin, none twice */
	size_t log_count;
};
void manifest_release(struct manifest *manifest); /* NULL and zeroed ones are fine */

/* Brings the logs into their order. */
void manifest_sort(struct manifest *manifest);
/* Appends the text. ERR_INVALID for what manifest_parse would refuse; the error of out. */
enum err manifest_write(const struct manifest *manifest, struct buf *out) MUST_USE;
/* ERR_VERSION: of a newer Sauti. ERR_MALFORMED: no manifest, damaged, or not in the form above;
 * ERR_LIMIT, ERR_NOMEM. ctx says which line. */
enum err manifest_parse(struct bytes text, struct manifest *ret, struct errctx *ctx) MUST_USE;

/* "2026-11-26T14:00:00Z"; seconds before the year 10000. */
void manifest_time(uint64_t seconds, char ret[MANIFEST_TIME_SIZE]);

#endif
