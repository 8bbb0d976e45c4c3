/*
 * The witness: what is submitted to it, what it remembers, and in which order it writes, signs and
 * answers. ben is under test; anna's log is witnessed.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#include "replication/log/add_checkpoint.h"
#include "replication/log/evidence.h"

struct says {
	const struct chain *chain;
	uint64_t old, size;
	const struct chain *of; /* the proof; NULL: none */
};

static void body_make(const struct says *says, struct buf *ret)
{
	CLEANUP(buf_release) struct buf note = {0};
	struct proof proof = {.count = 0};

	if (says->of != NULL && says->old > 0 && says->old < says->size)
		chain_proof(says->of, says->old, says->size, &proof);
	chain_note(says->chain, says->size, &note);
	buf_init(ret, LIMIT_ADD_CHECKPOINT);
	add_checkpoint_write(ret, says->old, &proof, buf_bytes(&note));
	assert_int_equal(ret->err, OK);
}

static void submit_bytes(struct rig *rig, struct bytes body)
{
	rig_step(rig,
		&(struct event){
			.type = EVENT_ADD_CHECKPOINT, .entry = body, .ticket = ++rig->next_ticket});
}

static void submit(struct rig *rig, struct says says)
{
	struct buf body;

	body_make(&says, &body);
	submit_bytes(rig, buf_bytes(&body));
	buf_release(&body);
}

/* The last step answered once, with that. */
static void answered(struct rig *rig, unsigned status, const char *body)
{
	const struct effect *effect = rig_effect(rig, EFFECT_WITNESSED, 0);

	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 1);
	assert_int_equal(effect->ticket, rig->next_ticket);
	if (effect->index != status)
		fail_msg("status %llu in place of %u: %.*s", (unsigned long long)effect->index,
			status, BYTES_FMT(buf_bytes(&effect->body)));
	if (body != NULL)
		assert_true(bytes_equal_str(buf_bytes(&effect->body), body));
}

/* .. with ben's cosignature over that. */
static void cosigned(struct rig *rig, const struct chain *chain, uint64_t size)
{
	const struct effect *effect = rig_effect(rig, EFFECT_WITNESSED, 0);
	CLEANUP(buf_release) struct buf text = {0};
	struct checkpoint checkpoint = {.origin = chain->origin, .size = size};
	struct note_line line;
	struct note_key key;

	answered(rig, 200, NULL);
	chain_root(chain, size, &checkpoint.root);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	assert_int_equal(witness_note_key(bytes_str(NETWORK), bytes_str("ben"),
				 &rig->actor[BEN].member.witness, &key),
		OK);
	assert_int_equal(note_line_parse(buf_bytes(&effect->body), &line, NULL), OK);
	assert_int_equal(cosignature_verify(&line, buf_bytes(&text), &key, NULL), OK);
}

/* Taken: written first, then signed, then answered. */
static void takes(struct rig *rig, struct says says)
{
	while (rig->write_count > 0) /* cosignatures, a second later */
		rig_written(rig, OK);
	submit(rig, says);
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	if (rig->write_count > 0) {
		assert_int_equal(rig->witness_count, 0);
		assert_int_equal(rig->write_count, 1);
		assert_true(rig->writes[0]->witness.size > 0);
		rig_written(rig, OK);
		assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	}
	rig_witness_signed(rig, OK);
	cosigned(rig, says.chain, says.size);
}

static uint64_t remembered(struct rig *rig, const struct chain *chain)
{
	struct engine_log log;

	assert_true(rig_log(rig, &chain->origin, &log));
	return log.witness.size;
}

/* ben holds `size` entries of anna's log and has seen no more of it. */
static struct session_id hold(struct rig *rig, struct chain *chain, uint64_t size)
{
	struct session_id anna = rig_session(rig, ANNA);

	rig_chain(rig, ANNA, chain, 40);
	rig_fetch_all(rig, anna, chain, size);
	rig->witness_waits = true;
	assert_int_equal(remembered(rig, chain), size);
	return anna;
}

