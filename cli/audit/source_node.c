/*
 * A running node as a source: "node" is the one of this --dir, "node:SOCKET" one that a socket
 * leads to, its control socket or its public one. It is asked what anybody may ask, and believed no
 * more than any other source: what it gives out is checked as if it had come on a stick.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "cli/audit/source_open.h"
#include "cli/daemon.h"
#include "cli/output.h"
#include "replication/log/checkpoint.h"

#define PREFIX "node:"

struct node_source {
	char socket[PATH_MAX];
	struct control *control; /* NULL: not connected */
};

static void disconnect(struct node_source *node)
{
	control_close(node->control);
	node->control = NULL;
}

/* A node closes connections that were idle for long: over one that was used before, once more. */
static enum err ask(
	struct node_source *node, const Sauti__ControlRequest *request, struct errctx *ctx)
{
	enum err err = ERR_CLOSED;

	if (node->control != NULL)
		err = control_send(node->control, request, ctx);
	if (err != ERR_CLOSED)
		return err;
	disconnect(node);
	TRY(control_connect(node->socket, &node->control, ctx));
	return control_send(node->control, request, ctx);
}

/* Once more, if nothing of an answer has come over a connection that was open before. */
static enum err ask_first(struct node_source *node, const Sauti__ControlRequest *request,
	struct control_response *ret, struct errctx *ctx)
{
	bool used = node->control != NULL;
	enum err err = ask(node, request, ctx);

	if (err == OK)
		err = control_next(node->control, ret, ctx);
	if (err != ERR_CLOSED || !used)
		return err;
	disconnect(node);
	TRY(ask(node, request, ctx));
	return control_next(node->control, ret, ctx);
}

/* Each response of the answer, to `each`. */
static enum err call(struct node_source *node, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, const struct control_response *response, struct errctx *ctx),
	void *arg, struct errctx *ctx)
{
	struct control_response response = {0};
	enum err err = ask_first(node, request, &response, ctx), gone = OK;

	while (err == OK) {
		gone = each(arg, &response, ctx);
		if (gone != OK || response.last)
			break;
		err = control_next(node->control, &response, ctx);
	}
	/* What the node itself says ends the answer; anything else, and what was left of it, ends
	 * the connection. */
	if (gone != OK || err == ERR_CLOSED || err == ERR_TIMEOUT || err == ERR_IO ||
		err == ERR_LIMIT || err == ERR_MALFORMED)
		disconnect(node);
	return gone != OK ? gone : err;
}

/* ---- a file ---- */

struct reading {
	struct buf *out;
	size_t left;
	const char *origin, *path;
};

static enum err take_data(void *arg, const struct control_response *response, struct errctx *ctx)
{
	struct reading *r = arg;

	if (response->data.size > r->left)
		return err_set(ctx, ERR_LIMIT, "%s/%s is larger than a file of that name can be",
			r->origin, r->path);
	r->left -= response->data.size;
	buf_put(r->out, response->data);
	return r->out->err;
}

static enum err node_source_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__PublicFileRequest file = SAUTI__PUBLIC_FILE_REQUEST__INIT;
	struct reading r = {out, max, origin, path};
	struct node_source *node = arg;
	size_t before = out->size;
	enum err err;

	file.origin = (char *)origin;
	file.path = (char *)path;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_FILE;
	request.public_file = &file;
	err = call(node, &request, take_data, &r, ctx);
	if (err == OK)
		return OK;
	out->size = before;
	return err_wrap(ctx, err, "node at '%s'", node->socket);
}

/* ---- which logs ---- */

struct listing {
	enum err (*each)(void *arg, const char *origin);
	void *arg;
};

