#include "server/mail.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/complaints.h"
#include "server/control/control.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/escrow.h"
#include "server/keys/grants.h"
#include "server/keys/refused.h"
#include "server/log.h"
#include "server/outbox.h"

bool mail_room(void **list, size_t count, size_t *capacity, size_t size)
{
	void *grown;

	if (count < *capacity)
		return true;
	grown = mem_resize(*list, (*capacity + 32) * size);
	if (grown == NULL)
		return false;
	*list = grown;
	*capacity += 32;
	return true;
}

/* ---- loading ---- */

static enum err load_state(void *arg, struct bytes key, struct bytes value)
{
	runtime_step(arg, &(struct event){.type = EVENT_MAIL_LOADED, .entry = value});
	return OK;
}

static enum err inbox_add(struct runtime *rt, const struct hash *item, struct bytes packed)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail *mail = rt->mail;
	struct inbox_row *row = &mail->inbox[mail->inbox_count];
	Sauti__MailInbox *inbox;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (mail->inbox_count == LIMIT_MAIL_INBOX ||
		CODEC_UNPACK(mail_inbox, packed, &scan_limits_default, &arena, &inbox, NULL) !=
			OK ||
		inbox->id.len != MAIL_ID_SIZE || !node_name_valid(bytes_str(inbox->sender)))
		return ERR_CORRUPT;
	*row = (struct inbox_row){.item = *item,
		.made_at = inbox->made_at,
		.received_at = inbox->received_at,
		.own_key = inbox->inbox_key};
	memcpy(row->id, inbox->id.data, MAIL_ID_SIZE);
	snprintf(row->sender, sizeof(row->sender), "%s", inbox->sender);
	mail->inbox_count++;
	return OK;
}

static enum err load_inbox(void *arg, struct bytes key, struct bytes value)
{
	struct hash item;

	if (key.size != HASH_SIZE)
		return OK;
	memcpy(item.b, key.data, HASH_SIZE);
	(void)inbox_add(arg, &item, value);
	return OK;
}

static enum err load_note(void *arg, struct bytes key, struct bytes value)
{
	struct bytes name = bytes_make(key.data + 1, key.size - 1);

	switch (key.data[0]) {
	case MAIL_NOTE_PREKEY:
		return prekeys_load(arg, name, value);
	case MAIL_NOTE_SCANNED:
		return prekeys_load_scanned(arg, name, value);
	case MAIL_NOTE_ADDRESS:
		return addresses_load(arg, name, value);
	case MAIL_NOTE_TOLD:
		return addresses_load_told(arg, name, value);
	case MAIL_NOTE_COMPLAINT:
		return complaints_load(arg, name, value);
	case MAIL_NOTE_REFUSED:
		return refused_load(arg, name, value);
	case MAIL_NOTE_COPY:
		return outbox_load(arg, name, value);
	default:
		return OK;
	}
}

static enum err load(struct runtime *rt, struct errctx *ctx)
{
	struct mail_store *store = rt->mail->store;
	uint64_t damaged[3] = {0};

	TRY(mail_store_each(store, MAIL_STATES, load_state, rt, &damaged[0], ctx));
	TRY(mail_store_each(store, MAIL_INBOX, load_inbox, rt, &damaged[1], ctx));
	TRY(mail_store_each(store, MAIL_NOTES, load_note, rt, &damaged[2], ctx));
	if (damaged[0] + damaged[1] + damaged[2] > 0)
		log_line(LOG_ALARM,
			"mail: %llu items, %llu received notices and %llu notes are damaged and "
			"left out; what others hold comes again",
			(unsigned long long)damaged[0], (unsigned long long)damaged[1],
			(unsigned long long)damaged[2]);
	return mail_store_start(store, ctx);
}

static void on_mail(uv_async_t *async);

enum err mail_boot(struct runtime *rt, struct errctx *ctx)
{
	struct mail_store_opts opts = {.path = rt->paths.mail, .wake = runtime_wake};
	struct mail *mail = mem_zalloc(sizeof(*mail));
	enum err err;

