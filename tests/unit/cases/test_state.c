/* What a case is, folded out of its events. */
#include "case_lines.h"

struct row {
	const char *day, *type, *members;
};

static struct case_state *fold(const struct row *rows, size_t count)
{
	struct case_state *state;

	assert_ok(case_state_new(&state));
	for (size_t i = 0; i < count; i++)
		assert_ok(line_apply(
			state, (unsigned)i + 1, rows[i].day, rows[i].type, rows[i].members));
	return state;
}
#define FOLD(rows) fold(rows, sizeof rows / sizeof rows[0])

#define OPENED                                                                                     \
	{                                                                                          \
		"2024-01-01", "CASE_OPENED", "'case_code':'ZZ-HTI-1'"                              \
	}
#define MANAGED                                                                                    \
	{                                                                                          \
		"2024-01-02", "CONSENT_RECORDED",                                                  \
			"'consent_id':'C-1','purpose':'CASE_MGMT','given_by':'VICTIM',"            \
			"'valid_from':'2024-01-02','valid_until':'2024-12-31'"                     \
	}

static const struct row whole[] = {
	OPENED,
	MANAGED,
	{"2024-01-03", "CONSENT_RECORDED",
		"'consent_id':'C-2','purpose':'REFERRAL','given_by':'VICTIM',"
		"'recipients':['ZZ-ORG-01'],'groups':['contact','health'],"
		"'valid_from':'2024-01-03','valid_until':'2024-06-30'"},
	{"2024-01-04", "PERSON_RECORDED", "'person_ref':'P-1','role':'VICTIM'"},
	{"2024-01-05", "ALLEGATION_RECORDED", "'allegation_ref':'A-1','allegation_type':'SE'"},
	{"2024-01-06", "NEEDS_ASSESSED",
		"'service_code':['MED'],'risk_level':'HIGH','next_review_on':'2024-04-01'"},
	{"2024-01-07", "REFERRAL_MADE",
		"'referral_id':'R-1','service_code':'MED','reply_due_on':'2024-01-21'"},
	{"2024-01-08", "REFERRAL_MADE",
		"'referral_id':'R-2','service_code':'PSY','reply_due_on':'2024-01-20'"},
	{"2024-01-09", "REFERRAL_ANSWERED", "'referral_id':'R-2','answer':'ACCEPTED'"},
	{"2024-01-10", "PATERNITY_OPENED", "'claim_id':'F-1','claim_kind':'BOTH'"},
	{"2024-01-11", "PROTECTION_CONCERN",
		"'concern_id':'K-1','kind':'THREAT','level':'IMMINENT'"},
	{"2024-01-12", "CONTACT", "'result':'REACHED','next_contact_due_on':'2024-02-20'"},
	{"2024-01-13", "OFFICER_ASSIGNED", "'officer_key':'ada','role':'LEAD','from':'2024-01-13'"},
	{"2024-01-14", "OFFICER_ASSIGNED",
		"'officer_key':'bo','role':'BACKUP','from':'2024-01-14'"},
	{"2024-01-15", "TRANSFER_OFFERED", "'to_office':'CAF','reason':'VICTIM_MOVED'"},
};

