/*
 * settings: how sauti-web was started, from its command line or a strict INI file
 * (docs/man/sauti-web.8):
 *
 *   [web]
 *   listen = 127.0.0.1:8480         or [::1]:PORT, or unix:/PATH
 *   socket = /run/sauti/public.sock of sautid
 *   hosts = localhost 127.0.0.1     names that requests may be addressed to
 *   logs = on                       whether /logs lists what there is
 *   access_log = off
 *
 *   [limits]
 *   connections, workers, header_timeout, body_timeout, idle_timeout, node_timeout,
 *   checkpoints_per_minute
 */
#ifndef WEB_SETTINGS_H
#define WEB_SETTINGS_H

#include <netinet/in.h>
#include <sys/un.h>

#include "web/hosts.h"

enum { WEB_SOCKET_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) };

union web_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

struct settings {
	union web_address listen; /* sa_family 0: not said */
	char socket[WEB_SOCKET_SIZE];
	struct hosts hosts; /* none: the default */
	bool logs, access_log;
	uint32_t connections, workers;
	uint32_t header_s, body_s, idle_s, node_s; /* seconds */
	uint32_t checkpoints;                      /* a minute */
};

void settings_init(struct settings *settings);
/* One key as on the command line: "listen", "socket", "hosts".. ERR_INVALID, ERR_LIMIT; ctx says
 * what was found and what is allowed. */
enum err settings_set(
	struct settings *settings, const char *key, const char *value, struct errctx *ctx) MUST_USE;
/* The text of a file; errors of node/ini.h. */
enum err settings_parse(struct settings *settings, struct bytes text, const char *file,
	struct errctx *ctx) MUST_USE;
/* All of it together: what must be said is, and defaults take the place of what was not.
 * ERR_INVALID. */
enum err settings_finish(struct settings *settings, struct errctx *ctx) MUST_USE;

#endif
