#include "server/outbox.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

/* ---- the rows ---- */

static struct outbox_row *find(const struct mail *mail, const struct hash *item)
{
	for (size_t i = 0; i < mail->outbox_count; i++)
		if (hash_equal(&mail->outbox[i].item, item))
			return &mail->outbox[i];
	return NULL;
}

/* False: there is no room, or it is none. */
static bool add(struct mail *mail, const struct hash *item, struct bytes packed, bool again)
{
	CLEANUP(arena_release) struct arena arena;
	struct outbox_row *row;
	Sauti__MailCopy *copy;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (!outbox_takes(mail->outbox_count, again) ||
		CODEC_UNPACK(mail_copy, packed, &scan_limits_default, &arena, &copy, NULL) != OK ||
		!node_name_valid(bytes_str(copy->recipient)) || copy->prekey.len != X25519_KEY_SIZE)
		return false;
	if (!mail_room((void **)&mail->outbox, mail->outbox_count, &mail->outbox_capacity,
		    sizeof(*mail->outbox)))
		runtime_out_of_memory();
	row = &mail->outbox[mail->outbox_count++];
	*row = (struct outbox_row){.item = *item, .tries = copy->tries};
	memcpy(row->key.b, copy->prekey.data, X25519_KEY_SIZE);
	snprintf(row->recipient, sizeof(row->recipient), "%s", copy->recipient);
	return true;
}

enum err outbox_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	struct hash item;

	if (hex_decode(name, item.b, HASH_SIZE) == OK)
		(void)add(rt->mail, &item, value, true);
	return OK;
}

struct note_name {
	char text[2 * HASH_SIZE + 1];
};

static const char *note_name(const struct hash *item, struct note_name *room)
{
	hex_encode(hash_bytes(item), room->text);
	return room->text;
}

static void keep(struct runtime *rt, const struct hash *item, struct bytes copy, bool again)
{
	struct note_name name;

	if (!add(rt->mail, item, copy, again))
		return;
	rt->mail->outbox[rt->mail->outbox_count - 1].busy = true;
	mail_note_put(rt, MAIL_NOTE_COPY, note_name(item, &name), copy);
}

void outbox_keep(struct runtime *rt, const struct hash *item, struct bytes copy)
{
	keep(rt, item, copy, false);
}

static void forget(struct runtime *rt, struct outbox_row *row)
{
	struct mail *mail = rt->mail;
	struct note_name name;

	mail_note_put(rt, MAIL_NOTE_COPY, note_name(&row->item, &name), BYTES_NONE);
	*row = mail->outbox[--mail->outbox_count];
}

void outbox_submitted(struct runtime *rt, const struct hash *item, enum err error)
{
	struct outbox_row *row = find(rt->mail, item);

	if (row == NULL)
		return;
	row->busy = false;
	if (error != OK)
		forget(rt, row);
}

/* ---- sealing again ---- */

/* Of one at a time. */
struct again {
	struct runtime *rt;
	struct hash old, next;
};

static void on_submitted(void *arg, enum err error)
{
	struct again *again = arg;
	struct runtime *rt = again->rt;
	struct outbox_row *row;

	if (error != ERR_CANCELED) { /* the node stops */
		outbox_submitted(rt, &again->next, error);
		row = find(rt->mail, &again->old);
		if (row != NULL)
			row->busy = false;
		if (row != NULL && error == OK)
			forget(rt, row);
		rt->mail->outbox_busy = false;
	}
	mem_free(again);
}

static void give_up(struct runtime *rt, const struct hash *item, bool for_good)
{
	struct outbox_row *row = find(rt->mail, item);

	rt->mail->outbox_busy = false;
	if (row == NULL)
		return;
	row->busy = false;
	if (for_good)
		forget(rt, row);
}

static void begin(struct runtime *rt, struct outbox_row *row)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_NOTE_GET);
	struct note_name name;

	if (task == NULL)
		runtime_out_of_memory();
	task->note = MAIL_NOTE_COPY;
	task->item = row->item;
	snprintf(task->name, sizeof(task->name), "%s", note_name(&row->item, &name));
	row->busy = rt->mail->outbox_busy = true;
	mail_task(rt, task);
}

