/*
 * To whom keys were given, and by whom those that are here: what grants.h remembers.
 *
 * A grant that was taken back is followed by an order to destroy what it gave, to that node alone:
 * it is derived from the grant's row, under the id of its revocation, so that nobody has to
 * remember it. Keys that the node has by another grant that is still live stay.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/keys/order.h"
#include "cases/keys/revealed.h"
#include "server/vault/erase/erase_parts.h"
#include "server/vault/grants/grants.h"

/* ---- who has keys that are to be gone ---- */

static bool gave_any(const struct given *given, const struct erasure *erasure)
{
	for (size_t i = 0; i < given->key_count; i++)
		if (erasure_has(erasure, given->keys[i].kid.b))
			return true;
	return false;
}

/* The newest node key of a name counts: whoever was replaced cannot answer any more. */
static enum err holder_add(struct erasure *erasure, const struct given *given)
{
	struct erasure_holder *holder = NULL;

	for (size_t i = 0; i < erasure->holder_count && holder == NULL; i++)
		if (strcmp(erasure->holders[i].node, given->recipient) == 0)
			holder = &erasure->holders[i];
	if (holder == NULL) {
		if (erasure->holder_count == LIMIT_ERASE_HOLDERS)
			return ERR_LIMIT;
		holder = &erasure->holders[erasure->holder_count++];
		*holder = (struct erasure_holder){.asked_at = 0};
		memcpy(holder->node, given->recipient, sizeof(given->recipient));
	}
	holder->node_key = given->node_key;
	for (size_t i = 0; i < given->prekey_count; i++)
		TRY(erasure_prekeys_add(&holder->prekeys, given->prekeys[i]));
	return OK;
}

enum err erase_holders(const struct book *book, struct erasure *erasure)
{
	const struct given *given = NULL;

	while ((given = grants_given_of(book, &erasure->case_ref, given)) != NULL)
		if (given_left(given) && gave_any(given, erasure))
			TRY(holder_add(erasure, given));
	return OK;
}

/* ---- what was shown to somebody ---- */

struct revealing {
	struct book *book;
	struct erasure *erasure;
};

static enum err look_revealed(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf plain;
	const struct revealing *r = arg;
	struct erasure *erasure = r->erasure;
	struct revealed revealed;
	struct row_name name;

	buf_init(&plain, ROW_PLAIN_MAX + AEAD_TAG_SIZE);
	if (row_kind(item->value) != ROW_REVEALED ||
		erasure->revealed_count == LIMIT_ERASE_REVEALED)
		return OK;
	memcpy(name.b, item->kid, sizeof(name.b));
	TRY(row_unwrap(
		secret_bytes(&r->book->keyring_key), ROW_REVEALED, &name, item->value, &plain));
	TRY(revealed_read(buf_bytes(&plain), &revealed));
	if (erasure_has(erasure, revealed.kid.b))
		erasure->revealed[erasure->revealed_count++] = revealed.id;
	return OK;
}

static int hash_compare(const void *a, const void *b)
{
	return memcmp(a, b, HASH_SIZE);
}

enum err erase_revealed(struct book *book, struct erasure *erasure, struct errctx *ctx)
{
	struct revealing r = {book, erasure};

	TRY(keyring_each(book->opts.keyring, look_revealed, &r, ctx));
	qsort(erasure->revealed, erasure->revealed_count, sizeof(*erasure->revealed), hash_compare);
	return OK;
}

void erase_given_by(const struct book *book, const struct case_ref *ref, const char *sender,
	const struct seal_kid *kid, struct order_key *ret)
{
	const struct received *received = NULL;

	while ((received = grants_received_of(book, ref, received)) != NULL)
		if (strcmp(received->sender, sender) == 0 && received_has(received, kid))
			order_key_given(ret, &received->node_key);
}

/* ---- after a withdrawal ---- */

static bool has_otherwise(
	const struct book *book, const struct given *given, const struct seal_kid *kid)
{
	const struct given *other = NULL;

	while ((other = grants_given_of(book, &given->case_ref, other)) != NULL)
		if (other != given && given_live(other) &&
			strcmp(other->recipient, given->recipient) == 0 && given_has(other, kid))
			return true;
	return false;
}

static bool is_ordered(
	const struct book *book, const struct given *given, const struct seal_kid *kid)
{
	const struct erasures *e = book->erasures;

	for (size_t i = 0; i < e->count; i++) {
		const struct erasure *erasure = &e->list[i];

		if (erasure->sender[0] != '\0' || !erasure_has(erasure, kid->b))
			continue;
		for (size_t h = 0; h < erasure->holder_count; h++)
			if (strcmp(erasure->holders[h].node, given->recipient) == 0)
				return true;
	}
	return false;
}

static enum err order_back(
	struct book *book, const struct given *given, uint64_t now_s, struct errctx *ctx)
{
	struct seal_kid kids[LIMIT_GRANT_KEYS];
	struct erase_wish wish = {.case_ref = given->case_ref,
		.code = "",
		.node = given->recipient,
		.node_key = given->node_key,
		.prekeys = given->prekeys,
		.prekey_count = given->prekey_count,
		.kids = kids};
	const struct casebook_case *kase = casebook_find_ref(book->cases, &given->case_ref);

	memcpy(wish.id.b, given->revocation.b, sizeof(wish.id.b));
	if (kase != NULL)
		wish.code = kase->code;
	for (size_t i = 0; i < given->key_count; i++)
		if (!has_otherwise(book, given, &given->keys[i].kid) &&
			!is_ordered(book, given, &given->keys[i].kid))
			kids[wish.kid_count++] = given->keys[i].kid;
	return wish.kid_count == 0 ? OK : erase_order_keys(book, &wish, now_s, ctx);
}

enum err erase_withdrawn(struct book *book, uint64_t now_s, struct errctx *ctx)
{
	const struct given *given;
	size_t at = 0;

	while ((given = grants_given(book, &at)) != NULL) {
		struct order_id id;

		if (given->revoked_on[0] == '\0' || !given_left(given) ||
			given->basis == GRANT_LEDGER)
			continue;
		memcpy(id.b, given->revocation.b, sizeof(id.b));
		if (erase_find(book, &id) == NULL)
			TRY(order_back(book, given, now_s, ctx));
	}
	return OK;
}
