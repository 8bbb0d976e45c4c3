#include "cases/keys/trust.h"

#include "base/alloc.h"
#include "base/text.h"
#include "proto/codec.h"
#include "proto/stored.pb-c.h"

void trust_init(struct trust *trust)
{
	*trust = (struct trust){NULL, 0, 0};
}

void trust_release(struct trust *trust)
{
	if (trust == NULL)
		return;
	mem_free(trust->rows);
	trust_init(trust);
}

void trust_clear(struct trust *trust)
{
	trust->count = 0;
}

/* Where the name is, or would be. */
static size_t place_of(const struct trust *trust, const char *node, bool *ret_found)
{
	size_t low = 0, high = trust->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(trust->rows[middle].node, node) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < trust->count && strcmp(trust->rows[low].node, node) == 0;
	return low;
}

static enum err reserve(struct trust *trust)
{
	size_t capacity = trust->capacity == 0 ? 8 : 2 * trust->capacity;
	struct trust_row *rows;

	if (trust->count == LIMIT_CONFIRMED)
		return ERR_LIMIT;
	if (trust->count < trust->capacity)
		return OK;
	rows = mem_resize(trust->rows, capacity * sizeof(*rows));
	if (rows == NULL)
		return ERR_NOMEM;
	trust->rows = rows;
	trust->capacity = capacity;
	return OK;
}

enum err trust_put(struct trust *trust, const struct trust_row *row)
{
	bool found;
	size_t place = place_of(trust, row->node, &found);

	if (!found) {
		TRY(reserve(trust));
		memmove(trust->rows + place + 1, trust->rows + place,
			(trust->count - place) * sizeof(*trust->rows));
		trust->count++;
	}
	trust->rows[place] = *row;
	return OK;
}

void trust_remove(struct trust *trust, const char *node)
{
	bool found;
	size_t place = place_of(trust, node, &found);

	if (!found)
		return;
	trust->count--;
	memmove(trust->rows + place, trust->rows + place + 1,
		(trust->count - place) * sizeof(*trust->rows));
}

const struct trust_row *trust_find(const struct trust *trust, const char *node)
{
	bool found;
	size_t place = place_of(trust, node, &found);

	return found ? &trust->rows[place] : NULL;
}

bool trust_confirmed(const struct trust *trust, const char *node, const struct ed25519_public *key)
{
	const struct trust_row *row = trust_find(trust, node);

	return row != NULL && bytes_equal(BYTES_ARRAY(row->key.b), BYTES_ARRAY(key->b));
}

enum err trust_check(const struct trust *trust, const char *node, const struct ed25519_public *key,
	struct errctx *ctx)
{
	if (trust_confirmed(trust, node, key))
		return OK;
	if (trust_find(trust, node) == NULL)
		return err_set(ctx, ERR_UNTRUSTED,
			"the key of '%s' is not confirmed here: compare its words on the telephone "
			"and run: sauti node confirm %s",
			node, node);
	return err_set(ctx, ERR_UNTRUSTED,
		"'%s' has another key than the one that was confirmed here: ask why, compare the "
		"words of the new one on the telephone, and run: sauti node confirm %s",
		node, node);
}

/* ---- the row ---- */

void trust_row_name(const char *node, struct row_name *ret)
{
	row_name(ROW_CONFIRMED, bytes_str(node), ret);
}

enum err trust_row_write(const struct trust_row *row, struct buf *out)
{
	Sauti__ConfirmedKey message = SAUTI__CONFIRMED_KEY__INIT;

	message.node = (char *)row->node;
	message.key = codec_binary(BYTES_ARRAY(row->key.b));
	message.officer = (char *)row->officer;
	message.confirmed_at = row->confirmed_at;
	codec_pack(out, &message);
	return out->err;
}

enum err trust_row_read(struct bytes plain, struct trust_row *ret, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct trust_row row = {.confirmed_at = 0};
	Sauti__ConfirmedKey *message;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = CODEC_UNPACK(confirmed_key, plain, &scan_limits_default, &arena, &message, ctx);
	if (err != OK)
		return err == ERR_NOMEM ? err : err_wrap(ctx, ERR_CORRUPT, "confirmed key");
	if (!node_name_valid(bytes_str(message->node)))
		return err_set(ctx, ERR_CORRUPT, "confirmed key: of no node");
	if (message->key.len != ED25519_PUBLIC_SIZE)
		return err_set(ctx, ERR_CORRUPT, "confirmed key: %zu bytes", message->key.len);
	if (strlen(message->officer) > LIMIT_OFFICER_NAME)
		return err_set(ctx, ERR_CORRUPT, "confirmed key: by nobody's name");
	strcpy(row.node, message->node);
	memcpy(row.key.b, message->key.data, ED25519_PUBLIC_SIZE);
	strcpy(row.officer, message->officer);
	row.confirmed_at = message->confirmed_at;
	*ret = row;
	return OK;
}
