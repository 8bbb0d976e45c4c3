/* What events say about each other: corrections, conflicts, choices, replacements. */
#include "case_lines.h"

/* A case as rows: event n (from 1) of that type; parents as numbers, "" for none. */
struct row {
	const char *type, *parents, *members;
};

static void ids_of(const char *numbers, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "[");

	for (const char *c = numbers; *c != 0;) {
		char id[EVENT_ID_TEXT + 1];

		line_id((unsigned)strtoul(c, (char **)&c, 10), id);
		at += (size_t)snprintf(out + at, size - at, "%s'%s'", at > 1 ? "," : "", id);
		c += *c == ' ';
	}
	snprintf(out + at, size - at, "]");
}

static struct event row_event(const struct row *row, unsigned n)
{
	char members[3000], parents[1000];

	ids_of(row->parents, parents, sizeof parents);
	snprintf(members, sizeof members, "'parents':%s%s%s", parents,
		row->members[0] == 0 ? "" : ",", row->members);
	return line_event(n, "2024-01-01", row->type, members);
}

static struct timeline *timeline_of(const struct row *rows, size_t count)
{
	struct timeline *timeline;

	assert_ok(timeline_new(&timeline));
	for (size_t i = count; i > 0; i--) {
		struct event event = row_event(&rows[i - 1], (unsigned)i);

		line_add(timeline, NULL, &event);
		event_release(&event);
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), count);
	return timeline;
}
#define TIMELINE(rows) timeline_of(rows, sizeof rows / sizeof rows[0])

/* Rows are of one day and recorded one after the other: row n is event n - 1 of the timeline. */
static void assert_conflict(const struct timeline *timeline, size_t a, size_t b)
{
	size_t other;

	assert_true(timeline_conflict(timeline, a - 1, 0, &other));
	assert_int_equal(other, b - 1);
	assert_true(timeline_conflict(timeline, b - 1, 0, &other));
	assert_int_equal(other, a - 1);
}

static struct case_summary summary_of(const struct timeline *timeline)
{
	struct case_summary summary;
	struct case_state *state;

	assert_ok(timeline_state(timeline, &state));
	case_state_summary(state, "2024-02-01", &summary);
	summary.lead = summary.risk = summary.consent_ends_purpose = NULL;
	case_state_free(state);
	return summary;
}

#define EVENT_N(n) "'01900000-0000-7000-8000-00000000000" n "'"
#define FIX(n, field, value)                                                                       \
	"'corrects':" EVENT_N(n) ",'field':'" field "','new_value':" value ",'reason':'ERROR'"

