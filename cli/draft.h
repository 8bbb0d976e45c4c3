/*
 * draft: what was answered so far, kept by the node after each answer, sealed, until the event is
 * recorded (proto/control.proto, Draft*). Each officer has their own.
 */
#ifndef CLI_DRAFT_H
#define CLI_DRAFT_H

#include <jansson.h>

#include "cli/cli.h"

struct draft_head {
	uint32_t number; /* 0: not kept yet */
	const char *kase, *type;
};

/* Keeps it; the number is set where it was 0. */
enum err draft_put(const struct cli *cli, struct draft_head *head, const json_t *body,
	struct errctx *ctx) MUST_USE;
/* All of one's own: an array of {"draft","case","type","since"}. */
enum err draft_list(const struct cli *cli, json_t **ret, struct errctx *ctx) MUST_USE;
/* The document of one, and its body. */
enum err draft_get(const struct cli *cli, uint32_t number, json_t **ret, json_t **ret_body,
	struct errctx *ctx) MUST_USE;
enum err draft_remove(const struct cli *cli, uint32_t number, struct errctx *ctx) MUST_USE;

#endif
