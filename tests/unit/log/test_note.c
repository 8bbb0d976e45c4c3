/*
 * Signed notes: the example of the specification, every kind of note that must be refused, keys
 * that are not meant, and cosignatures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/text.h"
#include "replication/log/note.h"

#define DASH      "\xe2\x80\x94 "
#define SPEC_VKEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define SPEC_TEXT "This is an example message.\n"
#define SPEC_LINE                                                                                  \
	DASH "example.com/foo "                                                                    \
	     "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu"  \
	     "72IneyaQM=\n"
#define SPEC_NOTE SPEC_TEXT "\n" SPEC_LINE
/* A well-formed line of nobody's: id 01020304, one byte of signature. */
#define LINE DASH "who AQIDBAU=\n"

static struct signer *signer1, *signer2;

static struct signer *make_signer(uint8_t fill)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;

	memset(seed, fill, sizeof(seed));
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return signer;
}

static int setup(void **state)
{
	if (crypto_init() != OK)
		return -1;
	signer1 = make_signer(1);
	signer2 = make_signer(2);
	return 0;
}

static int teardown(void **state)
{
	signer_free(signer1);
	signer_free(signer2);
	crypto_release();
	return 0;
}

static enum err parse(const char *text, struct note *ret)
{
	return note_parse(bytes_str(text), ret, NULL);
}

static void assert_key(const char *vkey, struct note_key *ret)
{
	assert_int_equal(note_key_parse(bytes_str(vkey), ret), OK);
}

/* A buf for notes of a test; released by the test. */
static struct buf new_buf(void)
{
	struct buf buf;

	buf_init(&buf, 4 * LIMIT_NOTE_SIZE);
	return buf;
}

/* ---- keys ---- */

static void test_spec_example(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;
	struct note note;

	assert_key(SPEC_VKEY, &key);
	assert_string_equal(key.name, "example.com/foo");
	assert_int_equal(key.type, NOTE_ED25519);
	assert_int_equal(key.id, 0x530d903a);
	note_key_format(&out, &key);
	assert_string_equal(buf_cstr(&out), SPEC_VKEY);
	assert_int_equal(parse(SPEC_NOTE, &note), OK);
	assert_true(bytes_equal_str(note.text, SPEC_TEXT));
	assert_true(bytes_equal_str(note.signatures, SPEC_LINE));
	assert_int_equal(note.count, 1);
	assert_true(bytes_equal_str(note.lines[0].whole, SPEC_LINE));
	assert_true(bytes_equal_str(note.lines[0].name, "example.com/foo"));
	assert_int_equal(note.lines[0].id, 0x530d903a);
	assert_int_equal(note.lines[0].blob_size, ED25519_SIGNATURE_SIZE);
	assert_int_equal(note_verify(&note, &key, NULL), OK);
}

static void test_key_parse_refuses(void **state)
{
	const char *bad[] = {
		"", "example.com/foo", "example.com/foo+530d903a", "example.com/foo+530d903a+",
		"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=", /* short */
	};
	struct note_key key, before;

	memset(&key, 0x5a, sizeof(key));
	before = key;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (note_key_parse(bytes_str(bad[i]), &key) != ERR_MALFORMED)
			fail_msg("not refused: %s", bad[i]);
	}
	/* 0x02, ECDSA */
	assert_int_equal(note_key_parse(bytes_str("example.com/foo+530d903a+AukyeRrm"), &key),
		ERR_UNSUPPORTED);
	assert_memory_equal(&key, &before, sizeof(key));
}

static void test_key_names(void **state)
{
	const char *good[] = {"a", "example.com/foo", "\xc3\xa9t\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x94\x91", "a~b"};
	const char *bad[] = {"", " ", "a b", "a+b", "a\tb", "a\nb", "a\x7f", "\xc2\x80", "\xc2\x85",
		"\xc2\xa0", "\xe1\x9a\x80", "a\xe2\x80\x80", "\xe2\x80\xa8", "\xe2\x80\xaf",
		"\xe2\x81\x9f", "\xe3\x80\x80", "\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf"};
	char name[NOTE_KEY_NAME_MAX + 2];
	struct note_key key, parsed;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CLEANUP(buf_release) struct buf out = new_buf();

		assert_int_equal(
			note_key_make(good[i], NOTE_COSIGNATURE, signer_public(signer1), &key), OK);
		note_key_format(&out, &key);
		assert_int_equal(note_key_parse(buf_bytes(&out), &parsed), OK);
		assert_memory_equal(&key, &parsed, sizeof(key));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (note_key_make(bad[i], NOTE_ED25519, signer_public(signer1), &key) !=
			ERR_INVALID)
			fail_msg("not refused: '%s'", bad[i]);
	}
	memset(name, 'n', sizeof(name));
	name[NOTE_KEY_NAME_MAX + 1] = '\0';
	assert_int_equal(
		note_key_make(name, NOTE_ED25519, signer_public(signer1), &key), ERR_INVALID);
	name[NOTE_KEY_NAME_MAX] = '\0';
	assert_int_equal(note_key_make(name, NOTE_ED25519, signer_public(signer1), &key), OK);
	assert_string_equal(key.name, name);
	assert_int_equal(note_key_make("a", (enum note_type)0x02, signer_public(signer1), &key),
		ERR_INVALID);
}

