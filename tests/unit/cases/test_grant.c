/* Whether a consent covers what is to be given, what is missing when none does, and the
 * commitment. */
#include "case_lines.h"

#include "base/limits.h"
#include "cases/keys/grant.h"

static struct case_state *state;

static int set_up(void **arg)
{
	return case_state_new(&state) != OK;
}

static int tear_down(void **arg)
{
	case_state_free(state);
	return 0;
}

static void consent(unsigned n, const char *id, const char *purpose, const char *more)
{
	char members[600];

	snprintf(members, sizeof members,
		"'consent_id':'%s','purpose':'%s','given_by':'VICTIM','form':'WRITTEN',"
		"'valid_from':'2024-02-01','valid_until':'2024-11-30'%s",
		id, purpose, more);
	assert_ok(line_apply(state, n, "2024-01-02", "CONSENT_RECORDED", members));
}

#define SCOPE                                                                                      \
	",'recipients':['rdc','CAF','ZZ-Hospital'],'groups':['contact','health','services'],"      \
	"'services':['MED','PSY'],'withhold_from':['HTI']"

static struct grant_ask ask(const char *node, const char *country, group_set groups)
{
	return (struct grant_ask){.purpose = "REFERRAL",
		.to = {.node = node, .country = country},
		.groups = groups,
		.day = "2024-06-01"};
}

static void covered(const struct grant_ask *what, const char *id)
{
	struct grant_cover cover;
	struct errctx ctx = {""};

	if (grant_check(state, what, &cover, &ctx) != OK)
		fail_msg("%s", ctx.text);
	assert_true(cover.covered);
	assert_true(bytes_equal_str(cover.consent, id));
}

static void lacks(const struct grant_ask *what, enum consent_lack lack, const char *words)
{
	struct grant_cover cover;
	struct errctx ctx = {""};

	grant_covered(state, what, &cover);
	assert_false(cover.covered);
	assert_int_equal(cover.missing.lack, lack);
	assert_int_equal(grant_check(state, what, &cover, &ctx), ERR_CONSENT);
	if (strstr(ctx.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", ctx.text, words);
}

static void test_who(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));
	struct grant_cover cover;

	lacks(&what, CONSENT_LACKS_ALL, "the case has no consent to REFERRAL; ask the victim");
	consent(1, "C-1", "REFERRAL", SCOPE);
	covered(&what, "C-1");
	what = ask("centre", "CAF", GROUP_BIT(GROUP_CONTACT));
	covered(&what, "C-1");
	what.to = (struct grant_recipient){.organisation = "ZZ-Hospital"};
	covered(&what, "C-1");
	what = ask("south", "SSD", GROUP_BIT(GROUP_CONTACT));
	lacks(&what, CONSENT_LACKS_RECIPIENT, "consent C-1 does not name this recipient");
	/* One of its names is withheld from: that counts more. */
	what = ask("rdc", "HTI", GROUP_BIT(GROUP_CONTACT));
	lacks(&what, CONSENT_LACKS_TRUST, "C-1 withholds everything from this recipient");
	/* Nobody named is nobody, and no name is no name. */
	what.to = (struct grant_recipient){.node = ""};
	lacks(&what, CONSENT_LACKS_RECIPIENT, "does not name");
	/* A part of a name is none. */
	what.to.node = "rd";
	lacks(&what, CONSENT_LACKS_RECIPIENT, "does not name");
	what = ask("rdc", "COD", 0);
	grant_covered(state, &what, &cover);
	assert_true(cover.covered);
	assert_int_equal(cover.groups,
		GROUP_BIT(GROUP_CONTACT) | GROUP_BIT(GROUP_HEALTH) | GROUP_BIT(GROUP_SERVICES));
	assert_string_equal(cover.until, "2024-11-30");
	assert_int_equal(memcmp(cover.event.b, line_event_id(1).b, EVENT_ID_SIZE), 0);
}

