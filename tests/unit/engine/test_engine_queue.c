/*
 * What leaves first, and how much is on its way: ben serves cleo a large log of anna's, whose
 * batches wait for the link, while other things come up.
 */
#include "tests/unit/engine/harness.h"

#include <stdlib.h>

#include "replication/engine/internal.h"
#include "replication/engine/pace.h"

#define BATCH SAUTI__FRAME__BODY_BATCH

enum { LARGE = 4096, COUNT = 400, OWN = 3 };

struct scene {
	struct rig *rig;
	struct chain bulk, own;
	struct session_id cleo;
	uint64_t acknowledged; /* of the bulk */
};

static void scene_begin(struct scene *scene, void **state)
{
	static uint8_t large[LARGE];
	struct rig *rig = *state;

	*scene = (struct scene){.rig = rig};
	rig_load_directory(rig);
	rig_chain(rig, ANNA, &scene->bulk, 1);
	for (size_t i = 1; i < COUNT; i++) {
		put_u32be(large, (uint32_t)i);
		chain_add(&scene->bulk, bytes_make(large, LARGE));
	}
	rig_load(rig, &scene->bulk, COUNT, COUNT, ACTORS);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_LOCKED); /* cosignatures are not the point here */
	rig_own_log(rig, &scene->own, OWN);
	chain_grow(&scene->own, 100);
	rig->kernel_full = true;
	scene->cleo = rig_session(rig, CLEO);
	rig_step(rig, &(struct event){.type = EVENT_SENT, .session = scene->cleo, .size = 1 << 30});
}

static void scene_end(struct scene *scene)
{
	chain_release(&scene->bulk);
	chain_release(&scene->own);
}

/* The store answers until nothing is read any more; the bytes of bulk that left meanwhile. */
static size_t read_all(struct scene *scene)
{
	struct rig *rig = scene->rig;
	size_t size = 0;

	while (rig->read_count > 0) {
		size_t most = rig->reads[0].size_max / LARGE;
		bool bulk = strcmp(rig->reads[0].origin.text, scene->bulk.origin.text) == 0;

		rig_read(rig, bulk ? &scene->bulk : &scene->own, most > 0 ? most : 1);
		for (size_t i = 0; rig_effect(rig, EFFECT_SEND, i) != NULL; i++)
			size += rig_effect(rig, EFFECT_SEND, i)->frame.size;
	}
	return size;
}

static void kernel_took(struct scene *scene, size_t size)
{
	rig_step(scene->rig,
		&(struct event){.type = EVENT_SENT, .session = scene->cleo, .size = size});
}

/* Everything that leaves until nothing does, with a kernel that takes it at once. */
static size_t drain(struct scene *scene)
{
	size_t all = 0, size = read_all(scene);

	for (; size > 0; size += read_all(scene)) {
		all += size;
		kernel_took(scene, size);
		size = 0;
		for (size_t i = 0; rig_effect(scene->rig, EFFECT_SEND, i) != NULL; i++)
			size += rig_effect(scene->rig, EFFECT_SEND, i)->frame.size;
	}
	return all;
}

static void bulk_begins(struct scene *scene)
{
	rig_hear_fetch(scene->rig, scene->cleo, &scene->own.origin, 1, OWN, 8);
	rig_hear_fetch(scene->rig, scene->cleo, &scene->bulk.origin, 2, 0, LIMIT_FETCH_WINDOW);
}

static void own_append(struct scene *scene, size_t count)
{
	struct engine_log log;

	assert_true(rig_log(scene->rig, &scene->own.origin, &log));
	rig_append(scene->rig, &scene->own, log.size, count);
	rig_signed(scene->rig, OK);
	rig_written(scene->rig, OK);
}

static const char *batch_origin(struct scene *scene, size_t n)
{
	Sauti__Frame *frame = rig_sent(scene->rig, scene->cleo, BATCH, n);

	return frame == NULL ? "" : frame->batch->origin;
}

/* Before anything is known of the link, so much is on its way and no more; when it is known to be
 * slow, about as much as it carries in its round trip and one batch. */
