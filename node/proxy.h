/*
 * proxy: how to ask an HTTP proxy for a tunnel (CONNECT, RFC 9110 9.3.6), and what it answers. TLS
 * goes through it from end to end: the proxy learns the address, and nothing else. Pure.
 */
#ifndef NODE_PROXY_H
#define NODE_PROXY_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the request for a tunnel to target, "HOST:PORT". credentials: "USER:PASSWORD" for Basic
 * (RFC 7617); empty: none. */
void proxy_request(struct buf *out, const char *target, struct bytes credentials);

/* Judges what has arrived from the proxy. OK: the tunnel is there, what follows the first *ret_used
 * bytes came through it. ERR_AGAIN: more must come. ERR_LIMIT: over LIMIT_HTTP_HEADER and no end.
 * ERR_MALFORMED: no answer of HTTP/1. ERR_UNREACHABLE: any status but 2xx; ctx names it. */
enum err proxy_response(struct bytes data, size_t *ret_used, struct errctx *ctx) MUST_USE;

/* Reads "USER:PASSWORD" out of a file's text: one line, printable, with a colon, at most
 * LIMIT_PROXY_CREDENTIALS. ERR_INVALID, ERR_LIMIT; ctx says what is allowed, never what was found.
 * *ret is a view of text. */
enum err proxy_credentials(struct bytes text, struct bytes *ret, struct errctx *ctx) MUST_USE;

#endif
