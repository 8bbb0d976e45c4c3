#include "cases_test.h"

#include "cases/book/casebook.h"

enum { OWN_LOG = 1, OTHER_LOG = 2 };

static struct casebook *book_make(void)
{
	struct casebook_options options = {.seed = 42, .own_log = OWN_LOG};
	struct casebook *book;

	assert_ok(casebook_new(&options, &book));
	return book;
}

static enum err key_add(struct casebook *book, uint32_t kase, enum group group, uint32_t generation,
	struct casebook_key **ret)
{
	struct keyring_entry entry = {.group = group, .author = "haiti", .generation = generation};
	uint8_t k[32] = {(uint8_t)group};
	enum err err;

	put_u32be(entry.case_ref.b + 12, kase);
	put_u32be(k + 24, generation);
	put_u32be(k + 28, kase);
	TRY(secret_copy(&entry.key, BYTES_ARRAY(k)));
	err = casebook_add_key(book, &entry, ret);
	keyring_entry_release(&entry);
	return err;
}

static struct casebook_key *key_of(struct casebook *book, uint32_t kase, enum group group)
{
	struct casebook_key *key = NULL;

	assert_ok(key_add(book, kase, group, 0, &key));
	return key;
}

/* The part of event number `event` that belongs under the key. */
static struct part_info part_of(const struct casebook_key *key, uint32_t event, bool main)
{
	struct part_info part = {.type = EVENT_CONTACT, .group = key->group, .main = main};

	part.case_ref = key->owner->ref;
	put_u32be(part.event_id.b, event * 2654435761u);
	put_u32be(part.event_id.b + 12, event);
	strcpy(part.occurred_on, "2024-05-06");
	return part;
}

static struct part_info opening(const struct casebook_key *key, uint32_t event, const char *code)
{
	struct part_info part = part_of(key, event, true);

	part.type = EVENT_CASE_OPENED;
	strcpy(part.case_code, code);
	strcpy(part.occurred_on, "2024-01-02");
	return part;
}

static enum err note(struct casebook *book, struct casebook_key *key, uint64_t i, uint64_t index,
	struct part_info part)
{
	struct casebook_at at = {i, index, OWN_LOG};

	return casebook_note(book, key, &at, &part);
}

static void notes_are_found_again(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *core = key_of(book, 1, GROUP_CORE);
	struct casebook_key *health = key_of(book, 1, GROUP_HEALTH);
	struct casebook_case *kase = core->owner;
	struct part_info part = part_of(core, 2, true), side = part_of(health, 2, false);
	struct casebook_event_info info;
	char ref[2 * CASE_REF_SIZE + 1];

	assert_ptr_equal(health->owner, kase);
	assert_false(casebook_find_event(book, &part.event_id, NULL));
	assert_ok(note(book, core, 0, 10, opening(core, 1, "ZZ-hti-7K3Q-2")));
	/* the other part first: the event is known, its main group is not */
	assert_ok(note(book, health, 0, UINT64_C(0x123456789a), side));
	assert_true(casebook_find_event(book, &part.event_id, &info));
	assert_int_equal(info.target.main, GROUP_NONE);
	assert_ok(note(book, core, 1, 12, part));
	assert_true(casebook_find_event(book, &part.event_id, &info));
	assert_int_equal(info.target.main, GROUP_CORE);
	assert_int_equal(info.target.type, EVENT_CONTACT);
	assert_int_equal(info.target.groups, GROUP_BIT(GROUP_CORE) | GROUP_BIT(GROUP_HEALTH));
	assert_ptr_equal(info.kase, kase);
	assert_true(info.committed);
	assert_int_equal(kase->event_count, 2);
	assert_int_equal(casebook_event_count(book), 2);
	assert_int_equal(core->next_i, 2);
	assert_int_equal(casebook_entry_index(&health->entries[0]), UINT64_C(0x123456789a));
	assert_memory_equal(
		casebook_entry_event(book, &health->entries[0])->b, part.event_id.b, 16);
	/* found by code in either case of letters, and by reference */
	assert_ptr_equal(casebook_find(book, bytes_str("zz-HTI-7k3q-2")), kase);
	case_ref_text(&kase->ref, ref);
	assert_ptr_equal(casebook_find(book, bytes_str(ref)), kase);
	assert_null(casebook_find(book, bytes_str("ZZ-HTI-7K3Q-3")));
	assert_null(casebook_find(book, bytes_str("ffffffffffffffffffffffffffffffff")));
	assert_null(casebook_find(book, BYTES_NONE));
	assert_string_equal(kase->opened_on, "2024-01-02");
	assert_string_equal(kase->last_occurred_on, "2024-05-06");
	casebook_free(book);
	casebook_free(NULL);
}

