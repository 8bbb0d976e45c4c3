/* approvals: what was opened without consent, and what a second officer says of it. */
#ifndef CLI_APPROVALS_H
#define CLI_APPROVALS_H

#include <jansson.h>

#include "cli/case/case.h"

extern const struct cli_option case_report_options[], case_break_glass_options[];
case_run case_report_run, case_break_glass_run;

/* For 'case show': those of the case's document, when there are any. */
void approvals_print_case(const json_t *doc);

/* For the table of 'sauti case'. */
#define OPENING_COMMANDS                                                                           \
	{"case", "break-glass", "CASE", "keys for another office, in need and without consent",    \
		"Somebody's life or health is at stake, and nobody can be asked. The office gets " \
		"the\nkeys of these groups, with what was recorded until now. The ledger has it "  \
		"at "                                                                              \
		"once,\nwith the reason. A second officer, here or at another office but not the " \
		"one that\ngets them, approves it within 72 hours ('sauti approvals'), or the "    \
		"keys "                                                                            \
		"are\nwithdrawn. Tell the victim, and record it: 'sauti approvals told'.",         \
		1, 1, case_break_glass_options, case_break_glass_run},                             \
	{                                                                                          \
		"case", "report", "CASE", "a report that the law demands, without consent",        \
			"Few fields of the groups named go to the authority: never names, unless " \
			"the\nlegal basis names identity. The ledger has it at once. A second "    \
			"officer, here or\nat another office, approves it within 72 hours "        \
			"('sauti approvals'), or it is\nwithdrawn, and stays flagged.",            \
			1, 1, case_report_options, case_report_run                                 \
	}

#endif
