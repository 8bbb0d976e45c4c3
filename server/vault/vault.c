/*
 * The vault's thread and its queue. Happy path:
 *
 *	UNLOCK      keystore -> keys for the loop; keyring and logs -> book
 *	SEAL        lines -> plan -> batch of entries; the batch is on its way from here on
 *	COMMITTED   its entries have their places
 *	LOCK        the book is gone
 *
 * Batches go out in waves (vault.h). Their ends may come in any order; they count in the order of
 * the batches, since a number that is taken back takes back all behind it.
 *
 * LOCK does not wait for batches on their way: locking in an emergency must not depend on a disk.
 *The book goes at once, its reservations with it; but nobody knows then whether these entries will
 * stand in the log, and a book rebuilt too early would give their numbers away again. So the next
 * UNLOCK waits for the end of the batch (and all behind it wait with it), and finds in the log what
 * became durable. The loop reports that end in any case, locked or not.
 *
 * vault_lock_now puts its LOCK first, answers what was submitted before, and sets `halt`, which
 *long work asks for between two items; the thread takes `halt` back with the LOCK. What is answered
 *and not looked at yet is overtaken: `locks` counts, and each request has the count of its
 *submission.
 */
#include "server/vault/vault.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "node/files.h"
#include "server/vault/complaint.h"
#include "server/vault/drafts.h"
#include "server/vault/erase/destroy.h"
#include "server/vault/erase/erase.h"
#include "server/vault/escrow/escrow.h"
#include "server/vault/foreign.h"
#include "server/vault/grants/approvals.h"
#include "server/vault/grants/confirm.h"
#include "server/vault/grants/grants.h"
#include "server/vault/internal.h"
#include "server/vault/receipts.h"
#include "server/vault/reveal.h"

struct list {
	struct vault_request *first, **last;
};

struct vault {
	struct vault_opts opts; /* strings are ours */
	char *strings[6];
	pthread_t thread;
	bool joined;

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct list queue, done;
	uint64_t locks;       /* vault_lock_now, so often */
	atomic_bool stopping; /* set under the mutex; polled without */
	atomic_bool halt;     /* likewise: give up what is under way, to lock or to stop */

	/* The thread's own. */
	struct keyring *keyring; /* from the first unlock on, locked or not */
	struct book *book;       /* NULL: locked */
	struct mailbox mailbox;  /* empty: locked */
	struct trials trials;    /* none: locked */
	struct officers officers;
	struct destroy_opts destroy; /* of the book */
	/* Batches that were handed out, oldest first, until they and all before them have ended.
	 * Without tickets when the node was locked meanwhile. */
	struct batch *on_way, **on_way_end;
	size_t on_way_count;
	uint64_t views_lost; /* with the books that are closed */
	bool wave_ended;     /* one of them has ended: the next wave waits */
	uint64_t wave, batches;
};

/* --- requests --- */

void vault_keys_free(struct vault_keys *keys)
{
	if (keys == NULL)
		return;
	signer_free(keys->node);
	signer_free(keys->log);
	signer_free(keys->directory);
	secret_release(&keys->issuing_key);
	trust_release(&keys->trust);
	mem_free(keys);
}

struct vault_request *vault_request_new(enum vault_type type, void *arg)
{
	struct vault_request *request = mem_zalloc(sizeof(*request));

	if (request == NULL)
		return NULL;
	request->type = type;
	request->arg = arg;
	buf_init(&request->lines, LIMIT_CONTROL_REQUEST);
	buf_init(&request->mail, LIMIT_MAIL_ITEM + 1024);
	buf_init(&request->copy, LIMIT_MAIL_ITEM);
	buf_init(&request->refs, LIMIT_CASES * VAULT_REF_SIZE);
	return request;
}

static void escrow_request_release(struct vault_request *request)
{
	while (request->letters != NULL) {
		struct vault_letter *letter = request->letters;

		request->letters = letter->next;
		buf_release(&letter->body);
		mem_free(letter);
	}
	if (request->escrow == NULL)
		return;
	mem_free(request->escrow->nodes);
	escrow_manifest_release(&request->escrow->manifest);
	mem_free(request->escrow);
}

static void docs_free(struct vault_request *request)
{
	while (request->docs != NULL) {
		struct vault_doc *doc = request->docs;

		request->docs = doc->next;
		buf_wipe(&doc->json);
		mem_free(doc);
	}
}

static void receipts_wipe(struct vault_receipts *io)
{
	if (io == NULL)
		return;
	buf_wipe(&io->line);
	buf_release(&io->body);
	wipe(io->words, sizeof(io->words));
}

