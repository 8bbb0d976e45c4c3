#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"

#define ORIGIN     "ovra.example/haiti/1-0011223344556677"
#define ROOT       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define EMPTY_ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define LINE       "\xe2\x80\x94 who AQIDBAU=\n"

static struct signer *signer;

static int setup(void **state)
{
	uint8_t seed[ED25519_SEED_SIZE] = {1};

	if (crypto_init() != OK)
		return -1;
	return signer_new(BYTES_ARRAY(seed), &signer) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	signer_free(signer);
	crypto_release();
	return 0;
}

static struct buf new_buf(void)
{
	struct buf buf;

	buf_init(&buf, LIMIT_NOTE_SIZE);
	return buf;
}

static struct checkpoint example(uint64_t size)
{
	struct checkpoint checkpoint = {.size = size};

	assert_int_equal(origin_parse(bytes_str(ORIGIN), &checkpoint.origin, NULL), OK);
	for (size_t i = 0; i < HASH_SIZE; i++)
		checkpoint.root.b[i] = (uint8_t)i;
	return checkpoint;
}

/* ---- origins ---- */

static void test_origin(void **state)
{
	const uint8_t random[8] = {0, 0x11, 0x22, 0x33, 0x44, 0x55, 0xaa, 0xff};
	struct origin origin, made;
	struct origin_parts parts;

	assert_int_equal(
		origin_parse(bytes_str("ovra.example/directory/4294967295-00112233445555ff"),
			&origin, &parts),
		OK);
	assert_string_equal(origin.text, "ovra.example/directory/4294967295-00112233445555ff");
	assert_true(bytes_equal_str(parts.network, "ovra.example"));
	assert_true(bytes_equal_str(parts.node, "directory"));
	assert_true(bytes_equal_str(parts.epoch, "4294967295-00112233445555ff"));
	assert_int_equal(parts.counter, UINT32_MAX);
	assert_int_equal(
		origin_make(bytes_str("ovra.example"), bytes_str("haiti"), 7, random, &made), OK);
	assert_string_equal(made.text, "ovra.example/haiti/7-001122334455aaff");
	assert_int_equal(origin_parse(bytes_str(made.text), &origin, NULL), OK);
	assert_memory_equal(&origin, &made, sizeof(origin));
	assert_int_equal(
		origin_make(bytes_str("ovra"), bytes_str("haiti"), 7, random, &made), ERR_INVALID);
	assert_int_equal(
		origin_make(bytes_str("ovra.example"), bytes_str("Haiti"), 7, random, &made),
		ERR_INVALID);
	assert_int_equal(origin_make(bytes_str("ovra.example"), bytes_str("a/b"), 7, random, &made),
		ERR_INVALID);
	assert_string_equal(made.text, origin.text);
}

static void test_origin_refused(void **state)
{
	const char *bad[] = {
		"",
		"/",
		"//",
		"ovra.example/haiti",
		"ovra.example/haiti/",
		"/haiti/1-0011223344556677",
		"ovra.example//1-0011223344556677",
		"ovra.example/haiti/0011223344556677",
		"ovra.example/haiti/-0011223344556677",
		"ovra.example/haiti/01-0011223344556677",
		"ovra.example/haiti/+1-0011223344556677",
		"ovra.example/haiti/4294967296-0011223344556677",
		"ovra.example/haiti/99999999999999999999-0011223344556677",
		"ovra.example/haiti/1-001122334455667",
		"ovra.example/haiti/1-00112233445566778",
		"ovra.example/haiti/1-00112233445566AA",
		"ovra.example/haiti/1-001122334455667g",
		"ovra.example/haiti/1-0011223344556677/",
		"ovra.example/haiti/1-0011223344556677 ",
		"ovra.example/haiti/1 0011223344556677",
		"ovra.example/Haiti/1-0011223344556677",
		"ovra.example/1haiti/1-0011223344556677",
		"ovra.example/ha+iti/1-0011223344556677",
		"ovra/haiti/1-0011223344556677",
		"https://ovra.example/haiti/1-0011223344556677",
	};
	struct origin origin = {"before"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (origin_parse(bytes_str(bad[i]), &origin, NULL) != ERR_MALFORMED)
			fail_msg("not refused: %s", bad[i]);
	}
	assert_int_equal(origin_parse(bytes_make(ORIGIN "\0", sizeof(ORIGIN)), &origin, NULL),
		ERR_MALFORMED);
	assert_int_equal(origin_parse(BYTES_NONE, &origin, NULL), ERR_MALFORMED);
	assert_string_equal(origin.text, "before");
}

