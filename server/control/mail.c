/* Mail to and from other nodes' operators. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "server/complaints.h"
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/keys/refused.h"
#include "server/mail.h"
#include "server/outbox.h"

enum { ID_DIGITS = 16, ID_DIGITS_MIN = 4, STATUS_NEWEST = 3 };

struct shown_id {
	char text[2 * HASH_SIZE + 1];
};

/* The beginning of the item's hash: as many digits as nobody confuses. */
static const char *id_text(const struct hash *item, struct shown_id *room)
{
	hex_encode(hash_bytes(item), room->text);
	room->text[ID_DIGITS] = '\0';
	return room->text;
}

static bool id_matches(const struct hash *item, const char *id)
{
	struct shown_id all;

	hex_encode(hash_bytes(item), all.text);
	return strncmp(all.text, id, strlen(id)) == 0;
}

static bool mail_there(struct control_request *request)
{
	if (control_runtime(request)->mail->store != NULL)
		return true;
	control_fail(request, ERR_IO, 0, "the mail store could not be opened: see 'sauti status'");
	return false;
}

/* ---- sending ---- */

struct sending {
	struct control_request *request;
	struct hash item;
	char to[LIMIT_NODE_NAME + 1];
};

static void on_submitted(void *arg, enum err error)
{
	struct sending *sending = arg;
	struct shown_id id;

	if (error != ERR_CANCELED)
		outbox_submitted(control_runtime(sending->request), &sending->item, error);
	if (error == OK)
		answer_json(sending->request,
			json_pack("{s:s,s:s,s:s}", "id", id_text(&sending->item, &id), "to",
				sending->to, "state", "waiting"),
			true);
	else if (error == ERR_LIMIT)
		control_fail(sending->request, error, 0,
			"too much mail for that node is waiting already: nothing was sent");
	else
		control_fail(sending->request, error, 0, err_text(error));
	mem_free(sending);
}

static enum err check_send(
	const struct runtime *rt, const Sauti__MailSendRequest *message, struct errctx *ctx)
{
	const struct member *to =
		directory_find(engine_directory(rt->engine), bytes_str(message->to));

	if (rt->keys == NULL)
		return err_set(ctx, ERR_LOCKED, "the node must be unlocked to send mail");
	if (strcmp(message->to, rt->node) == 0)
		return err_set(ctx, ERR_INVALID, "'%s' is this node itself", rt->node);
	if (to == NULL)
		return err_set(ctx, ERR_NOTFOUND, "no node of that name is in the directory");
	if (!to->active)
		return err_set(ctx, ERR_DENIED, "'%s' is not an active member", to->name);
	if (message->text.len == 0 || message->text.len > LIMIT_MAIL_TEXT ||
		!utf8_valid(codec_bytes(message->text)))
		return err_set(
			ctx, ERR_INVALID, "a notice is 1 to %d bytes of UTF-8", LIMIT_MAIL_TEXT);
	if (prekeys_of(rt, to->name) == NULL)
		return err_set(ctx, ERR_NOTFOUND,
			"'%s' has published no key for mail yet, or its log has not come here: try "
			"again later",
			to->name);
	return OK;
}

/* The vault seals it, and a copy of it for this node. */
void begin_mail_send(struct control_request *request, const Sauti__MailSendRequest *message)
{
	struct runtime *rt = control_runtime(request);
	struct vault_request *ask;
	struct errctx ctx = {""};
	enum err err;

	if (!mail_there(request))
		return;
	err = check_send(rt, message, &ctx);
	if (err != OK) {
		control_fail(request, err, 0, err_message(&ctx, err));
		return;
	}
	ask = vault_ask(request, VAULT_MAIL_MAKE);
	if (ask == NULL)
		return;
	ask->now_s = runtime_wall_s();
	ask->to_prekey = prekeys_of(rt, message->to)->prekey;
	snprintf(ask->name, sizeof(ask->name), "%s", message->to);
	(void)buf_reserve(&ask->lines, message->text.len); /* growing would leave some behind */
	buf_put(&ask->lines, codec_bytes(message->text));
	vault_submit(rt->vault, ask);
}

void done_mail_send(struct control_request *request, struct vault_request *done)
{
	struct runtime *rt = control_runtime(request);
	CLEANUP(buf_release) struct buf packed;
	struct sending *sending;
	enum err err;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	err = rt->keys == NULL ? ERR_LOCKED
			       : mail_sign(&packed, buf_bytes(&done->mail), rt->keys->node);
	sending = err == OK ? mem_zalloc(sizeof(*sending)) : NULL;
	if (err == OK && sending == NULL)
		err = ERR_NOMEM;
	if (err != OK) {
		control_fail(request, err, 0, err_text(err));
		return;
	}
	sending->request = request;
	sending->item = done->item;
	snprintf(sending->to, sizeof(sending->to), "%.*s", LIMIT_NODE_NAME, done->name);
	outbox_keep(rt, &done->item, buf_bytes(&done->copy));
	mail_send(rt, buf_bytes(&packed), on_submitted, sending);
}

