/* sauti status */
#include <stdio.h>

#include "cli/daemon.h"
#include "cli/officer.h"

static void print_duration(uint64_t seconds)
{
	if (seconds >= 86400)
		printf("%llu d %llu h", (unsigned long long)seconds / 86400,
			(unsigned long long)seconds / 3600 % 24);
	else if (seconds >= 3600)
		printf("%llu h %llu min", (unsigned long long)seconds / 3600,
			(unsigned long long)seconds / 60 % 60);
	else
		printf("%llu min %llu s", (unsigned long long)seconds / 60,
			(unsigned long long)seconds % 60);
}

static void print_line(const char *label, const json_t *object, const char *name)
{
	struct output_buffer buffer;

	printf("%-12s", label);
	output_text(stdout, output_member(object, name, &buffer), false);
	putchar('\n');
}

/* "hq, haiti": a list of names, or of objects with the name under "mirror". */
static const char *join_names(const json_t *list, struct output_buffer *buffer)
{
	size_t at = 0, i;
	json_t *item;

	buffer->text[0] = '\0';
	json_array_foreach(list, i, item)
	{
		const char *name = json_is_string(item)
					   ? json_string_value(item)
					   : json_string_value(json_object_get(item, "mirror"));
		int n = name == NULL ? 0
				     : snprintf(buffer->text + at, sizeof(buffer->text) - at,
					       "%s%s", at == 0 ? "" : ", ", name);

		if (n < 0 || (size_t)n >= sizeof(buffer->text) - at)
			break;
		at += (size_t)n;
	}
	return at == 0 ? "-" : buffer->text;
}

static const char *size_text(uint64_t bytes, char *ret, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
	unsigned unit = 0;
	double value = (double)bytes;

	for (; value >= 10000 && unit < 3; unit++)
		value /= 1024;
	snprintf(ret, size, "%.0f %s", value, units[unit]);
	return ret;
}

/* "12, 7 KiB, 3.5 h": entries, about so many bytes, for so long; "0" and "-" (not known). */
static const char *lag_text(const json_t *object, const char *entries, const char *bytes,
	const char *hours, struct output_buffer *buffer)
{
	const json_t *size = json_object_get(object, bytes);
	char text[32] = "?";

	if (!json_is_integer(json_object_get(object, entries)))
		return "-";
	if (output_number(object, entries) == 0)
		return "0";
	if (json_is_integer(size))
		size_text(output_number(object, bytes), text, sizeof(text));
	snprintf(buffer->text, sizeof(buffer->text), "%llu, %s, %.1f h",
		(unsigned long long)output_number(object, entries), text,
		json_number_value(json_object_get(object, hours)));
	return buffer->text;
}

static enum err print_logs(const json_t *logs)
{
	static const char *const heads[] = {
		"LOG", "SIZE", "CHECKPOINT", "BEHIND", "IN QUORUM", "HELD BY"};
	struct output_table table;
	size_t i;
	json_t *log;
	enum err err;

	output_table_init(&table, heads, 6);
	json_array_foreach(logs, i, log)
	{
		struct output_buffer b[5], origin;
		char name[300];
		const char *cells[] = {name, output_member(log, "size", &b[0]),
			output_member(log, "checkpoint_size", &b[1]),
			lag_text(log, "behind", "behind_bytes", "behind_hours", &b[2]),
			output_member(json_object_get(log, "quorum"), "size", &b[3]),
			join_names(json_object_get(log, "held_by"), &b[4])};

		snprintf(name, sizeof(name), "%s%s", output_member(log, "origin", &origin),
			output_true(log, "own") ? " *" : "");
		output_table_add(&table, cells);
	}
	putchar('\n');
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static enum err print_peers(const json_t *peers)
{
	static const char *const heads[] = {"PEER", "CONNECTED", "LACKS", "ADDRESS", "LAST ERROR"};
	struct output_table table;
	size_t i;
	json_t *peer;
	enum err err;

	output_table_init(&table, heads, 5);
	json_array_foreach(peers, i, peer)
	{
		struct output_buffer b[6];
		bool urgent = strcmp(output_member(peer, "hours", &b[5]), "urgent") == 0;
		const json_t *lacks = json_object_get(peer, "lacks");
		const char *cells[] = {output_member(peer, "name", &b[0]),
			urgent && output_true(peer, "connected")
				? "urgent only"
				: output_member(peer, "connected", &b[1]),
			lag_text(lacks, "entries", "bytes", "hours", &b[4]),
			output_member(peer, "address", &b[2]),
			output_member(peer, "last_error", &b[3])};

		output_table_add(&table, cells);
	}
	putchar('\n');
	output_table_print(&table, stdout);
	err = table.err;
	output_table_release(&table);
	return err;
}

static const char *bytes_member(
	const json_t *object, const char *name, struct output_buffer *buffer)
{
	if (!json_is_integer(json_object_get(object, name)))
		return "-";
	return size_text(output_number(object, name), buffer->text, sizeof(buffer->text));
}

/* What the links cost, and what they carry. */
static enum err print_traffic(const json_t *peers)
{
	static const char *const heads[] = {"TRAFFIC", "IN", "OUT", "PER RECONNECT", "PER EVENT",
		"PER IDLE DAY", "BYTES/S", "RTT", "TCP"};
	struct output_table table;
	bool any = false;
	size_t i;
	json_t *peer;
	enum err err;

