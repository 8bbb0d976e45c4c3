/* NodeKeysRotated and NodeReplaced: their form, and what the directory makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/change.h"
#include "certs/mail.h"
#include "certs_test.h"
#include "tests/unit/base/failing_alloc.h"

#define LOG(counter) NETWORK "/haiti/" counter "-0123456789abcdef"

/* haiti, and haiti with the keys of a second and a third machine. */
static struct actor hq, haiti, second, third, kenya;

static int setup(void **state)
{
	if (crypto_setup(state) != 0)
		return -1;
	hq = actor_make("hq", ROLE_HQ, "", 1);
	haiti = actor_make("haiti", ROLE_OFFICE, "HTI", 2);
	second = actor_make("haiti", ROLE_OFFICE, "HTI", 3);
	third = actor_make("haiti", ROLE_OFFICE, "HTI", 4);
	kenya = actor_make("kenya", ROLE_OFFICE, "KEN", 5);
	return 0;
}

static int teardown(void **state)
{
	actor_release(&hq);
	actor_release(&haiti);
	actor_release(&second);
	actor_release(&third);
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

/* hq (2), haiti (3), kenya (4). */
static struct directory *founded(void)
{
	struct log_opened opened = directory_opened();
	struct network_created created = network_created(&hq);
	struct actor *actors[] = {&hq, &haiti, &kenya};
	struct directory *directory;
	struct buf entry;

	assert_int_equal(directory_new(NETWORK, &directory), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(log_opened_write(&entry, &opened, hq.node), OK);
	apply(directory, &entry, NULL);
	assert_int_equal(network_created_write(&entry, &created, hq.node), OK);
	apply(directory, &entry, NULL);
	for (size_t i = 0; i < 3; i++) {
		entry_admitted(&entry, actors[i]);
		apply(directory, &entry, NULL);
	}
	return directory;
}

static void policy_entry(struct buf *out)
{
	struct policy policy;
	struct buf body;

	policy_init(&policy);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(policy_changed_body(&body, NETWORK, &policy), OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(out, SAUTI__RECORD_TYPE__RECORD_POLICY_CHANGED,
				 buf_bytes(&body), hq.node),
		OK);
	buf_release(&body);
}

/* ---- NodeKeysRotated ---- */

static struct rotation rotation_to(const struct actor *fresh, uint64_t size, uint32_t epoch)
{
	return (struct rotation){.member = fresh->member,
		.directory_size = size,
		.epoch = epoch,
		.made_at = 1700000100};
}

static void rotated_entry(struct buf *out, const struct rotation *rotation,
	const struct actor *fresh, const struct signer *by)
{
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(rotation_body(&body, NETWORK, rotation, fresh->node), OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(out, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED,
				 buf_bytes(&body), by),
		OK);
	buf_release(&body);
}

static void rotate(struct directory *directory, const struct actor *fresh, const struct actor *by,
	uint64_t size, uint32_t epoch, const char *odd)
{
	struct rotation rotation = rotation_to(fresh, size, epoch);
	struct buf entry;

	rotated_entry(&entry, &rotation, fresh, by->node);
	apply(directory, &entry, odd);
}

/* These keys are the member's, and the table finds it by them alone. */
static void check_keys(
	const struct directory *directory, const struct actor *actor, const struct actor *before)
{
	const struct member *member = directory_find(directory, bytes_str(actor->member.name));

	assert_memory_equal(member->node.b, actor->member.node.b, 32);
	assert_memory_equal(member->mirror.b, actor->member.mirror.b, 32);
	assert_memory_equal(member->witness.b, actor->member.witness.b, 32);
	assert_memory_equal(member->complaint.b, actor->member.complaint.b, 32);
	assert_ptr_equal(directory_find_spki(directory, &actor->member.tls_spki), member);
	assert_null(directory_find_spki(directory, &before->member.tls_spki));
	assert_memory_equal(member->former->node.b, before->member.node.b, 32);
}

static void opener_is(
	const struct directory *directory, const char *origin, const struct actor *actor)
{
	assert_memory_equal(directory_opener(directory, origin)->b, actor->member.node.b, 32);
}

static void a_rotation_folds(void **state)
{
	struct directory *directory = founded();
	const struct member *member;

	rotate(directory, &second, &haiti, 5, 2, NULL);
	check_keys(directory, &second, &haiti);
	member = directory_find(directory, bytes_str("haiti"));
	assert_int_equal(member->admitted_index, 3);
	assert_int_equal(member->keys_index, 5);
	assert_int_equal(member->changes, 1);
	assert_false(member->former->replaced);
	assert_int_equal(member->former->index, 5);
	assert_null(member->former->former);
	assert_true(member->active);
	assert_string_equal(member->country, "HTI");
	/* Logs up to the one it wrote were opened by the old key, and go on. */
	opener_is(directory, LOG("1"), &haiti);
	opener_is(directory, LOG("2"), &haiti);
	opener_is(directory, LOG("2") "~aabb", &haiti);
	opener_is(directory, LOG("3"), &second);
	opener_is(directory, NETWORK "/kenya/1-0123456789abcdef", &kenya);
	assert_null(directory_opener(directory, NETWORK "/peru/1-0123456789abcdef"));
	assert_null(directory_opener(directory, "nonsense"));
	/* And once more. */
	rotate(directory, &third, &second, 6, 4, NULL);
	check_keys(directory, &third, &second);
	opener_is(directory, LOG("2"), &haiti);
	opener_is(directory, LOG("3"), &second);
	opener_is(directory, LOG("4"), &second);
	opener_is(directory, LOG("5"), &third);
	directory_free(directory);
}

/* What it signed for its former keys is not taken any more, nor by the key before. */
static void a_rotation_is_no_ones_else(void **state)
{
	struct directory *directory = founded();

	rotate(directory, &second, &kenya, 5, 1, "not signed by its key");
	rotate(directory, &second, &hq, 6, 1, "not signed by its key");
	rotate(directory, &second, &second, 7, 1, "not signed by its key");
	rotate(directory, &second, &haiti, 8, 1, NULL);
	rotate(directory, &third, &haiti, 9, 1, "not signed by its key");
	rotate(directory, &third, &second, 10, 1, NULL);
	directory_free(directory);
}

/* The new key must have been there: nobody takes another's public key for one's own. */
static void the_new_key_proves_itself(void **state)
{
	struct directory *directory = founded();
	struct rotation rotation = rotation_to(&second, 5, 1);
	Sauti__NodeKeysRotated message = SAUTI__NODE_KEYS_ROTATED__INIT, *read;
	struct arena arena;
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(rotation_body(&body, NETWORK, &rotation, third.node), ERR_INVALID);
	assert_int_equal(rotation_body(&body, NETWORK, &rotation, second.node), OK);
	assert_int_equal(CODEC_UNPACK(node_keys_rotated, buf_bytes(&body), &scan_limits_default,
				 &arena, &read, NULL),
		OK);
	message.change = read->change;
	message.proof = read->proof;
	message.proof.data[5] ^= 1;
	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, &message, haiti.node);
	apply(directory, &entry, "the new key did not sign it");
	message.proof.len = 63;
	entry_of(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED, &message, haiti.node);
	apply(directory, &entry, "the new key did not sign it");
	arena_release(&arena);
	buf_release(&body);
	directory_free(directory);
}

/* Each record once: its keys are known then, and its signer has become a former key. */
static void a_rotation_is_not_replayed(void **state)
{
	struct directory *directory = founded();
	struct rotation rotation = rotation_to(&second, 5, 1);
	struct buf entry;

	rotated_entry(&entry, &rotation, &second, haiti.node);
	apply(directory, &entry, NULL);
	rotated_entry(&entry, &rotation, &second, haiti.node);
	apply(directory, &entry, "not signed by its key");
	/* Back to the first keys. */
	rotate(directory, &haiti, &second, 7, 1, "brings a key of 'haiti'");
	/* To the ones it has. */
	rotate(directory, &second, &second, 8, 1, "brings a key of 'haiti'");
	directory_free(directory);
}

static void a_rotation_is_made_for_a_directory(void **state)
{
	struct directory *directory = founded();

	rotate(directory, &second, &haiti, 3, 1, "made for a directory of 3 records");
	rotate(directory, &second, &haiti, 7, 1, "made for a directory of 7 records");
	rotate(directory, &second, &haiti, 4, 1, NULL); /* behind record 3, which admitted it */
	/* Signed before its own last change: held back, and tried again. */
	rotate(directory, &third, &second, 7, 1, "made for a directory of 7 records");
	rotate(directory, &third, &second, 8, 1, NULL);
	directory_free(directory);
}

static void a_rotation_grows_old(void **state)
{
	for (int past = 0; past < 2; past++) {
		struct directory *directory = founded();
		struct buf entry;

		for (int i = 0; i < LIMIT_ROTATION_AGE + past; i++) {
			policy_entry(&entry);
			apply(directory, &entry, NULL);
		}
		rotate(directory, &second, &haiti, 5, 1, past ? "made 257 records ago" : NULL);
		directory_free(directory);
	}
}

/* Any key that anybody has or had; but its own complaint key may stay. */
static void keys_are_new(void **state)
{
	for (int i = 0; i < 5; i++) {
		struct directory *directory = founded();
		struct actor fresh = second;
		const char *odd = "brings a key of 'haiti'";

		if (i == 0)
			fresh.member.tls_spki = haiti.member.tls_spki;
		else if (i == 1)
			fresh.member.mirror = haiti.member.mirror;
		else if (i == 2)
			fresh.member.witness = haiti.member.witness;
		else if (i == 3)
			fresh.member.complaint = kenya.member.complaint;
		else
			fresh.member.complaint = haiti.member.complaint;
		if (i == 3)
			odd = "brings a key of 'kenya'";
		rotate(directory, &fresh, &haiti, 5, 1, i == 4 ? NULL : odd);
		if (i == 4)
			check_keys(directory, &fresh, &haiti);
		directory_free(directory);
	}
}

/* Keys that were given up stay taken. */
static void former_keys_serve_nobody(void **state)
{
	struct directory *directory = founded();
	struct actor peru = actor_make("peru", ROLE_OFFICE, "PER", 9);
	struct buf entry;

	rotate(directory, &second, &haiti, 5, 1, NULL);
	peru.member.mirror = haiti.member.mirror;
	entry_admitted(&entry, &peru);
	apply(directory, &entry, "brings a key of 'haiti'");
	peru.member.mirror = public_number(91);
	peru.member.tls_spki = haiti.member.tls_spki;
	entry_admitted(&entry, &peru);
	apply(directory, &entry, "brings a key of 'haiti'");
	actor_release(&peru);
	directory_free(directory);
}

static void forms_that_are_refused(void **state)
{
	struct rotation rotation;
	struct buf body;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	for (int i = 0; i < 6; i++) {
		rotation = rotation_to(&second, 5, 1);
		if (i == 0)
			rotation.directory_size = 0;
		else if (i == 1)
			rotation.directory_size = LIMIT_DIRECTORY_RECORDS + 1;
		else if (i == 2)
			rotation.epoch = 0;
		else if (i == 3)
			rotation.epoch = UINT32_MAX;
		else if (i == 4)
			rotation.member.mirror = rotation.member.node;
		else
			memset(rotation.member.mirror.b, 0, 32);
		assert_int_equal(
			rotation_body(&body, NETWORK, &rotation, second.node), ERR_INVALID);
	}
	rotation = rotation_to(&second, LIMIT_DIRECTORY_RECORDS, UINT32_MAX - 1);
	assert_int_equal(rotation_body(&body, NETWORK, &rotation, second.node), OK);
	buf_release(&body);
}

static void other_networks_and_nobody(void **state)
{
	struct directory *directory = founded();
	struct rotation rotation = rotation_to(&second, 5, 1);
	struct actor nobody = second;
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(rotation_body(&body, "ovrb.example", &rotation, second.node), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_KEYS_ROTATED,
				 buf_bytes(&body), haiti.node),
		OK);
	apply(directory, &entry, "of another network");
	buf_release(&body);
	strcpy(nobody.member.name, "peru");
	rotate(directory, &nobody, &haiti, 5, 1, "no member");
	directory_free(directory);
}

