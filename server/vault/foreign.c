#include "server/vault/foreign.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "replication/log/checkpoint.h"
#include "server/vault/grants/grants.h"

enum {
	CANDIDATES_MAX = 8,   /* entries with one locator that are looked at */
	KEYS_LOOKED_FOR = 64, /* each time the log grows; of more, see `arrived` */
	ARRIVALS_MAX = 4096,
};

/* How far one key was looked for in one log. */
struct progress {
	uint64_t next; /* behind the last that was noted */
	uint32_t missing, refused;
	uint32_t refused_open; /* .. behind the last noted: looked at again */
	/* The first eight bytes of the locators from `next` on: what a new entry of this key has.
	 */
	uint64_t expected[LIMIT_LOCATOR_GAP];
	uint64_t expected_from; /* UINT64_MAX: not known yet */
};

struct foreign_key {
	struct casebook_key *key;
	struct hash origin;        /* that it was made for */
	struct progress *progress; /* by log of the author */
	size_t progress_count;
};

struct foreign_log {
	struct origin name;
	struct hash hash;
	uint64_t size; /* of its newest checkpoint */
	uint64_t seen; /* .. when all keys were last looked for */
	bool grown;
};

struct author {
	char name[LIMIT_NODE_NAME + 1];
	struct foreign_key *keys;
	size_t key_count, key_capacity, keys_seen;
	struct foreign_log *logs;
	size_t log_count, log_capacity;
};

struct foreign {
	struct author *authors;
	size_t author_count;
	uint64_t commits; /* of the store, when it was looked at; UINT64_MAX: look */
	/* What entries of the casebook refer to: a log, and what was sealed for. */
	struct book_log *numbers;
	size_t number_count, number_capacity;
};

enum err foreign_new(struct foreign **ret)
{
	struct foreign *foreign = mem_zalloc(sizeof(*foreign));

	if (foreign == NULL)
		return ERR_NOMEM;
	foreign->commits = UINT64_MAX;
	*ret = foreign;
	return OK;
}

static void author_release(struct author *author)
{
	for (size_t i = 0; i < author->key_count; i++)
		mem_free(author->keys[i].progress);
	mem_free(author->keys);
	mem_free(author->logs);
}

void foreign_free(struct foreign *foreign)
{
	if (foreign == NULL)
		return;
	for (size_t i = 0; i < foreign->author_count; i++)
		author_release(&foreign->authors[i]);
	mem_free(foreign->authors);
	mem_free(foreign->numbers);
	mem_free(foreign);
}

/* Room for one more in an array that doubles. */
static enum err room(void *array, size_t count, size_t *capacity, size_t size)
{
	void **at = array, *grown;
	size_t wanted = *capacity == 0 ? 4 : 2 * *capacity;

	if (count < *capacity)
		return OK;
	grown = mem_resize(*at, wanted * size);
	if (grown == NULL)
		return ERR_NOMEM;
	*at = grown;
	*capacity = wanted;
	return OK;
}

/* ---- authors and keys ---- */

static struct author *author_find(const struct foreign *foreign, struct bytes name)
{
	for (size_t i = 0; i < foreign->author_count; i++)
		if (bytes_equal_str(name, foreign->authors[i].name))
			return &foreign->authors[i];
	return NULL;
}

static enum err author_get(
	struct foreign *foreign, const char *name, struct author **ret, struct errctx *ctx)
{
	struct author *author = author_find(foreign, bytes_str(name)), *grown;

	if (author == NULL) {
		if (foreign->author_count == LIMIT_FOREIGN_AUTHORS)
			return err_set(ctx, ERR_LIMIT, "keys of more than %d other nodes",
				LIMIT_FOREIGN_AUTHORS);
		grown = mem_resize(foreign->authors, (foreign->author_count + 1) * sizeof(*author));
		if (grown == NULL)
			return ERR_NOMEM;
		foreign->authors = grown;
		author = &grown[foreign->author_count++];
		*author = (struct author){.key_count = 0};
		memcpy(author->name, name, strlen(name) + 1);
	}
	*ret = author;
	return OK;
}

bool foreign_room(const struct book *book, const char *author)
{
	return author_find(book->foreign, bytes_str(author)) != NULL ||
	       book->foreign->author_count < LIMIT_FOREIGN_AUTHORS;
}

enum err foreign_add_key(struct book *book, const struct keyring_entry *entry,
	struct casebook_key *key, struct errctx *ctx)
{
	struct foreign *foreign = book->foreign;
	struct foreign_key *added;
	struct author *author = NULL;