	if (mail == NULL)
		return ERR_NOMEM;
	rt->mail = mail;
	uv_async_init(&rt->loop, &mail->async, on_mail);
	mail->async.data = rt;
	opts.wake_arg = &mail->async;
	mail->inbox = mem_array(LIMIT_MAIL_INBOX, sizeof(*mail->inbox));
	if (mail->inbox == NULL)
		return ERR_NOMEM;
	err = mail_store_open(&opts, &mail->store, ctx);
	if (err == OK)
		err = load(rt, ctx);
	if (err == OK || err == ERR_NOMEM)
		return err;
	snprintf(rt->alarm, sizeof(rt->alarm),
		"mail is neither taken nor sent: %.120s; move '%.60s' away to begin anew",
		err_message(ctx, err), rt->paths.mail);
	log_line(LOG_ALARM, "%s", rt->alarm);
	mail_store_close(mail->store);
	mail->store = NULL;
	return OK;
}

void mail_stop(struct runtime *rt)
{
	if (rt->mail == NULL)
		return;
	if (rt->mail->store != NULL)
		mail_store_stop(rt->mail->store);
	if (!uv_is_closing((uv_handle_t *)&rt->mail->async))
		uv_close((uv_handle_t *)&rt->mail->async, NULL);
}

/* Nobody is left to be told. */
static void task_drop(struct mail_task *task)
{
	mem_free(task->arg); /* a client's request, or NULL */
	mail_task_free(task);
}

static void drop_tasks(struct mail *mail)
{
	struct mail_task *task = mail->store == NULL ? NULL : mail_store_done(mail->store);

	while (task != NULL) {
		struct mail_task *next = task->next;

		task_drop(task);
		task = next;
	}
}

void mail_free(struct runtime *rt)
{
	struct mail *mail = rt->mail;

	if (mail == NULL)
		return;
	while (mail->waiting != NULL) {
		struct mail_waiting *next = mail->waiting->next;

		mail->waiting->done(mail->waiting->arg, ERR_CANCELED);
		mem_free(mail->waiting);
		mail->waiting = next;
	}
	complaints_free(rt);
	refused_free(rt);
	drop_tasks(mail);
	mail_store_close(mail->store);
	mem_free(mail->inbox);
	mem_free(mail->prekeys);
	mem_free(mail->scanned);
	mem_free(mail->outbox);
	mem_free(mail->learned);
	mem_free(mail->told);
	mem_free(mail);
	rt->mail = NULL;
}

/* ---- processing what is for this node ---- */

static void done_with(struct runtime *rt, const struct hash *item, enum err error, struct bytes end,
	struct bytes inbox)
{
	runtime_step(rt, &(struct event){.type = EVENT_MAIL_DONE,
				 .item = *item,
				 .error = error,
				 .entry = end,
				 .line = inbox});
	erasing_item_done(rt, item);
}

static void not_now(struct runtime *rt, const struct hash *item, enum err why)
{
	done_with(rt, item, why, BYTES_NONE, BYTES_NONE);
}

/* It is processed: its end, signed. */
static void finish(
	struct runtime *rt, const struct hash *item, uint32_t outcome, struct bytes inbox)
{
	CLEANUP(buf_release) struct buf packed;
	struct mail_end end = {.item = *item, .outcome = outcome, .at = runtime_wall_s()};
	struct engine_mail about;

	buf_init(&packed, 2048);
	if (rt->keys == NULL || !engine_mail_find(rt->engine, item, &about)) {
		not_now(rt, item, ERR_LOCKED);
		return;
	}
	memcpy(end.sender, about.sender, sizeof(end.sender));
	memcpy(end.recipient, about.recipient, sizeof(end.recipient));
	end.current = rt->keys->prekey;
	enum err err = mail_end_write(&packed, rt->genesis.network, &end, rt->keys->node);

	done_with(rt, item, err, buf_bytes(&packed), inbox);
}

void mail_finish(struct runtime *rt, const struct hash *item, uint32_t outcome)
{
	finish(rt, item, outcome, BYTES_NONE);
}

