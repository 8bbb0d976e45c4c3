#include "cli/daemon.h"

#include "cli/output.h"
#include "node/control.h"
#include "node/session_file.h"

void daemon_json_release(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

enum err daemon_config_path(const struct cli *cli, char ret[PATH_MAX], struct errctx *ctx)
{
	if (cli->config_file != NULL) {
		if (strlen(cli->config_file) >= PATH_MAX)
			return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", cli->config_file);
		strcpy(ret, cli->config_file);
		return OK;
	}
	return files_join(cli->dir, "sauti.conf", ret, ctx);
}

enum err daemon_config(const struct cli *cli, struct node_config *ret, struct errctx *ctx)
{
	char path[PATH_MAX];
	enum err err;

	TRY(daemon_config_path(cli, path, ctx));
	err = config_load(path, ret, ctx);
	if (err == ERR_NOTFOUND && cli->config_file == NULL)
		return err_set(ctx, err,
			"no node in '%s' (no sauti.conf): say --dir, or make one with "
			"'sauti init' or 'sauti join'",
			cli->dir);
	return err;
}

static enum err collect(void *arg, struct bytes json, struct errctx *ctx)
{
	json_t *array = arg, *document;

	if (json_array_size(array) == DAEMON_LIST_MAX)
		return err_set(ctx, ERR_LIMIT, "an answer of more than %d items", DAEMON_LIST_MAX);
	TRY(output_parse(json, &document, ctx));
	return json_array_append_new(array, document) == 0 ? OK : ERR_NOMEM;
}

enum err daemon_connect(const struct cli *cli, struct control **ret, struct errctx *ctx)
{
	struct node_config config;
	enum err err;

	TRY(daemon_config(cli, &config, ctx));
	err = control_connect(config.socket, ret, ctx);
	config_release(&config);
	return err;
}

static enum err call(const struct cli *cli, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, struct bytes json, struct errctx *ctx), void *arg,
	uint32_t *ret_line, struct errctx *ctx)
{
	struct control *control = NULL;
	enum err err = daemon_connect(cli, &control, ctx);

	if (err == OK)
		err = control_call(control, request, each, arg, ret_line, ctx);
	control_close(control);
	return err;
}

enum err daemon_each(const struct cli *cli, const Sauti__ControlRequest *request,
	enum err (*each)(void *arg, struct bytes json, struct errctx *ctx), void *arg,
	struct errctx *ctx)
{
	return call(cli, request, each, arg, NULL, ctx);
}

enum err daemon_list(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *array = json_array();

	if (array == NULL)
		return ERR_NOMEM;
	TRY(call(cli, request, collect, array, NULL, ctx));
	*ret = json_incref(array);
	return OK;
}

static enum err first_document(json_t *array, json_t **ret)
{
	*ret = json_array_size(array) == 0 ? json_object() : json_incref(json_array_get(array, 0));
	return *ret == NULL ? ERR_NOMEM : OK;
}

enum err daemon_call(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	uint32_t *ret_line, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *array = json_array();

	if (array == NULL)
		return ERR_NOMEM;
	TRY(call(cli, request, collect, array, ret_line, ctx));
	return first_document(array, ret);
}

enum err daemon_call_on(struct control *control, const Sauti__ControlRequest *request, json_t **ret,
	uint32_t *ret_line, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *array = json_array();

	if (array == NULL)
		return ERR_NOMEM;
	TRY(control_call(control, request, collect, array, ret_line, ctx));
	return first_document(array, ret);
}

/* ---- the session ---- */

static enum err session_path(const struct cli *cli, char ret[PATH_MAX], struct errctx *ctx)
{
	struct node_config config;
	enum err err;

	TRY(daemon_config(cli, &config, ctx));
	err = session_file_path(config.socket, ret, ctx);
	config_release(&config);
	return err;
}

/* A session may begin although something else went wrong. */
static enum err take_session(struct control *control, const Sauti__ControlRequest *request,
	const char *path, json_t **ret, struct errctx *ctx)
{
	struct control_response response = {0};
	enum err err;

	TRY(control_send(control, request, ctx));
	err = control_next(control, &response, ctx);
	if (response.token.size == SESSION_FILE_TOKEN)
		TRY(session_file_write(path, response.token.data, err == OK ? ctx : NULL));
	TRY(err);
	if (!response.last || response.token.size != SESSION_FILE_TOKEN)
		return err_set(ctx, ERR_UNSUPPORTED,
			"the node was unlocked, and gave no session: an older sautid?");
	return output_parse(response.json, ret, ctx);
}

enum err daemon_unlock(const struct cli *cli, const Sauti__ControlRequest *request, json_t **ret,
	struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	struct control *control = NULL;
	struct node_config config;
	char path[PATH_MAX];
	enum err err;

	TRY(session_path(cli, path, ctx));
	TRY(daemon_config(cli, &config, ctx));
	err = control_connect(config.socket, &control, ctx);
	config_release(&config);
	if (err == OK)
		err = take_session(control, request, path, &answer, ctx);
	control_close(control);
	if (err == OK)
		*ret = json_incref(answer);
	return err;
}

enum err daemon_forget(const struct cli *cli, struct errctx *ctx)
{
	char path[PATH_MAX];

	TRY(session_path(cli, path, ctx));
	return files_exist(path) ? session_file_clear(path, ctx) : OK;
}
