/* A node is revoked: its sessions end, and its logs count up to where the directory says. */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define BATCH SAUTI__FRAME__BODY_BATCH
#define FETCH SAUTI__FRAME__BODY_FETCH
#define HAVE  SAUTI__FRAME__BODY_HAVE

static void sign_last(struct revoked_log *log, const struct chain *chain, uint64_t size)
{
	struct checkpoint last = {.origin = chain->origin, .size = size};
	struct buf text;

	chain_root(chain, size, &last.root);
	snprintf(log->origin, sizeof(log->origin), "%.*s", LIMIT_ORIGIN, chain->origin.text);
	log->size = size;
	log->root = last.root;
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &last);
	assert_int_equal(signer_sign(chain->key, buf_bytes(&text), &log->signature), OK);
	buf_release(&text);
}

/* Cleo is revoked in the directory's chain; `last` of this log counts, 0: it is not listed. */
static void list_revoked_log(struct rig *rig, struct revoked_log *log, size_t count)
{
	struct revocation revocation = {.name = "cleo",
		.reason = "stolen",
		.revoked_at = 5,
		.logs = log,
		.log_count = count};
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), rig->actor[ANNA].node),
		OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&body);
	buf_release(&entry);
}

static void list_revoked(struct rig *rig, const struct chain *chain, uint64_t last)
{
	struct revoked_log log;

	if (last > 0)
		sign_last(&log, chain, last);
	list_revoked_log(rig, &log, last > 0);
}

/* The record comes from anna; rig->out is what its durability led to. */
static void hear_revoked(struct rig *rig, struct session_id anna)
{
	uint64_t count = rig->directory.count;
	Sauti__Frame *frame;

	rig_hear_have(rig, anna, &rig->directory, count);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	rig_hear_batch(rig, anna, &rig->directory,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = count - 1,
			.count = 1,
			.target = count,
			.note = true});
	rig_written(rig, OK);
	assert_non_null(directory_revocation(engine_directory(rig->engine), bytes_str("cleo")));
}

static void revoke(
	struct rig *rig, struct session_id anna, const struct chain *chain, uint64_t last)
{
	list_revoked(rig, chain, last);
	hear_revoked(rig, anna);
}

/* The size of this log in a Have that was sent to the session in the last step; 0: none. */
static uint64_t announced(struct rig *rig, struct session_id session, const struct chain *chain)
{
	struct checkpoint checkpoint;
	Sauti__Frame *frame;

	for (size_t n = 0; (frame = rig_sent(rig, session, HAVE, n)) != NULL; n++)
		for (size_t i = 0; i < frame->have->n_logs; i++) {
			const Sauti__LogState *state = frame->have->logs[i];
			struct note_key key;

			if (strcmp(state->origin, chain->origin.text) != 0)
				continue;
			assert_int_equal(
				log_note_key(&chain->origin, signer_public(chain->key), &key), OK);
			assert_int_equal(checkpoint_open(codec_bytes(state->checkpoint), &key,
						 &checkpoint, NULL, NULL),
				OK);
			return checkpoint.size;
		}
	return 0;
}

static void sessions_end(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), in = rig_session(rig, CLEO), out;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 3);
	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "cleo"});
	revoke(rig, anna, &cleo, 3);
	assert_true(rig_closed(rig, in));
	assert_false(rig_closed(rig, anna));
	assert_int_equal(rig_count(rig, EFFECT_MEMBERS), 1);
	rig_signed(rig, OK);
	/* What it still says is not heard, and nothing is dialled any more. */
	rig_hear_have(rig, in, &cleo, 3);
	rig_is_silent(rig);
	rig_disconnect(rig, in);
	for (int i = 0; i < 20; i++) {
		rig_tick(rig, 60 * 1000);
		assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	}
	/* One whose handshake was under way is judged when it is up. */
	out = rig_connect(rig, CLEO, true);
	assert_true(rig_closed(rig, out));
	chain_release(&cleo);
}

/* More is held than counts: only what counts is announced and served, once the store has proven
 * that it is of one history. */
