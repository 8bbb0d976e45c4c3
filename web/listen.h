/*
 * listen: the socket that sauti-web serves. A Unix socket is made with mode 0660; the file of one
 * that nobody serves any more is replaced, anything else there is not.
 */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include "web/settings.h"

/* ERR_BUSY: somebody listens there; ERR_EXISTS: something else stands there; ERR_DENIED, ERR_IO. */
enum err listen_open(const union web_address *address, int *ret_fd, struct errctx *ctx) MUST_USE;
/* "127.0.0.1:8480", with the port that the kernel chose for port 0; or "unix:/PATH". */
void listen_name(int fd, char *ret, size_t size);
/* Removes the file of a Unix socket. */
void listen_remove(const union web_address *address);

#endif
