#include "cases/fold/machine.h"

#define TO(status) (UINT32_C(1) << (status))

struct status {
	const char *name;
	uint32_t to;
	bool ended;
};

/*
 * Referral (S2)
 *
 *	        .-----------> DECLINED
 *	MADE ---+--> PARTIAL --> ACCEPTED
 *	  |     '-----------------^ |
 *	  |            |            |
 *	  |            +------------+--> DONE, NO_SHOW
 *	  '------------+------------+--> REVOKED_BY_SENDER, WITHDRAWN_BY_VICTIM, EXPIRED
 */
enum {
	REFERRAL_STOPS = TO(REFERRAL_REVOKED) | TO(REFERRAL_WITHDRAWN) | TO(REFERRAL_EXPIRED),
	REFERRAL_ENDS = REFERRAL_STOPS | TO(REFERRAL_DONE) | TO(REFERRAL_NO_SHOW),
};
static const struct status referral[] = {
	{"", TO(REFERRAL_MADE), false},
	[REFERRAL_MADE] = {"MADE",
		TO(REFERRAL_ACCEPTED) | TO(REFERRAL_PARTIAL) | TO(REFERRAL_DECLINED) |
			REFERRAL_STOPS,
		false},
	[REFERRAL_ACCEPTED] = {"ACCEPTED", REFERRAL_ENDS, false},
	[REFERRAL_PARTIAL] = {"PARTIAL", TO(REFERRAL_ACCEPTED) | REFERRAL_ENDS, false},
	[REFERRAL_DECLINED] = {"DECLINED", 0, true},
	[REFERRAL_DONE] = {"DONE", 0, true},
	[REFERRAL_REVOKED] = {"REVOKED_BY_SENDER", 0, true},
	[REFERRAL_WITHDRAWN] = {"WITHDRAWN_BY_VICTIM", 0, true},
	[REFERRAL_EXPIRED] = {"EXPIRED", 0, true},
	[REFERRAL_NO_SHOW] = {"NO_SHOW", 0, true},
};

/*
 * Transfer to one office; it may be offered again once it was answered
 *
 *	OFFERED --> ACCEPTED, DECLINED, REVOKED --> OFFERED
 */
static const struct status transfer[] = {
	{"", TO(TRANSFER_OFFERED), false},
	[TRANSFER_OFFERED] = {"OFFERED",
		TO(TRANSFER_ACCEPTED) | TO(TRANSFER_DECLINED) | TO(TRANSFER_REVOKED), false},
	[TRANSFER_ACCEPTED] = {"ACCEPTED", TO(TRANSFER_OFFERED), true},
	[TRANSFER_DECLINED] = {"DECLINED", TO(TRANSFER_OFFERED), true},
	[TRANSFER_REVOKED] = {"REVOKED", TO(TRANSFER_OFFERED), true},
};

/*
 * Paternity claim (F1). Steps on the way may be left out: an office often learns only of some.
 *
 *	RECEIVED > MS_NOTIFIED > FOCAL_POINT_NAMED > SUBJECT_LOCATED > DNA_CONSENT > DNA_COLLECTED
 *	    |                                                            DNA_COLLECTED > DNA_SENT
 *	    '--> ADMITTED, from any of them
 *	DNA_COLLECTED, DNA_SENT, ADMITTED --> RESULT_POSITIVE, RESULT_NEGATIVE
 *	DNA_COLLECTED, DNA_SENT, ADMITTED, RESULT_POSITIVE --> LEGAL_RECOGNITION, SUPPORT_ORDER
 *	RESULT_NEGATIVE --> DNA_COLLECTED (another sample), ADMITTED, CLOSED_NOT_FATHER
 *	LEGAL_RECOGNITION <-> SUPPORT_ORDER --> SUPPORT_PAYING --> SUPPORT_ORDER (a new one)
 *	LEGAL_RECOGNITION, SUPPORT_ORDER, SUPPORT_PAYING --> CLOSED_RESOLVED
 *	any that is open --> CLOSED_WITHDRAWN, CLOSED_SUBJECT_DECEASED, CLOSED_NO_RESPONSE
 */
enum {
	MS_NOTIFIED = CLAIM_RECEIVED + 1,
	FOCAL_POINT_NAMED,
	SUBJECT_LOCATED,
	DNA_CONSENT,
	DNA_COLLECTED,
	DNA_SENT,
	RESULT_POSITIVE,
	RESULT_NEGATIVE,
	ADMITTED,
	LEGAL_RECOGNITION,
	SUPPORT_ORDER,
	SUPPORT_PAYING,
	CLOSED_RESOLVED,
	CLOSED_NOT_FATHER,
	CLOSED_WITHDRAWN,
	CLOSED_SUBJECT_DECEASED,
	CLOSED_NO_RESPONSE,
	/* sets */
	CLAIM_STOPS = TO(CLOSED_WITHDRAWN) | TO(CLOSED_SUBJECT_DECEASED) | TO(CLOSED_NO_RESPONSE),
	FROM_DNA = TO(DNA_COLLECTED) | TO(ADMITTED) | CLAIM_STOPS,
	FROM_CONSENT = TO(DNA_CONSENT) | FROM_DNA,
	FROM_LOCATED = TO(SUBJECT_LOCATED) | FROM_CONSENT,
	FROM_FOCAL = TO(FOCAL_POINT_NAMED) | FROM_LOCATED,
	FROM_NOTIFIED = TO(MS_NOTIFIED) | FROM_FOCAL,
	RESULTS = TO(RESULT_POSITIVE) | TO(RESULT_NEGATIVE),
	RIGHTS = TO(LEGAL_RECOGNITION) | TO(SUPPORT_ORDER),
};
_Static_assert((int)CLOSED_RESOLVED == CLAIM_CLOSED_FIRST, "machine.h says the same");