static void summary(void **unused)
{
	struct case_state *state = FOLD(whole);
	struct case_summary s;
	struct item_view item;
	char id[16];

	case_state_summary(state, "2024-02-01", &s);
	assert_int_equal(s.stage, STAGE_FOLLOW_UP);
	assert_false(s.contact_only);
	assert_string_equal(s.lead, "ada");
	assert_string_equal(s.risk, "HIGH");
	assert_string_equal(s.opened_on, "2024-01-01");
	assert_string_equal(s.last_event_on, "2024-01-15");
	assert_string_equal(s.last_contact_on, "2024-01-12");
	assert_string_equal(s.next_contact_on, "2024-02-20");
	assert_string_equal(s.next_review_on, "2024-04-01");
	assert_int_equal(s.backups, 1);
	assert_int_equal(s.open_referrals, 2);
	assert_int_equal(s.unanswered, 1);
	assert_string_equal(s.reply_due_on, "2024-01-21");
	assert_int_equal(s.open_claims, 1);
	assert_int_equal(s.imminent_concerns, 1);
	assert_int_equal(s.live_consents, 2);
	assert_string_equal(s.consent_ends_on, "2024-06-30");
	assert_string_equal(s.consent_ends_purpose, "REFERRAL");
	assert_int_equal(s.open_transfers, 1);
	assert_int_equal(s.irregular, 0);
	assert_true(case_state_item(state, ITEM_REFERRAL, 1, &item));
	assert_string_equal(item.id, "R-2");
	assert_string_equal(item.status, "ACCEPTED");
	assert_string_equal(item.what, "PSY");
	assert_false(case_state_item(state, ITEM_REFERRAL, 2, &item));
	case_state_next_id(state, 'R', id);
	assert_string_equal(id, "R-3");
	case_state_next_id(state, 'Q', id);
	assert_string_equal(id, "Q-1");
	assert_true(case_state_officer_in(state, "ada", "2024-02-01"));
	assert_true(case_state_officer_in(state, "bo", "2024-02-01"));
	assert_false(case_state_officer_in(state, "bo", "2024-01-13"));
	assert_false(case_state_officer_in(state, "ZZ-hti-1", "2024-02-01"));
	assert_true(case_state_officer_in(state, "ZZ-hti-1", "2024-01-12"));
	case_state_summary(state, "2025-01-01", &s);
	assert_true(s.contact_only);
	assert_int_equal(s.live_consents, 0);
	case_state_free(state);
}

/* What does not follow from the state alone is told, and changes nothing. */
static void order(void **unused)
{
	struct case_state *state = FOLD(whole);
	size_t size = case_state_size(state);
	struct event_id heads[EVENT_REFS_MAX];
	char members[200], id[EVENT_ID_TEXT + 1];

	line_id(14, id);
	snprintf(members, sizeof members,
		"'referral_id':'R-1','answer':'ACCEPTED','parents':['%s']", id);
	assert_int_equal(line_apply(state, 0, "2024-03-02", "CONTACT", ""), ERR_AGAIN);
	assert_int_equal(line_apply(state, 99, "2024-02-02", "CORRECTION", ""), ERR_AGAIN);
	assert_int_equal(
		line_apply(state, 99, "2024-02-02", "REFERRAL_ANSWERED", members), ERR_AGAIN);
	assert_int_equal(case_state_size(state), size);
	assert_int_equal(case_state_heads(state, heads), 15);
	/* the last one again */
	assert_ok(line_apply(state, 15, whole[14].day, whole[14].type, whole[14].members));
	assert_int_equal(case_state_heads(state, heads), 15);
	case_state_free(state);
}

/* --- stages, transfers, history --- */

static enum case_stage stage_after(const struct row *rows, size_t count)
{
	struct case_state *state = fold(rows, count);
	struct case_summary s;

	case_state_summary(state, "2024-02-01", &s);
	case_state_free(state);
	return s.stage;
}