static void corrections(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONTACT", "1", "'result':'REACHED','next_contact_due_on':'2024-03-01'"},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-04-01'")},
		{"CORRECTION", "3", FIX("2", "next_contact_due_on", "'2024-05-01'")},
		{"CORRECTION", "4", FIX("4", "new_value", "'2024-06-01'")},
		{"CORRECTION", "5", FIX("2", "channel", "'PHONE'")},
	};
	struct timeline *timeline = TIMELINE(rows);
	struct timeline_change change;
	struct case_summary summary = summary_of(timeline);
	struct event event;
	struct buf buf;

	assert_true(timeline_change(timeline, 1, 0, &change));
	assert_string_equal(change.field, "channel");
	assert_null(change.old_json);
	assert_string_equal(change.new_json, "\"PHONE\"");
	assert_true(change.holds);
	assert_true(timeline_change(timeline, 1, 1, &change));
	assert_string_equal(change.old_json, "\"2024-03-01\"");
	assert_string_equal(change.new_json, "\"2024-04-01\"");
	assert_int_equal(change.correction, 2);
	assert_false(change.holds);
	assert_true(timeline_change(timeline, 1, 2, &change));
	assert_string_equal(change.old_json, "\"2024-04-01\"");
	assert_string_equal(change.new_json, "\"2024-06-01\""); /* corrected itself */
	assert_true(change.holds);
	assert_false(timeline_change(timeline, 1, 3, &change));
	assert_string_equal(timeline_value(timeline, 1, "next_contact_due_on"), "\"2024-06-01\"");
	assert_string_equal(timeline_value(timeline, 1, "result"), "\"REACHED\"");
	assert_null(timeline_value(timeline, 1, "nothing"));
	assert_int_equal(timeline_conflict_count(timeline), 0);
	assert_string_equal(summary.next_contact_on, "2024-06-01");
	assert_int_equal(summary.irregular, 0);

	/* the event itself is as it was recorded; corrected, it is as it holds */
	assert_string_equal(event_field_json(timeline_event(timeline, 1), "next_contact_due_on"),
		"\"2024-03-01\"");
	assert_ok(timeline_corrected(timeline, 1, &event));
	assert_string_equal(event_field_json(&event, "next_contact_due_on"), "\"2024-06-01\"");
	assert_string_equal(event_field_json(&event, "channel"), "\"PHONE\"");
	timeline_corrected_release(&event);

	buf_init(&buf, 10000);
	timeline_put_marks(timeline, 0, &buf);
	assert_int_equal(buf.size, 0);
	timeline_put_marks(timeline, 3, &buf);
	assert_string_equal(buf_cstr(&buf),
		",\"changes\":[{\"field\":\"new_value\",\"old\":\"2024-05-01\",\"new\":\"2024-06-"
		"01\",\"correction\":\"01900000-0000-7000-8000-000000000005\",\"by\":\"ZZ-hti-1\","
		"\"at\":\"2024-01-01T00:00:05Z\",\"reason\":\"ERROR\",\"holds\":true}]");
	buf_release(&buf);
	timeline_free(timeline);
}

/* What corrects nothing, or itself, or in a circle, is counted and changes nothing. */
static void corrections_of_nothing(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CORRECTION", "1", FIX("9", "channel", "'SMS'")},
		{"CORRECTION", "1", FIX("3", "new_value", "'SMS'")},
		{"CORRECTION", "1", FIX("5", "new_value", "'SMS'")},
		{"CORRECTION", "1", FIX("4", "new_value", "'PHONE'")},
		{"CORRECTION", "1", "'corrects':" EVENT_N("1") ",'field':'report_date'"},
		{"CORRECTION", "1", "'corrects':5,'field':'report_date','new_value':'x'"},
	};
	struct timeline *timeline = TIMELINE(rows);
	struct timeline_change change;
	size_t changed = 0;

	for (size_t i = 0; i < timeline_count(timeline); i++)
		changed += timeline_change(timeline, i, 0, &change);
	assert_int_equal(changed, 1); /* 5 corrects 4, which corrects nothing */
	assert_int_equal(summary_of(timeline).irregular, 5);
	timeline_free(timeline);
}

static void two_corrections(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONTACT", "1", "'next_contact_due_on':'2024-03-01'"},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-04-01'")},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-05-01'")},
		{"CONFLICT_RESOLVED", "3 4", "'chosen':" EVENT_N("3") ",'over':[" EVENT_N("4") "]"},
		{"CONFLICT_RESOLVED", "5", "'chosen':" EVENT_N("4") ",'over':[" EVENT_N("3") "]"},
	};
	struct timeline *timeline = timeline_of(rows, 4);
	struct timeline_change change;
	struct case_summary summary;
	struct buf buf;
	size_t other;

	/* shown on both; the later one holds meanwhile */
	assert_conflict(timeline, 3, 4);
	assert_int_equal(timeline_conflict_count(timeline), 1);
	summary = summary_of(timeline);
	assert_int_equal(summary.conflicts, 1);
	assert_string_equal(summary.next_contact_on, "2024-05-01");
	buf_init(&buf, 1000);
	timeline_put_marks(timeline, 2, &buf);
	assert_string_equal(
		buf_cstr(&buf), ",\"conflicts_with\":[\"01900000-0000-7000-8000-000000000004\"]");
	buf_release(&buf);
	timeline_free(timeline);

	/* the choice holds */
	timeline = timeline_of(rows, 5);
	assert_int_equal(timeline_conflict_count(timeline), 0);
	assert_true(timeline_overruled_by(timeline, 3, &other));
	assert_int_equal(other, 4);
	assert_false(timeline_overruled_by(timeline, 2, &other));
	assert_true(timeline_change(timeline, 1, 1, &change));
	assert_false(change.holds);
	assert_string_equal(summary_of(timeline).next_contact_on, "2024-04-01");
	timeline_free(timeline);

	/* and can be revised */
	timeline = timeline_of(rows, 6);
	assert_int_equal(timeline_conflict_count(timeline), 0);
	assert_string_equal(summary_of(timeline).next_contact_on, "2024-05-01");
	assert_true(timeline_overruled_by(timeline, 2, &other));
	assert_false(timeline_overruled_by(timeline, 3, &other));
	timeline_free(timeline);
}