	assert(key->foreign);
	TRY(author_get(foreign, key->author, &author, ctx));
	TRY(room(&author->keys, author->key_count, &author->key_capacity, sizeof(*author->keys)));
	added = &author->keys[author->key_count++];
	*added = (struct foreign_key){.key = key};
	sha256(bytes_str(entry->origin), &added->origin);
	foreign->commits = UINT64_MAX;
	return OK;
}

void foreign_forget_key(struct book *book, const struct casebook_key *key)
{
	struct author *author = author_find(book->foreign, bytes_str(key->author));

	for (size_t i = 0; author != NULL && i < author->key_count; i++) {
		if (author->keys[i].key != key)
			continue;
		mem_free(author->keys[i].progress);
		author->key_count--;
		author->keys_seen -= i < author->keys_seen;
		memmove(&author->keys[i], &author->keys[i + 1],
			(author->key_count - i) * sizeof(*author->keys));
		return;
	}
}

/* ---- numbers of logs ---- */

const struct book_log *foreign_log(const struct foreign *foreign, uint16_t number)
{
	assert(number >= BOOK_LOGS_MAX && number < BOOK_LOGS_MAX + foreign->number_count);
	return &foreign->numbers[number - BOOK_LOGS_MAX];
}

static enum err number_get(struct foreign *foreign, const struct origin *name,
	const struct hash *sealed_for, uint16_t *ret)
{
	size_t i = 0;

	while (i < foreign->number_count &&
		(strcmp(foreign->numbers[i].origin.text, name->text) != 0 ||
			!hash_equal(&foreign->numbers[i].hash, sealed_for)))
		i++;
	if (i == foreign->number_count) {
		if (i == UINT16_MAX - BOOK_LOGS_MAX)
			return ERR_LIMIT;
		TRY(room(&foreign->numbers, i, &foreign->number_capacity,
			sizeof(*foreign->numbers)));
		foreign->numbers[i] = (struct book_log){.origin = *name, .hash = *sealed_for};
		foreign->number_count++;
	}
	*ret = (uint16_t)(BOOK_LOGS_MAX + i);
	return OK;
}

/* ---- looking for entries ---- */

/* ERR_LIMIT of casebook_note is the author's fault, too: all of its numbers are taken. */
static enum err note_entry(struct book *book, struct casebook_key *key,
	const struct casebook_at *at, bool *ret_noted, struct errctx *ctx)
{
	struct part_info info;
	enum err err;

	err = book_read(book, key, at, ctx);
	if (err == OK)
		err = part_info_read(buf_bytes(&book->part), &info, ctx);
	book_part_wipe(book);
	if (err == OK) {
		err = casebook_note(book->cases, key, at, &info);
		wipe(&info, sizeof(info));
	}
	if (err == OK) {
		states_drop(book, key->owner);
		grants_touch(book, key->owner);
	}
	*ret_noted = err == OK;
	if (err == OK || book_unreadable(err)) {
		*ctx = (struct errctx){""};
		return OK;
	}
	return err;
}

struct probe {
	struct book *book;
	struct foreign_log *log;
	struct foreign_key *key;
	struct hash sealed_for;
};

/* The first entry that may stand at number i. */
static enum err probe_at(
	struct probe *probe, uint64_t i, bool *ret_noted, bool *ret_refused, struct errctx *ctx)
{
	struct book *book = probe->book;
	struct casebook_key *key = probe->key->key;
	struct seal_position position = {probe->sealed_for, i};
	uint64_t candidates[CANDIDATES_MAX];
	struct casebook_at at = {.i = i};
	struct seal_locator locator;
	size_t count;

	*ret_noted = *ret_refused = false;
	TRY(seal_locator(&key->seal, &position, &locator));
	TRY(store_locate(book->opts.store, &probe->log->name, locator.b, candidates, CANDIDATES_MAX,
		&count, ctx));
	for (size_t c = 0; c < count && !*ret_noted; c++) {
		if (candidates[c] >= probe->log->size)
			break; /* oldest first: not all of that commit is here */
		*ret_refused = true;
		if (number_get(book->foreign, &probe->log->name, &probe->sealed_for, &at.log) != OK)
			break;
		at.index = candidates[c];
		TRY(note_entry(book, key, &at, ret_noted, ctx));
	}
	*ret_refused = *ret_refused && !*ret_noted;
	return OK;
}

static enum err probe_key(struct probe *probe, struct progress *progress, struct errctx *ctx)
{
	uint32_t missing = 0, refused = 0;
	unsigned gap = 0;

