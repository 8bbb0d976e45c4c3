#include "cases_test.h"

#include "cases/event/event_types.h"

static void groups_are_fixed(void **state)
{
	static const char *const names[] = {"", "consent", "core", "contact", "identity",
		"services", "health", "allegation", "paternity", "protection", "note", "audit",
		"views"};

	for (unsigned g = 0; g <= GROUP_LAST; g++) {
		assert_string_equal(group_name((enum group)g), names[g]);
		assert_int_equal(group_find(bytes_str(names[g])), g);
		assert_int_equal(group_of_case(g), g >= 1 && g <= 10);
	}
	assert_string_equal(group_name((enum group)13), "");
	assert_int_equal(group_find(bytes_str("Core")), GROUP_NONE);
}

static void types_are_found(void **state)
{
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++) {
		const struct event_type *type = event_type_get(n);

		assert_non_null(type);
		assert_int_equal(type->number, n);
		assert_ptr_equal(event_type_find(bytes_str(type->name)), type);
		assert_int_equal(type->rule == EVENT_RULE_LEDGER, !group_of_case(type->main));
	}
	assert_null(event_type_get(0));
	assert_null(event_type_get(EVENT_TYPE_LAST + 1));
	assert_null(event_type_get(UINT32_MAX));
	assert_null(event_type_find(bytes_str("case_opened")));
	assert_null(event_type_find(BYTES_NONE));
	assert_int_equal(event_type_find(bytes_str("CORRECTION"))->number, 36);
	assert_int_equal(event_type_find(bytes_str("EXTERNAL_PACKET"))->number, 49);
}

static void sensitive_fields_have_groups(void **state)
{
	enum group group;

	assert_int_equal(event_field_group(bytes_str("names")), GROUP_IDENTITY);
	assert_int_equal(event_field_group(bytes_str("pregnant")), GROUP_HEALTH);
	assert_int_equal(event_field_group(bytes_str("note")), GROUP_NOTE);
	assert_int_equal(event_field_group(bytes_str("safe_contact_method")), GROUP_CONTACT);
	assert_int_equal(event_field_group(bytes_str("sex")), GROUP_NONE);
	for (size_t i = 0; i < 10; i++)
		assert_non_null(event_field_at(i, &group));
	assert_null(event_field_at(10, &group));
	assert_true(event_service_is_health(bytes_str("MED_SRH")));
	assert_false(event_service_is_health(bytes_str("LEGAL")));
	assert_false(event_service_is_health(BYTES_NONE));
}

/* docs/EVENTS.md names every type with its number and its group. */
static void document_has_every_type(void **state)
{
	static char text[64 * 1024];
	FILE *file = fopen(SAUTI_SOURCE_DIR "/docs/EVENTS.md", "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	for (uint32_t n = 1; n <= EVENT_TYPE_LAST; n++) {
		char row[96];

		snprintf(row, sizeof row, "| %u | `%s` |", (unsigned)n, event_type_get(n)->name);
		if (strstr(text, row) == NULL)
			fail_msg("docs/EVENTS.md has no row %s", row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_fixed),
		cmocka_unit_test(types_are_found),
		cmocka_unit_test(sensitive_fields_have_groups),
		cmocka_unit_test(document_has_every_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
