/* Cosignatures: which are kept, which wait, which replace which, what is told, the daily ones, and
 * what the quorum makes of them. */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define FETCH SAUTI__FRAME__BODY_FETCH
#define HAVE  SAUTI__FRAME__BODY_HAVE

enum { DAY_MS = 24 * 60 * 60 * 1000 };
static const struct engine_timing *const timing = &engine_timing_default;

/* A Have that shows `shown` of the chain (0: what is cosigned), with this line over `size` of it.
 */
static void hear_line(struct rig *rig, struct session_id session, const struct chain *chain,
	uint64_t shown, uint64_t size, struct bytes line)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT, *items[1] = {&item};
	Sauti__LogState log = SAUTI__LOG_STATE__INIT, *list[1] = {&log};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct hash root;
	struct buf note;

	shown = shown == 0 ? size : shown;
	chain_note(chain, shown, &note);
	chain_root(chain, size, &root);
	item.size = size;
	item.root = codec_binary(hash_bytes(&root));
	item.line = codec_binary(line);
	log.origin = (char *)chain->origin.text;
	log.size = shown;
	log.checkpoint = codec_binary(buf_bytes(&note));
	log.n_cosigned = 1;
	log.cosigned = items;
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, session, &frame);
	buf_release(&note);
}

struct said {
	enum who who;
	bool witness;
	uint64_t shown, size, time_s;
};

static uint64_t wall(const struct rig *rig)
{
	return 1700000000 + rig->now_ms / 1000;
}

static void hear(struct rig *rig, struct session_id session, const struct chain *chain,
	const struct chain *over, struct said said)
{
	struct buf line;

	rig_cosignature_at(rig, said.who, said.witness, said.time_s == 0 ? wall(rig) : said.time_s,
		over, said.size, &line);
	if (chain == over) {
		hear_line(rig, session, chain, said.shown, said.size, buf_bytes(&line));
	} else { /* a cosignature over another history beside an honest checkpoint */
		Sauti__Cosigned item = SAUTI__COSIGNED__INIT, *items[1] = {&item};
		Sauti__LogState log = SAUTI__LOG_STATE__INIT, *list[1] = {&log};
		Sauti__Have have = SAUTI__HAVE__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;
		struct hash root;
		struct buf note;

		chain_note(chain, said.shown, &note);
		chain_root(over, said.size, &root);
		item.size = said.size;
		item.root = codec_binary(hash_bytes(&root));
		item.line = codec_binary(buf_bytes(&line));
		log.origin = (char *)chain->origin.text;
		log.size = said.shown;
		log.checkpoint = codec_binary(buf_bytes(&note));
		log.n_cosigned = 1;
		log.cosigned = items;
		have.n_logs = 1;
		have.logs = list;
		frame.body_case = HAVE;
		frame.have = &have;
		rig_hear(rig, session, &frame);
		buf_release(&note);
	}
	buf_release(&line);
}

/* What is kept of a cosigner; size 0: nothing. */
static struct engine_cosigned kept(
	const struct rig *rig, const struct chain *chain, enum who who, bool witness)
{
	struct engine_cosigned c;
	struct engine_log log;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(chain->origin.text), &log, &position));
	for (size_t i = 0; i < log.cosigned; i++) {
		engine_cosigned_at(rig->engine, position, i, &c);
		if (c.witness == witness && strcmp(c.node, rig->actor[who].name) == 0)
			return c;
	}
	return (struct engine_cosigned){.size = 0};
}

static struct engine_quorum quorum(const struct rig *rig, const struct chain *chain)
{
	struct engine_quorum quorum;
	struct engine_log log;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(chain->origin.text), &log, &position));
	engine_quorum_at(rig->engine, position, &quorum);
	return quorum;
}

static unsigned holders(const struct rig *rig, const struct chain *chain, uint64_t index)
{
	struct engine_log log;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(chain->origin.text), &log, &position));
	return engine_holders_at(rig->engine, position, index);
}