/* The longest of every part, and each one longer. */
static void test_origin_limits(void **state)
{
	char network[LIMIT_NETWORK_NAME + 2], node[LIMIT_NODE_NAME + 2];
	const uint8_t random[8] = {0};
	struct origin origin, parsed;
	struct origin_parts parts;

	memset(network, 'n', sizeof(network));
	network[20] = '.';
	network[40] = '.';
	memset(node, 'x', sizeof(node));
	assert_int_equal(origin_make(bytes_make(network, LIMIT_NETWORK_NAME),
				 bytes_make(node, LIMIT_NODE_NAME), UINT32_MAX, random, &origin),
		OK);
	assert_int_equal(strlen(origin.text), LIMIT_ORIGIN);
	assert_int_equal(origin_parse(bytes_str(origin.text), &parsed, &parts), OK);
	assert_int_equal(parts.network.size, LIMIT_NETWORK_NAME);
	assert_int_equal(parts.node.size, LIMIT_NODE_NAME);
	assert_int_equal(parts.epoch.size, LIMIT_EPOCH_TEXT);
	assert_int_equal(origin_make(bytes_make(network, LIMIT_NETWORK_NAME + 1), bytes_str("n"), 1,
				 random, &origin),
		ERR_INVALID);
	assert_int_equal(origin_make(bytes_str("ovra.example"),
				 bytes_make(node, LIMIT_NODE_NAME + 1), 1, random, &origin),
		ERR_INVALID);
}

/* ---- the text ---- */

static void test_format(void **state)
{
	const uint64_t sizes[] = {1, 10, 70000, LIMIT_LOG_SIZE};
	struct checkpoint checkpoint = example(5), parsed;
	CLEANUP(buf_release) struct buf out = new_buf();

	checkpoint_format(&out, &checkpoint);
	assert_string_equal(buf_cstr(&out), ORIGIN "\n5\n" ROOT "\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		checkpoint.size = sizes[i];
		buf_clear(&out);
		checkpoint_format(&out, &checkpoint);
		assert_int_equal(checkpoint_parse(buf_bytes(&out), &parsed, NULL), OK);
		assert_true(checkpoint_equal(&checkpoint, &parsed));
	}
	/* the empty tree */
	checkpoint.size = 0;
	tree_empty(&checkpoint.root);
	buf_clear(&out);
	checkpoint_format(&out, &checkpoint);
	assert_string_equal(buf_cstr(&out), ORIGIN "\n0\n" EMPTY_ROOT "\n");
	assert_int_equal(checkpoint_parse(buf_bytes(&out), &parsed, NULL), OK);
}

static void test_equal(void **state)
{
	struct checkpoint a = example(5), b = a;

	assert_true(checkpoint_equal(&a, &b));
	b.size++;
	assert_false(checkpoint_equal(&a, &b));
	b = a;
	b.root.b[31] ^= 1;
	assert_false(checkpoint_equal(&a, &b));
	b = a;
	b.origin.text[0]++;
	assert_false(checkpoint_equal(&a, &b));
}

static void test_parse_refuses(void **state)
{
	const char *bad[] = {
		"",
		ORIGIN "\n",
		ORIGIN "\n5\n",
		ORIGIN "\n5\n" ROOT,
		ORIGIN "\n5\n" ROOT "\n\n",
		ORIGIN "\n5\n" ROOT "\nextension\n", /* legal C2SP, but not ours */
		"\n" ORIGIN "\n5\n" ROOT "\n",
		ORIGIN "\n\n" ROOT "\n",
		ORIGIN "\n05\n" ROOT "\n",
		ORIGIN "\n+5\n" ROOT "\n",
		ORIGIN "\n-5\n" ROOT "\n",
		ORIGIN "\n 5\n" ROOT "\n",
		ORIGIN "\n5 \n" ROOT "\n",
		ORIGIN "\n0x5\n" ROOT "\n",
		ORIGIN "\n5\r\n" ROOT "\n",
		ORIGIN "\n0\n" ROOT "\n", /* the empty tree has one root */
		ORIGIN "\n5\n" ROOT " \n",
		ORIGIN "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n", /* trailing bits */
		ORIGIN "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n",
		ORIGIN "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", /* 31 bytes */
		ORIGIN "\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n", /* 33 bytes */
		"example.com/foo\n5\n" ROOT "\n",
		ORIGIN " \n5\n" ROOT "\n",
	};
	const char *large[] = {
		ORIGIN "\n281474976710657\n" ROOT "\n", /* LIMIT_LOG_SIZE + 1 */
		ORIGIN "\n9223372036854775808\n" ROOT "\n",
		ORIGIN "\n18446744073709551616\n" ROOT "\n",
		ORIGIN "\n18446744073709551621\n" ROOT "\n", /* 5 if it wraps */
		ORIGIN "\n99999999999999999999999999999999\n" ROOT "\n",
	};
	struct checkpoint parsed, before;

	memset(&parsed, 0x5a, sizeof(parsed));
	before = parsed;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct errctx ctx = {""};

		if (checkpoint_parse(bytes_str(bad[i]), &parsed, &ctx) != ERR_MALFORMED)
			fail_msg("not refused: %s", bad[i]);
		assert_true(ctx.text[0] != '\0');
	}
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		if (checkpoint_parse(bytes_str(large[i]), &parsed, NULL) != ERR_LIMIT)
			fail_msg("not over the limit: %s", large[i]);
	}
	assert_memory_equal(&parsed, &before, sizeof(parsed));
}

