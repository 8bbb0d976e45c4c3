/*
 * Events as strangers wrote them, one JSON object a line, folded: whatever they say, the timeline,
 * its marks and the state are made, and do not depend on the order in which they came. Those that
 * can be applied one after the other give the same state.
 *
 * What a line does not say is filled in: the id and the time of recording from its number.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "cases/fold/timeline.h"
#include "cases/rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 64 };

static void start(void)
{
	static bool started;
	enum err err = started ? OK : crypto_init();

	assert(err == OK);
	started = true;
}

static void fill_in(struct event *event, unsigned number)
{
	static const struct case_ref ref = {{1}};
	struct event_id id = {{1, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80}};
	enum err err = OK;

	id.b[14] = (uint8_t)(number / 10 % 10 << 4 | number % 10); /* as docs and seeds write it */
	id.b[15] = (uint8_t)(number / 10 % 10 << 4 | number % 10);
	if (!event->has.event_id)
		event_set_id(event, &id);
	event_set_case(event, &ref);
	if (!event->has.recorded_at)
		event_set_recorded_at(event, 1704067200 + number);
	if (!event->has.recorded_by)
		err = event_set_recorded_by(event, bytes_str("o"));
	if (err == OK && !event->has.office)
		err = event_set_office(event, bytes_str("HTI"));
	assert(err == OK);
}

/* The lines that are events which can be kept. */
static size_t read_lines(struct bytes text, struct event *events)
{
	size_t count = 0;

	for (unsigned number = 1; text.size > 0 && count < LINES_MAX; number++) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data);

		if (event_parse(bytes_make(text.data, size), &events[count], NULL) == OK)
			fill_in(&events[count++], number);
		size += end != NULL;
		text = bytes_make(text.data + size, text.size - size);
	}
	return count;
}

static struct timeline *fold(const struct event *events, size_t count, bool backwards)
{
	struct event_target target = {EVENT_CASE_OPENED, GROUP_CORE, GROUP_BIT(GROUP_CORE)};
	struct timeline *timeline = NULL;
	enum err err = timeline_new(&timeline);

	assert(err == OK);
	for (size_t i = 0; i < count; i++) {
		const struct event *event = &events[backwards ? count - 1 - i : i];
		struct event_parts parts = {.count = 0};

		if (event_split(event, &target, &parts, NULL) != OK)
			continue;
		for (size_t p = 0; p < parts.count; p++) {
			err = timeline_add(timeline, buf_bytes(&parts.part[p].packed), NULL);
			assert(err == OK);
		}
		event_parts_release(&parts);
	}
	err = timeline_finish(timeline);
	assert(err == OK);
	return timeline;
}

static void write_all(const struct timeline *timeline, struct buf *buf)
{
	struct case_state *state = NULL;
	struct case_summary s;
	struct item_view item;
	enum err err = timeline_state(timeline, &state);

	buf_init(buf, 32 * 1024 * 1024);
	timeline_json(timeline, buf);
	for (size_t i = 0; i < timeline_count(timeline); i++)
		timeline_put_marks(timeline, i, buf);
	assert(buf->err == OK && (err == OK || err == ERR_LIMIT));
	if (err != OK)
		return;
	case_state_summary(state, "2024-06-01", &s);
	buf_printf(buf, "%d %d %s %s %s %s %zu %zu %zu %zu %zu", s.stage, s.contact_only, s.lead,
		s.risk, s.next_contact_on, s.consent_ends_on, s.open_referrals, s.live_consents,
		s.conflicts, s.irregular, case_state_size(state));
	for (unsigned kind = ITEM_REFERRAL; kind <= ITEM_PERSON; kind++)
		for (size_t n = 0; case_state_item(state, (enum item_kind)kind, n, &item); n++)
			buf_printf(buf, "%s %s %s %d", item.id, item.status, item.what, item.open);
	assert(buf->err == OK);
	case_state_free(state);
}

/* What a node would say to each of them, one after the other: anything, and it goes on. */
static void judge(struct event *events, size_t count)
{
	struct rules_context today = {.today = "2024-06-01", .node = "n"};
	struct case_state *state = NULL;
	enum err err = case_state_new(&state);

	assert(err == OK);
	for (size_t i = 0; i < count; i++) {
		struct errctx ctx = {""};

		err = rules_fill(state, &events[i], &today, &ctx);
		if (err == OK)
			err = rules_check(state, &events[i], &today, &ctx);
		assert(err == OK || err == ERR_INVALID || err == ERR_CONSENT || err == ERR_LIMIT);
		assert(err == OK || err == ERR_LIMIT || ctx.text[0] != 0);
		err = case_state_apply(state, &events[i]);
		assert(err == OK || err == ERR_AGAIN || err == ERR_LIMIT);
	}
	case_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event events[LINES_MAX];
	struct timeline *timeline, *other;
	struct buf one, two;
	size_t count;

	start();
	memset(events, 0, sizeof events);
	count = read_lines(bytes_make(data, size), events);
	timeline = fold(events, count, false);
	other = fold(events, count, true);
	write_all(timeline, &one);
	write_all(other, &two);
	assert(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
	buf_release(&one);
	buf_release(&two);
	timeline_free(timeline);
	timeline_free(other);
	judge(events, count);
	for (size_t i = 0; i < count; i++)
		event_release(&events[i]);
	return 0;
}
