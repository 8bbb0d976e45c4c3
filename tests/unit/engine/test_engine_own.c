/*
 * Own logs, forks and cosignatures: what the engine signs, when it says that something is durable,
 * and what it does when two views of a log do not agree.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define HAVE  SAUTI__FRAME__BODY_HAVE
#define FETCH SAUTI__FRAME__BODY_FETCH
#define BATCH SAUTI__FRAME__BODY_BATCH
#define HELD  SAUTI__FRAME__BODY_HELD

static const struct engine_timing *const timing = &engine_timing_default;
static const struct session_id anybody;

static void is_answered(struct rig *rig, size_t n, uint64_t ticket, enum err error, uint64_t index)
{
	struct effect *e = rig_effect(rig, EFFECT_APPENDED, n);

	assert_non_null(e);
	assert_int_equal(e->ticket, ticket);
	assert_int_equal(e->error, error);
	if (error == OK)
		assert_int_equal(e->index, index);
}

static uint64_t own_size(const struct rig *rig)
{
	struct engine_log log;

	return rig_log(rig, &rig->actor[BEN].origin, &log) ? log.size : 0;
}

/* The order of one commit. */

static void test_one_commit(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own;
	struct checkpoint checkpoint;
	struct note_key key;
	struct bytes text;
	struct hash root;
	uint64_t ticket;
	Sauti__Frame *frame;

	rig_chain(rig, BEN, &own, 3);
	rig_unlock(rig);
	ticket = rig_append(rig, &own, 0, 3);
	/* To be signed, and nothing else. */
	assert_int_equal(rig->sign_count, 1);
	assert_false(rig->signs[0].cosign);
	assert_int_equal(rig->write_count, 0);
	rig_is_silent(rig);
	assert_int_equal(checkpoint_parse(buf_bytes(&rig->signs[0].body), &checkpoint, NULL), OK);
	chain_root(&own, 3, &root);
	assert_int_equal(checkpoint.size, 3);
	assert_memory_equal(checkpoint.root.b, root.b, HASH_SIZE);
	/* To be written, and nothing else. */
	rig_signed(rig, OK);
	rig_is_silent(rig);
	assert_int_equal(rig->write_count, 1);
	assert_int_equal(rig->writes[0]->first, 0);
	assert_int_equal(log_note_key(&own.origin, signer_public(own.key), &key), OK);
	assert_int_equal(checkpoint_open(buf_bytes(&rig->writes[0]->checkpoint), &key, &checkpoint,
				 &text, NULL),
		OK);
	rig_tick(rig, 10 * 1000);
	rig_is_silent(rig);
	assert_int_equal(own_size(rig), 0);
	/* Who connects meanwhile hears nothing of it. */
	s = rig_session(rig, CLEO);
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 4);
	assert_int_equal(rig->read_count, 0);
	/* Durable: acknowledged at once, announced soon. */
	rig_written(rig, OK);
	is_answered(rig, 0, ticket, OK, 0);
	assert_int_equal(own_size(rig), 3);
	rig_tick(rig, timing->have_delay);
	frame = rig_sent(rig, s, HAVE, 0);
	assert_null(frame); /* cleo has a stream: it went there */
	frame = rig_sent(rig, anybody, HAVE, 0);
	assert_non_null(frame);
	assert_int_equal(frame->have->n_logs, 1);
	assert_int_equal(frame->have->logs[0]->size, 3);
	chain_release(&own);
}

static void test_group_commit(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct checkpoint checkpoint;
	uint64_t t[4];

	rig_own_log(rig, &own, 1);
	chain_grow(&own, 10);
	t[0] = rig_append(rig, &own, 1, 2);
	t[1] = rig_append(rig, &own, 3, 1);
	assert_int_equal(rig->out.count, 0);
	rig_signed(rig, OK);
	t[2] = rig_append(rig, &own, 4, 3);
	assert_int_equal(rig->out.count, 0);
	t[3] = rig_append(rig, &own, 7, 4);
	/* The first is durable: the three that came meanwhile go together, in their order. */
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 1);
	is_answered(rig, 0, t[0], OK, 1);
	assert_int_equal(rig->sign_count, 1);
	assert_int_equal(checkpoint_parse(buf_bytes(&rig->signs[0].body), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 11);
	rig_signed(rig, OK);
	assert_int_equal(rig->writes[0]->first, 3);
	assert_int_equal(rig->writes[0]->entries->count, 8);
	for (size_t i = 0; i < 8; i++)
		assert_memory_equal(
			rig->writes[0]->entries->leaf[i].b, own.leaf[3 + i].b, HASH_SIZE);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 3);
	is_answered(rig, 0, t[1], OK, 3);
	is_answered(rig, 1, t[2], OK, 4);
	is_answered(rig, 2, t[3], OK, 7);
	assert_int_equal(rig->sign_count, 0);
	chain_release(&own);
}

