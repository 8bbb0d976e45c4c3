/*
 * An honest ledger passes; each dishonest one is found, by its own words: a grant without consent,
 * one before its consent, after its end, after its withdrawal, to another recipient, of another
 * group, under the commitment of other keys; emergencies that nobody approved.
 */
#include "cases_test.h"

#include <string.h>

#include "base/text.h"
#include "cases/keys/audit.h"
#include "cases/keys/disclosure.h"
#include "cases/keys/grant.h"

#define REF   "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

enum { DAY0 = 19755 }; /* 2024-02-02 */
#define HOURS(n) ((n)*UINT64_C(3600))
#define DAYS(n)  (HOURS(24) * (n))

struct told {
	size_t count, good, open, bad;
	struct audit_finding last;
};

static struct audit *audit;
static struct told told;
static uint64_t now_s; /* seconds behind the first of the days */

static int setup_all(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown_all(void **state)
{
	crypto_release();
	return 0;
}

static int setup(void **state)
{
	now_s = 0;
	told = (struct told){.count = 0};
	return audit_new(&audit) == OK ? 0 : -1;
}

static int teardown(void **state)
{
	audit_free(audit);
	return 0;
}

/* --- entries --- */

static struct hash leaf_of(unsigned n)
{
	struct hash leaf;

	memset(leaf.b, (int)n, sizeof leaf.b);
	return leaf;
}

static void id_text(unsigned n, char ret[EVENT_ID_TEXT + 1])
{
	snprintf(ret, EVENT_ID_TEXT + 1, "01900000-0000-7000-8000-%012u", n);
}

/* Event n at `index` of the log of that epoch. */
struct entry {
	unsigned n, epoch, index;
	const char *type, *ref, *fields;
};

static void add(const struct entry *e, bool ledger)
{
	struct audit_place at = {e->epoch, e->index};
	char line[3000], id[EVENT_ID_TEXT + 1], time[21];
	struct hash leaf = leaf_of(e->epoch * 100 + e->n);
	struct event_parts parts = {0};
	struct errctx ctx = {""};
	struct event event = {0};
	enum err err;

	id_text(e->n, id);
	event_time_text(DAYS(DAY0) + now_s, time);
	snprintf(line, sizeof line,
		"{'type':'%s','event_id':'%s','case_ref':'%s','occurred_on':'%.10s',"
		"'recorded_at':'%s','recorded_by':'ZZ-hti-1','office':'HTI'%s%s}",
		e->type, id, e->ref, time, time, e->fields[0] == '\0' ? "" : ",", e->fields);
	for (char *c = line; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	err = ledger ? event_parse_ledger(bytes_str(line), &event, &ctx)
		     : event_parse(bytes_str(line), &event, &ctx);
	if (err == OK)
		err = ledger ? event_split_ledger(&event, &parts, &ctx)
			     : event_split(&event, NULL, &parts, &ctx);
	if (err == OK)
		err = audit_add(audit, &at, &leaf, buf_bytes(&parts.part[0].packed), &ctx);
	if (err != OK)
		fail_msg("%s: %s", line, ctx.text);
	event_parts_release(&parts);
	event_release(&event);
}

#define CONSENT                                                                                    \
	"'consent_id':'C-1','purpose':'REFERRAL','given_by':'VICTIM','form':'WRITTEN',"            \
	"'recipients':['mali','BEN'],'groups':['services'],'valid_until':'2024-03-31'"

static void consent_at(unsigned index, const char *ref, const char *fields)
{
	add(&(struct entry){1, 1, index, "CONSENT_RECORDED", ref, fields}, false);
}

static void consent(unsigned index)
{
	consent_at(index, REF, CONSENT);
}

static void withdrawn(unsigned index)
{
	add(&(struct entry){2, 1, index, "CONSENT_WITHDRAWN", REF, "'consent_id':'C-1'"}, false);
}

/* What a grant says, right unless a test wants it otherwise. */
struct grant_said {
	unsigned n, epoch, index;
	const char *recipient, *groups, *purpose, *until, *basis, *ref, *more;
	unsigned consent, leaf; /* events; 0: none */
	bool other_keys;
};
#define GRANT                                                                                      \
	(struct grant_said)                                                                        \
	{                                                                                          \
		10, 1, 20, "mali", "'services'", "REFERRAL", "2024-03-31", "CONSENT", REF, "", 1,  \
			101, false                                                                 \
	}

static void put_hash(char *text, size_t size, const char *name, const struct hash *hash)
{
	char hex[2 * HASH_SIZE + 1];

	hex_encode(hash_bytes(hash), hex);
	snprintf(text + strlen(text), size - strlen(text), ",'%s':'%s'", name, hex);
}

static void grant(const struct grant_said *g)
{
	struct grant_key keys[2] = {{{{1}}, 0}, {{{2}}, 0}};
	struct hash nonce = leaf_of(99), leaf = leaf_of(g->leaf), commitment;
	struct grant_commitment in = {
		nonce.b, bytes_str(g->recipient), g->leaf == 0 ? NULL : &leaf, keys, 2};
	char fields[2000], id[EVENT_ID_TEXT + 1];

	assert_ok(grant_commitment(&in, &commitment));
	snprintf(fields, sizeof fields,
		"'case':'%s','recipient':'%s','groups':[%s],'purpose':'%s','basis':'%s',"
		"'key_ids':['01000000000000000000000000000000','0%c000000000000000000000000000000']"
		"%s",
		g->ref, g->recipient, g->groups, g->purpose, g->basis, g->other_keys ? '3' : '2',
		g->more);
	put_hash(fields, sizeof fields, "commitment", &commitment);
	put_hash(fields, sizeof fields, "nonce", &nonce);
	if (g->leaf != 0)
		put_hash(fields, sizeof fields, "consent_leaf", &leaf);
	id_text(g->consent, id);
	if (g->consent != 0)
		snprintf(fields + strlen(fields), sizeof fields - strlen(fields),
			",'consent_ref':'%s'", id);
	if (g->until[0] != '\0')
		snprintf(fields + strlen(fields), sizeof fields - strlen(fields), ",'until':'%s'",
			g->until);
	add(&(struct entry){g->n, g->epoch, g->index, "ACCESS_GRANTED", OTHER, fields}, true);
}

/* --- judging --- */

static bool member(void *arg, const char *node, struct audit_member *ret)
{
	*ret = (struct audit_member){
		strcmp(node, "benin") == 0 ? "BEN" : "MLI", strcmp(node, "watch") == 0};
	return strcmp(node, "nobody") != 0;
}

static void found(void *arg, const struct audit_finding *finding)
{
	told.count++;
	told.good += finding->verdict == AUDIT_GOOD;
	told.open += finding->verdict == AUDIT_OPEN;
	told.bad += finding->verdict == AUDIT_BAD;
	told.last = *finding;
	assert_int_equal(finding->verdict == AUDIT_GOOD && finding->why[0] == '\0' ? 1 : 0,
		finding->why[0] == '\0');
}

static void judge(void)
{
	assert_ok(audit_judge(audit, &(struct audit_judge){member, found, NULL, NULL}));
}

static void judged(enum audit_verdict verdict, const char *words)
{
	judge();
	assert_int_equal(told.count, 1);
	if (told.last.verdict != verdict || strstr(told.last.why, words) == NULL)
		fail_msg("%d: %s", told.last.verdict, told.last.why);
}

/* --- tests --- */

static void an_honest_ledger_passes(void **state)
{
	struct grant_said to_benin = GRANT;

	consent(4);
	now_s = DAYS(3);
	grant(&GRANT);
	to_benin.n = 11; /* named by its country */
	to_benin.index = 21;
	to_benin.recipient = "benin";
	grant(&to_benin);
	now_s = DAYS(5);
	withdrawn(30); /* later: what was right then stays right */
	judge();
	assert_int_equal(told.good, 2);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.last.recipient, "benin");
	assert_string_equal(told.last.basis, "CONSENT");
	assert_int_equal(told.last.at.index, 21);
}

static void without_a_consent(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.consent = 0;
	g.leaf = 0;
	grant(&g);
	judged(AUDIT_BAD, "cites no consent");
}

static void of_which_nothing_was_opened(void **state)
{
	grant(&GRANT);
	judged(AUDIT_BAD, "no entry of the consent");
}

static void before_its_consent(void **state)
{
	consent(21);
	grant(&GRANT);
	judged(AUDIT_BAD, "recorded after it");
}

static void after_its_end(void **state)
{
	consent(4);
	now_s = DAYS(59); /* 2024-04-01 */
	grant(&GRANT);
	judged(AUDIT_BAD, "C-1 ended on 2024-03-31");
}

static void after_its_withdrawal(void **state)
{
	consent(4);
	now_s = DAYS(3);
	withdrawn(10);
	grant(&GRANT);
	judged(AUDIT_BAD, "withdrawn on 2024-02-05");
}

/* The withdrawal itself is not shown; that another grant was taken back for it is. */
static void after_a_withdrawal_that_the_ledger_knows(void **state)
{
	struct grant_said second = GRANT;

	consent(4);
	grant(&GRANT);
	add(&(struct entry){12, 1, 22, "ACCESS_REVOKED", OTHER,
		    "'case':'" REF "','recipient':'mali','groups':['services'],"
		    "'reason':'WITHDRAWN','grant':'01900000-0000-7000-8000-000000000010'"},
		true);
	second.n = 13;
	second.index = 23;
	grant(&second);
	judge();
	assert_int_equal(told.good, 1);
	assert_int_equal(told.bad, 1);
	assert_non_null(strstr(told.last.why, "taken back since this consent was withdrawn"));
}

static void to_another_recipient(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.recipient = "niger";
	grant(&g);
	judged(AUDIT_BAD, "does not name the recipient");
}

/* Without the directory nobody knows of which country a node is. */
static void to_a_recipient_that_nobody_knows(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.recipient = "nobody";
	grant(&g);
	judged(AUDIT_OPEN, "does not name the node");
}

static void of_another_group(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.groups = "'services','health'";
	grant(&g);
	judged(AUDIT_BAD, "does not cover the data groups health");
}

static void to_another_purpose(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.purpose = "TRANSFER";
	grant(&g);
	judged(AUDIT_BAD, "consent C-1");
}

static void for_longer_than_its_consent(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.until = "2024-04-01";
	grant(&g);
	judged(AUDIT_BAD, "after its consent has ended");
}

static void of_another_case(void **state)
{
	consent_at(4, OTHER, CONSENT);
	grant(&GRANT);
	judged(AUDIT_BAD, "of another case");
}

static void under_the_commitment_of_other_keys(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.other_keys = true;
	grant(&g);
	judged(AUDIT_BAD, "its commitment");
}

static void under_the_leaf_of_another_entry(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.leaf = 77;
	grant(&g);
	judged(AUDIT_BAD, "not that of its consent");
}

static void on_nothing(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "";
	grant(&g);
	judged(AUDIT_BAD, "rests on");
}

static void of_a_consent_that_was_erased_since(void **state)
{
	grant(&GRANT);
	add(&(struct entry){12, 1, 25, "KEYS_ERASED", OTHER,
		    "'order_id':'" OTHER "','stage':'ORDERED','case':'" REF "'"},
		true);
	judged(AUDIT_OPEN, "erased since");
}

static void of_a_consent_of_another_case_that_was_erased(void **state)
{
	grant(&GRANT);
	add(&(struct entry){12, 1, 25, "KEYS_ERASED", OTHER,
		    "'order_id':'" OTHER "','stage':'ORDERED','case':'" OTHER "'"},
		true);
	judged(AUDIT_BAD, "no entry of the consent");
}

/* What a new epoch repeats counts where it stands first; where that log is missing, it is open. */
static void logs_of_several_epochs(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	grant(&g);
	g.epoch = 2;
	g.index = 2;
	grant(&g);
	add(&(struct entry){1, 2, 5, "CONSENT_RECORDED", REF, CONSENT}, false);
	judged(AUDIT_GOOD, "");
	assert_int_equal(told.last.at.epoch, 1);
}

static void a_log_that_is_missing(void **state)
{
	struct grant_said g = GRANT;

	add(&(struct entry){1, 2, 5, "CONSENT_RECORDED", REF, CONSENT}, false);
	g.epoch = 2;
	g.index = 7;
	grant(&g);
	judged(AUDIT_OPEN, "sealed again");
}

#define OPENING "0123456789abcdef0123456789abcdef"
#define GLASS(decision)                                                                            \
	"'who':'ZZ-hti-1','case':'" REF "','groups':['services'],'purpose':'lorem','to':'mali',"   \
	"'opening':'" OPENING "','decision':'" decision "'"

static struct grant_said emergency(void)
{
	struct grant_said g = GRANT;

	g.basis = "BREAK_GLASS";
	g.more = ",'mandate_ref':'" OPENING "'";
	g.consent = g.leaf = 0;
	return g;
}

static void opened(unsigned n, const char *fields)
{
	add(&(struct entry){n, 1, n, "BREAK_GLASS", OTHER, fields}, true);
}

static void an_emergency_approved_in_time(void **state)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	grant(&g);
	now_s = HOURS(71);
	opened(25, GLASS("APPROVED") ",'approvers':['ZZ-hti-2@hq']");
	now_s = DAYS(9);
	opened(26, GLASS("TOLD"));
	judged(AUDIT_GOOD, "");
}

