/*
 * Signature lines: only one that was verified is ever kept, told to others or written to the disk,
 * on every way by which one comes in: Have, Held, a bundle, the notes of batches, and what an older
 * store has.
 */
#include "tests/unit/engine/harness.h"

#include <stdio.h>

#include "base/text.h"
#include "replication/log/checkpoint.h"

#define HAVE SAUTI__FRAME__BODY_HAVE

enum way { BY_HAVE, BY_HELD, BY_BUNDLE, WAYS };
enum { SIZE = 6 };
static const struct engine_timing *const timing = &engine_timing_default;

/* ---- a line that is not to be kept ---- */

enum forgery {
	OWN_GARBAGE, /* under this node's own key ids */
	OWN_WITNESS,
	OTHERS_GARBAGE, /* under a member's, with no signature of it */
	ANOTHER_SIZE,   /* a good signature, over another text */
	ANOTHER_ROOT,
	ANOTHER_LOG,
	ANOTHER_TIME,     /* .. the time changed behind it */
	BY_THE_OTHER_KEY, /* the witness key under the mirror's name */
	UNKNOWN_NODE,     /* a node that the directory does not list */
	UNKNOWN_ID,       /* another key under a member's name */
	ANOTHER_NETWORK,
	LOG_KEY,  /* the log's own line, as if it were a cosignature */
	TRAILING, /* behind a good line */
	LEADING,
	DOUBLED, /* a good line twice in one field */
	NO_NEWLINE,
	SLACK, /* other bits behind the end of the base64 */
	FORGERIES
};

static void line_of(struct buf *out, const char *name, enum note_type type,
	const struct signer *key, struct bytes blob)
{
	struct note_key note;

	assert_int_equal(note_key_make(name, type, signer_public(key), &note), OK);
	assert_int_equal(note_line_write(out, &note, blob), OK);
}

static void garbage(struct buf *out, const char *name, const struct signer *key)
{
	uint8_t blob[72] = {0};

	put_u64be(blob, 1700000000);
	memset(blob + 8, 0x5a, 64);
	line_of(out, name, NOTE_COSIGNATURE, key, BYTES_ARRAY(blob));
}

static void signed_by(struct buf *out, const char *name, const struct signer *key,
	const struct chain *chain, uint64_t size)
{
	struct checkpoint checkpoint = {.origin = chain->origin, .size = size};
	struct buf text;

	buf_init(&text, LIMIT_NOTE_SIZE);
	chain_root(chain, size, &checkpoint.root);
	checkpoint_format(&text, &checkpoint);
	assert_int_equal(cosignature_sign(out, buf_bytes(&text), 1700000000, name, key), OK);
	buf_release(&text);
}

static void change_time(struct buf *line)
{
	struct note_line parsed;
	struct note_key key;
	struct buf out;

	assert_int_equal(note_line_parse(buf_bytes(line), &parsed, NULL), OK);
	key = (struct note_key){.type = NOTE_COSIGNATURE, .id = parsed.id};
	snprintf(key.name, sizeof(key.name), "%.*s", BYTES_FMT(parsed.name));
	parsed.blob[7] ^= 1;
	buf_init(&out, LIMIT_NOTE_SIZE);
	assert_int_equal(
		note_line_write(&out, &key, bytes_make(parsed.blob, parsed.blob_size)), OK);
	buf_clear(line);
	buf_put(line, buf_bytes(&out));
	buf_release(&out);
}

/* The same bytes in base64 that no encoder writes. */
static void slacken(struct buf *line)
{
	char *last = (char *)line->data + line->size - 4; /* of "xx==" and the newline */

	assert_int_equal(line->data[line->size - 2], '=');
	assert_int_not_equal(*last, '=');
	*last = (char)(*last + 1);
}

