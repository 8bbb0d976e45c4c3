/*
 * wait: clients that wait until what they recorded is held, or safe (server/safe.h). Nothing is
 * polled: cosignatures that come, changes of members, of the policy and of the escrow wake them,
 * and one timer ends those whose time is over. At most LIMIT_WAITS at a time.
 */
#ifndef SERVER_CONTROL_WAIT_H
#define SERVER_CONTROL_WAIT_H

#include "server/control/control.h"

void waits_init(struct runtime *rt);
void begin_safe_wait(struct control_request *request, const Sauti__SafeWaitRequest *message);
/* Something that they wait for may have come. */
void waits_wake(struct runtime *rt);

#endif
