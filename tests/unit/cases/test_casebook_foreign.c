/* What the keys of another node may not do to this node's events. */
#include "cases_test.h"

#include "base/alloc.h"
#include "cases/book/casebook.h"

enum { OWN_LOG = 0, CAF_LOG = 200, COD_LOG = 201 };

static struct casebook *book_make(void)
{
	struct casebook_options options = {.seed = 42, .own_log = OWN_LOG, .node = "hq"};
	struct casebook *book;

	assert_ok(casebook_new(&options, &book));
	return book;
}

static struct casebook_key *key_of(
	struct casebook *book, const char *author, uint32_t kase, enum group group)
{
	struct keyring_entry entry = {.group = group};
	struct casebook_key *key = NULL;
	uint8_t k[32] = {(uint8_t)group, (uint8_t)author[1]};

	snprintf(entry.author, sizeof(entry.author), "%s", author);
	put_u32be(entry.case_ref.b + 12, kase);
	put_u32be(k + 28, kase);
	assert_ok(secret_copy(&entry.key, BYTES_ARRAY(k)));
	assert_ok(casebook_add_key(book, &entry, &key));
	keyring_entry_release(&entry);
	return key;
}

static struct part_info part_of(const struct casebook_key *key, uint32_t event)
{
	struct part_info part = {.type = EVENT_CONTACT, .group = key->group, .main = true};

	part.case_ref = key->owner->ref;
	put_u32be(part.event_id.b + 12, event);
	strcpy(part.occurred_on, "2024-05-06");
	return part;
}

static struct part_info opening(const struct casebook_key *key, uint32_t event, const char *code)
{
	struct part_info part = part_of(key, event);

	part.type = EVENT_CASE_OPENED;
	strcpy(part.case_code, code);
	return part;
}

static enum err note(struct casebook *book, struct casebook_key *key, uint16_t log, uint64_t i,
	struct part_info part)
{
	struct casebook_at at = {i, 1000 + i, log};

	return casebook_note(book, key, &at, &part);
}

static void put(struct casebook *book, struct casebook_key *key, struct part_info part)
{
	struct casebook_ticket ticket;
	uint64_t i;

	assert_ok(casebook_reserve(book, key, &part, &i, &ticket));
	casebook_commit(book, &ticket, i);
}

/* The other node was first with the id: this node's event is recorded all the same. */
static void an_id_is_of_one_side(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *own = key_of(book, "hq", 1, GROUP_CORE);
	struct casebook_key *theirs = key_of(book, "caf", 1, GROUP_NOTE);
	struct casebook_key *elsewhere = key_of(book, "caf", 2, GROUP_CORE);
	struct part_info part = part_of(own, 7);
	struct casebook_event_info info;

	assert_false(own->foreign);
	assert_true(theirs->foreign);
	assert_ok(note(book, elsewhere, CAF_LOG, 0, part_of(elsewhere, 7)));
	assert_ok(note(book, theirs, CAF_LOG, 0, part_of(theirs, 7)));
	assert_false(casebook_find_event(book, &part.event_id, NULL)); /* not known as recorded */
	put(book, own, part);
	assert_true(casebook_find_event(book, &part.event_id, &info));
	assert_ptr_equal(info.kase, own->owner);
	assert_int_equal(info.target.main, GROUP_CORE);
	assert_int_equal(info.target.groups, GROUP_BIT(GROUP_CORE));
	/* and theirs says what it said */
	assert_true(casebook_find_foreign(book, theirs->owner, &part.event_id, &info));
	assert_int_equal(info.target.main, GROUP_NOTE);
	assert_false(info.contested);
	assert_true(casebook_find_foreign(book, elsewhere->owner, &part.event_id, &info));
	assert_ptr_equal(info.kase, elsewhere->owner);
	assert_int_equal(own->owner->event_count, 2);
	casebook_free(book);
}

static void two_claims_are_contested(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *a = key_of(book, "caf", 1, GROUP_HEALTH);
	struct casebook_key *b = key_of(book, "cod", 1, GROUP_CORE);
	struct part_info part = part_of(a, 7);
	struct casebook_event_info info;

	assert_ok(note(book, a, CAF_LOG, 0, part));
	assert_true(casebook_find_foreign(book, a->owner, &part.event_id, &info));
	assert_false(info.contested);
	assert_int_equal(info.target.main, GROUP_HEALTH);
	assert_ok(note(book, b, COD_LOG, 0, part_of(b, 7)));
	assert_true(casebook_find_foreign(book, a->owner, &part.event_id, &info));
	assert_true(info.contested);
	part = part_of(a, 8);
	assert_false(casebook_find_foreign(book, a->owner, &part.event_id, &info));
	casebook_free(book);
}

