/*
 * Rates and hours that the operator set: what leaves, what is asked for, who is dialled.
 */
#include "tests/unit/engine/harness.h"

#define BATCH SAUTI__FRAME__BODY_BATCH
#define FETCH SAUTI__FRAME__BODY_FETCH
#define HELLO SAUTI__FRAME__BODY_HELLO

enum { ENTRY = 2000, COUNT = 200, DAY_S = 86400 };

/* Every hour of the week is of this kind. */
static struct rate_link always(uint64_t use)
{
	struct rate_link link = RATE_LINK_ANY;

	link.hours = (struct rate_hours){
		.rule = {{127, 0, 24 * 60, use}}, .count = 1, .otherwise = RATE_UNLIMITED};
	return link;
}

static void set_link(struct rig *rig, enum who peer, struct rate_link link)
{
	rig_step(rig,
		&(struct event){.type = EVENT_LINK, .peer = rig->actor[peer].name, .link = &link});
}

static void load_large(struct rig *rig, struct chain *chain)
{
	static uint8_t large[ENTRY];

	rig_load_directory(rig);
	rig_chain(rig, ANNA, chain, 1);
	for (size_t i = 1; i < COUNT; i++) {
		put_u32be(large, (uint32_t)i);
		chain_add(chain, bytes_make(large, ENTRY));
	}
	rig_load(rig, chain, COUNT, COUNT, ACTORS);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_LOCKED);
}

static size_t batch_bytes(const struct rig *rig)
{
	const struct effect *e;
	size_t size = 0;

	for (size_t i = 0; (e = rig_effect(rig, EFFECT_SEND, i)) != NULL; i++)
		size += e->class == SEND_BULK ? e->frame.size : 0;
	return size;
}

/* Catches cleo up for so long, with a link that is instant; the bytes of batches. */
static size_t serve_for(struct rig *rig, struct session_id s, const struct chain *chain,
	uint64_t *acknowledged, uint64_t ms)
{
	uint64_t told = *acknowledged;
	size_t size = 0;

	for (uint64_t end = rig->now_ms + ms; rig->now_ms < end;) {
		rig_tick(rig, 10);
		size += batch_bytes(rig);
		for (;;) {
			Sauti__Frame *frame;

			for (size_t i = 0; (frame = rig_sent(rig, s, BATCH, i)) != NULL; i++)
				*acknowledged = frame->batch->first + frame->batch->n_entries;
			if (rig->read_count > 0)
				rig_read(rig, chain,
					rig->reads[0].size_max / ENTRY > 0
						? rig->reads[0].size_max / ENTRY
						: 1);
			else if (told < *acknowledged)
				rig_hear_fetch(rig, s, &chain->origin, 1, told = *acknowledged, 8);
			else
				break;
			size += batch_bytes(rig);
		}
	}
	return size;
}

static void test_what_is_sent_keeps_to_the_rate(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct rate_link link = RATE_LINK_ANY;
	uint64_t acknowledged = 0;

	link.up = 8000;
	load_large(rig, &chain);
	set_link(rig, CLEO, link);
	struct session_id s = rig_session(rig, CLEO);

	rig_hear_fetch(rig, s, &chain.origin, 1, 0, 8);
	assert_in_range(
		serve_for(rig, s, &chain, &acknowledged, 20 * 1000), 8000 * 17, 8000 * 20 + 14000);
	chain_release(&chain);
}

/* What a peer asks for counts as if it were set here; and again without, when it does not. */
static void test_a_peer_asks_for_less(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	uint64_t acknowledged = 0;
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	load_large(rig, &chain);
	struct session_id s = rig_session(rig, CLEO);

	fetch.origin = chain.origin.text;
	fetch.stream = 1;
	fetch.window = 8;
	fetch.rate = 4000;
	frame.body_case = FETCH;
	frame.fetch = &fetch;
	rig_hear(rig, s, &frame);
	assert_int_equal(rig->reads[0].size_max, 6000);
	rig_read(rig, &chain, 3);
	assert_non_null(rig_sent(rig, s, BATCH, 0));
	rig_read(rig, &chain, 3);
	assert_null(rig_sent(rig, s, BATCH, 0)); /* over 3,000 bytes owed */
	rig_tick(rig, 500);
	assert_null(rig_sent(rig, s, BATCH, 0));
	rig_tick(rig, 1000);
	assert_non_null(rig_sent(rig, s, BATCH, 0));
	/* Any rate again. */
	rig_hear_fetch(rig, s, &chain.origin, 1, 6, 8);
	assert_true(serve_for(rig, s, &chain, &acknowledged, 1000) > (size_t)(COUNT - 20) * ENTRY);
	chain_release(&chain);
}

