/* Bundles: what a stick brings is proven like what a peer sends, frame by frame. */
#include <stdio.h>

#include "tests/unit/engine/harness.h"

#define FETCH SAUTI__FRAME__BODY_FETCH

enum { SIZE = 40 };

static struct session_id import(struct rig *rig, const char *peer)
{
	rig->importing = (struct session_id){++rig->next_session};
	rig_step(rig,
		&(struct event){.type = EVENT_IMPORT, .session = rig->importing, .peer = peer});
	rig_is_silent(rig);
	return rig->importing;
}

static void end(struct rig *rig)
{
	rig_step(rig, &(struct event){.type = EVENT_IMPORT_END, .session = rig->importing});
	rig->importing = (struct session_id){0};
}

static void batch(
	struct rig *rig, const struct chain *chain, uint64_t first, size_t count, uint64_t target)
{
	rig_hear_batch(rig, rig->importing, chain,
		(struct batch_opts){
			.first = first, .count = count, .target = target, .note = true});
}

/* The frame was answered, and once. */
static const struct imported *answered(struct rig *rig, enum err error)
{
	struct effect *effect = rig_effect(rig, EFFECT_IMPORTED, 0);

	assert_non_null(effect);
	assert_int_equal(rig_count(rig, EFFECT_IMPORTED), 1);
	assert_int_equal(effect->session.value, rig->importing.value);
	assert_int_equal(effect->error, error);
	assert_int_equal(effect->text[0] == '\0', error == OK);
	return &effect->imported;
}

static void added(struct rig *rig, uint64_t count, uint64_t held)
{
	const struct imported *imported;

	assert_int_equal(rig_count(rig, EFFECT_IMPORTED), 0);
	rig_written(rig, OK);
	imported = answered(rig, OK);
	assert_int_equal(imported->added, count);
	assert_int_equal(imported->held, held);
}

static void nothing_new(struct rig *rig)
{
	assert_int_equal(answered(rig, OK)->added, 0);
	assert_int_equal(rig->write_count, 0);
}

static void have(struct rig *rig, const struct chain *chain, uint64_t size, enum who mirror,
	uint64_t cosigned, bool forged)
{
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *logs[1] = {&state};
	Sauti__Cosigned item[2] = {SAUTI__COSIGNED__INIT, SAUTI__COSIGNED__INIT};
	Sauti__Cosigned *list[2] = {&item[0], &item[1]};
	Sauti__Have message = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct buf note, line, other;
	struct hash root, wrong = {{1}};

	chain_note(chain, size, &note);
	rig_cosignature(rig, mirror, chain, cosigned, &line);
	rig_cosignature(rig, ANNA, chain, cosigned, &other);
	chain_root(chain, cosigned, &root);
	state.origin = (char *)chain->origin.text;
	state.size = size;
	state.checkpoint = codec_binary(buf_bytes(&note));
	item[0].size = item[1].size = cosigned;
	item[0].root = codec_binary(hash_bytes(forged ? &wrong : &root));
	item[1].root = codec_binary(hash_bytes(&root));
	item[0].line = codec_binary(buf_bytes(&line));
	item[1].line = codec_binary(buf_bytes(&other));
	state.cosigned = list;
	state.n_cosigned = 2;
	message.logs = logs;
	message.n_logs = 1;
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &message;
	rig_hear(rig, rig->importing, &frame);
	buf_release(&note);
	buf_release(&line);
	buf_release(&other);
}

static void test_a_log_comes_by_stick(void **state)
{
	struct rig *rig = *state;
	struct engine_log log;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, SIZE);
	import(rig, "anna");
	batch(rig, &chain, 0, 10, SIZE);
	added(rig, 10, 10);
	batch(rig, &chain, 10, 30, SIZE);
	added(rig, 30, SIZE);
	assert_int_equal(rig->sign_count, 1);
	rig_signed(rig, OK);
	have(rig, &chain, SIZE, CLEO, SIZE, false);
	/* The author's mirror key is a member's like any; anna's cosignature counts too. */
	assert_int_equal(answered(rig, OK)->cosigned, 2);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.checkpoint_size, SIZE);
	assert_int_equal(log.cosigned, 4); /* .. and ben's two */
	/* Twice adds nothing. */
	batch(rig, &chain, 0, 10, SIZE);
	nothing_new(rig);
	have(rig, &chain, SIZE, CLEO, SIZE, false);
	assert_int_equal(answered(rig, OK)->cosigned, 0);
	end(rig);
	chain_release(&chain);
}

static void test_parts_that_do_not_join_on(void **state)
{
	struct rig *rig = *state;
	const struct imported *imported;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, SIZE);
	import(rig, "");
	batch(rig, &chain, 10, 10, SIZE);
	imported = answered(rig, ERR_AGAIN);
	assert_int_equal(imported->held, 0);
	assert_int_equal(imported->first, 10);
	batch(rig, &chain, 0, 12, 20);
	added(rig, 12, 12);
	/* It may begin before what is held. */
	batch(rig, &chain, 10, 10, SIZE);
	added(rig, 8, 20);
	end(rig);
	chain_release(&chain);
}

