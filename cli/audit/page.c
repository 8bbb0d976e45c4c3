#include "cli/audit/page.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "cases/view/html.h"
#include "cli/audit/audit.h"
#include "cli/audit/visit.h"
#include "cli/output.h"
#include "node/files.h"

enum {
	PROOF_MAX = 16 * 1024, /* bytes of one that are shown */
	LINE = 76,             /* of base64 */
};

static const char style[] =
	"body{font:11pt/1.45 Georgia,serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111;"
	"background:#fff}"
	"h1{font-size:1.7em;margin:0}h2{font-size:1.2em;margin:1.8em 0 .4em;border-bottom:1px "
	"solid "
	"#999}h3{font-size:1em;margin:1em 0 .2em}"
	"table{border-collapse:collapse;width:100%;font-size:.85em}"
	"th,td{border:1px solid #bbb;padding:.25em .5em;text-align:left;vertical-align:top;"
	"overflow-wrap:anywhere}th{background:#eee}"
	"code,pre{font:9pt/1.3 "
	"monospace;overflow-wrap:anywhere}pre{white-space:pre-wrap;border:1px "
	"solid #ccc;padding:.5em;margin:.3em 0}"
	".verdict{border:3px solid #111;padding:.6em 1em;margin:1em 0}"
	".finding{border-left:6px solid #777;padding:0 0 0 1em;margin:1em 0}"
	".violation{border-left-color:#a00}.warning{border-left-color:#c80}"
	".how{font-size:.85em;color:#333}"
	"@media print{body{margin:0;max-width:none;font-size:9.5pt}h2,h3,th{break-after:avoid}"
	"tr,.verdict{break-inside:avoid}@page{margin:15mm}}";

static void put_text(struct buf *out, const char *text)
{
	html_put_text(out, bytes_str(text));
}

static void put_time(struct buf *out, uint64_t time_s)
{
	char at[21];

	audit_time_text(time_s, at);
	put_text(out, at);
}

static void put_row(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "<tr><th>%s</th><td>", name);
	put_text(out, text);
	buf_put_str(out, "</td></tr>\n");
}

/* --- head --- */

static void put_head(struct buf *out)
{
	CLEANUP(buf_release) struct buf hash_text;
	struct hash hash;

	/* The one style that is allowed is this one. */
	buf_init(&hash_text, 64);
	sha256(bytes_str(style), &hash);
	base64_encode(&hash_text, hash_bytes(&hash));
	buf_printf(out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>Audit of logs</title>\n<style>%s</style>\n</head>\n<body>\n",
		buf_cstr(&hash_text), style);
}

static void put_verdict(const struct audit_run *run, struct buf *out)
{
	uint64_t violations = findings_of(run->findings, FINDING_VIOLATION);
	uint64_t warnings = findings_of(run->findings, FINDING_WARNING);
	const char *verdict = audit_report_verdict(run);

	buf_put_str(out, "<div class=\"verdict\">\n<h1>");
	put_text(out, strcmp(verdict, "sound") == 0      ? "Sound"
		      : strcmp(verdict, "violated") == 0 ? "Violated"
							 : "Unfinished");
	buf_put_str(out, "</h1>\n<p>");
	if (violations > 0)
		buf_printf(out, "%" PRIu64 " %s found. Each is below, with what proves it.",
			violations, violations == 1 ? "violation was" : "violations were");
	else if (strcmp(verdict, "sound") == 0)
		buf_put_str(out, "Every entry that was hashed is the one that was signed; nothing "
				 "that was looked for is wrong.");
	else
		buf_put_str(out, "Nothing wrong was found, but not everything could be looked at.");
	if (warnings > 0)
		buf_printf(out, " There %s %" PRIu64 " %s.", warnings == 1 ? "is" : "are", warnings,
			warnings == 1 ? "warning" : "warnings");
	buf_put_str(out, "</p>\n</div>\n");
}

static void put_trust(const struct audit_run *run, struct buf *out)
{
	struct buf vkey;

	if (run->directory_key.name[0] != '\0') {
		buf_init(&vkey, 1024);
		note_key_format(&vkey, &run->directory_key);
		put_row(out, "Trust: the directory's key", buf_cstr(&vkey));
		buf_release(&vkey);
	}
	if (run->policy != NULL)
		put_row(out, "Trust: the policy", args_option(run->args, "policy"));
}