static void test_in_flight_is_bounded(void **state)
{
	struct scene scene;
	size_t size;

	scene_begin(&scene, state);
	bulk_begins(&scene);
	size = drain(&scene);
	assert_in_range(size, PACE_START_FLIGHT, PACE_START_FLIGHT + 2 * PACE_BATCH_START);
	assert_int_equal(drain(&scene), 0);
	rig_tick(scene.rig, 3600 * 1000); /* time alone opens nothing */
	assert_int_equal(drain(&scene), 0);
	scene_end(&scene);
}

/* 8,000 bytes a second: each acknowledgement comes when the link has carried what it is for. */
static void test_batches_follow_the_rate(void **state)
{
	struct scene scene;
	uint64_t acknowledged = 0;
	size_t size = 0;

	scene_begin(&scene, state);
	bulk_begins(&scene);
	drain(&scene);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t step = i == 0 ? 4 : 2; /* entries */

		acknowledged += step;
		scene.rig->now_ms += step * LARGE / 8;
		rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, acknowledged,
			LIMIT_FETCH_WINDOW);
		size = 0;
		for (size_t k = 0; rig_effect(scene.rig, EFFECT_SEND, k) != NULL; k++)
			size += rig_effect(scene.rig, EFFECT_SEND, k)->frame.size;
		kernel_took(&scene, size);
		drain(&scene);
		if (scene.rig->read_count > 0)
			assert_true(scene.rig->reads[0].size_max <= LIMIT_BATCH_SIZE);
	}
	struct engine_peer peer;

	for (size_t i = 0; i < engine_peer_count(scene.rig->engine); i++) {
		engine_peer_at(scene.rig->engine, i, &peer);
		if (strcmp(peer.name, "cleo") == 0)
			assert_in_range(peer.rate, 7000, 10000);
	}
	scene_end(&scene);
}

/* A live entry is the next thing to leave, although bulk waits; so is a Pong, before both. */
static void test_what_is_urgent_overtakes(void **state)
{
	struct scene scene;
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	scene_begin(&scene, state);
	bulk_begins(&scene);
	drain(&scene); /* more waits than may be on its way */
	own_append(&scene, 1);
	assert_string_equal(batch_origin(&scene, 0), scene.own.origin.text);
	assert_int_equal(rig_effect(scene.rig, EFFECT_SEND, 0)->class, SEND_LIVE);
	frame.body_case = SAUTI__FRAME__BODY_PING;
	frame.ping = &ping;
	rig_hear(scene.rig, scene.cleo, &frame);
	assert_non_null(rig_sent(scene.rig, scene.cleo, SAUTI__FRAME__BODY_PONG, 0));
	assert_int_equal(rig_effect(scene.rig, EFFECT_SEND, 0)->class, SEND_CONTROL);
	scene_end(&scene);
}

/* With the kernel full nothing but what keeps the session going is handed over: it could not be
 * overtaken any more. The first thing after that is the live entry. */
static void test_little_is_handed_over(void **state)
{
	struct scene scene;
	size_t size;

	scene_begin(&scene, state);
	bulk_begins(&scene);
	size = read_all(&scene);
	assert_true(size >= 64 * 1024);
	own_append(&scene, 1);
	assert_int_equal(rig_count(scene.rig, EFFECT_SEND), 0);
	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, 16, LIMIT_FETCH_WINDOW);
	assert_int_equal(rig_count(scene.rig, EFFECT_SEND), 0);
	kernel_took(&scene, size);
	assert_string_equal(batch_origin(&scene, 0), scene.own.origin.text);
	assert_string_equal(batch_origin(&scene, 1), scene.bulk.origin.text);
	scene_end(&scene);
}

