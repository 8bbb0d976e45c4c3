#include "web/request.h"

#include <strings.h>

#include "base/text.h"

static bool known_version(const char *version)
{
	return strcmp(version, "HTTP/1.1") == 0 || strcmp(version, "HTTP/1.0") == 0;
}

/* "http://authority/path" (RFC 9112 3.2.2): *path becomes the path. False: another host's. */
static bool absolute_form(const struct hosts *hosts, struct bytes *path)
{
	static const char scheme[] = "http://";
	size_t skip = sizeof(scheme) - 1;
	struct bytes authority;
	const uint8_t *slash;

	if (path->size < skip || strncasecmp((const char *)path->data, scheme, skip) != 0)
		return true;
	authority = bytes_make(path->data + skip, path->size - skip);
	slash = memchr(authority.data, '/', authority.size);
	*path = BYTES_NONE;
	if (slash != NULL) {
		size_t size = (size_t)(slash - authority.data);

		*path = bytes_make(slash, authority.size - size);
		authority.size = size;
	}
	return hosts_match(hosts, authority);
}

/* 0, or the status to refuse it with. */
static unsigned judge_address(
	const struct request_head *head, const struct hosts *hosts, struct bytes *ret_path)
{
	if (!known_version(head->version))
		return 505;
	if (head->size > LIMIT_HTTP_HEADER)
		return 431;
	*ret_path = bytes_str(head->target);
	if (ret_path->size > LIMIT_HTTP_TARGET)
		return 414;
	if (head->hosts != 1)
		return 400;
	if (!absolute_form(hosts, ret_path) || !hosts_match(hosts, bytes_str(head->host)))
		return 421;
	return 0;
}

/* The length that the head gives the body; 0 when it gives none. */
static unsigned judge_framing(const struct request_head *head, uint64_t *ret_size)
{
	*ret_size = 0;
	if (head->transfer_encoding)
		return head->lengths > 0 ? 400 : 411;
	if (head->lengths > 1)
		return 400;
	if (head->lengths == 1 &&
		decimal_parse(bytes_str(head->length), UINT64_MAX, ret_size) != OK)
		return 400;
	return 0;
}

static unsigned judge_post(const struct request_head *head, uint64_t size)
{
	if (head->origin)
		return 403;
	if (head->lengths == 0)
		return 411;
	return size > LIMIT_HTTP_BODY ? 413 : 0;
}

static unsigned judge_method(const struct request_head *head, struct request *request)
{
	bool post = request->route.kind == ROUTE_ADD_CHECKPOINT;

	if (request->route.kind == ROUTE_NONE)
		return 404;
	if (post ? strcmp(head->method, "POST") != 0
		 : strcmp(head->method, "GET") != 0 && strcmp(head->method, "HEAD") != 0) {
		request->allow = post ? "POST" : "GET, HEAD";
		return 405;
	}
	if (head->expect != NULL && strcasecmp(head->expect, "100-continue") != 0)
		return 417;
	if (post)
		return judge_post(head, request->body_size);
	return request->body_size > 0 ? 400 : 0;
}

void request_judge(const struct request_head *head, const struct hosts *hosts, struct request *ret)
{
	struct bytes path = BYTES_NONE;

	*ret = (struct request){0};
	ret->status = judge_address(head, hosts, &path);
	if (ret->status == 0)
		ret->status = judge_framing(head, &ret->body_size);
	if (ret->status != 0) {
		ret->close = true;
		return;
	}
	route_parse(path, &ret->route);
	ret->status = judge_method(head, ret);
	/* Nobody will read its body. */
	ret->close = ret->status != 0 && ret->body_size > 0;
}
