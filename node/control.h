/*
 * control: a blocking client of sautid's control socket (proto/control.proto): one request at a
 * time, answered by one or more responses. For programs with nothing else to do meanwhile.
 *
 * ERR_UNREACHABLE: no daemon there. ERR_CLOSED: it went away in the middle. ERR_TIMEOUT: nothing
 * came for CONTROL_TIMEOUT_S. Whatever the daemon itself reports is returned as that code, its
 * message in ctx.
 *
 * Requests carry the token of the officer's session, which control_connect looks for in the file
 * beside the socket (node/session_file.h). A file that others can read is not used: what the daemon
 * then denies says so.
 */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include "base/bytes.h"
#include "base/err.h"
#include "proto/control.pb-c.h"

/* Between two responses: log verification and large imports think for long. */
enum { CONTROL_TIMEOUT_S = 600 };

struct control;

/* socket: the path. ERR_LIMIT when it is too long for a socket. */
enum err control_connect(const char *socket, struct control **ret, struct errctx *ctx) MUST_USE;
/* As control_connect, for programs that act for nobody: looks for no session's token, and waits
 * timeout_s between two pieces of an answer. */
enum err control_connect_public(
	const char *socket, unsigned timeout_s, struct control **ret, struct errctx *ctx) MUST_USE;
void control_close(struct control *control); /* NULL is fine; wipes what it buffered */

/* Sends one request. ERR_LIMIT over LIMIT_CONTROL_REQUEST. */
enum err control_send(
	struct control *control, const Sauti__ControlRequest *body, struct errctx *ctx) MUST_USE;

struct control_response {
	bool last;
	struct bytes json;  /* one document, or empty; valid until the next call on this control */
	uint32_t line;      /* with an error about a batch of lines: which, 1-based; else 0 */
	struct bytes token; /* of a new session, or empty; valid as json */
	struct bytes data;  /* the next bytes of a file; likewise */
};
/* The next response. An error of the daemon's is returned after *ret was filled in (with `line`);
 * it ends the request, as `last` does. */
enum err control_next(
	struct control *control, struct control_response *ret, struct errctx *ctx) MUST_USE;

/* send, then next until the last: each document is given to `each` (NULL: not wanted), whose first
 * error stops it and is returned; the connection is then of no more use. ret_line may be NULL. */
enum err control_call(struct control *control, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, struct bytes json, struct errctx *ctx), void *arg,
	uint32_t *ret_line, struct errctx *ctx) MUST_USE;

#endif
