/*
 * Addresses that travel as mail. A node with `[node] advertise` tells every member, each once for
 * each change, as soon as it is unlocked. Who is told keeps it, also while locked, and dials: the
 * configured address first, then those, one after the other. A wrong address costs a handshake that
 * fails, since the certificate must be the named node's.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

/* ---- learned ---- */

const struct learned *addresses_of(const struct runtime *rt, const char *node)
{
	for (size_t i = 0; rt->mail != NULL && i < rt->mail->learned_count; i++)
		if (strcmp(rt->mail->learned[i].node, node) == 0)
			return &rt->mail->learned[i];
	return NULL;
}

static struct learned *learned_get(struct runtime *rt, const char *node)
{
	struct mail *mail = rt->mail;
	struct learned *known = (struct learned *)(uintptr_t)addresses_of(rt, node);

	if (known != NULL)
		return known;
	if (mail->learned_count == LIMIT_PEERS)
		return NULL;
	if (!mail_room((void **)&mail->learned, mail->learned_count, &mail->learned_capacity,
		    sizeof(*mail->learned)))
		runtime_out_of_memory();
	known = &mail->learned[mail->learned_count++];
	*known = (struct learned){.made_at = 0};
	snprintf(known->node, sizeof(known->node), "%s", node);
	return known;
}

/* Numeric ones that can be dialled; others are left out. */
static void keep_good(const struct mail_addresses *from, struct mail_addresses *to)
{
	struct net_address ignored;

	*to = (struct mail_addresses){.count = 0};
	for (size_t i = 0; i < from->count; i++)
		if (config_address(from->text[i], false, &ignored, NULL) == OK)
			memcpy(to->text[to->count++], from->text[i], sizeof(to->text[0]));
}

enum err addresses_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__KnownAddresses *row;
	struct mail_addresses list = {.count = 0};
	struct learned *known;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(known_addresses, value, &scan_limits_default, &arena, &row, NULL) != OK ||
		!bytes_equal_str(name, row->node) || !node_name_valid(name))
		return OK;
	for (size_t i = 0; i < row->n_addresses && i < LIMIT_MAIL_ADDRESSES; i++)
		snprintf(list.text[list.count++], sizeof(list.text[0]), "%s", row->addresses[i]);
	known = learned_get(rt, row->node);
	if (known == NULL)
		return OK;
	keep_good(&list, &known->list);
	known->made_at = row->made_at;
	return OK;
}

static void learned_save(struct runtime *rt, const struct learned *known)
{
	Sauti__KnownAddresses row = SAUTI__KNOWN_ADDRESSES__INIT;
	char *list[LIMIT_MAIL_ADDRESSES];
	CLEANUP(buf_release) struct buf packed;

	buf_init(&packed, MAIL_NOTE_VALUE_MAX);
	for (size_t i = 0; i < known->list.count; i++)
		list[i] = (char *)known->list.text[i];
	row.node = (char *)known->node;
	row.addresses = list;
	row.n_addresses = known->list.count;
	row.made_at = known->made_at;
	codec_pack(&packed, &row);
	if (packed.err == OK)
		mail_note_put(rt, MAIL_NOTE_ADDRESS, known->node, buf_bytes(&packed));
}

static void dial_learned(struct runtime *rt, const struct learned *known)
{
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(known->node));
	struct peer_state *peer;

	if (known->list.count == 0 || member == NULL || !member->active)
		return;
	peer = peer_state_add(rt, known->node);
	if (peer != NULL)
		runtime_step(rt, &(struct event){.type = EVENT_PEER, .peer = peer->name});
}

void addresses_start(struct runtime *rt)
{
	for (size_t i = 0; i < rt->mail->learned_count; i++)
		dial_learned(rt, &rt->mail->learned[i]);
}

void addresses_learn(
	struct runtime *rt, const char *node, const struct mail_addresses *list, uint64_t made_at)
{
	struct learned *known = strcmp(node, rt->node) == 0 ? NULL : learned_get(rt, node);

	if (known == NULL || made_at <= known->made_at)
		return;
	keep_good(list, &known->list);
	known->made_at = made_at;
	log_line(LOG_INFO, "'%s' can be reached at %zu addresses, the first %s", node,
		known->list.count, known->list.count == 0 ? "none" : known->list.text[0]);
	learned_save(rt, known);
	dial_learned(rt, known);
}

/* ---- telling ---- */

enum { TOLD_SIZE = HASH_SIZE + 8 };

static struct told *told_find(const struct mail *mail, const char *node)
{
	for (size_t i = 0; i < mail->told_count; i++)
		if (strcmp(mail->told[i].node, node) == 0)
			return &mail->told[i];
	return NULL;
}

