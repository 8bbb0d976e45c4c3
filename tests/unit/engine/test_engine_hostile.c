/*
 * What a peer with a good certificate may try: to crash a node, to fill it, to keep real logs out,
 * to stall them, to have others blamed. Cleo is the hostile one; anna is headquarters, ben the
 * engine under test.
 */
#include <stdio.h>

#include "base/text.h"
#include "tests/unit/engine/harness.h"

#define HAVE  SAUTI__FRAME__BODY_HAVE
#define FETCH SAUTI__FRAME__BODY_FETCH

enum { MINUTE = 60 * 1000, LINES = 60, NOTE_ROOM = 1000 };

/* An origin that nobody ever opened. */
static struct origin invented(const char *node, unsigned number)
{
	uint8_t random[8] = {0xff, 0, 0, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number};
	struct origin origin;

	assert_int_equal(origin_make(bytes_str(NETWORK), bytes_str(node), 7, random, &origin), OK);
	return origin;
}

/* A note that nobody signed who matters. */
static void note_of(
	const struct origin *origin, uint64_t size, const struct signer *signer, struct buf *ret)
{
	struct checkpoint checkpoint = {.origin = *origin, .size = size};

	buf_init(ret, LIMIT_NOTE_SIZE);
	memset(checkpoint.root.b, 7, HASH_SIZE);
	assert_int_equal(checkpoint_sign(ret, &checkpoint, signer), OK);
}

static void hear_claim(struct rig *rig, struct session_id session, const struct origin *origin,
	uint64_t size, const struct signer *signer)
{
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *list[1] = {&state};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf note;

	note_of(origin, size, signer, &note);
	state.origin = (char *)origin->text;
	state.size = size;
	state.checkpoint = codec_binary(buf_bytes(&note));
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, session, &frame);
	buf_release(&note);
}

static void claim(struct rig *rig, struct session_id session, const struct origin *origin)
{
	hear_claim(rig, session, origin, 1000, rig->actor[CLEO].log);
}

/* Was this log asked for in the last step, and of whom? */
static Sauti__Fetch *asked(struct rig *rig, struct session_id session, const struct origin *origin)
{
	Sauti__Frame *frame;

	for (size_t i = 0; (frame = rig_sent(rig, session, FETCH, i)) != NULL; i++)
		if (strcmp(frame->fetch->origin, origin->text) == 0 && frame->fetch->window > 0)
			return frame->fetch;
	return NULL;
}

static void hear_ping(struct rig *rig, struct session_id session)
{
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	frame.body_case = SAUTI__FRAME__BODY_PING;
	frame.ping = &ping;
	rig_hear(rig, session, &frame);
}

/* Time goes by while both sides keep the session alive. */
static void wait_minutes(
	struct rig *rig, unsigned minutes, struct session_id a, struct session_id b)
{
	for (unsigned i = 0; i < 2 * minutes; i++) {
		rig_tick(rig, MINUTE / 2);
		hear_ping(rig, a);
		if (b.value != 0)
			hear_ping(rig, b);
	}
}

/* Adds lines that look like signatures and are none that anybody knows. */
static void bloat(struct buf *note)
{
	char text[NOTE_ROOM], name[200];
	uint8_t blob[480] = {1, 2, 3, 4};
	struct buf line;

	for (unsigned i = 0; i < LINES; i++) {
		memset(name, 'x', sizeof(name) - 1);
		snprintf(name + 190, 10, "%u", i);
		buf_init(&line, NOTE_ROOM);
		base64_encode(&line, BYTES_ARRAY(blob));
		snprintf(text, sizeof(text), "\xe2\x80\x94 %s %s\n", name, buf_cstr(&line));
		buf_put_str(note, text);
		buf_release(&line);
	}
	assert_int_equal(note->err, OK);
	assert_true(note->size > 48 * 1024);
}

