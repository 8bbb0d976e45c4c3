#include "web/settings.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>

#include "base/text.h"
#include "node/ini.h"

#define AT(member) offsetof(struct settings, member)

void settings_init(struct settings *settings)
{
	*settings = (struct settings){.logs = true,
		.connections = 256,
		.workers = 4,
		.header_s = 10,
		.body_s = 20,
		.idle_s = 30,
		.node_s = 10,
		.checkpoints = 120};
}

static enum err set_path(struct settings *settings, const char *path, struct errctx *ctx)
{
	struct sockaddr_un *local = &settings->listen.local;

	if (path[0] != '/')
		return err_set(ctx, ERR_INVALID, "found 'unix:%s'; allowed: unix:/PATH", path);
	if (strlen(path) >= sizeof(local->sun_path))
		return err_set(ctx, ERR_LIMIT, "a socket's path has at most %zu characters",
			sizeof(local->sun_path) - 1);
	settings->listen = (union web_address){.local = {.sun_family = AF_UNIX}};
	strcpy(local->sun_path, path);
	return OK;
}

static bool loopback(const union web_address *address)
{
	if (address->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
	return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

/* host: without brackets, in `text` until its last colon. */
static bool parse_address(char *text, union web_address *ret)
{
	char *colon = strrchr(text, ':');
	uint64_t port;
	size_t end;

	if (colon == NULL || decimal_parse(bytes_str(colon + 1), 65535, &port) != OK)
		return false;
	*colon = '\0';
	end = (size_t)(colon - text);
	*ret = (union web_address){
		.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
	if (text[0] != '[')
		return inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1;
	if (text[end - 1] != ']')
		return false;
	text[end - 1] = '\0';
	*ret = (union web_address){
		.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
	return inet_pton(AF_INET6, text + 1, &ret->v6.sin6_addr) == 1;
}

/* Nothing else: there is no TLS here, and nobody is asked who he is. */
static enum err set_listen(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct settings *settings = object;
	union web_address address;
	char text[INET6_ADDRSTRLEN + 16];

	if (strncmp(value, "unix:", 5) == 0)
		return set_path(settings, value + 5, ctx);
	if (strlen(value) >= sizeof(text) || !parse_address(strcpy(text, value), &address))
		return err_set(ctx, ERR_INVALID,
			"found '%.80s'; allowed: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH", value);
	if (!loopback(&address))
		return err_set(ctx, ERR_INVALID,
			"%s is not an address of this machine alone; allowed: 127.0.0.1:PORT, "
			"[::1]:PORT or unix:/PATH, and a web server with TLS in front of it",
			value);
	settings->listen = address;
	return OK;
}

static enum err set_socket(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct settings *settings = object;

	if (strlen(value) >= sizeof(settings->socket))
		return err_set(ctx, ERR_LIMIT, "a socket's path has at most %zu characters",
			sizeof(settings->socket) - 1);
	strcpy(settings->socket, value);
	return OK;
}

/* Names with blanks between them. */
static enum err set_hosts(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct settings *settings = object;
	char name[LIMIT_WEB_HOST + 2];

	for (const char *at = value; *at != '\0';) {
		size_t size = strcspn(at, " ");

		snprintf(name, sizeof(name), "%.*s", (int)(size < sizeof(name) ? size : 256), at);
		TRY(hosts_add(&settings->hosts, name, ctx));
		at += size;
		at += strspn(at, " ");
	}
	return OK;
}

static enum err set_switch(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return err_set(ctx, ERR_INVALID, "found '%.40s'; allowed: on, off", value);
	*(bool *)((char *)object + key->offset) = on;
	return OK;
}

static enum err set_number(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	uint64_t number;

	if (decimal_parse(bytes_str(value), key->max, &number) != OK || number < key->min)
		return err_set(ctx, ERR_INVALID, "found '%.40s'; allowed: %llu to %llu", value,
			(unsigned long long)key->min, (unsigned long long)key->max);
	*(uint32_t *)((char *)object + key->offset) = (uint32_t)number;
	return OK;
}

static const struct ini_key web_keys[] = {
	{"listen", set_listen, 0, 0, 0},
	{"socket", set_socket, 0, 0, 0},
	{"hosts", set_hosts, 0, 0, 0},
	{"logs", set_switch, AT(logs), 0, 0},
	{"access_log", set_switch, AT(access_log), 0, 0},
};
static const struct ini_key limit_keys[] = {
	{"connections", set_number, AT(connections), 1, LIMIT_WEB_CONNECTIONS},
	{"workers", set_number, AT(workers), 1, LIMIT_WEB_WORKERS},
	{"header_timeout", set_number, AT(header_s), 1, 600},
	{"body_timeout", set_number, AT(body_s), 1, 600},
	{"idle_timeout", set_number, AT(idle_s), 1, 600},
	{"node_timeout", set_number, AT(node_s), 1, 600},
	{"checkpoints_per_minute", set_number, AT(checkpoints), 1, 100000},
};
#define COUNT(keys) (sizeof(keys) / sizeof((keys)[0]))
static const struct ini_section sections[] = {
	{"web", NULL, NULL, web_keys, COUNT(web_keys)},
	{"limits", NULL, NULL, limit_keys, COUNT(limit_keys)},
};

enum err settings_set(
	struct settings *settings, const char *key, const char *value, struct errctx *ctx)
{
	for (size_t i = 0; i < COUNT(web_keys); i++) {
		if (strcmp(web_keys[i].name, key) != 0)
			continue;
		enum err err = web_keys[i].set(settings, &web_keys[i], value, ctx);

		return err == OK ? OK : err_wrap(ctx, err, "%s", key);
	}
	return err_set(ctx, ERR_INVALID, "no such setting: %s", key);
}

enum err settings_parse(
	struct settings *settings, struct bytes text, const char *file, struct errctx *ctx)
{
	return ini_parse(text, file, sections, COUNT(sections), settings, ctx);
}

enum err settings_finish(struct settings *settings, struct errctx *ctx)
{
	if (settings->listen.any.sa_family == 0)
		return err_set(ctx, ERR_INVALID,
			"nowhere to listen: say --listen 127.0.0.1:PORT or unix:/PATH");
	if (settings->socket[0] == '\0')
		return err_set(ctx, ERR_INVALID,
			"no node: say --socket PATH, the public socket of sautid ([public] "
			"socket)");
	if (settings->hosts.count == 0)
		hosts_default(&settings->hosts);
	return OK;
}
