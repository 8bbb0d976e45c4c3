/*
 * writer: the one thread that owns LMDB write transactions. Group commit: it takes everything that
 * is queued (to a cap), writes entries, tiles, heads and cosignatures in one transaction, commits
 * with a sync, and reports each write back. Idle, it commits the first write at once. With it runs
 * the indexer, which is woken by commits (indexer.h).
 *
 * submit may be called from any thread; done writes are collected by the loop thread: `wake` is
 * called from the writer thread after each commit (uv_async_send), then writer_done drains.
 */
#ifndef SERVER_STORE_WRITER_H
#define SERVER_STORE_WRITER_H

#include "server/store/store.h"

struct writer;

enum err writer_start(struct store *store, void (*wake)(void *arg), void *arg, struct writer **ret,
	struct errctx *ctx) MUST_USE;
/* Takes the write. Never blocks; the caller bounds what it submits. */
void writer_submit(struct writer *writer, struct store_write *write);
/* All writes finished since the last call, in order, linked by next, result set; NULL: none. The
 * caller frees them. When a commit fails every write in it has the error (first of them explained
 * in ctx), and none happened. A write whose `first` is not the log's size fails alone, with
 * ERR_INVALID. */
struct store_write *writer_done(struct writer *writer, struct errctx *ctx);
/* OK, or why the indexer's last pass did not go through; it is tried again. From the loop thread.
 */
enum err writer_index_failure(struct writer *writer, struct errctx *ctx);
/* Finishes what is queued, joins the thread; then writer_done still gives the rest. */
void writer_stop(struct writer *writer);
void writer_free(struct writer *writer); /* after stop; NULL is fine */

#endif
