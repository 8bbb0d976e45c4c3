/*
 * Why mail is refused: what its end says (MAIL_REFUSED) says nothing of it, and here it is recorded
 * (server/keys/refused.h). Numbers stand in rows: final.
 */
#ifndef SERVER_VAULT_REFUSAL_H
#define SERVER_VAULT_REFUSAL_H

enum mail_refusal {
	REFUSED_NOT = 0,
	REFUSED_FORM = 1,   /* not what its kind must be */
	REFUSED_SENDER = 2, /* no active member, or not who may send it */
	REFUSED_KEYS = 3,   /* keys that are not the sender's, or are known as something else */
	REFUSED_CASE = 4,   /* of a case that is not the sender's to give */
	REFUSED_ERASED = 5, /* keys that were destroyed here on somebody's order */
	REFUSED_ENDED = 6,  /* its last day has passed */
	REFUSED_SIGNER = 7, /* not the node key that it must be */
	REFUSED_LAST = REFUSED_SIGNER,
};

#endif