static void test_signing_fails(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct checkpoint checkpoint;
	uint64_t t[2];

	rig_own_log(rig, &own, 1);
	chain_grow(&own, 5);
	t[0] = rig_append(rig, &own, 1, 2);
	t[1] = rig_append(rig, &own, 3, 3);
	rig_signed(rig, ERR_CRYPTO);
	assert_int_equal(rig->write_count, 0);
	/* What waited behind it was made to follow it. */
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 2);
	is_answered(rig, 0, t[0], ERR_CRYPTO, 0);
	is_answered(rig, 1, t[1], ERR_CRYPTO, 0);
	assert_int_equal(rig->sign_count, 0);
	/* The next one goes on from what is durable. */
	t[1] = rig_append(rig, &own, 3, 3);
	assert_int_equal(rig->sign_count, 1);
	assert_int_equal(checkpoint_parse(buf_bytes(&rig->signs[0].body), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 4);
	rig_signed(rig, OK);
	assert_int_equal(rig->writes[0]->first, 1);
	rig_written(rig, OK);
	is_answered(rig, 0, t[1], OK, 1);
	chain_release(&own);
}

static void test_writing_fails(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own, refused;
	struct engine_log log;
	struct hash root;
	uint64_t ticket;
	Sauti__Frame *frame;

	rig_own_log(rig, &own, 2);
	rig_tick(rig, timing->have_delay);
	rig_chain(rig, BEN, &refused, 2);
	chain_add(&refused, bytes_str("never durable"));
	ticket = rig_append(rig, &refused, 2, 1);
	rig_signed(rig, OK);
	rig_written(rig, ERR_FULL);
	is_answered(rig, 0, ticket, ERR_FULL, 0);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "cannot store entries from 2 on"));
	assert_null(rig_sent(rig, anybody, HAVE, 0));
	rig_tick(rig, timing->have_delay);
	assert_null(rig_sent(rig, anybody, HAVE, 0));
	/* Another entry takes its place; the checkpoint that was signed for the first never left.
	 */
	chain_grow(&own, 1);
	ticket = rig_append(rig, &own, 2, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	is_answered(rig, 0, ticket, OK, 2);
	assert_true(rig_log(rig, &own.origin, &log));
	chain_root(&own, 3, &root);
	assert_int_equal(log.checkpoint_size, 3);
	assert_memory_equal(log.root.b, root.b, HASH_SIZE);
	rig_tick(rig, timing->have_delay);
	frame = rig_sent(rig, s, HAVE, 0);
	assert_non_null(frame);
	assert_true(bytes_equal(codec_bytes(frame->have->logs[0]->checkpoint), log.checkpoint));
	chain_release(&own);
	chain_release(&refused);
}

static void test_locking(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	uint64_t t[3];

	rig_own_log(rig, &own, 1);
	chain_grow(&own, 6);
	t[0] = rig_append(rig, &own, 1, 1);
	t[1] = rig_append(rig, &own, 2, 1);
	rig_signed(rig, OK);
	/* Locked while the disk is at it: what waits is refused, what was signed is finished. */
	rig_step(rig, &(struct event){.type = EVENT_LOCKED});
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 1);
	is_answered(rig, 0, t[1], ERR_LOCKED, 0);
	t[2] = rig_append(rig, &own, 2, 1);
	is_answered(rig, 0, t[2], ERR_LOCKED, 0);
	rig_written(rig, OK);
	is_answered(rig, 0, t[0], OK, 1);
	assert_int_equal(rig->sign_count, 0);
	/* Locked while it is being signed: the signer refuses. */
	rig_unlock(rig);
	t[0] = rig_append(rig, &own, 2, 1);
	rig_step(rig, &(struct event){.type = EVENT_LOCKED});
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 0);
	rig_signed(rig, ERR_LOCKED);
	is_answered(rig, 0, t[0], ERR_LOCKED, 0);
	assert_int_equal(rig->write_count, 0);
	/* And open again. */
	rig_unlock(rig);
	t[0] = rig_append(rig, &own, 2, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	is_answered(rig, 0, t[0], OK, 2);
	chain_release(&own);
}

static void test_a_locked_node_replicates(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	rig_step(rig, &(struct event){.type = EVENT_LOCKED});
	rig_chain(rig, ANNA, &chain, 4);
	rig_fetch_all(rig, rig_session(rig, ANNA), &chain, 4);
	chain_release(&chain);
}

