/*
 * What the files of the vault share. All of it belongs to the vault's thread; nothing is locked.
 *
 *   book.c    what is held while unlocked, and its rebuilding out of keyring and logs
 *   finder.c  where in a log the entries with a locator are, for the time of an unlock
 *   complaint.c  complaints about staff: sealed here for another node, or for this one
 *   foreign.c keys of other nodes, and what their logs hold under them
 *   states.c  what each case is now
 *   plan.c    lines -> checked parts; changes nothing
 *   trials.c  plans that are only tried, over several requests
 *   batch.c   checked parts -> new keys, reserved numbers, sealed entries; and their end
 *   show.c    opened events -> documents
 *   export.c  cases as a file
 *   reveal.c  one part opened for somebody who has no key (reveal.h)
 *   receipts.c  what victims keep of a first contact (receipts.h); receipts_batch.c  into the log
 *   disclose.c  the ledger, and the consents it cites, for whoever is to check them
 *   packet.c  what an organisation without a node gets of a case
 *   ledger.c  the node's own ledger: its events, the views that wait, reading it
 *   queries.c states -> documents: lists, what wants doing, what a form needs
 *   epoch.c   a new log in place of one that is never signed again
 *   drafts.c  events that are not recorded yet (drafts.h)
 *   officers.c  the keystore, its slots and accounts
 *   prekeys.c the private halves of prekeys, and when they come and go
 *   mail.c    what is sealed to them
 * and in rooms of their own:
 *   grants/   keys given and received; keys that officers confirmed; second words
 *   erase/    keys that are to be gone, here and by order; off the disk
 *   escrow/   own keys where they can be had again, and others' version keys
 */
#ifndef SERVER_VAULT_INTERNAL_H
#define SERVER_VAULT_INTERNAL_H

#include <stdatomic.h>

#include "cases/book/casebook.h"
#include "cases/fold/timeline.h"
#include "cases/keys/trust.h"
#include "cases/rules/rules.h"
#include "cases/seal/row.h"
#include "cases/seal/seal.h"
#include "server/officers/lockout.h"
#include "server/store/keyring.h"
#include "server/vault/vault.h"

/* A response has more in it than the document. */
enum { VAULT_DOC_MAX = LIMIT_CONTROL_RESPONSE - 1024 };

/* Random bytes, drawn 16 KiB at a time: a call for each entry would cost a third of sealing. */
struct pool {
	uint8_t bytes[16 * 1024];
	size_t left;
};
enum err pool_draw(struct pool *pool, void *ret, size_t size) MUST_USE; /* at most all of it */
void pool_wipe(struct pool *pool);
/* Fisher-Yates: order becomes 0 .. count - 1 in an order of chance. */
enum err pool_shuffle(struct pool *pool, uint32_t *order, size_t count) MUST_USE;

/* A log this node writes or wrote. */
struct book_log {
	struct origin origin; /* its name: of a branch not what it was sealed for */
	struct hash hash;     /* O */
	uint64_t kept;        /* of an older one: so many entries are known to stand at a mirror */
	uint64_t size;        /* before its entries were looked for */
};
enum { BOOK_OWN_LOG = 0, BOOK_LOGS_MAX = 3 * LIMIT_EPOCHS_PER_NODE /* and two branches of each */ };

struct destroy_opts;
struct erasures;
struct ledger;
struct receipts;
struct timeline;

struct book_opts {
	struct store *store;                  /* borrowed */
	struct keyring *keyring;              /* borrowed */
	const struct destroy_opts *destroy;   /* borrowed; what it points to may come later */
	const char *network, *node, *country; /* borrowed */
	bool compression;
	uint64_t now_s;          /* which views are today's */
	const atomic_bool *stop; /* polled between items: ERR_CANCELED */
};

struct foreign;
struct escrow;
struct grants;
struct approvals;

