#include "cases_test.h"

#include "cases/view/render.h"

#define REF   "\"case_ref\":\"00112233445566778899aabbccddeeff\""
#define ID(n) "\"01900000-0000-7000-8000-0000000000" n "\""

enum { MAX = 4 * 1024 * 1024 };

static const struct event_target target = {EVENT_CASE_OPENED, GROUP_CORE, GROUP_BIT(GROUP_CORE)};

static void add_line(struct timeline *timeline, const char *line)
{
	struct event_parts parts;
	struct event event;
	struct errctx ctx = {""};

	if (event_parse(bytes_str(line), &event, &ctx) != OK)
		fail_msg("%s: %s", line, ctx.text);
	assert_ok(
		event_split(&event, event.type == EVENT_CORRECTION ? &target : NULL, &parts, NULL));
	for (size_t i = 0; i < parts.count; i++)
		assert_ok(timeline_add(timeline, buf_bytes(&parts.part[i].packed), NULL));
	event_parts_release(&parts);
	event_release(&event);
}

static struct timeline *timeline_of(const char *const *lines, size_t count)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < count; i++)
		add_line(timeline, lines[i]);
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_left_out(timeline), 0);
	return timeline;
}

static char *render(const struct render_options *options, const struct timeline *timeline,
	struct render_counts *ret_counts)
{
	struct render_case kase = {"ZZ-A-1", timeline};
	struct errctx ctx = {""};
	struct render *render;
	struct buf text;
	char *copy;

	assert_ok(render_new(options, &render, &ctx));
	assert_ok(render_case(render, &kase, &ctx));
	assert_ok(render_finish(render, &text, &ctx));
	if (ret_counts != NULL)
		*ret_counts = render_counts(render);
	copy = strdup(buf_cstr(&text));
	buf_wipe(&text);
	render_free(render);
	return copy;
}

/* ---- JSON lines ---- */

#define TAIL ",\"recorded_by\":\"ZZ-o\",\"office\":\"HTI\""
/* Opened after something had occurred; a consent recorded by a clock that is late; a correction of
 * it; a circle of two. In no order. */
static const char *const life[] = {
	"{\"type\":\"CONTACT\",\"event_id\":" ID(
		"01") "," REF ",\"occurred_on\":\"2024-01-01\",\"recorded_at\":\"2024-03-03T00:00:"
		      "00Z\"" TAIL ",\"channel\":\"PHONE\",\"note\":\"lorem \\\"ipsum\\\" "
		      "\xd9\x85\xd9\x81\\n\\t\\\\\"}",
	"{\"type\":\"CASE_OPENED\",\"event_id\":" ID(
		"02") "," REF ",\"occurred_on\":\"2024-02-01\",\"recorded_at\":\"2024-03-02T00:00:"
		      "00Z\"" TAIL ",\"case_code\":\"ZZ-A-1\",\"preferred_language\":\"ar\"}",
	"{\"type\":\"REFERRAL_MADE\",\"event_id\":" ID(
		"03") "," REF ",\"occurred_on\":\"2024-02-02\",\"recorded_at\":\"2024-01-01T00:00:"
		      "00Z\"" TAIL ",\"consent_refs\":[" ID(
			      "04") "],\"service_code\":[\"LEGAL\",\"MED\"],\"to_org\":\"=x\"}",
	"{\"type\":\"CONSENT_RECORDED\",\"event_id\":" ID(
		"04") "," REF ",\"occurred_on\":\"\",\"recorded_at\":\"2025-01-01T00:00:00Z\"" TAIL
		      ",\"consent_id\":\"C-1\",\"scope\":{\"groups\":[\"core\"]}}",
	"{\"type\":\"CORRECTION\",\"event_id\":" ID(
		"05") "," REF
		      ",\"occurred_on\":\"2023\",\"recorded_at\":\"2024-01-02T00:00:00Z\"" TAIL
		      ",\"corrects\":" ID("02") ",\"field\":\"office\",\"new_value\":7}",
	"{\"type\":\"CASE_CLOSED\",\"event_id\":" ID(
		"06") "," REF
		      ",\"occurred_on\":\"2024-05\",\"recorded_at\":\"2024-05-02T00:00:00Z\"" TAIL
		      ",\"parents\":[" ID("07") "]}",
	"{\"type\":\"CASE_REOPENED\",\"event_id\":" ID(
		"07") "," REF
		      ",\"occurred_on\":\"2024-06\",\"recorded_at\":\"2024-06-02T00:00:00Z\"" TAIL
		      ",\"parents\":[" ID("06") "]}",
};
enum { LIFE = sizeof life / sizeof life[0] };