static void what_is_beyond_stays_here(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 10);
	revoke(rig, anna, &cleo, 6);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 5);
	assert_int_equal(rig->reads[0].target, 10);
	rig_signed(rig, OK);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	rig_read(rig, &cleo, 1);
	rig_tick(rig, engine_timing_default.have_delay);
	assert_int_equal(announced(rig, anna, &cleo), 6);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 10);
	assert_int_equal(log.checkpoint_size, 6);
	assert_int_equal(log.counts, 6);
	assert_true(log.revoked && !log.another_history);
	/* Served up to there and no further. */
	rig_hear_fetch(rig, anna, &cleo.origin, 1, 2, 8);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].target, 6);
	rig_read(rig, &cleo, 64);
	assert_int_equal(rig_sent(rig, anna, BATCH, 0)->batch->n_entries, 4);
	rig_hear_fetch(rig, anna, &cleo.origin, 1, 6, 8);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, anna, &cleo.origin, 2, 8, 8);
	assert_int_equal(rig->read_count, 0);
	chain_release(&cleo);
}

/* A stream to a peer that has not heard of it ends. */
static void no_stream_goes_beyond(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 10);
	rig_hear_fetch(rig, anna, &cleo.origin, 1, 0, 8);
	assert_int_equal(rig->reads[0].target, 10);
	revoke(rig, anna, &cleo, 6);
	rig_read(rig, &cleo, 64); /* the read of that stream comes back now */
	assert_null(rig_sent(rig, anna, BATCH, 0));
	chain_release(&cleo);
}

/* Less is held than counts: the rest is taken from anybody, against that very checkpoint; whoever
 * shows more is ignored and not blamed. */
static void the_listed_rest_is_fetched(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	Sauti__Frame *frame;
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 12);
	rig_fetch_all(rig, c, &cleo, 4);
	revoke(rig, anna, &cleo, 8);
	rig_signed(rig, OK);
	rig_disconnect(rig, c);
	rig_hear_have(rig, anna, &cleo, 12);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	assert_false(rig_closed(rig, anna));
	rig_hear_have(rig, anna, &cleo, 6);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	rig_hear_have(rig, anna, &cleo, 8);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 4);
	rig_hear_batch(rig, anna, &cleo,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = 4,
			.count = 4,
			.target = 8,
			.note = true});
	rig_written(rig, OK);
	rig_signed(rig, OK);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 8);
	assert_int_equal(log.checkpoint_size, 8);
	rig_hear_have(rig, anna, &cleo, 12);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	assert_false(rig_closed(rig, anna));
	chain_release(&cleo);
}

/* A relay that has not heard of it aims further: ended, not blamed; another is asked. */
static void a_target_beyond_is_not_taken(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	Sauti__Frame *frame;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 12);
	rig_fetch_all(rig, c, &cleo, 4);
	revoke(rig, anna, &cleo, 8);
	rig_signed(rig, OK);
	rig_hear_have(rig, anna, &cleo, 8);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	rig_hear_batch(rig, anna, &cleo,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = 4,
			.count = 4,
			.target = 12,
			.note = true});
	assert_false(rig_closed(rig, anna));
	assert_int_equal(rig->write_count, 0);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->window, 0);
	/* Later it is asked again. */
	rig_tick(rig, engine_timing_default.fetch_timeout);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 4);
	chain_release(&cleo);
}

/* An office that was dark never saw the log at all: its key comes with its LogOpened, though its
 * node is active no more. */
static void a_listed_log_is_fetched_whole(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 5);
	revoke(rig, anna, &cleo, 5);
	rig_signed(rig, OK);
	rig_fetch_all(rig, anna, &cleo, 5);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 5);
	chain_release(&cleo);
}

static void an_unlisted_log_takes_nothing(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 5);
	rig_fetch_all(rig, c, &cleo, 3);
	revoke(rig, anna, &cleo, 0);
	rig_signed(rig, OK);
	rig_hear_have(rig, anna, &cleo, 5);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	assert_false(rig_closed(rig, anna));
	rig_hear_fetch(rig, anna, &cleo.origin, 1, 0, 8);
	assert_int_equal(rig->read_count, 0);
	rig_tick(rig, engine_timing_default.cosigned_delay);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 3);
	assert_int_equal(log.counts, 0);
	chain_release(&cleo);
}

