#include "node/config.h"

#include <arpa/inet.h>
#include <grp.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/text.h"
#include "node/bandwidth.h"
#include "node/ini.h"
#include "node/proxy.h"
#include "replication/engine/engine.h"

#define ALPN_DEFAULT  "sauti/1"
#define ALPN_JOIN     "sauti-join/1"
#define PUBLIC_SOCKET "public.sock"

enum err config_address(
	const char *text, bool port_zero, struct net_address *ret, struct errctx *ctx)
{
	struct net_address address = {0};
	const char *colon = strrchr(text, ':');
	uint8_t binary[16];
	uint64_t port;
	size_t size;

	if (strlen(text) > LIMIT_ADDRESS || colon == NULL)
		goto bad;
	address.ipv6 = text[0] == '[';
	size = (size_t)(colon - text);
	if (address.ipv6) {
		if (size < 3 || text[size - 1] != ']')
			goto bad;
		text++;
		size -= 2;
	}
	if (size == 0 || size >= sizeof(address.host))
		goto bad;
	memcpy(address.host, text, size);
	if (inet_pton(address.ipv6 ? AF_INET6 : AF_INET, address.host, binary) != 1)
		goto bad;
	if (decimal_parse(bytes_str(colon + 1), 65535, &port) != OK)
		return err_set(ctx, ERR_INVALID, "the port is no number from %d to 65535",
			port_zero ? 0 : 1);
	if (port == 0 && !port_zero)
		return err_set(ctx, ERR_INVALID, "port 0 cannot be dialled");
	address.port = (uint16_t)port;
	*ret = address;
	return OK;
bad:
	return err_set(ctx, ERR_INVALID,
		"no numeric address and port; allowed: 192.0.2.1:7483 or [2001:db8::1]:7483");
}

/* The setters of the tables below. */

static void *field(void *object, const struct ini_key *key)
{
	return (char *)object + key->offset;
}

static enum err set_node_name(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	if (!node_name_valid(bytes_str(value)))
		return err_set(ctx, ERR_INVALID,
			"no node name; allowed: a lower-case letter, then up to 30 letters, "
			"digits and '-', not '-' at the end");
	strcpy(field(object, key), value);
	return OK;
}

static enum err set_network(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	if (!network_name_valid(bytes_str(value)))
		return err_set(ctx, ERR_INVALID,
			"no network name; allowed: like a host, ovra.example, at most %d "
			"characters",
			LIMIT_NETWORK_NAME);
	strcpy(field(object, key), value);
	return OK;
}

static enum err set_path(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	if (strlen(value) >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "path too long");
	strcpy(field(object, key), value);
	return OK;
}

static enum err set_switch(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return err_set(ctx, ERR_INVALID, "found \"%.40s\"; allowed: on, off", value);
	*(bool *)field(object, key) = on;
	return OK;
}

static enum err set_listen(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct net_address address;

	if (strcmp(value, "none") == 0) {
		*(char *)field(object, key) = '\0';
		return OK;
	}
	TRY(config_address(value, true, &address, ctx));
	strcpy(field(object, key), value);
	return OK;
}

static enum err set_dial(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct net_address address;

	TRY(config_address(value, false, &address, ctx));
	strcpy(field(object, key), value);
	return OK;
}

/* "none" stays: a peer that is dialled without the node's proxy. */
static enum err set_peer_proxy(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	struct net_address address;

	if (strcmp(value, "none") != 0)
		TRY(config_address(value, false, &address, ctx));
	strcpy(field(object, key), value);
	return OK;
}

static enum err set_congestion(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	bool system = strcmp(value, "system") == 0;

	if (!system && strcmp(value, "bbr") != 0)
		return err_set(ctx, ERR_INVALID, "found \"%.40s\"; allowed: bbr, system", value);
	*(bool *)field(object, key) = system;
	return OK;
}

static enum err set_rate(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	return bandwidth_rate(value, field(object, key), ctx);
}

static enum err set_schedule(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	return bandwidth_schedule(value, field(object, key), ctx);
}

static enum err set_zone(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	return bandwidth_zone(value, field(object, key), ctx);
}

static enum err set_metered(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	bool yes = strcmp(value, "yes") == 0;
	struct config_link *link = field(object, key);

	if (!yes && strcmp(value, "no") != 0)
		return err_set(ctx, ERR_INVALID, "found \"%.40s\"; allowed: yes, no", value);
	link->metered = yes ? METERED_YES : METERED_NO;
	return OK;
}