void vault_request_free(struct vault_request *request)
{
	if (request == NULL)
		return;
	secret_release(&request->passphrase);
	secret_release(&request->new_passphrase);
	buf_wipe(&request->lines);
	buf_wipe(&request->mail);
	buf_release(&request->copy);
	buf_wipe(&request->file);
	buf_wipe(&request->refs);
	vault_keys_free(request->keys);
	entries_unref(request->entries);
	mem_free(request->held);
	mem_free(request->complaint);
	mem_free(request->prekeys);
	if (request->grant != NULL)
		mem_free(request->grant->recipients);
	mem_free(request->grant);
	mem_free(request->erase);
	escrow_request_release(request);
	if (request->packet != NULL) {
		buf_wipe(&request->packet->line);
		wipe(request->packet, sizeof(*request->packet));
	}
	mem_free(request->packet);
	if (request->approval != NULL)
		wipe(request->approval, sizeof(*request->approval));
	mem_free(request->approval);
	receipts_wipe(request->receipts);
	mem_free(request->receipts);
	docs_free(request);
	wipe(request, sizeof(*request));
	mem_free(request);
}

static void list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct vault_request *request)
{
	request->next = NULL;
	*list->last = request;
	list->last = &request->next;
}

static void list_remove(struct list *list, struct vault_request **link)
{
	struct vault_request *request = *link;

	*link = request->next;
	if (request->next == NULL)
		list->last = link;
	request->next = NULL;
}

/* --- unlocking and locking --- */

/* Moves out of `keys` what the loop gets. */
static enum err keys_hand_out(struct node_keys *keys, struct vault_keys **ret, struct errctx *ctx)
{
	struct vault_keys *out = mem_zalloc(sizeof(*out));
	enum err err;

	if (out == NULL)
		return ERR_NOMEM;
	err = signer_new(secret_bytes(&keys->node_seed), &out->node);
	if (err == OK)
		err = signer_new(secret_bytes(&keys->log_seed), &out->log);
	if (err == OK)
		err = mailbox_table(keys, &out->prekey, &out->prekeys);
	if (err == OK && keys->directory_seed.size > 0)
		err = signer_new(secret_bytes(&keys->directory_seed), &out->directory);
	if (err != OK) {
		vault_keys_free(out);
		return err == ERR_INVALID
			       ? err_set(ctx, ERR_CORRUPT, "the keystore lacks keys of a node")
			       : err;
	}
	out->issuing_key = keys->issuing_key;
	keys->issuing_key = (struct secret){0};
	memcpy(out->log_origin, keys->log_origin, sizeof(out->log_origin));
	memcpy(out->directory_origin, keys->directory_origin, sizeof(out->directory_origin));
	*ret = out;
	return OK;
}

static enum err unlock_first(struct vault *vault, struct bytes file, struct node_keys *keys,
	const struct secret *master, struct vault_request *request)
{
	const struct vault_opts *opts = &vault->opts;
	struct book_opts book_opts = {
		.store = opts->store,
		.network = opts->network,
		.node = opts->node,
		.country = opts->country,
		.compression = opts->compression,
		.now_s = request->now_s,
		.stop = &vault->halt,
	};
	struct epoch_opts epoch = {opts, file, master, request->renew};
	char previous[LIMIT_ORIGIN + 1];
	struct vault_keys *handed = NULL;
	struct destroy_opts destroy = {opts, master, NULL};
	enum err err;

	if (vault->keyring == NULL)
		TRY(keyring_open(opts->keyring, &vault->keyring, &request->ctx));
	destroy.keyring = vault->keyring;
	vault->destroy = (struct destroy_opts){opts, &vault->officers.master, vault->keyring};
	book_opts.keyring = vault->keyring;
	book_opts.destroy = &vault->destroy;
	TRY(destroy_settle(&destroy, keys, &request->ctx));
	mailbox_settle(&epoch, request->node_s == 0 ? request->now_s : request->node_s, keys);
	err = epoch_settle(&epoch, keys, previous, &request->ctx);
	if (err != OK)
		return err_wrap(&request->ctx, err, "open a new log");
	TRY(keys_hand_out(keys, &handed, &request->ctx));
	memcpy(handed->previous_origin, previous, sizeof(previous));
	err = book_open(&book_opts, keys, &vault->book, &request->ctx);
	for (size_t i = 0; err == OK && i < vault->book->trust.count; i++)
		err = trust_put(&handed->trust, &vault->book->trust.rows[i]);
	if (err != OK) {
		vault_keys_free(handed);
		return err;
	}
	mailbox_take(&vault->mailbox, keys);
	request->keys = handed;
	return OK;
}

/* The book is about to go. */
static void views_lose(struct vault *vault)
{
	uint64_t waiting = 0, lost = 0;

	ledger_count(vault->book->ledger, &waiting, &lost);
	vault->views_lost += lost + ledger_views_kept(vault->book->ledger);
}

static void lock(struct vault *vault)
{
	if (vault->book != NULL)
		views_lose(vault);
	trials_clear(&vault->trials);
	book_close(vault->book);
	vault->book = NULL;
	mailbox_release(&vault->mailbox);
	secret_release(&vault->officers.master);
	for (struct batch *batch = vault->on_way; batch != NULL; batch = batch->next)
		batch_release(batch); /* tickets point into the book; that it is on its way stays */
}

