#include "certs/directory.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/text.h"
#include "certs/change.h"
#include "certs/record.h"

/*
 * The index: one open-addressing table over names and keys of all members. Its hash is SHA-256 over
 * a random seed, so that nobody who may choose names and keys can make the probes long; the seed
 * decides nothing but where in memory a slot is.
 */
enum index_kind {
	INDEX_NAME,
	INDEX_SPKI,
	INDEX_NODE,
	INDEX_MIRROR,
	INDEX_WITNESS,
	INDEX_COMPLAINT
};
enum { INDEX_KINDS = 6, INDEX_SLOTS_FIRST = 64, SEED_SIZE = 16 };

/* Of keys that a member had before: the place is one of the list of formers. */
enum { INDEX_FORMER = 8 };

struct slot {
	uint64_t hash;
	uint32_t place; /* position + 1; 0 is a free slot */
	uint32_t kind;
};

struct directory {
	char network[LIMIT_NETWORK_NAME + 1];
	uint64_t size, odd;
	struct errctx reason;

	uint8_t *first; /* entry 0, until entry 1 says by whom it must be signed */
	size_t first_size;

	bool created; /* the fields below are set */
	char hq[LIMIT_NODE_NAME + 1];
	char origin[LIMIT_ORIGIN + 1];
	struct ed25519_public hq_node, log_key;
	struct hash root_certificate;

	struct policy policy;
	struct revocation **revocations; /* in order; each owns its logs */
	size_t revocation_count, revocation_capacity;

	struct member *members;
	size_t count, capacity;
	struct former **formers; /* in order */
	size_t former_count, former_capacity;
	struct slot *slots;
	size_t slots_used, slots_capacity; /* capacity is 0 or a power of two, at most half used */
	uint8_t seed[SEED_SIZE];
};

/* ---- roles ---- */

static const char *const role_names[] = {
	[ROLE_UNKNOWN] = "unknown",
	[ROLE_HQ] = "hq",
	[ROLE_OFFICE] = "office",
	[ROLE_AUDITOR] = "auditor",
};

const char *role_name(enum role role)
{
	return (int)role < ROLE_HQ || role > ROLE_AUDITOR ? "unknown" : role_names[role];
}

enum role role_parse(const char *text)
{
	for (enum role role = ROLE_HQ; role <= ROLE_AUDITOR; role++) {
		if (strcmp(text, role_names[role]) == 0)
			return role;
	}
	return ROLE_UNKNOWN;
}

/* ---- the index ---- */

static struct bytes index_key(const struct member *member, uint32_t kind)
{
	switch ((enum index_kind)kind) {
	case INDEX_SPKI:
		return hash_bytes(&member->tls_spki);
	case INDEX_NODE:
		return BYTES_ARRAY(member->node.b);
	case INDEX_MIRROR:
		return BYTES_ARRAY(member->mirror.b);
	case INDEX_WITNESS:
		return BYTES_ARRAY(member->witness.b);
	case INDEX_COMPLAINT:
		return BYTES_ARRAY(member->complaint.b);
	case INDEX_NAME:
	default:
		return bytes_str(member->name);
	}
}

static struct bytes former_key(const struct former *former, uint32_t kind)
{
	switch ((enum index_kind)kind) {
	case INDEX_SPKI:
		return hash_bytes(&former->tls_spki);
	case INDEX_NODE:
		return BYTES_ARRAY(former->node.b);
	case INDEX_MIRROR:
		return BYTES_ARRAY(former->mirror.b);
	case INDEX_WITNESS:
		return BYTES_ARRAY(former->witness.b);
	case INDEX_COMPLAINT:
		return BYTES_ARRAY(former->complaint.b);
	case INDEX_NAME:
	default:
		return bytes_str(former->name);
	}
}

static bool slot_is_former(const struct slot *slot)
{
	return slot->kind >= INDEX_FORMER;
}

static struct bytes slot_key(const struct directory *directory, const struct slot *slot)
{
	return slot_is_former(slot)
		       ? former_key(directory->formers[slot->place - 1], slot->kind - INDEX_FORMER)
		       : index_key(&directory->members[slot->place - 1], slot->kind);
}

