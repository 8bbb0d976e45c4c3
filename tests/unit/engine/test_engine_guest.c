/* Peers that the directory does not list (yet): they get the directory, and nothing else. */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define BATCH SAUTI__FRAME__BODY_BATCH
#define FETCH SAUTI__FRAME__BODY_FETCH
#define HAVE  SAUTI__FRAME__BODY_HAVE
#define HELLO SAUTI__FRAME__BODY_HELLO

static struct session_id connect_guest(struct rig *rig, const char *name, bool outgoing)
{
	struct session_id session = {++rig->next_session};

	rig_step(rig, &(struct event){.type = EVENT_CONNECTED,
			      .session = session,
			      .peer = name,
			      .outgoing = outgoing,
			      .guest = true});
	return session;
}

static struct session_id guest(struct rig *rig, enum who who, bool outgoing)
{
	struct session_id session = connect_guest(rig, rig->actor[who].name, outgoing);

	assert_false(rig_closed(rig, session));
	assert_non_null(rig_sent(rig, session, HELLO, 0));
	rig_hello(rig, session, who);
	assert_false(rig_closed(rig, session));
	assert_false(rig_connected(rig, who));
	return session;
}

/* Only the directory is announced, served and asked for; the rest of what is said is not heard. */
static void only_the_directory(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), dora;
	struct engine_log log;
	struct chain annas, doras;
	Sauti__Frame *frame;

	rig_chain(rig, ANNA, &annas, 5);
	rig_chain(rig, DORA, &doras, 5);
	rig_fetch_all(rig, anna, &annas, 5);
	dora = connect_guest(rig, "dora", false);
	frame = rig_sent(rig, dora, HAVE, 0);
	assert_non_null(frame);
	assert_int_equal(frame->have->n_logs, 1);
	assert_string_equal(frame->have->logs[0]->origin, rig->directory.origin.text);
	rig_hello(rig, dora, DORA);
	rig_hear_fetch(rig, dora, &annas.origin, 1, 0, 8);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, dora, &rig->directory.origin, 2, 0, 8);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &rig->directory, 64);
	assert_non_null(rig_sent(rig, dora, BATCH, 0));
	rig_hear_have(rig, dora, &doras, 5);
	assert_false(rig_log(rig, &doras.origin, &log));
	rig_hear_have(rig, dora, &annas, 5);
	assert_null(rig_sent(rig, dora, FETCH, 0));
	rig_hear_held(rig, dora, DORA, &annas, 5);
	assert_false(rig_closed(rig, dora));
	/* Nor is it told later what grew. */
	chain_grow(&annas, 1);
	rig_hear_batch(rig, anna, &annas, (struct batch_opts){1, 5, 1, 6, true});
	rig_written(rig, OK);
	assert_null(rig_sent(rig, dora, BATCH, 0));
	rig_tick(rig, engine_timing_default.have_delay);
	assert_null(rig_sent(rig, dora, HAVE, 0));
	chain_release(&annas);
	chain_release(&doras);
}

/* This node was dark: dora, whom it does not know, brings the directory in which she stands. */
static void the_directory_comes_from_a_guest(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = guest(rig, DORA, true);
	struct buf entry;
	uint64_t count;
	Sauti__Frame *frame;

	rig_admitted_entry(rig, DORA, &entry);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&entry);
	count = rig->directory.count;
	rig_hear_have(rig, dora, &rig->directory, count);
	frame = rig_sent(rig, dora, FETCH, 0);
	assert_non_null(frame);
	rig_hear_batch(rig, dora, &rig->directory,
		(struct batch_opts){frame->fetch->stream, count - 1, 1, count, true});
	assert_false(rig_closed(rig, dora));
	rig_written(rig, OK);
	assert_non_null(directory_find(engine_directory(rig->engine), bytes_str("dora")));
	/* It ends, so that the next is judged by what is known now. */
	assert_true(rig_closed(rig, dora));
	rig_disconnect(rig, dora);
	rig_session(rig, DORA);
}

/* A bad batch is a guest's fault as anybody's. */
static void a_guest_that_lies(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = guest(rig, DORA, false);
	struct chain forged = {0};
	struct buf entry;
	Sauti__Frame *frame;

	chain_init(&forged, &rig->directory.origin, rig->actor[DORA].log);
	for (size_t i = 0; i < rig->directory.count; i++)
		chain_add(&forged, rig->directory.entry[i]);
	rig_admitted_entry(rig, DORA, &entry);
	chain_add(&forged, buf_bytes(&entry));
	rig_hear_have(rig, dora, &forged, forged.count);
	assert_true(rig_closed(rig, dora));
	frame = rig_sent(rig, dora, FETCH, 0);
	assert_null(frame);
	buf_release(&entry);
	chain_release(&forged);
}

