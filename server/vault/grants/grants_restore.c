/*
 * What the ledger says was given and the keyring does not know: a node whose own keys came back out
 * of escrow, or whose keyring is older than its log, must not forget who can read its cases.
 * Without it a withdrawal would roll no key and ask nobody.
 *
 * What the ledger cannot say: to which prekeys a grant was sealed, and which node key the recipient
 * had. The review takes the one it has now.
 */
#include <jansson.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/json_memory.h"
#include "server/vault/grants/grants.h"

static bool hex_field(const struct event *event, const char *name, uint8_t *ret, size_t size)
{
	char *text = NULL;
	bool ok = event_field_string(event, name, &text) == OK && strlen(text) == 2 * size &&
		  hex_decode(bytes_str(text), ret, size) == OK;

	mem_free(text);
	return ok;
}

static bool text_field(const struct event *event, const char *name, char *ret, size_t size)
{
	char *text = NULL;
	bool ok = event_field_string(event, name, &text) == OK && strlen(text) < size;

	if (ok)
		memcpy(ret, text, strlen(text) + 1);
	mem_free(text);
	return ok;
}

static bool id_field(const struct event *event, const char *name, struct event_id *ret)
{
	char text[EVENT_ID_TEXT + 1];

	return text_field(event, name, text, sizeof(text)) &&
	       event_id_parse(bytes_str(text), ret) == OK;
}

static json_t *list_field(const struct event *event, const char *name)
{
	const char *json = event_field_json(event, name);

	return json == NULL ? NULL : json_loads(json, 0, NULL);
}

static const struct casebook_key *own_key(
	const struct casebook_case *kase, const struct seal_kid *kid)
{
	const struct casebook_key *key = kase == NULL ? NULL : kase->keys;

	while (key != NULL && (key->foreign || memcmp(key->seal.kid.b, kid->b, SEAL_KID_SIZE) != 0))
		key = key->next;
	return key;
}

/* Those that are here still: what was erased since nobody holds, and orders have gone out. */
static enum err take_keys(
	const struct casebook_case *kase, const struct event *event, struct given *ret)
{
	json_t *list = list_field(event, "key_ids");
	size_t size = json_array_size(list), count = 0;
	enum err err = size == 0 || size > LIMIT_GRANT_KEYS ? ERR_NOTFOUND : given_init(ret, size);

	for (size_t i = 0; err == OK && i < size; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		const struct casebook_key *key;
		struct seal_kid kid;

		if (text == NULL || strlen(text) != 2 * SEAL_KID_SIZE ||
			hex_decode(bytes_str(text), kid.b, sizeof(kid.b)) != OK)
			continue;
		key = own_key(kase, &kid);
		if (key != NULL)
			ret->keys[count++] = (struct given_key){kid, key->group, 0};
	}
	json_decref(list);
	if (err == OK && count == 0) {
		given_release(ret);
		return ERR_NOTFOUND;
	}
	if (err == OK)
		ret->key_count = count;
	return err;
}

static uint32_t basis_of(const struct event *event)
{
	char text[16];

	if (!text_field(event, "basis", text, sizeof(text)))
		return 0;
	for (uint32_t basis = GRANT_CONSENT; basis <= GRANT_LEDGER; basis++)
		if (strcmp(grant_basis_name(basis), text) == 0)
			return basis;
	return 0;
}

static bool fill(const struct event *event, struct given *given)
{
	char history[4] = "";

	given->id = event->id;
	given->made_at = event->recorded_at;
	given->state = GIVEN_TAKEN; /* as far as anybody knows */
	given->basis = basis_of(event);
	given->has_consent = id_field(event, "consent_ref", &given->consent);
	(void)text_field(event, "purpose", given->purpose, sizeof(given->purpose));
	(void)text_field(event, "until", given->until, sizeof(given->until));
	(void)text_field(event, "history", history, sizeof(history));
	(void)hex_field(event, "consent_leaf", given->consent_leaf.b, HASH_SIZE);
	given->history = strcmp(history, "Y") == 0;
	for (size_t i = 0; i < given->key_count; i++)
		given->groups |= GROUP_BIT(given->keys[i].group);
	given_sort(given);
	return given->basis != 0 && hex_field(event, "nonce", given->nonce, sizeof(given->nonce)) &&
	       text_field(event, "recipient", given->recipient, sizeof(given->recipient)) &&
	       node_name_valid(bytes_str(given->recipient));
}

/* An event that says too little to go by, of another version, is no reason not to unlock. */
static enum err restore(struct book *book, const struct event *event)
{
	struct given given = {.keys = NULL};
	struct case_ref ref;
	enum err err;

	if (!hex_field(event, "case", ref.b, sizeof(ref.b)))
		return OK;
	err = take_keys(casebook_find_ref(book->cases, &ref), event, &given);
	if (err == ERR_NOTFOUND)
		return OK;
	TRY(err);
	given.case_ref = ref;
	err = fill(event, &given) ? grants_add_given(book, &given) : OK;
	given_release(&given);
	return err;
}

/* Also of a row that is older than that. */
static void end(struct book *book, const struct event *event)
{
	struct event_id id;
	struct given *given = id_field(event, "grant", &id) ? grants_find(book, id.b) : NULL;
	char reason[16] = "";

	if (given == NULL || given->revoked_on[0] != '\0' || event->occurred_on[0] == '\0')
		return;
	(void)text_field(event, "reason", reason, sizeof(reason));
	memcpy(given->revoked_on, event->occurred_on, sizeof(given->revoked_on));
	given->revocation = event->id;
	given->revoked_for = strcmp(reason, "ENDED") == 0     ? GIVEN_ENDED
			     : strcmp(reason, "STOPPED") == 0 ? GIVEN_STOPPED
							      : GIVEN_WITHDRAWN;
}

enum err grants_noted(struct book *book, const struct part_info *info)
{
	struct bytes part = buf_bytes(&book->part);
	struct event event = {0};
	enum err err = OK;

	if (info->group != GROUP_AUDIT ||
		(info->type != EVENT_ACCESS_GRANTED && info->type != EVENT_ACCESS_REVOKED) ||
		(info->type == EVENT_ACCESS_GRANTED && grants_find(book, info->event_id.b) != NULL))
		return OK;
	if (event_merge(&part, 1, &event, NULL) != OK)
		return OK;
	if (info->type == EVENT_ACCESS_GRANTED)
		err = restore(book, &event);
	else
		end(book, &event);
	event_release(&event);
	return err;
}
