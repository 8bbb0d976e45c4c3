/* Words of erasing that those need who know nothing of events: what is erased, and what was thought
 * of an order or an answer (order.h). */
#ifndef CASES_KEYS_VERDICT_H
#define CASES_KEYS_VERDICT_H

/* Final: they stand on the disk. */
enum erasure_scope {
	ERASE_KEYS = 0, /* keys that somebody else held, after a withdrawal */
	ERASE_CASE = 1,
	ERASE_GROUPS = 2,
	ERASE_EVENT = 3,
	ERASE_NOTE = 4, /* of an event */
};
const char *erasure_scope_name(enum erasure_scope scope); /* "case" */

/* Numbers are said in logs and in the list of what was refused: final. */
enum order_verdict {
	ORDER_GOOD = 0,
	ORDER_NOT_AUTHOR = 1, /* a key in it is not the sender's */
	ORDER_NOT_KEY = 2,    /* another node key gave it, and nobody has confirmed this one */
	ORDER_UNKNOWN = 3,    /* a receipt or hold of an order that was not given */
	ORDER_NOT_ASKED = 4,  /* .. or not to that node */
	ORDER_TOO_MUCH = 5,   /* .. or of something else than was ordered */
	ORDER_ANOTHER = 6,    /* an order's id that stands for other keys */
};
const char *order_verdict_text(enum order_verdict verdict); /* for people */

#endif
