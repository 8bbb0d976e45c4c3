/* Events of one case for tests of states, rules and timelines, from short JSON:
 * LINE(3, "2024-02-01", "CONTACT", "'result':'REACHED'"): event 3 of that day, quotes as '. */
#ifndef TESTS_CASE_LINES_H
#define TESTS_CASE_LINES_H

#include "cases_test.h"

#include "cases/fold/state.h"

#define CASE_LINE_REF "00112233445566778899aabbccddeeff"

static inline void line_id(unsigned n, char ret[EVENT_ID_TEXT + 1])
{
	snprintf(ret, EVENT_ID_TEXT + 1, "01900000-0000-7000-8000-%012u", n % 1000000000);
}

static inline struct event_id line_event_id(unsigned n)
{
	char text[EVENT_ID_TEXT + 1];
	struct event_id id;

	line_id(n, text);
	assert_ok(event_id_parse(bytes_str(text), &id));
	return id;
}

/* Event n; recorded n seconds into the first of its day (or of 2024 when it has no date). */
static inline struct event line_event(
	unsigned n, const char *day, const char *type, const char *members)
{
	struct event event = {0};
	struct errctx ctx = {""};
	char line[4000], id[EVENT_ID_TEXT + 1], at[21];

	line_id(n, id);
	event_time_text(1704067200 + n, at);
	snprintf(line, sizeof line,
		"{'type':'%s','event_id':'%s','case_ref':'" CASE_LINE_REF
		"','occurred_on':'%s','recorded_at':'%s','recorded_by':'ZZ-hti-1',"
		"'office':'HTI'%s%s}",
		type, id, day, at, members[0] == 0 ? "" : ",", members);
	for (char *c = line; *c != 0; c++)
		*c = *c == '\'' ? '"' : *c;
	if (event_parse(bytes_str(line), &event, &ctx) != OK)
		fail_msg("%s: %s", ctx.text, line);
	return event;
}

static inline enum err line_apply(struct case_state *state, unsigned n, const char *day,
	const char *type, const char *members)
{
	struct event event = line_event(n, day, type, members);
	enum err err = case_state_apply(state, &event);

	event_release(&event);
	return err;
}

#endif
