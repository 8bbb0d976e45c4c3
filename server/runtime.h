/*
 * runtime: one running node. It owns the loop, the engine, the store with its writer, the vault,
 * the network and the control socket, and carries the engine's effects out.
 *
 * Everything here runs on the loop thread. The disk is touched by the writer, the vault and libuv's
 * workers alone; their results come back through one async handle each, which is drained whole.
 */
#ifndef SERVER_RUNTIME_H
#define SERVER_RUNTIME_H

#include <uv.h>

#include "node/config.h"
#include "node/genesis.h"
#include "replication/engine/engine.h"
#include "server/keys/released.h"
#include "server/log.h"
#include "server/net/net.h"
#include "server/officers/sessions.h"
#include "server/store/writer.h"
#include "server/vault/vault.h"

struct bundle_export;
struct bundle_import;
struct control_server;
struct grants_work;
struct erasing;
struct locking;
struct mail;
struct runtime;
struct witness_waiting;
struct waiting;

/* Called once the append is durable or has failed. */
typedef void (*append_done)(void *arg, enum err error, uint64_t index);
struct append_waiting {
	uint64_t ticket;
	append_done done;
	void *arg;
	struct append_waiting *next;
};

/* Entries that the vault sealed together. */
struct sealed_batch {
	uint64_t batch, wave;
};

/* What the guard found at the start, or since. */
struct guard_state {
	enum guard_verdict verdict;
	char why[GUARD_WHY_MAX + 1]; /* in words; "" when all is well */
	uint64_t resealed;           /* entries of older epochs sealed again, since the unlock */
	uint64_t returned;           /* entries of older epochs fetched, since the unlock */
	uint64_t reseal_count;       /* .. of the batch on its way */
	struct sealed_batch reseal_batch;
	bool resealing;
	bool paused;          /* cosigning is */
	bool directory_ended; /* headquarters: the directory cannot be continued */
	char elsewhere[LIMIT_ORIGIN +
		       1]; /* a newer log of this node, which another machine writes */
	uint64_t turn;     /* grows when the own log is no longer what was there at the start */
};
/* Views of cases on their way into the ledger (server/ledger.h). */
struct ledger_views {
	uv_timer_t timer, flush;
	uint64_t waiting, lost;
	struct sealed_batch batch; /* of those that are written */
	bool writing;              /* asked for, until the vault knows how that ended */
	bool settling;             /* .. durable; the vault has not said yet that it knows */
	struct ledger_waiter *waiters;
};

/* The escrow of this node's keys (server/keys/escrow.h). */
struct escrow_loop {
	uv_timer_t timer;
	bool asking; /* the vault, or an append is under way */
	bool again;  /* meanwhile: once more after it */
	uint64_t wrote_ms, ticket;
	size_t coming;         /* letters that the mail store has not answered */
	struct json_t *status; /* as the vault said it last; NULL */
	bool told;             /* .. and nothing has happened since */
	bool set;              /* there is a recovery key, as the unlock, or its making, said */
};

/* Clients that wait until something is safe (server/control/wait.h). */
struct waits {
	uv_timer_t timer;
	struct waiting *list;
	unsigned count;
	uint64_t numbers;
	bool waking, again;
};

/* May this node's own log be written? */
bool guard_state_writable(const struct guard_state *state);
/* What the operator is to do, in plain words; "" for nothing. */
const char *guard_state_todo(const struct guard_state *state);

/* Files of logs that are being given out (control/public.c). */
struct public_file;
struct public_files {
	unsigned running;
	struct public_file *first, *last; /* those that wait */
};

