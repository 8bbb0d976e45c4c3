#include "cases_test.h"

#include "cases/import/mapping.h"

static struct table_findings errors;

static enum err read_map(const char *text, struct mapping *ret)
{
	errors.count = 0;
	return mapping_read(bytes_str(text), "m", ret, &errors);
}

#define REGISTER "[register]\nname = zz-r\ncase = Code\n"

static void whole(void **state)
{
	struct mapping m;
	const struct mapping_section *s;

	assert_ok(read_map(
		"\xef\xbb\xbf# a comment\n" REGISTER
		"separator = tab\nencoding = windows-1252\ndate = DD/MM/YYYY\n"
		"key = A\nkey = B, C\nignore = DOB\nlanguage = \"fr\"\nrecorded_by = Who\r\n"
		"\n[CASE_OPENED]\n  occurred_on = Day  \n"
		"[CONSENT_RECORDED to manage the case]\n"
		"when = Consent is \"Oui\"\nwhen = Consent is not \" Non \"\n"
		"when = Day is given\nwhen = Left is empty\nonce = yes\nkey = Day\n"
		"purpose = \"CASE_MGMT\"\ngiven_by = By\ngiven_by.VICTIM = elle-même\n"
		"given_by.GUARDIAN = \" sa mère \"\nform = \"WRITTEN\"\n"
		"valid_until = Day + 365d\n"
		"[REFERRAL_MADE x]\nservice_code = \"MED\"\n"
		"consent_ref = [CONSENT_RECORDED to manage the case]\n",
		&m));
	assert_true(bytes_equal_str(m.name, "zz-r"));
	assert_true(bytes_equal_str(m.kase.name, "Code"));
	assert_int_equal(m.separator, '\t');
	assert_true(m.windows);
	assert_int_equal(m.key_count, 2);
	assert_true(bytes_equal_str(m.keys[1].name, "B, C"));
	assert_int_equal(m.commons[MAPPING_LANGUAGE].source, MAPPING_CONSTANT);
	assert_true(bytes_equal_str(m.commons[MAPPING_RECORDED_BY].text, "Who"));
	assert_int_equal(m.section_count, 3);
	assert_true(m.sections[0].once); /* CASE_OPENED is */
	assert_true(bytes_equal_str(m.sections[0].commons[MAPPING_OCCURRED_ON].text, "Day"));
	s = &m.sections[1];
	assert_int_equal(s->type->number, EVENT_CONSENT_RECORDED);
	assert_true(s->once);
	assert_int_equal(s->condition_count, 4);
	assert_true(bytes_equal_str(m.conditions[0].text, "Oui"));
	assert_true(m.conditions[1].negated);
	assert_true(bytes_equal_str(m.conditions[1].text, "Non"));
	assert_true(m.conditions[2].given && !m.conditions[2].negated);
	assert_true(m.conditions[3].given && m.conditions[3].negated);
	assert_true(bytes_equal_str(m.conditions[3].column.name, "Left"));
	assert_int_equal(s->choice_count, 2);
	assert_true(bytes_equal_str(m.choices[1].cell, "sa mère"));
	assert_int_equal(s->field_count, 4);
	assert_int_equal(m.fields[3].value.days, 365);
	assert_true(bytes_equal_str(m.fields[3].value.text, "Day"));
	assert_int_equal(m.fields[5].value.source, MAPPING_EVENT);
	assert_int_equal(m.fields[5].value.section, 1);
	assert_int_equal(s->referred, 0);
	assert_int_equal(m.referred_count, 1);
	mapping_release(&m);
}

#define OPEN    "[CASE_OPENED]\n"
#define CONTACT "[CONTACT]\nchannel = \"PHONE\"\ndirection = \"IN\"\nresult = \"REACHED\"\n"

