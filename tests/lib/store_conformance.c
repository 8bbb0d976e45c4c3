/*
 * The model keeps two states of each log:
 *
 *	durable   what was flushed: the store must have exactly that
 *	tip       its size and leaves with all that is submitted: decides what the next write is,
 *and whether it is refused
 *
 * What is submitted is kept, too. A flush applies it to the durable state. After a crash the store
 * is asked what it has, and as much of it is applied, log by log, as brings the model there.
 */
#include "tests/lib/store_conformance.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

enum {
	LOGS = 5,
	COSIGNERS = 4,
	PENDING_MAX = 64,
	WRITE_ENTRIES_MAX = 300,
	ENTRIES_MAX = 20000, /* of one log; then it gets no more */
};

struct cosigned {
	bool is;
	uint64_t size;
	struct buf line;
};

struct model_log {
	struct origin origin;
	bool made, tip_made;
	size_t size, tip_size;
	struct buf *entry; /* [0, size) */
	struct hash *leaf; /* [0, tip_size) */
	struct buf checkpoint;
	struct cosigned cosigned[COSIGNERS];
	struct checkpoint tip_seen; /* by the witness key, with all that is submitted */
	struct buf seen;
	uint64_t seen_s;
};

struct model {
	const struct store_subject *subject;
	struct conformance *run;
	uint64_t random;
	unsigned step;
	bool failed;
	struct model_log logs[LOGS];
	struct store_write *pending[PENDING_MAX]; /* copies, with the result that is expected */
	size_t pending_count;
	struct signer *signer;
};

static uint64_t below(struct model *model, uint64_t end)
{
	/* xorshift64* */
	model->random ^= model->random >> 12;
	model->random ^= model->random << 25;
	model->random ^= model->random >> 27;
	return (model->random * UINT64_C(2685821657736338717) >> 16) % end;
}