static void test_who_may_append(void **state)
{
	struct rig *rig = *state;
	struct chain own, other;
	uint64_t ticket;

	rig_chain(rig, BEN, &own, 2);
	rig_chain(rig, ANNA, &other, 2);
	ticket = rig_append(rig, &own, 0, 1); /* never heard of */
	is_answered(rig, 0, ticket, ERR_NOTFOUND, 0);
	rig_fetch_all(rig, rig_session(rig, ANNA), &other, 1);
	ticket = rig_append(rig, &other, 1, 1);
	is_answered(rig, 0, ticket, ERR_NOTFOUND, 0);
	ticket = rig_append(rig, &rig->directory, 1, 1); /* headquarters' alone */
	is_answered(rig, 0, ticket, ERR_NOTFOUND, 0);
	rig_unlock(rig);
	rig_step(rig, &(struct event){.type = EVENT_LOCKED});
	ticket = rig_append(rig, &own, 0, 1);
	is_answered(rig, 0, ticket, ERR_LOCKED, 0);
	/* The keys of others open nothing. */
	rig_step(rig, &(struct event){.type = EVENT_UNLOCKED,
			      .origin = &other.origin,
			      .key = signer_public(other.key)});
	assert_true(rig_noticed(rig, NOTICE_ALARM, "not this node's to write"));
	chain_release(&own);
	chain_release(&other);
}

static void test_the_wrong_key(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	uint64_t ticket;

	rig_own_log(rig, &own, 1);
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &own, 1, 1, ACTORS);
	rig_start(rig);
	rig_step(rig, &(struct event){.type = EVENT_UNLOCKED,
			      .origin = &own.origin,
			      .key = signer_public(rig->actor[CLEO].log)});
	assert_true(rig_noticed(rig, NOTICE_ALARM, "not the one that opened it"));
	chain_grow(&own, 1);
	ticket = rig_append(rig, &own, 1, 1);
	is_answered(rig, 0, ticket, ERR_LOCKED, 0);
	rig_unlock(rig);
	ticket = rig_append(rig, &own, 1, 1);
	assert_int_equal(rig->sign_count, 1);
	chain_release(&own);
}

static void test_log_opened_is_first(void **state)
{
	struct rig *rig = *state;
	struct chain own, wrong;
	struct origin second = rig->actor[BEN].origin;
	uint64_t t[3];

	rig_chain(rig, BEN, &own, 3);
	rig_unlock(rig);
	/* Anything else; another log's; one that bears another key. */
	t[0] = rig_append(rig, &own, 1, 1);
	is_answered(rig, 0, t[0], ERR_INVALID, 0);
	chain_init(&wrong, &second, rig->actor[CLEO].log);
	chain_add_opened(&wrong, rig->actor[BEN].node);
	t[0] = rig_append(rig, &wrong, 0, 1);
	is_answered(rig, 0, t[0], ERR_INVALID, 0);
	chain_release(&wrong);
	memcpy(strstr(second.text, "/1-") + 1, "2", 1);
	chain_init(&wrong, &second, rig->actor[BEN].log);
	chain_add_opened(&wrong, rig->actor[BEN].node);
	wrong.origin = own.origin;
	t[0] = rig_append(rig, &wrong, 0, 1);
	is_answered(rig, 0, t[0], ERR_INVALID, 0);
	chain_release(&wrong);
	assert_int_equal(rig->sign_count, 0);
	/* What waits behind a LogOpened that failed does not become the first entry. */
	t[0] = rig_append(rig, &own, 0, 1);
	t[1] = rig_append(rig, &own, 1, 1);
	t[2] = rig_append(rig, &own, 2, 1);
	rig_signed(rig, OK);
	rig_written(rig, ERR_IO);
	is_answered(rig, 0, t[0], ERR_IO, 0);
	is_answered(rig, 1, t[1], ERR_IO, 0);
	is_answered(rig, 2, t[2], ERR_IO, 0);
	assert_int_equal(rig->sign_count, 0);
	t[0] = rig_append(rig, &own, 0, 3);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	is_answered(rig, 0, t[0], OK, 0);
	chain_release(&own);
}

static void test_queue_is_bounded(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	uint64_t ticket;

	rig_own_log(rig, &own, 1);
	chain_grow(&own, 1);
	rig_append(rig, &own, 1, 1); /* under way */
	for (size_t i = 0; i < LIMIT_APPEND_QUEUE; i++) {
		rig_append(rig, &own, 1, 1);
		assert_int_equal(rig->out.count, 0);
	}
	ticket = rig_append(rig, &own, 1, 1);
	is_answered(rig, 0, ticket, ERR_LIMIT, 0);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_int_equal(rig->sign_count, 1);
	rig_signed(rig, OK);
	assert_int_equal(rig->writes[0]->entries->count, LIMIT_APPEND_QUEUE);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), LIMIT_APPEND_QUEUE);
	chain_release(&own);
}

/* Forks. */

