/*
 * The engine from inside: its state, and what its files offer each other. See engine.h.
 *
 *   engine.c   lifecycle, dispatch of events, deadline, views
 *   effects.c  the list of effects
 *   queue.c    what is sent to a session: in order of classes, as fast as its link takes it
 *   pace.c     what that link takes
 *   bound.c    what the operator lets it take, and at which hours
 *   rate.c     rates, hours, a token bucket
 *   session.c  connections: Hello, duplicates, Ping, Bye, dialling
 *   have.c     what is announced and heard: Have, Held
 *   cosigned.c cosignatures of mirrors and witnesses, one's own and others'
 *   fetch.c    the receiving side: choosing a provider, proving batches, writing them
 *   serve.c    the providing side: streams with a window
 *   append.c   own logs: queue, sign, commit, acknowledge
 *   branch.c   the two histories of a forked log, held as logs
 *   evidence.c forks: found, proven, told, kept
 *   lag.c      who is how far behind
 *   quota.c    how much of one author is taken in a day
 *   recheck.c  two peers contradict what is held: it is read again
 *   log.c      the table of logs and what is durable of each
 *   refetch.c  damaged entries, fetched again
 *   import.c   bundles
 *   root.c     whether a checkpoint is one of the history that is held
 *   cut.c      logs of a revoked node: up to where they count
 *   witness.c  what the witness key was put to; checkpoints that are submitted
 *   dispute.c  what nodes say against records about them
 *   guest.c    peers that the directory does not list; what it says of this node itself
 *   mail.c     mail that is held: the table, its caps, what is durable of it
 *   custody.c  .. and how it gets on: who is handed what, and the answers
 */
#ifndef REPLICATION_ENGINE_INTERNAL_H
#define REPLICATION_ENGINE_INTERNAL_H

#include <assert.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/text.h"
#include "certs/record.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/frame.pb-c.h"
#include "replication/engine/engine.h"
#include "replication/engine/pace.h"

enum {
	RECENT_ROOTS = 16,              /* checkpoints of a log remembered for late cosignatures */
	WINDOW = 8,                     /* batches a receiver lets be under way */
	SESSION_READS = 4,              /* under way for one session */
	HAND_MAX = 64 * 1024,           /* bytes with the runtime above which it gets no more, .. */
	HAND_MAX_CONTROL = 512 * 1024,  /* .. and nothing of SEND_CONTROL either */
	APPEND_BYTES = 4 * 1024 * 1024, /* of one own commit */
	DIALS_PER_TICK = 16,
	SUSPECTS_MAX = 8,
};

/* A damaged entry. */
struct mark {
	struct store_mark is;
	bool healing; /* the right one is on its way to the disk */
};

struct recent_root {
	uint64_t size;
	struct hash root;
	bool proven; /* of the history held here; otherwise somebody has shown it, signed */
};

/* Whose a cosignature is, here and in the store: "haiti" its mirror, "witness/haiti" its witness.
 * No node's name has a slash. */
#define COSIGNER_WITNESS "witness/"
enum { COSIGNER_NAME = LIMIT_NODE_NAME + sizeof(COSIGNER_WITNESS) - 1 };

/* The newest cosignature of one cosigner; or one that waits. */
struct cosigned {
	char cosigner[COSIGNER_NAME + 1];
	uint64_t size, time_s;
	struct hash root;
	struct buf line;
	struct session_id from; /* of one that waits: who brought it */
	bool unsaved;
};
/* One by itself. */
struct cosigned_line {
	uint64_t size;
	struct hash root;
	uint64_t time_s;
	struct bytes line;
};

/* witness.c: what this node's witness key was put to last of one log. */
struct witnessed {
	struct checkpoint is; /* durable; size 0: nothing */
	struct buf note;      /* .. signed by the log; empty: an older Sauti kept none */
	uint64_t time_s;
	bool lost;       /* the row is damaged: nothing is signed of this log */
	bool joined;     /* it is of the history held here, and no larger */
	struct buf line; /* the newest cosignature of `is`; empty: none at hand */
	uint64_t line_s;
	enum { WITNESS_IDLE, WITNESS_WRITING, WITNESS_SIGNING, WITNESS_ASKING } state;
	struct checkpoint next, signing, asked;
	struct buf next_note, asked_note;
	uint64_t retry_ms; /* nothing before, after a failure */
	uint64_t minute_ms;
	unsigned taken[2]; /* until then: that grew, that were signed again */
};

/* A peer that failed as provider of one log. It outlives the peer's sessions: who reconnects does
 * not begin anew. */
struct suspect {
	char peer[LIMIT_NODE_NAME + 1]; /* "": unused */
	uint64_t never_until_ms;        /* not asked at all before */
	uint64_t last_until_ms;         /* .. and until then only when nobody else has the log */
	unsigned failures;
};

struct append {
	struct entries *entries;
	uint64_t ticket;
	struct append *next;
};

/* An own commit on its way: signed, then written. */
struct commit {
	enum { COMMIT_NONE, COMMIT_SIGNING, COMMIT_WRITING } state;
	struct entries *entries;
	struct compact head;
	struct checkpoint checkpoint;
	struct append *appends; /* what it acknowledges, in order */
};

/*
 *   size <= head.size: what is durable, what is proven and on its way to the disk. Only `size` and
 *   `checkpoint` are ever told to anybody.
 */
