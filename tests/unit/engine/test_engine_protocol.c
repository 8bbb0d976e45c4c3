/*
 * What the engine says to peers and lets them do: Hello, duplicate sessions, Have, Fetch and Batch
 * from both sides, timeouts and dialling.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#define HELLO SAUTI__FRAME__BODY_HELLO
#define HAVE  SAUTI__FRAME__BODY_HAVE
#define FETCH SAUTI__FRAME__BODY_FETCH
#define BATCH SAUTI__FRAME__BODY_BATCH
#define HELD  SAUTI__FRAME__BODY_HELD
#define PING  SAUTI__FRAME__BODY_PING
#define PONG  SAUTI__FRAME__BODY_PONG
#define BYE   SAUTI__FRAME__BODY_BYE

static const struct engine_timing *const timing = &engine_timing_default;
static const struct session_id anybody;

/* The session is refused as a violation: Bye with that reason, then closed. */
static void is_refused(struct rig *rig, struct session_id session, const char *reason)
{
	Sauti__Frame *bye = rig_sent(rig, session, BYE, 0);

	assert_true(rig_closed(rig, session));
	assert_non_null(bye);
	if (strstr(bye->bye->reason, reason) == NULL)
		fail_msg("the reason is \"%s\", not \"..%s..\"", bye->bye->reason, reason);
	assert_int_equal(bye->bye->code, 1);
	assert_true(rig_noticed(rig, NOTICE_WARNING, reason));
}

/* Hello. */

static void test_hello_is_first(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_connect(rig, ANNA, false);
	Sauti__Frame *hello = rig_sent(rig, s, HELLO, 0);
	struct effect *first = rig_effect(rig, EFFECT_SEND, 0);

	assert_non_null(hello);
	assert_string_equal(hello->hello->network, NETWORK);
	assert_string_equal(hello->hello->node, "ben");
	assert_int_equal(hello->hello->protocol_min, PROTOCOL_VERSION);
	assert_int_equal(hello->hello->protocol_max, PROTOCOL_VERSION);
	assert_int_equal(hello->hello->max_frame, LIMIT_FRAME_SIZE);
	assert_int_equal(hello->hello->format, FORMAT_VERSION);
	assert_int_equal(first->frame.data[FRAME_HEADER_SIZE], 1 << 3 | 2); /* field 1 */
	/* Have follows without waiting for the peer's Hello: the directory is held. */
	assert_non_null(rig_sent(rig, s, HAVE, 0));
	assert_false(rig_connected(rig, ANNA));
	rig_hello(rig, s, ANNA);
	assert_true(rig_connected(rig, ANNA));
	assert_false(rig_closed(rig, s));
}

static void hello_case(struct rig *rig, Sauti__Hello hello, const char *reason)
{
	struct session_id s = rig_connect(rig, ANNA, false);
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	frame.body_case = HELLO;
	frame.hello = &hello;
	rig_hear(rig, s, &frame);
	if (reason == NULL) {
		assert_false(rig_closed(rig, s));
		assert_true(rig_connected(rig, ANNA));
	} else {
		is_refused(rig, s, reason);
		assert_false(rig_connected(rig, ANNA));
	}
	rig_disconnect(rig, s);
}

static void test_hello_is_judged(void **state)
{
	const Sauti__Hello good = {PROTOBUF_C_MESSAGE_INIT(&sauti__hello__descriptor),
		(char *)NETWORK, (char *)"anna", 1, 1, 0, LIMIT_FRAME_SIZE, FORMAT_VERSION};
	Sauti__Hello h;

	hello_case(*state, good, NULL);
	h = good, h.protocol_min = 0, h.protocol_max = 9;
	hello_case(*state, h, NULL);
	h = good, h.features = UINT64_MAX;
	hello_case(*state, h, NULL);
	h = good, h.max_frame = UINT32_MAX;
	hello_case(*state, h, NULL);

	h = good, h.network = (char *)"ovra.example.net";
	hello_case(*state, h, "another network");
	h = good, h.network = (char *)"";
	hello_case(*state, h, "another network");
	h = good, h.node = (char *)"cleo";
	hello_case(*state, h, "its certificate names 'anna'");
	h = good, h.protocol_min = 2, h.protocol_max = 3;
	hello_case(*state, h, "protocol 2 to 3");
	h = good, h.protocol_min = 0, h.protocol_max = 0;
	hello_case(*state, h, "protocol 0 to 0");
	h = good, h.format = FORMAT_VERSION + 1;
	hello_case(*state, h, "format");
	h = good, h.max_frame = LIMIT_FRAME_SIZE - 1;
	hello_case(*state, h, "frames of");
}

static void test_second_hello(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);

	rig_hello(rig, s, ANNA);
	is_refused(rig, s, "a second Hello");
}

static void test_nothing_before_hello(void **state)
{
	struct rig *rig = *state;
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Fetch fetch = SAUTI__FETCH__INIT;
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Bye bye = SAUTI__BYE__INIT;
	Sauti__Frame frame[7];

	for (size_t i = 0; i < 7; i++)
		sauti__frame__init(&frame[i]);
	frame[0].body_case = HAVE, frame[0].have = &have;
	frame[1].body_case = FETCH, frame[1].fetch = &fetch;
	frame[2].body_case = BATCH, frame[2].batch = &batch;
	frame[3].body_case = HELD, frame[3].held = &held;
	frame[4].body_case = PING, frame[4].ping = &ping;
	frame[5].body_case = PONG, frame[5].pong = &ping;
	for (size_t i = 0; i < 7; i++) { /* the last is a kind we do not know */
		struct session_id s = rig_connect(rig, ANNA, false);

		rig_hear(rig, s, &frame[i]);
		is_refused(rig, s, "before its Hello");
		/* What it says afterwards is not heard any more. */
		rig_hello(rig, s, ANNA);
		assert_int_equal(rig->out.count, 0);
		assert_false(rig_connected(rig, ANNA));
		rig_disconnect(rig, s);
	}
	/* Who says Bye at once breaks no rule. */
	struct session_id s = rig_connect(rig, ANNA, false);

	bye.reason = (char *)"busy";
	frame[6].body_case = BYE, frame[6].bye = &bye;
	rig_hear(rig, s, &frame[6]);
	assert_true(rig_closed(rig, s));
	assert_null(rig_sent(rig, s, BYE, 0));
}

static void test_hello_timeout(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_connect(rig, ANNA, false);

	assert_int_equal(engine_deadline(rig->engine), rig->now_ms + timing->hello_timeout);
	rig_tick(rig, timing->hello_timeout - 1);
	assert_false(rig_closed(rig, s));
	rig_tick(rig, 1);
	is_refused(rig, s, "no Hello");
	rig_disconnect(rig, s);
	assert_true(engine_deadline(rig->engine) > rig->now_ms);
}

static void test_strangers_are_refused(void **state)
{
	struct rig *rig = *state;
	struct session_id dora = rig_connect(rig, DORA, false), self;

	is_refused(rig, dora, "not an active member");
	assert_null(rig_sent(rig, dora, HELLO, 0));
	assert_null(rig_sent(rig, dora, HAVE, 0));
	self = rig_connect(rig, BEN, false);
	is_refused(rig, self, "not an active member");
}

static void test_bad_frames(void **state)
{
	static const uint8_t junk[] = {0xff, 0xff, 0xff};
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	Sauti__Frame unknown = SAUTI__FRAME__INIT;

	/* An empty message is a kind of frame that a later protocol may have. */
	rig_hear(rig, s, &unknown);
	assert_int_equal(rig->out.count, 0);
	rig_step(rig,
		&(struct event){.type = EVENT_FRAME, .session = s, .frame = BYTES_ARRAY(junk)});
	is_refused(rig, s, "bad frame");
	/* Of a session that is not there: nothing. */
	rig_step(rig,
		&(struct event){.type = EVENT_FRAME, .session = {777}, .frame = BYTES_ARRAY(junk)});
	assert_int_equal(rig->out.count, 0);
}