/* The same origin and key with other entries from `common` on. */
static void fork_of(struct rig *rig, enum who author, size_t common, size_t size, struct chain *ret)
{
	rig_chain(rig, author, ret, common);
	while (ret->count < size)
		chain_add(ret, bytes_str("another history"));
}

static void is_frozen(const struct rig *rig, const struct origin *origin)
{
	struct engine_log log;

	assert_true(rig_log(rig, origin, &log));
	assert_true(log.frozen);
}

static void test_two_checkpoints_of_one_size(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain, fork;
	struct engine_log log;
	struct hash root;

	rig_chain(rig, ANNA, &chain, 8);
	fork_of(rig, ANNA, 3, 8, &fork);
	rig_fetch_all(rig, anna, &chain, 5);
	rig_hear_have(rig, cleo, &fork, 5);
	is_frozen(rig, &chain.origin);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "different roots, shown by 'cleo'"));
	/* Showing it is no fault: it is evidence. */
	assert_false(rig_closed(rig, cleo));
	assert_null(rig_sent(rig, anybody, FETCH, 1));
	/* Nothing new, from nobody; no cosignature; one alarm. */
	rig_hear_have(rig, anna, &chain, 8);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	assert_false(rig_noticed(rig, NOTICE_ALARM, "roots"));
	rig_hear_batch(rig, anna, &chain, (struct batch_opts){1, 5, 3, 8, true});
	assert_int_equal(rig->write_count, 1); /* the evidence */
	assert_true(rig->writes[0]->evidence.size > 0);
	rig_hear_have(rig, cleo, &fork, 5);
	assert_false(rig_noticed(rig, NOTICE_ALARM, "roots"));
	assert_int_equal(rig->sign_count, 0);
	/* What is held is held, and served. */
	assert_true(rig_log(rig, &chain.origin, &log));
	chain_root(&chain, 5, &root);
	assert_int_equal(log.size, 5);
	assert_memory_equal(log.root.b, root.b, HASH_SIZE);
	rig_hear_fetch(rig, cleo, &chain.origin, 1, 0, 4);
	rig_read(rig, &chain, 5);
	assert_non_null(rig_sent(rig, cleo, BATCH, 0));
	chain_release(&chain);
	chain_release(&fork);
}

/* A larger checkpoint was announced, then another one of that size is delivered. */
static void test_forked_target(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain, fork;
	Sauti__Frame *fetch;

	rig_chain(rig, ANNA, &chain, 8);
	fork_of(rig, ANNA, 6, 8, &fork);
	rig_fetch_all(rig, cleo, &chain, 5);
	rig_hear_have(rig, cleo, &chain, 8);
	rig_hear_have(rig, anna, &chain, 8);
	rig_disconnect(rig, cleo);
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(rig, anna, &fork, (struct batch_opts){fetch->fetch->stream, 5, 3, 8, true});
	assert_int_equal(rig->write_count, 1);
	assert_true(rig->writes[0]->evidence.size > 0);
	assert_null(rig->writes[0]->entries);
	is_frozen(rig, &chain.origin);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "different roots, shown by 'anna'"));
	chain_release(&chain);
	chain_release(&fork);
}

/* Batches that are under way when the fork shows are not cosigned. */
static void test_fork_while_writing(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain, fork;

	rig_chain(rig, ANNA, &chain, 8);
	fork_of(rig, ANNA, 3, 8, &fork);
	rig_fetch_all(rig, anna, &chain, 5);
	rig_hear_batch(rig, anna, &chain, (struct batch_opts){1, 5, 3, 8, true});
	assert_int_equal(rig->write_count, 1);
	rig_hear_have(rig, cleo, &fork, 8);
	is_frozen(rig, &chain.origin);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	assert_null(rig_sent(rig, anybody, HELD, 0));
	chain_release(&chain);
	chain_release(&fork);
}

static void test_own_checkpoint_beyond_what_is_held(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own;
	uint64_t t[2];

	rig_own_log(rig, &own, 3);
	chain_grow(&own, 5);
	t[0] = rig_append(rig, &own, 3, 1);
	t[1] = rig_append(rig, &own, 4, 1);
	rig_hear_have(rig, s, &own, 8);
	is_frozen(rig, &own.origin);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "beyond what we hold, shown by 'anna'"));
	/* What waited is refused at once, what was being signed when the signature comes. */
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 1);
	is_answered(rig, 0, t[1], ERR_FORK, 0);
	rig_signed(rig, OK);
	assert_int_equal(rig->write_count, 0);
	is_answered(rig, 0, t[0], ERR_FORK, 0);
	t[0] = rig_append(rig, &own, 3, 1);
	is_answered(rig, 0, t[0], ERR_FORK, 0);
	assert_int_equal(own_size(rig), 3);
	chain_release(&own);
}