struct elog {
	struct origin origin;
	char node[LIMIT_NODE_NAME + 1];
	size_t position;
	bool own, directory, open, frozen;
	bool proven; /* frozen, and there is evidence */
	bool branch; /* branch.c: of the log at `base`, up to `end` */
	bool alias, settled;
	size_t base;
	struct checkpoint end;
	struct buf end_note;
	/* recheck.c */
	bool rechecking, rechecked, spoilt;
	uint64_t failed_at; /* where the last batch failed that was blamed on its sender */
	char failed_by[LIMIT_NODE_NAME + 1];
	bool beyond; /* frozen because more of it was shown than this node, its author, has */
	bool key_known;
	struct note_key key;

	uint64_t size;
	struct compact stored, head;
	unsigned writing;  /* writes with entries under way */
	bool write_failed; /* one of them failed: start over when the last has come back */
	uint64_t retry_ms; /* no fetching before */

	bool has_checkpoint;
	struct checkpoint checkpoint; /* newest durable */
	struct buf note;
	struct buf opened;      /* its LogOpened, for evidence; empty: not held, or none */
	struct checkpoint seen; /* the largest beyond it that was shown; size 0: none */
	struct buf seen_note;
	struct recent_root recent[RECENT_ROOTS];
	struct cosigned *cosigned;
	size_t cosigned_count;
	uint64_t cosigned_version; /* counts changes */
	struct cosigned *waiting;  /* verified, over checkpoints not known to be ours yet */
	size_t waiting_count;
	unsigned cosigning;          /* the mirror's signature was asked for */
	struct checkpoint cosign_of; /* while cosigning */
	struct witnessed witness;
	uint64_t save_due_ms; /* cosignatures to the store; 0: none waiting */

	/* Of a revoked node: cut.c. */
	enum { CUT_NONE, CUT_BEHIND, CUT_ASKING, CUT_AT, CUT_OTHER } cut;
	bool listed; /* the fields below are set */
	struct checkpoint last;
	struct ed25519_signature last_signature;

	uint64_t asking;       /* root.c: the size whose root is asked of the store; 0: none */
	struct compact asked;  /* what was durable then */
	uint64_t ask_retry_ms; /* not before, after a read that failed */

	/* While nothing of it is proven: whose word we have for it; NULL: nobody's any more. */
	struct session *sponsor;

	/* Receiving. */
	struct session *provider;
	char source[LIMIT_NODE_NAME + 1]; /* who brought the newest entries: a way to the author */
	uint32_t stream;
	uint64_t stream_from; /* where the stream began */
	unsigned unwritten;   /* its batches that are on their way to the disk */
	struct suspect suspects[SUSPECTS_MAX];
	bool suspected; /* there are any */
	bool pinned;    /* the stream has a target */
	/* Entries behind the checkpoint are held, and `pin` is who vouches for them: it stays when
	 * the provider goes. */
	bool tailed;
	struct checkpoint pin;
	struct buf pin_note;
	uint64_t progress_ms;
	uint64_t shown;                    /* the largest checkpoint that anybody has shown */
	uint64_t behind_since_s;           /* 0: it is not */
	uint64_t seen_entries, seen_bytes; /* on their way to or from the store */
	uint32_t told_bytes;               /* of an entry, says somebody; 0: nobody */
	bool unacknowledged; /* what is durable is acknowledged once there may come more */

	/* Damaged entries, by index. */
	struct mark *marks;
	size_t mark_count, mark_capacity;
	bool refetching;                     /* the stream is for them */
	uint64_t refetch_ms;                 /* not asked for before */
	char refetched[LIMIT_NODE_NAME + 1]; /* who was asked last */

	/* Appending. */
	struct append *queue, **queue_end;
	size_t queued;
	struct commit commit;
};

/* One log as one session sees it. */
struct peer_log {
	uint64_t have_size;                      /* the checkpoint size the peer last showed */
	uint64_t told_size;                      /* .. and that it was last shown */
	uint64_t knows[LIMIT_COSIGNATURES / 64]; /* by place in log->cosigned */
	bool other_said; /* it brought a cosignature over another history: said once */

	/* Serving this peer. One read at a time; stale: it is for a stream that was voided. */
	bool serving, reading, stale, send_note;
	uint32_t stream;
	bool caught_up;               /* it reached the log's end once */
	uint64_t next, target, up_to; /* up_to 0: no end */
	uint32_t window;
	unsigned sent;    /* batches not acknowledged, those that wait in the queue among them */
	unsigned waiting; /* .. and of those in the queue of what can wait, SEND_BULK */
	struct buf note;  /* the target's signed note, until it was sent */

	/* evidence.c */
	struct buf
		shown;  /* a signed note of its that is not known to be of our history; or empty */
	bool checking;  /* the own tree is being asked about it */
	bool answering; /* .. for a Prove */
	bool asked_key; /* it was asked why it knows another key */
	struct buf asked; /* the note that it was asked about (Prove); empty: none */
	uint64_t asked_due_ms;
};
void peer_log_init(struct peer_log *pl);
void peer_log_release(struct peer_log *pl);

/* A frame for a session: it waits in the queue of its class and is handed to the runtime; a batch
 * then stays in the flight until it is acknowledged. */