/* ---- showing ---- */

static const char *state_of(const struct engine_mail *mail)
{
	static const char *const ends[] = {"delivered", "not opened", "not understood", "refused"};

	if (mail->ended)
		return mail->outcome < sizeof(ends) / sizeof(ends[0]) ? ends[mail->outcome]
								      : "answered";
	return mail->custodian[0] == '\0' ? "waiting" : "custody";
}

static json_t *time_or_null(uint64_t seconds)
{
	return seconds == 0 ? json_null() : json_integer((json_int_t)seconds);
}

static json_t *sent_json(const struct engine_mail *mail)
{
	struct shown_id id;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:o,s:o}", "id", id_text(&mail->item, &id),
		"direction", "sent", "peer", mail->recipient, "kind",
		mail->open ? "addresses" : "notice", "class",
		mail->class == MAIL_ERASURE ? "erasure" : "ordinary", "made_at",
		(json_int_t)mail->made_at, "state", state_of(mail), "custodian",
		json_text_or_null(mail->ended ? "" : mail->custodian), "since",
		time_or_null(mail->ended ? mail->ended_at : mail->custody_at));
}

/* Held for this node, and not processed: it is locked, or its inbox is full. */
static json_t *unread_json(const struct engine_mail *mail)
{
	struct shown_id id;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:n,s:n}", "id", id_text(&mail->item, &id),
		"direction", "received", "peer", mail->sender, "kind",
		mail->open ? "addresses" : "sealed", "class",
		mail->class == MAIL_ERASURE ? "erasure" : "ordinary", "made_at",
		(json_int_t)mail->made_at, "state", "unopened", "custodian", "since");
}

static json_t *inbox_json(const struct inbox_row *row)
{
	struct shown_id id;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:n,s:I}", "id", id_text(&row->item, &id),
		"direction", "received", "peer", row->sender, "kind", "notice", "class", "ordinary",
		"made_at", (json_int_t)row->made_at, "state", "received", "custodian", "since",
		(json_int_t)row->received_at);
}

void begin_mail_list(struct control_request *request)
{
	const struct runtime *rt = control_runtime(request);
	struct engine_mail mail;

	if (!mail_there(request))
		return;
	for (size_t i = 0; i < rt->mail->inbox_count; i++)
		answer_json(request, inbox_json(&rt->mail->inbox[i]), false);
	for (size_t i = 0; i < engine_mail_count(rt->engine); i++) {
		engine_mail_at(rt->engine, i, &mail);
		if (strcmp(mail.sender, rt->node) == 0)
			answer_json(request, sent_json(&mail), false);
		else if (strcmp(mail.recipient, rt->node) == 0 && !mail.ended)
			answer_json(request, unread_json(&mail), false);
	}
	control_end(request, BYTES_NONE);
}

/* What an id means; exactly one of the two on OK. */
struct found {
	const struct inbox_row *row;
	struct engine_mail mail;
	bool is_mail;
};

static enum err find(
	const struct runtime *rt, const char *id, struct found *ret, struct errctx *ctx)
{
	struct engine_mail mail;
	size_t count = 0;

	if (strlen(id) < ID_DIGITS_MIN || strlen(id) > (size_t)2 * HASH_SIZE ||
		strspn(id, "0123456789abcdef") != strlen(id))
		return err_set(ctx, ERR_INVALID, "an id is at least %d hex digits, as in the list",
			ID_DIGITS_MIN);
	*ret = (struct found){.row = NULL};
	for (size_t i = 0; i < rt->mail->inbox_count; i++)
		if (id_matches(&rt->mail->inbox[i].item, id)) {
			ret->row = &rt->mail->inbox[i];
			count++;
		}
	for (size_t i = 0; i < engine_mail_count(rt->engine); i++) {
		engine_mail_at(rt->engine, i, &mail);
		if ((strcmp(mail.sender, rt->node) != 0 &&
			    (mail.ended || strcmp(mail.recipient, rt->node) != 0)) ||
			!id_matches(&mail.item, id))
			continue;
		ret->mail = mail;
		ret->is_mail = true;
		count++;
	}
	if (count == 0)
		return err_set(ctx, ERR_NOTFOUND, "no mail has that id");
	return count == 1 ? OK
			  : err_set(ctx, ERR_INVALID, "%zu items begin so: say more digits", count);
}

static void ask_store(
	struct control_request *request, enum mail_task_type type, const struct hash *item)
{
	struct mail_task *task = mail_task_new(type);

	if (task == NULL)
		runtime_out_of_memory();
	task->item = *item;
	task->arg = request;
	mail_task(control_runtime(request), task);
}

