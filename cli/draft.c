#include "cli/draft.h"

#include <string.h>

#include "base/secret.h"
#include "cases/event/json_memory.h"
#include "cli/daemon.h"
#include "cli/output.h"

enum err draft_put(
	const struct cli *cli, struct draft_head *head, const json_t *body, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__DraftPutRequest put = SAUTI__DRAFT_PUT_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	char *text = json_dumps(body, JSON_COMPACT);
	enum err err;

	if (text == NULL)
		return ERR_NOMEM;
	put.number = head->number;
	put.case_ = (char *)head->kase;
	put.type = (char *)head->type;
	put.body.data = (uint8_t *)text;
	put.body.len = strlen(text);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_DRAFT_PUT;
	request.draft_put = &put;
	err = daemon_call(cli, &request, &answer, NULL, ctx);
	wipe(text, strlen(text));
	json_text_free(text);
	TRY(err);
	head->number = (uint32_t)output_number(answer, "draft");
	return OK;
}

enum err draft_list(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__DraftListRequest list = SAUTI__DRAFT_LIST_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_DRAFT_LIST;
	request.draft_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

enum err draft_get(
	const struct cli *cli, uint32_t number, json_t **ret, json_t **ret_body, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__DraftShowRequest show = SAUTI__DRAFT_SHOW_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;
	const char *body;

	show.number = number;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_DRAFT_SHOW;
	request.draft_show = &show;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	body = json_string_value(json_object_get(answer, "body"));
	if (body == NULL || output_parse(bytes_str(body), ret_body, ctx) != OK)
		return err_set(ctx, ERR_MALFORMED, "draft %u is not readable", number);
	*ret = json_incref(answer);
	return OK;
}

enum err draft_remove(const struct cli *cli, uint32_t number, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__DraftRemoveRequest remove = SAUTI__DRAFT_REMOVE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	remove.number = number;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_DRAFT_REMOVE;
	request.draft_remove = &remove;
	return daemon_call(cli, &request, &answer, NULL, ctx);
}
