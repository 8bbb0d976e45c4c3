/*
 * A web server as a source: the files of each log below <prefix>/<origin>, as an export has them.
 * Nothing it says is believed; what it must not do is keep us, fill memory, or lead us elsewhere:
 *
 *   time     30 s to connect; then at least 100 bytes a second, or it has stalled; a minute and a
 *            second for each 1,000 bytes that the file can have, for all of it
 *   size     a file is cut off when it is larger than one of its name can be
 *   place    no redirect is followed, no cookie kept, no other protocol spoken; https is verified
 *   trouble  429 and 503 are tried again, later and later, and so is a connection that broke
 *
 * Proxies of the environment (https_proxy and the like) are used as curl does.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cli/audit/source_open.h"
#include "replication/log/checkpoint.h"
#include "replication/log/evidence.h"

enum {
	URL_MAX = 1024, /* of the prefix */
	CONNECT_S = 30,
	STALL_S = 30,
	STALL_BYTES = 100, /* a second */
	WHOLE_MS = 60000,  /* and one more for each byte */
	WAIT_FIRST_MS = 200,
	WAIT_MAX_S = 30,
	LIST_MAX = LIMIT_LOGS * (LIMIT_LOG_NAME + 1),
};

struct http {
	char prefix[URL_MAX + 1]; /* without a slash at its end */
	const char *ca;           /* borrowed; NULL: the system's */
	CURL *curl;
	char url[URL_MAX + LIMIT_LOG_NAME + TLOG_PATH_SIZE + 3]; /* of the file that is read */
	char said[CURL_ERROR_SIZE];
	/* Of the answer that is coming. */
	struct buf *out;
	size_t before, max;
	bool over;
};

/* ---- one request ---- */

/* All of an answer that has another code than 200 is dropped. */
static size_t on_data(char *data, size_t one, size_t size, void *arg)
{
	struct http *http = arg;
	long code = 0;

	(void)one;
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &code);
	if (code != 200)
		return size;
	http->over = size > http->max - (http->out->size - http->before);
	if (http->over)
		return CURL_WRITEFUNC_ERROR;
	buf_put(http->out, bytes_make(data, size));
	return http->out->err == OK ? size : CURL_WRITEFUNC_ERROR;
}

static enum err set_up(struct http *http)
{
	CURL *c = http->curl;
	bool ok = true;

#define SET(option, value) ok = ok && curl_easy_setopt(c, CURLOPT_##option, value) == CURLE_OK
	SET(PROTOCOLS_STR, "http,https");
	SET(FOLLOWLOCATION, 0L);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(HTTP09_ALLOWED, 0L);
	SET(HTTP_CONTENT_DECODING, 0L);
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	SET(CONNECTTIMEOUT, (long)CONNECT_S);
	SET(LOW_SPEED_LIMIT, (long)STALL_BYTES);
	SET(LOW_SPEED_TIME, (long)STALL_S);
	SET(NOSIGNAL, 1L);
	SET(MAXCONNECTS, 1L);
	SET(USERAGENT, "sauti/" SAUTI_VERSION);
	SET(ERRORBUFFER, http->said);
	SET(WRITEFUNCTION, on_data);
	SET(WRITEDATA, http);
	if (http->ca != NULL) {
		SET(CAINFO, http->ca);
		SET(CAPATH, NULL);
	}
#undef SET
	return ok ? OK : ERR_NOMEM;
}

/* The one place where curl's codes become ours. */
static enum err curl_error(const struct http *http, CURLcode code, struct errctx *ctx)
{
	const char *why = http->said[0] != '\0' ? http->said : curl_easy_strerror(code);
	enum err err = ERR_IO;

	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		err = ERR_UNREACHABLE;
		break;
	case CURLE_OPERATION_TIMEDOUT:
		err = ERR_TIMEOUT;
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		err = ERR_UNTRUSTED;
		break;
	default:
		break;
	}
	return err_set(ctx, err, "%s: %s", http->url, why);
}

