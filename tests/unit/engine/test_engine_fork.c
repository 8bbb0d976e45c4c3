/*
 * Forks: an author who signs two histories, seen by a node that holds one of them. What is found is
 * proven, kept, and told to everybody, and no honest provider is blamed for it.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#include "replication/log/evidence.h"

#define HAVE     SAUTI__FRAME__BODY_HAVE
#define FETCH    SAUTI__FRAME__BODY_FETCH
#define BATCH    SAUTI__FRAME__BODY_BATCH
#define EVIDENCE SAUTI__FRAME__BODY_EVIDENCE
#define PROVE    SAUTI__FRAME__BODY_PROVE
#define PROVED   SAUTI__FRAME__BODY_PROVED

static const struct session_id anybody;

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

/* Evidence of (left, m) against (right, n), m <= n; initialises ret. */
static void evidence_of(
	const struct fork *fork, uint64_t m, uint64_t n, bool opened, struct buf *ret)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {0};
	struct note_key key;
	struct hash root;
	struct proof proof;
	struct evidence_parts parts = {0};

	chain_note(&fork->left, m, &a);
	chain_note(&fork->right, n, &b);
	parts.a = buf_bytes(&a);
	parts.b = buf_bytes(&b);
	parts.opened = opened ? fork->left.entry[0] : BYTES_NONE;
	if (m < n) {
		chain_root(&fork->right, m, &root);
		chain_proof(&fork->right, m, n, &proof);
		parts.root = &root;
		parts.proof = &proof;
	}
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

/* "At that size my tree, up to `to`, had this root"; to 0: "I have less than that". */
static void hear_proved(struct rig *rig, struct session_id session, const struct chain *chain,
	uint64_t size, uint64_t to)
{
	CLEANUP(buf_release) struct buf note = {0};
	ProtobufCBinaryData hashes[LIMIT_PROOF_HASHES];
	Sauti__Proved proved = SAUTI__PROVED__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct proof proof;
	struct hash root;

	proved.origin = (char *)chain->origin.text;
	proved.size = size;
	if (to > 0) {
		chain_note(chain, to, &note);
		chain_root(chain, size, &root);
		chain_proof(chain, size, to, &proof);
		for (size_t i = 0; i < proof.count; i++)
			hashes[i] = codec_binary(hash_bytes(&proof.hashes[i]));
		proved.root = codec_binary(hash_bytes(&root));
		proved.n_proof = proof.count;
		proved.proof = hashes;
		proved.checkpoint = codec_binary(buf_bytes(&note));
	}
	frame.body_case = PROVED;
	frame.proved = &proved;
	rig_hear(rig, session, &frame);
}

/* Of the last step: frozen, evidence that verifies goes to the session and to the disk. */
static void is_forked(struct rig *rig, const struct fork *fork, struct session_id told)
{
	Sauti__Frame *frame = rig_sent(rig, told, EVIDENCE, 0);
	struct store_write *write = rig->writes[rig->write_count - 1];
	struct evidence evidence;
	struct engine_log log;
	struct note_key key;
	struct hash id;

	assert_true(rig_log(rig, &fork->left.origin, &log));
	assert_true(log.frozen);
	assert_true(log.evidence > 0);
	assert_non_null(frame);
	assert_int_equal(evidence_read(frame->evidence, &evidence, NULL), OK);
	assert_int_equal(evidence_key(&evidence, &rig->actor[ANNA].member.node, &key, NULL), OK);
	assert_int_equal(evidence_verify(&evidence, &key, NULL), OK);
	evidence_id(&evidence, &id);
	assert_true(rig->write_count > 0 && write->evidence.size > 0);
	assert_true(hash_equal(&write->evidence_id, &id));
	assert_true(rig_noticed(rig, NOTICE_ALARM, "different roots"));
	assert_int_equal(rig_count(rig, EFFECT_CLOSE), 0);
}

static void test_one_size(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;

	fork_init(rig, &fork, 4, 9);
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_fetch_all(rig, anna, &fork.left, 6);
	rig_hear_have(rig, cleo, &fork.right, 6);
	is_forked(rig, &fork, cleo);
	is_forked(rig, &fork, anna);
	fork_release(&fork);
}

/* Somebody shows less than is held: the own tree is asked, and until then its stream waits. */
static void test_a_smaller_one_of_another_branch(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;

	fork_init(rig, &fork, 4, 9);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_fetch_all(rig, anna, &fork.left, 9);
	rig_hear_have(rig, cleo, &fork.right, 6);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].kind, READ_PROOF);
	rig_hear_fetch(rig, cleo, &fork.left.origin, 1, 6, 4);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &fork.left, 0);
	is_forked(rig, &fork, cleo);
	/* Evidence came before any batch; what is held is served. */
	assert_null(rig_sent(rig, cleo, BATCH, 0));
	assert_int_equal(rig->read_count, 2); /* and whether the smaller is a branch of ours */
	rig_read(rig, &fork.left, 1);
	rig_read(rig, &fork.left, 3);
	assert_non_null(rig_sent(rig, cleo, BATCH, 0));
	fork_release(&fork);
}

