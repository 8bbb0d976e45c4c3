/* Receipts: words, what they derive, items, batches that say nothing, and when they are due. */
#include "cases_test.h"

#include "cases/receipt/receipt_row.h"

#define NETWORK "ovra.example"

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	random_set(NULL, NULL);
	crypto_release();
	return 0;
}

/* ---- words ---- */

/* Bytes that count: 0, 1, 2.. */
static enum err counting(void *arg, uint8_t *ret, size_t size)
{
	unsigned *next = arg;

	for (size_t i = 0; i < size; i++)
		ret[i] = (uint8_t)(*next)++;
	return OK;
}

/* The same bytes in every run. */
static enum err drawn(void *arg, uint8_t *ret, size_t size)
{
	uint64_t *seed = arg;

	for (size_t i = 0; i < size; i++) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		ret[i] = (uint8_t)(*seed >> 24);
	}
	return OK;
}

static enum err no_random(void *arg, uint8_t *ret, size_t size)
{
	return ERR_CRYPTO;
}

/* 16 bits for each word, of which the lowest 11 count: all 65,536 values make each word 32 times.
 */
static enum err one_value(void *arg, uint8_t *ret, size_t size)
{
	const unsigned *value = arg;

	for (size_t i = 0; i + 1 < size; i += 2)
		put_u16be(ret + i, (uint16_t)*value);
	return OK;
}

static void every_word_is_as_likely(void **state)
{
	static unsigned seen[WORDS_LIST];
	struct receipt_words words;
	unsigned value;

	random_set(one_value, &value);
	for (value = 0; value < 65536; value++) {
		assert_ok(receipt_words_draw(&words));
		for (size_t i = 1; i < RECEIPT_WORDS; i++)
			assert_int_equal(words.number[i], words.number[0]);
		seen[words.number[0]]++;
	}
	for (size_t i = 0; i < WORDS_LIST; i++)
		assert_int_equal(seen[i], 32);
	random_set(no_random, NULL);
	assert_int_equal(receipt_words_draw(&words), ERR_CRYPTO);
	random_set(NULL, NULL);
}

static void words_are_read_as_written(void **state)
{
	struct receipt_words words = {{0, 1, 2047, 1024, 77, 2000}}, again;
	char text[RECEIPT_TEXT_MAX];

	receipt_words_text(&words, text);
	assert_ok(receipt_words_parse(bytes_str(text), &again, NULL));
	assert_memory_equal(&again, &words, sizeof words);
	/* As people type them. */
	assert_ok(receipt_words_parse(
		bytes_str("  ABANDON\tabil\nzoo\r\n lend beac weasel "), &again, NULL));
	assert_int_equal(again.number[1], 1);
	/* The longest there are. */
	for (size_t i = 0, longest = 0; i < WORDS_LIST; i++)
		if (strlen(words_at(i)) > longest) {
			longest = strlen(words_at(i));
			for (size_t n = 0; n < RECEIPT_WORDS; n++)
				words.number[n] = (uint16_t)i;
		}
	receipt_words_text(&words, text);
	assert_int_equal(strlen(text), RECEIPT_TEXT_MAX - 1);
}

/* What is typed may be six words but for one: no error repeats any. */
static void errors_tell_no_word(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"", "fewer than 6 words"},
		{"zoo zoo zoo zoo zoo", "fewer than 6 words"},
		{"zoo zoo zoo zoo zoo zoo zoo", "more than 6 words"},
		{"zoo secretword zoo zoo zoo zoo", "word 2 is none of the list"},
		{"zoo zoo zoo zoo zoo zo", "word 6 is none of the list"},
		{"zoo-zoo zoo zoo zoo zoo zoo", "word 1 is none of the list"},
	};
	struct receipt_words words;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct errctx ctx = {""};

		assert_int_equal(
			receipt_words_parse(bytes_str(wrong[i].text), &words, &ctx), ERR_MALFORMED);
		assert_string_equal(ctx.text, wrong[i].says);
	}
}

/* ---- keys and items ---- */