static void noted_twice_counts_once(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *core = key_of(book, 1, GROUP_CORE);
	struct casebook_at at = {0, 99, OTHER_LOG};
	struct part_info part = part_of(core, 1, true);

	assert_ok(note(book, core, 0, 10, part));
	assert_ok(note(book, core, 1, 11, part_of(core, 2, true)));
	assert_ok(note(book, core, 0, 12, part_of(core, 3, true))); /* the first valid entry wins */
	assert_ok(note(book, core, 0, 10, part));
	assert_int_equal(core->entry_count, 2);
	assert_int_equal(casebook_event_count(book), 2);
	/* the same event re-sealed in another epoch: one event, two entries; i there is its own */
	assert_ok(casebook_note(book, core, &at, &part));
	assert_ok(casebook_note(book, core, &at, &part));
	assert_int_equal(core->entry_count, 3);
	assert_int_equal(casebook_event_count(book), 2);
	assert_int_equal(core->next_i, 2);
	casebook_set_own_log(book, OTHER_LOG);
	assert_int_equal(core->next_i, 1);
	casebook_set_own_log(book, 7);
	assert_int_equal(core->next_i, 0);
	casebook_set_own_log(book, OWN_LOG);
	assert_int_equal(core->next_i, 2);
	casebook_free(book);
}

/* An event of an older epoch, sealed again in the new one. */
static void sealed_again(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *core = key_of(book, 1, GROUP_CORE);
	struct casebook_at old = {4, 99, OTHER_LOG};
	struct part_info part = part_of(core, 1, true);
	struct casebook_event_info info;
	struct casebook_ticket ticket;
	uint64_t i;

	assert_int_equal(casebook_reserve_again(book, core, &part, &i, &ticket), ERR_NOTFOUND);
	assert_ok(casebook_note(book, core, &old, &part));
	assert_int_equal(casebook_reserve(book, core, &part, &i, &ticket), ERR_EXISTS);
	assert_false(casebook_in_own_log(book, core, core->entries[0].event));
	assert_ok(casebook_reserve_again(book, core, &part, &i, &ticket));
	assert_int_equal(i, 0);
	assert_int_equal(casebook_reserve_again(book, core, &part, &i, &ticket), ERR_EXISTS);
	/* A commit that fails takes the number back, and not what the older epoch has. */
	casebook_abort(book);
	assert_int_equal(core->next_i, 0);
	assert_int_equal(core->entry_count, 1);
	assert_true(casebook_find_event(book, &part.event_id, &info));
	assert_true(info.committed);
	assert_int_equal(info.target.groups, GROUP_BIT(GROUP_CORE));
	assert_int_equal(casebook_event_count(book), 1);
	assert_ok(casebook_reserve_again(book, core, &part, &i, &ticket));
	casebook_commit(book, &ticket, 7);
	assert_true(casebook_in_own_log(book, core, core->entries[0].event));
	assert_int_equal(core->next_i, 1);
	assert_int_equal(casebook_event_count(book), 1);
	casebook_free(book);
}

static void wrong_notes_are_refused(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *a = key_of(book, 1, GROUP_CORE), *b = key_of(book, 2, GROUP_CORE);
	struct casebook_key *c = key_of(book, 1, GROUP_NOTE);
	struct part_info part = part_of(b, 1, true);

	assert_int_equal(note(book, a, 0, 1, part), ERR_INVALID);
	assert_int_equal(note(book, c, 0, 1, part_of(a, 1, true)), ERR_INVALID);
	assert_ok(note(book, b, 0, 1, part));
	assert_int_equal(note(book, a, 0, 2, part_of(a, 1, true)), ERR_INVALID);
	assert_int_equal(note(book, a, UINT32_MAX, 2, part_of(a, 2, true)), ERR_LIMIT);
	assert_int_equal(note(book, a, 0, LIMIT_LOG_SIZE, part_of(a, 2, true)), ERR_LIMIT);
	assert_ok(note(book, a, UINT32_MAX - 1, LIMIT_LOG_SIZE - 1, part_of(a, 2, true)));
	casebook_free(book);
}

