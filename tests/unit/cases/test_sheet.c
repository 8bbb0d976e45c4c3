#include "cases_test.h"

#include "base/text.h"
#include "cases/view/html.h"
#include "cases/view/sheet.h"

enum { TEXT_MAX = 16 * 1024, SENTENCE_MAX = 75 /* characters */, TEXT_LENGTH_MAX = 110 };

static size_t characters(const char *text)
{
	size_t count = 0;

	for (; *text != 0; text++)
		count += ((uint8_t)*text & 0xc0) != 0x80;
	return count;
}

static size_t language_count(void)
{
	size_t count = 0;

	while (catalogue_at(count) != NULL)
		count++;
	return count;
}

/* ---- the catalogue ---- */

static void complete(void **state)
{
	assert_int_equal(language_count(), 5);
	for (size_t l = 0; l < language_count(); l++) {
		const struct catalogue_language *language = catalogue_at(l);

		for (unsigned k = 0; k < CATALOGUE_COUNT; k++) {
			const char *text = language->texts[k];

			if (text == NULL || text[0] == 0)
				fail_msg("%s: %s has no text", language->tag,
					catalogue_key_name((enum catalogue_key)k));
			assert_true(utf8_valid(bytes_str(text)));
			assert_null(strpbrk(text, "<>&\n\t\"%"));
			/* Two languages never share a sentence: one was forgotten. */
			for (size_t o = 0; o < l && k < CATALOGUE_DATE; o++)
				assert_string_not_equal(text, catalogue_at(o)->texts[k]);
		}
		for (size_t m = 0; m < 12; m++)
			assert_true(characters(language->months[m]) >= 2);
		for (size_t d = 0; d < 10; d++)
			assert_int_equal(characters(language->digits[d]), 1);
		assert_true(strlen(language->translator) > 0);
		assert_true(language->reviewer == NULL || strlen(language->reviewer) > 0);
		assert_true(language->forbidden_count >= 20);
	}
}

/* The placeholders of a text, in order of the alphabet: "{day}{month}{year}". */
static void placeholders(const char *text, char ret[64])
{
	static const char *const known[] = {"{date}", "{day}", "{month}", "{year}"};
	size_t braces = 0;

	ret[0] = 0;
	for (size_t i = 0; i < 4; i++)
		if (strstr(text, known[i]) != NULL)
			strcat(ret, known[i]);
	for (size_t i = 0; text[i] != 0; i++)
		braces += text[i] == '{' || text[i] == '}';
	for (size_t i = 0; ret[i] != 0; i++)
		braces -= ret[i] == '{' || ret[i] == '}';
	assert_int_equal(braces, 0); /* each once, and no other */
}

static void same_placeholders(void **state)
{
	for (size_t l = 1; l < language_count(); l++)
		for (unsigned k = 0; k < CATALOGUE_COUNT; k++) {
			char ours[64], english[64];

			placeholders(catalogue_at(l)->texts[k], ours);
			placeholders(catalogue_at(0)->texts[k], english);
			assert_string_equal(ours, english);
		}
}

/* Short sentences, each with an end, so that they can be read aloud. */
static void short_sentences(void **state)
{
	for (size_t l = 0; l < language_count(); l++)
		for (unsigned k = CATALOGUE_INTRO; k <= CATALOGUE_CLOSING; k++) {
			const char *text = catalogue_at(l)->texts[k], *from = text;
			char sentence[400];

			assert_in_range(characters(text), 8, TEXT_LENGTH_MAX);
			assert_non_null(
				strchr(k == CATALOGUE_CONTACT ? ":" : ".", text[strlen(text) - 1]));
			for (size_t i = 0; text[i] != 0; i++) {
				size_t size = (size_t)(text + i + 1 - from);

				if (text[i] != '.' && text[i] != ':')
					continue;
				memcpy(sentence, from, size);
				sentence[size] = 0;
				if (characters(sentence) > SENTENCE_MAX)
					fail_msg(
						"%s: too long: %s", catalogue_at(l)->tag, sentence);
				from = text + i + 1;
			}
		}
}