static void forge(struct rig *rig, enum forgery what, const struct chain *chain, struct buf *out)
{
	const struct actor *ben = &rig->actor[BEN], *anna = &rig->actor[ANNA];
	const char *mirror = NETWORK "/mirror/anna";
	struct chain other;

	buf_init(out, LIMIT_NOTE_SIZE);
	switch (what) {
	case OWN_GARBAGE:
		garbage(out, NETWORK "/mirror/ben", ben->mirror);
		return;
	case OWN_WITNESS:
		garbage(out, NETWORK "/witness/ben", ben->witness);
		return;
	case OTHERS_GARBAGE:
		garbage(out, mirror, anna->mirror);
		return;
	case ANOTHER_SIZE:
		signed_by(out, mirror, anna->mirror, chain, SIZE - 1);
		return;
	case ANOTHER_ROOT:
	case ANOTHER_LOG:
		chain_init(&other, what == ANOTHER_ROOT ? &chain->origin : &rig->actor[DORA].origin,
			rig->actor[DORA].log);
		chain_grow(&other, SIZE + 1);
		if (what == ANOTHER_ROOT)
			signed_by(out, mirror, anna->mirror, &other, SIZE);
		else
			signed_by(out, mirror, anna->mirror, &other, SIZE);
		chain_release(&other);
		return;
	case BY_THE_OTHER_KEY:
		signed_by(out, mirror, anna->witness, chain, SIZE);
		return;
	case UNKNOWN_NODE:
		signed_by(out, NETWORK "/mirror/nobody", anna->mirror, chain, SIZE);
		return;
	case UNKNOWN_ID:
		signed_by(out, mirror, rig->actor[DORA].mirror, chain, SIZE);
		return;
	case ANOTHER_NETWORK:
		signed_by(out, "else.example/mirror/anna", anna->mirror, chain, SIZE);
		return;
	case LOG_KEY:
		line_of(out, chain->origin.text, NOTE_ED25519, chain->key,
			bytes_make((uint8_t[64]){1}, 64));
		return;
	default:
		signed_by(out, mirror, anna->mirror, chain, SIZE);
		break;
	}
	if (what == ANOTHER_TIME)
		change_time(out);
	else if (what == TRAILING)
		buf_put_str(out, "x\n");
	else if (what == DOUBLED)
		signed_by(out, mirror, anna->mirror, chain, SIZE);
	else if (what == NO_NEWLINE)
		out->size--;
	else if (what == SLACK)
		slacken(out);
	else if (what == LEADING) {
		memmove(out->data + 1, out->data, out->size - 1);
		out->data[0] = '\n';
	}
}

/* ---- how it comes ---- */

static void say(struct rig *rig, struct session_id session, enum way way, const struct chain *chain,
	struct bytes line)
{
	Sauti__Cosigned item = SAUTI__COSIGNED__INIT, *items[1] = {&item};
	Sauti__LogState log = SAUTI__LOG_STATE__INIT, *list[1] = {&log};
	Sauti__Have have = SAUTI__HAVE__INIT;
	Sauti__Held held = SAUTI__HELD__INIT;
	Sauti__Frame frame = SAUTI__FRAME__INIT;
	struct hash root;
	struct buf note;

	chain_note(chain, SIZE, &note);
	chain_root(chain, SIZE, &root);
	item.size = SIZE;
	item.root = codec_binary(hash_bytes(&root));
	item.line = codec_binary(line);
	log.origin = held.origin = (char *)chain->origin.text;
	log.size = SIZE;
	log.checkpoint = codec_binary(buf_bytes(&note));
	log.n_cosigned = 1;
	log.cosigned = items;
	have.n_logs = 1;
	have.logs = list;
	held.cosigned = &item;
	frame.body_case = way == BY_HELD ? SAUTI__FRAME__BODY_HELD : HAVE;
	if (way == BY_HELD)
		frame.held = &held;
	else
		frame.have = &have;
	rig->vouched = way == BY_BUNDLE ? 1 : 0;
	rig_hear(rig, session, &frame);
	rig->vouched = 0;
	buf_release(&note);
}

/* Is it in what goes to peers or to the disk? */
static bool is_in(struct bytes hay, struct bytes needle)
{
	return hay.size >= needle.size &&
	       memmem(hay.data, hay.size, needle.data, needle.size) != NULL;
}

