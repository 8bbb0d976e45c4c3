#include "server/vault/grants/roll.h"

enum { FIRST_GENERATION = 1 };

void roll_release(struct roll *roll)
{
	for (size_t i = 0; i < roll->count; i++)
		keyring_entry_release(&roll->entries[i]);
	roll->count = 0;
}

static enum err key_make(struct book *book, const struct casebook_case *kase, enum group group,
	struct keyring_entry *ret)
{
	const struct casebook_key *newest =
		casebook_find_key(kase, group, bytes_str(book->opts.node));

	*ret = (struct keyring_entry){
		.case_ref = kase->ref,
		.group = group,
		.generation = newest == NULL ? FIRST_GENERATION : newest->generation + 1,
	};
	memcpy(ret->author, book->opts.node, strlen(book->opts.node) + 1);
	memcpy(ret->origin, book->logs[BOOK_OWN_LOG].origin.text, sizeof(ret->origin));
	return secret_random(&ret->key, SEAL_KEY_SIZE);
}

enum err roll_make(struct book *book, const struct casebook_case *kase, group_set groups,
	struct roll *ret, struct errctx *ctx)
{
	enum err err = OK;
	size_t keys = 0;

	ret->count = 0;
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		keys++;
	for (unsigned g = 1; g <= GROUP_LAST && err == OK; g++) {
		if ((groups & GROUP_BIT(g)) == 0)
			continue;
		if (keys++ >= CASEBOOK_KEYS_MAX)
			err = err_set(ctx, ERR_LIMIT, "the case would have more than %d keys",
				CASEBOOK_KEYS_MAX);
		else
			err = key_make(book, kase, (enum group)g, &ret->entries[ret->count++]);
	}
	if (err != OK)
		roll_release(ret);
	return err;
}

enum err roll_wrap(
	struct book *book, const struct roll *roll, struct buf *out, struct keyring_item *ret)
{
	for (size_t i = 0; i < roll->count; i++) {
		size_t start = out->size;
		struct seal_kid kid;

		TRY(keyring_wrap(secret_bytes(&book->keyring_key), &roll->entries[i], out, &kid));
		memcpy(ret[i].kid, kid.b, sizeof(ret[i].kid));
		ret[i].value = bytes_make(out->data + start, out->size - start);
	}
	return OK;
}

enum err roll_use(struct book *book, const struct roll *roll)
{
	for (size_t i = 0; i < roll->count; i++)
		TRY(casebook_add_key(book->cases, &roll->entries[i], NULL));
	return OK;
}
