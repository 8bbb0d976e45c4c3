/*
 * bench_share: what a case that is shared costs, at the office that gives and at the one that gets.
 *
 *   bench_share DIR FOREIGN-ENTRIES ROUNDS
 *
 * One store with the log of `office`, to which its vault and somebody else's writing append in
 *turns until it has so many entries: ROUNDS cases of 20 events, spread over all of it. Then each
 *case is given to `other`, whole, whose vault looks at the same store:
 *
 *	share_ms   the vault's part: judged, keys made, two rows in the keyring, sealed twice. The
 *		   commit of the ledger's entry between is not in it
 *	find_s     there: the mail opened, the keys in the keyring, all entries found and the case
 *		   shown
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cases/event/json_memory.h"
#include "certs/mail.h"
#include "lib.h"
#include "node/files.h"
#include "vault.h"

enum { BLOCK = 1000, EVENTS = 20 };
#define OTHER "bench.example/other/1-0022334455667788"

struct pair {
	struct rig rig;
	struct rig_identity identity;
	struct bench_vault office, other;
	struct pool pool;
	struct samples share_ms, find_s;
};

static void no_memory(void)
{
	die("no memory for JSON");
}

/* ---- the log ---- */

static void strangers(struct pair *pair, uint64_t up_to)
{
	while (pair->rig.size < up_to) {
		uint64_t left = up_to - pair->rig.size;
		size_t count = left < BLOCK ? (size_t)left : BLOCK;
		struct entries *entries = NULL;

		pool_fill(&pair->pool, 5, pair->rig.size);
		check(entries_make(pair->pool.entry, count, &entries), NULL, "make entries");
		rig_append(&pair->rig, entries);
		rig_wait(&pair->rig, 0);
	}
}

static void opened(struct buf *lines, size_t number)
{
	buf_printf(lines,
		"{\"type\":\"CASE_OPENED\",\"case_ref\":\"%032zx\",\"case_code\":\"ZZ-%06zu\","
		"\"occurred_on\":\"2026-01-01\"}\n",
		number + 1, number);
	for (int i = 0; i < 2; i++)
		buf_printf(lines,
			"{\"type\":\"CONSENT_RECORDED\",\"case_ref\":\"%032zx\",\"occurred_on\":"
			"\"2026-01-01\",\"purpose\":\"%s\",\"given_by\":\"VICTIM\",\"form\":"
			"\"WRITTEN\",\"valid_until\":\"2099-12-31\"%s}\n",
			number + 1, i == 0 ? "CASE_MGMT" : "REFERRAL",
			i == 0 ? "" : ",\"recipients\":[\"other\"],\"groups\":[\"contact\"]");
}

static void said(struct buf *lines, size_t number, size_t i)
{
	buf_printf(lines,
		"{\"type\":\"CONTACT\",\"case_ref\":\"%032zx\",\"occurred_on\":\"2026-02-%02zu\","
		"\"channel\":\"PHONE\",\"direction\":\"OUT\",\"result\":\"REACHED\"}\n",
		number + 1, 1 + i % 28);
}

static void fill(struct pair *pair, uint64_t entries, size_t cases)
{
	struct buf lines;

	buf_init(&lines, LIMIT_CONTROL_REQUEST);
	for (size_t i = 0; i < EVENTS; i++) {
		for (size_t c = 0; c < cases; c++) {
			if (i == 0)
				opened(&lines, c);
			said(&lines, c, i);
		}
		check(lines.err, NULL, "make lines");
		bench_record(&pair->office, &lines);
		buf_clear(&lines);
		strangers(pair, entries * (i + 1) / EVENTS);
	}
	buf_release(&lines);
}

/* ---- one grant ---- */

static struct vault_request *grant_request(struct pair *pair, enum vault_type type)
{
	struct vault_request *request = bench_request(type);
	struct vault_recipient *to;

	request->grant = mem_zalloc(sizeof(*request->grant));
	to = request->grant == NULL ? NULL : mem_zalloc(sizeof(*to));
	if (to == NULL)
		die("no memory");
	snprintf(to->node, sizeof(to->node), "other");
	to->prekey = pair->other.prekey;
	to->ready = true;
	request->grant->recipients = to;
	request->grant->recipient_count = 1;
	return request;
}