struct book {
	struct book_opts opts;
	struct trust trust; /* confirm.h: to whose keys may keys of cases be sealed? */
	struct casebook *cases;
	struct ledger *ledger;
	struct sealer *sealer;
	struct secret keyring_key;
	struct book_log logs[BOOK_LOGS_MAX]; /* BOOK_OWN_LOG is the one that is written */
	uint16_t log_count;
	struct seal_locator *away; /* complaint.c: of entries that no key here opens */
	size_t away_count;
	struct approvals *approvals; /* approvals.h */
	struct receipts *receipts;   /* receipts.h */
	struct foreign *foreign;     /* foreign.c: its logs have the numbers behind BOOK_LOGS_MAX */
	struct escrow *escrow;       /* escrow.h */
	uint64_t unread;             /* unread.c */
	uint64_t revealed_rows;      /* reveal.c; one that was written anew is counted again */
	struct erasures *erasures;   /* erase.h */
	bool broken;                 /* the keyring cannot be used until the next unlock */
	struct grants *grants;       /* grants.c */
	/* By the casebook's number of the case; NULL: to be folded when it is asked for. */
	struct case_state **states;
	size_t state_capacity;
	struct pool pool;
	/* Scratch memory, reserved whole: growing would leave plaintext behind. */
	struct buf entry, part, json;
};

/* Takes the keyring key and the origin out of `keys`. */
enum err book_open(const struct book_opts *opts, struct node_keys *keys, struct book **ret,
	struct errctx *ctx) MUST_USE;
void book_close(struct book *book);           /* wipes; NULL is fine */
uint64_t book_cases(const struct book *book); /* with at least one durable event */
/* ERR_CANCELED when what is under way is to be given up: asked between any two items of long work.
 */
static inline enum err book_go_on(const struct book *book)
{
	return atomic_load(book->opts.stop) ? ERR_CANCELED : OK;
}

/* The log that an entry of the casebook stands in, this node's or another's. */
const struct book_log *book_log_at(const struct book *book, uint16_t number);
/* Opens the i-th entry of a key, at `index` of a log, into book->part; the caller wipes it with
 * book_part_wipe. Errors of store_entry and seal_open. */
enum err book_read(struct book *book, const struct casebook_key *key, const struct casebook_at *at,
	struct errctx *ctx) MUST_USE;
void book_part_wipe(struct book *book);
/* An error of book_read, or of what looks at the part, that says the entry is at fault, not the
 * machine. */
bool book_unreadable(enum err err);
/* How many entries two histories of one log share. ERR_NOTFOUND: one of them is not here. */
enum err book_common(struct book *book, const struct book_log *a, const struct book_log *b,
	uint64_t *ret, struct errctx *ctx) MUST_USE;
/* Sealed entries of this node that are here and that no key of it opens, into book->unread. */
enum err book_count_unread(struct book *book, struct errctx *ctx) MUST_USE;

/* Numbers by what they are about: SHA-256(seed || tag || name), so that chosen ids cannot make it
 * slow and one table serves for all. */
struct plan_slot {
	uint8_t key[16];
	uint32_t value; /* plus one; 0: empty */
};
struct plan_map {
	uint8_t seed[16];
	struct plan_slot *slots;
	size_t size, count; /* size is a power of two, or 0 */
};
bool plan_map_find(const struct plan_map *map, char tag, struct bytes name, uint32_t *ret);
enum err plan_map_put(struct plan_map *map, char tag, struct bytes name, uint32_t value) MUST_USE;

struct plan_item {
	uint32_t kase;              /* of plan->cases */
	struct event_target target; /* for a CORRECTION behind it */
};
struct plan_part {
	uint32_t line;
	uint32_t kase; /* of plan->cases */
	uint32_t next; /* of the same case, plus one; 0: none */
	struct part_info info;
	struct buf packed;
};
/* A case that lines are about, as it will be once they are recorded. */
struct plan_case {
	struct case_ref ref;
	struct casebook_case *kase; /* NULL: opened by a line */
	struct case_state *state;
	uint32_t first_part, last_part; /* plus one; 0: none */
	uint32_t events;                /* this node's, known ones included */
	bool foreign;                   /* there are events of other nodes */
	bool received;                  /* another node's, that gave keys of it: and only.. */
	group_set granted;              /* .. these groups are recorded in; 0: no longer */
	bool thinned;                   /* parts of earlier lines are not kept */
	bool blurred;                   /* .. and so an event is missing in the state */
	size_t last_item;               /* of plan->items */
};
/* Events to be added, checked; in the order of the lines. */
struct plan {
	struct plan_case *cases;
	size_t case_count, case_capacity;
	struct plan_item *items;
	size_t item_count, item_capacity;
	struct plan_part *parts;
	size_t part_count, part_capacity;
	size_t part_bytes;
	uint64_t known; /* events left out because they are there already */
	bool on_way;    /* .. some of them reserved, and not durable yet */
	size_t opened;  /* cases */
	struct plan_map map;
	uint32_t ids_made;
	uint64_t refolded; /* parts */
};
enum err plan_init(struct plan *plan) MUST_USE;
void plan_release(struct plan *plan); /* wipes; zeroed ones are fine */
/* Takes the packed part over, also on failure. */
enum err plan_add_part(
	struct plan *plan, const struct part_info *info, struct buf *packed) MUST_USE;
