/* NodeRevoked and PolicyChanged: their form, and what the directory makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/ruling.h"
#include "certs_test.h"
#include "tests/unit/base/failing_alloc.h"

static struct actor hq, haiti, kenya;

static int setup(void **state)
{
	if (crypto_setup(state) != 0)
		return -1;
	hq = actor_make("hq", ROLE_HQ, "", 1);
	haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2);
	kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 3);
	return 0;
}

static int teardown(void **state)
{
	actor_release(&hq);
	actor_release(&haiti);
	actor_release(&kenya);
	return crypto_teardown(state);
}

/* Applies and releases; odd for a reason with these words, or good (NULL). */
static void apply(struct directory *directory, struct buf *entry, const char *odd)
{
	uint64_t before = directory_odd(directory, NULL);
	const char *reason;

	assert_int_equal(directory_apply(directory, buf_bytes(entry)), OK);
	if (directory_odd(directory, &reason) != before + (odd != NULL) ||
		(odd != NULL && strstr(reason, odd) == NULL))
		fail_msg("odd for '%s', expected '%s'", reason, odd == NULL ? "good" : odd);
	buf_release(entry);
}

static struct directory *founded(bool offices)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&hq);
	struct directory *directory;
	struct buf entry;

	assert_int_equal(directory_new(NETWORK, &directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	apply(directory, &entry, NULL);
	assert_int_equal(network_created_write(&entry, &created, hq.node), OK);
	apply(directory, &entry, NULL);
	entry_admitted(&entry, &hq);
	apply(directory, &entry, NULL);
	for (int i = 0; i < 2 && offices; i++) {
		entry_admitted(&entry, i == 0 ? &haiti : &kenya);
		apply(directory, &entry, NULL);
	}
	return directory;
}

/* ---- NodeRevoked ---- */

static struct revoked_log two_logs[] = {
	{NETWORK "/haiti/1-0123456789abcdef", 7, {{7}}, {{0x77}}},
	{NETWORK "/haiti/2-0123456789abcdef", LIMIT_LOG_SIZE, {{8}}, {{0x88}}},
};

static struct revocation of_haiti(void)
{
	return (struct revocation){.name = "haiti",
		.reason = "the machine was stolen in Hinche, caf\xc3\xa9",
		.revoked_at = 1700000100,
		.logs = two_logs,
		.log_count = 2};
}

static void revoke_entry(
	struct buf *out, const struct revocation *revocation, const struct signer *by)
{
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, revocation), OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(
		record_write(out, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED, buf_bytes(&body), by),
		OK);
	buf_release(&body);
}

static void a_revocation_folds(void **state)
{
	struct directory *directory = founded(true);
	struct revocation haitis = of_haiti();
	const struct revocation *seen;
	struct buf entry;

	assert_null(directory_revocation(directory, bytes_str("haiti")));
	revoke_entry(&entry, &haitis, hq.node);
	apply(directory, &entry, NULL);
	seen = directory_revocation(directory, bytes_str("haiti"));
	assert_non_null(seen);
	assert_string_equal(seen->reason, haitis.reason);
	assert_int_equal(seen->revoked_at, 1700000100);
	assert_int_equal(seen->index, 5);
	assert_int_equal(seen->log_count, 2);
	assert_memory_equal(seen->logs, two_logs, sizeof(two_logs));
	assert_false(directory_find(directory, bytes_str("haiti"))->active);
	assert_true(directory_find(directory, bytes_str("kenya"))->active);
	assert_null(directory_revocation(directory, bytes_str("kenya")));
	assert_false(directory_counts(directory, "haiti"));
	directory_free(directory);
}

/* For ever: not revoked twice, not admitted again under its name or with one of its keys. */
static void revoked_stays_revoked(void **state)
{
	struct directory *directory = founded(true);
	struct revocation haitis = of_haiti();
	struct actor again = actor_make("haiti", ROLE_OFFICE, "HTI", 9);
	struct actor other = actor_make("haiti-two", ROLE_OFFICE, "HTI", 10);
	struct buf entry;

	revoke_entry(&entry, &haitis, hq.node);
	apply(directory, &entry, NULL);
	snprintf(haitis.reason, sizeof(haitis.reason), "again");
	revoke_entry(&entry, &haitis, hq.node);
	apply(directory, &entry, "revoked already");
	entry_admitted(&entry, &haiti);
	apply(directory, &entry, "admitted already");
	entry_admitted(&entry, &again);
	apply(directory, &entry, "admitted already");
	other.member.tls_spki = haiti.member.tls_spki;
	entry_admitted(&entry, &other);
	apply(directory, &entry, "brings a key of 'haiti'");
	assert_false(directory_find(directory, bytes_str("haiti"))->active);
	assert_string_not_equal(
		directory_revocation(directory, bytes_str("haiti"))->reason, "again");
	actor_release(&again);
	actor_release(&other);
	directory_free(directory);
}