/* "a, b": at most LIMIT_MAIL_ADDRESSES that somebody else can dial. */
static enum err set_advertise(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	char list[LIMIT_MAIL_ADDRESSES][LIMIT_ADDRESS + 1] = {{0}};
	size_t count = 0;

	for (const char *at = value + strspn(value, " "); *at != '\0';) {
		size_t size = strcspn(at, ", ");
		struct net_address address;

		if (count == LIMIT_MAIL_ADDRESSES)
			return err_set(
				ctx, ERR_LIMIT, "more than %d addresses", LIMIT_MAIL_ADDRESSES);
		if (size > LIMIT_ADDRESS)
			return err_set(ctx, ERR_INVALID, "an address of %zu characters", size);
		memcpy(list[count], at, size);
		TRY(config_address(list[count], false, &address, ctx));
		if (strncmp(list[count], "0.0.0.0:", 8) == 0 ||
			strncmp(list[count], "[::]:", 5) == 0)
			return err_set(ctx, ERR_INVALID,
				"'%s' is every address of this machine: say where others dial it",
				list[count]);
		count++;
		at += size;
		at += strspn(at, " ");
		if (*at == ',')
			at += 1 + strspn(at + 1, " ");
		else if (*at != '\0')
			return err_set(ctx, ERR_INVALID, "addresses are separated by commas");
	}
	memcpy(field(object, key), list, sizeof(list));
	return OK;
}

/* "a, b": at most LIMIT_ESCROW_CUSTODIANS nodes. */
static enum err set_custodians(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	char list[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1] = {{0}};
	size_t count = 0;

	for (const char *at = value + strspn(value, " "); *at != '\0';) {
		size_t size = strcspn(at, ", ");

		if (count == LIMIT_ESCROW_CUSTODIANS)
			return err_set(
				ctx, ERR_LIMIT, "more than %d nodes", LIMIT_ESCROW_CUSTODIANS);
		if (!node_name_valid(bytes_make(at, size)))
			return err_set(ctx, ERR_INVALID, "\"%.*s\" is no node's name",
				size > 40 ? 40 : (int)size, at);
		memcpy(list[count], at, size);
		for (size_t i = 0; i < count; i++)
			if (strcmp(list[i], list[count]) == 0)
				return err_set(ctx, ERR_INVALID, "'%s' twice", list[i]);
		count++;
		at += size;
		at += strspn(at, " ");
		if (*at == ',')
			at += 1 + strspn(at + 1, " ");
		else if (*at != '\0')
			return err_set(ctx, ERR_INVALID, "names are separated by commas");
	}
	memcpy(field(object, key), list, sizeof(list));
	return OK;
}

static enum err check_alpn(struct bytes name, struct errctx *ctx)
{
	if (name.size == 0 || name.size >= CONFIG_ALPN_SIZE)
		return err_set(ctx, ERR_INVALID, "a protocol name has 1 to %d characters",
			CONFIG_ALPN_SIZE - 1);
	for (size_t i = 0; i < name.size; i++) {
		if (name.data[i] <= 0x20 || name.data[i] >= 0x7f)
			return err_set(ctx, ERR_INVALID,
				"a protocol name has printable ASCII and no space");
	}
	if (bytes_equal_str(name, ALPN_JOIN))
		return err_set(ctx, ERR_INVALID, "%s is reserved for joining", ALPN_JOIN);
	return OK;
}

/* "a, b": at most CONFIG_ALPN_MAX, in order of preference. */
static enum err set_alpn(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	char names[CONFIG_ALPN_MAX][CONFIG_ALPN_SIZE] = {{0}};
	size_t count = 0;

	for (const char *at = value; at != NULL;) {
		const char *comma = strchr(at, ',');
		size_t size = comma == NULL ? strlen(at) : (size_t)(comma - at);
		struct bytes name = bytes_make(at, size);

		while (name.size > 0 && name.data[0] == ' ')
			name = bytes_make(name.data + 1, name.size - 1);
		while (name.size > 0 && name.data[name.size - 1] == ' ')
			name.size--;
		if (count == CONFIG_ALPN_MAX)
			return err_set(
				ctx, ERR_LIMIT, "more than %d protocol names", CONFIG_ALPN_MAX);
		TRY(check_alpn(name, ctx));
		memcpy(names[count++], name.data, name.size);
		at = comma == NULL ? NULL : comma + 1;
	}
	memcpy(field(object, key), names, sizeof(names));
	return OK;
}

/* A whole number and its unit: ms, s, m, h. */
static enum err set_duration(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	size_t digits = strspn(value, "0123456789");
	uint64_t number, ms = UINT64_MAX;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(value + digits, units[i].name) == 0 &&
			decimal_parse(bytes_make(value, digits), UINT32_MAX, &number) == OK)
			ms = number * units[i].ms;
	}
	if (ms < key->min || ms > key->max)
		return err_set(ctx, ERR_INVALID,
			"found \"%.40s\"; allowed: a whole number with ms, s, m or h, from %llu ms "
			"to "
			"%llu s",
			value, (unsigned long long)key->min, (unsigned long long)key->max / 1000);
	*(uint32_t *)field(object, key) = (uint32_t)ms;
	return OK;
}

static const struct {
	const char *name;
	unsigned shift;
} size_units[] = {{"GiB", 30}, {"MiB", 20}, {"KiB", 10}};

