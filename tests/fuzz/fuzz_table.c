/*
 * A mapping and a table, apart by a line "====", both as strangers wrote them; without the line, a
 * table alone under a mapping that takes what comes. What is made of them are events that the
 * parser and the schema take, in order, each id once; and making them again gives the same bytes.
 */
#include <assert.h>

#include "base/crypto.h"
#include "cases/import/csv.h"
#include "cases/import/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char own_map[] =
	"[register]\nname = r\ncase = a\nkey = b\ndate = DD/MM/YYYY\noccurred_on = b\n"
	"[CASE_OPENED]\n[CONTACT]\nchannel = c\nchannel.PHONE = t\ndirection = \"IN\"\n"
	"result = \"REACHED\"\nnote = d\nnext_contact_due_on = b + 9d\n";

static void start(void)
{
	static bool started;
	enum err err = started ? OK : crypto_init();

	assert(err == OK);
	started = true;
}

static void check_line(const struct table_lines *lines, const struct table_line *line)
{
	struct bytes text = bytes_make(lines->text.data + line->at, line->size);
	struct event event;
	enum err err = event_parse(text, &event, NULL);

	assert(err == OK);
	assert(event.type == line->type && memcmp(event.id.b, line->id.b, EVENT_ID_SIZE) == 0);
	assert(!event.has.case_ref);
	assert((event_field_json(&event, "case") != NULL) == (event.type != EVENT_CASE_OPENED));
	event_release(&event);
}

static void check_lines(const struct table_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		const struct table_line *line = &lines->lines[i], *before = line - 1;

		check_line(lines, line);
		if (i == 0 || before->kase < line->kase)
			continue;
		assert(before->kase == line->kase);
		assert(line->type != EVENT_CASE_OPENED);
		assert(before->type == EVENT_CASE_OPENED ||
			memcmp(before->id.b, line->id.b, EVENT_ID_SIZE) < 0);
	}
}

static void check(struct bytes map, struct bytes text)
{
	static struct table_findings errors;
	struct table_input input = {text, map, "t", "m"};
	struct table_lines lines, again;
	enum err err;

	errors.count = 0;
	err = table_convert(&input, &lines, &errors);
	assert((err == OK) == (errors.count == 0));
	if (err != OK) {
		assert(err == ERR_INVALID && errors.text[0][0] != 0);
		return;
	}
	check_lines(&lines);
	err = table_convert(&input, &again, &errors);
	assert(err == OK && bytes_equal(buf_bytes(&lines.text), buf_bytes(&again.text)));
	table_lines_release(&lines);
	table_lines_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char divide[] = "\n====\n";
	const uint8_t *at = size == 0 ? NULL : memmem(data, size, divide, 6);
	size_t first = at == NULL ? 0 : (size_t)(at - data);

	start();
	if (at == NULL)
		check(bytes_str(own_map), bytes_make(data, size));
	else
		check(bytes_make(data, first), bytes_make(at + 6, size - first - 6));
	return 0;
}