static const struct receipt_words some = {{17, 1999, 3, 512, 1, 2047}};
static struct receipt_keys keys; /* of `some`; scrypt takes its time */

static struct receipt_box a_box(void)
{
	struct receipt_box box = {.index = 41};

	memset(box.origin.b, 7, HASH_SIZE);
	memset(box.leaf.b, 9, HASH_SIZE);
	return box;
}

static void all_six_words_and_the_network_count(void **state)
{
	struct receipt_words other = some;
	char long_name[LIMIT_NETWORK_NAME + 2];
	struct receipt_keys k;

	assert_ok(receipt_keys_derive(&some, NETWORK, &keys));
	other.number[5]--;
	assert_ok(receipt_keys_derive(&other, NETWORK, &k));
	assert_memory_not_equal(k.tag, keys.tag, sizeof k.tag);
	assert_ok(receipt_keys_derive(&some, "ovra.exampl", &k));
	assert_memory_not_equal(k.tag, keys.tag, sizeof k.tag);
	/* Nothing of it is another part of it. */
	assert_memory_not_equal(keys.tag, keys.commitment, sizeof keys.tag);
	assert_memory_not_equal(keys.tag, keys.box.key, sizeof keys.tag);
	memset(long_name, 'x', sizeof long_name);
	long_name[LIMIT_NETWORK_NAME + 1] = '\0';
	assert_int_equal(receipt_keys_derive(&some, long_name, &k), ERR_LIMIT);
	long_name[LIMIT_NETWORK_NAME] = '\0';
	assert_ok(receipt_keys_derive(&some, long_name, &k));
}

static void an_item_opens_with_its_words_alone(void **state)
{
	struct receipt_box box = a_box(), back;
	struct receipt_keys other = keys;
	struct receipt_item item;

	assert_ok(receipt_item_make(&keys, &box, &item));
	assert_ok(receipt_item_open(&keys, &item, &back));
	assert_memory_equal(back.origin.b, box.origin.b, HASH_SIZE);
	assert_memory_equal(back.leaf.b, box.leaf.b, HASH_SIZE);
	assert_int_equal(back.index, 41);
	other.tag[0] ^= 1;
	assert_int_equal(receipt_item_open(&other, &item, &back), ERR_NOTFOUND);
	/* Every bit of it counts; the commitment before anything is opened. */
	for (size_t at = 0; at < sizeof item.b; at++) {
		struct receipt_item changed = item;

		changed.b[at] ^= 0x80;
		assert_int_equal(receipt_item_open(&keys, &changed, &back),
			at < RECEIPT_TAG_SIZE ? ERR_NOTFOUND : ERR_DECRYPT);
	}
}

/* ---- batches ---- */

static bool sorted(struct bytes batch)
{
	for (size_t i = 1; i < receipt_batch_count(batch); i++)
		if (memcmp(batch.data + (i - 1) * RECEIPT_ITEM_SIZE,
			    batch.data + i * RECEIPT_ITEM_SIZE, RECEIPT_TAG_SIZE) >= 0)
			return false;
	return true;
}

static struct receipt_item items[LIMIT_RECEIPTS_BATCH + 2];

static void items_make(void)
{
	struct receipt_box box = a_box();
	struct receipt_keys k = keys;

	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		assert_ok(random_bytes(k.tag, sizeof k.tag)); /* as if of other words */
		assert_ok(receipt_item_make(&k, &box, &items[i]));
	}
}

