/*
 * daemon: one request to sautid over the control socket that the configuration names, and what
 * comes back as JSON.
 */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <jansson.h>

#include "cli/cli.h"
#include "node/control.h"
#include "proto/control.pb-c.h"

enum { DAEMON_LIST_MAX = 1000000 }; /* documents of one answer */

/* The configuration file of this run, and what is in it. Release the configuration.
 * When there is none the error says so, and what to do. */
enum err daemon_config_path(const struct cli *cli, char ret[PATH_MAX], struct errctx *ctx) MUST_USE;
enum err daemon_config(const struct cli *cli, struct node_config *ret, struct errctx *ctx) MUST_USE;

/* All documents of the answer, as a JSON array (a new reference). */
enum err daemon_list(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	struct errctx *ctx) MUST_USE;
/* The first document; an empty object when there was none. ret_line as in node/control.h, may be
 * NULL. */
enum err daemon_call(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	uint32_t *ret_line, struct errctx *ctx) MUST_USE;

/* An unlock: the session's token goes into its file (node/session_file.h). */
enum err daemon_unlock(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	struct errctx *ctx) MUST_USE;
/* The session is over: its token goes. */
enum err daemon_forget(const struct cli *cli, struct errctx *ctx) MUST_USE;

/* The same over one connection, for requests that belong together; close it with control_close. */
enum err daemon_connect(const struct cli *cli, struct control **ret, struct errctx *ctx) MUST_USE;
enum err daemon_call_on(struct control *control, const Sauti__ControlRequest *request, json_t **ret,
	uint32_t *ret_line, struct errctx *ctx) MUST_USE;

/* Each document as it comes, to `each`, whose first error ends it. An error of the daemon's comes
 * after the documents before it. */
enum err daemon_each(const struct cli *cli, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, struct bytes json, struct errctx *ctx), void *arg,
	struct errctx *ctx) MUST_USE;

/* struct for CLEANUP */
void daemon_json_release(json_t **json);

#endif
