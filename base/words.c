#include "base/words.h"

#include "base/secret.h"
#include "base/text.h"

enum { PREFIX = 4 };

/* ---- looking a word up ---- */

static char lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* As strncmp, of either case; 0 when the word begins with these letters. */
static int compare(struct bytes letters, const char *word)
{
	for (size_t i = 0; i < letters.size; i++) {
		char a = lower(letters.data[i]);

		if (word[i] == '\0' || a != word[i])
			return (uint8_t)a < (uint8_t)word[i] ? -1 : 1;
	}
	return 0;
}

enum err words_find(struct bytes word, size_t *ret)
{
	size_t low = 0, high = WORDS_LIST;

	/* The first that is not less than the letters: of those that begin so, the shortest. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(word, words_at(middle)) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (word.size == 0 || low == WORDS_LIST || compare(word, words_at(low)) != 0)
		return ERR_MALFORMED;
	if (word.size < PREFIX && words_at(low)[word.size] != '\0')
		return ERR_MALFORMED;
	*ret = low;
	return OK;
}

/* ---- bits ---- */

void words_encode(struct buf *out, struct bytes data)
{
	uint32_t bits = 0;
	size_t have = 0, next = 0;

	for (size_t i = 0; i < WORDS_COUNT(data.size); i++) {
		while (have < WORDS_BITS) {
			bits = bits << 8 | (next < data.size ? data.data[next] : 0);
			next++;
			have += 8;
		}
		have -= WORDS_BITS;
		if (i > 0)
			buf_put_u8(out, ' ');
		buf_put_str(out, words_at(bits >> have & (WORDS_LIST - 1)));
	}
	wipe(&bits, sizeof(bits));
}

struct taking {
	uint8_t *out;
	size_t size, done; /* bytes */
	uint32_t bits;
	size_t have;
};

/* False: bits that are not zero past the end. */
static bool take(struct taking *taking, size_t number)
{
	taking->bits = (taking->bits << WORDS_BITS | (uint32_t)number) & 0xffffff;
	taking->have += WORDS_BITS;
	for (; taking->have >= 8 && taking->done < taking->size; taking->have -= 8)
		taking->out[taking->done++] = (uint8_t)(taking->bits >> (taking->have - 8));
	return taking->done < taking->size ||
	       (taking->bits & ((UINT32_C(1) << taking->have) - 1)) == 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct bytes next_word(struct bytes *text)
{
	size_t i = 0, end;

	while (i < text->size && is_space(text->data[i]))
		i++;
	for (end = i; end < text->size && !is_space(text->data[end]);)
		end++;

	struct bytes word = bytes_make(text->data + i, end - i);

	*text = bytes_make(text->data + end, text->size - end);
	return word;
}

static enum err decode(struct bytes text, struct taking *taking, struct errctx *ctx)
{
	size_t wanted = WORDS_COUNT(taking->size), count = 0, number = 0;
	char shown[4 * WORDS_LETTERS];

	for (struct bytes word; (word = next_word(&text)).size > 0;) {
		count++;
		if (count > wanted)
			return err_set(ctx, ERR_MALFORMED, "more words than the %zu there must be",
				wanted);
		if (words_find(word, &number) != OK)
			return err_set(ctx, ERR_MALFORMED, "word %zu, '%s', is none of the list",
				count, text_escape(word, shown, sizeof(shown)));
		if (!take(taking, number))
			return err_set(ctx, ERR_MALFORMED, "word %zu, '%s', cannot be the last one",
				count, words_at(number));
	}
	if (count < wanted)
		return err_set(ctx, ERR_MALFORMED, "%zu words, there must be %zu", count, wanted);
	return OK;
}

enum err words_decode(struct bytes text, uint8_t *ret, size_t size, struct errctx *ctx)
{
	struct taking taking = {.out = ret, .size = size};
	enum err err = decode(text, &taking, ctx);

	if (err != OK)
		wipe(ret, size);
	wipe(&taking, sizeof(taking));
	return err;
}
