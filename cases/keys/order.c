#include "cases/keys/order.h"

#include <string.h>

const char *order_verdict_text(enum order_verdict verdict)
{
	switch (verdict) {
	case ORDER_GOOD:
		return "good";
	case ORDER_NOT_AUTHOR:
		return "a key in it is not of the node that orders it destroyed";
	case ORDER_NOT_KEY:
		return "its node key is not the one that gave the key: compare its words first "
		       "('sauti node confirm')";
	case ORDER_UNKNOWN:
		return "nothing was ordered under that id";
	case ORDER_NOT_ASKED:
		return "it was not asked, or its node key is not the one that keys were given to";
	case ORDER_TOO_MUCH:
		return "it is not about what was ordered";
	case ORDER_ANOTHER:
		return "its id stands for another order already";
	}
	return "";
}

void order_key_given(struct order_key *key, const struct hash *by)
{
	static const struct hash none;

	if (hash_equal(&key->given_by, &none)) {
		key->given_known = true;
		key->given_by = *by;
	} else if (!hash_equal(&key->given_by, by)) {
		key->given_known = false; /* and stays so: given_by is not none */
	}
}

static bool signed_by(const struct order_sender *sender, const struct hash *key)
{
	return sender->confirmed || hash_equal(&sender->node_key, key);
}

enum order_verdict order_judge(
	const struct order_sender *sender, const struct order_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].here && strcmp(keys[i].author, sender->name) != 0)
			return ORDER_NOT_AUTHOR;
	for (size_t i = 0; i < count; i++) {
		if (!keys[i].here)
			continue;
		if (!keys[i].given_known ? !sender->confirmed
					 : !signed_by(sender, &keys[i].given_by))
			return ORDER_NOT_KEY;
	}
	return ORDER_GOOD;
}

enum order_verdict order_again(
	const struct erasure *known, const struct order_sender *sender, struct bytes kids)
{
	struct bytes there = bytes_make(known->kids, known->kid_count * SEAL_KID_SIZE);

	if (strcmp(known->sender, sender->name) != 0 || !bytes_equal(there, kids))
		return ORDER_ANOTHER;
	return signed_by(sender, &known->sender_key) ? ORDER_GOOD : ORDER_NOT_KEY;
}

enum order_verdict order_answer(
	const struct erasure *erasure, const struct order_sender *sender, size_t *ret_holder)
{
	if (erasure == NULL || erasure->sender[0] != '\0')
		return ORDER_UNKNOWN;
	for (size_t i = 0; i < erasure->holder_count; i++)
		if (strcmp(erasure->holders[i].node, sender->name) == 0 &&
			signed_by(sender, &erasure->holders[i].node_key)) {
			*ret_holder = i;
			return ORDER_GOOD;
		}
	return ORDER_NOT_ASKED;
}

static bool all_ordered(const struct erasure *erasure, struct bytes kids)
{
	for (size_t at = 0; at < kids.size; at += SEAL_KID_SIZE)
		if (!erasure_has(erasure, kids.data + at))
			return false;
	return true;
}

static bool all_named(const struct erasure_holder *holder, const uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!erasure_prekeys_have(&holder->prekeys, numbers[i]))
			return false;
	return true;
}

enum order_verdict order_receipt_judge(
	const struct erasure *erasure, size_t holder, const struct order_receipt *receipt)
{
	const struct erasure_holder *from = &erasure->holders[holder];
	size_t kids = (receipt->destroyed.size + receipt->never.size) / SEAL_KID_SIZE;

	/* Lists without a kid twice, of which none is in both: as many as ordered are all. */
	if (kids != erasure->kid_count || !all_ordered(erasure, receipt->destroyed) ||
		!all_ordered(erasure, receipt->never) ||
		!all_named(from, receipt->gone, receipt->gone_count) ||
		!all_named(from, receipt->left, receipt->left_count))
		return ORDER_TOO_MUCH;
	return ORDER_GOOD;
}

void order_receipt_take(
	struct erasure *erasure, size_t holder, const struct order_receipt *receipt, uint64_t now_s)
{
	struct erasure_holder *from = &erasure->holders[holder];

	if (from->receipt_at == 0)
		from->receipt_at = now_s;
	from->destroyed = (uint32_t)(receipt->destroyed.size / SEAL_KID_SIZE);
	from->never = (uint32_t)(receipt->never.size / SEAL_KID_SIZE);
	/* What is destroyed does not come back: an older receipt takes nothing away. */
	for (size_t i = 0; i < receipt->gone_count; i++)
		if (erasure_prekeys_add(&from->gone, receipt->gone[i]) != OK)
			return; /* as many as there are names: cannot be */
	from->hold_at = 0;
}
