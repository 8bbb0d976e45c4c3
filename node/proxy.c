#include "node/proxy.h"

#include <string.h>

#include "base/limits.h"
#include "base/text.h"

enum { STATUS_LINE = 12 /* "HTTP/1.1 200" */, REASON_SHOWN = 80 };

void proxy_request(struct buf *out, const char *target, struct bytes credentials)
{
	buf_printf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
	if (credentials.size > 0) {
		buf_put_str(out, "Proxy-Authorization: Basic ");
		base64_encode(out, credentials);
		buf_put_str(out, "\r\n");
	}
	buf_put_str(out, "\r\n");
}

/* The size of the answer's head with the empty line that ends it; 0: it has not all arrived. Lines
 * end as RFC 9112 2.2 lets them: LF alone too. */
static size_t head_size(struct bytes data)
{
	for (size_t i = 0; i < data.size; i++) {
		if (data.data[i] != '\n')
			continue;
		if (i + 1 < data.size && data.data[i + 1] == '\n')
			return i + 2;
		if (i + 2 < data.size && data.data[i + 1] == '\r' && data.data[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* As far as it has come: what is no HTTP/1 is seen before its end, which may never come. */
static bool could_be_http(struct bytes data)
{
	static const char start[] = "HTTP/1.";
	const uint8_t *d = data.data;

	for (size_t i = 0; i < data.size && i < STATUS_LINE; i++) {
		bool good = i < sizeof(start) - 1    ? d[i] == (uint8_t)start[i]
			    : i == sizeof(start) - 1 ? is_digit(d[i])
			    : i == sizeof(start)     ? d[i] == ' '
						     : is_digit(d[i]);

		if (!good)
			return false;
	}
	return data.size <= STATUS_LINE || d[STATUS_LINE] == ' ' || d[STATUS_LINE] == '\r' ||
	       d[STATUS_LINE] == '\n';
}

enum err proxy_response(struct bytes data, size_t *ret_used, struct errctx *ctx)
{
	char shown[REASON_SHOWN];
	size_t size;

	if (!could_be_http(data))
		return err_set(ctx, ERR_MALFORMED, "the proxy does not answer in HTTP");
	if (data.size > LIMIT_HTTP_HEADER)
		data.size = LIMIT_HTTP_HEADER;
	size = head_size(data);
	if (size == 0 && data.size == LIMIT_HTTP_HEADER)
		return err_set(ctx, ERR_LIMIT, "the proxy's answer has more than %d bytes",
			LIMIT_HTTP_HEADER);
	if (size == 0)
		return ERR_AGAIN;
	if (size < STATUS_LINE)
		return err_set(ctx, ERR_MALFORMED, "the proxy does not answer in HTTP");
	if (data.data[9] == '2') {
		*ret_used = size;
		return OK;
	}
	const uint8_t *end = memchr(data.data, '\n', size);
	size_t line = (size_t)(end - data.data);

	line -= data.data[line - 1] == '\r';
	text_escape(bytes_make(data.data + 9, line - 9), shown, sizeof(shown));
	return err_set(ctx, ERR_UNREACHABLE, "the proxy answers %s", shown);
}

enum err proxy_credentials(struct bytes text, struct bytes *ret, struct errctx *ctx)
{
	bool colon = false;

	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.size--;
	if (text.size > LIMIT_PROXY_CREDENTIALS)
		return err_set(ctx, ERR_LIMIT, "more than %d characters", LIMIT_PROXY_CREDENTIALS);
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return err_set(ctx, ERR_INVALID, "allowed: one line, USER:PASSWORD");
		colon |= text.data[i] == ':';
	}
	if (!colon || text.data[0] == ':')
		return err_set(ctx, ERR_INVALID, "allowed: one line, USER:PASSWORD");
	*ret = text;
	return OK;
}