static void epochs_go_forward(void **state)
{
	struct directory *directory = founded();

	rotate(directory, &second, &haiti, 5, 3, NULL);
	rotate(directory, &third, &second, 6, 2, "an epoch before that of an earlier one");
	rotate(directory, &third, &second, 7, 3, NULL);
	opener_is(directory, LOG("3"), &haiti);
	opener_is(directory, LOG("4"), &third);
	directory_free(directory);
}

/* Headquarters' own keys: what it signs from then on is signed by the new one. */
static void headquarters_rotates(void **state)
{
	struct directory *directory = founded();
	struct actor fresh = actor_make("hq", ROLE_HQ, "", 8);
	struct buf entry;

	rotate(directory, &fresh, &hq, 5, 1, NULL);
	policy_entry(&entry);
	apply(directory, &entry, "not signed by headquarters");
	actor_release(&fresh);
	directory_free(directory);
}

/* ---- NodeReplaced ---- */

static struct revoked_log two_logs[] = {
	{LOG("1"), 7, {{7}}, {{0x77}}},
	{LOG("2"), 20, {{8}}, {{0x88}}},
};

struct replacing {
	const struct actor *fresh;
	struct signer *proof, *by; /* NULL: as it should be */
	uint32_t epoch;
	size_t logs;
};