/* The first difference counts. */
static void differs(struct model *model, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void differs(struct model *model, const char *format, ...)
{
	char text[200];
	va_list args;

	if (model->failed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(model->run->why, sizeof(model->run->why), "seed %" PRIu64 ", step %u: %s",
		model->run->seed, model->step, text);
	model->failed = true;
}

static void must(enum err err)
{
	assert(err == OK);
}

/* Writes. */

static void root_at(const struct model_log *log, uint64_t size, struct hash *ret)
{
	struct compact compact;

	assert(size <= log->tip_size);
	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++)
		compact_append(&compact, &log->leaf[i]);
	compact_root(&compact, ret);
}

static void cosigner_name(char ret[NOTE_KEY_NAME_MAX + 1], unsigned number)
{
	/* Not in the order of names. */
	static const char *const nodes[COSIGNERS] = {"kenya", "ghana", "mali", "chad"};

	snprintf(ret, NOTE_KEY_NAME_MAX + 1, "conformance.example/mirror/%s", nodes[number]);
}

static void random_bytes_put(struct model *model, struct buf *out, size_t size)
{
	while (size-- > 0)
		buf_put_u8(out, (uint8_t)below(model, 256));
}

static size_t entry_size(struct model *model)
{
	switch (below(model, 200)) {
	case 0:
		return LIMIT_ENTRY_SIZE;
	case 1:
		return 1;
	case 2:
		return 2000 + below(model, 6000); /* LMDB's own pages */
	default:
		return 1 + below(model, 400);
	}
}

static void entries_add(struct model *model, struct store_write *write)
{
	static struct bytes views[WRITE_ENTRIES_MAX];
	static size_t ends[WRITE_ENTRIES_MAX];
	size_t count =
		below(model, 12) == 0 ? 1 + below(model, WRITE_ENTRIES_MAX) : 1 + below(model, 6);
	struct buf all;

	buf_init(&all, (size_t)WRITE_ENTRIES_MAX * LIMIT_ENTRY_SIZE);
	for (size_t i = 0; i < count; i++) {
		random_bytes_put(model, &all, entry_size(model));
		ends[i] = all.size;
	}
	must(all.err);
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		views[i] = bytes_make(all.data + at, ends[i] - at);
	must(entries_make(views, count, &write->entries));
	buf_release(&all);
}

/* Leaves beyond the tip are the write's. */
static void checkpoint_add(struct model *model, const struct model_log *log,
	const struct origin *origin, uint64_t size, struct store_write *write)
{
	struct checkpoint checkpoint = {.origin = *origin, .size = size};
	struct compact compact;

	compact_init(&compact);
	for (uint64_t i = 0; i < size; i++) {
		struct hash none = {{0}};
		const struct hash *leaf = &none;

		if (i < log->tip_size)
			leaf = &log->leaf[i];
		else if (write->entries != NULL && i - log->tip_size < write->entries->count)
			leaf = &write->entries->leaf[i - log->tip_size];
		compact_append(&compact, leaf);
	}
	compact_root(&compact, &checkpoint.root);
	must(checkpoint_sign(&write->checkpoint, &checkpoint, model->signer));
}

static void cosignature_add(struct model *model, struct store_write *write)
{
	cosigner_name(write->cosigner, (unsigned)below(model, COSIGNERS));
	write->cosigned_size = below(model, 1000);
	random_bytes_put(model, &write->cosignature, below(model, 300));
}

/* More than was seen, as much, or less; now and then of another tree, or of another log. */
static void witness_add(struct model *model, const struct model_log *log, struct store_write *write)
{
	struct checkpoint checkpoint = {.origin = log->origin,
		.size = log->tip_seen.size + below(model, 6),
		.root = log->tip_seen.root};

	if (checkpoint.size > 2 && below(model, 3) == 0)
		checkpoint.size -= 2;
	checkpoint.size += checkpoint.size == 0;
	checkpoint.root.b[0] ^= below(model, 8) == 0;
	if (below(model, 20) == 0)
		checkpoint.origin = model->logs[below(model, LOGS)].origin;
	write->witness_s = 1700000000 + below(model, 1000);
	must(checkpoint_sign(&write->witness, &checkpoint, model->signer));
}

/* Something that a store must refuse; and now and then it is right by accident. */
static void spoil(struct model *model, const struct model_log *log, struct store_write *write)
{
	uint64_t end = log->tip_size + (write->entries != NULL ? write->entries->count : 0);
	const struct model_log *other = &model->logs[below(model, LOGS)];

	buf_clear(&write->checkpoint);
	switch (below(model, 6)) {
	case 0:
		write->first = below(model, log->tip_size + 3);
		break;
	case 1:
		write->first++;
		break;
	case 2:
		checkpoint_add(model, log, &log->origin, end + 1 + below(model, 3), write);
		break;
	case 3:
		checkpoint_add(model, log, &other->origin, end > 0 ? end : 1, write);
		break;
	case 4:
		buf_put_str(&write->checkpoint, "no note\n");
		break;
	default:
		write->origin.text[below(model, strlen(write->origin.text))] = '#';
		break;
	}
}

static struct store_write *make_write(struct model *model)
{
	struct model_log *log = &model->logs[below(model, LOGS)];
	struct store_write *write = store_write_new(&log->origin);
	uint64_t what = below(model, 10), end;

	assert(write != NULL);
	if (what < 8 && log->tip_size < ENTRIES_MAX) {
		write->first = log->tip_size;
		entries_add(model, write);
	}
	end = log->tip_size + (write->entries != NULL ? write->entries->count : 0);
	if (end > 0 && (what < 4 || what == 8))
		checkpoint_add(model, log, &log->origin,
			below(model, 4) == 0 ? 1 + below(model, end) : end, write);
	if (what == 9 || below(model, 6) == 0)
		cosignature_add(model, write);
	if (below(model, 6) == 0)
		witness_add(model, log, write);
	if (below(model, 8) == 0)
		spoil(model, log, write);
	return write;
}

static struct model_log *log_of(struct model *model, const struct origin *origin)
{
	for (size_t i = 0; i < LOGS; i++)
		if (strcmp(model->logs[i].origin.text, origin->text) == 0)
			return &model->logs[i];
	return NULL;
}

/* What store.h says of a write that comes after all that is submitted. */
static enum err expected(struct model *model, const struct store_write *write)
{
	const struct model_log *log = log_of(model, &write->origin);
	size_t count = write->entries != NULL ? write->entries->count : 0;
	struct checkpoint checkpoint;

	TRY(origin_parse(bytes_str(write->origin.text), NULL, NULL));
	assert(log != NULL); /* what spoil makes is no origin */
	if (count > 0 && write->first != log->tip_size)
		return ERR_INVALID;
	if (write->checkpoint.size > 0) {
		TRY(checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL));
		if (strcmp(checkpoint.origin.text, write->origin.text) != 0 ||
			checkpoint.size > log->tip_size + count)
			return ERR_INVALID;
	}
	if (write->witness.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&write->witness), &checkpoint, NULL));
	if (strcmp(checkpoint.origin.text, write->origin.text) != 0 ||
		(!log->tip_made && count == 0))
		return ERR_INVALID;
	if (checkpoint.size < log->tip_seen.size)
		return ERR_STALE;
	return checkpoint.size > log->tip_seen.size ||
			       hash_equal(&checkpoint.root, &log->tip_seen.root)
		       ? OK
		       : ERR_FORK;
}