struct outgoing {
	struct outgoing *next;
	struct buf frame; /* until it is handed over */
	size_t size;
	enum send_class class;
	bool batch, void_; /* void_: acknowledged or ended before it was handed over */
	bool note;         /* the batch bears its target's checkpoint */
	size_t log;
	uint64_t end; /* index behind the batch's last entry */
	struct pace_item item;
};
struct outgoing_list {
	struct outgoing *first, **end;
	size_t bytes;
};

/* An item, or its end, that a peer was handed and has not answered. */
struct mail_flight {
	struct hash item;
	bool end;
	uint64_t ticket; /* its body is being read; 0: it was sent */
	size_t size;
	uint64_t since_ms;
};

struct mail_hand {
	char peer[LIMIT_NODE_NAME + 1];
	uint64_t until_s; /* not handed to it before; UINT64_MAX: never */
	uint64_t since_s; /* it has custody since; 0: it gave the item to us, or has none */
	bool holds, told; /* told: of the end, durably there */
};

/*
 *   NEW --durable--> HELD --its end, or processed here--> ENDING --durable--> ENDED
 *
 * A write that fails goes one back (NEW: the item is forgotten, whoever handed it over keeps it).
 */
enum { MAIL_HANDS = 8, MAIL_ASKERS = 4 };
struct mail_entry {
	struct hash item;
	uint8_t id[MAIL_ID_SIZE];
	char sender[LIMIT_NODE_NAME + 1], recipient[LIMIT_NODE_NAME + 1];
	enum mail_class class;
	enum { MAIL_NEW, MAIL_HELD, MAIL_ENDING, MAIL_ENDED } state;
	uint64_t made_at, prekey, accepted_s;
	size_t size;
	struct mail_hand hands[MAIL_HANDS];
	unsigned hand_count;
	struct buf end; /* packed MailEnd */
	uint32_t outcome;
	uint64_t ended_at;
	struct session_id askers[MAIL_ASKERS]; /* answered once it is durable */
	unsigned asker_count;
	uint64_t ticket;  /* of a submission that is not durable */
	uint64_t flight;  /* the session it is being handed to; 0: none */
	bool withdrawing; /* its sender, this node, drops it; in state MAIL_NEW: once it is durable
			   */
	uint64_t withdraw_ticket;
	bool delivering;  /* the runtime has it */
	bool put_off;     /* .. and gave it back: not before the next sweep */
	bool dirty;       /* its state is to be written */
	unsigned writing; /* writes under way; of one item they come back in order */
	size_t position;
};

struct mail_pair {
	char sender[LIMIT_NODE_NAME + 1], recipient[LIMIT_NODE_NAME + 1];
	size_t held;
	uint64_t bytes;
};

struct mail_table {
	struct mail_entry **entries;
	size_t count, capacity;
	size_t *index; /* open addressing over items: position + 1 */
	size_t index_size;
	struct mail_pair *pairs;
	size_t pair_count, pair_capacity;
	size_t held, ended, erasures, delivering;
	uint64_t bytes; /* of held bodies */
	uint64_t refused, next_ticket;
	uint64_t started_ms, swept_ms;
	size_t deliver_next;
	struct elog **by_node; /* all logs, by the name of their node */
	size_t by_node_count;
	bool open;
	bool quiet; /* the last sweep found nothing that is not over */
	bool purge; /* the next one drops what is of a revoked node */
};

struct session {
	struct session_id id;
	char peer[LIMIT_NODE_NAME + 1];
	bool outgoing;
	/* SESSION_IMPORT: a bundle, in no list; what is sent to it goes nowhere. */
	enum {
		SESSION_HELLO,
		SESSION_ACTIVE,
		SESSION_GUEST, /* after its Hello too: guest.c */
		SESSION_CLOSING,
		SESSION_IMPORT
	} state;
	bool guest;
	uint64_t keys_index; /* of the member whose key it showed (certs/directory.h) */
	uint64_t guest_until_ms;
	uint64_t since_ms, heard_ms, pinged_ms;
	uint64_t batch_ms;    /* the last good batch, of any log */
	uint64_t arriving_ms; /* something of an unfinished message */
	struct engine_traffic traffic;
	size_t peer_position; /* SIZE_MAX: none */
	bool metered;         /* the peer says so */
	bool wants_witnesses; /* .. and that it waits for cosignatures of its log by witnesses */
	uint64_t asked;       /* bytes a second that the peer wants; RATE_UNLIMITED */
	struct rate_bucket asked_bucket;
	struct pace pace;
	struct outgoing_list queue[SEND_CLASSES], flight;
	size_t passed[SEND_CLASSES]; /* bytes handed over before what waits in that class */
	size_t queued, frames;       /* bytes and frames in the queue, .. */
	size_t handed;               /* .. and bytes with the runtime */
	unsigned reads;              /* under way for it */
	bool flooded;                /* it does not read what is sent to it */
	uint64_t have_due_ms;        /* 0: nothing to announce */
	uint64_t cosigned_due_ms;    /* .. of cosignatures that nobody waits for */
	bool cosigned_rest;          /* the next Have takes all cosignatures along */
	bool have_waits;             /* .. and the rest of it waits for room in the queue */
	uint64_t pings, ping_ms;     /* sent; when the last was */
	bool ping_alone;             /* nothing else was on its way then */
	bool told_early;             /* cosignatures went to it before it knew every member: it
				      * may have ignored some */
	struct peer_log *logs;       /* by position of the log */
	size_t log_count;
	size_t sponsored;     /* scratch of log.c */
	size_t told_evidence; /* how many of the engine's it was sent */
	size_t told_disputes;
	uint64_t asked_due_ms; /* of its logs, the first; 0: none */
	struct mail_flight flights[LIMIT_MAIL_FLIGHTS];
	unsigned flight_count;
	size_t flight_bytes;
	size_t mail_next;  /* of the table: everything before was looked at */
	bool mail_again;   /* .. but is to be looked at again */
	bool mail_refused; /* said once */
	bool mail_hq;      /* it is headquarters: custody.c */
	struct session *next;
};

