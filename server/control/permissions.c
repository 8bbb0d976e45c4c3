#include "server/control/permissions.h"

#include <string.h>

#include "base/cursor.h"

enum {
	NONE = 0, /* no session */
	CASES = ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR,
	LEDGER = ACCOUNT_SUPERVISOR | ACCOUNT_AUDITOR,
	NODE = ACCOUNT_OPERATOR | ACCOUNT_SUPERVISOR,
	TOKEN = 200, /* the field of a request that is no request */
};

static bool policy_reads(const Sauti__ControlRequest *request)
{
	return !request->node_policy->change;
}

#define BODY(name) SAUTI__CONTROL_REQUEST__BODY_##name
static const struct permission table[] = {
	/* One's own session. */
	{BODY(UNLOCK), NONE, NULL},
	{BODY(LOCK), NONE, NULL},
	{BODY(PANIC), NONE, NULL},
	{BODY(LOGOUT), NONE, NULL},
	{BODY(WHOAMI), PERMISSION_SESSION, NULL},
	/* Accounts. The vault looks at which roles they have. */
	{BODY(OFFICER_NAMES), NONE, NULL},
	{BODY(OFFICER_LIST), PERMISSION_SESSION, NULL},
	{BODY(OFFICER_ADD), NODE, NULL},
	{BODY(OFFICER_DISABLE), NODE, NULL},
	{BODY(OFFICER_PASSPHRASE), PERMISSION_SESSION, NULL},
	/* Cases. */
	{BODY(CASE_APPEND), CASES, NULL},
	{BODY(COMPLAIN), PERMISSION_SESSION, NULL}, /* whoever hears it */
	{BODY(SAFE_WAIT), CASES, NULL},
	{BODY(CASE_SHOW), CASES, NULL},
	{BODY(CASE_LIST), CASES, NULL},
	{BODY(CASE_FIND), CASES, NULL},
	{BODY(CASE_TODAY), CASES, NULL},
	{BODY(CASE_FORM), CASES, NULL},
	{BODY(CASE_EXPORT), CASES, NULL},
	{BODY(CASE_PROVE), CASES, NULL},
	{BODY(CASE_SHARE), CASES, NULL},
	{BODY(CASE_SHARES), CASES, NULL},
	{BODY(CASE_ERASE), ACCOUNT_SUPERVISOR, NULL}, /* there is no way back */
	{BODY(ERASE_SHOW), CASES, NULL},
	{BODY(CASE_HOLD), CASES, NULL},
	{BODY(CASE_PACKET), CASES, NULL},
	{BODY(CASE_RECEIPT), CASES, NULL},
	{BODY(CASE_RECEIPTS), CASES, NULL},
	{BODY(CASE_BREAK_GLASS), CASES, NULL},
	{BODY(CASE_REPORT), CASES, NULL},
	{BODY(APPROVAL_LIST), CASES, NULL},
	{BODY(APPROVAL_DECIDE), CASES, NULL},
	{BODY(APPROVAL_TOLD), CASES, NULL},
	{BODY(LEDGER_LIST), LEDGER, NULL}, /* views are the supervisor's alone */
	{BODY(LEDGER_DISCLOSE), ACCOUNT_SUPERVISOR, NULL},
	{BODY(DRAFT_PUT), CASES, NULL},
	{BODY(DRAFT_LIST), CASES, NULL},
	{BODY(DRAFT_SHOW), CASES, NULL},
	{BODY(DRAFT_REMOVE), CASES, NULL},
	/* The node and its logs. */
	{BODY(STATUS), NONE, NULL},
	{BODY(LOG_LIST), NONE, NULL},
	{BODY(LOG_SHOW), NONE, NULL},
	{BODY(LOG_VERIFY), NONE, NULL},
	{BODY(LOG_EXPORT), NONE, NULL},
	{BODY(LOG_EVIDENCE), NONE, NULL},
	{BODY(LOG_POLICY), NONE, NULL},
	{BODY(PUBLIC_FILE), NONE, NULL},
	{BODY(PUBLIC_LOGS), NONE, NULL},
	{BODY(PUBLIC_STATUS), NONE, NULL},
	{BODY(PUBLIC_EVIDENCE), NONE, NULL},
	{BODY(ADD_CHECKPOINT), NONE, NULL},
	{BODY(WITNESS_CHECKPOINT), NONE, NULL},
	{BODY(BACKUP), NONE, NULL},
	{BODY(BUNDLE_EXPORT), NONE, NULL},
	{BODY(BUNDLE_IMPORT), NONE, NULL},
	/* The network. */
	{BODY(NODE_LIST), NONE, NULL},
	{BODY(NODE_PREKEYS), NONE, NULL},
	{BODY(NODE_INVITE), NODE, NULL},
	{BODY(NODE_REVOKE), NODE, NULL},
	{BODY(NODE_POLICY), NODE, policy_reads},
	{BODY(NODE_DISPUTE), NODE, NULL},
	{BODY(NODE_CONFIRM), CASES, NULL}, /* who will give keys of cases */
	/* Recovery of this node's keys. */
	{BODY(RECOVER_SETUP), ACCOUNT_SUPERVISOR, NULL},
	{BODY(RECOVER_STATUS), PERMISSION_SESSION, NULL},
	{BODY(RECOVER_LOOK), NODE, NULL},
	{BODY(RECOVER), ACCOUNT_SUPERVISOR, NULL},
	/* Notices between operators. */
	{BODY(MAIL_SEND), NODE, NULL},
	{BODY(MAIL_RELEASE), CASES, NULL}, /* of keys of cases */
	{BODY(MAIL_LIST), NONE, NULL},
	{BODY(MAIL_SHOW), NODE, NULL},
	{BODY(MAIL_DELETE), NODE, NULL},
	{BODY(MAIL_REFUSED), NONE, NULL},
};