/* A stream of live entries does not keep the bulk waiting for ever. */
static void test_nothing_starves(void **state)
{
	struct scene scene;
	unsigned live = 0, bulk = 0;

	scene_begin(&scene, state);
	static uint8_t large[LARGE];

	for (size_t i = 0; i < 100; i++)
		chain_add(&scene.own, bytes_make(large, LARGE));
	own_append(&scene, 100);
	rig_step(scene.rig,
		&(struct event){.type = EVENT_SENT, .session = scene.cleo, .size = 1 << 30});
	rig_hear_fetch(scene.rig, scene.cleo, &scene.own.origin, 1, OWN + 100, 8);
	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, 0, LIMIT_FETCH_WINDOW);
	drain(&scene);
	for (unsigned i = 0; i < 100; i++) {
		struct engine_log log;

		own_append(&scene, 1);
		for (size_t k = 0; batch_origin(&scene, k)[0] != '\0'; k++) {
			live += strcmp(batch_origin(&scene, k), scene.own.origin.text) == 0;
			bulk += strcmp(batch_origin(&scene, k), scene.bulk.origin.text) == 0;
		}
		kernel_took(&scene, LARGE);
		scene.rig->now_ms += 1;
		assert_true(rig_log(scene.rig, &scene.own.origin, &log));
		rig_hear_fetch(scene.rig, scene.cleo, &scene.own.origin, 1, log.size, 8);
		for (size_t k = 0; batch_origin(&scene, k)[0] != '\0'; k++)
			bulk += strcmp(batch_origin(&scene, k), scene.bulk.origin.text) == 0;
	}
	assert_int_equal(live, 100);
	assert_true(bulk > 0);
	scene_end(&scene);
}

/* What waits for a stream that its receiver has given up is not sent any more; and a checkpoint
 * that was only on such a batch is announced again. */
static void test_an_ended_stream_is_not_sent(void **state)
{
	struct scene scene;
	Sauti__Frame *frame;

	scene_begin(&scene, state);
	bulk_begins(&scene);
	size_t size = read_all(&scene); /* the kernel is full, batches wait */

	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, 0, 0);
	kernel_took(&scene, size);
	assert_string_equal(batch_origin(&scene, 0), "");
	assert_int_equal(drain(&scene), 0);
	/* It comes back, to go on further down. */
	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 3, 100, 8);
	rig_read(scene.rig, &scene.bulk, 4);
	frame = rig_sent(scene.rig, scene.cleo, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->first, 100);
	assert_true(frame->batch->checkpoint.len > 0);
	scene_end(&scene);
}

/* The smallest gap first. */
static void test_smallest_gap_first(void **state)
{
	struct scene scene;

	scene_begin(&scene, state);
	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, 0, LIMIT_FETCH_WINDOW);
	while (scene.rig->read_count > 0 && rig_count(scene.rig, EFFECT_SEND) <= 1)
		rig_read(scene.rig, &scene.bulk, 4);
	drain(&scene);
	rig_hear_fetch(scene.rig, scene.cleo, &scene.own.origin, 1, 0, 8); /* 3 missing */
	rig_hear_fetch(scene.rig, scene.cleo, &scene.bulk.origin, 2, 16, LIMIT_FETCH_WINDOW);
	assert_true(scene.rig->read_count > 0);
	assert_string_equal(scene.rig->reads[0].origin.text, scene.own.origin.text);
	scene_end(&scene);
}

static bool lag_of(const struct rig *rig, const char *name, const struct origin *origin,
	struct engine_lag *ret)
{
	struct engine_log log;
	struct engine_peer peer;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(origin->text), &log, &position));
	for (size_t i = 0; i < engine_peer_count(rig->engine); i++) {
		engine_peer_at(rig->engine, i, &peer);
		if (strcmp(peer.name, name) == 0)
			return engine_peer_lag(rig->engine, i, position, ret);
	}
	return false;
}