static char *timeline_text(const struct timeline *timeline)
{
	struct buf buf;
	char *text;

	buf_init(&buf, MAX);
	timeline_json(timeline, &buf);
	text = strdup(buf_cstr(&buf));
	buf_release(&buf);
	return text;
}

/* What is exported, imported into nothing, folds to the same timeline, and no line names one that
 * comes later. */
static void jsonl_again(void **state)
{
	struct render_options options = {.format = RENDER_JSONL, .max = MAX};
	struct timeline *timeline = timeline_of(life, LIFE);
	struct render_counts counts;
	char *text = render(&options, timeline, &counts), *before = timeline_text(timeline);
	static const char order[] = "2435176"; /* last digits of the ids */
	const char *lines[LIFE];
	struct timeline *again;
	char *rest = text, *after;

	for (size_t i = 0; i < LIFE; i++) {
		char *end = strchr(rest, '\n'), *id = strstr(rest, "\"event_id\":\"");

		assert_non_null(end);
		*end = 0;
		lines[i] = rest;
		assert_non_null(id);
		assert_int_equal(id[12 + 35], order[i]);
		rest = end + 1;
	}
	assert_string_equal(rest, "");
	again = timeline_of(lines, LIFE);
	after = timeline_text(again);
	assert_string_equal(before, after);
	assert_int_equal(counts.cases, 1);
	assert_int_equal(counts.events, LIFE);
	assert_int_equal(counts.not_again, 0);
	timeline_free(timeline);
	timeline_free(again);
	free(text);
	free(before);
	free(after);
}

/* A part without its main part is shown, and counted as what cannot be recorded. */
static void partial_is_counted(void **state)
{
	struct render_options options = {.format = RENDER_JSONL, .max = MAX};
	struct event_parts parts;
	struct timeline *timeline;
	struct render_counts counts;
	struct event event;
	char *text;

	assert_ok(event_parse(bytes_str(life[0]), &event, NULL));
	assert_ok(event_split(&event, NULL, &parts, NULL));
	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < parts.count; i++)
		if (!parts.part[i].main)
			assert_ok(timeline_add(timeline, buf_bytes(&parts.part[i].packed), NULL));
	assert_ok(timeline_finish(timeline));
	text = render(&options, timeline, &counts);
	assert_non_null(strstr(text, "\"partial\":true"));
	assert_int_equal(counts.not_again, 1);
	free(text);
	event_parts_release(&parts);
	event_release(&event);
	timeline_free(timeline);
}

/* ---- CSV ---- */

