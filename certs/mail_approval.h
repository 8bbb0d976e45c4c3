/*
 * mail_approval: a second person is asked, at another office, about what was opened without
 * consent; and what that person says (DESIGN 9 "Break-glass"). Contents of sealed mail, kinds 11
 * and 12.
 *
 * What is asked says nothing of the case but which groups of it go to whom, who opened it, and why,
 * in the words of that officer. The answer names the question by its hash, which only they know who
 * were asked; it is signed, as all mail is, by the node of whoever answers.
 *
 * Form only. Views point into the arena.
 */
#ifndef CERTS_MAIL_APPROVAL_H
#define CERTS_MAIL_APPROVAL_H

#include "certs/mail.h"

enum {
	MAIL_APPROVAL_ID_SIZE = 16,
	MAIL_APPROVAL_NAME_MAX = 128,
	MAIL_APPROVAL_OFFICER_MAX = LIMIT_OFFICER_NAME
};

struct mail_approval_asked {
	uint8_t id[MAIL_APPROVAL_ID_SIZE]; /* of the sender's opening */
	uint32_t kind;                     /* enum approval_kind */
	const char *to, *reason, *legal_basis, *officer;
	uint32_t groups; /* bits */
	uint64_t asked_at;
};
enum err mail_approval_asked_write(
	struct buf *out, const struct mail_approval_asked *asked) MUST_USE;
/* ERR_MALFORMED, ERR_NOMEM. */
enum err mail_approval_asked_read(struct bytes body, struct arena *arena,
	struct mail_approval_asked *ret, struct errctx *ctx) MUST_USE;

struct mail_approval {
	uint8_t id[MAIL_APPROVAL_ID_SIZE];
	struct hash asked; /* SHA-256 of the body of the question */
	bool approved;
	const char *officer; /* of the sender: NAME */
	uint64_t at;
};
enum err mail_approval_write(struct buf *out, const struct mail_approval *approval) MUST_USE;
enum err mail_approval_read(struct bytes body, struct arena *arena, struct mail_approval *ret,
	struct errctx *ctx) MUST_USE;

#endif