static void test_statuses(void **state)
{
	struct rig *rig = *state;
	struct chain chain, other, cleo, ours;
	struct buf body;

	hold(rig, &chain, 5);
	/* 400: no such body. */
	submit_bytes(rig, bytes_str("old 5\n"));
	answered(rig, 400, NULL);
	/* 404: of nobody, of a member of whom nothing is held, of this node. */
	submit_bytes(
		rig, bytes_str("old 0\n\nexample.com/log\n1\n"
			       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\xe2\x80\x94 who "
			       "AQIDBAU=\n"));
	answered(rig, 404, NULL);
	/* .. or called as a witness is. */
	submit_bytes(
		rig, bytes_str("old 0\n\n" NETWORK "/witness/ben\n1\n"
			       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\xe2\x80\x94 who "
			       "AQIDBAU=\n"));
	answered(rig, 404, NULL);
	rig_chain(rig, CLEO, &cleo, 3);
	submit(rig, (struct says){&cleo, 0, 3, NULL});
	answered(rig, 404, NULL);
	rig_chain(rig, BEN, &ours, 3);
	submit(rig, (struct says){&ours, 0, 3, NULL});
	answered(rig, 404, NULL);
	/* 403: another key; the log's name and key id on another signature. */
	rig_chain(rig, ANNA, &other, 40);
	other.key = rig->actor[CLEO].log;
	submit(rig, (struct says){&other, 5, 9, &chain});
	answered(rig, 403, NULL);
	other.key = chain.key;
	body_make(&(struct says){&chain, 5, 9, &chain}, &body);
	body.data[body.size - 10] ^= 1;
	submit_bytes(rig, buf_bytes(&body));
	assert_true(rig_effect(rig, EFFECT_WITNESSED, 0)->index == 403 ||
		    rig_effect(rig, EFFECT_WITNESSED, 0)->index == 400);
	buf_release(&body);
	/* 400: old is larger. 409: it is not the newest. */
	submit(rig, (struct says){&chain, 10, 9, NULL});
	answered(rig, 400, NULL);
	submit(rig, (struct says){&chain, 0, 9, NULL});
	answered(rig, 409, "5\n");
	submit(rig, (struct says){&chain, 4, 9, &chain});
	answered(rig, 409, "5\n");
	submit(rig, (struct says){&chain, 6, 9, &chain});
	answered(rig, 409, "5\n");
	/* 422: no proof, one of another pair. */
	submit(rig, (struct says){&chain, 5, 9, NULL});
	answered(rig, 422, NULL);
	assert_int_equal(rig->write_count, 0);
	assert_int_equal(remembered(rig, &chain), 5);
	/* 200, and again, and the same. */
	takes(rig, (struct says){&chain, 5, 9, &chain});
	assert_int_equal(remembered(rig, &chain), 9);
	takes(rig, (struct says){&chain, 9, 32, &chain});
	rig->now_ms += 1000;
	takes(rig, (struct says){&chain, 32, 32, NULL});
	submit(rig, (struct says){&chain, 9, 32, &chain});
	answered(rig, 409, "32\n");
	chain_release(&chain);
	chain_release(&other);
	chain_release(&cleo);
	chain_release(&ours);
}

/* A refresh within one second is answered by the line that is there. */
static void test_again(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	takes(rig, (struct says){&chain, 5, 9, &chain});
	submit(rig, (struct says){&chain, 9, 9, NULL});
	cosigned(rig, &chain, 9);
	assert_int_equal(rig->witness_count, 0);
	rig->now_ms += 1000;
	submit(rig, (struct says){&chain, 9, 9, NULL});
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	rig_witness_signed(rig, OK);
	cosigned(rig, &chain, 9);
	chain_release(&chain);
}

/* A and B at once: whatever the order, nothing goes back. */
static void test_race(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	submit(rig, (struct says){&chain, 5, 7, &chain});
	submit(rig, (struct says){&chain, 5, 9, &chain});
	assert_int_equal(rig->write_count, 1);
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	rig_written(rig, OK);
	rig_witness_signed(rig, OK);
	/* The first is answered, then the second, by what is remembered now. */
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 2);
	assert_int_equal(rig_effect(rig, EFFECT_WITNESSED, 0)->index, 200);
	assert_int_equal(rig_effect(rig, EFFECT_WITNESSED, 1)->index, 409);
	assert_true(bytes_equal_str(buf_bytes(&rig_effect(rig, EFFECT_WITNESSED, 1)->body), "7\n"));
	assert_int_equal(rig->write_count, 0);
	takes(rig, (struct says){&chain, 7, 9, &chain});
	chain_release(&chain);
}