/* The type is part of the id: one key in two roles is two keys. */
static void test_key_ids(void **state)
{
	struct note_key a, b, c;

	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &a), OK);
	assert_int_equal(note_key_make("n", NOTE_COSIGNATURE, signer_public(signer1), &b), OK);
	assert_int_equal(note_key_make("m", NOTE_ED25519, signer_public(signer1), &c), OK);
	assert_int_not_equal(a.id, b.id);
	assert_int_not_equal(a.id, c.id);
}

/* ---- the form of notes ---- */

static void test_malformed(void **state)
{
	const char *bad[] = {
		"",
		"\n",
		"\n\n",
		"text\n",
		"text\n\n",
		"text\n" LINE, /* no empty line */
		"text\n\n\n",
		LINE,
		"text\n\n" DASH "who AQIDBAU=", /* no newline at the end */
		"text\n\n" LINE "\n",
		"text\n\n" LINE "\n"
		"text\n",
		"text\n\n" LINE "more\n",
		"text\n\n- who AQIDBAU=\n",
		"text\n\n\xe2\x80\x93 who AQIDBAU=\n", /* en dash */
		"text\n\n\xe2\x80\x94who AQIDBAU=\n",
		"text\n\n" DASH "who  AQIDBAU=\n",
		"text\n\n" DASH " who AQIDBAU=\n",
		"text\n\n" DASH "who\n",
		"text\n\n" DASH "who \n",
		"text\n\n" DASH " AQIDBAU=\n",
		"text\n\n" DASH "w+o AQIDBAU=\n",
		"text\n\n" DASH "w\xc2\xa0o AQIDBAU=\n",
		"text\n\n" DASH "who AQIDBAU= \n",
		"text\n\n" DASH "who AQIDBAU\n",  /* no padding */
		"text\n\n" DASH "who AQIDBAV=\n", /* trailing bits */
		"text\n\n" DASH "who AQIDBAU==\n",
		"text\n\n" DASH "who AQID-AU=\n", /* the other alphabet */
		"text\n\n" DASH "who AQIDBA==\n", /* a key id and nothing */
		"text\n\n" DASH "who AQID\n",     /* not even a key id */
		"te\rxt\n\n" LINE,
		"text\r\n\r\n" LINE,
		"te\txt\n\n" LINE,
		"te\x01xt\n\n" LINE,
		"te\xffxt\n\n" LINE,
		"te\xc0\xafxt\n\n" LINE,
		"te\xed\xa0\x80xt\n\n" LINE,
		"text\n\n" DASH "w\xffo AQIDBAU=\n",
	};
	struct note note;

	memset(&note, 0x5a, sizeof(note));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct errctx ctx = {""};

		if (note_parse(bytes_str(bad[i]), &note, &ctx) != ERR_MALFORMED)
			fail_msg("case %zu not refused: %s", i, bad[i]);
		assert_true(ctx.text[0] != '\0');
	}
	assert_int_equal(
		note_parse(bytes_make("te\0t\n\n" LINE, sizeof("te\0t\n\n" LINE) - 1), &note, NULL),
		ERR_MALFORMED);
	assert_int_equal(note_parse(BYTES_NONE, &note, NULL), ERR_MALFORMED);
	assert_int_equal(note.count, (size_t)0x5a5a5a5a5a5a5a5a);
}

/* Every prefix of a good note is no note. */
static void test_truncated(void **state)
{
	struct note note;

	for (size_t size = 0; size < sizeof(SPEC_NOTE) - 1; size++)
		assert_int_equal(
			note_parse(bytes_make(SPEC_NOTE, size), &note, NULL), ERR_MALFORMED);
}

