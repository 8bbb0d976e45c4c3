#include "server/vault/complaint.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/event/event_json.h"
#include "cases/schema/schema.h"
#include "cases/seal/away.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"
#include "server/vault/foreign.h"

#define ANONYMOUS "anonymous"

enum {
	GROUPS_MAX = MAIL_COMPLAINT_KEYS, /* core, note */
	PARTS_MAX = 4,                    /* of two events */
	CODE_DRAWS_MAX = 1000,
};
_Static_assert(sizeof(((struct vault_complaint *)0)->code) > CASE_CODE_SIZE, "a code fits");
_Static_assert(sizeof(((struct vault_complaint *)0)->event_id) > EVENT_ID_TEXT, "an id fits");
_Static_assert((int)MAIL_CASE_REF_SIZE == (int)CASE_REF_SIZE, "one thing");
_Static_assert((int)MAIL_KEY_SIZE == (int)SEAL_KEY_SIZE, "one thing");
_Static_assert((int)MAIL_KID_SIZE == (int)SEAL_KID_SIZE, "one thing");
_Static_assert((int)PARTS_MAX <= (int)AWAY_LOCATORS_MAX, "one row remembers all of it");

/* ---- entries of no key of ours ---- */

enum err complaint_load_away(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	struct seal_locator *grown;
	struct away away;
	enum err err = away_unwrap(secret_bytes(&book->keyring_key), item->kid, item->value, &away);

	if (err != OK)
		return err_set(ctx, err, "a row of the keyring is not readable");
	grown = mem_resize(book->away, (book->away_count + away.count) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	book->away = grown;
	memcpy(grown + book->away_count, away.locators, away.count * sizeof(*grown));
	book->away_count += away.count;
	return OK;
}

bool complaint_is_away(const struct book *book, const struct seal_locator *locator)
{
	for (size_t i = 0; i < book->away_count; i++)
		if (memcmp(book->away[i].b, locator->b, sizeof(locator->b)) == 0)
			return true;
	return false;
}

/* ---- whom it is about ---- */

/* NAME, of this node, or NAME@NODE. "": not said. */
struct officer {
	char *text; /* owned */
	struct bytes name, node;
};

static enum err officer_read(
	const struct book *book, const struct event *event, const char *field, struct officer *ret)
{
	const char *at;
	enum err err;

	*ret = (struct officer){.text = NULL};
	err = event_field_string(event, field, &ret->text);
	if (err != OK)
		return err == ERR_NOTFOUND ? OK : err;
	at = strrchr(ret->text, '@');
	ret->name =
		at == NULL ? bytes_str(ret->text) : bytes_make(ret->text, (size_t)(at - ret->text));
	ret->node = bytes_str(at == NULL ? book->opts.node : at + 1);
	return OK;
}

static void officer_release(struct officer *officer)
{
	if (officer->text != NULL)
		wipe(officer->text, strlen(officer->text));
	mem_free(officer->text);
	officer->text = NULL;
}

enum err complaint_check_plain(
	const struct book *book, const struct event *event, struct errctx *ctx)
{
	struct officer subject;
	bool own;

	if (event->type != EVENT_COMPLAINT_RECEIVED)
		return OK;
	TRY(officer_read(book, event, "subject_officer", &subject));
	own = subject.text != NULL && bytes_equal_str(subject.node, book->opts.node);
	officer_release(&subject);
	if (own)
		return err_set(ctx, ERR_DENIED,
			"subject_officer: a complaint about an officer of this node is not kept "
			"here: 'sauti case complain' seals it to another node");
	return OK;
}

/* ---- whom it goes to ---- */

static bool may_get_it(const struct book *book, const struct vault_complaint *complaint,
	const struct vault_destination *to, const struct officer *subject)
{
	return strcmp(to->node, book->opts.node) != 0 &&
	       strcmp(to->node, complaint->about_node) != 0 &&
	       (subject->text == NULL || !bytes_equal_str(subject->node, to->node));
}

/* Names those that may get it, of those that were not asked for. */
static enum err nobody(const struct book *book, const struct vault_complaint *complaint,
	const struct officer *subject, struct errctx *ctx)
{
	char names[160] = "";
	size_t size = 0;

	for (size_t i = 0; i < complaint->destination_count; i++) {
		const struct vault_destination *to = &complaint->destinations[i];

		if (may_get_it(book, complaint, to, subject) && size < sizeof(names) - 40)
			size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s",
				size == 0 ? "" : ", ", to->node);
	}
	if (complaint->to[0] != '\0')
		return err_set(ctx, ERR_DENIED,
			"'%s' cannot be told: it is not another active node, or the complaint is "
			"about it; nothing was recorded. Who can: %s",
			complaint->to,
			size == 0 ? "nobody this node knows; ask headquarters by another way"
				  : names);
	if (size > 0)
		return err_set(ctx, ERR_DENIED,
			"headquarters is not the one to tell here; nothing was recorded. Say --to "
			"NODE: %s",
			names);
	return err_set(ctx, ERR_DENIED,
		"this node knows of no other active node that could read the complaint; nothing "
		"was recorded. Let it reach headquarters once, so that the directory comes, or "
		"take the complaint there by another way");
}

