/*
 * What the escrow has of keys that are to be erased: chunks in the log, which stay there for ever,
 * under version keys, which go. First other chunks without these keys take their place, and are
 * acknowledged; then the version keys are erased as the keys are, here and at every custodian that
 * was ever sent them, together with the prekeys that those letters were sealed to.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/vault/erase/erase_parts.h"
#include "server/vault/escrow/escrow.h"

enum err erase_version_key(struct book *book, const uint8_t *kid, enum row_kind kind,
	bool *ret_here, struct keyring_entry *ret)
{
	struct hash signed_by;
	enum err err;

	*ret = (struct keyring_entry){.generation = 0};
	if (kind == ROW_ESCROW) {
		*ret_here = escrow_vkey_find(book->escrow, kid) != NULL;
		snprintf(ret->author, sizeof(ret->author), "%s", book->opts.node);
		return OK;
	}
	err = custody_owner(book, kid, ret->author, &signed_by);
	*ret_here = err == OK;
	return err == ERR_NOTFOUND ? OK : err;
}

bool erase_custody_by(struct book *book, const struct seal_kid *kid, struct hash *ret)
{
	char owner[LIMIT_NODE_NAME + 1];

	return custody_owner(book, kid->b, owner, ret) == OK;
}

/* Room for one more, in order. */
static enum err kid_add(struct erasure *erasure, const uint8_t id[ESCROW_ID_SIZE])
{
	void *grown;

	if (erasure_has(erasure, id))
		return OK;
	if (erasure->kid_count >= LIMIT_ERASE_KEYS)
		return ERR_LIMIT;
	grown = mem_resize(erasure->kids, (erasure->kid_count + 1) * SEAL_KID_SIZE);
	if (grown == NULL)
		return ERR_NOMEM;
	erasure->kids = grown;
	memcpy(erasure->kids[erasure->kid_count++], id, SEAL_KID_SIZE);
	qsort(erasure->kids, erasure->kid_count, SEAL_KID_SIZE, erase_kid_compare);
	return OK;
}

static enum err holder_get(
	struct erasure *erasure, const struct escrow_holder *from, struct erasure_holder **ret)
{
	struct erasure_holder *grown;

	for (size_t i = 0; i < erasure->holder_count; i++)
		if (strcmp(erasure->holders[i].node, from->node) == 0) {
			*ret = &erasure->holders[i];
			return OK;
		}
	if (erasure->holder_count >= LIMIT_ERASE_HOLDERS)
		return ERR_LIMIT;
	grown = mem_resize(erasure->holders, (erasure->holder_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	erasure->holders = grown;
	*ret = &grown[erasure->holder_count++];
	memset(*ret, 0, sizeof(**ret));
	snprintf((*ret)->node, sizeof((*ret)->node), "%s", from->node);
	(*ret)->node_key = from->node_key;
	return OK;
}

static enum err holders_add(struct erasure *erasure, const struct escrow_vkey *vkey)
{
	for (size_t i = 0; i < vkey->holder_count; i++) {
		const struct escrow_holder *from = &vkey->holders[i];
		struct erasure_holder *holder;

		if (from->node[0] == '\0')
			continue;
		TRY(holder_get(erasure, from, &holder));
		for (size_t k = 0; k < from->prekeys.count; k++)
			TRY(erasure_prekeys_add(&holder->prekeys, from->prekeys.number[k]));
	}
	return OK;
}

/* Every version key that has been retired: one of them may have held such a key. */
static enum err version_keys_add(struct book *book, struct erasure *erasure, bool *ret_added)
{
	struct escrow *escrow = book->escrow;

	for (size_t i = 0; i < escrow->vkey_count; i++) {
		const struct escrow_vkey *vkey = &escrow->vkeys[i];
		enum err err;

		if (!vkey->retired || vkey->gone || erasure_has(erasure, vkey->id.b))
			continue;
		err = kid_add(erasure, vkey->id.b);
		if (err == OK)
			err = holders_add(erasure, vkey);
		TRY(err);
		*ret_added = true;
	}
	return OK;
}

enum err erase_escrow(
	struct book *book, struct erasure *erasure, bool *ret_more, struct vault_request *request)
{
	bool ready = false, added = false;
	enum err err;

	TRY(escrow_let_go(book, (const uint8_t(*)[SEAL_KID_SIZE])erasure->kids, erasure->kid_count,
		&ready, &request->ctx));
	*ret_more = !ready;
	request->erase->waits = !ready;
	if (!ready)
		return OK;
	err = version_keys_add(book, erasure, &added);
	if (err == ERR_LIMIT)
		return err_set(&request->ctx, err,
			"more than %d keys and version keys in one erasure", LIMIT_ERASE_KEYS);
	TRY(err);
	return added ? erase_save(book, erasure, &request->ctx) : OK;
}
