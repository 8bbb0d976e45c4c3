#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/control/permissions.h"
#include "tests/unit/base/unhex.h"

static struct officer_session officer(uint32_t roles)
{
	return (struct officer_session){.name = "amina", .roles = roles};
}

static enum err check(Sauti__ControlRequest__BodyCase body, uint32_t roles, bool locked)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodePolicyRequest policy = SAUTI__NODE_POLICY_REQUEST__INIT;
	struct officer_session who = officer(roles);
	struct errctx ctx = {""};

	request.body_case = body;
	request.node_policy = &policy; /* the member of the union that is looked at */
	policy.change = true;
	enum err err = permissions_check(&request, roles == 0 ? NULL : &who, locked, &ctx);

	assert_int_equal(err == OK, ctx.text[0] == '\0');
	return err;
}

static void the_ledger_is_for_supervisors_and_auditors(void **state)
{
	for (uint32_t roles = 1; roles <= ACCOUNT_ROLES_ALL; roles++)
		assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_LEDGER_LIST, roles, false),
			(roles & (ACCOUNT_SUPERVISOR | ACCOUNT_AUDITOR)) != 0 ? OK : ERR_DENIED);
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_LEDGER_LIST, 0, true), ERR_LOCKED);
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_LEDGER_LIST, 0, false), ERR_DENIED);
}

/* Whoever adds a request says whose it is. */
static void every_request_has_a_row(void **state)
{
	const ProtobufCMessageDescriptor *d = &sauti__control_request__descriptor;
	unsigned bodies = 0;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];

		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
			continue;
		bodies++;
		if (permission_of((Sauti__ControlRequest__BodyCase)field->id) == NULL)
			fail_msg("no row for '%s' in permissions.c", field->name);
	}
	assert_true(bodies > 20);
	assert_null(permission_of(SAUTI__CONTROL_REQUEST__BODY__NOT_SET));
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY__NOT_SET, ACCOUNT_ROLES_ALL, false),
		ERR_UNSUPPORTED);
}

/* Who runs the node reads no case, whatever they may be asked in. */
static void cases_are_for_officers(void **state)
{
	static const Sauti__ControlRequest__BodyCase cases[] = {
		SAUTI__CONTROL_REQUEST__BODY_CASE_APPEND, SAUTI__CONTROL_REQUEST__BODY_CASE_SHOW,
		SAUTI__CONTROL_REQUEST__BODY_CASE_LIST, SAUTI__CONTROL_REQUEST__BODY_CASE_EXPORT};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t roles = 1; roles <= ACCOUNT_ROLES_ALL; roles++) {
			bool may = (roles & (ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR)) != 0;

			assert_int_equal(check(cases[i], roles, false), may ? OK : ERR_DENIED);
		}
		assert_int_equal(check(cases[i], 0, true), ERR_LOCKED);
		assert_int_equal(check(cases[i], 0, false), ERR_DENIED);
	}
}

/* Names beginning with "case" or "draft" are of cases: none of them is open to all. */
static void no_case_without_a_session(void **state)
{
	const ProtobufCMessageDescriptor *d = &sauti__control_request__descriptor;
	const uint32_t others = ACCOUNT_OPERATOR | ACCOUNT_ANALYST | ACCOUNT_AUDITOR;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const struct permission *row;

		if (strncmp(d->fields[i].name, "case", 4) != 0 &&
			strncmp(d->fields[i].name, "draft", 5) != 0)
			continue;
		row = permission_of((Sauti__ControlRequest__BodyCase)d->fields[i].id);
		assert_non_null(row);
		assert_true(row->roles != 0 && (row->roles & others) == 0 && row->reads == NULL);
	}
}

static void what_a_locked_node_does_needs_nobody(void **state)
{
	static const Sauti__ControlRequest__BodyCase open[] = {SAUTI__CONTROL_REQUEST__BODY_STATUS,
		SAUTI__CONTROL_REQUEST__BODY_UNLOCK, SAUTI__CONTROL_REQUEST__BODY_LOCK,
		SAUTI__CONTROL_REQUEST__BODY_LOG_VERIFY, SAUTI__CONTROL_REQUEST__BODY_BACKUP,
		SAUTI__CONTROL_REQUEST__BODY_BUNDLE_IMPORT};

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		assert_int_equal(check(open[i], 0, true), OK);
}

