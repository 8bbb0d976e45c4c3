/*
 * The page of an audit whose every text is an attack: what foreign hands wrote stays text, no tag
 * or attribute comes of it; it has its caps; and it ends whole however much there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "cli/audit/audit.h"
#include "cli/audit/page.h"
#include "cli/audit/visit.h"

#define ATTACK                                                                                     \
	"\"'><script src=//x.example>alert(1)</script><img src=x "                                 \
	"onerror=y>&amp;\x1b[2J\xe2\x80\xae"
#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"

/* --- what the page asks the rest of the command --- */

static struct remembered *before;
static json_t *ledger;
static const char *verdict = "violated";

void audit_time_text(uint64_t time_s, char ret[21])
{
	snprintf(ret, 21, "%llu", (unsigned long long)time_s);
}

const struct remembered *audit_visit_before(const struct audit_run *run)
{
	return before;
}

const struct key_history *audit_visit_history(const struct audit_run *run)
{
	return NULL;
}

const json_t *audit_visit_ledger(const struct audit_run *run)
{
	return ledger;
}

const char *audit_report_verdict(const struct audit_run *run)
{
	return verdict;
}

struct audit_log *audit_run_log(const struct audit_run *run, const char *name)
{
	return strcmp(run->logs[0].name.text, name) == 0 ? &run->logs[0] : NULL;
}

const char *args_option(const struct cli_args *args, const char *name)
{
	return ATTACK;
}

/* --- a run --- */

struct world {
	struct audit_log log;
	struct audit_cosigner cosigner;
	struct audit_run run;
};

static struct world *world_new(void)
{
	struct world *w = mem_zalloc(sizeof(*w));

	assert_non_null(w);
	strcpy(w->log.name.text, ORIGIN);
	strcpy(w->log.origin.text, ORIGIN);
	w->log.trusted = w->log.walked = w->log.has_key = true;
	w->log.key.type = NOTE_ED25519;
	snprintf(w->log.key.name, sizeof(w->log.key.name), "%s", ORIGIN);
	w->log.checkpoint.size = 7;
	w->log.err = ERR_IO;
	snprintf(w->log.why.text, sizeof(w->log.why.text), "%s", ATTACK);
	snprintf(w->cosigner.name, sizeof(w->cosigner.name), "%s", ATTACK);
	w->log.cosigners = &w->cosigner;
	w->log.cosigner_count = 1;
	w->run = (struct audit_run){.source_text = ATTACK, .logs = &w->log, .log_count = 1};
	/* Any that is not NULL: only its being there is looked at. */
	w->run.policy = (struct tlog_policy *)w;
	assert_int_equal(findings_new(&w->run.findings), OK);
	return w;
}

static void world_free(struct world *w)
{
	findings_free(w->run.findings);
	mem_free(w);
	json_decref(ledger);
	ledger = NULL;
}

static void find(struct world *w, const char *text, const char *name, size_t size)
{
	uint8_t *bytes = mem_zalloc(size + 1);
	struct finding finding = {.kind = FINDING_FORK, .has_index = true, .index = 3};

	assert_non_null(bytes);
	snprintf(finding.origin, sizeof(finding.origin), "%s", ORIGIN);
	snprintf(finding.text, sizeof(finding.text), "%s", text);
	finding.proofs[0] = (struct finding_proof){name, bytes_make(bytes, size), false};
	finding.proof_count = size > 0;
	assert_int_equal(findings_add(w->run.findings, &finding), OK);
	mem_free(bytes);
}