/* Over more than is held: it waits, is no news meanwhile, and counts once so much is held. */
static void over_more_than_is_held(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 4);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .shown = 4});
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .witness = true, .size = 8, .shown = 4});
	assert_false(rig_closed(rig, anna));
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 0);
	rig_hear_batch(rig, c, &cleo, (struct batch_opts){1, 4, 6, 10, true});
	rig_written(rig, OK);
	/* 8 was no checkpoint here: the store proves it. */
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 7);
	assert_int_equal(rig->reads[0].target, 10);
	rig_read(rig, &cleo, 1);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 8);
	assert_int_equal(kept(rig, &cleo, ANNA, true).size, 8);
	chain_release(&cleo);
}

/* Before anything of the log is held, its key included. */
static void before_the_log_is_known(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 6);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 6});
	Sauti__Frame *frame = rig_sent(rig, anna, FETCH, 0);

	assert_non_null(frame);
	rig_hear_batch(rig, anna, &cleo, (struct batch_opts){frame->fetch->stream, 0, 6, 6, true});
	rig_written(rig, OK);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 6);
	chain_release(&cleo);
}

/* Over less than is held, and over no checkpoint that is remembered: the store is asked. */
static void over_a_checkpoint_of_long_ago(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct chain cleo, other;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_chain(rig, CLEO, &other, 3);
	chain_add(&other, bytes_str("another"));
	chain_grow(&other, 6);
	rig_load(rig, &cleo, 10, 10, BEN);
	rig_load_directory(rig);
	rig_start(rig);
	anna = rig_session(rig, ANNA);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 6, .shown = 10});
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 0);
	assert_int_equal(rig->read_count, 1);
	/* One question at a time; the other waits for its turn. */
	hear(rig, anna, &cleo, &other, (struct said){CLEO, .size = 7, .shown = 10});
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &cleo, 1);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 6);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &cleo, 1);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "another history"));
	assert_int_equal(kept(rig, &cleo, CLEO, false).size, 0);
	assert_int_equal(rig->read_count, 0);
	/* At the end of what is held nothing needs to be read. */
	assert_false(rig_closed(rig, anna));
	/* It is said once in a session. */
	hear(rig, anna, &cleo, &other, (struct said){CLEO, .size = 10, .shown = 10});
	assert_false(rig_noticed(rig, NOTICE_WARNING, "another history"));
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	hear(rig, anna, &cleo, &other, (struct said){CLEO, .size = 10, .shown = 10});
	assert_true(rig_noticed(rig, NOTICE_WARNING, "another history"));
	hear(rig, anna, &cleo, &other, (struct said){CLEO, .size = 9, .shown = 10});
	assert_false(rig_noticed(rig, NOTICE_WARNING, "another history"));
	hear(rig, anna, &cleo, &cleo, (struct said){CLEO, .size = 10, .shown = 10});
	assert_int_equal(kept(rig, &cleo, CLEO, false).size, 10);
	chain_release(&cleo);
	chain_release(&other);
}

/* Two of each cosigner wait: the first, and the newest. */
static void two_of_each_wait(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 40);
	rig_fetch_all(rig, c, &cleo, 4);
	for (uint64_t size = 10; size <= 40; size += 10)
		hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = size, .shown = 4});
	/* Passed on late by somebody who has no newer one. */
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 20, .shown = 4});
	rig_hear_batch(rig, c, &cleo, (struct batch_opts){1, 4, 6, 10, true});
	rig_written(rig, OK);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 10);
	rig_signed(rig, OK);
	rig_hear_batch(rig, c, &cleo, (struct batch_opts){1, 10, 20, 30, true});
	rig_written(rig, OK);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 10);
	rig_signed(rig, OK);
	rig_hear_batch(rig, c, &cleo, (struct batch_opts){1, 30, 10, 40, true});
	rig_written(rig, OK);
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 40);
	chain_release(&cleo);
}

static void later_replaces_earlier(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo;
	uint64_t now = wall(rig), years = 20ull * 365 * 86400;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 8);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .time_s = now - 100});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now - 100);
	/* A replay changes nothing; nor does one over less, whenever it was made. */
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .time_s = now - 200});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now - 100);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 4, .time_s = now, .shown = 8});
	assert_int_equal(kept(rig, &cleo, ANNA, false).size, 8);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .time_s = now});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now);
	/* A day ahead is a clock that is a little wrong; a second more is none of ours. */
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .time_s = now + 86401});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 8, .time_s = now + 86400});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now + 86400);
	/* Over more it counts whatever its time; and then gives way to the first honest one. */
	rig_hear_batch(rig, c, &cleo, (struct batch_opts){1, 8, 2, 10, true});
	rig_written(rig, OK);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 10, .time_s = now + years});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now + years);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 10, .time_s = now + 2 * years});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now + years);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 10, .time_s = now + 5});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now + 5);
	hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .size = 10, .time_s = now + years});
	assert_int_equal(kept(rig, &cleo, ANNA, false).time_s, now + 5);
	chain_release(&cleo);
}

