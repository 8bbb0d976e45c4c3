/*
 * record: events of cases that something on the loop has recorded in the name of an officer, and
 * that something else waits for: a packet leaves when its EXTERNAL_PACKET is durable, not before.
 * What an officer records herself comes by the control socket (control/cases.c).
 */
#ifndef SERVER_RECORD_H
#define SERVER_RECORD_H

#include "base/buf.h"
#include "server/runtime.h"

/* OK: all of it is durable. Else nothing of it was recorded; `why` says it in words, and is valid
 * during the call. */
typedef void (*record_done)(void *arg, enum err error, const char *why);

/* Lines as VAULT_SEAL takes them, judged by the same rules; moved out of *lines. roles: of the
 * officer (enum account_role). done is called exactly once, at once
 * where nothing can be recorded at all. */
struct record_who {
	const char *officer;
	uint32_t roles;
};
void record_events(struct runtime *rt, const struct record_who *who, struct buf *lines,
	record_done done, void *arg);

#endif
