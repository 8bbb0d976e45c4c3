#include "web/metrics.h"

#include <jansson.h>
#include <stdio.h>

#include "base/text.h"
#include "web/prometheus.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct metric {
	const char *group, *key; /* where in the document; group "": at its top */
	const char *name;
	enum prometheus_type type;
	const char *help;
};

static const struct metric of_node[] = {
	{"", "uptime_s", "sauti_uptime_seconds", PROMETHEUS_GAUGE, "Since the node was started."},
	{"", "locked", "sauti_locked", PROMETHEUS_GAUGE, "1 while the node's keys are not open."},
	{"", "ready", "sauti_ready", PROMETHEUS_GAUGE,
		"1 while guard and disk let the node record."},
	{"", "writable", "sauti_guard_writable", PROMETHEUS_GAUGE,
		"1 while the guard lets the node record."},
	{"", "damaged", "sauti_damaged_entries", PROMETHEUS_GAUGE,
		"Entries marked as damaged that are not fetched again yet."},
	{"", "directory_size", "sauti_directory_entries", PROMETHEUS_GAUGE,
		"Entries of the directory that this node has."},
	{"", "evidence", "sauti_evidence", PROMETHEUS_GAUGE,
		"Proofs of forked logs that are held. Anything but 0 is an alarm."},
	{"sums", "logs", "sauti_logs", PROMETHEUS_GAUGE, "Logs that are held."},
	{"sums", "entries", "sauti_entries", PROMETHEUS_GAUGE, "Entries of all logs."},
	{"sums", "not_in_quorum", "sauti_entries_not_in_quorum", PROMETHEUS_GAUGE,
		"Entries that no quorum of mirrors has cosigned yet."},
	{"peers", "known", "sauti_peers_known", PROMETHEUS_GAUGE,
		"Nodes that this one speaks with."},
	{"peers", "connected", "sauti_peers_connected", PROMETHEUS_GAUGE,
		"Nodes with a session now."},
	{"traffic", "in_bytes", "sauti_replication_received_bytes_total", PROMETHEUS_COUNTER,
		"Bytes from other nodes."},
	{"traffic", "out_bytes", "sauti_replication_sent_bytes_total", PROMETHEUS_COUNTER,
		"Bytes to other nodes."},
	{"traffic", "sessions", "sauti_replication_sessions_total", PROMETHEUS_COUNTER,
		"Sessions with other nodes."},
	{"mail", "working", "sauti_mail_working", PROMETHEUS_GAUGE,
		"1 while the store of mail can be used."},
	{"mail", "queued", "sauti_mail_queued", PROMETHEUS_GAUGE, "Mail under way to other nodes."},
	{"mail", "no_room", "sauti_mail_refused_total", PROMETHEUS_COUNTER,
		"Mail refused because there was no room."},
	{"store", "commits", "sauti_commits_total", PROMETHEUS_COUNTER,
		"Durable commits of the store, since it was made."},
	{"store", "file_bytes", "sauti_store_file_bytes", PROMETHEUS_GAUGE,
		"Size of the store's file."},
	{"store", "used_bytes", "sauti_store_used_bytes", PROMETHEUS_GAUGE, "Of it in use."},
};

/* With a label `origin`. */
static const struct metric of_log[] = {
	{"logs", "entries", "sauti_log_entries", PROMETHEUS_GAUGE, "Entries that are held."},
	{"logs", "checkpoint", "sauti_log_checkpoint_entries", PROMETHEUS_GAUGE,
		"Size in the newest checkpoint."},
	{"logs", "quorum_size", "sauti_log_quorum_entries", PROMETHEUS_GAUGE,
		"Size that a quorum of mirrors has cosigned."},
	{"logs", "behind", "sauti_log_behind_entries", PROMETHEUS_GAUGE,
		"Entries that others have and this node has not."},
	{"logs", "holders", "sauti_log_holders", PROMETHEUS_GAUGE,
		"Mirrors that have cosigned all of it."},
	{"logs", "quorum", "sauti_log_quorum_needed", PROMETHEUS_GAUGE,
		"Mirrors that the policy asks for."},
	{"logs", "own", "sauti_log_own", PROMETHEUS_GAUGE, "1 for this node's own logs."},
	{"logs", "frozen", "sauti_log_frozen", PROMETHEUS_GAUGE,
		"1 for a log of which two histories are known."},
};

static json_t *load(struct bytes text)
{
	json_t *json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

/* A number or a truth value; false: there is none. */
static bool number_of(const json_t *object, const char *key, double *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value) && !json_is_boolean(value))
		return false;
	*ret = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
	return *ret >= 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static void write_node(struct buf *out, const json_t *status)
{
	for (size_t i = 0; i < COUNT(of_node); i++) {
		const struct metric *m = &of_node[i];
		const json_t *group =
			m->group[0] == '\0' ? status : json_object_get(status, m->group);
		double value;

		if (!number_of(group, m->key, &value))
			continue;
		prometheus_family(out, m->name, m->type, m->help);
		prometheus_sample(out, m->name, NULL, 0, value);
	}
}

