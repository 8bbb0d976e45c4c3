/* What metrics and health are made of: numbers, without anybody's name or address. */
#include "server/control/internal.h"
#include "server/internal.h"
#include "server/mail.h"

static json_t *public_log_json(const struct runtime *rt, size_t position)
{
	struct engine_quorum quorum;
	struct engine_log log;

	engine_log_at(rt->engine, position, &log);
	engine_quorum_at(rt->engine, position, &quorum);
	return json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:i,s:i,s:b}", "origin", log.origin.text, "own",
		log.own, "entries", (json_int_t)log.size, "checkpoint",
		(json_int_t)log.checkpoint_size, "quorum_size", (json_int_t)quorum.size, "behind",
		(json_int_t)(log.known > log.size ? log.known - log.size : 0), "holders",
		(int)quorum.current, "quorum", (int)quorum.needed, "frozen", log.frozen);
}

static json_t *public_logs_json(const struct control_request *request, const struct runtime *rt)
{
	json_t *list = json_array();

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;

		engine_log_at(rt->engine, i, &log);
		if (log.branch || log.size == 0 || !public_gives(request, log.origin.text))
			continue;
		json_array_append_new(list, public_log_json(rt, i));
	}
	return list;
}

static json_t *sums_json(const struct runtime *rt)
{
	uint64_t entries = 0, unproven = 0;

	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_quorum quorum;
		struct engine_log log;

		engine_log_at(rt->engine, i, &log);
		if (log.branch)
			continue;
		engine_quorum_at(rt->engine, i, &quorum);
		entries += log.size;
		if (log.size > quorum.size)
			unproven += log.size - quorum.size;
	}
	return json_pack("{s:I,s:I,s:I}", "logs", (json_int_t)engine_log_count(rt->engine),
		"entries", (json_int_t)entries, "not_in_quorum", (json_int_t)unproven);
}

static json_t *peer_counts_json(const struct runtime *rt)
{
	size_t connected = 0, count = engine_peer_count(rt->engine);

	for (size_t i = 0; i < count; i++) {
		struct engine_peer peer;

		engine_peer_at(rt->engine, i, &peer);
		connected += peer.connected;
	}
	return json_pack(
		"{s:I,s:I}", "known", (json_int_t)count, "connected", (json_int_t)connected);
}

static json_t *traffic_json(struct runtime *rt)
{
	uint64_t in = 0, out = 0, sessions = 0;

	for (struct session_data *s = rt->sessions; s != NULL; s = s->next)
		session_measure(rt, s);
	for (const struct peer_meter *m = rt->meters; m != NULL; m = m->next) {
		in += m->meter.in;
		out += m->meter.out;
		sessions += m->meter.sessions;
	}
	return json_pack("{s:I,s:I,s:I}", "in_bytes", (json_int_t)in, "out_bytes", (json_int_t)out,
		"sessions", (json_int_t)sessions);
}

static json_t *mail_counts_json(const struct runtime *rt)
{
	size_t queued = 0;
	struct engine_mail mail;

	for (size_t i = 0; i < engine_mail_count(rt->engine); i++) {
		engine_mail_at(rt->engine, i, &mail);
		queued += !mail.ended;
	}
	return json_pack("{s:b,s:I,s:I}", "working", rt->mail->store != NULL, "queued",
		(json_int_t)queued, "no_room", (json_int_t)engine_mail_refused(rt->engine));
}

/* A short look, as the writer takes at every commit; null when the store cannot be read. */
static json_t *store_figures_json(const struct runtime *rt)
{
	struct store_usage usage;

	if (store_usage(rt->store, &usage) != OK)
		return json_null();
	return json_pack("{s:I,s:I,s:I}", "commits", (json_int_t)usage.commits, "file_bytes",
		(json_int_t)usage.file_bytes, "used_bytes", (json_int_t)usage.used_bytes);
}

void begin_public_status(struct control_request *request)
{
	struct runtime *rt = control_runtime(request);
	bool disk = rt->condition.trouble == TROUBLE_NONE;
	bool writable = guard_state_writable(&rt->guard_state);
	json_t *json = json_pack("{s:s,s:s,s:s,s:i,s:I,s:b,s:b}", "node", rt->node, "network",
		rt->genesis.network, "version", SAUTI_VERSION, "format", FORMAT_VERSION, "uptime_s",
		(json_int_t)((uv_now(&rt->loop) - rt->started_ms) / 1000), "locked",
		rt->keys == NULL, "ready", disk && writable && !rt->stopping);

	json_object_set_new(json, "disk", json_string(trouble_name(rt->condition.trouble)));
	json_object_set_new(
		json, "guard", json_string(guard_verdict_name(rt->guard_state.verdict)));
	json_object_set_new(json, "writable", json_boolean(writable));
	json_object_set_new(json, "damaged", json_integer((json_int_t)rt->damaged_left));
	json_object_set_new(json, "directory_size",
		json_integer((json_int_t)directory_size(engine_directory(rt->engine))));
	json_object_set_new(
		json, "evidence", json_integer((json_int_t)engine_evidence_count(rt->engine)));
	json_object_set_new(json, "sums", sums_json(rt));
	json_object_set_new(json, "peers", peer_counts_json(rt));
	json_object_set_new(json, "traffic", traffic_json(rt));
	json_object_set_new(json, "mail", mail_counts_json(rt));
	json_object_set_new(json, "store", store_figures_json(rt));
	json_object_set_new(json, "logs", public_logs_json(request, rt));
	answer_json(request, json, true);
}
