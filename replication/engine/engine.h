/*
 * engine: the replication protocol as a pure state machine.
 *
 * engine_step(engine, event, effects) is the one entry point. Time, connections, frames,
 * durability, signatures and reads come in as events; what is to be sent, written, read, signed or
 * dialled goes out as effects, in the order in which they must be started. The engine touches no
 * clock, socket, file, thread or random source: the same events and seed give the same effects,
 * byte for byte. It runs in sautid over LMDB and TLS, and in tests/sim as a whole network in one
 * process.
 *
 * Rules it keeps, whatever peers do (tests/sim checks them after every step):
 *   - nothing is written that was not proven against a checkpoint signed by the log's own key;
 *   - nothing is sent, acknowledged, announced or cosigned before EVENT_WRITTEN said it is durable;
 *   - one own commit is under way per log at a time, and a checkpoint once signed for a size is the
 *     only one for that size that ever leaves;
 *   - entries come from one provider per log at a time.
 *
 * Ownership: events borrow what they point to for the call, but for store_write, entries and
 * store_batch, which they hand over (see each). Effects own what they point to until the runtime
 * takes it (and sets the pointer to NULL); effects_clear releases the rest.
 *
 * Errors: engine_step returns ERR_NOMEM alone; the engine is then unusable and the process should
 * end (its store is safe). What peers do wrong closes their session and shows as EFFECT_NOTICE.
 *
 * One thread. docs/PROTOCOL has the numbered steps and the security argument.
 */
#ifndef REPLICATION_ENGINE_ENGINE_H
#define REPLICATION_ENGINE_ENGINE_H

#include "certs/directory.h"
#include "certs/mail.h"
#include "replication/engine/mail_store.h"
#include "replication/engine/rate.h"
#include "replication/engine/store.h"

enum { PROTOCOL_VERSION = 1, FORMAT_VERSION = 1 };

struct engine;
struct session_id {
	uint64_t value; /* chosen by the runtime, never used twice; 0 is none */
};

struct engine_timing {               /* milliseconds */
	uint32_t hello_timeout;      /* from connected to the peer's Hello */
	uint32_t idle_ping;          /* silence after which a Ping is sent */
	uint32_t idle_close;         /* silence after which the session is closed */
	uint32_t dial_min, dial_max; /* back-off, with jitter, doubled between the two */
	uint32_t have_delay;         /* coalescing of announcements of growth */
	uint32_t cosigned_delay;     /* .. and of other mirrors' cosignatures alone */
	uint32_t store_delay;        /* coalescing of cosignatures to the store */
	uint32_t fetch_timeout;      /* a provider that has something and sends nothing */
	uint32_t retry_delay;        /* after a failed write */
	uint32_t metered_ping,
		metered_close; /* idle_ping and idle_close where the link is metered */
	uint32_t mail_pause;   /* custody keeps an item from being handed to others */
	uint32_t mail_refused; /* .. after a refusal or no answer, from that peer alone */
	uint32_t mail_answer;  /* how long an answer is waited for */
	uint32_t mail_settle;  /* after a start, a relay waits for recipients to come */
	uint32_t mail_sweep;   /* how often all items are looked at */
};
extern const struct engine_timing engine_timing_default;

struct engine_opts {
	const char *network, *node; /* copied */
	struct origin directory;    /* the directory's log and key: the trust anchor */
	struct ed25519_public directory_key;
	bool directory_own;           /* this node writes the directory (headquarters) */
	struct ed25519_public mirror; /* this machine's key: does the directory mean this one? */
	/* The log that this node writes; its other epochs are fetched like anybody's. OWN_ANY: none
	 * is known yet, whichever it unlocks. OWN_NONE: what the store has of it is not all that
	 * was signed (DESIGN 10): it too is fetched, and nothing is written before EVENT_OWN. */
	enum { OWN_ANY, OWN_LOG, OWN_NONE } own;
	struct origin own_log;
	bool cosigning_paused; /* the store is behind what this node once held (DESIGN 10): before
				* EVENT_CAUGHT_UP a log is cosigned only when somebody connected
				* shows it and nobody shows more of it than is held */
	/* What the witness key was put to is not all known here (DESIGN 10): it is used no more. */
	bool witness_lost;
	struct engine_timing timing;
	/* Of the entries of one author, in a day; then nothing more of it is taken. 0: no cap */
	uint64_t daily_bytes;
	const struct rate_link *link; /* with all peers together; copied. NULL: no limit */
	uint64_t seed;                /* of the jitter */
};
enum err engine_new(const struct engine_opts *opts, struct engine **ret) MUST_USE;
void engine_free(struct engine *engine);