/* A number of this node's is taken by this node alone. */
static void numbers_stay_ours(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *own = key_of(book, "hq", 1, GROUP_CORE);
	struct casebook_key *theirs = key_of(book, "caf", 1, GROUP_CORE);

	for (unsigned i = 0; i < 5; i++)
		assert_ok(note(book, theirs, CAF_LOG, i, part_of(theirs, i)));
	assert_int_equal(own->next_i, 0);
	put(book, own, part_of(own, 100));
	assert_int_equal(own->next_i, 1);
	assert_ptr_equal(casebook_find_key(own->owner, GROUP_CORE, bytes_str("hq")), own);
	/* taking back what is reserved leaves theirs alone */
	struct part_info part = part_of(own, 3);
	struct casebook_ticket ticket;
	uint64_t i;

	assert_ok(casebook_reserve(book, own, &part, &i, &ticket));
	casebook_abort(book);
	assert_int_equal(theirs->entry_count, 5);
	assert_int_equal(own->owner->event_count, 6);
	casebook_free(book);
}

static void a_code_shadows_none_of_ours(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *theirs = key_of(book, "caf", 1, GROUP_CORE);
	struct casebook_key *also = key_of(book, "caf", 2, GROUP_CORE);
	struct casebook_key *own = key_of(book, "hq", 3, GROUP_CORE);

	assert_ok(note(book, theirs, CAF_LOG, 0, opening(theirs, 1, "ZZ-CAF-7K3Q-2")));
	assert_ok(note(book, also, CAF_LOG, 0, opening(also, 2, "ZZ-CAF-7K3Q-2")));
	assert_ptr_equal(casebook_find(book, bytes_str("ZZ-CAF-7K3Q-2")), theirs->owner);
	assert_true(theirs->owner->opened_foreign);
	put(book, own, opening(own, 3, "ZZ-CAF-7K3Q-2"));
	assert_ptr_equal(casebook_find(book, bytes_str("zz-caf-7k3q-2")), own->owner);
	/* and one that comes after ours does not, either */
	struct casebook_key *later = key_of(book, "caf", 4, GROUP_CORE);

	assert_ok(note(book, later, CAF_LOG, 0, opening(later, 4, "ZZ-CAF-7K3Q-2")));
	assert_ptr_equal(casebook_find(book, bytes_str("ZZ-CAF-7K3Q-2")), own->owner);
	casebook_free(book);
}

/* They fill their own share of a case, not ours. */
static void caps_are_apart(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *own = key_of(book, "hq", 1, GROUP_CORE);
	struct casebook_key *theirs = key_of(book, "caf", 1, GROUP_CORE);

	for (uint32_t i = 0; i < LIMIT_CASE_FOREIGN; i++)
		assert_ok(note(book, theirs, CAF_LOG, i, part_of(theirs, i)));
	assert_int_equal(note(book, theirs, CAF_LOG, LIMIT_CASE_FOREIGN,
				 part_of(theirs, LIMIT_CASE_FOREIGN)),
		ERR_LIMIT);
	put(book, own, part_of(own, 1));
	assert_true(casebook_event_memory(book) / (LIMIT_CASE_FOREIGN + 1) <= 128);
	casebook_free(book);
}

/* What an auditor was given of another's ledger is larger than a case, and has a cap too. */
static void a_ledger_is_larger(void **state)
{
	struct casebook *book = book_make();
	struct casebook_key *theirs = key_of(book, "caf", 1, GROUP_AUDIT);

	for (uint32_t i = 0; i < LIMIT_LEDGER_FOREIGN; i++)
		assert_ok(note(book, theirs, CAF_LOG, i, part_of(theirs, i)));
	assert_int_equal(note(book, theirs, CAF_LOG, LIMIT_LEDGER_FOREIGN,
				 part_of(theirs, LIMIT_LEDGER_FOREIGN)),
		ERR_LIMIT);
	assert_int_equal(theirs->owner->event_count, 0); /* no list of cases shows it */
	casebook_free(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_of_one_side),
		cmocka_unit_test(two_claims_are_contested),
		cmocka_unit_test(numbers_stay_ours),
		cmocka_unit_test(a_code_shadows_none_of_ours),
		cmocka_unit_test(caps_are_apart),
		cmocka_unit_test(a_ledger_is_larger),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
