/* What may be recorded in a case, and what the refusals say. */
#include "case_lines.h"

#include "cases/rules/rules.h"
#include "cases/schema/schema.h"

static const struct rules_context today = {.today = "2024-06-30", .node = "haiti"};

/* One more event as a node records it. */
static enum err record(struct case_state *state, unsigned n, const char *day, const char *type,
	const char *members, struct errctx *ctx)
{
	struct event event = line_event(n, day, type, members);
	enum err err = rules_fill(state, &event, &today, ctx);

	if (err == OK)
		err = schema_check(&event, ctx);
	if (err == OK)
		err = rules_check(state, &event, &today, ctx);
	if (err == OK)
		err = case_state_apply(state, &event);
	event_release(&event);
	return err;
}

struct step {
	const char *day, *type, *members;
};
#define OPENED                                                                                     \
	{                                                                                          \
		"2024-01-01", "CASE_OPENED", "'case_code':'ZZ-HTI-1'"                              \
	}
#define MANAGED                                                                                    \
	{                                                                                          \
		"2024-01-01", "CONSENT_RECORDED",                                                  \
			"'purpose':'CASE_MGMT','given_by':'VICTIM','form':'WRITTEN','valid_until'" \
			":'2024-12-31'"                                                            \
	}
#define REFERS(until)                                                                              \
	{                                                                                          \
		"2024-01-02", "CONSENT_RECORDED",                                                  \
			"'purpose':'REFERRAL','given_by':'VICTIM','form':'WRITTEN','recipients':[" \
			"'ZZ-ORG-1'],"                                                             \
			"'groups':['contact','health'],'services':['MED','PSY'],'valid_until':"    \
			"'" until "'"                                                              \
	}
#define REFERRED                                                                                   \
	{                                                                                          \
		"2024-02-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"          \
	}

/* Steps that pass, and then one that is refused with that text; NULL: it passes, too. */
struct refusal {
	struct step before[8];
	struct step step;
	enum err err;
	const char *text;
};

static const struct refusal refusals[] = {
	{{OPENED, MANAGED, REFERS("2024-04-30")},
		{"2024-05-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-05-01: consent C-2 ended on 2024-04-30; needed is a live "
		"one "
		"to REFERRAL: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS("2024-12-30")},
		{"2024-05-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-2'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-05-01: consent C-2 does not name the recipient in to_org; "
		"needed is a live one to REFERRAL: ask the victim, and record CONSENT_RECORDED "
		"first"},
	{{OPENED, MANAGED, REFERS("2024-12-30"), REFERRED},
		{"2024-05-01", "REFERRAL_ENDED", "'end':'DONE'"}, ERR_INVALID,
		"end: R-1 stands at MADE; from there: ACCEPTED, PARTIAL, DECLINED, "
		"REVOKED_BY_SENDER, WITHDRAWN_BY_VICTIM, EXPIRED"},
	{{OPENED}, {"2024-05-01", "NEEDS_ASSESSED", "'service_code':['MED']"}, ERR_CONSENT,
		"NEEDS_ASSESSED: no consent to CASE_MGMT is live on 2024-05-01, so the case holds "
		"contacts alone; record CONSENT_RECORDED with purpose CASE_MGMT first"},
	{{OPENED, MANAGED, REFERS("2024-12-30"), REFERRED},
		{"2024-05-01", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"}, OK, NULL},
};

static void run(const struct refusal *refusal)
{
	struct errctx ctx = {""};
	struct case_state *state;
	unsigned n = 0;
	enum err err;

	assert_ok(case_state_new(&state));
	for (; refusal->before[n].type != NULL; n++) {
		const struct step *step = &refusal->before[n];

		if (record(state, n + 1, step->day, step->type, step->members, &ctx) != OK)
			fail_msg("%s: %s", step->type, ctx.text);
	}
	ctx.text[0] = 0;
	err = record(
		state, n + 1, refusal->step.day, refusal->step.type, refusal->step.members, &ctx);
	if (refusal->text != NULL)
		assert_string_equal(ctx.text, refusal->text);
	else if (err != OK)
		fail_msg("%s", ctx.text);
	assert_int_equal(err, refusal->err);
	case_state_free(state);
}

static void what_is_refused(void **unused)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
		run(&refusals[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