static void test_a_smaller_one_of_ours(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain;
	struct engine_log log;

	rig_chain(rig, ANNA, &chain, 9);
	rig_fetch_all(rig, anna, &chain, 9);
	rig_hear_have(rig, cleo, &chain, 6);
	assert_int_equal(rig->read_count, 1);
	/* Shown again, while the answer is on its way, it is not asked for twice. */
	rig_hear_have(rig, cleo, &chain, 6);
	assert_int_equal(rig->read_count, 1);
	rig_hear_fetch(rig, cleo, &chain.origin, 1, 6, 4);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &chain, 0);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].kind, READ_BATCH);
	rig_read(rig, &chain, 3);
	assert_non_null(rig_sent(rig, cleo, BATCH, 0));
	/* Known now. */
	rig_hear_have(rig, cleo, &chain, 6);
	assert_int_equal(rig->read_count, 0);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_false(log.frozen);
	chain_release(&chain);
}

/* Shown when it was beyond what is held; judged when the log has grown past it. */
static void test_judged_when_there_is_enough(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;
	Sauti__Frame *fetch;

	fork_init(rig, &fork, 4, 9);
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	rig_hear_have(rig, anna, &fork.left, 5);
	fetch = rig_sent(rig, anna, FETCH, 0);
	uint32_t stream = fetch->fetch->stream;

	rig_hear_batch(rig, anna, &fork.left, (struct batch_opts){stream, 0, 5, 5, true});
	rig_written(rig, OK);
	rig_hear_have(rig, anna, &fork.left, 9);
	rig_hear_have(rig, cleo, &fork.right, 7);
	assert_int_equal(rig->read_count, 0);
	rig_hear_batch(rig, anna, &fork.left, (struct batch_opts){stream, 5, 4, 9, true});
	rig_written(rig, OK);
	assert_int_equal(rig->read_count, 1);
	rig_read(rig, &fork.left, 0);
	is_forked(rig, &fork, anna);
	fork_release(&fork);
}

/* ---- heard ---- */

static void test_heard_and_told_on(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo;
	struct fork fork;
	struct buf message;
	struct engine_log log;

	fork_init(rig, &fork, 4, 9);
	evidence_of(&fork, 6, 9, true, &message);
	rig_hear_have(rig, anna, &rig->directory, rig->directory.count);
	/* Nothing of this log is known here yet. */
	hear_evidence(rig, anna, buf_bytes(&message));
	assert_true(rig_log(rig, &fork.left.origin, &log));
	assert_true(log.frozen);
	assert_int_equal(log.evidence, 1);
	assert_int_equal(rig->write_count, 1);
	assert_true(bytes_equal(buf_bytes(&rig->writes[0]->evidence), buf_bytes(&message)));
	/* Not back to where it came from, and kept once. */
	assert_null(rig_sent(rig, anna, EVIDENCE, 0));
	hear_evidence(rig, anna, buf_bytes(&message));
	assert_int_equal(rig->out.count, 0);
	/* The disk refuses: later again. */
	rig_written(rig, ERR_FULL);
	rig_tick(rig, engine_timing_default.retry_delay);
	assert_int_equal(rig->write_count, 1);
	rig_written(rig, OK);
	rig_tick(rig, engine_timing_default.retry_delay);
	assert_int_equal(rig->write_count, 0);
	/* Who comes later hears it once it knows the members, and once. */
	cleo = rig_session(rig, CLEO);
	assert_null(rig_sent(rig, cleo, EVIDENCE, 0));
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	assert_non_null(rig_sent(rig, cleo, EVIDENCE, 0));
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	assert_null(rig_sent(rig, cleo, EVIDENCE, 0));
	/* Nothing of the log is asked for. */
	rig_hear_have(rig, cleo, &fork.left, 9);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	buf_release(&message);
	fork_release(&fork);
}

static void test_forged(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct engine_log log;

	for (unsigned i = 0; i < 4; i++) {
		struct session_id cleo;
		struct buf message;
		Sauti__Frame frame = SAUTI__FRAME__INIT;
		struct arena arena;

		fork_init(rig, &fork, 4, 9);
		if (i == 3) { /* signed by another than the log's key */
			fork.left.key = fork.right.key = rig->actor[CLEO].log;
		}
		evidence_of(&fork, 6, 9, true, &message);
		cleo = rig_session(rig, CLEO);
		arena_init(&arena, LIMIT_ARENA_SIZE);
		assert_int_equal(CODEC_UNPACK(evidence, buf_bytes(&message), &scan_limits_strict,
					 &arena, &frame.evidence, NULL),
			OK);
		frame.body_case = EVIDENCE;
		if (i == 0)
			frame.evidence->root.data[0] ^= 1;
		else if (i == 1)
			frame.evidence->n_proof--;
		else if (i == 2)
			frame.evidence->opened.data[frame.evidence->opened.len - 1] ^= 1;
		rig_hear(rig, cleo, &frame);
		assert_true(rig_closed(rig, cleo));
		assert_true(rig_noticed(rig, NOTICE_WARNING, "bad Evidence"));
		assert_false(rig_log(rig, &fork.left.origin, &log) && log.frozen);
		assert_int_equal(rig->write_count, 0);
		rig_disconnect(rig, cleo);
		arena_release(&arena);
		buf_release(&message);
		fork_release(&fork);
	}
}

