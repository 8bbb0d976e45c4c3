#include "cases_test.h"

#include <stdio.h>

#include "base/limits.h"
#include "cases/import/table.h"
#include "cases/schema/schema.h"

static struct table_findings errors;

static enum err convert(const char *text, const char *map, struct table_lines *ret)
{
	struct table_input input = {bytes_str(text), bytes_str(map), "t", "m"};

	errors.count = 0;
	return table_convert(&input, ret, &errors);
}

/* The i-th line as a document. */
static json_t *line_of(const struct table_lines *lines, size_t i)
{
	const struct table_line *line = &lines->lines[i];

	return json_loadb((const char *)lines->text.data + line->at, line->size,
		JSON_REJECT_DUPLICATES, NULL);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

static char *read_file(const char *name)
{
	char path[500], *text = calloc(1, 100000);
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", SAUTI_SOURCE_DIR, name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, 99999, file) > 0);
	fclose(file);
	return text;
}

#define REGISTER                                                                                   \
	"[register]\nname = zz-r\ncase = Code\nkey = N\ndate = DD/MM/YYYY\noccurred_on = Day\n"    \
	"recorded_by = \"ZZ-o\"\noffice = \"HTI\"\n"
#define CONTACT                                                                                    \
	"[CONTACT]\nchannel = Channel\nchannel.PHONE = Tel\nchannel.PHONE = Mobile\n"              \
	"direction = \"IN\"\nresult = \"REACHED\"\nnote = Note\n"
#define HEAD "N,Code,Day,Channel,Note\n"
#define MAP  REGISTER "[CASE_OPENED]\n" CONTACT

/* ---- the shipped example ---- */

/* What docs/IMPORT shows. Each line is an event that the schema takes, but for `case`. */
static void example(void **state)
{
	static const char *const expected[] = {"ZZ-R-001 2025-03-12 CASE_OPENED",
		"ZZ-R-001 2025-03-12 CONSENT_RECORDED", "ZZ-R-001 2025-03-12 CONSENT_RECORDED",
		"ZZ-R-001 2025-03-12 PERSON_RECORDED", "ZZ-R-001 2025-03-12 REFERRAL_MADE",
		"ZZ-R-001 2025-03-12 REFERRAL_MADE", "ZZ-R-001 2025-03-12 CONTACT",
		"ZZ-R-001 2025-04-26 CONTACT", "ZZ-R-002 2025-03-15 CASE_OPENED",
		"ZZ-R-002 2025-03-15 CONSENT_RECORDED", "ZZ-R-002 2025-03-15 PERSON_RECORDED",
		"ZZ-R-002 2025-03-15 NEEDS_ASSESSED", "ZZ-R-002 2025-03-15 CONTACT",
		"ZZ-R-003 2025-03-20 CASE_OPENED", "ZZ-R-003 2025-03-20 CONSENT_REFUSED",
		"ZZ-R-003 2025-03-20 CONTACT"};
	char *text = read_file("docs/examples/register.csv");
	char *map = read_file("docs/examples/register.map");
	struct table_lines lines;

	if (convert(text, map, &lines) != OK)
		fail_msg("%s", errors.text[0]);
	assert_int_equal(lines.count, sizeof expected / sizeof expected[0]);
	assert_int_equal(lines.cases, 3);
	assert_int_equal(lines.rows, 4);
	for (size_t i = 0; i < lines.count; i++) {
		json_t *event = line_of(&lines, i);
		const char *code = text_of(event, "case");
		char found[100];

		if (i > 0)
			assert_true(lines.lines[i].kase > lines.lines[i - 1].kase ||
				    memcmp(lines.lines[i].id.b, lines.lines[i - 1].id.b, 16) > 0);
		snprintf(found, sizeof found, "%s %s %s",
			code[0] != 0 ? code : text_of(event, "case_code"),
			text_of(event, "occurred_on"), text_of(event, "type"));
		assert_string_equal(found, expected[i]);
		assert_null(json_object_get(event, "case_ref"));
		assert_string_equal(text_of(event, "office"), "HTI");
		assert_string_equal(text_of(event, "recorded_by"), "ZZ-hti-1");
		if (strcmp(text_of(event, "type"), "REFERRAL_MADE") == 0) {
			json_t *consent = line_of(&lines, i <= 4 ? 1 : 2);
			json_t *other = line_of(&lines, i <= 4 ? 2 : 1);

			assert_true(strcmp(text_of(event, "consent_ref"),
					    text_of(consent, "event_id")) == 0 ||
				    strcmp(text_of(event, "consent_ref"),
					    text_of(other, "event_id")) == 0);
			json_decref(consent);
			json_decref(other);
		}
		json_decref(event);
	}
	table_lines_release(&lines);
	free(text);
	free(map);
}

/* ---- values ---- */

static void values(void **state)
{
	struct table_lines lines;
	json_t *event;

	assert_ok(convert(HEAD "1,zz-a,01/02/2024,tel,\"a \"\"b\"\"\nc, d\"\n"
			       "2,ZZ-A,3/12/2024 00:00:00,PHONE,\n"
			       "3,ZZ-A,2024-05,  Mobile ,\xd9\x85\n"
			       ",,,,\n"
			       "4,ZZ-B,,Mobile,x\n",
		MAP, &lines));
	assert_int_equal(lines.count, 6);
	event = line_of(&lines, 1); /* translated, whatever the case of letters */
	assert_string_equal(text_of(event, "case"), "ZZ-A");
	assert_string_equal(text_of(event, "occurred_on"), "2024-02-01");
	assert_string_equal(text_of(event, "precision"), "D");
	assert_string_equal(text_of(event, "channel"), "PHONE");
	assert_string_equal(text_of(event, "note"), "a \"b\"\nc, d");
	assert_int_equal(lines.lines[1].row_line, 2);
	json_decref(event);
	event = line_of(&lines, 2);
	assert_string_equal(text_of(event, "occurred_on"), "2024-05");
	assert_string_equal(text_of(event, "precision"), "M");
	assert_int_equal(lines.lines[2].row_line, 5);
	json_decref(event);
	event = line_of(&lines, 3); /* a code is taken as it is; an empty cell is no field */
	assert_string_equal(text_of(event, "occurred_on"), "2024-12-03");
	assert_null(json_object_get(event, "note"));
	json_decref(event);
	event = line_of(&lines, 5);
	assert_string_equal(text_of(event, "occurred_on"), "");
	assert_string_equal(text_of(event, "precision"), "UNKNOWN");
	json_decref(event);
	table_lines_release(&lines);
}

static void dates(void **state)
{
	static const struct {
		const char *cell, *format;
		uint32_t days;
		const char *date;
	} table[] = {
		{"12/03/2025", "DD/MM/YYYY", 0, "2025-03-12"},
		{"12/03/2025", "MM/DD/YYYY", 0, "2025-12-03"},
		{"1/3/2025", "DD/MM/YYYY", 0, "2025-03-01"},
		{"01.03.2025", "DD.MM.YYYY", 0, "2025-03-01"},
		{"2025/03/01", "YYYY/MM/DD", 0, "2025-03-01"},
		{" 2025-03-01 ", "DD/MM/YYYY", 0, "2025-03-01"},
		{"2025", "DD/MM/YYYY", 0, "2025"},
		{"2025-03", "", 0, "2025-03"},
		{"12/03/2025 00:00", "DD/MM/YYYY", 0, "2025-03-12"},
		{"2025-03-12T00:00:00", "", 0, "2025-03-12"},
		{"28/02/2024", "DD/MM/YYYY", 2, "2024-03-01"},
		{"2025-01-01", "", 365, "2026-01-01"},
		{"2025-03", "", 1, NULL},
		{"12/03/2025", "", 0, NULL},
		{"31/02/2025", "DD/MM/YYYY", 0, NULL},
		{"12/13/2025", "DD/MM/YYYY", 0, NULL},
		{"12/03/25", "DD/MM/YYYY", 0, NULL},
		{"12-03-2025", "DD/MM/YYYY", 0, NULL},
		{"12/03/2025 13:30", "DD/MM/YYYY", 0, NULL},
		{"12/03/20255", "DD/MM/YYYY", 0, NULL},
		{"/03/2025", "DD/MM/YYYY", 0, NULL},
		{"yesterday", "DD/MM/YYYY", 0, NULL},
		{"", "DD/MM/YYYY", 0, NULL},
		{"1850-01-01", "", 0, NULL},
		{"1960-01-01", "", 1, NULL},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		char date[11] = "";
		bool good = table_date(
			bytes_str(table[i].cell), bytes_str(table[i].format), table[i].days, date);

		if (good != (table[i].date != NULL))
			fail_msg("%s by %s: %s", table[i].cell, table[i].format, date);
		if (good)
			assert_string_equal(date, table[i].date);
	}
}

/* ---- ids ---- */

static void id_of(const char *text, const char *map, size_t i, struct event_id *ret)
{
	struct table_lines lines;

	if (convert(text, map, &lines) != OK)
		fail_msg("%s", errors.text[0]);
	*ret = lines.lines[i].id;
	table_lines_release(&lines);
}

static bool same_bits(const struct event_id *a, const struct event_id *b)
{
	return memcmp(a->b + 8, b->b + 8, 8) == 0;
}

/* A row keeps its id whatever stands beside it and in its other cells; register, case, section and
 * key make it. */
static void stable_ids(void **state)
{
	struct event_id first, other, opened;
	char text[EVENT_ID_TEXT + 1];

	id_of(HEAD "1,ZZ-A,01/02/2024,Tel,x\n", MAP, 1, &first);
	event_id_text(&first, text);
	/* Frozen: it must be the same in every later version. */
	assert_string_equal(text, "018d61f7-1800-7010-87ce-5fcee8dbea14");
	id_of(HEAD "7,ZZ-B,01/01/2024,Tel,y\n1,ZZ-A,01/02/2024,Mobile,z\n", MAP, 3, &other);
	assert_memory_equal(first.b, other.b, 16);
	id_of("Note;Day;Code;N;Channel\nx;01/02/2024;zz-a;1;Tel\n",
		REGISTER CONTACT "[CASE_OPENED]\n", 1, &other);
	assert_memory_equal(first.b, other.b, 16);
	/* Another date is in the time alone. */
	id_of(HEAD "1,ZZ-A,02/02/2024,Tel,x\n", MAP, 1, &other);
	assert_true(same_bits(&first, &other));
	assert_memory_not_equal(first.b, other.b, 6);
	id_of(HEAD "2,ZZ-A,01/02/2024,Tel,x\n", MAP, 1, &other);
	assert_false(same_bits(&first, &other));
	id_of(HEAD "1,ZZ-B,01/02/2024,Tel,x\n", MAP, 1, &other);
	assert_false(same_bits(&first, &other));
	id_of(HEAD "1,ZZ-A,01/02/2024,Tel,x\n", MAP, 0, &opened);
	assert_false(same_bits(&first, &opened));
	/* Nothing is dated before the case was opened, so that its events are folded behind it. */
	id_of(HEAD "1,ZZ-A,01/02/2024,Tel,x\n2,ZZ-A,01/01/2023,Tel,x\n", MAP, 2, &other);
	assert_true(memcmp(opened.b, other.b, 16) < 0);
}

static void once_and_again(void **state)
{
	struct table_lines lines;

	/* The same row twice, and CASE_OPENED from the first row of a case alone. */
	assert_ok(convert(HEAD "1,ZZ-A,01/02/2024,Tel,x\n1,ZZ-A,01/02/2024,Tel,x\n"
			       "2,ZZ-A,02/02/2024,Tel,x\n",
		MAP, &lines));
	assert_int_equal(lines.count, 3);
	assert_int_equal(lines.repeated, 1);
	table_lines_release(&lines);
	/* Another content, or another date, under the same key. */
	assert_int_equal(
		convert(HEAD "1,ZZ-A,01/02/2024,Tel,x\n1,ZZ-A,01/02/2024,Tel,y\n", MAP, &lines),
		ERR_INVALID);
	assert_string_equal(errors.text[0], "t:3: this row and that of line 2 have one key and "
					    "make two different CONTACT; name "
					    "the column that tells them apart: key = ..");
	assert_int_equal(
		convert(HEAD "1,ZZ-A,01/02/2024,Tel,x\n1,ZZ-A,02/02/2024,Tel,x\n", MAP, &lines),
		ERR_INVALID);
}

/* ---- errors ---- */

static const struct {
	const char *text, *map, *says;
} bad[] = {
	{"", MAP, "t: no line in it"},
	{HEAD, MAP, "t: no row makes an event"},
	{HEAD "1,ZZ-A,01/02/2024,Tel,\"x\n", MAP, "t:2: a quotation mark is never closed"},
	{"N,Code,Day,Channel,Note,DOB\n1,ZZ-A,01/02/2024,Tel,x,y\n", MAP,
		"t:1: column 'DOB': it is neither mapped nor ignored; what must not be recorded is "
		"named: ignore = .."},
	{"N,Code,Day,Channel,Note,N\n", MAP, "t:1: column 'N': two columns have this name"},
	{HEAD, REGISTER "ignore = Note\n[CASE_OPENED]\n" CONTACT,
		"t:1: column 'Note': it is mapped and ignored"},
	{"N,Code,Day,Channel\n", MAP, "m:16: 'Note': t has no such column"},
	{HEAD, MAP "when = Left is given\n", "m:17: 'Left': t has no such column"},
	{HEAD "1,ZZ A,01/02/2024,Tel,x\n", MAP,
		"t:2: column 'Code': case code: allowed are 1 to 32 letters, digits and hyphens"},
	{HEAD "1,,01/02/2024,Tel,x\n", MAP, "t:2: column 'Code': case code"},
	{HEAD "1,HTI-7K3Q-6,01/02/2024,Tel,x\n", MAP,
		"t:2: column 'Code': case code: its last character does not fit the others"},
	{HEAD "1,ZZ-A,31/02/2024,Tel,x\n", MAP,
		"t:2: column 'Day': occurred_on: no date of the calendar; allowed: DD/MM/YYYY, "
		"YYYY-MM-DD, YYYY-MM, YYYY"},
	{HEAD "1,ZZ-A,01/02/2024,Pigeon,x\n", MAP,
		"t:2: column 'Channel': channel: found text of 6 bytes; allowed: a code, or a text "
		"that the mapping translates"},
	{HEAD "1,ZZ-A,01/02/2024,,x\n", MAP,
		"t:2: [CONTACT]: channel: missing; CONTACT must say: How?"},
	{HEAD "1,ZZ-A,01/02/2024,Tel,x,y\n", MAP, "t:2: column 6 has a cell and no name"},
	{HEAD "1,ZZ-A,01/02/2024,Tel,x\x01\n", MAP, "t:2: column 'Note': note: found text"},
	{"N,Code,Day,Channel,Note\n1,ZZ-A,01/02/2024,Tel,x\n",
		REGISTER "language = Note\n[CASE_OPENED]\nintake_channel = Channel\n"
			 "intake_channel.PHONE = Tel\n",
		"t:2: column 'Note': language: allowed is a tag"},
	{"N,Code,Day,Office,Who\n1,ZZ-A,01/02/2024,Haiti,x\n",
		"[register]\nname = r\ncase = Code\nkey = N\noffice = Office\nrecorded_by = Who\n"
		"ignore = Day\n[CASE_OPENED]\n",
		"t:2: column 'Office': office: allowed is a code of ISO 3166-1"},
	{"N,Code\n1,ZZ-A\n",
		"[register]\nname = r\ncase = Code\nkey = N\n[CONSENT_WITHDRAWN x]\n"
		"when = N is \"2\"\nconsent_id = \"C-1\"\n[REFERRAL_MADE]\n"
		"service_code = \"MED\"\nconsent_ref = [CONSENT_WITHDRAWN x]\n",
		"t:2: [REFERRAL_MADE]: consent_ref: neither this row nor one above it made the "
		"event "
		"[CONSENT_WITHDRAWN x] of this case"},
	{HEAD "1,ZZ-A,01/02/2024,Tel,\xe9\n", MAP, "t:2: not UTF-8"},
	{HEAD "1,ZZ-A,01/02/2024,Tel,\x81\n",
		REGISTER "encoding = windows-1252\n[CASE_OPENED]\n" CONTACT, "t:2: byte 0x81"},
};

static void refused(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct table_lines lines;

		if (convert(bad[i].text, bad[i].map, &lines) != ERR_INVALID)
			fail_msg("%zu is taken", i);
		if (errors.count == 0 ||
			strncmp(errors.text[0], bad[i].says, strlen(bad[i].says)) != 0)
			fail_msg("%zu: '%s'", i, errors.count == 0 ? "" : errors.text[0]);
		assert_null(strstr(errors.text[0], "Pigeon"));
	}
}