static void test_only_the_logs_own_signature_is_kept(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain anna;
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData list[5];
	struct buf note, clean;

	rig_chain(rig, ANNA, &anna, 5);
	rig_hear_have(rig, cleo, &anna, 5);
	batch.stream = asked(rig, cleo, &anna.origin)->stream;
	chain_note(&anna, 5, &note);
	chain_note(&anna, 5, &clean);
	bloat(&note);
	for (size_t i = 0; i < 5; i++)
		list[i] = codec_binary(anna.entry[i]);
	batch.origin = anna.origin.text;
	batch.n_entries = 5;
	batch.entries = list;
	batch.checkpoint = codec_binary(buf_bytes(&note));
	frame.body_case = SAUTI__FRAME__BODY_BATCH;
	frame.batch = &batch;
	rig_hear(rig, cleo, &frame);
	assert_int_equal(rig->write_count, 1);
	assert_int_equal(rig->writes[0]->checkpoint.size, clean.size);
	assert_memory_equal(rig->writes[0]->checkpoint.data, clean.data, clean.size);
	buf_release(&note);
	buf_release(&clean);
	chain_release(&anna);
}

/* A store may hold large notes from before: what is announced still fits its frames. */
static void test_large_notes_do_not_overflow_a_frame(void **state)
{
	struct rig *rig = *state;

	rig_load_directory(rig);
	for (unsigned i = 0; i < 40; i++) {
		struct origin origin = invented("cleo", i);
		struct log_head head = {.origin = origin, .size = 3};
		struct chain chain;

		chain_init(&chain, &origin, rig->actor[CLEO].log);
		chain_add_opened(&chain, rig->actor[CLEO].node);
		chain_grow(&chain, 2);
		compact_init(&head.compact);
		for (size_t k = 0; k < 3; k++)
			compact_append(&head.compact, &chain.leaf[k]);
		buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
		buf_put(&head.first_entry, chain.entry[0]);
		chain_note(&chain, 3, &head.checkpoint);
		bloat(&head.checkpoint);
		rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
		log_head_release(&head);
		chain_release(&chain);
	}
	struct session_id anna = rig_connect(rig, ANNA, false);
	size_t shown = 0, round = 0;

	while (shown < 40 && round++ < 40) {
		Sauti__Frame *frame;

		for (size_t i = 0; (frame = rig_sent(rig, anna, HAVE, i)) != NULL; i++) {
			shown += frame->have->n_logs;
			arena_clear(&rig->arena);
		}
		rig_step(
			rig, &(struct event){.type = EVENT_SENT, .session = anna, .size = 1 << 24});
		rig_tick(rig, 1000);
	}
	assert_true(shown >= 40);
}

static void test_invented_epochs_do_not_keep_a_real_one_out(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna;
	struct chain real;

	for (unsigned i = 0; i < 3 * LIMIT_EPOCHS_PER_NODE; i++) {
		struct origin origin = invented("anna", i);

		claim(rig, cleo, &origin);
	}
	assert_true(engine_log_count(rig->engine) <= LIMIT_EPOCHS_PER_NODE + 1);
	rig_chain(rig, ANNA, &real, 5);
	anna = rig_session(rig, ANNA);
	rig_fetch_all(rig, anna, &real, 5);
	/* .. nor does it lose its place. */
	for (unsigned i = 1000; i < 1000 + 2 * LIMIT_EPOCHS_PER_NODE; i++) {
		struct origin origin = invented("anna", i);
		struct engine_log log;

		claim(rig, cleo, &origin);
		assert_true(rig_log(rig, &real.origin, &log) && log.size == 5);
	}
	chain_release(&real);
}

static void test_invented_names_do_not_keep_a_real_log_out(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna;
	struct chain real;
	char name[LIMIT_NODE_NAME + 1];

	for (unsigned i = 0; i < LIMIT_LOGS + 100; i++) {
		snprintf(name, sizeof(name), "n%u", i / 50);
		struct origin origin = invented(name, i);

		claim(rig, cleo, &origin);
	}
	assert_true(engine_log_count(rig->engine) <= LIMIT_LOGS);
	rig_chain(rig, ANNA, &real, 5);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &real, 5);
	assert_non_null(asked(rig, anna, &real.origin));
	chain_release(&real);
	/* Our own log has its place whatever is said of it. */
	for (unsigned i = 0; i < LIMIT_EPOCHS_PER_NODE + 1; i++) {
		struct origin origin = invented("ben", i);

		claim(rig, cleo, &origin);
	}
	rig_own_log(rig, &real, 3);
	chain_release(&real);
}

