#include "cases/packet/recall.h"

#include "cases/view/html.h"

static void put_text(struct buf *out, const char *text)
{
	html_put_text(out, bytes_str(text));
}

void recall_write(const struct recall *recall, struct buf *out)
{
	buf_put_str(out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'\">\n<title>Recall</title>\n<style>@page{margin:20mm}"
		"body{font:12pt/1.5 sans-serif;max-width:42em;margin:0 auto;padding:1em}"
		"table{border-collapse:collapse}th,td{border:1px solid #777;padding:.2em .6em;"
		"text-align:start}.line{margin-top:2.5em;border-top:1px solid #000;"
		"max-width:22em}</style>\n</head>\n<body>\n<p>");
	put_text(out, recall->node);
	buf_put_str(out, ", ");
	put_text(out, recall->network);
	buf_put_str(out, "<br>");
	put_text(out, recall->today);
	buf_put_str(out, "</p>\n<p>To: ");
	put_text(out, recall->recipient);
	buf_put_str(out,
		"</p>\n<h1>Please destroy what we gave you</h1>\n<p>The consent on which you were "
		"given the packets below holds no longer. Please stop using them, destroy them and "
		"every copy, on paper, in files and in backups, ask whomever you passed them on "
		"to, to do the same, and send this page back.</p>\n<table>\n<tr><th>Reference</th>"
		"<th>Given on</th><th>As</th></tr>\n");
	for (size_t i = 0; i < recall->count; i++) {
		buf_put_str(out, "<tr><td>");
		put_text(out, recall->packets[i].id);
		buf_put_str(out, "</td><td>");
		put_text(out, recall->packets[i].made_on);
		buf_printf(out, "</td><td>%s</td></tr>\n",
			recall->packets[i].paper ? "paper" : "encrypted file");
	}
	buf_put_str(out,
		"</table>\n<p>We have destroyed all of it on:</p>\n<p class=\"line\">Date</p>\n"
		"<p class=\"line\">Name and signature</p>\n</body>\n</html>\n");
}