static void only_headquarters_revokes(void **state)
{
	struct directory *directory = founded(true);
	struct revocation r = of_haiti();
	struct buf entry;

	revoke_entry(&entry, &r, kenya.node);
	apply(directory, &entry, "not signed by headquarters");
	revoke_entry(&entry, &r, haiti.node);
	apply(directory, &entry, "not signed by headquarters");
	r.log_count = 0;
	snprintf(r.name, sizeof(r.name), "nobody");
	revoke_entry(&entry, &r, hq.node);
	apply(directory, &entry, "no member");
	snprintf(r.name, sizeof(r.name), "hq");
	revoke_entry(&entry, &r, hq.node);
	apply(directory, &entry, "headquarters itself");
	for (size_t i = 0; i < 3; i++)
		assert_true(directory_at(directory, i)->active);
	directory_free(directory);
}

/* A signature for one purpose is none for another. */
static void purposes_are_apart(void **state)
{
	struct directory *directory = founded(true);
	struct revocation haitis = of_haiti();
	struct ed25519_signature signature;
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &haitis), OK);
	assert_int_equal(
		node_sign(hq.node, PURPOSE_POLICY_CHANGED, buf_bytes(&body), &signature), OK);
	assert_int_equal(record_write_signed(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), BYTES_ARRAY(signature.b)),
		OK);
	apply(directory, &entry, "not signed by headquarters");
	buf_release(&body);
	directory_free(directory);
}

static Sauti__NodeRevoked revoked_view(Sauti__RevokedLog *log, Sauti__RevokedLog **list)
{
	Sauti__NodeRevoked message = SAUTI__NODE_REVOKED__INIT;

	sauti__revoked_log__init(log);
	log->origin = two_logs[0].origin;
	log->size = 7;
	log->root = codec_binary(hash_bytes(&two_logs[0].root));
	log->signature = codec_binary(BYTES_ARRAY(two_logs[0].signature.b));
	message.network = NETWORK;
	message.name = "haiti";
	message.reason = "stolen";
	message.n_logs = 1;
	message.logs = list;
	for (size_t i = 0; i <= LIMIT_EPOCHS_PER_NODE; i++)
		list[i] = log;
	return message;
}

static void odd_revoked(const Sauti__NodeRevoked *message, const char *odd)
{
	struct directory *directory = founded(true);
	struct revocation good = of_haiti();
	struct buf entry;

	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED, message, hq.node);
	apply(directory, &entry, odd);
	assert_true(directory_find(directory, bytes_str("haiti"))->active);
	revoke_entry(&entry, &good, hq.node); /* and it blocks nobody */
	apply(directory, &entry, NULL);
	directory_free(directory);
}

static void a_revocation_breaks_a_rule(void **state)
{
	Sauti__RevokedLog log, *list[LIMIT_EPOCHS_PER_NODE + 1];
	const Sauti__NodeRevoked good = revoked_view(&log, list);
	Sauti__NodeRevoked m = good;
	static uint8_t short_hash[HASH_SIZE - 1], long_signature[ED25519_SIGNATURE_SIZE + 1];
	char longest[LIMIT_REASON + 2];

#define ODD(change, words)                                                                         \
	do {                                                                                       \
		m = revoked_view(&log, list);                                                      \
		change;                                                                            \
		odd_revoked(&m, words);                                                            \
	} while (0)
	memset(longest, 'x', sizeof(longest));
	longest[LIMIT_REASON + 1] = '\0';
	ODD(m.network = "other.example", "another network");
	ODD(m.name = "", "no node's name");
	ODD(m.name = "Haiti", "no node's name");
	ODD(m.name = "directory", "no node's name");
	ODD(m.name = "a-name-of-more-than-thirty-one-characters", "too long");
	ODD(m.reason = "", "reason");
	ODD(m.reason = longest, "too long");
	ODD(m.reason = "line\nfeed", "reason");
	ODD(m.reason = "\x1b[2J", "reason");
	ODD(m.reason = "c1 \xc2\x9b", "reason");
	ODD(log.origin = NETWORK "/kenya/1-0123456789abcdef", "not its own");
	ODD(log.origin = "other.example/haiti/1-0123456789abcdef", "not its own");
	ODD(log.origin = NETWORK "/haiti/1-0123456789abcde", "not its own");
	ODD(log.origin = longest, "not its own");
	ODD(log.size = 0, "size");
	ODD(log.size = LIMIT_LOG_SIZE + 1, "size");
	ODD(log.root = codec_binary(BYTES_ARRAY(short_hash)), "another length");
	ODD(log.signature = codec_binary(BYTES_ARRAY(long_signature)), "another length");
	ODD(m.n_logs = 2, "listed twice");
	ODD(m.n_logs = LIMIT_EPOCHS_PER_NODE + 1, "65 logs");
#undef ODD
}