static struct store_write *copy_of(const struct store_write *write)
{
	struct store_write *copy = store_write_new(&write->origin);

	assert(copy != NULL);
	copy->first = write->first;
	copy->entries = write->entries != NULL ? entries_ref(write->entries) : NULL;
	copy->cosigned_size = write->cosigned_size;
	memcpy(copy->cosigner, write->cosigner, sizeof(copy->cosigner));
	buf_put(&copy->checkpoint, buf_bytes(&write->checkpoint));
	buf_put(&copy->cosignature, buf_bytes(&write->cosignature));
	buf_put(&copy->witness, buf_bytes(&write->witness));
	copy->witness_s = write->witness_s;
	copy->ticket = write->ticket;
	return copy;
}

static void submit(struct model *model)
{
	struct store_write *write = make_write(model), *copy;
	struct model_log *log = log_of(model, &write->origin);

	write->ticket = model->step;
	copy = copy_of(write);
	copy->result = expected(model, write);
	model->pending[model->pending_count++] = copy;
	model->run->writes++;
	if (copy->result == OK) {
		log->tip_made = true;
		if (write->witness.size > 0)
			must(checkpoint_peek(buf_bytes(&write->witness), &log->tip_seen, NULL));
		for (size_t i = 0; write->entries != NULL && i < write->entries->count; i++)
			log->leaf[log->tip_size++] = write->entries->leaf[i];
	} else {
		model->run->refused++;
	}
	model->subject->submit(model->subject->arg, write);
}

/* The durable state. */

static void set(struct buf *to, struct bytes from)
{
	buf_clear(to);
	buf_put(to, from);
	must(to->err);
}

static void apply(struct model *model, const struct store_write *write)
{
	struct model_log *log = log_of(model, &write->origin);
	char name[NOTE_KEY_NAME_MAX + 1];

	log->made = true;
	for (size_t i = 0; write->entries != NULL && i < write->entries->count; i++) {
		struct buf *entry = &log->entry[log->size];

		buf_init(entry, LIMIT_ENTRY_SIZE);
		set(entry, write->entries->entry[i]);
		log->leaf[log->size++] = write->entries->leaf[i];
	}
	if (write->checkpoint.size > 0)
		set(&log->checkpoint, buf_bytes(&write->checkpoint));
	if (write->witness.size > 0) {
		set(&log->seen, buf_bytes(&write->witness));
		log->seen_s = write->witness_s;
	}
	for (unsigned i = 0; i < COSIGNERS; i++) {
		cosigner_name(name, i);
		if (strcmp(name, write->cosigner) != 0)
			continue;
		log->cosigned[i].is = true;
		log->cosigned[i].size = write->cosigned_size;
		set(&log->cosigned[i].line, buf_bytes(&write->cosignature));
	}
}