/* All of a file at once, each where it stands. */
static void all_errors(void **state)
{
	struct table_lines lines;

	assert_int_equal(convert(HEAD "1,?,x,y,\n"
				      "2,ZZ-A,x,y,\n"
				      "3,ZZ-A,01/02/2024,Tel,\n"
				      "4,ZZ-A,01/13/2024,Tel,\n",
				 MAP, &lines),
		ERR_INVALID);
	/* Line 3 makes two events, each with its date. */
	assert_int_equal(errors.count, 5);
	assert_int_equal(strncmp(errors.text[0], "t:2: column 'Code'", 18), 0);
	assert_int_equal(strncmp(errors.text[1], "t:3: column 'Day'", 17), 0);
	assert_int_equal(strncmp(errors.text[4], "t:5: column 'Day'", 17), 0);
}

/* ---- files as programs write them ---- */

static void encodings(void **state)
{
	struct table_lines lines;
	json_t *event;

	assert_ok(convert("\xef\xbb\xbfsep=;\r\nN;Code;Day;Channel;Note\r\n1;ZZ-A;01/02/"
			  "2024;Tel;\xc3\xa9t\xc3\xa9\r\n",
		MAP, &lines));
	event = line_of(&lines, 1);
	assert_string_equal(text_of(event, "note"), "été");
	assert_int_equal(lines.lines[1].row_line, 3);
	json_decref(event);
	table_lines_release(&lines);
	assert_ok(convert("N;Code;Day;Channel;Note\r\n1;ZZ-A;01/02/2024;Tel;\xe9t\xe9\r\n",
		REGISTER "encoding = windows-1252\n[CASE_OPENED]\n" CONTACT, &lines));
	event = line_of(&lines, 1);
	assert_string_equal(text_of(event, "note"), "été");
	json_decref(event);
	table_lines_release(&lines);
	/* A head with a line break in it, and columns without a name or a cell. */
	assert_ok(convert("N,Code,Day,\"Channel\n of contact\",Note,,\n1,ZZ-A,01/02/2024,Tel,x,,\n",
		REGISTER
		"[CASE_OPENED]\n[CONTACT]\nchannel = Channel of contact\n"
		"channel.PHONE = Tel\ndirection = \"IN\"\nresult = \"REACHED\"\nnote = Note\n",
		&lines));
	assert_int_equal(lines.count, 2);
	table_lines_release(&lines);
}