/* What anybody may ask on the public socket. */
static const Sauti__ControlRequest__BodyCase publics[] = {
	BODY(PUBLIC_FILE),
	BODY(PUBLIC_LOGS),
	BODY(PUBLIC_STATUS),
	BODY(PUBLIC_EVIDENCE),
	BODY(ADD_CHECKPOINT),
	BODY(WITNESS_CHECKPOINT),
};

bool permission_public(uint64_t number)
{
	for (size_t i = 0; i < sizeof(publics) / sizeof(publics[0]); i++)
		if (publics[i] == number)
			return true;
	return false;
}

static uint64_t take_varint(struct cursor *cursor)
{
	uint64_t value = 0;
	uint8_t byte = 0x80;

	for (unsigned shift = 0; (byte & 0x80) != 0; shift += 7) {
		if (shift >= 28) { /* no number or length of a request is longer */
			cursor->err = ERR_MALFORMED;
			return 0;
		}
		byte = cursor_u8(cursor);
		value |= (uint64_t)(byte & 0x7f) << shift;
	}
	return value;
}

enum err permissions_public(struct bytes wire, struct errctx *ctx)
{
	enum { LENGTH_DELIMITED = 2 };
	struct cursor cursor = cursor_make(wire);
	unsigned requests = 0;

	while (cursor.err == OK && cursor.rest.size > 0) {
		uint64_t tag = take_varint(&cursor), number = tag >> 3;

		if (cursor.err == OK && number != TOKEN && !permission_public(number))
			return err_set(
				ctx, ERR_DENIED, "that is not to be asked on the public socket");
		if ((tag & 7) != LENGTH_DELIMITED)
			cursor.err = ERR_MALFORMED;
		requests += number != TOKEN;
		cursor_take(&cursor, take_varint(&cursor));
	}
	if (cursor.err == OK && requests == 1)
		return OK;
	return err_set(ctx, ERR_MALFORMED, "no request");
}

const struct permission *permission_of(Sauti__ControlRequest__BodyCase body)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].body == body)
			return &table[i];
	return NULL;
}

static enum err wrong_role(
	uint32_t roles, const struct officer_session *officer, struct errctx *ctx)
{
	char needed[2 * ACCOUNT_ROLES_TEXT] = "", has[ACCOUNT_ROLES_TEXT];

	account_roles_text(officer->roles, has);
	for (size_t i = 0; account_role_name(i) != NULL; i++) {
		if ((roles >> i & 1) == 0)
			continue;
		if (needed[0] != '\0')
			strcat(needed, " or ");
		strcat(needed, account_role_name(i));
	}
	return err_set(ctx, ERR_DENIED, "this is for the role %s; '%s' has %s", needed,
		officer->name, has);
}

enum err permissions_check(const Sauti__ControlRequest *request,
	const struct officer_session *officer, bool locked, struct errctx *ctx)
{
	const struct permission *permission = permission_of(request->body_case);

	if (permission == NULL)
		return err_set(ctx, ERR_UNSUPPORTED, "this node does not know that request");
	if (permission->roles == NONE || (permission->reads != NULL && permission->reads(request)))
		return OK;
	if (officer == NULL && locked)
		return err_set(ctx, ERR_LOCKED,
			"the node is locked, and must be unlocked first: 'sauti unlock'");
	if (officer == NULL)
		return err_set(ctx, ERR_DENIED,
			"nobody is logged in here, or the session has ended: 'sauti unlock'");
	if ((officer->roles & permission->roles) == 0)
		return wrong_role(permission->roles, officer, ctx);
	return OK;
}
