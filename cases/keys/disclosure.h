/*
 * disclosure: what an office hands to somebody who is to check its grants against its log (DESIGN
 * 9, FORMAT "Disclosures"): of its ledger, and of the consents that the ledger cites, how to find
 * every entry, and P of each. Of a key that is disclosed:
 *
 *   - the key of its locators: whoever has it finds the entries under K by number, and cannot be
 *     shown fewer than there are: nothing under a disclosed key can be left out unseen
 *   - P of each entry, in the order of numbers: opens it, and none that comes later
 *
 *   "SAUTIOPN" || u32be 1 || lv16 network || lv16 node || u64be seconds
 *   || u16be logs || for each: lv16 origin || u64be entries it had
 *   || u32be keys || for each: u8 group || case_ref 16 || locator key 32
 *                    || for each log: u32be count || count * P 32
 *
 * A file of such is a key: mode 0600, in the ledger, and named in orders. Pure.
 */
#ifndef CASES_DISCLOSURE_H
#define CASES_DISCLOSURE_H

#include "base/limits.h"
#include "cases/event/event.h"
#include "cases/seal/seal.h"

struct disclosure_log {
	char origin[LIMIT_ORIGIN + 1];
	uint64_t size; /* entries it had */
};
struct disclosure_key {
	enum group group;
	struct case_ref case_ref;
	struct seal_locator_key locators;
	struct bytes *reveals; /* one for each log: whole P, one after the other; views */
};
struct disclosure {
	char network[LIMIT_NETWORK_NAME + 1], node[LIMIT_NODE_NAME + 1];
	uint64_t made_s;
	struct disclosure_log *logs;
	size_t log_count;
	struct disclosure_key *keys;
	size_t key_count;
};
void disclosure_free(struct disclosure *disclosure); /* wipes; NULL is fine */

/* *ret views data. ERR_MALFORMED (also: a log twice, a group that is neither the ledger's nor that
 * of consents), ERR_VERSION, ERR_LIMIT, ERR_NOMEM. */
enum err disclosure_parse(struct bytes data, struct disclosure **ret, struct errctx *ctx) MUST_USE;
size_t disclosure_reveals(const struct disclosure_key *key, size_t log); /* how many P */
void disclosure_reveal(
	const struct disclosure_key *key, size_t log, size_t i, struct seal_reveal *ret);

/* Writing, in this order: the head with its logs; then for each of head->key_count keys its own,
 * and for each log the count and the P themselves. out is reserved whole; its error sticks. */
void disclosure_put_head(struct buf *out, const struct disclosure *head);
void disclosure_put_key(struct buf *out, const struct disclosure_key *key);
void disclosure_put_count(struct buf *out, uint32_t count);
void disclosure_put_reveal(struct buf *out, const struct seal_reveal *p);

#endif
