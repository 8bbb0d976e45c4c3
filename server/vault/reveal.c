/*
 * One part of one event, for somebody who has the log and no key: the entry as it stands there,
 * and, when it is to be opened, P (DESIGN 8). A P that leaves is remembered first, so that an
 * erasure can call it back; what else has to come first, the ledger, is the loop's business.
 *
 * Own entries alone: what another node wrote is that node's to show.
 */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/keys/grant.h"
#include "cases/seal/opened.h"
#include "replication/log/tree.h"
#include "server/vault/grants/grants.h"
#include "server/vault/reveal.h"

#define TO_VICTIM "victim"
enum { ROW_VALUE_MAX = 1024 };

_Static_assert(sizeof(((struct vault_request *)0)->to) == REVEALED_TO_MAX + 1, "whom it is for");

/* A branch repeats what its log has. */
static bool provable(const struct book *book, const struct casebook_entry *entry)
{
	return strchr(book_log_at(book, entry->log)->origin.text, '~') == NULL;
}

bool reveal_find(const struct book *book, const struct casebook_case *kase, enum group group,
	const struct event_id *id, struct reveal_place *ret)
{
	struct reveal_place place = {NULL, NULL};

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
			place = (struct reveal_place){key, e};
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
	const struct casebook_case *kase, struct reveal_place *ret)
{
	struct errctx *ctx = &request->ctx;
	struct event_id id;
	enum group group = GROUP_NONE;

	if (event_id_parse(bytes_str(request->event_id), &id) != OK)
		return err_set(ctx, ERR_INVALID, "--event: no id of an event");
	TRY(find_group(book, kase, request, &id, &group, ctx));
	if (!reveal_find(book, kase, group, &id, ret))
		return err_set(ctx, ERR_NOTFOUND,
			"the event has no part in the data group '%s', or it is not in the log yet",
			group_name(group));
	return OK;
}

/* --- consent --- */

/* What the victim agreed to have shown to that recipient; the victim's own entries to the victim.
 * A consent names nobody, and is what others are to check. */
static enum err check_consent(const struct book *book, const struct case_state *state,
	const struct reveal_place *place, struct vault_request *request)
{
	struct grant_office office = {book, place->key->owner};
	struct grant_ask ask = {
		.groups = GROUP_BIT(place->key->group), .counts = grant_counts, .arg = &office};
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

static enum err count_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	uint64_t *count = arg;

	(void)ctx;
	*count += row_kind(item->value) == ROW_REVEALED;
	return OK;
}

/* A row that is written anew was counted again: at the cap they are counted in earnest. */
static enum err check_room(struct book *book, size_t more, struct errctx *ctx)
{
	uint64_t count = 0;

	if (book->revealed_rows + more <= LIMIT_REVEALED)
		return OK;
	TRY(keyring_each(book->opts.keyring, count_row, &count, ctx));
	book->revealed_rows = count;
	if (count + more > LIMIT_REVEALED)
		return err_set(ctx, ERR_LIMIT, "%d entries were opened for others already",
			LIMIT_REVEALED);
	return OK;
}

static enum err wrap_rows(struct book *book, const struct revealed *revealed, size_t count,
	struct buf *values, struct keyring_item *items)
{
	CLEANUP(buf_release) struct buf plain;

	buf_init(&plain, ROW_PLAIN_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t at = values->size;
		struct row_name name;

		buf_clear(&plain);
		revealed_write(&revealed[i], &plain);
		TRY(plain.err);
		revealed_row_name(&revealed[i].id, &name);
		memcpy(items[i].kid, name.b, sizeof(items[i].kid));
		TRY(row_wrap(secret_bytes(&book->keyring_key), ROW_REVEALED, &name,
			buf_bytes(&plain), values));
		items[i].value = bytes_make(values->data + at, values->size - at);
	}
	return OK;
}

enum err reveal_remember(struct book *book, struct vault_request *request,
	const struct revealed *revealed, size_t count)
{
	struct keyring_item items[REVEAL_ROWS];
	struct buf values;
	enum err err;

	assert(count <= REVEAL_ROWS);
	TRY(check_room(book, count, &request->ctx));
	buf_init(&values, REVEAL_ROWS * ROW_VALUE_MAX);
	err = buf_reserve(&values, count * ROW_VALUE_MAX) == NULL /* views stay valid */
		      ? values.err
		      : wrap_rows(book, revealed, count, &values, items);
	if (err == OK) {
		err = keyring_update(book->opts.keyring, items, count, &request->ctx);
		request->trouble = keyring_trouble(book->opts.keyring);
	}
	if (err == OK)
		book->revealed_rows += count;
	buf_release(&values);
	return err;
}

enum err reveal_entry(struct book *book, const struct casebook_key *key,
	const struct casebook_entry *entry, struct revealed *ret, struct seal_reveal *ret_p,
	struct errctx *ctx)
{
	struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
	struct bytes bytes;

	/* It is what the casebook says it is, or it is not shown. */
	TRY(book_read(book, key, &at, ctx));
	book_part_wipe(book);
	bytes = buf_bytes(&book->entry);
	*ret = (struct revealed){
		.kid = key->seal.kid,
		.case_ref = key->owner->ref,
		.event_id = *casebook_entry_event(book->cases, entry),
		.group = key->group,
		.index = at.index,
	};
	snprintf(ret->origin, sizeof(ret->origin), "%.*s", LIMIT_ORIGIN,
		book_log_at(book, entry->log)->origin.text);
	tree_leaf(bytes, &ret->leaf);
	TRY(seal_reveal(&key->seal, bytes, ret_p));
	revealed_id(ret_p, &ret->id);
	return OK;
}

/* --- answering --- */

static enum err write_file(
	struct book *book, const struct reveal_place *place, struct vault_request *request)
{
	struct opened opened = {.has_p = request->open};
	struct revealed revealed;
	enum err err;

	err = reveal_entry(book, place->key, place->entry, &revealed, &opened.p, &request->ctx);
	if (err == OK && request->open) {
		revealed.at_s = request->now_s;
		memcpy(revealed.to, request->to, sizeof(revealed.to));
		request->revealed = revealed.id;
		err = reveal_remember(book, request, &revealed, 1);
	}
	opened.entry = buf_bytes(&book->entry);
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
	struct reveal_place place = {NULL, NULL};

	TRY(ledger_check_purpose(request));
	TRY(case_named(book, request, &kase, &state));
	TRY(find_place(book, request, kase, &place));
	if (request->open)
		TRY(check_consent(book, state, &place, request));
	request->index = casebook_entry_index(place.entry);
	snprintf(request->log_origin, sizeof(request->log_origin), "%s",
		book_log_at(book, place.entry->log)->origin.text);
	snprintf(request->group, sizeof(request->group), "%s", group_name(place.key->group));
	buf_put(&request->refs, BYTES_ARRAY(kase->ref.b));
	TRY(request->refs.err);
	return write_file(book, &place, request);
}