/* Duplicates: ben is the engine, anna's name is lower, cleo's higher. */

static void duplicate(
	struct rig *rig, enum who peer, bool first_outgoing, bool second_outgoing, bool keeps_first)
{
	struct session_id first = rig_connect(rig, peer, first_outgoing), second;

	rig_hello(rig, first, peer);
	second = rig_connect(rig, peer, second_outgoing);
	assert_int_equal(rig_closed(rig, first), !keeps_first);
	assert_int_equal(rig_closed(rig, second), keeps_first);
	if (keeps_first) {
		assert_null(rig_sent(rig, second, HELLO, 0));
		assert_true(rig_connected(rig, peer));
		rig_disconnect(rig, second);
		assert_true(rig_connected(rig, peer));
		rig_disconnect(rig, first);
	} else {
		assert_non_null(rig_sent(rig, second, HELLO, 0));
		rig_disconnect(rig, first);
		rig_hello(rig, second, peer);
		assert_true(rig_connected(rig, peer));
		rig_disconnect(rig, second);
	}
	assert_false(rig_connected(rig, peer));
}

static void test_duplicate_sessions(void **state)
{
	/* The connection that the lower name dialled stays, whichever came first. */
	duplicate(*state, ANNA, false, true, true);
	duplicate(*state, ANNA, true, false, false);
	duplicate(*state, CLEO, true, false, true);
	duplicate(*state, CLEO, false, true, false);
	/* Dialled twice by the same side: that side gave the first one up. */
	duplicate(*state, ANNA, false, false, false);
	duplicate(*state, ANNA, true, true, false);
	duplicate(*state, CLEO, false, false, false);
	duplicate(*state, CLEO, true, true, false);
}

static void test_duplicate_moves_the_stream(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id first = rig_connect(rig, ANNA, true), second;
	Sauti__Frame *fetch;

	rig_chain(rig, ANNA, &chain, 5);
	rig_hello(rig, first, ANNA);
	rig_hear_have(rig, first, &chain, 5);
	assert_non_null(rig_sent(rig, first, FETCH, 0));
	second = rig_connect(rig, ANNA, false);
	assert_true(rig_closed(rig, first));
	rig_hello(rig, second, ANNA);
	rig_hear_have(rig, second, &chain, 5);
	fetch = rig_sent(rig, second, FETCH, 0);
	assert_non_null(fetch);
	assert_int_equal(fetch->fetch->from, 0);
	chain_release(&chain);
}

/* Have. */

static void test_log_of_a_node_not_listed_yet(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain chain;
	struct engine_log log;
	struct buf admitted;
	Sauti__Frame *fetch;

	rig_chain(rig, DORA, &chain, 3);
	rig_hear_have(rig, s, &chain, 3);
	assert_false(rig_closed(rig, s));
	assert_null(rig_sent(rig, s, FETCH, 0));
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.size, 0);
	assert_int_equal(log.known, 3);

	/* The directory grows: dora is a member, and what was heard before counts. */
	rig_admitted_entry(rig, DORA, &admitted);
	chain_add(&rig->directory, buf_bytes(&admitted));
	rig_hear_have(rig, s, &rig->directory, rig->directory.count);
	fetch = rig_sent(rig, s, FETCH, 0);
	assert_non_null(fetch);
	assert_string_equal(fetch->fetch->origin, rig->directory.origin.text);
	rig_hear_batch(rig, s, &rig->directory,
		(struct batch_opts){.stream = fetch->fetch->stream,
			.first = rig->directory.count - 1,
			.count = 1,
			.target = rig->directory.count,
			.note = true});
	assert_int_equal(rig_count(rig, EFFECT_MEMBERS), 0);
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_MEMBERS), 1);
	assert_non_null(directory_find(engine_directory(rig->engine), bytes_str("dora")));
	fetch = rig_sent(rig, s, FETCH, 0);
	assert_non_null(fetch);
	assert_string_equal(fetch->fetch->origin, chain.origin.text);
	assert_int_equal(fetch->fetch->from, 0);
	buf_release(&admitted);
	chain_release(&chain);
}

static void have_case(
	struct rig *rig, const char *origin, uint64_t size, struct bytes note, const char *reason)
{
	Sauti__LogState item = SAUTI__LOG_STATE__INIT, *list[1] = {&item};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct session_id s = rig_session(rig, CLEO);

	item.origin = (char *)origin;
	item.size = size;
	item.checkpoint = codec_binary(note);
	have.n_logs = 1;
	have.logs = list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, s, &frame);
	if (reason != NULL)
		is_refused(rig, s, reason);
	else
		assert_false(rig_closed(rig, s));
	assert_int_equal(rig->write_count, 0);
	rig_disconnect(rig, s);
}

static void test_have_is_judged(void **state)
{
	struct rig *rig = *state;
	struct chain chain, other, forged;
	struct buf note, wrong, zero;
	struct checkpoint none = {.size = 0};
	struct engine_log log;

	rig_chain(rig, ANNA, &chain, 4);
	rig_fetch_all(rig, rig_session(rig, ANNA), &chain, 3);
	chain_note(&chain, 4, &note);
	have_case(rig, chain.origin.text, 4, buf_bytes(&note), NULL);
	have_case(rig, chain.origin.text, 5, buf_bytes(&note), NULL);
	have_case(rig, chain.origin.text, 3, buf_bytes(&note), "larger than what is held");

	/* Signed by another key, which its author may have opened it with elsewhere; of another
	 * log, well signed; cut short; of no size. */
	rig_chain(rig, ANNA, &forged, 4);
	forged.key = rig->actor[CLEO].log;
	chain_note(&forged, 4, &wrong);
	have_case(rig, chain.origin.text, 4, buf_bytes(&wrong), NULL);
	buf_release(&wrong);
	rig_chain(rig, DORA, &other, 4);
	chain_note(&other, 4, &wrong);
	have_case(rig, chain.origin.text, 4, buf_bytes(&wrong), "of another log");
	have_case(rig, rig->actor[CLEO].origin.text, 4, buf_bytes(&wrong), "of another log");
	have_case(rig, chain.origin.text, 4, bytes_make(note.data, note.size - 1), "bad Have");
	have_case(rig, chain.origin.text, 4, BYTES_NONE, "bad Have");
	none.origin = chain.origin;
	tree_empty(&none.root);
	buf_init(&zero, LIMIT_NOTE_SIZE);
	assert_int_equal(checkpoint_sign(&zero, &none, chain.key), OK);
	have_case(rig, chain.origin.text, 4, buf_bytes(&zero), "bad Have");
	/* None of it counted. */
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.size, 3);
	assert_false(log.frozen);
	buf_release(&note);
	buf_release(&wrong);
	buf_release(&zero);
	chain_release(&chain);
	chain_release(&other);
	chain_release(&forged);
}

static void test_have_of_foreign_logs(void **state)
{
	static const char *const origins[] = {
		"other.example/anna/1-0001020304050600", /* another network */
		NETWORK "/directory/2-0001020304050600", /* not the directory we trust */
		NETWORK "/anna",                         /* no origin */
		"",
	};
	struct rig *rig = *state;
	struct chain chain;
	struct buf note;
	size_t before = engine_log_count(rig->engine);

	rig_chain(rig, ANNA, &chain, 1);
	chain_note(&chain, 1, &note);
	for (size_t i = 0; i < sizeof(origins) / sizeof(*origins); i++)
		have_case(rig, origins[i], 1, buf_bytes(&note), NULL);
	assert_int_equal(engine_log_count(rig->engine), before);
	buf_release(&note);
	chain_release(&chain);
}