/* By a key that the directory does not list for it: one that it had, or will have. */
static void another_witness_key_is_nobodys_fault(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct signer *witness = rig->actor[CLEO].witness;
	struct chain cleo;
	struct buf line;

	rig_chain(rig, CLEO, &cleo, 4);
	rig_fetch_all(rig, c, &cleo, 4);
	rig->actor[CLEO].witness = rig->actor[CLEO].mirror; /* one key in two roles */
	hear(rig, anna, &cleo, &cleo, (struct said){CLEO, .witness = true, .size = 4});
	rig->actor[CLEO].witness = witness;
	assert_false(rig_closed(rig, anna));
	assert_int_equal(kept(rig, &cleo, CLEO, true).size, 0);
	/* By the listed key, over something else: whoever says it is at fault. */
	rig_cosignature_at(rig, CLEO, true, wall(rig), &cleo, 3, &line);
	hear_line(rig, anna, &cleo, 0, 4, buf_bytes(&line));
	assert_true(rig_closed(rig, anna));
	assert_int_equal(kept(rig, &cleo, CLEO, true).size, 0);
	buf_release(&line);
	chain_release(&cleo);
}

static size_t cosigned_in(Sauti__Frame *frame, const struct chain *chain)
{
	for (size_t i = 0; i < frame->have->n_logs; i++)
		if (strcmp(frame->have->logs[i]->origin, chain->origin.text) == 0)
			return frame->have->logs[i]->n_cosigned;
	return 0;
}

/* Once a day every idle log anew, all in one frame for each session; nothing more on that day. */
static void idle_logs_are_cosigned_daily(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo, annas;
	Sauti__Frame *frame;
	uint64_t before;
	size_t asked = 0, frames = 0;

	rig_chain(rig, CLEO, &cleo, 4);
	rig_chain(rig, ANNA, &annas, 4);
	rig_fetch_all(rig, c, &cleo, 4);
	rig_fetch_all(rig, anna, &annas, 4);
	rig_disconnect(rig, c);
	rig_disconnect(rig, anna);
	for (int i = 0; i < 10; i++)
		rig_tick(rig, 60 * 1000);
	while (rig->write_count > 0)
		rig_written(rig, OK);
	before = kept(rig, &cleo, BEN, false).time_s;
	/* The peer is there all day and says something now and then. */
	anna = rig_session(rig, ANNA);
	for (uint64_t at = 0; at < DAY_MS + 2 * 3600 * 1000; at += 60 * 1000) {
		Sauti__Ping ping = SAUTI__PING__INIT;
		Sauti__Frame pong = SAUTI__FRAME__INIT;

		rig_tick(rig, 60 * 1000);
		asked += rig_count(rig, EFFECT_COSIGN);
		frames += rig_sent(rig, anna, HAVE, 0) != NULL;
		if ((frame = rig_sent(rig, anna, HAVE, 0)) != NULL && asked > 0) {
			assert_int_equal(cosigned_in(frame, &cleo), 2);
			assert_int_equal(cosigned_in(frame, &annas), 2);
			assert_int_equal(cosigned_in(frame, &rig->directory), 2);
		}
		while (rig->sign_count > 0)
			rig_signed(rig, OK);
		while (rig->write_count > 0)
			rig_written(rig, OK);
		pong.body_case = SAUTI__FRAME__BODY_PONG;
		pong.pong = &ping;
		rig_hear(rig, anna, &pong);
	}
	assert_int_equal(asked, 3); /* the directory, cleo's and anna's */
	assert_int_equal(frames, 1);
	assert_true(kept(rig, &cleo, BEN, false).time_s >= before + 86400);
	assert_true(kept(rig, &cleo, BEN, true).time_s >= before + 86400);
	assert_int_equal(kept(rig, &cleo, BEN, false).size, 4);
	chain_release(&cleo);
	chain_release(&annas);
}

