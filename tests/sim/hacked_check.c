/*
 * What must never happen, whatever headquarters does; and what must have happened in the end.
 */
#include <assert.h>

#include "certs/mail_grant.h"
#include "tests/sim/office.h"

static struct truth *truth_of(struct hacked *h, const uint8_t *kid)
{
	for (size_t t = 0; t < h->truth_count; t++)
		if (memcmp(h->truths[t].kid.b, kid, SEAL_KID_SIZE) == 0)
			return &h->truths[t];
	return NULL;
}

/* ---- no key obtained ---- */

static void knows(struct hacked *h, const struct mail_item *item, const struct mail_grant *grant)
{
	for (size_t i = 0; i < grant->key_count; i++)
		for (size_t t = 0; t < h->truth_count; t++) {
			const struct truth *truth = &h->truths[t];

			if (truth->author != 0 && !truth->to_hq &&
				bytes_equal(
					secret_bytes(&grant->keys[i].key), BYTES_ARRAY(truth->k)))
				hacked_fail(h,
					"headquarters opens a key of %s that was given to '%s'",
					h->offices[truth->author].name, item->recipient);
		}
}

static void try_half(
	struct hacked *h, const struct mail_item *item, struct bytes half, struct arena *arena)
{
	struct mail_content content = {0};
	struct mail_grant grant = {.keys = NULL};

	if (mail_open(item, "sim.example", half, arena, &content, NULL) == OK &&
		content.kind == MAIL_GRANT &&
		mail_grant_read(content.body, arena, &grant, NULL) == OK)
		knows(h, item, &grant);
	mail_grant_release(&grant);
	mail_content_release(&content);
}

/* With every private key it has. One that it makes later opens nothing that was sealed before. */
void hacked_look_sent(struct hacked *h, struct bytes packed)
{
	const struct office *hq = &h->offices[0];
	struct mail_item item;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = mail_unpack(packed, "sim.example", &arena, &item, NULL);

	assert(err == OK);
	for (size_t i = 0; i < h->identity_count; i++)
		if (h->identities[i].is_false)
			try_half(h, &item, BYTES_ARRAY(h->identities[i].half), &arena);
	for (size_t i = 0; i < hq->prekey_count; i++)
		if (!hq->prekeys[i].gone)
			try_half(h, &item, BYTES_ARRAY(hq->prekeys[i].half), &arena);
	arena_release(&arena);
}

/* ---- after every step ---- */

/* Did its author give it, under a key of its own? Headquarters, which may have it by right, can
 * give it as another: that is its own to have destroyed. */
static bool is_given(const struct hacked *h, const struct office *o, const struct truth *truth)
{
	const char *author = h->offices[truth->author].name;

	for (size_t i = 0; i < o->received_count; i++)
		for (size_t k = 0; k < h->identity_count; k++)
			if (!h->identities[k].is_false &&
				strcmp(h->identities[k].name, author) == 0 &&
				hash_equal(&h->identities[k].hash, &o->received[i].node_key) &&
				strcmp(o->received[i].sender, author) == 0 &&
				received_has(&o->received[i], &truth->kid))
				return true;
	return truth->author == o->number;
}

static void look_truth(struct hacked *h, struct office *o, struct truth *truth)
{
	const char *author = h->offices[truth->author].name;
	const struct office_key *key = office_find(o, author, truth->kid.b);

	if (key != NULL && memcmp(key->k, truth->k, sizeof(key->k)) != 0)
		hacked_fail(h, "%s has another key than %s under the same kid", o->name, author);
	if (key == NULL && truth->here[o->number] && !truth->ordered[o->number] &&
		truth->author != 0)
		hacked_fail(h, "a key of %s is destroyed at %s, and %s did not want it", author,
			o->name, author);
	if (key != NULL && office_tomb(o, author, truth->kid.b))
		hacked_fail(h, "a key of %s came back at %s", author, o->name);
	truth->here[o->number] = key != NULL && is_given(h, o, truth);
}

