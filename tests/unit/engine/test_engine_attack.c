/*
 * Attacks on evidence, pace and refetching, as a peer with a good certificate or a dishonest author
 * would try them: to have an honest node blamed, a fork forgotten, a link or a processor kept busy.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#include "replication/log/evidence.h"

#define FETCH    SAUTI__FRAME__BODY_FETCH
#define BATCH    SAUTI__FRAME__BODY_BATCH
#define EVIDENCE SAUTI__FRAME__BODY_EVIDENCE
#define PROVE    SAUTI__FRAME__BODY_PROVE
#define PROVED   SAUTI__FRAME__BODY_PROVED

/* Two histories of anna's log, of the same first `common` entries. */
struct fork {
	struct chain left, right;
};

static void fork_init(struct rig *rig, struct fork *fork, size_t common, size_t size)
{
	rig_chain(rig, ANNA, &fork->left, size);
	rig_chain(rig, ANNA, &fork->right, common);
	while (fork->right.count < size)
		chain_add(&fork->right, bytes_str("another history"));
}

static void fork_release(struct fork *fork)
{
	chain_release(&fork->left);
	chain_release(&fork->right);
}

/* Evidence of two roots at one size; initialises ret. */
static void evidence_of(const struct fork *fork, uint64_t size, struct buf *ret)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {0};
	struct evidence_parts parts = {.opened = fork->left.entry[0]};
	struct note_key key;

	chain_note(&fork->left, size, &a);
	chain_note(&fork->right, size, &b);
	parts.a = buf_bytes(&a);
	parts.b = buf_bytes(&b);
	assert_int_equal(log_note_key(&fork->left.origin, signer_public(fork->left.key), &key), OK);
	buf_init(ret, LIMIT_EVIDENCE_SIZE);
	assert_int_equal(evidence_make(&parts, &key, ret, NULL), OK);
}

static void hear_evidence(struct rig *rig, struct session_id session, struct bytes message)
{
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(
		CODEC_UNPACK(evidence, message, &scan_limits_strict, &arena, &frame.evidence, NULL),
		OK);
	frame.body_case = EVIDENCE;
	rig_hear(rig, session, &frame);
	arena_release(&arena);
}

static void hear_prove(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size)
{
	CLEANUP(buf_release) struct buf note = {0};
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	chain_note(chain, size, &note);
	prove.origin = (char *)chain->origin.text;
	prove.checkpoint = codec_binary(buf_bytes(&note));
	frame.body_case = PROVE;
	frame.prove = &prove;
	rig_hear(rig, session, &frame);
}

/* "I cannot tell", about that size. */
static void is_answered_with_nothing(struct rig *rig, struct session_id session, uint64_t size)
{
	Sauti__Frame *frame = rig_sent(rig, session, PROVED, 0);

	assert_non_null(frame);
	assert_int_equal(frame->proved->size, size);
	assert_int_equal(frame->proved->checkpoint.len, 0);
}

/* ---- an author who opens one log with two keys ---- */

/* Anna's log as she gives it to others: the same origin, another key, also signed by her. */
static void second_opening(struct rig *rig, struct chain *chain, size_t size)
{
	chain_init(chain, &rig->actor[ANNA].origin, rig->actor[DORA].log);
	chain_add_opened(chain, rig->actor[ANNA].node);
	chain_grow(chain, size - 1);
}

/* Those who have one opening must not part from those who have the other. */
static void test_two_keys_part_nobody(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first, second;

	rig_chain(rig, ANNA, &first, 6);
	second_opening(rig, &second, 9);
	rig_fetch_all(rig, anna, &first, 6);
	rig_hear_have(rig, cleo, &second, 9);
	assert_false(rig_closed(rig, cleo));
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	hear_prove(rig, cleo, &second, 9);
	assert_false(rig_closed(rig, cleo));
	is_answered_with_nothing(rig, cleo, 9);
	chain_release(&first);
	chain_release(&second);
}