/* A Have of `count` epochs of anna's, all with good form. */
static void hear_epochs(struct rig *rig, struct session_id s, size_t count)
{
	Sauti__LogState item[LIMIT_HAVE_LOGS + 1], *list[LIMIT_HAVE_LOGS + 1];
	struct chain chain[LIMIT_HAVE_LOGS + 1];
	struct buf note[LIMIT_HAVE_LOGS + 1];
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;

	assert_true(count <= LIMIT_HAVE_LOGS + 1);
	for (size_t i = 0; i < count; i++) {
		struct origin origin;

		snprintf(origin.text, sizeof(origin.text), NETWORK "/anna/%zu-%016zx", i + 1, i);
		chain_init(&chain[i], &origin, rig->actor[ANNA].log);
		chain_grow(&chain[i], 1);
		chain_note(&chain[i], 1, &note[i]);
		sauti__log_state__init(&item[i]);
		item[i].origin = chain[i].origin.text;
		item[i].size = 1;
		item[i].checkpoint = codec_binary(buf_bytes(&note[i]));
		list[i] = &item[i];
	}
	have.n_logs = count;
	have.logs = list;
	frame.body_case = HAVE;
	frame.have = &have;
	rig_hear(rig, s, &frame);
	for (size_t i = 0; i < count; i++) {
		buf_release(&note[i]);
		chain_release(&chain[i]);
	}
}

static void test_have_limits(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	size_t before = engine_log_count(rig->engine);

	hear_epochs(rig, s, LIMIT_EPOCHS_PER_NODE);
	assert_int_equal(engine_log_count(rig->engine), before + LIMIT_EPOCHS_PER_NODE);
	hear_epochs(rig, s, LIMIT_EPOCHS_PER_NODE + 1);
	assert_int_equal(engine_log_count(rig->engine), before + LIMIT_EPOCHS_PER_NODE);
	hear_epochs(rig, s, LIMIT_HAVE_LOGS);
	assert_false(rig_closed(rig, s));
	hear_epochs(rig, s, LIMIT_HAVE_LOGS + 1);
	is_refused(rig, s, "a Have of 257 logs");
}

/* Receiving. */

static void test_first_batch(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain chain;
	struct engine_log log;
	struct note_key key;
	size_t position;
	Sauti__Frame *frame;

	rig_chain(rig, ANNA, &chain, 4);
	rig_hear_have(rig, s, &chain, 4);
	frame = rig_sent(rig, s, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 0);
	assert_true(frame->fetch->window > 0 && frame->fetch->window <= LIMIT_FETCH_WINDOW);
	rig_hear_batch(rig, s, &chain, (struct batch_opts){frame->fetch->stream, 0, 4, 4, true});
	/* Proven, not durable: written and nothing else. */
	assert_int_equal(rig->write_count, 1);
	rig_is_silent(rig);
	assert_int_equal(rig->writes[0]->first, 0);
	assert_int_equal(rig->writes[0]->entries->count, 4);
	assert_true(rig->writes[0]->checkpoint.size > 0);
	assert_true(rig_log(rig, &chain.origin, &log));
	assert_int_equal(log.size, 0);
	rig_tick(rig, timing->have_delay);
	rig_is_silent(rig);
	/* Durable: cosigned; not claimed before the cosignature is there. */
	rig_written(rig, OK);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 1);
	assert_null(rig_sent(rig, anybody, HELD, 0));
	rig_signed(rig, OK);
	frame = rig_sent(rig, s, HELD, 0);
	assert_non_null(frame);
	assert_int_equal(frame->held->cosigned->size, 4);
	assert_true(engine_log_find(rig->engine, bytes_str(chain.origin.text), &log, &position));
	assert_int_equal(log.size, 4);
	assert_int_equal(log.checkpoint_size, 4);
	assert_true(engine_log_key(rig->engine, position, &key));
	assert_memory_equal(key.key.b, signer_public(chain.key)->b, ED25519_PUBLIC_SIZE);
	chain_release(&chain);
}

/* A log of anna's that somebody else made: not accepted, and not the provider's fault. */
static void not_accepted(struct rig *rig, struct session_id s, const struct chain *chain)
{
	Sauti__Frame *fetch;

	rig_hear_have(rig, s, chain, chain->count);
	fetch = rig_sent(rig, s, FETCH, 0);
	assert_non_null(fetch);
	rig_hear_batch(rig, s, chain,
		(struct batch_opts){fetch->fetch->stream, 0, chain->count, chain->count, true});
	assert_false(rig_closed(rig, s));
	assert_int_equal(rig->write_count, 0);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "is not accepted"));
	fetch = rig_sent(rig, s, FETCH, 0);
	assert_non_null(fetch);
	assert_int_equal(fetch->fetch->window, 0);
	/* Left alone for a while. */
	rig_hear_have(rig, s, chain, chain->count);
	assert_null(rig_sent(rig, s, FETCH, 0));
}

static void test_log_opened_must_be_the_authors(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, CLEO);
	struct chain chain;
	struct origin second = rig->actor[ANNA].origin, third = rig->actor[ANNA].origin;

	/* cleo signed it. */
	chain_init(&chain, &rig->actor[ANNA].origin, rig->actor[CLEO].log);
	chain_add_opened(&chain, rig->actor[CLEO].node);
	chain_grow(&chain, 2);
	not_accepted(rig, s, &chain);
	chain_release(&chain);

	/* It names another origin: the LogOpened of one log at index 0 of another. */
	chain_init(&chain, &rig->actor[ANNA].origin, rig->actor[ANNA].log);
	chain_add_opened(&chain, rig->actor[ANNA].node);
	memcpy(strstr(second.text, "/1-") + 1, "2", 1);
	chain.origin = second;
	not_accepted(rig, s, &chain);
	chain_release(&chain);

	/* The first entry is none. */
	memcpy(strstr(third.text, "/1-") + 1, "3", 1);
	chain_init(&chain, &third, rig->actor[ANNA].log);
	chain_grow(&chain, 2);
	not_accepted(rig, s, &chain);
	chain_release(&chain);
}

/* A stream from anna, on which 3 entries have arrived and are durable, the target being 10. */
struct stream {
	struct chain chain;
	struct session_id session;
	uint32_t number;
};

static struct stream stream_begin(struct rig *rig)
{
	struct stream stream = {.session = rig_session(rig, ANNA)};
	Sauti__Frame *fetch;

	rig_chain(rig, ANNA, &stream.chain, 20);
	rig_hear_have(rig, stream.session, &stream.chain, 10);
	fetch = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(fetch);
	stream.number = fetch->fetch->stream;
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 0, 3, 10, true});
	assert_int_equal(rig->write_count, 1);
	assert_int_equal(rig->writes[0]->checkpoint.size, 0);
	rig_written(rig, OK);
	return stream;
}

static void stream_end(struct rig *rig, struct stream *stream)
{
	rig_disconnect(rig, stream->session);
	chain_release(&stream->chain);
}

enum spoil {
	SPOIL_NOTHING,
	SPOIL_FIRST,
	SPOIL_ENTRY,
	SPOIL_EMPTY_ENTRY,
	SPOIL_NO_ENTRIES,
	SPOIL_PROOF,
	SPOIL_PROOF_SHORT,
	SPOIL_PROOF_LONG,
	SPOIL_PROOF_HASH,
	SPOIL_PROOF_MANY,
};