static void csv_rows(void **state)
{
	static const char *const chosen[] = {
		"occurred_on", "to_org", "service_code", "scope", "note"};
	struct render_options options = {.format = RENDER_CSV, .max = MAX};
	struct timeline *timeline = timeline_of(life, LIFE);
	char *text = render(&options, timeline, NULL);

	/* Every field that occurs has a column. */
	assert_int_equal(strncmp(text,
				 "\xef\xbb\xbf"
				 "case_code,case_ref,event_id,type,",
				 36),
		0);
	assert_non_null(strstr(text, ",partial,corrects,field,new_value,channel,note,"));
	free(text);

	options.columns = chosen;
	options.column_count = 5;
	text = render(&options, timeline, NULL);
	assert_string_equal(text,
		"\xef\xbb\xbf"
		"occurred_on,to_org,service_code,scope,note\r\n"
		"2023,,,,\r\n"
		"2024-01-01,,,,\"lorem \"\"ipsum\"\" \xd9\x85\xd9\x81\n'\t\\\"\r\n"
		"2024-02-01,,,,\r\n"
		"2024-02-02,'=x,\"LEGAL; MED\",,\r\n"
		"2024-05,,,,\r\n"
		"2024-06,,,,\r\n"
		",,,\"{\"\"groups\"\":[\"\"core\"\"]}\",\r\n");
	free(text);
	timeline_free(timeline);
}

static void csv_harmless(void **state)
{
	static const char *const cells[][2] = {
		{"", ""},
		{"plain text", "plain text"},
		{"a-b=c+d@e", "a-b=c+d@e"},
		{"=1+1", "'=1+1"},
		{"+509 1", "'+509 1"},
		{"-2", "'-2"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"\t=1", "\"'\t'=1\""},
		{"\r=1", "\"'\r'=1\""},
		{"  =1", "\"  '=1\""},
		{"x\n=1", "\"x\n'=1\""},
		{"x\r\n-1", "\"x\r\n'-1\""},
		{"x,=1", "\"x,'=1\""},
		{"x;=1", "\"x;'=1\""},
		{"x; @1", "\"x; '@1\""},
		{"x|=1", "\"x|'=1\""},
		{"x\t+1", "\"x\t'+1\""},
		{"\"=1", "\"\"\"'=1\""},
		{"\",=1", "\"\"\",'=1\""},
		{"\xef\xbc\x9d"
		 "1",
			"'\xef\xbc\x9d"
			"1"},
		{"\xef\xbc\xa0"
		 "1",
			"'\xef\xbc\xa0"
			"1"},
		{"x ", "\"x \""},
		{"say \"so\"", "\"say \"\"so\"\"\""},
		{"\xd9\x85\xd9\x81", "\xd9\x85\xd9\x81"},
	};

	for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
		struct buf out;

		buf_init(&out, 1000);
		render_csv_cell(bytes_str(cells[i][0]), &out);
		assert_string_equal(buf_cstr(&out), cells[i][1]);
		buf_release(&out);
	}
}

/* An event with fields from `first` on. */
static char *wide_line(unsigned n, unsigned first, unsigned count)
{
	char *line = malloc(1000 + 30 * count);
	size_t at = (size_t)sprintf(line,
		"{\"type\":\"FEEDBACK\",\"event_id\":\"01900000-0000-7000-8000-%012u\"," REF
		",\"occurred_on\":\"2024-01-01\",\"recorded_at\":\"2024-03-03T00:00:00Z\"" TAIL,
		n);

	for (unsigned i = first; i < first + count; i++)
		at += (size_t)sprintf(line + at, ",\"f%u\":\"=%u\"", i, i);
	strcpy(line + at, "}");
	return line;
}

/* As many columns as there may be; and one field more. */
static void csv_columns(void **state)
{
	for (unsigned more = 0; more < 2; more++) {
		struct render_options options = {.format = RENDER_CSV, .max = MAX};
		unsigned fields = LIMIT_CSV_COLUMNS - 14 + more, n = 0;
		struct timeline *timeline;
		char *lines[20], *text;

		for (unsigned first = 0; first < fields; first += 60, n++)
			lines[n] = wide_line(n, first, fields - first < 60 ? fields - first : 60);
		timeline = timeline_of((const char *const *)lines, n);
		text = render(&options, timeline, NULL);
		assert_non_null(strstr(text, ",f497"));
		assert_non_null(strstr(text, ",'=497"));
		assert_true((strstr(text, ",other\r\n") != NULL) == (more == 1));
		assert_true((strstr(text, "{\"\"f498\"\":\"\"'=498\"\"}") != NULL) == (more == 1));
		free(text);
		timeline_free(timeline);
		while (n > 0)
			free(lines[--n]);
	}
}

