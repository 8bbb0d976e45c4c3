/*
 * One part of one event, for somebody who has the log and no key: the entry as it stands there,
 * and, when it is to be opened, P (DESIGN 8). A P that leaves is remembered first, so that an
 * erasure can call it back; what else has to come first, the ledger, is the loop's business.
 *
 * Own entries alone: what another node wrote is that node's to show.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/keys/grant.h"
#include "cases/keys/revealed.h"
#include "cases/seal/opened.h"
#include "replication/log/tree.h"
#include "server/vault/internal.h"

#define TO_VICTIM "victim"

_Static_assert(sizeof(((struct vault_request *)0)->to) == REVEALED_TO_MAX + 1, "whom it is for");

/* Where the part stands. */
struct place {
	const struct casebook_key *key;
	const struct casebook_entry *entry;
};

/* A branch repeats what its log has. */
static bool provable(const struct book *book, const struct casebook_entry *entry)
{
	return strchr(book_log_at(book, entry->log)->origin.text, '~') == NULL;
}

/* In the log that is written now, if it stands there: the lowest number. */
static bool find_part(const struct book *book, const struct casebook_case *kase, enum group group,
	const struct event_id *id, struct place *ret)
{
	struct place place = {NULL, NULL};

	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (key->foreign || key->group != group)
			continue;
		for (uint32_t i = 0; i < key->entry_committed; i++) {
			const struct casebook_entry *e = &key->entries[i];

			if (memcmp(casebook_entry_event(book->cases, e)->b, id->b, sizeof(id->b)) !=
					0 ||
				!provable(book, e) ||
				(place.entry != NULL && place.entry->log <= e->log))
				continue;
			place = (struct place){key, e};
		}
	}
	*ret = place;
	return place.entry != NULL;
}

static enum err find_group(const struct book *book, const struct casebook_case *kase,
	const struct vault_request *request, const struct event_id *id, enum group *ret,
	struct errctx *ctx)
{
	struct casebook_event_info info;

	if (!casebook_find_event(book->cases, id, &info) || info.kase != kase)
		return err_set(ctx, ERR_NOTFOUND,
			"no event of this office has that id in the case: what another office "
			"recorded is that office's to prove");
	*ret = request->group[0] == '\0' ? info.target.main : group_find(bytes_str(request->group));
	if (!group_of_case(*ret))
		return err_set(ctx, ERR_INVALID, "--group: no data group of a case");
	return OK;
}

static enum err find_place(struct book *book, struct vault_request *request,
	const struct casebook_case *kase, struct place *ret)
{
	struct errctx *ctx = &request->ctx;
	struct event_id id;
	enum group group = GROUP_NONE;

	if (event_id_parse(bytes_str(request->event_id), &id) != OK)
		return err_set(ctx, ERR_INVALID, "--event: no id of an event");
	TRY(find_group(book, kase, request, &id, &group, ctx));
	if (!find_part(book, kase, group, &id, ret))
		return err_set(ctx, ERR_NOTFOUND,
			"the event has no part in the data group '%s', or it is not in the log yet",
			group_name(group));
	return OK;
}

/* --- consent --- */

/* What the victim agreed to have shown to that recipient; the victim's own entries to the victim.
 * A consent names nobody, and is what others are to check. */
static enum err check_consent(
	const struct case_state *state, const struct place *place, struct vault_request *request)
{
	struct grant_ask ask = {.groups = GROUP_BIT(place->key->group)};
	struct grant_cover cover;
	struct buf name;
	char today[11];
	enum err err;

	if (place->key->group == GROUP_CONSENT || strcmp(request->to, TO_VICTIM) == 0)
		return OK;
	request_today(request, today);
	ask.day = today;
	buf_init(&name, 8 * sizeof(request->to));
	event_put_string(&name, request->to);
	err = name.err;
	if (err == OK) {
		name.data[name.size - 1] = '\0'; /* its quotes */
		if (node_name_valid(bytes_str(request->to)))
			ask.to.node = request->to;
		ask.to.organisation = (const char *)name.data + 1;
		err = grant_check(state, &ask, &cover, &request->ctx);
	}
	buf_wipe(&name);
	return err;
}