static bool is_own(const struct rig *rig, const struct origin *origin)
{
	struct engine_log log;

	assert_true(rig_log(rig, origin, &log));
	return log.own;
}

/* A store that is behind what was signed: the own log is fetched from those who hold it, nothing is
 * written, and nothing others show is taken for a fork. Then it goes on. */
static void test_own_entries_fetched_back(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s;
	struct engine_log log;
	uint64_t t;

	rig_own_log(rig, &own, 3);
	chain_grow(&own, 10);
	rig->opts.own = OWN_NONE;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &own, 3, 3, ACTORS);
	rig_start(rig);
	assert_false(is_own(rig, &own.origin));
	s = rig_session(rig, ANNA);
	rig_fetch_all(rig, s, &own, 8);
	assert_true(rig_log(rig, &own.origin, &log));
	assert_int_equal(log.size, 8);
	assert_false(log.frozen);
	/* An append has nowhere to go, and the author does not cosign itself. */
	t = rig_append(rig, &own, 8, 1);
	is_answered(rig, 0, t, ERR_NOTFOUND, 0);
	rig_step(rig, &(struct event){.type = EVENT_OWN, .origin = &own.origin});
	assert_true(is_own(rig, &own.origin));
	rig_unlock(rig);
	t = rig_append(rig, &own, 8, 2);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	is_answered(rig, 0, t, OK, 8);
	chain_release(&own);
}

/* After a new epoch the old one is fetched like anybody's, also what this node never had of it. */
static void test_older_epoch_is_a_log_like_any_other(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own, next;
	struct origin origin;
	struct engine_log log;
	struct event unlocked = {.type = EVENT_UNLOCKED, .origin = &origin};

	rig_own_log(rig, &own, 3);
	chain_grow(&own, 10);
	rig_hear_have(rig, s, &own, 8);
	is_frozen(rig, &own.origin);
	assert_non_null(rig_effect(rig, EFFECT_FORKED, 0));
	rig_step(rig, &(struct event){.type = EVENT_LOCKED});

	assert_int_equal(
		origin_make(bytes_str(NETWORK), bytes_str("ben"), 2, (uint8_t[8]){9}, &origin), OK);
	unlocked.key = signer_public(rig->actor[BEN].log);
	rig_step(rig, &unlocked);
	assert_true(is_own(rig, &origin));
	assert_false(is_own(rig, &own.origin));
	assert_true(rig_log(rig, &own.origin, &log));
	assert_false(log.frozen);
	chain_init(&next, &origin, rig->actor[BEN].log);
	chain_add_opened(&next, rig->actor[BEN].node);
	rig_append(rig, &next, 0, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_APPENDED), 1);
	rig_fetch_all(rig, s, &own, 8);
	assert_true(rig_log(rig, &own.origin, &log));
	assert_int_equal(log.size, 8);
	chain_release(&own);
	chain_release(&next);
}

/* Of a log with two histories no more can be had: it does not keep a store behind for ever. */
static void test_caught_up_but_for_a_fork(void **state)
{
	struct rig *rig = *state;
	struct chain chain, other;
	struct session_id s;

	rig_chain(rig, CLEO, &chain, 6);
	chain_init(&other, &rig->actor[CLEO].origin, rig->actor[CLEO].log);
	chain_add_opened(&other, rig->actor[CLEO].node);
	chain_add(&other, bytes_str("another"));
	chain_add(&other, bytes_str("history"));
	rig->opts.cosigning_paused = true;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 3, 3, ACTORS);
	rig_start(rig);
	s = rig_session(rig, CLEO);
	rig_hear_have(rig, s, &chain, 6);
	assert_false(engine_caught_up(rig->engine, 0));
	rig_hear_have(rig, s, &other, 3);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "takes nothing new"));
	assert_true(engine_caught_up(rig->engine, 0));
	chain_release(&other);
	chain_release(&chain);
}

/* Nor does a log that somebody names and does not give when asked. */
static void test_caught_up_but_for_a_claim(void **state)
{
	struct rig *rig = *state;
	struct session_id s;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, 6);
	rig->opts.cosigning_paused = true;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_start(rig);
	s = rig_session(rig, ANNA);
	rig_hear_have(rig, s, &chain, 6);
	assert_false(engine_caught_up(rig->engine, 0));
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_true(rig_noticed(rig, NOTICE_INFO, "sends nothing") ||
		    rig_noticed(rig, NOTICE_WARNING, "sends nothing"));
	assert_true(engine_caught_up(rig->engine, 0));
	chain_release(&chain);
}