static const struct {
	const char *text, *says;
} bad[] = {
	{"", "must say name"},
	{"[register]\nname = x\n" OPEN, "m:1: [register] must say case"},
	{REGISTER, "m:1: no section"},
	{"name = x\n", "m:1: a key before any section"},
	{"[register\n", "m:1: a section's line ends"},
	{"[register]\nx\n", "m:2: allowed are [section]"},
	{"[register]\nname =\n", "m:2: a key and a value"},
	{"[register]\nname = X Y\n", "m:2: name: allowed"},
	{"[register]\ncolour = x\n", "m:2: unknown key in [register]; allowed: name, sep"},
	{"[register]\nseparator = |\n", "m:2: separator: allowed"},
	{"[register]\nencoding = latin\n", "m:2: encoding: allowed"},
	{"[register]\ndate = DD/MM/YY\n", "m:2: date: allowed"},
	{"[register]\noffice = \"Haiti\"\n", "m:2: office: the constant"},
	{"[register]\noffice = A\noffice = B\n", "m:3: office: it is there twice"},
	{"[register]\noffice = [CONTACT]\n", "m:2: office: allowed is a column"},
	{REGISTER "[register]\n", "m:4: [register] is there twice"},
	{REGISTER "[NONSENSE]\nx = y\n", "m:4: allowed are [register] and the event types"},
	{REGISTER "[EXPORT_MADE]\n", "m:4: allowed are [register] and the event types"},
	{REGISTER OPEN OPEN, "m:5: this section is there twice; give one of them a label"},
	{REGISTER OPEN "case_code = Code\n", "m:5: case_code: it comes from"},
	{REGISTER OPEN "colour = x\n",
		"m:5: CASE_OPENED has no such field; it has case_code, intake"},
	{REGISTER OPEN "intake_channel = A\nintake_channel = B\n",
		"m:6: intake_channel: it is there"},
	{REGISTER OPEN "intake_channel = \"PIGEON\"\n", "m:5: intake_channel: found"},
	{REGISTER OPEN "intake_channel = A\nintake_channel.PIGEON = x\n",
		"m:6: intake_channel: found"},
	{REGISTER OPEN "intake_channel.PHONE = x\n",
		"m:4: intake_channel: texts are translated, but"},
	{REGISTER OPEN "intake_channel = A + 3d\n", "m:5: intake_channel: days are added"},
	{REGISTER OPEN "intake_channel = [CASE_OPENED]\n", "m:5: intake_channel: it does not name"},
	{REGISTER OPEN "once = no\n", "m:5: once: allowed is yes"},
	{REGISTER OPEN "when = A\n", "m:5: when: allowed"},
	{REGISTER OPEN "when = A is x\n", "m:5: when: allowed"},
	{REGISTER OPEN "when = is given\n", "m:5: when: allowed"},
	{REGISTER OPEN "when = A is \"\n", "m:5: when: allowed"},
	{REGISTER "[CONTACT]\nchannel = A\ndirection = B\n",
		"m:4: CONTACT must say result: With whi"},
	{REGISTER CONTACT "note = x\x01\n", "m:8: a control character"},
	{REGISTER CONTACT "note = \xff\n", "m:8: not UTF-8"},
	{REGISTER "[REFERRAL_MADE]\nservice_code = \"MED\"\nconsent_ref = [CONSENT_RECORDED]\n",
		"m:6: no section has that head"},
};

static void refused(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mapping m;

		assert_int_equal(read_map(bad[i].text, &m), ERR_INVALID);
		if (errors.count == 0 || strstr(errors.text[0], bad[i].says) == NULL)
			fail_msg("%s\nsays '%s'", bad[i].text, errors.text[0]);
	}
}

/* More days than a date is moved by are the end of a column's name. */
static void days(void **state)
{
	struct mapping m;

	assert_ok(read_map(
		REGISTER OPEN "report_date = A + 3660d\nfirst_contact_date = A + 3661d\n", &m));
	assert_int_equal(m.fields[0].value.days, MAPPING_DAYS_MAX);
	assert_true(bytes_equal_str(m.fields[0].value.text, "A"));
	assert_int_equal(m.fields[1].value.days, 0);
	assert_true(bytes_equal_str(m.fields[1].value.text, "A + 3661d"));
	mapping_release(&m);
}

/* All errors of a mapping are told of at once. */
static void several(void **state)
{
	struct mapping m;

	assert_int_equal(
		read_map("[register]\nname = X\ncase = A\ndate = D\n" OPEN "x = y\nonce = x\n", &m),
		ERR_INVALID);
	assert_int_equal(errors.count, 4);
}