/* The right next batch, [3, 6) to 10, with one thing wrong. */
static void hear_spoiled(struct rig *rig, const struct stream *stream, enum spoil spoil)
{
	Sauti__Batch batch = SAUTI__BATCH__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	ProtobufCBinaryData list[3], hashes[LIMIT_PROOF_HASHES + 1];
	struct proof proof;

	for (size_t i = 0; i < 3; i++)
		list[i] = codec_binary(stream->chain.entry[3 + i]);
	chain_proof(&stream->chain, 6, 10, &proof);
	proof.hashes[0].b[5] ^= spoil == SPOIL_PROOF;
	for (size_t i = 0; i < LIMIT_PROOF_HASHES + 1; i++)
		hashes[i] = codec_binary(hash_bytes(&proof.hashes[i < proof.count ? i : 0]));
	batch.origin = (char *)stream->chain.origin.text;
	batch.stream = stream->number;
	batch.first = spoil == SPOIL_FIRST ? 2 : 3;
	batch.n_entries = spoil == SPOIL_NO_ENTRIES ? 0 : 3;
	batch.entries = list;
	batch.n_proof = spoil == SPOIL_PROOF_MANY ? LIMIT_PROOF_HASHES + 1
						  : proof.count - (spoil == SPOIL_PROOF_SHORT) +
							    (spoil == SPOIL_PROOF_LONG);
	batch.proof = hashes;
	if (spoil == SPOIL_ENTRY)
		list[1] = codec_binary(stream->chain.entry[7]);
	if (spoil == SPOIL_EMPTY_ENTRY)
		list[1].len = 0;
	if (spoil == SPOIL_PROOF_HASH)
		hashes[0].len--;
	frame.body_case = BATCH;
	frame.batch = &batch;
	rig_hear(rig, stream->session, &frame);
}

static void test_bad_batches(void **state)
{
	static const struct {
		enum spoil spoil;
		const char *reason;
	} cases[] = {
		{SPOIL_FIRST, "begins at 2, 3 was asked for"},
		{SPOIL_ENTRY, "does not verify"},
		{SPOIL_EMPTY_ENTRY, "bad Batch"},
		{SPOIL_NO_ENTRIES, "0 entries"},
		{SPOIL_PROOF, "does not verify"},
		{SPOIL_PROOF_SHORT, "does not verify"},
		{SPOIL_PROOF_LONG, "does not verify"},
		{SPOIL_PROOF_HASH, "of 31 bytes"},
		{SPOIL_PROOF_MANY, "of 64 hashes"},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct stream stream = stream_begin(rig);
		struct engine_log log;

		hear_spoiled(rig, &stream, cases[i].spoil);
		is_refused(rig, stream.session, cases[i].reason);
		assert_int_equal(rig->write_count, 0);
		assert_true(rig_log(rig, &stream.chain.origin, &log));
		assert_int_equal(log.size, 3);
		assert_false(log.frozen);
		stream_end(rig, &stream);
		rig_restart(rig);
		rig_load_directory(rig);
		rig_start(rig);
	}
	/* That the cases fail for their reasons alone: without any, it is taken. */
	struct stream stream = stream_begin(rig);

	hear_spoiled(rig, &stream, SPOIL_NOTHING);
	assert_int_equal(rig->write_count, 1);
	stream_end(rig, &stream);
}

/* One batch that is refused with that reason, after a good beginning. */
static void batch_case(struct rig *rig, struct batch_opts opts, const char *reason)
{
	struct stream stream = stream_begin(rig);

	opts.stream = stream.number;
	rig_hear_batch(rig, stream.session, &stream.chain, opts);
	is_refused(rig, stream.session, reason);
	assert_int_equal(rig->write_count, 0);
	stream_end(rig, &stream);
	rig_restart(rig);
	rig_load_directory(rig);
	rig_start(rig);
}

static void test_targets(void **state)
{
	struct rig *rig = *state;
	struct session_id s;
	struct chain chain, forged;
	uint32_t stream;

	batch_case(rig, (struct batch_opts){.first = 3, .count = 8, .target = 10}, "beyond");
	batch_case(rig, (struct batch_opts){.first = 3, .count = 3, .target = 12, .note = true},
		"before the old one was reached");
	batch_case(rig, (struct batch_opts){.first = 3, .count = 3, .target = 10, .note = true},
		"before the old one was reached");
	batch_case(rig, (struct batch_opts){.first = 3, .count = 3, .target = 9}, "not verify");

	/* The first batch of a stream says what it is proven against, signed by the log. */
	rig_chain(rig, ANNA, &chain, 4);
	rig_chain(rig, ANNA, &forged, 4);
	forged.key = rig->actor[CLEO].log;
	s = rig_session(rig, ANNA);
	rig_hear_have(rig, s, &chain, 4);
	stream = rig_sent(rig, s, FETCH, 0)->fetch->stream;
	rig_hear_batch(rig, s, &chain, (struct batch_opts){stream, 0, 4, 4, false});
	is_refused(rig, s, "no checkpoint");
	rig_disconnect(rig, s);
	/* Its provider failed: it is not asked again at once, another is. */
	s = rig_session(rig, CLEO);
	rig_hear_have(rig, s, &chain, 4);
	stream = rig_sent(rig, s, FETCH, 0)->fetch->stream;
	rig_hear_batch(rig, s, &forged, (struct batch_opts){stream, 0, 4, 4, true});
	is_refused(rig, s, "bad Batch");
	assert_int_equal(rig->write_count, 0);
	chain_release(&chain);
	chain_release(&forged);
}

static void test_stale_streams_are_void(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	struct session_id cleo = rig_session(rig, CLEO);

	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number - 1, 3, 3, 10, false});
	assert_int_equal(rig->out.count, 0);
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number + 1, 3, 3, 10, false});
	assert_int_equal(rig->out.count, 0);
	/* Not from the provider, though it has the right number. */
	rig_hear_batch(
		rig, cleo, &stream.chain, (struct batch_opts){stream.number, 3, 3, 10, false});
	assert_int_equal(rig->out.count, 0);
	/* The stream itself goes on. */
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	assert_int_equal(rig->write_count, 1);
	stream_end(rig, &stream);
}

static void test_catching_up_in_batches(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	Sauti__Frame *frame = rig_sent(rig, stream.session, FETCH, 0);

	/* What stream_begin made durable is acknowledged, in the same stream. */
	assert_non_null(frame);
	assert_int_equal(frame->fetch->stream, stream.number);
	assert_int_equal(frame->fetch->from, 3);
	/* Two more come before the disk has either: nothing is acknowledged. */
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	rig_is_silent(rig);
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 6, 4, 10, false});
	rig_is_silent(rig);
	assert_int_equal(rig->write_count, 2);
	assert_int_equal(rig->writes[0]->checkpoint.size, 0);
	assert_true(rig->writes[1]->checkpoint.size > 0);
	rig_written(rig, OK);
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 6);
	assert_null(rig_sent(rig, anybody, HAVE, 0));
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	/* The last one brings the checkpoint: Held acknowledges. */
	rig_written(rig, OK);
	assert_null(rig_sent(rig, stream.session, FETCH, 0));
	rig_signed(rig, OK);
	frame = rig_sent(rig, stream.session, HELD, 0);
	assert_non_null(frame);
	assert_int_equal(frame->held->cosigned->size, 10);
	/* The stream stays: the next target comes with live entries. */
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 10, 1, 11, true});
	assert_int_equal(rig->write_count, 1);
	stream_end(rig, &stream);
}