static void a_batch_says_nothing_of_how_many(void **state)
{
	static const struct {
		size_t waiting, items, taken;
	} cases[] = {{0, 16, 0}, {1, 16, 1}, {15, 16, 15}, {16, 16, 16}, {17, 64, 17}, {63, 64, 63},
		{64, 64, 64}, {65, 64, 64}};
	struct buf batch;

	items_make();
	buf_init(&batch, LIMIT_RECEIPTS_BATCH * RECEIPT_ITEM_SIZE);
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		size_t taken = 99;

		buf_clear(&batch);
		assert_ok(receipt_batch_make(items, cases[c].waiting, &batch, &taken));
		assert_int_equal(taken, cases[c].taken);
		assert_int_equal(receipt_batch_count(buf_bytes(&batch)), cases[c].items);
		assert_int_equal(batch.size, cases[c].items * RECEIPT_ITEM_SIZE);
		assert_true(sorted(buf_bytes(&batch)));
		for (size_t i = 0; i < taken; i++) {
			size_t at = receipt_batch_find(buf_bytes(&batch), items[i].b);
			struct receipt_item found;

			assert_true(at != SIZE_MAX);
			receipt_batch_at(buf_bytes(&batch), at, &found);
			assert_memory_equal(found.b, items[i].b, sizeof found.b);
		}
		if (taken < sizeof items / sizeof *items)
			assert_true(
				receipt_batch_find(buf_bytes(&batch), items[taken].b) == SIZE_MAX);
	}
	buf_release(&batch);
}

/* Ones among the bits at each place of an item, over many batches of nothing and of 16: a real item
 * and a dummy look the same. A counter that would show a fixed byte, not a test of randomness. */
static void items_and_dummies_look_the_same(void **state)
{
	enum { BATCHES = 60 };
	unsigned ones[2][RECEIPT_ITEM_SIZE] = {{0}};
	struct receipt_box box = a_box();
	struct receipt_keys k = keys;
	uint64_t seed = 88172645463325252;
	struct buf batch;
	size_t taken;

	buf_init(&batch, LIMIT_RECEIPTS_BATCH * RECEIPT_ITEM_SIZE);
	random_set(drawn, &seed);
	for (unsigned n = 0; n < 2 * BATCHES; n++) {
		for (size_t i = 0; i < 16; i++) { /* keys as other words would have them */
			assert_ok(random_bytes(k.tag, sizeof k.tag));
			assert_ok(random_bytes(k.commitment, sizeof k.commitment));
			assert_ok(random_bytes(k.box.key, sizeof k.box.key));
			assert_ok(receipt_item_make(&k, &box, &items[i]));
		}
		buf_clear(&batch);
		assert_ok(receipt_batch_make(items, n % 2 == 0 ? 0 : 16, &batch, &taken));
		assert_int_equal(batch.size, 16 * RECEIPT_ITEM_SIZE);
		for (size_t i = 0; i < batch.size; i++)
			ones[n % 2][i % RECEIPT_ITEM_SIZE] +=
				(unsigned)__builtin_popcount(batch.data[i]);
	}
	random_set(NULL, NULL);
	/* 60 * 16 * 8 bits each: the mean is 3840, six deviations are 263. */
	for (size_t at = 0; at < RECEIPT_ITEM_SIZE; at++)
		for (size_t kind = 0; kind < 2; kind++)
			assert_in_range(ones[kind][at], 3840 - 263, 3840 + 263);
	buf_release(&batch);
}

static void a_batch_that_cannot_be(void **state)
{
	struct receipt_item twice[2];
	struct buf batch;
	size_t taken = 7;

	buf_init(&batch, LIMIT_RECEIPTS_BATCH * RECEIPT_ITEM_SIZE);
	twice[0] = twice[1] = items[0];
	twice[1].b[RECEIPT_TAG_SIZE] ^= 1;
	assert_int_equal(receipt_batch_make(twice, 2, &batch, &taken), ERR_INVALID);
	random_set(no_random, NULL);
	assert_int_equal(receipt_batch_make(items, 3, &batch, &taken), ERR_CRYPTO);
	random_set(NULL, NULL);
	assert_int_equal(batch.size, 0);
	assert_int_equal(taken, 7);
	buf_release(&batch);
}

/* ---- when ---- */

enum { HOUR = 3600, DAY = 24 * HOUR };
#define START UINT64_C(1790000000)

static bool due(struct receipt_clock *clock, uint64_t now)
{
	bool changed;

	return receipt_clock_due(clock, now, &changed);
}

