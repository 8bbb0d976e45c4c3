/*
 * Sealed entries of this node that no key of it opens: the data directory is older than they are,
 * and with it the keyring. The log holds them, so that nothing says of itself that they are missing
 * from every case. Only what no key has found is read. Complaints that were sealed to another node
 * are no such entries (complaint.h).
 */
#include "base/alloc.h"
#include "server/vault/complaint.h"
#include "server/vault/erase/erase.h"

static void mark_key(const struct casebook_key *key, uint16_t log, uint64_t size, uint8_t *found)
{
	for (uint32_t n = 0; n < key->entry_committed; n++) {
		uint64_t index = casebook_entry_index(&key->entries[n]);

		if (key->entries[n].log == log && index < size)
			found[index / 8] |= (uint8_t)(1U << index % 8);
	}
}

static void mark_found(struct book *book, uint16_t log, uint64_t size, uint8_t *found)
{
	for (size_t i = 0; i < casebook_case_count(book->cases); i++)
		for (const struct casebook_key *key = casebook_case_at(book->cases, i)->keys;
			key != NULL; key = key->next)
			mark_key(key, log, size, found);
}

/* What a branch shares with a history before it in the list was counted there. */
static enum err shared_find(struct book *book, uint16_t log, uint64_t *ret, struct errctx *ctx)
{
	*ret = 0;
	for (uint16_t i = 0; i < log; i++) {
		uint64_t common = 0;

		if (book->logs[i].size == 0 ||
			!hash_equal(&book->logs[i].hash, &book->logs[log].hash))
			continue;
		TRY(book_common(book, &book->logs[i], &book->logs[log], &common, ctx));
		if (common > *ret)
			*ret = common;
	}
	return OK;
}

static enum err count_at(
	struct book *book, const struct origin *origin, uint64_t index, struct errctx *ctx)
{
	struct seal_locator locator;
	enum err err;

	TRY(book_go_on(book));
	buf_clear(&book->entry);
	err = store_entry(book->opts.store, origin, index, &book->entry, ctx);
	if (err == OK)
		book->unread += seal_entry_locator(buf_bytes(&book->entry), &locator) == OK &&
				!complaint_is_away(book, &locator);
	else if (book_unreadable(err))
		*ctx = (struct errctx){""}; /* damaged: the store says so */
	else
		return err;
	return OK;
}

static enum err count_log(struct book *book, uint16_t log, struct errctx *ctx)
{
	const struct book_log *l = &book->logs[log];
	uint8_t *found;
	uint64_t first = 0;
	enum err err;

	if (l->size == 0)
		return OK;
	TRY(shared_find(book, log, &first, ctx));
	found = mem_zalloc(l->size / 8 + 1);
	if (found == NULL)
		return ERR_NOMEM;
	mark_found(book, log, l->size, found);
	err = OK;
	for (uint64_t i = first; err == OK && i < l->size; i++)
		if ((found[i / 8] >> i % 8 & 1) == 0)
			err = count_at(book, &l->origin, i, ctx);
	mem_free(found);
	return err;
}

enum err book_count_unread(struct book *book, struct errctx *ctx)
{
	uint64_t erased;

	book->unread = 0;
	for (uint16_t log = 0; log < book->log_count; log++)
		TRY(count_log(book, log, ctx));
	/* Nobody is to open those. */
	erased = erasures_entries(book);
	book->unread -= book->unread < erased ? book->unread : erased;
	return OK;
}
