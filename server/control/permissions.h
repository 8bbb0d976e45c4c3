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

/* officer: whose session the request came with; NULL: without one. ERR_LOCKED: a session is needed
 * and the node is locked; ERR_DENIED: a session is needed, or another role: ctx says which.
 * ERR_UNSUPPORTED: no row. */
enum err permissions_check(const Sauti__ControlRequest *request,
	const struct officer_session *officer, bool locked, struct errctx *ctx) MUST_USE;

#endif
