/* A request's head, as lines: target, host, length, anything for a Transfer-Encoding. What is let
 * through is a path that is written back as it was. */
#include <assert.h>
#include <stdio.h>

#include "web/metrics.h"
#include "web/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text until the next line feed, cut; what is behind it. */
static const char *line(struct bytes *rest, char *ret, size_t size)
{
	const uint8_t *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
	size_t length = end == NULL ? rest->size : (size_t)(end - rest->data);
	size_t cut = length < size - 1 ? length : size - 1;

	if (cut > 0)
		memcpy(ret, rest->data, cut);
	ret[cut] = '\0';
	*rest = end == NULL ? BYTES_NONE : bytes_make(end + 1, rest->size - length - 1);
	return ret;
}

static void check_route(const struct route *route, const char *target)
{
	char path[LIMIT_HTTP_TARGET + 1];
	size_t size = strlen(target);

	if (route->origin[0] == '\0')
		return;
	snprintf(path, sizeof(path), "/%s/%s", route->origin,
		route->kind == ROUTE_WITNESS ? "checkpoint" : route->path);
	assert(strlen(path) <= size && strcmp(target + size - strlen(path), path) == 0);
	assert(strspn(route->origin, "abcdefghijklmnopqrstuvwxyz0123456789-./~") ==
		strlen(route->origin));
	assert(strstr(path, "..") == NULL && strstr(path, "//") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = bytes_make(data, size);
	char target[LIMIT_HTTP_TARGET + 8], host[300], length[64], encoding[64];
	char origin[LIMIT_LOG_NAME + 1];
	struct request_head head = {.version = "HTTP/1.1", .hosts = 1, .lengths = 1};
	struct request request;
	struct hosts hosts;
	const char *word;

	head.target = line(&rest, target, sizeof(target));
	head.host = line(&rest, host, sizeof(host));
	head.length = line(&rest, length, sizeof(length));
	head.transfer_encoding = *line(&rest, encoding, sizeof(encoding)) != '\0';
	head.method = length[0] == '\0' ? "GET" : "POST";
	head.lengths = length[0] != '\0';
	hosts_default(&hosts);
	request_judge(&head, &hosts, &request);
	if (request.status == 0) {
		assert(request.route.kind != ROUTE_NONE && !head.transfer_encoding);
		assert(hosts_match(&hosts, bytes_str(host)));
		assert(request.body_size <= LIMIT_HTTP_BODY);
		check_route(&request.route, target);
	}
	/* And a document of the node. */
	if (metrics_origin(bytes_make(data, size), origin) == OK)
		assert(strchr(origin, '\n') == NULL);
	(void)!metrics_ready(bytes_make(data, size), &word);
	return 0;
}