static void render(const struct world *w, struct buf *out)
{
	buf_init(out, 2 * LIMIT_AUDIT_PAGE);
	assert_int_equal(audit_page_render(&w->run, out), OK);
	assert_non_null(strstr(buf_cstr(out), "</body>\n</html>\n"));
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Every text of it is an attack. */
static struct world *hostile_world(void)
{
	struct world *w = world_new();

	find(w, ATTACK, ATTACK, 10);
	find(w, ATTACK, "checkpoint", 10);
	ledger = json_pack("{s:s,s:i,s:[{s:s,s:s,s:s,s:s,s:s,s:s,s:i}],s:[{s:s,s:s,s:s,s:s}]}",
		"node", "\"'><script>", "good", 1, "grants", "grant", "<script>", "verdict",
		"<script>", "recipient", "<script>", "basis", "<script>", "log", "<script>", "why",
		"'\"><img src=/x>", "index", 4, "erasures", "order", "<script>", "stage",
		"<img src=/x>", "by", "<script>", "log", "<script>");
	assert_non_null(ledger);
	return w;
}

static void test_hostile(void **state)
{
	static const char *const never[] = {
		"<script", "<img", "\x1b", "\xe2\x80\xae", "<iframe", "href="};
	struct world *w = hostile_world();
	const char *text;
	struct buf page;

	render(w, &page);
	text = buf_cstr(&page);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (strstr(text, never[i]) != NULL)
			fail_msg("%s: %.80s", never[i], strstr(text, never[i]));
	/* Source, policy, trouble of the log, cosigner, two findings, name of a proof. */
	assert_int_equal(count(text, "&lt;script src=//x.example&gt;"), 7);
	/* Every tag that is opened is the page's own. */
	for (const char *at = text; (at = strchr(at, '<')) != NULL; at++)
		assert_true(strchr("!/htmsbdpcr", at[1]) != NULL);
	buf_release(&page);
	world_free(w);
}

static void test_says_how(void **state)
{
	struct world *w = world_new();
	const char *text;
	struct buf page;

	find(w, "lorem", "checkpoint", 10);
	find(w, "lorem", "evidence", 300);
	find(w, "lorem", "tile", 64);
	find(w, "lorem", "entry", 1);
	find(w, "ipsum dolor", "none", 0);
	render(w, &page);
	text = buf_cstr(&page);
	assert_non_null(strstr(text, "openssl pkeyutl -verify -pubin -inkey log.pem -rawin"));
	assert_non_null(strstr(text, "printf &#39;\\000\\000\\001\\054&#39;") != NULL
				? strstr(text, "printf")
				: strstr(text, "printf '\\000\\000\\001\\054'"));
	assert_non_null(strstr(text, "xxd -p -c 32"));
	assert_non_null(strstr(text, "sha256sum"));
	assert_non_null(strstr(text, "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAA"));
	assert_non_null(strstr(text, ", entry 3: "));
	assert_non_null(strstr(text, "5 violations were found"));
	assert_non_null(strstr(text, "<h1>Violated</h1>"));
	buf_release(&page);
	world_free(w);
}

static void test_verdicts(void **state)
{
	struct world *w = world_new();
	struct buf page;

	verdict = "sound";
	render(w, &page);
	assert_non_null(strstr(buf_cstr(&page), "<h1>Sound</h1>"));
	assert_non_null(strstr(buf_cstr(&page), "<p>None.</p>"));
	buf_release(&page);
	verdict = "unfinished";
	render(w, &page);
	assert_non_null(strstr(buf_cstr(&page), "<h1>Unfinished</h1>"));
	buf_release(&page);
	verdict = "violated";
	world_free(w);
}

/* Of one proof so much, of all of them so much; past it every finding stands there still. */
static void test_caps(void **state)
{
	struct world *w = world_new();
	struct buf page;

	find(w, "lorem", "entry", 16 * 1024);
	find(w, "ipsum", "entry", 16 * 1024 + 1);
	render(w, &page);
	assert_int_equal(count(buf_cstr(&page), "there is more of it"), 1);
	buf_release(&page);
	for (unsigned i = 0; i < LIMIT_FINDINGS + 5; i++)
		find(w, "dolor", "entry", 60000);
	render(w, &page);
	assert_true(page.size < LIMIT_AUDIT_PAGE + 1024 * 1024);
	assert_true(count(buf_cstr(&page), "Left out here") > 0);
	assert_int_equal(count(buf_cstr(&page), "<div class=\"finding"), LIMIT_FINDINGS);
	assert_non_null(strstr(buf_cstr(&page), "And 7 more"));
	buf_release(&page);
	world_free(w);
}

static int setup(void **state)
{
	return crypto_init() == OK ? 0 : -1;
}

static int teardown(void **state)
{
	crypto_release();
	return 0;
}

/* For another reader of HTML (tests/integration/test_audit_visit.py). */
static int print_page(void)
{
	struct world *w;
	struct buf page;

	assert_int_equal(crypto_init(), OK);
	w = hostile_world();
	render(w, &page);
	fwrite(page.data, 1, page.size, stdout);
	buf_release(&page);
	world_free(w);
	crypto_release();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_says_how),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_caps),
	};

	if (argc == 2 && strcmp(argv[1], "--print") == 0)
		return print_page();
	return cmocka_run_group_tests(tests, setup, teardown);
}