static void stages(void **unused)
{
	static const struct {
		struct row row;
		enum case_stage stage;
	} steps[] = {
		{OPENED, STAGE_INTRODUCTION},
		{MANAGED, STAGE_INTRODUCTION},
		{{"2024-01-03", "NEEDS_ASSESSED", "'service_code':['MED']"}, STAGE_ASSESSMENT},
		{{"2024-01-04", "CONTACT", "'result':'REACHED'"}, STAGE_ASSESSMENT},
		{{"2024-01-05", "ACTION_PLAN_AGREED", "'goals':['x']"}, STAGE_PLANNING},
		{{"2024-01-06", "ASSISTANCE_DECLINED", "'service_code':'MED'"},
			STAGE_IMPLEMENTATION},
		{{"2024-01-07", "CONTACT", "'result':'NOT_REACHED'"}, STAGE_IMPLEMENTATION},
		{{"2024-01-08", "CONTACT", "'result':'REACHED'"}, STAGE_FOLLOW_UP},
		{{"2024-01-09", "CASE_CLOSED", "'reason':'NEEDS_MET'"}, STAGE_CLOSED},
		{{"2024-01-10", "CASE_REOPENED", "'reason':'NEW_NEED'"}, STAGE_INTRODUCTION},
		{{"2024-01-11", "NEEDS_ASSESSED", "'service_code':['MED']"}, STAGE_ASSESSMENT},
	};
	struct row rows[sizeof steps / sizeof steps[0]];

	assert_int_equal(stage_after(NULL, 0), STAGE_NONE);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		rows[i] = steps[i].row;
		assert_int_equal(stage_after(rows, i + 1), steps[i].stage);
	}
	for (unsigned stage = STAGE_INTRODUCTION; stage <= STAGE_CLOSED; stage++)
		assert_int_equal(
			case_stage_find(bytes_str(case_stage_name((enum case_stage)stage))), stage);
	assert_int_equal(case_stage_find(bytes_str("")), STAGE_NONE);
	assert_string_equal(case_stage_name((enum case_stage)99), "");
}

static void transfer(void **unused)
{
	static const struct row rows[] = {
		OPENED,
		{"2024-01-05", "OFFICER_ASSIGNED", "'officer_key':'ada','role':'LEAD'"},
		{"2024-01-06", "OFFICER_ASSIGNED", "'officer_key':'bo','role':'BACKUP'"},
		{"2024-01-15", "TRANSFER_OFFERED", "'to_office':'CAF'"},
		{"2024-01-20", "TRANSFER_ANSWERED", "'to_office':'CAF','answer':'ACCEPTED'"},
		{"2024-01-25", "OFFICER_ASSIGNED", "'officer_key':'bo','role':'LEAD'"},
	};
	struct case_state *state = fold(rows, 5);
	struct case_summary s;

	case_state_summary(state, "2024-01-19", &s);
	assert_string_equal(s.lead, "ada");
	case_state_summary(state, "2024-01-20", &s);
	assert_string_equal(s.lead, "CAF");
	assert_int_equal(s.open_transfers, 0);
	assert_false(case_state_officer_in(state, "ada", "2024-01-20"));
	assert_true(case_state_officer_in(state, "bo", "2024-01-20"));
	assert_false(case_state_officer_in(state, "CAF", "2024-01-20")); /* is no officer */
	case_state_free(state);
	state = FOLD(rows);
	case_state_summary(state, "2024-01-25", &s);
	assert_string_equal(s.lead, "bo");
	assert_int_equal(s.backups, 0); /* who leads stands in no more */
	assert_ok(line_apply(state, 7, "2024-01-26", "OFFICER_ASSIGNED",
		"'officer_key':'bo','role':'BACKUP'")); /* nor later */
	case_state_summary(state, "2024-01-26", &s);
	assert_string_equal(s.lead, "bo");
	assert_int_equal(s.backups, 0);
	case_state_free(state);
}