static void csv_bad_columns(void **state)
{
	const char *twice[] = {"note", "note"}, *bad[] = {"=x"}, *many[LIMIT_CSV_COLUMNS + 1];
	struct render_options options = {.format = RENDER_CSV, .max = MAX};
	struct errctx ctx = {""};
	struct render *render = NULL;

	options.columns = twice;
	options.column_count = 2;
	assert_int_equal(render_new(&options, &render, &ctx), ERR_INVALID);
	assert_string_equal(ctx.text, "column note: it is given twice");
	options.columns = bad;
	options.column_count = 1;
	assert_int_equal(render_new(&options, &render, &ctx), ERR_INVALID);
	options.columns = many;
	options.column_count = LIMIT_CSV_COLUMNS + 1;
	assert_int_equal(render_new(&options, &render, &ctx), ERR_LIMIT);
	assert_null(render);
}

/* ---- a hand-over ---- */

#define COMMONS(day) REF ",\"occurred_on\":\"" day "\",\"recorded_at\":\"" day "T08:00:00Z\"" TAIL
static const char *const story[] = {
	"{\"type\":\"CASE_OPENED\",\"event_id\":" ID("21") "," COMMONS(
		"2024-01-01") ",\"case_code\":\"ZZ-A-1\"}",
	"{\"type\":\"CONSENT_RECORDED\",\"event_id\":" ID("22") "," COMMONS(
		"2024-01-02") ",\"consent_id\":\"C-1\",\"purpose\":\"CASE_MGMT\",\"given_by\":"
			      "\"VICTIM\",\"form\":\"WRITTEN\",\"valid_until\":\"2030-01-01\"}",
	"{\"type\":\"CONSENT_RECORDED\",\"event_id\":" ID("23") "," COMMONS(
		"2024-01-03") ",\"consent_id\":\"C-2\",\"purpose\":\"REFERRAL\",\"given_by\":"
			      "\"VICTIM\",\"form\":\"WRITTEN\",\"valid_until\":\"2030-01-01\","
			      "\"recipients\":[\"ZZ <clinic>\"],\"services\":[\"MED\"],"
			      "\"groups\":[\"contact\",\"health\"]}",
	"{\"type\":\"REFERRAL_MADE\",\"event_id\":" ID("24") "," COMMONS(
		"2024-01-04") ",\"referral_id\":\"R-1\",\"service_code\":\"MED\",\"to_org\":"
			      "\"ZZ <clinic>\",\"consent_ref\":" ID("23") ",\"reply_due_on\":"
									  "\"2024-01-18\"}",
	"{\"type\":\"CONTACT\",\"event_id\":" ID("25") "," COMMONS(
		"2024-02-01") ",\"language\":\"ar\",\"channel\":\"PHONE\",\"direction\":\"OUT\","
			      "\"result\":\"REACHED\",\"next_contact_due_on\":\"2024-03-01\","
			      "\"note\":\"\xd9\x85\xd9\x81 <script>alert('1')</script> & "
			      "\\\"x\\\"\"}",
	"{\"type\":\"CORRECTION\",\"event_id\":" ID("26") "," COMMONS(
		"2024-02-02") ",\"corrects\":" ID("25") ",\"field\":\"channel\",\"new_value\":"
							"\"SMS\",\"reason\":\"ERROR\"}",
	"{\"type\":\"CORRECTION\",\"event_id\":" ID("27") "," COMMONS(
		"2024-02-03") ",\"corrects\":" ID("25") ",\"field\":\"topics\",\"new_value\":"
							"[\"SERVICES\"],\"reason\":\"NEW_INFO\"}",
	"{\"type\":\"CONSENT_WITHDRAWN\",\"event_id\":" ID("28") "," COMMONS(
		"2024-02-04") ",\"consent_id\":\"C-2\",\"effective_at\":\"2024-02-04\"}",
};
enum { STORY = sizeof story / sizeof story[0] };