static const char *slot_name(const struct directory *directory, const struct slot *slot)
{
	return slot_is_former(slot) ? directory->formers[slot->place - 1]->name
				    : directory->members[slot->place - 1].name;
}

static uint64_t index_hash(const struct directory *directory, bool is_name, struct bytes key)
{
	const uint8_t tag = is_name ? 0 : 1;
	const struct bytes parts[] = {
		BYTES_ARRAY(directory->seed),
		bytes_make(&tag, 1),
		key,
	};
	struct hash hash;

	sha256_parts(parts, 3, &hash);
	return get_u64be(hash.b);
}

/* Names are looked for among names, any key among all keys. */
static struct slot *index_find(const struct directory *directory, bool is_name, struct bytes key)
{
	uint64_t hash = index_hash(directory, is_name, key);
	size_t mask = directory->slots_capacity - 1;

	if (directory->slots_capacity == 0)
		return NULL;
	for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
		struct slot *slot = &directory->slots[i];

		if (slot->place == 0)
			return NULL;
		if (slot->hash != hash || (slot->kind == INDEX_NAME) != is_name)
			continue;
		if (bytes_equal(slot_key(directory, slot), key))
			return slot;
	}
}

static void slot_put(struct slot *slots, size_t capacity, struct slot slot)
{
	size_t mask = capacity - 1, i = (size_t)slot.hash & mask;

	while (slots[i].place != 0)
		i = (i + 1) & mask;
	slots[i] = slot;
}

static enum err index_reserve(struct directory *directory)
{
	size_t capacity = directory->slots_capacity;
	struct slot *slots;

	if (2 * (directory->slots_used + INDEX_KINDS) <= capacity)
		return OK;
	capacity = capacity == 0 ? INDEX_SLOTS_FIRST : 2 * capacity;
	slots = mem_array(capacity, sizeof(*slots));
	if (slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < directory->slots_capacity; i++) {
		if (directory->slots[i].place != 0)
			slot_put(slots, capacity, directory->slots[i]);
	}
	mem_free(directory->slots);
	directory->slots = slots;
	directory->slots_capacity = capacity;
	return OK;
}

static enum err members_reserve(struct directory *directory)
{
	size_t capacity = directory->capacity == 0 ? 8 : 2 * directory->capacity;
	struct member *members;

	if (directory->count < directory->capacity)
		return OK;
	members = mem_resize(directory->members, capacity * sizeof(*members));
	if (members == NULL)
		return ERR_NOMEM;
	directory->members = members;
	directory->capacity = capacity;
	return OK;
}

/* There is room (index_reserve). */
static void index_add(struct directory *directory, const struct member *member, uint32_t kind)
{
	struct slot slot = {
		.hash = index_hash(directory, kind == INDEX_NAME, index_key(member, kind)),
		.place = (uint32_t)(member - directory->members) + 1,
		.kind = kind,
	};

	slot_put(directory->slots, directory->slots_capacity, slot);
	directory->slots_used++;
}

static enum err member_add(struct directory *directory, const struct member *from)
{
	struct member *member;

	TRY(members_reserve(directory));
	TRY(index_reserve(directory));
	member = &directory->members[directory->count++];
	*member = *from;
	for (uint32_t kind = 0; kind < INDEX_KINDS; kind++)
		index_add(directory, member, kind);
	return OK;
}

/* ---- keys that change ---- */

static enum err formers_reserve(struct directory *directory)
{
	size_t capacity = directory->former_capacity == 0 ? 8 : 2 * directory->former_capacity;
	struct former **list;

	if (directory->former_count < directory->former_capacity)
		return OK;
	list = mem_resize(directory->formers, capacity * sizeof(struct former *));
	if (list == NULL)
		return ERR_NOMEM;
	directory->formers = list;
	directory->former_capacity = capacity;
	return OK;
}

static struct former *former_of(const struct directory *directory, const struct member *member)
{
	struct former *former = mem_zalloc(sizeof(*former));

	if (former == NULL)
		return NULL;
	strcpy(former->name, member->name);
	former->tls_spki = member->tls_spki;
	former->node = member->node;
	former->mirror = member->mirror;
	former->witness = member->witness;
	former->complaint = member->complaint;
	former->index = directory->size;
	former->former = member->former;
	return former;
}