static void admitted_of(const struct replacing *r, struct buf *body, struct ed25519_signature *sig)
{
	buf_init(body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_admitted_body(body, NETWORK, &r->fresh->member), OK);
	assert_int_equal(node_sign(r->proof == NULL ? r->fresh->node : r->proof,
				 PURPOSE_NODE_ADMITTED, buf_bytes(body), sig),
		OK);
}

static void replaced_entry(struct buf *out, const struct replacing *r)
{
	struct ed25519_signature signature;
	struct buf admitted, body;
	struct replacement replacement = {.epoch = r->epoch,
		.closing = {.reason = "burnt", .revoked_at = 1700000100, .logs = two_logs}};

	strcpy(replacement.closing.name, r->fresh->member.name);
	replacement.closing.log_count = r->logs;
	admitted_of(r, &admitted, &signature);
	replacement.admitted = buf_bytes(&admitted);
	replacement.admitted_signature = BYTES_ARRAY(signature.b);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(replacement_body(&body, NETWORK, &replacement), OK);
	buf_init(out, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(out, SAUTI__RECORD_TYPE__RECORD_NODE_REPLACED,
				 buf_bytes(&body), r->by == NULL ? hq.node : r->by),
		OK);
	buf_release(&body);
	buf_release(&admitted);
}

