/*
 * account: the officers of a node (DESIGN 7). Each has a name, roles and a slot of the keystore
 * that opens with a passphrase of their own; the table of them stands in the keystore's sealed
 * body, so that nobody changes it without a key. An account that is disabled has no slot and stays
 * listed: its name is in events, and is not given to somebody else.
 *
 * What a role may do is said in one place, server/control/permissions.c. Pure.
 */
#ifndef CERTS_ACCOUNT_H
#define CERTS_ACCOUNT_H

#include "base/buf.h"
#include "base/limits.h"

/* Bits; numbers stand in keystores: final. */
enum account_role {
	ACCOUNT_OFFICER = 1,    /* records cases, and sees those assigned */
	ACCOUNT_SUPERVISOR = 2, /* sees the office's, assigns, answers for the accounts */
	ACCOUNT_OPERATOR = 4,   /* runs the node; sees no case */
	ACCOUNT_ANALYST = 8,    /* statistics; sees no case */
	ACCOUNT_AUDITOR = 16,   /* what proves that nothing was dropped; sees no case */
};
enum {
	ACCOUNT_ROLES_ALL = 31,
	ACCOUNT_ROLES_TEXT = 64, /* all of them in words, with its zero */
	ACCOUNT_ROLES_FIRST = ACCOUNT_SUPERVISOR | ACCOUNT_OPERATOR, /* of a node's first account */
};
#define ACCOUNT_NAME_DEFAULT "office"

struct account {
	char name[LIMIT_OFFICER_NAME + 1];
	uint32_t roles;
	uint64_t created_at; /* 0: before there were accounts */
	bool disabled;
};
struct accounts {
	struct account list[LIMIT_OFFICERS];
	size_t count;
};

/* [a-z][a-z0-9.-]{0,30} */
bool account_name_valid(struct bytes name);
/* At least one, and none that is not known. */
bool account_roles_valid(uint32_t roles);
/* "officer,supervisor": ERR_INVALID for none, an unknown one, one that stands there twice; ctx says
 * which are allowed. */
enum err account_roles_parse(const char *text, uint32_t *ret, struct errctx *ctx) MUST_USE;
/* One role's name; the n-th bit's. NULL past the last. */
const char *account_role_name(size_t n);
/* In words, the way they are parsed. */
void account_roles_text(uint32_t roles, char ret[ACCOUNT_ROLES_TEXT]);

/* NULL: there is none. */
struct account *accounts_find(struct accounts *accounts, const char *name);
/* How many may unlock. */
size_t accounts_enabled(const struct accounts *accounts);
/* A new account, or one that was disabled, with other roles from now on. ERR_INVALID: name or
 * roles; ERR_EXISTS: it may unlock already; ERR_LIMIT: LIMIT_OFFICERS listed. */
enum err accounts_add(struct accounts *accounts, const char *name, uint32_t roles,
	uint64_t created_at, struct errctx *ctx) MUST_USE;
/* ERR_NOTFOUND: no such account, or it is disabled. ERR_DENIED: it is the last supervisor's:
 * nobody could let officers in again. */
enum err accounts_disable(struct accounts *accounts, const char *name, struct errctx *ctx) MUST_USE;
/* May somebody with the roles `by` give, or take away, these roles? A supervisor all; an operator
 * those that see no case: who runs the node does not let themselves in. */
bool account_may_manage(uint32_t by, uint32_t roles);
/* The rules of a table: names valid and not twice, roles known, one supervisor who may unlock. */
bool accounts_ok(const struct accounts *accounts);

#endif