/* What the index knows as the member's is the former's from now on; a key that stays is the
 * member's. */
static void index_move(
	struct directory *directory, const struct member *member, const struct member *fresh)
{
	for (uint32_t kind = INDEX_SPKI; kind < INDEX_KINDS; kind++) {
		struct bytes key = index_key(member, kind);
		struct slot *slot;

		if (bytes_equal(key, index_key(fresh, kind)))
			continue;
		slot = index_find(directory, false, key);
		slot->kind += INDEX_FORMER;
		slot->place = (uint32_t)directory->former_count;
	}
}

struct key_change {
	bool replaced;
	uint32_t epoch;
	uint64_t at;
};

/* The keys of `fresh`, from the record that is applied on. */
static enum err member_change(struct directory *directory, struct member *member,
	const struct member *fresh, struct key_change change)
{
	struct member before = *member;
	struct former *former;

	TRY(formers_reserve(directory));
	TRY(index_reserve(directory));
	former = former_of(directory, member);
	if (former == NULL)
		return ERR_NOMEM;
	former->replaced = change.replaced;
	former->epoch = change.epoch;
	former->ended_at = change.at;
	directory->formers[directory->former_count++] = former;
	index_move(directory, member, fresh);
	member->tls_spki = fresh->tls_spki;
	member->node = fresh->node;
	member->mirror = fresh->mirror;
	member->witness = fresh->witness;
	member->complaint = fresh->complaint;
	member->keys_index = directory->size;
	member->former = former;
	member->changes++;
	for (uint32_t kind = INDEX_SPKI; kind < INDEX_KINDS; kind++)
		if (!bytes_equal(index_key(member, kind), index_key(&before, kind)))
			index_add(directory, member, kind);
	if (strcmp(member->name, directory->hq) == 0)
		directory->hq_node = member->node;
	return OK;
}

/* ---- the fold: each returns an error when the record is odd, or ERR_NOMEM ---- */

static enum err fold_first(
	struct directory *directory, struct bytes entry, struct arena *arena, struct errctx *ctx)
{
	struct log_opened opened;

	TRY(log_opened_read(entry, NULL, arena, &opened, ctx));
	if (!log_origin_ok(opened.origin, directory->network, "directory"))
		return err_set(ctx, ERR_UNTRUSTED, "origin is not the directory's");
	if (opened.previous_origin[0] != '\0' &&
		!log_origin_ok(opened.previous_origin, directory->network, "directory"))
		return err_set(ctx, ERR_UNTRUSTED, "previous origin is not the directory's");
	directory->first = mem_dup(entry.data, entry.size);
	if (directory->first == NULL)
		return ERR_NOMEM;
	directory->first_size = entry.size;
	return OK;
}

static enum err fold_created(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct network_created created;
	struct log_opened opened;
	enum err err;

	if (record->type != SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED)
		return err_set(ctx, ERR_UNTRUSTED, "not NetworkCreated");
	if (directory->first == NULL)
		return err_set(ctx, ERR_UNTRUSTED, "NetworkCreated without a LogOpened before");
	TRY(network_created_read(record->body, arena, &created, ctx));
	if (strcmp(created.network, directory->network) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "NetworkCreated of another network");
	err = node_check(
		&created.hq_node, PURPOSE_NETWORK_CREATED, record->body, record->signature);
	if (err != OK)
		return err_set(ctx, err, "NetworkCreated: bad signature");
	TRY(log_opened_read(bytes_make(directory->first, directory->first_size), &created.hq_node,
		arena, &opened, ctx));
	strcpy(directory->hq, created.hq);
	strcpy(directory->origin, opened.origin);
	directory->hq_node = created.hq_node;
	directory->log_key = opened.log_key;
	directory->root_certificate = created.root_certificate;
	directory->created = true;
	return OK;
}