static void two_choices(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONTACT", "1", "'next_contact_due_on':'2024-03-01'"},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-04-01'")},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-05-01'")},
		{"CONFLICT_RESOLVED", "3 4", "'chosen':" EVENT_N("3") ",'over':[" EVENT_N("4") "]"},
		{"CONFLICT_RESOLVED", "3 4", "'chosen':" EVENT_N("4") ",'over':[" EVENT_N("3") "]"},
		{"CONFLICT_RESOLVED", "5 6", "'chosen':" EVENT_N("5") ",'over':[" EVENT_N("6") "]"},
	};
	struct timeline *timeline = timeline_of(rows, 6);
	size_t other;

	assert_conflict(timeline, 5, 6);
	assert_int_equal(timeline_conflict_count(timeline), 1);
	timeline_free(timeline);
	timeline = timeline_of(rows, 7);
	assert_int_equal(timeline_conflict_count(timeline), 0);
	assert_true(timeline_overruled_by(timeline, 5, &other));
	assert_string_equal(summary_of(timeline).next_contact_on, "2024-04-01");
	timeline_free(timeline);
}

/* Each pair contradicts when it was written beside each other, and not when the second knew the
 * first, or says the same. */
static void what_contradicts(void **unused)
{
	static const struct {
		const char *type, *first, *second;
	} pairs[] = {
		{"REFERRAL_ANSWERED", "'referral_id':'R-1','answer':'ACCEPTED'",
			"'referral_id':'R-1','answer':'DECLINED'"},
		{"REFERRAL_ENDED", "'referral_id':'R-1','end':'DONE'",
			"'referral_id':'R-1','end':'NO_SHOW'"},
		{"INVESTIGATION_STAGE", "'allegation_ref':'A-1','stage':'RECEIVED'",
			"'allegation_ref':'A-1','stage':'PRELIM_ASSESSMENT'"},
		{"INVESTIGATION_OUTCOME", "'allegation_ref':'A-1','outcome':'PENDING'",
			"'allegation_ref':'A-1','outcome':'SUBSTANTIATED'"},
		{"PATERNITY_STAGE", "'claim_id':'F-1','stage':'MS_NOTIFIED'",
			"'claim_id':'F-1','stage':'ADMITTED'"},
		{"COMPLAINT_STAGE", "'complaint_id':'Q-1','stage':'ACKNOWLEDGED'",
			"'complaint_id':'Q-1','stage':'WITHDRAWN'"},
		{"TRANSFER_ANSWERED", "'to_office':'CAF','answer':'ACCEPTED'",
			"'to_office':'CAF','answer':'DECLINED'"},
		{"OFFICER_ASSIGNED", "'officer_key':'ada','role':'LEAD'",
			"'officer_key':'bo','role':'LEAD'"},
		{"CASE_CLOSED", "'reason':'NEEDS_MET'", "'reason':'DECEASED'"},
		{"LEGAL_HOLD", "'until':'2024-03-01'", "'until':'2024-04-01'"},
		{"GUARDIAN_CHANGED", "'replaces':'P-2','guardian_ref':'P-3'",
			"'replaces':'P-2','guardian_ref':'P-4'"},
	};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct row rows[] = {
			{"CASE_OPENED", "", ""},
			{pairs[i].type, "1", pairs[i].first},
			{pairs[i].type, "1", pairs[i].second},
		};
		struct timeline *timeline = TIMELINE(rows);

		assert_conflict(timeline, 2, 3);
		timeline_free(timeline);
		rows[2].parents = "2";
		timeline = TIMELINE(rows);
		assert_int_equal(timeline_conflict_count(timeline), 0);
		timeline_free(timeline);
		rows[2] = (struct row){pairs[i].type, "1", pairs[i].first};
		timeline = TIMELINE(rows);
		assert_int_equal(timeline_conflict_count(timeline), 0);
		timeline_free(timeline);
	}
}