static void replace(struct directory *directory, const struct replacing *r, const char *odd)
{
	struct buf entry;

	replaced_entry(&entry, r);
	apply(directory, &entry, odd);
}

static void revoke(struct directory *directory, const char *odd)
{
	struct revocation revocation = {.name = "haiti",
		.reason = "stolen",
		.revoked_at = 1700000099,
		.logs = two_logs,
		.log_count = 1};
	struct buf body, entry;

	buf_init(&body, LIMIT_ENTRY_SIZE);
	assert_int_equal(node_revoked_body(&body, NETWORK, &revocation), OK);
	buf_init(&entry, LIMIT_ENTRY_SIZE);
	assert_int_equal(record_write(&entry, SAUTI__RECORD_TYPE__RECORD_NODE_REVOKED,
				 buf_bytes(&body), hq.node),
		OK);
	buf_release(&body);
	apply(directory, &entry, odd);
}

static void last_is(
	const struct directory *directory, const char *origin, uint64_t size, bool closed)
{
	bool is_closed;
	const struct revoked_log *last = directory_last(directory, origin, &is_closed);

	assert_int_equal(is_closed, closed);
	assert_int_equal(last == NULL ? 0 : last->size, size);
}

static void a_replacement_folds(void **state)
{
	struct directory *directory = founded();
	const struct revocation *r;

	replace(directory, &(struct replacing){.fresh = &second, .epoch = 5, .logs = 2}, NULL);
	check_keys(directory, &second, &haiti);
	assert_true(directory_find(directory, bytes_str("haiti"))->former->replaced);
	assert_null(directory_revocation(directory, bytes_str("haiti")));
	r = directory_replacement(directory, bytes_str("haiti"));
	assert_string_equal(r->reason, "burnt");
	assert_int_equal(r->index, 5);
	assert_null(directory_replacement(directory, bytes_str("kenya")));
	/* The former machine's logs end where it is said; what is not listed is nothing. */
	last_is(directory, LOG("1"), 7, false);
	last_is(directory, LOG("2"), 20, false);
	last_is(directory, LOG("5"), 0, true);
	last_is(directory, LOG("2") "~aabb", 0, true);
	last_is(directory, LOG("6"), 0, false);
	last_is(directory, NETWORK "/kenya/1-0123456789abcdef", 0, false);
	opener_is(directory, LOG("2"), &haiti);
	opener_is(directory, LOG("5"), &haiti);
	opener_is(directory, LOG("6"), &second);
	directory_free(directory);
}

