/*
 * join: headquarters' side of joining (certs/join.h, docs/PROTOCOL), on connections of ALPN
 * sauti-join/1. A stranger gets the directory, says one request, gets one reply. One request is
 * judged at a time, so that a token is used once; the invite is burned durably before anything is
 * signed, and the same keys with the same token get the same admission again.
 */
#ifndef SERVER_JOIN_H
#define SERVER_JOIN_H

#include "server/runtime.h"

void join_up(struct runtime *rt, struct conn *conn);
void join_message(struct runtime *rt, struct conn *conn, struct bytes message);
void join_down(struct runtime *rt, struct conn *conn);

#endif