static void test_without_a_cosignature_it_is_acknowledged(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	Sauti__Frame *frame;

	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 7, 10, false});
	rig_written(rig, OK);
	rig_signed(rig, ERR_CRYPTO);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "cannot cosign"));
	assert_null(rig_sent(rig, anybody, HELD, 0));
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 10);
	stream_end(rig, &stream);
}

static void test_one_provider_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	struct session_id cleo = rig_session(rig, CLEO);
	Sauti__Frame *frame;

	/* cleo has more, but anna delivers. */
	rig_hear_have(rig, cleo, &stream.chain, 15);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	assert_int_equal(rig->write_count, 1);
	/* anna goes away: cleo is asked for what was not proven yet, not for what is. */
	rig_disconnect(rig, stream.session);
	frame = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 6);
	assert_int_not_equal(frame->fetch->stream, stream.number);
	rig_written(rig, OK);
	chain_release(&stream.chain);
}

static void test_a_silent_provider_is_left(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	struct session_id cleo = rig_session(rig, CLEO);
	Sauti__Frame *frame;

	rig_hear_have(rig, cleo, &stream.chain, 10);
	for (uint64_t at = 0; at + 10000 < timing->fetch_timeout; at += 10000) {
		Sauti__Ping ping = SAUTI__PING__INIT;
		Sauti__Frame alive = SAUTI__FRAME__INIT;

		/* Being alive is no progress. */
		alive.body_case = PING;
		alive.ping = &ping;
		rig_tick(rig, 10000);
		assert_null(rig_sent(rig, cleo, FETCH, 0));
		rig_hear(rig, stream.session, &alive);
		rig_hear(rig, cleo, &alive);
	}
	rig_tick(rig, 10000 - 1);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	rig_tick(rig, 1);
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->window, 0);
	frame = rig_sent(rig, cleo, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 3);
	/* What anna still sends is void. */
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	assert_int_equal(rig->write_count, 0);
	assert_false(rig_closed(rig, stream.session));
	stream_end(rig, &stream);
}

static void test_failed_write_starts_over(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	struct engine_log log;
	Sauti__Frame *frame;

	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 6, 4, 10, false});
	rig_written(rig, ERR_FULL);
	assert_true(rig_noticed(rig, NOTICE_WARNING, "cannot store entries from 3 on"));
	rig_written(rig, ERR_INVALID); /* its beginning is not there */
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->window, 0);
	assert_int_equal(rig_count(rig, EFFECT_COSIGN), 0);
	assert_true(rig_log(rig, &stream.chain.origin, &log));
	assert_int_equal(log.size, 3);
	/* Not at once. */
	rig_tick(rig, timing->retry_delay - 1);
	assert_null(rig_sent(rig, anybody, FETCH, 0));
	assert_true(engine_deadline(rig->engine) <= rig->now_ms + 1);
	rig_tick(rig, 1);
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 3);
	assert_int_not_equal(frame->fetch->stream, stream.number);
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){frame->fetch->stream, 3, 7, 10, true});
	rig_written(rig, OK);
	assert_true(rig_log(rig, &stream.chain.origin, &log));
	assert_int_equal(log.size, 10);
	stream_end(rig, &stream);
}

static void test_first_of_two_writes_is_durable_the_second_fails(void **state)
{
	struct rig *rig = *state;
	struct stream stream = stream_begin(rig);
	Sauti__Frame *frame;

	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 6, 4, 10, false});
	rig_written(rig, OK);
	rig_written(rig, ERR_IO);
	rig_tick(rig, timing->retry_delay);
	frame = rig_sent(rig, stream.session, FETCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->fetch->from, 6);
	stream_end(rig, &stream);
}

static void test_entries_at_the_cap(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain chain;
	uint8_t *large = mem_zalloc(LIMIT_ENTRY_SIZE + 1);
	Sauti__Frame *frame;

	assert_non_null(large);
	rig_chain(rig, ANNA, &chain, 1);
	chain_add(&chain, bytes_make(large, LIMIT_ENTRY_SIZE));
	chain_grow(&chain, LIMIT_BATCH_ENTRIES - 2);
	rig_hear_have(rig, s, &chain, LIMIT_BATCH_ENTRIES);
	frame = rig_sent(rig, s, FETCH, 0);
	rig_hear_batch(rig, s, &chain,
		(struct batch_opts){
			frame->fetch->stream, 0, LIMIT_BATCH_ENTRIES, LIMIT_BATCH_ENTRIES, true});
	assert_int_equal(rig->write_count, 1);
	rig_written(rig, OK);
	rig_signed(rig, OK);
	chain_grow(&chain, LIMIT_BATCH_ENTRIES + 1);
	rig_hear_batch(rig, s, &chain,
		(struct batch_opts){1, LIMIT_BATCH_ENTRIES, LIMIT_BATCH_ENTRIES + 1,
			2 * LIMIT_BATCH_ENTRIES + 1, true});
	is_refused(rig, s, "1025 entries");
	chain_release(&chain);

	/* One byte over in one entry. */
	rig_chain(rig, CLEO, &chain, 1);
	chain_add(&chain, bytes_make(large, LIMIT_ENTRY_SIZE + 1));
	s = rig_session(rig, CLEO);
	rig_hear_have(rig, s, &chain, 2);
	frame = rig_sent(rig, s, FETCH, 0);
	rig_hear_batch(rig, s, &chain, (struct batch_opts){frame->fetch->stream, 0, 2, 2, true});
	is_refused(rig, s, "bad Batch");
	chain_release(&chain);
	mem_free(large);
}

static void test_own_logs_are_not_fetched(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct chain own;

	rig_own_log(rig, &own, 3);
	rig_hear_have(rig, s, &own, 3);
	assert_null(rig_sent(rig, s, FETCH, 0));
	assert_false(rig_closed(rig, s));
	chain_release(&own);
}

/* Providing. */

/* ben's own log of `size`, and a session with cleo who has asked for it from 0 on. */
static struct session_id serving(struct rig *rig, struct chain *own, uint64_t size, uint32_t window)
{
	struct session_id s;

	rig_own_log(rig, own, size);
	s = rig_session(rig, CLEO);
	rig_hear_fetch(rig, s, &own->origin, 1, 0, window);
	return s;
}

static void test_serving(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 10, 4);
	struct proof proof;
	struct checkpoint checkpoint;
	Sauti__Frame *frame;

	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 0);
	assert_int_equal(rig->reads[0].target, 10);
	rig_read(rig, &own, 4);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->stream, 1);
	assert_int_equal(frame->batch->first, 0);
	assert_int_equal(frame->batch->n_entries, 4);
	assert_int_equal(
		checkpoint_peek(codec_bytes(frame->batch->checkpoint), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 10);
	chain_proof(&own, 4, 10, &proof);
	assert_int_equal(frame->batch->n_proof, proof.count);
	for (size_t i = 0; i < proof.count; i++)
		assert_memory_equal(frame->batch->proof[i].data, proof.hashes[i].b, HASH_SIZE);
	/* The target's note goes along once. */
	rig_read(rig, &own, 4);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->first, 4);
	assert_int_equal(frame->batch->checkpoint.len, 0);
	rig_read(rig, &own, 4);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_int_equal(frame->batch->n_entries, 2);
	assert_int_equal(frame->batch->n_proof, 0);
	assert_int_equal(rig->read_count, 0); /* that was all */
	chain_release(&own);
}

