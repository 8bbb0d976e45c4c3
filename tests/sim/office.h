/*
 * office: what hacked.h is made of. Apart from it, since cases and the engine have words in common.
 */
#ifndef TESTS_SIM_OFFICE_H
#define TESTS_SIM_OFFICE_H

#include "cases/keys/given.h"
#include "cases/keys/order.h"
#include "cases/keys/received.h"
#include "cases/keys/trust.h"
#include "certs/mail.h"
#include "replication/log/checkpoint.h"
#include "tests/sim/hacked.h"

enum {
	HACKED_NODES = 6, /* headquarters, and at most so many offices more */
	HACKED_KEYS = 96,
	HACKED_ITEMS = 4096,
	HACKED_RECORDS = 128,
	HACKED_IDENTITIES = 128,
	HACKED_DAY_S = 24 * 3600,
	OFFICE_KEYS = 512,
	OFFICE_PREKEYS = 256,
	OFFICE_ERASURES = 512,
};

/* Why something was not done. */
enum refusal {
	REFUSAL_NOT_HERE,    /* another's mail */
	REFUSAL_UNSIGNED,    /* not by the key that the directory has */
	REFUSAL_UNOPENABLE,  /* sealed to no prekey of here, or to one that is destroyed */
	REFUSAL_FORM,        /* not what its kind must be */
	REFUSAL_KEYS,        /* keys that are not its sender's, or are known as something else */
	REFUSAL_CASE,        /* of a case that is not its sender's to give */
	REFUSAL_ERASED,      /* keys that were destroyed here on order */
	REFUSAL_UNCONFIRMED, /* no officer has compared the words of the recipient's key */
	REFUSAL_WORDS,       /* an officer did, and they are others */
	REFUSAL_ORDER,       /* + enum order_verdict */
	REFUSALS = REFUSAL_ORDER + ORDER_ANOTHER + 1
};
const char *refusal_name(size_t refusal);

/* A key pair of a name, the node's or of headquarters' making. */
struct identity {
	struct signer *node;
	struct member member;
	struct origin origin;
	char name[LIMIT_NODE_NAME + 1];
	bool is_false;
	struct hash hash;     /* SHA-256 of its node key */
	struct prekey prekey; /* of a false one */
	uint8_t half[X25519_KEY_SIZE];
};

struct office_key {
	char author[LIMIT_NODE_NAME + 1];
	struct case_ref ref;
	uint32_t group;
	struct seal_kid kid;
	uint8_t k[SEAL_KEY_SIZE];
};
struct office_prekey {
	struct prekey prekey;
	uint8_t half[X25519_KEY_SIZE];
	uint64_t gone_at; /* 0: it is the newest */
	bool gone;
};
struct known_prekey {
	struct prekey prekey; /* number 0: none */
	struct ed25519_public signer;
};

struct office {
	size_t number;
	const char *name;
	struct identity *self;
	uint32_t epoch;
	struct directory *directory;
	size_t fed;  /* records of the true directory that it has seen */
	bool frozen; /* .. and sees no more */
	struct office_key keys[OFFICE_KEYS];
	size_t key_count;
	struct office_prekey prekeys[OFFICE_PREKEYS];
	size_t prekey_count;
	struct known_prekey known[HACKED_NODES + 1];
	struct trust trust;
	struct given given[256];
	size_t given_count;
	struct received received[256];
	size_t received_count;
	struct erasure erasures[OFFICE_ERASURES];
	size_t erasure_count;
	struct row_name tombs[1024];
	size_t tomb_count;
	size_t custody[256]; /* items that wait for an officer to unlock */
	size_t custody_count;
};

struct hacked_item {
	struct buf packed;
	bool handed; /* at least once to its recipient */
};

/* What is true of a key of an honest author. */
struct truth {
	size_t author;
	struct case_ref ref;
	uint32_t group;
	struct seal_kid kid;
	uint8_t k[SEAL_KEY_SIZE];
	bool to_hq;                 /* its author gave it to the real headquarters */
	bool here[HACKED_NODES];    /* after the last step */
	bool ordered[HACKED_NODES]; /* its author wants it gone from there */
};