/* Of somebody who is not in the directory: nobody can tell, and nobody is blamed. */
static void test_of_a_stranger(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct fork fork;
	struct buf message;

	rig_chain(rig, DORA, &fork.left, 6);
	rig_chain(rig, DORA, &fork.right, 3);
	chain_add(&fork.right, bytes_str("x"));
	chain_add(&fork.right, bytes_str("y"));
	evidence_of(&fork, 4, 5, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	assert_false(rig_closed(rig, cleo));
	assert_int_equal(rig->write_count, 0);
	buf_release(&message);
	fork_release(&fork);
}

static void test_after_a_restart(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo;
	struct fork fork;
	struct buf message;
	struct engine_log log;

	fork_init(rig, &fork, 4, 9);
	evidence_of(&fork, 6, 9, true, &message);
	rig_restart(rig);
	rig_step(rig, &(struct event){.type = EVENT_EVIDENCE_LOADED, .entry = buf_bytes(&message)});
	rig_load(rig, &fork.left, 5, 5, ACTORS);
	rig_load_directory(rig);
	rig_start(rig);
	assert_true(rig_log(rig, &fork.left.origin, &log));
	assert_true(log.frozen);
	assert_int_equal(log.size, 5);
	assert_int_equal(rig->write_count, 0);
	assert_int_equal(rig->sign_count, 0); /* not cosigned */
	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	assert_non_null(rig_sent(rig, cleo, EVIDENCE, 0));
	buf_release(&message);
	fork_release(&fork);
}

/* At the cap, and one past it: the first of each origin is what counts. */
static void test_cap(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct fork fork;
	struct engine_log log;

	fork_init(rig, &fork, 4, 5 + LIMIT_EVIDENCE_PER_ORIGIN + 1);
	for (unsigned i = 0; i <= LIMIT_EVIDENCE_PER_ORIGIN; i++) {
		struct buf message;

		evidence_of(&fork, 5 + i, 5 + i, true, &message);
		hear_evidence(rig, cleo, buf_bytes(&message));
		assert_true(rig_log(rig, &fork.left.origin, &log));
		assert_int_equal(log.evidence,
			i < LIMIT_EVIDENCE_PER_ORIGIN ? i + 1 : LIMIT_EVIDENCE_PER_ORIGIN);
		buf_release(&message);
	}
	assert_int_equal(rig->write_count, LIMIT_EVIDENCE_PER_ORIGIN);
	assert_false(rig_closed(rig, cleo));
	fork_release(&fork);
}

/* Two roots of one size, signed; initialises ret. */
static void simple_evidence(
	struct rig *rig, const struct origin *origin, uint8_t salt, struct buf *ret)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {0}, opened = {0};
	const struct signer *signer = rig->actor[ANNA].log;
	struct checkpoint one = {.origin = *origin, .size = 5}, two = one;
	struct note_key key;

	one.root.b[0] = salt;
	two.root.b[0] = (uint8_t)(salt + 100);
	buf_init(&a, LIMIT_NOTE_SIZE);
	buf_init(&b, LIMIT_NOTE_SIZE);
	buf_init(&opened, LIMIT_ENTRY_SIZE);
	assert_int_equal(checkpoint_sign(&a, &one, signer), OK);
	assert_int_equal(checkpoint_sign(&b, &two, signer), OK);
	assert_int_equal(log_opened_write(&opened,
				 &(struct log_opened){.origin = origin->text,
					 .log_key = *signer_public(signer),
					 .opened_at = 1},
				 rig->actor[ANNA].node),
		OK);
	assert_int_equal(log_note_key(origin, signer_public(signer), &key), OK);
	buf_init(ret, LIMIT_EVIDENCE_SIZE);
	assert_int_equal(evidence_make(&(struct evidence_parts){.a = buf_bytes(&a),
					       .b = buf_bytes(&b),
					       .opened = buf_bytes(&opened)},
				 &key, ret, NULL),
		OK);
}

/* However many are held, the first of a log has its place; of a second there is none then. */
static void test_cap_of_all(void **state)
{
	struct rig *rig = *state;
	struct origin origin;
	struct engine_log log;
	struct buf message;

	rig_restart(rig);
	for (uint32_t i = 0; i < LIMIT_EVIDENCE / LIMIT_EVIDENCE_PER_ORIGIN; i++) {
		uint8_t random[8] = {1};

		put_u32be(random + 4, i);
		assert_int_equal(
			origin_make(bytes_str(NETWORK), bytes_str("anna"), 1, random, &origin), OK);
		for (uint8_t k = 0; k < LIMIT_EVIDENCE_PER_ORIGIN; k++) {
			simple_evidence(rig, &origin, k, &message);
			rig_step(rig, &(struct event){.type = EVENT_EVIDENCE_LOADED,
					      .entry = buf_bytes(&message)});
			buf_release(&message);
		}
	}
	assert_int_equal(engine_evidence_count(rig->engine), LIMIT_EVIDENCE);
	for (uint8_t k = 0; k < 2; k++) {
		simple_evidence(rig, &rig->actor[ANNA].origin, k, &message);
		rig_step(rig, &(struct event){
				      .type = EVENT_EVIDENCE_LOADED, .entry = buf_bytes(&message)});
		buf_release(&message);
		assert_int_equal(engine_evidence_count(rig->engine), LIMIT_EVIDENCE + 1);
	}
	assert_true(rig_log(rig, &rig->actor[ANNA].origin, &log));
	assert_int_equal(log.evidence, 1);
}