static const struct status claim[] = {
	{"", TO(CLAIM_RECEIVED), false},
	[CLAIM_RECEIVED] = {"RECEIVED", FROM_NOTIFIED, false},
	[MS_NOTIFIED] = {"MS_NOTIFIED", FROM_FOCAL, false},
	[FOCAL_POINT_NAMED] = {"FOCAL_POINT_NAMED", FROM_LOCATED, false},
	[SUBJECT_LOCATED] = {"SUBJECT_LOCATED", FROM_CONSENT, false},
	[DNA_CONSENT] = {"DNA_CONSENT", FROM_DNA, false},
	[DNA_COLLECTED] = {"DNA_COLLECTED",
		TO(DNA_SENT) | RESULTS | TO(ADMITTED) | RIGHTS | CLAIM_STOPS, false},
	[DNA_SENT] = {"DNA_SENT", RESULTS | TO(ADMITTED) | RIGHTS | CLAIM_STOPS, false},
	[RESULT_POSITIVE] = {"RESULT_POSITIVE", TO(ADMITTED) | RIGHTS | CLAIM_STOPS, false},
	[RESULT_NEGATIVE] = {"RESULT_NEGATIVE",
		TO(DNA_COLLECTED) | TO(ADMITTED) | TO(CLOSED_NOT_FATHER) | CLAIM_STOPS, false},
	[ADMITTED] = {"ADMITTED", RESULTS | RIGHTS | CLAIM_STOPS, false},
	[LEGAL_RECOGNITION] = {"LEGAL_RECOGNITION",
		TO(SUPPORT_ORDER) | TO(CLOSED_RESOLVED) | CLAIM_STOPS, false},
	[SUPPORT_ORDER] = {"SUPPORT_ORDER",
		TO(LEGAL_RECOGNITION) | TO(SUPPORT_PAYING) | TO(CLOSED_RESOLVED) | CLAIM_STOPS,
		false},
	[SUPPORT_PAYING] = {"SUPPORT_PAYING", TO(SUPPORT_ORDER) | TO(CLOSED_RESOLVED) | CLAIM_STOPS,
		false},
	[CLOSED_RESOLVED] = {"CLOSED_RESOLVED", 0, true},
	[CLOSED_NOT_FATHER] = {"CLOSED_NOT_FATHER", 0, true},
	[CLOSED_WITHDRAWN] = {"CLOSED_WITHDRAWN", 0, true},
	[CLOSED_SUBJECT_DECEASED] = {"CLOSED_SUBJECT_DECEASED", 0, true},
	[CLOSED_NO_RESPONSE] = {"CLOSED_NO_RESPONSE", 0, true},
};

/*
 * Investigation of an allegation (N1). It may become known at any of its open stages.
 *
 *	RECEIVED --> PRELIM_ASSESSMENT <-> LIMITED_INFO_REVIEW
 *	RECEIVED, PRELIM_ASSESSMENT, LIMITED_INFO_REVIEW
 *	                           --> REFERRED_MEMBER_STATE <-> UNDER_INVESTIGATION
 *	any open --> CLOSED_OTHER;  all but LIMITED_INFO_REVIEW --> COMPLETED
 *	COMPLETED, CLOSED_OTHER --> UNDER_INVESTIGATION (opened again; its outcome is open again)
 */
enum {
	INV_RECEIVED = 1,
	INV_PRELIM,
	INV_LIMITED,
	INV_REFERRED,
	INV_BEGIN = TO(INV_RECEIVED) | TO(INV_PRELIM) | TO(INV_LIMITED) | TO(INV_REFERRED) |
		    TO(INVESTIGATION_UNDER),
	INV_ENDS = TO(INVESTIGATION_COMPLETED) | TO(INVESTIGATION_CLOSED),
	INV_FORWARD = TO(INV_REFERRED) | TO(INVESTIGATION_UNDER),
};
static const struct status investigation[] = {
	{"", INV_BEGIN, false},
	[INV_RECEIVED] = {"RECEIVED", TO(INV_PRELIM) | TO(INV_LIMITED) | INV_FORWARD | INV_ENDS,
		false},
	[INV_PRELIM] = {"PRELIM_ASSESSMENT", TO(INV_LIMITED) | INV_FORWARD | INV_ENDS, false},
	[INV_LIMITED] = {"LIMITED_INFO_REVIEW",
		TO(INV_PRELIM) | INV_FORWARD | TO(INVESTIGATION_CLOSED), false},
	[INV_REFERRED] = {"REFERRED_MEMBER_STATE", TO(INVESTIGATION_UNDER) | INV_ENDS, false},
	[INVESTIGATION_UNDER] = {"UNDER_INVESTIGATION", TO(INV_REFERRED) | INV_ENDS, false},
	[INVESTIGATION_COMPLETED] = {"COMPLETED", TO(INVESTIGATION_UNDER), true},
	[INVESTIGATION_CLOSED] = {"CLOSED_OTHER", TO(INVESTIGATION_UNDER), true},
};

