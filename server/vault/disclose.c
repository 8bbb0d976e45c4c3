/*
 * The ledger opened for somebody who is to check it, and with it the consents that its grants cite
 * (cases/keys/disclosure.h): of every key of the node's for the group `audit`, and for the group
 * `consent` of each case that a grant on a consent is about, the key of the locators and P of each
 * entry.
 *
 * Nothing may be on its way to the log: an entry that is there and not told of here would look as
 * if it had been left out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cases/keys/disclosure.h"
#include "server/vault/reveal.h"

struct disclosing {
	struct book *book;
	struct vault_request *request;
	uint16_t logs[LIMIT_DISCLOSURE_LOGS]; /* the book's numbers of those in the file */
	struct disclosure head;
	struct disclosure_log log_rows[LIMIT_DISCLOSURE_LOGS];
	bool *cited; /* by the casebook's number of the case */
	size_t entries;
	struct revealed rows[REVEAL_ROWS]; /* to be remembered */
	size_t row_count;
};

/* --- which --- */

static enum err find_logs(struct disclosing *d)
{
	const struct book *book = d->book;

	for (uint16_t i = 0; i < book->log_count; i++) {
		struct disclosure_log *row = &d->log_rows[d->head.log_count];
		struct hash root;
		enum err err;

		if (strchr(book->logs[i].origin.text, '~') != NULL)
			continue; /* a branch repeats its log */
		if (d->head.log_count == LIMIT_DISCLOSURE_LOGS)
			return err_set(&d->request->ctx, ERR_LIMIT, "more than %d logs",
				LIMIT_DISCLOSURE_LOGS);
		err = store_root(book->opts.store, &book->logs[i].origin, 0, &row->size, &root,
			&d->request->ctx);
		if (err == ERR_NOTFOUND || (err == OK && row->size == 0))
			continue; /* nothing was written to it yet */
		TRY(err);
		snprintf(row->origin, sizeof(row->origin), "%.*s", LIMIT_ORIGIN,
			book->logs[i].origin.text);
		d->logs[d->head.log_count++] = i;
	}
	return OK;
}

static bool is_own(const struct disclosing *d, const struct casebook_key *key, enum group group)
{
	return !key->foreign && key->group == group && strcmp(key->author, d->book->opts.node) == 0;
}

/* The case of a grant on a consent. */
static enum err cite(struct disclosing *d, const struct event *event)
{
	const struct casebook_case *kase = NULL;
	struct case_ref ref;
	char *text = NULL;

	if (event->type != EVENT_ACCESS_GRANTED || event_field_json(event, "consent_ref") == NULL)
		return OK;
	if (event_field_string(event, LEDGER_CASE, &text) == OK &&
		case_ref_parse(bytes_str(text), &ref) == OK)
		kase = casebook_find_ref(d->book->cases, &ref);
	mem_free(text);
	if (kase != NULL)
		d->cited[kase->number] = true;
	return OK;
}

static enum err read_ledger_entry(
	struct disclosing *d, const struct casebook_key *key, const struct casebook_entry *entry)
{
	struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
	struct event event = {0};
	struct bytes part;
	enum err err;

	TRY(book_read(d->book, key, &at, &d->request->ctx));
	part = buf_bytes(&d->book->part);
	err = event_merge(&part, 1, &event, &d->request->ctx);
	if (err == OK)
		err = cite(d, &event);
	event_release(&event);
	book_part_wipe(d->book);
	return err;
}

typedef enum err with_key(struct disclosing *d, const struct casebook_key *key);

static enum err each_key(struct disclosing *d, enum group group, bool cited, with_key *with)
{
	for (size_t c = 0; c < casebook_case_count(d->book->cases); c++) {
		const struct casebook_case *kase = casebook_case_at(d->book->cases, c);

		for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
			if (is_own(d, key, group) && (!cited || d->cited[kase->number]))
				TRY(with(d, key));
	}
	return OK;
}

static enum err look_for_citations(struct disclosing *d, const struct casebook_key *key)
{
	for (uint32_t i = 0; i < key->entry_committed; i++)
		TRY(read_ledger_entry(d, key, &key->entries[i]));
	return OK;
}

static enum err count_key(struct disclosing *d, const struct casebook_key *key)
{
	d->head.key_count++;
	d->entries += key->entry_committed;
	return OK;
}

static enum err every_key(struct disclosing *d, with_key *with)
{
	TRY(each_key(d, GROUP_AUDIT, false, with));
	return each_key(d, GROUP_CONSENT, true, with);
}

/* --- writing --- */

static enum err remember_rows(struct disclosing *d)
{
	size_t count = d->row_count;

	d->row_count = 0;
	return count == 0 ? OK : reveal_remember(d->book, d->request, d->rows, count);
}