static void test_what(void **arg)
{
	struct grant_ask what =
		ask("rdc", "COD", GROUP_BIT(GROUP_IDENTITY) | GROUP_BIT(GROUP_CONTACT));

	consent(1, "C-1", "REFERRAL", SCOPE);
	lacks(&what, CONSENT_LACKS_GROUPS, "C-1 does not cover the data groups identity");
	what.groups |= GROUP_BIT(GROUP_NOTE) | GROUP_BIT(GROUP_AUDIT);
	lacks(&what, CONSENT_LACKS_GROUPS, "the data groups identity, note, audit;");
	what.groups = GROUP_BIT(GROUP_HEALTH);
	what.services = "[\"PSY\",\"MED\"]";
	covered(&what, "C-1");
	what.services = "\"LEGAL\"";
	lacks(&what, CONSENT_LACKS_SERVICE, "C-1 does not cover the service LEGAL");
	what.services = NULL;
	what.purpose = "INVESTIGATION";
	lacks(&what, CONSENT_LACKS_ALL, "no consent to INVESTIGATION");
	what.purpose = NULL;
	covered(&what, "C-1");
}

/* Groups that are not named: contact and services. */
static void test_no_groups(void **arg)
{
	struct grant_ask what =
		ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT) | GROUP_BIT(GROUP_SERVICES));

	consent(1, "C-1", "REFERRAL", ",'recipients':['rdc']");
	covered(&what, "C-1");
	what.groups |= GROUP_BIT(GROUP_CORE);
	lacks(&what, CONSENT_LACKS_GROUPS, "the data groups core");
}

static void test_when(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));

	consent(1, "C-1", "REFERRAL", SCOPE ",'review_at_majority_on':'2024-10-01'");
	what.day = "2024-01-31";
	lacks(&what, CONSENT_LACKS_BEGINNING, "C-1 begins only on 2024-02-01");
	what.day = "2024-02-01";
	covered(&what, "C-1");
	what.day = "2024-10-01";
	covered(&what, "C-1");
	what.day = "2024-10-02";
	lacks(&what, CONSENT_LACKS_AGE, "C-1 must be given anew: the child came of age");
	assert_ok(line_apply(state, 2, "2024-07-01", "CONSENT_WITHDRAWN",
		"'consent_id':'C-1','effective_at':'2024-07-03'"));
	what.day = "2024-07-02";
	covered(&what, "C-1");
	what.day = "2024-07-03";
	lacks(&what, CONSENT_LACKS_WILL, "consent C-1 was withdrawn on 2024-07-03");
	consent(3, "C-2", "REFERRAL", SCOPE);
	covered(&what, "C-2");
	what.day = "2024-11-30";
	covered(&what, "C-2");
	what.day = "2024-12-01";
	lacks(&what, CONSENT_LACKS_WILL, "C-1 was withdrawn");
}

/* On the day it was given: that it was withdrawn is told, and not that it never was. */
static void test_withdrawn_at_once(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));

	consent(1, "C-1", "REFERRAL", SCOPE);
	assert_ok(line_apply(state, 2, "2024-02-01", "CONSENT_WITHDRAWN",
		"'consent_id':'C-1','effective_at':'2024-02-01'"));
	lacks(&what, CONSENT_LACKS_WILL, "consent C-1 was withdrawn on 2024-02-01");
}

static void test_ended(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));

	consent(1, "C-1", "REFERRAL", SCOPE);
	what.day = "2024-12-01";
	lacks(&what, CONSENT_LACKS_TIME, "consent C-1 ended on 2024-11-30");
}

/* Of several the one that lacks the least is spoken of. */
static void test_closest(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_IDENTITY));

	consent(1, "C-1", "REFERRAL", SCOPE);
	consent(2, "C-2", "REFERRAL", ",'recipients':['CAF'],'groups':['identity']");
	consent(3, "C-3", "CASE_MGMT", ",'recipients':['rdc'],'groups':['identity']");
	lacks(&what, CONSENT_LACKS_GROUPS, "consent C-1 does not cover the data groups identity");
	what.purpose = "CASE_MGMT";
	covered(&what, "C-3");
}

/* By a consent to be counted nobody reads. */
static void test_statistics(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));

	consent(1, "C-1", "STATISTICS", SCOPE);
	what.purpose = NULL;
	lacks(&what, CONSENT_LACKS_ALL, "the case has no consent;");
	what.purpose = "STATISTICS";
	lacks(&what, CONSENT_LACKS_ALL, "STATISTICS is no purpose");
}