/* ---- batches that do not prove ---- */

/* Five entries of one branch are held, and cleo's first batch is of the other. */
static struct session_id contested(struct rig *rig, struct fork *fork)
{
	struct session_id anna = rig_session(rig, ANNA), cleo;
	Sauti__Frame *fetch;

	fork_init(rig, fork, 3, 9);
	rig_fetch_all(rig, anna, &fork->left, 5);
	rig_disconnect(rig, anna);
	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_hear_have(rig, cleo, &fork->right, 9);
	fetch = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(
		rig, cleo, &fork->right, (struct batch_opts){fetch->fetch->stream, 5, 4, 9, true});
	assert_false(rig_closed(rig, cleo));
	assert_int_equal(rig->write_count, 0);
	assert_non_null(rig_sent(rig, cleo, PROVE, 0));
	return cleo;
}

static void test_contested_answered_by_evidence(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);
	struct buf message;
	struct engine_log log;

	evidence_of(&fork, 5, 9, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	assert_true(rig_log(rig, &fork.left.origin, &log));
	assert_true(log.frozen);
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_false(rig_closed(rig, cleo));
	buf_release(&message);
	fork_release(&fork);
}

static void test_contested_answered_by_a_proof(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);

	/* It proves that its tree has another root: that is evidence too. */
	hear_proved(rig, cleo, &fork.right, 5, 9);
	is_forked(rig, &fork, cleo);
	fork_release(&fork);
}

static void test_contested_by_a_liar(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);

	/* What is held here is part of its own log: then the batch was a lie. */
	hear_proved(rig, cleo, &fork.left, 5, 9);
	assert_true(rig_closed(rig, cleo));
	assert_true(rig_noticed(rig, NOTICE_WARNING, "bad Batch"));
	fork_release(&fork);
}

static void test_contested_in_silence(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);
	struct engine_log log;

	/* Another size than was asked about is no answer. */
	hear_proved(rig, cleo, &fork.left, 4, 9);
	assert_false(rig_closed(rig, cleo));
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_true(rig_closed(rig, cleo));
	assert_true(rig_noticed(rig, NOTICE_WARNING, "bad Batch"));
	assert_true(rig_log(rig, &fork.left.origin, &log));
	assert_false(log.frozen);
	fork_release(&fork);
}

static void test_contested_and_nobody_can_tell(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);

	hear_proved(rig, cleo, &fork.left, 5, 0);
	assert_int_equal(rig_count(rig, EFFECT_CLOSE), 0);
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_int_equal(rig_count(rig, EFFECT_CLOSE), 0);
	fork_release(&fork);
}

/* A proof that is none. */
static void test_contested_and_answered_wrongly(void **state)
{
	struct rig *rig = *state;
	struct fork fork;
	struct session_id cleo = contested(rig, &fork);

	fork.right.leaf[7].b[0] ^= 1; /* its tree, not what it signs for */
	struct chain other = fork.right;

	other.count = 9;
	CLEANUP(buf_release) struct buf note = {0};
	Sauti__Proved proved = SAUTI__PROVED__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct hash root;

	chain_root(&fork.left, 5, &root);
	chain_note(&other, 9, &note);
	proved.origin = (char *)fork.left.origin.text;
	proved.size = 5;
	proved.root = codec_binary(hash_bytes(&root));
	proved.checkpoint = codec_binary(buf_bytes(&note));
	frame.body_case = PROVED;
	frame.proved = &proved;
	rig_hear(rig, cleo, &frame);
	assert_true(rig_closed(rig, cleo));
	assert_true(rig_noticed(rig, NOTICE_WARNING, "bad Proved"));
	fork_release(&fork);
}

/* Entries behind the checkpoint are on the word of a pin, which outlives its provider and a
 * restart: what contradicts it is evidence, not a fault of who brings it. */
