/*
 * case_view: a case as the command line needs it: the node's documents, and folded out of them what
 * the case is now (cases/fold/state.h). It says what can be chosen where a field names a consent, a
 * referral, a person: so nobody types an id.
 *
 * Holds plaintext of a case; freed with json_memory's wiping allocator.
 */
#ifndef CLI_CASE_VIEW_H
#define CLI_CASE_VIEW_H

#include <jansson.h>

#include "cases/fold/state.h"
#include "cases/schema/schema.h"
#include "cli/case/case.h"
#include "cli/reply.h"

struct case_view {
	/* As case_ask gives it; each event has its "number" and the marks of timeline_put_marks. */
	json_t *doc;
	json_t *events; /* in the order of recording, by number; borrowed from doc */
	json_t **by_id; /* .. sorted */
	struct case_state *state;
	struct case_summary summary; /* as of today; views into the state */
	const char *code;
	char ref[CASE_REF_TEXT + 1], today[11];
	char office[4];    /* of the newest event recorded here */
	group_set granted; /* of a case that another node shares: what it gave; 0: it is none */
};

enum err case_view_load(const struct cli *cli, const char *name, struct case_view *ret,
	struct errctx *ctx) MUST_USE;
void case_view_release(struct case_view *view); /* zeroed ones are fine */

/* What the case offers for the field, in place of what the schema alone knows; nothing is changed
 * for other fields. ret_preset: what an empty answer means; "": as it was. */
void case_view_choices(const struct case_view *view, const struct schema_type *type,
	const struct schema_field *field, struct reply_choices *choices,
	char ret_preset[REPLY_NAME_MAX]);

/* A contact-only case takes no note, no name, nothing about health: they are not asked for. */
bool case_view_takes(const struct case_view *view, const struct schema_type *type,
	const struct schema_field *field, const json_t *event);

/* Can an event of this type be recorded now? ERR_CONSENT or ERR_INVALID with what to do first: told
 * before anything is asked. What depends on answers is the node's to say. */
enum err case_view_allows(
	const struct case_view *view, const struct schema_type *type, struct errctx *ctx) MUST_USE;

/* The event of that number as `case show` prints it, "12" or "#12"; NULL. */
json_t *case_view_event(const struct case_view *view, const char *number);

/* .. of that id; NULL. */
json_t *case_view_by_id(const struct case_view *view, const char *event_id);
/* A correction of a field of an event, {"new","holds"..}, in the order of recording: the next one
 * from *i on, which begins at 0; NULL past the last. Borrowed. */
const json_t *case_view_change(const json_t *event, const char *name, size_t *i);
/* What the field says now; NULL: nothing. */
const json_t *case_view_value(const json_t *event, const char *name);
/* An event of the case by its id, in words: its consent, or "#12". Appends. */
void case_view_event_text(const struct case_view *view, const char *event_id, struct buf *out);

/* Does the text name an event as people do: "C-1", a consent, or "#12"? */
bool case_view_is_number(const char *text);
/* .. then its id comes in the place of the text, in every field of the event that is another
 * event. ERR_NOTFOUND. */
enum err case_view_resolve(const struct case_view *view, const struct schema_type *type,
	json_t *event, struct errctx *ctx) MUST_USE;

/* "C-1: referral to a service, until 2027-11-26". */
void case_view_consent_text(const struct consent_view *consent, char *ret, size_t size);
/* "R-1: legal, accepted". */
void case_view_item_text(enum item_kind kind, const struct item_view *item, char *ret, size_t size);
/* The text of a code of that list; the code itself when it is not known. */
const char *case_view_code(const char *list, const char *code);

#endif