static void put_summary(const struct audit_run *run, struct buf *out)
{
	const struct remembered *before = audit_visit_before(run);
	const char *state = args_option(run->args, "state");
	char at[21];

	buf_put_str(out, "<table>\n");
	put_row(out, "Source", run->source_text);
	audit_time_text(run->now_s, at);
	put_row(out, "Judged as of", at);
	put_trust(run, out);
	if (before != NULL) {
		audit_time_text(remembered_visited_at(before), at);
		put_row(out, "Last visit", at);
	} else {
		put_row(out, "Last visit",
			state == NULL ? "not compared: no state was given"
				      : "none: this is the first");
	}
	buf_put_str(out, "</table>\n");
}

/* --- logs --- */

static const char *log_state(const struct audit_log *log)
{
	if (log->err != OK)
		return "could not be looked at";
	if (!log->trusted)
		return "its checkpoint is not trusted";
	if (!log->walked)
		return "not hashed";
	return log->result.sound ? "what was signed" : "NOT what was signed";
}

static void put_log(const struct audit_run *run, const struct audit_log *log, struct buf *out)
{
	const struct remembered *before = audit_visit_before(run);
	const struct remembered_log *then =
		before == NULL ? NULL : remembered_find(before, log->name.text);

	buf_put_str(out, "<tr><td><code>");
	put_text(out, log->name.text);
	buf_put_str(out, "</code></td><td>");
	if (log->trusted) {
		buf_printf(out, "%" PRIu64, log->checkpoint.size);
	}
	if (then != NULL)
		buf_printf(out, "<br>last visit: %" PRIu64, then->checkpoint.size);
	buf_put_str(out, "</td><td><code>");
	if (log->trusted) /* as the checkpoint has it, and the report */
		base64_encode(out, hash_bytes(&log->checkpoint.root));
	buf_printf(out, "</code></td><td>%s", log_state(log));
	if (log->walked && log->result.has_bad)
		buf_printf(out, "; the first bad index is %" PRIu64, log->result.bad);
	if (log->err != OK) {
		buf_put_str(out, ": ");
		put_text(out, err_message(&log->why, log->err));
	}
	if (log->walked)
		buf_printf(
			out, "; %" PRIu64 " entries hashed", log->result.size - log->result.from);
	buf_put_str(out, "</td><td>");
	for (size_t i = 0; i < log->cosigner_count; i++) {
		put_text(out, log->cosigners[i].name);
		buf_put_str(out, " at ");
		put_time(out, log->cosigners[i].time_s);
		buf_put_str(out, "<br>");
	}
	if (log->cosigner_count == 0)
		buf_put_str(out, "nobody who is known");
	buf_put_str(out, "</td></tr>\n");
}

