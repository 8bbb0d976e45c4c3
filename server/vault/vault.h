/*
 * vault: the one thread that holds case keys. It unlocks the keystore, keeps the keyring and the
 * casebook, seals what is recorded and opens what is shown; nothing else in the process sees a case
 * key or a plaintext but the bytes of a request and its answer. Keys for the loop (signers) are
 * handed out by unlock and given back by lock.
 *
 * Requests are queued from the loop thread and answered in order: `wake` is called from the vault's
 * thread (uv_async_send), then vault_done gives what is finished. It reads the store by its own
 * short transactions; it never writes logs: sealed entries go back to the loop, which has the
 * engine append them, and tells the vault how that ended.
 *
 * UNLOCK of a node whose log is never signed again (`renew`) opens a new epoch first: its origin
 * goes into the guard, then with a key of its own into the keystore; what the old log has and no
 * mirror is known to hold is sealed again by RESEAL, until it gives no more entries.
 *
 *   SEAL -> entries -> engine -> durable -> COMMITTED
 *                                 failed  -> ABORTED
 *
 * LEDGER and VIEWS are SEALs of the node's own events, into its ledger (ledger.c).
 *
 * SEALs go out in waves: as long as none of a wave has ended, more may follow, up to
 * VAULT_WAVE_MAX, so that the engine has something to commit together; then the next wave waits for
 * the ends of all. The loop appends the batches of a wave in order, and once one has failed none
 * behind it: their numbers would leave a gap (DESIGN 8).
 *
 * Every SEAL that was answered with entries is followed by exactly one COMMITTED or ABORTED with
 * its batch, also when the node was locked meanwhile: an UNLOCK waits for them. All others pass a
 * SEAL that waits.
 *
 * LOCK takes its turn; vault_lock_now does not: what was asked before ends with ERR_LOCKED, what is
 * under way ends between two items.
 *
 * New case keys are durable in the keyring before the first entry sealed under them leaves.
 *
 * Errors beside those of keystore_open, keyring_open and the store: ERR_LOCKED (SEAL, SHOW, LIST);
 * ERR_DENIED (UNLOCK: wrong name or passphrase, or the keystore file is open to others, or too many
 * wrong ones: `wait_s`); of a line of SEAL those of event_parse and event_split, ERR_NOTFOUND (its
 * case is not known), ERR_EXISTS (another event opened the case, or another case has the id or the
 * code), ERR_LIMIT, ERR_DENIED (recorded by somebody else, and the one who asks is no supervisor);
 * ERR_CANCELED.
 */
#ifndef SERVER_VAULT_VAULT_H
#define SERVER_VAULT_VAULT_H

#include "base/secret.h"
#include "cases/keys/approval.h"
#include "cases/keys/trust.h"
#include "cases/receipt/receipt.h"
#include "certs/keystore.h"
#include "certs/mail.h"
#include "certs/record_escrow.h"
#include "server/store/condition.h"
#include "server/store/store.h"

struct vault;

struct vault_opts {
	struct store *store;  /* borrowed, outlives the vault */
	struct guard *guard;  /* borrowed; NULL: none, no epoch is ever renewed */
	const char *keystore; /* path of the file, read at unlock; copied */
	const char *keyring;  /* path of the environment; copied */
	const char *drafts;   /* path of the directory; copied */
	const char *network, *node,
		*country; /* copied; country is the office of new events, "" ok */
	bool compression;
	void (*wake)(void *arg);
	void *wake_arg;
};

