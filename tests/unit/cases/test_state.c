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
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