static void emergency_ends(uint64_t later_s, const char *fields, const char *words)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	grant(&g);
	now_s = later_s;
	opened(25, fields);
	now_s = DAYS(9);
	opened(26, GLASS("TOLD"));
	judged(AUDIT_BAD, words);
}

static void an_emergency_approved_too_late(void **state)
{
	emergency_ends(
		HOURS(72) + 1, GLASS("APPROVED") ",'approvers':['ZZ-hti-2']", "within 72 hours");
}

static void an_emergency_approved_by_the_same(void **state)
{
	emergency_ends(
		HOURS(3), GLASS("APPROVED") ",'approvers':['ZZ-hti-1']", "nobody else approved");
}

static void an_emergency_approved_by_who_gets_it(void **state)
{
	emergency_ends(
		HOURS(3), GLASS("APPROVED") ",'approvers':['ZZ-1@mali']", "nobody else approved");
}

static void an_emergency_refused(void **state)
{
	emergency_ends(
		HOURS(3), GLASS("REFUSED") ",'approvers':['ZZ-hti-2']", "nobody else approved");
}

static void an_emergency_that_has_time(void **state)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	grant(&g);
	judged(AUDIT_OPEN, "nobody has approved it yet");
}

static void an_emergency_that_was_taken_back(void **state)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	grant(&g);
	now_s = HOURS(72) + 1;
	add(&(struct entry){25, 1, 25, "ACCESS_REVOKED", OTHER,
		    "'case':'" REF "','recipient':'mali','groups':['services'],"
		    "'reason':'WITHDRAWN','grant':'01900000-0000-7000-8000-000000000010'"},
		true);
	judged(AUDIT_GOOD, "taken back");
}

