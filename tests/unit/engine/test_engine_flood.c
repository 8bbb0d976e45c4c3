/*
 * A member who does its worst with its own keys: floods of bytes and of epochs, names at the end of
 * what can be counted, beginnings and entries that are none, one history for one peer and another
 * for the next. It costs a cap each, wedges nobody, and no honest relay is blamed for it.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define FETCH SAUTI__FRAME__BODY_FETCH

static const struct session_id anybody;

enum { CAP = 2000, DAY_MS = 24 * 60 * 60 * 1000 };

static int setup_capped(void **state)
{
	struct rig *rig;

	if (rig_setup_empty(state) != 0)
		return -1;
	rig = *state;
	rig->opts.daily_bytes = CAP;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_start(rig);
	return 0;
}

/* A log of LogOpened and one entry of just so many bytes that all of it has `size`. */
static void sized(struct rig *rig, enum who author, size_t size, struct chain *ret)
{
	uint8_t filler[2 * CAP] = {0};

	rig_chain(rig, author, ret, 1);
	assert_true(size > ret->entry[0].size && size < sizeof(filler));
	chain_add(ret, bytes_make(filler, size - ret->entry[0].size));
}

static bool over(const struct rig *rig, const struct chain *chain)
{
	struct engine_log log;

	assert_true(rig_log(rig, &chain->origin, &log));
	return log.over_quota;
}

/* At the cap nothing more is taken; one byte below it goes on. */
static void quota_case(struct rig *rig, size_t size, bool refused)
{
	struct session_id anna = rig_session(rig, ANNA);
	struct chain chain;

	sized(rig, ANNA, size, &chain);
	rig_fetch_all(rig, anna, &chain, 2);
	assert_int_equal(over(rig, &chain), refused);
	chain_grow(&chain, 1);
	rig_hear_have(rig, anna, &chain, 3);
	assert_false(rig_closed(rig, anna));
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	rig_hear_have(rig, anna, &chain, 3);
	assert_int_equal(rig_sent(rig, anna, FETCH, 0) == NULL, refused);
	rig_disconnect(rig, anna);
	chain_release(&chain);
}

static void test_below_the_quota(void **state)
{
	quota_case(*state, CAP - 1, false);
}

static void test_at_the_quota(void **state)
{
	quota_case(*state, CAP, true);
}

/* Refused is the flooder alone, whoever brings its logs, and for a day. */
static void test_only_the_flooder(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo;
	struct chain flood, other;
	Sauti__Frame *fetch;

	sized(rig, ANNA, CAP, &flood);
	rig_fetch_all(rig, anna, &flood, 2);
	assert_true(over(rig, &flood));
	chain_grow(&flood, 1);
	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &flood, 3);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	rig_chain(rig, CLEO, &other, 5);
	rig_fetch_all(rig, cleo, &other, 5);
	assert_false(over(rig, &other));
	/* Neither does another epoch of it pass. */
	struct chain epoch;
	struct origin second = flood.origin;
	char *slash = strrchr(second.text, '/');

	slash[1] = '2';
	chain_init(&epoch, &second, flood.key);
	chain_add_opened(&epoch, rig->actor[ANNA].node);
	rig_hear_have(rig, anna, &epoch, 1);
	assert_null(rig_sent(rig, anna, FETCH, 0));
	/* The day is over. */
	rig_disconnect(rig, anna);
	rig_disconnect(rig, cleo);
	rig->now_ms += DAY_MS;
	anna = rig_session(rig, ANNA);
	assert_false(over(rig, &flood));
	rig_hear_have(rig, anna, &flood, 3);
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	assert_int_equal(fetch->fetch->from, 2);
	chain_release(&flood);
	chain_release(&other);
	chain_release(&epoch);
}

/* Batches that were under way when the cap was reached are of no stream any more. */
static void test_what_was_under_way(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct chain chain;
	Sauti__Frame *fetch;

	sized(rig, ANNA, CAP + 10, &chain);
	chain_grow(&chain, 4);
	rig_hear_have(rig, anna, &chain, 6);
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	uint32_t stream = fetch->fetch->stream;

	rig_hear_batch(rig, anna, &chain, (struct batch_opts){stream, 0, 2, 6, true});
	fetch = rig_sent(rig, anna, FETCH, 0);
	assert_non_null(fetch);
	assert_int_equal(fetch->fetch->window, 0);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "within a day"));
	rig_hear_batch(rig, anna, &chain, (struct batch_opts){stream, 2, 2, 6, false});
	assert_false(rig_closed(rig, anna));
	assert_int_equal(rig->write_count, 1);
	rig_written(rig, OK);
	/* What came is held. */
	struct engine_log log;

	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.size, 2);
	chain_release(&chain);
}

