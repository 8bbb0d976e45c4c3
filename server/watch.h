/*
 * watch: a piece of work in a child process, for what may end its process or never end: LMDB on a
 * damaged file. The child says what it is doing in memory that both share; the parent tells how it
 * ended.
 *
 * watch_run is called before any thread is started and anything is opened: the child is a fork.
 */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include <stdint.h>

#include "base/err.h"

enum { WATCH_TEXT = 512 };

struct watch;                                            /* shared memory; the child's calls */
void watch_doing(struct watch *watch, const char *what); /* cut at WATCH_TEXT */
/* A sign of life. */
void watch_alive(struct watch *watch);

enum watch_how { WATCH_EXITED, WATCH_SIGNAL, WATCH_STUCK };
struct watch_end {
	enum watch_how how;
	int status; /* exit status, or the signal's number */
	char doing[WATCH_TEXT];
};
/* Runs `child` and exits with what it returns. After `patience_ms` without a sign of life it is
 * killed: WATCH_STUCK. The child ends with its parent. ERR_NOMEM, ERR_IO: it could not be started.
 */
enum err watch_run(int (*child)(void *arg, struct watch *watch), void *arg, uint64_t patience_ms,
	struct watch_end *ret, struct errctx *ctx) MUST_USE;

#endif
