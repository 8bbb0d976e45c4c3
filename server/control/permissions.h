/*
 * permissions: which request is for whom: one table, asked in one place, before anything is begun.
 * A request without a row is for nobody.
 *
 * What only a machine's owner can do anyway, and a locked node does, needs no session: replicating,
 * verifying, relaying, backing up, looking at what is public within the network. Whoever reaches
 * the socket could copy the files. What needs a key needs the session of somebody who may.
 *
 * Which cases an officer sees is not decided here: the vault does that, by name and roles.
 */
#ifndef SERVER_CONTROL_PERMISSIONS_H
#define SERVER_CONTROL_PERMISSIONS_H

#include "base/bytes.h"
#include "proto/control.pb-c.h"
#include "server/officers/sessions.h"

struct permission {
	Sauti__ControlRequest__BodyCase body;
	uint32_t roles; /* any of these (enum account_role); 0: no session is needed */
	/* NULL, or: it only reads, and so is for everybody. */
	bool (*reads)(const Sauti__ControlRequest *request);
};
enum { PERMISSION_SESSION = ACCOUNT_ROLES_ALL }; /* anybody who is logged in */

/* NULL: there is no row. */
const struct permission *permission_of(Sauti__ControlRequest__BodyCase body);

/* May the request of this field number be made on the public socket? */
bool permission_public(uint64_t number);
/* Looks at the wire form of a request on the public socket before anything is made of it: it is one
 * request, and one of those. ERR_DENIED: of others; ERR_MALFORMED. A token is passed over: nobody
 * is logged in there. */
enum err permissions_public(struct bytes wire, struct errctx *ctx) MUST_USE;

/* officer: whose session the request came with; NULL: without one. ERR_LOCKED: a session is needed
 * and the node is locked; ERR_DENIED: a session is needed, or another role: ctx says which.
 * ERR_UNSUPPORTED: no row. */
enum err permissions_check(const Sauti__ControlRequest *request,
	const struct officer_session *officer, bool locked, struct errctx *ctx) MUST_USE;

#endif