/* The guardian who gave it is named as a subject by an allegation that comes later. */
static void test_accused_guardian(void **arg)
{
	struct grant_ask what = ask("rdc", "COD", GROUP_BIT(GROUP_CONTACT));
	struct consent_view view;

	assert_ok(line_apply(
		state, 1, "2024-01-02", "PERSON_RECORDED", "'person_ref':'P-2','role':'GUARDIAN'"));
	consent(2, "C-1", "REFERRAL", SCOPE ",'guardian_ref':'P-2'");
	assert_ok(line_apply(state, 3, "2024-05-01", "ALLEGATION_RECORDED",
		"'allegation_ref':'A-1','allegation_type':'SE','subject_ref':['P-3','P-22']"));
	covered(&what, "C-1");
	assert_ok(line_apply(state, 4, "2024-05-20", "ALLEGATION_RECORDED",
		"'allegation_ref':'A-2','allegation_type':'SE','subject_ref':['P-3','P-2']"));
	lacks(&what, CONSENT_LACKS_INNOCENCE,
		"consent C-1 must be given anew: an allegation names its guardian as a subject, "
		"since 2024-05-20");
	assert_true(case_state_consent(state, 0, "2024-05-19", &view) && view.live);
	assert_true(case_state_consent(state, 0, "2024-05-20", &view) && !view.live);
	/* .. also when it never was in force for that. */
	assert_ok(line_apply(state, 5, "2024-01-01", "ALLEGATION_RECORDED",
		"'allegation_ref':'A-3','allegation_type':'SE','subject_ref':['P-2']"));
	lacks(&what, CONSENT_LACKS_INNOCENCE, "since 2024-01-01");
}

/* --- the commitment --- */

static void key(struct grant_key *ret, uint8_t kid, uint64_t first)
{
	memset(ret, kid, sizeof ret->kid);
	ret->first = first;
}

static void test_commitment(void **arg)
{
	static struct grant_key many[LIMIT_GRANT_KEYS + 1];
	uint8_t nonce[GRANT_NONCE_SIZE] = {1};
	struct grant_key keys[2];
	struct grant_commitment in = {
		.nonce = nonce, .recipient = bytes_str("rdc"), .keys = keys, .count = 2};
	struct hash a, b, leaf = {{0}};

	key(&keys[0], 2, 7);
	key(&keys[1], 1, 9);
	assert_ok(grant_commitment(&in, &a));
	assert_int_equal(keys[0].kid.b[0], 1);
	assert_ok(grant_commitment(&in, &b));
	assert_true(hash_equal(&a, &b));
	in.consent_leaf = &leaf;
	assert_ok(grant_commitment(&in, &b));
	assert_true(hash_equal(&a, &b)); /* zeros are none */
	leaf.b[31] = 1;
	assert_ok(grant_commitment(&in, &b));
	assert_false(hash_equal(&a, &b));
	in.consent_leaf = NULL;
	keys[0].first++;
	assert_ok(grant_commitment(&in, &b));
	assert_false(hash_equal(&a, &b));
	key(&keys[1], 1, 7);
	assert_int_equal(grant_commitment(&in, &b), ERR_INVALID); /* one kid twice */
	in.count = 0;
	assert_int_equal(grant_commitment(&in, &b), ERR_INVALID);
	in.count = 1;
	in.recipient = BYTES_NONE;
	assert_int_equal(grant_commitment(&in, &b), ERR_INVALID);
	in.recipient = bytes_str("a-name-of-thirty-one-characters");
	assert_ok(grant_commitment(&in, &b));
	in.recipient = bytes_str("a-name-of-thirty-two--characters");
	assert_int_equal(grant_commitment(&in, &b), ERR_INVALID);
	in.recipient = bytes_str("rdc");
	in.keys = many;
	for (size_t i = 0; i <= LIMIT_GRANT_KEYS; i++)
		put_u16be(many[i].kid.b, (uint16_t)i);
	in.count = LIMIT_GRANT_KEYS;
	assert_ok(grant_commitment(&in, &b));
	in.count = LIMIT_GRANT_KEYS + 1;
	assert_int_equal(grant_commitment(&in, &b), ERR_LIMIT);
}

static int start(void **arg)
{
	return crypto_init() != OK;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(who),
		CASE(what),
		CASE(no_groups),
		CASE(when),
		CASE(withdrawn_at_once),
		CASE(ended),
		CASE(closest),
		CASE(statistics),
		CASE(accused_guardian),
		cmocka_unit_test(test_commitment),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
