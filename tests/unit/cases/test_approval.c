/* What counts as a second officer's word, and when; rows of it. */
#include "cases_test.h"

#include "base/limits.h"
#include "cases/keys/approval.h"

enum { OPENED = 1767225600 }; /* 2026-01-01 */

static struct approval opened(void)
{
	struct approval one = {.kind = APPROVAL_BREAK_GLASS,
		.state = APPROVAL_WAITING,
		.told = APPROVAL_WAITING,
		.case_code = "ZZ-1",
		.to = "rdc",
		.groups = GROUP_BIT(GROUP_HEALTH),
		.reason = "zz lorem",
		.who = "ada",
		.asked_at = OPENED};

	memset(one.id, 7, sizeof one.id);
	memset(one.case_ref, 8, sizeof one.case_ref);
	memset(one.asked.b, 9, sizeof one.asked.b);
	return one;
}

static void test_who(void **arg)
{
	struct approval one = opened();
	struct hash other = {{1}};

	assert_int_equal(approval_judge(&one, "bo", NULL, OPENED), APPROVAL_COUNTS);
	assert_int_equal(approval_judge(&one, "ada", NULL, OPENED), APPROVAL_IS_OWN);
	/* Of another node: for what it was asked, and not of the node that gets the keys. */
	assert_int_equal(approval_judge(&one, "ada@hq", &one.asked, OPENED), APPROVAL_COUNTS);
	assert_int_equal(approval_judge(&one, "bo@hq", &other, OPENED), APPROVAL_IS_OTHER);
	assert_int_equal(approval_judge(&one, "bo@rdc", &one.asked, OPENED), APPROVAL_IS_OWN);
	assert_int_equal(approval_judge(&one, "bo@rdc2", &one.asked, OPENED), APPROVAL_COUNTS);
	/* What another node asks: its officer is NAME@NODE here. */
	snprintf(one.from, sizeof one.from, "caf");
	snprintf(one.who, sizeof one.who, "ada@caf");
	assert_int_equal(approval_judge(&one, "ada", NULL, OPENED), APPROVAL_COUNTS);
}

static void test_when(void **arg)
{
	struct approval one = opened();

	assert_int_equal(approval_deadline(&one), OPENED + 72 * 3600);
	assert_int_equal(approval_judge(&one, "bo", NULL, OPENED + 72 * 3600), APPROVAL_COUNTS);
	assert_true(approval_holds(&one, OPENED + 72 * 3600));
	assert_false(approval_holds(&one, OPENED + 72 * 3600 + 1));
	assert_int_equal(
		approval_judge(&one, "bo", NULL, OPENED + 72 * 3600 + 1), APPROVAL_IS_LATE);
	one.state = APPROVAL_WITHDRAWN; /* also with a clock put back */
	assert_int_equal(approval_judge(&one, "bo", NULL, OPENED), APPROVAL_IS_LATE);
	assert_false(approval_holds(&one, OPENED));
	one.state = APPROVAL_REFUSED;
	assert_int_equal(approval_judge(&one, "bo", NULL, OPENED), APPROVAL_IS_DONE);
	assert_false(approval_holds(&one, OPENED));
	one.state = APPROVAL_APPROVED;
	assert_int_equal(approval_judge(&one, "bo", NULL, OPENED), APPROVAL_IS_DONE);
	assert_true(approval_holds(&one, OPENED + 365 * 86400));
	for (unsigned v = APPROVAL_IS_LATE; v <= APPROVAL_IS_DONE; v++)
		assert_true(approval_verdict_text((enum approval_verdict)v)[0] != '\0');
}

static void test_rows(void **arg)
{
	struct approval one = opened(), back;
	struct row_name a, b;
	struct buf plain;

	snprintf(one.decider, sizeof one.decider, "bo@hq");
	snprintf(one.victim_told_on, sizeof one.victim_told_on, "2026-01-05");
	one.told_before = true;
	one.decided_at = OPENED + 5;
	buf_init(&plain, ROW_PLAIN_MAX);
	assert_ok(approval_pack(&one, &plain));
	assert_ok(approval_unpack(buf_bytes(&plain), &back));
	assert_memory_equal(back.id, one.id, sizeof one.id);
	assert_memory_equal(back.case_ref, one.case_ref, sizeof one.case_ref);
	assert_memory_equal(back.asked.b, one.asked.b, sizeof one.asked.b);
	assert_string_equal(back.decider, "bo@hq");
	assert_string_equal(back.victim_told_on, "2026-01-05");
	assert_string_equal(back.reason, one.reason);
	assert_int_equal(back.groups, one.groups);
	assert_true(back.told_before);
	for (size_t cut = 1; cut < plain.size; cut += 7)
		assert_true(
			approval_unpack(bytes_make(plain.data, plain.size - cut), &back) != OK ||
			back.kind == APPROVAL_BREAK_GLASS);
	assert_int_equal(approval_unpack(BYTES_NONE, &back), ERR_CORRUPT);
	buf_release(&plain);
	/* Of another node: a name of its own. */
	approval_row_name(&one, &a);
	snprintf(one.from, sizeof one.from, "hq");
	approval_row_name(&one, &b);
	assert_memory_not_equal(a.b, b.b, sizeof a.b);
}

static void test_room(void **arg)
{
	assert_true(approval_room(LIMIT_APPROVALS - 1, LIMIT_APPROVALS_SENDER - 1));
	assert_false(approval_room(LIMIT_APPROVALS, 0));
	assert_false(approval_room(0, LIMIT_APPROVALS_SENDER));
}

/* Recorded once, however often it is tried. */
static void test_report_id(void **arg)
{
	struct approval one = opened();
	char a[APPROVAL_EVENT_TEXT + 1], b[APPROVAL_EVENT_TEXT + 1];

	approval_report_id(&one, a);
	approval_report_id(&one, b);
	assert_string_equal(a, b);
	one.id[3]++;
	approval_report_id(&one, b);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_report_id),
	};

	return crypto_init() != OK || cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