static void test_what_is_wrong_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct chain chain, other, stranger, foreign;
	struct origin origin = {NETWORK "x/cleo/1-0001020304050607"};

	rig_chain(rig, CLEO, &chain, SIZE);
	rig_chain(rig, CLEO, &other, 1);
	for (int i = 1; i < SIZE; i++)
		chain_add(&other, bytes_str("another"));
	rig_chain(rig, DORA, &stranger, SIZE);
	chain_init(&foreign, &origin, rig->actor[CLEO].log);
	chain_add_opened(&foreign, rig->actor[CLEO].node);
	import(rig, "");
	batch(rig, &stranger, 0, 10, SIZE);
	answered(rig, ERR_UNTRUSTED);
	batch(rig, &foreign, 0, 1, 1);
	answered(rig, ERR_UNTRUSTED);
	batch(rig, &chain, 0, 10, SIZE);
	added(rig, 10, 10);
	/* Without its target, with none reached. */
	rig_hear_batch(rig, rig->importing, &chain,
		(struct batch_opts){.first = 10, .count = 5, .target = SIZE});
	answered(rig, ERR_MALFORMED);
	/* Another history is signed by the same key: proven, but not of what is held. */
	batch(rig, &other, 10, 5, SIZE);
	answered(rig, ERR_PROOF);
	batch(rig, &chain, 10, 0, SIZE);
	answered(rig, ERR_MALFORMED);
	batch(rig, &chain, 10, 30, SIZE);
	added(rig, 30, SIZE);
	assert_int_equal(rig_count(rig, EFFECT_CLOSE), 0);
	end(rig);
	chain_release(&chain);
	chain_release(&other);
	chain_release(&stranger);
	chain_release(&foreign);
}

static void test_frames_that_are_none(void **state)
{
	struct rig *rig = *state;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Bye bye = SAUTI__BYE__INIT;
	Sauti__Have nothing = SAUTI__HAVE__INIT;

	import(rig, "");
	rig_step(rig, &(struct event){.type = EVENT_IMPORT_FRAME,
			      .session = rig->importing,
			      .frame = bytes_str("\x12\x7f")});
	answered(rig, ERR_MALFORMED);
	frame.body_case = SAUTI__FRAME__BODY_PING;
	frame.ping = &ping;
	rig_hear(rig, rig->importing, &frame);
	answered(rig, ERR_UNSUPPORTED);
	frame.body_case = SAUTI__FRAME__BODY_BYE;
	frame.bye = &bye;
	rig_hear(rig, rig->importing, &frame);
	answered(rig, ERR_UNSUPPORTED);
	frame.body_case = SAUTI__FRAME__BODY_HAVE;
	frame.have = &nothing;
	rig_hear(rig, rig->importing, &frame);
	answered(rig, ERR_MALFORMED);
	end(rig);
}

/* Two checkpoints of one size: the log is frozen as if a peer had shown it. */
static void test_a_fork_on_a_stick(void **state)
{
	struct rig *rig = *state;
	struct engine_log log;
	struct chain chain, other;

	rig_chain(rig, CLEO, &chain, SIZE);
	rig_chain(rig, CLEO, &other, 1);
	for (int i = 1; i < SIZE; i++)
		chain_add(&other, bytes_str("another"));
	import(rig, "anna");
	batch(rig, &chain, 0, SIZE, SIZE);
	added(rig, SIZE, SIZE);
	rig_signed(rig, OK);
	have(rig, &other, SIZE, CLEO, SIZE, false);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_true(log.frozen);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "shown by 'anna'"));
	end(rig);
	chain_release(&chain);
	chain_release(&other);
}

/* Nothing of one's own log is taken; more of it than was signed here is an alarm. */
static void test_own_log(void **state)
{
	struct rig *rig = *state;
	struct engine_log log;
	struct chain chain;

	rig_own_log(rig, &chain, SIZE);
	chain_grow(&chain, 5);
	import(rig, "");
	have(rig, &chain, SIZE, CLEO, SIZE, false);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 2);
	batch(rig, &chain, 0, 10, SIZE);
	nothing_new(rig);
	batch(rig, &chain, SIZE, 5, SIZE + 5);
	answered(rig, ERR_FORK);
	have(rig, &chain, SIZE + 5, CLEO, SIZE + 5, false);
	assert_int_equal(rig_count(rig, EFFECT_FORKED), 1);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_true(log.frozen);
	end(rig);
	chain_release(&chain);
}

/* A cosignature over a size long past: only the store's tree knows that root. */
static void test_old_cosignatures_are_vouched_for(void **state)
{
	struct rig *rig = *state;
	struct engine_log log;
	struct chain chain;

	rig_own_log(rig, &chain, 2);
	for (size_t i = 2; i < 60; i++) {
		chain_grow(&chain, 1);
		rig_append(rig, &chain, i, 1);
		rig_signed(rig, OK);
		rig_written(rig, OK);
	}
	import(rig, "");
	have(rig, &chain, 60, CLEO, 2, false);
	assert_int_equal(answered(rig, OK)->cosigned, 0);
	rig->vouched = 1; /* both are over it */
	have(rig, &chain, 60, CLEO, 2, false);
	assert_int_equal(answered(rig, OK)->cosigned, 2);
	rig->vouched = 2;
	/* A forged one spoils no other. */
	have(rig, &chain, 60, CLEO, 3, true);
	assert_int_equal(answered(rig, ERR_UNTRUSTED)->cosigned, 1);
	rig->vouched = 0;
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.cosigned, 2);
	end(rig);
	chain_release(&chain);
}