	TRY(book_go_on(probe->book));
	for (uint64_t i = progress->next; gap < LIMIT_LOCATOR_GAP; i++) {
		bool noted, wrong;

		TRY(probe_at(probe, i, &noted, &wrong, ctx));
		if (noted) {
			progress->missing += missing;
			progress->refused += refused;
			progress->next = i + 1;
			gap = missing = refused = 0;
			continue;
		}
		gap++;
		refused += wrong;
		missing += !wrong;
	}
	progress->refused_open = refused;
	return OK;
}

static enum err progress_get(struct foreign_key *key, size_t log, struct progress **ret)
{
	if (log >= key->progress_count) {
		struct progress *grown =
			mem_resize(key->progress, (log + 1) * sizeof(*key->progress));

		if (grown == NULL)
			return ERR_NOMEM;
		for (size_t i = key->progress_count; i <= log; i++)
			grown[i] = (struct progress){.expected_from = UINT64_MAX};
		key->progress = grown;
		key->progress_count = log + 1;
	}
	*ret = &key->progress[log];
	return OK;
}

/* ---- a log that has grown a little ---- */

/* The locators of its new entries, their first eight bytes, sorted. */
struct arrivals {
	uint64_t *locators;
	size_t count;
};

static int number_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What is no sealed entry is none of a key's. */
static enum err arrivals_read(
	struct book *book, const struct foreign_log *log, struct arrivals *ret, struct errctx *ctx)
{
	ret->locators = mem_array(log->size - log->seen, sizeof(*ret->locators));
	if (ret->locators == NULL)
		return ERR_NOMEM;
	for (uint64_t i = log->seen; i < log->size; i++) {
		struct seal_locator locator;

		buf_clear(&book->entry);
		TRY(store_entry(book->opts.store, &log->name, i, &book->entry, ctx));
		if (seal_entry_locator(buf_bytes(&book->entry), &locator) == OK)
			ret->locators[ret->count++] = get_u64be(locator.b);
	}
	if (ret->count > 0)
		qsort(ret->locators, ret->count, sizeof(*ret->locators), number_compare);
	return OK;
}

/* May one of them be of this key? */
static enum err arrived(const struct arrivals *arrivals, const struct foreign_key *key,
	const struct hash *sealed_for, struct progress *progress, bool *ret)
{
	struct seal_position position = {*sealed_for, progress->next};
	struct seal_locator locator;

	for (unsigned i = 0; i < LIMIT_LOCATOR_GAP && progress->expected_from != progress->next;
		i++, position.index++) {
		TRY(seal_locator(&key->key->seal, &position, &locator));
		progress->expected[i] = get_u64be(locator.b);
	}
	progress->expected_from = progress->next;
	*ret = false;
	for (unsigned i = 0; i < LIMIT_LOCATOR_GAP && !*ret && arrivals->count > 0; i++)
		*ret = bsearch(&progress->expected[i], arrivals->locators, arrivals->count,
			       sizeof(*arrivals->locators), number_compare) != NULL;
	return OK;
}

/* A look at each of them costs less than looking for every key. */
static bool worth_it(const struct author *author, const struct foreign_log *log)
{
	return log->grown && log->seen > 0 && log->size - log->seen <= ARRIVALS_MAX &&
	       author->keys_seen == author->key_count &&
	       author->key_count > KEYS_LOOKED_FOR + (log->size - log->seen) / LIMIT_LOCATOR_GAP;
}

/* A branch that ended may be gone from the list of logs; what it held stays noted. */
static enum err probe_log(
	struct book *book, struct author *author, size_t number, struct errctx *ctx)
{
	struct foreign_log *log = &author->logs[number];
	CLEANUP(mem_free_p) uint64_t *locators = NULL;
	struct arrivals arrivals = {.locators = NULL};
	bool few = worth_it(author, log);
	enum err err = few ? arrivals_read(book, log, &arrivals, ctx) : OK;

	locators = arrivals.locators;
	for (size_t i = log->grown ? 0 : author->keys_seen; err == OK && i < author->key_count;
		i++) {
		struct foreign_key *key = &author->keys[i];
		struct probe probe = {book, log, key, log->hash};
		struct progress *progress;
		bool look = true;

		if (key->key->generation == FOREIGN_ONCE)
			probe.sealed_for = key->origin;
		TRY(progress_get(key, number, &progress));
		if (few)
			TRY(arrived(&arrivals, key, &probe.sealed_for, progress, &look));
		if (look)
			err = probe_key(&probe, progress, ctx);
	}
	if (err == ERR_NOTFOUND) {
		*ctx = (struct errctx){""};
		err = OK;
	}
	TRY(err);
	log->seen = log->size;
	log->grown = false;
	return OK;
}