/* The keyring cannot be used as it is: the next unlock opens it anew, and finishes. */
static void give_up_keyring(struct vault *vault, struct vault_request *request)
{
	lock(vault);
	keyring_close(vault->keyring);
	vault->keyring = NULL;
	request->relock = true;
}

/* Before any case is served: what is ordered and not destroyed yet. Where the disk refuses, these
 * keys are not in the book all the same. */
static enum err unlock_erase(struct vault *vault, struct vault_request *request)
{
	enum err err = erasures_settle(vault->book, &vault->book->broken, &request->ctx);

	if (err == OK || !vault->book->broken) {
		request->ctx = (struct errctx){""};
		return OK;
	}
	give_up_keyring(vault, request);
	vault_keys_free(request->keys);
	request->keys = NULL;
	return err;
}

static enum err unlock(struct vault *vault, struct vault_request *request)
{
	CLEANUP(buf_release) struct buf file;
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	CLEANUP(secret_release) struct secret master = {0};

	buf_init(&file, LIMIT_KEYSTORE_SIZE + 1);
	TRY(officers_unlock(&vault->officers, request, &file, &keys, &master));
	if (vault->book == NULL) {
		TRY(unlock_first(vault, buf_bytes(&file), &keys, &master, request));
		vault->officers.master = master;
		master = (struct secret){0};
		TRY(unlock_erase(vault, request));
	}
	request->cases = book_cases(vault->book);
	request->events = casebook_event_count(vault->book->cases);
	request->unread = vault->book->unread;
	request->escrow_set = vault->book->escrow->set;
	request->view_bytes =
		casebook_event_memory(vault->book->cases) + states_memory(vault->book);
	request->awaited = foreign_awaited(vault->book);
	return OK;
}

/* --- sealing --- */

static enum err batch_start(struct vault *vault, struct vault_request *request, struct plan *plan)
{
	struct batch *batch = mem_zalloc(sizeof(*batch));
	enum err err;

	if (batch == NULL)
		return ERR_NOMEM;
	err = request->type == VAULT_RESEAL || request->type == VAULT_ERASE_RESEAL
		      ? batch_seal_again(vault->book, plan, batch, &request->entries, &request->ctx)
		      : batch_seal(vault->book, plan, batch, &request->entries, &request->line,
				&request->ctx);
	if (err != OK) {
		request->trouble = keyring_trouble(vault->keyring);
		mem_free(batch);
		return err;
	}
	if (vault->on_way == NULL)
		vault->wave++;
	batch->number = request->batch = ++vault->batches;
	request->wave = vault->wave;
	*vault->on_way_end = batch;
	vault->on_way_end = &batch->next;
	vault->on_way_count++;
	return OK;
}

/* ERR_AGAIN: all of it is known, and not all of that durable yet. */
static enum err seal_plan(struct vault *vault, struct vault_request *request, struct plan *plan)
{
	if (plan->item_count > 0) {
		TRY(states_reserve(
			vault->book, casebook_case_count(vault->book->cases) + plan->case_count));
		TRY(batch_start(vault, request, plan));
		plan_adopt(vault->book, plan);
	} else if (plan->on_way) {
		return ERR_AGAIN;
	}
	request->added = plan->item_count;
	request->known = plan->known;
	return OK;
}

static enum err record(struct vault *vault, struct vault_request *request)
{
	const char *origin = vault->book->logs[BOOK_OWN_LOG].origin.text;
	struct plan plan;
	enum err err;

	memcpy(request->log_origin, origin, strlen(origin) + 1);
	err = plan_init(&plan);
	if (err == OK)
		err = plan_make(vault->book, request, &plan);
	if (err == OK)
		err = seal_plan(vault, request, &plan);
	for (size_t i = 0; err == OK && i < plan.case_count; i++)
		grants_touch(
			vault->book, casebook_find_ref(vault->book->cases, &plan.cases[i].ref));
	plan_release(&plan);
	return err;
}

/* What is added and known is told of these lines alone. */
static enum err try_lines(struct vault *vault, struct vault_request *request, struct plan *plan)
{
	uint64_t items = plan->item_count, known = plan->known;

	TRY(plan_make(vault->book, request, plan));
	request->added = plan->item_count - items;
	request->known = plan->known - known;
	return OK;
}

static enum err try_alone(struct vault *vault, struct vault_request *request)
{
	struct plan plan;
	enum err err = plan_init(&plan);

	if (err == OK)
		err = try_lines(vault, request, &plan);
	plan_release(&plan);
	return err;
}

static enum err try_on(struct vault *vault, struct vault_request *request)
{
	struct plan *plan;
	size_t items;
	enum err err;

	trials_expire(&vault->trials, request->now_ms);
	TRY(trials_plan(&vault->trials, request, &plan, &request->ctx));
	items = plan->item_count;
	err = try_lines(vault, request, plan);
	if (err == OK)
		plan_thin(plan, LIMIT_TRIAL_BYTES, items);
	if (err == OK && trials_events(&vault->trials) > LIMIT_TRIAL_EVENTS)
		err = err_set(&request->ctx, ERR_LIMIT,
			"more than %d events in the files that are checked at this moment: import "
			"them one after the other, or in parts",
			LIMIT_TRIAL_EVENTS);
	if (err != OK || request->trial_end)
		trials_end(&vault->trials, request->client, request->trial);
	return err;
}

