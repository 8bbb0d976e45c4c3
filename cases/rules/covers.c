/* Whether a consent covers a need, and what it lacks. */
#include "cases/rules/covers.h"

#include <limits.h>

/* Why it is not live on that day; the reason that came first. */
static struct consent_verdict judge_time(
	const struct case_state *state, const struct state_consent *consent, fold_day day)
{
	fold_day review = state_consent_review(state, consent), first, last;
	fold_day accused = state_consent_accused(state, consent);

	if (state_consent_live(state, consent, day))
		return (struct consent_verdict){.lack = CONSENT_COVERS};
	if (accused != 0 && day_first(accused) <= day_first(consent->valid_from))
		return (struct consent_verdict){CONSENT_LACKS_INNOCENCE, .day = accused};
	if (consent->withdrawn_on != 0 &&
		day_first(consent->withdrawn_on) <= day_first(consent->valid_from))
		return (struct consent_verdict){CONSENT_LACKS_WILL, .day = consent->withdrawn_on};
	if (!state_consent_span(state, consent, &first, &last))
		return (struct consent_verdict){.lack = CONSENT_LACKS_FORCE};
	if (day < first)
		return (struct consent_verdict){CONSENT_LACKS_BEGINNING, .day = first};
	if (consent->withdrawn_on != 0 && last == day_before(day_first(consent->withdrawn_on)))
		return (struct consent_verdict){CONSENT_LACKS_WILL, .day = consent->withdrawn_on};
	if (accused != 0 && last == day_before(day_first(accused)))
		return (struct consent_verdict){CONSENT_LACKS_INNOCENCE, .day = accused};
	if (review != 0 && last == day_before(day_first(review)))
		return (struct consent_verdict){CONSENT_LACKS_GUARDIAN, .day = review};
	if (last == consent->majority_on)
		return (struct consent_verdict){CONSENT_LACKS_AGE, .day = last};
	return (struct consent_verdict){CONSENT_LACKS_TIME, .day = last};
}

static bool lists_any(struct bytes json, const struct consent_need *need)
{
	for (size_t i = 0; i < CONSENT_NAMES; i++)
		if (need->recipient[i].size > 0 && value_lists(json, need->recipient[i]))
			return true;
	return false;
}

static enum consent_lack judge_recipient(const struct case_state *state,
	const struct state_consent *consent, const struct consent_need *need)
{
	if (need->who == NULL)
		return CONSENT_COVERS;
	if (lists_any(state_text(state, consent->withheld), need))
		return CONSENT_LACKS_TRUST;
	if ((need->own.size > 0 && bytes_equal(need->recipient[0], need->own)) ||
		lists_any(state_text(state, consent->recipients), need))
		return CONSENT_COVERS;
	return CONSENT_LACKS_RECIPIENT;
}

group_set consent_groups(const struct state_consent *consent)
{
	return consent->groups != 0
		       ? consent->groups
		       : (group_set)(GROUP_BIT(GROUP_CONTACT) | GROUP_BIT(GROUP_SERVICES));
}

static struct consent_verdict judge_services(const struct case_state *state,
	const struct state_consent *consent, const struct consent_need *need)
{
	struct bytes covered = state_text(state, consent->services), at = need->services, one;

	while (covered.size > 0 && value_next(&at, &one))
		if (!value_lists(covered, one))
			return (struct consent_verdict){CONSENT_LACKS_SERVICE, .service = one};
	return (struct consent_verdict){.lack = CONSENT_COVERS};
}

struct consent_verdict consent_judge(const struct case_state *state,
	const struct state_consent *consent, const struct consent_need *need, fold_day day)
{
	struct bytes purpose = state_text(state, consent->purpose);
	struct consent_verdict verdict;
	group_set missing = need->groups & (group_set)~consent_groups(consent);

	if ((need->purpose != NULL && !bytes_equal_str(purpose, need->purpose)) ||
		(need->reads && bytes_equal_str(purpose, "STATISTICS")))
		return (struct consent_verdict){.lack = CONSENT_LACKS_PURPOSE};
	if (need->counts != NULL && !need->counts(need->arg, &state->events[consent->event].id))
		return (struct consent_verdict){.lack = CONSENT_LACKS_OFFICE};
	verdict = judge_time(state, consent, day);
	if (verdict.lack == CONSENT_COVERS)
		verdict.lack = judge_recipient(state, consent, need);
	if (verdict.lack == CONSENT_COVERS && missing != 0)
		return (struct consent_verdict){CONSENT_LACKS_GROUPS, .groups = missing};
	return verdict.lack == CONSENT_COVERS ? judge_services(state, consent, need) : verdict;
}