/* The directory has none. */
static void test_the_directory_has_no_cap(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	uint8_t filler[CAP] = {0};

	for (unsigned i = 0; i < 4; i++)
		chain_add(&rig->directory, BYTES_ARRAY(filler));
	rig_fetch_all(rig, anna, &rig->directory, rig->directory.count);
	chain_add(&rig->directory, bytes_str("one more"));
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	assert_false(over(rig, &rig->directory));
}

/* ---- epochs ---- */

/* The last number there is, with a proper beginning, is an epoch like any other. */
static void test_the_last_epoch(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct chain chain;
	struct origin last;
	uint8_t random[8] = {9};

	assert_int_equal(
		origin_make(bytes_str(NETWORK), bytes_str("anna"), UINT32_MAX, random, &last), OK);
	chain_init(&chain, &last, rig->actor[ANNA].log);
	chain_add_opened(&chain, rig->actor[ANNA].node);
	chain_grow(&chain, 3);
	rig_fetch_all(rig, anna, &chain, 4);
	chain_release(&chain);
}

/* ---- entries ---- */

/* Entries that are no messages, under a proof: stored, cosigned, and nobody is blamed. */
static void test_entries_of_garbage(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain chain;
	uint8_t garbage[3][5] = {
		{0xff, 0xff, 0xff, 0xff, 0xff}, {0}, {0x0a, 0x80, 0x80, 0x80, 0x80}};

	rig_chain(rig, ANNA, &chain, 1);
	for (unsigned i = 0; i < 3; i++)
		chain_add(&chain, BYTES_ARRAY(garbage[i]));
	rig_fetch_all(rig, cleo, &chain, 4);
	chain_release(&chain);
}

/* A LogOpened of garbage, brought by an honest relay: the log is left alone, the relay is not. */
static void test_a_beginning_of_garbage(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain chain, good;
	struct origin other;
	Sauti__Frame *fetch;
	uint8_t random[8] = {3};

	assert_int_equal(origin_make(bytes_str(NETWORK), bytes_str("anna"), 7, random, &other), OK);
	chain_init(&chain, &other, rig->actor[ANNA].log);
	chain_add(&chain, bytes_str("no LogOpened"));
	chain_grow(&chain, 2);
	rig_hear_have(rig, cleo, &chain, 3);
	fetch = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(rig, cleo, &chain, (struct batch_opts){fetch->fetch->stream, 0, 3, 3, true});
	assert_false(rig_closed(rig, cleo));
	assert_int_equal(rig->write_count, 0);
	rig_chain(rig, ANNA, &good, 4);
	rig_fetch_all(rig, cleo, &good, 4);
	chain_release(&chain);
	chain_release(&good);
}

/* ---- two that fail ---- */

/* What comes behind is not provable, from one and then from another. */
static void fails(struct rig *rig, struct session_id session, const struct chain *chain)
{
	struct chain bad;
	Sauti__Frame *fetch;

	rig_hear_have(rig, session, chain, 9);
	fetch = rig_sent(rig, session, FETCH, 0);
	assert_non_null(fetch);
	/* Its own checkpoint, and entries that are not its own; asked, it proves what it has. */
	bad = *chain;
	bad.entry = mem_dup(chain->entry, chain->count * sizeof(*chain->entry));
	assert_non_null(bad.entry);
	bad.entry[6] = bytes_str("not this");
	rig_hear_batch(
		rig, session, &bad, (struct batch_opts){fetch->fetch->stream, 5, 4, 9, true});
	mem_free(bad.entry);
	Sauti__Proved proved = SAUTI__PROVED__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES];
	CLEANUP(buf_release) struct buf note = {0};
	struct proof proof;
	struct hash root;

	assert_non_null(rig_sent(rig, session, SAUTI__FRAME__BODY_PROVE, 0));
	chain_note(chain, 9, &note);
	chain_root(chain, 5, &root);
	chain_proof(chain, 5, 9, &proof);
	for (size_t i = 0; i < proof.count; i++)
		hashes[i] = codec_binary(hash_bytes(&proof.hashes[i]));
	proved.origin = (char *)chain->origin.text;
	proved.size = 5;
	proved.root = codec_binary(hash_bytes(&root));
	proved.n_proof = proof.count;
	proved.proof = hashes;
	proved.checkpoint = codec_binary(buf_bytes(&note));
	frame.body_case = SAUTI__FRAME__BODY_PROVED;
	frame.proved = &proved;
	rig_hear(rig, session, &frame);
}