static uint64_t step_at(struct rig *rig, uint64_t wall_s)
{
	struct event event = {.type = EVENT_TICK};

	/* As rig_step, with a wall clock of its own. */
	effects_clear(&rig->out);
	event.now_ms = rig->now_ms;
	event.wall_s = wall_s;
	assert_int_equal(engine_step(rig->engine, &event, &rig->out), OK);
	return rig_count(rig, EFFECT_COSIGN);
}

/* The clock jumps by twenty years and back: one round each way, at the next look of the hour. */
static void a_clock_that_jumps(void **state)
{
	struct rig *rig = *state;
	uint64_t years = 20ull * 365 * 86400;

	rig_tick(rig, 31 * 60 * 1000);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	rig->now_ms += 30 * 60 * 1000;
	assert_int_equal(step_at(rig, wall(rig) + years), 0);
	rig->now_ms += 30 * 60 * 1000;
	assert_int_equal(step_at(rig, wall(rig) + years), 1);
	/* It is under way: not asked for twice, however long it takes. */
	rig->now_ms += 3600 * 1000;
	assert_int_equal(step_at(rig, wall(rig) + years), 0);
}

static void policy(struct rig *rig, unsigned quorum, const char *a, const char *b)
{
	struct policy p;
	struct buf body, entry;

	policy_init(&p);
	p.quorum = quorum;
	if (a != NULL)
		strcpy(p.mirrors[p.mirror_count++], a);
	if (b != NULL)
		strcpy(p.mirrors[p.mirror_count++], b);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(policy_changed_body(&body, NETWORK, &p), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&body);
	buf_release(&entry);
}

static void start(struct rig *rig)
{
	rig_load_directory(rig);
	rig_start(rig);
}

/* Two of two others: one is not enough, a witness is none, twice the same is one. */
static void the_quorum(void **state)
{
	struct rig *rig = *state;
	struct session_id anna, c;
	struct chain own;

	policy(rig, 2, NULL, NULL);
	start(rig);
	anna = rig_session(rig, ANNA);
	c = rig_session(rig, CLEO);
	rig_own_log(rig, &own, 6);
	assert_int_equal(quorum(rig, &own).needed, 2);
	assert_int_equal(quorum(rig, &own).size, 0);
	rig_hear_held(rig, c, CLEO, &own, 6);
	rig_hear_held(rig, c, CLEO, &own, 6);
	hear(rig, anna, &own, &own, (struct said){ANNA, .witness = true, .size = 6});
	hear(rig, c, &own, &own, (struct said){CLEO, .witness = true, .size = 6});
	assert_int_equal(kept(rig, &own, ANNA, true).size, 6);
	assert_int_equal(quorum(rig, &own).size, 0);
	assert_int_equal(quorum(rig, &own).current, 1);
	assert_int_equal(holders(rig, &own, 5), 1);
	rig_hear_held(rig, anna, ANNA, &own, 6);
	assert_int_equal(quorum(rig, &own).size, 6);
	assert_int_equal(quorum(rig, &own).current, 2);
	assert_int_equal(holders(rig, &own, 5), 2);
	/* It grows; one is faster. */
	chain_grow(&own, 2);
	rig_append(rig, &own, 6, 2);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	rig_hear_held(rig, c, CLEO, &own, 8);
	assert_int_equal(quorum(rig, &own).size, 6);
	assert_int_equal(quorum(rig, &own).current, 1);
	assert_int_equal(holders(rig, &own, 5), 2);
	assert_int_equal(holders(rig, &own, 6), 1);
	assert_int_equal(holders(rig, &own, 8), 0);
	chain_release(&own);
}

/* Only the mirrors that the policy names. The author itself never counts for its own log. */
static void the_policy_names_mirrors(void **state)
{
	struct rig *rig = *state;
	struct session_id anna, c;
	struct chain own;

	policy(rig, 1, "ben", "anna");
	start(rig);
	anna = rig_session(rig, ANNA);
	c = rig_session(rig, CLEO);
	rig_own_log(rig, &own, 6);
	rig_hear_held(rig, c, CLEO, &own, 6);
	assert_int_equal(quorum(rig, &own).size, 0);
	rig_hear_held(rig, anna, ANNA, &own, 6);
	assert_int_equal(quorum(rig, &own).size, 6);
	assert_int_equal(holders(rig, &own, 5), 1);
	chain_release(&own);
}