bool consent_covers(const struct case_state *state, const struct state_consent *consent,
	const struct consent_need *need, fold_day day)
{
	return consent_judge(state, consent, need, day).lack == CONSENT_COVERS;
}

const struct state_consent *consent_last_that_covers(
	const struct case_state *state, const struct consent_need *need, fold_day day)
{
	const struct state_consent *found = NULL;
	fold_day first, last, found_last = 0;

	for (uint16_t i = 0; i < state->consent_count; i++) {
		const struct state_consent *consent = &state->consents[i];

		if (!consent_covers(state, consent, need, day) ||
			!state_consent_span(state, consent, &first, &last) || last < found_last)
			continue;
		found = consent;
		found_last = last;
	}
	return found;
}

/* One that speaks of the recipient is closer than any that does not, whatever else it lacks. */
static unsigned closeness(const struct case_state *state, const struct state_consent *consent,
	const struct consent_need *need, enum consent_lack lack)
{
	if (lack == CONSENT_COVERS)
		return UINT_MAX;
	return (unsigned)lack +
	       (judge_recipient(state, consent, need) == CONSENT_LACKS_RECIPIENT ? 0 : 100);
}

const struct state_consent *consent_closest(const struct case_state *state,
	const struct consent_need *need, fold_day day, struct consent_verdict *ret)
{
	const struct state_consent *found = NULL;
	unsigned best = 0;

	*ret = (struct consent_verdict){.lack = CONSENT_LACKS_ALL};
	for (uint16_t i = state->consent_count; i > 0; i--) {
		const struct state_consent *consent = &state->consents[i - 1];
		struct consent_verdict verdict = consent_judge(state, consent, need, day);
		unsigned close = closeness(state, consent, need, verdict.lack);

		if (verdict.lack == CONSENT_LACKS_PURPOSE || close <= best)
			continue;
		found = consent;
		*ret = verdict;
		best = close;
	}
	return found;
}

/* --- in words --- */

static void say_groups(group_set groups, struct buf *ret)
{
	const char *between = "does not cover the data groups ";

	for (unsigned g = 1; g <= GROUP_LAST; g++) {
		if ((groups & GROUP_BIT(g)) == 0)
			continue;
		buf_printf(ret, "%s%s", between, group_name((enum group)g));
		between = ", ";
	}
}

void consent_say(const struct case_state *state, const struct state_consent *consent,
	const struct consent_verdict *verdict, const char *who, struct buf *ret)
{
	static const char *const with_day[] = {
		[CONSENT_LACKS_BEGINNING] = "begins only on",
		[CONSENT_LACKS_GUARDIAN] =
			"must be given anew: its guardian had a conflict of interest, on",
		[CONSENT_LACKS_INNOCENCE] = "must be given anew: an allegation names its guardian "
					    "as a subject, since",
		[CONSENT_LACKS_AGE] = "must be given anew: the child came of age on",
		[CONSENT_LACKS_TIME] = "ended on",
		[CONSENT_LACKS_WILL] = "was withdrawn on",
	};
	char day[11];

	day_text(verdict->day, day);
	switch (verdict->lack) {
	case CONSENT_COVERS:
	case CONSENT_LACKS_ALL:
		break;
	case CONSENT_LACKS_PURPOSE:
		buf_printf(ret, "is a consent to %.*s",
			BYTES_FMT(state_text(state, consent->purpose)));
		break;
	case CONSENT_LACKS_OFFICE:
		buf_put_str(ret, "was recorded by an office that was given the case");
		break;
	case CONSENT_LACKS_FORCE:
		buf_put_str(ret, "was never in force");
		break;
	case CONSENT_LACKS_BEGINNING:
	case CONSENT_LACKS_GUARDIAN:
	case CONSENT_LACKS_INNOCENCE:
	case CONSENT_LACKS_AGE:
	case CONSENT_LACKS_TIME:
	case CONSENT_LACKS_WILL:
		buf_printf(ret, "%s %s", with_day[verdict->lack], day);
		break;
	case CONSENT_LACKS_TRUST:
		buf_printf(ret, "withholds everything from the recipient in %s", who);
		break;
	case CONSENT_LACKS_RECIPIENT:
		buf_printf(ret, "does not name the recipient in %s", who);
		break;
	case CONSENT_LACKS_GROUPS:
		say_groups(verdict->groups, ret);
		break;
	case CONSENT_LACKS_SERVICE:
		buf_printf(ret, "does not cover the service %.*s", BYTES_FMT(verdict->service));
		break;
	}
}