/* A relay shows a fresh node more logs than any one of them may hold of one name. */
static void test_an_honest_relay_shows_many_logs(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	char name[LIMIT_NODE_NAME + 1];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "office%u", i);
		struct origin origin = invented(name, i);
		struct engine_log log;

		claim(rig, anna, &origin);
		assert_true(rig_log(rig, &origin, &log));
	}
}

/* Cleo gives a LogOpened that anna never signed. It is not anna's log that suffers. */
static void test_a_false_beginning_is_its_providers(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna;
	struct chain real, forged;
	Sauti__Fetch *fetch;

	rig_chain(rig, ANNA, &real, 5);
	chain_init(&forged, &real.origin, rig->actor[CLEO].log);
	chain_add_opened(&forged, rig->actor[CLEO].node);
	chain_grow(&forged, 4);
	rig_hear_have(rig, cleo, &forged, 5);
	fetch = asked(rig, cleo, &real.origin);
	assert_non_null(fetch);
	rig_hear_batch(rig, cleo, &forged,
		(struct batch_opts){
			.stream = fetch->stream, .count = 5, .target = 5, .note = true});
	assert_int_equal(rig->write_count, 0);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &real, 5);
	assert_non_null(asked(rig, anna, &real.origin));
	chain_release(&real);
	chain_release(&forged);
}

/* Nobody can prove a size before the log's key is known: cleo claims the largest and sends nothing.
 * It costs a minute, then longer and longer nothing. */
static void test_a_liar_is_asked_ever_less(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO), anna;
	struct chain real;
	unsigned chosen = 0;

	rig_chain(rig, ANNA, &real, 5);
	hear_claim(rig, cleo, &real.origin, LIMIT_LOG_SIZE, rig->actor[CLEO].log);
	assert_non_null(asked(rig, cleo, &real.origin));
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &real, 5);
	for (unsigned i = 0; i < 2 * 240; i++) {
		struct session_id both[2] = {cleo, anna};

		rig_tick(rig, MINUTE / 2);
		chosen += asked(rig, cleo, &real.origin) != NULL;
		Sauti__Fetch *fetch = asked(rig, anna, &real.origin);
		struct engine_log log;

		if (fetch != NULL && fetch->from < 5) {
			rig_hear_batch(rig, anna, &real,
				(struct batch_opts){.stream = fetch->stream,
					.count = 5,
					.target = 5,
					.note = true});
			rig_written(rig, OK);
			rig_signed(rig, OK);
			assert_true(rig_log(rig, &real.origin, &log) && log.size == 5);
		}
		for (size_t k = 0; k < 2; k++)
			hear_ping(rig, both[k]);
	}
	assert_true(chosen >= 1 && chosen <= 8);
	struct engine_log log;

	assert_true(rig_log(rig, &real.origin, &log) && log.size == 5);
	chain_release(&real);
}

/* .. but who is slow and alone is asked again and again, also when nothing else wakes the engine.
 */
static void test_the_only_provider_is_asked_again(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct chain real;
	unsigned again = 0;

	rig_chain(rig, ANNA, &real, 5);
	rig_hear_have(rig, anna, &real, 5);
	for (unsigned i = 0; i < 4 * 60; i++) {
		/* A chatty peer: the next tick for the session's own sake is always far away. */
		hear_ping(rig, anna);
		rig->now_ms += MINUTE / 4;
		if (engine_deadline(rig->engine) <= rig->now_ms)
			rig_tick(rig, 0);
		again += asked(rig, anna, &real.origin) != NULL;
	}
	assert_true(again >= 25);
	chain_release(&real);
}

