/* sauti case: the commands, one file each beside this one. */
#include "cli/case/case.h"
#include "cli/approvals.h"
#include "cli/case/types.h"
#include "cli/complain.h"
#include "cli/export.h"
#include "cli/packet.h"
#include "cli/passphrase.h"
#include "cli/share.h"
#include "cli/sheet.h"
#include "cli/wait.h"

#define EVENT_OPTIONS                                                                              \
	{"office", "CODE", "the event's office (default: the node's country)", false},             \
		{"on", "DATE", "when it happened: YYYY-MM-DD, YYYY-MM or YYYY", false},            \
		{"officer", "NAME", "who records it (default: whose session it is)", false},       \
		{"language", "TAG", "in which language: fr, ht ..", false},                        \
	{                                                                                          \
		"field", "NAME=TEXT", "a field of the event; NAME:=JSON for what is not text",     \
			true                                                                       \
	}

static const struct cli_option open_options[] = {
	{"code", "CODE", "the case's code (default: a new one)", false},
	{"ask", NULL, "ask for what is not given, also when answers come from a pipe", false},
	EVENT_OPTIONS,
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option add_options[] = {
	{"type", "TYPE", "the event's type, as CONTACT", false},
	{"from", "FILE", "events as JSON lines from a file ('-': stdin)", false},
	{"ask", NULL, "ask for what is not given, also when answers come from a pipe", false},
	{"resume", NULL, "go on with a draft: its number, or the only one", false},
	EVENT_OPTIONS,
	WAIT_OPTIONS,
	{0},
};

static const struct cli_option show_options[] = {
	{"oldest-first", NULL, "the timeline from its beginning", false},
	{"purpose", "TEXT", "what for; stands in the ledger, so name nobody", false},
	{0},
};
#define OTHER_OPTIONS                                                                              \
	{"on", "DATE", "when it happened (default: today)", false},                                \
		{"officer", "NAME", "who records it (default: whose session it is)", false},       \
		{"office", "CODE", "the event's office (default: the node's country)", false},     \
	{                                                                                          \
		"ask", NULL, "ask for what is not given, also when answers come from a pipe",      \
			false                                                                      \
	}
static const struct cli_option correct_options[] = {
	{"field", "NAME", "the field that is wrong", false},
	{"value", "VALUE", "what is right", false},
	{"value-from", "FILE", ".. read from a file ('-': stdin): texts and names", false},
	{"reason", "CODE", "error, new-info or victim-request", false},
	OTHER_OPTIONS,
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option assign_options[] = {
	{"from", "DAY", "from which day on (default: today)", false},
	OTHER_OPTIONS,
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option close_options[] = {
	OTHER_OPTIONS,
	WAIT_OPTIONS,
	{0},
};
#define SORT_OPTION                                                                                \
	{                                                                                          \
		"sort", "ORDER", "code (when it is not said), due or contact", false               \
	}
static const struct cli_option list_options[] = {
	SORT_OPTION,
	{0},
};
static const struct cli_option find_options[] = {
	{"officer", "NAME", "who leads it or stands in", false},
	{"stage", "STAGE", "introduction, assessment, planning, implementation, follow-up, closed",
		false},
	{"due-before", "DAY", "something is due before that day", false},
	{"open-claims", NULL, "with an open paternity claim", false},
	{"open-referrals", NULL, "with an open referral", false},
	{"imminent", NULL, "with an imminent protection concern", false},
	SORT_OPTION,
	{0},
};
static const struct cli_option today_options[] = {
	{"on", "DAY", "as of another day", false},
	{"all", NULL, "all of it, not only the first twelve of each kind", false},
	{0},
};
static const struct cli_option types_options[] = {
	{"json-schema", NULL, "print the JSON Schema of all types", false},
	{0},
};
static const struct cli_option drafts_options[] = {
	{"discard", "N", "forget one for good", false},
	{0},
};

static const struct cli_option import_options[] = {
	{"map", "MAP", "the input is a table, and this file says what its columns mean", false},
	{"dry-run", NULL, "say what would be recorded, and record nothing", false},
	WAIT_OPTIONS,
	{0},
};

static const struct cli_option erase_options[] = {
	{"reason", "CODE", "withdrawn-consent, retention-end, unlawful or objection", false},
	{"group", "GROUP", "a data group alone, not the case", true},
	{"event", "ID", "an event alone: its event_id, as 'case show --json' prints it", false},
	{"note", "ID", "the note of that event alone", false},
	{"status", NULL, "erase nothing: say how far it is", false},
	{"yes", NULL, "do not ask", false},
	{0},
};
static const struct cli_option hold_options[] = {
	{"authority", "TEXT", "on whose order", false},
	{"second", "OFFICER", "who approves it, too, and types their passphrase", false},
	{"until", "DAY", "the last day", false},
	PASSPHRASE_OPTION,
	{0},
};

const struct cli_extra cli_extras[] = {
	{"case", "open", case_types_option, NULL},
	{"case", "add", case_types_option, case_types_help},
	{"case", "assign", case_types_option, NULL},
	{"case", "close", case_types_option, NULL},
	{"case", "reopen", case_types_option, NULL},
	{0},
};

const struct cli_command case_commands[] = {
	{"case", "open", "", "open a case: prints its code and its case_ref",
		"On a terminal it asks three questions; the fields of 'case types open' are "
		"options,\n"
		"too: --preferred-language ht --safe-contact-method phone. Other users of this\n"
		"machine can see arguments: what says more than a code is asked for, or read from\n"
		"files.",
		0, 0, open_options, case_open_run},
	{"case", "add", "[CASE] [TYPE]", "record an event in a case",
		"CASE is a case code, or 32 hexadecimal digits; TYPE a type of event. On a "
		"terminal\n"
		"you are asked for what is not said, one question at a time; the answers are "
		"kept,\n"
		"sealed, until the event is recorded. Every field of the type is an option, too:\n"
		"  sauti case add HTI-7K3Q-5 contact --channel phone --direction out --result "
		"reached\n"
		"Others on this machine can see arguments: a note is read from a file "
		"(--note-from).\n"
		"--from records those of a file, which may leave out case_ref; --type one that is\n"
		"made of --field options.",
		0, 2, add_options, case_add_run},
	{"case", "types", "[TYPE]", "the types of events, or the fields and codes of one", NULL, 0,
		1, types_options, case_types_run},
	{"case", "drafts", "", "your answers that are not recorded yet",
		"'sauti case add --resume N' goes on with one.", 0, 0, drafts_options,
		case_drafts_run},
	{"case", "show", "CASE", "what a case is now, and everything recorded about it",
		"The numbers #1, #2.. are those of 'case correct'.", 1, 1, show_options,
		case_show_run},
	{"case", "correct", "CASE [EVENT]", "correct one field of an event",
		"EVENT is its number as 'case show' prints it: #12. The old value stays, struck. "
		"What\n"
		"is not said is asked for on a terminal. --field occurred_on is the day: the event "
		"is\n"
		"recorded anew with all it says, and replaces the first; not so where others rest "
		"on it.",
		1, 2, correct_options, case_correct_run},
	{"case", "resolve", "CASE [EVENT]", "say which of contradicting events holds",
		"EVENT is its number as 'case show' prints it: #12. The others stay, overruled.", 1,
		2, close_options, case_resolve_run},
	{"case", "assign", "CASE OFFICER", "say who leads a case, or stands in",
		"--role is lead (when it is not said), backup or focal-point; --from and --to are "
		"days.",
		2, 2, assign_options, case_assign_run},
	{"case", "close", "CASE", "close a case", "'sauti case types close' lists its fields.", 1,
		1, close_options, case_close_run},
	{"case", "reopen", "CASE", "open a closed case again",
		"'sauti case types reopen' lists its fields.", 1, 1, close_options,
		case_reopen_run},
	{"case", "list", "", "your cases: what each is now, and what is due", NULL, 0, 0,
		list_options, case_list_run},
	{"case", "find", "[CODE-PREFIX]", "cases by code, officer, stage, or what is open or due",
		"All that is given must be so.", 0, 1, find_options, case_find_run},
	{"case", "today", "", "what wants doing today",
		"Imminent concerns, overdue contacts, referrals without an answer, consents that "
		"end\n"
		"soon, open complaints, and what the quorum does not hold yet. 'sauti today' is "
		"short.",
		0, 0, today_options, case_today_run},
	{"today", NULL, "", "what wants doing today", "The same as 'sauti case today'.", 0, 0,
		today_options, case_today_run},
	{"case", "import", "FILE|-", "record events of many cases from JSON lines or a table",
		"Without --map the input has JSON lines. With it, it is a register as CSV, and MAP "
		"says\nwhat its columns mean (docs/IMPORT.md). Everything is checked before the "
		"first "
		"event is\nrecorded: after an error nothing has changed. Events that are there "
		"already "
		"are counted\nand left alone, so an import can be repeated.",
		1, 1, import_options, case_import_run},
	{"case", "erase", "[CASE]", "destroy the keys of a case, or of a part of it, everywhere",
		"Nobody reads it any more, here or where it was shared; the log stays as it is, "
		"and\n"
		"still verifies. Offices that were given keys are ordered to destroy them, and "
		"confirm\n"
		"it: it is complete once all of them have. Not while a legal hold lasts. A "
		"supervisor's.",
		0, 1, erase_options, case_erase_run},
	{"case", "hold", "CASE", "keep keys that another office orders erased, for a while",
		"What a court or a law demands is kept: the office that orders it is told by whom "
		"and\n"
		"until when. A day that is past lifts it.",
		1, 1, hold_options, case_hold_run},
	EXPORT_COMMAND,
	PROVE_COMMAND,
	RECEIPT_COMMAND,
	PACKET_COMMANDS,
	OPENING_COMMANDS,
	SHEET_COMMAND,
	COMPLAIN_COMMAND,
	SHARE_COMMANDS,
	{0},
};