enum event_type {
	EVENT_LOG_LOADED,       /* head: before EVENT_START, once per log in the store */
	EVENT_EVIDENCE_LOADED,  /* entry: a stored evidence, before EVENT_LOG_LOADED */
	EVENT_DISPUTE_LOADED,   /* entry: a stored one, behind EVENT_DIRECTORY_LOADED */
	EVENT_DISPUTE,          /* entry, ticket: made here -> EFFECT_APPENDED, durable */
	EVENT_DIRECTORY_LOADED, /* entry: before EVENT_START, the directory's, in order from index 0
				 */
	EVENT_DAMAGED,          /* origin, mark: an entry to be fetched again */
	EVENT_PEER,             /* peer: somebody to dial whenever there is no session */
	EVENT_LINK,             /* peer, link: it has a link of its own, copied */
	EVENT_START,
	EVENT_TICK,         /* time has passed: see engine_deadline */
	EVENT_DIAL_FAILED,  /* peer */
	EVENT_CONNECTED,    /* session, peer, outgoing: authenticated and judged by the runtime;
			     * guest: the directory does not list this key (yet) */
	EVENT_DISCONNECTED, /* session; all its effects are void from here on */
	EVENT_FRAME,        /* session, frame: one message, without its length */
	EVENT_ARRIVING,     /* session: of a message that has not all arrived, some more */
	EVENT_SENT,         /* session, size: bytes of EFFECT_SEND that left the queue */
	EVENT_UNLOCKED,     /* origin, key: this own log may be appended to and signed; an epoch
			     * that is new takes the place of the one before */
	EVENT_LOCKED,       /* no own log may */
	EVENT_APPEND,       /* origin, entries (handed over), ticket. An empty log takes its
			     * LogOpened first: ERR_INVALID for anything else */
	EVENT_SIGNED,       /* origin, signature, or error */
	EVENT_COSIGNED,     /* origin, witness, line; or error */
	EVENT_WRITTEN,      /* write (handed over), with its result */
	EVENT_READ,         /* read ticket, batch (handed over), or error */
	EVENT_VERIFIED,     /* origin, error: the answer to EFFECT_VERIFY */
	EVENT_CAUGHT_UP,    /* cosigning may begin again */
	EVENT_OWN,    /* origin: this log, or the directory, is whole again: this node's own */
	EVENT_IMPORT, /* session, peer: a bundle begins, the only one at a time. Its session is
		       * never announced and nothing is sent to it. peer: whose it is, if that
		       * is certain; "" */
	EVENT_IMPORT_FRAME,   /* session, frame, vouched: one at a time -> EFFECT_IMPORTED */
	EVENT_IMPORT_END,     /* session */
	EVENT_ADD_CHECKPOINT, /* entry: the body of a C2SP add-checkpoint, ticket ->
			       * EFFECT_WITNESSED */
	EVENT_WITNESS_GET,    /* origin, ticket: the newest that was cosigned -> EFFECT_WITNESSED */
	EVENT_MAIL_LOADED,    /* entry: a packed MailState; before EVENT_START, once per item */
	EVENT_MAIL_SUBMIT,    /* entry: a packed Mail of this node's own, ticket */
	EVENT_MAIL_WITHDRAW,  /* item, ticket: this node's own, that has not ended, is dropped ->
			       * EFFECT_MAIL_WITHDRAWN. What others hold of it stays there */
	EVENT_MAIL_STORED,    /* mail (handed over), with its result */
	EVENT_MAIL_READ,      /* ticket, entry: the packed Mail, or error */
	EVENT_MAIL_OPEN,      /* sealed mail can be processed from here on, until EVENT_LOCKED */
	EVENT_MAIL_DONE, /* item: was processed; entry: its packed MailEnd, line: what goes into
			  * the inbox, or empty; or error: not now */
};