/* Somebody who knew both says what holds: nothing is left to choose. */
static void said_after_both(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"INVESTIGATION_STAGE", "1", "'allegation_ref':'A-1','stage':'RECEIVED'"},
		{"INVESTIGATION_STAGE", "1", "'allegation_ref':'A-1','stage':'PRELIM_ASSESSMENT'"},
		{"CONTACT", "2 3", ""},
		{"INVESTIGATION_STAGE", "4",
			"'allegation_ref':'A-1','stage':'UNDER_INVESTIGATION'"},
	};
	struct timeline *timeline = timeline_of(rows, 4);

	assert_int_equal(timeline_conflict_count(timeline), 1);
	timeline_free(timeline);
	timeline = TIMELINE(rows);
	assert_int_equal(timeline_conflict_count(timeline), 0);
	timeline_free(timeline);
}

/* Where it cannot be shown that neither knew the other, nobody is alarmed. */
static void not_shown(void **unused)
{
	struct row rows[] = {
		{"CASE_OPENED", "", ""}, {"CASE_CLOSED", "1", "'reason':'NEEDS_MET'"},
		{"CASE_CLOSED", "", "'reason':'DECEASED'"}, /* says nothing about what it knew */
	};
	struct timeline *timeline = TIMELINE(rows);

	assert_int_equal(timeline_conflict_count(timeline), 0);
	timeline_free(timeline);
	rows[2].parents = "77"; /* is not here */
	timeline = TIMELINE(rows);
	assert_int_equal(timeline_conflict_count(timeline), 0);
	timeline_free(timeline);
}

/* A choice is among what contradicts: nothing else can be chosen away. */
static void withdrawal_stays(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONSENT_RECORDED", "1",
			"'consent_id':'C-1','purpose':'CASE_MGMT','valid_until':'2025-01-01'"},
		{"CONSENT_WITHDRAWN", "2", "'consent_id':'C-1','effective_at':'2024-01-02'"},
		{"CONFLICT_RESOLVED", "3", "'chosen':" EVENT_N("2") ",'over':[" EVENT_N("3") "]"},
		{"CONSENT_WITHDRAWN", "4", "'consent_id':'C-2','supersedes':[" EVENT_N("3") "]"},
		{"CORRECTION", "5", FIX("4", "over", "['x']")},
	};
	struct timeline *timeline = TIMELINE(rows);
	struct case_summary summary = summary_of(timeline);
	size_t other;

	assert_true(summary.contact_only);
	assert_int_equal(summary.live_consents, 0);
	assert_int_equal(summary.irregular, 3);
	assert_false(timeline_overruled_by(timeline, 2, &other));
	assert_false(timeline_superseded_by(timeline, 2, &other));
	timeline_free(timeline);
}