	output_table_init(&table, heads, 9);
	json_array_foreach(peers, i, peer)
	{
		const json_t *traffic = json_object_get(peer, "traffic");
		const json_t *session = json_object_get(peer, "session");
		struct output_buffer b[9];
		const char *cells[] = {output_member(peer, "name", &b[0]),
			bytes_member(traffic, "in", &b[1]), bytes_member(traffic, "out", &b[2]),
			bytes_member(traffic, "bytes_per_reconnect", &b[3]),
			bytes_member(traffic, "bytes_per_live_event", &b[4]),
			bytes_member(traffic, "bytes_per_idle_day", &b[5]),
			bytes_member(session, "rate", &b[6]), "-", "-"};

		if (json_is_object(session)) {
			snprintf(b[7].text, sizeof(b[7].text), "%llu ms",
				(unsigned long long)output_number(session, "rtt_ms"));
			cells[7] = b[7].text;
			cells[8] = output_member(session, "congestion", &b[8]);
		}
		if (json_is_object(traffic)) {
			output_table_add(&table, cells);
			any = true;
		}
	}
	if (any) {
		putchar('\n');
		output_table_print(&table, stdout);
	}
	err = table.err;
	output_table_release(&table);
	return err;
}

/* What the guard found is said above as an alarm; here is what to do about it. */
static void print_guard(const json_t *guard)
{
	struct output_buffer buffer;

	if (output_member(guard, "todo", &buffer)[0] != '\0') {
		printf("TO DO: ");
		output_text(stdout, output_member(guard, "todo", &buffer), false);
		putchar('\n');
	}
	if (output_true(guard, "resealing"))
		printf("older entries are being sealed again: %llu so far\n",
			(unsigned long long)output_number(guard, "resealed"));
}

/* What is the matter with the disk, since when, and what to do; nothing when all is well. */
static void print_store(const json_t *store)
{
	struct output_buffer buffer;

	if (store == NULL || !json_is_string(json_object_get(store, "todo")))
		return;
	printf("%-12s%s since ", "store", output_member(store, "condition", &buffer));
	printf("%s\n", output_time(store, "since", &buffer));
	print_line("what to do", store, "todo");
}

/* Received notices, and what waits; nothing when there is nothing. */
static void print_mail(const json_t *mail)
{
	const json_t *newest = json_object_get(mail, "newest");
	unsigned long long waiting = output_number(mail, "waiting");
	unsigned long long unopened = output_number(mail, "unopened");
	unsigned long long carried = output_number(mail, "carried");
	json_t *notice;
	size_t i;

	if (waiting + unopened + carried > 0)
		printf("%-12s%llu on the way, %llu to be opened here, %llu carried for others\n",
			"mail", waiting, unopened, carried);
	if (output_number(mail, "no_room") > 0)
		printf("%-12s%llu items were refused since the start: no room\n", "mail",
			(unsigned long long)output_number(mail, "no_room"));
	if (output_number(json_object_get(mail, "refused"), "count") > 0)
		printf("%-12s%llu items were not taken, and why stands in 'sauti mail refused'\n",
			"mail",
			(unsigned long long)output_number(
				json_object_get(mail, "refused"), "count"));
	if (output_number(mail, "held_back") > 0)
		printf("%-12s%llu sealed items wait to be recorded and sent; they are on the "
		       "disk\n",
			"mail", (unsigned long long)output_number(mail, "held_back"));
	if (output_number(mail, "complaints_awaited") > 0)
		printf("%-12s%llu announced by other nodes, and not in their logs yet\n",
			"complaints",
			(unsigned long long)output_number(mail, "complaints_awaited"));
	json_array_foreach(newest, i, notice)
	{
		struct output_buffer b[3];

		printf("%-12s%s from ", "notice", output_member(notice, "id", &b[0]));
		output_text(stdout, output_member(notice, "from", &b[1]), false);
		printf(", %s: sauti mail show %s\n", output_time(notice, "received_at", &b[2]),
			output_member(notice, "id", &b[0]));
	}
}

/* What mail is sealed to; nothing while the node is locked. */
static void print_prekey(const json_t *prekey)
{
	struct output_buffer made, next;

	if (!json_is_object(prekey) || output_number(prekey, "number") == 0)
		return;
	printf("%-12s%llu, made %s%s", "prekey",
		(unsigned long long)output_number(prekey, "number"),
		output_time(prekey, "made_at", &made),
		output_true(prekey, "held_by_peer") ? "" : ", and no other node holds it yet");
	if (output_true(prekey, "full"))
		printf("; the next waits until an older one is destroyed");
	else
		printf("; next %s", output_time(prekey, "next_at", &next));
	putchar('\n');
	if (output_number(prekey, "retired") > 0)
		printf("%-12s%llu retired, the first destroyed %s\n", "",
			(unsigned long long)output_number(prekey, "retired"),
			output_time(prekey, "next_destroyed_at", &next));
}

/* How many of this office's keys come back if its machine is lost. */
static void print_escrow(const json_t *status)
{
	const json_t *escrow = json_object_get(status, "escrow");
	unsigned long long keys = output_number(escrow, "keys");
	unsigned long long safe = output_number(escrow, "safe");

	if (!json_is_object(escrow) || keys == 0)
		return;
	if (!output_true(escrow, "set_up"))
		printf("%-12snone: what is recorded here is lost with this machine: sauti recover "
		       "setup\n",
			"escrow");
	else if (safe < keys)
		printf("%-12s%llu of %llu keys are not safe yet: sauti recover status\n", "escrow",
			keys - safe, keys);
	else
		printf("%-12sall %llu keys are safe\n", "escrow", keys);
	if (json_array_size(json_object_get(escrow, "asks")) > 0)
		printf("%-12s%zu nodes ask for version keys: sauti recover status\n", "escrow",
			json_array_size(json_object_get(escrow, "asks")));
}

/* How far what is recorded here is held, and what the policy lacks. */
static void print_safe(const json_t *safe)
{
	const json_t *policy = json_object_get(safe, "policy");
	struct output_buffer b;

	if (json_is_string(json_object_get(safe, "origin"))) {
		printf("%-12snewest entry: %s", "held",
			output_member(json_object_get(safe, "newest"), "state", &b));
		printf("; %llu of %llu by all that is wanted\n",
			(unsigned long long)output_number(safe, "held"),
			(unsigned long long)output_number(safe, "size"));
	}
	if (!json_is_object(policy))
		return;
	printf("%-12s", "policy");
	output_text(stdout, output_member(policy, "file", &b), false);
	if (json_is_integer(json_object_get(policy, "size")))
		printf(": %llu entries cosigned\n",
			(unsigned long long)output_number(policy, "size"));
	else
		puts(": nobody need cosign");
}

static void print_erasures(const json_t *erasures)
{
	if (output_number(erasures, "open") > 0)
		printf("%-12s%llu are not complete: sauti case erase --status\n", "erasures",
			(unsigned long long)output_number(erasures, "open"));
	if (output_number(erasures, "held") > 0)
		printf("%-12s%llu that other offices ordered are held\n", "erasures",
			(unsigned long long)output_number(erasures, "held"));
}

/* Why the node was locked last, in words; "" for what is not known. */
static const char *why_text(const json_t *last)
{
	static const struct {
		const char *why, *text;
	} texts[] = {{"asked", "as asked"}, {"idle", "nobody asked anything"}, {"panic", "panic"},
		{"swap", "swap that is not encrypted"}, {"log", "its log changed"},
		{"keyring", "an erasure could not be finished"}};
	struct output_buffer buffer;
	const char *why = output_member(last, "why", &buffer);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (strcmp(texts[i].why, why) == 0)
			return texts[i].text;
	return "";
}

static void print_keys(const json_t *status)
{
	const json_t *lock = json_object_get(status, "lock");
	const json_t *last = json_object_get(lock, "last");
	unsigned long long idle = output_number(lock, "idle_s");
	struct output_buffer buffer;

	if (!output_true(status, "locked")) {
		printf("%-12sunlocked", "keys");
		if (idle > 0) {
			printf("; locks itself after ");
			print_duration(idle);
			printf(" without a request");
		}
		putchar('\n');
	} else {
		printf("%-12slocked\n", "keys");
	}
	if (json_is_object(last))
		printf("%-12s%s, %s\n", "last locked", output_time(last, "at", &buffer),
			why_text(last));
}

/* Nothing of headquarters is younger than 30 days: mail with keys waits. */
static void print_headquarters(const json_t *headquarters)
{
	const json_t *released = json_object_get(headquarters, "released"), *name;
	struct output_buffer since;
	size_t i;

	if (!output_true(headquarters, "silent"))
		return;
	printf("%-12ssilent since %s: keys of cases wait ('sauti mail release')\n", "hq",
		output_time(headquarters, "since", &since));
	json_array_foreach(released, i, name)
	{
		printf("%-12skeys may leave for ", "");
		output_text(stdout, json_is_string(name) ? json_string_value(name) : "?", false);
		putchar('\n');
	}
}

static void print_lines(const char *label, const json_t *lines)
{
	json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		printf("%s: ", label);
		output_text(stdout, json_is_string(line) ? json_string_value(line) : "?", false);
		putchar('\n');
	}
}