static void is_nowhere(struct rig *rig, struct bytes line)
{
	for (size_t i = 0; i < rig->out.count; i++)
		if (rig->out.list[i].type == EFFECT_SEND)
			assert_false(is_in(buf_bytes(&rig->out.list[i].frame), line));
	for (size_t i = 0; i < rig->write_count; i++) {
		assert_false(is_in(buf_bytes(&rig->writes[i]->cosignature), line));
		assert_false(is_in(buf_bytes(&rig->writes[i]->checkpoint), line));
	}
}

static size_t kept(const struct rig *rig, const struct chain *chain)
{
	struct engine_log log;
	size_t position;

	assert_true(engine_log_find(rig->engine, bytes_str(chain->origin.text), &log, &position));
	return log.cosigned;
}

static struct session_id begin(struct rig *rig, enum way way)
{
	if (way != BY_BUNDLE)
		return rig_session(rig, ANNA);
	rig->importing = (struct session_id){++rig->next_session};
	rig_step(rig,
		&(struct event){.type = EVENT_IMPORT, .session = rig->importing, .peer = "anna"});
	return rig->importing;
}

/* All that was to be said or written is, and the line is in none of it. */
static void settles_without(struct rig *rig, struct session_id newcomer, struct bytes line)
{
	is_nowhere(rig, line);
	rig_tick(rig, timing->store_delay);
	is_nowhere(rig, line);
	while (rig->write_count > 0) {
		rig_written(rig, OK);
		is_nowhere(rig, line);
	}
	rig_tick(rig, timing->cosigned_delay);
	is_nowhere(rig, line);
	rig_step(rig, &(struct event){.type = EVENT_DISCONNECTED, .session = newcomer});
	newcomer = rig_session(rig, CLEO); /* who comes new is told all there is */
	is_nowhere(rig, line);
	rig_tick(rig, timing->have_delay);
	is_nowhere(rig, line);
}

static void forged_lines_are_kept_nowhere(void **state)
{
	for (int way = 0; way < WAYS; way++)
		for (int what = 0; what < FORGERIES; what++) {
			struct session_id c, session;
			struct chain cleo;
			struct rig *rig;
			struct buf line;
			void *own = NULL;
			size_t before;

			assert_int_equal(rig_setup(&own), 0);
			rig = own;
			c = rig_session(rig, CLEO);
			rig_chain(rig, CLEO, &cleo, SIZE);
			rig_fetch_all(rig, c, &cleo, SIZE);
			while (rig->write_count > 0)
				rig_written(rig, OK);
			before = kept(rig, &cleo);
			session = begin(rig, (enum way)way);
			forge(rig, (enum forgery)what, &cleo, &line);
			say(rig, session, (enum way)way, &cleo, buf_bytes(&line));
			if (kept(rig, &cleo) != before)
				fail_msg("way %d, forgery %d is kept", way, what);
			settles_without(rig, c, buf_bytes(&line));
			buf_release(&line);
			chain_release(&cleo);
			assert_int_equal(rig_teardown(&own), 0);
		}
}

/* The same with a line that is right: else the test above could not fail. */
static void a_good_line_is_kept(void **state)
{
	for (int way = 0; way < WAYS; way++) {
		struct session_id c, session;
		struct chain cleo;
		struct rig *rig;
		struct buf line;
		void *own = NULL;
		size_t before;
		bool written = false;

		assert_int_equal(rig_setup(&own), 0);
		rig = own;
		c = rig_session(rig, CLEO);
		rig_chain(rig, CLEO, &cleo, SIZE);
		rig_fetch_all(rig, c, &cleo, SIZE);
		before = kept(rig, &cleo);
		session = begin(rig, (enum way)way);
		buf_init(&line, LIMIT_NOTE_SIZE);
		signed_by(&line, NETWORK "/mirror/anna", rig->actor[ANNA].mirror, &cleo, SIZE);
		say(rig, session, (enum way)way, &cleo, buf_bytes(&line));
		assert_int_equal(kept(rig, &cleo), before + 1);
		rig_tick(rig, timing->store_delay);
		for (size_t i = 0; i < rig->write_count; i++)
			written |= is_in(buf_bytes(&rig->writes[i]->cosignature), buf_bytes(&line));
		assert_true(written);
		buf_release(&line);
		chain_release(&cleo);
		assert_int_equal(rig_teardown(&own), 0);
	}
}

