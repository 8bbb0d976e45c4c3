/* Damaged entries, fetched again: replicas' and one's own, from whoever holds them. */
#include "tests/unit/engine/harness.h"

#define FETCH SAUTI__FRAME__BODY_FETCH
#define BATCH SAUTI__FRAME__BODY_BATCH

enum { SIZE = 40, TIMEOUT = 60 * 1000 };

static void damaged(struct rig *rig, const struct chain *chain, uint64_t index)
{
	struct store_mark mark = {index, chain->leaf[index]};

	rig_step(rig,
		&(struct event){.type = EVENT_DAMAGED, .origin = &chain->origin, .mark = &mark});
}

/* ben holds all of the author's log, but for these entries. */
static void begin(
	struct rig *rig, enum who author, struct chain *chain, const uint64_t *marks, size_t count)
{
	rig_load_directory(rig);
	rig_chain(rig, author, chain, SIZE);
	rig_load(rig, chain, SIZE, SIZE, ACTORS);
	for (size_t i = 0; i < count; i++)
		damaged(rig, chain, marks[i]);
	rig_start(rig);
	/* Who has marks is not asked about them here: the runtime refuses the cosignature. */
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_CORRUPT);
	rig_tick(rig, engine_timing_default.store_delay); /* what its witness says is stored */
	while (rig->write_count > 0)
		rig_written(rig, OK);
}

static Sauti__Fetch *asked(
	struct rig *rig, struct session_id session, uint64_t from, uint64_t up_to)
{
	Sauti__Frame *frame;

	for (size_t i = 0; (frame = rig_sent(rig, session, FETCH, i)) != NULL; i++)
		if (frame->fetch->window > 0) {
			assert_int_equal(frame->fetch->from, from);
			assert_int_equal(frame->fetch->up_to, up_to);
			return frame->fetch;
		}
	return NULL;
}

static void give(struct rig *rig, struct session_id session, const struct chain *chain,
	uint32_t stream, uint64_t first, size_t count)
{
	rig_hear_batch(rig, session, chain,
		(struct batch_opts){.stream = stream,
			.first = first,
			.count = count,
			.target = SIZE,
			.note = true});
}

static void is_healing(const struct rig *rig, size_t n, const struct chain *chain, uint64_t index)
{
	assert_true(rig->write_count > n);
	assert_true(rig->writes[n]->heal);
	assert_int_equal(rig->writes[n]->first, index);
	assert_int_equal(rig->writes[n]->entries->count, 1);
	assert_true(hash_equal(&rig->writes[n]->entries->leaf[0], &chain->leaf[index]));
}

static void test_runs_are_fetched_and_the_log_cosigned(void **state)
{
	static const uint64_t marks[] = {30, 7, 8, 7};
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;
	uint32_t stream;

	begin(rig, CLEO, &chain, marks, 4);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	stream = asked(rig, anna, 7, 9)->stream;
	give(rig, anna, &chain, stream, 7, 2);
	is_healing(rig, 0, &chain, 7);
	is_healing(rig, 1, &chain, 8);
	/* The next run at once; the old stream is void. */
	stream = asked(rig, anna, 30, 31)->stream;
	rig_written(rig, OK);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	/* A peer that does not know `up_to` sends more. */
	give(rig, anna, &chain, stream, 30, 10);
	is_healing(rig, 0, &chain, 30);
	assert_int_equal(rig->write_count, 1);
	/* Nothing else is damaged: the stream is for what comes. */
	assert_non_null(asked(rig, anna, SIZE, 0));
	rig_written(rig, OK);
	assert_true(rig_noticed(rig, NOTICE_INFO, "every damaged entry"));
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 1);
	chain_release(&chain);
}

/* An own log is not fetched, its damaged entries are. */
static void test_own_log(void **state)
{
	static const uint64_t marks[] = {12};
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;

	begin(rig, BEN, &chain, marks, 1);
	rig_unlock(rig);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	give(rig, anna, &chain, asked(rig, anna, 12, 13)->stream, 12, 1);
	is_healing(rig, 0, &chain, 12);
	rig_written(rig, OK);
	assert_int_equal(rig->sign_count, 0);
	/* Appends go on meanwhile and after. */
	chain_grow(&chain, 1);
	rig_append(rig, &chain, SIZE, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_int_equal(rig_effect(rig, EFFECT_APPENDED, 0)->error, OK);
	chain_release(&chain);
}

/* The first entry bears the log's key: nothing can be judged before it is back. */
static void test_the_first_entry(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct log_head head = {.size = SIZE};
	struct note_key key;
	struct chain chain;
	size_t position;
	struct engine_log log;

	rig_load_directory(rig);
	rig_chain(rig, CLEO, &chain, SIZE);
	head.origin = chain.origin;
	compact_init(&head.compact);
	for (size_t i = 0; i < SIZE; i++)
		compact_append(&head.compact, &chain.leaf[i]);
	chain_note(&chain, SIZE, &head.checkpoint);
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	log_head_release(&head);
	damaged(rig, &chain, 0);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_CORRUPT);
	anna = rig_session(rig, ANNA);
	chain_grow(&chain, 2);
	rig_hear_have(rig, anna, &chain, SIZE + 2);
	give(rig, anna, &chain, asked(rig, anna, 0, 1)->stream, 0, 1);
	assert_true(engine_log_find(rig->engine, bytes_str(chain.origin.text), &log, &position));
	assert_false(engine_log_key(rig->engine, position, &key));
	rig_written(rig, OK);
	assert_true(engine_log_key(rig->engine, position, &key));
	assert_non_null(asked(rig, anna, SIZE, 0));
	chain_release(&chain);
}