static void replaced(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONTACT", "1", "'next_contact_due_on':'2024-03-01','result':'REACHED'"},
		{"CONTACT", "2", "'result':'NOT_REACHED','supersedes':[" EVENT_N("2") "]"},
		{"CONTACT", "2", "'result':'DECLINED','supersedes':[" EVENT_N("2") "]"},
	};
	struct timeline *timeline = timeline_of(rows, 3);
	struct case_summary summary = summary_of(timeline);
	struct buf buf;
	size_t other;

	assert_true(timeline_superseded_by(timeline, 1, &other));
	assert_int_equal(other, 2);
	assert_string_equal(summary.last_contact_on, "");
	assert_string_equal(summary.next_contact_on, "");
	buf_init(&buf, 1000);
	timeline_put_marks(timeline, 1, &buf);
	assert_string_equal(
		buf_cstr(&buf), ",\"superseded_by\":\"01900000-0000-7000-8000-000000000003\"");
	buf_release(&buf);
	timeline_free(timeline);
	timeline = TIMELINE(rows);
	assert_conflict(timeline, 3, 4);
	timeline_free(timeline);
}

/* Under an id of this node's another node's log says something else, and says it earlier: shown,
 * and without effect. */
static void id_taken_by_another(void **unused)
{
	struct timeline *timeline;
	struct event opened = line_event(1, "2024-01-01", "CASE_OPENED", ""), theirs = {0};
	struct event ours = line_event(5, "2024-01-01", "CONTACT",
		"'result':'REACHED','next_contact_due_on':'2024-03-01'");

	assert_ok(event_parse(bytes_str("{\"type\":\"CASE_CLOSED\",\"event_id\":\"01900000-0000-"
					"7000-8000-000000000005\",\"case_ref\":\"" CASE_LINE_REF
					"\",\"occurred_on\":\"2024-01-01\",\"recorded_at\":\"2023-"
					"12-31T00:00:00Z\",\"recorded_by\":\"x\",\"office\":"
					"\"CAF\"}"),
		&theirs, NULL));
	assert_ok(timeline_new(&timeline));
	line_add(timeline, "mali", &theirs);
	line_add(timeline, NULL, &ours);
	line_add(timeline, NULL, &opened);
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_count(timeline), 3);
	assert_int_equal(summary_of(timeline).stage, STAGE_INTRODUCTION);
	assert_string_equal(summary_of(timeline).next_contact_on, "2024-03-01");
	timeline_free(timeline);
	event_release(&opened);
	event_release(&ours);
	event_release(&theirs);
}

/* Another node's correction does not make somebody here see the case: not of the assignment, nor of
 * a correction of it. */
static void officer_by_correction_of_another(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"OFFICER_ASSIGNED", "1", "'officer_key':'bo','role':'LEAD'"},
		{"CORRECTION", "2", FIX("2", "officer_key", "'cy'")},
		{"CORRECTION", "3", FIX("3", "new_value", "'ada'")},
		{"CORRECTION", "4", FIX("2", "officer_key", "'ada'")},
	};
	struct timeline *timeline;
	struct case_summary summary;
	struct case_state *state;

	for (size_t count = 4; count <= 5; count++) {
		assert_ok(timeline_new(&timeline));
		for (size_t i = 0; i < count; i++) {
			struct event event = row_event(&rows[i], (unsigned)i + 1);

			line_add(timeline, i >= 3 ? "mali" : NULL, &event);
			event_release(&event);
		}
		assert_ok(timeline_finish(timeline));
		assert_ok(timeline_state(timeline, &state));
		case_state_summary(state, "2024-02-01", &summary);
		/* An officer of another node leads nothing here: it is with who opened it again. */
		assert_string_equal(summary.lead, count == 4 ? "cy" : "ZZ-hti-1");
		assert_false(case_state_officer_in(state, "ada", "2024-02-01"));
		case_state_free(state);
		timeline_free(timeline);
	}
}

