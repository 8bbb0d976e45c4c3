/* Logs read out of the frames of bundles again. The logs are those of the engine's tests. */
#include "base/cursor.h"
#include "base/text.h"
#include "replication/bundle/frames.h"
#include "replication/bundle/index.h"
#include "tests/unit/engine/harness.h"

enum { SIZE = 30 };

struct fixture {
	struct rig *rig;
	struct chain chain;
	struct bundle_index *index;
	struct buf file; /* frames, one behind the other */
	struct arena arena;
};

static int setup(void **state)
{
	static struct fixture f;
	void *rig;

	if (rig_setup(&rig) != 0)
		return -1;
	f = (struct fixture){.rig = rig};
	rig_chain(f.rig, CLEO, &f.chain, SIZE);
	buf_init(&f.file, 1 << 20);
	arena_init(&f.arena, LIMIT_ARENA_SIZE);
	assert_int_equal(bundle_index_new(&f.index), OK);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *rig = f->rig;

	bundle_index_free(f->index);
	chain_release(&f->chain);
	buf_release(&f->file);
	arena_release(&f->arena);
	return rig_teardown(&rig);
}

/* The frame that was put behind `offset`. */
static enum err take(struct fixture *f, uint16_t part, size_t offset)
{
	struct bundle_index_place place = {part, offset};
	struct errctx ctx = {""};

	assert_int_equal(f->file.err, OK);
	return bundle_index_frame(f->index,
		bytes_make(f->file.data + offset + FRAME_HEADER_SIZE,
			f->file.size - offset - FRAME_HEADER_SIZE),
		&place, &ctx);
}

static enum err batch(
	struct fixture *f, const struct chain *chain, uint64_t first, size_t count, uint64_t size)
{
	struct store_batch read = {.entries = chain_entries(chain, first, count)};
	size_t offset = f->file.size;
	struct buf note;

	chain_note(chain, size, &note);
	bundle_batch_write(&f->file, &chain->origin, first, &read, buf_bytes(&note));
	entries_unref(read.entries);
	buf_release(&note);
	return take(f, 0, offset);
}

static enum err have(
	struct fixture *f, uint64_t size, const struct bundle_cosigned *cosigned, size_t count)
{
	size_t offset = f->file.size;
	struct buf note;

	chain_note(&f->chain, size, &note);
	bundle_have_write(&f->file, &f->chain.origin, size, buf_bytes(&note), cosigned, count);
	buf_release(&note);
	return take(f, 0, offset);
}

static const struct bundle_index_log *log_of(struct fixture *f)
{
	const struct bundle_index_log *log = bundle_index_find(f->index, f->chain.origin.text);

	assert_non_null(log);
	return log;
}

/* Entries [from, to), one batch after the other, are those of the chain. */
static void assert_entries(struct fixture *f, uint64_t from, uint64_t to)
{
	const struct bundle_index_log *log = log_of(f);
	struct cursor cursor;
	struct buf out;

	buf_init(&out, 1 << 20);
	for (uint64_t at = from; at < to;) {
		const struct bundle_index_batch *b = bundle_index_batch(log, at);
		uint64_t end;

		assert_non_null(b);
		end = b->first + b->count < to ? b->first + b->count : to;
		assert_int_equal(
			bundle_index_entries(b,
				bytes_make(f->file.data + b->offset + FRAME_HEADER_SIZE, b->size),
				at, end, &f->arena, &out),
			OK);
		at = end;
	}
	cursor = cursor_make(buf_bytes(&out));
	for (uint64_t i = from; i < to; i++) {
		struct entries *entries = chain_entries(&f->chain, i, 1);

		assert_true(bytes_equal(cursor_lv16(&cursor), entries->entry[0]));
		entries_unref(entries);
	}
	assert_int_equal(cursor_finish(&cursor), OK);
	buf_release(&out);
}

static void test_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(batch(f, &f->chain, 0, 10, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 10, 20, SIZE), OK);
	bundle_index_end(f->index);
	assert_int_equal(bundle_index_count(f->index), 1);
	assert_int_equal(log_of(f)->newest.size, SIZE);
	assert_int_equal(bundle_index_gap(log_of(f), 0), SIZE);
	assert_null(bundle_index_batch(log_of(f), SIZE));
	assert_entries(f, 0, SIZE);
	assert_entries(f, 9, 11);
}