/* A whole number and its unit: KiB, MiB, GiB. */
static enum err set_size(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	size_t digits = strspn(value, "0123456789");
	uint64_t number, bytes = UINT64_MAX;

	for (size_t i = 0; i < sizeof(size_units) / sizeof(size_units[0]); i++) {
		if (strcmp(value + digits, size_units[i].name) == 0 &&
			decimal_parse(bytes_make(value, digits), UINT32_MAX, &number) == OK)
			bytes = number << size_units[i].shift;
	}
	if (bytes < key->min || bytes > key->max)
		return err_set(ctx, ERR_INVALID,
			"found \"%.40s\"; allowed: a whole number with KiB, MiB or GiB, from %llu "
			"KiB to %llu GiB",
			value, (unsigned long long)key->min >> 10,
			(unsigned long long)key->max >> 30);
	*(uint64_t *)field(object, key) = bytes;
	return OK;
}

static const struct {
	const char *name;
	unsigned seconds;
} idle_units[] = {{"h", 3600}, {"min", 60}, {"m", 60}, {"s", 1}};

/* "15 min": a whole number and its unit, perhaps a space between; "0": never. */
static enum err set_idle(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	size_t digits = strspn(value, "0123456789");
	const char *unit = value + digits + strspn(value + digits, " ");
	uint64_t number, seconds = strcmp(value, "0") == 0 ? 0 : UINT64_MAX;

	for (size_t i = 0; i < sizeof(idle_units) / sizeof(idle_units[0]); i++) {
		if (strcmp(unit, idle_units[i].name) == 0 &&
			decimal_parse(bytes_make(value, digits), UINT32_MAX, &number) == OK)
			seconds = number * idle_units[i].seconds;
	}
	if (seconds > key->max || (seconds < key->min && strcmp(value, "0") != 0))
		return err_set(ctx, ERR_INVALID,
			"found \"%.40s\"; allowed: a whole number with s, min or h, from %llu s "
			"to %llu h; or 0 for never",
			value, (unsigned long long)key->min, (unsigned long long)key->max / 3600);
	*(uint32_t *)field(object, key) = (uint32_t)seconds;
	return OK;
}

static enum err set_swap(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	bool allow = strcmp(value, "allow") == 0;

	if (!allow && strcmp(value, "refuse") != 0)
		return err_set(ctx, ERR_INVALID, "found \"%.40s\"; allowed: refuse, allow", value);
	*(bool *)field(object, key) = allow;
	return OK;
}

/* Letters, digits, '_', '-' and '.', as the system's tools make them. */
static enum err set_group(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.";

	if (strlen(value) >= CONFIG_GROUP_SIZE || strspn(value, allowed) != strlen(value))
		return err_set(ctx, ERR_INVALID,
			"found \"%.40s\"; allowed: the name of a group of this system, at most %d "
			"letters, digits, '_', '-' and '.'",
			value, CONFIG_GROUP_SIZE - 1);
	strcpy(field(object, key), value);
	return OK;
}

static const char *const public_logs_names[] = {
	[PUBLIC_LOGS_ALL] = "all",
	[PUBLIC_LOGS_DIRECTORY] = "directory",
	[PUBLIC_LOGS_NONE] = "none",
};

static enum err set_public_logs(
	void *object, const struct ini_key *key, const char *value, struct errctx *ctx)
{
	for (size_t i = 0; i < sizeof(public_logs_names) / sizeof(public_logs_names[0]); i++) {
		if (strcmp(value, public_logs_names[i]) != 0)
			continue;
		*(enum config_public_logs *)field(object, key) = (enum config_public_logs)i;
		return OK;
	}
	return err_set(ctx, ERR_INVALID, "found \"%.40s\"; allowed: all, directory, none", value);
}

static enum err open_peer(
	void *arg, const char *argument, unsigned line, void **ret_object, struct errctx *ctx)
{
	struct node_config *config = arg;

	(void)line;
	TRY(config_add_peer(config, argument, "", ctx));
	*ret_object = &config->peers[config->peer_count - 1];
	return OK;
}

#define AT(member) offsetof(struct node_config, member)
#define DURATION(key, member, min, max)                                                            \
	{                                                                                          \
		key, set_duration, AT(timing.member), min, max                                     \
	}

/* Of a link, in each section that has one. */
#define LINK(type)                                                                                 \
	{"up", set_rate, offsetof(type, link.up), 0, 0},                                           \
		{"down", set_rate, offsetof(type, link.down), 0, 0},                               \
		{"schedule", set_schedule, offsetof(type, link.hours), 0, 0},                      \
	{                                                                                          \
		"metered", set_metered, offsetof(type, link), 0, 0                                 \
	}

