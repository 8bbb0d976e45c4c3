/*
 * config: the one configuration file of a node, `sauti.conf` (docs/man/sauti.conf.5). Strict INI
 * (node/ini.h); everything but the node's name has a default.
 *
 * Errors read "FILE:LINE: key: what was found; what is allowed", with ERR_INVALID or ERR_LIMIT.
 */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "base/limits.h"
#include "node/files.h"
#include "replication/engine/rate.h"

#define CONFIG_LISTEN_DEFAULT "0.0.0.0:7483"
enum { CONFIG_ALPN_SIZE = 64, CONFIG_ALPN_MAX = 8 };
enum { CONFIG_IDLE_DEFAULT_S = 30 * 60 };
#define CONFIG_RESERVE_DEFAULT (UINT64_C(64) << 20)
#define CONFIG_DAILY_DEFAULT   (UINT64_C(4) << 30)
enum { CONFIG_SESSION_IDLE = 30 * 60000, CONFIG_SESSION_ABSOLUTE = 12 * 3600000 };

/* A numeric address: no name is ever looked up. */
struct net_address {
	char host[64]; /* "192.0.2.1" or "2001:db8::1", without brackets */
	bool ipv6;
	uint16_t port;
};
/* "192.0.2.1:7483" or "[2001:db8::1]:7483". Port 0 only when allowed: the kernel chooses.
 * ERR_INVALID, ctx says what is wrong. */
enum err config_address(
	const char *text, bool port_zero, struct net_address *ret, struct errctx *ctx) MUST_USE;

/* What is said of a link; what is not said (0) is as for the node. */
struct config_link {
	uint64_t up, down;       /* bytes a second, RATE_UNLIMITED */
	struct rate_hours hours; /* count 0: not said. Its zone is the node's */
	enum { METERED_UNSAID, METERED_NO, METERED_YES } metered;
};

struct config_peer {
	char name[LIMIT_NODE_NAME + 1];
	char address[LIMIT_ADDRESS + 1]; /* to dial; "": it dials us */
	char proxy[LIMIT_ADDRESS + 1];   /* to dial through; "": the node's; "none" */
	struct config_link link;
};

/* Milliseconds; 0: not given, the replication engine's own default. */
struct config_timing {
	uint32_t hello_timeout, idle_ping, idle_close, dial_min, dial_max;
	uint32_t have_delay, cosigned_delay, fetch_timeout, metered_ping, metered_close;
};

/* Whose logs the public socket gives out. */
enum config_public_logs { PUBLIC_LOGS_ALL, PUBLIC_LOGS_DIRECTORY, PUBLIC_LOGS_NONE };
enum { CONFIG_GROUP_SIZE = 33 }; /* a name of the system's, with its terminator */

struct node_config {
	char file[PATH_MAX];
	char name[LIMIT_NODE_NAME + 1];
	char network[LIMIT_NETWORK_NAME + 1]; /* "": the genesis file says */
	char directory[PATH_MAX];             /* of the node's data */
	char guard[PATH_MAX];                 /* directory of the guard, outside of it */
	/* Where others can dial this node, told them by mail; "" past the last. */
	char advertise[LIMIT_MAIL_ADDRESSES][LIMIT_ADDRESS + 1];
	bool compression;                             /* of parts, before sealing */
	char listen[LIMIT_ADDRESS + 1];               /* "": outbound only */
	char alpn[CONFIG_ALPN_MAX][CONFIG_ALPN_SIZE]; /* "" past the last; at least one */
	char socket[PATH_MAX];                        /* of the control API */
	char public_socket[PATH_MAX];                 /* of what anybody may ask; "": none */
	char public_group[CONFIG_GROUP_SIZE];         /* whose it is; "": the process's own */
	enum config_public_logs public_logs;
	struct config_peer *peers; /* owned */
	size_t peer_count;
	char proxy[LIMIT_ADDRESS + 1];    /* HTTP, to dial through; "": none */
	char proxy_credentials[PATH_MAX]; /* file with USER:PASSWORD for it; "": none */
	bool congestion_system;           /* the kernel's choice, not BBR */
	struct config_link link;
	int16_t zone_min; /* of the hours, east of UTC */
	struct config_timing timing;
	uint64_t map_size;    /* of the store, bytes; 0: its own default */
	uint64_t reserve;     /* bytes that replicas leave to this node's own work */
	uint64_t daily_bytes; /* of one author's entries; 0: no cap */
	uint32_t idle_s;      /* without a request, then the node locks itself; 0: never */
	bool swap_allowed;    /* unlocks although memory may reach a disk in clear */
	char custodians[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1]; /* "" past the last */
	uint32_t session_idle, session_absolute; /* of an officer's session, milliseconds */
	char safe_policy[PATH_MAX]; /* who must have cosigned besides (tlog-policy); "": nobody */
};

/* Defaults for a file at that path; name stays "". ERR_LIMIT for paths too long. Release after. */
enum err config_init(struct node_config *config, const char *file, struct errctx *ctx) MUST_USE;
void config_release(struct node_config *config);

/* Parses text as if it stood in `file` (which need not exist). *ret is to be released; on failure
 * it is zeroed. */
enum err config_parse(
	struct bytes text, const char *file, struct node_config *ret, struct errctx *ctx) MUST_USE;
/* Reads and parses. Errors of files_read besides. */
enum err config_load(const char *file, struct node_config *ret, struct errctx *ctx) MUST_USE;

/* How the link with a peer is to be used; NULL: with any of which nothing else is said. */
void config_link(
	const struct node_config *config, const struct config_peer *peer, struct rate_link *ret);
/* Something of its own is said of that peer's link. */
bool config_peer_has_link(const struct config_peer *peer);
/* The proxy to dial that peer through; "": none. */
const char *config_proxy(const struct node_config *config, const struct config_peer *peer);
/* Reads USER:PASSWORD for the node's proxy into *ret (initialised here, wipe it); empty: none.
 * Errors of files_read_private and proxy_credentials. */
enum err config_proxy_credentials(
	const struct node_config *config, struct buf *ret, struct errctx *ctx) MUST_USE;

/* Adds a peer; ERR_EXISTS for a name that is there, ERR_LIMIT over LIMIT_PEERS, ERR_INVALID. */
enum err config_add_peer(struct node_config *config, const char *name, const char *address,
	struct errctx *ctx) MUST_USE;

/* Appends the file for this configuration: what differs from the defaults, and comments. */
void config_write(const struct node_config *config, struct buf *out);

/* The gid of [public] group. ERR_NOTFOUND: the system has none of that name. */
enum err config_group(const char *name, unsigned *ret_gid, struct errctx *ctx) MUST_USE;

/* The node's paths, with the directory and the socket of the configuration. */
enum err config_paths(
	const struct node_config *config, struct node_paths *ret, struct errctx *ctx) MUST_USE;

#endif