/* Reads request->lines into a plan, which may have lines before; sets request->line and ctx on
 * failure: the plan is then of no more use. Changes nothing in the book but its pool, its scratch
 * and states that were not folded yet. ERR_AGAIN: entries on their way have to be read. */
enum err plan_make(struct book *book, struct vault_request *request, struct plan *plan) MUST_USE;
/* Of a plan that is only tried: once parts take too much room, gives back those of cases that no
 * item from `recent` on is about. */
void plan_thin(struct plan *plan, size_t bytes_max, size_t recent);
/* What the plan's cases will be is what they are: the plan is reserved and on its way. There must
 * be room (states_reserve). */
void plan_adopt(struct book *book, struct plan *plan);

/* The state of a case, folded now if need be; the book's. Errors of reading. */
enum err states_get(struct book *book, const struct casebook_case *kase,
	const struct case_state **ret, struct errctx *ctx) MUST_USE;
/* Out of the case's durable entries, and of parts that are to be recorded (plan may be NULL); the
 * caller's. What cannot be read is left out. *parts counts up what was read. */
enum err states_fold(struct book *book, const struct casebook_case *kase, const struct plan *plan,
	const struct plan_case *planned, struct case_state **ret, uint64_t *parts,
	struct errctx *ctx) MUST_USE;
enum err states_reserve(struct book *book, size_t cases) MUST_USE; /* room for so many */
void states_put(
	struct book *book, const struct casebook_case *kase, struct case_state *state); /* takes */
void states_drop(
	struct book *book, const struct casebook_case *kase); /* folded anew when asked for */
void states_release(struct book *book);
struct batch;
void states_take_back(struct book *book, const struct batch *batch); /* .. and all behind it */
size_t states_memory(const struct book *book);

/* May the officer of the request see the case? A supervisor sees all, an officer those that say
 * so. */
bool officer_sees(const struct vault_request *request, const struct case_state *state);
void request_today(const struct vault_request *request, char ret[11]);

/* Entries on their way to the log: reserved, sealed, not durable yet. */
struct batch {
	struct batch *next;
	uint64_t number;
	enum { BATCH_ON_WAY, BATCH_COMMITTED, BATCH_ABORTED } state;
	uint64_t index;
	struct casebook_ticket *tickets; /* one for each entry, in the order of the entries */
	size_t count;
};
void batch_release(struct batch *batch);
/* Makes and stores the keys that are missing, reserves, seals, shuffles. On failure nothing of it
 * stays reserved; keys may stay. *ret_line is set where the error is about a line. The plan has
 * parts. */
enum err batch_seal(struct book *book, struct plan *plan, struct batch *ret,
	struct entries **ret_entries, uint32_t *ret_line, struct errctx *ctx) MUST_USE;
/* The same of parts that stand in older epochs of this node. */
enum err batch_seal_again(struct book *book, struct plan *plan, struct batch *ret,
	struct entries **ret_entries, struct errctx *ctx) MUST_USE;
void batch_commit(struct book *book, const struct batch *batch, uint64_t index);

struct officers {
	const struct vault_opts *opts;
	struct secret master; /* of the keystore; empty: locked */
	struct lockout lockout;
};
/* Reads the keystore and opens the slot that request->officer names ("": the only one); the name
 * and the roles go into the request. ERR_INVALID: which one must be said. */
enum err officers_unlock(struct officers *officers, struct vault_request *request,
	struct buf *ret_file, struct node_keys *ret, struct secret *ret_master) MUST_USE;