static enum err choose(const struct book *book, const struct vault_complaint *complaint,
	const struct officer *subject, const struct vault_destination **ret, struct errctx *ctx)
{
	for (size_t i = 0; i < complaint->destination_count; i++) {
		const struct vault_destination *to = &complaint->destinations[i];
		bool asked = complaint->to[0] == '\0' ? to->headquarters
						      : strcmp(to->node, complaint->to) == 0;

		if (asked && may_get_it(book, complaint, to, subject)) {
			*ret = to;
			return OK;
		}
	}
	return nobody(book, complaint, subject, ctx);
}

/* ---- the events ---- */

static enum err field_put(struct event *event, const char *name, const char *json)
{
	struct event_field *grown;

	if (event->field_count >= LIMIT_EVENT_FIELDS)
		return ERR_LIMIT;
	grown = mem_resize(event->fields, (event->field_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	event->fields = grown;
	grown[event->field_count] = (struct event_field){mem_strdup(name), mem_strdup(json)};
	if (grown[event->field_count].name == NULL || grown[event->field_count].json == NULL) {
		mem_free(grown[event->field_count].name);
		mem_free(grown[event->field_count].json);
		return ERR_NOMEM;
	}
	event->field_count++;
	return OK;
}

/* One that no case here has: it is for people, and the reference counts. */
static enum err make_code(struct book *book, const char *office, char *ret)
{
	uint8_t random[CASE_CODE_RANDOM_SIZE];

	for (unsigned n = 0; n < CODE_DRAWS_MAX; n++) {
		TRY(pool_draw(&book->pool, random, sizeof(random)));
		TRY(case_code_make(bytes_str(office), random, ret));
		if (casebook_find_code(book->cases, bytes_str(ret)) == NULL)
			return OK;
	}
	return ERR_LIMIT;
}

/* Who is named in it: whoever asked for it, or nobody when the complaint is to be anonymous. */
static enum err common_fill(
	struct book *book, const struct vault_request *request, struct event *event)
{
	const char *anonymous = event_field_json(event, "anonymous");
	bool hidden = anonymous != NULL && strcmp(anonymous, "\"Y\"") == 0;
	struct bytes country = bytes_str(book->opts.country);
	uint8_t random[10];
	struct event_id id;

	TRY(pool_draw(&book->pool, random, sizeof(random)));
	put_u16be(random, event->type == EVENT_CASE_OPENED ? 0 : 1); /* in this order */
	id = event_id_make(request->now_ms, random);
	event_set_id(event, &id);
	event_set_recorded_at(event, request->now_s);
	TRY(event_set_recorded_by(event, bytes_str(hidden ? ANONYMOUS : request->officer)));
	if (!event->has.office && country.size > 0)
		TRY(event_set_office(event, country));
	return OK;
}

static enum err handler_check(const struct book *book, const struct event *event,
	const struct officer *subject, struct errctx *ctx)
{
	struct officer handler;
	bool same;

	TRY(officer_read(book, event, "handled_by", &handler));
	same = handler.text != NULL && subject->text != NULL &&
	       bytes_equal(handler.name, subject->name) && bytes_equal(handler.node, subject->node);
	officer_release(&handler);
	return same ? err_set(ctx, ERR_INVALID,
			      "handled_by: the officer whom the complaint is about")
		    : OK;
}

static enum err read_line(struct vault_request *request, struct event *event)
{
	struct errctx *ctx = &request->ctx;

	TRY(event_parse(buf_bytes(&request->lines), event, ctx));
	if (event->type != EVENT_COMPLAINT_RECEIVED)
		return err_set(ctx, ERR_INVALID, "type: allowed is COMPLAINT_RECEIVED");
	if (event->has.event_id || event->has.case_ref || event->parents.count > 0)
		return err_set(ctx, ERR_INVALID,
			"event_id, case_ref, parents: a complaint gets an id and a case of its "
			"own");
	return OK;
}

/* Where it is read, a bare NAME would be an officer there. */
static enum err qualify_officer(const struct book *book, struct event *event, const char *field)
{
	struct officer officer;
	enum err err = officer_read(book, event, field, &officer);
	struct buf json;

	if (err != OK || officer.text == NULL || strchr(officer.text, '@') != NULL) {
		officer_release(&officer);
		return err;
	}
	buf_init(&json, 1024);
	(void)buf_reserve(&json, 1024);
	event_put_string(&json, officer.text);
	if (json.err == OK && json.size > 0) {
		json.size--; /* the last quote: a node's name needs no escaping */
		buf_printf(&json, "@%s\"", book->opts.node);
	}
	err = json.err;
	for (size_t i = 0; err == OK && i < event->field_count; i++) {
		struct event_field *f = &event->fields[i];
		char *text = strcmp(f->name, field) != 0 ? NULL : mem_strdup(buf_cstr(&json));

		if (text == NULL)
			continue;
		wipe(f->json, strlen(f->json));
		mem_free(f->json);
		f->json = text;
	}
	buf_wipe(&json);
	officer_release(&officer);
	return err;
}

static enum err complete(struct book *book, struct vault_request *request, struct event *event)
{
	struct case_ref ref;

	TRY(common_fill(book, request, event));
	TRY(pool_draw(&book->pool, ref.b, sizeof(ref.b)));
	event_set_case(event, &ref);
	if (event_field_json(event, "complaint_id") == NULL)
		TRY(field_put(event, "complaint_id", "\"Q-1\""));
	if (event_field_json(event, "anonymous") == NULL)
		TRY(field_put(event, "anonymous", "\"N\""));
	TRY(qualify_officer(book, event, "subject_officer"));
	TRY(qualify_officer(book, event, "handled_by"));
	TRY(event_check_complete(event, &request->ctx));
	return schema_check(event, &request->ctx);
}

/* The case around it, opened by the same hand on the same day. */
static enum err make_opening(struct book *book, const struct vault_request *request,
	const struct event *event, char *code, struct event *ret)
{
	char line[120], json[48];

	snprintf(line, sizeof(line), "{\"type\":\"CASE_OPENED\",\"occurred_on\":\"%s\"}",
		event->occurred_on);
	if (event->occurred_on[0] == '\0')
		snprintf(line, sizeof(line), "{\"type\":\"CASE_OPENED\"}");
	TRY(event_parse(bytes_str(line), ret, NULL));
	TRY(make_code(book, event->office, code));
	snprintf(json, sizeof(json), "\"%s\"", code);
	TRY(field_put(ret, "case_code", json));
	TRY(common_fill(book, request, ret));
	event_set_case(ret, &event->case_ref);
	TRY(event_set_recorded_by(ret, bytes_str(event->recorded_by)));
	return event_set_office(ret, bytes_str(event->office));
}

/* The complaint comes behind the opening. */
static enum err follow(struct event *event, const struct event *opening)
{
	event->parents.ids = mem_dup(&opening->id, sizeof(opening->id));
	event->parents.count = event->parents.ids != NULL;
	return event->parents.ids == NULL ? ERR_NOMEM : OK;
}

/* ---- sealing ---- */

struct sealing {
	struct mail_complaint keys; /* what leaves by mail */
	struct seal_key seal[GROUPS_MAX];
	struct event_parts parts[2]; /* the opening, the complaint */
	struct away away;
	struct buf sealed;
	size_t ends[PARTS_MAX], count, main; /* main: which is the complaint itself */
};

static void sealing_release(struct sealing *s)
{
	mail_complaint_release(&s->keys);
	for (size_t i = 0; i < GROUPS_MAX; i++)
		seal_key_release(&s->seal[i]);
	event_parts_release(&s->parts[0]);
	event_parts_release(&s->parts[1]);
	buf_release(&s->sealed);
}

/* The key of a group, made when it is new. */
static enum err key_get(struct sealing *s, enum group group, size_t *ret)
{
	struct mail_complaint_key *key = s->keys.keys;
	size_t i = 0;

	while (i < s->keys.key_count && key[i].group != (uint32_t)group)
		i++;
	if (i == s->keys.key_count) {
		if (i == GROUPS_MAX)
			return ERR_INVALID;
		key[i].group = group;
		TRY(secret_random(&key[i].key, SEAL_KEY_SIZE));
		TRY(seal_key_init(&s->seal[i], secret_bytes(&key[i].key)));
		memcpy(key[i].kid, s->seal[i].kid.b, SEAL_KID_SIZE);
		s->keys.key_count++;
	}
	*ret = i;
	return OK;
}

static enum err seal_part(struct book *book, struct sealing *s, const struct event_part *part,
	uint64_t next[GROUPS_MAX])
{
	struct seal_position position = {.origin = book->logs[BOOK_OWN_LOG].hash};
	uint8_t random[SEAL_RANDOM_SIZE];
	struct seal_options options = {
		random, false}; /* zstd would keep some of it in its windows */
	size_t key;
	enum err err;

	if (s->count == PARTS_MAX)
		return ERR_INVALID;
	TRY(key_get(s, part->group, &key));
	TRY(pool_draw(&book->pool, random, sizeof(random)));
	position.index = next[key]++;
	TRY(seal_locator(&s->seal[key], &position, &s->away.locators[s->count]));
	err = seal_write(book->sealer, &s->seal[key], &position, &options, buf_bytes(&part->packed),
		&s->sealed);
	wipe(random, sizeof(random));
	s->ends[s->count++] = s->sealed.size;
	return err;
}

static enum err seal_events(struct book *book, struct sealing *s, struct errctx *ctx)
{
	const char *origin = book->logs[BOOK_OWN_LOG].origin.text;
	uint64_t next[GROUPS_MAX] = {0};

	buf_init(&s->sealed, PARTS_MAX * LIMIT_ENTRY_SIZE);
	memcpy(s->keys.origin, origin, strlen(origin) + 1);
	for (size_t e = 0; e < 2; e++)
		for (size_t i = 0; i < s->parts[e].count; i++) {
			enum err err;

			if (e == 1 && s->parts[e].part[i].main)
				s->main = s->count;
			err = seal_part(book, s, &s->parts[e].part[i], next);
			if (err == ERR_INVALID)
				return err_set(ctx, err, "a field that a complaint does not have");
			TRY(err);
		}
	s->away.count = s->count;
	return OK;
}

/* In an order that says nothing. */
static enum err make_entries(struct book *book, const struct sealing *s, struct entries **ret,
	struct vault_complaint *complaint)
{
	struct bytes views[PARTS_MAX];
	uint32_t order[PARTS_MAX];

	TRY(pool_shuffle(&book->pool, order, s->count));
	for (size_t i = 0; i < s->count; i++) {
		size_t part = order[i], start = part == 0 ? 0 : s->ends[part - 1];

		views[i] = bytes_make(s->sealed.data + start, s->ends[part] - start);
		if (part == s->main) {
			tree_leaf(views[i], &complaint->leaf);
			complaint->position = (uint32_t)i;
		}
	}
	return entries_make(views, s->count, ret);
}

static enum err remember(struct book *book, const struct sealing *s, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf value;
	struct keyring_item item;

	buf_init(&value, KEYRING_VALUE_MAX);
	TRY(pool_draw(&book->pool, item.kid, sizeof(item.kid)));
	TRY(away_wrap(secret_bytes(&book->keyring_key), item.kid, &s->away, &value));
	item.value = buf_bytes(&value);
	return keyring_put(book->opts.keyring, &item, 1, ctx);
}

static enum err write_mail(struct book *book, const struct vault_request *request,
	const struct vault_destination *to, const struct mail_complaint *keys, struct buf *out)
{
	CLEANUP(secret_release) struct secret ephemeral = {0};
	CLEANUP(buf_wipe) struct buf content;
	struct prekey sealed_to = {.number = to->prekey, .key = to->key};
	struct mail_draft draft = {
		.network = book->opts.network,
		.sender = book->opts.node,
		.recipient = to->node,
		.kind = MAIL_COMPLAINT,
		.made_at = request->now_s,
		.prekey = &sealed_to,
	};

	buf_init(&content, 1024);
	(void)buf_reserve(&content, 1024);
	TRY(mail_complaint_write(&content, keys));
	TRY(pool_draw(&book->pool, draft.id, sizeof(draft.id)));
	TRY(secret_random(&ephemeral, X25519_KEY_SIZE));
	draft.content = buf_bytes(&content);
	draft.ephemeral = secret_bytes(&ephemeral);
	return mail_body_write(out, &draft);
}

static enum err seal_all(struct book *book, struct vault_request *request,
	const struct event *opening, const struct event *event, const struct vault_destination *to)
{
	struct vault_complaint *complaint = request->complaint;
	struct errctx *ctx = &request->ctx;
	struct sealing s = {.count = 0};
	enum err err;

	memcpy(s.keys.case_ref, event->case_ref.b, CASE_REF_SIZE);
	err = event_split(opening, NULL, &s.parts[0], ctx);
	if (err == OK)
		err = event_split(event, NULL, &s.parts[1], ctx);
	if (err == OK)
		err = seal_events(book, &s, ctx);
	if (err == OK)
		err = make_entries(book, &s, &request->entries, complaint);
	if (err == OK)
		err = write_mail(book, request, to, &s.keys, &request->mail);
	if (err == OK && (err = remember(book, &s, ctx)) != OK)
		request->trouble = keyring_trouble(book->opts.keyring);
	sealing_release(&s);
	return err;
}

enum err complaint_seal(struct book *book, struct vault_request *request)
{
	struct vault_complaint *complaint = request->complaint;
	const char *origin = book->logs[BOOK_OWN_LOG].origin.text;
	const struct vault_destination *to = NULL;
	struct event event = {0}, opening = {0};
	struct officer subject = {.text = NULL};
	enum err err;

	buf_clear(&request->mail);
	memcpy(request->log_origin, origin, strlen(origin) + 1);
	err = read_line(request, &event);
	if (err == OK)
		err = officer_read(book, &event, "subject_officer", &subject);
	if (err == OK)
		err = handler_check(book, &event, &subject, &request->ctx);
	if (err == OK)
		err = choose(book, complaint, &subject, &to, &request->ctx);
	if (err == OK)
		err = complete(book, request, &event);
	if (err == OK)
		err = make_opening(book, request, &event, complaint->code, &opening);
	if (err == OK)
		err = follow(&event, &opening);
	if (err == OK) {
		event_id_text(&event.id, complaint->event_id);
		memcpy(complaint->to, to->node, sizeof(complaint->to));
		err = seal_all(book, request, &opening, &event, to);
	}
	officer_release(&subject);
	event_release(&event);
	event_release(&opening);
	pool_wipe(&book->pool);
	return err;
}

/* ---- at the node it goes to ---- */

static bool keys_sound(
	const struct book *book, const struct mail_item *item, const struct mail_complaint *keys)
{
	struct origin_parts parts;

	if (origin_parse(bytes_str(keys->origin), NULL, &parts) != OK ||
		!bytes_equal_str(parts.network, book->opts.network) ||
		!bytes_equal_str(parts.node, item->sender) || keys->keys[0].group != GROUP_CORE ||
		(keys->key_count > 1 && keys->keys[1].group != GROUP_NOTE))
		return false;
	for (size_t i = 0; i < keys->key_count; i++) {
		struct seal_kid kid;

		if (keys->keys[i].first != 0 ||
			seal_kid_of(secret_bytes(&keys->keys[i].key), &kid) != OK ||
			memcmp(kid.b, keys->keys[i].kid, sizeof(kid.b)) != 0)
			return false;
	}
	return true;
}

/* Is all of it here already, by this sender? */
static bool keys_known(const struct casebook_case *kase, const struct mail_item *item,
	const struct mail_complaint *keys)
{
	for (size_t i = 0; i < keys->key_count; i++) {
		const struct casebook_key *key = kase->keys;

		while (key != NULL &&
			(memcmp(key->seal.kid.b, keys->keys[i].kid, SEAL_KID_SIZE) != 0 ||
				strcmp(key->author, item->sender) != 0))
			key = key->next;
		if (key == NULL)
			return false;
	}
	return true;
}

static enum err entry_make(const struct mail_item *item, const struct mail_complaint *keys,
	size_t i, struct keyring_entry *ret)
{
	struct keyring_entry entry = {
		.group = (enum group)keys->keys[i].group, .generation = FOREIGN_ONCE};

	memcpy(entry.case_ref.b, keys->case_ref, CASE_REF_SIZE);
	memcpy(entry.author, item->sender, sizeof(entry.author));
	memcpy(entry.origin, keys->origin, sizeof(entry.origin));
	TRY(secret_copy(&entry.key, secret_bytes(&keys->keys[i].key)));
	*ret = entry;
	return OK;
}

/* Into the keyring in one transaction; then into the book. */
static enum err keys_keep(struct book *book, const struct mail_item *item,
	const struct mail_complaint *keys, struct errctx *ctx)
{
	struct keyring_entry entries[GROUPS_MAX] = {0};
	struct keyring_item items[GROUPS_MAX];
	CLEANUP(buf_release) struct buf wrapped;
	struct casebook_key *key;
	struct seal_kid kid;
	enum err err = OK;

	buf_init(&wrapped, GROUPS_MAX * KEYRING_VALUE_MAX);
	(void)buf_reserve(&wrapped, GROUPS_MAX * KEYRING_VALUE_MAX); /* views stay valid */
	for (size_t i = 0; i < keys->key_count && err == OK; i++) {
		size_t start = wrapped.size;

		err = entry_make(item, keys, i, &entries[i]);
		if (err == OK)
			err = keyring_wrap(
				secret_bytes(&book->keyring_key), &entries[i], &wrapped, &kid);
		if (err != OK)
			break;
		memcpy(items[i].kid, kid.b, sizeof(kid.b));
		items[i].value = bytes_make(wrapped.data + start, wrapped.size - start);
	}
	if (err == OK)
		err = keyring_put(book->opts.keyring, items, keys->key_count, ctx);
	for (size_t i = 0; i < keys->key_count && err == OK; i++) {
		err = casebook_add_key(book->cases, &entries[i], &key);
		if (err == OK)
			err = foreign_add_key(book, &entries[i], key, ctx);
	}
	for (size_t i = 0; i < GROUPS_MAX; i++)
		keyring_entry_release(&entries[i]);
	return err;
}

static enum err take_keys(struct book *book, const struct mail_item *item,
	const struct mail_complaint *keys, struct vault_request *request)
{
	const struct casebook_case *kase;
	struct case_ref ref;
	enum err err;

	memcpy(ref.b, keys->case_ref, sizeof(ref.b));
	kase = casebook_find_ref(book->cases, &ref);
	if (!keys_sound(book, item, keys) || (kase != NULL && !keys_known(kase, item, keys))) {
		request->refused = true;
		return OK;
	}
	if (kase != NULL)
		return OK;
	if (foreign_once_cases(book, item->sender) >= LIMIT_COMPLAINTS_SENDER ||
		!foreign_room(book, item->sender) ||
		casebook_case_count(book->cases) >= LIMIT_CASES)
		return err_set(&request->ctx, ERR_FULL,
			"as many complaints of '%s' as there may be", item->sender);
	err = keys_keep(book, item, keys, &request->ctx);
	request->refused = err == ERR_EXISTS; /* a kid of another case */
	return err == ERR_EXISTS ? OK : err;
}

enum err complaint_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	struct mail_complaint keys = {.key_count = 0};
	enum err err;

	arena_init(&arena, 64 * 1024);
	request->outcome = MAIL_PROCESSED;
	err = mail_complaint_read(body, &arena, &keys, NULL);
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (err != OK || item->class != MAIL_ORDINARY) { /* erasures get past the room for mail */
		request->refused = true;
		err = OK;
	} else {
		err = take_keys(book, item, &keys, request);
	}
	mail_complaint_release(&keys);
	if (request->refused)
		request->outcome = MAIL_UNKNOWN_KIND;
	return err;
}
