/* SPDX-License-Identifier: MIT */
/* str.h - text as a view, and a buffer that grows.
 * A `struct str` borrows bytes: pointer and length, no NUL, passed by value, free of cost.
 * The empty view may have at == NULL.  A `struct strbuf` owns its bytes and keeps a NUL behind
 * them, so `buf.at` is always a C string (never NULL after the first append; use strbuf_cstr()).
 * Running out of memory aborts; nothing here can fail otherwise. */
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/cleanup.h"

struct str {
    const char *at;
    size_t len;
};

#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, (s).at
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *cstr); /* NULL gives the empty view */
static inline struct str
str_range(const char *begin, const char *end)
{
    assert(begin <= end);
    return (struct str){begin, (size_t)(end - begin)};
}
bool str_equal(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b);
static inline bool /* inline: next to a literal it is the length that differs, mostly */
str_is(struct str a, const char *cstr)
{
    const size_t len = cstr == NULL ? 0 : strlen(cstr);

    return a.len == len && (len == 0 || memcmp(a.at, cstr, len) == 0);
}
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Does the whole of `text` match? '*' stands for any run of bytes, also none, and '?' for one. Takes time
 * proportional to the product of their lengths at worst. */
bool str_like(struct str pattern, struct str text);
/* How many letters to change, add or leave out until they are equal, whatever their case; for names
 * that are nearly right. 99 for texts of 60 bytes and more. */
unsigned str_distance(struct str a, struct str b);
struct str str_trim(struct str s);                      /* blanks, tabs, CR, LF at both ends */
struct str str_slice(struct str s, size_t from, size_t to); /* clamped */
ptrdiff_t str_index(struct str s, char c);              /* first, or -1 */
ptrdiff_t str_rindex(struct str s, char c);             /* last, or -1 */
ptrdiff_t str_find(struct str s, struct str needle);    /* first, or -1 */
/* Cuts `*rest` at the first `separator`: gives what stands before it and leaves the rest behind
 * it.  False once `*rest` is exhausted (at == NULL). "a,,b" gives "a", "", "b". */
bool str_split(struct str *rest, char separator, struct str *part_out);
/* Decimal only, no sign but '-', no blanks, whole view; false if not a number or out of range. */
bool str_to_i64(struct str s, int64_t *out);
bool str_is_hex(struct str s); /* digits, either case; at least one */
bool str_to_size(struct str s, int64_t *out); /* "50G": with a unit of 1024 (KMGT), or none; not negative */
char *str_dup(struct str s);   /* malloc'd C string */
char *text_dup(const char *s); /* malloc'd copy; NULL stays NULL */
/* Copies into `to[size]` with a NUL.  False (and an empty string) if it does not fit. */
bool text_copy(char *to, size_t size, struct str from);
/* The same of a text whose length somebody checked: asserts that it fits. */
void text_copy_all(char *to, size_t size, const char *from);
size_t text_characters(const char *utf8); /* not bytes */
char *text_format(const char *format, ...) PRINTF_LIKE(1, 2); /* malloc'd */
char *str_join(const struct str *parts, size_t count); /* malloc'd; a fifth of the cost of text_format() */
void *mem_new(size_t size);                                  /* zeroed, never NULL */
void *mem_grow(void *p, size_t count, size_t size);          /* realloc that never fails */

struct strbuf {
    char *at;
    size_t len;
    size_t capacity;
};

void strbuf_done(struct strbuf *b);
void strbuf_clear(struct strbuf *b);
void strbuf_cut(struct strbuf *b, size_t len); /* back to its first `len` bytes */
void strbuf_reserve(struct strbuf *b, size_t extra);
void strbuf_add(struct strbuf *b, struct str s);
void strbuf_add_cstr(struct strbuf *b, const char *s);
void strbuf_add_char(struct strbuf *b, char c);
void strbuf_add_utf8(struct strbuf *b, unsigned code); /* a character by its number, below 0x110000 */
void strbuf_addf(struct strbuf *b, const char *format, ...) PRINTF_LIKE(2, 3);
struct str strbuf_str(const struct strbuf *b);
const char *strbuf_cstr(const struct strbuf *b); /* "" when empty */
char *strbuf_take(struct strbuf *b);             /* the C string is the caller's, `b` is empty */
