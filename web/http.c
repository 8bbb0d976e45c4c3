#include "web/http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "web/answer.h"
#include "web/bucket.h"
#include "web/clients.h"
#include "web/clock.h"
#include "web/pool.h"

enum {
	/* Of a connection: a head, and the head of an answer. */
	CONNECTION_MEMORY = LIMIT_HTTP_HEADER + 8 * 1024,
	SEND_RATE_MIN = 16, /* bytes a millisecond, below which a reader is too slow */
	STOP_MS = 5000,     /* for answers under way */
	STOP_POLL_US = 20000,
	SILENT_MS = 10000, /* between two complaints about the node */
	SHORT_S = 10,
	LONG_S = 3600,
};

struct http {
	const struct settings *settings;
	struct MHD_Daemon *daemon;
	struct node node;
	struct pool *pool;
	struct clients clients;
	struct counters counters;
	struct bucket checkpoints; /* used by libmicrohttpd's thread alone */
	atomic_bool stopping;
	atomic_ullong silent_until_ms; /* whoever asks often must not fill the journal */
};

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_REFUSED, STAGE_ASKING, STAGE_ANSWERED, STAGE_QUEUED };

/* One request, from its first line until its answer is sent or its connection gone. */
struct exchange {
	struct job job;
	struct http *http;
	struct MHD_Connection *connection;
	struct client *client; /* NULL: there was no memory */
	enum stage stage;
	char target[LIMIT_HTTP_TARGET + 2]; /* cut when it is longer */
	char method[8];                     /* for the log */
	struct request request;
	struct buf body;
	struct answer answer;
	uint64_t began_ms, sent;
};

static void until(struct exchange *exchange, uint64_t ms)
{
	clients_until(&exchange->http->clients, exchange->client, clock_ms() + ms);
}

/* ---- sending ---- */

static const char *cache_control(enum cache cache, char *text, size_t size)
{
	switch (cache) {
	case CACHE_SHORT:
		snprintf(text, size, "public, max-age=%d", SHORT_S);
		break;
	case CACHE_LONG:
		snprintf(text, size, "public, max-age=%d", LONG_S);
		break;
	case CACHE_FOREVER:
		return "public, max-age=31536000, immutable";
	default:
		return "no-store";
	}
	return text;
}

static enum MHD_Result add_headers(struct MHD_Response *response, const struct answer *answer)
{
	char cache[64], retry[16];
	const struct {
		const char *name, *value;
	} headers[] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, answer->type},
		{MHD_HTTP_HEADER_CACHE_CONTROL, cache_control(answer->cache, cache, sizeof(cache))},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Referrer-Policy", "no-referrer"},
		{MHD_HTTP_HEADER_ALLOW, answer->allow},
		{MHD_HTTP_HEADER_RETRY_AFTER, answer->retry_s > 0 ? retry : NULL},
		{MHD_HTTP_HEADER_CONNECTION, answer->close ? "close" : NULL},
	};

	snprintf(retry, sizeof(retry), "%u", answer->retry_s);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (headers[i].value != NULL && MHD_add_response_header(response, headers[i].name,
							headers[i].value) != MHD_YES)
			return MHD_NO;
	return MHD_YES;
}

/* The body stays the exchange's, which lives until its request is completed. */
static enum MHD_Result send_answer(struct exchange *exchange)
{
	struct answer *answer = &exchange->answer;
	struct http *http = exchange->http;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body.size, answer->body.data, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (response == NULL)
		return MHD_NO;
	if (atomic_load(&http->stopping))
		answer->close = true;
	exchange->stage = STAGE_QUEUED;
	exchange->sent = answer->body.size;
	until(exchange,
		UINT64_C(1000) * http->settings->idle_s + answer->body.size / SEND_RATE_MIN);
	counters_request(&http->counters, exchange->request.route.kind, answer->status);
	if (add_headers(response, answer) == MHD_YES)
		result = MHD_queue_response(exchange->connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct exchange *exchange, unsigned status)
{
	struct answer *answer = &exchange->answer;

	answer_error(answer, status);
	answer->allow = exchange->request.allow;
	answer->close = exchange->request.close;
	return send_answer(exchange);
}

/* ---- receiving ---- */

static enum MHD_Result count_header(
	void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request_head *head = arg;

	if (value == NULL)
		value = "";
	if (strcasecmp(name, "Host") == 0 && head->hosts++ == 0)
		head->host = value;
	else if (strcasecmp(name, "Content-Length") == 0 && head->lengths++ == 0)
		head->length = value;
	else if (strcasecmp(name, "Transfer-Encoding") == 0)
		head->transfer_encoding = true;
	else if (strcasecmp(name, "Origin") == 0)
		head->origin = true;
	else if (strcasecmp(name, "Expect") == 0)
		head->expect = value;
	return MHD_YES;
}

static size_t head_size(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info == NULL ? 0 : info->header_size;
}

static enum MHD_Result take_head(struct exchange *exchange, const char *method, const char *version)
{
	struct http *http = exchange->http;
	struct request_head head = {
		.method = method, .version = version, .target = exchange->target};

