/* Whether a consent covers what is to be given; what the ledger keeps of it. */
#include "cases/keys/grant.h"

#include <stdlib.h>

#include "base/limits.h"

enum { WORDS_MAX = 400 };

static struct bytes name(const char *text)
{
	return text == NULL ? BYTES_NONE : bytes_str(text);
}

static struct consent_need need_of(const struct grant_ask *ask)
{
	return (struct consent_need){
		.purpose = ask->purpose,
		.reads = true,
		.who = "",
		.recipient = {name(ask->to.node), name(ask->to.country),
			name(ask->to.organisation)},
		.groups = ask->groups,
		.services = name(ask->services),
		.counts = ask->counts,
		.arg = ask->arg,
	};
}

void grant_covered(
	const struct case_state *state, const struct grant_ask *ask, struct grant_cover *ret)
{
	struct consent_need need = need_of(ask);
	fold_day day = day_read(bytes_str(ask->day)), first, last;
	const struct state_consent *consent = consent_last_that_covers(state, &need, day);

	*ret = (struct grant_cover){.covered = consent != NULL, .groups = ask->groups};
	if (consent == NULL)
		consent = consent_closest(state, &need, day, &ret->missing);
	if (consent == NULL)
		return;
	ret->consent = state_text(state, consent->id);
	ret->event = state->events[consent->event].id;
	ret->services = state_text(state, consent->services);
	ret->purpose = state_text(state, consent->purpose);
	if (ret->groups == 0)
		ret->groups = consent_groups(consent);
	if (state_consent_span(state, consent, &first, &last))
		day_text(last, ret->until);
}

static const struct state_consent *find(
	const struct case_state *state, const struct grant_cover *cover)
{
	return state_consent_of(state, state_event_find(state, &cover->event));
}

void grant_missing(const struct case_state *state, const struct grant_ask *ask,
	const struct grant_cover *cover, struct buf *ret)
{
	const struct state_consent *consent = find(state, cover);

	if (cover->covered)
		return;
	if (ask->purpose != NULL && strcmp(ask->purpose, "STATISTICS") == 0) {
		buf_put_str(ret, "STATISTICS is no purpose by which anybody reads a case");
		return;
	}
	if (cover->missing.lack == CONSENT_LACKS_ALL || consent == NULL) {
		buf_printf(ret, "the case has no consent%s%s", ask->purpose == NULL ? "" : " to ",
			ask->purpose == NULL ? "" : ask->purpose);
		return;
	}
	buf_printf(ret, "consent %.*s ", BYTES_FMT(cover->consent));
	if (cover->missing.lack == CONSENT_LACKS_TRUST)
		buf_put_str(ret, "withholds everything from this recipient");
	else if (cover->missing.lack == CONSENT_LACKS_RECIPIENT)
		buf_put_str(ret, "does not name this recipient");
	else
		consent_say(state, consent, &cover->missing, "", ret);
}

enum err grant_check(const struct case_state *state, const struct grant_ask *ask,
	struct grant_cover *ret, struct errctx *ctx)
{
	struct grant_cover cover;
	struct buf words;

	grant_covered(state, ask, &cover);
	if (cover.covered) {
		*ret = cover;
		return OK;
	}
	buf_init(&words, WORDS_MAX);
	grant_missing(state, ask, &cover, &words);
	err_set(ctx, ERR_CONSENT, "%s; ask the victim, and record CONSENT_RECORDED first",
		buf_cstr(&words));
	buf_release(&words);
	return ERR_CONSENT;
}

/* --- the commitment --- */

static int by_kid(const void *a, const void *b)
{
	const struct grant_key *x = (const struct grant_key *)a, *y = (const struct grant_key *)b;

	return memcmp(x->kid.b, y->kid.b, sizeof x->kid.b);
}

enum err grant_commitment(const struct grant_commitment *in, struct hash *ret)
{
	static const struct hash none;
	struct buf input;
	enum err err;

	if (in->count > LIMIT_GRANT_KEYS)
		return ERR_LIMIT;
	if (in->count == 0 || in->recipient.size == 0 || in->recipient.size > LIMIT_NODE_NAME)
		return ERR_INVALID;
	qsort(in->keys, in->count, sizeof in->keys[0], by_kid);
	for (size_t i = 1; i < in->count; i++)
		if (by_kid(&in->keys[i - 1], &in->keys[i]) == 0)
			return ERR_INVALID;
	buf_init(&input, 256 + LIMIT_GRANT_KEYS * (SEAL_KID_SIZE + 8));
	buf_put_str(&input, "sauti/1 grant");
	buf_put(&input, bytes_make(in->nonce, GRANT_NONCE_SIZE));
	buf_put_lv16(&input, in->recipient);
	buf_put(&input, hash_bytes(in->consent_leaf == NULL ? &none : in->consent_leaf));
	buf_put_u16be(&input, (uint16_t)in->count);
	for (size_t i = 0; i < in->count; i++) {
		buf_put(&input, BYTES_ARRAY(in->keys[i].kid.b));
		buf_put_u64be(&input, in->keys[i].first);
	}
	err = input.err;
	if (err == OK)
		sha256(buf_bytes(&input), ret);
	buf_release(&input);
	return err;
}