struct event {
	enum event_type type;
	uint64_t now_ms; /* monotonic */
	uint64_t wall_s; /* seconds since 1970, UTC */
	struct session_id session;
	const char *peer;
	const struct rate_link *link;
	bool outgoing, guest;
	struct bytes frame;
	size_t size;
	const struct origin *origin;
	const struct ed25519_public *key;
	const struct log_head *head;
	struct bytes entry;
	struct entries *entries;
	uint64_t ticket;
	enum err error;
	struct ed25519_signature signature;
	struct bytes line;
	bool witness;
	struct store_write *write;
	struct store_batch batch;
	const struct store_mark *mark;
	uint64_t vouched; /* of a Have of one log: the cosignatures, by bit, whose root the store's
			   * own tree has at that size */
	struct hash item;
	struct mail_write *mail;
};

enum effect_type {
	EFFECT_DIAL,       /* peer */
	EFFECT_SEND,       /* session, frame: header included, owned; class */
	EFFECT_CLOSE,      /* session: after what is queued has left; reason in text */
	EFFECT_WRITE,      /* write, owned; witness: only of what the witness key is put to ->
			    * EVENT_WRITTEN */
	EFFECT_READ,       /* read -> EVENT_READ */
	EFFECT_VERIFY,     /* origin: hash what is stored of it again -> EVENT_VERIFIED */
	EFFECT_SIGN,       /* origin, body: the checkpoint text, owned -> EVENT_SIGNED */
	EFFECT_COSIGN,     /* origin, body: the checkpoint text, owned; witness -> EVENT_COSIGNED */
	EFFECT_APPENDED,   /* ticket, error, index: of the first entry, durable */
	EFFECT_HELD,       /* origin, peer, index: a mirror holds that size of an own log; witness:
			    * a witness has cosigned it */
	EFFECT_MEMBERS,    /* the directory grew: judge sessions and shows again */
	EFFECT_FORKED,     /* origin, peer, text, proven: an own log, another history of which was
			    * shown;   proven: there is evidence, and nobody will take this log any
			    * further */
	EFFECT_NOTICE,     /* notice level, text: for the program's log */
	EFFECT_IMPORTED,   /* session, error, imported, origin ("": of none), text when there is an
			    * error: what became of the frame; what was taken is durable. ERR_AGAIN:
			    * entries that do not join on to what is held */
	EFFECT_WITNESSED,  /* ticket, index: a status of HTTP, body: what goes with it, owned */
	EFFECT_MAIL_WRITE, /* mail, owned -> EVENT_MAIL_STORED */
	EFFECT_MAIL_READ,  /* item, ticket -> EVENT_MAIL_READ */
	EFFECT_MAIL_DELIVER,   /* item: for this node, durable here -> EVENT_MAIL_DONE; may be asked
				* for again */
	EFFECT_MAIL_SUBMITTED, /* ticket, error: durable here, or refused */
	EFFECT_MAIL_WITHDRAWN, /* ticket, error: gone from here, durably. ERR_NOTFOUND: there is no
				* such item of this node, or it has ended */
};
/* Of what is sent: a session's frames leave in this order, what is below not kept waiting for ever.
 * Frames of one class leave in the order in which they were made. */
enum send_class {
	SEND_CONTROL, /* what keeps a session going: Hello, Ping, Pong, Bye, and acknowledgements */
	SEND_DIRECTORY,
	SEND_EVIDENCE,
	SEND_ERASURE, /* mail that orders or confirms one */
	SEND_MAIL,
	SEND_LIVE, /* entries for a peer that is caught up */
	SEND_HAVE, /* announcements */
	SEND_BULK, /* catching up */
	SEND_CLASSES
};

