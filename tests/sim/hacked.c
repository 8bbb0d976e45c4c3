#include "tests/sim/office.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "certs/change.h"

enum { MOVES = 700, ROUNDS = 200, BEGIN_S = 1700000000 };

struct hacked_counts hacked_counts;

const char *hacked_skip_name(enum hacked_skip skip)
{
	static const char *const names[] = {
		"none", "trust", "words", "order", "answer", "tombstone", "kid", "signer", "twice"};

	return (unsigned)skip < SKIPS ? names[skip] : "";
}

const char *refusal_name(size_t refusal)
{
	static const char *const names[] = {"another's mail", "not signed", "not opened", "form",
		"keys", "case", "erased", "not confirmed", "other words", "-", "not its author",
		"another node key", "no such order", "not asked", "not what was ordered",
		"another order's id"};

	return names[refusal];
}

uint64_t hacked_random(struct hacked *h, uint64_t below)
{
	uint64_t z = h->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return below == 0 ? 0 : (z ^ z >> 31) % below;
}

void hacked_bytes(struct hacked *h, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)hacked_random(h, 256);
}

void hacked_say(const struct hacked *h, const char *format, ...)
{
	va_list args;

	if (!h->trace)
		return;
	printf("day %5llu  ", (unsigned long long)((h->now_s - BEGIN_S) / HACKED_DAY_S));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void hacked_fail(struct hacked *h, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	hacked_say(h, "WRONG: %s", text);
	if (h->failure == NULL)
		h->failure = mem_strdup(text);
}

void hacked_refuse(struct hacked *h, const struct office *o, size_t refusal)
{
	hacked_counts.refused[refusal]++;
	hacked_say(h, "%s refuses: %s", o->name, refusal_name(refusal));
}

size_t hacked_number(const struct hacked *h, const char *name)
{
	for (size_t n = 0; n < h->nodes; n++)
		if (strcmp(h->offices[n].name, name) == 0)
			return n;
	return HACKED_NODES;
}

/* ---- identities and records ---- */

static struct signer *signer_make(struct hacked *h)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct signer *signer;

	hacked_bytes(h, seed, sizeof(seed));
	enum err err = signer_new(BYTES_ARRAY(seed), &signer);

	assert(err == OK);
	return signer;
}

struct identity *hacked_identity(struct hacked *h, size_t number)
{
	static const char *const names[] = {
		"hq", "caf", "cod", "hti", "ssd", "sle", "lbr", "office-7"};
	struct identity *id = &h->identities[h->identity_count++];
	struct member *m = &id->member;
	uint8_t random[8];

	assert(h->identity_count < HACKED_IDENTITIES);
	strcpy(id->name, names[number]);
	id->node = signer_make(h);
	strcpy(m->name, names[number]);
	m->role = number == 0 ? ROLE_HQ : ROLE_OFFICE;
	if (number > 0)
		snprintf(m->country, sizeof(m->country), "ZZ%c", (char)('A' + number));
	m->node = *signer_public(id->node);
	sha256(BYTES_ARRAY(m->node.b), &id->hash);
	hacked_bytes(h, m->mirror.b, sizeof(m->mirror.b));
	hacked_bytes(h, m->witness.b, sizeof(m->witness.b));
	hacked_bytes(h, m->complaint.b, sizeof(m->complaint.b));
	hacked_bytes(h, m->tls_spki.b, sizeof(m->tls_spki.b));
	hacked_bytes(h, random, sizeof(random));
	enum err err =
		origin_make(bytes_str("sim.example"), bytes_str(id->name), 1, random, &id->origin);

	assert(err == OK);
	return id;
}

static void admitted(const struct identity *id, struct buf *body, struct ed25519_signature *ret)
{
	buf_init(body, LIMIT_ENTRY_SIZE);
	enum err err = node_admitted_body(body, "sim.example", &id->member);

	assert(err == OK);
	err = node_sign(id->node, PURPOSE_NODE_ADMITTED, buf_bytes(body), ret);
	assert(err == OK);
}