void mail_put_off(struct runtime *rt, const struct hash *item, enum err why)
{
	not_now(rt, item, why);
}

static void open_mail(struct runtime *rt, const struct mail_item *item, struct arena *arena)
{
	struct mail_content content = {0};
	struct mail_addresses list;
	uint32_t outcome = MAIL_UNKNOWN_KIND;

	if (mail_open(item, rt->genesis.network, BYTES_NONE, arena, &content, NULL) != OK) {
		outcome = MAIL_UNOPENABLE;
	} else if (content.kind == MAIL_ADDRESSES &&
		   mail_addresses_read(content.body, arena, &list, NULL) == OK) {
		addresses_learn(rt, item->sender, &list, item->made_at);
		outcome = MAIL_PROCESSED;
	} else if (content.kind >= MAIL_ERASE_ORDER && content.kind <= MAIL_ERASE_HOLD) {
		erasing_take(rt, item, content.kind, content.body);
		mail_content_release(&content);
		return;
	}
	mail_content_release(&content);
	finish(rt, &item->item, outcome, BYTES_NONE);
}

/* Whoever signed it, and not who has the name by now. Whoever was revoked while the item was on its
 * way gives nothing. */
static void sender_fill(
	const struct runtime *rt, const struct mail_item *item, struct vault_request *ask)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member = directory_find(directory, bytes_str(item->sender));
	const struct known_prekey *prekey = prekeys_of(rt, item->sender);

	memcpy(ask->sender.node, item->sender, sizeof(ask->sender.node));
	if (member == NULL || mail_signer(directory, item, &ask->sender.key) != OK)
		return;
	ask->sender_active = member->active;
	sha256(BYTES_ARRAY(ask->sender.key.b), &ask->sender_key);
	/* Of its current key: nothing is sealed to it on a former one's word. */
	if (prekey != NULL &&
		bytes_equal(BYTES_ARRAY(member->node.b), BYTES_ARRAY(ask->sender.key.b)))
		ask->sender.prekey = prekey->prekey;
}

/* What the vault has to look at: sealed, or open and about its keys. */
static void sealed_mail(struct runtime *rt, const struct mail_item *item, struct bytes packed)
{
	struct mail *mail = rt->mail;
	struct vault_request *ask;

	if (rt->keys == NULL) {
		not_now(rt, &item->item, ERR_LOCKED);
		return;
	}
	ask = vault_request_new(VAULT_MAIL_OPEN, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	/* What it is shows when it is opened: notices alone have to wait for room. */
	ask->inbox_full =
		!inbox_takes(mail->inbox, mail->inbox_count, mail->inbox_coming, item->sender);
	ask->item = item->item;
	ask->now_ms = runtime_wall_ms();
	ask->now_s = ask->now_ms / 1000;
	sender_fill(rt, item, ask);
	buf_put(&ask->mail, packed);
	mail->inbox_coming++;
	vault_submit(rt->vault, ask);
}

/* Open, and the vault's to judge. */
static bool about_keys(const struct runtime *rt, const struct mail_item *item, struct arena *arena)
{
	struct mail_content content = {0};
	bool keys = mail_open(item, rt->genesis.network, BYTES_NONE, arena, &content, NULL) == OK &&
		    (content.kind == MAIL_ESCROW_HELD || content.kind == MAIL_RECOVERY_ASK);

	mail_content_release(&content);
	return keys;
}

static void process(struct runtime *rt, const struct mail_task *task)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_item item;
	enum err err = task->result;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (err == OK)
		err = mail_unpack(buf_bytes(&task->data), rt->genesis.network, &arena, &item, NULL);
	if (err != OK)
		not_now(rt, &task->item, err);
	else if (item.prekey == 0 && !about_keys(rt, &item, &arena))
		open_mail(rt, &item, &arena);
	else
		sealed_mail(rt, &item, buf_bytes(&task->data));
}

/* Keys of a complaint that are malformed, of a log that is not the sender's, or for a case that is
 * here: an attempt, or a fault of its program. */
