#include "web/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "proto/codec.h"
#include "web/metrics.h"
#include "web/prometheus.h"

#define TEXT   "text/plain; charset=utf-8"
#define BINARY "application/octet-stream"
#define SIZE   "text/x.tlog.size"

enum { STATUS_JSON_MAX = LIMIT_CONTROL_RESPONSE };

void answer_init(struct answer *answer, struct counters *counters)
{
	*answer = (struct answer){.counters = counters};
	buf_init(&answer->body, LIMIT_WEB_ANSWER);
}

void answer_release(struct answer *answer)
{
	buf_release(&answer->body);
	if (answer->counted > 0)
		atomic_fetch_sub(&answer->counters->answer_bytes, answer->counted);
	answer->counted = 0;
}

static void set_type(struct answer *answer, const char *type)
{
	snprintf(answer->type, sizeof(answer->type), "%s", type);
}

static const char *text_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {
		{400, "bad request\n"},
		{403, "forbidden\n"},
		{404, "not found\n"},
		{405, "method not allowed\n"},
		{411, "length required\n"},
		{413, "body too large\n"},
		{414, "path too long\n"},
		{417, "expectation failed\n"},
		{421, "not a host that is served here\n"},
		{429, "too many requests\n"},
		{431, "header too large\n"},
		{502, "the node gave no answer that can be passed on\n"},
		{503, "not available now\n"},
		{505, "HTTP version not supported\n"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "internal error\n";
}

void answer_error(struct answer *answer, unsigned status)
{
	buf_clear(&answer->body);
	buf_put_str(&answer->body, text_of(status));
	answer->status = status;
	answer->cache = CACHE_NEVER;
	if (status == 503 || status == 429)
		answer->retry_s = status == 503 ? 2 : 10;
	set_type(answer, TEXT);
}

/* More of a body; all of them together have a cap. */
static enum err put(struct answer *answer, struct bytes data)
{
	unsigned long long before = atomic_fetch_add(&answer->counters->answer_bytes, data.size);

	answer->counted += data.size;
	if (before + data.size > LIMIT_WEB_ANSWERS) {
		counters_reject(answer->counters, REJECTED_MEMORY);
		return ERR_BUSY;
	}
	buf_put(&answer->body, data);
	return answer->body.err;
}

static enum err put_data(void *arg, const struct control_response *response, struct errctx *ctx)
{
	return put(arg, response->data);
}

/* What an error of the node's is for whoever asked, who learns no reason. */
static unsigned status_of(enum err err)
{
	switch (err) {
	case ERR_NOTFOUND:
	case ERR_DENIED:
	case ERR_INVALID:
		return 404;
	case ERR_MALFORMED:
	case ERR_LIMIT:
	case ERR_UNSUPPORTED:
	case ERR_VERSION:
		return 502;
	case ERR_NOMEM:
		return 500;
	default:
		return 503;
	}
}

static void fail(struct answer *answer, enum err err, struct errctx *ctx)
{
	unsigned status = status_of(err);

	if (err == ERR_UNREACHABLE || err == ERR_TIMEOUT)
		counters_reject(answer->counters, REJECTED_UNREACHABLE);
	if (status == 404 || err == ERR_BUSY)
		ctx->text[0] = '\0';
	else if (ctx->text[0] == '\0')
		err_set(ctx, err, "%s", err_text(err));
	answer_error(answer, status);
}

/* ---- files of logs ---- */

static void give_file(struct answer *answer, const struct answer_opts *opts,
	const struct route *route, struct errctx *ctx)
{
	Sauti__PublicFileRequest file = SAUTI__PUBLIC_FILE_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	bool checkpoint = route->kind == ROUTE_CHECKPOINT;
	enum err err;

	file.origin = (char *)route->origin;
	file.path = (char *)route->path;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_FILE;
	request.public_file = &file;
	err = node_ask(opts->line, &request, put_data, answer, ctx);
	if (err == OK && answer->body.size == 0)
		err = err_set(ctx, ERR_MALFORMED, "the node gave a file of no bytes");
	if (err != OK) {
		fail(answer, err, ctx);
		return;
	}
	answer->status = 200;
	answer->cache = checkpoint ? CACHE_SHORT : route->partial ? CACHE_LONG : CACHE_FOREVER;
	set_type(answer, checkpoint ? TEXT : BINARY);
}

/* ---- the witness ---- */

struct verdict {
	struct answer *answer;
	unsigned status;
	bool size; /* the body is a size */
};

/* {"status","content_type"}: only what the specification of tlog-witness has is passed on. */
static enum err take_verdict(void *arg, const struct control_response *response, struct errctx *ctx)
{
	static const int known[] = {200, 400, 403, 404, 409, 422, 429, 503};
	struct verdict *verdict = arg;
	const char *type = "";
	json_t *json;
	int status = 0;

	if (response->json.size > 0) {
		json = json_loadb((const char *)response->json.data, response->json.size,
			JSON_REJECT_DUPLICATES, NULL);
		if (json_unpack(json, "{s:i,s?s}", "status", &status, "content_type", &type) != 0)
			status = 0;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (status == known[i])
				verdict->status = (unsigned)status;
		verdict->size = strcmp(type, SIZE) == 0;
		json_decref(json);
		if (verdict->status == 0)
			return err_set(ctx, ERR_MALFORMED, "the node's verdict has no status");
	}
	return put(verdict->answer, response->data);
}

static void give_verdict(struct answer *answer, const struct answer_opts *opts,
	const Sauti__ControlRequest *request, struct errctx *ctx)
{
	struct verdict verdict = {.answer = answer};
	enum err err = node_ask(opts->line, request, take_verdict, &verdict, ctx);

	if (err == OK && verdict.status == 0)
		err = err_set(ctx, ERR_MALFORMED, "the node gave no verdict");
	if (err != OK) {
		fail(answer, err, ctx);
		return;
	}
	answer->status = verdict.status;
	answer->cache = CACHE_NEVER;
	answer->retry_s = verdict.status == 429 ? 60 : verdict.status == 503 ? 2 : 0;
	set_type(answer, verdict.size ? SIZE : TEXT);
}

static void add_checkpoint(struct answer *answer, const struct answer_opts *opts, struct bytes body,
	struct errctx *ctx)
{
	Sauti__AddCheckpointRequest add = SAUTI__ADD_CHECKPOINT_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;

	add.body = codec_binary(body);
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_ADD_CHECKPOINT;
	request.add_checkpoint = &add;
	give_verdict(answer, opts, &request, ctx);
}

static void give_witness(struct answer *answer, const struct answer_opts *opts,
	const struct route *route, struct errctx *ctx)
{
	Sauti__WitnessCheckpointRequest witness = SAUTI__WITNESS_CHECKPOINT_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;

	witness.origin_sha256 = (char *)route->origin;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_WITNESS_CHECKPOINT;
	request.witness_checkpoint = &witness;
	give_verdict(answer, opts, &request, ctx);
	if (answer->status == 200)
		answer->cache = CACHE_SHORT;
}

/* ---- lists, numbers, health ---- */

static enum err put_origin(void *arg, const struct control_response *response, struct errctx *ctx)
{
	struct answer *answer = arg;
	char origin[LIMIT_LOG_NAME + 1];

	if (response->json.size == 0)
		return OK;
	if (metrics_origin(response->json, origin) != OK)
		return err_set(ctx, ERR_MALFORMED, "the node names a log that can be none");
	TRY(put(answer, bytes_str(origin)));
	return put(answer, bytes_str("\n"));
}

static int compare_lines(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* As the file `logs` of an export has them: in the order of their bytes. */
static enum err sort_lines(struct buf *text)
{
	CLEANUP(mem_free_p) struct bytes *lines = NULL;
	CLEANUP(buf_release) struct buf sorted;
	size_t count = 0, at = 0;

	for (size_t i = 0; i < text->size; i++)
		count += text->data[i] == '\n';
	lines = mem_array(count + 1, sizeof(*lines));
	if (lines == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *end = memchr(text->data + at, '\n', text->size - at);

		lines[i] = bytes_make(text->data + at, (size_t)(end + 1 - (text->data + at)));
		at += lines[i].size;
	}
	qsort(lines, count, sizeof(*lines), compare_lines);
	buf_init(&sorted, text->max);
	for (size_t i = 0; i < count; i++)
		buf_put(&sorted, lines[i]);
	if (sorted.err == OK && sorted.size > 0)
		memcpy(text->data, sorted.data, sorted.size);
	return sorted.err;
}

static void give_logs(struct answer *answer, const struct answer_opts *opts, struct errctx *ctx)
{
	Sauti__PublicLogsRequest logs = SAUTI__PUBLIC_LOGS_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	enum err err;

	if (!opts->logs) {
		answer_error(answer, 404);
		return;
	}
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_LOGS;
	request.public_logs = &logs;
	err = node_ask(opts->line, &request, put_origin, answer, ctx);
	if (err == OK)
		err = sort_lines(&answer->body);
	if (err != OK) {
		fail(answer, err, ctx);
		return;
	}
	answer->status = 200;
	answer->cache = CACHE_NEVER;
	set_type(answer, TEXT);
}

/* One to a response, framed already. What is over the cap of an answer is left out: a few prove
 * that there was a fork, and an error would hide them all. */
static enum err put_evidence(void *arg, const struct control_response *response, struct errctx *ctx)
{
	struct answer *answer = arg;
	struct bytes data = response->data;

	if (data.size == 0)
		return OK;
	if (data.size <= 4 || data.size > 4 + LIMIT_EVIDENCE_SIZE ||
		get_u32be(data.data) != data.size - 4)
		return err_set(ctx, ERR_MALFORMED, "the node's evidence is not readable");
	return data.size > LIMIT_WEB_ANSWER - answer->body.size ? OK : put(answer, data);
}

/* As the file `evidence` of an export has them, but for the order; none: no such file. */
static void give_evidence(struct answer *answer, const struct answer_opts *opts, struct errctx *ctx)
{
	Sauti__PublicEvidenceRequest evidence = SAUTI__PUBLIC_EVIDENCE_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	enum err err;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_EVIDENCE;
	request.public_evidence = &evidence;
	err = node_ask(opts->line, &request, put_evidence, answer, ctx);
	if (err != OK) {
		fail(answer, err, ctx);
		return;
	}
	if (answer->body.size == 0) {
		answer_error(answer, 404);
		return;
	}
	answer->status = 200;
	answer->cache = CACHE_SHORT;
	set_type(answer, BINARY);
}

static enum err put_json(void *arg, const struct control_response *response, struct errctx *ctx)
{
	struct buf *json = arg;

	buf_put(json, response->json);
	return json->err;
}

static enum err ask_status(struct node_line *line, struct buf *ret_json, struct errctx *ctx)
{
	Sauti__PublicStatusRequest status = SAUTI__PUBLIC_STATUS_REQUEST__INIT;
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;

	request.body_case = SAUTI__CONTROL_REQUEST__BODY_PUBLIC_STATUS;
	request.public_status = &status;
	TRY(node_ask(line, &request, put_json, ret_json, ctx));
	if (ret_json->size == 0)
		return err_set(ctx, ERR_MALFORMED, "the node gave no status");
	return OK;
}

/* Also when the node does not answer: then that is what they say. */
static void give_metrics(struct answer *answer, const struct answer_opts *opts, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf json, text;
	enum err err;

	buf_init(&json, STATUS_JSON_MAX);
	buf_init(&text, LIMIT_WEB_METRICS);
	if (ask_status(opts->line, &json, ctx) != OK)
		buf_clear(&json);
	err = metrics_write(&text, buf_bytes(&json), answer->counters);
	if (err == OK)
		err = put(answer, buf_bytes(&text));
	if (err != OK) {
		fail(answer, err, ctx);
		return;
	}
	answer->status = 200;
	answer->cache = CACHE_NEVER;
	set_type(answer, PROMETHEUS_TYPE);
}

static void give_health(
	struct answer *answer, const struct answer_opts *opts, bool ready, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf json;
	const char *word = "ok";
	enum err err;

	buf_init(&json, STATUS_JSON_MAX);
	err = ask_status(opts->line, &json, ctx);
	if (err == OK && ready)
		err = metrics_ready(buf_bytes(&json), &word);
	if (err != OK) {
		fail(answer, err, ctx);
		word = "unreachable";
	}
	buf_clear(&answer->body);
	buf_printf(&answer->body, "%s\n", word);
	answer->status = strcmp(word, "ok") == 0 || strcmp(word, "ready") == 0 ? 200 : 503;
	answer->cache = CACHE_NEVER;
	set_type(answer, TEXT);
}

void answer_make(struct answer *answer, const struct answer_opts *opts,
	const struct request *request, struct bytes body, struct errctx *ctx)
{
	const struct route *route = &request->route;

	switch (route->kind) {
	case ROUTE_CHECKPOINT:
	case ROUTE_TILE:
	case ROUTE_ENTRIES:
		give_file(answer, opts, route, ctx);
		break;
	case ROUTE_WITNESS:
		give_witness(answer, opts, route, ctx);
		break;
	case ROUTE_ADD_CHECKPOINT:
		add_checkpoint(answer, opts, body, ctx);
		break;
	case ROUTE_LOGS:
		give_logs(answer, opts, ctx);
		break;
	case ROUTE_EVIDENCE:
		give_evidence(answer, opts, ctx);
		break;
	case ROUTE_METRICS:
		give_metrics(answer, opts, ctx);
		break;
	case ROUTE_HEALTHZ:
	case ROUTE_READYZ:
		give_health(answer, opts, route->kind == ROUTE_READYZ, ctx);
		break;
	default:
		answer_error(answer, 404);
	}
	if (answer->body.err != OK)
		answer_error(answer, 500);
}