/* Its author has signed two histories, and headquarters has seen the other. */
static void another_history_is_said(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct engine_log log;
	struct chain cleo, other;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_chain(rig, CLEO, &other, 3);
	chain_add(&other, bytes_str("another"));
	chain_grow(&other, 4);
	rig_fetch_all(rig, c, &cleo, 10);
	revoke(rig, anna, &other, 6);
	rig_signed(rig, OK);
	rig_read(rig, &cleo, 1);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "two histories"));
	rig_tick(rig, engine_timing_default.cosigned_delay);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_true(log.another_history);
	assert_int_equal(log.size, 10);
	chain_release(&cleo);
	chain_release(&other);
}

/* A list that the log's key did not sign makes nothing of it. */
static void a_forged_list_counts_nothing(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct revoked_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 10);
	sign_last(&log, &cleo, 10);
	log.signature.b[0] ^= 1;
	list_revoked_log(rig, &log, 1);
	hear_revoked(rig, anna);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "not signed by its key"));
	rig_tick(rig, engine_timing_default.cosigned_delay);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	chain_release(&cleo);
}

/* The read fails: it is asked again, and nothing is announced until it is answered. */
static void a_failed_read_is_asked_again(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_fetch_all(rig, c, &cleo, 10);
	revoke(rig, anna, &cleo, 6);
	rig_signed(rig, OK);
	rig_read(rig, NULL, 0);
	rig_tick(rig, 5000);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	assert_int_equal(rig->read_count, 0);
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &cleo, 1);
	rig_tick(rig, engine_timing_default.have_delay);
	assert_int_equal(announced(rig, anna, &cleo), 6);
	chain_release(&cleo);
}

/* After a restart everything follows again from the directory and what is on the disk. */
static void after_a_restart(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	list_revoked(rig, &cleo, 6);
	rig_load(rig, &cleo, 10, 10, BEN);
	rig_load_directory(rig);
	rig_start(rig);
	assert_int_equal(rig->read_count, 1);
	anna = rig_session(rig, ANNA);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	rig_read(rig, &cleo, 1);
	rig_tick(rig, engine_timing_default.have_delay);
	assert_int_equal(announced(rig, anna, &cleo), 6);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 10);
	assert_int_equal(rig->sign_count, 0);
	chain_release(&cleo);
}

/* A batch beyond is on its way to the disk when the revocation comes. */
static void a_write_under_way(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	Sauti__Frame *frame;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 10);
	rig_hear_have(rig, c, &cleo, 10);
	frame = rig_sent(rig, c, FETCH, 0);
	assert_non_null(frame);
	uint32_t stream = frame->fetch->stream;

	rig_hear_batch(rig, c, &cleo,
		(struct batch_opts){
			.stream = stream, .first = 0, .count = 4, .target = 10, .note = true});
	rig_written(rig, OK);
	rig_hear_batch(rig, c, &cleo,
		(struct batch_opts){.stream = stream, .first = 4, .count = 6, .target = 10});
	assert_int_equal(rig->write_count, 1);
	list_revoked(rig, &cleo, 6);
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(frame);
	rig_hear_batch(rig, anna, &rig->directory,
		(struct batch_opts){.stream = frame->fetch->stream,
			.first = rig->directory.count - 1,
			.count = 1,
			.target = rig->directory.count,
			.note = true});
	struct store_write *first = rig->writes[0]; /* the directory is faster */

	rig->writes[0] = rig->writes[1];
	rig->writes[1] = first;
	rig_written(rig, OK);
	assert_true(rig_closed(rig, c));
	assert_int_equal(rig->read_count, 0);
	rig_written(rig, OK);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(announced(rig, anna, &cleo), 0);
	rig_read(rig, &cleo, 1);
	rig_tick(rig, engine_timing_default.have_delay);
	assert_int_equal(announced(rig, anna, &cleo), 6);
	chain_release(&cleo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sessions_end, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(what_is_beyond_stays_here, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(no_stream_goes_beyond, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			the_listed_rest_is_fetched, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_target_beyond_is_not_taken, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_listed_log_is_fetched_whole, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			an_unlisted_log_takes_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(another_history_is_said, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_forged_list_counts_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_failed_read_is_asked_again, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(after_a_restart, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(a_write_under_way, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