/* keeps: the member whose complaint key it may be; NULL: nobody's. */
static enum err fold_unique(const struct directory *directory, const struct member *member,
	const struct member *keeps, struct errctx *ctx)
{
	for (uint32_t kind = INDEX_SPKI; kind < INDEX_KINDS; kind++) {
		struct bytes key = index_key(member, kind);
		const struct slot *slot = index_find(directory, false, key);

		if (slot != NULL && keeps != NULL && kind == INDEX_COMPLAINT &&
			slot->kind == INDEX_COMPLAINT &&
			&directory->members[slot->place - 1] == keeps)
			continue;
		if (slot != NULL)
			return err_set(ctx, ERR_EXISTS, "'%s' brings a key of '%s'", member->name,
				slot_name(directory, slot));
		if (bytes_equal(key, BYTES_ARRAY(directory->log_key.b)))
			return err_set(ctx, ERR_EXISTS, "'%s' brings the directory's log key",
				member->name);
	}
	return OK;
}

static enum err fold_admitted(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct member member;
	enum err err;

	if (!directory->created)
		return err_set(ctx, ERR_UNTRUSTED, "NodeAdmitted without a NetworkCreated before");
	TRY(node_admitted_read(record->body, arena, directory->network, &member, ctx));
	err = node_check(&member.node, PURPOSE_NODE_ADMITTED, record->body, record->signature);
	if (err != OK)
		return err_set(ctx, err, "NodeAdmitted '%s': bad signature", member.name);
	if (directory->count == 0 &&
		(strcmp(member.name, directory->hq) != 0 || member.role != ROLE_HQ ||
			!bytes_equal(
				BYTES_ARRAY(member.node.b), BYTES_ARRAY(directory->hq_node.b))))
		return err_set(ctx, ERR_UNTRUSTED, "NodeAdmitted '%s' before headquarters' own",
			member.name);
	if (directory_find(directory, bytes_str(member.name)) != NULL)
		return err_set(ctx, ERR_EXISTS, "'%s' is admitted already", member.name);
	TRY(fold_unique(directory, &member, NULL, ctx));
	member.admitted_index = member.keys_index = directory->size;
	return member_add(directory, &member);
}

static enum err hq_check(const struct directory *directory, const struct record *record,
	const char *purpose, struct errctx *ctx)
{
	enum err err;

	if (directory->count == 0)
		return err_set(ctx, ERR_UNTRUSTED, "%s before headquarters was admitted", purpose);
	err = node_check(&directory->hq_node, purpose, record->body, record->signature);
	return err == OK ? OK : err_set(ctx, err, "%s: not signed by headquarters", purpose);
}

static enum err revocations_reserve(struct directory *directory)
{
	size_t capacity =
		directory->revocation_capacity == 0 ? 8 : 2 * directory->revocation_capacity;
	struct revocation **list;

	if (directory->revocation_count < directory->revocation_capacity)
		return OK;
	list = mem_resize(directory->revocations, capacity * sizeof(struct revocation *));
	if (list == NULL)
		return ERR_NOMEM;
	directory->revocations = list;
	directory->revocation_capacity = capacity;
	return OK;
}

static void revocation_free(struct revocation *revocation)
{
	mem_free(revocation->logs);
	mem_free(revocation);
}

static enum err revocation_add(struct directory *directory, const struct revocation *from)
{
	struct revocation *own;

	TRY(revocations_reserve(directory));
	own = mem_dup(from, sizeof(*from));
	if (own == NULL)
		return ERR_NOMEM;
	own->logs = mem_array(from->log_count + 1, sizeof(*from->logs));
	if (own->logs == NULL) {
		mem_free(own);
		return ERR_NOMEM;
	}
	memcpy(own->logs, from->logs, from->log_count * sizeof(*from->logs));
	own->index = directory->size;
	directory->revocations[directory->revocation_count++] = own;
	return OK;
}

static struct member *member_named(struct directory *directory, const char *name)
{
	const struct slot *slot = index_find(directory, true, bytes_str(name));

	return slot == NULL ? NULL : &directory->members[slot->place - 1];
}

static enum err fold_revoked(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct revocation revocation;
	struct member *member;

	TRY(hq_check(directory, record, PURPOSE_NODE_REVOKED, ctx));
	TRY(node_revoked_read(record->body, arena, directory->network, &revocation, ctx));
	member = member_named(directory, revocation.name);
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "NodeRevoked '%s': no member", revocation.name);
	if (!member->active)
		return err_set(
			ctx, ERR_EXISTS, "NodeRevoked '%s': it is revoked already", member->name);
	if (strcmp(member->name, directory->hq) == 0)
		return err_set(ctx, ERR_UNTRUSTED, "NodeRevoked: headquarters itself");
	TRY(revocation_add(directory, &revocation));
	member->active = false;
	return OK;
}

