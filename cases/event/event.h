/*
 * The event model: one thing an officer records about one case (DOMAIN 1.3, docs/EVENTS.md), as
 *
 *   a JSON line  --event_parse-->  struct event  --event_split-->  sealed parts, one per group
 *   a JSON line  <--event_write--  struct event  <--event_merge--  the parts one may read
 *
 * Parsing is strict: UTF-8, no member twice, nothing behind the object, a depth cap, the caps of
 * base/limits.h, and every common field of the type and form it must have. All other members are
 * fields: kept in the order given, as compact JSON text. Values of fields are not judged here.
 * An event may hold secrets of a case: errors name the field, never its content.
 *
 * No I/O, no clock, no randomness. An event owns all its memory. Not thread-safe per object.
 */
#ifndef CASES_EVENT_H
#define CASES_EVENT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "cases/event/event_types.h"
#include "cases/event/group.h"

enum {
	EVENT_ID_SIZE = 16,
	CASE_REF_SIZE = 16,
	EVENT_ID_TEXT = 36,  /* xxxxxxxx-xxxx-7xxx-yxxx-xxxxxxxxxxxx */
	EVENT_REFS_MAX = 64, /* ids in one of supersedes, parents, consent_refs */
	EVENT_OFFICER_MAX = 64,
	EVENT_LANGUAGE_MAX = 35, /* BCP 47, RFC 5646 4.4.1 */
	EVENT_FIELD_NAME_MAX = 48,
	CASE_CODE_MAX = 32,
};

struct event_id {
	uint8_t b[EVENT_ID_SIZE];
};
struct case_ref {
	uint8_t b[CASE_REF_SIZE];
};

enum event_precision { PRECISION_UNKNOWN, PRECISION_YEAR, PRECISION_MONTH, PRECISION_DAY };

struct event_refs {
	struct event_id *ids;
	size_t count;
};

struct event_field {
	char *name; /* [a-z][a-z0-9_]* */
	char *json; /* compact JSON text */
};

/* Which of the members that a node can fill in were there. */
struct event_has {
	bool event_id, case_ref, recorded_at, recorded_by, office;
};

struct event {
	uint32_t type; /* a number of event_types.h; others only out of event_merge */
	struct event_has has;
	struct event_id id;
	struct case_ref case_ref;
	enum event_precision precision;
	char occurred_on[11]; /* YYYY-MM-DD, YYYY-MM, YYYY or "", as precision says */
	uint64_t recorded_at; /* seconds since 1970, UTC */
	char recorded_by[EVENT_OFFICER_MAX + 1];
	char office[4];                        /* ISO 3166-1 alpha-3 */
	char language[EVENT_LANGUAGE_MAX + 1]; /* "" when not said */
	struct event_refs supersedes, parents, consent_refs;
	struct event_field *fields;
	size_t field_count;
	/* Out of event_merge only: the groups whose parts were there, and whether the main part was
	 * not. Such an event shows what is there and cannot be recorded again. */
	group_set groups;
	bool partial;
};

/* Frees and wipes; NULL and zeroed ones are fine. */
void event_release(struct event *event);

/* Reads one JSON object. Members a node can fill in may be absent (event.has says). On OK the
 * caller owns *ret. ERR_MALFORMED, ERR_INVALID (a value that is not allowed, an unknown type, a
 * type that stands in the ledger only), ERR_LIMIT, ERR_NOMEM; ctx names the field, what was found,
 * what is allowed. */
enum err event_parse(struct bytes line, struct event *ret, struct errctx *ctx) MUST_USE;
/* The same for what a node writes into its own ledger: types of the ledger, and no others. */
enum err event_parse_ledger(struct bytes line, struct event *ret, struct errctx *ctx) MUST_USE;

/* ERR_INVALID, naming it, when a member is still missing that a recorded event must have:
 * event_id, case_ref, recorded_at, recorded_by, office. */
enum err event_check_complete(const struct event *event, struct errctx *ctx) MUST_USE;

/* How a node fills in what was absent. office: three capitals; officer: 1 to 64 bytes of printable
 * UTF-8. ERR_INVALID. */
void event_set_id(struct event *event, const struct event_id *id);
void event_set_case(struct event *event, const struct case_ref *ref);
void event_set_recorded_at(struct event *event, uint64_t seconds);
enum err event_set_recorded_by(struct event *event, struct bytes officer) MUST_USE;
enum err event_set_office(struct event *event, struct bytes office) MUST_USE;