static void an_emergency_that_is_not_told(void **state)
{
	struct grant_said g = emergency();

	grant(&g);
	opened(25, GLASS("OPENED")); /* too late */
	judged(AUDIT_BAD, "did not say before");
}

static void an_emergency_of_other_groups(void **state)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	g.groups = "'services','identity'";
	grant(&g);
	judged(AUDIT_BAD, "did not say before");
}

static void an_emergency_for_somebody_else(void **state)
{
	struct grant_said g = emergency();

	opened(15, GLASS("OPENED"));
	g.recipient = "niger";
	grant(&g);
	judged(AUDIT_BAD, "did not say before");
}

static void the_ledger_to_an_auditor(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "LEDGER";
	g.groups = "'audit'";
	g.consent = g.leaf = 0;
	g.recipient = "watch";
	grant(&g);
	judged(AUDIT_GOOD, "");
}

static void the_ledger_to_somebody_else(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "LEDGER";
	g.groups = "'audit'";
	g.consent = g.leaf = 0;
	grant(&g);
	judged(AUDIT_BAD, "no auditor");
}

static void a_case_as_if_it_were_the_ledger(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "LEDGER";
	g.consent = g.leaf = 0;
	g.recipient = "watch";
	grant(&g);
	judged(AUDIT_BAD, "more than the ledger");
}

