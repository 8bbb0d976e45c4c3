#include "certs/prekeys.h"

enum { ERASURES_FREE = LIMIT_PREKEYS / 2 };

static struct prekey_state *newest(const struct prekey_table *table)
{
	return table->count == 0 ? NULL : (struct prekey_state *)&table->list[table->count - 1];
}

size_t prekeys_kept(const struct prekey_table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++)
		kept += table->list[i].gone_at == 0;
	return kept;
}

static bool is_future(uint64_t time, uint64_t now)
{
	return time > now && time - now > PREKEY_DAY_S;
}

static bool is_past(uint64_t time, uint64_t now, uint64_t span)
{
	return time <= now && now - time >= span;
}

/* ---- old ones ---- */

static bool retire(struct prekey_state *state, const struct prekey_look *look)
{
	uint64_t now = look->now_s == 0 ? 1 : look->now_s; /* 0 says that it is not */

	if (state->gone_at != 0)
		return false;
	if (state->retired_at == 0 && state->number < look->acknowledged) {
		state->retired_at = now;
		return true;
	}
	if (state->retired_at == 0)
		return false;
	if (is_future(state->retired_at, now)) {
		state->retired_at = now;
		return true;
	}
	if (!is_past(state->retired_at, now, PREKEY_KEPT_S))
		return false;
	state->gone_at = now;
	return true;
}

static bool forget_oldest(struct prekey_table *table)
{
	size_t oldest = 0;

	if (table->count - prekeys_kept(table) <= LIMIT_PREKEYS_GONE)
		return false;
	while (table->list[oldest].gone_at == 0)
		oldest++;
	table->count--;
	memmove(&table->list[oldest], &table->list[oldest + 1],
		(table->count - oldest) * sizeof(table->list[0]));
	return true;
}

/* ---- the newest ---- */

static bool is_zero(const struct hash *hash)
{
	static const struct hash zero = {{0}};

	return hash_equal(hash, &zero);
}

static bool signer_changed(const struct prekey_state *state, const struct prekey_look *look)
{
	return !is_zero(&state->signer) && !hash_equal(&state->signer, &look->signer);
}

/* An erasure's waits until a peer holds the newest, so that many at a time are one; or until it is
 * a day old; that also when there are many. */
static bool erasure_due(const struct prekey_table *table, const struct prekey_state *last,
	const struct prekey_look *look)
{
	bool at_once = look->acknowledged >= last->number && prekeys_kept(table) < ERASURES_FREE;

	return last->wanted && (at_once || is_past(last->made_at, look->now_s, PREKEY_DAY_S) ||
				       is_future(last->made_at, look->now_s));
}

static bool old(const struct prekey_state *last, const struct prekey_look *look)
{
	return look->acknowledged >= last->number &&
	       (is_past(last->made_at, look->now_s, PREKEY_AGE_S) ||
		       is_future(last->made_at, look->now_s));
}

static bool successor_due(const struct prekey_table *table, const struct prekey_look *look)
{
	const struct prekey_state *last = newest(table);

	return last == NULL || last->gone_at != 0 || look->published > last->number ||
	       (look->published == last->number && look->published_other) ||
	       signer_changed(last, look) || erasure_due(table, last, look) || old(last, look);
}

struct prekey_step prekeys_step(struct prekey_table *table, const struct prekey_look *look)
{
	struct prekey_state *last = newest(table);
	struct prekey_step step = {.next = 1};

	if (last != NULL && look->wanted && !last->wanted)
		step.changed = last->wanted = true;
	/* Never the newest, whatever number a log has: nothing could be sealed to this node. */
	for (size_t i = 0; i + 1 < table->count; i++)
		step.changed |= retire(&table->list[i], look);
	while (forget_oldest(table))
		step.changed = true;
	if (!successor_due(table, look))
		return step;
	last = newest(table);
	if (last != NULL)
		step.next = last->number + 1;
	if (look->published >= step.next)
		step.next = look->published + 1;
	step.full = prekeys_kept(table) >= LIMIT_PREKEYS || step.next == 0;
	step.make = !step.full;
	return step;
}

uint64_t prekeys_next_at(const struct prekey_table *table)
{
	const struct prekey_state *last = newest(table);

	return last == NULL ? 0 : last->made_at + PREKEY_AGE_S;
}

enum prekey_fate prekeys_fate(
	const struct prekey_table *table, uint64_t number, uint64_t *ret_gone_at)
{
	const struct prekey_state *last = newest(table);

	*ret_gone_at = 0;
	if (number == 0 || last == NULL || number > last->number)
		return PREKEY_UNKNOWN;
	for (size_t i = 0; i < table->count; i++) {
		if (table->list[i].number != number)
			continue;
		*ret_gone_at = table->list[i].gone_at;
		return table->list[i].gone_at == 0 ? PREKEY_KEPT : PREKEY_GONE;
	}
	return PREKEY_GONE;
}