/* The same, when both had shown it before either key was known. */
static void test_two_keys_and_a_batch(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first, second;
	Sauti__Frame *fetch;

	rig_chain(rig, ANNA, &first, 6);
	second_opening(rig, &second, 9);
	rig_hear_have(rig, anna, &first, 6);
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	uint32_t stream = fetch->fetch->stream;

	rig_hear_have(rig, cleo, &second, 9);
	rig_hear_batch(rig, anna, &first, (struct batch_opts){stream, 0, 6, 6, true});
	rig_written(rig, OK);
	fetch = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(
		rig, cleo, &second, (struct batch_opts){fetch->fetch->stream, 6, 3, 9, true});
	assert_false(rig_closed(rig, cleo));
	chain_release(&first);
	chain_release(&second);
}

/* The directory has one key, which everybody knows. */
static void test_no_other_key_for_the_directory(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain forged = rig->directory;

	forged.key = rig->actor[CLEO].log;
	rig_hear_have(rig, cleo, &forged, forged.count);
	assert_true(rig_closed(rig, cleo));
}

/* Evidence under one key comes first; who shows a checkpoint under the other is not to blame. */
static void test_two_keys_and_evidence(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first;
	struct fork fork;
	struct buf message;

	rig_chain(rig, ANNA, &first, 6);
	second_opening(rig, &fork.left, 5);
	second_opening(rig, &fork.right, 4);
	chain_add(&fork.right, bytes_str("another history"));
	evidence_of(&fork, 5, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	rig_hear_have(rig, anna, &first, 6);
	assert_false(rig_closed(rig, anna));
	buf_release(&message);
	chain_release(&first);
	fork_release(&fork);
}

/* ---- evidence that is of use to nobody, or forgotten ---- */

/* An author contradicts herself while her first entries are on their way to the disk. */
static void test_evidence_carries_the_log_opened(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;
	Sauti__Frame *frame;
	struct evidence evidence;
	struct note_key key;

	fork_init(rig, &fork, 4, 6);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_hear_have(rig, anna, &fork.left, 6);
	frame = rig_sent(rig, anna, FETCH, 0);
	rig_hear_batch(
		rig, anna, &fork.left, (struct batch_opts){frame->fetch->stream, 0, 3, 6, true});
	assert_int_equal(rig->write_count, 1);
	rig_hear_have(rig, anna, &fork.right, 6);
	frame = rig_sent(rig, cleo, EVIDENCE, 0);
	assert_non_null(frame);
	assert_int_equal(evidence_read(frame->evidence, &evidence, NULL), OK);
	assert_int_equal(evidence_key(&evidence, &rig->actor[ANNA].member.node, &key, NULL), OK);
	fork_release(&fork);
}

/* Evidence of a log of which nothing is held; after a restart somebody invents logs of its author
 * until there is no room. */
static void test_evidence_keeps_its_place(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct fork fork;
	struct buf message;
	struct engine_log log;

	fork_init(rig, &fork, 4, 6);
	evidence_of(&fork, 6, &message);
	rig_restart(rig);
	rig_step(rig, &(struct event){.type = EVENT_EVIDENCE_LOADED, .entry = buf_bytes(&message)});
	rig_load_directory(rig);
	rig_start(rig);
	cleo = rig_session(rig, CLEO);
	for (unsigned i = 0; i <= LIMIT_EPOCHS_PER_NODE; i++) {
		uint8_t random[8] = {0xff, 0, 0, 0, 0, 0, 0, (uint8_t)i};
		struct chain invented;
		struct origin origin;

		assert_int_equal(
			origin_make(bytes_str(NETWORK), bytes_str("anna"), 7, random, &origin), OK);
		chain_init(&invented, &origin, rig->actor[CLEO].log);
		chain_grow(&invented, 1);
		rig_hear_have(rig, cleo, &invented, 1);
		chain_release(&invented);
	}
	assert_true(rig_log(rig, &fork.left.origin, &log));
	assert_true(log.frozen);
	assert_int_equal(log.evidence, 1);
	buf_release(&message);
	fork_release(&fork);
}

/* A target that was never reached is not yet of the history that is held. */
static void test_a_pin_is_not_ours_before_it_is_reached(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;
	Sauti__Frame *fetch;

	fork_init(rig, &fork, 4, 12);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_hear_have(rig, anna, &fork.left, 8);
	fetch = rig_sent(rig, anna, FETCH, 0);
	rig_hear_batch(
		rig, anna, &fork.left, (struct batch_opts){fetch->fetch->stream, 0, 3, 8, true});
	rig_written(rig, OK);
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &fork.right, 12);
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(
		rig, anna, &fork.right, (struct batch_opts){fetch->fetch->stream, 3, 9, 12, true});
	rig_written(rig, OK);
	/* What was pinned once is shown by somebody who has it. */
	rig_hear_have(rig, cleo, &fork.left, 8);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].kind, READ_PROOF);
	rig_read(rig, &fork.right, 0);
	assert_non_null(rig_sent(rig, cleo, EVIDENCE, 0));
	fork_release(&fork);
}