/* A Mail of it, signed. */
static void share(struct pair *pair, size_t number, struct buf *mail)
{
	struct vault_request *make = grant_request(pair, VAULT_GRANT), *release, *sent;
	double seconds;

	snprintf(make->name, sizeof(make->name), "ZZ-%06zu", number);
	snprintf(make->grant->to, sizeof(make->grant->to), "other");
	snprintf(make->grant->purpose, sizeof(make->grant->purpose), "REFERRAL");
	make->grant->history = true;
	seconds = bench_ask_ok(&pair->office, make, "share");
	bench_commit(&pair->office, make);
	release = grant_request(pair, VAULT_GRANT_RELEASE);
	seconds += bench_ask_ok(&pair->office, release, "release");
	if (release->mail.size == 0)
		die("the grant does not leave");
	samples_add(&pair->share_ms, seconds * 1000);
	check(mail_sign(mail, buf_bytes(&release->mail), pair->identity.node), NULL, "sign");
	sent = grant_request(pair, VAULT_GRANT_SENT);
	memcpy(sent->grant->id, release->grant->id, sizeof(sent->grant->id));
	sha256(buf_bytes(&release->mail), &sent->item);
	bench_ask_ok(&pair->office, sent, "sent");
	vault_request_free(sent);
	vault_request_free(make);
	vault_request_free(release);
}

static void take(struct pair *pair, size_t number, struct bytes mail)
{
	struct vault_request *open = bench_request(VAULT_MAIL_OPEN), *show;
	struct ed25519_public key = *signer_public(pair->identity.node);
	double seconds;
	size_t docs = 0;

	open->sender.key = key;
	snprintf(open->sender.node, sizeof(open->sender.node), "office");
	open->sender_active = true;
	buf_put(&open->mail, mail);
	seconds = bench_ask_ok(&pair->other, open, "open");
	if (open->refusal != 0 || open->outcome != MAIL_PROCESSED)
		die("the grant is not taken: outcome %u, refusal %u", open->outcome, open->refusal);
	show = bench_request(VAULT_SHOW);
	snprintf(show->name, sizeof(show->name), "ZZ-%06zu", number);
	seconds += bench_ask_ok(&pair->other, show, "show");
	for (const struct vault_doc *doc = show->docs; doc != NULL; doc = doc->next)
		docs++;
	if (docs != 1 + EVENTS)
		die("%zu documents of a case of %d events", docs, EVENTS);
	samples_add(&pair->find_s, seconds);
	vault_request_free(open);
	vault_request_free(show);
}

int main(int argc, char **argv)
{
	char store[PATH_MAX], there[PATH_MAX];
	struct pair pair = {.share_ms = {0}};
	struct rig_opts opts;
	struct buf mail;
	uint64_t entries;
	size_t rounds;

	if (argc != 4)
		die("usage: bench_share DIR FOREIGN-ENTRIES ROUNDS");
	entries = number_of(argv[2]);
	rounds = (size_t)number_of(argv[3]);
	check(crypto_init(), NULL, "start OpenSSL");
	json_memory_init(no_memory);
	check(files_join(argv[1], "store", store, NULL), NULL, "make a path");
	check(files_join(argv[1], "other", there, NULL), NULL, "make a path");
	directory_fresh(there);
	rig_identity_init(&pair.identity, &opts, store);
	rig_open(&pair.rig, &opts);
	pool_init(&pair.pool, BLOCK);
	bench_vault_begin(&pair.office, &pair.rig, argv[1], opts.node, opts.origin);
	bench_unlock(&pair.office);
	fill(&pair, entries, rounds);
	bench_vault_begin(&pair.other, &pair.rig, there, "other", OTHER);
	bench_unlock(&pair.other);
	buf_init(&mail, LIMIT_MAIL_ITEM);
	for (size_t i = 0; i < rounds; i++) {
		share(&pair, i, &mail);
		take(&pair, i, buf_bytes(&mail));
		buf_clear(&mail);
	}
	printf("{");
	samples_print("share_ms", &pair.share_ms, true);
	samples_print("find_s", &pair.find_s, false);
	printf(", \"entries\": %llu}\n", (unsigned long long)pair.rig.size);
	buf_release(&mail);
	bench_vault_end(&pair.other);
	bench_vault_end(&pair.office);
	pool_release(&pair.pool);
	rig_close(&pair.rig);
	rig_identity_release(&pair.identity);
	samples_release(&pair.share_ms);
	samples_release(&pair.find_s);
	crypto_release();
	return 0;
}