static void changes_are_for_those_who_run_it(void **state)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__NodePolicyRequest policy = SAUTI__NODE_POLICY_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_NODE_POLICY;
	request.node_policy = &policy;
	assert_int_equal(permissions_check(&request, NULL, false, NULL), OK);
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_NODE_POLICY, ACCOUNT_OFFICER, false),
		ERR_DENIED);
	assert_int_equal(
		check(SAUTI__CONTROL_REQUEST__BODY_NODE_POLICY, ACCOUNT_OPERATOR, false), OK);
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_WHOAMI, ACCOUNT_AUDITOR, false), OK);
	assert_int_equal(check(SAUTI__CONTROL_REQUEST__BODY_WHOAMI, 0, false), ERR_DENIED);
}

static enum err public_wire(const char *hex)
{
	struct bytes wire = unhex(hex);
	enum err err = permissions_public(wire, NULL);

	unhex_free();
	return err;
}

/* Those that have a name beginning with "public", and what a witness is asked; all of them need no
 * session. */
static void what_is_public(void **state)
{
	const ProtobufCMessageDescriptor *d = &sauti__control_request__descriptor;
	unsigned count = 0;

	for (unsigned i = 0; i < d->n_fields; i++) {
		const char *name = d->fields[i].name;
		bool public = strncmp(name, "public_", 7) == 0 ||
			      strcmp(name, "add_checkpoint") == 0 ||
			      strcmp(name, "witness_checkpoint") == 0;

		assert_int_equal(permission_public(d->fields[i].id), public);
		if (!public)
			continue;
		count++;
		assert_int_equal(
			check((Sauti__ControlRequest__BodyCase)d->fields[i].id, 0, true), OK);
	}
	assert_int_equal(count, 6);
	assert_false(permission_public(0));
	assert_false(permission_public(209));
	assert_false(permission_public(216));
	assert_false(permission_public(UINT64_MAX));
}

static void wire_on_the_public_socket(void **state)
{
	assert_int_equal(public_wire("9a0d00"), OK);             /* 211, empty */
	assert_int_equal(public_wire("c20c029a0d9a0d00"), OK);   /* a token, which is passed over */
	assert_int_equal(public_wire("9a0d00c20c0100"), OK);     /* .. and behind it */
	assert_int_equal(public_wire("920d03616263"), OK);       /* 210: its inside comes later */
	assert_int_equal(public_wire("0a00"), ERR_DENIED);       /* 1: unlock */
	assert_int_equal(public_wire("0a00ff"), ERR_DENIED);     /* .. whatever follows */
	assert_int_equal(public_wire("9a0d000a00"), ERR_DENIED); /* .. behind a good one */
	assert_int_equal(public_wire("c20d00"), ERR_DENIED);     /* 216 */
	assert_int_equal(public_wire(""), ERR_MALFORMED);
	assert_int_equal(public_wire("c20c0100"), ERR_MALFORMED);     /* a token alone */
	assert_int_equal(public_wire("9a0d009a0d00"), ERR_MALFORMED); /* two */
	assert_int_equal(public_wire("9a0d00aa0d00"), ERR_MALFORMED);
	assert_int_equal(public_wire("9a"), ERR_MALFORMED);
	assert_int_equal(public_wire("9a0d"), ERR_MALFORMED);
	assert_int_equal(public_wire("9a0d01"), ERR_MALFORMED);
	assert_int_equal(public_wire("980d01"), ERR_MALFORMED); /* 211 as a number */
	assert_int_equal(public_wire("9b0d9c0d"), ERR_MALFORMED);
	assert_int_equal(public_wire("9a0dffffffffff7f"), ERR_MALFORMED);
	assert_int_equal(public_wire("ffffffffffffffffff01"), ERR_MALFORMED);
}

static void says_which_role(void **state)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	struct officer_session who = officer(ACCOUNT_OPERATOR | ACCOUNT_AUDITOR);
	struct errctx ctx = {""};

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_LIST;
	assert_int_equal(permissions_check(&request, &who, false, &ctx), ERR_DENIED);
	assert_string_equal(ctx.text,
		"this is for the role officer or supervisor; 'amina' has operator,auditor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_has_a_row),
		cmocka_unit_test(cases_are_for_officers),
		cmocka_unit_test(the_ledger_is_for_supervisors_and_auditors),
		cmocka_unit_test(no_case_without_a_session),
		cmocka_unit_test(what_a_locked_node_does_needs_nobody),
		cmocka_unit_test(changes_are_for_those_who_run_it),
		cmocka_unit_test(says_which_role),
		cmocka_unit_test(what_is_public),
		cmocka_unit_test(wire_on_the_public_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