static void the_ledger_as_if_it_were_a_case(void **state)
{
	struct grant_said g = GRANT;

	consent(4);
	g.groups = "'services','audit'";
	grant(&g);
	judged(AUDIT_BAD, "gives the ledger");
}

static void a_reply_is_another_ledgers(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "REPLY";
	grant(&g);
	judged(AUDIT_OPEN, "whose ledger has that");
}

static void a_mandate_is_named(void **state)
{
	struct grant_said g = GRANT;

	g.basis = "MANDATE";
	g.consent = g.leaf = 0;
	g.more = ",'mandate_ref':'lorem'";
	grant(&g);
	g.n = 11;
	g.index = 21;
	g.more = "";
	grant(&g);
	judge();
	assert_int_equal(told.good, 1);
	assert_non_null(strstr(told.last.why, "names no mandate"));
}

/* --- erasures --- */

#define ORDER(c) "0000000000000000000000000000000" c
#define KIDS     "'key_ids':['01000000000000000000000000000000','02000000000000000000000000000000']"

static struct audit_erasure erasures[8];
static size_t erasure_count;

static void erased(void *arg, const struct audit_erasure *erasure)
{
	erasures[erasure_count++] = *erasure;
}

static void stage(
	unsigned n, unsigned index, const char *order, const char *stage_, const char *more)
{
	char fields[600];

	snprintf(fields, sizeof fields, "'order_id':'%s','stage':'%s','case':'%s'%s%s", order,
		stage_, REF, more[0] == '\0' ? "" : ",", more);
	add(&(struct entry){n, 1, index, "KEYS_ERASED", OTHER, fields}, true);
}