/* A store that is behind in others' logs cosigns nothing until it is told that it is not. */
static void test_cosigning_paused(void **state)
{
	struct rig *rig = *state;
	struct session_id s;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, 6);
	rig->opts.cosigning_paused = true;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 3, 3, ACTORS);
	rig_start(rig);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	rig_tick(rig, 1000);
	assert_int_equal(rig->sign_count, 0);
	/* More is shown than is held: not before it is there. Then it is. */
	s = rig_session(rig, CLEO);
	assert_false(engine_caught_up(rig->engine, 1000));
	rig_fetch_all(rig, s, &chain, 6); /* one signature, over all six */
	assert_true(engine_caught_up(rig->engine, 0));
	assert_false(engine_caught_up(rig->engine, 60 * 1000));
	rig_tick(rig, 60 * 1000);
	assert_true(engine_caught_up(rig->engine, 60 * 1000));
	chain_release(&chain);
}

/* Logs that nobody shows wait for the word of the runtime. */
static void test_cosigning_goes_on(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, 6);
	rig->opts.cosigning_paused = true;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 3, 3, ACTORS);
	rig_start(rig);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	rig_step(rig, &(struct event){.type = EVENT_CAUGHT_UP});
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 1);
	assert_string_equal(rig_effect(rig, EFFECT_COSIGN, 0)->origin.text, chain.origin.text);
	chain_release(&chain);
}

static void test_own_checkpoint_that_differs(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own, fork;

	rig_own_log(rig, &own, 3);
	fork_of(rig, BEN, 2, 3, &fork);
	/* One we never signed, by somebody else's key: no fork, and no fault of who holds it. */
	fork.key = rig->actor[CLEO].log;
	rig_hear_have(rig, s, &fork, 3);
	assert_false(rig_closed(rig, s));
	assert_false(rig_noticed(rig, NOTICE_ALARM, "roots"));
	fork.key = own.key;
	rig_disconnect(rig, s);
	s = rig_session(rig, ANNA);
	rig_hear_have(rig, s, &own, 2); /* an older one of ours */
	assert_false(rig_noticed(rig, NOTICE_ALARM, ""));
	rig_hear_have(rig, s, &fork, 3);
	is_frozen(rig, &own.origin);
	chain_release(&own);
	chain_release(&fork);
}

/* Cosignatures. */

static void test_held(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, CLEO);
	struct chain own, wrong;
	struct effect *held;
	struct engine_cosigned c;
	struct engine_log log;
	size_t position;

	rig_own_log(rig, &own, 4);
	rig_chain(rig, BEN, &wrong, 3);
	chain_add(&wrong, bytes_str("not in it"));
	/* Over a root that is not ours: nothing, and no fault (it may be of a checkpoint of ours
	 * that we forgot). */
	rig_hear_held(rig, s, CLEO, &wrong, 4);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	assert_false(rig_closed(rig, s));
	/* The real one. */
	rig_hear_held(rig, s, CLEO, &own, 4);
	held = rig_effect(rig, EFFECT_HELD, 0);
	assert_non_null(held);
	assert_string_equal(held->peer, "cleo");
	assert_string_equal(held->origin.text, own.origin.text);
	assert_int_equal(held->index, 4);
	assert_true(engine_log_find(rig->engine, bytes_str(own.origin.text), &log, &position));
	assert_int_equal(log.cosigned, 1);
	engine_cosigned_at(rig->engine, position, 0, &c);
	assert_string_equal(c.node, "cleo");
	assert_int_equal(c.size, 4);
	/* Once. */
	rig_hear_held(rig, s, CLEO, &own, 4);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	/* anna's cosignature out of cleo's mouth is a lie about who holds it. */
	rig_hear_held(rig, s, ANNA, &own, 4);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	chain_release(&own);
	chain_release(&wrong);
}

static void test_held_with_a_bad_signature(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, CLEO);
	struct chain own;
	struct signer *mirror = rig->actor[CLEO].mirror;

	rig_own_log(rig, &own, 4);
	/* Not the key in the directory: one that it had or will have; nothing, and no fault. */
	rig->actor[CLEO].mirror = rig->actor[CLEO].log;
	rig_hear_held(rig, s, CLEO, &own, 4);
	rig->actor[CLEO].mirror = mirror;
	assert_false(rig_closed(rig, s));
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	/* Another node's. */
	rig_hear_held(rig, s, ANNA, &own, 4);
	assert_true(rig_closed(rig, s));
	chain_release(&own);
}

static void hear_cosigned(struct rig *rig, struct session_id session, const struct chain *chain,
	uint64_t size, enum who mirror)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT, *items[1] = {&item};
	Sauti__LogState log = SAUTI__LOG_STATE__INIT, *list[1] = {&log};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct hash root;
	struct buf note, line;

	chain_note(chain, size, &note);
	chain_root(chain, size, &root);
	rig_cosignature(rig, mirror, chain, size, &line);
	item.size = size;
	item.root = codec_binary(hash_bytes(&root));
	item.line = codec_binary(buf_bytes(&line));
	log.origin = (char *)chain->origin.text;
	log.size = size;
	log.checkpoint = codec_binary(buf_bytes(&note));
	log.n_cosigned = 1;
	log.cosigned = items;
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, session, &frame);
	buf_release(&note);
	buf_release(&line);
}