/* ---- the notes themselves ---- */

static void note_with(struct rig *rig, const struct chain *chain, enum forgery what,
	struct buf *ret_note, struct buf *ret_line)
{
	chain_note(chain, SIZE, ret_note);
	forge(rig, what, chain, ret_line);
	buf_put(ret_note, buf_bytes(ret_line));
}

/* Whoever passes a checkpoint on can add lines to it: none is kept, given out or written. */
static void notes_lose_lines_of_others(void **state)
{
	static const enum forgery added[] = {
		OWN_GARBAGE, OWN_WITNESS, OTHERS_GARBAGE, UNKNOWN_NODE};

	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
		Sauti__Batch batch = SAUTI__BATCH__INIT;
		Sauti__Frame frame = SAUTI__FRAME__INIT;
		ProtobufCBinaryData entries[SIZE];
		struct buf note, line, plain;
		struct session_id c;
		struct engine_log log;
		struct chain cleo;
		struct rig *rig;
		void *own = NULL;

		assert_int_equal(rig_setup(&own), 0);
		rig = own;
		c = rig_session(rig, CLEO);
		rig_chain(rig, CLEO, &cleo, SIZE);
		note_with(rig, &cleo, added[i], &note, &line);
		chain_note(&cleo, SIZE, &plain);
		rig_hear_have(rig, c, &cleo, SIZE);
		batch.stream = rig_sent(rig, c, SAUTI__FRAME__BODY_FETCH, 0)->fetch->stream;
		for (size_t k = 0; k < SIZE; k++)
			entries[k] = codec_binary(cleo.entry[k]);
		batch.origin = cleo.origin.text;
		batch.n_entries = SIZE;
		batch.entries = entries;
		batch.checkpoint = codec_binary(buf_bytes(&note));
		frame.body_case = SAUTI__FRAME__BODY_BATCH;
		frame.batch = &batch;
		rig_hear(rig, c, &frame);
		assert_false(rig_closed(rig, c));
		settles_without(rig, c, buf_bytes(&line));
		assert_true(rig_log(rig, &cleo.origin, &log));
		assert_int_equal(log.size, SIZE);
		assert_true(bytes_equal(log.checkpoint, buf_bytes(&plain)));
		buf_release(&note);
		buf_release(&line);
		buf_release(&plain);
		chain_release(&cleo);
		assert_int_equal(rig_teardown(&own), 0);
	}
}

/* ---- what a store has ---- */

static void stored(
	struct log_head *head, const char *cosigner, const struct chain *chain, struct bytes line)
{
	struct store_cosignature *c = &head->cosignatures[head->cosignature_count++];
	struct hash root;

	snprintf(c->cosigner, sizeof(c->cosigner), "%s", cosigner);
	c->size = SIZE;
	buf_init(&c->line, LIMIT_NOTE_SIZE);
	chain_root(chain, SIZE, &root);
	buf_put(&c->line, hash_bytes(&root));
	buf_put(&c->line, line);
}

/* As rig_load, with a note that has a line too many and these cosignatures. */
static void load(struct rig *rig, const struct chain *chain, struct bytes note,
	const char *cosigner, struct bytes line)
{
	struct log_head head = {.origin = chain->origin, .size = SIZE};
	struct buf good;

	compact_init(&head.compact);
	for (size_t i = 0; i < SIZE; i++)
		compact_append(&head.compact, &chain->leaf[i]);
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	buf_put(&head.first_entry, chain->entry[0]);
	buf_init(&head.checkpoint, LIMIT_NOTE_SIZE);
	buf_put(&head.checkpoint, note);
	head.cosignatures = mem_array(2, sizeof(*head.cosignatures));
	assert_non_null(head.cosignatures);
	stored(&head, cosigner, chain, line);
	buf_init(&good, LIMIT_NOTE_SIZE);
	signed_by(&good, NETWORK "/mirror/cleo", rig->actor[CLEO].mirror, chain, SIZE);
	stored(&head, "cleo", chain, buf_bytes(&good));
	buf_release(&good);
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	log_head_release(&head);
}

