#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "replication/log/guard_record.h"

#define OWN       "ovra.example/haiti/1-0123456789abcdef"
#define NEXT      "ovra.example/haiti/2-0123456789abcdef"
#define DIRECTORY "ovra.example/directory/1-0123456789abcdef"

static int setup(void **state)
{
	return crypto_init();
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

static struct hash hash_of(const char *text)
{
	struct hash hash;

	sha256(bytes_str(text), &hash);
	return hash;
}

static struct guard_record full(void)
{
	struct guard_record record = {
		.sequence = 7,
		.network = "ovra.example",
		.node = "haiti",
		.commit = UINT64_C(1) << 40,
		.log_count = 2,
		.logs = {{{OWN}, 12, hash_of("own")}, {{DIRECTORY}, 3, hash_of("directory")}},
		.next = {NEXT},
		.stopped = true,
		.renew = true,
		.why = "a reason",
	};

	return record;
}

static void test_round_trip(void **state)
{
	struct guard_record record = full(), read;
	uint8_t slot[GUARD_SLOT_SIZE], again[GUARD_SLOT_SIZE];

	guard_record_write(&record, slot);
	assert_int_equal(guard_record_read(BYTES_ARRAY(slot), &read), OK);
	guard_record_write(&read, again);
	assert_memory_equal(slot, again, sizeof(slot));
	assert_string_equal(read.next.text, NEXT);
	assert_string_equal(read.why, "a reason");
	assert_true(read.stopped && read.renew);
	assert_ptr_equal(guard_record_own(&read), &read.logs[0]);
	assert_ptr_equal(guard_record_log(&read, DIRECTORY), &read.logs[1]);
	assert_null(guard_record_log(&read, NEXT));
}

/* The longest names and words fit; nothing fills a slot. */
static void test_longest(void **state)
{
	struct guard_record record = full();
	uint8_t slot[GUARD_SLOT_SIZE];

	memset(record.network, 'a', LIMIT_NETWORK_NAME);
	memset(record.node, 'a', LIMIT_NODE_NAME);
	memset(record.why, 'a', GUARD_WHY_MAX);
	guard_record_write(&record, slot);
	assert_int_equal(guard_record_read(BYTES_ARRAY(slot), &record), OK);
	assert_int_equal(strlen(record.why), GUARD_WHY_MAX);
}

static void test_every_bit(void **state)
{
	struct guard_record record = full(), read;
	uint8_t slot[GUARD_SLOT_SIZE];

	guard_record_write(&record, slot);
	for (size_t bit = 0; bit < 8 * sizeof(slot); bit++) {
		slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(guard_record_read(BYTES_ARRAY(slot), &read), ERR_CORRUPT);
		slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t size = 0; size < sizeof(slot); size += 97)
		assert_int_equal(guard_record_read(bytes_make(slot, size), &read), ERR_CORRUPT);
	/* Torn in the middle: the older half of another write. */
	memset(slot + 512, 0, 512);
	slot[600] = 1;
	assert_int_equal(guard_record_read(BYTES_ARRAY(slot), &read), ERR_CORRUPT);
}

static void test_newer(void **state)
{
	struct guard_record record = full(), read;
	uint8_t slot[GUARD_SLOT_SIZE];
	struct hash sum;

	guard_record_write(&record, slot);
	slot[8 + 3] = GUARD_VERSION + 1;
	sha256(bytes_make(slot, sizeof(slot) - HASH_SIZE), &sum);
	memcpy(slot + sizeof(slot) - HASH_SIZE, sum.b, HASH_SIZE);
	assert_int_equal(guard_record_read(BYTES_ARRAY(slot), &read), ERR_VERSION);
}

/* ---- judging ---- */

static struct guard_record plain(void)
{
	struct guard_record record = {
		.network = "ovra.example",
		.node = "haiti",
		.commit = 100,
		.log_count = 1,
		.logs = {{{OWN}, 12, hash_of("own")}},
	};

	return record;
}

static struct guard_facts fits(void)
{
	struct guard_facts facts = {.guarded = true, .commit = 100};

	facts.logs[0].size = 12;
	facts.logs[0].root = hash_of("own");
	facts.logs[1].size = 3;
	facts.logs[1].root = hash_of("directory");
	return facts;
}

static void judged(const struct guard_record *record, const struct guard_facts *facts,
	enum guard_verdict verdict, const char *says)
{
	struct errctx why = {"of before"};

	assert_string_equal(
		guard_verdict_name(guard_judge(record, facts, &why)), guard_verdict_name(verdict));
	if (strstr(why.text, says) == NULL || (says[0] == '\0' && why.text[0] != '\0'))
		fail_msg("'%s' does not say '%s'", why.text, says);
}

static void test_go_on(void **state)
{
	struct guard_record record = plain();
	struct guard_facts facts = fits();

	judged(&record, &facts, GUARD_SAME, "");
	/* The store may be one commit ahead: the guard did not follow any more. */
	facts.commit = 101;
	facts.logs[0].size = 20;
	judged(&record, &facts, GUARD_SAME, "");
	/* Nothing was ever there. */
	facts = (struct guard_facts){0};
	judged(NULL, &facts, GUARD_NEW, "");
	facts.commit = 5000; /* of a store from before there were guards */
	judged(NULL, &facts, GUARD_NEW, "");
	/* A node that has committed nothing to its own log yet. */
	record.log_count = 0;
	facts = (struct guard_facts){.guarded = true, .commit = 100};
	judged(&record, &facts, GUARD_SAME, "");
	record.log_count = 1;
	record.logs[0].size = 0;
	judged(&record, &facts, GUARD_SAME, "");
}

static void test_behind(void **state)
{
	struct guard_record record = plain();
	struct guard_facts facts = fits();

	facts.commit = 60;
	judged(&record, &facts, GUARD_ROLLED, "40 commits");
	facts.logs[0].size = 11;
	judged(&record, &facts, GUARD_BEHIND, "has 11 entries, and had 12");
	facts.logs[0].size = 0;
	judged(&record, &facts, GUARD_BEHIND, OWN);
	/* Commits of others' logs since then do not make it whole. */
	facts.commit = 100;
	judged(&record, &facts, GUARD_BEHIND, OWN);
	/* One of two logs is enough. */
	record = full();
	record.renew = record.stopped = false;
	record.commit = 100;
	record.next = (struct origin){""};
	facts = fits();
	judged(&record, &facts, GUARD_SAME, "");
	facts.logs[1].size = 2;
	judged(&record, &facts, GUARD_BEHIND, DIRECTORY);
}

static void test_never_again(void **state)
{
	struct guard_record record = plain();
	struct guard_facts facts = fits();

	judged(NULL, &facts, GUARD_OTHER, "missing");
	facts.backup = true;
	judged(&record, &facts, GUARD_OTHER, "backup");
	facts.guarded = false;
	judged(NULL, &facts, GUARD_OTHER, "backup");
	facts = fits();
	facts.logs[0].root = hash_of("other");
	judged(&record, &facts, GUARD_OTHER, "differ");
	facts = fits();
	facts.commit = 102;
	judged(&record, &facts, GUARD_OTHER, "used elsewhere");
	/* Different is worse than behind. */
	record = full();
	record.commit = 100;
	record.renew = record.stopped = false;
	facts = fits();
	facts.logs[0].size = 1;
	facts.logs[1].root = hash_of("other");
	judged(&record, &facts, GUARD_OTHER, DIRECTORY);
	/* What was found once stays true until the new log has begun. */
	record = plain();
	record.renew = true;
	strcpy(record.why, "found before");
	facts = fits();
	judged(&record, &facts, GUARD_OTHER, "found before");
	record.next = (struct origin){NEXT};
	judged(&record, &facts, GUARD_OTHER, "found before");
	facts.next_begun = true;
	facts.commit = 101;
	judged(&record, &facts, GUARD_SAME, "");
	/* Whatever was lost of the one that was given up. */
	facts.logs[0].size = 1;
	judged(&record, &facts, GUARD_SAME, "");
}

/* No guard, no log, but keys that were used. */
static void test_lost(void **state)
{
	struct guard_facts facts = {.lost = true};

	judged(NULL, &facts, GUARD_OTHER, "keys were used before");
}

static void test_stopped(void **state)
{
	struct guard_record record = plain();
	struct guard_facts facts = fits();

	record.stopped = true;
	strcpy(record.why, "shown by 'cleo'");
	judged(&record, &facts, GUARD_STOPPED, "cleo");
	facts.logs[0].size = 1;
	judged(&record, &facts, GUARD_BEHIND, OWN);
	facts = fits();
	record.renew = true;
	judged(&record, &facts, GUARD_OTHER, "cleo");
	facts.next_begun = true;
	record.next = (struct origin){NEXT};
	judged(&record, &facts, GUARD_SAME, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_go_on),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_never_again),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