enum notice { NOTICE_DEBUG, NOTICE_INFO, NOTICE_WARNING, NOTICE_ALARM };

/* One frame of a bundle. */
struct imported {
	uint64_t first, count; /* entries in it */
	uint64_t added;        /* of them new here, or put in place of damaged ones */
	uint64_t held;         /* entries of the log that are held now */
	size_t cosigned;       /* cosignatures that are new here */
	size_t mail;           /* items of mail that are new here */
};

struct effect {
	enum effect_type type;
	struct imported imported;
	struct session_id session;
	char peer[LIMIT_NODE_NAME + 1];
	struct buf frame, body;
	enum send_class class;
	bool witness;
	struct store_write *write;
	struct store_read read;
	struct origin origin;
	uint64_t ticket, index;
	enum err error;
	enum notice notice;
	bool proven;
	char text[256];
	struct hash item;
	struct mail_write *mail;
};

struct effects {
	struct effect *list;
	size_t count, capacity;
};
void effects_clear(struct effects *effects);   /* releases what was not taken; keeps the array */
void effects_release(struct effects *effects); /* as clear, and the array */

/* Appends to effects. ERR_NOMEM alone. */
enum err engine_step(struct engine *engine, struct event *event, struct effects *effects) MUST_USE;

/* Cosignatures of this node's log by witnesses are waited for: peers are told so in Hello, at the
 * next session, and bring them as soon as those of mirrors. */
void engine_want_witnesses(struct engine *engine, bool want);

/* When the engine wants EVENT_TICK at the latest (monotonic ms); UINT64_MAX: no need. */
uint64_t engine_deadline(const struct engine *engine);

/* What it knows, for showing and for checking; valid until the next step. */
const struct directory *engine_directory(const struct engine *engine);

/* What this node's witness key was put to last. */
struct engine_witness {
	uint64_t size, time_s; /* 0: nothing */
	struct hash root;
	bool lost; /* nobody knows: it is not used for this log */
};

struct engine_log {
	struct origin origin;
	bool own, open, frozen; /* open: may be appended to */
	bool branch, alias; /* alias: the log that it is a branch of begins with it, and holds it */
	uint64_t size;      /* durable */
	uint64_t behind_since_s; /* since when others have shown more; 0: they have not */
	uint32_t entry_bytes;    /* of an entry, on average; 0: not known */
	uint64_t known;          /* the largest checkpoint anybody connected has shown */
	struct bytes checkpoint; /* newest durable signed note; empty: none */
	uint64_t checkpoint_size;
	struct hash root; /* of that checkpoint */
	size_t cosigned;
	bool revoked;         /* its node is; up to this many of its entries count: */
	uint64_t counts;      /* UINT64_MAX: all. checkpoint is not larger */
	bool another_history; /* .. and those that are held are not they */
	size_t evidence;      /* of its fork */
	struct engine_witness witness;
	bool over_quota; /* more of its author came today than is taken */
};
size_t engine_log_count(const struct engine *engine);
void engine_log_at(const struct engine *engine, size_t position, struct engine_log *ret);
bool engine_log_find(const struct engine *engine, struct bytes origin, struct engine_log *ret,
	size_t *ret_position);
bool engine_witness_lost(const struct engine *engine); /* the key is used no more */
/* Valid as long as the engine. */
const struct origin *engine_log_origin(const struct engine *engine, size_t position);
/* False while its LogOpened is not known. */
bool engine_log_key(const struct engine *engine, size_t position, struct note_key *ret);
struct engine_cosigned {
	char node[LIMIT_NODE_NAME + 1];
	bool witness; /* by its witness key: not "held" */
	uint64_t size, time_s;
	struct hash root;
	struct bytes line;
};
void engine_cosigned_at(
	const struct engine *engine, size_t log, size_t position, struct engine_cosigned *ret);

/* How much of a log a connected peer has shown; false: it is not connected, or has shown none. */
bool engine_peer_holds(
	const struct engine *engine, size_t log, const char *peer, uint64_t *ret_size);