/* Who is logged in; told to who is. */
static void print_officers(const json_t *officers)
{
	struct output_buffer buffer, roles;
	const json_t *officer;
	size_t i;

	json_array_foreach(officers, i, officer)
	{
		printf("%-12s", "logged in");
		output_text(stdout, output_member(officer, "officer", &buffer), false);
		officer_roles_text(json_object_get(officer, "roles"), &roles);
		printf(" (%s) since %s", roles.text, output_time(officer, "since", &buffer));
		printf(", idle for ");
		print_duration(output_number(officer, "idle_s"));
		putchar('\n');
	}
}

static enum err print_status(const json_t *status)
{
	const json_t *logs = json_object_get(status, "logs");
	const json_t *peers = json_object_get(status, "peers");

	print_lines("ALARM", json_object_get(status, "alarms"));
	print_lines("WARNING", json_object_get(json_object_get(status, "lock"), "warnings"));
	print_guard(json_object_get(status, "guard"));
	print_line("node", status, "node");
	print_line("network", status, "network");
	print_line("role", status, "role");
	print_line("words", status, "words");
	print_keys(status);
	printf("%-12s%llu members, %llu records\n", "directory",
		(unsigned long long)output_number(status, "members"),
		(unsigned long long)output_number(status, "directory_size"));
	print_store(json_object_get(status, "store"));
	print_prekey(json_object_get(status, "prekey"));
	print_headquarters(json_object_get(status, "headquarters"));
	print_mail(json_object_get(status, "mail"));
	print_erasures(json_object_get(status, "erasures"));
	print_safe(json_object_get(status, "safe"));
	print_escrow(status);
	if (output_number(status, "grants_waiting") > 0)
		printf("%-12s%llu %s: 'sauti case shares CASE' says whose; is the other node's key "
		       "confirmed?\n",
			"grants", (unsigned long long)output_number(status, "grants_waiting"),
			output_number(status, "grants_waiting") == 1 ? "grant waits"
								     : "grants wait");
	print_officers(json_object_get(status, "officers"));
	print_line("version", status, "version");
	print_line("format", status, "format");
	printf("%-12s", "running for");
	print_duration(output_number(status, "uptime_s"));
	putchar('\n');
	if (json_array_size(logs) > 0)
		TRY(print_logs(logs));
	if (json_array_size(peers) > 0) {
		TRY(print_peers(peers));
		TRY(print_traffic(peers));
	}
	return OK;
}