/* Parts in any order, twice, overlapping, one within another, and with a hole. */
static void test_in_any_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(batch(f, &f->chain, 20, 5, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 5, 10, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 7, 3, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 0, 6, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 5, 10, SIZE), OK);
	assert_int_equal(batch(f, &f->chain, 12, 4, SIZE), OK);
	bundle_index_end(f->index);
	assert_int_equal(log_of(f)->count, 4);
	assert_int_equal(bundle_index_gap(log_of(f), 0), 16);
	assert_int_equal(bundle_index_gap(log_of(f), 16), 16);
	assert_int_equal(bundle_index_gap(log_of(f), 20), 25);
	assert_entries(f, 0, 16);
	assert_entries(f, 20, 25);
	for (uint64_t i = 0; i < SIZE; i++)
		assert_true((bundle_index_batch(log_of(f), i) != NULL) ==
			    (i < 16 || (i >= 20 && i < 25)));
}

static struct bundle_cosigned cosigned(
	struct fixture *f, enum who who, uint64_t size, struct buf *line)
{
	struct bundle_cosigned c = {.size = size};

	rig_cosignature(f->rig, who, &f->chain, size, line);
	chain_root(&f->chain, size, &c.root);
	c.line = buf_bytes(line);
	return c;
}

/* The newest note, with the cosignatures of exactly this tree, by name, each once. */
static void test_checkpoint(void **state)
{
	struct fixture *f = *state;
	struct bundle_cosigned list[4];
	struct buf lines[4], note, out;
	struct note parsed;

	list[0] = cosigned(f, BEN, SIZE, &lines[0]);
	list[1] = cosigned(f, ANNA, SIZE, &lines[1]);
	list[2] = cosigned(f, ANNA, SIZE, &lines[2]);
	list[3] = cosigned(f, ANNA, SIZE - 1, &lines[3]);
	assert_int_equal(have(f, SIZE - 1, &list[3], 1), OK); /* an older one, forgotten */
	assert_int_equal(have(f, SIZE, list, 4), OK);
	list[0].root.b[0] ^= 1;
	assert_int_equal(have(f, SIZE, list, 1), OK);
	assert_int_equal(have(f, 5, &list[3], 1), OK);
	bundle_index_end(f->index);
	buf_init(&out, LIMIT_NOTE_SIZE);
	assert_int_equal(bundle_index_checkpoint(log_of(f), &out), OK);
	chain_note(&f->chain, SIZE, &note);
	assert_int_equal(note_parse(buf_bytes(&out), &parsed, NULL), OK);
	assert_int_equal(parsed.count, 3);
	assert_true(bytes_equal(bytes_make(out.data, note.size), buf_bytes(&note)));
	assert_true(bytes_equal(parsed.lines[1].whole, list[1].line));
	assert_true(bytes_equal(parsed.lines[2].whole, list[0].line));
	for (size_t i = 0; i < 4; i++)
		buf_release(&lines[i]);
	buf_release(&note);
	buf_release(&out);
}

static void test_named_only(void **state)
{
	struct fixture *f = *state;
	struct buf out;

	buf_init(&out, LIMIT_NOTE_SIZE);
	assert_int_equal(bundle_index_name(f->index, f->chain.origin.text, NULL), OK);
	assert_int_equal(bundle_index_name(f->index, "no log", NULL), ERR_MALFORMED);
	bundle_index_end(f->index);
	assert_int_equal(bundle_index_count(f->index), 1);
	assert_int_equal(bundle_index_checkpoint(log_of(f), &out), ERR_NOTFOUND);
	assert_null(bundle_index_batch(log_of(f), 0));
	assert_int_equal(bundle_index_gap(log_of(f), 0), 0);
	buf_release(&out);
}