static bool has_latin(const char *text)
{
	for (; *text != 0; text++)
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			(*text >= '0' && *text <= '9'))
			return true;
	return false;
}

/* Outside of placeholders. */
static void no_latin_in_arabic(void **state)
{
	const struct catalogue_language *arabic = catalogue_find(bytes_str("ar"));

	assert_true(arabic->right_to_left);
	for (unsigned k = 0; k < CATALOGUE_COUNT; k++) {
		char text[400];
		char *open, *close;

		strcpy(text, arabic->texts[k]);
		while ((open = strchr(text, '{')) != NULL && (close = strchr(open, '}')) != NULL)
			memmove(open, close + 1, strlen(close));
		if (has_latin(text))
			fail_msg("%s: %s", catalogue_key_name((enum catalogue_key)k), text);
	}
	for (size_t m = 0; m < 12; m++)
		assert_false(has_latin(arabic->months[m]));
}

static void nothing_forbidden(void **state)
{
	for (size_t l = 0; l < language_count(); l++) {
		const struct catalogue_language *language = catalogue_at(l);

		for (unsigned k = 0; k < CATALOGUE_COUNT; k++) {
			const char *word =
				catalogue_forbidden(language, bytes_str(language->texts[k]));

			if (word != NULL)
				fail_msg("%s: %s says '%s'", language->tag,
					catalogue_key_name((enum catalogue_key)k), word);
		}
	}
}

/* The list works: a test that cannot fail is worse than none. */
static void forbidden_is_found(void **state)
{
	static const struct {
		const char *language, *text, *word;
	} samples[] = {
		{"en", "call the UN", "UN"},
		{"en", "call the Office", "office"},
		{"en", "Survivors' desk", "survivor"},
		{"fr", "un ami", NULL},
		{"fr", "l'ONU", "ONU"},
		{"fr", "Bureau 4", "bureau"},
		{"fr", "office", "office"}, /* English too */
		{"es", "la Oficina", "oficina"},
		{"ar", "المكتب", "المكتب"},
		{"ht", "Biwo a", "biwo"},
		{"en", "showcase", NULL}, /* not the beginning of a word */
		{"en", "UNA", NULL},
		{"en", "Anna, +509 1234", NULL},
		{"en", "", NULL},
	};

	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		const char *word = catalogue_forbidden(
			catalogue_find(bytes_str(samples[i].language)), bytes_str(samples[i].text));

		if (samples[i].word == NULL)
			assert_null(word);
		else
			assert_string_equal(word, samples[i].word);
	}
}

static void finding(void **state)
{
	assert_string_equal(catalogue_find(bytes_str("fr"))->tag, "fr");
	assert_string_equal(catalogue_find(bytes_str("FR-HT"))->tag, "fr");
	assert_string_equal(catalogue_find(bytes_str("ht"))->name, "Haitian Creole");
	assert_null(catalogue_find(bytes_str("sw")));
	assert_null(catalogue_find(bytes_str("")));
	assert_null(catalogue_find(bytes_str("f")));
	assert_null(catalogue_find(bytes_str("fra")));
}

/* ---- the sheet ---- */

static char *sheet(const char *tag, enum sheet_format format, const char *next, const char *contact)
{
	struct sheet_options options = {.language = catalogue_find(bytes_str(tag)),
		.format = format,
		.next_on = next,
		.contacts = &contact,
		.contact_count = contact != NULL};
	struct errctx ctx = {""};
	struct buf out;
	char *text;

	buf_init(&out, TEXT_MAX);
	if (sheet_write(&options, &out, &ctx) != OK)
		fail_msg("%s", ctx.text);
	text = strdup(buf_cstr(&out));
	buf_release(&out);
	return text;
}

