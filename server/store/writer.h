/*
 * writer: the one thread that owns LMDB write transactions. Group commit: it takes everything that
 * is queued (to a cap), writes entries, tiles, heads and cosignatures in one transaction, commits
 * with a sync, has the guard follow (synced too), and only then reports each write back. Idle, it
 * commits the first write at once. No commit starts before the guard of the one before is on the
 * disk; when the guard cannot be written, everything from then on fails: only a new start finds out
 * what the disk has. With it runs the indexer, which is woken by commits (indexer.h).
 *
 * A write that heals puts one entry in the place of a damaged one (store_damage_heal), and fails
 * alone as that does.
 *
 * The reserve (store.h): entries of another node's log are refused with ERR_FULL while less room
 * than that is left; the node's own log, the directory and everything without entries in the same
 * group are written. Room is looked at once per group.
 *
 * The condition of the disk (condition.h) is what the last commits say of it. While something is
 * the matter that may pass by itself, the thread tries again every WRITER_PROBE_MS when nobody
 * writes, with an empty commit.
 *
 * submit may be called from any thread; done writes are collected by the loop thread: `wake` is
 * called from the writer thread after each commit (uv_async_send), then writer_done drains.
 */
#ifndef SERVER_STORE_WRITER_H
#define SERVER_STORE_WRITER_H

#include "server/store/condition.h"
#include "server/store/guard.h"
#include "server/store/store.h"

struct writer;
enum { WRITER_PROBE_MS = 5000 };

struct writer_opts {
	struct store *store; /* borrowed */
	struct guard *guard; /* borrowed; NULL: none, for logs that nobody signs here */
	void (*wake)(void *arg);
	void *wake_arg;
};
enum err writer_start(
	const struct writer_opts *opts, struct writer **ret, struct errctx *ctx) MUST_USE;
/* Takes the write. Never blocks; the caller bounds what it submits. */
void writer_submit(struct writer *writer, struct store_write *write);
/* All writes finished since the last call, in order, linked by next, result set; NULL: none. The
 * caller frees them. When a commit fails every write in it has the error (first of them explained
 * in ctx), and none happened. A write whose `first` is not the log's size fails alone, with
 * ERR_INVALID. */
struct store_write *writer_done(struct writer *writer, struct errctx *ctx);
/* The store has what its guard remembers of more commits than it counts (GUARD_ROLLED): its number
 * goes on behind the guard's with the next commit. Any thread. */
void writer_caught_up(struct writer *writer);
/* This node's witness key may have signed more than the store remembers: that is noted with each
 * commit from here on. Any thread. */
void writer_witness_lost(struct writer *writer, const struct ed25519_public *key);
/* OK, or why the indexer's last pass did not go through; it is tried again. From the loop thread.
 */
enum err writer_index_failure(struct writer *writer, struct errctx *ctx);
/* What is the matter with the disk, as the last commits and probes found it. `wake` is called after
 * each change. */
void writer_condition(struct writer *writer, struct condition *ret);
/* Somebody else met an error on this disk: look now. */
void writer_probe(struct writer *writer);
/* Finishes what is queued, joins the thread; then writer_done still gives the rest. */
void writer_stop(struct writer *writer);
void writer_free(struct writer *writer); /* after stop; NULL is fine */

#endif
