#include "cases_test.h"

#include "cases/keys/trust.h"
#include "tests/unit/base/failing_alloc.h"

static struct trust_row row_of(const char *node, uint8_t byte)
{
	struct trust_row row = {.officer = "marie", .confirmed_at = 1790000000};

	snprintf(row.node, sizeof(row.node), "%s", node);
	memset(row.key.b, byte, sizeof(row.key.b));
	return row;
}

/* Nothing is confirmed until it is, and then that key under that name. */
static void only_what_was_confirmed(void **state)
{
	struct trust_row haiti = row_of("haiti", 1), peru = row_of("peru", 2);
	struct errctx ctx = {""};
	struct trust trust;

	trust_init(&trust);
	assert_false(trust_confirmed(&trust, "haiti", &haiti.key));
	assert_int_equal(trust_check(&trust, "haiti", &haiti.key, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "sauti node confirm haiti"));
	assert_null(strstr(ctx.text, "another key"));

	assert_ok(trust_put(&trust, &peru));
	assert_ok(trust_put(&trust, &haiti));
	assert_true(trust_confirmed(&trust, "haiti", &haiti.key));
	assert_ok(trust_check(&trust, "haiti", &haiti.key, &ctx));
	/* The key of one under the name of another, and the other way round. */
	assert_false(trust_confirmed(&trust, "haiti", &peru.key));
	assert_false(trust_confirmed(&trust, "peru", &haiti.key));
	assert_false(trust_confirmed(&trust, "hait", &haiti.key));
	trust_release(&trust);
}

/* Another key: not confirmed, and it is said that it is another; confirming it ends the first. */
static void bound_to_the_key(void **state)
{
	struct trust_row old = row_of("haiti", 1), new = row_of("haiti", 2);
	struct errctx ctx = {""};
	struct trust trust;

	trust_init(&trust);
	assert_ok(trust_put(&trust, &old));
	assert_int_equal(trust_check(&trust, "haiti", &new.key, &ctx), ERR_UNTRUSTED);
	assert_non_null(strstr(ctx.text, "another key"));
	assert_ok(trust_put(&trust, &new));
	assert_int_equal(trust.count, 1);
	assert_true(trust_confirmed(&trust, "haiti", &new.key));
	assert_false(trust_confirmed(&trust, "haiti", &old.key));
	trust_remove(&trust, "haiti");
	assert_false(trust_confirmed(&trust, "haiti", &new.key));
	trust_remove(&trust, "haiti");
	trust_release(&trust);
}

static void many_and_no_more(void **state)
{
	struct trust trust;
	char name[16];

	trust_init(&trust);
	for (int i = 0; i < LIMIT_CONFIRMED; i++) {
		snprintf(name, sizeof(name), "n%d", (i * 7919) % LIMIT_CONFIRMED);

		struct trust_row row = row_of(name, (uint8_t)(i % 251));

		assert_ok(trust_put(&trust, &row));
	}
	for (size_t i = 1; i < trust.count; i++)
		assert_true(strcmp(trust.rows[i - 1].node, trust.rows[i].node) < 0);

	struct trust_row more = row_of("more", 1), known = row_of("n7", 99);

	assert_int_equal(trust_put(&trust, &more), ERR_LIMIT);
	assert_false(trust_confirmed(&trust, "more", &more.key));
	assert_ok(trust_put(&trust, &known)); /* one that is there changes */
	assert_true(trust_confirmed(&trust, "n7", &known.key));
	trust_clear(&trust);
	assert_null(trust_find(&trust, "n7"));
	trust_release(&trust);
}

static void row_there_and_back(void **state)
{
	struct trust_row row = row_of("haiti", 9), back;
	struct row_name name, other;
	struct buf out;

	buf_init(&out, ROW_PLAIN_MAX);
	assert_ok(trust_row_write(&row, &out));
	assert_ok(trust_row_read(buf_bytes(&out), &back, NULL));
	assert_string_equal(back.node, row.node);
	assert_memory_equal(back.key.b, row.key.b, sizeof(row.key.b));
	assert_string_equal(back.officer, row.officer);
	assert_int_equal(back.confirmed_at, row.confirmed_at);
	trust_row_name("haiti", &name);
	trust_row_name("haitj", &other);
	assert_memory_not_equal(name.b, other.b, sizeof(name.b));
	buf_release(&out);
}

/* Cut anywhere, or another byte anywhere: read as something of the right form, or refused. */
static void row_damaged(void **state)
{
	struct trust_row row = row_of("haiti", 9), back;
	struct buf out;

	buf_init(&out, ROW_PLAIN_MAX);
	assert_ok(trust_row_write(&row, &out));
	for (size_t size = 0; size < 7 + 34; size++) /* the name and the key */
		assert_int_equal(
			trust_row_read(bytes_make(out.data, size), &back, NULL), ERR_CORRUPT);
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 0x55;

		enum err err = trust_row_read(buf_bytes(&out), &back, NULL);

		assert_true(err == OK || err == ERR_CORRUPT);
		out.data[i] ^= 0x55;
	}
	buf_release(&out);
}

static void no_memory(void **state)
{
	struct trust_row row = row_of("haiti", 1);
	struct failing_alloc f;
	struct trust trust;

	failing_alloc_begin(&f, 1);
	trust_init(&trust);
	assert_int_equal(trust_put(&trust, &row), ERR_NOMEM);
	assert_int_equal(trust.count, 0);
	assert_ok(trust_put(&trust, &row));
	trust_release(&trust);
	failing_alloc_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_confirmed),
		cmocka_unit_test(bound_to_the_key),
		cmocka_unit_test(many_and_no_more),
		cmocka_unit_test(row_there_and_back),
		cmocka_unit_test(row_damaged),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
