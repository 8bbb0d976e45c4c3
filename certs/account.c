#include "certs/account.h"

#include "base/text.h"

static const char *const role_names[] = {"officer", "supervisor", "operator", "analyst", "auditor"};
enum { ROLE_COUNT = sizeof(role_names) / sizeof(role_names[0]) };

static bool name_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

bool account_name_valid(struct bytes name)
{
	if (name.size == 0 || name.size > LIMIT_OFFICER_NAME || name.data[0] < 'a' ||
		name.data[0] > 'z')
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (!name_char(name.data[i]))
			return false;
	return true;
}

/* ---- roles ---- */

bool account_roles_valid(uint32_t roles)
{
	return roles != 0 && (roles & ~(uint32_t)ACCOUNT_ROLES_ALL) == 0;
}

const char *account_role_name(size_t n)
{
	return n < ROLE_COUNT ? role_names[n] : NULL;
}

static uint32_t role_of(struct bytes name)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (bytes_equal_str(name, role_names[i]))
			return UINT32_C(1) << i;
	return 0;
}

enum err account_roles_parse(const char *text, uint32_t *ret, struct errctx *ctx)
{
	uint32_t roles = 0;

	for (const char *at = text; at != NULL;) {
		const char *comma = strchr(at, ',');
		size_t size = comma == NULL ? strlen(at) : (size_t)(comma - at);
		uint32_t role = role_of(bytes_make(at, size));

		if (role == 0 || (roles & role) != 0)
			return err_set(ctx, ERR_INVALID,
				"roles: found \"%.60s\"; allowed: one or more of officer, "
				"supervisor, "
				"operator, analyst, auditor, with commas and without blanks",
				text);
		roles |= role;
		at = comma == NULL ? NULL : comma + 1;
	}
	*ret = roles;
	return OK;
}

void account_roles_text(uint32_t roles, char ret[ACCOUNT_ROLES_TEXT])
{
	size_t size = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < ROLE_COUNT; i++) {
		size_t more = strlen(role_names[i]);

		if ((roles >> i & 1) == 0)
			continue;
		if (size > 0)
			ret[size++] = ',';
		memcpy(ret + size, role_names[i], more + 1);
		size += more;
	}
}

/* ---- the table ---- */

struct account *accounts_find(struct accounts *accounts, const char *name)
{
	for (size_t i = 0; i < accounts->count; i++)
		if (strcmp(accounts->list[i].name, name) == 0)
			return &accounts->list[i];
	return NULL;
}

size_t accounts_enabled(const struct accounts *accounts)
{
	size_t enabled = 0;

	for (size_t i = 0; i < accounts->count; i++)
		enabled += !accounts->list[i].disabled;
	return enabled;
}

static size_t supervisors(const struct accounts *accounts)
{
	size_t count = 0;

	for (size_t i = 0; i < accounts->count; i++)
		count += !accounts->list[i].disabled &&
			 (accounts->list[i].roles & ACCOUNT_SUPERVISOR) != 0;
	return count;
}

enum err accounts_add(struct accounts *accounts, const char *name, uint32_t roles,
	uint64_t created_at, struct errctx *ctx)
{
	struct account *account;

	if (!account_name_valid(bytes_str(name)))
		return err_set(ctx, ERR_INVALID,
			"an officer's name begins with a small letter and has at most %d small "
			"letters, digits, dots and hyphens",
			LIMIT_OFFICER_NAME);
	if (!account_roles_valid(roles))
		return err_set(ctx, ERR_INVALID, "an officer has at least one role");
	account = accounts_find(accounts, name);
	if (account != NULL && !account->disabled)
		return err_set(ctx, ERR_EXISTS, "there is an officer '%s' already", name);
	if (account == NULL && accounts->count == LIMIT_OFFICERS)
		return err_set(
			ctx, ERR_LIMIT, "%d officers are listed: no more fit", LIMIT_OFFICERS);
	if (account == NULL) {
		account = &accounts->list[accounts->count++];
		*account = (struct account){.created_at = created_at};
		strcpy(account->name, name);
	}
	account->roles = roles;
	account->disabled = false;
	return OK;
}

enum err accounts_disable(struct accounts *accounts, const char *name, struct errctx *ctx)
{
	struct account *account = accounts_find(accounts, name);

	if (account == NULL || account->disabled)
		return err_set(ctx, ERR_NOTFOUND, "no officer of that name may unlock");
	if ((account->roles & ACCOUNT_SUPERVISOR) != 0 && supervisors(accounts) == 1)
		return err_set(ctx, ERR_DENIED,
			"'%s' is the only supervisor: nobody could let officers in again", name);
	account->disabled = true;
	return OK;
}

bool account_may_manage(uint32_t by, uint32_t roles)
{
	if ((by & ACCOUNT_SUPERVISOR) != 0)
		return true;
	return (by & ACCOUNT_OPERATOR) != 0 &&
	       (roles & (ACCOUNT_OFFICER | ACCOUNT_SUPERVISOR)) == 0;
}

bool accounts_ok(const struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->count; i++) {
		const struct account *account = &accounts->list[i];

		if (!account_name_valid(bytes_str(account->name)) ||
			!account_roles_valid(account->roles))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(account->name, accounts->list[j].name) == 0)
				return false;
	}
	return supervisors(accounts) > 0;
}