/* Who reconnects after a bad batch does not begin anew. */
static void test_bad_batches_are_remembered(void **state)
{
	struct rig *rig = *state;
	struct chain real;

	rig_chain(rig, ANNA, &real, 5);
	for (unsigned wait = 10; wait <= 40; wait *= 2) {
		struct session_id cleo = rig_session(rig, CLEO);
		uint32_t stream;

		rig_hear_have(rig, cleo, &real, 5);
		assert_non_null(asked(rig, cleo, &real.origin));
		stream = asked(rig, cleo, &real.origin)->stream;
		/* One entry, and no proof that it belongs under the checkpoint. */
		Sauti__Batch batch = SAUTI__BATCH__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;
		ProtobufCBinaryData entry = codec_binary(real.entry[0]);
		struct buf note;

		chain_note(&real, 5, &note);
		batch.origin = real.origin.text;
		batch.stream = stream;
		batch.n_entries = 1;
		batch.entries = &entry;
		batch.checkpoint = codec_binary(buf_bytes(&note));
		frame.body_case = SAUTI__FRAME__BODY_BATCH;
		frame.batch = &batch;
		rig_hear(rig, cleo, &frame);
		assert_true(rig_closed(rig, cleo));
		rig_disconnect(rig, cleo);
		buf_release(&note);

		cleo = rig_session(rig, CLEO);
		rig_hear_have(rig, cleo, &real, 5);
		assert_null(asked(rig, cleo, &real.origin));
		wait_minutes(rig, wait - 1, cleo, (struct session_id){0});
		rig_hear_have(rig, cleo, &real, 5);
		assert_null(asked(rig, cleo, &real.origin));
		rig_disconnect(rig, cleo);
		rig->now_ms += 2 * MINUTE;
	}
	chain_release(&real);
}

/* A provider that had nothing to send for an hour is not late the moment it has. */
static void test_idle_is_not_late(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct chain real;

	rig_chain(rig, ANNA, &real, 10);
	rig_fetch_all(rig, anna, &real, 5);
	wait_minutes(rig, 60, anna, (struct session_id){0});
	rig_hear_have(rig, anna, &real, 10);
	rig_tick(rig, 1000);
	assert_false(rig_noticed(rig, NOTICE_INFO, "sends nothing"));
	rig_tick(rig, MINUTE);
	assert_true(rig_noticed(rig, NOTICE_INFO, "sends nothing"));
	chain_release(&real);
}

/* A cosignature by cleo's own key over whatever size it likes is no news of anna's log. */
static void test_a_held_is_no_news(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain real, dream;

	rig_chain(rig, ANNA, &real, 5);
	rig_chain(rig, ANNA, &dream, 50);
	rig_fetch_all(rig, anna, &real, 5);
	rig_hear_have(rig, cleo, &real, 5);
	rig_hear_held(rig, cleo, CLEO, &dream, 50);
	assert_false(rig_closed(rig, cleo));
	assert_null(asked(rig, cleo, &real.origin));
	chain_release(&real);
	chain_release(&dream);
}

/* Each Fetch of a new stream wants a read; they are not done all at once. */
static void test_reads_are_bounded(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct chain own;

	rig_own_log(rig, &own, 20);
	cleo = rig_session(rig, CLEO);
	for (unsigned i = 1; i <= 200; i++) {
		rig_hear_fetch(rig, cleo, &own.origin, i, 0, 8);
		assert_int_equal(rig->read_count, 1);
	}
	/* What comes back belongs to a stream that is void; only the newest is served. */
	rig_read(rig, &own, 20);
	assert_null(rig_sent(rig, cleo, SAUTI__FRAME__BODY_BATCH, 0));
	rig_read(rig, &own, 20);
	assert_int_equal(rig_sent(rig, cleo, SAUTI__FRAME__BODY_BATCH, 0)->batch->stream, 200);
	chain_release(&own);
}