static void test_blank_lines(void **state)
{
	const char *texts[] = {
		"one\n\ntwo\n", "one\n\n", "\n", "\n\n\n", "one\n\n\n\ntwo\n\n", "one\n\n" LINE};
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;
	struct note note;

	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &key), OK);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buf_clear(&out);
		buf_put_str(&out, texts[i]);
		buf_put_u8(&out, '\n');
		assert_int_equal(note_sign(&out, bytes_str(texts[i]), "n", signer1), OK);
		assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
		assert_true(bytes_equal_str(note.text, texts[i]));
		assert_int_equal(note.count, 1);
		assert_int_equal(note_verify(&note, &key, NULL), OK);
	}
}

static void test_many_lines(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;
	struct note note;

	buf_put_str(&out, "text\n\n");
	for (int i = 0; i < LIMIT_NOTE_SIGNATURES - 1; i++)
		buf_put_str(&out, LINE);
	assert_int_equal(note_sign(&out, bytes_str("text\n"), "n", signer1), OK);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note.count, LIMIT_NOTE_SIGNATURES);
	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &key), OK);
	assert_int_equal(note_verify(&note, &key, NULL), OK);
	buf_put_str(&out, LINE);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), ERR_LIMIT);
}

static void test_note_size(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note note;

	for (size_t i = 0; i < LIMIT_NOTE_SIZE - 2 - (sizeof(LINE) - 1); i++)
		buf_put_u8(&out, 'x');
	buf_put_str(&out, "\n\n" LINE);
	assert_int_equal(out.size, LIMIT_NOTE_SIZE);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	out.data[0] = '\n'; /* and one more byte at the front */
	out.size = 0;
	buf_put_u8(&out, 'y');
	for (size_t i = 0; i < LIMIT_NOTE_SIZE - 2 - (sizeof(LINE) - 1); i++)
		buf_put_u8(&out, 'x');
	buf_put_str(&out, "\n\n" LINE);
	assert_int_equal(out.size, LIMIT_NOTE_SIZE + 1);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), ERR_LIMIT);
	assert_int_equal(note_sign(&out, buf_bytes(&out), "n", signer1), ERR_INVALID);
}

/* A line of `size` bytes after the key id. */
static void put_blob_line(struct buf *out, const char *name, uint32_t id, size_t size)
{
	CLEANUP(buf_release) struct buf blob = new_buf();

	buf_put_u32be(&blob, id);
	buf_put_zeros(&blob, size);
	buf_put_str(out, DASH);
	buf_put_str(out, name);
	buf_put_u8(out, ' ');
	base64_encode(out, buf_bytes(&blob));
	buf_put_u8(out, '\n');
}

/* ML-DSA lines and the like: taken, counted, of no use; but not if they claim to be a known key. */
static void test_long_blobs(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;
	struct note_line line;
	struct note note;

	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &key), OK);
	buf_put_str(&out, "text\n\n");
	put_blob_line(&out, "other", 7, 128);
	put_blob_line(&out, "other", 7, 129);
	put_blob_line(&out, "other", 7, 2428);
	assert_int_equal(note_sign(&out, bytes_str("text\n"), "n", signer1), OK);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note.count, 4);
	assert_int_equal(note.lines[0].blob_size, 128);
	assert_int_equal(note.lines[1].blob_size, 0);
	assert_int_equal(note.lines[2].blob_size, 0);
	assert_int_equal(note.lines[2].id, 7);
	assert_int_equal(note_verify(&note, &key, NULL), OK);
	assert_int_equal(note_line_parse(note.lines[2].whole, &line, NULL), OK);
	assert_int_equal(line.blob_size, 0);

	put_blob_line(&out, "n", key.id, 2428);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
}

static void test_single_lines(void **state)
{
	const char *bad[] = {"", "\n", LINE LINE, LINE "\n", "\n" LINE,
		DASH "who AQIDBAU=", DASH "who AQIDBAU=\nx", "text\n\n" LINE,
		DASH "wh\no AQIDBAU=\n", DASH "who AQIDBAV=\n", DASH "w\tho AQIDBAU=\n",
		DASH "w\xffho AQIDBAU=\n"};
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_line line;

	assert_int_equal(note_line_parse(bytes_str(LINE), &line, NULL), OK);
	assert_true(bytes_equal_str(line.whole, LINE));
	assert_true(bytes_equal_str(line.name, "who"));
	assert_int_equal(line.id, 0x01020304);
	assert_int_equal(line.blob_size, 1);
	assert_int_equal(line.blob[0], 5);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (note_line_parse(bytes_str(bad[i]), &line, NULL) != ERR_MALFORMED)
			fail_msg("not refused: %s", bad[i]);
	}
	put_blob_line(&out, "who", 1, LIMIT_NOTE_SIZE);
	assert_int_equal(note_line_parse(buf_bytes(&out), &line, NULL), ERR_LIMIT);
}

