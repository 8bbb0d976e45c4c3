/* When prekeys come and go: numbers and times, and clocks that jump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "certs/prekeys.h"

enum { DAY = PREKEY_DAY_S, MONTH = PREKEY_AGE_S };
static const uint64_t start_s = 1800000000;

/* A node whose records every peer holds at once, unless `deaf`. */
struct world {
	struct prekey_table table;
	struct prekey_look look;
	bool deaf;
};

static struct world world_new(void)
{
	return (struct world){.look = {.now_s = start_s, .signer = {{1}}}};
}

static struct prekey_step step(struct world *w)
{
	struct prekey_step step = prekeys_step(&w->table, &w->look);

	w->look.wanted = false;
	if (step.make) {
		w->table.list[w->table.count++] = (struct prekey_state){
			.number = step.next, .made_at = w->look.now_s, .signer = w->look.signer};
		if (!w->deaf)
			w->look.acknowledged = w->look.published = step.next;
	}
	return step;
}

static uint64_t newest(const struct world *w)
{
	return w->table.list[w->table.count - 1].number;
}

static enum prekey_fate fate(const struct world *w, uint64_t number)
{
	uint64_t at;

	return prekeys_fate(&w->table, number, &at);
}

static void monthly(void **state)
{
	struct world w = world_new();
	uint64_t at;

	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 1);
	assert_false(step(&w).changed);
	w.look.now_s += MONTH - 1;
	assert_false(step(&w).make);
	w.look.now_s++;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 2);
	assert_int_equal(prekeys_next_at(&w.table), start_s + 2 * (uint64_t)MONTH);
	assert_int_equal(w.table.list[0].retired_at, 0);
	/* A peer holds the second: the first retires, and goes 30 days later, to the second. */
	assert_true(step(&w).changed);
	assert_int_equal(w.table.list[0].retired_at, w.look.now_s);
	w.look.now_s += PREKEY_KEPT_S - 1;
	step(&w);
	assert_int_equal(fate(&w, 1), PREKEY_KEPT);
	w.look.now_s++;
	step(&w);
	assert_int_equal(prekeys_fate(&w.table, 1, &at), PREKEY_GONE);
	assert_int_equal(at, w.look.now_s);
	assert_int_equal(fate(&w, 2), PREKEY_KEPT);
	assert_int_equal(fate(&w, 0), PREKEY_UNKNOWN);
	assert_int_equal(fate(&w, newest(&w) + 1), PREKEY_UNKNOWN);
}

/* Nobody knows the newest: nothing is sealed to it, and nothing retires, however long. */
static void alone_for_years(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.now_s += MONTH;
	w.deaf = true;
	assert_true(step(&w).make);
	for (int i = 0; i < 100; i++) {
		w.look.now_s += MONTH;
		assert_false(step(&w).changed || step(&w).make);
	}
	assert_int_equal(newest(&w), 2);
	assert_int_equal(fate(&w, 1), PREKEY_KEPT);
	/* Back: only now the first retires, and a third is due. */
	w.look.acknowledged = w.look.published = 2;
	assert_true(step(&w).make);
	assert_int_equal(w.table.list[0].retired_at, w.look.now_s);
	assert_int_equal(newest(&w), 3);
}

static void erasures(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.wanted = true;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 2);
	assert_false(step(&w).make);
	/* Many before a peer holds the successor are one more, then. */
	w.deaf = true;
	w.look.wanted = true;
	assert_true(step(&w).make);
	for (int i = 0; i < 100; i++) {
		w.look.wanted = true;
		assert_false(step(&w).make);
	}
	assert_int_equal(newest(&w), 3);
	w.deaf = false;
	w.look.acknowledged = w.look.published = 3;
	assert_true(step(&w).make);
	assert_false(step(&w).make);
	assert_int_equal(newest(&w), 4);
	/* Many in one day: half of all places at once, then one a day; never more than fit. */
	for (int day = 0; day < 200; day++) {
		uint64_t before = newest(&w);

		for (int i = 0; i < 100; i++) {
			w.look.wanted = true;
			assert_false(step(&w).full);
		}
		assert_true(prekeys_kept(&w.table) <= LIMIT_PREKEYS);
		assert_true(day == 0 || newest(&w) <= before + LIMIT_PREKEYS / 2);
		assert_true(newest(&w) > before);
		w.look.now_s += DAY;
	}
	assert_true(w.table.count - prekeys_kept(&w.table) <= LIMIT_PREKEYS_GONE);
	assert_int_equal(fate(&w, 1), PREKEY_GONE); /* also when it is not remembered any more */
}

/* Where nothing retires there is an end: at the cap a new one waits, and comes when there is room.
 */