static void test_cosignatures_come_through_others(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own;
	struct effect *held;
	struct signer *mirror = rig->actor[CLEO].mirror;

	/* On our own log: cleo holds it, says anna, and cleo's signature proves it. */
	rig_own_log(rig, &own, 4);
	hear_cosigned(rig, s, &own, 4, CLEO);
	held = rig_effect(rig, EFFECT_HELD, 0);
	assert_non_null(held);
	assert_string_equal(held->peer, "cleo");
	assert_int_equal(held->index, 4);
	/* A node that the directory does not list has no say. */
	hear_cosigned(rig, s, &own, 4, DORA);
	assert_false(rig_closed(rig, s));
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	/* By a key that it does not have (any more, or yet): nothing, and nobody's fault. */
	chain_grow(&own, 1);
	rig_append(rig, &own, 4, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	rig->actor[CLEO].mirror = rig->actor[CLEO].log;
	hear_cosigned(rig, s, &own, 5, CLEO);
	rig->actor[CLEO].mirror = mirror;
	assert_false(rig_closed(rig, s));
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	chain_release(&own);
}

static bool have_bears(
	struct rig *rig, struct session_id session, const struct origin *origin, size_t cosigned)
{
	Sauti__Frame *frame;

	for (size_t n = 0; (frame = rig_sent(rig, session, HAVE, n)) != NULL; n++)
		for (size_t i = 0; i < frame->have->n_logs; i++)
			if (strcmp(frame->have->logs[i]->origin, origin->text) == 0)
				return frame->have->logs[i]->n_cosigned == cosigned;
	return false;
}

/* ben passes on to the author what cleo said about its log, and to others slowly. */
static void test_cosignatures_are_forwarded(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain;

	rig_chain(rig, ANNA, &chain, 4);
	rig_fetch_all(rig, anna, &chain, 4);
	rig_tick(rig, timing->have_delay);
	/* ben's witness; the mirror's went in a Held. cleo gets both. */
	assert_true(have_bears(rig, anna, &chain.origin, 1));
	assert_true(have_bears(rig, cleo, &chain.origin, 2));
	hear_cosigned(rig, cleo, &chain, 4, CLEO);
	rig_tick(rig, timing->have_delay);
	assert_true(have_bears(rig, anna, &chain.origin, 1));
	assert_null(rig_sent(rig, cleo, HAVE, 0)); /* its own */
	/* It is not said again. */
	rig_tick(rig, timing->cosigned_delay);
	assert_null(rig_sent(rig, anybody, HAVE, 0));
	chain_release(&chain);
}

/* Whoever comes gets all at once, whatever it holds: it keeps what it cannot judge yet. */
static void test_cosignatures_go_to_everybody(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo;
	struct chain chain;

	rig_chain(rig, ANNA, &chain, 4);
	rig_fetch_all(rig, anna, &chain, 4);
	cleo = rig_connect(rig, CLEO, false);
	assert_true(have_bears(rig, cleo, &chain.origin, 2));
	rig_hello(rig, cleo, CLEO);
	hear_cosigned(rig, cleo, &chain, 4, CLEO);
	rig_tick(rig, 2 * timing->cosigned_delay);
	assert_null(rig_sent(rig, cleo, HAVE, 0));
	chain_release(&chain);
}

static void test_cosignatures_are_stored(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, CLEO);
	struct chain own;
	struct store_write *write;
	struct hash root;
	struct engine_log log;

	rig_own_log(rig, &own, 4);
	rig_hear_held(rig, s, CLEO, &own, 4);
	assert_int_equal(rig->write_count, 0);
	rig_tick(rig, timing->store_delay - 1);
	assert_int_equal(rig->write_count, 0);
	assert_true(engine_deadline(rig->engine) <= rig->now_ms + 1);
	rig_tick(rig, 1);
	assert_int_equal(rig->write_count, 1);
	write = rig->writes[0];
	chain_root(&own, 4, &root);
	assert_null(write->entries);
	assert_string_equal(write->cosigner, "cleo");
	assert_int_equal(write->cosigned_size, 4);
	assert_memory_equal(write->cosignature.data, root.b, HASH_SIZE);
	/* The disk refuses: once more, later. */
	rig_written(rig, ERR_FULL);
	rig_tick(rig, timing->retry_delay - 1);
	assert_int_equal(rig->write_count, 0);
	rig_tick(rig, 1);
	assert_int_equal(rig->write_count, 1);
	rig_written(rig, OK);
	rig_tick(rig, 10 * timing->store_delay);
	assert_int_equal(rig->write_count, 0);

	/* After a restart it is there, is told, and is not stored again. */
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &own, 4, 4, CLEO);
	rig_start(rig);
	assert_true(rig_log(rig, &own.origin, &log));
	assert_int_equal(log.cosigned, 1);
	s = rig_connect(rig, ANNA, false);
	assert_true(have_bears(rig, s, &own.origin, 1));
	rig_hello(rig, s, ANNA);
	rig_tick(rig, 10 * timing->store_delay);
	assert_int_equal(rig->write_count, 0);
	/* Nor is it news. */
	s = rig_session(rig, CLEO);
	rig_hear_held(rig, s, CLEO, &own, 4);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 0);
	chain_release(&own);
}

