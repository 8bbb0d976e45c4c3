/* sauti case show */
#include <stdio.h>
#include <string.h>

#include "cli/case.h"
#include "cli/daemon.h"
#include "cli/output.h"

/* Members that stand in the head line of an event, or that only programs need. */
static bool is_plumbing(const char *name)
{
	static const char *const names[] = {"type", "event_id", "case_ref", "occurred_on",
		"precision", "recorded_at", "recorded_by", "office"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void print_event(json_t *event)
{
	struct output_buffer b;
	const char *on = output_member(event, "occurred_on", &b), *name;
	json_t *value;

	printf("\n%-10s  ", on[0] == '\0' ? "no date" : on);
	output_text(stdout, output_member(event, "type", &b), false);
	printf("  (");
	output_text(stdout, output_member(event, "recorded_by", &b), false);
	printf(", %s)\n", output_time(event, "recorded_at", &b));
	json_object_foreach(event, name, value)
	{
		if (is_plumbing(name))
			continue;
		printf("    ");
		output_text(stdout, name, false);
		printf(": ");
		output_text(stdout, output_member(event, name, &b), false);
		putchar('\n');
	}
}

enum err case_show_run(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	CLEANUP(daemon_json_release) json_t *found = NULL;
	struct output_buffer b;
	json_t *event;
	size_t i;

	TRY(case_ask(cli, args_at(args, 0), &found, ctx));
	if (cli->json) {
		output_json(found);
		return OK;
	}
	output_text(stdout, output_member(found, "code", &b), false);
	printf("  ");
	output_text(stdout, output_member(found, "case_ref", &b), false);
	printf("  %zu events\n", json_array_size(json_object_get(found, "events")));
	if (json_object_get(found, "newest") != NULL)
		printf("newest entry: %s\n",
			output_state(
				json_object_get(json_object_get(found, "newest"), "state"), &b));
	json_array_foreach(json_object_get(found, "events"), i, event) print_event(event);
	return OK;
}
