/* The fields that may leave in a packet, each with its reason to be there: what whoever helps must
 * know, and nothing that names or accuses. New ones only with a reason. */
#include "cases/packet/packet.h"

/* clang-format off: a table reads as a table */

static const struct {
	uint32_t type;
	enum group group;
	const char *name;
} table[] = {
	/* How to speak with the person, and when not to. */
	{EVENT_CASE_OPENED, GROUP_CONTACT, "preferred_language"},
	{EVENT_CASE_OPENED, GROUP_CONTACT, "safe_contact_method"},
	{EVENT_CASE_OPENED, GROUP_CONTACT, "do_not_contact_windows"},
	/* Whom the help is for. */
	{EVENT_PERSON_RECORDED, GROUP_CORE, "role"},
	{EVENT_PERSON_RECORDED, GROUP_CORE, "sex"},
	{EVENT_PERSON_RECORDED, GROUP_CORE, "age_group_at_report"},
	{EVENT_PERSON_RECORDED, GROUP_CORE, "displacement_status"},
	{EVENT_PERSON_RECORDED, GROUP_HEALTH, "disability_status"},
	{EVENT_PERSON_RECORDED, GROUP_IDENTITY, "names"},
	{EVENT_PERSON_RECORDED, GROUP_IDENTITY, "contacts"},
	/* Which help is asked for, and how soon. */
	{EVENT_NEEDS_ASSESSED, GROUP_SERVICES, "service_code"},
	{EVENT_NEEDS_ASSESSED, GROUP_SERVICES, "urgency"},
	{EVENT_NEEDS_ASSESSED, GROUP_HEALTH, "pregnant"},
	{EVENT_REFERRAL_MADE, GROUP_SERVICES, "referral_id"},
	{EVENT_REFERRAL_MADE, GROUP_SERVICES, "service_code"},
	{EVENT_REFERRAL_MADE, GROUP_SERVICES, "urgency"},
	{EVENT_REFERRAL_MADE, GROUP_SERVICES, "reply_due_on"},
	/* What was given already. */
	{EVENT_ASSISTANCE_PROVIDED, GROUP_SERVICES, "service_code"},
	/* Which danger to think of. */
	{EVENT_PROTECTION_CONCERN, GROUP_PROTECTION, "kind"},
	{EVENT_PROTECTION_CONCERN, GROUP_PROTECTION, "level"},
	{EVENT_PROTECTION_ACTION, GROUP_PROTECTION, "measure"},
	/* What a lawyer or an investigator begins with; nobody accused, no place but a country. */
	{EVENT_ALLEGATION_RECORDED, GROUP_ALLEGATION, "allegation_ref"},
	{EVENT_ALLEGATION_RECORDED, GROUP_ALLEGATION, "allegation_type"},
	{EVENT_ALLEGATION_RECORDED, GROUP_ALLEGATION, "incident_date"},
	{EVENT_ALLEGATION_RECORDED, GROUP_ALLEGATION, "incident_country"},
	{EVENT_ALLEGATION_RECORDED, GROUP_ALLEGATION, "personnel_category"},
	/* Where a claim stands. */
	{EVENT_PATERNITY_OPENED, GROUP_PATERNITY, "claim_id"},
	{EVENT_PATERNITY_OPENED, GROUP_PATERNITY, "claim_kind"},
	{EVENT_PATERNITY_OPENED, GROUP_PATERNITY, "claimant"},
	{EVENT_PATERNITY_OPENED, GROUP_PATERNITY, "subject_state"},
	{EVENT_PATERNITY_STAGE, GROUP_PATERNITY, "claim_id"},
	{EVENT_PATERNITY_STAGE, GROUP_PATERNITY, "stage"},
};

/* clang-format on */

enum { COUNT = sizeof table / sizeof table[0] };
_Static_assert((int)COUNT <= (int)PACKET_FIELDS_MAX, "a packet may hold all of them");

group_set packet_groups(void)
{
	group_set groups = GROUP_BIT(GROUP_HEALTH); /* by the codes of services, too */

	for (size_t i = 0; i < COUNT; i++)
		groups |= GROUP_BIT(table[i].group);
	return groups;
}

enum group packet_field_group(uint32_t type, struct bytes name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (table[i].type == type && bytes_equal_str(name, table[i].name))
			return table[i].group;
	return GROUP_NONE;
}

bool packet_field_at(size_t n, uint32_t *ret_type, const char **ret_name)
{
	if (n >= COUNT)
		return false;
	*ret_type = table[n].type;
	*ret_name = table[n].name;
	return true;
}