/* Receiving: it is said in Fetch, and what came too fast is acknowledged later. */
static void test_what_is_received(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct rate_link link = RATE_LINK_ANY;
	struct session_id s;
	Sauti__Frame *frame;

	link.down = 1000;
	set_link(rig, ANNA, link);
	rig_chain(rig, ANNA, &chain, 1);
	for (size_t i = 0; i < 9; i++)
		chain_add(&chain, bytes_make("entry entry entry entry", 23));
	static uint8_t large[ENTRY];

	chain_add(&chain, BYTES_ARRAY(large));
	s = rig_session(rig, ANNA);
	rig_hear_have(rig, s, &chain, 11);
	frame = rig_sent(rig, s, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->rate, 1000);
	uint32_t stream = frame->fetch->stream;

	rig_tick(rig, 3000);
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 0, 4, 11, true});
	rig_written(rig, OK);
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 4, 3, 11, false});
	rig_tick(rig, 3000);
	rig_written(rig, OK);
	assert_non_null(rig_sent(rig, s, FETCH, 0));
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 7, 1, 11, false});
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 8, 1, 11, false});
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 9, 1, 11, false});
	rig_written(rig, OK);
	rig_written(rig, OK);
	rig_written(rig, OK);
	assert_null(rig_sent(rig, s, FETCH, 0)); /* faster than it was to come */
	for (unsigned i = 0; i < 30 && rig_sent(rig, s, FETCH, 0) == NULL; i++) {
		assert_true(engine_deadline(rig->engine) <= rig->now_ms + 3000);
		rig_tick(rig, 100);
	}
	frame = rig_sent(rig, s, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 10);
	chain_release(&chain);
}

static void test_urgent_hours(void **state)
{
	struct rig *rig = *state;
	struct chain bulk, own, missing;

	load_large(rig, &bulk);
	set_link(rig, CLEO, always(RATE_URGENT));
	rig_own_log(rig, &own, 3);
	chain_grow(&own, 1);
	struct session_id s = rig_session(rig, CLEO);

	/* Nothing is served that catches up, what is new is. */
	rig_hear_fetch(rig, s, &bulk.origin, 1, 0, 8);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, s, &own.origin, 2, 3, 8);
	rig_append(rig, &own, 3, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_non_null(rig_sent(rig, s, BATCH, 0));
	/* Nothing is asked for that is long; a little is. */
	rig_chain(rig, CLEO, &missing, 500);
	rig_hear_have(rig, s, &missing, 500);
	assert_null(rig_sent(rig, s, FETCH, 0));
	set_link(rig, CLEO, always(RATE_UNLIMITED));
	rig_tick(rig, 30 * 1000);
	assert_non_null(rig_sent(rig, s, FETCH, 0));
	assert_int_equal(rig->read_count, 1);
	chain_release(&bulk);
	chain_release(&own);
	chain_release(&missing);
}

static void test_closed_hours(void **state)
{
	struct rig *rig = *state;
	struct rate_link link = RATE_LINK_ANY;

	/* In a minute: the rig's clock begins at 22:30. */
	link.hours = (struct rate_hours){.rule = {{127, 22 * 60 + 31, 22 * 60 + 36, RATE_CLOSED}},
		.count = 1,
		.otherwise = RATE_UNLIMITED};
	set_link(rig, ANNA, link);
	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "anna"});
	rig_tick(rig, 1000);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 1);
	struct session_id s = rig_connect(rig, ANNA, true);

	rig_hello(rig, s, ANNA);
	for (unsigned i = 0; i < 20 && !rig_closed(rig, s); i++) {
		assert_true(engine_deadline(rig->engine) <= rig->now_ms + 30 * 1000);
		rig_tick(rig, 10 * 1000);
	}
	assert_true(rig_closed(rig, s));
	assert_true(rig_noticed(rig, NOTICE_INFO, "closed"));
	rig_disconnect(rig, s);
	/* Nobody is dialled, who dials is sent away. */
	for (unsigned i = 0; i < 10; i++) {
		rig_tick(rig, 10 * 1000);
		assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	}
	s = rig_connect(rig, ANNA, false);
	assert_true(rig_closed(rig, s));
	rig_disconnect(rig, s);
	/* Others are free. */
	s = rig_session(rig, CLEO);
	assert_false(rig_closed(rig, s));
	/* And after it, by itself. */
	unsigned dials = 0;

	for (unsigned i = 0; i < 40 && dials == 0; i++) {
		assert_true(engine_deadline(rig->engine) <= rig->now_ms + 60 * 1000);
		rig_tick(rig, 10 * 1000);
		dials += rig_count(rig, EFFECT_DIAL);
	}
	assert_int_equal(dials, 1);
}