/* Of a member whose keys are to change: not too often, and epochs in order. */
static enum err change_check(
	const struct member *member, const char *what, uint32_t epoch, struct errctx *ctx)
{
	if (member->changes == LIMIT_KEY_CHANGES)
		return err_set(ctx, ERR_LIMIT, "%s '%s': its keys changed %d times already", what,
			member->name, LIMIT_KEY_CHANGES);
	if (member->former != NULL && epoch < member->former->epoch)
		return err_set(ctx, ERR_UNTRUSTED,
			"%s '%s': an epoch before that of an earlier one", what, member->name);
	return OK;
}

static enum err rotation_place(const struct directory *directory, const struct rotation *rotation,
	const struct member *member, struct errctx *ctx)
{
	if (rotation->directory_size > directory->size ||
		rotation->directory_size <= member->keys_index)
		return err_set(ctx, ERR_UNTRUSTED,
			"NodeKeysRotated '%s': made for a directory of %" PRIu64 " records",
			member->name, rotation->directory_size);
	if (directory->size - rotation->directory_size > LIMIT_ROTATION_AGE)
		return err_set(ctx, ERR_STALE, "NodeKeysRotated '%s': made %" PRIu64 " records ago",
			member->name, directory->size - rotation->directory_size);
	return OK;
}

static enum err fold_rotated(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct rotation rotation;
	struct member *member;
	enum err err;

	TRY(rotation_read(record->body, arena, directory->network, &rotation, ctx));
	member = member_named(directory, rotation.member.name);
	if (member == NULL)
		return err_set(
			ctx, ERR_NOTFOUND, "NodeKeysRotated '%s': no member", rotation.member.name);
	if (!member->active)
		return err_set(
			ctx, ERR_UNTRUSTED, "NodeKeysRotated '%s': it is revoked", member->name);
	err = node_check(&member->node, PURPOSE_KEYS_ROTATED, record->body, record->signature);
	if (err != OK)
		return err_set(
			ctx, err, "NodeKeysRotated '%s': not signed by its key", member->name);
	TRY(rotation_place(directory, &rotation, member, ctx));
	TRY(change_check(member, "NodeKeysRotated", rotation.epoch, ctx));
	TRY(fold_unique(directory, &rotation.member, member, ctx));
	return member_change(directory, member, &rotation.member,
		(struct key_change){false, rotation.epoch, rotation.made_at});
}

static enum err replacement_fits(const struct directory *directory, const struct member *member,
	const struct replacement *r, struct errctx *ctx)
{
	if (strcmp(member->name, directory->hq) == 0)
		return err_set(ctx, ERR_UNTRUSTED, "NodeReplaced: headquarters itself");
	if (r->member.role != member->role || strcmp(r->member.country, member->country) != 0)
		return err_set(ctx, ERR_UNTRUSTED, "NodeReplaced '%s': another role or country",
			member->name);
	TRY(change_check(member, "NodeReplaced", r->epoch, ctx));
	return fold_unique(directory, &r->member, NULL, ctx);
}

static enum err fold_replaced(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct replacement r;
	struct member *member;

	TRY(hq_check(directory, record, PURPOSE_NODE_REPLACED, ctx));
	TRY(replacement_read(record->body, arena, directory->network, &r, ctx));
	member = member_named(directory, r.member.name);
	if (member == NULL)
		return err_set(ctx, ERR_NOTFOUND, "NodeReplaced '%s': no member", r.member.name);
	TRY(replacement_fits(directory, member, &r, ctx));
	r.closing.replaced = true;
	r.closing.epoch = r.epoch;
	TRY(revocation_add(directory, &r.closing));

	enum err err = member_change(directory, member, &r.member,
		(struct key_change){true, r.epoch, r.closing.revoked_at});

	if (err != OK)
		revocation_free(directory->revocations[--directory->revocation_count]);
	else
		member->active = true;
	return err;
}