/* The link does not fetch what the stick has; afterwards it goes on. */
static void test_a_live_provider_waits(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	Sauti__Frame *frame;
	struct chain chain;
	uint32_t stream;

	rig_chain(rig, CLEO, &chain, SIZE);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	stream = rig_sent(rig, anna, FETCH, 0)->fetch->stream;
	import(rig, "");
	batch(rig, &chain, 0, 10, 20);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_int_equal(frame->fetch->window, 0);
	rig_hear_batch(rig, anna, &chain,
		(struct batch_opts){.stream = stream, .count = 10, .target = SIZE, .note = true});
	assert_int_equal(rig->write_count, 1);
	added(rig, 10, 10);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	end(rig);
	frame = rig_sent(rig, anna, FETCH, 0);
	assert_int_equal(frame->fetch->from, 10);
	assert_true(frame->fetch->window > 0);
	/* A stick that hangs does not keep it. */
	import(rig, "");
	batch(rig, &chain, 10, 5, SIZE);
	added(rig, 5, 15);
	rig_tick(rig, engine_timing_default.fetch_timeout - 1);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	rig_tick(rig, 1);
	assert_int_equal(rig_sent(rig, anna, FETCH, 0)->fetch->from, 15);
	end(rig);
	chain_release(&chain);
}

static void test_the_disk_refuses(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	rig_chain(rig, CLEO, &chain, SIZE);
	import(rig, "");
	batch(rig, &chain, 0, 10, SIZE);
	rig_written(rig, ERR_FULL);
	assert_int_equal(answered(rig, ERR_FULL)->added, 0);
	batch(rig, &chain, 0, 10, SIZE);
	answered(rig, ERR_BUSY);
	rig_tick(rig, engine_timing_default.retry_delay);
	batch(rig, &chain, 0, 10, SIZE);
	added(rig, 10, 10);
	end(rig);
	chain_release(&chain);
}

/* Damaged entries come back from a stick too, one's own as well. */
static void test_damaged_entries(void **state)
{
	struct rig *rig = *state;
	struct store_mark mark;
	struct chain chain;

	rig_load_directory(rig);
	rig_chain(rig, CLEO, &chain, SIZE);
	rig_load(rig, &chain, SIZE, SIZE, ACTORS);
	mark = (struct store_mark){7, chain.leaf[7]};
	rig_step(rig,
		&(struct event){.type = EVENT_DAMAGED, .origin = &chain.origin, .mark = &mark});
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_CORRUPT);
	chain_grow(&chain, 5);
	import(rig, "");
	/* With new entries in one frame: both must be durable. */
	batch(rig, &chain, 0, SIZE + 5, SIZE + 5);
	assert_int_equal(rig->write_count, 2);
	assert_true(rig->writes[0]->heal);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_IMPORTED), 0);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 1);
	added(rig, 6, SIZE + 5);
	end(rig);
	chain_release(&chain);
}

/* Somebody who makes room for a log takes no place from the one that the stick brings. */
static void test_names_on_a_bundles_word(void **state)
{
	struct rig *rig = *state;
	char text[LIMIT_ORIGIN + 1];
	Sauti__Batch message = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData entry = codec_binary(bytes_str("x"));
	struct chain chain;

	import(rig, "");
	for (unsigned i = 0; i < 3 * LIMIT_EPOCHS_PER_NODE; i++) {
		snprintf(text, sizeof(text), NETWORK "/cleo/%u-00000000000000ff", i + 1);
		message.origin = text;
		message.n_entries = 1;
		message.entries = &entry;
		frame.body_case = SAUTI__FRAME__BODY_BATCH;
		frame.batch = &message;
		rig_hear(rig, rig->importing, &frame);
		assert_int_equal(rig_count(rig, EFFECT_IMPORTED), 1);
	}
	assert_true(engine_log_count(rig->engine) <= LIMIT_EPOCHS_PER_NODE + 2);
	end(rig);
	/* The real one has its place. */
	rig_chain(rig, CLEO, &chain, SIZE);
	rig_fetch_all(rig, rig_session(rig, CLEO), &chain, SIZE);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)
		T(a_log_comes_by_stick),
		T(parts_that_do_not_join_on),
		T(what_is_wrong_changes_nothing),
		T(frames_that_are_none),
		T(a_fork_on_a_stick),
		T(own_log),
		T(old_cosignatures_are_vouched_for),
		T(a_live_provider_waits),
		T(the_disk_refuses),
		cmocka_unit_test_setup_teardown(
			test_damaged_entries, rig_setup_empty, rig_teardown),
		T(names_on_a_bundles_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