static uint32_t asked_of(struct rig *rig, struct session_id session)
{
	Sauti__Frame *frame = rig_sent(rig, session, FETCH, 0);

	assert_non_null(frame);
	assert_string_equal(frame->fetch->origin, rig->directory.origin.text);
	return frame->fetch->stream;
}

/* Under anna's name, with a key that is not hers any more: what it does is not held against her. */
static void a_guest_is_not_the_member(void **state)
{
	struct rig *rig = *state;
	struct session_id false_anna = guest(rig, ANNA, false), anna;
	uint64_t held = rig->directory.count;
	struct buf entry;
	uint32_t stream;

	rig_admitted_entry(rig, DORA, &entry);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&entry);
	/* It sends what was not asked for. */
	rig_hear_have(rig, false_anna, &rig->directory, held + 1);
	stream = asked_of(rig, false_anna);
	rig_hear_batch(rig, false_anna, &rig->directory,
		(struct batch_opts){stream, held - 1, 1, held + 1, true});
	assert_true(rig_closed(rig, false_anna));
	rig_disconnect(rig, false_anna);
	/* It sends nothing: it leaves. */
	false_anna = guest(rig, ANNA, false);
	rig_hear_have(rig, false_anna, &rig->directory, held + 1);
	asked_of(rig, false_anna);
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_true(rig_closed(rig, false_anna));
	rig_disconnect(rig, false_anna);
	/* anna is asked at once, before a guest, and a guest before who has nothing new. */
	false_anna = guest(rig, ANNA, false);
	rig_hear_have(rig, rig_session(rig, CLEO), &rig->directory, held);
	rig_hear_have(rig, false_anna, &rig->directory, held + 1);
	asked_of(rig, false_anna);
	rig_disconnect(rig, false_anna);
	anna = rig_session(rig, ANNA);
	false_anna = connect_guest(rig, "anna", false);
	rig_hello(rig, false_anna, ANNA);
	rig_hear_have(rig, anna, &rig->directory, held + 1);
	stream = asked_of(rig, anna);
	rig_hear_have(rig, false_anna, &rig->directory, held + 1);
	assert_null(rig_sent(rig, false_anna, FETCH, 0));
	rig_hear_batch(
		rig, anna, &rig->directory, (struct batch_opts){stream, held, 1, held + 1, true});
	rig_written(rig, OK);
	assert_non_null(directory_find(engine_directory(rig->engine), bytes_str("dora")));
}

/* A minute at most; five seconds once both have the same. */
static void its_time_is_short(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = guest(rig, DORA, false);

	for (int i = 0; i < 5; i++) {
		rig_tick(rig, 11 * 1000);
		assert_false(rig_closed(rig, dora));
	}
	assert_true(engine_deadline(rig->engine) <= rig->now_ms + 5 * 1000);
	rig_tick(rig, 5 * 1000);
	assert_true(rig_closed(rig, dora));
	rig_disconnect(rig, dora);
	dora = guest(rig, DORA, false);
	rig_hear_have(rig, dora, &rig->directory, rig->directory.count);
	rig_tick(rig, 4999);
	assert_false(rig_closed(rig, dora));
	rig_tick(rig, 1);
	assert_true(rig_closed(rig, dora));
}

/* Under a member's name, with another key: it takes nobody's place. */
static void a_guest_takes_nobodys_place(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), other;

	other = guest(rig, ANNA, false);
	/* cleo's session lives through a guest of her name, and gets what is for her. */
	struct session_id false_cleo = connect_guest(rig, "cleo", false);

	assert_false(rig_closed(rig, cleo));
	rig_hello(rig, false_cleo, CLEO);
	assert_true(rig_connected(rig, CLEO));
	/* anna is dialled all the same, and her session is another. */
	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "anna"});
	rig_tick(rig, 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 1);
	rig_session(rig, ANNA);
	assert_false(rig_closed(rig, other));
	rig_disconnect(rig, other);
	assert_true(rig_connected(rig, ANNA));
}

