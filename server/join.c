/*
 *   READING --directory read--> WELCOMED --JoinRequest--> INVITE --found, good--> BURNING
 *     --durable--> ADMITTING --record durable--> REPLYING --directory read--> gone
 *
 * A member whose keys rotate goes from WELCOMED to ADMITTING.
 *
 * The work of a step is done by a libuv worker (the store) or the engine; a connection that goes
 * away in the middle lets the step end and then everything go.
 */
#include "server/join.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "certs/join.h"
#include "certs/record.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/stored.pb-c.h"
#include "server/keys/replaced.h"
#include "server/log.h"

struct join {
	uv_work_t work;
	struct runtime *rt;
	struct conn *conn; /* NULL: gone */
	enum { READING, WELCOMED, INVITE, BURNING, ADMITTING, REPLYING } state;
	bool working;         /* a worker or the engine will come back */
	struct buf directory; /* lv16 entries */
	size_t directory_count;
	uint64_t directory_size;
	struct buf note, request, value;
	char name[LIMIT_NODE_NAME + 1];
	struct member member;
	struct hash request_hash;
	struct arena arena;
	Sauti__JoinRequest *message;
	Sauti__Invite *invite;
	enum err result;
	struct errctx ctx;
};

static struct join *busy; /* the one whose request is being judged */

static void join_free(struct join *join)
{
	if (busy == join)
		busy = NULL;
	arena_release(&join->arena);
	buf_release(&join->directory);
	buf_release(&join->note);
	buf_wipe(&join->request);
	buf_wipe(&join->value);
	mem_free(join);
}

/* True when the connection is gone and the join with it. */
static bool join_gone(struct join *join)
{
	join->working = false;
	if (join->conn != NULL && !join->rt->stopping)
		return false;
	if (join->conn != NULL)
		conn_set_data(join->conn, NULL);
	join_free(join);
	return true;
}

static void send_frame(struct join *join, const void *message)
{
	struct buf frame;

	buf_init(&frame, LIMIT_FRAME_SIZE + FRAME_HEADER_SIZE);
	frame_write(&frame, message);
	if (frame.err == OK)
		conn_send(join->conn, buf_bytes(&frame));
	else
		conn_close(join->conn, "the directory does not fit a message");
	buf_release(&frame);
}

/* Says the last word. The connection may go away under it, and the join with it. */
static void finish(struct join *join, const Sauti__JoinReply *reply, const char *reason)
{
	if (busy == join)
		busy = NULL;
	join->working = true; /* keeps it for the next lines */
	send_frame(join, reply);
	join->working = false;
	if (join->conn == NULL)
		join_free(join);
	else
		conn_close(join->conn, reason);
}

/* The stranger learns that it was refused; the reason stands in our log. */
static void refuse(struct join *join, enum err err)
{
	Sauti__JoinReply reply = SAUTI__JOIN_REPLY__INIT;
	char name[2 * LIMIT_NODE_NAME];

	if (log_gate(&join->rt->join_gate, uv_now(&join->rt->loop)))
		log_line(LOG_WARNING, "join of '%s' from %s refused: %s",
			text_escape(bytes_str(join->name), name, sizeof(name)),
			conn_address(join->conn), err_message(&join->ctx, err));
	reply.error = (char *)(err == ERR_LOCKED ? "headquarters is locked; try again later"
			       : err == ERR_BUSY ? "headquarters is busy with another; try again"
						 : "refused; ask headquarters why");
	finish(join, &reply, "refused");
}

/* The directory as it stands at its checkpoint. */

static void read_run(uv_work_t *work)
{
	struct join *join = work->data;
	struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	buf_clear(&join->directory);
	join->directory_count = 0;
	for (uint64_t i = 0; join->result == OK && i < join->directory_size; i++) {
		buf_clear(&entry);
		join->result = store_entry(
			join->rt->store, &join->rt->genesis.origin, i, &entry, &join->ctx);
		buf_put_lv16(&join->directory, buf_bytes(&entry));
		join->directory_count++;
	}
	if (join->result == OK)
		join->result = join->directory.err;
	buf_release(&entry);
}