static enum err run_status(struct cli *cli, const struct cli_args *args, struct errctx *ctx)
{
	Sauti__ControlRequest request = SAUTI__CONTROL_REQUEST__INIT;
	Sauti__StatusRequest status = SAUTI__STATUS_REQUEST__INIT;
	CLEANUP(daemon_json_release) json_t *answer = NULL;

	(void)args;
	request.body_case = SAUTI__CONTROL_REQUEST__BODY_STATUS;
	request.status = &status;
	TRY(daemon_call(cli, &request, &answer, NULL, ctx));
	if (!cli->json)
		return print_status(answer);
	output_json(answer);
	return OK;
}

const struct cli_command status_commands[] = {
	{"status", NULL, "", "the node, its logs and its peers",
		"Logs marked * are the node's own. BEHIND: entries that others show and this node\n"
		"does not have yet, about how many bytes, and since when. IN QUORUM:\n"
		"entries that as many mirrors hold as the policy wants. HELD BY: the mirrors that\n"
		"hold the newest checkpoint. LACKS: the same of a peer, as far as it has said "
		"since\n"
		"the start. TRAFFIC: bytes of TLS with each peer since the start, and what things\n"
		"cost; BYTES/S is what the link was measured to carry.",

		0, 0, NULL, run_status},
	{0},
};
