/*
 * The witness's two requests, which anybody may make: C2SP tlog-witness over the control socket.
 * The engine judges (replication/engine/witness.c); here somebody waits for it.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "replication/log/add_checkpoint.h"
#include "server/control/internal.h"
#include "server/internal.h"

static const char unknown[] = "no log of that origin is witnessed here";

struct witness_waiting {
	uint64_t ticket;
	struct control_request *request;
	struct buf body; /* the engine may hear of it a little later */
	struct witness_waiting *next;
};

static void answer_status(struct control_request *request, unsigned status, struct bytes body)
{
	const char *type = status == 409 ? "text/x.tlog.size" : "text/plain; charset=utf-8";

	answer_json(request, json_pack("{s:i,s:s}", "status", (int)status, "content_type", type),
		false);
	control_data(request, body);
	control_end(request, BYTES_NONE);
}

/* NULL: no memory, and the request has failed. */
static struct witness_waiting *wait_for(struct control_request *request, struct bytes body)
{
	struct runtime *rt = control_runtime(request);
	struct witness_waiting *w = mem_zalloc(sizeof(*w));

	if (w != NULL) {
		w->ticket = ++rt->next_ticket;
		w->request = request;
		buf_init(&w->body, LIMIT_ADD_CHECKPOINT + 1);
		buf_put(&w->body, body);
	}
	if (w == NULL || w->body.err == ERR_NOMEM) {
		mem_free(w);
		control_fail(request, ERR_NOMEM, 0, NULL);
		return NULL;
	}
	w->next = rt->witness_waiting;
	rt->witness_waiting = w;
	return w;
}

static struct control_request *waiting_take(struct witness_waiting **at)
{
	struct witness_waiting *w = *at;
	struct control_request *request = w->request;

	*at = w->next;
	buf_release(&w->body);
	mem_free(w);
	return request;
}

void control_witnessed(struct runtime *rt, const struct effect *effect)
{
	struct witness_waiting **at = &rt->witness_waiting;

	while (*at != NULL && (*at)->ticket != effect->ticket)
		at = &(*at)->next;
	if (*at != NULL)
		answer_status(waiting_take(at), (unsigned)effect->index, buf_bytes(&effect->body));
}

void control_witness_stop(struct runtime *rt)
{
	while (rt->witness_waiting != NULL)
		control_fail(waiting_take(&rt->witness_waiting), ERR_CANCELED, 0, NULL);
}

static void answer_why(struct control_request *request, unsigned status, const char *why)
{
	char text[300];

	snprintf(text, sizeof(text), "%s\n", why);
	answer_status(request, status, bytes_str(text));
}

/* Its form; and whoever may not read a log is not told about it either. ERR_NOTFOUND. */
static enum err may_hear(
	const struct control_request *request, struct bytes body, struct errctx *ctx)
{
	struct add_checkpoint asked;
	struct origin origin;
	struct note note;

	TRY(add_checkpoint_parse(body, &asked, &note, ctx));
	if (origin_parse(asked.origin, &origin, NULL) != OK || !public_gives(request, origin.text))
		return err_set(ctx, ERR_NOTFOUND, "%s", unknown);
	return OK;
}

void begin_add_checkpoint(
	struct control_request *request, const Sauti__AddCheckpointRequest *message)
{
	struct bytes body = codec_bytes(message->body);
	struct witness_waiting *w;
	struct errctx ctx = {""};
	enum err err;

	err = may_hear(request, body, &ctx);
	if (err != OK) {
		answer_why(request, err == ERR_NOTFOUND ? 404 : 400, err_message(&ctx, err));
		return;
	}
	w = wait_for(request, body);
	if (w != NULL)
		runtime_step(control_runtime(request), &(struct event){.type = EVENT_ADD_CHECKPOINT,
							       .entry = buf_bytes(&w->body),
							       .ticket = w->ticket});
}

static const struct origin *origin_hashed(const struct runtime *rt, const char *hex)
{
	char own[2 * HASH_SIZE + 1];

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		const struct origin *origin = engine_log_origin(rt->engine, i);
		struct hash hash;

		sha256(bytes_str(origin->text), &hash);
		hex_encode(hash_bytes(&hash), own);
		if (strcmp(own, hex) == 0)
			return origin;
	}
	return NULL;
}

void begin_witness_checkpoint(
	struct control_request *request, const Sauti__WitnessCheckpointRequest *message)
{
	struct runtime *rt = control_runtime(request);
	const struct origin *origin = origin_hashed(rt, message->origin_sha256);
	struct witness_waiting *w;

	if (origin == NULL || !public_gives(request, origin->text)) {
		answer_why(request, 404, unknown);
		return;
	}
	w = wait_for(request, BYTES_NONE);
	if (w != NULL)
		runtime_step(rt,
			&(struct event){
				.type = EVENT_WITNESS_GET, .origin = origin, .ticket = w->ticket});
}