/* Offices alone, whoever wrote it: two that hold one kid hold one key. */
static void look_same(struct hacked *h, const struct office *a, struct office *b)
{
	for (size_t i = 0; i < a->key_count; i++) {
		const struct office_key *mine = &a->keys[i];
		const struct office_key *theirs = office_find(b, mine->author, mine->kid.b);

		if (theirs != NULL && memcmp(mine->k, theirs->k, sizeof(mine->k)) != 0)
			hacked_fail(h, "%s and %s have two keys under one kid of %s", a->name,
				b->name, mine->author);
	}
}

static void look_receipt(struct hacked *h, const struct office *o, const struct erasure *erasure,
	const struct erasure_holder *holder)
{
	size_t of = hacked_number(h, holder->node);
	struct office *at = &h->offices[of];

	if (holder->receipt_at == 0 || of == 0 || of >= h->nodes)
		return; /* headquarters may lie about itself */
	for (size_t i = 0; i < erasure->kid_count; i++)
		if (office_find(at, o->name, erasure->kids[i]) != NULL)
			hacked_fail(h, "%s takes a key for destroyed that is still at %s", o->name,
				at->name);
	for (size_t i = 0; i < holder->gone.count; i++) {
		uint64_t number = holder->gone.number[i];

		if (number <= at->prekey_count && !at->prekeys[number - 1].gone)
			hacked_fail(h, "%s takes a prekey for destroyed that is still at %s",
				o->name, at->name);
	}
}

void hacked_look(struct hacked *h)
{
	for (size_t n = 1; n < h->nodes; n++) {
		struct office *o = &h->offices[n];

		for (size_t t = 0; t < h->truth_count; t++)
			look_truth(h, o, &h->truths[t]);
		for (size_t m = n + 1; m < h->nodes; m++)
			look_same(h, o, &h->offices[m]);
		for (size_t i = 0; i < o->erasure_count; i++)
			for (size_t k = 0;
				o->erasures[i].sender[0] == '\0' && k < o->erasures[i].holder_count;
				k++)
				look_receipt(h, o, &o->erasures[i], &o->erasures[i].holders[k]);
	}
}

/* ---- in the end ---- */

/* Headquarters has the key, by right, and gave it to others in its own name, or in one that it
 * took: what they have under the kid is not the author's, and its order is refused. It shows there,
 * for ever. */
static bool is_planted(struct hacked *h, struct office *at, const struct erasure *erasure)
{
	for (size_t i = 0; i < erasure->kid_count; i++) {
		const struct truth *truth = truth_of(h, erasure->kids[i]);
		const struct office_key *key = office_find(at, NULL, erasure->kids[i]);

		if (truth != NULL && truth->to_hq && key != NULL &&
			strcmp(key->author, h->offices[truth->author].name) != 0)
			return true;
	}
	return false;
}

static bool settled(
	struct hacked *h, const struct office *o, const struct erasure *erasure, bool tell)
{
	for (size_t i = 0; i < erasure->holder_count; i++) {
		const struct erasure_holder *holder = &erasure->holders[i];
		size_t of = hacked_number(h, holder->node);

		if (of == 0 || erasure_holder_done(holder))
			continue;
		if (is_planted(h, &h->offices[of], erasure)) {
			hacked_counts.blocked += tell;
			continue;
		}
		if (tell)
			hacked_fail(h, "in the end an order of %s is %s at %s", o->name,
				holder->receipt_at == 0 ? "not obeyed" : "not complete",
				holder->node);
		return false;
	}
	hacked_counts.complete += tell && erasure_complete(erasure);
	return true;
}

bool hacked_settled(struct hacked *h, bool tell)
{
	bool all = true;

	for (size_t n = 1; n < h->nodes; n++)
		for (size_t i = 0; i < h->offices[n].erasure_count; i++) {
			const struct erasure *erasure = &h->offices[n].erasures[i];

			if (erasure->sender[0] == '\0')
				all &= settled(h, &h->offices[n], erasure, tell);
		}
	return all;
}
