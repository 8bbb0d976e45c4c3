/*
 * ledger: the loop's half of the node's own ledger (server/vault/ledger.c): events go into it by
 * ledger_write, and the views of cases that the vault collects are asked for a little later,
 * together.
 *
 * What may not leave the node before the ledger says so waits for ledger_write: done(OK) comes once
 * the event is durable, never before.
 *
 * Views wait while the node cannot record; the vault keeps a bounded number of them and counts the
 * others. A lock, or the end of the program, waits for them no longer than LEDGER_FLUSH_MS.
 */
#ifndef SERVER_LEDGER_H
#define SERVER_LEDGER_H

#include <jansson.h>

#include "server/runtime.h"

enum { LEDGER_VIEWS_MS = 5 * 1000, LEDGER_RETRY_MS = 30 * 1000, LEDGER_FLUSH_MS = 1000 };

/* Where the event stands. */
struct ledger_place {
	const char *origin; /* valid during the call */
	uint64_t index;
};
/* error: why it is not in the ledger; `why` says it in words. */
typedef void (*ledger_done)(
	void *arg, enum err error, const char *why, const struct ledger_place *place);

/* Takes the event: an object with "type" and the fields of a type of the ledger. officer: who did
 * it; "": the node. done is called later, exactly once. */
void ledger_write(
	struct runtime *rt, const char *officer, json_t *event, ledger_done done, void *arg);

/* The disk is well again: what waits is written soon. */
void ledger_go_on(struct runtime *rt);

/* Calls back once no view waits, or after LEDGER_FLUSH_MS, or at once when nothing waits. */
void ledger_flush(struct runtime *rt, void (*done)(void *arg), void *arg);

/* An answer of the vault's to what this file asked; frees nothing. drop: the end. */
void ledger_vault_done(struct runtime *rt, struct vault_request *done);
void ledger_vault_drop(struct vault_request *done);
/* Any answer of the vault's: how many views wait. */
void ledger_views_told(struct runtime *rt, const struct vault_request *done);

void ledger_init(struct runtime *rt); /* once the loop is there */
void ledger_stop(struct runtime *rt); /* before the vault is stopped; whoever waits is called */
/* {"waiting","lost"} */
json_t *ledger_views_json(const struct runtime *rt);

#endif
