/*
 * packet: what an organisation without a node gets of a case (DESIGN 9 "External recipients"): the
 * fewest fields that help it, as one page of HTML to read, print or seal. Which fields those are is
 * data, in packet_fields.c; groups that are not there have nothing for anybody outside.
 *
 * It holds of this node's own events, as they hold now (corrected, none that was overruled or
 * replaced), the fields of the groups asked for. Of services those that the consent covers. Of
 * persons the victim, children and guardians, and their names only when the group identity is asked
 * for. Never: free text, notes, documents, who recorded it, the code of the case, who is accused.
 * Packets are known by the id of their EXTERNAL_PACKET; a recall names that and no more.
 *
 * The text is padded with line feeds to 256 * 2^n or 384 * 2^n bytes, so that the size of what is
 * made of it says little.
 *
 * Pure. The text is plaintext of a case: the caller wipes it.
 */
#ifndef CASES_PACKET_PACKET_H
#define CASES_PACKET_PACKET_H

#include "cases/fold/timeline.h"

enum { PACKET_MAX = 1024 * 1024, PACKET_FIELDS_MAX = 48 };

/* What may be in a packet at all. */
group_set packet_groups(void);
/* May this field of that type be in one, and as of which group? GROUP_NONE: no. Of events about
 * services the group of their codes: GROUP_SERVICES stands for both. */
enum group packet_field_group(uint32_t type, struct bytes name);
/* The n-th field of the table, for documents; false past the end. */
bool packet_field_at(size_t n, uint32_t *ret_type, const char **ret_name);

struct packet {
	struct event_id id;
	const char *recipient, *node, *network; /* texts */
	const char *made_on, *until;            /* days; until: of the consent, "" */
	const char *purpose;                    /* a code: of the consent or the mandate; "" */
	const char *legal_basis;                /* of a report the law demands; NULL: on consent */
	group_set groups;
	struct bytes services; /* JSON list of codes the consent is limited to; empty: all */
};

struct packet_holds {
	const char *fields[PACKET_FIELDS_MAX]; /* names, static, in the order of first use */
	size_t field_count, events;
	group_set groups; /* of which there is something */
};

/* Appends the page to *ret, an empty buf with room for PACKET_MAX bytes. ERR_LIMIT: more than that;
 * ERR_NOMEM. */
enum err packet_write(const struct packet *packet, const struct timeline *timeline, struct buf *ret,
	struct packet_holds *ret_holds) MUST_USE;

#endif