static struct told *told_get(struct mail *mail, const char *node)
{
	struct told *told = told_find(mail, node);

	if (told != NULL)
		return told;
	if (!mail_room((void **)&mail->told, mail->told_count, &mail->told_capacity,
		    sizeof(*mail->told)))
		runtime_out_of_memory();
	told = &mail->told[mail->told_count++];
	*told = (struct told){.sending = false};
	snprintf(told->node, sizeof(told->node), "%s", node);
	return told;
}

enum err addresses_load_told(struct runtime *rt, struct bytes name, struct bytes value)
{
	char node[LIMIT_NODE_NAME + 1];
	struct told *told;

	/* Of an earlier version the hash stands alone. */
	if (!node_name_valid(name) || (value.size != HASH_SIZE && value.size != TOLD_SIZE))
		return OK;
	snprintf(node, sizeof(node), "%.*s", BYTES_FMT(name));
	told = told_get(rt->mail, node);
	memcpy(told->of.b, value.data, HASH_SIZE);
	if (value.size == TOLD_SIZE)
		told->made_at = get_u64be(value.data + HASH_SIZE);
	return OK;
}

static void told_save(struct runtime *rt, const struct told *told)
{
	uint8_t value[TOLD_SIZE];

	memcpy(value, told->of.b, HASH_SIZE);
	put_u64be(value + HASH_SIZE, told->made_at);
	mail_note_put(rt, MAIL_NOTE_TOLD, told->node, BYTES_ARRAY(value));
}

struct telling {
	struct runtime *rt;
	char node[LIMIT_NODE_NAME + 1];
	struct hash of;
};

static void on_told(void *arg, enum err error)
{
	struct telling *telling = arg;
	struct told *told = told_get(telling->rt->mail, telling->node);

	told->sending = false;
	if (error == OK) {
		told->of = telling->of;
		told_save(telling->rt, told);
	} else if (error != ERR_CANCELED) {
		log_line(LOG_WARNING, "'%s' could not be told where this node is: %s", told->node,
			err_text(error));
		telling->rt->mail->tell = true; /* with the next chores */
	}
	mem_free(telling);
}

static enum err draft_addresses(
	const struct runtime *rt, const struct told *to, struct bytes body, struct buf *out)
{
	struct mail_draft draft = {
		.network = rt->genesis.network,
		.sender = rt->node,
		.recipient = to->node,
		.kind = MAIL_ADDRESSES,
		.content = body,
		.made_at = to->made_at,
	};

	TRY(random_bytes(draft.id, sizeof(draft.id)));
	return mail_write(out, &draft, rt->keys->node);
}

/* The newest is believed, and time is in seconds: two within one, or a clock that was put back,
 * must not make the last word an old one. */
static uint64_t later_than(uint64_t last)
{
	uint64_t now = runtime_wall_s();

	return now > last ? now : last + 1;
}

static void tell_one(struct runtime *rt, const char *node, struct bytes body, const struct hash *of)
{
	CLEANUP(buf_release) struct buf packed;
	struct told *told = told_get(rt->mail, node);
	struct telling *telling;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	if (told->sending || hash_equal(&told->of, of))
		return;
	told->made_at = later_than(told->made_at);
	if (draft_addresses(rt, told, body, &packed) != OK)
		return;
	telling = mem_zalloc(sizeof(*telling));
	if (telling == NULL)
		runtime_out_of_memory();
	telling->rt = rt;
	telling->of = *of;
	memcpy(telling->node, told->node, sizeof(telling->node));
	told->sending = true;
	told_save(rt, told); /* before the item: none is on its way that is newer than this */
	mail_send(rt, buf_bytes(&packed), on_told, telling);
}

/* Who never was told anything need not be told of nothing. */
void addresses_tell(struct runtime *rt)
{
	const struct directory *directory = engine_directory(rt->engine);
	CLEANUP(buf_release) struct buf body;
	struct mail_addresses own = {.count = 0};
	const struct member *member;
	struct hash of;

	buf_init(&body, MAIL_NOTE_VALUE_MAX);
	if (!rt->mail->tell || rt->keys == NULL)
		return;
	rt->mail->tell = false;
	while (own.count < LIMIT_MAIL_ADDRESSES && rt->config.advertise[own.count][0] != '\0') {
		memcpy(own.text[own.count], rt->config.advertise[own.count], sizeof(own.text[0]));
		own.count++;
	}
	if (mail_addresses_write(&body, &own) != OK)
		return;
	sha256(buf_bytes(&body), &of);
	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++)
		if (member->active && strcmp(member->name, rt->node) != 0 &&
			(own.count > 0 || told_find(rt->mail, member->name) != NULL))
			tell_one(rt, member->name, buf_bytes(&body), &of);
}