/* A revoked name comes back by being replaced, and in no other way. What the revocation says of its
 * logs stays. */
static void after_a_revocation(void **state)
{
	struct directory *directory = founded();

	last_is(directory, LOG("1"), 0, false);
	revoke(directory, NULL);
	last_is(directory, LOG("1"), 7, false);
	last_is(directory, LOG("2"), 0, true);
	last_is(directory, LOG("9"), 0, true);
	rotate(directory, &second, &haiti, 6, 1, "it is revoked");
	replace(directory, &(struct replacing){.fresh = &second, .epoch = 5, .logs = 2}, NULL);
	assert_true(directory_find(directory, bytes_str("haiti"))->active);
	assert_null(directory_revocation(directory, bytes_str("haiti")));
	last_is(directory, LOG("1"), 7, false);
	last_is(directory, LOG("2"), 0, true);
	last_is(directory, LOG("6"), 0, false);
	revoke(directory, NULL);
	assert_non_null(directory_revocation(directory, bytes_str("haiti")));
	last_is(directory, LOG("6"), 0, true);
	directory_free(directory);
}

static void a_replacement_is_headquarters_word(void **state)
{
	struct directory *directory = founded();
	struct replacing r = {.fresh = &second, .epoch = 5, .logs = 2};
	struct actor other = second;

	r.by = haiti.node;
	replace(directory, &r, "not signed by headquarters");
	r.by = second.node;
	replace(directory, &r, "not signed by headquarters");
	r.by = NULL;
	strcpy(other.member.country, "DOM");
	r.fresh = &other;
	r.logs = 0;
	replace(directory, &r, "another role or country");
	strcpy(other.member.country, "HTI");
	other.member.role = ROLE_AUDITOR;
	replace(directory, &r, "another role or country");
	other.member.role = ROLE_OFFICE;
	strcpy(other.member.name, "peru");
	replace(directory, &r, "no member");
	strcpy(other.member.name, "hq");
	other.member.role = ROLE_HQ;
	other.member.country[0] = '\0';
	replace(directory, &r, "headquarters itself");
	directory_free(directory);
}