static void start_work(struct join *join, uv_work_cb run, uv_after_work_cb done)
{
	join->result = OK;
	join->working = uv_queue_work(&join->rt->loop, &join->work, run, done) == 0;
	if (!join->working)
		conn_close(join->conn, "no worker");
}

static void start_read(struct join *join, uv_after_work_cb done)
{
	struct engine_log log;
	size_t position;
	struct runtime *rt = join->rt;

	if (!engine_log_find(rt->engine, bytes_str(rt->genesis.origin.text), &log, &position)) {
		conn_close(join->conn, "no directory");
		return;
	}
	join->directory_size = log.checkpoint_size;
	buf_clear(&join->note);
	buf_put(&join->note, log.checkpoint);
	start_work(join, read_run, done);
}

static ProtobufCBinaryData *directory_list(struct join *join)
{
	ProtobufCBinaryData *list =
		arena_alloc(&join->arena, (join->directory_count + 1) * sizeof(*list));
	struct cursor cursor = cursor_make(buf_bytes(&join->directory));

	for (size_t i = 0; list != NULL && i < join->directory_count; i++)
		list[i] = codec_binary(cursor_lv16(&cursor));
	return list;
}

static void welcome_done(uv_work_t *work, int status)
{
	struct join *join = work->data;
	Sauti__JoinWelcome welcome = SAUTI__JOIN_WELCOME__INIT;

	if (join_gone(join))
		return;
	welcome.checkpoint = codec_binary(buf_bytes(&join->note));
	welcome.n_entries = join->directory_count;
	welcome.entries = directory_list(join);
	if (status != 0 || join->result != OK || welcome.entries == NULL) {
		log_line(LOG_WARNING, "join: cannot read the directory: %s",
			err_message(&join->ctx, join->result));
		conn_close(join->conn, "cannot read the directory");
		return;
	}
	join->state = WELCOMED;
	send_frame(join, &welcome);
}

void join_up(struct runtime *rt, struct conn *conn)
{
	struct join *join = mem_zalloc(sizeof(*join));

	conn_set_data(conn, join);
	if (join == NULL) {
		conn_close(conn, "out of memory");
		return;
	}
	join->work.data = join;
	join->rt = rt;
	join->conn = conn;
	arena_init(&join->arena, LIMIT_ARENA_SIZE);
	buf_init(&join->directory, LIMIT_FRAME_SIZE);
	buf_init(&join->note, LIMIT_NOTE_SIZE);
	buf_init(&join->request, LIMIT_FRAME_SIZE);
	buf_init(&join->value, LIMIT_JOIN_TOKEN);
	start_read(join, welcome_done);
}

void join_down(struct runtime *rt, struct conn *conn)
{
	struct join *join = conn_data(conn);

	if (join == NULL)
		return;
	join->conn = NULL;
	if (!join->working)
		join_free(join);
}

/* The end: certificate and directory. */

static enum err make_certificate(struct join *join, struct buf *out)
{
	struct runtime *rt = join->rt;
	const struct member *now =
		directory_find(engine_directory(rt->engine), bytes_str(join->name));

	if (now == NULL || !now->active || !hash_equal(&now->tls_spki, &join->member.tls_spki) ||
		memcmp(&now->node, &join->member.node, sizeof(now->node)) != 0)
		return err_set(&join->ctx, ERR_EXISTS, "the directory did not take the record");
	if (rt->keys == NULL || rt->keys->issuing_key.size == 0)
		return err_set(&join->ctx, ERR_LOCKED, "headquarters is locked");
	return node_certificate_make(rt->genesis.network, join->name,
		codec_bytes(join->message->tls_public), secret_bytes(&rt->keys->issuing_key),
		buf_bytes(&rt->issuing_certificate), runtime_wall_s(), out);
}

