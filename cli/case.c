/* sauti case: the commands, one file each beside this one. */
#include "cli/case.h"
#include "cli/sheet.h"

#define EVENT_OPTIONS                                                                              \
	{"office", "CODE", "the event's office (default: the node's country)", false},             \
		{"on", "DATE", "when it happened: YYYY-MM-DD, YYYY-MM or YYYY", false},            \
		{"officer", "NAME", "who records it (default: the node's)", false},                \
	{                                                                                          \
		"field", "NAME=TEXT", "a field of the event; NAME:=JSON for what is not text",     \
			true                                                                       \
	}

static const struct cli_option open_options[] = {
	{"code", "CODE", "the case's code (default: a new one)", false},
	EVENT_OPTIONS,
	{0},
};
static const struct cli_option add_options[] = {
	{"type", "TYPE", "the event's type, as CONTACT", false},
	{"from", "FILE", "events as JSON lines from a file ('-': stdin)", false},
	EVENT_OPTIONS,
	{0},
};

const struct cli_command case_commands[] = {
	{"case", "open", "", "open a case: prints its code and its case_ref",
		"Other users of this machine can see arguments while the command runs: use\n"
		"'case add --from -' for anything that says more than a code.",
		0, 0, open_options, case_open_run},
	{"case", "add", "CASE", "record an event, or several, in a case",
		"CASE is a case code, or 32 hexadecimal digits. --type records one event made of\n"
		"--field options, --from those of a file, which may leave out case_ref.",
		1, 1, add_options, case_add_run},
	{"case", "show", "CASE", "everything recorded about a case", NULL, 1, 1, NULL,
		case_show_run},
	{"case", "list", "", "the cases this node can read", NULL, 0, 0, NULL, case_list_run},
	{"case", "import", "FILE|-", "record events of many cases from JSON lines",
		"Every line is checked before the first is recorded: after an error nothing has\n"
		"changed. Events that are there already are counted and left alone.",
		1, 1, NULL, case_import_run},
	SHEET_COMMAND,
	{0},
};