/* What is written down late moves nothing back; what has ended stays ended. */
static void history(void **unused)
{
	static const struct row rows[] = {
		OPENED,
		{"2024-03-01", "INVESTIGATION_STAGE",
			"'allegation_ref':'A-1','stage':'UNDER_INVESTIGATION'"},
		{"2024-02-01", "INVESTIGATION_STAGE", "'allegation_ref':'A-1','stage':'RECEIVED'"},
		{"2024-03-05", "CONTACT", "'result':'REACHED','next_contact_due_on':'2024-04-01'"},
		{"2024-01-05", "CONTACT", "'result':'REACHED','next_contact_due_on':'2024-02-01'"},
		{"2024-04-01", "INVESTIGATION_STAGE", "'allegation_ref':'A-1','stage':'RECEIVED'"},
		{"2024-04-01", "REFERRAL_ENDED", "'referral_id':'R-1','end':'DONE'"},
		{"2024-04-01", "REFERRAL_ENDED", "'referral_id':'R-1','end':'EXPIRED'"},
		{"2024-04-01", "REFERRAL_ENDED", "'referral_id':'R-1','end':'OF_TOMORROW'"},
	};
	struct case_state *state = fold(rows, 5);
	struct case_summary s;
	struct item_view item;

	case_state_summary(state, "2024-05-01", &s);
	assert_int_equal(s.irregular, 0);
	assert_string_equal(s.last_contact_on, "2024-03-05");
	assert_string_equal(s.next_contact_on, "2024-04-01");
	assert_true(case_state_item(state, ITEM_ALLEGATION, 0, &item));
	assert_string_equal(item.status, "UNDER_INVESTIGATION");
	case_state_free(state);
	state = FOLD(rows);
	case_state_summary(state, "2024-05-01", &s);
	assert_int_equal(s.irregular, 4);
	assert_true(case_state_item(state, ITEM_REFERRAL, 0, &item));
	assert_string_equal(item.status, "DONE");
	assert_false(item.open);
	case_state_free(state);
}

/* --- caps --- */

/* `count` events of a type, each with a number of its own in `field`; the last error. */
static enum err fill(struct case_state *state, unsigned count, const char *type, const char *field)
{
	enum err err = OK;

	for (unsigned i = 0; i < count && err == OK; i++) {
		char members[100];

		snprintf(members, sizeof members, "'%s':'X%u'", field, i);
		err = line_apply(state, i + 1, "2024-01-01", type, members);
	}
	return err;
}

static void caps(void **unused)
{
	static const struct {
		const char *type, *field;
		unsigned max;
	} lists[] = {
		{"CONSENT_RECORDED", "consent_id", LIMIT_CASE_CONSENTS},
		{"PERSON_RECORDED", "person_ref", LIMIT_CASE_ITEMS},
		{"OFFICER_ASSIGNED", "officer_key", LIMIT_CASE_OFFICERS},
		{"FEEDBACK", "would_recommend", LIMIT_CASE_EVENTS},
	};

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		struct case_state *state;
		char *before, *after;

		assert_ok(case_state_new(&state));
		assert_ok(fill(state, lists[i].max, lists[i].type, lists[i].field));
		before = state_dump(state, "2024-02-01");
		assert_int_equal(line_apply(state, 20000, "2024-01-02", lists[i].type, "'x':'x'"),
			ERR_LIMIT);
		after = state_dump(state, "2024-02-01");
		assert_string_equal(before, after);
		free(before);
		free(after);
		case_state_free(state);
	}
}

/* A text of `size` bytes, which may be the one too many. */
static enum err add_text(struct case_state *state, unsigned n, size_t size)
{
	static char members[3000];

	snprintf(members, sizeof members, "'person_ref':'%0*u'", (int)size, n);
	return line_apply(state, n, "2024-01-01", "PERSON_RECORDED", members);
}

static void cap_of_text(void **unused)
{
	struct case_state *state;
	size_t size = 1; /* "" */
	unsigned n = 1;

	assert_ok(case_state_new(&state));
	for (; size + 2001 < LIMIT_CASE_TEXT; size += 2001)
		assert_ok(add_text(state, n++, 2000));
	assert_int_equal(add_text(state, n++, LIMIT_CASE_TEXT - size), ERR_LIMIT);
	/* two bytes are asked for that quotes would take */
	assert_ok(add_text(state, n++, LIMIT_CASE_TEXT - size - 3));
	assert_int_equal(add_text(state, n++, 3), ERR_LIMIT);
	case_state_free(state);
}