void outbox_read(struct runtime *rt, struct mail_task *task)
{
	const struct outbox_row *row = find(rt->mail, &task->item);
	const struct known_prekey *known = row == NULL ? NULL : prekeys_of(rt, row->recipient);
	struct vault_request *ask;

	if (task->result != OK || known == NULL || rt->keys == NULL) {
		give_up(rt, &task->item,
			task->result == ERR_NOTFOUND || task->result == ERR_CORRUPT);
		return;
	}
	ask = vault_request_new(VAULT_MAIL_AGAIN, NULL);
	if (ask == NULL)
		runtime_out_of_memory();
	ask->item = ask->before = row->item;
	ask->to_prekey = known->prekey;
	ask->now_s = runtime_wall_s();
	snprintf(ask->name, sizeof(ask->name), "%s", row->recipient);
	buf_put(&ask->copy, buf_bytes(&task->data));
	vault_submit(rt->vault, ask);
}

void outbox_sealed(struct runtime *rt, struct vault_request *done)
{
	CLEANUP(buf_release) struct buf packed;
	enum err err = done->result;
	struct again *again;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	if (err == OK)
		err = rt->keys == NULL ? ERR_LOCKED
				       : mail_sign(&packed, buf_bytes(&done->mail), rt->keys->node);
	if (err != OK) {
		give_up(rt, &done->before, err == ERR_LIMIT || err == ERR_CORRUPT);
		return;
	}
	again = mem_zalloc(sizeof(*again));
	if (again == NULL)
		runtime_out_of_memory();
	*again = (struct again){rt, done->before, done->item};
	keep(rt, &done->item, buf_bytes(&done->copy), true);
	log_line(LOG_INFO, "a notice for '%s' could not be opened there: it is sealed again",
		done->name);
	mail_send(rt, buf_bytes(&packed), on_submitted, again);
}

/* ---- looking ---- */

static bool is_active(const struct runtime *rt, const char *node)
{
	const struct member *member = directory_find(engine_directory(rt->engine), bytes_str(node));

	return member != NULL && member->active;
}

/* Is the newest that is known of the recipient what it was sealed to? */
static bool is_newest(const struct known_prekey *known, const struct outbox_row *row)
{
	return bytes_equal(BYTES_ARRAY(known->prekey.key.b), BYTES_ARRAY(row->key.b));
}

/* Nothing will come of it any more. What could not be opened although it is sealed to the newest,
 * as its end says, never will be. */
static bool is_over(const struct runtime *rt, const struct outbox_row *row)
{
	const struct known_prekey *known;
	struct engine_mail mail;

	if (!engine_mail_find(rt->engine, &row->item, &mail))
		return true;
	if (!mail.ended)
		return false;
	known = prekeys_of(rt, row->recipient);
	return mail.outcome != MAIL_UNOPENABLE || row->tries >= LIMIT_MAIL_TRIES ||
	       !is_active(rt, row->recipient) || (known != NULL && is_newest(known, row));
}

/* It could not be opened, and there is another key to seal it to. */
static bool is_due(const struct runtime *rt, const struct outbox_row *row)
{
	struct engine_mail mail;

	return engine_mail_find(rt->engine, &row->item, &mail) && mail.ended &&
	       prekeys_of(rt, row->recipient) != NULL;
}

void outbox_chores(struct runtime *rt)
{
	struct mail *mail = rt->mail;

	for (size_t i = mail->outbox_count; i > 0; i--)
		if (!mail->outbox[i - 1].busy && is_over(rt, &mail->outbox[i - 1]))
			forget(rt, &mail->outbox[i - 1]);
	for (size_t i = 0; i < mail->outbox_count; i++) {
		if (rt->keys == NULL || mail->outbox_busy)
			return;
		if (!mail->outbox[i].busy && is_due(rt, &mail->outbox[i]))
			begin(rt, &mail->outbox[i]);
	}
}