/* A text with a line for each number, which stands in the place of '$'. */
static char *lines_of(const char *head, const char *line, unsigned count, const char *tail)
{
	const char *place = strchr(line, '$');
	char *text = malloc(strlen(head) + strlen(tail) + 100 + count * (strlen(line) + 20));
	char *at = stpcpy(text, head);

	for (unsigned i = 0; i < count; i++)
		at += sprintf(at, "%.*s%06u%s", (int)(place - line), line, i, place + 1);
	strcpy(at, tail);
	return text;
}

static void check_cap(char *text, const char *says)
{
	struct mapping m;
	enum err err = read_map(text, &m);

	assert_int_equal(err, says == NULL ? OK : ERR_INVALID);
	if (says != NULL)
		assert_non_null(strstr(errors.text[0], says));
	else
		mapping_release(&m);
	free(text);
}

#define SECTIONS "[CASE_OPENED $]\n"
#define KEYS     "key = K$\n"
#define WHENS    "when = A is \"$\"\n"

static void caps(void **state)
{
	char *line = malloc(LIMIT_MAPPING_LINE + 2);

	check_cap(lines_of(REGISTER, SECTIONS, LIMIT_MAPPING_SECTIONS, ""), NULL);
	check_cap(lines_of(REGISTER, SECTIONS, LIMIT_MAPPING_SECTIONS + 1, ""),
		"more than 64 sections");
	check_cap(lines_of(REGISTER, KEYS, MAPPING_KEYS_MAX, OPEN), NULL);
	check_cap(lines_of(REGISTER, KEYS, MAPPING_KEYS_MAX + 1, OPEN), "more than 8 columns");
	check_cap(lines_of(REGISTER OPEN, WHENS, LIMIT_MAPPING_ENTRIES, ""), NULL);
	check_cap(lines_of(REGISTER OPEN, WHENS, LIMIT_MAPPING_ENTRIES + 1, ""), "more than 2048");
	check_cap(lines_of(REGISTER OPEN "intake_channel = A\n", "intake_channel.PHONE = $\n",
			  LIMIT_MAPPING_ENTRIES - 300, ""),
		NULL);
	check_cap(lines_of(REGISTER, "ignore = $\n", LIMIT_CSV_COLUMNS, OPEN), NULL);
	check_cap(lines_of(REGISTER, "ignore = $\n", LIMIT_CSV_COLUMNS + 1, OPEN), "more than 512");
	check_cap(lines_of(REGISTER OPEN, "#$\n", (LIMIT_MAPPING_SIZE - 60) / 8, ""), NULL);
	check_cap(lines_of(REGISTER OPEN, "#$\n", LIMIT_MAPPING_SIZE / 8, ""), "more than 65536");
	for (unsigned more = 0; more < 2; more++) {
		unsigned count = MAPPING_REFERRED_MAX + more;
		char *text = malloc(8000), *at = stpcpy(text, REGISTER);

		for (unsigned i = 0; i < count; i++)
			at += sprintf(at,
				"[CONSENT_WITHDRAWN %u]\nconsent_id = A\n[REFERRAL_MADE %u]\n"
				"service_code = \"MED\"\nconsent_ref = [CONSENT_WITHDRAWN %u]\n",
				i, i, i);
		check_cap(text, more == 0 ? NULL : "more than 8 sections are named");
	}
	memset(line, '#', LIMIT_MAPPING_LINE + 1);
	line[LIMIT_MAPPING_LINE + 1] = 0;
	check_cap(lines_of(REGISTER OPEN, "$", 0, line + 1), NULL);
	check_cap(lines_of(REGISTER OPEN, "$", 0, line), "a line of more than 1024");
	free(line);
}

static enum err read_once(void *arg)
{
	struct mapping m;
	enum err err = read_map(REGISTER OPEN CONTACT, &m);

	if (err == OK)
		mapping_release(&m);
	return err;
}

static void no_memory(void **state)
{
	torture(read_once, NULL);
}

static void errors_are_capped(void **state)
{
	errors.count = 0;
	for (unsigned i = 0; i < LIMIT_TABLE_FINDINGS + 5; i++)
		table_findings_add(&errors, "%u", i);
	assert_int_equal(errors.count, LIMIT_TABLE_FINDINGS + 5);
	assert_string_equal(errors.text[LIMIT_TABLE_FINDINGS - 1], "49");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(refused),
		cmocka_unit_test(days),
		cmocka_unit_test(several),
		cmocka_unit_test(caps),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(errors_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