static const struct render_options handover = {
	.format = RENDER_HANDOVER, .max = MAX, .today = "2024-06-01", .officer = "ZZ-<o>"};

/* Every element that is opened is closed, in order. */
static void check_balance(const char *page)
{
	char stack[40][20];
	size_t depth = 0;

	for (const char *at = strchr(page, '<'); at != NULL; at = strchr(at + 1, '<')) {
		char name[20] = "";
		size_t size = strspn(at + 1, "/abcdefghijklmnopqrstuvwxyz0123456789");

		assert_in_range(size, at[1] == '!' ? 0 : 1, 19);
		memcpy(name, at + 1, size);
		if (at[1] == '!' || strcmp(name, "meta") == 0)
			continue;
		if (name[0] != '/') {
			assert_true(depth < 40);
			strcpy(stack[depth++], name);
			continue;
		}
		assert_true(depth > 0);
		assert_string_equal(stack[--depth], name + 1);
	}
	assert_int_equal(depth, 0);
}

static void assert_has(const char *page, const char *text)
{
	if (strstr(page, text) == NULL)
		fail_msg("'%s' is not in: %s", text, page);
}

static void handover_page(void **state)
{
	struct timeline *timeline = timeline_of(story, STORY);
	char *page = render(&handover, timeline, NULL);
	const char *newest, *oldest;

	check_balance(page);
	assert_has(page, "Printed on 2024-06-01 by ZZ-&lt;o&gt;.");
	assert_has(page, "<h2>ZZ-A-1</h2>");
	/* Nothing of an officer's or a victim's is more than text. */
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "http://"));
	assert_null(strstr(page, "url("));
	assert_has(page, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;");
	/* Arabic from the right. */
	assert_has(page, "<article lang=\"ar\">");
	assert_has(page, "<dt>note</dt><dd><span dir=\"auto\">\xd9\x85\xd9\x81 ");
	/* What stands open, and what is late. */
	assert_has(page, "<li>Referral R-1, medical: no answer yet, due 2024-01-18 "
			 "<span class=\"late\">(over)</span></li>");
	assert_has(
		page, "<tr><th>Next contact</th><td>2024-03-01 <span class=\"late\">(over)</span>");
	/* Consents: purpose, recipients, services, groups, days. */
	assert_has(page,
		"<td>keeping the case and helping with it</td><td>-</td><td>all</td><td>-</td>");
	assert_has(page, "<td>holds</td>");
	assert_has(page, "<td>referral to a service</td><td dir=\"auto\">ZZ &lt;clinic&gt;</td><td "
			 "dir=\"auto\">medical</td><td dir=\"auto\">contact, health</td>");
	assert_has(page, "<span class=\"late\">withdrawn 2024-02-04</span>");
	/* Corrections: the old value struck, also of a field that was not there. */
	assert_has(page,
		"<dt>channel</dt><dd><del dir=\"auto\">telephone</del> <ins "
		"dir=\"auto\">text message</ins> <span class=\"by\">(2024-02-02, ZZ-o)</span>");
	assert_has(page,
		"<dt>topics</dt><dd><del dir=\"auto\">-</del> <ins dir=\"auto\">services</ins>");
	newest = strstr(page, "2024-02-04 Consent withdrawn");
	oldest = strstr(page, "2024-01-01 Case opened");
	assert_non_null(newest);
	assert_non_null(oldest);
	assert_true(newest < oldest);
	free(page);
	timeline_free(timeline);
}

static void handover_of_anything(void **state)
{
	struct timeline *timeline = timeline_of(life, LIFE);
	char *page = render(&handover, timeline, NULL);

	check_balance(page);
	free(page);
	timeline_free(timeline);
}

