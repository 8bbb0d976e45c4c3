/* sauti case prove: one entry with its proof, opened for somebody or not. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/case/view.h"
#include "cli/daemon.h"
#include "cli/export.h"
#include "cli/output.h"

/* The event by its id, or as people call it: "#12", "C-1". */
static enum err event_of(const struct cli *cli, const char *name, const char *event,
	char ret[EVENT_ID_TEXT + 1], struct errctx *ctx)
{
	const struct schema_type *type = schema_type_get(EVENT_CONFLICT_RESOLVED);
	CLEANUP(daemon_json_release) json_t *named = NULL;
	struct case_view view;
	struct output_buffer b;
	struct event_id id;
	enum err err;

	if (event_id_parse(bytes_str(event), &id) == OK) {
		event_id_text(&id, ret);
		return OK;
	}
	if (!case_view_is_number(event))
		return err_set(ctx, ERR_INVALID,
			"--event: the id of an event, or its number as 'case show' prints it: #12");
	/* A type that names one event, whichever: the numbers are resolved in it. */
	named = json_pack("{s:s}", "chosen", event);
	if (named == NULL)
		return ERR_NOMEM;
	TRY(case_view_load(cli, name, &view, ctx));
	err = case_view_resolve(&view, type, named, ctx);
	case_view_release(&view);
	TRY(err);
	snprintf(ret, EVENT_ID_TEXT + 1, "%s", output_member(named, "chosen", &b));
	return OK;
}

static void report(const struct cli *cli, const char *path, const json_t *head)
{
	unsigned long long cosigned = output_number(head, "cosigned");
	unsigned long long needed = output_number(head, "needed");
	struct output_buffer log, group, ledger;

	if (cli->json) {
		output_json(head);
	} else {
		printf("proof   %s, %llu bytes\n", path,
			(unsigned long long)output_number(head, "bytes"));
		printf("entry   %llu of the first %llu of log %s\n",
			(unsigned long long)output_number(head, "index"),
			(unsigned long long)output_number(head, "size"),
			output_member(head, "log", &log));
		printf("by      %llu mirror%s that count%s, %llu needed\n", cosigned,
			cosigned == 1 ? "" : "s", cosigned == 1 ? "s" : "", needed);
		if (output_true(head, "opened"))
			printf("opened  the part '%s'\nledger  %s at %llu\n",
				output_member(head, "group", &group),
				output_member(head, "ledger", &ledger),
				(unsigned long long)output_number(head, "ledger_index"));
	}
	if (cosigned < needed)
		cli_note(cli, "the quorum has not cosigned this entry yet: whoever asks for it "
			      "will not believe the proof; make another one later");
	if (output_true(head, "opened"))
		cli_note(cli, "whoever has the file reads that part: it is not sealed any more");
}

enum err case_prove_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__CaseProveRequest prove = SAUTI__CASE_PROVE_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *head = NULL;
	const char *event = args_option(args, "event"), *out = args_option(args, "out");
	const char *to = args_option(args, "to"), *purpose = args_option(args, "purpose");
	const char *group = args_option(args, "group");
	char id[EVENT_ID_TEXT + 1];

	prove.open = args_flag(args, "open");
	if (event == NULL || out == NULL || out[0] == '\0')
		return cli_usage(cli, ctx, "--event and --out are needed");
	if (prove.open && (to == NULL || to[0] == '\0' || purpose == NULL || purpose[0] == '\0'))
		return cli_usage(
			cli, ctx, "--open needs --to and --purpose: the ledger keeps them");
	if (!prove.open && (to != NULL || purpose != NULL))
		return cli_usage(cli, ctx, "--to and --purpose are for --open: nothing is shown");
	TRY(event_of(cli, args_at(args, 0), event, id, ctx));
	prove.case_ = (char *)args_at(args, 0);
	prove.event_id = id;
	prove.group = (char *)(group == NULL ? "" : group);
	prove.to = (char *)(to == NULL ? "" : to);
	prove.purpose = (char *)(purpose == NULL ? "" : purpose);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_CASE_PROVE;
	request.case_prove = &prove;
	TRY(export_fetch(cli, &request, out, &head, ctx));
	report(cli, out, head);
	return OK;
}

const struct cli_option prove_options[] = {
	{"event", "EVENT", "its id, its number as 'case show' prints it (#12), or a consent (C-1)",
		false},
	{"group", "GROUP", "its part in that data group (default: the event's own)", false},
	{"open", NULL, "show what that part says", false},
	{"to", "WHOM", "with --open: whom it is for, as the consent names them; or victim", false},
	{"purpose", "TEXT", "with --open: what for; stands in the ledger, so name nobody", false},
	{"out", "FILE", "the file, which is not there yet", false},
	{0},
};
