/*
 * What the tests of the engine share: one engine under test ("ben"), driven event by event, and the
 * rest of its world played by the test. Three members stand in the directory: anna (headquarters),
 * ben, cleo; dora has keys and may be admitted later. All keys follow from a number, so that a run
 * repeats to the byte.
 *
 *   struct chain   a log as its author has it: entries, notes, proofs
 *   struct rig     the engine, its clock, and what it asked for: writes, signatures and reads wait
 *                  in queues until the test answers them; frames wait to be looked at
 *
 * Every helper fails the test when something is not as it says.
 */
#ifndef TESTS_UNIT_ENGINE_HARNESS_H
#define TESTS_UNIT_ENGINE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "certs/record.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "replication/engine/engine.h"

#define NETWORK "ovra.example"

enum who { ANNA, BEN, CLEO, DORA, ACTORS };
enum { WRITES_MAX = 64, READS_MAX = 64, SIGNS_MAX = 16 };

struct actor {
	const char *name;
	struct signer *node, *log, *mirror, *witness;
	struct member member;
	struct origin origin; /* of its log */
};

struct chain {
	struct origin origin;
	const struct signer *key;
	struct bytes *entry; /* owned */
	struct hash *leaf;
	size_t count;
};
void chain_init(struct chain *chain, const struct origin *origin, const struct signer *key);
void chain_release(struct chain *chain);
void chain_add(struct chain *chain, struct bytes entry);
/* The LogOpened of the chain's origin and key, signed by `node`. */
void chain_add_opened(struct chain *chain, const struct signer *node);
void chain_grow(struct chain *chain, size_t count); /* entries that follow from their index */
void chain_root(const struct chain *chain, uint64_t size, struct hash *ret);
void chain_note(const struct chain *chain, uint64_t size, struct buf *ret); /* initialises ret */
void chain_proof(const struct chain *chain, uint64_t from, uint64_t to, struct proof *ret);
struct entries *chain_entries(const struct chain *chain, uint64_t first, size_t count);

struct pending_sign {
	struct origin origin;
	struct buf body;
	bool cosign;
};

struct rig {
	struct actor actor[ACTORS];
	struct signer *directory_key;
	struct chain directory;
	struct engine_opts opts;
	struct engine *engine;
	uint64_t now_ms;
	uint64_t next_session;
	uint64_t next_ticket;

	struct effects out; /* of the last step alone */
	struct arena arena; /* messages that rig_sent found, until the next step */
	struct store_write *writes[WRITES_MAX];
	size_t write_count;
	struct store_read reads[READS_MAX];
	size_t read_count;
	struct pending_sign signs[SIGNS_MAX]; /* by log and mirror keys */
	size_t sign_count;
	struct pending_sign witness[SIGNS_MAX]; /* by the witness key: answered by the way */
	size_t witness_count;

	struct session_id importing; /* a bundle: what is heard from it is of a bundle */
	uint64_t vouched;            /* of the next frames of it */

	bool witness_waits; /* writes of the witness's memory wait like others; else they are
			     * durable at once */
	bool kernel_full;   /* what is sent stays with the runtime; else it is gone at once */
	/* Mail: what is to be stored and read, in order; what was stored stays with the test. */
	struct mail_write *mails[WRITES_MAX];
	size_t mail_count;
	struct effect mail_reads[READS_MAX];
	size_t mail_read_count;

	struct buf *tape; /* where every effect is written down; NULL: not */
};

/* cmocka fixtures: *state is a struct rig with a started engine that holds the directory (ben's
 * own log is not open). */
int rig_setup(void **state);
/* The same, not started and with nothing loaded yet. */
int rig_setup_empty(void **state);
int rig_teardown(void **state);
/* The engine ends as by a power cut: what waits is forgotten. A new one is made, not started. */
void rig_restart(struct rig *rig);
void rig_load_directory(struct rig *rig);
/* Loads a chain's first `size` entries, with the note of `noted` of them (0: none) and, unless
 * `cosigner` is ACTORS, that actor's mirror cosignature of it. */