static enum err seal(struct vault *vault, struct vault_request *request)
{
	enum err err = !request->dry_run     ? record(vault, request)
		       : request->trial != 0 ? try_on(vault, request)
					     : try_alone(vault, request);

	pool_wipe(&vault->book->pool);
	return err;
}

/* The next part of what older epochs have and the new one does not. */
static enum err reseal(struct vault *vault, struct vault_request *request)
{
	const char *origin = vault->book->logs[BOOK_OWN_LOG].origin.text;
	struct plan plan;
	enum err err;

	memcpy(request->log_origin, origin, strlen(origin) + 1);
	TRY(epoch_plan(vault->book, &plan, &request->known, &request->ctx));
	request->added = plan.part_count;
	err = plan.part_count == 0 ? OK : batch_start(vault, request, &plan);
	plan_release(&plan);
	pool_wipe(&vault->book->pool);
	return err;
}

/* What survives an erased event, under new keys. */
static enum err reseal_survivors(struct vault *vault, struct vault_request *request)
{
	const char *origin = vault->book->logs[BOOK_OWN_LOG].origin.text;
	struct plan plan;
	enum err err;

	memcpy(request->log_origin, origin, strlen(origin) + 1);
	TRY(erase_reseal_plan(vault->book, request, &plan));
	request->added = plan.part_count;
	err = plan.part_count == 0 ? OK : batch_start(vault, request, &plan);
	plan_release(&plan);
	pool_wipe(&vault->book->pool);
	return err;
}

/* Events of the ledger, or views that wait for it. */
static enum err seal_ledger(struct vault *vault, struct vault_request *request)
{
	const char *origin = vault->book->logs[BOOK_OWN_LOG].origin.text;
	struct plan plan;
	enum err err;

	memcpy(request->log_origin, origin, strlen(origin) + 1);
	err = request->type == VAULT_VIEWS ? ledger_views_plan(vault->book, &plan, &request->ctx)
					   : ledger_plan(vault->book, request, &plan);
	if (err == OK) {
		bool had = ledger_has_audit(vault->book);

		request->added = plan.part_count;
		err = plan.part_count == 0 ? OK : batch_start(vault, request, &plan);
		if (had != ledger_has_audit(vault->book))
			grants_touch_all(vault->book); /* auditors hear of it */
		if (err == OK && request->type == VAULT_VIEWS && plan.part_count > 0)
			ledger_views_sent(vault->book->ledger, request->batch, plan.part_count);
		plan_release(&plan);
	}
	pool_wipe(&vault->book->pool);
	return err;
}

/* Grants: a wish, or what they ask for. */
static enum err seal_grants(struct vault *vault, struct vault_request *request)
{
	const char *origin = vault->book->logs[BOOK_OWN_LOG].origin.text;
	bool had = ledger_has_audit(vault->book);
	struct plan plan = {0};
	enum err err;

	memcpy(request->log_origin, origin, strlen(origin) + 1);
	if (request->renew)
		grants_touch_all(vault->book);
	err = request->type == VAULT_GRANT ? grant_make(vault->book, request, &plan)
					   : grants_review(vault->book, request, &plan);
	if (err == OK && plan.part_count > 0)
		err = batch_start(vault, request, &plan);
	if (err != OK || had != ledger_has_audit(vault->book))
		grants_touch_all(vault->book); /* what is written may lack its event */
	request->added = err == OK ? plan.part_count : 0;
	plan_release(&plan);
	pool_wipe(&vault->book->pool);
	return err;
}

/* --- ends of batches --- */

static void on_way_shift(struct vault *vault)
{
	struct batch *batch = vault->on_way;

	vault->on_way = batch->next;
	if (vault->on_way == NULL)
		vault->on_way_end = &vault->on_way;
	vault->on_way_count--;
	batch_release(batch);
	mem_free(batch);
}

/* Those at the front that have ended. The loop lets nothing of a wave be committed behind what was
 * aborted. */
static void on_way_settle(struct vault *vault)
{
	bool aborted = false;

	while (vault->on_way != NULL && vault->on_way->state != BATCH_ON_WAY) {
		struct batch *batch = vault->on_way;

		assert(!aborted || batch->state == BATCH_ABORTED);
		if (batch->state == BATCH_ABORTED && !aborted && vault->book != NULL) {
			states_take_back(vault->book, batch);
			casebook_abort(vault->book->cases);
			grants_touch_all(vault->book);
		} else if (batch->state == BATCH_COMMITTED && batch->count > 0)
			batch_commit(vault->book, batch, batch->index);
		aborted |= batch->state == BATCH_ABORTED;
		if (vault->book != NULL)
			ledger_batch_ended(vault->book->ledger, batch->number,
				batch->state == BATCH_COMMITTED);
		on_way_shift(vault);
	}
	/* What was reserved behind an abort is gone: its tickets say nothing any more. */
	for (struct batch *batch = vault->on_way; aborted && batch != NULL; batch = batch->next)
		batch_release(batch);
	if (vault->on_way == NULL)
		vault->wave_ended = false;
}