/* A bundle that is being imported. */
struct import {
	struct session session; /* the first: session_free frees all of it */
	struct elog *log;       /* it is the provider of; NULL */
	uint64_t touched_ms;
	char fault[LIMIT_BYE_REASON]; /* what is wrong with the frame; "" */
	/* The frame whose entries are on their way to the disk. */
	bool waiting;
	struct elog *written;
	uint64_t write_end; /* behind the last of them; 0: none are */
	unsigned healing;
	enum err result;
	struct imported imported;
};

struct peer_lag {
	uint64_t have, since_s; /* since when it lacks something; 0: nothing */
};

struct peer {
	char name[LIMIT_NODE_NAME + 1];
	bool seen; /* there was a session since the start */
	bool dial, dialling;
	uint64_t next_dial_ms;
	uint32_t backoff_ms;
	uint64_t rate;        /* of the last session, bytes a second; 0: not known */
	struct peer_lag *lag; /* by position of the log */
	size_t lag_count;
	struct rate_link *link; /* NULL: as with all */
	struct rate_bucket up, down;
};

struct read_ticket {
	uint64_t ticket;
	struct session_id session;
	size_t log;
	bool root;    /* asked by root.c, for no session */
	bool witness; /* .. by witness.c */
	enum store_read_kind kind;
	uint64_t first, target;
};

/* What was taken of one author. */
struct quota {
	char node[LIMIT_NODE_NAME + 1];
	uint64_t since_ms, bytes;
};

struct evidence_item {
	struct hash id;
	size_t log;
	struct buf message;
	bool stored;
	uint64_t save_due_ms; /* the write failed; 0: it is stored, or on its way */
};

struct dispute {
	struct hash id; /* of the signed body */
	struct disputed is;
	struct buf entry;
	bool stored;
	uint64_t ticket; /* of its maker, who waits; 0: nobody */
	uint64_t save_due_ms;
};

struct engine {
	char network[LIMIT_NETWORK_NAME + 1];
	char node[LIMIT_NODE_NAME + 1];
	struct engine_opts opts;
	struct directory *directory;
	bool started;
	uint64_t now_ms, wall_s;
	uint64_t random;
	struct elog **logs;
	size_t log_count, log_capacity;
	size_t *index; /* open addressing over origins: position + 1 */
	size_t index_size;
	struct session *sessions;  /* in order of id */
	struct session_id flushed; /* queue.c: who was handed something last */
	struct import *import;     /* NULL: none */
	struct peer *peers;
	size_t peer_count;
	struct read_ticket *reads;
	size_t read_count, read_capacity;
	struct quota *quotas; /* one for each author of whom something was taken */
	size_t quota_count;
	uint64_t recheck_ms;            /* no log is read again before */
	struct evidence_item *evidence; /* grows only */
	size_t evidence_count;
	struct witness_ask *asks; /* in order of their coming */
	size_t ask_count;
	struct dispute *disputes; /* grows only */
	size_t dispute_count;
	uint64_t next_ticket;
	struct mail_table mail;
	uint32_t next_stream;
	uint64_t recosign_ms;  /* when to look for own cosignatures that are a day old */
	bool recosigning;      /* .. and a look is under way */
	bool want_witnesses;   /* said in Hello */
	struct rate_link link; /* with all peers that have none of their own */
	struct rate_bucket up, down;
	bool has_hours; /* some link has */
	uint64_t hours_ms;
	struct arena arena;  /* the frame being handled */
	struct effects *out; /* of the current step */
	bool nomem;          /* sticky, for this step */
};

struct root_proof;

