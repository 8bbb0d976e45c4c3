/* The record of a batch of receipts: what everybody can check of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "certs/record_receipt.h"
#include "certs_test.h"

static struct arena arena;
static struct signer *node, *other;
static uint8_t items[(LIMIT_RECEIPTS_BATCH + 1) * LIMIT_RECEIPT_ITEM];

static int setup(void **state)
{
	int rc = crypto_setup(state);

	arena_init(&arena, LIMIT_ARENA_SIZE);
	node = signer_number(1);
	other = signer_number(2);
	for (size_t i = 0; i <= LIMIT_RECEIPTS_BATCH; i++) {
		memset(items + i * LIMIT_RECEIPT_ITEM, 0x55, LIMIT_RECEIPT_ITEM);
		items[i * LIMIT_RECEIPT_ITEM] = (uint8_t)i;
	}
	return rc;
}

static int teardown(void **state)
{
	arena_release(&arena);
	signer_free(node);
	signer_free(other);
	return crypto_teardown(state);
}

static struct bytes some(size_t count)
{
	return bytes_make(items, count * LIMIT_RECEIPT_ITEM);
}

static void is_read_as_written(void **state)
{
	static const size_t counts[] = {LIMIT_RECEIPTS_FEW, LIMIT_RECEIPTS_BATCH};

	for (size_t c = 0; c < 2; c++) {
		struct receipt_tags back;
		struct buf body, entry;

		buf_init(&body, LIMIT_ENTRY_SIZE);
		buf_init(&entry, LIMIT_ENTRY_SIZE);
		assert_int_equal(receipt_tags_body(&body, some(counts[c])), OK);
		assert_int_equal(receipt_tags_write(&entry, buf_bytes(&body), node), OK);
		assert_true(receipt_tags_looks_like(buf_bytes(&entry)));
		assert_int_equal(receipt_tags_read(buf_bytes(&entry), signer_public(node), &arena,
					 &back, NULL),
			OK);
		assert_true(bytes_equal(back.items, some(counts[c])));
		assert_true(bytes_equal(back.body, buf_bytes(&body)));
		assert_int_equal(receipt_tags_read(buf_bytes(&entry), signer_public(other), &arena,
					 &back, NULL),
			ERR_UNTRUSTED);
		for (size_t size = 0; size < entry.size; size++)
			assert_true(receipt_tags_read(bytes_make(entry.data, size),
					    signer_public(node), &arena, &back, NULL) != OK);
		buf_release(&body);
		buf_release(&entry);
	}
}

/* No number but 16 and 64, and none that is not sorted or has a tag twice: it would say something
 * of how many there are, or in which order they came. */
static void refuses_another_shape(void **state)
{
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	for (size_t count = 0; count <= LIMIT_RECEIPTS_BATCH + 1; count++)
		if (count != LIMIT_RECEIPTS_FEW && count != LIMIT_RECEIPTS_BATCH)
			assert_int_equal(receipt_tags_body(&body, some(count)), ERR_INVALID);
	assert_int_equal(
		receipt_tags_body(&body, bytes_make(items, some(16).size + 1)), ERR_INVALID);
	items[3 * LIMIT_RECEIPT_ITEM] = 2; /* as the one before */
	assert_int_equal(receipt_tags_body(&body, some(16)), ERR_INVALID);
	items[3 * LIMIT_RECEIPT_ITEM + 31]++;
	assert_int_equal(receipt_tags_body(&body, some(16)), OK);
	items[3 * LIMIT_RECEIPT_ITEM] = 1; /* below it */
	assert_int_equal(receipt_tags_body(&body, some(16)), ERR_INVALID);
	items[3 * LIMIT_RECEIPT_ITEM] = 3;
	items[3 * LIMIT_RECEIPT_ITEM + 31]--;
	buf_release(&body);
}

/* A dishonest office signs what it likes: the reader does not take it. */
static void reads_no_other_shape(void **state)
{
	Sauti__ReceiptTags message = SAUTI__RECEIPT_TAGS__INIT;
	struct receipt_tags back;
	struct errctx ctx = {""};
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	message.items = codec_binary(some(15));
	codec_pack(&body, &message);
	assert_int_equal(receipt_tags_write(&entry, buf_bytes(&body), node), OK);
	assert_int_equal(
		receipt_tags_read(buf_bytes(&entry), NULL, &arena, &back, &ctx), ERR_MALFORMED);
	assert_string_equal(ctx.text, "ReceiptTags: not 16 or 64 items, each above the one before");
	buf_release(&body);
	buf_release(&entry);
}

static void other_records_are_none(void **state)
{
	struct prekey prekey = {.number = 1, .made_at = 2};
	struct receipt_tags back;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(prekey_write(&entry, &prekey, node), OK);
	assert_false(receipt_tags_looks_like(buf_bytes(&entry)));
	assert_int_equal(
		receipt_tags_read(buf_bytes(&entry), NULL, &arena, &back, NULL), ERR_NOTFOUND);
	assert_false(receipt_tags_looks_like(BYTES_NONE));
	buf_release(&entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_read_as_written),
		cmocka_unit_test(refuses_another_shape),
		cmocka_unit_test(reads_no_other_shape),
		cmocka_unit_test(other_records_are_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
