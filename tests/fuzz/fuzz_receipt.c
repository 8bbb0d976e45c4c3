/*
 * fuzz_receipt: what other offices sign, what stands in a keyring, what people type. The first byte
 * chooses: 0 a batch's record   1 a row   2 the row of the clock   3 six words   4 an item, opened
 * with keys that fit its tag and commitment
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "cases/receipt/receipt_row.h"
#include "certs/record_receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void batch(struct bytes in, struct arena *arena)
{
	struct receipt_tags tags;
	struct receipt_item item;
	struct buf body;
	size_t count;

	if (receipt_tags_read(in, NULL, arena, &tags, NULL) != OK)
		return;
	count = receipt_batch_count(tags.items);
	assert(count == LIMIT_RECEIPTS_FEW || count == LIMIT_RECEIPTS_BATCH);
	for (size_t i = 0; i < count; i++) {
		receipt_batch_at(tags.items, i, &item);
		assert(receipt_batch_find(tags.items, item.b) == i);
	}
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert(receipt_tags_body(&body, tags.items) == OK);
	buf_release(&body);
}

/* What is read is what is written. */
static void row(struct bytes in, struct arena *arena)
{
	struct receipt_row row;
	struct buf again;

	(void)arena;
	if (receipt_row_read(in, &row) != OK)
		return;
	buf_init(&again, ROW_PLAIN_MAX);
	receipt_row_write(&row, &again);
	assert(again.err == OK && bytes_equal(buf_bytes(&again), in));
	buf_release(&again);
}

static void clock_row(struct bytes in, struct arena *arena)
{
	struct receipt_clock_row row;
	struct buf again;
	bool changed;

	(void)arena;
	if (receipt_clock_read(in, &row) != OK)
		return;
	buf_init(&again, ROW_PLAIN_MAX);
	receipt_clock_write(&row, &again);
	assert(again.err == OK && bytes_equal(buf_bytes(&again), in));
	(void)receipt_clock_due(&row.clock, 1790000000, &changed);
	buf_release(&again);
}

static void words(struct bytes in, struct arena *arena)
{
	struct receipt_words words, again;
	char text[RECEIPT_TEXT_MAX];
	struct errctx ctx = {""};

	(void)arena;
	if (receipt_words_parse(in, &words, &ctx) != OK)
		return;
	receipt_words_text(&words, text);
	assert(receipt_words_parse(bytes_str(text), &again, &ctx) == OK);
	assert(memcmp(&words, &again, sizeof(words)) == 0);
}

static void item(struct bytes in, struct arena *arena)
{
	struct receipt_keys keys = {.box = {.key = {1}, .nonce = {2}}};
	struct receipt_item item;
	struct receipt_box box;

	(void)arena;
	if (in.size < RECEIPT_ITEM_SIZE)
		return;
	memcpy(item.b, in.data, sizeof(item.b));
	memcpy(keys.tag, item.b, sizeof(keys.tag));
	memcpy(keys.commitment, item.b + RECEIPT_TAG_SIZE, sizeof(keys.commitment));
	assert(receipt_item_open(&keys, &item, &box) == ERR_DECRYPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(struct bytes in, struct arena * arena) = {
		batch, row, clock_row, words, item};
	static bool ready;
	struct arena arena;

	if (!ready) {
		assert(crypto_init() == OK);
		ready = true;
	}
	if (size == 0)
		return 0;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	targets[data[0] % (sizeof(targets) / sizeof(*targets))](
		bytes_make(data + 1, size - 1), &arena);
	arena_release(&arena);
	return 0;
}