/* As openssl reads it: SubjectPublicKeyInfo of RFC 8410. */
static void put_pem(const struct note_key *key, struct buf *out)
{
	static const uint8_t head[] = {
		0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
	CLEANUP(buf_release) struct buf der;

	buf_init(&der, 64);
	buf_put(&der, BYTES_ARRAY(head));
	buf_put(&der, BYTES_ARRAY(key->key.b));
	buf_put_str(out, "-----BEGIN PUBLIC KEY-----\n");
	base64_encode(out, buf_bytes(&der));
	buf_put_str(out, "\n-----END PUBLIC KEY-----\n");
}

static void put_log_keys(const struct audit_run *run, struct buf *out)
{
	buf_put_str(out, "<h2>Keys of the logs</h2>\n");
	for (size_t i = 0; i < run->log_count; i++) {
		const struct audit_log *log = &run->logs[i];

		if (!log->has_key)
			continue;
		buf_put_str(out, "<h3><code>");
		put_text(out, log->name.text);
		buf_put_str(out, "</code></h3>\n<pre>");
		put_pem(&log->key, out);
		buf_put_str(out, "</pre>\n");
	}
}

static void put_logs(const struct audit_run *run, struct buf *out)
{
	buf_put_str(out, "<h2>Logs</h2>\n<table>\n<tr><th>Log</th><th>Entries</th><th>Root</th>"
			 "<th>Files</th><th>Cosigned by</th></tr>\n");
	for (size_t i = 0; i < run->log_count; i++)
		put_log(run, &run->logs[i], out);
	buf_put_str(out, "</table>\n");
}

/* --- keys of nodes: who mirrors, who was cut off --- */

static void put_history_key(const struct key_history_key *key, struct buf *out)
{
	buf_put_str(out, "<tr><td>");
	put_text(out, key->node);
	buf_printf(out, "</td><td>%s</td><td>record %" PRIu64 ", ", key_history_use_name(key->use),
		key->came_index);
	put_time(out, key->came_at);
	buf_printf(out, "</td><td>%s", key_history_end_name(key->end));
	if (key->end != HISTORY_LIVE) {
		buf_printf(out, " by record %" PRIu64 ", ", key->ended_index);
		put_time(out, key->ended_at);
	}
	buf_put_str(out, "</td><td><code>");
	base64_encode(out, BYTES_ARRAY(key->key.b));
	buf_put_str(out, "</code></td></tr>\n");
}

static void put_history(const struct audit_run *run, struct buf *out)
{
	const struct key_history *history = audit_visit_history(run);

	if (history == NULL)
		return;
	buf_put_str(out, "<h2>Members, mirrors and their keys, as the directory has them</h2>\n"
			 "<table>\n<tr><th>Node</th><th>Use</th><th>Since</th><th>State</th>"
			 "<th>Ed25519 key</th></tr>\n");
	for (size_t i = 0; i < key_history_count(history); i++)
		put_history_key(key_history_at(history, i), out);
	buf_put_str(out, "</table>\n");
}

/* --- findings --- */

static void put_base64(struct buf *out, struct bytes data)
{
	CLEANUP(buf_release) struct buf text;

	buf_init(&text, 2 * PROOF_MAX);
	base64_encode(&text, data);
	for (size_t at = 0; at < text.size; at += LINE) {
		size_t size = text.size - at < LINE ? text.size - at : LINE;

		buf_put(out, bytes_make(text.data + at, size));
		buf_put_u8(out, '\n');
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), n = strlen(end);

	return size >= n && strcmp(text + size - n, end) == 0;
}

/* As 'sauti log evidence --verify' reads it: with its length before it. */
static void put_how_evidence(
	const struct audit_run *run, const struct finding *f, size_t size, struct buf *out)
{
	const struct audit_log *log = audit_run_log(run, f->origin);
	struct buf vkey;

	buf_printf(out,
		"<code>(printf '\\%03o\\%03o\\%03o\\%03o'; base64 -d p.b64) &gt; fork; sauti log "
		"evidence --verify fork",
		(unsigned)(size >> 24 & 0xff), (unsigned)(size >> 16 & 0xff),
		(unsigned)(size >> 8 & 0xff), (unsigned)(size & 0xff));
	buf_init(&vkey, 1024);
	if (log != NULL && log->has_key) {
		note_key_format(&vkey, &log->key);
		buf_put_str(out, " --vkey '");
		put_text(out, buf_cstr(&vkey));
		buf_put_str(out, "'");
	}
	buf_release(&vkey);
	buf_put_str(out,
		"</code>; or <code>base64 -d p.b64 | protoc --decode_raw</code>: two notes "
		"signed by one key, which contradict each other.");
}

/* One line for programs that everybody has; the bytes are in the file named. */
static void put_how(const struct audit_run *run, const struct finding *f,
	const struct finding_proof *proof, struct buf *out)
{
	buf_put_str(out, "<p class=\"how\">To check it, put the base64 into <code>p.b64</code>: ");
	if (ends_with(proof->name, "checkpoint")) {
		buf_put_str(out,
			"<code>base64 -d p.b64 &gt; note; sed '/^$/Q' note &gt; text; grep -F "
			"' ");
		put_text(out, f->origin);
		buf_put_str(out,
			" ' note | tail -n 1 | cut -d' ' -f3 | base64 -d | tail -c 64 &gt; sig; "
			"openssl pkeyutl -verify -pubin -inkey log.pem -rawin -in text -sigfile "
			"sig</code>, with the log's key from below as <code>log.pem</code>.");
	} else if (strcmp(proof->name, "evidence") == 0) {
		put_how_evidence(run, f, proof->data.size, out);
	} else if (strcmp(proof->name, "tile") == 0) {
		buf_put_str(out, "<code>base64 -d p.b64 | xxd -p -c 32</code> prints its hashes, "
				 "one a line.");
	} else {
		buf_put_str(out, "<code>(printf '\\0'; base64 -d p.b64) | sha256sum</code> is its "
				 "leaf hash in the log's tree.");
	}
	buf_put_str(out, "</p>\n");
}

static void put_proof(const struct audit_run *run, const struct finding *f,
	const struct finding_proof *proof, struct buf *out)
{
	bool cut = proof->cut || proof->data.size > PROOF_MAX;
	struct bytes shown = proof->data;
	char hex[2 * HASH_SIZE + 1];
	struct hash hash;

	if (shown.size > PROOF_MAX)
		shown.size = PROOF_MAX;
	sha256(proof->data, &hash);
	hex_encode(hash_bytes(&hash), hex);
	buf_put_str(out, "<h3>");
	put_text(out, proof->name);
	buf_printf(out, "</h3>\n<p class=\"how\">%zu bytes, SHA-256 <code>%s</code></p>\n",
		proof->data.size, hex);
	if (out->size + 2 * PROOF_MAX > LIMIT_AUDIT_PAGE - PROOF_MAX) {
		buf_put_str(out, "<p class=\"how\">Left out here: the page has become too large. "
				 "It is in the report of <code>--json</code>.</p>\n");
		return;
	}
	buf_put_str(out, "<pre>");
	put_base64(out, shown);
	buf_put_str(out, "</pre>\n");
	if (cut)
		buf_printf(out,
			"<p class=\"how\">These are the first %zu bytes: there is more of "
			"it.</p>\n",
			shown.size);
	else
		put_how(run, f, proof, out);
}

static void put_finding(const struct audit_run *run, const struct finding *f, struct buf *out)
{
	enum finding_severity severity = finding_kind_severity(f->kind);
	const char *word = severity == FINDING_VIOLATION ? "violation"
			   : severity == FINDING_WARNING ? "warning"
							 : "note";
	char name[FINDING_NAME_SIZE];

	finding_kind_name(f->kind, name);
	buf_printf(out, "<div class=\"finding %s\">\n<h3>%s: %s</h3>\n<p>", word, word, name);
	if (f->origin[0] != '\0') {
		buf_put_str(out, "<code>");
		put_text(out, f->origin);
		buf_put_str(out, "</code>");
		if (f->has_index)
			buf_printf(out, ", entry %" PRIu64, f->index);
		buf_put_str(out, ": ");
	}
	put_text(out, f->text);
	buf_put_str(out, "</p>\n");
	for (size_t i = 0; i < f->proof_count; i++)
		put_proof(run, f, &f->proofs[i], out);
	buf_put_str(out, "</div>\n");
}

static void put_findings(const struct audit_run *run, struct buf *out)
{
	uint64_t all = 0, kept = findings_count(run->findings);

	for (unsigned s = FINDING_NOTE; s <= FINDING_VIOLATION; s++)
		all += findings_of(run->findings, (enum finding_severity)s);
	buf_put_str(out, "<h2>Findings</h2>\n");
	if (all == 0)
		buf_put_str(out, "<p>None.</p>\n");
	for (unsigned s = FINDING_VIOLATION + 1; s-- > FINDING_NOTE;)
		for (size_t i = 0; i < kept; i++) {
			const struct finding *f = findings_at(run->findings, i);

			if (finding_kind_severity(f->kind) == s)
				put_finding(run, f, out);
		}
	if (all > kept)
		buf_printf(out, "<p>And %" PRIu64 " more, of which no proof was kept.</p>\n",
			all - kept);
}

/* --- the ledger --- */

static void put_cells(const json_t *item, const char *const *names, struct buf *out)
{
	buf_put_str(out, "<tr>");
	for (; *names != NULL; names++) {
		struct output_buffer b;

		buf_put_str(out, "<td>");
		put_text(out, strcmp(*names, "begun") == 0 ? output_time(item, *names, &b)
							   : output_member(item, *names, &b));
		buf_put_str(out, "</td>");
	}
	buf_put_str(out, "</tr>\n");
}

static void put_ledger(const struct audit_run *run, struct buf *out)
{
	static const char *const grant[] = {
		"verdict", "grant", "recipient", "basis", "log", "index", "why", NULL};
	static const char *const erasure[] = {
		"stage", "order", "by", "keys", "receipts", "begun", "log", "index", NULL};
	const json_t *ledger = audit_visit_ledger(run), *item;
	struct output_buffer b;
	size_t i;

	if (ledger == NULL)
		return;
	buf_put_str(out, "<h2>The ledger of ");
	put_text(out, output_member(ledger, "node", &b));
	buf_printf(out,
		"</h2>\n<p>Disclosed %s. Grants: %" PRIu64 " good, %" PRIu64 " that cannot be "
		"judged from here, %" PRIu64
		" bad.</p>\n<table>\n<tr><th>Verdict</th><th>Grant</th>"
		"<th>To</th><th>Rests on</th><th>Log</th><th>Entry</th><th>Why</th></tr>\n",
		output_time(ledger, "disclosed_at", &b), output_number(ledger, "good"),
		output_number(ledger, "open"), output_number(ledger, "bad"));
	json_array_foreach(json_object_get(ledger, "grants"), i, item) put_cells(item, grant, out);
	buf_put_str(out, "</table>\n<h3>Erasures</h3>\n<table>\n<tr><th>Stage</th><th>Order</th>"
			 "<th>By</th><th>Keys</th><th>Receipts</th><th>Since</th><th>Log</th>"
			 "<th>Entry</th></tr>\n");
	json_array_foreach(json_object_get(ledger, "erasures"), i, item)
		put_cells(item, erasure, out);
	buf_put_str(out, "</table>\n");
}

/* --- for who has not seen such a thing before --- */

static void put_words(struct buf *out)
{
	static const char *const words[][2] = {
		{"log", "what one office has recorded, entry by entry. It can only grow: whoever "
			"takes out, changes or inserts one entry changes the root."},
		{"entry",
			"one record, sealed: nothing of what it says is on this page. Entries are "
			"numbered from 0."},
		{"root", "a fingerprint of all entries of a log. Two pages with the same number of "
			 "entries and the same root are of the same records."},
		{"checkpoint", "number of entries and root, signed with the log's own key. The "
			       "office cannot say later that they were others."},
		{"cosigned", "somebody else has signed the same: a mirror holds all of these "
			     "entries, a witness has seen that the log only ever grew. The time "
			     "is what its clock said."},
		{"what was signed", "every entry that was hashed here gave the signed root."},
		{"violation",
			"something contradicts what was signed, or is missing. What proves it "
			"stands with it, and anybody can check it: no word of ours is needed."},
		{"warning", "nothing is proven to be wrong, and somebody has to explain it."},
		{"note", "what was not looked at, or only in part."},
	};

	buf_put_str(out, "<h2>What the words mean</h2>\n<table>\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		put_row(out, words[i][0], words[i][1]);
	buf_put_str(out, "</table>\n");
}

/* --- all of it --- */

enum err audit_page_render(const struct audit_run *run, struct buf *out)
{
	put_head(out);
	put_verdict(run, out);
	put_summary(run, out);
	put_logs(run, out);
	put_findings(run, out);
	put_ledger(run, out);
	put_history(run, out);
	put_log_keys(run, out);
	put_words(out);
	buf_put_str(out,
		"<p class=\"how\">What this page cannot say: whether the source held back newer "
		"entries that nobody else has seen, and what stands in entries that are "
		"sealed.</p>\n"
		"</body>\n</html>\n");
	return out->err;
}

enum err audit_page_write(const struct audit_run *run, const char *path, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf page;
	enum err err;

	buf_init(&page, 2 * LIMIT_AUDIT_PAGE);
	err = audit_page_render(run, &page);
	if (err != OK)
		return err_set(ctx, err, "page '%s' would be too large", path);
	return files_write(path, buf_bytes(&page), 0600, ctx);
}
