/*
 * fold: what it costs to fold the events of one large case. Apart from the rig, whose engine has an
 * idea of its own of what an event is.
 */
#ifndef BENCH_FOLD_H
#define BENCH_FOLD_H

#include "lib.h"

/* Milliseconds of a timeline of 1,000 events of two parts each, a sample a round. */
void fold_measure(struct samples *samples, size_t rounds);

#endif
