/*
 * form: the questions about one event, one at a time, from the schema. What the case or an earlier
 * answer decides is not asked. After each answer the node keeps the draft, so that a power cut
 *costs one answer; the event has its id from the beginning, so that recording it twice records it
 *once.
 *
 *	Enter: what stands in brackets	? help	< back	. enough: the rest as it is
 */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include "cli/ask.h"
#include "cli/case/view.h"
#include "cli/draft.h"

struct form {
	const struct cli *cli;
	struct ask *ask;
	const struct schema_type *type;
	const struct case_view *view; /* NULL: the case is not there yet */
	const char *kase;             /* its code, for drafts and people */
	const char *const *only;      /* fields to be asked, NULL behind the last; NULL: all */
	char today[11];
	json_t *event; /* members so far */
	json_t *done;  /* names of what was asked */
	bool enough;
	bool bare;     /* an empty answer means nothing, whatever the schema presets */
	bool keeping;  /* a draft */
	bool not_kept; /* .. failed the last time */
	struct draft_head draft;
	char warned[sizeof(((struct errctx *)0)->text)]; /* told once */
};

/* A new event of that type; event_id, case_ref and date are of the form. Release after. */
enum err form_begin(struct form *form, const struct cli *cli, struct ask *ask,
	const struct schema_type *type, const struct case_view *view) MUST_USE;
void form_release(struct form *form);

/* Goes on with the event of a draft's body, as form_save wrote it. ERR_MALFORMED. */
enum err form_resume(
	struct form *form, uint32_t number, const json_t *body, struct errctx *ctx) MUST_USE;

/* Asks what was not asked yet, then shows all of it, asks whether to record it, and does so: what
 * is refused can be changed. ERR_CANCELED: it was stopped, or is not to be recorded; ctx says where
 * the draft is. */
typedef enum err form_record(struct form *form, struct errctx *ctx);
enum err form_ask(struct form *form, form_record *record, struct errctx *ctx) MUST_USE;

/* Would the rules refuse it as it stands? ERR_CONSENT, ERR_INVALID; OK also while it cannot be
 * known yet. */
enum err form_trial(const struct form *form, struct errctx *ctx) MUST_USE;

/* One question alone: its value into form->event, or nothing for an empty answer. */
enum err form_ask_field(
	struct form *form, const struct schema_field *field, struct errctx *ctx) MUST_USE;

/* What an event says, a line for each field. view: NULL, or the case, to name events of it. */
void form_show(const struct term *term, const struct schema_type *type,
	const struct case_view *view, const json_t *event);

/* Should this be asked, after the answers before it? Pure. */
bool form_wants(
	const struct schema_type *type, const struct schema_field *field, const json_t *event);

#endif