	snprintf(exchange->method, sizeof(exchange->method), "%s", method);
	MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, count_header, &head);
	head.size = head_size(exchange->connection);
	request_judge(&head, &http->settings->hosts, &exchange->request);
	if (exchange->request.status != 0) {
		counters_reject(&http->counters, REJECTED_HEAD);
		exchange->stage = STAGE_REFUSED;
		/* What is answered before libmicrohttpd asks for a body ends the connection. */
		return exchange->request.close ? refuse(exchange, exchange->request.status)
					       : MHD_YES;
	}
	exchange->stage = STAGE_BODY;
	if (exchange->request.route.kind != ROUTE_ADD_CHECKPOINT)
		return MHD_YES;
	if (!bucket_take(&http->checkpoints, clock_ms())) {
		counters_reject(&http->counters, REJECTED_RATE);
		exchange->request.close = true;
		return refuse(exchange, 429);
	}
	until(exchange, UINT64_C(1000) * http->settings->body_s);
	return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *size)
{
	buf_put(&exchange->body, bytes_make(data, *size));
	*size = 0;
	return exchange->body.err == OK ? MHD_YES : MHD_NO;
}

static void complain(struct http *http, const char *text)
{
	unsigned long long until = atomic_load(&http->silent_until_ms), now = clock_ms();

	char safe[600];

	/* Some of it may be the node's own words. */
	if (now >= until &&
		atomic_compare_exchange_strong(&http->silent_until_ms, &until, now + SILENT_MS))
		fprintf(stderr, "sauti-web: %s\n",
			text_escape(bytes_str(text), safe, sizeof(safe)));
}

/* In a worker. */
static void run_job(struct job *job, struct node_line *line)
{
	struct exchange *exchange = (struct exchange *)job;
	struct http *http = exchange->http;
	struct answer_opts opts = {.line = line, .logs = http->settings->logs};
	struct errctx ctx = {""};

	if (line != NULL) {
		answer_make(&exchange->answer, &opts, &exchange->request,
			buf_bytes(&exchange->body), &ctx);
	} else {
		counters_reject(&http->counters, REJECTED_QUEUE);
		answer_error(&exchange->answer, 503);
	}
	if (ctx.text[0] != '\0')
		complain(http, ctx.text);
	exchange->stage = STAGE_ANSWERED;
	MHD_resume_connection(exchange->connection);
}

static enum MHD_Result ask(struct exchange *exchange)
{
	struct http *http = exchange->http;

	exchange->stage = STAGE_ASKING;
	exchange->job.run = run_job;
	/* It has no end while the node thinks: that has its own. */
	clients_until(&http->clients, exchange->client, UINT64_MAX);
	MHD_suspend_connection(exchange->connection);
	if (pool_submit(http->pool, &exchange->job) == OK)
		return MHD_YES;
	counters_reject(&http->counters, REJECTED_QUEUE);
	answer_error(&exchange->answer, 503);
	exchange->stage = STAGE_ANSWERED;
	MHD_resume_connection(exchange->connection);
	return MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct exchange *exchange = *state;

	if (exchange == NULL)
		return MHD_NO;
	switch (exchange->stage) {
	case STAGE_HEAD:
		return take_head(exchange, method, version);
	case STAGE_BODY:
		if (*size > 0)
			return take_body(exchange, data, size);
		return ask(exchange);
	case STAGE_REFUSED:
		return refuse(exchange, exchange->request.status);
	case STAGE_ANSWERED:
		return send_answer(exchange);
	default:
		return MHD_YES;
	}
}