/* A branch is part of the proof of a fork, not a log of its own. */
static enum err take_log(void *arg, const struct control_response *response, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *item = NULL;
	const struct listing *l = arg;
	const char *origin;

	if (response->json.size == 0)
		return OK;
	TRY(output_parse(response->json, &item, ctx));
	origin = json_string_value(json_object_get(item, "origin"));
	if (origin == NULL || log_name_parse(bytes_str(origin), NULL, NULL, NULL) != OK)
		return err_set(ctx, ERR_MALFORMED, "the list of logs is not readable");
	return output_true(item, "branch") ? OK : l->each(l->arg, origin);
}

static enum err node_source_logs(void *arg, enum err (*each)(void *each_arg, const char *origin),
	void *each_arg, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__PublicLogsRequest logs = SAUTI__PUBLIC_LOGS_REQUEST__INIT;
	struct listing l = {each, each_arg};
	struct node_source *node = arg;
	enum err err;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_LOGS;
	request.public_logs = &logs;
	err = call(node, &request, take_log, &l, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "node at '%s'", node->socket);
}

/* ---- evidence ---- */

struct proofs {
	enum err (*each)(void *arg, struct bytes message);
	void *arg;
};

/* One to a response, behind its length. */
static enum err take_evidence(
	void *arg, const struct control_response *response, struct errctx *ctx)
{
	const struct proofs *p = arg;
	struct bytes data = response->data;

	if (data.size == 0)
		return OK;
	if (data.size < 4 || get_u32be(data.data) != data.size - 4 || data.size == 4)
		return err_set(ctx, ERR_MALFORMED, "its evidence is not readable");
	return p->each(p->arg, bytes_make(data.data + 4, data.size - 4));
}

static enum err node_source_evidence(void *arg,
	enum err (*each)(void *each_arg, struct bytes message), void *each_arg, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__PublicEvidenceRequest evidence = SAUTI__PUBLIC_EVIDENCE_REQUEST__INIT;
	struct proofs p = {each, each_arg};
	struct node_source *node = arg;
	enum err err;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_EVIDENCE;
	request.public_evidence = &evidence;
	err = call(node, &request, take_evidence, &p, ctx);
	return err == OK ? OK : err_wrap(ctx, err, "node at '%s'", node->socket);
}

/* ---- the source ---- */

static bool is_node(const char *text)
{
	return strcmp(text, "node") == 0 || strncmp(text, PREFIX, strlen(PREFIX)) == 0;
}

/* Of this --dir: its control socket, or the public one for whoever may not use that. */
static enum err connect_own(const struct cli *cli, struct node_source *node, struct errctx *ctx)
{
	struct node_config config;
	enum err err;

	TRY(daemon_config(cli, &config, ctx));
	strcpy(node->socket, config.socket);
	err = control_connect(node->socket, &node->control, ctx);
	if (err == ERR_DENIED && config.public_socket[0] != '\0') {
		strcpy(node->socket, config.public_socket);
		err = control_connect(node->socket, &node->control, ctx);
	}
	config_release(&config);
	return err;
}

static enum err connect_socket(const char *path, struct node_source *node, struct errctx *ctx)
{
	if (path[0] == '\0')
		return err_set(ctx, ERR_INVALID, "'" PREFIX "' without the path of a socket");
	if (strlen(path) >= sizeof(node->socket))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", path);
	strcpy(node->socket, path);
	return control_connect(path, &node->control, ctx);
}

static void node_source_close(void *arg)
{
	disconnect(arg);
	mem_free(arg);
}

static enum err node_source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	struct node_source *node = mem_zalloc(sizeof(*node));
	enum err err;

	if (node == NULL)
		return ERR_NOMEM;
	err = strcmp(text, "node") == 0 ? connect_own(cli, node, ctx)
					: connect_socket(text + strlen(PREFIX), node, ctx);
	if (err != OK) {
		node_source_close(node);
		return err;
	}
	*ret = (struct source){{.read = node_source_read,
				       .logs = node_source_logs,
				       .evidence = node_source_evidence,
				       .arg = node,
				       .tiles = true,
				       .name = text},
		node_source_close};
	return OK;
}

const struct source_kind source_kind_node = {is_node, node_source_open};
