/* The machines of a case, against the tables of docs/EVENTS. */
#include "cases_test.h"

#include "cases/fold/machine.h"

static const struct {
	const char *title; /* as the section begins */
	enum machine_kind kind;
} machines[] = {
	{"**Referral**", MACHINE_REFERRAL},
	{"**Transfer**", MACHINE_TRANSFER},
	{"**Claim**", MACHINE_CLAIM},
	{"**Investigation**", MACHINE_INVESTIGATION},
	{"**Outcome**", MACHINE_OUTCOME},
	{"**Complaint**", MACHINE_COMPLAINT},
	{"**Concern**", MACHINE_CONCERN},
	{"**Case**", MACHINE_CASE},
};

static char *read_document(void)
{
	static char text[200000];
	FILE *file = fopen(SAUTI_SOURCE_DIR "/docs/EVENTS.md", "r");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof text - 1, file);
	text[size] = 0;
	fclose(file);
	return text;
}

/* The table behind a title, as the code has it. */
static void put_table(enum machine_kind kind, struct buf *out)
{
	struct buf next;

	buf_init(&next, 2000);
	for (unsigned from = 0; from == 0 || machine_name(kind, from)[0] != 0; from++) {
		buf_clear(&next);
		machine_next(kind, from, &next);
		if (strcmp(buf_cstr(&next), "nothing") == 0)
			continue;
		buf_printf(out, "%s > %s\n", from == 0 ? "(nothing)" : machine_name(kind, from),
			buf_cstr(&next));
	}
	buf_release(&next);
}

/* Every row of the document's table, without its quotes. */
static void read_table(const char *title, struct buf *out)
{
	const char *line = strstr(read_document(), title);

	assert_non_null(line);
	line = strstr(line, "|---|---|\n");
	assert_non_null(line);
	for (line += 10; line[0] == '|'; line = strchr(line, '\n') + 1) {
		for (const char *c = line + 2; *c != '\n'; c++)
			if (c[0] == ' ' && c[1] == '|' && c[2] == '\n')
				break;
			else if (c[0] == '|')
				buf_put_u8(out, '>');
			else if (*c != '`')
				buf_put_u8(out, (uint8_t)*c);
		buf_put_u8(out, '\n');
	}
}

/* Rows in any order. A beginning with one possibility goes without saying. */
static void as_documented(void **unused)
{
	for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
		struct buf code, document;
		size_t rows = 0;

		buf_init(&code, 10000);
		buf_init(&document, 10000);
		put_table(machines[i].kind, &code);
		read_table(machines[i].title, &document);
		for (char *row = strtok((char *)buf_cstr(&code), "\n"); row != NULL;
			row = strtok(NULL, "\n")) {
			if (strncmp(row, "(nothing)", 9) == 0 && strchr(row, ',') == NULL)
				continue;
			rows++;
			if (strstr(buf_cstr(&document), row) == NULL)
				fail_msg("%s: docs/EVENTS lacks: %s", machines[i].title, row);
		}
		for (const char *c = buf_cstr(&document); *c != 0; c++)
			rows -= *c == '\n';
		assert_int_equal(rows, 0);
		buf_release(&code);
		buf_release(&document);
	}
}

static void codes_and_ends(void **unused)
{
	for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
		enum machine_kind kind = machines[i].kind;
		unsigned count = 1;

		assert_string_equal(machine_name(kind, 0), "");
		for (; machine_name(kind, count)[0] != 0; count++)
			assert_int_equal(
				machine_find(kind, bytes_str(machine_name(kind, count))), count);
		assert_int_equal(machine_find(kind, bytes_str("")), 0);
		assert_int_equal(machine_find(kind, bytes_str("NO_SUCH")), 0);
		assert_false(machine_allows(kind, 0, 0));
		assert_false(machine_allows(kind, count, 1));
		assert_false(machine_allows(kind, 0, count));
		assert_false(machine_allows(kind, 0, 99));
		assert_false(machine_ended(kind, count));
		assert_false(machine_ended(kind, 0));
	}
	assert_true(machine_ended(MACHINE_REFERRAL, REFERRAL_NO_SHOW));
	assert_int_equal(
		machine_find(MACHINE_CLAIM, bytes_str("CLOSED_RESOLVED")), CLAIM_CLOSED_RESOLVED);
	assert_int_equal(machine_find(MACHINE_INVESTIGATION, bytes_str("CLOSED_OTHER")),
		INVESTIGATION_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_documented),
		cmocka_unit_test(codes_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