/* ---- the life of connections and requests ---- */

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* The request line was read: the first that is known of a request. */
static void *begin(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct exchange *exchange = mem_zalloc(sizeof(*exchange));

	if (exchange == NULL)
		return NULL;
	exchange->http = arg;
	exchange->connection = connection;
	exchange->client = client_of(connection);
	exchange->began_ms = clock_ms();
	snprintf(exchange->target, sizeof(exchange->target), "%s", uri);
	buf_init(&exchange->body, LIMIT_HTTP_BODY);
	answer_init(&exchange->answer, &exchange->http->counters);
	atomic_fetch_add(&exchange->http->counters.in_flight, 1);
	until(exchange, UINT64_C(1000) * exchange->http->settings->header_s);
	return exchange;
}

static void log_access(const struct exchange *exchange)
{
	char target[80], method[40];

	if (exchange->http->settings->access_log && exchange->answer.status != 0)
		fprintf(stderr, "sauti-web: %s %s %u %llu %llu ms\n",
			text_escape(bytes_str(exchange->method), method, sizeof(method)),
			text_escape(bytes_str(exchange->target), target, sizeof(target)),
			exchange->answer.status, (unsigned long long)exchange->sent,
			(unsigned long long)(clock_ms() - exchange->began_ms));
}

static void complete(void *arg, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *state;

	if (exchange == NULL)
		return;
	*state = NULL;
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
		atomic_fetch_add(&exchange->http->counters.body_bytes, exchange->sent);
		until(exchange, UINT64_C(1000) * exchange->http->settings->idle_s);
	}
	log_access(exchange);
	atomic_fetch_sub(&exchange->http->counters.in_flight, 1);
	answer_release(&exchange->answer);
	buf_release(&exchange->body);
	mem_free(exchange);
}

static void notify(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		atomic_fetch_add(&http->counters.connections, 1);
		*context = clients_add(&http->clients, info->connect_fd,
			clock_ms() + UINT64_C(1000) * http->settings->header_s);
		return;
	}
	atomic_fetch_sub(&http->counters.connections, 1);
	clients_remove(&http->clients, *context);
	*context = NULL;
}

/* Nothing is decoded: see route.h. */
static size_t unescape(void *arg, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

/* ---- start and stop ---- */

static void http_free(struct http *http)
{
	/* No connection may be suspended when libmicrohttpd stops, and until then its thread may
	 * submit. */
	if (http->pool != NULL)
		pool_stop(http->pool);
	if (http->daemon != NULL)
		MHD_stop_daemon(http->daemon);
	pool_free(http->pool);
	clients_release(&http->clients);
	node_release(&http->node);
	mem_free(http);
}

enum err http_start(
	const struct settings *settings, int listen_fd, struct http **ret, struct errctx *ctx)
{
	struct http *http = mem_zalloc(sizeof(*http));
	unsigned idle = 2 * (settings->header_s + settings->body_s + settings->idle_s);
	enum err err;

	if (http == NULL) {
		close(listen_fd);
		return ERR_NOMEM;
	}
	http->settings = settings;
	http->checkpoints = (struct bucket){.per_minute = settings->checkpoints};
	clients_init(&http->clients);
	node_init(&http->node, settings->socket, settings->node_s);
	err = pool_new(&http->node, settings->workers, &http->pool);
	if (err != OK) {
		close(listen_fd);
		http_free(http);
		return err;
	}
	http->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)settings->connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		/* Behind the ends of clients.h, which are the ones that count. */
		MHD_OPTION_CONNECTION_TIMEOUT, idle, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_URI_LOG_CALLBACK, begin,
		http, MHD_OPTION_NOTIFY_COMPLETED, complete, http, MHD_OPTION_NOTIFY_CONNECTION,
		notify, http, MHD_OPTION_END);
	if (http->daemon == NULL) {
		close(listen_fd);
		http_free(http);
		return err_set(ctx, ERR_IO, "libmicrohttpd did not start");
	}
	*ret = http;
	return OK;
}

void http_tick(struct http *http)
{
	for (size_t n = clients_sweep(&http->clients, clock_ms()); n > 0; n--)
		counters_reject(&http->counters, REJECTED_TIMEOUT);
}

void http_stop(struct http *http)
{
	uint64_t end = clock_ms() + STOP_MS;
	MHD_socket listening = MHD_quiesce_daemon(http->daemon);

	if (listening != MHD_INVALID_SOCKET)
		close(listening);
	atomic_store(&http->stopping, true);
	while (atomic_load(&http->counters.in_flight) > 0 && clock_ms() < end)
		usleep(STOP_POLL_US);
	http_free(http);
}