static bool broke(CURLcode code)
{
	return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
	       code == CURLE_GOT_NOTHING || code == CURLE_WEIRD_SERVER_REPLY ||
	       code == CURLE_UNSUPPORTED_PROTOCOL; /* what stands behind an answer too long */
}

static enum err judge_code(const struct http *http, long code, struct errctx *ctx)
{
	struct curl_header *encoded;

	if (code == 404 || code == 410)
		return err_set(ctx, ERR_NOTFOUND, "%s: not found", http->url);
	if (code == 401 || code == 403)
		return err_set(ctx, ERR_DENIED, "%s: the server refuses it (%ld)", http->url, code);
	if (code >= 300 && code < 400)
		return err_set(ctx, ERR_UNREACHABLE,
			"%s: the server leads elsewhere (%ld), which is not followed: name that "
			"place itself",
			http->url, code);
	if (code != 200)
		return err_set(ctx, ERR_IO, "%s: the server answers %ld", http->url, code);
	if (curl_easy_header(http->curl, "Content-Encoding", 0, CURLH_HEADER, -1, &encoded) ==
			CURLHE_OK &&
		strcmp(encoded->value, "identity") != 0)
		return err_set(
			ctx, ERR_IO, "%s: the server sends it compressed, unasked", http->url);
	return OK;
}

/* Does it help to ask again? Then how long to wait before, in *ret_ms. */
static bool try_again(const struct http *http, CURLcode result, unsigned tries, unsigned *ret_ms)
{
	long code = 0;
	curl_off_t after = 0;

	*ret_ms = (unsigned)WAIT_FIRST_MS << tries;
	if (result != CURLE_OK)
		return broke(result) && !http->over && http->out->err == OK && tries < 2;
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &code);
	if ((code != 429 && code != 503) || tries >= LIMIT_HTTP_RETRIES)
		return false;
	curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &after);
	if (after > WAIT_MAX_S)
		after = WAIT_MAX_S;
	if (after * 1000 > *ret_ms)
		*ret_ms = (unsigned)after * 1000;
	return true;
}

static void wait_ms(unsigned ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static enum err fetch(struct http *http, size_t max, struct buf *out, struct errctx *ctx)
{
	CURLcode result;
	unsigned ms;
	long code = 0;

	http->out = out;
	http->before = out->size;
	http->max = max;
	if (curl_easy_setopt(http->curl, CURLOPT_URL, http->url) != CURLE_OK ||
		curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)(WHOLE_MS + max)) !=
			CURLE_OK)
		return ERR_NOMEM;
	for (unsigned tries = 0;; tries++) {
		out->size = http->before;
		http->over = false;
		http->said[0] = '\0';
		result = curl_easy_perform(http->curl);
		if (!try_again(http, result, tries, &ms))
			break;
		wait_ms(ms);
	}
	if (http->over)
		return err_set(ctx, ERR_LIMIT,
			"%s: larger than %zu bytes, which no file of that "
			"name can be",
			http->url, max);
	TRY(out->err);
	if (result != CURLE_OK)
		return curl_error(http, result, ctx);
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &code);
	return judge_code(http, code, ctx);
}

/* Of what came before an error nothing stays. */
static enum err get(struct http *http, size_t max, struct buf *out, struct errctx *ctx)
{
	size_t before = out->size;
	enum err err = fetch(http, max, out, ctx);

	if (err != OK)
		out->size = before;
	return err;
}

/* ---- the source ---- */

static enum err http_source_read(void *arg, const char *origin, const char *path, size_t max,
	struct buf *out, struct errctx *ctx)
{
	struct http *http = arg;

	snprintf(http->url, sizeof(http->url), "%s/%s/%s", http->prefix, origin, path);
	return get(http, max, out, ctx);
}

static enum err take_line(struct http *http, struct bytes line,
	enum err (*each)(void *arg, const char *origin), void *arg, struct errctx *ctx)
{
	char origin[LIMIT_LOG_NAME + 1];

	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	if (line.size == 0 || line.data[0] == '#')
		return OK;
	if (line.size > LIMIT_LOG_NAME || log_name_parse(line, NULL, NULL, NULL) != OK)
		return err_set(ctx, ERR_MALFORMED,
			"%s is no list of logs, one to a line; name the logs themselves",
			http->url);
	memcpy(origin, line.data, line.size);
	origin[line.size] = '\0';
	return each(arg, origin);
}