static void at_the_cap(void **state)
{
	struct world w = world_new();
	struct prekey_step last;

	w.deaf = true;
	step(&w);
	for (size_t i = 1; i < LIMIT_PREKEYS; i++) {
		w.look.now_s += DAY;
		w.look.wanted = true;
		assert_true(step(&w).make);
	}
	assert_int_equal(prekeys_kept(&w.table), LIMIT_PREKEYS);
	w.look.now_s += DAY;
	w.look.wanted = true;
	last = step(&w);
	assert_true(last.full && !last.make);
	assert_int_equal(newest(&w), LIMIT_PREKEYS);
	w.look.acknowledged = w.look.published = 3;
	assert_true(step(&w).full);
	w.look.now_s += PREKEY_KEPT_S;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), LIMIT_PREKEYS + 1);
	assert_int_equal(fate(&w, 2), PREKEY_GONE);
	assert_int_equal(fate(&w, 3), PREKEY_KEPT);
}

/* Destroyed ones are remembered up to a number. */
static void gone_are_forgotten(void **state)
{
	struct world w = world_new();
	uint64_t at;

	for (int i = 0; i < LIMIT_PREKEYS_GONE + 2; i++) {
		step(&w);
		w.look.now_s += MONTH;
	}
	/* One is the newest, one retired: as many are gone as are remembered. */
	step(&w);
	assert_int_equal(w.table.count - prekeys_kept(&w.table), LIMIT_PREKEYS_GONE);
	assert_int_equal(prekeys_fate(&w.table, 1, &at), PREKEY_GONE);
	assert_true(at != 0);
	w.look.now_s += MONTH;
	step(&w);
	assert_int_equal(w.table.count - prekeys_kept(&w.table), LIMIT_PREKEYS_GONE);
	assert_int_equal(prekeys_fate(&w.table, 1, &at), PREKEY_GONE);
	assert_int_equal(at, 0);
	assert_int_equal(prekeys_fate(&w.table, 2, &at), PREKEY_GONE);
	assert_true(at != 0);
}

static void clock_goes_back(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.now_s += MONTH;
	step(&w);
	step(&w); /* the first is retired */
	/* A year back: the newest was made in the future, and gets a successor, once; what was
	 * retired in the future is from here on. */
	w.look.now_s -= 365 * (uint64_t)DAY;
	assert_true(step(&w).make);
	assert_int_equal(w.table.list[0].retired_at, w.look.now_s);
	step(&w);
	assert_false(step(&w).changed);
	w.look.now_s += PREKEY_KEPT_S;
	step(&w);
	assert_int_equal(fate(&w, 1), PREKEY_GONE);
	/* A little back is nothing. */
	w.look.now_s -= DAY;
	assert_false(step(&w).make);
}

static void clock_goes_ahead(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.now_s += 365 * (uint64_t)DAY;
	assert_true(step(&w).make); /* old by this clock */
	step(&w);
	w.look.now_s -= 365 * (uint64_t)DAY;
	assert_true(step(&w).make);
	step(&w);
	/* Neither is destroyed before 30 days of the clock that is right now. */
	w.look.now_s += PREKEY_KEPT_S - 1;
	step(&w);
	assert_int_equal(fate(&w, 1), PREKEY_KEPT);
	assert_int_equal(fate(&w, 2), PREKEY_KEPT);
	w.look.now_s++;
	step(&w);
	assert_int_equal(fate(&w, 1), PREKEY_GONE);
	assert_int_equal(fate(&w, 2), PREKEY_GONE);
}

/* The keystore is older than the log: its numbers are taken. */
static void keystore_put_back(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.published = w.look.acknowledged = 7;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 8);
	assert_int_equal(w.table.list[0].number, 1);
	/* The newest is never retired, whatever is said to be held. */
	w.look.acknowledged = UINT64_MAX;
	step(&w);
	assert_int_equal(w.table.list[w.table.count - 1].retired_at, 0);
	/* Two keystores made the same number. */
	w.look.acknowledged = w.look.published = 8;
	w.look.published_other = true;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 9);
	/* The last number there is. */
	w.look.published = UINT64_MAX;
	w.look.published_other = false;
	assert_true(step(&w).full);
}

static void node_key_changed(void **state)
{
	struct world w = world_new();

	step(&w);
	w.look.signer.b[0] = 2;
	w.look.published = w.look.acknowledged = 0; /* nothing is known under the new key */
	w.deaf = true;
	assert_true(step(&w).make);
	assert_int_equal(newest(&w), 2);
	assert_false(step(&w).make);
	/* One of before signers were remembered stays. */
	w.table.list[1].signer = (struct hash){{0}};
	assert_false(step(&w).make);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monthly),
		cmocka_unit_test(alone_for_years),
		cmocka_unit_test(erasures),
		cmocka_unit_test(at_the_cap),
		cmocka_unit_test(gone_are_forgotten),
		cmocka_unit_test(clock_goes_back),
		cmocka_unit_test(clock_goes_ahead),
		cmocka_unit_test(keystore_put_back),
		cmocka_unit_test(node_key_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