/* ---- what is new ---- */

static enum err log_seen(struct author *author, const struct log_head *head,
	const struct origin *origin, uint64_t size)
{
	struct foreign_log *log = NULL;

	for (size_t i = 0; i < author->log_count && log == NULL; i++)
		if (strcmp(author->logs[i].name.text, head->origin.text) == 0)
			log = &author->logs[i];
	if (log == NULL) {
		if (author->log_count == BOOK_LOGS_MAX)
			return OK; /* as many as the engine takes of one node */
		TRY(room(&author->logs, author->log_count, &author->log_capacity,
			sizeof(*author->logs)));
		log = &author->logs[author->log_count++];
		*log = (struct foreign_log){.name = head->origin};
		sha256(bytes_str(origin->text), &log->hash);
	}
	log->grown |= size > log->size;
	if (size > log->size)
		log->size = size;
	return OK;
}

static enum err head_seen(struct book *book, const struct log_head *head)
{
	struct checkpoint checkpoint;
	struct origin_parts parts;
	struct author *author;
	struct origin origin;

	if (head->checkpoint.size == 0 ||
		log_name_parse(bytes_str(head->origin.text), NULL, &origin, &parts) != OK ||
		!bytes_equal_str(parts.network, book->opts.network))
		return OK;
	author = author_find(book->foreign, parts.node);
	if (author == NULL ||
		checkpoint_peek(buf_bytes(&head->checkpoint), &checkpoint, NULL) != OK)
		return OK;
	return log_seen(author, head, &origin, checkpoint.size);
}

static enum err heads_look(struct book *book, struct errctx *ctx)
{
	struct log_head *heads = NULL;
	size_t count = 0;
	enum err err;

	TRY(store_heads(book->opts.store, &heads, &count, ctx));
	err = OK;
	for (size_t i = 0; i < count; i++) {
		if (err == OK)
			err = head_seen(book, &heads[i]);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	return err;
}

enum err foreign_refresh(struct book *book, struct errctx *ctx)
{
	struct foreign *foreign = book->foreign;
	struct store_marks marks;

	if (foreign->author_count == 0)
		return OK;
	TRY(store_marks(book->opts.store, &marks, ctx));
	if (marks.commits == foreign->commits)
		return OK;
	TRY(heads_look(book, ctx));
	for (size_t a = 0; a < foreign->author_count; a++) {
		struct author *author = &foreign->authors[a];

		for (size_t i = 0; i < author->log_count; i++) {
			enum err err = probe_log(book, author, i, ctx);

			if (err != OK)
				return err_wrap(ctx, err, "look for the entries of log '%s'",
					author->logs[i].name.text);
		}
		author->keys_seen = author->key_count;
	}
	foreign->commits = marks.commits;
	return OK;
}

/* ---- what is said of it ---- */

void foreign_faults(
	const struct book *book, const struct casebook_case *kase, struct foreign_faults *ret)
{
	const struct foreign *foreign = book->foreign;

	*ret = (struct foreign_faults){0};
	for (size_t a = 0; a < foreign->author_count; a++)
		for (size_t k = 0; k < foreign->authors[a].key_count; k++) {
			const struct foreign_key *key = &foreign->authors[a].keys[k];

			for (size_t i = 0; key->key->owner == kase && i < key->progress_count;
				i++) {
				const struct progress *p = &key->progress[i];

				ret->refused += (uint64_t)p->refused + p->refused_open;
				ret->missing += p->missing;
			}
		}
}

/* A complaint has one key of the group core. */
static bool is_complaint(const struct foreign_key *key)
{
	return key->key->generation == FOREIGN_ONCE && key->key->group == GROUP_CORE;
}

size_t foreign_once_cases(const struct book *book, const char *name)
{
	const struct author *author = author_find(book->foreign, bytes_str(name));
	size_t count = 0;

	for (size_t i = 0; author != NULL && i < author->key_count; i++)
		count += is_complaint(&author->keys[i]);
	return count;
}

size_t foreign_awaited(const struct book *book)
{
	const struct foreign *foreign = book->foreign;
	size_t count = 0;

	for (size_t a = 0; a < foreign->author_count; a++)
		for (size_t i = 0; i < foreign->authors[a].key_count; i++)
			count += is_complaint(&foreign->authors[a].keys[i]) &&
				 foreign->authors[a].keys[i].key->owner->event_count == 0;
	return count;
}
