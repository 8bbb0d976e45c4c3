/* The keys of a member change: by its own word, or because another machine takes its name. Dora's
 * keys are the new ones. */
#include "certs/change.h"
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define FETCH SAUTI__FRAME__BODY_FETCH

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

static struct member fresh_member(const struct rig *rig, enum who who)
{
	struct member member = rig->actor[DORA].member;

	strcpy(member.name, rig->actor[who].member.name);
	strcpy(member.country, rig->actor[who].member.country);
	member.role = rig->actor[who].member.role;
	return member;
}

static void put_record(struct rig *rig, Sauti__RecordType type, struct buf *body, enum who by)
{
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(&entry, type, buf_bytes(body), rig->actor[by].node), OK);
	chain_add(&rig->directory, buf_bytes(&entry));
	buf_release(&entry);
	buf_release(body);
}

/* `chain`, the log of the former machine, counts up to `size`. */
static void put_replaced(struct rig *rig, enum who who, const struct chain *chain, uint64_t size)
{
	struct replacement replacement = {.epoch = 1, .closing = {.reason = "burnt"}};
	struct member member = fresh_member(rig, who);
	struct ed25519_signature signature;
	struct revoked_log log;
	struct buf admitted, body;

	strcpy(replacement.closing.name, member.name);
	if (chain != NULL)
		sign_last(&log, chain, size);
	replacement.closing.logs = &log;
	replacement.closing.log_count = chain != NULL;
	buf_init(&admitted, LIMIT_ENTRY_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(&admitted, NETWORK, &member), OK);
	assert_int_equal(node_sign(rig->actor[DORA].node, PURPOSE_NODE_ADMITTED,
				 buf_bytes(&admitted), &signature),
		OK);
	replacement.admitted = buf_bytes(&admitted);
	replacement.admitted_signature = BYTES_ARRAY(signature.b);
	assert_int_equal(replacement_body(&body, NETWORK, &replacement), OK);
	put_record(rig, SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED, &body, ANNA);
	buf_release(&admitted);
}

static void put_rotated(struct rig *rig, enum who who)
{
	struct rotation rotation = {.member = fresh_member(rig, who), .epoch = 1, .made_at = 5};
	struct buf body;

	rotation.directory_size = rig->directory.count;
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(rotation_body(&body, NETWORK, &rotation, rig->actor[DORA].node), OK);
	put_record(rig, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, &body, who);
}

/* The directory's newest record comes from anna; rig->out is what its durability led to. */
static void hear_it(struct rig *rig, struct session_id anna)
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
	assert_int_equal(directory_odd(engine_directory(rig->engine), NULL), 0);
	assert_int_equal(directory_size(engine_directory(rig->engine)), count);
}

/* A log of cleo's with this counter, opened by `by`. */
static void late_chain(
	struct rig *rig, struct chain *chain, uint32_t counter, enum who by, uint64_t size)
{
	uint8_t random[8] = {(uint8_t)counter};
	struct origin origin;

	assert_int_equal(
		origin_make(bytes_str(NETWORK), bytes_str("cleo"), counter, random, &origin), OK);
	chain_init(chain, &origin, rig->actor[by].log);
	chain_add_opened(chain, rig->actor[by].node);
	chain_grow(chain, size - 1);
}

/* The former machine's session ends; its log counts as far as was listed; one that it opens behind
 * that, though it is held already, is nothing; the new machine's is taken, and no other. */
static void another_machine(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct chain cleo, thief, late, new;
	struct engine_log log;

	rig_chain(rig, CLEO, &cleo, 10);
	late_chain(rig, &thief, 2, CLEO, 4);
	late_chain(rig, &late, 4, CLEO, 3);
	late_chain(rig, &new, 3, DORA, 5);
	rig_fetch_all(rig, c, &cleo, 10);
	rig_fetch_all(rig, c, &thief, 4);
	put_replaced(rig, CLEO, &cleo, 6);
	hear_it(rig, anna);
	assert_true(rig_closed(rig, c));
	assert_false(rig_closed(rig, anna));
	rig_disconnect(rig, c);
	while (rig->read_count > 0)
		rig_read(rig, &cleo, 1);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.size, 10);
	assert_int_equal(log.checkpoint_size, 6);
	assert_int_equal(log.counts, 6);
	assert_false(log.revoked);
	assert_true(rig_log(rig, &thief.origin, &log));
	assert_int_equal(log.size, 4);
	assert_int_equal(log.checkpoint_size, 0);
	assert_int_equal(log.counts, 0);
	while (rig->sign_count > 0)
		rig_signed(rig, OK);
	c = rig_session(rig, CLEO);
	rig_fetch_all(rig, c, &new, 5);
	assert_true(rig_log(rig, &new.origin, &log));
	assert_int_equal(log.checkpoint_size, 5);
	/* Opened by the former key now: its LogOpened is nobody's. */
	rig_hear_have(rig, c, &late, 3);
	Sauti__Frame *frame = rig_sent(rig, c, FETCH, 0);

	assert_non_null(frame);
	rig_hear_batch(rig, c, &late, (struct batch_opts){frame->fetch->stream, 0, 3, 3, true});
	assert_int_equal(rig->write_count, 0);
	assert_true(rig_log(rig, &late.origin, &log));
	assert_int_equal(log.size, 0);
	chain_release(&cleo);
	chain_release(&thief);
	chain_release(&late);
	chain_release(&new);
}