static void complaint_refused(struct runtime *rt, const struct hash *item)
{
	struct engine_mail about;

	rt->complaints_refused++;
	if (log_gate(&rt->alarm_gate, uv_now(&rt->loop)))
		log_line(LOG_ALARM, "sealed mail of '%s' with keys that it may not give: refused",
			engine_mail_find(rt->engine, item, &about) ? about.sender : "?");
}

static void refused(struct runtime *rt, const struct vault_request *done)
{
	struct engine_mail about;

	if (!engine_mail_find(rt->engine, &done->item, &about))
		return;
	mail_refuse(rt, &done->item,
		&(struct mail_refused){about.sender, done->mail_kind,
			(enum mail_refusal)done->refusal, about.made_at});
}

void mail_vault_done(struct runtime *rt, struct vault_request *done)
{
	rt->mail->inbox_coming--;
	if (rt->stopping)
		return;
	rt->complaints_awaited = done->awaited;
	if (done->refused)
		complaint_refused(rt, &done->item);
	if (done->result == OK && done->refusal != REFUSED_NOT)
		refused(rt, done);
	if (done->result == OK)
		escrow_send(rt, done);
	if (done->result != OK)
		not_now(rt, &done->item, done->result);
	else
		finish(rt, &done->item, done->outcome, buf_bytes(&done->mail));
}

/* ---- received notices move to the inbox key ---- */

static struct inbox_row *row_to_move(const struct mail *mail)
{
	for (size_t i = 0; i < mail->inbox_count; i++)
		if (!mail->inbox[i].own_key && !mail->inbox[i].stuck)
			return &mail->inbox[i];
	return NULL;
}

bool mail_inbox_moved(const struct runtime *rt)
{
	return row_to_move(rt->mail) == NULL;
}

static void move_ended(struct runtime *rt, const struct hash *item, bool moved)
{
	for (size_t i = 0; i < rt->mail->inbox_count; i++)
		if (hash_equal(&rt->mail->inbox[i].item, item)) {
			rt->mail->inbox[i].own_key = moved;
			rt->mail->inbox[i].stuck = !moved;
		}
	rt->mail->moving = false;
	mail_wake(rt); /* the next */
	if (mail_inbox_moved(rt))
		erasing_wake(rt);
}

static void move_next(struct runtime *rt)
{
	const struct inbox_row *row = row_to_move(rt->mail);
	struct mail_task *task;

	if (rt->keys == NULL || rt->mail->moving || row == NULL)
		return;
	task = mail_task_new(MAIL_TASK_INBOX);
	if (task == NULL)
		runtime_out_of_memory();
	task->item = row->item;
	task->ticket = MAIL_TICKET_MOVE;
	rt->mail->moving = true;
	mail_task(rt, task);
}

static void move_read(struct runtime *rt, const struct mail_task *task)
{
	struct vault_request *ask;

	if (task->result != OK) {
		move_ended(rt, &task->item, false);
		return;
	}
	ask = vault_request_new(VAULT_MAIL_MOVE, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	ask->item = task->item;
	buf_put(&ask->mail, buf_bytes(&task->data));
	vault_submit(rt->vault, ask);
}

void mail_vault_moved(struct runtime *rt, struct vault_request *done)
{
	struct mail_task *task;

	if (done->result == ERR_CORRUPT) {
		move_ended(rt, &done->item, false);
		return;
	}
	if (done->result != OK) { /* locked, or the disk: again with the next chores */
		rt->mail->moving = false;
		return;
	}
	task = mail_task_new(MAIL_TASK_REBOX);
	if (task == NULL)
		runtime_out_of_memory();
	task->item = done->item;
	buf_put(&task->data, buf_bytes(&done->mail));
	mail_task(rt, task);
}

static void move_written(struct runtime *rt, const struct mail_task *task)
{
	if (task->result == OK)
		move_ended(rt, &task->item, true);
	else
		rt->mail->moving = false;
}

/* ---- the store ---- */

void mail_task(struct runtime *rt, struct mail_task *task)
{
	if (task == NULL)
		runtime_out_of_memory();
	if (rt->mail->store != NULL && !rt->stopping)
		mail_store_submit(rt->mail->store, task);
	else
		task_drop(task);
}

void mail_note_put(struct runtime *rt, enum mail_note note, const char *name, struct bytes value)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_NOTE);

	if (task == NULL)
		runtime_out_of_memory();
	task->note = note;
	snprintf(task->name, sizeof(task->name), "%s", name);
	buf_put(&task->data, value);
	mail_task(rt, task);
}