static void keys(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *old = key_of(book, 1, GROUP_CORE), *rolled;
	struct casebook_case *kase = old->owner;

	assert_int_equal(key_add(book, 1, GROUP_CORE, 0, NULL), ERR_EXISTS);
	assert_ok(key_add(book, 1, GROUP_CORE, 5, &rolled));
	assert_ok(key_add(book, 1, GROUP_CORE, 4, NULL));
	assert_ptr_equal(casebook_find_key(kase, GROUP_CORE, bytes_str("haiti")), rolled);
	assert_null(casebook_find_key(kase, GROUP_CORE, bytes_str("hq")));
	assert_null(casebook_find_key(kase, GROUP_NOTE, bytes_str("haiti")));
	for (uint32_t g = 6; g < 6 + CASEBOOK_KEYS_MAX - 3; g++)
		assert_ok(key_add(book, 1, GROUP_NOTE, g, NULL));
	assert_int_equal(key_add(book, 1, GROUP_NOTE, 9999, NULL), ERR_LIMIT);
	assert_int_equal(casebook_case_count(book), 1);
	assert_ptr_equal(casebook_case_at(book, 0), kase);
	assert_null(casebook_case_at(book, 1));
	casebook_free(book);
}

static void reserved_then_committed(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *core = key_of(book, 1, GROUP_CORE), *n = key_of(book, 1, GROUP_NOTE);
	struct part_info open = opening(core, 1, "ZZ-A"), side = part_of(n, 1, false);
	struct part_info next = part_of(core, 2, true);
	struct casebook_ticket t[3];
	struct casebook_event_info info;
	uint64_t i;

	assert_ok(casebook_reserve(book, core, &open, &i, &t[0]));
	assert_int_equal(i, 0);
	assert_ok(casebook_reserve(book, n, &side, &i, &t[1]));
	assert_int_equal(i, 0);
	assert_ok(casebook_reserve(book, core, &next, &i, &t[2]));
	assert_int_equal(i, 1);
	assert_int_equal(casebook_reserved(book), 3);
	assert_int_equal(casebook_reserve(book, core, &next, &i, &t[2]), ERR_EXISTS);
	assert_int_equal(note(book, core, 7, 7, part_of(core, 9, true)), ERR_BUSY);
	assert_int_equal(core->owner->event_count, 0);
	assert_true(casebook_find_event(book, &open.event_id, &info));
	assert_false(info.committed);
	/* the order within a commit is free */
	casebook_commit(book, &t[2], 101);
	casebook_commit(book, &t[1], 100);
	casebook_commit(book, &t[0], 102);
	assert_int_equal(casebook_reserved(book), 0);
	assert_int_equal(core->owner->event_count, 2);
	assert_int_equal(casebook_entry_index(&core->entries[0]), 102);
	assert_int_equal(casebook_entry_index(&core->entries[1]), 101);
	assert_string_equal(core->owner->last_occurred_on, "2024-05-06");
	assert_true(casebook_find_event(book, &open.event_id, &info));
	assert_true(info.committed);
	casebook_abort(book); /* nothing to take back */
	assert_ptr_equal(casebook_find(book, bytes_str("ZZ-A")), core->owner);
	assert_int_equal(core->entry_count, 2);
	casebook_free(book);
}