/* The disk refuses: nothing is signed, nothing is remembered. */
static void test_disk(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	submit(rig, (struct says){&chain, 5, 9, &chain});
	rig_written(rig, ERR_FULL);
	answered(rig, 503, NULL);
	assert_int_equal(rig->witness_count, 0);
	assert_int_equal(remembered(rig, &chain), 5);
	rig_tick(rig, 10 * 1000);
	takes(rig, (struct says){&chain, 5, 9, &chain});
	chain_release(&chain);
}

/* Ahead of what is held: replication signs nothing less; when it gets there it goes on. */
static void test_ahead(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id anna = hold(rig, &chain, 5);

	takes(rig, (struct says){&chain, 5, 20, &chain});
	rig->witness_waits = false;
	rig_hear_have(rig, anna, &chain, 9);
	rig_hear_batch(rig, anna, &chain,
		(struct batch_opts){
			.stream = 1, .first = 5, .count = 4, .target = 9, .note = true});
	rig_written(rig, OK);
	rig_signed(rig, OK);
	assert_int_equal(remembered(rig, &chain), 20);
	assert_int_equal(rig->witness_count, 0);
	/* Past it: the own tree must have it first. */
	rig_hear_have(rig, anna, &chain, 30);
	rig_hear_batch(rig, anna, &chain,
		(struct batch_opts){
			.stream = 1, .first = 9, .count = 21, .target = 30, .note = true});
	rig_written(rig, OK);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 20);
	assert_int_equal(remembered(rig, &chain), 20);
	rig_read(rig, &chain, 0);
	assert_int_equal(remembered(rig, &chain), 30);
	assert_int_equal(rig->witness_count, 1);
	chain_release(&chain);
}

/* Of the last step: frozen, and evidence that verifies is on its way to the disk; nothing is
 * answered before it is there. */
static void forked(struct rig *rig, const struct chain *chain, unsigned status)
{
	struct store_write *write = rig->writes[rig->write_count - 1];
	struct evidence evidence;
	struct engine_log log;
	struct arena arena;
	struct note_key key;

	assert_true(rig->write_count > 0 && write->evidence.size > 0);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(evidence_parse(buf_bytes(&write->evidence), &arena, &evidence, NULL), OK);
	assert_int_equal(evidence_key(&evidence, &rig->actor[ANNA].member.node, &key, NULL), OK);
	assert_int_equal(evidence_verify(&evidence, &key, NULL), OK);
	arena_release(&arena);
	assert_true(rig_log(rig, &chain->origin, &log));
	assert_true(log.frozen && log.evidence > 0);
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	rig_written(rig, OK);
	answered(rig, status, NULL);
	assert_int_equal(rig->witness_count, 0);
	/* From here on nothing of it is signed. */
	submit(rig, (struct says){chain, 5, 9, chain});
	answered(rig, 403, NULL);
}

static void fork_make(struct rig *rig, struct chain *ret, size_t common)
{
	rig_chain(rig, ANNA, ret, common);
	while (ret->count < 40)
		chain_add(ret, bytes_str("another history"));
}

/* Two of one size. */
static void test_fork_of_one_size(void **state)
{
	struct rig *rig = *state;
	struct chain chain, fork;

	hold(rig, &chain, 5);
	fork_make(rig, &fork, 4);
	takes(rig, (struct says){&chain, 5, 9, &chain});
	submit(rig, (struct says){&fork, 9, 9, NULL});
	forked(rig, &chain, 422);
	chain_release(&chain);
	chain_release(&fork);
}

/* A larger one, whose proof leads to it from another tree. */
static void test_fork_by_proof(void **state)
{
	struct rig *rig = *state;
	struct chain chain, fork;

	hold(rig, &chain, 5);
	fork_make(rig, &fork, 4);
	submit(rig, (struct says){&fork, 5, 9, &fork});
	forked(rig, &chain, 422);
	chain_release(&chain);
	chain_release(&fork);
}

