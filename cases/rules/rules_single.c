/* What the fields of one event must be to each other, whatever the case. */
#include "cases/rules/rules_parts.h"

static bool has(const struct judged *j, const char *name)
{
	return event_field_json(j->event, name) != NULL;
}

/* The second day is not before the first; either may be absent. A less precise one is taken as
 * late, or as early, as it may be. */
static enum err in_order(const struct judged *j, const char *first, const char *second)
{
	fold_day a = value_day(j->event, first), b = value_day(j->event, second);
	char text_a[11], text_b[11];

	if (a == 0 || b == 0 || day_last(b) >= day_first(a))
		return OK;
	day_text(a, text_a);
	day_text(b, text_b);
	return err_set(j->ctx, ERR_INVALID, "%s: %s is before %s, which is %s", second, text_b,
		first, text_a);
}

static enum err check_money(const struct judged *j)
{
	if (has(j, "amount") != has(j, "currency"))
		return err_set(j->ctx, ERR_INVALID, "%s: missing; amount and currency go together",
			has(j, "amount") ? "currency" : "amount");
	return OK;
}

static enum err check_referral(const struct judged *j)
{
	if (has(j, "to_org") == has(j, "to_office"))
		return err_set(j->ctx, ERR_INVALID,
			"to_org: %s; a referral goes to an organisation (to_org) or to an office "
			"(to_office)",
			has(j, "to_org") ? "stands beside to_office" : "missing");
	return OK;
}

static enum err check_answer(const struct judged *j)
{
	bool declined = value_is(j->event, "answer", "DECLINED");

	if (declined && !has(j, "decline_reason"))
		return err_set(j->ctx, ERR_INVALID,
			"decline_reason: missing; a referral that is DECLINED says why");
	if (value_is(j->event, "answer", "ACCEPTED") && has(j, "decline_reason"))
		return err_set(j->ctx, ERR_INVALID,
			"decline_reason: stands beside ACCEPTED; allowed with DECLINED or PARTIAL");
	return OK;
}

static enum err check_consent(const struct judged *j)
{
	fold_day from = value_day(j->event, "valid_from");
	fold_day given = day_first(day_of_event(j->event));
	bool guardian = value_is(j->event, "given_by", "GUARDIAN") ||
			value_is(j->event, "given_by", "VICTIM_ASSENT+GUARDIAN");
	char text[11];

	TRY(in_order(j, "valid_from", "valid_until"));
	if (from != 0 && from < given) {
		day_text(given, text);
		return err_set(j->ctx, ERR_INVALID,
			"valid_from: is before the consent was given, on %s; no consent covers "
			"what was before it",
			text);
	}
	if (guardian != has(j, "guardian_ref"))
		return err_set(j->ctx, ERR_INVALID, "guardian_ref: %s",
			guardian ? "missing; a consent of a guardian says which person that is"
				 : "stands beside a consent that no guardian gave");
	return OK;
}

static enum err check_complaint(const struct judged *j)
{
	struct bytes subject = value_text(j->event, "subject_officer");

	if (rules_same_officer(j, value_text(j->event, "handled_by"), subject))
		return err_set(j->ctx, ERR_INVALID,
			"handled_by: is the officer the complaint is about; allowed is any other");
	if (rules_same_officer(j, subject, bytes_str(j->event->recorded_by)))
		return err_set(j->ctx, ERR_INVALID,
			"recorded_by: is the officer the complaint is about; somebody else takes "
			"it down");
	return OK;
}

/* Identity goes to an authority only where the law asks for it, and the basis says so. */
static enum err check_report(const struct judged *j)
{
	struct bytes basis = value_text(j->event, "legal_basis");
	struct bytes second = value_text(j->event, "second_approver");

	if (rules_same_officer(j, second, bytes_str(j->event->recorded_by)))
		return err_set(j->ctx, ERR_INVALID,
			"second_approver: is who recorded it; allowed is anybody else");
	if ((value_groups(value_json(j->event, "groups"), NULL) & GROUP_BIT(GROUP_IDENTITY)) != 0 &&
		memmem(basis.data, basis.size, "identity", 8) == NULL)
		return err_set(j->ctx, ERR_INVALID,
			"groups: identity is not reported unless the law names it; if it does, "
			"legal_basis says so with the word 'identity'");
	return OK;
}

static enum err check_hold(const struct judged *j)
{
	struct bytes approvers = value_json(j->event, "approvers"), first = BYTES_NONE, next;
	fold_day until = value_day(j->event, "until");
	bool two = false;

	(void)value_next(&approvers, &first);
	while (value_next(&approvers, &next))
		two = two || !rules_same_officer(j, first, next);
	if (!two)
		return err_set(
			j->ctx, ERR_INVALID, "approvers: allowed are two officers, not the same");
	if (until < day_first(day_of_event(j->event)))
		return err_set(j->ctx, ERR_INVALID,
			"until: is before the hold begins; one that ends on the day it is recorded "
			"lifts the hold");
	return OK;
}

static enum err check_erasure(const struct judged *j)
{
	if (value_is(j->event, "scope", "EVENT") && !has(j, "event"))
		return err_set(j->ctx, ERR_INVALID, "event: missing; scope EVENT says which");
	if (value_is(j->event, "scope", "FIELD_GROUP") && !has(j, "groups"))
		return err_set(
			j->ctx, ERR_INVALID, "groups: missing; scope FIELD_GROUP says which");
	return OK;
}

/* Paper can be found. */
static enum err check_receipt(const struct judged *j)
{
	fold_day talk = value_day(j->event, "risk_discussed_on");

	if (value_is(j->event, "medium", "PAPER") && talk == 0)
		return err_set(j->ctx, ERR_INVALID,
			"risk_discussed_on: missing; a receipt is put on paper only after the risk "
			"was talked about");
	if (talk > day_last(day_of_event(j->event)))
		return err_set(j->ctx, ERR_INVALID,
			"risk_discussed_on: is after the receipt was given; allowed is that day, "
			"or one before");
	return OK;
}

enum err rules_single(const struct judged *j)
{
	switch (j->event->type) {
	case EVENT_CONSENT_RECORDED:
		return check_consent(j);
	case EVENT_REFERRAL_MADE:
		return check_referral(j);
	case EVENT_REFERRAL_ANSWERED:
		return check_answer(j);
	case EVENT_ASSISTANCE_PROVIDED:
		return check_money(j);
	case EVENT_CHILD_SUPPORT:
		TRY(in_order(j, "period_from", "period_to"));
		return check_money(j);
	case EVENT_REMEDY:
		TRY(in_order(j, "sought_on", "granted_on"));
		return check_money(j);
	case EVENT_INVESTIGATION_OUTCOME:
		return in_order(j, "outcome_on", "victim_informed_on");
	case EVENT_PROTECTION_ACTION:
		return in_order(j, "started_on", "resolved_on");
	case EVENT_COMPLAINT_RECEIVED:
		return check_complaint(j);
	case EVENT_OFFICER_ASSIGNED:
		return in_order(j, "from", "to");
	case EVENT_CASE_CLOSED:
		return in_order(j, "closed_on", "retention_until");
	case EVENT_MANDATORY_REPORT:
		return check_report(j);
	case EVENT_LEGAL_HOLD:
		return check_hold(j);
	case EVENT_ERASURE_REQUESTED:
		return check_erasure(j);
	case EVENT_RECEIPT_GIVEN:
		return check_receipt(j);
	default:
		return OK;
	}
}