/* One to a name, and so many in all. */
static void guests_are_capped(void **state)
{
	struct rig *rig = *state;
	struct session_id list[LIMIT_GUESTS + 1], again;
	char name[16];

	for (int i = 0; i <= LIMIT_GUESTS; i++) {
		snprintf(name, sizeof(name), "guest-%d", i);
		list[i] = connect_guest(rig, name, false);
		assert_int_equal(rig_closed(rig, list[i]), i == LIMIT_GUESTS);
	}
	again = connect_guest(rig, "guest-0", false);
	assert_true(rig_closed(rig, list[0]));
	assert_false(rig_closed(rig, again));
	rig_session(rig, CLEO); /* members have their own room */
}

static void hear_of_ben(struct rig *rig, struct session_id anna, struct bytes entry)
{
	uint64_t count;
	Sauti__Frame *frame;

	chain_add(&rig->directory, entry);
	count = rig->directory.count;
	rig_hear_have(rig, anna, &rig->directory, count);
	frame = rig_sent(rig, anna, FETCH, 0);
	rig_hear_batch(rig, anna, &rig->directory,
		(struct batch_opts){
			frame == NULL ? 1 : frame->fetch->stream, count - 1, 1, count, true});
	rig_written(rig, OK);
}

/* What the directory says of this node without its doing is an alarm; its records go on. */
static void records_about_this_node(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct revocation revocation = {.name = "ben", .reason = "mistaken", .log_count = 0};
	struct member mine = rig->actor[BEN].member;
	struct buf entry, body;
	struct chain own;
	struct engine_log log;

	rig_own_log(rig, &own, 3);
	/* An admission under its name, with keys of another. */
	rig->actor[BEN].member = rig->actor[DORA].member;
	strcpy(rig->actor[BEN].member.name, "ben");
	rig_admitted_entry(rig, BEN, &entry);
	rig->actor[BEN].member = mine;
	hear_of_ben(rig, anna, buf_bytes(&entry));
	assert_true(rig_noticed(rig, NOTICE_ALARM, "that it did not make"));
	buf_release(&entry);
	rig_signed(rig, OK);
	/* Its own revocation. */
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	hear_of_ben(rig, anna, buf_bytes(&entry));
	assert_true(rig_noticed(rig, NOTICE_ALARM, "has revoked this node"));
	assert_false(rig_closed(rig, anna));
	chain_grow(&own, 1);
	rig_append(rig, &own, 3, 1);
	assert_int_equal(rig->sign_count, 2);
	assert_true(rig_log(rig, &own.origin, &log));
	assert_int_equal(log.checkpoint_size, 3);
	buf_release(&entry);
	buf_release(&body);
	chain_release(&own);
}

/* ---- disputes ---- */

#define DISPUTE SAUTI__FRAME__BODY_DISPUTE

static void dispute_entry(
	struct rig *rig, enum who signer, const char *name, const char *text, struct buf *ret)
{
	struct disputed disputed = {.index = 4, .made_at = 7};
	struct buf body;

	snprintf(disputed.name, sizeof(disputed.name), "%s", name);
	snprintf(disputed.text, sizeof(disputed.text), "%s", text);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(ret, LIMIT_ENTRY_SIZE);
	assert_int_equal(disputed_body(&body, NETWORK, &disputed), OK);
	assert_int_equal(record_write(ret, SAUTI__RECORD_TYPE__RECORD_DISPUTE, buf_bytes(&body),
				 rig->actor[signer].node),
		OK);
	buf_release(&body);
}

static void hear_dispute(struct rig *rig, struct session_id session, struct bytes entry)
{
	Sauti__Dispute message = SAUTI__DISPUTE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	message.entry = codec_binary(entry);
	frame.body_case = DISPUTE;
	frame.dispute = &message;
	rig_hear(rig, session, &frame);
}

static size_t dispute_count(const struct rig *rig)
{
	struct engine_dispute d;
	size_t count = 0;

	while (engine_dispute_at(rig->engine, count, &d))
		count++;
	return count;
}