struct hacked {
	uint64_t random;
	bool trace;
	char *failure; /* the first thing that must not happen */
	enum hacked_skip skip;
	size_t nodes;
	uint64_t now_s;
	struct office *offices; /* HACKED_NODES; 0 is headquarters */
	struct truth truths[HACKED_KEYS];
	size_t truth_count;
	struct hacked_item items[HACKED_ITEMS];
	size_t item_count;
	struct buf records[HACKED_RECORDS]; /* of the true directory */
	size_t record_count;
	struct buf prekeys[1024]; /* records in logs of nodes */
	size_t prekey_owner[1024], prekey_count;
	struct identity identities[HACKED_IDENTITIES];
	size_t identity_count;
	bool substituted[HACKED_NODES]; /* in some view of the directory */
	unsigned substitutions[HACKED_NODES];
};

struct hacked_counts {
	uint64_t steps, items, handed, grants, taken, orders, obeyed, receipts, complete,
		substitutions, hospitals, forged, replayed, blocked, refused[REFUSALS];
};
extern struct hacked_counts hacked_counts;

/* hacked.c */
struct identity *hacked_identity(struct hacked *h, size_t number); /* of that name, new keys */
void hacked_bytes(struct hacked *h, uint8_t *out, size_t size);
uint64_t hacked_random(struct hacked *h, uint64_t below);
void hacked_say(const struct hacked *h, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void hacked_fail(struct hacked *h, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hacked_refuse(struct hacked *h, const struct office *o, size_t refusal);
void hacked_replaced(struct hacked *h, const struct identity *fresh, uint32_t epoch,
	const struct signer *by, struct buf *out);
size_t hacked_number(const struct hacked *h, const char *name); /* HACKED_NODES: of no office */

/* office.c */
struct draft {
	enum mail_kind kind;
	const char *to;
	struct bytes content;
	const struct prekey *prekey;
};
void office_send(struct hacked *h, const struct identity *from, const struct draft *draft);
void office_key_new(struct hacked *h, struct office *o);
void office_prekey_new(struct hacked *h, struct office *o);
void office_prekeys_destroy(struct hacked *h, struct office *o); /* what is due */
void office_confirm(struct hacked *h, struct office *o, size_t of);
void office_grant(struct hacked *h, struct office *o, const char *to);
void office_hear_prekey(struct hacked *h, struct office *o, struct bytes entry, size_t of);
/* Headquarters hands it over; it is signed well, and waits; then it is processed. */
void office_hear(struct hacked *h, struct office *o, size_t item);
void office_unlock(struct hacked *h, struct office *o);
struct office_key *office_find(struct office *o, const char *author, const uint8_t *kid);
bool office_tomb(const struct office *o, const char *author, const uint8_t *kid);
bool office_confirmed(const struct office *o, const char *name, const struct hash *key);

/* office_orders.c */
void office_erase(struct hacked *h, struct office *o, size_t truth);
void office_withdraw(struct hacked *h, struct office *o);
void office_ask(struct hacked *h, struct office *o);  /* orders that are not receipted */
void office_tell(struct hacked *h, struct office *o); /* receipts that are due */
void office_order(
	struct hacked *h, struct office *o, const struct order_sender *sender, struct bytes body);
void office_receipt(
	struct hacked *h, struct office *o, const struct order_sender *sender, struct bytes body);

/* hacked_moves.c */
void hacked_move(struct hacked *h);
void hacked_feed(struct hacked *h, struct office *o); /* all of the true directory */

/* hacked_check.c */
void hacked_look_sent(struct hacked *h, struct bytes packed); /* what headquarters can open of it */
void hacked_look(struct hacked *h);
bool hacked_settled(struct hacked *h, bool tell);

#endif