static void reply_done(uv_work_t *work, int status)
{
	struct join *join = work->data;
	Sauti__JoinReply reply = SAUTI__JOIN_REPLY__INIT;
	struct buf certificate;

	if (join_gone(join))
		return;
	buf_init(&certificate, LIMIT_CERTIFICATE_SIZE);
	enum err err = join->result != OK ? join->result : make_certificate(join, &certificate);

	reply.entries = directory_list(join);
	if (err == OK && (status != 0 || reply.entries == NULL))
		err = ERR_NOMEM;
	if (err != OK) {
		refuse(join, err);
	} else {
		reply.certificate = codec_binary(buf_bytes(&certificate));
		reply.issuing_certificate = codec_binary(buf_bytes(&join->rt->issuing_certificate));
		reply.root_certificate = codec_binary(buf_bytes(&join->rt->root_certificate));
		reply.checkpoint = codec_binary(buf_bytes(&join->note));
		reply.n_entries = join->directory_count;
		log_line(LOG_INFO, "'%s' joined from %s", join->name, conn_address(join->conn));
		finish(join, &reply, "joined");
	}
	buf_release(&certificate);
}

static void admitted(void *arg, enum err error, uint64_t index)
{
	struct join *join = arg;

	if (join_gone(join))
		return;
	if (error != OK) {
		err_set(&join->ctx, error, "the directory could not be extended: %s",
			err_text(error));
		refuse(join, error);
		return;
	}
	join->state = REPLYING;
	start_read(join, reply_done);
}

/* Has the directory taken these keys already? Their reply was lost. */
static bool is_listed(const struct join *join)
{
	const struct member *now =
		directory_find(engine_directory(join->rt->engine), bytes_str(join->name));

	if (now == NULL || (join->invite != NULL && join->invite->epoch == 0))
		return now != NULL; /* with other keys: make_certificate says so */
	return memcmp(&now->node, &join->member.node, sizeof(now->node)) == 0;
}

static bool rotates(const struct join *join)
{
	return join->message->rotated_body.len > 0;
}

static enum err admit_entry(const struct join *join, struct buf *out)
{
	if (rotates(join))
		return record_write_signed(out, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED,
			codec_bytes(join->message->rotated_body),
			codec_bytes(join->message->rotated_signature));

	struct bytes admitted = codec_bytes(join->message->admitted_body);
	struct bytes signature = codec_bytes(join->message->admitted_signature);
	const struct replacing replacing = {
		join->name, join->invite->reason, join->invite->epoch, admitted, signature};

	if (join->invite->epoch > 0)
		return replaced_entry(join->rt, &replacing, out);
	return record_write_signed(
		out, SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED, admitted, signature);
}

static void admit(struct join *join)
{
	struct buf entry;
	struct entries *entries;
	enum err err;

	join->state = ADMITTING;
	if (is_listed(join)) {
		admitted(join, OK, 0);
		return;
	}
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	err = admit_entry(join, &entry);
	if (err == OK) {
		struct bytes list = buf_bytes(&entry);

		err = entries_make(&list, 1, &entries);
	}
	buf_release(&entry);
	if (err != OK) {
		refuse(join, err);
		return;
	}
	join->working = true;
	runtime_append(join->rt, join->rt->genesis.origin.text, entries, admitted, join);
}

static void burn_run(uv_work_t *work)
{
	struct join *join = work->data;

	join->result =
		store_invite_put(join->rt->store, join->name, buf_bytes(&join->value), &join->ctx);
}

static void burn_done(uv_work_t *work, int status)
{
	struct join *join = work->data;

	if (join_gone(join))
		return;
	if (status != 0 || join->result != OK)
		refuse(join, join->result == OK ? ERR_CANCELED : join->result);
	else
		admit(join);
}

/* The keys that asked, and nothing that changes from one try to the next. */
static void hash_request(struct join *join)
{
	const struct member *m = &join->member;
	const struct bytes parts[] = {bytes_str("sauti/1 join keys"), hash_bytes(&m->tls_spki),
		BYTES_ARRAY(m->node.b), BYTES_ARRAY(m->mirror.b), BYTES_ARRAY(m->witness.b),
		BYTES_ARRAY(m->complaint.b)};

	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), &join->request_hash);
}