/* The requests OFFICER_x. */
enum err officers_answer(struct officers *officers, struct vault_request *request) MUST_USE;
/* Replaces the keystore by one with these keys, durably. `file` is what it was. */
enum err officers_write(const struct vault_opts *opts, struct bytes file,
	const struct secret *master, const struct node_keys *keys,
	const struct keystore_change *change, struct errctx *ctx) MUST_USE;

/* Before the book is opened: settles which log is written. Where the keystore's is never signed
 * again, a new origin and key are made, written to the guard and then to the keystore, in that
 * order; an interrupted attempt is finished. `file` is the keystore as read; keys are changed.
 * *ret_previous is the epoch before when the log has not begun yet, or "". */
struct epoch_opts {
	const struct vault_opts *vault;
	struct bytes file;
	const struct secret *master;
	bool renew;
};
enum err epoch_settle(const struct epoch_opts *opts, struct node_keys *keys,
	char ret_previous[LIMIT_ORIGIN + 1], struct errctx *ctx) MUST_USE;
/* The next entries of older epochs that are to be sealed again, as batch_seal; no parts in
 * ret_plan: nothing is left. *ret_unread counts entries that cannot be opened. */
enum err epoch_plan(struct book *book, struct plan *ret_plan, uint64_t *ret_unread,
	struct errctx *ctx) MUST_USE;

/* The private halves, while unlocked. */
struct mailbox {
	struct node_prekey prekeys[PREKEYS_MAX];
	size_t prekey_count;
	struct secret complaint_key, inbox_key;
};
/* At unlock: makes the first prekey and the inbox key where there is none, and destroys what is
 * due: durable in the keystore before anybody hears of it. A keystore that cannot be written stays
 * as it is, and so do the keys. `file` is the keystore as read. */
void mailbox_settle(const struct epoch_opts *opts, uint64_t now_s, struct node_keys *keys);
/* The newest (number 0: none), and all of them. */
enum err mailbox_table(const struct node_keys *keys, struct prekey *ret_newest,
	struct prekey_table *ret_table) MUST_USE;
void mailbox_take(struct mailbox *box, struct node_keys *keys); /* out of keys */
void mailbox_release(struct mailbox *box);
/* NULL: there is none of that number, or it is gone. */
const struct secret *mailbox_private_half(const struct mailbox *box, uint64_t number);
/* PREKEYS: what is due by what the loop knows, into the keystore first. */
enum err mailbox_advance(
	struct officers *officers, struct mailbox *box, struct vault_request *request) MUST_USE;
enum err mailbox_open(
	struct mailbox *box, struct book *book, struct vault_request *request) MUST_USE;
enum err mailbox_show(
	const struct mailbox *box, const struct book *book, struct vault_request *request) MUST_USE;
/* MAIL_MAKE, MAIL_AGAIN: a notice, and its copy until the end has come. ERR_LIMIT: it was sealed
 * LIMIT_MAIL_TRIES times again. */
enum err mailbox_make(
	const struct mailbox *box, const struct book *book, struct vault_request *request) MUST_USE;
enum err mailbox_again(
	const struct mailbox *box, const struct book *book, struct vault_request *request) MUST_USE;
/* MAIL_MOVE: the same row under the inbox key. */
enum err mailbox_move(
	const struct mailbox *box, const struct book *book, struct vault_request *request) MUST_USE;

/* Members of the ledger's events. */
#define LEDGER_WHO     "who"
#define LEDGER_CASE    "case"
#define LEDGER_GROUPS  "groups"
#define LEDGER_PURPOSE "purpose"

enum err ledger_new(uint64_t now_s, struct ledger **ret) MUST_USE;
void ledger_free(struct ledger *ledger); /* wipes; NULL is fine */
/* Once the keys are known: which case it is, if it has begun. */
void ledger_find(struct book *book);
/* An entry of the own log was opened into book->part. */
void ledger_noted(struct book *book, const struct part_info *info);
/* The case that it is; NULL: nothing stands in it yet. */
struct casebook_case *ledger_case(const struct book *book);
/* No event of a case may name it. */
bool ledger_is(const struct book *book, const struct case_ref *ref);
/* Has it a key of the group audit? */
bool ledger_has_audit(const struct book *book);
/* Events of the ledger in request->lines, as JSON without what the node says itself. As plan_make.
 */