static enum err end_batch(struct vault *vault, struct vault_request *request)
{
	struct batch *batch = vault->on_way;

	while (batch != NULL && (batch->number != request->batch || batch->state != BATCH_ON_WAY))
		batch = batch->next;
	if (batch == NULL)
		return err_set(&request->ctx, ERR_INVALID, "no such batch is on its way");
	batch->state = request->type == VAULT_COMMITTED ? BATCH_COMMITTED : BATCH_ABORTED;
	batch->index = request->index;
	vault->wave_ended = true;
	on_way_settle(vault);
	return OK;
}

/* --- drafts --- */

static enum err draft(const struct vault *vault, struct vault_request *request)
{
	struct drafts drafts = {vault->opts.drafts, secret_bytes(&vault->book->keyring_key)};

	switch (request->type) {
	case VAULT_DRAFT_PUT:
		return drafts_put(&drafts, request);
	case VAULT_DRAFT_SHOW:
		return drafts_show(&drafts, request);
	case VAULT_DRAFT_REMOVE:
		return drafts_remove(&drafts, request);
	default:
		return drafts_list(&drafts, request);
	}
}

/* --- recovery --- */

/* The book once more, with all that the keyring has now: entries that no key opened before are read
 * where they are. Nothing is on its way (waits). */
static enum err book_again(struct vault *vault, struct vault_request *request)
{
	CLEANUP(node_keys_release) struct node_keys keys = {0};
	struct book_opts opts = vault->book->opts;
	struct book *again = NULL;

	TRY(secret_copy(&keys.keyring_key, secret_bytes(&vault->book->keyring_key)));
	snprintf(keys.log_origin, sizeof(keys.log_origin), "%.*s", LIMIT_ORIGIN,
		vault->book->logs[BOOK_OWN_LOG].origin.text);
	opts.now_s = request->now_s;
	TRY(book_open(&opts, &keys, &again, &request->ctx));
	trials_clear(&vault->trials);
	views_lose(vault);
	book_close(vault->book);
	vault->book = again;
	request->cases = book_cases(again);
	request->events = casebook_event_count(again->cases);
	request->unread = again->unread;
	return OK;
}

static enum err recover(struct vault *vault, struct vault_request *request)
{
	TRY(recover_run(vault->book, request));
	return request->added == 0 || request->escrow->drill ? OK : book_again(vault, request);
}

/* --- the thread --- */

/* Of an unlocked node, which knows first what other nodes' logs have brought. */
static enum err answer_open(struct vault *vault, struct vault_request *request)
{
	struct book *book = vault->book;
	enum err err;

	TRY(foreign_refresh(book, &request->ctx));
	switch (request->type) {
	case VAULT_SEAL:
		return seal(vault, request);
	case VAULT_LEDGER:
	case VAULT_VIEWS:
		return seal_ledger(vault, request);
	case VAULT_LEDGER_LIST:
		return ledger_list(vault->book, request);
	case VAULT_CASE_EXPORT:
		return export_cases(vault->book, request);
	case VAULT_REVEAL:
		return reveal_part(vault->book, request);
	case VAULT_DISCLOSE:
		return disclose_ledger(vault->book, request);
	case VAULT_PACKET:
		return packet_make(vault->book, request);
	case VAULT_APPROVAL:
		return approvals_answer(vault->book, request);
	case VAULT_RECEIPTS:
		return receipts_answer(vault->book, request);
	case VAULT_RESEAL:
		return reseal(vault, request);
	case VAULT_GRANT:
	case VAULT_GRANT_REVIEW:
		return seal_grants(vault, request);
	case VAULT_GRANT_RELEASE:
		return grant_release(book, request);
	case VAULT_GRANT_SENT:
		return grant_sent(book, request);
	case VAULT_GRANT_DROP:
		return grant_drop(book, request);
	case VAULT_GRANT_ENDED:
		return grant_ended(book, request);
	case VAULT_GRANT_SHOW:
		return grants_show(book, request);
	case VAULT_COMPLAIN:
		return complaint_seal(book, request);
	case VAULT_ERASE_RESEAL:
		return reseal_survivors(vault, request);
	case VAULT_ERASE_BEGIN:
	case VAULT_ERASE_TAKE:
	case VAULT_ERASE_NEXT:
	case VAULT_ERASE_DID:
	case VAULT_ERASE_HOLD:
	case VAULT_ERASE_SHOW:
		return erase_answer(book, &vault->mailbox, request);
	case VAULT_MAIL_OPEN:
		err = mailbox_open(&vault->mailbox, book, request);
		request->awaited = foreign_awaited(book);
		return err;
	case VAULT_MAIL_SHOW:
		return mailbox_show(&vault->mailbox, book, request);
	case VAULT_MAIL_MAKE:
		return mailbox_make(&vault->mailbox, book, request);
	case VAULT_MAIL_AGAIN:
		return mailbox_again(&vault->mailbox, book, request);
	case VAULT_MAIL_MOVE:
		return mailbox_move(&vault->mailbox, book, request);
	case VAULT_PREKEYS:
		return mailbox_advance(&vault->officers, &vault->mailbox, request);
	case VAULT_CONFIRM:
		return confirm_key(book, request);
	case VAULT_RECOVER:
		return recover(vault, request);
	case VAULT_ESCROW:
	case VAULT_ESCROW_WRITTEN:
	case VAULT_ESCROW_SETUP:
	case VAULT_RECOVER_LOOK:
	case VAULT_KEYS_SAFE:
		return escrow_answer(book, request);
	case VAULT_SHOW:
		return show_case(book, request);
	case VAULT_LIST:
	case VAULT_FIND:
	case VAULT_TODAY:
	case VAULT_FORM:
		request->awaited = foreign_awaited(book);
		return query_cases(book, request);
	default:
		return draft(vault, request);
	}
}