/* --- remembering --- */

static enum err remember(
	struct book *book, struct vault_request *request, const struct revealed *revealed)
{
	struct buf plain, value;
	struct row_name name;
	struct keyring_item item;
	enum err err;

	if (book->revealed_rows >= LIMIT_REVEALED)
		return err_set(&request->ctx, ERR_LIMIT,
			"%d entries were opened for others already", LIMIT_REVEALED);
	buf_init(&plain, ROW_PLAIN_MAX);
	buf_init(&value, KEYRING_VALUE_MAX);
	revealed_write(revealed, &plain);
	revealed_row_name(&revealed->id, &name);
	err = plain.err;
	if (err == OK)
		err = row_wrap(secret_bytes(&book->keyring_key), ROW_REVEALED, &name,
			buf_bytes(&plain), &value);
	if (err == OK) {
		memcpy(item.kid, name.b, sizeof(item.kid));
		item.value = buf_bytes(&value);
		err = keyring_update(book->opts.keyring, &item, 1, &request->ctx);
		request->trouble = keyring_trouble(book->opts.keyring);
	}
	book->revealed_rows += err == OK;
	buf_release(&plain);
	buf_release(&value);
	return err;
}

static enum err open_entry(struct book *book, const struct place *place,
	struct vault_request *request, struct opened *opened)
{
	struct revealed revealed = {
		.kid = place->key->seal.kid,
		.case_ref = place->key->owner->ref,
		.event_id = *casebook_entry_event(book->cases, place->entry),
		.group = place->key->group,
		.index = request->index,
		.at_s = request->now_s,
	};

	TRY(seal_reveal(&place->key->seal, opened->entry, &opened->p));
	opened->has_p = true;
	revealed_id(&opened->p, &revealed.id);
	tree_leaf(opened->entry, &revealed.leaf);
	memcpy(revealed.origin, request->log_origin, sizeof(revealed.origin) - 1);
	memcpy(revealed.to, request->to, sizeof(revealed.to));
	request->revealed = revealed.id;
	return remember(book, request, &revealed);
}

/* --- answering --- */

static enum err write_file(
	struct book *book, const struct place *place, struct vault_request *request)
{
	struct casebook_at at = {
		place->entry->i, casebook_entry_index(place->entry), place->entry->log};
	struct opened opened = {.has_p = false};
	enum err err;

	/* It is what the casebook says it is, or it is not proven. */
	TRY(book_read(book, place->key, &at, &request->ctx));
	book_part_wipe(book);
	opened.entry = buf_bytes(&book->entry);
	err = request->open ? open_entry(book, place, request, &opened) : OK;
	buf_init(&request->file, LIMIT_TLOG_EXTRA);
	if (err == OK && buf_reserve(&request->file, LIMIT_TLOG_EXTRA) != NULL)
		opened_write(&request->file, &opened);
	wipe(&opened.p, sizeof(opened.p));
	return err == OK ? request->file.err : err;
}

enum err reveal_part(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct place place = {NULL, NULL};

	TRY(ledger_check_purpose(request));
	TRY(case_named(book, request, &kase, &state));
	TRY(find_place(book, request, kase, &place));
	if (request->open)
		TRY(check_consent(state, &place, request));
	request->index = casebook_entry_index(place.entry);
	snprintf(request->log_origin, sizeof(request->log_origin), "%s",
		book_log_at(book, place.entry->log)->origin.text);
	snprintf(request->group, sizeof(request->group), "%s", group_name(place.key->group));
	buf_put(&request->refs, BYTES_ARRAY(kase->ref.b));
	TRY(request->refs.err);
	return write_file(book, &place, request);
}
