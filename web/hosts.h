/*
 * hosts: the names that a request may be addressed to. A page of another site can make a browser
 * on this machine ask for its own name, which it lets resolve to 127.0.0.1 (DNS rebinding): such a
 * request carries that name, and is refused. The port says nothing about that and is not compared.
 *
 * Pure.
 */
#ifndef WEB_HOSTS_H
#define WEB_HOSTS_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

struct hosts {
	char names[LIMIT_WEB_HOSTS][LIMIT_WEB_HOST + 1]; /* lower case */
	size_t count;
};

/* A name, an IPv4 address, or an IPv6 address in brackets; without a port. ERR_INVALID, ERR_LIMIT.
 */
enum err hosts_add(struct hosts *hosts, const char *name, struct errctx *ctx) MUST_USE;
/* localhost, 127.0.0.1, [::1] */
void hosts_default(struct hosts *hosts);
/* Is this "name" or "name:port" one of them? */
bool hosts_match(const struct hosts *hosts, struct bytes header);

#endif
