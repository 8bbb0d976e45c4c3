/*
 * words: bytes as English words, for what people read aloud, write down and type back: fingerprints
 * of keys, shares of a recovery key. Eleven bits a word, the most significant first; the last word
 * is filled up with zero bits, which decoding demands. There is no checksum in it: who needs one
 * encodes one.
 *
 * The list is BIP-0039's English one: 2048 words in alphabetical order, of 3 to 8 letters, no two
 * with the same first four (base/words-english.txt says from where).
 */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

enum { WORDS_LIST = 2048, WORDS_BITS = 11, WORDS_LETTERS_MIN = 3, WORDS_LETTERS = 8 };

/* How many words `size` bytes become. */
#define WORDS_COUNT(size) (((size)*8 + WORDS_BITS - 1) / WORDS_BITS)
/* Bytes of the text of so many words, with the spaces between. */
#define WORDS_TEXT(count) ((count) * (WORDS_LETTERS + 1))

/* number < WORDS_LIST */
const char *words_at(size_t number);
/* The number of a word: itself, or its first four letters or more; of either case. ERR_MALFORMED:
 * no word begins so; or it is shorter than four letters and no word. */
enum err words_find(struct bytes word, size_t *ret) MUST_USE;

/* Appends the words of data, a space between two. For secrets reserve WORDS_TEXT first. */
void words_encode(struct buf *out, struct bytes data);

/* Into exactly `size` bytes. Words stand apart by white space, at least some; what is around them
 * is ignored. ERR_MALFORMED, and ret is zeros: a word that is none (ctx: "word 3, 'abandom', is
 * none of the list"; of something longer than any word, its first letters), too many or too few, or
 * a last word that cannot be. Only the wrong word is ever told. */
enum err words_decode(struct bytes text, uint8_t *ret, size_t size, struct errctx *ctx) MUST_USE;

#endif