enum err ledger_plan(struct book *book, struct vault_request *request, struct plan *ret) MUST_USE;
/* The same of events that this node makes: `lines` may say their event_id. */
enum err ledger_plan_own(struct book *book, struct vault_request *request, struct bytes lines,
	struct plan *ret) MUST_USE;
/* May it stand in the ledger? Asked before anything is shown: a view that cannot be written would
 * stand before all others. ERR_INVALID. */
enum err ledger_check_purpose(struct vault_request *request) MUST_USE;
/* request->officer has seen these groups of the case. Never fails: what cannot be kept is counted
 * as lost. */
void ledger_view(struct book *book, const struct vault_request *request, const struct case_ref *ref,
	group_set groups);
/* The oldest views that wait, as parts; none: nothing waits, or a batch of them is on its way. What
 * becomes of them is told with the number of their batch. */
enum err ledger_views_plan(struct book *book, struct plan *ret, struct errctx *ctx) MUST_USE;
void ledger_views_sent(struct ledger *ledger, uint64_t batch, size_t count);
void ledger_batch_ended(struct ledger *ledger, uint64_t batch, bool committed);
/* Views that are not durable; those that found no place. */
void ledger_count(const struct ledger *ledger, uint64_t *ret_waiting, uint64_t *ret_lost);
uint64_t ledger_views_kept(const struct ledger *ledger); /* not on their way either */
enum err ledger_list(struct book *book, struct vault_request *request) MUST_USE;

/* Moves what was written into book->json to a document of its own size behind *last. */
enum err show_doc(struct book *book, struct vault_doc ***last) MUST_USE;
/* A packet of one case (packet.c). */
enum err packet_make(struct book *book, struct vault_request *request) MUST_USE;
/* Opens all parts of the case into the timeline and finishes it; counts entries that cannot be
 * read. */
enum err show_read(struct book *book, const struct casebook_case *kase, struct timeline *timeline,
	uint64_t *ret_unread, struct errctx *ctx) MUST_USE;
enum err export_cases(struct book *book, struct vault_request *request) MUST_USE;
/* reveal.c. An entry of this node, and with it P, which is remembered first. */
enum err reveal_part(struct book *book, struct vault_request *request) MUST_USE;
enum err show_case(struct book *book, struct vault_request *request) MUST_USE;
/* LIST, FIND, TODAY, FORM. */
enum err query_cases(struct book *book, struct vault_request *request) MUST_USE;

/* {"case_ref":.. without the closing brace. */
void docs_put_case(struct buf *json, const struct casebook_case *kase, uint64_t events);
void docs_put_summary(struct buf *json, const struct case_summary *summary);
/* Of a request's `held`: does the quorum hold this entry, or another of the same part? */
bool entry_synced(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, const struct casebook_entry *entry);
/* .. all that is known of it there, but its keys and how many are needed: of the place where it is
 * held best. */
struct safe_state;
void entry_state(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key, const struct casebook_entry *entry, struct safe_state *ret);
/* Events of this node in the case of which the quorum does not hold all. */
enum err unsynced_events(const struct book *book, const struct vault_request *request,
	const struct casebook_case *kase, uint64_t *ret) MUST_USE;
/* The case of request->name, if the officer may see it; ERR_NOTFOUND says that none is known. */
enum err case_named(struct book *book, struct vault_request *request,
	const struct casebook_case **ret, const struct case_state **ret_state) MUST_USE;

/* Dry runs that go on (vault.h). */
struct trials {
	struct trial *first;
};
/* The trial's plan, begun when it is new. ERR_LIMIT: too many, or of too many events. */
enum err trials_plan(struct trials *trials, const struct vault_request *request, struct plan **ret,
	struct errctx *ctx) MUST_USE;
void trials_end(struct trials *trials, uint64_t client, uint64_t number); /* number 0: all of it */
void trials_expire(struct trials *trials, uint64_t now_ms);
void trials_clear(struct trials *trials);
/* Events that all of them hold. */
uint64_t trials_events(const struct trials *trials);

#endif