/* A metered link is pinged rarely, also by the side that was only told. */
static void test_metered(void **state)
{
	struct rig *rig = *state;
	struct rate_link link = RATE_LINK_ANY;
	Sauti__Hello hello = SAUTI__HELLO__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT, *sent;
	struct session_id s;

	link.metered = true;
	set_link(rig, ANNA, link);
	s = rig_connect(rig, ANNA, false);
	sent = rig_sent(rig, s, HELLO, 0);
	assert_int_equal(sent->hello->features, 1);
	rig_hello(rig, s, ANNA);
	assert_int_equal(
		engine_deadline(rig->engine), rig->now_ms + engine_timing_default.metered_ping);
	rig_tick(rig, engine_timing_default.metered_ping);
	assert_non_null(rig_sent(rig, s, SAUTI__FRAME__BODY_PING, 0));
	rig_tick(rig, engine_timing_default.metered_close - engine_timing_default.metered_ping);
	assert_true(rig_closed(rig, s));
	assert_true(engine_timing_default.metered_close <= 10 * 60 * 1000);
	rig_disconnect(rig, s);
	s = rig_connect(rig, CLEO, false);
	sent = rig_sent(rig, s, HELLO, 0);
	assert_int_equal(sent->hello->features, 0);
	hello.network = NETWORK;
	hello.node = "cleo";
	hello.protocol_min = hello.protocol_max = PROTOCOL_VERSION;
	hello.max_frame = LIMIT_FRAME_SIZE;
	hello.format = FORMAT_VERSION;
	hello.features = 1;
	frame.body_case = HELLO;
	frame.hello = &hello;
	rig_hear(rig, s, &frame);
	assert_int_equal(
		engine_deadline(rig->engine), rig->now_ms + engine_timing_default.metered_ping);
}

/* A message that is on its way for minutes is progress: its sender is neither silent nor replaced.
 */
static void test_slow_is_not_silent(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id anna, cleo;

	rig_chain(rig, ANNA, &chain, 4);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, 4);
	Sauti__Frame *asked = rig_sent(rig, anna, FETCH, 0);

	assert_non_null(asked);
	uint32_t stream = asked->fetch->stream;

	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &chain, 4);
	for (unsigned i = 0; i < 8; i++) {
		rig_tick(rig, 40 * 1000);
		assert_false(rig_noticed(rig, NOTICE_INFO, "sends nothing"));
		assert_false(rig_closed(rig, anna));
		rig_step(rig, &(struct event){.type = EVENT_ARRIVING, .session = anna});
	}
	rig_hear_batch(rig, anna, &chain, (struct batch_opts){stream, 0, 4, 4, true});
	assert_int_equal(rig_count(rig, EFFECT_WRITE), 1);
	chain_release(&chain);
}

/* The wall clock jumps by years and back: what is closed opens again, nothing hangs. */
static void test_clock_jumps(void **state)
{
	struct rig *rig = *state;
	struct rate_link link = always(RATE_CLOSED);
	struct effects out = {0};
	uint64_t walls[] = {0, UINT64_MAX, 4102444800u, 1700000000u};

	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "anna"});
	set_link(rig, ANNA, link);
	for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
		struct event tick = {.type = EVENT_TICK,
			.now_ms = rig->now_ms += 400 * 1000,
			.wall_s = walls[i]};

		assert_int_equal(engine_step(rig->engine, &tick, &out), OK);
		assert_true(engine_deadline(rig->engine) <= rig->now_ms + 30 * 1000);
		effects_clear(&out);
	}
	effects_release(&out);
	set_link(rig, ANNA, always(RATE_UNLIMITED));
	rig_tick(rig, 400 * 1000);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 1);
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, rig_setup_empty, rig_teardown)
#define TEST(name)  cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMPTY(test_what_is_sent_keeps_to_the_rate),
		EMPTY(test_a_peer_asks_for_less),
		TEST(test_what_is_received),
		EMPTY(test_urgent_hours),
		TEST(test_closed_hours),
		TEST(test_metered),
		TEST(test_clock_jumps),
		TEST(test_slow_is_not_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