/* What is listed of the former machine's log is had by who comes later, under the key of then. */
static void the_former_log_is_fetched(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);
	struct engine_log log;
	struct chain cleo;

	rig_chain(rig, CLEO, &cleo, 6);
	put_replaced(rig, CLEO, &cleo, 6);
	hear_it(rig, anna);
	rig_signed(rig, OK); /* the directory is cosigned */
	rig_fetch_all(rig, anna, &cleo, 6);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.checkpoint_size, 6);
	chain_release(&cleo);
}

/* The same node with other keys: its session ends, its log goes on. */
static void the_same_machine(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct engine_log log;
	struct chain cleo, new;

	rig_chain(rig, CLEO, &cleo, 5);
	rig_fetch_all(rig, c, &cleo, 5);
	put_rotated(rig, CLEO);
	hear_it(rig, anna);
	assert_true(rig_closed(rig, c));
	rig_disconnect(rig, c);
	while (rig->sign_count > 0)
		rig_signed(rig, OK);
	assert_true(rig_log(rig, &cleo.origin, &log));
	assert_int_equal(log.checkpoint_size, 5);
	assert_int_equal(log.counts, UINT64_MAX);
	c = rig_session(rig, CLEO);
	chain_grow(&cleo, 2);
	rig_fetch_all(rig, c, &cleo, 7);
	late_chain(rig, &new, 2, DORA, 3);
	rig_fetch_all(rig, c, &new, 3);
	chain_release(&cleo);
	chain_release(&new);
}

/* What the former machine held counts no more, and comes back by nobody; the new key's does. */
static void cosignatures_of_former_keys(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), c = rig_session(rig, CLEO);
	struct engine_quorum quorum;
	struct engine_log log;
	struct chain own;
	size_t position;

	rig_own_log(rig, &own, 6);
	rig_hear_held(rig, c, CLEO, &own, 6);
	assert_true(engine_log_find(rig->engine, bytes_str(own.origin.text), &log, &position));
	engine_quorum_at(rig->engine, position, &quorum);
	assert_int_equal(quorum.size, 6);
	put_replaced(rig, CLEO, NULL, 0);
	hear_it(rig, anna);
	engine_quorum_at(rig->engine, position, &quorum);
	assert_int_equal(quorum.size, 0);
	rig_disconnect(rig, c);
	c = rig_session(rig, CLEO);
	rig->actor[CLEO].mirror = rig->actor[DORA].mirror;
	rig_hear_held(rig, c, CLEO, &own, 6);
	assert_false(rig_closed(rig, c));
	engine_quorum_at(rig->engine, position, &quorum);
	assert_int_equal(quorum.size, 6);
	rig->actor[CLEO].mirror = NULL;
	chain_release(&own);
}

/* A record about this node that this machine did not make. */
static void about_this_node(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA);

	put_replaced(rig, BEN, NULL, 0);
	hear_it(rig, anna);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "has put another machine in the place"));
	assert_true(rig_noticed(rig, NOTICE_ALARM, "burnt"));
	assert_false(rig_closed(rig, anna));
}

static void about_this_node_by_its_key(void **state)
{
	struct rig *rig = *state;

	put_rotated(rig, BEN);
	hear_it(rig, rig_session(rig, ANNA));
	assert_true(rig_noticed(rig, NOTICE_ALARM, "has changed its keys"));
}

/* .. and one that it did. */
static void about_this_machine(void **state)
{
	struct rig *rig = *state;

	rig->opts.mirror = rig->actor[DORA].member.mirror;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_start(rig);
	put_rotated(rig, BEN);
	hear_it(rig, rig_session(rig, ANNA));
	assert_true(rig_noticed(rig, NOTICE_INFO, "has this machine's new keys"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(another_machine),
		TEST(the_former_log_is_fetched),
		TEST(the_same_machine),
		TEST(cosignatures_of_former_keys),
		TEST(about_this_node),
		TEST(about_this_node_by_its_key),
		TEST(about_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