/* The keys of no one who has or had any, and each record once. */
static void a_replacement_brings_new_keys(void **state)
{
	struct directory *directory = founded();
	struct replacing r = {.fresh = &second, .epoch = 5, .logs = 2};
	struct actor other = third;

	r.fresh = &haiti;
	replace(directory, &r, "brings a key of 'haiti'");
	other.member.mirror = kenya.member.mirror;
	r.fresh = &other;
	replace(directory, &r, "brings a key of 'kenya'");
	other = third;
	other.member.complaint = haiti.member.complaint;
	replace(directory, &r, "brings a key of 'haiti'");
	r.fresh = &second;
	replace(directory, &r, NULL);
	replace(directory, &r, "brings a key of 'haiti'");
	r.fresh = &haiti;
	replace(directory, &r, "brings a key of 'haiti'");
	/* The former machine's own rotation, which it signed before. */
	rotate(directory, &third, &haiti, 5, 1, "not signed by its key");
	directory_free(directory);
}

static void replacements_that_are_refused(void **state)
{
	struct replacing good = {.fresh = &second, .epoch = 5, .logs = 2};
	struct ed25519_signature signature;
	struct replacement r;
	struct buf admitted, body;

	admitted_of(&good, &admitted, &signature);
	buf_init(&body, LIMIT_ENTRY_SIZE);
	for (int i = 0; i < 6; i++) {
		r = (struct replacement){.epoch = 2,
			.admitted = buf_bytes(&admitted),
			.admitted_signature = BYTES_ARRAY(signature.b),
			.closing = {.name = "haiti", .reason = "burnt", .logs = two_logs}};
		r.closing.log_count = 2;
		if (i == 1)
			r.epoch = 0;
		else if (i == 2)
			r.epoch = UINT32_MAX;
		else if (i == 3)
			r.epoch = 1; /* the second log is behind it */
		else if (i == 4)
			strcpy(r.closing.name, "kenya");
		else if (i == 5)
			r.admitted_signature.size = 63;
		if (i == 4)
			r.closing.log_count = 0;
		assert_int_equal(replacement_body(&body, NETWORK, &r), i == 0 ? OK : ERR_INVALID);
	}
	signature.b[1] ^= 1;
	r.admitted_signature = BYTES_ARRAY(signature.b);
	strcpy(r.closing.name, "haiti");
	assert_int_equal(replacement_body(&body, NETWORK, &r), ERR_INVALID);
	buf_release(&admitted);
	buf_release(&body);
}

static void no_changed_bit_counts(void **state)
{
	struct buf entries[2];
	struct rotation rotation = rotation_to(&second, 5, 1);

	rotated_entry(&entries[0], &rotation, &second, haiti.node);
	replaced_entry(&entries[1], &(struct replacing){.fresh = &second, .epoch = 5, .logs = 1});
	for (size_t e = 0; e < 2; e++) {
		for (size_t i = 0; i < entries[e].size; i += 3) {
			struct directory *directory = founded();
			const struct member *member;

			entries[e].data[i] ^= 1 << i % 8;
			assert_int_equal(directory_apply(directory, buf_bytes(&entries[e])), OK);
			member = directory_find(directory, bytes_str("haiti"));
			assert_int_equal(member->changes, 0);
			assert_memory_equal(member->node.b, haiti.member.node.b, 32);
			entries[e].data[i] ^= 1 << i % 8;
			directory_free(directory);
		}
		buf_release(&entries[e]);
	}
}