static enum err judge(struct join *join)
{
	struct join_invite invite = {
		.role = (enum role)join->invite->role, .expires_at = join->invite->expires_at};
	uint8_t exporter[JOIN_EXPORTER_SIZE];

	if (join->rt->keys == NULL || join->rt->keys->directory == NULL)
		return err_set(&join->ctx, ERR_LOCKED, "headquarters is locked");
	if (join->invite->secret.len != JOIN_SECRET_SIZE)
		return err_set(&join->ctx, ERR_CORRUPT, "the stored invitation is damaged");
	snprintf(invite.name, sizeof(invite.name), "%s", join->invite->name);
	snprintf(invite.country, sizeof(invite.country), "%s", join->invite->country);
	memcpy(invite.secret, join->invite->secret.data, JOIN_SECRET_SIZE);
	enum err err =
		tls_export(conn_tls(join->conn), JOIN_EXPORTER_LABEL, exporter, sizeof(exporter));

	if (err == OK)
		err = join_request_check(join->message, join->rt->genesis.network, &invite,
			exporter, runtime_wall_s(), &join->member, &join->ctx);
	wipe(&invite, sizeof(invite));
	wipe(exporter, sizeof(exporter));
	TRY(err);
	hash_request(join);
	if (join->invite->request_hash.len > 0 &&
		!bytes_equal(
			codec_bytes(join->invite->request_hash), hash_bytes(&join->request_hash)))
		return err_set(&join->ctx, ERR_DENIED, "the token was used by other keys");
	return OK;
}

static void invite_run(uv_work_t *work)
{
	struct join *join = work->data;

	join->result = store_invite_get(join->rt->store, join->name, &join->value, &join->ctx);
}

static void invite_done(uv_work_t *work, int status)
{
	struct join *join = work->data;
	enum err err;

	if (join_gone(join))
		return;
	err = status != 0 ? ERR_CANCELED : join->result;
	if (err == OK)
		err = CODEC_UNPACK(invite, buf_bytes(&join->value), &scan_limits_default,
			&join->arena, &join->invite, &join->ctx);
	if (err == OK)
		err = judge(join);
	if (err != OK) {
		refuse(join, err);
		return;
	}
	join->invite->request_hash = codec_binary(hash_bytes(&join->request_hash));
	join->invite->used_at = runtime_wall_s();
	buf_clear(&join->value);
	codec_pack(&join->value, join->invite);
	join->state = BURNING;
	start_work(join, burn_run, burn_done);
}

/* No invite: the member's node key speaks for it. */
static void rotate(struct join *join)
{
	enum err err = OK;

	if (join->rt->keys == NULL || join->rt->keys->directory == NULL)
		err = err_set(&join->ctx, ERR_LOCKED, "headquarters is locked");
	if (err == OK)
		err = join_rotation_check(join->message, engine_directory(join->rt->engine),
			&join->member, &join->ctx);
	if (err != OK)
		refuse(join, err);
	else
		admit(join);
}

void join_message(struct runtime *rt, struct conn *conn, struct bytes message)
{
	struct join *join = conn_data(conn);
	enum err err;

	if (join == NULL)
		return;
	if (join->state != WELCOMED || join->message != NULL) {
		conn_close(conn, "a message out of turn");
		return;
	}
	err = CODEC_UNPACK(join_request, message, &scan_limits_strict, &join->arena, &join->message,
		&join->ctx);
	if (err == OK && !node_name_valid(bytes_str(join->message->name)))
		err = err_set(&join->ctx, ERR_MALFORMED, "it names no node");
	if (err == OK)
		snprintf(join->name, sizeof(join->name), "%s", join->message->name);
	if (err == OK && busy != NULL)
		err = err_set(&join->ctx, ERR_BUSY, "another join is being judged");
	if (err != OK) {
		refuse(join, err);
		return;
	}
	busy = join;
	if (rotates(join)) {
		rotate(join);
		return;
	}
	join->state = INVITE;
	start_work(join, invite_run, invite_done);
}
