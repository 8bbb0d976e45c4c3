#include "server/store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/store/internal.h"

enum { PIECE_SIZE = 256 * 1024 };

static const char mark_key[] = "backup";

struct copier {
	struct env *env;
	int fd; /* the pipe's end to write to */
	enum err err;
	struct errctx ctx;
};

/* Ends when all is written, or when nobody reads any more. */
static void *copier_main(void *arg)
{
	struct copier *copier = arg;
	sigset_t pipe_signal;

	/* A sink that fails closes the pipe: that is an error here, not the end of the process.
	 * LMDB's own thread inherits this. */
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	copier->err = env_copy(copier->env, copier->fd, &copier->ctx);
	close(copier->fd);
	return NULL;
}

static enum err pipe_drain(int fd, uint8_t *piece, store_sink sink, void *arg, struct errctx *ctx)
{
	for (;;) {
		ssize_t n = read(fd, piece, PIECE_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(ctx, ERR_IO, "read the copy: %s", strerror(errno));
		if (n == 0)
			return OK;
		TRY(sink(arg, bytes_make(piece, (size_t)n), ctx));
	}
}

enum err store_copy(struct store *store, store_sink sink, void *arg, struct errctx *ctx)
{
	CLEANUP(mem_free_p) uint8_t *piece = mem_alloc(PIECE_SIZE);
	struct copier copier = {.env = store->env};
	pthread_t thread;
	int ends[2], rc;
	enum err err;

	if (piece == NULL)
		return ERR_NOMEM;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set(ctx, ERR_IO, "make a pipe: %s", strerror(errno));
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIECE_SIZE); /* faster; not needed */
	copier.fd = ends[1];
	rc = pthread_create(&thread, NULL, copier_main, &copier);
	if (rc != 0) {
		close(ends[0]);
		close(ends[1]);
		return err_set(ctx, ERR_NOMEM, "start a thread: %s", strerror(rc));
	}
	err = pipe_drain(ends[0], piece, sink, arg, ctx);
	close(ends[0]);
	pthread_join(thread, NULL);
	if (err != OK)
		return err;
	if (copier.err == OK)
		return OK;
	if (ctx != NULL)
		*ctx = copier.ctx;
	return err_wrap(ctx, copier.err, "store '%s'", env_path(store->env));
}

enum err store_backup_mark(
	struct store *store, const char *text, uint64_t *ret_dropped, struct errctx *ctx)
{
	uint64_t dropped;
	struct txn txn;

	if (text[0] == '\0' || strlen(text) > STORE_MARK_MAX)
		return err_set(ctx, ERR_INVALID, "a mark of %zu bytes", strlen(text));
	txn_begin(&txn, store->env, TXN_WRITE);
	dropped = txn_count(&txn, DB_INVITES);
	if (dropped > 0)
		txn_clear(&txn, DB_INVITES);
	checked_put(&txn, DB_META, bytes_str(mark_key), bytes_str(text));
	TRY(txn_finish(&txn, ctx));
	*ret_dropped = dropped;
	return OK;
}

enum err store_backup_text(struct store *store, struct buf *out, struct errctx *ctx)
{
	struct bytes value;
	struct txn txn;
	enum err err;

	txn_begin(&txn, store->env, TXN_READ);
	err = checked_get(&txn, DB_META, bytes_str(mark_key), &value);
	if (err == ERR_NOTFOUND)
		txn_fail(&txn, ERR_NOTFOUND, "the store is not marked as a backup");
	else if (err != OK)
		txn_fail(&txn, err, "its mark as a backup is damaged");
	else if (value.size > STORE_MARK_MAX)
		txn_fail(&txn, ERR_CORRUPT, "its mark as a backup is too long");
	else
		buf_put(out, value);
	if (out->err != OK)
		txn_fail(&txn, out->err, "the mark: %s", err_text(out->err));
	return txn_finish(&txn, ctx);
}
