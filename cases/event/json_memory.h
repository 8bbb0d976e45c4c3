/*
 * json_memory: Jansson's memory, for programs that read or write cases as JSON. Jansson 2.14
 * ignores that its token buffer could not grow, and then writes past its end; and it frees
 * plaintext as it is. So its memory is wiped when freed, and running out of it ends the process,
 * by the program's own function, which says so: nothing that was acknowledged is lost by that.
 */
#ifndef CASES_JSON_MEMORY_H
#define CASES_JSON_MEMORY_H

/* Once, at the start of the program, before any thread. `exhausted` is called when there is no
 * memory, from any thread, and does not return. */
void json_memory_init(void (*exhausted)(void));

/* Frees what json_dumps gave, whether the above was called or not; NULL is fine. */
void json_text_free(char *text);

#endif
