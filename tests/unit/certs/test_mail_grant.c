/* A grant as the content of mail: form, order, caps; and no key left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/mail_grant.h"
#include "certs_test.h"

static struct arena arena;

static int setup(void **state)
{
	crypto_setup(state);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&arena);
	return crypto_teardown(state);
}

static struct mail_grant grant_make(size_t keys)
{
	struct mail_grant grant;

	assert_int_equal(mail_grant_init(&grant, keys), OK);
	for (size_t i = 0; i < keys; i++) {
		uint8_t k[MAIL_KEY_SIZE] = {0x5e, 0x5e, 0x5e, 0x5e, (uint8_t)i};

		put_u32be(grant.keys[i].kid, (uint32_t)i + 1);
		grant.keys[i].group = 3;
		grant.keys[i].generation = 2;
		assert_int_equal(secret_copy(&grant.keys[i].key, BYTES_ARRAY(k)), OK);
		snprintf(grant.keys[i].origin, sizeof(grant.keys[i].origin), "%s",
			NETWORK "/haiti/1-00112233445566aa");
	}
	grant.grant_id[0] = 1;
	grant.case_ref[0] = 2;
	snprintf(grant.case_code, sizeof(grant.case_code), "ZZ-ONE");
	snprintf(grant.purpose, sizeof(grant.purpose), "REFERRAL");
	snprintf(grant.until, sizeof(grant.until), "2027-01-31");
	grant.basis = 1;
	grant.nonce[31] = 3;
	grant.consent_leaf.b[0] = 4;
	grant.consent_index = 5;
	return grant;
}

static struct buf content(const struct mail_grant *grant, enum err expected)
{
	struct buf out;

	buf_init(&out, LIMIT_MAIL_CONTENT);
	assert_int_equal(mail_grant_write(&out, grant), expected);
	return out;
}

static void there_and_back(void **state)
{
	const size_t counts[] = {1, LIMIT_GRANT_KEYS};

	for (size_t i = 0; i < 2; i++) {
		struct mail_grant grant = grant_make(counts[i]), read;
		struct buf packed = content(&grant, OK), again;

		assert_int_equal(mail_grant_read(buf_bytes(&packed), &arena, &read, NULL), OK);
		assert_int_equal(read.key_count, counts[i]);
		assert_string_equal(read.case_code, "ZZ-ONE");
		assert_memory_equal(secret_bytes(&read.keys[0].key).data,
			secret_bytes(&grant.keys[0].key).data, MAIL_KEY_SIZE);
		again = content(&read, OK);
		assert_true(bytes_equal(buf_bytes(&packed), buf_bytes(&again)));
		buf_wipe(&packed);
		buf_wipe(&again);
		mail_grant_release(&grant);
		mail_grant_release(&read);
	}
}

static void caps(void **state)
{
	struct mail_grant grant;

	assert_int_equal(mail_grant_init(&grant, LIMIT_GRANT_KEYS + 1), ERR_LIMIT);
	mail_grant_release(&grant);
	mail_grant_release(NULL);
}

static void refuses(const struct mail_grant *grant)
{
	struct buf out = content(grant, ERR_INVALID);

	buf_release(&out);
}

/* One key twice, or keys in another order, would be two grants with one commitment. */
static void order(void **state)
{
	struct mail_grant grant = grant_make(2), read;
	struct buf packed;
	uint8_t *at;

	memcpy(grant.keys[1].kid, grant.keys[0].kid, MAIL_KID_SIZE);
	refuses(&grant);
	put_u32be(grant.keys[1].kid, 0);
	refuses(&grant);
	put_u32be(grant.keys[1].kid, 0x77665544);
	packed = content(&grant, OK);
	at = memmem(packed.data, packed.size, "\x77\x66\x55\x44", 4);
	assert_non_null(at);
	memcpy(at, grant.keys[0].kid, 4);
	assert_int_equal(mail_grant_read(buf_bytes(&packed), &arena, &read, NULL), ERR_MALFORMED);
	buf_wipe(&packed);
	mail_grant_release(&grant);
}

static void every_cut(void **state)
{
	struct mail_grant grant = grant_make(1), read;
	struct buf packed = content(&grant, OK);

	for (size_t size = 0; size < packed.size; size++) {
		arena_clear(&arena);
		assert_int_not_equal(
			mail_grant_read(bytes_make(packed.data, size), &arena, &read, NULL), OK);
	}
	buf_wipe(&packed);
	mail_grant_release(&grant);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(caps),
		cmocka_unit_test(order),
		cmocka_unit_test(every_cut),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
