/*
 * Writes tests/vectors/checkpoint.json to standard output: signed checkpoints with cosignatures of
 * mirrors, good and bad.
 */
#include "replication/log/checkpoint.h"
#include "tests/vectors/vectors.h"

enum { TIME = 1767225600 };

static struct signer *log_signer, *mirror, *stranger;
static struct note_key log_key, mirror_key;

static void put_key(const char *name, const struct note_key *key)
{
	struct buf vkey;

	buf_init(&vkey, 1000);
	note_key_format(&vkey, key);
	assert(vkey.err == OK);
	printf("\"%s\": \"%s\",\n", name, buf_cstr(&vkey));
	buf_release(&vkey);
}

static struct checkpoint checkpoint_make(uint64_t size)
{
	struct checkpoint checkpoint = {.origin = {ORIGIN}, .size = size};

	if (size == 0)
		sha256(BYTES_NONE, &checkpoint.root);
	else
		memset(checkpoint.root.b, 0xc5, HASH_SIZE);
	return checkpoint;
}

static void make(struct buf *note, uint64_t size, bool cosigned)
{
	struct checkpoint checkpoint = checkpoint_make(size);
	struct buf text;
	enum err err;

	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	buf_clear(note);
	err = checkpoint_sign(note, &checkpoint, log_signer);
	assert(err == OK);
	if (cosigned)
		err = cosignature_sign(note, buf_bytes(&text), TIME, mirror_key.name, mirror);
	assert(err == OK);
	buf_release(&text);
}

static void put(const char *name, const struct buf *note, uint64_t size, unsigned cosignatures)
{
	json_open(name);
	json_text("note", buf_bytes(note));
	json_number("size", size);
	json_number("cosignatures", cosignatures);
	json_close();
}

/* A line of nobody that is known goes between: it is skipped. */
static void put_strange_line(struct buf *note)
{
	struct checkpoint checkpoint = checkpoint_make(300);
	struct buf text;
	enum err err;

	make(note, 300, true);
	buf_init(&text, LIMIT_NOTE_SIZE);
	checkpoint_format(&text, &checkpoint);
	err = note_sign(note, buf_bytes(&text), "example.com/stranger", stranger);
	assert(err == OK);
	put("with a line of a stranger", note, 300, 1);
	buf_release(&text);
}

static void put_bad(const char *name, const struct buf *note)
{
	json_open(name);
	json_text("note", buf_bytes(note));
	json_close();
}

/* The same note with one piece of text in place of another. */
static void put_replaced(const char *name, struct buf *note, const char *old, const char *new)
{
	struct buf changed;
	const char *text, *at;

	make(note, 300, true);
	text = buf_cstr(note);
	at = strstr(text, old);
	assert(at != NULL);
	buf_init(&changed, LIMIT_NOTE_SIZE);
	buf_put(&changed, bytes_make(text, (size_t)(at - text)));
	buf_put_str(&changed, new);
	buf_put_str(&changed, at + strlen(old));
	put_bad(name, &changed);
	buf_release(&changed);
}

static void put_all_bad(struct buf *note)
{
	struct checkpoint checkpoint = checkpoint_make(300);

	put_replaced("size changed", note, "\n300\n", "\n301\n");
	put_replaced("size with a leading zero", note, "\n300\n", "\n0300\n");
	put_replaced("size with a sign", note, "\n300\n", "\n+300\n");
	put_replaced("root changed", note, "xcXF", "xcXG");
	put_replaced("root is not canonical base64", note, "cU=\n", "cV=\n");
	put_replaced("origin changed", note, "haiti/1-", "haiti/2-");
	put_replaced("an extension line", note, "\n300\n", "\n300\nAAAA\n");
	put_replaced("carriage return", note, "\n300\n", "\r\n300\n");
	put_replaced("no empty line", note, "\n\n", "\n");
	make(note, 300, true);
	note->size--;
	put_bad("no newline at the end", note);
	make(note, 300, true);
	note->data[note->size - 20] ^= 1;
	put_bad("cosignature changed", note);
	buf_clear(note);
	enum err err = checkpoint_sign(note, &checkpoint, stranger);

	assert(err == OK);
	put_bad("signed by another key under the log's name", note);
	make(note, 300, false);
	note->size = (size_t)(strstr(buf_cstr(note), "\n\n") - (char *)note->data) + 2;
	put_bad("without a signature", note);
}

int main(void)
{
	struct buf note;
	struct origin origin = {ORIGIN};
	enum err err = crypto_init();

	assert(err == OK);
	log_signer = fixed_signer(3);
	mirror = fixed_signer(4);
	stranger = fixed_signer(6);
	err = log_note_key(&origin, signer_public(log_signer), &log_key);
	assert(err == OK);
	err = mirror_note_key(
		bytes_str("ovra.example"), bytes_str("hq"), signer_public(mirror), &mirror_key);
	assert(err == OK);
	buf_init(&note, LIMIT_NOTE_SIZE);
	printf("{\n\"version\": 1,\n");
	put_key("log_key", &log_key);
	put_key("mirror_key", &mirror_key);
	printf("\"time\": %d,\n\"good\": [", TIME);
	json_list();
	make(&note, 1, false);
	put("size 1", &note, 1, 0);
	make(&note, 300, true);
	put("cosigned by a mirror", &note, 300, 1);
	make(&note, UINT64_C(281474976710656), true);
	put("the largest size", &note, UINT64_C(281474976710656), 1);
	put_strange_line(&note);
	printf("\n],\n\"bad\": [");
	json_list();
	put_all_bad(&note);
	printf("\n]\n}\n");
	buf_release(&note);
	signer_free(log_signer);
	signer_free(mirror);
	signer_free(stranger);
	crypto_release();
	return 0;
}