static void judge_erasures(void)
{
	erasure_count = 0;
	assert_ok(audit_judge(audit, &(struct audit_judge){member, found, erased, NULL}));
}

/* Of one order with more keys than an event has: several events of each stage. */
static void erasures_are_told_once_each(void **state)
{
	stage(30, 30, ORDER("b"), "ORDERED", KIDS);
	stage(31, 31, ORDER("b"), "ORDERED", "'key_ids':['03000000000000000000000000000000']");
	stage(32, 35, ORDER("a"), "OBEYED", KIDS ",'by':'benin'");
	now_s = DAYS(2);
	stage(33, 40, ORDER("b"), "COMPLETE", KIDS ",'nodes_confirmed':['mali','hq']");
	stage(34, 41, ORDER("b"), "COMPLETE", KIDS ",'nodes_confirmed':['mali','hq']");
	stage(35, 45, ORDER("c"), "ORDERED", KIDS);
	judge_erasures();
	assert_int_equal(erasure_count, 3);
	assert_string_equal(erasures[0].order, ORDER("b"));
	assert_int_equal(erasures[0].at.index, 30);
	assert_true(erasures[0].ordered && erasures[0].complete && !erasures[0].obeyed);
	assert_int_equal(erasures[0].keys, 3);
	assert_int_equal(erasures[0].confirmed, 2);
	assert_int_equal(erasures[0].ended_s - erasures[0].begun_s, DAYS(2));
	assert_string_equal(erasures[0].by, "");
	assert_string_equal(erasures[1].order, ORDER("a"));
	assert_true(erasures[1].obeyed && !erasures[1].ordered && !erasures[1].complete);
	assert_string_equal(erasures[1].by, "benin");
	assert_string_equal(erasures[2].order, ORDER("c"));
	assert_true(erasures[2].ordered && !erasures[2].complete);
	assert_int_equal(erasures[2].confirmed, 0);
}

static void without_an_erasure_none_is_told(void **state)
{
	consent(4);
	grant(&GRANT);
	judge_erasures();
	assert_int_equal(erasure_count, 0);
	assert_int_equal(told.good, 1);
}

/* --- disclosures --- */

static struct buf some_disclosure(void)
{
	struct disclosure_log logs[2] = {{"ovra.example/haiti/1-0123456789abcdef", 7},
		{"ovra.example/haiti/2-0123456789abcdef", 9}};
	struct disclosure head = {.network = "ovra.example",
		.node = "haiti",
		.made_s = 5,
		.logs = logs,
		.log_count = 2,
		.key_count = 2};
	struct disclosure_key key = {.group = GROUP_AUDIT, .locators = {{1}}};
	struct seal_reveal p = {{2}};
	struct buf out;

	buf_init(&out, 4096);
	disclosure_put_head(&out, &head);
	for (unsigned k = 0; k < 2; k++) {
		disclosure_put_key(&out, &key);
		for (unsigned l = 0; l < 2; l++) {
			disclosure_put_count(&out, k + l);
			for (unsigned i = 0; i < k + l; i++)
				disclosure_put_reveal(&out, &p);
		}
		key.group = GROUP_CONSENT;
	}
	assert_ok(out.err);
	return out;
}

static void a_disclosure_is_read_as_written(void **state)
{
	struct buf file = some_disclosure();
	struct disclosure *d;
	struct seal_reveal p;

	assert_ok(disclosure_parse(buf_bytes(&file), &d, NULL));
	assert_string_equal(d->node, "haiti");
	assert_int_equal(d->made_s, 5);
	assert_int_equal(d->log_count, 2);
	assert_int_equal(d->logs[1].size, 9);
	assert_int_equal(d->key_count, 2);
	assert_int_equal(d->keys[1].group, GROUP_CONSENT);
	assert_int_equal(disclosure_reveals(&d->keys[1], 1), 2);
	disclosure_reveal(&d->keys[1], 1, 1, &p);
	assert_int_equal(p.b[0], 2);
	disclosure_free(d);
	buf_release(&file);
}

