/*
 * recall: the letter that asks an organisation to destroy the packets it was given, because the
 * consent they rest on was taken back. It names packets by their reference and their day, and
 * nothing of the case: not its code, no data group, no reason. Pure.
 */
#ifndef CASES_PACKET_RECALL_H
#define CASES_PACKET_RECALL_H

#include "base/buf.h"

struct recall_packet {
	const char *id, *made_on;
	bool paper;
};
struct recall {
	const char *recipient, *node, *network, *today;
	const struct recall_packet *packets;
	size_t count;
};

/* One page of HTML, for a printer or a browser. Sticky error in out. */
void recall_write(const struct recall *recall, struct buf *out);

#endif
