/*
 * sessions: who is logged in over the control socket. A session begins with an unlock, and is known
 * by a random token that the client sends with every request (ControlRequest.token); here only its
 * hash is kept. It ends with logout, lock, the disabling of its officer, when it was not used for
 * the idle limit, and at the absolute limit however much it is used.
 *
 * In a control function the officer of its request is control_officer(request)
 * (server/control/control.h); the vault gets name and roles in struct vault_request.
 *
 * Times are milliseconds of a clock that never steps and goes on while the machine is suspended. Of
 * the loop's thread; touches no clock itself.
 */
#ifndef SERVER_OFFICERS_SESSIONS_H
#define SERVER_OFFICERS_SESSIONS_H

#include "certs/account.h"

enum { SESSION_TOKEN_SIZE = 32 };

struct officer_session {
	char name[LIMIT_OFFICER_NAME + 1];
	uint32_t roles;             /* enum account_role */
	uint64_t since_ms, used_ms; /* of the clock above */
	uint64_t since_s;           /* wall clock, to be shown */
};

struct sessions_opts {
	uint64_t idle_ms, absolute_ms;
	/* The last session ended, and not by sessions_end_all. May lock the node. NULL: not wanted.
	 */
	void (*last_ended)(void *arg);
	void *arg;
};

struct sessions;
enum err sessions_new(const struct sessions_opts *opts, struct sessions **ret) MUST_USE;
void sessions_free(struct sessions *sessions); /* NULL is fine */

/* Of one officer at most LIMIT_OFFICER_SESSIONS: the one that was not used for longest gives way.
 * ERR_CRYPTO: no randomness. */
enum err sessions_begin(struct sessions *sessions, const char *name, uint32_t roles,
	uint64_t now_ms, uint64_t wall_s, uint8_t ret_token[SESSION_TOKEN_SIZE]) MUST_USE;
/* The session of a token; NULL: none, or it is over. Valid until the next call. `use`: it is not
 * idle by that. All are compared, in constant time each. */
const struct officer_session *sessions_find(
	struct sessions *sessions, struct bytes token, uint64_t now_ms, bool use);
void sessions_end(struct sessions *sessions, struct bytes token);
void sessions_end_officer(struct sessions *sessions, const char *name);
void sessions_end_all(struct sessions *sessions); /* NULL is fine */
/* Ends what is over. Returns the milliseconds until the next may be; 0: none is left. */
uint64_t sessions_expire(struct sessions *sessions, uint64_t now_ms);
/* The n-th, in no order; NULL: no more. */
const struct officer_session *sessions_at(const struct sessions *sessions, size_t n);

#endif