static void aborted_is_as_if_it_never_was(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *a = key_of(book, 1, GROUP_CORE), *b = key_of(book, 2, GROUP_CORE);
	struct casebook_key *side_key = key_of(book, 1, GROUP_NOTE);
	struct part_info first = part_of(a, 1, true), open = opening(a, 2, "ZZ-A");
	struct part_info side = part_of(side_key, 1, false), other = opening(b, 3, "zz-a");
	struct casebook_ticket t;
	uint64_t i;

	assert_ok(note(book, a, 0, 1, first));
	for (unsigned round = 0; round < 3; round++) {
		assert_ok(casebook_reserve(book, a, &open, &i, &t));
		assert_int_equal(i, 1);
		assert_ok(casebook_reserve(book, side_key, &side, &i, &t));
		assert_int_equal(i, 0);
		/* the code is taken while it is only reserved */
		assert_int_equal(casebook_reserve(book, b, &other, &i, &t), ERR_EXISTS);
		assert_non_null(casebook_find(book, bytes_str("ZZ-A")));
		casebook_abort(book);
		assert_int_equal(casebook_reserved(book), 0);
		assert_null(casebook_find(book, bytes_str("ZZ-A")));
		assert_string_equal(a->owner->opened_on, "");
		assert_false(casebook_find_event(book, &open.event_id, NULL));
		assert_true(casebook_find_event(book, &first.event_id, NULL));
		assert_int_equal(a->next_i, 1);
		assert_int_equal(side_key->next_i, 0);
		assert_int_equal(a->owner->event_count, 1);
	}
	assert_ok(casebook_reserve(book, b, &other, &i, &t));
	casebook_commit(book, &t, 5);
	assert_int_equal(casebook_reserve(book, a, &open, &i, &t), ERR_EXISTS);
	/* a commit, then an abort of what came behind it */
	open = part_of(a, 4, true);
	assert_ok(casebook_reserve(book, a, &open, &i, &t));
	assert_int_equal(i, 1);
	open = part_of(a, 5, true);
	struct casebook_ticket behind;

	assert_ok(casebook_reserve(book, a, &open, &i, &behind));
	assert_int_equal(i, 2);
	casebook_commit(book, &t, 6);
	casebook_abort(book);
	assert_int_equal(a->next_i, 2);
	assert_int_equal(a->entry_count, 2);
	assert_int_equal(casebook_event_count(book), 3);
	casebook_free(book);
}

static void list_is_sorted(void **state)
{
	static const char *const codes[] = {"ZZ-C", "ZZ-A", "ZZ-B", "ZZ-A"};
	struct casebook *book = book_make();
	const struct casebook_case **list;
	size_t count;

	assert_ok(casebook_list(book, &list, &count));
	assert_int_equal(count, 0);
	assert_null(list);
	for (uint32_t n = 0; n < 4; n++) {
		struct casebook_key *key = key_of(book, n, GROUP_CORE);

		assert_ok(note(book, key, 0, n, opening(key, n, codes[n])));
	}
	(void)key_of(book, 9, GROUP_CORE); /* no event: not a case yet */
	assert_ok(casebook_list(book, &list, &count));
	assert_int_equal(count, 4);
	assert_int_equal(list[0]->number, 1);
	assert_int_equal(list[1]->number, 3);
	assert_int_equal(list[2]->number, 2);
	assert_int_equal(list[3]->number, 0);
	mem_free(list);
	/* of two with one code the first added is found */
	assert_int_equal(casebook_find(book, bytes_str("ZZ-A"))->number, 1);
	casebook_free(book);
}

static void events_of_a_case_are_capped(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *key = key_of(book, 1, GROUP_CONTACT), *n = key_of(book, 1, GROUP_NOTE);
	struct part_info part;
	struct casebook_ticket ticket;
	uint64_t i;

	for (uint32_t e = 0; e < LIMIT_CASE_EVENTS; e++)
		assert_ok(note(book, key, e, e, part_of(key, e, true)));
	assert_int_equal(note(book, key, 20000, 1, part_of(key, 20000, true)), ERR_LIMIT);
	part = part_of(key, 20000, true);
	assert_int_equal(casebook_reserve(book, key, &part, &i, &ticket), ERR_LIMIT);
	assert_int_equal(key->next_i, LIMIT_CASE_EVENTS);
	assert_int_equal(casebook_reserved(book), 0);
	/* another part of an event that is there is no new event */
	assert_ok(note(book, n, 0, 1, part_of(n, 5, false)));
	casebook_free(book);
}

/* The figure of DESIGN 12, with the mix of the generator: cases of 18 events, 1.6 parts each. */
static void note_many(
	struct casebook *book, struct casebook_key *key, uint32_t *event, uint32_t last)
{
	for (; *event < last; ++*event)
		assert_ok(note(book, key, key->next_i, *event, part_of(key, *event, true)));
}

/* It lasts as long as the node: other caps, and what is not views still has room when views have
 * none. No event of it counts as one of a case. */