const struct inbox_row *mail_inbox_find(const struct runtime *rt, const struct hash *item)
{
	for (size_t i = 0; i < rt->mail->inbox_count; i++)
		if (hash_equal(&rt->mail->inbox[i].item, item))
			return &rt->mail->inbox[i];
	return NULL;
}

static void inbox_remove(struct mail *mail, const struct hash *item)
{
	for (size_t i = 0; i < mail->inbox_count; i++)
		if (hash_equal(&mail->inbox[i].item, item)) {
			mail->inbox[i] = mail->inbox[--mail->inbox_count];
			return;
		}
}

/* What this node sent could not be opened: to what it is to be sealed from here on, its recipient
 * says. */
static void unopened(struct runtime *rt, const struct engine_mail *about)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_end end;
	Sauti__MailEnd *packed;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(mail_end, about->end, &scan_limits_default, &arena, &packed, NULL) == OK &&
		mail_end_read(codec_bytes(packed->body), codec_bytes(packed->signature),
			rt->genesis.network, engine_directory(rt->engine), &arena, &end,
			NULL) == OK)
		prekeys_told(rt, end.recipient, &end.current);
}

/* .. has ended, durably. */
static void sent_ended(struct runtime *rt, const struct hash *item)
{
	struct engine_mail about;

	if (!engine_mail_find(rt->engine, item, &about) || !about.ended ||
		strcmp(about.sender, rt->node) != 0)
		return;
	if (about.outcome == MAIL_UNOPENABLE)
		unopened(rt, &about);
}

static void stored(struct runtime *rt, struct mail_task *task)
{
	struct mail_write *write = task->write;
	struct hash item = write->item;
	bool ends = write->drop && !write->forget && task->result == OK;

	if (task->result == OK && write->inbox.size > 0)
		(void)inbox_add(rt, &write->item, buf_bytes(&write->inbox));
	task->write = NULL;
	runtime_step(rt, &(struct event){.type = EVENT_MAIL_STORED, .mail = write});
	if (ends)
		sent_ended(rt, &item);
}

static void body_read(struct runtime *rt, const struct mail_task *task)
{
	if (task->ticket == MAIL_TICKET_BUNDLE) {
		if (rt->export != NULL)
			bundle_export_mail(rt->export, task);
	} else if (task->ticket == 0) {
		process(rt, task);
	} else {
		runtime_step(rt, &(struct event){.type = EVENT_MAIL_READ,
					 .ticket = task->ticket,
					 .error = task->result,
					 .entry = buf_bytes(&task->data)});
	}
}

static void task_done(struct runtime *rt, struct mail_task *task)
{
	bool failed = task->result != OK && task->result != ERR_NOTFOUND;

	if (failed && !rt->mail->failed) {
		char text[256];

		snprintf(text, sizeof(text), "mail: %.200s", err_message(&task->ctx, task->result));
		runtime_disk_failed(rt, text);
	}
	rt->mail->failed = failed;
	switch (task->type) {
	case MAIL_TASK_WRITE:
		stored(rt, task);
		break;
	case MAIL_TASK_BODY:
		body_read(rt, task);
		break;
	case MAIL_TASK_UNBOX:
		if (task->result == OK)
			inbox_remove(rt->mail, &task->item);
		control_mail_done(rt, task);
		break;
	case MAIL_TASK_INBOX:
		if (task->ticket == MAIL_TICKET_MOVE)
			move_read(rt, task);
		else
			control_mail_done(rt, task);
		break;
	case MAIL_TASK_NOTE_GET:
		outbox_read(rt, task);
		break;
	case MAIL_TASK_REBOX:
		move_written(rt, task);
		break;
	case MAIL_TASK_NOTE:
		if (task->note == MAIL_NOTE_COMPLAINT)
			complaints_noted(rt, task);
		break;
	}
}