enum vault_type {
	VAULT_UNLOCK,   /* passphrase -> keys (NULL: was unlocked already); cases, events */
	VAULT_LOCK,     /* forgets everything */
	VAULT_COMPLAIN, /* lines: one COMPLAINT_RECEIVED; complaint -> entries, mail: a packed
			 * MailBody, to be signed; complaint's code, event_id, leaf */
	VAULT_SEAL,     /* lines, dry_run, trial, client, trial_end -> entries (NULL when nothing is
			 * new), added, known; line; trouble: what the keyring's disk refused */
	VAULT_TRIAL_END, /* client, trial (0: all of the client's) */
	VAULT_COMMITTED, /* batch, index of the first entry */
	VAULT_ABORTED,   /* batch */
	VAULT_RESEAL, /* -> entries (NULL: nothing is left), added, known (left out: not readable)
		       */
	VAULT_SHOW,   /* name, held -> docs; events. proto/control.proto has these documents */
	VAULT_MAIL_OPEN,  /* mail: a packed Mail, item -> outcome; mail: the packed MailInbox of a
			   * notice, or empty */
	VAULT_MAIL_SHOW,  /* mail: a packed MailInbox, item -> mail: its text */
	VAULT_MAIL_MAKE,  /* name: a node, to_prekey: its, lines: the text of a notice -> mail: a
			   * packed MailBody, to be signed; item; copy: a packed MailCopy */
	VAULT_MAIL_AGAIN, /* name, to_prekey, item, copy -> mail, item and copy of the next */
	VAULT_MAIL_MOVE,  /* mail: a packed MailInbox, item -> mail: the same under the inbox key */
	VAULT_PREKEYS,    /* prekeys: what is due is done, durably */
	VAULT_LEDGER,     /* lines: events of the ledger, without what the node fills in; officer ->
			   * entries, added; as SEAL */
	VAULT_VIEWS,      /* -> entries (NULL: no view waits), added; as SEAL */
	VAULT_LEDGER_LIST, /* since_s, with_views, name: "" or another node's -> docs: one per
			    * event, as event_write, with "log" and "index"; events; unread */
	VAULT_CASE_EXPORT, /* lines: names of cases (none: all), format -> file, file_hash, refs,
			    * groups, cases, events, unread */
	VAULT_REVEAL,      /* name, event_id, group, open, to -> file: the entry, opened or not
			    * (cases/seal/opened.h); group, log_origin, index, refs: of it; revealed:
			    * P's id */
	VAULT_PACKET,    /* name, packet -> file, file_hash, refs, groups, events; packet's line and
			  * consent: to be recorded before a byte of the file leaves */
	VAULT_APPROVAL,  /* approval -> approval; what `op` says */
	VAULT_RECEIPTS,  /* receipts -> receipts; what `op` says (receipts.h) */
	VAULT_DISCLOSE,  /* to -> file: the ledger and the consents it cites, opened
			  * (cases/keys/disclosure.h); file_hash; cases, events: of how many cases
			  * the consents are, how many entries are opened */
	VAULT_KEYS_SAFE, /* log_origin, index, end, held -> added: keys that entries of that log
			  * from index to before end are sealed under; known: how many of them are
			  * safe; escrow_set: there is a recovery key */
	VAULT_LIST,      /* held -> docs; cases, events */
	VAULT_FIND,      /* find, held -> docs; cases, events */
	VAULT_TODAY,     /* today, held -> docs; cases */
	VAULT_FORM,      /* name -> docs */
	VAULT_CONFIRM,   /* name, node_key, officer: its words were compared; kept */
	/* erase.h; erase says which */
	VAULT_ERASE_BEGIN, /* name, erase -> erase->order_id; docs */
	VAULT_ERASE_TAKE,  /* mail: what an order, receipt or hold has in it; erase -> verdict */
	VAULT_ERASE_NEXT, /* -> erase->todo, of, to, order_id; mail: packed, or lines for the ledger
			   */
	VAULT_ERASE_DID,  /* erase->todo, of, to, order_id */
	VAULT_ERASE_RESEAL, /* erase->order_id -> entries; as RESEAL */
	VAULT_ERASE_HOLD,   /* name, erase->authority, second, until -> docs */
	VAULT_ERASE_SHOW,   /* name ("": all) -> docs */
	VAULT_DRAFT_PUT,    /* index, name, draft_type, lines -> docs; drafts.h, as all of these */
	VAULT_DRAFT_LIST,
	VAULT_DRAFT_SHOW,
	VAULT_DRAFT_REMOVE,
	/* officers.c: the keystore's accounts, all but the first of an unlocked node. */
	VAULT_OFFICER_NAMES,      /* -> docs: {"officer"} for each slot */
	VAULT_OFFICER_LIST,       /* -> docs: {"officer","roles","created_at","disabled"} */
	VAULT_OFFICER_ADD,        /* name, new_roles, new_passphrase; roles: of who asks */
	VAULT_OFFICER_DISABLE,    /* name; roles: of who asks */
	VAULT_OFFICER_PASSPHRASE, /* officer, passphrase, new_passphrase */
	VAULT_OFFICER_VOUCH, /* officer, passphrase: of a second one, who may see cases -> roles */
	/* grants.h: keys for other nodes. `grant` and what is said there. */
	VAULT_GRANT, /* name, grant, lines: more events of the ledger, which stand before it ->
			entries, grant; as SEAL */
	VAULT_GRANT_REVIEW,  /* -> entries (NULL: all is well), grant->revoked; as SEAL */
	VAULT_GRANT_RELEASE, /* grant->recipients -> mail, grant->id; or refs */
	VAULT_GRANT_SENT,    /* grant->id, item */
	VAULT_GRANT_DROP,    /* grant->id */
	VAULT_GRANT_ENDED,   /* item, outcome */
	VAULT_GRANT_SHOW,    /* name -> docs */
	/* escrow.h: `escrow`, held; letters. */
	VAULT_ESCROW,         /* -> escrow->what, chunks or manifest; docs: how things are */
	VAULT_ESCROW_WRITTEN, /* error: how the append ended, index of the first entry */
	VAULT_ESCROW_SETUP,   /* escrow->recovery_key, reshare */
	VAULT_RECOVER_LOOK,   /* escrow->signers, own_prekey, drill, ask -> letters; docs */
	VAULT_RECOVER, /* passphrase: the recovery key; escrow->signers, drill -> docs, added */
};

