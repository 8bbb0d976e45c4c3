/* Who may put how much into the inbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "server/inbox.h"

static struct inbox_row rows[LIMIT_MAIL_INBOX];

static void fill(size_t from, size_t to, const char *sender)
{
	for (size_t i = from; i < to; i++)
		snprintf(rows[i].sender, sizeof(rows[i].sender), "%s", sender);
}

static void a_sender_has_its_share(void **state)
{
	const size_t share = LIMIT_MAIL_INBOX_SENDER;

	fill(0, share, "chad");
	assert_true(inbox_takes(rows, share - 1, 0, "chad"));
	assert_false(inbox_takes(rows, share, 0, "chad"));
	assert_false(inbox_takes(rows, share - 1, 1, "chad"));
	assert_true(inbox_takes(rows, share, 1, "haiti"));
}

static void nor_is_there_more_in_all(void **state)
{
	char name[16];

	for (size_t i = 0; i < LIMIT_MAIL_INBOX; i += 50) {
		snprintf(name, sizeof(name), "node-%zu", i);
		fill(i, i + 50, name);
	}
	assert_true(inbox_takes(rows, LIMIT_MAIL_INBOX - 1, 0, "chad"));
	assert_false(inbox_takes(rows, LIMIT_MAIL_INBOX, 0, "chad"));
	assert_false(inbox_takes(rows, LIMIT_MAIL_INBOX - 1, 1, "chad"));
}

static void copies_of_what_is_sent(void **state)
{
	assert_true(outbox_takes(LIMIT_MAIL_COPIES - 1, false));
	assert_false(outbox_takes(LIMIT_MAIL_COPIES, false));
	assert_true(outbox_takes(LIMIT_MAIL_COPIES, true));
	assert_false(outbox_takes(LIMIT_MAIL_COPIES + 1, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sender_has_its_share),
		cmocka_unit_test(copies_of_what_is_sent),
		cmocka_unit_test(nor_is_there_more_in_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