/* effects.c: each appends one effect; on ERR_NOMEM engine->nomem is set and NULL returned. */
struct effect *effect_add(struct engine *engine, enum effect_type type);
void effect_notice(struct engine *engine, enum notice level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Packs and queues a frame for the session, in the class that its kind has, or in a given one.
 * What is in one class leaves in order. */
void effect_send(struct engine *engine, struct session *session, Sauti__Frame *frame);
void effect_send_class(
	struct engine *engine, struct session *session, Sauti__Frame *frame, enum send_class class);

/* queue.c */
void queue_init(struct session *session);
void queue_release(struct session *session); /* forgets what waits */
/* A batch of a stream, up to `end`; note: it bears a checkpoint. */
void queue_batch(struct engine *engine, struct session *session, const struct elog *log,
	Sauti__Frame *frame, uint64_t end, bool note);
/* Hands over what may be handed over now; for all sessions, at the end of each step. */
void queue_flush(struct engine *engine);
/* The peer has the stream up to there; or the stream ended, and what waits of it is void. */
void queue_acknowledged(
	struct engine *engine, struct session *session, const struct elog *log, uint64_t size);
void queue_void(struct engine *engine, struct session *session, const struct elog *log);
/* Bytes for one batch to it, and whether one more should be read. */
size_t queue_batch_size(const struct engine *engine, const struct session *session);
bool queue_wants_batch(const struct engine *engine, const struct session *session);
uint64_t queue_deadline(const struct engine *engine, const struct session *session);

/* log.c */
struct elog *log_find(const struct engine *engine, struct bytes origin);
/* A new one, of a name that is not there. NULL: memory. */
struct elog *log_make(struct engine *engine, const struct origin *origin, struct bytes node);
/* This log of this node, or the directory, is written here from now on; other epochs are not. */
void log_own(struct engine *engine, struct bytes origin);
/* Of this node, of whatever epoch: it never cosigns those. */
bool log_is_ours(const struct engine *engine, const struct elog *log);
/* Finds or makes, for what the store or the keystore vouches for. NULL (and no error): it is no
 * origin of this network. */
struct elog *log_get(struct engine *engine, struct bytes origin);
/* Finds or makes, on a peer's word; NULL (and no error) when it may not be made. */
struct elog *log_heard(struct engine *engine, struct session *session, struct bytes origin);
/* The session ends: what it vouched for is somebody else's word, or nobody's. */
void log_sponsor_gone(struct engine *engine, struct elog *log, const struct session *session);
void log_free(struct elog *log);
enum err log_load(struct engine *engine, const struct log_head *head);
/* Learns the log's key from its first entry; member NULL: not checked against a node key. */
enum err log_learn_key(struct engine *engine, struct bytes entry, struct elog *log, bool check,
	struct note_key *ret, struct errctx *ctx);
/* Its LogOpened, for evidence. */
void log_keep_opened(struct engine *engine, struct elog *log, struct bytes entry);
void log_remember_root(struct elog *log, const struct checkpoint *checkpoint, bool proven);
/* Is it one of the history that is held here, and remembered? */
bool log_has_root(const struct elog *log, uint64_t size, const struct hash *root);
/* The newest durable checkpoint from now on; its note is the caller's to keep. */
void log_set_checkpoint(struct elog *log, const struct checkpoint *checkpoint);
/* True when (size, root) is a checkpoint of this log that we know of. */
bool log_knows_root(const struct elog *log, uint64_t size, const struct hash *root);
/* A checkpoint with a good signature was shown: does it agree with what is known? Freezes the log
 * if not, and makes evidence of it where both notes are there. note: the signed one; empty: it was
 * looked at before. */
bool log_agrees(struct engine *engine, struct elog *log, const struct checkpoint *shown,
	struct bytes note, const char *by);
/* There is evidence that it has two histories. */
void log_forked(struct engine *engine, struct elog *log, const char *by);
/* A new checkpoint and entries are durable: announce, push, cosign. write may carry the entries. */
void log_grew(struct engine *engine, struct elog *log, const struct store_write *write);
void log_written(struct engine *engine, struct store_write *write);
void log_members_changed(struct engine *engine);

/* root.c */
enum root_answer {
	ROOT_OURS,
	ROOT_OTHER,   /* another history */
	ROOT_UNKNOWN, /* the store must be asked */
	ROOT_AHEAD,   /* so much is not durable here */
};
enum root_answer root_look(const struct elog *log, uint64_t size, const struct hash *root);
/* 0 < size < log->size. The answer comes to those who may wait for one; nothing happens while
 * another is asked. */
void root_ask(struct engine *engine, struct elog *log, uint64_t size);
void root_read(struct engine *engine, struct elog *log, const struct event *event);
struct root_proof {
	const struct elog *log;
	const struct store_batch *batch;
	uint64_t size;
};
bool root_proves(const struct root_proof *proof, uint64_t size, const struct hash *root);

/* cut.c */
void cut_look(struct engine *engine, struct elog *log); /* has its node been revoked? */
void cut_members_changed(struct engine *engine);
void cut_update(struct engine *engine, struct elog *log); /* what is durable has changed */
void cut_proof(struct engine *engine, struct elog *log, const struct root_proof *proof);
bool cut_wants(const struct elog *log); /* of a revoked node's: there is something to fetch */
/* What a shown checkpoint is worth here: its size if it is the last that counts, else 0. */
uint64_t cut_shown(const struct elog *log, const struct checkpoint *shown);
bool cut_takes(const struct elog *log, const struct checkpoint *target);
void cut_tick(struct engine *engine);

/* After its Hello, a guest or not. */
static inline bool session_talks(const struct session *session)
{
	return session->state == SESSION_ACTIVE || session->state == SESSION_GUEST;
}

/* dispute.c */
void dispute_loaded(struct engine *engine, struct bytes entry);
void dispute_made(struct engine *engine, const struct event *event);
void dispute_heard(struct engine *engine, struct session *session, const Sauti__Dispute *message);
void dispute_pump(struct engine *engine, struct session *session);
void dispute_written(struct engine *engine, const struct store_write *write);
void dispute_tick(struct engine *engine);
uint64_t dispute_deadline(const struct engine *engine);
void dispute_release(struct engine *engine);

/* guest.c */
bool guest_begin(struct engine *engine, struct session *session); /* false: no room, it closes */
bool guest_may_say(const struct session *session, Sauti__Frame__BodyCase kind);
/* Is this log one that the session may speak of? */
bool guest_may_have(const struct session *session, const struct elog *log);
/* It has shown how much of the directory it has; or we have more of it. */
void guest_heard(struct engine *engine, struct session *session);
void guest_members_changed(struct engine *engine);
void guest_check(struct engine *engine, struct session *session);
/* A record of the directory that was just folded: is it about this node? */
void guest_self(struct engine *engine, struct bytes entry, uint64_t odd_before);
bool guest_self_revoked(const struct engine *engine);
bool guest_self_other(const struct engine *engine); /* another machine has this node's name */

/* session.c */
struct session *session_find(const struct engine *engine, struct session_id id);
struct session *session_of(const struct engine *engine, const char *peer); /* active ones */
struct peer_log *session_log(
	struct engine *engine, struct session *session, const struct elog *log);
void session_connected(struct engine *engine, const struct event *event);
void session_disconnected(struct engine *engine, struct session_id id);
void session_frame(struct engine *engine, const struct event *event);
void session_arriving(struct engine *engine, struct session_id id);
/* Says Bye with the reason, closes, and forgets what the session was doing. */
void session_close(struct engine *engine, struct session *session, enum notice level,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void session_tick(struct engine *engine);
uint64_t session_deadline(const struct engine *engine);
void session_free(struct session *session);
struct peer *peer_get(struct engine *engine, const char *name);
void peer_failed(struct engine *engine, struct peer *peer);

/* lag.c */
void lag_heard(struct engine *engine, struct session *session, struct elog *log, uint64_t size);
void lag_own(const struct engine *engine, struct elog *log);
void lag_grew(struct engine *engine, struct elog *log);
void lag_forget(struct engine *engine, const struct elog *log);
void lag_session(struct engine *engine, const struct session *session);
/* So many entries were seen, of so many bytes: for what one has on average. */
void lag_entries(struct elog *log, size_t count, size_t size);
uint32_t lag_entry_bytes(const struct engine *engine, const struct elog *log);

/* bound.c */
void bound_set(struct engine *engine, const char *peer, const struct rate_link *link);
bool bound_metered(const struct engine *engine, const struct session *session);
bool bound_says_metered(const struct engine *engine, const struct session *session);
bool bound_closed(const struct engine *engine, const struct peer *peer);
bool bound_urgent(const struct engine *engine, const struct peer *peer);
/* Bytes a second that may be sent: set here, or asked for. */
uint64_t bound_up(const struct engine *engine, const struct session *session);
/* At this hour, so much of that log? */
bool bound_may_catch_up(const struct engine *engine, const struct session *session,
	const struct elog *log, uint64_t missing);
void bound_sent(struct engine *engine, struct session *session, size_t size);
uint64_t bound_send_due(
	const struct engine *engine, const struct session *session, enum send_class class);
void bound_received(struct engine *engine, struct session *session, size_t size);
/* When more may be received. */
uint64_t bound_receive_due(const struct engine *engine, const struct session *session);
/* What to ask that peer for, bytes a second; 0: no limit. */
uint64_t bound_ask(const struct engine *engine, const struct session *session);
void bound_tick(struct engine *engine);
uint64_t bound_deadline(const struct engine *engine);

/* have.c */
void have_all(struct engine *engine, struct session *session);
/* Something is to be told to everybody, or may be to one peer, soon; or by then at the latest. */
void have_grew(struct engine *engine);
void have_due(struct engine *engine, struct session *session);
void have_due_by(struct session *session, uint64_t due_ms);
void have_more(
	struct engine *engine, struct session *session); /* the queue has room for the rest */
/* Does this peer wait to hear who holds this log: is it its author? */
bool have_is_author(
	const struct engine *engine, const struct session *session, const struct elog *log);
void have_heard(struct engine *engine, struct session *session, const Sauti__Have *have);
void have_held(struct engine *engine, struct session *session, const Sauti__Held *held);
void have_tick(struct engine *engine);
uint64_t have_deadline(const struct engine *engine);

/* cosigned.c */
struct cosigned *cosigned_of(struct elog *log, const char *cosigner); /* NULL: none */
void cosigned_load(struct engine *engine, struct elog *log, const struct store_cosignature *stored);
/* Takes in one if it is good and new. False: a forgery, which is its sender's fault. own: it must
 * be by the sender's own mirror. */
bool cosigned_heard(struct engine *engine, struct session *session, struct elog *log,
	const Sauti__Cosigned *item, bool own);
/* What is held has grown: what waited for it is judged. */
void cosigned_settle(struct engine *engine, struct elog *log);
void cosigned_proof(struct engine *engine, struct elog *log, const struct root_proof *proof);
void cosigned_members_changed(struct engine *engine);
bool cosigned_untold(
	const struct session *session, const struct elog *log, const struct peer_log *pl);
/* At most LIMIT_NOTE_SIGNATURES that the peer does not know; then it knows them. False: no memory.
 */
bool cosigned_fill(struct arena *arena, const struct session *session, const struct elog *log,
	struct peer_log *pl, Sauti__LogState *state);
void cosigned_forget(struct engine *engine, const struct elog *log); /* what peers were told */
void cosigned_loaded(struct engine *engine); /* all that the store has of it, and the directory */
void cosigned_start(struct engine *engine);
void cosigned_make(struct engine *engine, struct elog *log); /* one's own, if there is cause */
void cosigned_event(struct engine *engine, const struct event *event);
void cosigned_written(struct engine *engine, struct elog *log, const struct store_write *write);
void cosigned_tick(struct engine *engine);
uint64_t cosigned_deadline(const struct engine *engine);
void cosigned_release(struct elog *log);
void cosigned_quorum(
	const struct engine *engine, const struct elog *log, struct engine_quorum *ret);
unsigned cosigned_holders(const struct engine *engine, const struct elog *log, uint64_t index);

void cosigned_name(const struct engine *engine, bool witness, char ret[COSIGNER_NAME + 1]);
uint64_t cosigned_time(const struct note_line *line);
/* One's own, which was just signed, over a checkpoint of the history that is held. */
void cosigned_keep_mine(
	struct engine *engine, struct elog *log, bool witness, const struct cosigned_line *item);

/* witness.c */
void witness_init(struct elog *log);
void witness_release(struct elog *log);
void witness_load(struct engine *engine, struct elog *log, const struct log_head *head);
void witness_load_cosigned(struct engine *engine, struct elog *log, const struct cosigned *c);
void witness_view(const struct elog *log, struct engine_witness *ret);
/* Something may be to do: more is held, or somebody waits. */
void witness_look(struct engine *engine, struct elog *log);
/* The write brings what is held to the pin: the memory goes along, if nothing is in the way. */
void witness_along(struct engine *engine, struct elog *log, struct store_write *write);
void witness_renew(struct engine *engine, struct elog *log); /* a day later */
void witness_forget_line(struct elog *log);                  /* it was made by a former key */
void witness_written(struct engine *engine, struct elog *log, const struct store_write *write);
void witness_signed(struct engine *engine, struct elog *log, const struct event *event);
void witness_read(struct engine *engine, struct elog *log, const struct event *event,
	const struct read_ticket *ticket);
/* Evidence of this log is durable, or could not be written. */
void witness_evidence(struct engine *engine, struct elog *log, enum err error);
void witness_submitted(struct engine *engine, const struct event *event);
void witness_asked(struct engine *engine, const struct event *event);
void witness_tick(struct engine *engine, struct elog *log);
void witness_asks_release(struct engine *engine);

/* fetch.c */
void fetch_choose(struct engine *engine, struct elog *log);
void fetch_batch(struct engine *engine, struct session *session, const Sauti__Batch *batch);
void fetch_written(struct engine *engine, struct elog *log, const struct store_write *write);
/* The peer holds that much of the log. */
void fetch_heard(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, uint64_t size);
void fetch_acknowledge(struct engine *engine, struct elog *log);
void fetch_stop(struct engine *engine, struct elog *log, bool tell);
void fetch_tick(struct engine *engine);
uint64_t fetch_deadline(const struct engine *engine);

/* Takes entries from a bundle, as from a provider that every log has; what is held already is left
 * out. ERR_AGAIN: they begin behind what is held. Else as a batch may fail, or ERR_FORK,
 * ERR_UNTRUSTED: this log takes nothing. */
enum err fetch_import(struct engine *engine, struct session *session, struct elog *log,
	const Sauti__Batch *batch, struct errctx *ctx) MUST_USE;

/* refetch.c */
void refetch_damaged(struct engine *engine, const struct event *event);
/* True: the log's stream is for damaged entries, and stays so for now. */
bool refetch_choose(struct engine *engine, struct elog *log);
void refetch_batch(struct engine *engine, struct elog *log, const Sauti__Batch *batch);
/* Takes what is damaged here out of a bundle's batch; how many writes that began. */
unsigned refetch_offer(struct engine *engine, struct elog *log, const Sauti__Batch *batch);
void refetch_written(struct engine *engine, struct elog *log, const struct store_write *write);
void refetch_tick(struct engine *engine, struct elog *log);
uint64_t refetch_due(const struct engine *engine, const struct elog *log);

/* import.c */
void import_begin(struct engine *engine, const struct event *event);
void import_frame(struct engine *engine, const struct event *event);
void import_end(struct engine *engine);
/* Its session did what closes others. */
void import_fault(struct engine *engine, const char *reason);
void import_written(struct engine *engine, struct elog *log, const struct store_write *write);
void import_tick(struct engine *engine);
uint64_t import_deadline(const struct engine *engine);

/* serve.c */
void serve_fetch(struct engine *engine, struct session *session, const Sauti__Fetch *fetch);
void serve_acknowledge(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, uint64_t size);
/* Reads what the streams of a session are to send next, if there is room. */
void serve_session(struct engine *engine, struct session *session);
void serve_grew(struct engine *engine, struct elog *log, const struct store_write *write);
void serve_read(struct engine *engine, struct event *event);
void serve_session_gone(struct engine *engine, struct session_id id);
bool reads_reserve(struct engine *engine); /* room for one more ticket */

/* quota.c */
bool quota_refuses(const struct engine *engine, const struct elog *log);
uint64_t quota_due(const struct engine *engine, const struct elog *log); /* refused until then */
void quota_took(struct engine *engine, const struct elog *log, size_t bytes);

/* recheck.c */
/* A batch behind what is held is a lie, or what is held is damaged. False: that is looked at first;
 * nobody is blamed. */
bool recheck_blames(struct engine *engine, struct elog *log, const char *peer);
void recheck_done(struct engine *engine, const struct event *event);

/* branch.c */
struct evidence;
void branch_found(struct engine *engine, const struct elog *base, const struct evidence *evidence);
/* An answer about roots of the log `base`; NULL: ask (again). */
void branch_proof(struct engine *engine, const struct elog *base, const struct root_proof *proof);
void branch_tick(struct engine *engine);
/* What its notes are signed for, and what it is called in the store. */
const char *branch_notes_origin(const struct engine *engine, const struct elog *log);
const struct origin *branch_stored(const struct engine *engine, const struct elog *log);

/* evidence.c */
enum err evidence_load(struct engine *engine, struct bytes message);
void evidence_heard(struct engine *engine, struct session *session, const Sauti__Evidence *message);
/* Two notes of one size. */
void evidence_equal(struct engine *engine, struct elog *log, struct bytes note, struct bytes shown,
	const char *by);
void evidence_shown(struct engine *engine, struct session *session, struct elog *log,
	struct peer_log *pl, struct bytes note, const struct checkpoint *shown);
/* Two notes of this log that contradict each other, as evidence_make takes them. */
struct evidence_parts;
void evidence_found(struct engine *engine, struct elog *log, const struct evidence_parts *parts,
	const char *by);
bool evidence_unstored(const struct engine *engine, const struct elog *log);
/* Whether the session's checkpoint is of our history is not known yet. */
bool evidence_unsure(const struct elog *log, const struct peer_log *pl);
void evidence_check(
	struct engine *engine, struct session *session, struct elog *log, struct peer_log *pl);
void evidence_grew(struct engine *engine, struct elog *log);
void evidence_read_done(struct engine *engine, struct session *session, struct elog *log,
	const struct event *event, const struct read_ticket *ticket);
void evidence_prove(struct engine *engine, struct session *session, const Sauti__Prove *prove);
void evidence_proved(struct engine *engine, struct session *session, const Sauti__Proved *proved);
/* Its batch does not prove: asks it why. False: there is nothing to ask about, it lied. */
bool evidence_ask(struct engine *engine, struct session *session, struct elog *log);
/* It shows a checkpoint under another key than the log's: asks for the LogOpened that gives it. */
void evidence_ask_key(struct engine *engine, struct session *session, const struct elog *log,
	struct peer_log *pl);
/* Sends what the session was not told. */
void evidence_pump(struct engine *engine, struct session *session);
void evidence_written(struct engine *engine, const struct store_write *write);
/* Some of this log is durable here: what hangs on it may be stored, too. */
bool evidence_stored(const struct engine *engine, const struct elog *log);
void evidence_tick(struct engine *engine);
size_t evidence_count(const struct engine *engine, size_t log);
uint64_t evidence_deadline(const struct engine *engine);
void evidence_release(struct engine *engine);

/* mail.c */
struct mail_entry *mail_find(const struct engine *engine, const struct hash *item);
void mail_loaded(struct engine *engine, struct bytes state);
void mail_submit(struct engine *engine, const struct event *event);
void mail_withdraw_item(struct engine *engine, const struct event *event);
void mail_stored(struct engine *engine, struct mail_write *write);
void mail_done(struct engine *engine, const struct event *event);
void mail_opened(struct engine *engine);
void mail_members_changed(struct engine *engine);
void mail_start(struct engine *engine);
void mail_tick(struct engine *engine);
uint64_t mail_deadline(const struct engine *engine);
void mail_release(struct engine *engine);
/* Takes an item on, from a peer or (session NULL) of this node's own. */
void mail_accept(struct engine *engine, struct session *session, const struct mail_item *item,
	uint64_t ticket);
/* The end is written, and counts once it is durable. inbox may be empty. */
void mail_end(
	struct engine *engine, struct mail_entry *entry, struct bytes end, struct bytes inbox);
void mail_deliver(struct engine *engine);
/* Writes the state unless that is under way already. */
void mail_save(struct engine *engine, struct mail_entry *entry);
/* What is known of a peer and an item; NULL: nothing. hand_get makes it. */
struct mail_hand *hand_find(struct mail_entry *entry, const char *peer);
struct mail_hand *hand_get(struct mail_entry *entry, const char *peer);

/* custody.c */
void custody_mail(struct engine *engine, struct session *session, const Sauti__Mail *mail);
void custody_ack(struct engine *engine, struct session *session, const Sauti__MailAck *ack);
void custody_read(struct engine *engine, const struct event *event);
/* The item or its end is durable, or (error) is not. */
void custody_settled(struct engine *engine, struct mail_entry *entry, enum err error);
/* What was read for somebody, or is on its way, is not followed up. */
void custody_withdrawn(struct engine *engine, struct mail_entry *entry);
void custody_offer(struct engine *engine, struct mail_entry *entry); /* to everybody connected */
void custody_pump(struct engine *engine, struct session *session);   /* everything, as it fits */
void custody_pump_all(struct engine *engine);
void custody_session_gone(struct engine *engine, struct session *session);
void custody_expire(struct engine *engine, struct session *session);

/* append.c */
void append_request(struct engine *engine, struct event *event);
void append_unlocked(struct engine *engine, const struct event *event);
void append_locked(struct engine *engine);
void append_signed(struct engine *engine, const struct event *event);
void append_written(struct engine *engine, struct elog *log, const struct store_write *write);
void append_fail_all(struct engine *engine, struct elog *log, enum err error);

#endif