/* What the loop needs while the node is unlocked; owned by whoever holds it. */
enum { VAULT_WAVE_MAX = 64, VAULT_REF_SIZE = 16 };
struct vault_keys {
	struct signer *node, *log, *directory; /* directory NULL but at headquarters */
	struct secret issuing_key;             /* size 0 but at headquarters */
	char log_origin[LIMIT_ORIGIN + 1];
	char previous_origin[LIMIT_ORIGIN + 1]; /* the epoch before, when this one is new; or "" */
	char directory_origin[LIMIT_ORIGIN + 1];
	struct prekey prekey; /* the newest; number 0: none could be made */
	struct prekey_table prekeys;
	struct trust trust; /* node keys that officers of this node confirmed */
};
void vault_keys_free(struct vault_keys *keys); /* wipes; NULL is fine */

/* How far the quorum holds a log of this node. */
struct vault_held {
	char origin[LIMIT_LOG_NAME + 1];
	uint64_t size;
	uint64_t policy; /* by the policy's quorum; UINT64_MAX without one */
	unsigned needed; /* mirrors, by the directory's quorum */
	size_t mirror_count;
	uint64_t mirrors[LIMIT_COSIGNATURES]; /* what each that counts holds */
};

/* Of FIND: the cases for which all that is given is so; "": any. */
struct vault_find {
	char code[33]; /* how it begins */
	char officer[65];
	char stage[16];
	char due_before[11];
	bool open_claims, open_referrals, imminent;
};

bool vault_stage_valid(const char *stage); /* one that FIND may ask for */
bool vault_day_valid(const char *day);     /* YYYY-MM-DD of the calendar */

/* Whom a complaint about staff may be sealed to, and what is told of it. */
struct vault_destination {
	char node[LIMIT_NODE_NAME + 1];
	bool headquarters;
	struct x25519_public key; /* its complaint key */
	uint64_t prekey;          /* the number of its newest prekey; 1 when none is known */
};
struct vault_complaint {
	struct vault_destination destinations[LIMIT_PEERS]; /* in the order of preference */
	size_t destination_count;
	char to[LIMIT_NODE_NAME + 1];         /* "": headquarters. out: whom it is sealed to */
	char about_node[LIMIT_NODE_NAME + 1]; /* not to this one; "": only by subject_officer */
	char code[33], event_id[37];          /* out: of the case, of the complaint */
	struct hash leaf;                     /* out: of the entry of the complaint itself */
	uint32_t position;                    /* .. and its place among the entries */
};

