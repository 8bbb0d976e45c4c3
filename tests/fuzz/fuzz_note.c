/*
 * Notes, signature lines, verifier keys, checkpoints and origins from anybody. The same bytes go to
 * each parser; what one takes must hold together: parts lie where they should, and what has one
 * form only comes out again as it went in.
 */
#include <assert.h>

#include "replication/log/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ed25519_public some_key = {{1}};

static void start(void)
{
	static bool started;

	if (started)
		return;
	started = crypto_init() == OK;
	assert(started);
}

static void check_line(const struct note_line *line)
{
	struct note_line again;

	assert(line->blob_size <= sizeof(line->blob));
	assert(line->name.size > 0);
	assert(line->whole.data[line->whole.size - 1] == '\n');
	assert(memchr(line->whole.data, '\n', line->whole.size) ==
		line->whole.data + line->whole.size - 1);
	assert(note_line_parse(line->whole, &again, NULL) == OK);
	assert(again.id == line->id && again.blob_size == line->blob_size);
	assert(bytes_equal(again.name, line->name));
	assert(memcmp(again.blob, line->blob, line->blob_size) == 0);
}

/* A line whose blob has the size of a known type is written again as it was, if the name will do.
 */
static void check_line_write(const struct note_line *line)
{
	CLEANUP(buf_release) struct buf out = {0};
	char name[NOTE_KEY_NAME_MAX + 1] = "";
	struct note_key key;
	enum note_type type = line->blob_size == 64 ? NOTE_ED25519 : NOTE_COSIGNATURE;

	if ((line->blob_size != 64 && line->blob_size != 72) || line->name.size >= sizeof(name))
		return;
	memcpy(name, line->name.data, line->name.size);
	if (note_key_make(name, type, &some_key, &key) != OK)
		return;
	key.id = line->id;
	buf_init(&out, LIMIT_NOTE_SIZE);
	assert(note_line_write(&out, &key, bytes_make(line->blob, line->blob_size)) == OK);
	assert(bytes_equal(buf_bytes(&out), line->whole));
	if (type == NOTE_COSIGNATURE)
		assert(cosignature_verify(line, bytes_str("x\n"), &key, NULL) == ERR_UNTRUSTED);
}

static void try_note(struct bytes data)
{
	struct note note;
	const uint8_t *at;

	if (note_parse(data, &note, NULL) != OK)
		return;
	assert(data.size <= LIMIT_NOTE_SIZE);
	assert(note.count >= 1 && note.count <= LIMIT_NOTE_SIGNATURES);
	/* text, an empty line, the lines: all of the data, in this order */
	assert(note.text.data == data.data && note.text.size >= 1);
	assert(note.text.data[note.text.size - 1] == '\n');
	assert(note.signatures.data == data.data + note.text.size + 1);
	assert(note.text.size + 1 + note.signatures.size == data.size);
	at = note.signatures.data;
	for (size_t i = 0; i < note.count; i++) {
		assert(note.lines[i].whole.data == at);
		at += note.lines[i].whole.size;
		check_line(&note.lines[i]);
		check_line_write(&note.lines[i]);
	}
	assert(at == data.data + data.size);
}

static void try_checkpoint(struct bytes data)
{
	CLEANUP(buf_release) struct buf out = {0};
	struct checkpoint checkpoint;
	struct note note;
	bool whole = checkpoint_peek(data, &checkpoint, NULL) == OK;

	if (!whole && checkpoint_parse(data, &checkpoint, NULL) != OK)
		return;
	assert(checkpoint.size <= LIMIT_LOG_SIZE);
	buf_init(&out, LIMIT_NOTE_SIZE);
	checkpoint_format(&out, &checkpoint);
	assert(out.err == OK);
	if (whole)
		assert(note_parse(data, &note, NULL) == OK);
	assert(bytes_equal(buf_bytes(&out), whole ? note.text : data));
}

static void try_key(struct bytes data)
{
	CLEANUP(buf_release) struct buf out = {0};
	struct note_key key, again;

	if (note_key_parse(data, &key) != OK)
		return;
	assert(note_key_make(key.name, key.type, &key.key, &again) == OK);
	assert(again.id == key.id);
	buf_init(&out, LIMIT_NOTE_SIZE);
	note_key_format(&out, &key);
	assert(bytes_equal(buf_bytes(&out), data));
}

static void try_origin(struct bytes data)
{
	struct origin origin;
	struct origin_parts parts;

	if (origin_parse(data, &origin, &parts) != OK)
		return;
	assert(bytes_equal_str(data, origin.text));
	assert(parts.network.size + parts.node.size + parts.epoch.size + 2 == data.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = bytes_make(data, size);
	struct note_line line;

	start();
	try_note(bytes);
	try_checkpoint(bytes);
	try_key(bytes);
	try_origin(bytes);
	if (note_line_parse(bytes, &line, NULL) == OK) {
		check_line(&line);
		check_line_write(&line);
	}
	return 0;
}
