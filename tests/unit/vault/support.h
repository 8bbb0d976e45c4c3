/*
 * What the tests of the vault share: a vault over a real store and its writer. The test plays the
 * loop: what the vault seals it has the writer append, and tells the vault how that ended.
 */
#ifndef TESTS_UNIT_VAULT_SUPPORT_H
#define TESTS_UNIT_VAULT_SUPPORT_H

#include "tests/unit/store/support.h"

#include <jansson.h>

#include "server/vault/vault.h"

/* Two cases, and what happens in the first; the day of every request is 2026-09-21. */
#define PASSPHRASE "seven herons over the lagoon"
#define REF_1      "00112233445566778899aabbccddee01"
#define REF_2      "00112233445566778899aabbccddee02"
#define ID_1       "01890a5d-ac96-774b-bcce-b302099a8001"
#define ID_2       "01890a5d-ac96-774b-bcce-b302099a8002"
#define ID_3       "01890a5d-ac96-774b-bcce-b302099a8003"
#define OPEN_1                                                                                     \
	"{\"type\":\"CASE_OPENED\",\"event_id\":\"" ID_1 "\",\"case_ref\":\"" REF_1                \
	"\",\"case_code\":\"ZZ-ONE\",\"occurred_on\":\"2026-02-03\"}\n"
#define AGREED_1                                                                                   \
	"{\"type\":\"CONSENT_RECORDED\",\"event_id\":\"" ID_2 "\",\"case_ref\":\"" REF_1           \
	"\",\"occurred_on\":\"2026-02-04\",\"purpose\":\"CASE_MGMT\",\"given_by\":\"VICTIM\","     \
	"\"form\":\"WRITTEN\",\"witness_ref\":\"Marisolwenda\",\"valid_until\":\"2027-02-03\","    \
	"\"note\":\"quillfeather\"}\n"
#define CALL "\"channel\":\"PHONE\",\"direction\":\"OUT\",\"result\":\"REACHED\""
#define CONTACT_1                                                                                  \
	"{\"type\":\"CONTACT\",\"case_ref\":\"" REF_1 "\",\"occurred_on\":\"2026-02-05\"," CALL    \
	"}\n"
#define OPEN_2                                                                                     \
	"{\"type\":\"CASE_OPENED\",\"event_id\":\"" ID_3 "\",\"case_ref\":\"" REF_2                \
	"\",\"case_code\":\"ZZ-TWO\",\"occurred_on\":\"2026-03\"}\n"
#define IN_1(type, day, fields)                                                                    \
	"{\"type\":\"" type "\",\"case_ref\":\"" REF_1 "\",\"occurred_on\":\"" day "\"," fields    \
	"}\n"
#define CONSENT_2 "01890a5d-ac96-774b-bcce-b302099a9002"
#define TO_CLINIC                                                                                  \
	IN_1("CONSENT_RECORDED", "2026-02-04",                                                     \
		"\"event_id\":\"" CONSENT_2 "\",\"purpose\":\"REFERRAL\",\"recipients\":["         \
		"\"ZZ-CLINIC\"],\"groups\":[\"health\",\"services\"],\"given_by\":\"VICTIM\","     \
		"\"form\":\"WRITTEN\",\"valid_until\":\"2026-10-01\"")
#define REFERRAL_1                                                                                 \
	IN_1("REFERRAL_MADE", "2026-02-10",                                                        \
		"\"service_code\":\"MED\",\"to_org\":\"ZZ-CLINIC\",\"shared_groups\":["            \
		"\"health\"],\"reply_due_on\":\"2026-09-11\"")
#define THREAT_1                                                                                   \
	IN_1("PROTECTION_CONCERN", "2026-09-19",                                                   \
		"\"concern_id\":\"P-9\",\"kind\":\"THREAT\",\"level\":\"IMMINENT\"")
#define CORRECTION_1                                                                               \
	"{\"type\":\"CORRECTION\",\"case_ref\":\"" REF_1 "\",\"corrects\":\"" ID_2                 \
	"\",\"field\":\"note\",\"new_value\":\"x\",\"reason\":\"ERROR\"}\n"

struct fixture {
	struct bench *bench;
	struct tlog log;
	struct vault *vault;
	int woken;
	struct vault_request *done; /* collected, not asked for yet */
	char keystore[300], keyring[300], drafts[300];
};
/* cmocka fixtures: *state is a struct fixture with a vault that is locked, of an empty log. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* Another vault process, so to say: the end of the one there is, and the next. */
void vault_end(struct fixture *f);
void vault_begin(struct fixture *f, const char *country);
/* New keys for the log `origin`, but for the keyring's, which is the same every time. */
void keystore_write(struct fixture *f, const char *origin);

/* --- requests; whoever has one frees it --- */

/* Of officer one, a supervisor, and each a millisecond after the one before. */
struct vault_request *request_new(enum vault_type type);
struct vault_request *unlock_request(const char *passphrase);
struct vault_request *seal_request(const char *lines, bool dry_run);
/* Without waiting for its end. */
struct vault_request *submit(struct fixture *f, struct vault_request *request);
/* Until this one is done; others that are done before it wait for find_done or wait_for. */
void wait_for(struct fixture *f, struct vault_request *request);
/* What is done by now, without waiting, and whether the request is among it: NULL if not. */
void collect(struct fixture *f);
struct vault_request *find_done(struct fixture *f, struct vault_request *request);
struct vault_request *ask(struct fixture *f, struct vault_request *request);
/* Asks, frees; the result. */
enum err ask_simple(struct fixture *f, struct vault_request *request);

void unlock(struct fixture *f);
void lock(struct fixture *f);
struct vault_request *show(struct fixture *f, const char *name);

/* --- lines -> entries -> log --- */

/* Sealed, and not appended yet. */
struct vault_request *seal(struct fixture *f, const char *lines);
/* Entries -> log; where they went. */
uint64_t append(struct fixture *f, const struct bytes *entries, size_t count);
/* VAULT_COMMITTED or VAULT_ABORTED. */
void end_batch(struct fixture *f, enum vault_type type, uint64_t batch, uint64_t index);
/* All the way; frees the request. */
void append_commit(struct fixture *f, struct vault_request *sealed);
void record(struct fixture *f, const char *lines);
/* What is wrong with the lines, and where. */
void check_refused(
	struct fixture *f, const char *lines, enum err err, uint32_t line, const char *says);
/* Every sealed entry of the log has a locator of its own. */
void check_locators_unique(struct fixture *f);

/* --- documents --- */

json_t *doc_json(const struct vault_doc *doc);
/* All of a request that must have succeeded, in an array; frees the request. */
json_t *answer_json(struct vault_request *request);
/* The list and the case ZZ-ONE, as text to be freed. */
char *book_text(struct fixture *f);
void check_text(json_t *doc, const char *name, const char *expected);

/* --- a log that is never signed again --- */

/* Vault and writer under a guard, as after a start. */
struct guard *guarded(struct fixture *f, enum guard_verdict expected);
void unguarded(struct fixture *f, struct guard *guard);
/* Unlocks with a new log; its keys are in the request. */
struct vault_request *renew(struct fixture *f);
/* What nobody holds of the old log, sealed for the new one. */
struct vault_request *reseal(struct fixture *f);

#endif