/* Old checkpoints, shown one after the other, do not make a node forget the newest: whoever cosigns
 * that is believed. */
static void test_old_checkpoints_displace_no_new_one(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct chain own;

	rig_own_log(rig, &own, 40);
	cleo = rig_session(rig, CLEO);
	for (uint64_t size = 1; size <= 20; size++) {
		rig_hear_have(rig, cleo, &own, size);
		while (rig->read_count > 0)
			rig_read(rig, &own, 0);
	}
	rig_hear_held(rig, cleo, CLEO, &own, 40);
	assert_int_equal(rig_count(rig, EFFECT_HELD), 1);
	chain_release(&own);
}

/* ---- who is asked and cannot tell says so: silence would be taken for a lie ---- */

static void asked_begin(struct rig *rig, struct fork *fork, struct session_id *ret_cleo)
{
	struct session_id anna = rig_session(rig, ANNA);

	fork_init(rig, fork, 4, 12);
	rig_fetch_all(rig, anna, &fork->left, 9);
	*ret_cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, *ret_cleo, &rig->directory, rig->directory.count);
}

static void test_asked_and_the_disk_fails(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct fork fork;

	asked_begin(rig, &fork, &cleo);
	hear_prove(rig, cleo, &fork.left, 6);
	rig_read(rig, NULL, 0);
	is_answered_with_nothing(rig, cleo, 6);
	fork_release(&fork);
}

static void test_asked_and_then_shown(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct fork fork;

	asked_begin(rig, &fork, &cleo);
	hear_prove(rig, cleo, &fork.left, 6);
	/* Its own log grows meanwhile, and it says so. */
	rig_hear_have(rig, cleo, &fork.left, 7);
	is_answered_with_nothing(rig, cleo, 6);
	while (rig->read_count > 0)
		rig_read(rig, &fork.left, 0);
	fork_release(&fork);
}

static void test_asked_and_found_out_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo, anna;
	struct fork fork;
	struct buf message;

	asked_begin(rig, &fork, &cleo);
	anna = rig_connect(rig, ANNA, true);
	rig_hello(rig, anna, ANNA);
	hear_prove(rig, cleo, &fork.left, 6);
	evidence_of(&fork, 7, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	rig_read(rig, &fork.left, 0);
	is_answered_with_nothing(rig, cleo, 6);
	buf_release(&message);
	fork_release(&fork);
}

/* Asked about what only one who has our key or our past can have signed: there is no evidence yet.
 */
static void test_asked_about_ones_own_future(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain own;

	rig_own_log(rig, &own, 9);
	chain_grow(&own, 3);
	hear_prove(rig, cleo, &own, 12);
	is_answered_with_nothing(rig, cleo, 12);
	chain_release(&own);
}

/* ---- links and processors ---- */