/* Of PREKEYS. */
struct vault_prekeys {
	uint64_t now_s;          /* the node's time (server/prekeys.c) */
	uint64_t acknowledged;   /* the newest number whose record a peer holds */
	struct prekey published; /* the newest in logs of this node; number 0: none */
	bool wanted;             /* an erasure has run here */
	/* out */
	bool full; /* a new one waits for room */
	struct prekey newest;
	struct prekey_table table;
};
/* Another node, as the directory and its log have it now. */
enum { VAULT_FORMER_MAX = 8 };
struct vault_recipient {
	char node[LIMIT_NODE_NAME + 1], country[4];
	struct hash node_key; /* SHA-256 of it */
	/* .. and of those that the same machine had before it, the newest first. */
	struct hash former[VAULT_FORMER_MAX];
	size_t former_count;
	struct prekey prekey; /* the newest under that key; number 0: none is known */
	bool auditor;         /* by its role, and not revoked */
	bool ready;           /* keys may leave for it now */
};
struct vault_grant {
	struct vault_recipient *recipients; /* owned */
	size_t recipient_count;
	size_t taken_back; /* of RELEASE, at its end: so many at the start of refs are revoked */
	char to[LIMIT_NODE_NAME + 1];
	char purpose[33], until[11]; /* until: ""; out: the last day */
	uint16_t groups;             /* 0: what the consent names; out: which */
	uint32_t basis;              /* 0: a consent; or GRANT_BREAK_GLASS (cases/keys/given.h) */
	bool history;
	uint8_t id[16];                 /* of the grant: the event_id of its ACCESS_GRANTED */
	char event_id[37], consent[37]; /* out: of the grant; of the CONSENT_RECORDED, or "" */
	size_t keys;                    /* out */
};

/* What is to be done about an erasure, one thing at a time. */
enum erase_todo {
	ERASE_TODO_NOTHING,
	ERASE_TODO_ORDERED,  /* mail: lines -> the ledger */
	ERASE_TODO_OBEYED,   /* .. */
	ERASE_TODO_COMPLETE, /* .. */
	ERASE_TODO_RESEAL,   /* ERASE_RESEAL until it gives no more entries */
	ERASE_TODO_NOTE,     /* mail: lines -> the case, recorded by `second` */
	ERASE_TODO_ORDER,    /* mail -> to, of the kinds of certs/mail_erase.h */
	ERASE_TODO_RECEIPT,
	ERASE_TODO_HOLD,
};
/* Of ERASE_x. */
struct vault_erase {
	/* BEGIN: what of the case, and why */
	uint32_t scope;  /* enum erasure_scope */
	uint16_t groups; /* of ERASE_GROUPS */
	char event[37];  /* of ERASE_EVENT, ERASE_NOTE */
	char basis[33], asked_by[33];
	/* HOLD */
	char authority[LIMIT_ERASE_TEXT + 1], second[65], until[11];
	/* TAKE: who sent it, and which kind it is */
	char sender[LIMIT_NODE_NAME + 1];
	struct hash sender_key; /* SHA-256 of its node key in the directory */
	bool confirmed;         /* an officer has compared its words; the vault looks itself, too */
	uint32_t kind, verdict; /* enum order_verdict */
	bool ran;               /* out of NEXT, TAKE: keys were destroyed */
	bool waits;             /* out of NEXT: for the escrow */
	size_t open, held; /* out of NEXT: own ones that are not complete; orders that are held */
	/* NEXT, DID */
	uint32_t todo;
	uint8_t order_id[16];
	char of[LIMIT_NODE_NAME + 1],
		to[LIMIT_NODE_NAME + 1]; /* of: who ordered it, "": this node */
};