/* From anybody, a guest too; told to everybody once it is durable, and to who comes later. */
static void a_dispute_spreads(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), dora = guest(rig, DORA, false), cleo;
	struct engine_dispute d;
	struct buf entry;

	dispute_entry(rig, CLEO, "cleo", "we were never hacked", &entry);
	hear_dispute(rig, dora, buf_bytes(&entry));
	assert_false(rig_closed(rig, dora));
	assert_true(rig_noticed(rig, NOTICE_WARNING, "we were never hacked"));
	assert_int_equal(rig->write_count, 1);
	assert_null(rig_sent(rig, anna, DISPUTE, 0));
	/* The disk refuses it once. */
	rig_written(rig, ERR_FULL);
	assert_null(rig_sent(rig, anna, DISPUTE, 0));
	rig_tick(rig, engine_timing_default.retry_delay);
	assert_int_equal(rig->write_count, 1);
	rig_written(rig, OK);
	assert_non_null(rig_sent(rig, anna, DISPUTE, 0));
	assert_true(bytes_equal(
		codec_bytes(rig_sent(rig, anna, DISPUTE, 0)->dispute->entry), buf_bytes(&entry)));
	hear_dispute(rig, anna, buf_bytes(&entry)); /* known */
	assert_int_equal(rig->write_count, 0);
	cleo = rig_connect(rig, CLEO, false);
	rig_hello(rig, cleo, CLEO);
	assert_non_null(rig_sent(rig, cleo, DISPUTE, 0));
	assert_true(engine_dispute_at(rig->engine, 0, &d));
	assert_string_equal(d.is->name, "cleo");
	assert_int_equal(d.is->index, 4);
	assert_int_equal(dispute_count(rig), 1);
	/* After a restart it is there and is told. */
	rig_restart(rig);
	rig_load_directory(rig);
	rig_step(rig, &(struct event){.type = EVENT_DISPUTE_LOADED, .entry = buf_bytes(&entry)});
	rig_start(rig);
	assert_int_equal(dispute_count(rig), 1);
	anna = rig_connect(rig, ANNA, false);
	rig_hello(rig, anna, ANNA);
	assert_non_null(rig_sent(rig, anna, DISPUTE, 0));
	buf_release(&entry);
}

static void disputes_are_verified_and_capped(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct buf entry;
	char text[16];

	/* Of a node that is not known: nobody's fault. */
	dispute_entry(rig, DORA, "dora", "x", &entry);
	hear_dispute(rig, anna, buf_bytes(&entry));
	assert_false(rig_closed(rig, anna));
	buf_release(&entry);
	for (int i = 0; i <= LIMIT_DISPUTES; i++) {
		snprintf(text, sizeof(text), "number %d", i);
		dispute_entry(rig, CLEO, "cleo", text, &entry);
		hear_dispute(rig, anna, buf_bytes(&entry));
		assert_false(rig_closed(rig, anna));
		assert_int_equal(rig->write_count, i < LIMIT_DISPUTES);
		if (rig->write_count > 0)
			rig_written(rig, OK);
		buf_release(&entry);
	}
	assert_int_equal(dispute_count(rig), LIMIT_DISPUTES);
	/* In another's name: a lie of who says it. */
	dispute_entry(rig, CLEO, "anna", "x", &entry);
	hear_dispute(rig, anna, buf_bytes(&entry));
	assert_true(rig_closed(rig, anna));
	buf_release(&entry);
	anna = rig_session(rig, ANNA);
	hear_dispute(rig, anna, bytes_str("garbage"));
	assert_true(rig_closed(rig, anna));
	assert_int_equal(dispute_count(rig), LIMIT_DISPUTES);
}

/* One's own: answered once it is durable. */
static void an_own_dispute(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct effect *done;
	struct buf entry;

	dispute_entry(rig, BEN, "ben", "not so", &entry);
	rig_step(rig,
		&(struct event){.type = EVENT_DISPUTE, .entry = buf_bytes(&entry), .ticket = 99});
	assert_null(rig_effect(rig, EFFECT_APPENDED, 0));
	rig_written(rig, OK);
	done = rig_effect(rig, EFFECT_APPENDED, 0);
	assert_non_null(done);
	assert_int_equal(done->ticket, 99);
	assert_int_equal(done->error, OK);
	assert_non_null(rig_sent(rig, anna, DISPUTE, 0));
	rig_step(rig,
		&(struct event){.type = EVENT_DISPUTE, .entry = buf_bytes(&entry), .ticket = 100});
	assert_int_equal(rig_effect(rig, EFFECT_APPENDED, 0)->error, ERR_EXISTS);
	buf_release(&entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_directory, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			the_directory_comes_from_a_guest, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_lies, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_guest_is_not_the_member, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(its_time_is_short, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_guest_takes_nobodys_place, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(guests_are_capped, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(records_about_this_node, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_dispute_spreads, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			disputes_are_verified_and_capped, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(an_own_dispute, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