static const struct ini_key node_keys_table[] = {
	{"name", set_node_name, AT(name), 0, 0},
	{"network", set_network, AT(network), 0, 0},
	{"directory", set_path, AT(directory), 0, 0},
	{"guard", set_path, AT(guard), 0, 0},
	{"advertise", set_advertise, AT(advertise), 0, 0},
};
static const struct ini_key seal_keys[] = {{"compression", set_switch, AT(compression), 0, 0}};
static const struct ini_key listen_keys[] = {
	{"address", set_listen, AT(listen), 0, 0},
	{"alpn", set_alpn, AT(alpn), 0, 0},
};
static const struct ini_key control_keys[] = {{"socket", set_path, AT(socket), 0, 0}};
static const struct ini_key public_keys[] = {
	{"socket", set_path, AT(public_socket), 0, 0},
	{"group", set_group, AT(public_group), 0, 0},
	{"logs", set_public_logs, AT(public_logs), 0, 0},
};
static const struct ini_key store_keys[] = {
	{"map_size", set_size, AT(map_size), LIMIT_MAP_SIZE_MIN, LIMIT_MAP_SIZE},
	{"reserve", set_size, AT(reserve), 0, LIMIT_MAP_SIZE},
	{"daily_quota", set_size, AT(daily_bytes), 0, LIMIT_MAP_SIZE},
};
static const struct ini_key lock_keys[] = {
	{"idle", set_idle, AT(idle_s), LIMIT_IDLE_MIN, LIMIT_IDLE},
	{"unencrypted_swap", set_swap, AT(swap_allowed), 0, 0},
};
static const struct ini_key escrow_keys[] = {{"custodians", set_custodians, AT(custodians), 0, 0}};
static const struct ini_key safe_keys[] = {{"policy", set_path, AT(safe_policy), 0, 0}};
static const struct ini_key sessions_keys[] = {
	{"idle", set_duration, AT(session_idle), 1000, 24 * 3600000},
	{"absolute", set_duration, AT(session_absolute), 1000, 7 * 24 * 3600000},
};
static const struct ini_key peer_keys[] = {
	{"address", set_dial, offsetof(struct config_peer, address), 0, 0},
	{"proxy", set_peer_proxy, offsetof(struct config_peer, proxy), 0, 0},
	LINK(struct config_peer),
};
static const struct ini_key network_keys[] = {
	{"proxy", set_dial, AT(proxy), 0, 0},
	{"proxy_credentials", set_path, AT(proxy_credentials), 0, 0},
	{"congestion", set_congestion, AT(congestion_system), 0, 0},
};
static const struct ini_key bandwidth_keys[] = {
	LINK(struct node_config),
	{"timezone", set_zone, AT(zone_min), 0, 0},
};
static const struct ini_key replication_keys[] = {
	DURATION("dial_retry_min", dial_min, 10, 300000),
	DURATION("dial_retry_max", dial_max, 10, 300000),
	DURATION("have_delay", have_delay, 1, 3600000),
	DURATION("cosignature_delay", cosigned_delay, 1, 3600000),
	DURATION("fetch_timeout", fetch_timeout, 100, 3600000),
	DURATION("hello_timeout", hello_timeout, 100, 600000),
	DURATION("idle_ping", idle_ping, 100, 3600000),
	DURATION("idle_close", idle_close, 200, 3600000),
	DURATION("metered_ping", metered_ping, 100, 3600000),
	DURATION("metered_close", metered_close, 200, 3600000),
};

#define KEYS(table) table, sizeof(table) / sizeof(table[0])
static const struct ini_section sections[] = {
	{"node", NULL, NULL, KEYS(node_keys_table)},
	{"listen", NULL, NULL, KEYS(listen_keys)},
	{"control", NULL, NULL, KEYS(control_keys)},
	{"public", NULL, NULL, KEYS(public_keys)},
	{"seal", NULL, NULL, KEYS(seal_keys)},
	{"store", NULL, NULL, KEYS(store_keys)},
	{"lock", NULL, NULL, KEYS(lock_keys)},
	{"sessions", NULL, NULL, KEYS(sessions_keys)},
	{"escrow", NULL, NULL, KEYS(escrow_keys)},
	{"safe", NULL, NULL, KEYS(safe_keys)},
	{"network", NULL, NULL, KEYS(network_keys)},
	{"bandwidth", NULL, NULL, KEYS(bandwidth_keys)},
	{"peer", "NAME", open_peer, KEYS(peer_keys)},
	{"replication", NULL, NULL, KEYS(replication_keys)},
};

static void parent_of(const char *path, char *ret)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		strcpy(ret, ".");
	else if (slash == path)
		strcpy(ret, "/");
	else
		snprintf(ret, PATH_MAX, "%.*s", (int)(slash - path), path);
}

enum err config_init(struct node_config *config, const char *file, struct errctx *ctx)
{
	memset(config, 0, sizeof(*config));
	if (strlen(file) >= PATH_MAX)
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", file);
	strcpy(config->file, file);
	config->compression = true;
	config->reserve = CONFIG_RESERVE_DEFAULT;
	config->daily_bytes = CONFIG_DAILY_DEFAULT;
	config->idle_s = CONFIG_IDLE_DEFAULT_S;
	config->session_idle = CONFIG_SESSION_IDLE;
	config->session_absolute = CONFIG_SESSION_ABSOLUTE;
	strcpy(config->listen, CONFIG_LISTEN_DEFAULT);
	strcpy(config->alpn[0], ALPN_DEFAULT);
	return OK;
}