static void test_a_pin_outlives_its_provider(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo;
	CLEANUP(buf_release) struct buf pin = {0};
	struct fork fork;
	Sauti__Frame *fetch, *prove;
	struct log_head head = {0};
	struct checkpoint asked;

	fork_init(rig, &fork, 4, 12);
	rig_fetch_all(rig, anna, &fork.left, 3);
	rig_hear_have(rig, anna, &fork.left, 8);
	fetch = rig_sent(rig, anna, FETCH, 0);
	rig_hear_batch(rig, anna, &fork.left,
		(struct batch_opts){fetch == NULL ? 1 : fetch->fetch->stream, 3, 3, 8, true});
	assert_int_equal(rig->write_count, 1);
	chain_note(&fork.left, 8, &pin);
	assert_true(bytes_equal(buf_bytes(&rig->writes[0]->pin), buf_bytes(&pin)));
	/* A restart, of a node that holds six entries and a checkpoint of three. */
	rig_restart(rig);
	head = (struct log_head){.origin = fork.left.origin, .size = 6};
	compact_init(&head.compact);
	for (size_t i = 0; i < 6; i++)
		compact_append(&head.compact, &fork.left.leaf[i]);
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	buf_put(&head.first_entry, fork.left.entry[0]);
	chain_note(&fork.left, 3, &head.checkpoint);
	chain_note(&fork.left, 8, &head.pin);
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	log_head_release(&head);
	rig_load_directory(rig);
	rig_start(rig);
	cleo = rig_session(rig, CLEO);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_hear_have(rig, cleo, &fork.right, 12);
	fetch = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(fetch);
	assert_int_equal(fetch->fetch->from, 6);
	rig_hear_batch(
		rig, cleo, &fork.right, (struct batch_opts){fetch->fetch->stream, 6, 3, 12, true});
	assert_false(rig_closed(rig, cleo));
	prove = rig_sent(rig, cleo, PROVE, 0);
	assert_non_null(prove);
	assert_int_equal(checkpoint_peek(codec_bytes(prove->prove->checkpoint), &asked, NULL), OK);
	assert_int_equal(asked.size, 8);
	hear_proved(rig, cleo, &fork.right, 8, 12);
	is_forked(rig, &fork, cleo);
	fork_release(&fork);
}

/* ---- asked ---- */

static void test_asked(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct fork fork;
	Sauti__Frame *frame;
	struct checkpoint to;
	struct proof proof = {0};
	struct hash root;

	fork_init(rig, &fork, 4, 12);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_fetch_all(rig, anna, &fork.left, 9);
	/* More than is held. */
	hear_prove(rig, cleo, &fork.left, 11);
	frame = rig_sent(rig, cleo, PROVED, 0);
	assert_non_null(frame);
	assert_int_equal(frame->proved->size, 11);
	assert_int_equal(frame->proved->checkpoint.len, 0);
	/* Part of it. */
	hear_prove(rig, cleo, &fork.left, 6);
	assert_null(rig_sent(rig, cleo, PROVED, 0));
	rig_read(rig, &fork.left, 0);
	frame = rig_sent(rig, cleo, PROVED, 0);
	assert_non_null(frame);
	assert_int_equal(checkpoint_peek(codec_bytes(frame->proved->checkpoint), &to, NULL), OK);
	memcpy(root.b, frame->proved->root.data, HASH_SIZE);
	proof.count = frame->proved->n_proof;
	for (size_t i = 0; i < proof.count; i++)
		memcpy(proof.hashes[i].b, frame->proved->proof[i].data, HASH_SIZE);
	assert_true(proof_consistency_ok(&proof, 6, &root, to.size, &to.root));
	/* Not part of it. */
	hear_prove(rig, cleo, &fork.right, 7);
	rig_read(rig, &fork.left, 0);
	is_forked(rig, &fork, cleo);
	fork_release(&fork);
}

static void test_asked_with_a_forged_note(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain chain;

	rig_chain(rig, ANNA, &chain, 9);
	rig_fetch_all(rig, anna, &chain, 9);
	chain.key = rig->actor[CLEO].log;
	hear_prove(rig, cleo, &chain, 6);
	/* It may be under another key that its author opened the log with. */
	assert_false(rig_closed(rig, cleo));
	assert_int_equal(rig->read_count, 0);
	assert_int_equal(rig_sent(rig, cleo, PROVED, 0)->proved->checkpoint.len, 0);
	chain_release(&chain);
}

/* ---- branches ---- */

/* The two branches that evidence of (left, m) against (right, n) names. */
static void names_of(const struct fork *fork, uint64_t m, uint64_t n, struct origin ret[2])
{
	struct checkpoint end = {.origin = fork->left.origin, .size = m};

	chain_root(&fork->left, m, &end.root);
	branch_name(&end, &ret[0]);
	end.size = n;
	chain_root(&fork->right, n, &end.root);
	branch_name(&end, &ret[1]);
}

static void hear_branch(struct rig *rig, struct session_id session, const struct chain *chain,
	const struct origin *name, uint64_t size)
{
	CLEANUP(buf_release) struct buf note = {0};
	Sauti__LogState state = SAUTI__LOG_STATE__INIT, *list = &state;
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	chain_note(chain, size, &note);
	state.origin = (char *)name->text;
	state.size = size;
	state.checkpoint = codec_binary(buf_bytes(&note));
	have.n_logs = 1;
	have.logs = &list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, session, &frame);
}

