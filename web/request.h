/*
 * request: what a request's head may look like, and what is answered when it does not. One place
 * decides, before a byte of a body is read: what two programs could read in two ways (a body with
 * two lengths, a GET with a body) is refused and its connection closed, so that nothing can be
 * smuggled past a proxy.
 *
 * Pure.
 */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include "web/hosts.h"
#include "web/route.h"

/* A head as it came. Texts are borrowed; a header that is not there is NULL. */
struct request_head {
	const char *method, *version;
	const char *target; /* as in the request line, undecoded, with the query */
	const char *host;   /* the first of them.. */
	unsigned hosts;     /* .. and how many */
	const char *length; /* Content-Length, likewise */
	unsigned lengths;
	bool transfer_encoding; /* there is one */
	bool origin;            /* there is an Origin: a browser sends it for another site's page */
	const char *expect;
	size_t size; /* of all of it, in bytes; 0: not known */
};

struct request {
	struct route route;
	uint64_t body_size;
	unsigned status;   /* to refuse it with; 0: go on */
	const char *allow; /* with status 405 */
	bool close;        /* the connection, after the answer */
};

void request_judge(const struct request_head *head, const struct hosts *hosts, struct request *ret);

#endif