/* The list at <prefix>/logs is a hint; without one the logs are named by whoever asks. */
static enum err http_source_logs(void *arg, enum err (*each)(void *each_arg, const char *origin),
	void *each_arg, struct errctx *ctx)
{
	struct http *http = arg;
	struct bytes rest;
	struct buf text;
	enum err err;

	snprintf(http->url, sizeof(http->url), "%s/logs", http->prefix);
	buf_init(&text, LIST_MAX);
	err = get(http, LIST_MAX, &text, ctx);
	rest = buf_bytes(&text);
	while (err == OK && rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);

		err = take_line(http, bytes_make(rest.data, size), each, each_arg, ctx);
		rest = bytes_make(
			rest.data + size + (end != NULL), rest.size - size - (end != NULL));
	}
	buf_release(&text);
	return err == ERR_DENIED ? ERR_NOTFOUND : err;
}

/* None at <prefix>/evidence: then it holds none, or does not give them out. */
static enum err http_source_evidence(void *arg,
	enum err (*each)(void *each_arg, struct bytes message), void *each_arg, struct errctx *ctx)
{
	struct http *http = arg;
	struct buf file;
	enum err err;

	snprintf(http->url, sizeof(http->url), "%s/evidence", http->prefix);
	buf_init(&file, LIMIT_EVIDENCE_FILE);
	err = get(http, LIMIT_EVIDENCE_FILE, &file, ctx);
	if (err == OK) {
		err = evidence_frames(buf_bytes(&file), each, each_arg, ctx);
		if (err != OK)
			err_wrap(ctx, err, "%s", http->url);
	}
	buf_release(&file);
	return err == ERR_NOTFOUND || err == ERR_DENIED ? OK : err;
}

static bool is_url(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

/* Scheme, host and path: no password that would stand in messages, nothing that an origin cannot be
 * put behind. */
static enum err read_prefix(const char *text, char ret[URL_MAX + 1], struct errctx *ctx)
{
	const char *host = strstr(text, "://") + 3;
	size_t size = strlen(text);

	while (size > 0 && text[size - 1] == '/')
		size--;
	if (size > URL_MAX)
		return err_set(ctx, ERR_LIMIT, "an address of more than %d characters", URL_MAX);
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f ||
			strchr("?#\"<>\\^`{|}", text[i]) != NULL)
			return err_set(ctx, ERR_INVALID,
				"'%.*s': a web address has no such character as its %zu.",
				(int)size, text, i + 1);
	if (memchr(host, '@', strcspn(host, "/")) != NULL)
		return err_set(ctx, ERR_INVALID,
			"no user or password in a web address: whoever lists processes sees it");
	if (host >= text + size || host[0] == '/')
		return err_set(ctx, ERR_INVALID, "a web address without a host");
	memcpy(ret, text, size);
	ret[size] = '\0';
	return OK;
}

static void http_source_close(void *arg)
{
	struct http *http = arg;

	curl_easy_cleanup(http->curl);
	mem_free(http);
	curl_global_cleanup();
}

static enum err http_source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	struct http *http = mem_zalloc(sizeof(*http));
	enum err err;

	if (http == NULL)
		return ERR_NOMEM;
	http->ca = cli->ca;
	err = read_prefix(text, http->prefix, ctx);
	if (err != OK || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		mem_free(http);
		return err == OK ? ERR_NOMEM : err;
	}
	http->curl = curl_easy_init();
	err = http->curl == NULL ? ERR_NOMEM : set_up(http);
	if (err != OK) {
		http_source_close(http);
		return err;
	}
	*ret = (struct source){{.read = http_source_read,
				       .logs = http_source_logs,
				       .evidence = http_source_evidence,
				       .arg = http,
				       .tiles = true,
				       .name = text},
		http_source_close};
	return OK;
}

const struct source_kind source_kind_http = {is_url, http_source_open};
