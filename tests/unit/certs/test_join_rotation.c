/* A member asks headquarters for a certificate and a record for its new keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/change.h"
#include "certs/join.h"
#include "certs/x509.h"
#include "certs_test.h"

/* haiti, with keys to come whose TLS key is a real one. */
struct asking {
	struct actor hq, haiti, fresh, kenya;
	struct boot_keys boot;
	struct directory *directory;
	struct rotation rotation;
	struct arena arena;
	Sauti__JoinRequest *request;
};

static void apply(struct directory *directory, struct buf *entry)
{
	assert_int_equal(directory_apply(directory, buf_bytes(entry)), OK);
	assert_int_equal(directory_odd(directory, NULL), 0);
	buf_release(entry);
}

static void found(struct asking *a)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&a->hq);
	struct actor *actors[] = {&a->hq, &a->haiti, &a->kenya};
	struct buf entry;

	assert_int_equal(directory_new(NETWORK, &a->directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, a->hq.node), OK);
	apply(a->directory, &entry);
	assert_int_equal(network_created_write(&entry, &created, a->hq.node), OK);
	apply(a->directory, &entry);
	for (size_t i = 0; i < 3; i++) {
		entry_admitted(&entry, actors[i]);
		apply(a->directory, &entry);
	}
}

/* The request as headquarters reads it. */
static void write_request(struct asking *a, const struct signer *by)
{
	struct buf packed;

	buf_init(&packed, LIMIT_FRAME_SIZE);
	assert_int_equal(
		join_rotation_write(&a->rotation, NETWORK, &a->boot, a->fresh.node, by, &packed),
		OK);
	assert_int_equal(CODEC_UNPACK(join_request, buf_bytes(&packed), &scan_limits_strict,
				 &a->arena, &a->request, NULL),
		OK);
	buf_release(&packed);
}

static int setup(void **state)
{
	static struct asking a;
	struct buf spki;

	if (crypto_setup(state) != 0)
		return -1;
	a = (struct asking){.hq = actor_make("hq", ROLE_HQ, "", 1),
		.haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2),
		.fresh = actor_make("haiti", ROLE_OFFICE, "HTI", 3),
		.kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 4)};
	arena_init(&a.arena, LIMIT_ARENA_SIZE);
	assert_int_equal(boot_keys_make(NETWORK, "haiti", &a.boot), OK);
	buf_init(&spki, 256);
	assert_int_equal(
		tls_key_spki(secret_bytes(&a.boot.tls_key), &spki, &a.fresh.member.tls_spki), OK);
	buf_release(&spki);
	found(&a);
	a.rotation = (struct rotation){.member = a.fresh.member,
		.directory_size = directory_size(a.directory),
		.epoch = 1,
		.made_at = 5};
	write_request(&a, a.haiti.node);
	*state = &a;
	return 0;
}

static int teardown(void **state)
{
	struct asking *a = *state;

	actor_release(&a->hq);
	actor_release(&a->haiti);
	actor_release(&a->fresh);
	actor_release(&a->kenya);
	boot_keys_release(&a->boot);
	directory_free(a->directory);
	arena_release(&a->arena);
	return crypto_teardown(state);
}

static void check(const struct asking *a, const char *reason)
{
	struct member member;
	struct errctx ctx = {""};
	enum err err = join_rotation_check(a->request, a->directory, &member, &ctx);

	if (reason == NULL) {
		assert_int_equal(err, OK);
		assert_memory_equal(&member.node, &a->fresh.member.node, sizeof(member.node));
		return;
	}
	assert_int_equal(err, ERR_DENIED);
	if (strstr(ctx.text, reason) == NULL)
		fail_msg("refused for '%s', expected '%s'", ctx.text, reason);
}

/* It becomes a record that the directory takes; asked again, the answer is the same. */
static void good_and_once_more(void **state)
{
	struct asking *a = *state;
	struct buf entry;

	check(a, NULL);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write_signed(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED,
				 codec_bytes(a->request->rotated_body),
				 codec_bytes(a->request->rotated_signature)),
		OK);
	apply(a->directory, &entry);
	check(a, NULL);
	/* The new key alone is not who asked. */
	write_request(a, a->fresh.node);
	check(a, "not signed by its node key");
}

static void by_whom(void **state)
{
	struct asking *a = *state;

	write_request(a, a->kenya.node);
	check(a, "not signed by its node key");
	write_request(a, a->hq.node);
	check(a, "not signed by its node key");
	write_request(a, a->fresh.node);
	check(a, "not signed by its node key");
	a->request->rotated_signature.len--;
	check(a, "not signed by its node key");
}

static void for_whom(void **state)
{
	struct asking *a = *state;

	strcpy(a->rotation.member.name, "peru");
	write_request(a, a->haiti.node);
	check(a, "no active member");
	strcpy(a->rotation.member.name, "hq");
	write_request(a, a->hq.node);
	check(a, "headquarters");
	strcpy(a->rotation.member.name, "haiti");
	write_request(a, a->haiti.node);
	a->request->name = "kenya";
	check(a, "no active member");
}

static void with_what(void **state)
{
	static uint8_t longer[4096];
	struct asking *a = *state;
	struct boot_keys other;
	struct buf spki;
	struct hash hash;

	a->request->rotated_body.data[20] ^= 1;
	check(a, "NodeKeysRotated");
	a->request->rotated_body.data[20] ^= 1;
	check(a, NULL);
	a->request->tls_public.data[30] ^= 1;
	check(a, "TLS key");
	a->request->tls_public.data[30] ^= 1;
	assert_int_equal(boot_keys_make(NETWORK, "haiti", &other), OK);
	buf_init(&spki, 256);
	assert_int_equal(tls_key_spki(secret_bytes(&other.tls_key), &spki, &hash), OK);
	a->request->tls_public = codec_binary(buf_bytes(&spki));
	check(a, "not the one in NodeKeysRotated");
	a->request->tls_public = codec_binary(BYTES_ARRAY(longer));
	check(a, "too long");
	write_request(a, a->haiti.node);
	a->request->rotated_body = codec_binary(BYTES_ARRAY(longer));
	check(a, "too long");
	buf_release(&spki);
	boot_keys_release(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_and_once_more),
		TEST(by_whom),
		TEST(for_whom),
		TEST(with_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