void hacked_replaced(struct hacked *h, const struct identity *fresh, uint32_t epoch,
	const struct signer *by, struct buf *out)
{
	struct ed25519_signature signature;
	struct replacement replacement = {
		.epoch = epoch, .closing = {.reason = "burnt", .revoked_at = h->now_s}};
	struct buf body, inner;

	strcpy(replacement.closing.name, fresh->name);
	admitted(fresh, &inner, &signature);
	replacement.admitted = buf_bytes(&inner);
	replacement.admitted_signature = BYTES_ARRAY(signature.b);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	enum err err = replacement_body(&body, "sim.example", &replacement);

	assert(err == OK);
	err = record_write(out, SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED, buf_bytes(&body), by);
	assert(err == OK);
	buf_release(&body);
	buf_release(&inner);
}

static struct buf *record_new(struct hacked *h)
{
	struct buf *record = &h->records[h->record_count++];

	assert(h->record_count < HACKED_RECORDS);
	buf_init(record, LIMIT_ENTRY_SIZE);
	return record;
}

static void found(struct hacked *h)
{
	const struct identity *hq = h->offices[0].self;
	struct ed25519_public log_key;
	uint8_t random[8] = {1};
	struct network_created created = {
		.network = "sim.example", .hq = "hq", .hq_node = hq->member.node, .created_at = 1};
	struct origin origin;

	hacked_bytes(h, log_key.b, sizeof(log_key.b));
	enum err err =
		origin_make(bytes_str("sim.example"), bytes_str("directory"), 1, random, &origin);

	assert(err == OK);
	struct log_opened opened = {
		.origin = origin.text, .previous_origin = "", .log_key = log_key, .opened_at = 1};
	err = log_opened_write(record_new(h), &opened, hq->node);

	assert(err == OK);
	err = network_created_write(record_new(h), &created, hq->node);
	assert(err == OK);
	for (size_t n = 0; n < h->nodes; n++) {
		struct ed25519_signature signature;
		struct buf body;

		admitted(h->offices[n].self, &body, &signature);
		err = record_write_signed(record_new(h), SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED,
			buf_bytes(&body), BYTES_ARRAY(signature.b));
		assert(err == OK);
		buf_release(&body);
	}
}

static struct hacked *begin(const struct hacked_opts *opts)
{
	struct hacked *h = mem_zalloc(sizeof(*h));

	assert(h != NULL);
	h->random = opts->seed * 104729 + 3;
	h->trace = opts->trace;
	h->skip = opts->skip;
	h->now_s = BEGIN_S;
	h->nodes = 3 + hacked_random(h, HACKED_NODES - 2);
	h->offices = mem_zalloc(HACKED_NODES * sizeof(*h->offices));
	assert(h->offices != NULL);
	for (size_t n = 0; n < h->nodes; n++) {
		struct office *o = &h->offices[n];

		o->number = n;
		o->epoch = 1;
		o->self = hacked_identity(h, n);
		o->name = o->self->name;
		trust_init(&o->trust);
		enum err err = directory_new("sim.example", &o->directory);

		assert(err == OK);
	}
	found(h);
	for (size_t n = 0; n < h->nodes; n++) {
		hacked_feed(h, &h->offices[n]);
		assert(directory_odd(h->offices[n].directory, NULL) == 0);
		office_prekey_new(h, &h->offices[n]);
	}
	return h;
}

/* ---- and then headquarters is clean ---- */

static bool is_known(const struct hacked *h, const struct office *of)
{
	for (size_t n = 1; n < h->nodes; n++) {
		const struct member *member =
			directory_find(h->offices[n].directory, bytes_str(of->name));

		if (memcmp(&member->node, &of->self->member.node, sizeof(member->node)) != 0)
			return false;
	}
	return true;
}

/* Whoever is not the same to all gets new keys, and officers telephone. */
static void clean(struct hacked *h)
{
	for (size_t n = 0; n < h->nodes; n++)
		hacked_feed(h, &h->offices[n]);
	for (size_t n = 1; n < h->nodes; n++) {
		struct office *o = &h->offices[n];

		if (is_known(h, o))
			continue;
		o->self = hacked_identity(h, n);
		hacked_replaced(h, o->self, 1000, h->offices[0].self->node, record_new(h));
		office_prekey_new(h, o);
	}
	for (size_t n = 1; n < h->nodes; n++) {
		hacked_feed(h, &h->offices[n]);
		for (size_t of = 0; of < h->nodes; of++)
			office_confirm(h, &h->offices[n], of);
	}
	for (size_t n = 1; n < h->nodes; n++)
		if (!is_known(h, &h->offices[n]))
			hacked_fail(
				h, "in the end %s has no key that all know", h->offices[n].name);
}

