#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hpke.h"
#include "certs/mail.h"
#include "certs_test.h"
#include "proto/mail.pb-c.h"

static struct arena arena;
static struct actor hq, haiti;
static struct directory *directory;
static uint8_t private_key[X25519_KEY_SIZE] = {0x71}, ephemeral[X25519_KEY_SIZE] = {0x82};
static struct prekey prekey = {.number = 3};

static void apply(struct buf *entry)
{
	assert_int_equal(directory_apply(directory, buf_bytes(entry)), OK);
	buf_release(entry);
}

static int setup(void **state)
{
	struct log_opened opened = directory_opened();
	struct network_created created;
	struct buf entry;

	if (crypto_setup(state) != 0)
		return -1;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	hq = actor_make("hq", ROLE_HQ, "", 1);
	haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2);
	assert_int_equal(directory_new(NETWORK, &directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	apply(&entry);
	created = network_created(&hq);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(network_created_write(&entry, &created, hq.node), OK);
	apply(&entry);
	entry_admitted(&entry, &hq);
	apply(&entry);
	entry_admitted(&entry, &haiti);
	apply(&entry);
	assert_int_equal(directory_odd(directory, NULL), 0);
	assert_int_equal(x25519_public(BYTES_ARRAY(private_key), &prekey.key), OK);
	return 0;
}

static int teardown(void **state)
{
	directory_free(directory);
	actor_release(&hq);
	actor_release(&haiti);
	arena_release(&arena);
	return crypto_teardown(state);
}

static struct mail_draft notice(struct bytes text)
{
	return (struct mail_draft){
		.network = NETWORK,
		.sender = "haiti",
		.recipient = "hq",
		.id = {9, 8, 7},
		.kind = MAIL_NOTICE,
		.content = text,
		.made_at = 1700000000,
		.prekey = &prekey,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
}

static struct buf written(const struct mail_draft *draft, const struct signer *signer)
{
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	assert_int_equal(mail_write(&packed, draft, signer), OK);
	return packed;
}

static struct mail_item item_of(const struct buf *packed)
{
	struct mail_item item;

	assert_int_equal(mail_unpack(buf_bytes(packed), NETWORK, &arena, &item, NULL), OK);
	return item;
}

static void a_sealed_item_is_opened_by_its_recipient(void **state)
{
	struct mail_draft draft = notice(bytes_str("come on Thursday"));
	struct buf packed = written(&draft, haiti.node);
	struct mail_item item = item_of(&packed);
	struct mail_content content;
	struct hash body;

	assert_string_equal(item.sender, "haiti");
	assert_string_equal(item.recipient, "hq");
	assert_int_equal(item.prekey, 3);
	sha256(item.body, &body);
	assert_true(hash_equal(&item.item, &body));
	assert_int_equal(mail_check(directory, &item, NULL), OK);
	assert_int_equal(
		mail_open(&item, NETWORK, BYTES_ARRAY(private_key), &arena, &content, NULL), OK);
	assert_int_equal(content.kind, MAIL_NOTICE);
	assert_true(bytes_equal_str(content.body, "come on Thursday"));
	assert_null(memmem(packed.data, packed.size, "Thursday", 8));
	mail_content_release(&content);
	buf_release(&packed);
}

/* What it is sealed for is what it opens for. */
static void sealed_for_these_two_and_this_id(void **state)
{
	struct mail_draft draft = notice(bytes_str("text"));
	struct buf packed = written(&draft, haiti.node);
	struct mail_item item = item_of(&packed), other;
	struct mail_content content;

	other = item;
	other.sender[0] = 'x';
	assert_int_equal(
		mail_open(&other, NETWORK, BYTES_ARRAY(private_key), &arena, &content, NULL),
		ERR_DECRYPT);
	other = item;
	other.recipient[0] = 'x';
	assert_int_equal(
		mail_open(&other, NETWORK, BYTES_ARRAY(private_key), &arena, &content, NULL),
		ERR_DECRYPT);
	other = item;
	other.id[15] ^= 1;
	assert_int_equal(
		mail_open(&other, NETWORK, BYTES_ARRAY(private_key), &arena, &content, NULL),
		ERR_DECRYPT);
	assert_int_equal(
		mail_open(&item, "other.example", BYTES_ARRAY(private_key), &arena, &content, NULL),
		ERR_DECRYPT);
	assert_int_equal(mail_open(&item, NETWORK, BYTES_ARRAY(ephemeral), &arena, &content, NULL),
		ERR_DECRYPT);
	buf_release(&packed);
}

/* The info of docs/FORMAT, written out. */
static void the_documented_info(void **state)
{
	static const uint8_t info[] = "sauti/1 mail"
				      "\0\x0covra.example"
				      "\0\x05haiti"
				      "\0\x02hq"
				      "\0\x10\x09\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
	struct mail_draft draft = notice(bytes_str("text"));
	struct buf packed = written(&draft, haiti.node);
	struct mail_item item = item_of(&packed);
	uint8_t plain[256];

	assert_int_equal(item.content.size, 256 + HPKE_OVERHEAD);
	assert_int_equal(hpke_open(BYTES_ARRAY(private_key), bytes_make(info, sizeof(info) - 1),
				 BYTES_NONE, item.content, plain),
		OK);
	assert_int_equal(get_u32be(plain), 8); /* 08 01, 12 04 text */
	assert_memory_equal(plain + 4, "\x08\x01\x12\x04text", 8);
	buf_release(&packed);
}

static void lengths_are_rounded_up(void **state)
{
	static const struct {
		size_t text, sealed;
	} steps[] = {{1, 256}, {247, 256}, {248, 384}, {374, 384}, {375, 384}, {376, 512},
		{4096, 6144}, {49000, 49152}, {LIMIT_MAIL_CONTENT, LIMIT_MAIL_PLAIN}};
	static uint8_t text[LIMIT_MAIL_CONTENT + 1];

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct mail_draft draft = notice(bytes_make(text, steps[i].text));
		struct buf packed = written(&draft, haiti.node);
		struct mail_item item = item_of(&packed);

		assert_int_equal(item.content.size, steps[i].sealed + HPKE_OVERHEAD);
		assert_true(packed.size <= LIMIT_MAIL_ITEM);
		buf_release(&packed);
		arena_clear(&arena);
	}
	struct mail_draft draft = notice(BYTES_ARRAY(text));
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	assert_int_equal(mail_write(&packed, &draft, haiti.node), ERR_LIMIT);
	buf_release(&packed);
}

/* No changed bit of an item is taken: not readable, not signed, or not opened. */
static void a_changed_item_is_refused(void **state)
{
	struct mail_draft draft = notice(bytes_str("text"));
	struct buf packed = written(&draft, haiti.node);
	struct mail_item item;

	for (size_t bit = 0; bit < 8 * packed.size; bit++) {
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		arena_clear(&arena);
		if (mail_unpack(buf_bytes(&packed), NETWORK, &arena, &item, NULL) == OK)
			assert_int_not_equal(mail_check(directory, &item, NULL), OK);
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < packed.size; size++)
		assert_int_not_equal(
			mail_unpack(bytes_make(packed.data, size), NETWORK, &arena, &item, NULL),
			OK);
	buf_release(&packed);
}

static void only_members_and_only_their_own(void **state)
{
	struct mail_draft draft = notice(bytes_str("text"));
	struct buf packed = written(&draft, hq.node); /* in haiti's name */
	struct mail_item item = item_of(&packed);

	assert_int_equal(mail_check(directory, &item, NULL), ERR_UNTRUSTED);
	assert_int_equal(mail_unpack(buf_bytes(&packed), "other.example", &arena, &item, NULL),
		ERR_UNTRUSTED);
	buf_release(&packed);
	draft.recipient = "chad";
	packed = written(&draft, haiti.node);
	item = item_of(&packed);
	assert_int_equal(mail_check(directory, &item, NULL), ERR_DENIED);
	buf_release(&packed);
}

static void what_cannot_be_written(void **state)
{
	struct mail_draft draft = notice(bytes_str("text"));
	struct prekey zeros = {.number = 1};
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	draft.recipient = "haiti";
	assert_int_equal(mail_write(&packed, &draft, haiti.node), ERR_INVALID);
	draft.recipient = "directory";
	assert_int_equal(mail_write(&packed, &draft, haiti.node), ERR_INVALID);
	draft = notice(bytes_str("text"));
	draft.prekey = NULL; /* a notice in the open */
	assert_int_equal(mail_write(&packed, &draft, haiti.node), ERR_INVALID);
	draft = notice(bytes_str("text"));
	draft.prekey = &zeros;
	assert_int_equal(mail_write(&packed, &draft, haiti.node), ERR_UNTRUSTED);
	assert_int_equal(packed.size, 0);
	buf_release(&packed);
}

/* Padding that is not zeros, a length beyond the end: sealed by a sender, and yet refused. */
static void bad_padding_is_malformed(void **state)
{
	static const uint8_t info[] = "sauti/1 mail"
				      "\0\x0covra.example"
				      "\0\x05haiti"
				      "\0\x02hq"
				      "\0\x10\x09\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
	struct mail_draft draft = notice(bytes_str("text"));
	struct buf packed = written(&draft, haiti.node);
	struct mail_item item = item_of(&packed);
	uint8_t plain[256] = {0, 0, 0, 8, 8, 1, 0x12, 4, 't', 'e', 'x', 't'};
	uint8_t sealed[sizeof(plain) + HPKE_OVERHEAD];
	struct mail_content content;

	item.content = BYTES_ARRAY(sealed);
	for (unsigned round = 0; round < 3; round++) {
		plain[255] = round == 1;
		plain[3] = round == 2 ? 253 : 8;
		assert_int_equal(
			hpke_seal(&prekey.key, bytes_make(info, sizeof(info) - 1), BYTES_NONE,
				BYTES_ARRAY(plain), BYTES_ARRAY(ephemeral), sealed),
			OK);
		assert_int_equal(
			mail_open(&item, NETWORK, BYTES_ARRAY(private_key), &arena, &content, NULL),
			round == 0 ? OK : ERR_MALFORMED);
		if (round == 0)
			mail_content_release(&content);
	}
	buf_release(&packed);
}

static void addresses_travel_open(void **state)
{
	struct mail_addresses list = {.count = LIMIT_MAIL_ADDRESSES}, read;
	struct mail_content content;
	struct buf body, packed;
	struct mail_item item;

	for (size_t i = 0; i < list.count; i++)
		snprintf(list.text[i], sizeof(list.text[0]), "192.0.2.%zu:7483", i);
	buf_init(&body, 4096);
	assert_int_equal(mail_addresses_write(&body, &list), OK);
	struct mail_draft draft = notice(buf_bytes(&body));

	draft.kind = MAIL_ADDRESSES;
	draft.prekey = NULL;
	packed = written(&draft, haiti.node);
	item = item_of(&packed);
	assert_int_equal(item.prekey, 0);
	assert_int_equal(mail_open(&item, NETWORK, BYTES_NONE, &arena, &content, NULL), OK);
	assert_int_equal(mail_addresses_read(content.body, &arena, &read, NULL), OK);
	assert_int_equal(read.count, LIMIT_MAIL_ADDRESSES);
	assert_string_equal(read.text[7], "192.0.2.7:7483");
	mail_content_release(&content);
	/* One more than there may be. */
	list.count++;
	assert_int_equal(mail_addresses_write(&body, &list), ERR_LIMIT);
	buf_put(&body, bytes_str("\x0a\x01x"));
	assert_int_equal(mail_addresses_read(buf_bytes(&body), &arena, &read, NULL), ERR_LIMIT);
	buf_release(&body);
	buf_release(&packed);
}

static enum err read_end(const struct buf *packed, struct mail_end *ret)
{
	Sauti__MailEnd *end;

	TRY(CODEC_UNPACK(mail_end, buf_bytes(packed), &scan_limits_default, &arena, &end, NULL));
	return mail_end_read(codec_bytes(end->body), codec_bytes(end->signature), NETWORK,
		directory, &arena, ret, NULL);
}

static void an_end_is_the_recipients(void **state)
{
	struct mail_end end = {.item = {{1, 2}}, .sender = "haiti", .recipient = "hq", .at = 5},
			read;
	struct buf packed, forged;

	buf_init(&packed, 1024);
	buf_init(&forged, 1024);
	assert_int_equal(mail_end_write(&packed, NETWORK, &end, hq.node), OK);
	assert_int_equal(read_end(&packed, &read), OK);
	assert_true(hash_equal(&read.item, &end.item));
	assert_string_equal(read.recipient, "hq");
	assert_int_equal(mail_end_write(&forged, NETWORK, &end, haiti.node), OK);
	assert_int_equal(read_end(&forged, &read), ERR_UNTRUSTED);
	for (size_t bit = 0; bit < 8 * packed.size; bit++) {
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		arena_clear(&arena);
		assert_int_not_equal(read_end(&packed, &read), OK);
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	snprintf(end.recipient, sizeof(end.recipient), "chad");
	buf_clear(&forged);
	assert_int_equal(mail_end_write(&forged, NETWORK, &end, hq.node), OK);
	assert_int_equal(read_end(&forged, &read), ERR_NOTFOUND);
	snprintf(end.recipient, sizeof(end.recipient), "haiti");
	assert_int_equal(mail_end_write(&forged, NETWORK, &end, hq.node), ERR_INVALID);
	buf_release(&packed);
	buf_release(&forged);
}

/* What could not be opened ends with what mail is to be sealed to, under the same signature. */
static void an_end_brings_the_prekey(void **state)
{
	struct mail_end end = {.item = {{1, 2}},
		.sender = "haiti",
		.recipient = "hq",
		.outcome = MAIL_UNOPENABLE,
		.at = 5,
		.current = {.number = 7, .key = {{8, 9}}, .made_at = 10}};
	struct mail_end read;
	struct buf packed;

	buf_init(&packed, 1024);
	assert_int_equal(mail_end_write(&packed, NETWORK, &end, hq.node), OK);
	assert_int_equal(read_end(&packed, &read), OK);
	assert_int_equal(read.current.number, 7);
	assert_int_equal(read.current.made_at, 10);
	assert_memory_equal(read.current.key.b, end.current.key.b, X25519_KEY_SIZE);
	for (size_t bit = 0; bit < 8 * packed.size; bit++) {
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		arena_clear(&arena);
		assert_int_not_equal(read_end(&packed, &read), OK);
		packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* No other outcome has one, and a node without a prekey says nothing. */
	end.outcome = MAIL_PROCESSED;
	buf_clear(&packed);
	assert_int_equal(mail_end_write(&packed, NETWORK, &end, hq.node), OK);
	assert_int_equal(read_end(&packed, &read), OK);
	assert_int_equal(read.current.number, 0);
	end.outcome = MAIL_UNOPENABLE;
	end.current.number = 0;
	buf_clear(&packed);
	assert_int_equal(mail_end_write(&packed, NETWORK, &end, hq.node), OK);
	assert_int_equal(read_end(&packed, &read), OK);
	assert_int_equal(read.current.number, 0);
	buf_release(&packed);
}

static void a_prekey_is_its_nodes(void **state)
{
	struct prekey read;
	struct buf entry;
	struct record record;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(prekey_write(&entry, &prekey, haiti.node), OK);
	assert_true(prekey_looks_like(buf_bytes(&entry)));
	assert_int_equal(
		prekey_read(buf_bytes(&entry), &haiti.member.node, &arena, &read, NULL), OK);
	assert_int_equal(read.number, 3);
	assert_memory_equal(read.key.b, prekey.key.b, X25519_KEY_SIZE);
	assert_int_equal(prekey_read(buf_bytes(&entry), &hq.member.node, &arena, &read, NULL),
		ERR_UNTRUSTED);
	assert_int_equal(record_read(buf_bytes(&entry), &arena, &record, NULL), OK);
	assert_int_equal(record.type, 9);
	for (size_t bit = 0; bit < 8 * entry.size; bit++) {
		entry.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		arena_clear(&arena);
		assert_int_not_equal(
			prekey_read(buf_bytes(&entry), &haiti.member.node, &arena, &read, NULL),
			OK);
		entry.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < entry.size; size++)
		assert_int_not_equal(prekey_read(bytes_make(entry.data, size), &haiti.member.node,
					     &arena, &read, NULL),
			OK);
	buf_clear(&entry);
	assert_int_equal(
		prekey_write(&entry, &(struct prekey){.number = 0}, haiti.node), ERR_INVALID);
	/* Others are told apart by their first bytes. */
	struct log_opened opened = directory_opened();

	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	assert_false(prekey_looks_like(buf_bytes(&entry)));
	buf_release(&entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_item_is_opened_by_its_recipient),
		cmocka_unit_test(sealed_for_these_two_and_this_id),
		cmocka_unit_test(the_documented_info),
		cmocka_unit_test(lengths_are_rounded_up),
		cmocka_unit_test(a_changed_item_is_refused),
		cmocka_unit_test(only_members_and_only_their_own),
		cmocka_unit_test(what_cannot_be_written),
		cmocka_unit_test(bad_padding_is_malformed),
		cmocka_unit_test(addresses_travel_open),
		cmocka_unit_test(an_end_is_the_recipients),
		cmocka_unit_test(an_end_brings_the_prekey),
		cmocka_unit_test(a_prekey_is_its_nodes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
