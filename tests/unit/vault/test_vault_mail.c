/* The node's prekeys, and letters that are sealed to them. */
#include "support.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "proto/stored.pb-c.h"

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

/* A row as Sautis made it before there was an inbox key: under the keyring key. */
static void old_row(const struct hash *item, const char *text, struct buf *out)
{
	struct aead_key key = {.key = {7}, .nonce = {1, 2}};
	Sauti__MailInbox inbox = SAUTI__MAIL_INBOX__INIT;
	uint8_t sealed[200], id[MAIL_ID_SIZE] = {3};
	struct buf aad;

	buf_init(&aad, 100);
	buf_put_str(&aad, "sauti/1 inbox");
	buf_put(&aad, hash_bytes(item));
	assert_ok(aead_seal(&key, buf_bytes(&aad), bytes_str(text), sealed));
	inbox.id = codec_binary(BYTES_ARRAY(id));
	inbox.sender = (char *)"hq";
	inbox.made_at = 5;
	inbox.received_at = 6;
	inbox.nonce = codec_binary(BYTES_ARRAY(key.nonce));
	inbox.sealed = codec_binary(bytes_make(sealed, strlen(text) + AEAD_TAG_SIZE));
	codec_pack(out, &inbox);
	buf_release(&aad);
}

static void test_rows_move(void **state)
{
	struct fixture *f = *state;
	struct vault_request *moved, *shown;
	struct hash item = {{4}}, wrong = {{1}};
	struct buf row;

	unlock(f);
	buf_init(&row, LIMIT_MAIL_ITEM);
	old_row(&item, "come on Thursday", &row);
	shown = ask(f, mail_request(VAULT_MAIL_SHOW, &item, &row));
	assert_ok(shown->result);
	assert_true(bytes_equal_str(buf_bytes(&shown->mail), "come on Thursday"));
	vault_request_free(shown);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_MOVE, &wrong, &row)), ERR_CORRUPT);
	moved = ask(f, mail_request(VAULT_MAIL_MOVE, &item, &row));
	assert_ok(moved->result);
	shown = ask(f, mail_request(VAULT_MAIL_SHOW, &item, &moved->mail));
	assert_ok(shown->result);
	assert_true(bytes_equal_str(buf_bytes(&shown->mail), "come on Thursday"));
	vault_request_free(shown);
	/* It says of itself under which key it is: as one under the other it does not open. */
	moved->mail.data[moved->mail.size - 1] ^= 1;
	assert_int_equal(
		ask_simple(f, mail_request(VAULT_MAIL_SHOW, &item, &moved->mail)), ERR_CORRUPT);
	vault_request_free(moved);
	lock(f);
	assert_int_equal(ask_simple(f, mail_request(VAULT_MAIL_MOVE, &item, &row)), ERR_LOCKED);
	buf_release(&row);
}

static struct vault_request *prekeys_request(uint64_t now_s, uint64_t acknowledged, bool wanted)
{
	struct vault_request *request = request_new(VAULT_PREKEYS);

	request->prekeys = mem_zalloc(sizeof(*request->prekeys));
	assert_non_null(request->prekeys);
	request->prekeys->now_s = now_s;
	request->prekeys->acknowledged = acknowledged;
	request->prekeys->wanted = wanted;
	return request;
}

static uint64_t newest_after(struct fixture *f, struct vault_request *request)
{
	struct vault_request *done = ask(f, request);
	uint64_t number = done->prekeys->newest.number;

	assert_ok(done->result);
	vault_request_free(done);
	return number;
}

static uint32_t outcome_of(struct fixture *f, const struct hash *item, const struct buf *letter)
{
	struct vault_request *opened = ask(f, mail_request(VAULT_MAIL_OPEN, item, letter));
	uint32_t outcome = opened->outcome;

	assert_ok(opened->result);
	vault_request_free(opened);
	return outcome;
}

/* An erasure wants a new one; a peer holds it; 30 days. What cannot be written is not done. */
static void test_prekeys_go(void **state)
{
	struct fixture *f = *state;
	struct prekey first = prekey_of(f);
	uint64_t now = first.made_at;
	struct hash item;
	struct buf letter;
	char temporary[400];

	buf_init(&letter, LIMIT_MAIL_ITEM);
	letter_put(&letter, &first, MAIL_ORDINARY, "text", &item);
	snprintf(temporary, sizeof(temporary), "%s.tmp", f->keystore);
	assert_int_equal(newest_after(f, prekeys_request(now, 1, false)), 1);
	assert_int_equal(newest_after(f, prekeys_request(now, 1, true)), 2);
	assert_int_equal(newest_after(f, prekeys_request(now, 2, false)), 2);
	now += PREKEY_KEPT_S;
	assert_int_equal(outcome_of(f, &item, &letter), MAIL_PROCESSED);
	assert_int_equal(mkdir(temporary, 0700), 0);
	assert_true(ask_simple(f, prekeys_request(now, 2, false)) != OK);
	assert_int_equal(outcome_of(f, &item, &letter), MAIL_PROCESSED);
	assert_int_equal(rmdir(temporary), 0);
	assert_int_equal(newest_after(f, prekeys_request(now, 2, false)), 3);
	assert_int_equal(outcome_of(f, &item, &letter), MAIL_UNOPENABLE);
	/* .. for good. */
	lock(f);
	assert_int_equal(ask_simple(f, prekeys_request(now, 2, false)), ERR_LOCKED);
	assert_int_equal(prekey_of(f).number, 3);
	assert_int_equal(outcome_of(f, &item, &letter), MAIL_UNOPENABLE);
	buf_release(&letter);
}

/* A notice to somebody else and its copy: sealed again, so often and not more. */
static void test_sent(void **state)
{
	struct fixture *f = *state;
	struct vault_request *made, *again;
	struct prekey theirs = prekey_of(f);
	struct buf copy;
	struct hash item;

	buf_init(&copy, LIMIT_MAIL_ITEM);
	made = request_new(VAULT_MAIL_MAKE);
	snprintf(made->name, sizeof(made->name), "hq");
	made->to_prekey = theirs;
	buf_put_str(&made->lines, "come on Thursday");
	made = ask(f, made);
	assert_ok(made->result);
	assert_null(memmem(made->mail.data, made->mail.size, "Thursday", 8));
	assert_null(memmem(made->copy.data, made->copy.size, "Thursday", 8));
	item = made->item;
	buf_put(&copy, buf_bytes(&made->copy));
	vault_request_free(made);
	for (int i = 0; i <= LIMIT_MAIL_TRIES; i++) {
		/* Of another item, or for somebody else, it is none. */
		for (int wrong = 2; wrong >= 0; wrong--) {
			again = request_new(VAULT_MAIL_AGAIN);
			snprintf(again->name, sizeof(again->name), wrong == 1 ? "chad" : "hq");
			again->to_prekey = theirs;
			again->item = item;
			again->item.b[0] ^= wrong == 2;
			buf_put(&again->copy, buf_bytes(&copy));
			again = ask(f, again);
			assert_int_equal(again->result, i == LIMIT_MAIL_TRIES ? ERR_LIMIT
							: wrong != 0          ? ERR_CORRUPT
									      : OK);
			if (again->result == OK) {
				assert_false(hash_equal(&again->item, &item));
				item = again->item;
				buf_clear(&copy);
				buf_put(&copy, buf_bytes(&again->copy));
			}
			vault_request_free(again);
		}
	}
	buf_release(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prekey),
		TEST(test_mail),
		TEST(test_rows_move),
		TEST(test_prekeys_go),
		TEST(test_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