/* Who has damaged entries and nobody to ask sleeps all the same. */
static void test_damage_and_nobody_there(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;
	struct store_mark mark = {.index = 7};

	rig_load_directory(rig);
	rig_chain(rig, CLEO, &chain, 40);
	rig_load(rig, &chain, 40, 40, ACTORS);
	mark.leaf = chain.leaf[7];
	rig_step(rig,
		&(struct event){.type = EVENT_DAMAGED, .origin = &chain.origin, .mark = &mark});
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_CORRUPT);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, 40);
	rig_tick(rig, engine_timing_default.fetch_timeout); /* it says nothing */
	rig_disconnect(rig, anna);
	rig_tick(rig, 10 * engine_timing_default.fetch_timeout);
	rig_tick(rig, 1);
	assert_true(engine_deadline(rig->engine) > rig->now_ms);
	chain_release(&chain);
}

/* Entries that leave for each of two sessions in so many seconds, both asking without end. */
static void share(struct rig *rig, const struct chain *chain, const struct session_id session[2],
	unsigned seconds, size_t ret[2])
{
	uint64_t end = rig->now_ms + 1000 * (uint64_t)seconds;
	uint32_t stream = 1;

	ret[0] = ret[1] = 0;
	for (unsigned i = 0; i < 2; i++)
		rig_hear_fetch(rig, session[i], &chain->origin, stream, 0, LIMIT_FETCH_WINDOW);
	while (rig->now_ms < end) {
		uint64_t due = engine_deadline(rig->engine);

		while (rig->read_count > 0)
			rig_read(rig, chain, 4);
		rig_tick(
			rig, due > rig->now_ms && due - rig->now_ms < 100 ? due - rig->now_ms : 10);
		for (unsigned i = 0; i < 2; i++) {
			Sauti__Frame *frame = rig_sent(rig, session[i], BATCH, 0);
			uint64_t got;

			if (frame == NULL)
				continue;
			got = frame->batch->first + frame->batch->n_entries;
			ret[i] += frame->batch->n_entries;
			if (got < chain->count)
				rig_hear_fetch(rig, session[i], &chain->origin,
					frame->batch->stream, got, LIMIT_FETCH_WINDOW);
			else /* once more, from the beginning */
				rig_hear_fetch(rig, session[i], &chain->origin, ++stream, 0,
					LIMIT_FETCH_WINDOW);
		}
	}
}

/* Who asks without end does not keep a link with a rate from the others. */
static void test_nobody_takes_a_link_from_others(void **state)
{
	static const uint8_t large[4096];
	struct rate_link link = RATE_LINK_ANY;
	struct rig *rig = *state;
	struct session_id session[2];
	struct chain chain;
	size_t got[2];

	link.up = 20 * 1000;
	rig->opts.link = &link;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_chain(rig, ANNA, &chain, 1);
	for (size_t i = 1; i < 200; i++)
		chain_add(&chain, BYTES_ARRAY(large));
	rig_load(rig, &chain, 200, 200, ACTORS);
	rig_start(rig);
	while (rig->sign_count > 0)
		rig_signed(rig, ERR_LOCKED);
	session[0] = rig_session(rig, CLEO);
	session[1] = rig_session(rig, ANNA);
	share(rig, &chain, session, 60, got);
	assert_in_range(got[0] + got[1], 150, 320);
	assert_true(got[0] > 60 && got[1] > 60);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)
		T(two_keys_part_nobody),
		T(two_keys_and_a_batch),
		T(no_other_key_for_the_directory),
		T(two_keys_and_evidence),
		T(evidence_carries_the_log_opened),
		T(evidence_keeps_its_place),
		T(a_pin_is_not_ours_before_it_is_reached),
		T(old_checkpoints_displace_no_new_one),
		T(asked_and_the_disk_fails),
		T(asked_and_then_shown),
		T(asked_and_found_out_meanwhile),
		T(asked_about_ones_own_future),
		T(damage_and_nobody_there),
		T(nobody_takes_a_link_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