/* The ledger itself is never erased, and no key of a case. */
static enum err put_entry(
	struct disclosing *d, const struct casebook_key *key, const struct casebook_entry *entry)
{
	struct revealed *row = &d->rows[d->row_count];
	struct seal_reveal p;

	TRY(reveal_entry(d->book, key, entry, row, &p, &d->request->ctx));
	disclosure_put_reveal(&d->request->file, &p);
	wipe(&p, sizeof(p));
	d->request->events++;
	if (key->group == GROUP_AUDIT)
		return OK;
	row->at_s = d->request->now_s;
	memcpy(row->to, d->request->to, sizeof(row->to));
	return ++d->row_count == REVEAL_ROWS ? remember_rows(d) : OK;
}

static int by_number(const void *a, const void *b)
{
	const struct casebook_entry *const *x = a, *const *y = b;

	return ((*x)->i > (*y)->i) - ((*x)->i < (*y)->i);
}

/* Numbers without a gap, from 0 on: what the reader counts by. */
static enum err put_sorted(struct disclosing *d, const struct casebook_key *key,
	const struct casebook_entry **entries, uint32_t count)
{
	qsort(entries, count, sizeof(*entries), by_number);
	disclosure_put_count(&d->request->file, count);
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i]->i != i)
			return err_set(&d->request->ctx, ERR_CORRUPT,
				"entry %u under a key of the group '%s' cannot be read here: what "
				"is disclosed would not be whole",
				i, group_name(key->group));
		TRY(put_entry(d, key, entries[i]));
	}
	return OK;
}

static enum err put_key(struct disclosing *d, const struct casebook_key *key)
{
	CLEANUP(mem_free_p) const struct casebook_entry **entries = NULL;
	struct disclosure_key head = {.group = key->group, .case_ref = key->owner->ref};

	TRY(book_go_on(d->book));
	entries = mem_array(key->entry_committed + 1, sizeof(*entries));
	if (entries == NULL)
		return ERR_NOMEM;
	seal_locator_key(&key->seal, &head.locators);
	disclosure_put_key(&d->request->file, &head);
	wipe(&head, sizeof(head));
	for (size_t l = 0; l < d->head.log_count; l++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < key->entry_committed; i++)
			if (key->entries[i].log == d->logs[l])
				entries[count++] = &key->entries[i];
		TRY(put_sorted(d, key, entries, count));
	}
	return OK;
}

static enum err count_cases(struct disclosing *d)
{
	for (size_t c = 0; c < casebook_case_count(d->book->cases); c++)
		d->request->cases += d->cited[c];
	return OK;
}

static enum err write_file(struct disclosing *d)
{
	struct buf *file = &d->request->file;
	size_t size = 256 + d->head.log_count * (LIMIT_ORIGIN + 16) +
		      d->head.key_count * (64 + 4 * d->head.log_count) +
		      d->entries * sizeof(struct seal_reveal);

	if (d->head.key_count > LIMIT_DISCLOSURE_KEYS || size > LIMIT_DISCLOSURE)
		return err_set(&d->request->ctx, ERR_LIMIT,
			"the ledger is too large to be disclosed in one file");
	snprintf(d->head.network, sizeof(d->head.network), "%s", d->book->opts.network);
	snprintf(d->head.node, sizeof(d->head.node), "%s", d->book->opts.node);
	d->head.made_s = d->request->now_s;
	d->head.logs = d->log_rows;
	buf_init(file, size);
	if (buf_reserve(file, size) == NULL)
		return file->err;
	disclosure_put_head(file, &d->head);
	TRY(every_key(d, put_key));
	TRY(remember_rows(d));
	TRY(file->err);
	sha256(buf_bytes(file), &d->request->file_hash);
	return count_cases(d);
}

enum err disclose_ledger(struct book *book, struct vault_request *request)
{
	struct disclosing *d = mem_zalloc(sizeof(*d));
	enum err err = OK;

	if (d == NULL)
		return ERR_NOMEM;
	d->book = book;
	d->request = request;
	d->cited = mem_zalloc(casebook_case_count(book->cases) + 1);
	if (d->cited == NULL)
		err = ERR_NOMEM;
	if (err == OK)
		err = find_logs(d);
	if (err == OK)
		err = each_key(d, GROUP_AUDIT, false, look_for_citations);
	if (err == OK)
		err = every_key(d, count_key);
	if (err == OK && d->head.key_count == 0)
		err = err_set(&request->ctx, ERR_NOTFOUND,
			"nothing stands in the ledger yet: there is nothing to disclose");
	if (err == OK)
		err = write_file(d);
	mem_free(d->cited);
	mem_free(d);
	return err;
}