/* One that is smaller than what is held: the own tree says so, whatever status it would get. */
static void test_fork_behind(void **state)
{
	struct rig *rig = *state;
	struct chain chain, fork;

	hold(rig, &chain, 9);
	fork_make(rig, &fork, 4);
	submit(rig, (struct says){&fork, 0, 7, NULL});
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	rig_read(rig, &chain, 0);
	forked(rig, &chain, 409);
	chain_release(&chain);
	chain_release(&fork);
}

/* An honest one that is smaller is looked up once. */
static void test_behind(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 9);
	submit(rig, (struct says){&chain, 0, 7, NULL});
	rig_read(rig, &chain, 0);
	answered(rig, 409, "9\n");
	submit(rig, (struct says){&chain, 0, 7, NULL});
	answered(rig, 409, "9\n");
	submit(rig, (struct says){&chain, 0, 6, NULL});
	rig_read(rig, NULL, 0);
	answered(rig, 503, NULL);
	chain_release(&chain);
}

/* What was witnessed ahead is another history than the one that comes: both notes are evidence. */
static void test_fork_ahead(void **state)
{
	struct rig *rig = *state;
	struct chain chain, fork;
	struct session_id anna = hold(rig, &chain, 5);
	struct engine_log log;

	fork_make(rig, &fork, 5);
	takes(rig, (struct says){&fork, 5, 9, &fork});
	rig_hear_have(rig, anna, &chain, 12);
	rig_hear_batch(rig, anna, &chain,
		(struct batch_opts){
			.stream = 1, .first = 5, .count = 7, .target = 12, .note = true});
	rig_written(rig, OK);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &chain, 0);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_true(log.frozen && log.evidence == 1);
	assert_int_equal(remembered(rig, &chain), 9);
	assert_int_equal(rig->witness_count, 0);
	chain_release(&chain);
	chain_release(&fork);
}

/* A peer shows one of the size that was witnessed. */
static void test_fork_shown(void **state)
{
	struct rig *rig = *state;
	struct chain chain, fork;
	struct session_id anna = hold(rig, &chain, 5);
	struct engine_log log;

	fork_make(rig, &fork, 5);
	takes(rig, (struct says){&fork, 5, 9, &fork});
	rig_restart(rig);
	rig_load_directory(rig);
	rig_load(rig, &chain, 5, 5, BEN);
	rig_start(rig);
	rig->witness_waits = true;
	anna = rig_session(rig, ANNA);
	/* The memory of the first life, as the store has it. */
	submit(rig, (struct says){&fork, 5, 9, &fork});
	rig_written(rig, OK);
	rig_witness_signed(rig, OK);
	rig_hear_have(rig, anna, &chain, 9);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_true(log.frozen && log.evidence == 1);
	chain_release(&chain);
	chain_release(&fork);
}

/* Lines of this witness that somebody put on the note are nobody's business: they are not stored.
 */
static void test_poison(void **state)
{
	struct rig *rig = *state;
	CLEANUP(buf_release) struct buf body = {0}, line = {0}, note = {0};
	struct chain chain, other;
	struct proof proof;

	hold(rig, &chain, 5);
	rig_chain(rig, ANNA, &other, 40);
	chain_note(&chain, 9, &note);
	/* By the right name and key id, over another text. */
	rig_cosignature_at(rig, BEN, true, 1700000001, &other, 12, &line);
	buf_put(&note, buf_bytes(&line));
	buf_put_str(&note, "\xe2\x80\x94 " NETWORK "/witness/ben AQIDBAU=\n");
	chain_proof(&chain, 5, 9, &proof);
	buf_init(&body, LIMIT_ADD_CHECKPOINT);
	add_checkpoint_write(&body, 5, &proof, buf_bytes(&note));
	submit_bytes(rig, buf_bytes(&body));
	assert_int_equal(rig->write_count, 1);
	buf_clear(&note);
	buf_release(&note);
	chain_note(&chain, 9, &note);
	assert_true(bytes_equal(buf_bytes(&rig->writes[0]->witness), buf_bytes(&note)));
	rig_written(rig, OK);
	rig_witness_signed(rig, OK);
	cosigned(rig, &chain, 9);
	chain_release(&chain);
	chain_release(&other);
}

