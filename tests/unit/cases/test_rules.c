/* What may be recorded in a case, and what the refusals say. */
#include "case_lines.h"

#include "cases/rules/rules.h"
#include "cases/schema/schema.h"

static struct rules_context today = {.today = "2024-12-20", .node = "haiti"};

/* A case, and all that was recorded in it. */
struct kase {
	struct case_state *state;
	struct event events[12];
	size_t count;
};

static void fold_anew(struct kase *kase)
{
	struct timeline *timeline;

	case_state_free(kase->state);
	assert_ok(timeline_new(&timeline));
	for (size_t i = 0; i < kase->count; i++)
		line_add(timeline, NULL, &kase->events[i]);
	assert_ok(timeline_finish(timeline));
	assert_ok(timeline_state(timeline, &kase->state));
	timeline_free(timeline);
}

/* One more event as a node records it, today: filled in, checked, part of the case. */
static enum err record(struct kase *kase, const char *day, const char *type, const char *members,
	struct errctx *ctx)
{
	unsigned n = (unsigned)kase->count + 1;
	struct event event = line_event(n, day, type, members);
	enum err err;

	event_set_recorded_at(&event, 1734652800 + n); /* 2024-12-20 */
	err = rules_fill(kase->state, &event, &today, ctx);
	if (err == OK)
		err = schema_check(&event, ctx);
	if (err == OK)
		err = rules_check(kase->state, &event, &today, ctx);
	if (err != OK) {
		event_release(&event);
		return err;
	}
	kase->events[kase->count++] = event;
	err = case_state_apply(kase->state, &event);
	if (err == ERR_AGAIN)
		fold_anew(kase);
	else
		assert_ok(err);
	return OK;
}

struct step {
	const char *day, *type, *members;
};
/* Steps that pass, and then one that is refused with that text; NULL: it passes, too. */
struct refusal {
	struct step before[9];
	struct step step;
	enum err err;
	const char *text;
};

/* clang-format off: a table reads as a table */

#define EVENT_N(n) "'01900000-0000-7000-8000-00000000000" #n "'"

#define OPENED                                                                                     \
	{                                                                                          \
		"2024-01-01", "CASE_OPENED", "'case_code':'ZZ-HTI-1'"                              \
	}
#define CONSENT(purpose, until, more)                                                              \
	{                                                                                          \
		"2024-01-02", "CONSENT_RECORDED",                                                  \
			"'purpose':'" purpose                                                      \
			"','given_by':'VICTIM','form':'WRITTEN','valid_until':'" until "'" more    \
	}
#define MANAGED CONSENT("CASE_MGMT", "2024-12-31", "")
#define SCOPE                                                                                      \
	",'recipients':['ZZ-ORG-1','CAF'],'groups':['contact','health'],"                          \
	"'services':['MED','PSY']"
#define REFERS CONSENT("REFERRAL", "2024-11-30", SCOPE)
#define REFERRED                                                                                   \
	{                                                                                          \
		"2024-02-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"          \
	}
#define ALLEGED                                                                                    \
	{                                                                                          \
		"2024-01-03", "ALLEGATION_RECORDED",                                               \
			"'allegation_type':'SE','personnel_category':'UNKNOWN','subject_ref':['P-" \
			"2']"                                                                      \
	}
#define PERSON(ref, role)                                                                          \
	{                                                                                          \
		"2024-01-03", "PERSON_RECORDED", "'person_ref':'" ref "','role':'" role "'"        \
	}
#define CONCERN                                                                                    \
	{                                                                                          \
		"2024-02-01", "PROTECTION_CONCERN", "'kind':'THREAT','level':'HIGH'"               \
	}
#define FATHER CONSENT("PATERNITY", "2024-12-31", "")
#define CLAIM                                                                                      \
	{                                                                                          \
		"2024-02-01", "PATERNITY_OPENED", "'claim_kind':'BOTH','claimant':'MOTHER'"        \
	}
#define COMPLAINT                                                                                  \
	{                                                                                          \
		"2024-02-01", "COMPLAINT_RECEIVED",                                                \
			"'about':'DELAY','subject_officer':'bo','handled_by':'ada'"                \
	}
#define CLOSED                                                                                     \
	{                                                                                          \
		"2024-03-01", "CASE_CLOSED", "'reason':'NEEDS_MET','victim_agreed':'Y'"            \
	}
#define HOLD                                                                                       \
	{                                                                                          \
		"2024-02-01", "LEGAL_HOLD",                                                        \
			"'authority':'ZZ-COURT','until':'2025-06-30','approvers':['ada','bo']"     \
	}
#define CONTACT(day, result)                                                                       \
	{                                                                                          \
		day, "CONTACT", "'channel':'PHONE','direction':'OUT','result':'" result "'"        \
	}
#define CORRECTS(n, field, value)                                                                  \
	{                                                                                          \
		"", "CORRECTION",                                                                  \
			"'corrects':" EVENT_N(n) ",'field':'" field "','new_value':'" value        \
						 "','reason':'ERROR'"                              \
	}