/* A store that has such a line opens as ever; it is dropped, said once, and made anew where it was
 * this node's own. */
static void a_store_with_a_bad_line_opens(void **state)
{
	for (int what = 0; what < FORGERIES; what++) {
		const char *cosigner = what == OWN_GARBAGE    ? "ben"
				       : what == OWN_WITNESS  ? "witness/ben"
				       : what == UNKNOWN_NODE ? "nobody"
							      : "anna";
		struct buf line, note, plain;
		struct engine_log log;
		struct chain cleo;
		struct rig *rig;
		void *own = NULL;

		assert_int_equal(rig_setup_empty(&own), 0);
		rig = own;
		rig_chain(rig, CLEO, &cleo, SIZE);
		forge(rig, (enum forgery)what, &cleo, &line);
		note_with(rig, &cleo, OWN_GARBAGE, &note, &plain);
		buf_release(&plain);
		load(rig, &cleo, buf_bytes(&note), cosigner, buf_bytes(&line));
		rig_load_directory(rig);
		rig_start(rig);
		assert_int_equal(kept(rig, &cleo), 1); /* cleo's */
		/* ben's own, which it had not or which was bad, are asked for. */
		assert_int_equal(rig->sign_count, 1);
		assert_int_equal(rig->witness_count, 1);
		rig_signed(rig, OK);
		assert_int_equal(kept(rig, &cleo), 3);
		settles_without(rig, rig_session(rig, CLEO), buf_bytes(&line));
		chain_note(&cleo, SIZE, &plain);
		assert_true(rig_log(rig, &cleo.origin, &log));
		assert_true(bytes_equal(log.checkpoint, buf_bytes(&plain)));
		buf_release(&plain);
		buf_release(&note);
		buf_release(&line);
		chain_release(&cleo);
		assert_int_equal(rig_teardown(&own), 0);
	}
}

/* This node's own witness is said to have signed more than there is, with a line that is none. It
 * is not believed: else the witness would wait for that size for ever. */
static void a_bad_line_of_its_own_wedges_no_witness(void **state)
{
	struct store_cosignature *bad;
	struct log_head head = {.size = SIZE};
	struct rig *rig = *state;
	struct chain cleo;
	struct hash root;

	rig_chain(rig, CLEO, &cleo, SIZE + 50);
	head.origin = cleo.origin;
	compact_init(&head.compact);
	for (size_t i = 0; i < SIZE; i++)
		compact_append(&head.compact, &cleo.leaf[i]);
	buf_init(&head.first_entry, LIMIT_ENTRY_SIZE);
	buf_put(&head.first_entry, cleo.entry[0]);
	chain_note(&cleo, SIZE, &head.checkpoint);
	head.cosignatures = mem_array(1, sizeof(*head.cosignatures));
	assert_non_null(head.cosignatures);
	bad = &head.cosignatures[head.cosignature_count++];
	snprintf(bad->cosigner, sizeof(bad->cosigner), "witness/ben");
	bad->size = SIZE + 50;
	buf_init(&bad->line, LIMIT_NOTE_SIZE);
	chain_root(&cleo, SIZE + 50, &root);
	buf_put(&bad->line, hash_bytes(&root));
	garbage(&bad->line, NETWORK "/witness/ben", rig->actor[BEN].witness);
	rig_step(rig, &(struct event){.type = EVENT_LOG_LOADED, .head = &head});
	log_head_release(&head);
	rig_load_directory(rig);
	rig_start(rig);
	assert_int_equal(kept(rig, &cleo), 0);
	assert_int_equal(rig->sign_count, 1);
	rig_signed(rig, OK);
	assert_int_equal(kept(rig, &cleo), 2); /* mirror and witness, over what is held */
	chain_release(&cleo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_lines_are_kept_nowhere),
		cmocka_unit_test(a_good_line_is_kept),
		cmocka_unit_test(notes_lose_lines_of_others),
		cmocka_unit_test(a_store_with_a_bad_line_opens),
		cmocka_unit_test_setup_teardown(
			a_bad_line_of_its_own_wedges_no_witness, rig_setup_empty, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