/* The newest, with both lines. */
static void test_get(void **state)
{
	struct rig *rig = *state;
	CLEANUP(buf_release) struct buf note = {0};
	const struct effect *effect;
	struct origin nobody;
	struct chain chain;
	struct note parsed;

	hold(rig, &chain, 5);
	takes(rig, (struct says){&chain, 5, 9, &chain});
	rig_step(rig, &(struct event){.type = EVENT_WITNESS_GET,
			      .origin = &chain.origin,
			      .ticket = ++rig->next_ticket});
	answered(rig, 200, NULL);
	effect = rig_effect(rig, EFFECT_WITNESSED, 0);
	assert_int_equal(note_parse(buf_bytes(&effect->body), &parsed, NULL), OK);
	assert_int_equal(parsed.count, 2);
	chain_note(&chain, 9, &note);
	assert_memory_equal(effect->body.data, note.data, note.size);
	nobody = rig->actor[CLEO].origin;
	rig_step(rig, &(struct event){.type = EVENT_WITNESS_GET,
			      .origin = &nobody,
			      .ticket = ++rig->next_ticket});
	answered(rig, 404, NULL);
	chain_release(&chain);
}

/* At the cap and one past it; the next minute is another. */
static void test_minute(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	takes(rig, (struct says){&chain, 5, 9, &chain});
	for (unsigned i = 0; i < LIMIT_WITNESS_MINUTE; i++) {
		submit(rig, (struct says){&chain, 9, 9, NULL});
		cosigned(rig, &chain, 9);
	}
	submit(rig, (struct says){&chain, 9, 9, NULL});
	answered(rig, 429, NULL);
	/* What grows has a count of its own: nobody who repeats keeps the log out. */
	takes(rig, (struct says){&chain, 9, 10, &chain});
	rig->now_ms += 60 * 1000;
	takes(rig, (struct says){&chain, 10, 10, NULL});
	chain_release(&chain);
}

/* As many wait, and no more. */
static void test_waiting(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	for (unsigned i = 0; i < LIMIT_WITNESS_WAITING; i++) {
		submit(rig, (struct says){&chain, 5, 9, &chain});
		assert_int_equal(rig_count(rig, EFFECT_WITNESSED), 0);
	}
	submit(rig, (struct says){&chain, 5, 9, &chain});
	answered(rig, 429, NULL);
	rig_written(rig, OK);
	rig_witness_signed(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_WITNESSED), LIMIT_WITNESS_WAITING);
	for (unsigned i = 1; i < LIMIT_WITNESS_WAITING; i++)
		assert_int_equal(rig_effect(rig, EFFECT_WITNESSED, i)->index, 409);
	chain_release(&chain);
}

/* An empty log is signed for as long as nothing else was; one with another root never. */
static void test_empty(void **state)
{
	struct rig *rig = *state;
	struct chain chain;

	hold(rig, &chain, 5);
	submit(rig, (struct says){&chain, 0, 0, NULL});
	answered(rig, 409, "5\n");
	chain_release(&chain);
}

/* The memory is lost: nothing is signed as a witness, by whatever way; the mirror's is. */
static void test_lost(void **state)
{
	struct rig *rig = *state;
	struct session_id anna;
	struct chain chain;

	rig->opts.witness_lost = true;
	rig_restart(rig);
	rig_load_directory(rig);
	rig_start(rig);
	anna = rig_session(rig, ANNA);
	rig_chain(rig, ANNA, &chain, 40);
	rig_fetch_all(rig, anna, &chain, 5);
	assert_int_equal(remembered(rig, &chain), 0);
	assert_int_equal(rig->witness_count, 0);
	submit(rig, (struct says){&chain, 0, 9, NULL});
	answered(rig, 503, NULL);
	assert_true(engine_witness_lost(rig->engine));
	chain_release(&chain);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_statuses),
		TEST(test_again),
		TEST(test_race),
		TEST(test_disk),
		TEST(test_ahead),
		TEST(test_fork_of_one_size),
		TEST(test_fork_by_proof),
		TEST(test_fork_behind),
		TEST(test_behind),
		TEST(test_fork_ahead),
		TEST(test_fork_shown),
		TEST(test_poison),
		TEST(test_get),
		TEST(test_minute),
		TEST(test_waiting),
		TEST(test_empty),
		TEST(test_lost),
	};

	return cmocka_run_group_tests_name("engine_witness", tests, NULL, NULL);
}