static void test_a_liar_and_a_mute_are_passed_over(void **state)
{
	static const uint64_t marks[] = {7};
	struct rig *rig = *state;
	struct session_id anna, cleo;
	struct chain chain, false_chain;
	uint32_t stream;

	begin(rig, CLEO, &chain, marks, 1);
	rig_chain(rig, CLEO, &false_chain, 1);
	for (int i = 1; i < SIZE; i++)
		chain_add(&false_chain, bytes_str("another"));
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	stream = asked(rig, anna, 7, 8)->stream;
	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &chain, SIZE);
	give(rig, anna, &false_chain, stream, 7, 1);
	assert_int_equal(rig->write_count, 0);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "is not the damaged entry"));
	assert_non_null(asked(rig, cleo, 7, 8));
	/* Cleo says nothing: a while later all of them again, anna first. */
	rig_tick(rig, TIMEOUT);
	assert_null(asked(rig, anna, 7, 8));
	rig_disconnect(rig, cleo);
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	rig_tick(rig, TIMEOUT);
	stream = asked(rig, anna, 7, 8)->stream;
	/* Not what was asked for, and empty. */
	give(rig, anna, &chain, stream, 8, 1);
	assert_int_equal(rig->write_count, 0);
	chain_release(&chain);
	chain_release(&false_chain);
}

/* Nobody has it: the log goes on meanwhile. */
static void test_who_holds_too_little_is_not_asked(void **state)
{
	static const uint64_t marks[] = {SIZE - 1};
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;

	begin(rig, CLEO, &chain, marks, 1);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE - 1);
	assert_non_null(asked(rig, anna, SIZE, 0));
	chain_release(&chain);
}

/* The only one who holds the log has the same damage, and says nothing: new entries do not wait. */
static void test_new_entries_do_not_wait(void **state)
{
	static const uint64_t marks[] = {7};
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;

	begin(rig, CLEO, &chain, marks, 1);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	assert_non_null(asked(rig, anna, 7, 8));
	chain_grow(&chain, 1);
	rig_hear_have(rig, anna, &chain, SIZE + 1);
	rig_tick(rig, 4 * 1000);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	rig_tick(rig, 1000);
	assert_int_equal(rig_sent(rig, anna, FETCH, 0)->fetch->window, 0);
	assert_int_equal(rig_sent(rig, anna, FETCH, 1)->fetch->from, SIZE);
	chain_release(&chain);
}

static void test_the_disk_refuses(void **state)
{
	static const uint64_t marks[] = {7};
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;
	uint32_t stream;

	begin(rig, CLEO, &chain, marks, 1);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, SIZE);
	stream = asked(rig, anna, 7, 8)->stream;
	give(rig, anna, &chain, stream, 7, 1);
	rig_written(rig, ERR_FULL);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	rig_tick(rig, engine_timing_default.retry_delay);
	stream = asked(rig, anna, 7, 8)->stream;
	give(rig, anna, &chain, stream, 7, 1);
	rig_written(rig, ERR_NOTFOUND); /* it was put back by somebody else */
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 1);
	chain_release(&chain);
}

/* The other side: only what was asked for is read and sent. */
static void test_serving_ends_at_up_to(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT, *sent;

	rig_load_directory(rig);
	rig_start(rig);
	rig_own_log(rig, &chain, SIZE);
	anna = rig_session(rig, ANNA);
	fetch.origin = chain.origin.text;
	fetch.stream = 9;
	fetch.from = 10;
	fetch.up_to = 12;
	fetch.window = 8;
	frame.body_case = FETCH;
	frame.fetch = &fetch;
	rig_hear(rig, anna, &frame);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].count_max, 2);
	rig_read(rig, &chain, 2);
	sent = rig_sent(rig, anna, BATCH, 0);
	assert_int_equal(sent->batch->first, 10);
	assert_int_equal(sent->batch->n_entries, 2);
	assert_int_equal(rig->read_count, 0);
	/* Nor what comes later. */
	chain_grow(&chain, 1);
	rig_append(rig, &chain, SIZE, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_null(rig_sent(rig, anna, BATCH, 0));
	assert_int_equal(rig->read_count, 0);
	chain_release(&chain);
}

static void test_marks_are_capped(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;
	Sauti__Fetch *fetch;

	rig_load_directory(rig);
	rig_chain(rig, CLEO, &chain, 2000);
	rig_load(rig, &chain, 2000, 2000, ACTORS);
	for (uint64_t i = 0; i < 2000; i++)
		damaged(rig, &chain, i);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_CORRUPT);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, 2000);
	fetch = asked(rig, anna, 0, LIMIT_BATCH_ENTRIES);
	assert_non_null(fetch);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup_empty, rig_teardown)
		T(runs_are_fetched_and_the_log_cosigned),
		T(own_log),
		T(the_first_entry),
		T(a_liar_and_a_mute_are_passed_over),
		T(who_holds_too_little_is_not_asked),
		T(new_entries_do_not_wait),
		T(the_disk_refuses),
		T(serving_ends_at_up_to),
		T(marks_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