static enum err fold_policy(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	struct policy policy;

	TRY(hq_check(directory, record, PURPOSE_POLICY_CHANGED, ctx));
	TRY(policy_changed_read(record->body, arena, directory->network, &policy, ctx));
	for (size_t i = 0; i < policy.mirror_count; i++) {
		const struct member *member = member_named(directory, policy.mirrors[i]);

		if (member == NULL || !member->active)
			return err_set(ctx, ERR_NOTFOUND, "PolicyChanged: '%s' is no active member",
				policy.mirrors[i]);
	}
	policy.index = directory->size;
	directory->policy = policy;
	return OK;
}

static enum err fold_later(struct directory *directory, const struct record *record,
	struct arena *arena, struct errctx *ctx)
{
	switch ((int)record->type) {
	case SAUTI__RECORD_TYPE__RECORD_NODE_ADMITTED:
		return fold_admitted(directory, record, arena, ctx);
	case SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED:
		return fold_rotated(directory, record, arena, ctx);
	case SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED:
		return fold_revoked(directory, record, arena, ctx);
	case SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED:
		return fold_replaced(directory, record, arena, ctx);
	case SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED:
		return fold_policy(directory, record, arena, ctx);
	case SAUTI__RECORD_TYPE__RECORD_NONE:
		return err_set(ctx, ERR_MALFORMED, "record without a type");
	case SAUTI__RECORD_TYPE__RECORD_LOG_OPENED:
	case SAUTI__RECORD_TYPE__RECORD_NETWORK_CREATED:
		return err_set(ctx, ERR_MALFORMED, "record of type %" PRIu32 " is out of place",
			record->type);
	default:
		return OK; /* of a later version */
	}
}

static enum err fold(
	struct directory *directory, struct bytes entry, struct arena *arena, struct errctx *ctx)
{
	struct record record;

	if (directory->size == 0)
		return fold_first(directory, entry, arena, ctx);
	TRY(record_read(entry, arena, &record, ctx));
	if (directory->size == 1)
		return fold_created(directory, &record, arena, ctx);
	return fold_later(directory, &record, arena, ctx);
}

enum err directory_apply(struct directory *directory, struct bytes entry)
{
	/* An entry is at most 64 KiB and its messages have few repeated fields
	 * (LIMIT_MESSAGE_FIELDS in all) and few unknown ones, so that running out of this arena
	 * means running out of memory. */
	CLEANUP(arena_release) struct arena arena;
	struct errctx ctx = {""};
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (directory->size >= LIMIT_DIRECTORY_RECORDS)
		return ERR_LIMIT;
	err = fold(directory, entry, &arena, &ctx);
	if (err == ERR_NOMEM)
		return err;
	if (err != OK) {
		err_wrap(&ctx, err, "entry %" PRIu64, directory->size);
		directory->reason = ctx;
		directory->odd++;
	}
	if (directory->size == 1) {
		mem_free(directory->first);
		directory->first = NULL;
	}
	directory->size++;
	return OK;
}

/* ---- life and looks ---- */

enum err directory_new(const char *network, struct directory **ret)
{
	struct directory *directory;
	enum err err;

	if (!network_name_valid(bytes_str(network)))
		return ERR_INVALID;
	directory = mem_zalloc(sizeof(*directory));
	if (directory == NULL)
		return ERR_NOMEM;
	err = random_bytes(directory->seed, SEED_SIZE);
	if (err != OK) {
		mem_free(directory);
		return err;
	}
	strcpy(directory->network, network);
	policy_init(&directory->policy);
	*ret = directory;
	return OK;
}

void directory_free(struct directory *directory)
{
	if (directory == NULL)
		return;
	for (size_t i = 0; i < directory->revocation_count; i++)
		revocation_free(directory->revocations[i]);
	mem_free(directory->revocations);
	for (size_t i = 0; i < directory->former_count; i++)
		mem_free(directory->formers[i]);
	mem_free(directory->formers);
	mem_free(directory->first);
	mem_free(directory->members);
	mem_free(directory->slots);
	mem_free(directory);
}

uint64_t directory_size(const struct directory *directory)
{
	return directory->size;
}