static enum err answer(struct vault *vault, struct vault_request *request)
{
	enum err err;

	switch (request->type) {
	case VAULT_UNLOCK:
		return unlock(vault, request);
	case VAULT_LOCK:
		lock(vault);
		return OK;
	case VAULT_COMMITTED:
	case VAULT_ABORTED:
		return end_batch(vault, request);
	case VAULT_TRIAL_END:
		trials_end(&vault->trials, request->client, request->trial);
		return OK;
	case VAULT_OFFICER_NAMES:
	case VAULT_OFFICER_LIST:
	case VAULT_OFFICER_ADD:
	case VAULT_OFFICER_DISABLE:
	case VAULT_OFFICER_PASSPHRASE:
	case VAULT_OFFICER_VOUCH:
		return officers_answer(&vault->officers, request);
	case VAULT_SEAL:
	case VAULT_RESEAL:
	case VAULT_SHOW:
	case VAULT_LEDGER:
	case VAULT_VIEWS:
	case VAULT_LEDGER_LIST:
	case VAULT_CASE_EXPORT:
	case VAULT_REVEAL:
	case VAULT_DISCLOSE:
	case VAULT_PACKET:
	case VAULT_APPROVAL:
	case VAULT_RECEIPTS:
	case VAULT_LIST:
	case VAULT_FIND:
	case VAULT_TODAY:
	case VAULT_FORM:
	case VAULT_MAIL_OPEN:
	case VAULT_MAIL_SHOW:
	case VAULT_MAIL_MOVE:
	case VAULT_MAIL_MAKE:
	case VAULT_MAIL_AGAIN:
	case VAULT_PREKEYS:
	case VAULT_CONFIRM:
	case VAULT_DRAFT_PUT:
	case VAULT_DRAFT_LIST:
	case VAULT_DRAFT_SHOW:
	case VAULT_DRAFT_REMOVE:
	case VAULT_COMPLAIN:
	case VAULT_GRANT:
	case VAULT_GRANT_REVIEW:
	case VAULT_GRANT_RELEASE:
	case VAULT_GRANT_SENT:
	case VAULT_GRANT_DROP:
	case VAULT_GRANT_ENDED:
	case VAULT_GRANT_SHOW:
	case VAULT_ERASE_BEGIN:
	case VAULT_ERASE_TAKE:
	case VAULT_ERASE_NEXT:
	case VAULT_ERASE_DID:
	case VAULT_ERASE_RESEAL:
	case VAULT_ERASE_HOLD:
	case VAULT_ERASE_SHOW:
	case VAULT_ESCROW:
	case VAULT_ESCROW_WRITTEN:
	case VAULT_ESCROW_SETUP:
	case VAULT_RECOVER_LOOK:
	case VAULT_RECOVER:
	case VAULT_KEYS_SAFE:
		break;
	}
	if (vault->book == NULL)
		return ERR_LOCKED;
	err = answer_open(vault, request);
	if (vault->book->broken)
		give_up_keyring(vault, request);
	return err;
}

static void count_views(const struct vault *vault, struct vault_request *request)
{
	uint64_t lost = 0;

	if (vault->book != NULL)
		ledger_count(vault->book->ledger, &request->views_waiting, &lost);
	request->views_lost = vault->views_lost + lost;
	request->views_told = true;
	request->grants_due = vault->book != NULL && grants_due(vault->book);
	if (vault->book != NULL)
		request->approvals = approvals_count(vault->book);
	request->approvals_told = vault->book != NULL;
}

static void finish(struct vault_request *request, enum err result)
{
	request->result = result;
	if (result != OK) {
		docs_free(request);
		buf_wipe(&request->file);
		receipts_wipe(request->receipts);
	}
	secret_release(&request->passphrase);
	secret_release(&request->new_passphrase);
	buf_wipe(&request->lines);
}

