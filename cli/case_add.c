/* sauti case add | import */
#include "cli/case.h"
#include "cli/daemon.h"

enum err case_add_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *event = NULL;
	const char *type = args_option(args, "type"), *from = args_option(args, "from");
	struct import_counts counts = {0};
	char ref[CASE_REF_TEXT + 1];

	if ((type == NULL) == (from == NULL))
		return cli_usage(cli, ctx, "one of --type and --from is needed");
	if (from != NULL && args_option(args, "field") != NULL)
		return cli_usage(cli, ctx, "--field goes with --type");
	if (type != NULL) {
		event = json_pack("{s:s}", "type", type);
		if (event == NULL)
			return cli_usage(cli, ctx, "--type is not UTF-8");
		TRY(case_event_fields(cli, args, event, ctx));
	}
	TRY(case_find_ref(cli, args_at(args, 0), ref, ctx));
	if (from != NULL) {
		TRY(import_events(cli, from, ref, &counts, ctx));
	} else {
		if (json_object_set_new(event, "case_ref", json_string(ref)) != 0)
			return ERR_NOMEM;
		TRY(case_event_append(cli, event, &counts, ctx));
	}
	return case_report_counts(cli, &counts);
}

enum err case_import_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	struct import_counts counts;

	TRY(import_events(cli, args_at(args, 0), NULL, &counts, ctx));
	return case_report_counts(cli, &counts);
}
