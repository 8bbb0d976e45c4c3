/*
 * The runtime from inside: what its files offer each other. See runtime.h.
 *
 *   runtime.c   life of the process: handles, steps of the engine, running, stopping
 *   boot.c      opening everything, in order
 *   effects.c   carrying the engine's effects out
 *   sessions.c  connections become sessions of the engine; who is let in
 *   officers.c  who is logged in
 *   own_log.c   appending, unlocking, locking
 *   epoch.c     what the guard found, and what follows from it
 */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include "server/meter.h"
#include "server/runtime.h"

/* A configured peer, or one that said where it can be reached. */
struct peer_state {
	char name[LIMIT_NODE_NAME + 1];
	const char *address; /* of the configuration; "" */
	size_t turn;         /* which address is next: the configured one first */
	const char *proxy;   /* to dial through; "": none */
	char error[200];     /* of the last dial; "" */
};
struct peer_state *peer_state(const struct runtime *rt, const char *name); /* NULL: none */
/* Finds or makes; NULL: there are too many. */
struct peer_state *peer_state_add(struct runtime *rt, const char *name);
/* The one to dial next; "": none. */
const char *peer_address(const struct runtime *rt, const struct peer_state *peer);

/* Since the start, also of a peer that has gone. At most LIMIT_PEERS. */
struct peer_meter {
	char name[LIMIT_NODE_NAME + 1];
	struct meter meter;
	uint64_t session; /* that it measures now */
	struct peer_meter *next;
};
const struct peer_meter *peer_meter(const struct runtime *rt, const char *name); /* NULL: none */
/* Counts what went over the session's connection until now. */
void session_measure(struct runtime *rt, struct session_data *session);

/* One session: an engine's session id on a connection. */
struct session_data {
	struct session_id id;
	struct conn *conn;
	struct peer_meter *meter; /* NULL: no room for one more */
	struct session_data *next;
};
struct session_data *session_data(const struct runtime *rt, struct session_id id);

/* boot.c: opens what is not opened yet; on failure runtime_free releases what was. */
enum err boot(struct runtime *rt, const char *config_file, struct errctx *ctx) MUST_USE;

/* effects.c */
void effect_perform(struct runtime *rt, struct effect *effect);

/* runtime.c: an event that came up during a step, to be stepped after it. What it points to must
 * last until then; a cosignature's line is an offset into rt->pending_line. */
void runtime_later(struct runtime *rt, const struct event *event);
/* An alarm: stored data is damaged, and what to run. */
void runtime_damage(struct runtime *rt, const struct errctx *ctx);
void runtime_out_of_memory(void) __attribute__((noreturn));
void runtime_wake(void *async); /* any thread */

/* epoch.c */
/* What status and the log say when the witness key is used no more. */
extern const char witness_lost_text[];
void runtime_forked(struct runtime *rt, const struct effect *effect);
/* Entries of an older epoch of this node, which the vault does not know yet. */
void runtime_entries_returned(struct runtime *rt, const struct store_write *write);
void runtime_guard_tidy(struct runtime *rt);    /* every minute */
void runtime_guard_written(struct runtime *rt); /* after each drain of the writer */
void runtime_reseal(struct runtime *rt);

/* officers.c */
enum err officers_boot(struct runtime *rt) MUST_USE;
uint64_t officers_now_ms(void); /* of the clock of officers/sessions.h */
/* A session begins. Errors of sessions_begin. */
enum err officers_begin(struct runtime *rt, const char *name, uint32_t roles,
	uint8_t ret_token[SESSION_TOKEN_SIZE]) MUST_USE;

/* sessions.c */
extern const struct net_events session_events;
enum err session_judge(
	void *runtime, const struct certificate_info *peer, bool expired, struct errctx *ctx);

#endif
