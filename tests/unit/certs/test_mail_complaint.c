/* A complaint as mail: sealed to the complaint key, and not to be taken for anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hpke.h"
#include "certs/mail.h"
#include "certs_test.h"

static const uint8_t private_key[32] = {1, 2, 3}, other_key[32] = {4, 5, 6}, seed[32] = {7};
static struct prekey sealed_to = {.number = 3};
static struct signer *signer;
static struct arena arena;

static int setup(void **state)
{
	crypto_setup(state);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(x25519_public(BYTES_ARRAY(private_key), &sealed_to.key), OK);
	assert_int_equal(signer_new(BYTES_ARRAY(seed), &signer), OK);
	return 0;
}

static int teardown(void **state)
{
	signer_free(signer);
	arena_release(&arena);
	return crypto_teardown(state);
}

static struct mail_complaint complaint_make(size_t keys)
{
	struct mail_complaint complaint = {.case_ref = {0xaa, 0xbb}, .key_count = keys};

	snprintf(complaint.origin, sizeof(complaint.origin), NETWORK "/haiti/1-00112233445566aa");
	for (size_t i = 0; i < keys && i < MAIL_COMPLAINT_KEYS; i++) {
		uint8_t k[MAIL_KEY_SIZE] = {(uint8_t)(0x40 + i), 0x5e, 0x5e};

		complaint.keys[i].group = i == 0 ? 2 : 10;
		complaint.keys[i].kid[0] = (uint8_t)i;
		assert_int_equal(secret_copy(&complaint.keys[i].key, BYTES_ARRAY(k)), OK);
	}
	return complaint;
}

static struct buf content_make(const struct mail_complaint *complaint)
{
	struct buf content;

	buf_init(&content, 1024);
	assert_int_equal(mail_complaint_write(&content, complaint), OK);
	return content;
}

static struct buf mail_make(enum mail_kind kind, struct bytes content)
{
	static const uint8_t ephemeral[32] = {9};
	struct mail_draft draft = {
		.network = NETWORK,
		.sender = "haiti",
		.recipient = "hq",
		.id = {1},
		.kind = kind,
		.content = content,
		.prekey = &sealed_to,
		.ephemeral = BYTES_ARRAY(ephemeral),
	};
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	assert_int_equal(mail_write(&packed, &draft, signer), OK);
	return packed;
}

static struct mail_item item_of(const struct buf *packed)
{
	struct mail_item item;

	assert_int_equal(mail_unpack(buf_bytes(packed), NETWORK, &arena, &item, NULL), OK);
	return item;
}

static void there_and_back(void **state)
{
	struct mail_complaint complaint = complaint_make(2), read;
	struct buf content = content_make(&complaint);
	struct buf packed = mail_make(MAIL_COMPLAINT, buf_bytes(&content));
	struct mail_item item = item_of(&packed);
	struct mail_content opened;

	assert_null(memmem(packed.data, packed.size, "\x40\x5e\x5e", 3));
	assert_int_equal(mail_open_complaint(
				 &item, NETWORK, BYTES_ARRAY(private_key), &arena, &opened, NULL),
		OK);
	assert_int_equal(opened.kind, MAIL_COMPLAINT);
	assert_int_equal(mail_complaint_read(opened.body, &arena, &read, NULL), OK);
	assert_int_equal(read.key_count, 2);
	assert_memory_equal(read.case_ref, complaint.case_ref, sizeof(read.case_ref));
	assert_string_equal(read.origin, complaint.origin);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read.keys[i].group, complaint.keys[i].group);
		assert_memory_equal(read.keys[i].kid, complaint.keys[i].kid, MAIL_KID_SIZE);
		assert_memory_equal(
			read.keys[i].key.data, complaint.keys[i].key.data, MAIL_KEY_SIZE);
	}
	mail_complaint_release(&read);
	mail_complaint_release(&complaint);
	mail_complaint_release(NULL);
	mail_content_release(&opened);
	buf_wipe(&content);
	buf_release(&packed);
}

/* One key for both: the label alone tells them apart. */
static void neither_is_taken_for_the_other(void **state)
{
	struct mail_complaint complaint = complaint_make(1);
	struct buf content = content_make(&complaint);
	struct buf as_complaint = mail_make(MAIL_COMPLAINT, buf_bytes(&content));
	struct buf as_notice = mail_make(MAIL_NOTICE, buf_bytes(&content));
	struct mail_item item = item_of(&as_complaint), other;
	struct mail_content opened;
	struct bytes key = BYTES_ARRAY(private_key);

	assert_int_equal(mail_open(&item, NETWORK, key, &arena, &opened, NULL), ERR_DECRYPT);
	assert_int_equal(
		mail_open_complaint(&item, NETWORK, BYTES_ARRAY(other_key), &arena, &opened, NULL),
		ERR_DECRYPT);
	/* for these two and this id */
	other = item;
	other.id[3] ^= 1;
	assert_int_equal(
		mail_open_complaint(&other, NETWORK, key, &arena, &opened, NULL), ERR_DECRYPT);
	other = item;
	memcpy(other.sender, "chad", 5);
	assert_int_equal(
		mail_open_complaint(&other, NETWORK, key, &arena, &opened, NULL), ERR_DECRYPT);
	other = item_of(&as_notice);
	assert_int_equal(
		mail_open_complaint(&other, NETWORK, key, &arena, &opened, NULL), ERR_DECRYPT);
	/* From outside they are alike, but for what is random. */
	assert_int_equal(as_complaint.size, as_notice.size);
	assert_int_equal(item.prekey, other.prekey);
	assert_int_equal(item.class, other.class);
	assert_int_equal(item.content.size, other.content.size);
	mail_complaint_release(&complaint);
	buf_wipe(&content);
	buf_release(&as_complaint);
	buf_release(&as_notice);
}