/*
 * Outcome of an investigation (N3)
 *
 *	PENDING --> SUBSTANTIATED, UNSUBSTANTIATED, CLOSED_OTHER
 */
enum { OUTCOMES = TO(2) | TO(3) | TO(4) };
static const struct status outcome[] = {
	{"", TO(1) | OUTCOMES, false},
	{"PENDING", OUTCOMES, false},
	{"SUBSTANTIATED", 0, true},
	{"UNSUBSTANTIATED", 0, true},
	{"CLOSED_OTHER", 0, true},
};

/*
 * Complaint about treatment
 *
 *	RECEIVED --> ACKNOWLEDGED --> UNDER_REVIEW --> UPHELD, PARTLY_UPHELD, NOT_UPHELD
 *	    '---------------'---------------'--> WITHDRAWN
 */
static const struct status complaint[] = {
	{"", TO(COMPLAINT_RECEIVED), false},
	[COMPLAINT_RECEIVED] = {"RECEIVED", TO(COMPLAINT_ACKNOWLEDGED) | TO(7), false},
	[COMPLAINT_ACKNOWLEDGED] = {"ACKNOWLEDGED", TO(3) | TO(7), false},
	{"UNDER_REVIEW", TO(4) | TO(5) | TO(6) | TO(7), false},
	{"UPHELD", 0, true},
	{"PARTLY_UPHELD", 0, true},
	{"NOT_UPHELD", 0, true},
	{"WITHDRAWN", 0, true},
};

/*
 * Protection concern
 *
 *	OPEN --> RESOLVED, by an action with resolved_on
 */
static const struct status concern[] = {
	{"", TO(CONCERN_OPEN), false},
	[CONCERN_OPEN] = {"OPEN", TO(CONCERN_RESOLVED), false},
	[CONCERN_RESOLVED] = {"RESOLVED", 0, true},
};

/*
 * The case itself
 *
 *	OPEN --> CLOSED --> OPEN (CASE_REOPENED)
 */
static const struct status kase[] = {
	{"", TO(CASE_STATUS_OPEN), false},
	[CASE_STATUS_OPEN] = {"OPEN", TO(CASE_STATUS_CLOSED), false},
	[CASE_STATUS_CLOSED] = {"CLOSED", TO(CASE_STATUS_OPEN), true},
};

static const struct {
	const struct status *statuses;
	unsigned count;
} machines[MACHINE_COUNT] = {
#define M(array)                                                                                   \
	{                                                                                          \
		array, sizeof array / sizeof array[0]                                              \
	}
	[MACHINE_REFERRAL] = M(referral),
	[MACHINE_TRANSFER] = M(transfer),
	[MACHINE_CLAIM] = M(claim),
	[MACHINE_INVESTIGATION] = M(investigation),
	[MACHINE_OUTCOME] = M(outcome),
	[MACHINE_COMPLAINT] = M(complaint),
	[MACHINE_CONCERN] = M(concern),
	[MACHINE_CASE] = M(kase),
#undef M
};

const char *machine_name(enum machine_kind kind, unsigned status)
{
	return status < machines[kind].count ? machines[kind].statuses[status].name : "";
}

unsigned machine_find(enum machine_kind kind, struct bytes code)
{
	for (unsigned i = 1; i < machines[kind].count; i++)
		if (bytes_equal_str(code, machines[kind].statuses[i].name))
			return i;
	return 0;
}

bool machine_allows(enum machine_kind kind, unsigned from, unsigned to)
{
	return from < machines[kind].count && to < machines[kind].count &&
	       (machines[kind].statuses[from].to & TO(to)) != 0;
}

bool machine_ended(enum machine_kind kind, unsigned status)
{
	return status < machines[kind].count && machines[kind].statuses[status].ended;
}

void machine_next(enum machine_kind kind, unsigned from, struct buf *out)
{
	bool any = false;

	for (unsigned to = 1; to < machines[kind].count; to++) {
		if (!machine_allows(kind, from, to))
			continue;
		buf_printf(out, "%s%s", any ? ", " : "", machine_name(kind, to));
		any = true;
	}
	if (!any)
		buf_put_str(out, "nothing");
}