/* ---- signed ---- */

static void test_sign_and_open(void **state)
{
	struct checkpoint checkpoint = example(5), parsed;
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;
	struct bytes text;

	assert_int_equal(log_note_key(&checkpoint.origin, signer_public(signer), &key), OK);
	assert_string_equal(key.name, ORIGIN);
	assert_int_equal(key.type, NOTE_ED25519);
	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), OK);
	assert_int_equal(checkpoint_open(buf_bytes(&out), &key, &parsed, &text, NULL), OK);
	assert_true(checkpoint_equal(&checkpoint, &parsed));
	assert_true(bytes_equal_str(text, ORIGIN "\n5\n" ROOT "\n"));
	assert_ptr_equal(text.data, out.data);
	assert_int_equal(checkpoint_open(buf_bytes(&out), &key, &parsed, NULL, NULL), OK);
	/* lines of others do no harm */
	assert_int_equal(
		cosignature_sign(&out, text, 1000, "ovra.example/mirror/kenya", signer), OK);
	buf_put_str(&out, LINE);
	assert_int_equal(checkpoint_open(buf_bytes(&out), &key, &parsed, NULL, NULL), OK);
	assert_int_equal(checkpoint_peek(buf_bytes(&out), &parsed, NULL), OK);
	assert_true(checkpoint_equal(&checkpoint, &parsed));
}

static void test_sign_refuses(void **state)
{
	struct checkpoint checkpoint = example(0);
	CLEANUP(buf_release) struct buf out = new_buf(), tiny = {0};

	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), ERR_INVALID);
	checkpoint.size = LIMIT_LOG_SIZE + 1;
	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), ERR_INVALID);
	checkpoint = example(5);
	memcpy(checkpoint.origin.text, "x", 2);
	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), ERR_INVALID);
	assert_int_equal(out.size, 0);
	checkpoint = example(5);
	buf_init(&tiny, 50);
	assert_int_equal(checkpoint_sign(&tiny, &checkpoint, signer), ERR_LIMIT);
}

static void test_open_refuses(void **state)
{
	struct checkpoint checkpoint = example(5), other = example(5), parsed;
	CLEANUP(buf_release) struct buf out = new_buf(), forged = new_buf();
	struct note_key key, other_key;

	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), OK);
	assert_int_equal(log_note_key(&checkpoint.origin, signer_public(signer), &key), OK);
	/* the same key under another name; another key under the same name */
	other.origin.text[strlen(other.origin.text) - 1] = '8';
	assert_int_equal(log_note_key(&other.origin, signer_public(signer), &other_key), OK);
	assert_int_equal(
		checkpoint_open(buf_bytes(&out), &other_key, &parsed, NULL, NULL), ERR_UNTRUSTED);
	other_key = key;
	other_key.key.b[0] ^= 1;
	assert_int_equal(
		checkpoint_open(buf_bytes(&out), &other_key, &parsed, NULL, NULL), ERR_UNTRUSTED);
	/* a checkpoint of another log, signed by this log's key under this log's name */
	buf_put_str(&forged, "ovra.example/haiti/1-0011223344556678\n5\n" ROOT "\n\n");
	assert_int_equal(note_sign(&forged,
				 bytes_str("ovra.example/haiti/1-0011223344556678\n5\n" ROOT "\n"),
				 ORIGIN, signer),
		OK);
	assert_int_equal(checkpoint_peek(buf_bytes(&forged), &parsed, NULL), OK);
	assert_int_equal(
		checkpoint_open(buf_bytes(&forged), &key, &parsed, NULL, NULL), ERR_UNTRUSTED);
	/* form only, nobody's signature */
	buf_clear(&forged);
	buf_put_str(&forged, ORIGIN "\n5\n" ROOT "\n\n" LINE);
	assert_int_equal(checkpoint_peek(buf_bytes(&forged), &parsed, NULL), OK);
	assert_int_equal(
		checkpoint_open(buf_bytes(&forged), &key, &parsed, NULL, NULL), ERR_UNTRUSTED);
	/* an extension line, well signed */
	buf_clear(&forged);
	buf_put_str(&forged, ORIGIN "\n5\n" ROOT "\nextension\n\n");
	assert_int_equal(
		note_sign(&forged, bytes_str(ORIGIN "\n5\n" ROOT "\nextension\n"), ORIGIN, signer),
		OK);
	assert_int_equal(
		checkpoint_open(buf_bytes(&forged), &key, &parsed, NULL, NULL), ERR_MALFORMED);
	assert_int_equal(checkpoint_peek(buf_bytes(&forged), &parsed, NULL), ERR_MALFORMED);
}