/* ---- size ---- */

static void many_cases(void **state)
{
	enum { CASES = 3000 };
	char *text = malloc(100 + CASES * 60), *at = stpcpy(text, HEAD);
	struct table_lines lines;

	for (unsigned i = 0; i < CASES; i++)
		at += sprintf(at, "%u,ZZ-%u,01/02/2024,Tel,x\n", i, i % (CASES / 2));
	assert_ok(convert(text, MAP, &lines));
	assert_int_equal(lines.cases, CASES / 2);
	assert_int_equal(lines.count, CASES / 2 + CASES);
	assert_int_equal(lines.lines[0].type, EVENT_CASE_OPENED);
	assert_int_equal(lines.lines[3].type, EVENT_CASE_OPENED);
	table_lines_release(&lines);
	free(text);
}

/* ---- caps ---- */

static char *repeated(const char *head, const char *line, size_t count)
{
	size_t size = strlen(line), at = strlen(head);
	char *text = malloc(at + size * count + 1);

	memcpy(text, head, at);
	for (size_t i = 0; i < count; i++, at += size)
		memcpy(text + at, line, size);
	text[at] = 0;
	return text;
}

static void check_cap(char *text, const char *map, const char *says)
{
	struct table_lines lines;
	enum err err = convert(text, map, &lines);

	assert_int_equal(err, says == NULL ? OK : ERR_INVALID);
	if (says != NULL)
		assert_non_null(strstr(errors.text[0], says));
	else
		table_lines_release(&lines);
	free(text);
}