/* Mail that was on its way when its sender rotated its keys; not what a replaced machine signed. */
static void mail_by_a_former_key(void **state)
{
	struct mail_draft draft = {.network = NETWORK,
		.sender = "haiti",
		.recipient = "kenya",
		.made_at = 1700000100,
		.kind = MAIL_ADDRESSES};
	const uint64_t ended_at = 1700000100, last = ended_at + MAIL_FORMER_S;
	struct directory *directory = founded();
	struct mail_item item, late;
	struct buf packed, packed_late;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&packed, LIMIT_MAIL_ITEM);
	buf_init(&packed_late, LIMIT_MAIL_ITEM);
	assert_int_equal(mail_write(&packed, &draft, haiti.node), OK);
	draft.made_at++;
	assert_int_equal(mail_write(&packed_late, &draft, haiti.node), OK);
	assert_int_equal(mail_unpack(buf_bytes(&packed), NETWORK, &arena, &item, NULL), OK);
	assert_int_equal(mail_unpack(buf_bytes(&packed_late), NETWORK, &arena, &late, NULL), OK);
	assert_int_equal(mail_check(directory, &item, NULL), OK);
	rotate(directory, &second, &haiti, 5, 1, NULL); /* at 1700000100 */
	assert_int_equal(mail_check(directory, &item, NULL), ERR_UNTRUSTED);
	assert_int_equal(mail_check_at(directory, &item, last, NULL), OK);
	assert_int_equal(mail_check_at(directory, &item, last + 1, NULL), ERR_UNTRUSTED);
	assert_int_equal(mail_check_at(directory, &late, last, NULL), ERR_UNTRUSTED);
	replace(directory, &(struct replacing){.fresh = &third, .epoch = 5, .logs = 1}, NULL);
	assert_int_equal(mail_check_at(directory, &item, last, NULL), ERR_UNTRUSTED);
	buf_release(&packed);
	buf_release(&packed_late);
	arena_release(&arena);
	directory_free(directory);
}

/* An end of mail by a key that was rotated away is one; a prekey in it is nobody's. */
static void ends_by_a_former_key(void **state)
{
	struct mail_end end = {.sender = "kenya",
				.recipient = "haiti",
				.outcome = MAIL_UNOPENABLE,
				.at = 1700000100,
				.current = {.number = 9, .key = {{9}}, .made_at = 5}},
			read;
	struct directory *directory = founded();
	Sauti__MailEnd *message;
	struct buf packed;
	struct arena arena;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	for (int late = 0; late < 2; late++) {
		end.at = 1700000100 + (uint64_t)late;
		buf_init(&packed, LIMIT_MAIL_ITEM);
		assert_int_equal(mail_end_write(&packed, NETWORK, &end, haiti.node), OK);
		assert_int_equal(CODEC_UNPACK(mail_end, buf_bytes(&packed), &scan_limits_default,
					 &arena, &message, NULL),
			OK);
		if (late == 0) {
			assert_int_equal(mail_end_read(codec_bytes(message->body),
						 codec_bytes(message->signature), NETWORK,
						 directory, &arena, &read, NULL),
				OK);
			assert_int_equal(read.current.number, 9);
			rotate(directory, &second, &haiti, 5, 1, NULL);
		}
		assert_int_equal(
			mail_end_read(codec_bytes(message->body), codec_bytes(message->signature),
				NETWORK, directory, &arena, &read, NULL),
			late ? ERR_UNTRUSTED : OK);
		assert_int_equal(read.current.number, 0);
		buf_release(&packed);
	}
	arena_release(&arena);
	directory_free(directory);
}

static void at_and_past_the_cap(void **state)
{
	struct directory *directory = founded();
	struct actor before = haiti, next;

	for (unsigned i = 0; i <= LIMIT_KEY_CHANGES; i++) {
		next = actor_make("haiti", ROLE_OFFICE, "HTI", 100 + i);
		rotate(directory, &next, &before, 5 + i, 1,
			i < LIMIT_KEY_CHANGES ? NULL : "its keys changed 256 times");
		if (i > 0)
			actor_release(&before);
		before = next;
	}
	assert_int_equal(directory_find(directory, bytes_str("haiti"))->changes, 256);
	opener_is(directory, LOG("1"), &haiti);
	actor_release(&before);
	directory_free(directory);
}