/* Many that contradict each other: what is found is capped, and the rest folds. */
static void hundreds_of_closures(void **unused)
{
	struct timeline *timeline;
	struct event event = line_event(1, "2024-01-01", "CASE_OPENED", "");

	assert_ok(timeline_new(&timeline));
	line_add(timeline, NULL, &event);
	event_release(&event);
	for (unsigned n = 2; n < 400; n++) {
		struct row row = {"CASE_CLOSED", "1", ""};
		char reason[40];

		snprintf(reason, sizeof reason, "'reason':'R%u'", n);
		row.members = reason;
		event = row_event(&row, n);
		line_add(timeline, NULL, &event);
		event_release(&event);
	}
	assert_ok(timeline_finish(timeline));
	assert_int_equal(timeline_conflict_count(timeline), LIMIT_CASE_CONFLICTS);
	assert_int_equal(summary_of(timeline).conflicts, LIMIT_CASE_CONFLICTS);
	timeline_free(timeline);
}

/* One pair below the cap, and at it: 46 closures make 1035 pairs, 45 make 990. */
static void conflicts_below_the_cap(void **unused)
{
	struct row rows[46];
	char reasons[46][20];
	struct timeline *timeline;

	rows[0] = (struct row){"CASE_OPENED", "", ""};
	for (unsigned n = 1; n < 46; n++) {
		snprintf(reasons[n], sizeof reasons[n], "'reason':'R%u'", n);
		rows[n] = (struct row){"CASE_CLOSED", "1", reasons[n]};
	}
	timeline = TIMELINE(rows);
	assert_int_equal(timeline_conflict_count(timeline), 45 * 44 / 2);
	timeline_free(timeline);
}

static struct event_parts tortured[4];

static enum err fold_marked(void *unused)
{
	struct timeline *timeline = NULL;
	struct case_state *state = NULL;
	struct event corrected;
	struct buf buf;
	enum err err = timeline_new(&timeline);

	buf_init(&buf, 10000);
	for (size_t i = 0; i < 4; i++)
		for (size_t p = 0; p < tortured[i].count && err == OK; p++)
			err = timeline_add(timeline, buf_bytes(&tortured[i].part[p].packed), NULL);
	if (err == OK)
		err = timeline_finish(timeline);
	if (err == OK)
		err = timeline_state(timeline, &state);
	if (err == OK)
		err = timeline_corrected(timeline, 1, &corrected);
	if (err == OK) {
		timeline_corrected_release(&corrected);
		timeline_put_marks(timeline, 1, &buf);
		err = buf.err;
	}
	buf_release(&buf);
	case_state_free(state);
	timeline_free(timeline);
	return err;
}

static void allocation_failures(void **unused)
{
	static const struct row rows[] = {
		{"CASE_OPENED", "", ""},
		{"CONTACT", "1", "'next_contact_due_on':'2024-03-01'"},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-04-01'")},
		{"CORRECTION", "2", FIX("2", "next_contact_due_on", "'2024-05-01'")},
	};
	struct event_target target = {EVENT_CONTACT, GROUP_CONTACT, GROUP_BIT(GROUP_CONTACT)};

	for (unsigned i = 0; i < 4; i++) {
		struct event event = row_event(&rows[i], i + 1);

		assert_ok(event_split(&event, &target, &tortured[i], NULL));
		event_release(&event);
	}
	torture(fold_marked, NULL);
	for (unsigned i = 0; i < 4; i++)
		event_parts_release(&tortured[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corrections),
		cmocka_unit_test(corrections_of_nothing),
		cmocka_unit_test(two_corrections),
		cmocka_unit_test(two_choices),
		cmocka_unit_test(what_contradicts),
		cmocka_unit_test(said_after_both),
		cmocka_unit_test(not_shown),
		cmocka_unit_test(withdrawal_stays),
		cmocka_unit_test(replaced),
		cmocka_unit_test(id_taken_by_another),
		cmocka_unit_test(officer_by_correction_of_another),
		cmocka_unit_test(hundreds_of_closures),
		cmocka_unit_test(conflicts_below_the_cap),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
