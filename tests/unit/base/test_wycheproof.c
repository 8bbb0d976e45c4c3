/*
 * The Wycheproof vectors for the algorithms of base/crypto.h, read from the JSON files of
 * https://github.com/C2SP/wycheproof (testvectors_v1). They are not part of the sources: without
 * them the tests are skipped and say where they are looked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "tests/unit/base/unhex.h"

/* True when our function accepts the case, false when it refuses it. */
typedef bool (*run_fn)(json_t *group, json_t *test);

static const char *text_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static struct bytes hex_of(json_t *object, const char *key)
{
	return unhex(text_of(object, key));
}

static long number_of(json_t *object, const char *key)
{
	return (long)json_integer_value(json_object_get(object, key));
}

/* Skips the calling test when the file is not there. */
static json_t *load(const char *name)
{
	const char *folder = getenv("SAUTI_WYCHEPROOF");
	json_error_t error;
	char path[1024];
	json_t *root;

	if (folder == NULL)
		folder = SAUTI_SOURCE_DIR "/../shared/vectors/wycheproof";
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	root = json_load_file(path, 0, &error);
	if (root == NULL && json_error_code(&error) == json_error_cannot_open_file) {
		print_message("no %s; fetch testvectors_v1 of github.com/C2SP/wycheproof and set "
			      "SAUTI_WYCHEPROOF to its folder\n",
			path);
		skip();
	}
	if (root == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return root;
}

/* Runs every case of the groups in which all of `wanted` (key, number pairs, NULL at the end) hold,
 * and checks that at least `least` did run. */
struct wanted {
	const char *key;
	long value;
};

static bool group_wanted(json_t *group, const struct wanted *wanted)
{
	for (; wanted->key != NULL; wanted++)
		if (number_of(group, wanted->key) != wanted->value)
			return false;
	return true;
}

static void run_file(const char *name, const struct wanted *wanted, run_fn run, size_t least)
{
	json_t *root = load(name), *group, *test;
	size_t g, t, ran = 0, wrong = 0;

	json_array_foreach(json_object_get(root, "testGroups"), g, group)
	{
		if (!group_wanted(group, wanted))
			continue;
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			bool expected = strcmp(text_of(test, "result"), "invalid") != 0;

			ran++;
			if (run(group, test) != expected) {
				wrong++;
				print_error("%s: case %ld (%s): expected %s\n", name,
					number_of(test, "tcId"), text_of(test, "comment"),
					text_of(test, "result"));
			}
			unhex_free();
		}
	}
	json_decref(root);
	print_message("%s: %zu cases\n", name, ran);
	assert_int_equal(wrong, 0);
	assert_true(ran >= least);
}

static bool run_ed25519(json_t *group, json_t *test)
{
	struct bytes pk = hex_of(json_object_get(group, "publicKey"), "pk");
	struct ed25519_public public;

	assert_int_equal(pk.size, sizeof(public.b));
	memcpy(public.b, pk.data, pk.size);
	return ed25519_verify(&public, hex_of(test, "msg"), hex_of(test, "sig"));
}

static void test_ed25519(void **state)
{
	static const struct wanted all[] = {{NULL, 0}};

	run_file("ed25519_test.json", all, run_ed25519, 100);
}

static bool run_gcm(json_t *group, json_t *test)
{
	struct bytes key = hex_of(test, "key"), iv = hex_of(test, "iv"), aad = hex_of(test, "aad");
	struct bytes plain = hex_of(test, "msg"), ct = hex_of(test, "ct"),
		     tag = hex_of(test, "tag");
	uint8_t *sealed = unhex_room(ct.size + tag.size), *out = unhex_room(plain.size + 16);
	bool opened, same;
	struct aead_key k;

	assert_int_equal(tag.size, AEAD_TAG_SIZE);
	memcpy(k.key, key.data, AEAD_KEY_SIZE);
	memcpy(k.nonce, iv.data, AEAD_NONCE_SIZE);
	if (ct.size > 0)
		memcpy(sealed, ct.data, ct.size);
	memcpy(sealed + ct.size, tag.data, tag.size);
	opened = aead_open(&k, aad, bytes_make(sealed, ct.size + tag.size), out) == OK &&
		 bytes_equal(bytes_make(out, plain.size), plain);
	/* Sealing gives the vector if and only if the vector opens. */
	assert_int_equal(aead_seal(&k, aad, plain, out), OK);
	same = memcmp(out, sealed, plain.size + AEAD_TAG_SIZE) == 0;
	assert_true(same == opened);
	return opened;
}

static void test_gcm(void **state)
{
	static const struct wanted ours[] = {
		{"keySize", 256}, {"ivSize", 96}, {"tagSize", 128}, {NULL, 0}};

	run_file("aes_gcm_test.json", ours, run_gcm, 50);
}

static bool run_hkdf(json_t *group, json_t *test)
{
	struct bytes info = hex_of(test, "info"), okm = hex_of(test, "okm");
	size_t size = (size_t)number_of(test, "size");
	uint8_t *out = unhex_room(size);
	struct hash prk;
	enum err err;

	assert_int_equal(hkdf_extract(hex_of(test, "salt"), hex_of(test, "ikm"), &prk), OK);
	err = hkdf_expand(hash_bytes(&prk), &info, 1, out, size);
	if (err == ERR_LIMIT)
		return false;
	assert_int_equal(err, OK);
	return bytes_equal(bytes_make(out, size), okm);
}

static void test_hkdf(void **state)
{
	static const struct wanted all[] = {{NULL, 0}};

	run_file("hkdf_sha256_test.json", all, run_hkdf, 80);
}

static bool run_hmac(json_t *group, json_t *test)
{
	struct bytes data = hex_of(test, "msg"), tag = hex_of(test, "tag");
	struct hash h;

	assert_true(tag.size <= HASH_SIZE);
	assert_int_equal(hmac_sha256(hex_of(test, "key"), &data, 1, &h), OK);
	return equal_secret(bytes_make(h.b, tag.size), tag);
}

static void test_hmac(void **state)
{
	static const struct wanted all[] = {{NULL, 0}};

	run_file("hmac_sha256_test.json", all, run_hmac, 150);
}

static int start(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int stop(void **state)
{
	crypto_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_gcm),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_hmac),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
