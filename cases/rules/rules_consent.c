/* Which consent an event needs, and whether it covers it. */
#include "cases/rules/rules_parts.h"

enum { WHY_MAX = 400 };

bool rules_consent_need(const struct judged *j, struct consent_need *ret)
{
	struct consent_need need = {.own = bytes_str(j->country)};
	const struct event *event = j->event;

	switch (event->type) {
	case EVENT_REFERRAL_MADE:
		need.purpose = "REFERRAL";
		need.who = event_field_json(event, "to_org") != NULL ? "to_org" : "to_office";
		need.groups = value_groups(value_json(event, "shared_groups"), NULL);
		need.services = value_json(event, "service_code");
		break;
	case EVENT_TRANSFER_OFFERED:
		need.purpose = "TRANSFER";
		need.who = "to_office";
		break;
	case EVENT_PATERNITY_OPENED:
		need.purpose = "PATERNITY";
		break;
	case EVENT_EXTERNAL_PACKET:
		need.who = "recipient";
		need.reads = true;
		need.groups = value_groups(value_json(event, "groups"), NULL);
		break;
	default:
		return false;
	}
	if (need.who != NULL)
		need.recipient[0] = value_text(event, need.who);
	*ret = need;
	return true;
}

static enum err no_consent(const struct judged *j, const struct consent_need *need,
	const struct state_consent *consent, const char *why)
{
	struct bytes id = consent == NULL ? BYTES_NONE : state_text(j->state, consent->id);
	const char *to = need->purpose == NULL ? "" : " to ";
	const char *purpose = need->purpose == NULL ? "" : need->purpose;
	char day[11];

	day_text(j->day, day);
	if (consent == NULL)
		return err_set(j->ctx, ERR_CONSENT,
			"%s: no consent%s%s covers it on %s; ask the victim, and record "
			"CONSENT_RECORDED first",
			j->type, to, purpose, day);
	return err_set(j->ctx, ERR_CONSENT,
		"%s of %s: consent %.*s %s; needed is one%s%s that covers it: ask the victim, and "
		"record CONSENT_RECORDED first",
		j->type, day, BYTES_FMT(id), why, to, purpose);
}

/* The consent the event names; NULL when it names none. */
static enum err named(const struct judged *j, const struct state_consent **ret)
{
	struct bytes ref = value_text(j->event, "consent_ref");
	struct event_id id;

	*ret = NULL;
	if (ref.size == 0)
		return OK;
	if (event_id_parse(ref, &id) == OK)
		*ret = state_consent_of(j->state, state_event_find(j->state, &id));
	if (*ret == NULL)
		return err_set(j->ctx, ERR_CONSENT,
			"consent_ref: no CONSENT_RECORDED of this case has that event id");
	return OK;
}

/* Events whose consent is not named in a field: any that covers them will do. */
static bool covered_by_any(const struct judged *j, const struct consent_need *need)
{
	for (uint16_t i = 0; i < j->state->consent_count; i++)
		if (consent_covers(j->state, &j->state->consents[i], need, j->day))
			return true;
	return false;
}

enum err rules_consent_check(const struct judged *j, const struct consent_need *need)
{
	const struct state_consent *consent;
	struct consent_verdict verdict;
	struct buf why;
	enum err err = OK;

	TRY(named(j, &consent));
	if (consent == NULL && j->event->type == EVENT_PATERNITY_OPENED && covered_by_any(j, need))
		return OK;
	if (consent != NULL)
		verdict = consent_judge(j->state, consent, need, j->day);
	else
		consent = consent_closest(j->state, need, j->day, &verdict);
	if (consent == NULL)
		return no_consent(j, need, NULL, "");
	buf_init(&why, WHY_MAX);
	consent_say(j->state, consent, &verdict, need->who, &why);
	if (verdict.lack != CONSENT_COVERS)
		err = no_consent(j, need, consent, buf_cstr(&why));
	else if (event_field_json(j->event, "consent_ref") == NULL &&
		 j->event->type != EVENT_PATERNITY_OPENED)
		err = err_set(j->ctx, ERR_CONSENT, "%s: consent_ref is missing", j->type);
	buf_release(&why);
	return err;
}

/* Every id in consent_refs is one of a consent of the case. */
static enum err check_refs(const struct judged *j)
{
	const struct event_refs *refs = &j->event->consent_refs;

	for (size_t i = 0; i < refs->count; i++) {
		uint16_t at = state_event_find(j->state, &refs->ids[i]);

		if (state_consent_of(j->state, at) == NULL)
			return err_set(j->ctx, ERR_CONSENT,
				"consent_refs: no CONSENT_RECORDED of this case has the %zu. id",
				i + 1);
	}
	return OK;
}

/* --- without consent to CASE_MGMT --- */