static void test_cosigning_after_a_restart(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct checkpoint checkpoint;
	Sauti__Frame *frame;
	struct session_id s;

	rig_chain(rig, ANNA, &chain, 6);
	/* Written, but the power went before it was cosigned. */
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 6, 4, ACTORS);
	assert_int_equal(rig->sign_count, 0);
	rig_start(rig);
	assert_int_equal(rig->sign_count, 1);
	assert_true(rig->signs[0].cosign);
	assert_int_equal(checkpoint_parse(buf_bytes(&rig->signs[0].body), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 4);
	s = rig_session(rig, ANNA);
	rig_signed(rig, OK);
	frame = rig_sent(rig, s, HELD, 0);
	assert_non_null(frame);
	assert_int_equal(frame->held->cosigned->size, 4);
	/* Cosigned before: not again. */
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 6, 4, BEN);
	rig_start(rig);
	assert_int_equal(rig->sign_count, 0);
	/* It goes on from the entries that are there, though their checkpoint is not. */
	s = rig_session(rig, ANNA);
	chain_grow(&chain, 2);
	rig_hear_have(rig, s, &chain, 8);
	frame = rig_sent(rig, s, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 6);
	chain_release(&chain);
}

/* While one is being cosigned, a newer checkpoint becomes durable: that one is next. */
static void test_cosigning_keeps_up(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain chain;
	struct checkpoint checkpoint;
	Sauti__Frame *frame;

	rig_chain(rig, ANNA, &chain, 6);
	rig_hear_have(rig, s, &chain, 4);
	frame = rig_sent(rig, s, FETCH, 0);
	assert_non_null(frame);
	uint32_t stream = frame->fetch->stream;

	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 0, 4, 4, true});
	rig_written(rig, OK);
	assert_int_equal(rig->sign_count, 1);
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 4, 2, 6, true});
	rig_written(rig, OK);
	assert_int_equal(rig->sign_count, 1); /* one at a time */
	rig_signed(rig, OK);
	frame = rig_sent(rig, s, HELD, 0);
	assert_non_null(frame);
	assert_int_equal(frame->held->cosigned->size, 4);
	assert_int_equal(rig->sign_count, 1);
	assert_int_equal(checkpoint_parse(buf_bytes(&rig->signs[0].body), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 6);
	rig_signed(rig, OK);
	frame = rig_sent(rig, s, HELD, 0);
	assert_non_null(frame);
	assert_int_equal(frame->held->cosigned->size, 6);
	assert_int_equal(rig->sign_count, 0);
	chain_release(&chain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_commit),
		TEST(test_group_commit),
		TEST(test_signing_fails),
		TEST(test_writing_fails),
		TEST(test_locking),
		TEST(test_a_locked_node_replicates),
		TEST(test_who_may_append),
		TEST(test_the_wrong_key),
		TEST(test_log_opened_is_first),
		TEST(test_queue_is_bounded),
		TEST(test_two_checkpoints_of_one_size),
		TEST(test_forked_target),
		TEST(test_fork_while_writing),
		TEST(test_own_checkpoint_beyond_what_is_held),
		TEST(test_own_entries_fetched_back),
		TEST(test_older_epoch_is_a_log_like_any_other),
		TEST(test_caught_up_but_for_a_fork),
		TEST(test_caught_up_but_for_a_claim),
		TEST(test_cosigning_paused),
		TEST(test_cosigning_goes_on),
		TEST(test_own_checkpoint_that_differs),
		TEST(test_held),
		TEST(test_held_with_a_bad_signature),
		TEST(test_cosignatures_come_through_others),
		TEST(test_cosignatures_are_forwarded),
		TEST(test_cosignatures_go_to_everybody),
		TEST(test_cosignatures_are_stored),
		TEST(test_cosigning_after_a_restart),
		TEST(test_cosigning_keeps_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