/* Parents that are not here: remembered up to a cap, then not. */
static void cap_of_awaited(void **unused)
{
	struct case_state *state;
	struct event_id heads[EVENT_REFS_MAX];
	unsigned n = 1;

	assert_ok(case_state_new(&state));
	for (unsigned i = 0; i <= LIMIT_CASE_AWAITED; i++) {
		char members[100], id[EVENT_ID_TEXT + 1];

		line_id(100000 + i, id);
		snprintf(members, sizeof members, "'parents':['%s']", id);
		assert_ok(line_apply(state, n++, "2024-01-01", "FEEDBACK", members));
	}
	/* one that is awaited needs a fold anew; one that was forgotten is a head */
	assert_int_equal(line_apply(state, 100000, "2024-01-02", "FEEDBACK", ""), ERR_AGAIN);
	assert_ok(line_apply(state, 100000 + LIMIT_CASE_AWAITED, "2024-01-02", "FEEDBACK", ""));
	assert_int_equal(case_state_heads(state, heads), EVENT_REFS_MAX);
	case_state_free(state);
}

/* --- memory --- */

/* Bytes an event, over all synthetic cases, as they are folded at unlocking. */
static void memory_of_synthetic_cases(void **unused)
{
	FILE *pipe = popen("python3 '" SAUTI_SOURCE_DIR "/scripts/synth' --seed 1", "r");
	static char line[LIMIT_EVENT_JSON + 2];
	struct timeline *timeline = NULL;
	struct case_ref ref = {{0}};
	size_t size = 0, events = 0;
	bool more = true;

	assert_non_null(pipe);
	while (more) {
		struct event event = {0};

		more = fgets(line, sizeof line, pipe) != NULL;
		if (more)
			assert_ok(event_parse(bytes_make(line, strcspn(line, "\n")), &event, NULL));
		if (timeline != NULL && (!more || memcmp(&ref, &event.case_ref, 16) != 0)) {
			struct case_state *state;

			assert_ok(timeline_finish(timeline));
			assert_ok(timeline_state(timeline, &state));
			size += case_state_size(state);
			events += timeline_count(timeline);
			case_state_free(state);
			timeline_free(timeline);
			timeline = NULL;
		}
		if (more && timeline == NULL)
			assert_ok(timeline_new(&timeline));
		if (more)
			line_add(timeline, NULL, &event);
		ref = event.case_ref;
		event_release(&event);
	}
	pclose(pipe);
	print_message("%.1f bytes an event\n", (double)size / (double)events);
	assert_in_range(events, 3000, 6000);
	assert_true(size <= 42 * events);
}

static enum err fold_whole(void *unused)
{
	struct case_state *state = NULL, *copy = NULL;
	struct event events[15];
	enum err err;

	mem_set_allocator(NULL);
	for (unsigned i = 0; i < 15; i++)
		events[i] = line_event(i + 1, whole[i].day, whole[i].type, whole[i].members);
	mem_set_allocator(&(struct allocator){.resize = failing_resize});
	err = case_state_new(&state);
	for (unsigned i = 0; i < 15 && err == OK; i++) {
		err = case_state_apply(state, &events[i]);
		if (err == ERR_NOMEM) /* nothing happened: it can be done again */
			assert_ok(case_state_apply(state, &events[i]));
	}
	if (err == OK)
		err = case_state_copy(state, &copy);
	case_state_free(state);
	case_state_free(copy);
	mem_set_allocator(NULL);
	for (unsigned i = 0; i < 15; i++)
		event_release(&events[i]);
	mem_set_allocator(&(struct allocator){.resize = failing_resize});
	return err;
}

static void allocation_failures(void **unused)
{
	torture(fold_whole, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summary),
		cmocka_unit_test(order),
		cmocka_unit_test(stages),
		cmocka_unit_test(transfer),
		cmocka_unit_test(history),
		cmocka_unit_test(caps),
		cmocka_unit_test(cap_of_text),
		cmocka_unit_test(cap_of_awaited),
		cmocka_unit_test(memory_of_synthetic_cases),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