/* The newest time that two other active members' mirrors or witnesses have signed, or that the only
 * one that signed any has: no single one of many moves it. 0: nobody has. */
uint64_t engine_signed_time(const struct engine *engine);
/* The newest that this member's mirror or witness has signed. */
uint64_t engine_signed_by(const struct engine *engine, const char *node);

/* How far a log is held by the quorum of the policy: by so many distinct mirrors that count, over
 * checkpoints of the one history that is held here. */
struct engine_quorum {
	unsigned needed;  /* k of the policy */
	unsigned current; /* mirrors that count and hold the newest checkpoint */
	uint64_t size;    /* entries that the quorum holds */
};
void engine_quorum_at(const struct engine *engine, size_t position, struct engine_quorum *ret);
/* How many mirrors that count hold the entry at this index. */
unsigned engine_holders_at(const struct engine *engine, size_t position, uint64_t index);

/* What nodes say against records about them; only what is durable. False past the end. */
struct engine_dispute {
	const struct disputed *is;
};
bool engine_dispute_at(const struct engine *engine, size_t position, struct engine_dispute *ret);

/* Somebody has been connected for that long, and nobody connected shows more of any log than is
 * held. */
bool engine_caught_up(const struct engine *engine, uint64_t connected_ms);

/* Mail that this node holds, sent or has received, in no order. */
struct engine_mail {
	struct hash item;
	uint8_t id[MAIL_ID_SIZE];
	char sender[LIMIT_NODE_NAME + 1], recipient[LIMIT_NODE_NAME + 1];
	enum mail_class class;
	bool open; /* not sealed */
	uint64_t made_at;
	size_t size;
	char custodian[LIMIT_NODE_NAME + 1]; /* the last that took it; "": nobody has */
	uint64_t custody_at;
	bool held;        /* durable here, and not ended */
	bool ended;       /* its recipient has processed it */
	struct bytes end; /* .. and says so: a packed MailEnd; valid until the next step */
	uint32_t outcome;
	uint64_t ended_at;
};
size_t engine_mail_count(const struct engine *engine);
void engine_mail_at(const struct engine *engine, size_t position, struct engine_mail *ret);
bool engine_mail_find(
	const struct engine *engine, const struct hash *item, struct engine_mail *ret);
/* Does that node hold a copy, as far as is known? */
bool engine_mail_with(const struct engine *engine, const struct hash *item, const char *peer);
/* Refused for want of room since the start. */
uint64_t engine_mail_refused(const struct engine *engine);

/* Entries that went each way since the session began. */
struct engine_traffic {
	uint64_t live, bulk; /* live: by a stream that was caught up */
};

struct engine_peer {
	char name[LIMIT_NODE_NAME + 1];
	bool connected; /* Hello was exchanged */
	bool dialled;   /* it has an address */
	uint64_t since_ms, next_dial_ms;
	uint64_t rate;       /* measured, of what is sent to it, bytes a second; 0: not known */
	uint32_t rtt_ms;     /* of the session; 0: not known */
	bool metered;        /* one side says that the link is */
	bool closed, urgent; /* what the schedule here says of this hour */
	struct session_id session; /* 0: none */
};
/* Evidence of forks; the message is valid until the next step. */
size_t engine_evidence_count(const struct engine *engine);
struct bytes engine_evidence_at(
	const struct engine *engine, size_t position, struct hash *ret_id, size_t *ret_log);

struct engine_lag {
	uint64_t held;    /* by the peer, as it last said */
	uint64_t entries; /* of this node's checkpoint that it lacks */
	uint64_t bytes;   /* .. about */
	uint64_t since_s; /* 0: it lacks nothing */
};
/* Of one peer and log; false: the peer has not said, or it is the author. */
bool engine_peer_lag(const struct engine *engine, size_t peer, size_t log, struct engine_lag *ret);
/* Of a session; false: it is gone. */
bool engine_session_traffic(
	const struct engine *engine, struct session_id session, struct engine_traffic *ret);
size_t engine_peer_count(const struct engine *engine);
void engine_peer_at(const struct engine *engine, size_t position, struct engine_peer *ret);

#endif