void rig_load(struct rig *rig, const struct chain *chain, uint64_t size, uint64_t noted,
	enum who cosigner);
void rig_start(struct rig *rig);

/* One step at the rig's time. Effects are in rig->out; what must be answered is queued. */
void rig_step(struct rig *rig, struct event *event);
void rig_tick(struct rig *rig, uint64_t later_ms); /* moves the clock, then EVENT_TICK */

/* The oldest signature by the witness key that was asked for. */
void rig_witness_signed(struct rig *rig, enum err error);

/* What the last step did. */
size_t rig_count(const struct rig *rig, enum effect_type type); /* witness cosigning apart */
/* The n-th effect of that type, NULL when there are fewer. */
struct effect *rig_effect(const struct rig *rig, enum effect_type type, size_t n);
bool rig_noticed(const struct rig *rig, enum notice level, const char *part);
bool rig_closed(const struct rig *rig, struct session_id session);
/* The n-th frame of that kind sent to the session (value 0: to any) in the last step. */
Sauti__Frame *rig_sent(
	struct rig *rig, struct session_id session, Sauti__Frame__BodyCase kind, size_t n);
/* Nothing that could reach a peer or an appender. */
void rig_is_silent(const struct rig *rig);

/* Connections. */
struct session_id rig_connect(struct rig *rig, enum who peer, bool outgoing);
void rig_hello(struct rig *rig, struct session_id session, enum who peer);
struct session_id rig_session(struct rig *rig, enum who peer); /* incoming, with its Hello */
void rig_disconnect(struct rig *rig, struct session_id session);
bool rig_connected(const struct rig *rig, enum who peer);

/* What peers say. */
void rig_hear(struct rig *rig, struct session_id session, Sauti__Frame *frame);
void rig_hear_have(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size);
void rig_hear_fetch(struct rig *rig, struct session_id session, const struct origin *origin,
	uint32_t stream, uint64_t from, uint32_t window);
struct batch_opts {
	uint32_t stream;
	uint64_t first;
	size_t count;
	uint64_t target;
	bool note;
};
void rig_hear_batch(struct rig *rig, struct session_id session, const struct chain *chain,
	struct batch_opts opts);
/* A cosignature line by the actor's mirror key, over the chain's first `size` entries. */
void rig_cosignature(struct rig *rig, enum who mirror, const struct chain *chain, uint64_t size,
	struct buf *ret);
/* The same of that time, by the witness key if wanted. */
void rig_cosignature_at(struct rig *rig, enum who who, bool witness, uint64_t time_s,
	const struct chain *chain, uint64_t size, struct buf *ret);
void rig_hear_held(struct rig *rig, struct session_id session, enum who mirror,
	const struct chain *chain, uint64_t size);

/* Answers to the oldest that waits. */
void rig_written(struct rig *rig, enum err result);
/* EVENT_SIGNED or EVENT_COSIGNED. What the witness key is to sign of that log is answered just
 * before: rig->out is of the mirror's alone. */
void rig_signed(struct rig *rig, enum err error);
void rig_read(struct rig *rig, const struct chain *chain, size_t count_max);

/* Own log. */
void rig_unlock(struct rig *rig);
uint64_t rig_append(struct rig *rig, const struct chain *chain, uint64_t first, size_t count);
/* Opens ben's log in `chain` (initialised here) and makes `size` entries durable. */
void rig_own_log(struct rig *rig, struct chain *chain, uint64_t size);
/* Everything of the chain up to `size` fetched from the session, written and cosigned. */
void rig_fetch_all(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size);
/* The log of an actor as its author has it: LogOpened and size - 1 more. */
void rig_chain(struct rig *rig, enum who author, struct chain *chain, uint64_t size);
void rig_admitted_entry(struct rig *rig, enum who who, struct buf *ret);

bool rig_log(const struct rig *rig, const struct origin *origin, struct engine_log *ret);

#endif