/* The log grows while a stream is on its way: the target stays until it is reached. */
static void test_the_target_is_kept(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 10, 4);
	struct checkpoint checkpoint;
	Sauti__Frame *frame;

	rig_read(rig, &own, 4);
	chain_grow(&own, 2);
	rig_append(rig, &own, 10, 2);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_null(rig_sent(rig, s, BATCH, 0));
	assert_int_equal(rig->reads[0].target, 10);
	rig_read(rig, &own, 3);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->first, 4);
	assert_int_equal(frame->batch->checkpoint.len, 0);
	assert_int_equal(rig->reads[0].target, 10);
	rig_read(rig, &own, 3);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_int_equal(frame->batch->n_entries, 3);
	assert_int_equal(frame->batch->n_proof, 0);
	assert_int_equal(rig->reads[0].target, 12);
	rig_read(rig, &own, 3);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_int_equal(frame->batch->first, 10);
	assert_int_equal(
		checkpoint_peek(codec_bytes(frame->batch->checkpoint), &checkpoint, NULL), OK);
	assert_int_equal(checkpoint.size, 12);
	chain_release(&own);
}

static void test_never_more_than_the_window(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 40, 3);
	unsigned sent = 0;

	while (rig->read_count > 0) {
		rig_read(rig, &own, 1);
		assert_non_null(rig_sent(rig, s, BATCH, 0));
		sent++;
	}
	assert_int_equal(sent, 3);
	/* Two of three acknowledged: two more. */
	rig_hear_fetch(rig, s, &own.origin, 1, 2, 3);
	for (; rig->read_count > 0; sent++)
		rig_read(rig, &own, 1);
	assert_int_equal(sent, 5);
	/* An acknowledgement of what was acknowledged already frees nothing. */
	rig_hear_fetch(rig, s, &own.origin, 1, 2, 3);
	assert_int_equal(rig->read_count, 0);
	/* A cosignature acknowledges like a Fetch. */
	rig_hear_held(rig, s, CLEO, &own, 40);
	for (; rig->read_count > 0; sent++)
		rig_read(rig, &own, 1);
	assert_int_equal(sent, 8);
	/* A wider one, past our own cap. */
	rig_hear_fetch(rig, s, &own.origin, 1, 8, 1000);
	for (; rig->read_count > 0; sent++)
		rig_read(rig, &own, 1);
	assert_int_equal(sent, 8 + LIMIT_FETCH_WINDOW);
	/* And the end of the stream. */
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 0);
	rig_hear_fetch(rig, s, &own.origin, 1, 24, 0);
	assert_int_equal(rig->read_count, 0);
	chain_release(&own);
}

static void test_a_new_stream_voids_the_old(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 10, 4);
	Sauti__Frame *frame;

	assert_int_equal(rig->read_count, 1);
	rig_hear_fetch(rig, s, &own.origin, 2, 6, 4);
	assert_int_equal(rig->read_count, 1); /* one at a time */
	rig_read(rig, &own, 10);              /* for stream 1 */
	assert_int_equal(rig_count(rig, EFFECT_SEND), 0);
	rig_read(rig, &own, 10);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->stream, 2);
	assert_int_equal(frame->batch->first, 6);
	assert_true(frame->batch->checkpoint.len > 0);
	/* An end of the old one does not end the new one. */
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 0);
	rig_append(rig, &own, 9, 1);
	rig_signed(rig, OK);
	rig_written(rig, OK);
	assert_non_null(rig_sent(rig, s, BATCH, 0));
	chain_release(&own);
}

/* The batch that brought it was under way, and is void where it arrives. */
static void test_a_checkpoint_of_an_ended_stream_is_shown_again(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 10, 4);
	Sauti__Frame *frame;

	rig_read(rig, &own, 10);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_true(frame->batch->checkpoint.len > 0);
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 0);
	rig_tick(rig, engine_timing_default.have_delay);
	frame = rig_sent(rig, s, HAVE, 0);
	assert_non_null(frame);
	assert_string_equal(frame->have->logs[0]->origin, own.origin.text);
	assert_int_equal(frame->have->logs[0]->size, 10);
	chain_release(&own);
}

static void test_fetches_of_nothing(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 5, 4);
	struct origin unknown = rig->actor[DORA].origin;

	rig_read(rig, &own, 5);
	rig_hear_fetch(rig, s, &unknown, 1, 0, 4);
	assert_int_equal(rig->out.count, 0);
	/* Beyond what is durable: nothing until there is something. */
	rig_hear_fetch(rig, s, &own.origin, 2, 5, 4);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, s, &own.origin, 3, 500, 4);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, s, &own.origin, 4, LIMIT_LOG_SIZE, 4);
	assert_false(rig_closed(rig, s));
	rig_hear_fetch(rig, s, &own.origin, 5, LIMIT_LOG_SIZE + 1, 4);
	is_refused(rig, s, "a Fetch from");
	chain_release(&own);
}

static void test_live_entries_are_pushed(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 5, 4);
	Sauti__Frame *frame;

	rig_read(rig, &own, 5);
	rig_hear_held(rig, s, CLEO, &own, 5);
	chain_grow(&own, 3);
	rig_append(rig, &own, 5, 3);
	rig_signed(rig, OK);
	rig_is_silent(rig);
	rig_written(rig, OK);
	/* From memory, in the very step that made them durable. */
	assert_int_equal(rig_count(rig, EFFECT_READ), 0);
	frame = rig_sent(rig, s, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->first, 5);
	assert_int_equal(frame->batch->n_entries, 3);
	assert_int_equal(frame->batch->n_proof, 0);
	assert_true(frame->batch->checkpoint.len > 0);
	/* The checkpoint went along: it is not announced once more. */
	rig_tick(rig, timing->have_delay);
	assert_null(rig_sent(rig, s, HAVE, 0));
	rig_written(rig, OK); /* cleo's cosignature */
	/* Within the window only; what did not fit follows from the disk. */
	for (size_t i = 0; i < 6; i++) {
		chain_grow(&own, 1);
		rig_append(rig, &own, own.count - 1, 1);
		rig_signed(rig, OK);
		rig_written(rig, OK);
		frame = rig_sent(rig, s, BATCH, 0);
		assert_int_equal(frame != NULL, i < 3);
		/* Each has a target of its own, acknowledged or not. */
		assert_true(frame == NULL || frame->batch->checkpoint.len > 0);
	}
	rig_hear_fetch(rig, s, &own.origin, 1, 11, 4);
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 11);
	assert_int_equal(rig->reads[0].target, 14);
	chain_release(&own);
}

static void test_relaying(void **state)
{
	struct rig *rig = *state;
	struct chain chain;
	struct session_id anna = rig_session(rig, ANNA), cleo = rig_session(rig, CLEO);
	Sauti__Frame *frame;

	rig_chain(rig, ANNA, &chain, 8);
	rig_fetch_all(rig, anna, &chain, 5);
	rig_tick(rig, timing->have_delay);
	frame = rig_sent(rig, cleo, HAVE, 0);
	assert_non_null(frame);
	assert_string_equal(frame->have->logs[0]->origin, chain.origin.text);
	assert_int_equal(frame->have->logs[0]->size, 5);
	rig_written(rig, OK); /* its own cosignatures */
	rig_written(rig, OK);
	rig_hear_fetch(rig, cleo, &chain.origin, 9, 0, 4);
	rig_read(rig, &chain, 5);
	assert_non_null(rig_sent(rig, cleo, BATCH, 0));
	/* Live from anna: to cleo once it is durable here, not before. */
	rig_hear_batch(rig, anna, &chain, (struct batch_opts){1, 5, 3, 8, true});
	rig_is_silent(rig);
	rig_written(rig, OK);
	frame = rig_sent(rig, cleo, BATCH, 0);
	assert_non_null(frame);
	assert_int_equal(frame->batch->stream, 9);
	assert_int_equal(frame->batch->first, 5);
	assert_int_equal(frame->batch->n_entries, 3);
	assert_null(rig_sent(rig, anna, BATCH, 0));
	chain_release(&chain);
}