static void handover_needs(void **state)
{
	struct render_options options = handover;
	struct render *render = NULL;

	options.today = NULL;
	assert_int_equal(render_new(&options, &render, NULL), ERR_INVALID);
	options.today = "2024-13-01";
	assert_int_equal(render_new(&options, &render, NULL), ERR_INVALID);
	options.today = "2024-12-01";
	options.officer = NULL;
	assert_int_equal(render_new(&options, &render, NULL), ERR_INVALID);
	assert_null(render);
}

/* ---- all ---- */

static enum err render_within(enum render_format format, size_t max, size_t *ret_size)
{
	struct render_options options = {.format = format, .max = max};
	struct timeline *timeline = timeline_of(life, LIFE);
	struct render_case kase = {"ZZ-A-1", timeline};
	struct render *render;
	struct buf text;
	enum err err;

	assert_ok(render_new(&options, &render, NULL));
	err = render_case(render, &kase, NULL);
	if (err == OK)
		err = render_finish(render, &text, NULL);
	if (err == OK) {
		*ret_size = text.size;
		buf_wipe(&text);
	}
	render_free(render);
	timeline_free(timeline);
	return err;
}

/* The smallest maximum that is enough: what JSON lines are; what CSV keeps is never less than a
 * maximum of its text, nor more than twice as much. */
static void maximum(void **state)
{
	for (enum render_format f = RENDER_JSONL; f <= RENDER_CSV; f++) {
		size_t size, low = 0, high = MAX, ignored;

		assert_ok(render_within(f, MAX, &size));
		while (low + 1 < high) {
			size_t middle = (low + high) / 2;
			enum err err = render_within(f, middle, &ignored);

			if (err != OK)
				assert_int_equal(err, ERR_LIMIT);
			*(err == OK ? &high : &low) = middle;
		}
		assert_in_range(high, size, f == RENDER_JSONL ? size : 2 * size);
	}
}

static enum err render_once(void *arg)
{
	struct render_options options = {.format = *(enum render_format *)arg,
		.max = MAX,
		.today = "2025-01-01",
		.officer = "ZZ-o"};
	struct timeline *timeline = NULL;
	struct render *render = NULL;
	struct event_parts parts = {0};
	struct event event = {0};
	struct buf text = {0};
	enum err err = event_parse(bytes_str(life[2]), &event, NULL);

	if (err == OK)
		err = event_split(&event, NULL, &parts, NULL);
	if (err == OK)
		err = timeline_new(&timeline);
	for (size_t i = 0; i < parts.count && err == OK; i++)
		err = timeline_add(timeline, buf_bytes(&parts.part[i].packed), NULL);
	if (err == OK)
		err = timeline_finish(timeline);
	if (err == OK)
		err = render_new(&options, &render, NULL);
	if (err == OK)
		err = render_case(render, &(struct render_case){"ZZ-A-1", timeline}, NULL);
	if (err == OK)
		err = render_finish(render, &text, NULL);
	buf_wipe(&text);
	render_free(render);
	timeline_free(timeline);
	event_parts_release(&parts);
	event_release(&event);
	return err;
}

static void no_memory(void **state)
{
	for (enum render_format f = RENDER_JSONL; f <= RENDER_HANDOVER; f++)
		torture(render_once, &f);
}

static void formats(void **state)
{
	enum render_format format;

	assert_true(render_format_find(bytes_str("csv"), &format));
	assert_int_equal(format, RENDER_CSV);
	assert_string_equal(render_format_name(RENDER_JSONL), "jsonl");
	assert_false(render_format_find(bytes_str("CSV"), &format));
	assert_false(render_format_find(bytes_str(""), &format));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jsonl_again),
		cmocka_unit_test(partial_is_counted),
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(csv_harmless),
		cmocka_unit_test(csv_columns),
		cmocka_unit_test(csv_bad_columns),
		cmocka_unit_test(handover_page),
		cmocka_unit_test(handover_of_anything),
		cmocka_unit_test(handover_needs),
		cmocka_unit_test(maximum),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