uint64_t directory_odd(const struct directory *directory, const char **ret_last_reason)
{
	if (ret_last_reason != NULL)
		*ret_last_reason = directory->reason.text;
	return directory->odd;
}

const char *directory_network(const struct directory *directory)
{
	return directory->network;
}

bool directory_root_certificate(const struct directory *directory, struct hash *ret_sha256)
{
	if (directory->created)
		*ret_sha256 = directory->root_certificate;
	return directory->created;
}

const char *directory_origin(const struct directory *directory, struct ed25519_public *ret_key)
{
	if (!directory->created)
		return NULL;
	if (ret_key != NULL)
		*ret_key = directory->log_key;
	return directory->origin;
}

const struct member *directory_find(const struct directory *directory, struct bytes name)
{
	const struct slot *slot = index_find(directory, true, name);

	return slot == NULL ? NULL : &directory->members[slot->place - 1];
}

const struct member *directory_find_spki(const struct directory *directory, const struct hash *spki)
{
	const struct slot *slot = index_find(directory, false, hash_bytes(spki));

	if (slot == NULL || slot->kind != INDEX_SPKI)
		return NULL;
	return &directory->members[slot->place - 1];
}

/* The newest of that kind. */
static const struct revocation *closing_find(
	const struct directory *directory, struct bytes name, bool replaced)
{
	for (size_t i = directory->revocation_count; i > 0; i--) {
		const struct revocation *r = directory->revocations[i - 1];

		if (r->replaced == replaced && bytes_equal_str(name, r->name))
			return r;
	}
	return NULL;
}

const struct revocation *directory_revocation(const struct directory *directory, struct bytes name)
{
	const struct member *member = directory_find(directory, name);

	return member == NULL || member->active ? NULL : closing_find(directory, name, false);
}

const struct revocation *directory_replacement(const struct directory *directory, struct bytes name)
{
	return closing_find(directory, name, true);
}

const struct revocation *directory_closing(const struct directory *directory, size_t position)
{
	return position < directory->revocation_count ? directory->revocations[position] : NULL;
}

const struct ed25519_public *directory_opener(const struct directory *directory, const char *origin)
{
	const struct ed25519_public *key;
	const struct member *member;
	struct bytes node;
	uint32_t counter;

	if (!log_origin_read(origin, &node, &counter))
		return NULL;
	member = directory_find(directory, node);
	if (member == NULL)
		return NULL;
	key = &member->node;
	for (const struct former *f = member->former; f != NULL && counter <= f->epoch;
		f = f->former)
		key = &f->node;
	return key;
}

/* Up to which counter the i-th closing means the logs of its name: those of a revoked machine end
 * where the one that replaced it begins. */
static uint32_t closing_epoch(const struct directory *directory, size_t i)
{
	const char *name = directory->revocations[i]->name;

	for (; i < directory->revocation_count; i++)
		if (directory->revocations[i]->replaced &&
			strcmp(directory->revocations[i]->name, name) == 0)
			return directory->revocations[i]->epoch;
	return UINT32_MAX;
}

const struct revoked_log *directory_last(
	const struct directory *directory, const char *origin, bool *ret_closed)
{
	struct bytes node;
	uint32_t counter;

	*ret_closed = false;
	if (!log_origin_read(origin, &node, &counter))
		return NULL;
	for (size_t i = 0; i < directory->revocation_count; i++) {
		const struct revocation *r = directory->revocations[i];

		if (!bytes_equal_str(node, r->name) || counter > closing_epoch(directory, i))
			continue;
		for (size_t k = 0; k < r->log_count; k++)
			if (strcmp(r->logs[k].origin, origin) == 0)
				return &r->logs[k];
		*ret_closed = true;
		return NULL;
	}
	return NULL;
}

const struct policy *directory_policy(const struct directory *directory)
{
	return &directory->policy;
}

bool directory_counts(const struct directory *directory, const char *mirror)
{
	const struct member *member = directory_find(directory, bytes_str(mirror));

	return member != NULL && member->active && policy_names(&directory->policy, mirror);
}

const struct member *directory_at(const struct directory *directory, size_t position)
{
	return position < directory->count ? &directory->members[position] : NULL;
}