/* Another node, as the directory and its log have it now. */
struct vault_custodian {
	char node[LIMIT_NODE_NAME + 1];
	struct ed25519_public key;
	struct prekey prekey; /* the newest; number 0: none is known */
};
enum { ESCROW_STEP_CHUNKS = 16, ESCROW_CUSTODIANS = 3 /* when none are configured */ };
struct vault_escrow {
	/* in */
	struct vault_custodian *nodes; /* owned: all active members but this one */
	size_t node_count;
	char wanted[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1]; /* who is to be a custodian */
	size_t wanted_count;
	bool configured; /* these and no others; else the first of them that are not yet */
	uint64_t ticket; /* of what is written: out of ESCROW, into ESCROW_WRITTEN */
	struct ed25519_public signers[LIMIT_ESCROW_SIGNERS]; /* node keys of this node */
	size_t signer_count;
	struct x25519_public recovery_key;
	struct prekey own_prekey; /* what answers are to be sealed to */
	bool writable, drill, reshare;
	bool ask;       /* of RECOVER_LOOK: custodians, for what is missing */
	enum err error; /* of ESCROW_WRITTEN */
	/* out */
	enum { VAULT_ESCROW_NOTHING, VAULT_ESCROW_CHUNKS, VAULT_ESCROW_MANIFEST } what;
	struct escrow_chunk chunks[ESCROW_STEP_CHUNKS]; /* sealed: views into request->file */
	size_t chunk_count;
	struct escrow_manifest manifest; /* owned; names are views into the vault's options */
	bool pending;                    /* there is more to be done at once */
	bool erasing;                    /* an erasure waits for what is written */
};
/* A packed MailBody, to be signed and sent. */
struct vault_letter {
	struct vault_letter *next;
	struct buf body;
};
/* What leaves for somebody without a node. On consent, or because the law demands it. */
struct vault_packet {
	char recipient[129], purpose[49]; /* purpose: a code; "": any */
	char format[16];                  /* a code of the list packet_formats */
	char legal_basis[129];            /* "": on consent */
	uint16_t groups; /* a group_set; 0: what the consent covers, without names */
	/* out */
	char office[4];  /* where the node has no country: that of the case's last event; "" */
	struct buf line; /* EXTERNAL_PACKET; on a legal basis none */
	char id[37], consent[37], until[11]; /* its reference; the consent's event; its last day */
};

/* What was opened without consent (vault/approvals.h). */
enum vault_approval_op {
	APPROVAL_OP_NEW,    /* name: of the case, one: kind, to, groups, reason.. -> one; mail: what
			     * others are asked. Nothing is kept yet */
	APPROVAL_OP_PUT,    /* one: it stands in the ledger, and is kept from now on */
	APPROVAL_OP_JUDGE,  /* prefix, officer, approve -> one, verdict. Nothing changes */
	APPROVAL_OP_DECIDE, /* the same; it stands in the ledger, and counts. Of another node's:
			     * mail, the answer */
	APPROVAL_OP_TICK,   /* -> one, found: a row that the ledger lacks something of */
	APPROVAL_OP_SAID,   /* one: the ledger has its state */
	APPROVAL_OP_VICTIM, /* prefix, one: victim_told_on -> one */
	APPROVAL_OP_LIST,   /* -> docs */
};
struct vault_approval {
	enum vault_approval_op op;
	struct approval one;
	char prefix[APPROVAL_ID_TEXT + 1]; /* the beginning of an id, in hex: 4 digits or more */
	bool approve, found;
	enum approval_verdict verdict;
};
/* Receipts of victims (vault/receipts.h). */
enum vault_receipts_op {
	RECEIPTS_MAKE, /* name, medium, risk_on -> words, line: to be recorded before the words
			  leave */
	RECEIPTS_DROP, /* event_id: it could not be recorded */
	RECEIPTS_SHOW, /* name, held -> docs */
	RECEIPTS_STEP, /* held, node_s, writable -> body: a record to be appended now, or nothing */
};
struct vault_receipts {
	enum vault_receipts_op op;
	char medium[16], risk_on[11];
	char event_id[37];
	char words[RECEIPT_TEXT_MAX]; /* secret */
	struct buf line, body;
	uint64_t due_s; /* out of MAKE: the next batch */
	bool writable;
};
struct vault_approval_counts {
	uint32_t waiting, approved, refused, withdrawn; /* this node's */
	uint32_t asked;                                 /* others', that wait for an officer here */
	uint32_t due;                                   /* the ledger lacks something of them */
};