/* A mirror is revoked: what was on its way to the disk stays on record, the rest is dropped, and
 * none of it counts for the quorum. */
static void a_revoked_mirror(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct revocation revocation = {.name = "cleo", .reason = "x", .log_count = 0};
	struct buf body, entry;
	struct chain own;
	uint64_t count;
	Sauti__Frame *frame;

	rig_own_log(rig, &own, 6);
	rig_hear_held(rig, c, CLEO, &own, 6);
	rig_tick(rig, timing->store_delay);
	while (rig->write_count > 0)
		rig_written(rig, OK);
	hear(rig, c, &own, &own, (struct said){CLEO, .witness = true, .size = 6});
	assert_int_equal(kept(rig, &own, CLEO, true).size, 6);
	assert_int_equal(quorum(rig, &own).size, 6);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	count = rig->directory.count;
	rig_hear_have(rig, anna, &rig->directory, count);
	frame = rig_sent(rig, anna, FETCH, 0);
	rig_hear_batch(rig, anna, &rig->directory,
		(struct batch_opts){frame->fetch->stream, count - 1, 1, count, true});
	rig_written(rig, OK);
	assert_int_equal(kept(rig, &own, CLEO, false).size, 6);
	assert_int_equal(kept(rig, &own, CLEO, true).size, 0);
	assert_int_equal(quorum(rig, &own).size, 0);
	assert_int_equal(holders(rig, &own, 5), 0);
	/* Through others too nothing new of it is taken. */
	hear(rig, anna, &own, &own, (struct said){CLEO, .witness = true, .size = 6});
	hear(rig, anna, &own, &own, (struct said){CLEO, .size = 6, .time_s = wall(rig) + 60});
	assert_int_equal(kept(rig, &own, CLEO, true).size, 0);
	assert_true(kept(rig, &own, CLEO, false).time_s < wall(rig));
	assert_false(rig_closed(rig, anna));
	buf_release(&body);
	buf_release(&entry);
	chain_release(&own);
}

enum { MEMBERS = LIMIT_COSIGNATURES / 2 + 3 };
enum { NODE, MIRROR, WITNESS, KEYS };

/* Members m0, m1 .. into the directory, before it is loaded. */
static void admit_many(struct rig *rig, struct signer *keys[MEMBERS][KEYS])
{
	struct buf body, entry;

	for (unsigned i = 0; i < MEMBERS; i++) {
		struct member m = rig->actor[CLEO].member;
		uint8_t seed[ED25519_SEED_SIZE] = {0};

		for (unsigned k = 0; k < KEYS; k++) {
			put_u32be(seed, 5000 + KEYS * i + k);
			assert_int_equal(signer_new(BYTES_ARRAY(seed), &keys[i][k]), OK);
		}
		snprintf(m.name, sizeof(m.name), "m%u", i);
		m.node = *signer_public(keys[i][NODE]);
		m.mirror = *signer_public(keys[i][MIRROR]);
		m.witness = *signer_public(keys[i][WITNESS]);
		put_u32be(m.tls_spki.b, i);
		put_u32be(m.complaint.b, i);
		buf_init(&body, LIMIT_ENTRY_SIZE);
		buf_init(&entry, LIMIT_ENTRY_SIZE);
		assert_int_equal(node_admitted_body(&body, NETWORK, &m), OK);
		assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
					 buf_bytes(&body), keys[i][NODE]),
			OK);
		chain_add(&rig->directory, buf_bytes(&entry));
		buf_release(&body);
		buf_release(&entry);
	}
}

/* The n-th of their lines over so much of the chain: mirrors and witnesses by turns. */
static void line_of_many(struct signer *keys[MEMBERS][KEYS], unsigned n, const struct chain *chain,
	uint64_t size, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = chain->origin, .size = size};
	char name[128];
	struct buf text;

	buf_init(&text, LIMIT_NOTE_SIZE);
	buf_init(ret, LIMIT_NOTE_SIZE);
	chain_root(chain, size, &checkpoint.root);
	checkpoint_format(&text, &checkpoint);
	snprintf(name, sizeof(name), NETWORK "/%s/m%u", n % 2 ? "witness" : "mirror", n / 2);
	assert_int_equal(cosignature_sign(ret, buf_bytes(&text), 1700000001, name,
				 keys[n / 2][n % 2 ? WITNESS : MIRROR]),
		OK);
	buf_release(&text);
}