static void text_in_full(void **state)
{
	char *text = sheet("fr", SHEET_TEXT, "2026-03-12", "Anna, +509 1234");

	assert_string_equal(text,
		"Vos droits\n\n"
		"Ces droits sont les vôtres. Vous n'avez rien à faire pour les garder.\n\n"
		"1. Chacun doit vous traiter avec respect, qui que vous soyez.\n"
		"2. Vous pouvez demander de l'aide et du soutien. Vous pouvez aussi dire non.\n"
		"3. Vous pouvez demander justice. Celui qui fait du mal doit en répondre.\n"
		"4. C'est vous qui décidez jusqu'où vous participez. Vous pouvez changer d'avis à "
		"tout "
		"moment.\n"
		"5. Vous pouvez demander où en sont les choses. On doit vous répondre avec des "
		"mots "
		"clairs.\n"
		"6. Vous pouvez parler dans votre langue. On doit vous écouter.\n"
		"7. Ce que vous dites reste privé. C'est vous qui décidez qui peut le savoir.\n"
		"8. Votre sécurité passe avant tout. Dites-le si vous avez peur.\n"
		"9. Vous pouvez demander réparation pour ce que vous avez perdu.\n"
		"10. Vous pouvez vous plaindre si l'on vous traite mal. Personne n'a le droit de "
		"vous "
		"punir pour cela.\n\n"
		"La prochaine date : 12 mars 2026.\n\n"
		"Pour vos questions :\n"
		"  Anna, +509 1234\n\n"
		"Vous pouvez demander qu'on vous relise cette page. Rien ne vous oblige à la "
		"garder.\n");
	free(text);
	text = sheet("fr", SHEET_TEXT, "", NULL);
	assert_null(strstr(text, "date"));
	assert_null(strstr(text, "questions"));
	free(text);
}

static void dates(void **state)
{
	static const char *const days[][3] = {
		{"en", "2026-03-12", "12 March 2026"},
		{"en", "2026-01-01", "1 January 2026"},
		{"fr", "2026-03-01", "1er mars 2026"},
		{"fr", "2026-08-02", "2 août 2026"},
		{"es", "2026-12-31", "31 de diciembre de 2026"},
		{"ar", "2026-03-12", "١٢ مارس ٢٠٢٦"},
		{"ar", "2024-02-29", "٢٩ فبراير ٢٠٢٤"},
		{"ht", "2026-10-05", "5 oktòb 2026"},
	};
	static const char *const bad[] = {
		"2026-02-29", "2026-3-1", "2026-03", "", "x", "2026-03-12 "};
	struct buf out;

	for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
		buf_init(&out, 100);
		assert_ok(sheet_date(catalogue_find(bytes_str(days[i][0])), days[i][1], &out));
		assert_string_equal(buf_cstr(&out), days[i][2]);
		buf_release(&out);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_init(&out, 100);
		assert_int_equal(sheet_date(catalogue_at(0), bad[i], &out), ERR_INVALID);
		assert_int_equal(out.size, 0);
		buf_release(&out);
	}
}

/* A page by itself: nothing is loaded, nothing runs; every text of the catalogue is in it. */
static void pages(void **state)
{
	for (size_t l = 0; l < language_count(); l++) {
		const struct catalogue_language *language = catalogue_at(l);
		char *page = sheet(language->tag, SHEET_HTML, "2026-03-12", "<Anna> & \"Bo\" '1'");
		char head[100];

		snprintf(head, sizeof head, "<!DOCTYPE html>\n<html lang=\"%s\" dir=\"%s\">\n",
			language->tag, l == 3 ? "rtl" : "ltr");
		assert_int_equal(strncmp(page, head, strlen(head)), 0);
		assert_non_null(
			strstr(page, "<bdi>&lt;Anna&gt; &amp; &quot;Bo&quot; &#39;1&#39;</bdi>"));
		assert_null(strstr(page, "<script"));
		assert_null(strstr(page, "http://"));
		assert_null(strstr(page, "https://"));
		assert_null(strstr(page, "src="));
		assert_null(strstr(page, "href"));
		assert_null(strstr(page, "url("));
		assert_null(strstr(page, "{"
					 "date"));
		assert_null(strcasestr(page, "sauti"));
		for (unsigned k = 0; k <= CATALOGUE_RIGHT_10; k++) {
			struct buf escaped;

			buf_init(&escaped, 1000);
			html_put_text(&escaped, bytes_str(language->texts[k]));
			assert_non_null(strstr(page, buf_cstr(&escaped)));
			buf_release(&escaped);
		}
		assert_string_equal(page + strlen(page) - 16, "</body>\n</html>\n");
		free(page);
	}
}

