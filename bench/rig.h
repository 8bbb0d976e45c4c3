/*
 * rig: one node's own log without its sockets: engine, store and writer thread, driven as
 * server/runtime.c does. An append goes EVENT_APPEND -> EFFECT_SIGN -> EVENT_SIGNED -> EFFECT_WRITE
 * -> writer -> EVENT_WRITTEN -> EFFECT_APPENDED; nothing is left out and nothing is added. The
 * writer wakes the caller through an eventfd, as it wakes libuv's loop.
 *
 * A log is written under a guard, as in a node.
 */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include "replication/engine/engine.h"
#include "server/store/writer.h"

struct rig_opts {
	const char *store; /* directory */
	const char *guard; /* directory; NULL: none, for a store that is only looked at */
	const char *network, *node;
	struct origin directory; /* its log and key: the engine's trust anchor */
	struct ed25519_public directory_key;
	bool directory_own;
	/* The own log; NULL: it is not unlocked. */
	const char *origin;
	const struct signer *log;
	const struct signer *node_key; /* signs LogOpened, should the log be new */
};

struct rig {
	struct store *store;
	struct guard *guard;
	struct writer *writer;
	struct engine *engine;
	struct origin origin;
	const struct signer *log;
	int woken; /* eventfd */
	uint64_t next_ticket;
	size_t under_way; /* appends not answered yet */
	uint64_t size;    /* of the own log, durable */
};

/* Opens the store, loads every head into the engine, starts the writer; then, if the own log is to
 * be unlocked, unlocks it and opens it with its LogOpened when it is empty. Dies on failure. */
void rig_open(struct rig *rig, const struct rig_opts *opts);
/* Takes one reference. */
void rig_append(struct rig *rig, struct entries *entries);
/* Waits until at most `left` appends are under way. */
void rig_wait(struct rig *rig, size_t left);
void rig_close(struct rig *rig);

/* A network of its own for a rig without a node's directory: names and keys made up. */
struct rig_identity {
	struct signer *log, *node, *directory;
	struct origin origin;
};
void rig_identity_init(struct rig_identity *identity, struct rig_opts *ret, const char *store);
void rig_identity_release(struct rig_identity *identity);

#endif