/* ---- whom to believe ---- */

static void test_unknown_ignored(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key, wrong, twin;
	struct note note;

	assert_key(SPEC_VKEY, &key);
	/* same name, other id; same id, other name; unknown: none of them good, all ignored */
	buf_put_str(&out, SPEC_TEXT "\n");
	put_blob_line(&out, "example.com/foo", key.id + 1, 64);
	put_blob_line(&out, "example.com/bar", key.id, 64);
	put_blob_line(&out, "example.com/fo", key.id, 64);
	put_blob_line(&out, "example.com/foobar", key.id, 64);
	buf_put_str(&out, LINE);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED); /* nobody known */
	buf_put_str(&out, SPEC_LINE);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note_verify(&note, &key, NULL), OK);
	/* an id that collides: another key of that name verifies with its own key, and fails */
	wrong = key;
	wrong.key = *signer_public(signer1);
	assert_int_equal(note_verify(&note, &wrong, NULL), ERR_UNTRUSTED);
	twin = key;
	twin.type = NOTE_COSIGNATURE;
	assert_int_equal(note_verify(&note, &twin, NULL), ERR_UNTRUSTED);
}

/* One bad line of a known key spoils the note, wherever it stands. */
static void test_known_bad_refused(void **state)
{
	for (int place = 0; place < 2; place++) {
		for (size_t size = 1; size <= 65; size += 16) {
			CLEANUP(buf_release) struct buf out = new_buf();
			struct note_key key;
			struct note note;

			assert_key(SPEC_VKEY, &key);
			buf_put_str(&out, SPEC_TEXT "\n");
			if (place == 0)
				put_blob_line(&out, key.name, key.id, size);
			buf_put_str(&out, SPEC_LINE);
			if (place == 1)
				put_blob_line(&out, key.name, key.id, size);
			assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
			assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
		}
	}
}

static void test_tampered_text(void **state)
{
	const size_t size = sizeof(SPEC_TEXT) - 2; /* its newline stays */
	char copy[sizeof(SPEC_NOTE)];
	struct note_key key;
	struct note note;

	assert_key(SPEC_VKEY, &key);
	for (size_t i = 0; i < size * 6; i++) {
		memcpy(copy, SPEC_NOTE, sizeof(copy));
		copy[i / 6] ^= (char)(1 << (i % 6));
		if (parse(copy, &note) == OK)
			assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
	}
	/* an empty line more is another text */
	assert_int_equal(parse(SPEC_TEXT "\n\n" SPEC_LINE, &note), OK);
	assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
}

static void test_tampered_signature(void **state)
{
	struct note_key key, bad;
	struct note note;

	assert_key(SPEC_VKEY, &key);
	for (size_t bit = 0; bit < 8 * ED25519_SIGNATURE_SIZE; bit++) {
		assert_int_equal(parse(SPEC_NOTE, &note), OK);
		note.lines[0].blob[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
	}
	assert_int_equal(parse(SPEC_NOTE, &note), OK);
	for (size_t bit = 0; bit < 8 * ED25519_PUBLIC_SIZE; bit++) {
		bad = key;
		bad.key.b[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(note_verify(&note, &bad, NULL), ERR_UNTRUSTED);
	}
}

/* ---- signing ---- */

static void test_sign(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct ed25519_signature signature;
	struct note_key key1, key2;
	struct note note;

	buf_put_str(&out, "text\n\n");
	assert_int_equal(note_sign(&out, bytes_str("text\n"), "one", signer1), OK);
	assert_int_equal(note_key_make("one", NOTE_ED25519, signer_public(signer1), &key1), OK);
	assert_int_equal(note_key_make("two", NOTE_ED25519, signer_public(signer2), &key2), OK);
	assert_int_equal(signer_sign(signer2, bytes_str("text\n"), &signature), OK);
	assert_int_equal(note_line_write(&out, &key2, BYTES_ARRAY(signature.b)), OK);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note.count, 2);
	assert_int_equal(note_verify(&note, &key1, NULL), OK);
	assert_int_equal(note_verify(&note, &key2, NULL), OK);
	assert_int_equal(note.lines[0].whole.size, 4 + 3 + 1 + 92 + 1);
}

static void test_sign_refuses(void **state)
{
	const char *bad[] = {"", "text", "te\rxt\n", "te\xffxt\n", "te\x01xt\n"};
	CLEANUP(buf_release) struct buf out = new_buf(), tiny = {0};
	const uint8_t blob[73] = {0};
	struct note_key key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(note_sign(&out, bytes_str(bad[i]), "n", signer1), ERR_INVALID);
		assert_int_equal(
			cosignature_sign(&out, bytes_str(bad[i]), 1, "n", signer1), ERR_INVALID);
	}
	assert_int_equal(note_sign(&out, bytes_str("text\n"), "a b", signer1), ERR_INVALID);
	assert_int_equal(
		cosignature_sign(&out, bytes_str("text\n"), 1, "a+b", signer1), ERR_INVALID);
	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &key), OK);
	assert_int_equal(note_line_write(&out, &key, bytes_make(blob, 63)), ERR_INVALID);
	assert_int_equal(note_line_write(&out, &key, bytes_make(blob, 72)), ERR_INVALID);
	key.type = NOTE_COSIGNATURE;
	assert_int_equal(note_line_write(&out, &key, bytes_make(blob, 64)), ERR_INVALID);
	assert_int_equal(note_line_write(&out, &key, bytes_make(blob, 73)), ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_init(&tiny, 20);
	assert_int_equal(note_sign(&tiny, bytes_str("text\n"), "n", signer1), ERR_LIMIT);
}

