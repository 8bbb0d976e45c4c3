/* The order in which an event is judged: dates, what it says by itself, whether the case takes its
 * kind at all, what it moves, which consent it rests on. */
#include "cases/rules/rules.h"

#include <stdarg.h>
#include <stdio.h>

#include "cases/rules/rules_parts.h"

fold_day rules_day(const struct event *event)
{
	fold_day recorded = day_of_seconds(event->recorded_at);
	fold_day day = day_read(bytes_str(event->occurred_on));

	if (day == 0)
		return recorded;
	if ((day & 31) != 0)
		return day;
	return day_last(day) < recorded ? day_last(day) : recorded;
}

/* Without "@node" of this one. */
static struct bytes at_home(const struct judged *j, struct bytes name)
{
	size_t node = strlen(j->node);

	if (name.size > node + 1 && name.data[name.size - node - 1] == '@' &&
		memcmp(name.data + name.size - node, j->node, node) == 0)
		name.size -= node + 1;
	return name;
}

bool rules_same_officer(const struct judged *j, struct bytes a, struct bytes b)
{
	return a.size > 0 && bytes_equal(at_home(j, a), at_home(j, b));
}

enum err rules_refuse(const struct judged *j, const char *format, ...)
{
	char text[sizeof j->ctx->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(j->ctx, ERR_INVALID, "%s: %s", j->type, text);
}

/* --- dates --- */

/* Fields that tell what has happened. */
static const char *const past[] = {"report_date", "first_contact_date", "incident_date",
	"offered_on", "stage_on", "outcome_on", "victim_informed_on", "action_on", "reported_on",
	"started_on", "resolved_on", "sought_on", "granted_on", "acknowledged_on", "informed_on",
	"closed_on", "reopened_on", "victim_told_on", "risk_discussed_on"};

static enum err not_ahead(const struct judged *j, const char *name, fold_day day)
{
	char text[11], today[11];

	/* A day ahead: somewhere it is tomorrow already. */
	if (day == 0 || day_count(j->today, day) <= 1)
		return OK;
	day_text(day, text);
	day_text(j->today, today);
	return err_set(j->ctx, ERR_INVALID,
		"%s: %s is in the future (today is %s); allowed is what has happened", name, text,
		today);
}

static enum err check_dates(const struct judged *j)
{
	TRY(not_ahead(j, "occurred_on", day_read(bytes_str(j->event->occurred_on))));
	TRY(not_ahead(j, "recorded_at", day_of_seconds(j->event->recorded_at)));
	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
		TRY(not_ahead(j, past[i], value_day(j->event, past[i])));
	return OK;
}

/* --- does the case take its kind? --- */

enum takes { OPEN_ONLY = 0, CLOSED_TOO = 1, COMPLAINT_TOO = 2 };

static unsigned taken(uint32_t type)
{
	switch (type) {
	case EVENT_CORRECTION:
	case EVENT_CONFLICT_RESOLVED:
	case EVENT_ERASURE_REQUESTED:
	case EVENT_ERASURE_DONE:
	case EVENT_LEGAL_HOLD:
	case EVENT_OFFICER_ASSIGNED:
	case EVENT_COMPLAINT_STAGE:
	case EVENT_CASE_REOPENED:
		return CLOSED_TOO | COMPLAINT_TOO;
	case EVENT_CONSENT_REFUSED:
	case EVENT_CONSENT_WITHDRAWN:
	case EVENT_FEEDBACK:
	case EVENT_MANDATORY_REPORT:
	case EVENT_RECEIPT_GIVEN:
		return CLOSED_TOO;
	case EVENT_CASE_OPENED:
	case EVENT_COMPLAINT_RECEIVED:
	case EVENT_CASE_CLOSED:
		return COMPLAINT_TOO;
	default:
		return OPEN_ONLY;
	}
}

static enum err check_case(const struct judged *j)
{
	const struct case_state *state = j->state;
	uint32_t type = j->event->type;
	char day[11];

	if (state->event_count == 0 && type != EVENT_CASE_OPENED && j->granted == 0)
		return rules_refuse(j, "the case is not opened yet; CASE_OPENED comes first");
	if (state->status != 0 && type == EVENT_CASE_OPENED)
		return rules_refuse(j, "the case is opened already");
	if (state->status == CASE_STATUS_OPEN && type == EVENT_CASE_REOPENED)
		return rules_refuse(j, "the case is open");
	if (state->status == CASE_STATUS_CLOSED && (taken(type) & CLOSED_TOO) == 0) {
		day_text(state->closed_on, day);
		return rules_refuse(j,
			"the case was closed on %s; CASE_REOPENED comes first (a closed case takes "
			"corrections, withdrawals, assignments, feedback, erasures and holds)",
			day);
	}
	if (state->complaint && (taken(type) & COMPLAINT_TOO) == 0)
		return rules_refuse(j,
			"this is the case of a complaint: it takes COMPLAINT_STAGE, assignments, "
			"corrections, closing and erasure, nothing about a victim");
	if (state->victim && type == EVENT_COMPLAINT_RECEIVED)
		return rules_refuse(j,
			"this is the case of a victim; a complaint is a case of its own (open "
			"another)");
	return OK;
}

struct judged rules_judged(const struct case_state *state, const struct event *event,
	const struct rules_context *context, struct errctx *ctx, struct errctx *own)
{
	const struct event_type *type = event_type_get(event->type);

	return (struct judged){
		.state = state,
		.event = event,
		.type = type == NULL ? "" : type->name,
		.day = rules_day(event),
		.today = day_read(bytes_str(context->today)),
		.node = context->node,
		.country = context->country == NULL || context->country[0] == '\0'
				   ? event->office
				   : context->country,
		.corrected = context->corrected,
		.granted = context->granted,
		.ctx = ctx == NULL ? own : ctx,
	};
}

enum err rules_check(const struct case_state *state, const struct event *event,
	const struct rules_context *context, struct errctx *ctx)
{
	const struct event_type *type = event_type_get(event->type);
	struct errctx own;
	struct judged j = rules_judged(state, event, context, ctx, &own);

	if (type == NULL || type->rule == EVENT_RULE_LEDGER)
		return err_set(ctx, ERR_INVALID, "type: not one that stands in a case");
	TRY(check_dates(&j));
	TRY(rules_single(&j));
	TRY(check_case(&j));
	TRY(rules_moves(&j));
	return rules_consent(&j);
}
