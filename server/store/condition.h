/*
 * condition: what is the matter with the disk under a store, in words for whoever runs the node. A
 * small pure state, fed with the outcome of every commit.
 *
 *   NONE --a commit fails--> a trouble --a commit shows that the cause is gone--> NONE
 *   NONE <--room for replicas, or none--> REPLICAS_PAUSED
 *
 * A trouble never loses anything: what was acknowledged is on the disk and can be read; what is
 * asked for meanwhile is refused with its cause, and every later write is tried again.
 */
#ifndef SERVER_STORE_CONDITION_H
#define SERVER_STORE_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

enum trouble {
	TROUBLE_NONE,
	TROUBLE_REPLICAS_PAUSED, /* less room than the reserve: own work alone goes on */
	TROUBLE_DISK_FULL,
	TROUBLE_MAP_FULL,
	TROUBLE_IO,
	TROUBLE_READ_ONLY,
	TROUBLE_DENIED,
	TROUBLE_DAMAGED, /* LMDB cannot make sense of its file */
	TROUBLE_RESTART, /* a head could not be written: only opening again shows what is there */
};

/* Stable ("disk_full"), for programs. */
const char *trouble_name(enum trouble trouble);
/* For people: what it means, and what to do. "" for TROUBLE_NONE. */
const char *trouble_text(enum trouble trouble);
const char *trouble_todo(enum trouble trouble);
/* May it pass without anybody writing? Then a probe now and then finds out. */
bool trouble_probed(enum trouble trouble);

struct condition {
	enum trouble trouble;
	uint64_t since_s;  /* wall clock */
	char message[400]; /* trouble_text and the cause; "" for TROUBLE_NONE */
};

/* How one commit ended. */
struct commit_report {
	enum trouble trouble; /* NONE: it went well, or there was nothing to commit */
	const char *cause;    /* what failed, where */
	bool committed;       /* something went to the disk, and well */
	bool roomy;           /* there is free space on the disk; looked at while it is full */
	enum { ROOM_UNKNOWN, ROOM_SHORT, ROOM_ENOUGH } room; /* for replicas, if looked at */
};
/* True when the trouble is another one than before. */
bool condition_report(
	struct condition *condition, const struct commit_report *report, uint64_t now_s);

#endif