/* ---- cosignatures ---- */

#define TREE_TEXT                                                                                  \
	"ovra.example/haiti/1-0011223344556677\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

static void test_cosignature(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf(), message = new_buf();
	struct note_key key;
	struct note_line line;
	uint64_t time_s = 0;

	assert_int_equal(
		note_key_make("n.example/mirror/a", NOTE_COSIGNATURE, signer_public(signer1), &key),
		OK);
	assert_int_equal(cosignature_sign(&out, bytes_str(TREE_TEXT), 1679315147,
				 "n.example/mirror/a", signer1),
		OK);
	assert_int_equal(note_line_parse(buf_bytes(&out), &line, NULL), OK);
	assert_int_equal(line.whole.size, 4 + 18 + 1 + 104 + 1);
	assert_int_equal(line.blob_size, 72);
	assert_int_equal(get_u64be(line.blob), 1679315147);
	assert_int_equal(cosignature_verify(&line, bytes_str(TREE_TEXT), &key, &time_s), OK);
	assert_int_equal(time_s, 1679315147);
	assert_int_equal(cosignature_verify(&line, bytes_str(TREE_TEXT), &key, NULL), OK);
	/* the message as the specification spells it */
	buf_put_str(&message, "cosignature/v1\ntime 1679315147\n" TREE_TEXT);
	assert_true(ed25519_verify(
		signer_public(signer1), buf_bytes(&message), bytes_make(line.blob + 8, 64)));
}

static void test_cosignature_times(void **state)
{
	const uint64_t times[] = {0, 1, UINT32_MAX, INT64_MAX};
	struct note_key key;
	struct note_line line;

	assert_int_equal(note_key_make("w", NOTE_COSIGNATURE, signer_public(signer1), &key), OK);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		CLEANUP(buf_release) struct buf out = new_buf();
		uint64_t time_s = 99;

		assert_int_equal(
			cosignature_sign(&out, bytes_str(TREE_TEXT), times[i], "w", signer1), OK);
		assert_int_equal(note_line_parse(buf_bytes(&out), &line, NULL), OK);
		assert_int_equal(
			cosignature_verify(&line, bytes_str(TREE_TEXT), &key, &time_s), OK);
		assert_int_equal(time_s, times[i]);
		assert_int_equal(cosignature_sign(&out, bytes_str(TREE_TEXT),
					 (uint64_t)INT64_MAX + 1, "w", signer1),
			ERR_INVALID);
	}
}

/* A time past INT64_MAX with a signature that would verify. */
static void test_cosignature_time_over(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf(), message = new_buf();
	struct ed25519_signature signature;
	uint8_t blob[72] = {0x80};
	struct note_key key;
	struct note_line line;

	buf_put_str(&message, "cosignature/v1\ntime 9223372036854775808\n" TREE_TEXT);
	assert_int_equal(signer_sign(signer1, buf_bytes(&message), &signature), OK);
	memcpy(blob + 8, signature.b, 64);
	assert_int_equal(note_key_make("w", NOTE_COSIGNATURE, signer_public(signer1), &key), OK);
	assert_int_equal(note_line_write(&out, &key, BYTES_ARRAY(blob)), OK);
	assert_int_equal(note_line_parse(buf_bytes(&out), &line, NULL), OK);
	assert_int_equal(
		cosignature_verify(&line, bytes_str(TREE_TEXT), &key, NULL), ERR_UNTRUSTED);
}