static void test_wrong(void **state)
{
	struct fixture *f = *state;
	struct bundle_index_batch b;
	struct bytes frame;
	struct buf out;

	buf_put_str(&f->file, "....\x12\x7f");
	assert_int_equal(take(f, 0, 0), ERR_MALFORMED);
	buf_clear(&f->file);
	buf_put_str(&f->file, "....\x32\x02\x08\x01"); /* a Ping */
	assert_int_equal(take(f, 0, 0), ERR_UNSUPPORTED);
	buf_clear(&f->file);
	assert_int_equal(bundle_index_count(f->index), 0);
	/* The file is another one when it is read again. */
	assert_int_equal(batch(f, &f->chain, 0, 4, SIZE), OK);
	bundle_index_end(f->index);
	b = *bundle_index_batch(log_of(f), 0);
	frame = bytes_make(f->file.data + FRAME_HEADER_SIZE, b.size);
	buf_init(&out, 1 << 20);
	assert_int_equal(bundle_index_entries(&b, frame, 0, 5, &f->arena, &out), ERR_CORRUPT);
	b.count = 3;
	assert_int_equal(bundle_index_entries(&b, frame, 0, 3, &f->arena, &out), ERR_CORRUPT);
	b.count = 4;
	b.first = 1;
	assert_int_equal(bundle_index_entries(&b, frame, 1, 4, &f->arena, &out), ERR_CORRUPT);
	b.first = 0;
	frame.size--;
	assert_int_equal(bundle_index_entries(&b, frame, 0, 4, &f->arena, &out), ERR_CORRUPT);
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

static void test_evidence(void **state)
{
	static const char message[] = "a proof";
	struct fixture *f = *state;
	struct bytes whole, found;

	bundle_message_write(&f->file, BUNDLE_EVIDENCE_FIELD, bytes_str(message));
	whole = bytes_make(f->file.data + FRAME_HEADER_SIZE, f->file.size - FRAME_HEADER_SIZE);
	found = bundle_index_evidence(whole);
	assert_true(bytes_equal_str(found, message));
	assert_int_equal(bundle_index_evidence(bytes_make(whole.data, whole.size - 1)).size, 0);
	assert_int_equal(bundle_index_evidence(bytes_make(whole.data, 1)).size, 0);
	assert_int_equal(bundle_index_evidence(BYTES_NONE).size, 0);
	buf_clear(&f->file);
	bundle_message_write(&f->file, BUNDLE_MAIL_FIELD, bytes_str(message));
	assert_int_equal(bundle_index_evidence(bytes_make(f->file.data + FRAME_HEADER_SIZE,
						       f->file.size - FRAME_HEADER_SIZE))
				 .size,
		0);
}

/* What is kept of notes has a cap: logs with notes as large as they can be, one after the other. */
static void test_notes_at_the_cap(void **state)
{
	struct fixture *f = *state;
	static const uint8_t blob[40000] = {1};
	enum err err = OK;
	struct buf note;
	size_t logs = 0, size = 0;

	for (; err == OK && logs < 2000; logs++) {
		struct origin origin;
		const uint8_t random[8] = {0, 0, 0, 0, 0, 0, (uint8_t)(logs >> 8), (uint8_t)logs};
		struct checkpoint c = {.size = 1};
		size_t offset = 0;

		assert_int_equal(origin_make(bytes_str("ovra.example"), bytes_str("cleo"), 1,
					 random, &origin),
			OK);
		c.origin = origin;
		buf_init(&note, LIMIT_NOTE_SIZE);
		assert_int_equal(checkpoint_sign(&note, &c, f->rig->actor[CLEO].log), OK);
		/* A line of a stranger, as long as it may be. */
		buf_put_str(&note, "\xe2\x80\x94 stranger/1 ");
		base64_encode(&note, BYTES_ARRAY(blob));
		buf_put_str(&note, "\n");
		buf_clear(&f->file);
		bundle_have_write(&f->file, &origin, 1, buf_bytes(&note), NULL, 0);
		err = take(f, 0, offset);
		if (err == OK)
			size += note.size;
		buf_release(&note);
	}
	assert_int_equal(err, ERR_LIMIT);
	assert_true(size <= LIMIT_BUNDLE_NOTES && size > LIMIT_BUNDLE_NOTES - 2 * LIMIT_NOTE_SIZE);
}

static void test_batches_at_the_cap(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < LIMIT_BUNDLE_INDEX; i++)
		assert_int_equal(i == 0 ? batch(f, &f->chain, 0, 1, SIZE) : take(f, 0, 0), OK);
	assert_int_equal(take(f, 0, 0), ERR_LIMIT);
	bundle_index_end(f->index);
	assert_int_equal(log_of(f)->count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_named_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_evidence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notes_at_the_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches_at_the_cap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