/* A UUIDv7 (RFC 9562 5.7) from milliseconds since 1970 and ten random bytes. */
struct event_id event_id_make(uint64_t unix_ms, const uint8_t random[10]);
/* Lower-case text, terminated; and back, ERR_MALFORMED for what is not a UUIDv7. */
void event_id_text(const struct event_id *id, char ret[EVENT_ID_TEXT + 1]);
enum err event_id_parse(struct bytes text, struct event_id *ret) MUST_USE;
/* 32 hex digits. */
void case_ref_text(const struct case_ref *ref, char ret[2 * CASE_REF_SIZE + 1]);
enum err case_ref_parse(struct bytes text, struct case_ref *ret) MUST_USE;

/* YYYY-MM-DDTHH:MM:SSZ, years 1970 to 9999. ret has room for 21 characters. */
void event_time_text(uint64_t seconds, char ret[21]);
enum err event_time_parse(struct bytes text, uint64_t *ret) MUST_USE;

/* The JSON text of a field; NULL when the event has none of that name. */
const char *event_field_json(const struct event *event, const char *name);
/* The value of a field that is a JSON string, as a C string to be freed with mem_free.
 * ERR_NOTFOUND; ERR_INVALID when it is not a string; ERR_NOMEM. */
enum err event_field_string(const struct event *event, const char *name, char **ret) MUST_USE;

/* Sets a field to a JSON text, compact and of one value, both copied; in place of one of that name.
 * ERR_LIMIT past LIMIT_EVENT_FIELDS; ERR_NOMEM. */
enum err event_set_field(struct event *event, const char *name, const char *json) MUST_USE;
/* Takes a field out and wipes it; none of that name: fine. */
void event_remove_field(struct event *event, const char *name);
/* Adds an id to a list; one that is there already stays there once. ERR_LIMIT past EVENT_REFS_MAX;
 * ERR_NOMEM. */
enum err event_add_ref(struct event_refs *refs, const struct event_id *id) MUST_USE;

/* Appends the event as one JSON object, no newline. Common members first, in a fixed order, then
 * the fields. Sticky error in buf. event_parse reads it back unless event->partial. */
void event_write(const struct event *event, struct buf *buf);

/* What an office knows of an event that a CORRECTION names. */
struct event_target {
	uint32_t type;
	enum group main;
	group_set groups;
};

/* A part, packed (proto/part.proto), ready to be sealed. The main part is the first. */
struct event_part {
	enum group group;
	bool main;
	struct buf packed;
};
struct event_parts {
	struct event_part part[GROUP_CASE_LAST];
	size_t count;
};
void event_parts_release(struct event_parts *parts); /* wipes; NULL and zeroed ones are fine */

/* The event that a CORRECTION corrects: ERR_NOTFOUND when the event is not a CORRECTION that says
 * so, ERR_MALFORMED when it says it badly. */
enum err event_corrects(const struct event *event, struct event_id *ret) MUST_USE;

/* Splits a complete event into its parts. target: what a CORRECTION corrects, looked up by the
 * caller; NULL for all others. ERR_NOTFOUND for a CORRECTION without it; ERR_INVALID for an
 * incomplete event, a type of the ledger, a note that is not text; ERR_LIMIT when a part is too
 * large to be sealed; ERR_NOMEM. */
enum err event_split(const struct event *event, const struct event_target *target,
	struct event_parts *ret, struct errctx *ctx) MUST_USE;
/* The same for a complete event of the ledger: one part, in the group of its type. ERR_INVALID for
 * all other types, and for a field that belongs to a group of a case (a name, a note). */
enum err event_split_ledger(
	const struct event *event, struct event_parts *ret, struct errctx *ctx) MUST_USE;

/* What an index needs of an opened part. */
struct part_info {
	struct event_id event_id;
	struct case_ref case_ref;
	uint32_t type;
	enum group group;
	bool main;
	char occurred_on[11];
	uint64_t recorded_at;
	char case_code[CASE_CODE_MAX + 1]; /* the main part of CASE_OPENED; else "" */
};
/* ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. Checks the part whole, as event_merge does. */
enum err part_info_read(struct bytes packed, struct part_info *ret, struct errctx *ctx) MUST_USE;

/* Puts the parts of one event together. Idempotent: of two parts of one group the one whose bytes
 * are smaller counts, whatever the order. Without the main part, what is there: event.partial.
 * Parts that contradict the main part (or, without one, the part of the lowest group) about type
 * or case are left out. ERR_INVALID when the parts do not all have one event_id or there is none;
 * ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
enum err event_merge(
	const struct bytes *packed, size_t count, struct event *ret, struct errctx *ctx) MUST_USE;

#endif
