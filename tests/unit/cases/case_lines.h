/* Events of one case for tests of states, rules and timelines, from short JSON:
 * LINE(3, "2024-02-01", "CONTACT", "'result':'REACHED'"): event 3 of that day, quotes as '. */
#ifndef TESTS_CASE_LINES_H
#define TESTS_CASE_LINES_H

#include "cases_test.h"

#include "cases/fold/timeline.h"

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

/* All parts of an event into a timeline, as of that author. Whatever it corrects is `core`. */
static inline void line_add(
	struct timeline *timeline, const char *author, const struct event *event)
{
	struct event_target target = {EVENT_CASE_OPENED, GROUP_CORE, GROUP_BIT(GROUP_CORE)};
	struct event_parts parts;
	struct errctx ctx = {""};

	if (event_split(event, &target, &parts, &ctx) != OK)
		fail_msg("%s", ctx.text);
	for (size_t i = 0; i < parts.count; i++)
		assert_ok(
			timeline_add_of(timeline, author, buf_bytes(&parts.part[i].packed), NULL));
	event_parts_release(&parts);
}

/* What can be seen of a state, as text. */
static inline char *state_dump(const struct case_state *state, const char *today)
{
	struct event_id heads[EVENT_REFS_MAX];
	size_t count = case_state_heads(state, heads);
	struct case_summary s;
	struct consent_view consent;
	struct item_view item;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	case_state_summary(state, today, &s);
	fprintf(out, "%d %d%d%d lead=%s risk=%s %s %s %s %s %s %s %s %s %s\n", s.stage,
		s.contact_only, s.legal_hold, s.complaint, s.lead, s.risk, s.opened_on,
		s.last_event_on, s.last_contact_on, s.next_contact_on, s.next_review_on,
		s.reply_due_on, s.consent_ends_on, s.majority_review_on, s.consent_ends_purpose);
	fprintf(out,
		"%zu backups, %zu+%zu referrals, %zu claims, %zu+%zu concerns, %zu consents, "
		"%zu complaints, %zu transfers, %zu conflicts, %zu irregular\n",
		s.backups, s.open_referrals, s.unanswered, s.open_claims, s.open_concerns,
		s.imminent_concerns, s.live_consents, s.open_complaints, s.open_transfers,
		s.conflicts, s.irregular);
	for (size_t i = 0; i < count; i++) {
		char id[EVENT_ID_TEXT + 1];

		event_id_text(&heads[i], id);
		fprintf(out, "head %s\n", id);
	}
	for (size_t n = 0; case_state_consent(state, n, today, &consent); n++)
		fprintf(out, "%s %s %s..%s -%s %x %d\n", consent.id, consent.purpose,
			consent.valid_from, consent.valid_until, consent.withdrawn_on,
			consent.groups, consent.live);
	for (unsigned kind = ITEM_REFERRAL; kind <= ITEM_PERSON; kind++)
		for (size_t n = 0; case_state_item(state, (enum item_kind)kind, n, &item); n++)
			fprintf(out, "%u: %s %s %s %d\n", kind, item.id, item.status, item.what,
				item.open);
	fclose(out);
	return text;
}

#endif