/* A catch-up of several batches under one checkpoint is served only when that is there. */
static void test_relaying_a_catch_up(void **state)
{
	struct rig *rig = *state;
	struct session_id cleo = rig_session(rig, CLEO);
	struct stream stream = stream_begin(rig);

	rig_hear_fetch(rig, cleo, &stream.chain.origin, 1, 0, 4);
	assert_int_equal(rig->read_count, 0);
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 3, 3, 10, false});
	rig_written(rig, OK);
	assert_null(rig_sent(rig, cleo, BATCH, 0));
	assert_int_equal(rig->read_count, 0);
	rig_tick(rig, timing->have_delay);
	assert_null(rig_sent(rig, cleo, HAVE, 0));
	rig_hear_batch(rig, stream.session, &stream.chain,
		(struct batch_opts){stream.number, 6, 4, 10, false});
	rig_written(rig, OK);
	assert_null(rig_sent(rig, cleo, BATCH, 0)); /* the write's entries are not all it lacks */
	assert_int_equal(rig->read_count, 1);
	assert_int_equal(rig->reads[0].first, 0);
	assert_int_equal(rig->reads[0].target, 10);
	stream_end(rig, &stream);
}

static size_t cosignatures_said(struct rig *rig, struct session_id session, const char *origin)
{
	size_t count = 0;
	Sauti__Frame *frame;

	for (size_t n = 0; (frame = rig_sent(rig, session, SAUTI__FRAME__BODY_HAVE, n)) != NULL;
		n++)
		for (size_t i = 0; i < frame->have->n_logs; i++)
			if (strcmp(frame->have->logs[i]->origin, origin) == 0)
				count += frame->have->logs[i]->n_cosigned;
	return count;
}

/* A cosignature by a member that the peer does not know yet is lost on it: it is said once more
 * when it has shown as much of the directory as there is. */
static void test_cosignatures_before_the_directory(void **state)
{
	struct rig *rig = *state;
	struct session_id session;
	struct chain chain;

	rig_load_directory(rig);
	rig_chain(rig, ANNA, &chain, 3);
	rig_load(rig, &chain, 3, 3, CLEO);
	rig_start(rig);
	session = rig_connect(rig, ANNA, false);
	assert_int_equal(cosignatures_said(rig, session, chain.origin.text), 1);
	rig_hello(rig, session, ANNA);
	rig_hear_have(rig, session, &rig->directory, rig->directory.count - 1);
	rig_tick(rig, 1000);
	assert_int_equal(cosignatures_said(rig, session, chain.origin.text), 0);
	rig_hear_have(rig, session, &rig->directory, rig->directory.count);
	rig_tick(rig, 1000);
	assert_int_equal(cosignatures_said(rig, session, chain.origin.text), 1);
	rig_hear_have(rig, session, &rig->directory, rig->directory.count);
	rig_tick(rig, 10 * 60 * 1000);
	assert_int_equal(cosignatures_said(rig, session, chain.origin.text), 0);
	chain_release(&chain);
}

/* .. and who has all of it from the first is told once. */
static void test_cosignatures_are_said_once(void **state)
{
	struct rig *rig = *state;
	struct session_id session;
	struct chain chain;

	rig_load_directory(rig);
	rig_chain(rig, ANNA, &chain, 3);
	rig_load(rig, &chain, 3, 3, CLEO);
	rig_start(rig);
	session = rig_session(rig, ANNA);
	rig_hear_have(rig, session, &rig->directory, rig->directory.count);
	rig_tick(rig, 1000);
	assert_int_equal(cosignatures_said(rig, session, chain.origin.text), 0);
	chain_release(&chain);
}

static void test_an_unreadable_entry(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s = serving(rig, &own, 5, 4);

	rig_read(rig, NULL, 0);
	assert_true(rig_noticed(rig, NOTICE_ALARM, "cannot read entry 0"));
	assert_int_equal(rig_count(rig, EFFECT_SEND), 0);
	assert_false(rig_closed(rig, s));
	/* A new stream tries again. */
	rig_hear_fetch(rig, s, &own.origin, 2, 0, 4);
	assert_int_equal(rig->read_count, 1);
	/* An answer that comes after the session went is for nobody. */
	rig_disconnect(rig, s);
	rig_read(rig, &own, 5);
	assert_int_equal(rig->out.count, 0);
	chain_release(&own);
}

static void test_back_pressure(void **state)
{
	struct rig *rig = *state;
	struct chain own;
	struct session_id s;
	uint8_t *large = mem_zalloc(LIMIT_ENTRY_SIZE);
	size_t queued = 0, reads = 0;

	assert_non_null(large);
	rig_own_log(rig, &own, 1);
	for (size_t i = 0; i < 100; i++)
		chain_add(&own, bytes_make(large, LIMIT_ENTRY_SIZE));
	for (size_t i = 0; i < 10; i++) {
		rig_append(rig, &own, 1 + 10 * i, 10);
		rig_signed(rig, OK);
		rig_written(rig, OK);
	}
	s = rig_session(rig, CLEO);
	rig_hear_fetch(rig, s, &own.origin, 1, 0, LIMIT_FETCH_WINDOW);
	/* One is with the kernel, little more waits: large as a batch or not. */
	rig->kernel_full = true;
	for (; rig->read_count > 0; reads++) {
		rig_read(rig, &own, 4);
		struct effect *sent = rig_effect(rig, EFFECT_SEND, 0);

		queued += sent == NULL ? 0 : sent->frame.size;
	}
	assert_int_equal(reads, 2);
	assert_true(queued > 3 * (size_t)LIMIT_ENTRY_SIZE);
	assert_true(queued < 4 * (size_t)LIMIT_ENTRY_SIZE);
	/* Room again, but the link has to show first that it carries anything. */
	rig_step(rig, &(struct event){.type = EVENT_SENT, .session = s, .size = queued});
	assert_int_equal(rig_count(rig, EFFECT_SEND), 0);
	assert_int_equal(rig->read_count, 0);
	rig_hear_fetch(rig, s, &own.origin, 1, 4, LIMIT_FETCH_WINDOW);
	assert_non_null(rig_sent(rig, s, BATCH, 0));
	assert_int_equal(rig->read_count, 1);
	mem_free(large);
	chain_release(&own);
}

/* Time. */

/* What a Ping carries besides its token is not given back. */
static void test_pong_is_the_token_alone(void **state)
{
	static const uint8_t ping[] = {0x32, 0x04, 0x08, 0x05, 0x18, 0x01}; /* and a field 3 */
	static const uint8_t pong[] = {0, 0, 0, 4, 0x3a, 0x02, 0x08, 0x05};
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	struct effect *effect;

	rig_step(rig,
		&(struct event){.type = EVENT_FRAME, .session = s, .frame = BYTES_ARRAY(ping)});
	effect = rig_effect(rig, EFFECT_SEND, 0);
	assert_non_null(effect);
	assert_int_equal(effect->frame.size, sizeof(pong));
	assert_memory_equal(effect->frame.data, pong, sizeof(pong));
}