static void pending_drop(struct model *model)
{
	for (size_t i = 0; i < model->pending_count; i++)
		store_write_free(model->pending[i]);
	model->pending_count = 0;
}

static void flush(struct model *model)
{
	struct store_write *list = model->subject->flush(model->subject->arg);
	size_t count = 0;

	model->run->flushes++;
	while (list != NULL) {
		struct store_write *next = list->next, *want = model->pending[count];

		if (count == model->pending_count || list->ticket != want->ticket)
			differs(model, "flush gives back another write");
		else if (list->result != want->result)
			differs(model, "the write of step %u to %s: %s, expected %s",
				(unsigned)want->ticket, want->origin.text, err_name(list->result),
				err_name(want->result));
		else if (want->result == OK)
			apply(model, want);
		count += count < model->pending_count;
		store_write_free(list);
		list = next;
	}
	if (count != model->pending_count)
		differs(model, "flush gives back %zu writes of %zu", count, model->pending_count);
	pending_drop(model);
}

/* What the store says. */

static const char *cosignatures_difference(const struct model_log *log, const struct log_head *head)
{
	char name[NOTE_KEY_NAME_MAX + 1];
	size_t count = 0;

	for (unsigned i = 0; i < COSIGNERS; i++) {
		const struct cosigned *want = &log->cosigned[i];
		const struct store_cosignature *found = NULL;

		cosigner_name(name, i);
		for (size_t k = 0; k < head->cosignature_count; k++)
			if (strcmp(head->cosignatures[k].cosigner, name) == 0)
				found = &head->cosignatures[k];
		count += want->is;
		if (want->is &&
			(found == NULL || found->size != want->size ||
				!bytes_equal(buf_bytes(&found->line), buf_bytes(&want->line))))
			return "cosignature";
	}
	return count == head->cosignature_count ? NULL : "number of cosignatures";
}

/* The durable state of a log against its head; NULL: the same. */
static const char *head_difference(const struct model_log *log, const struct log_head *head)
{
	struct compact compact;

	if (head->size != log->size || head->compact.size != log->size)
		return "size";
	compact_init(&compact);
	for (size_t i = 0; i < log->size; i++)
		compact_append(&compact, &log->leaf[i]);
	for (int i = 0; i < __builtin_popcountll(compact.size); i++)
		if (!hash_equal(&compact.peaks[i], &head->compact.peaks[i]))
			return "compact range";
	if (!bytes_equal(buf_bytes(&head->checkpoint), buf_bytes(&log->checkpoint)))
		return "checkpoint";
	if (head->witness_damaged ||
		!bytes_equal(buf_bytes(&head->witness), buf_bytes(&log->seen)) ||
		(log->seen.size > 0 && head->witness_s != log->seen_s))
		return "memory of the witness";
	if (!bytes_equal(buf_bytes(&head->first_entry),
		    log->size > 0 ? buf_bytes(&log->entry[0]) : BYTES_NONE))
		return "first entry";
	return cosignatures_difference(log, head);
}

static const struct log_head *head_of(
	const struct log_head *heads, size_t count, const struct model_log *log)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(heads[i].origin.text, log->origin.text) == 0)
			return &heads[i];
	return NULL;
}

static const char *log_difference(
	const struct model_log *log, const struct log_head *heads, size_t count)
{
	const struct log_head *head = head_of(heads, count, log);

	if (head == NULL)
		return log->made ? "existence" : NULL;
	return log->made ? head_difference(log, head) : "existence";
}