/* Whatever bit changes, it does not open. */
static void test_every_bit(void **state)
{
	struct checkpoint checkpoint = example(123456), parsed;
	CLEANUP(buf_release) struct buf out = new_buf();
	struct note_key key;

	assert_int_equal(checkpoint_sign(&out, &checkpoint, signer), OK);
	assert_int_equal(log_note_key(&checkpoint.origin, signer_public(signer), &key), OK);
	for (size_t bit = 0; bit < 8 * out.size; bit++) {
		out.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_not_equal(
			checkpoint_open(buf_bytes(&out), &key, &parsed, NULL, NULL), OK);
		out.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
	assert_int_equal(checkpoint_open(buf_bytes(&out), &key, &parsed, NULL, NULL), OK);
}

static void test_key_names(void **state)
{
	struct bytes network = bytes_str("ovra.example"), node = bytes_str("haiti");
	struct origin origin = {"ovra.example"};
	struct note_key key;

	assert_int_equal(mirror_note_key(network, node, signer_public(signer), &key), OK);
	assert_string_equal(key.name, "ovra.example/mirror/haiti");
	assert_int_equal(key.type, NOTE_COSIGNATURE);
	assert_int_equal(witness_note_key(network, node, signer_public(signer), &key), OK);
	assert_string_equal(key.name, "ovra.example/witness/haiti");
	assert_int_equal(key.type, NOTE_COSIGNATURE);
	assert_int_equal(mirror_note_key(network, bytes_str("a/b"), signer_public(signer), &key),
		ERR_INVALID);
	assert_int_equal(witness_note_key(bytes_str("ovra"), node, signer_public(signer), &key),
		ERR_INVALID);
	assert_int_equal(log_note_key(&origin, signer_public(signer), &key), ERR_INVALID);
	assert_string_equal(key.name, "ovra.example/witness/haiti");
}

/* Names of branches: an origin, '~', 32 hex digits, and nothing else. */
#define HEX31 "0123456789abcdef0123456789abcde"
static void test_log_names(void **state)
{
	static const char *const bad[] = {ORIGIN "~", ORIGIN "~01234567", ORIGIN "~" HEX31,
		ORIGIN "~" HEX31 "f0", ORIGIN "~" HEX31 "G", ORIGIN "~" HEX31 "A", "~" HEX31 "f",
		ORIGIN "~" HEX31 "f~" HEX31 "f", "x~" HEX31 "f"};
	const struct bytes branch = bytes_str(ORIGIN "~" HEX31 "f");
	struct origin name, origin;
	struct origin_parts parts;
	struct checkpoint end = {.origin = {ORIGIN}, .size = 7}, other = end;
	struct origin first, second;

	assert_int_equal(log_name_parse(bytes_str(ORIGIN), &name, &origin, &parts), OK);
	assert_string_equal(name.text, ORIGIN);
	assert_string_equal(origin.text, ORIGIN);
	assert_int_equal(log_name_parse(branch, &name, &origin, &parts), OK);
	assert_string_equal(name.text, ORIGIN "~" HEX31 "f");
	assert_string_equal(origin.text, ORIGIN);
	assert_int_equal(origin_parse(branch, NULL, NULL), ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			log_name_parse(bytes_str(bad[i]), NULL, NULL, NULL), ERR_MALFORMED);
	branch_name(&end, &first);
	assert_int_equal(log_name_parse(bytes_str(first.text), NULL, &origin, NULL), OK);
	assert_string_equal(origin.text, ORIGIN);
	other.root.b[31] = 1;
	branch_name(&other, &second);
	assert_string_not_equal(first.text, second.text);
	other = end;
	other.size = 8;
	branch_name(&other, &second);
	assert_string_not_equal(first.text, second.text);
	assert_true(checkpoint_is_of(&end, ORIGIN));
	assert_true(checkpoint_is_of(&end, first.text));
	assert_false(checkpoint_is_of(&end, "ovra.example/other/1-0123456789abcdef"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_names),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_origin_refused),
		cmocka_unit_test(test_origin_limits),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_sign_and_open),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_key_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
