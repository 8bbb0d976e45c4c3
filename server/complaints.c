#include "server/complaints.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

enum { NAME_SIZE = 8, NAME_TEXT = 2 * NAME_SIZE };

struct complaint {
	char name[NAME_TEXT + 1]; /* of its row */
	struct buf row;           /* while it is on its way to the disk */
	struct entries *entries;  /* NULL: appended */
	struct buf mail;
	enum {
		COMPLAINT_KEEPING,
		COMPLAINT_KEPT, /* nothing is under way */
		COMPLAINT_APPENDING,
		COMPLAINT_SENDING
	} state;
	char log[LIMIT_ORIGIN + 1];
	uint64_t index;
	complaint_told told; /* NULL: nobody waits */
	void *arg;
	struct runtime *rt;
	struct complaint *next;
};

static struct complaint *complaint_new(struct runtime *rt)
{
	struct complaint *complaint = mem_zalloc(sizeof(*complaint));

	if (complaint == NULL)
		runtime_out_of_memory();
	complaint->rt = rt;
	buf_init(&complaint->row, LIMIT_COMPLAINT_ROW);
	buf_init(&complaint->mail, LIMIT_MAIL_ITEM);
	complaint->next = rt->mail->complaints;
	rt->mail->complaints = complaint;
	return complaint;
}

static void complaint_free(struct complaint *complaint)
{
	struct complaint **at = &complaint->rt->mail->complaints;

	while (*at != complaint)
		at = &(*at)->next;
	*at = complaint->next;
	entries_unref(complaint->entries);
	buf_release(&complaint->row);
	buf_release(&complaint->mail);
	mem_free(complaint);
}

static void tell(struct complaint *complaint, enum err error, const char *why)
{
	struct complaint_end end = {error, why, complaint->log, complaint->index};
	complaint_told told = complaint->told;

	complaint->told = NULL;
	if (told != NULL)
		told(complaint->arg, &end);
}

/* Later, by complaints_chores. */
static void wait_for(struct complaint *complaint, const char *why)
{
	complaint->state = COMPLAINT_KEPT;
	tell(complaint, OK, why);
}

/* ---- the row ---- */

static void row_write(struct complaint *complaint)
{
	struct mail_task *task = mail_task_new(MAIL_TASK_NOTE);

	if (task == NULL)
		runtime_out_of_memory();
	task->note = MAIL_NOTE_COMPLAINT;
	memcpy(task->name, complaint->name, sizeof(complaint->name));
	buf_put(&task->data, buf_bytes(&complaint->row));
	buf_release(&complaint->row);
	mail_task(complaint->rt, task);
}

static void row_remove(const struct complaint *complaint)
{
	mail_note_put(complaint->rt, MAIL_NOTE_COMPLAINT, complaint->name, BYTES_NONE);
}

static enum err row_pack(const struct complaint_new *complaint, struct buf *out)
{
	Sauti__StoredComplaint row = SAUTI__STORED_COMPLAINT__INIT;
	ProtobufCBinaryData list[COMPLAINT_ENTRIES_MAX];

	if (complaint->entries->count > COMPLAINT_ENTRIES_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < complaint->entries->count; i++)
		list[i] = codec_binary(complaint->entries->entry[i]);
	row.origin = (char *)complaint->origin;
	row.entries = list;
	row.n_entries = complaint->entries->count;
	row.mail = codec_binary(complaint->mail);
	codec_pack(out, &row);
	return out->err;
}

static enum err row_unpack(struct bytes value, struct complaint *complaint)
{
	CLEANUP(arena_release) struct arena arena;
	struct bytes views[COMPLAINT_ENTRIES_MAX];
	Sauti__StoredComplaint *row;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(CODEC_UNPACK(stored_complaint, value, &scan_limits_default, &arena, &row, NULL));
	if (row->n_entries == 0 || row->n_entries > COMPLAINT_ENTRIES_MAX)
		return ERR_CORRUPT;
	for (size_t i = 0; i < row->n_entries; i++)
		views[i] = codec_bytes(row->entries[i]);
	TRY(entries_make(views, row->n_entries, &complaint->entries));
	buf_put(&complaint->mail, codec_bytes(row->mail));
	return complaint->mail.err;
}

enum err complaints_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	struct complaint *complaint;

	if (name.size != NAME_TEXT)
		return OK;
	complaint = complaint_new(rt);
	memcpy(complaint->name, name.data, NAME_TEXT);
	complaint->state = COMPLAINT_KEPT;
	if (row_unpack(value, complaint) != OK) {
		complaint_free(complaint);
		log_line(LOG_ALARM, "mail: a sealed item that was to be recorded is not readable");
	}
	return OK;
}