/* Who is how far behind, and since when; also of a peer that has gone. */
static void test_lag(void **state)
{
	struct rig *rig = *state;
	struct chain own, anna;
	struct engine_lag lag;
	struct engine_log log;
	struct session_id s;

	rig_load_directory(rig);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_LOCKED);
	rig_own_log(rig, &own, 3);
	chain_grow(&own, 2);
	assert_false(lag_of(rig, "cleo", &own.origin, &lag)); /* it has not said */
	s = rig_session(rig, CLEO);
	assert_true(lag_of(rig, "cleo", &own.origin, &lag));
	assert_int_equal(lag.entries, 3);
	assert_int_equal(lag.since_s, 1700000000 + rig->now_ms / 1000);
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 8);
	rig_read(rig, &own, 3);
	rig_hear_held(rig, s, CLEO, &own, 3);
	assert_true(lag_of(rig, "cleo", &own.origin, &lag));
	assert_int_equal(lag.entries, 0);
	assert_int_equal(lag.since_s, 0);
	rig_disconnect(rig, s);
	rig->now_ms += 3600 * 1000;
	uint64_t then = 1700000000 + rig->now_ms / 1000;

	rig_append(rig, &own, 3, 2);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	rig_tick(rig, 7200 * 1000);
	assert_true(lag_of(rig, "cleo", &own.origin, &lag));
	assert_int_equal(lag.held, 3);
	assert_int_equal(lag.entries, 2);
	assert_int_equal(lag.since_s, then);
	assert_true(lag.bytes > 0);
	/* What this node lacks; it is not forgotten when those have gone who showed it. */
	while (rig->write_count > 0)
		rig_written(rig, OK);
	rig_chain(rig, ANNA, &anna, 10);
	s = rig_session(rig, ANNA);
	rig_fetch_all(rig, s, &anna, 4);
	rig_hear_have(rig, s, &anna, 10);
	assert_true(rig_log(rig, &anna.origin, &log));
	assert_int_equal(log.known - log.size, 6);
	then = 1700000000 + rig->now_ms / 1000;
	rig_disconnect(rig, s);
	rig_tick(rig, 7200 * 1000);
	assert_true(rig_log(rig, &anna.origin, &log));
	assert_int_equal(log.known - log.size, 6);
	assert_int_equal(log.behind_since_s, then);
	assert_true(log.entry_bytes > 0);
	assert_false(lag_of(rig, "anna", &anna.origin, &lag)); /* its own */
	chain_release(&own);
	chain_release(&anna);
}

/* A message of `size` bytes that waits for a session, whoever wants to send it. */
static bool queue_some(struct rig *rig, struct session_id id, size_t size)
{
	struct session *session = session_find(rig->engine, id);
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	Sauti__Bye bye = SAUTI__BYE__INIT;
	struct effects out = {0};
	char *text = calloc(1, size);
	size_t before = session->queued;

	memset(text, 'x', size - 32);
	bye.reason = text;
	frame.body_case = SAUTI__FRAME__BODY_BYE;
	frame.bye = &bye;
	rig->engine->out = &out;
	effect_send_class(rig->engine, session, &frame, SEND_HAVE);
	effects_release(&out);
	free(text);
	return session->queued > before;
}

static void queue_up_to(struct rig *rig, struct session_id id, size_t size)
{
	struct session *session = session_find(rig->engine, id);
	enum { PIECE = 256 * 1024 };

	while (session->queued < size) {
		size_t left = size - session->queued;

		assert_true(queue_some(rig, id, left < PIECE ? (left < 64 ? 64 : left) : PIECE));
	}
}

/* Each of two within what one may have, together at the cap: both stay. One message more: the one
 * for whom more waits goes, whoever asked for it. */
static void test_who_reads_least_goes(void **state)
{
	struct rig *rig = *state;
	struct session_id anna, cleo;

	rig_load_directory(rig);
	rig_start(rig);
	rig->kernel_full = true;
	anna = rig_session(rig, ANNA);
	cleo = rig_session(rig, CLEO);
	queue_up_to(rig, anna, LIMIT_SEND_TOTAL / 2 + 100000);
	queue_up_to(rig, cleo, LIMIT_SEND_TOTAL - 128 - session_find(rig->engine, anna)->queued);
	assert_false(session_find(rig->engine, anna)->flooded);
	assert_false(session_find(rig->engine, cleo)->flooded);
	assert_true(queue_some(rig, cleo, 256));
	rig_tick(rig, 1);
	assert_true(rig_closed(rig, anna));
	assert_false(rig_closed(rig, cleo));
	assert_true(rig_noticed(rig, NOTICE_WARNING, "does not read"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup_empty, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_flight_is_bounded),
		TEST(test_batches_follow_the_rate),
		TEST(test_what_is_urgent_overtakes),
		TEST(test_little_is_handed_over),
		TEST(test_nothing_starves),
		TEST(test_an_ended_stream_is_not_sent),
		TEST(test_smallest_gap_first),
		TEST(test_lag),
		TEST(test_who_reads_least_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
