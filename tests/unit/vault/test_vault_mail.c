/* The node's prekey, and letters that are sealed to it. */
#include "support.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Made at the first unlock, in the keystore before anybody hears of it, and the same ever after. */
static struct prekey prekey_of(struct fixture *f)
{
	struct vault_request *request = ask(f, unlock_request(PASSPHRASE));
	struct prekey prekey;

	assert_ok(request->result);
	prekey = request->keys->prekey;
	vault_request_free(request);
	return prekey;
}

static void test_prekey(void **state)
{
	struct fixture *f = *state;
	struct prekey first = prekey_of(f), again;

	assert_int_equal(first.number, 1);
	vault_end(f); /* as by a crash before it was published */
	vault_begin(f, "HTI");
	again = prekey_of(f);
	assert_int_equal(again.number, 1);
	assert_memory_equal(again.key.b, first.key.b, X25519_KEY_SIZE);
	/* A keystore that cannot be replaced has none, and unlocks all the same. */
	vault_end(f);
	keystore_write(f, f->log.origin.text);
	vault_begin(f, "HTI");
	char temporary[400];

	snprintf(temporary, sizeof(temporary), "%s.tmp", f->keystore);
	assert_int_equal(mkdir(temporary, 0700), 0);
	again = prekey_of(f);
	assert_int_equal(again.number, 0);
	assert_int_equal(rmdir(temporary), 0);
	lock(f);
	again = prekey_of(f);
	assert_int_equal(again.number, 1);
	assert_memory_not_equal(again.key.b, first.key.b, X25519_KEY_SIZE);
}

/* A packed Mail to this node, sealed to a prekey. */
static void letter_put(struct buf *out, const struct prekey *prekey, enum mail_class class,
	const char *text, struct hash *ret_item)
{
	uint8_t seed[ED25519_SEED_SIZE] = {5}, ephemeral[X25519_KEY_SIZE] = {0x60};
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = "hq",
		.recipient = NODE,
		.class = class,
		.kind = MAIL_NOTICE,
		.content = bytes_str(text),
		.prekey = prekey,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct signer *signer;
	struct mail_item item;
	struct arena arena;

	assert_ok(signer_new(BYTES_ARRAY(seed), &signer));
	assert_ok(mail_write(out, &draft, signer));
	signer_free(signer);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_ok(mail_unpack(buf_bytes(out), NETWORK, &arena, &item, NULL));
	*ret_item = item.item;
	arena_release(&arena);
}

static struct vault_request *mail_request(
	enum vault_type type, const struct hash *item, const struct buf *mail)
{
	struct vault_request *request = request_new(type);

	request->item = *item;
	buf_put(&request->mail, buf_bytes(mail));
	return request;
}

static void test_mail(void **state)
{
	struct fixture *f = *state;
	struct prekey prekey = prekey_of(f), other = prekey;
	struct vault_request *opened, *shown;
	struct hash item, wrong = {{1}};
	struct buf letter;

	buf_init(&letter, LIMIT_MAIL_ITEM);
	letter_put(&letter, &prekey, MAIL_ORDINARY, "come on Thursday", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_PROCESSED);
	assert_null(memmem(opened->mail.data, opened->mail.size, "Thursday", 8));
	shown = ask(f, mail_request(VAULT_MAIL_SHOW, &item, &opened->mail));
	assert_ok(shown->result);
	assert_true(bytes_equal_str(buf_bytes(&shown->mail), "come on Thursday"));
	vault_request_free(shown);
	/* A row under another's name, or changed. */
	assert_int_equal(
		ask_simple(f, mail_request(VAULT_MAIL_SHOW, &wrong, &opened->mail)), ERR_CORRUPT);
	opened->mail.data[opened->mail.size - 1] ^= 1;
	assert_int_equal(
		ask_simple(f, mail_request(VAULT_MAIL_SHOW, &item, &opened->mail)), ERR_CORRUPT);
	vault_request_free(opened);
	/* Sealed to a key that is not here any more, or was never. */
	other.number = 7;
	buf_clear(&letter);
	letter_put(&letter, &other, MAIL_ORDINARY, "text", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_UNOPENABLE);
	assert_int_equal(opened->mail.size, 0);
	vault_request_free(opened);
	/* An erasure waits for no room in the inbox, and so puts nothing there. */
	buf_clear(&letter);
	letter_put(&letter, &prekey, MAIL_ERASURE, "text", &item);
	opened = ask(f, mail_request(VAULT_MAIL_OPEN, &item, &letter));
	assert_ok(opened->result);
	assert_int_equal(opened->outcome, MAIL_UNKNOWN_KIND);
	assert_int_equal(opened->mail.size, 0);
	vault_request_free(opened);
	lock(f);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_OPEN, &item, &letter)), ERR_LOCKED);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_SHOW, &item, &letter)), ERR_LOCKED);
	buf_release(&letter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prekey),
		TEST(test_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