static void the_first_comes_a_day_after_the_log(void **state)
{
	struct receipt_clock clock = {0};

	receipt_clock_start(&clock, START, false, 1800);
	assert_int_equal(clock.delay_s, 1800);
	assert_false(due(&clock, START));
	assert_false(due(&clock, START + DAY + 1799));
	assert_true(due(&clock, START + DAY + 1800));
	receipt_clock_start(&clock, START, false, UINT32_MAX);
	assert_true(clock.delay_s <= RECEIPT_DELAY_S);
}

/* Whatever the clock does, hour by hour: no two within 20 hours of what it said. */
static void a_clock_that_jumps(void **state)
{
	uint64_t written[4096], now, seed = 1;
	size_t count = 0;

	for (unsigned world = 0; world < 200; world++) {
		struct receipt_clock clock = {0};

		count = 0;
		now = START;
		receipt_clock_start(&clock, now, false, 0);
		for (unsigned step = 0; step < 3000; step++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			now += HOUR;
			if ((seed >> 33) % 40 == 0)
				now += (seed >> 40) % 90 * HOUR;
			else if ((seed >> 33) % 40 == 1)
				now -= (seed >> 40) % 90 * HOUR;
			if (!due(&clock, now))
				continue;
			if (count > 0)
				assert_true((now > written[count - 1] ? now - written[count - 1]
								      : written[count - 1] - now) >=
					    RECEIPT_APART_S);
			assert_true(now >= clock.furthest_s ||
				    clock.furthest_s - now >= RECEIPT_APART_S);
			assert_true(count < 4096);
			written[count++] = now;
			receipt_clock_start(&clock, now, true, (uint32_t)seed);
		}
		assert_true(count > 20); /* and it goes on */
	}
}

static void far_ahead_and_back(void **state)
{
	struct receipt_clock clock = {0};
	bool changed;

	receipt_clock_start(&clock, START, false, 0);
	assert_true(due(&clock, START + 400 * (uint64_t)DAY));
	receipt_clock_start(&clock, START + 400 * (uint64_t)DAY, true, 0);
	/* Put right: nobody waits for 400 days. */
	assert_false(receipt_clock_due(&clock, START + DAY, &changed));
	assert_true(changed);
	assert_false(receipt_clock_due(&clock, START + 2 * DAY - 1, &changed));
	assert_false(changed);
	assert_true(due(&clock, START + 2 * DAY));
	receipt_clock_start(&clock, START + 2 * DAY, true, 0);
	/* The day that had one in advance has no second one. */
	receipt_clock_start(&clock, START + 399 * (uint64_t)DAY, true, 0);
	assert_int_equal(clock.furthest_s, START + 400 * (uint64_t)DAY);
	assert_false(due(&clock, START + 400 * (uint64_t)DAY));
	assert_false(due(&clock, START + 400 * (uint64_t)DAY + 20 * HOUR - 1));
	assert_true(due(&clock, START + 400 * (uint64_t)DAY + 20 * HOUR));
}

/* ---- rows ---- */

static struct receipt_row a_row(enum receipt_state state)
{
	struct receipt_row row = {.state = state, .made_s = 8, .index = 9};

	memset(row.event.b, 5, sizeof row.event.b);
	memset(row.item.b, 6, sizeof row.item.b);
	strcpy(row.origin, NETWORK "/haiti/1-0123456789abcdef");
	return row;
}