/* Both sides of the cap on cosigners of one log; the rest of the network goes on. */
static void cosigners_are_capped(void **state)
{
	struct rig *rig = *state;
	struct signer *keys[MEMBERS][KEYS];
	struct chain own;
	struct session_id anna;
	struct engine_log log;
	size_t frames;

	admit_many(rig, keys);
	start(rig);
	anna = rig_session(rig, ANNA);
	rig_own_log(rig, &own, 4);
	for (unsigned i = 0; i < 2 * MEMBERS; i++) {
		struct buf line;

		line_of_many(keys, i, &own, 4, &line);
		hear_line(rig, anna, &own, 4, 4, buf_bytes(&line));
		assert_false(rig_closed(rig, anna));
		assert_true(rig_log(rig, &own.origin, &log));
		assert_int_equal(log.cosigned, i < LIMIT_COSIGNATURES ? i + 1 : LIMIT_COSIGNATURES);
		buf_release(&line);
		if (i % 16 == 15)
			rig_tick(rig, timing->store_delay);
		while (rig->write_count > 0)
			store_write_free(rig->writes[--rig->write_count]);
	}
	/* Somebody new is told all of them, at most 64 in one state. */
	struct session_id c = rig_connect(rig, CLEO, false);
	size_t told = cosigned_in(rig_sent(rig, c, HAVE, 0), &own);

	assert_int_equal(told, LIMIT_NOTE_SIGNATURES);
	rig_hello(rig, c, CLEO);
	for (frames = 0; frames < 3; frames++) {
		rig_tick(rig, timing->have_delay);
		while (rig->write_count > 0)
			store_write_free(rig->writes[--rig->write_count]);
		if (rig_sent(rig, c, HAVE, 0) != NULL)
			told += cosigned_in(rig_sent(rig, c, HAVE, 0), &own);
	}
	assert_int_equal(told, LIMIT_COSIGNATURES);
	for (unsigned i = 0; i < MEMBERS; i++)
		for (unsigned k = 0; k < KEYS; k++)
			signer_free(keys[i][k]);
	chain_release(&own);
}

static struct session_id session_of_author(struct rig *rig, uint64_t features)
{
	Sauti__Hello hello = SAUTI__HELLO__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct session_id session = rig_connect(rig, CLEO, false);

	hello.network = (char *)NETWORK;
	hello.node = (char *)rig->actor[CLEO].name;
	hello.protocol_min = hello.protocol_max = PROTOCOL_VERSION;
	hello.max_frame = LIMIT_FRAME_SIZE;
	hello.format = FORMAT_VERSION;
	hello.features = features;
	frame.body_case = SAUTI__FRAME__BODY_HELLO;
	frame.hello = &hello;
	rig_hear(rig, session, &frame);
	assert_true(rig_connected(rig, CLEO));
	return session;
}

/* An author whose policy counts witnesses says so, and is told of theirs like of mirrors'; any
 * other hears of them in the five minutes. */
static void an_author_may_wait_for_witnesses(void **state)
{
	for (unsigned wants = 0; wants < 2; wants++) {
		struct session_id anna, c;
		Sauti__Frame *frame;
		struct chain cleo;
		struct rig *rig;
		void *own = NULL;

		assert_int_equal(rig_setup(&own), 0);
		rig = own;
		anna = rig_session(rig, ANNA);
		c = session_of_author(rig, wants ? 2 : 0);
		rig_chain(rig, CLEO, &cleo, 4);
		rig_fetch_all(rig, c, &cleo, 4);
		rig_tick(rig, timing->have_delay);
		/* Through this node, after all else was told. */
		hear(rig, anna, &cleo, &cleo, (struct said){ANNA, .witness = true, .size = 4});
		assert_int_equal(kept(rig, &cleo, ANNA, true).size, 4);
		rig_tick(rig, timing->have_delay);
		frame = rig_sent(rig, c, HAVE, 0);
		assert_int_equal(frame != NULL, wants);
		if (wants)
			assert_int_equal(cosigned_in(frame, &cleo), 1);
		chain_release(&cleo);
		assert_int_equal(rig_teardown(&own), 0);
	}
}