/* What may stand in a contact-only case whatever it says. */
static bool always_bare(uint32_t type)
{
	switch (type) {
	case EVENT_CASE_OPENED:
	case EVENT_PERSON_RECORDED:
	case EVENT_RIGHTS_EXPLAINED:
	case EVENT_CONSENT_RECORDED:
	case EVENT_CONSENT_REFUSED:
	case EVENT_CONSENT_WITHDRAWN:
	case EVENT_GUARDIAN_CHANGED:
	case EVENT_CONTACT:
	case EVENT_FEEDBACK:
	case EVENT_OFFICER_ASSIGNED:
	case EVENT_TRANSFER_OFFERED:
	case EVENT_TRANSFER_ANSWERED:
	case EVENT_EXTERNAL_PACKET:
	case EVENT_CASE_CLOSED:
	case EVENT_CASE_REOPENED:
	case EVENT_CORRECTION:
	case EVENT_CONFLICT_RESOLVED:
	case EVENT_ERASURE_REQUESTED:
	case EVENT_ERASURE_DONE:
	case EVENT_LEGAL_HOLD:
	case EVENT_MANDATORY_REPORT:
	case EVENT_REFERRAL_ENDED:
	case EVENT_COMPLAINT_RECEIVED:
	case EVENT_COMPLAINT_STAGE:
	case EVENT_RECEIPT_GIVEN:
		return true;
	default:
		return false;
	}
}

static bool bare(const struct event *event)
{
	static const char closes[] = "CLOSED_";
	struct bytes stage = value_text(event, "stage");

	if (always_bare(event->type))
		return true;
	if (event->type == EVENT_VICTIM_VIEW)
		return !value_is(event, "subject", "INVESTIGATION");
	if (event->type == EVENT_PROTECTION_ACTION)
		return value_day(event, "resolved_on") != 0;
	return event->type == EVENT_PATERNITY_STAGE && stage.size >= sizeof closes - 1 &&
	       memcmp(stage.data, closes, sizeof closes - 1) == 0;
}

/* The consent itself. */
static bool gives_it(const struct event *event)
{
	return event->type == EVENT_CONSENT_RECORDED && value_is(event, "purpose", "CASE_MGMT");
}

static enum err check_contact_only(const struct judged *j)
{
	char day[11];

	if (!state_contact_only(j->state, j->day) || j->granted != 0 ||
		j->event->type == EVENT_COMPLAINT_RECEIVED)
		return OK;
	day_text(j->day, day);
	if (!bare(j->event))
		return err_set(j->ctx, ERR_CONSENT,
			"%s: no consent to CASE_MGMT is live on %s, so the case holds contacts "
			"alone; record CONSENT_RECORDED with purpose CASE_MGMT first",
			j->type, day);
	if (j->event->type == EVENT_MANDATORY_REPORT || gives_it(j->event))
		return OK;
	for (size_t i = 0; i < j->event->field_count; i++) {
		const char *name = j->event->fields[i].name;
		enum group group = event_field_group(bytes_str(name));

		if (group != GROUP_NONE && group != GROUP_CONTACT)
			return err_set(j->ctx, ERR_CONSENT,
				"%s: no consent to CASE_MGMT is live on %s, so a %s is kept "
				"without it",
				name, day, j->type);
	}
	return OK;
}

enum err rules_consent(const struct judged *j)
{
	struct consent_need need;

	TRY(check_contact_only(j));
	TRY(check_refs(j));
	return rules_consent_need(j, &need) ? rules_consent_check(j, &need) : OK;
}

enum err rules_granted(
	const struct event *event, group_set groups, group_set granted, struct errctx *ctx)
{
	const struct event_type *type = event_type_get(event->type);
	group_set lacking = groups & (group_set)~granted;
	enum err err = OK;
	struct buf words;

	if (event->type == EVENT_OFFICER_ASSIGNED)
		lacking &= (group_set)~GROUP_BIT(GROUP_CORE);
	if (lacking == 0)
		return OK;
	buf_init(&words, WHY_MAX);
	for (unsigned g = 1; g <= GROUP_CASE_LAST; g++)
		if ((granted & GROUP_BIT(g)) != 0)
			buf_printf(&words, "%s%s", words.size == 0 ? "" : ", ",
				group_name((enum group)g));
	for (unsigned g = 1; g <= GROUP_CASE_LAST && err == OK; g++)
		if ((lacking & GROUP_BIT(g)) != 0)
			err = err_set(ctx, ERR_CONSENT,
				"%s: belongs to the data group %s, which this office was not "
				"given of this case; it was given %s",
				type == NULL ? "" : type->name, group_name((enum group)g),
				buf_cstr(&words));
	buf_release(&words);
	return err;
}