struct runtime {
	uv_loop_t loop;
	struct node_config config;
	struct node_paths paths;
	struct genesis genesis;
	char node[LIMIT_NODE_NAME + 1];
	struct origin first_log; /* of a machine that took another's name; or "" */
	struct signer *mirror, *witness;
	struct tls_context *tls;
	struct buf root_certificate, issuing_certificate, node_certificate; /* DER */
	struct store *store;
	struct guard *guard;
	struct guard_state guard_state;
	bool witness_lost; /* what its witness key signed is not all known here */
	struct witness_waiting *witness_waiting; /* server/control/witness.c */
	struct ledger_views views;
	struct escrow_loop escrow;
	struct {
		bool asking;    /* the vault */
		bool appending; /* a batch is on its way to the log */
	} receipts;
	struct released released;        /* server/keys/silence.h */
	struct tlog_policy *safe_policy; /* server/safe.h; NULL: none */
	struct waits waits;
	struct writer *writer;
	struct engine *engine;
	struct vault *vault;
	struct vault_keys *keys; /* NULL: locked */
	struct net *net;
	struct control_server *control;
	struct control_server *public; /* NULL: none is configured */
	/* Over the control socket, and over the public one: whoever lets answers lie on one of
	 * them keeps nobody from the other. */
	struct public_files control_files, public_files;
	struct mail *mail;          /* server/mail.h */
	struct grants_work *grants; /* server/keys/grants.h */
	struct erasing *erasing;    /* server/keys/erasing.h */
	struct locking *locking;
	struct sessions *officers; /* who is logged in */
	uv_async_t writer_async, vault_async;
	uv_timer_t tick, tidy, officers_timer;
	uv_signal_t sigint, sigterm, sighup;
	struct event *pending; /* events that came up during a step, to be stepped after it */
	size_t pending_first, pending_count, pending_capacity;
	struct buf pending_line; /* the cosignature lines among them */
	bool stepping, stopping, closed_net, closed_control, closed_public;
	bool backing_up;              /* one backup at a time */
	struct bundle_export *export; /* the one export of a bundle; NULL */
	struct bundle_import *import; /* the one import of bundles; NULL */
	struct session_data *sessions;
	uint64_t next_session, next_ticket;
	struct append_waiting *appends;
	uint64_t failed_wave; /* of batches of the vault */
	enum err failed_wave_error;
	bool opening; /* the LogOpened is on its way */
	uint64_t started_ms;
	uint16_t port;         /* listened on; 0: not */
	char alarm[256];       /* the newest alarm; "" */
	bool damaged;          /* at the start entries were marked as damaged: none come later */
	uint64_t damaged_left; /* .. and are not back yet */
	uint64_t complaints_awaited; /* keys are here, entries are not, when last looked at */
	uint64_t complaints_refused; /* since the start */
	struct {
		struct vault_approval_counts counts; /* as the vault told last */
		bool ticking;
	} approvals;
	unsigned exports;           /* plaintext in files, under way: LIMIT_EXPORTS */
	uint64_t unread;            /* entries of own logs that no key opened at the last unlock */
	struct condition condition; /* of the store's disk, as it was last told */
	struct log_gate refused_gate, join_gate; /* strangers */
	struct log_gate notice_gate, alarm_gate; /* what members do */
	struct buf proxy_credentials; /* USER:PASSWORD for the node's own proxy; empty: none */
	struct peer_state *peers;     /* whom to dial, and the last error; room for LIMIT_PEERS */
	size_t peer_count;
	struct peer_meter *meters; /* newest first */
	size_t meter_count;
};

/* Opens everything and starts listening. On failure everything is released again. */
enum err runtime_new(const char *config_file, struct runtime **ret, struct errctx *ctx) MUST_USE;
/* Runs until SIGINT or SIGTERM. */
void runtime_run(struct runtime *rt);
void runtime_free(struct runtime *rt);

/* For control and join. */
void runtime_step(struct runtime *rt, struct event *event);
/* Hands entries (one reference) to the engine. done is called later, exactly once. */
void runtime_append(struct runtime *rt, const char *origin, struct entries *entries,
	append_done done, void *arg);
/* Hands a dispute of this node's to the engine; borrows it. done is called later, exactly once. */
void runtime_dispute(struct runtime *rt, struct bytes record, append_done done, void *arg);
/* The node is unlocked: keys are taken (NULL: it was before). done(OK) once its log is open; when
 * that failed, the next call tries again. */
void runtime_unlocked(struct runtime *rt, struct vault_keys *keys, append_done done, void *arg);
void runtime_locked(struct runtime *rt);
/* The end of a batch of entries, for the vault that sealed it. */
void runtime_tell_vault(
	struct runtime *rt, struct sealed_batch batch, enum err error, uint64_t index);
/* False: a batch before it, of the same wave, has failed: it must fail too. */
bool runtime_may_append(const struct runtime *rt, struct sealed_batch batch);
void runtime_resealed(struct runtime *rt, struct vault_request *done);
/* Why the last dial of a peer failed; "" when it did not. */
const char *runtime_peer_error(const struct runtime *rt, const char *peer);
/* control/bundle_export.c: the body of an item of mail was read; the node stops. */
struct mail_task;
void bundle_export_mail(struct bundle_export *export, const struct mail_task *task);
void bundle_export_stop(struct bundle_export *export);
/* control/bundle_import.c: what became of a frame of the bundle; the node stops. */
void bundle_import_answer(struct bundle_import *import, const struct effect *effect);
void bundle_import_stop(struct bundle_import *import);
/* Something else than the store met an error on the disk: the store looks whether it is hit too. */
void runtime_disk_failed(struct runtime *rt, const char *what);
uint64_t runtime_wall_s(void);
uint64_t runtime_wall_ms(void);

#endif
