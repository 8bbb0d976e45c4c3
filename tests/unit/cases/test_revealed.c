/* What is remembered of a P that was given away: read as written, and never when cut or changed. */
#include "cases_test.h"

#include "cases/keys/revealed.h"

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

static struct revealed some(void)
{
	struct revealed r = {.group = GROUP_CONSENT, .index = 7, .at_s = 8};

	memset(r.id.b, 1, sizeof r.id.b);
	memset(r.kid.b, 2, sizeof r.kid.b);
	memset(r.leaf.b, 3, sizeof r.leaf.b);
	memset(r.case_ref.b, 4, sizeof r.case_ref.b);
	memset(r.event_id.b, 5, sizeof r.event_id.b);
	strcpy(r.origin, "ovra.example/haiti/1-0123456789abcdef");
	memset(r.to, 'x', REVEALED_TO_MAX);
	return r;
}

static void is_read_as_written(void **state)
{
	struct revealed r = some(), again;
	struct buf plain;

	buf_init(&plain, ROW_PLAIN_MAX);
	revealed_write(&r, &plain);
	assert_ok(plain.err);
	assert_ok(revealed_read(buf_bytes(&plain), &again));
	assert_memory_equal(again.id.b, r.id.b, sizeof r.id.b);
	assert_memory_equal(again.kid.b, r.kid.b, sizeof r.kid.b);
	assert_memory_equal(again.leaf.b, r.leaf.b, sizeof r.leaf.b);
	assert_memory_equal(again.case_ref.b, r.case_ref.b, sizeof r.case_ref.b);
	assert_memory_equal(again.event_id.b, r.event_id.b, sizeof r.event_id.b);
	assert_string_equal(again.origin, r.origin);
	assert_string_equal(again.to, r.to);
	assert_int_equal(again.group, r.group);
	assert_int_equal(again.index, 7);
	assert_int_equal(again.at_s, 8);
	buf_release(&plain);
}

static void refuses_what_is_not_whole(void **state)
{
	struct revealed r = some(), again;
	struct buf plain;

	buf_init(&plain, ROW_PLAIN_MAX);
	revealed_write(&r, &plain);
	for (size_t size = 0; size < plain.size; size++)
		assert_int_equal(revealed_read(bytes_make(plain.data, size), &again), ERR_CORRUPT);
	plain.data[0] = 2;
	assert_int_equal(revealed_read(buf_bytes(&plain), &again), ERR_CORRUPT);
	plain.data[0] = 1;
	buf_put_u8(&plain, 0);
	assert_int_equal(revealed_read(buf_bytes(&plain), &again), ERR_CORRUPT);
	buf_clear(&plain);
	r.group = GROUP_NONE;
	revealed_write(&r, &plain);
	assert_int_equal(revealed_read(buf_bytes(&plain), &again), ERR_CORRUPT);
	buf_release(&plain);
}

static void each_p_has_a_row_of_its_own(void **state)
{
	struct seal_reveal p = {{1}}, q = {{2}};
	struct row_name a, b;
	struct hash id;

	revealed_id(&p, &id);
	revealed_row_name(&id, &a);
	assert_true(memcmp(id.b, p.b, sizeof id.b) != 0); /* no key */
	revealed_id(&q, &id);
	revealed_row_name(&id, &b);
	assert_true(memcmp(a.b, b.b, sizeof a.b) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_read_as_written),
		cmocka_unit_test(refuses_what_is_not_whole),
		cmocka_unit_test(each_p_has_a_row_of_its_own),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
