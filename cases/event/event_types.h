/*
 * Event types (DOMAIN 1.3) and where their fields belong (DOMAIN 1.4).
 *
 * The numbers stand in sealed parts: they are final. Every event has a main group, to which its
 * fields belong, except those named in the table of sensitive fields: they go to their own group
 * whatever the event is, so that no event can carry a name or a diagnosis into a group that was
 * granted for something else.
 *
 * The main group of some types depends on the event: events about services are `health` or
 * `services` by their service codes, VICTIM_VIEW is `allegation` or `contact` by its subject, a
 * CORRECTION follows what it corrects.
 */
#ifndef CASES_EVENT_TYPES_H
#define CASES_EVENT_TYPES_H

#include "base/bytes.h"
#include "cases/event/group.h"

#define EVENT_TYPES(X)                                                                             \
	X(CASE_OPENED, 1, CORE, FIXED)                                                             \
	X(PERSON_RECORDED, 2, CORE, FIXED)                                                         \
	X(RIGHTS_EXPLAINED, 3, CONSENT, FIXED)                                                     \
	X(CONSENT_RECORDED, 4, CONSENT, FIXED)                                                     \
	X(CONSENT_REFUSED, 5, CONSENT, FIXED)                                                      \
	X(CONSENT_WITHDRAWN, 6, CONSENT, FIXED)                                                    \
	X(ALLEGATION_RECORDED, 7, ALLEGATION, FIXED)                                               \
	X(NEEDS_ASSESSED, 8, SERVICES, BY_SERVICE)                                                 \
	X(ACTION_PLAN_AGREED, 9, SERVICES, BY_SERVICE)                                             \
	X(REFERRAL_MADE, 10, SERVICES, BY_SERVICE)                                                 \
	X(REFERRAL_ANSWERED, 11, SERVICES, BY_SERVICE)                                             \
	X(REFERRAL_ENDED, 12, SERVICES, BY_SERVICE)                                                \
	X(ASSISTANCE_PROVIDED, 13, SERVICES, BY_SERVICE)                                           \
	X(ASSISTANCE_DECLINED, 14, SERVICES, BY_SERVICE)                                           \
	X(NEED_UNMET, 15, SERVICES, BY_SERVICE)                                                    \
	X(CONTACT, 16, CONTACT, FIXED)                                                             \
	X(VICTIM_VIEW, 17, CONTACT, BY_SUBJECT)                                                    \
	X(INVESTIGATION_STAGE, 18, ALLEGATION, FIXED)                                              \
	X(INVESTIGATION_OUTCOME, 19, ALLEGATION, FIXED)                                            \
	X(ACTION_TAKEN, 20, ALLEGATION, FIXED)                                                     \
	X(ACCOMPANIED, 21, ALLEGATION, FIXED)                                                      \
	X(PROTECTION_CONCERN, 22, PROTECTION, FIXED)                                               \
	X(PROTECTION_ACTION, 23, PROTECTION, FIXED)                                                \
	X(PATERNITY_OPENED, 24, PATERNITY, FIXED)                                                  \
	X(PATERNITY_STAGE, 25, PATERNITY, FIXED)                                                   \
	X(CHILD_SUPPORT, 26, PATERNITY, FIXED)                                                     \
	X(REMEDY, 27, PATERNITY, FIXED)                                                            \
	X(COMPLAINT_RECEIVED, 28, CORE, FIXED)                                                     \
	X(COMPLAINT_STAGE, 29, CORE, FIXED)                                                        \
	X(FEEDBACK, 30, CONTACT, FIXED)                                                            \
	X(OFFICER_ASSIGNED, 31, CORE, FIXED)                                                       \
	X(TRANSFER_OFFERED, 32, CORE, FIXED)                                                       \
	X(TRANSFER_ANSWERED, 33, CORE, FIXED)                                                      \
	X(CASE_CLOSED, 34, CORE, FIXED)                                                            \
	X(CASE_REOPENED, 35, CORE, FIXED)                                                          \
	X(CORRECTION, 36, CORE, BY_TARGET)                                                         \
	X(CONFLICT_RESOLVED, 37, CORE, FIXED)                                                      \
	X(ERASURE_REQUESTED, 38, CORE, FIXED)                                                      \
	X(ERASURE_DONE, 39, CORE, FIXED)                                                           \
	X(ACCESS_GRANTED, 40, AUDIT, LEDGER)                                                       \
	X(ACCESS_REVOKED, 41, AUDIT, LEDGER)                                                       \
	X(RECORD_VIEWED, 42, VIEWS, LEDGER)                                                        \
	X(EXPORT_MADE, 43, AUDIT, LEDGER)                                                          \
	X(BREAK_GLASS, 44, AUDIT, LEDGER)                                                          \
	X(INCIDENT_OF_BREACH, 45, AUDIT, LEDGER)                                                   \
	X(MANDATORY_REPORT, 46, PROTECTION, FIXED)                                                 \
	X(LEGAL_HOLD, 47, CORE, FIXED)                                                             \
	X(GUARDIAN_CHANGED, 48, CONSENT, FIXED)                                                    \
	X(EXTERNAL_PACKET, 49, CORE, FIXED)                                                        \
	X(KEYS_ERASED, 50, AUDIT, LEDGER)                                                          \
	X(MAIL_RELEASED, 51, AUDIT, LEDGER)                                                        \
	X(RECEIPT_GIVEN, 52, CORE, FIXED)

enum event_type_number {
#define X(symbol, number, group, rule) EVENT_##symbol = number,
	EVENT_TYPES(X)
#undef X
};

enum { EVENT_TYPE_LAST = EVENT_RECEIPT_GIVEN };

enum event_rule {
	EVENT_RULE_FIXED,      /* the main group is the table's */
	EVENT_RULE_BY_SERVICE, /* service_code: services, health, or both */
	EVENT_RULE_BY_SUBJECT, /* subject INVESTIGATION: allegation; else contact */
	EVENT_RULE_BY_TARGET,  /* the group of what it corrects */
	EVENT_RULE_LEDGER,     /* in the node's ledger only: refused in a case */
};

struct event_type {
	const char *name;
	enum group main;
	enum event_rule rule;
	uint8_t number;
};

/* NULL for what is no type. Static. */
const struct event_type *event_type_find(struct bytes name);
const struct event_type *event_type_get(uint32_t number);

/* The group of a sensitive field, the same in every event; GROUP_NONE for all others. */
enum group event_field_group(struct bytes name);

/* A code of list S1 whose part belongs to `health`. */
bool event_service_is_health(struct bytes code);

/* The table of sensitive fields, for documents and tests: the i-th, NULL past the end. */
const char *event_field_at(size_t i, enum group *ret_group);

#endif
