/*
 * Errors: one enumeration for the whole program, and a fixed-size text that says what and where.
 *
 * Whatever can fail returns an enum err, which must be checked. Outputs come last, are named
 * ret_x, and are untouched on failure. What peers, disks and people cause has a code here;
 * programming errors are assertions, which stay on in release builds.
 *
 * The human detail goes into a struct errctx that the caller may pass (NULL: not wanted) and that
 * is wrapped on the way up: "open log 'ovra.example/haiti/1-..': map full: 0 bytes free".
 * Never put a payload, key, token or passphrase into it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define ERR_CODES(X)                                                                               \
	X(ERR_NOMEM, "nomem", "out of memory")                                                     \
	X(ERR_INVALID, "invalid", "invalid input")                                                 \
	X(ERR_MALFORMED, "malformed", "malformed data")                                            \
	X(ERR_LIMIT, "limit", "over a limit")                                                      \
	X(ERR_PROOF, "proof", "proof does not verify")                                             \
	X(ERR_UNTRUSTED, "untrusted", "not trusted")                                               \
	X(ERR_CORRUPT, "corrupt", "stored data is corrupt")                                        \
	X(ERR_FORK, "fork", "two histories of one log")                                            \
	X(ERR_FULL, "full", "no space left")                                                       \
	X(ERR_LOCKED, "locked", "node is locked")                                                  \
	X(ERR_DENIED, "denied", "not permitted")                                                   \
	X(ERR_CONSENT, "consent", "no consent covers this")                                        \
	X(ERR_NOTFOUND, "notfound", "not found")                                                   \
	X(ERR_EXISTS, "exists", "exists already")                                                  \
	X(ERR_BUSY, "busy", "in use")                                                              \
	X(ERR_IO, "io", "input/output error")                                                      \
	X(ERR_CRYPTO, "crypto", "cryptographic library failed")                                    \
	X(ERR_DECRYPT, "decrypt", "cannot be decrypted")                                           \
	X(ERR_STALE, "stale", "out of date")                                                       \
	X(ERR_VERSION, "version", "unknown version")                                               \
	X(ERR_UNSUPPORTED, "unsupported", "not supported")                                         \
	X(ERR_TIMEOUT, "timeout", "timed out")                                                     \
	X(ERR_UNREACHABLE, "unreachable", "cannot be reached")                                     \
	X(ERR_CLOSED, "closed", "closed")                                                          \
	X(ERR_CANCELED, "canceled", "canceled")                                                    \
	X(ERR_AGAIN, "again", "more input needed")

enum err {
	OK = 0,
#define X(code, name, text) code,
	ERR_CODES(X)
#undef X
};

#define MUST_USE __attribute__((warn_unused_result))

/* Calls fn(&variable) when the variable goes out of scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Returns from the calling function when the expression is an error. */
#define TRY(expr)                                                                                  \
	do {                                                                                       \
		enum err try_err_ = (expr);                                                        \
		if (try_err_ != OK)                                                                \
			return try_err_;                                                           \
	} while (0)

struct errctx {
	char text[512]; /* "" when nothing was said; always terminated, cut when too long */
};

/* The short stable name ("malformed"), and the plain words ("malformed data"). Static strings. */
const char *err_name(enum err code);
const char *err_text(enum err code);

/* Replaces the text of ctx (may be NULL) and returns code, so: return err_set(ctx, ERR_X, ..). */
enum err err_set(struct errctx *ctx, enum err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<format>: " before what ctx says (or before err_text(code) when it says nothing);
 * returns code. */
enum err err_wrap(struct errctx *ctx, enum err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What ctx says, or err_text(code) when ctx is NULL or says nothing. */
const char *err_message(const struct errctx *ctx, enum err code);

#endif