static enum err try_sheet(
	const char *next, const char *const *contacts, size_t count, const char *says)
{
	struct sheet_options options = {
		.language = catalogue_find(bytes_str("fr")),
		.next_on = next,
		.contacts = contacts,
		.contact_count = count,
	};
	struct errctx ctx = {""};
	struct buf out;
	enum err err;

	buf_init(&out, TEXT_MAX);
	err = sheet_write(&options, &out, &ctx);
	if (err != OK) {
		assert_int_equal(out.size, 0);
		assert_non_null(strstr(ctx.text, says));
	}
	buf_release(&out);
	return err;
}

static void refused(void **state)
{
	char eighty[SHEET_CONTACT_MAX + 2];
	const char *many[] = {"1", "2", "3", "4", "5"}, *one = eighty;

	memset(eighty, '1', sizeof eighty);
	eighty[SHEET_CONTACT_MAX] = 0;
	assert_ok(try_sheet("", &one, 1, ""));
	eighty[SHEET_CONTACT_MAX] = '1';
	eighty[SHEET_CONTACT_MAX + 1] = 0;
	assert_int_equal(try_sheet("", &one, 1, "allowed are 80"), ERR_LIMIT);
	assert_ok(try_sheet("", many, SHEET_CONTACTS_MAX, ""));
	assert_int_equal(try_sheet("", many, SHEET_CONTACTS_MAX + 1, "5 contacts"), ERR_LIMIT);
	assert_int_equal(try_sheet("2026-02-30", NULL, 0, "YYYY-MM-DD"), ERR_INVALID);
	assert_int_equal(try_sheet("", (const char *[]){""}, 1, "nothing"), ERR_INVALID);
	assert_int_equal(try_sheet("", (const char *[]){"\xff"}, 1, "UTF-8"), ERR_INVALID);
	assert_int_equal(try_sheet("", (const char *[]){"a\nb"}, 1, "control"), ERR_INVALID);
	assert_int_equal(try_sheet("", (const char *[]){"Bureau 3"}, 1, "'bureau'"), ERR_INVALID);
	assert_int_equal(try_sheet("", (const char *[]){"the Office"}, 1, "'office'"), ERR_INVALID);
	assert_int_equal(
		try_sheet("", (const char *[]){"Anna (HTI-7K3Q-5)"}, 1, "case code"), ERR_INVALID);
}

static void no_room(void **state)
{
	struct sheet_options options = {.language = catalogue_at(0), .next_on = ""};
	struct buf out;

	buf_init(&out, 100);
	assert_int_equal(sheet_write(&options, &out, NULL), ERR_LIMIT);
	buf_release(&out);
}

static void html_escapes(void **state)
{
	static const char *const texts[][2] = {
		{"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"},
		{"a\nb", "a\nb"},
		{"a\tb\r\x7f", "a\xef\xbf\xbd"
			       "b\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe2\x80\xae"
		 "x\xe2\x81\xa6\xd8\x9c",
			"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc2\x85\xef\xbb\xbf", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc2\xa0\xd9\x85\xe2\x82\xac\xf0\x9f\x99\x82",
			"\xc2\xa0\xd9\x85\xe2\x82\xac\xf0\x9f\x99\x82"},
		{"bad \xff", "\xef\xbf\xbd"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct buf out;

		buf_init(&out, 100);
		html_put_text(&out, bytes_str(texts[i][0]));
		assert_string_equal(buf_cstr(&out), texts[i][1]);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete),
		cmocka_unit_test(same_placeholders),
		cmocka_unit_test(short_sentences),
		cmocka_unit_test(no_latin_in_arabic),
		cmocka_unit_test(nothing_forbidden),
		cmocka_unit_test(forbidden_is_found),
		cmocka_unit_test(finding),
		cmocka_unit_test(text_in_full),
		cmocka_unit_test(dates),
		cmocka_unit_test(pages),
		cmocka_unit_test(refused),
		cmocka_unit_test(no_room),
		cmocka_unit_test(html_escapes),
	};

	return cmocka_run_group_tests(tests, setup_crypto, teardown_crypto);
}