static void size_of_a_table(void **state)
{
	static const char head[] = HEAD "1,ZZ-A,01/02/2024,Tel,x\n";
	size_t rest = LIMIT_TABLE_SIZE - strlen(head);

	check_cap(repeated(head, "\n", rest), MAP, NULL);
	check_cap(repeated(head, "\n", rest + 1), MAP, "t: more than 16 MiB");
}

/* 64 sections of one row: each makes an event, with its note. */
static char *wide_map(void)
{
	char *map = malloc(64 * 200),
	     *at = stpcpy(map, "[register]\nname = r\ncase = c\nkey = n\n");

	for (unsigned i = 0; i < LIMIT_MAPPING_SECTIONS; i++)
		at += sprintf(at,
			"[CONSENT_REFUSED %u]\npurpose = \"MEDIA\"\nnote = t\noffice = \"HTI\"\n",
			i);
	return map;
}

static void events_of_a_table(void **state)
{
	enum { ROWS = LIMIT_TABLE_EVENTS / LIMIT_MAPPING_SECTIONS, CASES = 500 };
	char *map = wide_map();

	for (unsigned more = 0; more < 2; more++) {
		char *text = malloc(100 + 40 * (ROWS + 1)), *at = stpcpy(text, "c,n,t\n");

		for (unsigned i = 0; i < ROWS + more; i++)
			at += sprintf(at, "z%u,%u,\n", i % CASES, i);
		check_cap(text, map, more == 0 ? NULL : "more than 200,000 events");
	}
	free(map);
}