/* ---- step by step ---- */

static void on_sent(void *arg, enum err error)
{
	struct complaint *complaint = arg;

	if (error != OK && error != ERR_EXISTS) {
		wait_for(complaint,
			error == ERR_LIMIT ? "too much mail is waiting already" : err_text(error));
		return;
	}
	row_remove(complaint);
	tell(complaint, OK, "");
	complaint_free(complaint);
}

static void send_mail(struct complaint *complaint)
{
	complaint->state = COMPLAINT_SENDING;
	mail_send(complaint->rt, buf_bytes(&complaint->mail), on_sent, complaint);
}

static void on_appended(void *arg, enum err error, uint64_t index)
{
	struct complaint *complaint = arg;

	if (error != OK) {
		wait_for(complaint, err_text(error));
		return;
	}
	entries_unref(complaint->entries);
	complaint->entries = NULL;
	complaint->index = index;
	/* Not from within the engine's step. */
	complaint->state = COMPLAINT_KEPT;
	mail_wake(complaint->rt);
}

static void advance(struct complaint *complaint)
{
	struct runtime *rt = complaint->rt;
	struct entries *entries = complaint->entries;

	if (complaint->state != COMPLAINT_KEPT || rt->stopping)
		return;
	if (entries == NULL) {
		send_mail(complaint);
	} else if (rt->keys == NULL || rt->opening) {
		wait_for(complaint, err_text(ERR_LOCKED));
	} else if (!guard_state_writable(&rt->guard_state)) {
		wait_for(complaint, "nothing can be recorded now: see 'sauti status'");
	} else {
		complaint->state = COMPLAINT_APPENDING;
		snprintf(complaint->log, sizeof(complaint->log), "%s", rt->keys->log_origin);
		runtime_append(rt, complaint->log, entries_ref(entries), on_appended, complaint);
	}
}

void complaints_noted(struct runtime *rt, const struct mail_task *task)
{
	struct complaint *complaint = rt->mail->complaints;

	while (complaint != NULL && strcmp(complaint->name, task->name) != 0)
		complaint = complaint->next;
	if (complaint == NULL || complaint->state != COMPLAINT_KEEPING)
		return; /* a removal; when it failed, the next start does all of it again */
	if (task->result != OK) {
		tell(complaint, task->result, err_text(task->result));
		complaint_free(complaint);
		return;
	}
	complaint->state = COMPLAINT_KEPT;
	advance(complaint);
}

void complaints_chores(struct runtime *rt)
{
	struct complaint *next;

	for (struct complaint *c = rt->mail->complaints; c != NULL; c = next) {
		next = c->next;
		advance(c);
	}
}

size_t complaints_waiting(const struct runtime *rt)
{
	size_t count = 0;

	for (const struct complaint *c = rt->mail->complaints; c != NULL; c = c->next)
		count++;
	return count;
}

bool complaints_room(const struct runtime *rt)
{
	return rt->mail->store != NULL && complaints_waiting(rt) < LIMIT_COMPLAINTS_WAITING;
}

void complaints_keep(
	struct runtime *rt, const struct complaint_new *new, complaint_told told, void *arg)
{
	struct complaint *complaint = complaint_new(rt);
	uint8_t name[NAME_SIZE];
	enum err err = random_bytes(name, sizeof(name));

	complaint->told = told;
	complaint->arg = arg;
	complaint->entries = entries_ref(new->entries);
	hex_encode(BYTES_ARRAY(name), complaint->name);
	buf_put(&complaint->mail, new->mail);
	if (err == OK)
		err = row_pack(new, &complaint->row);
	if (err == OK)
		err = complaint->mail.err;
	if (err != OK) {
		tell(complaint, err, err_text(err));
		complaint_free(complaint);
		return;
	}
	complaint->state = COMPLAINT_KEEPING;
	row_write(complaint);
}

/* Whoever still waits hears that it is kept, where it is. */
void complaints_free(struct runtime *rt)
{
	while (rt->mail->complaints != NULL) {
		struct complaint *complaint = rt->mail->complaints;

		tell(complaint, complaint->state == COMPLAINT_KEEPING ? ERR_CANCELED : OK,
			err_text(ERR_CANCELED));
		complaint_free(complaint);
	}
}