/* Sealed as a complaint by hand, and saying it is a notice; or open. */
static void other_kinds_do_not_come_this_way(void **state)
{
	struct mail_complaint complaint = complaint_make(1);
	struct buf content = content_make(&complaint);
	struct buf packed = mail_make(MAIL_COMPLAINT, buf_bytes(&content)), info;
	struct mail_item item = item_of(&packed);
	static const uint8_t plain[256] = {0, 0, 0, 5, 0x08, 0x01, 0x12, 0x01, 'x'};
	static const uint8_t ephemeral[32] = {9};
	uint8_t sealed[sizeof(plain) + HPKE_OVERHEAD];
	struct mail_content opened;

	buf_init(&info, 512);
	buf_put_str(&info, "sauti/1 complaint mail");
	buf_put_lv16(&info, bytes_str(NETWORK));
	buf_put_lv16(&info, bytes_str("haiti"));
	buf_put_lv16(&info, bytes_str("hq"));
	buf_put_lv16(&info, BYTES_ARRAY(item.id));
	assert_int_equal(hpke_seal(&sealed_to.key, buf_bytes(&info), BYTES_NONE, BYTES_ARRAY(plain),
				 BYTES_ARRAY(ephemeral), sealed),
		OK);
	item.content = BYTES_ARRAY(sealed);
	assert_int_equal(mail_open_complaint(
				 &item, NETWORK, BYTES_ARRAY(private_key), &arena, &opened, NULL),
		ERR_MALFORMED);
	item.prekey = 0;
	assert_int_equal(mail_open_complaint(
				 &item, NETWORK, BYTES_ARRAY(private_key), &arena, &opened, NULL),
		ERR_MALFORMED);
	struct mail_draft open = {.network = NETWORK,
		.sender = "haiti",
		.recipient = "hq",
		.kind = MAIL_COMPLAINT,
		.content = buf_bytes(&content)};

	buf_clear(&packed);
	assert_int_equal(mail_write(&packed, &open, signer), ERR_INVALID);
	mail_complaint_release(&complaint);
	buf_wipe(&content);
	buf_release(&info);
	buf_release(&packed);
}

static void form_is_checked(void **state)
{
	struct mail_complaint complaint = complaint_make(MAIL_COMPLAINT_KEYS), read;
	struct buf content = content_make(&complaint), cut;
	size_t whole = 0;

	/* at the cap it is written; past it, and empty, not */
	complaint.key_count = MAIL_COMPLAINT_KEYS + 1;
	buf_init(&cut, 1024);
	assert_int_equal(mail_complaint_write(&cut, &complaint), ERR_INVALID);
	complaint.key_count = 0;
	assert_int_equal(mail_complaint_write(&cut, &complaint), ERR_INVALID);
	complaint.key_count = 2;
	secret_release(&complaint.keys[1].key);
	assert_int_equal(secret_init(&complaint.keys[1].key, 31), OK);
	assert_int_equal(mail_complaint_write(&cut, &complaint), ERR_INVALID);
	/* Of all beginnings one is whole: that with the first key alone. */
	for (size_t size = 0; size < content.size; size++)
		if (mail_complaint_read(bytes_make(content.data, size), &arena, &read, NULL) ==
			OK) {
			whole++;
			assert_int_equal(read.key_count, 1);
			mail_complaint_release(&read);
		}
	assert_int_equal(whole, 1);
	/* a third key: the second once more */
	for (size_t at = content.size - 60; at > 0; at--)
		if (content.data[at] == 0x1a) {
			buf_put(&cut, buf_bytes(&content));
			buf_put(&cut, bytes_make(content.data + at, content.size - at));
			break;
		}
	assert_true(cut.size > content.size);
	assert_int_equal(mail_complaint_read(buf_bytes(&cut), &arena, &read, NULL), ERR_MALFORMED);
	mail_complaint_release(&complaint);
	buf_wipe(&content);
	buf_release(&cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(neither_is_taken_for_the_other),
		cmocka_unit_test(other_kinds_do_not_come_this_way),
		cmocka_unit_test(form_is_checked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