/* 64 notes of 16 KiB, more or less, make a MiB of lines out of one row. */
static void lines_of_a_table(void **state)
{
	char *map = wide_map(), *note = repeated("", "x", LIMIT_CSV_CELL);

	for (unsigned more = 0; more < 2; more++) {
		unsigned rows = 62 + 2 * more;
		char *text = malloc((LIMIT_CSV_CELL + 100) * rows), *at = stpcpy(text, "c,n,t\n");

		for (unsigned i = 0; i < rows; i++)
			at += sprintf(at, "z,%u,%s\n", i, note);
		check_cap(text, map, more == 0 ? NULL : "more than 64 MiB of events");
	}
	free(note);
	free(map);
}

static enum err convert_once(void *arg)
{
	struct table_lines lines;
	enum err err;

	err = convert(HEAD "1,ZZ-A,01/02/2024,Tel,x\n", MAP, &lines);
	if (err == OK)
		table_lines_release(&lines);
	return err;
}

/* libcsv asks again for less when there is no memory, so a run may go through all the same: what
 * counts is that nothing stays, and that nothing else than ERR_NOMEM comes of it. */
static void no_memory(void **state)
{
	struct allocator allocator = {.resize = failing_resize};

	mem_set_allocator(&allocator);
	json_set_alloc_funcs(failing_json_malloc, failing_json_free);
	for (size_t n = 1;; n++) {
		enum err err;

		failing = (struct failing){.fail_at = n};
		err = convert_once(NULL);
		assert_int_equal(failing.live, 0);
		assert_true(err == OK || err == ERR_NOMEM);
		if (failing.calls < n)
			break;
	}
	mem_set_allocator(NULL);
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example),
		cmocka_unit_test(values),
		cmocka_unit_test(dates),
		cmocka_unit_test(stable_ids),
		cmocka_unit_test(once_and_again),
		cmocka_unit_test(refused),
		cmocka_unit_test(all_errors),
		cmocka_unit_test(encodings),
		cmocka_unit_test(many_cases),
		cmocka_unit_test(size_of_a_table),
		cmocka_unit_test(events_of_a_table),
		cmocka_unit_test(lines_of_a_table),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