static void hand_all(struct hacked *h)
{
	for (size_t i = 0; i < h->item_count; i++) {
		struct mail_item item;
		struct arena arena;

		if (h->items[i].handed)
			continue;
		arena_init(&arena, LIMIT_ARENA_SIZE);
		enum err err = mail_unpack(
			buf_bytes(&h->items[i].packed), "sim.example", &arena, &item, NULL);

		assert(err == OK);
		size_t to = hacked_number(h, item.recipient);

		if (to > 0 && to < h->nodes) {
			office_hear(h, &h->offices[to], i);
			office_unlock(h, &h->offices[to]);
			hacked_look(h);
		}
		h->items[i].handed = true;
		arena_release(&arena);
	}
}

static void quiet(struct hacked *h)
{
	clean(h);
	for (size_t n = 1; n < h->nodes; n++)
		office_unlock(h, &h->offices[n]);
	hacked_look(h);
	for (unsigned round = 0; round < ROUNDS && h->failure == NULL; round++) {
		hand_all(h);
		if (hacked_settled(h, false))
			break;
		h->now_s += HACKED_DAY_S;
		for (size_t n = 1; n < h->nodes; n++) {
			office_prekeys_destroy(h, &h->offices[n]);
			office_ask(h, &h->offices[n]);
			office_tell(h, &h->offices[n]);
		}
	}
	if (h->failure == NULL)
		(void)hacked_settled(h, true);
}

static void release(struct hacked *h)
{
	for (size_t n = 0; n < h->nodes; n++) {
		struct office *o = &h->offices[n];

		directory_free(o->directory);
		trust_release(&o->trust);
		for (size_t i = 0; i < o->given_count; i++)
			given_release(&o->given[i]);
		for (size_t i = 0; i < o->received_count; i++)
			received_release(&o->received[i]);
		for (size_t i = 0; i < o->erasure_count; i++)
			erasure_release(&o->erasures[i]);
	}
	for (size_t i = 0; i < h->item_count; i++)
		buf_release(&h->items[i].packed);
	for (size_t i = 0; i < h->record_count; i++)
		buf_release(&h->records[i]);
	for (size_t i = 0; i < h->prekey_count; i++)
		buf_release(&h->prekeys[i]);
	for (size_t i = 0; i < h->identity_count; i++)
		signer_free(h->identities[i].node);
	mem_free(h->offices);
	mem_free(h);
}

bool hacked_run(const struct hacked_opts *opts, char **ret_failure)
{
	struct hacked *h = begin(opts);

	for (unsigned move = 0; move < MOVES && h->failure == NULL; move++) {
		hacked_move(h);
		hacked_look(h);
		hacked_counts.steps++;
	}
	if (h->failure == NULL)
		quiet(h);
	*ret_failure = h->failure;
	release(h);
	return *ret_failure == NULL;
}

void hacked_tell(void)
{
	const struct hacked_counts *c = &hacked_counts;

	printf("%llu moves; %llu items, handed over %llu times, %llu of them again; %llu grants, "
	       "%llu taken; %llu orders, %llu obeyed, %llu receipts, %llu complete, %llu blocked "
	       "by a planted key; %llu keys substituted, %llu hospitals invented, %llu items "
	       "forged\nrefused:",
		(unsigned long long)c->steps, (unsigned long long)c->items,
		(unsigned long long)c->handed, (unsigned long long)c->replayed,
		(unsigned long long)c->grants, (unsigned long long)c->taken,
		(unsigned long long)c->orders, (unsigned long long)c->obeyed,
		(unsigned long long)c->receipts, (unsigned long long)c->complete,
		(unsigned long long)c->blocked, (unsigned long long)c->substitutions,
		(unsigned long long)c->hospitals, (unsigned long long)c->forged);
	for (size_t i = 0; i < REFUSALS; i++)
		if (c->refused[i] > 0)
			printf(" %s %llu;", refusal_name(i), (unsigned long long)c->refused[i]);
	putchar('\n');
}