/* Does it look at all that is reserved, or take keys away? */
static bool waits_for_all(enum vault_type type)
{
	return type == VAULT_RESEAL || type == VAULT_RECOVER || type == VAULT_ERASE_BEGIN ||
	       type == VAULT_ERASE_NEXT || type == VAULT_ERASE_RESEAL || type == VAULT_ERASE_TAKE ||
	       type == VAULT_DISCLOSE;
}

/* Must it wait for the end of the batches on their way? */
static bool waits(const struct vault *vault, const struct vault_request *request, bool behind)
{
	enum vault_type type = request->type;

	if (vault->on_way == NULL || type == VAULT_COMMITTED || type == VAULT_ABORTED)
		return false;
	if (behind || request->waiting)
		return true;
	if (type == VAULT_UNLOCK)
		return vault->book == NULL;
	if (!vault->wave_ended && vault->on_way_count < VAULT_WAVE_MAX && !waits_for_all(type))
		return false;
	return vault->book != NULL &&
	       (waits_for_all(type) || type == VAULT_LEDGER || type == VAULT_VIEWS ||
		       type == VAULT_GRANT || type == VAULT_GRANT_REVIEW ||
		       (type == VAULT_SEAL && !request->dry_run));
}

/* The first request that can be answered now; NULL: none. Behind an UNLOCK that waits everything
 * waits: what comes after it means the unlocked node. */
static struct vault_request *queue_take(struct vault *vault)
{
	struct vault_request **link = &vault->queue.first, *request;
	bool behind = false;

	for (; *link != NULL; link = &(*link)->next) {
		if (!waits(vault, *link, behind)) {
			request = *link;
			list_remove(&vault->queue, link);
			return request;
		}
		behind = behind || (*link)->type == VAULT_UNLOCK;
	}
	return NULL;
}

/* The LOCK is here: from now on work may go on again. Under the mutex. */
static void halt_end(struct vault *vault, const struct vault_request *request)
{
	if (request != NULL && request->type == VAULT_LOCK && !atomic_load(&vault->stopping))
		atomic_store(&vault->halt, false);
}

/* Waits for something to do; NULL: stop. */
static struct vault_request *next_request(struct vault *vault)
{
	struct vault_request *request = NULL;

	pthread_mutex_lock(&vault->mutex);
	while (!atomic_load(&vault->stopping) && (request = queue_take(vault)) == NULL)
		pthread_cond_wait(&vault->changed, &vault->mutex);
	halt_end(vault, request);
	pthread_mutex_unlock(&vault->mutex);
	return request;
}

static void cancel_queued(struct vault *vault)
{
	pthread_mutex_lock(&vault->mutex);
	while (vault->queue.first != NULL) {
		struct vault_request *request = vault->queue.first;

		list_remove(&vault->queue, &vault->queue.first);
		finish(request, ERR_CANCELED);
		list_add(&vault->done, request);
	}
	pthread_mutex_unlock(&vault->mutex);
}

/* Under the mutex. */
static void list_push(struct list *list, struct vault_request *request)
{
	request->next = list->first;
	if (list->first == NULL)
		list->last = &request->next;
	list->first = request;
}

/* Back to the front of the queue, until nothing is on its way. False: a lock has overtaken it. */
static bool hold(struct vault *vault, struct vault_request *request)
{
	bool held;

	request->waiting = true;
	pthread_mutex_lock(&vault->mutex);
	held = request->locks == vault->locks;
	if (held)
		list_push(&vault->queue, request);
	pthread_mutex_unlock(&vault->mutex);
	return held;
}

/* Ends of batches are counted, whatever else happens. */
static bool overtakes(const struct vault *vault, const struct vault_request *request)
{
	return request->locks != vault->locks && request->type != VAULT_LOCK &&
	       request->type != VAULT_COMMITTED && request->type != VAULT_ABORTED;
}

static void overtake(struct vault_request *request)
{
	finish(request, ERR_LOCKED);
	err_set(&request->ctx, ERR_LOCKED, "the node was locked meanwhile");
	buf_wipe(&request->mail);
	vault_keys_free(request->keys);
	request->keys = NULL;
}

/* It ended between two items, or waited, and a lock or the stop came. */
static void give_up(const struct vault *vault, struct vault_request *request)
{
	request->line = 0;
	if (!atomic_load(&vault->stopping)) {
		overtake(request);
		return;
	}
	request->ctx = (struct errctx){""};
	finish(request, ERR_CANCELED);
}

static void *vault_main(void *arg)
{
	struct vault *vault = arg;
	struct vault_request *request;

	while ((request = next_request(vault)) != NULL) {
		enum err err = answer(vault, request);

		if (err == ERR_AGAIN && hold(vault, request))
			continue;
		count_views(vault, request);
		if (err == ERR_CANCELED || err == ERR_AGAIN)
			give_up(vault, request);
		else
			finish(request, err);
		if (request->type == VAULT_LOCK) {
			crypto_forget();
			wipe_stack();
		}
		pthread_mutex_lock(&vault->mutex);
		list_add(&vault->done, request);
		pthread_mutex_unlock(&vault->mutex);
		vault->opts.wake(vault->opts.wake_arg);
	}
	cancel_queued(vault);
	lock(vault);
	return NULL;
}