/* Texts of the node, as labels of a sample that is 1. */
static void write_texts(struct buf *out, const json_t *status)
{
	const struct prometheus_label labels[] = {
		{"network", text_of(status, "network")},
		{"node", text_of(status, "node")},
		{"version", text_of(status, "version")},
	};
	const struct prometheus_label disk = {"condition", text_of(status, "disk")};
	const struct prometheus_label guard = {"verdict", text_of(status, "guard")};

	prometheus_family(
		out, "sauti_node_info", PROMETHEUS_GAUGE, "Which node this is; always 1.");
	prometheus_sample(out, "sauti_node_info", labels, COUNT(labels), 1);
	prometheus_family(
		out, "sauti_disk_condition", PROMETHEUS_GAUGE, "What the disk is like; always 1.");
	prometheus_sample(out, "sauti_disk_condition", &disk, 1, 1);
	prometheus_family(out, "sauti_guard_verdict", PROMETHEUS_GAUGE,
		"What the guard against restored backups says; always 1.");
	prometheus_sample(out, "sauti_guard_verdict", &guard, 1, 1);
}

/* Only what could be a log's name is passed on. */
static bool origin_of(const json_t *log, char ret[LIMIT_LOG_NAME + 1])
{
	char path[LIMIT_LOG_NAME + sizeof("//checkpoint")];
	const char *origin = text_of(log, "origin");
	struct route route;

	if (strlen(origin) > LIMIT_LOG_NAME)
		return false;
	snprintf(path, sizeof(path), "/%s/checkpoint", origin);
	route_parse(bytes_str(path), &route);
	if (route.kind != ROUTE_CHECKPOINT)
		return false;
	strcpy(ret, route.origin);
	return true;
}

static void write_logs(struct buf *out, const json_t *status)
{
	const json_t *logs = json_object_get(status, "logs");
	char origin[LIMIT_LOG_NAME + 1];

	for (size_t i = 0; i < COUNT(of_log) && json_array_size(logs) > 0; i++) {
		const struct metric *m = &of_log[i];

		prometheus_family(out, m->name, m->type, m->help);
		for (size_t j = 0; j < json_array_size(logs); j++) {
			const json_t *log = json_array_get(logs, j);
			const struct prometheus_label label = {"origin", origin};
			double value;

			if (origin_of(log, origin) && number_of(log, m->key, &value))
				prometheus_sample(out, m->name, &label, 1, value);
		}
	}
}

static void write_requests(struct buf *out, struct counters *counters)
{
	static const char name[] = "sauti_web_requests_total";
	char code[8];

	prometheus_family(out, name, PROMETHEUS_COUNTER, "Requests answered, by route and status.");
	for (size_t route = 0; route < ROUTE_COUNT; route++)
		for (size_t i = 0; i < STATUS_COUNT; i++) {
			unsigned long long n = atomic_load(&counters->requests[route][i]);
			const struct prometheus_label labels[] = {
				{"route", route_name((enum route_kind)route)}, {"code", code}};

			snprintf(code, sizeof(code), "%u", counters_status(i));
			if (n > 0)
				prometheus_sample(out, name, labels, COUNT(labels), (double)n);
		}
}

static void write_one(struct buf *out, const char *name, enum prometheus_type type,
	const char *help, double value)
{
	prometheus_family(out, name, type, help);
	prometheus_sample(out, name, NULL, 0, value);
}

static void write_own(struct buf *out, struct counters *counters)
{
	static const char rejected[] = "sauti_web_rejected_total";

	write_requests(out, counters);
	prometheus_family(out, rejected, PROMETHEUS_COUNTER, "What was not served, by reason.");
	for (unsigned i = 0; i < REJECTION_COUNT; i++) {
		const struct prometheus_label label = {
			"reason", counters_rejection((enum rejection)i)};

		prometheus_sample(
			out, rejected, &label, 1, (double)atomic_load(&counters->rejected[i]));
	}
	write_one(out, "sauti_web_response_bytes_total", PROMETHEUS_COUNTER,
		"Bytes of the answers' bodies.", (double)atomic_load(&counters->body_bytes));
	write_one(out, "sauti_web_in_flight_requests", PROMETHEUS_GAUGE,
		"Requests that are being answered.", (double)atomic_load(&counters->in_flight));
	write_one(out, "sauti_web_connections", PROMETHEUS_GAUGE, "Connections that are open.",
		(double)atomic_load(&counters->connections));
	write_one(out, "sauti_web_answers_bytes", PROMETHEUS_GAUGE,
		"Memory of the answers under way.", (double)atomic_load(&counters->answer_bytes));
}

enum err metrics_write(struct buf *out, struct bytes status, struct counters *counters)
{
	json_t *json = status.size > 0 ? load(status) : NULL;

	if (status.size > 0 && json == NULL)
		return ERR_MALFORMED;
	write_one(out, "sauti_up", PROMETHEUS_GAUGE, "1 while the node answers.", json != NULL);
	if (json != NULL) {
		write_texts(out, json);
		write_node(out, json);
		write_logs(out, json);
		json_decref(json);
	}
	write_own(out, counters);
	return out->err;
}

enum err metrics_ready(struct bytes status, const char **ret_word)
{
	json_t *json = load(status);
	double ready, writable;

	if (json == NULL || !number_of(json, "ready", &ready) ||
		!number_of(json, "writable", &writable)) {
		json_decref(json);
		return ERR_MALFORMED;
	}
	if (ready != 0)
		*ret_word = "ready";
	else if (writable == 0)
		*ret_word = "guard";
	else
		*ret_word = strcmp(text_of(json, "disk"), "ok") != 0 ? "disk" : "stopping";
	json_decref(json);
	return OK;
}

enum err metrics_origin(struct bytes document, char ret[LIMIT_LOG_NAME + 1])
{
	json_t *json = load(document);
	bool found = json != NULL && origin_of(json, ret);

	json_decref(json);
	return found ? OK : ERR_MALFORMED;
}
