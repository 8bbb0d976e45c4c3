/*
 * http: libmicrohttpd, and what it does not do by itself: every request goes through request_judge
 * before a byte of its body is read, is answered by a worker (pool.h), and has a moment at which
 * each of its stages must be over (clients.h).
 *
 * One thread of libmicrohttpd serves all connections; workers resume those that they have answers
 * for. http_tick is called about twice a second by the program's own thread.
 */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include "web/counters.h"
#include "web/settings.h"

struct http;

/* Takes listen_fd in any case. settings: borrowed. */
enum err http_start(const struct settings *settings, int listen_fd, struct http **ret,
	struct errctx *ctx) MUST_USE;
void http_tick(struct http *http);
/* Takes no new connection, answers what was asked, for some seconds at most, and ends. */
void http_stop(struct http *http);

#endif
