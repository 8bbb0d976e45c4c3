/*
 * Data groups (DOMAIN 1.4): the unit of sealing, consent and erasure. The numbers stand in sealed
 * parts and in keyring records: they are final, and a number is never used again.
 */
#ifndef CASES_GROUP_H
#define CASES_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define GROUPS(X)                                                                                  \
	X(CONSENT, 1, "consent")                                                                   \
	X(CORE, 2, "core")                                                                         \
	X(CONTACT, 3, "contact")                                                                   \
	X(IDENTITY, 4, "identity")                                                                 \
	X(SERVICES, 5, "services")                                                                 \
	X(HEALTH, 6, "health")                                                                     \
	X(ALLEGATION, 7, "allegation")                                                             \
	X(PATERNITY, 8, "paternity")                                                               \
	X(PROTECTION, 9, "protection")                                                             \
	X(NOTE, 10, "note")                                                                        \
	X(AUDIT, 11, "audit") /* of the ledger: grants, withdrawals, erasures, exports */          \
	X(VIEWS, 12, "views") /* of the ledger: who looked at what */

enum group {
	GROUP_NONE = 0,
#define X(symbol, number, name) GROUP_##symbol = number,
	GROUPS(X)
#undef X
};

enum { GROUP_CASE_LAST = GROUP_NOTE, GROUP_LAST = GROUP_VIEWS };

/* A set of groups: bit n is group n. */
typedef uint16_t group_set;
#define GROUP_BIT(group) ((group_set)(1u << (group)))
#define GROUP_SET_CASE   ((group_set)((2u << GROUP_CASE_LAST) - 2)) /* all that a case may have */

/* "core"; "" for a number that is no group. Static. */
const char *group_name(enum group group);
/* GROUP_NONE for a name that is no group. */
enum group group_find(struct bytes name);
/* One of the ten groups a case may have: not of the ledger, not GROUP_NONE. */
bool group_of_case(uint32_t number);

#endif