void begin_mail_show(struct control_request *request, const char *id)
{
	const struct runtime *rt = control_runtime(request);
	struct errctx ctx = {""};
	struct found found;
	enum err err;

	if (!mail_there(request))
		return;
	err = find(rt, id, &found, &ctx);
	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
	else if (found.row == NULL)
		answer_json(request,
			strcmp(found.mail.sender, rt->node) == 0 ? sent_json(&found.mail)
								 : unread_json(&found.mail),
			true);
	else if (rt->keys == NULL)
		control_fail(request, ERR_LOCKED, 0, "the node must be unlocked to show mail");
	else
		ask_store(request, MAIL_TASK_INBOX, &found.row->item);
}

void begin_mail_delete(struct control_request *request, const char *id)
{
	const struct runtime *rt = control_runtime(request);
	struct errctx ctx = {""};
	struct found found;
	enum err err;

	if (!mail_there(request))
		return;
	err = find(rt, id, &found, &ctx);
	if (err == OK && found.row == NULL)
		err = err_set(&ctx, ERR_INVALID, "only a received notice can be deleted");
	if (err != OK)
		control_fail(request, err, 0, err_message(&ctx, err));
	else
		ask_store(request, MAIL_TASK_UNBOX, &found.row->item);
}

void control_mail_done(struct runtime *rt, struct mail_task *task)
{
	struct control_request *request = task->arg;
	struct vault_request *ask;
	struct shown_id id;

	if (task->result != OK) {
		control_fail(request, task->result, 0, err_message(&task->ctx, task->result));
		return;
	}
	if (task->type == MAIL_TASK_UNBOX) {
		answer_json(request,
			json_pack("{s:s,s:b}", "id", id_text(&task->item, &id), "deleted", 1),
			true);
		return;
	}
	ask = vault_request_new(VAULT_MAIL_SHOW, request);
	if (ask == NULL)
		runtime_out_of_memory();
	ask->item = task->item;
	buf_put(&ask->mail, buf_bytes(&task->data));
	vault_submit(rt->vault, ask);
}

void done_mail_show(struct control_request *request, struct vault_request *done)
{
	const struct inbox_row *row = mail_inbox_find(control_runtime(request), &done->item);
	struct bytes text = buf_bytes(&done->mail);
	json_t *json;

	if (row == NULL) { /* deleted meanwhile */
		control_fail(request, ERR_NOTFOUND, 0, "no mail has that id");
		return;
	}
	json = inbox_json(row);
	if (utf8_valid(text) && memchr(text.data, 0, text.size) == NULL)
		json_object_set_new(json, "text", json_stringn((const char *)text.data, text.size));
	else
		json_object_set_new(json, "text", json_string("(not readable as text)"));
	answer_json(request, json, true);
}

/* ---- status ---- */

/* Of one second, in the order of their items. */
static bool is_newer(const struct inbox_row *a, const struct inbox_row *b)
{
	if (a->received_at != b->received_at)
		return a->received_at > b->received_at;
	return memcmp(a->item.b, b->item.b, HASH_SIZE) > 0;
}

static json_t *newest_json(const struct mail *mail)
{
	const struct inbox_row *before = NULL;
	json_t *list = json_array();

	for (size_t n = 0; n < STATUS_NEWEST && n < mail->inbox_count; n++) {
		const struct inbox_row *best = NULL;
		struct shown_id id;

		for (size_t i = 0; i < mail->inbox_count; i++)
			if ((before == NULL || is_newer(before, &mail->inbox[i])) &&
				(best == NULL || is_newer(&mail->inbox[i], best)))
				best = &mail->inbox[i];
		if (best == NULL)
			break;
		before = best;
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:I}", "id", id_text(&best->item, &id), "from",
				      best->sender, "received_at", (json_int_t)best->received_at));
	}
	return list;
}

json_t *mail_status_json(const struct runtime *rt)
{
	json_int_t waiting = 0, unopened = 0, carried = 0;
	struct engine_mail mail;

	for (size_t i = 0; i < engine_mail_count(rt->engine); i++) {
		engine_mail_at(rt->engine, i, &mail);
		if (mail.ended)
			continue;
		if (strcmp(mail.sender, rt->node) == 0)
			waiting++;
		else if (strcmp(mail.recipient, rt->node) == 0)
			unopened++;
		else
			carried++;
	}
	return json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:o}", "working",
		rt->mail->store != NULL, "waiting", waiting, "unopened", unopened, "carried",
		carried, "received", (json_int_t)rt->mail->inbox_count, "no_room",
		(json_int_t)engine_mail_refused(rt->engine), "refused", refused_status_json(rt),
		"held_back", (json_int_t)complaints_waiting(rt), "complaints_awaited",
		(json_int_t)rt->complaints_awaited, "complaints_refused",
		(json_int_t)rt->complaints_refused, "newest", newest_json(rt->mail));
}