/* The same stream number again, after its end, while its read is still on its way. */
static void test_a_stream_ended_and_begun_again(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct chain own;
	Sauti__Frame *frame;

	rig_own_log(rig, &own, 20);
	cleo = rig_session(rig, CLEO);
	rig_hear_fetch(rig, cleo, &own.origin, 5, 0, 8);
	rig_hear_fetch(rig, cleo, &own.origin, 5, 0, 0);
	rig_hear_fetch(rig, cleo, &own.origin, 5, 15, 8);
	rig_read(rig, &own, 20); /* from 0 */
	assert_null(rig_sent(rig, cleo, SAUTI__FRAME__BODY_BATCH, 0));
	rig_read(rig, &own, 20);
	frame = rig_sent(rig, cleo, SAUTI__FRAME__BODY_BATCH, 0);
	assert_int_equal(frame->batch->first, 15);
	assert_int_equal(frame->batch->n_entries, 5);
	chain_release(&own);
}

static void test_who_reads_nothing_is_closed(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	size_t sent = 0, waiting = 0;

	rig->kernel_full = true;
	for (; !rig_closed(rig, cleo) && waiting <= LIMIT_SEND_FRAMES + 2; waiting++) {
		hear_ping(rig, cleo);
		if (rig_count(rig, EFFECT_SEND) > 0) { /* what the kernel still took */
			sent++;
			waiting = 0;
		}
	}
	assert_true(rig_closed(rig, cleo));
	assert_true(sent < 2 * 65536); /* the kernel has room, and so has the runtime */
	assert_in_range(waiting, LIMIT_SEND_FRAMES + 1, LIMIT_SEND_FRAMES + 2);
}

/* The provider must keep to the window it was given: what is not written yet is in memory. */
static void test_a_flood_of_batches_is_closed(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain log;
	Sauti__Fetch *fetch;
	uint32_t stream;
	unsigned i;

	rig_chain(rig, CLEO, &log, 100);
	rig_hear_have(rig, cleo, &log, 100);
	fetch = asked(rig, cleo, &log.origin);
	stream = fetch->stream;
	uint32_t window = fetch->window;

	for (i = 0; i < 40 && !rig_closed(rig, cleo); i++)
		rig_hear_batch(rig, cleo, &log,
			(struct batch_opts){.stream = stream,
				.first = i,
				.count = 1,
				.target = 100,
				.note = i == 0});
	assert_true(rig_closed(rig, cleo));
	assert_int_equal(rig->write_count, window);
	chain_release(&log);
}

/* Sixteen newer checkpoints do not make the durable one be forgotten. */
static void test_a_fork_of_the_durable_checkpoint(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain log, other;
	struct engine_log shown;

	rig_chain(rig, CLEO, &log, 60);
	rig_chain(rig, CLEO, &other, 4);
	chain_add(&other, bytes_str("something else"));
	rig_fetch_all(rig, cleo, &log, 5);
	for (unsigned i = 6; i < 60; i++)
		rig_hear_have(rig, cleo, &log, i);
	rig_hear_have(rig, cleo, &other, 5);
	assert_true(rig_log(rig, &log.origin, &shown) && shown.frozen);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "different roots"));
	chain_release(&log);
	chain_release(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)
		T(only_the_logs_own_signature_is_kept),
		cmocka_unit_test_setup_teardown(
			test_large_notes_do_not_overflow_a_frame, rig_setup_empty, rig_teardown),
		T(invented_epochs_do_not_keep_a_real_one_out),
		T(invented_names_do_not_keep_a_real_log_out),
		T(an_honest_relay_shows_many_logs),
		T(a_false_beginning_is_its_providers),
		T(a_liar_is_asked_ever_less),
		T(the_only_provider_is_asked_again),
		T(bad_batches_are_remembered),
		T(idle_is_not_late),
		T(a_held_is_no_news),
		T(reads_are_bounded),
		T(a_stream_ended_and_begun_again),
		T(who_reads_nothing_is_closed),
		T(a_flood_of_batches_is_closed),
		T(a_fork_of_the_durable_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