static void test_silence(void **state)
{
	struct rig *rig = *state;
	struct session_id s = rig_session(rig, ANNA);
	Sauti__Ping ping = SAUTI__PING__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT, *pong;

	assert_int_equal(engine_deadline(rig->engine), rig->now_ms + timing->idle_ping);
	rig_tick(rig, timing->idle_ping - 1);
	assert_null(rig_sent(rig, s, PING, 0));
	rig_tick(rig, 1);
	assert_non_null(rig_sent(rig, s, PING, 0));
	rig_tick(rig, 1);
	assert_null(rig_sent(rig, s, PING, 0)); /* one is enough */
	/* Anything heard starts the silence anew; a Ping is answered with its token. */
	ping.token = 12345678901;
	frame.body_case = PING;
	frame.ping = &ping;
	rig_hear(rig, s, &frame);
	pong = rig_sent(rig, s, PONG, 0);
	assert_non_null(pong);
	assert_int_equal(pong->pong->token, ping.token);
	frame.body_case = PONG;
	frame.pong = &ping;
	rig_hear(rig, s, &frame);
	assert_int_equal(rig->out.count, 0);
	rig_tick(rig, timing->idle_ping);
	assert_non_null(rig_sent(rig, s, PING, 0));
	rig_tick(rig, timing->idle_close - timing->idle_ping - 1);
	assert_false(rig_closed(rig, s));
	rig_tick(rig, 1);
	is_refused(rig, s, "silent for 90 s");
	assert_false(rig_connected(rig, ANNA));
}

static uint64_t next_dial(const struct rig *rig, enum who peer)
{
	struct engine_peer shown;

	for (size_t i = 0; i < engine_peer_count(rig->engine); i++) {
		engine_peer_at(rig->engine, i, &shown);
		if (strcmp(shown.name, rig->actor[peer].name) == 0)
			return shown.next_dial_ms;
	}
	fail_msg("no such peer");
	return 0;
}

/* The next dial is due after [back-off / 2, back-off]; waits for it and sees it happen. */
static void waits(struct rig *rig, uint64_t backoff_ms)
{
	uint64_t wait = next_dial(rig, ANNA) - rig->now_ms;

	assert_in_range(wait, backoff_ms / 2, backoff_ms);
	assert_true(engine_deadline(rig->engine) <= rig->now_ms + wait);
	rig_tick(rig, wait - 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	rig_tick(rig, 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 1);
	assert_string_equal(rig_effect(rig, EFFECT_DIAL, 0)->peer, "anna");
	rig_tick(rig, 1000 * 1000);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 0); /* one at a time */
}

static void dial_fails(struct rig *rig)
{
	rig_step(rig, &(struct event){.type = EVENT_DIAL_FAILED, .peer = "anna"});
}

static void test_dialling(void **state)
{
	struct rig *rig = *state;
	uint64_t backoff = timing->dial_min;
	struct session_id s;

	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "anna"});
	rig_tick(rig, 0);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 1);
	for (unsigned i = 0; i < 20; i++) {
		dial_fails(rig);
		waits(rig, backoff);
		backoff = 2 * backoff < timing->dial_max ? 2 * backoff : timing->dial_max;
	}
	assert_int_equal(backoff, timing->dial_max);
	/* Connected is not enough: the peer has judged nothing before its Hello. */
	s = rig_connect(rig, ANNA, true);
	rig_tick(rig, 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	rig_disconnect(rig, s);
	waits(rig, timing->dial_max);
	/* With it, from the beginning; as long as the session lasts, none. */
	s = rig_connect(rig, ANNA, true);
	rig_hello(rig, s, ANNA);
	rig_tick(rig, 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	rig_disconnect(rig, s);
	waits(rig, timing->dial_min);
	/* A session that the peer dialled is as good. */
	s = rig_session(rig, ANNA);
	dial_fails(rig);
	rig_tick(rig, timing->idle_ping - 1);
	assert_int_equal(rig_count(rig, EFFECT_DIAL), 0);
	rig_disconnect(rig, s);
	/* Nobody is dialled who was not named as a peer. */
	s = rig_session(rig, CLEO);
	rig_disconnect(rig, s);
	rig_tick(rig, timing->dial_max);
	for (size_t i = 0; i < rig_count(rig, EFFECT_DIAL); i++)
		assert_string_equal(rig_effect(rig, EFFECT_DIAL, i)->peer, "anna");
}

/* Determinism. */

static void play(uint64_t seed, struct buf *tape)
{
	struct rig *rig;
	struct chain own, chain;
	struct session_id s;
	void *state;

	assert_int_equal(rig_setup_empty(&state), 0);
	rig = state;
	rig->opts.seed = seed;
	rig_restart(rig);
	rig->tape = tape;
	rig_load_directory(rig);
	rig_step(rig, &(struct event){.type = EVENT_PEER, .peer = "anna"});
	rig_start(rig);
	rig_own_log(rig, &own, 5);
	s = rig_session(rig, ANNA);
	rig_chain(rig, ANNA, &chain, 6);
	rig_fetch_all(rig, s, &chain, 6);
	rig_hear_fetch(rig, s, &own.origin, 1, 0, 4);
	rig_read(rig, &own, 3);
	rig_tick(rig, 2000);
	rig_hear_held(rig, s, ANNA, &own, 5);
	rig_tick(rig, 31000);
	rig_disconnect(rig, s);
	buf_printf(tape, "next dial %llu", (unsigned long long)next_dial(rig, ANNA));
	chain_release(&own);
	chain_release(&chain);
	rig_teardown(&state);
}

static void test_same_events_same_bytes(void **state)
{
	struct buf tape[3];

	for (size_t i = 0; i < 3; i++) {
		buf_init(&tape[i], 1 << 20);
		play(i < 2 ? 7 : 8, &tape[i]);
		assert_int_equal(tape[i].err, OK);
	}
	assert_true(tape[0].size > 3000);
	assert_true(bytes_equal(buf_bytes(&tape[0]), buf_bytes(&tape[1])));
	assert_false(bytes_equal(buf_bytes(&tape[0]), buf_bytes(&tape[2])));
	for (size_t i = 0; i < 3; i++)
		buf_release(&tape[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hello_is_first),
		TEST(test_hello_is_judged),
		TEST(test_second_hello),
		TEST(test_nothing_before_hello),
		TEST(test_hello_timeout),
		TEST(test_strangers_are_refused),
		TEST(test_bad_frames),
		TEST(test_duplicate_sessions),
		TEST(test_duplicate_moves_the_stream),
		TEST(test_log_of_a_node_not_listed_yet),
		TEST(test_have_is_judged),
		TEST(test_have_of_foreign_logs),
		TEST(test_have_limits),
		TEST(test_first_batch),
		TEST(test_log_opened_must_be_the_authors),
		TEST(test_bad_batches),
		TEST(test_targets),
		TEST(test_stale_streams_are_void),
		TEST(test_catching_up_in_batches),
		TEST(test_without_a_cosignature_it_is_acknowledged),
		TEST(test_one_provider_at_a_time),
		TEST(test_a_silent_provider_is_left),
		TEST(test_failed_write_starts_over),
		TEST(test_first_of_two_writes_is_durable_the_second_fails),
		TEST(test_entries_at_the_cap),
		TEST(test_own_logs_are_not_fetched),
		TEST(test_serving),
		TEST(test_the_target_is_kept),
		TEST(test_never_more_than_the_window),
		TEST(test_a_new_stream_voids_the_old),
		TEST(test_a_checkpoint_of_an_ended_stream_is_shown_again),
		TEST(test_fetches_of_nothing),
		TEST(test_live_entries_are_pushed),
		TEST(test_relaying),
		TEST(test_relaying_a_catch_up),
		cmocka_unit_test_setup_teardown(
			test_cosignatures_before_the_directory, rig_setup_empty, rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_cosignatures_are_said_once, rig_setup_empty, rig_teardown),
		TEST(test_an_unreadable_entry),
		TEST(test_back_pressure),
		TEST(test_pong_is_the_token_alone),
		TEST(test_silence),
		TEST(test_dialling),
		cmocka_unit_test(test_same_events_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