void config_release(struct node_config *config)
{
	if (config == NULL)
		return;
	mem_free(config->peers);
	config->peers = NULL;
	config->peer_count = 0;
}

enum err config_add_peer(
	struct node_config *config, const char *name, const char *address, struct errctx *ctx)
{
	struct net_address parsed;
	struct config_peer *grown;

	if (!node_name_valid(bytes_str(name)))
		return err_set(ctx, ERR_INVALID, "\"%.40s\" is no node name", name);
	if (strcmp(name, config->name) == 0)
		return err_set(ctx, ERR_INVALID, "'%s' is this node itself", name);
	for (size_t i = 0; i < config->peer_count; i++) {
		if (strcmp(config->peers[i].name, name) == 0)
			return err_set(ctx, ERR_EXISTS, "peer '%s' is there already", name);
	}
	if (address[0] != '\0')
		TRY(config_address(address, false, &parsed, ctx));
	if (config->peer_count == LIMIT_PEERS)
		return err_set(ctx, ERR_LIMIT, "more than %d peers", LIMIT_PEERS);
	grown = mem_resize(config->peers, (config->peer_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	config->peers = grown;
	grown = &config->peers[config->peer_count++];
	memset(grown, 0, sizeof(*grown));
	strcpy(grown->name, name);
	strcpy(grown->address, address);
	return OK;
}

/* What no single line can be blamed for. */
/* What holds: the file's value, or the engine's own where the file has none. */
static uint32_t given(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static enum err check_socket(const char *file, const char *path, const char *section,
	const char *what, struct errctx *ctx)
{
	const size_t size = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (strlen(path) < size)
		return OK;
	return err_set(ctx, ERR_LIMIT,
		"%s: the %s socket's path has more than %zu characters: %s; set [%s] socket to a "
		"shorter one",
		file, what, size - 1, path, section);
}

static enum err check_sockets(const struct node_config *config, struct errctx *ctx)
{
	TRY(check_socket(config->file, config->socket, "control", "control", ctx));
	TRY(check_socket(config->file, config->public_socket, "public", "public", ctx));
	if (strcmp(config->socket, config->public_socket) == 0)
		return err_set(ctx, ERR_INVALID,
			"%s: [public] socket is the control socket; anybody may ask there",
			config->file);
	return OK;
}

static enum err check_whole(const struct node_config *config, struct errctx *ctx)
{
	const struct config_timing *t = &config->timing;
	const struct engine_timing *d = &engine_timing_default;

	if (config->name[0] == '\0')
		return err_set(ctx, ERR_INVALID, "%s: the node has no name: [node] name = NAME",
			config->file);
	for (size_t i = 0; i < config->peer_count; i++) {
		if (strcmp(config->peers[i].name, config->name) == 0)
			return err_set(ctx, ERR_INVALID, "%s: [peer %s] is this node itself",
				config->file, config->name);
	}
	TRY(check_sockets(config, ctx));
	if (config->proxy_credentials[0] != '\0' && config->proxy[0] == '\0')
		return err_set(ctx, ERR_INVALID, "%s: [network] proxy_credentials without a proxy",
			config->file);
	if (given(t->dial_min, d->dial_min) > given(t->dial_max, d->dial_max))
		return err_set(ctx, ERR_INVALID,
			"%s: [replication] dial_retry_min is larger than dial_retry_max",
			config->file);
	if (given(t->idle_ping, d->idle_ping) >= given(t->idle_close, d->idle_close))
		return err_set(ctx, ERR_INVALID,
			"%s: [replication] idle_close is not larger than idle_ping (%u and %u ms)",
			config->file, given(t->idle_close, d->idle_close),
			given(t->idle_ping, d->idle_ping));
	if (given(t->metered_ping, d->metered_ping) >= given(t->metered_close, d->metered_close))
		return err_set(ctx, ERR_INVALID,
			"%s: [replication] metered_close is not larger than metered_ping (%u and "
			"%u ms)",
			config->file, given(t->metered_close, d->metered_close),
			given(t->metered_ping, d->metered_ping));
	return OK;
}

/* What is copied, restored or cloned with the data tells nothing about it. */
static enum err check_guard(const struct node_config *config, struct errctx *ctx)
{
	size_t size = strlen(config->directory);

	if (strncmp(config->guard, config->directory, size) == 0 &&
		(config->guard[size] == '/' || config->guard[size] == '\0'))
		return err_set(ctx, ERR_INVALID,
			"%s: [node] guard = %s lies in the data directory; it must lie outside, "
			"and outside of backups",
			config->file, config->guard);
	return OK;
}

/* "/var/lib/sauti" -> "/var/lib/sauti.guard" */
static enum err default_guard(struct node_config *config, struct errctx *ctx)
{
	size_t size = strlen(config->directory);

	while (size > 1 && config->directory[size - 1] == '/')
		size--;
	if (size + sizeof(".guard") > sizeof(config->guard))
		return err_set(ctx, ERR_LIMIT, "path too long: %.100s..", config->directory);
	memcpy(config->guard, config->directory, size);
	strcpy(config->guard + size, ".guard");
	return OK;
}

/* Beside the control socket, unless something else is said. */
static enum err resolve_public(struct node_config *config, struct errctx *ctx)
{
	char parent[PATH_MAX];

	if (strcmp(config->public_socket, "none") == 0) {
		config->public_socket[0] = '\0';
		return OK;
	}
	if (config->public_socket[0] != '\0')
		return files_join(
			config->directory, config->public_socket, config->public_socket, ctx);
	parent_of(config->socket, parent);
	return files_join(parent, PUBLIC_SOCKET, config->public_socket, ctx);
}

/* Relative paths start at the file's directory; those of sockets at the data directory. */
static enum err resolve_paths(struct node_config *config, struct errctx *ctx)
{
	char parent[PATH_MAX];

	parent_of(config->file, parent);
	if (config->directory[0] == '\0')
		strcpy(config->directory, parent);
	else
		TRY(files_join(parent, config->directory, config->directory, ctx));
	if (config->guard[0] == '\0')
		TRY(default_guard(config, ctx));
	else
		TRY(files_join(parent, config->guard, config->guard, ctx));
	TRY(check_guard(config, ctx));
	if (config->proxy_credentials[0] != '\0')
		TRY(files_join(parent, config->proxy_credentials, config->proxy_credentials, ctx));
	if (config->safe_policy[0] != '\0')
		TRY(files_join(parent, config->safe_policy, config->safe_policy, ctx));
	if (config->socket[0] == '\0')
		strcpy(config->socket, "run/control.sock");
	TRY(files_join(config->directory, config->socket, config->socket, ctx));
	return resolve_public(config, ctx);
}

enum err config_parse(
	struct bytes text, const char *file, struct node_config *ret, struct errctx *ctx)
{
	struct node_config config;
	enum err err = config_init(&config, file, ctx);

	if (err == OK)
		err = ini_parse(
			text, file, sections, sizeof(sections) / sizeof(sections[0]), &config, ctx);
	if (err == OK)
		err = resolve_paths(&config, ctx);
	if (err == OK)
		err = check_whole(&config, ctx);
	if (err != OK) {
		config_release(&config);
		memset(ret, 0, sizeof(*ret));
		return err;
	}
	*ret = config;
	return OK;
}

enum err config_load(const char *file, struct node_config *ret, struct errctx *ctx)
{
	struct buf text;
	enum err err;

	memset(ret, 0, sizeof(*ret));
	buf_init(&text, LIMIT_CONFIG_SIZE + 1);
	err = files_read(file, LIMIT_CONFIG_SIZE, &text, ctx);
	if (err == OK)
		err = config_parse(buf_bytes(&text), file, ret, ctx);
	buf_release(&text);
	return err;
}

static void write_timing(const struct node_config *config, struct buf *out)
{
	bool head = false;

	for (size_t i = 0; i < sizeof(replication_keys) / sizeof(replication_keys[0]); i++) {
		const struct ini_key *key = &replication_keys[i];
		uint32_t ms = *(const uint32_t *)((const char *)config + key->offset);

		if (ms == 0)
			continue;
		buf_printf(out, "%s%s = %ums\n", head ? "" : "\n[replication]\n", key->name, ms);
		head = true;
	}
}

static void write_size(const char *name, uint64_t bytes, struct buf *out)
{
	size_t unit = 0;

	while (bytes % (UINT64_C(1) << size_units[unit].shift) != 0)
		unit++;
	buf_printf(out, "%s = %llu%s\n", name,
		(unsigned long long)(bytes >> size_units[unit].shift), size_units[unit].name);
}

static void write_store(const struct node_config *config, struct buf *out)
{
	if (config->map_size == 0 && config->reserve == CONFIG_RESERVE_DEFAULT &&
		config->daily_bytes == CONFIG_DAILY_DEFAULT)
		return;
	buf_put_str(out, "\n[store]\n");
	if (config->map_size != 0)
		write_size("map_size", config->map_size, out);
	if (config->reserve != CONFIG_RESERVE_DEFAULT)
		write_size("reserve", config->reserve, out);
	if (config->daily_bytes != CONFIG_DAILY_DEFAULT)
		write_size("daily_quota", config->daily_bytes, out);
}

static void write_lock(const struct node_config *config, struct buf *out)
{
	if (config->idle_s == CONFIG_IDLE_DEFAULT_S && !config->swap_allowed)
		return;
	buf_put_str(out, "\n[lock]\n");
	if (config->idle_s != CONFIG_IDLE_DEFAULT_S)
		buf_printf(
			out, config->idle_s == 0 ? "idle = %u\n" : "idle = %us\n", config->idle_s);
	if (config->swap_allowed)
		buf_put_str(out, "unencrypted_swap = allow\n");
}

static void write_sessions(const struct node_config *config, struct buf *out)
{
	bool idle = config->session_idle != CONFIG_SESSION_IDLE;
	bool absolute = config->session_absolute != CONFIG_SESSION_ABSOLUTE;

	if (idle || absolute)
		buf_put_str(out, "\n[sessions]\n");
	if (idle)
		buf_printf(out, "idle = %ums\n", config->session_idle);
	if (absolute)
		buf_printf(out, "absolute = %ums\n", config->session_absolute);
}

static void write_escrow(const struct node_config *config, struct buf *out)
{
	for (size_t i = 0; i < LIMIT_ESCROW_CUSTODIANS && config->custodians[i][0] != '\0'; i++)
		buf_printf(out, "%s%s", i == 0 ? "\n[escrow]\ncustodians = " : ", ",
			config->custodians[i]);
	if (config->custodians[0][0] != '\0')
		buf_put_str(out, "\n");
}

static void write_paths(const struct node_config *config, struct buf *out)
{
	char parent[PATH_MAX], socket[PATH_MAX];
	struct node_config plain = *config;

	parent_of(config->file, parent);
	if (config->directory[0] != '\0' && strcmp(config->directory, parent) != 0)
		buf_printf(out, "directory = %s\n", config->directory);
	if (plain.directory[0] == '\0')
		strcpy(plain.directory, parent);
	if (config->guard[0] != '\0' &&
		(default_guard(&plain, NULL) != OK || strcmp(plain.guard, config->guard) != 0))
		buf_printf(out, "guard = %s\n", config->guard);
	if (config->socket[0] == '\0')
		return;
	if (files_join(config->directory[0] != '\0' ? config->directory : parent,
		    "run/control.sock", socket, NULL) == OK &&
		strcmp(config->socket, socket) == 0)
		return;
	buf_printf(out, "\n[control]\nsocket = %s\n", config->socket);
}

/* An initialised configuration has no paths yet: they are the defaults. */
static void write_public(const struct node_config *config, struct buf *out)
{
	struct node_config plain = *config;
	bool socket = config->socket[0] != '\0', group = config->public_group[0] != '\0';
	bool logs = config->public_logs != PUBLIC_LOGS_ALL;

	plain.public_socket[0] = '\0';
	if (socket && resolve_public(&plain, NULL) == OK)
		socket = strcmp(plain.public_socket, config->public_socket) != 0;
	if (socket || group || logs)
		buf_put_str(out, "\n[public]\n");
	if (socket)
		buf_printf(out, "socket = %s\n",
			config->public_socket[0] == '\0' ? "none" : config->public_socket);
	if (group)
		buf_printf(out, "group = %s\n", config->public_group);
	if (logs)
		buf_printf(out, "logs = %s\n", public_logs_names[config->public_logs]);
}

static void write_link(const struct config_link *link, struct buf *out)
{
	if (link->up != 0) {
		buf_put_str(out, "up = ");
		bandwidth_write_rate(out, link->up);
		buf_put_str(out, "\n");
	}
	if (link->down != 0) {
		buf_put_str(out, "down = ");
		bandwidth_write_rate(out, link->down);
		buf_put_str(out, "\n");
	}
	if (link->hours.count != 0) {
		buf_put_str(out, "schedule = ");
		bandwidth_write_schedule(out, &link->hours);
		buf_put_str(out, "\n");
	}
	if (link->metered != METERED_UNSAID)
		buf_printf(out, "metered = %s\n", link->metered == METERED_YES ? "yes" : "no");
}

static bool link_said(const struct config_link *link)
{
	return link->up != 0 || link->down != 0 || link->hours.count != 0 ||
	       link->metered != METERED_UNSAID;
}

static void write_network(const struct node_config *config, struct buf *out)
{
	if (config->proxy[0] != '\0' || config->congestion_system)
		buf_put_str(out, "\n[network]\n");
	if (config->proxy[0] != '\0')
		buf_printf(out, "proxy = %s\n", config->proxy);
	if (config->proxy_credentials[0] != '\0')
		buf_printf(out, "proxy_credentials = %s\n", config->proxy_credentials);
	if (config->congestion_system)
		buf_put_str(out, "congestion = system\n");
	if (!link_said(&config->link) && config->zone_min == 0)
		return;
	buf_put_str(out, "\n[bandwidth]\n");
	write_link(&config->link, out);
	if (config->zone_min == 0)
		return;
	buf_put_str(out, "timezone = ");
	bandwidth_write_zone(out, config->zone_min);
	buf_put_str(out, "\n");
}

void config_write(const struct node_config *config, struct buf *out)
{
	buf_put_str(out, "# Sauti: the configuration of this node, see sauti.conf(5).\n"
			 "# Check a change with: sauti check-config\n\n[node]\n");
	buf_printf(out, "name = %s\n", config->name);
	if (config->network[0] != '\0')
		buf_printf(out, "network = %s\n", config->network);
	for (size_t i = 0; i < LIMIT_MAIL_ADDRESSES && config->advertise[i][0] != '\0'; i++)
		buf_printf(out, "%s%s", i == 0 ? "advertise = " : ", ", config->advertise[i]);
	if (config->advertise[0][0] != '\0')
		buf_put_str(out, "\n");
	write_paths(config, out);
	write_public(config, out);
	buf_printf(out, "\n[listen]\naddress = %s\n",
		config->listen[0] == '\0' ? "none" : config->listen);
	for (size_t i = 0; i < CONFIG_ALPN_MAX && config->alpn[i][0] != '\0'; i++) {
		if (i == 0 && strcmp(config->alpn[0], ALPN_DEFAULT) == 0 &&
			config->alpn[1][0] == '\0')
			break;
		buf_printf(out, "%s%s", i == 0 ? "alpn = " : ", ", config->alpn[i]);
	}
	if (out->size > 0 && out->err == OK && out->data[out->size - 1] != '\n')
		buf_put_str(out, "\n");
	if (!config->compression)
		buf_put_str(out, "\n[seal]\ncompression = off\n");
	write_store(config, out);
	write_lock(config, out);
	write_sessions(config, out);
	write_escrow(config, out);
	if (config->safe_policy[0] != '\0')
		buf_printf(out, "\n[safe]\npolicy = %s\n", config->safe_policy);
	write_network(config, out);
	for (size_t i = 0; i < config->peer_count; i++) {
		buf_printf(out, "\n[peer %s]\n", config->peers[i].name);
		if (config->peers[i].address[0] != '\0')
			buf_printf(out, "address = %s\n", config->peers[i].address);
		if (config->peers[i].proxy[0] != '\0')
			buf_printf(out, "proxy = %s\n", config->peers[i].proxy);
		write_link(&config->peers[i].link, out);
	}
	write_timing(config, out);
}

enum err config_paths(const struct node_config *config, struct node_paths *ret, struct errctx *ctx)
{
	struct node_paths paths;

	TRY(files_paths(config->directory, &paths, ctx));
	strcpy(paths.config, config->file);
	if (config->socket[0] != '\0')
		strcpy(paths.socket, config->socket);
	strcpy(paths.guard, config->guard);
	*ret = paths;
	return OK;
}

enum err config_group(const char *name, unsigned *ret_gid, struct errctx *ctx)
{
	char text[16384];
	struct group group, *found = NULL;

	if (getgrnam_r(name, &group, text, sizeof(text), &found) != 0 || found == NULL)
		return err_set(ctx, ERR_NOTFOUND,
			"[public] group = %s: this system has no group of that name", name);
	*ret_gid = (unsigned)group.gr_gid;
	return OK;
}

bool config_peer_has_link(const struct config_peer *peer)
{
	return link_said(&peer->link);
}

static void link_add(struct rate_link *link, const struct config_link *said)
{
	link->up = said->up != 0 ? said->up : link->up;
	link->down = said->down != 0 ? said->down : link->down;
	if (said->hours.count != 0)
		link->hours = said->hours;
	if (said->metered != METERED_UNSAID)
		link->metered = said->metered == METERED_YES;
}

void config_link(
	const struct node_config *config, const struct config_peer *peer, struct rate_link *ret)
{
	*ret = RATE_LINK_ANY;
	link_add(ret, &config->link);
	if (peer != NULL)
		link_add(ret, &peer->link);
	ret->hours.zone_min = config->zone_min;
}

const char *config_proxy(const struct node_config *config, const struct config_peer *peer)
{
	if (peer == NULL || peer->proxy[0] == '\0')
		return config->proxy;
	return strcmp(peer->proxy, "none") == 0 ? "" : peer->proxy;
}

enum err config_proxy_credentials(
	const struct node_config *config, struct buf *ret, struct errctx *ctx)
{
	struct buf file;
	struct bytes found;
	enum err err;

	buf_init(ret, LIMIT_PROXY_CREDENTIALS + 1);
	if (config->proxy_credentials[0] == '\0')
		return OK;
	buf_init(&file, LIMIT_PROXY_CREDENTIALS + 3);
	err = files_read_private(
		config->proxy_credentials, LIMIT_PROXY_CREDENTIALS + 2, &file, ctx);
	if (err == OK) {
		err = proxy_credentials(buf_bytes(&file), &found, ctx);
		if (err == OK)
			buf_put(ret, found);
		else
			err_wrap(ctx, err, "'%s'", config->proxy_credentials);
	}
	buf_wipe(&file);
	return err == OK ? ret->err : err;
}
