/*
 * What the files of render share. A format appends to `out`, in pieces that it makes in `scratch`.
 * Not for other modules.
 */
#ifndef CASES_VIEW_RENDER_INTERNAL_H
#define CASES_VIEW_RENDER_INTERNAL_H

#include "cases/view/render.h"

struct render_csv;

struct render {
	struct render_options options;
	struct render_counts counts;
	struct buf out;
	struct buf scratch; /* whole from the start: what is made in it leaves no copy behind */
	struct buf plain;   /* of a hand-over: one value, before it is escaped; whole, too */
	struct render_csv *csv;
};

/* The value of a field as plain text, without JSON's marks where it has any other form. Appends;
 * sticky error in out. */
void render_plain(const char *json, struct buf *out);

/* The order in which a case can be recorded again: indices into the timeline, freed with mem_free.
 * ERR_NOMEM. */
enum err render_order(const struct timeline *timeline, uint32_t **ret) MUST_USE;

enum err render_csv_new(
	const struct render_options *options, struct render_csv **ret, struct errctx *ctx) MUST_USE;
void render_csv_free(struct render_csv *csv);
enum err render_csv_case(
	struct render *render, const struct render_case *kase, struct errctx *ctx) MUST_USE;
enum err render_csv_finish(struct render *render, struct errctx *ctx) MUST_USE;

enum err render_handover_new(struct render *render, struct errctx *ctx) MUST_USE;
enum err render_handover_case(
	struct render *render, const struct render_case *kase, struct errctx *ctx) MUST_USE;
void render_handover_finish(struct render *render);

#endif