static enum err opts_copy(struct vault *vault, const struct vault_opts *opts)
{
	const char **strings[] = {&vault->opts.keystore, &vault->opts.keyring, &vault->opts.drafts,
		&vault->opts.network, &vault->opts.node, &vault->opts.country};

	vault->opts = *opts;
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		vault->strings[i] = mem_strdup(*strings[i]);
		if (vault->strings[i] == NULL)
			return ERR_NOMEM;
		*strings[i] = vault->strings[i];
	}
	return OK;
}

enum err vault_start(const struct vault_opts *opts, struct vault **ret, struct errctx *ctx)
{
	struct vault *vault = mem_zalloc(sizeof(*vault));
	enum err err;
	int rc;

	if (vault == NULL)
		return ERR_NOMEM;
	list_init(&vault->queue);
	list_init(&vault->done);
	vault->on_way_end = &vault->on_way;
	atomic_init(&vault->stopping, false);
	atomic_init(&vault->halt, false);
	/* Default attributes: these two cannot fail on Linux. */
	rc = pthread_mutex_init(&vault->mutex, NULL);
	assert(rc == 0);
	rc = pthread_cond_init(&vault->changed, NULL);
	assert(rc == 0);
	vault->joined = true;
	vault->officers.opts = &vault->opts;
	err = opts_copy(vault, opts);
	if (err == OK) {
		rc = pthread_create(&vault->thread, NULL, vault_main, vault);
		if (rc != 0)
			err = err_set(ctx, ERR_NOMEM, "start the vault's thread: %s", strerror(rc));
	}
	if (err != OK) {
		vault_free(vault);
		return err;
	}
	vault->joined = false;
	*ret = vault;
	return OK;
}

void vault_submit(struct vault *vault, struct vault_request *request)
{
	pthread_mutex_lock(&vault->mutex);
	request->locks = vault->locks;
	if (atomic_load(&vault->stopping)) {
		finish(request, ERR_CANCELED);
		list_add(&vault->done, request);
	} else {
		list_add(&vault->queue, request);
		pthread_cond_signal(&vault->changed);
	}
	pthread_mutex_unlock(&vault->mutex);
}

static void overtake_queued(struct vault *vault)
{
	for (struct vault_request **link = &vault->queue.first; *link != NULL;) {
		struct vault_request *request = *link;

		if (!overtakes(vault, request)) {
			link = &request->next;
			continue;
		}
		list_remove(&vault->queue, link);
		overtake(request);
		list_add(&vault->done, request);
	}
}

void vault_lock_now(struct vault *vault, struct vault_request *lock)
{
	pthread_mutex_lock(&vault->mutex);
	lock->locks = ++vault->locks;
	if (atomic_load(&vault->stopping)) {
		finish(lock, ERR_CANCELED);
		list_add(&vault->done, lock);
	} else {
		atomic_store(&vault->halt, true);
		overtake_queued(vault);
		list_push(&vault->queue, lock);
		pthread_cond_signal(&vault->changed);
	}
	pthread_mutex_unlock(&vault->mutex);
	vault->opts.wake(vault->opts.wake_arg);
}

void vault_overtake(struct vault *vault, struct vault_request *done)
{
	if (overtakes(vault, done) && done->entries == NULL)
		overtake(done);
}

struct vault_request *vault_done(struct vault *vault)
{
	struct vault_request *done;

	pthread_mutex_lock(&vault->mutex);
	done = vault->done.first;
	list_init(&vault->done);
	pthread_mutex_unlock(&vault->mutex);
	return done;
}

void vault_stop(struct vault *vault)
{
	int rc;

	if (vault->joined)
		return;
	pthread_mutex_lock(&vault->mutex);
	atomic_store(&vault->stopping, true);
	atomic_store(&vault->halt, true);
	pthread_cond_signal(&vault->changed);
	pthread_mutex_unlock(&vault->mutex);
	rc = pthread_join(vault->thread, NULL);
	assert(rc == 0);
	vault->joined = true;
}

void vault_free(struct vault *vault)
{
	if (vault == NULL)
		return;
	assert(vault->joined);
	while (vault->done.first != NULL) {
		struct vault_request *request = vault->done.first;

		list_remove(&vault->done, &vault->done.first);
		vault_request_free(request);
	}
	while (vault->on_way != NULL)
		on_way_shift(vault);
	keyring_close(vault->keyring);
	for (size_t i = 0; i < sizeof(vault->strings) / sizeof(*vault->strings); i++)
		mem_free(vault->strings[i]);
	pthread_cond_destroy(&vault->changed);
	pthread_mutex_destroy(&vault->mutex);
	mem_free(vault);
}