/* At the caps: 64 logs, the longest reason. */
static void the_largest_revocation(void **state)
{
	struct directory *directory = founded(true);
	struct revoked_log logs[LIMIT_EPOCHS_PER_NODE];
	struct revocation r = of_haiti();
	struct buf entry;

	for (unsigned i = 0; i < LIMIT_EPOCHS_PER_NODE; i++) {
		logs[i] = two_logs[0];
		snprintf(logs[i].origin, sizeof(logs[i].origin), NETWORK "/haiti/%u-%016x", i, i);
	}
	r.logs = logs;
	r.log_count = LIMIT_EPOCHS_PER_NODE;
	memset(r.reason, 'r', LIMIT_REASON);
	r.reason[LIMIT_REASON] = '\0';
	revoke_entry(&entry, &r, hq.node);
	apply(directory, &entry, NULL);
	assert_int_equal(directory_revocation(directory, bytes_str("haiti"))->log_count,
		LIMIT_EPOCHS_PER_NODE);
	directory_free(directory);
}

static void no_changed_bit_revokes(void **state)
{
	struct directory *directory = founded(true);
	struct revocation r = of_haiti();
	struct buf entry;

	revoke_entry(&entry, &r, hq.node);
	for (size_t i = 0; i < 8 * entry.size; i++) {
		entry.data[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(directory_apply(directory, buf_bytes(&entry)), OK);
		assert_true(directory_find(directory, bytes_str("haiti"))->active);
		entry.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	apply(directory, &entry, NULL);
	directory_free(directory);
}

static void writers_refuse_what_readers_would(void **state)
{
	struct revocation r = of_haiti();
	struct policy p;
	struct buf out;

	buf_init(&out, LIMIT_ENTRY_SIZE);
	r.reason[0] = '\0';
	assert_int_equal(node_revoked_body(&out, NETWORK, &r), ERR_INVALID);
	assert_int_equal(node_revoked_body(&out, "x", &r), ERR_INVALID);
	policy_init(&p);
	p.quorum = 0;
	assert_int_equal(policy_changed_body(&out, NETWORK, &p), ERR_INVALID);
	assert_int_equal(out.size, 0);
	buf_release(&out);
}

/* ---- PolicyChanged ---- */

static void policy_entry(struct buf *out, const struct policy *policy, const struct signer *by)
{
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(policy_changed_body(&body, NETWORK, policy), OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(
		record_write(out, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED, buf_bytes(&body), by),
		OK);
	buf_release(&body);
}

static void a_policy_folds(void **state)
{
	struct directory *directory = founded(true);
	const struct policy *now = directory_policy(directory);
	struct policy p;
	struct buf entry;

	assert_int_equal(now->quorum, 1);
	assert_int_equal(now->hide_below, 4);
	assert_int_equal(now->split_offices, 5);
	assert_int_equal(now->changed_at, 0);
	assert_true(directory_counts(directory, "kenya"));
	assert_false(directory_counts(directory, "nobody"));
	policy_init(&p);
	p.quorum = 2;
	p.mirror_count = 2;
	strcpy(p.mirrors[0], "hq");
	strcpy(p.mirrors[1], "haiti");
	p.changed_at = 1700000200;
	policy_entry(&entry, &p, hq.node);
	apply(directory, &entry, NULL);
	now = directory_policy(directory);
	assert_int_equal(now->quorum, 2);
	assert_int_equal(now->index, 5);
	assert_true(directory_counts(directory, "haiti"));
	assert_false(directory_counts(directory, "kenya"));
	/* A mirror that is revoked counts no more, though the policy names it. */
	struct revocation r = of_haiti();

	revoke_entry(&entry, &r, hq.node);
	apply(directory, &entry, NULL);
	assert_false(directory_counts(directory, "haiti"));
	policy_entry(&entry, &p, hq.node);
	apply(directory, &entry, "'haiti' is no active member");
	/* The newest counts, up or down, but for the floors. */
	policy_init(&p);
	policy_entry(&entry, &p, hq.node);
	apply(directory, &entry, NULL);
	assert_int_equal(directory_policy(directory)->quorum, 1);
	assert_true(directory_counts(directory, "kenya"));
	directory_free(directory);
}

static void odd_policy(
	const Sauti__PolicyChanged *message, const struct signer *by, const char *odd)
{
	struct directory *directory = founded(true);
	struct buf entry;

	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED, message, by);
	apply(directory, &entry, odd);
	assert_int_equal(directory_policy(directory)->index, 0);
	directory_free(directory);
}

static void a_policy_breaks_a_rule(void **state)
{
	char *twice[] = {"hq", "hq"}, *unknown[] = {"nobody"}, *bad[] = {"HQ"}, *one[] = {"hq"};
	char *longname[] = {"a-name-of-more-than-thirty-one-characters"};
	char *many[LIMIT_POLICY_MIRRORS + 1];
	Sauti__PolicyChanged m;

	for (size_t i = 0; i <= LIMIT_POLICY_MIRRORS; i++)
		many[i] = "hq";
#define ODD(change, words)                                                                         \
	do {                                                                                       \
		sauti__policy_changed__init(&m);                                                   \
		m.network = NETWORK;                                                               \
		m.quorum = 1;                                                                      \
		m.hide_below = 4;                                                                  \
		m.split_offices = 5;                                                               \
		change;                                                                            \
		odd_policy(&m, hq.node, words);                                                    \
	} while (0)
	ODD(m.network = "other.example", "another network");
	ODD(m.quorum = 0, "quorum 0");
	ODD(m.quorum = LIMIT_POLICY_MIRRORS + 1, "quorum 65");
	ODD(m.hide_below = 3, "hide_below 3");
	ODD(m.hide_below = LIMIT_POLICY_FLOOR + 1, "hide_below 1001");
	ODD(m.split_offices = 4, "split_offices 4");
	ODD(m.split_offices = LIMIT_POLICY_FLOOR + 1, "split_offices 1001");
	ODD((m.mirrors = twice, m.n_mirrors = 2), "named twice");
	ODD((m.mirrors = unknown, m.n_mirrors = 1), "no active member");
	ODD((m.mirrors = bad, m.n_mirrors = 1), "name is none");
	ODD((m.mirrors = longname, m.n_mirrors = 1), "name is none");
	ODD((m.mirrors = one, m.n_mirrors = 1, m.quorum = 2), "quorum of 2 of 1");
	ODD((m.mirrors = many, m.n_mirrors = LIMIT_POLICY_MIRRORS + 1), "65 mirrors");
#undef ODD
	sauti__policy_changed__init(&m);
	m.network = NETWORK;
	m.quorum = 1;
	m.hide_below = LIMIT_POLICY_FLOOR;
	m.split_offices = LIMIT_POLICY_FLOOR;
	odd_policy(&m, kenya.node, "not signed by headquarters");
	/* The same by headquarters is good: the caps are inclusive. */
	struct directory *directory = founded(true);
	struct buf entry;

	m.quorum = LIMIT_POLICY_MIRRORS;
	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED, &m, hq.node);
	apply(directory, &entry, NULL);
	assert_int_equal(directory_policy(directory)->hide_below, LIMIT_POLICY_FLOOR);
	directory_free(directory);
}

static void disputes_have_a_form(void **state)
{
	struct disputed d = {.name = "haiti", .text = "no", .index = 5, .made_at = 9}, read;
	Sauti__Disputed m = SAUTI__DISPUTED__INIT;
	struct arena arena;
	struct buf body;
	struct {
		const char *network, *name, *text;
		uint64_t index;
		enum err err;
	} odd[] = {
		{"other.example", "haiti", "no", 5, ERR_UNTRUSTED},
		{NETWORK, "", "no", 5, ERR_MALFORMED},
		{NETWORK, "directory", "no", 5, ERR_MALFORMED},
		{NETWORK, "a-name-of-more-than-thirty-one-characters", "no", 5, ERR_MALFORMED},
		{NETWORK, "haiti", "", 5, ERR_MALFORMED},
		{NETWORK, "haiti", "\x1b[1m", 5, ERR_MALFORMED},
		{NETWORK, "haiti", "no", LIMIT_DIRECTORY_RECORDS, ERR_MALFORMED},
		{NETWORK, "haiti", "no", LIMIT_DIRECTORY_RECORDS - 1, OK},
	};

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(disputed_body(&body, NETWORK, &d), OK);
	assert_int_equal(disputed_read(buf_bytes(&body), &arena, NETWORK, &read, NULL), OK);
	assert_string_equal(read.name, "haiti");
	assert_string_equal(read.text, "no");
	assert_int_equal(read.index, 5);
	assert_int_equal(read.made_at, 9);
	d.text[0] = '\n';
	assert_int_equal(disputed_body(&body, NETWORK, &d), ERR_INVALID);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		m.network = (char *)odd[i].network;
		m.name = (char *)odd[i].name;
		m.text = (char *)odd[i].text;
		m.index = odd[i].index;
		buf_clear(&body);
		codec_pack(&body, &m);
		assert_int_equal(
			disputed_read(buf_bytes(&body), &arena, NETWORK, &read, NULL), odd[i].err);
	}
	buf_release(&body);
	arena_release(&arena);
}