/* .. and this is how it says it, from the next session on. */
static void waiting_for_witnesses_is_said(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_connect(rig, ANNA, false), cleo;
	Sauti__Frame *frame = rig_sent(rig, anna, SAUTI__FRAME__BODY_HELLO, 0);

	assert_non_null(frame);
	assert_int_equal(frame->hello->features & 2, 0);
	engine_want_witnesses(rig->engine, true);
	cleo = rig_connect(rig, CLEO, false);
	frame = rig_sent(rig, cleo, SAUTI__FRAME__BODY_HELLO, 0);
	assert_non_null(frame);
	assert_int_equal(frame->hello->features & 2, 2);
}

static bool has_room(
	const struct rig *rig, const struct chain *chain, const char *node, bool witness)
{
	struct engine_log log;
	struct engine_cosigned c;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(chain->origin.text), &log, &position));
	assert_int_equal(log.cosigned, LIMIT_COSIGNATURES);
	for (size_t i = 0; i < log.cosigned; i++) {
		engine_cosigned_at(rig->engine, position, i, &c);
		if (strcmp(c.node, node) == 0 && c.witness == witness)
			return true;
	}
	return false;
}

/* In a network of more members than there is room for, one's own and what the quorum is made of do
 * not depend on who came first: else nothing would be acknowledged to a provider any more. */
static void test_there_is_room_for_what_counts(void **state)
{
	struct rig *rig = *state;
	struct store_cosignature *list;
	struct log_head head = {.size = 6, .cosignature_count = LIMIT_COSIGNATURES};
	struct signer *keys[MEMBERS][KEYS];
	struct session_id anna;
	struct chain chain;
	struct hash root;
	struct buf line;

	admit_many(rig, keys);
	rig_load_directory(rig);
	rig_chain(rig, CLEO, &chain, 6);
	head.origin = chain.origin;
	compact_init(&head.compact);
	for (size_t i = 0; i < 6; i++)
		compact_append(&head.compact, &chain.leaf[i]);
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	buf_put(&head.first_entry, chain.entry[0]);
	chain_note(&chain, 6, &head.checkpoint);
	list = mem_array(LIMIT_COSIGNATURES, sizeof(*list));
	head.cosignatures = list;
	chain_root(&chain, 6, &root);
	for (unsigned i = 0; i < LIMIT_COSIGNATURES; i++) {
		line_of_many(keys, i, &chain, 6, &line);
		snprintf(list[i].cosigner, sizeof(list[i].cosigner), "%sm%u",
			i % 2 == 0 ? "" : "witness/", i / 2);
		list[i].size = 6;
		buf_init(&list[i].line, LIMIT_NOTE_SIZE);
		buf_put(&list[i].line, hash_bytes(&root));
		buf_put(&list[i].line, buf_bytes(&line));
		buf_release(&line);
	}
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	log_head_release(&head);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, OK);
	assert_true(has_room(rig, &chain, "ben", false));
	anna = rig_session(rig, ANNA);
	hear(rig, anna, &chain, &chain, (struct said){ANNA, false, 6, 6, 0});
	assert_true(has_room(rig, &chain, "anna", false));
	/* A witness takes nobody's place. */
	hear(rig, anna, &chain, &chain, (struct said){ANNA, true, 6, 6, 0});
	assert_false(has_room(rig, &chain, "anna", true));
	for (unsigned i = 0; i < MEMBERS; i++)
		for (unsigned k = 0; k < KEYS; k++)
			signer_free(keys[i][k]);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_author_may_wait_for_witnesses),
		cmocka_unit_test_setup_teardown(
			waiting_for_witnesses_is_said, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(over_more_than_is_held, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_there_is_room_for_what_counts, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(before_the_log_is_known, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			over_a_checkpoint_of_long_ago, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(two_of_each_wait, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(later_replaces_earlier, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			another_witness_key_is_nobodys_fault, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			idle_logs_are_cosigned_daily, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_jumps, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_quorum, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(
			the_policy_names_mirrors, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(a_revoked_mirror, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			cosigners_are_capped, rig_setup_empty, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
