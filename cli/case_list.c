/* sauti case list */
#include "cli/case.h"
#include "cli/daemon.h"
#include "cli/output.h"

enum err case_ask_list(const struct cli *cli, json_t **ret, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseListRequest list = SAUTI__CASE_LIST_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_LIST;
	request.case_list = &list;
	return daemon_list(cli, &request, ret, ctx);
}

enum err case_list_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	static const char *const heads[] = {"CODE", "OPENED", "LAST", "EVENTS", "CASE_REF"};
	CLEANUP(daemon_json_release) json_t *cases = NULL;
	struct output_table table;
	json_t *item;
	size_t i;
	enum err err;

	(void)args;
	TRY(case_ask_list(cli, &cases, ctx));
	if (cli->json) {
		output_json(cases);
		return OK;
	}
	output_table_init(&table, heads, 5);
	json_array_foreach(cases, i, item)
	{
		struct output_buffer b[5];
		const char *cells[] = {output_member(item, "code", &b[0]),
			output_member(item, "opened_on", &b[1]),
			output_member(item, "last_on", &b[2]), output_member(item, "events", &b[3]),
			output_member(item, "case_ref", &b[4])};

		output_table_add(&table, cells);
	}
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}