/* Holds five entries; the first that fails was blamed, the second makes the node look at itself. */
static struct session_id twice(struct rig *rig, struct chain *chain)
{
	struct session_id anna = rig_session(rig, ANNA), cleo;
	struct effect *verify;

	rig_chain(rig, DORA, chain, 1);
	chain_release(chain);
	rig_chain(rig, ANNA, chain, 9);
	rig_fetch_all(rig, anna, chain, 5);
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	fails(rig, anna, chain);
	assert_true(rig_closed(rig, anna));
	assert_null(rig_effect(rig, EFFECT_VERIFY, 0));
	rig_disconnect(rig, anna);
	cleo = rig_session(rig, CLEO);
	fails(rig, cleo, chain);
	assert_false(rig_closed(rig, cleo));
	verify = rig_effect(rig, EFFECT_VERIFY, 0);
	assert_non_null(verify);
	assert_string_equal(verify->origin.text, chain->origin.text);
	/* Meanwhile nothing is asked for. */
	rig_hear_have(rig, cleo, chain, 9);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	return cleo;
}

static void test_two_fail_and_this_node_is_damaged(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id cleo = twice(rig, &chain);

	rig_step(rig,
		&(struct event){
			.type = EVENT_VERIFIED, .origin = &chain.origin, .error = ERR_CORRUPT});
	assert_true(rig_noticed(rig, NOTICE_ALARM, "is damaged"));
	assert_false(rig_closed(rig, cleo));
	rig_hear_have(rig, cleo, &chain, 9);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	chain_release(&chain);
}

static void test_two_fail_and_this_node_is_whole(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id cleo = twice(rig, &chain), again;

	rig_step(rig, &(struct event){.type = EVENT_VERIFIED, .origin = &chain.origin});
	assert_false(rig_noticed(rig, NOTICE_ALARM, "is damaged"));
	/* It is asked for again some time; then a lie is a lie. */
	rig_disconnect(rig, cleo);
	rig->now_ms += DAY_MS;
	again = rig_session(rig, CLEO);
	fails(rig, again, &chain);
	assert_true(rig_closed(rig, again));
	chain_release(&chain);
}

/* Two that lie together about many logs do not have the disk read without end. */
static void test_two_fail_at_one_log_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct chain chain, other;
	struct session_id cleo = twice(rig, &chain), anna = rig_session(rig, ANNA);

	rig_disconnect(rig, cleo);
	rig_chain(rig, CLEO, &other, 9);
	rig_fetch_all(rig, anna, &other, 5);
	rig_disconnect(rig, anna);
	anna = rig_session(rig, ANNA);
	fails(rig, anna, &other);
	assert_true(rig_closed(rig, anna));
	rig_disconnect(rig, anna);
	cleo = rig_session(rig, CLEO);
	fails(rig, cleo, &other);
	assert_true(rig_closed(rig, cleo));
	assert_null(rig_effect(rig, EFFECT_VERIFY, 0));
	chain_release(&chain);
	chain_release(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)
#define C(name) cmocka_unit_test_setup_teardown(test_##name, setup_capped, rig_teardown)
		C(below_the_quota),
		C(at_the_quota),
		C(only_the_flooder),
		C(what_was_under_way),
		C(the_directory_has_no_cap),
		T(the_last_epoch),
		T(entries_of_garbage),
		T(a_beginning_of_garbage),
		T(two_fail_and_this_node_is_damaged),
		T(two_fail_and_this_node_is_whole),
		T(two_fail_at_one_log_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