static const struct refusal refusals[] = {
	/* --- the case --- */
	{{{0}}, CONTACT("2024-01-01", "REACHED"), ERR_INVALID,
		"CONTACT: the case is not opened yet; CASE_OPENED comes first"},
	{{OPENED}, OPENED, ERR_INVALID, "CASE_OPENED: the case is opened already"},
	{{OPENED}, {"2024-01-05", "CASE_REOPENED", "'reason':'ERROR'"}, ERR_INVALID,
		"CASE_REOPENED: the case is open"},
	{{OPENED, MANAGED, CLOSED}, CONTACT("2024-04-01", "REACHED"), ERR_INVALID,
		"CONTACT: the case was closed on 2024-03-01; CASE_REOPENED comes first (a closed "
		"case "
		"takes corrections, withdrawals, assignments, feedback, erasures and holds)"},
	{{OPENED, MANAGED, CLOSED}, {"2024-04-01", "CASE_REOPENED", "'reason':'NEW_NEED'"}, OK,
		NULL},
	{{OPENED, MANAGED, CLOSED}, {"2024-04-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}, OK,
		NULL},
	{{OPENED, COMPLAINT}, CONTACT("2024-04-01", "REACHED"), ERR_INVALID,
		"CONTACT: this is the case of a complaint: it takes COMPLAINT_STAGE, assignments, "
		"corrections, closing and erasure, nothing about a victim"},
	{{OPENED, MANAGED}, COMPLAINT, ERR_INVALID,
		"COMPLAINT_RECEIVED: this is the case of a victim; a complaint is a case of its "
		"own "
		"(open another)"},

	/* --- dates --- */
	{{OPENED}, CONTACT("2024-12-21", "REACHED"), OK, NULL}, /* somewhere it is tomorrow */
	{{OPENED}, CONTACT("2024-12-22", "REACHED"), ERR_INVALID,
		"occurred_on: 2024-12-22 is in the future (today is 2024-12-20); allowed is what "
		"has "
		"happened"},
	{{OPENED, MANAGED, CONCERN},
		{"2024-03-01", "PROTECTION_ACTION", "'measure':'MONITOR','resolved_on':'2025-01'"},
		ERR_INVALID,
		"resolved_on: 2025-01 is in the future (today is 2024-12-20); allowed is what has "
		"happened"},
	{{OPENED, MANAGED, CONCERN},
		{"2024-03-01", "PROTECTION_ACTION",
			"'measure':'MONITOR','started_on':'2024-03-01','resolved_on':'2024-02'"},
		ERR_INVALID, "resolved_on: 2024-02 is before started_on, which is 2024-03-01"},

	/* --- contact-only --- */
	{{OPENED}, {"2024-05-01", "NEEDS_ASSESSED", "'service_code':['MED']"}, ERR_CONSENT,
		"NEEDS_ASSESSED: no consent to CASE_MGMT is live on 2024-05-01, so the case holds "
		"contacts alone; record CONSENT_RECORDED with purpose CASE_MGMT first"},
	{{OPENED}, {"2024-05-01", "PERSON_RECORDED", "'role':'VICTIM','names':['ZZ']"}, ERR_CONSENT,
		"names: no consent to CASE_MGMT is live on 2024-05-01, so a PERSON_RECORDED is "
		"kept "
		"without it"},
	{{OPENED},
		{"2024-05-01", "CONTACT",
			"'channel':'PHONE','direction':'IN','result':'REACHED',"
			"'note':'lorem'"},
		ERR_CONSENT,
		"note: no consent to CASE_MGMT is live on 2024-05-01, so a CONTACT is kept without "
		"it"},
	{{OPENED}, {"2024-05-01", "VICTIM_VIEW", "'subject':'INVESTIGATION'"}, ERR_CONSENT,
		"VICTIM_VIEW: no consent to CASE_MGMT is live on 2024-05-01, so the case holds "
		"contacts "
		"alone; record CONSENT_RECORDED with purpose CASE_MGMT first"},
	{{OPENED}, {"2024-05-01", "VICTIM_VIEW", "'subject':'CASE'"}, OK, NULL},
	{{OPENED}, {"2024-05-01", "PERSON_RECORDED", "'role':'VICTIM','sex':'F'"}, OK, NULL},
	{{OPENED}, CONTACT("2024-05-01", "REACHED"), OK, NULL},
	{{OPENED},
		{"2024-05-01", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'VICTIM',"
			"'form':'AUDIO','valid_until':'2025-01-01','note':'lorem'"},
		OK, NULL},
	/* after a withdrawal, what was begun can be ended */
	{{OPENED, MANAGED, REFERS, REFERRED,
		 {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-03-02", "REFERRAL_ENDED", "'end':'WITHDRAWN_BY_VICTIM'"}, OK, NULL},
	{{OPENED, MANAGED, REFERS, REFERRED,
		 {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-03-02", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"}, ERR_CONSENT,
		"REFERRAL_ANSWERED: no consent to CASE_MGMT is live on 2024-03-02, so the case "
		"holds "
		"contacts alone; record CONSENT_RECORDED with purpose CASE_MGMT first"},
	{{OPENED, MANAGED, {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-02-28", "NEEDS_ASSESSED", "'service_code':['MED']"}, OK,
		NULL}, /* of before */
	{{OPENED, MANAGED, FATHER, CLAIM,
		 {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-03-02", "PATERNITY_STAGE", "'stage':'CLOSED_WITHDRAWN'"}, OK, NULL},
	{{OPENED, MANAGED, CONCERN, {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-03-02", "PROTECTION_ACTION",
			"'measure':'MONITOR','resolved_on':'2024-03-02'"},
		OK, NULL},

	/* --- consents for referrals --- */
	{{OPENED, MANAGED}, REFERRED, ERR_CONSENT,
		"REFERRAL_MADE: no consent to REFERRAL covers it on 2024-02-01; ask the victim, "
		"and "
		"record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-12-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-12-01: consent C-2 ended on 2024-11-30; needed is one to "
		"REFERRAL "
		"that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS}, /* recorded as of today: the consent of last month has ended */
		{"", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"}, ERR_CONSENT,
		"REFERRAL_MADE of 2024-12-20: consent C-2 ended on 2024-11-30; needed is one to "
		"REFERRAL "
		"that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS}, /* a month is judged by its last day */
		{"2024-11", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"}, OK, NULL},
	{{OPENED, MANAGED, REFERS},
		{"2024-01-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-01-01: consent C-2 begins only on 2024-01-02; needed is one "
		"to "
		"REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-2'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 does not name the recipient in to_org; "
		"needed is "
		"one to REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED "
		"first"},
	{{OPENED, MANAGED,
		 CONSENT("REFERRAL", "2024-12-30", SCOPE ",'withhold_from':['ZZ-ORG-1']")},
		REFERRED, ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 withholds everything from the recipient "
		"in "
		"to_org; needed is one to REFERRAL that covers it: ask the victim, and record "
		"CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE",
			"'service_code':'MED',"
			"'to_office':'CAF','shared_groups':['contact','identity','services']"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 does not cover the data groups identity, "
		"services; needed is one to REFERRAL that covers it: ask the victim, and record "
		"CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE", "'service_code':'LEGAL','to_org':'ZZ-ORG-1'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 does not cover the service LEGAL; needed "
		"is one "
		"to REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE",
			"'service_code':'MED','to_org':'ZZ-ORG-1','consent_ref':" EVENT_N(2)},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-1 is a consent to CASE_MGMT; needed is one "
		"to "
		"REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE",
			"'service_code':'MED','to_org':'ZZ-ORG-1','consent_ref':" EVENT_N(1)},
		ERR_CONSENT, "consent_refs: no CONSENT_RECORDED of this case has the 1. id"},
	{{OPENED, MANAGED, REFERS, {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-2'"}},
		{"2024-03-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'ZZ-ORG-1'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-03-01: consent C-2 was withdrawn on 2024-03-01; needed is "
		"one to "
		"REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED,
		 CONSENT("REFERRAL", "2024-12-30", SCOPE ",'review_at_majority_on':'2024-01-31'")},
		REFERRED, ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 must be given anew: the child came of "
		"age on "
		"2024-01-31; needed is one to REFERRAL that covers it: ask the victim, and record "
		"CONSENT_RECORDED first"},
	{{OPENED, MANAGED,
		 CONSENT("REFERRAL", "2024-12-30", "")}, /* no groups: contact, services */
		{"2024-02-01", "REFERRAL_MADE",
			"'service_code':'LEGAL','to_office':'HTI',"
			"'shared_groups':['contact','services']"},
		OK, NULL}, /* and this office needs no name */
	{{OPENED, MANAGED, REFERS}, {"2024-02-01", "REFERRAL_MADE", "'service_code':'MED'"},
		ERR_CONSENT,
		"REFERRAL_MADE of 2024-02-01: consent C-2 does not name the recipient in "
		"to_office; needed "
		"is one to REFERRAL that covers it: ask the victim, and record CONSENT_RECORDED "
		"first"},
	{{OPENED, MANAGED, REFERS},
		{"2024-02-01", "REFERRAL_MADE",
			"'service_code':'MED','to_org':'ZZ-ORG-1','to_office':'CAF'"},
		ERR_INVALID,
		"to_org: stands beside to_office; a referral goes to an organisation (to_org) or "
		"to an "
		"office (to_office)"},

	/* --- other consents --- */
	{{OPENED, MANAGED}, CLAIM, ERR_CONSENT,
		"PATERNITY_OPENED: no consent to PATERNITY covers it on 2024-02-01; ask the "
		"victim, and "
		"record CONSENT_RECORDED first"},
	{{OPENED}, {"2024-02-01", "TRANSFER_OFFERED", "'to_office':'CAF','reason':'REQUEST'"},
		ERR_CONSENT,
		"TRANSFER_OFFERED: no consent to TRANSFER covers it on 2024-02-01; ask the victim, "
		"and "
		"record CONSENT_RECORDED first"},
	{{OPENED, CONSENT("TRANSFER", "2024-12-30", ",'recipients':['CAF']")},
		{"2024-02-01", "TRANSFER_OFFERED", "'to_office':'HTI','reason':'REQUEST'"},
		ERR_INVALID, "to_office: is the office that offers it"},
	{{OPENED},
		{"2024-02-01", "EXTERNAL_PACKET",
			"'recipient':'ZZ-ORG-1','groups':['contact'],'format':'PAPER'"},
		ERR_CONSENT,
		"EXTERNAL_PACKET: no consent covers it on 2024-02-01; ask the victim, and record "
		"CONSENT_RECORDED first"},
	{{OPENED, REFERS},
		{"2024-02-01", "EXTERNAL_PACKET",
			"'recipient':'ZZ-ORG-1','groups':['contact'],'format':'PAPER'"},
		OK, NULL},
	{{OPENED},
		{"2024-01-02", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'VICTIM',"
			"'form':'AUDIO','valid_from':'2024-03-01','valid_until':'2024-02-01'"},
		ERR_INVALID, "valid_until: 2024-02-01 is before valid_from, which is 2024-03-01"},
	{{OPENED},
		{"2024-01-02", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'VICTIM',"
			"'form':'AUDIO','valid_from':'2024-01-01','valid_until':'2024-02-01'"},
		ERR_INVALID,
		"valid_from: is before the consent was given, on 2024-01-02; no consent covers "
		"what was "
		"before it"},
	{{OPENED, MANAGED},
		{"2024-01-02", "CONSENT_RECORDED",
			"'consent_id':'C-1','purpose':"
			"'REFERRAL','given_by':'VICTIM','form':'AUDIO','valid_until':'2024-02-01'"},
		ERR_INVALID, "consent_id: C-1 is in the case already; allowed is a new one"},
	{{OPENED}, {"2024-02-01", "CONSENT_WITHDRAWN", "'consent_id':'C-9'"}, ERR_INVALID,
		"consent_id: the case has no such consent; case show lists them"},
	{{OPENED, MANAGED, {"2024-03-01", "CONSENT_WITHDRAWN", ""}},
		{"2024-03-02", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}, ERR_INVALID,
		"consent_id: C-1 is withdrawn already, on 2024-03-01"},
	{{OPENED, MANAGED, CONSENT("STATISTICS", "2024-12-31", "")},
		{"2024-03-01", "CONSENT_WITHDRAWN", ""}, ERR_INVALID,
		"consent_id: missing, and more than one consent is live; say which is withdrawn"},

	/* --- guardians --- */
	{{OPENED},
		{"2024-01-04", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'GUARDIAN',"
			"'form':'AUDIO','valid_until':'2024-12-01'"},
		ERR_INVALID,
		"guardian_ref: missing; a consent of a guardian says which person that is"},
	{{OPENED},
		{"2024-01-04", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'VICTIM',"
			"'guardian_ref':'P-1','form':'AUDIO','valid_until':'2024-12-01'"},
		ERR_INVALID, "guardian_ref: stands beside a consent that no guardian gave"},
	{{OPENED, PERSON("P-1", "VICTIM")},
		{"2024-01-04", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT',"
			"'given_by':'GUARDIAN','guardian_ref':'P-2','form':'AUDIO','valid_until':'"
			"2024-12-01'"},
		ERR_INVALID, "guardian_ref: the case has no such person; it has: P-1"},
	{{OPENED, MANAGED, PERSON("P-2", "GUARDIAN"), ALLEGED},
		{"2024-01-04", "CONSENT_RECORDED",
			"'purpose':'REFERRAL','given_by':'GUARDIAN','guardian_ref':'P-2','form':'"
			"AUDIO',"
			"'valid_until':'2024-12-01'"},
		ERR_INVALID,
		"guardian_ref: P-2 is a subject of the allegation and cannot consent; record "
		"GUARDIAN_CHANGED first"},
	{{OPENED, PERSON("P-2", "GUARDIAN"), PERSON("P-3", "GUARDIAN"),
		 {"2024-02-01", "GUARDIAN_CHANGED",
			 "'guardian_ref':'P-3','replaces':'P-2','reason':'DEATH'"}},
		{"2024-02-04", "CONSENT_RECORDED",
			"'purpose':'CASE_MGMT','given_by':'GUARDIAN',"
			"'guardian_ref':'P-2','form':'AUDIO','valid_until':'2024-12-01'"},
		ERR_INVALID, "guardian_ref: P-2 is no longer the guardian (GUARDIAN_CHANGED)"},
	{{OPENED, PERSON("P-2", "GUARDIAN"), PERSON("P-3", "GUARDIAN"),
		 {"2024-01-04", "CONSENT_RECORDED",
			 "'purpose':'PATERNITY','given_by':'GUARDIAN',"
			 "'guardian_ref':'P-2','form':'AUDIO','valid_until':'2024-12-01'"},
		 MANAGED,
		 {"2024-02-01", "GUARDIAN_CHANGED",
			 "'guardian_ref':'P-3','replaces':'P-2',"
			 "'reason':'CONFLICT_OF_INTEREST'"}},
		{"2024-02-01", "PATERNITY_OPENED", "'claim_kind':'BOTH','claimant':'MOTHER'"},
		ERR_CONSENT,
		"PATERNITY_OPENED of 2024-02-01: consent C-1 must be given anew: its guardian had "
		"a conflict "
		"of interest, on 2024-02-01; needed is one to PATERNITY that covers it: ask the "
		"victim, and "
		"record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, PERSON("P-2", "GUARDIAN"),
		 {"2024-01-02", "CONSENT_RECORDED",
			 "'purpose':'PATERNITY','given_by':'GUARDIAN',"
			 "'guardian_ref':'P-2','form':'AUDIO','valid_until':'2024-12-01'"},
		 ALLEGED},
		CLAIM, ERR_CONSENT,
		"PATERNITY_OPENED of 2024-02-01: consent C-2 must be given anew: an allegation "
		"names its guardian as a subject, since 2024-01-03; needed is one to PATERNITY "
		"that covers it: ask the victim, and record CONSENT_RECORDED first"},
	{{OPENED, MANAGED, CONSENT("STATISTICS", "2024-12-31", ",'recipients':['ZZ-ORG-1']")},
		{"2024-02-01", "EXTERNAL_PACKET",
			"'recipient':'ZZ-ORG-1','groups':['contact'],'format':'PAPER'"},
		ERR_CONSENT,
		"EXTERNAL_PACKET of 2024-02-01: consent C-1 does not name the recipient in "
		"recipient; needed is one that covers it: ask the victim, and record "
		"CONSENT_RECORDED first"},
	{{OPENED, PERSON("P-2", "GUARDIAN")},
		{"2024-02-01", "GUARDIAN_CHANGED",
			"'guardian_ref':'P-2','replaces':'P-2','reason':'DEATH'"},
		ERR_INVALID, "replaces: is the same person as guardian_ref"},
	{{OPENED, PERSON("P-2", "GUARDIAN")},
		{"2024-02-01", "GUARDIAN_CHANGED",
			"'guardian_ref':'P-2','replaces':'P-4','reason':'DEATH'"},
		ERR_INVALID, "replaces: the case has no such person; it has: P-2"},

	{{OPENED, MANAGED,
		 {"2024-02-01", "CONSENT_WITHDRAWN",
			 "'consent_id':'C-1','effective_at':'2024-12-19'"}},
		{"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}, OK, NULL},
	{{OPENED, MANAGED,
		 {"2024-02-01", "CONSENT_WITHDRAWN",
			 "'consent_id':'C-1','effective_at':'2024-12-19'"},
		 {"2024-03-01", "CONSENT_WITHDRAWN", "'consent_id':'C-1'"}},
		{"2024-03-01", "NEED_UNMET", "'service_code':'MED','reason':'NO_FUNDS'"},
		ERR_CONSENT,
		"NEED_UNMET: no consent to CASE_MGMT is live on 2024-03-01, so the case holds "
		"contacts alone; record CONSENT_RECORDED with purpose CASE_MGMT first"},

	/* --- what moves --- */
	{{OPENED, MANAGED, REFERS, REFERRED}, {"2024-05-01", "REFERRAL_ENDED", "'end':'DONE'"},
		ERR_INVALID,
		"end: R-1 stands at MADE; from there: ACCEPTED, PARTIAL, DECLINED, "
		"REVOKED_BY_SENDER, "
		"WITHDRAWN_BY_VICTIM, EXPIRED"},
	{{OPENED, MANAGED, REFERS, REFERRED},
		{"2024-01-20", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"}, ERR_INVALID,
		"occurred_on: is before R-1 came to MADE, on 2024-02-01"},
	{{OPENED, MANAGED, REFERS, REFERRED}, {"2024", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"},
		OK, NULL}, /* it may be later */
	{{OPENED, MANAGED, REFERS, REFERRED},
		{"2024-02-20", "REFERRAL_ANSWERED", "'referral_id':'R-7','answer':'ACCEPTED'"},
		ERR_INVALID, "referral_id: the case has no such referral; it has: R-1 (MADE)"},
	{{OPENED, MANAGED}, {"2024-02-20", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"}, ERR_INVALID,
		"referral_id: missing, and nothing is open in the case that it could be"},
	{{OPENED, MANAGED, REFERS, REFERRED, REFERRED},
		{"2024-02-20", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"}, ERR_INVALID,
		"referral_id: missing, and it may be any of R-1, R-2; say which"},
	{{OPENED, MANAGED, REFERS, REFERRED},
		{"2024-02-20", "REFERRAL_ANSWERED", "'answer':'DECLINED'"}, ERR_INVALID,
		"decline_reason: missing; a referral that is DECLINED says why"},
	{{OPENED, MANAGED, REFERS, REFERRED},
		{"2024-02-20", "REFERRAL_ANSWERED",
			"'answer':'ACCEPTED','decline_reason':'NO_FUNDS'"},
		ERR_INVALID,
		"decline_reason: stands beside ACCEPTED; allowed with DECLINED or PARTIAL"},
	{{OPENED, MANAGED, REFERS, REFERRED},
		{"2024-02-20", "REFERRAL_MADE",
			"'referral_id':'R-1','service_code':'MED','to_org':'ZZ-ORG-1'"},
		ERR_INVALID,
		"referral_id: R-1 is in the case already; allowed is a new one, or a CORRECTION"},
	{{OPENED, MANAGED},
		{"2024-02-20", "ASSISTANCE_PROVIDED", "'service_code':'MED','referral_id':'R-1'"},
		ERR_INVALID, "referral_id: the case has no such referral; it has: none"},
	{{OPENED, MANAGED},
		{"2024-02-20", "ASSISTANCE_PROVIDED", "'service_code':'CASH','amount':'10.00'"},
		ERR_INVALID, "currency: missing; amount and currency go together"},
	{{OPENED, MANAGED, FATHER, CLAIM},
		{"2024-03-01", "PATERNITY_STAGE", "'stage':'RESULT_POSITIVE'"}, ERR_INVALID,
		"stage: F-1 stands at RECEIVED; from there: MS_NOTIFIED, FOCAL_POINT_NAMED, "
		"SUBJECT_LOCATED, DNA_CONSENT, DNA_COLLECTED, ADMITTED, CLOSED_WITHDRAWN, "
		"CLOSED_SUBJECT_DECEASED, CLOSED_NO_RESPONSE"},
	{{OPENED, MANAGED, FATHER, CLAIM,
		 {"2024-03-01", "PATERNITY_STAGE", "'stage':'DNA_COLLECTED'"}},
		{"2024-02-20", "PATERNITY_STAGE", "'stage':'MS_NOTIFIED'"}, OK, NULL}, /* history */
	{{OPENED, MANAGED, FATHER, CLAIM,
		 {"2024-03-01", "PATERNITY_STAGE", "'stage':'CLOSED_WITHDRAWN'"}},
		{"2024-03-20", "CHILD_SUPPORT", "'claim_id':'F-1','kind':'ORDER'"}, ERR_INVALID,
		"claim_id: the claim stands at CLOSED_WITHDRAWN; from there: nothing"},
	{{OPENED, MANAGED, ALLEGED}, {"2024-03-01", "INVESTIGATION_STAGE", "'stage':'COMPLETED'"},
		ERR_INVALID,
		"stage: A-1 stands at its beginning; from there: RECEIVED, PRELIM_ASSESSMENT, "
		"LIMITED_INFO_REVIEW, REFERRED_MEMBER_STATE, UNDER_INVESTIGATION"},
	{{OPENED, MANAGED},
		{"2024-03-01", "INVESTIGATION_STAGE", "'allegation_ref':'A-1','stage':'RECEIVED'"},
		ERR_INVALID, "allegation_ref: the case has no such allegation; it has: none"},
	{{OPENED, MANAGED, ALLEGED}, {"2024-03-01", "INVESTIGATION_OUTCOME", "'outcome':'PENDING'"},
		ERR_INVALID,
		"outcome: no investigation of A-1 is known; INVESTIGATION_STAGE (RECEIVED) comes "
		"first"},
	{{OPENED, MANAGED, ALLEGED, {"2024-03-01", "INVESTIGATION_STAGE", "'stage':'RECEIVED'"},
		 {"2024-03-01", "INVESTIGATION_OUTCOME", "'outcome':'SUBSTANTIATED'"}},
		{"2024-03-02", "INVESTIGATION_OUTCOME", "'outcome':'PENDING'"}, ERR_INVALID,
		"outcome: A-1 stands at SUBSTANTIATED; from there: nothing"},
	{{OPENED, MANAGED, CONCERN,
		 {"2024-02-02", "PROTECTION_ACTION",
			 "'measure':'MONITOR','resolved_on':'2024-02-02'"}},
		{"2024-02-03", "PROTECTION_ACTION", "'concern_id':'K-1','measure':'ESCORT'"},
		ERR_INVALID,
		"concern_id: K-1 is resolved; what is new is a new PROTECTION_CONCERN"},
	{{OPENED, CONSENT("TRANSFER", "2024-12-30", ",'recipients':['CAF']"),
		 {"2024-02-01", "TRANSFER_OFFERED", "'to_office':'CAF','reason':'REQUEST'"}},
		{"2024-02-02", "TRANSFER_OFFERED", "'to_office':'CAF','reason':'REQUEST'"},
		ERR_INVALID,
		"to_office: CAF stands at OFFERED; from there: ACCEPTED, DECLINED, REVOKED"},

	/* --- complaints --- */
	{{OPENED},
		{"2024-02-01", "COMPLAINT_RECEIVED",
			"'about':'DELAY','subject_officer':'bo','handled_by':'bo'"},
		ERR_INVALID,
		"handled_by: is the officer the complaint is about; allowed is any other"},
	{{OPENED},
		{"2024-02-01", "COMPLAINT_RECEIVED",
			"'about':'DELAY','subject_officer':'ZZ-hti-1'"},
		ERR_INVALID,
		"recorded_by: is the officer the complaint is about; somebody else takes it down"},
	{{OPENED, COMPLAINT}, {"2024-02-02", "COMPLAINT_STAGE", "'stage':'UPHELD'"}, ERR_INVALID,
		"stage: Q-1 stands at RECEIVED; from there: ACKNOWLEDGED, WITHDRAWN"},
	{{OPENED, COMPLAINT}, CLOSED, ERR_INVALID,
		"CASE_CLOSED: complaint Q-1 stands at RECEIVED; it is answered, or withdrawn by "
		"who made "
		"it, before its case is closed"},

	/* --- officers, closing, holds, reports --- */
	{{OPENED},
		{"2024-02-01", "COMPLAINT_RECEIVED",
			"'about':'DELAY','subject_officer':'ZZ-hti-1@haiti','handled_by':'ada'"},
		ERR_INVALID,
		"recorded_by: is the officer the complaint is about; somebody else takes it down"},
	{{OPENED},
		{"2024-02-01", "COMPLAINT_RECEIVED", /* one of that name at another node */
			"'about':'DELAY','subject_officer':'ZZ-hti-1@mali','handled_by':'ada'"},
		OK, NULL},
	{{OPENED},
		{"2024-02-01", "OFFICER_ASSIGNED",
			"'officer_key':'ZZ-hti-1@haiti','role':'BACKUP'"},
		ERR_INVALID,
		"officer_key: leads the case on that day; allowed as BACKUP is anybody else"},
	{{OPENED},
		{"2024-03-01", "LEGAL_HOLD",
			"'authority':'ZZ-COURT','until':'2025-06-30',"
			"'approvers':['ada','ada@haiti']"},
		ERR_INVALID, "approvers: allowed are two officers, not the same"},
	{{OPENED}, {"2024-02-01", "OFFICER_ASSIGNED", "'officer_key':'ZZ-hti-1','role':'BACKUP'"},
		ERR_INVALID,
		"officer_key: leads the case on that day; allowed as BACKUP is anybody else"},
	{{OPENED, {"2024-02-01", "OFFICER_ASSIGNED",
			  "'officer_key':'ada','from':'2024-02-01',"
			  "'role':'LEAD'"}},
		{"2024-02-01", "OFFICER_ASSIGNED", "'officer_key':'ZZ-hti-1','role':'BACKUP'"}, OK,
		NULL},
	{{OPENED, MANAGED, CONTACT("2024-02-01", "NOT_REACHED"),
		 CONTACT("2024-03-01", "NOT_REACHED")},
		{"2024-09-01", "CASE_CLOSED",
			"'reason':'LOST_CONTACT','victim_agreed':'NOT_REACHED'"},
		ERR_INVALID,
		"reason: LOST_CONTACT needs 3 attempts over 90 days since somebody was reached; "
		"there were "
		"2, over 213 days"},
	{{OPENED, MANAGED, CONTACT("2024-02-01", "NOT_REACHED"),
		 CONTACT("2024-03-01", "NOT_REACHED"), CONTACT("2024-04-01", "UNSAFE_ABORTED")},
		{"2024-04-30", "CASE_CLOSED",
			"'reason':'LOST_CONTACT','victim_agreed':'NOT_REACHED'"},
		ERR_INVALID,
		"reason: LOST_CONTACT needs 3 attempts over 90 days since somebody was reached; "
		"there were "
		"3, over 89 days"},
	{{OPENED, MANAGED, CONTACT("2024-02-01", "NOT_REACHED"),
		 CONTACT("2024-03-01", "NOT_REACHED"), CONTACT("2024-04-01", "UNSAFE_ABORTED")},
		{"2024-05-01", "CASE_CLOSED",
			"'reason':'LOST_CONTACT','victim_agreed':'NOT_REACHED'"},
		OK, NULL},
	{{OPENED, MANAGED, HOLD},
		{"2024-03-01", "CASE_CLOSED",
			"'reason':'NEEDS_MET',"
			"'victim_agreed':'Y','retention_until':'2025-06-29'"},
		ERR_INVALID, "retention_until: is before the end of the legal hold, 2025-06-30"},
	{{OPENED, MANAGED, HOLD}, {"2024-03-01", "ERASURE_DONE", "'scope':'CASE'"}, ERR_INVALID,
		"ERASURE_DONE: the case is under a legal hold until 2025-06-30; allowed is to ask "
		"(decision "
		"PENDING or REFUSED), and a LEGAL_HOLD that ends today"},
	{{OPENED, MANAGED, HOLD},
		{"2024-03-01", "ERASURE_REQUESTED",
			"'scope':'CASE',"
			"'asked_by':'VICTIM','basis':'OBJECTION','decision':'PENDING'"},
		OK, NULL},
	{{OPENED, MANAGED, HOLD,
		 {"2024-03-01", "LEGAL_HOLD",
			 "'authority':'ZZ-COURT',"
			 "'until':'2024-03-01','approvers':['ada','bo']"}},
		{"2024-03-02", "ERASURE_DONE", "'scope':'CASE'"}, OK, NULL},
	{{OPENED},
		{"2024-03-01", "LEGAL_HOLD",
			"'authority':'ZZ-COURT','until':'2025-06-30',"
			"'approvers':['ada']"},
		ERR_INVALID, "approvers: allowed are two officers, not the same"},
	{{OPENED},
		{"2024-03-01", "LEGAL_HOLD",
			"'authority':'ZZ-COURT','until':'2024-02-29',"
			"'approvers':['ada','bo']"},
		ERR_INVALID,
		"until: is before the hold begins; one that ends on the day it is recorded lifts "
		"the hold"},
	{{OPENED},
		{"2024-03-01", "ERASURE_REQUESTED",
			"'scope':'EVENT','asked_by':'VICTIM',"
			"'basis':'OBJECTION'"},
		ERR_INVALID, "event: missing; scope EVENT says which"},
	{{OPENED},
		{"2024-03-01", "ERASURE_REQUESTED",
			"'scope':'FIELD_GROUP','asked_by':'VICTIM',"
			"'basis':'OBJECTION'"},
		ERR_INVALID, "groups: missing; scope FIELD_GROUP says which"},
	{{OPENED},
		{"2024-03-01", "MANDATORY_REPORT",
			"'to':'ZZ-AUTHORITY','legal_basis':'ZZ-LAW 1',"
			"'victim_told_before':'Y','second_approver':'ZZ-hti-1'"},
		ERR_INVALID, "second_approver: is who recorded it; allowed is anybody else"},
	{{OPENED},
		{"2024-03-01", "MANDATORY_REPORT",
			"'to':'ZZ-AUTHORITY','legal_basis':'ZZ-LAW 1',"
			"'groups':['identity'],'victim_told_before':'Y','second_approver':'bo'"},
		ERR_INVALID,
		"groups: identity is not reported unless the law names it; if it does, legal_basis "
		"says so "
		"with the word 'identity'"},
	{{OPENED},
		{"2024-03-01", "MANDATORY_REPORT",
			"'to':'ZZ-AUTHORITY',"
			"'legal_basis':'ZZ-LAW 1, "
			"identity','groups':['identity'],'victim_told_before':'Y',"
			"'second_approver':'bo'"},
		OK, NULL},

	/* --- corrections and the like --- */
	{{OPENED, MANAGED, REFERS, {"2024-02-01", "CONSENT_WITHDRAWN", "'consent_id':'C-2'"}},
		CORRECTS(4, "effective_at", "2024-11-01"), ERR_INVALID,
		"field: effective_at of CONSENT_WITHDRAWN is not corrected: others rely on it; end "
		"or withdraw what is wrong, and record it anew"},
	{{OPENED, MANAGED, PERSON("P-2", "GUARDIAN"), PERSON("P-3", "GUARDIAN"),
		 {"2024-02-01", "GUARDIAN_CHANGED",
			 "'guardian_ref':'P-3','replaces':'P-2','reason':'CONFLICT_OF_INTEREST'"}},
		CORRECTS(5, "reason", "DEATH"), ERR_INVALID,
		"new_value: consents ended by CONFLICT_OF_INTEREST; they are given anew by the "
		"next guardian, not by a correction"},
	{{OPENED, MANAGED, HOLD,
		 {"2024-03-01", "ERASURE_REQUESTED",
			 "'scope':'CASE','asked_by':'VICTIM','basis':'OBJECTION','decision':"
			 "'PENDING'"}},
		CORRECTS(4, "decision", "GRANTED"), ERR_INVALID,
		"new_value: the case is under a legal hold until 2025-06-30; nothing is granted"},
	{{OPENED, MANAGED, HOLD, CLOSED}, CORRECTS(4, "retention_until", "2025-06-29"), ERR_INVALID,
		"new_value: is before the end of the legal hold, 2025-06-30"},
	{{OPENED, MANAGED, HOLD, CLOSED}, CORRECTS(4, "retention_until", "2025-06-30"), OK, NULL},
	{{OPENED, MANAGED, CLOSED}, CORRECTS(3, "reason", "LOST_CONTACT"), ERR_INVALID,
		"new_value: LOST_CONTACT needs 3 attempts over 90 days since somebody was reached; "
		"there were 0, over 0 days"},
	{{OPENED, MANAGED, CONTACT("2024-01-04", "NOT_REACHED"),
		 CONTACT("2024-01-05", "NOT_REACHED"), CONTACT("2024-01-06", "NOT_REACHED"),
		 {"2024-05-01", "CASE_CLOSED", "'reason':'NEEDS_MET','victim_agreed':'Y'"}},
		CORRECTS(6, "reason", "LOST_CONTACT"), OK, NULL},
	{{OPENED, COMPLAINT},
		{"2024-03-01", "OFFICER_ASSIGNED", "'officer_key':'bo@haiti','role':'LEAD'"},
		ERR_INVALID,
		"officer_key: is the officer the complaint is about; allowed is any other"},
	{{OPENED, COMPLAINT,
		 {"2024-03-01", "OFFICER_ASSIGNED", "'officer_key':'cy','role':'LEAD'"}},
		CORRECTS(3, "officer_key", "bo"), ERR_INVALID,
		"new_value: is the officer the complaint is about; allowed is any other"},
	{{OPENED, CONTACT("2024-02-01", "REACHED")},
		{"", "CORRECTION",
			"'corrects':" EVENT_N(2) ",'field':'channel','new_value':'SMS','reason':"
						 "'ERROR','note':'ZZ'"},
		ERR_CONSENT,
		"note: no consent to CASE_MGMT is live on 2024-12-20, so a CORRECTION is kept "
		"without it"},
	{{OPENED, COMPLAINT}, CORRECTS(2, "handled_by", "bo@haiti"), ERR_INVALID,
		"new_value: is the officer the complaint is about; allowed is any other"},
	{{OPENED, COMPLAINT}, CORRECTS(2, "handled_by", "cy"), OK, NULL},
	{{OPENED, {"2024-03-01", "MANDATORY_REPORT",
			  "'to':'ZZ-AUTHORITY','legal_basis':'ZZ-LAW 1',"
			  "'victim_told_before':'Y','second_approver':'bo'"}},
		CORRECTS(2, "second_approver", "ZZ-hti-1"), ERR_INVALID,
		"new_value: is who corrects it; allowed is anybody else"},
	{{OPENED, {"2024-03-01", "MANDATORY_REPORT",
			  "'to':'ZZ-AUTHORITY','legal_basis':'ZZ-LAW 1',"
			  "'victim_told_before':'Y','second_approver':'bo'"}},
		{"", "CORRECTION",
			"'corrects':" EVENT_N(2) ",'field':'groups',"
						 "'new_value':['identity'],'reason':'ERROR'"},
		ERR_INVALID,
		"new_value: identity is not added by a correction; record what was reported"},
	{{OPENED}, CORRECTS(9, "channel", "SMS"), ERR_INVALID,
		"corrects: no event of this case has that event id"},
	{{OPENED}, CORRECTS(1, "channel", "SMS"), ERR_INVALID,
		"field: CASE_OPENED has no such field"},
	{{OPENED, CONTACT("2024-02-01", "REACHED")}, CORRECTS(2, "channel", "SMOKE"), ERR_INVALID,
		"new_value: channel: found 'SMOKE'; allowed: IN_PERSON, PHONE, SMS, "
		"VIA_FOCAL_POINT, "
		"LETTER"},
	{{OPENED, CONTACT("2024-02-01", "REACHED")}, CORRECTS(2, "channel", "SMS"), OK, NULL},
	{{OPENED, MANAGED}, CORRECTS(2, "valid_until", "2025-06-01"), ERR_INVALID,
		"field: valid_until of CONSENT_RECORDED is not corrected: others rely on it; end "
		"or withdraw "
		"what is wrong, and record it anew"},
	{{OPENED, CONTACT("2024-02-01", "REACHED"), CORRECTS(2, "channel", "SMS")},
		CORRECTS(3, "new_value", "LETTER"), ERR_INVALID,
		"corrects: is a CORRECTION itself; correct the same field of the same event once "
		"more: the "
		"last one holds"},
	{{OPENED, MANAGED, REFERS, REFERRED,
		 {"2024-03-01", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"},
		 {"2024-03-02", "REFERRAL_ENDED", "'end':'DONE'"}},
		CORRECTS(5, "answer", "DECLINED"), ERR_INVALID,
		"new_value: it stood at MADE; from there: ACCEPTED, PARTIAL, DECLINED, "
		"REVOKED_BY_SENDER, "
		"WITHDRAWN_BY_VICTIM, EXPIRED; and DONE followed it"},
	{{OPENED, MANAGED, REFERS, REFERRED,
		 {"2024-03-01", "REFERRAL_ANSWERED", "'answer':'ACCEPTED'"},
		 {"2024-03-02", "REFERRAL_ENDED", "'end':'DONE'"}},
		CORRECTS(5, "answer", "PARTIAL"), OK, NULL},
	{{OPENED, MANAGED, CONCERN, {"2024-03-01", "PROTECTION_ACTION", "'measure':'MONITOR'"}},
		CORRECTS(4, "resolved_on", "2024-03-01"), ERR_INVALID,
		"field: resolved_on is not added by a correction; record the step itself"},
	{{OPENED}, {"", "CONFLICT_RESOLVED", "'chosen':" EVENT_N(1) ",'over':[" EVENT_N(2) "]"},
		ERR_INVALID, "CONFLICT_RESOLVED: the case has no open conflict"},
	{{OPENED},
		{"2024-02-01", "CONTACT",
			"'channel':'SMS','direction':'IN','result':'REACHED',"
			"'supersedes':[" EVENT_N(7) "]"},
		ERR_INVALID, "supersedes: no event of this case has the 1. id"},
	{{OPENED, MANAGED},
		{"2024-02-01", "CONTACT",
			"'channel':'SMS','direction':'IN',"
			"'result':'REACHED','supersedes':[" EVENT_N(2) "]"},
		ERR_INVALID,
		"supersedes: the 1. event cannot be replaced by a CONTACT; allowed is one of the "
		"same type "
		"on which nothing rests; for others CORRECTION"},
	{{OPENED, CONTACT("2024-02-01", "REACHED")},
		{"2024-02-01", "CONTACT",
			"'channel':'SMS',"
			"'direction':'IN','result':'REACHED','supersedes':[" EVENT_N(2) "]"},
		OK, NULL},
};
/* clang-format on */

static void run(const struct refusal *refusal)
{
	struct errctx ctx = {""};
	struct kase kase = {0};
	enum err err;

	assert_ok(case_state_new(&kase.state));
	for (const struct step *step = refusal->before; step->type != NULL; step++)
		if (record(&kase, step->day, step->type, step->members, &ctx) != OK)
			fail_msg("%s: %s", step->type, ctx.text);
	ctx.text[0] = 0;
	err = record(&kase, refusal->step.day, refusal->step.type, refusal->step.members, &ctx);
	if (refusal->text != NULL)
		assert_string_equal(ctx.text, refusal->text);
	else if (err != OK)
		fail_msg("%s: %s", refusal->step.type, ctx.text);
	assert_int_equal(err, refusal->err);
	for (size_t i = 0; i < kase.count; i++)
		event_release(&kase.events[i]);
	case_state_free(kase.state);
}

/* Contact-only: what an event holds is made right, and nothing added to it. */
static void corrects_what_is_kept(void **unused)
{
	static const struct {
		group_set groups; /* of the person */
		enum err err;
	} rows[] = {{GROUP_BIT(GROUP_CORE), ERR_CONSENT},
		{GROUP_BIT(GROUP_CORE) | GROUP_BIT(GROUP_IDENTITY), OK}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct step step = {"", "CORRECTION",
			"'corrects':" EVENT_N(
				2) ",'field':'names','new_value':['ZZ'],'reason':'ERROR'"};
		const struct step before[] = {OPENED, PERSON("P-1", "VICTIM")};
		struct errctx ctx = {""};
		struct kase kase = {0};

		assert_ok(case_state_new(&kase.state));
		for (size_t k = 0; k < 2; k++)
			assert_ok(record(
				&kase, before[k].day, before[k].type, before[k].members, &ctx));
		today.corrected = rows[i].groups;
		assert_int_equal(
			record(&kase, step.day, step.type, step.members, &ctx), rows[i].err);
		if (rows[i].err != OK)
			assert_string_equal(ctx.text,
				"field: no consent to CASE_MGMT is live on 2024-12-20, so names "
				"must not be added to PERSON_RECORDED");
		today.corrected = 0;
		for (size_t k = 0; k < kase.count; k++)
			event_release(&kase.events[k]);
		case_state_free(kase.state);
	}
}

/* Who is complained of says nothing in the case, not by a correction either. */
static void not_by_whom_it_is_about(void **unused)
{
	static const struct step steps[] = {
		{"2024-03-01", "COMPLAINT_STAGE", "'complaint_id':'Q-1','stage':'ACKNOWLEDGED'"},
		CORRECTS(2, "about", "OTHER"),
		{"2024-03-01", "LEGAL_HOLD",
			"'authority':'ZZ','until':'2025-06-30','approvers':['ada','bo']"},
	};
	const struct step before[] = {OPENED, COMPLAINT};
	struct errctx ctx = {""};
	struct kase kase = {0};

	assert_ok(case_state_new(&kase.state));
	for (size_t k = 0; k < 2; k++)
		assert_ok(record(&kase, before[k].day, before[k].type, before[k].members, &ctx));
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct event event = line_event(9, steps[i].day, steps[i].type, steps[i].members);

		assert_ok(event_set_recorded_by(&event, bytes_str("bo@haiti")));
		assert_int_equal(rules_check(kase.state, &event, &today, &ctx), ERR_INVALID);
		assert_string_equal(ctx.text, "recorded_by: is the officer the complaint is about; "
					      "somebody else deals with it");
		assert_ok(event_set_recorded_by(&event, bytes_str("cy")));
		assert_ok(rules_check(kase.state, &event, &today, &ctx));
		event_release(&event);
	}
	for (size_t k = 0; k < kase.count; k++)
		event_release(&kase.events[k]);
	case_state_free(kase.state);
}

/* Nobody is the office that records by saying so. */
static void another_is_not_the_office(void **unused)
{
	static const struct {
		const char *country;
		enum err err;
	} rows[] = {{"HTI", ERR_CONSENT}, {"MSF", OK}, {NULL, OK}, {"", OK}};
	static const struct step before[] = {
		OPENED, MANAGED, CONSENT("REFERRAL", "2024-11-30", "")};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct errctx ctx = {""};
		struct kase kase = {0};
		struct event event = line_event(
			9, "2024-02-01", "REFERRAL_MADE", "'service_code':'MED','to_org':'MSF'");

		assert_ok(case_state_new(&kase.state));
		for (size_t k = 0; k < 3; k++)
			assert_ok(record(
				&kase, before[k].day, before[k].type, before[k].members, &ctx));
		assert_ok(event_set_office(&event, bytes_str("MSF")));
		today.country = rows[i].country;
		assert_int_equal(rules_fill(kase.state, &event, &today, &ctx), rows[i].err);
		if (rows[i].err != OK)
			assert_non_null(strstr(ctx.text, "does not name the recipient in to_org"));
		today.country = NULL;
		event_release(&event);
		for (size_t k = 0; k < kase.count; k++)
			event_release(&kase.events[k]);
		case_state_free(kase.state);
	}
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
		cmocka_unit_test(corrects_what_is_kept),
		cmocka_unit_test(another_is_not_the_office),
		cmocka_unit_test(not_by_whom_it_is_about),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