static void heads_check(struct model *model)
{
	struct log_head *heads = NULL;
	size_t count = 0, made = 0;
	enum err err = model->subject->heads(model->subject->arg, &heads, &count);

	if (err != OK)
		differs(model, "heads: %s", err_name(err));
	for (size_t i = 0; i < LOGS && err == OK; i++) {
		const char *what = log_difference(&model->logs[i], heads, count);

		made += model->logs[i].made;
		if (what != NULL)
			differs(model, "heads: %s has another %s", model->logs[i].origin.text,
				what);
	}
	if (err == OK && count != made)
		differs(model, "heads: %zu logs, expected %zu", count, made);
	for (size_t i = 0; i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
}

static void batch_check(struct model *model, const struct model_log *log,
	const struct store_read *read, const struct store_batch *batch)
{
	uint64_t end = read->first + batch->entries->count;
	struct hash root, target;
	size_t size = 0;

	if (batch->entries->count == 0 || end > read->target ||
		batch->entries->count > (read->count_max > 0 ? read->count_max : 1)) {
		differs(model, "read: %zu entries from %" PRIu64, (size_t)batch->entries->count,
			read->first);
		return;
	}
	for (size_t i = 0; i < batch->entries->count; i++) {
		size += batch->entries->entry[i].size;
		if (!bytes_equal(
			    batch->entries->entry[i], buf_bytes(&log->entry[read->first + i])) ||
			!hash_equal(&batch->entries->leaf[i], &log->leaf[read->first + i]))
			differs(model, "read: entry %" PRIu64 " is another", read->first + i);
	}
	if (batch->entries->count > 1 && size > read->size_max)
		differs(model, "read: %zu bytes, more than %zu", size, read->size_max);
	/* As many as the caps allow. */
	if (end < read->target && batch->entries->count < read->count_max &&
		size + log->entry[end].size <= read->size_max)
		differs(model, "read: it ends at %" PRIu64 " and one more would fit", end);
	root_at(log, end, &root);
	root_at(log, read->target, &target);
	if (!proof_consistency_ok(&batch->proof, end, &root, read->target, &target))
		differs(model, "read: the proof from %" PRIu64 " to %" PRIu64 " is wrong", end,
			read->target);
}

static void read_check(struct model *model)
{
	struct model_log *log = &model->logs[below(model, LOGS)];
	struct store_read read = {
		.origin = log->origin,
		.first = below(model, log->size + 2),
		.count_max = below(model, 4) == 0 ? below(model, 5) : 1000000,
		.size_max = below(model, 3) == 0 ? below(model, 2000) : LIMIT_BATCH_SIZE,
	};
	struct store_batch batch = {0};
	enum err want = OK, err;

	read.target = below(model, 5) == 0 ? below(model, log->size + 3)
					   : read.first + 1 + below(model, log->size + 1);
	if (read.target > log->size && below(model, 4) != 0)
		read.target = log->size;
	if (!log->made)
		want = ERR_NOTFOUND;
	else if (read.first >= read.target || read.target > log->size)
		want = ERR_INVALID;
	err = model->subject->read(model->subject->arg, &read, &batch);
	model->run->reads++;
	if (err != want)
		differs(model, "read of %s from %" PRIu64 " to %" PRIu64 ": %s, expected %s",
			log->origin.text, read.first, read.target, err_name(err), err_name(want));
	else if (err == OK)
		batch_check(model, log, &read, &batch);
	entries_unref(batch.entries);
}

static void entry_check(struct model *model)
{
	struct model_log *log = &model->logs[below(model, LOGS)];
	uint64_t index = below(model, log->size + 2);
	enum err want = index < log->size ? OK : ERR_NOTFOUND, err;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = model->subject->entry(model->subject->arg, &log->origin, index, &entry);
	model->run->reads++;
	if (err != want)
		differs(model, "entry %" PRIu64 " of %s: %s, expected %s", index, log->origin.text,
			err_name(err), err_name(want));
	else if (err == OK && !bytes_equal(buf_bytes(&entry), buf_bytes(&log->entry[index])))
		differs(model, "entry %" PRIu64 " of %s is another", index, log->origin.text);
	buf_release(&entry);
}

static void look(struct model *model)
{
	heads_check(model);
	for (unsigned i = 0; i < 4; i++) {
		read_check(model);
		entry_check(model);
	}
}

/* Crashes. */

/* Of what was submitted to this log the first writes are there. Those that were refused change
 * nothing, wherever they stand. */
static void log_recover(
	struct model *model, struct model_log *log, const struct log_head *heads, size_t count)
{
	const char *what = log_difference(log, heads, count);

	for (size_t i = 0; i < model->pending_count; i++) {
		const struct store_write *write = model->pending[i];

		if (write->result != OK || log_of(model, &write->origin) != log)
			continue;
		if (what == NULL) {
			model->run->lost++;
			continue;
		}
		apply(model, write);
		what = log_difference(log, heads, count);
	}
	if (what != NULL)
		differs(model, "after a crash %s has another %s than any of its writes left",
			log->origin.text, what);
	log->tip_size = log->size;
	log->tip_made = log->made;
	log->tip_seen = (struct checkpoint){.size = 0};
	if (log->seen.size > 0)
		must(checkpoint_peek(buf_bytes(&log->seen), &log->tip_seen, NULL));
}

static void crash(struct model *model)
{
	const struct store_subject *subject = model->subject;
	struct log_head *heads = NULL;
	size_t count = 0;
	enum err err;

	model->run->crashes++;
	subject->crash(subject->arg);
	subject->open(subject->arg);
	err = subject->heads(subject->arg, &heads, &count);
	if (err != OK)
		differs(model, "heads after a crash: %s", err_name(err));
	for (size_t i = 0; i < LOGS && err == OK; i++)
		log_recover(model, &model->logs[i], heads, count);
	for (size_t i = 0; i < count; i++)
		log_head_release(&heads[i]);
	mem_free(heads);
	pending_drop(model);
	look(model);
}

/* The run. */

static void step(struct model *model)
{
	const struct store_subject *subject = model->subject;

	switch (below(model, 24)) {
	case 0:
	case 1:
		crash(model);
		break;
	case 2:
		flush(model);
		subject->close(subject->arg);
		subject->open(subject->arg);
		look(model);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		flush(model);
		look(model);
		break;
	default:
		if (model->pending_count == PENDING_MAX)
			flush(model);
		submit(model);
		break;
	}
}

static void model_init(struct model *model)
{
	uint8_t seed[ED25519_SEED_SIZE] = {7}, random[8] = {0};

	must(signer_new(BYTES_ARRAY(seed), &model->signer));
	for (size_t i = 0; i < LOGS; i++) {
		struct model_log *log = &model->logs[i];

		put_u32be(random + 4, (uint32_t)(i * 2654435761u)); /* names in no order */
		must(origin_make(bytes_str("conformance.example"), bytes_str("haiti"), 1, random,
			&log->origin));
		log->entry = mem_array(ENTRIES_MAX + WRITE_ENTRIES_MAX, sizeof(*log->entry));
		log->leaf = mem_array(ENTRIES_MAX + WRITE_ENTRIES_MAX, sizeof(*log->leaf));
		assert(log->entry != NULL && log->leaf != NULL);
		buf_init(&log->checkpoint, LIMIT_NOTE_SIZE);
		buf_init(&log->seen, LIMIT_NOTE_SIZE);
		for (size_t k = 0; k < COSIGNERS; k++)
			buf_init(&log->cosigned[k].line, LIMIT_NOTE_SIZE);
	}
}

static void model_release(struct model *model)
{
	pending_drop(model);
	for (size_t i = 0; i < LOGS; i++) {
		struct model_log *log = &model->logs[i];

		for (size_t k = 0; k < log->size; k++)
			buf_release(&log->entry[k]);
		mem_free(log->entry);
		mem_free(log->leaf);
		buf_release(&log->checkpoint);
		buf_release(&log->seen);
		for (size_t k = 0; k < COSIGNERS; k++)
			buf_release(&log->cosigned[k].line);
	}
	signer_free(model->signer);
}

bool store_conformance(const struct store_subject *subject, struct conformance *run)
{
	struct model *model = mem_zalloc(sizeof(*model));
	bool good;

	assert(model != NULL);
	model->subject = subject;
	model->run = run;
	model->random = run->seed * 2654435761u + 1;
	model_init(model);
	subject->open(subject->arg);
	for (model->step = 0; model->step < run->steps && !model->failed; model->step++)
		step(model);
	if (!model->failed) {
		flush(model);
		look(model);
	}
	subject->close(subject->arg);
	good = !model->failed;
	model_release(model);
	mem_free(model);
	return good;
}