static void rows_are_read_as_written(void **state)
{
	for (int s = RECEIPT_WAITING; s <= RECEIPT_CONFIRMED; s++) {
		struct receipt_row row = a_row((enum receipt_state)s), back;
		struct buf plain;

		buf_init(&plain, ROW_PLAIN_MAX);
		receipt_row_write(&row, &plain);
		assert_ok(plain.err);
		assert_ok(receipt_row_read(buf_bytes(&plain), &back));
		assert_int_equal(back.state, s);
		assert_memory_equal(back.event.b, row.event.b, sizeof row.event.b);
		if (s == RECEIPT_CONFIRMED) {
			/* Which item it was, when, and where, is not in it. */
			assert_int_equal(plain.size, 2 + 16 + 8);
			assert_int_equal(back.made_s, 0);
		} else {
			assert_memory_equal(back.item.b, row.item.b, sizeof row.item.b);
			assert_int_equal(back.made_s, 8);
		}
		if (s == RECEIPT_LOGGED) {
			assert_string_equal(back.origin, row.origin);
			assert_int_equal(back.index, 9);
		}
		for (size_t size = 0; size < plain.size; size++)
			assert_int_equal(
				receipt_row_read(bytes_make(plain.data, size), &back), ERR_CORRUPT);
		buf_put_u8(&plain, 0);
		assert_int_equal(receipt_row_read(buf_bytes(&plain), &back), ERR_CORRUPT);
		plain.size--;
		plain.data[1] = 4;
		assert_int_equal(receipt_row_read(buf_bytes(&plain), &back), ERR_CORRUPT);
		plain.data[1] = 0;
		assert_int_equal(receipt_row_read(buf_bytes(&plain), &back), ERR_CORRUPT);
		buf_release(&plain);
	}
}

static void the_clock_is_read_as_written(void **state)
{
	for (int writing = 0; writing < 2; writing++) {
		struct receipt_clock_row row = {.clock = {1, 2, 3, 4}, .writing = writing == 1},
					 back;
		struct buf plain;

		strcpy(row.origin, NETWORK "/haiti/1-0123456789abcdef");
		row.size_before = 77;
		memset(row.body.b, 3, HASH_SIZE);
		buf_init(&plain, ROW_PLAIN_MAX);
		receipt_clock_write(&row, &plain);
		assert_ok(receipt_clock_read(buf_bytes(&plain), &back));
		assert_memory_equal(&back.clock, &row.clock, sizeof row.clock);
		assert_string_equal(back.origin, row.origin);
		assert_int_equal(back.writing, writing == 1);
		assert_int_equal(back.size_before, writing == 1 ? 77 : 0);
		for (size_t size = 0; size < plain.size; size++)
			assert_int_equal(receipt_clock_read(bytes_make(plain.data, size), &back),
				ERR_CORRUPT);
		plain.data[1] = RECEIPT_WAITING;
		assert_int_equal(receipt_clock_read(buf_bytes(&plain), &back), ERR_CORRUPT);
		buf_release(&plain);
	}
}

static void each_has_a_name_of_its_own(void **state)
{
	struct event_id a = {{1}}, b = {{2}};
	struct row_name x, y, z;

	receipt_row_name(&a, &x);
	receipt_row_name(&b, &y);
	receipt_clock_name(&z);
	assert_memory_not_equal(x.b, y.b, sizeof x.b);
	assert_memory_not_equal(x.b, z.b, sizeof x.b);
}

static void draws_what_it_is_given(void **state)
{
	struct receipt_words words;
	unsigned next = 0;

	random_set(counting, &next);
	assert_ok(receipt_words_draw(&words));
	random_set(NULL, NULL);
	for (unsigned i = 0; i < RECEIPT_WORDS; i++)
		assert_int_equal(words.number[i], (2 * i * 256 + 2 * i + 1) % WORDS_LIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_is_as_likely),
		cmocka_unit_test(draws_what_it_is_given),
		cmocka_unit_test(words_are_read_as_written),
		cmocka_unit_test(errors_tell_no_word),
		cmocka_unit_test(all_six_words_and_the_network_count),
		cmocka_unit_test(an_item_opens_with_its_words_alone),
		cmocka_unit_test(a_batch_says_nothing_of_how_many),
		cmocka_unit_test(items_and_dummies_look_the_same),
		cmocka_unit_test(a_batch_that_cannot_be),
		cmocka_unit_test(the_first_comes_a_day_after_the_log),
		cmocka_unit_test(a_clock_that_jumps),
		cmocka_unit_test(far_ahead_and_back),
		cmocka_unit_test(rows_are_read_as_written),
		cmocka_unit_test(the_clock_is_read_as_written),
		cmocka_unit_test(each_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
