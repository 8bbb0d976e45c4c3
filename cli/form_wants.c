/* What is worth asking: not what the node fills in, nor what an earlier answer makes pointless. */
#include "cli/form.h"

#include <string.h>

/* A field that is asked only where another has a value that begins with one of these; "" alone:
 * where it has any. type 0: of every type that has both. */
static const struct {
	uint32_t type;
	const char *field, *other;
	const char *values[4];
} conditions[] = {
	{EVENT_CONSENT_RECORDED, "guardian_ref", "given_by", {"GUARDIAN", "VICTIM_ASSENT", NULL}},
	{EVENT_CONSENT_RECORDED, "review_at_majority_on", "given_by",
		{"GUARDIAN", "VICTIM_ASSENT", "MATURE_MINOR", NULL}},
	{EVENT_CONSENT_RECORDED, "witness_ref", "form", {"ORAL", NULL}},
	{EVENT_CONSENT_RECORDED, "services", "purpose", {"REFERRAL", NULL}},
	{EVENT_CONSENT_REFUSED, "services", "purpose", {"REFERRAL", NULL}},
	{0, "withhold_reason", "withhold_from", {"", NULL}},
	{0, "incident_precision", "incident_date", {"", NULL}},
	{0, "decline_reason", "answer", {"DECLINED", NULL}},
	{EVENT_REFERRAL_ANSWERED, "appointment_on", "answer", {"ACCEPTED", "PARTIAL", NULL}},
	{0, "currency", "amount", {"", NULL}},
	{0, "unit", "quantity", {"", NULL}},
	{EVENT_CONTACT, "topics", "result", {"REACHED", NULL}},
	{EVENT_CONTACT, "substantive_update", "result", {"REACHED", NULL}},
	{EVENT_ERASURE_REQUESTED, "groups", "scope", {"FIELD_GROUP", NULL}},
	{EVENT_ERASURE_REQUESTED, "event", "scope", {"EVENT", NULL}},
};

static bool holds(size_t condition, const json_t *event)
{
	const json_t *value = json_object_get(event, conditions[condition].other);
	const char *text = json_string_value(value);

	if (value == NULL)
		return false;
	if (conditions[condition].values[0][0] == '\0')
		return true;
	for (size_t i = 0; text != NULL && conditions[condition].values[i] != NULL; i++) {
		const char *want = conditions[condition].values[i];

		if (strncmp(text, want, strlen(want)) == 0)
			return true;
	}
	return false;
}

/* "R-#" is made by the node; a hash is made by a program. */
static bool filled_in(const struct schema_field *field)
{
	return field->kind == FIELD_HASH || field->kind == FIELD_CASE_CODE ||
	       (field->preset != NULL && strchr(field->preset, '#') != NULL);
}

/* Answers and ends take the service of their referral. */
static bool follows(const struct schema_type *type, const struct schema_field *field)
{
	return strcmp(field->name, "service_code") == 0 && !field->required &&
	       (type->number == EVENT_REFERRAL_ANSWERED || type->number == EVENT_REFERRAL_ENDED);
}

bool form_wants(
	const struct schema_type *type, const struct schema_field *field, const json_t *event)
{
	if (filled_in(field) || follows(type, field))
		return false;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (conditions[i].type != 0 && conditions[i].type != type->number)
			continue;
		if (strcmp(conditions[i].field, field->name) == 0 && !holds(i, event))
			return false;
	}
	return true;
}