void mail_chores(struct runtime *rt)
{
	if (rt->mail == NULL || rt->mail->store == NULL || rt->stopping)
		return;
	prekeys_chores(rt);
	move_next(rt);
	outbox_chores(rt);
	addresses_tell(rt);
	complaints_chores(rt);
	grants_chores(rt);
	erasing_wake(rt);
}

void mail_wake(struct runtime *rt)
{
	if (rt->mail != NULL && !rt->stopping)
		uv_async_send(&rt->mail->async);
}

static void on_mail(uv_async_t *async)
{
	struct runtime *rt = async->data;
	struct mail_task *task = rt->mail->store == NULL ? NULL : mail_store_done(rt->mail->store);

	while (task != NULL) {
		struct mail_task *next = task->next;

		task->next = NULL;
		task_done(rt, task);
		mail_task_free(task);
		task = next;
	}
	mail_chores(rt);
}

/* ---- the engine ---- */

/* There is no store: as a disk that refuses everything. */
static void refuse(struct runtime *rt, struct effect *effect)
{
	struct event event = {.type = EVENT_MAIL_READ, .ticket = effect->ticket, .error = ERR_IO};

	if (effect->type == EFFECT_MAIL_WRITE) {
		event = (struct event){.type = EVENT_MAIL_STORED, .mail = effect->mail};
		effect->mail->result = ERR_IO;
		effect->mail = NULL;
	}
	runtime_later(rt, &event);
}

static void submitted(struct runtime *rt, const struct effect *effect)
{
	for (struct mail_waiting **at = &rt->mail->waiting; *at != NULL; at = &(*at)->next) {
		struct mail_waiting *w = *at;

		if (w->ticket != effect->ticket)
			continue;
		*at = w->next;
		w->done(w->arg, effect->error);
		mem_free(w);
		return;
	}
}

void mail_effect(struct runtime *rt, struct effect *effect)
{
	struct mail_task *task;

	if (effect->type == EFFECT_MAIL_SUBMITTED || effect->type == EFFECT_MAIL_WITHDRAWN) {
		submitted(rt, effect);
		return;
	}
	if (rt->mail->store == NULL) {
		refuse(rt, effect);
		return;
	}
	task = mail_task_new(effect->type == EFFECT_MAIL_WRITE ? MAIL_TASK_WRITE : MAIL_TASK_BODY);
	if (task == NULL)
		runtime_out_of_memory();
	task->write = effect->mail;
	effect->mail = NULL;
	task->item = effect->item;
	task->ticket = effect->ticket; /* 0: to be processed here */
	mail_task(rt, task);
}

static uint64_t wait_for(struct runtime *rt, mail_submitted done, void *arg)
{
	struct mail_waiting *waiting = mem_zalloc(sizeof(*waiting));

	if (waiting == NULL)
		runtime_out_of_memory();
	waiting->ticket = ++rt->next_ticket;
	waiting->done = done;
	waiting->arg = arg;
	waiting->next = rt->mail->waiting;
	rt->mail->waiting = waiting;
	return waiting->ticket;
}

void mail_withdraw(struct runtime *rt, const struct hash *item, mail_submitted done, void *arg)
{
	runtime_step(rt, &(struct event){.type = EVENT_MAIL_WITHDRAW,
				 .item = *item,
				 .ticket = wait_for(rt, done, arg)});
}

void mail_send(struct runtime *rt, struct bytes packed, mail_submitted done, void *arg)
{
	runtime_step(rt, &(struct event){.type = EVENT_MAIL_SUBMIT,
				 .entry = packed,
				 .ticket = wait_for(rt, done, arg)});
}
