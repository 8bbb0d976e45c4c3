/*
 * The worker's side of an export: parts of a bundle, written while logs are read in short
 * transactions. Every part is a temporary file, "<to>.partial-N", until all of them are whole; then
 * their heads learn how many there are, and they get their names: <to>, or <to>-01-of-07 and so on.
 * Mode 0600, synced. What is not finished is removed.
 *
 * At most PART_BUFFER bytes of a part are in memory: a small one is written in one go with a head
 * of the right size, a large one behind a place that is kept for its head.
 */
#ifndef SERVER_BUNDLE_WRITE_H
#define SERVER_BUNDLE_WRITE_H

#include <limits.h>

#include "replication/bundle/frames.h"
#include "replication/bundle/manifest.h"
#include "server/store/store.h"

struct bundle_write_opts {
	const char *to;       /* absolute */
	const char *inside;   /* nothing is written below this directory: the node's own */
	uint64_t part_max;    /* bytes of one file; LIMIT_BUNDLE_PART_MIN to LIMIT_BUNDLE_PART */
	const char *boot;     /* file of the boot keys */
	const char *for_node; /* "" */
	uint64_t made_at;
	size_t log_count; /* how many logs may come */
	const bool *stop; /* set from another thread: ERR_CANCELED */
};
struct bundle_write;
/* ERR_EXISTS: one of the names is taken. Codes of node/files.h, ERR_LIMIT, ERR_INVALID. */
enum err bundle_write_new(const struct bundle_write_opts *opts, struct bundle_write **ret,
	struct errctx *ctx) MUST_USE;
void bundle_write_free(struct bundle_write *write);

struct bundle_write_log {
	struct origin origin;
	struct ed25519_public key;
	struct bytes note; /* of the checkpoint */
	uint64_t size;     /* .. and its size */
	uint64_t from;     /* entries before that are left out */
	const struct bundle_cosigned *cosigned;
	size_t cosigned_count;
};
/* Entries and cosignatures of one log. *done (atomic) counts entries. ERR_CORRUPT is the log's own:
 * what comes before stays in the bundle, and the next log may follow; *ret_bad is then the first
 * index that is not in. */
enum err bundle_write_log(struct bundle_write *write, struct store *store,
	const struct bundle_write_log *log, uint64_t *done, uint64_t *ret_bad,
	struct errctx *ctx) MUST_USE;

/* A message that proves itself, as the field of Frame with that number; or the end of mail. */
enum err bundle_write_message(struct bundle_write *write, unsigned field, struct bytes message,
	struct errctx *ctx) MUST_USE;
enum err bundle_write_mail_end(
	struct bundle_write *write, struct bytes end, struct errctx *ctx) MUST_USE;

struct bundle_written {
	uint32_t parts;
	uint64_t bytes;
};
/* Names everything. Nothing may be written afterwards. */
enum err bundle_write_finish(
	struct bundle_write *write, struct bundle_written *ret, struct errctx *ctx) MUST_USE;
/* The name of a part, from 1. */
enum err bundle_part_name(const char *to, uint32_t part, uint32_t parts, char ret[PATH_MAX],
	struct errctx *ctx) MUST_USE;

#endif
