/*
 * control: the Unix socket over which people and programs on this machine speak to the node
 * (proto/control.proto). The socket file has mode 0600, and the peer's credentials are checked:
 * the user the node runs as, or root. One request at a time per connection, answered by one or more
 * responses. A client that goes away in the middle loses its answer, nothing else.
 *
 * A second one like it, the public socket, has mode 0660 and a group: on it only what is public may
 * be asked (permissions.h), in nobody's name, and it goes on while the node is locked. Nothing that
 * is secret ever goes over it, so that a lock closes no connection of it. A connection that stalls
 * for LIMIT_PUBLIC_STALL_MS with half a request or an answer that it does not take is closed.
 */
#ifndef SERVER_CONTROL_CONTROL_H
#define SERVER_CONTROL_CONTROL_H

#include "proto/control.pb-c.h"
#include "server/runtime.h"

struct control_server;

struct control_opts {
	const char *path;
	bool public;
	const char *group; /* of the public one; NULL or "": the process's own */
};
/* A leftover socket of a dead daemon is replaced; a live one cannot be (the store's lock). The
 * directory of the control socket is made when missing, that of the public one must be there. */
enum err control_server_new(struct runtime *rt, const struct control_opts *opts,
	struct control_server **ret, struct errctx *ctx) MUST_USE;
void control_server_close(struct control_server *server, void (*closed)(void *arg), void *arg);
void control_server_free(struct control_server *server);

/* A request of a client, from its arrival until its last response. requests.c and join.c keep it as
 * long as they need; it outlives the client. */
struct control_request;
struct runtime *control_runtime(const struct control_request *request);
struct runtime *control_server_runtime(struct control_server *server);
/* The officer whose session the request came with, as it was then; NULL: without one. */
const struct officer_session *control_officer(const struct control_request *request);
/* It came over the public socket. */
bool control_is_public(const struct control_request *request);
/* A number of the client's connection. When it ends, so do the trials of that number in the vault.
 */
uint64_t control_trial(struct control_request *request);
/* The request holds plaintext as a file until its last response, as at most LIMIT_EXPORTS do at a
 * time; false: so many do already. */
bool control_export_begin(struct control_request *request);
/* One response more; json may be NULL. The last one frees the request. */
void control_item(struct control_request *request, struct bytes json);
/* The next bytes of a file: at most LIMIT_CONTROL_RESPONSE - 1024. */
void control_data(struct control_request *request, struct bytes data);
/* Calls back once what was said to the client is written, or the client has gone. To be called when
 * something was said; until then nothing else may be. */
void control_sent(struct control_request *request, void (*sent)(void *arg, bool gone), void *arg);
/* Calls back when the client has gone, instead of control_sent's; the request is still to be ended.
 * gone NULL: no more. */
void control_gone(struct control_request *request, void (*gone)(void *arg), void *arg);
void control_end(struct control_request *request, struct bytes json);
/* Whatever the last response will be, this token goes along: a session began. */
void control_give_token(struct control_request *request, const uint8_t token[SESSION_TOKEN_SIZE]);
void control_fail(
	struct control_request *request, enum err error, uint32_t line, const char *message);

/* requests.c: begins one; what it borrows is gone when it returns. */
void control_begin(struct control_request *request, const Sauti__ControlRequest *message);

/* witness.c: the engine's answer to somebody who waits; the node stops. */
void control_witnessed(struct runtime *rt, const struct effect *effect);
void control_witness_stop(struct runtime *rt);

/* Is it to lock the node? */
bool control_locks(const Sauti__ControlRequest *message);
/* Does it keep the node from locking itself for idleness? */
bool control_counts_as_use(const Sauti__ControlRequest *message);

/* The node is being locked: closes the connections that a plaintext may be on its way over, half a
 * request or an answer that is not taken; or all. Not that of `keep` (NULL: none), unless it has
 * not taken its answers. */
void control_server_shed(
	struct control_server *server, const struct control_request *keep, bool all);

/* queries.c: how far the quorum holds each log of this node, into the request. ERR_NOMEM. */
enum err control_held(const struct runtime *rt, struct vault_request *ask) MUST_USE;
/* The vault has finished a request of control's. drop: at the end, nobody is left to be told. */
void control_vault_done(struct control_server *server, struct vault_request *done);
/* A task of the mail store that a client waits for (task->arg). */
struct mail_task;
void control_mail_done(struct runtime *rt, struct mail_task *task);
void control_vault_drop(struct vault_request *done);

#endif