static void out_of_memory(void **state)
{
	struct buf entries[2];
	struct rotation rotation = rotation_to(&third, 6, 5);
	struct failing_alloc failing;

	replaced_entry(&entries[0], &(struct replacing){.fresh = &second, .epoch = 5, .logs = 2});
	rotated_entry(&entries[1], &rotation, &third, second.node);
	for (size_t fail_at = 1;; fail_at++) {
		bool failed = false;

		failing_alloc_begin(&failing, 0);

		struct directory *directory = founded();

		failing.count = 0;
		failing.fail_at = fail_at;
		for (size_t i = 0; i < 2; i++) {
			enum err err = directory_apply(directory, buf_bytes(&entries[i]));

			if (err == ERR_NOMEM) {
				assert_int_equal(directory_size(directory), 5 + i);
				failed = true;
				err = directory_apply(directory, buf_bytes(&entries[i]));
			}
			assert_int_equal(err, OK);
		}
		assert_int_equal(directory_odd(directory, NULL), 0);
		check_keys(directory, &third, &second);
		directory_free(directory);
		failing_alloc_end(&failing);
		if (!failed)
			break;
		assert_true(fail_at < 1000);
	}
	buf_release(&entries[0]);
	buf_release(&entries[1]);
}

/* Mail that waits while its sender's keys change is of whoever signed it. */
static void mail_is_of_the_key_that_signed_it(void **state)
{
	struct directory *directory = founded();
	struct mail_draft draft = {.network = NETWORK,
		.sender = "haiti",
		.recipient = "kenya",
		.kind = MAIL_ADDRESSES};
	struct ed25519_public signer;
	struct mail_item item;
	struct arena arena;
	struct buf packed;

	buf_init(&packed, LIMIT_MAIL_ITEM);
	arena_init(&arena, LIMIT_ARENA_SIZE);
	assert_int_equal(mail_write(&packed, &draft, haiti.node), OK);
	assert_int_equal(mail_unpack(buf_bytes(&packed), NETWORK, &arena, &item, NULL), OK);
	assert_int_equal(mail_signer(directory, &item, &signer), OK);
	assert_memory_equal(signer.b, haiti.member.node.b, sizeof(signer.b));
	replace(directory, &(struct replacing){.fresh = &second, .epoch = 5}, NULL);
	assert_int_equal(mail_check(directory, &item, NULL), ERR_UNTRUSTED);
	assert_int_equal(mail_signer(directory, &item, &signer), OK);
	assert_memory_equal(signer.b, haiti.member.node.b, sizeof(signer.b));
	buf_clear(&packed);
	assert_int_equal(mail_write(&packed, &draft, second.node), OK);
	assert_int_equal(mail_unpack(buf_bytes(&packed), NETWORK, &arena, &item, NULL), OK);
	assert_int_equal(mail_signer(directory, &item, &signer), OK);
	assert_memory_equal(signer.b, second.member.node.b, sizeof(signer.b));
	buf_clear(&packed);
	assert_int_equal(mail_write(&packed, &draft, kenya.node), OK);
	assert_int_equal(mail_unpack(buf_bytes(&packed), NETWORK, &arena, &item, NULL), OK);
	assert_int_equal(mail_signer(directory, &item, &signer), ERR_UNTRUSTED);
	arena_release(&arena);
	buf_release(&packed);
	directory_free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rotation_folds),
		cmocka_unit_test(a_rotation_is_no_ones_else),
		cmocka_unit_test(the_new_key_proves_itself),
		cmocka_unit_test(a_rotation_is_not_replayed),
		cmocka_unit_test(a_rotation_is_made_for_a_directory),
		cmocka_unit_test(a_rotation_grows_old),
		cmocka_unit_test(keys_are_new),
		cmocka_unit_test(former_keys_serve_nobody),
		cmocka_unit_test(forms_that_are_refused),
		cmocka_unit_test(other_networks_and_nobody),
		cmocka_unit_test(epochs_go_forward),
		cmocka_unit_test(headquarters_rotates),
		cmocka_unit_test(a_replacement_folds),
		cmocka_unit_test(after_a_revocation),
		cmocka_unit_test(a_replacement_is_headquarters_word),
		cmocka_unit_test(a_replacement_brings_new_keys),
		cmocka_unit_test(replacements_that_are_refused),
		cmocka_unit_test(no_changed_bit_counts),
		cmocka_unit_test(mail_by_a_former_key),
		cmocka_unit_test(ends_by_a_former_key),
		cmocka_unit_test(at_and_past_the_cap),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(mail_is_of_the_key_that_signed_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
