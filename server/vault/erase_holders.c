/* To whom keys were given, and by whom those that are here. Nobody gives any yet. */
#include "server/vault/erase_parts.h"

enum err erase_holders(const struct book *book, struct erasure *erasure)
{
	return OK;
}

bool erase_given_by(
	const struct book *book, const char *sender, const struct seal_kid *kid, struct hash *ret)
{
	return false;
}