/* What is held here is served under the branch's name, what is not is fetched, up to its end. */
static void test_branches(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct origin name[2];
	struct engine_log log;
	struct buf message;
	struct fork fork;
	Sauti__Frame *frame;

	fork_init(rig, &fork, 4, 12);
	names_of(&fork, 9, 11, name);
	rig_fetch_all(rig, anna, &fork.left, 9);
	/* Nobody names a branch before evidence does. */
	hear_branch(rig, cleo, &fork.right, &name[1], 11);
	assert_false(rig_log(rig, &name[1], &log));
	evidence_of(&fork, 9, 11, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	rig_written(rig, OK);
	assert_true(rig_log(rig, &name[0], &log));
	assert_true(log.branch && log.alias);
	assert_int_equal(log.checkpoint_size, 9);
	assert_true(rig_log(rig, &name[1], &log));
	assert_true(log.branch && !log.alias);
	assert_int_equal(log.checkpoint_size, 0);
	/* It is announced, and read from the log it is the beginning of. */
	rig_tick(rig, engine_timing_default.have_delay);
	frame = rig_sent(rig, cleo, HAVE, 0);
	assert_non_null(frame);
	bool announced = false;

	for (size_t i = 0; i < frame->have->n_logs; i++)
		announced |= strcmp(frame->have->logs[i]->origin, name[0].text) == 0;
	assert_true(announced);
	rig_hear_fetch(rig, cleo, &name[0], 1, 4, 4);
	assert_int_equal(rig->read_count, 1);
	assert_string_equal(rig->reads[0].origin.text, fork.left.origin.text);
	rig_read(rig, &fork.left, 5);
	frame = rig_sent(rig, cleo, BATCH, 0);
	assert_non_null(frame);
	assert_string_equal(frame->batch->origin, name[0].text);
	/* Asked about the branch, the log it is the beginning of is read too. */
	CLEANUP(buf_release) struct buf end = {0};
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame asked = SAUTI__FRAME__INIT;

	chain_note(&fork.left, 9, &end);
	prove.origin = name[0].text;
	prove.checkpoint = codec_binary(buf_bytes(&end));
	asked.body_case = PROVE;
	asked.prove = &prove;
	rig_hear(rig, cleo, &asked);
	assert_int_equal(rig->read_count, 1);
	assert_string_equal(rig->reads[0].origin.text, fork.left.origin.text);
	rig_read(rig, &fork.left, 0);
	assert_non_null(rig_sent(rig, cleo, PROVED, 0));
	/* The other is fetched from who shows it; shown with another end it is left alone. */
	hear_branch(rig, cleo, &fork.right, &name[1], 12);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	hear_branch(rig, cleo, &fork.right, &name[1], 11);
	frame = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(frame);
	assert_string_equal(frame->fetch->origin, name[1].text);
	assert_int_equal(frame->fetch->from, 0);

	struct chain branch = fork.right;

	branch.origin = name[1];
	uint32_t stream = frame->fetch->stream;
	CLEANUP(buf_release) struct buf note = {0};
	ProtobufCBinaryData entries[11];
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame sent = SAUTI__FRAME__INIT;

	chain_note(&fork.right, 11, &note);
	for (size_t i = 0; i < 11; i++)
		entries[i] = codec_binary(fork.right.entry[i]);
	batch.origin = branch.origin.text;
	batch.stream = stream;
	batch.n_entries = 11;
	batch.entries = entries;
	batch.checkpoint = codec_binary(buf_bytes(&note));
	sent.body_case = BATCH;
	sent.batch = &batch;
	rig_hear(rig, cleo, &sent);
	/* Behind a cosignature of the log itself. */
	assert_true(rig->write_count > 0);
	assert_string_equal(rig->writes[rig->write_count - 1]->origin.text, name[1].text);
	while (rig->write_count > 0)
		rig_written(rig, OK);
	assert_int_equal(rig->sign_count, 0); /* never cosigned */
	assert_true(rig_log(rig, &name[1], &log));
	assert_int_equal(log.checkpoint_size, 11);
	buf_release(&message);
	fork_release(&fork);
}

/* As long as it is not known whether it is held already, nothing of it is asked for. */
static void test_a_branch_is_looked_for_here_first(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct origin name[2];
	struct engine_log log;
	struct buf message;
	struct fork fork;

	fork_init(rig, &fork, 4, 12);
	names_of(&fork, 7, 11, name);
	rig_fetch_all(rig, anna, &fork.left, 9);
	evidence_of(&fork, 7, 11, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	assert_int_equal(rig->read_count, 1);
	hear_branch(rig, cleo, &fork.left, &name[0], 7);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	rig_read(rig, &fork.left, 1);
	assert_true(rig_log(rig, &name[0], &log));
	assert_true(log.alias);
	hear_branch(rig, cleo, &fork.left, &name[0], 7);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	buf_release(&message);
	fork_release(&fork);
}

/* Its one target is the checkpoint that evidence names, whatever else the log's key has signed. */
static void test_a_branch_ends(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct origin name[2];
	struct buf message;
	struct fork fork;
	Sauti__Frame *frame;
	CLEANUP(buf_release) struct buf note = {0};
	ProtobufCBinaryData entry;
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame sent = SAUTI__FRAME__INIT;

	fork_init(rig, &fork, 4, 12);
	names_of(&fork, 9, 11, name);
	evidence_of(&fork, 9, 11, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	rig_written(rig, OK);
	hear_branch(rig, cleo, &fork.right, &name[1], 11);
	frame = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(frame);
	chain_note(&fork.right, 1, &note);
	entry = codec_binary(fork.right.entry[0]);
	batch.origin = name[1].text;
	batch.stream = frame->fetch->stream;
	batch.n_entries = 1;
	batch.entries = &entry;
	batch.checkpoint = codec_binary(buf_bytes(&note));
	sent.body_case = BATCH;
	sent.batch = &batch;
	rig_hear(rig, cleo, &sent);
	assert_true(rig_closed(rig, cleo));
	assert_int_equal(rig->write_count, 0);
	buf_release(&message);
	fork_release(&fork);
}

/* Nothing of it is stored before the evidence is: after a restart nobody would know what it is. */
static void test_a_branch_waits_for_its_evidence(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct origin name[2];
	struct buf message;
	struct fork fork;

	fork_init(rig, &fork, 4, 12);
	names_of(&fork, 9, 11, name);
	evidence_of(&fork, 9, 11, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	hear_branch(rig, cleo, &fork.right, &name[1], 11);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	rig_written(rig, ERR_IO);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	rig_tick(rig, engine_timing_default.retry_delay);
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	rig_written(rig, OK);
	assert_non_null(rig_sent(rig, cleo, FETCH, 0));
	buf_release(&message);
	fork_release(&fork);
}

/* ---- two keys ---- */

/* Anna's log under another key, which she gave it too. */
static void second_key(struct rig *rig, struct chain *ret, size_t size)
{
	chain_init(ret, &rig->actor[ANNA].origin, rig->actor[DORA].log);
	chain_add_opened(ret, rig->actor[ANNA].node);
	while (ret->count < size)
		chain_add(ret, bytes_str("under another key"));
}

static void hear_prove_key(
	struct rig *rig, struct session_id session, const struct chain *chain, uint64_t size)
{
	CLEANUP(buf_release) struct buf note = {0};
	Sauti__Prove prove = SAUTI__PROVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	chain_note(chain, size, &note);
	prove.origin = (char *)chain->origin.text;
	prove.checkpoint = codec_binary(buf_bytes(&note));
	prove.opened = codec_binary(chain->entry[0]);
	frame.body_case = PROVE;
	frame.prove = &prove;
	rig_hear(rig, session, &frame);
}

/* A relay shows what nobody can verify with the key that is known here: it is asked, and it answers
 * with evidence. */
static void test_a_relay_with_another_key(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first, second;
	struct engine_log log;
	Sauti__Frame *frame;
	struct buf made;

	rig_chain(rig, ANNA, &first, 5);
	second_key(rig, &second, 7);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_fetch_all(rig, anna, &first, 5);
	rig_hear_have(rig, cleo, &second, 7);
	assert_false(rig_closed(rig, cleo));
	frame = rig_sent(rig, cleo, PROVE, 0);
	assert_non_null(frame);
	assert_true(bytes_equal(codec_bytes(frame->prove->opened), first.entry[0]));
	/* Not again while it is asked, and nothing of the log from it. */
	rig_hear_have(rig, cleo, &second, 7);
	assert_null(rig_sent(rig, cleo, PROVE, 0));
	assert_null(rig_sent(rig, cleo, FETCH, 0));
	buf_init(&made, LIMIT_EVIDENCE_SIZE);
	assert_int_equal(evidence_make_keys(first.entry[0], second.entry[0],
				 &rig->actor[ANNA].member.node, &made, NULL),
		OK);
	hear_evidence(rig, cleo, buf_bytes(&made));
	assert_true(rig_log(rig, &first.origin, &log));
	assert_true(log.frozen);
	assert_int_equal(log.evidence, 1);
	assert_true(rig->write_count > 0 && rig->writes[rig->write_count - 1]->evidence.size > 0);
	rig_tick(rig, engine_timing_default.fetch_timeout);
	assert_false(rig_closed(rig, cleo));
	/* After a restart too. */
	rig_restart(rig);
	rig_step(rig, &(struct event){.type = EVENT_EVIDENCE_LOADED, .entry = buf_bytes(&made)});
	assert_true(rig_log(rig, &first.origin, &log));
	assert_true(log.frozen);
	buf_release(&made);
	chain_release(&first);
	chain_release(&second);
}

/* Asked so: what is held here is the other key's. */
static void test_asked_about_another_key(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first, second;
	struct engine_log log;
	struct evidence evidence;
	Sauti__Frame *frame;

	rig_chain(rig, ANNA, &first, 5);
	second_key(rig, &second, 7);
	rig_hear_have(rig, cleo, &rig->directory, rig->directory.count);
	rig_fetch_all(rig, anna, &first, 5);
	hear_prove_key(rig, cleo, &second, 7);
	assert_false(rig_closed(rig, cleo));
	assert_true(rig_log(rig, &first.origin, &log));
	assert_true(log.frozen);
	frame = rig_sent(rig, cleo, EVIDENCE, 0);
	assert_non_null(frame);
	assert_int_equal(evidence_read(frame->evidence, &evidence, NULL), OK);
	assert_int_equal(evidence_verify_keys(&evidence, &rig->actor[ANNA].member.node, NULL), OK);
	chain_release(&first);
	chain_release(&second);
}

/* A key that the author never gave is evidence of nothing. */
static void test_a_key_of_nobodys(void **state)
{
	struct rig *rig = *state;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	struct chain first, forged;
	struct engine_log log;

	rig_chain(rig, ANNA, &first, 5);
	chain_init(&forged, &first.origin, rig->actor[DORA].log);
	chain_add_opened(&forged, rig->actor[CLEO].node);
	chain_grow(&forged, 6);
	rig_fetch_all(rig, anna, &first, 5);
	hear_prove_key(rig, cleo, &forged, 7);
	assert_true(rig_log(rig, &first.origin, &log));
	assert_false(log.frozen);
	assert_null(rig_sent(rig, cleo, EVIDENCE, 0));
	chain_release(&first);
	chain_release(&forged);
}

/* ---- the author ---- */

static void own_fork(struct rig *rig, struct chain *own, struct chain *other)
{
	rig_own_log(rig, own, 9);
	rig_chain(rig, BEN, other, 4);
	while (other->count < 9)
		chain_add(other, bytes_str("what was lost with the disk"));
}

static void test_ones_own(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct chain own, other;
	struct effect *forked;
	struct engine_log log;

	own_fork(rig, &own, &other);
	rig_hear_have(rig, cleo, &other, 6);
	rig_read(rig, &own, 0);
	forked = rig_effect(rig, EFFECT_FORKED, 0);
	assert_non_null(forked);
	assert_true(forked->proven);
	assert_true(rig_log(rig, &own.origin, &log));
	assert_true(log.frozen);
	rig_append(rig, &own, 8, 1);
	assert_int_equal(rig_effect(rig, EFFECT_APPENDED, 0)->error, ERR_FORK);
	chain_release(&own);
	chain_release(&other);
}

/* First a larger one is shown, which may be ours and lost; then it is evidence. */
static void test_ones_own_beyond_then_proven(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct fork fork;
	struct effect *forked;
	struct buf message;

	own_fork(rig, &fork.left, &fork.right);
	chain_add(&fork.right, bytes_str("more"));
	rig_hear_have(rig, cleo, &fork.right, 10);
	forked = rig_effect(rig, EFFECT_FORKED, 0);
	assert_non_null(forked);
	assert_false(forked->proven);
	evidence_of(&fork, 9, 10, true, &message);
	hear_evidence(rig, cleo, buf_bytes(&message));
	forked = rig_effect(rig, EFFECT_FORKED, 0);
	assert_non_null(forked);
	assert_true(forked->proven);
	buf_release(&message);
	fork_release(&fork);
}

/* A LogOpened that would not fit evidence is none: at the cap, and one past it. */
static void test_large_log_opened(void **state)
{
	struct rig *rig = *state;

	for (unsigned past = 0; past < 2; past++) {
		struct session_id anna = rig_session(rig, ANNA);
		struct chain chain, plain;
		Sauti__Frame *fetch;
		struct buf entry;

		rig_chain(rig, ANNA, &plain, 1);
		chain_init(&chain, &plain.origin, plain.key);
		buf_init(&entry, LIMIT_ENTRY_SIZE);
		buf_put(&entry, plain.entry[0]);
		/* An unknown field, 15: two bytes of key and length of its length. */
		size_t left = LIMIT_LOG_OPENED + past - entry.size;

		buf_put_u8(&entry, 15 << 3 | 2);
		buf_put_u8(&entry, (uint8_t)((left - 3) % 128 | 128));
		buf_put_u8(&entry, (uint8_t)((left - 3) / 128));
		for (size_t i = 0; i < left - 3; i++)
			buf_put_u8(&entry, 0);
		assert_int_equal(entry.size, LIMIT_LOG_OPENED + past);
		chain_add(&chain, buf_bytes(&entry));
		rig_hear_have(rig, anna, &chain, 1);
		fetch = rig_sent(rig, anna, FETCH, 0);
		assert_non_null(fetch);
		rig_hear_batch(rig, anna, &chain,
			(struct batch_opts){fetch->fetch->stream, 0, 1, 1, true});
		assert_int_equal(rig->write_count, past == 0);
		assert_false(rig_closed(rig, anna));
		rig_restart(rig);
		rig_load_directory(rig);
		rig_start(rig);
		buf_release(&entry);
		chain_release(&chain);
		chain_release(&plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)
		T(one_size),
		T(a_smaller_one_of_another_branch),
		T(a_smaller_one_of_ours),
		T(judged_when_there_is_enough),
		T(heard_and_told_on),
		T(forged),
		T(of_a_stranger),
		T(after_a_restart),
		T(cap),
		T(cap_of_all),
		T(contested_answered_by_evidence),
		T(contested_answered_by_a_proof),
		T(contested_by_a_liar),
		T(contested_in_silence),
		T(contested_and_nobody_can_tell),
		T(contested_and_answered_wrongly),
		T(a_pin_outlives_its_provider),
		T(asked),
		T(asked_with_a_forged_note),
		T(a_relay_with_another_key),
		T(asked_about_another_key),
		T(a_key_of_nobodys),
		T(branches),
		T(a_branch_is_looked_for_here_first),
		T(a_branch_ends),
		T(a_branch_waits_for_its_evidence),
		T(ones_own),
		T(ones_own_beyond_then_proven),
		T(large_log_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