static void nothing_before_headquarters(void **state)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&hq);
	struct revocation r = of_haiti();
	struct directory *directory;
	struct policy p;
	struct buf entry;

	policy_init(&p);
	assert_int_equal(directory_new(NETWORK, &directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	apply(directory, &entry, NULL);
	assert_int_equal(network_created_write(&entry, &created, hq.node), OK);
	apply(directory, &entry, NULL);
	revoke_entry(&entry, &r, hq.node);
	apply(directory, &entry, "before headquarters");
	policy_entry(&entry, &p, hq.node);
	apply(directory, &entry, "before headquarters");
	directory_free(directory);
}

/* Whichever allocation fails, nothing changes, and trying again goes well. */
static void out_of_memory(void **state)
{
	struct revocation r = of_haiti();
	struct failing_alloc failing;
	struct policy p;
	struct buf entries[2];

	policy_init(&p);
	p.quorum = 3;
	policy_entry(&entries[0], &p, hq.node);
	revoke_entry(&entries[1], &r, hq.node);
	for (size_t fail_at = 1;; fail_at++) {
		struct directory *directory;
		bool failed = false;

		failing_alloc_begin(&failing, 0);
		directory = founded(true);
		failing.count = 0;
		failing.fail_at = fail_at;
		for (size_t i = 0; i < 2; i++) {
			enum err err = directory_apply(directory, buf_bytes(&entries[i]));

			if (err == ERR_NOMEM) {
				assert_int_equal(directory_size(directory), 5 + i);
				assert_true(directory_find(directory, bytes_str("haiti"))->active);
				failed = true;
				err = directory_apply(directory, buf_bytes(&entries[i]));
			}
			assert_int_equal(err, OK);
		}
		assert_int_equal(directory_odd(directory, NULL), 0);
		assert_int_equal(directory_policy(directory)->quorum, 3);
		assert_non_null(directory_revocation(directory, bytes_str("haiti")));
		directory_free(directory);
		failing_alloc_end(&failing);
		if (!failed)
			break;
		assert_true(fail_at < 1000);
	}
	buf_release(&entries[0]);
	buf_release(&entries[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_revocation_folds),
		cmocka_unit_test(revoked_stays_revoked),
		cmocka_unit_test(only_headquarters_revokes),
		cmocka_unit_test(purposes_are_apart),
		cmocka_unit_test(a_revocation_breaks_a_rule),
		cmocka_unit_test(the_largest_revocation),
		cmocka_unit_test(no_changed_bit_revokes),
		cmocka_unit_test(writers_refuse_what_readers_would),
		cmocka_unit_test(a_policy_folds),
		cmocka_unit_test(a_policy_breaks_a_rule),
		cmocka_unit_test(disputes_have_a_form),
		cmocka_unit_test(nothing_before_headquarters),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
