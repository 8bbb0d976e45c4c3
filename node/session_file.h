/*
 * session_file: where the command line keeps the token of an officer's session between two calls:
 * the file `session` beside the control socket, or the one that $SAUTI_SESSION names. Mode 0600, 64
 * hexadecimal digits and a line feed. Whoever reads it is that officer until the session ends.
 *
 * Errors of node/files.h besides those below.
 */
#ifndef NODE_SESSION_FILE_H
#define NODE_SESSION_FILE_H

#include "node/files.h"

enum { SESSION_FILE_TOKEN = 32 };

/* ERR_LIMIT: the path would be too long. */
enum err session_file_path(const char *socket, char ret[PATH_MAX], struct errctx *ctx) MUST_USE;
/* ERR_NOTFOUND: there is none, or what is in it is no token. ERR_DENIED: others can read it, or it
 * is neither ours nor root's (root may read anybody's). Symbolic links are not followed. */
enum err session_file_read(
	const char *path, uint8_t ret_token[SESSION_FILE_TOKEN], struct errctx *ctx) MUST_USE;
/* Makes or replaces it; what was there is never written to, but where there is no room: then one of
 * ours is, in place. */
enum err session_file_write(
	const char *path, const uint8_t token[SESSION_FILE_TOKEN], struct errctx *ctx) MUST_USE;
/* The session is over: blanks in place of the token, so that the next one has room. A file that is
 * none of ours is removed. */
enum err session_file_clear(const char *path, struct errctx *ctx) MUST_USE;

#endif
