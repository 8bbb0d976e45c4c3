/* packet: what organisations without a node get: made (case packet), opened (packet open), asked
 * back (case recall). */
#ifndef CLI_PACKET_H
#define CLI_PACKET_H

#include "cli/case/case.h"

extern const struct cli_option case_packet_options[], case_recall_options[];
case_run case_packet_run, case_recall_run;

/* "contact,services" into names: at most GROUP_LAST of them, in *text, which is cut. ERR_INVALID:
 * one that is no group of a case. */
enum err packet_groups_read(
	char *text, char *ret[GROUP_LAST], size_t *ret_count, struct errctx *ctx) MUST_USE;

/* For the table of 'sauti case'. */
#define PACKET_COMMANDS                                                                            \
	{"case", "packet", "CASE", "what an organisation without a node gets of a case",           \
		"Only on a live consent that names it, and the groups. The node records the "      \
		"packet in\n"                                                                      \
		"the case and in its ledger before anything of it leaves. It holds few fields "    \
		"('sauti\n"                                                                        \
		"packet fields' lists them); names only with --groups ..,identity.\n"              \
		"  sauti case packet HTI-7K3Q-5 --to \"Hospital\" --groups contact,services "      \
		"\\\n    --format sealed --out packet.sauti",                                      \
		1, 1, case_packet_options, case_packet_run},                                       \
	{                                                                                          \
		"case", "recall", "CASE", "who was given packets; ask for them back",              \
			"Without --out: who got which packet, when, on which consent. With it: a " \
			"letter\nto one organisation about the packets whose consent was taken "   \
			"back, to print\nand send; the case keeps the day. The letter says "       \
			"nothing about the case.",                                                 \
			1, 1, case_recall_options, case_recall_run                                 \
	}

#endif