static void a_disclosure_is_whole_or_none(void **state)
{
	struct buf file = some_disclosure();
	struct disclosure *d = NULL;

	for (size_t size = 0; size < file.size; size++)
		assert_int_not_equal(disclosure_parse(bytes_make(file.data, size), &d, NULL), OK);
	buf_put_u8(&file, 0);
	assert_int_equal(disclosure_parse(buf_bytes(&file), &d, NULL), ERR_MALFORMED);
	file.data[11] = 2;
	assert_int_equal(disclosure_parse(buf_bytes(&file), &d, NULL), ERR_VERSION);
	assert_null(d);
	buf_release(&file);
}

/* Heads with that many logs, keys and nothing under them. */
static enum err disclosure_of(size_t logs, size_t keys)
{
	static struct disclosure_log rows[LIMIT_DISCLOSURE_LOGS + 1];
	struct disclosure head = {.network = "ovra.example",
		.node = "haiti",
		.logs = rows,
		.log_count = logs,
		.key_count = keys};
	struct disclosure_key key = {.group = GROUP_CONSENT};
	struct disclosure *d = NULL;
	struct buf out;
	enum err err;

	buf_init(&out, 2 * LIMIT_DISCLOSURE);
	for (size_t i = 0; i < logs; i++) {
		snprintf(rows[i].origin, sizeof rows[i].origin,
			"ovra.example/haiti/%zu-0123456789abcdef", i + 1);
		rows[i].size = 1;
	}
	disclosure_put_head(&out, &head);
	for (size_t k = 0; k < keys; k++) {
		disclosure_put_key(&out, &key);
		for (size_t l = 0; l < logs; l++)
			disclosure_put_count(&out, 0);
	}
	err = out.err == OK ? disclosure_parse(buf_bytes(&out), &d, NULL) : out.err;
	disclosure_free(d);
	buf_release(&out);
	return err;
}

static void a_disclosure_holds_its_caps(void **state)
{
	struct disclosure *d = NULL;
	struct buf file;

	assert_ok(disclosure_of(LIMIT_DISCLOSURE_LOGS, 1));
	assert_int_equal(disclosure_of(LIMIT_DISCLOSURE_LOGS + 1, 1), ERR_LIMIT);
	assert_ok(disclosure_of(1, LIMIT_DISCLOSURE_KEYS));
	assert_int_equal(disclosure_of(1, LIMIT_DISCLOSURE_KEYS + 1), ERR_LIMIT);
	buf_init(&file, LIMIT_DISCLOSURE + 1);
	buf_put_zeros(&file, LIMIT_DISCLOSURE);
	assert_int_equal(disclosure_parse(buf_bytes(&file), &d, NULL), ERR_MALFORMED);
	buf_put_u8(&file, 0);
	assert_int_equal(disclosure_parse(buf_bytes(&file), &d, NULL), ERR_LIMIT);
	buf_release(&file);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_honest_ledger_passes),
		T(without_a_consent),
		T(of_which_nothing_was_opened),
		T(before_its_consent),
		T(after_its_end),
		T(after_its_withdrawal),
		T(after_a_withdrawal_that_the_ledger_knows),
		T(to_another_recipient),
		T(to_a_recipient_that_nobody_knows),
		T(of_another_group),
		T(to_another_purpose),
		T(for_longer_than_its_consent),
		T(of_another_case),
		T(under_the_commitment_of_other_keys),
		T(under_the_leaf_of_another_entry),
		T(on_nothing),
		T(of_a_consent_that_was_erased_since),
		T(of_a_consent_of_another_case_that_was_erased),
		T(logs_of_several_epochs),
		T(a_log_that_is_missing),
		T(an_emergency_approved_in_time),
		T(an_emergency_approved_too_late),
		T(an_emergency_approved_by_the_same),
		T(an_emergency_approved_by_who_gets_it),
		T(an_emergency_refused),
		T(an_emergency_of_other_groups),
		T(an_emergency_for_somebody_else),
		T(an_emergency_that_has_time),
		T(an_emergency_that_was_taken_back),
		T(an_emergency_that_is_not_told),
		T(the_ledger_to_an_auditor),
		T(the_ledger_to_somebody_else),
		T(a_case_as_if_it_were_the_ledger),
		T(the_ledger_as_if_it_were_a_case),
		T(a_reply_is_another_ledgers),
		T(a_mandate_is_named),
		T(erasures_are_told_once_each),
		T(without_an_erasure_none_is_told),
		T(a_disclosure_is_read_as_written),
		T(a_disclosure_is_whole_or_none),
		T(a_disclosure_holds_its_caps),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