static void the_ledger_is_no_case(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *views = key_of(book, 1, GROUP_VIEWS);
	struct casebook_key *audit = key_of(book, 1, GROUP_AUDIT);
	struct casebook_key *core = key_of(book, 1, GROUP_CORE); /* somebody's who knows its name */
	const struct casebook_case **list;
	struct part_info part;
	uint32_t event = 0;
	size_t count;

	note_many(book, views, &event, LIMIT_LEDGER_VIEWS);
	part = part_of(views, event, true);
	assert_int_equal(note(book, views, views->next_i, 1, part), ERR_LIMIT);
	note_many(book, audit, &event, LIMIT_LEDGER_EVENTS);
	part = part_of(audit, event, true);
	assert_int_equal(note(book, audit, audit->next_i, 1, part), ERR_LIMIT);
	assert_int_equal(casebook_event_count(book), 0);
	assert_int_equal(views->owner->event_count, 0);
	assert_ok(casebook_list(book, &list, &count));
	assert_int_equal(count, 0);
	mem_free(list);
	/* An event that has a part in a case is of that case, whatever came first. */
	part = part_of(core, 5, false);
	assert_ok(note(book, core, 0, 2, part));
	assert_int_equal(casebook_event_count(book), 1);
	assert_int_equal(core->owner->event_count, 1);
	casebook_free(book);
}

static void memory_per_event(void **state)
{
	static const enum group groups[] = {GROUP_CORE, GROUP_CONTACT, GROUP_SERVICES,
		GROUP_ALLEGATION, GROUP_CONSENT, GROUP_NOTE};
	struct casebook *book = book_make();
	uint32_t event = 0;

	for (uint32_t kase = 0; kase < 1000; kase++) {
		struct casebook_key *key[6];

		for (size_t g = 0; g < 6; g++)
			key[g] = key_of(book, kase, groups[g]);
		for (uint32_t e = 0; e < 18; e++, event++) {
			struct casebook_key *k = key[e % 5];

			assert_ok(note(book, k, k->next_i, event, part_of(k, event, true)));
			if (e % 5 < 3)
				assert_ok(note(book, key[5], key[5]->next_i, event,
					part_of(key[5], event, false)));
		}
	}
	assert_int_equal(casebook_event_count(book), 18000);
	print_message("%zu bytes an event\n", casebook_event_memory(book) / event);
	assert_true(casebook_event_memory(book) / event <= 128);
	/* all are found again, after the tables grew */
	for (uint32_t e = 0; e < event; e++) {
		struct part_info part = part_of(casebook_case_at(book, e / 18)->keys, e, true);
		struct casebook_event_info info;

		assert_true(casebook_find_event(book, &part.event_id, &info));
		assert_int_equal(info.kase->number, e / 18);
	}
	casebook_free(book);
}

static enum err fill(void *arg)
{
	struct casebook_options options = {.own_log = OWN_LOG};
	struct casebook *book = NULL;
	const struct casebook_case **list = NULL;
	struct casebook_key *key = NULL;
	struct casebook_ticket ticket;
	size_t count;
	uint64_t i;
	enum err err;

	err = casebook_new(&options, &book);
	for (uint32_t n = 0; n < 70 && err == OK; n++) { /* the first tables have 64 */
		err = key_add(book, n, GROUP_CORE, 0, &key);
		if (err == OK)
			err = note(book, key, 0, n, opening(key, 2 * n, "ZZ-A"));
		if (err == OK) {
			struct part_info part = part_of(key, 2 * n + 1, true);

			err = casebook_reserve(book, key, &part, &i, &ticket);
		}
		if (err == OK && n % 2 == 0)
			casebook_commit(book, &ticket, n);
		else if (err == OK)
			casebook_abort(book);
	}
	if (err == OK)
		err = casebook_list(book, &list, &count);
	mem_free(list);
	casebook_free(book);
	return err;
}

static void allocation_failures(void **state)
{
	torture(fill, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_are_found_again),
		cmocka_unit_test(noted_twice_counts_once),
		cmocka_unit_test(sealed_again),
		cmocka_unit_test(wrong_notes_are_refused),
		cmocka_unit_test(keys),
		cmocka_unit_test(reserved_then_committed),
		cmocka_unit_test(aborted_is_as_if_it_never_was),
		cmocka_unit_test(list_is_sorted),
		cmocka_unit_test(events_of_a_case_are_capped),
		cmocka_unit_test(the_ledger_is_no_case),
		cmocka_unit_test(memory_per_event),
		cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