static void test_cosignature_tampered(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key, other;
	struct note_line line, bad;
	uint64_t time_s = 99;

	assert_int_equal(note_key_make("w", NOTE_COSIGNATURE, signer_public(signer1), &key), OK);
	assert_int_equal(cosignature_sign(&out, bytes_str(TREE_TEXT), 1000, "w", signer1), OK);
	assert_int_equal(note_line_parse(buf_bytes(&out), &line, NULL), OK);
	for (size_t bit = 0; bit < 72 * 8; bit++) {
		bad = line;
		bad.blob[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(cosignature_verify(&bad, bytes_str(TREE_TEXT), &key, &time_s),
			ERR_UNTRUSTED);
	}
	for (size_t i = 0; i < sizeof(TREE_TEXT) - 1; i++) {
		char text[] = TREE_TEXT;

		text[i] ^= 1;
		assert_int_equal(
			cosignature_verify(&line, bytes_str(text), &key, &time_s), ERR_UNTRUSTED);
	}
	assert_int_equal(cosignature_verify(&line, bytes_make(TREE_TEXT, sizeof(TREE_TEXT) - 2),
				 &key, &time_s),
		ERR_UNTRUSTED);
	bad = line;
	bad.id++;
	assert_int_equal(
		cosignature_verify(&bad, bytes_str(TREE_TEXT), &key, &time_s), ERR_UNTRUSTED);
	bad = line;
	bad.name = bytes_str("v");
	assert_int_equal(
		cosignature_verify(&bad, bytes_str(TREE_TEXT), &key, &time_s), ERR_UNTRUSTED);
	bad = line;
	bad.blob_size = 71;
	assert_int_equal(
		cosignature_verify(&bad, bytes_str(TREE_TEXT), &key, &time_s), ERR_UNTRUSTED);
	other = key;
	other.type = NOTE_ED25519;
	assert_int_equal(
		cosignature_verify(&line, bytes_str(TREE_TEXT), &other, &time_s), ERR_UNTRUSTED);
	other = key;
	other.key = *signer_public(signer2);
	assert_int_equal(
		cosignature_verify(&line, bytes_str(TREE_TEXT), &other, &time_s), ERR_UNTRUSTED);
	assert_int_equal(time_s, 99);
}

/* A note signature is no cosignature, and the other way round. */
static void test_types_apart(void **state)
{
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key, cosigner;
	struct note note;

	buf_put_str(&out, TREE_TEXT "\n");
	assert_int_equal(cosignature_sign(&out, bytes_str(TREE_TEXT), 1000, "n", signer1), OK);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note_key_make("n", NOTE_ED25519, signer_public(signer1), &key), OK);
	assert_int_equal(
		note_key_make("n", NOTE_COSIGNATURE, signer_public(signer1), &cosigner), OK);
	assert_int_equal(note_verify(&note, &key, NULL), ERR_UNTRUSTED);
	assert_int_equal(note_sign(&out, bytes_str(TREE_TEXT), "n", signer1), OK);
	assert_int_equal(note_parse(buf_bytes(&out), &note, NULL), OK);
	assert_int_equal(note_verify(&note, &key, NULL), OK);
	assert_int_equal(cosignature_verify(&note.lines[0], note.text, &cosigner, NULL), OK);
	assert_int_equal(
		cosignature_verify(&note.lines[1], note.text, &cosigner, NULL), ERR_UNTRUSTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_example),
		cmocka_unit_test(test_key_parse_refuses),
		cmocka_unit_test(test_key_names),
		cmocka_unit_test(test_key_ids),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_blank_lines),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_note_size),
		cmocka_unit_test(test_long_blobs),
		cmocka_unit_test(test_single_lines),
		cmocka_unit_test(test_unknown_ignored),
		cmocka_unit_test(test_known_bad_refused),
		cmocka_unit_test(test_tampered_text),
		cmocka_unit_test(test_tampered_signature),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_cosignature),
		cmocka_unit_test(test_cosignature_times),
		cmocka_unit_test(test_cosignature_time_over),
		cmocka_unit_test(test_cosignature_tampered),
		cmocka_unit_test(test_types_apart),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