struct vault_doc {
	struct buf json;
	struct vault_doc *next;
};

struct vault_request {
	enum vault_type type;
	void *arg; /* the asker's */
	/* Who on the loop gets the answer, and takes it: `loop` is the runtime, NULL at the end,
	 * when nobody is left to be told. NULL: a client's, control's or the mail's. */
	void (*answered)(void *loop, struct vault_request *done);
	/* in */
	struct secret passphrase; /* released by the vault when used */
	struct buf lines;         /* JSON lines; wiped by the vault */
	bool dry_run, trial_end;
	uint64_t trial, client; /* of a dry run that goes on; trial 0: it stands alone */
	struct secret new_passphrase;
	uint32_t new_roles;
	uint64_t boot_ms;       /* of what tries a passphrase: the clock of officers/lockout.h */
	bool renew;             /* UNLOCK: the own log is never signed again */
	uint64_t turn;          /* .. of the guard's state, when it was asked for */
	uint64_t now_s, now_ms; /* wall clock: recorded_at and event ids that are absent */
	uint64_t node_s;        /* of UNLOCK, RECEIPTS: the node's time; of UNLOCK 0: now_s */
	/* Who asks; of UNLOCK: whose slot, "" the only one, and out whose it was, with the roles.
	 * Of SEAL: recorded_by where it is absent. Of SHOW: who looks, "": no person. */
	char officer[65];
	uint32_t roles;                  /* enum account_role */
	char purpose[LIMIT_PURPOSE + 1]; /* of SHOW: why, as far as was said */
	/* Of REVEAL. group "": the event's own; out: which it is. */
	char event_id[37], group[16], to[LIMIT_PURPOSE + 1];
	bool open;
	struct hash revealed;
	struct ed25519_public node_key; /* of CONFIRM */
	uint64_t since_s;
	bool with_views;
	bool head_only;                   /* of SHOW: which case it is, alone; no view */
	char format[16];                  /* a code of the list export_formats */
	char name[LIMIT_NODE_NAME + 100]; /* of a case: code or reference */
	char draft_type[49];
	struct vault_find find;
	char today[11];          /* of TODAY; "": that of now_s */
	struct vault_held *held; /* owned; what is not in it nobody holds */
	size_t held_count;
	struct vault_approval *approval; /* owned; of APPROVAL alone */
	/* Out of every answer of an unlocked node. */
	struct vault_approval_counts approvals;
	bool approvals_told;
	uint64_t unheld_since_s;           /* since when the quorum lacks entries; 0: not known */
	struct vault_complaint *complaint; /* owned; of COMPLAIN alone */
	struct vault_prekeys *prekeys;     /* owned; of PREKEYS alone */
	struct vault_packet *packet;       /* owned; of PACKET alone */
	struct vault_erase *erase;         /* owned; of ERASE_x alone */
	struct vault_receipts *receipts;   /* owned; of RECEIPTS alone; wiped */
	bool relock; /* out: the vault has locked itself, since the keyring cannot be used */
	struct vault_grant *grant;    /* owned; of GRANT* */
	struct vault_escrow *escrow;  /* owned; of ESCROW*, RECOVER* */
	struct vault_letter *letters; /* out; owned by the request */
	bool grants_due; /* out of every answer: a GRANT_REVIEW has something to look at */
	/* Of MAIL_OPEN: SHA-256 of the node key of its sender that signed it. */
	struct hash sender_key;
	struct vault_custodian sender;
	bool sender_active;
	uint32_t refusal;   /* out of MAIL_OPEN: enum mail_refusal; 0: none */
	uint32_t mail_kind; /* .. of what was refused, as far as it is known */
	bool inbox_full;    /* MAIL_OPEN: a notice has to wait (ERR_FULL), a complaint does not */
	bool refused;       /* out of MAIL_OPEN: a complaint's keys that nobody takes */
	uint64_t awaited; /* out of UNLOCK, LIST, MAIL_OPEN: complaints of which only keys are here
			   */
	struct hash item;
	struct hash before;      /* the asker's: of MAIL_AGAIN, the item that it was */
	struct prekey to_prekey; /* of another node */
	struct buf mail;         /* in and out; wiped by whoever frees the request */
	struct buf copy;         /* sealed */
	uint32_t outcome;
	uint64_t index, end;
	/* Out of UNLOCK, SHOW, KEYS_SAFE: there is a recovery key; and of SHOW: the keys of the
	 * case's newest entry are safe by it. */
	bool escrow_set, keys_safe;
	uint64_t batch,
		wave; /* out of SEAL and RESEAL with entries; batch: into COMMITTED, ABORTED */
	/* out */
	enum err result;
	struct errctx ctx;
	enum trouble trouble;
	uint32_t line;           /* the 1-based line an error is about; 0: none */
	struct vault_keys *keys; /* owned by the receiver */
	struct entries *entries; /* one reference, the receiver's */
	uint64_t added, known;   /* events */
	uint64_t cases, events;
	uint64_t wait_s;     /* of UNLOCK and OFFICER_PASSPHRASE: not tried, too many were wrong */
	uint64_t unread;     /* of UNLOCK: own entries that no key opens */
	uint64_t view_bytes; /* of UNLOCK: memory for events and entries, beside cases and keys */
	/* Of every answer: views of cases that wait for VIEWS, and how many were lost since the
	 * start: there was no room for them, or the node was locked before they were written. */
	uint64_t views_waiting, views_lost;
	bool views_told; /* false: the vault has not looked at it */
	struct vault_doc *docs;
	struct buf file; /* plaintext; wiped by whoever frees the request */
	struct buf refs; /* of the cases in it, VAULT_REF_SIZE each */
	struct hash file_hash;
	uint16_t groups; /* a group_set */
	/* Of SEAL: the log the entries are sealed for. Of SHOW: where the case's newest entry
	 * stands, at `index`; "": nowhere yet. */
	char log_origin[LIMIT_LOG_NAME + 1];
	struct vault_request *next;
	bool waiting;   /* the vault's own */
	uint64_t locks; /* likewise: vault_lock_now came so often before it */
};
struct vault_request *vault_request_new(enum vault_type type, void *arg); /* NULL: no memory */
void vault_request_free(struct vault_request *request); /* wipes and frees all it holds */

enum err vault_start(
	const struct vault_opts *opts, struct vault **ret, struct errctx *ctx) MUST_USE;
void vault_submit(struct vault *vault, struct vault_request *request); /* takes it; never blocks */
struct vault_request *vault_done(struct vault *vault); /* finished ones in order; NULL: none */
/* Takes `lock`, a LOCK: it is next. Every other request that was submitted before is answered with
 * ERR_LOCKED at once, and wiped, but for those that tell the end of a batch; the one under way is
 * given up at its next entry, line or part (scrypt and one write to the disk are waited for). The
 * loop's thread alone. */
void vault_lock_now(struct vault *vault, struct vault_request *lock);
/* For what vault_done gave before such a lock and is not looked at yet: its answer is wiped, and is
 * ERR_LOCKED. A SEAL whose entries wait for their commit keeps them. */
void vault_overtake(struct vault *vault, struct vault_request *done);
/* Answers what is queued with ERR_CANCELED, locks, joins. vault_done still gives the rest. */
void vault_stop(struct vault *vault);
void vault_free(struct vault *vault);

#endif
